/* neon_math.h: vmath.h on vectors of 4 lanes, operation by operation, and the 16 lanes of kernels.h as four vectors.
 * Included by the files of the tables for arm64 only. NEON's maximum of 0 and -0 is 0 and that of a number and NaN is
 * NaN, other than vmath_max: it may stand only where neither changes a finite result. */
#ifndef RUNG_KERNELS_NEON_MATH_H
#define RUNG_KERNELS_NEON_MATH_H

#include "kernels/neon.h"
#include "kernels/vmath.h"

#include <arm_neon.h>
#include <stddef.h>
#include <string.h>

/* Lanes 4 v .. 4 v + 3 in v[v]. */
typedef struct lanes_16 {
    float32x4_t v[4];
} lanes_16;

ALWAYS_INLINE lanes_16 set_16(float x)
{
    float32x4_t all = vdupq_n_f32(x);
    return (lanes_16){{all, all, all, all}};
}

ALWAYS_INLINE lanes_16 load_all_16(const float *from)
{
    return (lanes_16){{vld1q_f32(from), vld1q_f32(from + 4), vld1q_f32(from + 8), vld1q_f32(from + 12)}};
}

ALWAYS_INLINE void store_all_16(float *to, lanes_16 x)
{
    UNROLL
    for (size_t v = 0; v < 4; v++) {
        vst1q_f32(to + 4 * v, x.v[v]);
    }
}

/* Lanes from n on are `fill`. */
ALWAYS_INLINE lanes_16 load_16(const float *from, size_t n, float fill)
{
    if (n >= 16) {
        return load_all_16(from);
    }
    float lanes[16];
    store_all_16(lanes, set_16(fill));
    memcpy(lanes, from, n * sizeof *lanes);
    return load_all_16(lanes);
}

ALWAYS_INLINE void store_16(float *to, size_t n, lanes_16 x)
{
    if (n >= 16) {
        store_all_16(to, x);
        return;
    }
    float lanes[16];
    store_all_16(lanes, x);
    memcpy(to, lanes, n * sizeof *lanes);
}

/* Lanes from n on become 0. */
ALWAYS_INLINE lanes_16 keep_below(lanes_16 x, size_t n)
{
    static const uint32_t first[4] = {0, 1, 2, 3};
    uint32x4_t lane = vld1q_u32(first);
    UNROLL
    for (size_t v = 0; v < 4; v++) {
        uint32x4_t kept = vcltq_u32(vaddq_u32(lane, vdupq_n_u32((uint32_t)(4 * v))), vdupq_n_u32((uint32_t)n));
        x.v[v] = vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x.v[v]), kept));
    }
    return x;
}

/* Lane j with lane j + 8, then 4, 2, 1. */
ALWAYS_INLINE float add_16(lanes_16 x)
{
    float32x4_t four = vaddq_f32(vaddq_f32(x.v[0], x.v[2]), vaddq_f32(x.v[1], x.v[3]));
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

ALWAYS_INLINE float max_16(lanes_16 x)
{
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(x.v[0], x.v[2]), vmaxq_f32(x.v[1], x.v[3])));
}

ALWAYS_INLINE float32x4_t v_with_sign(float32x4_t x, float32x4_t sign)
{
    uint32x4_t mask = vdupq_n_u32(UINT32_C(1) << 31);
    return vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(x), vandq_u32(vreinterpretq_u32_f32(sign), mask)));
}

ALWAYS_INLINE float32x4_t v_expf(float32x4_t x)
{
    float32x4_t low = vdupq_n_f32(VMATH_EXP_LOW);
    float32x4_t a = vminq_f32(vdupq_n_f32(VMATH_EXP_HIGH), vmaxq_f32(low, x));
    float32x4_t rounded = vfmaq_f32(vdupq_n_f32(VMATH_ROUND), a, vdupq_n_f32(VMATH_LOG2_E));
    float32x4_t n = vsubq_f32(rounded, vdupq_n_f32(VMATH_ROUND));
    float32x4_t r = vfmaq_f32(a, n, vdupq_n_f32(-VMATH_LN2_HIGH));
    r = vfmaq_f32(r, n, vdupq_n_f32(-VMATH_LN2_LOW));
    float32x4_t p = vfmaq_f32(vdupq_n_f32(VMATH_EXP_5), vdupq_n_f32(VMATH_EXP_6), r);
    p = vfmaq_f32(vdupq_n_f32(VMATH_EXP_4), p, r);
    p = vfmaq_f32(vdupq_n_f32(VMATH_EXP_3), p, r);
    p = vfmaq_f32(vdupq_n_f32(VMATH_EXP_2), p, r);
    p = vaddq_f32(vfmaq_f32(r, p, vmulq_f32(r, r)), vdupq_n_f32(1.0f));
    uint32x4_t exponent = vshlq_n_u32(vreinterpretq_u32_f32(rounded), 23);
    uint32x4_t y = vaddq_u32(vreinterpretq_u32_f32(p), exponent);
    return vreinterpretq_f32_u32(vbicq_u32(y, vcltq_f32(x, low)));
}

