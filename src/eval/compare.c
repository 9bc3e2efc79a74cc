/* compare.c: one bootstrap over all figures of all schemes. See compare.h. */
#include "eval/compare.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Figures of one contender on one resample. */
enum {
    MEAN_MS,
    P95_MS,
    BYTES,
    BYTES_SHARE,
    TIMES_FASTER,
    OURS_FASTER,
    OURS_ACCURACY,
    GAP_CLOSED,
    FIGURES,
};

#define TAIL 0.95

typedef struct comparing {
    const rung_comparison *comparison;
    size_t n;
    uint32_t *times; /* [n] how often each request stands in the resample */
    uint32_t *order; /* [count, n] requests by rising latency */
    double *right;   /* [count] shares on the resample */
} comparing;

rung_status rung_contender_measure(const rung_evaluation *evaluation, const rung_network *network, const char *name,
                                   const rung_pick *pick, rung_contender *contender, rung_error *error)
{
    rung_contender made = {.name = name, .pick = *pick};
    rung_status status = rung_measure(evaluation, &pick->scheme, network, &made.measured, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_contender_deinit(contender);
    *contender = made;
    return RUNG_OK;
}

void rung_contender_deinit(rung_contender *contender)
{
    rung_measured_deinit(&contender->measured);
    *contender = (rung_contender){0};
}

typedef struct latency {
    double ms;
    uint32_t request;
} latency;

static int fastest_first(const void *left, const void *right)
{
    const latency *a = left;
    const latency *b = right;
    int order = (a->ms > b->ms) - (a->ms < b->ms);
    return order != 0 ? order : (a->request > b->request) - (a->request < b->request);
}

static rung_status sort_requests(comparing *c, rung_error *error)
{
    latency *sorted = rung_alloc(c->n, sizeof *sorted, "comparison", error);
    if (sorted == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t k = 0; k < c->comparison->count; k++) {
        for (size_t i = 0; i < c->n; i++) {
            sorted[i] = (latency){c->comparison->items[k].measured.latency_ms[i], (uint32_t)i};
        }
        qsort(sorted, c->n, sizeof *sorted, fastest_first);
        for (size_t i = 0; i < c->n; i++) {
            c->order[k * c->n + i] = sorted[i].request;
        }
    }
    free(sorted);
    return RUNG_OK;
}

static double mean(const double *values, const uint32_t *times, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += values[i] * times[i];
    }
    return sum / (double)n;
}

/* rung_quantile of the resample, without sorting it. */
static double tail(const comparing *c, size_t k)
{
    const uint32_t *order = c->order + k * c->n;
    size_t rank = (size_t)(TAIL * (double)(c->n - 1) + 0.5);
    size_t i = 0;
    for (size_t before = c->times[order[0]]; before <= rank; before += c->times[order[i]]) {
        i++;
    }
    return c->comparison->items[k].measured.latency_ms[order[i]];
}

/* Infinite where the other is 0. */
static double ratio(double a, double b)
{
    return b > 0 ? a / b : a > 0 ? INFINITY : 1;
}

static double gap(double baseline_ms, double ours_ms, double oracle_ms)
{
    return baseline_ms > oracle_ms ? rung_gap_closed(baseline_ms, ours_ms, oracle_ms) : 0;
}

