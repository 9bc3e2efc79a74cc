/* test_reach.c: what a level finds for the requests that reach it is what it finds when the cascade runs, whoever computes it. */
#include "fit/reach.h"
#include "skip.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROWS 50

static char texts[ROWS][128];
static rung_input inputs[ROWS];
static char path[] = "/tmp/rung_test_reach.XXXXXX.yaml";

static int write_cascade(void **state)
{
    (void)state;
    char yaml[1024];
    char *here = realpath(".", NULL);
    int length = snprintf(yaml, sizeof yaml,
                          "levels:\n  - {name: one, model: %s/tests/golden/tiny-bert}\n"
                          "  - {name: two, model: %s/tests/golden/tiny-bert, link: wifi}\n"
                          "  - {name: three, model: %s/tests/golden/tiny-bert, link: wifi}\n"
                          "policy: {prune: {alpha: 1}, exit: {rule: paper, tau: 0.15}, offload: {threshold: 1}}\n",
                          here, here, here);
    free(here);
    int fd = mkstemps(path, 5);
    if (fd < 0 || write(fd, yaml, (size_t)length) != length) {
        return 1;
    }
    for (size_t i = 0; i < ROWS; i++) {
        int bytes = snprintf(texts[i], sizeof texts[i], "it was good, the film %zu of %zu was %s and %s", i, i * 7 % 13,
                             i % 3 == 0 ? "great" : "dull", i % 4 == 1 ? "very funny" : "not walking");
        inputs[i] = (rung_input){.text = texts[i], .text_bytes = (size_t)bytes, .id = i % 2 == 0 ? NULL : texts[i]};
    }
    inputs[3].text_pair = "not a bad plot";
    inputs[3].text_pair_bytes = strlen(inputs[3].text_pair);
    return close(fd);
}

static int remove_cascade(void **state)
{
    (void)state;
    return unlink(path);
}

static rung_cascade *open_with(size_t threads)
{
    rung_cascade *cascade = NULL;
    rung_error error;
    if (rung_cascade_open(path, &(rung_open_options){.threads = threads}, &cascade, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return cascade;
}

static void run(rung_reach *reach, uint32_t level)
{
    rung_error error;
    if (rung_reach_run(reach, level, NULL, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
}

static void levels_find_what_they_find_in_the_cascade(void **state)
{
    (void)state;
    rung_cascade *cascade = open_with(3);
    rung_answers *answers = NULL;
    rung_reach reach = {0};
    rung_error error;
    assert_int_equal(rung_cascade_classify(cascade, inputs, ROWS, &answers, &error), RUNG_OK);
    assert_int_equal(rung_reach_init(&reach, cascade, inputs, ROWS, &error), RUNG_OK);
    bool early = false;
    for (uint32_t level = 1; level <= 3; level++) {
        run(&reach, level);
        for (size_t i = 0; i < ROWS; i++) {
            const rung_answer *answer = rung_answers_get(answers, i);
            assert_int_equal(answer->level, 3);
            const rung_level_answer *did = &answer->levels[level - 1];
            const rung_found *found = rung_reach_found(&reach, level, i);
            const double *own = rung_reach_probabilities(&reach, level, i);
            assert_int_equal(found->exit_layer, did->exit_layer);
            assert_int_equal(found->num_tokens, did->tokens);
            assert_true(found->confidence == did->confidence);
            for (size_t c = 0; c < 3; c++) { /* it travelled to level 1 as a float */
                assert_true((float)own[c] == (float)did->probabilities[c]);
            }
            early = early || found->exit_layer < 3;
        }
    }
    assert_true(early); /* some stopped early, so that texts were pruned and states kept in between */
    double pooled[3];
    for (size_t i = 0; i < ROWS; i++) {
        rung_reach_pool(&reach, &cascade->policy, 3, i, pooled);
        for (size_t c = 0; c < 3; c++) {
            assert_true(fabs(pooled[c] - rung_answers_get(answers, i)->probabilities[c]) < 1e-6);
        }
    }
    rung_answers_free(answers);
    rung_reach_deinit(&reach);
    rung_cascade_close(cascade);
}

static void only_what_goes_on_is_run(void **state)
{
    (void)state;
    rung_cascade *cascade = open_with(2);
    rung_reach reach = {0};
    rung_error error;
    assert_int_equal(rung_reach_init(&reach, cascade, inputs, ROWS, &error), RUNG_OK);
    run(&reach, 1);
    for (size_t i = 0; i < ROWS; i++) {
        reach.trails[i].going = i % 5 == 0;
    }
    run(&reach, 2);
    for (size_t i = 0; i < ROWS; i++) {
        assert_true((rung_reach_found(&reach, 2, i)->exit_layer > 0) == (i % 5 == 0));
    }
    rung_reach_deinit(&reach);
    rung_cascade_close(cascade);
}

static void a_level_that_passes_on_computes_nothing(void **state)
{
    (void)state;
    rung_cascade *cascade = open_with(1);
    rung_reach reach = {0};
    rung_error error;
    cascade->policy.first_compute_level = 2;
    assert_int_equal(rung_reach_init(&reach, cascade, inputs, ROWS, &error), RUNG_OK);
    run(&reach, 1);
    run(&reach, 2);
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(rung_reach_found(&reach, 1, i)->exit_layer, 0);
        assert_true(rung_reach_found(&reach, 2, i)->exit_layer > 0);
    }
    rung_reach_deinit(&reach);
    rung_cascade_close(cascade);
}

static void a_bad_text_is_named_by_its_position(void **state)
{
    (void)state;
    rung_cascade *cascade = open_with(1);
    rung_reach reach = {0};
    rung_error error;
    rung_input bad[2] = {inputs[0], {.text = "\xff", .text_bytes = 1}};
    assert_int_equal(rung_reach_init(&reach, cascade, bad, 2, &error), RUNG_INVALID);
    assert_non_null(strstr(error.message, "input 1: text is not valid UTF-8"));
    assert_null(reach.trails);
    rung_cascade_close(cascade);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_find_what_they_find_in_the_cascade),
        cmocka_unit_test(only_what_goes_on_is_run),
        cmocka_unit_test(a_level_that_passes_on_computes_nothing),
        cmocka_unit_test(a_bad_text_is_named_by_its_position),
    };
    return cmocka_run_group_tests(tests, write_cascade, remove_cascade);
}
