/* recorder.c: reads texts as they reach a level, and records what its model says. See recorder.h. */
#include "replay/recorder.h"

#include "base/memory.h"
#include "base/parallel.h"
#include "fit/chunks.h"
#include "run/visit.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 16         /* texts that a worker takes at a time */
#define FLUSH_AFTER 1024 /* texts after which the disk has what was recorded */

/* One fill, shared by its workers. */
typedef struct filling {
    rung_recorder *recorder;
    rung_tape *tape;
    rung_policy policy; /* sends everything up, pruned as the reading says */
    uint32_t level;     /* of the cells in turn */
    const rung_wanted *wanted;
    bool may_compute;
    rung_chunks chunks;
    atomic_size_t computed;
} filling;

/* One text on its way up to its level. */
typedef struct slot {
    rung_stage stage[RUNG_MAX_LEVELS + 1]; /* what arrives at level 1 .., index level - 1 */
    rung_visit visit[RUNG_MAX_LEVELS];
    size_t num_visits; /* initialised */
    rung_record_key key;
    size_t entry; /* of the record; SIZE_MAX: the model is to be run */
    rung_job job;
    /* Of the job, grown as needed. */
    float *values; /* logits, then those of every layer, states, importance */
    size_t num_values;
    double *seconds;            /* [num_layers] */
    double *exit_workspace;     /* [2, num_classes] */
    float *importance;          /* [importance_layers, num_tokens] in values */
    float *all_logits;          /* in values */
    float *all_states;          /* in values; NULL: none */
    float *compute_s;           /* [num_layers] in values */
    uint32_t importance_layers; /* of the entry */
} slot;

typedef struct worker {
    rung_batch batch;
    slot slots[CHUNK];
    rung_job *jobs[CHUNK];
    rung_buffer body;
} worker;

static const rung_cascade *cascade_of(const filling *shared)
{
    return shared->recorder->cascade;
}

static const rung_model *model_at(const filling *shared, uint32_t level)
{
    return cascade_of(shared)->level[level - 1].model;
}

static void close_slot(slot *self, uint32_t num_levels)
{
    for (uint32_t l = 0; l <= num_levels; l++) {
        rung_stage_deinit(&self->stage[l]);
    }
    for (size_t l = 0; l < self->num_visits; l++) {
        rung_visit_deinit(&self->visit[l]);
    }
    free(self->values);
    free(self->seconds);
    free(self->exit_workspace);
}

static void close_worker(const filling *shared, worker *self)
{
    for (size_t i = 0; i < CHUNK; i++) {
        close_slot(&self->slots[i], cascade_of(shared)->num_levels);
    }
    rung_batch_deinit(&self->batch);
    rung_buffer_deinit(&self->body);
    free(self);
}

static rung_status open_slot(const filling *shared, slot *self, rung_error *error)
{
    const rung_cascade *cascade = cascade_of(shared);
    rung_status status = RUNG_OK;
    for (uint32_t l = 1; status == RUNG_OK && l <= cascade->num_levels; l++) {
        status = rung_visit_init(&self->visit[l - 1], cascade, l, error);
        self->num_visits += status == RUNG_OK;
    }
    size_t layers = model_at(shared, shared->level)->config.num_layers;
    self->seconds = rung_alloc(layers, sizeof *self->seconds, "record", error);
    self->exit_workspace = rung_alloc(2, cascade->num_classes * sizeof(double), "record", error);
    return status != RUNG_OK || self->seconds == NULL || self->exit_workspace == NULL ? RUNG_NO_MEMORY : RUNG_OK;
}

static rung_status open_worker(const filling *shared, worker **made, rung_error *error)
{
    const rung_cascade *cascade = cascade_of(shared);
    const rung_model *model = model_at(shared, shared->level);
    worker *self = rung_alloc(1, sizeof *self, "recorder", error);
    if (self == NULL) {
        return RUNG_NO_MEMORY;
    }
    size_t longest = model->config.max_tokens;
    size_t tokens = cascade->batch_tokens > longest ? cascade->batch_tokens : longest;
    rung_status status = rung_batch_init(&self->batch, model, cascade->kernels, tokens, CHUNK, error);
    for (size_t i = 0; status == RUNG_OK && i < CHUNK; i++) {
        status = open_slot(shared, &self->slots[i], error);
    }
    if (status != RUNG_OK) {
        close_worker(shared, self);
        return status;
    }
    *made = self;
    return RUNG_OK;
}

