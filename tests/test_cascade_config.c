/* test_cascade_config.c: files, flags and policies into a cascade: what is in force, where it came from, and what does not fit together. */
#include "base/file.h"
#include "config/cascade_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The example of the documentation, without what comes in a later version. */
static const char example[] = "levels:\n"
                              "  - name: end\n"
                              "    model: models/end.safetensors\n"
                              "    speed: 0.25\n"
                              "    memory: 64MiB\n"
                              "  - name: edge\n"
                              "    model: models/edge.safetensors\n"
                              "    link: wifi\n"
                              "  - name: cloud\n"
                              "    model: /abs/cloud.safetensors\n"
                              "    speed: 4\n"
                              "    link: 4g\n"
                              "labels: {NEGATIVE: neg, POSITIVE: pos}\n"
                              "calibration: models/calibration.json\n"
                              "policy:\n"
                              "  name: rung\n"
                              "  seed: 1\n"
                              "  offload: {threshold: 0.85, k: hard}\n"
                              "  defer: confidence\n"
                              "  prune: {alpha: 0.5, unit: auto}\n"
                              "  exit: {rule: agree, tau: 0.02, patience: 1, confidence: 0.9, first_layer: 1}\n"
                              "  ensemble: {weights: accuracy, decide_on: pooled}\n";

static rung_cascade_config parse(const char *text, const rung_options *flags)
{
    rung_cascade_config config = {0};
    rung_error error;
    assert_int_equal(rung_cascade_config_parse(text, strlen(text), "c.yaml", "dir", flags, &config, &error), RUNG_OK);
    return config;
}

static void refuse_with(const char *text, const rung_options *flags, rung_status status, const char *message)
{
    rung_cascade_config config = {0};
    rung_error error = {0};
    assert_int_equal(rung_cascade_config_parse(text, strlen(text), "c.yaml", "dir", flags, &config, &error), status);
    assert_string_equal(error.message, message);
    assert_null(config.options);
    assert_int_equal(rung_cascade_config_parse(text, strlen(text), "c.yaml", "dir", flags, &config, NULL), status);
}

static void refuse(const char *text, rung_status status, const char *message)
{
    refuse_with(text, NULL, status, message);
}

static rung_options *make_flags(const char *key, const char *text)
{
    rung_options *flags = NULL;
    rung_error error;
    assert_int_equal(rung_options_new(&flags, &error), RUNG_OK);
    assert_int_equal(rung_options_set(flags, key, text, &error), RUNG_OK);
    return flags;
}

static void documented_example(void **state)
{
    (void)state;
    rung_cascade_config config = parse(example, NULL);
    assert_string_equal(config.path, "c.yaml");
    assert_int_equal(config.num_levels, 3);
    assert_string_equal(config.levels[0].name, "end");
    assert_string_equal(config.levels[0].model_path, "dir/models/end.safetensors");
    assert_string_equal(config.levels[2].model_path, "/abs/cloud.safetensors");
    assert_true(config.levels[0].speed == 0.25 && config.levels[1].speed == 1 && config.levels[2].speed == 4);
    assert_int_equal(config.levels[0].memory_bytes, 67108864);
    assert_int_equal(config.levels[1].memory_bytes, 0);
    assert_false(config.levels[0].has_link);
    assert_string_equal(config.levels[1].link.name, "wifi");
    assert_string_equal(config.levels[2].link.name, "4g");
    assert_string_equal(config.calibration_path, "dir/models/calibration.json");
    assert_int_equal(config.precision, RUNG_PRECISION_INT8);
    assert_int_equal(config.threads, 0);
    assert_string_equal(rung_cascade_config_rename(&config, "NEGATIVE"), "neg");
    assert_string_equal(rung_cascade_config_rename(&config, "other"), "other");
    const rung_policy *policy = &config.policy;
    assert_string_equal(policy->name, "rung");
    assert_true(policy->offload.hard && policy->offload.threshold[0] == 0.85 && policy->offload.threshold[2] == 0.85);
    assert_true(policy->exit.rule == RUNG_EXIT_AGREE && policy->exit.tau == 0.02 && policy->exit.confidence == 0.9);
    assert_true(policy->pooled_decision && policy->weights == RUNG_WEIGHTS_ACCURACY && !policy->raw_ensemble);
    assert_true(policy->prune.enabled && policy->prune.alpha == 0.5 && policy->prune.unit == RUNG_PRUNE_AUTO);
    rung_cascade_config_deinit(&config);
    assert_null(config.levels[0].name);
}

#define TWO "levels: [{model: a}, {model: b, link: lan}]\n"

