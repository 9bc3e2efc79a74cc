/* interval.c: Wilson's interval, the percentile bootstrap, the geometric mean. See interval.h. */
#include "eval/interval.h"

#include "base/math.h"
#include "base/memory.h"
#include "base/order.h"
#include "base/prng.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#define SQRT_TAU 0x1.40d931ff62706p+1 /* sqrt(2 pi) */

static double normal_density(double z)
{
    return rung_exp(-0.5 * z * z) / SQRT_TAU;
}

/* P(0 <= Z <= z): density(z) (z + z^3 / 3 + z^5 / 15 + ...), Marsaglia 2004. All terms are positive: nothing cancels. */
static double normal_half(double z)
{
    double term = z;
    double sum = z;
    for (int odd = 3; term > sum * 0x1p-60; odd += 2) {
        term *= z * z / odd;
        sum += term;
    }
    return normal_density(z) * sum;
}

double rung_normal_z(double confidence)
{
    assert(confidence >= 0 && confidence <= 1 - 1e-9);
    /* Newton's steps: normal_half bends down, so that they climb to the root without passing it. */
    double z = 0;
    for (int step = 0; step < 60; step++) {
        double next = z + (confidence / 2 - normal_half(z)) / normal_density(z);
        if (!(next > z)) {
            break;
        }
        z = next;
    }
    return z;
}

rung_interval rung_wilson(double successes, double trials, double confidence)
{
    assert(trials > 0 && successes >= 0 && successes <= trials);
    double z = rung_normal_z(confidence);
    double share = successes / trials;
    double shrink = 1 + z * z / trials;
    double centre = (share + z * z / (2 * trials)) / shrink;
    double half = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / shrink;
    /* At the ends the formula gives 0 and 1 but for rounding. */
    return (rung_interval){.value = share,
                           .low = successes == 0 ? 0 : fmax(centre - half, 0),
                           .high = successes == trials ? 1 : fmin(centre + half, 1)};
}

rung_status rung_geometric_mean(const double *values, size_t n, double *mean, rung_error *error)
{
    assert(n >= 1);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(values[i] > 0 && isfinite(values[i]))) {
            return rung_fail(error, RUNG_INVALID, "value %zu of a geometric mean is %g; it must be above 0 and finite",
                             i, values[i]);
        }
        sum += rung_log(values[i]);
    }
    *mean = rung_exp(sum / (double)n);
    return RUNG_OK;
}

/* The statistic on one set of rows, checked. */
static rung_status figures(rung_statistic statistic, void *context, const uint32_t *rows, size_t n, size_t num_values,
                           double *values, rung_error *error)
{
    rung_status status = statistic(rows, n, context, values, error);
    for (size_t v = 0; status == RUNG_OK && v < num_values; v++) {
        if (isnan(values[v])) {
            status =
                rung_fail(error, RUNG_INVALID, "bootstrap: figure %zu is not a number on a resample of %zu rows", v, n);
        }
    }
    return status;
}

/* results [num_values][resamples + 1]: the figures of the data, then those of each resample. values [num_values] is
 * scratch. */
static rung_status resample(const rung_bootstrap *bootstrap, uint32_t *rows, size_t n, rung_statistic statistic,
                            void *context, size_t num_values, double *values, double *results, rung_error *error)
{
    rung_prng prng = {bootstrap->seed};
    size_t stride = bootstrap->resamples + 1;
    for (size_t b = 0; b < stride; b++) {
        for (size_t i = 0; i < n; i++) {
            rows[i] = b == 0 ? (uint32_t)i : (uint32_t)rung_prng_below(&prng, n);
        }
        rung_status status = figures(statistic, context, rows, n, num_values, values, error);
        if (status != RUNG_OK) {
            return status;
        }
        for (size_t v = 0; v < num_values; v++) {
            results[v * stride + b] = values[v];
        }
    }
    return RUNG_OK;
}

rung_status rung_bootstrap_run(const rung_bootstrap *bootstrap, size_t n, rung_statistic statistic, void *context,
                               size_t num_values, rung_interval *intervals, rung_error *error)
{
    assert(bootstrap->resamples >= 1 && bootstrap->confidence > 0 && bootstrap->confidence < 1);
    assert(num_values >= 1);
    if (n < 1 || n > UINT32_MAX) {
        return rung_fail(error, RUNG_INVALID, "bootstrap: %zu rows; there must be from 1 to %u", n, UINT32_MAX);
    }
    size_t stride = bootstrap->resamples + 1;
    uint32_t *rows = rung_alloc(n, sizeof *rows, "the rows of a resample", error);
    double *values = rung_alloc(num_values, sizeof *values, "the figures of a resample", error);
    double *results = rung_alloc(stride, num_values * sizeof *results, "the figures of all resamples", error);
    rung_status status = rows == NULL || values == NULL || results == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    if (status == RUNG_OK) {
        status = resample(bootstrap, rows, n, statistic, context, num_values, values, results, error);
    }
    double tail = (1 - bootstrap->confidence) / 2;
    for (size_t v = 0; status == RUNG_OK && v < num_values; v++) {
        double *resampled = results + v * stride + 1;
        rung_sort(resampled, bootstrap->resamples);
        intervals[v] = (rung_interval){.value = resampled[-1],
                                       .low = rung_quantile(resampled, bootstrap->resamples, tail),
                                       .high = rung_quantile(resampled, bootstrap->resamples, 1 - tail)};
    }
    free(results);
    free(values);
    free(rows);
    return status;
}

typedef struct pair {
    const double *a;
    const double *b;
} pair;

static void sums_of(const uint32_t *rows, size_t n, const pair *of, double *a, double *b)
{
    *a = 0;
    *b = 0;
    for (size_t i = 0; i < n; i++) {
        *a += of->a[rows[i]];
        *b += of->b[rows[i]];
    }
}

static rung_status difference(const uint32_t *rows, size_t n, void *context, double *values, rung_error *error)
{
    (void)error;
    double a;
    double b;
    sums_of(rows, n, context, &a, &b);
    values[0] = (a - b) / (double)n;
    return RUNG_OK;
}

static rung_status ratio(const uint32_t *rows, size_t n, void *context, double *values, rung_error *error)
{
    double a;
    double b;
    sums_of(rows, n, context, &a, &b);
    if (b == 0) {
        return rung_fail(error, RUNG_INVALID,
                         "bootstrap: a ratio of means has the denominator 0 on a resample of %zu rows", n);
    }
    values[0] = a / b;
    return RUNG_OK;
}

static rung_status bootstrap_pair(const rung_bootstrap *bootstrap, rung_statistic statistic, pair of, size_t n,
                                  rung_interval *interval, rung_error *error)
{
    return rung_bootstrap_run(bootstrap, n, statistic, &of, 1, interval, error);
}

rung_status rung_bootstrap_difference(const rung_bootstrap *bootstrap, const double *a, const double *b, size_t n,
                                      rung_interval *interval, rung_error *error)
{
    return bootstrap_pair(bootstrap, difference, (pair){a, b}, n, interval, error);
}

rung_status rung_bootstrap_ratio(const rung_bootstrap *bootstrap, const double *a, const double *b, size_t n,
                                 rung_interval *interval, rung_error *error)
{
    return bootstrap_pair(bootstrap, ratio, (pair){a, b}, n, interval, error);
}
