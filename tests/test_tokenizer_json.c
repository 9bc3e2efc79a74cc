/* test_tokenizer_json.c: every kind of bad tokenizer.json by its message, and what may differ without harm. */
#include "tokenizer_fixture.h"

#include <stdio.h>

static void refuses_text_that_is_not_json(void **state)
{
    (void)state;
    json_t *root = load_tiny();
    char *text = json_dumps(root, 0);
    rung_tokenizer *tokenizer = NULL;
    rung_error error;
    /* Every truncation, and none of them half a tokenizer. */
    for (size_t bytes = 0; bytes < strlen(text); bytes++) {
        assert_int_equal(rung_tokenizer_parse(text, bytes, "t.json", &tokenizer, &error), RUNG_FORMAT);
        assert_ptr_equal(strstr(error.message, "t.json: not valid JSON at line 1, column "), error.message);
        assert_null(tokenizer);
    }
    assert_int_equal(rung_tokenizer_parse(text, 10, "t.json", &tokenizer, NULL), RUNG_FORMAT);
    assert_int_equal(rung_tokenizer_parse("[1]", 3, "t.json", &tokenizer, &error), RUNG_FORMAT);
    assert_string_equal(error.message, "t.json: the file is an array; it must be an object");
    free(text);
    json_decref(root);
}

static void refuses_other_kinds_by_name(void **state)
{
    (void)state;
    assert_field_refused("model.type", "\"Unigram\"", RUNG_UNSUPPORTED,
                         "t.json: model \"Unigram\" is not supported yet; rung supports WordPiece and BPE");
    assert_field_refused("normalizer.type", "\"NFKC\"", RUNG_UNSUPPORTED,
                         "t.json: normalizer \"NFKC\" is not supported yet; rung supports BertNormalizer");
    assert_field_refused("normalizer", "null", RUNG_UNSUPPORTED,
                         "t.json: normalizer is null; rung supports BertNormalizer only");
    assert_field_refused("pre_tokenizer.type", "\"White\\nspace\"", RUNG_UNSUPPORTED,
                         "t.json: pre_tokenizer \"White?space\" is not supported yet; rung supports BertPreTokenizer");
}

static void refuses_missing_and_wrong_fields(void **state)
{
    (void)state;
    assert_field_refused("model", "DELETE", RUNG_FORMAT, "t.json: field 'model' is missing; it must be an object");
    assert_field_refused("model", "[]", RUNG_FORMAT, "t.json: field 'model' is an array; it must be an object");
    assert_field_refused("model.vocab", "DELETE", RUNG_FORMAT,
                         "t.json: field 'model.vocab' is missing; it must be an object");
    assert_field_refused("model.vocab", "[\"a\"]", RUNG_FORMAT,
                         "t.json: field 'model.vocab' is an array; it must be an object");
    assert_field_refused("model.unk_token", "null", RUNG_FORMAT,
                         "t.json: field 'model.unk_token' is null; it must be a string");
    assert_field_refused("model.continuing_subword_prefix", "3", RUNG_FORMAT,
                         "t.json: field 'model.continuing_subword_prefix' is an integer; it must be a string");
    assert_field_refused("model.max_input_chars_per_word", "1.5", RUNG_FORMAT,
                         "t.json: field 'model.max_input_chars_per_word' is a real number; it must be an integer");
    assert_field_refused("model.max_input_chars_per_word", "-1", RUNG_LIMIT,
                         "t.json: model.max_input_chars_per_word is -1; it must be 0 to 10000");
    assert_field_refused("model.max_input_chars_per_word", "10001", RUNG_LIMIT,
                         "t.json: model.max_input_chars_per_word is 10001; it must be 0 to 10000");
    assert_field_refused("normalizer.lowercase", "DELETE", RUNG_FORMAT,
                         "t.json: field 'normalizer.lowercase' is missing; it must be true or false");
    assert_field_refused("normalizer.strip_accents", "\"no\"", RUNG_FORMAT,
                         "t.json: field 'normalizer.strip_accents' is a string; it must be true or false");
    assert_field_refused("pre_tokenizer", "DELETE", RUNG_FORMAT,
                         "t.json: field 'pre_tokenizer' is missing; it must be an object");
    assert_field_refused("added_tokens", "{}", RUNG_FORMAT,
                         "t.json: field 'added_tokens' is an object; it must be an array");
}

