/* pack_model.c: `rung quantize`: loads a Hugging Face directory in int8 and writes what load_packed.c maps: int8 panels
 * as the kernels read them, the word embedding in few bits, config and tokenizer as text in the metadata. Called by
 * src/cli and the tests. The same directory gives the same bytes. */
#include "base/checked.h"
#include "base/memory.h"
#include "model/half.h"
#include "model/model_config.h"
#include "model/model_load.h"
#include "model/quantize.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_METADATA 8

/* The tensors of the file in their order, with the memory that holds their names and converted data. */
typedef struct tensor_list {
    rung_model *model; /* owns converted data */
    rung_tensor *tensors;
    char (*names)[RUNG_TENSOR_NAME_BYTES];
    size_t count;
    size_t capacity;
} tensor_list;

static rung_status list_init(tensor_list *list, rung_model *model, rung_error *error)
{
    size_t capacity = 16 + model->config.num_layers * 22;
    *list = (tensor_list){.model = model, .capacity = capacity};
    list->tensors = rung_alloc(capacity, sizeof *list->tensors, "tensor list", error);
    list->names = rung_alloc(capacity, sizeof *list->names, "tensor names", error);
    return list->tensors == NULL || list->names == NULL ? RUNG_NO_MEMORY : RUNG_OK;
}

static void list_deinit(tensor_list *list)
{
    free(list->tensors);
    free(list->names);
}

/* Adds "base" or "base.part" with the data where they lie. */
static void add(tensor_list *list, const char *base, const char *part, rung_dtype dtype, size_t rank,
                const size_t *shape, const void *data)
{
    assert(list->count < list->capacity);
    char *name = list->names[list->count];
    snprintf(name, RUNG_TENSOR_NAME_BYTES, "%s%s%s", base, part[0] != '\0' ? "." : "", part);
    rung_tensor *tensor = &list->tensors[list->count++];
    *tensor = (rung_tensor){.name = name, .dtype = dtype, .rank = rank, .data = data, .bytes = rung_dtype_bytes(dtype)};
    for (size_t i = 0; i < rank; i++) {
        tensor->shape[i] = shape[i];
        tensor->bytes *= shape[i];
    }
}

/* Adds floats as F16 when all fit its range, as F32 otherwise: they are converted back at load. */
static rung_status add_half(tensor_list *list, const char *name, size_t rank, const size_t *shape, const float *values,
                            rung_error *error)
{
    size_t count = rank == 1 ? shape[0] : shape[0] * shape[1];
    uint16_t *halves = rung_model_alloc(list->model, count, sizeof *halves, name, error);
    if (halves == NULL) {
        return RUNG_NO_MEMORY;
    }
    bool fits = true;
    for (size_t i = 0; i < count; i++) {
        fits = fits && fabsf(values[i]) <= RUNG_F16_MAX;
        halves[i] = rung_f32_to_f16(values[i]);
    }
    if (fits) {
        add(list, name, "", RUNG_F16, rank, shape, halves);
    } else {
        add(list, name, "", RUNG_F32, rank, shape, values);
    }
    return RUNG_OK;
}

static void add_linear(tensor_list *list, size_t layer, const char *name, const rung_linear_s8 *linear)
{
    size_t padded = rung_round_up(linear->out_features, RUNG_PANEL);
    size_t shape[4] = {padded / RUNG_PANEL, (linear->in_features + 3) / 4, RUNG_PANEL, 4};
    char base[RUNG_TENSOR_NAME_BYTES / 2];
    snprintf(base, sizeof base, "layers.%zu.%s", layer, name);
    add(list, base, "weight", RUNG_I8, 4, shape, linear->panels);
    add(list, base, "scales", RUNG_F32, 1, &padded, linear->scales);
    add(list, base, "column_sums", RUNG_I32, 1, &padded, linear->column_sums);
    add(list, base, "bias", RUNG_F32, 1, &padded, linear->bias);
}

static void add_layer(tensor_list *list, size_t index)
{
    const rung_layer *layer = &list->model->layers[index];
    size_t hidden = list->model->config.hidden_size;
    char base[RUNG_TENSOR_NAME_BYTES / 2];
    add_linear(list, index, "qkv", &layer->qkv.s8);
    add_linear(list, index, "attention_output", &layer->attention_output.s8);
    add_linear(list, index, "ffn_in", &layer->ffn_in.s8);
    add_linear(list, index, "ffn_out", &layer->ffn_out.s8);
    snprintf(base, sizeof base, "layers.%zu.attention_norm", index);
    add(list, base, "gamma", RUNG_F32, 1, &hidden, layer->attention_norm_gamma);
    add(list, base, "beta", RUNG_F32, 1, &hidden, layer->attention_norm_beta);
    snprintf(base, sizeof base, "layers.%zu.output_norm", index);
    add(list, base, "gamma", RUNG_F32, 1, &hidden, layer->output_norm_gamma);
    add(list, base, "beta", RUNG_F32, 1, &hidden, layer->output_norm_beta);
}

