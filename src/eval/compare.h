/* compare.h: schemes beside each other on the report rows, with intervals that are paired over the requests. Called by the sections of the report.
 * Knows nothing of how the schemes were chosen. */
#ifndef RUNG_EVAL_COMPARE_H
#define RUNG_EVAL_COMPARE_H

#include "eval/contest.h"

#include <math.h>

/* Zero-initialise; release with rung_contender_deinit. */
typedef struct rung_contender {
    const char *name; /* in tables, lent */
    rung_pick pick;
    rung_measured measured;
    /* Made by rung_compare. */
    rung_interval mean_ms;
    rung_interval p95_ms;
    rung_interval bytes;         /* of a request */
    rung_interval bytes_share;   /* of the top level's */
    rung_interval accuracy;      /* Wilson */
    rung_interval agreement;     /* Wilson */
    rung_interval times_faster;  /* the top level's mean time by this one's */
    rung_interval ours_faster;   /* this one's mean time by ours */
    rung_interval ours_accuracy; /* accuracy of ours less this one's */
    rung_interval
        gap_closed; /* by ours, of what lies between this one and the oracle; NAN where nothing lies between */
} rung_contender;

/* Measures the pick on the report rows. network NULL: as the cascade says. */
rung_status rung_contender_measure(const rung_evaluation *evaluation, const rung_network *network, const char *name,
                                   const rung_pick *pick, rung_contender *contender,
                                   rung_error *error) RUNG_WARN_UNUSED;
void rung_contender_deinit(rung_contender *contender);

typedef struct rung_comparison {
    rung_contender *items; /* [count] measured on the same rows */
    size_t count;
    size_t top;                /* index of the top level alone */
    size_t ours;               /* index of what gaps are closed by */
    const rung_oracle *oracle; /* of the same rows and network; NULL: no gaps */
    bool by_agreement;         /* the oracle has to reach our agreement, else our accuracy */
} rung_comparison;

/* Fills the intervals of all items: every figure sees the same rows of each resample, and the oracle is made again for each. */
rung_status rung_compare(const rung_bootstrap *bootstrap, rung_comparison *comparison,
                         rung_error *error) RUNG_WARN_UNUSED;

/* The oracle's mean time (ms) at what ours reached. */
double rung_comparison_oracle_ms(const rung_comparison *comparison);

/* Without a sign before 0. */
static inline double rung_whole_percent(double share)
{
    return rint(share * 100) + 0.0;
}

#endif
