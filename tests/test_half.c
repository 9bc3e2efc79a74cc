/* test_half.c: F16 and BF16 conversion, against the value that the fields of the format mean. */
#include "model_fixture.h"

#include <math.h>

/* IEEE 754 binary16: sign, 5 bits of exponent, 10 of fraction. */
static double half_value(uint16_t half)
{
    int exponent = half >> 10 & 31;
    int fraction = half & 1023;
    double magnitude = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
}

static void test_every_half(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        uint16_t half = (uint16_t)bits;
        float value = rung_f16_to_f32(half);
        if ((half & 0x7c00) != 0x7c00) {
            assert_true((double)value == half_value(half));
            assert_int_equal(signbit(value) != 0, half >> 15);
            assert_int_equal(rung_f32_to_f16(value), half);
        } else if ((half & 1023) == 0) {
            assert_true(isinf(value) && (signbit(value) != 0) == (half >> 15));
            assert_int_equal(rung_f32_to_f16(value), half);
        } else {
            assert_true(isnan(value));
            assert_true(isnan(rung_f16_to_f32(rung_f32_to_f16(value))));
        }
    }
}

/* Between two neighbours: below, at and above the middle. */
static void test_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint16_t half = 0; half < 0x7bff; half++) {
        float low = rung_f16_to_f32(half);
        float high = rung_f16_to_f32((uint16_t)(half + 1));
        float middle = low + (high - low) / 2.0f; /* exact: a half has 11 bits */
        uint16_t even = (uint16_t)(half % 2 == 0 ? half : half + 1);
        assert_int_equal(rung_f32_to_f16(middle), even);
        assert_int_equal(rung_f32_to_f16(nextafterf(middle, 0.0f)), half);
        assert_int_equal(rung_f32_to_f16(nextafterf(middle, 1e9f)), half + 1);
        assert_int_equal(rung_f32_to_f16(-middle), even | 0x8000);
    }
}

static void test_range(void **state)
{
    (void)state;
    assert_int_equal(rung_f32_to_f16(65519.0f), 0x7bff);
    assert_int_equal(rung_f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(rung_f32_to_f16(-3e38f), 0xfc00);
    assert_int_equal(rung_f32_to_f16(0x1p-25f), 0);
    assert_int_equal(rung_f32_to_f16(0x1.2p-25f), 1);
    assert_int_equal(rung_f32_to_f16(1e-40f), 0);
}

static void test_bf16(void **state)
{
    (void)state;
    assert_true(rung_bf16_to_f32(0x3f80) == 1.0f);
    assert_true(rung_bf16_to_f32(0xc049) == -3.140625f);
    assert_true(isinf(rung_bf16_to_f32(0x7f80)));
    assert_true(isnan(rung_bf16_to_f32(0x7fc0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_half),
        cmocka_unit_test(test_rounds_to_nearest_even),
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
