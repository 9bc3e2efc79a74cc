/* avx2_math.h: vmath.h on 8 lanes, operation by operation, loads and stores of tails, and the sums over 16 lanes of
 * kernels.h as two vectors. Included by the files of the AVX2 table only. */
#ifndef RUNG_KERNELS_AVX2_MATH_H
#define RUNG_KERNELS_AVX2_MATH_H

#include "kernels/vmath.h"

#include <immintrin.h>
#include <stddef.h>

/* All bits set in the lanes below n, n <= 8. */
static inline __m256i lanes_below(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int32_t)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline void store_lanes(float *to, size_t n, __m256 x)
{
    if (n >= 8) {
        _mm256_storeu_ps(to, x);
    } else {
        _mm256_maskstore_ps(to, lanes_below(n), x);
    }
}

/* Zeros past n. */
static inline __m256 load_lanes(const float *from, size_t n)
{
    return n >= 8 ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, lanes_below(n));
}

static inline __m256 v_abs(__m256 x)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

static inline __m256 v_expf(__m256 x)
{
    __m256 low = _mm256_set1_ps(VMATH_EXP_LOW);
    __m256 a = _mm256_min_ps(_mm256_set1_ps(VMATH_EXP_HIGH), _mm256_max_ps(low, x));
    __m256 rounded = _mm256_fmadd_ps(a, _mm256_set1_ps(VMATH_LOG2_E), _mm256_set1_ps(VMATH_ROUND));
    __m256 n = _mm256_sub_ps(rounded, _mm256_set1_ps(VMATH_ROUND));
    __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-VMATH_LN2_HIGH), a);
    r = _mm256_fmadd_ps(n, _mm256_set1_ps(-VMATH_LN2_LOW), r);
    __m256 p = _mm256_fmadd_ps(_mm256_set1_ps(VMATH_EXP_6), r, _mm256_set1_ps(VMATH_EXP_5));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(VMATH_EXP_4));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(VMATH_EXP_3));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(VMATH_EXP_2));
    p = _mm256_add_ps(_mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1.0f));
    __m256i y = _mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(rounded), 23));
    return _mm256_and_ps(_mm256_castsi256_ps(y), _mm256_cmp_ps(x, low, _CMP_NLT_UQ));
}

/* As vmath_exp2_u8, in 32-bit lanes. */
static inline __m256i v_exp2_u8(__m256 t)
{
    __m256 a = _mm256_max_ps(t, _mm256_set1_ps(VMATH_EXP2_U8_LOW));
    __m256 rounded = _mm256_add_ps(a, _mm256_set1_ps(VMATH_ROUND));
    __m256 f = _mm256_sub_ps(a, _mm256_sub_ps(rounded, _mm256_set1_ps(VMATH_ROUND)));
    __m256 p = _mm256_fmadd_ps(_mm256_set1_ps(VMATH_EXP2_U8_3), f, _mm256_set1_ps(VMATH_EXP2_U8_2));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(VMATH_EXP2_U8_1));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(VMATH_EXP2_U8_0));
    __m256i y = _mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(rounded), 23));
    return _mm256_cvtps_epi32(_mm256_castsi256_ps(y));
}

/* row[i], of which the permutations look at the low 3 bits and the choice at bit 3, moved up to `upper`'s sign. */
static inline __m256 erf_coefficients(const float row[16], __m256i i, __m256 upper)
{
    __m256 below = _mm256_permutevar8x32_ps(_mm256_loadu_ps(row), i);
    return _mm256_blendv_ps(below, _mm256_permutevar8x32_ps(_mm256_loadu_ps(row + 8), i), upper);
}

