/* test_tokenizer.c: ids, spans, types, masks and truncation against what the reference answered (tests/golden, made by
 * tools/tokenizer_golden.py), the SHA-256 of the id streams of all data sets when ../shared is there, and bad input. */
#include "base/file.h"
#include "base/hash.h"
#include "skip.h"
#include "tokenizer_fixture.h"

#include <stdio.h>

#define SMALL "tests/golden/tokenizer_small.json.zst"
#define NO_LIMIT ((size_t)1 << 30)

static const char *const MODELS[] = {"tiny-l3", "minilm-l6", "bge-l12"};
enum { MODEL_COUNT = 3 };

static rung_tokenizer *load_model(const char *shared, const char *model)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/models/%s/tokenizer.json", shared, model);
    char *text = NULL;
    size_t bytes = 0;
    rung_error error;
    rung_tokenizer *tokenizer = NULL;
    assert_int_equal(rung_read_file(path, MAX_FILE_BYTES, &text, &bytes, &error), RUNG_OK);
    assert_int_equal(rung_tokenizer_parse(text, bytes, path, &tokenizer, &error), RUNG_OK);
    free(text);
    return tokenizer;
}

static void hard_cases_are_as_in_the_reference(void **state)
{
    (void)state;
    size_t cases =
        assert_golden_cases("tests/golden/tokenizer_variants.json", SMALL, "tests/golden/tokenizer_cases.jsonl.zst");
    assert_true(cases > 1000);
}

typedef struct model_context {
    rung_tokenizer *tokenizers[MODEL_COUNT];
    rung_sha256 hashes[MODEL_COUNT];
    rung_encoding encoding;
} model_context;

static void check_case_with_models(const json_t *line, void *argument)
{
    model_context *context = argument;
    const json_t *models = json_object_get(line, "models");
    const json_t *pair = json_object_get(line, "pair");
    if (models == NULL) {
        return;
    }
    for (size_t m = 0; m < MODEL_COUNT; m++) {
        /* The vocabularies of MiniLM and BGE are the same. */
        const json_t *ids = json_object_get(models, m == 0 ? MODELS[0] : MODELS[1]);
        rung_text second = json_is_string(pair) ? text_of(pair) : (rung_text){0};
        rung_error error;
        assert_int_equal(rung_tokenize(context->tokenizers[m], text_of(json_object_get(line, "text")),
                                       json_is_string(pair) ? &second : NULL, NO_LIMIT, &context->encoding, &error),
                         RUNG_OK);
        assert_int_equal(context->encoding.length, json_array_size(ids));
        for (size_t i = 0; i < context->encoding.length; i++) {
            assert_int_equal(context->encoding.ids[i], json_integer_value(json_array_get(ids, i)));
        }
    }
}

static void load_models(model_context *context, const char *shared)
{
    for (size_t m = 0; m < MODEL_COUNT; m++) {
        context->tokenizers[m] = load_model(shared, MODELS[m]);
    }
}

static void free_models(model_context *context)
{
    for (size_t m = 0; m < MODEL_COUNT; m++) {
        rung_tokenizer_free(context->tokenizers[m]);
    }
    rung_encoding_deinit(&context->encoding);
}

static void hard_cases_with_the_models(void **state)
{
    (void)state;
    const char *shared = shared_directory();
    if (shared == NULL) {
        skip_because("hard_cases_with_the_models", "no-shared");
        return;
    }
    model_context context = {0};
    load_models(&context, shared);
    for_each_line("tests/golden/tokenizer_cases.jsonl.zst", check_case_with_models, &context);
    free_models(&context);
}

