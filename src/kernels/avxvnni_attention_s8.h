/* avxvnni_attention_s8.h: int8 attention of the AVX-VNNI table; contracts as in kernels.h. Called by avxvnni.c only. */
#ifndef RUNG_KERNELS_AVXVNNI_ATTENTION_S8_H
#define RUNG_KERNELS_AVXVNNI_ATTENTION_S8_H

#include "kernels/kernels.h"

void rung_avxvnni_attention_s8(const rung_attention *attention);
size_t rung_avxvnni_attention_s8_scratch_bytes(size_t seq_len, size_t head_size);

#endif
