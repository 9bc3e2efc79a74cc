/* test_float_length.c: lengths of numbers are those that printf writes. */
#include "base/float_length.h"
#include "base/prng.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FLOATS 1000000

static void check(float value)
{
    char text[64];
    size_t length = (size_t)snprintf(text, sizeof text, "%.9g", (double)value);
    if (rung_float_length(value) != length) {
        fail_msg("%s has %zu characters, not %zu", text, length, rung_float_length(value));
    }
}

/* A float and those beside it. */
static void check_around(float value)
{
    check(value);
    check(nextafterf(value, INFINITY));
    check(nextafterf(value, -INFINITY));
}

static void powers_and_their_neighbours(void **state)
{
    (void)state;
    for (int e = -45; e <= 38; e++) {
        check_around((float)pow(10, e));
        check_around(5 * (float)pow(10, e));
        check_around((float)(9.99999999 * pow(10, e)));
    }
    for (int e = -149; e <= 127; e++) {
        check_around(ldexpf(1, e));
    }
    for (int i = 0; i <= 100000; i++) {
        check((float)i / 100000);
    }
    const float others[] = {0, -0.0f, INFINITY, -INFINITY, NAN, -1, -0.5f, 1, 2, 1.5f, 123456.789f};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        check(others[i]);
    }
}

/* Half of them probabilities as they occur, half any bits between 0 and 1. */
static void probabilities(void **state)
{
    (void)state;
    rung_prng prng = {1};
    for (int i = 0; i < FLOATS; i++) {
        double p = rung_prng_uniform(&prng);
        check((float)p);
        check((float)(1 - p * p * p * p * p * p * p * p));
        uint32_t bits = (uint32_t)rung_prng_below(&prng, 0x3f800001u);
        float any;
        memcpy(&any, &bits, sizeof any);
        check(any);
    }
}

static void integers(void **state)
{
    (void)state;
    uint64_t power = 1;
    for (size_t digits = 1; digits <= 20; digits++, power *= 10) {
        assert_int_equal(rung_integer_length(power), digits);
        assert_int_equal(rung_integer_length(power - 1), digits > 1 ? digits - 1 : 1);
    }
    assert_int_equal(rung_integer_length(UINT64_MAX), 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(powers_and_their_neighbours),
        cmocka_unit_test(probabilities),
        cmocka_unit_test(integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
