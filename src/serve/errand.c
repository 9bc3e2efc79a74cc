/* errand.c: one input at this node. See errand.h. */
#include "serve/errand.h"

#include "base/clock.h"
#include "base/memory.h"
#include "run/answer_json.h"

#include <stdlib.h>
#include <string.h>

rung_status rung_errand_prepare(rung_errand *errand, rung_generation *generation, rung_error *error)
{
    if (errand->visit_serial != generation->serial) {
        rung_visit_deinit(&errand->visit);
        errand->visit_serial = 0;
        rung_status status = rung_visit_init(&errand->visit, generation->cascade, generation->config.level, error);
        if (status != RUNG_OK) {
            return status;
        }
        errand->visit_serial = generation->serial;
    }
    errand->visit.writer = rung_generation_writer(generation);
    errand->next = NULL;
    errand->next_ahead = NULL;
    errand->ticket = NULL;
    errand->generation = generation;
    errand->id = NULL;
    errand->id_bytes = 0;
    errand->at_worker = false;
    errand->finished = false;
    atomic_store_explicit(&errand->cancelled, false, memory_order_relaxed);
    errand->actions = 0;
    errand->status = RUNG_OK;
    errand->expired = false;
    errand->call = NULL;
    errand->sent = false;
    errand->unsent = false;
    errand->held.is_held = false;
    errand->no_text = false;
    errand->read_ms = 0;
    errand->may_truncate = true;
    errand->top_level = generation->config.level;
    errand->arrived.tokens_arrived = false;
    errand->arrived.has_pair = false;
    rung_buffer_clear(&errand->body);
    rung_buffer_clear(&errand->out);
    return RUNG_OK;
}

void rung_errand_free(rung_errand *errand)
{
    if (errand == NULL) {
        return;
    }
    rung_visit_deinit(&errand->visit);
    rung_stage_deinit(&errand->arrived);
    rung_stage_deinit(&errand->above);
    rung_buffer_deinit(&errand->body);
    rung_buffer_deinit(&errand->held.memory);
    rung_buffer_deinit(&errand->out);
    free(errand);
}

bool rung_errand_read(rung_errand *errand, double now_s)
{
    errand->visit.did.queue_ms += (now_s - errand->queued_s) * 1e3;
    if (atomic_load_explicit(&errand->cancelled, memory_order_relaxed)) {
        return false;
    }
    if (now_s >= errand->deadline_s) {
        errand->expired = true;
        return false;
    }
    errand->status = rung_visit_read(&errand->visit, &errand->arrived, &errand->error);
    if (errand->no_text) {
        errand->read_ms = (rung_clock_s() - now_s) * 1e3;
    }
    errand->visit.job.cancelled = &errand->cancelled;
    if (errand->status == RUNG_OK && !errand->may_truncate && errand->visit.did.truncated_tokens > 0) {
        errand->status =
            rung_fail(&errand->error, RUNG_LIMIT, "text has %zu tokens, the limit of this level's model is %zu",
                      errand->visit.did.tokens + errand->visit.did.truncated_tokens, errand->visit.did.tokens);
    }
    return errand->status == RUNG_OK;
}

/* The body is made here, since the visit is the worker's. Without memory for it nothing is sent, and the errand fails where the result needs it. */
bool rung_errand_watched(rung_errand *errand, double now_s)
{
    if ((rung_visit_watched(&errand->visit, now_s) & RUNG_ACTION_SEND) == 0) {
        return false;
    }
    errand->status = rung_errand_make_body(errand, &errand->error);
    return errand->status == RUNG_OK;
}

/* What the machine wants now is prepared here, where time is: the body for the next level, or the answer. */
void rung_errand_computed(rung_errand *errand, double now_s)
{
    if (errand->visit.job.exit_layer == 0) {
        return; /* cancelled: nobody waits */
    }
    errand->actions = rung_visit_computed(&errand->visit, now_s);
    if (errand->actions & RUNG_ACTION_SEND) {
        errand->status = rung_errand_make_body(errand, &errand->error);
    } else if (errand->actions & RUNG_ACTION_ANSWER) {
        errand->status = rung_errand_write(errand, rung_clock_s(), &errand->error);
    }
}

