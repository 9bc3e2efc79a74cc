/* options.c: the values in force and the reading of flags. See options.h. */
#include "config/options.h"

#include "base/memory.h"
#include "config/option_value.h"
#include "config/suggest.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rung_options {
    rung_option_value (
        *values)[RUNG_MAX_LEVELS]; /* [RUNG_OPTION_COUNT]; only [id][0] for options that are not of a level */
    const char **arguments;        /* lent */
    size_t num_arguments;
};

static const rung_option_value no_value;

void rung_options_free(rung_options *options)
{
    if (options == NULL) {
        return;
    }
    for (size_t i = 0; options->values != NULL && i < RUNG_OPTION_COUNT; i++) {
        for (size_t level = 0; level < RUNG_MAX_LEVELS; level++) {
            rung_option_value_deinit(&options->values[i][level]);
        }
    }
    free(options->values);
    free(options->arguments);
    free(options);
}

/* Without a single value. */
static rung_options *new_empty(rung_error *error)
{
    rung_options *made = rung_alloc(1, sizeof *made, "options", error);
    if (made == NULL) {
        return NULL;
    }
    made->values = rung_alloc(RUNG_OPTION_COUNT, sizeof *made->values, "options", error);
    if (made->values == NULL) {
        rung_options_free(made);
        return NULL;
    }
    return made;
}

