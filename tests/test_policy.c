/* test_policy.c: the named policies and every range that rung_policy_check holds, each by its message. */
#include "cascade/deferral.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const double temperatures[3] = {1, 1.5, 2};

static rung_calibration make_calibration(void)
{
    rung_calibration calibration = {.num_levels = 3, .num_classes = 2};
    for (int l = 0; l < 3; l++) {
        calibration.level[l] = (rung_level_calibration){.num_exits = 3, .temperature = temperatures, .accuracy = 0.9};
    }
    return calibration;
}

static rung_policy get(const char *name, uint32_t num_levels)
{
    rung_policy policy;
    rung_error error;
    assert_int_equal(rung_policy_defaults(name, num_levels, &policy, &error), RUNG_OK);
    assert_string_equal(policy.name, name);
    return policy;
}

static void every_name_passes_the_check(void **state)
{
    (void)state;
    rung_calibration calibration = make_calibration();
    size_t count;
    const char *const *names = rung_policy_names(&count);
    assert_int_equal(count, 13);
    for (size_t i = 0; i < count; i++) {
        rung_policy policy = get(names[i], 3);
        rung_error error;
        assert_int_equal(rung_policy_check(&policy, &calibration, &error), RUNG_OK);
        assert_int_equal(rung_policy_check(&policy, NULL, &error), RUNG_OK);
    }
}

static void what_the_names_mean(void **state)
{
    (void)state;
    rung_policy rung = get("rung", 3);
    assert_true(rung.offload.hard && rung.prune.enabled && rung.prune.alpha == 0.5);
    assert_true(rung.exit.rule == RUNG_EXIT_AGREE && rung.exit.tau == 0.02 && rung.exit.patience == 1);
    assert_true(rung.exit.confidence == 0.9 && rung.exit.first_layer == 2 && rung.weights == RUNG_WEIGHTS_FITTED);
    assert_true(!rung.raw_ensemble && rung.first_compute_level == 1);
    rung_policy paper = get("paper", 3);
    assert_true(!paper.offload.hard && paper.offload.k == 10 && paper.offload.threshold[2] == 0.8);
    assert_true(paper.exit.rule == RUNG_EXIT_PAPER && paper.exit.tau == 1e-5 && paper.raw_ensemble);
    assert_true(paper.prune.alpha == 0.5 && !paper.pooled_decision && paper.weights == RUNG_WEIGHTS_ACCURACY);
    assert_false(paper.all_layer_importance);
    assert_true(rung.pooled_decision && rung.defer == RUNG_DEFER_CONFIDENCE);
    assert_true(paper.weights == RUNG_WEIGHTS_ACCURACY && !paper.pooled_decision);
    rung_policy tabi = get("tabi", 3);
    assert_true(tabi.exit.rule == RUNG_EXIT_OFF && tabi.exit.tau == 0 && tabi.all_layer_importance &&
                tabi.raw_ensemble);
    assert_true(tabi.weights == RUNG_WEIGHTS_ACCURACY && !tabi.pooled_decision);
    assert_true(!tabi.offload.hard && tabi.offload.k == 10 && tabi.offload.threshold[0] == 0.8 &&
                tabi.prune.alpha == 0.5);
    rung_policy tangobert = get("tangobert", 3);
    assert_true(tangobert.offload.hard && !tangobert.prune.enabled && tangobert.weights == RUNG_WEIGHTS_LAST);
    assert_true(tangobert.exit.rule == RUNG_EXIT_OFF && tangobert.first_compute_level == 1);
    assert_false(tangobert.pooled_decision);
    rung_policy single = get("single", 3);
    assert_true(single.first_compute_level == 3 && !single.prune.enabled && single.weights == RUNG_WEIGHTS_LAST);
    assert_true(single.exit.rule == RUNG_EXIT_OFF);
    assert_int_equal(get("single", 1).first_compute_level, 1);
}

