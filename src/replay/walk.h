/* walk.h: one request through the levels in virtual time, with what the record has in place of the models: src/cascade/request.c decides, as it does for
 * live requests. Called by replay.c for every request. Knows no files, texts and models. */
#ifndef RUNG_REPLAY_WALK_H
#define RUNG_REPLAY_WALK_H

#include "base/buffer.h"
#include "cascade/request.h"
#include "link/link.h"
#include "replay/store.h"
#include "replay/tape.h"
#include "replay/timing.h"

/* What became of one request. Arrays by level - 1. */
typedef struct rung_outcome {
    double latency_s; /* from asking to the answer */
    double score;     /* of the label */
    uint32_t label;
    uint32_t answer_level;                          /* highest level whose result counts */
    uint32_t visited;                               /* set of levels whose result counts, bit l: level l + 1 */
    uint32_t computed;                              /* set of levels that computed, also in vain */
    uint8_t exit_layer[RUNG_TAPE_LIMIT_LEVELS];     /* where the level stopped; 0: it did not compute */
    uint16_t decided_label[RUNG_TAPE_LIMIT_LEVELS]; /* what the level and those below say together when it decides */
    float decided_score[RUNG_TAPE_LIMIT_LEVELS];    /* of that label, on calibrated probabilities */
    float compute_s[RUNG_TAPE_LIMIT_LEVELS];
    float link_s[RUNG_TAPE_LIMIT_LEVELS];        /* to the next level and back */
    uint32_t bytes_up[RUNG_TAPE_LIMIT_LEVELS];   /* bodies sent to the next level */
    uint32_t bytes_down[RUNG_TAPE_LIMIT_LEVELS]; /* and received from it */
    bool speculated;                             /* some level asked the next one before it knew that it had to */
    bool cancelled;                              /* and took it back */
} rung_outcome;

/* Where a walk takes place; shared by all walks, read only. */
typedef struct rung_walk_place {
    uint32_t num_levels;
    uint32_t num_classes;
    const rung_store *store;
    const rung_tape *tape;
    const rung_policy *policy;
    const rung_calibration *calibration;
    const rung_timing *timing;
    double speed[RUNG_MAX_LEVELS];
    const rung_link *link[RUNG_MAX_LEVELS];    /* to the level from the one below; index level - 1 */
    const uint32_t *class_of[RUNG_MAX_LEVELS]; /* [num_classes] the cascade's class of the model's class c */
    bool notes_decisions;                      /* outcomes have decided_label and decided_score */
    double *
        probabilities; /* [count, num_levels, num_classes] what each level's result was when pooled; NULL: not wanted */
} rung_walk_place;

/* Memory of one thread's walks. Zero-initialise; release with rung_walker_deinit. */
typedef struct rung_walker {
    const rung_walk_place *place;
    rung_request machine[RUNG_TAPE_LIMIT_LEVELS];
    rung_level_answer did[RUNG_TAPE_LIMIT_LEVELS];
    double *workspace;
    float *logits;
    rung_buffer body;
} rung_walker;

rung_status rung_walker_init(rung_walker *walker, const rung_walk_place *place, rung_error *error) RUNG_WARN_UNUSED;
void rung_walker_deinit(rung_walker *walker);

/* Walks request `row`, whose key is rung_request_key. Returns 0, or the cell that is not known yet: then nothing else is said. A request that no level can answer (logits that
 * are not numbers) has the label UINT32_MAX. */
uint32_t rung_walk(rung_walker *walker, size_t row, uint64_t key, rung_outcome *outcome);

#endif
