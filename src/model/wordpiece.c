/* wordpiece.c: see wordpiece.h. */
#include "model/wordpiece.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* Token texts are untrusted and may hold line breaks, which a one-line message may not: they are named by id only. */
rung_status rung_wordpiece_set_text(rung_wordpiece *model, int64_t id, const char *text, size_t bytes,
                                    rung_error *error)
{
    if (id < 0 || id > RUNG_MAX_TOKEN_ID) {
        return rung_fail(error, RUNG_LIMIT, "id %lld is outside 0 to %d", (long long)id, RUNG_MAX_TOKEN_ID);
    }
    if (rung_wordpiece_text(model, id) != NULL) {
        return rung_fail(error, RUNG_FORMAT, "id %lld is used by two tokens", (long long)id);
    }
    size_t needed = (size_t)id + 1;
    size_t capacity = model->id_capacity;
    rung_status status =
        rung_grow((void **)&model->offsets, &capacity, needed, sizeof *model->offsets, "token texts", error);
    if (status == RUNG_OK) {
        capacity = model->id_capacity;
        status = rung_grow((void **)&model->bytes, &capacity, needed, sizeof *model->bytes, "token texts", error);
    }
    if (status == RUNG_OK) {
        model->id_capacity = capacity;
        status = rung_grow((void **)&model->blob, &model->blob_capacity, model->blob_bytes + bytes + 1, 1,
                           "token texts", error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    for (; model->id_limit < needed; model->id_limit++) {
        model->offsets[model->id_limit] = SIZE_MAX;
        model->bytes[model->id_limit] = 0;
    }
    memcpy(model->blob + model->blob_bytes, text, bytes);
    model->blob[model->blob_bytes + bytes] = '\0';
    model->offsets[id] = model->blob_bytes;
    model->bytes[id] = (uint32_t)bytes;
    model->blob_bytes += bytes + 1;
    return RUNG_OK;
}

const char *rung_wordpiece_text(const rung_wordpiece *model, int64_t id)
{
    if (id < 0 || (uint64_t)id >= model->id_limit || model->offsets[id] == SIZE_MAX) {
        return NULL;
    }
    return model->blob + model->offsets[id];
}

void rung_wordpiece_deinit(rung_wordpiece *model)
{
    free(model->offsets);
    free(model->bytes);
    free(model->blob);
    free(model->slots);
    rung_trie_deinit(&model->trie);
    *model = (rung_wordpiece){0};
}

static inline uint64_t load_u64(const char *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

/* Folds a long word, 8 bytes at a time; `word` has 8 readable bytes after its end. */
static inline uint64_t long_key(const char *word, size_t bytes)
{
    uint64_t key = bytes * 0x9E3779B97F4A7C15U;
    size_t at = 0;
    for (; at + 8 < bytes; at += 8) {
        key = (key ^ load_u64(word + at)) * 0xFF51AFD7ED558CCDU;
        key ^= key >> 32;
    }
    /* The last 8 bytes overlap the ones before, so that nothing after the word is read. */
    return (key ^ load_u64(word + bytes - 8)) * 0xC4CEB9FE1A85EC53U;
}

static inline uint64_t word_key(const char *word, size_t bytes)
{
    if (bytes > 8) {
        return long_key(word, bytes);
    }
    /* Little-endian: the word's own bytes are the low ones. Big-endian machines are outside the supported platforms. */
    uint64_t value = load_u64(word);
    return bytes == 8 ? value : value & ((UINT64_C(1) << (8 * bytes)) - 1);
}

static inline size_t first_slot(const rung_wordpiece *model, uint64_t key, size_t bytes)
{
    uint64_t mixed = (key ^ bytes) * 0x9E3779B97F4A7C15U;
    mixed ^= mixed >> 32;
    return (size_t)((mixed * 0xD6E8FEB86659FD93U) >> (64 - model->slot_bits));
}

int32_t rung_wordpiece_find_padded(const rung_wordpiece *model, const char *word, size_t bytes)
{
    uint64_t key = word_key(word, bytes);
    size_t mask = ((size_t)1 << model->slot_bits) - 1;
    size_t at = first_slot(model, key, bytes);
    for (; model->slots[at].bytes != 0; at = (at + 1) & mask) {
        const rung_word_slot *slot = &model->slots[at];
        if (slot->key == key && slot->bytes == bytes &&
            (bytes <= 8 || memcmp(model->blob + model->offsets[slot->id], word, bytes) == 0)) {
            return slot->id;
        }
    }
    return -1;
}

int32_t rung_wordpiece_find(const rung_wordpiece *model, const char *word, size_t bytes)
{
    if (bytes > 8) {
        return rung_wordpiece_find_padded(model, word, bytes);
    }
    char padded[16] = {0};
    memcpy(padded, word, bytes);
    return rung_wordpiece_find_padded(model, padded, bytes);
}

static void insert_word(rung_wordpiece *model, int32_t id)
{
    char padded[16] = {0};
    const char *word = model->blob + model->offsets[id];
    size_t bytes = model->bytes[id];
    if (bytes <= 8) {
        memcpy(padded, word, bytes);
        word = padded;
    }
    uint64_t key = word_key(word, bytes);
    size_t mask = ((size_t)1 << model->slot_bits) - 1;
    size_t at = first_slot(model, key, bytes);
    while (model->slots[at].bytes != 0) {
        at = (at + 1) & mask;
    }
    model->slots[at] = (rung_word_slot){.key = key, .id = id, .bytes = (uint32_t)bytes};
}

rung_status rung_wordpiece_index(rung_wordpiece *model, const char *continuing_prefix, size_t prefix_bytes,
                                 rung_error *error)
{
    size_t tokens = 0;
    for (size_t id = 0; id < model->id_limit; id++) {
        tokens += model->offsets[id] != SIZE_MAX;
    }
    model->size = tokens;
    model->slot_bits = 4;
    while (((size_t)1 << model->slot_bits) < 2 * tokens) {
        model->slot_bits++;
    }
    model->slots = rung_alloc((size_t)1 << model->slot_bits, sizeof *model->slots, "word table", error);
    if (model->slots == NULL) {
        return RUNG_NO_MEMORY;
    }
    /* Tokens share about three quarters of their bytes with others in the vocabularies that exist. */
    rung_status reserved = rung_trie_reserve(&model->trie, model->blob_bytes / 4, error);
    if (reserved != RUNG_OK) {
        return reserved;
    }
    for (size_t id = 0; id < model->id_limit; id++) {
        /* The empty token is legal in a file and matches nothing. */
        if (model->offsets[id] == SIZE_MAX || model->bytes[id] == 0) {
            continue;
        }
        int32_t previous;
        rung_status status = rung_trie_add(&model->trie, model->blob + model->offsets[id], model->bytes[id],
                                           (int32_t)id, &previous, error);
        if (status != RUNG_OK) {
            return status;
        }
        if (previous >= 0) {
            return rung_fail(error, RUNG_FORMAT, "ids %d and %zu have the same text", previous, id);
        }
        insert_word(model, (int32_t)id);
    }
    model->continuing_node = rung_trie_find(&model->trie, continuing_prefix, prefix_bytes);
    return RUNG_OK;
}

size_t rung_wordpiece_piece(const rung_wordpiece *model, const char *word, size_t start, size_t bytes, int32_t *id)
{
    uint32_t from = start == 0 ? RUNG_TRIE_ROOT : model->continuing_node;
    if (model->trie.node_count == 0) {
        return 0;
    }
    return rung_trie_longest(&model->trie, from, word + start, bytes - start, id);
}
