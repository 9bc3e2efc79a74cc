/* avx512_attention_s8.c: int8 attention for AVX-512 VNNI. Called through the table of avx512.c. Keys and values of a head
 * are panels for the tiles of avx512_tiles.h. Queries are stored as q + 128, so that a product starts from -128 * the
 * sum of its key; the weights p are unsigned and multiplied as they are. Bits are those of ref.c. Orders and formulas:
 * kernels.h. */
#include "kernels/avx512_attention_s8.h"

#include "kernels/avx512_math.h"
#include "kernels/avx512_rows.h"
#include "kernels/avx512_tiles.h"

#include <math.h>
#include <string.h>

enum { QUERY_ROWS = 2 * S8_TILE_ROWS }; /* query rows of a head that share a pass over keys and values */

/* ---- Tiles: out[rows][64] = start[64] + a[rows][4 k4] panel[k4][64][4], of which 16 vectors columns are needed. ---- */

typedef void tile_function(const uint8_t *a, size_t a_stride, const int8_t *panel, size_t k4, const int32_t *start,
                           int32_t *out);

ALWAYS_INLINE void tile_body(size_t rows, size_t vectors, const uint8_t *a, size_t a_stride, const int8_t *panel,
                             size_t k4, const int32_t *start, int32_t *out)
{
    __m512i sums[S8_TILE_ROWS][4];
    multiply_s8(rows, vectors, a, a_stride, panel, k4, panel, 0, start, sums);
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            _mm512_storeu_si512(out + RUNG_PANEL * r + 16 * v, sums[r][v]);
        }
    }
}

#define TILE(rows, vectors)                                                                                            \
    static void tile_##rows##_##vectors(const uint8_t *a, size_t a_stride, const int8_t *panel, size_t k4,             \
                                        const int32_t *start, int32_t *out)                                            \
    {                                                                                                                  \
        tile_body(rows, vectors, a, a_stride, panel, k4, start, out);                                                  \
    }
#define NAME(rows, vectors) tile_##rows##_##vectors,

FOR_ROWS_1_TO_6(TILE, 1)
FOR_ROWS_1_TO_6(TILE, 2)
FOR_ROWS_1_TO_6(TILE, 3)
FOR_ROWS_1_TO_6(TILE, 4)

/* [vectors - 1][rows - 1] */
static tile_function *const tiles[4][S8_TILE_ROWS] = {
    {FOR_ROWS_1_TO_6(NAME, 1)},
    {FOR_ROWS_1_TO_6(NAME, 2)},
    {FOR_ROWS_1_TO_6(NAME, 3)},
    {FOR_ROWS_1_TO_6(NAME, 4)},
};

static void multiply(const uint8_t *a, size_t a_stride, size_t rows, const int8_t *panel, size_t columns, size_t k4,
                     const int32_t *start, int32_t *out)
{
    tile_function *const *of_rows = tiles[(min_size(columns, RUNG_PANEL) + 15) / 16 - 1];
    for (size_t r = 0; r < rows;) {
        size_t tile_rows = next_tile_rows(rows - r, S8_TILE_ROWS);
        of_rows[tile_rows - 1](a + r * a_stride, a_stride, panel, k4, start, out + RUNG_PANEL * r);
        r += tile_rows;
    }
}

/* The parts of the scratch. */
typedef struct scratch {
    size_t keys_padded;  /* multiple of 64 */
    size_t head_padded;  /* multiple of 64, the stride of quantised rows */
    size_t key_k4;       /* fours of a key */
    size_t value_k4;     /* fours of a column of values */
    int8_t *keys;        /* [keys_padded / 64][key_k4][64][4] */
    int32_t *key_starts; /* [keys_padded] -128 * the sum of the key */
    float *key_scales;   /* [keys_padded] */
    int8_t *values;      /* [head_padded / 64][value_k4][64][4] */
    float *value_scales; /* [head_padded] */
    uint8_t *queries;    /* [QUERY_ROWS][head_padded] */
    int32_t *products;   /* [keys_padded / 64][QUERY_ROWS][64], then scores as floats in the same place */
    uint8_t *weights;    /* [QUERY_ROWS][keys_padded] p */
    int32_t *context;    /* [QUERY_ROWS][64] */
    uint8_t *rows;       /* [16][head_padded] keys, quantised */
    float *head_sums;    /* [keys_padded] column sums of one head */
    float *sums;         /* [keys_padded] of the heads so far */
} scratch;

