/* test_bpe.c: merges by hand, both orders, and short and long words against a plain loop over random merges. */
#include "base/prng.h"
#include "model/bpe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void merge(const rung_bpe *bpe, const int32_t *ids, size_t count, rung_bpe_word *word)
{
    rung_error error;
    assert_int_equal(rung_bpe_word_reserve(word, count, &error), RUNG_OK);
    word->count = 0;
    for (size_t i = 0; i < count; i++) {
        rung_bpe_word_append(word, ids[i]);
    }
    assert_int_equal(rung_bpe_merge_word(bpe, word, &error), RUNG_OK);
}

static void assert_merges_to(const rung_bpe *bpe, const int32_t *ids, size_t count, const int32_t *expected,
                             size_t expected_count)
{
    rung_bpe_word word = {0};
    merge(bpe, ids, count, &word);
    assert_int_equal(word.count, expected_count);
    for (size_t i = 0; i < expected_count; i++) {
        assert_int_equal(word.symbols[i].id, expected[i]);
    }
    rung_bpe_word_deinit(&word);
}

/* a = 0, b = 1, c = 2, d = 3. */
static void merges_by_rank_then_from_the_left(void **state)
{
    (void)state;
    rung_bpe bpe = {0};
    rung_error error;
    assert_int_equal(rung_bpe_reserve(&bpe, 3, &error), RUNG_OK);
    rung_bpe_add(&bpe, 1, 2, 0, 12);
    rung_bpe_add(&bpe, 0, 0, 1, 10);
    rung_bpe_add(&bpe, 0, 12, 2, 13);
    assert_merges_to(&bpe, (int32_t[]){0, 1, 2}, 3, (int32_t[]){13}, 1);
    assert_merges_to(&bpe, (int32_t[]){0, 0, 0}, 3, (int32_t[]){10, 0}, 2);
    assert_merges_to(&bpe, (int32_t[]){0, 0, 1, 2}, 4, (int32_t[]){10, 12}, 2);
    assert_merges_to(&bpe, (int32_t[]){3, RUNG_BPE_UNKNOWN, 3}, 3, (int32_t[]){3, RUNG_BPE_UNKNOWN, 3}, 3);
    assert_merges_to(&bpe, (int32_t[]){2}, 1, (int32_t[]){2}, 1);
    assert_merges_to(&bpe, NULL, 0, NULL, 0);
    rung_bpe_deinit(&bpe);
}

/* "a bc a bc" with abc from (a, bc) at rank 5, and (abc, a) at rank 1: found late, but better. */
static void orders_differ_when_a_late_merge_makes_a_better_pair(void **state)
{
    (void)state;
    rung_bpe bpe = {0};
    rung_error error;
    assert_int_equal(rung_bpe_reserve(&bpe, 2, &error), RUNG_OK);
    rung_bpe_add(&bpe, 0, 1, 5, 2);
    rung_bpe_add(&bpe, 2, 0, 1, 3);
    const int32_t word[] = {0, 1, 0, 1};
    assert_merges_to(&bpe, word, 4, (int32_t[]){3, 1}, 2);
    bpe.order = RUNG_BPE_ALL;
    assert_merges_to(&bpe, word, 4, (int32_t[]){2, 2}, 2);
    /* The same as part of a long word. */
    int32_t ids[64];
    int32_t expected[64];
    for (size_t i = 0; i < 64; i++) {
        ids[i] = i < 60 ? RUNG_BPE_UNKNOWN : word[i - 60];
        expected[i] = i < 60 ? RUNG_BPE_UNKNOWN : 2;
    }
    assert_merges_to(&bpe, ids, 64, expected, 62);
    bpe.order = RUNG_BPE_LEFTMOST;
    expected[60] = 3;
    expected[61] = 1;
    assert_merges_to(&bpe, ids, 64, expected, 62);
    rung_bpe_deinit(&bpe);
}

enum { SYMBOLS = 12, LETTERS = 3, LONGEST = 90 };

