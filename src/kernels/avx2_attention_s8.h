/* avx2_attention_s8.h: int8 attention of the AVX2 tables; contracts as in kernels.h. Called by avx2.c only. */
#ifndef RUNG_KERNELS_AVX2_ATTENTION_S8_H
#define RUNG_KERNELS_AVX2_ATTENTION_S8_H

#include "kernels/kernels.h"

void rung_avx2_attention_s8(const rung_attention *attention);
size_t rung_avx2_attention_s8_scratch_bytes(size_t seq_len, size_t head_size);

#endif
