/* test_unicode.c: facts of the generated tables that the reference's sources and the Unicode standard state. The
 * complete comparison, code point by code point, is in test_bert_normalizer.c. */
#include "model/unicode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_flags(uint32_t code_point, uint8_t set, uint8_t clear)
{
    uint8_t flags = rung_unicode_get(code_point).flags;
    assert_int_equal(flags & set, set);
    assert_int_equal(flags & clear, 0);
}

static void classifies_characters(void **state)
{
    (void)state;
    assert_flags('a', RUNG_UNICODE_WORD, RUNG_UNICODE_CONTROL | RUNG_UNICODE_SPACE | RUNG_UNICODE_PUNCTUATION);
    assert_flags('Z', RUNG_UNICODE_WORD | RUNG_UNICODE_HAS_LOWER, RUNG_UNICODE_HAS_NFD);
    assert_flags('_', RUNG_UNICODE_WORD | RUNG_UNICODE_PUNCTUATION, 0);
    assert_flags('$', RUNG_UNICODE_PUNCTUATION, RUNG_UNICODE_WORD);
    assert_flags('\n', RUNG_UNICODE_SPACE, RUNG_UNICODE_CONTROL);
    assert_flags(0x0B, RUNG_UNICODE_SPACE | RUNG_UNICODE_CONTROL, 0);
    assert_flags(0, RUNG_UNICODE_CONTROL, RUNG_UNICODE_SPACE);
    assert_flags(0xFFFD, RUNG_UNICODE_CONTROL, 0);
    assert_flags(0xE000, RUNG_UNICODE_CONTROL, 0);
    assert_flags(0x200D, RUNG_UNICODE_CONTROL, RUNG_UNICODE_SPACE);
    assert_flags(0x3000, RUNG_UNICODE_SPACE, RUNG_UNICODE_CONTROL);
    assert_flags(0x4E00, RUNG_UNICODE_CJK, 0);
    assert_flags(0xAC00, RUNG_UNICODE_HAS_NFD, RUNG_UNICODE_CJK);
    assert_flags(0x301, RUNG_UNICODE_MARK, RUNG_UNICODE_PUNCTUATION);
    /* BERT's own ranges leave this ideograph out (U+2B820 to U+2B91F). */
    assert_flags(0x2B820, 0, RUNG_UNICODE_CJK);
    assert_flags(0x10FFFF, 0, RUNG_UNICODE_SPACE | RUNG_UNICODE_PUNCTUATION | RUNG_UNICODE_CJK);
}

static void knows_combining_classes(void **state)
{
    (void)state;
    assert_int_equal(rung_unicode_get('a').combining_class, 0);
    assert_int_equal(rung_unicode_get(0x301).combining_class, 230);
    assert_int_equal(rung_unicode_get(0x323).combining_class, 220);
    assert_int_equal(rung_unicode_get(0x334).combining_class, 1);
    assert_int_equal(rung_unicode_get(0x345).combining_class, 240);
    assert_int_equal(rung_unicode_get(0x302E).combining_class, 224);
}

static void assert_sequence(size_t count, const uint32_t *actual, size_t expected_count, const uint32_t *expected)
{
    assert_int_equal(count, expected_count);
    assert_memory_equal(actual, expected, expected_count * sizeof *expected);
}

static void decomposes_fully(void **state)
{
    (void)state;
    uint32_t out[RUNG_UNICODE_MAX_NFD];
    assert_sequence(rung_unicode_decompose('q', out), out, 1, (const uint32_t[]){'q'});
    assert_sequence(rung_unicode_decompose(0xE9, out), out, 2, (const uint32_t[]){'e', 0x301});
    assert_sequence(rung_unicode_decompose(0x1EAD, out), out, 3, (const uint32_t[]){'a', 0x323, 0x302});
    assert_sequence(rung_unicode_decompose(0x1F82, out), out, 4, (const uint32_t[]){0x3B1, 0x313, 0x300, 0x345});
    assert_sequence(rung_unicode_decompose(0xF900, out), out, 1, (const uint32_t[]){0x8C48});
    /* Compatibility characters keep their form. */
    assert_sequence(rung_unicode_decompose(0xFB01, out), out, 1, (const uint32_t[]){0xFB01});
}

static void decomposes_hangul(void **state)
{
    (void)state;
    uint32_t out[RUNG_UNICODE_MAX_NFD];
    assert_sequence(rung_unicode_decompose(0xAC00, out), out, 2, (const uint32_t[]){0x1100, 0x1161});
    assert_sequence(rung_unicode_decompose(0xAC01, out), out, 3, (const uint32_t[]){0x1100, 0x1161, 0x11A8});
    assert_sequence(rung_unicode_decompose(0xD7A3, out), out, 3, (const uint32_t[]){0x1112, 0x1175, 0x11C2});
}

static void lowers_without_context(void **state)
{
    (void)state;
    uint32_t out[RUNG_UNICODE_MAX_LOWER];
    assert_sequence(rung_unicode_lower('A', out), out, 1, (const uint32_t[]){'a'});
    assert_sequence(rung_unicode_lower(0x130, out), out, 2, (const uint32_t[]){'i', 0x307});
    assert_sequence(rung_unicode_lower(0x3A3, out), out, 1, (const uint32_t[]){0x3C3});
    assert_sequence(rung_unicode_lower(0x1E9E, out), out, 1, (const uint32_t[]){0xDF});
    assert_sequence(rung_unicode_lower(0xDF, out), out, 1, (const uint32_t[]){0xDF});
    assert_sequence(rung_unicode_lower(0x1E900, out), out, 1, (const uint32_t[]){0x1E922});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classifies_characters),  cmocka_unit_test(knows_combining_classes),
        cmocka_unit_test(decomposes_fully),       cmocka_unit_test(decomposes_hangul),
        cmocka_unit_test(lowers_without_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
