/* bpe.h: byte-pair encoding of one word (Sennrich et al. 2016): neighbouring symbols are merged, the pair that was learned
 * first goes first. Called by the splitters with the word's first symbols; knows neither text nor token texts. A table
 * of merges is immutable once filled. */
#ifndef RUNG_MODEL_BPE_H
#define RUNG_MODEL_BPE_H

#include "base/hash.h"
#include "base/status.h"

#define RUNG_BPE_UNKNOWN (-1)
#define RUNG_BPE_MAX_MERGES (1U << 22)

/* Which of several occurrences of the best pair are merged before the next pair is chosen. */
typedef enum rung_bpe_order {
    RUNG_BPE_LEFTMOST, /* the leftmost one (Hugging Face tokenizers) */
    RUNG_BPE_ALL,      /* all, from the left (subword-nmt, fastBPE, transformers) */
} rung_bpe_order;

typedef struct rung_bpe_merge {
    uint64_t pair; /* left << 32 | right */
    uint32_t rank; /* RUNG_BPE_MAX_MERGES: a free slot */
    int32_t merged;
} rung_bpe_merge;

/* Zero-initialise; release with rung_bpe_deinit. */
typedef struct rung_bpe {
    rung_bpe_merge *slots; /* [1 << slot_bits], at most half full */
    unsigned slot_bits;
    rung_bpe_order order;
} rung_bpe;

/* A symbol of the word that is being merged: `id`, and the first of the word's original symbols that it covers. */
typedef struct rung_bpe_symbol {
    int32_t id; /* RUNG_BPE_UNKNOWN: in no pair */
    uint32_t first;
    uint32_t previous, next; /* used while long words are merged */
} rung_bpe_symbol;

typedef struct rung_bpe_candidate {
    uint32_t rank;
    uint32_t at; /* the left symbol */
    int32_t merged;
} rung_bpe_candidate;

/* Working memory, reused from word to word. Zero-initialise; release with rung_bpe_word_deinit. */
typedef struct rung_bpe_word {
    rung_bpe_symbol *symbols; /* [count] */
    size_t count, capacity;
    rung_bpe_candidate *heap; /* least rank first, then leftmost */
    size_t heap_count, heap_capacity;
    rung_bpe_candidate *waiting; /* found in the present round, for the next; RUNG_BPE_ALL only */
    size_t waiting_count, waiting_capacity;
    size_t steps; /* look-ups and moves of all words so far: what a test of growth counts */
} rung_bpe_word;

/* Makes room for `count` merges, once, before any is added. RUNG_LIMIT, RUNG_NO_MEMORY. */
rung_status rung_bpe_reserve(rung_bpe *bpe, size_t count, rung_error *error) RUNG_WARN_UNUSED;

/* States that left and right, symbols >= 0, merge to `merged` with `rank` < RUNG_BPE_MAX_MERGES. A pair that is there
 * already gets the new rank, as in the reference. */
void rung_bpe_add(rung_bpe *bpe, int32_t left, int32_t right, uint32_t rank, int32_t merged);

/* Hashes all merges. Depends on the order in which they were added. */
void rung_bpe_hash(const rung_bpe *bpe, rung_sha256 *hash);
void rung_bpe_deinit(rung_bpe *bpe);

/* Makes room for `count` symbols in all. */
rung_status rung_bpe_word_reserve(rung_bpe_word *word, size_t count, rung_error *error) RUNG_WARN_UNUSED;

/* Puts a symbol behind the others of the word; there is room for it. */
static inline void rung_bpe_word_append(rung_bpe_word *word, int32_t id)
{
    word->symbols[word->count] = (rung_bpe_symbol){.id = id, .first = (uint32_t)word->count};
    word->count++;
}

/* Merges the word's symbols until no pair is left; O(n log n). RUNG_NO_MEMORY. */
rung_status rung_bpe_merge_word(const rung_bpe *bpe, rung_bpe_word *word, rung_error *error) RUNG_WARN_UNUSED;
void rung_bpe_word_deinit(rung_bpe_word *word);

#endif
