/* option_text.c: help, the list of values in force, shell completion and the man page, all from the table of options. See options.h. */
#include "config/option_value.h"
#include "config/options.h"

#include <stdio.h>
#include <string.h>

#define LEFT_COLUMNS 36

static const char *const group_titles[] = {
    [RUNG_GROUP_GENERAL] = "General",
    [RUNG_GROUP_OUTPUT] = "Output",
    [RUNG_GROUP_RUN] = "Run",
    [RUNG_GROUP_CASCADE] = "Cascade (keys of the YAML file, too; N is a level's number)",
    [RUNG_GROUP_POLICY] = "Policy (keys of the YAML file, too)",
    [RUNG_GROUP_NODE] = "Node (keys of node.yaml, too)",
};
#define NUM_GROUPS (sizeof group_titles / sizeof group_titles[0])

static void pad(rung_buffer *out, size_t spaces)
{
    for (size_t i = 0; i < spaces; i++) {
        rung_buffer_append(out, " ", 1);
    }
}

/* Text broken at spaces so that no line passes `columns`; the cursor stands at `column`, later lines begin at `indent`. */
static void wrap(rung_buffer *out, const char *text, size_t column, size_t indent, size_t columns)
{
    bool first = true;
    for (const char *at = text; *at != '\0';) {
        size_t length = strcspn(at, " ");
        if (!first && column + 1 + length > columns) {
            rung_buffer_text(out, "\n");
            pad(out, indent);
            column = indent;
        } else if (!first) {
            rung_buffer_text(out, " ");
            column++;
        }
        rung_buffer_append(out, at, length);
        column += length;
        at += length;
        at += strspn(at, " ");
        first = false;
    }
    rung_buffer_text(out, "\n");
}

/* "help (range or choices; default X)" */
static void describe(rung_buffer *out, const rung_option_spec *spec)
{
    char range[RUNG_RANGE_BYTES];
    rung_option_range(spec, range);
    rung_buffer_text(out, spec->help);
    bool policy_default = spec->default_text == NULL && strncmp(spec->key, "policy.", 7) == 0;
    bool plain_bool = spec->type == RUNG_TYPE_BOOL && spec->flag_only;
    bool has_default = (spec->default_text != NULL && !plain_bool) || policy_default;
    const char *separator = " (";
    if (spec->later != NULL && spec->type == RUNG_TYPE_PATH) {
        rung_buffer_text(out, " (not in this version)");
        return;
    }
    if (spec->choices != NULL) {
        rung_buffer_text(out, separator);
        rung_append_choices(out, spec->choices);
        separator = "; ";
    }
    if (spec->type == RUNG_TYPE_BOOL && !plain_bool) {
        rung_buffer_format(out, "%s%s", separator, spec->later != NULL ? "false" : "true or false");
        separator = "; ";
    }
    if (range[0] != '\0') {
        rung_buffer_format(out, "%s%s", separator, range);
        separator = "; ";
    }
    if (has_default) {
        rung_buffer_format(out, "%sdefault %s", separator, policy_default ? "of the policy" : spec->default_text);
        separator = "; ";
    }
    if (strcmp(separator, " (") != 0) {
        rung_buffer_text(out, ")");
    }
}

/* "-c, --config FILE" */
static void append_flags(rung_buffer *out, const rung_option_spec *spec)
{
    char flag[RUNG_FLAG_BYTES];
    if (spec->letter != 0) {
        rung_buffer_format(out, "-%c, ", spec->letter);
    }
    if (spec->alias != NULL) {
        rung_buffer_format(out, "--%s, ", spec->alias);
    }
    rung_buffer_text(out, rung_option_flag(spec->key, flag));
    if (spec->type == RUNG_TYPE_BOOL) {
        rung_buffer_text(out, spec->flag_only ? "" : "[=BOOL]");
    } else {
        rung_buffer_format(out, " %s", spec->value_name);
    }
}

