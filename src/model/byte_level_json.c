/* byte_level_json.c: the members of a tokenizer.json that byte-level BPE has (RoBERTa); see tokenizer_build.h. */
#include "base/memory.h"
#include "base/utf8.h"
#include "model/byte_level.h"
#include "model/json_field.h"
#include "model/tokenizer_build.h"

#include <stdlib.h>
#include <string.h>

/* Tokens with more bytes are merged whenever they come up. */
#define MAX_WHOLE_WORD_BYTES 64

/* A member that would change the model unless it is missing, null or the empty string. */
static rung_status require_absent(const json_t *model, const char *key, const char *name, rung_error *error)
{
    const json_t *value = json_object_get(model, key);
    if (value == NULL || json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0)) {
        return RUNG_OK;
    }
    return rung_fail(error, RUNG_UNSUPPORTED, "%s: model.%s is %s; rung supports byte-level BPE without it", name, key,
                     rung_json_type_name(value));
}

/* A flag that newer files have: `supported` is the only value that rung supports, and what a missing one means. */
static rung_status require_flag(const json_t *object, const char *path, const char *key, bool supported,
                                const char *name, rung_error *error)
{
    bool value = supported;
    rung_status status = RUNG_OK;
    if (json_object_get(object, key) != NULL) {
        status = rung_tokenizer_read_bool(object, path, key, name, &value, error);
    }
    if (status == RUNG_OK && value != supported) {
        return rung_fail(error, RUNG_UNSUPPORTED, "%s: %s.%s is %s; rung supports %s", name, path, key,
                         value ? "true" : "false", supported ? "true" : "false");
    }
    return status;
}

/* With a token for every byte no text is unknown, so that unk_token, fuse_unk and byte_fallback change nothing. */
static rung_status find_byte_ids(rung_tokenizer *tokenizer, const char *name, rung_error *error)
{
    for (size_t byte = 0; byte < 256; byte++) {
        char text[4];
        size_t bytes = rung_utf8_put(rung_byte_level_char((uint8_t)byte), text);
        int32_t id = rung_vocabulary_find(&tokenizer->vocabulary, text, bytes);
        if (id < 0) {
            return rung_fail(error, RUNG_UNSUPPORTED,
                             "%s: model.vocab has no token for the byte 0x%02zX; rung supports vocabularies that have "
                             "one for each byte",
                             name, byte);
        }
        tokenizer->byte_level.byte_ids[byte] = id;
    }
    return RUNG_OK;
}

/* The two texts of a merge: "a b" or ["a", "b"]. */
static bool split_merge(const json_t *merge, rung_text parts[2])
{
    if (json_is_string(merge)) {
        const char *text = json_string_value(merge);
        size_t bytes = json_string_length(merge);
        const char *blank = memchr(text, ' ', bytes);
        if (blank == NULL || memchr(blank + 1, ' ', bytes - (size_t)(blank + 1 - text)) != NULL) {
            return false;
        }
        parts[0] = (rung_text){text, (size_t)(blank - text)};
        parts[1] = (rung_text){blank + 1, bytes - parts[0].bytes - 1};
        return true;
    }
    for (size_t i = 0; i < 2; i++) {
        const json_t *part = json_array_get(merge, i);
        if (!json_is_string(part)) {
            return false;
        }
        parts[i] = (rung_text){json_string_value(part), json_string_length(part)};
    }
    return json_array_size(merge) == 2;
}

typedef struct merge_reader {
    rung_tokenizer *tokenizer;
    const char *name;
    char *joined;
    size_t capacity;
} merge_reader;

static rung_status add_merge(merge_reader *reader, const json_t *merge, size_t index, rung_error *error)
{
    rung_text parts[2];
    if (!split_merge(merge, parts)) {
        return rung_fail(error, RUNG_FORMAT, "%s: model.merges[%zu] is not a pair of tokens", reader->name, index);
    }
    size_t bytes = parts[0].bytes + parts[1].bytes;
    rung_status status = rung_grow((void **)&reader->joined, &reader->capacity, bytes + 1, 1, "merged token", error);
    if (status != RUNG_OK) {
        return status;
    }
    memcpy(reader->joined, parts[0].data, parts[0].bytes);
    memcpy(reader->joined + parts[0].bytes, parts[1].data, parts[1].bytes);
    const rung_text texts[3] = {parts[0], parts[1], {reader->joined, bytes}};
    int32_t ids[3];
    for (size_t i = 0; i < 3; i++) {
        ids[i] = rung_vocabulary_find(&reader->tokenizer->vocabulary, texts[i].data, texts[i].bytes);
        if (ids[i] < 0) {
            char quoted[RUNG_JSON_QUOTE_BYTES];
            return rung_fail(error, RUNG_FORMAT, "%s: model.merges[%zu]: \"%s\" is not in model.vocab", reader->name,
                             index, rung_json_quote(texts[i].data, texts[i].bytes, quoted));
        }
    }
    rung_bpe_add(&reader->tokenizer->byte_level.bpe, ids[0], ids[1], (uint32_t)index, ids[2]);
    return RUNG_OK;
}

