/* load_hf.c: a model from a Hugging Face directory: config.json, tokenizer_config.json, tokenizer.json, the weights with
 * the names of its family (family.c), and beside them exits.safetensors. In int8 the weights are quantised in memory as
 * `rung quantize` does, so that the directory and its packed file answer alike. Called by rung_model_open. LayerNorms
 * have the names of transformers (weight, bias) or of its TensorFlow predecessor (gamma, beta). */
#include "base/checked.h"
#include "base/memory.h"
#include "model/model_load.h"
#include "model/quantize.h"
#include "model/tokenizer_texts.h"
#include "model/weight_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct hf_texts {
    rung_named_text config;
    rung_tokenizer_files tokenizer;
} hf_texts;

/* What loading weights needs. The scratch holds the largest matrix of a layer. */
typedef struct hf_weights {
    rung_model *model;
    const rung_weight_files *files;
    const char *prefix; /* the family's or "" */
    float *rows;        /* [out, in] */
    int8_t *codes;      /* [out, in], int8 only */
} hf_weights;

static void free_texts(hf_texts *texts)
{
    free((char *)(uintptr_t)texts->config.name);
    free((char *)(uintptr_t)texts->config.text);
    rung_tokenizer_texts_free(&texts->tokenizer);
}

static rung_status read_texts(const char *directory, hf_texts *texts, rung_error *error)
{
    rung_status status = rung_named_text_read(directory, "config.json", RUNG_CONFIG_MAX_BYTES, &texts->config, error);
    if (status == RUNG_OK) {
        status = rung_tokenizer_texts_read(directory, &texts->tokenizer, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    if (texts->config.text == NULL) {
        return rung_fail(
            error, RUNG_NOT_FOUND,
            "%s: has no config.json: a model directory holds config.json, model.safetensors and tokenizer.json",
            directory);
    }
    return RUNG_OK;
}

static rung_status check_tokenizer_there(const char *directory, const hf_texts *texts, rung_error *error)
{
    if (rung_tokenizer_main_file(&texts->tokenizer)->text == NULL) {
        return rung_fail(error, RUNG_NOT_FOUND,
                         "%s: has no tokenizer.json, vocab.json with merges.txt, or vocab.txt: write them in Python "
                         "with transformers, "
                         "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)",
                         directory);
    }
    return RUNG_OK;
}

/* The float tensor `name` as floats that the model owns. */
static rung_status load_floats(const hf_weights *weights, const char *name, size_t rank, const size_t *shape,
                               const float **out, rung_error *error)
{
    const rung_tensor *tensor = NULL;
    rung_status status = rung_weight_files_require(weights->files, name, rank, shape, &tensor, error);
    return status == RUNG_OK ? rung_model_tensor_floats(weights->model, tensor, out, error) : status;
}

/* Copies the padded bias of an output of `parts` tensors, each [out_part], into one array. */
static rung_status load_bias(const hf_weights *weights, const char *const *parts, size_t num_parts, size_t out_part,
                             const float **out, rung_error *error)
{
    size_t padded = rung_round_up(num_parts * out_part, RUNG_PANEL);
    float *bias = rung_model_alloc(weights->model, padded, sizeof *bias, "bias", error);
    if (bias == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < num_parts; i++) {
        char name[RUNG_TENSOR_NAME_BYTES];
        const rung_tensor *tensor = NULL;
        snprintf(name, sizeof name, "%s.bias", parts[i]);
        rung_status status = rung_weight_files_require(weights->files, name, 1, &out_part, &tensor, error);
        if (status == RUNG_OK) {
            status = rung_tensor_to_f32(tensor, bias + i * out_part, error);
        }
        if (status != RUNG_OK) {
            return status;
        }
    }
    *out = bias;
    return RUNG_OK;
}

/* Copies `parts` weights, each [out_part, in], below each other into the scratch. */
static rung_status load_rows(const hf_weights *weights, const char *const *parts, size_t num_parts, size_t out_part,
                             size_t in, rung_error *error)
{
    for (size_t i = 0; i < num_parts; i++) {
        char name[RUNG_TENSOR_NAME_BYTES];
        const rung_tensor *tensor = NULL;
        size_t shape[2] = {out_part, in};
        snprintf(name, sizeof name, "%s.weight", parts[i]);
        rung_status status = rung_weight_files_require(weights->files, name, 2, shape, &tensor, error);
        if (status == RUNG_OK) {
            status = rung_tensor_to_f32(tensor, weights->rows + i * out_part * in, error);
        }
        if (status != RUNG_OK) {
            return status;
        }
    }
    return RUNG_OK;
}

static rung_status pack_s8(const hf_weights *weights, size_t in, size_t out, const float *bias, rung_linear_s8 *linear,
                           rung_error *error)
{
    size_t padded = rung_round_up(out, RUNG_PANEL);
    rung_model *model = weights->model;
    int8_t *panels = rung_model_alloc(model, rung_linear_s8_panel_bytes(in, out), 1, "int8 weights", error);
    float *scales = rung_model_alloc(model, padded, sizeof *scales, "int8 scales", error);
    int32_t *column_sums = rung_model_alloc(model, padded, sizeof *column_sums, "int8 column sums", error);
    if (panels == NULL || scales == NULL || column_sums == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_quantize_rows_s8(weights->rows, out, in, weights->codes, scales);
    rung_pack_s8(weights->codes, in, out, panels, column_sums);
    *linear = (rung_linear_s8){.in_features = in,
                               .out_features = out,
                               .panels = panels,
                               .scales = scales,
                               .column_sums = column_sums,
                               .bias = bias};
    return RUNG_OK;
}

static rung_status pack_f32(const hf_weights *weights, size_t in, size_t out, const float *bias,
                            rung_linear_f32 *linear, rung_error *error)
{
    float *panels =
        rung_model_alloc(weights->model, rung_linear_f32_panel_floats(in, out), sizeof *panels, "fp32 weights", error);
    if (panels == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_pack_f32(weights->rows, in, out, panels);
    *linear = (rung_linear_f32){.in_features = in, .out_features = out, .panels = panels, .bias = bias};
    return RUNG_OK;
}

static rung_status load_linear(const hf_weights *weights, const char *const *parts, size_t num_parts, size_t out_part,
                               size_t in, rung_linear *linear, rung_error *error)
{
    const float *bias = NULL;
    rung_status status = load_rows(weights, parts, num_parts, out_part, in, error);
    if (status == RUNG_OK) {
        status = load_bias(weights, parts, num_parts, out_part, &bias, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    size_t out = num_parts * out_part;
    return weights->model->precision == RUNG_PRECISION_INT8 ? pack_s8(weights, in, out, bias, &linear->s8, error)
                                                            : pack_f32(weights, in, out, bias, &linear->f32, error);
}

/* A LayerNorm under either pair of names. */
static rung_status load_norm(const hf_weights *weights, const char *base, const float **gamma, const float **beta,
                             rung_error *error)
{
    char name[RUNG_TENSOR_NAME_BYTES];
    size_t hidden = weights->model->config.hidden_size;
    snprintf(name, sizeof name, "%s.gamma", base);
    bool old = rung_weight_files_has(weights->files, name);
    snprintf(name, sizeof name, "%s.%s", base, old ? "gamma" : "weight");
    rung_status status = load_floats(weights, name, 1, &hidden, gamma, error);
    if (status != RUNG_OK) {
        return status;
    }
    snprintf(name, sizeof name, "%s.%s", base, old ? "beta" : "bias");
    return load_floats(weights, name, 1, &hidden, beta, error);
}

static rung_status load_layer(const hf_weights *weights, size_t index, rung_error *error)
{
    const rung_family *family = weights->model->config.family;
    const rung_family_layer *parts_of = &family->layer;
    const char *const names[] = {
        parts_of->query,  parts_of->key,     parts_of->value,          parts_of->attention_output,
        parts_of->ffn_in, parts_of->ffn_out, parts_of->attention_norm, parts_of->output_norm};
    enum { NUM_NAMES = sizeof names / sizeof names[0] };
    char full[NUM_NAMES][RUNG_TENSOR_NAME_BYTES];
    const char *parts[NUM_NAMES];
    for (size_t i = 0; i < NUM_NAMES; i++) {
        snprintf(full[i], sizeof full[i], "%s%s%zu.%s", weights->prefix, family->layers, index, names[i]);
        parts[i] = full[i];
    }
    const rung_model_config *config = &weights->model->config;
    size_t hidden = config->hidden_size;
    rung_layer *layer = &weights->model->layers[index];
    rung_status status = load_linear(weights, parts, 3, hidden, hidden, &layer->qkv, error);
    if (status == RUNG_OK) {
        status = load_linear(weights, parts + 3, 1, hidden, hidden, &layer->attention_output, error);
    }
    if (status == RUNG_OK) {
        status = load_linear(weights, parts + 4, 1, config->intermediate_size, hidden, &layer->ffn_in, error);
    }
    if (status == RUNG_OK) {
        status = load_linear(weights, parts + 5, 1, hidden, config->intermediate_size, &layer->ffn_out, error);
    }
    if (status == RUNG_OK) {
        status = load_norm(weights, parts[6], &layer->attention_norm_gamma, &layer->attention_norm_beta, error);
    }
    if (status == RUNG_OK) {
        status = load_norm(weights, parts[7], &layer->output_norm_gamma, &layer->output_norm_beta, error);
    }
    return status;
}

static rung_status load_layers(hf_weights *weights, rung_error *error)
{
    const rung_model_config *config = &weights->model->config;
    size_t widest = 3 * config->hidden_size;
    widest = config->intermediate_size > widest ? config->intermediate_size : widest;
    size_t count = widest * config->hidden_size;
    /* The file must hold what the configuration promises before memory is taken for it. */
    char name[RUNG_TENSOR_NAME_BYTES];
    const rung_tensor *tensor = NULL;
    size_t shape[2] = {config->intermediate_size, config->hidden_size};
    snprintf(name, sizeof name, "%s%s0.%s.weight", weights->prefix, config->family->layers,
             config->family->layer.ffn_in);
    rung_status status = rung_weight_files_require(weights->files, name, 2, shape, &tensor, error);
    if (status != RUNG_OK) {
        return status;
    }
    weights->rows = rung_alloc_aligned(count, sizeof *weights->rows, "weights of a layer", error);
    weights->codes = rung_alloc_aligned(count, 1, "int8 weights of a layer", error);
    if (weights->rows == NULL || weights->codes == NULL) {
        status = RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < config->num_layers && status == RUNG_OK; i++) {
        status = load_layer(weights, i, error);
    }
    free(weights->rows);
    free(weights->codes);
    return status;
}

/* The word embedding stays mapped in the file's type; the small tables become floats. */
static rung_status load_embeddings(const hf_weights *weights, rung_error *error)
{
    rung_model *model = weights->model;
    const rung_model_config *config = &model->config;
    const rung_tensor *words = NULL;
    char name[RUNG_TENSOR_NAME_BYTES];
    size_t shape[2] = {config->vocab_size, config->hidden_size};
    snprintf(name, sizeof name, "%sembeddings.word_embeddings.weight", weights->prefix);
    rung_status status = rung_weight_files_require(weights->files, name, 2, shape, &words, error);
    if (status != RUNG_OK) {
        return status;
    }
    model->word_embedding.rest = (rung_embedding_table){
        .dtype = words->dtype, .rows = words->data, .row_bytes = config->hidden_size * rung_dtype_bytes(words->dtype)};
    shape[0] = config->max_positions;
    snprintf(name, sizeof name, "%sembeddings.position_embeddings.weight", weights->prefix);
    status = load_floats(weights, name, 2, shape, &model->position_embedding, error);
    if (status == RUNG_OK && config->type_vocab_size > 0) {
        shape[0] = config->type_vocab_size;
        snprintf(name, sizeof name, "%sembeddings.token_type_embeddings.weight", weights->prefix);
        status = load_floats(weights, name, 2, shape, &model->type_embedding, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    snprintf(name, sizeof name, "%sembeddings.LayerNorm", weights->prefix);
    return load_norm(weights, name, &model->embedding_norm_gamma, &model->embedding_norm_beta, error);
}

static rung_status load_pooler(const hf_weights *weights, rung_error *error)
{
    const rung_family *family = weights->model->config.family;
    size_t hidden = weights->model->config.hidden_size;
    size_t shape[2] = {hidden, hidden};
    const rung_tensor *weight = NULL;
    const rung_tensor *bias = NULL;
    char name[RUNG_TENSOR_NAME_BYTES];
    const char *prefix = family->pooler_is_in_encoder ? weights->prefix : "";
    snprintf(name, sizeof name, "%s%s.weight", prefix, family->pooler);
    rung_status status = rung_weight_files_require(weights->files, name, 2, shape, &weight, error);
    if (status == RUNG_OK) {
        snprintf(name, sizeof name, "%s%s.bias", prefix, family->pooler);
        status = rung_weight_files_require(weights->files, name, 1, shape, &bias, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    float *rows = rung_alloc_aligned(hidden * hidden, sizeof *rows, "pooler", error);
    if (rows == NULL) {
        return RUNG_NO_MEMORY;
    }
    status = rung_tensor_to_f32(weight, rows, error);
    if (status == RUNG_OK) {
        status = rung_model_pooler(weights->model, rows, bias, error);
    }
    free(rows);
    return status;
}

/* A plain encoder has none; its pooler, if any, was made for something else. */
static rung_status load_classifier(const hf_weights *weights, rung_error *error)
{
    rung_model *model = weights->model;
    rung_exit_head head = {0};
    size_t shape[2] = {0, model->config.hidden_size};
    char name[RUNG_TENSOR_NAME_BYTES];
    snprintf(name, sizeof name, "%s.weight", model->config.family->classifier_head);
    bool there = rung_weight_files_has(weights->files, name);
    rung_model_settle_labels(model, there);
    if (model->config.num_labels == 0) {
        return RUNG_OK;
    }
    if (!there) {
        return rung_fail(error, RUNG_UNSUPPORTED,
                         "%s: tensor \"%s\" is missing, but config.json is a classifier's: for a plain "
                         "encoder it says \"architectures\": [\"%s\"]",
                         rung_weight_files_path(weights->files), name, model->config.family->encoders[0]);
    }
    shape[0] = model->config.num_labels;
    rung_status status = load_pooler(weights, error);
    if (status == RUNG_OK) {
        status = load_floats(weights, name, 2, shape, &head.weight, error);
    }
    if (status == RUNG_OK) {
        snprintf(name, sizeof name, "%s.bias", model->config.family->classifier_head);
        status = load_floats(weights, name, 1, shape, &head.bias, error);
    }
    if (status == RUNG_OK) {
        model->exits[model->config.num_layers - 1] = head;
    }
    return status;
}

/* Every tensor of exits.safetensors must be a head that the model has a layer for: a file of another model is noticed.
 */
static rung_status check_exit_names(const rung_model *model, const rung_safetensors *file, rung_error *error)
{
    size_t num_early = model->config.num_layers - 1;
    for (size_t i = 0; i < rung_safetensors_count(file); i++) {
        const char *name = rung_safetensors_at(file, i)->name;
        bool known = strncmp(name, "__pad__.", 8) == 0;
        for (size_t layer = 0; layer < num_early && !known; layer++) {
            char weight[RUNG_TENSOR_NAME_BYTES];
            char bias[RUNG_TENSOR_NAME_BYTES];
            snprintf(weight, sizeof weight, "exits.%zu.weight", layer);
            snprintf(bias, sizeof bias, "exits.%zu.bias", layer);
            known = strcmp(name, weight) == 0 || strcmp(name, bias) == 0;
        }
        if (!known) {
            return rung_fail(
                error, RUNG_MISMATCH,
                "%s: tensor \"%s\" is no exit of a model with %zu layers: exits.{l}.weight and exits.{l}.bias for "
                "l below %zu are",
                rung_safetensors_path(file), name, model->config.num_layers, num_early);
        }
    }
    return RUNG_OK;
}

static rung_status load_exits(rung_model *model, const rung_safetensors *file, rung_error *error)
{
    if (model->config.num_labels == 0) {
        return rung_fail(error, RUNG_MISMATCH,
                         "%s: heads of a classifier beside a plain encoder, which has no labels: remove the file, or "
                         "state the labels in config.json",
                         rung_safetensors_path(file));
    }
    rung_status status = check_exit_names(model, file, error);
    for (size_t layer = 0; layer + 1 < model->config.num_layers && status == RUNG_OK; layer++) {
        char weight[RUNG_TENSOR_NAME_BYTES];
        char bias[RUNG_TENSOR_NAME_BYTES];
        snprintf(weight, sizeof weight, "exits.%zu.weight", layer);
        snprintf(bias, sizeof bias, "exits.%zu.bias", layer);
        if (rung_safetensors_find(file, weight) != NULL || rung_safetensors_find(file, bias) != NULL) {
            status = rung_model_exit(model, file, layer, weight, bias, error);
        }
    }
    return status;
}

static void hash_part(rung_sha256 *hash, const char *name, const void *data, size_t size)
{
    uint64_t bytes = size;
    rung_sha256_update(hash, name, strlen(name) + 1);
    rung_sha256_update(hash, &bytes, sizeof bytes);
    rung_sha256_update(hash, data, size);
}

static void hash_text(rung_sha256 *hash, const char *name, const rung_named_text *text)
{
    if (text->text != NULL) {
        hash_part(hash, name, text->text, text->bytes);
    }
}

/* Over name, size and bytes of each file that decides answers. exits may be NULL. */
static void hash_files(rung_model *model, hf_texts *texts, const rung_safetensors *exits)
{
    rung_sha256 hash;
    rung_sha256_init(&hash);
    hash_part(&hash, "config.json", texts->config.text, texts->config.bytes);
    hash_text(&hash, "tokenizer_config.json", &texts->tokenizer.tokenizer_config);
    const rung_tokenizer_slot *slot;
    for (size_t i = 0; (slot = rung_tokenizer_slot_at(i)) != NULL; i++) {
        hash_text(&hash, slot->file, rung_tokenizer_slot_text(&texts->tokenizer, slot));
    }
    const char *name;
    rung_mapping contents;
    for (size_t i = 0; rung_weight_files_part(model->weights, i, &name, &contents); i++) {
        hash_part(&hash, name, contents.data, contents.size);
    }
    if (exits != NULL) {
        contents = rung_safetensors_contents(exits);
        hash_part(&hash, "exits.safetensors", contents.data, contents.size);
    }
    rung_sha256_hex(&hash, model->hash);
}

static rung_status open_exits(const char *directory, rung_safetensors **file, rung_error *error)
{
    char *path = rung_path_join(directory, "exits.safetensors", error);
    if (path == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = rung_path_exists(path) ? rung_safetensors_open(path, file, error) : RUNG_OK;
    free(path);
    return status;
}

static rung_status load_tensors(rung_model *model, rung_error *error)
{
    hf_weights weights = {.model = model, .files = model->weights, .prefix = ""};
    char name[RUNG_TENSOR_NAME_BYTES];
    snprintf(name, sizeof name, "%sembeddings.word_embeddings.weight", model->config.family->prefix);
    if (rung_weight_files_has(weights.files, name)) {
        weights.prefix = model->config.family->prefix;
    }
    rung_status status = load_embeddings(&weights, error);
    if (status == RUNG_OK) {
        status = load_classifier(&weights, error);
    }
    return status == RUNG_OK ? load_layers(&weights, error) : status;
}

rung_status rung_model_load_hf(rung_model *model, rung_error *error)
{
    hf_texts texts = {0};
    rung_safetensors *exits = NULL;
    rung_status status = read_texts(model->path, &texts, error);
    if (status == RUNG_OK) {
        status = rung_model_describe(model, &texts.config, &texts.tokenizer.tokenizer_config, error);
    }
    if (status == RUNG_OK) {
        status = rung_weight_files_open(model->path, &model->weights, error);
    }
    if (status == RUNG_OK) {
        status = check_tokenizer_there(model->path, &texts, error);
    }
    if (status == RUNG_OK) {
        status = rung_model_set_tokenizer(model, &texts.tokenizer, error);
    }
    if (status == RUNG_OK) {
        status = load_tensors(model, error);
    }
    if (status == RUNG_OK) {
        status = open_exits(model->path, &exits, error);
    }
    if (status == RUNG_OK && exits != NULL) {
        status = load_exits(model, exits, error);
    }
    if (status == RUNG_OK) {
        hash_files(model, &texts, exits);
    }
    rung_safetensors_close(exits);
    free_texts(&texts);
    return status;
}
