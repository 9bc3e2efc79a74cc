/* timing.h: how long a level computes, as profiled: what a replay takes for the time of a model. */
#ifndef RUNG_REPLAY_TIMING_H
#define RUNG_REPLAY_TIMING_H

#include "cascade/policy.h"
#include "fit/profile.h"

#define RUNG_TIMING_MAX_LAYERS 64

/* Of a machine of speed 1. */
typedef struct rung_level_timing {
    uint32_t num_layers;
    rung_latency_curve exits[RUNG_TIMING_MAX_LAYERS]; /* [num_layers] until the exit after each layer */
    double tokenize_ms_per_byte;
} rung_level_timing;

typedef struct rung_timing {
    uint32_t num_levels;
    rung_level_timing level[RUNG_MAX_LEVELS];
} rung_timing;

/* The curves of a profile. RUNG_LIMIT: a level with more than RUNG_TIMING_MAX_LAYERS layers. */
rung_status rung_timing_of(const rung_profile *profile, rung_timing *timing, rung_error *error) RUNG_WARN_UNUSED;

/* As JSON, to the same bits back. `origin`: what was profiled, as rung_store_open has it; on reading it is compared. */
rung_status rung_timing_save(const rung_timing *timing, const char *origin, const char *path,
                             rung_error *error) RUNG_WARN_UNUSED;
/* RUNG_NOT_FOUND: no such file. RUNG_MISMATCH: of something else. RUNG_INVALID: not such a file. */
rung_status rung_timing_load(const char *path, const char *origin, rung_timing *timing,
                             rung_error *error) RUNG_WARN_UNUSED;

/* The same of the text [size] of the file `path`. */
rung_status rung_timing_parse(const char *text, size_t size, const char *path, const char *origin, rung_timing *timing,
                              rung_error *error) RUNG_WARN_UNUSED;

#endif
