/* test_calibration_fields.c: fields of an object within their limits; arrays of floats are read only when all of it is right. */
#include "config/calibration_fields.h"
#include "model/json_field.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    json_t *root;
    rung_error error;
    rung_fields fields;
} fixture;

static void set_up(fixture *f, const char *json)
{
    *f = (fixture){0};
    f->root = rung_json_parse(json, strlen(json), "f.json", &f->error);
    assert_non_null(f->root);
    f->fields = (rung_fields){.json = f->root, .file = "f.json", .path = "a[0]", .error = &f->error};
}

static void numbers(void **state)
{
    (void)state;
    fixture f;
    double number = 7;
    uint32_t u = 7;
    uint64_t wide = 7;
    set_up(&f, "{\"x\":0.5,\"n\":3,\"s\":\"t\"}");
    assert_int_equal(rung_fields_number(&f.fields, "x", 0, 1, &number), RUNG_OK);
    assert_true(number == 0.5);
    assert_int_equal(rung_fields_number(&f.fields, "x", 0.6, 1, &number), RUNG_FORMAT);
    assert_string_equal(f.error.message, "f.json: field 'a[0].x' is 0.5; it must be from 0.6 to 1");
    assert_int_equal(rung_fields_u32(&f.fields, "n", 1, 3, &u), RUNG_OK);
    assert_int_equal(u, 3);
    assert_int_equal(rung_fields_u32(&f.fields, "n", 4, 9, &u), RUNG_FORMAT);
    assert_int_equal(rung_fields_integer(&f.fields, "x", 0, 9, &wide), RUNG_FORMAT);
    assert_string_equal(f.error.message, "f.json: field 'a[0].x' is a real number; it must be an integer");
    assert_int_equal(rung_fields_number(&f.fields, "y", 0, 1, &number), RUNG_FORMAT);
    assert_string_equal(f.error.message, "f.json: field 'a[0].y' is missing; it must be a number");
    assert_true(number == 0.5 && u == 3 && wide == 7); /* untouched */
    assert_int_equal(rung_fields_known(&f.fields, "x|n|s"), RUNG_OK);
    assert_int_equal(rung_fields_known(&f.fields, "x|n"), RUNG_FORMAT);
    json_decref(f.root);
}

static void lists_of_numbers(void **state)
{
    (void)state;
    fixture f;
    double numbers[2] = {7, 7};
    set_up(&f, "{\"two\":[0.5,1],\"text\":[0.5,\"1\"],\"high\":[0.5,1.5],\"n\":1}");
    assert_int_equal(rung_fields_numbers(&f.fields, "text", 2, 0, 1, numbers), RUNG_FORMAT);
    assert_string_equal(f.error.message, "f.json: field 'a[0].text[1]' is a string; it must be a number");
    assert_int_equal(rung_fields_numbers(&f.fields, "high", 2, 0, 1, numbers), RUNG_FORMAT);
    assert_string_equal(f.error.message, "f.json: field 'a[0].high[1]' is 1.5; it must be from 0 to 1");
    assert_int_equal(rung_fields_numbers(&f.fields, "two", 3, 0, 1, numbers), RUNG_FORMAT);
    assert_string_equal(f.error.message, "f.json: field 'a[0].two' has 2 entries; it must have 3 to 3");
    assert_int_equal(rung_fields_numbers(&f.fields, "n", 1, 0, 1, numbers), RUNG_FORMAT);
    assert_int_equal(rung_fields_numbers(&f.fields, "none", 1, 0, 1, numbers), RUNG_FORMAT);
    assert_true(numbers[0] == 7 && numbers[1] == 7); /* untouched */
    assert_int_equal(rung_fields_numbers(&f.fields, "two", 2, 0, 1, numbers), RUNG_OK);
    assert_true(numbers[0] == 0.5 && numbers[1] == 1);
    json_decref(f.root);
}

static void strings_and_lists(void **state)
{
    (void)state;
    fixture f;
    char *text = NULL;
    char hex[RUNG_SHA256_HEX_BYTES] = "kept";
    uint32_t index = 9;
    const json_t *list = NULL;
    rung_fields inner;
    set_up(&f, "{\"s\":\"two\",\"e\":\"\",\"l\":[{\"v\":1},5],\"o\":{}}");
    assert_int_equal(rung_fields_string(&f.fields, "s", &text), RUNG_OK);
    assert_string_equal(text, "two");
    free(text);
    assert_int_equal(rung_fields_string(&f.fields, "e", &text), RUNG_FORMAT);
    assert_int_equal(rung_fields_choice(&f.fields, "s", "one|two", &index), RUNG_OK);
    assert_int_equal(index, 1);
    assert_int_equal(rung_fields_choice(&f.fields, "s", "one|three", &index), RUNG_FORMAT);
    assert_string_equal(f.error.message, "f.json: field 'a[0].s' is 'two'; it must be one or three");
    assert_int_equal(rung_fields_sha256(&f.fields, "s", hex), RUNG_FORMAT);
    assert_string_equal(hex, "kept");
    assert_int_equal(rung_fields_list(&f.fields, "l", 1, 2, &list), RUNG_OK);
    assert_int_equal(rung_fields_entry(&f.fields, "l", list, 0, &inner), RUNG_OK);
    assert_string_equal(inner.path, "a[0].l[0]");
    assert_int_equal(rung_fields_entry(&f.fields, "l", list, 1, &inner), RUNG_FORMAT);
    assert_int_equal(rung_fields_list(&f.fields, "l", 3, 4, &list), RUNG_FORMAT);
    assert_string_equal(f.error.message, "f.json: field 'a[0].l' has 2 entries; it must have 3 to 4");
    assert_int_equal(rung_fields_object(&f.fields, "o", &inner), RUNG_OK);
    assert_string_equal(inner.path, "a[0].o");
    json_decref(f.root);
}

static void floats(void **state)
{
    (void)state;
    fixture f;
    float *values = NULL;
    set_up(&f, "{\"two\":\"AACAPwAAAMA=\",\"nan\":\"AADAfwAAAMA=\",\"bad\":\"AACAPwAAAM!=\",\"n\":1}");
    assert_int_equal(rung_fields_floats(&f.fields, "two", 2, &values), RUNG_OK);
    assert_true(values[0] == 1 && values[1] == -2);
    float *before = values;
    assert_int_equal(rung_fields_floats(&f.fields, "two", 3, &values), RUNG_FORMAT);
    assert_string_equal(f.error.message, "f.json: field 'a[0].two' has 12 characters; 3 floats in base64 have 16");
    assert_int_equal(rung_fields_floats(&f.fields, "two", SIZE_MAX / 8, &values), RUNG_FORMAT);
    assert_int_equal(rung_fields_floats(&f.fields, "nan", 2, &values), RUNG_FORMAT);
    assert_string_equal(f.error.message, "f.json: field 'a[0].nan': float 0 is nan; it must be finite");
    assert_int_equal(rung_fields_floats(&f.fields, "bad", 2, &values), RUNG_FORMAT);
    assert_non_null(strstr(f.error.message, "f.json: field 'a[0].bad': not base64"));
    assert_int_equal(rung_fields_floats(&f.fields, "n", 2, &values), RUNG_FORMAT);
    assert_ptr_equal(values, before);                                            /* untouched by all of them */
    assert_int_equal(rung_fields_floats(&f.fields, "two", 2, &values), RUNG_OK); /* replaces */
    free(values);
    json_decref(f.root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(lists_of_numbers),
        cmocka_unit_test(strings_and_lists),
        cmocka_unit_test(floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
