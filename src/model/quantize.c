/* quantize.c: int8 weights and low-bit embedding groups. See quantize.h.
 * For int8 weights the plain absmax scale is kept: a search over smaller scales lowers the error by 0.1 % only. At 4
 * bits the search matters. */
#include "model/quantize.h"

#include "model/half.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

void rung_quantize_rows_s8(const float *w, size_t rows, size_t columns, int8_t *q, float *scales)
{
    for (size_t row = 0; row < rows; row++) {
        const float *values = w + row * columns;
        int8_t *codes = q + row * columns;
        float largest = 0.0f;
        for (size_t i = 0; i < columns; i++) {
            float magnitude = fabsf(values[i]);
            largest = magnitude > largest ? magnitude : largest;
        }
        float scale = largest / 127.0f;
        scales[row] = scale;
        for (size_t i = 0; i < columns; i++) {
            /* A subnormal scale is inexact: the clamp keeps the code in range. */
            float code = scale > 0.0f ? rintf(values[i] / scale) : 0.0f;
            code = code > 127.0f ? 127.0f : code < -127.0f ? -127.0f : code;
            codes[i] = (int8_t)code;
        }
    }
}

/* The codes, from -half to half - 1, that are nearest for this scale, and what they give. */
typedef struct group_fit {
    double squared_error;
    double dot;    /* sum of value * code */
    double square; /* sum of code * code */
} group_fit;

static group_fit fit_group(const float *values, size_t count, float scale, float half, float *codes)
{
    group_fit fit = {0};
    float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
    for (size_t i = 0; i < count; i++) {
        float code = rintf(values[i] * inverse);
        code = code > half - 1.0f ? half - 1.0f : code < -half ? -half : code;
        codes[i] = code;
    }
    for (size_t i = 0; i < count; i++) {
        double error = (double)values[i] - (double)scale * (double)codes[i];
        fit.squared_error += error * error;
        fit.dot += (double)values[i] * (double)codes[i];
        fit.square += (double)codes[i] * (double)codes[i];
    }
    return fit;
}

typedef struct group_best {
    double squared_error;
    uint16_t scale;
    float codes[32];
} group_best;

/* Tries `scale`, then the scale that is best for its codes. Keeps what lowers the error; ties keep the earlier one. */
static void try_scale(const float *values, size_t count, float half, float scale, group_best *best)
{
    for (int step = 0; step < 2; step++) {
        float codes[32];
        uint16_t rounded = rung_f32_to_f16(scale);
        float used = rung_f16_to_f32(rounded);
        if (!isfinite(used)) {
            return;
        }
        group_fit fit = fit_group(values, count, used, half, codes);
        if (fit.squared_error < best->squared_error) {
            best->squared_error = fit.squared_error;
            best->scale = rounded;
            memcpy(best->codes, codes, sizeof codes);
        }
        if (fit.square == 0.0) {
            return;
        }
        scale = (float)(fit.dot / fit.square);
    }
}

uint16_t rung_quantize_group(const float *values, size_t count, unsigned bits, uint8_t *q)
{
    float half = (float)(1u << (bits - 1));
    float extreme = values[0];
    for (size_t i = 1; i < count; i++) {
        extreme = fabsf(values[i]) > fabsf(extreme) ? values[i] : extreme;
    }
    group_best best = {.squared_error = HUGE_VAL, .scale = 0x7c00u};
    if (extreme == 0.0f) {
        try_scale(values, count, half, 0.0f, &best);
    }
    /* With a scale of the other sign the largest value takes code -half, with one of its own sign half - 1. The scales
     * go from one that leaves 1.7 codes unused to one that clips 3.4 codes' worth. */
    for (int sign = -1; sign <= 1 && extreme != 0.0f; sign += 2) {
        for (int step = -6; step <= 12; step++) {
            float levels = half + (float)step * 0.28f;
            try_scale(values, count, half, (float)sign * extreme / levels, &best);
        }
    }
    for (size_t i = 0; i < count; i++) {
        q[i] = (uint8_t)(best.codes[i] + half);
    }
    return best.scale;
}

void rung_pack_bits(const uint8_t *q, size_t count, unsigned bits, uint8_t *out)
{
    memset(out, 0, (count * bits + 7) / 8);
    for (size_t i = 0; i < count; i++) {
        size_t bit = i * bits;
        unsigned shifted = (unsigned)q[i] << (bit % 8);
        out[bit / 8] |= (uint8_t)shifted;
        if (bit % 8 + bits > 8) {
            out[bit / 8 + 1] |= (uint8_t)(shifted >> 8);
        }
    }
}
