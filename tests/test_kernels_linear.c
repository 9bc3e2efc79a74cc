/* test_kernels_linear.c: linear layers of every kernel table that this CPU can run: the bits of "ref", and "ref" agrees
 * with double precision. Shapes are odd on purpose: tails of every kind, one row, no row, extreme values. */
#include "kernels_fixture.h"

static double expected_epilogue(double z, rung_epilogue epilogue, double residual)
{
    switch (epilogue) {
    case RUNG_EPILOGUE_GELU:
    case RUNG_EPILOGUE_GELU_COARSE:
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

typedef struct linear_case {
    size_t in, out, m;
} linear_case;

static const linear_case linear_cases[] = {
    {1, 1, 1},     {2, 3, 2},      {3, 2, 5},     {4, 64, 6},    {5, 16, 7},    {7, 17, 8},
    {26, 33, 9},   {63, 48, 11},   {64, 49, 12},  {65, 63, 13},  {100, 65, 14}, {312, 312, 1},
    {312, 26, 17}, {257, 129, 25}, {384, 2, 1},   {600, 191, 3}, {33, 1000, 4}, {1200, 312, 50},
    {520, 70, 97}, {130, 90, 140}, {26, 78, 512}, {2049, 5, 2},
};

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
            double coarse = epilogue == RUNG_EPILOGUE_GELU_COARSE ? 5e-5 * (fabs(z) + 1) : 0;
            assert_true(fabs(got - want) <= 1e-6 * (fabs(z) + fabs((double)residual[r * stride + c]) + 1) + coarse);
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
    }
    rung_pack_s8(weights, IN, OUT, (int8_t *)(uintptr_t)w.panels, (int32_t *)(uintptr_t)w.column_sums);
    for (size_t t = 0; rung_kernels_at(t) != NULL; t++) {
        for (int sign = -1; sign <= 1; sign += 2) {
            float y[OUT];
            for (size_t i = 0; i < IN; i++) {
                x[i] = (float)sign;
            }
            rung_kernels_at(t)->quantize_rows(x, IN, 1, IN, q);
            rung_kernels_at(t)->linear_s8(&w, q, 1, RUNG_EPILOGUE_NONE, NULL, y, OUT);
            float q_sum = 127.0f * IN * (float)sign;
            assert_true(y[0] == fmaf(-128 * q_sum, q.scales[0] * w.scales[0], w.bias[0]));
            assert_true(y[1] == fmaf(127 * q_sum, q.scales[0] * w.scales[1], w.bias[1]));
        }
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
            double coarse = epilogue == RUNG_EPILOGUE_GELU_COARSE ? 5e-5 * (size + 10) : 0;
            assert_true(fabs(got - want) <= 1e-6 * (10 + size + size * (double)shape.in / 50) + coarse);
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

/* An empty batch touches nothing. */
static void test_no_rows(void **state)
{
    (void)state;
    enum { IN = 26, OUT = 33 };
    rung_prng prng = {4};
    int8_t *weights;
    float *weights_f32;
    rung_linear_s8 w = random_linear_s8(&prng, IN, OUT, &weights);
    rung_linear_f32 f = random_linear_f32(&prng, IN, OUT, &weights_f32);
    float *x = random_rows(&prng, 1, IN, IN, VALUES_NORMAL);
    float *y = take_canaries(OUT);
    rung_q8 q = take_q8(1, IN);
    for (size_t t = 0; rung_kernels_at(t) != NULL; t++) {
        const rung_kernels *table = rung_kernels_at(t);
        table->quantize_rows(x, IN, 0, IN, q);
        table->linear_s8(&w, q, 0, RUNG_EPILOGUE_RESIDUAL, y, y, OUT);
        table->linear_f32(&f, x, IN, 0, RUNG_EPILOGUE_GELU, NULL, y, OUT);
        table->layer_norm(x, IN, 0, IN, x, x, 1e-12f, y, &q);
        table->tanh(x, 0, y);
        assert_true(q.scales[0] == 0.0f);
        for (size_t c = 0; c < OUT; c++) {
            assert_true(y[c] == CANARY);
        }
    }
    void *all[] = {weights, weights_f32, x, y};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        free(all[i]);
    }
    free_q8(q);
    free_linear_s8(w);
    free_linear_f32(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_s8),  cmocka_unit_test(test_largest_products),
        cmocka_unit_test(test_linear_f32), cmocka_unit_test(test_rows_are_independent),
        cmocka_unit_test(test_no_rows),
    };
    return cmocka_run_group_tests_name("kernels_linear", tests, NULL, NULL);
}