static void unknown_name(void **state)
{
    (void)state;
    rung_policy policy = {.seed = 77};
    rung_error error;
    assert_int_equal(rung_policy_defaults("tabby", 3, &policy, &error), RUNG_NOT_FOUND);
    assert_string_equal(
        error.message,
        "policy.name \"tabby\" is unknown; use rung, paper, tabi, tangobert, single, single(LEVEL), pabee, "
        "branchynet, deebert, f-pabee, cocktail, random(SHARE), layer-skip(SPEEDUP) or power-bert(SHARE)");
    assert_int_equal(policy.seed, 77);
    assert_int_equal(rung_policy_defaults("rung", 0, &policy, &error), RUNG_INVALID);
    assert_string_equal(error.message, "a cascade of 0 levels; it must have 1 to 8");
    assert_int_equal(rung_policy_defaults("rung", 9, &policy, NULL), RUNG_INVALID);
    assert_int_equal(policy.seed, 77);
}

static void names_with_a_number(void **state)
{
    (void)state;
    rung_policy single = get("single(2)", 3);
    assert_true(single.first_compute_level == 2 && single.members == 2);
    assert_int_equal(rung_policy_top_level(&single, 3), 2);
    rung_policy random = get("random(0.3)", 3);
    assert_true(random.offload.at_random && random.offload.share == 0.3);
    rung_policy skip = get("layer-skip(1.5)", 3);
    assert_true(skip.variant.kind == RUNG_VARIANT_LAYER_SKIP && skip.variant.amount == 1.5);
    rung_policy power = get("power-bert(.25)", 3);
    assert_true(power.variant.kind == RUNG_VARIANT_POWER_BERT && power.variant.amount == 0.25);
    static const char *const bad[] = {"single(4)",     "single(0)",       "single(1.5)",   "single(",
                                      "single()",      "single(2)x",      "random(1.5)",   "random(nan)",
                                      "rung(1)",       "random(-1)",      "layer-skip(1)", "power-bert(0)",
                                      "power-bert(2)", "layer-skip(inf)", "single (2)"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rung_policy policy = {.seed = 77};
        rung_error error = {0};
        assert_int_not_equal(rung_policy_defaults(bad[i], 3, &policy, &error), RUNG_OK);
        assert_true(strlen(error.message) > 0);
        assert_int_equal(policy.seed, 77);
    }
    rung_policy policy;
    rung_error error = {0};
    assert_int_equal(rung_policy_defaults("rung(1)", 3, &policy, &error), RUNG_INVALID);
    assert_string_equal(error.message, "policy \"rung(1)\": rung takes no number");
    assert_int_equal(rung_policy_defaults("power-bert(x)", 3, &policy, &error), RUNG_INVALID);
    assert_string_equal(error.message,
                        "policy \"power-bert(x)\": power-bert takes a number in parentheses, as power-bert(0.5)");
}

static void members_and_what_leaves_early(void **state)
{
    (void)state;
    rung_policy policy = get("tangobert", 3);
    assert_int_equal(rung_policy_top_level(&policy, 3), 3);
    policy.members = 5;
    assert_int_equal(rung_policy_top_level(&policy, 3), 3);
    policy.members = 3;
    assert_int_equal(rung_policy_top_level(&policy, 3), 2);
    assert_false(rung_policy_leaves_early(&policy));
    policy.offload.early[1] = 0.6;
    assert_true(rung_policy_leaves_early(&policy));
    policy.offload.early[1] = 0;
    policy.offload.speculate[0] = 0.6;
    assert_true(rung_policy_leaves_early(&policy));
    assert_int_equal(rung_policy_importance_layers(&policy, 6), 2);
}

static void refuse(const rung_policy *policy, const rung_calibration *calibration, const char *message)
{
    rung_error error = {0};
    assert_int_equal(rung_policy_check(policy, calibration, &error), RUNG_INVALID);
    assert_string_equal(error.message, message);
}

static void ranges_of_the_offload(void **state)
{
    (void)state;
    rung_calibration calibration = make_calibration();
    rung_policy policy = get("paper", 3);
    policy.offload.threshold[1] = 1.5;
    refuse(&policy, &calibration, "policy.offload.threshold of level 2 is 1.5; it must be from 0 to 1");
    policy.offload.threshold[1] = NAN;
    refuse(&policy, &calibration, "policy.offload.threshold of level 2 is nan; it must be from 0 to 1");
    policy = get("paper", 3);
    policy.offload.threshold[7] = -1; /* a level that this cascade does not have */
    assert_int_equal(rung_policy_check(&policy, &calibration, NULL), RUNG_OK);
    refuse(&policy, NULL, "policy.offload.threshold of level 8 is -1; it must be from 0 to 1");
    policy = get("paper", 3);
    policy.offload.k = 0;
    refuse(&policy, &calibration, "policy.offload.k is 0; it must be above 0 and finite, or hard");
    policy.offload.k = INFINITY;
    refuse(&policy, &calibration, "policy.offload.k is inf; it must be above 0 and finite, or hard");
    policy.offload.hard = true;
    assert_int_equal(rung_policy_check(&policy, &calibration, NULL), RUNG_OK);
}

