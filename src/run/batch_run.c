/* batch_run.c: the layer loop. See batch_run.h. */
#include "run/batch_run.h"

#include "base/clock.h"

#include <assert.h>
#include <string.h>

#define MAX_ROWS 256

/* What a run does with every layer. */
typedef struct run_plan {
    uint32_t importance_layers;
    rung_variant variant;
    const rung_between *between; /* NULL: nobody is asked */
    bool runs[RUNG_MAX_LAYERS];
} run_plan;

static run_plan make_plan(const rung_model_config *config, uint32_t importance_layers, const rung_variant *variant,
                          const rung_between *between)
{
    run_plan plan = {.importance_layers = importance_layers, .between = between};
    if (variant != NULL) {
        plan.variant = *variant;
    }
    assert(importance_layers == 0 || plan.variant.kind == RUNG_VARIANT_NONE);
    if (plan.variant.kind == RUNG_VARIANT_LAYER_SKIP) {
        rung_layer_skip((uint32_t)config->num_layers, plan.variant.amount, plan.runs);
    } else {
        memset(plan.runs, true, sizeof plan.runs);
    }
    return plan;
}

/* The jobs that are still in the batch, in row order. */
typedef struct running {
    rung_job *jobs[MAX_ROWS];
    bool keep[MAX_ROWS];
    size_t count;
} running;

/* The time of `layer` (0-based) and of the exits after it, and what came before the first. */
static void charge(const rung_batch *batch, running *rows, uint32_t layer, double seconds)
{
    for (size_t i = 0; i < rows->count; i++) {
        rung_job *job = rows->jobs[i];
        size_t tokens = batch->starts[i + 1] - batch->starts[i];
        job->compute_s += seconds * (double)tokens / (double)batch->num_tokens;
        if (job->all_compute_s != NULL) {
            job->all_compute_s[layer] = job->compute_s;
        }
    }
}

/* Processor time; where threads share a layer, the time that passes is what the text waits for. */
static double batch_clock_s(const rung_batch *batch)
{
    return batch->pool == NULL ? rung_thread_cpu_s() : rung_clock_s();
}

static bool is_cancelled(const rung_job *job)
{
    return job->cancelled != NULL && atomic_load_explicit(job->cancelled, memory_order_relaxed);
}

/* The next job that runs itself: one of the list, or a part of one. */
typedef struct cursor {
    rung_job *const *jobs; /* [num_jobs] */
    size_t num_jobs;
    size_t next;
    size_t next_part;
} cursor;

static rung_job *peek(const cursor *at)
{
    rung_job *job = at->jobs[at->next];
    if (job->parts == NULL) {
        return job;
    }
    rung_job *part = &job->parts[at->next_part];
    part->cancelled = job->cancelled;
    return part;
}

static void advance(cursor *at)
{
    const rung_job *job = at->jobs[at->next];
    at->next_part++;
    if (job->parts == NULL || at->next_part == job->num_parts) {
        at->next++;
        at->next_part = 0;
    }
}

/* Fills the batch from the cursor on. */
static void fill(rung_batch *batch, cursor *at, running *rows)
{
    rung_batch_clear(batch);
    rows->count = 0;
    while (at->next < at->num_jobs && rows->count < MAX_ROWS && rung_batch_fits(batch, peek(at)->num_tokens)) {
        rung_job *job = peek(at);
        job->exit_layer = 0;
        job->early = false;
        job->watched = false;
        job->compute_s = 0;
        advance(at);
        if (is_cancelled(job)) {
            continue;
        }
        rung_batch_add(batch, job->ids, job->type_ids, job->num_tokens);
        rows->jobs[rows->count++] = job;
    }
}

/* mean[i] over the parts, added up in their order; `values` is [count] of a part. */
static void add_mean(float *mean, const float *values, size_t count, size_t part, size_t num_parts)
{
    for (size_t i = 0; i < count; i++) {
        float sum = (part == 0 ? 0 : mean[i]) + values[i];
        mean[i] = part + 1 == num_parts ? sum / (float)num_parts : sum;
    }
}

/* All parts have run or were cancelled. */
static void join_parts(const rung_model_config *config, rung_job *job)
{
    job->compute_s = 0;
    job->early = false;
    job->watched = false;
    job->exit_layer = job->parts[0].exit_layer;
    for (size_t p = 0; p < job->num_parts; p++) {
        const rung_job *part = &job->parts[p];
        job->compute_s += part->compute_s;
        job->exit_layer = part->exit_layer < job->exit_layer ? part->exit_layer : job->exit_layer;
    }
    for (size_t p = 0; p < job->num_parts && job->exit_layer > 0; p++) {
        add_mean(job->logits, job->parts[p].logits, config->num_labels, p, job->num_parts);
        if (job->state != NULL) {
            add_mean(job->state, job->parts[p].state, config->hidden_size, p, job->num_parts);
        }
    }
}

