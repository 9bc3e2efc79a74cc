/* json_field.c: see json_field.h. */
#include "model/json_field.h"

#include <string.h>

static const char *const TYPE_NAMES[] = {
    [JSON_OBJECT] = "an object",    [JSON_ARRAY] = "an array",     [JSON_STRING] = "a string",
    [JSON_INTEGER] = "an integer",  [JSON_REAL] = "a real number", [JSON_TRUE] = "true or false",
    [JSON_FALSE] = "true or false", [JSON_NULL] = "null",
};

const char *rung_json_type_name(const json_t *value)
{
    return TYPE_NAMES[json_typeof(value)];
}

const char *rung_json_quote(const char *text, size_t bytes, char out[RUNG_JSON_QUOTE_BYTES])
{
    static const char DOTS[] = "...";
    size_t room = RUNG_JSON_QUOTE_BYTES - sizeof DOTS;
    size_t kept = bytes <= room ? bytes : room;
    /* A cut may not leave half a character. */
    while (kept < bytes && kept > 0 && ((uint8_t)text[kept] & 0xC0) == 0x80) {
        kept--;
    }
    for (size_t i = 0; i < kept; i++) {
        uint8_t c = (uint8_t)text[i];
        out[i] = c < 0x20 || c == 0x7F || c == '"' ? '?' : text[i];
    }
    memcpy(out + kept, kept < bytes ? DOTS : "", kept < bytes ? sizeof DOTS : 1);
    return out;
}

json_t *rung_json_parse(const char *text, size_t bytes, const char *name, rung_error *error)
{
    json_error_t json_error = {.line = -1};
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &json_error);
    if (root != NULL) {
        return root;
    }
    bool says_why = json_error.text[0] != '\0'; /* without memory it mostly says nothing */
    if (!says_why || json_error_code(&json_error) == json_error_out_of_memory) {
        rung_fail_memory(error, name, bytes);
        return NULL;
    }
    /* The parser quotes the input, which may hold anything. */
    for (char *c = json_error.text; *c != '\0'; c++) {
        *c = *c < 0x20 || *c == 0x7F ? '?' : *c;
    }
    rung_fail(error, RUNG_FORMAT, "%s: not valid JSON at line %d, column %d: %s", name, json_error.line,
              json_error.column, json_error.text);
    return NULL;
}

rung_status rung_json_field(const json_t *object, const char *path, const char *key, json_type type, const char *name,
                            const json_t **value, rung_error *error)
{
    const char *dot = path[0] == '\0' ? "" : ".";
    const json_t *found = json_object_get(object, key);
    if (found == NULL) {
        return rung_fail(error, RUNG_FORMAT, "%s: field '%s%s%s' is missing; it must be %s", name, path, dot, key,
                         TYPE_NAMES[type]);
    }
    json_type actual = json_is_boolean(found) ? JSON_TRUE : json_typeof(found);
    if (actual != type) {
        return rung_fail(error, RUNG_FORMAT, "%s: field '%s%s%s' is %s; it must be %s", name, path, dot, key,
                         TYPE_NAMES[json_typeof(found)], TYPE_NAMES[type]);
    }
    *value = found;
    return RUNG_OK;
}
