/* test_policy_options.c: every option of a policy reaches its field, every field prints as its option, and what does not fit the cascade. */
#include "config/option_value.h"
#include "config/policy_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static rung_status take(rung_policy *policy, rung_option_id id, const char *text, uint32_t num_levels,
                        rung_error *error)
{
    rung_option_value value = {.origin = NULL};
    assert_int_equal(rung_option_value_parse(rung_option_spec_of(id), "x", text, &value, error), RUNG_OK);
    char origin[] = "c.yaml:7";
    value.origin = origin;
    rung_status status = rung_policy_option_take(id, &value, num_levels, policy, error);
    value.origin = NULL;
    rung_option_value_deinit(&value);
    return status;
}

static rung_policy rung_with(rung_option_id id, const char *text)
{
    rung_policy policy;
    rung_error error;
    assert_int_equal(rung_policy_defaults("rung", 3, &policy, &error), RUNG_OK);
    assert_int_equal(take(&policy, id, text, 3, &error), RUNG_OK);
    rung_buffer printed = {0};
    rung_policy_option_print(id, &policy, 3, &printed);
    assert_string_equal(printed.data, text);
    rung_buffer_deinit(&printed);
    return policy;
}

static void every_option_has_its_field(void **state)
{
    (void)state;
    assert_int_equal(rung_with(RUNG_OPTION_POLICY_FIRST_COMPUTE_LEVEL, "3").first_compute_level, 3);
    assert_int_equal(rung_with(RUNG_OPTION_POLICY_MEMBERS, "1, 3").members, 5);
    assert_int_equal(rung_with(RUNG_OPTION_POLICY_MEMBERS, "all").members, 0);
    assert_true(rung_with(RUNG_OPTION_POLICY_PARALLEL, "true").parallel);
    rung_policy policy = rung_with(RUNG_OPTION_POLICY_VARIANT, "power-bert(0.25)");
    assert_true(policy.variant.kind == RUNG_VARIANT_POWER_BERT && policy.variant.amount == 0.25);
    policy = rung_with(RUNG_OPTION_POLICY_VARIANT, "none");
    assert_true(policy.variant.kind == RUNG_VARIANT_NONE && policy.variant.amount == 1);
    policy = rung_with(RUNG_OPTION_POLICY_OFFLOAD_THRESHOLD, "0.9, 0.8, 0.7");
    assert_true(policy.offload.threshold[1] == 0.8 && policy.offload.threshold[7] == 0.7);
    policy = rung_with(RUNG_OPTION_POLICY_OFFLOAD_K, "7.5");
    assert_true(!policy.offload.hard && policy.offload.k == 7.5);
    assert_true(rung_with(RUNG_OPTION_POLICY_OFFLOAD_K, "hard").offload.hard);
    policy = rung_with(RUNG_OPTION_POLICY_OFFLOAD_RANDOM, "0.3");
    assert_true(policy.offload.at_random && policy.offload.share == 0.3);
    assert_false(rung_with(RUNG_OPTION_POLICY_OFFLOAD_RANDOM, "off").offload.at_random);
    assert_true(rung_with(RUNG_OPTION_POLICY_OFFLOAD_SKIP, "0.4").offload.skip[7] == 0.4);
    assert_true(rung_with(RUNG_OPTION_POLICY_OFFLOAD_EARLY, "0.6, 0, 0.5").offload.early[2] == 0.5);
    assert_true(rung_with(RUNG_OPTION_POLICY_OFFLOAD_SPECULATE, "0, 0.6, 0").offload.speculate[1] == 0.6);
    assert_int_equal(rung_with(RUNG_OPTION_POLICY_DEFER, "learned").defer, RUNG_DEFER_LEARNED);
    assert_false(rung_with(RUNG_OPTION_POLICY_PRUNE_ENABLED, "false").prune.enabled);
    assert_true(rung_with(RUNG_OPTION_POLICY_PRUNE_ALPHA, "1.25").prune.alpha == 1.25);
    assert_int_equal(rung_with(RUNG_OPTION_POLICY_PRUNE_UNIT, "word").prune.unit, RUNG_PRUNE_WORD);
    assert_true(rung_with(RUNG_OPTION_POLICY_PRUNE_LAYERS, "all").all_layer_importance);
    assert_int_equal(rung_with(RUNG_OPTION_POLICY_EXIT_RULE, "pabee").exit.rule, RUNG_EXIT_PABEE);
    assert_int_equal(rung_with(RUNG_OPTION_POLICY_EXIT_RULE, "entropy").exit.rule, RUNG_EXIT_ENTROPY);
    assert_int_equal(rung_with(RUNG_OPTION_POLICY_EXIT_RULE, "divergence").exit.rule, RUNG_EXIT_DIVERGENCE);
    assert_true(rung_with(RUNG_OPTION_POLICY_EXIT_TAU, "0.125").exit.tau == 0.125);
    assert_int_equal(rung_with(RUNG_OPTION_POLICY_EXIT_PATIENCE, "3").exit.patience, 3);
    assert_true(rung_with(RUNG_OPTION_POLICY_EXIT_CONFIDENCE, "0.5").exit.confidence == 0.5);
    policy = rung_with(RUNG_OPTION_POLICY_EXIT_ENTROPY, "0.5, 0.25");
    assert_true(policy.exit.entropy[0] == 0.5 && policy.exit.entropy[1] == 0.25 && policy.exit.entropy[31] == 0.25);
    assert_true(rung_with(RUNG_OPTION_POLICY_EXIT_ENTROPY, "0").exit.entropy[31] == 0);
    assert_int_equal(rung_with(RUNG_OPTION_POLICY_EXIT_FIRST_LAYER, "4").exit.first_layer, 4);
    assert_int_equal(rung_with(RUNG_OPTION_POLICY_ENSEMBLE_WEIGHTS, "vote").weights, RUNG_WEIGHTS_VOTE);
    assert_false(rung_with(RUNG_OPTION_POLICY_ENSEMBLE_DECIDE_ON, "own").pooled_decision);
    assert_true(rung_with(RUNG_OPTION_POLICY_ENSEMBLE_SOFTMAX, "raw").raw_ensemble);
}

