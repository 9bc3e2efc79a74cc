/* offload.h: the offload decision (Eq 7-8) and its coin. Pure. */
#ifndef RUNG_CASCADE_OFFLOAD_H
#define RUNG_CASCADE_OFFLOAD_H

#include "cascade/policy.h"

/* p of Eq 7 at level `level` (1-based). confidence in [0, 1]; NaN always offloads. With policy->at_random the share, whatever the confidence. */
double rung_offload_probability(const rung_offload_policy *policy, uint32_t level, double confidence);

/* What identifies a request to the coin: XXH64 with seed `seed` over 48 bytes: for the id, the text and the pair in turn, all as the user
 * sent them, the length in bytes (8 bytes, little-endian) and XXH64 of the bytes with the same seed (8 bytes,
 * little-endian). No pair (NULL) has the length 2^64 - 1 and the hash of no bytes. The key travels with the request, since upper levels
 * see pruned text. */
uint64_t rung_request_key(uint64_t seed, const char *id, size_t id_bytes, const char *text, size_t text_bytes,
                          const char *pair, size_t pair_bytes);

/* Uniform in [0, 1): XXH64 of the level as 8 little-endian bytes with the key as seed. */
double rung_offload_coin(uint64_t key, uint32_t level);

/* coin < p. */
bool rung_offload_decide(const rung_offload_policy *policy, uint32_t level, double confidence, uint64_t key);

#endif
