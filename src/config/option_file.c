/* option_file.c: the keys of a YAML file into options, by the table of options. See option_file.h. */
#include "config/option_file.h"

#include "base/memory.h"
#include "config/option_value.h"
#include "config/suggest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_KEY_BYTES 128
#define MAX_CONTEXT_BYTES 640
#define LEVELS "levels"
#define POLICY "policy"

typedef struct walk {
    const rung_yaml *yaml;
    rung_file_kind kind;
    const char *directory;
    rung_options *options;
    rung_file_lines *lines;
    uint32_t level; /* of the entry of `levels` that is being read, 0-based */
    rung_error *error;
} walk;

/* The row whose key is `key` in a file of this kind; RUNG_OPTION_COUNT when there is none. */
static rung_option_id find_key(const char *key, rung_file_kind kind)
{
    rung_option_id id = 0;
    while (id < RUNG_OPTION_COUNT &&
           (!rung_option_in_file(id, kind) || strcmp(rung_option_spec_of(id)->key, key) != 0)) {
        id++;
    }
    return id;
}

/* What follows "prefix." in a row's key; NULL when the row lies elsewhere. */
static const char *below(rung_option_id id, rung_file_kind kind, const char *prefix)
{
    const rung_option_spec *spec = rung_option_spec_of(id);
    size_t length = strlen(prefix);
    if (!rung_option_in_file(id, kind) || strncmp(spec->key, prefix, length) != 0) {
        return NULL;
    }
    if (length == 0) {
        return spec->key;
    }
    return spec->key[length] == '.' ? spec->key + length + 1 : NULL;
}

static bool has_keys_below(const char *prefix, rung_file_kind kind)
{
    for (rung_option_id id = 0; id < RUNG_OPTION_COUNT; id++) {
        if (below(id, kind, prefix) != NULL) {
            return true;
        }
    }
    return false;
}

/* "levels[].speed" of level 2 reads "levels.2.speed", as the flag does. */
static const char *shown_key(const walk *w, const char *key, char out[MAX_KEY_BYTES])
{
    const char *brackets = strstr(key, "[]");
    if (brackets == NULL) {
        snprintf(out, MAX_KEY_BYTES, "%.120s", key);
    } else {
        snprintf(out, MAX_KEY_BYTES, "%.*s.%u%.100s", (int)(brackets - key), key, w->level + 1, brackets + 2);
    }
    return out;
}

/* The name is one of the other kind of file: which file was meant is the better hint. */
static rung_status fail_elsewhere(const walk *w, const rung_yaml_node *key)
{
    char shown[RUNG_QUOTED_BYTES];
    rung_shorten(key->text, strlen(key->text), shown);
    return rung_yaml_fail(w->yaml, key, w->error, RUNG_INVALID,
                          w->kind == RUNG_FILE_NODE
                              ? "'%s' is a key of a cascade's file (cascade.yaml); a node's has model"
                              : "'%s' is a key of a node's file, which 'rung serve' reads; a cascade's has levels",
                          shown);
}

static bool is_elsewhere(const walk *w, const char *name)
{
    rung_file_kind other = w->kind == RUNG_FILE_NODE ? RUNG_FILE_CASCADE : RUNG_FILE_NODE;
    if (strpbrk(name, ".[") != NULL) {
        return false;
    }
    return find_key(name, other) < RUNG_OPTION_COUNT || has_keys_below(name, other) ||
           (other == RUNG_FILE_CASCADE && strcmp(name, LEVELS) == 0);
}

