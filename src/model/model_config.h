/* model_config.h: config.json and tokenizer_config.json of a Hugging Face directory, checked against what rung can run
 * and against the limits of model.h. Called by the two loaders; knows nothing of weights. */
#ifndef RUNG_MODEL_MODEL_CONFIG_H
#define RUNG_MODEL_MODEL_CONFIG_H

#include "model/model.h"

/* Reads config.json's text; `name` (a file) is used in messages. *labels gets config->num_labels names in order of id,
 * released with rung_labels_free, and stays as it is for a plain encoder (num_labels 0). RUNG_FORMAT (not JSON, a missing field or one of the wrong type), RUNG_UNSUPPORTED
 * (another family, activation,
 * ..., by name), RUNG_LIMIT, RUNG_MISMATCH, RUNG_NO_MEMORY. max_tokens is set to the positions that the family gives to tokens. */
rung_status rung_model_config_parse(const char *text, size_t bytes, const char *name, rung_model_config *config,
                                    char ***labels, rung_error *error) RUNG_WARN_UNUSED;
void rung_labels_free(char **labels, size_t count);

/* Reads tokenizer_config.json's text: *model_max_length is SIZE_MAX when the file states none (Hugging Face writes 1e30
 * for that). */
rung_status rung_tokenizer_config_parse(const char *text, size_t bytes, const char *name, size_t *model_max_length,
                                        rung_error *error) RUNG_WARN_UNUSED;

/* The JSON text without white space; keys are sorted when `sorted`, and those in `dropped` (NULL-terminated; may be
 * NULL) are left out. Release with free(). */
rung_status rung_json_minify(const char *text, size_t bytes, const char *name, bool sorted, const char *const *dropped,
                             char **minified, rung_error *error) RUNG_WARN_UNUSED;

#endif
