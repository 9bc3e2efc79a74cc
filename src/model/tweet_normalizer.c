/* tweet_normalizer.c: see tweet_normalizer.h. The steps of BertweetTokenizer.normalizeTweet in their order, each from one aligned text
 * into another: what a step does not touch keeps its place in the original. */
#include "model/tweet_normalizer.h"

#include "base/utf8.h"
#include "model/html_entities.h"
#include "model/tweet_words.h"
#include "model/unicode.h"

#include <string.h>

#define LEAST_REPEATS 4
#define KEPT_REPEATS 3
#define REPLACEMENT_CHARACTER 0xFFFDU

typedef struct replacement {
    const char *from, *to;
} replacement;

static const replacement MARKS[] = {{"\u2019", "'"}, {"\u2026", "..."}};

/* Done after the words stand apart. */
static const replacement CONTRACTIONS[] = {
    {"cannot ", "can not "}, {"n't ", " n't "},      {"n 't ", " n't "},   {"ca n't", "can't"},   {"ai n't", "ain't"},
    {"'m ", " 'm "},         {"'re ", " 're "},      {"'s ", " 's "},      {"'ll ", " 'll "},     {"'d ", " 'd "},
    {"'ve ", " 've "},       {" p . m .", "  p.m."}, {" p . m ", " p.m "}, {" a . m .", " a.m."}, {" a . m ", " a.m "}};

static void swap(rung_aligned_text *a, rung_aligned_text *b)
{
    rung_aligned_text saved = *a;
    *a = *b;
    *b = saved;
}

/* The replacement of text->text[at..at + strlen(from)). When it only inserts bytes, those that stay keep their places. */
static rung_status put_replacement(const rung_aligned_text *text, size_t at, const replacement *rule,
                                   rung_aligned_text *out, rung_error *error)
{
    size_t last = at + strlen(rule->from) - 1;
    size_t stays = 0;
    for (const char *c = rule->to; *c != '\0'; c++) {
        stays += *c == rule->from[stays];
    }
    bool inserts = rule->from[stays] == '\0';
    rung_status status = RUNG_OK;
    size_t next = at;
    for (const char *c = rule->to; *c != '\0' && status == RUNG_OK; c++) {
        size_t begin = inserts && next < last ? next : inserts ? last : at;
        size_t end = inserts ? begin : last;
        status = rung_aligned_text_add(out, c, 1, text->begin[begin], text->end[end], error);
        next += next <= last && *c == text->text[next];
    }
    return status;
}

/* All occurrences from the left, as str.replace does. */
static rung_status replace_all(rung_aligned_text *text, rung_aligned_text *spare, const replacement *rule,
                               rung_error *error)
{
    size_t from_bytes = strlen(rule->from);
    const char *found = text->bytes == 0 ? NULL : memmem(text->text, text->bytes, rule->from, from_bytes);
    if (found == NULL) {
        return RUNG_OK;
    }
    spare->bytes = 0;
    rung_status status = RUNG_OK;
    size_t done = 0;
    while (found != NULL && status == RUNG_OK) {
        size_t at = (size_t)(found - text->text);
        status = rung_aligned_text_copy(spare, text, done, at, error);
        if (status == RUNG_OK) {
            status = put_replacement(text, at, rule, spare, error);
        }
        done = at + from_bytes;
        found = memmem(text->text + done, text->bytes - done, rule->from, from_bytes);
    }
    if (status == RUNG_OK) {
        status = rung_aligned_text_copy(spare, text, done, text->bytes, error);
    }
    swap(text, spare);
    return status;
}

static uint32_t digits_value(const char *digits, size_t bytes, uint32_t base)
{
    uint32_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        char c = digits[i];
        uint32_t lower = (uint32_t)(c | 0x20);
        uint32_t digit = c >= '0' && c <= '9'           ? (uint32_t)(c - '0')
                         : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10
                                                        : base;
        if (digit >= base || value > 0x10FFFF) {
            return UINT32_MAX;
        }
        value = value * base + digit;
    }
    return bytes == 0 ? UINT32_MAX : value;
}

