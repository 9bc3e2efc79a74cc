/* kernels.h: the numeric work of an encoder as one table of functions an instruction set. The encoder
 * (src/model/encoder.c) calls nothing else in its layer loop. Every table gives the same bits:
 *  - integer products are exact;
 *  - a float product is accumulated over k = 0, 1, 2, ... with one fused multiply-add per step, starting from 0;
 *  - other float sums (LayerNorm, softmax) use 16 lanes: lane j starts from 0 and adds elements j, j+16, j+32, ... in
 * order (missing ones add nothing), then the lanes are added in halves: 8+8, 4+4, 2+2, 1+1 (lane j with lane j+8, ...);
 *  - exp, erf and tanh are the sequences of kernels/vmath.h, lane by lane.
 * "Same bits" holds for finite results; which NaN comes out of NaN or infinite input is not promised, only that nothing
 * is read or written out of bounds. Rows are independent: a row's result does not depend on m, on the other rows or on
 * the thread. Functions of a table hold no state and may run on any number of threads at once. Source of the layer:
 * Vaswani et al. 2017; Devlin et al. 2019; column sums: Eq 9 of the paper. */
#ifndef RUNG_KERNELS_KERNELS_H
#define RUNG_KERNELS_KERNELS_H

#include "base/status.h"

/* Output columns are packed in panels of this many, zero-padded. */
#define RUNG_PANEL 64

/* y = x Wᵀ + bias with int8 weights, W [out_features, in_features] symmetric per output channel.
 * panels[p][k4][c][i] is W[64 p + c][4 k4 + i]: p < ceil(out/64), k4 < ceil(in/4), padding 0. 64-byte aligned. */
typedef struct rung_linear_s8 {
    size_t in_features;
    size_t out_features;
    const int8_t *panels;       /* [ceil(out/64)][ceil(in/4)][64][4] */
    const float *scales;        /* [round_up(out, 64)] weight = int8 * scale; 0 in the padding */
    const int32_t *column_sums; /* [round_up(out, 64)] sum over k of the int8 weights: for +128 compensation */
    const float *bias;          /* [round_up(out, 64)] zeros when the layer has none */
} rung_linear_s8;

/* The same in fp32: panels[p][k][c] is W[64 p + c][k]. */
typedef struct rung_linear_f32 {
    size_t in_features;
    size_t out_features;
    const float *panels; /* [ceil(out/64)][in][64] */
    const float *bias;   /* [round_up(out, 64)] */
} rung_linear_f32;

/* What happens to acc + bias before it is stored. */
typedef enum rung_epilogue {
    RUNG_EPILOGUE_NONE,
    RUNG_EPILOGUE_GELU,        /* x/2 (1 + erf(x/sqrt 2)) */
    RUNG_EPILOGUE_GELU_COARSE, /* the same within 4e-5 (vmath_gelu_coarsef), for rows that become int8 next */
    RUNG_EPILOGUE_RELU,
    RUNG_EPILOGUE_RESIDUAL, /* + residual[row][column] */
} rung_epilogue;

/* Rows whose largest magnitude is below this count as zero rows: 127 / absmax must not overflow. */
#define RUNG_Q8_LEAST 1e-30f

/* Rows of quantised activations. Symmetric int8 per row: scale = absmax / 127, q = nearest-even(x * (127 / absmax)) in
 * -127..127, all 0 and scale 0 for a zero row. Each table stores q as it likes (VNNI: q + 128 as uint8): only the same
 * table reads it. Row stride is rung_q8_stride(k) bytes, 64-byte aligned rows, padding reads as q = 0. */
typedef struct rung_q8 {
    uint8_t *data; /* [rows][stride] */
    float *scales; /* [rows] */
} rung_q8;

static inline size_t rung_q8_stride(size_t k)
{
    return (k + 63) / 64 * 64;
}

/* Self-attention of one sequence. q, k and v are [seq_len] rows of `stride` floats in which head h starts at column h *
 * head_size. context gets softmax(q kᵀ / sqrt(head_size)) v, rows of context_stride floats, heads side by side; it must
 * not overlap q, k or v. For every head and query: score[j] = sum over d of q[d] k[j][d]; p[j] = exp((score[j] - max) *
 * (1 / sqrt(head_size))); inverse = 1 / (16-lane sum of p); context[d] = (sum over j of p[j] v[j][d]) * inverse:
 * normalised after the product with v. column_sums, unless NULL, has seq_len entries; column_sums[j] += (mean over
 * heads of the attention that all queries pay to key j): per head one fused multiply-add of p[j] * inverse per query in
 * order, starting from 0; then the heads in order, starting from 0; then / num_heads. scratch:
 * rung_kernels.attention_scratch_bytes bytes, 64-byte aligned. */
typedef struct rung_attention {
    size_t seq_len;
    size_t num_heads;
    size_t head_size;
    const float *q, *k, *v;
    size_t stride;
    float *context;
    size_t context_stride;
    float *column_sums;
    void *scratch;
} rung_attention;