static void hash_line(const json_t *line, void *argument)
{
    model_context *context = argument;
    const json_t *pair = json_object_get(line, "text_pair");
    rung_text second = json_is_string(pair) ? text_of(pair) : (rung_text){0};
    for (size_t m = 0; m < MODEL_COUNT; m++) {
        rung_error error;
        assert_int_equal(rung_tokenize(context->tokenizers[m], text_of(json_object_get(line, "text")),
                                       json_is_string(pair) ? &second : NULL, NO_LIMIT, &context->encoding, &error),
                         RUNG_OK);
        /* Little-endian, as every supported machine is. */
        int32_t length = (int32_t)context->encoding.length;
        rung_sha256_update(&context->hashes[m], &length, sizeof length);
        rung_sha256_update(&context->hashes[m], context->encoding.ids, context->encoding.length * sizeof(int32_t));
    }
}

static void hash_data_file(model_context *context, const char *shared, const char *file, const json_t *expected)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/data/%s", shared, file);
    for (size_t m = 0; m < MODEL_COUNT; m++) {
        rung_sha256_init(&context->hashes[m]);
    }
    assert_true(for_each_line(path, hash_line, context) > 0);
    for (size_t m = 0; m < MODEL_COUNT; m++) {
        char hex[RUNG_SHA256_HEX_BYTES];
        rung_sha256_hex(&context->hashes[m], hex);
        assert_string_equal(hex, json_string_value(json_object_get(json_object_get(expected, MODELS[m]), file)));
    }
}

/* The 50,000 unlabelled reviews take as long as all others together: only with RUNG_SLOW=1. */
static void data_sets_are_as_in_the_reference(void **state)
{
    (void)state;
    const char *shared = shared_directory();
    if (shared == NULL) {
        skip_because("data_sets_are_as_in_the_reference", "no-shared");
        return;
    }
    const char *slow = getenv("RUNG_SLOW");
    bool all = slow != NULL && strcmp(slow, "1") == 0;
    json_t *golden = json_load_file("tests/golden/tokenizer_hashes.json", 0, NULL);
    assert_non_null(golden);
    json_t *expected = json_object_get(golden, "data");
    model_context context = {0};
    load_models(&context, shared);
    const char *file;
    json_t *value;
    size_t files = 0;
    json_object_foreach(json_object_get(expected, MODELS[0]), file, value)
    {
        if (all || strcmp(file, "imdb/unlabelled.jsonl.zst") != 0) {
            hash_data_file(&context, shared, file, expected);
            files++;
        }
    }
    assert_int_equal(files, all ? 11 : 10);
    free_models(&context);
    json_decref(golden);
}

