/* frontier_race.c: frontiers made again for every resample. See frontier_race.h. */
#include "eval/frontier_race.h"

#include "base/math.h"
#include "base/memory.h"
#include "eval/frontier.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Figures by accuracy, then the geometric mean. */
enum { ACCURACY, FIRST_MS, SECOND_MS, RATIO, FIGURES };

#define NUM_VALUES (RUNG_RACE_ACCURACIES * FIGURES + 1)

typedef struct racing {
    const rung_racer *family[2];
    uint32_t *times;                  /* [n] how often each request stands in the resample */
    rung_frontier_point *points;      /* [greatest count] */
    rung_frontier_point *frontier[2]; /* [count] */
    size_t size[2];
} racing;

static rung_status make_frontier(racing *r, size_t which, size_t n, rung_error *error)
{
    const rung_racer *family = r->family[which];
    for (size_t k = 0; k < family->count; k++) {
        double latency = 0;
        double right = 0;
        for (size_t i = 0; i < n; i++) {
            latency += family->latency_ms[k][i] * r->times[i];
            right += family->right[k][i] * r->times[i];
        }
        r->points[k] =
            (rung_frontier_point){.quality = right / (double)n, .latency_ms = latency / (double)n, .index = k};
    }
    return rung_frontier_of(r->points, family->count, r->frontier[which], &r->size[which], error);
}

/* A rung_statistic. */
static rung_status race_on(const uint32_t *rows, size_t n, void *context, double *values, rung_error *error)
{
    racing *r = context;
    double accuracies[RUNG_RACE_ACCURACIES];
    double logs = 0;
    memset(r->times, 0, n * sizeof *r->times);
    for (size_t i = 0; i < n; i++) {
        r->times[rows[i]]++;
    }
    for (size_t which = 0; which < 2; which++) {
        rung_status status = make_frontier(r, which, n, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    rung_frontier_interior(r->frontier[0], r->size[0], RUNG_RACE_ACCURACIES, accuracies);
    for (size_t a = 0; a < RUNG_RACE_ACCURACIES; a++) {
        rung_frontier_choice first = {.latency_ms = INFINITY};
        rung_frontier_choice second = {.latency_ms = INFINITY};
        double *own = values + a * FIGURES;
        /* Rounding may put the greatest of equal accuracies above them all. */
        double accuracy = fmin(accuracies[a], r->frontier[0][r->size[0] - 1].quality);
        (void)rung_frontier_reach(r->frontier[0], r->size[0], accuracy, &first);
        bool reached = rung_frontier_reach(r->frontier[1], r->size[1], accuracy, &second);
        own[ACCURACY] = accuracy;
        own[FIRST_MS] = first.latency_ms;
        own[SECOND_MS] = second.latency_ms;
        own[RATIO] = reached ? first.latency_ms / second.latency_ms : 0;
        logs += reached ? rung_log(own[RATIO]) : -INFINITY;
    }
    values[NUM_VALUES - 1] = isfinite(logs) ? rung_exp(logs / RUNG_RACE_ACCURACIES) : 0;
    return RUNG_OK;
}

static void fill(const rung_interval *intervals, rung_race *race)
{
    for (size_t a = 0; a < RUNG_RACE_ACCURACIES; a++) {
        const rung_interval *own = intervals + a * FIGURES;
        race->accuracy[a] = own[ACCURACY];
        race->first_ms[a] = own[FIRST_MS];
        race->second_ms[a] = own[SECOND_MS];
        race->ratio[a] = own[RATIO];
    }
    race->geometric_mean = intervals[NUM_VALUES - 1];
}

rung_status rung_race_run(const rung_bootstrap *bootstrap, size_t n, const rung_racer *first, const rung_racer *second,
                          rung_race *race, rung_error *error)
{
    racing r = {.family = {first, second}};
    rung_interval intervals[NUM_VALUES];
    size_t most = first->count > second->count ? first->count : second->count;
    r.times = rung_alloc(n, sizeof *r.times, "frontiers", error);
    r.points = rung_alloc(most, sizeof *r.points, "frontiers", error);
    r.frontier[0] = rung_alloc(first->count, sizeof *r.points, "frontiers", error);
    r.frontier[1] = rung_alloc(second->count, sizeof *r.points, "frontiers", error);
    bool failed = r.times == NULL || r.points == NULL || r.frontier[0] == NULL || r.frontier[1] == NULL;
    rung_status status =
        failed ? RUNG_NO_MEMORY : rung_bootstrap_run(bootstrap, n, race_on, &r, NUM_VALUES, intervals, error);
    if (status == RUNG_OK) {
        fill(intervals, race);
    }
    free(r.times);
    free(r.points);
    free(r.frontier[0]);
    free(r.frontier[1]);
    return status;
}
