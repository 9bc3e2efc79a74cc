/* frontier.h: which policies are worth having: no other is both faster and better. Pure; used by what compares methods.
 * Knows no policies.
 *
 * A frontier is an array of points of rising latency and rising quality, both strictly. Quality is accuracy, or
 * agreement with the top level. */
#ifndef RUNG_EVAL_FRONTIER_H
#define RUNG_EVAL_FRONTIER_H

#include "base/status.h"

typedef struct rung_frontier_point {
    double quality;
    double latency_ms;
    size_t index; /* the caller's number of the policy */
} rung_frontier_point;

/* The Pareto frontier of points [count], count >= 1, written to frontier [count] and *size. Of equal points the one of
 * least index stays. RUNG_INVALID names a point that is not finite. The arrays do not overlap. */
rung_status rung_frontier_of(const rung_frontier_point *points, size_t count, rung_frontier_point *frontier,
                             size_t *size, rung_error *error) RUNG_WARN_UNUSED;

/* The points of a frontier [size], size >= 1, that lie on its upper concave hull, written to hull [size]; returns how
 * many. Between two of them lie the policies that choose one of the two at random for each request. hull may be
 * frontier itself. */
size_t rung_frontier_hull(const rung_frontier_point *frontier, size_t size, rung_frontier_point *hull);

/* How to reach a quality. */
typedef struct rung_frontier_choice {
    double latency_ms;
    size_t fast;       /* index of the faster policy */
    size_t slow;       /* index of the slower one; fast again when one alone is taken */
    double share_slow; /* of requests that take it, 0 when one alone is taken */
} rung_frontier_choice;

/* The least latency of a frontier's point [size] with at least this quality; false, and choice untouched, when none
 * reaches it. */
bool rung_frontier_reach(const rung_frontier_point *frontier, size_t size, double quality,
                         rung_frontier_choice *choice);

/* The same over mixtures of two points of a hull [size]. */
bool rung_frontier_reach_mixed(const rung_frontier_point *hull, size_t size, double quality,
                               rung_frontier_choice *choice);

/* k qualities evenly spaced strictly between the least and the greatest of a frontier [size], size >= 1, rising. */
void rung_frontier_interior(const rung_frontier_point *frontier, size_t size, size_t k, double *qualities);

#endif
