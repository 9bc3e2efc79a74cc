/* ticket_call.c: an errand asks the next level, and learns how that ended. See ticket_parts.h. */
#include "base/clock.h"
#include "serve/ticket_parts.h"

#include <math.h>
#include <stdio.h>

#define LINK_DECAY 0.98
#define ANSWER_RESERVE_S 0.002 /* to write the answer after the next level failed to come in time */
#define FALLBACK_MARGIN 4      /* times the estimate of a computation, which is a mean: few take longer */

void rung_ticket_drop_call(rung_errand *errand)
{
    if (errand->call != NULL) {
        rung_upstream_cancel(errand->generation->upstream, errand->call);
        errand->call = NULL;
    }
}

/* RUNG_DEGRADED_NO: there is a reply. */
static rung_degraded degraded_of(const rung_call_result *result)
{
    switch (result->outcome) {
    case RUNG_CALL_REPLY:
        return RUNG_DEGRADED_NO;
    case RUNG_CALL_DEADLINE:
        return RUNG_DEGRADED_DEADLINE;
    case RUNG_CALL_OVERLOADED:
        return RUNG_DEGRADED_OVERLOADED;
    case RUNG_CALL_BAD_REPLY:
        return result->http_status == RUNG_HTTP_LOOP ? RUNG_DEGRADED_LOOP : RUNG_DEGRADED_BAD_REPLY;
    case RUNG_CALL_UNREACHABLE:
        break;
    }
    return RUNG_DEGRADED_UNREACHABLE;
}

static void log_degraded(const rung_errand *errand, const char *detail)
{
    const rung_ticket *ticket = errand->ticket;
    const rung_log_field fields[] = {RUNG_LOG_TEXT("reason", rung_degraded_name(errand->visit.machine.degraded)),
                                     RUNG_LOG_TEXT("detail", detail), RUNG_LOG_TEXT("request_id", ticket->request_id),
                                     RUNG_LOG_TEXT("trace_id", ticket->trace_id)};
    size_t count = sizeof fields / sizeof fields[0];
    rung_log_write(ticket->desk->log, RUNG_LOG_INFO, "degraded", fields, count - (ticket->trace_id[0] == '\0'));
}

/* The machine learns how the call ended. lost: why, or RUNG_DEGRADED_NO for a reply. */
void rung_ticket_settle(rung_errand *errand, rung_degraded lost, const rung_call_result *result)
{
    rung_desk *desk = errand->ticket->desk;
    double now_s = rung_clock_s();
    rung_error why = {0};
    unsigned actions;
    if (lost == RUNG_DEGRADED_NO) {
        actions = rung_errand_take_reply(errand, result, now_s, &why);
        desk->link_s = fmax(errand->visit.did.link_ms / 1e3, desk->link_s * LINK_DECAY);
    } else {
        actions = rung_errand_lose_upstream(errand, lost, result->sent, now_s);
    }
    if (errand->visit.machine.degraded != RUNG_DEGRADED_NO) {
        log_degraded(errand, why.message[0] != '\0' ? why.message : result->detail);
    }
    rung_ticket_advance(errand, actions);
}

/* What comes before the level's own result waits for it. */
static void upstream_done(void *context, const rung_call_result *result)
{
    rung_errand *errand = context;
    errand->call = NULL;
    errand->sent = result->sent;
    rung_metrics_call(errand->ticket->desk->metrics, result->outcome);
    if (errand->at_worker) {
        rung_errand_hold(errand, degraded_of(result), result);
    } else {
        rung_ticket_settle(errand, degraded_of(result), result);
    }
}

/* Headers of the call to the next level. */
typedef struct outgoing {
    char timeout[RUNG_TIMEOUT_BYTES];
    char request_id[RUNG_REQUEST_ID_BYTES + 16];
    char trace_parent[RUNG_TRACE_PARENT_BYTES + 16];
    char trace_state[RUNG_TRACE_STATE_BYTES + 16];
    const char *headers[5];
    size_t count;
} outgoing;

/* The client's trace goes with it as it came; without a traceparent there is no tracestate. */
static void fill_trace(const rung_ticket *ticket, outgoing *out)
{
    if (ticket->trace_id[0] == '\0') {
        return;
    }
    const char *state = rung_exchange_header(ticket->exchange, "tracestate");
    snprintf(out->trace_parent, sizeof out->trace_parent, "traceparent: %s",
             rung_exchange_header(ticket->exchange, "traceparent"));
    out->headers[out->count++] = out->trace_parent;
    if (rung_trace_state_valid(state)) {
        snprintf(out->trace_state, sizeof out->trace_state, "tracestate: %s", state);
        out->headers[out->count++] = out->trace_state;
    }
}

