/* test_fit_cascade.c: `rung fit` on three small levels and made-up texts: what it writes is what the answers say, whoever computes it; and what it
 * refuses. */
#include "base/prng.h"
#include "cascade/confidence.h"
#include "cascade/deferral.h"
#include "fit/fit_cascade.h"
#include "skip.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROWS 160
#define CLASSES 3

static char texts[ROWS][256];
static rung_input inputs[ROWS];
static char path[] = "/tmp/rung_test_fit_cascade.XXXXXX.yaml";

/* Three levels of the same model: they differ by what is pruned and where they stop. */
static int write_cascade(void **state)
{
    (void)state;
    static const char *const words[] = {"it",    "was",   "good", "the",  "film", "great", "dull",  "not",
                                        "story", "funny", "bad",  "very", "love", "plot",  "actor", "walking"};
    char yaml[1024];
    char *here = realpath(".", NULL);
    int length = snprintf(yaml, sizeof yaml,
                          "levels:\n  - {name: one, model: %s/tests/golden/tiny-bert}\n"
                          "  - {name: two, model: %s/tests/golden/tiny-bert, link: wifi}\n"
                          "  - {name: three, model: %s/tests/golden/tiny-bert, link: wifi}\n"
                          "policy: {prune: {alpha: 1}, exit: {rule: paper, tau: 0.15}}\n",
                          here, here, here);
    free(here);
    int fd = mkstemps(path, 5);
    if (fd < 0 || write(fd, yaml, (size_t)length) != length) {
        return 1;
    }
    rung_prng prng = {.state = 3};
    for (size_t i = 0; i < ROWS; i++) {
        size_t count = 2 + rung_prng_below(&prng, 16);
        size_t bytes = 0;
        for (size_t w = 0; w < count; w++) {
            const char *word = words[rung_prng_below(&prng, sizeof words / sizeof words[0])];
            bytes += (size_t)snprintf(texts[i] + bytes, sizeof texts[i] - bytes, "%s%s", w > 0 ? " " : "", word);
        }
        inputs[i] = (rung_input){.text = texts[i], .text_bytes = bytes};
    }
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

static rung_answers *classify(const rung_cascade *cascade, const rung_policy *policy)
{
    rung_answers *answers = NULL;
    rung_error error;
    if (rung_cascade_classify_policy(cascade, policy, inputs, ROWS, NULL, &answers, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return answers;
}

/* What the top level says of the full texts. */
static void ask_top(const rung_cascade *cascade, uint32_t labels[ROWS])
{
    rung_policy top;
    rung_error error;
    assert_int_equal(rung_cascade_config_policy(&cascade->config, "single", &top, &error), RUNG_OK);
    rung_answers *answers = classify(cascade, &top);
    for (size_t i = 0; i < ROWS; i++) {
        labels[i] = rung_answers_get(answers, i)->label_index;
    }
    rung_answers_free(answers);
}

/* Labels that the top level finds for four of five texts. */
static rung_dataset make_data(const rung_cascade *cascade, uint32_t labels[ROWS])
{
    ask_top(cascade, labels);
    for (size_t i = 0; i < ROWS; i += 5) {
        labels[i] = (uint32_t)(i / 5 % CLASSES);
    }
    rung_dataset data = {.count = ROWS, .inputs = inputs, .labels = labels};
    memset(data.sha256, '0', sizeof data.sha256 - 1);
    return data;
}

static const rung_fit_options OPTIONS = {.data_name = "made up", .target_agreement = 0.9};

static void fit(const rung_cascade *cascade, const rung_dataset *data, const rung_fit_options *options,
                rung_calibration_file *file)
{
    rung_error error;
    if (rung_fit_cascade(cascade, data, options, file, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
}

/* The cascade answers by what was fitted for it. */
static void use(rung_cascade *cascade, rung_calibration_file *file)
{
    rung_error error;
    assert_int_equal(rung_calibration_file_view(file, &cascade->calibration, &error), RUNG_OK);
    for (size_t l = 0; l + 1 < file->num_levels; l++) {
        assert_true(file->levels[l].has_threshold && file->levels[l].has_deferral_threshold);
        cascade->policy.offload.threshold[l] = cascade->policy.defer == RUNG_DEFER_LEARNED
                                                   ? file->levels[l].deferral_threshold
                                                   : file->levels[l].threshold;
    }
    if (rung_cascade_check_policy(cascade, &cascade->policy, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
}

static void same_input_gives_the_same_bytes(void **state)
{
    (void)state;
    rung_buffer printed[2] = {{0}, {0}};
    for (size_t i = 0; i < 2; i++) {
        rung_cascade *cascade = open_with(1 + 2 * i);
        uint32_t labels[ROWS];
        rung_dataset data = make_data(cascade, labels);
        rung_calibration_file file = {0};
        rung_error error;
        fit(cascade, &data, &OPTIONS, &file);
        assert_int_equal(file.num_pools, 4); /* 1+2, 1+3, 2+3, 1+2+3 */
        assert_int_equal(rung_calibration_file_print(&file, &printed[i], &error), RUNG_OK);
        rung_calibration_file_deinit(&file);
        rung_cascade_close(cascade);
    }
    assert_string_equal(printed[0].data, printed[1].data);
    rung_buffer_deinit(&printed[0]);
    rung_buffer_deinit(&printed[1]);
}

/* Shares and agreements again, from the answers under the fitted policy. */
static void the_answers_say_what_the_file_says(void **state)
{
    (void)state;
    rung_cascade *cascade = open_with(2);
    uint32_t labels[ROWS];
    uint32_t top_labels[ROWS];
    rung_dataset data = make_data(cascade, labels);
    rung_calibration_file file = {0};
    ask_top(cascade, top_labels);
    fit(cascade, &data, &OPTIONS, &file);
    use(cascade, &file);
    rung_answers *answers = classify(cascade, &cascade->policy);
    size_t answered[3] = {0};
    size_t agreeing[3] = {0};
    size_t right = 0;
    for (size_t i = 0; i < ROWS; i++) {
        const rung_answer *answer = rung_answers_get(answers, i);
        answered[answer->level - 1]++;
        agreeing[answer->level - 1] += answer->label_index == top_labels[i];
        right += top_labels[i] == labels[i];
    }
    for (size_t l = 0; l < 3; l++) {
        double of = answered[l] > 0 ? (double)answered[l] : 1;
        double agreement = answered[l] > 0 ? (double)agreeing[l] / of : 1;
        assert_true(answered[l] > 0); /* the test says something about every level */
        assert_true(fabs(file.levels[l].answered - (double)answered[l] / ROWS) < 1e-12);
        assert_true(fabs(file.levels[l].agreement - agreement) < 1e-12);
    }
    /* Level 1 holds the target on what it answers; level 2 on what reaches it, where what it passes on counts as agreeing. */
    assert_true((double)agreeing[0] >= 0.9 * (double)answered[0]);
    assert_true((double)(agreeing[1] + answered[2]) >= 0.9 * (double)(answered[1] + answered[2]));
    assert_true(fabs(file.levels[2].accuracy - (double)right / ROWS) < 1e-12);
    for (uint32_t c = 0; c < CLASSES; c++) {
        size_t seen = 0;
        size_t hit = 0;
        for (size_t i = 0; i < ROWS; i++) {
            seen += labels[i] == c;
            hit += labels[i] == c && top_labels[i] == c;
        }
        assert_true(file.levels[2].class_accuracy[c] == (seen > 0 ? (double)hit / (double)seen : 0));
        assert_ptr_equal(cascade->calibration.level[2].class_accuracy, file.levels[2].class_accuracy);
    }
    for (size_t l = 0; l < 3; l++) {
        for (size_t e = 0; e < file.levels[l].num_exits; e++) {
            assert_true(file.levels[l].exits[e].nll_after <= file.levels[l].exits[e].nll_before);
            assert_true((file.levels[l].exits[e].deferral_weight != NULL) == (l < 2)); /* the top defers to nobody */
        }
    }
    for (size_t i = 0; i < file.num_pools; i++) {
        assert_true(file.pools[i].rows >= RUNG_FIT_MIN_ROWS);
        assert_true(file.pools[i].fitted_nll <= file.pools[i].accuracy_nll + 0.02); /* the prior costs little */
    }
    rung_answers_free(answers);
    rung_calibration_file_deinit(&file);
    rung_cascade_close(cascade);
}

static void learned_deferral_decides_when_asked_for(void **state)
{
    (void)state;
    rung_cascade *cascade = open_with(2);
    uint32_t labels[ROWS];
    rung_dataset data = make_data(cascade, labels);
    rung_calibration_file file = {0};
    cascade->policy.defer = RUNG_DEFER_LEARNED;
    fit(cascade, &data, &OPTIONS, &file);
    assert_int_equal(file.policy.defer, RUNG_DEFER_LEARNED);
    use(cascade, &file);
    /* A constant q at level 1 passes everything on at a threshold above 1 - q, and nothing below. */
    rung_calibration_level *first = &file.levels[0];
    for (size_t e = 0; e < first->num_exits; e++) {
        memset(first->exits[e].deferral_weight, 0, (first->hidden_size + RUNG_DEFERRAL_SCORES) * sizeof(float));
        first->exits[e].deferral_bias = 0;
    }
    use(cascade, &file);
    for (int above = 0; above < 2; above++) {
        cascade->policy.offload.threshold[0] = above ? 0.51 : 0.49;
        rung_answers *answers = classify(cascade, &cascade->policy);
        for (size_t i = 0; i < ROWS; i++) {
            assert_true((rung_answers_get(answers, i)->level > 1) == (above == 1));
        }
        rung_answers_free(answers);
    }
    rung_calibration_file_deinit(&file);
    rung_cascade_close(cascade);
}

static void without_labels_the_top_level_is_the_truth(void **state)
{
    (void)state;
    rung_cascade *cascade = open_with(2);
    rung_dataset data = {.count = ROWS, .inputs = inputs};
    memset(data.sha256, '0', sizeof data.sha256 - 1);
    rung_fit_options options = OPTIONS;
    options.labels_from = RUNG_LABELS_FROM_TOP;
    rung_calibration_file file = {0};
    fit(cascade, &data, &options, &file);
    assert_int_equal(file.labels_from, RUNG_LABELS_FROM_TOP);
    const rung_calibration_level *top = &file.levels[2];
    for (uint32_t c = 0; c < CLASSES; c++) {
        assert_true(top->class_accuracy[c] == 1 || top->class_accuracy[c] == 0); /* 0: a label that it never says */
    }
    assert_true(top->accuracy == 1 && top->exits[top->num_exits - 1].temperature == 1);
    /* The same model at full text: its own soft labels fit best as they are. */
    const rung_calibration_level *first = &file.levels[0];
    assert_true(fabs(first->exits[first->num_exits - 1].temperature - 1) < 1e-3);
    use(cascade, &file);
    rung_calibration_file_deinit(&file);
    rung_cascade_close(cascade);
}

/* A policy that adds up raw softmax learns no pools, and still has thresholds. */
static void raw_softmax_has_no_pools(void **state)
{
    (void)state;
    rung_cascade *cascade = open_with(2);
    uint32_t labels[ROWS];
    rung_dataset data = make_data(cascade, labels);
    rung_calibration_file file = {0};
    cascade->policy.raw_ensemble = true;
    cascade->policy.weights = RUNG_WEIGHTS_ACCURACY;
    cascade->policy.pooled_decision = false;
    fit(cascade, &data, &OPTIONS, &file);
    assert_int_equal(file.num_pools, 0);
    assert_true(file.levels[0].has_threshold && !file.levels[0].has_deferral_threshold);
    rung_calibration_file_deinit(&file);
    rung_cascade_close(cascade);
}

static void expect_refusal(const rung_cascade *cascade, const char *lines, size_t copies, const char *part)
{
    char file_path[] = "/tmp/rung_test_fit.XXXXXX";
    int fd = mkstemp(file_path);
    assert_true(fd >= 0);
    FILE *out = fdopen(fd, "w");
    assert_non_null(out);
    for (size_t i = 0; i < copies; i++) {
        fputs(lines, out);
    }
    fclose(out);
    rung_dataset data = {0};
    rung_calibration_file file = {0};
    rung_error error;
    rung_status status = rung_dataset_read(cascade, file_path, 0, &data, &error);
    if (status == RUNG_OK) {
        status = rung_fit_cascade(cascade, &data, &OPTIONS, &file, &error);
    }
    assert_int_not_equal(status, RUNG_OK);
    if (strstr(error.message, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.message, part);
    }
    assert_int_equal(file.num_levels, 0);
    rung_dataset_deinit(&data);
    unlink(file_path);
}

static void data_that_cannot_be_fitted_is_refused(void **state)
{
    (void)state;
    rung_cascade *cascade = open_with(1);
    expect_refusal(cascade, "", 1, "has no rows");
    expect_refusal(cascade, "{\"id\":\"1\",\"text\":\"a\",\"label\":\"neutral\"}\n{\"id\":\"2\",\"text\":\"b\"}\n", 1,
                   ":2: field label");
    expect_refusal(cascade, "{\"id\":\"1\",\"text\":\"a\",\"label\":\"great\"}\n", 1, "\"great\"");
    expect_refusal(cascade, "{\"id\":\"1\",\"text\":\"a\",\"label\":7}\n", 1, "label 7 is outside 0..2");
    expect_refusal(cascade, "{\"id\":\"1\",\"text\":\"a\",\"label\":\"neutral\"}\n", 2,
                   "id \"1\" occurs more than once");
    expect_refusal(cascade, "{\"text\":\"a\",\"label\":\"neutral\"}\n", 3, "made up: 3 rows; a fit needs at least 20");
    expect_refusal(cascade, "{\"text\":\"a\",\"label\":\"neutral\"}\n", 25,
                   "made up: all 25 rows have label \"neutral\"; a fit needs at least two labels");
    expect_refusal(cascade, "{\"text\":\"a\",\"label\":\"neutral\"}\nnothing\n", 1, ":2:");
    rung_cascade_close(cascade);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_input_gives_the_same_bytes),
        cmocka_unit_test(the_answers_say_what_the_file_says),
        cmocka_unit_test(learned_deferral_decides_when_asked_for),
        cmocka_unit_test(without_labels_the_top_level_is_the_truth),
        cmocka_unit_test(raw_softmax_has_no_pools),
        cmocka_unit_test(data_that_cannot_be_fitted_is_refused),
    };
    return cmocka_run_group_tests(tests, write_cascade, remove_cascade);
}
