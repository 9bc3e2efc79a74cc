/* json_body.c: see json_body.h. JSON by jansson (RFC 8259), which limits the nesting to 2048. */
#include "net/json_body.h"

#include "config/option_value.h"
#include "config/suggest.h"
#include "model/json_field.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

rung_status rung_json_body(const char *body, size_t bytes, json_t **root, rung_error *error)
{
    rung_error cause = {.code = RUNG_OK};
    json_t *parsed = rung_json_parse(body, bytes, "body", &cause);
    if (parsed == NULL) {
        return rung_fail(error, cause.code, "%s", cause.message);
    }
    if (!json_is_object(parsed)) {
        rung_status status =
            rung_fail(error, RUNG_FORMAT, "body: %s; it must be an object", rung_json_type_name(parsed));
        json_decref(parsed);
        return status;
    }
    *root = parsed;
    return RUNG_OK;
}

rung_status rung_json_known(const rung_json_object *object, const char *known, rung_error *error)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object->json, key, value)
    {
        char shown[RUNG_QUOTED_BYTES];
        char hint[RUNG_HINT_BYTES];
        if (!rung_find_choice(known, key, NULL)) {
            return rung_fail(error, RUNG_FORMAT, "%s%s is unknown%s", object->path,
                             rung_shorten(key, strlen(key), shown), rung_hint_of_choices(key, known, hint));
        }
    }
    return RUNG_OK;
}

rung_status rung_json_element(const json_t *list, const char *name, size_t index, rung_json_object *element,
                              rung_error *error)
{
    const json_t *value = json_array_get(list, index);
    if (!json_is_object(value)) {
        return rung_fail(error, RUNG_FORMAT, "%s[%zu] is %s; it must be an object", name, index,
                         rung_json_type_name(value));
    }
    element->json = value;
    snprintf(element->path, sizeof element->path, "%s[%zu].", name, index);
    return RUNG_OK;
}

static bool has_type(const json_t *value, json_type type)
{
    return json_typeof(value) == type || (type == JSON_REAL && json_is_integer(value));
}

static const char *name_of(json_type type)
{
    switch (type) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number";
    default:
        return "true or false";
    }
}

rung_status rung_json_get(const rung_json_object *object, const char *name, json_type type, const json_t **value,
                          rung_error *error)
{
    const json_t *found = json_object_get(object->json, name);
    if (found == NULL) {
        return rung_fail(error, RUNG_FORMAT, "%s%s is missing; it must be %s", object->path, name, name_of(type));
    }
    if (!has_type(found, type)) {
        return rung_fail(error, RUNG_FORMAT, "%s%s is %s; it must be %s", object->path, name,
                         rung_json_type_name(found), name_of(type));
    }
    *value = found;
    return RUNG_OK;
}

rung_status rung_json_integer(const rung_json_object *object, const char *name, uint64_t least, uint64_t most,
                              uint64_t *value, rung_error *error)
{
    const json_t *found;
    rung_status status = rung_json_get(object, name, JSON_INTEGER, &found, error);
    if (status != RUNG_OK) {
        return status;
    }
    json_int_t number = json_integer_value(found);
    if (number < 0 || (uint64_t)number < least || (uint64_t)number > most) {
        return rung_fail(error, RUNG_INVALID, "%s%s is %lld; it must be from %" PRIu64 " to %" PRIu64, object->path,
                         name, (long long)number, least, most);
    }
    *value = (uint64_t)number;
    return RUNG_OK;
}

rung_status rung_json_number(const rung_json_object *object, const char *name, double least, double most, double *value,
                             rung_error *error)
{
    const json_t *found;
    rung_status status = rung_json_get(object, name, JSON_REAL, &found, error);
    if (status != RUNG_OK) {
        return status;
    }
    double number = json_number_value(found);
    if (!(number >= least && number <= most)) {
        return rung_fail(error, RUNG_INVALID, "%s%s is %g; it must be from %g to %g", object->path, name, number, least,
                         most);
    }
    *value = number;
    return RUNG_OK;
}
