/* request.c: the life of one request at one level: the workflow of the paper's section II-B and of docs/architecture.md, top to bottom.
 * Called by src/run (later by the node, the simulator and the replay) with every event of the request. Must not know a clock, a
 * socket, a model or a text. Source: the paper, sections II-B to II-E. See request.h.
 *
 * Every pair of state and event is defined: what a handler does not expect, it drops. A request ends once, with ANSWER, FAIL or a
 * cancellation; TIMER and CANCEL end it from any state. */
#include "cascade/request.h"

#include "cascade/confidence.h"
#include "cascade/ensemble.h"
#include "cascade/offload.h"

#include <assert.h>

/* The steps, in the order of II-B, then what may come between. */
static unsigned present(rung_request *request, const rung_event *event);
static unsigned watch(rung_request *request, const rung_event *event);
static unsigned decide(rung_request *request, const rung_event *event);
static unsigned send_up(rung_request *request);
static unsigned take_reply(rung_request *request, const rung_event *event);
static unsigned answer(rung_request *request, double now_s);
static unsigned lose_upstream(rung_request *request, rung_degraded reason, double now_s);
static unsigned time_out(rung_request *request, double now_s);
static unsigned cancel(rung_request *request, double now_s);
static unsigned fail(rung_request *request, double now_s);

unsigned rung_request_step(rung_request *request, const rung_event *event)
{
    if (request->finished) {
        return RUNG_ACTION_NONE;
    }
    switch (event->kind) {
    case RUNG_EVENT_START:
        return present(request, event);
    case RUNG_EVENT_EXIT:
        return watch(request, event);
    case RUNG_EVENT_LOCAL_DONE:
        return decide(request, event);
    case RUNG_EVENT_UPSTREAM_REPLY:
        return take_reply(request, event);
    case RUNG_EVENT_UPSTREAM_FAILED:
        return lose_upstream(request, event->reason, event->now_s);
    case RUNG_EVENT_TIMER:
        return time_out(request, event->now_s);
    case RUNG_EVENT_CANCEL:
        return cancel(request, event->now_s);
    }
    return RUNG_ACTION_NONE;
}

static rung_level_result *own_result(rung_request *request)
{
    return &request->results[request->level - 1];
}

/* Every label is decided by itself (confidence.h). */
static bool is_multi_label(const rung_request *request)
{
    return request->calibration->level[request->level - 1].multi_label;
}

static bool is_top(const rung_request *request)
{
    return request->level >= rung_policy_top_level(request->policy, request->calibration->num_levels);
}

static bool passes_on(const rung_request *request)
{
    const rung_policy *policy = request->policy;
    bool is_member = policy->members == 0 || (policy->members >> (request->level - 1) & 1) != 0;
    return !is_top(request) &&
           (request->level < policy->first_compute_level || request->level < request->first_level || !is_member);
}

/* The first cause is the one that is told. */
static void degrade(rung_request *request, rung_degraded reason)
{
    if (request->degraded == RUNG_DEGRADED_NO) {
        request->degraded = reason;
    }
}

/* Step 1: the task is presented to this level's model, or only passed on. */
static unsigned present(rung_request *request, const rung_event *event)
{
    if (request->local != RUNG_LOCAL_IDLE) {
        return RUNG_ACTION_NONE;
    }
    request->started_s = event->now_s;
    if (passes_on(request)) {
        request->local = RUNG_LOCAL_SKIPPED;
        request->offload_probability = 1;
        return send_up(request);
    }
    request->local = RUNG_LOCAL_RUNNING;
    if (request->policy->parallel && !is_top(request)) {
        request->offload_probability = 1;
        return RUNG_ACTION_COMPUTE | send_up(request);
    }
    return RUNG_ACTION_COMPUTE;
}

static void copy_probabilities(double *to, const double *from, uint32_t n)
{
    for (uint32_t c = 0; c < n; c++) {
        to[c] = from[c];
    }
}

/* The calibrated probabilities of a local result. False when the model gave nothing to use. */
static bool take_calibrated(const rung_level_calibration *calibration, const rung_event *event, uint32_t n,
                            double *probabilities)
{
    bool exit_exists = event->exit_layer >= 1 && event->exit_layer <= calibration->num_exits;
    if (exit_exists && event->calibrated != NULL) {
        copy_probabilities(probabilities, event->calibrated, n);
        return true;
    }
    if (!exit_exists || event->logits == NULL || !rung_logits_usable(event->logits, n)) {
        return false;
    }
    rung_calibrated_probabilities(calibration, event->exit_layer, event->logits, n, probabilities);
    return true;
}

