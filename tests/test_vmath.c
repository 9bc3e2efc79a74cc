/* test_vmath.c: the float exp, erf and tanh of kernels/vmath.h against double precision libm over dense grids, and
 * their ends. */
#include "kernels/vmath.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static double ulps(double got, double want)
{
    double spacing = (double)nextafterf((float)fabs(want), INFINITY) - (double)(float)fabs(want);
    return fabs(got - want) / spacing;
}

static void test_expf(void **state)
{
    (void)state;
    double worst = 0;
    for (int i = -8700000; i <= 8800000; i += 7) {
        float x = (float)i * 1e-5f;
        if (x >= VMATH_EXP_LOW) {
            worst = fmax(worst, ulps((double)vmath_expf(x), exp((double)x)));
        }
    }
    assert_true(worst <= 1.5);
    assert_true(vmath_expf(0.0f) == 1.0f);
    assert_true(vmath_expf(-0.0f) == 1.0f);
    assert_true(vmath_expf(-87.1f) == 0.0f);
    assert_true(vmath_expf(-INFINITY) == 0.0f);
    assert_true(isfinite(vmath_expf(INFINITY)));
    assert_true(isnan(vmath_expf(NAN)));
}

static void test_erff(void **state)
{
    (void)state;
    double worst = 0;
    double worst_small = 0;
    for (int i = 0; i <= 5000000; i += 3) {
        float x = (float)i * 1e-6f;
        worst = fmax(worst, fabs((double)vmath_erff(x) - erf((double)x)));
        assert_true(vmath_erff(-x) == -vmath_erff(x));
        if (x > 0 && x < 0.124f) {
            worst_small = fmax(worst_small, ulps((double)vmath_erff(x), erf((double)x)));
        }
    }
    assert_true(worst <= 1e-7);
    assert_true(worst_small <= 2.5);
    assert_true(vmath_erff(0.0f) == 0.0f);
    assert_true(vmath_erff(INFINITY) == 1.0f);
    assert_true(vmath_erff(-INFINITY) == -1.0f);
    assert_true(isnan(vmath_erff(NAN)));
    assert_true(vmath_geluf(20.0f) == 20.0f);
    assert_true(vmath_geluf(-20.0f) == 0.0f);
}

static void test_tanhf(void **state)
{
    (void)state;
    double worst = 0;
    for (int i = 0; i <= 11000000; i += 7) {
        float x = (float)i * 1e-6f;
        if (x > 0) {
            worst = fmax(worst, ulps((double)vmath_tanhf(x), tanh((double)x)));
        }
        assert_true(vmath_tanhf(-x) == -vmath_tanhf(x));
    }
    assert_true(worst <= 2);
    assert_true(vmath_tanhf(1e-40f) == 1e-40f);
    assert_true(vmath_tanhf(INFINITY) == 1.0f);
    assert_true(isnan(vmath_tanhf(NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expf),
        cmocka_unit_test(test_erff),
        cmocka_unit_test(test_tanhf),
    };
    return cmocka_run_group_tests_name("vmath", tests, NULL, NULL);
}
