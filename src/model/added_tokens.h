/* added_tokens.h: tokens that are cut out of a text before it is split into words ("[SEP]" and those that users add),
 * with Hugging Face's flags and its leftmost-longest matching. Called by the tokenizer; knows nothing of normalisation.
 * */
#ifndef RUNG_MODEL_ADDED_TOKENS_H
#define RUNG_MODEL_ADDED_TOKENS_H

#include "model/byte_trie.h"

typedef struct rung_added_token {
    int32_t id;
    bool single_word; /* not next to a word character */
    bool lstrip;      /* takes the white space before it */
    bool rstrip;      /* takes the white space behind it */
} rung_added_token;

/* Zero-initialise; release with rung_added_set_deinit. Immutable once filled. */
typedef struct rung_added_set {
    rung_byte_trie patterns; /* value: index of the token */
    rung_added_token *tokens;
    size_t count;
    size_t capacity;
    bool starts[256]; /* bytes that a pattern begins with */
    int only_start;   /* the byte that all patterns begin with, -1 when there are several */
} rung_added_set;

/* RUNG_FORMAT when the pattern is empty or there already. */
rung_status rung_added_set_add(rung_added_set *set, const char *pattern, size_t bytes, rung_added_token token,
                               rung_error *error) RUNG_WARN_UNUSED;
void rung_added_set_deinit(rung_added_set *set);

/* Walks through a text: stretches between tokens and tokens, in order. Linear time. */
typedef struct rung_added_split {
    const rung_added_set *set;
    const char *text; /* valid UTF-8 */
    size_t bytes;
    size_t done;                   /* pieces so far cover text[0..done) */
    size_t scanned;                /* matches are looked for from here */
    size_t space_begin, space_end; /* white space behind the last token that took it */
    size_t token_begin, token_end;
    int32_t token_id; /* -1: no token waits to be returned */
} rung_added_split;

typedef struct rung_added_piece {
    int32_t token_id; /* -1: a stretch of text */
    size_t begin;
    size_t end;
} rung_added_piece;

rung_added_split rung_added_split_start(const rung_added_set *set, const char *text, size_t bytes);
bool rung_added_split_next(rung_added_split *split, rung_added_piece *piece);

#endif
