/* neon_attention_s8.c: int8 attention of the tables for arm64, around the tiles of a set. Called by neon.c,
 * neon_dotprod.c and neon_i8mm.c. Keys and values of a head become slices, as weights are. Tiles multiply signed bytes:
 * they get p - 128, and 128 times the sum of each column of values is added. Bits are those of ref.c. Orders and
 * formulas: kernels.h. */
#include "kernels/neon_math.h"

/* Query rows of a head that share a pass over keys and values: whole tiles of every set. */
enum { QUERY_ROWS = 12 };

/* The parts of the scratch. */
typedef struct scratch {
    size_t keys_padded; /* multiples of 16 */
    size_t head_padded;
    size_t q8_stride;
    int8_t *keys;         /* [keys_padded / 16] slices of head_padded k */
    float *key_scales;    /* [keys_padded], 0 for the padding */
    int8_t *values;       /* [head_padded / 16] slices of keys_padded k */
    float *value_scales;  /* [head_padded], 0 for the padding */
    int32_t *value_terms; /* [head_padded] 128 times the sum of a column */
    int8_t *lines;        /* [head_padded or keys_padded][16] of one slice before it is packed */
    uint8_t *rows;        /* [16][q8_stride] quantised keys, or queries */
    float *query_scales;  /* [QUERY_ROWS] */
    uint8_t *weights;     /* [QUERY_ROWS][keys_padded] p - 128 */
    uint8_t *packed;      /* [QUERY_ROWS][head_padded or keys_padded] rows as the set packs them */
    int32_t *scores;      /* [QUERY_ROWS][keys_padded] products, then scores as floats in the same place */
    int32_t *context;     /* [QUERY_ROWS][16] */
    float *head_sums;     /* [keys_padded] column sums of one head */
    float *sums;          /* [keys_padded] of the heads so far */
} scratch;

/* A part of `bytes` behind the *used ones; NULL when `base` is. */
static void *take(uint8_t *base, size_t *used, size_t bytes)
{
    size_t start = *used;
    *used += rung_neon_round_up(bytes, 64);
    return base == NULL ? NULL : base + start;
}

/* Lays the parts out from `base` on, which may be NULL to measure; returns the bytes they take. */
static size_t carve(size_t seq_len, size_t head_size, uint8_t *base, scratch *s)
{
    size_t used = 0;
    size_t keys = rung_neon_round_up(seq_len, SLICE);
    size_t head = rung_neon_round_up(head_size, SLICE);
    size_t longest = keys > head ? keys : head;
    s->keys_padded = keys;
    s->head_padded = head;
    s->q8_stride = rung_q8_stride(head_size);
    s->keys = take(base, &used, keys * head);
    s->key_scales = take(base, &used, keys * sizeof(float));
    s->values = take(base, &used, keys * head);
    s->value_scales = take(base, &used, head * sizeof(float));
    s->value_terms = take(base, &used, head * sizeof(int32_t));
    s->lines = take(base, &used, longest * SLICE);
    s->rows = take(base, &used, SLICE * s->q8_stride);
    s->query_scales = take(base, &used, QUERY_ROWS * sizeof(float));
    s->weights = take(base, &used, QUERY_ROWS * keys);
    s->packed = take(base, &used, QUERY_ROWS * longest);
    s->scores = take(base, &used, QUERY_ROWS * keys * sizeof(int32_t));
    s->context = take(base, &used, QUERY_ROWS * SLICE * sizeof(int32_t));
    s->head_sums = take(base, &used, keys * sizeof(float));
    s->sums = take(base, &used, keys * sizeof(float));
    return used;
}

size_t rung_neon_attention_s8_scratch_bytes(size_t seq_len, size_t head_size)
{
    scratch s;
    return carve(seq_len, head_size, NULL, &s);
}

/* lines[k4][16][4] = 16 rows of s->rows. */
static void lines_of_rows(const scratch *s)
{
    for (size_t r = 0; r < SLICE; r += 4) {
        for (size_t i = 0; i < s->head_padded; i += 16) {
            float32x4_t block[4];
            UNROLL
            for (size_t j = 0; j < 4; j++) {
                block[j] = vreinterpretq_f32_u8(vld1q_u8(s->rows + (r + j) * s->q8_stride + i));
            }
            transpose_4(block);
            UNROLL
            for (size_t j = 0; j < 4; j++) {
                vst1q_s8(s->lines + (i / 4 + j) * SLICE_LINE_BYTES + 4 * r, vreinterpretq_s8_f32(block[j]));
            }
        }
    }
}

static void pack_keys(const rung_neon_s8 *set, const rung_attention *attention, const float *k, const scratch *s)
{
    for (size_t key = 0; key < s->keys_padded; key += SLICE) {
        size_t rows = rung_neon_min(attention->seq_len - key, SLICE);
        rung_q8 out = {.data = s->rows, .scales = s->key_scales + key};
        rung_neon_quantize_rows(k + key * attention->stride, attention->stride, rows, attention->head_size, out);
        memset(s->rows + rows * s->q8_stride, 0, (SLICE - rows) * s->q8_stride);
        memset(s->key_scales + key + rows, 0, (SLICE - rows) * sizeof(float));
        lines_of_rows(s);
        set->pack_slice(s->lines, SLICE_LINE_BYTES, s->head_padded / 4, s->keys + key * s->head_padded);
    }
}

