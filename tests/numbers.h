/* numbers.h: reads tests/golden/numbers.json.zst, the expected values that tools/golden_numbers.py works out in 50 digits with no code of rung.
 * Used by the tests of src/cascade and src/fit. */
#ifndef RUNG_TESTS_NUMBERS_H
#define RUNG_TESTS_NUMBERS_H

#include "base/file.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The cases of one section; release with json_decref. */
static inline json_t *numbers_section(const char *name)
{
    const char *root = getenv("MESON_SOURCE_ROOT");
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/golden/numbers.json.zst", root != NULL ? root : ".");
    char *text = NULL;
    size_t bytes = 0;
    rung_error failure = {0};
    if (rung_read_file(path, 1 << 24, &text, &bytes, &failure) != RUNG_OK) {
        fail_msg("%s", failure.message);
    }
    json_error_t error;
    json_t *file = json_loadb(text, bytes, 0, &error);
    free(text);
    if (file == NULL) {
        fail_msg("%s:%d: %s", path, error.line, error.text);
    }
    json_t *section = json_incref(json_object_get(file, name));
    json_decref(file);
    assert_true(json_array_size(section) > 0);
    return section;
}

static inline const char *numbers_name(const json_t *object)
{
    return json_string_value(json_object_get(object, "name"));
}

static inline double numbers_value(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (!json_is_number(value) && !json_is_boolean(value)) {
        fail_msg("%s: no number \"%s\"", numbers_name(object), key);
    }
    return json_is_boolean(value) ? (double)json_is_true(value) : json_number_value(value);
}

/* Writes at most `capacity` numbers of an array and returns how many there are. */
static inline size_t numbers_doubles(const json_t *array, double *out, size_t capacity)
{
    size_t count = json_array_size(array);
    assert_true(json_is_array(array) && count <= capacity);
    for (size_t i = 0; i < count; i++) {
        out[i] = json_number_value(json_array_get(array, i));
    }
    return count;
}

static inline size_t numbers_floats(const json_t *array, float *out, size_t capacity)
{
    size_t count = json_array_size(array);
    assert_true(json_is_array(array) && count <= capacity);
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)json_number_value(json_array_get(array, i));
    }
    return count;
}

static inline size_t numbers_bytes(const json_t *array, uint8_t *out, size_t capacity)
{
    size_t count = json_array_size(array);
    assert_true(json_is_array(array) && count <= capacity);
    for (size_t i = 0; i < count; i++) {
        out[i] = (uint8_t)json_integer_value(json_array_get(array, i));
    }
    return count;
}

static inline size_t numbers_u32(const json_t *array, uint32_t *out, size_t capacity)
{
    size_t count = json_array_size(array);
    assert_true(json_is_array(array) && count <= capacity);
    for (size_t i = 0; i < count; i++) {
        out[i] = (uint32_t)json_integer_value(json_array_get(array, i));
    }
    return count;
}

static inline uint64_t numbers_hex(const json_t *object, const char *key)
{
    const char *digits = json_string_value(json_object_get(object, key));
    assert_non_null(digits);
    return strtoull(digits, NULL, 16);
}

/* Within `tolerance` of the expected number, relative to it when it is above 1. */
static inline void assert_near(const char *what, double value, double expected, double tolerance)
{
    double scale = fabs(expected) > 1 ? fabs(expected) : 1;
    if (!(fabs(value - expected) <= tolerance * scale)) {
        fail_msg("%s: %.17g is not %.17g within %g", what, value, expected, tolerance);
    }
}

#endif
