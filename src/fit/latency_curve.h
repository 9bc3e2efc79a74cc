/* latency_curve.h: a curve through measured times: ms = a + b n + c n^2 for n tokens: what every text costs, what every token costs, and the
 * attention of all tokens to all. Pure; used by profile.c, later by the planner. Method: weighted least squares on the relative error with
 * coefficients >= 0 (Lawson and Hanson 1974; three coefficients, so that all active sets are tried). */
#ifndef RUNG_FIT_LATENCY_CURVE_H
#define RUNG_FIT_LATENCY_CURVE_H

#include "base/status.h"

#define RUNG_LATENCY_MAX_POINTS 64

typedef struct rung_latency_curve {
    double a_ms;
    double b_ms_per_token;
    double c_ms_per_token2;
    double max_error;  /* largest |curve - measured| / measured over the points */
    double mean_error; /* mean of the same */
} rung_latency_curve;

/* tokens [n] >= 1, ms [n] > 0 and finite, 1 <= n <= RUNG_LATENCY_MAX_POINTS; RUNG_INVALID names what is not. Never fits more coefficients than there are
 * different lengths; of equally good fits the one with fewer coefficients. */
rung_status rung_latency_fit(const double *tokens, const double *ms, size_t n, rung_latency_curve *curve,
                             rung_error *error) RUNG_WARN_UNUSED;

double rung_latency_ms(const rung_latency_curve *curve, double tokens);

#endif
