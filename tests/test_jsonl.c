/* test_jsonl.c: one line into one input, and every kind of bad line by its message. */
#include "config/jsonl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static rung_line parse(const char *json)
{
    rung_line line = {0};
    rung_error error;
    assert_int_equal(rung_line_parse(json, strlen(json), 41, &line, &error), RUNG_OK);
    return line;
}

static void fields(void **state)
{
    (void)state;
    rung_line line = parse("{\"id\":\"7\",\"text\":\"A warm film.\",\"text_pair\":\"b\",\"label\":\"pos\"}\r");
    assert_string_equal(line.id, "7");
    assert_int_equal(line.id_bytes, 1);
    assert_string_equal(line.text, "A warm film.");
    assert_int_equal(line.text_bytes, 12);
    assert_string_equal(line.text_pair, "b");
    assert_int_equal(line.text_pair_bytes, 1);
    assert_true(line.has_label);
    assert_string_equal(line.label, "pos");
    rung_line_deinit(&line);
    assert_null(line.text);

    line = parse(" {\"text\":\"x\"} ");
    assert_string_equal(line.id, "41"); /* the position */
    assert_false(line.has_label);
    assert_null(line.text_pair);
    assert_null(line.label);
    rung_line_deinit(&line);

    line = parse("{\"text\":\"x\",\"id\":-12,\"label\":3}");
    assert_string_equal(line.id, "-12");
    assert_int_equal(line.id_bytes, 3);
    assert_true(line.has_label && line.label == NULL && line.label_index == 3);
    rung_line_deinit(&line);
}

static void nul_and_escapes(void **state)
{
    (void)state;
    rung_line line = parse("{\"text\":\"a\\u0000\\u00e9\\ud83d\\ude00\"}");
    assert_int_equal(line.text_bytes, 8);
    assert_memory_equal(line.text, "a\0\xc3\xa9\xf0\x9f\x98\x80", 9);
    rung_line_deinit(&line);
    line = parse("{\"text\":\"\\u0000\"}"); /* a NUL is no white space */
    assert_int_equal(line.text_bytes, 1);
    rung_line_deinit(&line);
}

static void bad_lines(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        rung_status status;
        const char *message;
    } bad[] = {
        {"", RUNG_FORMAT, "the line is empty; it must be an object {\"text\": ...}"},
        {"  \t\r", RUNG_FORMAT, "the line is empty; it must be an object {\"text\": ...}"},
        {"{", RUNG_FORMAT, "not valid JSON at byte 1: string or '}' expected near end of file"},
        {"{\"text\":\"x\"} {}", RUNG_FORMAT, "not valid JSON at byte 14: end of file expected near '{'"},
        {"{\"text\":\"\\ud800\"}", RUNG_FORMAT,
         "not valid JSON at byte 16: invalid Unicode '\\uD800' near '\"\\ud800\"'"},
        {"{\"text\":\"a\",\"text\":\"b\"}", RUNG_FORMAT,
         "not valid JSON at byte 18: duplicate object key near '\"text\"'"},
        {"{\"text\":\"\xc3(\"}", RUNG_FORMAT, "not valid UTF-8 at byte 9"},
        {"{\"text\":\"\xed\xa0\x80\"}", RUNG_FORMAT, "not valid UTF-8 at byte 9"},
        {"[\"x\"]", RUNG_INVALID, "must be an object {\"text\": ...}, not a list"},
        {"{}", RUNG_INVALID, "field 'text' is missing"},
        {"{\"text\":7}", RUNG_INVALID, "field 'text' must be a string, not an integer"},
        {"{\"text\":null}", RUNG_INVALID, "field 'text' must be a string, not null"},
        {"{\"text\":{\"a\":1}}", RUNG_INVALID, "field 'text' must be a string, not an object"},
        {"{\"text\":\"x\",\"text_pair\":[]}", RUNG_INVALID, "field 'text_pair' must be a string, not a list"},
        {"{\"text\":\"\"}", RUNG_INVALID, "text is empty"},
        {"{\"text\":\" \\n\\t\"}", RUNG_INVALID, "text is empty (white space only)"},
        {"{\"text\":\"x\",\"text_pair\":\"\"}", RUNG_INVALID, "text_pair is empty"},
        {"{\"text\":\"x\",\"id\":1.5}", RUNG_INVALID, "field 'id' must be a string, not a number"},
        {"{\"text\":\"x\",\"id\":true}", RUNG_INVALID, "field 'id' must be a string, not true or false"},
        {"{\"text\":\"x\",\"id\":\"\"}", RUNG_INVALID, "field 'id' has 0 bytes; it may have 1 to 1024"},
        {"{\"text\":\"x\",\"label\":-1}", RUNG_INVALID, "field 'label' is -1; an index counts from 0"},
        {"{\"text\":\"x\",\"label\":1.0}", RUNG_INVALID, "field 'label' must be a string or an integer, not a number"},
        {"{\"text\":\"x\",\"label\":\"\"}", RUNG_INVALID, "field 'label' is empty; give a label's name or its index"},
        {"{\"txt\":\"x\"}", RUNG_INVALID, "unknown field 'txt'; did you mean 'text'?"},
        {"{\"text\":\"x\",\"prior\":1}", RUNG_INVALID,
         "unknown field 'prior'; known are id, text, text_pair and label"},
        {"{\"text\":\"x\",\"target\":\"gold\"}", RUNG_UNSUPPORTED,
         "field 'target' needs a plan with certified targets, which this version does not have; leave it out"},
    };
    rung_line line = parse("{\"id\":\"kept\",\"text\":\"kept\"}");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rung_error error;
        assert_int_equal(rung_line_parse(bad[i].json, strlen(bad[i].json), 0, &line, &error), bad[i].status);
        assert_string_equal(error.message, bad[i].message);
        assert_int_equal(rung_line_parse(bad[i].json, strlen(bad[i].json), 0, &line, NULL), bad[i].status);
        assert_string_equal(line.text, "kept"); /* a failure leaves the line */
    }
    rung_line_deinit(&line);
}

