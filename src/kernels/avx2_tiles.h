/* avx2_tiles.h: the register tiles of avx2.c: rows x 16 columns in accumulators of 8 lanes, multiplied over a block of k
 * and stored; what follows a product is done by the caller. The right operand is a slice: 16 columns of a panel, copied
 * so that a block of k is contiguous and stays in L1. Included by the files of the AVX2 table only.
 *
 * int8 is multiplied as int16, two products at once: a0 w0 + a1 w1 = (a0 + w1) (a1 + w0) - a0 a1 - w0 w1, where the last
 * two terms are summed once a row and once a column. All of it is exact modulo 2^32. So four k of 8 columns take two
 * additions, vpmaddwd and one addition, half of the multiplications of the plain product: these are what ports are
 * short of (Zen 3: 203 against 162 GOP/s; vpsignb with vpmaddubsw: 164).
 *
 * Inline assembly because compilers otherwise keep more products than there are registers. Every loop over accumulators
 * must be unrolled for them to be registers. Source: Winograd, A New Algorithm for Inner Product, 1968. */
#ifndef RUNG_KERNELS_AVX2_TILES_H
#define RUNG_KERNELS_AVX2_TILES_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* Inlined into its caller, a tile loses registers to it. */
#define NEVER_INLINE static __attribute__((noinline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
/* clang would otherwise unroll the loop over k, or vectorise it, and spill. */
#define KEEP_LOOP _Pragma("clang loop vectorize(disable) unroll(disable)")
#else
#define UNROLL _Pragma("GCC unroll 12")
#define KEEP_LOOP
#endif

/* sums += (first_a + second_b) * (second_a + first_b) in 8 lanes of two vectors, two 16-bit products a lane; overwrites
 * first_a and second_a. */
#define DOT_S16(sum_0, sum_1, first_a, second_a, first_0, first_1, second_0, second_1)                                 \
    do {                                                                                                               \
        __m256i left_, right_;                                                                                         \
        __asm__("vpaddw %8, %4, %2\n\tvpaddw %6, %5, %3\n\tvpaddw %9, %4, %4\n\tvpaddw %7, %5, %5\n\t"                 \
                "vpmaddwd %3, %2, %2\n\tvpmaddwd %5, %4, %4\n\tvpaddd %2, %0, %0\n\tvpaddd %4, %1, %1"                 \
                : "+x"(sum_0), "+x"(sum_1), "=&x"(left_), "=&x"(right_), "+x"(first_a), "+x"(second_a)                 \
                : "x"(first_0), "x"(first_1), "x"(second_0), "x"(second_1));                                           \
    } while (0)
/* sums += (q + 128) * weights in 8 lanes of two vectors, four products a lane of which no pair leaves 16 bits; overwrites
 * inputs. */
#define DOT_U8(sum_0, sum_1, inputs, weights_0, weights_1, ones)                                                       \
    do {                                                                                                               \
        __m256i product_;                                                                                              \
        __asm__("vpmaddubsw %4, %2, %3\n\tvpmaddubsw %5, %2, %2\n\tvpmaddwd %6, %3, %3\n\tvpmaddwd %6, %2, %2\n\t"     \
                "vpaddd %3, %0, %0\n\tvpaddd %2, %1, %1"                                                               \
                : "+x"(sum_0), "+x"(sum_1), "+x"(inputs), "=&x"(product_)                                              \
                : "x"(weights_0), "x"(weights_1), "x"(ones));                                                          \
    } while (0)
/* sums += q * weights, likewise, for any q and weights: the sizes of the weights, which may be 128, times q with their
 * signs. */
#define DOT_S8(sum_0, sum_1, inputs, weights_0, weights_1, sizes_0, sizes_1, ones)                                     \
    do {                                                                                                               \
        __m256i product_;                                                                                              \
        __asm__("vpsignb %4, %2, %3\n\tvpsignb %5, %2, %2\n\tvpmaddubsw %3, %6, %3\n\tvpmaddubsw %2, %7, %2\n\t"       \
                "vpmaddwd %8, %3, %3\n\tvpmaddwd %8, %2, %2\n\tvpaddd %3, %0, %0\n\tvpaddd %2, %1, %1"                 \
                : "+x"(sum_0), "+x"(sum_1), "+x"(inputs), "=&x"(product_)                                              \
                : "x"(weights_0), "x"(weights_1), "x"(sizes_0), "x"(sizes_1), "x"(ones));                              \
    } while (0)
