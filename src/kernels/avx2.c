/* avx2.c: the kernels for AVX2 and FMA ("avx2"). Called through the table of dispatch.c. Activations are stored as int8
 * and multiplied as int16, see avx2_tiles.h. Bits are those of ref.c: every operation and order is the one that
 * kernels.h fixes. */
#include "kernels/avx2.h"

#include "kernels/avx2_attention_s8.h"
#include "kernels/avx2_math.h"
#include "kernels/avx2_rows.h"
#include "kernels/avx2_tiles.h"
#include "kernels/tables.h"

#include <stdbool.h>
#include <string.h>

enum {
    S8_BLOCK_ROWS = 128, /* rows that share a slice of weights */
    S8_BLOCK_K = 768,    /* a slice's part of 12 KiB stays in L1 */
    S8_COLUMNS = 192,    /* columns whose sums are finished together */
    F32_BLOCK_ROWS = 132,
    F32_BLOCK_K = 256,
    QUERY_ROWS = 12, /* query rows of a head that share a pass over keys and values */
};

/* ---- Quantisation. ---- */

void rung_avx2_quantize_rows(const float *x, size_t x_stride, size_t m, size_t k, rung_q8 out)
{
    for (size_t row = 0; row < m; row++) {
        quantize_row_u8(x + row * x_stride, k, out.data + row * rung_q8_stride(k), out.scales + row);
    }
}

/* ---- What follows a product. ---- */

ALWAYS_INLINE __m256 finish_lanes(__m256 z, rung_epilogue epilogue, const float *residual, size_t n)
{
    switch (epilogue) {
    case RUNG_EPILOGUE_GELU:
        return v_geluf(z);
    case RUNG_EPILOGUE_GELU_COARSE:
        return v_gelu_coarsef(z);
    case RUNG_EPILOGUE_RELU:
        return _mm256_max_ps(_mm256_setzero_ps(), z);
    case RUNG_EPILOGUE_RESIDUAL:
        return _mm256_add_ps(z, load_lanes(residual, n));
    case RUNG_EPILOGUE_NONE:
        break;
    }
    return z;
}

ALWAYS_INLINE void store_sums(const rung_avx2_sums *s, rung_epilogue epilogue)
{
    for (size_t r = 0; r < s->rows; r++) {
        __m256 row_scale = _mm256_set1_ps(s->scales != NULL ? s->row_scales[r] : 0.0f);
        for (size_t c = 0; c < s->columns; c += 8) {
            __m256 bias = _mm256_loadu_ps(s->bias + c);
            __m256 z;
            if (s->scales != NULL) {
                const int32_t *from = (const int32_t *)s->sums + r * s->sums_stride + c;
                __m256 sums = _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)(const void *)from));
                z = _mm256_fmadd_ps(sums, _mm256_mul_ps(row_scale, _mm256_loadu_ps(s->scales + c)), bias);
            } else {
                z = _mm256_add_ps(_mm256_loadu_ps((const float *)s->sums + r * s->sums_stride + c), bias);
            }
            size_t at = r * s->y_stride + c;
            size_t n = s->columns - c;
            const float *residual = epilogue == RUNG_EPILOGUE_RESIDUAL ? s->residual + at : NULL;
            store_lanes(s->y + at, n, finish_lanes(z, epilogue, residual, n));
        }
    }
}

void rung_avx2_finish_sums(const rung_avx2_sums *sums, rung_epilogue epilogue)
{
    switch (epilogue) {
    case RUNG_EPILOGUE_NONE:
        store_sums(sums, RUNG_EPILOGUE_NONE);
        break;
    case RUNG_EPILOGUE_GELU:
        store_sums(sums, RUNG_EPILOGUE_GELU);
        break;
    case RUNG_EPILOGUE_GELU_COARSE:
        store_sums(sums, RUNG_EPILOGUE_GELU_COARSE);
        break;
    case RUNG_EPILOGUE_RELU:
        store_sums(sums, RUNG_EPILOGUE_RELU);
        break;
    case RUNG_EPILOGUE_RESIDUAL:
        store_sums(sums, RUNG_EPILOGUE_RESIDUAL);
        break;
    }
}

