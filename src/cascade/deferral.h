/* deferral.h: learned deferral: q(x), the chance that the next levels would mend this level's answer, from the [CLS] state where the level stopped and
 * from its scores. With it 1 - q takes the place of the confidence in Eq 7. Fitted by src/fit; evaluated here. Pure. Source: docs/architecture.md;
 * max softmax ranks requests by their own chance of being right, and what matters is what the next level adds. */
#ifndef RUNG_CASCADE_DEFERRAL_H
#define RUNG_CASCADE_DEFERRAL_H

#include "cascade/policy.h"

/* Scores beside the state, in this order. */
enum {
    RUNG_DEFERRAL_CONFIDENCE, /* calibrated, Eq 6 */
    RUNG_DEFERRAL_MARGIN,     /* greatest probability less the second */
    RUNG_DEFERRAL_ENTROPY,    /* of the calibrated softmax, natural logarithm */
    RUNG_DEFERRAL_LENGTH,     /* ln of the number of tokens */
    RUNG_DEFERRAL_SCORES
};

/* A logistic regression: q = 1 / (1 + exp(-(bias + weight . [state, scores]))). Arrays are lent. */
typedef struct rung_deferral {
    size_t hidden_size;  /* of the state; 0: this exit has none */
    const float *weight; /* [hidden_size + RUNG_DEFERRAL_SCORES] */
    double bias;
} rung_deferral;

/* Fills scores from the calibrated probabilities [num_classes] of the exit. */
void rung_deferral_scores(const double *probabilities, uint32_t num_classes, size_t num_tokens,
                          float scores[RUNG_DEFERRAL_SCORES]);

/* 1 - q in [0, 1], rounded to a float. state [hidden_size]. */
double rung_deferral_confidence(const rung_deferral *deferral, const float *state,
                                const float scores[RUNG_DEFERRAL_SCORES]);

#endif
