/* avx512_rows.h: rows of activations for the AVX-512 kernels: quantised, transposed. Included by the files of the
 * AVX-512 table only. */
#ifndef RUNG_KERNELS_AVX512_ROWS_H
#define RUNG_KERNELS_AVX512_ROWS_H

#include "kernels/avx512_math.h"
#include "kernels/avx512_tiles.h"
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

static inline void store_lanes(float *to, size_t n, __m512 x)
{
    if (n >= 16) {
        _mm512_storeu_ps(to, x);
    } else {
        _mm512_mask_storeu_ps(to, lanes_below(n), x);
    }
}

/* Zeros past n. */
static inline __m512 load_lanes(const float *from, size_t n)
{
    return n >= 16 ? _mm512_loadu_ps(from) : _mm512_maskz_loadu_ps(lanes_below(n), from);
}

static inline float absmax_row(const float *x, size_t n)
{
    __m512 sign = _mm512_set1_ps(-0.0f);
    __m512 max[4];
    for (size_t j = 0; j < 4; j++) {
        max[j] = _mm512_setzero_ps();
    }
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        UNROLL
        for (size_t j = 0; j < 4; j++) {
            max[j] = _mm512_max_ps(_mm512_andnot_ps(sign, _mm512_loadu_ps(x + i + 16 * j)), max[j]);
        }
    }
    for (; i < n; i += 16) {
        max[0] = _mm512_max_ps(_mm512_andnot_ps(sign, load_lanes(x + i, n - i)), max[0]);
    }
    return v_max_lanes(_mm512_max_ps(_mm512_max_ps(max[0], max[1]), _mm512_max_ps(max[2], max[3])));
}

/* |x| * inverse is 127 at most, but for rounding far below 1/2: nothing to clamp. */
static inline __m512i quantize_lanes(__m512 x, __m512 inverse)
{
    return _mm512_cvtps_epi32(_mm512_mul_ps(x, inverse));
}

/* Stores q + 128; the padding too. */
static inline void quantize_row(const float *x, size_t k, uint8_t *q, float *scale)
{
    const __m512i offset = _mm512_set1_epi8((char)-128);
    /* Packing interleaves the 128-bit parts: dword j of the result comes from part j / 4 of vector j % 4. */
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    size_t stride = rung_q8_stride(k);
    float absmax = absmax_row(x, k);
    if (absmax < RUNG_Q8_LEAST) {
        memset(q, 128, stride);
        *scale = 0.0f;
        return;
    }
    __m512 inverse = _mm512_set1_ps(127.0f / absmax);
    for (size_t i = 0; i < stride; i += 64) {
        __m512i parts[4];
        UNROLL
        for (size_t j = 0; j < 4; j++) {
            size_t at = i + 16 * j;
            __m512 lanes = at < k ? load_lanes(x + at, k - at) : _mm512_setzero_ps();
            parts[j] = quantize_lanes(lanes, inverse);
        }
        __m512i bytes =
            _mm512_packs_epi16(_mm512_packs_epi32(parts[0], parts[1]), _mm512_packs_epi32(parts[2], parts[3]));
        bytes = _mm512_permutexvar_epi32(order, bytes);
        _mm512_storeu_si512(q + i, _mm512_xor_si512(bytes, offset));
    }
    *scale = absmax / 127.0f;
}

/* x[i] lane j <-> x[j] lane i. */
ALWAYS_INLINE void transpose_16(__m512 x[16])
{
    __m512 t[16];
    UNROLL
    for (size_t i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_ps(x[2 * i], x[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(x[2 * i], x[2 * i + 1]);
    }
    /* After this, x[4 i + c] holds in its 128-bit part p the columns 4 p + c of the rows 4 i .. 4 i + 3. */
    UNROLL
    for (size_t i = 0; i < 4; i++) {
        __m512d a = _mm512_castps_pd(t[4 * i]);
        __m512d b = _mm512_castps_pd(t[4 * i + 1]);
        __m512d c = _mm512_castps_pd(t[4 * i + 2]);
        __m512d d = _mm512_castps_pd(t[4 * i + 3]);
        x[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
        x[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        x[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
        x[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
    }
    UNROLL
    for (size_t c = 0; c < 4; c++) {
        __m512 low01 = _mm512_shuffle_f32x4(x[c], x[4 + c], 0x44);
        __m512 high01 = _mm512_shuffle_f32x4(x[c], x[4 + c], 0xee);
        __m512 low23 = _mm512_shuffle_f32x4(x[8 + c], x[12 + c], 0x44);
        __m512 high23 = _mm512_shuffle_f32x4(x[8 + c], x[12 + c], 0xee);
        t[c] = _mm512_shuffle_f32x4(low01, low23, 0x88);
        t[4 + c] = _mm512_shuffle_f32x4(low01, low23, 0xdd);
        t[8 + c] = _mm512_shuffle_f32x4(high01, high23, 0x88);
        t[12 + c] = _mm512_shuffle_f32x4(high01, high23, 0xdd);
    }
    memcpy(x, t, sizeof t);
}

#endif
