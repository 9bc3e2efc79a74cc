/* tables.h: the tables there are, for dispatch.c only. Each is defined in the file of its instruction set. */
#ifndef RUNG_KERNELS_TABLES_H
#define RUNG_KERNELS_TABLES_H

#include "kernels/kernels.h"

extern const rung_kernels rung_kernels_ref; /* ref.c, any machine */
#if defined(__x86_64__)
extern const rung_kernels rung_kernels_x86_64_v3;  /* ref.c again, built for AVX2 and FMA */
extern const rung_kernels rung_kernels_avx2;       /* avx2.c */
extern const rung_kernels rung_kernels_avxvnni;    /* avxvnni.c */
extern const rung_kernels rung_kernels_avx512vnni; /* avx512.c */
#elif defined(__aarch64__)
extern const rung_kernels rung_kernels_neon;         /* neon.c */
extern const rung_kernels rung_kernels_neon_dotprod; /* neon_dotprod.c */
extern const rung_kernels rung_kernels_neon_i8mm;    /* neon_i8mm.c */
#endif

#endif
