/* compare.c: the tables for vpdpbusd against "x86-64-v3" over odd shapes, bit by bit, as a program without a system or a
 * C library under an emulator that does some ten million operations a second. Started by start.S, built and read by
 * emulate_avx512.sh. tests/test_kernels*.c compare more where the processor has the instructions. */
#include "kernels/kernels.h"
#include "kernels/tables.h"

#include <stdbool.h>
#include <string.h>

enum {
    GUARD = 16, /* floats behind an output that must stay as they were */
    ARENA_BYTES = 8 << 20,
};

static _Alignas(64) unsigned char arena[ARENA_BYTES];
static size_t arena_used;
static uint64_t random_state = 88172645463325252u;
static size_t num_compared;
static size_t num_different;

/* ---- What a C library would do. ---- */

static void print(const char *text)
{
    for (; *text != '\0'; text++) {
        __asm__ volatile("outb %0, $0xe9" : : "a"(*text)); /* Bochs prints it */
    }
}

static void print_number(size_t n)
{
    char digits[24];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    print(digits + at);
}

void *memset(void *to, int value, size_t n)
{
    void *at = to;
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(value) : "memory");
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    void *at = to;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
    return to;
}

float sqrtf(float x)
{
    __asm__("vsqrtss %0, %0, %0" : "+x"(x));
    return x;
}

/* Until the next check begins. */
static void *take(size_t count, size_t size)
{
    void *p = arena + arena_used;
    arena_used += (count * size + 63) / 64 * 64;
    if (arena_used > ARENA_BYTES) {
        print("avx: compare.c needs a larger arena\n");
        __builtin_trap();
    }
    memset(p, 0, count * size);
    return p;
}

/* xorshift64 */
static uint32_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}

/* Sums of three uniform numbers; some rows zero, some elements large. */
static float *random_rows(size_t rows, size_t stride)
{
    float *x = take(rows * stride + GUARD, sizeof *x);
    for (size_t i = 0; i < rows * stride; i++) {
        float sum = (float)(int32_t)random_bits() + (float)(int32_t)random_bits() + (float)(int32_t)random_bits();
        float size = random_bits() % 50 == 0 ? 0x1p-26f : 0x1p-31f;
        x[i] = i / stride % 7 == 5 ? 0.0f : sum * size;
    }
    return x;
}

static float *take_canaries(size_t n)
{
    float *y = take(n + GUARD, sizeof *y);
    for (size_t i = 0; i < n + GUARD; i++) {
        y[i] = 12345.678f;
    }
    return y;
}

static void compare(const char *what, const float *expected, const float *got, size_t n, const size_t shape[3])
{
    const uint32_t *a = (const uint32_t *)(const void *)expected;
    const uint32_t *b = (const uint32_t *)(const void *)got;
    num_compared++;
    for (size_t i = 0; i < n + GUARD; i++) {
        if (a[i] != b[i]) {
            num_different++;
            print("avx: ");
            print(what);
            for (size_t s = 0; s < 3; s++) {
                print(" ");
                print_number(shape[s]);
            }
            print(" differs at ");
            print_number(i);
            print("\n");
            return;
        }
    }
}

/* ---- The checks. ---- */

static rung_q8 take_q8(size_t rows, size_t k)
{
    return (rung_q8){take(rows, rung_q8_stride(k)), take(rows, sizeof(float))};
}

static rung_linear_s8 random_linear(size_t in, size_t out)
{
    size_t k4 = (in + 3) / 4;
    size_t padded = (out + RUNG_PANEL - 1) / RUNG_PANEL * RUNG_PANEL;
    int8_t *panels = take(padded * k4, 4);
    int32_t *column_sums = take(padded, sizeof *column_sums);
    float *scales = take(padded, sizeof *scales);
    for (size_t c = 0; c < out; c++) {
        scales[c] = 0.01f + 0.0001f * (float)(random_bits() % 100);
        for (size_t k = 0; k < in; k++) {
            int8_t weight = (int8_t)random_bits();
            panels[(c / RUNG_PANEL * k4 * RUNG_PANEL + k / 4 * RUNG_PANEL + c % RUNG_PANEL) * 4 + k % 4] = weight;
            column_sums[c] += weight;
        }
    }
    return (rung_linear_s8){in, out, panels, scales, column_sums, random_rows(1, padded)};
}

