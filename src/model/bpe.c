/* bpe.c: see bpe.h. Short words, nearly all there are, are merged by scanning their pairs; long ones with a heap of
 * candidates over a linked list, where a candidate that the list has overtaken is dropped when it comes up. */
#include "model/bpe.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define FREE_SLOT RUNG_BPE_MAX_MERGES
#define SHORT_WORD 24
#define NONE UINT32_MAX

static inline uint64_t pair_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

static inline size_t slot_of(const rung_bpe *bpe, uint64_t pair)
{
    uint64_t mixed = pair * 0x9E3779B97F4A7C15U;
    mixed ^= mixed >> 32;
    return (size_t)((mixed * 0xD6E8FEB86659FD93U) >> (64 - bpe->slot_bits));
}

rung_status rung_bpe_reserve(rung_bpe *bpe, size_t count, rung_error *error)
{
    if (count > RUNG_BPE_MAX_MERGES) {
        return rung_fail(error, RUNG_LIMIT, "%zu merges exceed the limit of %u", count, RUNG_BPE_MAX_MERGES);
    }
    unsigned bits = 4;
    while ((size_t)1 << bits < 2 * count) {
        bits++;
    }
    rung_bpe_merge *slots = rung_alloc((size_t)1 << bits, sizeof *slots, "merges", error);
    if (slots == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < (size_t)1 << bits; i++) {
        slots[i].rank = FREE_SLOT;
    }
    free(bpe->slots);
    bpe->slots = slots;
    bpe->slot_bits = bits;
    return RUNG_OK;
}

static inline const rung_bpe_merge *find(const rung_bpe *bpe, int32_t left, int32_t right)
{
    uint64_t pair = pair_of(left, right);
    size_t mask = ((size_t)1 << bpe->slot_bits) - 1;
    size_t at = slot_of(bpe, pair);
    while (bpe->slots[at].rank != FREE_SLOT && bpe->slots[at].pair != pair) {
        at = (at + 1) & mask;
    }
    return &bpe->slots[at];
}

void rung_bpe_add(rung_bpe *bpe, int32_t left, int32_t right, uint32_t rank, int32_t merged)
{
    size_t at = (size_t)(find(bpe, left, right) - bpe->slots);
    bpe->slots[at] = (rung_bpe_merge){.pair = pair_of(left, right), .rank = rank, .merged = merged};
}

void rung_bpe_hash(const rung_bpe *bpe, rung_sha256 *hash)
{
    rung_sha256_update(hash, &bpe->order, 1);
    for (size_t i = 0; i < (size_t)1 << bpe->slot_bits; i++) {
        const rung_bpe_merge *slot = &bpe->slots[i];
        if (slot->rank != FREE_SLOT) {
            rung_sha256_update(hash, slot, sizeof *slot);
        }
    }
}

void rung_bpe_deinit(rung_bpe *bpe)
{
    free(bpe->slots);
    *bpe = (rung_bpe){0};
}

rung_status rung_bpe_word_reserve(rung_bpe_word *word, size_t count, rung_error *error)
{
    return rung_grow((void **)&word->symbols, &word->capacity, count, sizeof *word->symbols, "symbols of a word",
                     error);
}

void rung_bpe_word_deinit(rung_bpe_word *word)
{
    free(word->symbols);
    free(word->heap);
    free(word->waiting);
    *word = (rung_bpe_word){0};
}

/* pairs[i] is what symbols i and i + 1 merge to. */
static void merge_short(const rung_bpe *bpe, rung_bpe_word *word)
{
    const rung_bpe_merge *pairs[SHORT_WORD];
    rung_bpe_symbol *symbols = word->symbols;
    size_t count = word->count;
    for (size_t i = 0; i + 1 < count; i++) {
        pairs[i] = find(bpe, symbols[i].id, symbols[i + 1].id);
    }
    for (;;) {
        word->steps += count;
        size_t best = 0;
        uint32_t rank = FREE_SLOT;
        for (size_t i = 0; i + 1 < count; i++) {
            if (pairs[i]->rank < rank) {
                rank = pairs[i]->rank;
                best = i;
            }
        }
        if (rank == FREE_SLOT) {
            break;
        }
        /* A merge makes no new pair of this rank: every new pair holds the merged symbol, which is longer. */
        for (size_t i = best; i + 1 < count; i++) {
            if (pairs[i]->rank != rank) {
                continue;
            }
            symbols[i].id = pairs[i]->merged;
            count--;
            memmove(&symbols[i + 1], &symbols[i + 2], (count - i - 1) * sizeof *symbols);
            if (i + 1 < count) {
                memmove(&pairs[i], &pairs[i + 1], (count - i - 1) * sizeof *pairs);
                pairs[i] = find(bpe, symbols[i].id, symbols[i + 1].id);
            }
            if (i > 0) {
                pairs[i - 1] = find(bpe, symbols[i - 1].id, symbols[i].id);
            }
            if (bpe->order == RUNG_BPE_LEFTMOST) {
                break;
            }
        }
    }
    word->count = count;
}

