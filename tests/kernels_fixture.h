/* kernels_fixture.h: random rows and layers of odd shapes for the tests of kernel tables, and the comparison of their
 * bits with those of "ref". */
#ifndef RUNG_TESTS_KERNELS_FIXTURE_H
#define RUNG_TESTS_KERNELS_FIXTURE_H

#include "base/memory.h"
#include "base/prng.h"
#include "kernels/kernels.h"
#include "kernels/vmath.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Tests are built a second time for a table that this CPU may not be able to run: see emulated_avxvnni.c. */
#ifdef RUNG_EMULATE_VNNI
#include "emulated_avxvnni.h"
#define rung_kernels_at emulated_kernels_at
#endif

/* Written before every output, so that a write past it or an element left out shows. */
#define CANARY 12345.678f

typedef enum values_kind {
    VALUES_NORMAL,
    VALUES_OUTLIERS, /* some elements 100 times larger */
    VALUES_HUGE,     /* up to 1e18: products stay finite */
    VALUES_TINY,     /* subnormal */
    VALUES_ZERO_ROWS,
    VALUES_KINDS,
} values_kind;

static inline void *take(size_t count, size_t size)
{
    rung_error error;
    void *p = rung_alloc_aligned(count, size, "test data", &error);
    assert_non_null(p);
    return p;
}

static inline float *take_canaries(size_t count)
{
    float *p = take(count, sizeof *p);
    for (size_t i = 0; i < count; i++) {
        p[i] = CANARY;
    }
    return p;
}

/* [rows][stride], of which n columns are filled. */
static inline float *random_rows(rung_prng *prng, size_t rows, size_t stride, size_t n, values_kind kind)
{
    float *x = take_canaries(rows * stride);
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < n; i++) {
            double value = rung_prng_normal(prng);
            if (kind == VALUES_OUTLIERS && rung_prng_below(prng, 20) == 0) {
                value *= 100;
            } else if (kind == VALUES_HUGE) {
                value *= 1e17;
            } else if (kind == VALUES_TINY) {
                value *= 1e-40;
            } else if (kind == VALUES_ZERO_ROWS && r % 3 == 1) {
                value = 0;
            }
            x[r * stride + i] = (float)value;
        }
    }
    return x;
}

static inline const rung_kernels *ref_table(void)
{
    const rung_kernels *ref = rung_kernels_at(0);
    assert_non_null(ref);
    assert_string_equal(ref->name, "ref");
    return ref;
}

static inline void assert_same_bits(const float *expected, const float *actual, size_t n, const char *table,
                                    const char *what)
{
    for (size_t i = 0; i < n; i++) {
        if (vmath_bits(expected[i]) != vmath_bits(actual[i])) {
            fail_msg("%s of table %s: element %zu is %.9g, ref has %.9g", what, table, i, (double)actual[i],
                     (double)expected[i]);
        }
    }
}

static inline rung_q8 take_q8(size_t rows, size_t k)
{
    return (rung_q8){.data = take(rows * rung_q8_stride(k), 1), .scales = take(rows, sizeof(float))};
}

static inline void free_q8(rung_q8 q)
{
    free(q.data);
    free(q.scales);
}

/* ---- Layers with random weights. ---- */

static inline rung_linear_s8 random_linear_s8(rung_prng *prng, size_t in, size_t out, int8_t **weights)
{
    size_t padded = (out + RUNG_PANEL - 1) / RUNG_PANEL * RUNG_PANEL;
    int8_t *w = take(in * out, 1);
    for (size_t i = 0; i < in * out; i++) {
        w[i] = (int8_t)((int)rung_prng_below(prng, 255) - 127);
    }
    int8_t *panels = take(rung_linear_s8_panel_bytes(in, out), 1);
    int32_t *column_sums = take(padded, sizeof *column_sums);
    float *scales = take(padded, sizeof *scales);
    float *bias = take(padded, sizeof *bias);
    rung_pack_s8(w, in, out, panels, column_sums);
    for (size_t c = 0; c < out; c++) {
        scales[c] = (float)((0.1 + rung_prng_uniform(prng)) / 127 / sqrt((double)in));
        bias[c] = (float)rung_prng_normal(prng);
    }
    *weights = w;
    return (rung_linear_s8){.in_features = in,
                            .out_features = out,
                            .panels = panels,
                            .scales = scales,
                            .column_sums = column_sums,
                            .bias = bias};
}

static inline void free_linear_s8(rung_linear_s8 w)
{
    free((void *)(uintptr_t)w.panels);
    free((void *)(uintptr_t)w.scales);
    free((void *)(uintptr_t)w.column_sums);
    free((void *)(uintptr_t)w.bias);
}

static inline rung_linear_f32 random_linear_f32(rung_prng *prng, size_t in, size_t out, float **weights)
{
    size_t padded = (out + RUNG_PANEL - 1) / RUNG_PANEL * RUNG_PANEL;
    float *w = random_rows(prng, out, in, in, VALUES_NORMAL);
    float *panels = take(rung_linear_f32_panel_floats(in, out), sizeof *panels);
    float *bias = take(padded, sizeof *bias);
    rung_pack_f32(w, in, out, panels);
    for (size_t c = 0; c < out; c++) {
        bias[c] = (float)rung_prng_normal(prng);
    }
    *weights = w;
    return (rung_linear_f32){.in_features = in, .out_features = out, .panels = panels, .bias = bias};
}

static inline void free_linear_f32(rung_linear_f32 w)
{
    free((void *)(uintptr_t)w.panels);
    free((void *)(uintptr_t)w.bias);
}

/* Outputs have 5 floats more than out_features a row; they must stay as they were. */
enum { Y_EXTRA = 5 };

static inline void check_extra(const float *y, size_t m, size_t out)
{
    for (size_t r = 0; r < m; r++) {
        for (size_t c = out; c < out + Y_EXTRA; c++) {
            assert_true(y[r * (out + Y_EXTRA) + c] == CANARY);
        }
    }
}

#endif
