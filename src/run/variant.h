/* variant.h: an encoder that runs otherwise than layer by layer over all tokens, for baselines: fewer layers, or fewer tokens from layer to
 * layer. Which layers and tokens are pure functions here; batch_run.c follows them.
 * Source: Unified Layer Skipping (Liu et al. 2024); PoWER-BERT (Goyal et al. 2020), without its training. */
#ifndef RUNG_RUN_VARIANT_H
#define RUNG_RUN_VARIANT_H

#include "base/status.h"

typedef enum rung_variant_kind {
    RUNG_VARIANT_NONE,       /* every layer, every token */
    RUNG_VARIANT_LAYER_SKIP, /* value: the speedup, above 1; see rung_layer_skip */
    RUNG_VARIANT_POWER_BERT, /* value: the share of tokens towards the end, above 0 and at most 1; see rung_power_keep */
} rung_variant_kind;

typedef struct rung_variant {
    rung_variant_kind kind;
    double value; /* 0 for RUNG_VARIANT_NONE */
} rung_variant;

/* "none", "layer-skip:2", "power-bert:0.5". RUNG_INVALID: an unknown name, a number that is missing, is none or lies outside the range
 * above, or one behind "none"; the message has the text and the range. */
rung_status rung_variant_parse(const char *text, rung_variant *variant, rung_error *error) RUNG_WARN_UNUSED;

#define RUNG_VARIANT_BYTES 48

/* As rung_variant_parse reads it, back to the same bits. Returns out. */
const char *rung_variant_format(const rung_variant *variant, char out[RUNG_VARIANT_BYTES]);

/* Which layers run: the first, the last, and from the first on every layer whose index is a multiple of int(L / (R - 1)), until R = int(L /
 * speedup) of the L layers are kept. The first and the last always run, so R below 2 keeps what R = 2 keeps (one layer when L = 1).
 * num_layers >= 1, speedup > 1. */
void rung_layer_skip(uint32_t num_layers, double speedup, bool *keep /* [num_layers] */);

/* How many of the num_tokens tokens of a text are left after layer `layer` (1-based) of num_layers: ceil(num_tokens * share), where the
 * share falls in equal steps from 1 before the first layer to final_share after the last; at least 1. Does not rise with the layer. num_tokens >= 1, final_share
 * in (0, 1]. */
size_t rung_power_keep(size_t num_tokens, uint32_t layer, uint32_t num_layers, double final_share);

/* Marks the `count` tokens that stay: the first ([CLS]) and those of the largest sums; of equal ones the earlier. sums: [num_tokens] column
 * sums of attention (Eq 9); 1 <= count <= num_tokens. */
void rung_power_mark(const float *sums, size_t num_tokens, size_t count, bool *keep /* [num_tokens] */);

#endif
