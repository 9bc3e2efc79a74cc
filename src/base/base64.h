/* base64.h: bytes as text (RFC 4648, section 4, with padding). Token ids between levels and arrays in the calibration file travel in it. */
#ifndef RUNG_BASE_BASE64_H
#define RUNG_BASE_BASE64_H

#include "base/buffer.h"

/* Appends the text of bytes[0..count). Several calls make one text when every count but the last is a multiple of 3. */
void rung_base64_encode(rung_buffer *out, const void *bytes, size_t count);

/* The most bytes that `length` characters can hold. */
size_t rung_base64_max_bytes(size_t length);

/* Strict: no white space, padding where it belongs, unused bits 0, so that each sequence of bytes has one text. out has room for
 * rung_base64_max_bytes(length). RUNG_FORMAT says where the text is wrong; *count and out are untouched then. */
rung_status rung_base64_decode(const char *text, size_t length, void *out, size_t *count,
                               rung_error *error) RUNG_WARN_UNUSED;

#endif
