/* model.c: opens and closes models, and owns their memory. See model.h. What a file means is known to load_hf.c and
 * load_packed.c. */
#include "model/model.h"

#include "base/memory.h"
#include "model/model_config.h"
#include "model/model_load.h"
#include "model/weight_files.h"

#include <stdlib.h>
#include <string.h>

const char *rung_precision_name(rung_precision precision)
{
    return precision == RUNG_PRECISION_FP32 ? "fp32" : "int8";
}

bool rung_model_has_exit(const rung_model *model, size_t layer)
{
    return layer < model->config.num_layers && model->exits[layer].weight != NULL;
}

size_t rung_model_memory_bytes(const rung_model *model)
{
    const rung_model_config *config = &model->config;
    if (model->file != NULL) {
        return rung_safetensors_contents(model->file).size; /* packed: its weights are used where they lie */
    }
    /* From a directory: the files stay mapped for the word embedding, and the layers were packed beside them. */
    size_t mapped = model->weights != NULL ? rung_weight_files_bytes(model->weights) : 0;
    size_t weights =
        config->num_layers * config->hidden_size * (4 * config->hidden_size + 2 * config->intermediate_size);
    size_t width = model->precision == RUNG_PRECISION_INT8 ? sizeof(int8_t) : sizeof(float);
    return mapped + weights * width;
}

static rung_status create(const char *path, rung_precision precision, rung_model **out, rung_error *error)
{
    rung_model *model = rung_alloc(1, sizeof *model, "model", error);
    char *copy = rung_copy_text(path, strlen(path), "path", error);
    if (model == NULL || copy == NULL) {
        free(model);
        free(copy);
        return RUNG_NO_MEMORY;
    }
    model->path = copy;
    model->precision = precision;
    *out = model;
    return RUNG_OK;
}

/* Not a directory: only a packed file is left, and the message says so whatever the bytes are. */
static rung_status load_file(rung_model *model, rung_error *error)
{
    rung_status status = rung_safetensors_open(model->path, &model->file, error);
    if (status == RUNG_NOT_FOUND || status == RUNG_IO || status == RUNG_NO_MEMORY) {
        return status;
    }
    if (status != RUNG_OK) {
        return rung_fail(error, status,
                         "%.400s (a model is a Hugging Face directory or a file made by `rung quantize`)",
                         error->message);
    }
    return rung_model_load_packed(model, error);
}

rung_status rung_model_open(const char *path, rung_precision precision, rung_model **out, rung_error *error)
{
    rung_error local = {0};
    error = error != NULL ? error : &local;
    rung_model *model;
    rung_status status = create(path, precision, &model, error);
    if (status != RUNG_OK) {
        return status;
    }
    status = rung_path_is_directory(path) ? rung_model_load_hf(model, error) : load_file(model, error);
    if (status != RUNG_OK) {
        rung_model_close(model);
        return status;
    }
    *out = model;
    return RUNG_OK;
}

rung_status rung_model_parse_packed(const uint8_t *data, size_t size, const char *name, rung_model **out,
                                    rung_error *error)
{
    rung_error local = {0};
    error = error != NULL ? error : &local;
    rung_model *model;
    rung_status status = create(name, RUNG_PRECISION_INT8, &model, error);
    if (status != RUNG_OK) {
        return status;
    }
    status = rung_safetensors_parse(data, size, name, &model->file, error);
    if (status == RUNG_OK) {
        status = rung_model_load_packed(model, error);
    }
    if (status != RUNG_OK) {
        rung_model_close(model);
        return status;
    }
    *out = model;
    return RUNG_OK;
}

void rung_model_close(rung_model *model)
{
    if (model == NULL) {
        return;
    }
    for (size_t i = 0; i < model->num_owned; i++) {
        free(model->owned[i]);
    }
    free(model->owned);
    rung_safetensors_close(model->file);
    rung_weight_files_close(model->weights);
    rung_tokenizer_free(model->tokenizer);
    rung_labels_free(model->labels, model->config.num_labels);
    free(model->layers);
    free(model->exits);
    free(model->path);
    free(model);
}

rung_status rung_model_verify(const rung_model *model, rung_error *error)
{
    if (model->file == NULL) {
        return RUNG_OK;
    }
    size_t bytes;
    const char *stated = rung_safetensors_metadata(model->file, "sha256", &bytes);
    char hex[RUNG_SHA256_HEX_BYTES];
    rung_mapping contents = rung_safetensors_contents(model->file);
    size_t header_bytes = rung_safetensors_header_bytes(model->file);
    rung_sha256 hash;
    rung_sha256_init(&hash);
    rung_sha256_update(&hash, contents.data + header_bytes, contents.size - header_bytes);
    rung_sha256_hex(&hash, hex);
    if (strcmp(hex, stated) != 0) {
        return rung_fail(error, RUNG_MISMATCH,
                         "%s: SHA-256 of the data is %s, its header says %.64s: the file is damaged", model->path, hex,
                         stated);
    }
    return RUNG_OK;
}
