/* neon_i8mm.c: the kernels for arm64 with products of int8 matrices ("neon-i8mm"), FEAT_I8MM of Arm's manual. Called
 * through the table of dispatch.c. smmla multiplies two rows by two columns over eight k, twice the products of sdot: a
 * slice holds pairs of columns, and rows are packed by two once for all columns. */
#include "kernels/neon_tiles.h"
#include "kernels/tables.h"

#include <arm_neon.h>
#include <string.h>

enum {
    TILE_ROWS = 6, /* 24 sums, 3 inputs and 5 registers for weights */
    COLUMN_PAIRS = SLICE / 2,
    PEAK_SUMS_S8 = 24,
};

/* slice[k / 8][8 column pairs][2][8]. */
static void pack_slice(const int8_t *lines, size_t line_bytes, size_t k4, int8_t *slice)
{
    size_t padded = rung_neon_round_up(k4, 4);
    for (size_t i = 0; i < padded; i += 2) {
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            const int8_t *from = lines + i * line_bytes + 16 * v;
            int8_t *to = slice + i * SLICE_LINE_BYTES + 32 * v;
            int32x4_t zero = vdupq_n_s32(0);
            int32x4_t first = i < k4 ? vreinterpretq_s32_s8(vld1q_s8(from)) : zero;
            int32x4_t second = i + 1 < k4 ? vreinterpretq_s32_s8(vld1q_s8(from + line_bytes)) : zero;
            vst1q_s8(to, vreinterpretq_s8_s32(vzip1q_s32(first, second)));
            vst1q_s8(to + 16, vreinterpretq_s8_s32(vzip2q_s32(first, second)));
        }
    }
}

/* packed[row pairs][k / 8][2][8]; the last of an odd number of rows goes with zeros. */
static void pack_rows(const uint8_t *q, size_t stride, size_t rows, size_t k, uint8_t *packed)
{
    for (size_t r = 0; r < rows; r += 2) {
        const uint8_t *from = q + r * stride;
        uint8_t *to = packed + r * k;
        for (size_t i = 0; i < k; i += 16) {
            uint64x2_t first = vreinterpretq_u64_u8(vld1q_u8(from + i));
            uint64x2_t second = r + 1 < rows ? vreinterpretq_u64_u8(vld1q_u8(from + stride + i)) : vdupq_n_u64(0);
            vst1q_u8(to + 2 * i, vreinterpretq_u8_u64(vzip1q_u64(first, second)));
            vst1q_u8(to + 2 * i + 16, vreinterpretq_u8_u64(vzip2q_u64(first, second)));
        }
    }
}

/* The 2 x 2 sums of two column pairs are the four columns of two rows. */
ALWAYS_INLINE int32x4_t first_row(int32x4_t left, int32x4_t right)
{
    return vcombine_s32(vget_low_s32(left), vget_low_s32(right));
}

ALWAYS_INLINE int32x4_t second_row(int32x4_t left, int32x4_t right)
{
    return vcombine_s32(vget_high_s32(left), vget_high_s32(right));
}

/* out gets an even number of rows. */
ALWAYS_INLINE void store_pairs(size_t pairs, int32x4_t sums[][COLUMN_PAIRS], bool add, int32_t *out, size_t out_stride)
{
    UNROLL
    for (size_t p = 0; p < pairs; p++) {
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            int32_t *first_to = out + 2 * p * out_stride + 4 * v;
            int32_t *second_to = first_to + out_stride;
            int32x4_t first = first_row(sums[p][2 * v], sums[p][2 * v + 1]);
            int32x4_t second = second_row(sums[p][2 * v], sums[p][2 * v + 1]);
            vst1q_s32(first_to, add ? vaddq_s32(first, vld1q_s32(first_to)) : first);
            vst1q_s32(second_to, add ? vaddq_s32(second, vld1q_s32(second_to)) : second);
        }
    }
}

ALWAYS_INLINE void tile_s8_body(size_t rows, const uint8_t *a, size_t a_stride, const int8_t *b, size_t steps, bool add,
                                int32_t *out, size_t out_stride)
{
    int32x4_t sums[TILE_ROWS / 2][COLUMN_PAIRS];
    size_t pairs = (rows + 1) / 2;
    UNROLL
    for (size_t p = 0; p < pairs; p++) {
        UNROLL
        for (size_t c = 0; c < COLUMN_PAIRS; c++) {
            sums[p][c] = vdupq_n_s32(0);
        }
    }
    KEEP_LOOP
    for (size_t k8 = 0; k8 < steps * STEP_K / 8; k8++) {
        int8x16_t x[TILE_ROWS / 2];
        UNROLL
        for (size_t p = 0; p < pairs; p++) {
            x[p] = vreinterpretq_s8_u8(vld1q_u8(a + 2 * p * a_stride + 16 * k8));
        }
        UNROLL
        for (size_t c = 0; c < COLUMN_PAIRS; c++) {
            int8x16_t weights = vld1q_s8(b + k8 * 8 * SLICE + 16 * c);
            UNROLL
            for (size_t p = 0; p < pairs; p++) {
                sums[p][c] = vmmlaq_s32(sums[p][c], x[p], weights);
            }
        }
    }
    store_pairs(pairs, sums, add, out, out_stride);
}

TILE_S8(2)
TILE_S8(4)
TILE_S8(6)

static rung_neon_tile_s8 *const tiles[TILE_ROWS] = {tile_s8_2, tile_s8_2, tile_s8_4, tile_s8_4, tile_s8_6, tile_s8_6};

static const rung_neon_s8 set = {
    .tile_rows = TILE_ROWS, .row_multiple = 2, .tiles = tiles, .pack_slice = pack_slice, .pack_rows = pack_rows};

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
            __asm__("smmla %0.4s, %1.16b, %1.16b" : "+w"(sums[i]) : "w"(a));
        }
    }
    UNROLL
    for (size_t i = 0; i < PEAK_SUMS_S8; i++) {
        __asm__ volatile("" : : "w"(sums[i]));
    }
    return 64.0 * PEAK_SUMS_S8 * (double)rounds;
}

const rung_kernels rung_kernels_neon_i8mm = {
    .name = "neon-i8mm",
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
