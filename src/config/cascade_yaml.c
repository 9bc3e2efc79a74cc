/* cascade_yaml.c: writes cascade.yaml. See cascade_yaml.h. */
#include "config/cascade_yaml.h"

#include "base/file.h"
#include "config/link_config.h"
#include "config/policy_yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEVEL_PREFIX "levels[]."
#define REMOTE_PREFIX "levels[].remote."
#define LINK_PREFIX "levels[].link."

static bool is_given(const rung_option_value *value)
{
    return value->source >= RUNG_SOURCE_FILE;
}

/* In double quotes, where YAML reads every character as it is but for two and the control characters. */
static void put_quoted(rung_buffer *out, const char *text)
{
    rung_buffer_text(out, "\"");
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20) {
            rung_buffer_format(out, "\\x%02x", (unsigned)(unsigned char)*c);
        } else {
            rung_buffer_format(out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
        }
    }
    rung_buffer_text(out, "\"");
}

/* "KEY: PATH" with the path from the root. */
static rung_status put_path(rung_buffer *out, const char *key, const char *directory, const char *path,
                            rung_error *error)
{
    char *joined = rung_path_join(directory, path, error);
    char *absolute = joined != NULL ? realpath(joined, NULL) : NULL;
    rung_status status = joined == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    if (status == RUNG_OK && absolute == NULL) {
        status = rung_fail(error, RUNG_IO, "%s: %s", joined, strerror(errno));
    }
    if (status == RUNG_OK) {
        rung_buffer_format(out, "%s: ", key);
        put_quoted(out, absolute);
        rung_buffer_text(out, "\n");
    }
    free(absolute);
    free(joined);
    return status;
}

static const rung_option_value *link_value(const rung_cascade_config *config, rung_link_key key, uint32_t level)
{
    return rung_options_level_value(config->options, (rung_option_id)(RUNG_OPTION_LEVEL_LINK + (unsigned)key), level);
}

/* The stronger of `link: X` and its long form; NULL: neither says it. */
static const rung_option_value *preset_or_trace(const rung_cascade_config *config, rung_link_key key, uint32_t level)
{
    const rung_option_value *brief = link_value(config, RUNG_LINK_KEY_LINK, level);
    const rung_option_value *full = link_value(config, key, level);
    rung_link preset;
    bool brief_is_preset = is_given(brief) && rung_link_find(brief->text, &preset, NULL) == RUNG_OK;
    bool fits = is_given(brief) && brief_is_preset == (key == RUNG_LINK_KEY_PRESET);
    if (fits && (!is_given(full) || brief->source > full->source)) {
        return brief;
    }
    return is_given(full) ? full : NULL;
}

/* "congestion.share" stands as "share" in a section of its own. */
static void put_link_figures(rung_buffer *out, const rung_cascade_config *config, uint32_t level)
{
    const char *section = "";
    for (rung_link_key key = RUNG_LINK_KEY_RTT; key < RUNG_LINK_KEYS; key++) {
        const rung_option_value *value = link_value(config, key, level);
        if (!is_given(value)) {
            continue;
        }
        const char *name =
            rung_option_spec_of((rung_option_id)(RUNG_OPTION_LEVEL_LINK + (unsigned)key))->key + sizeof LINK_PREFIX - 1;
        size_t length = strcspn(name, ".");
        bool in_section = name[length] == '.';
        if (in_section && strncmp(section, name, length + 1) != 0) {
            rung_buffer_format(out, "      %.*s:\n", (int)length, name);
        }
        section = in_section ? name : "";
        rung_buffer_format(out, in_section ? "        %s: %s\n" : "      %s: %s\n",
                           in_section ? name + length + 1 : name, value->text);
    }
}

static rung_status put_link(rung_buffer *out, const rung_cascade_config *config, uint32_t level, rung_error *error)
{
    if (rung_link_config_given(config->options, RUNG_OPTION_LEVEL_LINK, level) == NULL) {
        return RUNG_OK;
    }
    const rung_option_value *preset = preset_or_trace(config, RUNG_LINK_KEY_PRESET, level);
    const rung_option_value *trace = preset_or_trace(config, RUNG_LINK_KEY_TRACE, level);
    rung_buffer_text(out, "    link:\n");
    if (preset != NULL) {
        rung_buffer_format(out, "      preset: %s\n", preset->text);
    }
    rung_status status = trace != NULL ? put_path(out, "      trace", trace->directory, trace->text, error) : RUNG_OK;
    put_link_figures(out, config, level);
    return status;
}

