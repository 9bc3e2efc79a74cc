/* calibration_file.c: reading and checking calibration.json. See calibration_file.h; calibration_write.c writes it. */
#include "config/calibration_file.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "config/option_value.h"
#include "config/suggest.h"
#include "model/json_field.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE_BYTES ((size_t)16 << 20)
#define MAX_PATH_BYTES 64
#define MAX_ROWS 9007199254740992.0

/* The object that is being read, and how messages call it. */
typedef struct object {
    const json_t *json;
    const char *file;
    char path[MAX_PATH_BYTES]; /* "levels[1].exits[0]", "" for the file itself */
    rung_error *error;
} object;

void rung_calibration_file_deinit(rung_calibration_file *file)
{
    for (size_t i = 0; file->labels != NULL && i < file->num_labels; i++) {
        free(file->labels[i]);
    }
    for (size_t i = 0; i < RUNG_MAX_LEVELS; i++) {
        free(file->levels[i].name);
        free(file->levels[i].exits);
        free(file->temperatures[i]);
    }
    free(file->labels);
    free(file->data_name);
    free(file->path);
    *file = (rung_calibration_file){0};
}

/* "path.key" */
static const char *path_of(const object *o, const char *key, char out[2 * MAX_PATH_BYTES])
{
    snprintf(out, 2 * MAX_PATH_BYTES, "%s%s%s", o->path, o->path[0] != '\0' ? "." : "", key);
    return out;
}

static rung_status check_known(const object *o, const char *known)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)o->json, key, value)
    {
        char shown[RUNG_QUOTED_BYTES];
        char hint[RUNG_HINT_BYTES];
        char path[2 * MAX_PATH_BYTES];
        if (!rung_find_choice(known, key, NULL)) {
            return rung_fail(o->error, RUNG_FORMAT, "%s: unknown field '%s'%s", o->file,
                             path_of(o, rung_shorten(key, strlen(key), shown), path),
                             rung_hint_of_choices(key, known, hint));
        }
    }
    return RUNG_OK;
}