/* A result of `level`: what Eq 11 adds up, and the confidence of Eq 6. False when the model gave nothing to use. */
static bool take_result(const rung_request *request, uint32_t level, const rung_event *event, rung_level_result *own)
{
    const rung_level_calibration *calibration = &request->calibration->level[level - 1];
    uint32_t n = request->calibration->num_classes;
    if (!take_calibrated(calibration, event, n, own->probabilities)) {
        return false;
    }
    own->visited = true;
    own->exit_layer = event->exit_layer;
    own->num_layers = event->num_layers;
    /* As a float, since it travels as one: whoever reads it, here or over a network, sees the number that decided. */
    own->confidence = (float)rung_confidence(own->probabilities, n, calibration->multi_label);
    if (request->policy->raw_ensemble && event->raw != NULL) {
        copy_probabilities(own->probabilities, event->raw, n);
    } else if (request->policy->raw_ensemble) {
        rung_raw_probabilities(calibration, event->logits, n, own->probabilities);
    }
    return true;
}

/* request->pooled = the visited levels up to `highest`, weighed and added up (Eq 11-12). */
static void pool(rung_request *request, uint32_t highest, double weights[RUNG_MAX_LEVELS])
{
    bool visited[RUNG_MAX_LEVELS] = {false};
    const double *probabilities[RUNG_MAX_LEVELS] = {NULL};
    uint32_t num_levels = request->calibration->num_levels;
    for (uint32_t l = 0; l < num_levels; l++) {
        visited[l] = l < highest && request->results[l].visited;
        probabilities[l] = request->results[l].probabilities;
    }
    rung_ensemble_result(request->policy, request->calibration, visited, probabilities, weights, request->pooled);
}

/* The confidence that decides: what was learned for it, this level's own, or that of the pool of what is known so far. A float, as the own
 * one is: thresholds are fitted among the values seen. */
static double deciding_confidence(rung_request *request, const rung_event *event)
{
    if (request->policy->defer == RUNG_DEFER_LEARNED) {
        return event->deferral;
    }
    if (!request->policy->pooled_decision) {
        return own_result(request)->confidence;
    }
    double weights[RUNG_MAX_LEVELS];
    pool(request, request->level, weights);
    return (float)rung_confidence(request->pooled, request->calibration->num_classes, is_multi_label(request));
}

/* Eq 7 and its coin. Without a local result the next level is the only one that can know. */
static bool wants_upper(rung_request *request, const rung_event *event)
{
    if (is_top(request)) {
        request->offload_probability = 0;
        return false;
    }
    if (passes_on(request) || !own_result(request)->visited || event->early || request->policy->parallel) {
        request->offload_probability = 1;
        return true;
    }
    const rung_offload_policy *offload = &request->policy->offload;
    double confidence = deciding_confidence(request, event);
    request->offload_probability = rung_offload_probability(offload, request->level, confidence);
    return rung_offload_decide(offload, request->level, confidence, request->key);
}

/* Whether a request that goes up passes the next level by, as far as the confidence says that it would go on from there anyway. */
static void choose_next(rung_request *request, const rung_event *event)
{
    const rung_offload_policy *offload = &request->policy->offload;
    uint32_t top = rung_policy_top_level(request->policy, request->calibration->num_levels);
    double skip = offload->skip[request->level - 1];
    bool skips = skip > 0 && own_result(request)->visited && request->level + 2 <= top &&
                 deciding_confidence(request, event) <= skip;
    request->first_level = skips ? request->level + 2 : 0;
}

static void use_watched(rung_request *request)
{
    rung_level_result *own = own_result(request);
    double *probabilities = own->probabilities;
    *own = request->watched;
    own->probabilities = probabilities;
    copy_probabilities(probabilities, request->watched.probabilities, request->calibration->num_classes);
}

/* Step 2a: an early exit was passed. Where the policy speculates this is what goes up, and it goes at once if it is little. */
static unsigned watch(rung_request *request, const rung_event *event)
{
    bool expected = request->local == RUNG_LOCAL_RUNNING && event->exit_layer == rung_request_watches(request);
    if (!expected || !take_result(request, request->level, event, &request->watched)) {
        return RUNG_ACTION_NONE;
    }
    use_watched(request); /* decisions and the message read it as the level's own, which comes later */
    choose_next(request, event);
    bool sends = request->upstream == RUNG_UPSTREAM_IDLE &&
                 deciding_confidence(request, event) <= request->policy->offload.speculate[request->level - 1];
    own_result(request)->visited = false; /* what answers is the level's own */
    return sends ? send_up(request) : RUNG_ACTION_NONE;
}