rung_status rung_options_new(rung_options **options, rung_error *error)
{
    rung_options *made = new_empty(error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (rung_option_id id = 0; id < RUNG_OPTION_COUNT; id++) {
        const rung_option_spec *spec = rung_option_spec_of(id);
        uint32_t levels = rung_option_is_level(id) ? RUNG_MAX_LEVELS : 1;
        for (uint32_t level = 0; spec->default_text != NULL && level < levels; level++) {
            rung_status status = rung_options_put(made, id, level, RUNG_SOURCE_DEFAULT, "default", NULL, spec->key,
                                                  spec->default_text, error);
            if (status != RUNG_OK) {
                rung_options_free(made);
                return status;
            }
        }
    }
    *options = made;
    return RUNG_OK;
}

rung_status rung_options_copy(const rung_options *options, rung_options **copy, rung_error *error)
{
    rung_options *made = new_empty(error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < RUNG_OPTION_COUNT; i++) {
        for (size_t level = 0; status == RUNG_OK && level < RUNG_MAX_LEVELS; level++) {
            status = rung_option_value_copy(&options->values[i][level], &made->values[i][level], error);
        }
    }
    if (status == RUNG_OK && options->num_arguments > 0) {
        made->arguments = rung_alloc(options->num_arguments, sizeof *made->arguments, "arguments", error);
        status = made->arguments == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    }
    if (status != RUNG_OK) {
        rung_options_free(made);
        return status;
    }
    if (options->num_arguments > 0) {
        memcpy(made->arguments, options->arguments, options->num_arguments * sizeof *made->arguments);
        made->num_arguments = options->num_arguments;
    }
    *copy = made;
    return RUNG_OK;
}

/* Origin and directory of a value that is about to be stored. */
static rung_status set_source(rung_option_value *value, rung_source source, const char *origin, const char *directory,
                              rung_error *error)
{
    char *origin_copy = rung_copy_text(origin, strlen(origin), "option", error);
    char *directory_copy = directory == NULL ? NULL : rung_copy_text(directory, strlen(directory), "option", error);
    if (origin_copy == NULL || (directory != NULL && directory_copy == NULL)) {
        free(origin_copy);
        free(directory_copy);
        return RUNG_NO_MEMORY;
    }
    free(value->origin);
    free(value->directory);
    value->origin = origin_copy;
    value->directory = directory_copy;
    value->source = source;
    return RUNG_OK;
}

rung_status rung_options_put(rung_options *options, rung_option_id id, uint32_t level, rung_source source,
                             const char *origin, const char *directory, const char *context, const char *text,
                             rung_error *error)
{
    assert(id < RUNG_OPTION_COUNT && level < RUNG_MAX_LEVELS);
    rung_option_value *value = &options->values[id][level];
    /* A weaker source is checked all the same: a wrong line of a file is an error although a flag hides it. */
    rung_option_value parsed = {0};
    rung_status status = rung_option_value_parse(rung_option_spec_of(id), context, text, &parsed, error);
    if (status == RUNG_OK) {
        status = set_source(&parsed, source, origin, directory, error);
    }
    if (status != RUNG_OK || source < value->source) {
        rung_option_value_deinit(&parsed);
        return status;
    }
    rung_option_value_deinit(value);
    *value = parsed;
    return RUNG_OK;
}

rung_status rung_options_put_pairs(rung_options *options, rung_option_id id, const char *origin, size_t num_pairs,
                                   const char *const *pairs, rung_error *error)
{
    assert(rung_option_spec_of(id)->type == RUNG_TYPE_MAP);
    rung_option_value *value = &options->values[id][0];
    rung_option_value parsed = {0};
    rung_status status = rung_option_value_set_pairs(origin, num_pairs, pairs, &parsed, error);
    if (status == RUNG_OK) {
        status = set_source(&parsed, RUNG_SOURCE_FILE, origin, NULL, error);
    }
    if (status != RUNG_OK || value->source > RUNG_SOURCE_FILE) {
        rung_option_value_deinit(&parsed);
        return status;
    }
    rung_option_value_deinit(value);
    *value = parsed;
    return RUNG_OK;
}

/* "levels.2.speed" is level 2's "levels[].speed": *level becomes 1. False when name is no such key. */
static bool match_level_key(const char *key, const char *name, uint32_t *level)
{
    static const char prefix[] = "levels";
    size_t length = sizeof prefix - 1;
    if (strncmp(key, "levels[].", length + 3) != 0 || strncmp(name, "levels.", length + 1) != 0) {
        return false;
    }
    const char *number = name + length + 1;
    if (number[0] < '1' || number[0] > '0' + RUNG_MAX_LEVELS || number[1] != '.') {
        return false;
    }
    if (strcmp(number + 2, key + length + 3) != 0) {
        return false;
    }
    *level = (uint32_t)(number[0] - '1');
    return true;
}

/* The option with this key or second name that `allowed` commands take. */
static bool find_name(const char *name, uint32_t allowed, rung_option_id *id, uint32_t *level)
{
    for (rung_option_id i = 0; i < RUNG_OPTION_COUNT; i++) {
        const rung_option_spec *spec = rung_option_spec_of(i);
        *level = 0;
        bool found = rung_option_is_level(i) ? match_level_key(spec->key, name, level) : strcmp(spec->key, name) == 0;
        found = found || (spec->alias != NULL && strcmp(spec->alias, name) == 0);
        if (found && (spec->commands & allowed) != 0) {
            *id = i;
            return true;
        }
    }
    return false;
}

/* The nearest name: of the whole key, or of its last part ("threshold" means policy.offload.threshold). */
static void suggest_names(rung_suggestion *suggestion, uint32_t allowed)
{
    for (rung_option_id i = 0; i < RUNG_OPTION_COUNT; i++) {
        const rung_option_spec *spec = rung_option_spec_of(i);
        if ((spec->commands & allowed) != 0) {
            rung_suggest(suggestion, spec->key);
            if (spec->alias != NULL) {
                rung_suggest(suggestion, spec->alias);
            }
        }
    }
    for (rung_option_id i = 0; i < RUNG_OPTION_COUNT && suggestion->best == NULL; i++) {
        const rung_option_spec *spec = rung_option_spec_of(i);
        const char *dot = strrchr(spec->key, '.');
        rung_suggestion last = {.name = suggestion->name};
        if ((spec->commands & allowed) != 0 && dot != NULL) {
            rung_suggest(&last, dot + 1);
            suggestion->best = last.best != NULL ? spec->key : NULL;
        }
    }
}

static const rung_command_spec *spec_of_command(rung_command command)
{
    size_t count;
    const rung_command_spec *specs = rung_command_specs(&count);
    size_t row = 0;
    while (row + 1 < count && specs[row].command != command) {
        row++;
    }
    assert(specs[row].command == command);
    return &specs[row];
}

static rung_status fail_unknown_flag(const char *name, rung_command command, rung_error *error)
{
    const char *command_name = spec_of_command(command)->name;
    char shown[RUNG_QUOTED_BYTES];
    rung_option_id id;
    uint32_t level;
    rung_shorten(name, strlen(name), shown);
    if (find_name(name, UINT32_MAX, &id, &level)) {
        return rung_fail(error, RUNG_INVALID, "option --%s is not one of 'rung %s'; 'rung %s --help' lists them", shown,
                         command_name, command_name);
    }
    rung_suggestion suggestion = {.name = name};
    suggest_names(&suggestion, (uint32_t)command);
    if (suggestion.best == NULL) {
        return rung_fail(error, RUNG_NOT_FOUND, "unknown option --%s; 'rung %s --help' lists them", shown,
                         command_name);
    }
    char flag[RUNG_FLAG_BYTES];
    return rung_fail(error, RUNG_NOT_FOUND, "unknown option --%s; did you mean %s?", shown,
                     rung_option_flag(suggestion.best, flag));
}

/* Reading of one command line. */
typedef struct flag_reader {
    rung_options *options;
    rung_command command;
    const char *const *arguments;
    size_t count;
    size_t next;
    rung_error *error;
} flag_reader;

/* Stores a flag's value, which is `given` ("--x=given"), true for a bare bool, or else the next argument. */
static rung_status take_value(flag_reader *reader, rung_option_id id, uint32_t level, const char *flag,
                              const char *given)
{
    const rung_option_spec *spec = rung_option_spec_of(id);
    const char *text = given;
    if (text == NULL && spec->type == RUNG_TYPE_BOOL) {
        text = "true";
    }
    if (text == NULL) {
        if (reader->next >= reader->count) {
            return rung_fail(reader->error, RUNG_INVALID, "%s needs a value: %s %s", flag, flag,
                             spec->value_name != NULL ? spec->value_name : "VALUE");
        }
        text = reader->arguments[reader->next++];
    }
    /* "--labels none" says that the data have none, not how labels are called: what a file renames stays. */
    if (id == RUNG_OPTION_LABELS && reader->command == RUNG_COMMAND_FIT && strcmp(text, "none") == 0) {
        id = RUNG_OPTION_LABELS_FROM;
        text = "top";
    }
    return rung_options_put(reader->options, id, level, RUNG_SOURCE_FLAG, flag, NULL, flag, text, reader->error);
}

static rung_status read_long(flag_reader *reader, const char *argument)
{
    char flag[RUNG_FLAG_BYTES];
    size_t length = strcspn(argument, "=");
    if (length >= sizeof flag) {
        return fail_unknown_flag(argument + 2, reader->command, reader->error);
    }
    memcpy(flag, argument, length);
    flag[length] = '\0';
    rung_option_id id;
    uint32_t level;
    if (!find_name(flag + 2, (uint32_t)reader->command, &id, &level)) {
        return fail_unknown_flag(flag + 2, reader->command, reader->error);
    }
    return take_value(reader, id, level, flag, argument[length] == '=' ? argument + length + 1 : NULL);
}

/* -c FILE or -cFILE. */
static rung_status read_short(flag_reader *reader, const char *argument)
{
    for (rung_option_id id = 0; id < RUNG_OPTION_COUNT; id++) {
        const rung_option_spec *spec = rung_option_spec_of(id);
        if (spec->letter != argument[1] || (spec->commands & (uint32_t)reader->command) == 0) {
            continue;
        }
        const char flag[3] = {'-', argument[1], '\0'};
        if (argument[2] != '\0' && spec->type == RUNG_TYPE_BOOL) {
            return rung_fail(reader->error, RUNG_INVALID, "%s takes no value", flag);
        }
        return take_value(reader, id, 0, flag, argument[2] != '\0' ? argument + 2 : NULL);
    }
    char shown[RUNG_QUOTED_BYTES];
    return rung_fail(reader->error, RUNG_NOT_FOUND, "unknown option %s; 'rung %s --help' lists them",
                     rung_shorten(argument, strlen(argument), shown), spec_of_command(reader->command)->name);
}

static rung_status check_arguments(const rung_options *options, const rung_command_spec *spec, rung_error *error)
{
    char shown[RUNG_QUOTED_BYTES];
    size_t count = options->num_arguments;
    if (rung_options_bool(options, RUNG_OPTION_HELP)) {
        return RUNG_OK;
    }
    if (count < spec->min_arguments) {
        return rung_fail(error, RUNG_INVALID, "rung %s needs an argument: rung %s %s", spec->name, spec->name,
                         spec->arguments);
    }
    if (count > spec->max_arguments) {
        const char *extra = options->arguments[spec->max_arguments];
        return rung_fail(error, RUNG_INVALID, "unexpected argument '%s': rung %s %s",
                         rung_shorten(extra, strlen(extra), shown), spec->name,
                         spec->max_arguments == 0 ? "takes options only" : spec->arguments);
    }
    return RUNG_OK;
}

static rung_status read_all(flag_reader *reader)
{
    rung_status status = RUNG_OK;
    bool only_arguments = false;
    while (status == RUNG_OK && reader->next < reader->count) {
        const char *argument = reader->arguments[reader->next++];
        if (only_arguments || argument[0] != '-' || argument[1] == '\0') {
            reader->options->arguments[reader->options->num_arguments++] = argument;
        } else if (strcmp(argument, "--") == 0) {
            only_arguments = true;
        } else if (argument[1] == '-') {
            status = read_long(reader, argument);
        } else {
            status = read_short(reader, argument);
        }
    }
    return status;
}

rung_status rung_options_parse(rung_options *options, rung_command command, size_t count, const char *const *arguments,
                               rung_error *error)
{
    rung_error unused = {0};
    error = error != NULL ? error : &unused;
    rung_options *copy = NULL;
    rung_status status = rung_options_copy(options, &copy, error);
    if (status != RUNG_OK) {
        return status;
    }
    free(copy->arguments);
    copy->num_arguments = 0;
    copy->arguments = rung_alloc(count, sizeof *copy->arguments, "arguments", error);
    flag_reader reader = {.options = copy, .command = command, .arguments = arguments, .count = count, .error = error};
    status = copy->arguments == NULL ? RUNG_NO_MEMORY : read_all(&reader);
    if (status == RUNG_OK) {
        status = check_arguments(copy, spec_of_command(command), error);
    }
    if (status == RUNG_OK) {
        /* The caller's handle keeps its address and takes the new contents. */
        rung_options old = *options;
        *options = *copy;
        *copy = old;
    }
    rung_options_free(copy);
    return status;
}

size_t rung_options_num_arguments(const rung_options *options)
{
    return options->num_arguments;
}

const char *rung_options_argument(const rung_options *options, size_t index)
{
    assert(index < options->num_arguments);
    return options->arguments[index];
}

rung_status rung_options_set(rung_options *options, const char *key, const char *text, rung_error *error)
{
    rung_option_id id;
    uint32_t level;
    if (!find_name(key, UINT32_MAX, &id, &level)) {
        char hint[RUNG_HINT_BYTES];
        char shown[RUNG_QUOTED_BYTES];
        rung_suggestion suggestion = {.name = key};
        suggest_names(&suggestion, UINT32_MAX);
        return rung_fail(error, RUNG_NOT_FOUND, "unknown option '%s'%s", rung_shorten(key, strlen(key), shown),
                         rung_suggestion_hint(&suggestion, hint));
    }
    return rung_options_put(options, id, level, RUNG_SOURCE_FLAG, key, NULL, key, text, error);
}

const rung_option_value *rung_options_level_value(const rung_options *options, rung_option_id id, uint32_t level)
{
    assert(id < RUNG_OPTION_COUNT);
    return options == NULL || level >= RUNG_MAX_LEVELS ? &no_value : &options->values[id][level];
}

const rung_option_value *rung_options_value(const rung_options *options, rung_option_id id)
{
    return rung_options_level_value(options, id, 0);
}

bool rung_options_given(const rung_options *options, rung_option_id id)
{
    return rung_options_value(options, id)->source >= RUNG_SOURCE_FILE;
}

bool rung_options_bool(const rung_options *options, rung_option_id id)
{
    assert(rung_option_spec_of(id)->type == RUNG_TYPE_BOOL);
    return rung_options_value(options, id)->boolean;
}

uint64_t rung_options_integer(const rung_options *options, rung_option_id id)
{
    assert(rung_option_spec_of(id)->type == RUNG_TYPE_INTEGER || rung_option_spec_of(id)->type == RUNG_TYPE_SIZE);
    return rung_options_value(options, id)->integer;
}

double rung_options_number(const rung_options *options, rung_option_id id)
{
    return rung_options_value(options, id)->number;
}

const char *rung_options_text(const rung_options *options, rung_option_id id)
{
    return rung_options_value(options, id)->text;
}

uint32_t rung_options_choice(const rung_options *options, rung_option_id id)
{
    assert(rung_option_spec_of(id)->type == RUNG_TYPE_CHOICE);
    return rung_options_value(options, id)->choice;
}
