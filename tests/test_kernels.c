/* test_kernels.c: every kernel table that this CPU can run gives the bits of "ref", and "ref" agrees with double
 * precision. Shapes are odd on purpose: tails of every kind, one row, zero rows, extreme values. */
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

static void *take(size_t count, size_t size)
{
    rung_error error;
    void *p = rung_alloc_aligned(count, size, "test data", &error);
    assert_non_null(p);
    return p;
}

static float *take_canaries(size_t count)
{
    float *p = take(count, sizeof *p);
    for (size_t i = 0; i < count; i++) {
        p[i] = CANARY;
    }
    return p;
}

/* [rows][stride], of which n columns are filled. */
static float *random_rows(rung_prng *prng, size_t rows, size_t stride, size_t n, values_kind kind)
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

static const rung_kernels *ref_table(void)
{
    const rung_kernels *ref = rung_kernels_at(0);
    assert_non_null(ref);
    assert_string_equal(ref->name, "ref");
    return ref;
}

static void assert_same_bits(const float *expected, const float *actual, size_t n, const char *table, const char *what)
{
    for (size_t i = 0; i < n; i++) {
        if (vmath_bits(expected[i]) != vmath_bits(actual[i])) {
            fail_msg("%s of table %s: element %zu is %.9g, ref has %.9g", what, table, i, (double)actual[i],
                     (double)expected[i]);
        }
    }
}

static rung_q8 take_q8(size_t rows, size_t k)
{
    return (rung_q8){.data = take(rows * rung_q8_stride(k), 1), .scales = take(rows, sizeof(float))};
}

static void free_q8(rung_q8 q)
{
    free(q.data);
    free(q.scales);
}

/* ---- Layers with random weights. ---- */

static rung_linear_s8 random_linear_s8(rung_prng *prng, size_t in, size_t out, int8_t **weights)
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

static void free_linear_s8(rung_linear_s8 w)
{
    free((void *)(uintptr_t)w.panels);
    free((void *)(uintptr_t)w.scales);
    free((void *)(uintptr_t)w.column_sums);
    free((void *)(uintptr_t)w.bias);
}

static rung_linear_f32 random_linear_f32(rung_prng *prng, size_t in, size_t out, float **weights)
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

static void free_linear_f32(rung_linear_f32 w)
{
    free((void *)(uintptr_t)w.panels);
    free((void *)(uintptr_t)w.bias);
}

static double expected_epilogue(double z, rung_epilogue epilogue, double residual)
{
    switch (epilogue) {
    case RUNG_EPILOGUE_GELU:
        return z / 2 * (1 + erf(z / sqrt(2.0)));
    case RUNG_EPILOGUE_RELU:
        return z > 0 ? z : 0;
    case RUNG_EPILOGUE_RESIDUAL:
        return z + residual;
    case RUNG_EPILOGUE_NONE:
        break;
    }
    return z;
}

/* ---- Selection. ---- */

static void test_select(void **state)
{
    (void)state;
    rung_error error;
    const rung_kernels *kernels = NULL;
    const rung_kernels *last = NULL;
    for (size_t i = 0; rung_kernels_at(i) != NULL; i++) {
        last = rung_kernels_at(i);
        assert_int_equal(rung_kernels_select(last->name, &kernels, &error), RUNG_OK);
        assert_ptr_equal(kernels, last);
    }
    assert_int_equal(rung_kernels_select(NULL, &kernels, &error), RUNG_OK);
    assert_ptr_equal(kernels, last);
    const rung_kernels *untouched = kernels;
    assert_int_equal(rung_kernels_select("mmx", &kernels, &error), RUNG_NOT_FOUND);
    assert_ptr_equal(kernels, untouched);
    assert_non_null(strstr(error.message, "kernels \"mmx\" do not exist in this build; there are ref"));
    assert_null(rung_kernels_at(1000));
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx512vnni")) {
        assert_int_equal(rung_kernels_select("avx512vnni", &kernels, &error), RUNG_UNSUPPORTED);
        assert_non_null(strstr(error.message, "need AVX-512"));
    }
#endif
}

/* ---- Packing. ---- */

