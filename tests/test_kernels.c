/* test_kernels.c: selection and packing; quantisation, LayerNorm and functions of single numbers: every kernel table
 * that this CPU can run gives the bits of "ref", and "ref" agrees with double precision. */
#include "base/checked.h"
#include "kernels_fixture.h"

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
    bool has_avxvnni = false;
    for (size_t i = 0; rung_kernels_at(i) != NULL; i++) {
        has_avxvnni = has_avxvnni || strcmp(rung_kernels_at(i)->name, "avxvnni") == 0;
    }
    if (!has_avxvnni) {
        assert_int_equal(rung_kernels_select("avxvnni", &kernels, &error), RUNG_UNSUPPORTED);
        assert_non_null(strstr(error.message, "need AVX"));
    }
#elif defined(__aarch64__)
    if (strcmp(last->name, "neon") == 0) {
        assert_int_equal(rung_kernels_select("neon-dotprod", &kernels, &error), RUNG_UNSUPPORTED);
        assert_non_null(strstr(error.message, "need int8 dot products (FEAT_DotProd), which this CPU does not have"));
        assert_int_equal(rung_kernels_select("neon-i8mm", &kernels, &error), RUNG_UNSUPPORTED);
    }
#endif
}

static void test_slow_because(void **state)
{
    (void)state;
    const rung_kernels *ref = ref_table();
    assert_non_null(strstr(rung_kernels_slow_because(NULL, ref), "this processor"));
    assert_null(rung_kernels_slow_because("ref", ref));
    for (size_t i = 1; rung_kernels_at(i) != NULL; i++) {
        assert_null(rung_kernels_slow_because(NULL, rung_kernels_at(i)));
    }
}

/* ---- Packing. ---- */

static void test_pack(void **state)
{
    (void)state;
    rung_prng prng = {1};
    static const size_t shapes[][2] = {{1, 1},     {3, 2},      {4, 64},   {5, 65},   {26, 7},
                                       {312, 100}, {130, 1000}, {1021, 3}, {2041, 65}};
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

/* The largest sums, over the borders of the passes of 1,020 inputs. Padding counts. */
static void test_column_sums(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 4, 1019, 1020, 1021, 2040, 2041, 65536};
    static const int8_t values[] = {-128, 127};
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        size_t in = sizes[i / 2];
        int8_t *panels = take(rung_linear_s8_panel_bytes(in, 65), 1);
        int32_t *sums = take(128, sizeof *sums);
        memset(panels, values[i % 2], rung_linear_s8_panel_bytes(in, 65));
        rung_column_sums_s8(panels, in, 65, sums);
        for (size_t column = 0; column < 128; column++) {
            assert_int_equal(sums[column], values[i % 2] * (int32_t)rung_round_up(in, 4));
        }
        free(panels);
        free(sums);
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
        cmocka_unit_test(test_select),      cmocka_unit_test(test_slow_because),     cmocka_unit_test(test_pack),
        cmocka_unit_test(test_column_sums), cmocka_unit_test(test_quantize),         cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_not_finite),  cmocka_unit_test(test_vector_functions), cmocka_unit_test(test_peaks),
    };
    return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}
