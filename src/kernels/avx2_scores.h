/* avx2_scores.h: what the int8 attentions of 8 lanes have in common: scales of values, scores, weights. Included by
 * avx2_attention_s8.c and avxvnni_attention_s8.c only. */
#ifndef RUNG_KERNELS_AVX2_SCORES_H
#define RUNG_KERNELS_AVX2_SCORES_H

#include "kernels/avx2_math.h"
#include "kernels/avx2_rows.h"
#include "kernels/kernels.h"

#include <math.h>

/* The scale of each of 8 columns of v, and what to multiply with; 0 for a zero column. */
static inline __m256 column_inverses(const rung_attention *attention, const float *v, size_t columns, float *scales)
{
    __m256 absmax = _mm256_setzero_ps();
    for (size_t j = 0; j < attention->seq_len; j++) {
        absmax = _mm256_max_ps(v_abs(load_lanes(v + j * attention->stride, columns)), absmax);
    }
    __m256 top = _mm256_set1_ps(127.0f);
    __m256 nonzero = _mm256_cmp_ps(absmax, _mm256_set1_ps(RUNG_Q8_LEAST), _CMP_NLT_UQ);
    _mm256_storeu_ps(scales, _mm256_and_ps(_mm256_div_ps(absmax, top), nonzero));
    return _mm256_and_ps(_mm256_div_ps(top, absmax), nonzero);
}

/* Products become scores, in place; returns the largest of the first n. */
static inline float scale_row(int32_t *products, size_t n, const float *key_scales)
{
    float *scores = (float *)(void *)products;
    __m256 max = _mm256_set1_ps(-INFINITY);
    for (size_t j = 0; j < n; j += 8) {
        __m256 score = _mm256_mul_ps(_mm256_cvtepi32_ps(load_s32(products + j)), _mm256_loadu_ps(key_scales + j));
        _mm256_storeu_ps(scores + j, score);
        __m256 known = _mm256_castsi256_ps(lanes_below(min_size(n - j, 8)));
        max = _mm256_max_ps(_mm256_blendv_ps(_mm256_set1_ps(-INFINITY), score, known), max);
    }
    return v_max_lanes(max);
}

/* p of 8 keys. */
ALWAYS_INLINE __m256i weigh_lanes(const float *scores, __m256 max, __m256 factor)
{
    return v_exp2_u8(_mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(scores), max), factor));
}

#endif
