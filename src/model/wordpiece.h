/* wordpiece.h: the greedy longest-match split of one word (Devlin et al. 2018; the behaviour is that of Hugging Face's
 * WordPiece model). Called by the tokenizer with normalised words; knows nothing of normalisation, text positions or
 * JSON. Immutable once indexed. */
#ifndef RUNG_MODEL_WORDPIECE_H
#define RUNG_MODEL_WORDPIECE_H

#include "model/byte_trie.h"
#include "model/vocabulary.h"

#define RUNG_MAX_WORD_CHARS 10000

/* Zero-initialise; release with rung_wordpiece_deinit. */
typedef struct rung_wordpiece {
    rung_byte_trie trie;
    char *continuing_prefix; /* [prefix_bytes] */
    size_t prefix_bytes;
    uint32_t continuing_node; /* where pieces after the first begin; RUNG_TRIE_NONE when no token continues */
    int32_t unknown_id;
    size_t max_word_chars; /* longer words are unknown */
} rung_wordpiece;

/* Makes the look-up structure over an indexed vocabulary, which it does not keep. RUNG_LIMIT, RUNG_NO_MEMORY. */
rung_status rung_wordpiece_index(rung_wordpiece *model, const rung_vocabulary *vocabulary,
                                 const char *continuing_prefix, size_t prefix_bytes,
                                 rung_error *error) RUNG_WARN_UNUSED;
void rung_wordpiece_deinit(rung_wordpiece *model);

/* The longest piece at word[start..bytes): its bytes and *id; 0 when the word cannot be split further. */
size_t rung_wordpiece_piece(const rung_wordpiece *model, const char *word, size_t start, size_t bytes, int32_t *id);

#endif