static void a_policy_gives_the_defaults(void **state)
{
    (void)state;
    static const char *const names[] = {"rung",       "paper",           "tabi",           "tangobert", "single",
                                        "pabee",      "branchynet",      "deebert",        "f-pabee",   "cocktail",
                                        "random",     "layer-skip",      "power-bert",     "single(2)", "single(1)",
                                        "random(.3)", "layer-skip(1.5)", "power-bert(0.7)"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        rung_options *flags = make_flags("policy.name", names[i]);
        rung_cascade_config config = parse(TWO, flags);
        rung_policy expected;
        rung_error error;
        assert_int_equal(rung_policy_defaults(names[i], 2, &expected, &error), RUNG_OK);
        const rung_policy *policy = &config.policy;
        assert_string_equal(policy->name, expected.name);
        assert_true(policy->offload.hard == expected.offload.hard && policy->offload.k == expected.offload.k);
        assert_memory_equal(policy->offload.threshold, expected.offload.threshold, sizeof expected.offload.threshold);
        assert_true(policy->prune.enabled == expected.prune.enabled && policy->prune.alpha == expected.prune.alpha);
        assert_true(policy->exit.rule == expected.exit.rule && policy->exit.tau == expected.exit.tau);
        assert_true(policy->exit.first_layer == expected.exit.first_layer && policy->weights == expected.weights);
        assert_true(policy->raw_ensemble == expected.raw_ensemble &&
                    policy->pooled_decision == expected.pooled_decision);
        assert_true(policy->all_layer_importance == expected.all_layer_importance);
        assert_int_equal(policy->first_compute_level, expected.first_compute_level);
        assert_int_equal(policy->members, expected.members);
        assert_true(policy->offload.at_random == expected.offload.at_random &&
                    policy->offload.share == expected.offload.share);
        assert_true(policy->parallel == expected.parallel && policy->variant.kind == expected.variant.kind);
        assert_true(policy->variant.amount == expected.variant.amount);
        assert_memory_equal(policy->exit.entropy, expected.exit.entropy, sizeof expected.exit.entropy);
        char origin[32];
        snprintf(origin, sizeof origin, "policy %s", names[i]);
        assert_string_equal(rung_options_value(config.options, RUNG_OPTION_POLICY_EXIT_TAU)->origin, origin);
        rung_cascade_config_deinit(&config);
        rung_options_free(flags);
    }
}

/* What a file gives reaches the policy, and stands among the values in force. */
static void every_key_of_a_policy(void **state)
{
    (void)state;
    rung_cascade_config config = parse(TWO "policy:\n"
                                           "  name: random(0.3)\n"
                                           "  members: [2]\n"
                                           "  offload: {random: off, skip: 0.1, early: [0.2, 0.3], speculate: 0.4}\n"
                                           "  exit: {rule: entropy, entropy: [0.5, 0.6]}\n"
                                           "  ensemble: {weights: vote}\n"
                                           "  parallel: true\n",
                                       NULL);
    const rung_policy *policy = &config.policy;
    assert_string_equal(policy->name, "random(0.3)");
    assert_true(policy->members == 2 && policy->parallel && policy->weights == RUNG_WEIGHTS_VOTE);
    assert_true(!policy->offload.at_random && policy->offload.skip[0] == 0.1 && policy->offload.early[1] == 0.3);
    assert_true(policy->offload.speculate[0] == 0.4 && policy->variant.kind == RUNG_VARIANT_NONE);
    assert_true(policy->exit.rule == RUNG_EXIT_ENTROPY && policy->exit.entropy[0] == 0.5);
    assert_true(policy->exit.entropy[1] == 0.6 && policy->exit.entropy[31] == 0.6);
    rung_buffer text = {0};
    rung_options_show(&text, config.options, RUNG_FILE_CASCADE, config.num_levels);
    assert_non_null(strstr(text.data, "policy.members                 2                                c.yaml:4\n"));
    assert_non_null(
        strstr(text.data, "policy.variant                 none                             policy random(0.3)\n"));
    assert_non_null(strstr(text.data, "policy.offload.early           0.2, 0.3                         c.yaml:5\n"));
    assert_non_null(strstr(text.data, "policy.exit.entropy            0.5, 0.6                         c.yaml:6\n"));
    rung_buffer_deinit(&text);
    rung_cascade_config_deinit(&config);
    rung_options *flags = make_flags("policy.variant", "layer-skip(3)");
    config = parse(TWO "policy: {name: tangobert}\n", flags);
    assert_true(config.policy.variant.kind == RUNG_VARIANT_LAYER_SKIP && config.policy.variant.amount == 3);
    rung_cascade_config_deinit(&config);
    refuse_with(TWO, flags, RUNG_INVALID,
                "c.yaml: policy.variant runs its layers without exits and importance; set policy.prune.enabled to "
                "false and policy.exit.rule to off");
    rung_options_free(flags);
}

