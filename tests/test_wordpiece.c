/* test_wordpiece.c: the greedy split of a word. */
#include "model/wordpiece.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void fill(rung_vocabulary *vocabulary, rung_wordpiece *model, const char *const *tokens, const char *prefix)
{
    rung_error error;
    for (int64_t id = 0; tokens[id] != NULL; id++) {
        assert_int_equal(rung_vocabulary_set_text(vocabulary, id, tokens[id], strlen(tokens[id]), &error), RUNG_OK);
    }
    assert_int_equal(rung_vocabulary_index(vocabulary, &error), RUNG_OK);
    assert_int_equal(rung_wordpiece_index(model, vocabulary, prefix, strlen(prefix), &error), RUNG_OK);
}

static void splits_greedily(void **state)
{
    (void)state;
    const char *const tokens[] = {"un", "una", "##aff", "##able", "##a", "##ff", NULL};
    rung_vocabulary vocabulary = {0};
    rung_wordpiece model = {0};
    fill(&vocabulary, &model, tokens, "##");
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
    rung_vocabulary_deinit(&vocabulary);
}

static void an_absent_prefix_continues_nothing(void **state)
{
    (void)state;
    const char *const tokens[] = {"a", "b", NULL};
    rung_vocabulary vocabulary = {0};
    rung_wordpiece model = {0};
    fill(&vocabulary, &model, tokens, "##");
    int32_t id = -1;
    assert_int_equal(rung_wordpiece_piece(&model, "ab", 0, 2, &id), 1);
    assert_int_equal(rung_wordpiece_piece(&model, "ab", 1, 2, &id), 0);
    rung_wordpiece_deinit(&model);
    rung_vocabulary_deinit(&vocabulary);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_greedily),
        cmocka_unit_test(an_absent_prefix_continues_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