static void test_pack(void **state)
{
    (void)state;
    rung_prng prng = {1};
    static const size_t shapes[][2] = {{1, 1}, {3, 2}, {4, 64}, {5, 65}, {26, 7}, {312, 100}, {130, 1000}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        size_t in = shapes[s][0];
        size_t out = shapes[s][1];
        int8_t *weights;
        rung_linear_s8 w = random_linear_s8(&prng, in, out, &weights);
        size_t k4 = (in + 3) / 4;
        int64_t sum_all = 0;
        for (size_t row = 0; row < out; row++) {
            int32_t sum = 0;
            for (size_t k = 0; k < in; k++) {
                int8_t packed = w.panels[((row / 64 * k4 + k / 4) * 64 + row % 64) * 4 + k % 4];
                assert_int_equal(packed, weights[row * in + k]);
                sum += packed;
            }
            assert_int_equal(w.column_sums[row], sum);
            sum_all += sum;
        }
        int64_t sum_panels = 0;
        for (size_t i = 0; i < rung_linear_s8_panel_bytes(in, out); i++) {
            sum_panels += w.panels[i];
        }
        assert_int_equal(sum_all, sum_panels);
        int8_t *unpacked = take(in * out, 1);
        rung_unpack_s8(&w, unpacked);
        assert_memory_equal(unpacked, weights, in * out);
        free(unpacked);
        free(weights);
        free_linear_s8(w);
        float *weights_f32;
        rung_linear_f32 f = random_linear_f32(&prng, in, out, &weights_f32);
        for (size_t i = 0; i < (out + 63) / 64 * 64 * in; i++) {
            size_t row = i / (64 * in) * 64 + i % 64;
            float expected = row < out ? weights_f32[row * in + i / 64 % in] : 0.0f;
            assert_true(f.panels[i] == expected);
        }
        free(weights_f32);
        free_linear_f32(f);
    }
}

/* ---- Quantisation: what a table stored is read back through a product with the identity. ---- */

static void check_quantize(const rung_kernels *table, size_t rows, size_t k, values_kind kind)
{
    rung_prng prng = {k * 31 + (size_t)kind};
    size_t stride = k + 3;
    size_t padded = (k + 63) / 64 * 64;
    float *x = random_rows(&prng, rows, stride, k, kind);
    rung_q8 q = take_q8(rows, k);
    table->quantize_rows(x, stride, rows, k, q);
    int8_t *identity = take(k * k, 1);
    for (size_t i = 0; i < k; i++) {
        identity[i * k + i] = 1;
    }
    int8_t *panels = take(rung_linear_s8_panel_bytes(k, k), 1);
    int32_t *column_sums = take(padded, sizeof *column_sums);
    float *ones = take_canaries(padded);
    float *zeros = take(padded, sizeof *zeros);
    float *y = take_canaries(rows * k);
    rung_pack_s8(identity, k, k, panels, column_sums);
    for (size_t i = 0; i < padded; i++) {
        ones[i] = 1.0f;
    }
    rung_linear_s8 w = {k, k, panels, ones, column_sums, zeros};
    float *scales = take(rows, sizeof *scales);
    memcpy(scales, q.scales, rows * sizeof *scales);
    for (size_t r = 0; r < rows; r++) {
        q.scales[r] = 1.0f;
    }
    table->linear_s8(&w, q, rows, RUNG_EPILOGUE_NONE, NULL, y, k);
    for (size_t r = 0; r < rows; r++) {
        float absmax = 0.0f;
        for (size_t i = 0; i < k; i++) {
            absmax = fmaxf(absmax, fabsf(x[r * stride + i]));
        }
        bool zero = absmax < RUNG_Q8_LEAST;
        assert_true(scales[r] == (zero ? 0.0f : absmax / 127.0f));
        for (size_t i = 0; i < k; i++) {
            float expected = zero ? 0.0f : rintf(x[r * stride + i] * (127.0f / absmax));
            assert_true(fabsf(y[r * k + i]) <= 127.0f);
            assert_true(y[r * k + i] == expected);
        }
    }
    void *all[] = {x, identity, panels, column_sums, ones, zeros, y, scales};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        free(all[i]);
    }
    free_q8(q);
}

static void test_quantize(void **state)
{
    (void)state;
    static const size_t widths[] = {1, 3, 15, 16, 17, 26, 63, 64, 65, 130, 312};
    for (size_t t = 0; rung_kernels_at(t) != NULL; t++) {
        for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
            for (int kind = 0; kind < VALUES_KINDS; kind++) {
                check_quantize(rung_kernels_at(t), 7, widths[i], (values_kind)kind);
            }
        }
    }
}

