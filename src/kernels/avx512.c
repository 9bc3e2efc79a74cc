/* avx512.c: the kernels for AVX-512 F, BW, DQ, VL and VNNI ("avx512vnni"). Called through the table of dispatch.c.
 * Activations are stored as q + 128, since vpdpbusd multiplies unsigned by signed bytes: a tile starts from -128 *
 * column_sums. Bits are those of ref.c: every operation and order is the one that kernels.h fixes. */
#include "kernels/avx512_attention_s8.h"
#include "kernels/avx512_linear_tiles.h"
#include "kernels/avx512_math.h"
#include "kernels/avx512_rows.h"
#include "kernels/avx512_tiles.h"
#include "kernels/tables.h"

enum {
    S8_BLOCK_BYTES = 384 * 1024, /* activations that stay in L2 while all panels pass */
    F32_BLOCK_ROWS = 96,
    F32_BLOCK_K = 512, /* a panel's part of 128 KiB stays in L2 */
    QUERY_ROWS = 12,   /* query rows of a head that share a pass over keys and values */
};

/* ---- Quantisation. ---- */

static void quantize_rows(const float *x, size_t x_stride, size_t m, size_t k, rung_q8 out)
{
    for (size_t row = 0; row < m; row++) {
        quantize_row(x + row * x_stride, k, out.data + row * rung_q8_stride(k), out.scales + row);
    }
}

/* ---- Linear layers. ---- */

/* What the sums of a block become: rows x columns of y. */
typedef struct block_f32 {
    const float *sums;     /* [rows][64] */
    const float *bias;     /* [columns] */
    const float *residual; /* [rows], y_stride apart */
    float *y;
    size_t y_stride;
    size_t rows;
    size_t columns;
} block_f32;

ALWAYS_INLINE void store_block(const block_f32 *b, rung_epilogue epilogue)
{
    for (size_t r = 0; r < b->rows; r++) {
        for (size_t c = 0; c < b->columns; c += 16) {
            size_t at = r * b->y_stride + c;
            size_t n = b->columns - c;
            __m512 z = _mm512_add_ps(_mm512_loadu_ps(b->sums + RUNG_PANEL * r + c), _mm512_loadu_ps(b->bias + c));
            __m512 residual = z;
            if (epilogue == RUNG_EPILOGUE_RESIDUAL) {
                residual = load_lanes(b->residual + at, n);
            }
            store_lanes(b->y + at, n, finish_lanes(z, epilogue, residual));
        }
    }
}

static void finish_block(const block_f32 *block, rung_epilogue epilogue)
{
    switch (epilogue) {
    case RUNG_EPILOGUE_NONE:
        store_block(block, RUNG_EPILOGUE_NONE);
        break;
    case RUNG_EPILOGUE_GELU:
        store_block(block, RUNG_EPILOGUE_GELU);
        break;
    case RUNG_EPILOGUE_GELU_COARSE:
        store_block(block, RUNG_EPILOGUE_GELU_COARSE);
        break;
    case RUNG_EPILOGUE_RELU:
        store_block(block, RUNG_EPILOGUE_RELU);
        break;
    case RUNG_EPILOGUE_RESIDUAL:
        store_block(block, RUNG_EPILOGUE_RESIDUAL);
        break;
    }
}