/* Step 2: from the initial result, whether a higher level is needed. */
static unsigned decide(rung_request *request, const rung_event *event)
{
    if (request->local != RUNG_LOCAL_RUNNING) {
        return RUNG_ACTION_NONE;
    }
    request->local = RUNG_LOCAL_DONE;
    bool known = take_result(request, request->level, event, own_result(request));
    bool wanted = wants_upper(request, event);
    if (wanted && !request->watched.visited) {
        choose_next(request, event);
    }
    if (known && !wanted) {
        request->degraded = RUNG_DEGRADED_NO; /* whatever befell a speculation: it was not needed */
        if (request->upstream == RUNG_UPSTREAM_WAITING) {
            request->upstream = RUNG_UPSTREAM_CANCELLED;
            return RUNG_ACTION_CANCEL_UPSTREAM | answer(request, event->now_s);
        }
        request->upstream = request->upstream == RUNG_UPSTREAM_DONE ? RUNG_UPSTREAM_CANCELLED : request->upstream;
        return answer(request, event->now_s);
    }
    if (!known) {
        degrade(request, RUNG_DEGRADED_MODEL);
    }
    if (!wanted) {
        return fail(request, event->now_s); /* the top level, and its model gave nothing */
    }
    switch (request->upstream) {
    case RUNG_UPSTREAM_IDLE:
        return send_up(request);
    case RUNG_UPSTREAM_WAITING:
        return RUNG_ACTION_NONE;
    case RUNG_UPSTREAM_DONE:
        return answer(request, event->now_s);
    case RUNG_UPSTREAM_FAILED:
    case RUNG_UPSTREAM_CANCELLED:
        break;
    }
    return known ? answer(request, event->now_s) : fail(request, event->now_s);
}

/* Step 3: the request, pruned, goes to the next level, which does the same again. */
static unsigned send_up(rung_request *request)
{
    request->upstream = RUNG_UPSTREAM_WAITING;
    return RUNG_ACTION_SEND;
}

/* Results from above are used only when at least one level computed and all that it says are probabilities. */
static bool reply_is_sound(const rung_request *request)
{
    bool any = false;
    for (uint32_t l = request->level; l < request->calibration->num_levels; l++) {
        const rung_level_result *result = &request->results[l];
        if (!result->visited) {
            continue;
        }
        double sum = 0;
        for (uint32_t c = 0; c < request->calibration->num_classes; c++) {
            double p = result->probabilities[c];
            if (!(p >= 0 && p <= 1 + 1e-6)) { /* a rounded 1 may come as a little more */
                return false;
            }
            sum += p;
        }
        if (sum == 0 && !is_multi_label(request)) { /* none of several labels may hold */
            return false;
        }
        any = true;
    }
    return any;
}

static unsigned take_reply(rung_request *request, const rung_event *event)
{
    if (request->upstream != RUNG_UPSTREAM_WAITING) {
        return RUNG_ACTION_NONE;
    }
    if (!reply_is_sound(request)) {
        return lose_upstream(request, RUNG_DEGRADED_BAD_REPLY, event->now_s);
    }
    request->upstream = RUNG_UPSTREAM_DONE;
    degrade(request, event->reason);
    return request->local == RUNG_LOCAL_RUNNING ? RUNG_ACTION_NONE : answer(request, event->now_s);
}

static void finish(rung_request *request, double now_s)
{
    request->finished = true;
    request->finished_s = now_s;
}

/* Step 4: what the visited levels found is the answer; where the request entered, it is pooled. */
static unsigned answer(rung_request *request, double now_s)
{
    finish(request, now_s);
    uint32_t num_levels = request->calibration->num_levels;
    for (uint32_t l = request->level; l < num_levels && request->upstream != RUNG_UPSTREAM_DONE; l++) {
        request->results[l].visited = false; /* a reply that was refused or not wanted */
    }
    for (uint32_t l = 0; l < num_levels; l++) {
        request->answer_level = request->results[l].visited ? l + 1 : request->answer_level;
    }
    if (request->level == request->entry_level) {
        double weights[RUNG_MAX_LEVELS];
        pool(request, num_levels, weights);
        for (uint32_t l = 0; l < num_levels; l++) {
            request->results[l].weight = weights[l];
        }
        request->label = rung_argmax(request->pooled, request->calibration->num_classes);
        request->score = request->pooled[request->label];
    }
    return RUNG_ACTION_ANSWER;
}

