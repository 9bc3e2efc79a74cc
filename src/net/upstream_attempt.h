/* upstream_attempt.h: one attempt of a call of the next level at one address: sent, its reply gathered and judged. Called by upstream.c, whose calls have
 * up to two of them. Knows nothing of deadlines, links and other attempts. */
#ifndef RUNG_NET_UPSTREAM_ATTEMPT_H
#define RUNG_NET_UPSTREAM_ATTEMPT_H

#include "base/buffer.h"
#include "net/upstream_addresses.h"

#define RUNG_ATTEMPT_DETAIL_BYTES 512

/* Zero-initialised but for the first three. */
typedef struct rung_attempt {
    void (*ended)(struct rung_attempt *attempt); /* from the loop, never from within begin; its address has been left */
    void *context;
    size_t max_reply_bytes;
    rung_address *at; /* the last one that was entered; NULL: none yet */
    bool entered;     /* and not left */
    bool trial;       /* of the address's circuit */
    bool sent;        /* at least in part */
    rung_transfer transfer;
    size_t header_bytes;
    size_t received_bytes;
    bool over_limit;
    char cause[CURL_ERROR_SIZE];
    /* When it has ended. */
    rung_call_outcome outcome;
    bool retryable; /* nothing came back, or the word that it may be sent again */
    int http_status;
    rung_buffer reply;
    char detail[RUNG_ATTEMPT_DETAIL_BYTES]; /* one line for the log */
} rung_attempt;

/* Lent until the attempt has ended or been stopped. */
typedef struct rung_attempt_request {
    const char *body;
    size_t body_bytes;
    struct curl_slist *headers;
    long connect_timeout_ms;
} rung_attempt_request;

/* The attempt will be at this address; false for NULL. */
bool rung_attempt_enter(rung_attempt *attempt, rung_address *at);

/* Sends the request to the address that was entered; that is not left when it fails. */
rung_status rung_attempt_begin(rung_attempt *attempt, const rung_attempt_request *request,
                               rung_error *error) RUNG_WARN_UNUSED;
/* Leaves the address, if it is at one, and before that closes the connection of one that runs, so that the server sees that nobody waits; `ended` is not
 * called. */
void rung_attempt_stop(rung_attempt *attempt, rung_verdict said);

/* Says in `detail` what happened at the address. */
void rung_attempt_describe(rung_attempt *attempt, const char *what);

/* It does not run. */
void rung_attempt_deinit(rung_attempt *attempt);

#endif
