/* encoder.c: the forward pass over a packed batch, top to bottom: embedding, attention, feed-forward. Called by src/run, which owns the
 * loop over layers. Every sum, product and exponential is a kernel's. See encoder.h.
 * Source: Devlin et al. 2019 (post-norm layer), Eq 9 of the paper (column sums). */
#include "model/encoder.h"

#include "base/checked.h"
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The feed-forward part runs in blocks of rows whose inner state stays in the L2 cache. */
#define FFN_BLOCK_BYTES (512u << 10)
#define FFN_BLOCK_MULTIPLE 12

/* Rows of activations in the form that the model's precision multiplies. */
typedef struct rows {
    const float *x; /* [m] rows of stride floats */
    size_t stride;
    rung_q8 q; /* the same rows, int8 only */
} rows;

static size_t ffn_block_rows(const rung_model_config *config)
{
    size_t block = FFN_BLOCK_BYTES / (config->intermediate_size * sizeof(float));
    return block < FFN_BLOCK_MULTIPLE ? FFN_BLOCK_MULTIPLE : block / FFN_BLOCK_MULTIPLE * FFN_BLOCK_MULTIPLE;
}

static bool is_int8(const rung_batch *batch)
{
    return batch->model->precision == RUNG_PRECISION_INT8;
}

static rung_q8 q8_from_row(rung_q8 q, size_t row, size_t k)
{
    return (rung_q8){.data = q.data + row * rung_q8_stride(k), .scales = q.scales + row};
}

/* Takes every buffer of the batch from the arena; with a measuring arena (base NULL) only the sizes add up. */
typedef struct layout {
    uint8_t *base;
    size_t used_bytes;
    bool overflow;
} layout;

static void *take(layout *plan, size_t count, size_t size)
{
    size_t bytes;
    /* 64 more: vector loads may run past the last element. */
    if (!rung_mul_size(count, size, &bytes) || !rung_add_size(bytes, 2 * RUNG_ALIGNMENT, &bytes)) {
        plan->overflow = true;
        return NULL;
    }
    size_t start = plan->used_bytes;
    if (!rung_add_size(start, bytes / RUNG_ALIGNMENT * RUNG_ALIGNMENT, &plan->used_bytes)) {
        plan->overflow = true;
    }
    return plan->base == NULL ? NULL : plan->base + start;
}

static void lay_out(rung_batch *batch, layout *plan)
{
    const rung_model_config *config = &batch->model->config;
    size_t tokens = batch->max_tokens;
    size_t block = ffn_block_rows(config);
    batch->starts = take(plan, batch->max_sequences + 1, sizeof *batch->starts);
    batch->hidden = take(plan, tokens, config->hidden_size * sizeof(float));
    batch->importance = take(plan, tokens, sizeof(float));
    batch->qkv = take(plan, tokens, 3 * config->hidden_size * sizeof(float));
    batch->context = take(plan, tokens, config->hidden_size * sizeof(float));
    batch->ffn = take(plan, block, config->intermediate_size * sizeof(float));
    batch->pooled = take(plan, config->hidden_size, sizeof(float));
    batch->attention_scratch =
        take(plan, batch->kernels->attention_scratch_bytes(config->max_tokens, config->head_size), 1);
    if (is_int8(batch)) {
        batch->quantized.data = take(plan, tokens, rung_q8_stride(config->hidden_size));
        batch->quantized.scales = take(plan, tokens, sizeof(float));
        batch->ffn_quantized.data = take(plan, block, rung_q8_stride(config->intermediate_size));
        batch->ffn_quantized.scales = take(plan, block, sizeof(float));
    }
}

