/* option_value.c: one value from text. See option_value.h. */
#include "config/option_value.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "config/address.h"
#include "config/number.h"
#include "config/suggest.h"
#include "config/variant_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PAIRS 4096

bool rung_find_choice(const char *choices, const char *name, uint32_t *index)
{
    size_t length = strlen(name);
    uint32_t i = 0;
    for (const char *at = choices; at != NULL; i++) {
        size_t here = strcspn(at, "|");
        if (here == length && memcmp(at, name, length) == 0) {
            if (index != NULL) {
                *index = i;
            }
            return true;
        }
        at = at[here] == '|' ? at + here + 1 : NULL;
    }
    return false;
}

void rung_append_choices(rung_buffer *out, const char *choices)
{
    for (const char *at = choices; at != NULL;) {
        size_t length = strcspn(at, "|");
        rung_buffer_append(out, at, length);
        at = at[length] == '|' ? at + length + 1 : NULL;
        if (at != NULL) {
            rung_buffer_text(out, strchr(at, '|') != NULL ? ", " : " or ");
        }
    }
}

const char *rung_option_flag(const char *key, char flag[RUNG_FLAG_BYTES])
{
    const char *brackets = strstr(key, "[]");
    if (brackets == NULL) {
        snprintf(flag, RUNG_FLAG_BYTES, "--%s", key);
    } else {
        snprintf(flag, RUNG_FLAG_BYTES, "--%.*s.N%s", (int)(brackets - key), key, brackets + 2);
    }
    return flag;
}

static void print_limit(const rung_option_spec *spec, double limit, char *out, size_t size)
{
    static const struct {
        const char *name;
        double factor;
    } sizes[] = {{"TiB", 1099511627776.0}, {"GiB", 1073741824.0}, {"MiB", 1048576.0}, {"KiB", 1024.0}},
      rates[] = {{"Gbit/s", 1e9}, {"Mbit/s", 1e6}, {"kbit/s", 1e3}};
    const char *unit = spec->type == RUNG_TYPE_SIZE ? "B" : spec->type == RUNG_TYPE_TIME ? "s" : "";
    unit = spec->type == RUNG_TYPE_RATE ? "bit/s" : unit;
    double shown = limit;
    if (spec->type == RUNG_TYPE_TIME && limit > 0 && limit < 1) {
        shown = limit * 1e3;
        unit = "ms";
    }
    for (size_t i = 0; spec->type == RUNG_TYPE_SIZE && i < 4 && shown == limit; i++) {
        if (limit >= sizes[i].factor) {
            shown = limit / sizes[i].factor;
            unit = sizes[i].name;
        }
    }
    for (size_t i = 0; spec->type == RUNG_TYPE_RATE && i < 3 && shown == limit; i++) {
        if (limit >= rates[i].factor) {
            shown = limit / rates[i].factor;
            unit = rates[i].name;
        }
    }
    if (spec->type == RUNG_TYPE_INTEGER || spec->type == RUNG_TYPE_INTEGERS || spec->type == RUNG_TYPE_LEVELS) {
        snprintf(out, size, "%.0f", limit);
    } else {
        char number[RUNG_NUMBER_BYTES];
        snprintf(out, size, "%s%s", rung_print_number(shown, number), unit);
    }
}

const char *rung_option_range(const rung_option_spec *spec, char range[RUNG_RANGE_BYTES])
{
    char low[40];
    char high[40];
    range[0] = '\0';
    if (spec->max <= spec->min) {
        return range;
    }
    print_limit(spec, spec->min, low, sizeof low);
    print_limit(spec, spec->max, high, sizeof high);
    if (spec->above_min) {
        snprintf(range, RUNG_RANGE_BYTES, "above %s, at most %s", low, high);
    } else {
        snprintf(range, RUNG_RANGE_BYTES, "%s to %s", low, high);
    }
    return range;
}

static rung_status check_range(const rung_option_spec *spec, const char *context, const char *shown, double value,
                               rung_error *error)
{
    bool inside = value <= spec->max && (spec->above_min ? value > spec->min : value >= spec->min);
    char range[RUNG_RANGE_BYTES];
    if (spec->max > spec->min && !inside) {
        return rung_fail(error, RUNG_INVALID, "%s: %s is outside the range: %s", context, shown,
                         rung_option_range(spec, range));
    }
    return RUNG_OK;
}

