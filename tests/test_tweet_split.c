/* test_tweet_split.c: BERTweet's ids against what transformers answered (tests/golden, made by tools/tokenizer_golden.py tweets), the
 * characters of tokens, and growth. */
#include "model/tokenizer_pass.h"
#include "tokenizer_fixture.h"

#define NO_LIMIT ((size_t)1 << 30)

static rung_named_text read_golden(const char *path)
{
    char *text = NULL;
    rung_named_text named = {.name = path};
    rung_error error;
    assert_int_equal(rung_read_file(path, MAX_FILE_BYTES, &text, &named.bytes, &error), RUNG_OK);
    named.text = text;
    return named;
}

static rung_tokenizer *load_tweet(bool normalizes)
{
    rung_tokenizer_files files = {.vocab_txt = read_golden("tests/golden/tweet_vocab.txt"),
                                  .bpe_codes = read_golden("tests/golden/tweet_bpe.codes")};
    static const char CONFIG[] = "{\"normalization\": true}";
    if (normalizes) {
        files.tokenizer_config = (rung_named_text){"config", CONFIG, sizeof CONFIG - 1};
    }
    rung_tokenizer *tokenizer = NULL;
    rung_error error = {RUNG_OK, ""};
    if (rung_tokenizer_make(&files, &tokenizer, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    free((void *)(uintptr_t)files.vocab_txt.text);
    free((void *)(uintptr_t)files.bpe_codes.text);
    return tokenizer;
}

typedef struct tweet_context {
    rung_tokenizer *tokenizers[2]; /* [normalizes] */
    rung_encoding encoding;
    size_t wrong;
} tweet_context;

static void check_tweet(const json_t *line, void *argument)
{
    tweet_context *context = argument;
    const rung_encoding *encoding = &context->encoding;
    const json_t *pair = json_object_get(line, "pair");
    const json_t *ids = json_object_get(line, "ids");
    const json_t *text = json_object_get(line, "text");
    rung_text second = json_is_string(pair) ? text_of(pair) : (rung_text){0};
    rung_error error;
    bool normalizes = json_is_true(json_object_get(line, "normalization"));
    assert_int_equal(rung_tokenize(context->tokenizers[normalizes], text_of(text),
                                   json_is_string(pair) ? &second : NULL, NO_LIMIT, &context->encoding, &error),
                     RUNG_OK);
    bool equal = encoding->length == json_array_size(ids);
    for (size_t i = 0; i < encoding->length && equal; i++) {
        equal = encoding->ids[i] == json_integer_value(json_array_get(ids, i));
        assert_int_equal(encoding->type_ids[i], 0);
    }
    if (!equal) {
        print_error("other ids than the reference: %s\n", json_string_value(text));
        context->wrong++;
    }
}

static void tweets_are_as_in_the_reference(void **state)
{
    (void)state;
    tweet_context context = {.tokenizers = {load_tweet(false), load_tweet(true)}};
    assert_true(for_each_line("tests/golden/tweet_cases.jsonl.zst", check_tweet, &context) > 200);
    assert_int_equal(context.wrong, 0);
    rung_encoding_deinit(&context.encoding);
    rung_tokenizer_free(context.tokenizers[0]);
    rung_tokenizer_free(context.tokenizers[1]);
}

static void tokens_know_their_characters(void **state)
{
    (void)state;
    /*                          0         1         2 */
    static const char TEXT[] = "@me isn't <mask> \xC3\xA9\xF0\x9F\x98\x80x";
    rung_tokenizer *tokenizer = load_tweet(true);
    rung_encoding encoding = {0};
    rung_error error;
    assert_int_equal(rung_tokenize(tokenizer, (rung_text){TEXT, sizeof TEXT - 1}, NULL, 128, &encoding, &error),
                     RUNG_OK);
    uint32_t at = 0;
    for (size_t i = 1; i + 1 < encoding.length; i++) {
        assert_true(encoding.begin[i] >= at && encoding.begin[i] < encoding.end[i]);
        /* Only blanks lie between tokens. */
        for (; at < encoding.begin[i]; at++) {
            assert_int_equal(TEXT[at], ' ');
        }
        at = encoding.end[i];
    }
    assert_int_equal(at, sizeof TEXT - 1);
    assert_string_equal(rung_tokenizer_token(tokenizer, encoding.ids[1]), "@USER");
    assert_int_equal(encoding.end[1], 3);
    rung_encoding_deinit(&encoding);
    rung_tokenizer_free(tokenizer);
}

static void hostile_texts_grow_by_n_log_n(void **state)
{
    (void)state;
    static const char *const UNITS[] = {"a", "the", "n't ", "cannot", "&amp;", "é", "@a ", "p . m . ", "a.b/", "😀"};
    for (size_t u = 0; u < 2 * sizeof UNITS / sizeof UNITS[0]; u++) {
        rung_tokenizer *tokenizer = load_tweet(u % 2 == 1);
        size_t steps[2];
        for (size_t large = 0; large < 2; large++) {
            size_t unit = strlen(UNITS[u / 2]);
            size_t count = ((size_t)1 << (large ? 19 : 15)) / unit;
            char *text = malloc(count * unit);
            assert_non_null(text);
            for (size_t i = 0; i < count; i++) {
                memcpy(text + i * unit, UNITS[u / 2], unit);
            }
            rung_encoding encoding = {0};
            rung_error error;
            assert_int_equal(rung_tokenize(tokenizer, (rung_text){text, count * unit}, NULL, 128, &encoding, &error),
                             RUNG_OK);
            assert_true(encoding.length >= 3 && encoding.length <= 128);
            steps[large] = encoding.scratch->symbols.steps;
            rung_encoding_deinit(&encoding);
            free(text);
        }
        assert_true(steps[1] <= 24 * steps[0] + 1000);
        rung_tokenizer_free(tokenizer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tweets_are_as_in_the_reference),
        cmocka_unit_test(tokens_know_their_characters),
        cmocka_unit_test(hostile_texts_grow_by_n_log_n),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
