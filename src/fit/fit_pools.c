/* fit_pools.c: weights and temperatures of pools of levels. See fit_pools.h. */
#include "fit/fit_pools.h"

#include "base/math.h"
#include "base/memory.h"
#include "cascade/ensemble.h"
#include "fit/pool.h"
#include "fit/scores.h"
#include "fit/temperature.h"

#include <stdlib.h>
#include <string.h>

#define LEAST_PROBABILITY 1e-12

void rung_set_results_deinit(rung_set_results *r)
{
    free(r->probabilities);
    free(r->labels);
    free(r->targets);
    free(r->pooled);
    free(r->logits);
}

static size_t count_members(uint32_t set)
{
    size_t members = 0;
    for (; set != 0; set >>= 1) {
        members += set & 1;
    }
    return members;
}

rung_status rung_set_results_init(rung_set_results *r, size_t rows, bool with_targets, rung_error *error)
{
    r->members = count_members(r->set);
    r->probabilities = rung_alloc(rows, r->members * r->classes * sizeof(double), "pool", error);
    r->labels = rung_alloc(rows, sizeof *r->labels, "pool", error);
    r->targets = with_targets ? rung_alloc(rows, r->classes * sizeof(float), "pool", error) : NULL;
    r->pooled = rung_alloc(rows, r->classes * sizeof(double), "pool", error);
    r->logits = rung_alloc(rows, r->classes * sizeof(float), "pool", error);
    bool failed = r->probabilities == NULL || r->labels == NULL || (with_targets && r->targets == NULL) ||
                  r->pooled == NULL || r->logits == NULL;
    return failed ? RUNG_NO_MEMORY : RUNG_OK;
}

static bool reached_all(const rung_reach *reach, const rung_set_results *r, size_t input)
{
    bool all = reach->trails[input].going;
    for (uint32_t l = 0; l < r->num_levels; l++) {
        all = all && ((r->set >> l & 1) == 0 || rung_reach_found(reach, l + 1, input)->exit_layer > 0);
    }
    return all;
}

static void collect(const rung_reach *reach, const rung_fit_truth *truth, rung_set_results *r)
{
    for (size_t i = 0; i < reach->count; i++) {
        if (!reached_all(reach, r, i)) {
            continue;
        }
        double *row = r->probabilities + r->n * r->members * r->classes;
        for (uint32_t l = 0; l < r->num_levels; l++) {
            if (r->set >> l & 1) {
                memcpy(row, rung_reach_probabilities(reach, l + 1, i), r->classes * sizeof *row);
                row += r->classes;
            }
        }
        if (r->targets != NULL) {
            memcpy(r->targets + r->n * r->classes, truth->targets + i * r->classes, r->classes * sizeof(float));
        }
        r->labels[r->n++] = truth->labels[i];
    }
}

static void pool_rows(rung_set_results *r, const double *weights /* [members] */)
{
    for (size_t i = 0; i < r->n; i++) {
        const double *rows[RUNG_MAX_LEVELS];
        for (size_t m = 0; m < r->members; m++) {
            rows[m] = r->probabilities + (i * r->members + m) * r->classes;
        }
        double *pooled = r->pooled + i * r->classes;
        rung_ensemble_pool(weights, rows, (uint32_t)r->members, (uint32_t)r->classes, pooled);
        for (size_t c = 0; c < r->classes; c++) {
            r->logits[i * r->classes + c] =
                (float)rung_log(pooled[c] > LEAST_PROBABILITY ? pooled[c] : LEAST_PROBABILITY);
        }
    }
}

/* All inputs that get this far may have one label, and then any sureness would look right. */
static bool one_label(const rung_set_results *r)
{
    for (size_t i = 1; i < r->n; i++) {
        if (r->labels[i] != r->labels[0]) {
            return false;
        }
    }
    return true;
}

