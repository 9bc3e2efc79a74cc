/* desk.h: what all calls of a node share, and how any of them is answered: with the request's id in a header, and counted. Lives on the loop. */
#ifndef RUNG_SERVE_DESK_H
#define RUNG_SERVE_DESK_H

#include "net/trace_context.h"
#include "serve/api.h"
#include "serve/errand.h"
#include "serve/http.h"
#include "serve/log.h"
#include "serve/metrics.h"
#include "serve/quota.h"
#include "serve/workers.h"

typedef struct rung_desk {
    rung_loop *loop;
    rung_workers *workers;
    rung_generation *current;
    rung_metrics *metrics;
    rung_log *log;
    rung_quota *quota;
    const char *node_id;
    uint64_t jitter;             /* state of the random part of Retry-After */
    uint64_t id_seed, id_count;  /* of request ids that clients do not bring */
    bool draining;               /* refuses what is new */
    struct rung_ticket *tickets; /* all that are open */
    size_t num_tickets;
    rung_errand *idle; /* to be used again */
    size_t num_idle;
    double link_s; /* what the link to the next level takes: a maximum that decays from call to call */
} rung_desk;

/* The client's x-request-id when it is sane, else a new one. exchange NULL: nothing of the request can be read. */
void rung_desk_request_id(rung_desk *desk, const rung_exchange *exchange, char id[RUNG_REQUEST_ID_BYTES]);

/* Answers: headers [num_headers], at most RUNG_API_MAX_HEADERS, and x-request-id. Takes the body over. type NULL: application/json. */
void rung_desk_answer(rung_desk *desk, rung_exchange *exchange, const char *request_id, unsigned http_status,
                      const char *type, const rung_http_header *headers, size_t num_headers, rung_buffer *body);

/* Answers with an error in the form of the API. header: one more; NULL: none. */
void rung_desk_answer_error(rung_desk *desk, rung_exchange *exchange, const rung_api *api, const char *request_id,
                            rung_fault fault, const rung_http_header *header, const char *message);

#endif
