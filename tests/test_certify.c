/* test_certify.c: the order and the stop of fixed-sequence testing, and how often it is wrong: a pool of requests is
 * the population, data sets are drawn from it with replacement, and a certified policy whose risk in the pool is above
 * the limit is a violation. */
#include "base/order.h"
#include "base/prng.h"
#include "plan/certify.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void stops_at_the_first_that_fails(void **state)
{
    (void)state;
    static const double opt_p[] = {0.2, 1e-9, 0.2, 1e-3, 0};
    static const double cert_p[] = {0.01, 0.05, 0.0, 0.051, 0.02};
    size_t order[5];
    size_t held = 9;
    rung_error error;
    assert_int_equal(rung_certify(opt_p, cert_p, 5, 0.05, order, &held, &error), RUNG_OK);
    static const size_t expected[] = {4, 1, 3, 0, 2};
    assert_memory_equal(order, expected, sizeof expected);
    assert_int_equal(held, 2); /* those after it are not looked at */
    assert_int_equal(rung_certify(opt_p, cert_p, 5, 0.06, order, &held, &error), RUNG_OK);
    assert_int_equal(held, 5);
    assert_int_equal(rung_certify(opt_p, cert_p, 0, 0.05, order, &held, &error), RUNG_OK);
    assert_int_equal(held, 0);
}

static void wrong_input(void **state)
{
    (void)state;
    static const double good[] = {0.1, 0.2};
    static const double bad[] = {0.1, NAN};
    size_t order[2] = {7, 7};
    size_t held = 9;
    rung_error error = {0};
    assert_int_equal(rung_certify(good, bad, 2, 0.05, order, &held, &error), RUNG_INVALID);
    assert_string_equal(error.message, "candidate 1: the p-value is not a number");
    assert_int_equal(rung_certify(bad, good, 2, 0.05, order, &held, &error), RUNG_INVALID);
    static const uint64_t some[] = {3, 5};
    static const uint64_t many[] = {3, 101};
    assert_int_equal(rung_certify_counts((rung_loss_counts){some, 100}, (rung_loss_counts){many, 100}, 2, 0.02, 0.05,
                                         order, &held, NULL, &error),
                     RUNG_INVALID);
    assert_string_equal(error.message, "candidate 1: 101 errors among 100 requests");
    assert_true(held == 9 && order[0] == 7);
}

static void counts(void **state)
{
    (void)state;
    static const uint64_t opt[] = {30, 1, 10, 2};
    static const uint64_t cert[] = {0, 1, 39, 38};
    size_t order[4];
    size_t held = 0;
    double p[4];
    rung_error error;
    assert_int_equal(rung_certify_counts((rung_loss_counts){opt, 2500}, (rung_loss_counts){cert, 5000}, 4, 0.01, 0.05,
                                         order, &held, p, &error),
                     RUNG_OK);
    static const size_t expected[] = {1, 3, 2, 0};
    assert_memory_equal(order, expected, sizeof expected);
    assert_int_equal(held, 2);
    assert_true(p[3] <= 0.05 && p[2] > 0.05 && p[0] < p[1]);
    static const double latency_ms[] = {1, 9, 2, 9};
    size_t fastest = 77;
    assert_true(rung_certify_fastest(order, held, latency_ms, &fastest));
    assert_int_equal(fastest, 1); /* of equal ones the safer */
    assert_false(rung_certify_fastest(order, 0, latency_ms, &fastest));
    assert_int_equal(fastest, 1);
}

static void targets_and_words(void **state)
{
    (void)state;
    rung_error error = {0};
    static const double wrong[] = {0, 1, -0.1, 1.5, NAN};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(rung_target_check((rung_target){RUNG_TARGET_AGREEMENT, wrong[i]}, &error), RUNG_INVALID);
    }
    assert_non_null(strstr(error.message, "agreement with the top level"));
    rung_target agreement = {RUNG_TARGET_AGREEMENT, 0.98};
    assert_int_equal(rung_target_check(agreement, &error), RUNG_OK);
    assert_true(fabs(rung_target_epsilon(agreement) - 0.02) < 1e-15);
    assert_true(rung_target_epsilon((rung_target){RUNG_TARGET_NO_WORSE, 0.01}) == 0.01);
    rung_buffer text = {0};
    rung_certify_statement(agreement, 0.05, 5000, &text);
    assert_non_null(strstr(text.data, "With confidence 0.95 over the 5000 requests"));
    assert_non_null(strstr(text.data, "not the top level's and not degraded is at most 0.02, on average"));
    rung_buffer_deinit(&text);
}

/* The population: POOL requests; policies of FAMILIES kinds of confidence, each with STEPS thresholds. A policy answers
 * a request below when its kind of confidence is above the threshold, and then errs where the levels differ. Step 0
 * always asks the top. */
