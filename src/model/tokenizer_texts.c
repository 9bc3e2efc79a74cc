/* tokenizer_texts.c: where the texts of a tokenizer lie. See tokenizer_texts.h. Called by load_hf.c, load_packed.c and
 * pack_model.c. */
#include "model/tokenizer_texts.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/json_field.h"
#include "model/model_load.h"
#include "model/tokenizer_build.h"

#include <stdlib.h>
#include <string.h>

static const rung_tokenizer_slot SLOTS[] = {
    {"bpe.codes", "bpe_codes", offsetof(rung_tokenizer_files, bpe_codes)},
    {"merges.txt", "merges", offsetof(rung_tokenizer_files, merges_txt)},
    {"tokenizer.json", "tokenizer", offsetof(rung_tokenizer_files, tokenizer_json)},
    {"vocab.json", "vocab_json", offsetof(rung_tokenizer_files, vocab_json)},
    {"vocab.txt", "vocabulary", offsetof(rung_tokenizer_files, vocab_txt)},
};

/* As tokenizer.h lists them. */
static const char *const SETS[][2] = {
    {"bpe.codes", "vocab.txt"}, {"tokenizer.json", NULL}, {"vocab.json", "merges.txt"}, {"vocab.txt", NULL}};

const rung_tokenizer_slot *rung_tokenizer_slot_at(size_t index)
{
    return index < sizeof SLOTS / sizeof SLOTS[0] ? &SLOTS[index] : NULL;
}

rung_named_text *rung_tokenizer_slot_text(rung_tokenizer_files *files, const rung_tokenizer_slot *slot)
{
    return (rung_named_text *)(void *)((char *)files + slot->offset);
}

rung_status rung_named_text_read(const char *directory, const char *name, size_t max_bytes, rung_named_text *out,
                                 rung_error *error)
{
    char *path = rung_path_join(directory, name, error);
    if (path == NULL) {
        return RUNG_NO_MEMORY;
    }
    char *text = NULL;
    rung_status status = RUNG_OK;
    out->name = path;
    if (rung_path_exists(path)) {
        status = rung_read_file(path, max_bytes, &text, &out->bytes, error);
        out->text = text;
    }
    return status;
}

static bool has_file(const char *directory, const char *name)
{
    rung_error ignored;
    char *path = rung_path_join(directory, name, &ignored);
    bool exists = path != NULL && rung_path_exists(path);
    free(path);
    return exists;
}

static bool has_set(const char *directory, const char *const set[2])
{
    return has_file(directory, set[0]) && (set[1] == NULL || has_file(directory, set[1]));
}

static rung_status read_slot(const char *directory, const char *file, rung_tokenizer_files *files, rung_error *error)
{
    for (size_t i = 0; i < sizeof SLOTS / sizeof SLOTS[0]; i++) {
        if (strcmp(SLOTS[i].file, file) == 0) {
            return rung_named_text_read(directory, file, RUNG_TOKENIZER_MAX_BYTES,
                                        rung_tokenizer_slot_text(files, &SLOTS[i]), error);
        }
    }
    return RUNG_OK;
}

rung_status rung_tokenizer_texts_read(const char *directory, rung_tokenizer_files *files, rung_error *error)
{
    rung_status status = rung_named_text_read(directory, "tokenizer_config.json", RUNG_CONFIG_MAX_BYTES,
                                              &files->tokenizer_config, error);
    size_t set = 0;
    while (set < sizeof SETS / sizeof SETS[0] && !has_set(directory, SETS[set])) {
        set++;
    }
    for (size_t i = 0; status == RUNG_OK && set < sizeof SETS / sizeof SETS[0] && i < 2 && SETS[set][i] != NULL; i++) {
        status = read_slot(directory, SETS[set][i], files, error);
    }
    return status;
}