/* One panel, 64 columns from column0 on, and rows row0 .. row0 + rows. */
static void panel_s8(const rung_linear_s8 *w, rung_q8 x, size_t row0, size_t rows, size_t column0,
                     rung_epilogue epilogue, const float *residual, float *y, size_t y_stride)
{
    size_t stride = rung_q8_stride(w->in_features);
    size_t k4 = (w->in_features + 3) / 4;
    size_t columns = min_size(w->out_features - column0, RUNG_PANEL);
    const int8_t *panel = w->panels + column0 * 4 * k4;
    tile_s8_function *const *tiles = tiles_s8[(columns + 15) / 16 - 1];
    _Alignas(64) int32_t start[RUNG_PANEL];
    for (size_t c = 0; c < RUNG_PANEL; c++) {
        start[c] = -128 * w->column_sums[column0 + c];
    }
    /* Each tile asks for its share of the next panel. */
    size_t panel_bytes = RUNG_PANEL * 4 * k4;
    const int8_t *next = column0 + RUNG_PANEL < w->out_features ? panel + panel_bytes : w->panels;
    size_t tile_count = (rows + S8_TILE_ROWS - 1) / S8_TILE_ROWS;
    size_t ahead_bytes = RUNG_PANEL * 4 / tile_count;
    size_t end = row0 + rows;
    while (row0 < end) {
        size_t tile_rows = next_tile_rows(end - row0, S8_TILE_ROWS);
        size_t at = row0 * y_stride + column0;
        tile_s8 tile = {.a = x.data + row0 * stride,
                        .a_stride = stride,
                        .panel = panel,
                        .k4 = k4,
                        .next = next,
                        .ahead_bytes = ahead_bytes,
                        .start = start,
                        .row_scales = x.scales + row0,
                        .scales = w->scales + column0,
                        .bias = w->bias + column0,
                        .residual = epilogue == RUNG_EPILOGUE_RESIDUAL ? residual + at : NULL,
                        .y = y + at,
                        .y_stride = y_stride,
                        .columns = columns,
                        .epilogue = epilogue};
        tiles[tile_rows - 1](&tile);
        next += ahead_bytes * k4;
        row0 += tile_rows;
    }
}

static void linear_s8(const rung_linear_s8 *w, rung_q8 x, size_t m, rung_epilogue epilogue, const float *residual,
                      float *y, size_t y_stride)
{
    /* Blocks of equal size that fit. */
    size_t blocks = m * rung_q8_stride(w->in_features) / S8_BLOCK_BYTES + 1;
    size_t block = round_up((m + blocks - 1) / blocks, S8_TILE_ROWS);
    for (size_t row0 = 0; row0 < m; row0 += block) {
        for (size_t column0 = 0; column0 < w->out_features; column0 += RUNG_PANEL) {
            panel_s8(w, x, row0, min_size(m - row0, block), column0, epilogue, residual, y, y_stride);
        }
    }
}

/* out[rows][columns] (+)= a[rows][k] b[k][columns], columns <= 64; out and b are readable and writable up to a multiple
 * of 16 columns. */
static void multiply_f32(const float *a, size_t a_stride, size_t rows, const float *b, size_t b_stride, size_t columns,
                         size_t k, _Bool add, float *out, size_t out_stride)
{
    size_t vectors = (columns + 15) / 16;
    while (rows > 0) {
        size_t tile_rows = next_tile_rows(rows, tile_rows_f32[vectors - 1]);
        tiles_f32[vectors - 1][tile_rows - 1](a, a_stride, b, b_stride, k, add, out, out_stride);
        a += tile_rows * a_stride;
        out += tile_rows * out_stride;
        rows -= tile_rows;
    }
}

static void linear_f32(const rung_linear_f32 *w, const float *x, size_t x_stride, size_t m, rung_epilogue epilogue,
                       const float *residual, float *y, size_t y_stride)
{
    _Alignas(64) float sums[F32_BLOCK_ROWS * RUNG_PANEL];
    memset(sums, 0, sizeof sums);
    for (size_t column0 = 0; column0 < w->out_features; column0 += RUNG_PANEL) {
        const float *panel = w->panels + column0 * w->in_features;
        size_t columns = min_size(w->out_features - column0, RUNG_PANEL);
        for (size_t row0 = 0; row0 < m; row0 += F32_BLOCK_ROWS) {
            size_t rows = min_size(m - row0, F32_BLOCK_ROWS);
            for (size_t k0 = 0; k0 < w->in_features; k0 += F32_BLOCK_K) {
                multiply_f32(x + row0 * x_stride + k0, x_stride, rows, panel + k0 * RUNG_PANEL, RUNG_PANEL, columns,
                             min_size(w->in_features - k0, F32_BLOCK_K), k0 > 0, sums, RUNG_PANEL);
            }
            size_t at = row0 * y_stride + column0;
            block_f32 block = {.sums = sums,
                               .bias = w->bias + column0,
                               .residual = epilogue == RUNG_EPILOGUE_RESIDUAL ? residual + at : NULL,
                               .y = y + at,
                               .y_stride = y_stride,
                               .rows = rows,
                               .columns = columns};
            finish_block(&block, epilogue);
        }
    }
}

