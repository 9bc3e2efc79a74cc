/* tokenizer_json.c: makes a tokenizer from the text of a tokenizer.json (Hugging Face tokenizers 0.23, format version
 * "1.0"). Called by the model loaders. `truncation`, `padding` and `decoder` are not read: the caller passes max_tokens
 * and nothing is decoded. What the file says is untrusted. */
#include "base/memory.h"
#include "base/utf8.h"
#include "model/json_field.h"
#include "model/tokenizer_build.h"
#include "model/tokenizer_template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An array of things that a message has to name by index. */
#define PATH_BYTES 64

rung_status rung_tokenizer_require_type(const json_t *root, const char *key, const char *wanted, const char *name,
                                        const json_t **object, rung_error *error)
{
    const json_t *type;
    const json_t *found = json_object_get(root, key);
    if (found != NULL && json_is_null(found)) {
        return rung_fail(error, RUNG_UNSUPPORTED, "%s: %s is null; rung supports %s only", name, key, wanted);
    }
    rung_status status = rung_json_field(root, "", key, JSON_OBJECT, name, object, error);
    if (status == RUNG_OK) {
        status = rung_json_field(*object, key, "type", JSON_STRING, name, &type, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    if (strcmp(json_string_value(type), wanted) != 0) {
        char quoted[RUNG_JSON_QUOTE_BYTES];
        return rung_fail(error, RUNG_UNSUPPORTED, "%s: %s \"%s\" is not supported yet; rung supports %s", name, key,
                         rung_json_quote(json_string_value(type), json_string_length(type), quoted), wanted);
    }
    return RUNG_OK;
}

rung_status rung_tokenizer_read_bool(const json_t *object, const char *path, const char *key, const char *name,
                                     bool *out, rung_error *error)
{
    const json_t *value;
    rung_status status = rung_json_field(object, path, key, JSON_TRUE, name, &value, error);
    if (status == RUNG_OK) {
        *out = json_is_true(value);
    }
    return status;
}

rung_status rung_tokenizer_read_vocabulary(rung_tokenizer *tokenizer, const json_t *model, const char *name,
                                           rung_error *error)
{
    const json_t *vocab;
    rung_status status = rung_json_field(model, "model", "vocab", JSON_OBJECT, name, &vocab, error);
    if (status != RUNG_OK) {
        return status;
    }
    char quoted[RUNG_JSON_QUOTE_BYTES];
    /* jansson's iteration takes the object without const, and changes nothing. */
    json_t *object = (json_t *)(uintptr_t)vocab;
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
        const char *token = json_object_iter_key(at);
        const json_t *id = json_object_iter_value(at);
        size_t bytes = json_object_iter_key_len(at);
        if (!json_is_integer(id)) {
            return rung_fail(error, RUNG_FORMAT, "%s: model.vocab: the id of token \"%s\" is %s; it must be an integer",
                             name, rung_json_quote(token, bytes, quoted), rung_json_type_name(id));
        }
        rung_error cause;
        status = rung_vocabulary_set_text(&tokenizer->vocabulary, json_integer_value(id), token, bytes, &cause);
        if (status != RUNG_OK) {
            return rung_fail(error, status, "%s: model.vocab: token \"%s\": %s", name,
                             rung_json_quote(token, bytes, quoted), cause.message);
        }
    }
    rung_error cause;
    status = rung_vocabulary_index(&tokenizer->vocabulary, &cause);
    return status == RUNG_OK ? status : rung_fail(error, status, "%s: model.vocab: %s", name, cause.message);
}

typedef struct pattern {
    char *text;
    size_t bytes;
    size_t capacity;
    rung_status status;
    rung_error *error;
} pattern;

static void append_to_pattern(void *context, uint32_t code_point, uint32_t begin, uint32_t end)
{
    (void)begin;
    (void)end;
    pattern *out = context;
    if (out->status == RUNG_OK) {
        out->status = rung_grow((void **)&out->text, &out->capacity, out->bytes + 4, 1, "added token", out->error);
    }
    if (out->status == RUNG_OK) {
        out->bytes += rung_utf8_put(code_point, out->text + out->bytes);
    }
}

static rung_status add_normalized(rung_tokenizer *tokenizer, const char *content, size_t bytes, rung_added_token token,
                                  rung_error *error)
{
    pattern normalized = {.error = error};
    rung_mark_run marks = {0};
    rung_status status =
        rung_bert_normalize(&tokenizer->normalizer, content, 0, bytes, &marks, append_to_pattern, &normalized, error);
    status = status == RUNG_OK ? normalized.status : status;
    if (status == RUNG_OK) {
        status = rung_added_set_add(&tokenizer->added_normalized, normalized.text, normalized.bytes, token, error);
    }
    rung_mark_run_deinit(&marks);
    free(normalized.text);
    return status;
}

/* The reference does not trust the id in the file: the vocabulary's own wins, and other tokens are numbered on from its
 * size. A file that says otherwise would give other ids here and there, so it is refused. */
static rung_status check_added_id(rung_tokenizer *tokenizer, const char *content, size_t bytes, int64_t id,
                                  int64_t *next_id, rung_error *error)
{
    int32_t known = rung_vocabulary_find(&tokenizer->vocabulary, content, bytes);
    if (known >= 0) {
        return known == id
                   ? RUNG_OK
                   : rung_fail(error, RUNG_FORMAT, "id %lld differs from %d in model.vocab", (long long)id, known);
    }
    if (id != *next_id) {
        return rung_fail(error, RUNG_FORMAT, "id %lld is not the next after the vocabulary, which is %lld",
                         (long long)id, (long long)*next_id);
    }
    *next_id += 1;
    return rung_vocabulary_set_text(&tokenizer->vocabulary, id, content, bytes, error);
}

typedef struct added_reader {
    rung_tokenizer *tokenizer;
    const char *name;
    rung_byte_trie contents; /* value: index in the file */
    int64_t next_id;
} added_reader;

static rung_status place_added_token(added_reader *reader, const json_t *content, size_t index, int64_t id,
                                     bool normalized, rung_added_token token, rung_error *error)
{
    const char *text = json_string_value(content);
    size_t bytes = json_string_length(content);
    int32_t previous;
    rung_status status = rung_trie_add(&reader->contents, text, bytes, (int32_t)index, &previous, error);
    if (status != RUNG_OK) {
        return status;
    }
    if (previous >= 0) {
        return rung_fail(error, RUNG_FORMAT, "it is added_tokens[%d] as well", previous);
    }
    status = check_added_id(reader->tokenizer, text, bytes, id, &reader->next_id, error);
    if (status != RUNG_OK) {
        return status;
    }
    token.id = (int32_t)id;
    if (normalized && reader->tokenizer->splitter != &rung_bert_splitter) {
        return rung_added_set_add(&reader->tokenizer->added_normalized, text, bytes, token, error);
    }
    if (normalized) {
        return add_normalized(reader->tokenizer, text, bytes, token, error);
    }
    return rung_added_set_add(&reader->tokenizer->added, text, bytes, token, error);
}

static rung_status read_added_token(added_reader *reader, const json_t *entry, size_t index, rung_error *error)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "added_tokens[%zu]", index);
    if (!json_is_object(entry)) {
        return rung_fail(error, RUNG_FORMAT, "%s: %s is %s; it must be an object", reader->name, path,
                         rung_json_type_name(entry));
    }
    const json_t *content, *id;
    rung_added_token token = {0};
    bool normalized = false;
    const struct {
        const char *key;
        bool *value;
    } flags[] = {{"single_word", &token.single_word},
                 {"lstrip", &token.lstrip},
                 {"rstrip", &token.rstrip},
                 {"normalized", &normalized}};
    rung_status status = rung_json_field(entry, path, "content", JSON_STRING, reader->name, &content, error);
    if (status == RUNG_OK) {
        status = rung_json_field(entry, path, "id", JSON_INTEGER, reader->name, &id, error);
    }
    for (size_t i = 0; i < sizeof flags / sizeof flags[0] && status == RUNG_OK; i++) {
        status = rung_tokenizer_read_bool(entry, path, flags[i].key, reader->name, flags[i].value, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    if (json_string_length(content) == 0) {
        return rung_fail(error, RUNG_FORMAT, "%s: field '%s.content' is empty", reader->name, path);
    }
    rung_error cause;
    status = place_added_token(reader, content, index, json_integer_value(id), normalized, token, &cause);
    if (status != RUNG_OK) {
        char quoted[RUNG_JSON_QUOTE_BYTES];
        return rung_fail(error, status, "%s: %s \"%s\": %s", reader->name, path,
                         rung_json_quote(json_string_value(content), json_string_length(content), quoted),
                         cause.message);
    }
    return RUNG_OK;
}

static rung_status read_added_tokens(rung_tokenizer *tokenizer, const json_t *root, const char *name, rung_error *error)
{
    const json_t *list;
    rung_status status = rung_json_field(root, "", "added_tokens", JSON_ARRAY, name, &list, error);
    added_reader reader = {tokenizer, name, {0}, (int64_t)tokenizer->vocabulary.size};
    for (size_t i = 0; status == RUNG_OK && i < json_array_size(list); i++) {
        status = read_added_token(&reader, json_array_get(list, i), i, error);
    }
    rung_trie_deinit(&reader.contents);
    return status;
}

/* Files of before 2020 leave the type out: BPE is then known by its merges, WordPiece by its continuing_subword_prefix. */
static rung_status read_kind(const json_t *root, const char *name, bool *is_bpe, rung_error *error)
{
    const json_t *model, *type;
    rung_status status = rung_json_field(root, "", "model", JSON_OBJECT, name, &model, error);
    if (status != RUNG_OK) {
        return status;
    }
    bool has_merges = json_object_get(model, "merges") != NULL;
    if (json_object_get(model, "type") == NULL &&
        (has_merges || json_object_get(model, "continuing_subword_prefix") != NULL)) {
        *is_bpe = has_merges;
        return RUNG_OK;
    }
    status = rung_json_field(model, "model", "type", JSON_STRING, name, &type, error);
    if (status != RUNG_OK) {
        return status;
    }
    const char *kind = json_string_value(type);
    *is_bpe = strcmp(kind, "BPE") == 0;
    if (!*is_bpe && strcmp(kind, "WordPiece") != 0) {
        char quoted[RUNG_JSON_QUOTE_BYTES];
        return rung_fail(error, RUNG_UNSUPPORTED,
                         "%s: model \"%s\" is not supported yet; rung supports WordPiece and BPE", name,
                         rung_json_quote(kind, json_string_length(type), quoted));
    }
    return RUNG_OK;
}

static rung_status read_tokenizer(rung_tokenizer *tokenizer, const json_t *root, const char *name, rung_error *error)
{
    if (!json_is_object(root)) {
        return rung_fail(error, RUNG_FORMAT, "%s: the file is %s; it must be an object", name,
                         rung_json_type_name(root));
    }
    bool is_bpe = false;
    rung_status status = read_kind(root, name, &is_bpe, error);
    if (status == RUNG_OK) {
        status = is_bpe ? rung_tokenizer_read_byte_level(tokenizer, root, name, error)
                        : rung_tokenizer_read_wordpiece(tokenizer, root, name, error);
    }
    if (status == RUNG_OK) {
        status = read_added_tokens(tokenizer, root, name, error);
    }
    if (status == RUNG_OK) {
        status = rung_read_post_processor(tokenizer, root, name, error);
    }
    if (status == RUNG_OK) {
        rung_tokenizer_seal(tokenizer);
    }
    return status;
}

rung_status rung_tokenizer_from_json(const json_t *root, const char *name, rung_tokenizer **tokenizer,
                                     rung_error *error)
{
    rung_tokenizer *made = rung_alloc(1, sizeof *made, name, error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = read_tokenizer(made, root, name, error);
    if (status != RUNG_OK) {
        rung_tokenizer_free(made);
        return status;
    }
    *tokenizer = made;
    return RUNG_OK;
}

rung_status rung_tokenizer_parse(const char *json, size_t json_bytes, const char *name, rung_tokenizer **tokenizer,
                                 rung_error *error)
{
    rung_error local = {RUNG_OK, ""};
    rung_error *cause = error == NULL ? &local : error;
    json_t *root = rung_json_parse(json, json_bytes, name, cause);
    if (root == NULL) {
        return cause->code;
    }
    rung_status status = rung_tokenizer_from_json(root, name, tokenizer, cause);
    json_decref(root);
    return status;
}
