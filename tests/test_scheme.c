/* test_scheme.c: which policies have pools fitted, on which sets of levels, and that the pools are of the rows that reach those sets. */
#include "base/order.h"
#include "cascade/ensemble.h"
#include "fit/fit_pools.h"
#include "fit/pool.h"
#include "plan_fixture.h"

#define SETS 8

static plan_fixture fixture;

static int open_all(void **state)
{
    (void)state;
    plan_fixture_open(&fixture);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    plan_fixture_close(&fixture);
    return 0;
}

static double sum_of_weights(const rung_pool *pool)
{
    double sum = 0;
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        sum += pool->fitted_weight[l];
    }
    return sum;
}

static void pool_is_not_fitted(const rung_pool *pool)
{
    assert_true(pool->accuracy_temperature == 1 && pool->fitted_temperature == 1);
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        assert_true(pool->fitted_weight[l] == 0);
    }
}

static void pool_is_fitted(const rung_pool *pool, uint32_t set)
{
    assert_true(pool->accuracy_temperature > 0 && pool->fitted_temperature > 0);
    plan_near("weights", sum_of_weights(pool), 1);
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        assert_true(pool->fitted_weight[l] >= 0);
        assert_true((set >> l & 1) != 0 || pool->fitted_weight[l] == 0);
    }
}

/* Plain offloading at these thresholds, without exits and pruning, its levels pooled with these weights. */
static rung_policy plain(rung_weights weights, double first, double second)
{
    rung_policy policy = plan_policy(&fixture, "tangobert");
    policy.weights = weights;
    policy.offload.threshold[0] = first;
    policy.offload.threshold[1] = second;
    return policy;
}

/* Pools with numbers that a fit must put out of the way. */
static rung_scheme fit(const rung_policy *policy)
{
    rung_scheme scheme;
    memset(&scheme, 0x40, sizeof scheme);
    scheme.policy = *policy;
    assert_ok(rung_scheme_fit(fixture.study, &scheme, error));
    return scheme;
}

static void only_where_results_are_pooled(void **state)
{
    (void)state;
    rung_policy without[] = {
        plain(RUNG_WEIGHTS_LAST, 1, 1),     plain(RUNG_WEIGHTS_VOTE, 1, 1),     plan_policy(&fixture, "tabi"),
        plain(RUNG_WEIGHTS_FITTED, 1, 1),   plain(RUNG_WEIGHTS_ACCURACY, 1, 1), plan_policy(&fixture, "cocktail"),
        plan_policy(&fixture, "single(2)"),
    };
    without[3].raw_ensemble = true;
    without[4].raw_ensemble = true;
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++) {
        rung_scheme scheme = fit(&without[i]);
        for (uint32_t set = 0; set < SETS; set++) {
            pool_is_not_fitted(&scheme.pools[set]);
        }
    }
    static const rung_weights with[] = {RUNG_WEIGHTS_FITTED, RUNG_WEIGHTS_ACCURACY};
    for (size_t i = 0; i < 2; i++) {
        rung_policy policy = plain(with[i], 1, 1);
        rung_scheme scheme = fit(&policy);
        for (uint32_t set = 0; set < SETS; set++) {
            if (set == 3 || set == 7) {
                pool_is_fitted(&scheme.pools[set], set);
            } else {
                pool_is_not_fitted(&scheme.pools[set]);
            }
        }
    }
}

/* How many calibration rows have visited the set when its highest level has answered. */
static size_t count_rows(const rung_scheme *scheme, uint32_t set, uint32_t level)
{
    static rung_outcome outcomes[EVALUATION_ROWS];
    const rung_rows *rows = &fixture.study->calibrate;
    size_t count = 0;
    assert_ok(rung_scheme_replay(fixture.study, scheme, NULL, rows, false, outcomes, error));
    for (size_t i = 0; i < rows->count; i++) {
        count += (outcomes[i].visited & ((1u << level) - 1)) == set;
    }
    return count;
}