static void refuses_bad_input(void **state)
{
    (void)state;
    rung_tokenizer *tokenizer = load_variant(SMALL, NULL);
    rung_encoding encoding = {0};
    rung_error error;
    assert_int_equal(rung_tokenize(tokenizer, (rung_text){"the film", 8}, NULL, 8, &encoding, &error), RUNG_OK);
    assert_int_equal(encoding.length, 4);
    const struct {
        const char *text;
        size_t bytes;
        const char *message;
    } cases[] = {
        {"the \xFF", 5, "text: invalid UTF-8 at byte 4 (0xFF)"},
        {"\xC3", 1, "text: invalid UTF-8 at byte 0 (0xC3)"},
        {"a\xED\xA0\x80", 4, "text: invalid UTF-8 at byte 1 (0xED)"},
        {"\xC0\x80", 2, "text: invalid UTF-8 at byte 0 (0xC0)"},
        {"\xF4\x90\x80\x80", 4, "text: invalid UTF-8 at byte 0 (0xF4)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rung_text text = {cases[i].text, cases[i].bytes};
        assert_int_equal(rung_tokenize(tokenizer, text, NULL, 8, &encoding, &error), RUNG_INVALID);
        assert_string_equal(error.message, cases[i].message);
    }
    const rung_text bad = {"ok \x80", 4};
    assert_int_equal(rung_tokenize(tokenizer, (rung_text){"a", 1}, &bad, 8, &encoding, &error), RUNG_INVALID);
    assert_string_equal(error.message, "text_pair: invalid UTF-8 at byte 3 (0x80)");
    assert_int_equal(rung_tokenize(tokenizer, (rung_text){"a", 1}, NULL, 1, &encoding, &error), RUNG_LIMIT);
    assert_string_equal(error.message, "max_tokens is 1, but the special tokens alone take 2");
    const rung_text good = {"a", 1};
    assert_int_equal(rung_tokenize(tokenizer, good, &good, 2, &encoding, &error), RUNG_LIMIT);
    assert_string_equal(error.message, "max_tokens is 2, but the special tokens alone take 3");
    assert_int_equal(rung_tokenize(tokenizer, (rung_text){"a", ((size_t)1 << 31) + 1}, NULL, 8, &encoding, &error),
                     RUNG_LIMIT);
    assert_string_equal(error.message, "text: 2147483649 bytes exceed the limit of 2147483648");
    /* All those left the first answer alone. */
    assert_int_equal(encoding.length, 4);
    assert_int_equal(encoding.end[2], 8);
    rung_encoding_deinit(&encoding);
    rung_tokenizer_free(tokenizer);
}

/* A caller that reuses an encoding allocates nothing: the arrays stay where they are. */
static void reuse_keeps_the_arrays(void **state)
{
    (void)state;
    rung_tokenizer *tokenizer = load_variant(SMALL, NULL);
    rung_encoding encoding = {0};
    rung_error error;
    const rung_text large = {"the film was good but the story is not so good, naïve and e\u0301\u0323", 65};
    assert_int_equal(rung_tokenize(tokenizer, large, &large, 16, &encoding, &error), RUNG_OK);
    assert_int_equal(encoding.length, 16);
    const rung_encoding before = encoding;
    assert_int_equal(rung_tokenize(tokenizer, (rung_text){NULL, 0}, NULL, 16, &encoding, &error), RUNG_OK);
    assert_int_equal(encoding.length, 2);
    assert_int_equal(encoding.truncated_tokens, 0);
    assert_int_equal(rung_tokenize(tokenizer, large, &large, 16, &encoding, &error), RUNG_OK);
    assert_ptr_equal(encoding.ids, before.ids);
    assert_ptr_equal(encoding.scratch, before.scratch);
    assert_int_equal(encoding.capacity, before.capacity);
    /* A limit of 16 never needs room for more than each text's own 16. */
    assert_true(encoding.capacity <= 32);
    rung_encoding_deinit(&encoding);
    rung_encoding_deinit(&encoding);
    rung_tokenizer_free(tokenizer);
}

static void filter_keeps_chosen_tokens(void **state)
{
    (void)state;
    rung_tokenizer *tokenizer = load_variant(SMALL, NULL);
    rung_encoding from = {0};
    rung_encoding to = {0};
    rung_error error;
    const rung_text pair = {"it is", 5};
    assert_int_equal(rung_tokenize(tokenizer, (rung_text){"the film", 8}, &pair, 100, &from, &error), RUNG_OK);
    assert_int_equal(from.length, 7);
    const bool keep[7] = {true, false, true, true, false, true, true};
    assert_int_equal(rung_encoding_filter(&from, keep, &to, &error), RUNG_OK);
    assert_int_equal(to.length, 5);
    for (size_t i = 0, kept = 0; i < from.length; i++) {
        if (keep[i]) {
            assert_int_equal(to.ids[kept], from.ids[i]);
            assert_int_equal(to.type_ids[kept], from.type_ids[i]);
            assert_int_equal(to.special[kept], from.special[i]);
            assert_int_equal(to.sequence[kept], from.sequence[i]);
            assert_int_equal(to.begin[kept], 0);
            assert_int_equal(to.end[kept], 0);
            kept++;
        }
    }
    rung_encoding_deinit(&from);
    rung_encoding_deinit(&to);
    rung_tokenizer_free(tokenizer);
}

/* Ids alone bring back what the template decides. */
static void ids_become_the_encoding_again(void **state)
{
    (void)state;
    rung_tokenizer *tokenizer = load_variant(SMALL, NULL);
    rung_encoding from = {0};
    rung_encoding to = {0};
    rung_error error;
    const rung_text pair = {"it is", 5};
    for (unsigned texts = 1; texts <= 2; texts++) {
        const rung_text text = {"the film", 8};
        assert_int_equal(rung_tokenize(tokenizer, text, texts == 2 ? &pair : NULL, 100, &from, &error), RUNG_OK);
        size_t pair_from = texts == 2 ? 4 : 0;
        assert_int_equal(rung_encoding_from_ids(tokenizer, from.ids, from.length, pair_from, &to, &error), RUNG_OK);
        assert_int_equal(to.length, from.length);
        assert_memory_equal(to.ids, from.ids, from.length * sizeof *to.ids);
        assert_memory_equal(to.type_ids, from.type_ids, from.length);
        assert_memory_equal(to.special, from.special, from.length);
        assert_memory_equal(to.sequence, from.sequence, from.length);
    }
    int32_t wrong[7];
    memcpy(wrong, from.ids, sizeof wrong);
    wrong[3] = wrong[1];
    assert_int_equal(rung_encoding_from_ids(tokenizer, wrong, 7, 4, &to, &error), RUNG_INVALID);
    assert_non_null(strstr(error.message, "token 3 is "));
    assert_int_equal(rung_encoding_from_ids(tokenizer, from.ids, 7, 7, &to, &error), RUNG_INVALID);
    assert_string_equal(error.message, "pair_from is 7: of 7 tokens the second text may begin at 2 to 6");
    assert_int_equal(rung_encoding_from_ids(tokenizer, from.ids, 1, 0, &to, &error), RUNG_INVALID);
    assert_string_equal(error.message, "1 tokens: the special tokens alone are 2");
    rung_encoding_deinit(&from);
    rung_encoding_deinit(&to);
    rung_tokenizer_free(tokenizer);
}

/* Megabytes of what a careless tokenizer takes quadratic time for; the test's time limit is the assertion. */
static void hostile_texts_take_linear_time(void **state)
{
    (void)state;
    static const char *const UNITS[] = {
        "a", "\u0301", "\u0345\u0334", "\u302E\u0301", "中",    "un", "[SEP", "[", "\x01", "İ",
        ".", " ",      "\u1112",       "foo",          "\u00e9"};
    enum { BYTES = 1 << 20 };
    rung_tokenizer *tokenizer = load_variant(SMALL, NULL);
    rung_encoding encoding = {0};
    char *text = malloc(BYTES);
    assert_non_null(text);
    for (size_t u = 0; u < sizeof UNITS / sizeof UNITS[0]; u++) {
        size_t unit = strlen(UNITS[u]);
        size_t bytes = 0;
        for (; bytes + unit <= BYTES; bytes += unit) {
            memcpy(text + bytes, UNITS[u], unit);
        }
        rung_error error;
        assert_int_equal(rung_tokenize(tokenizer, (rung_text){text, bytes}, NULL, 64, &encoding, &error), RUNG_OK);
        assert_true(encoding.length >= 2 && encoding.length <= 64);
        assert_true(encoding.capacity <= 128);
    }
    free(text);
    rung_encoding_deinit(&encoding);
    rung_tokenizer_free(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hard_cases_are_as_in_the_reference),
        cmocka_unit_test(hard_cases_with_the_models),
        cmocka_unit_test(data_sets_are_as_in_the_reference),
        cmocka_unit_test(refuses_bad_input),
        cmocka_unit_test(reuse_keeps_the_arrays),
        cmocka_unit_test(hostile_texts_take_linear_time),
        cmocka_unit_test(filter_keeps_chosen_tokens),
        cmocka_unit_test(ids_become_the_encoding_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
