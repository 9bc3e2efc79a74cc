/* ref.c: the kernels in plain C, written over lanes so that compilers vectorise them. Built twice on x86-64: for the
 * baseline ("ref", where fmaf is a library call) and for AVX2 with FMA ("x86-64-v3"). The same source, hence the same
 * bits. Called through the tables of dispatch.c. Must not know the machine. Sums, orders and formulas: kernels.h. */
#include "kernels/tables.h"
#include "kernels/vmath.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#ifdef RUNG_REF_V3
#define TABLE rung_kernels_x86_64_v3
#define TABLE_NAME "x86-64-v3"
#else
#define TABLE rung_kernels_ref
#define TABLE_NAME "ref"
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* Inlined into its caller, a tile loses registers to it. */
#define NEVER_INLINE static __attribute__((noinline))
/* clang would otherwise unroll the loop over k, or vectorise it, and spill. */
#ifdef __clang__
#define KEEP_LOOP _Pragma("clang loop vectorize(disable) unroll(disable)")
#else
#define KEEP_LOOP
#endif

enum {
    LANES = 16,
#ifdef __clang__
    TILE_ROWS = 6,
#else
    TILE_ROWS = 5, /* with 6, gcc 12 keeps one of AVX2's sums on the stack: half the speed */
#endif
    BLOCK_ROWS = 48, /* rows that share a copied part of a panel */
    BLOCK_K = 256,   /* the part: [4][256][16] floats, of which a tile reads one [256][16], 16 KiB */
};

/* ---- The tile: out[rows][16] (+)= a[rows][k] b[k][16], one multiply-add per k in order; b is contiguous, so that a
 * part of 256 k stays in L1. ---- */

/* Products and sums of the quantised path are integers below 2^24 in a chunk (127 * 128 * BLOCK_K), so that multiply
 * and add need not be fused. */
ALWAYS_INLINE float multiply_add(float x, float y, float sum, bool integers)
{
#ifdef FP_FAST_FMAF
    (void)integers;
    return fmaf(x, y, sum);
#else
    return integers ? x * y + sum : fmaf(x, y, sum);
#endif
}

ALWAYS_INLINE void tile_body(size_t rows, bool integers, const float *restrict a, size_t a_stride,
                             const float *restrict b, size_t k, bool add, float *restrict out, size_t out_stride)
{
    float sums[TILE_ROWS][LANES];
#pragma GCC unroll 6
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < LANES; c++) {
            sums[r][c] = add ? out[r * out_stride + c] : 0.0f;
        }
    }
    KEEP_LOOP
    for (size_t i = 0; i < k; i++) {
#pragma GCC unroll 6
        for (size_t r = 0; r < rows; r++) {
            float x = a[r * a_stride + i];
            for (size_t c = 0; c < LANES; c++) {
                sums[r][c] = multiply_add(x, b[i * LANES + c], sums[r][c], integers);
            }
        }
    }
#pragma GCC unroll 6
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < LANES; c++) {
            out[r * out_stride + c] = sums[r][c];
        }
    }
}

ALWAYS_INLINE void tile_switch(size_t rows, bool integers, const float *restrict a, size_t a_stride,
                               const float *restrict b, size_t k, bool add, float *restrict out, size_t out_stride)
{
    switch (rows) {
    case 1:
        tile_body(1, integers, a, a_stride, b, k, add, out, out_stride);
        break;
    case 2:
        tile_body(2, integers, a, a_stride, b, k, add, out, out_stride);
        break;
    case 3:
        tile_body(3, integers, a, a_stride, b, k, add, out, out_stride);
        break;
    case 4:
        tile_body(4, integers, a, a_stride, b, k, add, out, out_stride);
        break;
    case 5:
        tile_body(5, integers, a, a_stride, b, k, add, out, out_stride);
        break;
    default:
        tile_body(TILE_ROWS, integers, a, a_stride, b, k, add, out, out_stride);
        break;
    }
}

NEVER_INLINE void tile_f32(size_t rows, const float *a, size_t a_stride, const float *b, size_t k, bool add, float *out,
                           size_t out_stride)
{
    tile_switch(rows, false, a, a_stride, b, k, add, out, out_stride);
}