/* state: [hidden_size], NULL: not wanted. The importance is complete, since no exit comes before the layers that give it. */
static void hand_out(const rung_batch *batch, rung_job *job, size_t row, float *state, uint32_t importance_layers)
{
    if (state != NULL) {
        size_t hidden = batch->model->config.hidden_size;
        memcpy(state, batch->hidden + batch->starts[row] * hidden, hidden * sizeof *state);
    }
    if (job->importance == NULL || importance_layers == 0) {
        return;
    }
    const float *sums = batch->importance + batch->starts[row];
    for (size_t i = 0; i < job->num_tokens; i++) {
        job->importance[i] = sums[i] / (float)importance_layers;
    }
}

/* A row passed the exit that is watched. */
static void hand_out_watched(const rung_batch *batch, rung_job *job, size_t row, uint32_t importance_layers)
{
    job->watched = true;
    memcpy(job->watch_logits, job->logits, batch->model->config.num_labels * sizeof *job->logits);
    hand_out(batch, job, row, job->watch_state, importance_layers);
}

/* What the heads read, but for the pooler: the state of the first token. */
static void keep_state(const rung_batch *batch, const rung_job *job, size_t row, uint32_t layer)
{
    if (job->all_states != NULL) {
        size_t hidden = batch->model->config.hidden_size;
        memcpy(job->all_states + layer * hidden, batch->hidden + batch->starts[row] * hidden,
               hidden * sizeof *job->all_states);
    }
}

static void keep_importance(const rung_batch *batch, const rung_job *job, size_t row, uint32_t layer,
                            uint32_t importance_layers)
{
    if (job->all_importance != NULL && layer < importance_layers) {
        memcpy(job->all_importance + layer * job->num_tokens, batch->importance + batch->starts[row],
               job->num_tokens * sizeof *job->all_importance);
    }
}

/* Whether the exit after `layer` (0-based), which is not the last, has to be asked. */
static bool asks_exit(const rung_job *job, uint32_t layer)
{
    const rung_exit_policy *policy = job->exit.policy;
    return job->all_logits != NULL || policy->rule != RUNG_EXIT_OFF || layer + 1 == job->watch_layer ||
           (job->exit.early > 0 && layer + 1 >= policy->first_layer);
}

/* Asks the exit after `layer` (0-based) for every row. True when a row stopped. */
static bool ask_exits(rung_batch *batch, running *rows, uint32_t layer, const run_plan *plan)
{
    bool last = layer + 1 == batch->model->config.num_layers;
    bool any_left = false;
    for (size_t row = 0; row < rows->count; row++) {
        rung_job *job = rows->jobs[row];
        bool wanted = last || (plan->variant.kind == RUNG_VARIANT_NONE && asks_exit(job, layer));
        rows->keep[row] = true;
        if (is_cancelled(job)) {
            rows->keep[row] = false;
            any_left = true;
            continue;
        }
        keep_state(batch, job, row, layer);
        keep_importance(batch, job, row, layer, plan->importance_layers);
        if (!wanted || !rung_model_has_exit(batch->model, layer)) {
            continue;
        }
        rung_exit_logits(batch, layer, row, job->logits);
        if (job->all_logits != NULL) {
            size_t labels = batch->model->config.num_labels;
            memcpy(job->all_logits + layer * labels, job->logits, labels * sizeof *job->logits);
        }
        rung_exit_verdict verdict = rung_exit_step(&job->exit, layer + 1, job->logits);
        if (verdict != RUNG_EXIT_CONTINUE) {
            job->exit_layer = layer + 1;
            job->early = verdict == RUNG_EXIT_OFFLOAD;
            hand_out(batch, job, row, job->state, plan->importance_layers);
            rows->keep[row] = false;
            any_left = true;
        } else if (layer + 1 == job->watch_layer) {
            assert(plan->importance_layers <= job->watch_layer);
            hand_out_watched(batch, job, row, plan->importance_layers);
        }
    }
    return any_left;
}