static void refuses_a_bad_vocabulary(void **state)
{
    (void)state;
    assert_field_refused("model.vocab.film", "\"5\"", RUNG_FORMAT,
                         "t.json: model.vocab: the id of token \"film\" is a string; it must be an integer");
    assert_field_refused("model.vocab.film", "5.0", RUNG_FORMAT,
                         "t.json: model.vocab: the id of token \"film\" is a real number; it must be an integer");
    assert_field_refused("model.vocab.film", "-1", RUNG_LIMIT,
                         "t.json: model.vocab: token \"film\": id -1 is outside 0 to 4194303");
    assert_field_refused("model.vocab.film", "4194304", RUNG_LIMIT,
                         "t.json: model.vocab: token \"film\": id 4194304 is outside 0 to 4194303");
    assert_field_refused("model.vocab.film", "9223372036854775807", RUNG_LIMIT,
                         "t.json: model.vocab: token \"film\": id 9223372036854775807 is outside 0 to 4194303");
    assert_field_refused("model.vocab.film", "3", RUNG_FORMAT,
                         "t.json: model.vocab: token \"film\": id 3 is used by two tokens");
    assert_field_refused("model.vocab", "{}", RUNG_FORMAT, "t.json: model.unk_token \"[UNK]\" is not in model.vocab");
    assert_field_refused("model.unk_token", "\"<unk>\"", RUNG_FORMAT,
                         "t.json: model.unk_token \"<unk>\" is not in model.vocab");
}

/* added_tokens gets a second entry with the given values. */
static void assert_added_refused(const char *content, int id, bool normalized, const char *message)
{
    char value[256];
    snprintf(value, sizeof value,
             "{\"content\": \"%s\", \"id\": %d, \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
             "\"normalized\": %s, \"special\": false}",
             content, id, normalized ? "true" : "false");
    assert_field_refused("added_tokens.1", value, RUNG_FORMAT, message);
}

static void refuses_bad_added_tokens(void **state)
{
    (void)state;
    assert_field_refused("added_tokens.0", "\"[CLS]\"", RUNG_FORMAT,
                         "t.json: added_tokens[0] is a string; it must be an object");
    assert_field_refused("added_tokens.0.content", "DELETE", RUNG_FORMAT,
                         "t.json: field 'added_tokens[0].content' is missing; it must be a string");
    assert_field_refused("added_tokens.0.id", "\"1\"", RUNG_FORMAT,
                         "t.json: field 'added_tokens[0].id' is a string; it must be an integer");
    assert_field_refused("added_tokens.0.lstrip", "0", RUNG_FORMAT,
                         "t.json: field 'added_tokens[0].lstrip' is an integer; it must be true or false");
    assert_field_refused("added_tokens.0.id", "2", RUNG_FORMAT,
                         "t.json: added_tokens[0] \"[CLS]\": id 2 differs from 1 in model.vocab");
    assert_added_refused("", 6, false, "t.json: field 'added_tokens[1].content' is empty");
    assert_added_refused("x", 7, false,
                         "t.json: added_tokens[1] \"x\": id 7 is not the next after the vocabulary, which is 6");
    assert_added_refused("[CLS]", 1, true, "t.json: added_tokens[1] \"[CLS]\": it is added_tokens[0] as well");
    assert_added_refused("\\u0301", 6, true,
                         "t.json: added_tokens[1] \"\u0301\": added token with id 6 matches the empty text");
}

static rung_tokenizer *parse_with(const char *path, const char *value)
{
    json_t *root = load_tiny();
    if (path != NULL) {
        set_at(root, path, value);
    }
    rung_tokenizer *tokenizer = NULL;
    rung_error error = {RUNG_OK, ""};
    assert_int_equal(parse_json(root, &tokenizer, &error), RUNG_OK);
    json_decref(root);
    return tokenizer;
}

