/* upstream.c: see upstream.h. A call passes through its phases: UP (the emulated way), HTTP (perhaps twice), DOWN (the emulated way back). At any
 * moment it may end at its deadline or be cancelled. transfers.c moves the bytes, circuit.c says which addresses are asked. */
#include "net/upstream.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/order.h"
#include "net/circuit.h"
#include "net/transfers.h"
#include "net/upstream_options.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_SHARE 0.1 /* of the calls */
#define FIRST_RETRIES 3.0
#define MOST_RETRIES 10.0 /* saved up */
#define MAX_HEADER_BYTES ((size_t)64 << 10)
#define MAX_ERROR_BODY_BYTES ((size_t)64 << 10) /* read to the end, so that the connection can be used again */
#define LONGEST_CONNECT_S 10.0
#define PROBE_TIMEOUT_MS 1000L
#define MAX_IDLE_CONNECTIONS 256
#define NUM_REPLIES 128
#define DETAIL_BYTES 512

typedef struct address {
    rung_upstream *upstream;
    char *name; /* as configured */
    char *url;
    char *probe_url; /* NULL: no probes */
    rung_circuit circuit;
    rung_timer look; /* while the circuit is open */
    rung_transfer probe;
    size_t outstanding;
} address;

struct rung_upstream {
    rung_loop *loop;
    rung_transfers *transfers;
    size_t num_addresses;
    address addresses[RUNG_MAX_ADDRESSES];
    size_t turn; /* the address that is preferred among equals */
    size_t max_reply_bytes;
    char *ca_file;
    struct curl_slist *authorization; /* NULL: none */
    bool has_link;
    rung_link link;
    uint64_t seed;
    uint32_t link_index;
    double created_s; /* the emulated network's clock is 0 then */
    rung_prng prng;   /* of the back-off */
    double retries;   /* that may be spent */
    void (*came_back)(void *context, size_t address);
    void *came_back_context;
    rung_call *calls; /* list */
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
    rung_timer step; /* ends a phase but HTTP */
    rung_link_trip trip;
    address *at; /* NULL: none now */
    bool trial;  /* of the address's circuit */
    bool retried;
    bool sent; /* at least in part, by any attempt */
    bool refused;
    /* The present attempt. */
    rung_transfer transfer;
    size_t header_bytes;
    size_t received_bytes;
    bool over_limit;
    rung_buffer reply;
    int http_status;
    char cause[CURL_ERROR_SIZE];
    char detail[DETAIL_BYTES];
};

typedef enum verdict { ADDRESS_WELL, ADDRESS_FAILED, ADDRESS_UNKNOWN } verdict;

static void wait_for_return(address *at);

static double network_now(const rung_upstream *upstream)
{
    return rung_clock_s() - upstream->created_s;
}

/* Addresses. */

static size_t drop_body(char *data, size_t one, size_t count, void *context)
{
    (void)data;
    (void)context;
    return one * count;
}

static bool start_probe(address *at)
{
    const rung_upstream *upstream = at->upstream;
    CURL *easy = rung_upstream_make_easy(at->probe_url, upstream->ca_file);
    if (easy == NULL) {
        return false;
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, upstream->authorization);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop_body);
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE, (long)MAX_ERROR_BODY_BYTES);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, PROBE_TIMEOUT_MS);
    at->probe.easy = easy;
    if (rung_transfers_start(upstream->transfers, &at->probe, NULL) != RUNG_OK) {
        curl_easy_cleanup(easy);
        at->probe.easy = NULL;
        return false;
    }
    return true;
}

static void looked(address *at, bool well)
{
    rung_circuit_looked(&at->circuit, well);
    if (!well) {
        wait_for_return(at);
    }
}

static void probe_ended(rung_transfer *transfer, CURLcode code)
{
    address *at = transfer->context;
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(transfer->easy);
    transfer->easy = NULL;
    looked(at, code == CURLE_OK && status == 200);
}

static void look_at_address(rung_timer *timer)
{
    address *at = timer->context;
    if (at->probe_url == NULL) {
        looked(at, true);
    } else if (!start_probe(at)) {
        looked(at, false);
    }
}