#define MULTIPLY_ADD(sum, a, b) __asm__("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b))

enum {
    S8_TILE_ROWS = 4,
    S16_TILE_ROWS = 4,
    F32_TILE_ROWS = 6,
    SLICE = 16,          /* columns */
    K4_INTS = 2 * SLICE, /* 32-bit pairs of a slice in four k */
};

ALWAYS_INLINE __m256i load_s32(const int32_t *from)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

ALWAYS_INLINE void store_s32(int32_t *to, __m256i x)
{
    _mm256_storeu_si256((__m256i *)(void *)to, x);
}

/* Of every four bytes, the first and the third, or the second and the fourth, as int16. */
ALWAYS_INLINE __m256i first_pairs(__m256i bytes)
{
    return _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8);
}

ALWAYS_INLINE __m256i second_pairs(__m256i bytes)
{
    return _mm256_srai_epi16(bytes, 8);
}

ALWAYS_INLINE __m256i load_bytes(const int8_t *from)
{
    return _mm256_load_si256((const __m256i *)(const void *)from);
}

/* The four bytes of a row at an offset, in each lane. */
ALWAYS_INLINE __m256i broadcast_four(const uint8_t *from)
{
    int32_t four;
    memcpy(&four, from, sizeof four);
    return _mm256_set1_epi32(four);
}

/* out[rows][16] (+)= terms[16] + a b over fours[n] of k: a[rows] holds q + 128, of which the four at offsets[i] belongs to
 * b[i][16][4]. No pair of products may leave 16 bits. Each step also asks for a line of `ahead`, ahead_step bytes further on every
 * time: the tiles of a slice together bring what is multiplied later into L2. */
ALWAYS_INLINE void tile_u8_body(size_t rows, const uint8_t *a, size_t a_stride, const uint32_t *offsets,
                                const int8_t *b, size_t n, const int32_t *terms, _Bool add, int32_t *out,
                                size_t out_stride, const int8_t *ahead, size_t ahead_step)
{
    __m256i sums[S8_TILE_ROWS][2];
    __m256i ones = _mm256_set1_epi16(1);
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < 2; v++) {
            sums[r][v] = load_s32(terms + 8 * v);
            if (add) {
                sums[r][v] = _mm256_add_epi32(sums[r][v], load_s32(out + r * out_stride + 8 * v));
            }
        }
    }
    KEEP_LOOP
    for (size_t i = 0; i < n; i++) {
        _mm_prefetch((const char *)ahead, _MM_HINT_T1);
        ahead += ahead_step;
        const uint8_t *four = a + offsets[i];
        __m256i weights_0 = load_bytes(b + i * 4 * SLICE);
        __m256i weights_1 = load_bytes(b + i * 4 * SLICE + 32);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            __m256i inputs = broadcast_four(four + r * a_stride);
            DOT_U8(sums[r][0], sums[r][1], inputs, weights_0, weights_1, ones);
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        store_s32(out + r * out_stride, sums[r][0]);
        store_s32(out + r * out_stride + 8, sums[r][1]);
    }
}

