/* status.h: how a failure travels. Used by everything; knows nothing. */
#ifndef RUNG_BASE_STATUS_H
#define RUNG_BASE_STATUS_H

#include "rung.h"

/* Fills error (which may be NULL) with a printf-style message and returns status, so that a failing function
 * can end with `return rung_fail(error, RUNG_INVALID, "...", ...)`. Messages longer than the buffer are cut. */
rung_status rung_fail(rung_error *error, rung_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message that error already holds; returns error->code. error may not be NULL. */
rung_status rung_fail_in(rung_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The failure of an allocation of `bytes` bytes for `what`. */
rung_status rung_fail_memory(rung_error *error, const char *what, size_t bytes);

/* A failure is never RUNG_OK. Compilers and analysers that know it see that a caller which goes on has its outputs. */
static inline rung_status rung_not_ok(rung_status status)
{
    if (status == RUNG_OK) {
        __builtin_unreachable();
    }
    return status;
}
#define rung_fail(...) rung_not_ok(rung_fail(__VA_ARGS__))
#define rung_fail_in(...) rung_not_ok(rung_fail_in(__VA_ARGS__))
#define rung_fail_memory(...) rung_not_ok(rung_fail_memory(__VA_ARGS__))

#endif
