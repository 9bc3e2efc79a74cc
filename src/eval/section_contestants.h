/* section_contestants.h: all methods, tuned once for the cascade's own network with the same trials and seed; the other sections share them. Called by
 * src/cli/eval.c. */
#ifndef RUNG_EVAL_SECTION_CONTESTANTS_H
#define RUNG_EVAL_SECTION_CONTESTANTS_H

#include "eval/contest.h"
#include "eval/report.h"

/* Zero-initialise; release with rung_contestants_deinit. */
typedef struct rung_contestants {
    rung_entrant *entrants; /* [count] "rung" first; a name is entrants[i].method.name */
    size_t count;
} rung_contestants;

/* Tunes "rung" and every baseline of methods.h, each with report->trials, and writes candidates.csv: method, number, every setting, what was found on the
 * rows to tune on, and whether it is on the method's front. RUNG_INVALID: a cascade of one level. */
rung_status rung_section_contestants(const rung_evaluation *evaluation, rung_report *report,
                                     rung_contestants *contestants, rung_error *error) RUNG_WARN_UNUSED;
void rung_contestants_deinit(rung_contestants *contestants);

/* NULL: there is none of that name. */
const rung_entrant *rung_contestants_find(const rung_contestants *contestants, const char *name);

#endif
