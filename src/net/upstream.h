/* upstream.h: the client of the next level: POST over HTTP with keep-alive to the one of several addresses that has the fewest calls outstanding, through
 * an emulated link in real time where one is configured: a call waits for its way up before it is sent, and for its way down before its reply is told. A
 * second attempt may follow at another address, for at most one call in ten: a retry when nothing came back (no connection, reset before headers) or 503;
 * a hedge, where that is on, when there is no answer for a while: it goes on beside the first attempt, the reply that is there first is the call's, and
 * the other one is stopped. Runs on the owner's event loop; every function is called from its thread. Knows bytes, not levels or texts.
 * Rules: docs of the node: an upstream's fault is an outcome, never an error of the request. */
#ifndef RUNG_NET_UPSTREAM_H
#define RUNG_NET_UPSTREAM_H

#include "link/link.h"
#include "net/loop.h"

#define RUNG_MAX_ADDRESSES 16

typedef struct rung_upstream rung_upstream;

/* Lent until rung_upstream_create returns. */
typedef struct rung_upstream_options {
    const char *const *addresses; /* [num_addresses] "http://host:port[/prefix]" or https */
    size_t num_addresses;         /* 1 .. RUNG_MAX_ADDRESSES */
    const char *path;             /* after the address, "/v1/classify" */
    size_t max_reply_bytes;       /* larger replies are refused while they arrive */
    const char *ca_file;          /* for https; NULL: the system's */
    const char *token;            /* sent as "Authorization: Bearer ..."; NULL: none */
    double hedge_after_s;         /* without an answer; needs two addresses; 0: no hedges */
    const char *probe_path;       /* GET there tells by 200 that an address is back, "/health"; NULL: a call tries */
    const rung_link *link;        /* emulated; copied, but what it points to outlives the upstream; NULL: none */
    uint64_t seed;                /* of the link's random numbers: the same everywhere */
    uint64_t backoff_seed;        /* of the jitter of circuits: one's own */
    uint32_t link_index;          /* as in rung_link_prng */
    /* From the loop: a call went well at an address (its index) whose circuit was open; NULL: nobody wants to know. */
    void (*came_back)(void *context, size_t address);
    void *came_back_context;
} rung_upstream_options;

typedef enum rung_call_outcome {
    RUNG_CALL_REPLY,       /* status 200, whole body */
    RUNG_CALL_UNREACHABLE, /* no connection, or it broke, or the circuit is open */
    RUNG_CALL_DEADLINE,    /* not done in time */
    RUNG_CALL_OVERLOADED,  /* 429 or 503 */
    RUNG_CALL_BAD_REPLY,   /* any other status, or a body over the limit */
} rung_call_outcome;

#define RUNG_HTTP_LOOP 508 /* a BAD_REPLY: the call was there before (RFC 5842) */

typedef struct rung_call_result {
    rung_call_outcome outcome;
    bool sent;        /* at least a part of the request left this node */
    bool refused;     /* UNREACHABLE since no address may be asked now: every circuit is open */
    int http_status;  /* 0 when there was none */
    const char *body; /* REPLY: lent until the callback returns */
    size_t body_bytes;
    double elapsed_s;   /* from rung_upstream_send to now */
    const char *detail; /* for the log: one line; never NULL */
} rung_call_result;

typedef struct rung_call rung_call;

typedef struct rung_call_request {
    const char *body; /* copied */
    size_t body_bytes;
    double deadline_s;          /* of rung_clock_s: the outcome is known by then */
    uint64_t key;               /* of the request, for the link's random numbers */
    const char *const *headers; /* [num_headers] "Name: value", copied */
    size_t num_headers;
    void (*done)(void *context,
                 const rung_call_result *result); /* once, from the loop, never from within send; not after cancel */
    void *context;
} rung_call_request;

/* RUNG_INVALID, RUNG_LIMIT, RUNG_NOT_FOUND: an option, named. Connects to nothing yet. libcurl is initialised for the process and counts its users, so
 * upstreams may be made and freed in any thread. The owner ignores SIGPIPE. */
rung_status rung_upstream_create(rung_loop *loop, const rung_upstream_options *options, rung_upstream **upstream,
                                 rung_error *error) RUNG_WARN_UNUSED;
/* Cancels every call. Not from within `done`. */
void rung_upstream_free(rung_upstream *upstream);

/* RUNG_INVALID: a header that is none. *call is valid until `done` begins. */
rung_status rung_upstream_send(rung_upstream *upstream, const rung_call_request *request, rung_call **call,
                               rung_error *error) RUNG_WARN_UNUSED;
/* Stops a call and closes its connections, so that the upper level sees that nobody waits. */
void rung_upstream_cancel(rung_upstream *upstream, rung_call *call);

/* What the level above looks like from here. A call counts once, whatever its retries and hedges; what was cancelled is no failure. */
typedef struct rung_upstream_health {
    size_t in_flight;
    size_t open_circuits; /* addresses that are not asked for now */
    uint64_t calls, failures, retries, hedges;
    uint64_t refused;    /* of the failures: nothing was sent, since every circuit was open */
    double p50_s, p99_s; /* of the last 128 replies, emulated link included; 0 before the first */
} rung_upstream_health;
void rung_upstream_look(const rung_upstream *upstream, rung_upstream_health *health);

#endif
