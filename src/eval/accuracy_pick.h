/* accuracy_pick.h: the fastest of a method's policies that will be no less accurate than a given scheme, chosen before the report rows are read. Called by
 * the sections that compare at equal accuracy. */
#ifndef RUNG_EVAL_ACCURACY_PICK_H
#define RUNG_EVAL_ACCURACY_PICK_H

#include "eval/contest.h"

typedef struct rung_accuracy_pick {
    rung_pick pick;
    double margin;     /* of accuracy over the scheme's that the pick needed */
    double difference; /* that it has on the rows to tune and to certify on */
    bool found;        /* false: no policy has its margin, and the pick is the one that is nearest to its own */
} rung_accuracy_pick;

/* Of the front, fastest first, the first whose accuracy on the rows to tune on and to certify on is above the scheme's by a margin such that, with
 * chance 4 in 5, the paired interval (`confidence`) of the difference on the report rows will lie above -tolerance: spread of the paired
 * differences, as seen on these rows, times (z / sqrt(n_report) + 0.84 sqrt(1 / n_report + 1 / n_here)), less tolerance. */
rung_status rung_pick_as_accurate(const rung_evaluation *evaluation, const rung_entrant *entrant,
                                  const rung_scheme *scheme, double tolerance, double confidence,
                                  rung_accuracy_pick *pick, rung_error *error) RUNG_WARN_UNUSED;

#endif