/* ---- Linear layers, int8. ---- */

/* A block of k of 16 columns, contiguous so that it stays in L1: the fours whose products of pairs fit into 16 bits for
 * all rows of the block, then the others. */
typedef struct slice_s8 {
    _Alignas(64)
        int8_t weights[S8_BLOCK_K / 4][4 * SLICE]; /* [fours][16][4], safe ones from the front, others from the back */
    uint32_t offsets[S8_BLOCK_K / 4];              /* the k at which each begins */
    size_t num_safe;
    size_t num_fours;
    _Alignas(32) int32_t terms[SLICE]; /* to add: products are with q + 128 for the safe fours, with q for the others */
} slice_s8;

/* The largest q + 128 at each k over the rows of a block. k is a multiple of 32. */
static void column_maxima(const uint8_t *q, size_t stride, size_t rows, size_t k, uint8_t *maxima)
{
    for (size_t i = 0; i < k; i += 32) {
        __m256i max = _mm256_setzero_si256();
        for (size_t r = 0; r < rows; r++) {
            max = _mm256_max_epu8(max, _mm256_loadu_si256((const __m256i *)(const void *)(q + r * stride + i)));
        }
        _mm256_storeu_si256((__m256i *)(void *)(maxima + i), max);
    }
}

/* Whether any pair of 8 columns may leave 16 bits with inputs up to those of `maxima`: all bits set where one may. */
ALWAYS_INLINE __m256i unsafe_pairs(__m256i weights, __m256i maxima)
{
    __m256i zero = _mm256_setzero_si256();
    __m256i most = _mm256_maddubs_epi16(maxima, _mm256_max_epi8(weights, zero));
    __m256i least = _mm256_maddubs_epi16(maxima, _mm256_min_epi8(weights, zero));
    return _mm256_or_si256(_mm256_cmpeq_epi16(most, _mm256_set1_epi16(INT16_MAX)),
                           _mm256_cmpeq_epi16(least, _mm256_set1_epi16(INT16_MIN)));
}

/* Sums of the four weights of each of 8 columns. */
ALWAYS_INLINE __m256i sum_fours(__m256i weights)
{
    return _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), weights), _mm256_set1_epi16(1));
}

/* terms = -128 * (column_sums - the sums over the fours that are not safe); column_sums [16], or NULL for 0. */
static void offset_terms(slice_s8 *slice, const int32_t *column_sums)
{
    __m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    if (column_sums != NULL) {
        sums[0] = load_s32(column_sums);
        sums[1] = load_s32(column_sums + 8);
    }
    for (size_t i = slice->num_safe; i < slice->num_fours; i++) {
        sums[0] = _mm256_sub_epi32(sums[0], sum_fours(load_bytes(slice->weights[i])));
        sums[1] = _mm256_sub_epi32(sums[1], sum_fours(load_bytes(slice->weights[i] + 32)));
    }
    store_s32(slice->terms, _mm256_slli_epi32(_mm256_sub_epi32(_mm256_setzero_si256(), sums[0]), 7));
    store_s32(slice->terms + 8, _mm256_slli_epi32(_mm256_sub_epi32(_mm256_setzero_si256(), sums[1]), 7));
}

/* Copies a block of k of 16 columns and sorts its fours; panel points to the first, maxima belong to the block. */
static void sort_slice(const int8_t *panel, size_t fours, const uint8_t *maxima, slice_s8 *slice)
{
    size_t safe = 0;
    size_t others = fours;
    for (size_t i = 0; i < fours; i++) {
        const __m256i *from = (const __m256i *)(const void *)(panel + i * 4 * RUNG_PANEL);
        __m256i low = _mm256_loadu_si256(from);
        __m256i high = _mm256_loadu_si256(from + 1);
        __m256i most = broadcast_four(maxima + 4 * i);
        __m256i unsafe = _mm256_or_si256(unsafe_pairs(low, most), unsafe_pairs(high, most));
        size_t is_safe = (size_t)_mm256_testz_si256(unsafe, unsafe);
        others -= 1 - is_safe;
        size_t at = is_safe != 0 ? safe : others;
        safe += is_safe;
        _mm256_store_si256((__m256i *)(void *)slice->weights[at], low);
        _mm256_store_si256((__m256i *)(void *)(slice->weights[at] + 32), high);
        slice->offsets[at] = (uint32_t)(4 * i);
    }
    slice->num_safe = safe;
    slice->num_fours = fours;
}

