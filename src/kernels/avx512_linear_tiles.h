/* avx512_linear_tiles.h: the int8 tiles of linear layers: multiplied, scaled and finished without leaving registers.
 * Included by avx512.c only. Formulas: linear_s8 in kernels.h. */
#ifndef RUNG_KERNELS_AVX512_LINEAR_TILES_H
#define RUNG_KERNELS_AVX512_LINEAR_TILES_H

#include "kernels/avx512_math.h"
#include "kernels/avx512_rows.h"
#include "kernels/avx512_tiles.h"

#include <stdbool.h>

/* Rows x columns of y from a tile; rows and vectors are the function's. */
typedef struct tile_s8 {
    const uint8_t *a; /* [rows] of q + 128, a_stride apart */
    size_t a_stride;
    const int8_t *panel; /* [k4][64][4] */
    size_t k4;
    const int8_t *next; /* see multiply_s8 */
    size_t ahead_bytes;
    const int32_t *start;    /* [64] */
    const float *row_scales; /* [rows] */
    const float *scales;     /* [64] */
    const float *bias;       /* [64] */
    const float *residual;   /* [rows], y_stride apart; may be y */
    float *y;
    size_t y_stride;
    size_t columns; /* of the last vector only some may belong to y */
    rung_epilogue epilogue;
} tile_s8;

/* residual is looked at for RUNG_EPILOGUE_RESIDUAL only. */
ALWAYS_INLINE __m512 finish_lanes(__m512 z, rung_epilogue epilogue, __m512 residual)
{
    switch (epilogue) {
    case RUNG_EPILOGUE_GELU:
        return v_geluf(z);
    case RUNG_EPILOGUE_GELU_COARSE:
        return v_gelu_coarsef(z);
    case RUNG_EPILOGUE_RELU:
        return _mm512_max_ps(_mm512_setzero_ps(), z);
    case RUNG_EPILOGUE_RESIDUAL:
        return _mm512_add_ps(z, residual);
    case RUNG_EPILOGUE_NONE:
        break;
    }
    return z;
}

/* 16 columns of a tile; whole: all of them are y's. */
ALWAYS_INLINE void finish_vector(size_t rows, size_t v, bool whole, __m512i sums[S8_TILE_ROWS][4], const tile_s8 *t,
                                 rung_epilogue epilogue)
{
    size_t n = whole ? 16 : t->columns - 16 * v;
    __m512 scales = _mm512_loadu_ps(t->scales + 16 * v);
    __m512 bias = _mm512_loadu_ps(t->bias + 16 * v);
    const float *residual = t->residual;
    float *y = t->y + 16 * v;
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        __m512 scale = _mm512_mul_ps(_mm512_set1_ps(t->row_scales[r]), scales);
        __m512 z = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[r][v]), scale, bias);
        __m512 other = z;
        if (epilogue == RUNG_EPILOGUE_RESIDUAL) {
            other = load_lanes(residual + r * t->y_stride + 16 * v, n);
        }
        store_lanes(y, n, finish_lanes(z, epilogue, other));
        y += t->y_stride;
    }
}

ALWAYS_INLINE void finish_sums(size_t rows, size_t vectors, __m512i sums[S8_TILE_ROWS][4], const tile_s8 *t,
                               rung_epilogue epilogue)
{
    UNROLL
    for (size_t v = 0; v + 1 < vectors; v++) {
        finish_vector(rows, v, true, sums, t, epilogue);
    }
    if (t->columns >= 16 * vectors) {
        finish_vector(rows, vectors - 1, true, sums, t, epilogue);
    } else {
        finish_vector(rows, vectors - 1, false, sums, t, epilogue);
    }
}

/* What encoders do not ask for in int8, or seldom, is done in place and not once more in every tile. */
static void apply_in_place(const tile_s8 *t, size_t rows)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < t->columns; c += 16) {
            float *at = t->y + r * t->y_stride + c;
            __m512 z = load_lanes(at, t->columns - c);
            store_lanes(at, t->columns - c, finish_lanes(z, t->epilogue, z));
        }
    }
}

ALWAYS_INLINE void tile_s8_body(size_t rows, size_t vectors, const tile_s8 *t)
{
    __m512i sums[S8_TILE_ROWS][4];
    multiply_s8(rows, vectors, t->a, t->a_stride, t->panel, t->k4, t->next, t->ahead_bytes, t->start, sums);
    switch (t->epilogue) {
    case RUNG_EPILOGUE_NONE:
        finish_sums(rows, vectors, sums, t, RUNG_EPILOGUE_NONE);
        break;
    case RUNG_EPILOGUE_GELU_COARSE:
        finish_sums(rows, vectors, sums, t, RUNG_EPILOGUE_GELU_COARSE);
        break;
    case RUNG_EPILOGUE_RESIDUAL:
        finish_sums(rows, vectors, sums, t, RUNG_EPILOGUE_RESIDUAL);
        break;
    case RUNG_EPILOGUE_GELU:
    case RUNG_EPILOGUE_RELU:
        finish_sums(rows, vectors, sums, t, RUNG_EPILOGUE_NONE);
        apply_in_place(t, rows);
        break;
    }
}

typedef void tile_s8_function(const tile_s8 *tile);

#define TILE_S8(rows, vectors)                                                                                         \
    static void tile_s8_##rows##_##vectors(const tile_s8 *tile)                                                        \
    {                                                                                                                  \
        tile_s8_body(rows, vectors, tile);                                                                             \
    }
#define NAME_S8(rows, vectors) tile_s8_##rows##_##vectors,

FOR_ROWS_1_TO_6(TILE_S8, 1)
FOR_ROWS_1_TO_6(TILE_S8, 2)
FOR_ROWS_1_TO_6(TILE_S8, 3)
FOR_ROWS_1_TO_6(TILE_S8, 4)

/* [vectors - 1][rows - 1] */
static tile_s8_function *const tiles_s8[4][S8_TILE_ROWS] = {
    {FOR_ROWS_1_TO_6(NAME_S8, 1)},
    {FOR_ROWS_1_TO_6(NAME_S8, 2)},
    {FOR_ROWS_1_TO_6(NAME_S8, 3)},
    {FOR_ROWS_1_TO_6(NAME_S8, 4)},
};

#endif
