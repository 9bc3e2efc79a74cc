/* tokenizer_template.c: see tokenizer_template.h. BertProcessing is the older spelling of BERT's fixed template,
 * RobertaProcessing that of RoBERTa; ByteLevel trims spans and adds nothing. */
#include "model/tokenizer_template.h"

#include "base/memory.h"
#include "model/json_field.h"
#include "model/tokenizer_build.h"

#include <stdio.h>
#include <string.h>

#define MAX_SPECIAL_TOKENS 64
#define PATH_BYTES 64

static const char SUPPORTED[] = "rung supports TemplateProcessing, BertProcessing, RobertaProcessing and a Sequence of "
                                "ByteLevel and one of these";

typedef struct template_reader {
    const rung_tokenizer *tokenizer;
    const json_t *special_tokens;
    const char *name; /* of the file */
    rung_template *template;
    size_t sequences; /* how many the template must hold: A, or A and B */
    bool seen[2];
} template_reader;

static rung_status append_piece(rung_template *template, rung_template_piece piece, rung_error *error)
{
    rung_status status = rung_grow((void **)&template->pieces, &template->capacity, template->count + 1,
                                   sizeof *template->pieces, "template", error);
    if (status != RUNG_OK) {
        return status;
    }
    template->pieces[template->count] = piece;
    template->count++;
    template->special_tokens += piece.id >= 0;
    return RUNG_OK;
}

static rung_status append_special(const rung_tokenizer *tokenizer, rung_template *template, int64_t id, uint8_t type_id,
                                  const char *name, rung_error *error)
{
    if (rung_vocabulary_text(&tokenizer->vocabulary, id) == NULL) {
        return rung_fail(error, RUNG_FORMAT, "%s: post_processor adds id %lld, which no token has", name,
                         (long long)id);
    }
    if (template->special_tokens == MAX_SPECIAL_TOKENS) {
        return rung_fail(error, RUNG_LIMIT, "%s: post_processor adds more than %d special tokens to a text", name,
                         MAX_SPECIAL_TOKENS);
    }
    return append_piece(template, (rung_template_piece){.id = (int32_t)id, .type_id = type_id}, error);
}

/* A special token of the template stands for a list of ids, nearly always one. */
static rung_status append_named_special(template_reader *reader, const json_t *id, uint8_t type_id, rung_error *error)
{
    char quoted[RUNG_JSON_QUOTE_BYTES];
    const char *token = rung_json_quote(json_string_value(id), json_string_length(id), quoted);
    const json_t *entry = json_object_get(reader->special_tokens, json_string_value(id));
    if (!json_is_object(entry)) {
        return rung_fail(error, RUNG_FORMAT,
                         "%s: post_processor.special_tokens has no object for \"%s\", which a "
                         "template uses",
                         reader->name, token);
    }
    const json_t *ids;
    rung_status status =
        rung_json_field(entry, "post_processor.special_tokens[]", "ids", JSON_ARRAY, reader->name, &ids, error);
    for (size_t i = 0; status == RUNG_OK && i < json_array_size(ids); i++) {
        const json_t *value = json_array_get(ids, i);
        if (!json_is_integer(value)) {
            return rung_fail(error, RUNG_FORMAT,
                             "%s: post_processor.special_tokens: an id of \"%s\" is %s; it must be "
                             "an integer",
                             reader->name, token, rung_json_type_name(value));
        }
        status = append_special(reader->tokenizer, reader->template, json_integer_value(value), type_id, reader->name,
                                error);
    }
    return status;
}

static rung_status append_sequence(template_reader *reader, const char *path, const json_t *id, uint8_t type_id,
                                   rung_error *error)
{
    const char *letter = json_string_value(id);
    bool is_a = strcmp(letter, "A") == 0;
    if (!is_a && strcmp(letter, "B") != 0) {
        char quoted[RUNG_JSON_QUOTE_BYTES];
        return rung_fail(error, RUNG_FORMAT, "%s: %s: sequence \"%s\" is neither \"A\" nor \"B\"", reader->name, path,
                         rung_json_quote(letter, json_string_length(id), quoted));
    }
    uint8_t sequence = is_a ? 0 : 1;
    if (sequence >= reader->sequences || reader->seen[sequence]) {
        return rung_fail(error, RUNG_UNSUPPORTED, "%s: %s: sequence %s %s", reader->name, path, letter,
                         reader->seen[sequence] ? "is used twice; rung supports it once"
                                                : "has no place in the template for one text");
    }
    reader->seen[sequence] = true;
    return append_piece(reader->template, (rung_template_piece){-1, sequence, type_id}, error);
}

