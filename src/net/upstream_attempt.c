/* upstream_attempt.c: see upstream_attempt.h. */
#include "net/upstream_attempt.h"

#include "net/upstream_options.h"

#include <assert.h>
#include <stdio.h>

#define MAX_HEADER_BYTES ((size_t)64 << 10)
#define MAX_ERROR_BODY_BYTES ((size_t)64 << 10) /* read to the end, so that the connection can be used again */

bool rung_attempt_enter(rung_attempt *attempt, rung_address *at)
{
    assert(!attempt->entered);
    if (at == NULL) {
        return false;
    }
    attempt->at = at;
    attempt->entered = true;
    attempt->trial = rung_address_enter(at);
    return true;
}

static void leave(rung_attempt *attempt, rung_verdict said)
{
    if (attempt->entered) {
        attempt->entered = false;
        rung_address_leave(attempt->at, attempt->trial, said);
    }
}

void rung_attempt_describe(rung_attempt *attempt, const char *what)
{
    snprintf(attempt->detail, sizeof attempt->detail, "%s: %s", attempt->at->name, what);
    for (char *c = attempt->detail; *c != '\0'; c++) {
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
    rung_attempt *attempt = context;
    attempt->header_bytes += one * count;
    attempt->over_limit = attempt->over_limit || attempt->header_bytes > MAX_HEADER_BYTES;
    return attempt->over_limit ? 0 : one * count;
}

static size_t take_body(char *data, size_t one, size_t count, void *context)
{
    rung_attempt *attempt = context;
    size_t bytes = one * count;
    bool wanted = status_of(attempt->transfer.easy) == 200;
    size_t limit = wanted ? attempt->max_reply_bytes : MAX_ERROR_BODY_BYTES;
    if (bytes > limit - attempt->received_bytes) {
        attempt->over_limit = true;
        return 0;
    }
    attempt->received_bytes += bytes;
    if (wanted) {
        rung_buffer_append(&attempt->reply, data, bytes);
    }
    return attempt->reply.failed ? 0 : bytes;
}

static void release(rung_attempt *attempt)
{
    long request_bytes = 0;
    curl_easy_getinfo(attempt->transfer.easy, CURLINFO_REQUEST_SIZE, &request_bytes);
    attempt->sent = attempt->sent || request_bytes > 0;
    curl_easy_cleanup(attempt->transfer.easy);
    attempt->transfer.easy = NULL;
}

/* Nothing came back, so another address may be asked without two answers to one request. */
static bool came_to_nothing(const rung_attempt *attempt, CURLcode code)
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
        return attempt->header_bytes == 0;
    default:
        return false;
    }
}

static rung_call_outcome outcome_of(const rung_attempt *attempt, CURLcode code)
{
    int status = attempt->http_status;
    if (status != 0 && status != 200) {
        return status == 429 || status == 503 ? RUNG_CALL_OVERLOADED : RUNG_CALL_BAD_REPLY;
    }
    switch (code) {
    case CURLE_OK:
        return status == 200 ? RUNG_CALL_REPLY : RUNG_CALL_BAD_REPLY;
    case CURLE_WRITE_ERROR:
        return attempt->over_limit ? RUNG_CALL_BAD_REPLY : RUNG_CALL_UNREACHABLE; /* else there was no memory for it */
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

static void describe_end(rung_attempt *attempt, CURLcode code)
{
    char text[64];
    const char *what = text;
    int status = attempt->http_status;
    if (attempt->outcome == RUNG_CALL_REPLY || (status != 0 && status != 200)) {
        snprintf(text, sizeof text, "status %d", status);
    } else if (attempt->over_limit || code == CURLE_FILESIZE_EXCEEDED) {
        snprintf(text, sizeof text, "reply over the limit of %zu bytes", attempt->max_reply_bytes);
    } else if (code == CURLE_OK) {
        what = "no status";
    } else {
        what = attempt->cause[0] != '\0' ? attempt->cause : curl_easy_strerror(code);
    }
    rung_attempt_describe(attempt, what);
}

static void transfer_ended(rung_transfer *transfer, CURLcode code)
{
    rung_attempt *attempt = transfer->context;
    int status = status_of(transfer->easy);
    attempt->http_status = status;
    attempt->outcome = outcome_of(attempt, code);
    attempt->retryable = status == 503 || (status == 0 && came_to_nothing(attempt, code));
    describe_end(attempt, code);
    release(attempt);
    leave(attempt, blames_address(attempt->outcome, status) ? RUNG_ADDRESS_FAILED : RUNG_ADDRESS_WELL);
    attempt->ended(attempt);
}

rung_status rung_attempt_begin(rung_attempt *attempt, const rung_attempt_request *request, rung_error *error)
{
    rung_addresses *all = attempt->at->all;
    CURL *easy = rung_upstream_make_easy(attempt->at->url, all->ca_file);
    if (easy == NULL) {
        return rung_fail(error, RUNG_NO_MEMORY, "out of memory for a call of the next level");
    }
    attempt->transfer = (rung_transfer){.easy = easy, .ended = transfer_ended, .context = attempt};
    rung_buffer_append(&attempt->reply, "", 0); /* an empty body is a string, too */
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_bytes);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, attempt);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, attempt);
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)attempt->max_reply_bytes);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, attempt->cause);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, request->connect_timeout_ms);
    rung_status status = rung_transfers_start(all->transfers, &attempt->transfer, error);
    if (status != RUNG_OK) {
        release(attempt);
    }
    return status;
}

void rung_attempt_stop(rung_attempt *attempt, rung_verdict said)
{
    if (attempt->transfer.easy != NULL) {
        rung_transfers_stop(attempt->at->all->transfers, &attempt->transfer);
        release(attempt);
    }
    leave(attempt, said);
}

void rung_attempt_deinit(rung_attempt *attempt)
{
    assert(attempt->transfer.easy == NULL && !attempt->entered);
    rung_buffer_deinit(&attempt->reply);
}
