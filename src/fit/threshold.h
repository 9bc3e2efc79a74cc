/* threshold.h: t of Eq 7 for one level, from how often its answers agree with the top level's. Used by rung fit. Knows no models.
 *
 * The reading: t is the least value among the confidences seen (a quantile of them) such that, of the requests that this level would answer
 * (confidence > t), the share that agrees with the top level is at least the target. It is the agreement of what is answered here, not
 * of all requests: so levels compose. Give the requests that reach this level; when every level holds the target on its own share, so
 * does the cascade. */
#ifndef RUNG_FIT_THRESHOLD_H
#define RUNG_FIT_THRESHOLD_H

#include "base/status.h"

typedef struct rung_threshold_fit {
    double threshold; /* 0: all answered here, since all together agree often enough; 1: none does, always offload */
    double agreement; /* share that agrees of those answered here; 1 when none is */
    double share_answered; /* answered here of n */
    size_t num_answered;
} rung_threshold_fit;

/* confidence [n] in [0, 1], agrees [n], target in [0, 1], n >= 1. */
rung_status rung_fit_threshold(const double *confidence, const bool *agrees, size_t n, double target,
                               rung_threshold_fit *fit, rung_error *error) RUNG_WARN_UNUSED;

#endif