void rung_tokenizer_texts_free(rung_tokenizer_files *files)
{
    for (size_t i = 0; i < sizeof SLOTS / sizeof SLOTS[0]; i++) {
        const rung_named_text *text = rung_tokenizer_slot_text(files, &SLOTS[i]);
        free((char *)(uintptr_t)text->name);
        free((char *)(uintptr_t)text->text);
    }
    free((char *)(uintptr_t)files->tokenizer_config.name);
    free((char *)(uintptr_t)files->tokenizer_config.text);
    *files = (rung_tokenizer_files){0};
}

static rung_status copy_reading_fields(const rung_named_text *config, json_t *kept, rung_error *error)
{
    static const char *const fields[] = {"add_prefix_space", "do_lower_case",          "normalization",
                                         "strip_accents",    "tokenize_chinese_chars", "tokenizer_class"};
    json_t *root = rung_json_parse(config->text, config->bytes, config->name, error);
    if (root == NULL) {
        return RUNG_FORMAT;
    }
    int failed = 0;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        json_t *value = json_object_get(root, fields[i]);
        if (value != NULL) {
            failed |= json_object_set(kept, fields[i], value);
        }
    }
    json_decref(root);
    return failed == 0 ? RUNG_OK : rung_fail_memory(error, config->name, config->bytes);
}

