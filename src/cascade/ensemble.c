/* ensemble.c: the weighted result over the levels visited (Eq 11-12). Called by request.c. Must not know how a level came to its
 * probabilities. Source: the paper, section III-C. See ensemble.h. */
#include "cascade/ensemble.h"

#include <assert.h>

void rung_ensemble_weights(rung_weights kind, const rung_calibration *calibration, const bool *visited, double *weights)
{
    uint32_t count = 0;
    uint32_t last = 0;
    double sum = 0;
    for (uint32_t l = 0; l < calibration->num_levels; l++) {
        double accuracy = calibration->level[l].accuracy;
        weights[l] = visited[l] && accuracy > 0 ? accuracy : 0;
        sum += weights[l];
        count += visited[l];
        last = visited[l] ? l : last;
    }
    assert(count > 0);
    for (uint32_t l = 0; l < calibration->num_levels; l++) {
        if (kind == RUNG_WEIGHTS_LAST) {
            weights[l] = l == last;
        } else if (sum > 0) {
            weights[l] /= sum; /* Eq 12 */
        } else {
            weights[l] = visited[l] ? 1.0 / count : 0; /* no level was ever right: nothing tells them apart */
        }
    }
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
