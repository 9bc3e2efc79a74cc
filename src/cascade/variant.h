/* variant.h: an encoder that runs otherwise than layer by layer over all tokens, for baselines: fewer layers, or fewer tokens from layer to
 * layer. Pure; src/run/batch_run.c follows it.
 * Source: Unified Layer Skipping (Liu et al. 2024); PoWER-BERT (Goyal et al. 2020), without its training. */
#ifndef RUNG_CASCADE_VARIANT_H
#define RUNG_CASCADE_VARIANT_H

#include "cascade/policy.h"

/* True when models run alike under both; without a variant the amount says nothing. */
bool rung_variant_equal(const rung_variant *a, const rung_variant *b);

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
