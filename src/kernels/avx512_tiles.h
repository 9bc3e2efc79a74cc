/* avx512_tiles.h: the register tiles of the AVX-512 table: up to 24 accumulators of 16 lanes, rows x vectors, multiplied
 * over all of k. Included by the files of that table only. Inline assembly because gcc 12 copies accumulators to the
 * stack around the intrinsics: half the speed. Every loop over accumulators must be unrolled for them to be registers. */
#ifndef RUNG_KERNELS_AVX512_TILES_H
#define RUNG_KERNELS_AVX512_TILES_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
/* clang would otherwise unroll the loop over k, or vectorise it, and spill. */
#define KEEP_LOOP _Pragma("clang loop vectorize(disable) unroll(disable)")
#else
#define UNROLL _Pragma("GCC unroll 24")
#define KEEP_LOOP
#endif

/* sum += a * b in 16 lanes; a unsigned and b signed bytes, four a lane. */
#define DOT_S8(sum, a, b) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b))
#define MULTIPLY_ADD(sum, a, b) __asm__("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b))

enum {
    S8_TILE_ROWS = 6,
    TILE_ROWS_MAX = 12,
};

/* sums[rows][vectors] = start[16 vectors] + a[rows][4 k4] b[k4][64 columns][4]; b is a panel of 64 columns. Each step also
 * asks for a line of `next`, or for four when one is not enough, ahead_bytes further on every time: the tiles of a panel
 * bring the next panel into L2 between them. */
ALWAYS_INLINE void multiply_s8(size_t rows, size_t vectors, const uint8_t *a, size_t a_stride, const int8_t *b,
                               size_t k4, const int8_t *next, size_t ahead_bytes, const int32_t *start,
                               __m512i sums[S8_TILE_ROWS][4])
{
    UNROLL
    for (size_t v = 0; v < vectors; v++) {
        __m512i first = _mm512_loadu_si512(start + 16 * v);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            sums[r][v] = first;
        }
    }
    KEEP_LOOP
    for (size_t k = 0; k < k4; k++) {
        __m512i weights[4];
        _mm_prefetch(next, _MM_HINT_T1);
        if (ahead_bytes > 64) {
            _mm_prefetch(next + 64, _MM_HINT_T1);
            _mm_prefetch(next + 128, _MM_HINT_T1);
            _mm_prefetch(next + 192, _MM_HINT_T1);
        }
        next += ahead_bytes;
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            weights[v] = _mm512_loadu_si512(b + 256 * k + 64 * v);
        }
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            int32_t four;
            memcpy(&four, a + r * a_stride + 4 * k, sizeof four);
            __m512i x = _mm512_set1_epi32(four);
            UNROLL
            for (size_t v = 0; v < vectors; v++) {
                DOT_S8(sums[r][v], x, weights[v]);
            }
        }
    }
}

/* out[rows][16 vectors] (+)= a[rows][k] b[k][16 vectors], one fused step per k in order. */
ALWAYS_INLINE void tile_f32_body(size_t rows, size_t vectors, const float *a, size_t a_stride, const float *b,
                                 size_t b_stride, size_t k, _Bool add, float *out, size_t out_stride)
{
    __m512 sums[TILE_ROWS_MAX][4];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            sums[r][v] = add ? _mm512_loadu_ps(out + r * out_stride + 16 * v) : _mm512_setzero_ps();
        }
    }
    KEEP_LOOP
    for (size_t i = 0; i < k; i++) {
        __m512 weights[4];
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            weights[v] = _mm512_loadu_ps(b + i * b_stride + 16 * v);
        }
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            __m512 x = _mm512_set1_ps(a[r * a_stride + i]);
            UNROLL
            for (size_t v = 0; v < vectors; v++) {
                MULTIPLY_ADD(sums[r][v], x, weights[v]);
            }
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            _mm512_storeu_ps(out + r * out_stride + 16 * v, sums[r][v]);
        }
    }
}

typedef void tile_f32_function(const float *a, size_t a_stride, const float *b, size_t b_stride, size_t k, _Bool add,
                               float *out, size_t out_stride);

#define TILE_F32(rows, vectors)                                                                                        \
    static void tile_f32_##rows##_##vectors(const float *a, size_t a_stride, const float *b, size_t b_stride,          \
                                            size_t k, _Bool add, float *out, size_t out_stride)                        \
    {                                                                                                                  \
        tile_f32_body(rows, vectors, a, a_stride, b, b_stride, k, add, out, out_stride);                               \
    }

#define FOR_ROWS_1_TO_6(tile, vectors)                                                                                 \
    tile(1, vectors) tile(2, vectors) tile(3, vectors) tile(4, vectors) tile(5, vectors) tile(6, vectors)
#define FOR_ROWS_7_TO_8(tile, vectors) tile(7, vectors) tile(8, vectors)
#define FOR_ROWS_9_TO_12(tile, vectors) tile(9, vectors) tile(10, vectors) tile(11, vectors) tile(12, vectors)

FOR_ROWS_1_TO_6(TILE_F32, 1)
FOR_ROWS_7_TO_8(TILE_F32, 1)
FOR_ROWS_9_TO_12(TILE_F32, 1)
FOR_ROWS_1_TO_6(TILE_F32, 2)
FOR_ROWS_7_TO_8(TILE_F32, 2)
FOR_ROWS_9_TO_12(TILE_F32, 2)
FOR_ROWS_1_TO_6(TILE_F32, 3)
FOR_ROWS_7_TO_8(TILE_F32, 3)
FOR_ROWS_1_TO_6(TILE_F32, 4)

#define NAME_F32(rows, vectors) tile_f32_##rows##_##vectors,

/* [vectors - 1][rows - 1] */
static tile_f32_function *const tiles_f32[4][TILE_ROWS_MAX] = {
    {FOR_ROWS_1_TO_6(NAME_F32, 1) FOR_ROWS_7_TO_8(NAME_F32, 1) FOR_ROWS_9_TO_12(NAME_F32, 1)},
    {FOR_ROWS_1_TO_6(NAME_F32, 2) FOR_ROWS_7_TO_8(NAME_F32, 2) FOR_ROWS_9_TO_12(NAME_F32, 2)},
    {FOR_ROWS_1_TO_6(NAME_F32, 3) FOR_ROWS_7_TO_8(NAME_F32, 3)},
    {FOR_ROWS_1_TO_6(NAME_F32, 4)},
};
/* The most rows of a tile of so many vectors. */
static const size_t tile_rows_f32[4] = {12, 12, 8, 6};

/* How many of `left` rows to take next: the last two tiles share what is left, since a tile of one or two rows waits
 * for latency and loads. */
static inline size_t next_tile_rows(size_t left, size_t most)
{
    if (left <= most) {
        return left;
    }
    return left < 2 * most ? (left + 1) / 2 : most;
}

#endif