enum { POOL = 6000, FAMILIES = 3, STEPS = 80, POLICIES = FAMILIES * STEPS, DRAWS = 1000, OPT = 2500, CERT = 5000 };
#define EPSILON 0.02
#define DELTA 0.05

typedef struct population {
    uint8_t steps[POOL][FAMILIES]; /* policies 0 .. steps-1 of the family ask the top */
    bool differs[POOL];
    double risk[POLICIES];
    double latency_ms[POLICIES];
} population;

static void make_population(population *pool)
{
    rung_prng prng = {11};
    uint64_t answered[POLICIES] = {0};
    uint64_t errors[POLICIES] = {0};
    for (size_t i = 0; i < POOL; i++) {
        double ease = rung_prng_uniform(&prng);
        pool->differs[i] = rung_prng_uniform(&prng) < 0.3 * (1 - ease) * (1 - ease);
        for (size_t f = 0; f < FAMILIES; f++) {
            double seen = ease + 0.15 * (double)f * (rung_prng_uniform(&prng) - 0.5);
            double step = ceil((1 - seen) * STEPS);
            pool->steps[i][f] = (uint8_t)fmax(1, fmin(step, STEPS));
            for (size_t s = pool->steps[i][f]; s < STEPS; s++) {
                answered[f * STEPS + s]++;
                errors[f * STEPS + s] += pool->differs[i];
            }
        }
    }
    for (size_t j = 0; j < POLICIES; j++) {
        pool->risk[j] = (double)errors[j] / POOL;
        pool->latency_ms[j] = 20 + 3 * (double)(j / STEPS) + 60 * (1 - (double)answered[j] / POOL);
    }
}

/* Errors of each policy on n requests drawn with replacement. */
static void draw(const population *pool, rung_prng *prng, size_t n, uint64_t errors[POLICIES])
{
    memset(errors, 0, POLICIES * sizeof *errors);
    for (size_t k = 0; k < n; k++) {
        size_t i = (size_t)rung_prng_below(prng, POOL);
        for (size_t f = 0; pool->differs[i] && f < FAMILIES; f++) {
            for (size_t s = pool->steps[i][f]; s < STEPS; s++) {
                errors[f * STEPS + s]++;
            }
        }
    }
}

static bool violates(const population *pool, const size_t *certified, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (pool->risk[certified[i]] > EPSILON) {
            return true;
        }
    }
    return false;
}

static double fastest_within(const population *pool)
{
    double best = INFINITY;
    for (size_t j = 0; j < POLICIES; j++) {
        best = pool->risk[j] <= EPSILON ? fmin(best, pool->latency_ms[j]) : best;
    }
    return best;
}

static void certificates_are_rarely_wrong(void **state)
{
    (void)state;
    static population pool;
    static double deployed_ms[DRAWS];
    make_population(&pool);
    rung_prng prng = {12};
    unsigned violations = 0;
    unsigned naive_violations = 0;
    for (size_t d = 0; d < DRAWS; d++) {
        uint64_t opt[POLICIES];
        uint64_t cert[POLICIES];
        draw(&pool, &prng, OPT, opt);
        draw(&pool, &prng, CERT, cert);
        size_t order[POLICIES];
        size_t held = 0;
        size_t fastest = 0;
        assert_int_equal(rung_certify_counts((rung_loss_counts){opt, OPT}, (rung_loss_counts){cert, CERT}, POLICIES,
                                             EPSILON, DELTA, order, &held, NULL, NULL),
                         RUNG_OK);
        violations += violates(&pool, order, held);
        assert_true(rung_certify_fastest(order, held, pool.latency_ms, &fastest));
        deployed_ms[d] = pool.latency_ms[fastest];
        /* The naive planner takes the risk seen for the risk. */
        size_t within[POLICIES];
        size_t count = 0;
        for (size_t j = 0; j < POLICIES; j++) {
            within[count] = j;
            count += (double)cert[j] / CERT <= EPSILON;
        }
        naive_violations += violates(&pool, within, count);
    }
    rung_sort(deployed_ms, DRAWS);
    double median_ms = deployed_ms[DRAWS / 2];
    double best_ms = fastest_within(&pool);
    print_message("violations %u, naive %u of %d; median latency %.1f ms, at best %.1f ms, always-top %.1f ms\n",
                  violations, naive_violations, DRAWS, median_ms, best_ms, pool.latency_ms[0]);
    assert_true(violations <= 62);
    assert_true(naive_violations > 62);
    assert_true(median_ms <= 1.15 * best_ms);
    assert_true(pool.latency_ms[0] > 1.15 * best_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stops_at_the_first_that_fails),
        cmocka_unit_test(wrong_input),
        cmocka_unit_test(counts),
        cmocka_unit_test(targets_and_words),
        cmocka_unit_test(certificates_are_rarely_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
