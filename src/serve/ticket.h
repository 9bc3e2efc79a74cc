/* ticket.h: one call of POST /v1/classify: what came in one HTTP request, its errands (one an input), and their join. Lives on the loop; its errands go to
 * the workers and to the next level and come back. Knows HTTP through serve/http.h only. */
#ifndef RUNG_SERVE_TICKET_H
#define RUNG_SERVE_TICKET_H

#include "net/classify_body.h"
#include "net/hops.h"
#include "serve/errand.h"
#include "serve/http.h"
#include "serve/log.h"
#include "serve/metrics.h"
#include "serve/workers.h"

#define RUNG_MAX_IDLE_ERRANDS 1024
#define RUNG_MAX_IDLE_ERRAND_BYTES                                                                                     \
    ((size_t)16 << 10) /* of text: an errand that took more has grown too much to be kept */

/* What the tickets of a node share. */
typedef struct rung_desk {
    rung_loop *loop;
    rung_workers *workers;
    rung_generation *current;
    rung_metrics *metrics;
    rung_log *log;
    const char *node_id;
    uint64_t jitter;             /* state of the random part of Retry-After */
    bool draining;               /* refuses what is new */
    struct rung_ticket *tickets; /* all that are open */
    size_t num_tickets;
    rung_errand *idle; /* to be used again */
    size_t num_idle;
    double link_s; /* what the link to the next level takes: a maximum that decays from call to call */
} rung_desk;

typedef struct rung_ticket {
    rung_desk *desk;
    struct rung_ticket *next, *previous;
    rung_exchange *exchange; /* NULL: answered, or its client is gone */
    rung_generation *generation;
    bool pinned; /* somebody walks over its errands: it stays */
    rung_classify_body body;
    rung_policy named_policy; /* that the body asks for, unless the generation has it */
    size_t num_errands;
    size_t num_open;       /* errands that have no result yet */
    rung_errand **errands; /* [num_errands] */
    rung_errand *only;     /* where errands points to when there is one */
    rung_timer timer;
    double arrived_s, deadline_s;
    rung_degraded barrier;    /* why the next level is not to be asked */
    bool looped;              /* it was at this node before */
    char via[RUNG_VIA_BYTES]; /* header to send on: the hop list with this node */
    char traceparent[64];     /* sent on as it came; "": none */
} rung_ticket;

/* Takes a POST /v1/classify: answers it at once when it is refused. */
void rung_ticket_open(rung_desk *desk, rung_exchange *exchange);

/* The client went away. */
void rung_ticket_abandon(rung_ticket *ticket);

/* What workers have done. */
void rung_desk_collect(rung_desk *desk);

/* At the end: all tickets and errands. The workers and upstreams are gone. */
void rung_desk_clear(rung_desk *desk);

#endif
