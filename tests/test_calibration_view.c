/* test_calibration_view.c: the calibration that says nothing, and what a calibration must agree on with models. */
#include "config/calibration_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char *model_labels[] = {"neg", "pos"};

/* A head after each layer: only that there is one matters here. */
static const float weight[1];
static rung_exit_head heads[] = {{.weight = weight}, {.weight = weight}};

static rung_model *open_real(void)
{
    rung_model *real = NULL;
    rung_error error;
    assert_int_equal(rung_model_open("tests/golden/tiny-bert", RUNG_PRECISION_FP32, &real, &error), RUNG_OK);
    return real;
}

/* `real` lends its tokenizer. */
static rung_model make_model(char *path, const rung_model *real)
{
    rung_model model = {
        .precision = RUNG_PRECISION_INT8, .path = path, .hash = SHA, .labels = model_labels, .exits = heads};
    model.tokenizer = real->tokenizer;
    model.config.max_tokens = 16;
    model.config.type_vocab_size = 2;
    model.config.hidden_size = 8;
    model.config.num_layers = 2;
    model.config.num_labels = 2;
    return model;
}

static void identity(void **state)
{
    (void)state;
    rung_model *real = open_real();
    rung_model a = make_model("a.safetensors", real);
    rung_model b = make_model("b.safetensors", real);
    const rung_model *models[] = {&a, &b};
    rung_calibration_file file = {0};
    rung_calibration calibration;
    rung_error error;
    assert_int_equal(rung_calibration_file_identity(2, models, &file, &error), RUNG_OK);
    assert_int_equal(rung_calibration_file_view(&file, &calibration, &error), RUNG_OK);
    assert_int_equal(calibration.num_levels, 2);
    assert_int_equal(calibration.num_classes, 2);
    assert_int_equal(file.levels[0].num_exits, 2);
    assert_string_equal(file.levels[0].tokenizer_sha256, rung_tokenizer_hash(real->tokenizer));
    assert_int_equal(file.levels[1].hidden_size, 8);
    assert_null(calibration.pools);
    for (int l = 0; l < 2; l++) {
        assert_int_equal(calibration.level[l].num_exits, 2);
        assert_true(calibration.level[l].temperature[0] == 1 && calibration.level[l].temperature[1] == 1);
        assert_true(calibration.level[l].accuracy == 1);
    }
    assert_int_equal(
        rung_policy_check(
            &(rung_policy){.exit = {.patience = 1, .first_layer = 1}, .first_compute_level = 1, .offload.k = 1},
            &calibration, &error),
        RUNG_OK);
    rung_calibration_file_deinit(&file);
    rung_model_close(real);
}

static void mismatches(void **state)
{
    (void)state;
    rung_model *real = open_real();
    rung_model a = make_model("a.safetensors", real);
    rung_model b = make_model("b.safetensors", real);
    const rung_model *models[] = {&a, &b};
    const char *const names[] = {"neg", "pos"};
    const char *const others[] = {"neg", "positive"};
    rung_calibration_file file = {0};
    rung_error error;
    assert_int_equal(rung_calibration_file_identity(2, models, &file, &error), RUNG_OK);
    assert_int_equal(rung_calibration_file_check(&file, 2, models, names, 2, &error), RUNG_OK);
    assert_int_equal(rung_calibration_file_check(&file, 1, models, names, 2, &error), RUNG_MISMATCH);
    assert_string_equal(error.message, "calibration: is for 2 levels, but the cascade has 1; run rung fit for it");
    assert_int_equal(rung_calibration_file_check(&file, 2, models, others, 2, &error), RUNG_MISMATCH);
    assert_string_equal(
        error.message,
        "calibration: labels[1] is 'pos', but the models' is 'positive'; run rung fit again, or rename with labels");
    assert_int_equal(rung_calibration_file_check(&file, 2, models, names, 1, &error), RUNG_MISMATCH);
    assert_string_equal(error.message,
                        "calibration: has 2 labels, but the models have 1; run rung fit for these models");
    b.precision = RUNG_PRECISION_FP32;
    assert_int_equal(rung_calibration_file_check(&file, 2, models, names, 2, &error), RUNG_MISMATCH);
    assert_string_equal(
        error.message,
        "calibration: was fitted in int8, but b.safetensors runs in fp32; run rung fit in that precision, or use "
        "--precision int8");
    b = make_model("b.safetensors", real);
    b.hash[0] = 'f';
    assert_int_equal(rung_calibration_file_check(&file, 2, models, names, 2, &error), RUNG_MISMATCH);
    assert_string_equal(
        error.message,
        "calibration: levels[1].model_sha256 is 0123456789ab..., but b.safetensors has f123456789ab...; run rung "
        "fit for these models");
    b = make_model("b.safetensors", real);
    b.config.num_layers = 3;
    assert_int_equal(rung_calibration_file_check(&file, 2, models, names, 2, &error), RUNG_MISMATCH);
    assert_string_equal(error.message,
                        "calibration: levels[1].layers is 2, but b.safetensors has 3; run rung fit for these models");
    b = make_model("b.safetensors", real);
    b.config.task = RUNG_TASK_MULTI_LABEL;
    assert_int_equal(rung_calibration_file_check(&file, 2, models, names, 2, &error), RUNG_MISMATCH);
    assert_string_equal(
        error.message,
        "calibration: task is single_label, but b.safetensors is multi_label; run rung fit for these models");
    b = make_model("b.safetensors", real);
    b.config.max_tokens = 17;
    assert_int_equal(rung_calibration_file_check(&file, 2, models, names, 2, &error), RUNG_MISMATCH);
    assert_string_equal(
        error.message,
        "calibration: levels[1].max_tokens is 16, but b.safetensors has 17; run rung fit for these models");
    b = make_model("b.safetensors", real);
    file.levels[1].tokenizer_sha256[0] = 'x';
    assert_int_equal(rung_calibration_file_check(&file, 2, models, names, 2, &error), RUNG_MISMATCH);
    assert_non_null(strstr(error.message, "calibration: levels[1].tokenizer_sha256 is x"));
    rung_calibration_file_deinit(&file);
    rung_model_close(real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity),
        cmocka_unit_test(mismatches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
