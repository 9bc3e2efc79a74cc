/* tokenizer_internal.h: what a tokenizer is made of. Filled by tokenizer_json.c, used by tokenizer.c; nobody else
 * includes it. */
#ifndef RUNG_MODEL_TOKENIZER_INTERNAL_H
#define RUNG_MODEL_TOKENIZER_INTERNAL_H

#include "base/hash.h"
#include "model/added_tokens.h"
#include "model/bert_normalizer.h"
#include "model/bpe.h"
#include "model/tokenizer.h"
#include "model/wordpiece.h"

/* The template of the post-processor: special tokens around the sequences. */
typedef struct rung_template_piece {
    int32_t id;       /* a special token, or -1 for a sequence */
    uint8_t sequence; /* 0: A, 1: B; 0 for special tokens */
    uint8_t type_id;  /* 0 or 1 */
} rung_template_piece;

typedef struct rung_template {
    rung_template_piece *pieces; /* [count] */
    size_t count;
    size_t capacity;
    size_t special_tokens; /* pieces that are special tokens */
} rung_template;

/* What an ASCII byte is to the tokenizer's options. */
typedef enum rung_ascii_class {
    RUNG_ASCII_LETTER = 0, /* goes into a word, as fold says */
    RUNG_ASCII_SPACE,
    RUNG_ASCII_PUNCTUATION,
    RUNG_ASCII_SLOW, /* left to the normaliser: removed controls; so is all that is not ASCII */
} rung_ascii_class;

/* How text becomes tokens, one for each kind of tokenizer; see tokenizer_pass.h. */
typedef struct rung_splitter rung_splitter;
extern const rung_splitter rung_bert_splitter;
extern const rung_splitter rung_byte_level_splitter;
extern const rung_splitter rung_tweet_splitter;

/* Byte-level BPE: symbols of the merges are token ids. */
typedef struct rung_byte_level_model {
    rung_bpe bpe;
    int32_t byte_ids[256];
    rung_vocabulary words; /* the bytes of tokens that their own bytes merge to, by token id: looked up whole first */
    bool add_prefix_space; /* a blank before a stretch of text that begins with none */
    bool trim_offsets;     /* spans leave out the blanks that tokens begin and end with */
    bool trim_keeps_first; /* but not the one that add_prefix_space put before the text */
} rung_byte_level_model;

/* BERTweet's BPE: symbols of the merges are numbers of their own, since not every symbol is a token. */
typedef struct rung_tweet_model {
    rung_bpe bpe;
    rung_byte_trie symbols; /* a symbol's text ("</w>" behind the last of a word) and its number */
    int32_t unknown_id;
    bool normalizes;                          /* tweets are normalised first */
    char codes_sha256[RUNG_SHA256_HEX_BYTES]; /* of the file that the merges came from */
} rung_tweet_model;

struct rung_tokenizer {
    rung_vocabulary vocabulary;
    const rung_splitter *splitter;
    rung_wordpiece wordpiece;         /* rung_bert_splitter */
    rung_byte_level_model byte_level; /* rung_byte_level_splitter */
    rung_bert_normalizer normalizer;
    rung_tweet_model tweet;          /* rung_tweet_splitter */
    rung_added_set added;            /* matched in the text as it is */
    rung_added_set added_normalized; /* matched after normalisation */
    rung_template single;
    rung_template pair;
    uint8_t ascii_class[256]; /* rung_ascii_class */
    char fold[128];           /* the normalised form of an ASCII letter */
    char hash[RUNG_SHA256_HEX_BYTES];
};

/* Fills ascii_class and fold from the normaliser's options. */
void rung_tokenizer_classify_ascii(rung_tokenizer *tokenizer);

#endif
