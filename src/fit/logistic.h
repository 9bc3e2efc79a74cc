/* logistic.h: multinomial logistic regression with an L2 penalty, by L-BFGS; the penalty is chosen on a split of the data. For exit heads on frozen
 * [CLS] states and for learned deferral (two classes). Knows no models: features and classes in, a linear map out. Same input, same bits. */
#ifndef RUNG_FIT_LOGISTIC_H
#define RUNG_FIT_LOGISTIC_H

#include "base/progress.h"
#include "base/status.h"

#define RUNG_LOGISTIC_MIN_ROWS 20

typedef struct rung_logistic_data {
    const float *features;  /* row i at features + i * stride: [num_features], finite */
    size_t stride;          /* >= num_features */
    const uint32_t *labels; /* [n] < num_classes */
    const float *targets;   /* [n, num_classes] soft labels instead of labels; NULL: labels */
    size_t n;
    size_t num_features;
    size_t num_classes; /* >= 2 */
} rung_logistic_data;

typedef struct rung_logistic_fit {
    double l2;             /* that was chosen */
    double validation_nll; /* on the part held out, before the last fit on all of it */
    double nll;            /* on all of it */
    unsigned iterations;
} rung_logistic_fit;

/* weight [num_classes, num_features], bias [num_classes]: of the features as they came (standardised inside). Every fifth row by a hash of
 * its position is held out to choose the penalty. RUNG_INVALID: fewer than RUNG_LOGISTIC_MIN_ROWS rows, one class only, labels or targets out of
 * range, features that are not finite; names row and feature. threads: of the candidates side by side; the result does not depend on it. Memory:
 * n floats and up to 6 num_features doubles a feature. */
rung_status rung_fit_logistic(const rung_logistic_data *data, size_t threads, float *weight, float *bias,
                              rung_logistic_fit *fit, rung_error *error) RUNG_WARN_UNUSED;

#endif