rung_status rung_batch_init(rung_batch *batch, const rung_model *model, const rung_kernels *kernels, size_t max_tokens,
                            size_t max_sequences, rung_error *error)
{
    if (max_tokens < 1 || max_sequences < 1) {
        return rung_fail(error, RUNG_INVALID, "a batch of %zu tokens and %zu sequences: at least 1 of each is needed",
                         max_tokens, max_sequences);
    }
    rung_batch made = {.model = model, .kernels = kernels, .max_tokens = max_tokens, .max_sequences = max_sequences};
    layout measure = {0};
    lay_out(&made, &measure);
    if (measure.overflow) {
        return rung_fail(error, RUNG_LIMIT, "a batch of %zu tokens does not fit in memory", max_tokens);
    }
    made.memory = rung_alloc_aligned(measure.used_bytes, 1, "batch", error);
    if (made.memory == NULL) {
        return RUNG_NO_MEMORY;
    }
    made.memory_bytes = measure.used_bytes;
    layout real = {.base = made.memory};
    lay_out(&made, &real);
    *batch = made;
    return RUNG_OK;
}

void rung_batch_deinit(rung_batch *batch)
{
    free(batch->memory);
    *batch = (rung_batch){0};
}

void rung_batch_clear(rung_batch *batch)
{
    batch->num_sequences = 0;
    batch->num_tokens = 0;
    batch->starts[0] = 0;
}

bool rung_batch_fits(const rung_batch *batch, size_t tokens)
{
    return batch->num_sequences < batch->max_sequences && tokens <= batch->max_tokens - batch->num_tokens;
}

/* word + type + position, in that order, then LayerNorm. out: [hidden] */
static void embed_token(const rung_model *model, int32_t id, uint8_t type_id, size_t position, float *out)
{
    size_t hidden = model->config.hidden_size;
    const float *type = model->type_embedding + type_id * hidden;
    const float *place = model->position_embedding + position * hidden;
    rung_word_embedding_row(&model->word_embedding, hidden, id, out);
    for (size_t i = 0; i < hidden; i++) {
        out[i] = out[i] + type[i] + place[i];
    }
}

void rung_batch_add(rung_batch *batch, const int32_t *ids, const uint8_t *type_ids, size_t count)
{
    const rung_model *model = batch->model;
    const rung_model_config *config = &model->config;
    assert(count >= 1 && count <= config->max_tokens && rung_batch_fits(batch, count));
    size_t first = batch->num_tokens;
    float *state = batch->hidden + first * config->hidden_size;
    for (size_t i = 0; i < count; i++) {
        assert(ids[i] >= 0 && (size_t)ids[i] < config->vocab_size && type_ids[i] < config->type_vocab_size);
        embed_token(model, ids[i], type_ids[i], i, state + i * config->hidden_size);
    }
    rung_q8 q = {0};
    if (is_int8(batch)) {
        q = q8_from_row(batch->quantized, first, config->hidden_size);
    }
    batch->kernels->layer_norm(state, config->hidden_size, count, config->hidden_size, model->embedding_norm_gamma,
                               model->embedding_norm_beta, config->layer_norm_eps, state, is_int8(batch) ? &q : NULL);
    memset(batch->importance + first, 0, count * sizeof *batch->importance);
    batch->num_sequences++;
    batch->num_tokens += count;
    batch->starts[batch->num_sequences] = batch->num_tokens;
}

static void project(const rung_batch *batch, const rung_linear *linear, rows in, size_t m, rung_epilogue epilogue,
                    const float *residual, float *y, size_t y_stride)
{
    if (is_int8(batch)) {
        batch->kernels->linear_s8(&linear->s8, in.q, m, epilogue, residual, y, y_stride);
    } else {
        batch->kernels->linear_f32(&linear->f32, in.x, in.stride, m, epilogue, residual, y, y_stride);
    }
}

/* qkv -> context, sequence by sequence. */
static void attend(rung_batch *batch, bool with_importance)
{
    const rung_model_config *config = &batch->model->config;
    size_t hidden = config->hidden_size;
    void (*attention)(const rung_attention *) =
        is_int8(batch) ? batch->kernels->attention_s8 : batch->kernels->attention;
    for (size_t s = 0; s < batch->num_sequences; s++) {
        size_t first = batch->starts[s];
        const float *qkv = batch->qkv + first * 3 * hidden;
        attention(&(rung_attention){
            .seq_len = batch->starts[s + 1] - first,
            .num_heads = config->num_heads,
            .head_size = config->head_size,
            .q = qkv,
            .k = qkv + hidden,
            .v = qkv + 2 * hidden,
            .stride = 3 * hidden,
            .context = batch->context + first * hidden,
            .context_stride = hidden,
            .column_sums = with_importance ? batch->importance + first : NULL,
            .scratch = batch->attention_scratch,
        });
    }
}

