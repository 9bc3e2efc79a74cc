/* test_fit_cascade.c: `rung fit` on a few reviews: what it writes is what the answers say, whoever computes it; and what it refuses. */
#include "base/file.h"
#include "cascade/confidence.h"
#include "fit/fit_cascade.h"
#include "skip.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROWS 32

/* The default cascade without its calibration. */
static rung_cascade *open_uncalibrated(size_t threads)
{
    rung_cascade_config config = {0};
    rung_cascade *cascade = NULL;
    rung_error error;
    rung_status status = rung_cascade_config_load("models/cascade.yaml", NULL, NULL, &config, &error);
    if (status == RUNG_OK) {
        free(config.calibration_path);
        config.calibration_path = NULL;
        status = rung_cascade_open_config(&config, &(rung_open_options){.threads = threads}, &cascade, &error);
    }
    if (status != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return cascade;
}

static void read_rows(const rung_cascade *cascade, rung_dataset *data)
{
    rung_error error;
    assert_int_equal(rung_dataset_read(cascade, "examples/reviews.jsonl", 0, data, &error), RUNG_OK);
    for (size_t i = ROWS; i < data->count; i++) {
        rung_line_deinit(&data->lines[i]);
    }
    data->count = ROWS;
}

static void print_fit(const rung_cascade *cascade, const rung_dataset *data, rung_calibration_file *file,
                      rung_buffer *text)
{
    rung_error error;
    if (rung_fit_cascade(cascade, data, "reviews", 0.9, NULL, file, &error) != RUNG_OK ||
        rung_calibration_file_print(file, text, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
}

static void same_input_gives_the_same_bytes(void **state)
{
    (void)state;
    rung_buffer texts[2] = {{0}, {0}};
    for (size_t i = 0; i < 2; i++) {
        rung_cascade *cascade = open_uncalibrated(i + 1);
        rung_dataset data;
        rung_calibration_file file = {0};
        read_rows(cascade, &data);
        print_fit(cascade, &data, &file, &texts[i]);
        rung_calibration_file_deinit(&file);
        rung_dataset_deinit(&data);
        rung_cascade_close(cascade);
    }
    assert_int_equal(texts[0].length, texts[1].length);
    assert_memory_equal(texts[0].data, texts[1].data, texts[0].length);
    rung_buffer_deinit(&texts[0]);
    rung_buffer_deinit(&texts[1]);
}

/* Thresholds and shares again, from the answers under the fitted policy. */
static void what_is_answered_agrees_as_often_as_asked(void **state)
{
    (void)state;
    rung_cascade *cascade = open_uncalibrated(2);
    rung_dataset data;
    rung_calibration_file file = {0};
    rung_buffer text = {0};
    rung_error error;
    read_rows(cascade, &data);
    print_fit(cascade, &data, &file, &text);
    assert_int_equal(file.num_levels, 3);
    assert_int_equal(file.data_rows, ROWS);
    assert_int_equal(rung_calibration_file_view(&file, &cascade->calibration, &error), RUNG_OK);
    rung_policy top;
    rung_policy policy = cascade->policy;
    for (size_t l = 0; l < 2; l++) {
        assert_true(file.levels[l].has_threshold);
        policy.offload.threshold[l] = file.levels[l].threshold;
    }
    assert_int_equal(rung_cascade_config_policy(&cascade->config, "single", &top, &error), RUNG_OK);
    rung_answers *ours = NULL;
    rung_answers *reference = NULL;
    assert_int_equal(rung_cascade_classify_policy(cascade, &policy, data.inputs, ROWS, NULL, &ours, &error), RUNG_OK);
    assert_int_equal(rung_cascade_classify_policy(cascade, &top, data.inputs, ROWS, NULL, &reference, &error), RUNG_OK);
    size_t answered[3] = {0};
    size_t agreeing[3] = {0};
    size_t right = 0;
    for (size_t i = 0; i < ROWS; i++) {
        const rung_answer *answer = rung_answers_get(ours, i);
        uint32_t l = answer->level - 1;
        answered[l]++;
        agreeing[l] += rung_argmax(answer->levels[l].probabilities, 2) == rung_answers_get(reference, i)->label_index;
        right += rung_answers_get(reference, i)->label_index == data.labels[i];
    }
    for (size_t l = 0; l < 3; l++) {
        assert_true(fabs(file.levels[l].answered - (double)answered[l] / ROWS) < 1e-12);
    }
    /* Level 1 holds the target on what it answers; level 2 on what reaches it, with what it passes on; so does the whole. */
    assert_true((double)agreeing[0] >= 0.9 * (double)answered[0]);
    assert_true((double)(agreeing[1] + answered[2]) >= 0.9 * (double)(answered[1] + answered[2]));
    assert_true(fabs(file.levels[2].accuracy - (double)right / ROWS) < 1e-12);
    for (size_t l = 0; l < 3; l++) {
        for (size_t e = 0; e < file.levels[l].num_exits; e++) {
            assert_true(file.levels[l].exits[e].nll_after <= file.levels[l].exits[e].nll_before);
        }
    }
    rung_answers_free(ours);
    rung_answers_free(reference);
    rung_buffer_deinit(&text);
    rung_calibration_file_deinit(&file);
    rung_dataset_deinit(&data);
    rung_cascade_close(cascade);
}

static void expect_refusal(const rung_cascade *cascade, const char *lines, const char *part)
{
    char path[] = "/tmp/rung_test_fit.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, lines, strlen(lines)), strlen(lines));
    close(fd);
    rung_dataset data = {0};
    rung_calibration_file file = {0};
    rung_error error;
    rung_status status = rung_dataset_read(cascade, path, 0, &data, &error);
    if (status == RUNG_OK) {
        status = rung_fit_cascade(cascade, &data, "lines", 0.9, NULL, &file, &error);
    }
    assert_int_not_equal(status, RUNG_OK);
    if (strstr(error.message, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.message, part);
    }
    rung_dataset_deinit(&data);
    unlink(path);
}

static void data_that_cannot_be_fitted_is_refused(void **state)
{
    (void)state;
    rung_cascade *cascade = open_uncalibrated(1);
    expect_refusal(cascade, "", "has no rows");
    expect_refusal(cascade, "{\"id\":\"1\",\"text\":\"a\",\"label\":\"pos\"}\n{\"id\":\"2\",\"text\":\"b\"}\n",
                   ":2: field label");
    expect_refusal(cascade, "{\"id\":\"1\",\"text\":\"a\",\"label\":\"great\"}\n", "\"great\"");
    expect_refusal(cascade, "{\"id\":\"1\",\"text\":\"a\",\"label\":7}\n", "label 7 is outside 0..1");
    expect_refusal(cascade,
                   "{\"id\":\"1\",\"text\":\"a\",\"label\":\"pos\"}\n{\"id\":\"1\",\"text\":\"b\",\"label\":\"neg\"}\n",
                   "more than once");
    expect_refusal(cascade,
                   "{\"id\":\"1\",\"text\":\"a\",\"label\":\"pos\"}\n{\"id\":\"2\",\"text\":\"b\",\"label\":\"pos\"}\n",
                   "all 2 inputs have label 1");
    expect_refusal(cascade, "{\"id\":\"1\",\"text\":\"a\",\"label\":\"pos\"}\nnothing\n", ":2:");
    rung_cascade_close(cascade);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_input_gives_the_same_bytes),
        cmocka_unit_test(what_is_answered_agrees_as_often_as_asked),
        cmocka_unit_test(data_that_cannot_be_fitted_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