/* The weights of 16 columns from k0 on, 256 bytes apart for every four k. */
static const int8_t *slice_at(const rung_linear_s8 *w, size_t column, size_t k0)
{
    size_t panel = column / RUNG_PANEL * RUNG_PANEL;
    return w->panels + panel * round_up(w->in_features, 4) + k0 * RUNG_PANEL + 4 * (column - panel);
}

/* sums[rows][S8_COLUMNS] (+)= the product with 16 columns. Meanwhile as many bytes of `ahead` as the slice has are brought into L2. */
static void multiply_slice(const uint8_t *q, size_t stride, size_t rows, const slice_s8 *slice, bool add, int32_t *sums,
                           const int8_t *ahead)
{
    size_t safe = slice->num_safe;
    size_t others = slice->num_fours - safe;
    size_t tiles = (rows + S8_TILE_ROWS - 1) / S8_TILE_ROWS;
    for (size_t r = 0; r < rows;) {
        size_t tile_rows = next_tile_rows(rows - r, S8_TILE_ROWS);
        int32_t *out = sums + r * S8_COLUMNS;
        tiles_u8[tile_rows - 1](q + r * stride, stride, slice->offsets, slice->weights[0], safe, slice->terms, add, out,
                                S8_COLUMNS, ahead + slice->num_fours * 4 * SLICE * r / rows, 4 * SLICE / tiles);
        if (others > 0) {
            tiles_s8[tile_rows - 1](q + r * stride, stride, slice->offsets + safe, slice->weights[safe], others, out,
                                    S8_COLUMNS);
        }
        r += tile_rows;
    }
}

/* Columns and a block of k, in the order in which multiply_s8 takes them. */
typedef struct s8_position {
    size_t column0; /* the first of up to S8_COLUMNS */
    size_t columns;
    size_t k0;
    size_t block;
} s8_position;

/* The part of a panel that is multiplied after the one of `column`. */
static const int8_t *next_panel(const rung_linear_s8 *w, const s8_position *at, size_t column)
{
    size_t next = column / RUNG_PANEL * RUNG_PANEL + RUNG_PANEL;
    if (next < at->column0 + at->columns) {
        return slice_at(w, next, at->k0);
    }
    if (at->k0 + at->block < w->in_features) {
        return slice_at(w, at->column0, at->k0 + at->block);
    }
    return slice_at(w, next < w->out_features ? next : column, 0);
}

/* sums[rows][S8_COLUMNS] of the columns at->column0 and on, over all of k, and up to S8_BLOCK_ROWS rows of q. maxima
 * [S8_BLOCK_K] stay valid for the next columns when all of k is one block. */
static void multiply_s8(const rung_linear_s8 *w, const uint8_t *q, size_t rows, s8_position at, uint8_t *maxima,
                        int32_t *sums)
{
    slice_s8 slice;
    size_t stride = rung_q8_stride(w->in_features);
    for (; at.k0 < w->in_features; at.k0 += at.block) {
        size_t k = min_size(w->in_features - at.k0, at.block);
        size_t fours = (k + 3) / 4;
        if (at.column0 == 0 || at.block < w->in_features) {
            column_maxima(q + at.k0, stride, rows, round_up(k, 32), maxima);
        }
        for (size_t c = 0; c < at.columns; c += SLICE) {
            size_t column = at.column0 + c;
            const int8_t *ahead = next_panel(w, &at, column) + column % RUNG_PANEL / SLICE * fours * 4 * SLICE;
            sort_slice(slice_at(w, column, at.k0), fours, maxima, &slice);
            offset_terms(&slice, at.k0 == 0 ? w->column_sums + column : NULL);
            multiply_slice(q + at.k0, stride, rows, &slice, at.k0 > 0, sums + c, ahead);
        }
    }
}

