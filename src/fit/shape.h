/* shape.h: shape and temperature of one exit (Eq 6, rung_shape_logits), fitted on calibration data. Used by rung fit. Knows nothing of models or files:
 * logits and truths in, two numbers out. */
#ifndef RUNG_FIT_SHAPE_H
#define RUNG_FIT_SHAPE_H

#include "fit/temperature.h"

#define RUNG_SHAPE_LEAST 0.5
#define RUNG_SHAPE_MOST 3.0
/* A shape other than 1 must raise the likelihood of all inputs together by this much (natural logarithm): more than a second parameter gains by
 * chance. */
#define RUNG_SHAPE_LEAST_GAIN 2.0

typedef struct rung_shape_fit {
    double shape;       /* in [RUNG_SHAPE_LEAST, RUNG_SHAPE_MOST]; 1 when no other gains enough */
    double temperature; /* at that shape */
    double nll_before;  /* mean negative log likelihood at shape 1 and T = 1 */
    double nll;         /* at those found; never above nll_before */
} rung_shape_fit;

/* Against the true classes labels [n], or against soft targets [n, num_classes] when those are not NULL. Errors as in rung_fit_temperature. */
rung_status rung_fit_shape(const rung_fit_logits *logits, const uint32_t *labels, const float *targets,
                           rung_shape_fit *fit, rung_error *error) RUNG_WARN_UNUSED;

#endif
