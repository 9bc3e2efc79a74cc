/* flight.c: the path of one request through the levels, step by step (the paper's workflow, II-B). See flight.h. */
#include "run/flight.h"

#include "base/memory.h"
#include "cascade/offload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

rung_status rung_flight_init(rung_flight *flight, const rung_cascade *cascade, rung_error *error)
{
    *flight = (rung_flight){.cascade = cascade};
    for (uint32_t level = 1; level <= cascade->num_levels; level++) {
        rung_status status = rung_visit_init(&flight->visit[level - 1], cascade, level, error);
        if (status != RUNG_OK) {
            rung_flight_deinit(flight);
            return status;
        }
    }
    return RUNG_OK;
}

void rung_flight_deinit(rung_flight *flight)
{
    rung_stage_deinit(&flight->stage[0]);
    rung_stage_deinit(&flight->stage[1]);
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        rung_visit_deinit(&flight->visit[l]);
    }
    rung_buffer_deinit(&flight->body);
    *flight = (rung_flight){0};
}

static rung_stage *stage_at(rung_flight *flight, uint32_t level)
{
    return &flight->stage[level % 2];
}

static rung_visit *visit_at(rung_flight *flight, uint32_t level)
{
    return &flight->visit[level - 1];
}

rung_visit *rung_flight_visit(rung_flight *flight)
{
    return visit_at(flight, flight->level);
}

/* Ends the flight with an error of its own, already in flight->error. Lack of memory is the whole call's. */
static rung_status refuse(rung_flight *flight, rung_error *error)
{
    flight->status = flight->error.code;
    flight->level = 0;
    if (flight->status == RUNG_NO_MEMORY) {
        return rung_fail(error, RUNG_NO_MEMORY, "%s", flight->error.message);
    }
    return RUNG_OK;
}

rung_status rung_flight_ask(rung_flight *flight, const rung_policy *policy, const rung_input *input, size_t position,
                            rung_error *error)
{
    flight->status = RUNG_OK;
    flight->now_s = 0;
    flight->level = 1;
    flight->top_level = 1;
    bool has_pair = input->text_pair != NULL;
    if (rung_check_text("text", input->text, input->text_bytes, &flight->error) != RUNG_OK ||
        (has_pair &&
         rung_check_text("text_pair", input->text_pair, input->text_pair_bytes, &flight->error) != RUNG_OK)) {
        return refuse(flight, error);
    }
    char position_id[24];
    snprintf(position_id, sizeof position_id, "%zu", position);
    const char *id = input->id != NULL ? input->id : position_id;
    uint64_t key = rung_request_key(policy->seed, id, strlen(id), input->text, input->text_bytes, input->text_pair,
                                    input->text_pair_bytes);
    rung_stage *stage = stage_at(flight, 1);
    stage->text[0] = (rung_text){input->text, input->text_bytes};
    stage->text[1] = (rung_text){input->text_pair, input->text_pair_bytes};
    stage->has_pair = has_pair;
    stage->tokens_arrived = false;
    rung_visit_begin(visit_at(flight, 1), policy, 1, key);
    return RUNG_OK;
}

/* What the levels first .. top_level did; returns how many they are. */
static size_t collect(const rung_flight *flight, uint32_t first, rung_level_answer did[RUNG_MAX_LEVELS])
{
    size_t count = 0;
    for (uint32_t level = first; level <= flight->top_level; level++) {
        did[count++] = flight->visit[level - 1].did;
    }
    return count;
}