static rung_status read_merges(rung_tokenizer *tokenizer, const json_t *model, const char *name, rung_error *error)
{
    const json_t *merges;
    rung_status status = rung_json_field(model, "model", "merges", JSON_ARRAY, name, &merges, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_error cause;
    status = rung_bpe_reserve(&tokenizer->byte_level.bpe, json_array_size(merges), &cause);
    if (status != RUNG_OK) {
        return rung_fail(error, status, "%s: model.merges: %s", name, cause.message);
    }
    merge_reader reader = {.tokenizer = tokenizer, .name = name};
    for (size_t i = 0; status == RUNG_OK && i < json_array_size(merges); i++) {
        status = add_merge(&reader, json_array_get(merges, i), i, error);
    }
    free(reader.joined);
    return status;
}

/* Notes the bytes of a token that they merge to. */
static rung_status add_whole_word(rung_tokenizer *tokenizer, int32_t id, rung_bpe_word *word, rung_error *error)
{
    const char *text = rung_vocabulary_text(&tokenizer->vocabulary, id);
    size_t text_bytes = text == NULL ? 0 : tokenizer->vocabulary.bytes[id];
    char bytes[2 * MAX_WHOLE_WORD_BYTES];
    size_t count = 0;
    if (text_bytes == 0 || text_bytes > sizeof bytes || !rung_byte_level_decode(text, text_bytes, bytes, &count) ||
        count > MAX_WHOLE_WORD_BYTES) {
        return RUNG_OK;
    }
    word->count = 0;
    for (size_t i = 0; i < count; i++) {
        rung_bpe_word_append(word, tokenizer->byte_level.byte_ids[(uint8_t)bytes[i]]);
    }
    rung_status status = rung_bpe_merge_word(&tokenizer->byte_level.bpe, word, error);
    if (status == RUNG_OK && word->count == 1 && word->symbols[0].id == id) {
        status = rung_vocabulary_set_text(&tokenizer->byte_level.words, id, bytes, count, error);
    }
    return status;
}

static rung_status find_whole_words(rung_tokenizer *tokenizer, rung_error *error)
{
    rung_bpe_word word = {0};
    rung_status status = rung_bpe_word_reserve(&word, MAX_WHOLE_WORD_BYTES, error);
    for (size_t id = 0; status == RUNG_OK && id < tokenizer->vocabulary.id_limit; id++) {
        status = add_whole_word(tokenizer, (int32_t)id, &word, error);
    }
    rung_bpe_word_deinit(&word);
    return status == RUNG_OK ? rung_vocabulary_index(&tokenizer->byte_level.words, error) : status;
}

static rung_status read_model(rung_tokenizer *tokenizer, const json_t *root, const char *name, rung_error *error)
{
    static const char *const absent[] = {"dropout", "continuing_subword_prefix", "end_of_word_suffix"};
    const json_t *model;
    rung_status status = rung_json_field(root, "", "model", JSON_OBJECT, name, &model, error);
    for (size_t i = 0; status == RUNG_OK && i < sizeof absent / sizeof absent[0]; i++) {
        status = require_absent(model, absent[i], name, error);
    }
    if (status == RUNG_OK) {
        status = require_flag(model, "model", "ignore_merges", false, name, error);
    }
    if (status == RUNG_OK) {
        status = rung_tokenizer_read_vocabulary(tokenizer, model, name, error);
    }
    if (status == RUNG_OK) {
        status = find_byte_ids(tokenizer, name, error);
    }
    if (status == RUNG_OK) {
        status = read_merges(tokenizer, model, name, error);
    }
    return status == RUNG_OK ? find_whole_words(tokenizer, error) : status;
}

rung_status rung_tokenizer_read_byte_level(rung_tokenizer *tokenizer, const json_t *root, const char *name,
                                           rung_error *error)
{
    const json_t *normalizer = json_object_get(root, "normalizer");
    if (normalizer != NULL && !json_is_null(normalizer)) {
        const json_t *type = json_object_get(normalizer, "type");
        const char *kind = json_is_string(type) ? json_string_value(type) : rung_json_type_name(normalizer);
        char quoted[RUNG_JSON_QUOTE_BYTES];
        return rung_fail(error, RUNG_UNSUPPORTED, "%s: normalizer \"%s\" is not supported with BPE; rung supports null",
                         name, rung_json_quote(kind, strlen(kind), quoted));
    }
    const json_t *pre_tokenizer;
    rung_status status = rung_tokenizer_require_type(root, "pre_tokenizer", "ByteLevel", name, &pre_tokenizer, error);
    if (status == RUNG_OK) {
        status = require_flag(pre_tokenizer, "pre_tokenizer", "use_regex", true, name, error);
    }
    if (status == RUNG_OK) {
        status = rung_tokenizer_read_bool(pre_tokenizer, "pre_tokenizer", "add_prefix_space", name,
                                          &tokenizer->byte_level.add_prefix_space, error);
    }
    tokenizer->splitter = &rung_byte_level_splitter;
    return status == RUNG_OK ? read_model(tokenizer, root, name, error) : status;
}