static void flags_win_over_the_file(void **state)
{
    (void)state;
    rung_options *flags = make_flags("policy.name", "tabi");
    rung_error error;
    assert_int_equal(rung_options_set(flags, "policy.offload.threshold", "0.9,0.8", &error), RUNG_OK);
    assert_int_equal(rung_options_set(flags, "levels.2.link", "satellite", &error), RUNG_OK);
    assert_int_equal(rung_options_set(flags, "levels.2.model", "here.safetensors", &error), RUNG_OK);
    assert_int_equal(rung_options_set(flags, "policy.offload.k", "7", &error), RUNG_OK);
    assert_int_equal(rung_options_set(flags, "policy.exit.rule", "off", &error), RUNG_OK);
    rung_cascade_config config = parse(example, flags);
    assert_string_equal(config.policy.name, "tabi");
    assert_true(config.policy.offload.threshold[0] == 0.9 && config.policy.offload.threshold[1] == 0.8);
    assert_true(!config.policy.offload.hard && config.policy.offload.k == 7);
    assert_string_equal(config.levels[1].link.name, "satellite");
    assert_string_equal(config.levels[1].model_path,
                        "here.safetensors"); /* a flag's path is relative to where rung runs */
    rung_buffer text = {0};
    rung_options_show(&text, config.options, RUNG_FILE_CASCADE, config.num_levels);
    assert_non_null(strstr(text.data, "levels.1.speed                 0.25                             c.yaml:4\n"));
    assert_non_null(strstr(text.data, "policy.exit.tau                0.02                             c.yaml:21\n"));
    assert_non_null(strstr(text.data, "policy.prune.layers            all                              policy tabi\n"));
    assert_non_null(
        strstr(text.data, "policy.offload.k               7                                policy.offload.k\n"));
    rung_buffer_deinit(&text);
    rung_cascade_config_deinit(&config);
    rung_options_free(flags);
}

static void custom_links(void **state)
{
    (void)state;
    rung_cascade_config config =
        parse("levels: [{model: a}, {model: b, link: {rtt: 8ms, up: 40Mbit/s, down: 50Mbit/s}}]\n", NULL);
    assert_string_equal(config.levels[1].link.name, "custom");
    assert_true(config.levels[1].link.rtt_ms == 8 && config.levels[1].link.jitter_ms == 0);
    assert_true(config.levels[1].link.up_bps == 4e7 && config.levels[1].link.down_bps == 5e7);
    assert_null(config.levels[1].link.source);
    rung_cascade_config_deinit(&config);
    /* A flag changes one figure of a preset. */
    rung_options *flags = make_flags("levels.2.link.rtt", "100ms");
    config = parse(TWO, flags);
    assert_true(config.levels[1].link.rtt_ms == 100 && config.levels[1].link.up_bps == 1e9);
    assert_string_equal(config.levels[1].link.name, "custom");
    rung_cascade_config_deinit(&config);
    rung_options_free(flags);
    refuse("levels:\n  - model: a\n  - model: b\n", RUNG_INVALID,
           "c.yaml:3:5: levels.2.link is missing; give a preset (lan, wifi, 5g, 4g, satellite), a trace file, or "
           "{rtt, up, down, jitter}");
    refuse("levels: [{model: a}, {model: b, link: {rtt: 8ms, up: 1Mbit/s}}]\n", RUNG_INVALID,
           "c.yaml:1:22: levels.2.link.down is missing; a link is a preset, a trace, or has rtt, up and down");
    refuse("levels: [{model: a}, {model: b, link: wfi}]\n", RUNG_INVALID,
           "c.yaml:1: levels.2.link: 'wfi' is not a preset (lan, wifi, 5g, 4g, satellite), a trace file, or {rtt, up, "
           "down, jitter}; did you mean 'wifi'?");
    refuse("levels: [{model: a}, {model: b, link: links/x.csv}]\n", RUNG_NOT_FOUND,
           "c.yaml:1: levels.2.link: dir/links/x.csv: cannot open: No such file or directory");
    refuse("levels: [{model: a, link: wifi}]\n", RUNG_INVALID,
           "c.yaml:1: levels.1.link: the first level has no level below it, so no link; remove it");
    refuse("levels: [{model: a}, {model: b, link: {rtt: 0ms, up: 1Mbit/s, down: 1Mbit/s, jitter: 1ms}}]\n",
           RUNG_INVALID,
           "c.yaml:1: levels.2: link.jitter is 1 ms on a link whose rtt is 0 ms; give rtt at least 0.000001 ms, or no "
           "jitter");
}

