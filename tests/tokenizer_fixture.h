/* tokenizer_fixture.h: the small golden tokenizer, as it is or with members of its JSON replaced. For tests only. */
#ifndef RUNG_TESTS_TOKENIZER_FIXTURE_H
#define RUNG_TESTS_TOKENIZER_FIXTURE_H

#include "model/tokenizer.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline json_t *load_small(void)
{
    json_t *root = json_load_file("tests/golden/tokenizer_small.json", JSON_ALLOW_NUL, NULL);
    assert_non_null(root);
    return root;
}

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

#endif
