/* tokenizer_fixture.h: the small golden tokenizers, as they are or with members of their JSON replaced, and golden cases for them. For tests
 * only. */
#ifndef RUNG_TESTS_TOKENIZER_FIXTURE_H
#define RUNG_TESTS_TOKENIZER_FIXTURE_H

#include "base/file.h"
#include "model/tokenizer.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_FILE_BYTES ((size_t)1 << 28)

/* A tokenizer.json of a handful of tokens, small enough to break one field at a time. */
static inline json_t *load_tiny(void)
{
    static const char TEXT[] =
        "{'added_tokens': [{'id': 1, 'content': '[CLS]', 'single_word': false, 'lstrip': false, 'rstrip': false,"
        "                   'normalized': false, 'special': true}],"
        " 'normalizer': {'type': 'BertNormalizer', 'clean_text': true, 'handle_chinese_chars': true,"
        "                'strip_accents': null, 'lowercase': true},"
        " 'pre_tokenizer': {'type': 'BertPreTokenizer'},"
        " 'post_processor': {'type': 'TemplateProcessing',"
        "   'single': [{'SpecialToken': {'id': '[CLS]', 'type_id': 0}}, {'Sequence': {'id': 'A', 'type_id': 0}},"
        "              {'SpecialToken': {'id': '[SEP]', 'type_id': 0}}],"
        "   'pair': [{'SpecialToken': {'id': '[CLS]', 'type_id': 0}}, {'Sequence': {'id': 'A', 'type_id': 0}},"
        "            {'SpecialToken': {'id': '[SEP]', 'type_id': 0}}, {'Sequence': {'id': 'B', 'type_id': 1}},"
        "            {'SpecialToken': {'id': '[SEP]', 'type_id': 1}}],"
        "   'special_tokens': {'[CLS]': {'id': '[CLS]', 'ids': [1], 'tokens': ['[CLS]']},"
        "                      '[SEP]': {'id': '[SEP]', 'ids': [2], 'tokens': ['[SEP]']}}},"
        " 'model': {'type': 'WordPiece', 'unk_token': '[UNK]', 'continuing_subword_prefix': '##',"
        "           'max_input_chars_per_word': 100,"
        "           'vocab': {'[UNK]': 0, '[CLS]': 1, '[SEP]': 2, 'a': 3, '##b': 4, 'film': 5}}}";
    char text[sizeof TEXT];
    for (size_t i = 0; i < sizeof TEXT; i++) {
        text[i] = TEXT[i] == '\'' ? '"' : TEXT[i];
    }
    json_t *root = json_loads(text, 0, NULL);
    assert_non_null(root);
    return root;
}

