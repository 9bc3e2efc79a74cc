/* test_policy_yaml.c: what is written of a policy, and that any policy reads back bit by bit. */
#include "base/prng.h"
#include "config/cascade_config.h"
#include "config/policy_yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static rung_policy defaults_of(const char *name, uint32_t num_levels)
{
    rung_policy policy;
    rung_error error;
    if (rung_policy_defaults(name, num_levels, &policy, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return policy;
}

static void expect(const rung_policy *policy, uint32_t num_levels, const char *expected)
{
    rung_policy defaults = defaults_of(policy->name, num_levels);
    rung_buffer text = {0};
    rung_cascade_config_put_policy(&text, policy, &defaults, num_levels);
    assert_false(text.failed);
    assert_string_equal(text.data, expected);
    rung_buffer_deinit(&text);
}

static void only_what_differs(void **state)
{
    (void)state;
    rung_policy policy = defaults_of("rung", 3);
    expect(&policy, 3, "policy:\n  name: rung\n  offload:\n    threshold: 0.85\n");
    policy.offload.threshold[7] = 0.1; /* there is no such level */
    expect(&policy, 3, "policy:\n  name: rung\n  offload:\n    threshold: 0.85\n");
    policy.offload.threshold[0] = 0.75;
    policy.offload.speculate[0] = policy.offload.speculate[1] = policy.offload.speculate[2] = 0.5;
    policy.seed = 7;
    policy.members = 6;
    policy.defer = RUNG_DEFER_LEARNED;
    policy.exit.entropy[0] = 0.1;
    policy.exit.tau = 1e-5;
    policy.weights = RUNG_WEIGHTS_VOTE;
    expect(&policy, 3,
           "policy:\n"
           "  name: rung\n"
           "  seed: 7\n"
           "  members: [2, 3]\n"
           "  offload:\n"
           "    threshold: [0.75, 0.85, 0.85]\n"
           "    speculate: 0.5\n"
           "  defer: learned\n"
           "  exit:\n"
           "    tau: 1e-05\n"
           "    entropy: [0.1, 0.2]\n"
           "  ensemble:\n"
           "    weights: vote\n");
    policy = defaults_of("single(2)", 3);
    expect(&policy, 3, "policy:\n  name: single(2)\n  offload:\n    threshold: 0.85\n");
    policy.members = 0;
    policy.offload.hard = false;
    policy.offload.at_random = true;
    policy.offload.share = 0.25;
    policy.variant = (rung_variant){RUNG_VARIANT_LAYER_SKIP, 1.5};
    expect(&policy, 3,
           "policy:\n"
           "  name: single(2)\n"
           "  members: all\n"
           "  variant: layer-skip(1.5)\n"
           "  offload:\n"
           "    threshold: 0.85\n"
           "    k: 10\n"
           "    random: 0.25\n");
    policy = defaults_of("random(0.3)", 2);
    policy.offload.at_random = false;
    policy.parallel = true;
    expect(&policy, 2,
           "policy:\n  name: random(0.3)\n  parallel: true\n  offload:\n    threshold: 0.85\n    random: off\n");
}

/* What was chosen stays chosen beside a calibration that has thresholds for a policy of this name. */
static void a_calibration_changes_nothing(void **state)
{
    (void)state;
    rung_policy policy = defaults_of("rung", 2);
    rung_buffer text = {0};
    rung_cascade_config config = {0};
    rung_error error;
    rung_calibration_file file = {.num_levels = 2, .policy.name = "rung"};
    file.levels[0] = (rung_calibration_level){.has_threshold = true, .threshold = 0.5};
    rung_buffer_text(&text, "levels: [{model: m}, {model: m, link: lan}]\n");
    rung_cascade_config_put_policy(&text, &policy, &policy, 2);
    assert_int_equal(rung_cascade_config_parse(text.data, text.length, "c.yaml", "dir", NULL, &config, &error),
                     RUNG_OK);
    assert_int_equal(rung_cascade_config_use_calibration(&config, &file, &error), RUNG_OK);
    assert_true(config.policy.offload.threshold[0] == 0.85);
    rung_cascade_config_deinit(&config);
    rung_buffer_deinit(&text);
}

static bool coin(rung_prng *prng)
{
    return rung_prng_below(prng, 2) == 1;
}

/* A share with all its digits, or a round one. */
static double share(rung_prng *prng)
{
    return coin(prng) ? rung_prng_uniform(prng) : (double)rung_prng_below(prng, 5) / 4;
}

/* By level, the last number standing for the levels that are not there, as it does when it is read. */
static void draw_by_level(rung_prng *prng, uint32_t num_levels, double *field)
{
    bool equal = coin(prng);
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        field[l] = l == 0 || (!equal && l < num_levels) ? share(prng) : field[l - 1];
    }
}

static void draw_offload(rung_prng *prng, uint32_t num_levels, rung_offload_policy *offload)
{
    double *const fields[] = {offload->threshold, offload->skip, offload->early, offload->speculate};
    for (size_t i = 0; i < 4; i++) {
        if (coin(prng)) {
            draw_by_level(prng, num_levels, fields[i]);
        }
    }
    if (coin(prng)) {
        offload->hard = false;
        offload->k = 1000 * rung_prng_uniform(prng) + 1e-9;
    }
    if (coin(prng)) {
        offload->at_random = true;
        offload->share = share(prng);
    }
}

static void draw_exit(rung_prng *prng, rung_exit_policy *exit)
{
    exit->rule = (rung_exit_rule)rung_prng_below(prng, RUNG_EXIT_DIVERGENCE + 1);
    exit->tau = coin(prng) ? exit->tau : rung_prng_uniform(prng) * 1e-4;
    exit->patience = coin(prng) ? exit->patience : 1 + (uint32_t)rung_prng_below(prng, 128);
    exit->confidence = coin(prng) ? exit->confidence : share(prng);
    exit->first_layer = coin(prng) ? exit->first_layer : 1 + (uint32_t)rung_prng_below(prng, 128);
    size_t different = coin(prng) ? 0 : rung_prng_below(prng, RUNG_EXIT_THRESHOLDS + 1);
    for (size_t e = 0; e < different; e++) {
        exit->entropy[e] = 100 * share(prng);
    }
}

/* A policy of this name with any of its fields changed; not always a valid one. */
static rung_policy draw(rung_prng *prng, const char *name, uint32_t num_levels)
{
    rung_policy policy = defaults_of(name, num_levels);
    policy.seed = coin(prng) ? policy.seed : rung_prng_below(prng, (UINT64_C(1) << 53) + 1);
    policy.first_compute_level =
        coin(prng) ? policy.first_compute_level : 1 + (uint32_t)rung_prng_below(prng, num_levels);
    policy.members = coin(prng) ? policy.members : (uint32_t)rung_prng_below(prng, UINT64_C(1) << num_levels);
    policy.parallel = coin(prng);
    policy.weights = (rung_weights)rung_prng_below(prng, RUNG_WEIGHTS_VOTE + 1);
    policy.defer = coin(prng) ? RUNG_DEFER_LEARNED : RUNG_DEFER_CONFIDENCE;
    policy.pooled_decision = coin(prng);
    policy.raw_ensemble = coin(prng);
    policy.all_layer_importance = coin(prng);
    policy.prune.enabled = coin(prng);
    policy.prune.alpha = coin(prng) ? policy.prune.alpha : 1000 * share(prng);
    policy.prune.unit = (rung_prune_unit)rung_prng_below(prng, RUNG_PRUNE_WORD + 1);
    draw_offload(prng, num_levels, &policy.offload);
    draw_exit(prng, &policy.exit);
    policy.variant.kind = (rung_variant_kind)rung_prng_below(prng, RUNG_VARIANT_POWER_BERT + 1);
    policy.variant.amount = policy.variant.kind == RUNG_VARIANT_LAYER_SKIP   ? 1.0001 + 3 * rung_prng_uniform(prng)
                            : policy.variant.kind == RUNG_VARIANT_POWER_BERT ? 1 - rung_prng_uniform(prng)
                                                                             : 1;
    if (policy.variant.kind != RUNG_VARIANT_NONE || policy.all_layer_importance) {
        policy.prune.enabled = policy.prune.enabled && policy.variant.kind == RUNG_VARIANT_NONE;
        policy.exit.rule = RUNG_EXIT_OFF;
        memset(policy.offload.early, 0, sizeof policy.offload.early);
        memset(policy.offload.speculate, 0, sizeof policy.offload.speculate);
    }
    return policy;
}

#define SAME(field) assert_memory_equal(&read->field, &policy->field, sizeof policy->field)

static void expect_same(const rung_policy *read, const rung_policy *policy)
{
    assert_string_equal(read->name, policy->name);
    SAME(seed);
    SAME(offload.threshold);
    SAME(offload.hard);
    SAME(offload.k);
    SAME(offload.at_random);
    SAME(offload.share);
    SAME(offload.skip);
    SAME(offload.early);
    SAME(offload.speculate);
    SAME(prune.enabled);
    SAME(prune.alpha);
    SAME(prune.unit);
    SAME(exit.rule);
    SAME(exit.tau);
    SAME(exit.patience);
    SAME(exit.confidence);
    SAME(exit.first_layer);
    SAME(exit.entropy);
    SAME(weights);
    SAME(defer);
    SAME(pooled_decision);
    SAME(raw_ensemble);
    SAME(first_compute_level);
    SAME(members);
    SAME(parallel);
    SAME(variant.kind);
    SAME(variant.amount);
    SAME(all_layer_importance);
}

static rung_policy read_back(const rung_policy *policy, uint32_t num_levels)
{
    rung_policy defaults = defaults_of(policy->name, num_levels);
    rung_buffer text = {0};
    rung_cascade_config config = {0};
    rung_error error;
    rung_buffer_text(&text, "levels:\n  - model: m\n");
    for (uint32_t l = 1; l < num_levels; l++) {
        rung_buffer_text(&text, "  - {model: m, link: lan}\n");
    }
    rung_cascade_config_put_policy(&text, policy, &defaults, num_levels);
    assert_false(text.failed);
    if (rung_cascade_config_parse(text.data, text.length, "c.yaml", "dir", NULL, &config, &error) != RUNG_OK) {
        fail_msg("%s\n%s", error.message, text.data);
    }
    rung_policy read = config.policy;
    rung_cascade_config_deinit(&config);
    rung_buffer_deinit(&text);
    return read;
}

static void any_policy_reads_back(void **state)
{
    (void)state;
    rung_prng prng = {0};
    size_t count;
    size_t valid = 0;
    const char *const *names = rung_policy_names(&count);
    for (size_t i = 0; i < 130 * count; i++) {
        static const char *const numbered[] = {"single(1)", "random(0.37)", "layer-skip(1.3)", "power-bert(0.7)"};
        size_t which = i % (count + 4);
        uint32_t num_levels = 1 + (uint32_t)rung_prng_below(&prng, RUNG_MAX_LEVELS);
        rung_policy policy = draw(&prng, which < count ? names[which] : numbered[which - count], num_levels);
        if (policy.variant.kind != RUNG_VARIANT_NONE) {
            policy.defer = RUNG_DEFER_CONFIDENCE; /* a variant has no states to learn from */
        }
        if (rung_policy_check(&policy, NULL, NULL) != RUNG_OK) {
            continue;
        }
        rung_policy read = read_back(&policy, num_levels);
        expect_same(&read, &policy);
        valid++;
    }
    assert_true(valid > 120 * count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_differs),
        cmocka_unit_test(a_calibration_changes_nothing),
        cmocka_unit_test(any_policy_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
