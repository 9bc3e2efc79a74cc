/* test_methods.c: what each method may tune: knobs that fit, that do something, and whose values are policies; parts that are taken away from "rung". */
#include "base/prng.h"
#include "cascade/deferral.h"
#include "eval/methods.h"
#include "model_fixture.h"

#define MOST_LEVELS 6

static const char *const baselines[] = {"tabi",    "tangobert", "paper",      "pabee",      "branchynet", "deebert",
                                        "f-pabee", "cocktail",  "layer-skip", "power-bert", "random",     "single"};
#define NUM_BASELINES (sizeof baselines / sizeof baselines[0])

/* RUNG_PART_LEARNED is the last bit. */
#define NUM_PARTS 8
_Static_assert(RUNG_PART_LEARNED == 1 << (NUM_PARTS - 1), "a bit for each part");

/* Levels of three layers, calibrated; without models, which methods do not look at. */
static rung_cascade *cascade_of(uint32_t num_levels, bool learned)
{
    static const double temperatures[] = {1, 1, 1};
    static const rung_deferral deferral[3];
    static rung_cascade cascade;
    cascade = (rung_cascade){.num_levels = num_levels, .num_classes = 2};
    cascade.calibration = (rung_calibration){.num_levels = num_levels, .num_classes = 2};
    for (uint32_t l = 0; l < num_levels; l++) {
        cascade.calibration.level[l] =
            (rung_level_calibration){.num_exits = 3, .temperature = temperatures, .accuracy = 0.9};
        if (learned && l + 1 < num_levels) {
            cascade.calibration.level[l].deferral = deferral;
        }
    }
    return &cascade;
}

static rung_method baseline(const rung_cascade *cascade, const char *name)
{
    rung_method method;
    assert_ok(rung_method_baseline(cascade, name, &method, error));
    return method;
}

static rung_policy base_of(const rung_method *method, const rung_cascade *cascade)
{
    rung_policy policy;
    assert_ok(rung_policy_defaults(method->policy, cascade->num_levels, &policy, error));
    return policy;
}

static void set(const rung_method *method, size_t k, size_t value, rung_policy *policy)
{
    const rung_knob *knob = &method->knobs[k];
    assert_true(value < knob->num_values);
    knob->set(policy, knob->level, knob->values[value]);
}

static void set_usual(const rung_method *method, rung_policy *policy)
{
    for (size_t k = 0; k < method->num_knobs; k++) {
        set(method, k, method->knobs[k].usual, policy);
    }
}

static void set_any(const rung_method *method, rung_prng *prng, rung_policy *policy)
{
    for (size_t k = 0; k < method->num_knobs; k++) {
        set(method, k, (size_t)rung_prng_below(prng, method->knobs[k].num_values), policy);
    }
}

/* Calls `check` with every method on cascades of 2 levels and more. */
static void with_every_method(void (*check)(const rung_method *method, const rung_cascade *cascade))
{
    for (uint32_t levels = 2; levels <= MOST_LEVELS; levels++) {
        for (int learned = 0; learned < 2; learned++) {
            const rung_cascade *cascade = cascade_of(levels, learned != 0);
            for (size_t i = 0; i < NUM_BASELINES; i++) {
                rung_method method = baseline(cascade, baselines[i]);
                check(&method, cascade);
            }
            for (unsigned without = 0; without < 1u << NUM_PARTS; without++) {
                rung_method method;
                rung_method_rung(cascade, without, &method);
                check(&method, cascade);
            }
        }
    }
}

static void check_lists(const rung_method *method, const rung_cascade *cascade)
{
    (void)cascade;
    assert_true(method->num_knobs >= 1 && method->num_knobs <= RUNG_TUNE_MAX_KNOBS);
    for (size_t k = 0; k < method->num_knobs; k++) {
        const rung_knob *knob = &method->knobs[k];
        assert_true(knob->name != NULL && knob->name[0] != '\0' && knob->set != NULL);
        assert_true(knob->num_values >= 1 && knob->num_values <= 256 && knob->usual < knob->num_values);
        for (size_t other = 0; other < k; other++) {
            assert_string_not_equal(knob->name, method->knobs[other].name);
        }
    }
}

static void lists_fit(void **state)
{
    (void)state;
    with_every_method(check_lists);
}

