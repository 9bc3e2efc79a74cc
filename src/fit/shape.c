/* shape.c: the shape by golden-section search on its logarithm, with the best temperature for each one tried. See shape.h. */
#include "fit/shape.h"

#include "base/math.h"
#include "base/memory.h"
#include "cascade/confidence.h"

#include <math.h>
#include <stdlib.h>

#define STEPS 12 /* the bracket shrinks to 0.3 % of its width */
#define GOLDEN 0.6180339887498949

/* The search, and where it puts shaped logits. */
typedef struct shape_search {
    const rung_fit_logits *logits;
    const uint32_t *labels;
    const float *targets;
    float *shaped; /* [n, num_classes] */
    double *row;   /* [num_classes] */
} shape_search;

static rung_status fit_temperature(const shape_search *search, const rung_fit_logits *logits, rung_temperature_fit *fit,
                                   rung_error *error)
{
    return search->targets != NULL ? rung_fit_temperature_soft(logits, search->targets, fit, error)
                                   : rung_fit_temperature(logits, search->labels, fit, error);
}

/* Logits that leave the range of floats count as useless: an infinite loss. */
static rung_status try_shape(const shape_search *search, double log_shape, rung_shape_fit *tried, rung_error *error)
{
    const rung_fit_logits *logits = search->logits;
    size_t classes = logits->num_classes;
    *tried = (rung_shape_fit){.shape = rung_exp(log_shape), .nll = INFINITY};
    for (size_t i = 0; i < logits->n; i++) {
        rung_shape_logits(logits->logits + i * logits->stride, classes, tried->shape, search->row);
        for (size_t c = 0; c < classes; c++) {
            search->shaped[i * classes + c] = (float)search->row[c];
            if (!isfinite(search->shaped[i * classes + c])) {
                return RUNG_OK;
            }
        }
    }
    rung_fit_logits shaped = {.logits = search->shaped, .stride = classes, .n = logits->n, .num_classes = classes};
    rung_temperature_fit fit;
    rung_status status = fit_temperature(search, &shaped, &fit, error);
    if (status == RUNG_OK) {
        tried->temperature = fit.temperature;
        tried->nll = fit.nll;
    }
    return status;
}

/* The best shape in the range, if the loss has one valley there; else a good one. */
static rung_status find_shape(const shape_search *search, rung_shape_fit *best, rung_error *error)
{
    double low = rung_log(RUNG_SHAPE_LEAST);
    double high = rung_log(RUNG_SHAPE_MOST);
    double at[2] = {high - GOLDEN * (high - low), low + GOLDEN * (high - low)};
    rung_shape_fit tried[2];
    rung_status status = try_shape(search, at[0], &tried[0], error);
    if (status == RUNG_OK) {
        status = try_shape(search, at[1], &tried[1], error);
    }
    for (unsigned step = 0; status == RUNG_OK && step < STEPS; step++) {
        if (tried[0].nll <= tried[1].nll) {
            high = at[1];
            at[1] = at[0];
            tried[1] = tried[0];
            at[0] = high - GOLDEN * (high - low);
            status = try_shape(search, at[0], &tried[0], error);
        } else {
            low = at[0];
            at[0] = at[1];
            tried[0] = tried[1];
            at[1] = low + GOLDEN * (high - low);
            status = try_shape(search, at[1], &tried[1], error);
        }
    }
    if (status == RUNG_OK) {
        *best = tried[0].nll <= tried[1].nll ? tried[0] : tried[1];
    }
    return status;
}

rung_status rung_fit_shape(const rung_fit_logits *logits, const uint32_t *labels, const float *targets,
                           rung_shape_fit *fit, rung_error *error)
{
    shape_search search = {.logits = logits, .labels = labels, .targets = targets};
    rung_temperature_fit plain;
    rung_status status = fit_temperature(&search, logits, &plain, error);
    if (status != RUNG_OK) {
        return status;
    }
    search.shaped = rung_alloc(logits->n, logits->num_classes * sizeof *search.shaped, "logits", error);
    search.row = rung_alloc(logits->num_classes, sizeof *search.row, "logits", error);
    rung_shape_fit best = {.nll = INFINITY};
    status = search.shaped == NULL || search.row == NULL ? RUNG_NO_MEMORY : find_shape(&search, &best, error);
    free(search.shaped);
    free(search.row);
    if (status != RUNG_OK) {
        return status;
    }
    if (!((plain.nll - best.nll) * (double)logits->n >= RUNG_SHAPE_LEAST_GAIN)) {
        best = (rung_shape_fit){.shape = 1, .temperature = plain.temperature, .nll = plain.nll};
    }
    best.nll_before = plain.nll_before;
    *fit = best;
    return RUNG_OK;
}
