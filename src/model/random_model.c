/* random_model.c: random weights in a given shape. See random_model.h. */
#include "model/random_model.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/prng.h"

#include <stdlib.h>
#include <string.h>

#define RANDOM_VOCAB 1024
#define BLOCKS_PER_LAYER 20

/* The model under construction; the first failed allocation makes all later ones fail. */
typedef struct model_maker {
    rung_model *model;
    rung_prng prng;
    rung_error *error;
    bool failed;
} model_maker;

static void *own(model_maker *maker, size_t count, size_t size)
{
    void *block = maker->failed ? NULL : rung_alloc_aligned(count, size, "random model", maker->error);
    if (block == NULL) {
        maker->failed = true;
    } else {
        maker->model->owned[maker->model->num_owned++] = block;
    }
    return block;
}

/* count values in [center - spread, center + spread), `filled` of them not zero. */
static float *floats(model_maker *maker, size_t count, size_t filled, float center, float spread)
{
    float *values = own(maker, count, sizeof *values);
    for (size_t i = 0; values != NULL && i < filled; i++) {
        values[i] = center + spread * (float)(2 * rung_prng_uniform(&maker->prng) - 1);
    }
    return values;
}

/* Weights of trained models crowd around 0, a third of the largest one wide, and what kernels can do depends on that: the mean of four
 * random bytes, about normal. */
static int8_t bell(rung_prng *prng)
{
    uint64_t bytes = rung_prng_next(prng);
    int sum = 0;
    for (size_t i = 0; i < 4; i++) {
        sum += (int8_t)(bytes >> (8 * i));
    }
    return (int8_t)(sum / 4);
}

static rung_linear_s8 linear_s8(model_maker *maker, size_t in, size_t out)
{
    size_t padded = rung_round_up(out, RUNG_PANEL);
    int8_t *panels = own(maker, rung_linear_s8_panel_bytes(in, out), 1);
    int32_t *sums = own(maker, padded, sizeof *sums);
    int8_t *weights = maker->failed ? NULL : rung_alloc_aligned(in * out, 1, "random model", maker->error);
    if (weights == NULL) {
        maker->failed = true;
        return (rung_linear_s8){0};
    }
    for (size_t i = 0; i < in * out; i++) {
        weights[i] = bell(&maker->prng);
    }
    rung_pack_s8(weights, in, out, panels, sums);
    free(weights);
    float scale = 1.0f / (127.0f * (float)in);
    return (rung_linear_s8){.in_features = in,
                            .out_features = out,
                            .panels = panels,
                            .scales = floats(maker, padded, out, 40 * scale, scale),
                            .column_sums = sums,
                            .bias = floats(maker, padded, out, 0, 0.1f)};
}

static rung_linear_f32 linear_f32(model_maker *maker, size_t in, size_t out)
{
    float *panels = own(maker, rung_linear_f32_panel_floats(in, out), sizeof *panels);
    float *weights = floats(maker, in * out, in * out, 0, 20.0f / (float)in);
    if (weights != NULL && panels != NULL) {
        rung_pack_f32(weights, in, out, panels);
    }
    return (rung_linear_f32){.in_features = in,
                             .out_features = out,
                             .panels = panels,
                             .bias = floats(maker, rung_round_up(out, RUNG_PANEL), out, 0, 0.1f)};
}

static rung_linear linear(model_maker *maker, size_t in, size_t out)
{
    if (maker->model->precision == RUNG_PRECISION_INT8) {
        return (rung_linear){.s8 = linear_s8(maker, in, out)};
    }
    return (rung_linear){.f32 = linear_f32(maker, in, out)};
}

static void fill_layer(model_maker *maker, rung_layer *layer)
{
    size_t hidden = maker->model->config.hidden_size;
    size_t inner = maker->model->config.intermediate_size;
    layer->qkv = linear(maker, hidden, 3 * hidden);
    layer->attention_output = linear(maker, hidden, hidden);
    layer->ffn_in = linear(maker, hidden, inner);
    layer->ffn_out = linear(maker, inner, hidden);
    layer->attention_norm_gamma = floats(maker, hidden, hidden, 1, 0.1f);
    layer->attention_norm_beta = floats(maker, hidden, hidden, 0, 0.1f);
    layer->output_norm_gamma = floats(maker, hidden, hidden, 1, 0.1f);
    layer->output_norm_beta = floats(maker, hidden, hidden, 0, 0.1f);
}

static void fill_model(model_maker *maker)
{
    rung_model *model = maker->model;
    const rung_model_config *config = &model->config;
    size_t hidden = config->hidden_size;
    model->word_embedding.rest = (rung_embedding_table){
        .dtype = RUNG_F32,
        .rows = (uint8_t *)floats(maker, config->vocab_size * hidden, config->vocab_size * hidden, 0, 1),
        .row_bytes = hidden * sizeof(float)};
    model->position_embedding = floats(maker, config->max_positions * hidden, config->max_positions * hidden, 0, 0.1f);
    model->type_embedding = floats(maker, config->type_vocab_size * hidden, config->type_vocab_size * hidden, 0, 0.1f);
    model->embedding_norm_gamma = floats(maker, hidden, hidden, 1, 0.1f);
    model->embedding_norm_beta = floats(maker, hidden, hidden, 0, 0.1f);
    for (size_t l = 0; l < config->num_layers; l++) {
        fill_layer(maker, &model->layers[l]);
        model->exits[l].weight = floats(maker, config->num_labels * hidden, config->num_labels * hidden, 0, 0.1f);
        model->exits[l].bias = floats(maker, config->num_labels, config->num_labels, 0, 0.1f);
    }
    model->pooler = linear_f32(maker, hidden, hidden);
}

rung_status rung_model_random(const rung_model_config *shape, rung_precision precision, uint64_t seed,
                              rung_model **model, rung_error *error)
{
    rung_model *made = rung_alloc(1, sizeof *made, "random model", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->config = *shape;
    made->config.head_size = shape->hidden_size / shape->num_heads;
    made->config.max_positions = shape->max_tokens;
    made->config.type_vocab_size = 2;
    made->config.vocab_size = shape->vocab_size > 0 ? shape->vocab_size : RANDOM_VOCAB;
    made->config.layer_norm_eps = 1e-12f;
    made->config.activation = RUNG_EPILOGUE_GELU;
    made->config.task = RUNG_TASK_SINGLE_LABEL;
    made->precision = precision;
    made->layers = rung_alloc(shape->num_layers, sizeof *made->layers, "random model", error);
    made->exits = rung_alloc(shape->num_layers, sizeof *made->exits, "random model", error);
    made->owned =
        rung_alloc((shape->num_layers + 1) * BLOCKS_PER_LAYER * 2, sizeof *made->owned, "random model", error);
    model_maker maker = {.model = made, .prng = {seed}, .error = error};
    maker.failed = made->layers == NULL || made->exits == NULL || made->owned == NULL;
    if (!maker.failed) {
        fill_model(&maker);
    }
    if (maker.failed) {
        rung_model_close(made);
        return RUNG_NO_MEMORY;
    }
    *model = made;
    return RUNG_OK;
}
