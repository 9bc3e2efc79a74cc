/* test_byte_level_split.c: byte-level BPE's ids, spans and truncation against what the reference answered (tests/golden, made by
 * tools/tokenizer_golden.py bpe), data sets by the hash of their ids and spans when ../shared is there, and growth. */
#include "base/hash.h"
#include "model/tokenizer_pass.h"
#include "skip.h"
#include "tokenizer_fixture.h"

#include <stdio.h>

#define SMALL "tests/golden/byte_level_small.json"
#define NO_LIMIT ((size_t)1 << 30)

static void hard_cases_are_as_in_the_reference(void **state)
{
    (void)state;
    size_t cases =
        assert_golden_cases("tests/golden/byte_level_variants.json", SMALL, "tests/golden/byte_level_cases.jsonl.zst");
    assert_true(cases > 900);
}

typedef struct hash_context {
    const rung_tokenizer *tokenizer;
    rung_encoding encoding;
    rung_sha256 hash;
} hash_context;

static void hash_line(const json_t *line, void *argument)
{
    hash_context *context = argument;
    rung_encoding *encoding = &context->encoding;
    const json_t *pair = json_object_get(line, "text_pair");
    rung_text second = json_is_string(pair) ? text_of(pair) : (rung_text){0};
    rung_error error;
    assert_int_equal(rung_tokenize(context->tokenizer, text_of(json_object_get(line, "text")),
                                   json_is_string(pair) ? &second : NULL, NO_LIMIT, encoding, &error),
                     RUNG_OK);
    int32_t length = (int32_t)encoding->length;
    rung_sha256_update(&context->hash, &length, sizeof length);
    rung_sha256_update(&context->hash, encoding->ids, encoding->length * sizeof *encoding->ids);
    rung_sha256_update(&context->hash, encoding->begin, encoding->length * sizeof *encoding->begin);
    rung_sha256_update(&context->hash, encoding->end, encoding->length * sizeof *encoding->end);
}

static void data_sets_are_as_in_the_reference(void **state)
{
    (void)state;
    const char *shared = shared_directory();
    if (shared == NULL) {
        skip_because("data_sets_are_as_in_the_reference", "no-shared");
        return;
    }
    json_t *golden = json_load_file("tests/golden/byte_level_hashes.json", 0, NULL);
    assert_non_null(golden);
    rung_tokenizer *tokenizer = load_variant(SMALL, NULL);
    hash_context context = {.tokenizer = tokenizer};
    const char *file;
    json_t *expected;
    json_object_foreach(json_object_get(golden, "data"), file, expected)
    {
        char path[4096];
        char hex[RUNG_SHA256_HEX_BYTES];
        snprintf(path, sizeof path, "%s/data/%s", shared, file);
        rung_sha256_init(&context.hash);
        assert_true(for_each_line(path, hash_line, &context) > 0);
        rung_sha256_hex(&context.hash, hex);
        assert_string_equal(hex, json_string_value(expected));
    }
    rung_encoding_deinit(&context.encoding);
    rung_tokenizer_free(tokenizer);
    json_decref(golden);
}

static size_t steps_for(const rung_tokenizer *tokenizer, const char *unit, size_t bytes)
{
    char *text = malloc(bytes);
    assert_non_null(text);
    size_t unit_bytes = strlen(unit);
    size_t filled = 0;
    for (; filled + unit_bytes <= bytes; filled += unit_bytes) {
        memcpy(text + filled, unit, unit_bytes);
    }
    rung_encoding encoding = {0};
    rung_error error;
    assert_int_equal(rung_tokenize(tokenizer, (rung_text){text, filled}, NULL, 64, &encoding, &error), RUNG_OK);
    assert_true(encoding.length >= 3 && encoding.length <= 64);
    assert_true(encoding.capacity <= 128);
    size_t steps = encoding.scratch->symbols.steps;
    rung_encoding_deinit(&encoding);
    free(text);
    return steps;
}

/* 16 times the text may cost 16 times the steps, and a little more for the heap's depth. */
static void hostile_texts_grow_by_n_log_n(void **state)
{
    (void)state;
    static const char *const UNITS[] = {"a", "the", "unaffable", "é",  "中",    "😀",      "e\u0301", "!",
                                        "1", "'s",  " ",         "\n", "aaaab", "\u3000", "<mas"};
    rung_tokenizer *tokenizer = load_variant(SMALL, NULL);
    for (size_t u = 0; u < sizeof UNITS / sizeof UNITS[0]; u++) {
        size_t few = steps_for(tokenizer, UNITS[u], 1 << 16);
        size_t many = steps_for(tokenizer, UNITS[u], 1 << 20);
        assert_true(many <= 24 * few + 1000);
    }
    rung_tokenizer_free(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hard_cases_are_as_in_the_reference),
        cmocka_unit_test(data_sets_are_as_in_the_reference),
        cmocka_unit_test(hostile_texts_grow_by_n_log_n),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