static void describes_itself(void **state)
{
    (void)state;
    rung_tokenizer *tokenizer =
        parse_with("added_tokens.1", "{\"content\": \"<x>\", \"id\": 6, \"single_word\": false, \"lstrip\": false, "
                                     "\"rstrip\": false, \"normalized\": false, \"special\": false}");
    assert_int_equal(rung_tokenizer_vocab_size(tokenizer), 6);
    assert_int_equal(rung_tokenizer_id_limit(tokenizer), 7);
    assert_string_equal(rung_tokenizer_token(tokenizer, 4), "##b");
    assert_string_equal(rung_tokenizer_token(tokenizer, 6), "<x>");
    assert_null(rung_tokenizer_token(tokenizer, 7));
    assert_null(rung_tokenizer_token(tokenizer, -1));
    rung_tokenizer_free(tokenizer);
    rung_tokenizer_free(NULL);
}

/* What decides ids changes the hash, what does not leaves it. */
static void hashes_what_decides_ids(void **state)
{
    (void)state;
    rung_tokenizer *plain = parse_with(NULL, NULL);
    assert_int_equal(strlen(rung_tokenizer_hash(plain)), 64);
    const char *const same[][2] = {{"truncation", "{\"max_length\": 5}"},
                                   {"decoder", "null"},
                                   {"version", "\"2.0\""},
                                   {"normalizer.strip_accents", "true"},
                                   {"added_tokens.0.special", "false"}};
    const char *const other[][2] = {{"normalizer.lowercase", "false"},
                                    {"normalizer.clean_text", "false"},
                                    {"normalizer.handle_chinese_chars", "false"},
                                    {"normalizer.strip_accents", "false"},
                                    {"model.max_input_chars_per_word", "99"},
                                    {"model.continuing_subword_prefix", "\"#\""},
                                    {"model.unk_token", "\"a\""},
                                    {"model.vocab.film", "6"},
                                    {"model.vocab.films", "6"},
                                    {"added_tokens.0.rstrip", "true"},
                                    {"added_tokens.0.normalized", "true"},
                                    {"added_tokens", "[]"},
                                    {"post_processor.single.1.Sequence.type_id", "1"},
                                    {"post_processor.pair.4.SpecialToken.id", "\"[CLS]\""}};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        rung_tokenizer *tokenizer = parse_with(same[i][0], same[i][1]);
        assert_string_equal(rung_tokenizer_hash(tokenizer), rung_tokenizer_hash(plain));
        rung_tokenizer_free(tokenizer);
    }
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        rung_tokenizer *tokenizer = parse_with(other[i][0], other[i][1]);
        assert_string_not_equal(rung_tokenizer_hash(tokenizer), rung_tokenizer_hash(plain));
        rung_tokenizer_free(tokenizer);
    }
    rung_tokenizer_free(plain);
}

static void accepts_a_model_without_type(void **state)
{
    (void)state;
    rung_tokenizer *plain = parse_with(NULL, NULL);
    rung_tokenizer *untyped = parse_with("model.type", "DELETE");
    assert_string_equal(rung_tokenizer_hash(untyped), rung_tokenizer_hash(plain));
    rung_tokenizer_free(untyped);
    rung_tokenizer_free(plain);
    assert_field_refused("model", "{\"vocab\": {}}", RUNG_FORMAT,
                         "t.json: field 'model.type' is missing; it must be a string");
    /* With merges it is BPE. */
    assert_field_refused("model", "{\"merges\": [], \"vocab\": {}}", RUNG_UNSUPPORTED,
                         "t.json: normalizer \"BertNormalizer\" is not supported with BPE; rung supports null");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_text_that_is_not_json),    cmocka_unit_test(refuses_other_kinds_by_name),
        cmocka_unit_test(refuses_missing_and_wrong_fields), cmocka_unit_test(refuses_a_bad_vocabulary),
        cmocka_unit_test(refuses_bad_added_tokens),         cmocka_unit_test(describes_itself),
        cmocka_unit_test(hashes_what_decides_ids),          cmocka_unit_test(accepts_a_model_without_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