/* ---- LayerNorm. ---- */

/* Rows at once: a sum of one row waits for the addition before it. */
enum { NORM_ROWS = 4 };

ALWAYS_INLINE __m512 add_square(__m512 deviation, __m512 sum)
{
    return _mm512_fmadd_ps(deviation, deviation, sum);
}

ALWAYS_INLINE void find_means(size_t rows, const float *x, size_t stride, size_t n, __m512 means[NORM_ROWS])
{
    __m512 sums[NORM_ROWS];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        sums[r] = _mm512_setzero_ps();
    }
    for (size_t i = 0; i < n; i += 16) {
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            sums[r] = _mm512_add_ps(sums[r], load_lanes(x + r * stride + i, n - i));
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        means[r] = _mm512_set1_ps(v_add_lanes(sums[r]) / (float)n);
    }
}

/* factors[r] = 1 / the standard deviation. */
ALWAYS_INLINE void find_factors(size_t rows, const float *x, size_t stride, size_t n, const __m512 means[NORM_ROWS],
                                float eps, __m512 factors[NORM_ROWS])
{
    __m512 sums[NORM_ROWS];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        sums[r] = _mm512_setzero_ps();
    }
    size_t whole = n / 16 * 16;
    for (size_t i = 0; i < whole; i += 16) {
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            sums[r] = add_square(_mm512_sub_ps(_mm512_loadu_ps(x + r * stride + i), means[r]), sums[r]);
        }
    }
    if (whole < n) {
        __mmask16 rest = lanes_below(n - whole);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            __m512 lanes = _mm512_maskz_loadu_ps(rest, x + r * stride + whole);
            sums[r] = add_square(_mm512_maskz_sub_ps(rest, lanes, means[r]), sums[r]);
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        factors[r] = _mm512_set1_ps(1.0f / sqrtf(v_add_lanes(sums[r]) / (float)n + eps));
    }
}

ALWAYS_INLINE void norm_rows(size_t rows, const float *x, size_t stride, size_t n, const float *gamma,
                             const float *beta, float eps, float *y)
{
    __m512 means[NORM_ROWS];
    __m512 factors[NORM_ROWS];
    find_means(rows, x, stride, n, means);
    find_factors(rows, x, stride, n, means, eps, factors);
    for (size_t i = 0; i < n; i += 16) {
        __m512 gammas = load_lanes(gamma + i, n - i);
        __m512 betas = load_lanes(beta + i, n - i);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            __m512 lanes = load_lanes(x + r * stride + i, n - i);
            __m512 normal = _mm512_mul_ps(_mm512_sub_ps(lanes, means[r]), factors[r]);
            store_lanes(y + r * stride + i, n - i, _mm512_fmadd_ps(normal, gammas, betas));
        }
    }
}

static void layer_norm(const float *x, size_t stride, size_t m, size_t n, const float *gamma, const float *beta,
                       float eps, float *y, const rung_q8 *out)
{
    for (size_t row = 0; row < m;) {
        size_t rows = m - row >= NORM_ROWS ? NORM_ROWS : 1;
        if (rows == NORM_ROWS) {
            norm_rows(NORM_ROWS, x + row * stride, stride, n, gamma, beta, eps, y + row * stride);
        } else {
            norm_rows(1, x + row * stride, stride, n, gamma, beta, eps, y + row * stride);
        }
        size_t end = row + rows;
        for (; row < end; row++) {
            if (out != NULL) {
                quantize_row(y + row * stride, n, out->data + row * rung_q8_stride(n), out->scales + row);
            }
        }
    }
}

/* ---- Attention. ---- */

/* The parts of the scratch; keys_padded is a multiple of 64, head_padded of 16. */
typedef struct attention_scratch {
    size_t keys_padded;
    size_t head_padded;
    float *keys;      /* [keys_padded / 64][head_size][64] */
    float *values;    /* [seq_len][head_padded] */
    float *scores;    /* [QUERY_ROWS][keys_padded] */
    float *context;   /* [QUERY_ROWS][64] */
    float *head_sums; /* [keys_padded] column sums of one head */
    float *sums;      /* [keys_padded] of the heads so far */
} attention_scratch;

