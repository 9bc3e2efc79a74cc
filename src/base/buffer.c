/* buffer.c: a growing byte buffer. See buffer.h. */
#include "base/buffer.h"

#include "base/checked.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIN_ROOM 128      /* that a formatted piece finds */
#define MIN_CAPACITY 1024 /* of the first allocation: a message */

/* Room for `more` bytes and a NUL. */
static bool reserve(rung_buffer *buffer, size_t more)
{
    size_t needed;
    void *data = buffer->data;
    if (buffer->capacity == 0 && more < MIN_CAPACITY) {
        more = MIN_CAPACITY;
    }
    if (buffer->failed || !rung_add_size(buffer->length, more, &needed) || !rung_add_size(needed, 1, &needed) ||
        rung_grow(&data, &buffer->capacity, needed, 1, "text buffer", NULL) != RUNG_OK) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    return true;
}

void rung_buffer_append(rung_buffer *buffer, const void *bytes, size_t count)
{
    if (!reserve(buffer, count)) {
        return;
    }
    if (count > 0) {
        memcpy(buffer->data + buffer->length, bytes, count);
    }
    buffer->length += count;
    buffer->data[buffer->length] = '\0';
}

void rung_buffer_text(rung_buffer *buffer, const char *text)
{
    rung_buffer_append(buffer, text, strlen(text));
}

void rung_buffer_format(rung_buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    /* Most pieces fit into what is there; formatting a number twice would cost more than all the rest. */
    size_t room = reserve(buffer, MIN_ROOM) ? buffer->capacity - buffer->length : 0;
    int length = room > 0 ? vsnprintf(buffer->data + buffer->length, room, format, args) : 0;
    va_end(args);
    if (length < 0) {
        buffer->failed = true;
    } else if ((size_t)length < room) {
        buffer->length += (size_t)length;
    } else if (reserve(buffer, (size_t)length)) {
        vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, again);
        buffer->length += (size_t)length;
    }
    if (buffer->failed && buffer->data != NULL) {
        buffer->data[buffer->length] = '\0';
    }
    va_end(again);
}

void rung_buffer_clear(rung_buffer *buffer)
{
    buffer->length = 0;
    buffer->failed = false;
    if (buffer->data != NULL) {
        buffer->data[0] = '\0';
    }
}

void rung_buffer_deinit(rung_buffer *buffer)
{
    free(buffer->data);
    *buffer = (rung_buffer){0};
}

rung_status rung_buffer_check(const rung_buffer *buffer, const char *what, rung_error *error)
{
    return buffer->failed ? rung_fail_memory(error, what, buffer->capacity) : RUNG_OK;
}