static rung_status read_number(const object *o, const char *key, double min, double max, double *number)
{
    char path[2 * MAX_PATH_BYTES];
    const json_t *value = json_object_get(o->json, key);
    path_of(o, key, path);
    if (value == NULL) {
        return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s' is missing; it must be a number", o->file, path);
    }
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

static rung_status read_integer(const object *o, const char *key, double min, double max, uint64_t *number)
{
    char path[2 * MAX_PATH_BYTES];
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

static rung_status read_u32(const object *o, const char *key, uint32_t min, uint32_t max, uint32_t *number)
{
    uint64_t wide = 0;
    rung_status status = read_integer(o, key, min, max, &wide);
    if (status == RUNG_OK) {
        *number = (uint32_t)wide;
    }
    return status;
}

static rung_status copy_string(const object *o, const char *path, const json_t *value, char **text)
{
    size_t bytes = json_string_length(value);
    const char *found = json_string_value(value);
    if (bytes == 0 || memchr(found, '\0', bytes) != NULL) {
        return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s' is empty or holds a NUL", o->file, path);
    }
    *text = rung_copy_text(found, bytes, "calibration", o->error);
    return *text == NULL ? RUNG_NO_MEMORY : RUNG_OK;
}

static rung_status read_string(const object *o, const char *key, char **text)
{
    char path[2 * MAX_PATH_BYTES];
    const json_t *value = NULL;
    rung_status status = rung_json_field(o->json, o->path, key, JSON_STRING, o->file, &value, o->error);
    return status == RUNG_OK ? copy_string(o, path_of(o, key, path), value, text) : status;
}

/* A string out of "a|b|c"; *index is which. */
static rung_status read_choice(const object *o, const char *key, const char *choices, uint32_t *index)
{
    char path[2 * MAX_PATH_BYTES];
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

static rung_status read_sha256(const object *o, const char *key, char hex[RUNG_SHA256_HEX_BYTES])
{
    char path[2 * MAX_PATH_BYTES];
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

static rung_status read_object(const object *o, const char *key, object *inner)
{
    char path[2 * MAX_PATH_BYTES];
    const json_t *value = NULL;
    rung_status status = rung_json_field(o->json, o->path, key, JSON_OBJECT, o->file, &value, o->error);
    if (status == RUNG_OK) {
        *inner = (object){.json = value, .file = o->file, .error = o->error};
        snprintf(inner->path, sizeof inner->path, "%.60s", path_of(o, key, path));
    }
    return status;
}

/* Entry `index` of a list of objects. */
static rung_status read_entry(const object *o, const char *key, const json_t *list, size_t index, object *inner)
{
    char path[2 * MAX_PATH_BYTES];
    const json_t *value = json_array_get(list, index);
    *inner = (object){.json = value, .file = o->file, .error = o->error};
    snprintf(inner->path, sizeof inner->path, "%.48s[%zu]", path_of(o, key, path), index);
    if (!json_is_object(value)) {
        return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s' is %s; it must be an object", o->file, inner->path,
                         rung_json_type_name(value));
    }
    return RUNG_OK;
}

static rung_status read_list(const object *o, const char *key, size_t min, size_t max, const json_t **list)
{
    char path[2 * MAX_PATH_BYTES];
    rung_status status = rung_json_field(o->json, o->path, key, JSON_ARRAY, o->file, list, o->error);
    if (status == RUNG_OK && (json_array_size(*list) < min || json_array_size(*list) > max)) {
        return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s' has %zu entries; it must have %zu to %zu", o->file,
                         path_of(o, key, path), json_array_size(*list), min, max);
    }
    return status;
}

static rung_status read_exit(const object *o, uint32_t above, uint32_t num_layers, rung_calibration_exit *exit)
{
    rung_status status = check_known(o, "layer|temperature|accuracy|nll_before|nll_after");
    if (status == RUNG_OK) {
        status = read_u32(o, "layer", above + 1, num_layers, &exit->layer);
    }
    if (status == RUNG_OK) {
        status = read_number(o, "temperature", RUNG_MIN_TEMPERATURE, RUNG_MAX_TEMPERATURE, &exit->temperature);
    }
    if (status == RUNG_OK) {
        status = read_number(o, "accuracy", 0, 1, &exit->accuracy);
    }
    if (status == RUNG_OK) {
        status = read_number(o, "nll_before", 0, 1e9, &exit->nll_before);
    }
    if (status == RUNG_OK) {
        status = read_number(o, "nll_after", 0, 1e9, &exit->nll_after);
    }
    return status;
}

static rung_status read_exits(const object *o, rung_calibration_level *level)
{
    const json_t *list = NULL;
    rung_status status = read_list(o, "exits", 1, level->num_layers, &list);
    if (status != RUNG_OK) {
        return status;
    }
    level->num_exits = json_array_size(list);
    level->exits = rung_alloc(level->num_exits, sizeof *level->exits, "calibration", o->error);
    status = level->exits == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    uint32_t above = 0;
    for (size_t i = 0; status == RUNG_OK && i < level->num_exits; i++) {
        object entry;
        status = read_entry(o, "exits", list, i, &entry);
        if (status == RUNG_OK) {
            status = read_exit(&entry, above, level->num_layers, &level->exits[i]);
            above = level->exits[i].layer;
        }
    }
    if (status == RUNG_OK && above != level->num_layers) {
        return rung_fail(o->error, RUNG_FORMAT,
                         "%s: field '%s.exits' ends at layer %u; it must end at the last layer, %u", o->file, o->path,
                         above, level->num_layers);
    }
    return status;
}

static rung_status read_level(const object *o, bool is_top, rung_calibration_level *level)
{
    rung_status status = check_known(o, "name|model_sha256|layers|exits|accuracy|threshold|agreement|answered");
    if (status == RUNG_OK) {
        status = read_string(o, "name", &level->name);
    }
    if (status == RUNG_OK) {
        status = read_sha256(o, "model_sha256", level->model_sha256);
    }
    if (status == RUNG_OK) {
        status = read_u32(o, "layers", 1, RUNG_MAX_LAYERS, &level->num_layers);
    }
    if (status == RUNG_OK) {
        status = read_exits(o, level);
    }
    if (status == RUNG_OK) {
        status = read_number(o, "accuracy", 0, 1, &level->accuracy);
    }
    if (status == RUNG_OK && (!is_top || json_object_get(o->json, "threshold") != NULL)) {
        status = read_number(o, "threshold", 0, 1, &level->threshold);
        level->has_threshold = true;
    }
    if (status == RUNG_OK) {
        status = read_number(o, "agreement", 0, 1, &level->agreement);
    }
    if (status == RUNG_OK) {
        status = read_number(o, "answered", 0, 1, &level->answered);
    }
    return status;
}

static rung_status read_levels(const object *o, rung_calibration_file *file)
{
    const json_t *list = NULL;
    rung_status status = read_list(o, "levels", 1, RUNG_MAX_LEVELS, &list);
    if (status != RUNG_OK) {
        return status;
    }
    file->num_levels = (uint32_t)json_array_size(list);
    for (uint32_t l = 0; status == RUNG_OK && l < file->num_levels; l++) {
        object entry;
        status = read_entry(o, "levels", list, l, &entry);
        if (status == RUNG_OK) {
            status = read_level(&entry, l + 1 == file->num_levels, &file->levels[l]);
        }
    }
    return status;
}

static rung_status read_labels(const object *o, rung_calibration_file *file)
{
    const json_t *list = NULL;
    rung_status status = read_list(o, "labels", 1, RUNG_MAX_LABELS, &list);
    if (status != RUNG_OK) {
        return status;
    }
    file->num_labels = json_array_size(list);
    file->labels = rung_alloc(file->num_labels, sizeof *file->labels, "calibration", o->error);
    status = file->labels == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < file->num_labels; i++) {
        const json_t *value = json_array_get(list, i);
        char path[MAX_PATH_BYTES];
        snprintf(path, sizeof path, "labels[%zu]", i);
        if (!json_is_string(value)) {
            return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s' is %s; it must be a string", o->file, path,
                             rung_json_type_name(value));
        }
        status = copy_string(o, path, value, &file->labels[i]);
        for (size_t j = 0; status == RUNG_OK && j < i; j++) {
            if (strcmp(file->labels[i], file->labels[j]) == 0) {
                char shown[RUNG_QUOTED_BYTES];
                status = rung_fail(o->error, RUNG_FORMAT, "%s: field '%s' is '%s', as labels[%zu] is", o->file, path,
                                   rung_shorten(file->labels[i], strlen(file->labels[i]), shown), j);
            }
        }
    }
    return status;
}

