/* certify.c: fixed-sequence testing of candidates, and the words of a certificate. See certify.h. */
#include "plan/certify.h"

#include "base/memory.h"
#include "config/number.h"
#include "plan/risk.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

rung_status rung_target_check(rung_target target, rung_error *error)
{
    static const char *const names[] = {
        [RUNG_TARGET_ACCURACY] = "an accuracy of at least",
        [RUNG_TARGET_AGREEMENT] = "agreement with the top level of at least",
        [RUNG_TARGET_NO_WORSE] = "no worse than the top level by more than",
    };
    if (!(target.value > 0 && target.value < 1)) {
        return rung_fail(error, RUNG_INVALID, "the target \"%s\" is %g; it must be above 0 and below 1",
                         names[target.kind], target.value);
    }
    return RUNG_OK;
}

double rung_target_epsilon(rung_target target)
{
    return target.kind == RUNG_TARGET_NO_WORSE ? target.value : 1 - target.value;
}

typedef struct candidate {
    double p;
    size_t index;
} candidate;

static int safest_first(const void *left, const void *right)
{
    const candidate *a = left;
    const candidate *b = right;
    int by_p = (a->p > b->p) - (a->p < b->p);
    return by_p != 0 ? by_p : (a->index > b->index) - (a->index < b->index);
}

static rung_status check_p(const double *p, size_t count, rung_error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (isnan(p[i])) {
            return rung_fail(error, RUNG_INVALID, "candidate %zu: the p-value is not a number", i);
        }
    }
    return RUNG_OK;
}

rung_status rung_certify(const double *opt_p, const double *cert_p, size_t count, double delta, size_t *order,
                         size_t *held, rung_error *error)
{
    assert(delta > 0 && delta < 1);
    rung_status status = check_p(opt_p, count, error);
    status = status == RUNG_OK ? check_p(cert_p, count, error) : status;
    if (status != RUNG_OK) {
        return status;
    }
    candidate *sorted = rung_alloc(count, sizeof *sorted, "the candidates to certify", error);
    if (sorted == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = (candidate){opt_p[i], i};
    }
    qsort(sorted, count, sizeof *sorted, safest_first);
    for (size_t i = 0; i < count; i++) {
        order[i] = sorted[i].index;
    }
    free(sorted);
    size_t holds = 0;
    while (holds < count && cert_p[order[holds]] <= delta) {
        holds++;
    }
    *held = holds;
    return RUNG_OK;
}

static rung_status p_of_counts(rung_loss_counts counts, size_t count, double epsilon, double *p, rung_error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (counts.errors[i] > counts.n) {
            return rung_fail(error, RUNG_INVALID, "candidate %zu: %llu errors among %llu requests", i,
                             (unsigned long long)counts.errors[i], (unsigned long long)counts.n);
        }
        p[i] = rung_p_agreement(counts.errors[i], counts.n, epsilon);
    }
    return RUNG_OK;
}

rung_status rung_certify_counts(rung_loss_counts opt, rung_loss_counts cert, size_t count, double epsilon, double delta,
                                size_t *order, size_t *held, double *p, rung_error *error)
{
    assert(epsilon > 0 && epsilon < 1);
    double *both = rung_alloc(count, 2 * sizeof *both, "the p-values of the candidates", error);
    if (both == NULL) {
        return RUNG_NO_MEMORY;
    }
    double *cert_p = both + count;
    rung_status status = p_of_counts(opt, count, epsilon, both, error);
    status = status == RUNG_OK ? p_of_counts(cert, count, epsilon, cert_p, error) : status;
    status = status == RUNG_OK ? rung_certify(both, cert_p, count, delta, order, held, error) : status;
    for (size_t i = 0; status == RUNG_OK && p != NULL && i < count; i++) {
        p[i] = cert_p[i];
    }
    free(both);
    return status;
}

bool rung_certify_fastest(const size_t *order, size_t held, const double *latency_ms, size_t *fastest)
{
    if (held == 0) {
        return false;
    }
    size_t best = order[0];
    for (size_t i = 1; i < held; i++) {
        best = latency_ms[order[i]] < latency_ms[best] ? order[i] : best;
    }
    *fastest = best;
    return true;
}

void rung_certify_statement(rung_target target, double delta, uint64_t n, rung_buffer *out)
{
    static const char *const promise[] = {
        [RUNG_TARGET_ACCURACY] = "the chance that an answer is wrong and not degraded is at most",
        [RUNG_TARGET_AGREEMENT] = "the chance that an answer is not the top level's and not degraded is at most",
        [RUNG_TARGET_NO_WORSE] =
            "the chance that an answer is wrong and not degraded is above the top level's by at most",
    };
    char risk[RUNG_NUMBER_BYTES];
    char confidence[RUNG_NUMBER_BYTES];
    rung_buffer_format(
        out,
        "With confidence %s over the %llu requests that certify: for requests exchangeable with them, with these "
        "models at this "
        "precision, %s %s, on average over requests. It says nothing of a single request, class or length.",
        rung_print_rounded(1 - delta, 6, confidence), (unsigned long long)n, promise[target.kind],
        rung_print_rounded(rung_target_epsilon(target), 6, risk));
}