/* Each value of a setting gives another policy than every other. */
static void check_setters(const rung_method *method, const rung_cascade *cascade)
{
    rung_policy base = base_of(method, cascade);
    set_usual(method, &base);
    for (size_t k = 0; k < method->num_knobs; k++) {
        rung_policy made[32];
        assert_true(method->knobs[k].num_values <= 32);
        for (size_t v = 0; v < method->knobs[k].num_values; v++) {
            memcpy(&made[v], &base, sizeof base);
            set(method, k, v, &made[v]);
            for (size_t other = 0; other < v; other++) {
                if (memcmp(&made[v], &made[other], sizeof base) == 0) {
                    fail_msg("%s: values %zu and %zu of %s are one policy", method->name, other, v,
                             method->knobs[k].name);
                }
            }
        }
    }
}

static void every_setting_changes_the_policy(void **state)
{
    (void)state;
    with_every_method(check_setters);
}

static void check_policy(const rung_method *method, const rung_cascade *cascade, const rung_policy *policy)
{
    rung_error error = {.message = ""};
    rung_status status = rung_policy_check(policy, &cascade->calibration, &error);
    if (status != RUNG_OK && (status != RUNG_INVALID || strstr(error.message, "policy.") == NULL)) {
        fail_msg("%s: %s \"%s\"", method->name, rung_status_name(status), error.message);
    }
}

/* The usual settings are a policy; so is every value beside them, or the check says what is wrong with it. */
static void check_values(const rung_method *method, const rung_cascade *cascade)
{
    rung_policy usual = base_of(method, cascade);
    set_usual(method, &usual);
    assert_ok(rung_policy_check(&usual, &cascade->calibration, error));
    for (size_t k = 0; k < method->num_knobs; k++) {
        for (size_t v = 0; v < method->knobs[k].num_values; v++) {
            rung_policy policy = usual;
            set(method, k, v, &policy);
            check_policy(method, cascade, &policy);
        }
    }
    rung_prng prng = {.state = cascade->num_levels};
    size_t good = 0;
    for (size_t round = 0; round < 20; round++) {
        rung_policy policy = base_of(method, cascade);
        set_any(method, &prng, &policy);
        check_policy(method, cascade, &policy);
        good += rung_policy_check(&policy, &cascade->calibration, NULL) == RUNG_OK;
    }
    assert_true(good > 10);
}

static void every_value_is_a_policy(void **state)
{
    (void)state;
    with_every_method(check_values);
}

static bool has_knob(const rung_method *method, const char *name)
{
    bool has = false;
    for (size_t k = 0; k < method->num_knobs; k++) {
        has = has || strcmp(method->knobs[k].name, name) == 0;
    }
    return has;
}

static void baselines_by_name(void **state)
{
    (void)state;
    const rung_cascade *cascade = cascade_of(3, false);
    for (size_t i = 0; i < NUM_BASELINES; i++) {
        rung_method method = baseline(cascade, baselines[i]);
        assert_string_equal(method.name, baselines[i]);
        assert_string_equal(method.policy, baselines[i]);
        bool thresholds = strcmp(baselines[i], "cocktail") != 0 && strcmp(baselines[i], "random") != 0 &&
                          strcmp(baselines[i], "single") != 0;
        assert_int_equal(has_knob(&method, "t1"), thresholds);
        assert_int_equal(has_knob(&method, "t2"), thresholds);
        assert_false(has_knob(&method, "t3"));
    }
    /* What is a policy but no baseline is unknown here, too. */
    static const char *const unknown[] = {"rung", "Tabi", "", "single(1)", "nothing of the kind"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        rung_method method = {.name = "untouched"};
        assert_fails(rung_method_baseline(cascade, unknown[i], &method, error), RUNG_NOT_FOUND, unknown[i]);
        assert_fails(rung_method_baseline(cascade, unknown[i], &method, error), RUNG_NOT_FOUND,
                     "is unknown; use rung, tabi, tangobert, paper, pabee");
        assert_string_equal(method.name, "untouched");
        assert_int_equal(method.num_knobs, 0);
    }
}

static void single_is_any_level(void **state)
{
    (void)state;
    for (uint32_t levels = 2; levels <= MOST_LEVELS; levels++) {
        const rung_cascade *cascade = cascade_of(levels, false);
        rung_method method = baseline(cascade, "single");
        assert_int_equal(method.num_knobs, 1);
        assert_int_equal(method.knobs[0].num_values, levels);
        for (uint32_t l = 1; l <= levels; l++) {
            rung_policy policy = base_of(&method, cascade);
            set(&method, 0, l - 1, &policy);
            assert_int_equal(policy.first_compute_level, l);
            assert_int_equal(rung_policy_top_level(&policy, levels), l);
        }
    }
}