static void wait_for_return(address *at)
{
    rung_upstream *upstream = at->upstream;
    double at_s = rung_clock_s() + rung_circuit_wait_s(&at->circuit, &upstream->prng);
    if (rung_loop_arm(upstream->loop, &at->look, at_s, NULL) != RUNG_OK) {
        rung_circuit_looked(&at->circuit, true); /* no memory for a timer: rather a trial too early than never */
    }
}

/* The one with the fewest calls outstanding among those that may be asked, but `other`; NULL: none. */
static address *choose_address(rung_upstream *upstream, const address *other)
{
    address *best = NULL;
    assert(upstream->num_addresses > 0);
    for (size_t i = 0; i < upstream->num_addresses; i++) {
        address *at = &upstream->addresses[(upstream->turn + i) % upstream->num_addresses];
        if (at != other && rung_circuit_allows(&at->circuit) && (best == NULL || at->outstanding < best->outstanding)) {
            best = at;
        }
    }
    if (other == NULL) { /* a retry takes no turn: the failed address would be everybody's first choice */
        upstream->turn = (upstream->turn + 1) % upstream->num_addresses;
    }
    return best;
}

static bool enter_address(rung_call *call, const address *other)
{
    call->at = choose_address(call->upstream, other);
    if (call->at == NULL) {
        return false;
    }
    call->trial = rung_circuit_enter(&call->at->circuit);
    call->at->outstanding++;
    return true;
}

static void came_back(const address *at)
{
    const rung_upstream *upstream = at->upstream;
    if (upstream->came_back != NULL) {
        upstream->came_back(upstream->came_back_context, (size_t)(at - upstream->addresses));
    }
}

static void leave_address(rung_call *call, verdict said)
{
    address *at = call->at;
    if (at == NULL) {
        return;
    }
    call->at = NULL;
    at->outstanding--;
    if (said == ADDRESS_UNKNOWN) {
        rung_circuit_left(&at->circuit, call->trial);
    } else if (rung_circuit_ended(&at->circuit, call->trial, said == ADDRESS_FAILED)) {
        wait_for_return(at);
    } else if (call->trial && said == ADDRESS_WELL) {
        came_back(at);
    }
}

/* Calls. */

