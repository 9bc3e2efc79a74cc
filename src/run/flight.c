/* flight.c: the path of one request through the levels, step by step (the paper's workflow, II-B). See flight.h. */
#include "run/flight.h"

#include "base/memory.h"

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
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        rung_stage_deinit(&flight->stage[l]);
        rung_visit_deinit(&flight->visit[l]);
    }
    rung_buffer_deinit(&flight->body);
    *flight = (rung_flight){0};
}

static rung_stage *stage_at(rung_flight *flight, uint32_t level)
{
    return &flight->stage[level - 1];
}

static rung_visit *visit_at(rung_flight *flight, uint32_t level)
{
    return &flight->visit[level - 1];
}

static double *clock_at(rung_flight *flight, uint32_t level)
{
    return &flight->now_s[level - 1];
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
    *clock_at(flight, 1) = 0;
    flight->level = 1;
    flight->top_level = 1;
    if (rung_stage_ask(stage_at(flight, 1), input, &flight->error) != RUNG_OK) {
        return refuse(flight, error);
    }
    rung_visit_begin(visit_at(flight, 1), policy, 1, rung_input_key(policy->seed, input, position));
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

/* The way from the level below `level` and back; its moment is drawn from the request. */
static void begin_trip(rung_flight *flight, uint32_t level, rung_link_trip *trip)
{
    const rung_request *machine = &visit_at(flight, level)->machine;
    rung_link_trip_begin(trip, &flight->cascade->level[level - 1].link, machine->policy->seed, machine->key, level - 1,
                         -1);
}

/* Counts and times the reply from `level` to the one below it; *arrives_s is when it comes there. */
static rung_status send_reply(rung_flight *flight, uint32_t level, double *arrives_s, rung_error *error)
{
    const rung_request *machine = &visit_at(flight, level)->machine;
    double now_s = *clock_at(flight, level);
    rung_level_answer did[RUNG_MAX_LEVELS];
    size_t num_did = collect(flight, level, did);
    rung_buffer_clear(&flight->body);
    rung_message_reply(&flight->body, machine, did, num_did, flight->cascade->num_classes,
                       (now_s - machine->started_s) * 1e3);
    rung_status status = rung_buffer_check(&flight->body, "reply", error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_level_answer *lower = &visit_at(flight, level - 1)->did;
    lower->bytes_down = flight->body.length;
    rung_link_trip trip;
    begin_trip(flight, level, &trip);
    double up_s = rung_link_trip_up_s(&trip, 0, lower->bytes_up);
    double down_s = rung_link_trip_down_s(&trip, up_s, lower->bytes_down);
    lower->link_ms = (up_s + down_s) * 1e3;
    *arrives_s = now_s + down_s;
    return RUNG_OK;
}

/* Down again: every level below gets the reply, or learns that there is none, and its machine answers in turn. A reply that comes before a level's own
 * result waits for it. */
static rung_status reply_down(rung_flight *flight, bool answered, rung_error *error)
{
    for (uint32_t level = flight->level; level > 1; level--) {
        const rung_request *upper = &visit_at(flight, level)->machine;
        rung_request *lower = &visit_at(flight, level - 1)->machine;
        double arrives_s = 0;
        rung_status status = send_reply(flight, level, &arrives_s, error);
        if (status != RUNG_OK) {
            return status;
        }
        double *now_s = clock_at(flight, level - 1);
        *now_s = arrives_s > *now_s ? arrives_s : *now_s;
        rung_event event = {.kind = answered ? RUNG_EVENT_UPSTREAM_REPLY : RUNG_EVENT_UPSTREAM_FAILED,
                            .now_s = *now_s,
                            .reason = upper->degraded};
        if (answered) {
            rung_visit_pass_down(lower, upper);
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

/* The level's clock follows the time that the visit has spent since. */
static void pass_time(rung_flight *flight, const rung_visit *visit, double before_ms)
{
    *clock_at(flight, visit->level) += (visit->did.compute_ms - before_ms) / 1e3;
}

/* The message leaves flight->level, which begins to write it at from_s. */
static rung_status send_up(rung_flight *flight, double from_s, rung_error *error)
{
    uint32_t level = flight->level;
    rung_visit *visit = visit_at(flight, level);
    rung_visit *next = visit_at(flight, level + 1);
    double before_ms = visit->did.compute_ms;
    rung_buffer_clear(&flight->body);
    rung_status status =
        rung_visit_send(visit, stage_at(flight, level), stage_at(flight, level + 1), &flight->body, error);
    if (status != RUNG_OK) {
        return status;
    }
    pass_time(flight, visit, before_ms);
    rung_visit_begin(next, visit->policy, 1, visit->machine.key);
    rung_visit_pass_up(&next->machine, &visit->machine);
    rung_link_trip trip;
    begin_trip(flight, level + 1, &trip);
    double written_s = from_s + (visit->did.compute_ms - before_ms) / 1e3;
    *clock_at(flight, level + 1) = written_s + rung_link_trip_up_s(&trip, 0, visit->did.bytes_up);
    return RUNG_OK;
}

/* What was sent is wanted: the flight is at the next level from now on. */
static void go_up(rung_flight *flight)
{
    flight->level++;
    flight->top_level = flight->level;
}

rung_status rung_flight_arrive(rung_flight *flight, bool *compute, rung_error *error)
{
    rung_visit *visit = visit_at(flight, flight->level);
    double now_s = *clock_at(flight, flight->level);
    unsigned actions = rung_request_step(&visit->machine, &(rung_event){.kind = RUNG_EVENT_START, .now_s = now_s});
    *compute = (actions & RUNG_ACTION_COMPUTE) != 0;
    if (actions & RUNG_ACTION_SEND) {
        rung_status status = send_up(flight, now_s, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    if (!*compute) {
        go_up(flight);
        return RUNG_OK;
    }
    double before_ms = visit->did.compute_ms;
    if (rung_visit_read(visit, stage_at(flight, flight->level), &flight->error) != RUNG_OK) {
        *compute = false;
        return refuse(flight, error);
    }
    pass_time(flight, visit, before_ms);
    return RUNG_OK;
}

/* The exit that was watched, while the job ran on. */
static rung_status look_back(rung_flight *flight, double speed, rung_error *error)
{
    rung_visit *visit = visit_at(flight, flight->level);
    double now_s = *clock_at(flight, flight->level) + visit->job.watch_s / speed;
    unsigned actions = visit->job.watched ? rung_visit_watched(visit, now_s) : RUNG_ACTION_NONE;
    return (actions & RUNG_ACTION_SEND) != 0 ? send_up(flight, now_s, error) : RUNG_OK;
}

rung_status rung_flight_computed(rung_flight *flight, rung_error *error)
{
    rung_visit *visit = visit_at(flight, flight->level);
    double speed = flight->cascade->level[flight->level - 1].speed;
    rung_status status = look_back(flight, speed, error);
    if (status != RUNG_OK) {
        return status;
    }
    double *now_s = clock_at(flight, flight->level);
    *now_s += visit->job.compute_s / speed;
    unsigned actions = rung_visit_computed(visit, *now_s);
    if (actions & RUNG_ACTION_SEND) {
        status = send_up(flight, *now_s, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    if (rung_request_waits(&visit->machine)) {
        go_up(flight);
        return RUNG_OK;
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
    return rung_answer_make(flight->cascade, &flight->visit[0].machine, did, num_did, flight->now_s[0] * 1e3, answer,
                            block, error);
}
