/* test_kernels_attention.c: attention of every kernel table that this CPU can run, fp32 and int8: the bits of "ref", and
 * "ref" agrees with double precision, as far as int8 can. */
#include "kernels_fixture.h"

#include <stdbool.h>

typedef struct attention_case {
    size_t seq_len, num_heads, head_size;
    float size;       /* factor of queries and keys: how uneven attention is */
    values_kind kind; /* of queries, keys and values */
    bool int8;
} attention_case;

static void run_attention(const rung_kernels *table, bool int8, const rung_attention *attention)
{
    (int8 ? table->attention_s8 : table->attention)(attention);
}

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

/* tolerance: of a context in units of the largest value, and of a column sum in units of its queries. */
static void check_attention_values(const rung_attention *a, double column_start, double tolerance)
{
    size_t hidden = a->num_heads * a->head_size;
    double *context = take(a->seq_len * a->context_stride, sizeof *context);
    double *column_sums = take(a->seq_len, sizeof *column_sums);
    expected_attention(a, context, column_sums);
    double largest = 1;
    for (size_t i = 0; i < a->seq_len * a->stride; i++) {
        bool is_value = i % a->stride >= 2 * hidden && i % a->stride < 3 * hidden;
        largest = is_value ? fmax(largest, fabs((double)a->q[i])) : largest;
    }
    for (size_t i = 0; i < a->seq_len; i++) {
        assert_true(fabs((double)a->column_sums[i] - column_start - column_sums[i]) <=
                    tolerance * (1 + column_sums[i]));
        for (size_t d = 0; d < a->context_stride; d++) {
            float got = a->context[i * a->context_stride + d];
            if (d < hidden) {
                assert_true(fabs((double)got - context[i * a->context_stride + d]) <= tolerance * largest);
            } else {
                assert_true(got == CANARY);
            }
        }
    }
    free(context);
    free(column_sums);
}

static void check_attention(const attention_case *c)
{
    size_t seq_len = c->seq_len;
    rung_prng prng = {seq_len * 100 + c->head_size};
    size_t hidden = c->num_heads * c->head_size;
    size_t stride = 3 * hidden + 1;
    float *qkv = random_rows(&prng, seq_len, stride, 3 * hidden, c->kind);
    float *expected = NULL;
    float *expected_sums = NULL;
    for (size_t i = 0; i < seq_len * stride; i++) {
        qkv[i] *= i % stride < 2 * hidden ? c->size : 1.0f;
    }
    for (size_t t = 0; rung_kernels_at(t) != NULL; t++) {
        const rung_kernels *table = rung_kernels_at(t);
        float *context = take_canaries(seq_len * (hidden + 2));
        float *column_sums = take(seq_len, sizeof *column_sums);
        void *scratch = take(table->attention_scratch_bytes(seq_len, c->head_size), 1);
        for (size_t i = 0; i < seq_len; i++) {
            column_sums[i] = 0.25f;
        }
        rung_attention a = {.seq_len = seq_len,
                            .num_heads = c->num_heads,
                            .head_size = c->head_size,
                            .q = qkv,
                            .k = qkv + hidden,
                            .v = qkv + 2 * hidden,
                            .stride = stride,
                            .context = context,
                            .context_stride = hidden + 2,
                            .column_sums = column_sums,
                            .scratch = scratch};
        run_attention(table, c->int8, &a);
        if (t == 0) {
            if (c->kind != VALUES_OUTLIERS) {
                check_attention_values(&a, 0.25, c->int8 ? 0.01 + 0.03 * (double)(c->size * c->size) : 2e-5);
            }
            expected = context;
            expected_sums = column_sums;
        } else {
            assert_same_bits(expected, context, seq_len * (hidden + 2), table->name, "attention");
            assert_same_bits(expected_sums, column_sums, seq_len, table->name, "column sums");
            a.column_sums = NULL;
            run_attention(table, c->int8, &a);
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

static void check_shapes(bool int8)
{
    static const attention_case shapes[] = {
        {1, 1, 1, 1, VALUES_NORMAL, false},         {1, 12, 26, 1, VALUES_NORMAL, false},
        {2, 2, 32, 1, VALUES_NORMAL, false},        {5, 3, 7, 1, VALUES_NORMAL, false},
        {13, 2, 64, 1, VALUES_NORMAL, false},       {16, 2, 16, 3, VALUES_NORMAL, false},
        {17, 12, 26, 1, VALUES_NORMAL, false},      {31, 1, 48, 1, VALUES_NORMAL, false},
        {64, 2, 32, 2, VALUES_NORMAL, false},       {65, 2, 40, 1, VALUES_NORMAL, false},
        {100, 2, 64, 3, VALUES_NORMAL, false},      {130, 1, 96, 1, VALUES_NORMAL, false},
        {77, 1, 130, 1, VALUES_NORMAL, false},      {512, 1, 32, 1, VALUES_NORMAL, false},
        {512, 2, 26, 1, VALUES_NORMAL, false},      {33, 2, 32, 0.1f, VALUES_ZERO_ROWS, false},
        {70, 2, 64, 0.01f, VALUES_OUTLIERS, false}, {19, 1, 24, 1, VALUES_TINY, false},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        attention_case c = shapes[i];
        c.int8 = int8;
        check_attention(&c);
    }
}

static void test_attention_f32(void **state)
{
    (void)state;
    check_shapes(false);
}

static void test_attention_s8(void **state)
{
    (void)state;
    check_shapes(true);
}

/* 255 * 2^t to the nearest integer, but for the polynomial's error. */
static void test_exp2_u8(void **state)
{
    (void)state;
    assert_int_equal(vmath_exp2_u8(0), 255);
    assert_int_equal(vmath_exp2_u8(-INFINITY), 0);
    assert_int_equal(vmath_exp2_u8(-1e30f), 0);
    for (double t = 0; t > -20; t -= 1e-4) {
        double exact = 255 * exp2((double)(float)t);
        assert_true(fabs(vmath_exp2_u8((float)t) - exact) <= 0.5 + 8e-5 * 255);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention_f32),
        cmocka_unit_test(test_attention_s8),
        cmocka_unit_test(test_exp2_u8),
    };
    return cmocka_run_group_tests_name("kernels_attention", tests, NULL, NULL);
}