static void ranges_of_prune_and_exit(void **state)
{
    (void)state;
    rung_calibration calibration = make_calibration();
    rung_policy policy = get("rung", 3);
    policy.prune.alpha = -0.5;
    refuse(&policy, &calibration, "policy.prune.alpha is -0.5; it must be 0 or above, and finite");
    policy = get("rung", 3);
    policy.prune.unit = (rung_prune_unit)9;
    refuse(&policy, &calibration, "policy.prune.unit is 9; it must be auto, token or word");
    policy = get("rung", 3);
    policy.exit.rule = (rung_exit_rule)7;
    refuse(&policy, &calibration, "policy.exit.rule is 7; it must be off, paper, agree, pabee, entropy or divergence");
    policy = get("rung", 3);
    policy.exit.tau = -1e-9;
    refuse(&policy, &calibration, "policy.exit.tau is -1e-09; it must be 0 or above, and finite");
    policy = get("rung", 3);
    policy.exit.patience = 0;
    refuse(&policy, &calibration, "policy.exit.patience is 0; it must be 1 or above");
    policy = get("rung", 3);
    policy.exit.confidence = 1.01;
    refuse(&policy, &calibration, "policy.exit.confidence is 1.01; it must be from 0 to 1");
    policy = get("rung", 3);
    policy.exit.first_layer = 0;
    refuse(&policy, &calibration, "policy.exit.first_layer is 0; layers count from 1");
}

static void ranges_of_the_rest(void **state)
{
    (void)state;
    rung_calibration calibration = make_calibration();
    rung_policy policy = get("rung", 3);
    policy.weights = (rung_weights)4;
    refuse(&policy, &calibration, "policy.ensemble.weights is 4; it must be accuracy, last, fitted or vote");
    policy = get("rung", 3);
    policy.defer = (rung_defer)2;
    refuse(&policy, &calibration, "policy.defer is 2; it must be confidence or learned");
    policy = get("rung", 3);
    policy.first_compute_level = 4;
    refuse(&policy, &calibration, "policy.first_compute_level is 4; it must be from 1 to 3");
    policy = get("rung", 3);
    policy.all_layer_importance = true;
    refuse(&policy, &calibration,
           "importance over all layers needs every layer to run; set policy.exit.rule to off, and policy.offload.early "
           "and policy.offload.speculate to 0");
    policy.exit.tau = 0;
    assert_int_equal(rung_policy_check(&policy, &calibration, NULL), RUNG_OK);
}

static void ranges_of_the_calibration(void **state)
{
    (void)state;
    rung_policy policy = get("rung", 3);
    rung_calibration calibration = make_calibration();
    calibration.num_levels = 9;
    refuse(&policy, &calibration, "the calibration has 9 levels; it must have 1 to 8");
    calibration = make_calibration();
    calibration.num_classes = 0;
    refuse(&policy, &calibration, "the calibration has no classes");
    calibration = make_calibration();
    calibration.level[2].num_exits = 0;
    refuse(&policy, &calibration, "calibration of level 3 has no exits; run rung fit");
    static const double broken[3] = {1, 0, 1};
    calibration = make_calibration();
    calibration.level[1].temperature = broken;
    refuse(&policy, &calibration,
           "calibration of level 2: the temperature of exit 2 is 0; it must be above 0 and finite");
    calibration = make_calibration();
    calibration.level[2].shape = broken;
    refuse(&policy, &calibration, "calibration of level 3: the shape of exit 2 is 0; it must be above 0 and finite");
    calibration = make_calibration();
    calibration.level[0].accuracy = NAN;
    refuse(&policy, &calibration, "calibration of level 1: the accuracy is nan; it must be from 0 to 1");
    double by_class[2] = {1, 1.5};
    calibration = make_calibration();
    calibration.level[1].class_accuracy = by_class;
    refuse(&policy, &calibration, "calibration of level 2: the accuracy of class 1 is 1.5; it must be from 0 to 1");
    by_class[1] = 0;
    assert_int_equal(rung_policy_check(&policy, &calibration, NULL), RUNG_OK);
}