/* A rung_statistic: values [count, FIGURES]. */
static rung_status compare_on(const uint32_t *rows, size_t n, void *context, double *values, rung_error *error)
{
    (void)error;
    comparing *c = context;
    const rung_comparison *of = c->comparison;
    memset(c->times, 0, n * sizeof *c->times);
    for (size_t i = 0; i < n; i++) {
        c->times[rows[i]]++;
    }
    for (size_t k = 0; k < of->count; k++) {
        const rung_measured *measured = &of->items[k].measured;
        values[k * FIGURES + MEAN_MS] = mean(measured->latency_ms, c->times, n);
        values[k * FIGURES + P95_MS] = tail(c, k);
        values[k * FIGURES + BYTES] = mean(measured->bytes, c->times, n);
        c->right[k] = mean(measured->right, c->times, n);
    }
    double oracle_ms = 0;
    if (of->oracle != NULL) {
        double share = of->by_agreement ? mean(of->items[of->ours].measured.agrees, c->times, n) : c->right[of->ours];
        oracle_ms = rung_oracle_resampled_ms(of->oracle, of->by_agreement, share, c->times);
    }
    const double *top = values + of->top * FIGURES;
    const double *ours = values + of->ours * FIGURES;
    for (size_t k = 0; k < of->count; k++) {
        double *own = values + k * FIGURES;
        own[BYTES_SHARE] = ratio(own[BYTES], top[BYTES]);
        own[TIMES_FASTER] = ratio(top[MEAN_MS], own[MEAN_MS]);
        own[OURS_FASTER] = ratio(own[MEAN_MS], ours[MEAN_MS]);
        own[OURS_ACCURACY] = c->right[of->ours] - c->right[k];
        own[GAP_CLOSED] = of->oracle != NULL ? gap(own[MEAN_MS], ours[MEAN_MS], oracle_ms) : 0;
    }
    return RUNG_OK;
}

double rung_comparison_oracle_ms(const rung_comparison *comparison)
{
    const rung_summary *ours = &comparison->items[comparison->ours].measured.summary;
    return comparison->by_agreement ? rung_oracle_agreeing_ms(comparison->oracle, ours->agreement)
                                    : rung_oracle_accurate_ms(comparison->oracle, ours->accuracy);
}

static void fill(rung_comparison *comparison, const rung_interval *intervals, double confidence)
{
    for (size_t k = 0; k < comparison->count; k++) {
        rung_contender *item = &comparison->items[k];
        const rung_interval *own = intervals + k * FIGURES;
        double n = (double)item->measured.n;
        item->mean_ms = own[MEAN_MS];
        item->p95_ms = own[P95_MS];
        item->bytes = own[BYTES];
        item->bytes_share = own[BYTES_SHARE];
        item->times_faster = own[TIMES_FASTER];
        item->ours_faster = own[OURS_FASTER];
        item->ours_accuracy = own[OURS_ACCURACY];
        item->gap_closed = own[GAP_CLOSED];
        if (comparison->oracle == NULL || k == comparison->ours ||
            !(item->mean_ms.value > rung_comparison_oracle_ms(comparison))) {
            item->gap_closed = (rung_interval){NAN, NAN, NAN};
        }
        item->accuracy = rung_wilson(rint(item->measured.summary.accuracy * n), n, confidence);
        item->agreement = rung_wilson(rint(item->measured.summary.agreement * n), n, confidence);
    }
}

rung_status rung_compare(const rung_bootstrap *bootstrap, rung_comparison *comparison, rung_error *error)
{
    size_t n = comparison->items[0].measured.n;
    size_t count = comparison->count;
    comparing c = {.comparison = comparison, .n = n};
    c.times = rung_alloc(n, sizeof *c.times, "comparison", error);
    c.order = rung_alloc(count, n * sizeof *c.order, "comparison", error);
    c.right = rung_alloc(count, sizeof *c.right, "comparison", error);
    rung_interval *intervals = rung_alloc(count, FIGURES * sizeof *intervals, "comparison", error);
    rung_status status = c.times == NULL || c.order == NULL || c.right == NULL || intervals == NULL
                             ? RUNG_NO_MEMORY
                             : sort_requests(&c, error);
    if (status == RUNG_OK) {
        status = rung_bootstrap_run(bootstrap, n, compare_on, &c, count * FIGURES, intervals, error);
    }
    if (status == RUNG_OK) {
        fill(comparison, intervals, bootstrap->confidence);
    }
    free(c.times);
    free(c.order);
    free(c.right);
    free(intervals);
    return status;
}