static void what_does_not_fit_together(void **state)
{
    (void)state;
    refuse("levels:\n  - name: end\n", RUNG_INVALID,
           "c.yaml:2:5: levels.1.model is missing; give a packed file or a Hugging Face directory");
    refuse("levels: [{name: a, model: a}, {name: a, model: b, link: lan}]\n", RUNG_INVALID,
           "c.yaml:1: levels.2.name is 'a', as that of level 1 is; names differ");
    refuse(TWO "policy: {offload: {threshold: [0.1, 0.2, 0.3]}}\n", RUNG_INVALID,
           "c.yaml:2: policy.offload.threshold has 3 numbers; give one, or one for each of the 2 levels (the top one's "
           "may be left out)");
    refuse(TWO "policy: {first_compute_level: 3}\n", RUNG_INVALID,
           "c.yaml:2: policy.first_compute_level is 3; the cascade has 2 levels only");
    refuse(TWO "policy: {name: single(3)}\n", RUNG_INVALID,
           "c.yaml:2: policy.name single(3): the cascade has the levels 1 to 2");
    refuse(TWO "policy: {members: [1, 3]}\n", RUNG_INVALID,
           "c.yaml:2: policy.members has level 3; the cascade has 2 levels only");
    refuse(TWO "policy: {offload: {early: [0.1, 0.2, 0.3]}}\n", RUNG_INVALID,
           "c.yaml:2: policy.offload.early has 3 numbers; give one, or one for each of the 2 levels (the top one's may "
           "be left out)");
    refuse(TWO "policy: {prune: {layers: all}}\n", RUNG_INVALID,
           "c.yaml: importance over all layers needs every layer to run; set policy.exit.rule to off, and "
           "policy.offload.early and policy.offload.speculate to 0");
    rung_options *flags = make_flags("levels.3.speed", "2");
    refuse_with(TWO, flags, RUNG_INVALID, "levels.3.speed: the cascade has 2 levels only");
    rung_options_free(flags);
    char text[128];
    snprintf(text, sizeof text, "levels: [{model: a, name: %064d}]\n", 0);
    refuse(text, RUNG_LIMIT, "c.yaml:1: levels.1.name has 64 bytes; the limit is 63");
    rung_cascade_config config = parse(TWO, NULL);
    assert_string_equal(config.levels[1].name, "level2");
    assert_null(config.calibration_path);
    rung_cascade_config_deinit(&config);
}

static void which_cascade(void **state)
{
    (void)state;
    rung_cascade_config config = {0};
    rung_error error;
    assert_int_equal(rung_cascade_config_load(NULL, NULL, NULL, &config, &error), RUNG_INVALID);
    assert_string_equal(error.message, "no cascade: give --config FILE, --model MODEL or a data directory");
    assert_int_equal(rung_cascade_config_load(NULL, "tests", NULL, &config, &error), RUNG_NOT_FOUND);
    assert_string_equal(
        error.message,
        "tests: holds no cascade.yaml; give --config FILE, --model MODEL, or another --data-dir or RUNG_DATA");
    assert_int_equal(rung_cascade_config_load("tests/no-such.yaml", NULL, NULL, &config, &error), RUNG_NOT_FOUND);
    /* The default cascade, found from the directory of models and from the one above it. */
    static const char *const directories[] = {"models", "."};
    static const char *const models[] = {"models/end.safetensors", "./models/end.safetensors"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(rung_cascade_config_load(NULL, directories[i], NULL, &config, &error), RUNG_OK);
        assert_int_equal(config.num_levels, 3);
        assert_string_equal(config.levels[0].model_path, models[i]);
        assert_true(config.levels[0].speed == 0.25 && config.levels[1].speed == 1 && config.levels[2].speed == 4);
        assert_string_equal(config.levels[2].link.name, "4g");
        assert_string_equal(config.policy.name, "rung");
    }
    rung_options *flags = make_flags("config", "models/cascade.yaml");
    assert_int_equal(rung_cascade_config_load(NULL, NULL, flags, &config, &error), RUNG_OK);
    assert_int_equal(config.num_levels, 3);
    assert_int_equal(rung_options_set(flags, "model", "x", &error), RUNG_OK);
    assert_int_equal(rung_cascade_config_load(NULL, NULL, flags, &config, &error), RUNG_INVALID);
    assert_string_equal(error.message, "--config and --model exclude each other: a cascade, or one model alone");
    assert_int_equal(config.num_levels, 3); /* untouched */
    rung_options_free(flags);
    rung_cascade_config_deinit(&config);
}