static size_t attention_scratch_bytes(size_t seq_len, size_t head_size)
{
    size_t keys_padded = round_up(seq_len, 64);
    size_t floats =
        keys_padded * head_size + seq_len * round_up(head_size, 16) + QUERY_ROWS * (keys_padded + 64) + 2 * keys_padded;
    size_t bytes_s8 = rung_avx512_attention_s8_scratch_bytes(seq_len, head_size);
    return round_up(floats * sizeof(float) > bytes_s8 ? floats * sizeof(float) : bytes_s8, 64);
}

static attention_scratch carve_scratch(const rung_attention *attention)
{
    attention_scratch s = {.keys_padded = round_up(attention->seq_len, 64),
                           .head_padded = round_up(attention->head_size, 16),
                           .keys = attention->scratch};
    s.values = s.keys + s.keys_padded * attention->head_size;
    s.scores = s.values + attention->seq_len * s.head_padded;
    s.context = s.scores + QUERY_ROWS * s.keys_padded;
    s.head_sums = s.context + QUERY_ROWS * 64;
    s.sums = s.head_sums + s.keys_padded;
    return s;
}

/* A head's keys with lanes over keys, zeros for those past the last. */
static void pack_keys(const rung_attention *attention, size_t head, const attention_scratch *s)
{
    size_t head_size = attention->head_size;
    for (size_t key = 0; key < s->keys_padded; key += 16) {
        float *to = s->keys + key / 64 * 64 * head_size + key % 64;
        for (size_t d = 0; d < head_size; d += 16) {
            __m512 block[16];
            for (size_t i = 0; i < 16; i++) {
                block[i] = _mm512_setzero_ps();
                if (key + i < attention->seq_len) {
                    block[i] =
                        load_lanes(attention->k + (key + i) * attention->stride + head * head_size + d, head_size - d);
                }
            }
            transpose_16(block);
            for (size_t i = 0; i < min_size(head_size - d, 16); i++) {
                _mm512_storeu_ps(to + (d + i) * 64, block[i]);
            }
        }
    }
}

static void pack_values(const rung_attention *attention, size_t head, const attention_scratch *s)
{
    size_t head_size = attention->head_size;
    for (size_t key = 0; key < attention->seq_len; key++) {
        const float *from = attention->v + key * attention->stride + head * head_size;
        float *to = s->values + key * s->head_padded;
        for (size_t d = 0; d < head_size; d += 16) {
            _mm512_storeu_ps(to + d, load_lanes(from + d, head_size - d));
        }
    }
}

static inline __m512 softmax_lanes(__m512 scores, __m512 max, __m512 scale)
{
    return v_expf(_mm512_mul_ps(_mm512_sub_ps(scores, max), scale));
}

/* scores[0..n) become exp((score - max) * scale), up to the next multiple of 16 zeros; returns 1 / their sum. */
static float softmax_row(float *scores, size_t n, float scale)
{
    size_t whole = n / 16 * 16;
    __mmask16 rest = lanes_below(n - whole);
    __m512 maxima = _mm512_set1_ps(-INFINITY);
    for (size_t j = 0; j < whole; j += 16) {
        maxima = _mm512_max_ps(_mm512_loadu_ps(scores + j), maxima);
    }
    maxima = _mm512_mask_max_ps(maxima, rest, _mm512_maskz_loadu_ps(rest, scores + whole), maxima);
    __m512 max = _mm512_set1_ps(v_max_lanes(maxima));
    __m512 factor = _mm512_set1_ps(scale);
    __m512 sum = _mm512_setzero_ps();
    for (size_t j = 0; j < whole; j += 16) {
        __m512 p = softmax_lanes(_mm512_loadu_ps(scores + j), max, factor);
        _mm512_storeu_ps(scores + j, p);
        sum = _mm512_add_ps(sum, p);
    }
    if (rest != 0) {
        __m512 p = _mm512_maskz_mov_ps(rest, softmax_lanes(_mm512_loadu_ps(scores + whole), max, factor));
        _mm512_storeu_ps(scores + whole, p);
        sum = _mm512_add_ps(sum, p);
    }
    return 1.0f / v_add_lanes(sum);
}

