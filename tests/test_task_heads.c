/* test_task_heads.c: heads of a calibration for the tiny classifier: which level answers with whose labels, in which order, and what is refused. */
#include "base/memory.h"
#include "model_fixture.h"
#include "run/task_heads.h"

#define TINY "tests/golden/tiny-bert"

enum { HIDDEN = 32, LAYERS = 3 };

static rung_cascade *open_tiny(void)
{
    rung_cascade *cascade = NULL;
    assert_ok(rung_cascade_open(TINY, &(rung_open_options){.threads = 1}, &cascade, error));
    assert_int_equal(cascade->level[0].model->config.hidden_size, HIDDEN);
    assert_int_equal(cascade->level[0].model->config.num_layers, LAYERS);
    return cascade;
}

/* The identity of the cascade with other labels; class c of a head has weights and bias 10 * layer + c. */
static rung_calibration_file make_file(const rung_cascade *cascade, const char *const labels[3], unsigned layers)
{
    rung_calibration_file file = {0};
    const rung_model *model = cascade->level[0].model;
    assert_ok(rung_calibration_file_identity(1, &model, &file, error));
    for (size_t c = 0; c < 3; c++) {
        free(file.labels[c]);
        file.labels[c] = rung_copy_text(labels[c], strlen(labels[c]), "label", NULL);
        assert_non_null(file.labels[c]);
    }
    for (size_t e = 0; e < file.levels[0].num_exits; e++) {
        rung_calibration_exit *exit = &file.levels[0].exits[e];
        if ((layers >> exit->layer & 1) == 0) {
            continue;
        }
        exit->head_weight = malloc(3 * HIDDEN * sizeof(float));
        exit->head_bias = malloc(3 * sizeof(float));
        assert_true(exit->head_weight != NULL && exit->head_bias != NULL);
        for (size_t i = 0; i < 3 * HIDDEN; i++) {
            exit->head_weight[i] = (float)(10 * exit->layer + i / HIDDEN);
        }
        for (size_t c = 0; c < 3; c++) {
            exit->head_bias[c] = (float)(10 * exit->layer + c);
        }
    }
    return file;
}

static void a_last_head_brings_labels(void **state)
{
    (void)state;
    static const char *const labels[3] = {"red", "green", "blue"};
    rung_cascade *cascade = open_tiny();
    rung_calibration_file file = make_file(cascade, labels, 1u << 2 | 1u << 3);
    const rung_model *model = cascade->level[0].model;
    assert_ok(rung_attach_calibration_heads(cascade, &file, error));
    assert_true(cascade->level[0].has_task_labels);
    assert_string_equal(model->labels[2], "blue");
    assert_true(!rung_model_has_exit(model, 0) && rung_model_has_exit(model, 1));
    assert_true(model->exits[2].bias[1] == 31 && model->exits[1].weight[2 * HIDDEN] == 22);
    assert_ok(rung_require_classifiers(cascade, error));
    rung_calibration_file_deinit(&file);
    rung_cascade_close(cascade);
}

static void other_heads_follow_the_models_order(void **state)
{
    (void)state;
    static const char *const labels[3] = {"entailment", "contradiction", "neutral"};
    rung_cascade *cascade = open_tiny();
    rung_calibration_file file = make_file(cascade, labels, 1u << 1);
    const rung_model *model = cascade->level[0].model;
    const float *last = model->exits[2].weight;
    assert_ok(rung_attach_calibration_heads(cascade, &file, error));
    assert_false(cascade->level[0].has_task_labels);
    assert_string_equal(model->labels[0], "contradiction");
    assert_ptr_equal(model->exits[2].weight, last);
    static const float wanted[3] = {11, 12, 10}; /* contradiction, neutral, entailment */
    for (size_t c = 0; c < 3; c++) {
        assert_true(model->exits[0].bias[c] == wanted[c] && model->exits[0].weight[c * HIDDEN + 7] == wanted[c]);
    }
    rung_calibration_file_deinit(&file);
    rung_cascade_close(cascade);
}

static void heads_for_other_labels_are_refused(void **state)
{
    (void)state;
    static const char *const labels[3] = {"entailment", "contradiction", "other"};
    rung_cascade *cascade = open_tiny();
    rung_calibration_file file = make_file(cascade, labels, 1u << 1);
    assert_fails(rung_attach_calibration_heads(cascade, &file, error), RUNG_MISMATCH,
                 "has heads for tests/golden/tiny-bert, but not for its label \"neutral\"");
    rung_calibration_file_deinit(&file);
    rung_cascade_close(cascade);
}

static void empty_heads(void **state)
{
    (void)state;
    static const char *const labels[2] = {"no", "yes"};
    rung_cascade *cascade = open_tiny();
    const rung_model *model = cascade->level[0].model;
    assert_ok(rung_attach_empty_heads(cascade, &(rung_new_task){.labels = labels, .num_labels = 2}, error));
    assert_false(cascade->level[0].has_task_labels); /* a classifier keeps its own */
    assert_string_equal(model->labels[1], "neutral");
    rung_new_task task = {.all_levels = true, .labels = labels, .num_labels = 2};
    assert_ok(rung_attach_empty_heads(cascade, &task, error));
    assert_true(cascade->level[0].has_task_labels);
    assert_string_equal(model->labels[1], "yes");
    for (size_t l = 0; l < LAYERS; l++) {
        assert_true(rung_model_has_exit(model, l) && model->exits[l].weight[HIDDEN] == 0);
    }
    rung_cascade_close(cascade);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_last_head_brings_labels),
        cmocka_unit_test(other_heads_follow_the_models_order),
        cmocka_unit_test(heads_for_other_labels_are_refused),
        cmocka_unit_test(empty_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