/* ---- Linear layers. ---- */

typedef struct linear_case {
    size_t in, out, m;
} linear_case;

static const linear_case linear_cases[] = {
    {1, 1, 1},    {2, 3, 2},     {3, 2, 5},     {4, 64, 6},      {5, 16, 7},    {7, 17, 8},     {26, 33, 9},
    {63, 48, 11}, {64, 49, 12},  {65, 63, 13},  {100, 65, 14},   {312, 312, 1}, {312, 26, 17},  {257, 129, 25},
    {384, 2, 1},  {600, 191, 3}, {33, 1000, 4}, {1200, 312, 50}, {520, 70, 97}, {130, 90, 140},
};

/* y has 5 floats more than out_features a row; they and y's end must stay as they were. */
enum { Y_EXTRA = 5 };

static void check_extra(const float *y, size_t m, size_t out)
{
    for (size_t r = 0; r < m; r++) {
        for (size_t c = out; c < out + Y_EXTRA; c++) {
            assert_true(y[r * (out + Y_EXTRA) + c] == CANARY);
        }
    }
}

static void check_linear_s8(linear_case shape, values_kind kind, rung_epilogue epilogue)
{
    rung_prng prng = {shape.in * 1000 + shape.out};
    const rung_kernels *ref = ref_table();
    size_t stride = shape.out + Y_EXTRA;
    int8_t *weights;
    rung_linear_s8 w = random_linear_s8(&prng, shape.in, shape.out, &weights);
    float *x = random_rows(&prng, shape.m, shape.in, shape.in, kind);
    float *residual = random_rows(&prng, shape.m, stride, shape.out, VALUES_NORMAL);
    float *expected = take_canaries(shape.m * stride);
    float *y = take_canaries(shape.m * stride);
    rung_q8 q = take_q8(shape.m, shape.in);
    ref->quantize_rows(x, shape.in, shape.m, shape.in, q);
    ref->linear_s8(&w, q, shape.m, epilogue, residual, expected, stride);
    for (size_t r = 0; r < shape.m; r++) {
        for (size_t c = 0; c < shape.out; c++) {
            double sum = 0;
            for (size_t k = 0; k < shape.in; k++) { /* ref stores q as int8 */
                sum += (double)(int8_t)q.data[r * rung_q8_stride(shape.in) + k] * weights[c * shape.in + k];
            }
            double z = sum * (double)q.scales[r] * (double)w.scales[c] + (double)w.bias[c];
            double want = expected_epilogue(z, epilogue, (double)residual[r * stride + c]);
            double got = (double)expected[r * stride + c];
            assert_true(fabs(got - want) <= 1e-6 * (fabs(z) + fabs((double)residual[r * stride + c]) + 1));
        }
    }
    check_extra(expected, shape.m, shape.out);
    for (size_t t = 1; rung_kernels_at(t) != NULL; t++) {
        const rung_kernels *table = rung_kernels_at(t);
        table->quantize_rows(x, shape.in, shape.m, shape.in, q);
        table->linear_s8(&w, q, shape.m, epilogue, residual, y, stride);
        assert_same_bits(expected, y, shape.m * stride, table->name, "linear_s8");
        if (epilogue == RUNG_EPILOGUE_RESIDUAL) { /* the residual may be the output */
            memcpy(y, residual, shape.m * stride * sizeof *y);
            table->linear_s8(&w, q, shape.m, epilogue, y, y, stride);
            assert_same_bits(expected, y, shape.m * stride, table->name, "linear_s8 in place");
        }
    }
    void *all[] = {weights, x, residual, expected, y};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        free(all[i]);
    }
    free_q8(q);
    free_linear_s8(w);
}

static void test_linear_s8(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof linear_cases / sizeof linear_cases[0]; i++) {
        for (int epilogue = RUNG_EPILOGUE_NONE; epilogue <= RUNG_EPILOGUE_RESIDUAL; epilogue++) {
            check_linear_s8(linear_cases[i], (values_kind)(((int)i + epilogue) % VALUES_KINDS),
                            (rung_epilogue)epilogue);
        }
    }
}

