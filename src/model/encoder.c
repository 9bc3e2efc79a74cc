/* encoder.c: the forward pass over a packed batch, top to bottom: embedding, attention, feed-forward. Called by src/run, which owns the
 * loop over layers. Every sum, product and exponential is a kernel's. See encoder.h.
 * Source: Devlin et al. 2019 (post-norm layer), Eq 9 of the paper (column sums). */
#include "model/encoder.h"

#include "base/checked.h"
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Rows that go through the feed-forward part together. Its weights are read once a block, from beyond the L2 cache: that costs more than
 * an inner state that does not fit there (bert-base: 5 MB of weights, 1.6 MB of state). */
#define FFN_BLOCK_ROWS 132
/* Rows are divided into blocks by this many: the tiles of the kernels. */
#define TILE_ROWS 4

/* Rows of activations in the form that the model's precision multiplies. */
typedef struct rows {
    const float *x; /* [m] rows of stride floats */
    size_t stride;
    rung_q8 q; /* the same rows, int8 only */
} rows;

/* Equal blocks of at most FFN_BLOCK_ROWS, whole tiles. */
static size_t ffn_block_rows(size_t num_rows)
{
    size_t blocks = num_rows > FFN_BLOCK_ROWS ? (num_rows + FFN_BLOCK_ROWS - 1) / FFN_BLOCK_ROWS : 1;
    return ((num_rows + blocks - 1) / blocks + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
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

static rung_layer_scratch lay_out_scratch(const rung_batch *batch, layout *plan)
{
    const rung_model_config *config = &batch->model->config;
    size_t block = batch->max_tokens < FFN_BLOCK_ROWS ? batch->max_tokens : FFN_BLOCK_ROWS;
    rung_layer_scratch scratch = {
        .ffn = take(plan, block, config->intermediate_size * sizeof(float)),
        .attention = take(plan, batch->kernels->attention_scratch_bytes(config->max_tokens, config->head_size), 1),
    };
    if (is_int8(batch)) {
        scratch.ffn_quantized.data = take(plan, block, rung_q8_stride(config->intermediate_size));
        scratch.ffn_quantized.scales = take(plan, block, sizeof(float));
    }
    return scratch;
}

static void lay_out(rung_batch *batch, layout *plan)
{
    const rung_model_config *config = &batch->model->config;
    size_t tokens = batch->max_tokens;
    batch->starts = take(plan, batch->max_sequences + 1, sizeof *batch->starts);
    batch->hidden = take(plan, tokens, config->hidden_size * sizeof(float));
    batch->importance = take(plan, tokens, sizeof(float));
    batch->qkv = take(plan, tokens, 3 * config->hidden_size * sizeof(float));
    batch->context = take(plan, tokens, config->hidden_size * sizeof(float));
    batch->pooled = take(plan, config->hidden_size, sizeof(float));
    batch->scratch = lay_out_scratch(batch, plan);
    if (is_int8(batch)) {
        batch->quantized.data = take(plan, tokens, rung_q8_stride(config->hidden_size));
        batch->quantized.scales = take(plan, tokens, sizeof(float));
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

/* What threads beside the batch's own need. */
static void lay_out_shared(rung_batch *batch, size_t num_helpers, layout *plan)
{
    const rung_model_config *config = &batch->model->config;
    batch->helpers = take(plan, num_helpers, sizeof *batch->helpers);
    batch->head_sums = take(plan, config->num_heads, batch->max_tokens * sizeof(float));
    for (size_t i = 0; i < num_helpers; i++) {
        rung_layer_scratch scratch = lay_out_scratch(batch, plan);
        if (batch->helpers != NULL) {
            batch->helpers[i] = scratch;
        }
    }
}

rung_status rung_batch_share(rung_batch *batch, rung_thread_pool *pool, rung_error *error)
{
    rung_batch made = *batch;
    size_t num_helpers = rung_thread_pool_threads(pool) - 1;
    made.pool = num_helpers > 0 ? pool : NULL;
    made.helpers = NULL;
    made.head_sums = NULL;
    made.shared_memory = NULL;
    if (num_helpers > 0) {
        layout measure = {0};
        lay_out_shared(&made, num_helpers, &measure);
        if (measure.overflow) {
            return rung_fail(error, RUNG_LIMIT, "a batch of %zu tokens for %zu threads does not fit in memory",
                             batch->max_tokens, num_helpers + 1);
        }
        made.shared_memory = rung_alloc_aligned(measure.used_bytes, 1, "batch", error);
        if (made.shared_memory == NULL) {
            return RUNG_NO_MEMORY;
        }
        layout real = {.base = made.shared_memory};
        lay_out_shared(&made, num_helpers, &real);
    }
    free(batch->shared_memory);
    *batch = made;
    return RUNG_OK;
}

void rung_batch_deinit(rung_batch *batch)
{
    free(batch->shared_memory);
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
    rung_encoder_part_done(batch, RUNG_PART_EMBEDDING);
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

/* Rows [first, first + m) of qkv. */
static void project_qkv(const rung_batch *batch, const rung_layer *layer, size_t first, size_t m)
{
    size_t hidden = batch->model->config.hidden_size;
    rung_q8 q = is_int8(batch) ? q8_from_row(batch->quantized, first, hidden) : (rung_q8){0};
    project(batch, &layer->qkv, (rows){batch->hidden + first * hidden, hidden, q}, m, RUNG_EPILOGUE_NONE, NULL,
            batch->qkv + first * 3 * hidden, 3 * hidden);
}

/* qkv -> context for heads [head, head + num_heads) of one sequence. column_sums as in rung_attention: the mean is over these heads. */
static void attend(const rung_batch *batch, size_t sequence, size_t head, size_t num_heads, float *column_sums,
                   void *scratch)
{
    const rung_model_config *config = &batch->model->config;
    size_t hidden = config->hidden_size;
    size_t first = batch->starts[sequence];
    size_t column = head * config->head_size;
    const float *qkv = batch->qkv + first * 3 * hidden + column;
    void (*attention)(const rung_attention *) =
        is_int8(batch) ? batch->kernels->attention_s8 : batch->kernels->attention;
    attention(&(rung_attention){
        .seq_len = batch->starts[sequence + 1] - first,
        .num_heads = num_heads,
        .head_size = config->head_size,
        .q = qkv,
        .k = qkv + hidden,
        .v = qkv + 2 * hidden,
        .stride = 3 * hidden,
        .context = batch->context + first * hidden + column,
        .context_stride = hidden,
        .column_sums = column_sums,
        .scratch = scratch,
    });
}

/* What int8 rounds away need not be computed. */
static rung_epilogue activation(const rung_model_config *config, bool int8)
{
    return int8 && config->activation == RUNG_EPILOGUE_GELU ? RUNG_EPILOGUE_GELU_COARSE : config->activation;
}

/* Everything behind attention for rows [first, first + m): output projection, LayerNorm, feed-forward, LayerNorm. */
static void finish_rows(const rung_batch *batch, const rung_layer *layer, size_t first, size_t m,
                        const rung_layer_scratch *scratch)
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
        rung_encoder_part_done(batch, RUNG_PART_NORM);
    }
    project(batch, &layer->attention_output, (rows){context, hidden, q}, m, RUNG_EPILOGUE_RESIDUAL, state, state,
            hidden);
    rung_encoder_part_done(batch, RUNG_PART_ATTENTION_OUTPUT);
    kernels->layer_norm(state, hidden, m, hidden, layer->attention_norm_gamma, layer->attention_norm_beta,
                        config->layer_norm_eps, state, norm_out);
    rung_encoder_part_done(batch, RUNG_PART_NORM);

    size_t inner = config->intermediate_size;
    project(batch, &layer->ffn_in, (rows){state, hidden, q}, m, activation(config, int8), NULL, scratch->ffn, inner);
    rung_encoder_part_done(batch, RUNG_PART_FFN_IN);
    if (int8) {
        kernels->quantize_rows(scratch->ffn, inner, m, inner, scratch->ffn_quantized);
        rung_encoder_part_done(batch, RUNG_PART_NORM);
    }
    project(batch, &layer->ffn_out, (rows){scratch->ffn, inner, scratch->ffn_quantized}, m, RUNG_EPILOGUE_RESIDUAL,
            state, state, hidden);
    rung_encoder_part_done(batch, RUNG_PART_FFN_OUT);
    kernels->layer_norm(state, hidden, m, hidden, layer->output_norm_gamma, layer->output_norm_beta,
                        config->layer_norm_eps, state, norm_out);
    rung_encoder_part_done(batch, RUNG_PART_NORM);
}

static void layer_alone(rung_batch *batch, const rung_layer *layer, bool with_importance)
{
    const rung_model_config *config = &batch->model->config;
    project_qkv(batch, layer, 0, batch->num_tokens);
    rung_encoder_part_done(batch, RUNG_PART_QKV);
    for (size_t s = 0; s < batch->num_sequences; s++) {
        attend(batch, s, 0, config->num_heads, with_importance ? batch->importance + batch->starts[s] : NULL,
               batch->scratch.attention);
    }
    rung_encoder_part_done(batch, RUNG_PART_ATTENTION);
    size_t block = ffn_block_rows(batch->num_tokens);
    for (size_t first = 0; first < batch->num_tokens; first += block) {
        size_t left = batch->num_tokens - first;
        finish_rows(batch, layer, first, left < block ? left : block, &batch->scratch);
    }
}

/* One layer, as the threads of a pool share it. */
typedef struct shared_layer {
    rung_batch *batch;
    const rung_layer *layer;
    bool with_importance;
    size_t blocks; /* into which the rows are divided */
} shared_layer;

/* The first row of block `index` of `blocks`: whole tiles each, as equal as tiles allow. */
static size_t block_start(size_t num_rows, size_t blocks, size_t index)
{
    size_t tiles = (num_rows + TILE_ROWS - 1) / TILE_ROWS;
    size_t row = (tiles * index + blocks - 1) / blocks * TILE_ROWS;
    return row < num_rows ? row : num_rows;
}

static void project_block(void *context, size_t task, size_t thread)
{
    (void)thread;
    const shared_layer *shared = context;
    size_t num_rows = shared->batch->num_tokens;
    size_t first = block_start(num_rows, shared->blocks, task);
    size_t end = block_start(num_rows, shared->blocks, task + 1);
    if (end > first) {
        project_qkv(shared->batch, shared->layer, first, end - first);
    }
}

static const rung_layer_scratch *scratch_of(const rung_batch *batch, size_t thread)
{
    return thread == 0 ? &batch->scratch : &batch->helpers[thread - 1];
}

/* One head of one sequence; its column sums stay apart until all heads are there. */
static void attend_head(void *context, size_t task, size_t thread)
{
    const shared_layer *shared = context;
    const rung_batch *batch = shared->batch;
    size_t num_heads = batch->model->config.num_heads;
    size_t sequence = task / num_heads;
    size_t head = task % num_heads;
    size_t first = batch->starts[sequence];
    float *sums = NULL;
    if (shared->with_importance) {
        sums = batch->head_sums + head * batch->max_tokens + first;
        memset(sums, 0, (batch->starts[sequence + 1] - first) * sizeof *sums);
    }
    attend(batch, sequence, head, 1, sums, scratch_of(batch, thread)->attention);
}

/* In the order in which one call for all heads adds them up. */
static void add_head_sums(rung_batch *batch)
{
    size_t num_heads = batch->model->config.num_heads;
    for (size_t i = 0; i < batch->num_tokens; i++) {
        float sum = 0;
        for (size_t head = 0; head < num_heads; head++) {
            sum += batch->head_sums[head * batch->max_tokens + i];
        }
        batch->importance[i] += sum / (float)num_heads;
    }
}

static void finish_block(void *context, size_t task, size_t thread)
{
    const shared_layer *shared = context;
    const rung_batch *batch = shared->batch;
    size_t first = block_start(batch->num_tokens, shared->blocks, task);
    size_t end = block_start(batch->num_tokens, shared->blocks, task + 1);
    if (end > first) {
        finish_rows(batch, shared->layer, first, end - first, scratch_of(batch, thread));
    }
}

static void layer_together(rung_batch *batch, const rung_layer *layer, bool with_importance)
{
    const rung_model_config *config = &batch->model->config;
    size_t threads = rung_thread_pool_threads(batch->pool);
    shared_layer shared = {.batch = batch, .layer = layer, .with_importance = with_importance, .blocks = threads};
    rung_thread_pool_run(batch->pool, project_block, &shared, shared.blocks);
    rung_thread_pool_run(batch->pool, attend_head, &shared, batch->num_sequences * config->num_heads);
    if (with_importance) {
        add_head_sums(batch);
    }
    size_t in_scratch = threads * FFN_BLOCK_ROWS;
    shared.blocks = threads * ((batch->num_tokens + in_scratch - 1) / in_scratch);
    rung_thread_pool_run(batch->pool, finish_block, &shared, shared.blocks);
}

void rung_encoder_layer(rung_batch *batch, size_t layer, bool with_importance)
{
    const rung_layer *weights = &batch->model->layers[layer];
    if (batch->pool == NULL) {
        layer_alone(batch, weights, with_importance);
    } else {
        layer_together(batch, weights, with_importance);
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
