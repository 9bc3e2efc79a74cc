/* test_calibration_write.c: what is written is the same bytes each time and reads back. */
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
static rung_calibration_exit exits[] = {{.layer = 1,
                                         .temperature = 1.0 / 3,
                                         .shape = 1.8,
                                         .accuracy = 0.1 + 0.2,
                                         .nll_before = 0.5,
                                         .nll_after = 0.25,
                                         .ece = 0.125},
                                        {.layer = 2, .temperature = 20, .shape = 1, .accuracy = 1, .nll_after = 1e-17}};
static float head[6] = {1, -0.0f, 1e-45f, 3.4e38f, 1.0f / 3, 0};
static float deferral[2 + RUNG_DEFERRAL_SCORES] = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f};
static rung_calibration_pool pools[] = {
    {.set = 2, .rows = 5, .accuracy_temperature = 1, .fitted_temperature = 1, .fitted_weight = {0, 1}},
    {.set = 3,
     .rows = 9,
     .accuracy_temperature = 0.1 + 0.2,
     .accuracy_nll = 0.3,
     .fitted_temperature = 1.0 / 3,
     .fitted_nll = 0.2,
     .fitted_ece = 1.0 / 7,
     .fitted_weight = {0.1, 0.9}}};
static double class_accuracy[] = {0.1 + 0.2, 1};
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
                                  .labels_from = RUNG_LABELS_FROM_TOP,
                                  .policy = {.name = "tangobert",
                                             .exit = {RUNG_EXIT_OFF, 0, 1, 0, 1, {0}},
                                             .weights = RUNG_WEIGHTS_LAST,
                                             .raw_ensemble = true},
                                  .num_levels = 2,
                                  .num_pools = 2,
                                  .pools = pools};
    exits[0].head_weight = head;
    exits[0].head_bias = head + 4;
    exits[1].deferral_weight = deferral;
    exits[1].deferral_bias = -0.1;
    for (int l = 0; l < 2; l++) {
        file.levels[l] = (rung_calibration_level){.name = l == 0 ? "end" : "cloud",
                                                  .model_sha256 = SHA,
                                                  .tokenizer_sha256 = SHA,
                                                  .max_tokens = 512,
                                                  .type_vocab_size = 2,
                                                  .hidden_size = 2,
                                                  .num_layers = 2,
                                                  .num_exits = 2,
                                                  .exits = exits,
                                                  .accuracy = 0.9,
                                                  .class_accuracy = l == 0 ? class_accuracy : NULL,
                                                  .has_threshold = l == 0,
                                                  .threshold = 0.7,
                                                  .agreement = 1,
                                                  .answered = 0.5};
    }
    return file;
}

