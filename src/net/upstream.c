/* upstream.c: see upstream.h. A call passes through its phases: UP (the emulated way), HTTP (one attempt or two, the second after the first or
 * beside it), DOWN (the emulated way back). At any moment it may end at its deadline or be cancelled. upstream_addresses.c says who is asked,
 * upstream_attempt.c asks. */
#include "net/upstream.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/order.h"
#include "net/upstream_attempt.h"
#include "net/upstream_options.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXTRA_SHARE 0.1 /* retries and hedges of the calls */
#define FIRST_EXTRAS 3.0
#define MOST_EXTRAS 10.0 /* saved up */
#define LONGEST_CONNECT_S 10.0
#define NUM_REPLIES 128
#define MOST_ATTEMPTS 2 /* of a call */

struct rung_upstream {
    rung_loop *loop;
    rung_addresses addresses;
    size_t max_reply_bytes;
    bool has_link;
    rung_link link;
    uint64_t seed;
    uint32_t link_index;
    double created_s;     /* the emulated network's clock is 0 then */
    double hedge_after_s; /* 0: off */
    double extras;        /* retries and hedges that may be spent */
    rung_call *calls;     /* list */
    rung_upstream_health health;
    double replies_s[NUM_REPLIES]; /* times of the last ones, in a ring */
    size_t num_replies;
    size_t next_reply;
};

typedef enum call_phase { PHASE_REFUSED, PHASE_UP, PHASE_HTTP, PHASE_DOWN } call_phase;

struct rung_call {
    rung_upstream *upstream;
    bool listed; /* among the upstream's calls */
    rung_call *next;
    rung_call *previous; /* NULL: the first */
    call_phase phase;
    char *body;
    size_t body_bytes;
    struct curl_slist *headers;
    void (*done)(void *context, const rung_call_result *result);
    void *context;
    double started_s;
    double deadline_s;
    rung_timer deadline;
    rung_timer step; /* ends a phase but HTTP; there it says that a hedge is due */
    rung_link_trip trip;
    bool refused;
    rung_attempt attempts[MOST_ATTEMPTS];
    size_t num_attempts;         /* at an address: the first, and perhaps a retry or a hedge */
    double blame_second_s;       /* the second attempt's silence says something of its address from then on */
    const rung_attempt *replied; /* in the phase DOWN */
};

static double network_now(const rung_upstream *upstream)
{
    return rung_clock_s() - upstream->created_s;
}

/* Nothing happens to the call by itself any more. */
static void delist(rung_call *call)
{
    rung_upstream *upstream = call->upstream;
    rung_loop_disarm(upstream->loop, &call->deadline);
    rung_loop_disarm(upstream->loop, &call->step);
    if (!call->listed) {
        return;
    }
    call->listed = false;
    upstream->health.in_flight--;
    if (call->previous == NULL) {
        upstream->calls = call->next;
    } else {
        call->previous->next = call->next;
    }
    if (call->next != NULL) {
        call->next->previous = call->previous;
    }
}

/* No attempt runs. */
static void free_call(rung_call *call)
{
    delist(call);
    for (size_t i = 0; i < MOST_ATTEMPTS; i++) {
        rung_attempt_deinit(&call->attempts[i]);
    }
    curl_slist_free_all(call->headers);
    free(call->body);
    free(call);
}

/* Whoever is still asked sees that nobody waits. */
static void stop_attempts(rung_call *call)
{
    for (size_t i = 0; i < MOST_ATTEMPTS; i++) {
        rung_attempt_stop(&call->attempts[i], RUNG_ADDRESS_UNKNOWN);
    }
}

static void note_reply(rung_upstream *upstream, double elapsed_s)
{
    double sorted[NUM_REPLIES];
    upstream->replies_s[upstream->next_reply] = elapsed_s;
    upstream->next_reply = (upstream->next_reply + 1) % NUM_REPLIES;
    upstream->num_replies += upstream->num_replies < NUM_REPLIES ? 1 : 0;
    size_t count = upstream->num_replies;
    memcpy(sorted, upstream->replies_s, count * sizeof sorted[0]);
    rung_sort(sorted, count);
    upstream->health.p50_s = sorted[(count - 1) / 2];
    upstream->health.p99_s = sorted[(99 * count + 99) / 100 - 1];
}