/* What to multiply each of 16 columns of v with; their scales. */
static lanes_16 column_inverses(const rung_attention *attention, const float *v, size_t columns, float *scales)
{
    lanes_16 absmax = set_16(0.0f);
    for (size_t j = 0; j < attention->seq_len; j++) {
        lanes_16 row = load_16(v + j * attention->stride, columns, 0.0f);
        UNROLL
        for (size_t i = 0; i < 4; i++) {
            absmax.v[i] = vmaxq_f32(absmax.v[i], vabsq_f32(row.v[i]));
        }
    }
    UNROLL
    for (size_t i = 0; i < 4; i++) {
        absmax.v[i] = v_quantizer(absmax.v[i], scales + 4 * i);
    }
    return absmax;
}

/* 16 columns of values. */
static void pack_columns(const rung_neon_s8 *set, const rung_attention *attention, const float *v, size_t columns,
                         size_t column, const scratch *s)
{
    lanes_16 inverses = column_inverses(attention, v, columns, s->value_scales + column);
    int32x4_t sums[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
    for (size_t key = 0; key < s->keys_padded; key += 4) {
        int8x16x4_t four;
        UNROLL
        for (size_t i = 0; i < 4; i++) {
            size_t known = key + i < attention->seq_len ? columns : 0;
            lanes_16 row = load_16(known > 0 ? v + (key + i) * attention->stride : v, known, 0.0f);
            int32x4_t q[4];
            UNROLL
            for (size_t j = 0; j < 4; j++) {
                q[j] = v_quantize(row.v[j], inverses.v[j]);
                sums[j] = vaddq_s32(sums[j], q[j]);
            }
            four.val[i] = v_narrow(q);
        }
        vst4q_s8(s->lines + key * SLICE, four);
    }
    UNROLL
    for (size_t i = 0; i < 4; i++) {
        vst1q_s32(s->value_terms + column + 4 * i, vshlq_n_s32(sums[i], 7));
    }
    set->pack_slice(s->lines, SLICE_LINE_BYTES, s->keys_padded / 4, s->values + column * s->keys_padded);
}

/* The rows as tiles read them; *stride becomes theirs. */
static const uint8_t *pack_rows(const rung_neon_s8 *set, const uint8_t *rows, size_t *stride, size_t count, size_t k,
                                const scratch *s)
{
    if (set->pack_rows == NULL) {
        return rows;
    }
    set->pack_rows(rows, *stride, count, k, s->packed);
    *stride = k;
    return s->packed;
}

/* Products become scores, in place; returns the largest of the first n. */
static float scale_row(int32_t *products, size_t n, const float *key_scales)
{
    float *scores = (float *)(void *)products;
    for (size_t j = 0; j < n; j += 4) {
        vst1q_f32(scores + j, vmulq_f32(vcvtq_f32_s32(vld1q_s32(products + j)), vld1q_f32(key_scales + j)));
    }
    lanes_16 max = set_16(-INFINITY);
    for (size_t j = 0; j < n; j += 16) {
        lanes_16 lanes = load_16(scores + j, n - j, -INFINITY);
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            max.v[v] = vmaxq_f32(max.v[v], lanes.v[v]);
        }
    }
    return max_16(max);
}

ALWAYS_INLINE uint8x16_t bytes_below(size_t n)
{
    static const uint8_t lanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return vcltq_u8(vld1q_u8(lanes), vdupq_n_u8((uint8_t)n));
}

/* weights = p - 128 of the first n keys, of 0 up to a multiple of 16; returns 1 / the sum of p. */
static float weigh_row(const float *scores, size_t n, float max, float factor, uint8_t *weights)
{
    uint32x4_t sum = vdupq_n_u32(0);
    for (size_t j = 0; j < n; j += 16) {
        int32x4_t parts[4];
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            float32x4_t below = vsubq_f32(vld1q_f32(scores + j + 4 * v), vdupq_n_f32(max));
            parts[v] = v_exp2_u8(vmulq_n_f32(below, factor));
        }
        uint8x16_t p = vreinterpretq_u8_s8(v_narrow(parts));
        if (n - j < 16) {
            p = vandq_u8(p, bytes_below(n - j));
        }
        sum = vpadalq_u16(sum, vpaddlq_u8(p));
        vst1q_u8(weights + j, veorq_u8(p, vdupq_n_u8(128)));
    }
    return 1.0f / (float)(int32_t)vaddvq_u32(sum);
}

