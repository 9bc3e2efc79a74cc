/* emulated_avxvnni.c: stands in for dispatch.c's list in tests of kernel tables: "ref" and the AVX-VNNI table, built so
 * that AVX2 does what vpdpbusd does. All else of the table runs as it is, on machines without the instruction too. */
#include "emulated_avxvnni.h"

#include "kernels/tables.h"

extern const rung_kernels rung_kernels_avxvnni_emulated;

const rung_kernels *emulated_kernels_at(size_t index)
{
    static const rung_kernels *const tables[] = {&rung_kernels_ref, &rung_kernels_avxvnni_emulated};
    size_t count = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 2 : 1;
    return index < count ? tables[index] : NULL;
}
