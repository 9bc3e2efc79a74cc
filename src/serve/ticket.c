/* ticket.c: the life of a ticket: its errands' results, its answer or failure, and its end. See ticket.h. Rules of deadlines, loops and overload:
 * docs/node.md. */
#include "base/clock.h"
#include "serve/ticket_parts.h"

#include <stdlib.h>

static void finish(rung_errand *errand);

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

void rung_ticket_close_when_free(rung_ticket *ticket)
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
    if (ticket->counted) {
        rung_quota_give(desk->quota, ticket->client);
    }
    unlink_ticket(ticket);
    rung_classify_body_deinit(&ticket->body);
    if (ticket->form != NULL) {
        ticket->api->free_form(ticket->form);
    }
    rung_generation_leave(ticket->generation);
    if (ticket->generation != desk->current) { /* the loop looks whether this was its last user */
        rung_loop_wake(desk->loop);
    }
    free(ticket);
}

void rung_ticket_unpin(rung_ticket *ticket)
{
    ticket->pinned = false;
    rung_ticket_close_when_free(ticket);
}

/* Stops whatever its errands still do. */
static void stop_errands(rung_ticket *ticket)
{
    double now_s = rung_clock_s();
    for (size_t i = 0; i < ticket->num_errands; i++) {
        rung_errand *errand = ticket->errands[i];
        atomic_store_explicit(&errand->cancelled, true, memory_order_relaxed);
        rung_ticket_drop_call(errand);
        if (!errand->at_worker && !errand->finished) {
            const rung_event event = {.kind = RUNG_EVENT_CANCEL, .now_s = now_s};
            errand->finished = true;
            rung_ticket_advance(errand, rung_request_step(&errand->visit.machine, &event));
        }
    }
}

void rung_ticket_abandon(rung_ticket *ticket)
{
    ticket->exchange = NULL;
    rung_metrics_request(ticket->desk->metrics, RUNG_OUTCOME_GONE);
    stop_errands(ticket);
    rung_ticket_close_when_free(ticket);
}

void rung_ticket_fail(rung_ticket *ticket, rung_fault fault, rung_outcome outcome, const char *message)
{
    rung_desk *desk = ticket->desk;
    rung_exchange *exchange = ticket->exchange;
    ticket->exchange = NULL;
    rung_metrics_request(desk->metrics, outcome);
    rung_desk_answer_error(desk, exchange, ticket->api, ticket->request_id, fault, NULL, message);
    stop_errands(ticket);
    rung_ticket_close_when_free(ticket);
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

/* Every errand has its result. */
static void answer(rung_ticket *ticket)
{
    rung_desk *desk = ticket->desk;
    rung_api_answer out;
    rung_error error;
    out.body = (rung_buffer){0};
    out.content_type = NULL;
    out.num_headers = 0;
    if (ticket->api->write(ticket, &out, &error) != RUNG_OK) {
        rung_buffer_deinit(&out.body);
        rung_ticket_fail(ticket, rung_fault_of(error.code), RUNG_OUTCOME_FAILED, error.message);
        return;
    }
    rung_exchange *exchange = ticket->exchange;
    ticket->exchange = NULL;
    rung_metrics_request(desk->metrics, is_degraded(ticket) ? RUNG_OUTCOME_DEGRADED : RUNG_OUTCOME_OK);
    rung_metrics_request_time(desk->metrics, rung_clock_s() - ticket->arrived_s);
    rung_desk_answer(desk, exchange, ticket->request_id, 200, out.content_type, out.headers, out.num_headers,
                     &out.body);
    rung_ticket_close_when_free(ticket);
}

static void count_errand(const rung_errand *errand)
{
    rung_metrics *metrics = errand->ticket->desk->metrics;
    const rung_level_answer *did = &errand->visit.did;
    const rung_request *machine = &errand->visit.machine;
    rung_metrics_answer(metrics, machine->answer_level, machine->degraded);
    rung_metrics_visit(metrics, did, errand->text_bytes, errand->sent);
    if (machine->policy == &errand->generation->policies[0] && did->exit_layer > 0) {
        rung_metrics_decision(metrics, !errand->sent && machine->degraded == RUNG_DEGRADED_NO);
    }
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
        rung_ticket_fail(ticket, RUNG_FAULT_EXPIRED, RUNG_OUTCOME_EXPIRED,
                         "the deadline passed before there was an answer");
    } else {
        rung_ticket_fail(ticket, RUNG_FAULT_MODEL, RUNG_OUTCOME_FAILED,
                         "no level has a result: the models' logits are not numbers");
    }
}

