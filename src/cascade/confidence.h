/* confidence.h: logits to probabilities and confidence (Eq 5-6), entropy-like measures. Pure.
 * With several labels at once (multi_label) a label holds or not, whatever the others do: its probability is the sigmoid of its logit, it
 * is said to hold from .5 on, and the decision is as sure as its least sure label. */
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

/* probabilities[i] = 1 / (1 + exp(-logits[i] / temperature)), 0 < temperature < infinity. */
void rung_sigmoid(const float *logits, size_t n, double temperature, double *probabilities);

/* Eq 6 after an exit (1-based layer): softmax of the shaped logits at the exit's temperature; with several labels the sigmoids at that
 * temperature, which have no shape. */
void rung_calibrated_probabilities(const rung_level_calibration *calibration, uint32_t exit_layer, const float *logits,
                                   size_t n, double *probabilities);

/* The same without temperature and shape. */
void rung_raw_probabilities(const rung_level_calibration *calibration, const float *logits, size_t n,
                            double *probabilities);

/* Eq 5: the greatest probability; with several labels the least, over labels, of max(p, 1 - p). n >= 1. */
double rung_confidence(const double *probabilities, size_t n, bool multi_label);

/* True when p and q decide alike: the same greatest one; with several labels every label on the same side of .5. */
bool rung_same_decision(const double *p, const double *q, size_t n, bool multi_label);

/* How far apart p and q are, in [0, ln 2]: rung_js_divergence; with several labels its greatest over the labels, each of which is a
 * distribution of two. */
double rung_divergence(const double *p, const double *q, size_t n, bool multi_label);

/* Entropy in nats, in [0, ln n]; with several labels the greatest over the labels, in [0, ln 2]. */
double rung_entropy(const double *probabilities, size_t n, bool multi_label);

/* Index of the greatest; the lowest index on ties. */
uint32_t rung_argmax(const double *values, size_t n);

/* Jensen-Shannon divergence of two distributions, natural logarithm, in [0, ln 2]. */
double rung_js_divergence(const double *p, const double *q, size_t n);

#endif
