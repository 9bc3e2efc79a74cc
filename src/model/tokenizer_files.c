/* tokenizer_files.c: chooses which of a directory's tokenizer files make the tokenizer, and says the older ones in the terms of a
 * tokenizer.json, as transformers does when it reads them. Called by the model loaders. The texts are untrusted. */
#include "base/utf8.h"
#include "model/json_field.h"
#include "model/tokenizer_build.h"
#include "model/tokenizer_texts.h"

#include <string.h>

typedef enum file_kind { KIND_NONE, KIND_TWEET, KIND_JSON, KIND_ROBERTA, KIND_BERT } file_kind;

static file_kind kind_of(const rung_tokenizer_files *files)
{
    if (files->bpe_codes.text != NULL && files->vocab_txt.text != NULL) {
        return KIND_TWEET;
    }
    if (files->tokenizer_json.text != NULL) {
        return KIND_JSON;
    }
    if (files->vocab_json.text != NULL && files->merges_txt.text != NULL) {
        return KIND_ROBERTA;
    }
    return files->vocab_txt.text != NULL ? KIND_BERT : KIND_NONE;
}

const rung_named_text *rung_tokenizer_main_file(const rung_tokenizer_files *files)
{
    switch (kind_of(files)) {
    case KIND_TWEET:
    case KIND_BERT:
        return &files->vocab_txt;
    case KIND_ROBERTA:
        return &files->vocab_json;
    case KIND_JSON:
    case KIND_NONE:
        break;
    }
    return &files->tokenizer_json;
}

bool rung_next_line(const rung_named_text *file, size_t *at, rung_text *line)
{
    if (*at >= file->bytes) {
        return false;
    }
    const char *start = file->text + *at;
    const char *newline = memchr(start, '\n', file->bytes - *at);
    size_t bytes = newline == NULL ? file->bytes - *at : (size_t)(newline - start);
    *at += bytes + 1;
    *line = (rung_text){start, bytes > 0 && start[bytes - 1] == '\r' ? bytes - 1 : bytes};
    return true;
}

rung_status rung_require_utf8(const rung_named_text *file, rung_error *error)
{
    size_t bad_offset;
    if (!rung_utf8_valid(file->text, file->bytes, &bad_offset)) {
        return rung_fail(error, RUNG_FORMAT, "%s: invalid UTF-8 at byte %zu", file->name, bad_offset);
    }
    return RUNG_OK;
}

/* The tokens that the tokenizer's class cuts out of texts, as far as the vocabulary has them. */
static json_t *added_tokens(const json_t *vocab, const char *const *special, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const json_t *id = json_object_get(vocab, special[i]);
        if (json_is_integer(id)) {
            bool is_mask = strcmp(special[i], "<mask>") == 0;
            json_array_append_new(list, json_pack("{s:I, s:s, s:b, s:b, s:b, s:b}", "id", json_integer_value(id),
                                                  "content", special[i], "single_word", 0, "lstrip", is_mask, "rstrip",
                                                  0, "normalized", 0));
        }
    }
    return list;
}

/* A flag of tokenizer_config.json, or what its class says by default. */
static rung_status config_flag(const json_t *config, const char *name, const char *key, bool *value, rung_error *error)
{
    const json_t *found = json_object_get(config, key);
    if (found == NULL || json_is_null(found)) {
        return RUNG_OK;
    }
    return rung_tokenizer_read_bool(config, "", key, name, value, error);
}

static rung_status require_special(const json_t *vocab, const char *token, const char *name, rung_error *error)
{
    if (!json_is_integer(json_object_get(vocab, token))) {
        return rung_fail(error, RUNG_FORMAT, "%s: has no token \"%s\", which goes around every text", name, token);
    }
    return RUNG_OK;
}

/* "left right" on each line; a first line "#version: ..." is none. */
static rung_status read_merges_txt(const rung_named_text *file, json_t *merges, rung_error *error)
{
    static const char VERSION[] = "#version";
    rung_status status = rung_require_utf8(file, error);
    rung_text line;
    for (size_t at = 0; status == RUNG_OK && rung_next_line(file, &at, &line);) {
        bool is_version = line.bytes >= sizeof VERSION - 1 && memcmp(line.data, VERSION, sizeof VERSION - 1) == 0;
        if (line.bytes > 0 && !is_version && json_array_append_new(merges, json_stringn(line.data, line.bytes)) != 0) {
            status = rung_fail_memory(error, file->name, line.bytes);
        }
    }
    return status;
}