/* Replaces or adds the value at a dotted path of keys and array indices; "null" and "DELETE" are understood. */
static inline void set_at(json_t *root, const char *path, const char *value)
{
    char key[64];
    for (;;) {
        size_t bytes = strcspn(path, ".");
        assert_true(bytes < sizeof key);
        memcpy(key, path, bytes);
        key[bytes] = '\0';
        bool last = path[bytes] == '\0';
        if (!last) {
            root =
                json_is_array(root) ? json_array_get(root, (size_t)strtoul(key, NULL, 10)) : json_object_get(root, key);
            assert_non_null(root);
            path += bytes + 1;
            continue;
        }
        if (strcmp(value, "DELETE") == 0) {
            assert_int_equal(json_object_del(root, key), 0);
            return;
        }
        json_t *made = json_loads(value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(made);
        if (json_is_array(root)) {
            size_t index = (size_t)strtoul(key, NULL, 10);
            assert_int_equal(index == json_array_size(root) ? json_array_append_new(root, made)
                                                            : json_array_set_new(root, index, made),
                             0);
        } else {
            assert_int_equal(json_object_set_new(root, key, made), 0);
        }
        return;
    }
}

static inline rung_status parse_json(const json_t *root, rung_tokenizer **tokenizer, rung_error *error)
{
    char *text = json_dumps(root, JSON_ENCODE_ANY);
    assert_non_null(text);
    rung_status status = rung_tokenizer_parse(text, strlen(text), "t.json", tokenizer, error);
    free(text);
    return status;
}

/* The tiny tokenizer with one value replaced must be refused with this status and message. */
static inline void assert_field_refused(const char *path, const char *value, rung_status status, const char *message)
{
    json_t *root = load_tiny();
    set_at(root, path, value);
    rung_tokenizer *tokenizer = NULL;
    rung_error error = {RUNG_OK, ""};
    rung_status actual = parse_json(root, &tokenizer, &error);
    assert_string_equal(error.message, message);
    assert_int_equal(actual, status);
    assert_int_equal(error.code, status);
    assert_null(tokenizer);
    json_decref(root);
}

/* The directory of models and data sets, NULL when it is not there. */
static inline const char *shared_directory(void)
{
    const char *shared = getenv("RUNG_SHARED");
    return shared != NULL && rung_path_exists(shared) ? shared : NULL;
}

/* The tokenizer.json at `path`; members of `variant` with a type replace its objects, others update them, added tokens are
 * appended. */
static inline rung_tokenizer *load_variant(const char *path, const json_t *variant)
{
    char *text;
    size_t bytes;
    assert_int_equal(rung_read_file(path, MAX_FILE_BYTES, &text, &bytes, NULL), RUNG_OK);
    json_t *root = json_loadb(text, bytes, JSON_ALLOW_NUL, NULL);
    assert_non_null(root);
    free(text);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)variant, key, value)
    {
        json_t *member = json_object_get(root, key);
        int failed = json_is_array(member)                    ? json_array_extend(member, value)
                     : json_object_get(value, "type") != NULL ? json_object_set(root, key, value)
                                                              : json_object_update(member, value);
        assert_int_equal(failed, 0);
    }
    rung_tokenizer *tokenizer = NULL;
    rung_error error = {RUNG_OK, ""};
    if (parse_json(root, &tokenizer, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    json_decref(root);
    return tokenizer;
}

static inline rung_text text_of(const json_t *string)
{
    return (rung_text){json_string_value(string), json_string_length(string)};
}

static inline long long item(const json_t *object, const char *key, size_t index)
{
    return json_integer_value(json_array_get(json_object_get(object, key), index));
}

static inline void assert_case(const rung_tokenizer *tokenizer, const json_t *expected, rung_encoding *encoding)
{
    const json_t *pair = json_object_get(expected, "pair");
    rung_text second = json_is_string(pair) ? text_of(pair) : (rung_text){0};
    rung_error error = {RUNG_OK, ""};
    size_t max_tokens = (size_t)json_integer_value(json_object_get(expected, "max_tokens"));
    rung_status status = rung_tokenize(tokenizer, text_of(json_object_get(expected, "text")),
                                       json_is_string(pair) ? &second : NULL, max_tokens, encoding, &error);
    assert_string_equal(error.message, "");
    assert_int_equal(status, RUNG_OK);
    assert_int_equal(encoding->length, json_array_size(json_object_get(expected, "ids")));
    for (size_t i = 0; i < encoding->length; i++) {
        assert_int_equal(encoding->ids[i], item(expected, "ids", i));
        assert_int_equal(encoding->begin[i], item(expected, "spans", 2 * i));
        assert_int_equal(encoding->end[i], item(expected, "spans", 2 * i + 1));
        assert_int_equal(encoding->type_ids[i], item(expected, "type_ids", i));
        assert_int_equal(encoding->special[i], item(expected, "special", i));
        assert_int_equal(encoding->sequence[i], item(expected, "sequence", i));
    }
    assert_int_equal(encoding->truncated_tokens, json_integer_value(json_object_get(expected, "truncated")));
}

/* Calls back for each line of a file of JSON lines (.zst or not). */
static inline size_t for_each_line(const char *path, void (*callback)(const json_t *line, void *context), void *context)
{
    char *text = NULL;
    size_t bytes = 0;
    rung_error error = {RUNG_OK, ""};
    if (rung_read_file(path, MAX_FILE_BYTES, &text, &bytes, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    size_t lines = 0;
    for (size_t at = 0; at < bytes;) {
        const char *newline = memchr(text + at, '\n', bytes - at);
        size_t end = newline == NULL ? bytes : (size_t)(newline - text);
        json_t *line = json_loadb(text + at, end - at, JSON_ALLOW_NUL, NULL);
        assert_non_null(line);
        callback(line, context);
        json_decref(line);
        lines++;
        at = end + 1;
    }
    free(text);
    return lines;
}

typedef struct case_context {
    const char *small;
    const json_t *variants;
    const char *name; /* of the variant that is being tested */
    rung_tokenizer *tokenizer;
    rung_encoding encoding;
    size_t cases;
} case_context;

static inline void check_case(const json_t *line, void *argument)
{
    case_context *context = argument;
    const char *name = json_string_value(json_object_get(line, "variant"));
    if (context->name == NULL || strcmp(context->name, name) != 0) {
        rung_tokenizer_free(context->tokenizer);
        const json_t *variant = json_object_get(context->variants, name);
        assert_non_null(variant);
        context->name = json_object_iter_key(json_object_iter_at((json_t *)(uintptr_t)context->variants, name));
        context->tokenizer = load_variant(context->small, variant);
    }
    assert_case(context->tokenizer, line, &context->encoding);
    context->cases++;
}

/* Every line of `cases` with the variant of the tokenizer `small` that it names; returns how many there were. */
static inline size_t assert_golden_cases(const char *variants, const char *small, const char *cases)
{
    json_t *root = json_load_file(variants, 0, NULL);
    assert_non_null(root);
    case_context context = {.small = small, .variants = root};
    for_each_line(cases, check_case, &context);
    rung_tokenizer_free(context.tokenizer);
    rung_encoding_deinit(&context.encoding);
    json_decref(root);
    return context.cases;
}

#endif
