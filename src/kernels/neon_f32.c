/* neon_f32.c: the work on floats of the tables for arm64, on plain NEON: quantisation, LayerNorm, fp32 layers,
 * attention, tanh and what follows a product. Called through the tables of neon.c, neon_dotprod.c and neon_i8mm.c.
 * Bits are those of ref.c: every operation and order is the one that kernels.h fixes. */
#include "kernels/neon_math.h"

enum {
    F32_TILE_ROWS = 5, /* 20 sums, 5 inputs and 4 weights of 32 registers */
    F32_BLOCK_ROWS = 120,
    F32_BLOCK_K = 256, /* a slice's part of 16 KiB stays in L1 */
    QUERY_ROWS = 10,   /* query rows of a head that share a pass over keys and values */
    PEAK_SUMS_F32 = 24,
};

/* ---- Quantisation. ---- */

static float absmax_row(const float *x, size_t n)
{
    lanes_16 max = set_16(0.0f);
    for (size_t i = 0; i < n; i += 16) {
        lanes_16 lanes = load_16(x + i, n - i, 0.0f);
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            max.v[v] = vmaxq_f32(max.v[v], vabsq_f32(lanes.v[v]));
        }
    }
    return max_16(max);
}

static void quantize_row(const float *x, size_t k, uint8_t *q, float *scale)
{
    size_t stride = rung_q8_stride(k);
    float absmax = absmax_row(x, k);
    if (absmax < RUNG_Q8_LEAST) {
        memset(q, 0, stride);
        *scale = 0.0f;
        return;
    }
    float32x4_t inverse = vdupq_n_f32(127.0f / absmax);
    for (size_t i = 0; i < k; i += 16) {
        lanes_16 lanes = load_16(x + i, k - i, 0.0f);
        int32x4_t parts[4];
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            parts[v] = v_quantize(lanes.v[v], inverse);
        }
        vst1q_u8(q + i, vreinterpretq_u8_s8(v_narrow(parts)));
    }
    size_t written = rung_neon_round_up(k, 16);
    memset(q + written, 0, stride - written);
    *scale = absmax / 127.0f;
}

void rung_neon_quantize_rows(const float *x, size_t x_stride, size_t m, size_t k, rung_q8 out)
{
    for (size_t row = 0; row < m; row++) {
        quantize_row(x + row * x_stride, k, out.data + row * rung_q8_stride(k), out.scales + row);
    }
}

/* ---- What follows a product. ---- */

ALWAYS_INLINE lanes_16 finish_lanes(lanes_16 z, rung_epilogue epilogue, const float *residual, size_t n)
{
    if (epilogue == RUNG_EPILOGUE_GELU) {
        return v_geluf(z);
    }
    if (epilogue == RUNG_EPILOGUE_GELU_COARSE) {
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            z.v[v] = v_gelu_coarsef(z.v[v]);
        }
    }
    if (epilogue == RUNG_EPILOGUE_RELU) {
        float32x4_t zero = vdupq_n_f32(0.0f);
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            z.v[v] = vbslq_f32(vcgtq_f32(zero, z.v[v]), zero, z.v[v]); /* leaves -0 */
        }
    }
    if (epilogue == RUNG_EPILOGUE_RESIDUAL) {
        lanes_16 other = load_16(residual, n, 0.0f);
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            z.v[v] = vaddq_f32(z.v[v], other.v[v]);
        }
    }
    return z;
}

/* Sums of 16 columns with scale and bias. */
ALWAYS_INLINE lanes_16 scale_sums(const rung_neon_sums *s, size_t row, size_t column)
{
    lanes_16 z;
    UNROLL
    for (size_t v = 0; v < 4; v++) {
        size_t c = column + 4 * v;
        float32x4_t bias = vld1q_f32(s->bias + c);
        if (s->scales != NULL) {
            int32x4_t sums = vld1q_s32((const int32_t *)s->sums + row * s->sums_stride + c);
            float32x4_t scale = vmulq_n_f32(vld1q_f32(s->scales + c), s->row_scales[row]);
            z.v[v] = vfmaq_f32(bias, vcvtq_f32_s32(sums), scale);
        } else {
            z.v[v] = vaddq_f32(vld1q_f32((const float *)s->sums + row * s->sums_stride + c), bias);
        }
    }
    return z;
}