static inline bool goes_before(const rung_bpe_candidate *a, const rung_bpe_candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static rung_status push(rung_bpe_word *word, rung_bpe_candidate candidate, rung_error *error)
{
    rung_status status = rung_grow((void **)&word->heap, &word->heap_capacity, word->heap_count + 1, sizeof *word->heap,
                                   "merge candidates", error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t at = word->heap_count++;
    for (; at > 0 && goes_before(&candidate, &word->heap[(at - 1) / 2]); at = (at - 1) / 2) {
        word->heap[at] = word->heap[(at - 1) / 2];
        word->steps++;
    }
    word->heap[at] = candidate;
    return RUNG_OK;
}

static rung_bpe_candidate pop(rung_bpe_word *word)
{
    rung_bpe_candidate first = word->heap[0];
    rung_bpe_candidate last = word->heap[--word->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < word->heap_count && goes_before(&word->heap[child + 1], &word->heap[child])) {
            child++;
        }
        if (child >= word->heap_count || !goes_before(&word->heap[child], &last)) {
            break;
        }
        word->heap[at] = word->heap[child];
        at = child;
        word->steps++;
    }
    word->heap[at] = last;
    return first;
}

/* Notes the pair whose left symbol is `left`, if it merges. */
static rung_status note_pair(const rung_bpe *bpe, rung_bpe_word *word, uint32_t left, bool wait, rung_error *error)
{
    if (left == NONE || word->symbols[left].next == NONE) {
        return RUNG_OK;
    }
    word->steps++;
    const rung_bpe_merge *merge = find(bpe, word->symbols[left].id, word->symbols[word->symbols[left].next].id);
    if (merge->rank == FREE_SLOT) {
        return RUNG_OK;
    }
    rung_bpe_candidate candidate = {merge->rank, left, merge->merged};
    if (!wait) {
        return push(word, candidate, error);
    }
    rung_status status = rung_grow((void **)&word->waiting, &word->waiting_capacity, word->waiting_count + 1,
                                   sizeof *word->waiting, "merge candidates", error);
    if (status == RUNG_OK) {
        word->waiting[word->waiting_count++] = candidate;
    }
    return status;
}

/* Merges what the candidate names, unless its symbols have changed since it was found. */
static rung_status apply(const rung_bpe *bpe, rung_bpe_word *word, rung_bpe_candidate candidate, rung_error *error)
{
    rung_bpe_symbol *left = &word->symbols[candidate.at];
    if (left->first == NONE || left->next == NONE) {
        return RUNG_OK;
    }
    rung_bpe_symbol *right = &word->symbols[left->next];
    const rung_bpe_merge *merge = find(bpe, left->id, right->id);
    if (merge->rank != candidate.rank) {
        return RUNG_OK;
    }
    left->id = merge->merged;
    left->next = right->next;
    right->first = NONE;
    if (left->next != NONE) {
        word->symbols[left->next].previous = candidate.at;
    }
    bool wait = bpe->order == RUNG_BPE_ALL;
    rung_status status = note_pair(bpe, word, left->previous, wait, error);
    return status == RUNG_OK ? note_pair(bpe, word, candidate.at, wait, error) : status;
}

static rung_status merge_long(const rung_bpe *bpe, rung_bpe_word *word, rung_error *error)
{
    word->heap_count = 0;
    word->waiting_count = 0;
    rung_status status = RUNG_OK;
    for (size_t i = 0; i < word->count; i++) {
        word->symbols[i].previous = i > 0 ? (uint32_t)i - 1 : NONE;
        word->symbols[i].next = i + 1 < word->count ? (uint32_t)i + 1 : NONE;
    }
    for (size_t i = 0; i < word->count && status == RUNG_OK; i++) {
        status = note_pair(bpe, word, (uint32_t)i, false, error);
    }
    while (word->heap_count > 0 && status == RUNG_OK) {
        uint32_t rank = word->heap[0].rank;
        status = apply(bpe, word, pop(word), error);
        bool round_goes_on = word->heap_count > 0 && word->heap[0].rank == rank;
        for (size_t i = 0; i < word->waiting_count && !round_goes_on && status == RUNG_OK; i++) {
            status = push(word, word->waiting[i], error);
        }
        word->waiting_count = round_goes_on ? word->waiting_count : 0;
    }
    size_t kept = 0;
    for (size_t i = 0; i < word->count; i++) {
        if (word->symbols[i].first != NONE) {
            word->symbols[kept++] = word->symbols[i];
        }
    }
    word->count = kept;
    return status;
}

rung_status rung_bpe_merge_word(const rung_bpe *bpe, rung_bpe_word *word, rung_error *error)
{
    if (word->count <= SHORT_WORD) {
        merge_short(bpe, word);
        return RUNG_OK;
    }
    return merge_long(bpe, word, error);
}