/* Returns how many sets are fitted. */
static size_t fitted_where_rows_suffice(const rung_scheme *scheme)
{
    size_t fitted = 0;
    for (uint32_t level = 2; level <= 3; level++) {
        uint32_t top = 1u << (level - 1);
        for (uint32_t set = top + 1; set < 2 * top; set++) {
            if (count_rows(scheme, set, level) >= RUNG_FIT_MIN_ROWS) {
                pool_is_fitted(&scheme->pools[set], set);
                fitted++;
            } else {
                pool_is_not_fitted(&scheme->pools[set]);
            }
        }
    }
    return fitted;
}

/* Just as many rows as are needed go up, and one less. */
static void twenty_rows_are_needed(void **state)
{
    (void)state;
    static rung_outcome outcomes[EVALUATION_ROWS];
    const rung_rows *rows = &fixture.study->calibrate;
    double scores[EVALUATION_ROWS];
    rung_policy policy = plain(RUNG_WEIGHTS_FITTED, 1, 0);
    rung_scheme scheme = fit(&policy);
    assert_ok(rung_scheme_replay(fixture.study, &scheme, NULL, rows, true, outcomes, error));
    for (size_t i = 0; i < rows->count; i++) {
        scores[i] = (double)outcomes[i].decided_score[0];
    }
    rung_sort(scores, rows->count);
    assert_true(rows->count > RUNG_FIT_MIN_ROWS);
    for (size_t wanted = RUNG_FIT_MIN_ROWS - 1; wanted <= RUNG_FIT_MIN_ROWS; wanted++) {
        assert_true(scores[wanted - 1] < scores[wanted]);
        policy.offload.threshold[0] = (scores[wanted - 1] + scores[wanted]) / 2;
        scheme = fit(&policy);
        assert_int_equal(count_rows(&scheme, 3, 2), wanted);
        assert_int_equal(fitted_where_rows_suffice(&scheme), wanted >= RUNG_FIT_MIN_ROWS);
    }
    policy = plain(RUNG_WEIGHTS_FITTED, 0, 0);
    scheme = fit(&policy);
    assert_int_equal(count_rows(&scheme, 1, 3), rows->count);
    assert_int_equal(fitted_where_rows_suffice(&scheme), 0);
}

/* Who reaches level 3 depends on the pool of the levels below it: also with pooled decisions, exits, pruning and levels that are passed by. */
static void sets_of_any_policy(void **state)
{
    (void)state;
    static const double thresholds[] = {0.3, 0.4, 0.5, 0.6, 0.8, 1};
    rung_prng prng = {.state = 3};
    size_t fitted = 0;
    size_t sets[SETS] = {0};
    for (size_t round = 0; round < 40; round++) {
        rung_policy policy = plan_policy(&fixture, "rung");
        policy.offload.threshold[0] = thresholds[rung_prng_below(&prng, 6)];
        policy.offload.threshold[1] = thresholds[rung_prng_below(&prng, 6)];
        policy.offload.skip[0] = rung_prng_below(&prng, 3) == 0 ? 1 : 0;
        policy.offload.early[0] = rung_prng_below(&prng, 3) == 0 ? 0.6 : 0;
        policy.offload.speculate[0] = rung_prng_below(&prng, 3) == 0 ? 0.5 : 0;
        policy.exit.rule = rung_prng_below(&prng, 2) == 0 ? RUNG_EXIT_AGREE : RUNG_EXIT_OFF;
        policy.weights = rung_prng_below(&prng, 4) == 0 ? RUNG_WEIGHTS_ACCURACY : RUNG_WEIGHTS_FITTED;
        policy.prune.enabled = rung_prng_below(&prng, 2) == 0;
        static const uint32_t members[] = {0, 5, 6};
        policy.members = members[rung_prng_below(&prng, 3)];
        rung_scheme scheme = fit(&policy);
        fitted += fitted_where_rows_suffice(&scheme);
        for (uint32_t set = 0; set < SETS; set++) {
            sets[set] += sum_of_weights(&scheme.pools[set]) > 0;
        }
        assert_true(sum_of_weights(&scheme.pools[1]) == 0);
    }
    assert_true(fitted > 20 && sets[3] > 0 && sets[5] > 0 && sets[6] > 0 && sets[7] > 0);
    assert_true(sets[0] == 0 && sets[1] == 0 && sets[2] == 0 && sets[4] == 0);
}

