/* reach.c: runs a level on the requests that reach it. See reach.h. */
#include "fit/reach.h"

#include "base/memory.h"
#include "base/parallel.h"
#include "cascade/ensemble.h"
#include "fit/chunks.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 16 /* inputs that a worker takes at a time */

/* One run of a level, shared by its workers. */
typedef struct level_run {
    rung_reach *reach;
    uint32_t level;
    size_t *inputs; /* that are going */
    rung_chunks chunks;
} level_run;

/* What a worker owns. */
typedef struct runner {
    rung_batch batch;
    rung_visit visits[CHUNK];
    size_t num_visits; /* initialised */
    rung_job *jobs[CHUNK];
    rung_buffer body;
} runner;

void rung_reach_deinit(rung_reach *reach)
{
    for (size_t i = 0; reach->trails != NULL && i < reach->count; i++) {
        rung_stage_deinit(&reach->trails[i].stage[0]);
        rung_stage_deinit(&reach->trails[i].stage[1]);
    }
    free(reach->trails);
    free(reach->found);
    free(reach->probabilities);
    free(reach->states);
    *reach = (rung_reach){0};
}

static rung_status start_trail(rung_trail *trail, const rung_policy *policy, const rung_input *input, size_t position,
                               rung_error *error)
{
    trail->key = rung_input_key(policy->seed, input, position);
    trail->going = true;
    return rung_stage_ask(&trail->stage[1], input, error);
}

rung_status rung_reach_init(rung_reach *reach, const rung_cascade *cascade, const rung_input *inputs, size_t count,
                            rung_error *error)
{
    size_t levels = cascade->num_levels;
    rung_reach made = {.cascade = cascade, .policy = cascade->policy, .count = count};
    for (size_t l = 0; l < levels; l++) {
        made.policy.offload.threshold[l] = 1;
        const rung_model *model = cascade->level[l].model;
        size_t hidden = model != NULL ? model->config.hidden_size : 0;
        made.states_floats = hidden > made.states_floats ? hidden : made.states_floats;
    }
    made.trails = rung_alloc(count, sizeof *made.trails, "requests", error);
    made.found = rung_alloc(count, levels * sizeof *made.found, "results", error);
    made.probabilities =
        rung_alloc(count, levels * cascade->num_classes * sizeof *made.probabilities, "results", error);
    made.states = rung_alloc(count, made.states_floats * sizeof *made.states, "states", error);
    if (made.trails == NULL || made.found == NULL || made.probabilities == NULL || made.states == NULL) {
        rung_reach_deinit(&made);
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        rung_status status = start_trail(&made.trails[i], &made.policy, &inputs[i], i, error);
        if (status != RUNG_OK) {
            rung_reach_deinit(&made);
            return rung_fail_in(error, "input %zu", i);
        }
    }
    *reach = made;
    return RUNG_OK;
}

static rung_status open_runner(const level_run *shared, runner *self, rung_error *error)
{
    const rung_cascade *cascade = shared->reach->cascade;
    const rung_model *model = cascade->level[shared->level - 1].model;
    size_t longest = model->config.max_tokens;
    size_t tokens = cascade->batch_tokens > longest ? cascade->batch_tokens : longest;
    rung_status status = rung_batch_init(&self->batch, model, cascade->kernels, tokens, CHUNK, error);
    for (size_t i = 0; status == RUNG_OK && i < CHUNK; i++) {
        status = rung_visit_init(&self->visits[i], cascade, shared->level, error);
        self->num_visits += status == RUNG_OK;
    }
    return status;
}

static void close_runner(runner *self)
{
    for (size_t i = 0; i < self->num_visits; i++) {
        rung_visit_deinit(&self->visits[i]);
    }
    rung_batch_deinit(&self->batch);
    rung_buffer_deinit(&self->body);
}

/* The results of the levels below came with the request. */
static void take_prior(const rung_reach *reach, uint32_t level, size_t input, rung_request *machine)
{
    for (uint32_t below = 1; below < level; below++) {
        const rung_found *found = rung_reach_found(reach, below, input);
        rung_level_result *result = &machine->results[below - 1];
        result->visited = found->exit_layer > 0;
        result->exit_layer = found->exit_layer;
        result->confidence = found->confidence;
        memcpy(result->probabilities, rung_reach_probabilities(reach, below, input),
               reach->cascade->num_classes * sizeof *result->probabilities);
    }
}