/* out[rows][16] += q b likewise, for any q. */
ALWAYS_INLINE void tile_s8_body(size_t rows, const uint8_t *a, size_t a_stride, const uint32_t *offsets,
                                const int8_t *b, size_t n, int32_t *out, size_t out_stride)
{
    __m256i sums[S8_TILE_ROWS][2];
    __m256i ones = _mm256_set1_epi16(1);
    __m256i flip = _mm256_set1_epi8(INT8_MIN);
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        sums[r][0] = load_s32(out + r * out_stride);
        sums[r][1] = load_s32(out + r * out_stride + 8);
    }
    KEEP_LOOP
    for (size_t i = 0; i < n; i++) {
        const uint8_t *four = a + offsets[i];
        __m256i weights_0 = load_bytes(b + i * 4 * SLICE);
        __m256i weights_1 = load_bytes(b + i * 4 * SLICE + 32);
        __m256i sizes_0 = _mm256_abs_epi8(weights_0);
        __m256i sizes_1 = _mm256_abs_epi8(weights_1);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            __m256i inputs = _mm256_xor_si256(broadcast_four(four + r * a_stride), flip);
            DOT_S8(sums[r][0], sums[r][1], inputs, weights_0, weights_1, sizes_0, sizes_1, ones);
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        store_s32(out + r * out_stride, sums[r][0]);
        store_s32(out + r * out_stride + 8, sums[r][1]);
    }
}

/* out[rows][16] (+)= a[rows][4 k4] b[k4][2][16]; a is [k4][2] a row, strides in pairs. a_terms: [rows] and b_terms: [16]
 * are the sums to subtract. */
ALWAYS_INLINE void tile_s16_body(size_t rows, const int32_t *a, size_t a_stride, const int32_t *a_terms,
                                 const int32_t *b, const int32_t *b_terms, size_t k4, _Bool add, int32_t *out,
                                 size_t out_stride)
{
    __m256i sums[S16_TILE_ROWS][2];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        sums[r][0] = _mm256_setzero_si256();
        sums[r][1] = _mm256_setzero_si256();
    }
    KEEP_LOOP
    for (size_t k = 0; k < k4; k++) {
        __m256i first_0 = load_s32(b + k * K4_INTS);
        __m256i first_1 = load_s32(b + k * K4_INTS + 8);
        __m256i second_0 = load_s32(b + k * K4_INTS + SLICE);
        __m256i second_1 = load_s32(b + k * K4_INTS + SLICE + 8);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            __m256i first_a = _mm256_set1_epi32(a[r * a_stride + 2 * k]);
            __m256i second_a = _mm256_set1_epi32(a[r * a_stride + 2 * k + 1]);
            DOT_S16(sums[r][0], sums[r][1], first_a, second_a, first_0, first_1, second_0, second_1);
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < 2; v++) {
            int32_t *to = out + r * out_stride + 8 * v;
            __m256i terms = _mm256_add_epi32(_mm256_set1_epi32(a_terms[r]), load_s32(b_terms + 8 * v));
            __m256i sum = _mm256_sub_epi32(sums[r][v], terms);
            store_s32(to, add ? _mm256_add_epi32(sum, load_s32(to)) : sum);
        }
    }
}

/* out[rows][16] (+)= a[rows][k] b[k][16], one fused step per k in order. ahead as in tile_u8_body. */
ALWAYS_INLINE void tile_f32_body(size_t rows, const float *a, size_t a_stride, const float *b, size_t k, _Bool add,
                                 float *out, size_t out_stride, const char *ahead, size_t ahead_step)
{
    __m256 sums[F32_TILE_ROWS][2];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < 2; v++) {
            sums[r][v] = add ? _mm256_loadu_ps(out + r * out_stride + 8 * v) : _mm256_setzero_ps();
        }
    }
    KEEP_LOOP
    for (size_t i = 0; i < k; i++) {
        _mm_prefetch(ahead, _MM_HINT_T1);
        ahead += ahead_step;
        __m256 weights_0 = _mm256_load_ps(b + i * SLICE);
        __m256 weights_1 = _mm256_load_ps(b + i * SLICE + 8);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            __m256 x = _mm256_set1_ps(a[r * a_stride + i]);
            MULTIPLY_ADD(sums[r][0], x, weights_0);
            MULTIPLY_ADD(sums[r][1], x, weights_1);
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < 2; v++) {
            _mm256_storeu_ps(out + r * out_stride + 8 * v, sums[r][v]);
        }
    }
}

/* Asks for the lines from `first` to `end` of 16 columns of a panel, int8 or fp32: both are 256 bytes apart. */
static inline void ask_for_slice(const void *slice, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        _mm_prefetch((const char *)slice + i * 4 * RUNG_PANEL, _MM_HINT_T1);
    }
}

