/* certify.h: which policies keep their target, at a stated confidence. Pure; used by what plans and by what reports.
 * Source: fixed-sequence testing (Maurer et al. 1995), as in Angelopoulos et al. 2021.
 *
 * Candidates are ordered by their p-values on one data set, safest first. On a second, independent one they are tested
 * in that order at level delta until the first p-value above it. All before it hold together: the chance that one of
 * them has a risk above its limit is at most delta. So the fastest of them may be deployed. For J orders or G targets
 * at once each gets delta / (J G). */
#ifndef RUNG_PLAN_CERTIFY_H
#define RUNG_PLAN_CERTIFY_H

#include "base/buffer.h"

typedef enum rung_target_kind {
    RUNG_TARGET_ACCURACY,  /* the share of right answers is at least value */
    RUNG_TARGET_AGREEMENT, /* the share of answers that are the top level's is at least value */
    RUNG_TARGET_NO_WORSE,  /* accuracy is at least the top level's less value */
} rung_target_kind;

typedef struct rung_target {
    rung_target_kind kind;
    double value; /* strictly between 0 and 1 */
} rung_target;

/* RUNG_INVALID when value is not strictly between 0 and 1. */
rung_status rung_target_check(rung_target target, rung_error *error) RUNG_WARN_UNUSED;

/* The risk that the target allows: 1 - value, or value of RUNG_TARGET_NO_WORSE. */
double rung_target_epsilon(rung_target target);

/* opt_p and cert_p [count]: p-values of each candidate on the data that order them and on the data that certify. order
 * [count]: candidates in the order tested; of equal opt_p the earlier comes first. The first *held of them hold. delta
 * in (0, 1). A NaN among the p-values is RUNG_INVALID. count may be 0. */
rung_status rung_certify(const double *opt_p, const double *cert_p, size_t count, double delta, size_t *order,
                         size_t *held, rung_error *error) RUNG_WARN_UNUSED;

/* Errors (or disagreements) of each candidate among n requests of one data set. */
typedef struct rung_loss_counts {
    const uint64_t *errors; /* [count] */
    uint64_t n;             /* >= 1 */
} rung_loss_counts;

/* rung_certify with exact binomial p-values of the two data sets, for losses of 0 and 1 against epsilon in (0, 1). p
 * [count], when not NULL, takes the p-values on cert. RUNG_INVALID names a candidate with more errors than requests. */
rung_status rung_certify_counts(rung_loss_counts opt, rung_loss_counts cert, size_t count, double epsilon, double delta,
                                size_t *order, size_t *held, double *p, rung_error *error) RUNG_WARN_UNUSED;

/* The candidate with the least latency_ms among order [held], of equal ones the first in order; false: none holds. */
bool rung_certify_fastest(const size_t *order, size_t held, const double *latency_ms, size_t *fastest);

/* What a certificate says, one paragraph for reports: the target, the confidence 1 - delta, the n requests that it
 * rests on, for which requests it holds and what it does not say. */
void rung_certify_statement(rung_target target, double delta, uint64_t n, rung_buffer *out);

#endif