/* The server that has the model, key by key as it was given. */
static rung_status put_remote(rung_buffer *out, const rung_cascade_config *config, uint32_t level, rung_error *error)
{
    rung_status status = RUNG_OK;
    rung_buffer_text(out, "    remote:\n");
    for (rung_option_id id = RUNG_OPTION_LEVEL_REMOTE_PROTOCOL;
         status == RUNG_OK && id <= RUNG_OPTION_LEVEL_REMOTE_DEADLINE; id++) {
        const rung_option_value *value = rung_options_level_value(config->options, id, level);
        const rung_option_spec *spec = rung_option_spec_of(id);
        const char *key = spec->key + sizeof REMOTE_PREFIX - 1;
        if (!is_given(value)) {
            continue;
        }
        rung_buffer_text(out, "      ");
        if (spec->type == RUNG_TYPE_PATH) {
            status = put_path(out, key, value->directory, value->text, error);
        } else {
            rung_buffer_format(out, "%s: ", key);
            put_quoted(out, value->text);
            rung_buffer_text(out, "\n");
        }
    }
    return status;
}

static rung_status put_level(rung_buffer *out, const rung_cascade_config *config, uint32_t level, rung_error *error)
{
    static const rung_option_id figures[] = {RUNG_OPTION_LEVEL_SPEED, RUNG_OPTION_LEVEL_MEMORY};
    rung_buffer_text(out, "  - name: ");
    put_quoted(out, config->levels[level].name);
    rung_buffer_text(out, "\n");
    rung_status status = config->levels[level].remote != NULL
                             ? put_remote(out, config, level, error)
                             : put_path(out, "    model", NULL, config->levels[level].model_path, error);
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        const rung_option_value *value = rung_options_level_value(config->options, figures[i], level);
        if (is_given(value)) {
            rung_buffer_format(out, "    %s: %s\n", rung_option_spec_of(figures[i])->key + sizeof LEVEL_PREFIX - 1,
                               value->text);
        }
    }
    return status == RUNG_OK ? put_link(out, config, level, error) : status;
}

/* What concerns all levels and is neither the policy nor of the machine at hand. */
static void put_rest(rung_buffer *out, const rung_cascade_config *config)
{
    static const rung_option_id ids[] = {RUNG_OPTION_PRECISION, RUNG_OPTION_LONG_TEXT, RUNG_OPTION_WINDOW_OVERLAP};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        const rung_option_value *value = rung_options_value(config->options, ids[i]);
        if (is_given(value)) {
            rung_buffer_format(out, "%s: %s\n", rung_option_spec_of(ids[i])->key, value->text);
        }
    }
    for (size_t i = 0; i < config->num_renames; i++) {
        rung_buffer_text(out, i == 0 ? "labels:\n  " : "  ");
        put_quoted(out, config->renames[i].from);
        rung_buffer_text(out, ": ");
        put_quoted(out, config->renames[i].to);
        rung_buffer_text(out, "\n");
    }
}

rung_status rung_cascade_config_put(rung_buffer *out, const rung_cascade_config *config, const char *calibration,
                                    const rung_policy *policy, rung_error *error)
{
    rung_policy defaults;
    rung_status status = rung_policy_defaults(policy->name, config->num_levels, &defaults, error);
    rung_buffer_text(out, "levels:\n");
    for (uint32_t level = 0; status == RUNG_OK && level < config->num_levels; level++) {
        status = put_level(out, config, level, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    put_rest(out, config);
    rung_buffer_text(out, "calibration: ");
    put_quoted(out, calibration);
    rung_buffer_text(out, "\n");
    rung_cascade_config_put_policy(out, policy, &defaults, config->num_levels);
    return rung_buffer_check(out, "cascade.yaml", error);
}