static rung_status make_roberta(const rung_tokenizer_files *files, const json_t *config, rung_tokenizer **tokenizer,
                                rung_error *error)
{
    static const char *const SPECIAL[] = {"<s>", "<pad>", "</s>", "<unk>", "<mask>"};
    const char *name = files->vocab_json.name;
    bool add_prefix_space = false;
    rung_status status =
        config_flag(config, files->tokenizer_config.name, "add_prefix_space", &add_prefix_space, error);
    json_t *vocab = NULL;
    json_t *merges = json_array();
    if (status == RUNG_OK) {
        vocab = rung_json_parse(files->vocab_json.text, files->vocab_json.bytes, name, error);
        status = vocab == NULL ? error->code : read_merges_txt(&files->merges_txt, merges, error);
    }
    if (status == RUNG_OK) {
        status = require_special(vocab, "<s>", name, error);
    }
    if (status == RUNG_OK) {
        status = require_special(vocab, "</s>", name, error);
    }
    if (status == RUNG_OK) {
        json_t *root = json_pack(
            "{s:o, s:n, s:{s:s, s:b}, s:{s:s, s:[s, O], s:[s, O], s:b, s:b}, s:{s:s, s:O, s:O}}", "added_tokens",
            added_tokens(vocab, SPECIAL, sizeof SPECIAL / sizeof SPECIAL[0]), "normalizer", "pre_tokenizer", "type",
            "ByteLevel", "add_prefix_space", add_prefix_space, "post_processor", "type", "RobertaProcessing", "cls",
            "<s>", json_object_get(vocab, "<s>"), "sep", "</s>", json_object_get(vocab, "</s>"), "trim_offsets", 1,
            "add_prefix_space", add_prefix_space, "model", "type", "BPE", "vocab", vocab, "merges", merges);
        status = root == NULL ? rung_fail_memory(error, name, files->vocab_json.bytes)
                              : rung_tokenizer_from_json(root, name, tokenizer, error);
        json_decref(root);
    }
    json_decref(merges);
    json_decref(vocab);
    return status;
}

/* A token on each line; its number is the id. */
static rung_status read_vocab_txt(const rung_named_text *file, json_t *vocab, rung_error *error)
{
    rung_status status = rung_require_utf8(file, error);
    rung_text line;
    size_t id = 0;
    for (size_t at = 0; status == RUNG_OK && rung_next_line(file, &at, &line); id++) {
        json_t *key = json_stringn(line.data, line.bytes);
        const char *token = json_string_value(key);
        if (token == NULL) {
            return rung_fail_memory(error, file->name, line.bytes);
        }
        if (strlen(token) != line.bytes || json_object_get(vocab, token) != NULL) {
            char quoted[RUNG_JSON_QUOTE_BYTES];
            status = rung_fail(error, RUNG_FORMAT, "%s: line %zu: token \"%s\" %s", file->name, id + 1,
                               rung_json_quote(line.data, line.bytes, quoted),
                               strlen(token) != line.bytes ? "has a NUL byte" : "is there already");
        } else if (json_object_set_new(vocab, token, json_integer((json_int_t)id)) != 0) {
            status = rung_fail_memory(error, file->name, line.bytes);
        }
        json_decref(key);
    }
    return status;
}

typedef struct bert_options {
    bool lowercase, chinese, strips, strip_accents; /* strips: strip_accents is stated */
} bert_options;

static rung_status read_bert_options(const json_t *config, const char *name, bert_options *options, rung_error *error)
{
    *options = (bert_options){.lowercase = true, .chinese = true};
    const json_t *strip = json_object_get(config, "strip_accents");
    options->strips = strip != NULL && !json_is_null(strip);
    rung_status status = config_flag(config, name, "do_lower_case", &options->lowercase, error);
    if (status == RUNG_OK) {
        status = config_flag(config, name, "tokenize_chinese_chars", &options->chinese, error);
    }
    return status == RUNG_OK ? config_flag(config, name, "strip_accents", &options->strip_accents, error) : status;
}

