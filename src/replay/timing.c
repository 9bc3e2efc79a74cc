/* timing.c: a profile's curves, kept in a file so that a replay can be repeated. See timing.h. */
#include "replay/timing.h"

#include "base/buffer.h"
#include "base/file.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE_BYTES (1u << 20)

/* An exit of a layer without one costs what the next exit does: nothing stops there. */
rung_status rung_timing_of(const rung_profile *profile, rung_timing *timing, rung_error *error)
{
    rung_timing made = {.num_levels = profile->num_levels};
    for (uint32_t l = 0; l < profile->num_levels; l++) {
        const rung_profile_level *level = &profile->levels[l];
        uint32_t layers = level->exits[level->num_exits - 1].layer;
        if (layers > RUNG_TIMING_MAX_LAYERS) {
            return rung_fail(error, RUNG_LIMIT, "level %u has %u layers; the limit of a replay is %d", l + 1, layers,
                             RUNG_TIMING_MAX_LAYERS);
        }
        made.level[l].num_layers = layers;
        made.level[l].tokenize_ms_per_byte = level->tokenize_ms / RUNG_PROFILE_TEXT_BYTES;
        uint32_t layer = 1;
        for (size_t e = 0; e < level->num_exits; e++) {
            for (; layer <= level->exits[e].layer; layer++) {
                made.level[l].exits[layer - 1] = level->exits[e].curve;
            }
        }
    }
    *timing = made;
    return RUNG_OK;
}

static void put_level(rung_buffer *out, const rung_level_timing *level)
{
    rung_buffer_format(out, "    {\"tokenize_ms_per_byte\": %.17g, \"exits\": [", level->tokenize_ms_per_byte);
    for (uint32_t e = 0; e < level->num_layers; e++) {
        const rung_latency_curve *curve = &level->exits[e];
        rung_buffer_format(out, "%s\n      [%.17g, %.17g, %.17g]", e > 0 ? "," : "", curve->a_ms, curve->b_ms_per_token,
                           curve->c_ms_per_token2);
    }
    rung_buffer_text(out, "]}");
}

rung_status rung_timing_save(const rung_timing *timing, const char *origin, const char *path, rung_error *error)
{
    rung_buffer out = {0};
    json_t *text = json_string(origin);
    char *quoted = text != NULL ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
    rung_buffer_format(&out, "{\"version\": 1,\n  \"origin\": %s,\n  \"levels\": [\n", quoted != NULL ? quoted : "");
    for (uint32_t l = 0; l < timing->num_levels; l++) {
        put_level(&out, &timing->level[l]);
        rung_buffer_text(&out, l + 1 < timing->num_levels ? ",\n" : "\n");
    }
    rung_buffer_text(&out, "  ]}\n");
    rung_status status = quoted == NULL ? rung_fail(error, RUNG_NO_MEMORY, "out of memory for a profile")
                                        : rung_buffer_check(&out, "profile", error);
    if (status == RUNG_OK) {
        status = rung_write_file(path, out.data, out.length, error);
    }
    free(quoted);
    json_decref(text);
    rung_buffer_deinit(&out);
    return status;
}

static bool read_number(const json_t *value, double *out)
{
    *out = json_number_value(value);
    return json_is_number(value) && *out >= 0 && isfinite(*out);
}

static bool read_level(const json_t *value, rung_level_timing *level)
{
    const json_t *exits = json_object_get(value, "exits");
    size_t count = json_array_size(exits);
    if (count < 1 || count > RUNG_TIMING_MAX_LAYERS ||
        !read_number(json_object_get(value, "tokenize_ms_per_byte"), &level->tokenize_ms_per_byte)) {
        return false;
    }
    level->num_layers = (uint32_t)count;
    for (size_t e = 0; e < count; e++) {
        const json_t *curve = json_array_get(exits, e);
        rung_latency_curve *out = &level->exits[e];
        if (json_array_size(curve) != 3 || !read_number(json_array_get(curve, 0), &out->a_ms) ||
            !read_number(json_array_get(curve, 1), &out->b_ms_per_token) ||
            !read_number(json_array_get(curve, 2), &out->c_ms_per_token2)) {
            return false;
        }
    }
    return true;
}

static rung_status read_root(const json_t *root, const char *path, const char *origin, rung_timing *timing,
                             rung_error *error)
{
    const json_t *levels = json_object_get(root, "levels");
    const char *made_of = json_string_value(json_object_get(root, "origin"));
    if (json_integer_value(json_object_get(root, "version")) != 1 || made_of == NULL || json_array_size(levels) < 1 ||
        json_array_size(levels) > RUNG_MAX_LEVELS) {
        return rung_fail(error, RUNG_INVALID, "%s: not a profile of version 1", path);
    }
    if (strcmp(made_of, origin) != 0) {
        return rung_fail(error, RUNG_MISMATCH,
                         "%s: made with other models or another precision; remove it, or give another directory", path);
    }
    rung_timing made = {.num_levels = (uint32_t)json_array_size(levels)};
    for (size_t l = 0; l < made.num_levels; l++) {
        if (!read_level(json_array_get(levels, l), &made.level[l])) {
            return rung_fail(error, RUNG_INVALID, "%s: levels[%zu] has no curves of three numbers >= 0", path, l);
        }
    }
    *timing = made;
    return RUNG_OK;
}

rung_status rung_timing_parse(const char *text, size_t size, const char *path, const char *origin, rung_timing *timing,
                              rung_error *error)
{
    json_error_t where;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    rung_status status =
        root == NULL ? rung_fail(error, RUNG_INVALID, "%s: %d:%d: %s", path, where.line, where.column, where.text)
                     : read_root(root, path, origin, timing, error);
    json_decref(root);
    return status;
}

rung_status rung_timing_load(const char *path, const char *origin, rung_timing *timing, rung_error *error)
{
    char *text = NULL;
    size_t size;
    rung_status status = rung_read_file(path, MAX_FILE_BYTES, &text, &size, error);
    if (status == RUNG_OK) {
        status = rung_timing_parse(text, size, path, origin, timing, error);
    }
    free(text);
    return status;
}
