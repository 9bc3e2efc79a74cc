/* quantize.h: the numeric side of quantisation. Called by load_hf.c (weights) and pack_model.c (word embedding); knows
 * nothing of files. Values must be finite. */
#ifndef RUNG_MODEL_QUANTIZE_H
#define RUNG_MODEL_QUANTIZE_H

#include <stddef.h>
#include <stdint.h>

/* Symmetric int8 per output channel: scale = absmax / 127, q = nearest-even(w / scale) in -127..127. A row of zeros has
 * scale 0. w and q are [rows, columns], scales is [rows]. */
void rung_quantize_rows_s8(const float *w, size_t rows, size_t columns, int8_t *q, float *scales);

/* Quantises a group of 1 to 32 values to `bits` (4 to 8) bits: value = scale * (q - 2^(bits-1)). Returns the F16 scale,
 * which may be negative so that the value of largest magnitude can take the code -2^(bits-1), chosen for the least
 * squared error. An infinite result means that the values are too large for a F16 scale. q is [count]. */
uint16_t rung_quantize_group(const float *values, size_t count, unsigned bits, uint8_t *q);

/* Writes the low `bits` bits of each q behind each other, low bits first: ceil(count * bits / 8) bytes. */
void rung_pack_bits(const uint8_t *q, size_t count, unsigned bits, uint8_t *out);

#endif
