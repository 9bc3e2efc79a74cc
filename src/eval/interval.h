/* interval.h: how far a figure of an evaluation can be trusted. Pure; used by what writes reports. Knows no policies.
 * Sources: Wilson 1927; the percentile bootstrap, Efron and Tibshirani 1993. The same bits everywhere for the same
 * seed. */
#ifndef RUNG_EVAL_INTERVAL_H
#define RUNG_EVAL_INTERVAL_H

#include "base/status.h"

typedef struct rung_interval {
    double value;
    double low;
    double high;
} rung_interval;

/* The z for which a standard normal lies in [-z, z] with this probability: 1.95996... for .95. confidence in [0, 1 -
 * 1e-9]. */
double rung_normal_z(double confidence);

/* Wilson's interval of a share: successes of trials, 0 <= successes <= trials, trials > 0. Successes need not be whole:
 * ties of a reliability bin count in part. */
rung_interval rung_wilson(double successes, double trials, double confidence);

/* exp of the mean of ln, values [n] > 0 and finite, n >= 1; RUNG_INVALID names the first that is not. */
rung_status rung_geometric_mean(const double *values, size_t n, double *mean, rung_error *error) RUNG_WARN_UNUSED;

typedef struct rung_bootstrap {
    size_t resamples;  /* B >= 1; 2000 gives ends of .95 intervals that repeat to about a twentieth of their width */
    double confidence; /* in (0, 1) */
    uint64_t seed;
} rung_bootstrap;

/* Computes num_values figures from the rows [n] of a resample: indices < n, with repeats. Choosing a policy belongs
 * inside. What fails ends the bootstrap; context is the caller's. */
typedef rung_status (*rung_statistic)(const uint32_t *rows, size_t n, void *context, double *values, rung_error *error);

/* Percentile intervals of num_values figures at once over data of n rows, 1 <= n < 2^32: every figure sees the same
 * rows of each resample, so that differences between them are paired. value is the figure of the data as it is; low and
 * high enclose the share `confidence` of the resamples. A figure may be infinite; one that is NaN is RUNG_INVALID, as
 * it has no place in the order. intervals [num_values]. */
rung_status rung_bootstrap_run(const rung_bootstrap *bootstrap, size_t n, rung_statistic statistic, void *context,
                               size_t num_values, rung_interval *intervals, rung_error *error) RUNG_WARN_UNUSED;

/* mean(a) - mean(b) over the same requests; a and b [n], finite. */
rung_status rung_bootstrap_difference(const rung_bootstrap *bootstrap, const double *a, const double *b, size_t n,
                                      rung_interval *interval, rung_error *error) RUNG_WARN_UNUSED;

/* mean(a) / mean(b) over the same requests; a [n] finite, b [n] such that no resample has mean 0 (RUNG_INVALID
 * otherwise): all of one sign. */
rung_status rung_bootstrap_ratio(const rung_bootstrap *bootstrap, const double *a, const double *b, size_t n,
                                 rung_interval *interval, rung_error *error) RUNG_WARN_UNUSED;

#endif