/* Starts an input's visit; its job is to be run, unless the level only passes it on. */
static rung_status begin(const level_run *shared, runner *self, size_t slot, size_t input, size_t *num_jobs,
                         rung_error *error)
{
    rung_reach *reach = shared->reach;
    rung_visit *visit = &self->visits[slot];
    rung_trail *trail = &reach->trails[input];
    rung_visit_begin(visit, &reach->policy, 1, trail->key);
    take_prior(reach, shared->level, input, &visit->machine);
    unsigned actions = rung_request_step(&visit->machine, &(rung_event){.kind = RUNG_EVENT_START});
    if ((actions & RUNG_ACTION_COMPUTE) == 0) {
        return RUNG_OK;
    }
    rung_status status = rung_visit_read(visit, &trail->stage[shared->level % 2], error);
    if (status == RUNG_OK) {
        visit->job.state = reach->states + input * reach->states_floats;
        self->jobs[(*num_jobs)++] = &visit->job;
    }
    return status;
}

static void keep(const level_run *shared, const rung_request *machine, size_t num_tokens, size_t input)
{
    rung_reach *reach = shared->reach;
    size_t classes = reach->cascade->num_classes;
    size_t at = (shared->level - 1) * reach->count + input;
    const rung_level_result *own = &machine->results[shared->level - 1];
    reach->found[at] =
        (rung_found){.exit_layer = own->exit_layer, .num_tokens = (uint32_t)num_tokens, .confidence = own->confidence};
    memcpy(reach->probabilities + at * classes, own->probabilities, classes * sizeof *own->probabilities);
}

/* The job is done: what was found, and what the next level gets. */
static rung_status finish(const level_run *shared, runner *self, size_t slot, size_t input, rung_error *error)
{
    rung_visit *visit = &self->visits[slot];
    rung_trail *trail = &shared->reach->trails[input];
    if (visit->machine.local == RUNG_LOCAL_RUNNING) {
        rung_visit_computed(visit, 0);
        if (!visit->machine.results[shared->level - 1].visited) {
            return rung_fail(error, RUNG_INVALID, "%s: the logits are not numbers",
                             shared->reach->cascade->level[shared->level - 1].model->path);
        }
        keep(shared, &visit->machine, visit->job.num_tokens, input);
    }
    if (shared->level == shared->reach->cascade->num_levels) {
        return RUNG_OK;
    }
    rung_buffer_clear(&self->body);
    return rung_visit_send(visit, &trail->stage[shared->level % 2], &trail->stage[(shared->level + 1) % 2], &self->body,
                           error);
}

static rung_status run_chunk(const level_run *shared, runner *self, size_t first, size_t count, rung_error *error)
{
    rung_reach *reach = shared->reach;
    size_t num_jobs = 0;
    rung_status status = RUNG_OK;
    size_t i = 0;
    for (; status == RUNG_OK && i < count; i++) {
        status = begin(shared, self, i, shared->inputs[first + i], &num_jobs, error);
    }
    if (status == RUNG_OK) {
        rung_batch_run(&self->batch, self->jobs, num_jobs,
                       rung_visit_importance_layers(reach->cascade, &reach->policy, shared->level),
                       &reach->policy.variant);
        i = 0;
    }
    for (; status == RUNG_OK && i < count; i++) {
        status = finish(shared, self, i, shared->inputs[first + i], error);
    }
    return status == RUNG_OK ? RUNG_OK : rung_fail_in(error, "input %zu", shared->inputs[first + i - 1]);
}

static void work(void *context, size_t index)
{
    (void)index;
    level_run *shared = context;
    rung_error error = {0};
    runner self = {0};
    rung_status status = open_runner(shared, &self, &error);
    size_t first = 0;
    for (size_t count = 0; status == RUNG_OK && (count = rung_chunks_take(&shared->chunks, &first, count)) > 0;) {
        status = run_chunk(shared, &self, first, count, &error);
    }
    rung_chunks_leave(&shared->chunks, status, &error);
    close_runner(&self);
}

