/* random_model.h: an encoder of a given shape with random weights, for benches and tests of speed. It has no tokenizer and
 * answers nonsense, but costs what a trained one costs. */
#ifndef RUNG_MODEL_RANDOM_MODEL_H
#define RUNG_MODEL_RANDOM_MODEL_H

#include "model/model.h"

/* shape: num_layers, hidden_size, intermediate_size, num_heads, max_tokens, num_labels, and vocab_size or 0 for a small one; the rest is filled in. Same seed, same
 * weights. Release with rung_model_close. RUNG_NO_MEMORY. */
rung_status rung_model_random(const rung_model_config *shape, rung_precision precision, uint64_t seed,
                              rung_model **model, rung_error *error) RUNG_WARN_UNUSED;

#endif
