/* pack_model.c: `rung quantize`: loads a Hugging Face directory in int8 and writes what load_packed.c maps: int8 panels
 * as the kernels read them, the word embedding in few bits, the tokenizer's texts compressed, the configuration in the
 * metadata. Called by src/cli and the tests. The same directory and version of libzstd give the same bytes. */
#include "base/checked.h"
#include "base/memory.h"
#include "model/half.h"
#include "model/model_config.h"
#include "model/model_load.h"
#include "model/packed_text.h"
#include "model/quantize.h"
#include "model/tokenizer_texts.h"
#include "model/weight_files.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_METADATA 16

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
    size_t capacity = 20 + model->config.num_layers * 18;
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

/* The file's metadata; values belong to the list. */
typedef struct metadata_list {
    rung_metadata_entry entries[MAX_METADATA];
    size_t count;
} metadata_list;

/* Takes value over. */
static void add_entry(metadata_list *list, const char *key, char *value)
{
    assert(list->count < MAX_METADATA);
    list->entries[list->count++] = (rung_metadata_entry){key, value};
}

static rung_status add_copy(metadata_list *list, const char *key, const char *value, size_t bytes, rung_error *error)
{
    char *copy = rung_copy_text(value, bytes, key, error);
    if (copy == NULL) {
        return RUNG_NO_MEMORY;
    }
    add_entry(list, key, copy);
    return RUNG_OK;
}

static rung_status add_number(metadata_list *list, const char *key, size_t value, rung_error *error)
{
    char text[32];
    int bytes = snprintf(text, sizeof text, "%zu", value);
    return add_copy(list, key, text, (size_t)bytes, error);
}

static rung_status add_options(metadata_list *list, const rung_quantize_options *options, rung_error *error)
{
    rung_status status = add_number(list, "embedding_bits", options->bits, error);
    if (status == RUNG_OK && options->frequent_rows > 0) {
        status = add_number(list, "frequent_rows", options->frequent_rows, error);
        if (status == RUNG_OK) {
            status = add_number(list, "frequent_bits", options->frequent_bits, error);
        }
    }
    return status;
}

static rung_status add_config(metadata_list *list, const char *directory, rung_error *error)
{
    /* They say where a model was saved and would give equal models different hashes. */
    static const char *const dropped[] = {"_name_or_path", "transformers_version", NULL};
    rung_named_text config = {0};
    char *minified = NULL;
    rung_status status = rung_named_text_read(directory, "config.json", RUNG_CONFIG_MAX_BYTES, &config, error);
    if (status == RUNG_OK) {
        status = rung_json_minify(config.text, config.bytes, config.name, true, dropped, &minified, error);
    }
    if (status == RUNG_OK) {
        add_entry(list, "config", minified);
    }
    free((char *)(uintptr_t)config.name);
    free((char *)(uintptr_t)config.text);
    return status;
}

/* All that counts of tokenizer_config.json: its length limit and, where no tokenizer.json says it, how text is read. */
static rung_status add_tokenizer_config(metadata_list *list, const rung_model *model, const rung_tokenizer_files *files,
                                        rung_error *error)
{
    char *text = NULL;
    rung_status status = rung_tokenizer_config_keep(&files->tokenizer_config, model->config.max_tokens,
                                                    files->tokenizer_json.text == NULL, &text, error);
    if (status == RUNG_OK) {
        add_entry(list, "tokenizer_config", text);
    }
    return status;
}

