/* tei_body.c: see tei_body.h. */
#include "net/tei_body.h"

#include "base/math.h"
#include "config/suggest.h"
#include "model/json_field.h"
#include "net/json_body.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PLACE_BYTES 40
#define MAX_TOP_K 1000000
#define LEAST_PROBABILITY 0x1p-149

/* One text or a pair: values[count], count 1 or 2. place: "inputs" or "inputs[3]". */
static rung_status read_texts(const json_t *const values[2], size_t count, const char *place, size_t position,
                              rung_classify_body *body, rung_error *error)
{
    char places[2][PLACE_BYTES + 4];
    rung_placed_text texts[2];
    for (size_t i = 0; i < count; i++) {
        snprintf(places[i], sizeof places[i], count == 1 ? "%s" : "%s[%zu]", place, i);
        texts[i] = (rung_placed_text){places[i], json_string_value(values[i]), json_string_length(values[i])};
    }
    return rung_line_from_texts(&texts[0], count == 2 ? &texts[1] : NULL, position, &body->inputs[position], error);
}

/* A list of one or two strings. */
static rung_status read_sequence(const json_t *list, const char *place, size_t position, rung_classify_body *body,
                                 rung_error *error)
{
    const json_t *values[2] = {NULL, NULL};
    size_t count = json_array_size(list);
    if (!json_is_array(list)) {
        return rung_fail(error, RUNG_INVALID, "%s must be a list of a text or a pair of texts, not %s", place,
                         rung_json_type_name(list));
    }
    if (count == 0) {
        return rung_fail(error, RUNG_NOT_FOUND, "%s is empty; it must hold a text or a pair of texts", place);
    }
    if (count > 2) {
        return rung_fail(error, RUNG_INVALID,
                         "%s holds %zu texts; it may hold 2 (a pair): put each text of a batch into a list of its own",
                         place, count);
    }
    for (size_t i = 0; i < count; i++) {
        values[i] = json_array_get(list, i);
        if (!json_is_string(values[i])) {
            return rung_fail(error, RUNG_INVALID, "%s[%zu] must be a string, not %s", place, i,
                             rung_json_type_name(values[i]));
        }
    }
    return read_texts(values, count, place, position, body, error);
}

static rung_status read_batch(const json_t *list, size_t max_inputs, rung_classify_body *body, rung_error *error)
{
    size_t count = json_array_size(list);
    if (count > max_inputs) {
        return rung_fail(error, RUNG_LIMIT, "inputs: batch size %zu is above the limit of this node, %zu", count,
                         max_inputs);
    }
    body->is_list = true;
    rung_status status = rung_classify_body_reserve(body, count, error);
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        char place[PLACE_BYTES];
        snprintf(place, sizeof place, "inputs[%zu]", i);
        status = read_sequence(json_array_get(list, i), place, i, body, error);
    }
    return status;
}

static rung_status read_inputs(const json_t *inputs, size_t max_inputs, rung_classify_body *body, rung_error *error)
{
    if (inputs == NULL) {
        return rung_fail(error, RUNG_INVALID,
                         "inputs is missing; it must be a string, a pair of strings, or a batch of lists of them");
    }
    if (json_is_array(inputs) && json_is_array(json_array_get(inputs, 0))) {
        return read_batch(inputs, max_inputs, body, error);
    }
    if (!json_is_array(inputs) && !json_is_string(inputs)) {
        return rung_fail(error, RUNG_INVALID, "inputs must be a string or a list, not %s", rung_json_type_name(inputs));
    }
    rung_status status = rung_classify_body_reserve(body, 1, error);
    if (status != RUNG_OK) {
        return status;
    }
    return json_is_array(inputs) ? read_sequence(inputs, "inputs", 0, body, error)
                                 : read_texts((const json_t *const[2]){inputs, NULL}, 1, "inputs", 0, body, error);
}

/* null is as if it were not there. */
static rung_status read_flag(const json_t *object, const char *name, bool absent, bool *flag, rung_error *error)
{
    const json_t *value = json_object_get(object, name);
    if (value != NULL && !json_is_null(value) && !json_is_boolean(value)) {
        return rung_fail(error, RUNG_INVALID, "%s must be true, false or null, not %s", name,
                         rung_json_type_name(value));
    }
    *flag = json_is_boolean(value) ? json_is_true(value) : absent;
    return RUNG_OK;
}

