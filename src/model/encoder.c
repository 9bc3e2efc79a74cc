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

static void *lay_out_attention(const rung_batch *batch, layout *plan)
{
    const rung_model_config *config = &batch->model->config;
    return take(plan, batch->kernels->attention_scratch_bytes(config->max_tokens, config->head_size), 1);
}

static void lay_out_ffn(rung_batch *batch, layout *plan)
{
    const rung_model_config *config = &batch->model->config;
    size_t block = batch->max_tokens < FFN_BLOCK_ROWS ? batch->max_tokens : FFN_BLOCK_ROWS;
    batch->ffn = take(plan, block, config->intermediate_size * sizeof(float));
    if (is_int8(batch)) {
        batch->ffn_quantized.data = take(plan, block, rung_q8_stride(config->intermediate_size));
        batch->ffn_quantized.scales = take(plan, block, sizeof(float));
    }
}

static void lay_out(rung_batch *batch, layout *plan)
{
    const rung_model_config *config = &batch->model->config;
    size_t tokens = batch->max_tokens;
    batch->starts = take(plan, batch->max_sequences + 1, sizeof *batch->starts);
    batch->hidden = take(plan, tokens, config->hidden_size * sizeof(float));
    batch->importance = take(plan, tokens, sizeof(float));
    batch->token_keep = take(plan, tokens, sizeof *batch->token_keep);
    batch->qkv = take(plan, tokens, 3 * config->hidden_size * sizeof(float));
    batch->context = take(plan, tokens, config->hidden_size * sizeof(float));
    batch->pooled = take(plan, config->hidden_size, sizeof(float));
    batch->attention_scratch = lay_out_attention(batch, plan);
    lay_out_ffn(batch, plan);
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
    batch->helper_scratch = take(plan, num_helpers, sizeof *batch->helper_scratch);
    batch->head_sums = take(plan, batch->model->config.num_heads, batch->max_tokens * sizeof(float));
    for (size_t i = 0; i < num_helpers; i++) {
        void *scratch = lay_out_attention(batch, plan);
        if (batch->helper_scratch != NULL) {
            batch->helper_scratch[i] = scratch;
        }
    }
}

