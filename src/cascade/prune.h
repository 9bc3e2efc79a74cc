/* prune.h: which words or tokens go up (Eq 9-10, rules 1-3 of II-C). Pure: arrays in, masks and text out. */
#ifndef RUNG_CASCADE_PRUNE_H
#define RUNG_CASCADE_PRUNE_H

#include "cascade/policy.h"

/* A word: a run between (Unicode) white space in the original text, [begin, end) in bytes. */
typedef struct rung_word {
    uint32_t begin;
    uint32_t end;
} rung_word;

/* Splits valid UTF-8. Writes at most `capacity` words and returns how many there are in all. */
size_t rung_split_words(const char *text, size_t bytes, rung_word *words, size_t capacity);

/* Tokens of one request as the model saw them. Arrays are [count]. */
typedef struct rung_token_view {
    size_t count;
    const uint32_t *begin, *end; /* byte span in its text */
    const uint8_t *special;      /* added by the template: neither candidate nor in the average */
    const uint8_t *sequence;     /* 0 or 1: which text of a pair */
    const float *importance;     /* Eq 9; any common factor is fine: only comparisons with the average are made */
} rung_token_view;

/* Eq 10's threshold alpha * ave over the tokens that the template did not add; 0 when there are none. */
double rung_prune_threshold(const rung_token_view *tokens, double alpha);

/* Rule 1: keep[i] for every token; special ones are kept, and at least one token a side that has any: the one of the greatest
 * importance, the first on ties. An importance that is NaN keeps everything. Returns how many of the not-special ones are kept. */
size_t rung_prune_tokens(const rung_token_view *tokens, double alpha, bool *keep);

/* Rules 2 and 3: keep[w] for the words of text `sequence`: the greatest importance of a word's pieces (tokens that have a byte in it)
 * decides; words without tokens are kept; at least one word is kept, chosen as above. Returns how many are kept. */
size_t rung_prune_words(const rung_token_view *tokens, double alpha, uint8_t sequence, const rung_word *words,
                        size_t num_words, bool *keep);

/* The kept words joined with one space. out needs `bytes` of the text + 1; returns the length written, NUL-terminated. */
size_t rung_join_words(const char *text, const rung_word *words, size_t num_words, const bool *keep, char *out);

#endif
