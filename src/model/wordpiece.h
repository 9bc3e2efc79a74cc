/* wordpiece.h: a WordPiece vocabulary and the greedy longest-match split of one word (Devlin et al. 2018; the behaviour
 * is that of Hugging Face's WordPiece model). Called by the tokenizer with normalised words; knows nothing of
 * normalisation, text positions or JSON. Immutable once indexed. */
#ifndef RUNG_MODEL_WORDPIECE_H
#define RUNG_MODEL_WORDPIECE_H

#include "model/byte_trie.h"

#define RUNG_MAX_TOKEN_ID ((1 << 22) - 1)
#define RUNG_MAX_WORD_CHARS 10000

/* Words are looked up whole first: most words of a text are tokens. */
typedef struct rung_word_slot {
    uint64_t key; /* the word itself, zero-padded, up to 8 bytes; a hash of a longer one */
    int32_t id;
    uint32_t bytes; /* 0: free */
} rung_word_slot;

/* Zero-initialise; release with rung_wordpiece_deinit. */
typedef struct rung_wordpiece {
    size_t size;     /* tokens of the model, without added ones */
    size_t id_limit; /* largest id of any token plus one */
    size_t id_capacity;
    size_t *offsets; /* [id_limit] of the token's text in blob, SIZE_MAX when the id has none */
    uint32_t *bytes; /* [id_limit] */
    char *blob;      /* texts, each with a NUL after it */
    size_t blob_bytes;
    size_t blob_capacity;
    rung_word_slot *slots; /* [1 << slot_bits], at most half full */
    unsigned slot_bits;
    rung_byte_trie trie;
    uint32_t continuing_node; /* where pieces after the first begin; RUNG_TRIE_NONE when no token continues */
    int32_t unknown_id;
    size_t max_word_chars; /* longer words are unknown */
} rung_wordpiece;

/* Gives `id` its text. RUNG_FORMAT when the id has one already, RUNG_LIMIT when it is outside 0..RUNG_MAX_TOKEN_ID. */
rung_status rung_wordpiece_set_text(rung_wordpiece *model, int64_t id, const char *text, size_t bytes,
                                    rung_error *error) RUNG_WARN_UNUSED;

/* Makes the look-up structures over all tokens set so far; those set later have a text but are never split into. */
rung_status rung_wordpiece_index(rung_wordpiece *model, const char *continuing_prefix, size_t prefix_bytes,
                                 rung_error *error) RUNG_WARN_UNUSED;
void rung_wordpiece_deinit(rung_wordpiece *model);

/* NULL when the id has no text. */
const char *rung_wordpiece_text(const rung_wordpiece *model, int64_t id);

/* The id of a whole word (or any token's text), -1 when there is none. */
int32_t rung_wordpiece_find(const rung_wordpiece *model, const char *word, size_t bytes);

/* As rung_wordpiece_find for a word in a buffer with 8 readable bytes after its end. */
int32_t rung_wordpiece_find_padded(const rung_wordpiece *model, const char *word, size_t bytes);

/* The longest piece at word[start..bytes): its bytes and *id; 0 when the word cannot be split further. */
size_t rung_wordpiece_piece(const rung_wordpiece *model, const char *word, size_t start, size_t bytes, int32_t *id);

#endif
