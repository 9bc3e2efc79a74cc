/* avx2_attention_s8.c: int8 attention for AVX2. Called through the table of avx2.c. Queries, keys, weights and values are
 * int16 pairs for the tiles of avx2_tiles.h; the weights p of a query are a row of them and never leave L1. Bits are those
 * of ref.c. Orders and formulas: kernels.h. */
#include "kernels/avx2_attention_s8.h"

#include "kernels/avx2_math.h"
#include "kernels/avx2_rows.h"
#include "kernels/avx2_tiles.h"

#include <math.h>
#include <string.h>

/* Query rows of a head that share a pass over keys and values. */
enum { QUERY_ROWS = 12 };

/* The parts of the scratch. A slice is 16 keys, or 16 columns of values, as [k4][2][16] pairs with the 16 terms that
 * tiles subtract. */
typedef struct scratch {
    size_t keys_padded; /* multiple of 16 */
    size_t head_padded; /* multiple of 32 */
    size_t key_k4;      /* fours of a key */
    size_t value_k4;    /* fours of a column of values */
    size_t num_value_slices;
    int32_t *keys;         /* [keys_padded / 16][key_k4][2][16] */
    int32_t *key_terms;    /* [keys_padded] */
    float *key_scales;     /* [keys_padded], 0 for the padding */
    int32_t *values;       /* [num_value_slices][value_k4][2][16] */
    int32_t *value_terms;  /* [num_value_slices][16] */
    float *value_scales;   /* [num_value_slices][16], 0 for the padding */
    int32_t *queries;      /* [QUERY_ROWS][head_padded / 2] pairs */
    int32_t *query_terms;  /* [QUERY_ROWS] */
    float *query_scales;   /* [QUERY_ROWS] */
    int32_t *scores;       /* [QUERY_ROWS][keys_padded] products, then scores as floats in the same place */
    int32_t *weights;      /* [QUERY_ROWS][keys_padded / 2] p as pairs */
    int32_t *weight_terms; /* [QUERY_ROWS] */
    int32_t *context;      /* [QUERY_ROWS][16] */
    float *head_sums;      /* [keys_padded] column sums of one head */
    float *sums;           /* [keys_padded] of the heads so far */
    uint8_t *rows;         /* [8][rung_q8_stride(head_size)] quantised */
} scratch;

/* A part of `words` 32-bit words behind the *used ones; NULL when `base` is. */
static void *take(int32_t *base, size_t *used, size_t words)
{
    size_t start = *used;
    *used += round_up(words, 16);
    return base == NULL ? NULL : base + start;
}

/* Lays the parts out from `base` on, which may be NULL to measure; returns the bytes they take. */
static size_t carve(size_t seq_len, size_t head_size, int32_t *base, scratch *s)
{
    size_t used = 0;
    s->keys_padded = round_up(seq_len, SLICE);
    s->head_padded = round_up(head_size, 32);
    s->key_k4 = (head_size + 3) / 4;
    s->value_k4 = (seq_len + 3) / 4;
    s->num_value_slices = (head_size + SLICE - 1) / SLICE;
    s->keys = take(base, &used, s->keys_padded * s->key_k4 * 2);
    s->key_terms = take(base, &used, s->keys_padded);
    s->key_scales = take(base, &used, s->keys_padded);
    s->values = take(base, &used, s->num_value_slices * s->value_k4 * K4_INTS);
    s->value_terms = take(base, &used, s->num_value_slices * SLICE);
    s->value_scales = take(base, &used, s->num_value_slices * SLICE);
    s->queries = take(base, &used, QUERY_ROWS * s->head_padded / 2);
    s->query_terms = take(base, &used, QUERY_ROWS);
    s->query_scales = take(base, &used, QUERY_ROWS);
    s->scores = take(base, &used, QUERY_ROWS * s->keys_padded);
    s->weights = take(base, &used, QUERY_ROWS * s->keys_padded / 2);
    s->weight_terms = take(base, &used, QUERY_ROWS);
    s->context = take(base, &used, QUERY_ROWS * SLICE);
    s->head_sums = take(base, &used, s->keys_padded);
    s->sums = take(base, &used, s->keys_padded);
    s->rows = take(base, &used, 8 * rung_q8_stride(head_size) / sizeof(int32_t));
    return used * sizeof(int32_t);
}

size_t rung_avx2_attention_s8_scratch_bytes(size_t seq_len, size_t head_size)
{
    scratch s;
    return carve(seq_len, head_size, NULL, &s);
}

