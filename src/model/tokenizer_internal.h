/* tokenizer_internal.h: what a tokenizer is made of. Filled by tokenizer_json.c, used by tokenizer.c; nobody else
 * includes it. */
#ifndef RUNG_MODEL_TOKENIZER_INTERNAL_H
#define RUNG_MODEL_TOKENIZER_INTERNAL_H

#include "base/hash.h"
#include "model/added_tokens.h"
#include "model/bert_normalizer.h"
#include "model/json_pairs.h"
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

struct rung_tokenizer {
    const rung_json_pairs *vocab; /* while it is read from JSON; NULL: the tree of JSON values has it */
    rung_wordpiece model;
    rung_bert_normalizer normalizer;
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
