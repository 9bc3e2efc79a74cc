/* test_bert_normalizer.c: every code point under every combination of options against hashes of what the reference
 * answers (tools/tokenizer_golden.py hashes), spans of reordered and removed marks, and hostile runs of marks. */
#include "base/buffer.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "model/bert_normalizer.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct collected {
    rung_buffer text;
    uint32_t begin[64], end[64]; /* of the first code points */
    size_t count;
} collected;

static void collect(void *context, uint32_t code_point, uint32_t begin, uint32_t end)
{
    collected *out = context;
    char bytes[4];
    rung_buffer_append(&out->text, bytes, rung_utf8_put(code_point, bytes));
    if (out->count < 64) {
        out->begin[out->count] = begin;
        out->end[out->count] = end;
    }
    out->count++;
}

static void normalize(const rung_bert_normalizer *normalizer, const char *text, size_t bytes, rung_mark_run *run,
                      collected *out)
{
    rung_error error;
    rung_buffer_clear(&out->text);
    out->count = 0;
    assert_int_equal(rung_bert_normalize(normalizer, text, 0, bytes, run, collect, out, &error), RUNG_OK);
}

/* What hash_code_points of the script does. */
static void hash_code_points(const rung_bert_normalizer *normalizer, char hex[RUNG_SHA256_HEX_BYTES])
{
    rung_sha256 hash;
    rung_sha256_init(&hash);
    rung_mark_run run = {0};
    collected out = {0};
    for (uint32_t c = 0; c < 0x110000; c++) {
        if (c >= 0xD800 && c <= 0xDFFF) {
            continue;
        }
        char text[16] = "A\u0345";
        size_t bytes = 3;
        bytes += rung_utf8_put(c, text + bytes);
        memcpy(text + bytes, "\u0334Z", 3);
        normalize(normalizer, text, bytes + 3, &run, &out);
        rung_sha256_update(&hash, out.text.data, out.text.length);
        rung_sha256_update(&hash, "", 1);
    }
    rung_buffer_deinit(&out.text);
    rung_mark_run_deinit(&run);
    rung_sha256_hex(&hash, hex);
}

static void every_code_point_is_as_in_the_reference(void **state)
{
    (void)state;
    json_t *golden = json_load_file("tests/golden/tokenizer_hashes.json", 0, NULL);
    assert_non_null(golden);
    json_t *expected = json_object_get(golden, "code_points");
    assert_int_equal(json_object_size(expected), 16);
    const char *options;
    json_t *value;
    json_object_foreach(expected, options, value)
    {
        rung_bert_normalizer normalizer = {options[0] == '1', options[1] == '1', options[2] == '1', options[3] == '1'};
        char hex[RUNG_SHA256_HEX_BYTES];
        hash_code_points(&normalizer, hex);
        assert_string_equal(hex, json_string_value(value));
    }
    json_decref(golden);
}

static void assert_normalized(rung_bert_normalizer normalizer, const char *text, const char *expected,
                              const uint32_t *spans)
{
    rung_mark_run run = {0};
    collected out = {0};
    normalize(&normalizer, text, strlen(text), &run, &out);
    assert_int_equal(out.text.length, strlen(expected));
    assert_string_equal(out.text.data, expected);
    for (size_t i = 0; i < out.count; i++) {
        assert_int_equal(out.begin[i], spans[2 * i]);
        assert_int_equal(out.end[i], spans[2 * i + 1]);
    }
    rung_buffer_deinit(&out.text);
    rung_mark_run_deinit(&run);
}

static const rung_bert_normalizer EVERYTHING = {true, true, true, true};

static void spans_point_into_the_source(void **state)
{
    (void)state;
    assert_normalized(EVERYTHING, "Éa\x01Z", "eaz", (const uint32_t[]){0, 2, 2, 3, 4, 5});
    assert_normalized(EVERYTHING, "x中", "x 中 ", (const uint32_t[]){0, 1, 1, 4, 1, 4, 1, 4});
    assert_normalized(EVERYTHING, "\t각", " \u1100\u1161\u11a8", (const uint32_t[]){0, 1, 1, 4, 1, 4, 1, 4});
    const rung_bert_normalizer keeps_accents = {true, true, false, true};
    assert_normalized(keeps_accents, "İx", "i\u0307x", (const uint32_t[]){0, 2, 0, 2, 2, 3});
}

/* U+302E (class 224) is no Mn and survives; the acute (230) before it moves behind and is dropped, and the survivor is
 * aligned with the place of the acute, as the reference's cursor does. */
static void reordered_marks_take_the_place_they_move_to(void **state)
{
    (void)state;
    assert_normalized(EVERYTHING, "a\u0301\u302Eb", "a\u302Eb", (const uint32_t[]){0, 1, 1, 3, 6, 7});
    assert_normalized(EVERYTHING, "\u00E1\u302Eb", "a\u302Eb", (const uint32_t[]){0, 2, 2, 5, 5, 6});
}

/* A megabyte of marks in falling classes: quadratic sorting would take minutes. */
static void long_runs_are_sorted_stably(void **state)
{
    (void)state;
    enum { PAIRS = 150000 };
    rung_buffer text = {0};
    rung_buffer expected = {0};
    for (size_t i = 0; i < PAIRS; i++) {
        rung_buffer_text(&text, i % 2 == 0 ? "\u0345\u302E" : "\u0345\u302F");
        rung_buffer_text(&expected, i % 2 == 0 ? "\u302E" : "\u302F");
    }
    rung_mark_run run = {0};
    collected out = {0};
    normalize(&EVERYTHING, text.data, text.length, &run, &out);
    assert_int_equal(out.text.length, expected.length);
    assert_memory_equal(out.text.data, expected.data, expected.length);
    rung_buffer_deinit(&out.text);
    rung_buffer_deinit(&text);
    rung_buffer_deinit(&expected);
    rung_mark_run_deinit(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_as_in_the_reference),
        cmocka_unit_test(spans_point_into_the_source),
        cmocka_unit_test(reordered_marks_take_the_place_they_move_to),
        cmocka_unit_test(long_runs_are_sorted_stably),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