static void ranges_of_the_pools(void **state)
{
    (void)state;
    rung_policy policy = get("rung", 3);
    rung_calibration calibration = make_calibration();
    rung_pool pools[8];
    for (size_t set = 0; set < 8; set++) {
        pools[set] = (rung_pool){.accuracy_temperature = 1, .fitted_temperature = 1};
    }
    calibration.pools = pools;
    assert_int_equal(rung_policy_check(&policy, &calibration, NULL), RUNG_OK); /* none was fitted */
    pools[5] = (rung_pool){.accuracy_temperature = 2, .fitted_temperature = 0.5, .fitted_weight = {0.25, 0, 0.75}};
    assert_int_equal(rung_policy_check(&policy, &calibration, NULL), RUNG_OK);
    pools[5].fitted_weight[2] = 0.5;
    refuse(&policy, &calibration, "calibration of pool 5: the weights add up to 0.75; they must to 1");
    pools[5].fitted_weight[1] = 0.25;
    refuse(&policy, &calibration,
           "calibration of pool 5: the weight of level 2 is 0.25; it must be 0: it is not in this set");
    pools[5].fitted_weight[1] = 0;
    pools[5].fitted_weight[2] = NAN;
    refuse(&policy, &calibration, "calibration of pool 5: the weight of level 3 is nan; it must be from 0 to 1");
    pools[5].fitted_weight[2] = 0.75;
    pools[6].accuracy_temperature = 0;
    refuse(&policy, &calibration, "calibration of pool 6: the temperature is 0; it must be above 0 and finite");
}

static void learned_deferral_needs_what_was_learned(void **state)
{
    (void)state;
    rung_policy policy = get("rung", 3);
    rung_calibration calibration = make_calibration();
    static const rung_deferral learned[3] = {{0}};
    policy.defer = RUNG_DEFER_LEARNED;
    calibration.level[0].deferral = learned;
    refuse(&policy, &calibration,
           "policy.defer is learned, but the calibration has no learned deferral for level 2; run rung fit, or use "
           "confidence");
    assert_int_equal(rung_policy_check(&policy, NULL, NULL), RUNG_OK);
    calibration.level[1].deferral = learned; /* the top decides nothing */
    assert_int_equal(rung_policy_check(&policy, &calibration, NULL), RUNG_OK);
    calibration.level[0].deferral = NULL;
    policy.first_compute_level = 2; /* level 1 only passes on */
    assert_int_equal(rung_policy_check(&policy, &calibration, NULL), RUNG_OK);
    policy = get("layer-skip", 3);
    policy.defer = RUNG_DEFER_LEARNED;
    refuse(&policy, NULL,
           "policy.defer is learned, from the states of models that run whole; set it to confidence, or policy.variant "
           "to none");
}

static void layers_of_the_importance(void **state)
{
    (void)state;
    rung_policy policy = get("rung", 3);
    assert_int_equal(rung_policy_importance_layers(&policy, 6), 2);
    policy.exit.first_layer = 4;
    assert_int_equal(rung_policy_importance_layers(&policy, 6), 4);
    assert_int_equal(rung_policy_importance_layers(&policy, 3), 3);
    policy.exit.rule = RUNG_EXIT_OFF;
    assert_int_equal(rung_policy_importance_layers(&policy, 6), 6);
    rung_policy tabi = get("tabi", 3);
    assert_int_equal(rung_policy_importance_layers(&tabi, 12), 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_passes_the_check),
        cmocka_unit_test(what_the_names_mean),
        cmocka_unit_test(unknown_name),
        cmocka_unit_test(names_with_a_number),
        cmocka_unit_test(members_and_what_leaves_early),
        cmocka_unit_test(ranges_of_the_offload),
        cmocka_unit_test(ranges_of_prune_and_exit),
        cmocka_unit_test(ranges_of_the_rest),
        cmocka_unit_test(ranges_of_the_calibration),
        cmocka_unit_test(ranges_of_the_pools),
        cmocka_unit_test(learned_deferral_needs_what_was_learned),
        cmocka_unit_test(layers_of_the_importance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
