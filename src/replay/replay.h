/* replay.h: policies over a data set, with the record in place of the models. A text that the record has not is computed and added, never approximated. The decisions
 * are src/cascade's, the links src/link's, the time of a model what was profiled. Same data, models, profile, policy and seed, same bits. */
#ifndef RUNG_REPLAY_REPLAY_H
#define RUNG_REPLAY_REPLAY_H

#include "replay/recorder.h"
#include "replay/walk.h"

typedef struct rung_replay rung_replay;

/* Lends all arguments. inputs [count]. RUNG_LIMIT: more than RUNG_TAPE_LIMIT_LEVELS levels. RUNG_UNSUPPORTED: a cascade that reads long texts as windows.
 * RUNG_MISMATCH: a timing of other levels. */
rung_status rung_replay_create(const rung_cascade *cascade, rung_store *store, const rung_input *inputs, size_t count,
                               const rung_timing *timing, rung_replay **replay, rung_error *error) RUNG_WARN_UNUSED;
void rung_replay_free(rung_replay *replay);

/* Texts that a model was run on since it was created. */
size_t rung_replay_computed(const rung_replay *replay);

typedef struct rung_replay_call {
    const rung_policy *policy;           /* of rung_policy_check */
    const rung_calibration *calibration; /* NULL: the cascade's */
    const rung_link *links;              /* [num_levels], index level - 1: from the level below; NULL: the cascade's */
    const double *speeds;                /* [num_levels]; NULL: the cascade's */
    const size_t *rows;                  /* [num_rows] of the inputs, each once */
    size_t num_rows;
    bool may_compute;     /* false: a text that the record has not is RUNG_NOT_FOUND */
    bool notes_decisions; /* outcomes have decided_label and decided_score */
    /* By row of the inputs; NULL: not wanted. */
    double *probabilities;         /* [count, num_levels, num_classes] what the visited levels said, as it is pooled */
    double *pooled;                /* [count, num_classes] the probabilities of the answer */
    const rung_progress *progress; /* of what is computed; NULL */
} rung_replay_call;

/* outcomes [num_rows] in the order of rows. Runs on all threads of the cascade. Not for two threads at once. */
rung_status rung_replay_run(rung_replay *replay, const rung_replay_call *call, rung_outcome *outcomes,
                            rung_error *error) RUNG_WARN_UNUSED;

/* Makes the record hold what every level says of the whole texts of the rows and, where the policy prunes, of what the levels below leave of them. */
rung_status rung_replay_record(rung_replay *replay, const rung_policy *policy, const size_t *rows, size_t num_rows,
                               const rung_progress *progress, rung_error *error) RUNG_WARN_UNUSED;

/* The record's entry of the whole text of `row` at `level`, which must have been recorded (single(level) was replayed): logits in the model's order. */
rung_status rung_replay_whole(rung_replay *replay, size_t row, uint32_t level, rung_record_entry *entry,
                              rung_error *error) RUNG_WARN_UNUSED;

#endif
