/* threshold.h: t of Eq 7 for one level, from how often its answers agree with the top level's. Used by rung fit. Knows no models.
 *
 * t is the least value among the confidences seen (a quantile of them) at which agreement with the top level is at least the target. Agreement is
 * counted in one of two ways. Of what is answered here (confidence > t): then levels compose, since a cascade in which every level holds
 * the target on its own share holds it. Or of all that reach the level, where what it passes on agrees: that is the cascade's own
 * agreement when the next level is the top. */
#ifndef RUNG_FIT_THRESHOLD_H
#define RUNG_FIT_THRESHOLD_H

#include "base/status.h"

typedef enum rung_agreement_of {
    RUNG_AGREEMENT_OF_ANSWERED,
    RUNG_AGREEMENT_OF_ALL, /* that reach the level; what it passes on agrees */
} rung_agreement_of;

typedef struct rung_threshold_fit {
    double threshold; /* 0: all answered here, since all together agree often enough; 1: none does, always offload */
    double agreement; /* share that agrees of those answered here; 1 when none is */
    double share_answered; /* answered here of n */
    size_t num_answered;
} rung_threshold_fit;

/* confidence [n] in [0, 1], agrees [n], target in [0, 1], n >= 1. */
rung_status rung_fit_threshold(const double *confidence, const bool *agrees, size_t n, rung_agreement_of of,
                               double target, rung_threshold_fit *fit, rung_error *error) RUNG_WARN_UNUSED;

#endif
