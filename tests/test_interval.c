/* test_interval.c: Wilson's interval and z against published and hand-worked values; that bootstrap intervals repeat,
 * pair their figures, cover as often as they say, and end with what their statistic says. */
#include "base/prng.h"
#include "eval/interval.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance)) {
        fail_msg("%.17g instead of %.17g", value, expected);
    }
}

static void z_of_a_confidence(void **state)
{
    (void)state;
    near(rung_normal_z(0.95), 1.9599639845400545, 1e-13);
    near(rung_normal_z(0.90), 1.6448536269514722, 1e-13);
    near(rung_normal_z(0.99), 2.5758293035489004, 1e-13);
    near(rung_normal_z(0.5), 0.6744897501960817, 1e-13);
    near(rung_normal_z(1 - 1e-9), 6.109410204869, 1e-6);
    assert_true(rung_normal_z(0) == 0);
}

static void wilson(void **state)
{
    (void)state;
    /* Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29. */
    static const double cases[][4] = {
        {81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}};
    for (size_t i = 0; i < 4; i++) {
        rung_interval interval = rung_wilson(cases[i][0], cases[i][1], 0.95);
        assert_true(interval.value == cases[i][0] / cases[i][1]);
        near(interval.low, cases[i][2], 5.01e-5);
        near(interval.high, cases[i][3], 5.01e-5);
    }
    rung_interval all = rung_wilson(20, 20, 0.95);
    near(all.low, 1 - 0.1611, 5.01e-5);
    assert_true(all.value == 1 && all.high == 1);
    rung_interval part = rung_wilson(2.5, 10, 0.95);
    assert_true(part.low > rung_wilson(2, 10, 0.95).low && part.high < rung_wilson(3, 10, 0.95).high);
}

static void geometric_means(void **state)
{
    (void)state;
    static const double values[] = {0.5, 2, 8, 0.125};
    static const double speedups[] = {1.2, 1.5, 0.9};
    static const double wrong[][2] = {{1, 0}, {1, -2}, {1, NAN}, {1, INFINITY}};
    double mean = 7;
    rung_error error = {0};
    assert_int_equal(rung_geometric_mean(values, 4, &mean, &error), RUNG_OK);
    near(mean, 1, 1e-15);
    assert_int_equal(rung_geometric_mean(speedups, 3, &mean, &error), RUNG_OK);
    near(mean, 1.174460292, 1e-9); /* cube root of 1.62 */
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(rung_geometric_mean(wrong[i], 2, &mean, &error), RUNG_INVALID);
        assert_non_null(strstr(error.message, "value 1 of a geometric mean is"));
    }
    near(mean, 1.174460292, 1e-9);
}

enum { ROWS = 300 };

/* a is b and a little more, with the same noise: a pair whose difference is much surer than its means. */
static void noisy_pair(double a[ROWS], double b[ROWS], uint64_t seed)
{
    rung_prng prng = {seed};
    for (size_t i = 0; i < ROWS; i++) {
        b[i] = 50 + 10 * rung_prng_normal(&prng);
        a[i] = b[i] + 1 + rung_prng_normal(&prng);
    }
}

static void differences_and_ratios(void **state)
{
    (void)state;
    double a[ROWS];
    double b[ROWS];
    noisy_pair(a, b, 3);
    rung_bootstrap bootstrap = {.resamples = 2000, .confidence = 0.95, .seed = 5};
    rung_interval interval;
    rung_interval again;
    rung_error error;
    assert_int_equal(rung_bootstrap_difference(&bootstrap, a, b, ROWS, &interval, &error), RUNG_OK);
    near(interval.value, 1, 0.2);
    near(interval.high - interval.low, 2 * 1.96 / sqrt(ROWS), 0.04); /* of the differences, not of the means */
    assert_true(interval.low < interval.value && interval.value < interval.high);
    assert_int_equal(rung_bootstrap_difference(&bootstrap, a, b, ROWS, &again, &error), RUNG_OK);
    assert_memory_equal(&again, &interval, sizeof again);
    bootstrap.seed = 6;
    assert_int_equal(rung_bootstrap_difference(&bootstrap, a, b, ROWS, &again, &error), RUNG_OK);
    assert_true(again.value == interval.value && again.low != interval.low);
    near(again.low, interval.low, 0.03);
    assert_int_equal(rung_bootstrap_ratio(&bootstrap, a, b, ROWS, &interval, &error), RUNG_OK);
    near(interval.value, 1.02, 0.004);
    near(interval.high - interval.low, 2 * 1.96 / sqrt(ROWS) / 50, 0.001);
}