rung_status rung_tokenizer_config_keep(const rung_named_text *config, size_t max_tokens, bool reading, char **text,
                                       rung_error *error)
{
    rung_error local = {0};
    error = error != NULL ? error : &local;
    json_t *kept = json_pack("{s:I}", "model_max_length", (json_int_t)max_tokens);
    rung_status status = kept != NULL ? RUNG_OK : rung_fail_memory(error, "tokenizer_config.json", 0);
    if (status == RUNG_OK && reading && config->text != NULL && copy_reading_fields(config, kept, error) != RUNG_OK) {
        status = error->code;
    }
    char *made = status == RUNG_OK ? json_dumps(kept, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(kept);
    if (status == RUNG_OK && made == NULL) {
        status = rung_fail_memory(error, "tokenizer_config.json", 0);
    }
    if (status == RUNG_OK) {
        *text = made;
    }
    return status;
}

/* "model.vocab" when it is an object of a WordPiece model: one without merges, which BPE would have. */
static json_t *find_wordpiece_vocabulary(json_t *root)
{
    json_t *model = json_object_get(root, "model");
    const json_t *type = json_object_get(model, "type");
    json_t *vocabulary = json_object_get(model, "vocab");
    bool wordpiece = type != NULL ? json_is_string(type) && strcmp(json_string_value(type), "WordPiece") == 0
                                  : json_object_get(model, "merges") == NULL;
    return wordpiece && json_is_object(vocabulary) ? vocabulary : NULL;
}

static bool fits_a_line(const char *token, size_t bytes)
{
    return bytes > 0 && bytes == strlen(token) && strchr(token, '\n') == NULL && strchr(token, '\r') == NULL;
}

/* tokens[id] for all ids below `count`; false when an id is not there or a token fits no line. */
static bool order_tokens(json_t *vocabulary, const char **tokens, size_t count)
{
    for (void *at = json_object_iter(vocabulary); at != NULL; at = json_object_iter_next(vocabulary, at)) {
        const json_t *id = json_object_iter_value(at);
        json_int_t value = json_integer_value(id);
        const char *token = json_object_iter_key(at);
        if (!json_is_integer(id) || value < 0 || (size_t)value >= count || tokens[value] != NULL ||
            !fits_a_line(token, json_object_iter_key_len(at))) {
            return false;
        }
        tokens[value] = token;
    }
    return true; /* as many as there are ids, and no id twice: all are there */
}

/* Moves the vocabulary out of the file; *lines stays NULL when lines cannot say it. */
static rung_status take_lines(json_t *root, const char *name, char **lines, rung_error *error)
{
    json_t *vocabulary = find_wordpiece_vocabulary(root);
    size_t count = json_object_size(vocabulary);
    if (count == 0) {
        return RUNG_OK;
    }
    const char **tokens = rung_alloc(count, sizeof *tokens, name, error);
    if (tokens == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_buffer text = {0};
    bool ordered = order_tokens(vocabulary, tokens, count);
    for (size_t i = 0; ordered && i < count; i++) {
        rung_buffer_text(&text, tokens[i]);
        rung_buffer_text(&text, "\n");
    }
    free(tokens);
    rung_status status = rung_buffer_check(&text, name, error);
    if (status == RUNG_OK && ordered) {
        *lines = rung_copy_text(text.data, text.length, name, error);
        status = *lines != NULL ? RUNG_OK : RUNG_NO_MEMORY;
    }
    if (status == RUNG_OK && ordered) {
        json_object_del(json_object_get(root, "model"), "vocab");
    }
    rung_buffer_deinit(&text);
    return status;
}

rung_status rung_tokenizer_split_vocabulary(const rung_named_text *tokenizer_json, char **json, char **lines,
                                            rung_error *error)
{
    rung_error local = {0};
    error = error != NULL ? error : &local;
    json_t *root = rung_json_parse(tokenizer_json->text, tokenizer_json->bytes, tokenizer_json->name, error);
    if (root == NULL) {
        return error->code;
    }
    char *taken = NULL;
    rung_status status = take_lines(root, tokenizer_json->name, &taken, error);
    char *rest = status == RUNG_OK ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (status == RUNG_OK && rest == NULL) {
        status = rung_fail_memory(error, tokenizer_json->name, tokenizer_json->bytes);
    }
    if (status != RUNG_OK) {
        free(taken);
        return status;
    }
    *json = rest;
    *lines = taken;
    return RUNG_OK;
}

/* A token a line, in order of id, becomes an object from token to id. */
static rung_status read_lines(const rung_named_text *lines, json_t *vocabulary, rung_error *error)
{
    const char *end = lines->text + lines->bytes;
    json_int_t id = 0;
    for (const char *token = lines->text; token < end; id++) {
        const char *newline = memchr(token, '\n', (size_t)(end - token));
        size_t bytes = (size_t)((newline != NULL ? newline : end) - token);
        const char *fault = NULL;
        if (bytes == 0) {
            fault = "it is empty";
        } else if (json_object_getn(vocabulary, token, bytes) != NULL) {
            fault = "the same token is on a line before";
        } else if (json_object_setn_new(vocabulary, token, bytes, json_integer(id)) != 0) {
            fault = "it is not valid UTF-8, or there is no memory for it";
        }
        if (fault != NULL) {
            return rung_fail(error, RUNG_FORMAT, "%s: line %" JSON_INTEGER_FORMAT ": %s", lines->name, id + 1, fault);
        }
        token += bytes + (newline != NULL);
    }
    return RUNG_OK;
}

rung_status rung_tokenizer_join_vocabulary(const rung_named_text *tokenizer_json, const rung_named_text *lines,
                                           rung_tokenizer **tokenizer, rung_error *error)
{
    rung_error local = {0};
    error = error != NULL ? error : &local;
    if (lines->text == NULL) {
        return rung_tokenizer_parse(tokenizer_json->text, tokenizer_json->bytes, tokenizer_json->name, tokenizer,
                                    error);
    }
    json_t *root = rung_json_parse(tokenizer_json->text, tokenizer_json->bytes, tokenizer_json->name, error);
    if (root == NULL) {
        return error->code;
    }
    rung_status status = RUNG_OK;
    json_t *model = json_object_get(root, "model");
    if (json_is_object(model) && json_object_get(model, "vocab") == NULL) {
        json_t *vocabulary = json_object();
        status = read_lines(lines, vocabulary, error);
        if (json_object_set_new(model, "vocab", vocabulary) != 0 && status == RUNG_OK) {
            status = rung_fail_memory(error, lines->name, lines->bytes);
        }
    }
    if (status == RUNG_OK) {
        status = rung_tokenizer_from_json(root, tokenizer_json->name, tokenizer, error);
    }
    json_decref(root);
    return status;
}