static rung_status fail_later(const rung_option_spec *spec, const char *context, const char *shown, rung_error *error)
{
    rung_buffer instead = {0};
    if (spec->later_hint != NULL) {
        rung_buffer_text(&instead, spec->later_hint);
    } else if (spec->type == RUNG_TYPE_BOOL) {
        rung_buffer_text(&instead, "use false");
    } else {
        rung_buffer_text(&instead, "use ");
        rung_append_choices(&instead, spec->choices);
    }
    rung_status status = rung_fail(error, RUNG_UNSUPPORTED, "%s: '%s' is not available in this version; %s", context,
                                   shown, instead.failed ? "leave it out" : instead.data);
    rung_buffer_deinit(&instead);
    return status;
}

static rung_status fail_choice(const rung_option_spec *spec, const char *context, const char *name, const char *shown,
                               rung_error *error)
{
    char hint[RUNG_HINT_BYTES];
    rung_buffer names = {0};
    rung_append_choices(&names, spec->choices);
    rung_status status =
        rung_fail(error, RUNG_INVALID, "%s: '%s' is not one of %s%s", context, shown,
                  names.failed ? spec->choices : names.data, rung_hint_of_choices(name, spec->choices, hint));
    rung_buffer_deinit(&names);
    return status;
}

static rung_status parse_choice(const rung_option_spec *spec, const char *context, const char *text, const char *shown,
                                rung_option_value *value, rung_error *error)
{
    if (rung_find_choice(spec->choices, text, &value->choice)) {
        return RUNG_OK;
    }
    return fail_choice(spec, context, text, shown, error);
}

/* "single(2)": a name out of `choices`, and behind it what that name takes. */
static rung_status parse_name(const rung_option_spec *spec, const char *context, const char *text, const char *shown,
                              rung_error *error)
{
    char name[RUNG_QUOTED_BYTES];
    rung_policy policy;
    rung_variant variant;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(text, "("), text);
    if (!rung_find_choice(spec->choices, name, NULL)) {
        return fail_choice(spec, context, name, shown, error);
    }
    rung_status status = spec->type == RUNG_TYPE_POLICY ? rung_policy_defaults(text, RUNG_MAX_LEVELS, &policy, error)
                                                        : rung_variant_parse(text, &variant, error);
    return status == RUNG_OK ? RUNG_OK : rung_fail_in(error, "%s", context);
}

static rung_status parse_number(const rung_option_spec *spec, const char *context, const char *text, const char *shown,
                                double *number, rung_error *error)
{
    if (!rung_parse_number(text, number)) {
        char range[RUNG_RANGE_BYTES];
        char hint[RUNG_HINT_BYTES];
        bool word = spec->type == RUNG_TYPE_NUMBER_OR_WORD;
        return rung_fail(error, RUNG_INVALID, "%s: '%s' is not a number%s%s (%s)%s", context, shown, word ? " or " : "",
                         word ? spec->choices : "", rung_option_range(spec, range),
                         word ? rung_hint_of_choices(text, spec->choices, hint) : "");
    }
    return check_range(spec, context, shown, *number, error);
}

static rung_status parse_integer(const rung_option_spec *spec, const char *context, const char *text, const char *shown,
                                 rung_option_value *value, rung_error *error)
{
    if (!rung_parse_integer(text, &value->integer)) {
        char range[RUNG_RANGE_BYTES];
        return rung_fail(error, RUNG_INVALID, "%s: '%s' is not a whole number (%s)", context, shown,
                         rung_option_range(spec, range));
    }
    value->number = (double)value->integer;
    return check_range(spec, context, shown, value->number, error);
}

