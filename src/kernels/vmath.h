/* vmath.h: exp, erf and tanh in single precision as fixed sequences of IEEE operations, for one float. ref.c applies
 * them lane by lane; avx2_math.h, avx512_math.h and neon_math.h repeat the same sequence on 8, 16 and 4 lanes with the same
 * constants; tests compare the bits. Only + - * / fmaf, comparisons and bit patterns are used, so every machine, compiler and C library
 * agrees. Must not know about layers or tensors. Source: own least-maximum fits (Lawson iterations) of each function;
 * largest errors against double precision libm over dense grids: exp 1.1 ulp, erf 6e-8 absolute, tanh 1.4 ulp.
 * tests/test_vmath.c holds them to that. */
#ifndef RUNG_KERNELS_VMATH_H
#define RUNG_KERNELS_VMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Adding 1.5 * 2^23 rounds a float of magnitude < 2^22 to the nearest even integer and leaves it in the low bits. */
#define VMATH_ROUND 12582912.0f
#define VMATH_ROUND_BITS 0x4b400000

/* exp: x = n ln 2 + r, |r| <= ln 2 / 2; exp(r) = 1 + r + r² Q(r). ln 2 in two parts: the first has zeros in its low
 * bits, so n * part is exact. */
#define VMATH_EXP_LOW (-87.0f) /* below: 0. exp(-87) is still a normal number */
#define VMATH_EXP_HIGH 88.0f   /* above: exp(88) */
#define VMATH_LOG2_E 1.44269502f
#define VMATH_LN2_HIGH 0.693145752f
#define VMATH_LN2_LOW 1.42860677e-06f
#define VMATH_EXP_2 0.5f
#define VMATH_EXP_3 0.166665167f
#define VMATH_EXP_4 0.0416662022f
#define VMATH_EXP_5 0.00836907327f
#define VMATH_EXP_6 0.00139508094f

/* erf: |x| clamped to just below 3.875, where the result is 1; x0 = the nearest multiple of 1/4, h = |x| - x0; row k
 * holds the coefficients of h^k. */
#define VMATH_ERF_CLAMP 3.87499976f
static const float vmath_erf[6][16] = {
    {0.0f, 0.276326388f, 0.520499885f, 0.711155653f, 0.842700779f, 0.92290014f, 0.966105163f, 0.986671686f,
     0.995322287f, 0.998537302f, 0.999593019f, 0.999899387f, 0.999977887f, 0.999995708f, 0.999999285f, 0.999999881f},
    {1.12837911f, 1.06001413f, 0.87878257f, 0.642931044f, 0.415107489f, 0.236521125f, 0.118930288f, 0.0527749918f,
     0.0206669848f, 0.00714231888f, 0.00217828457f, 0.000586277514f, 0.000139253214f, 2.91890974e-05f, 5.39945177e-06f,
     1.08e-06f},
    {0.0f, -0.264998764f, -0.439388394f, -0.482204586f, -0.4151012f, -0.295656741f, -0.178401753f, -0.0923610255f,
     -0.0413396508f, -0.01607465f, -0.00543814525f, -0.00161444989f, -0.000411860237f, -9.77024538e-05f,
     -2.5987476e-05f, -2.8e-06f},
    {-0.376092434f, -0.309167773f, -0.146463364f, 0.0267905463f, 0.138368875f, 0.167534843f, 0.138752937f,
     0.0901589021f, 0.0482235067f, 0.0217246711f, 0.00834995043f, 0.00276025105f, 0.000789017067f, 0.000195772984f,
     4.22828452e-05f, 0.0f},
    {0.0f, 0.126074687f, 0.182124287f, 0.150666103f, 0.0688558891f, -0.00553800352f, -0.0439587422f, -0.0477104448f,
     -0.0341473557f, -0.018904997f, -0.00905413181f, -0.00317390938f, -0.00135735364f, -0.000146227045f,
     0.000292457466f, 0.0f},
    {0.110260889f, 0.0796108022f, 0.00741689606f, -0.0529645346f, -0.0688936114f, -0.0470736325f, -0.0149921589f,
     0.0064439727f, 0.0130048329f, 0.0106403846f, 0.0061331843f, 0.00277345465f, 0.0010272488f, 0.000318476872f,
     8.37243642e-05f, 0.0f},
};

/* GELU: x / sqrt 2. */
#define VMATH_SQRT_HALF 0.707106769f

/* GELU for rows that become int8 next: x (1/2 + u P(u²)), u = x clamped to -4..4; at most 4e-5 off in there, and 4.2e-5 |x|
 * beyond. */
#define VMATH_GELU_CLAMP 4.0f
#define VMATH_GELU_1 0.398673385f
#define VMATH_GELU_3 (-0.0658878237f)
#define VMATH_GELU_5 0.0095053846f
#define VMATH_GELU_7 (-0.00100648636f)
#define VMATH_GELU_9 7.48544262e-05f
#define VMATH_GELU_11 (-3.65708138e-06f)
#define VMATH_GELU_13 1.04193845e-07f
#define VMATH_GELU_15 (-1.30125666e-09f)

/* tanh: below 5/8, x + x³ P(x²); above, 1 - 2 / (exp(2x) + 1); from 10 on it is 1. */
#define VMATH_TANH_SMALL 0.625f
#define VMATH_TANH_HIGH 10.0f
#define VMATH_TANH_3 (-0.333332628f)
#define VMATH_TANH_5 0.13330899f
#define VMATH_TANH_7 (-0.0536929443f)
#define VMATH_TANH_9 0.0204832405f
#define VMATH_TANH_11 (-0.00552855199f)

