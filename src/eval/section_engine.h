/* section_engine.h: what our engine, deferral, early exits and pruning each contribute, against other engines that run the same policies. Called by
 * src/cli/eval.c. */
#ifndef RUNG_EVAL_SECTION_ENGINE_H
#define RUNG_EVAL_SECTION_ENGINE_H

#include "eval/section_contestants.h"

/* Another engine, which takes `factor` times as long for the same models. */
typedef struct rung_peer {
    const char *name; /* lent */
    double factor;    /* > 0 */
} rung_peer;

/* As docs/results.md measured them; static storage. */
const rung_peer *rung_default_peers(size_t *count);

/* peers [num_peers]. Writes engine.csv (step by step) and engine_policies.csv (the same policies on each engine). RUNG_INVALID names a peer whose factor is
 * not above 0. */
rung_status rung_section_engine(const rung_evaluation *evaluation, rung_report *report,
                                const rung_contestants *contestants, const rung_peer *peers, size_t num_peers,
                                rung_error *error) RUNG_WARN_UNUSED;

#endif
