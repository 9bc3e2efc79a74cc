/* test_quantize.c: int8 rows, low-bit groups and the bit stream, decoded by the rows of the embedding. */
#include "base/prng.h"
#include "model/model.h"
#include "model/quantize.h"
#include "model_fixture.h"

#include <math.h>

static void test_rows_s8(void **state)
{
    (void)state;
    const float w[3 * 4] = {0.5f, -1.27f, 0.0f, 1.0f, 0.0f, 0.0f, -0.0f, 0.0f, 3e-39f, -2e-39f, 1e-39f, 0.0f};
    int8_t q[12];
    float scales[3];
    rung_quantize_rows_s8(w, 3, 4, q, scales);
    assert_true(scales[0] == 1.27f / 127.0f);
    const int8_t first[4] = {50, -127, 0, 100};
    assert_memory_equal(q, first, 4);
    assert_true(scales[1] == 0.0f);
    for (size_t i = 4; i < 8; i++) {
        assert_int_equal(q[i], 0);
    }
    assert_int_equal(q[8], 127);
}

static void test_rows_s8_error_is_half_a_step(void **state)
{
    (void)state;
    enum { ROWS = 16, COLUMNS = 100 };
    static float w[ROWS * COLUMNS];
    static int8_t q[ROWS * COLUMNS];
    float scales[ROWS];
    rung_prng prng = {.state = 7};
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        w[i] = (float)rung_prng_normal(&prng);
    }
    rung_quantize_rows_s8(w, ROWS, COLUMNS, q, scales);
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        float scale = scales[i / COLUMNS];
        assert_true(q[i] >= -127);
        assert_true(fabsf(w[i] - scale * (float)q[i]) <= scale * 0.5001f);
    }
}

/* The error of the plain choice: the largest magnitude takes code half - 1, or -half when that sign of scale is
 * allowed. */
static double plain_error(const float *values, size_t count, unsigned bits)
{
    float half = (float)(1u << (bits - 1));
    float extreme = 0.0f;
    for (size_t i = 0; i < count; i++) {
        extreme = fabsf(values[i]) > fabsf(extreme) ? values[i] : extreme;
    }
    float scale = rung_f16_to_f32(rung_f32_to_f16(-extreme / half));
    double error = 0.0;
    for (size_t i = 0; i < count; i++) {
        float code = fminf(rintf(values[i] / scale), half - 1.0f);
        error += pow((double)values[i] - (double)(scale * fmaxf(code, -half)), 2.0);
    }
    return error;
}

static void test_group_is_not_worse_than_plain(void **state)
{
    (void)state;
    static const unsigned widths[] = {4, 5, 6, 8};
    rung_prng prng = {.state = 3};
    for (size_t w = 0; w < 4; w++) {
        double searched = 0.0;
        double plain = 0.0;
        for (size_t round = 0; round < 300; round++) {
            float values[32];
            uint8_t q[32];
            for (size_t i = 0; i < 32; i++) {
                values[i] = (float)rung_prng_normal(&prng) * 0.04f;
            }
            float scale = rung_f16_to_f32(rung_quantize_group(values, 32, widths[w], q));
            double error = 0.0;
            for (size_t i = 0; i < 32; i++) {
                assert_true(q[i] < 1u << widths[w]);
                float decoded = scale * (float)(q[i] - (1 << (widths[w] - 1)));
                error += pow((double)values[i] - (double)decoded, 2.0);
            }
            assert_true(error <= plain_error(values, 32, widths[w]) * 1.000001);
            searched += error;
            plain += plain_error(values, 32, widths[w]);
        }
        assert_true(searched < plain * 0.95);
    }
}

static void test_group_uses_the_whole_range(void **state)
{
    (void)state;
    /* Multiples of 1/8 from -8 to 7 of one sign of scale: exact only when -8 is used. */
    float values[16];
    uint8_t q[32];
    for (int sign = -1; sign <= 1; sign += 2) {
        for (size_t i = 0; i < 16; i++) {
            values[i] = (float)sign * ((float)i - 8.0f) * 0.125f;
        }
        float scale = rung_f16_to_f32(rung_quantize_group(values, 16, 4, q));
        assert_true(scale == (float)sign * 0.125f);
        for (size_t i = 0; i < 16; i++) {
            assert_int_equal(q[i], i);
        }
    }
}

static void test_group_extremes(void **state)
{
    (void)state;
    uint8_t q[32];
    const float zeros[5] = {0.0f, -0.0f, 0.0f, 0.0f, 0.0f};
    assert_int_equal(rung_quantize_group(zeros, 5, 4, q) & 0x7fff, 0);
    assert_int_equal(q[4], 8);
    const float tiny[2] = {1e-30f, -1e-30f};
    assert_int_equal(rung_quantize_group(tiny, 2, 6, q) & 0x7fff, 0);
    assert_int_equal(q[0], 32);
    const float single[1] = {-0.3f};
    float scale = rung_f16_to_f32(rung_quantize_group(single, 1, 5, q));
    assert_true(fabsf(scale * (float)(q[0] - 16) + 0.3f) < 1e-4f);
    const float huge[2] = {1e30f, -3e29f};
    assert_true(isinf(rung_f16_to_f32(rung_quantize_group(huge, 2, 8, q))));
}

