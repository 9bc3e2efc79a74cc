/* avxvnni_attention_s8.h: int8 attention of the AVX-VNNI table; contracts as in kernels.h. Called by avxvnni.c only. */
#ifndef RUNG_KERNELS_AVXVNNI_ATTENTION_S8_H
#define RUNG_KERNELS_AVXVNNI_ATTENTION_S8_H

#include "kernels/kernels.h"

/* The table that tests build (avxvnni_tiles.h) is linked beside the real one. */
#ifdef RUNG_EMULATE_VNNI
#define rung_kernels_avxvnni rung_kernels_avxvnni_emulated
#define rung_avxvnni_attention_s8 rung_avxvnni_attention_s8_emulated
#define rung_avxvnni_attention_s8_scratch_bytes rung_avxvnni_attention_s8_scratch_bytes_emulated
#endif

void rung_avxvnni_attention_s8(const rung_attention *attention);
size_t rung_avxvnni_attention_s8_scratch_bytes(size_t seq_len, size_t head_size);

#endif
