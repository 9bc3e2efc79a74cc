/* drift.c: see drift.h. */
#include "serve/drift.h"

#include <math.h>

rung_drift rung_drift_begin(double expected)
{
    return (rung_drift){.expected = expected, .mean = expected, .fading = 1};
}

static bool is_watched(const rung_drift *drift)
{
    return drift->expected > 0 && drift->expected < 1;
}

void rung_drift_add(rung_drift *drift, bool answered)
{
    if (is_watched(drift)) {
        drift->mean += RUNG_DRIFT_WEIGHT * ((answered ? 1 : 0) - drift->mean);
        drift->fading *= (1 - RUNG_DRIFT_WEIGHT) * (1 - RUNG_DRIFT_WEIGHT);
    }
}

double rung_drift_sigmas(const rung_drift *drift)
{
    if (!is_watched(drift) || drift->fading == 1) {
        return 0;
    }
    double of_one = drift->expected * (1 - drift->expected);
    double variance = of_one * RUNG_DRIFT_WEIGHT / (2 - RUNG_DRIFT_WEIGHT) * (1 - drift->fading);
    return (drift->mean - drift->expected) / sqrt(variance);
}
