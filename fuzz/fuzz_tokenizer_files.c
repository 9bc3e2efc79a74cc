/* fuzz_tokenizer_files.c: texts for the BPE tokenizers and arbitrary older tokenizer files. The first input byte chooses, modulo 5: 0, a text for a
 * fixed byte-level tokenizer; 1, a text for a fixed BERTweet one; 2, a merges.txt for the vocabulary of all bytes; 3, a vocab.txt with a bpe.codes; 4,
 * a vocab.txt with a tokenizer_config.json. Bit 7 turns add_prefix_space or normalization on. 0xFF bytes separate the parts, and a text follows
 * the files. Checked: spans lie inside the text, ids are below the limit, the length keeps to max_tokens, a second run gives the same. */
#include "base/utf8.h"
#include "model/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VOCAB_BYTES 8192
#define SWITCH 0x80

/* Tokens that merges of the fuzzer's choice can make. */
static const char MERGED_TOKENS[] =
    ",\"th\":259,\"the\":260,\"\\u0120t\":261,\"\\u0120the\":262,\"aa\":263,\"aaaa\":264,\"\\u0120\\u0120\":265,"
    "\"\\u00c3\\u00a9\":266,\"ab\":267,\"bab\":268}";
static const char MERGES[] =
    "#version: 0.2\nt h\nth e\n\xC4\xA0 the\na a\naa aa\n\xC4\xA0 \xC4\xA0\n\xC3\x83 \xC2\xA9\n";
static const char TWEET_VOCAB[] =
    "a 1\nb 1\nab 1\na@@ 1\nab@@ 1\n@USER 1\nHTTPURL 1\nn't 1\n's 1\n. 1\n: 1\n\xC3\xA9 1\n";
static const char TWEET_CODES[] = "a b</w> 9\na b 8\nn ' 7\nn' t</w> 6\n' s</w> 5\n";

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static rung_named_text named(const char *name, const char *text, size_t bytes)
{
    return (rung_named_text){name, text, bytes};
}

/* A vocab.json of <s>, </s>, <mask>, the 256 characters that stand for bytes and MERGED_TOKENS. */
static size_t write_vocab(char out[VOCAB_BYTES])
{
    size_t at = (size_t)snprintf(out, VOCAB_BYTES, "{\"<s>\":0,\"</s>\":1,\"<mask>\":2");
    unsigned stand_in = 0x100;
    for (unsigned byte = 0; byte < 256; byte++) {
        bool visible = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
        unsigned code_point = visible ? byte : stand_in++;
        at += (size_t)snprintf(out + at, VOCAB_BYTES - at, ",\"\\u%04x\":%u", code_point, byte + 3);
    }
    return at + (size_t)snprintf(out + at, VOCAB_BYTES - at, "%s", MERGED_TOKENS);
}

static void check_text(const rung_tokenizer *tokenizer, rung_text text, size_t max_tokens)
{
    rung_encoding first = {0};
    rung_encoding second = {0};
    rung_error error;
    size_t bad;
    rung_status status = rung_tokenize(tokenizer, text, NULL, max_tokens, &first, &error);
    require(status == (rung_utf8_valid(text.data, text.bytes, &bad) ? RUNG_OK : RUNG_INVALID));
    if (status == RUNG_OK) {
        require(first.length <= max_tokens);
        for (size_t i = 0; i < first.length; i++) {
            require(first.ids[i] >= 0 && (size_t)first.ids[i] < rung_tokenizer_id_limit(tokenizer));
            require(first.begin[i] <= first.end[i] && first.end[i] <= text.bytes);
            /* Spans do not cut characters. */
            require(first.begin[i] == text.bytes || ((uint8_t)text.data[first.begin[i]] & 0xC0) != 0x80);
            require(first.end[i] == text.bytes || ((uint8_t)text.data[first.end[i]] & 0xC0) != 0x80);
        }
        require(rung_tokenize(tokenizer, text, &text, max_tokens + 2, &second, &error) == RUNG_OK);
        require(rung_tokenize(tokenizer, text, NULL, max_tokens, &second, &error) == RUNG_OK);
        require(second.length == first.length && second.truncated_tokens == first.truncated_tokens);
        require(memcmp(first.ids, second.ids, first.length * sizeof *first.ids) == 0);
    }
    rung_encoding_deinit(&first);
    rung_encoding_deinit(&second);
}

static void check_files(const rung_tokenizer_files *files, bool good, rung_text text)
{
    rung_tokenizer *tokenizer = NULL;
    rung_error error = {RUNG_OK, ""};
    if (rung_tokenizer_make(files, &tokenizer, &error) != RUNG_OK) {
        require(!good && tokenizer == NULL && error.message[0] != '\0' && strchr(error.message, '\n') == NULL);
        return;
    }
    check_text(tokenizer, text, 1000000);
    check_text(tokenizer, text, 2 + text.bytes % 7);
    rung_tokenizer_free(tokenizer);
}

/* Cuts the part before the first 0xFF byte off; all of it when there is none. */
static rung_text take_part(rung_text *rest)
{
    const char *separator = rest->bytes == 0 ? NULL : memchr(rest->data, 0xFF, rest->bytes);
    rung_text part = {rest->data, separator == NULL ? rest->bytes : (size_t)(separator - rest->data)};
    size_t skipped = separator == NULL ? part.bytes : part.bytes + 1;
    *rest = (rung_text){rest->data + skipped, rest->bytes - skipped};
    return part;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    bool on = data[0] & SWITCH;
    unsigned kind = (data[0] & ~(unsigned)SWITCH) % 5;
    rung_text rest = {(const char *)data + 1, size - 1};
    char vocab[VOCAB_BYTES];
    rung_text a = {MERGES, sizeof MERGES - 1};
    rung_text b = {TWEET_CODES, sizeof TWEET_CODES - 1};
    rung_tokenizer_files files = {0};
    if (kind == 2 || kind == 3 || kind == 4) {
        a = take_part(&rest);
    }
    if (kind == 3 || kind == 4) {
        b = take_part(&rest);
    }
    static const char PREFIX[] = "{\"add_prefix_space\":true}";
    static const char NORMALIZE[] = "{\"normalization\":true}";
    if (kind == 0 || kind == 2) {
        files.vocab_json = named("vocab.json", vocab, write_vocab(vocab));
        files.merges_txt = named("merges.txt", a.data, a.bytes);
        files.tokenizer_config = named("config", on ? PREFIX : NULL, sizeof PREFIX - 1);
    } else if (kind == 4) {
        files.vocab_txt = named("vocab.txt", a.data, a.bytes);
        files.tokenizer_config = named("config", b.data, b.bytes);
    } else {
        files.vocab_txt =
            kind == 1 ? named("vocab.txt", TWEET_VOCAB, sizeof TWEET_VOCAB - 1) : named("vocab.txt", a.data, a.bytes);
        files.bpe_codes = named("bpe.codes", b.data, b.bytes);
        files.tokenizer_config = named("config", on ? NORMALIZE : NULL, sizeof NORMALIZE - 1);
    }
    check_files(&files, kind < 2, rest);
    return 0;
}