static void add_column_sums(const float *scores, size_t stride, size_t rows, size_t n, const float *inverse_sums,
                            float *sums)
{
    for (size_t j = 0; j < n; j += 16) {
        __m512 sum = _mm512_loadu_ps(sums + j);
        for (size_t r = 0; r < rows; r++) {
            sum = _mm512_fmadd_ps(_mm512_loadu_ps(scores + r * stride + j), _mm512_set1_ps(inverse_sums[r]), sum);
        }
        _mm512_storeu_ps(sums + j, sum);
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
    for (size_t key = 0; key < seq_len; key += 64) {
        multiply_f32(q, attention->stride, rows, s->keys + key * head_size, 64, min_size(seq_len - key, 64), head_size,
                     0, s->scores + key, s->keys_padded);
    }
    for (size_t r = 0; r < rows; r++) {
        inverse_sums[r] = softmax_row(s->scores + r * s->keys_padded, seq_len, scale);
    }
    if (attention->column_sums != NULL) {
        add_column_sums(s->scores, s->keys_padded, rows, seq_len, inverse_sums, s->head_sums);
    }
    for (size_t d0 = 0; d0 < head_size; d0 += 64) {
        size_t columns = min_size(head_size - d0, 64);
        multiply_f32(s->scores, s->keys_padded, rows, s->values + d0, s->head_padded, columns, seq_len, 0, s->context,
                     64);
        for (size_t r = 0; r < rows; r++) {
            float *to = attention->context + (row0 + r) * attention->context_stride + head * head_size + d0;
            for (size_t d = 0; d < columns; d += 16) {
                __m512 sums = _mm512_loadu_ps(s->context + 64 * r + d);
                store_lanes(to + d, columns - d, _mm512_mul_ps(sums, _mm512_set1_ps(inverse_sums[r])));
            }
        }
    }
}

static void attention(const rung_attention *attention)
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

static void tanh_rows(const float *x, size_t n, float *y)
{
    for (size_t i = 0; i < n; i += 16) {
        store_lanes(y + i, n - i, v_tanhf(load_lanes(x + i, n - i)));
    }
}

/* ---- The machine's peak. ---- */

enum { PEAK_SUMS = 24 };

static double peak_s8(size_t rounds)
{
    __m512i sums[PEAK_SUMS];
    __m512i a = _mm512_set1_epi8(1);
    UNROLL
    for (size_t i = 0; i < PEAK_SUMS; i++) {
        sums[i] = _mm512_setzero_si512();
    }
    for (size_t round = 0; round < rounds; round++) {
        UNROLL
        for (size_t i = 0; i < PEAK_SUMS; i++) {
            DOT_S8(sums[i], a, a);
        }
    }
    UNROLL
    for (size_t i = 0; i < PEAK_SUMS; i++) {
        __asm__ volatile("" : : "v"(sums[i]));
    }
    return 128.0 * PEAK_SUMS * (double)rounds;
}

static double peak_f32(size_t rounds)
{
    __m512 sums[PEAK_SUMS];
    __m512 a = _mm512_set1_ps(1.0f);
    UNROLL
    for (size_t i = 0; i < PEAK_SUMS; i++) {
        sums[i] = _mm512_setzero_ps();
    }
    for (size_t round = 0; round < rounds; round++) {
        UNROLL
        for (size_t i = 0; i < PEAK_SUMS; i++) {
            MULTIPLY_ADD(sums[i], a, a);
        }
    }
    UNROLL
    for (size_t i = 0; i < PEAK_SUMS; i++) {
        __asm__ volatile("" : : "v"(sums[i]));
    }
    return 32.0 * PEAK_SUMS * (double)rounds;
}

const rung_kernels rung_kernels_avx512vnni = {
    .name = "avx512vnni",
    .quantize_rows = quantize_rows,
    .linear_s8 = linear_s8,
    .linear_f32 = linear_f32,
    .layer_norm = layer_norm,
    .attention = attention,
    .attention_s8 = rung_avx512_attention_s8,
    .attention_scratch_bytes = attention_scratch_bytes,
    .tanh = tanh_rows,
    .peak_s8 = peak_s8,
    .peak_f32 = peak_f32,
};