/* The range of ids holds the keys of policy but for its name and seed. */
static void the_range_is_complete(void **state)
{
    (void)state;
    for (rung_option_id id = 0; id < RUNG_OPTION_COUNT; id++) {
        bool inside = id >= RUNG_FIRST_POLICY_OPTION && id <= RUNG_LAST_POLICY_OPTION;
        bool named = rung_option_spec_of(id)->group == RUNG_GROUP_POLICY && id != RUNG_OPTION_POLICY_NAME &&
                     id != RUNG_OPTION_POLICY_SEED;
        assert_int_equal(inside, named);
    }
}

static void what_does_not_fit(void **state)
{
    (void)state;
    static const struct {
        rung_option_id id;
        const char *text;
        const char *message;
    } bad[] = {
        {RUNG_OPTION_POLICY_FIRST_COMPUTE_LEVEL, "3",
         "c.yaml:7: policy.first_compute_level is 3; the cascade has 2 levels only"},
        {RUNG_OPTION_POLICY_MEMBERS, "1,3", "c.yaml:7: policy.members has level 3; the cascade has 2 levels only"},
        {RUNG_OPTION_POLICY_OFFLOAD_THRESHOLD, "1,1,1",
         "c.yaml:7: policy.offload.threshold has 3 numbers; give one, or one for each of the 2 levels (the top one's "
         "may be left out)"},
        {RUNG_OPTION_POLICY_OFFLOAD_SKIP, "1,1,1",
         "c.yaml:7: policy.offload.skip has 3 numbers; give one, or one for each of the 2 levels (the top one's may be "
         "left out)"},
        {RUNG_OPTION_POLICY_OFFLOAD_EARLY, "1,1,1",
         "c.yaml:7: policy.offload.early has 3 numbers; give one, or one for each of the 2 levels (the top one's may "
         "be left out)"},
        {RUNG_OPTION_POLICY_OFFLOAD_SPECULATE, "1,1,1",
         "c.yaml:7: policy.offload.speculate has 3 numbers; give one, or one for each of the 2 levels (the top one's "
         "may be left out)"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rung_policy policy;
        rung_policy before;
        rung_error error;
        assert_int_equal(rung_policy_defaults("rung", 2, &policy, &error), RUNG_OK);
        before = policy;
        assert_int_equal(take(&policy, bad[i].id, bad[i].text, 2, &error), RUNG_INVALID);
        assert_string_equal(error.message, bad[i].message);
        assert_memory_equal(&policy, &before, sizeof policy);
    }
    rung_policy policy;
    rung_error error;
    assert_int_equal(rung_policy_defaults("rung", 1, &policy, &error), RUNG_OK);
    assert_int_equal(take(&policy, RUNG_OPTION_POLICY_MEMBERS, "2", 1, &error), RUNG_INVALID);
    assert_string_equal(error.message, "c.yaml:7: policy.members has level 2; the cascade has 1 level only");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_has_its_field),
        cmocka_unit_test(the_range_is_complete),
        cmocka_unit_test(what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
