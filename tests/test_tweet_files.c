/* test_tweet_files.c: ids that BERTweet's files give, and bad ones by their message. */
#include "tokenizer_fixture.h"

static rung_status make(const char *vocab, const char *codes, rung_tokenizer **tokenizer, rung_error *error)
{
    const rung_tokenizer_files files = {.vocab_txt = {"vocab.txt", vocab, strlen(vocab)},
                                        .bpe_codes = {"bpe.codes", codes, strlen(codes)}};
    return rung_tokenizer_make(&files, tokenizer, error);
}

static void numbers_tokens_from_the_specials_on(void **state)
{
    (void)state;
    rung_tokenizer *tokenizer = NULL;
    rung_error error;
    assert_int_equal(make("a 10\r\n b@@ 7 \n", "a b</w> 3\nunfinished", &tokenizer, &error), RUNG_OK);
    static const char *const TOKENS[] = {"<s>", "<pad>", "</s>", "<unk>", "a", "b@@", "<mask>"};
    for (int32_t id = 0; id < 7; id++) {
        assert_string_equal(rung_tokenizer_token(tokenizer, id), TOKENS[id]);
    }
    assert_int_equal(rung_tokenizer_id_limit(tokenizer), 7);
    rung_encoding encoding = {0};
    static const rung_text TEXT = {"ba a", 4};
    static const int32_t IDS[] = {0, 5, 4, 4, 2, 2, 5, 4, 4, 2};
    assert_int_equal(rung_tokenize(tokenizer, TEXT, &TEXT, 128, &encoding, &error), RUNG_OK);
    assert_int_equal(encoding.length, 10);
    assert_memory_equal(encoding.ids, IDS, sizeof IDS);
    rung_encoding_deinit(&encoding);
    rung_tokenizer_free(tokenizer);
}

static void the_mask_may_be_in_the_vocabulary(void **state)
{
    (void)state;
    rung_tokenizer *tokenizer = NULL;
    rung_error error;
    assert_int_equal(make("<mask> 1\na 1\n", "", &tokenizer, &error), RUNG_OK);
    assert_int_equal(rung_tokenizer_id_limit(tokenizer), 6);
    rung_tokenizer_free(tokenizer);
}

static void hashes_what_decides_ids(void **state)
{
    (void)state;
    static const char *const FILES[][2] = {
        {"a 1\nb 1\n", "a b 1\n"}, {"a 1\nb 1\n", "b a 1\n"}, {"b 1\na 1\n", "a b 1\n"}, {"a 1\nb 1\n", ""}};
    rung_tokenizer *made[4] = {NULL};
    for (size_t i = 0; i < 4; i++) {
        rung_error error;
        assert_int_equal(make(FILES[i][0], FILES[i][1], &made[i], &error), RUNG_OK);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(rung_tokenizer_hash(made[i]), rung_tokenizer_hash(made[j]));
        }
    }
    for (size_t i = 0; i < 4; i++) {
        rung_tokenizer_free(made[i]);
    }
}

static void refuses_bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *vocab, *codes, *message;
    } CASES[] = {
        {"a\n", "", "vocab.txt: line 1 must be a token, a blank and a count"},
        {"a 1\n\n", "", "vocab.txt: line 2 must be a token, a blank and a count"},
        {"a 1\na 1\n", "", "vocab.txt: ids 4 and 5 have the same text"},
        {"<s> 1\n", "", "vocab.txt: ids 0 and 4 have the same text"},
        {"a\xFF 1\n", "", "vocab.txt: invalid UTF-8 at byte 1"},
        {"a 1\n", "a b\n", "bpe.codes: line 1 must be two symbols and a count"},
        {"a 1\n", "a b 1\na b c 1\n", "bpe.codes: line 2 must be two symbols and a count"},
        {"a 1\n", "a b 1\n\n", "bpe.codes: line 2 must be two symbols and a count"},
        {"a 1\n", "\xFF", "bpe.codes: invalid UTF-8 at byte 0"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        rung_tokenizer *tokenizer = NULL;
        rung_error error = {RUNG_OK, ""};
        assert_int_equal(make(CASES[i].vocab, CASES[i].codes, &tokenizer, &error), RUNG_FORMAT);
        assert_string_equal(error.message, CASES[i].message);
        assert_null(tokenizer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_tokens_from_the_specials_on),
        cmocka_unit_test(the_mask_may_be_in_the_vocabulary),
        cmocka_unit_test(hashes_what_decides_ids),
        cmocka_unit_test(refuses_bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
