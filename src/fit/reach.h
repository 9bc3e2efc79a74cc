/* reach.h: the inputs of a fit on their way up: each level runs once on the requests that reach it, as they reach it: pruned by the level below,
 * stopped by the exit rule of the policy. What a level passes on does not depend on its threshold, so that thresholds can be chosen between two
 * levels without running one again. Called by fit_cascade.c; decides nothing. */
#ifndef RUNG_FIT_REACH_H
#define RUNG_FIT_REACH_H

#include "base/progress.h"
#include "net/remote_client.h"
#include "run/visit.h"

/* What one level found for one input. */
typedef struct rung_found {
    uint32_t exit_layer; /* 1-based; 0: this level did not compute it */
    uint32_t num_tokens;
    double confidence; /* calibrated, of the level alone */
} rung_found;

/* One input on its way. */
typedef struct rung_trail {
    uint64_t key;
    bool going;          /* it reaches the next level to run */
    rung_stage stage[2]; /* by level % 2: what arrives there; two alternate, since a level prunes one into the other */
} rung_trail;

/* Zero-initialise; release with rung_reach_deinit. Arrays outlive the runs; those of a level are valid after it has run. */
typedef struct rung_reach {
    const rung_cascade *cascade; /* with the temperatures that are fitted already */
    rung_remote_client *client;  /* of a remote top level; the caller sets it; NULL: there is none */
    rung_policy policy;          /* the cascade's, sending everything up */
    size_t count;
    rung_trail *trails; /* [count] */
    rung_found *found;  /* [num_levels, count] */
    double
        *probabilities; /* [num_levels, count, num_classes] as the level that ran last adds them up: those of the levels
                              below it came as floats */
    float *states;      /* [count, hidden_size] [CLS] of the level that ran last, where it stopped */
    size_t states_floats;
} rung_reach;

/* inputs [count] are lent until rung_reach_deinit: pruned texts borrow from them. All are going. */
rung_status rung_reach_init(rung_reach *reach, const rung_cascade *cascade, const rung_input *inputs, size_t count,
                            rung_error *error) RUNG_WARN_UNUSED;
void rung_reach_deinit(rung_reach *reach);

/* Runs `level` (1-based, rising by one from call to call) on the inputs that are going, on all threads of the cascade; a remote one is asked. An input that cannot be read, or
 * for which the model gives no numbers, fails the call with its position. */
rung_status rung_reach_run(rung_reach *reach, uint32_t level, const rung_progress *progress,
                           rung_error *error) RUNG_WARN_UNUSED;

static inline const rung_found *rung_reach_found(const rung_reach *reach, uint32_t level, size_t input)
{
    return &reach->found[(level - 1) * reach->count + input];
}

static inline const double *rung_reach_probabilities(const rung_reach *reach, uint32_t level, size_t input)
{
    return reach->probabilities + ((level - 1) * reach->count + input) * reach->cascade->num_classes;
}

/* The pool of levels 1 .. level for one input, as policy->weights says: visited [num_levels], pooled [num_classes]. */
void rung_reach_pool(const rung_reach *reach, const rung_policy *policy, uint32_t level, size_t input, double *pooled);

#endif