static rung_status parse_quantity(const rung_option_spec *spec, const char *context, const char *text,
                                  const char *shown, rung_option_value *value, rung_error *error)
{
    rung_quantity quantity = spec->type == RUNG_TYPE_SIZE   ? RUNG_QUANTITY_SIZE
                             : spec->type == RUNG_TYPE_TIME ? RUNG_QUANTITY_TIME
                                                            : RUNG_QUANTITY_RATE;
    rung_status status = rung_parse_quantity(text, quantity, &value->number, error);
    if (status != RUNG_OK) {
        return rung_fail_in(error, "%s", context);
    }
    status = check_range(spec, context, shown, value->number, error);
    if (status == RUNG_OK && quantity == RUNG_QUANTITY_SIZE) {
        value->integer = (uint64_t)value->number;
    }
    return status;
}

/* "0.9, 0.8" */
static rung_status parse_numbers(const rung_option_spec *spec, const char *context, const char *text,
                                 rung_option_value *value, rung_error *error)
{
    bool integers = spec->type == RUNG_TYPE_INTEGERS || spec->type == RUNG_TYPE_LEVELS;
    uint32_t most = spec->max_numbers > 0 ? spec->max_numbers : RUNG_MAX_LEVELS;
    value->num_numbers = 0;
    for (const char *at = text; at != NULL;) {
        at += strspn(at, " ");
        size_t length = strcspn(at, ",");
        size_t used = length;
        while (used > 0 && at[used - 1] == ' ') {
            used--;
        }
        char item[48];
        char shown[RUNG_QUOTED_BYTES];
        if (value->num_numbers == most) {
            return rung_fail(error, RUNG_LIMIT, "%s: more than %u numbers", context, most);
        }
        rung_shorten(at, used, shown);
        snprintf(item, sizeof item, "%.*s", (int)(used < sizeof item ? used : sizeof item - 1), at);
        double *number = &value->numbers[value->num_numbers];
        rung_option_value whole = {0};
        rung_status status = integers ? parse_integer(spec, context, item, shown, &whole, error)
                                      : parse_number(spec, context, item, shown, number, error);
        if (status != RUNG_OK) {
            return status;
        }
        *number = integers ? whole.number : *number;
        value->num_numbers++;
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    return RUNG_OK;
}

/* "1,3", or the word. */
static rung_status parse_levels(const rung_option_spec *spec, const char *context, const char *text,
                                rung_option_value *value, rung_error *error)
{
    uint32_t seen = 0;
    value->is_word = rung_find_choice(spec->choices, text, NULL);
    if (value->is_word) {
        return RUNG_OK;
    }
    rung_status status = parse_numbers(spec, context, text, value, error);
    for (uint32_t i = 0; status == RUNG_OK && i < value->num_numbers; i++) {
        uint32_t level = (uint32_t)value->numbers[i];
        if ((seen >> level & 1) != 0) {
            return rung_fail(error, RUNG_INVALID, "%s: level %u is there twice", context, level);
        }
        seen |= 1u << level;
    }
    return status;
}

/* "http://a:1, http://b:2": each must be one; the text stays as it was written. */
static rung_status parse_urls(const char *context, const char *text, rung_error *error)
{
    char *copy = rung_copy_text(text, strlen(text), context, error);
    rung_status status = copy == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (char *rest = copy; status == RUNG_OK && rest != NULL;) {
        rung_url url;
        status = rung_parse_url(rung_take_url(&rest), &url, error);
        status = status == RUNG_OK ? RUNG_OK : rung_fail_in(error, "%s", context);
    }
    free(copy);
    return status;
}

/* "a, b": the text stays as it was written. */
static rung_status parse_names(const char *context, const char *text, rung_error *error)
{
    char *copy = rung_copy_text(text, strlen(text), context, error);
    rung_status status = copy == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (char *rest = copy; status == RUNG_OK && rest != NULL;) {
        if (rung_take_url(&rest)[0] == '\0') {
            status = rung_fail(error, RUNG_INVALID, "%s: a name is empty; write NAME,NAME", context);
        }
    }
    free(copy);
    return status;
}

static void free_pairs(char **pairs, size_t num_pairs)
{
    for (size_t i = 0; pairs != NULL && i < 2 * num_pairs; i++) {
        free(pairs[i]);
    }
    free(pairs);
}

static rung_status check_pairs(const char *context, size_t num_pairs, const char *const *pairs, rung_error *error)
{
    char shown[RUNG_QUOTED_BYTES];
    if (num_pairs > MAX_PAIRS) {
        return rung_fail(error, RUNG_LIMIT, "%s: more than %d names", context, MAX_PAIRS);
    }
    for (size_t i = 0; i < num_pairs; i++) {
        rung_shorten(pairs[2 * i], strlen(pairs[2 * i]), shown);
        if (pairs[2 * i][0] == '\0' || pairs[2 * i + 1][0] == '\0') {
            return rung_fail(error, RUNG_INVALID, "%s: a name is empty; write OLD=NEW", context);
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(pairs[2 * i], pairs[2 * j]) == 0) {
                return rung_fail(error, RUNG_INVALID, "%s: '%s' is renamed twice", context, shown);
            }
        }
    }
    return RUNG_OK;
}

