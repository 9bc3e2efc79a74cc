/* scores.h: how good probabilities are: accuracy, negative log likelihood, Brier score, equal-mass calibration error. Pure; used by rung fit,
 * rung profile and reports. Sources: Guo et al. 2017 (ECE), Nguyen and O'Connor 2015 (equal-mass bins), Brier 1950. */
#ifndef RUNG_FIT_SCORES_H
#define RUNG_FIT_SCORES_H

#include "fit/temperature.h"

#define RUNG_SCORES_BINS 15

typedef struct rung_scores {
    double accuracy; /* the likeliest class is right; of equal ones the first is taken */
    double nll;      /* mean, natural logarithm; a probability below 1e-12 counts as 1e-12 */
    double brier;    /* mean over inputs of sum over classes of (p - y)^2 */
    double ece;      /* equal-mass: mean over bins, by mass, of |accuracy - confidence|, see below */
} rung_scores;

/* probabilities [n, num_classes], each in [0, 1] (RUNG_INVALID names the first that is not), labels [n] < num_classes, n >= 1.
 *
 * The bins of ece: inputs are ranked by confidence, the largest probability; bin b of RUNG_SCORES_BINS holds the ranks from floor(b n / bins) to
 * before floor((b + 1) n / bins), so that their sizes differ by one at most, and bins are empty when n is smaller. Where equal confidences lie
 * across a border, every one of them counts with the mean correctness of all of them, so that the order of the input changes no bit: sums are
 * taken in the order of rank. */
rung_status rung_scores_of(const double *probabilities, const uint32_t *labels, size_t n, size_t num_classes,
                           rung_scores *scores, rung_error *error) RUNG_WARN_UNUSED;

/* One bin of ece: a point of a reliability diagram. */
typedef struct rung_scores_bin {
    size_t count;      /* inputs, >= 1 */
    double confidence; /* their mean */
    double accuracy;   /* share that is right; ties across a border count in part */
} rung_scores_bin;

/* The bins that are not empty, by rising confidence, of the same input; *num_bins of them are written. ece is the mean of |accuracy - confidence| over
 * them, by count. */
rung_status rung_scores_bins(const double *probabilities, const uint32_t *labels, size_t n, size_t num_classes,
                             rung_scores_bin bins[RUNG_SCORES_BINS], size_t *num_bins,
                             rung_error *error) RUNG_WARN_UNUSED;

/* The class of the greatest logit, the first of equal ones. */
uint32_t rung_argmax_logits(const float *logits, size_t num_classes);

/* by_class [num_classes]: the share of each label's inputs whose greatest logit (the first of equal ones) is that label's; 0 for a label that no input
 * has. Returns how many of all inputs are right. labels [n] < num_classes. */
size_t rung_class_accuracy(const rung_fit_logits *logits, const uint32_t *labels, double *by_class);

#endif