/* A head's part of a row lies a whole row of all heads from the next one: too far for the processor to guess. */
ALWAYS_INLINE void ask_for_row(const float *row, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        _mm_prefetch((const char *)(row + i), _MM_HINT_T0);
    }
}

/* Eight keys from `key` on into the lanes of their slice, zeros for those past the last. */
static void pack_eight_keys(const rung_attention *attention, const float *k, size_t key, const scratch *s)
{
    size_t head_size = attention->head_size;
    size_t stride = rung_q8_stride(head_size);
    for (size_t i = 0; i < 8; i++) {
        if (key + i < attention->seq_len) {
            ask_for_row(k + min_size(key + i + 8, attention->seq_len - 1) * attention->stride, head_size);
            quantize_row_s8(k + (key + i) * attention->stride, head_size, s->rows + i * stride,
                            s->key_scales + key + i);
        } else {
            memset(s->rows + i * stride, 0, stride);
            s->key_scales[key + i] = 0.0f;
        }
    }
    int32_t *to = s->keys + key / SLICE * s->key_k4 * K4_INTS + key % SLICE;
    __m256i terms = _mm256_setzero_si256();
    for (size_t k4 = 0; k4 < s->key_k4; k4 += 8) {
        __m256 block[8];
        for (size_t i = 0; i < 8; i++) {
            block[i] = _mm256_loadu_ps((const float *)(const void *)(s->rows + i * stride + 4 * k4));
        }
        transpose_8(block);
        for (size_t i = 0; i < min_size(s->key_k4 - k4, 8); i++) {
            __m256i first = first_pairs(_mm256_castps_si256(block[i]));
            __m256i second = second_pairs(_mm256_castps_si256(block[i]));
            store_s32(to + (k4 + i) * K4_INTS, first);
            store_s32(to + (k4 + i) * K4_INTS + SLICE, second);
            terms = _mm256_add_epi32(terms, _mm256_madd_epi16(first, second));
        }
    }
    store_s32(s->key_terms + key, terms);
}

/* The scale of each of 8 columns of v, and what to multiply with; 0 for a zero column. */
static __m256 column_inverses(const rung_attention *attention, const float *v, size_t columns, float *scales)
{
    __m256 absmax = _mm256_setzero_ps();
    for (size_t j = 0; j < attention->seq_len; j++) {
        ask_for_row(v + min_size(j + 8, attention->seq_len - 1) * attention->stride, columns);
        absmax = _mm256_max_ps(v_abs(load_lanes(v + j * attention->stride, columns)), absmax);
    }
    __m256 top = _mm256_set1_ps(127.0f);
    __m256 nonzero = _mm256_cmp_ps(absmax, _mm256_set1_ps(RUNG_Q8_LEAST), _CMP_NLT_UQ);
    _mm256_storeu_ps(scales, _mm256_and_ps(_mm256_div_ps(absmax, top), nonzero));
    return _mm256_and_ps(_mm256_div_ps(top, absmax), nonzero);
}

/* 8 columns of values into their half of a slice. */
static void pack_eight_columns(const rung_attention *attention, const float *v, size_t columns, const scratch *s,
                               int32_t *to, int32_t *terms_to, float *scales)
{
    __m256 inverses = column_inverses(attention, v, columns, scales);
    __m256i terms = _mm256_setzero_si256();
    for (size_t k4 = 0; k4 < s->value_k4; k4++) {
        __m256i q[4];
        UNROLL
        for (size_t i = 0; i < 4; i++) {
            size_t j = 4 * k4 + i;
            q[i] = _mm256_setzero_si256();
            if (j < attention->seq_len) {
                q[i] = quantize_lanes(load_lanes(v + j * attention->stride, columns), inverses);
            }
        }
        __m256i first = _mm256_blend_epi16(q[0], _mm256_slli_epi32(q[1], 16), 0xaa);
        __m256i second = _mm256_blend_epi16(q[2], _mm256_slli_epi32(q[3], 16), 0xaa);
        store_s32(to + k4 * K4_INTS, first);
        store_s32(to + k4 * K4_INTS + SLICE, second);
        terms = _mm256_add_epi32(terms, _mm256_madd_epi16(first, second));
    }
    store_s32(terms_to, terms);
}