/* The names one step below prefix, and failing that the last part of any key. */
static rung_status fail_unknown(const walk *w, const rung_yaml_node *key, const char *prefix)
{
    char shown[RUNG_QUOTED_BYTES];
    char hint[RUNG_HINT_BYTES];
    char names[RUNG_OPTION_COUNT][MAX_KEY_BYTES];
    rung_suggestion suggestion = {.name = key->text};
    if (prefix[0] == '\0' && is_elsewhere(w, key->text)) {
        return fail_elsewhere(w, key);
    }
    for (rung_option_id id = 0; id < RUNG_OPTION_COUNT; id++) {
        const char *rest = below(id, w->kind, prefix);
        names[id][0] = '\0';
        if (rest != NULL) {
            snprintf(names[id], MAX_KEY_BYTES, "%.*s", (int)strcspn(rest, ".["), rest);
            rung_suggest(&suggestion, names[id]);
        }
    }
    for (rung_option_id id = 0; id < RUNG_OPTION_COUNT && suggestion.best == NULL; id++) {
        const rung_option_spec *spec = rung_option_spec_of(id);
        const char *dot = strrchr(spec->key, '.');
        rung_suggestion last = {.name = key->text};
        if (rung_option_in_file(id, w->kind)) {
            rung_suggest(&last, dot != NULL ? dot + 1 : spec->key);
            suggestion.best = last.best != NULL ? spec->key : NULL;
        }
    }
    rung_shorten(key->text, strlen(key->text), shown);
    char path[MAX_KEY_BYTES];
    return rung_yaml_fail(w->yaml, key, w->error, RUNG_INVALID, "unknown key '%s%s%s'%s", shown_key(w, prefix, path),
                          prefix[0] != '\0' ? "." : "", shown, rung_suggestion_hint(&suggestion, hint));
}

static rung_status put_scalar(const walk *w, rung_option_id id, const rung_yaml_node *node, const char *text)
{
    const rung_option_spec *spec = rung_option_spec_of(id);
    char key[MAX_KEY_BYTES];
    char origin[MAX_CONTEXT_BYTES];
    char context[MAX_CONTEXT_BYTES];
    shown_key(w, spec->key, key);
    snprintf(origin, sizeof origin, "%.400s:%u", w->yaml->name, node->line);
    snprintf(context, sizeof context, "%.400s:%u:%u: %s", w->yaml->name, node->line, node->column, key);
    return rung_options_put(w->options, id, rung_option_is_level(id) ? w->level : 0, RUNG_SOURCE_FILE, origin,
                            spec->type == RUNG_TYPE_PATH ? w->directory : NULL, context, text, w->error);
}

static rung_status put_pairs(const walk *w, rung_option_id id, const rung_yaml_node *node)
{
    char origin[MAX_CONTEXT_BYTES];
    snprintf(origin, sizeof origin, "%.400s:%u", w->yaml->name, node->line);
    const char **pairs = rung_alloc(2 * node->count, sizeof *pairs, "labels", w->error);
    rung_status status = pairs == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < node->count; i++) {
        const rung_yaml_node *value = node->items[i];
        pairs[2 * i] = node->keys[i]->text;
        pairs[2 * i + 1] = value->text;
        if (value->kind != RUNG_YAML_SCALAR || value->is_null) {
            status = rung_yaml_fail(w->yaml, value, w->error, RUNG_INVALID, "%s: the new name must be a name",
                                    rung_option_spec_of(id)->key);
        }
    }
    if (status == RUNG_OK) {
        status = rung_options_put_pairs(w->options, id, origin, node->count, pairs, w->error);
    }
    free(pairs);
    return status;
}

/* One item of a list by itself, so that its error has its own line. */
static rung_status check_item(const walk *w, rung_option_id id, const rung_yaml_node *item, size_t position)
{
    const rung_option_spec *spec = rung_option_spec_of(id);
    bool plain = item->kind == RUNG_YAML_SCALAR && !item->is_null && strchr(item->text, ',') == NULL;
    if (!plain) {
        return rung_yaml_fail(w->yaml, item, w->error, RUNG_INVALID, "%s: entry %zu is not %s", spec->key, position,
                              spec->type == RUNG_TYPE_NUMBERS  ? "a number"
                              : spec->type == RUNG_TYPE_LEVELS ? "a level's number"
                              : spec->type == RUNG_TYPE_NAMES  ? "one name without commas"
                                                               : "one address");
    }
    char context[MAX_CONTEXT_BYTES];
    rung_option_value unused = {0};
    snprintf(context, sizeof context, "%.400s:%u:%u: %s", w->yaml->name, item->line, item->column, spec->key);
    rung_status status = rung_option_value_parse(spec, context, item->text, &unused, w->error);
    rung_option_value_deinit(&unused);
    return status;
}