rung_status rung_batch_share(rung_batch *batch, rung_thread_pool *pool, rung_error *error)
{
    rung_batch made = *batch;
    size_t num_helpers = rung_thread_pool_threads(pool) - 1;
    made.pool = num_helpers > 0 ? pool : NULL;
    made.helper_scratch = NULL;
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

/* word + type + position, in that order; LayerNorm follows. out: [hidden] */
static void embed_token(const rung_model *model, int32_t id, uint8_t type_id, size_t position, float *out)
{
    const rung_model_config *config = &model->config;
    size_t hidden = config->hidden_size;
    const float *place = model->position_embedding + position * hidden;
    rung_word_embedding_row(&model->word_embedding, hidden, id, out);
    if (model->type_embedding != NULL) {
        const float *type = model->type_embedding + (config->ignores_type_ids ? 0 : type_id * hidden);
        for (size_t i = 0; i < hidden; i++) {
            out[i] += type[i];
        }
    }
    for (size_t i = 0; i < hidden; i++) {
        out[i] += place[i];
    }
}

/* The rows of one sequence before LayerNorm. state: [count, hidden] */
static void embed_sequence(const rung_model *model, const int32_t *ids, const uint8_t *type_ids, size_t count,
                           float *state)
{
    const rung_model_config *config = &model->config;
    int32_t last = config->padding_id;
    for (size_t i = 0; i < count; i++) {
        assert(ids[i] >= 0 && (size_t)ids[i] < config->vocab_size);
        assert(config->ignores_type_ids || type_ids[i] < config->type_vocab_size);
        int32_t position = ids[i] == config->padding_id ? config->padding_id : ++last;
        embed_token(model, ids[i], type_ids[i], (size_t)position, state + i * config->hidden_size);
    }
}

void rung_batch_add(rung_batch *batch, const int32_t *ids, const uint8_t *type_ids, size_t count)
{
    const rung_model *model = batch->model;
    const rung_model_config *config = &model->config;
    assert(count >= 1 && count <= config->max_tokens && rung_batch_fits(batch, count));
    size_t first = batch->num_tokens;
    float *state = batch->hidden + first * config->hidden_size;
    embed_sequence(model, ids, type_ids, count, state);
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

/* ---- The steps of a layer. Each is divided among the threads of the batch's pool: projections by columns, so that every weight is read by one
 * thread; attention by heads; the rest by rows. Without a pool it is one part. ---- */

static size_t parts_of(const rung_batch *batch)
{
    return rung_thread_pool_threads(batch->pool);
}

/* The first of `count` things that belong to part `part` of `parts`. */
static size_t part_start(size_t count, size_t parts, size_t part)
{
    return count * part / parts;
}

typedef struct projection {
    const rung_batch *batch;
    const rung_linear *linear;
    rows in;
    size_t m;
    rung_epilogue epilogue;
    const float *residual; /* rows of y_stride, or NULL */
    float *y;
    size_t y_stride;
} projection;

/* Panels [first, end) of an int8 layer as a layer of their own. */
static rung_linear_s8 panels_s8(const rung_linear_s8 *w, size_t first, size_t end)
{
    size_t column = first * RUNG_PANEL;
    size_t columns = (end - first) * RUNG_PANEL;
    size_t left = w->out_features - column;
    return (rung_linear_s8){.in_features = w->in_features,
                            .out_features = columns < left ? columns : left,
                            .panels = w->panels + column * rung_round_up(w->in_features, 4),
                            .scales = w->scales + column,
                            .column_sums = w->column_sums + column,
                            .bias = w->bias + column};
}

static rung_linear_f32 panels_f32(const rung_linear_f32 *w, size_t first, size_t end)
{
    size_t column = first * RUNG_PANEL;
    size_t columns = (end - first) * RUNG_PANEL;
    size_t left = w->out_features - column;
    return (rung_linear_f32){.in_features = w->in_features,
                             .out_features = columns < left ? columns : left,
                             .panels = w->panels + column * w->in_features,
                             .bias = w->bias + column};
}

static void project_part(void *context, size_t part, size_t thread)
{
    (void)thread;
    const projection *p = context;
    bool int8 = is_int8(p->batch);
    size_t out = int8 ? p->linear->s8.out_features : p->linear->f32.out_features;
    size_t panels = (out + RUNG_PANEL - 1) / RUNG_PANEL;
    size_t first = part_start(panels, parts_of(p->batch), part);
    size_t end = part_start(panels, parts_of(p->batch), part + 1);
    if (first == end) {
        return;
    }
    const float *residual = p->residual != NULL ? p->residual + first * RUNG_PANEL : NULL;
    float *y = p->y + first * RUNG_PANEL;
    if (int8) {
        rung_linear_s8 w = panels_s8(&p->linear->s8, first, end);
        p->batch->kernels->linear_s8(&w, p->in.q, p->m, p->epilogue, residual, y, p->y_stride);
    } else {
        rung_linear_f32 w = panels_f32(&p->linear->f32, first, end);
        p->batch->kernels->linear_f32(&w, p->in.x, p->in.stride, p->m, p->epilogue, residual, y, p->y_stride);
    }
}

static void project(projection p)
{
    rung_thread_pool_run(p.batch->pool, project_part, &p, parts_of(p.batch));
}

/* LayerNorm in place, then quantisation; quantisation alone when gamma is NULL. */
typedef struct row_pass {
    const rung_batch *batch;
    float *x; /* [m, n] */
    size_t m;
    size_t n;
    const float *gamma, *beta;
    rung_q8 out; /* int8 only */
} row_pass;

static void pass_part(void *context, size_t part, size_t thread)
{
    (void)thread;
    const row_pass *p = context;
    const rung_kernels *kernels = p->batch->kernels;
    bool int8 = is_int8(p->batch);
    size_t first = part_start(p->m, parts_of(p->batch), part);
    size_t m = part_start(p->m, parts_of(p->batch), part + 1) - first;
    float *x = p->x + first * p->n;
    rung_q8 out = int8 ? q8_from_row(p->out, first, p->n) : (rung_q8){0};
    if (p->gamma == NULL) {
        kernels->quantize_rows(x, p->n, m, p->n, out);
    } else {
        kernels->layer_norm(x, p->n, m, p->n, p->gamma, p->beta, p->batch->model->config.layer_norm_eps, x,
                            int8 ? &out : NULL);
    }
}

static void pass_over_rows(row_pass p)
{
    if (p.gamma != NULL || is_int8(p.batch)) {
        rung_thread_pool_run(p.batch->pool, pass_part, &p, parts_of(p.batch));
        rung_encoder_part_done(p.batch, RUNG_PART_NORM);
    }
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

typedef struct shared_attention {
    const rung_batch *batch;
    bool with_importance;
} shared_attention;

/* One head of one sequence; its column sums stay apart until all heads are there. */
static void attend_head(void *context, size_t task, size_t thread)
{
    const shared_attention *shared = context;
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
    attend(batch, sequence, head, 1, sums, thread == 0 ? batch->attention_scratch : batch->helper_scratch[thread - 1]);
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

static void attend_all(rung_batch *batch, bool with_importance)
{
    size_t num_heads = batch->model->config.num_heads;
    if (batch->pool != NULL) {
        shared_attention shared = {batch, with_importance};
        rung_thread_pool_run(batch->pool, attend_head, &shared, batch->num_sequences * num_heads);
        if (with_importance) {
            add_head_sums(batch);
        }
        return;
    }
    for (size_t s = 0; s < batch->num_sequences; s++) {
        attend(batch, s, 0, num_heads, with_importance ? batch->importance + batch->starts[s] : NULL,
               batch->attention_scratch);
    }
}

/* What int8 rounds away need not be computed. */
static rung_epilogue activation(const rung_model_config *config, bool int8)
{
    return int8 && config->activation == RUNG_EPILOGUE_GELU ? RUNG_EPILOGUE_GELU_COARSE : config->activation;
}

/* Everything behind attention for rows [first, first + m): output projection, LayerNorm, feed-forward, LayerNorm. */
static void finish_rows(const rung_batch *batch, const rung_layer *layer, size_t first, size_t m)
{
    const rung_model_config *config = &batch->model->config;
    size_t hidden = config->hidden_size;
    size_t inner = config->intermediate_size;
    bool int8 = is_int8(batch);
    float *state = batch->hidden + first * hidden;
    float *context = batch->context + first * hidden;
    rung_q8 q = int8 ? q8_from_row(batch->quantized, first, hidden) : (rung_q8){0};

    pass_over_rows((row_pass){batch, context, m, hidden, NULL, NULL, q});
    project((projection){
        batch, &layer->attention_output, {context, hidden, q}, m, RUNG_EPILOGUE_RESIDUAL, state, state, hidden});
    rung_encoder_part_done(batch, RUNG_PART_ATTENTION_OUTPUT);
    pass_over_rows((row_pass){batch, state, m, hidden, layer->attention_norm_gamma, layer->attention_norm_beta, q});

    project(
        (projection){batch, &layer->ffn_in, {state, hidden, q}, m, activation(config, int8), NULL, batch->ffn, inner});
    rung_encoder_part_done(batch, RUNG_PART_FFN_IN);
    pass_over_rows((row_pass){batch, batch->ffn, m, inner, NULL, NULL, batch->ffn_quantized});
    project((projection){batch,
                         &layer->ffn_out,
                         {batch->ffn, inner, batch->ffn_quantized},
                         m,
                         RUNG_EPILOGUE_RESIDUAL,
                         state,
                         state,
                         hidden});
    rung_encoder_part_done(batch, RUNG_PART_FFN_OUT);
    pass_over_rows((row_pass){batch, state, m, hidden, layer->output_norm_gamma, layer->output_norm_beta, q});
}

void rung_encoder_layer(rung_batch *batch, size_t layer, bool with_importance)
{
    const rung_layer *weights = &batch->model->layers[layer];
    size_t hidden = batch->model->config.hidden_size;
    project((projection){batch,
                         &weights->qkv,
                         {batch->hidden, hidden, batch->quantized},
                         batch->num_tokens,
                         RUNG_EPILOGUE_NONE,
                         NULL,
                         batch->qkv,
                         3 * hidden});
    rung_encoder_part_done(batch, RUNG_PART_QKV);
    attend_all(batch, with_importance);
    rung_encoder_part_done(batch, RUNG_PART_ATTENTION);
    size_t block = ffn_block_rows(batch->num_tokens);
    for (size_t first = 0; first < batch->num_tokens; first += block) {
        size_t left = batch->num_tokens - first;
        finish_rows(batch, weights, first, left < block ? left : block);
    }
}

/* Moves `count` kept rows down to row `to`. */
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

void rung_batch_keep_tokens(rung_batch *batch, const bool *keep)
{
    size_t kept = 0;
    size_t token = 0;
    for (size_t s = 0; s < batch->num_sequences; s++) {
        size_t end = batch->starts[s + 1]; /* not yet overwritten */
        assert(keep[token]);
        while (token < end) {
            size_t run = 0;
            while (token + run < end && keep[token + run]) {
                run++;
            }
            if (run > 0 && token != kept) {
                move_rows(batch, token, kept, run);
            }
            kept += run;
            token += run > 0 ? run : 1;
        }
        batch->starts[s + 1] = kept;
    }
    batch->num_tokens = kept;
}