static rung_status fail_too_large_for_half(const rung_model *model, size_t row, rung_error *error)
{
    return rung_fail(
        error, RUNG_LIMIT,
        "%s: row %zu of the word embedding holds a value whose half float would be infinite (limit %g): such a "
        "model cannot be packed",
        model->path, row, (double)RUNG_F16_MAX);
}

static rung_status quantize_row(const rung_model *model, const float *row, unsigned bits, uint8_t *codes,
                                uint8_t *packed, uint16_t *scales)
{
    size_t hidden = model->config.hidden_size;
    for (size_t i = 0; i < hidden; i += RUNG_EMBEDDING_GROUP) {
        size_t count = hidden - i < RUNG_EMBEDDING_GROUP ? hidden - i : RUNG_EMBEDDING_GROUP;
        uint16_t scale = rung_quantize_group(row + i, count, bits, codes + i);
        if (!isfinite(rung_f16_to_f32(scale))) {
            return RUNG_LIMIT;
        }
        scales[i / RUNG_EMBEDDING_GROUP] = scale;
    }
    rung_pack_bits(codes, hidden, bits, packed);
    return RUNG_OK;
}

static rung_status half_row(const rung_model *model, const float *row, uint16_t *halves)
{
    for (size_t i = 0; i < model->config.hidden_size; i++) {
        if (!(fabsf(row[i]) <= RUNG_F16_MAX)) {
            return RUNG_LIMIT;
        }
        halves[i] = rung_f32_to_f16(row[i]);
    }
    return RUNG_OK;
}

static rung_status add_word_embedding(tensor_list *list, unsigned bits, rung_error *error)
{
    rung_model *model = list->model;
    size_t hidden = model->config.hidden_size;
    size_t vocab = model->config.vocab_size;
    size_t groups = rung_embedding_groups(hidden);
    size_t row_bytes = bits == 16 ? hidden * 2 : rung_embedding_row_bytes(hidden, bits);
    uint8_t *rows = rung_model_alloc(model, vocab * row_bytes, 1, "word embedding", error);
    uint16_t *scales = rung_model_alloc(model, vocab * groups, sizeof *scales, "word embedding scales", error);
    float *row = rung_model_alloc(model, hidden, sizeof *row, "word embedding row", error);
    uint8_t *codes = rung_model_alloc(model, hidden, 1, "word embedding row", error);
    if (rows == NULL || scales == NULL || row == NULL || codes == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t id = 0; id < vocab; id++) {
        uint8_t *out = rows + id * row_bytes;
        rung_word_embedding_row(&model->word_embedding, hidden, (int32_t)id, row);
        rung_status status = bits == 16 ? half_row(model, row, (uint16_t *)(void *)out)
                                        : quantize_row(model, row, bits, codes, out, scales + id * groups);
        if (status != RUNG_OK) {
            return fail_too_large_for_half(model, id, error);
        }
    }
    size_t shape[2] = {vocab, bits == 16 ? hidden : row_bytes};
    add(list, "embeddings.word", "rows", bits == 16 ? RUNG_F16 : RUNG_U8, 2, shape, rows);
    if (bits != 16) {
        shape[1] = groups;
        add(list, "embeddings.word", "scales", RUNG_F16, 2, shape, scales);
    }
    return RUNG_OK;
}

static rung_status add_embeddings(tensor_list *list, unsigned bits, rung_error *error)
{
    const rung_model *model = list->model;
    size_t hidden = model->config.hidden_size;
    size_t shape[2] = {model->config.max_positions, hidden};
    rung_status status = add_word_embedding(list, bits, error);
    if (status == RUNG_OK) {
        status = add_half(list, "embeddings.position", 2, shape, model->position_embedding, error);
    }
    if (status == RUNG_OK) {
        shape[0] = model->config.type_vocab_size;
        add(list, "embeddings", "type", RUNG_F32, 2, shape, model->type_embedding);
        add(list, "embeddings.norm", "gamma", RUNG_F32, 1, &hidden, model->embedding_norm_gamma);
        add(list, "embeddings.norm", "beta", RUNG_F32, 1, &hidden, model->embedding_norm_beta);
    }
    return status;
}

static rung_status add_pooler(tensor_list *list, rung_error *error)
{
    const rung_linear_f32 *pooler = &list->model->pooler;
    size_t hidden = list->model->config.hidden_size;
    size_t shape[2] = {hidden, hidden};
    float *rows = rung_model_alloc(list->model, hidden * hidden, sizeof *rows, "pooler", error);
    if (rows == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t out = 0; out < hidden; out++) {
        const float *panel = pooler->panels + out / RUNG_PANEL * RUNG_PANEL * hidden;
        for (size_t k = 0; k < hidden; k++) {
            rows[out * hidden + k] = panel[k * RUNG_PANEL + out % RUNG_PANEL];
        }
    }
    rung_status status = add_half(list, "pooler.weight", 2, shape, rows, error);
    if (status == RUNG_OK) {
        add(list, "pooler", "bias", RUNG_F32, 1, shape, pooler->bias);
    }
    return status;
}

