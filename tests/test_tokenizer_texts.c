/* test_tokenizer_texts.c: which texts of a directory make the tokenizer, and how a vocabulary moves between JSON and lines. */
#include "model/tokenizer_texts.h"
#include "model_fixture.h"

/* The keys of the texts that were read, each with a space behind it. */
static void list_keys(rung_tokenizer_files *files, char *keys, size_t bytes)
{
    keys[0] = '\0';
    const rung_tokenizer_slot *slot;
    for (size_t i = 0; (slot = rung_tokenizer_slot_at(i)) != NULL; i++) {
        if (rung_tokenizer_slot_text(files, slot)->text != NULL) {
            size_t used = strlen(keys);
            snprintf(keys + used, bytes - used, "%s ", slot->key);
        }
    }
}

static void test_reads_the_files_that_decide(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        const char *keys;
    } steps[] = {
        {"merges.txt", ""},
        {"vocab.txt", "vocabulary "},
        {"vocab.json", "merges vocab_json "},
        {"tokenizer.json", "tokenizer "},
        {"bpe.codes", "bpe_codes vocabulary "},
    };
    char *directory = fixture_directory();
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        fixture_write(directory, steps[i].file, steps[i].file);
        rung_tokenizer_files files = {0};
        char keys[100];
        assert_ok(rung_tokenizer_texts_read(directory, &files, error));
        list_keys(&files, keys, sizeof keys);
        assert_string_equal(keys, steps[i].keys);
        assert_null(files.tokenizer_config.text);
        rung_tokenizer_texts_free(&files);
        assert_null(files.tokenizer_config.name);
    }
    fixture_write(directory, "tokenizer_config.json", "{}");
    rung_tokenizer_files files = {0};
    assert_ok(rung_tokenizer_texts_read(directory, &files, error));
    assert_string_equal(files.tokenizer_config.text, "{}");
    assert_int_equal(files.bpe_codes.bytes, strlen("bpe.codes"));
    assert_non_null(strstr(files.bpe_codes.name, "/bpe.codes"));
    rung_tokenizer_texts_free(&files);
    fixture_remove(directory);
}

static void check_split(const char *text, const char *wanted_json, const char *wanted_lines)
{
    const rung_named_text input = {.name = "t.json", .text = text, .bytes = strlen(text)};
    char *json = NULL;
    char *lines = NULL;
    assert_ok(rung_tokenizer_split_vocabulary(&input, &json, &lines, error));
    assert_string_equal(json, wanted_json != NULL ? wanted_json : text);
    if (wanted_lines == NULL) {
        assert_null(lines);
    } else {
        assert_string_equal(lines, wanted_lines);
    }
    free(json);
    free(lines);
}

static void test_a_wordpiece_vocabulary_becomes_lines(void **state)
{
    (void)state;
    check_split("{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"b\": 1, \"a\": 0, \"\xc3\xa9\": 2}}, \"z\": 1}",
                "{\"model\":{\"type\":\"WordPiece\"},\"z\":1}", "a\nb\n\xc3\xa9\n");
    check_split("{\"model\":{\"vocab\":{\"a\":0}}}", "{\"model\":{}}", "a\n"); /* a file of before 2020 */
    static const char *const kept[] = {
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}",
        "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]}}",
        "{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]]}}",
        "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":1}}}",
        "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0,\"b\":0}}}",
        "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":-1}}}",
        "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":\"0\"}}}",
        "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"\":0}}}",
        "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\\nb\":0}}}",
        "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}",
        "{\"model\":[]}",
        "{}",
    };
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        check_split(kept[i], NULL, NULL);
    }
    const rung_named_text bad = {.name = "t.json", .text = "{", .bytes = 1};
    char *json = NULL;
    char *lines = NULL;
    assert_fails(rung_tokenizer_split_vocabulary(&bad, &json, &lines, error), RUNG_FORMAT, "t.json: not valid JSON");
    assert_null(json);
}

/* Lines and JSON make the same tokenizer. */
static void test_lines_are_read_back(void **state)
{
    (void)state;
    rung_tokenizer_files files = {
        .tokenizer_json = {"tokenizer.json", FIXTURE_TOKENIZER, sizeof FIXTURE_TOKENIZER - 1}};
    rung_tokenizer *whole = NULL;
    rung_tokenizer *split = NULL;
    assert_ok(rung_tokenizer_make(&files, &whole, error));
    char *json = NULL;
    char *lines = NULL;
    assert_ok(rung_tokenizer_split_vocabulary(&files.tokenizer_json, &json, &lines, error));
    files.tokenizer_json = (rung_named_text){"tokenizer", json, strlen(json)};
    files.vocab_txt = (rung_named_text){"vocabulary", lines, strlen(lines)};
    assert_ok(rung_tokenizer_make(&files, &split, error));
    assert_string_equal(rung_tokenizer_hash(whole), rung_tokenizer_hash(split));
    files.vocab_txt.bytes--; /* the last line end may be missing */
    rung_tokenizer_free(split);
    assert_ok(rung_tokenizer_make(&files, &split, error));
    assert_string_equal(rung_tokenizer_hash(whole), rung_tokenizer_hash(split));
    rung_tokenizer_free(split);
    rung_tokenizer_free(whole);
    free(json);
    free(lines);
}

static void check_kept(const char *config, bool reading, const char *wanted)
{
    const rung_named_text text = {.name = "c.json", .text = config, .bytes = config != NULL ? strlen(config) : 0};
    char *kept = NULL;
    assert_ok(rung_tokenizer_config_keep(&text, 128, reading, &kept, error));
    assert_string_equal(kept, wanted);
    free(kept);
}

static void test_what_is_kept_of_tokenizer_config(void **state)
{
    (void)state;
    static const char config[] = "{\"tokenizer_class\":\"BertweetTokenizer\",\"model_max_length\":1e30,"
                                 "\"normalization\":true,\"name_or_path\":\"/x\"}";
    check_kept(config, false, "{\"model_max_length\":128}");
    check_kept(config, true,
               "{\"model_max_length\":128,\"normalization\":true,\"tokenizer_class\":\"BertweetTokenizer\"}");
    check_kept(NULL, true, "{\"model_max_length\":128}");
    const rung_named_text bad = {.name = "c.json", .text = "[", .bytes = 1};
    char *kept = NULL;
    assert_fails(rung_tokenizer_config_keep(&bad, 128, true, &kept, error), RUNG_FORMAT, "c.json: not valid JSON");
    assert_null(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_the_files_that_decide),
        cmocka_unit_test(test_a_wordpiece_vocabulary_becomes_lines),
        cmocka_unit_test(test_lines_are_read_back),
        cmocka_unit_test(test_what_is_kept_of_tokenizer_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