/* Counts and times the reply from `level` to the one below it. */
static rung_status send_reply(rung_flight *flight, uint32_t level, rung_error *error)
{
    const rung_cascade *cascade = flight->cascade;
    const rung_request *machine = &visit_at(flight, level)->machine;
    rung_level_answer did[RUNG_MAX_LEVELS];
    size_t num_did = collect(flight, level, did);
    rung_buffer_clear(&flight->body);
    rung_message_reply(&flight->body, machine, did, num_did, cascade->num_classes,
                       (flight->now_s - machine->started_s) * 1e3);
    rung_status status = rung_buffer_check(&flight->body, "reply", error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_level_answer *lower = &visit_at(flight, level - 1)->did;
    lower->bytes_down = flight->body.length;
    rung_link_trip trip;
    rung_link_trip_begin(&trip, &cascade->level[level - 1].link, machine->policy->seed, machine->key, level - 1, -1);
    double link_s = rung_link_trip_up_s(&trip, 0, lower->bytes_up);
    link_s += rung_link_trip_down_s(&trip, link_s, lower->bytes_down);
    lower->link_ms = link_s * 1e3;
    flight->now_s += link_s;
    return RUNG_OK;
}

/* Down again: every level below gets the reply, or learns that there is none, and its machine answers in turn. */
static rung_status reply_down(rung_flight *flight, bool answered, rung_error *error)
{
    for (uint32_t level = flight->level; level > 1; level--) {
        const rung_request *upper = &visit_at(flight, level)->machine;
        rung_request *lower = &visit_at(flight, level - 1)->machine;
        rung_status status = send_reply(flight, level, error);
        if (status != RUNG_OK) {
            return status;
        }
        rung_event event = {.kind = answered ? RUNG_EVENT_UPSTREAM_REPLY : RUNG_EVENT_UPSTREAM_FAILED,
                            .now_s = flight->now_s,
                            .reason = upper->degraded};
        if (answered) {
            rung_visit_copy_results(lower, upper, level, flight->cascade->num_levels);
        }
        answered = (rung_request_step(lower, &event) & RUNG_ACTION_ANSWER) != 0;
    }
    flight->level = 0;
    if (!answered) {
        rung_fail(&flight->error, RUNG_INVALID, "no level has a result: the models' logits are not numbers");
        return refuse(flight, error);
    }
    return RUNG_OK;
}

/* The flight's clock follows the time that the visit has spent. */
static void pass_time(rung_flight *flight, const rung_visit *visit, double before_ms)
{
    flight->now_s += (visit->did.compute_ms - before_ms) / 1e3;
}

static rung_status send_up(rung_flight *flight, rung_error *error)
{
    uint32_t level = flight->level;
    rung_visit *visit = visit_at(flight, level);
    double before_ms = visit->did.compute_ms;
    rung_buffer_clear(&flight->body);
    rung_status status =
        rung_visit_send(visit, stage_at(flight, level), stage_at(flight, level + 1), &flight->body, error);
    if (status != RUNG_OK) {
        return status;
    }
    pass_time(flight, visit, before_ms);
    flight->level = level + 1;
    flight->top_level = level + 1;
    rung_visit *next = visit_at(flight, level + 1);
    rung_visit_begin(next, visit->policy, 1, visit->machine.key);
    rung_visit_copy_results(&next->machine, &visit->machine, 1, level);
    return RUNG_OK;
}

rung_status rung_flight_arrive(rung_flight *flight, bool *compute, rung_error *error)
{
    rung_visit *visit = visit_at(flight, flight->level);
    unsigned actions =
        rung_request_step(&visit->machine, &(rung_event){.kind = RUNG_EVENT_START, .now_s = flight->now_s});
    *compute = false;
    if (actions & RUNG_ACTION_SEND) {
        return send_up(flight, error);
    }
    if (rung_visit_read(visit, stage_at(flight, flight->level), &flight->error) != RUNG_OK) {
        return refuse(flight, error);
    }
    pass_time(flight, visit, 0);
    *compute = true;
    return RUNG_OK;
}

rung_status rung_flight_computed(rung_flight *flight, rung_error *error)
{
    rung_visit *visit = visit_at(flight, flight->level);
    double before_ms = visit->did.compute_ms;
    unsigned actions = rung_visit_computed(visit, flight->now_s);
    pass_time(flight, visit, before_ms);
    if (actions & RUNG_ACTION_SEND) {
        return send_up(flight, error);
    }
    return reply_down(flight, (actions & RUNG_ACTION_ANSWER) != 0, error);
}

static rung_status answer_refusal(const rung_flight *flight, rung_answer *answer, void **block, rung_error *error)
{
    char *text = rung_copy_text(flight->error.message, strlen(flight->error.message), "answer", error);
    if (text == NULL) {
        return RUNG_NO_MEMORY;
    }
    *answer = (rung_answer){.status = flight->status, .error = text};
    *block = text;
    return RUNG_OK;
}

rung_status rung_flight_answer(const rung_flight *flight, rung_answer *answer, void **block, rung_error *error)
{
    if (flight->status != RUNG_OK) {
        return answer_refusal(flight, answer, block, error);
    }
    rung_level_answer did[RUNG_MAX_LEVELS];
    size_t num_did = collect(flight, 1, did);
    return rung_answer_make(flight->cascade, &flight->visit[0].machine, did, num_did, flight->now_s * 1e3, answer,
                            block, error);
}