/* The same in int8 (attention_s8), for models whose weights are int8. Per head, each row of q and k is quantised as
 * quantize_rows would, with scales sq[i] and sk[j]; v likewise by column d over all keys, with scale sv[d]. Then
 *   score[j] = (float)(sum over d of q8[d] k8[j][d]) * sk[j]
 *   p[j] = 255 * exp2((score[j] - max) * (sq[i] * (log2(e) / sqrt(head_size)))) as an integer (vmath_exp2_u8)
 *   inverse = 1 / (float)(sum of p)
 *   context[d] = (float)(sum over j of p[j] v8[j][d]) * (inverse * sv[d])
 * and column sums as above with p[j] as a float. p is rounded before it is normalised, where the largest is always 255:
 * the attention of 500 equal keys would round to 0 after. All sums of a row are integers below 2^31 for up to 65,793
 * keys, and the sum of p is exact as a float. */
#define RUNG_ATTENTION_S8_MAX_KEYS 65793

typedef struct rung_kernels {
    const char *name; /* "ref", "x86-64-v3", "avx2", "avx512vnni", ... */

    /* x [m][x_stride] floats -> rows of out. */
    void (*quantize_rows)(const float *x, size_t x_stride, size_t m, size_t k, rung_q8 out);

    /* y[i][c] = epilogue(fmaf((float)acc[i][c], x.scales[i] * w->scales[c], w->bias[c])), y rows of y_stride floats;
     * columns >= out_features of y are not written. residual (rows of y_stride floats; may be y itself) is read for
     * RUNG_EPILOGUE_RESIDUAL only. */
    void (*linear_s8)(const rung_linear_s8 *w, rung_q8 x, size_t m, rung_epilogue epilogue, const float *residual,
                      float *y, size_t y_stride);

    /* y[i][c] = epilogue(acc[i][c] + bias[c]), acc in order of k as above. */
    void (*linear_f32)(const rung_linear_f32 *w, const float *x, size_t x_stride, size_t m, rung_epilogue epilogue,
                       const float *residual, float *y, size_t y_stride);

    /* y = fmaf((x - mean) * (1 / sqrt(var + eps)), gamma, beta), var = (sum of (x - mean)², fused) / n, for m rows of n
     * floats at `stride`; in place allowed. When out is not NULL each row is also quantised as quantize_rows would,
     * while it is in cache. */
    void (*layer_norm)(const float *x, size_t stride, size_t m, size_t n, const float *gamma, const float *beta,
                       float eps, float *y, const rung_q8 *out);

    void (*attention)(const rung_attention *attention);
    void (*attention_s8)(const rung_attention *attention);
    size_t (*attention_scratch_bytes)(size_t seq_len, size_t head_size); /* enough for either */

    /* y = tanh(x), n floats; in place allowed. */
    void (*tanh)(const float *x, size_t n, float *y);

    /* Measures of the machine for the benches: a loop of independent register-to-register operations that cannot be
     * optimised away. Each runs `rounds` rounds and returns the number of operations done (a multiply-add counts 2). */
    double (*peak_s8)(size_t rounds);
    double (*peak_f32)(size_t rounds);
} rung_kernels;

/* The table called `name`, or the best one that this CPU can run when name is NULL. RUNG_NOT_FOUND names the tables
 * there are; RUNG_UNSUPPORTED says which CPU feature is missing. Tables are immutable statics. */
rung_status rung_kernels_select(const char *name, const rung_kernels **kernels, rung_error *error) RUNG_WARN_UNUSED;

/* Why work will be many times slower than it could be, as the start of a sentence ("this processor has no AVX2"), or
 * NULL. isa: what the user chose, NULL for the choice of rung_kernels_select, which gave kernels. A constant. */
const char *rung_kernels_slow_because(const char *isa, const rung_kernels *kernels);

/* Tables that this CPU can run, slowest first: the tests compare them all. NULL past the end. */
const rung_kernels *rung_kernels_at(size_t index);

/* Packing, the same for every table. w is [out][in] row-major. Sizes of the destination arrays as in the structs. */
size_t rung_linear_s8_panel_bytes(size_t in_features, size_t out_features);
void rung_pack_s8(const int8_t *w, size_t in_features, size_t out_features, int8_t *panels, int32_t *column_sums);
/* The column_sums of panels as they lie, padding included: a table that reads padding as q + 128 adds it up as well. */
void rung_column_sums_s8(const int8_t *panels, size_t in_features, size_t out_features, int32_t *column_sums);
void rung_unpack_s8(const rung_linear_s8 *w, int8_t *out /* [out][in] */);
size_t rung_linear_f32_panel_floats(size_t in_features, size_t out_features);
void rung_pack_f32(const float *w, size_t in_features, size_t out_features, float *panels);

#endif
