/* avxvnni_attention_s8.c: int8 attention for AVX-VNNI. Called through the table of avxvnni.c. Keys and values of a head
 * are slices of 16 columns for the tiles of avxvnni_tiles.h. Queries are stored as q + 128, so that a product starts from
 * -128 * the sum of its key; the weights p are unsigned and multiplied as they are. Bits are those of ref.c. Orders and
 * formulas: kernels.h. */
#include "kernels/avxvnni_attention_s8.h"

#include "kernels/avx2_scores.h"
#include "kernels/avxvnni_tiles.h"

#include <math.h>
#include <string.h>

enum {
    QUERY_ROWS = 2 * VNNI_TILE_ROWS, /* query rows of a head that share a pass over keys and values */
    SLICE_BYTES = 4 * SLICE,
};

/* The parts of the scratch. */
typedef struct scratch {
    size_t keys_padded;  /* multiple of 16 */
    size_t head_padded;  /* multiple of 64, the stride of quantised rows */
    size_t key_k4;       /* fours of a key */
    size_t value_k4;     /* fours of a column of values */
    int8_t *keys;        /* [keys_padded / 16][key_k4][16][4] */
    int32_t *key_starts; /* [keys_padded] -128 * the sum of the key */
    float *key_scales;   /* [keys_padded] */
    int8_t *values;      /* [head_padded / 16][value_k4][16][4] */
    float *value_scales; /* [head_padded] */
    uint8_t *queries;    /* [QUERY_ROWS][head_padded] */
    int32_t *products;   /* [QUERY_ROWS][keys_padded], then scores as floats in the same place */
    uint8_t *weights;    /* [QUERY_ROWS][keys_padded] p */
    int32_t *context;    /* [QUERY_ROWS][16] */
    uint8_t *rows;       /* [8][head_padded] keys, quantised */
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
    s->keys_padded = round_up(seq_len, SLICE);
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
    s->context = take(base, &used, QUERY_ROWS * SLICE * sizeof *s->context);
    s->rows = take(base, &used, 8 * s->head_padded);
    s->head_sums = take(base, &used, s->keys_padded * sizeof *s->head_sums);
    s->sums = take(base, &used, s->keys_padded * sizeof *s->sums);
    return used;
}

size_t rung_avxvnni_attention_s8_scratch_bytes(size_t seq_len, size_t head_size)
{
    scratch s;
    return carve(seq_len, head_size, NULL, &s);
}

/* Eight keys from `key` on into the lanes of their slice, zeros for those past the last. */
static void pack_eight_keys(const rung_attention *attention, const float *k, size_t key, const scratch *s)
{
    const __m256i offset = _mm256_set1_epi8((char)-128);
    for (size_t i = 0; i < 8; i++) {
        uint8_t *row = s->rows + i * s->head_padded;
        s->key_scales[key + i] = 0.0f;
        memset(row, 128, s->head_padded);
        if (key + i < attention->seq_len) {
            ask_for_row(k + min_size(key + i + 8, attention->seq_len - 1) * attention->stride, attention->head_size);
            quantize_row_u8(k + (key + i) * attention->stride, attention->head_size, row, s->key_scales + key + i);
        }
    }
    int8_t *to = s->keys + key / SLICE * SLICE_BYTES * s->key_k4 + 4 * (key % SLICE);
    __m256i sums = _mm256_setzero_si256();
    for (size_t k4 = 0; k4 < s->key_k4; k4 += 8) {
        __m256 block[8];
        for (size_t i = 0; i < 8; i++) {
            block[i] = _mm256_loadu_ps((const float *)(const void *)(s->rows + i * s->head_padded + 4 * k4));
        }
        transpose_8(block);
        for (size_t i = 0; i < min_size(s->key_k4 - k4, 8); i++) {
            __m256i fours = _mm256_xor_si256(_mm256_castps_si256(block[i]), offset);
            _mm256_storeu_si256((__m256i *)(void *)(to + SLICE_BYTES * (k4 + i)), fours);
            DOT_VNNI(sums, offset, fours);
        }
    }
    store_s32(s->key_starts + key, _mm256_sub_epi32(_mm256_setzero_si256(), sums));
}

/* 8 columns of values into their half of a slice. */
static void pack_eight_columns(const rung_attention *attention, const float *v, size_t columns, const scratch *s,
                               int8_t *to, float *scales)
{
    /* In each 128-bit part, four bytes of each of four rows: columns together. */
    const __m256i order =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    __m256 inverses = column_inverses(attention, v, columns, scales);
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
        __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
        _mm256_storeu_si256((__m256i *)(void *)(to + SLICE_BYTES * k4), _mm256_shuffle_epi8(bytes, order));
    }
}