/* Everything behind attention for rows [first, first + m): output projection, LayerNorm, feed-forward, LayerNorm. */
static void finish_rows(rung_batch *batch, const rung_layer *layer, size_t first, size_t m)
{
    const rung_model_config *config = &batch->model->config;
    const rung_kernels *kernels = batch->kernels;
    size_t hidden = config->hidden_size;
    bool int8 = is_int8(batch);
    float *state = batch->hidden + first * hidden;
    float *context = batch->context + first * hidden;
    rung_q8 q = int8 ? q8_from_row(batch->quantized, first, hidden) : (rung_q8){0};
    const rung_q8 *norm_out = int8 ? &q : NULL;

    if (int8) {
        kernels->quantize_rows(context, hidden, m, hidden, q);
    }
    project(batch, &layer->attention_output, (rows){context, hidden, q}, m, RUNG_EPILOGUE_RESIDUAL, state, state,
            hidden);
    kernels->layer_norm(state, hidden, m, hidden, layer->attention_norm_gamma, layer->attention_norm_beta,
                        config->layer_norm_eps, state, norm_out);

    size_t inner = config->intermediate_size;
    project(batch, &layer->ffn_in, (rows){state, hidden, q}, m, config->activation, NULL, batch->ffn, inner);
    if (int8) {
        kernels->quantize_rows(batch->ffn, inner, m, inner, batch->ffn_quantized);
    }
    project(batch, &layer->ffn_out, (rows){batch->ffn, inner, batch->ffn_quantized}, m, RUNG_EPILOGUE_RESIDUAL, state,
            state, hidden);
    kernels->layer_norm(state, hidden, m, hidden, layer->output_norm_gamma, layer->output_norm_beta,
                        config->layer_norm_eps, state, norm_out);
}

void rung_encoder_layer(rung_batch *batch, size_t layer, bool with_importance)
{
    const rung_model_config *config = &batch->model->config;
    const rung_layer *weights = &batch->model->layers[layer];
    size_t hidden = config->hidden_size;
    project(batch, &weights->qkv, (rows){batch->hidden, hidden, batch->quantized}, batch->num_tokens,
            RUNG_EPILOGUE_NONE, NULL, batch->qkv, 3 * hidden);
    attend(batch, with_importance);
    size_t block = ffn_block_rows(config);
    for (size_t first = 0; first < batch->num_tokens; first += block) {
        size_t left = batch->num_tokens - first;
        finish_rows(batch, weights, first, left < block ? left : block);
    }
}

/* Moves the rows of one kept sequence down to row `to`. */
static void move_rows(rung_batch *batch, size_t from, size_t to, size_t count)
{
    size_t hidden = batch->model->config.hidden_size;
    memmove(batch->hidden + to * hidden, batch->hidden + from * hidden, count * hidden * sizeof(float));
    memmove(batch->importance + to, batch->importance + from, count * sizeof(float));
    if (is_int8(batch)) {
        size_t stride = rung_q8_stride(hidden);
        memmove(batch->quantized.data + to * stride, batch->quantized.data + from * stride, count * stride);
        memmove(batch->quantized.scales + to, batch->quantized.scales + from, count * sizeof(float));
    }
}

void rung_batch_keep(rung_batch *batch, const bool *keep)
{
    size_t kept = 0;
    size_t tokens = 0;
    for (size_t s = 0; s < batch->num_sequences; s++) {
        size_t first = batch->starts[s];
        size_t count = batch->starts[s + 1] - first;
        if (!keep[s]) {
            continue;
        }
        if (first != tokens) {
            move_rows(batch, first, tokens, count);
        }
        tokens += count;
        kept++;
        batch->starts[kept] = tokens; /* kept <= s + 1: entries still to be read are not overwritten before */
    }
    batch->num_sequences = kept;
    batch->num_tokens = tokens;
}
