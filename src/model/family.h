/* family.h: what the encoders that rung runs differ in, as data: names in config.json and of tensors, positions, token
 * types, and what stands before the classifier. The layer itself is one for all (encoder.c). A family with another
 * layer (pre-norm, rotary positions, local attention) gets fields here and a case in encoder.c.
 * Called by model_config.c and load_hf.c; a packed file keeps config.json, and so its family. */
#ifndef RUNG_MODEL_FAMILY_H
#define RUNG_MODEL_FAMILY_H

#include <stdbool.h>
#include <stddef.h>

/* What stands between the state of the first token and the classifier, behind a linear layer. */
typedef enum rung_pooler_form {
    RUNG_POOLER_TANH,
    RUNG_POOLER_RELU,
} rung_pooler_form;

/* Fields of config.json that families name differently. */
typedef struct rung_family_fields {
    const char *num_layers;
    const char *hidden_size;
    const char *intermediate_size;
    const char *num_heads;
    const char *activation;
    const char *layer_norm_eps;  /* NULL: always 1e-12 */
    const char *type_vocab_size; /* NULL: the family has no token types */
} rung_family_fields;

/* Tensor names without their last part (weight and bias; of a LayerNorm also gamma and beta). */
typedef struct rung_family_layer {
    const char *query, *key, *value;
    const char *attention_output;
    const char *ffn_in, *ffn_out;
    const char *attention_norm, *output_norm;
} rung_family_layer;

typedef struct rung_family {
    const char *model_type;      /* of config.json */
    const char *classifier;      /* the architecture that classifies whole texts */
    const char *const *encoders; /* architectures without such a head; NULL-terminated */
    rung_family_fields fields;
    bool positions_follow_padding; /* the first token has position pad_token_id + 1 */
    bool ignores_type_ids;         /* every token has type 0, whatever the tokenizer says */
    rung_pooler_form pooler_form;
    const char *prefix;          /* before the encoder's tensors in a classifier's file */
    const char *layers;          /* before the number of the layer */
    rung_family_layer layer;     /* behind it and a dot */
    const char *pooler;          /* the linear layer before the classifier */
    bool pooler_is_in_encoder;   /* its name has the prefix */
    const char *classifier_head; /* the classifier's last linear layer */
} rung_family;

/* NULL when rung does not run that "model_type". Lives as long as the program. */
const rung_family *rung_family_find(const char *model_type);

/* The families in order; NULL beyond the last. */
const rung_family *rung_family_at(size_t index);

#endif