/* Tells the result, which lacks what the call knows by itself; the call is gone afterwards. */
static void finish(rung_call *call, rung_call_result result)
{
    rung_upstream *upstream = call->upstream;
    delist(call);
    for (size_t i = 0; i < MOST_ATTEMPTS; i++) {
        result.sent = result.sent || call->attempts[i].sent;
    }
    result.refused = call->refused;
    result.elapsed_s = rung_clock_s() - call->started_s;
    if (result.outcome == RUNG_CALL_REPLY) {
        note_reply(upstream, result.elapsed_s);
    } else {
        upstream->health.failures++;
    }
    call->done(call->context, &result);
    free_call(call);
}

static void finish_without(rung_call *call, rung_call_outcome outcome, const char *detail)
{
    finish(call, (rung_call_result){.outcome = outcome, .detail = detail});
}

/* By what an attempt brought. */
static void finish_with(rung_call *call, const rung_attempt *attempt)
{
    bool replied = attempt->outcome == RUNG_CALL_REPLY;
    finish(call, (rung_call_result){.outcome = attempt->outcome,
                                    .http_status = attempt->http_status,
                                    .body = replied ? attempt->reply.data : NULL,
                                    .body_bytes = replied ? attempt->reply.length : 0,
                                    .detail = attempt->detail});
}

static long connect_timeout_ms(const rung_call *call)
{
    bool may_retry = call->num_attempts < MOST_ATTEMPTS && call->upstream->addresses.count > 1;
    double left_s = call->deadline_s - rung_clock_s();
    double timeout_s = may_retry ? fmin(left_s / 2, LONGEST_CONNECT_S) : LONGEST_CONNECT_S;
    return timeout_s > 1e-3 ? (long)ceil(timeout_s * 1e3) : 1; /* 0 would be libcurl's default */
}

/* Sends the call to the address of the attempt. */
static rung_status begin_http(rung_call *call, rung_attempt *attempt, rung_error *error)
{
    const rung_upstream *upstream = call->upstream;
    const rung_attempt_request request = {.body = call->body,
                                          .body_bytes = call->body_bytes,
                                          .headers = call->headers,
                                          .connect_timeout_ms = connect_timeout_ms(call)};
    call->phase = PHASE_HTTP;
    rung_status status = RUNG_OK;
    if (upstream->hedge_after_s > 0 && call->num_attempts < MOST_ATTEMPTS) {
        status = rung_loop_arm(upstream->loop, &call->step, rung_clock_s() + upstream->hedge_after_s, error);
    }
    return status == RUNG_OK ? rung_attempt_begin(attempt, &request, error) : status;
}

/* From a timer or after a first attempt, where a failure is the call's outcome. */
static void send_or_finish(rung_call *call, rung_attempt *attempt)
{
    rung_error error = {.code = RUNG_OK};
    if (begin_http(call, attempt, &error) != RUNG_OK) {
        rung_attempt_stop(attempt, RUNG_ADDRESS_UNKNOWN);
        finish_without(call, RUNG_CALL_UNREACHABLE, error.message);
    }
}

/* The first attempt is at an address that it will ask. */
static bool enter_first(rung_call *call)
{
    call->num_attempts = 1;
    return rung_attempt_enter(&call->attempts[0], rung_addresses_choose(&call->upstream->addresses, NULL, false));
}

/* The second attempt is at another address. A call has one at most, a retry or a hedge, and pays for it. */
static bool enter_second(rung_call *call, bool closed_only)
{
    rung_upstream *upstream = call->upstream;
    if (call->num_attempts == MOST_ATTEMPTS || upstream->extras < 1 || rung_clock_s() >= call->deadline_s) {
        return false;
    }
    rung_address *at = rung_addresses_choose(&upstream->addresses, call->attempts[0].at, closed_only);
    if (!rung_attempt_enter(&call->attempts[1], at)) {
        return false;
    }
    call->num_attempts = MOST_ATTEMPTS;
    upstream->extras--;
    return true;
}

static bool take_retry(rung_call *call)
{
    if (!enter_second(call, false)) {
        return false;
    }
    call->upstream->health.retries++;
    return true;
}

/* The first attempt has had no answer for a while: another address is asked beside it. */
static void hedge(rung_call *call)
{
    rung_upstream *upstream = call->upstream;
    rung_attempt *second = &call->attempts[1];
    if (!enter_second(call, true)) {
        return;
    }
    if (begin_http(call, second, NULL) != RUNG_OK) { /* no memory: the first one goes on */
        rung_attempt_stop(second, RUNG_ADDRESS_UNKNOWN);
        return;
    }
    call->blame_second_s = rung_clock_s() + upstream->hedge_after_s;
    upstream->health.hedges++;
}

