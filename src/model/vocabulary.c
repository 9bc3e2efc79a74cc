/* vocabulary.c: see vocabulary.h. */
#include "model/vocabulary.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* Token texts are untrusted and may hold line breaks, which a one-line message may not: they are named by id only. */
rung_status rung_vocabulary_set_text(rung_vocabulary *vocabulary, int64_t id, const char *text, size_t bytes,
                                     rung_error *error)
{
    if (id < 0 || id > RUNG_MAX_TOKEN_ID) {
        return rung_fail(error, RUNG_LIMIT, "id %lld is outside 0 to %d", (long long)id, RUNG_MAX_TOKEN_ID);
    }
    if (rung_vocabulary_text(vocabulary, id) != NULL) {
        return rung_fail(error, RUNG_FORMAT, "id %lld is used by two tokens", (long long)id);
    }
    size_t needed = (size_t)id + 1;
    size_t capacity = vocabulary->id_capacity;
    rung_status status =
        rung_grow((void **)&vocabulary->offsets, &capacity, needed, sizeof *vocabulary->offsets, "token texts", error);
    if (status == RUNG_OK) {
        capacity = vocabulary->id_capacity;
        status =
            rung_grow((void **)&vocabulary->bytes, &capacity, needed, sizeof *vocabulary->bytes, "token texts", error);
    }
    if (status == RUNG_OK) {
        vocabulary->id_capacity = capacity;
        status = rung_grow((void **)&vocabulary->blob, &vocabulary->blob_capacity, vocabulary->blob_bytes + bytes + 1,
                           1, "token texts", error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    for (; vocabulary->id_limit < needed; vocabulary->id_limit++) {
        vocabulary->offsets[vocabulary->id_limit] = SIZE_MAX;
        vocabulary->bytes[vocabulary->id_limit] = 0;
    }
    memcpy(vocabulary->blob + vocabulary->blob_bytes, text, bytes);
    vocabulary->blob[vocabulary->blob_bytes + bytes] = '\0';
    vocabulary->offsets[id] = vocabulary->blob_bytes;
    vocabulary->bytes[id] = (uint32_t)bytes;
    vocabulary->blob_bytes += bytes + 1;
    return RUNG_OK;
}

const char *rung_vocabulary_text(const rung_vocabulary *vocabulary, int64_t id)
{
    if (id < 0 || (uint64_t)id >= vocabulary->id_limit || vocabulary->offsets[id] == SIZE_MAX) {
        return NULL;
    }
    return vocabulary->blob + vocabulary->offsets[id];
}

void rung_vocabulary_deinit(rung_vocabulary *vocabulary)
{
    free(vocabulary->offsets);
    free(vocabulary->bytes);
    free(vocabulary->blob);
    free(vocabulary->slots);
    *vocabulary = (rung_vocabulary){0};
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

static inline size_t first_slot(const rung_vocabulary *vocabulary, uint64_t key, size_t bytes)
{
    uint64_t mixed = (key ^ bytes) * 0x9E3779B97F4A7C15U;
    mixed ^= mixed >> 32;
    return (size_t)((mixed * 0xD6E8FEB86659FD93U) >> (64 - vocabulary->slot_bits));
}

int32_t rung_vocabulary_find_padded(const rung_vocabulary *vocabulary, const char *word, size_t bytes)
{
    uint64_t key = word_key(word, bytes);
    size_t mask = ((size_t)1 << vocabulary->slot_bits) - 1;
    size_t at = first_slot(vocabulary, key, bytes);
    for (; vocabulary->slots[at].bytes != 0; at = (at + 1) & mask) {
        const rung_word_slot *slot = &vocabulary->slots[at];
        if (slot->key == key && slot->bytes == bytes &&
            (bytes <= 8 || memcmp(vocabulary->blob + vocabulary->offsets[slot->id], word, bytes) == 0)) {
            return slot->id;
        }
    }
    return -1;
}

int32_t rung_vocabulary_find(const rung_vocabulary *vocabulary, const char *word, size_t bytes)
{
    if (bytes > 8) {
        return rung_vocabulary_find_padded(vocabulary, word, bytes);
    }
    char padded[16] = {0};
    memcpy(padded, word, bytes);
    return rung_vocabulary_find_padded(vocabulary, padded, bytes);
}

static void insert_word(rung_vocabulary *vocabulary, int32_t id)
{
    char padded[16] = {0};
    const char *word = vocabulary->blob + vocabulary->offsets[id];
    size_t bytes = vocabulary->bytes[id];
    if (bytes <= 8) {
        memcpy(padded, word, bytes);
        word = padded;
    }
    uint64_t key = word_key(word, bytes);
    size_t mask = ((size_t)1 << vocabulary->slot_bits) - 1;
    size_t at = first_slot(vocabulary, key, bytes);
    while (vocabulary->slots[at].bytes != 0) {
        at = (at + 1) & mask;
    }
    vocabulary->slots[at] = (rung_word_slot){.key = key, .id = id, .bytes = (uint32_t)bytes};
}

rung_status rung_vocabulary_index(rung_vocabulary *vocabulary, rung_error *error)
{
    size_t tokens = 0;
    for (size_t id = 0; id < vocabulary->id_limit; id++) {
        tokens += vocabulary->offsets[id] != SIZE_MAX;
    }
    vocabulary->size = tokens;
    vocabulary->slot_bits = 4;
    while (((size_t)1 << vocabulary->slot_bits) < 2 * tokens) {
        vocabulary->slot_bits++;
    }
    vocabulary->slots = rung_alloc((size_t)1 << vocabulary->slot_bits, sizeof *vocabulary->slots, "word table", error);
    if (vocabulary->slots == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t id = 0; id < vocabulary->id_limit; id++) {
        /* The empty token is legal in a file and matches nothing. */
        if (vocabulary->offsets[id] == SIZE_MAX || vocabulary->bytes[id] == 0) {
            continue;
        }
        int32_t previous =
            rung_vocabulary_find(vocabulary, vocabulary->blob + vocabulary->offsets[id], vocabulary->bytes[id]);
        if (previous >= 0) {
            return rung_fail(error, RUNG_FORMAT, "ids %d and %zu have the same text", previous, id);
        }
        insert_word(vocabulary, (int32_t)id);
    }
    return RUNG_OK;
}