static void wrong_pairs(void **state)
{
    (void)state;
    rung_bootstrap bootstrap = {.resamples = 10, .confidence = 0.95, .seed = 5};
    static const double a[] = {1, 2};
    static const double zero[] = {0, 0};
    static const double missing[] = {1, NAN};
    rung_interval interval = {7, 7, 7};
    rung_error error = {0};
    assert_int_equal(rung_bootstrap_ratio(&bootstrap, a, zero, 2, &interval, &error), RUNG_INVALID);
    assert_non_null(strstr(error.message, "denominator 0"));
    assert_int_equal(rung_bootstrap_difference(&bootstrap, a, missing, 2, &interval, &error), RUNG_INVALID);
    assert_non_null(strstr(error.message, "figure 0 is not a number"));
    assert_int_equal(rung_bootstrap_difference(&bootstrap, a, a, 0, &interval, &error), RUNG_INVALID);
    assert_non_null(strstr(error.message, "0 rows"));
    assert_true(interval.value == 7 && interval.low == 7 && interval.high == 7);
}

typedef struct seen {
    size_t calls;
    size_t fail_at; /* this call fails; 0: none */
    bool first_is_the_data;
    bool rows_are_valid;
} seen;

/* Two figures: the mean row and its negative, so that pairing shows in the intervals. */
static rung_status mean_row(const uint32_t *rows, size_t n, void *context, double *values, rung_error *error)
{
    seen *saw = context;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        saw->first_is_the_data &= saw->calls > 0 || rows[i] == i;
        saw->rows_are_valid &= rows[i] < n;
        sum += rows[i];
    }
    values[0] = sum / (double)n;
    values[1] = -values[0];
    if (++saw->calls == saw->fail_at) {
        return rung_fail(error, RUNG_MISMATCH, "no policy reaches the target");
    }
    return RUNG_OK;
}

static void any_statistic(void **state)
{
    (void)state;
    rung_bootstrap bootstrap = {.resamples = 199, .confidence = 0.9, .seed = 1};
    rung_interval intervals[2];
    seen saw = {.first_is_the_data = true, .rows_are_valid = true};
    rung_error error = {0};
    assert_int_equal(rung_bootstrap_run(&bootstrap, 100, mean_row, &saw, 2, intervals, &error), RUNG_OK);
    assert_int_equal(saw.calls, 200);
    assert_true(saw.first_is_the_data && saw.rows_are_valid);
    assert_true(intervals[0].value == 49.5 && intervals[1].value == -49.5);
    assert_true(intervals[0].low == -intervals[1].high && intervals[0].high == -intervals[1].low);
    rung_interval untouched[2] = {{7, 7, 7}, {7, 7, 7}};
    saw = (seen){.fail_at = 150};
    assert_int_equal(rung_bootstrap_run(&bootstrap, 100, mean_row, &saw, 2, untouched, &error), RUNG_MISMATCH);
    assert_string_equal(error.message, "no policy reaches the target");
    assert_true(saw.calls == 150 && untouched[0].value == 7 && untouched[1].high == 7);
}

/* Of 300 data sets whose true difference is 1, about 95 % give an interval around it (three standard errors: 3.8 %). */
static void intervals_cover(void **state)
{
    (void)state;
    rung_bootstrap bootstrap = {.resamples = 400, .confidence = 0.95, .seed = 9};
    unsigned covered = 0;
    for (uint64_t set = 0; set < 300; set++) {
        double a[ROWS];
        double b[ROWS];
        noisy_pair(a, b, 1000 + set);
        rung_interval interval;
        assert_int_equal(rung_bootstrap_difference(&bootstrap, a, b, ROWS, &interval, NULL), RUNG_OK);
        covered += interval.low <= 1 && interval.high >= 1;
    }
    assert_in_range(covered, 300 * 0.912, 300 * 0.988);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(z_of_a_confidence),      cmocka_unit_test(wilson),      cmocka_unit_test(geometric_means),
        cmocka_unit_test(differences_and_ratios), cmocka_unit_test(wrong_pairs), cmocka_unit_test(any_statistic),
        cmocka_unit_test(intervals_cover),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