rung_status rung_errand_make_body(rung_errand *errand, rung_error *error)
{
    rung_buffer_clear(&errand->body);
    return rung_visit_send(&errand->visit, &errand->arrived, &errand->above, &errand->body, error);
}

void rung_errand_hold(rung_errand *errand, rung_degraded lost, const rung_call_result *result)
{
    rung_held *held = &errand->held;
    rung_buffer *memory = &held->memory;
    *held = (rung_held){.is_held = true, .lost = lost, .result = *result, .memory = *memory};
    rung_buffer_clear(memory);
    rung_buffer_append(memory, result->body, result->body_bytes);
    rung_buffer_append(memory, "", 1);
    rung_buffer_append(memory, result->detail, strlen(result->detail) + 1);
    if (rung_buffer_check(memory, "reply", NULL) != RUNG_OK) {
        rung_buffer_deinit(memory);
        held->lost = RUNG_DEGRADED_UNREACHABLE;
        held->result.body = NULL;
        held->result.body_bytes = 0;
        held->result.detail = "out of memory for the reply";
        return;
    }
    held->result.body = memory->data;
    held->result.detail = memory->data + result->body_bytes + 1;
}

/* Levels above as they said of themselves. Their names are this node's, from the calibration. */
static void take_levels(rung_errand *errand, const rung_reply *reply)
{
    rung_request *machine = &errand->visit.machine;
    const rung_cascade *cascade = errand->generation->cascade;
    for (uint32_t l = errand->visit.level; l < cascade->num_levels; l++) {
        double *probabilities = machine->results[l].probabilities;
        machine->results[l] = reply->results[l];
        machine->results[l].probabilities = probabilities;
        if (reply->results[l].visited) {
            memcpy(probabilities, reply->results[l].probabilities, cascade->num_classes * sizeof *probabilities);
        }
        errand->did[l] = reply->did[l];
        errand->did[l].name = cascade->level[l].name;
    }
    errand->top_level = reply->top_level > errand->visit.level ? reply->top_level : errand->visit.level;
}

/* The same from a server of another kind, which says nothing but probabilities: their logarithms serve as the logits of a level's one exit. */
static unsigned take_probabilities(rung_errand *errand, const rung_call_result *result, double now_s, rung_error *why)
{
    const rung_generation *generation = errand->generation;
    rung_request *machine = &errand->visit.machine;
    uint32_t classes = generation->cascade->num_classes;
    uint32_t above = errand->visit.level; /* its index */
    double *probabilities = rung_alloc(classes, sizeof *probabilities + sizeof(float), "reply", why);
    rung_status status = probabilities == NULL ? RUNG_NO_MEMORY
                                               : generation->protocol->parse(result->body, result->body_bytes,
                                                                             &generation->reader, probabilities, why);
    bool waits = rung_request_waits(machine);
    if (status == RUNG_OK && waits) {
        float *logits = (void *)(probabilities + classes);
        rung_remote_logits(probabilities, classes, logits);
        rung_request_take_logits(machine, logits);
        errand->did[above] = (rung_level_answer){
            .level = above + 1, .name = generation->cascade->level[above].name, .exit_layer = 1, .layers = 1};
        errand->top_level = above + 1;
    }
    free(probabilities);
    if (status != RUNG_OK) {
        return rung_errand_lose_upstream(errand, RUNG_DEGRADED_BAD_REPLY, true, now_s);
    }
    errand->visit.did.link_ms = result->elapsed_s * 1e3; /* it does not say how much of it was its own */
    const rung_event event = {.kind = RUNG_EVENT_UPSTREAM_REPLY, .now_s = now_s};
    return waits ? rung_request_step(machine, &event) : RUNG_ACTION_NONE;
}