static void check_linear_s8(const rung_kernels *ref, const rung_kernels *table, size_t m, size_t in, size_t out)
{
    arena_used = 0;
    rung_linear_s8 w = random_linear(in, out);
    size_t stride = out + 5;
    float *x = random_rows(m, in);
    float *residual = random_rows(m, stride);
    rung_q8 q_ref = take_q8(m, in);
    rung_q8 q = take_q8(m, in);
    float *expected = take_canaries(m * stride);
    float *y = take_canaries(m * stride);
    ref->quantize_rows(x, in, m, in, q_ref);
    table->quantize_rows(x, in, m, in, q);
    for (int e = RUNG_EPILOGUE_NONE; e <= RUNG_EPILOGUE_RESIDUAL; e++) {
        ref->linear_s8(&w, q_ref, m, (rung_epilogue)e, residual, expected, stride);
        table->linear_s8(&w, q, m, (rung_epilogue)e, residual, y, stride);
        compare("linear_s8", expected, y, m * stride, (const size_t[]){m, in, out});
    }
    memcpy(y, residual, m * stride * sizeof *y);
    memcpy(expected, residual, m * stride * sizeof *y);
    ref->linear_s8(&w, q_ref, m, RUNG_EPILOGUE_RESIDUAL, expected, expected, stride);
    table->linear_s8(&w, q, m, RUNG_EPILOGUE_RESIDUAL, y, y, stride);
    compare("linear_s8 in place", expected, y, m * stride, (const size_t[]){m, in, out});
}

static void check_rows(const rung_kernels *ref, const rung_kernels *table, size_t m, size_t n)
{
    arena_used = 0;
    float *x = random_rows(m, n);
    float *gamma = random_rows(1, n);
    float *beta = random_rows(1, n);
    float *expected = take_canaries(m * n);
    float *y = take_canaries(m * n);
    rung_q8 q_ref = take_q8(m, n);
    rung_q8 q = take_q8(m, n);
    ref->layer_norm(x, n, m, n, gamma, beta, 1e-12f, expected, &q_ref);
    table->layer_norm(x, n, m, n, gamma, beta, 1e-12f, y, &q);
    compare("layer_norm", expected, y, m * n, (const size_t[]){m, n, 0});
    for (size_t i = 0; i < m * rung_q8_stride(n); i++) { /* the tables compared store q + 128, "x86-64-v3" stores q */
        num_different += (uint8_t)(q_ref.data[i] ^ 128) != q.data[i];
    }
    ref->tanh(x, m * n, expected);
    table->tanh(x, m * n, y);
    compare("tanh", expected, y, m * n, (const size_t[]){m, n, 0});
}

static void check_linear_f32(const rung_kernels *ref, const rung_kernels *table, size_t m, size_t in, size_t out)
{
    arena_used = 0;
    size_t padded = (out + RUNG_PANEL - 1) / RUNG_PANEL * RUNG_PANEL;
    rung_linear_f32 w = {in, out, random_rows(padded, in), random_rows(1, padded)};
    float *x = random_rows(m, in);
    float *residual = random_rows(m, out);
    float *expected = take_canaries(m * out);
    float *y = take_canaries(m * out);
    for (int e = RUNG_EPILOGUE_NONE; e <= RUNG_EPILOGUE_RESIDUAL; e++) {
        ref->linear_f32(&w, x, in, m, (rung_epilogue)e, residual, expected, out);
        table->linear_f32(&w, x, in, m, (rung_epilogue)e, residual, y, out);
        compare("linear_f32", expected, y, m * out, (const size_t[]){m, in, out});
    }
}

