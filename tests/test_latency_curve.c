/* test_latency_curve.c: curves that are known are found again, coefficients stay >= 0, and errors are relative. */
#include "base/prng.h"
#include "fit/latency_curve.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const double lengths[] = {8, 16, 32, 64, 128, 256, 384, 512};
#define N (sizeof lengths / sizeof lengths[0])

static rung_latency_curve fit(const double *tokens, const double *ms, size_t n)
{
    rung_latency_curve curve = {0};
    rung_error error = {0};
    if (rung_latency_fit(tokens, ms, n, &curve, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return curve;
}

static void near(double value, double expected, double relative)
{
    if (!(fabs(value - expected) <= relative * fabs(expected))) {
        fail_msg("%.17g instead of %.17g", value, expected);
    }
}

static void known_curves(void **state)
{
    (void)state;
    static const double known[][3] = {{0.3, 0.02, 1e-5}, {1e-4, 3e-5, 2e-9}, {50, 4, 0.003}};
    for (size_t k = 0; k < 3; k++) {
        double ms[N];
        for (size_t i = 0; i < N; i++) {
            ms[i] = known[k][0] + known[k][1] * lengths[i] + known[k][2] * lengths[i] * lengths[i];
        }
        rung_latency_curve curve = fit(lengths, ms, N);
        near(curve.a_ms, known[k][0], 1e-9);
        near(curve.b_ms_per_token, known[k][1], 1e-9);
        near(curve.c_ms_per_token2, known[k][2], 1e-9);
        assert_true(curve.max_error < 1e-10 && curve.mean_error <= curve.max_error);
        near(rung_latency_ms(&curve, 100), known[k][0] + known[k][1] * 100 + known[k][2] * 1e4, 1e-9);
    }
}

/* Terms that are not there are exactly 0. */
static void simpler_curves(void **state)
{
    (void)state;
    double flat[N];
    double line[N];
    double square[N];
    for (size_t i = 0; i < N; i++) {
        flat[i] = 2.5;
        line[i] = 0.25 * lengths[i];
        square[i] = 0.5 + 1e-4 * lengths[i] * lengths[i];
    }
    rung_latency_curve curve = fit(lengths, flat, N);
    near(curve.a_ms, 2.5, 1e-12);
    assert_true(curve.b_ms_per_token == 0 && curve.c_ms_per_token2 == 0);
    curve = fit(lengths, line, N);
    near(curve.b_ms_per_token, 0.25, 1e-12);
    assert_true(curve.a_ms == 0 && curve.c_ms_per_token2 == 0);
    curve = fit(lengths, square, N);
    near(curve.a_ms, 0.5, 1e-9);
    near(curve.c_ms_per_token2, 1e-4, 1e-9);
    assert_true(curve.b_ms_per_token == 0);
}

/* A curve that bends downwards would have c < 0: a straight line is the best with c = 0. By hand for two points of weight 1 / ms: exact. */
static void never_negative(void **state)
{
    (void)state;
    double ms[N];
    for (size_t i = 0; i < N; i++) {
        ms[i] = sqrt(lengths[i]);
    }
    rung_latency_curve curve = fit(lengths, ms, N);
    assert_true(curve.a_ms > 0 && curve.b_ms_per_token > 0 && curve.c_ms_per_token2 == 0);
    static const double tokens[] = {10, 20};
    static const double falling[] = {4, 2};
    curve = fit(tokens, falling, 2);
    /* A constant a with least (a/4 - 1)^2 + (a/2 - 1)^2: a = (1/4 + 1/2) / (1/16 + 1/4) = 2.4. */
    near(curve.a_ms, 2.4, 1e-12);
    near(curve.max_error, 0.4, 1e-12); /* 2.4 for 4: 0.4; 2.4 for 2: 0.2 */
    near(curve.mean_error, 0.3, 1e-12);
    assert_true(curve.b_ms_per_token == 0 && curve.c_ms_per_token2 == 0);
}

static void few_points(void **state)
{
    (void)state;
    static const double tokens[] = {8, 8, 16};
    static const double ms[] = {1, 1, 1.5};
    rung_latency_curve curve = fit(tokens, ms, 1);
    near(rung_latency_ms(&curve, 8), 1, 1e-12);
    curve = fit(tokens, ms, 2); /* one length twice: one coefficient */
    near(rung_latency_ms(&curve, 8), 1, 1e-12);
    curve = fit(tokens, ms, 3);
    near(rung_latency_ms(&curve, 8), 1, 1e-12);
    near(rung_latency_ms(&curve, 16), 1.5, 1e-12);
    assert_true(curve.a_ms >= 0 && curve.b_ms_per_token >= 0 && curve.c_ms_per_token2 >= 0);
}

/* With noise of a few percent no point is far off, whatever its size: that is what the weights are for. */
static void noise_is_relative(void **state)
{
    (void)state;
    rung_prng prng = {3};
    for (size_t round = 0; round < 200; round++) {
        double ms[N];
        for (size_t i = 0; i < N; i++) {
            double noise = 0.98 + 0.04 * (double)rung_prng_below(&prng, 1001) / 1000;
            ms[i] = (0.1 + 0.01 * lengths[i] + 2e-5 * lengths[i] * lengths[i]) * noise;
        }
        rung_latency_curve curve = fit(lengths, ms, N);
        assert_true(curve.max_error < 0.04 && curve.mean_error < 0.02);
        assert_true(curve.a_ms >= 0 && curve.b_ms_per_token >= 0 && curve.c_ms_per_token2 >= 0);
    }
}

static void wrong_points(void **state)
{
    (void)state;
    static const double bad_ms[] = {0, -1, NAN, INFINITY};
    rung_latency_curve curve = {.a_ms = 7};
    rung_error error = {0};
    double tokens[] = {8, 16};
    for (size_t i = 0; i < 4; i++) {
        double ms[] = {1, bad_ms[i]};
        assert_int_equal(rung_latency_fit(tokens, ms, 2, &curve, &error), RUNG_INVALID);
        assert_non_null(strstr(error.message, "for 16 tokens"));
    }
    static const double ms[] = {1, 2};
    tokens[0] = 0;
    assert_int_equal(rung_latency_fit(tokens, ms, 2, &curve, &error), RUNG_INVALID);
    assert_int_equal(rung_latency_fit(tokens, ms, 0, &curve, &error), RUNG_INVALID);
    assert_int_equal(rung_latency_fit(tokens, ms, RUNG_LATENCY_MAX_POINTS + 1, &curve, &error), RUNG_INVALID);
    assert_true(curve.a_ms == 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_curves), cmocka_unit_test(simpler_curves),    cmocka_unit_test(never_negative),
        cmocka_unit_test(few_points),   cmocka_unit_test(noise_is_relative), cmocka_unit_test(wrong_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
