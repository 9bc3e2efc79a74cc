/* link_config.c: the keys of one link into a link. See link_config.h. */
#include "config/link_config.h"

#include "base/file.h"
#include "config/suggest.h"
#include "config/trace_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_KEY_BYTES 96

/* What a congestion is like where only its share is given: docs/links.md says from which measurements. */
#define DEFAULT_CONGESTION_S 5.0
#define DEFAULT_SLOWDOWN 2.0
#define DEFAULT_RTT_FACTOR 3.0

/* One link while it is made. */
typedef struct builder {
    const rung_options *options;
    rung_option_id first;
    uint32_t level;
    const char *where;
    rung_link link;
    rung_link_trace *trace;
    const char *trace_path; /* as it was given; NULL: no trace */
    bool has_preset;
    rung_error *error;
} builder;

static rung_option_id id_of(rung_option_id first, rung_link_key key)
{
    return (rung_option_id)((unsigned)first + (unsigned)key);
}

static const rung_option_value *value_of(const builder *b, rung_link_key key)
{
    return rung_options_level_value(b->options, id_of(b->first, key), b->level);
}

static bool is_given(const rung_option_value *value)
{
    return value->source >= RUNG_SOURCE_FILE;
}

/* "levels[].link.rtt" of level 2 reads "levels.2.link.rtt". */
static const char *shown_key(const builder *b, rung_link_key key, char out[MAX_KEY_BYTES])
{
    const char *name = rung_option_spec_of(id_of(b->first, key))->key;
    const char *brackets = strstr(name, "[]");
    if (brackets == NULL) {
        snprintf(out, MAX_KEY_BYTES, "%s", name);
    } else {
        snprintf(out, MAX_KEY_BYTES, "%.*s.%u%s", (int)(brackets - name), name, b->level + 1, brackets + 2);
    }
    return out;
}

const rung_option_value *rung_link_config_given(const rung_options *options, rung_option_id first, uint32_t level)
{
    for (rung_link_key key = 0; key < RUNG_LINK_KEYS; key++) {
        const rung_option_value *value = rung_options_level_value(options, id_of(first, key), level);
        if (is_given(value)) {
            return value;
        }
    }
    return NULL;
}

static bool looks_like_path(const char *text)
{
    size_t length = strlen(text);
    return strchr(text, '/') != NULL || (length > 4 && strcmp(text + length - 4, ".csv") == 0);
}

/* The short form `link: X` says what `preset: X` or `trace: X` says, and of two the stronger source wins. */
static rung_status choose(const builder *b, rung_link_key key, rung_link_key *chosen)
{
    const rung_option_value *brief = value_of(b, RUNG_LINK_KEY_LINK);
    const rung_option_value *full = value_of(b, key);
    bool fits = is_given(brief) && looks_like_path(brief->text) == (key == RUNG_LINK_KEY_TRACE);
    *chosen = fits && (!is_given(full) || brief->source > full->source) ? RUNG_LINK_KEY_LINK : key;
    if (fits && is_given(full) && brief->source == full->source) {
        char shown[MAX_KEY_BYTES];
        char other[MAX_KEY_BYTES];
        return rung_fail(b->error, RUNG_INVALID, "%s: %s and %s say the same thing; give one of them", full->origin,
                         shown_key(b, RUNG_LINK_KEY_LINK, shown), shown_key(b, key, other));
    }
    return RUNG_OK;
}

static rung_status fill_preset(builder *b)
{
    rung_link_key key;
    rung_status status = choose(b, RUNG_LINK_KEY_PRESET, &key);
    const rung_option_value *value = value_of(b, key);
    if (status != RUNG_OK || !is_given(value)) {
        return status;
    }
    size_t count;
    const rung_link *presets = rung_link_presets(&count);
    rung_suggestion suggestion = {.name = value->text};
    for (size_t i = 0; i < count; i++) {
        if (strcmp(presets[i].name, value->text) == 0) {
            b->link = presets[i];
            b->has_preset = true;
            return RUNG_OK;
        }
        rung_suggest(&suggestion, presets[i].name);
    }
    char hint[RUNG_HINT_BYTES];
    char quoted[RUNG_QUOTED_BYTES];
    char shown[MAX_KEY_BYTES];
    rung_shorten(value->text, strlen(value->text), quoted);
    return rung_fail(b->error, RUNG_INVALID, "%s: %s: '%s' is not %s%s", value->origin, shown_key(b, key, shown),
                     quoted, key == RUNG_LINK_KEY_LINK ? RUNG_LINK_FORMS : "a preset (" RUNG_LINK_PRESETS ")",
                     rung_suggestion_hint(&suggestion, hint));
}