ALWAYS_INLINE void store_sums(const rung_neon_sums *s, rung_epilogue epilogue)
{
    for (size_t r = 0; r < s->rows; r++) {
        for (size_t c = 0; c < s->columns; c += SLICE) {
            size_t at = r * s->y_stride + c;
            size_t n = s->columns - c;
            const float *residual = epilogue == RUNG_EPILOGUE_RESIDUAL ? s->residual + at : NULL;
            store_16(s->y + at, n, finish_lanes(scale_sums(s, r, c), epilogue, residual, n));
        }
    }
}

void rung_neon_finish_sums(const rung_neon_sums *sums, rung_epilogue epilogue)
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

/* ---- Linear layers, fp32. ---- */

/* sums[r][v] += x[r][LANE] * the weights of 16 columns at `from`; `lane` is a constant. */
#define MULTIPLY_ADD(sums, rows, x, from, lane)                                                                        \
    do {                                                                                                               \
        lanes_16 weights_ = load_all_16(from);                                                                         \
        UNROLL                                                                                                         \
        for (size_t r = 0; r < (rows); r++) {                                                                          \
            UNROLL                                                                                                     \
            for (size_t v = 0; v < 4; v++) {                                                                           \
                (sums)[r].v[v] = vfmaq_laneq_f32((sums)[r].v[v], weights_.v[v], (x)[r], lane);                         \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)

/* out[rows][16] (+)= a[rows][k] b[k][16], one fused step per k in order. */
ALWAYS_INLINE void tile_f32_body(size_t rows, const float *a, size_t a_stride, const float *b, size_t k, bool add,
                                 float *out, size_t out_stride)
{
    lanes_16 sums[F32_TILE_ROWS];
    float32x4_t x[F32_TILE_ROWS];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        sums[r] = add ? load_all_16(out + r * out_stride) : set_16(0.0f);
    }
    size_t i = 0;
    KEEP_LOOP
    for (; i + 4 <= k; i += 4) {
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            x[r] = vld1q_f32(a + r * a_stride + i);
        }
        MULTIPLY_ADD(sums, rows, x, b + i * SLICE, 0);
        MULTIPLY_ADD(sums, rows, x, b + (i + 1) * SLICE, 1);
        MULTIPLY_ADD(sums, rows, x, b + (i + 2) * SLICE, 2);
        MULTIPLY_ADD(sums, rows, x, b + (i + 3) * SLICE, 3);
    }
    KEEP_LOOP
    for (; i < k; i++) {
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            x[r] = vld1q_dup_f32(a + r * a_stride + i);
        }
        MULTIPLY_ADD(sums, rows, x, b + i * SLICE, 0);
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        store_all_16(out + r * out_stride, sums[r]);
    }
}

typedef void tile_f32_function(const float *a, size_t a_stride, const float *b, size_t k, bool add, float *out,
                               size_t out_stride);

#define TILE_F32(rows)                                                                                                 \
    NEVER_INLINE void tile_f32_##rows(const float *a, size_t a_stride, const float *b, size_t k, bool add, float *out, \
                                      size_t out_stride)                                                               \
    {                                                                                                                  \
        tile_f32_body(rows, a, a_stride, b, k, add, out, out_stride);                                                  \
    }

TILE_F32(1)
TILE_F32(2)
TILE_F32(3)
TILE_F32(4)
TILE_F32(5)

/* out[rows][16] (+)= a[rows][k] b[k][16]. */
static void multiply_f32(const float *a, size_t a_stride, size_t rows, const float *b, size_t k, bool add, float *out,
                         size_t out_stride)
{
    static tile_f32_function *const tiles[F32_TILE_ROWS] = {tile_f32_1, tile_f32_2, tile_f32_3, tile_f32_4, tile_f32_5};
    for (size_t r = 0; r < rows;) {
        size_t tile_rows = rung_neon_tile_rows(rows - r, F32_TILE_ROWS, 1);
        tiles[tile_rows - 1](a + r * a_stride, a_stride, b, k, add, out + r * out_stride, out_stride);
        r += tile_rows;
    }
}

