/* cascade_config.h: what cascade.yaml says, checked and with defaults filled in. Called by src/cli, src/run and rung_cascade_open. Opens
 * no model: paths are resolved, not read; but for the traces of links. */
#ifndef RUNG_CONFIG_CASCADE_CONFIG_H
#define RUNG_CONFIG_CASCADE_CONFIG_H

#include "cascade/policy.h"
#include "config/calibration_file.h"
#include "config/remote_config.h"
#include "link/link.h"
#include "model/model.h"

typedef struct rung_level_config {
    char *name;
    char *model_path;           /* against the directory of the file that names it; NULL: remote */
    rung_remote_server *remote; /* owned; the server that has the model; only the top level may have one. NULL: none */
    double speed;               /* time = profiled compute / speed, > 0 */
    uint64_t memory_bytes;      /* 0: no limit */
    bool has_link;              /* false for level 1 */
    rung_link link;             /* from the level below; lends `trace` */
    rung_link_trace *trace;     /* owned; NULL: the link has none */
} rung_level_config;

typedef struct rung_label_rename {
    char *from, *to;
} rung_label_rename;

/* A text with more tokens than its model reads. */
typedef enum rung_long_text {
    RUNG_LONG_TEXT_TRUNCATE,
    RUNG_LONG_TEXT_WINDOWS,
} rung_long_text;

/* Zero-initialise; release with rung_cascade_config_deinit. */
typedef struct rung_cascade_config {
    char *path; /* of cascade.yaml; NULL for a single model */
    uint32_t num_levels;
    rung_level_config levels[RUNG_MAX_LEVELS];
    size_t num_renames;
    rung_label_rename *renames;
    char *calibration_path; /* NULL: none */
    rung_precision precision;
    uint32_t threads;          /* 0: as many as there are processors */
    uint32_t threads_per_text; /* 0: those that no other text needs */
    rung_long_text long_text;
    size_t window_overlap; /* tokens */
    rung_policy policy;
    rung_options *options; /* every value in force and where it came from, for rung_options_show */
} rung_cascade_config;

void rung_cascade_config_deinit(rung_cascade_config *config);

/* `overrides` (may be NULL) are flags, which win over the file. Which cascade, in this order: `path`; --model: one level, policy single; --config; the
 * default one, data_dir/cascade.yaml or else data_dir/models/cascade.yaml (data_dir may be NULL: RUNG_INVALID says what to give). */
rung_status rung_cascade_config_load(const char *path, const char *data_dir, const rung_options *overrides,
                                     rung_cascade_config *config, rung_error *error) RUNG_WARN_UNUSED;

/* The same from text; `directory` is what paths are relative to. */
rung_status rung_cascade_config_parse(const char *yaml, size_t bytes, const char *name, const char *directory,
                                      const rung_options *overrides, rung_cascade_config *config,
                                      rung_error *error) RUNG_WARN_UNUSED;

/* For node_config.c: a cascade of which only level own_level (1-based) has a model; the others have a name, and there are no links. The names and the own
 * model are among the options, which are taken over, also on failure. path may be NULL. */
rung_status rung_cascade_config_of_node(rung_options *options, const char *path, uint32_t num_levels,
                                        uint32_t own_level, rung_cascade_config *config,
                                        rung_error *error) RUNG_WARN_UNUSED;

/* Thresholds that were fitted for the policy of this name take effect where neither file nor flag gives any. */
rung_status rung_cascade_config_use_calibration(rung_cascade_config *config, const rung_calibration_file *file,
                                                rung_error *error) RUNG_WARN_UNUSED;

/* The config's cascade under another policy ("tangobert", ...) with that policy's defaults; what the user gave for the policy is dropped, but for the seed. */
rung_status rung_cascade_config_policy(const rung_cascade_config *config, const char *name, rung_policy *policy,
                                       rung_error *error) RUNG_WARN_UNUSED;

/* The label's name after renaming. Lives as long as its argument and config. */
const char *rung_cascade_config_rename(const rung_cascade_config *config, const char *label);

#endif
