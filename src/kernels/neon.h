/* neon.h: what the three tables for arm64 share. All of them run the same functions on floats (neon_f32.c), which every
 * ARMv8.0 processor can; they differ in how they multiply int8, which is a set of tiles: neon.c (smull, smlal),
 * neon_dotprod.c (sdot) and neon_i8mm.c (smmla). Tiles multiply rows of q with a slice: 16 columns of a panel, in an
 * order that suits the instruction, so that a block of k is contiguous and stays in L1. What goes around the tiles is in
 * neon_s8.c and neon_attention_s8.c. Included by these files only. */
#ifndef RUNG_KERNELS_NEON_H
#define RUNG_KERNELS_NEON_H

#include "kernels/kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* Inlined into its caller, a tile loses registers to it. */
#define NEVER_INLINE static __attribute__((noinline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
/* clang would otherwise unroll the loop over k and spill. */
#define KEEP_LOOP _Pragma("clang loop vectorize(disable) unroll(disable)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define KEEP_LOOP
#endif

enum {
    SLICE = 16,                   /* columns */
    STEP_K = 16,                  /* a tile advances by 16 k: four lines of a panel */
    STEP_BYTES = SLICE * STEP_K,  /* of a slice */
    LINE_BYTES = 4 * RUNG_PANEL,  /* of a panel, for four k */
    SLICE_LINE_BYTES = 4 * SLICE, /* of a slice, for four k */
};

/* out[rows][16] (+)= a[rows][16 steps] b[16 steps][16] in int32, modulo 2^32. a is as pack_rows of the set left it; k
 * past the end of either operand is 0 in b. */
typedef void rung_neon_tile_s8(const uint8_t *a, size_t a_stride, const int8_t *b, size_t steps, bool add, int32_t *out,
                               size_t out_stride);

typedef struct rung_neon_s8 {
    size_t tile_rows;    /* the most rows of a tile */
    size_t row_multiple; /* tiles start at multiples of this many rows, and write that many: out must have room */
    rung_neon_tile_s8 *const *tiles; /* [tile_rows]: by rows - 1 */
    /* slice[steps][256] = 16 columns of four k a line, as in a panel: lines are [16][4], line_bytes apart. Lines past k4
     * become 0. */
    void (*pack_slice)(const int8_t *lines, size_t line_bytes, size_t k4, int8_t *slice);
    /* packed[round_up(rows, 2)][k] = rows of q, k a multiple of 16. NULL when tiles read q as it is. */
    void (*pack_rows)(const uint8_t *q, size_t stride, size_t rows, size_t k, uint8_t *packed);
} rung_neon_s8;

/* What sums of products become: rows x columns of y. scales is NULL in fp32, where sums are floats. */
typedef struct rung_neon_sums {
    const void *sums; /* [rows] of int32 or float, sums_stride apart, readable up to a multiple of 16 columns */
    size_t sums_stride;
    const float *row_scales; /* [rows] */
    const float *scales;     /* [round_up(columns, 16)] */
    const float *bias;       /* [round_up(columns, 16)] */
    const float *residual;   /* [rows], y_stride apart */
    float *y;
    size_t y_stride;
    size_t rows;
    size_t columns;
} rung_neon_sums;

/* neon_f32.c: the functions of kernels.h, and the end of a product. */
void rung_neon_quantize_rows(const float *x, size_t x_stride, size_t m, size_t k, rung_q8 out);
void rung_neon_linear_f32(const rung_linear_f32 *w, const float *x, size_t x_stride, size_t m, rung_epilogue epilogue,
                          const float *residual, float *y, size_t y_stride);
void rung_neon_layer_norm(const float *x, size_t stride, size_t m, size_t n, const float *gamma, const float *beta,
                          float eps, float *y, const rung_q8 *out);
void rung_neon_attention(const rung_attention *attention);
size_t rung_neon_attention_scratch_bytes(size_t seq_len, size_t head_size);
void rung_neon_tanh(const float *x, size_t n, float *y);
double rung_neon_peak_f32(size_t rounds);
void rung_neon_finish_sums(const rung_neon_sums *sums, rung_epilogue epilogue);

/* neon_s8.c: linear_s8 of kernels.h with the tiles of a set, and the product with one slice by itself:
 * out[rows][16] (+)= a[rows][16 steps] slice[16 steps][16]; out has room for rows of the set's multiple. */
void rung_neon_linear_s8(const rung_neon_s8 *set, const rung_linear_s8 *w, rung_q8 x, size_t m, rung_epilogue epilogue,
                         const float *residual, float *y, size_t y_stride);
void rung_neon_multiply_s8(const rung_neon_s8 *set, const uint8_t *a, size_t a_stride, size_t rows, const int8_t *slice,
                           size_t steps, bool add, int32_t *out, size_t out_stride);

/* neon_attention_s8.c: attention_s8 of kernels.h with the tiles of a set. */
void rung_neon_attention_s8(const rung_neon_s8 *set, const rung_attention *attention);
size_t rung_neon_attention_s8_scratch_bytes(size_t seq_len, size_t head_size);

static inline size_t rung_neon_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t rung_neon_round_up(size_t n, size_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* How many of `left` rows to take next: the last two tiles share what is left, since a tile of one or two rows waits
 * for latency and loads. */
static inline size_t rung_neon_tile_rows(size_t left, size_t most, size_t multiple)
{
    if (left <= most) {
        return left;
    }
    return left < 2 * most ? rung_neon_round_up((left + 1) / 2, multiple) : most;
}

#endif
