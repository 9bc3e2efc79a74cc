/* fit_deferral.c: learns when the upper levels mend a level's answer. See fit_deferral.h. */
#include "fit/fit_deferral.h"

#include "base/math.h"
#include "base/memory.h"
#include "fit/logistic.h"

#include <stdlib.h>
#include <string.h>

#define NUM_FOLDS 3
#define ALL_FOLDS NUM_FOLDS /* no input is left out */

/* The inputs that stopped at one exit. */
typedef struct exit_rows {
    size_t n;
    size_t num_features; /* hidden_size + RUNG_DEFERRAL_SCORES */
    size_t *inputs;      /* [n] */
    float *features;     /* [n, num_features] */
    uint32_t *mends;     /* [n] 0 or 1 */
    /* Those that a fit sees. */
    float *seen_features;
    uint32_t *seen_mends;
    float *weight; /* [2, num_features] */
} exit_rows;

static void free_rows(exit_rows *rows)
{
    free(rows->inputs);
    free(rows->features);
    free(rows->mends);
    free(rows->seen_features);
    free(rows->seen_mends);
    free(rows->weight);
}

static rung_status alloc_rows(size_t n, size_t num_features, exit_rows *rows, rung_error *error)
{
    rows->num_features = num_features;
    rows->inputs = rung_alloc(n, sizeof *rows->inputs, "deferral", error);
    rows->features = rung_alloc(n, num_features * sizeof(float), "deferral", error);
    rows->mends = rung_alloc(n, sizeof *rows->mends, "deferral", error);
    rows->seen_features = rung_alloc(n, num_features * sizeof(float), "deferral", error);
    rows->seen_mends = rung_alloc(n, sizeof *rows->seen_mends, "deferral", error);
    rows->weight = rung_alloc(2 * num_features, sizeof(float), "deferral", error);
    bool failed = rows->inputs == NULL || rows->features == NULL || rows->mends == NULL ||
                  rows->seen_features == NULL || rows->seen_mends == NULL || rows->weight == NULL;
    return failed ? RUNG_NO_MEMORY : RUNG_OK;
}

static void collect(const rung_reach *reach, uint32_t level, uint32_t layer, const bool *mends, exit_rows *rows)
{
    size_t hidden = rows->num_features - RUNG_DEFERRAL_SCORES;
    for (size_t i = 0; i < reach->count; i++) {
        const rung_found *found = rung_reach_found(reach, level, i);
        if (!reach->trails[i].going || found->exit_layer != layer) {
            continue;
        }
        float *features = rows->features + rows->n * rows->num_features;
        memcpy(features, reach->states + i * reach->states_floats, hidden * sizeof *features);
        rung_deferral_scores(rung_reach_probabilities(reach, level, i), reach->cascade->num_classes, found->num_tokens,
                             features + hidden);
        rows->inputs[rows->n] = i;
        rows->mends[rows->n++] = mends[i];
    }
}

static size_t count_rows(const rung_reach *reach, uint32_t level, uint32_t layer)
{
    size_t n = 0;
    for (size_t i = 0; i < reach->count; i++) {
        n += reach->trails[i].going && rung_reach_found(reach, level, i)->exit_layer == layer;
    }
    return n;
}

/* Learns from all rows but those of one fold. weight [num_features]; too few of a kind: their share, whatever the features. */
static rung_status learn(exit_rows *rows, size_t without, size_t threads, float *weight, double *bias,
                         rung_error *error)
{
    size_t seen = 0;
    size_t mended = 0;
    for (size_t i = 0; i < rows->n; i++) {
        if (i % NUM_FOLDS == without) {
            continue;
        }
        memcpy(rows->seen_features + seen * rows->num_features, rows->features + i * rows->num_features,
               rows->num_features * sizeof(float));
        rows->seen_mends[seen++] = rows->mends[i];
        mended += rows->mends[i];
    }
    memset(weight, 0, rows->num_features * sizeof *weight);
    *bias = rung_log(((double)mended + 1) / ((double)(seen - mended) + 1));
    if (mended < RUNG_DEFERRAL_MIN_OF_KIND || seen - mended < RUNG_DEFERRAL_MIN_OF_KIND ||
        seen < RUNG_LOGISTIC_MIN_ROWS) {
        return RUNG_OK;
    }
    rung_logistic_data data = {.features = rows->seen_features,
                               .stride = rows->num_features,
                               .labels = rows->seen_mends,
                               .n = seen,
                               .num_features = rows->num_features,
                               .num_classes = 2};
    float biases[2];
    rung_logistic_fit fit;
    rung_status status = rung_fit_logistic(&data, threads, rows->weight, biases, &fit, error);
    if (status == RUNG_OK) {
        for (size_t f = 0; f < rows->num_features; f++) {
            weight[f] = rows->weight[rows->num_features + f] - rows->weight[f];
        }
        *bias = (double)biases[1] - (double)biases[0];
    }
    return status;
}

static rung_status fit_exit(exit_rows *rows, size_t threads, rung_calibration_exit *exit, double *confidence,
                            rung_error *error)
{
    size_t hidden = rows->num_features - RUNG_DEFERRAL_SCORES;
    float *weight = rung_alloc(rows->num_features, sizeof *weight, "deferral", error);
    if (weight == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = RUNG_OK;
    double bias;
    for (size_t fold = 0; status == RUNG_OK && fold < NUM_FOLDS; fold++) {
        status = learn(rows, fold, threads, weight, &bias, error);
        rung_deferral deferral = {.hidden_size = hidden, .weight = weight, .bias = bias};
        for (size_t i = fold; status == RUNG_OK && i < rows->n; i += NUM_FOLDS) {
            const float *features = rows->features + i * rows->num_features;
            confidence[rows->inputs[i]] = rung_deferral_confidence(&deferral, features, features + hidden);
        }
    }
    if (status == RUNG_OK) {
        status = learn(rows, ALL_FOLDS, threads, weight, &bias, error);
    }
    if (status != RUNG_OK) {
        free(weight);
        return rung_fail_in(error, "learned deferral of exit %u", exit->layer);
    }
    free(exit->deferral_weight);
    exit->deferral_weight = weight;
    exit->deferral_bias = bias;
    return RUNG_OK;
}

rung_status rung_fit_deferral(const rung_reach *reach, uint32_t level, const bool *mends, rung_calibration_file *file,
                              double *confidence, rung_error *error)
{
    rung_calibration_level *out = &file->levels[level - 1];
    size_t num_features = out->hidden_size + RUNG_DEFERRAL_SCORES;
    rung_status status = RUNG_OK;
    for (size_t e = 0; status == RUNG_OK && e < out->num_exits; e++) {
        exit_rows rows = {0};
        status = alloc_rows(count_rows(reach, level, out->exits[e].layer), num_features, &rows, error);
        if (status == RUNG_OK) {
            collect(reach, level, out->exits[e].layer, mends, &rows);
            status = fit_exit(&rows, reach->cascade->threads, &out->exits[e], confidence, error);
        }
        free_rows(&rows);
    }
    return status;
}
