/* fit_pools.h: how to add up the results of levels (Eq 11-12), for every set of visited levels with a given highest one: weights of least negative log
 * likelihood, and the temperature of the pool with them and with weights by accuracy. Called by fit_cascade.c. */
#ifndef RUNG_FIT_FIT_POOLS_H
#define RUNG_FIT_FIT_POOLS_H

#include "config/calibration_file.h"
#include "fit/reach.h"

/* Sets that fewer inputs reach are not fitted: they have weights by accuracy. */
#define RUNG_FIT_MIN_ROWS 20

/* What the levels of one set said of the inputs that reached them all. */
typedef struct rung_set_results {
    uint32_t set;
    uint32_t num_levels; /* that the set may have */
    size_t classes;
    size_t n; /* inputs; the caller counts them as it fills the arrays below */
    size_t members;
    double *probabilities; /* [n, members, classes] */
    uint32_t *labels;      /* [n] */
    float *targets;        /* [n, classes]; NULL: the labels count */
    double *pooled;        /* [n, classes] */
    float *logits;         /* [n, classes] of the pooled */
} rung_set_results;

/* The truth of the inputs. */
typedef struct rung_fit_truth {
    const uint32_t *labels; /* [count] classes: of the data, or the top level's at full text */
    const float *targets;   /* [count, num_classes] the top level's probabilities; NULL: the labels count alone */
} rung_fit_truth;

/* Zeroes but for set, num_levels and classes, which the caller sets; then room for `rows` inputs. Release with rung_set_results_deinit. */
rung_status rung_set_results_init(rung_set_results *results, size_t rows, bool with_targets,
                                  rung_error *error) RUNG_WARN_UNUSED;
void rung_set_results_deinit(rung_set_results *results);

/* Weights and temperatures of one set from its results, n >= 1. calibration: for weights by accuracy. */
rung_status rung_fit_set(rung_set_results *results, const rung_calibration *calibration, rung_calibration_pool *pool,
                         rung_error *error) RUNG_WARN_UNUSED;

/* Replaces the pools of file whose highest level is `level`: sets of two or more levels, on the inputs in reach that are going (they reached the
 * level) and for which all levels of the set found something. A level alone has no pool: its exits are calibrated. */
rung_status rung_fit_pools(const rung_reach *reach, uint32_t level, const rung_fit_truth *truth,
                           rung_calibration_file *file, rung_error *error) RUNG_WARN_UNUSED;

#endif