/* The tensor of a text of the tokenizer. */
static rung_status add_text(tensor_list *list, const char *key, const char *text, size_t bytes, rung_error *error)
{
    size_t capacity = rung_packed_text_bound(bytes);
    size_t frame_bytes;
    uint8_t *frame = rung_model_alloc(list->model, capacity, 1, key, error);
    if (frame == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = rung_packed_text_compress(text, bytes, key, frame, capacity, &frame_bytes, error);
    if (status == RUNG_OK) {
        add(list, RUNG_PACKED_TEXTS, key, RUNG_U8, 1, &frame_bytes, frame);
    }
    return status;
}

static rung_status add_tokenizer_json(tensor_list *list, const rung_named_text *json, rung_error *error)
{
    char *rest = NULL;
    char *lines = NULL;
    rung_status status = rung_tokenizer_split_vocabulary(json, &rest, &lines, error);
    if (status == RUNG_OK) {
        status = add_text(list, "tokenizer", rest, strlen(rest), error);
    }
    if (status == RUNG_OK && lines != NULL) {
        status = add_text(list, "vocabulary", lines, strlen(lines), error);
    }
    free(rest);
    free(lines);
    return status;
}

static rung_status add_tokenizer(tensor_list *list, rung_tokenizer_files *files, rung_error *error)
{
    rung_status status = RUNG_OK;
    const rung_tokenizer_slot *slot;
    for (size_t i = 0; status == RUNG_OK && (slot = rung_tokenizer_slot_at(i)) != NULL; i++) {
        const rung_named_text *text = rung_tokenizer_slot_text(files, slot);
        if (text == &files->tokenizer_json && text->text != NULL) {
            status = add_tokenizer_json(list, text, error);
        } else if (text->text != NULL) {
            status = add_text(list, slot->key, text->text, text->bytes, error);
        }
    }
    return status;
}

static rung_status add_metadata(metadata_list *metadata, const tensor_list *list, const char *directory,
                                const rung_tokenizer_files *files, const rung_quantize_options *options,
                                rung_error *error)
{
    char hex[RUNG_SHA256_HEX_BYTES];
    rung_safetensors_data_sha256(list->tensors, list->count, hex);
    const struct {
        const char *key, *value;
    } texts[] = {{"format", RUNG_PACKED_FORMAT}, {"version", RUNG_PACKED_VERSION}, {"sha256", hex}};
    rung_status status = RUNG_OK;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && status == RUNG_OK; i++) {
        status = add_copy(metadata, texts[i].key, texts[i].value, strlen(texts[i].value), error);
    }
    char *source = status == RUNG_OK ? base_name(directory, error) : NULL;
    if (source == NULL) {
        return RUNG_NO_MEMORY;
    }
    add_entry(metadata, "source", source);
    status = add_options(metadata, options, error);
    if (status == RUNG_OK) {
        status = add_config(metadata, directory, error);
    }
    return status == RUNG_OK ? add_tokenizer_config(metadata, list->model, files, error) : status;
}

static rung_status write_list(tensor_list *list, const char *directory, const rung_quantize_options *options,
                              const char *out_path, rung_error *error)
{
    metadata_list metadata = {.count = 0};
    rung_tokenizer_files files = {0};
    rung_status status = rung_tokenizer_texts_read(directory, &files, error);
    if (status == RUNG_OK) {
        status = add_tokenizer(list, &files, error);
    }
    if (status == RUNG_OK) {
        status = add_metadata(&metadata, list, directory, &files, options, error);
    }
    if (status == RUNG_OK) {
        status = rung_safetensors_write(out_path, list->tensors, list->count, metadata.entries, metadata.count, error);
    }
    for (size_t i = 0; i < metadata.count; i++) {
        free((char *)(uintptr_t)metadata.entries[i].value);
    }
    rung_tokenizer_texts_free(&files);
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

static rung_status check_source(const char *directory, const char *name, const char *out_path, rung_error *error)
{
    char *source = rung_path_join(directory, name, error);
    if (source == NULL) {
        return RUNG_NO_MEMORY;
    }
    bool same = rung_path_same_file(source, out_path);
    free(source);
    return same ? rung_fail(error, RUNG_INVALID, "%s: is what the packed file is made from; write to another name",
                            out_path)
                : RUNG_OK;
}

/* The packed file may lie in the directory, but not replace what it is made from. */
static rung_status check_output(const rung_model *model, const char *directory, const char *out_path, rung_error *error)
{
    static const char *const sources[] = {"exits.safetensors", "config.json", "tokenizer_config.json"};
    rung_status status = RUNG_OK;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0] && status == RUNG_OK; i++) {
        status = check_source(directory, sources[i], out_path, error);
    }
    const rung_tokenizer_slot *slot;
    for (size_t i = 0; status == RUNG_OK && (slot = rung_tokenizer_slot_at(i)) != NULL; i++) {
        status = check_source(directory, slot->file, out_path, error);
    }
    const char *name;
    rung_mapping contents;
    for (size_t i = 0; status == RUNG_OK && rung_weight_files_part(model->weights, i, &name, &contents); i++) {
        status = check_source(directory, name, out_path, error);
    }
    return status;
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
    rung_model *model = NULL;
    tensor_list list = {0};
    status = rung_model_open(directory, RUNG_PRECISION_INT8, &model, error);
    if (status == RUNG_OK) {
        status = check_output(model, directory, out_path, error);
    }
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
