/* jsonl.c: one line into one input. See jsonl.h; the reader of lines is line_reader.c. JSON by jansson (RFC 8259). */
#include "config/jsonl.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "config/option_value.h"
#include "config/suggest.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POSITION_BYTES 24

#define PATH_BYTES 64

static const char line_fields[] = "id|text|text_pair|label";

/* A text that is lent until the line is packed. */
typedef struct slice {
    const char *data; /* NULL: none */
    size_t bytes;
} slice;

void rung_line_deinit(rung_line *line)
{
    free(line->memory);
    *line = (rung_line){0};
}

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
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
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        return "null";
    }
    return "unknown";
}

static rung_status check_utf8(const char *text, size_t bytes, rung_error *error)
{
    size_t bad = 0;
    if (!rung_utf8_valid(text, bytes, &bad)) {
        return rung_fail(error, RUNG_FORMAT, "not valid UTF-8 at byte %zu", bad);
    }
    return RUNG_OK;
}

static bool is_blank(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (memchr(" \t\n\v\f\r", text[i], 6) == NULL) {
            return false;
        }
    }
    return true;
}

/* Something besides ASCII white space must be there to classify. */
static rung_status check_not_empty(const char *field, slice text, rung_error *error)
{
    if (!is_blank(text.data, text.bytes)) {
        return RUNG_OK;
    }
    return rung_fail(error, RUNG_INVALID, "%s is empty%s", field, text.bytes > 0 ? " (white space only)" : "");
}

/* The object that is read. */
typedef struct source {
    const json_t *object;
    const char *place; /* where it lies: "" for a line, else before the names of its fields in messages: "inputs[3]" */
    const char *known; /* its fields, "a|b" */
    uint64_t position;
} source;

/* How messages call a field. */
static const char *path_of(const source *from, const char *field, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s%s%s", from->place, from->place[0] != '\0' ? "." : "", field);
    return path;
}

static rung_status read_text(const source *from, const char *field, slice *text, rung_error *error)
{
    char path[PATH_BYTES];
    const json_t *value = json_object_get(from->object, field);
    if (value == NULL) {
        return RUNG_OK;
    }
    path_of(from, field, path);
    if (!json_is_string(value)) {
        return rung_fail(error, RUNG_INVALID, "field '%s' must be a string, not %s", path, type_name(value));
    }
    slice found = {json_string_value(value), json_string_length(value)};
    rung_status status = check_not_empty(path, found, error);
    if (status == RUNG_OK) {
        *text = found;
    }
    return status;
}

static slice print_integer(uint64_t value, char out[POSITION_BYTES])
{
    int length = snprintf(out, POSITION_BYTES, "%llu", (unsigned long long)value);
    return (slice){out, (size_t)length};
}

/* A string, an integer's decimal text, or the position. */
static rung_status read_id(const source *from, char digits[POSITION_BYTES], slice *id, rung_error *error)
{
    char path[PATH_BYTES];
    const json_t *value = json_object_get(from->object, "id");
    if (value == NULL) {
        *id = print_integer(from->position, digits);
        return RUNG_OK;
    }
    if (json_is_integer(value)) {
        int length = snprintf(digits, POSITION_BYTES, "%lld", (long long)json_integer_value(value));
        *id = (slice){digits, (size_t)length};
        return RUNG_OK;
    }
    path_of(from, "id", path);
    if (!json_is_string(value)) {
        return rung_fail(error, RUNG_INVALID, "field '%s' must be a string, not %s", path, type_name(value));
    }
    size_t bytes = json_string_length(value);
    if (bytes == 0 || bytes > RUNG_LINE_MAX_ID_BYTES) {
        return rung_fail(error, bytes == 0 ? RUNG_INVALID : RUNG_LIMIT, "field '%s' has %zu bytes; it may have 1 to %d",
                         path, bytes, RUNG_LINE_MAX_ID_BYTES);
    }
    *id = (slice){json_string_value(value), bytes};
    return RUNG_OK;
}