static void check_attention(const rung_kernels *ref, const rung_kernels *table, size_t seq_len, size_t head_size,
                            bool int8)
{
    arena_used = 0;
    enum { HEADS = 2 };
    size_t hidden = HEADS * head_size;
    float *qkv = random_rows(seq_len, 3 * hidden);
    float *expected = take_canaries(seq_len * hidden);
    float *context = take_canaries(seq_len * hidden);
    float *expected_sums = take_canaries(seq_len);
    float *sums = take_canaries(seq_len);
    rung_attention a = {seq_len,          HEADS,      head_size, qkv,    qkv + hidden,
                        qkv + 2 * hidden, 3 * hidden, expected,  hidden, NULL};
    a.column_sums = expected_sums;
    a.scratch = take(ref->attention_scratch_bytes(seq_len, head_size), 1);
    (int8 ? ref->attention_s8 : ref->attention)(&a);
    a.context = context;
    a.column_sums = sums;
    size_t bytes = table->attention_scratch_bytes(seq_len, head_size);
    float *scratch = take(bytes + GUARD * sizeof(float), 1);
    a.scratch = scratch;
    memset(scratch, 0x7f, bytes); /* NaN */
    (int8 ? table->attention_s8 : table->attention)(&a);
    const char *what = int8 ? "attention_s8" : "attention";
    compare(what, expected, context, seq_len * hidden, (const size_t[]){seq_len, HEADS, head_size});
    compare("column sums", expected_sums, sums, seq_len, (const size_t[]){seq_len, HEADS, head_size});
    static const float zeros[GUARD];
    compare("scratch's end", zeros, scratch + bytes / sizeof(float), 0, (const size_t[]){seq_len, HEADS, head_size});
}

static void check_table(const rung_kernels *ref, const rung_kernels *table)
{
    static const size_t linear[][3] = {{1, 1, 1},     {2, 4, 16},     {3, 7, 17},    {5, 26, 63},     {6, 64, 64},
                                       {7, 65, 65},   {8, 100, 130},  {11, 128, 48}, {12, 26, 200},   {13, 33, 20},
                                       {16, 133, 9},  {17, 312, 100}, {23, 7, 129},  {128, 3072, 20}, {0, 64, 64},
                                       {97, 384, 33}, {4, 2049, 70}};
    for (size_t i = 0; i < sizeof linear / sizeof linear[0]; i++) {
        check_linear_s8(ref, table, linear[i][0], linear[i][1], linear[i][2]);
        if (linear[i][0] * linear[i][1] * linear[i][2] < 100000) {
            check_linear_f32(ref, table, linear[i][0], linear[i][1], linear[i][2]);
        }
    }
    for (size_t n = 1; n < 140; n += 9) {
        check_rows(ref, table, 9, n);
    }
    static const size_t attention[][2] = {{1, 1},   {2, 16},  {3, 4},    {6, 26},   {7, 32},  {12, 64}, {13, 65},
                                          {15, 33}, {16, 64}, {17, 26},  {31, 80},  {33, 16}, {63, 64}, {64, 32},
                                          {65, 64}, {77, 7},  {90, 130}, {128, 64}, {300, 32}};
    for (size_t i = 0; i < sizeof attention / sizeof attention[0]; i++) {
        check_attention(ref, table, attention[i][0], attention[i][1], true);
        if (attention[i][0] < 40) {
            check_attention(ref, table, attention[i][0], attention[i][1], false);
        }
    }
}

int main(void)
{
    static const rung_kernels *const tables[] = {&rung_kernels_avx512vnni, &rung_kernels_avxvnni};
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        num_compared = 0;
        size_t before = num_different;
        check_table(&rung_kernels_x86_64_v3, tables[t]);
        print(tables[t]->name);
        print(": ");
        print_number(num_compared);
        print(" comparisons with x86-64-v3, ");
        print_number(num_different - before);
        print(" differ\n");
    }
    print(num_different == 0 ? "all the same\n" : "some differ\n");
    return 0;
}
