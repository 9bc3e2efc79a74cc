/* frontier_race.h: two families of policies, measured on the same requests, against each other along the whole range of accuracies that the first one's
 * frontier covers. Pure. Called by section_paper.c. */
#ifndef RUNG_EVAL_FRONTIER_RACE_H
#define RUNG_EVAL_FRONTIER_RACE_H

#include "eval/interval.h"

/* Policies of one family. Rows of arrays are requests. */
typedef struct rung_racer {
    const double *const *latency_ms; /* [count][n] */
    const double *const *right;      /* [count][n] 0 or 1 */
    size_t count;                    /* >= 1 */
} rung_racer;

#define RUNG_RACE_ACCURACIES 9

typedef struct rung_race {
    rung_interval accuracy[RUNG_RACE_ACCURACIES]; /* evenly spaced inside the first family's frontier, rising */
    rung_interval first_ms[RUNG_RACE_ACCURACIES];
    rung_interval second_ms[RUNG_RACE_ACCURACIES]; /* infinite: the second family does not reach it */
    rung_interval ratio[RUNG_RACE_ACCURACIES];     /* first by second; 0 where the second does not reach it */
    rung_interval geometric_mean;                  /* of the ratios; 0 when one is */
} rung_race;

/* Over n requests; both frontiers and the accuracies are made again for every resample. */
rung_status rung_race_run(const rung_bootstrap *bootstrap, size_t n, const rung_racer *first, const rung_racer *second,
                          rung_race *race, rung_error *error) RUNG_WARN_UNUSED;

#endif
