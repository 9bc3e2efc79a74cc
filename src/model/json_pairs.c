/* json_pairs.c: names with whole numbers, straight from JSON text. See json_pairs.h. */
#include "model/json_pairs.h"

#include "base/utf8.h"

#include <string.h>

#define MAX_DIGITS 9

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    return at;
}

/* at: behind the opening quote. Returns the closing one, NULL when there is none. */
static const char *find_quote(const char *at, const char *end, bool *has_escapes)
{
    *has_escapes = false;
    for (; at < end && *at != '"'; at++) {
        if (*at == '\\') {
            *has_escapes = true;
            at++;
            if (at == end) {
                return NULL;
            }
        }
    }
    return at < end ? at : NULL;
}

/* Behind the value that begins at `at`; NULL when it does not end. Brackets are counted, not matched. */
static const char *skip_value(const char *at, const char *end)
{
    size_t depth = 0;
    bool has_escapes;
    while (at < end) {
        switch (*at) {
        case '"':
            at = find_quote(at + 1, end, &has_escapes);
            if (at == NULL) {
                return NULL;
            }
            break;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (depth == 0) {
                return at; /* of what the value lies in */
            }
            depth--;
            break;
        case ',':
            if (depth == 0) {
                return at;
            }
            break;
        default:
            break;
        }
        at++;
    }
    return NULL;
}

/* at: the '{' of an object. Returns where the value of its first member `name` begins, NULL when it has none. */
static const char *find_member(const char *at, const char *end, const char *name)
{
    size_t bytes = strlen(name);
    at = skip_space(at + 1, end);
    while (at < end && *at == '"') {
        bool has_escapes;
        const char *key = at + 1;
        const char *quote = find_quote(key, end, &has_escapes);
        if (quote == NULL) {
            return NULL;
        }
        at = skip_space(quote + 1, end);
        if (at == end || *at != ':') {
            return NULL;
        }
        at = skip_space(at + 1, end);
        if ((size_t)(quote - key) == bytes && memcmp(key, name, bytes) == 0) {
            return at;
        }
        at = skip_value(at, end);
        if (at == NULL || *at != ',') {
            return NULL;
        }
        at = skip_space(at + 1, end);
    }
    return NULL;
}

bool rung_json_pairs_find(const char *json, size_t bytes, const char *outer, const char *inner, rung_json_pairs *pairs)
{
    const char *end = json + bytes;
    const char *at = skip_space(json, end);
    const char *const names[2] = {outer, inner};
    for (size_t i = 0; i < 2; i++) {
        if (at == end || *at != '{') {
            return false;
        }
        at = find_member(at, end, names[i]);
        if (at == NULL) {
            return false;
        }
    }
    if (at == end || *at != '{') {
        return false;
    }
    const char *behind = skip_value(at, end);
    if (behind == NULL) {
        return false;
    }
    /* White space between the object and what follows it is not its own. */
    while (behind[-1] != '}' && behind - 1 > at) {
        behind--;
    }
    *pairs = (rung_json_pairs){.begin = at, .end = behind};
    return behind[-1] == '}';
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The 4 digits of \uXXXX as a scalar value other than NUL. */
static bool read_code_point(const char *at, const char *end, uint32_t *code_point)
{
    if (end - at < 4) {
        return false;
    }
    *code_point = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) {
            return false;
        }
        *code_point = *code_point * 16 + (uint32_t)digit;
    }
    return *code_point != 0 && (*code_point < 0xD800 || *code_point > 0xDFFF);
}

/* [at, end) to pair->unescaped. False: an escape that is seldom, or too many bytes. */
static bool unescape(const char *at, const char *end, rung_json_pair *pair)
{
    size_t used = 0;
    while (at < end) {
        if (sizeof pair->unescaped - used < 4) {
            return false;
        }
        if (*at != '\\') {
            pair->unescaped[used++] = *at++;
            continue;
        }
        char escaped = at[1]; /* a backslash is never the last: find_quote saw to it */
        at += 2;
        if (escaped == '"' || escaped == '\\' || escaped == '/') {
            pair->unescaped[used++] = escaped;
            continue;
        }
        uint32_t code_point;
        if (escaped != 'u' || !read_code_point(at, end, &code_point)) {
            return false;
        }
        used += rung_utf8_put(code_point, pair->unescaped + used);
        at += 4;
    }
    pair->name = pair->unescaped;
    pair->bytes = used;
    return true;
}

static bool is_plain_text(const char *text, size_t bytes)
{
    size_t bad;
    for (size_t i = 0; i < bytes; i++) {
        if ((uint8_t)text[i] < 0x20) {
            return false;
        }
    }
    return rung_utf8_valid(text, bytes, &bad);
}

/* "name": 12. Returns what lies behind, NULL when it is not plain. */
static const char *read_pair(const char *at, const char *end, rung_json_pair *pair)
{
    bool has_escapes;
    const char *quote = at < end && *at == '"' ? find_quote(at + 1, end, &has_escapes) : NULL;
    if (quote == NULL || !is_plain_text(at + 1, (size_t)(quote - at - 1))) {
        return NULL;
    }
    pair->name = at + 1;
    pair->bytes = (size_t)(quote - at - 1);
    if (has_escapes && !unescape(at + 1, quote, pair)) {
        return NULL;
    }
    at = skip_space(quote + 1, end);
    if (at == end || *at != ':') {
        return NULL;
    }
    at = skip_space(at + 1, end);
    const char *digits = at;
    pair->number = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        if (at - digits == MAX_DIGITS) {
            return NULL;
        }
        pair->number = pair->number * 10 + (*at - '0');
    }
    bool leading_zero = at - digits > 1 && *digits == '0';
    return at == digits || leading_zero ? NULL : at;
}

rung_json_pairs_step rung_json_pairs_next(const rung_json_pairs *pairs, const char **at, rung_json_pair *pair)
{
    const char *last = pairs->end - 1; /* the '}' */
    bool first = *at == NULL;
    const char *here = skip_space(first ? pairs->begin + 1 : *at, last);
    if (here == last) {
        return RUNG_JSON_PAIRS_END;
    }
    if (!first) {
        if (*here != ',') {
            return RUNG_JSON_NOT_PLAIN;
        }
        here = skip_space(here + 1, last);
    }
    *at = read_pair(here, last, pair);
    return *at == NULL ? RUNG_JSON_NOT_PLAIN : RUNG_JSON_PAIR;
}