typedef void tile_u8_function(const uint8_t *a, size_t a_stride, const uint32_t *offsets, const int8_t *b, size_t n,
                              const int32_t *terms, _Bool add, int32_t *out, size_t out_stride, const int8_t *ahead,
                              size_t ahead_step);
typedef void tile_s8_function(const uint8_t *a, size_t a_stride, const uint32_t *offsets, const int8_t *b, size_t n,
                              int32_t *out, size_t out_stride);
typedef void tile_s16_function(const int32_t *a, size_t a_stride, const int32_t *a_terms, const int32_t *b,
                               const int32_t *b_terms, size_t k4, _Bool add, int32_t *out, size_t out_stride);
typedef void tile_f32_function(const float *a, size_t a_stride, const float *b, size_t k, _Bool add, float *out,
                               size_t out_stride, const char *ahead, size_t ahead_step);

#define TILE_U8(rows)                                                                                                  \
    NEVER_INLINE void tile_u8_##rows(const uint8_t *a, size_t a_stride, const uint32_t *offsets, const int8_t *b,      \
                                     size_t n, const int32_t *terms, _Bool add, int32_t *out, size_t out_stride,       \
                                     const int8_t *ahead, size_t ahead_step)                                           \
    {                                                                                                                  \
        tile_u8_body(rows, a, a_stride, offsets, b, n, terms, add, out, out_stride, ahead, ahead_step);                \
    }

#define TILE_S8(rows)                                                                                                  \
    NEVER_INLINE void tile_s8_##rows(const uint8_t *a, size_t a_stride, const uint32_t *offsets, const int8_t *b,      \
                                     size_t n, int32_t *out, size_t out_stride)                                        \
    {                                                                                                                  \
        tile_s8_body(rows, a, a_stride, offsets, b, n, out, out_stride);                                               \
    }

#define TILE_S16(rows)                                                                                                 \
    NEVER_INLINE void tile_s16_##rows(const int32_t *a, size_t a_stride, const int32_t *a_terms, const int32_t *b,     \
                                      const int32_t *b_terms, size_t k4, _Bool add, int32_t *out, size_t out_stride)   \
    {                                                                                                                  \
        tile_s16_body(rows, a, a_stride, a_terms, b, b_terms, k4, add, out, out_stride);                               \
    }

#define TILE_F32(rows)                                                                                                 \
    NEVER_INLINE void tile_f32_##rows(const float *a, size_t a_stride, const float *b, size_t k, _Bool add,            \
                                      float *out, size_t out_stride, const char *ahead, size_t ahead_step)             \
    {                                                                                                                  \
        tile_f32_body(rows, a, a_stride, b, k, add, out, out_stride, ahead, ahead_step);                               \
    }

#define FOR_ROWS_1_TO_4(tile) tile(1) tile(2) tile(3) tile(4)
#define FOR_ROWS_5_TO_6(tile) tile(5) tile(6)

FOR_ROWS_1_TO_4(TILE_U8)
FOR_ROWS_1_TO_4(TILE_S8)
FOR_ROWS_1_TO_4(TILE_S16)
FOR_ROWS_1_TO_4(TILE_F32)
FOR_ROWS_5_TO_6(TILE_F32)

#define NAME_U8(rows) tile_u8_##rows,
#define NAME_S8(rows) tile_s8_##rows,
#define NAME_S16(rows) tile_s16_##rows,
#define NAME_F32(rows) tile_f32_##rows,

/* [rows - 1] */
static tile_u8_function *const tiles_u8[S8_TILE_ROWS] = {FOR_ROWS_1_TO_4(NAME_U8)};
static tile_s8_function *const tiles_s8[S8_TILE_ROWS] = {FOR_ROWS_1_TO_4(NAME_S8)};
static tile_s16_function *const tiles_s16[S16_TILE_ROWS] = {FOR_ROWS_1_TO_4(NAME_S16)};
static tile_f32_function *const tiles_f32[F32_TILE_ROWS] = {FOR_ROWS_1_TO_4(NAME_F32) FOR_ROWS_5_TO_6(NAME_F32)};

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