/* ranks[left][right] is the rank of a pair, merged[left][right] what it makes; rank 0: no pair. */
static size_t merge_plainly(uint32_t ranks[SYMBOLS][SYMBOLS], int32_t merged[SYMBOLS][SYMBOLS], bool all, int32_t *ids,
                            size_t count)
{
    for (;;) {
        uint32_t best = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            uint32_t rank = ranks[ids[i]][ids[i + 1]];
            best = rank != 0 && (best == 0 || rank < best) ? rank : best;
        }
        if (best == 0) {
            return count;
        }
        size_t kept = 0;
        bool done = false;
        for (size_t i = 0; i < count; i++) {
            if (!done && i + 1 < count && ranks[ids[i]][ids[i + 1]] == best) {
                ids[kept++] = merged[ids[i]][ids[i + 1]];
                i++;
                done = !all;
            } else {
                ids[kept++] = ids[i];
            }
        }
        count = kept;
    }
}

static void random_words_are_as_a_plain_loop_has_them(void **state)
{
    (void)state;
    rung_prng random = {7};
    for (unsigned trial = 0; trial < 400; trial++) {
        uint32_t ranks[SYMBOLS][SYMBOLS] = {{0}};
        int32_t merged[SYMBOLS][SYMBOLS] = {{0}};
        rung_bpe bpe = {.order = trial % 2 == 0 ? RUNG_BPE_LEFTMOST : RUNG_BPE_ALL};
        rung_error error;
        assert_int_equal(rung_bpe_reserve(&bpe, 20, &error), RUNG_OK);
        for (uint32_t rank = 1; rank <= 20; rank++) {
            /* A merged symbol is larger than its parts, so that it is longer. */
            int32_t left = (int32_t)(rung_prng_below(&random, SYMBOLS - 1));
            int32_t right = (int32_t)(rung_prng_below(&random, SYMBOLS - 1));
            int32_t larger = left > right ? left : right;
            if (ranks[left][right] != 0) {
                continue;
            }
            ranks[left][right] = rank;
            merged[left][right] = larger + 1 + (int32_t)(rung_prng_below(&random, (uint64_t)(SYMBOLS - 1 - larger)));
            rung_bpe_add(&bpe, left, right, rank, merged[left][right]);
        }
        int32_t ids[LONGEST], plain[LONGEST];
        size_t count = 1 + rung_prng_below(&random, LONGEST);
        for (size_t i = 0; i < count; i++) {
            ids[i] = plain[i] = (int32_t)(rung_prng_below(&random, LETTERS));
        }
        size_t expected = merge_plainly(ranks, merged, bpe.order == RUNG_BPE_ALL, plain, count);
        assert_merges_to(&bpe, ids, count, plain, expected);
        rung_bpe_deinit(&bpe);
    }
}

static void says_where_symbols_begin(void **state)
{
    (void)state;
    rung_bpe bpe = {0};
    rung_error error;
    assert_int_equal(rung_bpe_reserve(&bpe, 1, &error), RUNG_OK);
    rung_bpe_add(&bpe, 0, 0, 0, 1);
    rung_bpe_word word = {0};
    int32_t ids[41] = {0};
    for (size_t count = 3; count <= 41; count += 38) {
        merge(&bpe, ids, count, &word);
        assert_int_equal(word.count, count / 2 + 1);
        for (size_t i = 0; i < word.count; i++) {
            assert_int_equal(word.symbols[i].first, 2 * i);
        }
    }
    rung_bpe_word_deinit(&word);
    rung_bpe_deinit(&bpe);
}

static void the_last_rank_of_a_pair_counts(void **state)
{
    (void)state;
    rung_bpe bpe = {0};
    rung_error error;
    assert_int_equal(rung_bpe_reserve(&bpe, 3, &error), RUNG_OK);
    rung_bpe_add(&bpe, 0, 1, 0, 10);
    rung_bpe_add(&bpe, 1, 2, 1, 11);
    rung_bpe_add(&bpe, 0, 1, 2, 10);
    assert_merges_to(&bpe, (int32_t[]){0, 1, 2}, 3, (int32_t[]){0, 11}, 2);
    assert_int_equal(rung_bpe_reserve(&bpe, RUNG_BPE_MAX_MERGES + 1, &error), RUNG_LIMIT);
    assert_string_equal(error.message, "4194305 merges exceed the limit of 4194304");
    rung_bpe_deinit(&bpe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_by_rank_then_from_the_left),
        cmocka_unit_test(orders_differ_when_a_late_merge_makes_a_better_pair),
        cmocka_unit_test(random_words_are_as_a_plain_loop_has_them),
        cmocka_unit_test(says_where_symbols_begin),
        cmocka_unit_test(the_last_rank_of_a_pair_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