static rung_status fill_trace(builder *b)
{
    rung_link_key key;
    rung_status status = choose(b, RUNG_LINK_KEY_TRACE, &key);
    const rung_option_value *value = value_of(b, key);
    if (status != RUNG_OK || !is_given(value)) {
        return status;
    }
    char *path = rung_path_join(value->directory, value->text, b->error);
    if (path == NULL) {
        return RUNG_NO_MEMORY;
    }
    status = rung_trace_file_load(path, &b->trace, b->error);
    free(path);
    if (status != RUNG_OK) {
        char shown[MAX_KEY_BYTES];
        return rung_fail_in(b->error, "%s: %s", value->origin, shown_key(b, key, shown));
    }
    b->trace_path = value->text;
    b->link.trace = b->trace;
    b->link.source = NULL;
    const char *slash = strrchr(value->text, '/');
    snprintf(b->link.name, sizeof b->link.name, "%s", slash != NULL ? slash + 1 : value->text);
    if (b->trace->has[RUNG_TRACE_RTT]) {
        b->link.jitter_ms = 0;
    }
    return RUNG_OK;
}

/* A figure comes from the trace, which may not be contradicted, or from its key, or from the preset; or it is missing. */
static rung_status fill_figure(builder *b, rung_link_key key, rung_trace_column column, double factor, double *figure)
{
    const rung_option_value *value = value_of(b, key);
    bool measured = column < RUNG_TRACE_COLUMNS && b->trace != NULL && b->trace->has[column];
    bool needed = key == RUNG_LINK_KEY_RTT || key == RUNG_LINK_KEY_UP || key == RUNG_LINK_KEY_DOWN;
    char shown[MAX_KEY_BYTES];
    char quoted[RUNG_QUOTED_BYTES];
    if (measured && is_given(value)) {
        return rung_fail(b->error, RUNG_INVALID, "%s: %s: the trace '%s' has it in column %s; remove one of the two",
                         value->origin, shown_key(b, key, shown),
                         rung_shorten(b->trace_path, strlen(b->trace_path), quoted), rung_trace_column_name(column));
    }
    if (measured) {
        *figure = b->trace->mean[column];
    } else if (is_given(value)) {
        *figure = value->number * factor;
        b->link.source = NULL;
        if (b->trace == NULL) {
            snprintf(b->link.name, sizeof b->link.name, "custom");
        }
    } else if (needed && !b->has_preset && b->trace != NULL) {
        return rung_fail(b->error, RUNG_INVALID,
                         "%s: %s is missing; the trace '%s' has no column %s: give it or a preset", b->where,
                         shown_key(b, key, shown), rung_shorten(b->trace_path, strlen(b->trace_path), quoted),
                         rung_trace_column_name(column));
    } else if (needed && !b->has_preset) {
        return rung_fail(b->error, RUNG_INVALID,
                         "%s: %s is missing; a link is a preset, a trace, or has rtt, up and down", b->where,
                         shown_key(b, key, shown));
    }
    return RUNG_OK;
}

