/* base64.c: base64 of RFC 4648, section 4. See base64.h. */
#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void rung_base64_encode(rung_buffer *out, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    while (count > 0) {
        size_t group = count < 3 ? count : 3;
        uint32_t bits = 0;
        for (size_t i = 0; i < group; i++) {
            bits |= (uint32_t)at[i] << (16 - 8 * i);
        }
        char text[4] = {'=', '=', '=', '='};
        for (size_t i = 0; i <= group; i++) {
            text[i] = digits[bits >> (18 - 6 * i) & 63];
        }
        rung_buffer_append(out, text, 4);
        at += group;
        count -= group;
    }
}

size_t rung_base64_max_bytes(size_t length)
{
    return length / 4 * 3;
}

/* 0 .. 63, or -1. The alphabet has no order of its own that a comparison could use in one step. */
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The characters before the padding; every one of them is checked. */
static rung_status check(const char *text, size_t length, size_t *significant, rung_error *error)
{
    if (length % 4 != 0) {
        return rung_fail(error, RUNG_FORMAT, "not base64: %zu characters, no multiple of 4", length);
    }
    size_t used = length;
    while (used > 0 && length - used < 2 && text[used - 1] == '=') {
        used--;
    }
    for (size_t i = 0; i < used; i++) {
        if (value_of(text[i]) < 0) {
            return rung_fail(error, RUNG_FORMAT, "not base64: byte 0x%02x at offset %zu", (unsigned char)text[i], i);
        }
    }
    int unused = used == length ? 0 : length - used == 1 ? 3 : 15; /* bits of the last character that no byte takes */
    if (used > 0 && (value_of(text[used - 1]) & unused) != 0) {
        return rung_fail(error, RUNG_FORMAT, "not base64: the last character '%c' has bits that no byte takes",
                         text[used - 1]);
    }
    *significant = used;
    return RUNG_OK;
}

rung_status rung_base64_decode(const char *text, size_t length, void *out, size_t *count, rung_error *error)
{
    size_t used = 0;
    rung_status status = check(text, length, &used, error);
    if (status != RUNG_OK) {
        return status;
    }
    uint8_t *to = out;
    uint32_t bits = 0;
    unsigned have = 0;
    size_t made = 0;
    for (size_t i = 0; i < used; i++) {
        bits = bits << 6 | (uint32_t)value_of(text[i]);
        have += 6;
        if (have >= 8) {
            have -= 8;
            to[made++] = (uint8_t)(bits >> have);
        }
    }
    *count = made;
    return RUNG_OK;
}
