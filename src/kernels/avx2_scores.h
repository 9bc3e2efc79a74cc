/* avx2_scores.h: what the int8 attentions of 8 lanes have in common: rows asked for, scales of values, scores, weights.
 * Included by avx2_attention_s8.c and avxvnni_attention_s8.c only. */
#ifndef RUNG_KERNELS_AVX2_SCORES_H
#define RUNG_KERNELS_AVX2_SCORES_H

#include "kernels/avx2_math.h"
#include "kernels/avx2_rows.h"
#include "kernels/kernels.h"

#include <math.h>

/* A head's part of a row lies a whole row of all heads from the next one: too far for the processor to guess. */
ALWAYS_INLINE void ask_for_row(const float *row, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        _mm_prefetch((const char *)(row + i), _MM_HINT_T0);
    }
}

/* The scale of each of 8 columns of v, and what to multiply with; 0 for a zero column. */
static inline __m256 column_inverses(const rung_attention *attention, const float *v, size_t columns, float *scales)
{
    __m256 absmax = _mm256_setzero_ps();
    for (size_t j = 0; j < attention->seq_len; j++) {
        ask_for_row(v + min_size(j + 8, attention->seq_len - 1) * attention->stride, columns);
        absmax = _mm256_max_ps(v_abs(load_lanes(v + j * attention->stride, columns)), absmax);
    }
    __m256 top = _mm256_set1_ps(127.0f);
    __m256 nonzero = _mm256_cmp_ps(absmax, _mm256_set1_ps(RUNG_Q8_LEAST), _CMP_NLT_UQ);
    _mm256_storeu_ps(scales, _mm256_and_ps(_mm256_div_ps(absmax, top), nonzero));
    return _mm256_and_ps(_mm256_div_ps(top, absmax), nonzero);
}

ALWAYS_INLINE __m256 score_lanes(const int32_t *products, const float *key_scales)
{
    return _mm256_mul_ps(_mm256_cvtepi32_ps(load_s32(products)), _mm256_loadu_ps(key_scales));
}

/* Products become scores, in place; returns the largest of the first n. */
static inline float scale_row(int32_t *products, size_t n, const float *key_scales)
{
    float *scores = (float *)(void *)products;
    __m256 lowest = _mm256_set1_ps(-INFINITY);
    __m256 max[2] = {lowest, lowest};
    size_t j = 0;
    for (; j + 16 <= n; j += 16) {
        UNROLL
        for (size_t half = 0; half < 2; half++) {
            __m256 score = score_lanes(products + j + 8 * half, key_scales + j + 8 * half);
            _mm256_storeu_ps(scores + j + 8 * half, score);
            max[half] = _mm256_max_ps(score, max[half]);
        }
    }
    for (; j < n; j += 8) {
        __m256 score = score_lanes(products + j, key_scales + j);
        _mm256_storeu_ps(scores + j, score);
        __m256 known = _mm256_castsi256_ps(lanes_below(min_size(n - j, 8)));
        max[0] = _mm256_max_ps(_mm256_blendv_ps(lowest, score, known), max[0]);
    }
    return v_max_lanes(_mm256_max_ps(max[0], max[1]));
}

/* p of 8 keys. */
ALWAYS_INLINE __m256i weigh_lanes(const float *scores, __m256 max, __m256 factor)
{
    return v_exp2_u8(_mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(scores), max), factor));
}

#endif
