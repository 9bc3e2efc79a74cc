/* latency_curve.c: least squares with coefficients >= 0. See latency_curve.h. */
#include "fit/latency_curve.h"

#include <math.h>

#define TERMS 3

/* A gain in the mean squared relative error below it is rounding. */
#define LEAST_GAIN 1e-18

/* The problem with lengths scaled to at most 1 and every row divided by its time, so that errors are relative: columns * x = 1. */
typedef struct problem {
    double column[TERMS][RUNG_LATENCY_MAX_POINTS];
    size_t n;
} problem;

/* The coefficients of the columns in `set` (bits), the others 0, by Gram-Schmidt. False when the columns do not determine them. */
static bool solve(const problem *of, unsigned set, double x[TERMS])
{
    double q[TERMS][RUNG_LATENCY_MAX_POINTS];
    double r[TERMS][TERMS] = {{0}};
    double projected[TERMS] = {0};
    for (size_t k = 0; k < TERMS; k++) {
        x[k] = 0;
        if ((set >> k & 1) == 0) {
            continue;
        }
        double before = 0;
        double norm = 0;
        for (size_t i = 0; i < of->n; i++) {
            q[k][i] = of->column[k][i];
            before += q[k][i] * q[k][i];
        }
        for (size_t j = 0; j < k; j++) {
            for (size_t i = 0; (set >> j & 1) == 1 && i < of->n; i++) {
                r[j][k] += q[j][i] * q[k][i];
            }
            for (size_t i = 0; (set >> j & 1) == 1 && i < of->n; i++) {
                q[k][i] -= r[j][k] * q[j][i];
            }
        }
        for (size_t i = 0; i < of->n; i++) {
            norm += q[k][i] * q[k][i];
        }
        if (!(norm > before * 1e-16)) {
            return false;
        }
        r[k][k] = sqrt(norm);
        for (size_t i = 0; i < of->n; i++) {
            q[k][i] /= r[k][k];
            projected[k] += q[k][i];
        }
    }
    for (size_t k = TERMS; k-- > 0;) {
        if ((set >> k & 1) == 1) {
            double rest = projected[k];
            for (size_t j = k + 1; j < TERMS; j++) {
                rest -= r[k][j] * x[j];
            }
            x[k] = rest / r[k][k];
        }
    }
    return true;
}

static double squared_error(const problem *of, const double x[TERMS])
{
    double sum = 0;
    for (size_t i = 0; i < of->n; i++) {
        double off = of->column[0][i] * x[0] + of->column[1][i] * x[1] + of->column[2][i] * x[2] - 1;
        sum += off * off;
    }
    return sum;
}

static size_t count_lengths(const double *tokens, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        bool seen = false;
        for (size_t j = 0; j < i; j++) {
            seen = seen || tokens[j] == tokens[i];
        }
        count += seen ? 0 : 1;
    }
    return count;
}

static rung_status check(const double *tokens, const double *ms, size_t n, rung_error *error)
{
    if (n < 1 || n > RUNG_LATENCY_MAX_POINTS) {
        return rung_fail(error, RUNG_INVALID, "a latency curve through %zu points; it takes 1 to %d", n,
                         RUNG_LATENCY_MAX_POINTS);
    }
    for (size_t i = 0; i < n; i++) {
        if (!(tokens[i] >= 1 && isfinite(tokens[i]) && ms[i] > 0 && isfinite(ms[i]))) {
            return rung_fail(error, RUNG_INVALID,
                             "a latency curve through %g ms for %g tokens: both must be finite, times above 0 and "
                             "lengths at least 1",
                             ms[i], tokens[i]);
        }
    }
    return RUNG_OK;
}

static void fill_errors(const double *tokens, const double *ms, size_t n, rung_latency_curve *curve)
{
    double sum = 0;
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        double off = fabs(rung_latency_ms(curve, tokens[i]) - ms[i]) / ms[i];
        sum += off;
        most = fmax(most, off);
    }
    curve->max_error = most;
    curve->mean_error = sum / (double)n;
}

rung_status rung_latency_fit(const double *tokens, const double *ms, size_t n, rung_latency_curve *curve,
                             rung_error *error)
{
    /* Sets of few columns first, so that equals prefer them. The constant alone always fits with a coefficient above 0. */
    static const unsigned sets[] = {1, 2, 4, 3, 5, 6, 7};
    static const size_t sizes[] = {1, 1, 1, 2, 2, 2, 3};
    rung_status status = check(tokens, ms, n, error);
    if (status != RUNG_OK) {
        return status;
    }
    problem of = {.n = n};
    double longest = 1;
    for (size_t i = 0; i < n; i++) {
        longest = fmax(longest, tokens[i]);
    }
    for (size_t i = 0; i < n; i++) {
        double length = tokens[i] / longest;
        of.column[0][i] = 1 / ms[i];
        of.column[1][i] = length / ms[i];
        of.column[2][i] = length * length / ms[i];
    }
    size_t lengths = count_lengths(tokens, n);
    double best[TERMS] = {0};
    double least = INFINITY;
    for (size_t s = 0; s < sizeof sets / sizeof sets[0]; s++) {
        double x[TERMS];
        if (sizes[s] > lengths || !solve(&of, sets[s], x) || x[0] < 0 || x[1] < 0 || x[2] < 0) {
            continue;
        }
        double found = squared_error(&of, x);
        if (found < least - LEAST_GAIN * (double)n) {
            least = found;
            best[0] = x[0];
            best[1] = x[1];
            best[2] = x[2];
        }
    }
    rung_latency_curve made = {
        .a_ms = best[0], .b_ms_per_token = best[1] / longest, .c_ms_per_token2 = best[2] / (longest * longest)};
    fill_errors(tokens, ms, n, &made);
    *curve = made;
    return RUNG_OK;
}

double rung_latency_ms(const rung_latency_curve *curve, double tokens)
{
    return curve->a_ms + curve->b_ms_per_token * tokens + curve->c_ms_per_token2 * tokens * tokens;
}