/* Whatever is drawn, the policy has nothing of the part. */
static void check_gone(unsigned without, const rung_policy *policy)
{
    assert_true((without & RUNG_PART_PRUNING) == 0 || !policy->prune.enabled);
    assert_true((without & RUNG_PART_ENSEMBLE) == 0 || policy->weights == RUNG_WEIGHTS_LAST);
    assert_true((without & (RUNG_PART_POOLED | RUNG_PART_ENSEMBLE)) == 0 || !policy->pooled_decision);
    assert_true((without & RUNG_PART_EARLY_EXIT) == 0 || policy->exit.rule == RUNG_EXIT_OFF);
    assert_true((without & RUNG_PART_SKIPPING) == 0 || policy->members == 0);
    assert_true((without & RUNG_PART_LEARNED) == 0 || policy->defer == RUNG_DEFER_CONFIDENCE);
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        assert_true((without & RUNG_PART_EARLY_OFFLOAD) == 0 || policy->offload.early[l] == 0);
        assert_true((without & RUNG_PART_SPECULATION) == 0 || policy->offload.speculate[l] == 0);
        assert_true((without & RUNG_PART_SKIPPING) == 0 || policy->offload.skip[l] == 0);
    }
}

/* Which parts a policy makes use of. */
static unsigned parts_of(const rung_policy *policy)
{
    unsigned has = 0;
    has |= policy->prune.enabled ? RUNG_PART_PRUNING : 0u;
    has |= policy->weights != RUNG_WEIGHTS_LAST ? RUNG_PART_ENSEMBLE : 0u;
    has |= policy->exit.rule != RUNG_EXIT_OFF ? RUNG_PART_EARLY_EXIT : 0u;
    has |= policy->pooled_decision ? RUNG_PART_POOLED : 0u;
    has |= policy->offload.early[0] > 0 ? RUNG_PART_EARLY_OFFLOAD : 0u;
    has |= policy->offload.speculate[0] > 0 ? RUNG_PART_SPECULATION : 0u;
    has |= policy->members != 0 || policy->offload.skip[0] > 0 ? RUNG_PART_SKIPPING : 0u;
    has |= policy->defer == RUNG_DEFER_LEARNED ? RUNG_PART_LEARNED : 0u;
    return has;
}

static void parts_that_are_taken_away_are_gone(void **state)
{
    (void)state;
    for (uint32_t levels = 2; levels <= 4; levels++) {
        const rung_cascade *cascade = cascade_of(levels, true);
        rung_prng prng = {.state = levels};
        for (unsigned without = 0; without < 1u << NUM_PARTS; without++) {
            rung_method method;
            unsigned seen = 0;
            rung_method_rung(cascade, without, &method);
            assert_string_equal(method.policy, "rung");
            for (size_t round = 0; round < 60; round++) {
                rung_policy policy = base_of(&method, cascade);
                set_any(&method, &prng, &policy);
                check_gone(without, &policy);
                seen |= parts_of(&policy);
            }
            /* The others are still there. A pool of one level's result is none; four levels have no sets to choose from, but the skip. */
            unsigned gone = without & RUNG_PART_ENSEMBLE ? without | RUNG_PART_POOLED : without;
            assert_int_equal(seen, ((1u << NUM_PARTS) - 1) & ~gone);
        }
    }
}

static void learned_deferral_where_there_is_one(void **state)
{
    (void)state;
    rung_method method;
    rung_method_rung(cascade_of(3, true), RUNG_PART_NONE, &method);
    assert_true(has_knob(&method, "learned"));
    rung_method_rung(cascade_of(3, false), RUNG_PART_NONE, &method);
    assert_false(has_knob(&method, "learned"));
    rung_cascade *cascade = cascade_of(3, true);
    cascade->calibration.level[1].deferral = NULL;
    rung_method_rung(cascade, RUNG_PART_NONE, &method);
    assert_false(has_knob(&method, "learned"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_fit),
        cmocka_unit_test(every_setting_changes_the_policy),
        cmocka_unit_test(every_value_is_a_policy),
        cmocka_unit_test(baselines_by_name),
        cmocka_unit_test(single_is_any_level),
        cmocka_unit_test(parts_that_are_taken_away_are_gone),
        cmocka_unit_test(learned_deferral_where_there_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
