/* neon_s8.c: int8 layers of the tables for arm64, around the tiles of a set. Called by neon.c, neon_dotprod.c and
 * neon_i8mm.c. Must not know the instructions that multiply. */
#include "kernels/neon.h"

enum {
    BLOCK_ROWS = 96, /* rows that share a slice of weights */
    BLOCK_K = 768,   /* a slice's part of 12 KiB stays in L1 */
    COLUMNS = 128,   /* columns that share the packed rows */
};

/* The least size of equal blocks that are at most `most`; `most` is a multiple of `multiple`. */
static size_t equal_blocks(size_t n, size_t most, size_t multiple)
{
    size_t blocks = (n + most - 1) / most;
    return rung_neon_round_up((n + blocks - 1) / blocks, multiple);
}

void rung_neon_multiply_s8(const rung_neon_s8 *set, const uint8_t *a, size_t a_stride, size_t rows, const int8_t *slice,
                           size_t steps, bool add, int32_t *out, size_t out_stride)
{
    for (size_t r = 0; r < rows;) {
        size_t tile_rows = rung_neon_tile_rows(rows - r, set->tile_rows, set->row_multiple);
        set->tiles[tile_rows - 1](a + r * a_stride, a_stride, slice, steps, add, out + r * out_stride, out_stride);
        r += tile_rows;
    }
}

/* sums[rows][COLUMNS] of up to COLUMNS columns from column0 on and up to BLOCK_ROWS rows of q. `packed` stays valid for
 * the next columns when all of k is one block. */
static void multiply_columns(const rung_neon_s8 *set, const rung_linear_s8 *w, const uint8_t *q, size_t rows,
                             size_t column0, size_t columns, uint8_t *packed, int32_t *sums)
{
    _Alignas(64) int8_t slice[BLOCK_K * SLICE];
    size_t stride = rung_q8_stride(w->in_features);
    size_t all_k4 = (w->in_features + 3) / 4;
    size_t block = equal_blocks(w->in_features, BLOCK_K, STEP_K);
    for (size_t k0 = 0; k0 < w->in_features; k0 += block) {
        size_t k = rung_neon_min(rung_neon_round_up(w->in_features - k0, STEP_K), block);
        size_t k4 = rung_neon_min(all_k4 - k0 / 4, k / 4);
        if (set->pack_rows != NULL && (column0 == 0 || block < w->in_features)) {
            set->pack_rows(q + k0, stride, rows, k, packed);
        }
        const uint8_t *a = set->pack_rows != NULL ? packed : q + k0;
        for (size_t c = 0; c < columns; c += SLICE) {
            size_t panel = (column0 + c) / RUNG_PANEL;
            const int8_t *from = w->panels + (panel * all_k4 + k0 / 4) * LINE_BYTES + 4 * ((column0 + c) % RUNG_PANEL);
            set->pack_slice(from, LINE_BYTES, k4, slice);
            rung_neon_multiply_s8(set, a, set->pack_rows != NULL ? k : stride, rows, slice, k / STEP_K, k0 > 0,
                                  sums + c, COLUMNS);
        }
    }
}

void rung_neon_linear_s8(const rung_neon_s8 *set, const rung_linear_s8 *w, rung_q8 x, size_t m, rung_epilogue epilogue,
                         const float *residual, float *y, size_t y_stride)
{
    _Alignas(64) uint8_t packed[BLOCK_ROWS * BLOCK_K];
    _Alignas(64) int32_t sums[BLOCK_ROWS * COLUMNS];
    for (size_t row0 = 0; row0 < m; row0 += BLOCK_ROWS) {
        size_t rows = rung_neon_min(m - row0, BLOCK_ROWS);
        const uint8_t *q = x.data + row0 * rung_q8_stride(w->in_features);
        for (size_t column0 = 0; column0 < w->out_features; column0 += COLUMNS) {
            size_t columns = rung_neon_min(w->out_features - column0, COLUMNS);
            multiply_columns(set, w, q, rows, column0, columns, packed, sums);
            size_t at = row0 * y_stride + column0;
            rung_neon_sums output = {.sums = sums,
                                     .sums_stride = COLUMNS,
                                     .row_scales = x.scales + row0,
                                     .scales = w->scales + column0,
                                     .bias = w->bias + column0,
                                     .residual = epilogue == RUNG_EPILOGUE_RESIDUAL ? residual + at : NULL,
                                     .y = y + at,
                                     .y_stride = y_stride,
                                     .rows = rows,
                                     .columns = columns};
            rung_neon_finish_sums(&output, epilogue);
        }
    }
}
