/* threshold.c: t of Eq 7 by one pass over the sorted confidences. See threshold.h. */
#include "fit/threshold.h"

#include "base/memory.h"

#include <stdlib.h>

typedef struct observation {
    double confidence;
    bool agrees;
} observation;

static int compare(const void *a, const void *b)
{
    double x = ((const observation *)a)->confidence;
    double y = ((const observation *)b)->confidence;
    return (x > y) - (x < y);
}

static rung_status check(const double *confidence, size_t n, double target, rung_error *error)
{
    if (n == 0) {
        return rung_fail(error, RUNG_INVALID, "no requests to fit a threshold on; give at least one");
    }
    if (!(target >= 0 && target <= 1)) {
        return rung_fail(error, RUNG_INVALID, "the target share is %g; it must be from 0 to 1", target);
    }
    for (size_t i = 0; i < n; i++) {
        if (!(confidence[i] >= 0 && confidence[i] <= 1)) {
            return rung_fail(error, RUNG_INVALID, "request %zu: the confidence is %g; it must be from 0 to 1", i,
                             confidence[i]);
        }
    }
    return RUNG_OK;
}

/* Candidates rise, starting with 0; `above` and `agreeing` count what lies above the candidate. A share is divided before it is
 * compared: 49 / 50 and the literal 0.98 round to the same number. */
static rung_threshold_fit scan(const observation *sorted, size_t n, rung_agreement_of of, double target)
{
    size_t agreeing = 0;
    for (size_t i = 0; i < n; i++) {
        agreeing += sorted[i].agrees;
    }
    size_t next = 0; /* the first observation above the candidate */
    double candidate = 0;
    for (;;) {
        while (next < n && sorted[next].confidence <= candidate) {
            agreeing -= sorted[next].agrees;
            next++;
        }
        if (next == n) {
            return (rung_threshold_fit){.threshold = 1, .agreement = 1};
        }
        double above = (double)(n - next);
        double agreement = (double)agreeing / above;
        double counted = of == RUNG_AGREEMENT_OF_ALL ? (double)(agreeing + next) / (double)n : agreement;
        if (counted >= target) {
            return (rung_threshold_fit){candidate, agreement, above / (double)n, n - next};
        }
        candidate = sorted[next].confidence;
    }
}

rung_status rung_fit_threshold(const double *confidence, const bool *agrees, size_t n, rung_agreement_of of,
                               double target, rung_threshold_fit *fit, rung_error *error)
{
    rung_status status = check(confidence, n, target, error);
    if (status != RUNG_OK) {
        return status;
    }
    observation *sorted = rung_alloc(n, sizeof *sorted, "the confidences to sort", error);
    if (sorted == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        sorted[i] = (observation){confidence[i], agrees[i]};
    }
    qsort(sorted, n, sizeof *sorted, compare); /* equal confidences in any order: they are passed together */
    *fit = scan(sorted, n, of, target);
    free(sorted);
    return RUNG_OK;
}