/* sums[n] += p * inverse_sums[row], row by row; n is a multiple of 16. */
static void add_column_sums(const uint8_t *weights, size_t stride, size_t rows, size_t n, const float *inverse_sums,
                            float *sums)
{
    for (size_t j = 0; j < n; j += 16) {
        lanes_16 sum = load_all_16(sums + j);
        for (size_t r = 0; r < rows; r++) {
            uint8x16_t p = veorq_u8(vld1q_u8(weights + r * stride + j), vdupq_n_u8(128));
            uint16x8_t low = vmovl_u8(vget_low_u8(p));
            uint16x8_t high = vmovl_high_u8(p);
            uint32x4_t parts[4] = {vmovl_u16(vget_low_u16(low)), vmovl_high_u16(low), vmovl_u16(vget_low_u16(high)),
                                   vmovl_high_u16(high)};
            UNROLL
            for (size_t v = 0; v < 4; v++) {
                sum.v[v] = vfmaq_n_f32(sum.v[v], vcvtq_f32_u32(parts[v]), inverse_sums[r]);
            }
        }
        store_all_16(sums + j, sum);
    }
}

/* s->weights of `rows` queries; inverse_sums: [rows] */
static void weigh_rows(const rung_neon_s8 *set, const rung_attention *attention, const float *q, size_t rows,
                       const scratch *s, float *inverse_sums)
{
    float scale = VMATH_LOG2_E / sqrtf((float)attention->head_size);
    rung_q8 out = {.data = s->rows, .scales = s->query_scales};
    rung_neon_quantize_rows(q, attention->stride, rows, attention->head_size, out);
    size_t stride = s->q8_stride;
    const uint8_t *queries = pack_rows(set, s->rows, &stride, rows, s->head_padded, s);
    for (size_t key = 0; key < s->keys_padded; key += SLICE) {
        rung_neon_multiply_s8(set, queries, stride, rows, s->keys + key * s->head_padded, s->head_padded / STEP_K,
                              false, s->scores + key, s->keys_padded);
    }
    for (size_t r = 0; r < rows; r++) {
        int32_t *row = s->scores + r * s->keys_padded;
        float max = scale_row(row, attention->seq_len, s->key_scales);
        inverse_sums[r] = weigh_row((const float *)(const void *)row, attention->seq_len, max,
                                    s->query_scales[r] * scale, s->weights + r * s->keys_padded);
    }
    if (attention->column_sums != NULL) {
        add_column_sums(s->weights, s->keys_padded, rows, s->keys_padded, inverse_sums, s->head_sums);
    }
}

/* context: the first of `rows` rows, at the head's first column. */
static void mix_values(const rung_neon_s8 *set, const rung_attention *attention, size_t rows, const scratch *s,
                       const float *inverse_sums, float *context)
{
    size_t stride = s->keys_padded;
    const uint8_t *weights = pack_rows(set, s->weights, &stride, rows, s->keys_padded, s);
    for (size_t column = 0; column < s->head_padded; column += SLICE) {
        rung_neon_multiply_s8(set, weights, stride, rows, s->values + column * s->keys_padded, s->keys_padded / STEP_K,
                              false, s->context, SLICE);
        for (size_t r = 0; r < rows; r++) {
            lanes_16 lanes;
            UNROLL
            for (size_t v = 0; v < 4; v++) {
                int32x4_t sums = vld1q_s32(s->context + SLICE * r + 4 * v);
                sums = vaddq_s32(sums, vld1q_s32(s->value_terms + column + 4 * v));
                float32x4_t scales = vmulq_n_f32(vld1q_f32(s->value_scales + column + 4 * v), inverse_sums[r]);
                lanes.v[v] = vmulq_f32(vcvtq_f32_s32(sums), scales);
            }
            store_16(context + r * attention->context_stride + column, attention->head_size - column, lanes);
        }
    }
}

static void attend_head(const rung_neon_s8 *set, const rung_attention *attention, size_t head, const scratch *s)
{
    size_t first = head * attention->head_size;
    float inverse_sums[QUERY_ROWS];
    pack_keys(set, attention, attention->k + first, s);
    for (size_t column = 0; column < attention->head_size; column += SLICE) {
        pack_columns(set, attention, attention->v + first + column, attention->head_size - column, column, s);
    }
    for (size_t row = 0; row < attention->seq_len; row += QUERY_ROWS) {
        size_t rows = rung_neon_min(attention->seq_len - row, QUERY_ROWS);
        weigh_rows(set, attention, attention->q + row * attention->stride + first, rows, s, inverse_sums);
        mix_values(set, attention, rows, s, inverse_sums, attention->context + row * attention->context_stride + first);
    }
}

void rung_neon_attention_s8(const rung_neon_s8 *set, const rung_attention *attention)
{
    scratch s;
    carve(attention->seq_len, attention->head_size, attention->scratch, &s);
    memset(s.sums, 0, s.keys_padded * sizeof *s.sums);
    for (size_t head = 0; head < attention->num_heads; head++) {
        memset(s.head_sums, 0, s.keys_padded * sizeof *s.head_sums);
        attend_head(set, attention, head, &s);
        for (size_t j = 0; j < s.keys_padded; j++) {
            s.sums[j] += s.head_sums[j];
        }
    }
    for (size_t j = 0; attention->column_sums != NULL && j < attention->seq_len; j++) {
        attention->column_sums[j] += s.sums[j] / (float)attention->num_heads;
    }
}
