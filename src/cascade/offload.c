/* offload.c: whether a request goes up (Eq 7-8) and the coin that decides it. Called by request.c and src/eval. Must not know
 * about links or upstreams. Source: the paper, section III-A. See offload.h. */
#include "cascade/offload.h"

#include "base/hash.h"
#include "base/math.h"
#include "base/prng.h"

#include <assert.h>

double rung_offload_probability(const rung_offload_policy *policy, uint32_t level, double confidence)
{
    assert(level >= 1 && level <= RUNG_MAX_LEVELS);
    if (policy->at_random) {
        return policy->share;
    }
    double t = policy->threshold[level - 1];
    if (!(confidence > t)) {
        return 1;
    }
    if (policy->hard) {
        return 0;
    }
    double norm = (confidence - t) / (1 - t) - 0.5; /* Eq 8; t < confidence <= 1 */
    return 1 / (1 + rung_exp(policy->k * norm));    /* Eq 7 */
}

static void store_le64(uint8_t *out, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        out[i] = (uint8_t)(value >> 8 * i);
    }
}

/* 16 bytes: length and hash. */
static void store_part(uint8_t *out, uint64_t seed, const char *bytes, size_t count)
{
    store_le64(out, bytes == NULL ? UINT64_MAX : count);
    store_le64(out + 8, rung_xxh64(bytes, bytes == NULL ? 0 : count, seed));
}

uint64_t rung_request_key(uint64_t seed, const char *id, size_t id_bytes, const char *text, size_t text_bytes,
                          const char *pair, size_t pair_bytes)
{
    uint8_t parts[48];
    store_part(parts, seed, id == NULL ? "" : id, id_bytes);
    store_part(parts + 16, seed, text == NULL ? "" : text, text_bytes);
    store_part(parts + 32, seed, pair, pair_bytes);
    return rung_xxh64(parts, sizeof parts, seed);
}

double rung_offload_coin(uint64_t key, uint32_t level)
{
    uint8_t bytes[8];
    store_le64(bytes, level);
    return rung_unit_interval(rung_xxh64(bytes, sizeof bytes, key));
}

bool rung_offload_decide(const rung_offload_policy *policy, uint32_t level, double confidence, uint64_t key)
{
    return rung_offload_coin(key, level) < rung_offload_probability(policy, level, confidence);
}
