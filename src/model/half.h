/* half.h: IEEE binary16 (F16) and bfloat16 (BF16) to and from float, in plain integer and float operations that every
 * compiler vectorises. Called by the safetensors reader, the quantiser and the word embedding. Little-endian machines
 * only, as the files are. Source: IEEE 754-2008, 3.4 and 4.3.1 (nearest, ties to even). */
#ifndef RUNG_MODEL_HALF_H
#define RUNG_MODEL_HALF_H

#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "model files are little-endian and are mapped as they are");

#define RUNG_F16_MAX 65504.0f

static inline uint16_t rung_load_u16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline float rung_float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t rung_float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The exponent is rebased by a product with 2^112, which is exact and also normalises subnormals. */
static inline float rung_f16_to_f32(uint16_t half)
{
    float magnitude = rung_float_from_bits((uint32_t)(half & 0x7fffu) << 13) * 0x1p112f;
    uint32_t bits = rung_float_bits(magnitude);
    bits |= magnitude >= 65536.0f ? 0x7f800000u : 0u;
    return rung_float_from_bits(bits | (uint32_t)(half & 0x8000u) << 16);
}

static inline uint16_t rung_f32_to_f16(float value)
{
    uint32_t bits = rung_float_bits(value);
    uint32_t sign = bits >> 16 & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;
    uint32_t half;
    if (magnitude > 0x7f800000u) {
        half = 0x7e00u; /* NaN */
    } else if (magnitude >= 0x477ff000u) {
        half = 0x7c00u; /* 65520 and more round to infinity */
    } else if (magnitude < 0x38800000u) {
        /* Below 2^-14: a unit in the last place of 0.5 is 2^-24, so the sum rounds to a subnormal half. */
        half = rung_float_bits(rung_float_from_bits(magnitude) + 0.5f) - 0x3f000000u;
    } else {
        half = (magnitude + 0xfffu + (magnitude >> 13 & 1u) - 0x38000000u) >> 13;
    }
    return (uint16_t)(sign | half);
}

static inline float rung_bf16_to_f32(uint16_t value)
{
    return rung_float_from_bits((uint32_t)value << 16);
}

#endif