/* What the weights are fitted to: negative log likelihood of the pool over the calibration rows, before its temperature, and the prior of even weights. */
static double pool_loss(const rung_scheme *scheme, const double *probabilities, rung_weights kind)
{
    const rung_study *study = fixture.study;
    rung_calibration calibration = study->calibration;
    calibration.pools = scheme->pools;
    static const bool all[] = {true, true, true};
    double weights[3];
    double loss = 0;
    rung_ensemble_weights(kind, &calibration, all, weights);
    for (size_t i = 0; i < study->calibrate.count; i++) {
        size_t row = study->calibrate.rows[i];
        const double *said[3];
        double pooled[PLAN_CLASSES];
        for (size_t l = 0; l < 3; l++) {
            said[l] = probabilities + (row * 3 + l) * PLAN_CLASSES;
        }
        rung_ensemble_pool(weights, said, 3, PLAN_CLASSES, pooled);
        loss -= log(pooled[study->labels[row]]);
    }
    for (size_t l = 0; l < 3; l++) {
        loss -= RUNG_POOL_PRIOR / 3 * log(weights[l]);
    }
    return loss;
}

/* No weights by hand do better than those fitted. */
static void weights_are_the_likeliest(void **state)
{
    (void)state;
    static rung_outcome outcomes[EVALUATION_ROWS];
    static double probabilities[EVALUATION_ROWS * 3 * PLAN_CLASSES];
    const rung_study *study = fixture.study;
    rung_policy policy = plain(RUNG_WEIGHTS_FITTED, 1, 1);
    rung_scheme scheme = fit(&policy);
    rung_calibration calibration = study->calibration;
    calibration.pools = scheme.pools;
    rung_replay_call call = {.policy = &scheme.policy,
                             .calibration = &calibration,
                             .rows = study->calibrate.rows,
                             .num_rows = study->calibrate.count,
                             .probabilities = probabilities};
    assert_ok(rung_replay_run(study->replay, &call, outcomes, error));
    double fitted = pool_loss(&scheme, probabilities, RUNG_WEIGHTS_FITTED);
    assert_true(fitted <= pool_loss(&scheme, probabilities, RUNG_WEIGHTS_ACCURACY) + 1e-9);
    for (size_t a = 1; a < 20; a++) {
        for (size_t b = 1; a + b < 20; b++) {
            rung_scheme other = scheme;
            double *weight = other.pools[7].fitted_weight;
            weight[0] = (double)a / 20;
            weight[1] = (double)b / 20;
            weight[2] = 1 - weight[0] - weight[1];
            assert_true(fitted <= pool_loss(&other, probabilities, RUNG_WEIGHTS_FITTED) + 1e-6);
        }
    }
}

static void a_refused_policy_is_named(void **state)
{
    (void)state;
    rung_scheme scheme = {.policy = plain(RUNG_WEIGHTS_FITTED, 1, 2)};
    assert_fails(rung_scheme_fit(fixture.study, &scheme, error), RUNG_INVALID,
                 "policy.offload.threshold of level 2 is 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_where_results_are_pooled),
        cmocka_unit_test(twenty_rows_are_needed),
        cmocka_unit_test(sets_of_any_policy),
        cmocka_unit_test(weights_are_the_likeliest),
        cmocka_unit_test(a_refused_policy_is_named),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