static void help_option(rung_buffer *out, const rung_option_spec *spec, size_t columns)
{
    rung_buffer flags = {0};
    rung_buffer text = {0};
    append_flags(&flags, spec);
    describe(&text, spec);
    if (flags.failed || text.failed) {
        out->failed = true;
    } else {
        size_t left = spec->letter != 0 || spec->alias != NULL ? 2 : 6;
        size_t indent = columns >= 2 * LEFT_COLUMNS ? LEFT_COLUMNS : 10;
        pad(out, left);
        rung_buffer_text(out, flags.data);
        size_t column = left + flags.length;
        if (column + 2 > indent) {
            rung_buffer_text(out, "\n");
            column = 0;
        }
        pad(out, indent - column);
        wrap(out, text.data, indent, indent, columns);
    }
    rung_buffer_deinit(&flags);
    rung_buffer_deinit(&text);
}

static bool belongs(const rung_option_spec *spec, size_t group, uint32_t command)
{
    return spec->group == (rung_option_group)group && (spec->commands & command) != 0;
}

static bool group_is_empty(size_t group, uint32_t command)
{
    for (rung_option_id id = 0; id < RUNG_OPTION_COUNT; id++) {
        if (belongs(rung_option_spec_of(id), group, command)) {
            return false;
        }
    }
    return true;
}

void rung_options_help(rung_buffer *out, const rung_command_spec *command, size_t columns)
{
    rung_buffer_format(out, "Usage: rung %s [options]%s%s\n\n", command->name, command->arguments[0] != '\0' ? " " : "",
                       command->arguments);
    wrap(out, command->description, 0, 0, columns);
    for (size_t group = 0; group < NUM_GROUPS; group++) {
        if (group_is_empty(group, (uint32_t)command->command)) {
            continue;
        }
        rung_buffer_format(out, "\n%s:\n", group_titles[group]);
        for (rung_option_id id = 0; id < RUNG_OPTION_COUNT; id++) {
            if (belongs(rung_option_spec_of(id), group, (uint32_t)command->command)) {
                help_option(out, rung_option_spec_of(id), columns);
            }
        }
    }
}

static const char exit_codes[] =
    "Exit codes: 0 all done; 1 failed, or some lines could not be answered; 2 wrong usage or bad input.";

void rung_options_overview(rung_buffer *out, size_t columns)
{
    size_t count;
    const rung_command_spec *commands = rung_command_specs(&count);
    rung_buffer_text(out, "Usage: rung COMMAND [options] [arguments]\n\n");
    wrap(out,
         "Classifies texts as close to the user as it can: each level of a network runs a model of the size that fits "
         "it, answers when it "
         "is sure, and otherwise sends the words that matter one level up.",
         0, 0, columns);
    rung_buffer_text(out, "\nCommands:\n");
    for (size_t i = 0; i < count; i++) {
        rung_buffer_format(out, "  %-14s", commands[i].name);
        wrap(out, commands[i].help, 16, 16, columns);
    }
    rung_buffer_text(out, "\n");
    wrap(out, "'rung COMMAND --help' lists the options of a command; 'rung --version' prints the version.", 0, 0,
         columns);
    wrap(out, exit_codes, 0, 0, columns);
}

static void show_value(rung_buffer *out, const rung_option_spec *spec, const rung_option_value *value, uint32_t level)
{
    char key[RUNG_FLAG_BYTES];
    const char *brackets = strstr(spec->key, "[]");
    if (brackets == NULL) {
        snprintf(key, sizeof key, "%s", spec->key);
    } else {
        snprintf(key, sizeof key, "%.*s.%u%s", (int)(brackets - spec->key), spec->key, level + 1, brackets + 2);
    }
    bool set = value->source != RUNG_SOURCE_NONE;
    rung_buffer_format(out, "%-30s %-32s %s\n", key, set ? value->text : "-", set ? value->origin : "not set");
}