/* What Windows-1252 has at 0x80 to 0x9F, 0 where it has nothing: numbers of entities are often meant so. */
static const uint16_t WINDOWS_1252[32] = {0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                          0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017D, 0,
                                          0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                          0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

/* The code point of the entity &BODY; -- false when it stands for none and is dropped. An x without # counts as hexadecimal, as in
 * the reference, whose expression is &(#?(x?))([^&;\s]+); */
static bool entity_value(const char *body, size_t bytes, uint32_t *code_point)
{
    size_t hash = body[0] == '#' ? 1 : 0;
    size_t hex = hash < bytes - 1 && body[hash] == 'x' ? 1 : 0;
    /* Something must be left behind the mark. */
    if (hash + hex >= bytes) {
        hash = 0;
    }
    if (hash + hex == 0) {
        *code_point = rung_html_entity(body, bytes);
        return *code_point != 0;
    }
    uint32_t value = digits_value(body + hash + hex, bytes - hash - hex, hex ? 16 : 10);
    if (value >= 0x80 && value <= 0x9F) {
        value = WINDOWS_1252[value - 0x80] != 0 ? WINDOWS_1252[value - 0x80] : UINT32_MAX;
    }
    /* Half a surrogate pair, which the reference keeps and finds in no vocabulary, has no UTF-8. */
    *code_point = value >= 0xD800 && value <= 0xDFFF ? REPLACEMENT_CHARACTER : value;
    return value <= 0x10FFFF;
}

static rung_status replace_entities(rung_aligned_text *text, rung_aligned_text *spare, rung_error *error)
{
    spare->bytes = 0;
    rung_status status = RUNG_OK;
    size_t done = 0;
    for (size_t at = 0; at < text->bytes && status == RUNG_OK;) {
        const char *found = memchr(text->text + at, '&', text->bytes - at);
        if (found == NULL) {
            break;
        }
        size_t body = (size_t)(found - text->text) + 1;
        size_t end = body;
        while (end < text->bytes && text->text[end] != '&' && text->text[end] != ';') {
            size_t next = end;
            if (rung_unicode_get(rung_utf8_next(text->text, text->bytes, &next)).flags & RUNG_UNICODE_SPACE) {
                break;
            }
            end = next;
        }
        at = end;
        if (end == body || end == text->bytes || text->text[end] != ';') {
            continue;
        }
        at++;
        uint32_t code_point;
        bool known = entity_value(text->text + body, end - body, &code_point);
        status = rung_aligned_text_copy(spare, text, done, body - 1, error);
        if (status == RUNG_OK && known) {
            status = rung_aligned_text_put(spare, code_point, text->begin[body - 1], text->end[end], error);
        }
        done = at;
    }
    if (status == RUNG_OK) {
        status = rung_aligned_text_copy(spare, text, done, text->bytes, error);
    }
    swap(text, spare);
    return status;
}

/* Four or more of one character that is no ASCII letter or digit become three. */
static rung_status shorten_runs(rung_aligned_text *text, rung_aligned_text *spare, rung_error *error)
{
    spare->bytes = 0;
    rung_status status = RUNG_OK;
    for (size_t at = 0; at < text->bytes && status == RUNG_OK;) {
        size_t first = at;
        size_t repeats = 1;
        uint32_t code_point = rung_utf8_next(text->text, text->bytes, &at);
        size_t bytes = at - first;
        while (text->bytes - at >= bytes && memcmp(text->text + at, text->text + first, bytes) == 0) {
            at += bytes;
            repeats++;
        }
        bool alnum = (code_point | 0x20) - 'a' < 26 || code_point - '0' < 10;
        bool shorten = repeats >= LEAST_REPEATS && !alnum;
        size_t end = shorten ? first + KEPT_REPEATS * bytes : at;
        status = rung_aligned_text_copy(spare, text, first, end, error);
        for (size_t i = 0; shorten && i < bytes; i++) {
            spare->end[spare->bytes - 1 - i] = text->end[at - 1];
        }
    }
    swap(text, spare);
    return status;
}

/* A mark that an entity stood for, when it is a word by itself. */
static const replacement *mark_of(const char *word, size_t bytes)
{
    for (size_t i = 0; i < sizeof MARKS / sizeof MARKS[0]; i++) {
        if (strlen(MARKS[i].from) == bytes && memcmp(MARKS[i].from, word, bytes) == 0) {
            return &MARKS[i];
        }
    }
    return NULL;
}

static bool begins_with(const char *text, size_t bytes, const char *lower)
{
    for (size_t i = 0; lower[i] != '\0'; i++) {
        if (i == bytes || (text[i] | 0x20) != lower[i]) {
            return false;
        }
    }
    return true;
}

/* The words with a blank between them; names and links as what stands for all of them. */
static rung_status separate_words(rung_aligned_text *text, rung_aligned_text *spare, rung_error *error)
{
    spare->bytes = 0;
    rung_status status = RUNG_OK;
    rung_tweet_words words = rung_tweet_words_start(text->text, text->bytes);
    size_t begin, end;
    while (status == RUNG_OK && rung_tweet_words_next(&words, &begin, &end)) {
        uint32_t first = text->begin[begin];
        uint32_t last = text->end[end - 1];
        if (spare->bytes > 0) {
            status = rung_aligned_text_add(spare, " ", 1, first, first, error);
        }
        if (status != RUNG_OK) {
            break;
        }
        const char *word = text->text + begin;
        const replacement *mark = mark_of(word, end - begin);
        if (mark != NULL) {
            status = rung_aligned_text_add(spare, mark->to, strlen(mark->to), first, last, error);
        } else if (word[0] == '@') {
            status = rung_aligned_text_add(spare, "@USER", 5, first, last, error);
        } else if (begins_with(word, end - begin, "http") || begins_with(word, end - begin, "www")) {
            status = rung_aligned_text_add(spare, "HTTPURL", 7, first, last, error);
        } else {
            status = rung_aligned_text_copy(spare, text, begin, end, error);
        }
    }
    swap(text, spare);
    return status;
}

rung_status rung_tweet_normalize(const char *text, size_t begin, size_t end, rung_aligned_text *out,
                                 rung_aligned_text *spare, rung_error *error)
{
    out->bytes = 0;
    rung_status status = rung_aligned_text_reserve(out, end - begin, error);
    for (size_t at = begin; at < end && status == RUNG_OK;) {
        size_t first = at;
        rung_utf8_next(text, end, &at);
        status = rung_aligned_text_add(out, text + first, at - first, (uint32_t)first, (uint32_t)at, error);
    }
    for (size_t i = 0; i < sizeof MARKS / sizeof MARKS[0] && status == RUNG_OK; i++) {
        status = replace_all(out, spare, &MARKS[i], error);
    }
    if (status == RUNG_OK) {
        status = replace_entities(out, spare, error);
    }
    if (status == RUNG_OK) {
        status = shorten_runs(out, spare, error);
    }
    if (status == RUNG_OK) {
        status = separate_words(out, spare, error);
    }
    for (size_t i = 0; i < sizeof CONTRACTIONS / sizeof CONTRACTIONS[0] && status == RUNG_OK; i++) {
        status = replace_all(out, spare, &CONTRACTIONS[i], error);
    }
    return status;
}