/* Between 3 and 4: nothing will come from above. The local result answers, is still waited for, or is computed after all. */
static unsigned lose_upstream(rung_request *request, rung_degraded reason, double now_s)
{
    if (request->upstream != RUNG_UPSTREAM_WAITING) {
        return RUNG_ACTION_NONE;
    }
    request->upstream = RUNG_UPSTREAM_FAILED;
    degrade(request, reason == RUNG_DEGRADED_NO ? RUNG_DEGRADED_UNREACHABLE : reason);
    if (request->local == RUNG_LOCAL_RUNNING) {
        return RUNG_ACTION_NONE;
    }
    if (request->local == RUNG_LOCAL_SKIPPED) {
        request->local = RUNG_LOCAL_RUNNING;
        return RUNG_ACTION_COMPUTE;
    }
    return own_result(request)->visited ? answer(request, now_s) : fail(request, now_s);
}

/* Stops what still runs; returns the actions for it. */
static unsigned stop_work(rung_request *request)
{
    unsigned actions = RUNG_ACTION_NONE;
    if (request->local == RUNG_LOCAL_RUNNING) {
        request->local = RUNG_LOCAL_CANCELLED;
        actions |= RUNG_ACTION_CANCEL_LOCAL;
    }
    if (request->upstream == RUNG_UPSTREAM_WAITING) {
        request->upstream = RUNG_UPSTREAM_CANCELLED;
        actions |= RUNG_ACTION_CANCEL_UPSTREAM;
    }
    return actions;
}

/* The deadline: the best that is known is the answer. */
static unsigned time_out(rung_request *request, double now_s)
{
    unsigned actions = stop_work(request);
    request->degraded = RUNG_DEGRADED_DEADLINE;
    if (!own_result(request)->visited && request->watched.visited) {
        use_watched(request);
    }
    bool known = own_result(request)->visited || request->upstream == RUNG_UPSTREAM_DONE;
    return actions | (known ? answer(request, now_s) : fail(request, now_s));
}

/* Nobody waits any more: neither answer nor failure. */
static unsigned cancel(rung_request *request, double now_s)
{
    finish(request, now_s);
    return stop_work(request);
}

static unsigned fail(rung_request *request, double now_s)
{
    finish(request, now_s);
    return RUNG_ACTION_FAIL;
}

bool rung_request_waits(const rung_request *request)
{
    return !request->finished && request->upstream == RUNG_UPSTREAM_WAITING;
}

uint32_t rung_request_watches(const rung_request *request)
{
    bool speculates = !is_top(request) && request->policy->offload.speculate[request->level - 1] > 0;
    return speculates ? request->policy->exit.first_layer : 0;
}

const rung_level_result *rung_request_prior(const rung_request *request, uint32_t level)
{
    assert(level <= request->level);
    bool watched = level == request->level && request->watched.visited;
    return watched ? &request->watched : &request->results[level - 1];
}

uint32_t rung_request_skips_to(const rung_request *request)
{
    return request->first_level > request->level + 1 ? request->first_level : 0;
}

bool rung_request_prunes(const rung_request *request)
{
    return request->policy->prune.enabled && rung_request_prior(request, request->level)->visited;
}

const char *rung_degraded_name(rung_degraded reason)
{
    switch (reason) {
    case RUNG_DEGRADED_NO:
        return "no";
    case RUNG_DEGRADED_UNREACHABLE:
        return "unreachable";
    case RUNG_DEGRADED_DEADLINE:
        return "deadline";
    case RUNG_DEGRADED_BAD_REPLY:
        return "bad reply";
    case RUNG_DEGRADED_OVERLOADED:
        return "overloaded";
    case RUNG_DEGRADED_LOOP:
        return "loop";
    case RUNG_DEGRADED_MODEL:
        return "model";
    }
    return "unknown";
}

void rung_request_init(rung_request *request, const rung_policy *policy, const rung_calibration *calibration,
                       uint32_t level, uint32_t entry_level, uint64_t key, double *workspace)
{
    assert(calibration->num_levels <= RUNG_MAX_LEVELS);
    assert(entry_level >= 1 && entry_level <= level && level <= calibration->num_levels);
    *request = (rung_request){.policy = policy,
                              .calibration = calibration,
                              .level = level,
                              .entry_level = entry_level,
                              .key = key,
                              .pooled = workspace + (size_t)RUNG_MAX_LEVELS * calibration->num_classes};
    request->watched.probabilities = request->pooled + calibration->num_classes;
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        request->results[l].probabilities = workspace + (size_t)l * calibration->num_classes;
    }
}

bool rung_request_take_logits(rung_request *request, const float *logits)
{
    const rung_event event = {.exit_layer = 1, .num_layers = 1, .logits = logits};
    rung_level_result *above = &request->results[request->level];
    if (!take_result(request, request->level + 1, &event, above)) {
        return false;
    }
    for (uint32_t c = 0; c < request->calibration->num_classes; c++) {
        above->probabilities[c] = (float)above->probabilities[c];
    }
    return true;
}
