/* openai_body.c: see openai_body.h. */
#include "net/openai_body.h"

#include "config/suggest.h"
#include "model/json_field.h"
#include "net/json_body.h"

#include <stdio.h>
#include <string.h>

#define PLACE_BYTES 48

static rung_status take_text(const json_t *text, const char *place, size_t position, rung_classify_body *body,
                             rung_error *error)
{
    const rung_placed_text placed = {place, json_string_value(text), json_string_length(text)};
    return rung_line_from_texts(&placed, NULL, position, &body->inputs[position], error);
}

/* {"type":"text","text":"t"} */
static rung_status read_part(const json_t *part, const char *place, size_t position, rung_classify_body *body,
                             rung_error *error)
{
    const json_t *type = json_object_get(part, "type");
    const json_t *text = json_object_get(part, "text");
    char inner[PLACE_BYTES + 8];
    char shown[RUNG_QUOTED_BYTES];
    if (!json_is_string(type)) {
        return rung_fail(error, RUNG_INVALID, "%s.type must be \"text\"", place);
    }
    if (strcmp(json_string_value(type), "text") != 0) {
        return rung_fail(error, RUNG_UNSUPPORTED, "%s.type is '%s'; this node reads \"text\" only", place,
                         rung_shorten(json_string_value(type), json_string_length(type), shown));
    }
    if (!json_is_string(text)) {
        return rung_fail(error, RUNG_INVALID, "%s.text %s%s", place,
                         text == NULL ? "is missing; it must be a string" : "must be a string, not ",
                         text == NULL ? "" : rung_json_type_name(text));
    }
    snprintf(inner, sizeof inner, "%s.text", place);
    return take_text(text, inner, position, body, error);
}

static rung_status read_item(const json_t *item, size_t position, rung_classify_body *body, rung_error *error)
{
    char place[PLACE_BYTES];
    snprintf(place, sizeof place, "input[%zu]", position);
    if (json_is_string(item)) {
        return take_text(item, place, position, body, error);
    }
    if (json_is_object(item)) {
        return read_part(item, place, position, body, error);
    }
    if (json_is_integer(item) || json_is_array(item)) {
        return rung_fail(error, RUNG_UNSUPPORTED, "%s is %s; this node takes texts, no token ids", place,
                         rung_json_type_name(item));
    }
    return rung_fail(error, RUNG_INVALID, "%s must be a string, not %s", place, rung_json_type_name(item));
}

static rung_status read_list(const json_t *list, size_t max_inputs, rung_classify_body *body, rung_error *error)
{
    size_t count = json_array_size(list);
    if (count == 0) {
        return rung_fail(error, RUNG_NOT_FOUND, "input is empty; it must hold at least one text");
    }
    if (count > max_inputs) {
        return rung_fail(error, RUNG_LIMIT, "input holds %zu texts; the limit of this node is %zu", count, max_inputs);
    }
    body->is_list = true;
    rung_status status = rung_classify_body_reserve(body, count, error);
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        status = read_item(json_array_get(list, i), i, body, error);
    }
    return status;
}

static rung_status read_root(const json_t *root, size_t max_inputs, rung_classify_body *body, rung_error *error)
{
    const json_t *input = json_object_get(root, "input");
    const json_t *model = json_object_get(root, "model");
    if (model != NULL && !json_is_string(model) && !json_is_null(model)) {
        return rung_fail(error, RUNG_INVALID, "model must be a string, not %s", rung_json_type_name(model));
    }
    if (input == NULL) {
        return rung_fail(error, RUNG_INVALID, "input is missing; it must be a string or a list of them");
    }
    body->truncate = true;
    if (json_is_array(input)) {
        return read_list(input, max_inputs, body, error);
    }
    if (!json_is_string(input)) {
        return rung_fail(error, RUNG_INVALID, "input must be a string or a list, not %s", rung_json_type_name(input));
    }
    rung_status status = rung_classify_body_reserve(body, 1, error);
    return status == RUNG_OK ? take_text(input, "input", 0, body, error) : status;
}

rung_status rung_openai_body_parse(const char *body, size_t bytes, size_t max_inputs, rung_classify_body *out,
                                   rung_error *error)
{
    json_t *root = NULL;
    rung_classify_body parsed = {0};
    rung_status status = rung_json_body(body, bytes, &root, error);
    if (status != RUNG_OK) {
        return status;
    }
    status = read_root(root, max_inputs, &parsed, error);
    json_decref(root);
    return rung_classify_body_end(status, &parsed, out);
}
