/* test_json_pairs.c: names with numbers from JSON text: what is plain is read as a parser of JSON would, the rest is left to it. */
#include "model/json_pairs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OUTSIDE(vocab)                                                                                                 \
    "{ \"a\": [1, {\"model\": {\"vocab\": {}}}, \"}\\\"\"], \"model\" : {\"t\": \"{\", \"vocab\":\n" vocab             \
    ", \"z\": 1}}"

/* The steps until the end: "name=number;" each, then "end" or "not plain"; "none" when the object is not found. */
static void read_all(const char *json, char *out, size_t size)
{
    /* Exactly as long as the text, so that a sanitizer sees what is read beyond. */
    size_t bytes = strlen(json);
    char *copy = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(copy);
    memcpy(copy, json, bytes);
    rung_json_pairs pairs;
    rung_json_pair pair;
    const char *at = NULL;
    size_t used = 0;
    out[0] = '\0';
    if (!rung_json_pairs_find(copy, bytes, "model", "vocab", &pairs)) {
        snprintf(out, size, "none");
        free(copy);
        return;
    }
    rung_json_pairs_step step;
    while ((step = rung_json_pairs_next(&pairs, &at, &pair)) == RUNG_JSON_PAIR) {
        used += (size_t)snprintf(out + used, size - used, "%.*s=%d;", (int)pair.bytes, pair.name, (int)pair.number);
    }
    snprintf(out + used, size - used, step == RUNG_JSON_PAIRS_END ? "end" : "not plain");
    free(copy);
}

static void check(const char *json, const char *wanted)
{
    char found[256];
    read_all(json, found, sizeof found);
    assert_string_equal(found, wanted);
}

static void plain_objects_are_read(void **state)
{
    (void)state;
    check(OUTSIDE("{}"), "end");
    check(OUTSIDE("{ }"), "end");
    check(OUTSIDE("{\"a\":0}"), "a=0;end");
    check(OUTSIDE("{ \"a\" : 10 ,\n \"##b\" :\t2 }"), "a=10;##b=2;end");
    check(OUTSIDE("{\"\": 7, \"a\": 999999999, \"a\": 1}"), "=7;a=999999999;a=1;end");
    check(OUTSIDE("{\"\\\"\": 1, \"\\\\\": 2, \"\\/x\": 3, \"\\u00e9\\u4E2d\": 4, \"}{,\": 5}"),
          "\"=1;\\=2;/x=3;\xC3\xA9\xE4\xB8\xAD=4;}{,=5;end");
    check("{\"model\":{\"vocab\":{\"a\":1} } }", "a=1;end");
}

static void what_is_not_plain_is_left_alone(void **state)
{
    (void)state;
    check(OUTSIDE("{\"a\": -1}"), "not plain");
    check(OUTSIDE("{\"a\": 1.5}"), "a=1;not plain");
    check(OUTSIDE("{\"a\": 01}"), "not plain");
    check(OUTSIDE("{\"a\": 1000000000}"), "not plain");
    check(OUTSIDE("{\"a\": }"), "not plain");
    check(OUTSIDE("{\"a\": 1,}"), "a=1;not plain");
    check(OUTSIDE("{\"a\": 1 \"b\": 2}"), "a=1;not plain");
    check(OUTSIDE("{, \"a\": 1}"), "not plain");
    check(OUTSIDE("{\"a\" 1}"), "not plain");
    check(OUTSIDE("{\"a\": {\"b\": 1}}"), "not plain");
    check(OUTSIDE("{a: 1}"), "not plain");
    check(OUTSIDE("{\"\\n\": 1}"), "not plain");
    check(OUTSIDE("{\"\\ud83d\\ude00\": 1}"), "not plain");
    check(OUTSIDE("{\"\\u0000\": 1}"), "not plain");
    check(OUTSIDE("{\"\\u00g0\": 1}"), "not plain");
    check(OUTSIDE("{\"\\u00\": 1}"), "not plain");
    check(OUTSIDE("{\"a\nb\": 1}"), "not plain");
    check(OUTSIDE("{\"\xC3\": 1}"), "not plain");
    check(OUTSIDE("{\"a\": 1 ]"), "none");
}

static void other_texts_have_no_such_object(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        " ",
                                        "1",
                                        "{",
                                        "[",
                                        "{}",
                                        "{\"model\"",
                                        "{\"model\":",
                                        "{\"model\":{",
                                        "{\"model\":{\"vocab\"",
                                        "{\"model\":{\"vocab\":",
                                        "{\"model\":{\"vocab\":{",
                                        "{\"model\":{\"vocab\":[1]}}",
                                        "{\"model\":[]}",
                                        "{\"model\":{\"vocab\":1}}",
                                        "{\"vocab\":{\"a\":1}}",
                                        "{\"model\":{\"vocab\":{\"",
                                        "{\"model\":{\"vocab\":{\"\\",
                                        "{\"x\":1 \"model\":{\"vocab\":{}}}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        check(texts[i], "none");
    }
}

static void long_names_with_escapes_are_left_alone(void **state)
{
    (void)state;
    char json[2 * RUNG_JSON_PAIR_BYTES];
    char found[2 * RUNG_JSON_PAIR_BYTES];
    char name[RUNG_JSON_PAIR_BYTES + 1];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(json, sizeof json, "{\"model\":{\"vocab\":{\"\\\"%s\":1}}}", name);
    read_all(json, found, sizeof found);
    assert_string_equal(found, "not plain");
    snprintf(json, sizeof json, "{\"model\":{\"vocab\":{\"%s\":1}}}", name);
    read_all(json, found, sizeof found);
    assert_int_equal(strlen(found), sizeof name - 1 + strlen("=1;end"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_objects_are_read),
        cmocka_unit_test(what_is_not_plain_is_left_alone),
        cmocka_unit_test(other_texts_have_no_such_object),
        cmocka_unit_test(long_names_with_escapes_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