/* [0.9, 0.8] becomes "0.9, 0.8". */
static rung_status put_list(const walk *w, rung_option_id id, const rung_yaml_node *node)
{
    rung_buffer text = {0};
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < node->count; i++) {
        status = check_item(w, id, node->items[i], i + 1);
        rung_buffer_format(&text, "%s%s", i > 0 ? ", " : "", status == RUNG_OK ? node->items[i]->text : "");
    }
    if (status == RUNG_OK && node->count == 0) {
        status = rung_yaml_fail(w->yaml, node, w->error, RUNG_INVALID, "%s: the list is empty",
                                rung_option_spec_of(id)->key);
    }
    if (status == RUNG_OK) {
        status = rung_buffer_check(&text, "list", w->error);
    }
    if (status == RUNG_OK) {
        status = put_scalar(w, id, node, text.data);
    }
    rung_buffer_deinit(&text);
    return status;
}

static const char *kind_name(rung_yaml_kind kind)
{
    return kind == RUNG_YAML_MAPPING ? "a mapping" : kind == RUNG_YAML_SEQUENCE ? "a list" : "a single value";
}

static rung_status walk_levels(walk *w, const rung_yaml_node *node);
static rung_status walk_mapping(walk *w, const rung_yaml_node *node, const char *prefix);

/* The value of the known key `path`: what it may look like follows from the option's type and from the keys below it. */
static rung_status take_value(walk *w, const rung_yaml_node *value, const char *path, const char *shown)
{
    rung_option_id id = find_key(path, w->kind);
    const rung_option_type type = id < RUNG_OPTION_COUNT ? rung_option_spec_of(id)->type : RUNG_TYPE_TEXT;
    bool has_below = has_keys_below(path, w->kind);
    bool is_levels = w->kind == RUNG_FILE_CASCADE && strcmp(path, LEVELS) == 0;
    bool is_list =
        type == RUNG_TYPE_NUMBERS || type == RUNG_TYPE_LEVELS || type == RUNG_TYPE_NAMES || type == RUNG_TYPE_URLS;
    if (is_levels && value->kind == RUNG_YAML_SEQUENCE) {
        return walk_levels(w, value);
    }
    if (value->kind == RUNG_YAML_MAPPING && id < RUNG_OPTION_COUNT && type == RUNG_TYPE_MAP) {
        return put_pairs(w, id, value);
    }
    if (value->kind == RUNG_YAML_MAPPING && has_below) {
        return walk_mapping(w, value, path);
    }
    if (value->kind == RUNG_YAML_SEQUENCE && is_list) {
        return put_list(w, id, value);
    }
    if (value->kind == RUNG_YAML_SCALAR && id < RUNG_OPTION_COUNT && type != RUNG_TYPE_MAP) {
        return put_scalar(w, id, value, value->text);
    }
    if (value->kind == RUNG_YAML_SCALAR && w->kind == RUNG_FILE_NODE && strcmp(path, POLICY) == 0) {
        w->lines->policy_file = value;
        return RUNG_OK;
    }
    const char *wanted = is_levels                            ? "a list"
                         : has_below || type == RUNG_TYPE_MAP ? "a mapping"
                         : is_list                            ? "a single value or a list"
                                                              : "a single value";
    return rung_yaml_fail(w->yaml, value, w->error, RUNG_INVALID, "%s must be %s, not %s", shown, wanted,
                          kind_name(value->kind));
}

