/* hash.h: XXH64 (coins, record keys; xxHash specification 0.1.1) and SHA-256 (identity of files; FIPS 180-4). */
#ifndef RUNG_BASE_HASH_H
#define RUNG_BASE_HASH_H

#include "base/status.h"

uint64_t rung_xxh64(const void *data, size_t size, uint64_t seed);

typedef struct rung_sha256 {
    uint32_t state[8];
    uint64_t total_bytes;
    uint8_t block[64];
    size_t block_bytes;
} rung_sha256;

#define RUNG_SHA256_BYTES 32
#define RUNG_SHA256_HEX_BYTES 65

void rung_sha256_init(rung_sha256 *hash);
void rung_sha256_update(rung_sha256 *hash, const void *data, size_t size);
/* The hash of what was updated; ends it. */
void rung_sha256_digest(rung_sha256 *hash, uint8_t digest[RUNG_SHA256_BYTES]);
/* The same in lower-case hexadecimal with a NUL. */
void rung_sha256_hex(rung_sha256 *hash, char hex[RUNG_SHA256_HEX_BYTES]);

#endif