/* vmath_exp2_u8 as 32-bit integers. */
ALWAYS_INLINE int32x4_t v_exp2_u8(float32x4_t t)
{
    float32x4_t a = vmaxq_f32(t, vdupq_n_f32(VMATH_EXP2_U8_LOW));
    float32x4_t rounded = vaddq_f32(a, vdupq_n_f32(VMATH_ROUND));
    float32x4_t f = vsubq_f32(a, vsubq_f32(rounded, vdupq_n_f32(VMATH_ROUND)));
    float32x4_t p = vfmaq_f32(vdupq_n_f32(VMATH_EXP2_U8_2), vdupq_n_f32(VMATH_EXP2_U8_3), f);
    p = vfmaq_f32(vdupq_n_f32(VMATH_EXP2_U8_1), p, f);
    p = vfmaq_f32(vdupq_n_f32(VMATH_EXP2_U8_0), p, f);
    uint32x4_t exponent = vshlq_n_u32(vreinterpretq_u32_f32(rounded), 23);
    return vcvtnq_s32_f32(vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(p), exponent)));
}

/* 127 / absmax, or 0 where absmax counts as zero; scales become absmax / 127 or 0. As quantize_rows does for a row. */
ALWAYS_INLINE float32x4_t v_quantizer(float32x4_t absmax, float *scales)
{
    uint32x4_t zero = vcltq_f32(absmax, vdupq_n_f32(RUNG_Q8_LEAST));
    float32x4_t top = vdupq_n_f32(127.0f);
    uint32x4_t scale = vreinterpretq_u32_f32(vdivq_f32(absmax, top));
    vst1q_f32(scales, vreinterpretq_f32_u32(vbicq_u32(scale, zero)));
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(vdivq_f32(top, absmax)), zero));
}

/* The nearest integers to x * inverse in -127..127, ties to even. */
ALWAYS_INLINE int32x4_t v_quantize(float32x4_t x, float32x4_t inverse)
{
    float32x4_t value = vmaxq_f32(vmulq_f32(x, inverse), vdupq_n_f32(-127.0f));
    return vcvtnq_s32_f32(vminq_f32(value, vdupq_n_f32(127.0f)));
}

/* The low bytes of 16 integers. */
ALWAYS_INLINE int8x16_t v_narrow(const int32x4_t x[4])
{
    int16x8_t low = vcombine_s16(vmovn_s32(x[0]), vmovn_s32(x[1]));
    int16x8_t high = vcombine_s16(vmovn_s32(x[2]), vmovn_s32(x[3]));
    return vcombine_s8(vmovn_s16(low), vmovn_s16(high));
}

/* x[i] lane j <-> x[j] lane i. */
ALWAYS_INLINE void transpose_4(float32x4_t x[4])
{
    float32x4_t even_low = vzip1q_f32(x[0], x[2]);
    float32x4_t even_high = vzip2q_f32(x[0], x[2]);
    float32x4_t odd_low = vzip1q_f32(x[1], x[3]);
    float32x4_t odd_high = vzip2q_f32(x[1], x[3]);
    x[0] = vzip1q_f32(even_low, odd_low);
    x[1] = vzip2q_f32(even_low, odd_low);
    x[2] = vzip1q_f32(even_high, odd_high);
    x[3] = vzip2q_f32(even_high, odd_high);
}

/* For the 16 lanes at once, since a table of 16 numbers takes four registers. */
typedef struct erf_lookup {
    uint8x16_t bytes[4]; /* of the number to take, for each lane */
} erf_lookup;

ALWAYS_INLINE lanes_16 erf_coefficients(const float row[16], erf_lookup at)
{
    uint8x16x4_t table;
    lanes_16 found;
    UNROLL
    for (size_t v = 0; v < 4; v++) {
        table.val[v] = vreinterpretq_u8_f32(vld1q_f32(row + 4 * v));
    }
    UNROLL
    for (size_t v = 0; v < 4; v++) {
        found.v[v] = vreinterpretq_f32_u8(vqtbl4q_u8(table, at.bytes[v]));
    }
    return found;
}

