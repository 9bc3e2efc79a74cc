/* ticket_open.c: an HTTP request becomes a ticket and its errands, or is refused. See ticket.h. */
#include "base/memory.h"
#include "base/prng.h"
#include "cascade/offload.h"
#include "model/json_field.h"
#include "serve/ticket_parts.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

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
        errand->no_text = !ticket->api->written_by_worker;
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

/* In the APIs of others a policy is asked for in a header. */
static rung_status take_policy(rung_ticket *ticket, rung_error *error)
{
    const char *name = rung_exchange_header(ticket->exchange, "x-rung-policy");
    size_t room = sizeof ticket->body.policy;
    if (name == NULL) {
        return RUNG_OK;
    }
    if (name[0] == '\0' || strlen(name) >= room) {
        return rung_fail(error, RUNG_INVALID, "header x-rung-policy is no name of 1 to %zu characters", room - 1);
    }
    memcpy(ticket->body.policy, name, strlen(name) + 1);
    return RUNG_OK;
}

static rung_status parse(rung_ticket *ticket, rung_error *error)
{
    rung_api_request request = {.exchange = ticket->exchange, .generation = ticket->generation};
    request.body = rung_exchange_body(ticket->exchange, &request.body_bytes);
    rung_status status = ticket->api->parse(&request, &ticket->body, &ticket->form, error);
    return status == RUNG_OK && ticket->api->id != RUNG_API_RUNG ? take_policy(ticket, error) : status;
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
    (void)rung_trace_parent_read(rung_exchange_header(exchange, "traceparent"), ticket->trace_id);
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
    if (status == RUNG_NOT_FOUND && ticket->api->id != RUNG_API_RUNG) { /* which parsers say of what is empty */
        error->code = status = RUNG_INVALID;
    }
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
            rung_ticket_fail(ticket, rung_fault_of(error.code), RUNG_OUTCOME_REFUSED, error.message);
            break;
        }
        rung_ticket_advance(errand, actions);
    }
    rung_ticket_unpin(ticket);
}

static rung_ticket *new_ticket(rung_desk *desk, rung_exchange *exchange, const rung_api *api, rung_error *error)
{
    rung_ticket *ticket = rung_alloc(1, sizeof *ticket, "request", error);
    if (ticket == NULL) {
        return NULL;
    }
    ticket->desk = desk;
    ticket->exchange = exchange;
    ticket->api = api;
    ticket->generation = desk->current;
    ticket->arrived_s = rung_exchange_arrived_s(exchange);
    ticket->timer = (rung_timer){.fire = rung_ticket_deadline_passed, .context = ticket};
    ticket->next = desk->tickets;
    if (desk->tickets != NULL) {
        desk->tickets->previous = ticket;
    }
    desk->tickets = ticket;
    desk->num_tickets++;
    rung_generation_use(ticket->generation);
    return ticket;
}

/* A call that gets no ticket. */
static void refuse(rung_desk *desk, rung_exchange *exchange, const rung_api *api, rung_fault fault,
                   const rung_http_header *header, const char *message)
{
    char id[RUNG_REQUEST_ID_BYTES];
    rung_desk_request_id(desk, exchange, id);
    rung_metrics_request(desk->metrics, RUNG_OUTCOME_REFUSED);
    rung_desk_answer_error(desk, exchange, api, id, fault, header, message);
}

/* With a Retry-After of 1 to 3 seconds, so that those who were refused together do not come back together. */
static void refuse_for_now(rung_desk *desk, rung_exchange *exchange, const rung_api *api, rung_fault fault,
                           const char *reason)
{
    char seconds[4];
    rung_prng prng = {desk->jitter};
    snprintf(seconds, sizeof seconds, "%u", (unsigned)(1 + rung_prng_below(&prng, 3)));
    desk->jitter = prng.state;
    refuse(desk, exchange, api, fault, &(rung_http_header){"Retry-After", seconds}, reason);
}

