/* tokenizer_pass.h: what the splitters (bert_split.c, byte_level_split.c, tweet_split.c) share: the state of one text on
 * its way into an encoding, and how a token is put there. tokenizer.c makes a pass and calls the tokenizer's splitter
 * for each stretch of text between added tokens. */
#ifndef RUNG_MODEL_TOKENIZER_PASS_H
#define RUNG_MODEL_TOKENIZER_PASS_H

#include "model/aligned_text.h"
#include "model/tokenizer_internal.h"

/* Working memory of one call, kept in the encoding. */
struct rung_token_scratch {
    rung_aligned_text word; /* the word that is being collected */
    rung_mark_run marks;
    rung_bpe_word symbols;
    rung_aligned_text normalized, spare; /* a whole stretch, for splitters that need it */
};

/* One sequence (text or pair) on its way into the encoding. */
typedef struct rung_token_pass {
    const rung_tokenizer *tokenizer;
    rung_encoding *encoding;
    struct rung_token_scratch *scratch;
    rung_error *error;
    rung_status status; /* first failure; later work does nothing */
    const char *text;
    size_t length; /* tokens in the encoding */
    size_t budget; /* tokens of this sequence that may be stored */
    size_t stored;
    size_t total; /* stored and not stored */
    uint8_t type_id;
    uint8_t sequence;
    /* Of bert_split.c. */
    size_t word_bytes;
    bool word_is_plain; /* byte i of the word comes from text byte word_first + i */
    size_t word_chars;  /* beyond the model's limit only the count goes on */
    uint32_t word_first, word_last_end;
} rung_token_pass;

rung_status rung_encoding_grow(rung_encoding *encoding, size_t needed, rung_error *error) RUNG_WARN_UNUSED;

static inline void rung_pass_append(rung_token_pass *pass, int32_t id, uint32_t begin, uint32_t end, bool special)
{
    rung_encoding *encoding = pass->encoding;
    if (pass->length == encoding->capacity && pass->status == RUNG_OK) {
        pass->status = rung_encoding_grow(encoding, pass->length + 1, pass->error);
    }
    if (pass->status != RUNG_OK) {
        return;
    }
    size_t at = pass->length++;
    encoding->ids[at] = id;
    encoding->begin[at] = begin;
    encoding->end[at] = end;
    encoding->type_ids[at] = pass->type_id;
    encoding->special[at] = special;
    encoding->sequence[at] = pass->sequence;
}

/* A token of the text; counted only once the budget is spent. */
static inline void rung_pass_put(rung_token_pass *pass, int32_t id, uint32_t begin, uint32_t end)
{
    pass->total++;
    if (pass->stored < pass->budget) {
        pass->stored++;
        rung_pass_append(pass, id, begin, end, false);
    }
}

/* How a kind of tokenizer turns text into tokens. */
struct rung_splitter {
    /* Tokens of text[begin..end) of the pass: a stretch between added tokens that match the text as it is. */
    void (*split)(rung_token_pass *pass, size_t begin, size_t end);
    /* Puts an added token that matched text[begin..end). */
    void (*put_added)(rung_token_pass *pass, int32_t id, size_t begin, size_t end);
    /* Makes ready what it needs of the scratch. */
    rung_status (*reserve)(const rung_tokenizer *tokenizer, struct rung_token_scratch *scratch, rung_error *error);
    /* Hashes its name and those of its options that decide ids. */
    void (*hash)(const rung_tokenizer *tokenizer, rung_sha256 *hash);
};

void rung_tokenizer_hash_number(rung_sha256 *hash, uint64_t value);

#endif