static void add_exits(tensor_list *list)
{
    const rung_model *model = list->model;
    size_t shape[2] = {model->config.num_labels, model->config.hidden_size};
    for (size_t layer = 0; layer < model->config.num_layers; layer++) {
        char base[RUNG_TENSOR_NAME_BYTES / 2];
        if (layer + 1 == model->config.num_layers) {
            snprintf(base, sizeof base, "classifier");
        } else {
            snprintf(base, sizeof base, "exits.%zu", layer);
        }
        if (rung_model_has_exit(model, layer)) {
            add(list, base, "weight", RUNG_F32, 2, shape, model->exits[layer].weight);
            add(list, base, "bias", RUNG_F32, 1, shape, model->exits[layer].bias);
        }
    }
}

static rung_status add_all(tensor_list *list, unsigned bits, rung_error *error)
{
    rung_status status = add_embeddings(list, bits, error);
    if (status != RUNG_OK) {
        return status;
    }
    for (size_t i = 0; i < list->model->config.num_layers; i++) {
        add_layer(list, i);
    }
    status = add_pooler(list, error);
    if (status == RUNG_OK) {
        add_exits(list);
    }
    return status;
}

/* directory/name without white space. `dropped` as for rung_json_minify. */
static rung_status read_minified(const char *directory, const char *name, bool sorted, const char *const *dropped,
                                 char **minified, rung_error *error)
{
    char *path = rung_path_join(directory, name, error);
    if (path == NULL) {
        return RUNG_NO_MEMORY;
    }
    char *text = NULL;
    size_t bytes = 0;
    rung_status status = rung_read_file(path, RUNG_TOKENIZER_MAX_BYTES, &text, &bytes, error);
    if (status == RUNG_OK) {
        status = rung_json_minify(text, bytes, path, sorted, dropped, minified, error);
    }
    free(text);
    free(path);
    return status;
}

/* The directory's own name, also for "." and "models/". Release with free(). */
static char *base_name(const char *directory, rung_error *error)
{
    char *resolved = realpath(directory, NULL);
    const char *path = resolved != NULL ? resolved : directory;
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL && slash[1] != '\0' ? slash + 1 : path;
    char *copy = rung_copy_text(name, strlen(name), "name", error);
    free(resolved);
    return copy;
}

static rung_status write_list(const tensor_list *list, const char *directory, unsigned bits, const char *out_path,
                              rung_error *error)
{
    /* They say where a model was saved and would give equal models different hashes. */
    static const char *const dropped[] = {"_name_or_path", "transformers_version", NULL};
    char bits_text[16];
    char length_text[64];
    char hex[RUNG_SHA256_HEX_BYTES];
    char *config = NULL;
    char *tokenizer = NULL;
    char *source = base_name(directory, error);
    rung_status status = source != NULL ? RUNG_OK : RUNG_NO_MEMORY;
    if (status == RUNG_OK) {
        status = read_minified(directory, "config.json", true, dropped, &config, error);
    }
    if (status == RUNG_OK) {
        status = read_minified(directory, "tokenizer.json", false, NULL, &tokenizer, error);
    }
    if (status == RUNG_OK) {
        rung_safetensors_data_sha256(list->tensors, list->count, hex);
        snprintf(bits_text, sizeof bits_text, "%u", bits);
        /* All that counts of tokenizer_config.json. */
        snprintf(length_text, sizeof length_text, "{\"model_max_length\":%zu}", list->model->config.max_tokens);
        rung_metadata_entry metadata[MAX_METADATA] = {{"format", RUNG_PACKED_FORMAT},
                                                      {"version", RUNG_PACKED_VERSION},
                                                      {"source", source},
                                                      {"embedding_bits", bits_text},
                                                      {"sha256", hex},
                                                      {"config", config},
                                                      {"tokenizer_config", length_text},
                                                      {"tokenizer", tokenizer}};
        status = rung_safetensors_write(out_path, list->tensors, list->count, metadata, MAX_METADATA, error);
    }
    free(source);
    free(config);
    free(tokenizer);
    return status;
}

rung_status rung_model_quantize(const char *directory, unsigned embedding_bits, const char *out_path, rung_error *error)
{
    rung_error local = {0};
    error = error != NULL ? error : &local;
    if (embedding_bits != 4 && embedding_bits != 5 && embedding_bits != 6 && embedding_bits != 8 &&
        embedding_bits != 16) {
        return rung_fail(error, RUNG_INVALID, "embedding bits %u: must be 4, 5, 6, 8 or 16", embedding_bits);
    }
    if (rung_path_exists(directory) && !rung_path_is_directory(directory)) {
        return rung_fail(error, RUNG_INVALID, "%s: is not a directory: quantize reads a Hugging Face directory",
                         directory);
    }
    rung_model *model = NULL;
    tensor_list list = {0};
    rung_status status = rung_model_open(directory, RUNG_PRECISION_INT8, &model, error);
    if (status == RUNG_OK) {
        status = list_init(&list, model, error);
    }
    if (status == RUNG_OK) {
        status = add_all(&list, embedding_bits, error);
    }
    if (status == RUNG_OK) {
        status = write_list(&list, directory, embedding_bits, out_path, error);
    }
    list_deinit(&list);
    rung_model_close(model);
    return status;
}
