/* model_tensors.c: the steps that both loaders take: memory that the model owns, its description, and the tensors that
 * are small enough to be converted to float. See model_load.h. */
#include "base/memory.h"
#include "model/model_config.h"
#include "model/model_load.h"

#include <stdlib.h>
#include <string.h>

void *rung_model_alloc(rung_model *model, size_t count, size_t size, const char *what, rung_error *error)
{
    void *owned = model->owned;
    if (rung_grow(&owned, &model->owned_capacity, model->num_owned + 1, sizeof *model->owned, what, error) != RUNG_OK) {
        return NULL;
    }
    model->owned = owned;
    void *block = rung_alloc_aligned(count, size, what, error);
    if (block != NULL) {
        model->owned[model->num_owned++] = block;
    }
    return block;
}

/* The encoder indexes the type embedding with what the template assigns: a pair shows all of it. */
static rung_status check_type_ids(const rung_model *model, const char *name, rung_error *error)
{
    if (model->config.ignores_type_ids) {
        return RUNG_OK;
    }
    rung_encoding encoding = {0};
    rung_text text = {.data = "a", .bytes = 1};
    rung_status status = rung_tokenize(model->tokenizer, text, &text, 64, &encoding, error);
    for (size_t i = 0; i < encoding.length && status == RUNG_OK; i++) {
        if (encoding.type_ids[i] >= model->config.type_vocab_size) {
            status =
                rung_fail(error, RUNG_MISMATCH, "%s: assigns type id %u, but the model's \"type_vocab_size\" is %zu",
                          name, (unsigned)encoding.type_ids[i], model->config.type_vocab_size);
        }
    }
    rung_encoding_deinit(&encoding);
    return status;
}

/* Embeddings are often padded to a round number of rows; a vocabulary that is much smaller is another model's. */
#define MAX_SPARE_ROWS 1024

rung_status rung_model_set_tokenizer(rung_model *model, const rung_tokenizer_files *files, rung_error *error)
{
    const rung_named_text *tokenizer = rung_tokenizer_main_file(files);
    rung_status status = rung_tokenizer_make(files, &model->tokenizer, error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t limit = rung_tokenizer_id_limit(model->tokenizer);
    if (limit > model->config.vocab_size) {
        return rung_fail(
            error, RUNG_MISMATCH,
            "%s: has token ids up to %zu, but the model's word embedding has %zu rows (\"vocab_size\"): the "
            "tokenizer belongs to another model",
            tokenizer->name, limit - 1, model->config.vocab_size);
    }
    if (model->config.vocab_size - limit > MAX_SPARE_ROWS) {
        return rung_fail(
            error, RUNG_MISMATCH,
            "%s: has token ids up to %zu, but the model's word embedding has %zu rows (\"vocab_size\"), more than "
            "%d that no id reaches: the tokenizer belongs to another model",
            tokenizer->name, limit - 1, model->config.vocab_size, MAX_SPARE_ROWS);
    }
    return check_type_ids(model, tokenizer->name, error);
}

rung_status rung_model_describe(rung_model *model, const rung_named_text *config,
                                const rung_named_text *tokenizer_config, rung_error *error)
{
    rung_status status =
        rung_model_config_parse(config->text, config->bytes, config->name, &model->config, &model->labels, error);
    if (status == RUNG_OK && tokenizer_config->text != NULL) {
        size_t length = SIZE_MAX;
        status = rung_tokenizer_config_parse(tokenizer_config->text, tokenizer_config->bytes, tokenizer_config->name,
                                             &length, error);
        if (status == RUNG_OK && length < model->config.max_tokens) {
            model->config.max_tokens = length;
        }
    }
    if (status != RUNG_OK) {
        return status;
    }
    model->layers = rung_alloc(model->config.num_layers, sizeof *model->layers, "layers", error);
    model->exits = rung_alloc(model->config.num_layers, sizeof *model->exits, "exit heads", error);
    if (model->layers == NULL || model->exits == NULL) {
        return RUNG_NO_MEMORY;
    }
    return RUNG_OK;
}

rung_status rung_model_tensor_floats(rung_model *model, const rung_tensor *tensor, const float **out, rung_error *error)
{
    size_t count = tensor->bytes / rung_dtype_bytes(tensor->dtype);
    float *values = rung_model_alloc(model, count, sizeof *values, tensor->name, error);
    if (values == NULL) {
        return RUNG_NO_MEMORY;
    }
    *out = values;
    return rung_tensor_to_f32(tensor, values, error);
}

rung_status rung_model_floats(rung_model *model, const rung_safetensors *file, const char *name, size_t rank,
                              const size_t *shape, const float **out, rung_error *error)
{
    const rung_tensor *tensor = NULL;
    rung_status status = rung_safetensors_require(file, name, -1, rank, shape, &tensor, error);
    if (status == RUNG_OK) {
        status = rung_tensor_require_finite(file, tensor, error);
    }
    return status == RUNG_OK ? rung_model_tensor_floats(model, tensor, out, error) : status;
}

rung_status rung_model_exit(rung_model *model, const rung_safetensors *file, size_t layer, const char *weight,
                            const char *bias, rung_error *error)
{
    size_t shape[2] = {model->config.num_labels, model->config.hidden_size};
    rung_exit_head head = {0};
    rung_status status = rung_model_floats(model, file, weight, 2, shape, &head.weight, error);
    if (status == RUNG_OK) {
        status = rung_model_floats(model, file, bias, 1, shape, &head.bias, error);
    }
    if (status == RUNG_OK) {
        model->exits[layer] = head;
    }
    return status;
}

rung_status rung_model_pooler(rung_model *model, const float *rows, const rung_tensor *bias, rung_error *error)
{
    size_t hidden = model->config.hidden_size;
    size_t padded = (hidden + RUNG_PANEL - 1) / RUNG_PANEL * RUNG_PANEL;
    float *panels =
        rung_model_alloc(model, rung_linear_f32_panel_floats(hidden, hidden), sizeof *panels, "pooler", error);
    float *padded_bias = rung_model_alloc(model, padded, sizeof *padded_bias, bias->name, error);
    if (panels == NULL || padded_bias == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_pack_f32(rows, hidden, hidden, panels);
    rung_status status = rung_tensor_to_f32(bias, padded_bias, error);
    if (status == RUNG_OK) {
        model->pooler =
            (rung_linear_f32){.in_features = hidden, .out_features = hidden, .panels = panels, .bias = padded_bias};
    }
    return status;
}