rung_status rung_option_value_set_pairs(const char *context, size_t num_pairs, const char *const *pairs,
                                        rung_option_value *value, rung_error *error)
{
    rung_status status = check_pairs(context, num_pairs, pairs, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_buffer text = {0};
    rung_buffer_text(&text, "");
    char **copies = rung_alloc(2 * num_pairs, sizeof *copies, context, error);
    bool complete = copies != NULL;
    for (size_t i = 0; complete && i < 2 * num_pairs; i++) {
        copies[i] = rung_copy_text(pairs[i], strlen(pairs[i]), context, error);
        complete = copies[i] != NULL;
        rung_buffer_format(&text, "%s%s", i == 0 ? "" : i % 2 == 1 ? "=" : ",", pairs[i]);
    }
    if (!complete || rung_buffer_check(&text, context, error) != RUNG_OK) {
        free_pairs(copies, num_pairs);
        rung_buffer_deinit(&text);
        return RUNG_NO_MEMORY;
    }
    free_pairs(value->pairs, value->num_pairs);
    free(value->text);
    value->pairs = copies;
    value->num_pairs = num_pairs;
    value->text = text.data;
    return RUNG_OK;
}

/* "OLD=NEW,OLD=NEW"; splits a copy in place. */
static rung_status parse_map(const char *context, const char *text, rung_option_value *value, rung_error *error)
{
    size_t count = text[0] == '\0' ? 0 : 1;
    for (const char *at = text; *at != '\0'; at++) {
        count += *at == ',' ? 1 : 0;
    }
    char *copy = rung_copy_text(text, strlen(text), context, error);
    const char **pairs = rung_alloc(2 * count, sizeof *pairs, context, error);
    rung_status status = copy == NULL || pairs == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    char *at = copy;
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        char *item = at;
        size_t length = strcspn(item, ",");
        at += length + 1;
        item[length] = '\0';
        char *equals = strchr(item, '=');
        if (equals == NULL) {
            char shown[RUNG_QUOTED_BYTES];
            status = rung_fail(error, RUNG_INVALID, "%s: '%s' has no '='; write OLD=NEW,OLD=NEW", context,
                               rung_shorten(item, length, shown));
        } else {
            *equals = '\0';
            pairs[2 * i] = item;
            pairs[2 * i + 1] = equals + 1;
        }
    }
    if (status == RUNG_OK) {
        status = rung_option_value_set_pairs(context, count, pairs, value, error);
    }
    free(pairs);
    free(copy);
    return status;
}

