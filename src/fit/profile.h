/* profile.h: what a model costs on this machine and how good its exits are: load time, memory, time of the layers up to each exit by length, and with
 * labelled texts the scores of each exit. Called by rung profile; the planner reads what that prints. Knows no flags and prints nothing. */
#ifndef RUNG_FIT_PROFILE_H
#define RUNG_FIT_PROFILE_H

#include "fit/dataset.h"
#include "fit/latency_curve.h"
#include "fit/scores.h"
#include "run/cascade.h"

#define RUNG_PROFILE_MAX_LENGTHS 8
#define RUNG_PROFILE_TEXT_BYTES 1000 /* what tokenizing is timed on */

/* One length in one exit, milliseconds of processor time. */
typedef struct rung_profile_time {
    double median_ms;
    double p10_ms, p90_ms;
} rung_profile_time;

typedef struct rung_profile_exit {
    uint32_t layer;                                    /* 1-based */
    rung_profile_time times[RUNG_PROFILE_MAX_LENGTHS]; /* [num_lengths] */
    rung_latency_curve curve;                          /* through the medians */
    bool has_scores;
    rung_scores raw;        /* at temperature 1 */
    double temperature;     /* of the cascade's calibration, 1 without one */
    rung_scores calibrated; /* at that temperature */
} rung_profile_exit;

typedef struct rung_profile_level {
    size_t weight_bytes;   /* as rung_model_memory_bytes counts them */
    size_t scratch_bytes;  /* one text of the longest length */
    size_t resident_bytes; /* what the process grew by from before loading until all lengths had run */
    double load_ms;        /* wall time, median of a few loads; the file may lie in the page cache */
    double tokenize_ms;    /* RUNG_PROFILE_TEXT_BYTES of English text, median */
    size_t num_lengths;
    size_t lengths[RUNG_PROFILE_MAX_LENGTHS]; /* tokens with [CLS] and [SEP], rising */
    size_t num_exits;
    rung_profile_exit *exits; /* [num_exits] layers rising */
} rung_profile_level;

/* Zero-initialise; release with rung_profile_deinit. */
typedef struct rung_profile {
    uint32_t num_levels;
    rung_profile_level levels[RUNG_MAX_LEVELS];
} rung_profile;

void rung_profile_deinit(rung_profile *profile);

/* Measures every level on the calling thread, one text at a time, `repeats` (>= 1) runs of each length in turn. data may be NULL: no scores.
 * progress may be NULL. */
rung_status rung_profile_measure(const rung_cascade *cascade, size_t repeats, const rung_dataset *data,
                                 const rung_progress *progress, rung_profile *profile,
                                 rung_error *error) RUNG_WARN_UNUSED;

#endif
