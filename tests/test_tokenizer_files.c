/* test_tokenizer_files.c: which files make the tokenizer, that older files give the tokenizer of the same tokenizer.json, and bad ones. */
#include "tokenizer_fixture.h"

#define BYTE_LEVEL "tests/golden/byte_level_small.json"

static rung_named_text named(const char *name, const char *text)
{
    return (rung_named_text){name, text, strlen(text)};
}

static void assert_refused(const rung_tokenizer_files *files, rung_status status, const char *message)
{
    rung_tokenizer *tokenizer = NULL;
    rung_error error = {RUNG_OK, ""};
    assert_int_equal(rung_tokenizer_make(files, &tokenizer, &error), status);
    assert_string_equal(error.message, message);
    assert_null(tokenizer);
}

static rung_tokenizer *make(const rung_tokenizer_files *files)
{
    rung_tokenizer *tokenizer = NULL;
    rung_error error = {RUNG_OK, ""};
    if (rung_tokenizer_make(files, &tokenizer, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return tokenizer;
}

static void the_first_that_fits_decides(void **state)
{
    (void)state;
    rung_tokenizer_files files = {0};
    assert_null(rung_tokenizer_main_file(&files)->text);
    assert_refused(
        &files, RUNG_NOT_FOUND,
        "no tokenizer: there must be tokenizer.json, vocab.json with merges.txt, vocab.txt with bpe.codes, or "
        "vocab.txt");
    files.merges_txt = named("merges.txt", "");
    assert_null(rung_tokenizer_main_file(&files)->text);
    files.vocab_txt = named("vocab.txt", "");
    assert_string_equal(rung_tokenizer_main_file(&files)->name, "vocab.txt");
    files.vocab_json = named("vocab.json", "");
    assert_string_equal(rung_tokenizer_main_file(&files)->name, "vocab.json");
    files.tokenizer_json = named("tokenizer.json", "");
    assert_string_equal(rung_tokenizer_main_file(&files)->name, "tokenizer.json");
    files.bpe_codes = named("bpe.codes", "");
    assert_string_equal(rung_tokenizer_main_file(&files)->name, "vocab.txt");
}

/* Appends the array's strings as lines. */
static char *as_lines(const json_t *strings, const char *first)
{
    size_t bytes = strlen(first) + 1;
    size_t i;
    const json_t *value;
    json_array_foreach(strings, i, value) bytes += json_string_length(value) + 1;
    char *text = malloc(bytes);
    assert_non_null(text);
    size_t at = strlen(first);
    memcpy(text, first, at);
    json_array_foreach(strings, i, value)
    {
        memcpy(text + at, json_string_value(value), json_string_length(value));
        at += json_string_length(value);
        text[at++] = '\n';
    }
    text[at] = '\0';
    return text;
}

static void vocab_and_merges_are_the_same_tokenizer(void **state)
{
    (void)state;
    json_t *root = json_load_file(BYTE_LEVEL, JSON_ALLOW_NUL, NULL);
    assert_non_null(root);
    for (size_t i = 0; i < json_array_size(json_object_get(root, "added_tokens")); i++) {
        json_object_set_new(json_array_get(json_object_get(root, "added_tokens"), i), "normalized", json_false());
    }
    const json_t *model = json_object_get(root, "model");
    char *vocab = json_dumps(json_object_get(model, "vocab"), 0);
    char *merges = as_lines(json_object_get(model, "merges"), "#version: 0.2\r\n");
    for (unsigned prefix = 0; prefix < 2; prefix++) {
        json_object_set_new(json_object_get(root, "pre_tokenizer"), "add_prefix_space", json_boolean(prefix));
        rung_tokenizer *wanted = NULL;
        rung_error error;
        assert_int_equal(parse_json(root, &wanted, &error), RUNG_OK);
        rung_tokenizer_files files = {.vocab_json = named("vocab.json", vocab),
                                      .merges_txt = named("merges.txt", merges)};
        files.tokenizer_config = named("tokenizer_config.json", prefix ? "{\"add_prefix_space\": true}" : "{}");
        rung_tokenizer *made = make(&files);
        assert_string_equal(rung_tokenizer_hash(made), rung_tokenizer_hash(wanted));
        rung_tokenizer_free(made);
        rung_tokenizer_free(wanted);
    }
    free(vocab);
    free(merges);
    json_decref(root);
}

static void vocab_txt_is_bert(void **state)
{
    (void)state;
    static const char VOCAB[] = "[PAD]\n[UNK]\r\n[CLS]\n[SEP]\nfilm\nFilm\n##s\nétÉ\nete\n中";
    rung_tokenizer_files files = {.vocab_txt = named("vocab.txt", VOCAB)};
    static const struct {
        const char *config;
        int32_t ids[5];
    } CASES[] = {
        {NULL, {4, 6, 8, 9}},
        {"{\"do_lower_case\": false}", {5, 6, 7, 9}},
        {"{\"do_lower_case\": false, \"strip_accents\": true, \"tokenize_chinese_chars\": null}", {5, 6, 1, 9}},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        files.tokenizer_config = (rung_named_text){0};
        if (CASES[i].config != NULL) {
            files.tokenizer_config = named("tokenizer_config.json", CASES[i].config);
        }
        rung_tokenizer *tokenizer = make(&files);
        rung_encoding encoding = {0};
        rung_error error;
        static const char TEXT[] = "Films étÉ 中";
        assert_int_equal(rung_tokenize(tokenizer, (rung_text){TEXT, sizeof TEXT - 1}, NULL, 99, &encoding, &error),
                         RUNG_OK);
        assert_int_equal(encoding.length, 6);
        assert_int_equal(encoding.ids[0], 2);
        assert_memory_equal(encoding.ids + 1, CASES[i].ids, 4 * sizeof(int32_t));
        assert_int_equal(encoding.ids[5], 3);
        rung_encoding_deinit(&encoding);
        rung_tokenizer_free(tokenizer);
    }
}

static void refuses_bad_files(void **state)
{
    (void)state;
    rung_tokenizer_files files = {.vocab_txt = named("vocab.txt", "[CLS]\n[SEP]\na\na\n")};
    assert_refused(&files, RUNG_FORMAT, "vocab.txt: line 4: token \"a\" is there already");
    files.vocab_txt = named("vocab.txt", "[CLS]\n\xFF\n");
    assert_refused(&files, RUNG_FORMAT, "vocab.txt: invalid UTF-8 at byte 6");
    files.vocab_txt = (rung_named_text){"vocab.txt", "a\0b", 3};
    assert_refused(&files, RUNG_FORMAT, "vocab.txt: line 1: token \"a?b\" has a NUL byte");
    files.vocab_txt = named("vocab.txt", "[CLS]\n");
    assert_refused(&files, RUNG_FORMAT, "vocab.txt: has no token \"[SEP]\", which goes around every text");
    files.tokenizer_config = named("config", "{\"do_lower_case\": 1}");
    assert_refused(&files, RUNG_FORMAT, "config: field 'do_lower_case' is an integer; it must be true or false");
    files.tokenizer_config = named("config", "{");
    rung_tokenizer *tokenizer = NULL;
    assert_int_equal(rung_tokenizer_make(&files, &tokenizer, NULL), RUNG_FORMAT);
    files = (rung_tokenizer_files){.vocab_json = named("vocab.json", "[]"), .merges_txt = named("merges.txt", "")};
    assert_refused(&files, RUNG_FORMAT, "vocab.json: has no token \"<s>\", which goes around every text");
    files.vocab_json = named("vocab.json", "{\"<s>\": 0, \"</s>\": 1}");
    assert_refused(
        &files, RUNG_UNSUPPORTED,
        "vocab.json: model.vocab has no token for the byte 0x00; rung supports vocabularies that have one for "
        "each byte");
    files.merges_txt = named("merges.txt", "a\xC3");
    assert_refused(&files, RUNG_FORMAT, "merges.txt: invalid UTF-8 at byte 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_fits_decides),
        cmocka_unit_test(vocab_and_merges_are_the_same_tokenizer),
        cmocka_unit_test(vocab_txt_is_bert),
        cmocka_unit_test(refuses_bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
