/* variant_text.c: reads and prints the name of a variant. Called by cascade_config.c and by reports. See variant_text.h. */
#include "config/variant_text.h"

#include "config/number.h"
#include "config/suggest.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *range; /* NULL: no number */
} FORMS[] = {
    [RUNG_VARIANT_NONE] = {"none", NULL},
    [RUNG_VARIANT_LAYER_SKIP] = {"layer-skip", "a speedup above 1, as in layer-skip(2)"},
    [RUNG_VARIANT_POWER_BERT] = {"power-bert", "a share above 0 and at most 1, as in power-bert(0.5)"},
};
#define NUM_FORMS (sizeof FORMS / sizeof FORMS[0])

static bool in_range(rung_variant_kind kind, double value)
{
    return kind == RUNG_VARIANT_LAYER_SKIP ? value > 1 : value > 0 && value <= 1;
}

/* What stands in the parentheses at the end of a name. */
static bool take_number(const char *after, char number[RUNG_NUMBER_BYTES])
{
    size_t bytes = strlen(after);
    if (bytes < 3 || bytes - 2 >= RUNG_NUMBER_BYTES || after[0] != '(' || after[bytes - 1] != ')') {
        return false;
    }
    memcpy(number, after + 1, bytes - 2);
    number[bytes - 2] = '\0';
    return true;
}

rung_status rung_variant_parse(const char *text, rung_variant *variant, rung_error *error)
{
    char quoted[RUNG_QUOTED_BYTES];
    size_t name_bytes = strcspn(text, "(");
    char number[RUNG_NUMBER_BYTES];
    bool has_number = text[name_bytes] == '(';
    size_t kind = 0;
    while (kind < NUM_FORMS &&
           (strlen(FORMS[kind].name) != name_bytes || memcmp(FORMS[kind].name, text, name_bytes) != 0)) {
        kind++;
    }
    rung_shorten(text, strlen(text), quoted);
    if (kind == NUM_FORMS) {
        return rung_fail(error, RUNG_INVALID,
                         "variant '%s': not one of none, layer-skip(SPEEDUP) and power-bert(SHARE)", quoted);
    }
    rung_variant parsed = {.kind = (rung_variant_kind)kind, .amount = 1};
    if (FORMS[kind].range == NULL) {
        if (has_number) {
            return rung_fail(error, RUNG_INVALID, "variant '%s': '%s' takes no number", quoted, FORMS[kind].name);
        }
    } else if (!take_number(text + name_bytes, number) || !rung_parse_number(number, &parsed.amount) ||
               !in_range(parsed.kind, parsed.amount)) {
        return rung_fail(error, RUNG_INVALID, "variant '%s': '%s' needs %s", quoted, FORMS[kind].name,
                         FORMS[kind].range);
    }
    *variant = parsed;
    return RUNG_OK;
}

const char *rung_variant_format(const rung_variant *variant, char out[RUNG_VARIANT_BYTES])
{
    char number[RUNG_NUMBER_BYTES];
    if (FORMS[variant->kind].range == NULL) {
        snprintf(out, RUNG_VARIANT_BYTES, "%s", FORMS[variant->kind].name);
    } else {
        snprintf(out, RUNG_VARIANT_BYTES, "%s(%s)", FORMS[variant->kind].name,
                 rung_print_number(variant->amount, number));
    }
    return out;
}
