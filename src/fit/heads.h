/* heads.h: exit heads for frozen encoders: a linear map from the [CLS] state after a layer to a task's labels, fitted by logistic regression. Called by
 * rung fit on a cascade that rung_cascade_open_for_fit opened, before temperatures and thresholds, which must not be fitted on the same rows. */
#ifndef RUNG_FIT_HEADS_H
#define RUNG_FIT_HEADS_H

#include "fit/dataset.h"

/* Of every RUNG_HEADS_SHARE rows of a label one is left to the rest of the fit. */
#define RUNG_HEADS_SHARE 4
#define RUNG_HEADS_MIN_ROWS 40
/* States beyond this many bytes a level are not recorded: rows evenly spread over all stand for the rest. */
#define RUNG_HEADS_MAX_STATE_BYTES ((size_t)1 << 30)

/* Of one level; in the cascade's order of classes. weight is NULL where a layer got none. */
typedef struct rung_level_heads {
    size_t num_layers;
    size_t hidden_size;
    rung_exit_head *heads; /* [num_layers]; NULL: the level keeps what it has */
    float *memory;         /* what they lie in */
} rung_level_heads;

/* Zero-initialise; release with rung_task_heads_deinit. */
typedef struct rung_task_heads {
    uint32_t num_levels;
    size_t num_classes;
    rung_level_heads level[RUNG_MAX_LEVELS];
} rung_task_heads;

void rung_task_heads_deinit(rung_task_heads *heads);

/* Which levels get heads: those with task labels after every layer, and, with `early`, classifiers without any exit before the last one after every
 * layer but that. */
bool rung_heads_wanted(const rung_cascade *cascade, bool early);

/* Splits rows by label and a hash of their position: *learn is for the heads, *rest for what is fitted on top of them. RUNG_INVALID: fewer than
 * RUNG_HEADS_MIN_ROWS rows, or fewer than two labels with RUNG_HEADS_SHARE rows. Both lend from data. */
rung_status rung_heads_split(const rung_cascade *cascade, const rung_dataset *data, rung_dataset *learn,
                             rung_dataset *rest, rung_error *error) RUNG_WARN_UNUSED;

/* Fits the heads on full texts and gives them to the models, which nobody else may use meanwhile. Same input, same bits, for any number of threads. */
rung_status rung_fit_heads(rung_cascade *cascade, bool early, const rung_dataset *learn, const rung_progress *progress,
                           rung_task_heads *heads, rung_error *error) RUNG_WARN_UNUSED;

/* Copies them into the exits of a calibration of the same cascade. */
rung_status rung_task_heads_store(const rung_task_heads *heads, rung_calibration_file *file,
                                  rung_error *error) RUNG_WARN_UNUSED;

#endif
