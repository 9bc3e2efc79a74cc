/* flight.h: one request on its way through the levels of an in-process cascade: its text or tokens at the level where it is now, a state machine
 * for each level it reached, and what each level did. Used by driver.c only; all memory is reused from request to request. */
#ifndef RUNG_RUN_FLIGHT_H
#define RUNG_RUN_FLIGHT_H

#include "cascade/prune.h"
#include "cascade/request.h"
#include "run/batch_run.h"
#include "run/cascade.h"
#include "run/message.h"

/* What the text was when it arrived at a level, and the tokens that the level's model reads. Two alternate, since a level prunes one into the other. */
typedef struct rung_stage {
    rung_text text[2]; /* text and pair; the user's own at level 1, else in `memory` */
    bool has_pair;
    bool tokens_arrived; /* `tokens` came from below; else they are made from the text here */
    rung_encoding tokens;
    char *memory[2];
    size_t memory_bytes[2];
} rung_stage;

typedef struct rung_flight {
    const rung_cascade *cascade;
    const rung_policy *policy;
    const rung_input *input;
    rung_status status; /* of this input */
    rung_error error;
    uint64_t key;
    uint32_t level; /* where it is now, 1-based; 0 when it is answered or refused */
    double now_s;   /* virtual time since it was asked */
    rung_stage stage[2];
    rung_request machine[RUNG_MAX_LEVELS];
    rung_level_answer did[RUNG_MAX_LEVELS];
    uint32_t top_level; /* highest level it reached */
    rung_job job;
    /* Memory. */
    double *workspace; /* machines', then the exit state's */
    float *logits;     /* [2][num_classes] the model's order, the cascade's order */
    float *importance; /* [tokens] */
    size_t importance_capacity;
    rung_word *words;
    size_t words_capacity;
    bool *keep;
    size_t keep_capacity;
    rung_buffer body;
} rung_flight;

rung_status rung_flight_init(rung_flight *flight, const rung_cascade *cascade, rung_error *error) RUNG_WARN_UNUSED;
void rung_flight_deinit(rung_flight *flight);

/* A level that only passes on does not compute when the levels above have nothing (a node does): the input is refused.
 *
 * The path, step by step. A step that fails for this input sets flight->status and ends the flight; only RUNG_NO_MEMORY is
 * returned. */

/* The user asks. position is the id of an input without one. */
rung_status rung_flight_ask(rung_flight *flight, const rung_policy *policy, const rung_input *input, size_t position,
                            rung_error *error) RUNG_WARN_UNUSED;

/* It arrives at flight->level: *compute says whether flight->job is to be run. When not, it has gone on or ended already. */
rung_status rung_flight_arrive(rung_flight *flight, bool *compute, rung_error *error) RUNG_WARN_UNUSED;

/* flight->job has been run: decide, and answer or go up. */
rung_status rung_flight_computed(rung_flight *flight, rung_error *error) RUNG_WARN_UNUSED;

/* The finished flight as an answer; *block owns its memory. */
rung_status rung_flight_answer(const rung_flight *flight, rung_answer *answer, void **block,
                               rung_error *error) RUNG_WARN_UNUSED;

#endif
