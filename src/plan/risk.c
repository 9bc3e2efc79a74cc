/* risk.c: the binomial distribution to full precision, p-values from counts and by betting. See risk.h. */
#include "plan/risk.h"

#include "base/math.h"

#include <assert.h>
#include <math.h>

#define PI 0x1.921fb54442d18p+1
#define NEGLIGIBLE 0x1p-60 /* of a sum: later terms change nothing */

/* ln(n!) less Stirling's formula, ln(sqrt(2 pi n) (n / e)^n); n >= 1. */
static double stirling_error(double n)
{
    if (n < 16) {
        double factorial = 1; /* exact: 15! < 2^53 */
        for (int k = 2; k <= (int)n; k++) {
            factorial *= k;
        }
        return rung_log(factorial) - (0.5 * rung_log(2 * PI * n) + n * rung_log(n) - n);
    }
    double square = n * n;
    double series = 1.0 / 1188 - 691.0 / 360360 / square;
    series = 1.0 / 1680 - series / square;
    series = 1.0 / 1260 - series / square;
    series = 1.0 / 360 - series / square;
    return (1.0 / 12 - series / square) / n;
}

/* x ln(x / mean) + mean - x without the cancellation near x = mean (Loader's deviance part); both > 0. */
static double deviance(double x, double mean)
{
    double difference = x - mean;
    if (fabs(difference) >= 0.1 * (x + mean)) {
        return x * rung_log(x / mean) - difference;
    }
    /* With v = (x - mean) / (x + mean): (x - mean) v + 2 x (v^3 / 3 + v^5 / 5 + ...), |v| < 0.1. */
    double v = difference / (x + mean);
    double sum = difference * v;
    double term = 2 * x * v;
    for (int odd = 3; odd < 40; odd += 2) {
        term *= v * v;
        sum += term / odd;
    }
    return sum;
}

/* P(X = k), 0 <= k <= n; q = 1 - p, both > 0. The caller has one of them exactly. */
static double binomial_mass(double k, double n, double p, double q)
{
    if (k == 0) {
        /* q^n; for a small p, ln q by way of p: q has lost the low bits of p. */
        return rung_exp(p < 0.1 ? -deviance(n, n * q) - n * p : n * rung_log(q));
    }
    if (k == n) {
        return rung_exp(q < 0.1 ? -deviance(n, n * p) - n * q : n * rung_log(p));
    }
    double exponent =
        stirling_error(n) - stirling_error(k) - stirling_error(n - k) - deviance(k, n * p) - deviance(n - k, n * q);
    return rung_exp(exponent) * sqrt(n / (2 * PI * k * (n - k)));
}

/* P(X <= k) for k at or below the mean: the terms fall from k down. */
static double lower_tail(double k, double n, double p, double q)
{
    double term = binomial_mass(k, n, p, q);
    double sum = term;
    for (uint64_t left = (uint64_t)k; left >= 1 && term > sum * NEGLIGIBLE; left--) {
        double i = (double)left;
        term *= i * q / ((n - i + 1) * p);
        sum += term;
    }
    return sum;
}

double rung_binomial_cdf(uint64_t errors, uint64_t n, double p)
{
    assert(p >= 0 && p <= 1);
    if (errors >= n || p == 0) {
        return 1;
    }
    if (p == 1) {
        return 0;
    }
    double k = (double)errors;
    double trials = (double)n;
    if (k <= trials * p) {
        return lower_tail(k, trials, p, 1 - p);
    }
    /* What is above, P(X >= k + 1), is the lower tail of the successes. */
    return 1 - lower_tail(trials - k - 1, trials, 1 - p, p);
}

double rung_p_accuracy(uint64_t errors, uint64_t n, double accuracy)
{
    return rung_binomial_cdf(errors, n, 1 - accuracy);
}

double rung_p_agreement(uint64_t disagreements, uint64_t n, double epsilon)
{
    return rung_binomial_cdf(disagreements, n, epsilon);
}