/* A part of `bytes` behind the *used ones; NULL when `base` is. */
static void *take(unsigned char *base, size_t *used, size_t bytes)
{
    size_t start = *used;
    *used += round_up(bytes, 64);
    return base == NULL ? NULL : base + start;
}

/* Lays the parts out from `base` on, which may be NULL to measure; returns the bytes they take. */
static size_t carve(size_t seq_len, size_t head_size, void *base, scratch *s)
{
    size_t used = 0;
    s->keys_padded = round_up(seq_len, RUNG_PANEL);
    s->head_padded = rung_q8_stride(head_size);
    s->key_k4 = (head_size + 3) / 4;
    s->value_k4 = (seq_len + 3) / 4;
    s->keys = take(base, &used, s->keys_padded * s->key_k4 * 4);
    s->key_starts = take(base, &used, s->keys_padded * sizeof *s->key_starts);
    s->key_scales = take(base, &used, s->keys_padded * sizeof *s->key_scales);
    s->values = take(base, &used, s->head_padded * s->value_k4 * 4);
    s->value_scales = take(base, &used, s->head_padded * sizeof *s->value_scales);
    s->queries = take(base, &used, QUERY_ROWS * s->head_padded);
    s->products = take(base, &used, QUERY_ROWS * s->keys_padded * sizeof *s->products);
    s->weights = take(base, &used, QUERY_ROWS * s->keys_padded);
    s->context = take(base, &used, QUERY_ROWS * RUNG_PANEL * sizeof *s->context);
    s->rows = take(base, &used, 16 * s->head_padded);
    s->head_sums = take(base, &used, s->keys_padded * sizeof *s->head_sums);
    s->sums = take(base, &used, s->keys_padded * sizeof *s->sums);
    return used;
}

size_t rung_avx512_attention_s8_scratch_bytes(size_t seq_len, size_t head_size)
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

/* 16 keys from `key` on into the lanes of their panel, zeros for those past the last. */
static void pack_keys(const rung_attention *attention, const float *k, size_t key, const scratch *s)
{
    const __m512i offset = _mm512_set1_epi8((char)-128);
    size_t count = min_size(attention->seq_len - min_size(attention->seq_len, key), 16);
    for (size_t i = 0; i < count; i++) {
        ask_for_row(k + min_size(key + i + 8, attention->seq_len - 1) * attention->stride, attention->head_size);
        quantize_row(k + (key + i) * attention->stride, attention->head_size, s->rows + i * s->head_padded,
                     s->key_scales + key + i);
    }
    memset(s->rows + count * s->head_padded, 128, (16 - count) * s->head_padded);
    int8_t *to = s->keys + key / RUNG_PANEL * RUNG_PANEL * 4 * s->key_k4 + 4 * (key % RUNG_PANEL);
    __m512i sums = _mm512_setzero_si512();
    for (size_t k4 = 0; k4 < s->key_k4; k4 += 16) {
        __m512 block[16];
        UNROLL
        for (size_t i = 0; i < 16; i++) {
            block[i] = _mm512_loadu_ps((const float *)(const void *)(s->rows + i * s->head_padded + 4 * k4));
        }
        transpose_16(block);
        UNROLL
        for (size_t i = 0; i < 16; i++) {
            if (k4 + i < s->key_k4) {
                __m512i fours = _mm512_xor_si512(_mm512_castps_si512(block[i]), offset);
                _mm512_storeu_si512(to + 4 * RUNG_PANEL * (k4 + i), fours);
                DOT_S8(sums, offset, fours);
            }
        }
    }
    _mm512_storeu_si512(s->key_starts + key, _mm512_sub_epi32(_mm512_setzero_si512(), sums));
}

