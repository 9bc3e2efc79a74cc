/* test_vocabulary.c: texts by id and ids by text, with words around the 8-byte limit of inline keys. */
#include "model/vocabulary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void fill(rung_vocabulary *vocabulary, const char *const *tokens)
{
    rung_error error;
    for (int64_t id = 0; tokens[id] != NULL; id++) {
        assert_int_equal(rung_vocabulary_set_text(vocabulary, id, tokens[id], strlen(tokens[id]), &error), RUNG_OK);
    }
    assert_int_equal(rung_vocabulary_index(vocabulary, &error), RUNG_OK);
}

static void finds_whole_words(void **state)
{
    (void)state;
    const char *const tokens[] = {"a",         "ab",         "abcdefg",           "abcdefgh",          "abcdefghi",
                                  "abcdefghj", "bbcdefghij", "abcdefghijklmnopq", "abcdefghijklmnopr", "é",
                                  NULL};
    rung_vocabulary vocabulary = {0};
    fill(&vocabulary, tokens);
    for (int32_t id = 0; tokens[id] != NULL; id++) {
        assert_int_equal(rung_vocabulary_find(&vocabulary, tokens[id], strlen(tokens[id])), id);
        assert_string_equal(rung_vocabulary_text(&vocabulary, id), tokens[id]);
    }
    const char *const absent[] = {"", "b", "abc", "abcdefgi", "abcdefghk", "abcdefghijklmnop", "abcdefghijklmnops"};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        assert_int_equal(rung_vocabulary_find(&vocabulary, absent[i], strlen(absent[i])), -1);
    }
    /* A NUL is a byte like any other. */
    assert_int_equal(rung_vocabulary_find(&vocabulary, "a\0", 2), -1);
    assert_int_equal(vocabulary.size, 10);
    assert_null(rung_vocabulary_text(&vocabulary, 10));
    assert_null(rung_vocabulary_text(&vocabulary, -1));
    rung_vocabulary_deinit(&vocabulary);
}

static void refuses_bad_ids(void **state)
{
    (void)state;
    rung_vocabulary vocabulary = {0};
    rung_error error;
    assert_int_equal(rung_vocabulary_set_text(&vocabulary, -1, "a", 1, &error), RUNG_LIMIT);
    assert_string_equal(error.message, "id -1 is outside 0 to 4194303");
    assert_int_equal(rung_vocabulary_set_text(&vocabulary, 4194304, "a", 1, &error), RUNG_LIMIT);
    assert_int_equal(rung_vocabulary_set_text(&vocabulary, 3, "a", 1, &error), RUNG_OK);
    assert_int_equal(rung_vocabulary_set_text(&vocabulary, 3, "b", 1, &error), RUNG_FORMAT);
    assert_string_equal(error.message, "id 3 is used by two tokens");
    assert_int_equal(rung_vocabulary_set_text(&vocabulary, 5, "a", 1, &error), RUNG_OK);
    assert_int_equal(rung_vocabulary_index(&vocabulary, &error), RUNG_FORMAT);
    assert_string_equal(error.message, "ids 3 and 5 have the same text");
    rung_vocabulary_deinit(&vocabulary);
}

static void ids_may_have_gaps(void **state)
{
    (void)state;
    rung_vocabulary vocabulary = {0};
    rung_error error;
    assert_int_equal(rung_vocabulary_set_text(&vocabulary, 7, "seven", 5, &error), RUNG_OK);
    assert_int_equal(rung_vocabulary_set_text(&vocabulary, 2, "two", 3, &error), RUNG_OK);
    assert_int_equal(rung_vocabulary_set_text(&vocabulary, 4, "", 0, &error), RUNG_OK);
    assert_int_equal(rung_vocabulary_index(&vocabulary, &error), RUNG_OK);
    assert_int_equal(vocabulary.id_limit, 8);
    assert_int_equal(vocabulary.size, 3);
    assert_null(rung_vocabulary_text(&vocabulary, 3));
    assert_string_equal(rung_vocabulary_text(&vocabulary, 4), "");
    assert_int_equal(rung_vocabulary_find(&vocabulary, "two", 3), 2);
    assert_int_equal(rung_vocabulary_find(&vocabulary, "", 0), -1);
    rung_vocabulary_deinit(&vocabulary);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_whole_words),
        cmocka_unit_test(refuses_bad_ids),
        cmocka_unit_test(ids_may_have_gaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
