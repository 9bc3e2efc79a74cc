/* test_wordpiece.c: the vocabulary's look-ups and the greedy split, with words around the 8-byte limit of inline keys.
 * */
#include "model/wordpiece.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void fill(rung_wordpiece *model, const char *const *tokens, const char *prefix)
{
    rung_error error;
    for (int64_t id = 0; tokens[id] != NULL; id++) {
        assert_int_equal(rung_wordpiece_set_text(model, id, tokens[id], strlen(tokens[id]), &error), RUNG_OK);
    }
    assert_int_equal(rung_wordpiece_index(model, prefix, strlen(prefix), &error), RUNG_OK);
}

static void finds_whole_words(void **state)
{
    (void)state;
    const char *const tokens[] = {"a",         "ab",         "abcdefg",           "abcdefgh",          "abcdefghi",
                                  "abcdefghj", "bbcdefghij", "abcdefghijklmnopq", "abcdefghijklmnopr", "é",
                                  NULL};
    rung_wordpiece model = {0};
    fill(&model, tokens, "##");
    for (int32_t id = 0; tokens[id] != NULL; id++) {
        assert_int_equal(rung_wordpiece_find(&model, tokens[id], strlen(tokens[id])), id);
        assert_string_equal(rung_wordpiece_text(&model, id), tokens[id]);
    }
    const char *const absent[] = {"", "b", "abc", "abcdefgi", "abcdefghk", "abcdefghijklmnop", "abcdefghijklmnops"};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        assert_int_equal(rung_wordpiece_find(&model, absent[i], strlen(absent[i])), -1);
    }
    /* A NUL is a byte like any other. */
    assert_int_equal(rung_wordpiece_find(&model, "a\0", 2), -1);
    assert_int_equal(model.size, 10);
    assert_null(rung_wordpiece_text(&model, 10));
    assert_null(rung_wordpiece_text(&model, -1));
    rung_wordpiece_deinit(&model);
}

static void splits_greedily(void **state)
{
    (void)state;
    const char *const tokens[] = {"un", "una", "##aff", "##able", "##a", "##ff", NULL};
    rung_wordpiece model = {0};
    fill(&model, tokens, "##");
    int32_t id = -1;
    assert_int_equal(rung_wordpiece_piece(&model, "unaffable", 0, 9, &id), 3);
    assert_int_equal(id, 1);
    assert_int_equal(rung_wordpiece_piece(&model, "unaffable", 3, 9, &id), 2);
    assert_int_equal(id, 5);
    assert_int_equal(rung_wordpiece_piece(&model, "unaffable", 5, 9, &id), 4);
    assert_int_equal(id, 3);
    /* "able" continues only; "un" begins only. */
    assert_int_equal(rung_wordpiece_piece(&model, "able", 0, 4, &id), 0);
    assert_int_equal(rung_wordpiece_piece(&model, "unun", 2, 4, &id), 0);
    rung_wordpiece_deinit(&model);
}

static void an_absent_prefix_continues_nothing(void **state)
{
    (void)state;
    const char *const tokens[] = {"a", "b", NULL};
    rung_wordpiece model = {0};
    fill(&model, tokens, "##");
    int32_t id = -1;
    assert_int_equal(rung_wordpiece_piece(&model, "ab", 0, 2, &id), 1);
    assert_int_equal(rung_wordpiece_piece(&model, "ab", 1, 2, &id), 0);
    rung_wordpiece_deinit(&model);
}

static void refuses_bad_ids(void **state)
{
    (void)state;
    rung_wordpiece model = {0};
    rung_error error;
    assert_int_equal(rung_wordpiece_set_text(&model, -1, "a", 1, &error), RUNG_LIMIT);
    assert_string_equal(error.message, "id -1 is outside 0 to 4194303");
    assert_int_equal(rung_wordpiece_set_text(&model, 4194304, "a", 1, &error), RUNG_LIMIT);
    assert_int_equal(rung_wordpiece_set_text(&model, 3, "a", 1, &error), RUNG_OK);
    assert_int_equal(rung_wordpiece_set_text(&model, 3, "b", 1, &error), RUNG_FORMAT);
    assert_string_equal(error.message, "id 3 is used by two tokens");
    assert_int_equal(rung_wordpiece_set_text(&model, 5, "a", 1, &error), RUNG_OK);
    assert_int_equal(rung_wordpiece_index(&model, "##", 2, &error), RUNG_FORMAT);
    assert_string_equal(error.message, "ids 3 and 5 have the same text");
    rung_wordpiece_deinit(&model);
}

static void ids_may_have_gaps(void **state)
{
    (void)state;
    rung_wordpiece model = {0};
    rung_error error;
    assert_int_equal(rung_wordpiece_set_text(&model, 7, "seven", 5, &error), RUNG_OK);
    assert_int_equal(rung_wordpiece_set_text(&model, 2, "two", 3, &error), RUNG_OK);
    assert_int_equal(rung_wordpiece_set_text(&model, 4, "", 0, &error), RUNG_OK);
    assert_int_equal(rung_wordpiece_index(&model, "##", 2, &error), RUNG_OK);
    assert_int_equal(model.id_limit, 8);
    assert_int_equal(model.size, 3);
    assert_null(rung_wordpiece_text(&model, 3));
    assert_string_equal(rung_wordpiece_text(&model, 4), "");
    assert_int_equal(rung_wordpiece_find(&model, "two", 3), 2);
    assert_int_equal(rung_wordpiece_find(&model, "", 0), -1);
    rung_wordpiece_deinit(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_whole_words),
        cmocka_unit_test(splits_greedily),
        cmocka_unit_test(an_absent_prefix_continues_nothing),
        cmocka_unit_test(refuses_bad_ids),
        cmocka_unit_test(ids_may_have_gaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
