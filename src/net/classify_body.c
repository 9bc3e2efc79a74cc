/* classify_body.c: see classify_body.h. One input is read by config/jsonl.c, as a line of rung classify is. */
#include "net/classify_body.h"

#include "base/memory.h"
#include "config/option_value.h"
#include "config/suggest.h"
#include "model/json_field.h"
#include "net/json_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char single_fields[] = "text|text_pair|id|policy|truncate";
static const char list_fields[] = "inputs|policy|truncate";
static const char input_fields[] = "text|text_pair|id";

void rung_classify_body_deinit(rung_classify_body *body)
{
    for (size_t i = 0; i < body->num_inputs; i++) {
        rung_line_deinit(&body->inputs[i]);
    }
    free(body->inputs);
    rung_message_deinit(&body->message);
    *body = (rung_classify_body){0};
}

rung_status rung_classify_body_reserve(rung_classify_body *body, size_t count, rung_error *error)
{
    body->inputs = rung_alloc(count, sizeof *body->inputs, "inputs", error);
    if (body->inputs == NULL) {
        return RUNG_NO_MEMORY;
    }
    body->num_inputs = count;
    return RUNG_OK;
}

rung_status rung_classify_body_end(rung_status status, rung_classify_body *parsed, rung_classify_body *out)
{
    if (status != RUNG_OK) {
        rung_classify_body_deinit(parsed);
        return status;
    }
    rung_classify_body_deinit(out);
    *out = *parsed;
    return RUNG_OK;
}

static rung_status read_list(const json_t *list, size_t max_inputs, rung_classify_body *body, rung_error *error)
{
    if (!json_is_array(list)) {
        return rung_fail(error, RUNG_INVALID, "field 'inputs' must be a list, not %s", rung_json_type_name(list));
    }
    size_t count = json_array_size(list);
    if (count == 0) {
        return rung_fail(error, RUNG_INVALID, "field 'inputs' is empty; it must hold at least one text");
    }
    if (count > max_inputs) {
        return rung_fail(error, RUNG_LIMIT, "field 'inputs' holds %zu texts; the limit of this node is %zu", count,
                         max_inputs);
    }
    body->is_list = true;
    rung_status status = rung_classify_body_reserve(body, count, error);
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        char place[32];
        snprintf(place, sizeof place, "inputs[%zu]", i);
        status = rung_line_from_json(json_array_get(list, i), place, input_fields, i, &body->inputs[i], error);
    }
    return status;
}

static rung_status check_list_fields(const json_t *root, rung_error *error)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)root, key, value)
    {
        char shown[RUNG_QUOTED_BYTES];
        char hint[RUNG_HINT_BYTES];
        if (strcmp(key, "target") == 0) {
            return rung_fail(error, RUNG_UNSUPPORTED,
                             "field 'target' needs a plan with certified targets, which this version does not have; "
                             "leave it out");
        }
        if (rung_find_choice(single_fields, key, NULL) && !rung_find_choice(list_fields, key, NULL)) {
            return rung_fail(error, RUNG_INVALID, "field '%s' stands beside 'inputs'; put it into each of them", key);
        }
        if (!rung_find_choice(list_fields, key, NULL)) {
            rung_hint_of_choices(key, list_fields, hint);
            return rung_fail(error, RUNG_INVALID, "unknown field '%s'%s", rung_shorten(key, strlen(key), shown),
                             hint[0] != '\0' ? hint : "; known are inputs, policy and truncate");
        }
    }
    return RUNG_OK;
}

/* Fields that go with one text and with a list. */
static rung_status read_options(const json_t *root, rung_classify_body *body, rung_error *error)
{
    const json_t *policy = json_object_get(root, "policy");
    const json_t *truncate = json_object_get(root, "truncate");
    body->truncate = truncate == NULL || json_is_true(truncate);
    if (truncate != NULL && !json_is_boolean(truncate)) {
        return rung_fail(error, RUNG_INVALID, "field 'truncate' must be true or false, not %s",
                         rung_json_type_name(truncate));
    }
    if (policy == NULL) {
        return RUNG_OK;
    }
    if (!json_is_string(policy)) {
        return rung_fail(error, RUNG_INVALID, "field 'policy' must be a string, not %s", rung_json_type_name(policy));
    }
    size_t bytes = json_string_length(policy);
    const char *name = json_string_value(policy);
    if (bytes == 0 || bytes >= sizeof body->policy || memchr(name, 0, bytes) != NULL) {
        return rung_fail(error, RUNG_INVALID, "field 'policy' is no name of 1 to %zu characters",
                         sizeof body->policy - 1);
    }
    memcpy(body->policy, name, bytes);
    return RUNG_OK;
}

static rung_status read_user(const json_t *root, size_t max_inputs, rung_classify_body *body, rung_error *error)
{
    const json_t *list = json_object_get(root, "inputs");
    rung_status status;
    if (list != NULL) {
        status = check_list_fields(root, error);
        if (status == RUNG_OK) {
            status = read_list(list, max_inputs, body, error);
        }
    } else {
        status = rung_classify_body_reserve(body, 1, error);
        if (status == RUNG_OK) {
            status = rung_line_from_json(root, "", single_fields, 0, &body->inputs[0], error);
        }
    }
    return status == RUNG_OK ? read_options(root, body, error) : status;
}

rung_status rung_classify_body_parse(const char *body, size_t bytes, const rung_message_reader *reader,
                                     size_t max_inputs, rung_classify_body *out, rung_error *error)
{
    json_t *root = NULL;
    rung_status status = rung_json_body(body, bytes, &root, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_classify_body parsed = {.from_level = json_object_get(root, "key") != NULL};
    status = parsed.from_level ? rung_message_from_json(root, reader, &parsed.message, error)
                               : read_user(root, max_inputs, &parsed, error);
    json_decref(root);
    return rung_classify_body_end(status, &parsed, out);
}
