/* confidence.c: Eq 5-6, and the distance between two distributions. Called by exit.c, request.c and src/fit. See confidence.h.
 * Must not know where logits come from. Source: the paper, section III-A; Lin 1991 (Jensen-Shannon). */
#include "cascade/confidence.h"

#include "base/math.h"

#include <math.h>

#define LN_2 0.6931471805599453

bool rung_logits_usable(const float *logits, size_t n)
{
    bool any_finite = false;
    for (size_t i = 0; i < n; i++) {
        if (isnan(logits[i]) || logits[i] == INFINITY) {
            return false;
        }
        any_finite = any_finite || isfinite(logits[i]);
    }
    return any_finite;
}

/* values[i] -> softmax(values / temperature)[i]. The greatest is subtracted first, so nothing overflows. */
static void softmax_in_place(double *values, size_t n, double temperature)
{
    bool usable = true;
    double max = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        usable = usable && !isnan(values[i]);
        max = values[i] > max ? values[i] : max;
    }
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        values[i] = usable && isfinite(max) ? rung_exp((values[i] - max) / temperature) : 1;
        sum += values[i];
    }
    for (size_t i = 0; i < n; i++) {
        values[i] /= sum;
    }
}

void rung_softmax(const float *logits, size_t n, double temperature, double *probabilities)
{
    for (size_t i = 0; i < n; i++) {
        probabilities[i] = logits[i];
    }
    softmax_in_place(probabilities, n, temperature);
}

void rung_softmax_f64(const double *logits, size_t n, double temperature, double *probabilities)
{
    for (size_t i = 0; i < n; i++) {
        probabilities[i] = logits[i];
    }
    softmax_in_place(probabilities, n, temperature);
}

/* How far the greatest lies above the mean of the other classes that are not ruled out; 0 when there is no other. */
static double spread_of(const float *logits, size_t n, double max)
{
    double sum = 0;
    size_t others = 0;
    for (size_t i = 0; i < n; i++) {
        sum += isfinite(logits[i]) ? max - logits[i] : 0;
        others += isfinite(logits[i]) ? 1 : 0;
    }
    return others > 1 ? sum / (double)(others - 1) : 0; /* the greatest itself adds 0 */
}

void rung_shape_logits(const float *logits, size_t n, double shape, double *out)
{
    double max = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        max = logits[i] > max ? logits[i] : max;
    }
    double spread = isfinite(max) ? spread_of(logits, n, max) : 0;
    double factor = shape != 1 && spread > 0 ? rung_exp((shape - 1) * rung_log(spread)) : 1;
    for (size_t i = 0; i < n; i++) {
        double below = logits[i] - max; /* NaN stays NaN: callers reject it before */
        out[i] = isfinite(below) ? below * factor : below;
    }
}

/* Of the side that does not overflow. */
static double sigmoid(double logit)
{
    double small = rung_exp(logit > 0 ? -logit : logit);
    return logit > 0 ? 1 / (1 + small) : small / (1 + small);
}

void rung_sigmoid(const float *logits, size_t n, double temperature, double *probabilities)
{
    for (size_t i = 0; i < n; i++) {
        probabilities[i] = sigmoid(logits[i] / temperature);
    }
}

void rung_raw_probabilities(const rung_level_calibration *calibration, const float *logits, size_t n,
                            double *probabilities)
{
    if (calibration->multi_label) {
        rung_sigmoid(logits, n, 1, probabilities);
    } else {
        rung_softmax(logits, n, 1, probabilities);
    }
}

void rung_calibrated_probabilities(const rung_level_calibration *calibration, uint32_t exit_layer, const float *logits,
                                   size_t n, double *probabilities)
{
    double shape = calibration->shape != NULL ? calibration->shape[exit_layer - 1] : 1;
    double temperature = calibration->temperature[exit_layer - 1];
    if (calibration->multi_label) {
        rung_sigmoid(logits, n, temperature, probabilities);
        return;
    }
    if (shape == 1) {
        rung_softmax(logits, n, temperature, probabilities);
        return;
    }
    rung_shape_logits(logits, n, shape, probabilities);
    softmax_in_place(probabilities, n, temperature);
}

uint32_t rung_argmax(const double *values, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        if (values[i] > values[best]) {
            best = i;
        }
    }
    return (uint32_t)best;
}

static double entropy_term(double p)
{
    return p > 0 ? -p * rung_log(p) : 0;
}

double rung_entropy(const double *probabilities, size_t n, bool multi_label)
{
    double sum = 0;
    double greatest = 0;
    for (size_t i = 0; i < n; i++) {
        double p = probabilities[i];
        double of_label = entropy_term(p) + entropy_term(1 - p);
        greatest = of_label > greatest ? of_label : greatest;
        sum += entropy_term(p);
    }
    return multi_label ? greatest : sum;
}

/* p ln(p / m) with m = (p + q) / 2. As p ln(2p / (p + q)), since m can underflow to 0 where the sum does not. */
static double divergence_term(double p, double q)
{
    return p > 0 ? p * rung_log(2 * p / (p + q)) : 0;
}

double rung_js_divergence(const double *p, const double *q, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += divergence_term(p[i], q[i]) + divergence_term(q[i], p[i]);
    }
    double divergence = sum / 2;
    if (divergence < 0) { /* rounding, when p and q are all but equal */
        return 0;
    }
    return divergence > LN_2 ? LN_2 : divergence;
}

double rung_confidence(const double *probabilities, size_t n, bool multi_label)
{
    if (!multi_label) {
        return probabilities[rung_argmax(probabilities, n)];
    }
    double least = 1;
    for (size_t i = 0; i < n; i++) {
        double sure = probabilities[i] >= 0.5 ? probabilities[i] : 1 - probabilities[i];
        least = sure < least ? sure : least;
    }
    return least;
}

bool rung_same_decision(const double *p, const double *q, size_t n, bool multi_label)
{
    if (!multi_label) {
        return rung_argmax(p, n) == rung_argmax(q, n);
    }
    for (size_t i = 0; i < n; i++) {
        if ((p[i] >= 0.5) != (q[i] >= 0.5)) {
            return false;
        }
    }
    return true;
}

double rung_divergence(const double *p, const double *q, size_t n, bool multi_label)
{
    if (!multi_label) {
        return rung_js_divergence(p, q, n);
    }
    double greatest = 0;
    for (size_t i = 0; i < n; i++) {
        const double of_p[2] = {p[i], 1 - p[i]};
        const double of_q[2] = {q[i], 1 - q[i]};
        double divergence = rung_js_divergence(of_p, of_q, 2);
        greatest = divergence > greatest ? divergence : greatest;
    }
    return greatest;
}
