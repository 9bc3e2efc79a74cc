/* test_profile.c: what a profile of the tiny model holds; its scores are those of the answers. No time is compared with another. */
#include "fit/profile.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MODEL "tests/golden/tiny-bert"

static const char rows[] = "{\"text\": \"a fine film\", \"label\": \"entailment\"}\n"
                           "{\"text\": \"the worst of the year\", \"label\": \"contradiction\"}\n"
                           "{\"text\": \"long, winding and in the end rather good\", \"label\": \"neutral\"}\n"
                           "{\"text\": \"it is a film\", \"text_pair\": \"it is\", \"label\": \"entailment\"}\n";

static rung_cascade *open_model(void)
{
    rung_cascade *cascade = NULL;
    rung_error error;
    if (rung_cascade_open(MODEL, NULL, &cascade, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return cascade;
}

static void read_rows(const rung_cascade *cascade, rung_dataset *data)
{
    char path[] = "/tmp/rung-profile-XXXXXX";
    rung_error error;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, rows, sizeof rows - 1), (ssize_t)(sizeof rows - 1));
    close(fd);
    rung_status status = rung_dataset_read(cascade, path, 0, data, &error);
    unlink(path);
    if (status != RUNG_OK) {
        fail_msg("%s", error.message);
    }
}

static void measure(const rung_cascade *cascade, size_t repeats, const rung_dataset *data, rung_profile *profile)
{
    rung_error error = {0};
    if (rung_profile_measure(cascade, repeats, data, NULL, profile, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
}

static void shape(void **state)
{
    (void)state;
    rung_cascade *cascade = open_model();
    rung_profile profile = {0};
    measure(cascade, 3, NULL, &profile);
    const rung_profile_level *level = &profile.levels[0];
    assert_int_equal(profile.num_levels, 1);
    static const size_t lengths[] = {8, 16, 32, 64, 128}; /* the model reads 128 tokens */
    assert_int_equal(level->num_lengths, 5);
    assert_memory_equal(level->lengths, lengths, sizeof lengths);
    assert_int_equal(level->weight_bytes, rung_model_memory_bytes(cascade->level[0].model));
    assert_true(level->scratch_bytes > 128 * 32 * sizeof(float));
    assert_true(level->load_ms > 0 && level->tokenize_ms > 0);
    size_t exits = 0;
    for (size_t layer = 0; layer < cascade->level[0].model->config.num_layers; layer++) {
        if (rung_model_has_exit(cascade->level[0].model, layer)) {
            assert_int_equal(level->exits[exits++].layer, layer + 1);
        }
    }
    assert_int_equal(level->num_exits, exits);
    assert_true(exits >= 1);
    for (size_t e = 0; e < level->num_exits; e++) {
        const rung_profile_exit *exit = &level->exits[e];
        assert_false(exit->has_scores);
        for (size_t l = 0; l < level->num_lengths; l++) {
            assert_true(exit->times[l].p10_ms > 0 && exit->times[l].p10_ms <= exit->times[l].median_ms);
            assert_true(exit->times[l].median_ms <= exit->times[l].p90_ms);
        }
        assert_true(exit->curve.a_ms >= 0 && exit->curve.b_ms_per_token >= 0 && exit->curve.c_ms_per_token2 >= 0);
        assert_true(exit->curve.mean_error <= exit->curve.max_error);
    }
    rung_profile_deinit(&profile);
    rung_cascade_close(cascade);
}

static void scores(void **state)
{
    (void)state;
    rung_cascade *cascade = open_model();
    rung_dataset data = {0};
    rung_profile profile = {0};
    rung_answers *answers = NULL;
    rung_error error;
    double temperature[RUNG_MAX_LAYERS];
    for (size_t l = 0; l < RUNG_MAX_LAYERS; l++) {
        temperature[l] = 2;
    }
    read_rows(cascade, &data);
    assert_int_equal(rung_cascade_classify(cascade, data.inputs, data.count, &answers, &error), RUNG_OK);
    double nll = 0;
    double right = 0;
    for (size_t i = 0; i < data.count; i++) {
        const rung_answer *answer = rung_answers_get(answers, i);
        nll -= log(answer->probabilities[data.labels[i]]) / (double)data.count;
        right += answer->label_index == data.labels[i] ? 1 : 0;
    }
    cascade->calibration.level[0].temperature = temperature;
    measure(cascade, 1, &data, &profile);
    const rung_profile_exit *last = &profile.levels[0].exits[profile.levels[0].num_exits - 1];
    assert_true(last->has_scores);
    assert_true(fabs(last->raw.accuracy - right / (double)data.count) < 1e-12);
    assert_true(fabs(last->raw.nll - nll) < 1e-6);
    assert_true(last->temperature == 2);
    /* A higher temperature changes no label, but every probability. */
    assert_true(last->calibrated.accuracy == last->raw.accuracy);
    assert_true(last->calibrated.nll != last->raw.nll && last->calibrated.ece <= 1);
    rung_answers_free(answers);
    rung_profile_deinit(&profile);
    rung_dataset_deinit(&data);
    rung_cascade_close(cascade);
}

/* A model that was moved away since the cascade was opened. */
static void a_failure_leaves_nothing(void **state)
{
    (void)state;
    rung_cascade *cascade = open_model();
    rung_profile profile = {.num_levels = 7};
    rung_error error = {0};
    cascade->level[0].model->path[0] = '#';
    assert_int_not_equal(rung_profile_measure(cascade, 1, NULL, NULL, &profile, &error), RUNG_OK);
    assert_non_null(strstr(error.message, "#ests/golden/tiny-bert"));
    assert_int_equal(profile.num_levels, 7);
    rung_cascade_close(cascade);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape),
        cmocka_unit_test(scores),
        cmocka_unit_test(a_failure_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
