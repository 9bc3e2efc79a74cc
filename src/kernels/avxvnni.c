/* avxvnni.c: the kernels for AVX2, FMA and AVX-VNNI ("avxvnni"): processors that have vpdpbusd without AVX-512. Called
 * through the table of dispatch.c. Activations are stored as q + 128, since vpdpbusd multiplies unsigned by signed bytes:
 * a tile starts from -128 * column_sums. What has no int8 product is avx2.c's. Bits are those of ref.c: every operation
 * and order is the one that kernels.h fixes. */
#include "kernels/avx2.h"
#include "kernels/avx2_rows.h"
#include "kernels/avxvnni_attention_s8.h"
#include "kernels/avxvnni_tiles.h"
#include "kernels/tables.h"

#include <stdbool.h>
#include <string.h>

enum {
    S8_BLOCK_ROWS = 96, /* rows that share a slice of weights */
    S8_BLOCK_K = 1024,  /* a slice's part of 16 KiB stays in L1 */
    SLICE_BYTES = 4 * SLICE,
    PANEL_BYTES = 4 * RUNG_PANEL,
};

/* slice[k4][16][4] = 16 columns of a panel, which points to the first of them. */
static void copy_slice(const int8_t *panel, size_t k4, int8_t *slice)
{
    for (size_t k = 0; k < k4; k++) {
        memcpy(slice + k * SLICE_BYTES, panel + k * PANEL_BYTES, SLICE_BYTES);
    }
}

/* The part of a panel that one call multiplies: 16 columns, k4 fours. */
typedef struct panel_slice {
    const int8_t *from; /* panel[k4][64][4], at the first column */
    const int8_t *next; /* to be brought into L2 meanwhile */
    size_t k4;
    const int32_t *start; /* [16] */
    bool add;
} panel_slice;

/* sums[rows][64] of the slice's 16 columns. Rows of one tile read the panel, where a copy would not be used again. */
static void multiply_slice(const panel_slice *slice, const uint8_t *q, size_t stride, size_t rows, int32_t *sums)
{
    _Alignas(64) int8_t copy[S8_BLOCK_K / 4 * SLICE_BYTES];
    const int8_t *weights = slice->from;
    size_t weights_stride = PANEL_BYTES;
    if (rows > VNNI_TILE_ROWS) {
        copy_slice(slice->from, slice->k4, copy);
        weights = copy;
        weights_stride = SLICE_BYTES;
    }
    for (size_t r = 0; r < rows;) {
        size_t tile_rows = next_tile_rows(rows - r, VNNI_TILE_ROWS);
        ask_for_slice(slice->next, slice->k4 * r / rows, slice->k4 * (r + tile_rows) / rows);
        tiles_vnni[tile_rows - 1](q + r * stride, stride, weights, weights_stride, slice->k4, slice->start, slice->add,
                                  sums + r * RUNG_PANEL, RUNG_PANEL);
        r += tile_rows;
    }
}

/* sums[rows][64] of the panel at column0. */
static void multiply_panel(const rung_linear_s8 *w, size_t column0, const uint8_t *q, size_t rows, int32_t *sums)
{
    size_t all_k4 = (w->in_features + 3) / 4;
    size_t columns = min_size(w->out_features - column0, RUNG_PANEL);
    size_t block = equal_blocks(all_k4, S8_BLOCK_K / 4, 1);
    const int8_t *panel = w->panels + column0 * 4 * all_k4;
    _Alignas(64) int32_t start[RUNG_PANEL];
    for (size_t c = 0; c < RUNG_PANEL; c++) {
        start[c] = -128 * w->column_sums[column0 + c];
    }
    for (size_t k4 = 0; k4 < all_k4; k4 += block) {
        size_t after = min_size(k4 + block, all_k4);
        bool last = after == all_k4 && column0 + RUNG_PANEL >= w->out_features;
        for (size_t c = 0; c < columns; c += SLICE) {
            const int8_t *from = panel + k4 * PANEL_BYTES + SLICE_BYTES * (c / SLICE);
            const int8_t *next = last ? from : panel + after * PANEL_BYTES;
            panel_slice slice = {.from = from,
                                 .next = c + SLICE < columns ? from + SLICE_BYTES : next,
                                 .k4 = after - k4,
                                 .start = start + c,
                                 .add = k4 > 0};
            multiply_slice(&slice, q + 4 * k4, rung_q8_stride(w->in_features), rows, sums + c);
        }
    }
}

static void linear_s8(const rung_linear_s8 *w, rung_q8 x, size_t m, rung_epilogue epilogue, const float *residual,
                      float *y, size_t y_stride)
{
    _Alignas(64) int32_t sums[S8_BLOCK_ROWS * RUNG_PANEL];
    size_t block = m > 0 ? equal_blocks(m, S8_BLOCK_ROWS, VNNI_TILE_ROWS) : 0;
    for (size_t row0 = 0; row0 < m; row0 += block) {
        size_t rows = min_size(m - row0, block);
        for (size_t column0 = 0; column0 < w->out_features; column0 += RUNG_PANEL) {
            multiply_panel(w, column0, x.data + row0 * rung_q8_stride(w->in_features), rows, sums);
            size_t at = row0 * y_stride + column0;
            rung_avx2_sums output = {.sums = sums,
                                     .sums_stride = RUNG_PANEL,
                                     .row_scales = x.scales + row0,
                                     .scales = w->scales + column0,
                                     .bias = w->bias + column0,
                                     .residual = epilogue == RUNG_EPILOGUE_RESIDUAL ? residual + at : NULL,
                                     .y = y + at,
                                     .y_stride = y_stride,
                                     .rows = rows,
                                     .columns = min_size(w->out_features - column0, RUNG_PANEL)};
            rung_avx2_finish_sums(&output, epilogue);
        }
    }
}

static size_t attention_scratch_bytes(size_t seq_len, size_t head_size)
{
    size_t bytes_f32 = rung_avx2_attention_scratch_bytes(seq_len, head_size);
    size_t bytes_s8 = rung_avxvnni_attention_s8_scratch_bytes(seq_len, head_size);
    return bytes_f32 > bytes_s8 ? bytes_f32 : bytes_s8;
}

enum { PEAK_SUMS = 12 };

static double peak_s8(size_t rounds)
{
    __m256i sums[PEAK_SUMS];
    __m256i a = _mm256_set1_epi8(1);
    UNROLL
    for (size_t i = 0; i < PEAK_SUMS; i++) {
        sums[i] = _mm256_setzero_si256();
    }
    for (size_t round = 0; round < rounds; round++) {
        UNROLL
        for (size_t i = 0; i < PEAK_SUMS; i++) {
            DOT_VNNI(sums[i], a, a);
        }
    }
    UNROLL
    for (size_t i = 0; i < PEAK_SUMS; i++) {
        __asm__ volatile("" : : "x"(sums[i]));
    }
    return 64.0 * PEAK_SUMS * (double)rounds;
}

const rung_kernels rung_kernels_avxvnni = {
    .name = "avxvnni",
    .quantize_rows = rung_avx2_quantize_rows,
    .linear_s8 = linear_s8,
    .linear_f32 = rung_avx2_linear_f32,
    .layer_norm = rung_avx2_layer_norm,
    .attention = rung_avx2_attention,
    .attention_s8 = rung_avxvnni_attention_s8,
    .attention_scratch_bytes = attention_scratch_bytes,
    .tanh = rung_avx2_tanh,
    .peak_s8 = peak_s8,
    .peak_f32 = rung_avx2_peak_f32,
};
