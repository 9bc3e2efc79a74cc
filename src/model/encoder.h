/* encoder.h: the forward pass over a packed batch. src/run owns the loop over layers: it calls rung_encoder_layer, looks at the exits, and
 * removes the sequences that stop. Nothing here decides anything.
 * Source: Devlin et al. 2019 (layer), Eq 9 of the paper (importance), Eq 13 ("process" after each layer). */
#ifndef RUNG_MODEL_ENCODER_H
#define RUNG_MODEL_ENCODER_H

#include "base/thread_pool.h"
#include "model/model.h"

/* What a batch spends its time on. */
typedef enum rung_encoder_part {
    RUNG_PART_EMBEDDING, /* with its LayerNorm */
    RUNG_PART_QKV,
    RUNG_PART_ATTENTION,
    RUNG_PART_ATTENTION_OUTPUT, /* and the residual */
    RUNG_PART_FFN_IN,           /* and the activation */
    RUNG_PART_FFN_OUT,          /* and the residual */
    RUNG_PART_NORM,             /* LayerNorm and quantisation of activations */
    RUNG_PART_EXIT,             /* logits of an exit */
    RUNG_ENCODER_PARTS,
} rung_encoder_part;

/* For measurements: done(context, part) is called on the batch's thread when a part has just run; parts follow each other without gaps. Not
 * called while the batch shares its layers with other threads: parts then overlap. */
typedef struct rung_encoder_probe {
    void (*done)(void *context, rung_encoder_part part);
    void *context;
} rung_encoder_probe;

/* Sequences laid end to end, no padding. One owner thread at a time; sized once, no allocation afterwards. */
typedef struct rung_batch {
    const rung_model *model;
    const rung_kernels *kernels;
    size_t max_tokens; /* capacity, all sequences together */
    size_t max_sequences;
    size_t num_sequences;
    size_t num_tokens;
    size_t *starts;    /* [num_sequences + 1] row at which each sequence begins */
    float *hidden;     /* [num_tokens, hidden] state after the last layer that ran */
    float *importance; /* [num_tokens] column sums of attention added up over the layers that were asked for (Eq 9) */
    /* Scratch. */
    bool *token_keep;      /* [num_tokens] room for the marks of rung_batch_keep_tokens */
    rung_q8 quantized;     /* [num_tokens, hidden] of the state, int8 only */
    float *qkv;            /* [num_tokens, 3 hidden] */
    float *context;        /* [num_tokens, hidden] */
    float *pooled;         /* [hidden] */
    float *ffn;            /* [block, intermediate] */
    rung_q8 ffn_quantized; /* of those, int8 only */
    void *attention_scratch;
    uint8_t *memory;
    size_t memory_bytes;
    /* Layers shared with other threads; see rung_batch_share. */
    rung_thread_pool *pool; /* lent; NULL: no others */
    void **helper_scratch;  /* [threads of the pool - 1] for attention */
    float *head_sums;       /* [num_heads, max_tokens] column sums of each head */
    uint8_t *shared_memory;
    const rung_encoder_probe *probe; /* lent; NULL: nobody measures */
} rung_batch;

/* Allocates for sequences of up to model->config.max_tokens tokens each and max_tokens in all. */
rung_status rung_batch_init(rung_batch *batch, const rung_model *model, const rung_kernels *kernels, size_t max_tokens,
                            size_t max_sequences, rung_error *error) RUNG_WARN_UNUSED;
void rung_batch_deinit(rung_batch *batch);

/* From now on the layers of this batch run on all threads of the pool, which only this batch may use while it runs one: for few texts that should not
 * wait. Results are the same bits. The pool is lent; NULL: the calling thread alone again. RUNG_NO_MEMORY, RUNG_LIMIT: the batch stays
 * as it is. */
rung_status rung_batch_share(rung_batch *batch, rung_thread_pool *pool, rung_error *error) RUNG_WARN_UNUSED;
void rung_batch_clear(rung_batch *batch);

/* True when one more sequence of `tokens` fits. */
bool rung_batch_fits(const rung_batch *batch, size_t tokens);

/* Appends a sequence and computes its embedding: ids < vocab_size and type ids < type_vocab_size (checked when the model was loaded,
 * asserted here), 1 <= count <= config.max_tokens, and it must fit. */
void rung_batch_add(rung_batch *batch, const int32_t *ids, const uint8_t *type_ids, size_t count);

/* Runs layer `layer` (0-based, in order) over all sequences. with_importance: adds this layer's column sums to batch->importance. */
void rung_encoder_layer(rung_batch *batch, size_t layer, bool with_importance);

/* For the files of the encoder: tells the probe, if there is one. */
static inline void rung_encoder_part_done(const rung_batch *batch, rung_encoder_part part)
{
    if (batch->probe != NULL && batch->pool == NULL) {
        batch->probe->done(batch->probe->context, part);
    }
}

/* The logits [num_labels] of the exit after `layer`, for one sequence; the model must have that exit. */
void rung_exit_logits(rung_batch *batch, size_t layer, size_t sequence, float *logits);

/* Keeps the sequences with keep[s], closing the gaps in one pass; order stays. */
void rung_batch_keep(rung_batch *batch, const bool *keep /* [num_sequences] */);

/* Keeps the tokens with keep[i] within every sequence, closing the gaps in one pass; order stays, and so do the importance and the state of what is
 * kept. keep may be batch->token_keep; it holds for the first token of each sequence, which the heads read. */
void rung_batch_keep_tokens(rung_batch *batch, const bool *keep /* [num_tokens] */);

#endif
