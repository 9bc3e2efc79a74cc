/* record.c: logits of every exit and [CLS] states for every input, on all threads. See record.h. */
#include "fit/record.h"

#include "base/memory.h"
#include "base/parallel.h"
#include "fit/chunks.h"
#include "run/batch_run.h"

#include <stdlib.h>

#define CHUNK 16 /* inputs that a worker takes at a time */

/* One call, shared by its workers. */
typedef struct recording {
    const rung_cascade *cascade;
    uint32_t level;
    const rung_input *inputs;
    float *logits; /* NULL: not wanted */
    float *states; /* NULL: not wanted */
    rung_chunks chunks;
} recording;

/* What a worker owns. */
typedef struct recorder {
    rung_batch batch;
    rung_encoding tokens[CHUNK];
    rung_job jobs[CHUNK];
    float *exit_logits; /* [CHUNK, layers + 1, classes]: every exit, then the last one asked */
    double *workspace;  /* [CHUNK, 2 classes] */
} recorder;

static const rung_model *model_of(const recording *shared)
{
    return shared->cascade->level[shared->level - 1].model;
}

static rung_status open_recorder(const recording *shared, recorder *self, rung_error *error)
{
    const rung_model *model = model_of(shared);
    size_t classes = shared->cascade->num_classes;
    size_t tokens = shared->cascade->batch_tokens;
    tokens = tokens > model->config.max_tokens ? tokens : model->config.max_tokens;
    self->exit_logits = rung_alloc(CHUNK * (model->config.num_layers + 1) * classes, sizeof(float), "logits", error);
    self->workspace = rung_alloc(CHUNK * 2 * classes, sizeof(double), "probabilities", error);
    if (self->exit_logits == NULL || self->workspace == NULL) {
        return RUNG_NO_MEMORY;
    }
    return rung_batch_init(&self->batch, model, shared->cascade->kernels, tokens, CHUNK, error);
}

static void close_recorder(recorder *self)
{
    rung_batch_deinit(&self->batch);
    for (size_t i = 0; i < CHUNK; i++) {
        rung_encoding_deinit(&self->tokens[i]);
    }
    free(self->exit_logits);
    free(self->workspace);
}

/* Copies one input's logits into the cascade's order of classes. */
static void store(const recording *shared, size_t input, const float *exit_logits)
{
    const rung_cascade_level *level = &shared->cascade->level[shared->level - 1];
    size_t classes = shared->cascade->num_classes;
    size_t layers = level->model->config.num_layers;
    if (shared->logits == NULL) {
        return;
    }
    float *out = shared->logits + input * layers * classes;
    for (size_t e = 0; e < layers; e++) {
        for (size_t c = 0; c < classes; c++) {
            out[e * classes + level->class_of[c]] = exit_logits[e * classes + c];
        }
    }
}

static rung_status record_chunk(const recording *shared, recorder *self, size_t first, size_t count, rung_error *error)
{
    static const rung_exit_policy all_layers = {.rule = RUNG_EXIT_OFF, .patience = 1, .first_layer = 1};
    const rung_model *model = model_of(shared);
    size_t classes = shared->cascade->num_classes;
    size_t stride = (model->config.num_layers + 1) * classes;
    rung_job *jobs[CHUNK];
    for (size_t i = 0; i < count; i++) {
        const rung_input *input = &shared->inputs[first + i];
        rung_text text = {input->text, input->text_bytes};
        rung_text pair = {input->text_pair, input->text_pair_bytes};
        rung_status status = rung_tokenize(model->tokenizer, text, input->text_pair != NULL ? &pair : NULL,
                                           model->config.max_tokens, &self->tokens[i], error);
        if (status != RUNG_OK) {
            return rung_fail_in(error, "input %zu", first + i);
        }
        float *exit_logits = self->exit_logits + i * stride;
        self->jobs[i] = (rung_job){.ids = self->tokens[i].ids,
                                   .type_ids = self->tokens[i].type_ids,
                                   .num_tokens = self->tokens[i].length,
                                   .all_logits = exit_logits,
                                   .logits = exit_logits + model->config.num_layers * classes};
        if (shared->states != NULL) {
            size_t floats = model->config.num_layers * model->config.hidden_size;
            self->jobs[i].all_states = shared->states + (first + i) * floats;
        }
        rung_exit_init(&self->jobs[i].exit, &all_layers, &shared->cascade->calibration.level[shared->level - 1],
                       (uint32_t)classes, self->workspace + i * 2 * classes);
        jobs[i] = &self->jobs[i];
    }
    rung_batch_run(&self->batch, jobs, count, 0, NULL);
    for (size_t i = 0; i < count; i++) {
        store(shared, first + i, self->exit_logits + i * stride);
    }
    return RUNG_OK;
}

static void work(void *context, size_t index)
{
    (void)index;
    recording *shared = context;
    rung_error error = {0};
    recorder self = {0};
    rung_status status = open_recorder(shared, &self, &error);
    size_t first = 0;
    for (size_t count = 0; status == RUNG_OK && (count = rung_chunks_take(&shared->chunks, &first, count)) > 0;) {
        status = record_chunk(shared, &self, first, count, &error);
    }
    rung_chunks_leave(&shared->chunks, status, &error);
    close_recorder(&self);
}

rung_status rung_fit_record_states(const rung_cascade *cascade, uint32_t level, const rung_input *inputs, size_t count,
                                   const rung_progress *progress, float *logits, float *states, rung_error *error)
{
    recording shared = {.cascade = cascade, .level = level, .inputs = inputs, .logits = logits, .states = states};
    rung_chunks_init(&shared.chunks, count, CHUNK, progress, cascade->level[level - 1].name);
    rung_parallel(cascade->threads, work, &shared);
    return rung_chunks_end(&shared.chunks, error);
}

rung_status rung_fit_record(const rung_cascade *cascade, uint32_t level, const rung_input *inputs, size_t count,
                            const rung_progress *progress, float *logits, rung_error *error)
{
    return rung_fit_record_states(cascade, level, inputs, count, progress, logits, NULL, error);
}
