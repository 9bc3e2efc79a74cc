/* test_math.c: rung_exp and rung_log are within 2 ulp of the C library's extended precision, and their ends are as
 * math.h says. */
#include "base/math.h"
#include "base/prng.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static double ulps(double got, long double want)
{
    double near = fabs((double)want);
    double spacing = nextafter(near, (double)INFINITY) - near;
    return (double)(fabsl((long double)got - want) / (long double)spacing);
}

static void test_exp(void **state)
{
    (void)state;
    rung_prng prng = {1};
    double worst = 0;
    for (int i = 0; i < 400000; i++) {
        double x = (rung_prng_uniform(&prng) - 0.5) * (i % 3 == 0 ? 1410 : i % 3 == 1 ? 20 : 0.7);
        worst = fmax(worst, ulps(rung_exp(x), expl((long double)x)));
    }
    assert_true(worst <= 2);
    for (double x = -745.1; x < -700; x += 0.01) { /* down into the subnormal numbers */
        assert_true(ulps(rung_exp(x), expl((long double)x)) <= 2);
    }
    assert_true(rung_exp(0) == 1);
    assert_true(rung_exp(-0.0) == 1);
    assert_true(ulps(rung_exp(709.7), expl((long double)709.7)) <= 2);
    assert_true(rung_exp(710) == (double)INFINITY);
    assert_true(rung_exp((double)INFINITY) == (double)INFINITY);
    assert_true(rung_exp(-746) == 0);
    assert_true(rung_exp(-(double)INFINITY) == 0);
    assert_true(isnan(rung_exp((double)NAN)));
}

static void test_log(void **state)
{
    (void)state;
    rung_prng prng = {2};
    double worst = 0;
    for (int i = 0; i < 400000; i++) {
        double u = rung_prng_uniform(&prng);
        double x = i % 3 == 0 ? exp((u - 0.5) * 1410) : i % 3 == 1 ? 0.5 + u : 1 + (u - 0.5) * 1e-3;
        if (x != 1) {
            worst = fmax(worst, ulps(rung_log(x), logl((long double)x)));
        }
    }
    assert_true(worst <= 2);
    assert_true(rung_log(1) == 0);
    assert_true(ulps(rung_log(5e-324), logl((long double)5e-324)) <= 2);
    assert_true(ulps(rung_log(1e-310), logl((long double)1e-310)) <= 2);
    assert_true(ulps(rung_log(DBL_MAX), logl((long double)DBL_MAX)) <= 2);
    assert_true(ulps(rung_log(nextafter(1, 0)), logl((long double)nextafter(1, 0))) <= 2);
    assert_true(ulps(rung_log(nextafter(1, 2)), logl((long double)nextafter(1, 2))) <= 2);
    assert_true(rung_log(0) == -(double)INFINITY);
    assert_true(rung_log(-0.0) == -(double)INFINITY);
    assert_true(rung_log((double)INFINITY) == (double)INFINITY);
    assert_true(isnan(rung_log(-1)));
    assert_true(isnan(rung_log(-(double)INFINITY)));
    assert_true(isnan(rung_log((double)NAN)));
}

static void test_log_inverts_exp(void **state)
{
    (void)state;
    for (double x = -700; x < 700; x += 0.37) {
        assert_true(fabs(rung_log(rung_exp(x)) - x) <= 1e-13 * fabs(x) + 1e-15);
    }
}

/* The bits are the promise: these were computed once and must come out on every machine, compiler and C library. */
static void test_bits(void **state)
{
    (void)state;
    uint64_t hash = 0;
    rung_prng prng = {3};
    for (int i = 0; i < 100000; i++) {
        double values[2];
        double u = rung_prng_uniform(&prng);
        values[0] = rung_exp((u - 0.5) * 1400);
        values[1] = rung_log(u);
        for (int j = 0; j < 2; j++) {
            uint64_t bits;
            memcpy(&bits, &values[j], sizeof bits);
            hash = (hash ^ bits) * UINT64_C(0x100000001b3);
        }
    }
    assert_true(hash == UINT64_C(0xce271dbbc0db9de4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_log_inverts_exp),
        cmocka_unit_test(test_bits),
    };
    return cmocka_run_group_tests_name("math", tests, NULL, NULL);
}