static void depth_and_length(void **state)
{
    (void)state;
    size_t bytes = 1000000;
    char *deep = malloc(bytes);
    assert_non_null(deep);
    memset(deep, '[', bytes);
    memcpy(deep, "{\"text\":", 8);
    rung_line line = {0};
    rung_error error;
    assert_int_equal(rung_line_parse(deep, bytes, 0, &line, &error), RUNG_FORMAT);
    assert_non_null(strstr(error.message, "maximum parsing depth reached"));
    int length = snprintf(deep, bytes, "{\"text\":\"x\",\"id\":\"%01025d\"}", 0);
    assert_int_equal(rung_line_parse(deep, (size_t)length, 0, &line, &error), RUNG_LIMIT);
    assert_string_equal(error.message, "field 'id' has 1025 bytes; it may have 1 to 1024");
    assert_null(line.memory);
    free(deep);
}

static void plain_text(void **state)
{
    (void)state;
    rung_line line = {0};
    rung_error error;
    assert_int_equal(rung_line_from_text("a b\r", 4, 3, &line, &error), RUNG_OK);
    assert_string_equal(line.text, "a b");
    assert_string_equal(line.id, "3");
    assert_false(line.has_label);
    assert_int_equal(rung_line_from_text("", 0, 4, &line, &error), RUNG_INVALID);
    assert_string_equal(error.message, "text is empty");
    assert_int_equal(rung_line_from_text(" \r", 2, 4, &line, &error), RUNG_INVALID);
    assert_string_equal(error.message, "text is empty (white space only)");
    assert_int_equal(rung_line_from_text("ab\xff", 3, 4, &line, &error), RUNG_FORMAT);
    assert_string_equal(error.message, "not valid UTF-8 at byte 2");
    assert_string_equal(line.text, "a b");
    rung_line_deinit(&line);
}

static void texts_by_themselves(void **state)
{
    (void)state;
    rung_line line = {0};
    rung_error error;
    const rung_placed_text first = {"a[0]", "x\0y", 3};
    const rung_placed_text second = {"a[1]", "z", 1};
    const rung_placed_text blank = {"a[2]", " ", 1};
    const rung_placed_text broken = {"a[3]", "b\xff", 2};
    assert_int_equal(rung_line_from_texts(&first, &second, 7, &line, &error), RUNG_OK);
    assert_string_equal(line.id, "7");
    assert_int_equal(line.text_bytes, 3);
    assert_memory_equal(line.text, "x\0y", 4);
    assert_string_equal(line.text_pair, "z");
    assert_int_equal(rung_line_from_texts(&blank, NULL, 7, &line, &error), RUNG_NOT_FOUND);
    assert_string_equal(error.message, "a[2] is empty (white space only)");
    assert_int_equal(rung_line_from_texts(&first, &broken, 7, &line, &error), RUNG_FORMAT);
    assert_string_equal(error.message, "a[3] is not valid UTF-8 at byte 1");
    assert_string_equal(line.text_pair, "z");
    assert_int_equal(rung_line_from_texts(&second, NULL, 8, &line, &error), RUNG_OK);
    assert_null(line.text_pair);
    rung_line_deinit(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields),           cmocka_unit_test(nul_and_escapes),
        cmocka_unit_test(bad_lines),        cmocka_unit_test(texts_by_themselves),
        cmocka_unit_test(depth_and_length), cmocka_unit_test(plain_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