static void a_remote_level(void **state)
{
    (void)state;
    static char model[] = "x\"y";
    static char identity[] = "m";
    rung_calibration_file file = make();
    rung_calibration_file back = {0};
    rung_buffer text = {0};
    rung_buffer again = {0};
    rung_error error = {0};
    rung_calibration_exit exit = {.layer = 1, .temperature = 2, .shape = 1, .accuracy = 1};
    file.levels[1] = (rung_calibration_level){
        .name = "cloud",
        .is_remote = true,
        .remote = {.protocol = RUNG_PROTOCOL_V2, .model = model, .num_labels = 2, .labels = labels},
        .identity = identity,
        .model_sha256 = "62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a",
        .num_layers = 1,
        .num_exits = 1,
        .exits = &exit,
        .agreement = 1};
    if (rung_calibration_file_print(&file, &text, &error) != RUNG_OK ||
        rung_calibration_file_parse(text.data, text.length, "p", &back, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    assert_true(back.levels[1].is_remote && back.levels[1].remote.protocol == RUNG_PROTOCOL_V2);
    assert_string_equal(back.levels[1].remote.model, model);
    assert_string_equal(back.levels[1].remote.labels[1], labels[1]);
    assert_int_equal(rung_calibration_file_print(&back, &again, &error), RUNG_OK);
    assert_string_equal(text.data, again.data);
    rung_calibration_file_deinit(&back);
    rung_buffer_deinit(&text);
    rung_buffer_deinit(&again);
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
    assert_true(back.levels[0].exits[0].shape == 1.8);
    assert_true(back.levels[0].exits[0].accuracy == 0.1 + 0.2);
    assert_true(back.levels[1].exits[1].nll_after == 1e-17);
    assert_int_equal(back.seed, 9007199254740992);
    assert_true(back.levels[0].has_threshold && !back.levels[1].has_threshold);
    assert_memory_equal(back.levels[1].exits[0].head_weight, head, 4 * sizeof *head);
    assert_memory_equal(back.levels[1].exits[0].head_bias, head + 4, 2 * sizeof *head);
    assert_memory_equal(back.levels[0].exits[1].deferral_weight, deferral, sizeof deferral);
    assert_true(back.levels[0].exits[1].deferral_bias == -0.1);
    assert_int_equal(back.num_pools, 2);
    assert_memory_equal(back.pools, pools, sizeof pools);
    assert_int_equal(back.labels_from, RUNG_LABELS_FROM_TOP);
    assert_int_equal(back.policy.weights, RUNG_WEIGHTS_LAST);
    assert_true(back.policy.raw_ensemble && !back.policy.pooled_decision);
    assert_memory_equal(back.levels[0].class_accuracy, class_accuracy, sizeof class_accuracy);
    assert_null(back.levels[1].class_accuracy);
    assert_null(strstr(first.data, "entropy"));
    assert_null(strstr(first.data, "variant"));
    assert_int_equal(rung_calibration_file_print(&back, &second, &error), RUNG_OK);
    assert_string_equal(first.data, second.data);
    rung_buffer_deinit(&first);
    rung_buffer_deinit(&second);
    rung_calibration_file_deinit(&back);
}

static void every_policy(void **state)
{
    (void)state;
    for (uint32_t i = 0; i <= RUNG_EXIT_DIVERGENCE; i++) {
        rung_calibration_file file = make();
        rung_calibration_file back = {0};
        rung_buffer text = {0};
        rung_error error;
        rung_calibration_policy *policy = &file.policy;
        snprintf(policy->name, sizeof policy->name, "%s", i == 0 ? "single(2)" : "random(0.3)");
        policy->exit.rule = (rung_exit_rule)i;
        for (size_t e = 0; e < RUNG_EXIT_THRESHOLDS; e++) {
            policy->exit.entropy[e] = e < 3 ? 0.1 * (double)(e + 1) : 1.0 / 3;
        }
        policy->weights = (rung_weights)(i % (RUNG_WEIGHTS_VOTE + 1));
        policy->variant = (rung_variant){(rung_variant_kind)(i % 3), 1.0 - 1.0 / 3 + (i % 3 == 1 ? 1 : 0)};
        assert_int_equal(rung_calibration_file_print(&file, &text, &error), RUNG_OK);
        assert_int_equal(rung_calibration_file_parse(text.data, text.length, "p", &back, &error), RUNG_OK);
        assert_string_equal(back.policy.name, policy->name);
        assert_int_equal(back.policy.exit.rule, i);
        assert_int_equal(back.policy.weights, policy->weights);
        assert_int_equal(back.policy.variant.kind, policy->variant.kind);
        assert_true(back.policy.variant.amount == (i % 3 == 0 ? 1 : policy->variant.amount));
        if (i == RUNG_EXIT_ENTROPY) {
            assert_memory_equal(back.policy.exit.entropy, policy->exit.entropy, sizeof policy->exit.entropy);
        }
        rung_calibration_file_deinit(&back);
        rung_buffer_deinit(&text);
    }
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
    file.policy.exit.rule = RUNG_EXIT_DIVERGENCE + 1;
    assert_int_equal(rung_calibration_file_save(&file, path, &error), RUNG_INVALID);
    assert_string_equal(error.message, "calibration: field 'policy.exit.rule' is ''; it must be off, paper, agree, "
                                       "pabee, entropy or divergence");
    file = make();
    assert_int_equal(rung_calibration_file_save(&file, "tests/no-such/c.json", &error), RUNG_NOT_FOUND);
    rung_calibration_file_deinit(&back);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(a_remote_level),
        cmocka_unit_test(every_policy),
        cmocka_unit_test(saved_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