static rung_status parse_typed(const rung_option_spec *spec, const char *context, const char *text, const char *shown,
                               rung_option_value *value, rung_error *error)
{
    rung_host_port unused;
    switch (spec->type) {
    case RUNG_TYPE_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
            return rung_fail(error, RUNG_INVALID, "%s: '%s' is not true or false", context, shown);
        }
        value->boolean = text[0] == 't';
        return RUNG_OK;
    case RUNG_TYPE_INTEGER:
        return parse_integer(spec, context, text, shown, value, error);
    case RUNG_TYPE_NUMBER:
        return parse_number(spec, context, text, shown, &value->number, error);
    case RUNG_TYPE_NUMBER_OR_WORD:
        value->is_word = rung_find_choice(spec->choices, text, NULL);
        return value->is_word ? RUNG_OK : parse_number(spec, context, text, shown, &value->number, error);
    case RUNG_TYPE_INTEGERS:
    case RUNG_TYPE_NUMBERS:
        return parse_numbers(spec, context, text, value, error);
    case RUNG_TYPE_LEVELS:
        return parse_levels(spec, context, text, value, error);
    case RUNG_TYPE_POLICY:
    case RUNG_TYPE_VARIANT:
        return parse_name(spec, context, text, shown, error);
    case RUNG_TYPE_CHOICE:
        return parse_choice(spec, context, text, shown, value, error);
    case RUNG_TYPE_SIZE:
    case RUNG_TYPE_TIME:
    case RUNG_TYPE_RATE:
        return parse_quantity(spec, context, text, shown, value, error);
    case RUNG_TYPE_LISTEN:
        return rung_parse_listen(text, &unused, error) == RUNG_OK ? RUNG_OK : rung_fail_in(error, "%s", context);
    case RUNG_TYPE_NAMES:
        return parse_names(context, text, error);
    case RUNG_TYPE_URLS:
        return parse_urls(context, text, error);
    case RUNG_TYPE_TEXT:
    case RUNG_TYPE_PATH:
    case RUNG_TYPE_MAP:
        break;
    }
    return RUNG_OK;
}

rung_status rung_option_value_parse(const rung_option_spec *spec, const char *context, const char *text,
                                    rung_option_value *value, rung_error *error)
{
    rung_error unused = {0};
    error = error != NULL ? error : &unused;
    size_t bytes = strlen(text);
    size_t bad = 0;
    char shown[RUNG_QUOTED_BYTES];
    rung_shorten(text, bytes, shown);
    if (!rung_utf8_valid(text, bytes, &bad)) {
        return rung_fail(error, RUNG_INVALID, "%s: not valid UTF-8 at byte %zu", context, bad);
    }
    if (bytes == 0 && spec->type != RUNG_TYPE_MAP) {
        return rung_fail(error, RUNG_INVALID, "%s: is empty", context);
    }
    if (spec->later != NULL && (strcmp(spec->later, "*") == 0 || rung_find_choice(spec->later, text, NULL))) {
        return fail_later(spec, context, strcmp(spec->later, "*") == 0 ? spec->key : shown, error);
    }
    if (spec->type == RUNG_TYPE_MAP) {
        return parse_map(context, text, value, error);
    }
    rung_option_value parsed = *value;
    rung_status status = parse_typed(spec, context, text, shown, &parsed, error);
    if (status != RUNG_OK) {
        return status;
    }
    parsed.text = rung_copy_text(text, bytes, context, error);
    if (parsed.text == NULL) {
        return RUNG_NO_MEMORY;
    }
    free(value->text);
    *value = parsed;
    return RUNG_OK;
}

static rung_status copy_if_any(const char *text, char **copy, rung_error *error)
{
    *copy = text == NULL ? NULL : rung_copy_text(text, strlen(text), "option", error);
    return text != NULL && *copy == NULL ? RUNG_NO_MEMORY : RUNG_OK;
}

rung_status rung_option_value_copy(const rung_option_value *value, rung_option_value *copy, rung_error *error)
{
    rung_option_value made = *value;
    made.origin = made.directory = made.text = NULL;
    made.pairs = NULL;
    made.num_pairs = 0;
    rung_status status = copy_if_any(value->origin, &made.origin, error);
    if (status == RUNG_OK) {
        status = copy_if_any(value->directory, &made.directory, error);
    }
    if (status == RUNG_OK && value->pairs != NULL) {
        status =
            rung_option_value_set_pairs("option", value->num_pairs, (const char *const *)value->pairs, &made, error);
    } else if (status == RUNG_OK) {
        status = copy_if_any(value->text, &made.text, error);
    }
    if (status != RUNG_OK) {
        rung_option_value_deinit(&made);
        return status;
    }
    *copy = made;
    return RUNG_OK;
}

void rung_option_value_deinit(rung_option_value *value)
{
    free(value->origin);
    free(value->directory);
    free(value->text);
    free_pairs(value->pairs, value->num_pairs);
    *value = (rung_option_value){0};
}
