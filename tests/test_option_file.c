/* test_option_file.c: keys of the YAML files into options, with their lines, and every wrong key or shape by its message. */
#include "config/option_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static rung_options *apply(const char *text, rung_file_lines *lines)
{
    rung_options *options = NULL;
    rung_yaml *yaml = NULL;
    rung_error error;
    assert_int_equal(rung_options_new(&options, &error), RUNG_OK);
    assert_int_equal(rung_yaml_parse(text, strlen(text), "c.yaml", &yaml, &error), RUNG_OK);
    assert_int_equal(rung_option_file_apply(yaml, RUNG_FILE_CASCADE, "dir", options, lines, &error), RUNG_OK);
    rung_yaml_free(yaml);
    return options;
}

static void refuse(const char *text, rung_status status, const char *message)
{
    rung_options *options = NULL;
    rung_yaml *yaml = NULL;
    rung_file_lines lines = {.num_levels = 77};
    rung_error error = {0};
    assert_int_equal(rung_options_new(&options, &error), RUNG_OK);
    assert_int_equal(rung_yaml_parse(text, strlen(text), "c.yaml", &yaml, &error), RUNG_OK);
    assert_int_equal(rung_option_file_apply(yaml, RUNG_FILE_CASCADE, "dir", options, &lines, &error), status);
    assert_string_equal(error.message, message);
    assert_int_equal(lines.num_levels, 77);
    rung_yaml_free(yaml);
    rung_options_free(options);
}

static void keys(void **state)
{
    (void)state;
    rung_file_lines lines;
    rung_options *options = apply("levels:\n"
                                  "  - name: end\n"
                                  "    model: m/end.safetensors\n"
                                  "    memory: 64MiB\n"
                                  "  - {model: b, link: {rtt: 8ms, up: 40Mbit/s, down: 1Gbit/s}, speed: 2}\n"
                                  "labels: {NEGATIVE: neg, \"a, b=c\": pos}\n"
                                  "policy:\n"
                                  "  offload: {threshold: [0.9, 0.8], k: hard}\n"
                                  "  seed: 7\n"
                                  "precision: fp32\n",
                                  &lines);
    assert_int_equal(lines.num_levels, 2);
    assert_int_equal(lines.level_line[1], 5);
    assert_int_equal(lines.level_column[1], 5);
    const rung_option_value *model = rung_options_level_value(options, RUNG_OPTION_LEVEL_MODEL, 0);
    assert_string_equal(model->text, "m/end.safetensors");
    assert_string_equal(model->directory, "dir");
    assert_string_equal(model->origin, "c.yaml:3");
    assert_int_equal(model->source, RUNG_SOURCE_FILE);
    assert_int_equal(rung_options_level_value(options, RUNG_OPTION_LEVEL_MEMORY, 0)->integer, 67108864);
    assert_true(rung_options_level_value(options, RUNG_OPTION_LEVEL_LINK + RUNG_LINK_KEY_UP, 1)->number == 4e7);
    assert_true(rung_options_level_value(options, RUNG_OPTION_LEVEL_SPEED, 1)->number == 2);
    const rung_option_value *labels = rung_options_value(options, RUNG_OPTION_LABELS);
    assert_int_equal(labels->num_pairs, 2);
    assert_string_equal(labels->pairs[2], "a, b=c"); /* not split as a flag's text is */
    const rung_option_value *threshold = rung_options_value(options, RUNG_OPTION_POLICY_OFFLOAD_THRESHOLD);
    assert_int_equal(threshold->num_numbers, 2);
    assert_string_equal(threshold->text, "0.9, 0.8");
    assert_int_equal(rung_options_integer(options, RUNG_OPTION_POLICY_SEED), 7);
    assert_int_equal(rung_options_choice(options, RUNG_OPTION_PRECISION), 0);
    rung_options_free(options);
}

#define LEVEL "levels: [{model: a}]\n"

static void wrong_keys(void **state)
{
    (void)state;
    refuse("[1]\n", RUNG_INVALID, "c.yaml:1:1: the file must be a mapping with the key levels, not a list");
    refuse("precision: int8\n", RUNG_INVALID, "c.yaml:1:1: the key levels is missing");
    refuse("level: [{model: a}]\n", RUNG_INVALID,
           "c.yaml:1:1: 'level' is a key of a node's file, which 'rung serve' reads; a cascade's has levels");
    refuse("levels: [{modle: a}]\n", RUNG_INVALID, "c.yaml:1:11: unknown key 'levels.1.modle'; did you mean 'model'?");
    refuse("levels: [{model: a}, {link: {rt: 8ms}}]\n", RUNG_INVALID,
           "c.yaml:1:30: unknown key 'levels.2.link.rt'; did you mean 'rtt'?");
    refuse(LEVEL "policy: {exit: {tua: 1}}\n", RUNG_INVALID,
           "c.yaml:2:17: unknown key 'policy.exit.tua'; did you mean 'tau'?");
    refuse(LEVEL "threshold: 0.8\n", RUNG_INVALID,
           "c.yaml:2:1: unknown key 'threshold'; did you mean 'policy.offload.threshold'?");
    refuse(LEVEL "policy: {early: 0.5}\n", RUNG_INVALID,
           "c.yaml:2:10: unknown key 'policy.early'; did you mean 'policy.offload.early'?");
    refuse(LEVEL "policy.seed: 1\n", RUNG_INVALID, "c.yaml:2:1: unknown key 'policy.seed'");
    refuse(LEVEL "brightness: 1\n", RUNG_INVALID, "c.yaml:2:1: unknown key 'brightness'");
    refuse(LEVEL "json: true\n", RUNG_INVALID, "c.yaml:2:1: unknown key 'json'"); /* a flag only */
    refuse(LEVEL "levels[]: 1\n", RUNG_INVALID, "c.yaml:2:1: unknown key 'levels[]'; did you mean 'levels'?");
}