static rung_status read_data(const object *o, rung_calibration_file *file)
{
    object data;
    rung_status status = read_object(o, "data", &data);
    if (status == RUNG_OK) {
        status = check_known(&data, "name|sha256|rows");
    }
    if (status == RUNG_OK) {
        status = read_string(&data, "name", &file->data_name);
    }
    if (status == RUNG_OK) {
        status = read_sha256(&data, "sha256", file->data_sha256);
    }
    return status == RUNG_OK ? read_integer(&data, "rows", 1, MAX_ROWS, &file->data_rows) : status;
}

static rung_status read_exit_rule(const object *policy, rung_exit_policy *rule)
{
    object exit;
    uint32_t index = 0;
    rung_status status = read_object(policy, "exit", &exit);
    if (status == RUNG_OK) {
        status = check_known(&exit, "rule|tau|patience|confidence|first_layer");
    }
    if (status == RUNG_OK) {
        status = read_choice(&exit, "rule", "off|paper|agree", &index);
        rule->rule = (rung_exit_rule)index;
    }
    if (status == RUNG_OK) {
        status = read_number(&exit, "tau", 0, 1, &rule->tau);
    }
    if (status == RUNG_OK) {
        status = read_u32(&exit, "patience", 1, RUNG_MAX_LAYERS, &rule->patience);
    }
    if (status == RUNG_OK) {
        status = read_number(&exit, "confidence", 0, 1, &rule->confidence);
    }
    return status == RUNG_OK ? read_u32(&exit, "first_layer", 1, RUNG_MAX_LAYERS, &rule->first_layer) : status;
}

static rung_status read_policy(const object *o, rung_calibration_file *file)
{
    static const char names[] = "rung|paper|tabi|tangobert|single";
    object policy;
    uint32_t index = 0;
    rung_status status = read_object(o, "policy", &policy);
    if (status == RUNG_OK) {
        status = check_known(&policy, "name|exit");
    }
    if (status == RUNG_OK) {
        status = read_choice(&policy, "name", names, &index);
    }
    if (status == RUNG_OK) {
        const char *name = json_string_value(json_object_get(policy.json, "name"));
        memcpy(file->policy_name, name, strlen(name) + 1); /* one of the names above: it fits */
        status = read_exit_rule(&policy, &file->exit);
    }
    return status;
}

