/* avx2.h: functions of avx2.c that the AVX-VNNI table shares: what has no int8 product. Called by avx2.c and avxvnni.c
 * only. Contracts as in kernels.h where a function of rung_kernels has the name. */
#ifndef RUNG_KERNELS_AVX2_H
#define RUNG_KERNELS_AVX2_H

#include "kernels/kernels.h"

/* What sums become: rows x columns of y. scales is NULL in fp32, where sums are floats. */
typedef struct rung_avx2_sums {
    const void *sums; /* [rows] of int32 or float, sums_stride apart */
    size_t sums_stride;
    const float *row_scales; /* [rows] */
    const float *scales;     /* [columns] */
    const float *bias;       /* [columns] */
    const float *residual;   /* [rows], y_stride apart */
    float *y;
    size_t y_stride;
    size_t rows;
    size_t columns;
} rung_avx2_sums;

void rung_avx2_finish_sums(const rung_avx2_sums *sums, rung_epilogue epilogue);

void rung_avx2_quantize_rows(const float *x, size_t x_stride, size_t m, size_t k, rung_q8 out);
void rung_avx2_linear_f32(const rung_linear_f32 *w, const float *x, size_t x_stride, size_t m, rung_epilogue epilogue,
                          const float *residual, float *y, size_t y_stride);
void rung_avx2_layer_norm(const float *x, size_t stride, size_t m, size_t n, const float *gamma, const float *beta,
                          float eps, float *y, const rung_q8 *out);
void rung_avx2_attention(const rung_attention *attention);
size_t rung_avx2_attention_scratch_bytes(size_t seq_len, size_t head_size);
void rung_avx2_tanh(const float *x, size_t n, float *y);
double rung_avx2_peak_f32(size_t rounds);

#endif
