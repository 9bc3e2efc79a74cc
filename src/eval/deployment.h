/* deployment.h: what was found, as files that rung classify and rung serve take: cascade.yaml with the policy, and calibration.json with what the study
 * fitted. Called by src/cli/eval.c. */
#ifndef RUNG_EVAL_DEPLOYMENT_H
#define RUNG_EVAL_DEPLOYMENT_H

#include "eval/evaluation.h"

/* Writes directory/cascade.yaml and directory/calibration.json; the directory is made when it is not there. data_name: of the texts that were
 * calibrated on. The two load to the scheme bit by bit. */
rung_status rung_deployment_write(const rung_evaluation *evaluation, const rung_scheme *scheme, double agreement,
                                  const char *data_name, const char *directory, rung_error *error) RUNG_WARN_UNUSED;

/* Opens what was written and compares it with the scheme: RUNG_MISMATCH names what differs. Then classifies `count` of the report rows in this process
 * with it and counts in *same the answers that are the replay's in every respect that is recorded. */
typedef struct rung_deployment_check {
    size_t compared;
    size_t same;
} rung_deployment_check;

rung_status rung_deployment_compare(const rung_evaluation *evaluation, const rung_scheme *scheme, const char *directory,
                                    size_t count, rung_deployment_check *check, rung_error *error) RUNG_WARN_UNUSED;

/* The text as a request of its own: with the id that the replay takes for it, which is `id` [RUNG_DEPLOYMENT_ID_BYTES] where it has none. */
#define RUNG_DEPLOYMENT_ID_BYTES 24
rung_input rung_deployment_input(const rung_evaluation *evaluation, size_t row, char id[RUNG_DEPLOYMENT_ID_BYTES]);

/* True when an answer is what a replay of the same text said: label, score to the nine digits that travel, highest level, and at each level the exit and, where
 * no level looked ahead, the bytes that it sent up. */
bool rung_deployment_same(const rung_cascade *cascade, const rung_outcome *outcome, const rung_answer *answer);

#endif
