/* vocabulary.h: the texts of tokens by id and the ids of texts. Called by the tokenizer, its models and their readers;
 * knows nothing of how words are split. Immutable once indexed. */
#ifndef RUNG_MODEL_VOCABULARY_H
#define RUNG_MODEL_VOCABULARY_H

#include "base/status.h"

#define RUNG_MAX_TOKEN_ID ((1 << 22) - 1)

/* Look-ups read 8 bytes at a time: so many must be readable from a word's first byte on, and behind a long one. */
#define RUNG_WORD_PADDING 8

/* Words are looked up whole first: most words of a text are tokens. */
typedef struct rung_word_slot {
    uint64_t key; /* the word itself, zero-padded, up to 8 bytes; a hash of a longer one */
    int32_t id;
    uint32_t bytes; /* 0: free */
} rung_word_slot;

/* Zero-initialise; release with rung_vocabulary_deinit. */
typedef struct rung_vocabulary {
    size_t size;     /* tokens that were there when it was indexed */
    size_t id_limit; /* largest id of any token plus one */
    size_t id_capacity;
    size_t *offsets; /* [id_limit] of the token's text in blob, SIZE_MAX when the id has none */
    uint32_t *bytes; /* [id_limit] */
    char *blob;      /* texts, each with a NUL after it */
    size_t blob_bytes;
    size_t blob_capacity;
    rung_word_slot *slots; /* [1 << slot_bits], at most half full */
    unsigned slot_bits;
} rung_vocabulary;

/* Gives `id` its text. RUNG_FORMAT when the id has one already, RUNG_LIMIT when it is outside 0..RUNG_MAX_TOKEN_ID. */
rung_status rung_vocabulary_set_text(rung_vocabulary *vocabulary, int64_t id, const char *text, size_t bytes,
                                     rung_error *error) RUNG_WARN_UNUSED;

/* Makes the look-up over all tokens set so far; those set later have a text but are not found. RUNG_FORMAT when two
 * tokens have the same text. */
rung_status rung_vocabulary_index(rung_vocabulary *vocabulary, rung_error *error) RUNG_WARN_UNUSED;
void rung_vocabulary_deinit(rung_vocabulary *vocabulary);

/* NULL when the id has no text. */
const char *rung_vocabulary_text(const rung_vocabulary *vocabulary, int64_t id);

/* The id of a token's text, -1 when there is none. The vocabulary is indexed. */
int32_t rung_vocabulary_find(const rung_vocabulary *vocabulary, const char *word, size_t bytes);

/* As rung_vocabulary_find for a word in a buffer with RUNG_WORD_PADDING readable bytes after its end. */
int32_t rung_vocabulary_find_padded(const rung_vocabulary *vocabulary, const char *word, size_t bytes);

#endif