static void release_attempt(rung_call *call)
{
    if (call->transfer.easy != NULL) {
        long request_bytes = 0;
        curl_easy_getinfo(call->transfer.easy, CURLINFO_REQUEST_SIZE, &request_bytes);
        call->sent = call->sent || request_bytes > 0;
        curl_easy_cleanup(call->transfer.easy);
        call->transfer.easy = NULL;
    }
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

static void free_call(rung_call *call)
{
    delist(call);
    release_attempt(call);
    curl_slist_free_all(call->headers);
    rung_buffer_deinit(&call->reply);
    free(call->body);
    free(call);
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

/* Tells the outcome; the call is gone afterwards. */
static void finish(rung_call *call, rung_call_outcome outcome, const char *detail)
{
    rung_upstream *upstream = call->upstream;
    bool replied = outcome == RUNG_CALL_REPLY;
    delist(call);
    rung_call_result result = {.outcome = outcome,
                               .sent = call->sent,
                               .refused = call->refused,
                               .http_status = call->http_status,
                               .body = replied ? call->reply.data : NULL,
                               .body_bytes = replied ? call->reply.length : 0,
                               .elapsed_s = rung_clock_s() - call->started_s,
                               .detail = detail};
    if (replied) {
        note_reply(upstream, result.elapsed_s);
    } else {
        upstream->health.failures++;
    }
    call->done(call->context, &result);
    free_call(call);
}

static void describe(rung_call *call, const char *address_name, const char *what)
{
    snprintf(call->detail, sizeof call->detail, "%s: %s", address_name, what);
    for (char *c = call->detail; *c != '\0'; c++) {
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c;
    }
}

static int status_of(CURL *easy)
{
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 ? (int)status : 0; /* an interim response is none yet */
}

static size_t take_header(char *data, size_t one, size_t count, void *context)
{
    (void)data;
    rung_call *call = context;
    call->header_bytes += one * count;
    call->over_limit = call->over_limit || call->header_bytes > MAX_HEADER_BYTES;
    return call->over_limit ? 0 : one * count;
}

static size_t take_body(char *data, size_t one, size_t count, void *context)
{
    rung_call *call = context;
    size_t bytes = one * count;
    bool wanted = status_of(call->transfer.easy) == 200;
    size_t limit = wanted ? call->upstream->max_reply_bytes : MAX_ERROR_BODY_BYTES;
    if (bytes > limit - call->received_bytes) {
        call->over_limit = true;
        return 0;
    }
    call->received_bytes += bytes;
    if (wanted) {
        rung_buffer_append(&call->reply, data, bytes);
    }
    return call->reply.failed ? 0 : bytes;
}

static long connect_timeout_ms(const rung_call *call)
{
    bool may_retry = !call->retried && call->upstream->num_addresses > 1;
    double left_s = call->deadline_s - rung_clock_s();
    double timeout_s = may_retry ? fmin(left_s / 2, LONGEST_CONNECT_S) : LONGEST_CONNECT_S;
    return timeout_s > 1e-3 ? (long)ceil(timeout_s * 1e3) : 1; /* 0 would be libcurl's default */
}

/* Sends the call to call->at. */
static rung_status begin_http(rung_call *call, rung_error *error)
{
    CURL *easy = rung_upstream_make_easy(call->at->url, call->upstream->ca_file);
    if (easy == NULL) {
        return rung_fail(error, RUNG_NO_MEMORY, "out of memory for a call of the next level");
    }
    call->phase = PHASE_HTTP;
    call->transfer.easy = easy;
    call->header_bytes = 0;
    call->received_bytes = 0;
    call->over_limit = false;
    call->http_status = 0;
    call->cause[0] = '\0';
    rung_buffer_clear(&call->reply);
    rung_buffer_append(&call->reply, "", 0); /* an empty body is a string, too */
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_bytes);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)call->upstream->max_reply_bytes);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->cause);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_timeout_ms(call));
    rung_status status = rung_transfers_start(call->upstream->transfers, &call->transfer, error);
    if (status != RUNG_OK) {
        release_attempt(call);
    }
    return status;
}

/* From a timer or after a first attempt, where a failure is the call's outcome. */
static void send_or_finish(rung_call *call)
{
    rung_error error = {.code = RUNG_OK};
    if (begin_http(call, &error) != RUNG_OK) {
        leave_address(call, ADDRESS_UNKNOWN);
        finish(call, RUNG_CALL_UNREACHABLE, error.message);
    }
}

/* Nothing came back, so another address may be asked without two answers to one request. */
static bool came_to_nothing(const rung_call *call, CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT: /* only connecting has a limit here */
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        return true;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return call->header_bytes == 0;
    default:
        return false;
    }
}

static rung_call_outcome outcome_of(const rung_call *call, CURLcode code)
{
    int status = call->http_status;
    if (status != 0 && status != 200) {
        return status == 429 || status == 503 ? RUNG_CALL_OVERLOADED : RUNG_CALL_BAD_REPLY;
    }
    switch (code) {
    case CURLE_OK:
        return status == 200 ? RUNG_CALL_REPLY : RUNG_CALL_BAD_REPLY;
    case CURLE_WRITE_ERROR:
        return call->over_limit ? RUNG_CALL_BAD_REPLY : RUNG_CALL_UNREACHABLE; /* else there was no memory for it */
    case CURLE_FILESIZE_EXCEEDED:
    case CURLE_UNSUPPORTED_PROTOCOL: /* what came does not begin as HTTP/1 does */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
        return RUNG_CALL_BAD_REPLY;
    default:
        return RUNG_CALL_UNREACHABLE;
    }
}

/* A status of the 400s is a word about the request, not about who says it; so is that of a loop. */
static bool blames_address(rung_call_outcome outcome, int status)
{
    bool about_request = (status >= 300 && status < 500) || status == RUNG_HTTP_LOOP;
    return outcome != RUNG_CALL_REPLY && !(outcome == RUNG_CALL_BAD_REPLY && about_request);
}