/* The scale of each of 16 columns of v, and what to multiply with; 0 for a zero column. */
static __m512 column_inverses(const rung_attention *attention, const float *v, size_t columns, float *scales)
{
    __m512 sign = _mm512_set1_ps(-0.0f);
    __m512 absmax = _mm512_setzero_ps();
    for (size_t j = 0; j < attention->seq_len; j++) {
        ask_for_row(v + min_size(j + 8, attention->seq_len - 1) * attention->stride, columns);
        absmax = _mm512_max_ps(_mm512_andnot_ps(sign, load_lanes(v + j * attention->stride, columns)), absmax);
    }
    __m512 top = _mm512_set1_ps(127.0f);
    __mmask16 nonzero = _mm512_cmp_ps_mask(absmax, _mm512_set1_ps(RUNG_Q8_LEAST), _CMP_NLT_UQ);
    _mm512_storeu_ps(scales, _mm512_maskz_div_ps(nonzero, absmax, top));
    return _mm512_maskz_div_ps(nonzero, top, absmax);
}

/* 16 columns of values into their lanes of a panel. */
static void pack_values(const rung_attention *attention, const float *v, size_t columns, const scratch *s, int8_t *to,
                        float *scales)
{
    /* In each 128-bit part, four bytes of each of four rows: columns together. */
    const __m512i order = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    __m512 inverses = column_inverses(attention, v, columns, scales);
    for (size_t k4 = 0; k4 < s->value_k4; k4++) {
        __m512i q[4];
        UNROLL
        for (size_t i = 0; i < 4; i++) {
            size_t j = 4 * k4 + i;
            q[i] = _mm512_setzero_si512();
            if (j < attention->seq_len) {
                q[i] = quantize_lanes(load_lanes(v + j * attention->stride, columns), inverses);
            }
        }
        __m512i bytes = _mm512_packs_epi16(_mm512_packs_epi32(q[0], q[1]), _mm512_packs_epi32(q[2], q[3]));
        _mm512_storeu_si512(to + 4 * RUNG_PANEL * k4, _mm512_shuffle_epi8(bytes, order));
    }
}

static void pack_head(const rung_attention *attention, size_t head, const scratch *s)
{
    size_t column = head * attention->head_size;
    for (size_t key = 0; key < round_up(attention->seq_len, 16); key += 16) {
        pack_keys(attention, attention->k + column, key, s);
    }
    for (size_t d = 0; d < attention->head_size; d += 16) {
        int8_t *to = s->values + d / RUNG_PANEL * RUNG_PANEL * 4 * s->value_k4 + 4 * (d % RUNG_PANEL);
        pack_values(attention, attention->v + column + d, attention->head_size - d, s, to, s->value_scales + d);
    }
}

/* Products of one query become scores, in place; returns the largest of the first n. row: its part of the first panel. */
static float scale_row(int32_t *row, size_t n, const float *key_scales)
{
    __m512 max = _mm512_set1_ps(-INFINITY);
    for (size_t j = 0; j < n; j += 16) {
        int32_t *at = row + j / RUNG_PANEL * RUNG_PANEL * QUERY_ROWS + j % RUNG_PANEL;
        __m512 products = _mm512_cvtepi32_ps(_mm512_loadu_si512(at));
        __m512 scores = _mm512_mul_ps(products, load_lanes(key_scales + j, n - j));
        _mm512_storeu_ps((float *)(void *)at, scores);
        max = _mm512_mask_max_ps(max, lanes_below(n - j), scores, max);
    }
    return v_max_lanes(max);
}

/* p of 16 keys from j on, zeros from n on. row: as for scale_row. */
ALWAYS_INLINE __m512i weigh_lanes(const int32_t *row, size_t j, size_t n, __m512 max, __m512 factor)
{
    const int32_t *at = row + j / RUNG_PANEL * RUNG_PANEL * QUERY_ROWS + j % RUNG_PANEL;
    __m512 scores = _mm512_loadu_ps((const float *)(const void *)at);
    return _mm512_maskz_mov_epi32(lanes_below(n - min_size(n, j)),
                                  v_exp2_u8(_mm512_mul_ps(_mm512_sub_ps(scores, max), factor)));
}