/* Whether there is no room for more now; it is refused then. */
static bool is_full(rung_desk *desk, rung_exchange *exchange, const rung_api *api)
{
    char reason[96];
    double limit_s = desk->current->config.max_queue_s;
    double wait_s = rung_workers_wait_s(desk->workers);
    if (wait_s <= limit_s) {
        return false;
    }
    snprintf(reason, sizeof reason, "overloaded: %.0f ms of work wait, the limit is %.0f ms", wait_s * 1e3,
             limit_s * 1e3);
    refuse_for_now(desk, exchange, api, RUNG_FAULT_OVERLOADED, reason);
    return true;
}

/* RUNG_LIMIT: the client has as many requests as it may have. */
static rung_status count_request(rung_ticket *ticket, rung_error *error)
{
    ticket->client = rung_client_of(rung_exchange_client(ticket->exchange));
    rung_status status = rung_quota_take(ticket->desk->quota, ticket->client, error);
    ticket->counted = status == RUNG_OK;
    return status;
}

/* Whether the body came encoded; it is refused then. The own API takes what it is for what it is not: no JSON. */
static bool is_encoded(rung_desk *desk, rung_exchange *exchange, const rung_api *api)
{
    const char *encoding = api->id != RUNG_API_RUNG ? rung_exchange_header(exchange, "content-encoding") : NULL;
    if (encoding == NULL || strcasecmp(encoding, "identity") == 0) {
        return false;
    }
    char reason[128];
    char shown[RUNG_JSON_QUOTE_BYTES];
    snprintf(reason, sizeof reason, "Content-Encoding '%s' is not taken; send the body as it is",
             rung_json_quote(encoding, strlen(encoding), shown));
    refuse(desk, exchange, api, RUNG_FAULT_MEDIA, NULL, reason);
    return true;
}

/* A level's request that was here before cannot be answered here: the level that sends it is not below, and the results that it brings are not
 * from below either, which may be what is wrong with it. */
static bool is_hopeless(const rung_ticket *ticket, rung_status status)
{
    return ticket->looped && (ticket->body.from_level || status == RUNG_INVALID);
}

void rung_ticket_open(rung_desk *desk, rung_exchange *exchange, const rung_api *api)
{
    rung_error error = {0};
    rung_metrics_api(desk->metrics, api->id);
    if (desk->draining) {
        refuse_for_now(desk, exchange, api, RUNG_FAULT_DRAINING, "draining: this node is about to end");
        return;
    }
    if (is_full(desk, exchange, api) || is_encoded(desk, exchange, api)) {
        return;
    }
    rung_ticket *ticket = new_ticket(desk, exchange, api, &error);
    if (ticket == NULL) {
        refuse(desk, exchange, api, rung_fault_of(error.code), NULL, error.message);
        return;
    }
    rung_desk_request_id(desk, exchange, ticket->request_id);
    rung_status status = count_request(ticket, &error);
    if (status != RUNG_OK) {
        ticket->exchange = NULL;
        refuse_for_now(desk, exchange, api, status == RUNG_LIMIT ? RUNG_FAULT_QUOTA : RUNG_FAULT_NO_MEMORY,
                       error.message);
        rung_ticket_close_when_free(ticket);
        return;
    }
    status = prepare(ticket, &error);
    if (status == RUNG_OK) {
        status = rung_loop_arm(desk->loop, &ticket->timer, ticket->deadline_s, &error);
    }
    bool hopeless = is_hopeless(ticket, status);
    if (hopeless || status != RUNG_OK) {
        ticket->exchange = NULL;
        rung_metrics_request(desk->metrics, RUNG_OUTCOME_REFUSED);
        rung_desk_answer_error(desk, exchange, api, ticket->request_id,
                               hopeless ? RUNG_FAULT_LOOP : rung_fault_of(error.code), NULL,
                               hopeless ? "loop: Rung-Via names this node" : error.message);
        rung_ticket_close_when_free(ticket);
        return;
    }
    rung_exchange_set_user(exchange, ticket);
    start_errands(ticket);
}