/* Every product as large as it gets, with weights of -128 too, which a file may hold: nothing saturates. */
static void test_largest_products(void **state)
{
    (void)state;
    enum { IN = 900, OUT = 2 };
    int8_t *weights;
    rung_linear_s8 w = random_linear_s8(&(rung_prng){9}, IN, OUT, &weights);
    float x[IN];
    rung_q8 q = take_q8(1, IN);
    for (size_t i = 0; i < IN; i++) {
        weights[i] = -128;
        weights[IN + i] = 127;
        x[i] = 1.0f;
    }
    rung_pack_s8(weights, IN, OUT, (int8_t *)(uintptr_t)w.panels, (int32_t *)(uintptr_t)w.column_sums);
    for (size_t t = 0; rung_kernels_at(t) != NULL; t++) {
        float y[OUT];
        rung_kernels_at(t)->quantize_rows(x, IN, 1, IN, q);
        rung_kernels_at(t)->linear_s8(&w, q, 1, RUNG_EPILOGUE_NONE, NULL, y, OUT);
        assert_true(y[0] == fmaf(-128 * 127 * IN, q.scales[0] * w.scales[0], w.bias[0]));
        assert_true(y[1] == fmaf(127 * 127 * IN, q.scales[0] * w.scales[1], w.bias[1]));
    }
    free(weights);
    free_q8(q);
    free_linear_s8(w);
}

static void check_linear_f32(linear_case shape, values_kind kind, rung_epilogue epilogue)
{
    rung_prng prng = {shape.in * 1000 + shape.out};
    size_t stride = shape.out + Y_EXTRA;
    size_t x_stride = shape.in + 2;
    float *weights;
    rung_linear_f32 w = random_linear_f32(&prng, shape.in, shape.out, &weights);
    float *x = random_rows(&prng, shape.m, x_stride, shape.in, kind);
    float *residual = random_rows(&prng, shape.m, stride, shape.out, VALUES_NORMAL);
    float *expected = take_canaries(shape.m * stride);
    float *y = take_canaries(shape.m * stride);
    ref_table()->linear_f32(&w, x, x_stride, shape.m, epilogue, residual, expected, stride);
    for (size_t r = 0; r < shape.m; r++) {
        for (size_t c = 0; c < shape.out; c++) {
            double sum = 0;
            double size = 0;
            for (size_t k = 0; k < shape.in; k++) {
                double product = (double)x[r * x_stride + k] * (double)weights[c * shape.in + k];
                sum += product;
                size += fabs(product);
            }
            double want = expected_epilogue(sum + (double)w.bias[c], epilogue, (double)residual[r * stride + c]);
            double got = (double)expected[r * stride + c];
            assert_true(fabs(got - want) <= 1e-6 * (10 + size + size * (double)shape.in / 50));
        }
    }
    check_extra(expected, shape.m, shape.out);
    for (size_t t = 1; rung_kernels_at(t) != NULL; t++) {
        const rung_kernels *table = rung_kernels_at(t);
        table->linear_f32(&w, x, x_stride, shape.m, epilogue, residual, y, stride);
        assert_same_bits(expected, y, shape.m * stride, table->name, "linear_f32");
    }
    void *all[] = {weights, x, residual, expected, y};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        free(all[i]);
    }
    free_linear_f32(w);
}

static void test_linear_f32(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof linear_cases / sizeof linear_cases[0]; i++) {
        for (int epilogue = RUNG_EPILOGUE_NONE; epilogue <= RUNG_EPILOGUE_RESIDUAL; epilogue++) {
            check_linear_f32(linear_cases[i], (values_kind)(((int)i + epilogue) % VALUES_KINDS),
                             (rung_epilogue)epilogue);
        }
    }
}