void rung_options_show(rung_buffer *out, const rung_options *options, uint32_t files, uint32_t num_levels)
{
    for (rung_option_id id = 0; id < RUNG_OPTION_COUNT; id++) {
        const rung_option_spec *spec = rung_option_spec_of(id);
        uint32_t count = rung_option_is_level(id) ? 0 : 1;
        bool later = spec->later != NULL && strcmp(spec->later, "*") == 0;
        if (!rung_option_in_file(id, files) || later) {
            continue;
        }
        /* Level by level, all keys of one together. */
        if (id == RUNG_OPTION_LEVEL_NAME) {
            for (uint32_t level = 0; level < num_levels; level++) {
                for (rung_option_id key = id; rung_option_is_level(key); key++) {
                    show_value(out, rung_option_spec_of(key), rung_options_level_value(options, key, level), level);
                }
            }
        }
        if (count == 1) {
            show_value(out, spec, rung_options_value(options, id), 0);
        }
    }
}

/* "--levels.1.speed --levels.2.speed ..." or one flag with its second name and letter. */
static void completion_words(rung_buffer *out, rung_option_id id)
{
    const rung_option_spec *spec = rung_option_spec_of(id);
    if (rung_option_is_level(id)) {
        const char *rest = strstr(spec->key, "[]") + 2;
        for (unsigned level = 1; level <= 3; level++) {
            rung_buffer_format(out, " --levels.%u%s", level, rest);
        }
        return;
    }
    rung_buffer_format(out, " --%s", spec->key);
    if (spec->alias != NULL) {
        rung_buffer_format(out, " --%s", spec->alias);
    }
    if (spec->letter != 0) {
        rung_buffer_format(out, " -%c", spec->letter);
    }
}

/* "--a|--b|-c" as a pattern of bash's case. */
static void completion_pattern(rung_buffer *out, rung_option_id id)
{
    const rung_option_spec *spec = rung_option_spec_of(id);
    if (rung_option_is_level(id)) {
        rung_buffer_format(out, "--levels.[1-8]%s", strstr(spec->key, "[]") + 2);
        return;
    }
    rung_buffer_format(out, "--%s", spec->key);
    if (spec->alias != NULL) {
        rung_buffer_format(out, "|--%s", spec->alias);
    }
    if (spec->letter != 0) {
        rung_buffer_format(out, "|-%c", spec->letter);
    }
}

static void completion_values(rung_buffer *out)
{
    rung_buffer_text(out, "    case \"$prev\" in\n");
    for (rung_option_id id = 0; id < RUNG_OPTION_COUNT; id++) {
        const rung_option_spec *spec = rung_option_spec_of(id);
        if (spec->commands == 0 || spec->type == RUNG_TYPE_BOOL) {
            continue;
        }
        rung_buffer_text(out, "    ");
        completion_pattern(out, id);
        if (spec->type == RUNG_TYPE_PATH) {
            rung_buffer_text(out, ") COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n");
        } else if (spec->choices != NULL) {
            rung_buffer_text(out, ") COMPREPLY=($(compgen -W '");
            for (const char *c = spec->choices; *c != '\0'; c++) {
                rung_buffer_append(out, *c == '|' ? " " : c, 1);
            }
            rung_buffer_text(out, "' -- \"$cur\")); return ;;\n");
        } else {
            rung_buffer_text(out, ") return ;;\n");
        }
    }
    rung_buffer_text(out, "    esac\n");
}

