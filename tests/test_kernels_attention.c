/* test_kernels_attention.c: attention of every kernel table that this CPU can run: the bits of "ref", and "ref" agrees
 * with double precision. */
#include "kernels_fixture.h"

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
    check_attention(512, 2, 26, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention),
    };
    return cmocka_run_group_tests_name("kernels_attention", tests, NULL, NULL);
}
