/* backlog.h: what waits for a worker, the earliest due first. An errand is due at its deadline, or sooner: RUNG_BACKLOG_STRETCH times as long after it was queued as its
 * work is estimated to take. So a short text passes long ones, and a long one is not passed for ever (A. Bender et al., Flow and stretch metrics for
 * scheduling continuous job streams, 1998). A pairing heap (Fredman et al. 1986) of the errands themselves: nothing is allocated. Its owner locks. */
#ifndef RUNG_SERVE_BACKLOG_H
#define RUNG_SERVE_BACKLOG_H

#include "serve/errand.h"

#define RUNG_BACKLOG_STRETCH 20

/* All zeros: empty. */
typedef struct rung_backlog {
    rung_errand *root;
    size_t count;
    size_t cost_bytes;
    double since_s;  /* not empty since then */
    uint64_t pushed; /* of those that are due together the first one comes first */
} rung_backlog;

/* errand->queued_s, deadline_s and cost_bytes are set. work_s: what it is estimated to take. */
void rung_backlog_push(rung_backlog *backlog, rung_errand *errand, double work_s);

/* The earliest due; NULL: empty. */
rung_errand *rung_backlog_first(const rung_backlog *backlog);
rung_errand *rung_backlog_pop(rung_backlog *backlog);

#endif
