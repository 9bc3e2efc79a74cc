/* temperature.h: the temperature of one exit (T of Eq 6), fitted on calibration data. Used by rung fit. Knows nothing of models or
 * files: logits and truths in, a number out. Source: Guo et al. 2017; method: Newton on 1/T, in which the loss is convex. */
#ifndef RUNG_FIT_TEMPERATURE_H
#define RUNG_FIT_TEMPERATURE_H

#include "base/status.h"

#define RUNG_TEMPERATURE_MIN 0.05
#define RUNG_TEMPERATURE_MAX 20.0

/* Logits of one exit on n inputs. Row i is logits[i * stride .. i * stride + num_classes): with stride = exits * num_classes the exits of a
 * record [n, exits, num_classes] are fitted one by one without a copy. */
typedef struct rung_fit_logits {
    const float *logits; /* finite */
    size_t stride;       /* >= num_classes */
    size_t n;            /* >= 1 */
    size_t num_classes;  /* >= 2 */
} rung_fit_logits;

typedef struct rung_temperature_fit {
    double temperature; /* in [RUNG_TEMPERATURE_MIN, RUNG_TEMPERATURE_MAX] */
    bool at_bound;      /* the loss still falls outside: inputs that the logits separate perfectly, or not at all */
    double nll_before;  /* mean negative log likelihood at T = 1, natural logarithm */
    double nll;         /* at the temperature found; never above nll_before */
    unsigned iterations;
} rung_temperature_fit;

/* Against the true classes labels [n]. RUNG_INVALID: no inputs, fewer than two classes, a label outside 0 .. num_classes - 1, logits that
 * are not finite, or labels that are all the same: then any sureness of that class would look right. Logits that are equal within
 * every row do not depend on T: 1. */
rung_status rung_fit_temperature(const rung_fit_logits *logits, const uint32_t *labels, rung_temperature_fit *fit,
                                 rung_error *error) RUNG_WARN_UNUSED;

/* Against soft labels targets [n, num_classes], such as the top level's probabilities: each row is >= 0 and adds up to 1 within 0.001. */
rung_status rung_fit_temperature_soft(const rung_fit_logits *logits, const float *targets, rung_temperature_fit *fit,
                                      rung_error *error) RUNG_WARN_UNUSED;

#endif
