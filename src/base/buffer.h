/* buffer.h: a growing byte buffer for text that is built piece by piece. */
#ifndef RUNG_BASE_BUFFER_H
#define RUNG_BASE_BUFFER_H

#include "base/status.h"

/* Zero-initialise. data is NUL-terminated once anything was appended; length excludes the NUL. A failed append
 * sets `failed` and later appends do nothing, so that a writer checks once at the end. */
typedef struct rung_buffer {
    char *data;
    size_t length;
    size_t capacity;
    bool failed;
} rung_buffer;

void rung_buffer_append(rung_buffer *buffer, const void *bytes, size_t count);
void rung_buffer_text(rung_buffer *buffer, const char *text);
void rung_buffer_format(rung_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void rung_buffer_clear(rung_buffer *buffer);
void rung_buffer_deinit(rung_buffer *buffer);

/* RUNG_NO_MEMORY when an append failed. */
rung_status rung_buffer_check(const rung_buffer *buffer, const char *what, rung_error *error) RUNG_WARN_UNUSED;

#endif