/* sums[rows][64] of the panel at column0 and up to F32_BLOCK_ROWS rows of x. */
static void multiply_panel_f32(const rung_linear_f32 *w, size_t column0, const float *x, size_t x_stride, size_t rows,
                               float *sums)
{
    _Alignas(64) float slice[F32_BLOCK_K * SLICE];
    const float *panel = w->panels + column0 * w->in_features;
    size_t columns = rung_neon_min(w->out_features - column0, RUNG_PANEL);
    for (size_t k0 = 0; k0 < w->in_features; k0 += F32_BLOCK_K) {
        size_t k = rung_neon_min(w->in_features - k0, F32_BLOCK_K);
        for (size_t c = 0; c < columns; c += SLICE) {
            const float *from = panel + k0 * RUNG_PANEL + c;
            for (size_t i = 0; i < k; i++) {
                store_all_16(slice + i * SLICE, load_all_16(from + i * RUNG_PANEL));
            }
            multiply_f32(x + k0, x_stride, rows, slice, k, k0 > 0, sums + c, RUNG_PANEL);
        }
    }
}

void rung_neon_linear_f32(const rung_linear_f32 *w, const float *x, size_t x_stride, size_t m, rung_epilogue epilogue,
                          const float *residual, float *y, size_t y_stride)
{
    _Alignas(64) float sums[F32_BLOCK_ROWS * RUNG_PANEL];
    for (size_t column0 = 0; column0 < w->out_features; column0 += RUNG_PANEL) {
        for (size_t row0 = 0; row0 < m; row0 += F32_BLOCK_ROWS) {
            size_t rows = rung_neon_min(m - row0, F32_BLOCK_ROWS);
            multiply_panel_f32(w, column0, x + row0 * x_stride, x_stride, rows, sums);
            size_t at = row0 * y_stride + column0;
            rung_neon_sums output = {.sums = sums,
                                     .sums_stride = RUNG_PANEL,
                                     .bias = w->bias + column0,
                                     .residual = epilogue == RUNG_EPILOGUE_RESIDUAL ? residual + at : NULL,
                                     .y = y + at,
                                     .y_stride = y_stride,
                                     .rows = rows,
                                     .columns = rung_neon_min(w->out_features - column0, RUNG_PANEL)};
            rung_neon_finish_sums(&output, epilogue);
        }
    }
}

/* ---- LayerNorm. ---- */

static float sum_row(const float *x, size_t n)
{
    lanes_16 sum = set_16(0.0f);
    for (size_t i = 0; i < n; i += 16) {
        lanes_16 lanes = load_16(x + i, n - i, 0.0f);
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            sum.v[v] = vaddq_f32(sum.v[v], lanes.v[v]);
        }
    }
    return add_16(sum);
}

static float sum_squared_deviations(const float *x, size_t n, float mean)
{
    lanes_16 sum = set_16(0.0f);
    for (size_t i = 0; i < n; i += 16) {
        lanes_16 lanes = load_16(x + i, n - i, mean); /* missing ones deviate by 0 */
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            float32x4_t deviation = vsubq_f32(lanes.v[v], vdupq_n_f32(mean));
            sum.v[v] = vfmaq_f32(sum.v[v], deviation, deviation);
        }
    }
    return add_16(sum);
}

static void layer_norm_row(const float *x, size_t n, const float *gamma, const float *beta, float eps, float *y)
{
    float mean = sum_row(x, n) / (float)n;
    float variance = sum_squared_deviations(x, n, mean) / (float)n;
    float inverse_deviation = 1.0f / sqrtf(variance + eps);
    for (size_t i = 0; i < n; i += 16) {
        lanes_16 lanes = load_16(x + i, n - i, 0.0f);
        lanes_16 factor = load_16(gamma + i, n - i, 0.0f);
        lanes_16 term = load_16(beta + i, n - i, 0.0f);
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            float32x4_t normal = vmulq_n_f32(vsubq_f32(lanes.v[v], vdupq_n_f32(mean)), inverse_deviation);
            lanes.v[v] = vfmaq_f32(term.v[v], normal, factor.v[v]);
        }
        store_16(y + i, n - i, lanes);
    }
}

