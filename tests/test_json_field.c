/* test_json_field.c: messages about JSON that cannot be read or has other fields than a format demands. */
#include "model/json_field.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_refused(const char *text, const char *message)
{
    rung_error error;
    assert_null(rung_json_parse(text, strlen(text), "f.json", &error));
    assert_int_equal(error.code, RUNG_FORMAT);
    assert_string_equal(error.message, message);
}

static void refuses_what_is_not_json(void **state)
{
    (void)state;
    assert_refused("", "f.json: not valid JSON at line 1, column 0: '[' or '{' expected near end of file");
    assert_refused("{\"a\": 1", "f.json: not valid JSON at line 1, column 7: '}' expected near end of file");
    assert_refused("{\"a\": 1,\n \"a\": 2}",
                   "f.json: not valid JSON at line 2, column 4: duplicate object key near '\"a\"'");
    assert_refused("{\"a\x01\": 1}", "f.json: not valid JSON at line 1, column 3: control character 0x1 near '\"a'");
    assert_refused("[1] x", "f.json: not valid JSON at line 1, column 5: end of file expected near 'x'");
}

static void names_missing_and_wrong_fields(void **state)
{
    (void)state;
    const char text[] = "{\"s\": \"x\", \"i\": 3, \"r\": 3.5, \"b\": false, \"n\": null, \"a\": [], \"o\": {}}";
    rung_error error;
    json_t *root = rung_json_parse(text, strlen(text), "f.json", &error);
    assert_non_null(root);
    const json_t *value = NULL;
    assert_int_equal(rung_json_field(root, "", "i", JSON_INTEGER, "f.json", &value, &error), RUNG_OK);
    assert_int_equal(json_integer_value(value), 3);
    assert_int_equal(rung_json_field(root, "", "b", JSON_TRUE, "f.json", &value, &error), RUNG_OK);
    assert_true(json_is_false(value));
    assert_int_equal(rung_json_field(root, "", "zz", JSON_STRING, "f.json", &value, &error), RUNG_FORMAT);
    assert_string_equal(error.message, "f.json: field 'zz' is missing; it must be a string");
    assert_int_equal(rung_json_field(root, "model", "r", JSON_INTEGER, "f.json", &value, &error), RUNG_FORMAT);
    assert_string_equal(error.message, "f.json: field 'model.r' is a real number; it must be an integer");
    assert_int_equal(rung_json_field(root, "", "n", JSON_OBJECT, "f.json", &value, &error), RUNG_FORMAT);
    assert_string_equal(error.message, "f.json: field 'n' is null; it must be an object");
    assert_int_equal(rung_json_field(root, "", "b", JSON_ARRAY, "f.json", &value, &error), RUNG_FORMAT);
    assert_string_equal(error.message, "f.json: field 'b' is true or false; it must be an array");
    /* A failure leaves the output alone. */
    assert_true(json_is_false(value));
    json_decref(root);
}

static void quotes_for_one_line(void **state)
{
    (void)state;
    char out[RUNG_JSON_QUOTE_BYTES];
    assert_string_equal(rung_json_quote("a\nb\"c\x7F", 6, out), "a?b?c?");
    char text[200];
    memset(text, 'x', sizeof text);
    rung_json_quote(text, sizeof text, out);
    assert_int_equal(strlen(out), RUNG_JSON_QUOTE_BYTES - 1);
    assert_string_equal(out + RUNG_JSON_QUOTE_BYTES - 5, "x...");
    /* 67 bytes fit before the dots: the 23rd three-byte character would be cut. */
    for (size_t i = 0; i + 3 <= sizeof text; i += 3) {
        memcpy(text + i, "中", 3);
    }
    rung_json_quote(text, 198, out);
    assert_int_equal(strlen(out), 66 + 3);
    assert_string_equal(out + 63, "中...");
}

static size_t allocations_left;

static void *scarce_malloc(size_t bytes)
{
    if (allocations_left == 0) {
        return NULL;
    }
    allocations_left--;
    return malloc(bytes);
}

static void memory_that_runs_out_is_not_the_texts_fault(void **state)
{
    (void)state;
    static const char text[] = "{\"text\":\"a film\",\"list\":[1,2.5,{\"a\":true}]}";
    rung_error error;
    json_t *root = NULL;
    json_set_alloc_funcs(scarce_malloc, free);
    for (size_t enough = 0; root == NULL; enough++) {
        assert_true(enough < 1000);
        allocations_left = enough;
        error.code = RUNG_OK;
        root = rung_json_parse(text, sizeof text - 1, "body", &error);
        assert_true(enough > 0 || error.code == RUNG_NO_MEMORY);
        if (root == NULL && error.code != RUNG_NO_MEMORY) { /* in a token, the parser takes it for a wrong one */
            assert_int_equal(error.code, RUNG_FORMAT);
            assert_non_null(strstr(error.message, " near "));
        }
    }
    json_decref(root);
    json_set_alloc_funcs(malloc, free);
    assert_int_equal(error.code, RUNG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_not_json),
        cmocka_unit_test(names_missing_and_wrong_fields),
        cmocka_unit_test(quotes_for_one_line),
        cmocka_unit_test(memory_that_runs_out_is_not_the_texts_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
