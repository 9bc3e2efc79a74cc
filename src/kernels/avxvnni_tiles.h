/* avxvnni_tiles.h: the register tiles of the AVX-VNNI table: 6 rows x 16 columns in 12 accumulators of 8 lanes, which with
 * two vectors of weights and one of activations leave one of the 16 registers free. Included by the files of that table
 * only. Inline assembly for the reasons of avx2_tiles.h. */
#ifndef RUNG_KERNELS_AVXVNNI_TILES_H
#define RUNG_KERNELS_AVXVNNI_TILES_H

#include "kernels/avx2_tiles.h"

#include <string.h>

/* sum += a * b in 8 lanes; a unsigned and b signed bytes, four a lane. Tests build a table of another name for machines
 * that lack the instruction. */
#ifdef RUNG_EMULATE_VNNI
ALWAYS_INLINE __m256i dot_vnni(__m256i sum, __m256i a, __m256i b)
{
    __m256i even = _mm256_madd_epi16(_mm256_and_si256(a, _mm256_set1_epi16(255)), first_pairs(b));
    __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(a, 8), second_pairs(b));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}
#define DOT_VNNI(sum, a, b) ((sum) = dot_vnni(sum, a, b))
#else
#define DOT_VNNI(sum, a, b) __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b))
#endif

enum { VNNI_TILE_ROWS = 6 };

/* out[rows][16] = (add ? out : start[16]) + a[rows][4 k4] b[k4][16][4]; strides: bytes of a, bytes of b from four k to
 * the next, ints of out. */
ALWAYS_INLINE void tile_vnni_body(size_t rows, const uint8_t *a, size_t a_stride, const int8_t *b, size_t b_stride,
                                  size_t k4, const int32_t *start, _Bool add, int32_t *out, size_t out_stride)
{
    __m256i sums[VNNI_TILE_ROWS][2];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        const int32_t *from = add ? out + r * out_stride : start;
        sums[r][0] = load_s32(from);
        sums[r][1] = load_s32(from + 8);
    }
    KEEP_LOOP
    for (size_t k = 0; k < k4; k++) {
        __m256i weights_0 = _mm256_loadu_si256((const __m256i *)(const void *)(b + k * b_stride));
        __m256i weights_1 = _mm256_loadu_si256((const __m256i *)(const void *)(b + k * b_stride + 32));
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            int32_t four;
            memcpy(&four, a + r * a_stride + 4 * k, sizeof four);
            __m256i x = _mm256_set1_epi32(four);
            DOT_VNNI(sums[r][0], x, weights_0);
            DOT_VNNI(sums[r][1], x, weights_1);
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        store_s32(out + r * out_stride, sums[r][0]);
        store_s32(out + r * out_stride + 8, sums[r][1]);
    }
}

typedef void tile_vnni_function(const uint8_t *a, size_t a_stride, const int8_t *b, size_t b_stride, size_t k4,
                                const int32_t *start, _Bool add, int32_t *out, size_t out_stride);

#define TILE_VNNI(rows)                                                                                                \
    NEVER_INLINE void tile_vnni_##rows(const uint8_t *a, size_t a_stride, const int8_t *b, size_t b_stride, size_t k4, \
                                       const int32_t *start, _Bool add, int32_t *out, size_t out_stride)               \
    {                                                                                                                  \
        tile_vnni_body(rows, a, a_stride, b, b_stride, k4, start, add, out, out_stride);                               \
    }

FOR_ROWS_1_TO_4(TILE_VNNI)
FOR_ROWS_5_TO_6(TILE_VNNI)

#define NAME_VNNI(rows) tile_vnni_##rows,

/* [rows - 1] */
static tile_vnni_function *const tiles_vnni[VNNI_TILE_ROWS] = {FOR_ROWS_1_TO_4(NAME_VNNI) FOR_ROWS_5_TO_6(NAME_VNNI)};

#endif
