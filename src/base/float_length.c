/* float_length.c: the nine significant digits of a float as an integer, exactly, and how many of them are not zeros at the end. Must give what the C library's
 * printf gives, which rounds the exact value, half to even. See float_length.h. */
#include "base/float_length.h"

#include <math.h>
#include <stdio.h>

#define DIGITS 9
#define LEAST_DIGITS 100000000u /* the least number of nine digits */
#define LEAST_FLOAT 1e-35f      /* below it a mantissa of 24 bits times the power of 5 needs more than 128 bits */
#define POWERS 28               /* 5^27 is the last in 64 bits */

__extension__ typedef unsigned __int128 wide;

static const uint64_t power_of_5[POWERS] = {1,
                                            5,
                                            25,
                                            125,
                                            625,
                                            3125,
                                            15625,
                                            78125,
                                            390625,
                                            1953125,
                                            9765625,
                                            48828125,
                                            244140625,
                                            1220703125,
                                            6103515625,
                                            30517578125,
                                            152587890625,
                                            762939453125,
                                            3814697265625,
                                            19073486328125,
                                            95367431640625,
                                            476837158203125,
                                            2384185791015625,
                                            11920928955078125,
                                            59604644775390625,
                                            298023223876953125,
                                            1490116119384765625,
                                            7450580596923828125};

/* mantissa 2^-shift 10^power, rounded half to even; 1 <= shift - power <= 127. */
static uint64_t scaled(uint32_t mantissa, int shift, int power)
{
    wide product = (wide)mantissa * power_of_5[power < POWERS ? power : POWERS - 1];
    if (power >= POWERS) {
        product *= power_of_5[power - (POWERS - 1)];
    }
    int right = shift - power;
    wide rest = product & (((wide)1 << right) - 1);
    wide half = (wide)1 << (right - 1);
    uint64_t whole = (uint64_t)(product >> right);
    return whole + (rest > half || (rest == half && (whole & 1) != 0));
}

/* The digits that are left without the zeros at the end; number is not 0. */
static size_t significant(uint64_t number)
{
    size_t count = DIGITS;
    for (; number % 10 == 0; number /= 10) {
        count--;
    }
    return count;
}

size_t rung_float_length(float value)
{
    if (value == 0) {
        return signbit(value) ? 2 : 1;
    }
    if (!(value >= LEAST_FLOAT && value < 2)) { /* probabilities are between */
        return (size_t)snprintf(NULL, 0, "%.9g", (double)value);
    }
    int binary;
    uint32_t mantissa = (uint32_t)(frexpf(value, &binary) * 0x1p24f);
    int shift = 24 - binary;
    int exponent = (int)floor((binary - 1) * 0.30102999566398120); /* at most one too low */
    uint64_t digits = scaled(mantissa, shift, DIGITS - 1 - exponent);
    if (digits >= (uint64_t)LEAST_DIGITS * 10) {
        exponent++;
        digits = scaled(mantissa, shift, DIGITS - 1 - exponent);
    }
    size_t count = significant(digits);
    if (exponent >= 0) { /* below 2: one digit before the point */
        return count == 1 ? 1 : count + 1;
    }
    if (exponent >= -4) { /* "0.", zeros, digits */
        return 2 + (size_t)(-exponent - 1) + count;
    }
    return (count == 1 ? 1 : count + 1) + 4; /* "e-05" */
}

size_t rung_integer_length(uint64_t value)
{
    size_t length = 1;
    for (; value >= 10; value /= 10) {
        length++;
    }
    return length;
}