/* Who waits for the exit after `layer` (0-based) learns that it was passed. Returns the time it took. */
static double tell_watchers(const rung_batch *batch, const running *rows, uint32_t layer)
{
    double before_s = 0;
    bool any_told = false;
    for (size_t row = 0; row < rows->count; row++) {
        rung_job *job = rows->jobs[row];
        if (!job->watched || layer + 1 != job->watch_layer) {
            continue;
        }
        job->watch_s = job->compute_s;
        if (job->on_watch != NULL) {
            before_s = any_told ? before_s : batch_clock_s(batch);
            any_told = true;
            job->on_watch(job->watch_context, job);
        }
    }
    return any_told ? batch_clock_s(batch) - before_s : 0;
}

static void close_gaps(rung_batch *batch, running *rows)
{
    rung_batch_keep(batch, rows->keep);
    size_t kept = 0;
    for (size_t row = 0; row < rows->count; row++) {
        if (rows->keep[row]) {
            rows->jobs[kept++] = rows->jobs[row];
        }
    }
    rows->count = kept;
}

/* What goes after the last layer would be of no use: its exit has been asked. */
static bool drops_tokens(const rung_batch *batch, uint32_t layer, const run_plan *plan)
{
    return plan->variant.kind == RUNG_VARIANT_POWER_BERT && layer + 1 < batch->model->config.num_layers;
}

/* After `layer` (0-based): the tokens that this layer's attention found least important leave their rows. */
static void drop_tokens(rung_batch *batch, const running *rows, uint32_t layer, const run_plan *plan)
{
    uint32_t num_layers = (uint32_t)batch->model->config.num_layers;
    for (size_t row = 0; row < rows->count; row++) {
        size_t first = batch->starts[row];
        size_t count = rung_power_keep(rows->jobs[row]->num_tokens, layer + 1, num_layers, plan->variant.amount);
        rung_power_mark(batch->importance + first, batch->starts[row + 1] - first, count, batch->token_keep + first);
    }
    rung_batch_keep_tokens(batch, batch->token_keep);
    memset(batch->importance, 0, batch->num_tokens * sizeof *batch->importance); /* the next layer's sums alone */
}

/* Others may have the thread now; whether they took it. */
static bool make_way(const rung_batch *batch, const running *rows, uint32_t layer, const run_plan *plan)
{
    uint32_t layers_left = (uint32_t)batch->model->config.num_layers - (layer + 1);
    return plan->between != NULL && rows->count > 0 && layers_left > 0 &&
           plan->between->call(plan->between->context, layers_left);
}

static void run_layers(rung_batch *batch, running *rows, const run_plan *plan, double started_s)
{
    double before_s = started_s;
    for (uint32_t layer = 0; rows->count > 0 && layer < batch->model->config.num_layers; layer++) {
        if (!plan->runs[layer]) {
            continue;
        }
        bool drops = drops_tokens(batch, layer, plan);
        rung_encoder_layer(batch, layer, drops || layer < plan->importance_layers);
        bool any_left = ask_exits(batch, rows, layer, plan);
        double now_s = batch_clock_s(batch);
        charge(batch, rows, layer, now_s - before_s);
        before_s = now_s + tell_watchers(batch, rows, layer);
        if (any_left) {
            close_gaps(batch, rows);
        }
        if (drops) {
            drop_tokens(batch, rows, layer, plan);
        }
        if (make_way(batch, rows, layer, plan)) {
            before_s = batch_clock_s(batch);
        }
    }
    assert(rows->count == 0); /* the last layer stops every row */
}

void rung_batch_run_between(rung_batch *batch, rung_job *const *jobs, size_t num_jobs, uint32_t importance_layers,
                            const rung_variant *variant, const rung_between *between)
{
    const run_plan plan = make_plan(&batch->model->config, importance_layers, variant, between);
    running rows;
    cursor at = {.jobs = jobs, .num_jobs = num_jobs};
    while (at.next < num_jobs) {
        double started_s = batch_clock_s(batch);
        assert(peek(&at)->num_tokens <= batch->max_tokens); /* it holds at least the longest sequence of its model */
        fill(batch, &at, &rows);
        run_layers(batch, &rows, &plan, started_s);
    }
    for (size_t i = 0; i < num_jobs; i++) {
        if (jobs[i]->parts != NULL) {
            join_parts(&batch->model->config, jobs[i]);
        }
    }
}

void rung_batch_run(rung_batch *batch, rung_job *const *jobs, size_t num_jobs, uint32_t importance_layers,
                    const rung_variant *variant)
{
    rung_batch_run_between(batch, jobs, num_jobs, importance_layers, variant, NULL);
}
