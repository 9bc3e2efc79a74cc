/* number.c: numbers and quantities as text. See number.h. */
#include "config/number.h"

#include "config/suggest.h"

#include <assert.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* strtod and snprintf under the C locale, whatever the program has set. */
static double number_of(const char *text, char **end)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    double value = c != (locale_t)0 ? strtod_l(text, end, c) : strtod(text, end);
    if (c != (locale_t)0) {
        freelocale(c);
    }
    return value;
}

static size_t digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* Bytes of the decimal number at the start of text, 0 when there is none. */
static size_t number_length(const char *text)
{
    const char *at = text;
    at += *at == '-' || *at == '+' ? 1 : 0;
    size_t whole = digits(at);
    at += whole;
    size_t fraction = 0;
    if (*at == '.') {
        fraction = digits(at + 1);
        at += fraction > 0 || whole > 0 ? 1 + fraction : 0;
    }
    if (whole + fraction == 0) {
        return 0;
    }
    if (*at == 'e' || *at == 'E') {
        size_t sign = at[1] == '-' || at[1] == '+' ? 1 : 0;
        size_t exponent = digits(at + 1 + sign);
        at += exponent > 0 ? 1 + sign + exponent : 0;
    }
    return (size_t)(at - text);
}

bool rung_parse_number(const char *text, double *value)
{
    size_t length = number_length(text);
    if (length == 0 || text[length] != '\0') {
        return false;
    }
    double parsed = number_of(text, NULL);
    if (!isfinite(parsed)) {
        return false;
    }
    *value = parsed;
    return true;
}

bool rung_parse_integer(const char *text, uint64_t *value)
{
    if (text[0] == '\0' || text[digits(text)] != '\0') {
        return false;
    }
    errno = 0;
    unsigned long long parsed = strtoull(text, NULL, 10);
    if (errno != 0) {
        return false;
    }
    *value = parsed;
    return true;
}

/* %.*f or %.*g in the C locale. */
static void print(double value, bool fixed, int precision, char out[RUNG_NUMBER_BYTES])
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t old = c != (locale_t)0 ? uselocale(c) : (locale_t)0;
    snprintf(out, RUNG_NUMBER_BYTES, fixed ? "%.*f" : "%.*g", precision, value);
    if (c != (locale_t)0) {
        uselocale(old);
        freelocale(c);
    }
}

const char *rung_print_number(double value, char out[RUNG_NUMBER_BYTES])
{
    for (int precision = 15; precision <= 17; precision++) {
        print(value, false, precision, out);
        if (number_of(out, NULL) == value) {
            break;
        }
    }
    return out;
}

const char *rung_print_rounded(double value, int digits, char out[RUNG_NUMBER_BYTES])
{
    assert(digits >= 1 && digits <= 17);
    print(value, false, digits, out);
    return out;
}

const char *rung_print_decimals(double value, int decimals, char out[RUNG_NUMBER_BYTES])
{
    assert(decimals >= 0 && decimals <= 9);
    bool fits = fabs(value) < 1e15;
    print(value, fits, fits ? decimals : 15, out);
    if (out[0] == '-' && out[strspn(out, "-0.")] == '\0') {
        memmove(out, out + 1, strlen(out)); /* what rounds to zero has no sign */
    }
    return out;
}

typedef struct unit {
    const char *name;
    double factor;
} unit;

typedef struct quantity_spec {
    const char *what;
    const char *example; /* what follows the number in the example */
    const char *names;
    unit units[8];
} quantity_spec;

static const quantity_spec quantities[] = {
    [RUNG_QUANTITY_SIZE] =
        {"a size",
         "MiB",
         "B, kB, MB, GB, KiB, MiB, GiB",
         {{"B", 1}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}}},
    [RUNG_QUANTITY_TIME] = {"a time",
                            "ms",
                            "us, ms, s, min, h",
                            {{"us", 1e6}, {"ms", 1e3}, {"s", 1}, {"min", 60}, {"h", 3600}}},
    [RUNG_QUANTITY_RATE] = {"a rate",
                            "Mbit/s",
                            "bit/s, kbit/s, Mbit/s, Gbit/s",
                            {{"bit/s", 1}, {"kbit/s", 1e3}, {"Mbit/s", 1e6}, {"Gbit/s", 1e9}}},
};

/* us and ms are stored as divisors, since 1e-3 is no double and 8ms should be the double nearest to 0.008. */
static double apply_unit(double number, rung_quantity quantity, const unit *found)
{
    bool divides = quantity == RUNG_QUANTITY_TIME && found->name[1] == 's';
    return divides ? number / found->factor : number * found->factor;
}

rung_status rung_parse_quantity(const char *text, rung_quantity quantity, double *value, rung_error *error)
{
    const quantity_spec *spec = &quantities[quantity];
    char shown[RUNG_QUOTED_BYTES];
    rung_shorten(text, strlen(text), shown);
    size_t length = number_length(text);
    if (length == 0 || text[0] == '-') {
        return rung_fail(error, RUNG_INVALID, "'%s' is not %s; write for example 8%s", shown, spec->what,
                         spec->example);
    }
    const char *name = text + length;
    name += strspn(name, " ");
    if (*name == '\0') {
        return rung_fail(error, RUNG_INVALID, "'%s' has no unit; write for example %.*s%s (units: %s)", shown,
                         (int)(length < 24 ? length : 24), text, spec->example, spec->names);
    }
    const unit *found = NULL;
    for (const unit *u = spec->units; u->name != NULL && found == NULL; u++) {
        found = strcmp(u->name, name) == 0 ? u : NULL;
    }
    if (found == NULL) {
        return rung_fail(error, RUNG_INVALID, "'%s' is not %s with a unit that is known; use one of %s", shown,
                         spec->what, spec->names);
    }
    double result = apply_unit(number_of(text, NULL), quantity, found);
    if (!isfinite(result)) {
        return rung_fail(error, RUNG_INVALID, "'%s' is too large", shown);
    }
    if (quantity == RUNG_QUANTITY_SIZE && result != floor(result)) {
        return rung_fail(error, RUNG_INVALID, "'%s' is not a whole number of bytes", shown);
    }
    *value = result;
    return RUNG_OK;
}