static void wrong_shapes(void **state)
{
    (void)state;
    refuse("levels: a\n", RUNG_INVALID, "c.yaml:1:9: levels must be a list, not a single value");
    refuse("levels: {model: a}\n", RUNG_INVALID, "c.yaml:1:9: levels must be a list, not a mapping");
    refuse("levels: []\n", RUNG_LIMIT, "c.yaml:1:9: levels has 0 entries; it must have 1 to 8");
    refuse("levels: [1,2,3,4,5,6,7,8,9]\n", RUNG_LIMIT, "c.yaml:1:9: levels has 9 entries; it must have 1 to 8");
    refuse("levels: [a.safetensors]\n", RUNG_INVALID,
           "c.yaml:1:10: levels.1 must be a mapping like {name: end, model: end.safetensors}, not a single value");
    refuse(LEVEL "policy: tabi\n", RUNG_INVALID, "c.yaml:2:9: policy must be a mapping, not a single value");
    refuse(LEVEL "policy: {exit: [1]}\n", RUNG_INVALID, "c.yaml:2:16: policy.exit must be a mapping, not a list");
    refuse(LEVEL "policy: {seed: [1]}\n", RUNG_INVALID, "c.yaml:2:16: policy.seed must be a single value, not a list");
    refuse(LEVEL "policy: {seed: {a: 1}}\n", RUNG_INVALID,
           "c.yaml:2:16: policy.seed must be a single value, not a mapping");
    refuse(LEVEL "calibration:\n", RUNG_INVALID, "c.yaml:2:1: calibration has no value");
    refuse(LEVEL "labels: a=b\n", RUNG_INVALID, "c.yaml:2:9: labels must be a mapping, not a single value");
    refuse(LEVEL "labels: {a: [b]}\n", RUNG_INVALID, "c.yaml:2:13: labels: the new name must be a name");
    refuse(LEVEL "labels: {a: }\n", RUNG_INVALID, "c.yaml:2:13: labels: the new name must be a name");
    refuse(LEVEL "policy: {offload: {threshold: []}}\n", RUNG_INVALID,
           "c.yaml:2:31: policy.offload.threshold: the list is empty");
    refuse(LEVEL "policy: {offload: {threshold: [0.1, [1]]}}\n", RUNG_INVALID,
           "c.yaml:2:37: policy.offload.threshold: entry 2 is not a number");
}

static void wrong_values(void **state)
{
    (void)state;
    refuse(LEVEL "policy:\n  exit:\n    tau: 2\n", RUNG_INVALID,
           "c.yaml:4:10: policy.exit.tau: 2 is outside the range: 0 to 1");
    refuse("levels: [{model: a, speed: fast}]\n", RUNG_INVALID,
           "c.yaml:1:28: levels.1.speed: 'fast' is not a number (above 0, at most 1000000)");
    refuse("levels: [{model: a, memory: 64}]\n", RUNG_INVALID,
           "c.yaml:1:29: levels.1.memory: '64' has no unit; write for example 64MiB (units: B, kB, MB, GB, KiB, MiB, "
           "GiB)");
    refuse(LEVEL "policy: {name: pabe}\n", RUNG_INVALID,
           "c.yaml:2:16: policy.name: 'pabe' is not one of rung, paper, tabi, tangobert, single, pabee, branchynet, "
           "deebert, f-pabee, cocktail, random, layer-skip or power-bert; did you mean 'pabee'?");
    refuse(LEVEL "policy: {members: [1, one]}\n", RUNG_INVALID,
           "c.yaml:2:23: policy.members: 'one' is not a whole number (1 to 8)");
    refuse(LEVEL "policy: {members: [1, [2]]}\n", RUNG_INVALID,
           "c.yaml:2:23: policy.members: entry 2 is not a level's number");
    refuse(LEVEL "policy: {members: [1, 1]}\n", RUNG_INVALID, "c.yaml:2:19: policy.members: level 1 is there twice");
    refuse(LEVEL "policy: {exit: {entropy: [0.1, -1]}}\n", RUNG_INVALID,
           "c.yaml:2:32: policy.exit.entropy: -1 is outside the range: 0 to 100");
    refuse(LEVEL "policy: {variant: half}\n", RUNG_INVALID,
           "c.yaml:2:19: policy.variant: 'half' is not one of none, layer-skip or power-bert");
    refuse(LEVEL "policy: {ensemble: {weights: equal}}\n", RUNG_INVALID,
           "c.yaml:2:30: policy.ensemble.weights: 'equal' is not one of accuracy, last, fitted or vote");
    refuse(LEVEL "plan: plan.json\n", RUNG_UNSUPPORTED,
           "c.yaml:2:7: plan: 'plan' is not available in this version; remove it, and set the policy's keys");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),
        cmocka_unit_test(wrong_keys),
        cmocka_unit_test(wrong_shapes),
        cmocka_unit_test(wrong_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
