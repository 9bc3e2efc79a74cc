/* avx512_math.h: vmath.h on 16 lanes, operation by operation, and the sums over 16 lanes of kernels.h. Included by
 * the files of the AVX-512 table only. */
#ifndef RUNG_KERNELS_AVX512_MATH_H
#define RUNG_KERNELS_AVX512_MATH_H

#include "kernels/vmath.h"

#include <immintrin.h>

/* The lanes below n of a vector; all of them from 16 on. */
static inline __mmask16 lanes_below(size_t n)
{
    uint32_t mask = n >= 16 ? 0xffff : (1u << n) - 1;
    return (__mmask16)mask;
}

static inline __m512 v_expf(__m512 x)
{
    __m512 low = _mm512_set1_ps(VMATH_EXP_LOW);
    __m512 a = _mm512_min_ps(_mm512_set1_ps(VMATH_EXP_HIGH), _mm512_max_ps(low, x));
    __m512 rounded = _mm512_fmadd_ps(a, _mm512_set1_ps(VMATH_LOG2_E), _mm512_set1_ps(VMATH_ROUND));
    __m512 n = _mm512_sub_ps(rounded, _mm512_set1_ps(VMATH_ROUND));
    __m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-VMATH_LN2_HIGH), a);
    r = _mm512_fmadd_ps(n, _mm512_set1_ps(-VMATH_LN2_LOW), r);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(VMATH_EXP_6), r, _mm512_set1_ps(VMATH_EXP_5));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(VMATH_EXP_4));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(VMATH_EXP_3));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(VMATH_EXP_2));
    p = _mm512_add_ps(_mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1.0f));
    __m512i y = _mm512_add_epi32(_mm512_castps_si512(p), _mm512_slli_epi32(_mm512_castps_si512(rounded), 23));
    __mmask16 kept = _mm512_cmp_ps_mask(x, low, _CMP_NLT_UQ);
    return _mm512_maskz_mov_ps(kept, _mm512_castsi512_ps(y));
}

/* As vmath_exp2_u8, in 32-bit lanes. */
static inline __m512i v_exp2_u8(__m512 t)
{
    __m512 a = _mm512_max_ps(t, _mm512_set1_ps(VMATH_EXP2_U8_LOW));
    __m512 rounded = _mm512_add_ps(a, _mm512_set1_ps(VMATH_ROUND));
    __m512 f = _mm512_sub_ps(a, _mm512_sub_ps(rounded, _mm512_set1_ps(VMATH_ROUND)));
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(VMATH_EXP2_U8_3), f, _mm512_set1_ps(VMATH_EXP2_U8_2));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(VMATH_EXP2_U8_1));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(VMATH_EXP2_U8_0));
    __m512i y = _mm512_add_epi32(_mm512_castps_si512(p), _mm512_slli_epi32(_mm512_castps_si512(rounded), 23));
    return _mm512_cvtps_epi32(_mm512_castsi512_ps(y));
}

static inline __m512 v_erff(__m512 x)
{
    __m512 sign = _mm512_and_ps(x, _mm512_set1_ps(-0.0f));
    __m512 a = _mm512_min_ps(_mm512_set1_ps(VMATH_ERF_CLAMP), _mm512_andnot_ps(_mm512_set1_ps(-0.0f), x));
    __m512 rounded = _mm512_fmadd_ps(a, _mm512_set1_ps(4.0f), _mm512_set1_ps(VMATH_ROUND));
    __m512i i = _mm512_castps_si512(rounded); /* the permutations look at the low 4 bits only */
    __m512 h = _mm512_fmadd_ps(_mm512_sub_ps(rounded, _mm512_set1_ps(VMATH_ROUND)), _mm512_set1_ps(-0.25f), a);
    __m512 p = _mm512_fmadd_ps(_mm512_permutexvar_ps(i, _mm512_loadu_ps(vmath_erf[5])), h,
                               _mm512_permutexvar_ps(i, _mm512_loadu_ps(vmath_erf[4])));
    p = _mm512_fmadd_ps(p, h, _mm512_permutexvar_ps(i, _mm512_loadu_ps(vmath_erf[3])));
    p = _mm512_fmadd_ps(p, h, _mm512_permutexvar_ps(i, _mm512_loadu_ps(vmath_erf[2])));
    p = _mm512_fmadd_ps(p, h, _mm512_permutexvar_ps(i, _mm512_loadu_ps(vmath_erf[1])));
    p = _mm512_fmadd_ps(p, h, _mm512_permutexvar_ps(i, _mm512_loadu_ps(vmath_erf[0])));
    return _mm512_xor_ps(p, sign);
}

static inline __m512 v_geluf(__m512 x)
{
    __m512 half = _mm512_mul_ps(x, _mm512_set1_ps(0.5f));
    return _mm512_fmadd_ps(half, v_erff(_mm512_mul_ps(x, _mm512_set1_ps(VMATH_SQRT_HALF))), half);
}

static inline __m512 v_gelu_coarsef(__m512 x)
{
    __m512 u = _mm512_min_ps(_mm512_set1_ps(VMATH_GELU_CLAMP), _mm512_max_ps(_mm512_set1_ps(-VMATH_GELU_CLAMP), x));
    __m512 t = _mm512_mul_ps(u, u);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(VMATH_GELU_15), t, _mm512_set1_ps(VMATH_GELU_13));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(VMATH_GELU_11));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(VMATH_GELU_9));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(VMATH_GELU_7));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(VMATH_GELU_5));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(VMATH_GELU_3));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(VMATH_GELU_1));
    return _mm512_mul_ps(x, _mm512_fmadd_ps(p, u, _mm512_set1_ps(0.5f)));
}

static inline __m512 v_tanhf(__m512 x)
{
    __m512 one = _mm512_set1_ps(1.0f);
    __m512 sign = _mm512_and_ps(x, _mm512_set1_ps(-0.0f));
    __m512 a = _mm512_min_ps(_mm512_set1_ps(VMATH_TANH_HIGH), _mm512_andnot_ps(_mm512_set1_ps(-0.0f), x));
    __m512 t = _mm512_mul_ps(a, a);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(VMATH_TANH_11), t, _mm512_set1_ps(VMATH_TANH_9));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(VMATH_TANH_7));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(VMATH_TANH_5));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(VMATH_TANH_3));
    __m512 small = _mm512_fmadd_ps(_mm512_mul_ps(p, t), a, a);
    __m512 exp_2a = v_expf(_mm512_add_ps(a, a));
    __m512 large = _mm512_sub_ps(one, _mm512_div_ps(_mm512_set1_ps(2.0f), _mm512_add_ps(exp_2a, one)));
    __mmask16 is_small = _mm512_cmp_ps_mask(a, _mm512_set1_ps(VMATH_TANH_SMALL), _CMP_LT_OQ);
    return _mm512_xor_ps(_mm512_mask_mov_ps(large, is_small, small), sign);
}

/* Lane j with lane j + 8, then 4, 2, 1. */
static inline float v_add_lanes(__m512 x)
{
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

/* NaN-free lanes, as they come out of max with the running maximum second. */
static inline float v_max_lanes(__m512 x)
{
    __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

#endif
