/* avx512_attention_s8.h: int8 attention of the AVX-512 table; contracts as in kernels.h. Called by avx512.c only. */
#ifndef RUNG_KERNELS_AVX512_ATTENTION_S8_H
#define RUNG_KERNELS_AVX512_ATTENTION_S8_H

#include "kernels/kernels.h"

void rung_avx512_attention_s8(const rung_attention *attention);
size_t rung_avx512_attention_s8_scratch_bytes(size_t seq_len, size_t head_size);

#endif