/* A row's result must not depend on how many rows come with it. */
static void test_rows_are_independent(void **state)
{
    (void)state;
    enum { IN = 70, OUT = 80, M = 29 };
    rung_prng prng = {3};
    int8_t *weights;
    float *weights_f32;
    rung_linear_s8 w = random_linear_s8(&prng, IN, OUT, &weights);
    rung_linear_f32 f = random_linear_f32(&prng, IN, OUT, &weights_f32);
    float *x = random_rows(&prng, M, IN, IN, VALUES_NORMAL);
    float *all = take_canaries(M * OUT);
    float *one = take_canaries(M * OUT);
    rung_q8 q = take_q8(M, IN);
    for (size_t t = 0; rung_kernels_at(t) != NULL; t++) {
        const rung_kernels *table = rung_kernels_at(t);
        table->quantize_rows(x, IN, M, IN, q);
        table->linear_s8(&w, q, M, RUNG_EPILOGUE_GELU, NULL, all, OUT);
        for (size_t r = 0; r < M; r++) {
            rung_q8 row = {.data = q.data + r * rung_q8_stride(IN), .scales = q.scales + r};
            table->linear_s8(&w, row, 1, RUNG_EPILOGUE_GELU, NULL, one + r * OUT, OUT);
        }
        assert_same_bits(all, one, M * OUT, table->name, "linear_s8 by rows");
        table->linear_f32(&f, x, IN, M, RUNG_EPILOGUE_NONE, NULL, all, OUT);
        for (size_t r = 0; r < M; r++) {
            table->linear_f32(&f, x + r * IN, IN, 1, RUNG_EPILOGUE_NONE, NULL, one + r * OUT, OUT);
        }
        assert_same_bits(all, one, M * OUT, table->name, "linear_f32 by rows");
    }
    void *buffers[] = {weights, weights_f32, x, all, one};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
        free(buffers[i]);
    }
    free_q8(q);
    free_linear_s8(w);
    free_linear_f32(f);
}

/* ---- LayerNorm. ---- */

static void check_layer_norm(size_t m, size_t n, values_kind kind)
{
    rung_prng prng = {n};
    size_t stride = n + 3;
    float *x = random_rows(&prng, m, stride, n, kind);
    float *gamma = random_rows(&prng, 1, n, n, VALUES_NORMAL);
    float *beta = random_rows(&prng, 1, n, n, VALUES_NORMAL);
    float *expected = take_canaries(m * stride);
    rung_q8 q = take_q8(m, n);
    rung_q8 q_after = take_q8(m, n);
    ref_table()->layer_norm(x, stride, m, n, gamma, beta, 1e-12f, expected, NULL);
    for (size_t r = 0; r < m && kind != VALUES_TINY; r++) {
        double mean = 0;
        double variance = 0;
        for (size_t i = 0; i < n; i++) {
            mean += (double)x[r * stride + i] / (double)n;
        }
        for (size_t i = 0; i < n; i++) {
            variance += pow((double)x[r * stride + i] - mean, 2) / (double)n;
        }
        for (size_t i = 0; i < n && n > 1; i++) {
            double want =
                ((double)x[r * stride + i] - mean) / sqrt(variance + 1e-12) * (double)gamma[i] + (double)beta[i];
            assert_true(fabs((double)expected[r * stride + i] - want) <= 2e-5);
        }
    }
    for (size_t t = 0; rung_kernels_at(t) != NULL; t++) {
        const rung_kernels *table = rung_kernels_at(t);
        float *y = take_canaries(m * stride);
        table->layer_norm(x, stride, m, n, gamma, beta, 1e-12f, y, &q);
        assert_same_bits(expected, y, m * stride, table->name, "layer_norm");
        table->quantize_rows(y, stride, m, n, q_after);
        assert_memory_equal(q.data, q_after.data, m * rung_q8_stride(n));
        assert_memory_equal(q.scales, q_after.scales, m * sizeof(float));
        memcpy(y, x, m * stride * sizeof *y);
        table->layer_norm(y, stride, m, n, gamma, beta, 1e-12f, y, NULL);
        for (size_t r = 0; r < m; r++) {
            assert_same_bits(expected + r * stride, y + r * stride, n, table->name, "layer_norm in place");
        }
        free(y);
    }
    free(x);
    free(gamma);
    free(beta);
    free(expected);
    free_q8(q);
    free_q8(q_after);
}

static void test_layer_norm(void **state)
{
    (void)state;
    static const size_t widths[] = {1, 2, 15, 16, 17, 31, 100, 128, 312, 384, 768};
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        for (int kind = 0; kind < VALUES_KINDS; kind++) {
            check_layer_norm(9, widths[i], (values_kind)kind);
        }
    }
}

/* ---- Attention. ---- */