/* Packs rows of every width and of sizes that are no multiple of anything, and decodes them. */
static void test_bit_stream_is_what_the_embedding_reads(void **state)
{
    (void)state;
    static const unsigned widths[] = {4, 5, 6, 8};
    static const size_t sizes[] = {1, 7, 8, 31, 32, 33, 40, 384};
    rung_prng prng = {.state = 11};
    for (size_t w = 0; w < 4; w++) {
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            unsigned bits = widths[w];
            size_t hidden = sizes[s];
            size_t row_bytes = (hidden * bits + 7) / 8;
            size_t groups = (hidden + 31) / 32;
            uint8_t *rows = malloc(3 * row_bytes); /* exact, so that a read past the end is seen */
            uint8_t *scales = malloc(3 * groups * 2);
            uint8_t q[3][384];
            float out[384];
            assert_non_null(rows);
            assert_non_null(scales);
            for (size_t id = 0; id < 3; id++) {
                for (size_t i = 0; i < hidden; i++) {
                    q[id][i] = (uint8_t)rung_prng_below(&prng, 1u << bits);
                }
                rung_pack_bits(q[id], hidden, bits, rows + id * row_bytes);
                for (size_t g = 0; g < groups; g++) {
                    uint16_t scale = rung_f32_to_f16((float)(id + 1) * (g % 2 == 0 ? 0.5f : -0.25f));
                    memcpy(scales + (id * groups + g) * 2, &scale, 2);
                }
            }
            rung_embedding_table table = {.bits = bits, .rows = rows, .row_bytes = row_bytes, .scales = scales};
            for (size_t id = 0; id < 3; id++) {
                rung_embedding_table_row(&table, hidden, id, out);
                for (size_t i = 0; i < hidden; i++) {
                    float scale = (float)(id + 1) * (i / 32 % 2 == 0 ? 0.5f : -0.25f);
                    assert_true(out[i] == scale * (float)((int)q[id][i] - (1 << (bits - 1))));
                }
            }
            free(rows);
            free(scales);
        }
    }
}

static void test_float_rows(void **state)
{
    (void)state;
    const float values[2][3] = {{1.0f, -0.5f, 3.0f}, {0.25f, 2.0f, -8.0f}};
    uint16_t half[2][3];
    uint16_t brain[2][3];
    for (size_t i = 0; i < 6; i++) {
        half[i / 3][i % 3] = rung_f32_to_f16(values[i / 3][i % 3]);
        brain[i / 3][i % 3] = (uint16_t)(rung_float_bits(values[i / 3][i % 3]) >> 16);
    }
    const rung_embedding_table tables[3] = {{.dtype = RUNG_F32, .rows = (const uint8_t *)values, .row_bytes = 12},
                                            {.dtype = RUNG_F16, .rows = (const uint8_t *)half, .row_bytes = 6},
                                            {.dtype = RUNG_BF16, .rows = (const uint8_t *)brain, .row_bytes = 6}};
    for (size_t i = 0; i < 3; i++) {
        for (size_t id = 0; id < 2; id++) {
            float out[3];
            rung_embedding_table_row(&tables[i], 3, id, out);
            assert_memory_equal(out, values[id], sizeof out);
        }
    }
}

/* Ids below the border read one table, the others the other from its start. */
static void test_rows_at_the_border(void **state)
{
    (void)state;
    const float frequent[2][3] = {{1.0f, 2.0f, 3.0f}, {4.0f, 5.0f, 6.0f}};
    uint16_t rest[2][3];
    for (size_t i = 0; i < 6; i++) {
        rest[i / 3][i % 3] = rung_f32_to_f16((float)i + 7.0f);
    }
    const rung_word_embedding embedding = {
        .frequent_rows = 2,
        .frequent = {.dtype = RUNG_F32, .rows = (const uint8_t *)frequent, .row_bytes = 12},
        .rest = {.dtype = RUNG_F16, .rows = (const uint8_t *)rest, .row_bytes = 6}};
    for (int32_t id = 0; id < 4; id++) {
        float out[3];
        rung_word_embedding_row(&embedding, 3, id, out);
        for (size_t i = 0; i < 3; i++) {
            assert_true(out[i] == (float)(3 * (size_t)id + i + 1));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_s8),
        cmocka_unit_test(test_rows_s8_error_is_half_a_step),
        cmocka_unit_test(test_group_is_not_worse_than_plain),
        cmocka_unit_test(test_group_uses_the_whole_range),
        cmocka_unit_test(test_group_extremes),
        cmocka_unit_test(test_bit_stream_is_what_the_embedding_reads),
        cmocka_unit_test(test_float_rows),
        cmocka_unit_test(test_rows_at_the_border),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
