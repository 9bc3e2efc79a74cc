/* ensemble.h: the weighted result over the levels visited (Eq 11-12). Pure. */
#ifndef RUNG_CASCADE_ENSEMBLE_H
#define RUNG_CASCADE_ENSEMBLE_H

#include "cascade/policy.h"

/* weights[l] for levels with visited[l], renormalised to 1 over them; 0 elsewhere. visited has at least one true. */
void rung_ensemble_weights(rung_weights kind, const rung_calibration *calibration,
                           const bool *visited /* [num_levels] */, double *weights /* [num_levels] */);

/* pooled[c] = sum over levels of weights[l] * probabilities[l][c]; levels with weight 0 are not read. */
void rung_ensemble_pool(const double *weights, const double *const *probabilities, uint32_t num_levels,
                        uint32_t num_classes, double *pooled);

#endif