static void one_model_alone(void **state)
{
    (void)state;
    rung_options *flags = make_flags("model", "some/model");
    rung_cascade_config config = {0};
    rung_error error;
    assert_int_equal(rung_cascade_config_load(NULL, "models", flags, &config, &error), RUNG_OK);
    assert_int_equal(config.num_levels, 1);
    assert_null(config.path);
    assert_string_equal(config.levels[0].model_path, "some/model");
    assert_string_equal(config.policy.name, "single");
    assert_int_equal(config.policy.exit.rule, RUNG_EXIT_OFF);
    assert_int_equal(rung_options_set(flags, "policy", "rung", &error), RUNG_OK);
    assert_int_equal(rung_cascade_config_load(NULL, "models", flags, &config, &error), RUNG_OK);
    assert_string_equal(config.policy.name, "rung");
    assert_int_equal(rung_options_set(flags, "levels.2.link", "lan", &error), RUNG_OK);
    assert_int_equal(rung_cascade_config_load(NULL, "models", flags, &config, &error), RUNG_INVALID);
    assert_string_equal(error.message, "levels.2.link: the cascade has 1 level only");
    rung_options_free(flags);
    rung_cascade_config_deinit(&config);
}

static void fitted_thresholds(void **state)
{
    (void)state;
    rung_calibration_file file = {.num_levels = 2, .path = NULL, .policy.name = "rung"};
    file.levels[0].has_threshold = true;
    file.levels[0].threshold = 0.75;
    rung_error error;
    rung_cascade_config config = parse(TWO, NULL);
    double before = config.policy.offload.threshold[1];
    assert_int_equal(rung_cascade_config_use_calibration(&config, &file, &error), RUNG_OK);
    assert_true(config.policy.offload.threshold[0] == 0.75 && config.policy.offload.threshold[1] == before);
    const rung_option_value *value = rung_options_value(config.options, RUNG_OPTION_POLICY_OFFLOAD_THRESHOLD);
    assert_int_equal(value->source, RUNG_SOURCE_CALIBRATION);
    assert_string_equal(value->text, "0.75, 0.85");
    rung_policy other;
    assert_int_equal(rung_cascade_config_policy(&config, "tabi", &other, &error), RUNG_OK);
    assert_true(other.offload.threshold[0] == 0.8 && other.seed == config.policy.seed);
    assert_int_equal(rung_cascade_config_policy(&config, "nobody", &other, &error), RUNG_NOT_FOUND);
    rung_cascade_config_deinit(&config);
    /* What was given stays. */
    config = parse(TWO "policy: {offload: {threshold: 0.6}}\n", NULL);
    assert_int_equal(rung_cascade_config_use_calibration(&config, &file, &error), RUNG_OK);
    assert_true(config.policy.offload.threshold[0] == 0.6);
    rung_cascade_config_deinit(&config);
    /* Learned deferral has thresholds of its own. */
    file.levels[0].has_deferral_threshold = true;
    file.levels[0].deferral_threshold = 0.625;
    config = parse(TWO "policy: {defer: learned}\n", NULL);
    assert_int_equal(config.policy.defer, RUNG_DEFER_LEARNED);
    assert_int_equal(rung_cascade_config_use_calibration(&config, &file, &error), RUNG_OK);
    assert_true(config.policy.offload.threshold[0] == 0.625 && config.policy.offload.threshold[1] == before);
    rung_cascade_config_deinit(&config);
    /* Fitted for another policy. */
    config = parse(TWO "policy: {name: tabi}\n", NULL);
    assert_int_equal(rung_cascade_config_use_calibration(&config, &file, &error), RUNG_OK);
    assert_true(config.policy.offload.threshold[0] == 0.8);
    rung_cascade_config_deinit(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documented_example),    cmocka_unit_test(a_policy_gives_the_defaults),
        cmocka_unit_test(every_key_of_a_policy), cmocka_unit_test(flags_win_over_the_file),
        cmocka_unit_test(custom_links),          cmocka_unit_test(what_does_not_fit_together),
        cmocka_unit_test(which_cascade),         cmocka_unit_test(one_model_alone),
        cmocka_unit_test(fitted_thresholds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