static rung_status read_piece(template_reader *reader, const json_t *piece, const char *path, rung_error *error)
{
    const json_t *special = json_object_get(piece, "SpecialToken");
    const json_t *sequence = json_object_get(piece, "Sequence");
    const json_t *body = special != NULL ? special : sequence;
    if (!json_is_object(body) || (special != NULL && sequence != NULL)) {
        return rung_fail(error, RUNG_FORMAT, "%s: %s must be an object with either SpecialToken or Sequence",
                         reader->name, path);
    }
    const json_t *id, *type_id;
    rung_status status = rung_json_field(body, path, "id", JSON_STRING, reader->name, &id, error);
    if (status == RUNG_OK) {
        status = rung_json_field(body, path, "type_id", JSON_INTEGER, reader->name, &type_id, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    long long type = json_integer_value(type_id);
    if (type != 0 && type != 1) {
        return rung_fail(error, RUNG_UNSUPPORTED, "%s: %s.type_id is %lld; rung supports 0 and 1", reader->name, path,
                         type);
    }
    return special != NULL ? append_named_special(reader, id, (uint8_t)type, error)
                           : append_sequence(reader, path, id, (uint8_t)type, error);
}

static rung_status read_template(template_reader *reader, const json_t *processor, const char *key, rung_error *error)
{
    const json_t *pieces;
    rung_status status = rung_json_field(processor, "post_processor", key, JSON_ARRAY, reader->name, &pieces, error);
    for (size_t i = 0; status == RUNG_OK && i < json_array_size(pieces); i++) {
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "post_processor.%s[%zu]", key, i);
        status = read_piece(reader, json_array_get(pieces, i), path, error);
    }
    for (size_t i = 0; status == RUNG_OK && i < reader->sequences; i++) {
        if (!reader->seen[i]) {
            status = rung_fail(error, RUNG_UNSUPPORTED, "%s: post_processor.%s does not use sequence %c", reader->name,
                               key, i == 0 ? 'A' : 'B');
        }
    }
    return status;
}

static rung_status read_template_processing(rung_tokenizer *tokenizer, const json_t *processor, const char *name,
                                            rung_error *error)
{
    const json_t *special_tokens;
    rung_status status =
        rung_json_field(processor, "post_processor", "special_tokens", JSON_OBJECT, name, &special_tokens, error);
    if (status == RUNG_OK) {
        template_reader reader = {tokenizer, special_tokens, name, &tokenizer->single, 1, {false, false}};
        status = read_template(&reader, processor, "single", error);
    }
    if (status == RUNG_OK) {
        template_reader reader = {tokenizer, special_tokens, name, &tokenizer->pair, 2, {false, false}};
        status = read_template(&reader, processor, "pair", error);
    }
    return status;
}

static rung_status read_cls_or_sep(const json_t *processor, const char *key, const char *name, int64_t *id,
                                   rung_error *error)
{
    const json_t *entry;
    rung_status status = rung_json_field(processor, "post_processor", key, JSON_ARRAY, name, &entry, error);
    if (status != RUNG_OK) {
        return status;
    }
    const json_t *value = json_array_get(entry, 1);
    if (json_array_size(entry) != 2 || !json_is_string(json_array_get(entry, 0)) || !json_is_integer(value)) {
        return rung_fail(error, RUNG_FORMAT, "%s: post_processor.%s must be a token and its id", name, key);
    }
    *id = json_integer_value(value);
    return RUNG_OK;
}

/* One template of BERT ([CLS] A [SEP] B [SEP], B of type 1) or RoBERTa (<s> A </s></s> B </s>, all of type 0). */
static rung_status fill_fixed(const rung_tokenizer *tokenizer, rung_template *template, size_t sequences, bool roberta,
                              const int64_t cls_sep[2], const char *name, rung_error *error)
{
    rung_status status = append_special(tokenizer, template, cls_sep[0], 0, name, error);
    for (uint8_t sequence = 0; sequence < sequences && status == RUNG_OK; sequence++) {
        uint8_t type_id = roberta ? 0 : sequence;
        if (roberta && sequence > 0) {
            status = append_special(tokenizer, template, cls_sep[1], type_id, name, error);
        }
        if (status == RUNG_OK) {
            status = append_piece(template, (rung_template_piece){-1, sequence, type_id}, error);
        }
        if (status == RUNG_OK) {
            status = append_special(tokenizer, template, cls_sep[1], type_id, name, error);
        }
    }
    return status;
}

rung_status rung_fill_fixed_templates(rung_tokenizer *tokenizer, bool roberta, const int64_t cls_sep[2],
                                      const char *name, rung_error *error)
{
    rung_status status = fill_fixed(tokenizer, &tokenizer->single, 1, roberta, cls_sep, name, error);
    return status == RUNG_OK ? fill_fixed(tokenizer, &tokenizer->pair, 2, roberta, cls_sep, name, error) : status;
}

static rung_status read_fixed(rung_tokenizer *tokenizer, const json_t *processor, bool roberta, const char *name,
                              rung_error *error)
{
    int64_t cls_sep[2];
    rung_status status = read_cls_or_sep(processor, "cls", name, &cls_sep[0], error);
    if (status == RUNG_OK) {
        status = read_cls_or_sep(processor, "sep", name, &cls_sep[1], error);
    }
    return status == RUNG_OK ? rung_fill_fixed_templates(tokenizer, roberta, cls_sep, name, error) : status;
}

static rung_status read_trimming(rung_tokenizer *tokenizer, const json_t *processor, const char *name,
                                 rung_error *error)
{
    rung_byte_level_model *model = &tokenizer->byte_level;
    rung_status status = rung_tokenizer_read_bool(processor, "post_processor", "add_prefix_space", name,
                                                  &model->trim_keeps_first, error);
    if (status == RUNG_OK) {
        status =
            rung_tokenizer_read_bool(processor, "post_processor", "trim_offsets", name, &model->trim_offsets, error);
    }
    return status;
}

static rung_status read_processor(rung_tokenizer *tokenizer, const json_t *processor, const char *name,
                                  rung_error *error);

/* ByteLevel, which trims, and then the template. */
static rung_status read_processors(rung_tokenizer *tokenizer, const json_t *sequence, const char *name,
                                   rung_error *error)
{
    const json_t *list, *type;
    rung_status status = rung_json_field(sequence, "post_processor", "processors", JSON_ARRAY, name, &list, error);
    if (status != RUNG_OK) {
        return status;
    }
    const json_t *first = json_array_get(list, 0);
    const json_t *second = json_array_get(list, 1);
    if (json_array_size(list) != 2 || !json_is_object(first) || !json_is_object(second)) {
        return rung_fail(error, RUNG_UNSUPPORTED,
                         "%s: post_processor \"Sequence\" must hold ByteLevel and one other processor", name);
    }
    status = rung_json_field(first, "post_processor.processors[0]", "type", JSON_STRING, name, &type, error);
    if (status == RUNG_OK && strcmp(json_string_value(type), "ByteLevel") != 0) {
        return rung_fail(error, RUNG_UNSUPPORTED,
                         "%s: post_processor \"Sequence\" must hold ByteLevel and one other processor", name);
    }
    if (status == RUNG_OK) {
        status = rung_json_field(second, "post_processor.processors[1]", "type", JSON_STRING, name, &type, error);
    }
    if (status == RUNG_OK && strcmp(json_string_value(type), "Sequence") == 0) {
        return rung_fail(error, RUNG_UNSUPPORTED, "%s: post_processor \"Sequence\" may not hold another one", name);
    }
    if (status == RUNG_OK) {
        status = read_trimming(tokenizer, first, name, error);
    }
    return status == RUNG_OK ? read_processor(tokenizer, second, name, error) : status;
}

static rung_status read_processor(rung_tokenizer *tokenizer, const json_t *processor, const char *name,
                                  rung_error *error)
{
    const json_t *type;
    rung_status status = rung_json_field(processor, "post_processor", "type", JSON_STRING, name, &type, error);
    if (status != RUNG_OK) {
        return status;
    }
    const char *kind = json_string_value(type);
    if (strcmp(kind, "TemplateProcessing") == 0) {
        return read_template_processing(tokenizer, processor, name, error);
    }
    if (strcmp(kind, "BertProcessing") == 0) {
        return read_fixed(tokenizer, processor, false, name, error);
    }
    if (strcmp(kind, "RobertaProcessing") == 0) {
        status = read_trimming(tokenizer, processor, name, error);
        return status == RUNG_OK ? read_fixed(tokenizer, processor, true, name, error) : status;
    }
    if (strcmp(kind, "Sequence") == 0) {
        return read_processors(tokenizer, processor, name, error);
    }
    char quoted[RUNG_JSON_QUOTE_BYTES];
    return rung_fail(error, RUNG_UNSUPPORTED, "%s: post_processor \"%s\" is not supported yet; %s", name,
                     rung_json_quote(kind, json_string_length(type), quoted), SUPPORTED);
}

rung_status rung_read_post_processor(rung_tokenizer *tokenizer, const json_t *root, const char *name, rung_error *error)
{
    const json_t *processor = json_object_get(root, "post_processor");
    if (processor != NULL && json_is_null(processor)) {
        return rung_fail(error, RUNG_UNSUPPORTED, "%s: post_processor is null; %s", name, SUPPORTED);
    }
    rung_status status = rung_json_field(root, "", "post_processor", JSON_OBJECT, name, &processor, error);
    return status == RUNG_OK ? read_processor(tokenizer, processor, name, error) : status;
}