static void pack_head(const rung_attention *attention, size_t head, const scratch *s)
{
    size_t column = head * attention->head_size;
    for (size_t key = 0; key < s->keys_padded; key += 8) {
        pack_eight_keys(attention, attention->k + column, key, s);
    }
    for (size_t d = 0; d < round_up(attention->head_size, SLICE); d += 8) {
        size_t known = min_size(d, attention->head_size);
        int8_t *to = s->values + d / SLICE * SLICE_BYTES * s->value_k4 + 4 * (d % SLICE);
        pack_eight_columns(attention, attention->v + column + known, attention->head_size - known, s, to,
                           s->value_scales + d);
    }
}

/* out[rows][16] = start + a[rows][4 k4] slice[k4][16][4] */
static void multiply(const uint8_t *a, size_t a_stride, size_t rows, const int8_t *slice, size_t k4,
                     const int32_t *start, int32_t *out, size_t out_stride)
{
    for (size_t r = 0; r < rows;) {
        size_t tile_rows = next_tile_rows(rows - r, VNNI_TILE_ROWS);
        tiles_vnni[tile_rows - 1](a + r * a_stride, a_stride, slice, SLICE_BYTES, k4, start, 0, out + r * out_stride,
                                  out_stride);
        r += tile_rows;
    }
}

/* weights = p of the first n keys, zeros up to a multiple of 16; returns 1 / their sum. */
static float weigh_row(const float *scores, size_t n, float max, float factor, uint8_t *weights)
{
    __m256 max_lanes = _mm256_set1_ps(max);
    __m256 factor_lanes = _mm256_set1_ps(factor);
    __m256i sums = _mm256_setzero_si256();
    for (size_t j = 0; j < n; j += 16) {
        __m256i low = weigh_lanes(scores + j, max_lanes, factor_lanes);
        __m256i high = weigh_lanes(scores + j + 8, max_lanes, factor_lanes);
        if (n - j < 16) {
            low = _mm256_and_si256(low, lanes_below(min_size(n - j, 8)));
            high = _mm256_and_si256(high, lanes_below(n - j < 8 ? 0 : n - j - 8));
        }
        sums = _mm256_add_epi32(sums, _mm256_add_epi32(low, high));
        __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xd8);
        __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
        _mm_storeu_si128((__m128i *)(void *)(weights + j), bytes);
    }
    return 1.0f / (float)v_add_lanes_s32(sums);
}

/* Queries in order for each key. */
static void add_column_sums(const scratch *s, size_t rows, size_t n, const float *inverse_sums)
{
    for (size_t j = 0; j < n; j += 8) {
        __m256 sum = _mm256_loadu_ps(s->head_sums + j);
        for (size_t r = 0; r < rows; r++) {
            const uint8_t *p = s->weights + r * s->keys_padded + j;
            __m256i weights = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
            sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(weights), _mm256_set1_ps(inverse_sums[r]), sum);
        }
        _mm256_storeu_ps(s->head_sums + j, sum);
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
        quantize_row_u8(q + r * attention->stride, attention->head_size, s->queries + r * s->head_padded,
                        query_scales + r);
    }
    for (size_t key = 0; key < s->keys_padded; key += SLICE) {
        multiply(s->queries, s->head_padded, rows, s->keys + key * 4 * s->key_k4, s->key_k4, s->key_starts + key,
                 s->products + key, s->keys_padded);
    }
    for (size_t r = 0; r < rows; r++) {
        int32_t *row = s->products + r * s->keys_padded;
        float max = scale_row(row, seq_len, s->key_scales);
        inverse_sums[r] = weigh_row((const float *)(const void *)row, seq_len, max, query_scales[r] * scale,
                                    s->weights + r * s->keys_padded);
    }
    if (attention->column_sums != NULL) {
        add_column_sums(s, rows, seq_len, inverse_sums);
    }
}

/* context: the first of `rows` rows, at the head's first column. */
static void mix_values(const rung_attention *attention, size_t rows, const scratch *s, const float *inverse_sums,
                       float *context)
{
    static const int32_t zeros[SLICE];
    for (size_t d0 = 0; d0 < attention->head_size; d0 += SLICE) {
        multiply(s->weights, s->keys_padded, rows, s->values + d0 * 4 * s->value_k4, s->value_k4, zeros, s->context,
                 SLICE);
        size_t columns = min_size(attention->head_size - d0, SLICE);
        for (size_t r = 0; r < rows; r++) {
            float *to = context + r * attention->context_stride + d0;
            for (size_t d = 0; d < columns; d += 8) {
                __m256 sums = _mm256_cvtepi32_ps(load_s32(s->context + SLICE * r + d));
                __m256 scale =
                    _mm256_mul_ps(_mm256_set1_ps(inverse_sums[r]), _mm256_loadu_ps(s->value_scales + d0 + d));
                store_lanes(to + d, columns - d, _mm256_mul_ps(sums, scale));
            }
        }
    }
}

void rung_avxvnni_attention_s8(const rung_attention *attention)
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
