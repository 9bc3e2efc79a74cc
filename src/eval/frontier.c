/* frontier.c: Pareto frontier, its concave hull, and the latency at which each reaches a quality. See frontier.h. */
#include "eval/frontier.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

static int by_number(double a, double b)
{
    return (a > b) - (a < b);
}

/* Rising latency; of equal ones the best first, then the least index. */
static int fastest_first(const void *left, const void *right)
{
    const rung_frontier_point *a = left;
    const rung_frontier_point *b = right;
    int order = by_number(a->latency_ms, b->latency_ms);
    order = order != 0 ? order : by_number(b->quality, a->quality);
    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

rung_status rung_frontier_of(const rung_frontier_point *points, size_t count, rung_frontier_point *frontier,
                             size_t *size, rung_error *error)
{
    assert(count >= 1);
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(points[i].quality) || !isfinite(points[i].latency_ms)) {
            return rung_fail(error, RUNG_INVALID,
                             "point %zu of a frontier has quality %g and latency %g ms; both must be finite",
                             points[i].index, points[i].quality, points[i].latency_ms);
        }
    }
    for (size_t i = 0; i < count; i++) {
        frontier[i] = points[i];
    }
    qsort(frontier, count, sizeof *frontier, fastest_first);
    size_t kept = 1;
    for (size_t i = 1; i < count; i++) {
        if (frontier[i].quality > frontier[kept - 1].quality) {
            frontier[kept++] = frontier[i];
        }
    }
    *size = kept;
    return RUNG_OK;
}

/* b is not above the line from a to c, so that mixing a and c does as well or better. */
static bool is_under(const rung_frontier_point *a, const rung_frontier_point *b, const rung_frontier_point *c)
{
    return (b->quality - a->quality) * (c->latency_ms - a->latency_ms) <=
           (c->quality - a->quality) * (b->latency_ms - a->latency_ms);
}

size_t rung_frontier_hull(const rung_frontier_point *frontier, size_t size, rung_frontier_point *hull)
{
    assert(size >= 1);
    size_t kept = 0;
    for (size_t i = 0; i < size; i++) {
        rung_frontier_point point = frontier[i];
        while (kept >= 2 && is_under(&hull[kept - 2], &hull[kept - 1], &point)) {
            kept--;
        }
        hull[kept++] = point;
    }
    return kept;
}

/* The first point with at least this quality; size when there is none. */
static size_t first_at_least(const rung_frontier_point *points, size_t size, double quality)
{
    size_t i = 0;
    while (i < size && !(points[i].quality >= quality)) {
        i++;
    }
    return i;
}

bool rung_frontier_reach(const rung_frontier_point *frontier, size_t size, double quality, rung_frontier_choice *choice)
{
    size_t i = first_at_least(frontier, size, quality);
    if (i == size) {
        return false;
    }
    *choice = (rung_frontier_choice){frontier[i].latency_ms, frontier[i].index, frontier[i].index, 0};
    return true;
}

bool rung_frontier_reach_mixed(const rung_frontier_point *hull, size_t size, double quality,
                               rung_frontier_choice *choice)
{
    size_t i = first_at_least(hull, size, quality);
    if (i == 0 || i == size || hull[i].quality == quality) {
        return rung_frontier_reach(hull, size, quality, choice);
    }
    const rung_frontier_point *fast = &hull[i - 1];
    const rung_frontier_point *slow = &hull[i];
    double share = (quality - fast->quality) / (slow->quality - fast->quality);
    *choice = (rung_frontier_choice){.latency_ms = fast->latency_ms + share * (slow->latency_ms - fast->latency_ms),
                                     .fast = fast->index,
                                     .slow = slow->index,
                                     .share_slow = share};
    return true;
}

void rung_frontier_interior(const rung_frontier_point *frontier, size_t size, size_t k, double *qualities)
{
    assert(size >= 1);
    double least = frontier[0].quality;
    double greatest = frontier[size - 1].quality;
    for (size_t i = 0; i < k; i++) {
        qualities[i] = least + (greatest - least) * (double)(i + 1) / (double)(k + 1);
    }
}
