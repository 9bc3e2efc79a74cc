/* ticket.c: from an HTTP request to errands, and from their results to the answer. See ticket.h. Rules of deadlines, loops and overload: docs/node.md. */
#include "serve/ticket.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/prng.h"
#include "cascade/offload.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINK_DECAY 0.98
#define ANSWER_RESERVE_S 0.002 /* to write the answer after the next level failed to come in time */
#define FALLBACK_MARGIN 4      /* times the estimate of a computation, which is a mean: few take longer */

static void advance(rung_errand *errand, unsigned actions);
static void finish(rung_errand *errand);

static unsigned http_status_of(rung_status status)
{
    switch (status) {
    case RUNG_FORMAT:
        return 400;
    case RUNG_LIMIT:
        return 413;
    case RUNG_NO_MEMORY:
        return 503;
    case RUNG_IO:
        return 500;
    default:
        return 422;
    }
}

static void answer_error(rung_desk *desk, rung_exchange *exchange, unsigned http_status, const char *message)
{
    rung_metrics_response(desk->metrics, http_status);
    rung_http_answer_error(exchange, http_status, message);
}

static void refuse(rung_desk *desk, rung_exchange *exchange, unsigned http_status, const char *message)
{
    rung_metrics_request(desk->metrics, RUNG_OUTCOME_REFUSED);
    answer_error(desk, exchange, http_status, message);
}

/* 503 with a Retry-After of 1 to 3 seconds, so that those who were refused together do not come back together. */
static void refuse_for_now(rung_desk *desk, rung_exchange *exchange, const char *reason)
{
    char seconds[4];
    rung_prng prng = {desk->jitter};
    snprintf(seconds, sizeof seconds, "%u", (unsigned)(1 + rung_prng_below(&prng, 3)));
    desk->jitter = prng.state;
    rung_metrics_request(desk->metrics, RUNG_OUTCOME_REFUSED);
    rung_metrics_response(desk->metrics, 503);
    rung_http_answer_error_with(exchange, 503, &(rung_http_header){"Retry-After", seconds}, reason);
}

static rung_errand *take_errand(rung_desk *desk, rung_generation *generation, rung_error *error)
{
    rung_errand *errand = desk->idle;
    if (errand != NULL) {
        desk->idle = errand->next;
        desk->num_idle--;
    } else {
        errand = rung_alloc(1, sizeof *errand, "request", error);
        if (errand == NULL) {
            return NULL;
        }
        atomic_init(&errand->cancelled, false);
    }
    if (rung_errand_prepare(errand, generation, error) != RUNG_OK) {
        rung_errand_free(errand);
        return NULL;
    }
    return errand;
}

static void put_errand(rung_desk *desk, rung_errand *errand)
{
    if (desk->num_idle >= RUNG_MAX_IDLE_ERRANDS || errand->text_bytes > RUNG_MAX_IDLE_ERRAND_BYTES) {
        rung_errand_free(errand);
        return;
    }
    errand->next = desk->idle;
    desk->idle = errand;
    desk->num_idle++;
}

static void unlink_ticket(rung_ticket *ticket)
{
    rung_desk *desk = ticket->desk;
    if (ticket->previous != NULL) {
        ticket->previous->next = ticket->next;
    } else {
        desk->tickets = ticket->next;
    }
    if (ticket->next != NULL) {
        ticket->next->previous = ticket->previous;
    }
    desk->num_tickets--;
}

/* Gives everything back, when it is answered, no worker holds an errand of it any more, and nobody walks over its errands. */
static void close_when_free(rung_ticket *ticket)
{
    rung_desk *desk = ticket->desk;
    if (ticket->exchange != NULL || ticket->pinned) {
        return;
    }
    for (size_t i = 0; i < ticket->num_errands; i++) {
        if (ticket->errands[i]->at_worker) {
            return;
        }
    }
    rung_loop_disarm(desk->loop, &ticket->timer);
    for (size_t i = 0; i < ticket->num_errands; i++) {
        put_errand(desk, ticket->errands[i]);
    }
    if (ticket->errands != &ticket->only) {
        free(ticket->errands);
    }
    unlink_ticket(ticket);
    rung_classify_body_deinit(&ticket->body);
    rung_generation_leave(ticket->generation);
    if (ticket->generation != desk->current) { /* the loop looks whether this was its last user */
        rung_loop_wake(desk->loop);
    }
    free(ticket);
}