/* Hands a visit what the record has of its text, as if the model had just run: then it can prune. */
static void recall(const filling *shared, rung_visit *visit, uint32_t entry)
{
    rung_record_entry known;
    rung_store_get(shared->recorder->store, entry - 1, &known);
    uint32_t layers = known.num_layers;
    uint32_t wanted = shared->tape->reading.importance_layers;
    uint32_t summed = wanted == 0 || wanted > layers ? layers : wanted;
    memcpy(visit->job.logits, known.logits + (size_t)(layers - 1) * known.num_classes,
           known.num_classes * sizeof(float));
    visit->job.exit_layer = layers;
    for (size_t i = 0; known.importance != NULL && i < known.num_tokens; i++) {
        visit->job.importance[i] = known.importance[(size_t)(summed - 1) * known.num_tokens + i] / (float)summed;
    }
}

static void begin(const filling *shared, slot *self, uint32_t level)
{
    rung_visit_begin(&self->visit[level - 1], &shared->policy, 1, 0);
}

/* What the visit at `level` sends up becomes the next stage; how long it is beside an empty text. */
static rung_status send_up(const filling *shared, worker *self, slot *at, uint32_t level, uint32_t *payload_bytes,
                           rung_error *error)
{
    rung_visit *visit = &at->visit[level - 1];
    rung_stage *to = &at->stage[level];
    rung_buffer_clear(&self->body);
    rung_status status = rung_visit_send(visit, &at->stage[level - 1], to, &self->body, error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t whole = self->body.length;
    rung_buffer_clear(&self->body);
    rung_message_request(&self->body, &visit->machine, &(rung_payload){.text = {"", 0}},
                         cascade_of(shared)->num_classes, NULL);
    status = rung_buffer_check(&self->body, "request", error);
    *payload_bytes = (uint32_t)(whole - self->body.length);
    return status;
}

/* The level does not compute: the text goes on as it came. */
static rung_status pass_on(const filling *shared, worker *self, slot *at, uint32_t level, uint32_t *payload_bytes,
                           rung_error *error)
{
    begin(shared, at, level);
    rung_visit *visit = &at->visit[level - 1];
    visit->machine.first_level = level + 1;
    unsigned actions = rung_request_step(&visit->machine, &(rung_event){.kind = RUNG_EVENT_START});
    assert(actions == RUNG_ACTION_SEND);
    (void)actions;
    return send_up(shared, self, at, level, payload_bytes, error);
}

/* The level reads the text: `cell` gets what that tells, but for what the model says. */
static rung_status read_text(const filling *shared, slot *at, uint32_t level, rung_cell *cell, rung_error *error)
{
    begin(shared, at, level);
    rung_visit *visit = &at->visit[level - 1];
    rung_stage *stage = &at->stage[level - 1];
    unsigned actions = rung_request_step(&visit->machine, &(rung_event){.kind = RUNG_EVENT_START});
    assert(actions == RUNG_ACTION_COMPUTE);
    (void)actions;
    rung_status status = rung_visit_read(visit, stage, error);
    if (status == RUNG_OK) {
        cell->num_tokens = (uint32_t)visit->did.tokens;
        cell->truncated = (uint32_t)visit->did.truncated_tokens;
        size_t bytes = stage->text[0].bytes + (stage->has_pair ? stage->text[1].bytes : 0);
        cell->text_bytes = stage->tokens_arrived ? 0 : (uint32_t)bytes;
        cell->words = (uint32_t)visit->did.words;
        cell->kept_words = cell->words;
    }
    return status;
}

/* The level's model has spoken: what goes up. */
static rung_status prune(const filling *shared, worker *self, slot *at, uint32_t level, rung_cell *cell,
                         rung_error *error)
{
    rung_visit *visit = &at->visit[level - 1];
    recall(shared, visit, cell->entry);
    unsigned actions = rung_visit_computed(visit, 0);
    if ((actions & RUNG_ACTION_SEND) == 0) {
        return rung_fail(error, RUNG_INVALID, "%s: the logits are not numbers", model_at(shared, level)->path);
    }
    rung_status status = send_up(shared, self, at, level, &cell->payload_bytes, error);
    cell->kept_words = (uint32_t)visit->did.kept_words;
    return status;
}

/* The text of a cell's level, through the levels below. */
static rung_status climb(const filling *shared, worker *self, slot *at, const rung_wanted *wanted, rung_error *error)
{
    uint32_t level = rung_cell_level(wanted->cell);
    rung_cell *asked = rung_tape_cell(shared->tape, wanted->row, 0);
    bool is_whole = wanted->cell == UINT32_C(1)
                                        << (level - 1); /* none computed before; one such cell a row and level */
    rung_status status = rung_stage_ask(&at->stage[0], &shared->recorder->inputs[wanted->row], error);
    for (uint32_t l = 1; status == RUNG_OK && l < level; l++) {
        uint32_t below = wanted->cell & ((2u << (l - 1)) - 1);
        uint32_t unused;
        if (below >> (l - 1) == 0) {
            status = pass_on(shared, self, at, l, is_whole ? &asked->payload_bytes : &unused, error);
            continue;
        }
        rung_cell scratch = *rung_tape_cell(shared->tape, wanted->row, below);
        assert(scratch.entry != 0);
        status = read_text(shared, at, l, &scratch, error);
        if (status == RUNG_OK) {
            status = prune(shared, self, at, l, &scratch, error);
        }
    }
    return status;
}

/* Whether entries of shared->level have states and importance. Variants give no importance, and nothing reads their states. */
static bool keeps_all(const filling *shared)
{
    return shared->recorder->keeps_all[shared->level - 1] && shared->policy.variant.kind == RUNG_VARIANT_NONE;
}

/* Memory for all that the model says of the text. */
static rung_status make_job(const filling *shared, slot *at, rung_error *error)
{
    const rung_model *model = model_at(shared, shared->level);
    const rung_job *read = &at->visit[shared->level - 1].job;
    bool all = keeps_all(shared);
    size_t layers = model->config.num_layers;
    size_t classes = model->config.num_labels;
    size_t states = all ? layers * model->config.hidden_size : 0;
    size_t importance = all ? layers * read->num_tokens : 0;
    void *values = at->values;
    rung_status status = rung_grow(&values, &at->num_values, classes + layers * (classes + 1) + states + importance,
                                   sizeof(float), "record", error);
    at->values = values;
    if (status != RUNG_OK) {
        return status;
    }
    at->all_logits = at->values + classes;
    at->compute_s = at->all_logits + layers * classes;
    at->all_states = all ? at->compute_s + layers : NULL;
    at->importance = all ? at->all_states + states : NULL;
    at->importance_layers = all ? (uint32_t)layers : 0;
    for (size_t i = 0; i < layers * (classes + 1); i++) {
        at->all_logits[i] = (float)NAN; /* of layers without an exit, or that do not run */
    }
    at->job = (rung_job){.ids = read->ids,
                         .type_ids = read->type_ids,
                         .num_tokens = read->num_tokens,
                         .logits = at->values,
                         .all_logits = at->all_logits,
                         .all_states = at->all_states,
                         .all_importance = at->importance,
                         .all_compute_s = at->seconds};
    static const rung_exit_policy all_layers = {.rule = RUNG_EXIT_OFF, .patience = 1, .first_layer = 1};
    rung_exit_init(&at->job.exit, &all_layers, &cascade_of(shared)->calibration.level[shared->level - 1],
                   (uint32_t)classes, at->exit_workspace);
    return RUNG_OK;
}

static rung_status store_job(filling *shared, slot *at, rung_error *error)
{
    const rung_model *model = model_at(shared, shared->level);
    size_t layers = model->config.num_layers;
    for (size_t l = 0; l < layers; l++) {
        at->compute_s[l] = (float)at->seconds[l];
    }
    rung_record_entry entry = {.num_tokens = (uint32_t)at->job.num_tokens,
                               .num_layers = (uint32_t)layers,
                               .num_classes = (uint32_t)model->config.num_labels,
                               .hidden_size = at->all_states != NULL ? (uint32_t)model->config.hidden_size : 0,
                               .importance_layers = at->importance_layers,
                               .logits = at->all_logits,
                               .states = at->all_states,
                               .importance = at->importance,
                               .compute_s = at->compute_s};
    rung_status status = rung_store_add(shared->recorder->store, &at->key, &entry, &at->entry, error);
    size_t done = atomic_fetch_add(&shared->computed, 1) + 1;
    return status == RUNG_OK && done % FLUSH_AFTER == 0 ? rung_store_flush(shared->recorder->store, error) : status;
}

/* An entry has what this level's entries have: a record is a file, and files are untrusted. */
static rung_status check_entry(const filling *shared, const slot *at, rung_error *error)
{
    const rung_model_config *config = &model_at(shared, shared->level)->config;
    rung_record_entry known;
    rung_store_get(shared->recorder->store, at->entry, &known);
    bool fits = known.num_tokens == at->visit[shared->level - 1].job.num_tokens &&
                known.num_layers == config->num_layers && known.num_classes == config->num_labels;
    if (keeps_all(shared)) {
        fits = fits && known.hidden_size == config->hidden_size && known.importance_layers == config->num_layers;
    }
    return fits ? RUNG_OK
                : rung_fail(error, RUNG_MISMATCH, "what the record has of its text at level %u is of another model",
                            shared->level);
}

/* Reads the texts of a chunk, and makes jobs of those that the record has not. */
static rung_status read_chunk(const filling *shared, worker *self, const rung_wanted *wanted, size_t count,
                              rung_cell *cells, size_t *num_jobs, rung_error *error)
{
    const rung_model *model = model_at(shared, shared->level);
    const rung_variant *variant = &shared->tape->reading.variant;
    for (size_t i = 0; i < count; i++) {
        slot *at = &self->slots[i];
        rung_status status = climb(shared, self, at, &wanted[i], error);
        if (status == RUNG_OK) {
            status = read_text(shared, at, shared->level, &cells[i], error);
        }
        if (status != RUNG_OK) {
            return rung_fail_in(error, "input %u", wanted[i].row);
        }
        const rung_job *read = &at->visit[shared->level - 1].job;
        at->key = rung_record_key_of(shared->recorder->identity[shared->level - 1], variant,
                                     (int)cascade_of(shared)->precision, model->config.max_tokens, read->ids,
                                     read->type_ids, read->num_tokens);
        at->entry = rung_store_find(shared->recorder->store, &at->key);
        if (at->entry != SIZE_MAX) {
            status = check_entry(shared, at, error);
            if (status != RUNG_OK) {
                return rung_fail_in(error, "input %u", wanted[i].row);
            }
            continue;
        }
        if (!shared->may_compute) {
            return rung_fail(error, RUNG_NOT_FOUND, "input %u: the record has nothing of its text at level %u",
                             wanted[i].row, shared->level);
        }
        status = make_job(shared, at, error);
        if (status != RUNG_OK) {
            return status;
        }
        self->jobs[(*num_jobs)++] = &at->job;
    }
    return RUNG_OK;
}

static rung_status fill_chunk(filling *shared, worker *self, const rung_wanted *wanted, size_t count, rung_error *error)
{
    rung_cell cells[CHUNK] = {{0}};
    size_t num_jobs = 0;
    const rung_variant *variant = &shared->tape->reading.variant;
    rung_status status = read_chunk(shared, self, wanted, count, cells, &num_jobs, error);
    if (status != RUNG_OK) {
        return status;
    }
    uint32_t layers = (uint32_t)model_at(shared, shared->level)->config.num_layers;
    rung_batch_run(&self->batch, self->jobs, num_jobs, keeps_all(shared) ? layers : 0, variant);
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        slot *at = &self->slots[i];
        if (at->entry == SIZE_MAX) {
            status = store_job(shared, at, error);
        }
        cells[i].entry = (uint32_t)at->entry + 1;
        if (status == RUNG_OK && shared->level < cascade_of(shared)->num_levels) {
            status = prune(shared, self, at, shared->level, &cells[i], error);
        }
        if (status == RUNG_OK) {
            *rung_tape_cell(shared->tape, wanted[i].row, wanted[i].cell) = cells[i];
        }
    }
    return status;
}