ALWAYS_INLINE lanes_16 v_erff(lanes_16 x)
{
    erf_lookup at;
    lanes_16 h;
    UNROLL
    for (size_t v = 0; v < 4; v++) {
        float32x4_t a = vminq_f32(vdupq_n_f32(VMATH_ERF_CLAMP), vabsq_f32(x.v[v]));
        float32x4_t rounded = vfmaq_f32(vdupq_n_f32(VMATH_ROUND), a, vdupq_n_f32(4.0f));
        uint32x4_t i = vandq_u32(vreinterpretq_u32_f32(rounded), vdupq_n_u32(15));
        at.bytes[v] = vreinterpretq_u8_u32(vmlaq_u32(vdupq_n_u32(0x03020100), i, vdupq_n_u32(0x04040404)));
        h.v[v] = vfmaq_f32(a, vsubq_f32(rounded, vdupq_n_f32(VMATH_ROUND)), vdupq_n_f32(-0.25f));
    }
    lanes_16 p = erf_coefficients(vmath_erf[5], at);
    UNROLL
    for (size_t degree = 5; degree-- > 0;) {
        lanes_16 next = erf_coefficients(vmath_erf[degree], at);
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            p.v[v] = vfmaq_f32(next.v[v], p.v[v], h.v[v]);
        }
    }
    UNROLL
    for (size_t v = 0; v < 4; v++) {
        p.v[v] = v_with_sign(p.v[v], x.v[v]);
    }
    return p;
}

ALWAYS_INLINE lanes_16 v_geluf(lanes_16 x)
{
    lanes_16 scaled;
    UNROLL
    for (size_t v = 0; v < 4; v++) {
        scaled.v[v] = vmulq_f32(x.v[v], vdupq_n_f32(VMATH_SQRT_HALF));
    }
    lanes_16 erf = v_erff(scaled);
    UNROLL
    for (size_t v = 0; v < 4; v++) {
        float32x4_t half = vmulq_f32(x.v[v], vdupq_n_f32(0.5f));
        x.v[v] = vfmaq_f32(half, half, erf.v[v]);
    }
    return x;
}

ALWAYS_INLINE float32x4_t v_gelu_coarsef(float32x4_t x)
{
    float32x4_t top = vdupq_n_f32(VMATH_GELU_CLAMP);
    float32x4_t u = vminq_f32(top, vmaxq_f32(vnegq_f32(top), x));
    float32x4_t t = vmulq_f32(u, u);
    float32x4_t p = vfmaq_f32(vdupq_n_f32(VMATH_GELU_13), vdupq_n_f32(VMATH_GELU_15), t);
    p = vfmaq_f32(vdupq_n_f32(VMATH_GELU_11), p, t);
    p = vfmaq_f32(vdupq_n_f32(VMATH_GELU_9), p, t);
    p = vfmaq_f32(vdupq_n_f32(VMATH_GELU_7), p, t);
    p = vfmaq_f32(vdupq_n_f32(VMATH_GELU_5), p, t);
    p = vfmaq_f32(vdupq_n_f32(VMATH_GELU_3), p, t);
    p = vfmaq_f32(vdupq_n_f32(VMATH_GELU_1), p, t);
    return vmulq_f32(x, vfmaq_f32(vdupq_n_f32(0.5f), p, u));
}

ALWAYS_INLINE float32x4_t v_tanhf(float32x4_t x)
{
    float32x4_t one = vdupq_n_f32(1.0f);
    float32x4_t a = vminq_f32(vdupq_n_f32(VMATH_TANH_HIGH), vabsq_f32(x));
    float32x4_t t = vmulq_f32(a, a);
    float32x4_t p = vfmaq_f32(vdupq_n_f32(VMATH_TANH_9), vdupq_n_f32(VMATH_TANH_11), t);
    p = vfmaq_f32(vdupq_n_f32(VMATH_TANH_7), p, t);
    p = vfmaq_f32(vdupq_n_f32(VMATH_TANH_5), p, t);
    p = vfmaq_f32(vdupq_n_f32(VMATH_TANH_3), p, t);
    float32x4_t small = vfmaq_f32(a, vmulq_f32(p, t), a);
    float32x4_t exp_2a = v_expf(vaddq_f32(a, a));
    float32x4_t large = vsubq_f32(one, vdivq_f32(vdupq_n_f32(2.0f), vaddq_f32(exp_2a, one)));
    uint32x4_t is_small = vcltq_f32(a, vdupq_n_f32(VMATH_TANH_SMALL));
    return v_with_sign(vbslq_f32(is_small, small, large), x);
}

#endif
