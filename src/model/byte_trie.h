/* byte_trie.h: a trie over bytes for longest-match look-ups, built once and then immutable. Used by the WordPiece
 * vocabulary and by added tokens; knows neither. Its edges live in one open-addressing table, so that a step costs one
 * probe whatever the fan-out. */
#ifndef RUNG_MODEL_BYTE_TRIE_H
#define RUNG_MODEL_BYTE_TRIE_H

#include "base/status.h"

#define RUNG_TRIE_ROOT 0U
#define RUNG_TRIE_NONE UINT32_MAX
#define RUNG_TRIE_MAX_NODES (1U << 24)

typedef struct rung_trie_edge {
    uint32_t key; /* (parent << 8 | byte) + 1; 0: free */
    uint32_t child;
} rung_trie_edge;

/* Zero-initialise; release with rung_trie_deinit. */
typedef struct rung_byte_trie {
    rung_trie_edge *edges; /* [1 << edge_bits], at most half full */
    unsigned edge_bits;
    int32_t *values; /* [node_count], -1: no key ends here */
    size_t node_count;
    size_t value_capacity;
} rung_byte_trie;

/* Adds key[0..bytes) with a value >= 0. *previous is the value that the key had, -1 when it is new (then it is set).
 * The empty key is refused. RUNG_LIMIT, RUNG_NO_MEMORY. */
rung_status rung_trie_add(rung_byte_trie *trie, const char *key, size_t bytes, int32_t value, int32_t *previous,
                          rung_error *error) RUNG_WARN_UNUSED;
void rung_trie_deinit(rung_byte_trie *trie);

/* Makes room for about `nodes` nodes, so that adding them moves nothing. RUNG_NO_MEMORY. */
rung_status rung_trie_reserve(rung_byte_trie *trie, size_t nodes, rung_error *error) RUNG_WARN_UNUSED;

static inline uint32_t rung_trie_step(const rung_byte_trie *trie, uint32_t node, uint8_t byte)
{
    uint32_t key = (node << 8 | byte) + 1;
    uint32_t mask = (1U << trie->edge_bits) - 1;
    uint32_t slot = (key * 0x9E3779B1U) >> (32 - trie->edge_bits);
    while (trie->edges[slot].key != key) {
        if (trie->edges[slot].key == 0) {
            return RUNG_TRIE_NONE;
        }
        slot = (slot + 1) & mask;
    }
    return trie->edges[slot].child;
}

/* The node that text leads to from the root, RUNG_TRIE_NONE when nothing begins like it or the trie is empty. */
uint32_t rung_trie_find(const rung_byte_trie *trie, const char *text, size_t bytes);

/* The longest key that starts at `from` (a node) and continues with a non-empty beginning of text: its length in text
 * and *value; 0 when there is none. At most as many steps as the longest key has bytes. */
size_t rung_trie_longest(const rung_byte_trie *trie, uint32_t from, const char *text, size_t bytes, int32_t *value);

#endif
