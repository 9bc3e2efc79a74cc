/* test_number.c: numbers and quantities as text, in any locale, and every way in which they are refused. */
#include "base/prng.h"
#include "config/number.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0}, {"1.5", 1.5}, {"-2", -2}, {"+3", 3}, {".5", 0.5}, {"1.", 1}, {"1e-3", 0.001}, {"2E+2", 200}};
    static const char *const bad[] = {"",      " 1",  "1 ",    "one", "0x10", "inf", "nan",
                                      "1e999", "1,5", "1.5.2", "e5",  ".",    "-",   "1e"};
    double value = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(rung_parse_number(bad[i], &value));
        assert_true(value == 7);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(rung_parse_number(good[i].text, &value));
        assert_true(value == good[i].value);
    }
}

static void integers(void **state)
{
    (void)state;
    uint64_t value = 7;
    static const char *const bad[] = {"", "-1", "+1", "1.0", "18446744073709551616", "0x1", " 1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(rung_parse_integer(bad[i], &value));
        assert_true(value == 7);
    }
    assert_true(rung_parse_integer("18446744073709551615", &value));
    assert_true(value == UINT64_MAX);
    assert_true(rung_parse_integer("007", &value));
    assert_true(value == 7);
}

static void printed_numbers_read_back(void **state)
{
    (void)state;
    char text[RUNG_NUMBER_BYTES];
    assert_string_equal(rung_print_number(0.1, text), "0.1");
    assert_string_equal(rung_print_number(1, text), "1");
    assert_string_equal(rung_print_number(0.1 + 0.2, text), "0.30000000000000004");
    assert_string_equal(rung_print_number(-1e-300, text), "-1e-300");
    rung_prng prng = {.state = 1};
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = rung_prng_next(&prng);
        double value;
        double back;
        memcpy(&value, &bits, sizeof value);
        if (value - value != 0) {
            continue; /* infinity or NaN */
        }
        assert_true(rung_parse_number(rung_print_number(value, text), &back));
        assert_memory_equal(&value, &back, sizeof value);
    }
}

static void numbers_for_people(void **state)
{
    (void)state;
    char text[RUNG_NUMBER_BYTES];
    assert_string_equal(rung_print_rounded(0.02 + 1e-17, 6, text), "0.02");
    assert_string_equal(rung_print_rounded(1 - 0.98, 6, text), "0.02");
    assert_string_equal(rung_print_rounded(1234567, 3, text), "1.23e+06");
    assert_string_equal(rung_print_decimals(12.345, 1, text), "12.3");
    assert_string_equal(rung_print_decimals(2, 3, text), "2.000");
    assert_string_equal(rung_print_decimals(-0.04, 1, text), "0.0");
    assert_string_equal(rung_print_decimals(-0.4, 0, text), "0");
    assert_string_equal(rung_print_decimals(-0.06, 1, text), "-0.1");
    assert_string_equal(rung_print_decimals(-999999999999999, 9, text), "-999999999999999.000000000");
    assert_string_equal(rung_print_decimals(1e15, 2, text), "1e+15");
    assert_string_equal(rung_print_decimals(-1.5e300, 0, text), "-1.5e+300");
}

/* A locale with a decimal comma must change nothing; where none is installed the C locale is tested once more. */
static void comma_locales_change_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "C"};
    for (size_t i = 0; i < 3; i++) {
        char text[RUNG_NUMBER_BYTES];
        double value = 0;
        (void)setlocale(LC_ALL, names[i]);
        assert_string_equal(rung_print_number(0.25, text), "0.25");
        assert_string_equal(rung_print_rounded(0.25, 1, text), "0.2");
        assert_string_equal(rung_print_decimals(0.25, 2, text), "0.25");
        assert_true(rung_parse_number("0.25", &value));
        assert_true(value == 0.25);
    }
    (void)setlocale(LC_ALL, "C");
}

static void quantities(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        rung_quantity quantity;
        double value;
    } good[] = {
        {"8MiB", RUNG_QUANTITY_SIZE, 8388608},    {"64 MiB", RUNG_QUANTITY_SIZE, 67108864},
        {"1.5kB", RUNG_QUANTITY_SIZE, 1500},      {"12B", RUNG_QUANTITY_SIZE, 12},
        {"1GiB", RUNG_QUANTITY_SIZE, 1073741824}, {"250ms", RUNG_QUANTITY_TIME, 0.25},
        {"8ms", RUNG_QUANTITY_TIME, 0.008},       {"10s", RUNG_QUANTITY_TIME, 10},
        {"2min", RUNG_QUANTITY_TIME, 120},        {"7us", RUNG_QUANTITY_TIME, 7e-6},
        {"1h", RUNG_QUANTITY_TIME, 3600},         {"20Mbit/s", RUNG_QUANTITY_RATE, 2e7},
        {"300kbit/s", RUNG_QUANTITY_RATE, 3e5},   {"1Gbit/s", RUNG_QUANTITY_RATE, 1e9},
        {"9bit/s", RUNG_QUANTITY_RATE, 9},        {"0ms", RUNG_QUANTITY_TIME, 0},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        double value = -1;
        rung_error error;
        assert_int_equal(rung_parse_quantity(good[i].text, good[i].quantity, &value, &error), RUNG_OK);
        assert_true(value == good[i].value);
    }
}

static void refused_quantities(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        rung_quantity quantity;
        const char *message;
    } bad[] = {
        {"64", RUNG_QUANTITY_SIZE, "'64' has no unit; write for example 64MiB (units: B, kB, MB, GB, KiB, MiB, GiB)"},
        {"250", RUNG_QUANTITY_TIME, "'250' has no unit; write for example 250ms (units: us, ms, s, min, h)"},
        {"20", RUNG_QUANTITY_RATE,
         "'20' has no unit; write for example 20Mbit/s (units: bit/s, kbit/s, Mbit/s, Gbit/s)"},
        {"8mb", RUNG_QUANTITY_SIZE,
         "'8mb' is not a size with a unit that is known; use one of B, kB, MB, GB, KiB, MiB, GiB"},
        {"-8MiB", RUNG_QUANTITY_SIZE, "'-8MiB' is not a size; write for example 8MiB"},
        {"fast", RUNG_QUANTITY_RATE, "'fast' is not a rate; write for example 8Mbit/s"},
        {"0.5B", RUNG_QUANTITY_SIZE, "'0.5B' is not a whole number of bytes"},
        {"1e308h", RUNG_QUANTITY_TIME, "'1e308h' is too large"},
        {"", RUNG_QUANTITY_TIME, "'' is not a time; write for example 8ms"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        double value = 7;
        rung_error error;
        assert_int_equal(rung_parse_quantity(bad[i].text, bad[i].quantity, &value, &error), RUNG_INVALID);
        assert_string_equal(error.message, bad[i].message);
        assert_true(value == 7);
        assert_int_equal(rung_parse_quantity(bad[i].text, bad[i].quantity, &value, NULL), RUNG_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(integers),
        cmocka_unit_test(printed_numbers_read_back),
        cmocka_unit_test(numbers_for_people),
        cmocka_unit_test(comma_locales_change_nothing),
        cmocka_unit_test(quantities),
        cmocka_unit_test(refused_quantities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
