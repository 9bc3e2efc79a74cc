/* ticket.h: one call to classify, of any API: what came in one HTTP request, its errands (one an input), and their join. Lives on the loop; its errands go
 * to the workers and to the next level and come back. Knows HTTP through serve/http.h only, and what bodies look like through serve/api.h. */
#ifndef RUNG_SERVE_TICKET_H
#define RUNG_SERVE_TICKET_H

#include "net/hops.h"
#include "serve/desk.h"

#define RUNG_MAX_IDLE_ERRANDS 1024
#define RUNG_MAX_IDLE_ERRAND_BYTES                                                                                     \
    ((size_t)16 << 10) /* of text: an errand that took more has grown too much to be kept */

typedef struct rung_ticket {
    rung_desk *desk;
    struct rung_ticket *next, *previous;
    rung_exchange *exchange; /* NULL: answered, or its client is gone */
    rung_generation *generation;
    bool pinned; /* somebody walks over its errands: it stays */
    const rung_api *api;
    void *form; /* what the API needs to write the answer */
    rung_classify_body body;
    rung_policy named_policy; /* that the body asks for, unless the generation has it */
    size_t num_errands;
    size_t num_open;       /* errands that have no result yet */
    rung_errand **errands; /* [num_errands] */
    rung_errand *only;     /* where errands points to when there is one */
    rung_timer timer;
    double arrived_s, deadline_s;
    rung_degraded barrier;              /* why the next level is not to be asked */
    bool looped;                        /* it was at this node before */
    char via[RUNG_VIA_BYTES];           /* header to send on: the hop list with this node */
    char trace_id[RUNG_TRACE_ID_BYTES]; /* of the client's traceparent, which is sent on; "": none */
    char request_id[RUNG_REQUEST_ID_BYTES];
    bool counted; /* against the quota of `client` */
    rung_client client;
} rung_ticket;

/* Takes a call to classify: answers it at once when it is refused. */
void rung_ticket_open(rung_desk *desk, rung_exchange *exchange, const rung_api *api);

/* The client went away. */
void rung_ticket_abandon(rung_ticket *ticket);

/* What workers have done. */
void rung_desk_collect(rung_desk *desk);

/* At the end: all tickets and errands. The workers and upstreams are gone. */
void rung_desk_clear(rung_desk *desk);

#endif
