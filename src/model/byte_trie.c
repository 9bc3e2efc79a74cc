/* byte_trie.c: see byte_trie.h. */
#include "model/byte_trie.h"

#include "base/memory.h"

#include <stdlib.h>

#define FIRST_EDGE_BITS 6
/* A reservation is a guess: a wrong one may cost 8 MB, no more. */
#define RESERVE_EDGE_BITS 20

static void insert_edge(rung_trie_edge *edges, unsigned bits, uint32_t key, uint32_t child)
{
    uint32_t mask = (1U << bits) - 1;
    uint32_t slot = (key * 0x9E3779B1U) >> (32 - bits);
    while (edges[slot].key != 0) {
        slot = (slot + 1) & mask;
    }
    edges[slot] = (rung_trie_edge){.key = key, .child = child};
}

static rung_status set_edge_bits(rung_byte_trie *trie, unsigned bits, rung_error *error)
{
    rung_trie_edge *edges = rung_alloc((size_t)1 << bits, sizeof *edges, "trie edges", error);
    if (edges == NULL) {
        return RUNG_NO_MEMORY;
    }
    size_t slots = trie->edges == NULL ? 0 : (size_t)1 << trie->edge_bits;
    for (size_t i = 0; i < slots; i++) {
        if (trie->edges[i].key != 0) {
            insert_edge(edges, bits, trie->edges[i].key, trie->edges[i].child);
        }
    }
    free(trie->edges);
    trie->edges = edges;
    trie->edge_bits = bits;
    return RUNG_OK;
}

static rung_status reserve_edge(rung_byte_trie *trie, rung_error *error)
{
    if (trie->edges == NULL) {
        return set_edge_bits(trie, FIRST_EDGE_BITS, error);
    }
    return 2 * trie->node_count <= (size_t)1 << trie->edge_bits ? RUNG_OK
                                                                : set_edge_bits(trie, trie->edge_bits + 1, error);
}

rung_status rung_trie_reserve(rung_byte_trie *trie, size_t nodes, rung_error *error)
{
    unsigned bits = FIRST_EDGE_BITS;
    while (bits < RESERVE_EDGE_BITS && (size_t)1 << bits < 2 * nodes) {
        bits++;
    }
    return trie->edges == NULL || bits > trie->edge_bits ? set_edge_bits(trie, bits, error) : RUNG_OK;
}

static rung_status add_node(rung_byte_trie *trie, rung_error *error)
{
    /* The last node number stays free so that no key wraps to 0. */
    if (trie->node_count >= RUNG_TRIE_MAX_NODES - 1) {
        return rung_fail(error, RUNG_LIMIT, "vocabulary: more than %u different beginnings of tokens",
                         RUNG_TRIE_MAX_NODES - 1);
    }
    rung_status status = rung_grow((void **)&trie->values, &trie->value_capacity, trie->node_count + 1,
                                   sizeof *trie->values, "trie nodes", error);
    if (status != RUNG_OK) {
        return status;
    }
    trie->values[trie->node_count] = -1;
    trie->node_count++;
    return reserve_edge(trie, error);
}

rung_status rung_trie_add(rung_byte_trie *trie, const char *key, size_t bytes, int32_t value, int32_t *previous,
                          rung_error *error)
{
    if (bytes == 0) {
        return rung_fail(error, RUNG_INVALID, "a trie has no empty key");
    }
    if (trie->node_count == 0) {
        rung_status status = add_node(trie, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    uint32_t node = RUNG_TRIE_ROOT;
    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)key[i];
        uint32_t next = rung_trie_step(trie, node, byte);
        if (next == RUNG_TRIE_NONE) {
            next = (uint32_t)trie->node_count;
            rung_status status = add_node(trie, error);
            if (status != RUNG_OK) {
                return status;
            }
            insert_edge(trie->edges, trie->edge_bits, (node << 8 | byte) + 1, next);
        }
        node = next;
    }
    *previous = trie->values[node];
    if (*previous < 0) {
        trie->values[node] = value;
    }
    return RUNG_OK;
}

void rung_trie_deinit(rung_byte_trie *trie)
{
    free(trie->edges);
    free(trie->values);
    *trie = (rung_byte_trie){0};
}

uint32_t rung_trie_find(const rung_byte_trie *trie, const char *text, size_t bytes)
{
    if (trie->node_count == 0) {
        return RUNG_TRIE_NONE;
    }
    uint32_t node = RUNG_TRIE_ROOT;
    for (size_t i = 0; i < bytes && node != RUNG_TRIE_NONE; i++) {
        node = rung_trie_step(trie, node, (uint8_t)text[i]);
    }
    return node;
}

size_t rung_trie_longest(const rung_byte_trie *trie, uint32_t from, const char *text, size_t bytes, int32_t *value)
{
    size_t longest = 0;
    uint32_t node = from;
    for (size_t i = 0; i < bytes && node != RUNG_TRIE_NONE; i++) {
        node = rung_trie_step(trie, node, (uint8_t)text[i]);
        if (node != RUNG_TRIE_NONE && trie->values[node] >= 0) {
            longest = i + 1;
            *value = trie->values[node];
        }
    }
    return longest;
}