static rung_status check_direction(const json_t *root, rung_error *error)
{
    const json_t *value = json_object_get(root, "truncation_direction");
    const char *name = json_string_value(value);
    if (value == NULL || json_is_null(value) || (name != NULL && strcasecmp(name, "right") == 0)) {
        return RUNG_OK;
    }
    if (name != NULL && strcasecmp(name, "left") == 0) {
        return rung_fail(error, RUNG_UNSUPPORTED,
                         "truncation_direction is left; this node cuts the end of a text, so leave it out");
    }
    return rung_fail(error, RUNG_INVALID, "truncation_direction must be \"right\"%s%s",
                     name == NULL ? ", not " : "; nothing else is known",
                     name == NULL ? rung_json_type_name(value) : "");
}

static rung_status read_function(const json_t *parameters, bool multi_label, rung_tei_form *form, rung_error *error)
{
    const json_t *value = json_object_get(parameters, "function_to_apply");
    const char *name = json_string_value(value);
    const char *own = multi_label ? "sigmoid" : "softmax";
    if (value == NULL || json_is_null(value) || (name != NULL && strcmp(name, own) == 0)) {
        return RUNG_OK;
    }
    if (name != NULL && strcmp(name, "none") == 0) {
        form->raw_scores = true;
        return RUNG_OK;
    }
    char shown[RUNG_QUOTED_BYTES];
    return rung_fail(error, RUNG_INVALID, "parameters.function_to_apply is %s; this node's models know %s and none",
                     name != NULL ? rung_shorten(name, strlen(name), shown) : rung_json_type_name(value), own);
}

static rung_status read_top_k(const json_t *parameters, rung_tei_form *form, rung_error *error)
{
    const json_t *value = json_object_get(parameters, "top_k");
    if (value == NULL || json_is_null(value)) {
        return RUNG_OK;
    }
    json_int_t count = json_integer_value(value);
    if (!json_is_integer(value) || count < 1 || count > MAX_TOP_K) {
        return rung_fail(error, RUNG_INVALID, "parameters.top_k must be a whole number from 1 to %d", MAX_TOP_K);
    }
    form->top_k = (size_t)count;
    return RUNG_OK;
}

static rung_status read_parameters(const json_t *root, bool multi_label, rung_tei_form *form, rung_error *error)
{
    const json_t *parameters = json_object_get(root, "parameters");
    if (parameters == NULL || json_is_null(parameters)) {
        return RUNG_OK;
    }
    if (!json_is_object(parameters)) {
        return rung_fail(error, RUNG_INVALID, "parameters must be an object, not %s", rung_json_type_name(parameters));
    }
    form->nested = true;
    rung_status status = read_function(parameters, multi_label, form, error);
    return status == RUNG_OK ? read_top_k(parameters, form, error) : status;
}

static rung_status read_root(const json_t *root, size_t max_inputs, bool multi_label, rung_classify_body *body,
                             rung_tei_form *form, rung_error *error)
{
    rung_status status = read_inputs(json_object_get(root, "inputs"), max_inputs, body, error);
    if (status == RUNG_OK) {
        status = read_flag(root, "truncate", true, &body->truncate, error);
    }
    if (status == RUNG_OK) {
        status = read_flag(root, "raw_scores", false, &form->raw_scores, error);
    }
    if (status == RUNG_OK) {
        status = check_direction(root, error);
    }
    return status == RUNG_OK ? read_parameters(root, multi_label, form, error) : status;
}

rung_status rung_tei_body_parse(const char *body, size_t bytes, size_t max_inputs, bool multi_label,
                                rung_classify_body *out, rung_tei_form *form, rung_error *error)
{
    json_t *root = NULL;
    rung_classify_body parsed = {0};
    rung_tei_form made = {0};
    rung_status status = rung_json_body(body, bytes, &root, error);
    if (status != RUNG_OK) {
        return status;
    }
    status = read_root(root, max_inputs, multi_label, &parsed, &made, error);
    json_decref(root);
    status = rung_classify_body_end(status, &parsed, out);
    *form = status == RUNG_OK ? made : *form;
    return status;
}

double rung_tei_raw_score(double probability, bool multi_label)
{
    double yes = probability > LEAST_PROBABILITY ? probability : LEAST_PROBABILITY;
    double no = 1 - probability > LEAST_PROBABILITY ? 1 - probability : LEAST_PROBABILITY;
    return multi_label ? rung_log(yes) - rung_log(no) : rung_log(yes);
}
