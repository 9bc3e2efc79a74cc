/* hash.c: XXH64 and SHA-256. See hash.h. */
#include "base/hash.h"

#include <string.h>

static const uint64_t PRIME1 = 0x9E3779B185EBCA87u;
static const uint64_t PRIME2 = 0xC2B2AE3D27D4EB4Fu;
static const uint64_t PRIME3 = 0x165667B19E3779F9u;
static const uint64_t PRIME4 = 0x85EBCA77C2B2AE63u;
static const uint64_t PRIME5 = 0x27D4EB2F165667C5u;

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static uint64_t load_le64(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (unsigned i = 8; i-- > 0;) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static uint32_t load_le32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static uint64_t xxh_round(uint64_t lane, uint64_t input)
{
    return rotate_left(lane + input * PRIME2, 31) * PRIME1;
}

static uint64_t xxh_merge(uint64_t hash, uint64_t lane)
{
    return (hash ^ xxh_round(0, lane)) * PRIME1 + PRIME4;
}

static uint64_t xxh_long_start(const uint8_t **cursor, const uint8_t *end, uint64_t seed)
{
    uint64_t lanes[4] = {seed + PRIME1 + PRIME2, seed + PRIME2, seed, seed - PRIME1};
    while (end - *cursor >= 32) {
        for (unsigned i = 0; i < 4; i++) {
            lanes[i] = xxh_round(lanes[i], load_le64(*cursor + 8 * i));
        }
        *cursor += 32;
    }
    uint64_t hash =
        rotate_left(lanes[0], 1) + rotate_left(lanes[1], 7) + rotate_left(lanes[2], 12) + rotate_left(lanes[3], 18);
    for (unsigned i = 0; i < 4; i++) {
        hash = xxh_merge(hash, lanes[i]);
    }
    return hash;
}

uint64_t rung_xxh64(const void *data, size_t size, uint64_t seed)
{
    static const uint8_t nothing[1] = {0};
    const uint8_t *cursor = size > 0 ? data : nothing;
    const uint8_t *end = cursor + size;
    uint64_t hash = size >= 32 ? xxh_long_start(&cursor, end, seed) : seed + PRIME5;
    hash += size;
    for (; end - cursor >= 8; cursor += 8) {
        hash = rotate_left(hash ^ xxh_round(0, load_le64(cursor)), 27) * PRIME1 + PRIME4;
    }
    if (end - cursor >= 4) {
        hash = rotate_left(hash ^ load_le32(cursor) * PRIME1, 23) * PRIME2 + PRIME3;
        cursor += 4;
    }
    for (; cursor < end; cursor++) {
        hash = rotate_left(hash ^ *cursor * PRIME5, 11) * PRIME1;
    }
    hash = (hash ^ hash >> 33) * PRIME2;
    hash = (hash ^ hash >> 29) * PRIME3;
    return hash ^ hash >> 32;
}

static const uint32_t ROUND_CONSTANTS[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate_right32(uint32_t value, unsigned bits)
{
    return value >> bits | value << (32 - bits);
}

/* One round. Instead of moving eight words each time, the caller moves their names. kw: round constant + message word. */
static inline void sha256_round(uint32_t a, uint32_t b, uint32_t c, uint32_t *d, uint32_t e, uint32_t f, uint32_t g,
                                uint32_t *h, uint32_t kw)
{
    uint32_t s1 = rotate_right32(e, 6) ^ rotate_right32(e, 11) ^ rotate_right32(e, 25);
    uint32_t t1 = *h + s1 + ((e & f) ^ (~e & g)) + kw;
    uint32_t s0 = rotate_right32(a, 2) ^ rotate_right32(a, 13) ^ rotate_right32(a, 22);
    *d += t1;
    *h = t1 + s0 + ((a & b) ^ (a & c) ^ (b & c));
}

static void sha256_block(uint32_t state[8], const uint8_t block[64])
{
    uint32_t w[64];
    for (unsigned i = 0; i < 16; i++) {
        w[i] = __builtin_bswap32(load_le32(block + 4 * i));
    }
    for (unsigned i = 16; i < 64; i++) {
        uint32_t s0 = rotate_right32(w[i - 15], 7) ^ rotate_right32(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotate_right32(w[i - 2], 17) ^ rotate_right32(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (unsigned i = 0; i < 64; i += 8) {
        const uint32_t *k = ROUND_CONSTANTS + i;
        const uint32_t *m = w + i;
        sha256_round(a, b, c, &d, e, f, g, &h, k[0] + m[0]);
        sha256_round(h, a, b, &c, d, e, f, &g, k[1] + m[1]);
        sha256_round(g, h, a, &b, c, d, e, &f, k[2] + m[2]);
        sha256_round(f, g, h, &a, b, c, d, &e, k[3] + m[3]);
        sha256_round(e, f, g, &h, a, b, c, &d, k[4] + m[4]);
        sha256_round(d, e, f, &g, h, a, b, &c, k[5] + m[5]);
        sha256_round(c, d, e, &f, g, h, a, &b, k[6] + m[6]);
        sha256_round(b, c, d, &e, f, g, h, &a, k[7] + m[7]);
    }
    const uint32_t end[8] = {a, b, c, d, e, f, g, h};
    for (unsigned i = 0; i < 8; i++) {
        state[i] += end[i];
    }
}

void rung_sha256_init(rung_sha256 *hash)
{
    *hash = (rung_sha256){
        .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void rung_sha256_update(rung_sha256 *hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    hash->total_bytes += size;
    while (size > 0) {
        if (hash->block_bytes == 0 && size >= 64) {
            sha256_block(hash->state, bytes);
            bytes += 64;
            size -= 64;
            continue;
        }
        size_t take = 64 - hash->block_bytes < size ? 64 - hash->block_bytes : size;
        memcpy(hash->block + hash->block_bytes, bytes, take);
        hash->block_bytes += take;
        bytes += take;
        size -= take;
        if (hash->block_bytes == 64) {
            sha256_block(hash->state, hash->block);
            hash->block_bytes = 0;
        }
    }
}

void rung_sha256_digest(rung_sha256 *hash, uint8_t digest[RUNG_SHA256_BYTES])
{
    uint64_t bits = hash->total_bytes * 8;
    uint8_t tail[72] = {0x80};
    size_t tail_bytes = (hash->block_bytes < 56 ? 56 : 120) - hash->block_bytes;
    for (unsigned i = 0; i < 8; i++) {
        tail[tail_bytes + i] = (uint8_t)(bits >> (56 - 8 * i));
    }
    rung_sha256_update(hash, tail, tail_bytes + 8);
    for (unsigned i = 0; i < RUNG_SHA256_BYTES; i++) {
        digest[i] = (uint8_t)(hash->state[i / 4] >> (24 - 8 * (i % 4)));
    }
}

void rung_sha256_hex(rung_sha256 *hash, char hex[RUNG_SHA256_HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[RUNG_SHA256_BYTES];
    rung_sha256_digest(hash, digest);
    for (unsigned i = 0; i < RUNG_SHA256_BYTES; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[RUNG_SHA256_HEX_BYTES - 1] = '\0';
}
