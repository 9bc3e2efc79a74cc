/* calibration_fields.c: fields of a JSON object, read with their limits. See calibration_fields.h. */
#include "config/calibration_fields.h"

#include "base/base64.h"
#include "base/hash.h"
#include "base/memory.h"
#include "config/option_value.h"
#include "config/suggest.h"
#include "model/json_field.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "path.key" */
static const char *path_of(const rung_fields *o, const char *key, char out[2 * RUNG_FIELDS_PATH_BYTES])
{
    snprintf(out, 2 * RUNG_FIELDS_PATH_BYTES, "%s%s%s", o->path, o->path[0] != '\0' ? "." : "", key);
    return out;
}

rung_status rung_fields_known(const rung_fields *o, const char *known)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)o->json, key, value)
    {
        char shown[RUNG_QUOTED_BYTES];
        char hint[RUNG_HINT_BYTES];
        char path[2 * RUNG_FIELDS_PATH_BYTES];
        if (!rung_find_choice(known, key, NULL)) {
            return rung_fail(o->error, RUNG_FORMAT, "%s: unknown field '%s'%s", o->file,
                             path_of(o, rung_shorten(key, strlen(key), shown), path),
                             rung_hint_of_choices(key, known, hint));
        }
    }
    return RUNG_OK;
}

/* `path` names the value in messages. */
static rung_status take_number(const rung_fields *o, const char *path, const json_t *value, double min, double max,
                               double *number)
{
    if (!json_is_number(value)) {
        return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s' is %s; it must be a number", o->file, path,
                         rung_json_type_name(value));
    }
    double found = json_number_value(value);
    if (!(found >= min && found <= max)) {
        return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s' is %g; it must be from %g to %g", o->file, path, found,
                         min, max);
    }
    *number = found;
    return RUNG_OK;
}

rung_status rung_fields_number(const rung_fields *o, const char *key, double min, double max, double *number)
{
    char path[2 * RUNG_FIELDS_PATH_BYTES];
    const json_t *value = json_object_get(o->json, key);
    path_of(o, key, path);
    if (value == NULL) {
        return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s' is missing; it must be a number", o->file, path);
    }
    return take_number(o, path, value, min, max, number);
}

rung_status rung_fields_numbers(const rung_fields *o, const char *key, size_t count, double min, double max,
                                double *numbers)
{
    char path[2 * RUNG_FIELDS_PATH_BYTES];
    char item[3 * RUNG_FIELDS_PATH_BYTES];
    const json_t *list = NULL;
    double unused;
    rung_status status = rung_fields_list(o, key, count, count, &list);
    path_of(o, key, path);
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        snprintf(item, sizeof item, "%s[%zu]", path, i);
        status = take_number(o, item, json_array_get(list, i), min, max, &unused);
    }
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        numbers[i] = json_number_value(json_array_get(list, i));
    }
    return status;
}

rung_status rung_fields_integer(const rung_fields *o, const char *key, double min, double max, uint64_t *number)
{
    char path[2 * RUNG_FIELDS_PATH_BYTES];
    const json_t *value = NULL;
    rung_status status = rung_json_field(o->json, o->path, key, JSON_INTEGER, o->file, &value, o->error);
    if (status != RUNG_OK) {
        return status;
    }
    json_int_t found = json_integer_value(value);
    if (!((double)found >= min && (double)found <= max)) {
        return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s' is %lld; it must be from %.0f to %.0f", o->file,
                         path_of(o, key, path), (long long)found, min, max);
    }
    *number = (uint64_t)found;
    return RUNG_OK;
}

rung_status rung_fields_u32(const rung_fields *o, const char *key, uint32_t min, uint32_t max, uint32_t *number)
{
    uint64_t wide = 0;
    rung_status status = rung_fields_integer(o, key, min, max, &wide);
    if (status == RUNG_OK) {
        *number = (uint32_t)wide;
    }
    return status;
}

rung_status rung_fields_copy_string(const rung_fields *o, const char *path, const json_t *value, char **text)
{
    size_t bytes = json_string_length(value);
    const char *found = json_string_value(value);
    if (bytes == 0 || memchr(found, '\0', bytes) != NULL) {
        return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s' is empty or holds a NUL", o->file, path);
    }
    *text = rung_copy_text(found, bytes, "calibration", o->error);
    return *text == NULL ? RUNG_NO_MEMORY : RUNG_OK;
}

rung_status rung_fields_string(const rung_fields *o, const char *key, char **text)
{
    char path[2 * RUNG_FIELDS_PATH_BYTES];
    const json_t *value = NULL;
    rung_status status = rung_json_field(o->json, o->path, key, JSON_STRING, o->file, &value, o->error);
    return status == RUNG_OK ? rung_fields_copy_string(o, path_of(o, key, path), value, text) : status;
}

/* A string out of "a|b|c"; *index is which. */
rung_status rung_fields_choice(const rung_fields *o, const char *key, const char *choices, uint32_t *index)
{
    char path[2 * RUNG_FIELDS_PATH_BYTES];
    char shown[RUNG_QUOTED_BYTES];
    const json_t *value = NULL;
    rung_status status = rung_json_field(o->json, o->path, key, JSON_STRING, o->file, &value, o->error);
    if (status != RUNG_OK || rung_find_choice(choices, json_string_value(value), index)) {
        return status;
    }
    rung_buffer names = {0};
    rung_append_choices(&names, choices);
    status = rung_fail(o->error, RUNG_FORMAT, "%s: field '%s' is '%s'; it must be %s", o->file, path_of(o, key, path),
                       rung_shorten(json_string_value(value), json_string_length(value), shown),
                       names.failed ? choices : names.data);
    rung_buffer_deinit(&names);
    return status;
}