static rung_status read_label(const json_t *object, rung_line *line, slice *label, rung_error *error)
{
    const json_t *value = json_object_get(object, "label");
    if (value == NULL) {
        return RUNG_OK;
    }
    if (json_is_integer(value)) {
        json_int_t index = json_integer_value(value);
        if (index < 0) {
            return rung_fail(error, RUNG_INVALID, "field 'label' is %lld; an index counts from 0", (long long)index);
        }
        line->label_index = (uint64_t)index;
    } else if (json_is_string(value)) {
        *label = (slice){json_string_value(value), json_string_length(value)};
        if (label->bytes == 0) {
            return rung_fail(error, RUNG_INVALID, "field 'label' is empty; give a label's name or its index");
        }
    } else {
        return rung_fail(error, RUNG_INVALID, "field 'label' must be a string or an integer, not %s", type_name(value));
    }
    line->has_label = true;
    return RUNG_OK;
}

/* "id, text and label" of "id|text|label". */
static const char *list_names(const char *names, char list[PATH_BYTES])
{
    size_t length = 0;
    const char *last = strrchr(names, '|');
    for (const char *c = names; *c != '\0'; c++) {
        const char *written = *c != '|' ? NULL : c == last ? " and " : ", ";
        int more = written != NULL ? snprintf(list + length, PATH_BYTES - length, "%s", written)
                                   : snprintf(list + length, PATH_BYTES - length, "%c", *c);
        length += (size_t)more;
        if (length >= PATH_BYTES) {
            break;
        }
    }
    return list;
}

static rung_status check_fields(const source *from, rung_error *error)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)from->object, key, value)
    {
        char path[PATH_BYTES];
        char shown[RUNG_QUOTED_BYTES];
        char hint[RUNG_HINT_BYTES];
        char names[PATH_BYTES];
        if (strcmp(key, "target") == 0) {
            return rung_fail(error, RUNG_UNSUPPORTED,
                             "field '%s' needs a plan with certified targets, which this version "
                             "does not have; leave it out",
                             path_of(from, key, path));
        }
        if (!rung_find_choice(from->known, key, NULL)) {
            rung_hint_of_choices(key, from->known, hint);
            return rung_fail(error, RUNG_INVALID, "unknown field '%s%s'%s%s", path_of(from, "", path),
                             rung_shorten(key, strlen(key), shown), hint[0] != '\0' ? hint : "; known are ",
                             hint[0] != '\0' ? "" : list_names(from->known, names));
        }
    }
    return RUNG_OK;
}

static char *pack(char **at, slice text)
{
    if (text.data == NULL) {
        return NULL;
    }
    char *copy = *at;
    memcpy(copy, text.data, text.bytes);
    copy[text.bytes] = '\0';
    *at += text.bytes + 1;
    return copy;
}

/* Copies the four texts into one block that `line` owns. */
static rung_status fill_line(rung_line *line, slice id, slice text, slice pair, slice label, rung_error *error)
{
    size_t bytes = 4;
    const slice parts[] = {id, text, pair, label};
    for (size_t i = 0; i < 4; i++) {
        if (!rung_add_size(bytes, parts[i].bytes, &bytes)) {
            return rung_fail(error, RUNG_LIMIT, "a line's texts do not fit in memory");
        }
    }
    char *at = rung_alloc(bytes, 1, "line", error);
    if (at == NULL) {
        return RUNG_NO_MEMORY;
    }
    line->memory = at;
    line->id = pack(&at, id);
    line->text = pack(&at, text);
    line->text_pair = pack(&at, pair);
    line->label = pack(&at, label);
    line->id_bytes = id.bytes;
    line->text_bytes = text.bytes;
    line->text_pair_bytes = pair.bytes;
    return RUNG_OK;
}

/* Ids and labels are compared as C strings. */
static bool holds_nul(slice text)
{
    return text.bytes > 0 && memchr(text.data, 0, text.bytes) != NULL;
}

static rung_status read_object(const source *from, rung_line *line, rung_error *error)
{
    char digits[POSITION_BYTES];
    char path[PATH_BYTES];
    slice id = {0};
    slice text = {0};
    slice pair = {0};
    slice label = {0};
    rung_status status = check_fields(from, error);
    if (status == RUNG_OK) {
        status = read_text(from, "text", &text, error);
    }
    if (status == RUNG_OK && text.data == NULL) {
        status = rung_fail(error, RUNG_INVALID, "field '%s' is missing", path_of(from, "text", path));
    }
    if (status == RUNG_OK) {
        status = read_text(from, "text_pair", &pair, error);
    }
    if (status == RUNG_OK) {
        status = read_id(from, digits, &id, error);
    }
    if (status == RUNG_OK) {
        status = read_label(from->object, line, &label, error);
    }
    if (status == RUNG_OK && (holds_nul(id) || holds_nul(label))) {
        status = rung_fail(error, RUNG_INVALID, "field '%s' holds a NUL character",
                           path_of(from, holds_nul(id) ? "id" : "label", path));
    }
    return status == RUNG_OK ? fill_line(line, id, text, pair, label, error) : status;
}

