/* walk.h: one request through the levels in virtual time, with what the record has in place of the models: src/cascade/request.c decides, as it does for
 * live requests. Called by replay.c for every request. Knows no files, texts and models. */
#ifndef RUNG_REPLAY_WALK_H
#define RUNG_REPLAY_WALK_H

#include "cascade/request.h"
#include "link/link.h"
#include "replay/exit_table.h"
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
    uint8_t degraded;                            /* rung_degraded: a level that the policy wanted had no result */
} rung_outcome;

/* A level as walks see it. */
typedef struct rung_walk_level {
    rung_exit_table *exits; /* thread-safe; with deferral where the policy defers as it learned */
    uint32_t num_layers;
    uint64_t exit_set; /* the layers that have an exit, the last one among them: bit l is layer l + 1 */
    double speed;
    const rung_link *link; /* from the level below; NULL at level 1 */
} rung_walk_level;

/* Where a walk takes place; shared by all walks. */
typedef struct rung_walk_place {
    uint32_t num_levels;
    uint32_t num_classes;
    rung_walk_level level[RUNG_TAPE_LIMIT_LEVELS];
    const rung_tape *tape;
    const rung_policy *policy;
    const rung_calibration *calibration;
    const rung_timing *timing;
    bool notes_decisions; /* outcomes have decided_label and decided_score */
    /* By row; NULL: not wanted. */
    double *probabilities; /* [count, num_levels, num_classes] what each level's result was when pooled */
    double *pooled;        /* [count, num_classes] */
} rung_walk_place;

/* Memory of one thread's walks. Release with rung_walker_deinit. */
typedef struct rung_walker {
    const rung_walk_place *place;
    rung_request machine[RUNG_TAPE_LIMIT_LEVELS];
    rung_level_answer did[RUNG_TAPE_LIMIT_LEVELS];
    /* Of what each level found, as text: as it went up, and as its result stands. */
    size_t prior_length[RUNG_TAPE_LIMIT_LEVELS];
    size_t found_length[RUNG_TAPE_LIMIT_LEVELS];
    double *workspace;
    bool failed; /* no memory: outcomes since then say nothing */
} rung_walker;

rung_status rung_walker_init(rung_walker *walker, const rung_walk_place *place, rung_error *error) RUNG_WARN_UNUSED;
void rung_walker_deinit(rung_walker *walker);

/* Walks request `row`, whose key is rung_request_key. Returns 0, or the cell that is not known yet: then nothing else is said. A request that no level can
 * answer (logits that are not numbers) has the label UINT32_MAX. */
uint32_t rung_walk(rung_walker *walker, size_t row, uint64_t key, rung_outcome *outcome);

#endif