/* weights[n], up to a multiple of 64 zeros, = p of one query; returns 1 / their sum. */
static float weigh_row(const int32_t *row, size_t n, float max, float factor, uint8_t *weights)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i ones = _mm512_set1_epi8(1);
    __m512 max_lanes = _mm512_set1_ps(max);
    __m512 factor_lanes = _mm512_set1_ps(factor);
    __m512i sums = _mm512_setzero_si512();
    for (size_t j = 0; j < n; j += RUNG_PANEL) {
        __m512i p[4];
        UNROLL
        for (size_t i = 0; i < 4; i++) {
            p[i] = weigh_lanes(row, j + 16 * i, n, max_lanes, factor_lanes);
        }
        __m512i bytes = _mm512_packus_epi16(_mm512_packs_epi32(p[0], p[1]), _mm512_packs_epi32(p[2], p[3]));
        DOT_S8(sums, bytes, ones);
        _mm512_storeu_si512(weights + j, _mm512_permutexvar_epi32(order, bytes));
    }
    return 1.0f / (float)_mm512_reduce_add_epi32(sums);
}

/* Queries in order for each key. */
static void add_column_sums(const scratch *s, size_t rows, size_t n, const float *inverse_sums)
{
    for (size_t j = 0; j < n; j += 16) {
        __m512 sum = _mm512_loadu_ps(s->head_sums + j);
        for (size_t r = 0; r < rows; r++) {
            const uint8_t *p = s->weights + r * s->keys_padded + j;
            __m512i weights = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
            sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(weights), _mm512_set1_ps(inverse_sums[r]), sum);
        }
        _mm512_storeu_ps(s->head_sums + j, sum);
    }
}

/* Weights of `rows` queries from q on; inverse_sums: [rows] */
static void weigh_rows(const rung_attention *attention, const float *q, size_t rows, const scratch *s,
                       float *inverse_sums)
{
    size_t seq_len = attention->seq_len;
    float scale = VMATH_LOG2_E / sqrtf((float)attention->head_size);
    float query_scales[QUERY_ROWS];
    for (size_t r = 0; r < rows; r++) {
        ask_for_row(q + min_size(r + 4, rows - 1) * attention->stride, attention->head_size);
        quantize_row(q + r * attention->stride, attention->head_size, s->queries + r * s->head_padded,
                     query_scales + r);
    }
    for (size_t key = 0; key < seq_len; key += RUNG_PANEL) {
        multiply(s->queries, s->head_padded, rows, s->keys + key * 4 * s->key_k4, seq_len - key, s->key_k4,
                 s->key_starts + key, s->products + QUERY_ROWS * key);
    }
    for (size_t r = 0; r < rows; r++) {
        int32_t *row = s->products + RUNG_PANEL * r;
        float max = scale_row(row, seq_len, s->key_scales);
        inverse_sums[r] = weigh_row(row, seq_len, max, query_scales[r] * scale, s->weights + r * s->keys_padded);
    }
    if (attention->column_sums != NULL) {
        add_column_sums(s, rows, seq_len, inverse_sums);
    }
}

/* context: the first of `rows` rows, at the head's first column. */
static void mix_values(const rung_attention *attention, size_t rows, const scratch *s, const float *inverse_sums,
                       float *context)
{
    static const int32_t zeros[RUNG_PANEL];
    for (size_t d0 = 0; d0 < attention->head_size; d0 += RUNG_PANEL) {
        size_t columns = min_size(attention->head_size - d0, RUNG_PANEL);
        multiply(s->weights, s->keys_padded, rows, s->values + d0 * 4 * s->value_k4, columns, s->value_k4, zeros,
                 s->context);
        for (size_t r = 0; r < rows; r++) {
            float *to = context + r * attention->context_stride + d0;
            __m512 inverse = _mm512_set1_ps(inverse_sums[r]);
            for (size_t d = 0; d < columns; d += 16) {
                __m512 sums = _mm512_cvtepi32_ps(_mm512_loadu_si512(s->context + RUNG_PANEL * r + d));
                __m512 scale = _mm512_mul_ps(inverse, _mm512_loadu_ps(s->value_scales + d0 + d));
                store_lanes(to + d, columns - d, _mm512_mul_ps(sums, scale));
            }
        }
    }
}

void rung_avx512_attention_s8(const rung_attention *attention)
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
            weigh_rows(attention, attention->q + row * attention->stride + column, rows, &s, inverse_sums);
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
