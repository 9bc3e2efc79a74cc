/* recorder.h: fills cells of a tape: reads the text as it reaches the level, looks it up in the record, and runs the model on it when it is not there.
 * Called by replay.c. Knows no policies beyond how they prune. */
#ifndef RUNG_REPLAY_RECORDER_H
#define RUNG_REPLAY_RECORDER_H

#include "base/hash.h"
#include "base/progress.h"
#include "replay/store.h"
#include "replay/tape.h"
#include "run/cascade.h"

/* A cell that is wanted. */
typedef struct rung_wanted {
    uint32_t row;
    uint32_t cell; /* not 0 */
} rung_wanted;

typedef struct rung_recorder {
    const rung_cascade *cascade;
    rung_store *store;
    const rung_input *inputs;                              /* lent; [count] of the tape */
    char identity[RUNG_MAX_LEVELS][RUNG_SHA256_HEX_BYTES]; /* of what answers at each level: rung_recorder_identify */
    /* By level - 1: its entries have states and importance. Those of the top level need none, unless it runs the model of another level: then either's entries
     * are the other's. */
    bool keeps_all[RUNG_MAX_LEVELS];
    size_t computed; /* texts that a model was run on so far */
} rung_recorder;

/* Fills identity: the model's hash, and where a task's heads were put on the model, a hash of both; and keeps_all. */
void rung_recorder_identify(rung_recorder *recorder);

/* Fills the wanted cells, whose cells below (the same set without the highest level) are filled already or stand earlier in the list for a lower level; and
 * cell 0 of their rows. On all threads of the cascade. may_compute false: a text that the record has not is RUNG_NOT_FOUND, which names the input and the level.
 * RUNG_INVALID, RUNG_LIMIT: a text that no level would take. RUNG_MISMATCH: what the record has is of another model. What was recorded before a failure stays. */
rung_status rung_recorder_fill(rung_recorder *recorder, rung_tape *tape, const rung_wanted *wanted, size_t count,
                               bool may_compute, const rung_progress *progress, rung_error *error) RUNG_WARN_UNUSED;

#endif