static void linear_s8(const rung_linear_s8 *w, rung_q8 x, size_t m, rung_epilogue epilogue, const float *residual,
                      float *y, size_t y_stride)
{
    _Alignas(64) int32_t sums[S8_BLOCK_ROWS * S8_COLUMNS];
    _Alignas(32) uint8_t maxima[S8_BLOCK_K];
    size_t stride = rung_q8_stride(w->in_features);
    size_t block = m > 0 ? equal_blocks(m, S8_BLOCK_ROWS, S8_TILE_ROWS) : 0;
    for (size_t row0 = 0; row0 < m; row0 += block) {
        size_t rows = min_size(m - row0, block);
        const uint8_t *q = x.data + row0 * stride;
        for (size_t column0 = 0; column0 < w->out_features; column0 += S8_COLUMNS) {
            size_t columns = min_size(w->out_features - column0, S8_COLUMNS);
            s8_position from = {
                .column0 = column0, .columns = columns, .block = equal_blocks(w->in_features, S8_BLOCK_K, 32)};
            multiply_s8(w, q, rows, from, maxima, sums);
            size_t at = row0 * y_stride + column0;
            rung_avx2_sums output = {.sums = sums,
                                     .sums_stride = S8_COLUMNS,
                                     .row_scales = x.scales + row0,
                                     .scales = w->scales + column0,
                                     .bias = w->bias + column0,
                                     .residual = epilogue == RUNG_EPILOGUE_RESIDUAL ? residual + at : NULL,
                                     .y = y + at,
                                     .y_stride = y_stride,
                                     .rows = rows,
                                     .columns = columns};
            rung_avx2_finish_sums(&output, epilogue);
        }
    }
}

/* ---- Linear layers, fp32. ---- */

/* out[rows][16] (+)= a[rows][k] b[k][16]. Meanwhile as many bytes of `ahead` as b has are brought into L2. */
static void multiply_f32(const float *a, size_t a_stride, size_t rows, const float *b, size_t k, bool add, float *out,
                         size_t out_stride, const float *ahead)
{
    size_t tiles = (rows + F32_TILE_ROWS - 1) / F32_TILE_ROWS;
    for (size_t r = 0; r < rows;) {
        size_t tile_rows = next_tile_rows(rows - r, F32_TILE_ROWS);
        tiles_f32[tile_rows - 1](a + r * a_stride, a_stride, b, k, add, out + r * out_stride, out_stride,
                                 (const char *)(ahead + k * SLICE * r / rows), SLICE * sizeof *ahead / tiles);
        r += tile_rows;
    }
}

/* slice[k][16] = 16 columns of a panel, which points to the first of them. */
static void copy_slice(const float *panel, size_t k, float *slice)
{
    for (size_t i = 0; i < k; i++) {
        _mm256_store_ps(slice + i * SLICE, _mm256_loadu_ps(panel + i * RUNG_PANEL));
        _mm256_store_ps(slice + i * SLICE + 8, _mm256_loadu_ps(panel + i * RUNG_PANEL + 8));
    }
}