NEVER_INLINE void tile_integers(size_t rows, const float *a, size_t a_stride, const float *b, size_t k, float *out,
                                size_t out_stride)
{
    tile_switch(rows, true, a, a_stride, b, k, false, out, out_stride);
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- Sums and maxima over 16 lanes. ---- */

static float add_lanes(float lanes[LANES])
{
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        for (size_t j = 0; j < half; j++) {
            lanes[j] += lanes[j + half];
        }
    }
    return lanes[0];
}

static float sum_row(const float *x, size_t n)
{
    float lanes[LANES] = {0.0f};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            lanes[j] += x[i + j];
        }
    }
    for (size_t j = 0; i + j < n; j++) {
        lanes[j] += x[i + j];
    }
    return add_lanes(lanes);
}

static float sum_squared_deviations(const float *x, size_t n, float mean)
{
    float lanes[LANES] = {0.0f};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            float deviation = x[i + j] - mean;
            lanes[j] = fmaf(deviation, deviation, lanes[j]);
        }
    }
    for (size_t j = 0; i + j < n; j++) {
        float deviation = x[i + j] - mean;
        lanes[j] = fmaf(deviation, deviation, lanes[j]);
    }
    return add_lanes(lanes);
}

/* A maximum is exact, its order is free. */
static float max_row(const float *x, size_t n)
{
    float lanes[LANES];
    for (size_t j = 0; j < LANES; j++) {
        lanes[j] = -INFINITY;
    }
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            lanes[j] = vmath_max(x[i + j], lanes[j]);
        }
    }
    for (size_t j = 0; i + j < n; j++) {
        lanes[j] = vmath_max(x[i + j], lanes[j]);
    }
    float max = lanes[0];
    for (size_t j = 1; j < LANES; j++) {
        max = vmath_max(lanes[j], max);
    }
    return max;
}

/* ---- Quantisation. ---- */

static float absmax_row(const float *x, size_t n)
{
    float lanes[LANES] = {0.0f};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            lanes[j] = vmath_max(fabsf(x[i + j]), lanes[j]);
        }
    }
    for (size_t j = 0; i + j < n; j++) {
        lanes[j] = vmath_max(fabsf(x[i + j]), lanes[j]);
    }
    float max = 0.0f;
    for (size_t j = 0; j < LANES; j++) {
        max = vmath_max(lanes[j], max);
    }
    return max;
}

/* This table stores q as int8 in two's complement. */
static void quantize_row(const float *x, size_t k, uint8_t *q, float *scale)
{
    float absmax = absmax_row(x, k);
    if (absmax < RUNG_Q8_LEAST) {
        memset(q, 0, rung_q8_stride(k));
        *scale = 0.0f;
        return;
    }
    float inverse = 127.0f / absmax;
    for (size_t i = 0; i < k; i++) {
        float value = vmath_min(vmath_max(x[i] * inverse, -127.0f), 127.0f);
        q[i] = (uint8_t)(vmath_bits(value + VMATH_ROUND) - VMATH_ROUND_BITS);
    }
    memset(q + k, 0, rung_q8_stride(k) - k);
    *scale = absmax / 127.0f;
}

static void quantize_rows(const float *x, size_t x_stride, size_t m, size_t k, rung_q8 out)
{
    for (size_t row = 0; row < m; row++) {
        quantize_row(x + row * x_stride, k, out.data + row * rung_q8_stride(k), out.scales + row);
    }
}

/* ---- Linear layers. ---- */

/* y[0..n) = epilogue(z[0..n)); residual may be y. */
static void store_row(const float *restrict z, size_t n, rung_epilogue epilogue, const float *residual, float *y)
{
    switch (epilogue) {
    case RUNG_EPILOGUE_NONE:
        memcpy(y, z, n * sizeof *y);
        break;
    case RUNG_EPILOGUE_GELU:
        for (size_t c = 0; c < n; c++) {
            y[c] = vmath_geluf(z[c]);
        }
        break;
    case RUNG_EPILOGUE_GELU_COARSE:
        for (size_t c = 0; c < n; c++) {
            y[c] = vmath_gelu_coarsef(z[c]);
        }
        break;
    case RUNG_EPILOGUE_RELU:
        for (size_t c = 0; c < n; c++) {
            y[c] = vmath_max(0.0f, z[c]);
        }
        break;
    case RUNG_EPILOGUE_RESIDUAL:
        for (size_t c = 0; c < n; c++) {
            y[c] = z[c] + residual[c];
        }
        break;
    }
}