/* Double precision; column_sums gets added. */
static void expected_attention(const rung_attention *a, double *context, double *column_sums)
{
    double *p = take(a->seq_len, sizeof *p);
    for (size_t h = 0; h < a->num_heads; h++) {
        for (size_t i = 0; i < a->seq_len; i++) {
            double max = -HUGE_VAL;
            double sum = 0;
            for (size_t j = 0; j < a->seq_len; j++) {
                p[j] = 0;
                for (size_t d = h * a->head_size; d < (h + 1) * a->head_size; d++) {
                    p[j] += (double)a->q[i * a->stride + d] * (double)a->k[j * a->stride + d];
                }
                p[j] /= sqrt((double)a->head_size);
                max = p[j] > max ? p[j] : max;
            }
            for (size_t j = 0; j < a->seq_len; j++) {
                p[j] = exp(p[j] - max);
                sum += p[j];
            }
            for (size_t j = 0; j < a->seq_len; j++) {
                p[j] /= sum;
                column_sums[j] += p[j] / (double)a->num_heads;
                for (size_t d = h * a->head_size; d < (h + 1) * a->head_size; d++) {
                    context[i * a->context_stride + d] += p[j] * (double)a->v[j * a->stride + d];
                }
            }
        }
    }
    free(p);
}

static void check_attention_values(const rung_attention *a, double column_start)
{
    size_t hidden = a->num_heads * a->head_size;
    double *context = take(a->seq_len * a->context_stride, sizeof *context);
    double *column_sums = take(a->seq_len, sizeof *column_sums);
    expected_attention(a, context, column_sums);
    for (size_t i = 0; i < a->seq_len; i++) {
        assert_true(fabs((double)a->column_sums[i] - column_start - column_sums[i]) <= 1e-4);
        for (size_t d = 0; d < a->context_stride; d++) {
            float got = a->context[i * a->context_stride + d];
            if (d < hidden) {
                assert_true(fabs((double)got - context[i * a->context_stride + d]) <= 2e-5);
            } else {
                assert_true(got == CANARY);
            }
        }
    }
    free(context);
    free(column_sums);
}

static void check_attention(size_t seq_len, size_t num_heads, size_t head_size, float size)
{
    rung_prng prng = {seq_len * 100 + head_size};
    size_t hidden = num_heads * head_size;
    size_t stride = 3 * hidden + 1;
    float *qkv = random_rows(&prng, seq_len, stride, 3 * hidden, VALUES_NORMAL);
    float *expected = NULL;
    float *expected_sums = NULL;
    for (size_t i = 0; i < seq_len * stride; i++) {
        qkv[i] *= i % stride < 2 * hidden ? size : 1.0f;
    }
    for (size_t t = 0; rung_kernels_at(t) != NULL; t++) {
        const rung_kernels *table = rung_kernels_at(t);
        float *context = take_canaries(seq_len * (hidden + 2));
        float *column_sums = take(seq_len, sizeof *column_sums);
        void *scratch = take(table->attention_scratch_bytes(seq_len, head_size), 1);
        for (size_t i = 0; i < seq_len; i++) {
            column_sums[i] = 0.25f;
        }
        rung_attention a = {.seq_len = seq_len,
                            .num_heads = num_heads,
                            .head_size = head_size,
                            .q = qkv,
                            .k = qkv + hidden,
                            .v = qkv + 2 * hidden,
                            .stride = stride,
                            .context = context,
                            .context_stride = hidden + 2,
                            .column_sums = column_sums,
                            .scratch = scratch};
        table->attention(&a);
        if (t == 0) {
            check_attention_values(&a, 0.25);
            expected = context;
            expected_sums = column_sums;
        } else {
            assert_same_bits(expected, context, seq_len * (hidden + 2), table->name, "attention");
            assert_same_bits(expected_sums, column_sums, seq_len, table->name, "column sums");
            a.column_sums = NULL;
            table->attention(&a);
            assert_same_bits(expected, context, seq_len * (hidden + 2), table->name, "attention without column sums");
            free(context);
            free(column_sums);
        }
        free(scratch);
    }
    free(expected);
    free(expected_sums);
    free(qkv);
}

static void test_attention(void **state)
{
    (void)state;
    check_attention(1, 1, 1, 1);
    check_attention(1, 12, 26, 1);
    check_attention(2, 2, 32, 1);
    check_attention(5, 3, 7, 1);
    check_attention(13, 2, 64, 1);
    check_attention(16, 2, 16, 3);
    check_attention(17, 12, 26, 1);
    check_attention(31, 1, 48, 1);
    check_attention(64, 2, 32, 2);
    check_attention(65, 2, 40, 1);
    check_attention(100, 2, 64, 3);
    check_attention(130, 1, 96, 1);
    check_attention(77, 1, 130, 1);
    check_attention(512, 1, 32, 1);
}

/* ---- NaN and infinity: any result, no crash, no write out of bounds. ---- */

