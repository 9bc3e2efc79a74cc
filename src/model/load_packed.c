/* load_packed.c: a model from the file that `rung quantize` writes: one safetensors file whose int8 panels, scales,
 * column sums and biases lie as the kernels read them, so that loading maps them. Small tensors become floats. The file
 * is untrusted: shapes are those that the configuration inside it demands, mapped data are aligned, and no float is
 * NaN. Called by model.c; pack_model.c writes. */
#include "base/checked.h"
#include "base/memory.h"
#include "model/model_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The metadata text `key`, named FILE[key] in messages. *name is released with free(). */
static rung_status read_text(const rung_model *model, const char *key, bool required, rung_named_text *out, char **name,
                             rung_error *error)
{
    size_t name_bytes = strlen(model->path) + strlen(key) + 3;
    char *full = rung_alloc(name_bytes, 1, "name", error);
    if (full == NULL) {
        return RUNG_NO_MEMORY;
    }
    snprintf(full, name_bytes, "%s[%s]", model->path, key);
    *name = full;
    *out = (rung_named_text){.name = full};
    out->text = rung_safetensors_metadata(model->file, key, &out->bytes);
    if (required && out->text == NULL) {
        return rung_fail(error, RUNG_FORMAT,
                         "%s: metadata \"%s\" is missing: write the file again with `rung quantize`", model->path, key);
    }
    return RUNG_OK;
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
    if (version == NULL || strcmp(version, RUNG_PACKED_VERSION) != 0) {
        return rung_fail(
            error, RUNG_UNSUPPORTED,
            "%s: packed format version \"%.60s\" is not the \"%s\" that this rung reads: write the file again with "
            "`rung quantize`",
            model->path, version != NULL ? version : "", RUNG_PACKED_VERSION);
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

/* A column sum is the sum of `in` int8 weights; one that cannot be would overflow the kernels' sums. */
static rung_status check_column_sums(const rung_model *model, const char *name, const int32_t *sums, size_t count,
                                     size_t in, rung_error *error)
{
    int64_t limit = (int64_t)in * 128;
    for (size_t i = 0; i < count; i++) {
        if (sums[i] > limit || sums[i] < -limit) {
            return rung_fail(error, RUNG_FORMAT, "%s: tensor \"%s\": entry %zu is %ld, no sum of %zu int8 weights",
                             model->path, name, i, (long)sums[i], in);
        }
    }
    return RUNG_OK;
}

static rung_status load_linear(const rung_model *model, const char *base, size_t in, size_t out, rung_linear_s8 *linear,
                               rung_error *error)
{
    size_t padded = rung_round_up(out, RUNG_PANEL);
    size_t panels_shape[4] = {padded / RUNG_PANEL, (in + 3) / 4, RUNG_PANEL, 4};
    const struct {
        const char *part;
        rung_dtype dtype;
        size_t rank;
        const size_t *shape;
    } parts[4] = {{"weight", RUNG_I8, 4, panels_shape},
                  {"scales", RUNG_F32, 1, &padded},
                  {"column_sums", RUNG_I32, 1, &padded},
                  {"bias", RUNG_F32, 1, &padded}};
    const uint8_t *data[4] = {NULL};
    char name[RUNG_TENSOR_NAME_BYTES];
    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s.%s", base, parts[i].part);
        rung_status status =
            require_mapped(model, name, parts[i].dtype, parts[i].rank, parts[i].shape, &data[i], error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    *linear = (rung_linear_s8){.in_features = in,
                               .out_features = out,
                               .panels = (const int8_t *)data[0],
                               .scales = (const float *)(const void *)data[1],
                               .column_sums = (const int32_t *)(const void *)data[2],
                               .bias = (const float *)(const void *)data[3]};
    snprintf(name, sizeof name, "%s.column_sums", base);
    return check_column_sums(model, name, linear->column_sums, padded, in, error);
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

/* Metadata "embedding_bits" as a number; 0 when it is none of the widths there are. */
static unsigned embedding_bits(const rung_model *model)
{
    static const struct {
        const char *text;
        unsigned bits;
    } widths[] = {{"4", 4}, {"5", 5}, {"6", 6}, {"8", 8}, {"16", 16}};
    size_t bytes;
    const char *text = rung_safetensors_metadata(model->file, "embedding_bits", &bytes);
    for (size_t i = 0; i < sizeof widths / sizeof widths[0] && text != NULL; i++) {
        if (strcmp(text, widths[i].text) == 0) {
            return widths[i].bits;
        }
    }
    return 0;
}

static rung_status load_word_embedding(rung_model *model, rung_error *error)
{
    const rung_model_config *config = &model->config;
    unsigned bits = embedding_bits(model);
    if (bits == 0) {
        return rung_fail(error, RUNG_FORMAT, "%s: metadata \"embedding_bits\" must be 4, 5, 6, 8 or 16", model->path);
    }
    rung_word_embedding embedding = {0};
    size_t shape[2] = {config->vocab_size, config->hidden_size};
    rung_status status;
    if (bits == 16) {
        embedding.dtype = RUNG_F16;
        embedding.row_bytes = config->hidden_size * 2;
        status = require_mapped(model, "embeddings.word.rows", RUNG_F16, 2, shape, &embedding.rows, error);
    } else {
        embedding.bits = bits;
        embedding.row_bytes = rung_embedding_row_bytes(config->hidden_size, bits);
        shape[1] = embedding.row_bytes;
        status = require_mapped(model, "embeddings.word.rows", RUNG_U8, 2, shape, &embedding.rows, error);
        if (status == RUNG_OK) {
            shape[1] = rung_embedding_groups(config->hidden_size);
            status = require_mapped(model, "embeddings.word.scales", RUNG_F16, 2, shape, &embedding.scales, error);
        }
    }
    if (status == RUNG_OK) {
        model->word_embedding = embedding;
    }
    return status;
}

static rung_status load_embeddings(rung_model *model, rung_error *error)
{
    const rung_model_config *config = &model->config;
    rung_status status = load_word_embedding(model, error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t shape[2] = {config->max_positions, config->hidden_size};
    status = rung_model_floats(model, model->file, "embeddings.position", 2, shape, &model->position_embedding, error);
    if (status != RUNG_OK) {
        return status;
    }
    shape[0] = config->type_vocab_size;
    status = rung_model_floats(model, model->file, "embeddings.type", 2, shape, &model->type_embedding, error);
    if (status != RUNG_OK) {
        return status;
    }
    return load_norm(model, "embeddings.norm", &model->embedding_norm_gamma, &model->embedding_norm_beta, error);
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

static rung_status load_texts(rung_model *model, rung_error *error)
{
    static const char *const keys[3] = {"config", "tokenizer_config", "tokenizer"};
    rung_named_text texts[3] = {{0}};
    char *names[3] = {NULL};
    rung_status status = RUNG_OK;
    for (size_t i = 0; i < 3 && status == RUNG_OK; i++) {
        status = read_text(model, keys[i], i != 1, &texts[i], &names[i], error);
    }
    if (status == RUNG_OK) {
        status = rung_model_describe(model, &texts[0], &texts[1], error);
    }
    if (status == RUNG_OK) {
        status = rung_model_set_tokenizer(model, &texts[2], error);
    }
    for (size_t i = 0; i < 3; i++) {
        free(names[i]);
    }
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
    if (status == RUNG_OK) {
        status = rung_model_pooler(model, model->file, "pooler.weight", "pooler.bias", error);
    }
    if (status == RUNG_OK) {
        status = load_exits(model, error);
    }
    if (status == RUNG_OK) {
        hash_header(model);
    }
    return status;
}