/* wide[4][BLOCK_K][16] = the weights k0 .. k0 + k of a panel as floats. */
static void widen_panel(const int8_t *restrict panel, size_t k0, size_t k, float *restrict wide)
{
    for (size_t i = 0; i < k; i += 4) {
        for (size_t c0 = 0; c0 < RUNG_PANEL; c0 += LANES) {
            const int8_t *from = panel + ((k0 + i) * RUNG_PANEL + 4 * c0);
            float *to = wide + c0 * BLOCK_K + i * LANES;
            for (size_t c = 0; c < LANES; c++) {
                const int8_t *four = from + 4 * c;
                to[c] = (float)four[0];
                to[LANES + c] = (float)four[1];
                to[2 * LANES + c] = (float)four[2];
                to[3 * LANES + c] = (float)four[3];
            }
        }
    }
}

static void widen_rows(const uint8_t *restrict q, size_t stride, size_t rows, size_t k, float *restrict wide)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < k; i++) {
            wide[r * BLOCK_K + i] = (float)(int8_t)q[r * stride + i];
        }
    }
}

/* sums[rows][64] of one panel and up to BLOCK_ROWS rows of q. */
static void panel_sums(const int8_t *panel, size_t in_features, const uint8_t *q, size_t rows,
                       int32_t sums[][RUNG_PANEL])
{
    float weights[BLOCK_K * RUNG_PANEL];
    float inputs[BLOCK_ROWS * BLOCK_K];
    float products[TILE_ROWS * LANES];
    memset(sums, 0, rows * sizeof sums[0]);
    for (size_t k0 = 0; k0 < in_features; k0 += BLOCK_K) {
        size_t k = min_size(in_features - k0, BLOCK_K);
        widen_panel(panel, k0, k, weights);
        widen_rows(q + k0, rung_q8_stride(in_features), rows, k, inputs);
        for (size_t r0 = 0; r0 < rows; r0 += TILE_ROWS) {
            size_t tile_rows = min_size(rows - r0, TILE_ROWS);
            for (size_t c0 = 0; c0 < RUNG_PANEL; c0 += LANES) {
                tile_integers(tile_rows, inputs + r0 * BLOCK_K, BLOCK_K, weights + c0 * BLOCK_K, k, products, LANES);
                for (size_t r = 0; r < tile_rows; r++) {
                    for (size_t c = 0; c < LANES; c++) {
                        sums[r0 + r][c0 + c] += (int32_t)products[r * LANES + c];
                    }
                }
            }
        }
    }
}

static void linear_s8(const rung_linear_s8 *w, rung_q8 x, size_t m, rung_epilogue epilogue, const float *residual,
                      float *y, size_t y_stride)
{
    int32_t sums[BLOCK_ROWS][RUNG_PANEL];
    size_t panel_bytes = RUNG_PANEL * ((w->in_features + 3) / 4 * 4);
    for (size_t row0 = 0; row0 < m; row0 += BLOCK_ROWS) {
        size_t rows = min_size(m - row0, BLOCK_ROWS);
        const uint8_t *q = x.data + row0 * rung_q8_stride(w->in_features);
        for (size_t column0 = 0; column0 < w->out_features; column0 += RUNG_PANEL) {
            panel_sums(w->panels + column0 / RUNG_PANEL * panel_bytes, w->in_features, q, rows, sums);
            for (size_t r = 0; r < rows; r++) {
                float z[RUNG_PANEL];
                for (size_t c = 0; c < RUNG_PANEL; c++) {
                    z[c] = fmaf((float)sums[r][c], x.scales[row0 + r] * w->scales[column0 + c], w->bias[column0 + c]);
                }
                size_t at = (row0 + r) * y_stride + column0;
                store_row(z, min_size(w->out_features - column0, RUNG_PANEL), epilogue,
                          epilogue == RUNG_EPILOGUE_RESIDUAL ? residual + at : NULL, y + at);
            }
        }
    }
}