static void pack_head(const rung_attention *attention, size_t head, const scratch *s)
{
    const float *k = attention->k + head * attention->head_size;
    for (size_t key = 0; key < s->keys_padded; key += 8) {
        pack_eight_keys(attention, k, key, s);
    }
    const float *v = attention->v + head * attention->head_size;
    for (size_t d = 0; d < s->num_value_slices * SLICE; d += 8) {
        size_t columns = d < attention->head_size ? attention->head_size - d : 0;
        int32_t *to = s->values + d / SLICE * s->value_k4 * K4_INTS + d % SLICE;
        pack_eight_columns(attention, v + min_size(d, attention->head_size), columns, s, to, s->value_terms + d,
                           s->value_scales + d);
    }
}

static void pack_queries(const rung_attention *attention, const float *q, size_t rows, const scratch *s)
{
    for (size_t r = 0; r < rows; r++) {
        ask_for_row(q + min_size(r + 4, rows - 1) * attention->stride, attention->head_size);
        quantize_row_s8(q + r * attention->stride, attention->head_size, s->rows, s->query_scales + r);
        s->query_terms[r] = widen_row(s->rows, s->head_padded, s->queries + r * s->head_padded / 2);
    }
}

/* out[rows][16] = a[rows][4 k4] slice[k4][2][16] */
static void multiply(const int32_t *a, size_t a_stride, const int32_t *a_terms, size_t rows, const int32_t *slice,
                     const int32_t *terms, size_t k4, int32_t *out, size_t out_stride)
{
    for (size_t r = 0; r < rows;) {
        size_t tile_rows = next_tile_rows(rows - r, S16_TILE_ROWS);
        tiles_s16[tile_rows - 1](a + r * a_stride, a_stride, a_terms + r, slice, terms, k4, 0, out + r * out_stride,
                                 out_stride);
        r += tile_rows;
    }
}

ALWAYS_INLINE __m256 score_lanes(const int32_t *products, const float *key_scales)
{
    return _mm256_mul_ps(_mm256_cvtepi32_ps(load_s32(products)), _mm256_loadu_ps(key_scales));
}

/* Products become scores, in place; returns the largest of the first n. */
static float scale_row(int32_t *products, size_t n, const float *key_scales)
{
    float *scores = (float *)(void *)products;
    __m256 lowest = _mm256_set1_ps(-INFINITY);
    __m256 max[2] = {lowest, lowest};
    size_t j = 0;
    for (; j + 16 <= n; j += 16) {
        UNROLL
        for (size_t half = 0; half < 2; half++) {
            __m256 score = score_lanes(products + j + 8 * half, key_scales + j + 8 * half);
            _mm256_storeu_ps(scores + j + 8 * half, score);
            max[half] = _mm256_max_ps(score, max[half]);
        }
    }
    for (; j < n; j += 8) {
        __m256 score = score_lanes(products + j, key_scales + j);
        _mm256_storeu_ps(scores + j, score);
        __m256 known = _mm256_castsi256_ps(lanes_below(min_size(n - j, 8)));
        max[0] = _mm256_max_ps(_mm256_blendv_ps(lowest, score, known), max[0]);
    }
    return v_max_lanes(_mm256_max_ps(max[0], max[1]));
}

/* p of 8 keys. */
ALWAYS_INLINE __m256i weigh_lanes(const float *scores, __m256 max, __m256 factor)
{
    return v_exp2_u8(_mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(scores), max), factor));
}

/* weights = p of the first n keys as pairs, zeros up to a multiple of 16; their terms; returns 1 / their sum. */
static float weigh_row(const float *scores, size_t n, float max, float factor, int32_t *weights, int32_t *terms)
{
    __m256 max_lanes = _mm256_set1_ps(max);
    __m256 factor_lanes = _mm256_set1_ps(factor);
    __m256i sums = _mm256_setzero_si256();
    __m256i products = _mm256_setzero_si256();
    for (size_t j = 0; j < n; j += 16) {
        __m256i low = weigh_lanes(scores + j, max_lanes, factor_lanes);
        __m256i high = weigh_lanes(scores + j + 8, max_lanes, factor_lanes);
        if (n - j < 16) {
            low = _mm256_and_si256(low, lanes_below(min_size(n - j, 8)));
            high = _mm256_and_si256(high, lanes_below(n - j < 8 ? 0 : n - j - 8));
        }
        sums = _mm256_add_epi32(sums, _mm256_add_epi32(low, high));
        __m256i p = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xd8);
        store_s32(weights + j / 2, p);
        products = _mm256_add_epi32(products, _mm256_madd_epi16(p, _mm256_srli_epi64(p, 32)));
    }
    *terms = v_add_lanes_s32(products);
    return 1.0f / (float)v_add_lanes_s32(sums);
}