/* 255 * exp2, for weights of 8 bits: t = n + f, |f| <= 1/2; 2^f by a polynomial of degree 3, 8e-5 off at most, times 255. */
#define VMATH_EXP2_U8_LOW (-16.0f) /* from here on down the result rounds to 0 */
#define VMATH_EXP2_U8_0 254.981659f
#define VMATH_EXP2_U8_1 176.781552f
#define VMATH_EXP2_U8_2 61.8658362f
#define VMATH_EXP2_U8_3 14.0687756f

static inline int32_t vmath_bits(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float vmath_float(int32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* As the x86 vector instructions do: the second operand when either is NaN. With the constant first, NaN passes
 * through. */
static inline float vmath_max(float x, float y)
{
    return x > y ? x : y;
}

static inline float vmath_min(float x, float y)
{
    return x < y ? x : y;
}

static inline float vmath_expf(float x)
{
    float a = vmath_min(VMATH_EXP_HIGH, vmath_max(VMATH_EXP_LOW, x));
    float rounded = fmaf(a, VMATH_LOG2_E, VMATH_ROUND);
    float n = rounded - VMATH_ROUND;
    float r = fmaf(n, -VMATH_LN2_HIGH, a);
    r = fmaf(n, -VMATH_LN2_LOW, r);
    float p = fmaf(VMATH_EXP_6, r, VMATH_EXP_5);
    p = fmaf(p, r, VMATH_EXP_4);
    p = fmaf(p, r, VMATH_EXP_3);
    p = fmaf(p, r, VMATH_EXP_2);
    p = fmaf(p, r * r, r) + 1.0f;
    /* 2^n by adding n to the exponent: the result is a normal number for every clamped input. */
    float y = vmath_float((int32_t)((uint32_t)vmath_bits(p) + ((uint32_t)vmath_bits(rounded) << 23)));
    return x < VMATH_EXP_LOW ? 0.0f : y;
}

/* The nearest integer to 255 * 2^t, 0 to 255, for t <= 0. */
static inline uint8_t vmath_exp2_u8(float t)
{
    float a = vmath_max(t, VMATH_EXP2_U8_LOW);
    float rounded = a + VMATH_ROUND;
    float f = a - (rounded - VMATH_ROUND);
    float p = fmaf(VMATH_EXP2_U8_3, f, VMATH_EXP2_U8_2);
    p = fmaf(p, f, VMATH_EXP2_U8_1);
    p = fmaf(p, f, VMATH_EXP2_U8_0);
    float y = vmath_float((int32_t)((uint32_t)vmath_bits(p) + ((uint32_t)vmath_bits(rounded) << 23)));
    return (uint8_t)vmath_bits(y + VMATH_ROUND);
}

static inline float vmath_erff(float x)
{
    float a = vmath_min(VMATH_ERF_CLAMP, fabsf(x));
    float rounded = fmaf(a, 4.0f, VMATH_ROUND);
    int32_t i = vmath_bits(rounded) & 15;
    float h = fmaf(rounded - VMATH_ROUND, -0.25f, a);
    float p = fmaf(vmath_erf[5][i], h, vmath_erf[4][i]);
    p = fmaf(p, h, vmath_erf[3][i]);
    p = fmaf(p, h, vmath_erf[2][i]);
    p = fmaf(p, h, vmath_erf[1][i]);
    p = fmaf(p, h, vmath_erf[0][i]);
    return vmath_float(vmath_bits(p) ^ (vmath_bits(x) & INT32_MIN));
}

static inline float vmath_geluf(float x)
{
    float half = x * 0.5f;
    return fmaf(half, vmath_erff(x * VMATH_SQRT_HALF), half);
}

static inline float vmath_gelu_coarsef(float x)
{
    float u = vmath_min(VMATH_GELU_CLAMP, vmath_max(-VMATH_GELU_CLAMP, x));
    float t = u * u;
    float p = fmaf(VMATH_GELU_15, t, VMATH_GELU_13);
    p = fmaf(p, t, VMATH_GELU_11);
    p = fmaf(p, t, VMATH_GELU_9);
    p = fmaf(p, t, VMATH_GELU_7);
    p = fmaf(p, t, VMATH_GELU_5);
    p = fmaf(p, t, VMATH_GELU_3);
    p = fmaf(p, t, VMATH_GELU_1);
    return x * fmaf(p, u, 0.5f);
}

static inline float vmath_tanhf(float x)
{
    float a = vmath_min(VMATH_TANH_HIGH, fabsf(x));
    float t = a * a;
    float p = fmaf(VMATH_TANH_11, t, VMATH_TANH_9);
    p = fmaf(p, t, VMATH_TANH_7);
    p = fmaf(p, t, VMATH_TANH_5);
    p = fmaf(p, t, VMATH_TANH_3);
    float small = fmaf(p * t, a, a);
    float large = 1.0f - 2.0f / (vmath_expf(a + a) + 1.0f);
    float y = a < VMATH_TANH_SMALL ? small : large;
    return vmath_float(vmath_bits(y) ^ (vmath_bits(x) & INT32_MIN));
}

#endif