static void fill_headers(const rung_ticket *ticket, double remaining_s, outgoing *out)
{
    out->count = 0;
    out->headers[out->count++] = ticket->via;
    out->headers[out->count++] = rung_deadline_header(remaining_s, out->timeout);
    snprintf(out->request_id, sizeof out->request_id, "x-request-id: %s", ticket->request_id);
    out->headers[out->count++] = out->request_id;
    fill_trace(ticket, out);
}

/* What must be left of the time when the next level does not answer: a level that only passes on has to compute then, as a rule all inputs of a
 * list at once. */
static double reserve_s(const rung_errand *errand, double left_s)
{
    double fallback_s = 0;
    if (!errand->at_worker && errand->visit.machine.local == RUNG_LOCAL_SKIPPED) {
        const rung_ticket *ticket = errand->ticket;
        fallback_s = FALLBACK_MARGIN * rung_workers_done_s(ticket->desk->workers, errand, ticket->num_errands);
    }
    return ANSWER_RESERVE_S + fmin(fallback_s, left_s / 2);
}

/* Why the next level cannot be asked; RUNG_DEGRADED_NO: it can, until *until_s. */
static rung_degraded upstream_barrier(const rung_errand *errand, double now_s, double *until_s)
{
    const rung_generation *generation = errand->generation;
    if (generation->upstream == NULL) {
        return RUNG_DEGRADED_UNREACHABLE;
    }
    if (errand->ticket->barrier != RUNG_DEGRADED_NO) {
        return errand->ticket->barrier;
    }
    rung_upstream_health health;
    rung_upstream_look(generation->upstream, &health);
    double left_s = fmax(errand->deadline_s - now_s, 0);
    *until_s = now_s + fmin(left_s - reserve_s(errand, left_s), generation->config.upstream_deadline_s);
    return *until_s - now_s <= health.p50_s ? RUNG_DEGRADED_DEADLINE : RUNG_DEGRADED_NO;
}

/* Asks the next level; returns why it cannot be asked. The errand may be at a worker. */
static rung_degraded ask_next_level(rung_errand *errand, double now_s)
{
    rung_ticket *ticket = errand->ticket;
    double until_s = 0;
    rung_error error = {0};
    rung_degraded barrier = upstream_barrier(errand, now_s, &until_s);
    if (barrier == RUNG_DEGRADED_NO) {
        outgoing out;
        double left_s = until_s - now_s;
        /* For the upper level: without the way there and back, but one slow call must not take all from the next. */
        fill_headers(ticket, left_s - fmin(ticket->desk->link_s, left_s / 2), &out);
        const rung_call_request request = {.body = errand->body.data,
                                           .body_bytes = errand->body.length,
                                           .deadline_s = until_s,
                                           .key = errand->visit.machine.key,
                                           .headers = out.headers,
                                           .num_headers = out.count,
                                           .done = upstream_done,
                                           .context = errand};
        if (rung_upstream_send(errand->generation->upstream, &request, &errand->call, &error) == RUNG_OK) {
            errand->sent = true;
            return RUNG_DEGRADED_NO;
        }
        barrier = RUNG_DEGRADED_UNREACHABLE;
    }
    return barrier;
}

/* Returns what else is to be done when the next level cannot be asked. */
unsigned rung_ticket_send_up(rung_errand *errand)
{
    double now_s = rung_clock_s();
    rung_degraded lost = ask_next_level(errand, now_s);
    return lost == RUNG_DEGRADED_NO ? RUNG_ACTION_NONE : rung_errand_lose_upstream(errand, lost, false, now_s);
}

/* The errand is still computed, and what it has found so far goes up. */
void rung_ticket_send_ahead(rung_errand *errand)
{
    if (errand->ticket->exchange == NULL) {
        return; /* nobody waits any more */
    }
    rung_degraded lost = ask_next_level(errand, rung_clock_s());
    if (lost != RUNG_DEGRADED_NO) {
        rung_errand_hold(errand, lost, &(rung_call_result){.outcome = RUNG_CALL_UNREACHABLE, .detail = ""});
    }
}
