/* model_load.h: what the two loaders (load_hf.c, load_packed.c) share, and the names in a packed file. Implemented in
 * model.c and model_tensors.c; called by nothing else than the loaders, the writer (pack_model.c) and the fuzzer. */
#ifndef RUNG_MODEL_MODEL_LOAD_H
#define RUNG_MODEL_MODEL_LOAD_H

#include "model/model.h"

#define RUNG_CONFIG_MAX_BYTES ((size_t)1 << 20)
#define RUNG_TOKENIZER_MAX_BYTES ((size_t)64 << 20)
#define RUNG_TENSOR_NAME_BYTES 192

#define RUNG_PACKED_FORMAT "rung-packed"
#define RUNG_PACKED_VERSION "3"
/* Read as well: the tokenizer's texts stand in the metadata, in version 1 with a WordPiece vocabulary inside the JSON
 * text. */
#define RUNG_PACKED_VERSION_1 "1"
#define RUNG_PACKED_VERSION_2 "2"
/* The tensors of the tokenizer's texts: this, a dot, and the slot's key (tokenizer_texts.h). */
#define RUNG_PACKED_TEXTS "texts"

/* Position embedding and pooler of a packed file. */
#define RUNG_PACKED_TABLE_BITS 8u

/* Quantised rows carry a scale per group of this many values. */
#define RUNG_EMBEDDING_GROUP 32

static inline size_t rung_embedding_groups(size_t hidden_size)
{
    return (hidden_size + RUNG_EMBEDDING_GROUP - 1) / RUNG_EMBEDDING_GROUP;
}

static inline size_t rung_embedding_row_bytes(size_t hidden_size, unsigned bits)
{
    return (hidden_size * bits + 7) / 8;
}

/* `count` zeroed elements, 64-byte aligned, that live as long as the model. NULL with error filled. */
void *rung_model_alloc(rung_model *model, size_t count, size_t size, const char *what,
                       rung_error *error) RUNG_WARN_UNUSED;

/* Parses the texts and makes config, labels and the empty arrays of layers and exits. */
rung_status rung_model_describe(rung_model *model, const rung_named_text *config,
                                const rung_named_text *tokenizer_config, rung_error *error) RUNG_WARN_UNUSED;

/* Once the tensors are known: a configuration that states no labels is a plain encoder's when there is no classifier. */
void rung_model_settle_labels(rung_model *model, bool has_classifier);

/* Parses the tokenizer and checks that its ids and type ids fit the embedding that the configuration states. */
rung_status rung_model_set_tokenizer(rung_model *model, const rung_tokenizer_files *files,
                                     rung_error *error) RUNG_WARN_UNUSED;

/* A finite float tensor's values as floats that the model owns. */
rung_status rung_model_tensor_floats(rung_model *model, const rung_tensor *tensor, const float **out,
                                     rung_error *error) RUNG_WARN_UNUSED;

/* The float tensor `name` of that shape as finite floats that the model owns. */
rung_status rung_model_floats(rung_model *model, const rung_safetensors *file, const char *name, size_t rank,
                              const size_t *shape, const float **out, rung_error *error) RUNG_WARN_UNUSED;

/* The head `weight` [num_labels, hidden], `bias` [num_labels] after layer `layer`. */
rung_status rung_model_exit(rung_model *model, const rung_safetensors *file, size_t layer, const char *weight,
                            const char *bias, rung_error *error) RUNG_WARN_UNUSED;

/* The fp32 pooler from `rows` [hidden, hidden], which stay the caller's, and a finite float tensor [hidden]. */
rung_status rung_model_pooler(rung_model *model, const float *rows, const rung_tensor *bias,
                              rung_error *error) RUNG_WARN_UNUSED;

/* Fill a model whose path and precision are set. On failure the caller closes it. load_packed takes its bytes from
 * model->file. */
rung_status rung_model_load_hf(rung_model *model, rung_error *error) RUNG_WARN_UNUSED;
rung_status rung_model_load_packed(rung_model *model, rung_error *error) RUNG_WARN_UNUSED;

/* As rung_model_open over a packed file's bytes, which start 64-byte aligned and which the caller keeps alive (fuzzing,
 * tests). */
rung_status rung_model_parse_packed(const uint8_t *data, size_t size, const char *name, rung_model **model,
                                    rung_error *error) RUNG_WARN_UNUSED;

#endif