/* sums[rows][64] of one panel and up to BLOCK_ROWS rows of x. */
static void panel_sums_f32(const float *panel, size_t in_features, const float *x, size_t x_stride, size_t rows,
                           float sums[][RUNG_PANEL])
{
    float weights[BLOCK_K * LANES];
    for (size_t k0 = 0; k0 < in_features; k0 += BLOCK_K) {
        size_t k = min_size(in_features - k0, BLOCK_K);
        for (size_t c0 = 0; c0 < RUNG_PANEL; c0 += LANES) {
            for (size_t i = 0; i < k; i++) {
                memcpy(weights + i * LANES, panel + (k0 + i) * RUNG_PANEL + c0, LANES * sizeof *weights);
            }
            for (size_t r0 = 0; r0 < rows; r0 += TILE_ROWS) {
                tile_f32(min_size(rows - r0, TILE_ROWS), x + r0 * x_stride + k0, x_stride, weights, k, k0 > 0,
                         sums[r0] + c0, RUNG_PANEL);
            }
        }
    }
}

static void linear_f32(const rung_linear_f32 *w, const float *x, size_t x_stride, size_t m, rung_epilogue epilogue,
                       const float *residual, float *y, size_t y_stride)
{
    float sums[BLOCK_ROWS][RUNG_PANEL];
    for (size_t column0 = 0; column0 < w->out_features; column0 += RUNG_PANEL) {
        const float *panel = w->panels + column0 * w->in_features;
        for (size_t row0 = 0; row0 < m; row0 += BLOCK_ROWS) {
            size_t rows = min_size(m - row0, BLOCK_ROWS);
            panel_sums_f32(panel, w->in_features, x + row0 * x_stride, x_stride, rows, sums);
            for (size_t r = 0; r < rows; r++) {
                for (size_t c = 0; c < RUNG_PANEL; c++) {
                    sums[r][c] += w->bias[column0 + c];
                }
                size_t at = (row0 + r) * y_stride + column0;
                store_row(sums[r], min_size(w->out_features - column0, RUNG_PANEL), epilogue,
                          epilogue == RUNG_EPILOGUE_RESIDUAL ? residual + at : NULL, y + at);
            }
        }
    }
}

static void layer_norm(const float *x, size_t stride, size_t m, size_t n, const float *gamma, const float *beta,
                       float eps, float *y, const rung_q8 *out)
{
    for (size_t row = 0; row < m; row++) {
        const float *from = x + row * stride;
        float *to = y + row * stride;
        float mean = sum_row(from, n) / (float)n;
        float variance = sum_squared_deviations(from, n, mean) / (float)n;
        float inverse_deviation = 1.0f / sqrtf(variance + eps);
        for (size_t i = 0; i < n; i++) {
            to[i] = fmaf((from[i] - mean) * inverse_deviation, gamma[i], beta[i]);
        }
        if (out != NULL) {
            quantize_row(to, n, out->data + row * rung_q8_stride(n), out->scales + row);
        }
    }
}

/* ---- Attention. ---- */

static size_t round_up_lanes(size_t n)
{
    return (n + LANES - 1) / LANES * LANES;
}

/* The parts of the scratch. keys_padded and head_padded are multiples of 16. */
typedef struct attention_scratch {
    size_t keys_padded;
    size_t head_padded;
    float *keys;      /* [keys_padded / 16][head_size][16] */
    float *values;    /* [head_padded / 16][seq_len][16] */
    float *scores;    /* [TILE_ROWS][keys_padded] */
    float *context;   /* [TILE_ROWS][16] */
    float *head_sums; /* [keys_padded] column sums of one head */
    float *sums;      /* [keys_padded] of the heads so far */
} attention_scratch;

static size_t attention_scratch_floats(size_t seq_len, size_t head_size)
{
    size_t keys_padded = round_up_lanes(seq_len);
    return keys_padded * head_size + seq_len * round_up_lanes(head_size) + TILE_ROWS * keys_padded + TILE_ROWS * LANES +
           2 * keys_padded;
}

static size_t attention_s8_scratch_bytes(size_t seq_len, size_t head_size);

