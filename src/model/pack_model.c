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

#define MAX_METADATA 10

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

/* Writes row `row` of a matrix of the model as hidden_size floats. */
typedef void (*row_reader)(const rung_model *model, size_t row, float *out);

static void read_word_row(const rung_model *model, size_t row, float *out)
{
    rung_word_embedding_row(&model->word_embedding, model->config.hidden_size, (int32_t)row, out);
}

static void read_position_row(const rung_model *model, size_t row, float *out)
{
    size_t hidden = model->config.hidden_size;
    memcpy(out, model->position_embedding + row * hidden, hidden * sizeof *out);
}

static void read_pooler_row(const rung_model *model, size_t row, float *out)
{
    size_t hidden = model->config.hidden_size;
    const float *panel = model->pooler.panels + row / RUNG_PANEL * RUNG_PANEL * hidden;
    for (size_t k = 0; k < hidden; k++) {
        out[k] = panel[k * RUNG_PANEL + row % RUNG_PANEL];
    }
}

static rung_status quantize_row(size_t hidden, const float *row, unsigned bits, uint8_t *codes, uint8_t *packed,
                                uint16_t *scales)
{
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

static rung_status half_row(size_t hidden, const float *row, uint16_t *halves)
{
    for (size_t i = 0; i < hidden; i++) {
        if (!(fabsf(row[i]) <= RUNG_F16_MAX)) {
            return RUNG_LIMIT;
        }
        halves[i] = rung_f32_to_f16(row[i]);
    }
    return RUNG_OK;
}

/* A table of rows [first, first + count) of a matrix with hidden_size columns: BASE.rows, and BASE.scales below 16
 * bits. */
typedef struct table_spec {
    const char *base;
    const char *what;
    row_reader read;
    size_t first;
    size_t count;
    unsigned bits;
} table_spec;

static rung_status add_table(tensor_list *list, table_spec spec, rung_error *error)
{
    rung_model *model = list->model;
    size_t hidden = model->config.hidden_size;
    size_t groups = rung_embedding_groups(hidden);
    bool half = spec.bits == 16;
    size_t row_bytes = rung_embedding_row_bytes(hidden, spec.bits);
    uint8_t *rows = rung_model_alloc(model, spec.count * row_bytes, 1, spec.what, error);
    uint16_t *scales = rung_model_alloc(model, spec.count * groups, sizeof *scales, spec.what, error);
    float *row = rung_model_alloc(model, hidden, sizeof *row, spec.what, error);
    uint8_t *codes = rung_model_alloc(model, hidden, 1, spec.what, error);
    if (rows == NULL || scales == NULL || row == NULL || codes == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < spec.count; i++) {
        uint8_t *out = rows + i * row_bytes;
        spec.read(model, spec.first + i, row);
        rung_status status = half ? half_row(hidden, row, (uint16_t *)(void *)out)
                                  : quantize_row(hidden, row, spec.bits, codes, out, scales + i * groups);
        if (status != RUNG_OK) {
            return rung_fail(error, status,
                             "%s: row %zu of the %s holds a value whose half float would be infinite (limit %g): such "
                             "a model cannot be packed",
                             model->path, spec.first + i, spec.what, (double)RUNG_F16_MAX);
        }
    }
    size_t shape[2] = {spec.count, half ? hidden : row_bytes};
    add(list, spec.base, "rows", half ? RUNG_F16 : RUNG_U8, 2, shape, rows);
    if (!half) {
        shape[1] = groups;
        add(list, spec.base, "scales", RUNG_F16, 2, shape, scales);
    }
    return RUNG_OK;
}

static rung_status add_embeddings(tensor_list *list, const rung_quantize_options *options, rung_error *error)
{
    const rung_model *model = list->model;
    const rung_model_config *config = &model->config;
    size_t frequent = options->frequent_rows;
    const table_spec tables[3] = {
        {"embeddings.word.frequent", "word embedding", read_word_row, 0, frequent, options->frequent_bits},
        {"embeddings.word", "word embedding", read_word_row, frequent, config->vocab_size - frequent, options->bits},
        {"embeddings.position", "position embedding", read_position_row, 0, config->max_positions,
         RUNG_PACKED_TABLE_BITS}};
    for (size_t i = frequent > 0 ? 0 : 1; i < 3; i++) {
        rung_status status = add_table(list, tables[i], error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    size_t shape[2] = {config->type_vocab_size, config->hidden_size};
    if (model->type_embedding != NULL) {
        add(list, "embeddings", "type", RUNG_F32, 2, shape, model->type_embedding);
    }
    add(list, "embeddings.norm", "gamma", RUNG_F32, 1, &shape[1], model->embedding_norm_gamma);
    add(list, "embeddings.norm", "beta", RUNG_F32, 1, &shape[1], model->embedding_norm_beta);
    return RUNG_OK;
}

static rung_status add_pooler(tensor_list *list, rung_error *error)
{
    size_t hidden = list->model->config.hidden_size;
    rung_status status =
        add_table(list, (table_spec){"pooler", "pooler", read_pooler_row, 0, hidden, RUNG_PACKED_TABLE_BITS}, error);
    if (status == RUNG_OK) {
        add(list, "pooler", "bias", RUNG_F32, 1, &hidden, list->model->pooler.bias);
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

static rung_status add_all(tensor_list *list, const rung_quantize_options *options, rung_error *error)
{
    rung_status status = add_embeddings(list, options, error);
    if (status != RUNG_OK) {
        return status;
    }
    for (size_t i = 0; i < list->model->config.num_layers; i++) {
        add_layer(list, i);
    }
    if (list->model->config.num_labels == 0) {
        return RUNG_OK; /* a plain encoder */
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

static rung_status write_list(const tensor_list *list, const char *directory, const rung_quantize_options *options,
                              const char *out_path, rung_error *error)
{
    /* They say where a model was saved and would give equal models different hashes. */
    static const char *const dropped[] = {"_name_or_path", "transformers_version", NULL};
    char bits_text[16];
    char frequent_bits_text[16];
    char frequent_rows_text[32];
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
        snprintf(bits_text, sizeof bits_text, "%u", options->bits);
        snprintf(frequent_bits_text, sizeof frequent_bits_text, "%u", options->frequent_bits);
        snprintf(frequent_rows_text, sizeof frequent_rows_text, "%zu", options->frequent_rows);
        /* All that counts of tokenizer_config.json. */
        snprintf(length_text, sizeof length_text, "{\"model_max_length\":%zu}", list->model->config.max_tokens);
        rung_metadata_entry metadata[MAX_METADATA] = {{"format", RUNG_PACKED_FORMAT},
                                                      {"version", RUNG_PACKED_VERSION},
                                                      {"source", source},
                                                      {"embedding_bits", bits_text},
                                                      {"sha256", hex},
                                                      {"config", config},
                                                      {"tokenizer_config", length_text},
                                                      {"tokenizer", tokenizer},
                                                      {"frequent_rows", frequent_rows_text},
                                                      {"frequent_bits", frequent_bits_text}};
        size_t count = options->frequent_rows > 0 ? MAX_METADATA : MAX_METADATA - 2;
        status = rung_safetensors_write(out_path, list->tensors, list->count, metadata, count, error);
    }
    free(source);
    free(config);
    free(tokenizer);
    return status;
}

static bool is_width(unsigned bits)
{
    return bits == 4 || bits == 5 || bits == 6 || bits == 8 || bits == 16;
}

static rung_status check_widths(const rung_quantize_options *options, rung_error *error)
{
    if (!is_width(options->bits)) {
        return rung_fail(error, RUNG_INVALID, "embedding bits %u: must be 4, 5, 6, 8 or 16", options->bits);
    }
    if (options->frequent_rows > 0 && !is_width(options->frequent_bits)) {
        return rung_fail(error, RUNG_INVALID, "frequent bits %u: must be 4, 5, 6, 8 or 16", options->frequent_bits);
    }
    return RUNG_OK;
}

/* The packed file may lie in the directory, but not replace what it is made from. */
static rung_status check_output(const char *directory, const char *out_path, rung_error *error)
{
    static const char *const sources[] = {"model.safetensors", "exits.safetensors", "config.json", "tokenizer.json",
                                          "tokenizer_config.json"};
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        char *source = rung_path_join(directory, sources[i], error);
        if (source == NULL) {
            return RUNG_NO_MEMORY;
        }
        bool same = rung_path_same_file(source, out_path);
        free(source);
        if (same) {
            return rung_fail(error, RUNG_INVALID, "%s: is what the packed file is made from; write to another name",
                             out_path);
        }
    }
    return RUNG_OK;
}

rung_status rung_model_quantize(const char *directory, const rung_quantize_options *options, const char *out_path,
                                rung_error *error)
{
    rung_error local = {0};
    error = error != NULL ? error : &local;
    rung_status status = check_widths(options, error);
    if (status != RUNG_OK) {
        return status;
    }
    if (rung_path_exists(directory) && !rung_path_is_directory(directory)) {
        return rung_fail(error, RUNG_INVALID, "%s: is not a directory: quantize reads a Hugging Face directory",
                         directory);
    }
    status = check_output(directory, out_path, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_model *model = NULL;
    tensor_list list = {0};
    status = rung_model_open(directory, RUNG_PRECISION_INT8, &model, error);
    if (status == RUNG_OK && options->frequent_rows >= model->config.vocab_size) {
        status = rung_fail(error, RUNG_INVALID, "frequent rows %zu: must be less than the %zu rows of %s",
                           options->frequent_rows, model->config.vocab_size, directory);
    }
    if (status == RUNG_OK) {
        status = list_init(&list, model, error);
    }
    if (status == RUNG_OK) {
        status = add_all(&list, options, error);
    }
    if (status == RUNG_OK) {
        status = write_list(&list, directory, options, out_path, error);
    }
    list_deinit(&list);
    rung_model_close(model);
    return status;
}
