/* test_pool.c: weights of a pool: known optima, the prior, and what is refused. */
#include "base/prng.h"
#include "fit/pool.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define N 4000

/* Two members of two classes: probability of class 1, and the truth. */
static void fill(double *p, size_t i, double first, double second)
{
    p[4 * i] = 1 - first;
    p[4 * i + 1] = first;
    p[4 * i + 2] = 1 - second;
    p[4 * i + 3] = second;
}

static double loss_at(const double *p, const uint32_t *labels, size_t n, double w)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum -= log(w * p[4 * i + labels[i]] + (1 - w) * p[4 * i + 2 + labels[i]]);
    }
    return sum / (double)n;
}

/* The truths are drawn from a mixture 0.3 : 0.7 of what the members say. */
static void finds_the_weights_of_a_mixture(void **state)
{
    (void)state;
    double *p = malloc(4 * N * sizeof *p);
    uint32_t *labels = malloc(N * sizeof *labels);
    rung_prng prng = {.state = 11};
    for (size_t i = 0; i < N; i++) {
        double first = rung_prng_uniform(&prng);
        double second = rung_prng_uniform(&prng);
        fill(p, i, first, second);
        double said = rung_prng_uniform(&prng) < 0.3 ? first : second;
        labels[i] = rung_prng_uniform(&prng) < said;
    }
    const rung_pool_results results = {p, labels, N, 2, 2};
    double weights[2];
    rung_pool_fit fit;
    rung_error error;
    assert_int_equal(rung_fit_pool(&results, weights, &fit, &error), RUNG_OK);
    assert_true(fabs(weights[0] - 0.3) < 0.05);
    assert_true(fabs(weights[0] + weights[1] - 1) < 1e-12);
    assert_true(fit.nll < fit.nll_equal);
    assert_true(fabs(fit.nll - loss_at(p, labels, N, weights[0])) < 1e-9);
    /* No weight beside it is better by more than the prior explains. */
    for (double w = 0.01; w < 1; w += 0.01) {
        assert_true(fit.nll < loss_at(p, labels, N, w) + 1e-4);
    }
    free(p);
    free(labels);
}

static void few_inputs_do_not_silence_a_member(void **state)
{
    (void)state;
    double p[8];
    const uint32_t labels[2] = {1, 1};
    fill(p, 0, 0.9, 0.1);
    fill(p, 1, 0.9, 0.1);
    rung_pool_results results = {p, labels, 2, 2, 2};
    double weights[2];
    rung_pool_fit fit;
    assert_int_equal(rung_fit_pool(&results, weights, &fit, NULL), RUNG_OK);
    assert_true(weights[0] > 0.5);
    assert_true(weights[1] >= RUNG_POOL_PRIOR / 2 / (2 + RUNG_POOL_PRIOR));
    results.n = 0;
    assert_int_equal(rung_fit_pool(&results, weights, &fit, NULL), RUNG_OK);
    assert_true(fabs(weights[0] - 0.5) < 1e-12 && fit.nll == 0);
    /* A member that rules the truth out is no infinity. */
    fill(p, 0, 0, 0.1);
    results.n = 1;
    assert_int_equal(rung_fit_pool(&results, weights, &fit, NULL), RUNG_OK);
    assert_true(isfinite(fit.nll) && weights[1] > weights[0]);
}

static void refuses_what_is_no_probability(void **state)
{
    (void)state;
    double p[4];
    uint32_t label = 2;
    const rung_pool_results results = {p, &label, 1, 2, 2};
    double weights[2] = {7, 7};
    rung_pool_fit fit;
    rung_error error;
    fill(p, 0, 0.5, 0.5);
    assert_int_equal(rung_fit_pool(&results, weights, &fit, &error), RUNG_INVALID);
    assert_string_equal(error.message, "input 0: label 2 is outside 0..1");
    label = 1;
    p[3] = NAN;
    assert_int_equal(rung_fit_pool(&results, weights, &fit, &error), RUNG_INVALID);
    assert_non_null(error.message);
    assert_true(weights[0] == 7 && weights[1] == 7);
    const rung_pool_results many = {p, &label, 0, RUNG_POOL_MAX_MEMBERS + 1, 2};
    assert_int_equal(rung_fit_pool(&many, weights, &fit, &error), RUNG_LIMIT);
    assert_string_equal(error.message, "65 members: the limit is 64");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_weights_of_a_mixture),
        cmocka_unit_test(few_inputs_do_not_silence_a_member),
        cmocka_unit_test(refuses_what_is_no_probability),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