void rung_neon_layer_norm(const float *x, size_t stride, size_t m, size_t n, const float *gamma, const float *beta,
                          float eps, float *y, const rung_q8 *out)
{
    for (size_t row = 0; row < m; row++) {
        layer_norm_row(x + row * stride, n, gamma, beta, eps, y + row * stride);
        if (out != NULL) {
            quantize_row(y + row * stride, n, out->data + row * rung_q8_stride(n), out->scales + row);
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

size_t rung_neon_attention_scratch_bytes(size_t seq_len, size_t head_size)
{
    size_t keys_padded = rung_neon_round_up(seq_len, SLICE);
    size_t floats = keys_padded * head_size + seq_len * rung_neon_round_up(head_size, SLICE) +
                    QUERY_ROWS * (keys_padded + SLICE) + 2 * keys_padded;
    size_t bytes = rung_neon_round_up(floats * sizeof(float), 64);
    size_t bytes_s8 = rung_neon_attention_s8_scratch_bytes(seq_len, head_size);
    return bytes > bytes_s8 ? bytes : bytes_s8;
}

static attention_scratch carve_scratch(const rung_attention *attention)
{
    attention_scratch s = {.keys_padded = rung_neon_round_up(attention->seq_len, SLICE),
                           .head_padded = rung_neon_round_up(attention->head_size, SLICE),
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
    size_t whole = attention->seq_len / 4 * 4;
    const float *k = attention->k + head * head_size;
    for (size_t key = 0; key < s->keys_padded; key += 4) {
        float *to = s->keys + key / SLICE * SLICE * head_size + key % SLICE;
        size_t d = 0;
        for (; key < whole && d + 4 <= head_size; d += 4) {
            float32x4_t block[4];
            UNROLL
            for (size_t i = 0; i < 4; i++) {
                block[i] = vld1q_f32(k + (key + i) * attention->stride + d);
            }
            transpose_4(block);
            UNROLL
            for (size_t i = 0; i < 4; i++) {
                vst1q_f32(to + (d + i) * SLICE, block[i]);
            }
        }
        for (; d < head_size; d++) {
            for (size_t i = 0; i < 4; i++) {
                to[d * SLICE + i] = key + i < attention->seq_len ? k[(key + i) * attention->stride + d] : 0.0f;
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
            store_all_16(s->values + d * attention->seq_len + key * SLICE, load_16(from + d, head_size - d, 0.0f));
        }
    }
}

static float max_row(const float *x, size_t n)
{
    lanes_16 max = set_16(-INFINITY);
    for (size_t i = 0; i < n; i += 16) {
        lanes_16 lanes = load_16(x + i, n - i, -INFINITY);
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            max.v[v] = vmaxq_f32(max.v[v], lanes.v[v]);
        }
    }
    return max_16(max);
}

/* scores[0..n) become exp((score - max) * scale), up to the next multiple of 16 zeros; returns 1 / their sum. */
static float softmax_row(float *scores, size_t n, float scale)
{
    float32x4_t max = vdupq_n_f32(max_row(scores, n));
    lanes_16 sum = set_16(0.0f);
    for (size_t j = 0; j < n; j += 16) {
        lanes_16 p = load_all_16(scores + j);
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            p.v[v] = v_expf(vmulq_n_f32(vsubq_f32(p.v[v], max), scale));
        }
        if (n - j < 16) {
            p = keep_below(p, n - j);
        }
        store_all_16(scores + j, p);
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            sum.v[v] = vaddq_f32(sum.v[v], p.v[v]);
        }
    }
    return 1.0f / add_16(sum);
}

/* n is a multiple of 16. */
static void add_column_sums(const float *scores, size_t stride, size_t rows, size_t n, const float *inverse_sums,
                            float *sums)
{
    for (size_t j = 0; j < n; j += 16) {
        lanes_16 sum = load_all_16(sums + j);
        for (size_t r = 0; r < rows; r++) {
            lanes_16 p = load_all_16(scores + r * stride + j);
            UNROLL
            for (size_t v = 0; v < 4; v++) {
                sum.v[v] = vfmaq_n_f32(sum.v[v], p.v[v], inverse_sums[r]);
            }
        }
        store_all_16(sums + j, sum);
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
        multiply_f32(q, attention->stride, rows, s->keys + key * head_size, head_size, false, s->scores + key,
                     s->keys_padded);
    }
    for (size_t r = 0; r < rows; r++) {
        inverse_sums[r] = softmax_row(s->scores + r * s->keys_padded, seq_len, scale);
    }
    if (attention->column_sums != NULL) {
        add_column_sums(s->scores, s->keys_padded, rows, s->keys_padded, inverse_sums, s->head_sums);
    }
    for (size_t d = 0; d < head_size; d += SLICE) {
        multiply_f32(s->scores, s->keys_padded, rows, s->values + d * seq_len, seq_len, false, s->context, SLICE);
        for (size_t r = 0; r < rows; r++) {
            lanes_16 sums = load_all_16(s->context + SLICE * r);
            UNROLL
            for (size_t v = 0; v < 4; v++) {
                sums.v[v] = vmulq_n_f32(sums.v[v], inverse_sums[r]);
            }
            store_16(attention->context + (row0 + r) * attention->context_stride + head * head_size + d, head_size - d,
                     sums);
        }
    }
}

void rung_neon_attention(const rung_attention *attention)
{
    attention_scratch s = carve_scratch(attention);
    memset(s.sums, 0, s.keys_padded * sizeof *s.sums);
    for (size_t head = 0; head < attention->num_heads; head++) {
        pack_keys(attention, head, &s);
        pack_values(attention, head, &s);
        memset(s.head_sums, 0, s.keys_padded * sizeof *s.head_sums);
        for (size_t row0 = 0; row0 < attention->seq_len; row0 += QUERY_ROWS) {
            attend_rows(attention, head, row0, rung_neon_min(attention->seq_len - row0, QUERY_ROWS), &s);
        }
        for (size_t j = 0; j < s.keys_padded; j++) {
            s.sums[j] += s.head_sums[j];
        }
    }
    for (size_t j = 0; attention->column_sums != NULL && j < attention->seq_len; j++) {
        attention->column_sums[j] += s.sums[j] / (float)attention->num_heads;
    }
}

void rung_neon_tanh(const float *x, size_t n, float *y)
{
    for (size_t i = 0; i < n; i += 16) {
        lanes_16 lanes = load_16(x + i, n - i, 0.0f);
        UNROLL
        for (size_t v = 0; v < 4; v++) {
            lanes.v[v] = v_tanhf(lanes.v[v]);
        }
        store_16(y + i, n - i, lanes);
    }
}

/* ---- The machine's peak. ---- */

double rung_neon_peak_f32(size_t rounds)
{
    float32x4_t sums[PEAK_SUMS_F32];
    float32x4_t a = vdupq_n_f32(1.0f);
    UNROLL
    for (size_t i = 0; i < PEAK_SUMS_F32; i++) {
        sums[i] = vdupq_n_f32(0.0f);
    }
    for (size_t round = 0; round < rounds; round++) {
        UNROLL
        for (size_t i = 0; i < PEAK_SUMS_F32; i++) {
            __asm__("fmla %0.4s, %1.4s, %1.4s" : "+w"(sums[i]) : "w"(a));
        }
    }
    UNROLL
    for (size_t i = 0; i < PEAK_SUMS_F32; i++) {
        __asm__ volatile("" : : "w"(sums[i]));
    }
    return 8.0 * PEAK_SUMS_F32 * (double)rounds;
}
