/* test_byte_level_json.c: what a tokenizer.json of BPE may not say, by its message. */
#include "tokenizer_fixture.h"

#define SMALL "tests/golden/byte_level_small.json"

/* What a file may say beside the tokenizer that rung runs. */
static void assert_variant_refused(const char *path, const char *value, rung_status status, const char *message)
{
    json_t *root = json_load_file(SMALL, JSON_ALLOW_NUL, NULL);
    assert_non_null(root);
    set_at(root, path, value);
    rung_tokenizer *tokenizer = NULL;
    rung_error error = {RUNG_OK, ""};
    assert_int_equal(parse_json(root, &tokenizer, &error), status);
    assert_string_equal(error.message, message);
    assert_null(tokenizer);
    json_decref(root);
}

static void refuses_what_it_does_not_run(void **state)
{
    (void)state;
    assert_variant_refused("normalizer", "{\"type\": \"NFC\"}", RUNG_UNSUPPORTED,
                           "t.json: normalizer \"NFC\" is not supported with BPE; rung supports null");
    assert_variant_refused("pre_tokenizer", "{\"type\": \"Whitespace\"}", RUNG_UNSUPPORTED,
                           "t.json: pre_tokenizer \"Whitespace\" is not supported yet; rung supports ByteLevel");
    assert_variant_refused("pre_tokenizer.use_regex", "false", RUNG_UNSUPPORTED,
                           "t.json: pre_tokenizer.use_regex is false; rung supports true");
    assert_variant_refused("pre_tokenizer.add_prefix_space", "1", RUNG_FORMAT,
                           "t.json: field 'pre_tokenizer.add_prefix_space' is an integer; it must be true or false");
    assert_variant_refused("model.dropout", "0.1", RUNG_UNSUPPORTED,
                           "t.json: model.dropout is a real number; rung supports byte-level BPE without it");
    assert_variant_refused("model.end_of_word_suffix", "\"</w>\"", RUNG_UNSUPPORTED,
                           "t.json: model.end_of_word_suffix is a string; rung supports byte-level BPE without it");
    assert_variant_refused("model.ignore_merges", "true", RUNG_UNSUPPORTED,
                           "t.json: model.ignore_merges is true; rung supports false");
}

static void refuses_bad_models(void **state)
{
    (void)state;
    assert_variant_refused("model.merges", "DELETE", RUNG_FORMAT,
                           "t.json: field 'model.merges' is missing; it must be an array");
    assert_variant_refused("model.merges.0", "\"abc\"", RUNG_FORMAT, "t.json: model.merges[0] is not a pair of tokens");
    assert_variant_refused("model.merges.1", "\"a b c\"", RUNG_FORMAT,
                           "t.json: model.merges[1] is not a pair of tokens");
    assert_variant_refused("model.merges.2", "[\"a\"]", RUNG_FORMAT, "t.json: model.merges[2] is not a pair of tokens");
    assert_variant_refused("model.merges.2", "[\"a\", 1]", RUNG_FORMAT,
                           "t.json: model.merges[2] is not a pair of tokens");
    assert_variant_refused("model.merges.3", "[\"zz\", \"a\"]", RUNG_FORMAT,
                           "t.json: model.merges[3]: \"zz\" is not in model.vocab");
    assert_variant_refused("model.merges.3", "[\"Q\", \"q\"]", RUNG_FORMAT,
                           "t.json: model.merges[3]: \"Qq\" is not in model.vocab");
    assert_variant_refused("model.vocab.A", "\"5\"", RUNG_FORMAT,
                           "t.json: model.vocab: the id of token \"A\" is a string; it must be an integer");
    assert_variant_refused(
        "model.vocab.Ġ", "DELETE", RUNG_UNSUPPORTED,
        "t.json: model.vocab has no token for the byte 0x20; rung supports vocabularies that have one "
        "for each byte");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_it_does_not_run),
        cmocka_unit_test(refuses_bad_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