static void go_down(rung_call *call, const rung_attempt *attempt)
{
    rung_upstream *upstream = call->upstream;
    rung_error error = {.code = RUNG_OK};
    call->phase = PHASE_DOWN;
    call->replied = attempt;
    double wait_s = rung_link_trip_down_s(&call->trip, network_now(upstream), attempt->reply.length);
    if (rung_loop_arm(upstream->loop, &call->step, rung_clock_s() + wait_s, &error) != RUNG_OK) {
        finish_without(call, RUNG_CALL_UNREACHABLE, error.message);
    }
}

/* The attempt that is at an address, the first of two; NULL: none. */
static rung_attempt *present_attempt(rung_call *call)
{
    for (size_t i = 0; i < MOST_ATTEMPTS; i++) {
        if (call->attempts[i].entered) {
            return &call->attempts[i];
        }
    }
    return NULL;
}

static void won(rung_call *call, const rung_attempt *attempt)
{
    stop_attempts(call);
    if (call->upstream->has_link) {
        go_down(call, attempt);
    } else {
        finish_with(call, attempt);
    }
}

static void attempt_ended(rung_attempt *attempt)
{
    rung_call *call = attempt->context;
    if (attempt->outcome == RUNG_CALL_REPLY) {
        won(call, attempt);
    } else if (present_attempt(call) != NULL) {
        return; /* the other one goes on */
    } else if (attempt->retryable && take_retry(call)) {
        send_or_finish(call, &call->attempts[1]);
    } else {
        finish_with(call, attempt);
    }
}

static void refuse(rung_call *call)
{
    call->refused = true;
    finish_without(call, RUNG_CALL_UNREACHABLE, "every circuit is open");
}

/* The way up is over: the address that was chosen may have failed meanwhile. */
static void arrive(rung_call *call)
{
    rung_attempt *first = &call->attempts[0];
    if (!first->trial && first->at->circuit.state != RUNG_CIRCUIT_CLOSED) {
        rung_attempt_stop(first, RUNG_ADDRESS_UNKNOWN);
        if (!enter_first(call)) {
            call->upstream->health.refused++;
            refuse(call);
            return;
        }
    }
    send_or_finish(call, first);
}

static void step_over(rung_timer *timer)
{
    rung_call *call = timer->context;
    switch (call->phase) {
    case PHASE_REFUSED:
        refuse(call);
        return;
    case PHASE_UP:
        arrive(call);
        return;
    case PHASE_DOWN:
        finish_with(call, call->replied);
        return;
    case PHASE_HTTP: /* no hedge follows a retry: a call has one second attempt */
        hedge(call);
        return;
    }
}

/* A hedge had the rest of the time only: its silence is held against its address when it lasted as long as calls for a hedge. */
static void blame_silence(rung_call *call)
{
    rung_attempt_stop(&call->attempts[0], RUNG_ADDRESS_FAILED);
    if (rung_clock_s() >= call->blame_second_s) {
        rung_attempt_stop(&call->attempts[1], RUNG_ADDRESS_FAILED);
    }
}

static void deadline_passed(rung_timer *timer)
{
    rung_call *call = timer->context;
    bool asked = call->phase == PHASE_HTTP;
    const char *where = asked ? "no reply in time" : "the link took too long";
    rung_attempt *attempt = present_attempt(call);
    if (attempt != NULL) {
        rung_attempt_describe(attempt, where);
        where = attempt->detail;
    }
    if (asked) {
        blame_silence(call);
    }
    stop_attempts(call);
    finish_without(call, RUNG_CALL_DEADLINE, where);
}

/* Begins the call's first phase. */
static rung_status depart(rung_call *call, rung_error *error)
{
    rung_upstream *upstream = call->upstream;
    double now_s = rung_clock_s();
    if (!enter_first(call)) {
        upstream->health.refused++;
        call->phase = PHASE_REFUSED;
        return rung_loop_arm(upstream->loop, &call->step, now_s, error);
    }
    if (!upstream->has_link) {
        return begin_http(call, &call->attempts[0], error);
    }
    call->phase = PHASE_UP;
    double wait_s = rung_link_trip_up_s(&call->trip, now_s - upstream->created_s, call->body_bytes);
    return rung_loop_arm(upstream->loop, &call->step, now_s + wait_s, error);
}