/* The keys of one mapping, from the outside in: each recursion lies one YAML level deeper, of which there are at most 16. */
static rung_status walk_mapping(walk *w, const rung_yaml_node *node, const char *prefix)
{
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < node->count; i++) {
        const rung_yaml_node *key = node->keys[i];
        const rung_yaml_node *value = node->items[i];
        char path[MAX_KEY_BYTES];
        char shown[MAX_KEY_BYTES];
        int length = snprintf(path, sizeof path, "%s%s%s", prefix, prefix[0] != '\0' ? "." : "", key->text);
        if (length < 0 || (size_t)length >= sizeof path || strpbrk(key->text, ".[") != NULL) {
            return fail_unknown(w, key, prefix);
        }
        bool is_levels = w->kind == RUNG_FILE_CASCADE && strcmp(path, LEVELS) == 0;
        if (find_key(path, w->kind) == RUNG_OPTION_COUNT && !has_keys_below(path, w->kind) && !is_levels) {
            return fail_unknown(w, key, prefix);
        }
        shown_key(w, path, shown);
        if (value->kind == RUNG_YAML_SCALAR && value->is_null) {
            return rung_yaml_fail(w->yaml, key, w->error, RUNG_INVALID, "%s has no value", shown);
        }
        status = take_value(w, value, path, shown);
    }
    return status;
}

static rung_status walk_levels(walk *w, const rung_yaml_node *node)
{
    rung_file_lines *lines = w->lines;
    if (node->count < 1 || node->count > RUNG_MAX_LEVELS) {
        return rung_yaml_fail(w->yaml, node, w->error, RUNG_LIMIT, "levels has %zu entries; it must have 1 to %d",
                              node->count, RUNG_MAX_LEVELS);
    }
    rung_status status = RUNG_OK;
    for (uint32_t l = 0; status == RUNG_OK && l < node->count; l++) {
        const rung_yaml_node *level = node->items[l];
        w->level = l;
        lines->level_line[l] = level->line;
        lines->level_column[l] = level->column;
        if (level->kind != RUNG_YAML_MAPPING) {
            return rung_yaml_fail(w->yaml, level, w->error, RUNG_INVALID,
                                  "levels.%u must be a mapping like {name: end, model: end.safetensors}, not %s", l + 1,
                                  kind_name(level->kind));
        }
        status = walk_mapping(w, level, LEVELS "[]");
    }
    lines->num_levels = (uint32_t)node->count;
    return status;
}

rung_status rung_option_file_apply(const rung_yaml *yaml, rung_file_kind kind, const char *directory,
                                   rung_options *options, rung_file_lines *lines, rung_error *error)
{
    rung_file_lines found = {0};
    walk w = {.yaml = yaml, .kind = kind, .directory = directory, .options = options, .lines = &found, .error = error};
    bool cascade = kind == RUNG_FILE_CASCADE;
    if (yaml->root->kind != RUNG_YAML_MAPPING) {
        return rung_yaml_fail(yaml, yaml->root, error, RUNG_INVALID,
                              "the file must be a mapping with the key %s, not %s", cascade ? LEVELS : "model",
                              kind_name(yaml->root->kind));
    }
    rung_status status = walk_mapping(&w, yaml->root, "");
    if (status == RUNG_OK && cascade && found.num_levels == 0) {
        status = rung_yaml_fail(yaml, yaml->root, error, RUNG_INVALID, "the key levels is missing");
    }
    if (status == RUNG_OK) {
        *lines = found;
    }
    return status;
}

rung_status rung_option_file_apply_policy(const rung_yaml *yaml, const char *directory, rung_options *options,
                                          rung_error *error)
{
    rung_file_lines unused = {0};
    walk w = {.yaml = yaml,
              .kind = RUNG_FILE_NODE,
              .directory = directory,
              .options = options,
              .lines = &unused,
              .error = error};
    if (yaml->root->kind != RUNG_YAML_MAPPING) {
        return rung_yaml_fail(yaml, yaml->root, error, RUNG_INVALID,
                              "the file must be a mapping of the keys of policy, not %s", kind_name(yaml->root->kind));
    }
    return walk_mapping(&w, yaml->root, POLICY);
}