static size_t attention_scratch_bytes(size_t seq_len, size_t head_size)
{
    size_t bytes_f32 = attention_scratch_floats(seq_len, head_size) * sizeof(float);
    size_t bytes_s8 = attention_s8_scratch_bytes(seq_len, head_size);
    return ((bytes_f32 > bytes_s8 ? bytes_f32 : bytes_s8) + 63) / 64 * 64;
}

static attention_scratch carve_scratch(const rung_attention *attention)
{
    attention_scratch s = {.keys_padded = round_up_lanes(attention->seq_len),
                           .head_padded = round_up_lanes(attention->head_size),
                           .keys = attention->scratch};
    s.values = s.keys + s.keys_padded * attention->head_size;
    s.scores = s.values + attention->seq_len * s.head_padded;
    s.context = s.scores + TILE_ROWS * s.keys_padded;
    s.head_sums = s.context + TILE_ROWS * LANES;
    s.sums = s.head_sums + s.keys_padded;
    return s;
}

/* Copies a head's keys with lanes over keys and its values with lanes over the head, padded with zeros. */
static void pack_head(const rung_attention *attention, size_t head, const attention_scratch *s)
{
    size_t head_size = attention->head_size;
    memset(s->keys, 0, s->keys_padded * head_size * sizeof *s->keys);
    for (size_t key = 0; key < attention->seq_len; key++) {
        float *lane = s->keys + key / LANES * LANES * head_size + key % LANES;
        const float *from = attention->k + key * attention->stride + head * head_size;
        for (size_t d = 0; d < head_size; d++) {
            lane[d * LANES] = from[d];
        }
    }
    for (size_t d = 0; d < head_size; d += LANES) {
        for (size_t key = 0; key < attention->seq_len; key++) {
            const float *from = attention->v + key * attention->stride + head * head_size + d;
            float *to = s->values + d * attention->seq_len + key * LANES;
            for (size_t c = 0; c < LANES; c++) {
                to[c] = d + c < head_size ? from[c] : 0.0f;
            }
        }
    }
}

/* scores[0..n) become exp((score - max) * scale), those up to n_padded 0; returns 1 / their sum. */
static float softmax_row(float *scores, size_t n, size_t n_padded, float scale)
{
    float max = max_row(scores, n);
    for (size_t j = 0; j < n; j++) {
        scores[j] = vmath_expf((scores[j] - max) * scale);
    }
    memset(scores + n, 0, (n_padded - n) * sizeof *scores);
    return 1.0f / sum_row(scores, n);
}

static void attend_rows(const rung_attention *attention, size_t head, size_t row0, size_t rows,
                        const attention_scratch *s)
{
    size_t head_size = attention->head_size;
    float scale = 1.0f / sqrtf((float)head_size);
    const float *q = attention->q + row0 * attention->stride + head * head_size;
    float inverse_sums[TILE_ROWS];
    for (size_t key = 0; key < s->keys_padded; key += LANES) {
        tile_f32(rows, q, attention->stride, s->keys + key * head_size, head_size, false, s->scores + key,
                 s->keys_padded);
    }
    for (size_t r = 0; r < rows; r++) {
        float *scores = s->scores + r * s->keys_padded;
        inverse_sums[r] = softmax_row(scores, attention->seq_len, s->keys_padded, scale);
        if (attention->column_sums != NULL) {
            for (size_t j = 0; j < s->keys_padded; j++) {
                s->head_sums[j] = fmaf(scores[j], inverse_sums[r], s->head_sums[j]);
            }
        }
    }
    for (size_t d = 0; d < head_size; d += LANES) {
        tile_f32(rows, s->scores, s->keys_padded, s->values + d * attention->seq_len, attention->seq_len, false,
                 s->context, LANES);
        for (size_t r = 0; r < rows; r++) {
            float *to = attention->context + (row0 + r) * attention->context_stride + head * head_size + d;
            for (size_t c = 0; c < min_size(head_size - d, LANES); c++) {
                to[c] = s->context[r * LANES + c] * inverse_sums[r];
            }
        }
    }
}

/* The mean of the heads' column sums. */
static void add_importance(const rung_attention *attention, const float *sums)
{
    for (size_t j = 0; attention->column_sums != NULL && j < attention->seq_len; j++) {
        attention->column_sums[j] += sums[j] / (float)attention->num_heads;
    }
}

