/* test_byte_level.c: the characters that stand for bytes, and where pieces end. */
#include "base/utf8.h"
#include "model/byte_level.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void every_byte_has_its_character(void **state)
{
    (void)state;
    assert_int_equal(rung_byte_level_char('a'), 'a');
    assert_int_equal(rung_byte_level_char(' '), 0x120);
    assert_int_equal(rung_byte_level_char('\n'), 0x10A);
    assert_int_equal(rung_byte_level_char(0x7F), 0x121);
    assert_int_equal(rung_byte_level_char(0xA0), 0x142);
    assert_int_equal(rung_byte_level_char(0xAD), 0x143);
    for (uint32_t byte = 0; byte < 256; byte++) {
        char text[4], out[4];
        size_t written = 0;
        size_t bytes = rung_utf8_put(rung_byte_level_char((uint8_t)byte), text);
        assert_true(rung_byte_level_decode(text, bytes, out, &written));
        assert_int_equal(written, 1);
        assert_int_equal((uint8_t)out[0], byte);
    }
}

static void other_characters_stand_for_nothing(void **state)
{
    (void)state;
    const char *const others[] = {" ", "\n", "a b", "\u00a0", "\u00ad", "\u0144", "中", "😀", "\x7f"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char out[8];
        size_t written = 77;
        assert_false(rung_byte_level_decode(others[i], strlen(others[i]), out, &written));
        assert_int_equal(written, 77);
    }
}

/* `expected` has the pieces with '|' between them. */
static void assert_pieces(const char *expected)
{
    char text[256];
    size_t bytes = 0;
    for (const char *c = expected; *c != '\0'; c++) {
        if (*c != '|') {
            text[bytes++] = *c;
        }
    }
    const char *piece = expected;
    for (size_t at = 0; at < bytes;) {
        size_t length = strcspn(piece, "|");
        assert_int_equal(rung_byte_level_piece_end(text, at, bytes), at + length);
        at += length;
        piece += length + (piece[length] == '|');
    }
}

static void splits_as_the_expression_says(void **state)
{
    (void)state;
    assert_pieces("Hello|,| world|!!| 123|a");
    assert_pieces("it|'s|n|'t| IT|'|S| we|'ve|'re|'ll|'d|'m|'|x");
    assert_pieces("'|l|'|r|'|v");
    assert_pieces("a|  | b|\n|\n|c|\t|d|  ");
    assert_pieces(" |\u3000|a|\u3000| b");
    assert_pieces("é中e|\u0301|x|²½Ⅷ|…!😀|a");
    assert_pieces("  \n");
    assert_pieces(" '|s| '!'|s");
}

static void the_end_of_the_stretch_is_the_end(void **state)
{
    (void)state;
    assert_int_equal(rung_byte_level_piece_end("abc", 0, 2), 2);
    assert_int_equal(rung_byte_level_piece_end("  x", 0, 2), 2);
    assert_int_equal(rung_byte_level_piece_end("'ll", 0, 2), 1);
    assert_int_equal(rung_byte_level_piece_end(" x", 0, 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_has_its_character),
        cmocka_unit_test(other_characters_stand_for_nothing),
        cmocka_unit_test(splits_as_the_expression_says),
        cmocka_unit_test(the_end_of_the_stretch_is_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
