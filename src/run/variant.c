/* variant.c: the names of the variants, and which layers and tokens each one keeps. Called by batch_run.c and by what reads a variant's name.
 * Knows no models and batches. See variant.h. */
#include "run/variant.h"

#include "config/number.h"
#include "config/suggest.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What rounding may add to a product that is a whole number. */
#define ROUNDING 1e-9

static const struct {
    const char *name;
    const char *range; /* NULL: no number */
} FORMS[] = {
    [RUNG_VARIANT_NONE] = {"none", NULL},
    [RUNG_VARIANT_LAYER_SKIP] = {"layer-skip", "a speedup above 1, as in layer-skip:2"},
    [RUNG_VARIANT_POWER_BERT] = {"power-bert", "a share above 0 and at most 1, as in power-bert:0.5"},
};
#define NUM_FORMS (sizeof FORMS / sizeof FORMS[0])

static bool in_range(rung_variant_kind kind, double value)
{
    return kind == RUNG_VARIANT_LAYER_SKIP ? value > 1 : value > 0 && value <= 1;
}

rung_status rung_variant_parse(const char *text, rung_variant *variant, rung_error *error)
{
    char quoted[RUNG_QUOTED_BYTES];
    size_t name_bytes = strcspn(text, ":");
    const char *number = text[name_bytes] == ':' ? text + name_bytes + 1 : NULL;
    size_t kind = 0;
    while (kind < NUM_FORMS &&
           (strlen(FORMS[kind].name) != name_bytes || memcmp(FORMS[kind].name, text, name_bytes) != 0)) {
        kind++;
    }
    rung_shorten(text, strlen(text), quoted);
    if (kind == NUM_FORMS) {
        return rung_fail(error, RUNG_INVALID, "variant '%s': not one of none, layer-skip:SPEEDUP and power-bert:SHARE",
                         quoted);
    }
    rung_variant parsed = {.kind = (rung_variant_kind)kind};
    if (FORMS[kind].range == NULL) {
        if (number != NULL) {
            return rung_fail(error, RUNG_INVALID, "variant '%s': '%s' takes no number", quoted, FORMS[kind].name);
        }
    } else if (number == NULL || !rung_parse_number(number, &parsed.value) || !in_range(parsed.kind, parsed.value)) {
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
        snprintf(out, RUNG_VARIANT_BYTES, "%s:%s", FORMS[variant->kind].name,
                 rung_print_number(variant->value, number));
    }
    return out;
}

void rung_layer_skip(uint32_t num_layers, double speedup, bool *keep)
{
    assert(num_layers >= 1 && speedup > 1);
    uint32_t wanted = (uint32_t)((double)num_layers / speedup);
    wanted = wanted < 2 ? 2 : wanted;
    uint32_t interval = num_layers / (wanted - 1);
    uint32_t kept = num_layers > 1 ? 2 : 1; /* the first and the last */
    for (uint32_t i = 0; i < num_layers; i++) {
        bool outer = i == 0 || i + 1 == num_layers;
        bool inner = !outer && i % interval == 0 && kept < wanted;
        keep[i] = outer || inner;
        kept += inner;
    }
}

size_t rung_power_keep(size_t num_tokens, uint32_t layer, uint32_t num_layers, double final_share)
{
    assert(num_tokens >= 1 && layer <= num_layers && num_layers >= 1 && final_share > 0 && final_share <= 1);
    double share = 1 - (double)layer * (1 - final_share) / (double)num_layers;
    share = share > final_share ? share : final_share;
    double count = ceil((double)num_tokens * share - ROUNDING);
    return count > 1 ? (size_t)count : 1;
}

void rung_power_mark(const float *sums, size_t num_tokens, size_t count, bool *keep)
{
    assert(count >= 1 && count <= num_tokens);
    memset(keep, true, num_tokens * sizeof *keep);
    /* Few tokens go after one layer. Whatever the sums are, each round takes one, so NaN changes no count. */
    for (size_t left = num_tokens; left > count; left--) {
        size_t least = 0;
        for (size_t i = 1; i < num_tokens; i++) {
            if (keep[i] && (least == 0 || !(sums[i] > sums[least]))) {
                least = i;
            }
        }
        keep[least] = false;
    }
}