static void write_and_finish(rung_errand *errand)
{
    rung_error error;
    if (rung_errand_write(errand, rung_clock_s(), &error) != RUNG_OK) {
        rung_ticket_fail(errand->ticket, RUNG_FAULT_NO_MEMORY, RUNG_OUTCOME_FAILED, error.message);
        return;
    }
    finish(errand);
}

/* Does what the machine asks for. */
void rung_ticket_advance(rung_errand *errand, unsigned actions)
{
    if (actions & RUNG_ACTION_CANCEL_UPSTREAM) {
        rung_ticket_drop_call(errand);
    }
    if (actions & RUNG_ACTION_SEND) {
        actions |= rung_ticket_send_up(errand);
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

static rung_fault fault_of_text(rung_status status)
{
    return status == RUNG_LIMIT     ? RUNG_FAULT_TOKENS
           : status == RUNG_INVALID ? RUNG_FAULT_TOKENIZER
                                    : rung_fault_of(status);
}

/* The worker could not use it. In a list it is said which one that is. */
static void refuse_errand(rung_errand *errand)
{
    rung_ticket *ticket = errand->ticket;
    for (size_t i = 0; ticket->body.is_list && i < ticket->num_errands; i++) {
        if (ticket->errands[i] == errand) {
            (void)rung_fail_in(&errand->error, "%s[%zu]", ticket->api->list_name, i);
        }
    }
    rung_ticket_fail(ticket, fault_of_text(errand->status), RUNG_OUTCOME_REFUSED, errand->error.message);
}

/* The worker has written the answer. What was asked ahead of it is not needed. */
static void take_answer(rung_errand *errand)
{
    rung_error error;
    rung_ticket_drop_call(errand);
    if (errand->unsent && rung_errand_write_unsent(errand, rung_clock_s(), &error) != RUNG_OK) {
        rung_ticket_fail(errand->ticket, RUNG_FAULT_NO_MEMORY, RUNG_OUTCOME_FAILED, error.message);
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
        rung_ticket_close_when_free(ticket);
    } else if (errand->expired) {
        rung_ticket_fail(ticket, RUNG_FAULT_EXPIRED, RUNG_OUTCOME_EXPIRED,
                         "the deadline passed before the request was computed");
    } else if (errand->status != RUNG_OK) {
        refuse_errand(errand);
    } else if (errand->actions & RUNG_ACTION_ANSWER) {
        take_answer(errand);
    } else if (errand->held.is_held) {
        rung_ticket_settle(errand, errand->held.lost, &errand->held.result);
    } else {
        rung_ticket_advance(errand, errand->actions | (errand->unsent ? RUNG_ACTION_SEND : RUNG_ACTION_NONE));
    }
}

void rung_desk_collect(rung_desk *desk)
{
    for (rung_errand *ahead = rung_workers_collect_ahead(desk->workers); ahead != NULL; ahead = ahead->next_ahead) {
        rung_ticket_send_ahead(ahead);
    }
    rung_errand *errand = rung_workers_collect(desk->workers);
    while (errand != NULL) {
        rung_errand *next = errand->next;
        take_back(errand);
        errand = next;
    }
}

/* What is known by now is the answer; what is still at a worker leaves its batch. */
void rung_ticket_deadline_passed(rung_timer *timer)
{
    rung_ticket *ticket = timer->context;
    const rung_event event = {.kind = RUNG_EVENT_TIMER, .now_s = rung_clock_s()};
    ticket->pinned = true;
    for (size_t i = 0; i < ticket->num_errands && ticket->exchange != NULL; i++) {
        rung_errand *errand = ticket->errands[i];
        if (errand->at_worker) {
            rung_ticket_fail(ticket, RUNG_FAULT_EXPIRED, RUNG_OUTCOME_EXPIRED,
                             "the deadline passed before there was an answer");
        } else if (!errand->finished) {
            rung_ticket_advance(errand, rung_request_step(&errand->visit.machine, &event));
        }
    }
    rung_ticket_unpin(ticket);
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
        rung_ticket_close_when_free(ticket);
    }
    while (desk->idle != NULL) {
        rung_errand *errand = desk->idle;
        desk->idle = errand->next;
        rung_errand_free(errand);
    }
    desk->num_idle = 0;
}
