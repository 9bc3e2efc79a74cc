/* drift.h: whether a level still answers the share of its inputs that it answered when it was calibrated: an exponentially weighted moving average
 * control chart (S. W. Roberts 1959). Texts unlike those of the calibration show here first: a level that is unsure more often sends more up, one that is sure
 * too often keeps what it should not. For metrics.c; one owner. */
#ifndef RUNG_SERVE_DRIFT_H
#define RUNG_SERVE_DRIFT_H

#include <stdbool.h>

#define RUNG_DRIFT_WEIGHT 0.005 /* of the newest input: the mean is over some 400 */

typedef struct rung_drift {
    double expected; /* share that the level answers itself, by the calibration; outside (0, 1): nothing is watched */
    double mean;     /* what it answers lately; begins as expected */
    double fading;   /* (1 - weight)^(2 n): how much of the beginning is left after n inputs */
} rung_drift;

rung_drift rung_drift_begin(double expected);

/* One input that the level computed, under the policy that was calibrated: whether it kept it, or the policy wanted it to go up. */
void rung_drift_add(rung_drift *drift, bool answered);

/* Standard deviations of the mean from what is expected; 0 before the first input. Beyond 3 either way less than 1 look in 300 is chance. */
double rung_drift_sigmas(const rung_drift *drift);

#endif