static rung_status read_version(const object *o)
{
    static const char name[] = "rung-calibration";
    const json_t *format = NULL;
    const json_t *version = NULL;
    rung_status status = rung_json_field(o->json, "", "format", JSON_STRING, o->file, &format, o->error);
    if (status == RUNG_OK && strcmp(json_string_value(format), name) != 0) {
        char shown[RUNG_QUOTED_BYTES];
        return rung_fail(o->error, RUNG_FORMAT, "%s: field 'format' is '%s'; it must be '%s'", o->file,
                         rung_shorten(json_string_value(format), json_string_length(format), shown), name);
    }
    if (status == RUNG_OK) {
        status = rung_json_field(o->json, "", "version", JSON_INTEGER, o->file, &version, o->error);
    }
    if (status == RUNG_OK && json_integer_value(version) != RUNG_CALIBRATION_VERSION) {
        return rung_fail(o->error, RUNG_UNSUPPORTED,
                         "%s: field 'version' is %lld; this rung reads %d: run rung fit again", o->file,
                         (long long)json_integer_value(version), RUNG_CALIBRATION_VERSION);
    }
    return status;
}

static rung_status read_file(const object *o, rung_calibration_file *file)
{
    uint32_t index = 0;
    rung_status status = read_version(o);
    if (status == RUNG_OK) {
        status = check_known(o, "format|version|precision|task|labels|data|levels|target_agreement|seed|policy");
    }
    if (status == RUNG_OK) {
        status = read_choice(o, "precision", "fp32|int8", &index);
        file->precision = (rung_precision)index;
    }
    if (status == RUNG_OK) {
        status = read_choice(o, "task", "single_label|multi_label", &index);
        file->task = (rung_task)index;
    }
    if (status == RUNG_OK) {
        status = read_labels(o, file);
    }
    if (status == RUNG_OK) {
        status = read_data(o, file);
    }
    if (status == RUNG_OK) {
        status = read_levels(o, file);
    }
    if (status == RUNG_OK) {
        status = read_number(o, "target_agreement", 0, 1, &file->target_agreement);
    }
    if (status == RUNG_OK) {
        status = read_integer(o, "seed", 0, MAX_ROWS, &file->seed);
    }
    return status == RUNG_OK ? read_policy(o, file) : status;
}

rung_status rung_calibration_file_parse(const char *json, size_t bytes, const char *name, rung_calibration_file *file,
                                        rung_error *error)
{
    rung_error unused = {0};
    size_t bad = 0;
    error = error != NULL ? error : &unused;
    if (!rung_utf8_valid(json, bytes, &bad)) {
        return rung_fail(error, RUNG_FORMAT, "%s: not valid UTF-8 at byte %zu", name, bad);
    }
    json_t *root = rung_json_parse(json, bytes, name, error);
    if (root == NULL) {
        return error->code;
    }
    object whole = {.json = root, .file = name, .error = error};
    rung_calibration_file made = {0};
    made.path = rung_copy_text(name, strlen(name), "file name", error);
    rung_status status = made.path == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    if (status == RUNG_OK && !json_is_object(root)) {
        status = rung_fail(error, RUNG_FORMAT, "%s: is %s; it must be an object", name, rung_json_type_name(root));
    }
    if (status == RUNG_OK) {
        status = read_file(&whole, &made);
    }
    json_decref(root);
    if (status != RUNG_OK) {
        rung_calibration_file_deinit(&made);
        return status;
    }
    rung_calibration_file_deinit(file);
    *file = made;
    return RUNG_OK;
}

rung_status rung_calibration_file_load(const char *path, rung_calibration_file *file, rung_error *error)
{
    char *text = NULL;
    size_t bytes = 0;
    rung_status status = rung_read_file(path, MAX_FILE_BYTES, &text, &bytes, error);
    if (status == RUNG_OK) {
        status = rung_calibration_file_parse(text, bytes, path, file, error);
        free(text);
    }
    return status;
}
