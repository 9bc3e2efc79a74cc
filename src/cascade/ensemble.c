/* ensemble.c: the weighted result over the levels visited (Eq 11-12). Called by request.c and src/fit. Must not know how a level came to its
 * probabilities. Source: the paper, section III-C; fitted weights and the temperature of a pool: docs/calibration.md. See ensemble.h. */
#include "cascade/ensemble.h"

#include "base/math.h"
#include "cascade/confidence.h"

#include <assert.h>
#include <math.h>

/* What was fitted for this set; NULL: nothing was. */
static const rung_pool *fitted_pool(const rung_calibration *calibration, const bool *visited)
{
    size_t set = 0;
    for (uint32_t l = 0; l < calibration->num_levels; l++) {
        set |= (size_t)visited[l] << l;
    }
    return calibration->pools != NULL ? &calibration->pools[set] : NULL;
}

static bool has_weights(const rung_pool *pool, uint32_t num_levels)
{
    double sum = 0;
    for (uint32_t l = 0; pool != NULL && l < num_levels; l++) {
        sum += pool->fitted_weight[l];
    }
    return sum > 0;
}

static void weigh_by_accuracy(const rung_calibration *calibration, const bool *visited, double *weights)
{
    uint32_t count = 0;
    double sum = 0;
    for (uint32_t l = 0; l < calibration->num_levels; l++) {
        double accuracy = calibration->level[l].accuracy;
        weights[l] = visited[l] && accuracy > 0 ? accuracy : 0;
        sum += weights[l];
        count += visited[l];
    }
    assert(count > 0);
    for (uint32_t l = 0; l < calibration->num_levels; l++) {
        if (sum > 0) {
            weights[l] /= sum; /* Eq 12 */
        } else {
            weights[l] = visited[l] ? 1.0 / count : 0; /* no level was ever right: nothing tells them apart */
        }
    }
}

void rung_ensemble_weights(rung_weights kind, const rung_calibration *calibration, const bool *visited, double *weights)
{
    uint32_t num_levels = calibration->num_levels;
    const rung_pool *pool = fitted_pool(calibration, visited);
    if (kind == RUNG_WEIGHTS_FITTED && has_weights(pool, num_levels)) {
        for (uint32_t l = 0; l < num_levels; l++) {
            weights[l] = pool->fitted_weight[l];
        }
    } else if (kind == RUNG_WEIGHTS_LAST) {
        uint32_t last = 0;
        for (uint32_t l = 0; l < num_levels; l++) {
            weights[l] = 0;
            last = visited[l] ? l : last;
        }
        assert(visited[last]);
        weights[last] = 1;
    } else {
        weigh_by_accuracy(calibration, visited, weights);
    }
}

double rung_ensemble_temperature(rung_weights kind, const rung_calibration *calibration, const bool *visited)
{
    const rung_pool *pool = fitted_pool(calibration, visited);
    if (kind == RUNG_WEIGHTS_LAST || pool == NULL || !has_weights(pool, calibration->num_levels)) {
        return 1;
    }
    return kind == RUNG_WEIGHTS_FITTED ? pool->fitted_temperature : pool->accuracy_temperature;
}

void rung_ensemble_pool(const double *weights, const double *const *probabilities, uint32_t num_levels,
                        uint32_t num_classes, double *pooled)
{
    for (uint32_t c = 0; c < num_classes; c++) {
        pooled[c] = 0;
    }
    for (uint32_t l = 0; l < num_levels; l++) {
        if (weights[l] == 0) {
            continue;
        }
        for (uint32_t c = 0; c < num_classes; c++) {
            pooled[c] += weights[l] * probabilities[l][c]; /* Eq 11 */
        }
    }
}

void rung_ensemble_temper(double temperature, uint32_t num_classes, double *pooled)
{
    if (temperature == 1) {
        return;
    }
    for (uint32_t c = 0; c < num_classes; c++) {
        pooled[c] = pooled[c] > 0 ? rung_log(pooled[c]) : -INFINITY;
    }
    rung_softmax_f64(pooled, num_classes, temperature, pooled);
}

/* The votes of the visited levels: weights[l] is what level l's vote counts, pooled[c] what class c got, adding up to 1 (cocktail). */
static void vote(const rung_calibration *calibration, const bool *visited, const double *const *probabilities,
                 double *weights, double *pooled)
{
    uint32_t classes = calibration->num_classes;
    double sum = 0;
    for (uint32_t c = 0; c < classes; c++) {
        pooled[c] = 0;
    }
    for (uint32_t l = 0; l < calibration->num_levels; l++) {
        weights[l] = 0;
        if (!visited[l]) {
            continue;
        }
        const rung_level_calibration *level = &calibration->level[l];
        uint32_t choice = rung_argmax(probabilities[l], classes);
        weights[l] = level->class_accuracy != NULL ? level->class_accuracy[choice] : level->accuracy;
        pooled[choice] += weights[l];
        sum += weights[l];
    }
    if (sum > 0) {
        for (uint32_t l = 0; l < calibration->num_levels; l++) {
            weights[l] /= sum;
        }
        for (uint32_t c = 0; c < classes; c++) {
            pooled[c] /= sum;
        }
    } else { /* no class was ever seen right: the levels as they are */
        weigh_by_accuracy(calibration, visited, weights);
        rung_ensemble_pool(weights, probabilities, calibration->num_levels, classes, pooled);
    }
}

void rung_ensemble_result(const rung_policy *policy, const rung_calibration *calibration, const bool *visited,
                          const double *const *probabilities, double *weights, double *pooled)
{
    if (policy->weights == RUNG_WEIGHTS_VOTE && !calibration->level[0].multi_label) {
        vote(calibration, visited, probabilities, weights, pooled);
        return;
    }
    rung_ensemble_weights(policy->weights, calibration, visited, weights);
    rung_ensemble_pool(weights, probabilities, calibration->num_levels, calibration->num_classes, pooled);
    if (!policy->raw_ensemble && !calibration->level[0].multi_label) { /* for several labels nothing is fitted */
        rung_ensemble_temper(rung_ensemble_temperature(policy->weights, calibration, visited), calibration->num_classes,
                             pooled);
    }
}