static void unpin(rung_ticket *ticket)
{
    ticket->pinned = false;
    close_when_free(ticket);
}

static void drop_call(rung_errand *errand)
{
    if (errand->call != NULL) {
        rung_upstream_cancel(errand->generation->upstream, errand->call);
        errand->call = NULL;
    }
}

/* Stops whatever its errands still do. */
static void stop_errands(rung_ticket *ticket)
{
    double now_s = rung_clock_s();
    for (size_t i = 0; i < ticket->num_errands; i++) {
        rung_errand *errand = ticket->errands[i];
        atomic_store_explicit(&errand->cancelled, true, memory_order_relaxed);
        drop_call(errand);
        if (!errand->at_worker && !errand->finished) {
            const rung_event event = {.kind = RUNG_EVENT_CANCEL, .now_s = now_s};
            errand->finished = true;
            advance(errand, rung_request_step(&errand->visit.machine, &event));
        }
    }
}

void rung_ticket_abandon(rung_ticket *ticket)
{
    ticket->exchange = NULL;
    rung_metrics_request(ticket->desk->metrics, RUNG_OUTCOME_GONE);
    stop_errands(ticket);
    close_when_free(ticket);
}

static void answer_failure(rung_ticket *ticket, unsigned http_status, rung_outcome outcome, const char *message)
{
    rung_desk *desk = ticket->desk;
    rung_exchange *exchange = ticket->exchange;
    ticket->exchange = NULL;
    rung_metrics_request(desk->metrics, outcome);
    answer_error(desk, exchange, http_status, message);
    stop_errands(ticket);
    close_when_free(ticket);
}

static bool is_degraded(const rung_ticket *ticket)
{
    for (size_t i = 0; i < ticket->num_errands; i++) {
        if (ticket->errands[i]->visit.machine.degraded != RUNG_DEGRADED_NO) {
            return true;
        }
    }
    return false;
}

/* A list for `inputs`, else the one answer as it was written. */
static rung_status join(rung_ticket *ticket, rung_buffer *out, rung_error *error)
{
    if (!ticket->body.is_list) {
        *out = ticket->errands[0]->out;
        ticket->errands[0]->out = (rung_buffer){0};
        return RUNG_OK;
    }
    rung_buffer_text(out, "[");
    for (size_t i = 0; i < ticket->num_errands; i++) {
        rung_buffer_text(out, i == 0 ? "" : ",");
        rung_buffer_append(out, ticket->errands[i]->out.data, ticket->errands[i]->out.length);
    }
    rung_buffer_text(out, "]");
    return rung_buffer_check(out, "answer", error);
}

/* Every errand has its result. */
static void answer(rung_ticket *ticket)
{
    rung_desk *desk = ticket->desk;
    rung_buffer out = {0};
    rung_error error;
    if (join(ticket, &out, &error) != RUNG_OK) {
        rung_buffer_deinit(&out);
        answer_failure(ticket, 503, RUNG_OUTCOME_FAILED, error.message);
        return;
    }
    rung_exchange *exchange = ticket->exchange;
    ticket->exchange = NULL;
    rung_metrics_request(desk->metrics, is_degraded(ticket) ? RUNG_OUTCOME_DEGRADED : RUNG_OUTCOME_OK);
    rung_metrics_response(desk->metrics, 200);
    rung_metrics_request_time(desk->metrics, rung_clock_s() - ticket->arrived_s);
    rung_http_answer(exchange, 200, NULL, 0, out.data, out.length);
    close_when_free(ticket);
}

static void count_errand(const rung_errand *errand)
{
    rung_metrics *metrics = errand->ticket->desk->metrics;
    const rung_level_answer *did = &errand->visit.did;
    const rung_request *machine = &errand->visit.machine;
    rung_metrics_answer(metrics, machine->answer_level, machine->degraded);
    rung_metrics_visit(metrics, did, errand->text_bytes, errand->sent);
}

/* The errand has its result, or none will come. */
static void finish(rung_errand *errand)
{
    rung_ticket *ticket = errand->ticket;
    errand->finished = true;
    ticket->num_open--;
    if (ticket->exchange == NULL) {
        return;
    }
    count_errand(errand);
    if (ticket->num_open == 0) {
        answer(ticket);
    }
}

