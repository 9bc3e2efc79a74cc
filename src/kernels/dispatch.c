/* dispatch.c: which kernel tables this processor can run. Called when a model is opened and by tests and benches.
 * Must not know what the functions of a table do. Source: on x86-64 CPUID and XCR0, as read by the compiler's runtime;
 * on arm64 the capabilities that Linux gives a process. */
#include "kernels/kernels.h"
#include "kernels/tables.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

typedef struct table_entry {
    const rung_kernels *kernels;
    const char *(*missing_feature)(void); /* NULL when the CPU has all that the table needs */
} table_entry;

/* For what every processor of the architecture has. */
static const char *nothing_missing(void)
{
    return NULL;
}

#if defined(__x86_64__)
#define CPUID_7_1_EAX_AVX_VNNI (1u << 4)

static const char *missing_for_avx2(void)
{
    if (!__builtin_cpu_supports("avx2")) {
        return "AVX2";
    }
    if (!__builtin_cpu_supports("fma")) {
        return "FMA";
    }
    return NULL;
}

static const char *missing_for_avxvnni(void)
{
    const char *missing = missing_for_avx2(); /* and the system keeps the state of AVX */
    if (missing != NULL) {
        return missing;
    }
    /* gcc 12 has no name for it. */
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    bool known = __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0;
    return known && (eax & CPUID_7_1_EAX_AVX_VNNI) != 0 ? NULL : "AVX-VNNI";
}

static const char *missing_for_avx512vnni(void)
{
    if (!__builtin_cpu_supports("avx512f")) {
        return "AVX-512 F";
    }
    if (!__builtin_cpu_supports("avx512bw")) {
        return "AVX-512 BW";
    }
    if (!__builtin_cpu_supports("avx512vl")) {
        return "AVX-512 VL";
    }
    if (!__builtin_cpu_supports("avx512dq")) {
        return "AVX-512 DQ";
    }
    if (!__builtin_cpu_supports("avx512vnni")) {
        return "AVX-512 VNNI";
    }
    return NULL;
}
#elif defined(__aarch64__)
static const char *missing_for_dotprod(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) == 0 ? "int8 dot products (FEAT_DotProd)" : NULL;
}

static const char *missing_for_i8mm(void)
{
    return (getauxval(AT_HWCAP2) & HWCAP2_I8MM) == 0 ? "int8 matrix products (FEAT_I8MM)" : NULL;
}
#endif

/* Where the portable kernels are the best that rung has: only where the processor is old or its architecture unknown. */
#if defined(__x86_64__)
#define NO_FASTER_KERNELS "this processor has no AVX2 with FMA"
#else
#define NO_FASTER_KERNELS "rung has no kernels for the vector instructions of this processor"
#endif

/* Slowest first. */
static const table_entry tables[] = {
    {&rung_kernels_ref, nothing_missing},
#if defined(__x86_64__)
    {&rung_kernels_x86_64_v3, missing_for_avx2},  {&rung_kernels_avx2, missing_for_avx2},
    {&rung_kernels_avxvnni, missing_for_avxvnni}, {&rung_kernels_avx512vnni, missing_for_avx512vnni},
#elif defined(__aarch64__)
    {&rung_kernels_neon, nothing_missing},
    {&rung_kernels_neon_dotprod, missing_for_dotprod},
    {&rung_kernels_neon_i8mm, missing_for_i8mm},
#endif
};

enum { TABLE_COUNT = sizeof tables / sizeof tables[0] };

const rung_kernels *rung_kernels_at(size_t index)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (tables[i].missing_feature() == NULL && index-- == 0) {
            return tables[i].kernels;
        }
    }
    return NULL;
}

static rung_status fail_unknown(const char *name, rung_error *error)
{
    char names[128] = "";
    size_t used = 0;
    for (size_t i = 0; i < TABLE_COUNT && used < sizeof names; i++) {
        int written = snprintf(names + used, sizeof names - used, "%s%s", i == 0 ? "" : ", ", tables[i].kernels->name);
        used += written > 0 ? (size_t)written : 0;
    }
    return rung_fail(error, RUNG_NOT_FOUND, "kernels \"%s\" do not exist in this build; there are %s", name, names);
}

rung_status rung_kernels_select(const char *name, const rung_kernels **kernels, rung_error *error)
{
    if (name == NULL) {
        size_t best = TABLE_COUNT - 1;
        while (tables[best].missing_feature() != NULL) {
            best--;
        }
        *kernels = tables[best].kernels;
        return RUNG_OK;
    }
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (strcmp(tables[i].kernels->name, name) != 0) {
            continue;
        }
        const char *missing = tables[i].missing_feature();
        if (missing != NULL) {
            return rung_fail(error, RUNG_UNSUPPORTED,
                             "kernels \"%s\" need %s, which this CPU does not have; leave the choice to rung", name,
                             missing);
        }
        *kernels = tables[i].kernels;
        return RUNG_OK;
    }
    return fail_unknown(name, error);
}

const char *rung_kernels_slow_because(const char *isa, const rung_kernels *kernels)
{
    return isa == NULL && kernels == &rung_kernels_ref ? NO_FASTER_KERNELS : NULL;
}
