/* fuzz_tokenizer.c: arbitrary tokenizer.json files and texts. The first input byte chooses: even, the rest is a text
 * (split at the first 0xFF byte into text and pair) for a fixed small tokenizer; odd, the rest is a tokenizer.json, a
 * 0xFF byte and a text. Checked: spans lie inside the text, ids are below the limit, the
 * length keeps to max_tokens, a second run gives the same. Built with libFuzzer, or with replay_main.c over its corpus.
 * */
#include "base/utf8.h"
#include "model/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every flag of added tokens, a piece of each kind, words of 2 characters at most unless in pieces. */
static const char FIXED[] =
    "{\"added_tokens\":["
    "{\"id\":1,\"content\":\"[CLS]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
    "\"special\":true},"
    "{\"id\":8,\"content\":\" x\",\"single_word\":true,\"lstrip\":true,\"rstrip\":true,\"normalized\":false,"
    "\"special\":false},"
    "{\"id\":9,\"content\":\"\xC3\x89\",\"single_word\":false,\"lstrip\":true,\"rstrip\":true,\"normalized\":true,"
    "\"special\":false}],"
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
    "\"strip_accents\":null,\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",2],\"cls\":[\"[CLS]\",1]},"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
    "\"max_input_chars_per_word\":20,\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"a\":3,\"##b\":4,\"##a\":5,"
    "\"\xE4\xB8\xAD\":6,\"abcdefghij\":7}}}";

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_encoding(const rung_tokenizer *tokenizer, const rung_encoding *encoding, const size_t bytes[2],
                           size_t max_tokens)
{
    require(encoding->length <= max_tokens && encoding->length <= encoding->capacity);
    for (size_t i = 0; i < encoding->length; i++) {
        uint8_t sequence = encoding->sequence[i];
        require(encoding->ids[i] >= 0 && (size_t)encoding->ids[i] < rung_tokenizer_id_limit(tokenizer));
        require(rung_tokenizer_token(tokenizer, encoding->ids[i]) != NULL);
        require(encoding->type_ids[i] <= 1 && sequence <= 1 && encoding->special[i] <= 1);
        if (encoding->special[i]) {
            require(encoding->begin[i] == 0 && encoding->end[i] == 0);
            continue;
        }
        require(encoding->begin[i] <= encoding->end[i] && encoding->end[i] <= bytes[sequence]);
    }
}

static void tokenize(const rung_tokenizer *tokenizer, rung_text text, const rung_text *pair, size_t max_tokens)
{
    rung_encoding first = {0};
    rung_encoding second = {0};
    rung_error error;
    rung_status status = rung_tokenize(tokenizer, text, pair, max_tokens, &first, &error);
    size_t bad;
    bool valid = rung_utf8_valid(text.data, text.bytes, &bad) &&
                 (pair == NULL || rung_utf8_valid(pair->data, pair->bytes, &bad));
    require(valid ? status == RUNG_OK || status == RUNG_LIMIT : status == RUNG_INVALID);
    if (status == RUNG_OK) {
        const size_t bytes[2] = {text.bytes, pair == NULL ? 0 : pair->bytes};
        check_encoding(tokenizer, &first, bytes, max_tokens);
        require(rung_tokenize(tokenizer, text, pair, max_tokens, &second, &error) == RUNG_OK);
        require(second.length == first.length && second.truncated_tokens == first.truncated_tokens);
        require(first.length == 0 || memcmp(first.ids, second.ids, first.length * sizeof *first.ids) == 0);
    }
    rung_encoding_deinit(&first);
    rung_encoding_deinit(&second);
}

static void fuzz_text(const char *data, size_t size)
{
    rung_tokenizer *tokenizer = NULL;
    rung_error error;
    require(rung_tokenizer_parse(FIXED, sizeof FIXED - 1, "fixed", &tokenizer, &error) == RUNG_OK);
    const char *separator = size == 0 ? NULL : memchr(data, 0xFF, size);
    size_t first = separator == NULL ? size : (size_t)(separator - data);
    const rung_text text = {data, first};
    tokenize(tokenizer, text, NULL, 1000000);
    tokenize(tokenizer, text, NULL, 2 + size % 7);
    if (separator != NULL) {
        const rung_text pair = {separator + 1, size - first - 1};
        tokenize(tokenizer, text, &pair, 1000000);
        tokenize(tokenizer, text, &pair, 3 + size % 9);
    }
    rung_tokenizer_free(tokenizer);
}

static void fuzz_file(const char *data, size_t size)
{
    const char *separator = size == 0 ? NULL : memchr(data, 0xFF, size);
    size_t json_bytes = separator == NULL ? size : (size_t)(separator - data);
    rung_tokenizer *tokenizer = NULL;
    rung_error error = {RUNG_OK, ""};
    if (rung_tokenizer_parse(data, json_bytes, "fuzz.json", &tokenizer, &error) != RUNG_OK) {
        require(tokenizer == NULL && error.message[0] != '\0' && strchr(error.message, '\n') == NULL);
        return;
    }
    if (separator != NULL) {
        const rung_text text = {separator + 1, size - json_bytes - 1};
        tokenize(tokenizer, text, NULL, 1000000);
        tokenize(tokenizer, text, &text, size % 16);
    }
    rung_tokenizer_free(tokenizer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    if (data[0] % 2 == 0) {
        fuzz_text((const char *)data + 1, size - 1);
    } else {
        fuzz_file((const char *)data + 1, size - 1);
    }
    return 0;
}
