/* model.h: a loaded encoder with its tokenizer, labels and exit heads, ready for the kernels. Made by the loaders
 * (load_hf.c from a Hugging Face directory, load_packed.c from the packed int8 file), read by encoder.c, exit_heads.c,
 * src/run and src/fit. A family is data here (names of tensors, positions, activation), not a copy of the layer. */
#ifndef RUNG_MODEL_MODEL_H
#define RUNG_MODEL_MODEL_H

#include "base/hash.h"
#include "kernels/kernels.h"
#include "model/family.h"
#include "model/safetensors.h"
#include "model/tokenizer.h"

/* Limits on what a file may ask for; beyond them RUNG_LIMIT names field, value and limit. */
#define RUNG_MAX_LAYERS 128
#define RUNG_MAX_HIDDEN 16384
#define RUNG_MAX_INTERMEDIATE 65536
#define RUNG_MAX_HEADS 256
#define RUNG_MAX_POSITIONS 65536
#define RUNG_MAX_LABELS 4096
#define RUNG_MAX_VOCAB 4000000

typedef enum rung_precision {
    RUNG_PRECISION_FP32,
    RUNG_PRECISION_INT8,
} rung_precision;

const char *rung_precision_name(rung_precision precision); /* "fp32", "int8" */

typedef enum rung_task {
    RUNG_TASK_SINGLE_LABEL, /* softmax */
    RUNG_TASK_MULTI_LABEL,  /* sigmoid; confidence is that of the least sure label */
} rung_task;

/* config.json, checked. */
typedef struct rung_model_config {
    const rung_family *family; /* names in the files; NULL for random_model.h */
    size_t num_layers;
    size_t hidden_size;
    size_t intermediate_size;
    size_t num_heads;
    size_t head_size;     /* hidden_size / num_heads */
    size_t max_tokens;    /* least of the positions that tokens get and tokenizer_config.json's model_max_length */
    size_t max_positions; /* rows of the position embedding */
    /* Positions count on from this one. A token of this id gets it as its position, and the count passes it over. -1
     * where no id is special. */
    int32_t padding_id;
    size_t type_vocab_size; /* 0: the family has no token types */
    bool ignores_type_ids;  /* every token has type 0 */
    size_t vocab_size;
    size_t num_labels;   /* 0: a plain encoder, which has no labels and no exits yet */
    bool labels_assumed; /* the file states no labels: two, as transformers does, unless there is no classifier */
    float layer_norm_eps;
    rung_epilogue activation; /* RUNG_EPILOGUE_GELU or RUNG_EPILOGUE_RELU */
    rung_pooler_form pooler_form;
    rung_task task;
} rung_model_config;

/* One projection in either precision; which one is the model's. */
typedef struct rung_linear {
    rung_linear_s8 s8;
    rung_linear_f32 f32;
} rung_linear;

typedef struct rung_layer {
    rung_linear qkv;                                         /* [3 hidden, hidden]: query, key and value side by side */
    rung_linear attention_output;                            /* [hidden, hidden] */
    rung_linear ffn_in;                                      /* [intermediate, hidden] */
    rung_linear ffn_out;                                     /* [hidden, intermediate] */
    const float *attention_norm_gamma, *attention_norm_beta; /* [hidden] */
    const float *output_norm_gamma, *output_norm_beta;       /* [hidden] */
} rung_layer;

/* Rows as they lie in the file: floats of some width, or `bits` (4, 5, 6 or 8) bit integers with a F16 scale per group
 * of 32: value = scale * (q - 2^(bits-1)), q unsigned; q's of a row follow each other in a little-endian bit stream, low
 * bits first; a row starts on a byte and the last group may be short. */
typedef struct rung_embedding_table {
    unsigned bits;       /* 0: plain floats of `dtype` */
    rung_dtype dtype;    /* F32, F16 or BF16 when bits is 0 */
    const uint8_t *rows; /* [rows of the table][row_bytes] */
    size_t row_bytes;
    const uint8_t *scales; /* F16 [rows of the table][ceil(hidden / 32)] when bits is not 0 */
} rung_embedding_table;