static void test_not_finite(void **state)
{
    (void)state;
    enum { N = 84, HEAD_SIZE = 28, M = 14 };
    static const float specials[] = {NAN, INFINITY, -INFINITY, 3.0e38f, -3.0e38f, 1.0e-45f, 0.0f};
    rung_prng prng = {5};
    int8_t *weights;
    float *weights_f32;
    rung_linear_s8 w = random_linear_s8(&prng, N, N, &weights);
    rung_linear_f32 f = random_linear_f32(&prng, N, N, &weights_f32);
    float *x = random_rows(&prng, M, N, N, VALUES_NORMAL);
    for (size_t i = 0; i < M * N; i += 3) {
        x[i] = specials[rung_prng_below(&prng, sizeof specials / sizeof specials[0])];
    }
    rung_q8 q = take_q8(M, N);
    for (size_t t = 0; rung_kernels_at(t) != NULL; t++) {
        const rung_kernels *table = rung_kernels_at(t);
        float *y = take_canaries(M * (N + Y_EXTRA));
        void *scratch = take(table->attention_scratch_bytes(M, HEAD_SIZE), 1);
        table->quantize_rows(x, N, M, N, q);
        table->linear_s8(&w, q, M, RUNG_EPILOGUE_GELU, NULL, y, N + Y_EXTRA);
        table->linear_f32(&f, x, N, M, RUNG_EPILOGUE_GELU, NULL, y, N + Y_EXTRA);
        rung_attention a = {.seq_len = M,
                            .num_heads = 1,
                            .head_size = HEAD_SIZE,
                            .q = x,
                            .k = x + HEAD_SIZE,
                            .v = x + 2 * HEAD_SIZE,
                            .stride = N,
                            .context = y,
                            .context_stride = N + Y_EXTRA,
                            .scratch = scratch};
        table->attention(&a);
        table->tanh(x, N, y);
        check_extra(y, M, N);
        table->layer_norm(x, N, M, N, x, x, 1e-12f, y, &q);
        free(y);
        free(scratch);
    }
    free(weights);
    free(weights_f32);
    free(x);
    free_q8(q);
    free_linear_s8(w);
    free_linear_f32(f);
}

/* The vector forms: tanh directly, erf through GELU, exp through attention (above); here over a dense range. */
static void test_vector_functions(void **state)
{
    (void)state;
    enum { N = 20011 };
    float *x = take(N, sizeof *x);
    float *expected = take(N, sizeof *expected);
    float *y = take(N, sizeof *y);
    for (size_t i = 0; i < N; i++) {
        x[i] = ((float)i - N / 2) * 1.3e-3f;
    }
    x[N / 2] = -0.0f;
    rung_linear_f32 one = {
        .in_features = 1, .out_features = 1, .panels = take(64, sizeof(float)), .bias = take(64, sizeof(float))};
    float weight = 1.0f;
    rung_pack_f32(&weight, 1, 1, (float *)(uintptr_t)one.panels);
    for (size_t t = 0; rung_kernels_at(t) != NULL; t++) {
        const rung_kernels *table = rung_kernels_at(t);
        for (size_t i = 0; i < N; i++) {
            expected[i] = vmath_tanhf(x[i]);
        }
        table->tanh(x, N, y);
        assert_same_bits(expected, y, N, table->name, "tanh");
        for (size_t i = 0; i < N; i++) {
            expected[i] = vmath_geluf(fmaf(x[i], 1.0f, 0.0f) + 0.0f);
        }
        table->linear_f32(&one, x, 1, N, RUNG_EPILOGUE_GELU, NULL, y, 1);
        assert_same_bits(expected, y, N, table->name, "gelu");
    }
    free_linear_f32(one);
    free(x);
    free(expected);
    free(y);
}

static void test_peaks(void **state)
{
    (void)state;
    for (size_t t = 0; rung_kernels_at(t) != NULL; t++) {
        const rung_kernels *table = rung_kernels_at(t);
        assert_true(table->peak_s8(10) > 0);
        assert_true(table->peak_s8(20) == 2 * table->peak_s8(10));
        assert_true(table->peak_f32(20) == 2 * table->peak_f32(10));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_quantize),
        cmocka_unit_test(test_linear_s8),
        cmocka_unit_test(test_largest_products),
        cmocka_unit_test(test_linear_f32),
        cmocka_unit_test(test_rows_are_independent),
        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_vector_functions),
        cmocka_unit_test(test_peaks),
    };
    return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}