static void enlist(rung_call *call)
{
    rung_upstream *upstream = call->upstream;
    call->listed = true;
    call->next = upstream->calls;
    if (call->next != NULL) {
        call->next->previous = call;
    }
    upstream->calls = call;
    upstream->health.in_flight++;
    upstream->health.calls++;
    upstream->extras = fmin(upstream->extras + EXTRA_SHARE, MOST_EXTRAS);
}

static rung_status make_call(rung_upstream *upstream, const rung_call_request *request, rung_call **call,
                             rung_error *error)
{
    rung_call *made = rung_alloc(1, sizeof *made, "call of the next level", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->upstream = upstream;
    made->done = request->done;
    made->context = request->context;
    made->started_s = rung_clock_s();
    made->deadline_s = request->deadline_s;
    made->deadline = (rung_timer){.fire = deadline_passed, .context = made};
    made->step = (rung_timer){.fire = step_over, .context = made};
    for (size_t i = 0; i < MOST_ATTEMPTS; i++) {
        made->attempts[i] =
            (rung_attempt){.ended = attempt_ended, .context = made, .max_reply_bytes = upstream->max_reply_bytes};
    }
    made->body_bytes = request->body_bytes;
    made->body = rung_copy_text(request->body, request->body_bytes, "request body", error);
    rung_status status = made->body != NULL ? RUNG_OK : RUNG_NO_MEMORY;
    if (status == RUNG_OK) {
        status = rung_upstream_make_headers(upstream->addresses.authorization, request, &made->headers, error);
    }
    if (status != RUNG_OK) {
        free_call(made);
        return status;
    }
    if (upstream->has_link) {
        rung_link_trip_begin(&made->trip, &upstream->link, upstream->seed, request->key, upstream->link_index,
                             network_now(upstream));
    }
    *call = made;
    return RUNG_OK;
}

rung_status rung_upstream_send(rung_upstream *upstream, const rung_call_request *request, rung_call **call,
                               rung_error *error)
{
    if (isnan(request->deadline_s)) {
        return rung_fail(error, RUNG_INVALID, "deadline of a call is no number");
    }
    rung_call *made = NULL;
    rung_status status = make_call(upstream, request, &made, error);
    if (status != RUNG_OK) {
        return status;
    }
    status = rung_loop_arm(upstream->loop, &made->deadline, request->deadline_s, error);
    if (status == RUNG_OK) {
        status = depart(made, error);
    }
    if (status != RUNG_OK) {
        rung_attempt_stop(&made->attempts[0], RUNG_ADDRESS_UNKNOWN);
        free_call(made);
        return status;
    }
    enlist(made);
    *call = made;
    return RUNG_OK;
}

void rung_upstream_cancel(rung_upstream *upstream, rung_call *call)
{
    assert(call->upstream == upstream);
    (void)upstream;
    stop_attempts(call);
    free_call(call);
}

void rung_upstream_look(const rung_upstream *upstream, rung_upstream_health *health)
{
    *health = upstream->health;
    health->open_circuits = rung_addresses_open(&upstream->addresses);
}

rung_status rung_upstream_create(rung_loop *loop, const rung_upstream_options *options, rung_upstream **upstream,
                                 rung_error *error)
{
    rung_status status = rung_upstream_check(options, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_upstream *made = rung_alloc(1, sizeof *made, "client of the next level", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->loop = loop;
    made->max_reply_bytes = options->max_reply_bytes;
    made->seed = options->seed;
    made->link_index = options->link_index;
    made->created_s = rung_clock_s();
    made->hedge_after_s = options->hedge_after_s;
    made->extras = FIRST_EXTRAS;
    made->has_link = options->link != NULL;
    made->link = made->has_link ? *options->link : (rung_link){0};
    status = rung_addresses_init(&made->addresses, loop, options, error);
    if (status != RUNG_OK) {
        rung_upstream_free(made);
        return status;
    }
    *upstream = made;
    return RUNG_OK;
}

void rung_upstream_free(rung_upstream *upstream)
{
    if (upstream == NULL) {
        return;
    }
    for (rung_call *call = upstream->calls; call != NULL;) {
        rung_call *next = call->next;
        rung_upstream_cancel(upstream, call);
        call = next;
    }
    rung_addresses_deinit(&upstream->addresses);
    free(upstream);
}