/* A vocabulary lists its words roughly by frequency, so that the first rows are read most and may have more bits. */
typedef struct rung_word_embedding {
    size_t frequent_rows;          /* 0: all rows are in `rest` */
    rung_embedding_table frequent; /* ids below frequent_rows */
    rung_embedding_table rest;     /* the others, from id frequent_rows on */
} rung_word_embedding;

/* Writes row `row_index` of the table as hidden_size floats. */
void rung_embedding_table_row(const rung_embedding_table *table, size_t hidden_size, size_t row_index, float *out);

/* Writes the row of `id` (< vocab_size) as hidden_size floats. */
void rung_word_embedding_row(const rung_word_embedding *embedding, size_t hidden_size, int32_t id, float *out);

/* A linear head on the [CLS] state after a layer. */
typedef struct rung_exit_head {
    const float *weight; /* [num_labels, hidden]; NULL when this layer has no head */
    const float *bias;   /* [num_labels] */
} rung_exit_head;

typedef struct rung_model {
    rung_model_config config;
    rung_precision precision;
    char *path;                       /* as the user named it */
    char hash[RUNG_SHA256_HEX_BYTES]; /* of the files that decide its answers */
    rung_tokenizer *tokenizer;
    char **labels; /* [num_labels] in order of id; NULL for a plain encoder */
    rung_word_embedding word_embedding;
    const float *position_embedding; /* [max_positions, hidden] */
    const float *type_embedding;     /* [type_vocab_size, hidden]; NULL without token types */
    const float *embedding_norm_gamma, *embedding_norm_beta;
    rung_layer *layers;     /* [num_layers] */
    rung_exit_head *exits;  /* [num_layers]; the last is the classifier on the pooled state */
    rung_linear_f32 pooler; /* [hidden, hidden]; panels NULL when the classifier reads the first token's state itself */
    /* Owners of the memory above. */
    rung_safetensors *file;            /* packed */
    struct rung_weight_files *weights; /* of a directory */
    void **owned;                      /* [num_owned] blocks to free */
    size_t num_owned;
    size_t owned_capacity;
} rung_model;

/* Opens a Hugging Face directory of a classifier or a plain encoder (either precision: int8 quantises in memory) or a packed file (int8 only; fp32 is
 * refused). Checks all that the file says against the limits above. */
rung_status rung_model_open(const char *path, rung_precision precision, rung_model **model,
                            rung_error *error) RUNG_WARN_UNUSED;
void rung_model_close(rung_model *model);

/* Recomputes the SHA-256 over all data of a packed file and compares it with the one that its header states, which is
 * too slow to do at every load. RUNG_MISMATCH when they differ; RUNG_OK at once for a directory, whose hash is made
 * from all bytes. */
rung_status rung_model_verify(const rung_model *model, rung_error *error) RUNG_WARN_UNUSED;

/* Widths of the word embedding: 4, 5, 6, 8, or 16 for half floats. */
typedef struct rung_quantize_options {
    unsigned bits;
    unsigned frequent_bits; /* of the first frequent_rows rows; unused when there are none */
    size_t frequent_rows;   /* less than the rows there are */
} rung_quantize_options;

/* `rung quantize`: directory -> packed file. */
rung_status rung_model_quantize(const char *directory, const rung_quantize_options *options, const char *out_path,
                                rung_error *error) RUNG_WARN_UNUSED;

/* Bytes that the model's weights take in memory: the mapped file of a packed model, the packed panels and embeddings of a directory. */
size_t rung_model_memory_bytes(const rung_model *model);

/* Gives the model heads, copied, each on the [CLS] state itself: heads [num_layers], finite. With `labels` (2 to RUNG_MAX_LABELS names, each once) they are
 * for a new task and replace the model's own labels and exits: a layer whose weight is NULL has none, and the last has one. Without (NULL, num_labels
 * that of the model) they join the model's own: a layer whose weight is NULL stays as it is. Only before the model is shared; its hash stays that of
 * its files. */
rung_status rung_model_set_heads(rung_model *model, const char *const *labels, size_t num_labels,
                                 const rung_exit_head *heads, rung_error *error) RUNG_WARN_UNUSED;

/* True when a head follows layer `layer` (0-based). */
bool rung_model_has_exit(const rung_model *model, size_t layer);

#endif