static void attention(const rung_attention *attention)
{
    attention_scratch s = carve_scratch(attention);
    memset(s.sums, 0, s.keys_padded * sizeof *s.sums);
    for (size_t head = 0; head < attention->num_heads; head++) {
        pack_head(attention, head, &s);
        memset(s.head_sums, 0, s.keys_padded * sizeof *s.head_sums);
        for (size_t row0 = 0; row0 < attention->seq_len; row0 += TILE_ROWS) {
            attend_rows(attention, head, row0, min_size(attention->seq_len - row0, TILE_ROWS), &s);
        }
        for (size_t j = 0; j < s.keys_padded; j++) {
            s.sums[j] += s.head_sums[j];
        }
    }
    add_importance(attention, s.sums);
}

/* ---- Attention, int8: sums of integers are exact in any order, so loops are written for the compiler. ---- */

typedef struct attention_s8_scratch {
    size_t key_stride;
    float *key_scales;   /* [seq_len] */
    float *value_scales; /* [head_size] */
    float *head_sums;    /* [seq_len] column sums of one head */
    float *sums;         /* [seq_len] of the heads so far */
    float *scores;       /* [seq_len] */
    int32_t *context;    /* [head_size] */
    int8_t *keys;        /* [seq_len][key_stride] */
    int8_t *values;      /* [seq_len][head_size] */
    int8_t *query;       /* [key_stride] */
    uint8_t *p;          /* [seq_len] */
} attention_s8_scratch;

static size_t attention_s8_scratch_bytes(size_t seq_len, size_t head_size)
{
    size_t key_stride = rung_q8_stride(head_size);
    size_t words = 4 * seq_len + 2 * head_size;
    return words * sizeof(float) + seq_len * (key_stride + head_size) + key_stride + seq_len;
}

static attention_s8_scratch carve_s8_scratch(const rung_attention *attention)
{
    size_t seq_len = attention->seq_len;
    size_t head_size = attention->head_size;
    attention_s8_scratch s = {.key_stride = rung_q8_stride(head_size), .key_scales = attention->scratch};
    s.value_scales = s.key_scales + seq_len;
    s.head_sums = s.value_scales + head_size;
    s.sums = s.head_sums + seq_len;
    s.scores = s.sums + seq_len;
    s.context = (int32_t *)(void *)(s.scores + seq_len);
    s.keys = (int8_t *)(s.context + head_size);
    s.values = s.keys + seq_len * s.key_stride;
    s.query = s.values + seq_len * head_size;
    s.p = (uint8_t *)(s.query + s.key_stride);
    return s;
}

/* The values of a head, each column with its own scale. */
static void quantize_values(const rung_attention *attention, size_t head, const attention_s8_scratch *s)
{
    const float *v = attention->v + head * attention->head_size;
    for (size_t d = 0; d < attention->head_size; d++) {
        float absmax = 0.0f;
        for (size_t j = 0; j < attention->seq_len; j++) {
            absmax = vmath_max(fabsf(v[j * attention->stride + d]), absmax);
        }
        bool zero = absmax < RUNG_Q8_LEAST;
        float inverse = zero ? 0.0f : 127.0f / absmax;
        s->value_scales[d] = zero ? 0.0f : absmax / 127.0f;
        for (size_t j = 0; j < attention->seq_len; j++) {
            float value = vmath_min(vmath_max(v[j * attention->stride + d] * inverse, -127.0f), 127.0f);
            s->values[j * attention->head_size + d] = (int8_t)(vmath_bits(value + VMATH_ROUND) - VMATH_ROUND_BITS);
        }
    }
}

static void quantize_keys(const rung_attention *attention, size_t head, const attention_s8_scratch *s)
{
    for (size_t j = 0; j < attention->seq_len; j++) {
        quantize_row(attention->k + j * attention->stride + head * attention->head_size, attention->head_size,
                     (uint8_t *)s->keys + j * s->key_stride, s->key_scales + j);
    }
}

static int32_t dot_s8(const int8_t *x, const int8_t *y, size_t n)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i] * y[i];
    }
    return sum;
}

