/* byte_level.c: see byte_level.h. The regular expression is
 *     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * matched from the left; the classes come from the reference's own engine through unicode.h. */
#include "model/byte_level.h"

#include "base/utf8.h"
#include "model/unicode.h"

#define FIRST_STAND_IN 0x100U
#define LAST_STAND_IN 0x143U

typedef enum char_kind { KIND_LETTER, KIND_NUMBER, KIND_OTHER, KIND_SPACE } char_kind;

/* Bytes that are visible characters of Latin-1. */
static bool stands_for_itself(uint32_t c)
{
    return (c >= '!' && c <= '~') || (c >= 0xA1 && c <= 0xAC) || (c >= 0xAE && c <= 0xFF);
}

uint32_t rung_byte_level_char(uint8_t byte)
{
    if (stands_for_itself(byte)) {
        return byte;
    }
    uint32_t before = 0;
    for (uint32_t b = 0; b < byte; b++) {
        before += !stands_for_itself(b);
    }
    return FIRST_STAND_IN + before;
}

/* The byte that U+0100 + i stands for: controls and the blank, then DEL to NBSP, then the soft hyphen. */
static uint8_t byte_of_stand_in(uint32_t i)
{
    return (uint8_t)(i <= ' ' ? i : i < LAST_STAND_IN - FIRST_STAND_IN ? 0x7F + (i - ' ' - 1) : 0xAD);
}

bool rung_byte_level_decode(const char *text, size_t bytes, char *out, size_t *written)
{
    size_t count = 0;
    for (size_t at = 0; at < bytes;) {
        uint32_t c = rung_utf8_next(text, bytes, &at);
        if (stands_for_itself(c)) {
            out[count++] = (char)(uint8_t)c;
        } else if (c >= FIRST_STAND_IN && c <= LAST_STAND_IN) {
            out[count++] = (char)byte_of_stand_in(c - FIRST_STAND_IN);
        } else {
            return false;
        }
    }
    *written = count;
    return true;
}

static inline char_kind kind_of_ascii(uint8_t c)
{
    if ((uint8_t)((c | 0x20) - 'a') < 26) {
        return KIND_LETTER;
    }
    if (c == ' ' || (uint8_t)(c - '\t') < 5) {
        return KIND_SPACE;
    }
    return (uint8_t)(c - '0') < 10 ? KIND_NUMBER : KIND_OTHER;
}

/* The kind of the character at *at, which moves behind it. */
static inline char_kind next_kind(const char *text, size_t end, size_t *at)
{
    uint8_t byte = (uint8_t)text[*at];
    if (byte < 0x80) {
        *at += 1;
        return kind_of_ascii(byte);
    }
    rung_unicode_record record = rung_unicode_get(rung_utf8_next(text, end, at));
    if (record.classes & RUNG_UNICODE_LETTER) {
        return KIND_LETTER;
    }
    if (record.classes & RUNG_UNICODE_NUMBER) {
        return KIND_NUMBER;
    }
    return record.flags & RUNG_UNICODE_SPACE ? KIND_SPACE : KIND_OTHER;
}

/* Bytes of the contraction at text[at], an apostrophe; 0 when it is none. */
static size_t contraction_bytes(const char *text, size_t at, size_t end)
{
    char first = end - at > 1 ? text[at + 1] : '\0';
    char second = end - at > 2 ? text[at + 2] : '\0';
    if (first == 's' || first == 't' || first == 'm' || first == 'd') {
        return 2;
    }
    if ((first == 'r' || first == 'v') && second == 'e') {
        return 3;
    }
    return first == 'l' && second == 'l' ? 3 : 0;
}

/* White space from `at` on, of which text[at..after) is the first character: all of it at the end of the text, else all but its last
 * character, which belongs to what follows or is a piece by itself. */
static size_t space_end(const char *text, size_t after, size_t end)
{
    size_t last = after; /* where the run's last character so far begins, `after` while it is alone */
    size_t at = after;
    while (at < end) {
        size_t next = at;
        if (next_kind(text, end, &next) != KIND_SPACE) {
            return last;
        }
        last = at;
        at = next;
    }
    return end;
}

size_t rung_byte_level_piece_end(const char *text, size_t at, size_t end)
{
    if (text[at] == '\'') {
        size_t bytes = contraction_bytes(text, at, end);
        if (bytes > 0) {
            return at + bytes;
        }
    }
    size_t next = at;
    char_kind kind = next_kind(text, end, &next);
    if (kind == KIND_SPACE) {
        size_t second = next;
        if (text[at] != ' ' || next == end || (kind = next_kind(text, end, &second)) == KIND_SPACE) {
            return space_end(text, next, end);
        }
        next = second;
    }
    while (next < end) {
        size_t after = next;
        if (next_kind(text, end, &after) != kind) {
            break;
        }
        next = after;
    }
    return next;
}
