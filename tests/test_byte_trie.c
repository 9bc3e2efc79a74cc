/* test_byte_trie.c: longest matches against a plain search over random keys, and the limits. */
#include "base/prng.h"
#include "model/byte_trie.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void finds_the_longest_key(void **state)
{
    (void)state;
    rung_byte_trie trie = {0};
    rung_error error;
    const char *keys[] = {"a", "abc", "abcde", "b"};
    for (int32_t i = 0; i < 4; i++) {
        int32_t previous;
        assert_int_equal(rung_trie_add(&trie, keys[i], strlen(keys[i]), i, &previous, &error), RUNG_OK);
        assert_int_equal(previous, -1);
    }
    int32_t value = -1;
    assert_int_equal(rung_trie_longest(&trie, RUNG_TRIE_ROOT, "abcdx", 5, &value), 3);
    assert_int_equal(value, 1);
    assert_int_equal(rung_trie_longest(&trie, RUNG_TRIE_ROOT, "ab", 2, &value), 1);
    assert_int_equal(value, 0);
    assert_int_equal(rung_trie_longest(&trie, RUNG_TRIE_ROOT, "xa", 2, &value), 0);
    uint32_t node = rung_trie_find(&trie, "ab", 2);
    assert_int_not_equal(node, RUNG_TRIE_NONE);
    /* The node itself ends a key or not: it does not count, the match is never empty. */
    assert_int_equal(rung_trie_longest(&trie, node, "cde", 3, &value), 3);
    assert_int_equal(rung_trie_longest(&trie, rung_trie_find(&trie, "a", 1), "x", 1, &value), 0);
    assert_int_equal(rung_trie_longest(&trie, rung_trie_find(&trie, "zz", 2), "a", 1, &value), 0);
    rung_trie_deinit(&trie);
}

static void keeps_the_first_value(void **state)
{
    (void)state;
    rung_byte_trie trie = {0};
    rung_error error;
    int32_t previous;
    assert_int_equal(rung_trie_add(&trie, "key", 3, 7, &previous, &error), RUNG_OK);
    assert_int_equal(rung_trie_add(&trie, "key", 3, 8, &previous, &error), RUNG_OK);
    assert_int_equal(previous, 7);
    int32_t value;
    assert_int_equal(rung_trie_longest(&trie, RUNG_TRIE_ROOT, "key", 3, &value), 3);
    assert_int_equal(value, 7);
    assert_int_equal(rung_trie_add(&trie, "", 0, 1, &previous, &error), RUNG_INVALID);
    assert_string_equal(error.message, "a trie has no empty key");
    rung_trie_deinit(&trie);
}

static void an_empty_trie_has_nothing(void **state)
{
    (void)state;
    const rung_byte_trie trie = {0};
    assert_int_equal(rung_trie_find(&trie, "a", 1), RUNG_TRIE_NONE);
    assert_int_equal(rung_trie_find(&trie, "", 0), RUNG_TRIE_NONE);
}

/* Keys of 1 to 6 bytes out of four, among them 0 and 255, so that many share beginnings. */
static void agrees_with_a_plain_search(void **state)
{
    (void)state;
    enum { KEYS = 400, MAX_BYTES = 6 };
    static const char BYTES[4] = {0, 'a', 'b', (char)0xFF};
    static char keys[KEYS][MAX_BYTES];
    static size_t lengths[KEYS];
    rung_prng prng = {42};
    rung_byte_trie trie = {0};
    rung_error error;
    for (int32_t i = 0; i < KEYS; i++) {
        lengths[i] = 1 + (size_t)rung_prng_below(&prng, MAX_BYTES);
        for (size_t j = 0; j < lengths[i]; j++) {
            keys[i][j] = BYTES[rung_prng_below(&prng, 4)];
        }
        int32_t previous;
        assert_int_equal(rung_trie_add(&trie, keys[i], lengths[i], i, &previous, &error), RUNG_OK);
    }
    for (size_t trial = 0; trial < 5000; trial++) {
        char text[8];
        for (size_t j = 0; j < sizeof text; j++) {
            text[j] = BYTES[rung_prng_below(&prng, 4)];
        }
        size_t longest = 0;
        int32_t expected = -1;
        for (int32_t i = KEYS - 1; i >= 0; i--) {
            if (lengths[i] >= longest && memcmp(keys[i], text, lengths[i]) == 0) {
                longest = lengths[i];
                expected = i;
            }
        }
        int32_t value = -1;
        assert_int_equal(rung_trie_longest(&trie, RUNG_TRIE_ROOT, text, sizeof text, &value), longest);
        assert_int_equal(value, expected);
    }
    rung_trie_deinit(&trie);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_longest_key),
        cmocka_unit_test(keeps_the_first_value),
        cmocka_unit_test(an_empty_trie_has_nothing),
        cmocka_unit_test(agrees_with_a_plain_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
