/* tokenizer_json.c: makes a tokenizer from the text of a tokenizer.json (Hugging Face tokenizers 0.23, format version
 * "1.0"). Called by the model loaders. `truncation`, `padding` and `decoder` are not read: the caller passes max_tokens
 * and nothing is decoded. What the file says is untrusted. */
#include "base/buffer.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "model/json_field.h"
#include "model/tokenizer_internal.h"
#include "model/tokenizer_template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An array of things that a message has to name by index. */
#define PATH_BYTES 64

static rung_status require_type(const json_t *root, const char *key, const char *wanted, const char *name,
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

static rung_status read_bool(const json_t *object, const char *path, const char *key, const char *name, bool *out,
                             rung_error *error)
{
    const json_t *value;
    rung_status status = rung_json_field(object, path, key, JSON_TRUE, name, &value, error);
    if (status == RUNG_OK) {
        *out = json_is_true(value);
    }
    return status;
}

static rung_status read_normalizer(rung_tokenizer *tokenizer, const json_t *root, const char *name, rung_error *error)
{
    rung_bert_normalizer *normalizer = &tokenizer->normalizer;
    const json_t *object;
    rung_status status = require_type(root, "normalizer", "BertNormalizer", name, &object, error);
    if (status == RUNG_OK) {
        status = read_bool(object, "normalizer", "clean_text", name, &normalizer->clean_text, error);
    }
    if (status == RUNG_OK) {
        status =
            read_bool(object, "normalizer", "handle_chinese_chars", name, &normalizer->handle_chinese_chars, error);
    }
    if (status == RUNG_OK) {
        status = read_bool(object, "normalizer", "lowercase", name, &normalizer->lowercase, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    const json_t *strip = json_object_get(object, "strip_accents");
    if (strip == NULL || json_is_null(strip)) {
        normalizer->strip_accents = normalizer->lowercase;
        return RUNG_OK;
    }
    return read_bool(object, "normalizer", "strip_accents", name, &normalizer->strip_accents, error);
}

/* Files of before 2020 leave the type out; a WordPiece model is then known by its continuing_subword_prefix and by
 * having no merges, which BPE would have. */
static rung_status check_model_type(const json_t *root, const char *name, const json_t **model, rung_error *error)
{
    rung_status status = rung_json_field(root, "", "model", JSON_OBJECT, name, model, error);
    if (status != RUNG_OK) {
        return status;
    }
    if (json_object_get(*model, "type") == NULL && json_object_get(*model, "merges") == NULL &&
        json_object_get(*model, "continuing_subword_prefix") != NULL) {
        return RUNG_OK;
    }
    return require_type(root, "model", "WordPiece", name, model, error);
}

static rung_status set_token(rung_tokenizer *tokenizer, const char *token, size_t bytes, int64_t id, const char *name,
                             rung_error *error)
{
    rung_error cause;
    rung_status status = rung_wordpiece_set_text(&tokenizer->model, id, token, bytes, &cause);
    if (status != RUNG_OK) {
        char quoted[RUNG_JSON_QUOTE_BYTES];
        return rung_fail(error, status, "%s: model.vocab: token \"%s\": %s", name,
                         rung_json_quote(token, bytes, quoted), cause.message);
    }
    return RUNG_OK;
}

/* All pairs were looked at before: they are plain. */
static rung_status read_pairs(rung_tokenizer *tokenizer, const char *name, rung_error *error)
{
    rung_json_pair pair;
    const char *at = NULL;
    rung_status status = RUNG_OK;
    while (status == RUNG_OK && rung_json_pairs_next(tokenizer->vocab, &at, &pair) == RUNG_JSON_PAIR) {
        status = set_token(tokenizer, pair.name, pair.bytes, pair.number, name, error);
    }
    return status;
}

static rung_status read_vocabulary(rung_tokenizer *tokenizer, const json_t *model, const char *name, rung_error *error)
{
    const json_t *vocab;
    rung_status status = rung_json_field(model, "model", "vocab", JSON_OBJECT, name, &vocab, error);
    if (status != RUNG_OK) {
        return status;
    }
    if (tokenizer->vocab != NULL) {
        return read_pairs(tokenizer, name, error);
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
        status = set_token(tokenizer, token, bytes, json_integer_value(id), name, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    return RUNG_OK;
}

static rung_status read_unknown_token(rung_tokenizer *tokenizer, const json_t *model, const char *name,
                                      rung_error *error)
{
    const json_t *unknown;
    rung_status status = rung_json_field(model, "model", "unk_token", JSON_STRING, name, &unknown, error);
    if (status != RUNG_OK) {
        return status;
    }
    tokenizer->model.unknown_id =
        rung_wordpiece_find(&tokenizer->model, json_string_value(unknown), json_string_length(unknown));
    if (tokenizer->model.unknown_id < 0) {
        char quoted[RUNG_JSON_QUOTE_BYTES];
        return rung_fail(error, RUNG_FORMAT, "%s: model.unk_token \"%s\" is not in model.vocab", name,
                         rung_json_quote(json_string_value(unknown), json_string_length(unknown), quoted));
    }
    return RUNG_OK;
}

static rung_status read_model(rung_tokenizer *tokenizer, const json_t *root, const char *name, const json_t **prefix,
                              rung_error *error)
{
    const json_t *model, *max_chars;
    rung_status status = check_model_type(root, name, &model, error);
    if (status == RUNG_OK) {
        status = rung_json_field(model, "model", "continuing_subword_prefix", JSON_STRING, name, prefix, error);
    }
    if (status == RUNG_OK) {
        status = rung_json_field(model, "model", "max_input_chars_per_word", JSON_INTEGER, name, &max_chars, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    long long limit = json_integer_value(max_chars);
    if (limit < 0 || limit > RUNG_MAX_WORD_CHARS) {
        return rung_fail(error, RUNG_LIMIT, "%s: model.max_input_chars_per_word is %lld; it must be 0 to %d", name,
                         limit, RUNG_MAX_WORD_CHARS);
    }
    tokenizer->model.max_word_chars = (size_t)limit;
    status = read_vocabulary(tokenizer, model, name, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_error cause;
    status = rung_wordpiece_index(&tokenizer->model, json_string_value(*prefix), json_string_length(*prefix), &cause);
    if (status != RUNG_OK) {
        return rung_fail(error, status, "%s: model.vocab: %s", name, cause.message);
    }
    return read_unknown_token(tokenizer, model, name, error);
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
    int32_t known = rung_wordpiece_find(&tokenizer->model, content, bytes);
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
    return rung_wordpiece_set_text(&tokenizer->model, id, content, bytes, error);
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
        status = read_bool(entry, path, flags[i].key, reader->name, flags[i].value, error);
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
    added_reader reader = {tokenizer, name, {0}, (int64_t)tokenizer->model.size};
    for (size_t i = 0; status == RUNG_OK && i < json_array_size(list); i++) {
        status = read_added_token(&reader, json_array_get(list, i), i, error);
    }
    rung_trie_deinit(&reader.contents);
    return status;
}

static void hash_u64(rung_sha256 *hash, uint64_t value)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    rung_sha256_update(hash, bytes, sizeof bytes);
}

static void hash_added(rung_sha256 *hash, const rung_wordpiece *model, const rung_added_set *set)
{
    hash_u64(hash, set->count);
    for (size_t i = 0; i < set->count; i++) {
        const rung_added_token *token = &set->tokens[i];
        hash_u64(hash, (uint64_t)token->id);
        hash_u64(hash, model->bytes[token->id]);
        hash_u64(hash, (uint64_t)token->single_word | (uint64_t)token->lstrip << 1 | (uint64_t)token->rstrip << 2);
    }
}

static void hash_template(rung_sha256 *hash, const rung_template *template)
{
    hash_u64(hash, template->count);
    for (size_t i = 0; i < template->count; i++) {
        const rung_template_piece *piece = &template->pieces[i];
        hash_u64(hash, (uint64_t)(int64_t)piece->id);
        hash_u64(hash, piece->sequence);
        hash_u64(hash, piece->type_id);
    }
}

static void hash_tokenizer(rung_tokenizer *tokenizer, const json_t *prefix)
{
    const rung_wordpiece *model = &tokenizer->model;
    rung_sha256 hash;
    rung_sha256_init(&hash);
    rung_sha256_update(&hash, "rung WordPiece 1", 16);
    hash_u64(&hash, tokenizer->normalizer.clean_text);
    hash_u64(&hash, tokenizer->normalizer.handle_chinese_chars);
    hash_u64(&hash, tokenizer->normalizer.strip_accents);
    hash_u64(&hash, tokenizer->normalizer.lowercase);
    hash_u64(&hash, json_string_length(prefix));
    rung_sha256_update(&hash, json_string_value(prefix), json_string_length(prefix));
    hash_u64(&hash, model->max_word_chars);
    hash_u64(&hash, (uint64_t)model->unknown_id);
    hash_u64(&hash, model->size);
    hash_u64(&hash, model->id_limit);
    /* A NUL ends each text: vocabulary texts hold none, and the lengths of added ones follow. 0xFF is in no text. */
    for (size_t id = 0; id < model->id_limit; id++) {
        const char *text = rung_wordpiece_text(model, (int64_t)id);
        rung_sha256_update(&hash, text != NULL ? text : "\xFF", text != NULL ? model->bytes[id] + (size_t)1 : 1);
    }
    hash_added(&hash, model, &tokenizer->added);
    hash_added(&hash, model, &tokenizer->added_normalized);
    hash_template(&hash, &tokenizer->single);
    hash_template(&hash, &tokenizer->pair);
    rung_sha256_hex(&hash, tokenizer->hash);
}

static rung_status read_tokenizer(rung_tokenizer *tokenizer, const json_t *root, const char *name, rung_error *error)
{
    if (!json_is_object(root)) {
        return rung_fail(error, RUNG_FORMAT, "%s: the file is %s; it must be an object", name,
                         rung_json_type_name(root));
    }
    const json_t *prefix, *pre_tokenizer;
    rung_status status = read_model(tokenizer, root, name, &prefix, error);
    if (status == RUNG_OK) {
        status = read_normalizer(tokenizer, root, name, error);
    }
    if (status == RUNG_OK) {
        status = require_type(root, "pre_tokenizer", "BertPreTokenizer", name, &pre_tokenizer, error);
    }
    if (status == RUNG_OK) {
        status = read_added_tokens(tokenizer, root, name, error);
    }
    if (status == RUNG_OK) {
        status = rung_read_post_processor(tokenizer, root, name, error);
    }
    if (status == RUNG_OK) {
        rung_tokenizer_classify_ascii(tokenizer);
        hash_tokenizer(tokenizer, prefix);
    }
    return status;
}

/* A tree without the vocabulary, when that is plain; NULL: a tree of the whole is needed, if only to say what is wrong. */
static json_t *parse_without_vocabulary(const char *json, size_t json_bytes, const char *name, rung_json_pairs *vocab)
{
    rung_json_pair pair;
    const char *at = NULL;
    rung_json_pairs_step step = RUNG_JSON_PAIR;
    if (!rung_json_pairs_find(json, json_bytes, "model", "vocab", vocab)) {
        return NULL;
    }
    while (step == RUNG_JSON_PAIR) {
        step = rung_json_pairs_next(vocab, &at, &pair);
    }
    if (step == RUNG_JSON_NOT_PLAIN) {
        return NULL;
    }
    rung_buffer rest = {0};
    rung_buffer_append(&rest, json, (size_t)(vocab->begin - json));
    rung_buffer_text(&rest, "{}");
    rung_buffer_append(&rest, vocab->end, (size_t)(json + json_bytes - vocab->end));
    json_t *root = rest.failed ? NULL : rung_json_parse(rest.data, rest.length, name, NULL);
    rung_buffer_deinit(&rest);
    return root;
}

rung_status rung_tokenizer_parse(const char *json, size_t json_bytes, const char *name, rung_tokenizer **tokenizer,
                                 rung_error *error)
{
    rung_error local = {RUNG_OK, ""};
    rung_error *cause = error == NULL ? &local : error;
    rung_json_pairs vocab;
    json_t *root = parse_without_vocabulary(json, json_bytes, name, &vocab);
    bool apart = root != NULL;
    if (root == NULL) {
        root = rung_json_parse(json, json_bytes, name, cause);
    }
    if (root == NULL) {
        return cause->code;
    }
    rung_status status = RUNG_NO_MEMORY;
    rung_tokenizer *made = rung_alloc(1, sizeof *made, name, cause);
    if (made != NULL) {
        made->vocab = apart ? &vocab : NULL;
        status = read_tokenizer(made, root, name, cause);
        made->vocab = NULL;
    }
    json_decref(root);
    if (status != RUNG_OK) {
        rung_tokenizer_free(made);
        return status;
    }
    *tokenizer = made;
    return RUNG_OK;
}

void rung_tokenizer_free(rung_tokenizer *tokenizer)
{
    if (tokenizer == NULL) {
        return;
    }
    rung_wordpiece_deinit(&tokenizer->model);
    rung_added_set_deinit(&tokenizer->added);
    rung_added_set_deinit(&tokenizer->added_normalized);
    free(tokenizer->single.pieces);
    free(tokenizer->pair.pieces);
    free(tokenizer);
}
