/* math.c: exp and log in double precision from IEEE + - * / and fma only, in a fixed order, so that results are the
 * same bits everywhere. Called by fits, probabilities and reports; not by kernels. Source: argument reduction as in
 * Tang (1989, 1990); the series are Taylor's, long enough for the reduced ranges. tests/test_math.c holds both to 2
 * ulp. */
#include "base/math.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* ln 2 in two parts; the first ends in 21 zero bits, so that its product with an exponent is exact. */
#define LN2_HIGH 0x1.62e42feep-1
#define LN2_LOW 0x1.a39ef35793c76p-33
#define LOG2_E 0x1.71547652b82fep+0
#define ROUND 0x1.8p52 /* adding it rounds a double of magnitude < 2^51 to the nearest integer */

enum { EXPONENT_BIAS = 1023, MANTISSA_BITS = 52 };

static uint64_t double_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double bits_double(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* 2^n for a normal result. */
static double power_of_two(int n)
{
    return bits_double((uint64_t)(n + EXPONENT_BIAS) << MANTISSA_BITS);
}

double rung_exp(double x)
{
    if (x != x) {
        return x;
    }
    if (x > 709.79) {
        return (double)INFINITY;
    }
    if (x < -745.14) {
        return 0.0;
    }
    double n = fma(x, LOG2_E, ROUND) - ROUND;
    double high = fma(n, -LN2_HIGH, x);
    double low = n * LN2_LOW;
    double r = high - low;
    double lost = (high - r) - low;
    /* exp(r) = 1 + r + r² (1/2 + r/6 + ...), |r| <= 0.347: the first term left out is below 2^-58. */
    static const double inverse_factorial[] = {0x1.93974a8c07c9dp-37, /* 1/14! */
                                               0x1.6124613a86d09p-33, 0x1.1eed8eff8d898p-29, 0x1.ae64567f544e4p-26,
                                               0x1.27e4fb7789f5cp-22, 0x1.71de3a556c734p-19, 0x1.a01a01a01a01ap-16,
                                               0x1.a01a01a01a01ap-13, 0x1.6c16c16c16c17p-10, 0x1.1111111111111p-7,
                                               0x1.5555555555555p-5,  0x1.5555555555555p-3,  0.5};
    double p = inverse_factorial[0];
    for (size_t i = 1; i < sizeof inverse_factorial / sizeof inverse_factorial[0]; i++) {
        p = fma(p, r, inverse_factorial[i]);
    }
    double y = 1.0 + (r + fma(p, r * r, lost));
    /* In two factors: the result may be subnormal, and 2^1024 is no double. */
    int exponent = (int)n;
    int half = exponent / 2;
    return y * power_of_two(half) * power_of_two(exponent - half);
}

double rung_log(double x)
{
    if (!(x > 0.0)) {
        return x == 0.0 ? -(double)INFINITY : (double)NAN;
    }
    if (x == (double)INFINITY) {
        return x;
    }
    int exponent = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        exponent = -54;
    }
    /* x = 2^exponent m with m in [sqrt(1/2), sqrt(2)). */
    uint64_t bits = double_bits(x);
    exponent += (int)(bits >> MANTISSA_BITS) - EXPONENT_BIAS;
    double m = bits_double((bits & ((UINT64_C(1) << MANTISSA_BITS) - 1)) | (uint64_t)EXPONENT_BIAS << MANTISSA_BITS);
    if (m >= 0x1.6a09e667f3bcdp+0) {
        m *= 0.5;
        exponent++;
    }
    /* log(1 + f) = f - f²/2 + s (f²/2 + R), s = f / (2 + f), R = 2 s² (1/3 + s²/5 + ...): f - f²/2 carries the result.
     * s² <= 0.0295. */
    double f = m - 1.0;
    double s = f / (2.0 + f);
    double t = s * s;
    double series = 0.0;
    for (int odd = 25; odd >= 3; odd -= 2) {
        series = fma(series, t, 2.0 / odd);
    }
    double half_square = 0.5 * f * f;
    double tail = fma(s, fma(series, t, half_square), (double)exponent * LN2_LOW);
    return fma((double)exponent, LN2_HIGH, f - (half_square - tail));
}
