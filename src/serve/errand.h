/* errand.h: one input at this node: its visit of the level (run/visit.h), from its arrival until it has an answer. Owned by the loop, and by a worker
 * while it is queued or computed: whoever owns it is the only one that touches it, but for `cancelled` and for what is marked as the loop's. Knows no
 * HTTP. */
#ifndef RUNG_SERVE_ERRAND_H
#define RUNG_SERVE_ERRAND_H

#include "net/message_parse.h"
#include "run/visit.h"
#include "serve/generation.h"

#define RUNG_BYTES_PER_TOKEN 4 /* of text, about: to estimate work before it is tokenized */

struct rung_ticket;

/* How a call ended while its errand was at a worker: the machine learns it when the errand is back. */
typedef struct rung_held {
    bool is_held;
    rung_degraded lost;      /* RUNG_DEGRADED_NO: there is a reply */
    rung_call_result result; /* body and detail lie in memory */
    rung_buffer memory;
} rung_held;

typedef struct rung_errand {
    struct rung_errand *next;     /* in the list that holds it */
    struct rung_errand *children; /* in the backlog */
    double due_s;                 /* set when it is queued, as is its place among those that are due together */
    uint64_t order;
    struct rung_errand *
        next_ahead; /* in the workers' list of those that ask the next level ahead of their result; their lock guards it */
    struct rung_ticket *ticket;
    rung_generation *generation;
    uint64_t visit_serial; /* generation that `visit` was made for; 0: none */
    rung_visit visit;
    rung_stage arrived; /* what came; texts are lent from the ticket */
    rung_stage above;   /* what goes up */
    const char *id;     /* lent from the ticket; NULL for a request from below */
    size_t id_bytes;
    bool at_worker;
    bool sent;             /* the loop's: the next level was asked */
    bool unsent;           /* it was to be asked ahead of the result, and the result came first */
    bool no_text;          /* its ticket writes the answer: `out` stays empty */
    bool may_truncate;     /* a text longer than the model is cut, else refused */
    bool finished;         /* answered, failed or refused */
    atomic_bool cancelled; /* set by the loop, read by the worker */
    double arrived_s, deadline_s, queued_s;
    double read_ms;     /* that tokenizing took, where no_text; else 0 */
    size_t text_bytes;  /* of what came; token ids count as RUNG_BYTES_PER_TOKEN each */
    size_t cost_bytes;  /* what its work is estimated by: rung_workers_submit sets it */
    unsigned actions;   /* what the worker's step asked for */
    rung_status status; /* RUNG_OK, or what is wrong with the input */
    bool expired;       /* the deadline passed before it was computed */
    rung_error error;
    rung_buffer
        body; /* request to the next level; a worker that has handed it out (rung_errand_watched) leaves it alone */
    rung_call *call;                        /* the loop's: in flight to it */
    rung_held held;                         /* the loop's */
    rung_level_answer did[RUNG_MAX_LEVELS]; /* of the levels above, from the reply */
    uint32_t top_level;                     /* highest level that took part */
    rung_buffer out;                        /* the answer, or the reply to the level below */
} rung_errand;

/* An errand of this generation, of zeroes or used before. */
rung_status rung_errand_prepare(rung_errand *errand, rung_generation *generation, rung_error *error) RUNG_WARN_UNUSED;
void rung_errand_free(rung_errand *errand);

/* The worker's part: before, while and after its job is run. read: false when there is nothing to run (cancelled, expired, refused). watched: the exit
 * that is watched was passed (job.on_watch); true when `body` is to go to the next level now. */
bool rung_errand_read(rung_errand *errand, double now_s);
bool rung_errand_watched(rung_errand *errand, double now_s);
void rung_errand_computed(rung_errand *errand, double now_s);

/* Makes the body for the next level; RUNG_ACTION_SEND asked for it. */
rung_status rung_errand_make_body(rung_errand *errand, rung_error *error) RUNG_WARN_UNUSED;

/* Keeps how the call to the next level ended. lost: why, or RUNG_DEGRADED_NO for a reply, which is copied; without memory for it, it is lost. */
void rung_errand_hold(rung_errand *errand, rung_degraded lost, const rung_call_result *result);

/* The answer was written as if the next level had been asked, and it was not (unsent): writes it again. */
rung_status rung_errand_write_unsent(rung_errand *errand, double now_s, rung_error *error) RUNG_WARN_UNUSED;

/* Takes the reply of the next level into the visit and returns the actions; a reply that is none counts as failed, and *why says what is wrong
 * with it. */
unsigned rung_errand_take_reply(rung_errand *errand, const rung_call_result *result, double now_s, rung_error *why);

/* Whatever kept the next level from answering. */
unsigned rung_errand_lose_upstream(rung_errand *errand, rung_degraded reason, bool was_sent, double now_s);

/* RUNG_ACTION_ANSWER: writes `out`, unless no_text. */
rung_status rung_errand_write(rung_errand *errand, double now_s, rung_error *error) RUNG_WARN_UNUSED;

#endif
