/* test_base64.c: the vectors of RFC 4648, every length and byte there and back, and what is no base64. */
#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void vectors(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        rung_buffer text = {0};
        rung_buffer_append(&text, "", 0);
        rung_base64_encode(&text, pairs[i][0], strlen(pairs[i][0]));
        assert_string_equal(text.data, pairs[i][1]);
        char back[16];
        size_t count = 99;
        rung_error error;
        assert_true(strlen(pairs[i][0]) <= rung_base64_max_bytes(text.length));
        assert_int_equal(rung_base64_decode(text.data, text.length, back, &count, &error), RUNG_OK);
        assert_int_equal(count, strlen(pairs[i][0]));
        assert_memory_equal(back, pairs[i][0], count);
        rung_buffer_deinit(&text);
    }
}

static void all_bytes_come_back(void **state)
{
    (void)state;
    uint8_t bytes[257];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 37);
    }
    for (size_t length = 0; length <= sizeof bytes; length++) {
        rung_buffer text = {0};
        size_t first = length / 2 / 3 * 3; /* in two pieces: the same text */
        rung_base64_encode(&text, bytes, first);
        rung_base64_encode(&text, bytes + first, length - first);
        uint8_t back[sizeof bytes + 3];
        size_t count = 0;
        rung_error error;
        assert_int_equal(rung_base64_decode(text.data, text.length, back, &count, &error), RUNG_OK);
        assert_int_equal(count, length);
        assert_memory_equal(back, bytes, length);
        rung_buffer_deinit(&text);
    }
}

static void bad_texts(void **state)
{
    (void)state;
    static const char *const bad[] = {"Z",    "Zg",    "Zg=",  "Zm8",  "====", "Z===",       "=Zm9", "Zg==Zg==",
                                      "Zm 9", "Zm9\n", "Zm9-", "Zh==", "Zm9=", "Z\xc3\xa9g", "Zg=a", "Zm9v="};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char out[16] = "untouched";
        size_t count = 99;
        rung_error error;
        assert_int_equal(rung_base64_decode(bad[i], strlen(bad[i]), out, &count, &error), RUNG_FORMAT);
        assert_memory_equal(error.message, "not base64: ", 12);
        assert_int_equal(count, 99);
        assert_string_equal(out, "untouched");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(all_bytes_come_back),
        cmocka_unit_test(bad_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