unsigned rung_errand_take_reply(rung_errand *errand, const rung_call_result *result, double now_s, rung_error *why)
{
    const rung_cascade *cascade = errand->generation->cascade;
    rung_level_answer *did = &errand->visit.did;
    did->bytes_down = result->body_bytes;
    if (errand->generation->is_foreign) {
        return take_probabilities(errand, result, now_s, why);
    }
    rung_reply reply = {0};
    const rung_message_reader reader = {.level = errand->visit.level,
                                        .num_levels = cascade->num_levels,
                                        .num_classes = cascade->num_classes,
                                        .multi_label = rung_cascade_is_multi_label(cascade)};
    rung_status status = rung_reply_parse(result->body, result->body_bytes, &reader, &reply, why);
    if (status != RUNG_OK) {
        return rung_errand_lose_upstream(errand, RUNG_DEGRADED_BAD_REPLY, true, now_s);
    }
    double link_ms = result->elapsed_s * 1e3 - reply.wall_ms;
    did->link_ms = link_ms > 0 ? link_ms : 0;
    unsigned actions = RUNG_ACTION_NONE;
    if (rung_request_waits(&errand->visit.machine)) {
        take_levels(errand, &reply);
        const rung_event event = {.kind = RUNG_EVENT_UPSTREAM_REPLY, .now_s = now_s, .reason = reply.degraded};
        actions = rung_request_step(&errand->visit.machine, &event);
    }
    rung_reply_deinit(&reply);
    return actions;
}

/* Nothing left this node. */
static void count_nothing_sent(rung_errand *errand)
{
    errand->visit.did.bytes_up = 0;
    errand->visit.did.kept_words = errand->visit.did.words;
}

unsigned rung_errand_lose_upstream(rung_errand *errand, rung_degraded reason, bool was_sent, double now_s)
{
    if (!was_sent) {
        count_nothing_sent(errand);
    }
    const rung_event event = {.kind = RUNG_EVENT_UPSTREAM_FAILED, .now_s = now_s, .reason = reason};
    return rung_request_step(&errand->visit.machine, &event);
}

/* All levels from this one up that took part, in order. */
static size_t list_levels(const rung_errand *errand, rung_level_answer did[RUNG_MAX_LEVELS])
{
    size_t count = 0;
    did[count++] = errand->visit.did;
    for (uint32_t l = errand->visit.level; l < errand->top_level; l++) {
        if (errand->did[l].level != 0) {
            did[count++] = errand->did[l];
        }
    }
    return count;
}

static rung_status write_answer(rung_errand *errand, const rung_level_answer *did, size_t count, double now_s,
                                rung_error *error)
{
    rung_answer answer;
    void *block = NULL;
    rung_status status = rung_answer_make(errand->generation->cascade, &errand->visit.machine, did, count,
                                          (now_s - errand->arrived_s) * 1e3, &answer, &block, error);
    if (status == RUNG_OK) {
        rung_answer_json(&errand->out, errand->generation->cascade, errand->id, errand->id_bytes, &answer);
        free(block);
    }
    return status;
}

rung_status rung_errand_write(rung_errand *errand, double now_s, rung_error *error)
{
    if (errand->no_text) {
        return RUNG_OK;
    }
    const rung_request *machine = &errand->visit.machine;
    rung_level_answer did[RUNG_MAX_LEVELS];
    size_t count = list_levels(errand, did);
    rung_buffer_clear(&errand->out);
    if (errand->id != NULL) {
        rung_status status = write_answer(errand, did, count, now_s, error);
        if (status != RUNG_OK) {
            return status;
        }
    } else {
        rung_message_reply(&errand->out, machine, did, count, machine->calibration->num_classes,
                           (now_s - errand->arrived_s) * 1e3);
    }
    return rung_buffer_check(&errand->out, "answer", error);
}

rung_status rung_errand_write_unsent(rung_errand *errand, double now_s, rung_error *error)
{
    count_nothing_sent(errand);
    return rung_errand_write(errand, now_s, error);
}