static void add_column_sums(const int32_t *weights, size_t n, float inverse_sum, float *sums)
{
    __m256 inverse = _mm256_set1_ps(inverse_sum);
    for (size_t j = 0; j < n; j += 8) {
        __m128i p = _mm_loadu_si128((const __m128i *)(const void *)(weights + j / 2));
        __m256 weight = _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(p));
        _mm256_storeu_ps(sums + j, _mm256_fmadd_ps(weight, inverse, _mm256_loadu_ps(sums + j)));
    }
}

/* Weights of `rows` queries; inverse_sums: [rows] */
static void weigh_rows(const rung_attention *attention, size_t rows, const scratch *s, float *inverse_sums)
{
    float scale = VMATH_LOG2_E / sqrtf((float)attention->head_size);
    for (size_t slice = 0; slice < s->keys_padded / SLICE; slice++) {
        multiply(s->queries, s->head_padded / 2, s->query_terms, rows, s->keys + slice * s->key_k4 * K4_INTS,
                 s->key_terms + slice * SLICE, s->key_k4, s->scores + slice * SLICE, s->keys_padded);
    }
    for (size_t r = 0; r < rows; r++) {
        int32_t *row = s->scores + r * s->keys_padded;
        int32_t *weights = s->weights + r * s->keys_padded / 2;
        float max = scale_row(row, attention->seq_len, s->key_scales);
        inverse_sums[r] = weigh_row((const float *)(const void *)row, attention->seq_len, max,
                                    s->query_scales[r] * scale, weights, s->weight_terms + r);
        if (attention->column_sums != NULL) {
            add_column_sums(weights, attention->seq_len, inverse_sums[r], s->head_sums);
        }
    }
}

/* context: the first of `rows` rows, at the head's first column. */
static void mix_values(const rung_attention *attention, size_t rows, const scratch *s, const float *inverse_sums,
                       float *context)
{
    for (size_t slice = 0; slice < s->num_value_slices; slice++) {
        size_t d0 = slice * SLICE;
        multiply(s->weights, s->keys_padded / 2, s->weight_terms, rows, s->values + slice * s->value_k4 * K4_INTS,
                 s->value_terms + d0, s->value_k4, s->context, SLICE);
        size_t columns = min_size(attention->head_size - d0, SLICE);
        for (size_t r = 0; r < rows; r++) {
            float *to = context + r * attention->context_stride + d0;
            for (size_t d = 0; d < columns; d += 8) {
                __m256 sums = _mm256_cvtepi32_ps(load_s32(s->context + SLICE * r + d));
                __m256 scales = _mm256_loadu_ps(s->value_scales + d0 + d);
                store_lanes(to + d, columns - d,
                            _mm256_mul_ps(sums, _mm256_mul_ps(_mm256_set1_ps(inverse_sums[r]), scales)));
            }
        }
    }
}

void rung_avx2_attention_s8(const rung_attention *attention)
{
    scratch s;
    carve(attention->seq_len, attention->head_size, attention->scratch, &s);
    memset(s.sums, 0, s.keys_padded * sizeof *s.sums);
    for (size_t head = 0; head < attention->num_heads; head++) {
        pack_head(attention, head, &s);
        memset(s.head_sums, 0, s.keys_padded * sizeof *s.head_sums);
        size_t column = head * attention->head_size;
        for (size_t row = 0; row < attention->seq_len; row += QUERY_ROWS) {
            float inverse_sums[QUERY_ROWS];
            size_t rows = min_size(attention->seq_len - row, QUERY_ROWS);
            pack_queries(attention, attention->q + row * attention->stride + column, rows, &s);
            weigh_rows(attention, rows, &s, inverse_sums);
            mix_values(attention, rows, &s, inverse_sums,
                       attention->context + row * attention->context_stride + column);
        }
        for (size_t j = 0; j < s.keys_padded; j++) {
            s.sums[j] += s.head_sums[j];
        }
    }
    for (size_t j = 0; attention->column_sums != NULL && j < attention->seq_len; j++) {
        attention->column_sums[j] += s.sums[j] / (float)attention->num_heads;
    }
}