static bool take_retry(rung_call *call, const address *other)
{
    rung_upstream *upstream = call->upstream;
    if (call->retried || upstream->retries < 1 || rung_clock_s() >= call->deadline_s || !enter_address(call, other)) {
        return false;
    }
    call->retried = true;
    upstream->retries--;
    upstream->health.retries++;
    return true;
}

static void describe_attempt(rung_call *call, const address *at, rung_call_outcome outcome, CURLcode code)
{
    char text[64];
    const char *what = text;
    if (outcome == RUNG_CALL_REPLY || (call->http_status != 0 && call->http_status != 200)) {
        snprintf(text, sizeof text, "status %d", call->http_status);
    } else if (call->over_limit || code == CURLE_FILESIZE_EXCEEDED) {
        snprintf(text, sizeof text, "reply over the limit of %zu bytes", call->upstream->max_reply_bytes);
    } else if (code == CURLE_OK) {
        what = "no status";
    } else {
        what = call->cause[0] != '\0' ? call->cause : curl_easy_strerror(code);
    }
    describe(call, at->name, what);
}

static void go_down(rung_call *call)
{
    rung_upstream *upstream = call->upstream;
    rung_error error = {.code = RUNG_OK};
    call->phase = PHASE_DOWN;
    double wait_s = rung_link_trip_down_s(&call->trip, network_now(upstream), call->reply.length);
    if (rung_loop_arm(upstream->loop, &call->step, rung_clock_s() + wait_s, &error) != RUNG_OK) {
        finish(call, RUNG_CALL_UNREACHABLE, error.message);
    }
}

static void http_ended(rung_transfer *transfer, CURLcode code)
{
    rung_call *call = transfer->context;
    address *at = call->at;
    call->http_status = status_of(transfer->easy);
    rung_call_outcome outcome = outcome_of(call, code);
    describe_attempt(call, at, outcome, code);
    release_attempt(call);
    leave_address(call, blames_address(outcome, call->http_status) ? ADDRESS_FAILED : ADDRESS_WELL);
    bool retryable = call->http_status == 503 || (call->http_status == 0 && came_to_nothing(call, code));
    if (retryable && take_retry(call, at)) {
        send_or_finish(call);
    } else if (outcome == RUNG_CALL_REPLY && call->upstream->has_link) {
        go_down(call);
    } else {
        finish(call, outcome, call->detail);
    }
}

static void refuse(rung_call *call)
{
    call->refused = true;
    finish(call, RUNG_CALL_UNREACHABLE, "every circuit is open");
}

/* The way up is over: the address that was chosen may have failed meanwhile. */
static void arrive(rung_call *call)
{
    if (!call->trial && call->at->circuit.state != RUNG_CIRCUIT_CLOSED) {
        leave_address(call, ADDRESS_UNKNOWN);
        if (!enter_address(call, NULL)) {
            call->upstream->health.refused++;
            refuse(call);
            return;
        }
    }
    send_or_finish(call);
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
        finish(call, RUNG_CALL_REPLY, call->detail);
        return;
    case PHASE_HTTP:
        break;
    }
    assert(false && "HTTP has no step");
}

static void stop_http(rung_call *call)
{
    if (call->transfer.easy != NULL) {
        rung_transfers_stop(call->upstream->transfers, &call->transfer);
        release_attempt(call);
    }
}

static void deadline_passed(rung_timer *timer)
{
    rung_call *call = timer->context;
    const char *where = call->phase == PHASE_HTTP ? "no reply in time" : "the link took too long";
    if (call->at != NULL) {
        describe(call, call->at->name, where);
    } else {
        snprintf(call->detail, sizeof call->detail, "%s", where);
    }
    bool asked = call->phase == PHASE_HTTP;
    stop_http(call);
    leave_address(call, asked ? ADDRESS_FAILED : ADDRESS_UNKNOWN);
    call->http_status = 0;
    finish(call, RUNG_CALL_DEADLINE, call->detail);
}

