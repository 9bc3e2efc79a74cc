/* test_tweet_split.c: BERTweet's ids against what transformers answered (tests/golden, made by tools/tokenizer_golden.py tweets), spans
 * by hand, bad files, and growth. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tweets_are_as_in_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