/* p = 255 exp2(...) of one query over all keys; returns 1 / their sum. */
static float softmax_row_s8(const attention_s8_scratch *s, size_t seq_len, size_t head_size, float query_scale)
{
    for (size_t j = 0; j < seq_len; j++) {
        s->scores[j] = (float)dot_s8(s->query, s->keys + j * s->key_stride, head_size) * s->key_scales[j];
    }
    float max = max_row(s->scores, seq_len);
    float factor = query_scale * (VMATH_LOG2_E / sqrtf((float)head_size));
    int32_t total = 0;
    for (size_t j = 0; j < seq_len; j++) {
        s->p[j] = vmath_exp2_u8((s->scores[j] - max) * factor);
        total += s->p[j];
    }
    return 1.0f / (float)total;
}

static void attend_row_s8(const rung_attention *attention, size_t head, size_t row, const attention_s8_scratch *s)
{
    size_t head_size = attention->head_size;
    size_t seq_len = attention->seq_len;
    float query_scale;
    quantize_row(attention->q + row * attention->stride + head * head_size, head_size, (uint8_t *)s->query,
                 &query_scale);
    float inverse = softmax_row_s8(s, seq_len, head_size, query_scale);
    memset(s->context, 0, head_size * sizeof *s->context);
    for (size_t j = 0; j < seq_len; j++) {
        s->head_sums[j] = fmaf((float)s->p[j], inverse, s->head_sums[j]);
        for (size_t d = 0; d < head_size; d++) {
            s->context[d] += s->p[j] * s->values[j * head_size + d];
        }
    }
    float *to = attention->context + row * attention->context_stride + head * head_size;
    for (size_t d = 0; d < head_size; d++) {
        to[d] = (float)s->context[d] * (inverse * s->value_scales[d]);
    }
}

static void attention_s8(const rung_attention *attention)
{
    attention_s8_scratch s = carve_s8_scratch(attention);
    memset(s.sums, 0, attention->seq_len * sizeof *s.sums);
    for (size_t head = 0; head < attention->num_heads; head++) {
        quantize_keys(attention, head, &s);
        quantize_values(attention, head, &s);
        memset(s.head_sums, 0, attention->seq_len * sizeof *s.head_sums);
        for (size_t row = 0; row < attention->seq_len; row++) {
            attend_row_s8(attention, head, row, &s);
        }
        for (size_t j = 0; j < attention->seq_len; j++) {
            s.sums[j] += s.head_sums[j];
        }
    }
    add_importance(attention, s.sums);
}

static void tanh_rows(const float *x, size_t n, float *y)
{
    for (size_t i = 0; i < n; i++) {
        y[i] = vmath_tanhf(x[i]);
    }
}

/* ---- The machine's peak. ---- */

enum { PEAK_FLOATS = 96 }; /* 12 AVX registers: enough to hide the latency of a multiply-add */

ALWAYS_INLINE double peak(size_t rounds, bool integers)
{
    float sums[PEAK_FLOATS];
    float factor = 1.0f;
    float term = 1.0f;
    /* The compiler may not know the operands. */
    __asm__ volatile("" : "+m"(factor), "+m"(term));
    for (size_t i = 0; i < PEAK_FLOATS; i++) {
        sums[i] = (float)i;
    }
    KEEP_LOOP
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < PEAK_FLOATS; i++) {
            sums[i] = multiply_add(sums[i], factor, term, integers);
        }
    }
    __asm__ volatile("" : : "m"(sums));
    return 2.0 * PEAK_FLOATS * (double)rounds;
}

static double peak_f32(size_t rounds)
{
    return peak(rounds, false);
}

/* Integer products run on the float units here. */
static double peak_s8(size_t rounds)
{
    return peak(rounds, true);
}

const rung_kernels TABLE = {
    .name = TABLE_NAME,
    .quantize_rows = quantize_rows,
    .linear_s8 = linear_s8,
    .linear_f32 = linear_f32,
    .layer_norm = layer_norm,
    .attention = attention,
    .attention_s8 = attention_s8,
    .attention_scratch_bytes = attention_scratch_bytes,
    .tanh = tanh_rows,
    .peak_s8 = peak_s8,
    .peak_f32 = peak_f32,
};
