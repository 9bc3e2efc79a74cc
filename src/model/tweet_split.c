/* tweet_split.c: BERTweet's splitter: the tweet is normalised if the tokenizer says so, words stand between white space, and each is
 * merged by BPE over its characters. Called by tokenizer.c. Source: transformers 5.24, BertweetTokenizer, which knows no spans:
 * here a token comes from the characters of the original that its own were made of. */
#include "base/utf8.h"
#include "model/tokenizer_pass.h"
#include "model/tweet_normalizer.h"
#include "model/unicode.h"

#include <string.h>

#define END_OF_WORD "</w>"
#define GOES_ON "@@"
#define MAX_CHAR_BYTES 4

/* A stretch in the shape that its words are taken from. */
typedef struct stretch {
    const char *text;
    size_t end;
    const rung_aligned_text *aligned; /* NULL: byte i came from byte i */
} stretch;

/* White space as Python's strings have it. */
static bool is_space_at(const stretch *from, size_t at)
{
    uint8_t byte = (uint8_t)from->text[at];
    if (byte < 0x80) {
        return byte == ' ' || (byte >= '\t' && byte <= '\r') || (byte >= 0x1C && byte <= 0x1F);
    }
    return rung_unicode_get(rung_utf8_next(from->text, from->end, &at)).flags & RUNG_UNICODE_SPACE;
}

static int32_t symbol_of(const rung_tweet_model *model, const char *text, size_t bytes, bool last)
{
    char symbol[MAX_CHAR_BYTES + sizeof END_OF_WORD];
    memcpy(symbol, text, bytes);
    memcpy(symbol + bytes, END_OF_WORD, sizeof END_OF_WORD);
    uint32_t node = rung_trie_find(&model->symbols, symbol, last ? bytes + sizeof END_OF_WORD - 1 : bytes);
    return node == RUNG_TRIE_NONE ? RUNG_BPE_UNKNOWN : model->symbols.values[node];
}

/* Puts the token of text[begin..end); the word goes on behind it unless it is the last. */
static void put_part(rung_token_pass *pass, const stretch *from, size_t begin, size_t end, bool last)
{
    rung_aligned_text *copy = &pass->scratch->word;
    size_t bytes = end - begin;
    pass->status = rung_aligned_text_reserve(copy, bytes + sizeof GOES_ON, pass->error);
    if (pass->status != RUNG_OK) {
        return;
    }
    memcpy(copy->text, from->text + begin, bytes);
    memcpy(copy->text + bytes, GOES_ON, sizeof GOES_ON);
    int32_t id =
        rung_vocabulary_find(&pass->tokenizer->vocabulary, copy->text, last ? bytes : bytes + sizeof GOES_ON - 1);
    id = id >= 0 ? id : pass->tokenizer->tweet.unknown_id;
    if (from->aligned == NULL) {
        rung_pass_put(pass, id, (uint32_t)begin, (uint32_t)end);
    } else {
        rung_pass_put(pass, id, from->aligned->begin[begin], from->aligned->end[end - 1]);
    }
}

static void put_word(rung_token_pass *pass, const stretch *from, size_t begin, size_t end)
{
    const rung_tweet_model *model = &pass->tokenizer->tweet;
    rung_bpe_word *word = &pass->scratch->symbols;
    pass->status = rung_bpe_word_reserve(word, end - begin, pass->error);
    if (pass->status != RUNG_OK) {
        return;
    }
    word->count = 0;
    for (size_t at = begin; at < end;) {
        size_t first = at;
        rung_utf8_next(from->text, end, &at);
        rung_bpe_word_append(word, symbol_of(model, from->text + first, at - first, at == end));
    }
    size_t chars = word->count;
    pass->status = rung_bpe_merge_word(&model->bpe, word, pass->error);
    size_t at = begin;
    for (size_t i = 0; i < word->count && pass->status == RUNG_OK; i++) {
        size_t next = i + 1 < word->count ? word->symbols[i + 1].first : chars;
        size_t first = at;
        for (size_t c = word->symbols[i].first; c < next; c++) {
            rung_utf8_next(from->text, end, &at);
        }
        put_part(pass, from, first, at, i + 1 == word->count);
    }
}

static void split(rung_token_pass *pass, size_t begin, size_t end)
{
    bool normalizes = pass->tokenizer->tweet.normalizes;
    rung_aligned_text *normalized = &pass->scratch->normalized;
    stretch from = {pass->text, end, NULL};
    size_t at = begin;
    if (normalizes) {
        pass->status = rung_tweet_normalize(pass->text, begin, end, normalized, &pass->scratch->spare, pass->error);
        from = (stretch){normalized->text, normalized->bytes, normalized};
        at = 0;
    }
    while (at < from.end && pass->status == RUNG_OK) {
        size_t first = at;
        while (at < from.end && !is_space_at(&from, at)) {
            rung_utf8_next(from.text, from.end, &at);
        }
        if (at == first) {
            rung_utf8_next(from.text, from.end, &at);
            continue;
        }
        /* The reference's expression is \S+\n?: a line break sticks to the word before it. */
        at += !normalizes && at < from.end && from.text[at] == '\n';
        put_word(pass, &from, first, at);
    }
}

static void put_added(rung_token_pass *pass, int32_t id, size_t begin, size_t end)
{
    rung_pass_put(pass, id, (uint32_t)begin, (uint32_t)end);
}

/* Words grow in the scratch as they come. */
static rung_status reserve(const rung_tokenizer *tokenizer, struct rung_token_scratch *scratch, rung_error *error)
{
    (void)tokenizer;
    (void)scratch;
    (void)error;
    return RUNG_OK;
}

static void hash_options(const rung_tokenizer *tokenizer, rung_sha256 *hash)
{
    const rung_tweet_model *model = &tokenizer->tweet;
    rung_sha256_update(hash, "rung BERTweet 1", 15);
    rung_tokenizer_hash_number(hash, model->normalizes);
    rung_sha256_update(hash, model->codes_sha256, sizeof model->codes_sha256);
}

const rung_splitter rung_tweet_splitter = {split, put_added, reserve, hash_options};
