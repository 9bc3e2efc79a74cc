/* test_calibration_write.c: what is written is the same bytes each time and reads back; what a calibration must agree on with models. */
#include "base/file.h"
#include "config/calibration_file.h"

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

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* Two levels with numbers that have no short decimal form. Everything lent: not for deinit. */
static rung_calibration_exit exits[] = {{1, 1.0 / 3, 0.1 + 0.2, 0.5, 0.25}, {2, 20, 1, 0, 1e-17}};
static char *labels[] = {"\"neg\"\\", "p\xc3\xb6s"};

static rung_calibration_file make(void)
{
    rung_calibration_file file = {.precision = RUNG_PRECISION_FP32,
                                  .num_labels = 2,
                                  .labels = labels,
                                  .data_name = "a\tb.jsonl",
                                  .data_sha256 = SHA,
                                  .data_rows = 9,
                                  .target_agreement = 0.98,
                                  .seed = 9007199254740992,
                                  .policy_name = "tangobert",
                                  .exit = {RUNG_EXIT_OFF, 0, 1, 0, 1},
                                  .num_levels = 2};
    for (int l = 0; l < 2; l++) {
        file.levels[l] = (rung_calibration_level){.name = l == 0 ? "end" : "cloud",
                                                  .model_sha256 = SHA,
                                                  .num_layers = 2,
                                                  .num_exits = 2,
                                                  .exits = exits,
                                                  .accuracy = 0.9,
                                                  .has_threshold = l == 0,
                                                  .threshold = 0.7,
                                                  .agreement = 1,
                                                  .answered = 0.5};
    }
    return file;
}

static void round_trip(void **state)
{
    (void)state;
    rung_calibration_file file = make();
    rung_calibration_file back = {0};
    rung_buffer first = {0};
    rung_buffer second = {0};
    rung_error error;
    assert_int_equal(rung_calibration_file_print(&file, &first, &error), RUNG_OK);
    assert_int_equal(rung_calibration_file_parse(first.data, first.length, "p", &back, &error), RUNG_OK);
    assert_string_equal(back.labels[0], labels[0]);
    assert_string_equal(back.labels[1], labels[1]);
    assert_string_equal(back.data_name, "a\tb.jsonl");
    assert_true(back.levels[0].exits[0].temperature == 1.0 / 3);
    assert_true(back.levels[0].exits[0].accuracy == 0.1 + 0.2);
    assert_true(back.levels[1].exits[1].nll_after == 1e-17);
    assert_int_equal(back.seed, 9007199254740992);
    assert_true(back.levels[0].has_threshold && !back.levels[1].has_threshold);
    assert_int_equal(rung_calibration_file_print(&back, &second, &error), RUNG_OK);
    assert_string_equal(first.data, second.data);
    rung_buffer_deinit(&first);
    rung_buffer_deinit(&second);
    rung_calibration_file_deinit(&back);
}

static void saved_files(void **state)
{
    (void)state;
    char path[] = "/tmp/rung-calibration-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    rung_calibration_file file = make();
    rung_calibration_file back = {0};
    rung_error error;
    assert_int_equal(rung_calibration_file_save(&file, path, &error), RUNG_OK);
    assert_int_equal(rung_calibration_file_load(path, &back, &error), RUNG_OK);
    assert_string_equal(back.path, path);
    /* What cannot be read back is not written, and the old file stays. */
    file.levels[1].accuracy = NAN;
    assert_int_equal(rung_calibration_file_save(&file, path, &error), RUNG_INVALID);
    assert_int_equal(error.code, RUNG_INVALID);
    assert_string_equal(error.message, "calibration: field 'levels[1].accuracy' is null; it must be a number");
    file = make();
    file.levels[0].threshold = 1.5;
    assert_int_equal(rung_calibration_file_save(&file, path, &error), RUNG_INVALID);
    assert_string_equal(error.message, "calibration: field 'levels[0].threshold' is 1.5; it must be from 0 to 1");
    assert_int_equal(rung_calibration_file_load(path, &back, &error), RUNG_OK);
    file = make();
    assert_int_equal(rung_calibration_file_save(&file, "tests/no-such/c.json", &error), RUNG_NOT_FOUND);
    rung_calibration_file_deinit(&back);
    unlink(path);
}

static char *model_labels[] = {"neg", "pos"};

/* A head after each layer: only that there is one matters here. */
static const float weight[1];
static rung_exit_head heads[] = {{.weight = weight}, {.weight = weight}};

static rung_model make_model(char *path)
{
    rung_model model = {
        .precision = RUNG_PRECISION_INT8, .path = path, .hash = SHA, .labels = model_labels, .exits = heads};
    model.config.num_layers = 2;
    model.config.num_labels = 2;
    return model;
}

static void identity(void **state)
{
    (void)state;
    rung_model a = make_model("a.safetensors");
    rung_model b = make_model("b.safetensors");
    const rung_model *models[] = {&a, &b};
    rung_calibration_file file = {0};
    rung_calibration calibration;
    rung_error error;
    assert_int_equal(rung_calibration_file_identity(2, models, &file, &error), RUNG_OK);
    assert_int_equal(rung_calibration_file_view(&file, &calibration, &error), RUNG_OK);
    assert_int_equal(calibration.num_levels, 2);
    assert_int_equal(calibration.num_classes, 2);
    assert_int_equal(file.levels[0].num_exits, 2);
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
}

static void mismatches(void **state)
{
    (void)state;
    rung_model a = make_model("a.safetensors");
    rung_model b = make_model("b.safetensors");
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
    b = make_model("b.safetensors");
    b.hash[0] = 'f';
    assert_int_equal(rung_calibration_file_check(&file, 2, models, names, 2, &error), RUNG_MISMATCH);
    assert_string_equal(
        error.message,
        "calibration: levels[1].model_sha256 is 0123456789ab..., but b.safetensors has f123456789ab...; run rung "
        "fit for these models");
    b = make_model("b.safetensors");
    b.config.num_layers = 3;
    assert_int_equal(rung_calibration_file_check(&file, 2, models, names, 2, &error), RUNG_MISMATCH);
    assert_string_equal(error.message,
                        "calibration: levels[1].layers is 2, but b.safetensors has 3; run rung fit for these models");
    b = make_model("b.safetensors");
    b.config.task = RUNG_TASK_MULTI_LABEL;
    assert_int_equal(rung_calibration_file_check(&file, 2, models, names, 2, &error), RUNG_MISMATCH);
    assert_string_equal(
        error.message,
        "calibration: task is single_label, but b.safetensors is multi_label; run rung fit for these models");
    rung_calibration_file_deinit(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(saved_files),
        cmocka_unit_test(identity),
        cmocka_unit_test(mismatches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