/* The temperature of the pool with these weights; the pool is then at it. */
static rung_status fit_temperature(rung_set_results *r, const double *weights, double *temperature, double *nll,
                                   rung_error *error)
{
    pool_rows(r, weights);
    rung_fit_logits logits = {.logits = r->logits, .stride = r->classes, .n = r->n, .num_classes = r->classes};
    rung_temperature_fit fit = {.temperature = 1};
    rung_status status = RUNG_OK;
    if (r->targets != NULL) {
        status = rung_fit_temperature_soft(&logits, r->targets, &fit, error);
    } else if (!one_label(r)) {
        status = rung_fit_temperature(&logits, r->labels, &fit, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    for (size_t i = 0; i < r->n; i++) {
        rung_ensemble_temper(fit.temperature, (uint32_t)r->classes, r->pooled + i * r->classes);
    }
    *temperature = fit.temperature;
    *nll = fit.nll;
    return RUNG_OK;
}

rung_status rung_fit_set(rung_set_results *r, const rung_calibration *calibration, rung_calibration_pool *pool,
                         rung_error *error)
{
    double weights[RUNG_MAX_LEVELS];
    bool visited[RUNG_MAX_LEVELS] = {false};
    double by_level[RUNG_MAX_LEVELS];
    size_t member = 0;
    for (uint32_t l = 0; l < r->num_levels; l++) {
        visited[l] = (r->set >> l & 1) != 0;
    }
    rung_ensemble_weights(RUNG_WEIGHTS_ACCURACY, calibration, visited, by_level);
    for (uint32_t l = 0; l < r->num_levels; l++) {
        if (visited[l]) {
            weights[member++] = by_level[l];
        }
    }
    rung_pool_results results = {.probabilities = r->probabilities,
                                 .labels = r->labels,
                                 .n = r->n,
                                 .num_members = r->members,
                                 .num_classes = r->classes};
    rung_pool_fit fit;
    rung_scores scores;
    *pool = (rung_calibration_pool){.set = r->set, .rows = r->n};
    rung_status status = fit_temperature(r, weights, &pool->accuracy_temperature, &pool->accuracy_nll, error);
    if (status == RUNG_OK) {
        status = rung_fit_pool(&results, weights, &fit, error);
    }
    if (status == RUNG_OK) {
        status = fit_temperature(r, weights, &pool->fitted_temperature, &pool->fitted_nll, error);
    }
    if (status == RUNG_OK) {
        status = rung_scores_of(r->pooled, r->labels, r->n, r->classes, &scores, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    pool->fitted_ece = scores.ece;
    member = 0;
    for (uint32_t l = 0; l < r->num_levels; l++) {
        pool->fitted_weight[l] = visited[l] ? weights[member++] : 0;
    }
    return RUNG_OK;
}

/* Room for every set; those of `level` are dropped. */
static rung_status make_room(rung_calibration_file *file, uint32_t level, rung_error *error)
{
    rung_calibration_pool *made = rung_alloc((size_t)1 << file->num_levels, sizeof *made, "pools", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    size_t kept = 0;
    for (size_t i = 0; i < file->num_pools; i++) {
        if (file->pools[i].set >> (level - 1) == 0) { /* sets rise: those of higher levels come after */
            made[kept++] = file->pools[i];
        }
    }
    free(file->pools);
    file->pools = made;
    file->num_pools = kept;
    return RUNG_OK;
}

rung_status rung_fit_pools(const rung_reach *reach, uint32_t level, const rung_fit_truth *truth,
                           rung_calibration_file *file, rung_error *error)
{
    rung_status status = make_room(file, level, error);
    uint32_t top = UINT32_C(1) << (level - 1);
    for (uint32_t set = top + 1; status == RUNG_OK && set < 2 * top; set++) {
        rung_set_results r = {.set = set, .num_levels = level, .classes = reach->cascade->num_classes};
        status = rung_set_results_init(&r, reach->count, truth->targets != NULL, error);
        if (status == RUNG_OK) {
            collect(reach, truth, &r);
        }
        if (status == RUNG_OK && r.n >= RUNG_FIT_MIN_ROWS) {
            rung_calibration by_level = reach->cascade->calibration;
            by_level.num_levels = level;
            status = rung_fit_set(&r, &by_level, &file->pools[file->num_pools], error);
            file->num_pools += status == RUNG_OK;
        }
        rung_set_results_deinit(&r);
    }
    return status;
}