rung_status rung_fields_sha256(const rung_fields *o, const char *key, char hex[RUNG_SHA256_HEX_BYTES])
{
    char path[2 * RUNG_FIELDS_PATH_BYTES];
    char shown[RUNG_QUOTED_BYTES];
    const json_t *value = NULL;
    rung_status status = rung_json_field(o->json, o->path, key, JSON_STRING, o->file, &value, o->error);
    if (status != RUNG_OK) {
        return status;
    }
    const char *text = json_string_value(value);
    size_t bytes = json_string_length(value);
    if (bytes != RUNG_SHA256_HEX_BYTES - 1 || strspn(text, "0123456789abcdef") != bytes) {
        return rung_fail(o->error, RUNG_FORMAT,
                         "%s: field '%s' is '%s'; it must be the 64 hexadecimal digits of a SHA-256", o->file,
                         path_of(o, key, path), rung_shorten(text, bytes, shown));
    }
    memcpy(hex, text, bytes + 1);
    return RUNG_OK;
}

rung_status rung_fields_object(const rung_fields *o, const char *key, rung_fields *inner)
{
    char path[2 * RUNG_FIELDS_PATH_BYTES];
    const json_t *value = NULL;
    rung_status status = rung_json_field(o->json, o->path, key, JSON_OBJECT, o->file, &value, o->error);
    if (status == RUNG_OK) {
        *inner = (rung_fields){.json = value, .file = o->file, .error = o->error};
        snprintf(inner->path, sizeof inner->path, "%.60s", path_of(o, key, path));
    }
    return status;
}

/* Entry `index` of a list of objects. */
rung_status rung_fields_entry(const rung_fields *o, const char *key, const json_t *list, size_t index,
                              rung_fields *inner)
{
    char path[2 * RUNG_FIELDS_PATH_BYTES];
    const json_t *value = json_array_get(list, index);
    *inner = (rung_fields){.json = value, .file = o->file, .error = o->error};
    snprintf(inner->path, sizeof inner->path, "%.48s[%zu]", path_of(o, key, path), index);
    if (!json_is_object(value)) {
        return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s' is %s; it must be an object", o->file, inner->path,
                         rung_json_type_name(value));
    }
    return RUNG_OK;
}

rung_status rung_fields_list(const rung_fields *o, const char *key, size_t min, size_t max, const json_t **list)
{
    char path[2 * RUNG_FIELDS_PATH_BYTES];
    rung_status status = rung_json_field(o->json, o->path, key, JSON_ARRAY, o->file, list, o->error);
    if (status == RUNG_OK && (json_array_size(*list) < min || json_array_size(*list) > max)) {
        return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s' has %zu entries; it must have %zu to %zu", o->file,
                         path_of(o, key, path), json_array_size(*list), min, max);
    }
    return status;
}

/* The floats of `bytes` in place: little-endian 32-bit numbers. */
static void take_floats(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t raw[4];
        memcpy(raw, &values[i], sizeof raw);
        uint32_t bits = raw[0] | (uint32_t)raw[1] << 8 | (uint32_t)raw[2] << 16 | (uint32_t)raw[3] << 24;
        memcpy(&values[i], &bits, sizeof bits);
    }
}

rung_status rung_fields_floats(const rung_fields *o, const char *key, size_t count, float **values)
{
    char path[2 * RUNG_FIELDS_PATH_BYTES];
    const json_t *value = NULL;
    rung_status status = rung_json_field(o->json, o->path, key, JSON_STRING, o->file, &value, o->error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t length = json_string_length(value);
    size_t bytes = 0;
    path_of(o, key, path);
    /* The length is compared before anything is allocated: count comes from the file as well. */
    if (length != (count * sizeof(float) + 2) / 3 * 4) {
        return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s' has %zu characters; %zu floats in base64 have %zu",
                         o->file, path, length, count, (count * sizeof(float) + 2) / 3 * 4);
    }
    float *made = rung_alloc(rung_base64_max_bytes(length), 1, "calibration", o->error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    status = rung_base64_decode(json_string_value(value), length, made, &bytes, o->error);
    if (status != RUNG_OK) {
        status = rung_fail_in(o->error, "%s: field '%s'", o->file, path);
    } else if (bytes != count * sizeof(float)) {
        status = rung_fail(o->error, RUNG_FORMAT, "%s: field '%s' has %zu bytes; %zu floats have %zu", o->file, path,
                           bytes, count, count * sizeof(float));
    }
    take_floats(made, status == RUNG_OK ? count : 0);
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        if (!isfinite(made[i])) {
            status = rung_fail(o->error, RUNG_FORMAT, "%s: field '%s': float %zu is %g; it must be finite", o->file,
                               path, i, (double)made[i]);
        }
    }
    if (status != RUNG_OK) {
        free(made);
        return status;
    }
    free(*values);
    *values = made;
    return RUNG_OK;
}
