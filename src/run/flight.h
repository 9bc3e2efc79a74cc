/* flight.h: one request on its way through the levels of an in-process cascade: its text or tokens at the level where it is now, and a visit
 * at each level it reached. Used by driver.c only; all memory is reused from request to request. */
#ifndef RUNG_RUN_FLIGHT_H
#define RUNG_RUN_FLIGHT_H

#include "run/visit.h"

typedef struct rung_flight {
    const rung_cascade *cascade;
    rung_status status; /* of this input */
    rung_error error;
    uint32_t level; /* where it is now, 1-based; 0 when it is answered or refused */
    /* Of each level, virtual time since the request was asked: when it arrived there, then how far that level has come. A level that asks the next one
     * ahead computes on meanwhile, so that the upper one may be earlier. */
    double now_s[RUNG_MAX_LEVELS];
    rung_stage stage[RUNG_MAX_LEVELS]; /* what arrives at each level; borrows from those below */
    rung_visit visit[RUNG_MAX_LEVELS];
    uint32_t top_level; /* highest level that has a part in the answer */
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

/* The visit at flight->level, which is not 0. */
rung_visit *rung_flight_visit(rung_flight *flight);

/* It arrives at flight->level: *compute says whether its visit's job is to be run. When not, it has gone on or ended already. */
rung_status rung_flight_arrive(rung_flight *flight, bool *compute, rung_error *error) RUNG_WARN_UNUSED;

/* The visit's job has been run: decide, and answer or go up. What was asked of the next level ahead of the result, and is not needed after all, is
 * not computed there. */
rung_status rung_flight_computed(rung_flight *flight, rung_error *error) RUNG_WARN_UNUSED;

/* The finished flight as an answer; *block owns its memory. */
rung_status rung_flight_answer(const rung_flight *flight, rung_answer *answer, void **block,
                               rung_error *error) RUNG_WARN_UNUSED;

#endif