static void work(void *context, size_t index)
{
    (void)index;
    filling *shared = context;
    rung_error error = {0};
    worker *self = NULL;
    rung_status status = open_worker(shared, &self, &error);
    size_t first = 0;
    for (size_t count = 0; status == RUNG_OK && (count = rung_chunks_take(&shared->chunks, &first, count)) > 0;) {
        status = fill_chunk(shared, self, shared->wanted + first, count, &error);
    }
    rung_chunks_leave(&shared->chunks, status, &error);
    if (self != NULL) {
        close_worker(shared, self);
    }
}

/* Everything goes up, pruned. */
static rung_policy climbing_policy(const rung_reading *reading)
{
    rung_policy policy = {.offload = {.hard = true},
                          .prune = reading->prune,
                          .exit = {.rule = RUNG_EXIT_OFF, .patience = 1, .first_layer = 1},
                          .weights = RUNG_WEIGHTS_LAST,
                          .first_compute_level = 1,
                          .variant = reading->variant};
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        policy.offload.threshold[l] = 1;
    }
    return policy;
}

void rung_recorder_identify(rung_recorder *recorder)
{
    const rung_cascade *cascade = recorder->cascade;
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        const rung_model *model = cascade->level[l].model;
        size_t weights = model->config.num_labels * model->config.hidden_size;
        memcpy(recorder->identity[l], model->hash, sizeof model->hash);
        if (!cascade->level[l].has_task_labels) {
            continue;
        }
        rung_sha256 hash;
        rung_sha256_init(&hash);
        rung_sha256_update(&hash, model->hash, sizeof model->hash);
        for (size_t e = 0; e < model->config.num_layers; e++) {
            if (rung_model_has_exit(model, e)) {
                rung_sha256_update(&hash, &e, sizeof e);
                rung_sha256_update(&hash, model->exits[e].weight, weights * sizeof(float));
                rung_sha256_update(&hash, model->exits[e].bias, model->config.num_labels * sizeof(float));
            }
        }
        rung_sha256_hex(&hash, recorder->identity[l]);
    }
    uint32_t top = cascade->num_levels - 1;
    for (uint32_t l = 0; l < top; l++) {
        recorder->keeps_all[l] = true;
        recorder->keeps_all[top] =
            recorder->keeps_all[top] || strcmp(recorder->identity[l], recorder->identity[top]) == 0;
    }
}

rung_status rung_recorder_fill(rung_recorder *recorder, rung_tape *tape, const rung_wanted *wanted, size_t count,
                               bool may_compute, const rung_progress *progress, rung_error *error)
{
    rung_status status = RUNG_OK;
    for (size_t first = 0, end = 0; status == RUNG_OK && first < count; first = end) {
        uint32_t level = rung_cell_level(wanted[first].cell);
        while (end < count && rung_cell_level(wanted[end].cell) == level) {
            end++;
        }
        filling shared = {.recorder = recorder,
                          .tape = tape,
                          .policy = climbing_policy(&tape->reading),
                          .level = level,
                          .wanted = wanted + first,
                          .may_compute = may_compute};
        rung_chunks_init(&shared.chunks, end - first, CHUNK, progress, recorder->cascade->level[level - 1].name);
        rung_parallel(recorder->cascade->threads, work, &shared);
        status = rung_chunks_end(&shared.chunks, error);
        recorder->computed += shared.computed;
    }
    rung_error written = {0};
    if (may_compute && rung_store_write(recorder->store, &written) != RUNG_OK && status == RUNG_OK) {
        status = rung_fail(error, written.code, "%s", written.message);
    }
    return status;
}
