/* utf8.h: strict UTF-8 (Unicode 15, table 3-7: no surrogates, no overlong forms, at most U+10FFFF). */
#ifndef RUNG_BASE_UTF8_H
#define RUNG_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True when text[0..size) is valid; otherwise *bad_offset is the first byte that is not part of a valid sequence. */
bool rung_utf8_valid(const char *text, size_t size, size_t *bad_offset);

/* Decodes the code point at text[*offset] of valid UTF-8 and moves *offset behind it; *offset < size. */
uint32_t rung_utf8_next(const char *text, size_t size, size_t *offset);

/* Writes 1..4 bytes, returns how many. code_point must be a scalar value. */
size_t rung_utf8_put(uint32_t code_point, char out[4]);

#endif
