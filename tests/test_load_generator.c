/* test_load_generator.c: the parts of bench/load that figures rest on: percentiles, and arrival processes. */
#include "bench/load/arrivals.h"
#include "bench/load/histogram.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VALUES 20000

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Against sorted values over six powers of ten: never below, and at most one bucket above. */
static void percentiles_are_those_of_the_values(void **state)
{
    (void)state;
    static histogram h;
    static double values[VALUES];
    static const double shares[] = {0, 0.01, 0.5, 0.9, 0.99, 0.999, 1};
    rung_prng prng = {5};
    double sum = 0;
    for (size_t i = 0; i < VALUES; i++) {
        values[i] = pow(10, -6 + 6 * rung_prng_uniform(&prng));
        histogram_add(&h, values[i]);
        sum += values[i];
    }
    qsort(values, VALUES, sizeof values[0], compare);
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        size_t rank = (size_t)ceil(shares[i] * VALUES);
        double exact = values[rank > 0 ? rank - 1 : 0];
        double got = histogram_percentile_s(&h, shares[i]);
        assert_true(got >= exact && got <= exact * (1 + 1.0 / 32) + 1 / HISTOGRAM_UNIT);
    }
    assert_true(histogram_percentile_s(&h, 1) == values[VALUES - 1]);
    assert_true(fabs(histogram_mean_s(&h) - sum / VALUES) < 1e-12);
    assert_true(h.least_s == values[0] && h.most_s == values[VALUES - 1]);
}

static void extremes_have_a_bucket(void **state)
{
    (void)state;
    static histogram h;
    static histogram all;
    assert_true(histogram_percentile_s(&h, 0.5) == 0 && histogram_mean_s(&h) == 0);
    histogram_add(&h, 0);
    histogram_add(&h, -1e-9); /* a clock that other processors see a moment later */
    histogram_add(&h, 1e9);
    histogram_merge(&all, &h);
    histogram_merge(&all, &h);
    assert_int_equal(all.count, 6);
    assert_true(histogram_percentile_s(&all, 1) == 1e9);
    assert_true(histogram_percentile_s(&all, 0.1) <= 1 / HISTOGRAM_UNIT);
}

/* Mean and squared coefficient of variation of the times between arrivals. */
static void look_at(const char *name, double *mean_s, double *variation)
{
    arrival_process process;
    assert_true(arrivals_find(name, &process));
    arrivals a = arrivals_begin(process, 200, 9, 100);
    double last_s = 100;
    double sum = 0;
    double squares = 0;
    for (size_t i = 0; i < 10 * VALUES; i++) {
        double at_s = arrivals_take_s(&a);
        assert_true(at_s >= last_s);
        sum += at_s - last_s;
        squares += (at_s - last_s) * (at_s - last_s);
        last_s = at_s;
    }
    *mean_s = sum / (10 * VALUES);
    *variation = squares / (10 * VALUES) / (*mean_s * *mean_s) - 1;
}

static void processes_keep_their_rate(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double least, most; /* variation */
    } cases[] = {{"constant", -1e-9, 1e-9}, {"poisson", 0.95, 1.05}, {"batched", 13, 17}, {"bursty", 5, 100}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double mean_s;
        double variation;
        look_at(cases[i].name, &mean_s, &variation);
        if (fabs(mean_s * 200 - 1) > 0.05 || variation < cases[i].least || variation > cases[i].most) {
            fail_msg("%s: mean %g s, variation %g", cases[i].name, mean_s, variation);
        }
    }
    arrival_process process;
    assert_false(arrivals_find("uniform", &process));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_those_of_the_values),
        cmocka_unit_test(extremes_have_a_bucket),
        cmocka_unit_test(processes_keep_their_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