/* Begins the call's first phase. */
static rung_status depart(rung_call *call, rung_error *error)
{
    rung_upstream *upstream = call->upstream;
    double now_s = rung_clock_s();
    if (!enter_address(call, NULL)) {
        upstream->health.refused++;
        call->phase = PHASE_REFUSED;
        return rung_loop_arm(upstream->loop, &call->step, now_s, error);
    }
    if (!upstream->has_link) {
        return begin_http(call, error);
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
    upstream->retries = fmin(upstream->retries + RETRY_SHARE, MOST_RETRIES);
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
    made->transfer = (rung_transfer){.ended = http_ended, .context = made};
    made->body_bytes = request->body_bytes;
    made->body = rung_copy_text(request->body, request->body_bytes, "request body", error);
    rung_status status = made->body != NULL ? RUNG_OK : RUNG_NO_MEMORY;
    if (status == RUNG_OK) {
        status = rung_upstream_make_headers(upstream->authorization, request, &made->headers, error);
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
        leave_address(made, ADDRESS_UNKNOWN);
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
    stop_http(call);
    leave_address(call, ADDRESS_UNKNOWN);
    free_call(call);
}

void rung_upstream_look(const rung_upstream *upstream, rung_upstream_health *health)
{
    *health = upstream->health;
    health->open_circuits = 0;
    for (size_t i = 0; i < upstream->num_addresses; i++) {
        health->open_circuits += rung_circuit_allows(&upstream->addresses[i].circuit) ? 0 : 1;
    }
}

static rung_status add_address(rung_upstream *upstream, const rung_upstream_options *options, const char *name,
                               rung_error *error)
{
    address *at = &upstream->addresses[upstream->num_addresses++];
    at->upstream = upstream;
    at->look = (rung_timer){.fire = look_at_address, .context = at};
    at->probe = (rung_transfer){.ended = probe_ended, .context = at};
    at->name = rung_copy_text(name, strlen(name), "address", error);
    if (at->name == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = rung_upstream_join(name, options->path, &at->url, error);
    if (status == RUNG_OK && options->probe_path != NULL) {
        status = rung_upstream_join(name, options->probe_path, &at->probe_url, error);
    }
    return status;
}

static rung_status copy_options(rung_upstream *upstream, const rung_upstream_options *options, rung_error *error)
{
    upstream->max_reply_bytes = options->max_reply_bytes;
    upstream->seed = options->seed;
    upstream->link_index = options->link_index;
    upstream->came_back = options->came_back;
    upstream->came_back_context = options->came_back_context;
    upstream->prng.state = options->backoff_seed;
    upstream->created_s = rung_clock_s();
    upstream->retries = FIRST_RETRIES;
    upstream->has_link = options->link != NULL;
    upstream->link = upstream->has_link ? *options->link : (rung_link){0};
    if (options->ca_file != NULL) {
        upstream->ca_file = rung_copy_text(options->ca_file, strlen(options->ca_file), "CA file", error);
        if (upstream->ca_file == NULL) {
            return RUNG_NO_MEMORY;
        }
    }
    rung_status status = rung_upstream_authorize(options->token, &upstream->authorization, error);
    for (size_t i = 0; status == RUNG_OK && i < options->num_addresses; i++) {
        status = add_address(upstream, options, options->addresses[i], error);
    }
    return status;
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
    status = copy_options(made, options, error);
    if (status == RUNG_OK) {
        status = rung_transfers_create(loop, MAX_IDLE_CONNECTIONS, &made->transfers, error);
    }
    if (status != RUNG_OK) {
        rung_upstream_free(made);
        return status;
    }
    *upstream = made;
    return RUNG_OK;
}

static void free_address(rung_upstream *upstream, address *at)
{
    rung_loop_disarm(upstream->loop, &at->look);
    if (at->probe.easy != NULL) {
        rung_transfers_stop(upstream->transfers, &at->probe);
        curl_easy_cleanup(at->probe.easy);
    }
    free(at->name);
    free(at->url);
    free(at->probe_url);
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
    for (size_t i = 0; i < upstream->num_addresses; i++) {
        free_address(upstream, &upstream->addresses[i]);
    }
    rung_transfers_free(upstream->transfers);
    curl_slist_free_all(upstream->authorization);
    free(upstream->ca_file);
    free(upstream);
}
