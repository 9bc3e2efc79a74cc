/* record_key.h: the address of what a model says about a text: a hash of all that decides it. Called by what fills
 * a record and by what replays it. */
#ifndef RUNG_REPLAY_RECORD_KEY_H
#define RUNG_REPLAY_RECORD_KEY_H

#include "cascade/policy.h"

#define RUNG_RECORD_KEY_BYTES 16

/* The first 16 bytes of a SHA-256. */
typedef struct rung_record_key {
    uint8_t bytes[RUNG_RECORD_KEY_BYTES];
} rung_record_key;

/* model_sha256: the model's hash in hexadecimal. variant: NULL is the same as kind none, whose amount does not
 * count. precision: a rung_precision. max_tokens: where the text was cut. ids and type_ids [num_tokens]: the tokens
 * with their special ones; type_ids may be NULL when the model has none, which is another key than zeros. Every
 * field is hashed with its length, so that different fields never make one input. The same key on every machine. */
rung_record_key rung_record_key_of(const char *model_sha256, const rung_variant *variant, int precision,
                                   size_t max_tokens, const int32_t *ids, const uint8_t *type_ids, size_t num_tokens);

#endif