/* A remote level's replies as its own node would make its results of them, by the same machine. */
static rung_status keep_replies(const level_run *shared, const float *logits, size_t count, rung_error *error)
{
    rung_reach *reach = shared->reach;
    uint32_t classes = reach->cascade->num_classes;
    double *workspace = rung_alloc((size_t)RUNG_REQUEST_WORKSPACE * classes, sizeof *workspace, "request", error);
    if (workspace == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        size_t input = shared->inputs[i];
        rung_request machine;
        rung_request_init(&machine, &reach->policy, &reach->cascade->calibration, shared->level, 1,
                          reach->trails[input].key, workspace);
        take_prior(reach, shared->level, input, &machine);
        rung_request_step(&machine, &(rung_event){.kind = RUNG_EVENT_START});
        rung_request_step(&machine, &(rung_event){.kind = RUNG_EVENT_LOCAL_DONE,
                                                  .exit_layer = 1,
                                                  .num_layers = 1,
                                                  .logits = logits + i * classes});
        keep(shared, &machine, 0, input);
    }
    free(workspace);
    return RUNG_OK;
}

static rung_status ask_remote(const level_run *shared, size_t count, const rung_progress *progress, rung_error *error)
{
    const rung_reach *reach = shared->reach;
    rung_payload *texts = rung_alloc(count, sizeof *texts, "requests", error);
    float *logits = rung_alloc(count, reach->cascade->num_classes * sizeof *logits, "record", error);
    rung_status status = texts == NULL || logits == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        const rung_stage *stage = &reach->trails[shared->inputs[i]].stage[shared->level % 2];
        assert(!stage->tokens_arrived); /* no tokenizer is like that of a level that has none */
        texts[i] = (rung_payload){.text = stage->text[0], .pair = stage->has_pair ? stage->text[1] : (rung_text){0}};
    }
    if (status == RUNG_OK) {
        status = rung_remote_client_ask(reach->client, texts, shared->inputs, count, progress, logits, error);
    }
    if (status == RUNG_OK) {
        status = keep_replies(shared, logits, count, error);
    }
    free(texts);
    free(logits);
    return status;
}

/* As the level above gets them: floats. */
static void round_below(rung_reach *reach, uint32_t level)
{
    size_t per_level = reach->count * reach->cascade->num_classes;
    for (size_t i = level > 1 ? (level - 2) * per_level : 0; i < (level - 1) * per_level; i++) {
        reach->probabilities[i] = (float)reach->probabilities[i];
    }
}

rung_status rung_reach_run(rung_reach *reach, uint32_t level, const rung_progress *progress, rung_error *error)
{
    level_run shared = {.reach = reach, .level = level};
    size_t total = 0;
    shared.inputs = rung_alloc(reach->count, sizeof *shared.inputs, "requests", error);
    if (shared.inputs == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < reach->count; i++) {
        shared.inputs[total] = i;
        total += reach->trails[i].going;
    }
    round_below(reach, level);
    if (reach->cascade->level[level - 1].is_remote) {
        rung_status status = ask_remote(&shared, total, progress, error);
        free(shared.inputs);
        return status;
    }
    rung_chunks_init(&shared.chunks, total, CHUNK, progress, "requests that reach it");
    rung_parallel(reach->cascade->threads, work, &shared);
    free(shared.inputs);
    return rung_chunks_end(&shared.chunks, error);
}

void rung_reach_pool(const rung_reach *reach, const rung_policy *policy, uint32_t level, size_t input, double *pooled)
{
    bool visited[RUNG_MAX_LEVELS] = {false};
    const double *probabilities[RUNG_MAX_LEVELS] = {NULL};
    double weights[RUNG_MAX_LEVELS];
    for (uint32_t l = 1; l <= level; l++) {
        visited[l - 1] = rung_reach_found(reach, l, input)->exit_layer > 0;
        probabilities[l - 1] = rung_reach_probabilities(reach, l, input);
    }
    rung_ensemble_result(policy, &reach->cascade->calibration, visited, probabilities, weights, pooled);
}