static rung_status fill_figures(builder *b)
{
    rung_link *link = &b->link;
    const struct {
        rung_link_key key;
        rung_trace_column column; /* RUNG_TRACE_COLUMNS: none */
        double factor;
        double *figure;
    } figures[] = {
        {RUNG_LINK_KEY_RTT, RUNG_TRACE_RTT, 1e3, &link->rtt_ms},
        {RUNG_LINK_KEY_UP, RUNG_TRACE_UP, 1, &link->up_bps},
        {RUNG_LINK_KEY_DOWN, RUNG_TRACE_DOWN, 1, &link->down_bps},
        {RUNG_LINK_KEY_JITTER, RUNG_TRACE_COLUMNS, 1e3, &link->jitter_ms},
        {RUNG_LINK_KEY_LOSS, RUNG_TRACE_LOSS, 1, &link->loss},
        {RUNG_LINK_KEY_CONGESTION_SHARE, RUNG_TRACE_COLUMNS, 1, &link->congestion.share},
        {RUNG_LINK_KEY_CONGESTION_DURATION, RUNG_TRACE_COLUMNS, 1, &link->congestion.mean_s},
        {RUNG_LINK_KEY_CONGESTION_SLOWDOWN, RUNG_TRACE_COLUMNS, 1, &link->congestion.slowdown},
        {RUNG_LINK_KEY_CONGESTION_RTT_FACTOR, RUNG_TRACE_COLUMNS, 1, &link->congestion.rtt_factor},
        {RUNG_LINK_KEY_INTERFERENCE_EVERY, RUNG_TRACE_COLUMNS, 1, &link->interference.every_s},
        {RUNG_LINK_KEY_INTERFERENCE_DURATION, RUNG_TRACE_COLUMNS, 1, &link->interference.mean_s},
    };
    rung_status status = RUNG_OK;
    if (link->congestion.share <= 0) {
        link->congestion = (rung_link_congestion){
            .mean_s = DEFAULT_CONGESTION_S, .slowdown = DEFAULT_SLOWDOWN, .rtt_factor = DEFAULT_RTT_FACTOR};
    }
    for (size_t i = 0; status == RUNG_OK && i < sizeof figures / sizeof figures[0]; i++) {
        status = fill_figure(b, figures[i].key, figures[i].column, figures[i].factor, figures[i].figure);
    }
    return status;
}

/* A key that would change nothing without another one, which is not there. */
static rung_status check_companion(const builder *b, rung_link_key key, rung_link_key needs)
{
    char shown[MAX_KEY_BYTES];
    char other[MAX_KEY_BYTES];
    if (is_given(value_of(b, key)) && !is_given(value_of(b, needs))) {
        return rung_fail(b->error, RUNG_INVALID, "%s: %s changes nothing without %s; give both",
                         value_of(b, key)->origin, shown_key(b, key, shown), shown_key(b, needs, other));
    }
    return RUNG_OK;
}

static rung_status check_companions(const builder *b)
{
    static const rung_link_key pairs[][2] = {
        {RUNG_LINK_KEY_CONGESTION_DURATION, RUNG_LINK_KEY_CONGESTION_SHARE},
        {RUNG_LINK_KEY_CONGESTION_SLOWDOWN, RUNG_LINK_KEY_CONGESTION_SHARE},
        {RUNG_LINK_KEY_CONGESTION_RTT_FACTOR, RUNG_LINK_KEY_CONGESTION_SHARE},
        {RUNG_LINK_KEY_INTERFERENCE_EVERY, RUNG_LINK_KEY_INTERFERENCE_DURATION},
        {RUNG_LINK_KEY_INTERFERENCE_DURATION, RUNG_LINK_KEY_INTERFERENCE_EVERY},
    };
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < sizeof pairs / sizeof pairs[0]; i++) {
        status = check_companion(b, pairs[i][0], pairs[i][1]);
    }
    return status;
}

/* "link.jitter is ..." of levels[].link becomes "cascade.yaml:5: levels.2: link.jitter is ...". */
static rung_status check(const builder *b)
{
    char parent[MAX_KEY_BYTES];
    if (rung_link_check(&b->link, b->error) == RUNG_OK) {
        return RUNG_OK;
    }
    char *last = strrchr(shown_key(b, RUNG_LINK_KEY_LINK, parent), '.');
    if (last != NULL) {
        *last = '\0';
    }
    return rung_fail_in(b->error, "%s: %s", rung_link_config_given(b->options, b->first, b->level)->origin, parent);
}

rung_status rung_link_config_fill(const rung_options *options, rung_option_id first, uint32_t level, const char *where,
                                  rung_link *link, rung_link_trace **trace, rung_error *error)
{
    rung_error unused = {0};
    builder b = {
        .options = options, .first = first, .level = level, .where = where, .error = error != NULL ? error : &unused};
    rung_status status = fill_preset(&b);
    if (status == RUNG_OK) {
        status = fill_trace(&b);
    }
    if (status == RUNG_OK) {
        status = fill_figures(&b);
    }
    if (status == RUNG_OK) {
        status = check_companions(&b);
    }
    if (status == RUNG_OK) {
        status = check(&b);
    }
    if (status != RUNG_OK) {
        rung_link_trace_free(b.trace);
        return status;
    }
    *link = b.link;
    *trace = b.trace;
    return RUNG_OK;
}