static inline __m256 v_erff(__m256 x)
{
    __m256 sign = _mm256_and_ps(x, _mm256_set1_ps(-0.0f));
    __m256 a = _mm256_min_ps(_mm256_set1_ps(VMATH_ERF_CLAMP), v_abs(x));
    __m256 rounded = _mm256_fmadd_ps(a, _mm256_set1_ps(4.0f), _mm256_set1_ps(VMATH_ROUND));
    __m256i i = _mm256_castps_si256(rounded);
    __m256 upper = _mm256_castsi256_ps(_mm256_slli_epi32(i, 28));
    __m256 h = _mm256_fmadd_ps(_mm256_sub_ps(rounded, _mm256_set1_ps(VMATH_ROUND)), _mm256_set1_ps(-0.25f), a);
    __m256 p = _mm256_fmadd_ps(erf_coefficients(vmath_erf[5], i, upper), h, erf_coefficients(vmath_erf[4], i, upper));
    p = _mm256_fmadd_ps(p, h, erf_coefficients(vmath_erf[3], i, upper));
    p = _mm256_fmadd_ps(p, h, erf_coefficients(vmath_erf[2], i, upper));
    p = _mm256_fmadd_ps(p, h, erf_coefficients(vmath_erf[1], i, upper));
    p = _mm256_fmadd_ps(p, h, erf_coefficients(vmath_erf[0], i, upper));
    return _mm256_xor_ps(p, sign);
}

static inline __m256 v_geluf(__m256 x)
{
    __m256 half = _mm256_mul_ps(x, _mm256_set1_ps(0.5f));
    return _mm256_fmadd_ps(half, v_erff(_mm256_mul_ps(x, _mm256_set1_ps(VMATH_SQRT_HALF))), half);
}

static inline __m256 v_gelu_coarsef(__m256 x)
{
    __m256 u = _mm256_min_ps(_mm256_set1_ps(VMATH_GELU_CLAMP), _mm256_max_ps(_mm256_set1_ps(-VMATH_GELU_CLAMP), x));
    __m256 t = _mm256_mul_ps(u, u);
    __m256 p = _mm256_fmadd_ps(_mm256_set1_ps(VMATH_GELU_15), t, _mm256_set1_ps(VMATH_GELU_13));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(VMATH_GELU_11));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(VMATH_GELU_9));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(VMATH_GELU_7));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(VMATH_GELU_5));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(VMATH_GELU_3));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(VMATH_GELU_1));
    return _mm256_mul_ps(x, _mm256_fmadd_ps(p, u, _mm256_set1_ps(0.5f)));
}

static inline __m256 v_tanhf(__m256 x)
{
    __m256 one = _mm256_set1_ps(1.0f);
    __m256 sign = _mm256_and_ps(x, _mm256_set1_ps(-0.0f));
    __m256 a = _mm256_min_ps(_mm256_set1_ps(VMATH_TANH_HIGH), v_abs(x));
    __m256 t = _mm256_mul_ps(a, a);
    __m256 p = _mm256_fmadd_ps(_mm256_set1_ps(VMATH_TANH_11), t, _mm256_set1_ps(VMATH_TANH_9));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(VMATH_TANH_7));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(VMATH_TANH_5));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(VMATH_TANH_3));
    __m256 small = _mm256_fmadd_ps(_mm256_mul_ps(p, t), a, a);
    __m256 exp_2a = v_expf(_mm256_add_ps(a, a));
    __m256 large = _mm256_sub_ps(one, _mm256_div_ps(_mm256_set1_ps(2.0f), _mm256_add_ps(exp_2a, one)));
    __m256 is_small = _mm256_cmp_ps(a, _mm256_set1_ps(VMATH_TANH_SMALL), _CMP_LT_OQ);
    return _mm256_xor_ps(_mm256_blendv_ps(large, small, is_small), sign);
}

/* Lane j with lane j + 8, then 4, 2, 1. */
static inline float v_add_lanes(__m256 low, __m256 high)
{
    __m256 eight = _mm256_add_ps(low, high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

/* Modulo 2^32; the order is free. */
static inline int32_t v_add_lanes_s32(__m256i x)
{
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

/* NaN-free lanes, as they come out of max with the running maximum second. */
static inline float v_max_lanes(__m256 x)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

#endif