void rung_betting_init(rung_betting *betting, uint64_t n, double epsilon, double delta)
{
    assert(n >= 1 && epsilon >= 0 && epsilon < 1 && delta > 0 && delta < 1);
    *betting = (rung_betting){.epsilon = epsilon,
                              .stake_scale = -2 * rung_log(delta) / (double)n,
                              .most_stake = 0.9 / (1 - epsilon),
                              .spread = 0.25};
}

void rung_betting_add(rung_betting *betting, double loss)
{
    /* The stake knows only the losses before this one: that is what makes the capital a supermartingale. */
    double variance = betting->spread / (betting->count + 1);
    double stake = fmin(betting->most_stake, sqrt(betting->stake_scale / variance));
    betting->log_capital += rung_log(1 + stake * (betting->epsilon - loss));
    betting->most_log_capital = fmax(betting->most_log_capital, betting->log_capital);
    betting->count++;
    betting->sum += loss;
    double off = loss - betting->sum / (betting->count + 1);
    betting->spread += off * off;
}

double rung_betting_p(const rung_betting *betting)
{
    return rung_exp(-betting->most_log_capital);
}

rung_status rung_p_losses(const double *losses, uint64_t n, double epsilon, double delta, double *p, rung_error *error)
{
    rung_betting betting;
    rung_betting_init(&betting, n, epsilon, delta);
    for (uint64_t i = 0; i < n; i++) {
        if (!(losses[i] >= -1 && losses[i] <= 1)) {
            return rung_fail(error, RUNG_INVALID, "request %llu: the loss is %g; it must be from -1 to 1",
                             (unsigned long long)i, losses[i]);
        }
        rung_betting_add(&betting, losses[i]);
    }
    *p = rung_betting_p(&betting);
    return RUNG_OK;
}

bool rung_most_errors(uint64_t n, double epsilon, double delta, uint64_t *errors)
{
    if (!(rung_binomial_cdf(0, n, epsilon) <= delta)) {
        return false;
    }
    uint64_t holds = 0;
    uint64_t fails = n + 1;
    while (fails - holds > 1) {
        uint64_t middle = holds + (fails - holds) / 2;
        if (rung_binomial_cdf(middle, n, epsilon) <= delta) {
            holds = middle;
        } else {
            fails = middle;
        }
    }
    *errors = holds;
    return true;
}

/* The least n that certifies with this many errors; RUNG_RISK_MOST_SAMPLES + 1 when there is none. */
static uint64_t samples_for(uint64_t errors, double epsilon, double delta)
{
    uint64_t fails = errors;
    uint64_t holds = RUNG_RISK_MOST_SAMPLES + 1;
    while (holds - fails > 1) {
        uint64_t middle = fails + (holds - fails) / 2;
        if (rung_binomial_cdf(errors, middle, epsilon) <= delta) {
            holds = middle;
        } else {
            fails = middle;
        }
    }
    return holds;
}

bool rung_least_samples(uint64_t errors, uint64_t n, double epsilon, double delta, uint64_t *samples)
{
    assert(n >= 1 && epsilon > 0 && epsilon < 1 && delta > 0 && delta < 1);
    /* Where e errors are allowed, samples_for(e) samples are needed, and e n / errors come before the next error is
     * due. The first is concave in e and starts above the second, a line: they cross once at most. */
    uint64_t fails = 0;
    uint64_t holds = errors == 0 ? 0 : RUNG_RISK_MOST_SAMPLES;
    while (holds - fails > 1) {
        uint64_t middle = fails + (holds - fails) / 2;
        double due = (double)middle * (double)n / (double)errors;
        if ((double)samples_for(middle, epsilon, delta) <= due) {
            holds = middle;
        } else {
            fails = middle;
        }
    }
    uint64_t needed = samples_for(holds, epsilon, delta);
    if (needed > RUNG_RISK_MOST_SAMPLES) {
        return false;
    }
    *samples = needed;
    return true;
}
