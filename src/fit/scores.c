/* scores.c: accuracy, negative log likelihood, Brier score and calibration error of probabilities. See scores.h. */
#include "fit/scores.h"

#include "base/memory.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#define LEAST_PROBABILITY 1e-12

/* What is left of one input when its sums are taken. */
typedef struct scored {
    double confidence;
    double nll;
    double brier;
    double correct; /* 0 or 1; later the mean over its ties */
} scored;

static rung_status score_input(const double *p, uint32_t label, size_t num_classes, size_t input, scored *out,
                               rung_error *error)
{
    size_t best = 0;
    double brier = 0;
    for (size_t c = 0; c < num_classes; c++) {
        if (!(p[c] >= 0 && p[c] <= 1)) {
            return rung_fail(error, RUNG_INVALID, "input %zu: probability %g of class %zu is outside [0, 1]", input,
                             p[c], c);
        }
        double off = p[c] - (c == label ? 1 : 0);
        brier += off * off;
        best = p[c] > p[best] ? c : best;
    }
    *out = (scored){.confidence = p[best],
                    .nll = -log(fmax(p[label], LEAST_PROBABILITY)),
                    .brier = brier,
                    .correct = best == label ? 1 : 0};
    return RUNG_OK;
}

static int compare(double a, double b)
{
    return (a > b) - (a < b);
}

/* By confidence; then by all that is summed, so that the sums do not depend on the order of the input. */
static int by_rank(const void *left, const void *right)
{
    const scored *a = left;
    const scored *b = right;
    int order = compare(a->confidence, b->confidence);
    order = order != 0 ? order : compare(a->nll, b->nll);
    return order != 0 ? order : compare(a->brier, b->brier);
}

/* Equal confidences share their correctness. */
static void share_ties(scored *inputs, size_t n)
{
    for (size_t first = 0; first < n;) {
        size_t end = first;
        double right = 0;
        while (end < n && inputs[end].confidence == inputs[first].confidence) {
            right += inputs[end++].correct;
        }
        for (size_t i = first; i < end; i++) {
            inputs[i].correct = right / (double)(end - first);
        }
        first = end;
    }
}

/* Sums over the inputs of one bin. */
typedef struct bin_sums {
    size_t count;
    double right;
    double confidence;
} bin_sums;

static bin_sums sums_of_bin(const scored *inputs, size_t n, size_t bin)
{
    /* floor(bin n / bins) without the product overflowing */
    size_t begin = n / RUNG_SCORES_BINS * bin + n % RUNG_SCORES_BINS * bin / RUNG_SCORES_BINS;
    size_t end = n / RUNG_SCORES_BINS * (bin + 1) + n % RUNG_SCORES_BINS * (bin + 1) / RUNG_SCORES_BINS;
    bin_sums sums = {.count = end - begin};
    for (size_t i = begin; i < end; i++) {
        sums.right += inputs[i].correct;
        sums.confidence += inputs[i].confidence;
    }
    return sums;
}

static double calibration_error(const scored *inputs, size_t n)
{
    double sum = 0;
    for (size_t b = 0; b < RUNG_SCORES_BINS; b++) {
        bin_sums bin = sums_of_bin(inputs, n, b);
        sum += fabs(bin.right - bin.confidence); /* the bin's mass times its difference, times n */
    }
    return sum / (double)n;
}

/* *ranked: the inputs by rank, to be freed. */
static rung_status rank_inputs(const double *probabilities, const uint32_t *labels, size_t n, size_t num_classes,
                               scored **ranked, rung_error *error)
{
    assert(n >= 1 && num_classes >= 1);
    scored *inputs = rung_alloc(n, sizeof *inputs, "scores", error);
    rung_status status = inputs == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < n; i++) {
        assert(labels[i] < num_classes);
        status = score_input(probabilities + i * num_classes, labels[i], num_classes, i, &inputs[i], error);
    }
    if (status != RUNG_OK) {
        free(inputs);
        return status;
    }
    qsort(inputs, n, sizeof *inputs, by_rank);
    *ranked = inputs;
    return RUNG_OK;
}

rung_status rung_scores_of(const double *probabilities, const uint32_t *labels, size_t n, size_t num_classes,
                           rung_scores *scores, rung_error *error)
{
    scored *inputs = NULL;
    rung_status status = rank_inputs(probabilities, labels, n, num_classes, &inputs, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_scores sums = {0};
    for (size_t i = 0; i < n; i++) {
        sums.accuracy += inputs[i].correct;
        sums.nll += inputs[i].nll;
        sums.brier += inputs[i].brier;
    }
    share_ties(inputs, n);
    *scores = (rung_scores){.accuracy = sums.accuracy / (double)n,
                            .nll = sums.nll / (double)n,
                            .brier = sums.brier / (double)n,
                            .ece = calibration_error(inputs, n)};
    free(inputs);
    return RUNG_OK;
}

rung_status rung_scores_bins(const double *probabilities, const uint32_t *labels, size_t n, size_t num_classes,
                             rung_scores_bin bins[RUNG_SCORES_BINS], size_t *num_bins, rung_error *error)
{
    scored *inputs = NULL;
    rung_status status = rank_inputs(probabilities, labels, n, num_classes, &inputs, error);
    if (status != RUNG_OK) {
        return status;
    }
    share_ties(inputs, n);
    size_t written = 0;
    for (size_t b = 0; b < RUNG_SCORES_BINS; b++) {
        bin_sums sums = sums_of_bin(inputs, n, b);
        if (sums.count > 0) {
            double count = (double)sums.count;
            bins[written++] = (rung_scores_bin){sums.count, sums.confidence / count, sums.right / count};
        }
    }
    *num_bins = written;
    free(inputs);
    return RUNG_OK;
}

uint32_t rung_argmax_logits(const float *logits, size_t num_classes)
{
    uint32_t best = 0;
    for (uint32_t c = 1; c < num_classes; c++) {
        best = logits[c] > logits[best] ? c : best;
    }
    return best;
}

size_t rung_class_accuracy(const rung_fit_logits *logits, const uint32_t *labels, double *by_class)
{
    size_t right_of_all = 0;
    for (uint32_t c = 0; c < logits->num_classes; c++) {
        size_t seen = 0;
        size_t right = 0;
        for (size_t i = 0; i < logits->n; i++) {
            if (labels[i] == c) {
                seen++;
                right += rung_argmax_logits(logits->logits + i * logits->stride, logits->num_classes) == c;
            }
        }
        by_class[c] = seen > 0 ? (double)right / (double)seen : 0;
        right_of_all += right;
    }
    return right_of_all;
}
