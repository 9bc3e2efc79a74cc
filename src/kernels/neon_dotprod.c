/* neon_dotprod.c: the kernels for arm64 with dot products of int8 ("neon-dotprod"), FEAT_DotProd of Arm's manual:
 * most processors since 2018. Called through the table of dispatch.c. sdot adds four products of a column, which is
 * how panels lie: a slice is a copy. */
#include "kernels/neon_tiles.h"
#include "kernels/tables.h"

#include <arm_neon.h>
#include <string.h>

enum {
    TILE_ROWS = 6, /* 24 sums, 6 inputs and a weight or two of 32 registers */
    PEAK_SUMS_S8 = 24,
};

static void pack_slice(const int8_t *lines, size_t line_bytes, size_t k4, int8_t *slice)
{
    size_t padded = rung_neon_round_up(k4, 4);
    for (size_t i = 0; i < k4; i++) {
        vst1q_s8_x4(slice + i * SLICE_LINE_BYTES, vld1q_s8_x4(lines + i * line_bytes));
    }
    memset(slice + k4 * SLICE_LINE_BYTES, 0, (padded - k4) * SLICE_LINE_BYTES);
}

/* sums[r] += x[r] lane `lane`, four k, times a line of the slice; `lane` is a constant. */
#define ADD_LINE(sums, rows, x, line, lane)                                                                            \
    do {                                                                                                               \
        UNROLL                                                                                                         \
        for (size_t v = 0; v < 4; v++) {                                                                               \
            int8x16_t weights_ = vld1q_s8((line) + 16 * v);                                                            \
            UNROLL                                                                                                     \
            for (size_t r = 0; r < (rows); r++) {                                                                      \
                (sums)[r][v] = vdotq_laneq_s32((sums)[r][v], weights_, (x)[r], lane);                                  \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)

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
    for (size_t step = 0; step < steps; step++) {
        const int8_t *line = b + step * STEP_BYTES;
        int8x16_t x[TILE_ROWS];
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            x[r] = vreinterpretq_s8_u8(vld1q_u8(a + r * a_stride + step * STEP_K));
        }
        ADD_LINE(sums, rows, x, line, 0);
        ADD_LINE(sums, rows, x, line + SLICE_LINE_BYTES, 1);
        ADD_LINE(sums, rows, x, line + 2 * SLICE_LINE_BYTES, 2);
        ADD_LINE(sums, rows, x, line + 3 * SLICE_LINE_BYTES, 3);
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
TILE_S8(5)
TILE_S8(6)

static rung_neon_tile_s8 *const tiles[TILE_ROWS] = {tile_s8_1, tile_s8_2, tile_s8_3, tile_s8_4, tile_s8_5, tile_s8_6};

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
            __asm__("sdot %0.4s, %1.16b, %1.16b" : "+w"(sums[i]) : "w"(a));
        }
    }
    UNROLL
    for (size_t i = 0; i < PEAK_SUMS_S8; i++) {
        __asm__ volatile("" : : "w"(sums[i]));
    }
    return 32.0 * PEAK_SUMS_S8 * (double)rounds;
}

const rung_kernels rung_kernels_neon_dotprod = {
    .name = "neon-dotprod",
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
