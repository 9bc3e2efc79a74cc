/* json_field.h: typed access to the fields of a JSON file with messages that name the file, the field's path and what
 * was found instead. Used by the readers of model files; knows no format. */
#ifndef RUNG_MODEL_JSON_FIELD_H
#define RUNG_MODEL_JSON_FIELD_H

#include "base/status.h"

#include <jansson.h>

#define RUNG_JSON_QUOTE_BYTES 72

/* Parses text; `name` is the file in messages. Object keys that occur twice are refused. NULL with error filled. */
json_t *rung_json_parse(const char *text, size_t bytes, const char *name, rung_error *error);

/* "a string", "null", ... for messages. */
const char *rung_json_type_name(const json_t *value);

/* Copies text for a message: cut to what fits, control characters and quotes made '?'. Returns out. */
const char *rung_json_quote(const char *text, size_t bytes, char out[RUNG_JSON_QUOTE_BYTES]);

/* The member `key` of object, which `path` names ("" for the file itself). RUNG_FORMAT when it is missing or has
 * another type; booleans are asked for as JSON_TRUE. The value is borrowed. */
rung_status rung_json_field(const json_t *object, const char *path, const char *key, json_type type, const char *name,
                            const json_t **value, rung_error *error) RUNG_WARN_UNUSED;

#endif
