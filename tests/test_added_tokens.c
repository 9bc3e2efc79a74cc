/* test_added_tokens.c: cutting added tokens out of a text, one flag at a time; expected pieces worked out by hand from
 * the reference's rules. The golden cases of test_tokenizer.c hold what the reference itself answers. */
#include "model/added_tokens.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void add(rung_added_set *set, const char *pattern, rung_added_token token)
{
    rung_error error;
    assert_int_equal(rung_added_set_add(set, pattern, strlen(pattern), token, &error), RUNG_OK);
}

/* expected: pieces as begin, end, id; ended by id -2. */
static void assert_pieces(const rung_added_set *set, const char *text, const int expected[][3])
{
    rung_added_split split = rung_added_split_start(set, text, strlen(text));
    rung_added_piece piece;
    size_t at = 0;
    while (rung_added_split_next(&split, &piece)) {
        assert_int_not_equal(expected[at][2], -2);
        assert_int_equal(piece.begin, expected[at][0]);
        assert_int_equal(piece.end, expected[at][1]);
        assert_int_equal(piece.token_id, expected[at][2]);
        at++;
    }
    assert_int_equal(expected[at][2], -2);
}

static void no_tokens_leave_the_text_whole(void **state)
{
    (void)state;
    const rung_added_set set = {0};
    assert_pieces(&set, "[SEP]", (const int[][3]){{0, 5, -1}, {0, 0, -2}});
    assert_pieces(&set, "", (const int[][3]){{0, 0, -2}});
}

static void matches_leftmost_longest(void **state)
{
    (void)state;
    rung_added_set set = {0};
    add(&set, "[A]", (rung_added_token){.id = 1});
    add(&set, "[A]x", (rung_added_token){.id = 2});
    add(&set, "x[A", (rung_added_token){.id = 3});
    assert_pieces(&set, "[A]xx[A]", (const int[][3]){{0, 4, 2}, {4, 7, 3}, {7, 8, -1}, {0, 0, -2}});
    assert_pieces(&set, "[[A]y", (const int[][3]){{0, 1, -1}, {1, 4, 1}, {4, 5, -1}, {0, 0, -2}});
    assert_pieces(&set, "[A", (const int[][3]){{0, 2, -1}, {0, 0, -2}});
    rung_added_set_deinit(&set);
}

static void single_word_needs_no_word_beside_it(void **state)
{
    (void)state;
    rung_added_set set = {0};
    add(&set, "us", (rung_added_token){.id = 1, .single_word = true});
    assert_pieces(&set, "us,us", (const int[][3]){{0, 2, 1}, {2, 3, -1}, {3, 5, 1}, {0, 0, -2}});
    assert_pieces(&set, "bus us_ 1us us\u00e9", (const int[][3]){{0, 16, -1}, {0, 0, -2}});
    /* A combining mark is a word character. */
    assert_pieces(&set, "us\u0301 us", (const int[][3]){{0, 5, -1}, {5, 7, 1}, {0, 0, -2}});
    rung_added_set_deinit(&set);
}

static void strips_white_space_beside_it(void **state)
{
    (void)state;
    rung_added_set set = {0};
    add(&set, "<l>", (rung_added_token){.id = 1, .lstrip = true});
    add(&set, "<r>", (rung_added_token){.id = 2, .rstrip = true});
    assert_pieces(&set, "a \u3000<l> b", (const int[][3]){{0, 1, -1}, {1, 8, 1}, {8, 10, -1}, {0, 0, -2}});
    assert_pieces(&set, "a <r>\n\t b", (const int[][3]){{0, 2, -1}, {2, 8, 2}, {8, 9, -1}, {0, 0, -2}});
    /* What the first token took is not taken again. */
    assert_pieces(&set, "<r>  <l>", (const int[][3]){{0, 5, 2}, {5, 8, 1}, {0, 0, -2}});
    assert_pieces(&set, "  <l>", (const int[][3]){{0, 5, 1}, {0, 0, -2}});
    rung_added_set_deinit(&set);
}

static void refuses_empty_and_double_patterns(void **state)
{
    (void)state;
    rung_added_set set = {0};
    rung_error error;
    add(&set, "x", (rung_added_token){.id = 4});
    assert_int_equal(rung_added_set_add(&set, "x", 1, (rung_added_token){.id = 9}, &error), RUNG_FORMAT);
    assert_string_equal(error.message, "added tokens with ids 4 and 9 match the same text");
    assert_int_equal(rung_added_set_add(&set, "", 0, (rung_added_token){.id = 9}, &error), RUNG_FORMAT);
    assert_string_equal(error.message, "added token with id 9 matches the empty text");
    rung_added_set_deinit(&set);
}

/* Blanks that each take all blanks behind them: walking them again and again would be quadratic. */
static void stripping_stays_linear(void **state)
{
    (void)state;
    enum { BLANKS = 1 << 20 };
    rung_added_set set = {0};
    add(&set, " ", (rung_added_token){.id = 1, .lstrip = true, .rstrip = true});
    char *text = malloc(BLANKS);
    assert_non_null(text);
    memset(text, ' ', BLANKS);
    rung_added_split split = rung_added_split_start(&set, text, BLANKS);
    rung_added_piece piece;
    assert_true(rung_added_split_next(&split, &piece));
    assert_int_equal(piece.end, BLANKS);
    assert_false(rung_added_split_next(&split, &piece));
    free(text);
    rung_added_set_deinit(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_tokens_leave_the_text_whole),      cmocka_unit_test(matches_leftmost_longest),
        cmocka_unit_test(single_word_needs_no_word_beside_it), cmocka_unit_test(strips_white_space_beside_it),
        cmocka_unit_test(refuses_empty_and_double_patterns),   cmocka_unit_test(stripping_stays_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
