/* risk.h: p-values of "the risk of this policy is above what the target allows", and how much data certifies what.
 * Pure; used by certify.c and by what reports certificates. Knows no policies. Sources: the exact binomial tail
 * (Clopper and Pearson 1934; its mass as in Loader 2000); betting (Waudby-Smith and Ramdas 2024).
 *
 * A risk is the mean of a loss over requests. Its p-value is small when the losses seen would be unlikely if the risk
 * were above epsilon, and for every delta the chance that it is at most delta although the risk is above epsilon is at
 * most delta. All are the same bits everywhere. */
#ifndef RUNG_PLAN_RISK_H
#define RUNG_PLAN_RISK_H

#include "base/status.h"

/* More samples than this are refused by what asks how much data would certify. */
#define RUNG_RISK_MOST_SAMPLES UINT64_C(1000000000)

/* P(X <= errors) for X binomial with n trials of probability p in [0, 1]; 1 when errors >= n. Relative error below
 * 1e-11 up to n = 1e6. */
double rung_binomial_cdf(uint64_t errors, uint64_t n, double p);

/* Of "accuracy is at least A": errors of n answers are wrong, accuracy in [0, 1]. */
double rung_p_accuracy(uint64_t errors, uint64_t n, double accuracy);

/* Of "agreement with the top level is at least 1 - epsilon": disagreements of n answers differ, epsilon in [0, 1]. */
double rung_p_agreement(uint64_t disagreements, uint64_t n, double epsilon);

/* A test by betting that reads losses one by one, in an order that does not depend on them. */
typedef struct rung_betting {
    double epsilon;
    double stake_scale; /* 2 ln(1 / delta) / n */
    double most_stake;  /* .9 / (1 - epsilon): capital stays above 0 whatever comes */
    double sum;
    double spread; /* 1/4 + sum of (x_i - mean_i)^2 */
    double count;
    double log_capital;
    double most_log_capital;
} rung_betting;

/* n: samples to come, n >= 1 (a later one counts all the same), epsilon in [0, 1), delta in (0, 1): the level at which
 * the p-value will be read. n and delta only set the stakes; the p-value holds for any. */
void rung_betting_init(rung_betting *betting, uint64_t n, double epsilon, double delta);

/* loss in [-1, 1]. Stakes the less the more the losses so far have varied: sqrt(stake_scale / variance). */
void rung_betting_add(rung_betting *betting, double loss);

/* min(1, 1 / the greatest capital so far). */
double rung_betting_p(const rung_betting *betting);

/* Of "the mean loss is at most epsilon", losses [n] in [-1, 1] or [0, 1], n >= 1. Two uses. "No worse than the top by
 * more than epsilon": 1{top right} - 1{ours right}. A policy that tosses a coin: the chance of an error, integrated
 * over the coin. RUNG_INVALID names a loss outside. */
rung_status rung_p_losses(const double *losses, uint64_t n, double epsilon, double delta, double *p,
                          rung_error *error) RUNG_WARN_UNUSED;

/* The most errors in n samples whose binomial p-value is at most delta; false when not even none does. epsilon and
 * delta in [0, 1]. */
bool rung_most_errors(uint64_t n, double epsilon, double delta, uint64_t *errors);

/* The least number of samples that certify risk <= epsilon at delta when errors come at the rate seen, errors of n >= 1
 * (rounded up to a whole error); false when the rate is too near epsilon for RUNG_RISK_MOST_SAMPLES, or above it.
 * epsilon and delta in (0, 1). */
bool rung_least_samples(uint64_t errors, uint64_t n, double epsilon, double delta, uint64_t *samples);

#endif
