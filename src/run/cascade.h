/* cascade.h: an open cascade: its models, policy, calibration and links. Made by cascade.c, driven by driver.c, read by src/fit and src/cli.
 * Immutable once open, apart from the pool of idle workers. */
#ifndef RUNG_RUN_CASCADE_H
#define RUNG_RUN_CASCADE_H

#include "base/parallel.h"
#include "base/progress.h"
#include "cascade/policy.h"
#include "config/calibration_file.h"
#include "config/cascade_config.h"
#include "link/link.h"
#include "model/model.h"

#include <pthread.h>

typedef struct rung_cascade_level {
    const char *name;     /* of the configuration */
    rung_model *model;    /* NULL: another process has it */
    bool is_remote;       /* that process is a server of another kind (config/remote_config.h) */
    double speed;         /* time = measured compute / speed */
    rung_link link;       /* from the level below; unused at level 1 */
    uint32_t *class_of;   /* [num_classes] the cascade's class of the model's class c; NULL without model */
    bool has_task_labels; /* its labels and heads are the calibration's or the fit's, not those of its files */
    bool tokens_travel;   /* this level's token ids mean the same to all levels above it */
} rung_cascade_level;

struct rung_cascade {
    rung_cascade_config config;
    uint32_t num_levels;
    uint32_t num_classes;
    const char **labels;       /* [num_classes] in the cascade's order, after renaming */
    bool labels_are_the_datas; /* no model brought them: a label that is a number is a name among them */
    rung_cascade_level level[RUNG_MAX_LEVELS];
    rung_policy policy;
    rung_calibration calibration;
    rung_calibration_file calibration_file; /* the identity when none is configured */
    rung_precision precision;
    const rung_kernels *kernels;
    size_t threads;
    size_t threads_per_text; /* at most; 0: as many as no other text needs */
    size_t batch_tokens;
    size_t batch_texts;
    /* Workers that no call uses now; guarded by lock. */
    pthread_mutex_t lock;
    struct rung_worker *idle[RUNG_MAX_THREADS];
    size_t num_idle;
};

/* Opens from a configuration, which it takes over (also on failure). options as in rung.h. */
rung_status rung_cascade_open_config(rung_cascade_config *config, const rung_open_options *options,
                                     rung_cascade **cascade, rung_error *error) RUNG_WARN_UNUSED;

/* The same for one level by itself (1-based), as a node serves it: only its model is open, and what the others are comes from the
 * calibration, which is needed when there are others. 0: all levels. */
rung_status rung_cascade_open_level(rung_cascade_config *config, uint32_t only_level, const rung_open_options *options,
                                    rung_cascade **cascade, rung_error *error) RUNG_WARN_UNUSED;

/* The policy of that name with its own defaults, the cascade's seed and, for the plain threshold (tangobert), the cascade's thresholds: what a
 * request that names a policy gets. */
rung_status rung_cascade_named_policy(const rung_cascade *cascade, const char *name, rung_policy *policy,
                                      rung_error *error) RUNG_WARN_UNUSED;

/* The task that a fit makes heads for. */
typedef struct rung_new_task {
    bool all_levels; /* replace the classifiers that there are; otherwise only a plain encoder gets heads */
    const char *const *
        labels; /* [num_labels] where all levels get heads; otherwise those of the first classifier, if any, come first */
    size_t num_labels;
    const rung_error *why_none; /* when num_labels is 0: the failure if they are needed */
} rung_new_task;

/* The same for a fit, which alone may have a remote level, whose model is NULL: levels that are to get heads have them, all zeros, after every layer
 * (has_task_labels). task NULL: none get heads. labels are copied. */
rung_status rung_cascade_open_for_fit(rung_cascade_config *config, const rung_open_options *options,
                                      const rung_new_task *task, rung_cascade **cascade,
                                      rung_error *error) RUNG_WARN_UNUSED;

/* As rung_cascade_classify under another policy (of rung_cascade_check_policy). progress may be NULL. */
rung_status rung_cascade_classify_policy(const rung_cascade *cascade, const rung_policy *policy,
                                         const rung_input *inputs, size_t count, const rung_progress *progress,
                                         rung_answers **answers, rung_error *error) RUNG_WARN_UNUSED;

/* The policy can be used with this cascade: ranges of its fields, and tokenizers where token ids are to travel. */
rung_status rung_cascade_check_policy(const rung_cascade *cascade, const rung_policy *policy,
                                      rung_error *error) RUNG_WARN_UNUSED;

/* The class that a row's label names: `label` (before renaming), or `index` when label is NULL. RUNG_INVALID lists the labels. */
rung_status rung_cascade_find_label(const rung_cascade *cascade, const char *label, uint64_t index, uint32_t *out,
                                    rung_error *error) RUNG_WARN_UNUSED;

/* Frees the idle workers; none may be in use. */
void rung_cascade_drop_workers(rung_cascade *cascade);

#endif
