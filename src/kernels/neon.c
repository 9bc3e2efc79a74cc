/* neon.c: the kernels for every ARMv8.0 processor ("neon"), such as those of a Raspberry Pi 4. Called through the table
 * of dispatch.c. Two int8 products of a column fit the sum of 16 bits, even of -128 and 127: smull and smlal over two
 * pairs of k, then sadalp adds neighbours into 32 bits. That takes three instructions for 16 products; smlal on widened
 * numbers would take four, and twice the multiplications. */
#include "kernels/neon_tiles.h"
#include "kernels/tables.h"

#include <arm_neon.h>
#include <string.h>

enum {
    TILE_ROWS = 4,
    PEAK_SUMS_S8 = 8,
};

/* ---- The tile: a slice's line holds k 0 and 1 of 8 columns, their k 2 and 3, then the same of the other 8. ---- */

static void pack_slice(const int8_t *lines, size_t line_bytes, size_t k4, int8_t *slice)
{
    size_t padded = rung_neon_round_up(k4, 4);
    for (size_t i = 0; i < k4; i++) {
        UNROLL
        for (size_t half = 0; half < 2; half++) {
            int16x8_t first = vreinterpretq_s16_s8(vld1q_s8(lines + i * line_bytes + 32 * half));
            int16x8_t second = vreinterpretq_s16_s8(vld1q_s8(lines + i * line_bytes + 32 * half + 16));
            int8_t *to = slice + i * SLICE_LINE_BYTES + 32 * half;
            vst1q_s8(to, vreinterpretq_s8_s16(vuzp1q_s16(first, second)));
            vst1q_s8(to + 16, vreinterpretq_s8_s16(vuzp2q_s16(first, second)));
        }
    }
    memset(slice + k4 * SLICE_LINE_BYTES, 0, (padded - k4) * SLICE_LINE_BYTES);
}

ALWAYS_INLINE int8x16_t repeat_pair(const uint8_t *x)
{
    uint16_t pair;
    memcpy(&pair, x, sizeof pair);
    return vreinterpretq_s8_u16(vdupq_n_u16(pair));
}

/* sums of 16 columns += x[0..4) times a line. */
ALWAYS_INLINE void add_line(int32x4_t sums[4], const uint8_t *x, const int8x16_t line[4])
{
    int8x16_t first = repeat_pair(x);
    int8x16_t second = repeat_pair(x + 2);
    int16x8_t products[4] = {
        vmull_s8(vget_low_s8(line[0]), vget_low_s8(first)),
        vmull_high_s8(line[0], first),
        vmull_s8(vget_low_s8(line[2]), vget_low_s8(first)),
        vmull_high_s8(line[2], first),
    };
    products[0] = vmlal_s8(products[0], vget_low_s8(line[1]), vget_low_s8(second));
    products[1] = vmlal_high_s8(products[1], line[1], second);
    products[2] = vmlal_s8(products[2], vget_low_s8(line[3]), vget_low_s8(second));
    products[3] = vmlal_high_s8(products[3], line[3], second);
    UNROLL
    for (size_t v = 0; v < 4; v++) {
        sums[v] = vpadalq_s16(sums[v], products[v]);
    }
}

ALWAYS_INLINE void tile_s8_body(size_t rows, const uint8_t *a, size_t a_stride, const int8_t *b, size_t steps, bool add,
                                int32_t *out, size_t out_stride)
{
    int32x4_t sums[TILE_ROWS][4];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            sums[r][v] = add ? vld1q_s32(out + r * out_stride + 4 * v) : vdupq_n_s32(0);
        }
    }
    KEEP_LOOP
    for (size_t k4 = 0; k4 < steps * STEP_K / 4; k4++) {
        int8x16_t line[4];
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            line[v] = vld1q_s8(b + k4 * SLICE_LINE_BYTES + 16 * v);
        }
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            add_line(sums[r], a + r * a_stride + 4 * k4, line);
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            vst1q_s32(out + r * out_stride + 4 * v, sums[r][v]);
        }
    }
}

TILE_S8(1)
TILE_S8(2)
TILE_S8(3)
TILE_S8(4)

static rung_neon_tile_s8 *const tiles[TILE_ROWS] = {tile_s8_1, tile_s8_2, tile_s8_3, tile_s8_4};

static const rung_neon_s8 set = {.tile_rows = TILE_ROWS, .row_multiple = 1, .tiles = tiles, .pack_slice = pack_slice};

static void linear_s8(const rung_linear_s8 *w, rung_q8 x, size_t m, rung_epilogue epilogue, const float *residual,
                      float *y, size_t y_stride)
{
    rung_neon_linear_s8(&set, w, x, m, epilogue, residual, y, y_stride);
}

static void attention_s8(const rung_attention *attention)
{
    rung_neon_attention_s8(&set, attention);
}

/* ---- The machine's peak. ---- */

static double peak_s8(size_t rounds)
{
    int32x4_t sums[PEAK_SUMS_S8];
    int8x16_t a = vdupq_n_s8(1);
    UNROLL
    for (size_t i = 0; i < PEAK_SUMS_S8; i++) {
        sums[i] = vdupq_n_s32(0);
    }
    for (size_t round = 0; round < rounds; round++) {
        UNROLL
        for (size_t i = 0; i < PEAK_SUMS_S8; i++) {
            int16x8_t products;
            __asm__("smull %1.8h, %2.8b, %2.8b\n\tsmlal2 %1.8h, %2.16b, %2.16b\n\tsadalp %0.4s, %1.8h"
                    : "+w"(sums[i]), "=&w"(products)
                    : "w"(a));
        }
    }
    UNROLL
    for (size_t i = 0; i < PEAK_SUMS_S8; i++) {
        __asm__ volatile("" : : "w"(sums[i]));
    }
    return 32.0 * PEAK_SUMS_S8 * (double)rounds;
}

const rung_kernels rung_kernels_neon = {
    .name = "neon",
    .quantize_rows = rung_neon_quantize_rows,
    .linear_s8 = linear_s8,
    .linear_f32 = rung_neon_linear_f32,
    .layer_norm = rung_neon_layer_norm,
    .attention = rung_neon_attention,
    .attention_s8 = attention_s8,
    .attention_scratch_bytes = rung_neon_attention_scratch_bytes,
    .tanh = rung_neon_tanh,
    .peak_s8 = peak_s8,
    .peak_f32 = rung_neon_peak_f32,
};
