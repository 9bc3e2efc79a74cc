/* wordpiece_json.c: the members of a tokenizer.json that WordPiece and BERT's normaliser have; see tokenizer_build.h. */
#include "model/json_field.h"
#include "model/tokenizer_build.h"

static rung_status read_normalizer(rung_tokenizer *tokenizer, const json_t *root, const char *name, rung_error *error)
{
    rung_bert_normalizer *normalizer = &tokenizer->normalizer;
    const json_t *object;
    rung_status status = rung_tokenizer_require_type(root, "normalizer", "BertNormalizer", name, &object, error);
    if (status == RUNG_OK) {
        status = rung_tokenizer_read_bool(object, "normalizer", "clean_text", name, &normalizer->clean_text, error);
    }
    if (status == RUNG_OK) {
        status = rung_tokenizer_read_bool(object, "normalizer", "handle_chinese_chars", name,
                                          &normalizer->handle_chinese_chars, error);
    }
    if (status == RUNG_OK) {
        status = rung_tokenizer_read_bool(object, "normalizer", "lowercase", name, &normalizer->lowercase, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    const json_t *strip = json_object_get(object, "strip_accents");
    if (strip == NULL || json_is_null(strip)) {
        normalizer->strip_accents = normalizer->lowercase;
        return RUNG_OK;
    }
    return rung_tokenizer_read_bool(object, "normalizer", "strip_accents", name, &normalizer->strip_accents, error);
}

static rung_status read_unknown_token(rung_tokenizer *tokenizer, const json_t *model, const char *name,
                                      rung_error *error)
{
    const json_t *unknown;
    rung_status status = rung_json_field(model, "model", "unk_token", JSON_STRING, name, &unknown, error);
    if (status != RUNG_OK) {
        return status;
    }
    tokenizer->wordpiece.unknown_id =
        rung_vocabulary_find(&tokenizer->vocabulary, json_string_value(unknown), json_string_length(unknown));
    if (tokenizer->wordpiece.unknown_id < 0) {
        char quoted[RUNG_JSON_QUOTE_BYTES];
        return rung_fail(error, RUNG_FORMAT, "%s: model.unk_token \"%s\" is not in model.vocab", name,
                         rung_json_quote(json_string_value(unknown), json_string_length(unknown), quoted));
    }
    return RUNG_OK;
}

static rung_status read_model(rung_tokenizer *tokenizer, const json_t *root, const char *name, rung_error *error)
{
    const json_t *model, *prefix, *max_chars;
    rung_status status = rung_json_field(root, "", "model", JSON_OBJECT, name, &model, error);
    if (status == RUNG_OK) {
        status = rung_json_field(model, "model", "continuing_subword_prefix", JSON_STRING, name, &prefix, error);
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
    tokenizer->wordpiece.max_word_chars = (size_t)limit;
    status = rung_tokenizer_read_vocabulary(tokenizer, model, name, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_error cause;
    status = rung_wordpiece_index(&tokenizer->wordpiece, &tokenizer->vocabulary, json_string_value(prefix),
                                  json_string_length(prefix), &cause);
    if (status != RUNG_OK) {
        return rung_fail(error, status, "%s: model.vocab: %s", name, cause.message);
    }
    return read_unknown_token(tokenizer, model, name, error);
}

rung_status rung_tokenizer_read_wordpiece(rung_tokenizer *tokenizer, const json_t *root, const char *name,
                                          rung_error *error)
{
    const json_t *pre_tokenizer;
    rung_status status = read_model(tokenizer, root, name, error);
    if (status == RUNG_OK) {
        status = read_normalizer(tokenizer, root, name, error);
    }
    if (status == RUNG_OK) {
        status = rung_tokenizer_require_type(root, "pre_tokenizer", "BertPreTokenizer", name, &pre_tokenizer, error);
    }
    if (status == RUNG_OK) {
        rung_tokenizer_classify_ascii(tokenizer);
        tokenizer->splitter = &rung_bert_splitter;
    }
    return status;
}