/* A text by itself, with its position as id. */
static rung_status read_string(const char *place, slice text, uint64_t position, rung_line *line, rung_error *error)
{
    char digits[POSITION_BYTES];
    rung_status status = check_not_empty(place, text, error);
    return status == RUNG_OK ? fill_line(line, print_integer(position, digits), text, (slice){0}, (slice){0}, error)
                             : status;
}

rung_status rung_line_from_json(const json_t *value, const char *place, const char *known, uint64_t position,
                                rung_line *line, rung_error *error)
{
    rung_line parsed = {0};
    rung_status status;
    if (json_is_object(value)) {
        status = read_object(&(source){value, place, known, position}, &parsed, error);
    } else if (json_is_string(value) && place[0] != '\0') {
        slice text = {json_string_value(value), json_string_length(value)};
        status = read_string(place, text, position, &parsed, error);
    } else {
        status = rung_fail(error, RUNG_INVALID, "%s%smust be an object {\"text\": ...}%s, not %s", place,
                           place[0] != '\0' ? " " : "", place[0] != '\0' ? " or a string" : "", type_name(value));
    }
    if (status == RUNG_OK) {
        rung_line_deinit(line);
        *line = parsed;
    }
    return status;
}

rung_status rung_line_parse(const char *json, size_t bytes, uint64_t position, rung_line *line, rung_error *error)
{
    rung_status status = check_utf8(json, bytes, error);
    if (status != RUNG_OK) {
        return status;
    }
    if (is_blank(json, bytes)) {
        return rung_fail(error, RUNG_FORMAT, "the line is empty; it must be an object {\"text\": ...}");
    }
    json_error_t problem;
    json_t *object = json_loadb(json, bytes, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);
    if (object == NULL) {
        if (json_error_code(&problem) == json_error_out_of_memory) {
            return rung_fail_memory(error, "JSON line", bytes);
        }
        return rung_fail(error, RUNG_FORMAT, "not valid JSON at byte %d: %s", problem.position, problem.text);
    }
    status = rung_line_from_json(object, "", line_fields, position, line, error);
    json_decref(object);
    return status;
}

rung_status rung_line_from_text(const char *text, size_t bytes, uint64_t position, rung_line *line, rung_error *error)
{
    bytes -= bytes > 0 && text[bytes - 1] == '\r' ? 1 : 0;
    rung_line parsed = {0};
    rung_status status = check_utf8(text, bytes, error);
    if (status == RUNG_OK) {
        status = read_string("text", (slice){text, bytes}, position, &parsed, error);
    }
    if (status == RUNG_OK) {
        rung_line_deinit(line);
        *line = parsed;
    }
    return status;
}

static rung_status check_placed(const rung_placed_text *text, rung_error *error)
{
    size_t bad = 0;
    if (!rung_utf8_valid(text->text, text->bytes, &bad)) {
        return rung_fail(error, RUNG_FORMAT, "%s is not valid UTF-8 at byte %zu", text->place, bad);
    }
    if (is_blank(text->text, text->bytes)) {
        return rung_fail(error, RUNG_NOT_FOUND, "%s is empty%s", text->place,
                         text->bytes > 0 ? " (white space only)" : "");
    }
    return RUNG_OK;
}

rung_status rung_line_from_texts(const rung_placed_text *text, const rung_placed_text *pair, uint64_t position,
                                 rung_line *line, rung_error *error)
{
    char digits[POSITION_BYTES];
    rung_line parsed = {0};
    slice second = pair != NULL ? (slice){pair->text, pair->bytes} : (slice){0};
    rung_status status = check_placed(text, error);
    if (status == RUNG_OK && pair != NULL) {
        status = check_placed(pair, error);
    }
    if (status == RUNG_OK) {
        status = fill_line(&parsed, print_integer(position, digits), (slice){text->text, text->bytes}, second,
                           (slice){0}, error);
    }
    if (status == RUNG_OK) {
        rung_line_deinit(line);
        *line = parsed;
    }
    return status;
}