/* No result: the model gave no numbers, or the deadline came first. */
static void fail(rung_errand *errand)
{
    rung_ticket *ticket = errand->ticket;
    errand->finished = true;
    if (ticket->exchange == NULL) {
        return;
    }
    if (errand->visit.machine.degraded == RUNG_DEGRADED_DEADLINE) {
        answer_failure(ticket, 504, RUNG_OUTCOME_EXPIRED, "the deadline passed before there was an answer");
    } else {
        answer_failure(ticket, 500, RUNG_OUTCOME_FAILED, "no level has a result: the models' logits are not numbers");
    }
}

static void write_and_finish(rung_errand *errand)
{
    rung_error error;
    if (rung_errand_write(errand, rung_clock_s(), &error) != RUNG_OK) {
        answer_failure(errand->ticket, 503, RUNG_OUTCOME_FAILED, error.message);
        return;
    }
    finish(errand);
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

/* The machine learns how the call ended. lost: why, or RUNG_DEGRADED_NO for a reply. */
static void settle(rung_errand *errand, rung_degraded lost, const rung_call_result *result)
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
        rung_log_line(desk->log, RUNG_LOG_INFO, "degraded",
                      RUNG_LOG_TEXT("reason", rung_degraded_name(errand->visit.machine.degraded)),
                      RUNG_LOG_TEXT("detail", why.message[0] != '\0' ? why.message : result->detail));
    }
    advance(errand, actions);
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
        settle(errand, degraded_of(result), result);
    }
}

/* Headers of the call to the next level. */
typedef struct outgoing {
    char timeout[RUNG_TIMEOUT_BYTES];
    char trace[96];
    const char *headers[4];
    size_t count;
} outgoing;