void rung_options_completion(rung_buffer *out)
{
    size_t count;
    const rung_command_spec *commands = rung_command_specs(&count);
    rung_buffer_text(out, "# bash completion for rung; made by 'rung completion'\n_rung()\n{\n"
                          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} flags=\n"
                          "    if ((COMP_CWORD == 1)); then\n        COMPREPLY=($(compgen -W '--help --version");
    for (size_t i = 0; i < count; i++) {
        rung_buffer_format(out, " %s", commands[i].name);
    }
    rung_buffer_text(out, "' -- \"$cur\"))\n        return\n    fi\n");
    completion_values(out);
    rung_buffer_text(out, "    case \"${COMP_WORDS[1]}\" in\n");
    for (size_t i = 0; i < count; i++) {
        rung_buffer_format(out, "    %s) flags='", commands[i].name);
        for (rung_option_id id = 0; id < RUNG_OPTION_COUNT; id++) {
            if ((rung_option_spec_of(id)->commands & (uint32_t)commands[i].command) != 0) {
                completion_words(out, id);
            }
        }
        rung_buffer_text(out, "' ;;\n");
    }
    rung_buffer_text(out, "    esac\n"
                          "    case \"$cur\" in\n"
                          "    -*) COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\")) ;;\n"
                          "    *) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
                          "    esac\n}\ncomplete -F _rung rung\n");
}

/* roff: a hyphen is "\-", a backslash "\e", and a line may not begin with a dot or an apostrophe. */
static void roff(rung_buffer *out, const char *text)
{
    if (text[0] == '.' || text[0] == '\'') {
        rung_buffer_text(out, "\\&");
    }
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '-') {
            rung_buffer_text(out, "\\-");
        } else if (*c == '\\') {
            rung_buffer_text(out, "\\e");
        } else {
            rung_buffer_append(out, c, 1);
        }
    }
}

static void man_option(rung_buffer *out, const rung_option_spec *spec)
{
    rung_buffer text = {0};
    rung_buffer_text(out, ".TP\n.B ");
    append_flags(&text, spec);
    if (!text.failed) {
        roff(out, text.data);
    }
    rung_buffer_text(out, "\n");
    rung_buffer_clear(&text);
    describe(&text, spec);
    if (spec->commands != 0) {
        size_t count;
        const rung_command_spec *commands = rung_command_specs(&count);
        const char *separator = ". Commands: ";
        for (size_t i = 0; i < count; i++) {
            if ((spec->commands & (uint32_t)commands[i].command) != 0) {
                rung_buffer_format(&text, "%s%s", separator, commands[i].name);
                separator = ", ";
            }
        }
    }
    if (!text.failed) {
        roff(out, text.data);
    } else {
        out->failed = true;
    }
    rung_buffer_text(out, ".\n");
    rung_buffer_deinit(&text);
}

void rung_options_man(rung_buffer *out)
{
    size_t count;
    const rung_command_spec *commands = rung_command_specs(&count);
    rung_buffer_format(out, ".TH RUNG 1 \"\" \"rung %s\" \"User Commands\"\n", rung_version());
    rung_buffer_text(out, ".SH NAME\nrung \\- collaborative text classification across the levels of a network\n"
                          ".SH SYNOPSIS\n.B rung\n.I COMMAND\n[options] [arguments]\n.SH COMMANDS\n");
    for (size_t i = 0; i < count; i++) {
        rung_buffer_format(out, ".TP\n.B rung %s", commands[i].name);
        rung_buffer_text(out, " [options] ");
        roff(out, commands[i].arguments);
        rung_buffer_text(out, "\n");
        roff(out, commands[i].description);
        rung_buffer_text(out, "\n");
    }
    rung_buffer_text(out, ".SH OPTIONS\n");
    for (size_t group = 0; group < NUM_GROUPS; group++) {
        rung_buffer_text(out, ".SS ");
        roff(out, group_titles[group]);
        rung_buffer_text(out, "\n");
        for (rung_option_id id = 0; id < RUNG_OPTION_COUNT; id++) {
            if (belongs(rung_option_spec_of(id), group, UINT32_MAX)) {
                man_option(out, rung_option_spec_of(id));
            }
        }
    }
    rung_buffer_text(out, ".SH EXIT STATUS\n");
    roff(out, exit_codes);
    rung_buffer_text(out, "\n.SH ENVIRONMENT\n.TP\n.B RUNG_DATA\nDirectory of the default cascade.\n.TP\n.B RUNG_ISA\n"
                          "Kernels to use.\n");
}
