/* load_packed.c: a model from the file that `rung quantize` writes: one safetensors file whose int8 panels, scales
 * and biases lie as the kernels read them, so that loading maps them. Small tensors become floats, and column sums are
 * added up. The file is untrusted: shapes are those that the configuration inside it demands, mapped data are aligned,
 * and no float is NaN. Called by model.c; pack_model.c writes. */
#include "base/checked.h"
#include "base/memory.h"
#include "model/model_load.h"
#include "model/packed_text.h"
#include "model/tokenizer_texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FILE[key], as messages name a text of the file. Release with free(). */
static char *text_name(const rung_model *model, const char *key, rung_error *error)
{
    size_t name_bytes = strlen(model->path) + strlen(key) + 3;
    char *name = rung_alloc(name_bytes, 1, "name", error);
    if (name != NULL) {
        snprintf(name, name_bytes, "%s[%s]", model->path, key);
    }
    return name;
}

/* The metadata text `key`; text stays NULL when it is not there. Name and text are released with free(), after a failure
 * as well. */
static rung_status read_metadata(const rung_model *model, const char *key, rung_named_text *out, rung_error *error)
{
    out->name = text_name(model, key, error);
    if (out->name == NULL) {
        return RUNG_NO_MEMORY;
    }
    const char *value = rung_safetensors_metadata(model->file, key, &out->bytes);
    if (value == NULL) {
        return RUNG_OK;
    }
    out->text = rung_copy_text(value, out->bytes, key, error);
    return out->text != NULL ? RUNG_OK : RUNG_NO_MEMORY;
}

/* The same for the tensor of a text of the tokenizer. */
static rung_status read_tensor(const rung_model *model, const char *key, rung_named_text *out, rung_error *error)
{
    char tensor[RUNG_TENSOR_NAME_BYTES];
    snprintf(tensor, sizeof tensor, "%s.%s", RUNG_PACKED_TEXTS, key);
    out->name = text_name(model, key, error);
    if (out->name == NULL) {
        return RUNG_NO_MEMORY;
    }
    char *text = NULL;
    rung_status status =
        rung_packed_text_read(model->file, tensor, RUNG_TOKENIZER_MAX_BYTES, &text, &out->bytes, error);
    out->text = text;
    return status;
}

/* A version whose tokenizer stands in the metadata. */
static bool has_old_texts(const rung_model *model)
{
    size_t bytes;
    const char *version = rung_safetensors_metadata(model->file, "version", &bytes);
    return version != NULL &&
           (strcmp(version, RUNG_PACKED_VERSION_1) == 0 || strcmp(version, RUNG_PACKED_VERSION_2) == 0);
}

static rung_status check_format(const rung_model *model, rung_error *error)
{
    size_t bytes;
    const char *format = rung_safetensors_metadata(model->file, "format", &bytes);
    if (format == NULL || strcmp(format, RUNG_PACKED_FORMAT) != 0) {
        return rung_fail(
            error, RUNG_FORMAT,
            "%s: is a safetensors file, but not one made by `rung quantize` (metadata \"format\" is \"%.60s\", "
            "wanted \"%s\"): name the Hugging Face directory that holds it instead",
            model->path, format != NULL ? format : "", RUNG_PACKED_FORMAT);
    }
    const char *version = rung_safetensors_metadata(model->file, "version", &bytes);
    if (version == NULL || (strcmp(version, RUNG_PACKED_VERSION) != 0 && !has_old_texts(model))) {
        return rung_fail(error, RUNG_UNSUPPORTED,
                         "%s: packed format version \"%.60s\" is not the \"%s\", \"%s\" or \"%s\" that this rung "
                         "reads: write the file again with `rung quantize`",
                         model->path, version != NULL ? version : "", RUNG_PACKED_VERSION_1, RUNG_PACKED_VERSION_2,
                         RUNG_PACKED_VERSION);
    }
    if (model->precision == RUNG_PRECISION_FP32) {
        const char *source = rung_safetensors_metadata(model->file, "source", &bytes);
        return rung_fail(
            error, RUNG_UNSUPPORTED,
            "%s: is a packed int8 file and cannot run in fp32, since the original weights are not in it: name the "
            "Hugging Face directory that it was made from (\"%.200s\"), or use int8",
            model->path, source != NULL ? source : "unknown");
    }
    const char *sha256 = rung_safetensors_metadata(model->file, "sha256", &bytes);
    if (sha256 == NULL || bytes != RUNG_SHA256_HEX_BYTES - 1) {
        return rung_fail(error, RUNG_FORMAT, "%s: metadata \"sha256\" is missing or has not 64 digits", model->path);
    }
    return RUNG_OK;
}