/* sums[rows][64] of the panel at column0 and up to F32_BLOCK_ROWS rows of x. */
static void multiply_panel_f32(const rung_linear_f32 *w, size_t column0, const float *x, size_t x_stride, size_t rows,
                               float *sums)
{
    _Alignas(64) float slice[F32_BLOCK_K * SLICE];
    const float *panel = w->panels + column0 * w->in_features;
    size_t columns = min_size(w->out_features - column0, RUNG_PANEL);
    bool last = column0 + RUNG_PANEL >= w->out_features;
    for (size_t k0 = 0; k0 < w->in_features; k0 += F32_BLOCK_K) {
        size_t k = min_size(w->in_features - k0, F32_BLOCK_K);
        for (size_t c = 0; c < columns; c += SLICE) {
            const float *part = panel + k0 * RUNG_PANEL; /* the parts follow each other, over panels as well */
            const float *ahead = last && k0 + k == w->in_features ? part : part + k * RUNG_PANEL;
            copy_slice(part + c, k, slice);
            multiply_f32(x + k0, x_stride, rows, slice, k, k0 > 0, sums + c, RUNG_PANEL, ahead + c * k);
        }
    }
}

void rung_avx2_linear_f32(const rung_linear_f32 *w, const float *x, size_t x_stride, size_t m, rung_epilogue epilogue,
                          const float *residual, float *y, size_t y_stride)
{
    _Alignas(64) float sums[F32_BLOCK_ROWS * RUNG_PANEL];
    for (size_t column0 = 0; column0 < w->out_features; column0 += RUNG_PANEL) {
        for (size_t row0 = 0; row0 < m; row0 += F32_BLOCK_ROWS) {
            size_t rows = min_size(m - row0, F32_BLOCK_ROWS);
            multiply_panel_f32(w, column0, x + row0 * x_stride, x_stride, rows, sums);
            size_t at = row0 * y_stride + column0;
            rung_avx2_sums output = {.sums = sums,
                                     .sums_stride = RUNG_PANEL,
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

/* ---- LayerNorm. ---- */

/* Lanes 0 to 7 and 8 to 15 of the 16 of a sum, elements past n being zero. */
typedef struct lanes_16 {
    __m256 low, high;
} lanes_16;

ALWAYS_INLINE lanes_16 load_16(const float *from, size_t n)
{
    if (n >= 16) {
        return (lanes_16){_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
    }
    return (lanes_16){load_lanes(from, n), n > 8 ? load_lanes(from + 8, n - 8) : _mm256_setzero_ps()};
}

static inline __m256 add_square(__m256 deviation, __m256 sum)
{
    return _mm256_fmadd_ps(deviation, deviation, sum);
}

static float sum_squared_deviations(const float *x, size_t n, __m256 mean)
{
    __m256 low = _mm256_setzero_ps();
    __m256 high = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        low = add_square(_mm256_sub_ps(_mm256_loadu_ps(x + i), mean), low);
        high = add_square(_mm256_sub_ps(_mm256_loadu_ps(x + i + 8), mean), high);
    }
    if (i < n) {
        lanes_16 rest = load_16(x + i, n - i);
        size_t n_low = min_size(n - i, 8);
        __m256 kept_low = _mm256_castsi256_ps(lanes_below(n_low));
        __m256 kept_high = _mm256_castsi256_ps(lanes_below(n - i - n_low));
        low = add_square(_mm256_and_ps(_mm256_sub_ps(rest.low, mean), kept_low), low);
        high = add_square(_mm256_and_ps(_mm256_sub_ps(rest.high, mean), kept_high), high);
    }
    return v_add_lanes(low, high);
}

static void layer_norm_row(const float *x, size_t n, const float *gamma, const float *beta, float eps, float *y)
{
    lanes_16 sum = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (size_t i = 0; i < n; i += 16) {
        lanes_16 lanes = load_16(x + i, n - i);
        sum.low = _mm256_add_ps(sum.low, lanes.low);
        sum.high = _mm256_add_ps(sum.high, lanes.high);
    }
    __m256 mean = _mm256_set1_ps(v_add_lanes(sum.low, sum.high) / (float)n);
    float variance = sum_squared_deviations(x, n, mean) / (float)n;
    __m256 inverse_deviation = _mm256_set1_ps(1.0f / sqrtf(variance + eps));
    for (size_t i = 0; i < n; i += 8) {
        __m256 normal = _mm256_mul_ps(_mm256_sub_ps(load_lanes(x + i, n - i), mean), inverse_deviation);
        store_lanes(y + i, n - i, _mm256_fmadd_ps(normal, load_lanes(gamma + i, n - i), load_lanes(beta + i, n - i)));
    }
}

void rung_avx2_layer_norm(const float *x, size_t stride, size_t m, size_t n, const float *gamma, const float *beta,
                          float eps, float *y, const rung_q8 *out)
{
    for (size_t row = 0; row < m; row++) {
        layer_norm_row(x + row * stride, n, gamma, beta, eps, y + row * stride);
        if (out != NULL) {
            quantize_row_u8(y + row * stride, n, out->data + row * rung_q8_stride(n), out->scales + row);
        }
    }
}

/* ---- Attention. ---- */

/* The parts of the scratch; keys_padded and head_padded are multiples of 16. */
typedef struct attention_scratch {
    size_t keys_padded;
    size_t head_padded;
    float *keys;      /* [keys_padded / 16][head_size][16] */
    float *values;    /* [head_padded / 16][seq_len][16] */
    float *scores;    /* [QUERY_ROWS][keys_padded] */
    float *context;   /* [QUERY_ROWS][16] */
    float *head_sums; /* [keys_padded] column sums of one head */
    float *sums;      /* [keys_padded] of the heads so far */
} attention_scratch;

size_t rung_avx2_attention_scratch_bytes(size_t seq_len, size_t head_size)
{
    size_t keys_padded = round_up(seq_len, SLICE);
    size_t floats = keys_padded * head_size + seq_len * round_up(head_size, SLICE) +
                    QUERY_ROWS * (keys_padded + SLICE) + 2 * keys_padded;
    size_t bytes_s8 = rung_avx2_attention_s8_scratch_bytes(seq_len, head_size);
    return round_up(floats * sizeof(float) > bytes_s8 ? floats * sizeof(float) : bytes_s8, 64);
}

static attention_scratch carve_scratch(const rung_attention *attention)
{
    attention_scratch s = {.keys_padded = round_up(attention->seq_len, SLICE),
                           .head_padded = round_up(attention->head_size, SLICE),
                           .keys = attention->scratch};
    s.values = s.keys + s.keys_padded * attention->head_size;
    s.scores = s.values + attention->seq_len * s.head_padded;
    s.context = s.scores + QUERY_ROWS * s.keys_padded;
    s.head_sums = s.context + QUERY_ROWS * SLICE;
    s.sums = s.head_sums + s.keys_padded;
    return s;
}

/* A head's keys with lanes over keys, zeros for those past the last. */
static void pack_keys(const rung_attention *attention, size_t head, const attention_scratch *s)
{
    size_t head_size = attention->head_size;
    for (size_t key = 0; key < s->keys_padded; key += 8) {
        float *to = s->keys + key / SLICE * SLICE * head_size + key % SLICE;
        for (size_t d = 0; d < head_size; d += 8) {
            __m256 block[8];
            for (size_t i = 0; i < 8; i++) {
                block[i] = _mm256_setzero_ps();
                if (key + i < attention->seq_len) {
                    block[i] =
                        load_lanes(attention->k + (key + i) * attention->stride + head * head_size + d, head_size - d);
                }
            }
            transpose_8(block);
            for (size_t i = 0; i < min_size(head_size - d, 8); i++) {
                _mm256_storeu_ps(to + (d + i) * SLICE, block[i]);
            }
        }
    }
}

static void pack_values(const rung_attention *attention, size_t head, const attention_scratch *s)
{
    size_t head_size = attention->head_size;
    for (size_t key = 0; key < attention->seq_len; key++) {
        const float *from = attention->v + key * attention->stride + head * head_size;
        for (size_t d = 0; d < head_size; d += SLICE) {
            lanes_16 lanes = load_16(from + d, head_size - d);
            float *to = s->values + d * attention->seq_len + key * SLICE;
            _mm256_storeu_ps(to, lanes.low);
            _mm256_storeu_ps(to + 8, lanes.high);
        }
    }
}

static float max_row(const float *x, size_t n)
{
    __m256 low = _mm256_set1_ps(-INFINITY);
    __m256 high = low;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        low = _mm256_max_ps(_mm256_loadu_ps(x + i), low);
        high = _mm256_max_ps(_mm256_loadu_ps(x + i + 8), high);
    }
    float max = v_max_lanes(_mm256_max_ps(low, high));
    for (; i < n; i++) {
        max = vmath_max(x[i], max);
    }
    return max;
}

static inline __m256 softmax_lanes(__m256 scores, __m256 max, __m256 scale)
{
    return v_expf(_mm256_mul_ps(_mm256_sub_ps(scores, max), scale));
}

/* scores[0..n) become exp((score - max) * scale), up to the next multiple of 16 zeros; returns 1 / their sum. */
static float softmax_row(float *scores, size_t n, float scale)
{
    __m256 max = _mm256_set1_ps(max_row(scores, n));
    __m256 factor = _mm256_set1_ps(scale);
    __m256 sums[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    size_t j = 0;
    for (; j + 16 <= n; j += 16) {
        UNROLL
        for (size_t half = 0; half < 2; half++) {
            __m256 p = softmax_lanes(_mm256_loadu_ps(scores + j + 8 * half), max, factor);
            _mm256_storeu_ps(scores + j + 8 * half, p);
            sums[half] = _mm256_add_ps(sums[half], p);
        }
    }
    if (j < n) {
        UNROLL
        for (size_t half = 0; half < 2; half++) {
            size_t first = min_size(j + 8 * half, n);
            __m256 kept = _mm256_castsi256_ps(lanes_below(min_size(n - first, 8)));
            __m256 p = _mm256_and_ps(softmax_lanes(_mm256_loadu_ps(scores + j + 8 * half), max, factor), kept);
            _mm256_storeu_ps(scores + j + 8 * half, p);
            sums[half] = _mm256_add_ps(sums[half], p);
        }
    }
    return 1.0f / v_add_lanes(sums[0], sums[1]);
}

static void add_column_sums(const float *scores, size_t stride, size_t rows, size_t n, const float *inverse_sums,
                            float *sums)
{
    for (size_t j = 0; j < n; j += 8) {
        __m256 sum = _mm256_loadu_ps(sums + j);
        for (size_t r = 0; r < rows; r++) {
            sum = _mm256_fmadd_ps(_mm256_loadu_ps(scores + r * stride + j), _mm256_set1_ps(inverse_sums[r]), sum);
        }
        _mm256_storeu_ps(sums + j, sum);
    }
}

static void attend_rows(const rung_attention *attention, size_t head, size_t row0, size_t rows,
                        const attention_scratch *s)
{
    size_t seq_len = attention->seq_len;
    size_t head_size = attention->head_size;
    float scale = 1.0f / sqrtf((float)head_size);
    const float *q = attention->q + row0 * attention->stride + head * head_size;
    float inverse_sums[QUERY_ROWS];
    for (size_t key = 0; key < seq_len; key += SLICE) {
        multiply_f32(q, attention->stride, rows, s->keys + key * head_size, head_size, 0, s->scores + key,
                     s->keys_padded, s->keys + key * head_size);
    }
    for (size_t r = 0; r < rows; r++) {
        inverse_sums[r] = softmax_row(s->scores + r * s->keys_padded, seq_len, scale);
    }
    if (attention->column_sums != NULL) {
        add_column_sums(s->scores, s->keys_padded, rows, seq_len, inverse_sums, s->head_sums);
    }
    for (size_t d0 = 0; d0 < head_size; d0 += SLICE) {
        size_t columns = min_size(head_size - d0, SLICE);
        multiply_f32(s->scores, s->keys_padded, rows, s->values + d0 * seq_len, seq_len, 0, s->context, SLICE,
                     s->values + d0 * seq_len);
        for (size_t r = 0; r < rows; r++) {
            float *to = attention->context + (row0 + r) * attention->context_stride + head * head_size + d0;
            for (size_t d = 0; d < columns; d += 8) {
                __m256 sums = _mm256_loadu_ps(s->context + SLICE * r + d);
                store_lanes(to + d, columns - d, _mm256_mul_ps(sums, _mm256_set1_ps(inverse_sums[r])));
            }
        }
    }
}

void rung_avx2_attention(const rung_attention *attention)
{
    attention_scratch s = carve_scratch(attention);
    memset(s.sums, 0, s.keys_padded * sizeof *s.sums);
    for (size_t head = 0; head < attention->num_heads; head++) {
        pack_keys(attention, head, &s);
        pack_values(attention, head, &s);
        memset(s.head_sums, 0, s.keys_padded * sizeof *s.head_sums);
        for (size_t row0 = 0; row0 < attention->seq_len; row0 += QUERY_ROWS) {
            attend_rows(attention, head, row0, min_size(attention->seq_len - row0, QUERY_ROWS), &s);
        }
        for (size_t j = 0; j < s.keys_padded; j++) {
            s.sums[j] += s.head_sums[j];
        }
    }
    if (attention->column_sums != NULL) {
        for (size_t j = 0; j < attention->seq_len; j++) {
            attention->column_sums[j] += s.sums[j] / (float)attention->num_heads;
        }
    }
}

void rung_avx2_tanh(const float *x, size_t n, float *y)
{
    for (size_t i = 0; i < n; i += 8) {
        store_lanes(y + i, n - i, v_tanhf(load_lanes(x + i, n - i)));
    }
}

/* ---- The machine's peak. ---- */

enum {
    PEAK_SUMS_S8 = 8,
    PEAK_SUMS_F32 = 12,
};

static double peak_s8(size_t rounds)
{
    __m256i sums[PEAK_SUMS_S8];
    __m256i a = _mm256_set1_epi8(1);
    __m256i ones = _mm256_set1_epi16(1);
    UNROLL
    for (size_t i = 0; i < PEAK_SUMS_S8; i++) {
        sums[i] = _mm256_setzero_si256();
    }
    for (size_t round = 0; round < rounds; round++) {
        UNROLL
        for (size_t i = 0; i < PEAK_SUMS_S8; i += 2) {
            __m256i inputs = a;
            DOT_U8(sums[i], sums[i + 1], inputs, a, a, ones);
        }
    }
    UNROLL
    for (size_t i = 0; i < PEAK_SUMS_S8; i++) {
        __asm__ volatile("" : : "x"(sums[i]));
    }
    return 64.0 * PEAK_SUMS_S8 * (double)rounds;
}

double rung_avx2_peak_f32(size_t rounds)
{
    __m256 sums[PEAK_SUMS_F32];
    __m256 a = _mm256_set1_ps(1.0f);
    UNROLL
    for (size_t i = 0; i < PEAK_SUMS_F32; i++) {
        sums[i] = _mm256_setzero_ps();
    }
    for (size_t round = 0; round < rounds; round++) {
        UNROLL
        for (size_t i = 0; i < PEAK_SUMS_F32; i++) {
            MULTIPLY_ADD(sums[i], a, a);
        }
    }
    UNROLL
    for (size_t i = 0; i < PEAK_SUMS_F32; i++) {
        __asm__ volatile("" : : "x"(sums[i]));
    }
    return 16.0 * PEAK_SUMS_F32 * (double)rounds;
}

const rung_kernels rung_kernels_avx2 = {
    .name = "avx2",
    .quantize_rows = rung_avx2_quantize_rows,
    .linear_s8 = linear_s8,
    .linear_f32 = rung_avx2_linear_f32,
    .layer_norm = rung_avx2_layer_norm,
    .attention = rung_avx2_attention,
    .attention_s8 = rung_avx2_attention_s8,
    .attention_scratch_bytes = rung_avx2_attention_scratch_bytes,
    .tanh = rung_avx2_tanh,
    .peak_s8 = peak_s8,
    .peak_f32 = rung_avx2_peak_f32,
};
