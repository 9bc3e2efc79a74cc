/* avx2_rows.h: rows of activations for the AVX2 kernels: quantised to int8, widened to the int16 pairs that avx2_tiles.h
 * multiplies, transposed. Included by avx2.c and avx2_attention_s8.c only. */
#ifndef RUNG_KERNELS_AVX2_ROWS_H
#define RUNG_KERNELS_AVX2_ROWS_H

#include "kernels/avx2_math.h"
#include "kernels/avx2_tiles.h"
#include "kernels/kernels.h"

#include <string.h>

static inline size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t round_up(size_t n, size_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

static inline float absmax_row(const float *x, size_t n)
{
    __m256 max[4];
    for (size_t j = 0; j < 4; j++) {
        max[j] = _mm256_setzero_ps();
    }
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        UNROLL
        for (size_t j = 0; j < 4; j++) {
            max[j] = _mm256_max_ps(v_abs(_mm256_loadu_ps(x + i + 8 * j)), max[j]);
        }
    }
    for (; i < n; i += 8) {
        max[0] = _mm256_max_ps(v_abs(load_lanes(x + i, n - i)), max[0]);
    }
    return v_max_lanes(_mm256_max_ps(_mm256_max_ps(max[0], max[1]), _mm256_max_ps(max[2], max[3])));
}

static inline __m256i quantize_lanes(__m256 x, __m256 inverse)
{
    __m256 value = _mm256_max_ps(_mm256_mul_ps(x, inverse), _mm256_set1_ps(-127.0f));
    return _mm256_cvtps_epi32(_mm256_min_ps(value, _mm256_set1_ps(127.0f)));
}

/* q ^ flip; see kernels.h. */
ALWAYS_INLINE void quantize_row_flipped(const float *x, size_t k, uint8_t flip, uint8_t *q, float *scale)
{
    /* Packing interleaves the 128-bit parts. */
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i flips = _mm256_set1_epi8((char)flip);
    size_t stride = rung_q8_stride(k);
    float absmax = absmax_row(x, k);
    if (absmax < RUNG_Q8_LEAST) {
        memset(q, flip, stride);
        *scale = 0.0f;
        return;
    }
    __m256 inverse = _mm256_set1_ps(127.0f / absmax);
    for (size_t i = 0; i < stride; i += 32) {
        __m256i parts[4];
        UNROLL
        for (size_t j = 0; j < 4; j++) {
            size_t at = i + 8 * j;
            __m256 lanes = at < k ? load_lanes(x + at, k - at) : _mm256_setzero_ps();
            parts[j] = quantize_lanes(lanes, inverse);
        }
        __m256i bytes =
            _mm256_packs_epi16(_mm256_packs_epi32(parts[0], parts[1]), _mm256_packs_epi32(parts[2], parts[3]));
        _mm256_storeu_si256((__m256i *)(void *)(q + i),
                            _mm256_xor_si256(_mm256_permutevar8x32_epi32(bytes, order), flips));
    }
    *scale = absmax / 127.0f;
}

/* Two's complement. */
static inline void quantize_row_s8(const float *x, size_t k, uint8_t *q, float *scale)
{
    quantize_row_flipped(x, k, 0, q, scale);
}

/* q + 128. */
static inline void quantize_row_u8(const float *x, size_t k, uint8_t *q, float *scale)
{
    quantize_row_flipped(x, k, 0x80, q, scale);
}

/* pairs[k / 4][2] = the row in the form that tiles multiply, k a multiple of 32; returns the sum of the products of the
 * two of a pair. */
static inline int32_t widen_row(const uint8_t *q, size_t k, int32_t *pairs)
{
    __m256i terms = _mm256_setzero_si256();
    for (size_t i = 0; i < k; i += 32) {
        __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)(q + i));
        __m256i first = first_pairs(bytes);
        __m256i second = second_pairs(bytes);
        __m256i low = _mm256_unpacklo_epi32(first, second);
        __m256i high = _mm256_unpackhi_epi32(first, second);
        store_s32(pairs + i / 2, _mm256_permute2x128_si256(low, high, 0x20));
        store_s32(pairs + i / 2 + 8, _mm256_permute2x128_si256(low, high, 0x31));
        terms = _mm256_add_epi32(terms, _mm256_madd_epi16(first, second));
    }
    return v_add_lanes_s32(terms);
}

/* x[i] lane j <-> x[j] lane i. */
ALWAYS_INLINE void transpose_8(__m256 x[8])
{
    __m256 t[8];
    UNROLL
    for (size_t i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(x[2 * i], x[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(x[2 * i], x[2 * i + 1]);
    }
    /* After this, x[4 i + c] holds in its 128-bit part p the column 4 p + c of the rows 4 i .. 4 i + 3. */
    UNROLL
    for (size_t i = 0; i < 2; i++) {
        x[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        x[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        x[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        x[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
    UNROLL
    for (size_t c = 0; c < 4; c++) {
        t[c] = _mm256_permute2f128_ps(x[c], x[4 + c], 0x20);
        t[4 + c] = _mm256_permute2f128_ps(x[c], x[4 + c], 0x31);
    }
    memcpy(x, t, sizeof t);
}

#endif
