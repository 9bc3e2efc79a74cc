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

static double calibration_error(const scored *inputs, size_t n)
{
    double sum = 0;
    size_t begin = 0;
    for (size_t b = 0; b < RUNG_SCORES_BINS; b++) {
        /* floor((b + 1) n / bins) without the product overflowing */
        size_t end = n / RUNG_SCORES_BINS * (b + 1) + n % RUNG_SCORES_BINS * (b + 1) / RUNG_SCORES_BINS;
        double right = 0;
        double confidence = 0;
        for (size_t i = begin; i < end; i++) {
            right += inputs[i].correct;
            confidence += inputs[i].confidence;
        }
        sum += fabs(right - confidence); /* the bin's mass times its difference, times n */
        begin = end;
    }
    return sum / (double)n;
}

rung_status rung_scores_of(const double *probabilities, const uint32_t *labels, size_t n, size_t num_classes,
                           rung_scores *scores, rung_error *error)
{
    assert(n >= 1 && num_classes >= 1);
    scored *inputs = rung_alloc(n, sizeof *inputs, "scores", error);
    rung_status status = inputs == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < n; i++) {
        assert(labels[i] < num_classes);
        status = score_input(probabilities + i * num_classes, labels[i], num_classes, i, &inputs[i], error);
    }
    if (status == RUNG_OK) {
        rung_scores sums = {0};
        qsort(inputs, n, sizeof *inputs, by_rank);
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
    }
    free(inputs);
    return status;
}
