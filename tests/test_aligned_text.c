/* test_aligned_text.c: text and places grow together. */
#include "model/aligned_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void keeps_places(void **state)
{
    (void)state;
    rung_aligned_text a = {0};
    rung_aligned_text b = {0};
    rung_error error;
    assert_int_equal(rung_aligned_text_add(&a, "xyz", 3, 4, 9, &error), RUNG_OK);
    assert_int_equal(rung_aligned_text_put(&a, 0xE9, 9, 11, &error), RUNG_OK);
    assert_int_equal(a.bytes, 5);
    assert_int_equal(rung_aligned_text_copy(&b, &a, 2, 5, &error), RUNG_OK);
    assert_int_equal(rung_aligned_text_copy(&b, &a, 5, 5, &error), RUNG_OK);
    assert_int_equal(b.bytes, 3);
    assert_memory_equal(b.text, "z\xC3\xA9", 3);
    assert_int_equal(b.begin[0], 4);
    assert_int_equal(b.end[0], 9);
    assert_int_equal(b.begin[2], 9);
    assert_int_equal(b.end[2], 11);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(rung_aligned_text_put(&b, 'a', i, i + 1, &error), RUNG_OK);
    }
    assert_int_equal(b.begin[1002], 999);
    rung_aligned_text_deinit(&a);
    rung_aligned_text_deinit(&b);
    assert_null(b.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_places)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
