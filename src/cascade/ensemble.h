/* ensemble.h: the weighted result over the levels visited (Eq 11-12). Pure. */
#ifndef RUNG_CASCADE_ENSEMBLE_H
#define RUNG_CASCADE_ENSEMBLE_H

#include "cascade/policy.h"

/* weights[l] for levels with visited[l], adding up to 1 over them; 0 elsewhere. visited has at least one true. Where the kind is fitted and this
 * set of levels was not fitted, by accuracy; so for votes, whose weights depend on what is voted for (rung_ensemble_result). */
void rung_ensemble_weights(rung_weights kind, const rung_calibration *calibration,
                           const bool *visited /* [num_levels] */, double *weights /* [num_levels] */);

/* The temperature of that pool: 1 for the last level alone, and where the set was not fitted. */
double rung_ensemble_temperature(rung_weights kind, const rung_calibration *calibration,
                                 const bool *visited /* [num_levels] */);

/* pooled[c] = sum over levels of weights[l] * probabilities[l][c]; levels with weight 0 are not read. */
void rung_ensemble_pool(const double *weights, const double *const *probabilities, uint32_t num_levels,
                        uint32_t num_classes, double *pooled);

/* pooled[c] = pooled[c]^(1/temperature), adding up to 1 again; the bits stay at temperature 1. */
void rung_ensemble_temper(double temperature, uint32_t num_classes, double *pooled);

/* All of it as the policy says: the weights, and the pool at its temperature (none over raw softmax). */
void rung_ensemble_result(const rung_policy *policy, const rung_calibration *calibration, const bool *visited,
                          const double *const *probabilities, double *weights, double *pooled);

#endif