static rung_status make_bert(const rung_tokenizer_files *files, const json_t *config, rung_tokenizer **tokenizer,
                             rung_error *error)
{
    static const char *const SPECIAL[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    const char *name = files->vocab_txt.name;
    bert_options options;
    rung_status status = read_bert_options(config, files->tokenizer_config.name, &options, error);
    json_t *vocab = json_object();
    if (status == RUNG_OK) {
        status = read_vocab_txt(&files->vocab_txt, vocab, error);
    }
    if (status == RUNG_OK) {
        status = require_special(vocab, "[CLS]", name, error);
    }
    if (status == RUNG_OK) {
        status = require_special(vocab, "[SEP]", name, error);
    }
    if (status == RUNG_OK) {
        json_t *strip = options.strips ? json_boolean(options.strip_accents) : json_null();
        json_t *root = json_pack(
            "{s:o, s:{s:s, s:b, s:b, s:b, s:o}, s:{s:s}, s:{s:s, s:[s, O], s:[s, O]}, s:{s:s, s:s, s:s, s:i, s:O}}",
            "added_tokens", added_tokens(vocab, SPECIAL, sizeof SPECIAL / sizeof SPECIAL[0]), "normalizer", "type",
            "BertNormalizer", "clean_text", 1, "handle_chinese_chars", options.chinese, "lowercase", options.lowercase,
            "strip_accents", strip, "pre_tokenizer", "type", "BertPreTokenizer", "post_processor", "type",
            "BertProcessing", "cls", "[CLS]", json_object_get(vocab, "[CLS]"), "sep", "[SEP]",
            json_object_get(vocab, "[SEP]"), "model", "type", "WordPiece", "unk_token", "[UNK]",
            "continuing_subword_prefix", "##", "max_input_chars_per_word", 100, "vocab", vocab);
        status = root == NULL ? rung_fail_memory(error, name, files->vocab_txt.bytes)
                              : rung_tokenizer_from_json(root, name, tokenizer, error);
        json_decref(root);
    }
    json_decref(vocab);
    return status;
}

static rung_status make_tweet(const rung_tokenizer_files *files, const json_t *config, rung_tokenizer **tokenizer,
                              rung_error *error)
{
    bool normalizes = false;
    rung_status status = config_flag(config, files->tokenizer_config.name, "normalization", &normalizes, error);
    return status == RUNG_OK
               ? rung_tokenizer_from_tweet_files(&files->vocab_txt, &files->bpe_codes, normalizes, tokenizer, error)
               : status;
}

static rung_status make_of(file_kind kind, const rung_tokenizer_files *files, const json_t *config,
                           rung_tokenizer **tokenizer, rung_error *error)
{
    switch (kind) {
    case KIND_ROBERTA:
        return make_roberta(files, config, tokenizer, error);
    case KIND_BERT:
        return make_bert(files, config, tokenizer, error);
    case KIND_TWEET:
        return make_tweet(files, config, tokenizer, error);
    case KIND_JSON:
    case KIND_NONE:
        break;
    }
    return rung_fail(
        error, RUNG_NOT_FOUND,
        "no tokenizer: there must be tokenizer.json, vocab.json with merges.txt, vocab.txt with bpe.codes, or "
        "vocab.txt");
}

rung_status rung_tokenizer_make(const rung_tokenizer_files *files, rung_tokenizer **tokenizer, rung_error *error)
{
    rung_error local = {RUNG_OK, ""};
    rung_error *cause = error == NULL ? &local : error;
    file_kind kind = kind_of(files);
    if (kind == KIND_JSON) {
        return rung_tokenizer_join_vocabulary(&files->tokenizer_json, &files->vocab_txt, tokenizer, cause);
    }
    json_t *config = NULL;
    if (files->tokenizer_config.text != NULL) {
        config = rung_json_parse(files->tokenizer_config.text, files->tokenizer_config.bytes,
                                 files->tokenizer_config.name, cause);
        if (config == NULL) {
            return cause->code;
        }
    }
    rung_status status = make_of(kind, files, config, tokenizer, cause);
    json_decref(config);
    return status;
}
