/* deferral.c: learned deferral: the scores beside the [CLS] state, and 1 - q. Called by src/run/visit.c and src/fit. See deferral.h. */
#include "cascade/deferral.h"

#include "base/math.h"

#include <assert.h>

void rung_deferral_scores(const double *probabilities, uint32_t num_classes, size_t num_tokens,
                          float scores[RUNG_DEFERRAL_SCORES])
{
    double first = 0;
    double second = 0;
    double entropy = 0;
    for (uint32_t c = 0; c < num_classes; c++) {
        double p = probabilities[c];
        if (p > first) {
            second = first;
            first = p;
        } else if (p > second) {
            second = p;
        }
        entropy -= p > 0 ? p * rung_log(p) : 0;
    }
    scores[RUNG_DEFERRAL_CONFIDENCE] = (float)first;
    scores[RUNG_DEFERRAL_MARGIN] = (float)(first - second);
    scores[RUNG_DEFERRAL_ENTROPY] = (float)entropy;
    scores[RUNG_DEFERRAL_LENGTH] = (float)rung_log(num_tokens > 0 ? (double)num_tokens : 1);
}

/* Products of two floats are exact in a double; the sum runs in order, the same on every machine. */
static double dot(const float *weight, const float *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)weight[i] * (double)values[i];
    }
    return sum;
}

double rung_deferral_confidence(const rung_deferral *deferral, const float *state,
                                const float scores[RUNG_DEFERRAL_SCORES])
{
    assert(deferral->hidden_size > 0);
    double logit = deferral->bias + dot(deferral->weight, state, deferral->hidden_size) +
                   dot(deferral->weight + deferral->hidden_size, scores, RUNG_DEFERRAL_SCORES);
    return (float)(1 / (1 + rung_exp(logit)));
}
