/* status.c: error text. See status.h. */
#include "base/status.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *rung_status_name(rung_status status)
{
    switch (status) {
    case RUNG_OK:
        return "ok";
    case RUNG_INVALID:
        return "invalid";
    case RUNG_NOT_FOUND:
        return "not found";
    case RUNG_FORMAT:
        return "format";
    case RUNG_UNSUPPORTED:
        return "unsupported";
    case RUNG_MISMATCH:
        return "mismatch";
    case RUNG_LIMIT:
        return "limit";
    case RUNG_IO:
        return "io";
    case RUNG_NO_MEMORY:
        return "no memory";
    }
    return "unknown";
}

#define RUNG_STRING(x) #x
#define RUNG_VERSION_TEXT(a, b, c) RUNG_STRING(a) "." RUNG_STRING(b) "." RUNG_STRING(c)

const char *rung_version(void)
{
    return RUNG_VERSION_TEXT(RUNG_VERSION_MAJOR, RUNG_VERSION_MINOR, RUNG_VERSION_PATCH);
}

/* A message is one line whatever a file or a user put into it: control bytes become '?'. */
static void keep_one_line(char *message)
{
    size_t bad;
    while (!rung_utf8_valid(message, strlen(message), &bad)) { /* a character that was cut, a path of other bytes */
        message[bad] = '?';
    }
    for (char *c = message; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '?';
        }
    }
}

rung_status(rung_fail)(rung_error *error, rung_status status, const char *format, ...)
{
    if (error != NULL) {
        char message[sizeof error->message]; /* the arguments may point into error->message */
        va_list args;
        va_start(args, format);
        vsnprintf(message, sizeof message, format, args);
        va_end(args);
        keep_one_line(message);
        memcpy(error->message, message, sizeof message);
        error->code = status;
    }
    return status;
}

rung_status(rung_fail_in)(rung_error *error, const char *format, ...)
{
    char context[sizeof error->message];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    return rung_fail(error, error->code, "%.500s: %.500s", context, error->message);
}

rung_status(rung_fail_memory)(rung_error *error, const char *what, size_t bytes)
{
    return rung_fail(error, RUNG_NO_MEMORY, "out of memory: %s needs %zu bytes", what, bytes);
}
