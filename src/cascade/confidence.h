/* confidence.h: logits to probabilities and confidence (Eq 5-6), entropy-like measures. Pure. */
#ifndef RUNG_CASCADE_CONFIDENCE_H
#define RUNG_CASCADE_CONFIDENCE_H

#include "cascade/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False when softmax has no meaning: a NaN, +infinity, or nothing finite. -infinity is a class that is ruled out (an upper
 * server's log 0). */
bool rung_logits_usable(const float *logits /* [n] */, size_t n);

/* probabilities[i] = softmax(logits / temperature)[i], n >= 1, 0 < temperature < infinity. Logits that are not usable give the uniform
 * distribution: callers reject them before. The double version may work in place. */
void rung_softmax(const float *logits, size_t n, double temperature, double *probabilities);
void rung_softmax_f64(const double *logits, size_t n, double temperature, double *probabilities);

/* What Eq 6 takes the temperature of: the logits, less the greatest, times spread^(shape - 1), where the spread is how far the greatest lies above
 * the mean of the others. Two classes whose logits differ by m then differ by m^shape. The order of the classes stays. A small model's logits
 * hardly rise where it is nearly always right, and a temperature alone cannot make up for that. 0 < shape < infinity. Classes that are ruled out (-infinity) stay so. out may not be logits. */
void rung_shape_logits(const float *logits, size_t n, double shape, double *out);

/* Eq 6 after an exit (1-based layer): softmax of the shaped logits at the exit's temperature. */
void rung_calibrated_softmax(const rung_level_calibration *calibration, uint32_t exit_layer, const float *logits,
                             size_t n, double *probabilities);

/* Index of the greatest; the lowest index on ties. */
uint32_t rung_argmax(const double *values, size_t n);

/* Jensen-Shannon divergence of two distributions, natural logarithm, in [0, ln 2]. */
double rung_js_divergence(const double *p, const double *q, size_t n);

#endif