static void fill_headers(const rung_ticket *ticket, double remaining_s, outgoing *out)
{
    out->count = 0;
    out->headers[out->count++] = ticket->via;
    out->headers[out->count++] = rung_deadline_header(remaining_s, out->timeout);
    if (ticket->traceparent[0] != '\0') {
        snprintf(out->trace, sizeof out->trace, "traceparent: %s", ticket->traceparent);
        out->headers[out->count++] = out->trace;
    }
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
static unsigned send_up(rung_errand *errand)
{
    double now_s = rung_clock_s();
    rung_degraded lost = ask_next_level(errand, now_s);
    return lost == RUNG_DEGRADED_NO ? RUNG_ACTION_NONE : rung_errand_lose_upstream(errand, lost, false, now_s);
}

/* The errand is still computed, and what it has found so far goes up. */
static void send_ahead(rung_errand *errand)
{
    if (errand->ticket->exchange == NULL) {
        return; /* nobody waits any more */
    }
    rung_degraded lost = ask_next_level(errand, rung_clock_s());
    if (lost != RUNG_DEGRADED_NO) {
        rung_errand_hold(errand, lost, &(rung_call_result){.outcome = RUNG_CALL_UNREACHABLE, .detail = ""});
    }
}

/* Does what the machine asks for. */
static void advance(rung_errand *errand, unsigned actions)
{
    if (actions & RUNG_ACTION_CANCEL_UPSTREAM) {
        drop_call(errand);
    }
    if (actions & RUNG_ACTION_SEND) {
        actions |= send_up(errand);
    }
    if (actions & RUNG_ACTION_COMPUTE) {
        errand->queued_s = rung_clock_s();
        rung_workers_submit(errand->ticket->desk->workers, errand);
    }
    if (actions & RUNG_ACTION_FAIL) {
        fail(errand);
    } else if (actions & RUNG_ACTION_ANSWER) {
        write_and_finish(errand);
    }
}

/* The worker could not use it. In a list it is said which one that is. */
static void refuse_errand(rung_errand *errand)
{
    rung_ticket *ticket = errand->ticket;
    for (size_t i = 0; ticket->body.is_list && i < ticket->num_errands; i++) {
        if (ticket->errands[i] == errand) {
            (void)rung_fail_in(&errand->error, "inputs[%zu]", i);
        }
    }
    answer_failure(ticket, http_status_of(errand->status), RUNG_OUTCOME_REFUSED, errand->error.message);
}

/* The worker has written the answer. What was asked ahead of it is not needed. */
static void take_answer(rung_errand *errand)
{
    rung_error error;
    drop_call(errand);
    if (errand->unsent && rung_errand_write_unsent(errand, rung_clock_s(), &error) != RUNG_OK) {
        answer_failure(errand->ticket, 503, RUNG_OUTCOME_FAILED, error.message);
        return;
    }
    finish(errand);
}

/* An errand is back from its worker. */
static void take_back(rung_errand *errand)
{
    rung_ticket *ticket = errand->ticket;
    errand->at_worker = false;
    if (ticket->exchange == NULL) {
        errand->finished = true;
        close_when_free(ticket);
    } else if (errand->expired) {
        answer_failure(ticket, 504, RUNG_OUTCOME_EXPIRED, "the deadline passed before the request was computed");
    } else if (errand->status != RUNG_OK) {
        refuse_errand(errand);
    } else if (errand->actions & RUNG_ACTION_ANSWER) {
        take_answer(errand);
    } else if (errand->held.is_held) {
        settle(errand, errand->held.lost, &errand->held.result);
    } else {
        advance(errand, errand->actions | (errand->unsent ? RUNG_ACTION_SEND : RUNG_ACTION_NONE));
    }
}

void rung_desk_collect(rung_desk *desk)
{
    for (rung_errand *ahead = rung_workers_collect_ahead(desk->workers); ahead != NULL; ahead = ahead->next_ahead) {
        send_ahead(ahead);
    }
    rung_errand *errand = rung_workers_collect(desk->workers);
    while (errand != NULL) {
        rung_errand *next = errand->next;
        take_back(errand);
        errand = next;
    }
}

/* What is known by now is the answer; what is still at a worker leaves its batch. */
static void deadline_passed(rung_timer *timer)
{
    rung_ticket *ticket = timer->context;
    const rung_event event = {.kind = RUNG_EVENT_TIMER, .now_s = rung_clock_s()};
    ticket->pinned = true;
    for (size_t i = 0; i < ticket->num_errands && ticket->exchange != NULL; i++) {
        rung_errand *errand = ticket->errands[i];
        if (errand->at_worker) {
            answer_failure(ticket, 504, RUNG_OUTCOME_EXPIRED, "the deadline passed before there was an answer");
        } else if (!errand->finished) {
            advance(errand, rung_request_step(&errand->visit.machine, &event));
        }
    }
    unpin(ticket);
}

static void take_prior(rung_errand *errand, const rung_message *message)
{
    rung_request *machine = &errand->visit.machine;
    uint32_t classes = machine->calibration->num_classes;
    for (uint32_t l = 0; l + 1 < errand->visit.level; l++) {
        double *probabilities = machine->results[l].probabilities;
        machine->results[l] = message->results[l];
        machine->results[l].probabilities = probabilities;
        if (message->results[l].visited) {
            memcpy(probabilities, message->results[l].probabilities, classes * sizeof *probabilities);
        }
    }
}

/* The one errand of a request from the level below. */
static rung_status begin_from_level(rung_ticket *ticket, rung_errand *errand, const rung_policy *policy,
                                    rung_error *error)
{
    const rung_message *message = &ticket->body.message;
    rung_stage *stage = &errand->arrived;
    rung_visit_begin(&errand->visit, policy, 1, message->key);
    errand->visit.policy_name = message->policy[0] != '\0' ? message->policy : NULL;
    errand->visit.machine.first_level = message->first_level;
    take_prior(errand, message);
    if (message->text == NULL) {
        errand->text_bytes = message->num_ids * RUNG_BYTES_PER_TOKEN;
        return rung_stage_take_ids(stage, rung_generation_model(ticket->generation), message->ids, message->num_ids,
                                   message->pair_from, error);
    }
    stage->text[0] = (rung_text){message->text, message->text_bytes};
    stage->text[1] = (rung_text){message->pair, message->pair_bytes};
    stage->has_pair = message->pair != NULL;
    errand->text_bytes = message->text_bytes + message->pair_bytes;
    return RUNG_OK;
}

static void begin_from_user(rung_ticket *ticket, rung_errand *errand, const rung_policy *policy, size_t index)
{
    const rung_line *input = &ticket->body.inputs[index];
    rung_stage *stage = &errand->arrived;
    uint64_t key = rung_request_key(policy->seed, input->id, input->id_bytes, input->text, input->text_bytes,
                                    input->text_pair, input->text_pair_bytes);
    rung_visit_begin(&errand->visit, policy, ticket->generation->config.level, key);
    errand->visit.policy_name = ticket->body.policy[0] != '\0' ? ticket->body.policy : NULL;
    errand->id = input->id;
    errand->id_bytes = input->id_bytes;
    stage->text[0] = (rung_text){input->text, input->text_bytes};
    stage->text[1] = (rung_text){input->text_pair, input->text_pair_bytes};
    stage->has_pair = input->text_pair != NULL;
    errand->text_bytes = input->text_bytes + input->text_pair_bytes;
}

static rung_status make_errands(rung_ticket *ticket, const rung_policy *policy, rung_error *error)
{
    size_t count = ticket->body.from_level ? 1 : ticket->body.num_inputs;
    ticket->errands = &ticket->only;
    if (count > 1) {
        ticket->errands = rung_alloc(count, sizeof(rung_errand *), "inputs", error);
        if (ticket->errands == NULL) {
            ticket->errands = &ticket->only;
            return RUNG_NO_MEMORY;
        }
    }
    for (size_t i = 0; i < count; i++) {
        rung_errand *errand = take_errand(ticket->desk, ticket->generation, error);
        if (errand == NULL) {
            return RUNG_NO_MEMORY;
        }
        errand->ticket = ticket;
        errand->arrived_s = ticket->arrived_s;
        errand->deadline_s = ticket->deadline_s;
        errand->may_truncate = ticket->body.from_level || ticket->body.truncate;
        ticket->errands[ticket->num_errands++] = errand;
        if (!ticket->body.from_level) {
            begin_from_user(ticket, errand, policy, i);
            continue;
        }
        rung_status status = begin_from_level(ticket, errand, policy, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    return RUNG_OK;
}

static rung_status parse(rung_ticket *ticket, rung_error *error)
{
    const rung_generation *generation = ticket->generation;
    const rung_cascade *cascade = generation->cascade;
    size_t bytes;
    const char *text = rung_exchange_body(ticket->exchange, &bytes);
    const rung_message_reader reader = {.level = generation->config.level,
                                        .num_levels = cascade->num_levels,
                                        .num_classes = cascade->num_classes,
                                        .multi_label = rung_cascade_is_multi_label(cascade),
                                        .max_tokens = rung_generation_model(generation)->config.max_tokens};
    return rung_classify_body_parse(text, bytes, &reader, generation->config.max_inputs, &ticket->body, error);
}

/* Headers: deadline, hop list, trace. */
static rung_status read_headers(rung_ticket *ticket, rung_error *error)
{
    rung_exchange *exchange = ticket->exchange;
    double timeout_s = 0;
    rung_via via = RUNG_VIA_NEW;
    const char *hops = rung_exchange_header(exchange, "rung-via");
    rung_status status = rung_deadline_from_headers(rung_exchange_header(exchange, "grpc-timeout"),
                                                    rung_exchange_header(exchange, "x-envoy-expected-rq-timeout-ms"),
                                                    ticket->generation->config.deadline_s, &timeout_s, error);
    if (status == RUNG_OK) {
        status = rung_via_check(hops, ticket->desk->node_id, &via, error);
    }
    if (status != RUNG_OK) { /* a header that cannot be read is the protocol's business, as bad JSON is */
        error->code = status == RUNG_INVALID ? RUNG_FORMAT : status;
        return error->code;
    }
    ticket->deadline_s = ticket->arrived_s + timeout_s;
    ticket->looped = via == RUNG_VIA_LOOP;
    if (via == RUNG_VIA_NEW) {
        rung_via_extend(hops, ticket->desk->node_id, ticket->via);
    } else {
        ticket->barrier = RUNG_DEGRADED_LOOP;
    }
    const char *trace = rung_exchange_header(exchange, "traceparent");
    if (trace != NULL && strlen(trace) < sizeof ticket->traceparent &&
        strspn(trace, "0123456789abcdef-") == strlen(trace)) {
        memcpy(ticket->traceparent, trace, strlen(trace) + 1);
    }
    return status;
}

static rung_status prepare(rung_ticket *ticket, rung_error *error)
{
    rung_status status = read_headers(ticket, error);
    if (status == RUNG_OK) {
        status = parse(ticket, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    const char *name = ticket->body.from_level ? ticket->body.message.policy : ticket->body.policy;
    const rung_policy *policy = NULL;
    status = rung_generation_find_policy(ticket->generation, name, &ticket->named_policy, &policy, error);
    return status == RUNG_OK ? make_errands(ticket, policy, error) : status;
}

static void start_errands(rung_ticket *ticket)
{
    const rung_event event = {.kind = RUNG_EVENT_START, .now_s = ticket->arrived_s};
    ticket->num_open = ticket->num_errands;
    ticket->pinned = true;
    for (size_t i = 0; i < ticket->num_errands && ticket->exchange != NULL; i++) {
        rung_errand *errand = ticket->errands[i];
        rung_error error;
        unsigned actions = rung_request_step(&errand->visit.machine, &event);
        if ((actions & RUNG_ACTION_SEND) && rung_errand_make_body(errand, &error) != RUNG_OK) {
            answer_failure(ticket, http_status_of(error.code), RUNG_OUTCOME_REFUSED, error.message);
            break;
        }
        advance(errand, actions);
    }
    unpin(ticket);
}

static rung_ticket *new_ticket(rung_desk *desk, rung_exchange *exchange, rung_error *error)
{
    rung_ticket *ticket = rung_alloc(1, sizeof *ticket, "request", error);
    if (ticket == NULL) {
        return NULL;
    }
    ticket->desk = desk;
    ticket->exchange = exchange;
    ticket->generation = desk->current;
    ticket->arrived_s = rung_exchange_arrived_s(exchange);
    ticket->timer = (rung_timer){.fire = deadline_passed, .context = ticket};
    ticket->next = desk->tickets;
    if (desk->tickets != NULL) {
        desk->tickets->previous = ticket;
    }
    desk->tickets = ticket;
    desk->num_tickets++;
    rung_generation_use(ticket->generation);
    return ticket;
}

/* Whether there is no room for more now; it is refused then. */
static bool is_full(rung_desk *desk, rung_exchange *exchange)
{
    char reason[96];
    double limit_s = desk->current->config.max_queue_s;
    double wait_s = rung_workers_wait_s(desk->workers);
    if (wait_s <= limit_s) {
        return false;
    }
    snprintf(reason, sizeof reason, "overloaded: %.0f ms of work wait, the limit is %.0f ms", wait_s * 1e3,
             limit_s * 1e3);
    refuse_for_now(desk, exchange, reason);
    return true;
}

/* A level's request that was here before cannot be answered here: the level that sends it is not below, and the results that it brings are not
 * from below either, which may be what is wrong with it. */
static bool is_hopeless(const rung_ticket *ticket, rung_status status)
{
    return ticket->looped && (ticket->body.from_level || status == RUNG_INVALID);
}

void rung_ticket_open(rung_desk *desk, rung_exchange *exchange)
{
    rung_error error = {0};
    if (desk->draining) {
        refuse_for_now(desk, exchange, "draining: this node is about to end");
        return;
    }
    if (is_full(desk, exchange)) {
        return;
    }
    rung_ticket *ticket = new_ticket(desk, exchange, &error);
    if (ticket == NULL) {
        refuse(desk, exchange, http_status_of(error.code), error.message);
        return;
    }
    rung_status status = prepare(ticket, &error);
    if (status == RUNG_OK) {
        status = rung_loop_arm(desk->loop, &ticket->timer, ticket->deadline_s, &error);
    }
    bool hopeless = is_hopeless(ticket, status);
    if (hopeless || status != RUNG_OK) {
        ticket->exchange = NULL;
        refuse(desk, exchange, hopeless ? RUNG_HTTP_LOOP : http_status_of(error.code),
               hopeless ? "loop: Rung-Via names this node" : error.message);
        close_when_free(ticket);
        return;
    }
    rung_exchange_set_user(exchange, ticket);
    start_errands(ticket);
}

void rung_desk_clear(rung_desk *desk)
{
    rung_ticket *next;
    for (rung_ticket *ticket = desk->tickets; ticket != NULL; ticket = next) {
        next = ticket->next;
        ticket->exchange = NULL;
        for (size_t i = 0; i < ticket->num_errands; i++) {
            ticket->errands[i]->at_worker = false;
            ticket->errands[i]->call = NULL;
        }
        close_when_free(ticket);
    }
    while (desk->idle != NULL) {
        rung_errand *errand = desk->idle;
        desk->idle = errand->next;
        rung_errand_free(errand);
    }
    desk->num_idle = 0;
}
