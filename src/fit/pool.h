/* pool.h: how to add up the results of several levels (Eq 11-12): the weights of least negative log likelihood on the inputs that reach that
 * set of levels. Used by rung fit. Knows no models or levels: probabilities and truths in, weights out. */
#ifndef RUNG_FIT_POOL_H
#define RUNG_FIT_POOL_H

#include "base/status.h"

#define RUNG_POOL_MAX_MEMBERS 64
#define RUNG_POOL_PRIOR 4.0

/* What `num_members` members said of n inputs. */
typedef struct rung_pool_results {
    const double *probabilities; /* [n, num_members, num_classes] each row in [0, 1] */
    const uint32_t *labels;      /* [n] < num_classes */
    size_t n;                    /* 0 is fine: equal weights */
    size_t num_members;          /* 1 .. RUNG_POOL_MAX_MEMBERS */
    size_t num_classes;          /* >= 1 */
} rung_pool_results;

typedef struct rung_pool_fit {
    double nll_equal; /* mean negative log likelihood with equal weights; 0 when n is 0 */
    double nll;       /* with the weights found */
    unsigned iterations;
} rung_pool_fit;

/* weights [num_members], >= 0, adding up to 1. The loss is convex in them; a prior worth RUNG_POOL_PRIOR inputs spread evenly over the members keeps a
 * handful of inputs from giving one member everything. RUNG_INVALID names an input whose label or probability is outside its range. */
rung_status rung_fit_pool(const rung_pool_results *results, double *weights, rung_pool_fit *fit,
                          rung_error *error) RUNG_WARN_UNUSED;

#endif