/* Finds a tensor whose data are used where they lie. */
static rung_status require_mapped(const rung_model *model, const char *name, rung_dtype dtype, size_t rank,
                                  const size_t *shape, const uint8_t **data, rung_error *error)
{
    const rung_tensor *tensor = NULL;
    rung_status status = rung_safetensors_require(model->file, name, (int)dtype, rank, shape, &tensor, error);
    if (status != RUNG_OK) {
        return status;
    }
    if ((uintptr_t)tensor->data % RUNG_ALIGNMENT != 0) {
        return rung_fail(error, RUNG_FORMAT,
                         "%s: tensor \"%s\" starts at byte %zu, which is no multiple of %d: write the file again with "
                         "`rung quantize`",
                         model->path, name, (size_t)(tensor->data - rung_safetensors_contents(model->file).data),
                         RUNG_ALIGNMENT);
    }
    if (dtype == RUNG_F32 || dtype == RUNG_F16) {
        status = rung_tensor_require_finite(model->file, tensor, error);
    }
    *data = tensor->data;
    return status;
}

/* Column sums are not in the file: they follow from the weights. Versions 1 and 2 had them; theirs are not read, so that
 * wrong ones do no harm. */
static rung_status load_linear(rung_model *model, const char *base, size_t in, size_t out, rung_linear_s8 *linear,
                               rung_error *error)
{
    size_t padded = rung_round_up(out, RUNG_PANEL);
    size_t panels_shape[4] = {padded / RUNG_PANEL, (in + 3) / 4, RUNG_PANEL, 4};
    const struct {
        const char *part;
        rung_dtype dtype;
        size_t rank;
        const size_t *shape;
    } parts[3] = {
        {"weight", RUNG_I8, 4, panels_shape}, {"scales", RUNG_F32, 1, &padded}, {"bias", RUNG_F32, 1, &padded}};
    const uint8_t *data[3] = {NULL};
    char name[RUNG_TENSOR_NAME_BYTES];
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s.%s", base, parts[i].part);
        rung_status status =
            require_mapped(model, name, parts[i].dtype, parts[i].rank, parts[i].shape, &data[i], error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    int32_t *column_sums = rung_model_alloc(model, padded, sizeof *column_sums, "int8 column sums", error);
    if (column_sums == NULL) {
        return RUNG_NO_MEMORY;
    }
    const int8_t *panels = (const int8_t *)data[0];
    rung_column_sums_s8(panels, in, out, column_sums);
    *linear = (rung_linear_s8){.in_features = in,
                               .out_features = out,
                               .panels = panels,
                               .scales = (const float *)(const void *)data[1],
                               .column_sums = column_sums,
                               .bias = (const float *)(const void *)data[2]};
    return RUNG_OK;
}

static rung_status load_norm(rung_model *model, const char *base, const float **gamma, const float **beta,
                             rung_error *error)
{
    char name[RUNG_TENSOR_NAME_BYTES];
    size_t hidden = model->config.hidden_size;
    snprintf(name, sizeof name, "%s.gamma", base);
    rung_status status = rung_model_floats(model, model->file, name, 1, &hidden, gamma, error);
    if (status != RUNG_OK) {
        return status;
    }
    snprintf(name, sizeof name, "%s.beta", base);
    return rung_model_floats(model, model->file, name, 1, &hidden, beta, error);
}

static rung_status load_layer(rung_model *model, size_t index, rung_error *error)
{
    size_t hidden = model->config.hidden_size;
    size_t intermediate = model->config.intermediate_size;
    rung_layer *layer = &model->layers[index];
    const struct {
        const char *name;
        size_t in, out;
        rung_linear_s8 *linear;
    } linears[4] = {{"qkv", hidden, 3 * hidden, &layer->qkv.s8},
                    {"attention_output", hidden, hidden, &layer->attention_output.s8},
                    {"ffn_in", hidden, intermediate, &layer->ffn_in.s8},
                    {"ffn_out", intermediate, hidden, &layer->ffn_out.s8}};
    char base[RUNG_TENSOR_NAME_BYTES / 2];
    for (size_t i = 0; i < 4; i++) {
        snprintf(base, sizeof base, "layers.%zu.%s", index, linears[i].name);
        rung_status status = load_linear(model, base, linears[i].in, linears[i].out, linears[i].linear, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    snprintf(base, sizeof base, "layers.%zu.attention_norm", index);
    rung_status status = load_norm(model, base, &layer->attention_norm_gamma, &layer->attention_norm_beta, error);
    if (status != RUNG_OK) {
        return status;
    }
    snprintf(base, sizeof base, "layers.%zu.output_norm", index);
    return load_norm(model, base, &layer->output_norm_gamma, &layer->output_norm_beta, error);
}

/* Metadata `key` as one of the widths there are. */
static rung_status read_width(const rung_model *model, const char *key, unsigned *bits, rung_error *error)
{
    static const struct {
        const char *text;
        unsigned bits;
    } widths[] = {{"4", 4}, {"5", 5}, {"6", 6}, {"8", 8}, {"16", 16}};
    size_t bytes;
    const char *text = rung_safetensors_metadata(model->file, key, &bytes);
    for (size_t i = 0; i < sizeof widths / sizeof widths[0] && text != NULL; i++) {
        if (strcmp(text, widths[i].text) == 0) {
            *bits = widths[i].bits;
            return RUNG_OK;
        }
    }
    return rung_fail(error, RUNG_FORMAT, "%s: metadata \"%s\" must be 4, 5, 6, 8 or 16", model->path, key);
}

/* Metadata "frequent_rows": digits without a leading zero that stay below the vocabulary; 0 when it is not there. */
static rung_status read_frequent_rows(const rung_model *model, size_t *rows, rung_error *error)
{
    size_t bytes;
    const char *text = rung_safetensors_metadata(model->file, "frequent_rows", &bytes);
    size_t value = 0;
    if (text == NULL) {
        *rows = 0;
        return RUNG_OK;
    }
    bool valid = text[0] != '0' && bytes > 0;
    for (size_t i = 0; i < bytes && valid; i++) {
        valid = text[i] >= '0' && text[i] <= '9' && value < RUNG_MAX_VOCAB;
        value = valid ? value * 10 + (size_t)(text[i] - '0') : 0;
    }
    if (!valid || value >= model->config.vocab_size) {
        return rung_fail(error, RUNG_FORMAT,
                         "%s: metadata \"frequent_rows\" is \"%.20s\", no whole number from 1 to %zu (one less than "
                         "\"vocab_size\")",
                         model->path, text, model->config.vocab_size - 1);
    }
    *rows = value;
    return RUNG_OK;
}

/* The tensors BASE.rows and, below 16 bits, BASE.scales of `count` rows with hidden_size columns, where they lie. */
static rung_status load_table(const rung_model *model, const char *base, size_t count, unsigned bits,
                              rung_embedding_table *out, rung_error *error)
{
    size_t hidden = model->config.hidden_size;
    bool half = bits == 16;
    rung_embedding_table table = {
        .bits = half ? 0 : bits, .dtype = RUNG_F16, .row_bytes = rung_embedding_row_bytes(hidden, bits)};
    size_t shape[2] = {count, half ? hidden : table.row_bytes};
    char name[RUNG_TENSOR_NAME_BYTES];
    snprintf(name, sizeof name, "%s.rows", base);
    rung_status status = require_mapped(model, name, half ? RUNG_F16 : RUNG_U8, 2, shape, &table.rows, error);
    if (status == RUNG_OK && !half) {
        shape[1] = rung_embedding_groups(hidden);
        snprintf(name, sizeof name, "%s.scales", base);
        status = require_mapped(model, name, RUNG_F16, 2, shape, &table.scales, error);
    }
    if (status == RUNG_OK) {
        *out = table;
    }
    return status;
}

static rung_status load_word_embedding(rung_model *model, rung_error *error)
{
    rung_word_embedding embedding = {0};
    unsigned bits = 0;
    unsigned frequent_bits = 0;
    rung_status status = read_width(model, "embedding_bits", &bits, error);
    if (status == RUNG_OK) {
        status = read_frequent_rows(model, &embedding.frequent_rows, error);
    }
    if (status == RUNG_OK && embedding.frequent_rows > 0) {
        status = read_width(model, "frequent_bits", &frequent_bits, error);
        if (status == RUNG_OK) {
            status = load_table(model, "embeddings.word.frequent", embedding.frequent_rows, frequent_bits,
                                &embedding.frequent, error);
        }
    }
    if (status == RUNG_OK) {
        status = load_table(model, "embeddings.word", model->config.vocab_size - embedding.frequent_rows, bits,
                            &embedding.rest, error);
    }
    if (status == RUNG_OK) {
        model->word_embedding = embedding;
    }
    return status;
}

/* Turns the table BASE of `count` rows into floats [count, hidden] that the model owns or, without `owned`, that the
 * caller frees. */
static rung_status load_decoded(rung_model *model, const char *base, size_t count, bool owned, float **out,
                                rung_error *error)
{
    size_t hidden = model->config.hidden_size;
    rung_embedding_table table;
    rung_status status = load_table(model, base, count, RUNG_PACKED_TABLE_BITS, &table, error);
    if (status != RUNG_OK) {
        return status;
    }
    float *values = owned ? rung_model_alloc(model, count * hidden, sizeof *values, base, error)
                          : rung_alloc_aligned(count * hidden, sizeof *values, base, error);
    if (values == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        rung_embedding_table_row(&table, hidden, i, values + i * hidden);
    }
    *out = values;
    return RUNG_OK;
}

static rung_status load_embeddings(rung_model *model, rung_error *error)
{
    const rung_model_config *config = &model->config;
    float *positions = NULL;
    rung_status status = load_word_embedding(model, error);
    if (status == RUNG_OK) {
        status = load_decoded(model, "embeddings.position", config->max_positions, true, &positions, error);
        model->position_embedding = positions;
    }
    if (status != RUNG_OK) {
        return status;
    }
    if (config->type_vocab_size > 0) {
        size_t shape[2] = {config->type_vocab_size, config->hidden_size};
        status = rung_model_floats(model, model->file, "embeddings.type", 2, shape, &model->type_embedding, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    return load_norm(model, "embeddings.norm", &model->embedding_norm_gamma, &model->embedding_norm_beta, error);
}

static rung_status load_pooler(rung_model *model, rung_error *error)
{
    size_t hidden = model->config.hidden_size;
    float *rows = NULL;
    const rung_tensor *bias = NULL;
    rung_status status = load_decoded(model, "pooler", hidden, false, &rows, error);
    if (status == RUNG_OK) {
        status = rung_safetensors_require(model->file, "pooler.bias", -1, 1, &hidden, &bias, error);
    }
    if (status == RUNG_OK) {
        status = rung_tensor_require_finite(model->file, bias, error);
    }
    if (status == RUNG_OK) {
        status = rung_model_pooler(model, rows, bias, error);
    }
    free(rows);
    return status;
}

static rung_status load_exits(rung_model *model, rung_error *error)
{
    rung_status status = rung_model_exit(model, model->file, model->config.num_layers - 1, "classifier.weight",
                                         "classifier.bias", error);
    for (size_t layer = 0; layer + 1 < model->config.num_layers && status == RUNG_OK; layer++) {
        char weight[RUNG_TENSOR_NAME_BYTES];
        char bias[RUNG_TENSOR_NAME_BYTES];
        snprintf(weight, sizeof weight, "exits.%zu.weight", layer);
        snprintf(bias, sizeof bias, "exits.%zu.bias", layer);
        if (rung_safetensors_find(model->file, weight) != NULL) {
            status = rung_model_exit(model, model->file, layer, weight, bias, error);
        }
    }
    return status;
}

static rung_status read_config(const rung_model *model, rung_named_text *config, rung_error *error)
{
    rung_status status = read_metadata(model, "config", config, error);
    if (status == RUNG_OK && config->text == NULL) {
        return rung_fail(error, RUNG_FORMAT,
                         "%s: metadata \"config\" is missing: write the file again with `rung quantize`", model->path);
    }
    return status;
}

static rung_status read_tokenizer_texts(const rung_model *model, rung_tokenizer_files *files, rung_error *error)
{
    bool old = has_old_texts(model);
    rung_status status = read_metadata(model, "tokenizer_config", &files->tokenizer_config, error);
    const rung_tokenizer_slot *slot;
    for (size_t i = 0; status == RUNG_OK && (slot = rung_tokenizer_slot_at(i)) != NULL; i++) {
        rung_named_text *text = rung_tokenizer_slot_text(files, slot);
        status = old ? read_metadata(model, slot->key, text, error) : read_tensor(model, slot->key, text, error);
    }
    if (status == RUNG_OK && rung_tokenizer_main_file(files)->text == NULL) {
        return rung_fail(error, RUNG_FORMAT,
                         "%s: the text of its tokenizer is missing: write the file again with `rung quantize`",
                         model->path);
    }
    return status;
}

static rung_status load_texts(rung_model *model, rung_error *error)
{
    rung_named_text config = {0};
    rung_tokenizer_files files = {0};
    rung_status status = read_config(model, &config, error);
    if (status == RUNG_OK) {
        status = read_tokenizer_texts(model, &files, error);
    }
    if (status == RUNG_OK) {
        status = rung_model_describe(model, &config, &files.tokenizer_config, error);
    }
    if (status == RUNG_OK) {
        status = rung_model_set_tokenizer(model, &files, error);
    }
    free((char *)(uintptr_t)config.name);
    free((char *)(uintptr_t)config.text);
    rung_tokenizer_texts_free(&files);
    return status;
}

/* Over the header alone: it states the SHA-256 of the data, which rung_model_verify checks. */
static void hash_header(rung_model *model)
{
    rung_sha256 hash;
    rung_sha256_init(&hash);
    rung_sha256_update(&hash, rung_safetensors_contents(model->file).data, rung_safetensors_header_bytes(model->file));
    rung_sha256_hex(&hash, model->hash);
}

rung_status rung_model_load_packed(rung_model *model, rung_error *error)
{
    rung_status status = check_format(model, error);
    if (status == RUNG_OK) {
        status = load_texts(model, error);
    }
    if (status == RUNG_OK) {
        status = load_embeddings(model, error);
    }
    for (size_t i = 0; i < model->config.num_layers && status == RUNG_OK; i++) {
        status = load_layer(model, i, error);
    }
    rung_model_settle_labels(model, rung_safetensors_find(model->file, "classifier.weight") != NULL);
    if (status == RUNG_OK && model->config.num_labels > 0) {
        status = load_pooler(model, error);
        if (status == RUNG_OK) {
            status = load_exits(model, error);
        }
    }
    if (status == RUNG_OK) {
        hash_header(model);
    }
    return status;
}
