/* checked.h: arithmetic on sizes that come from files, the network or users. Every product or sum of such a
 * number goes through here before it is used as a size or an offset. */
#ifndef RUNG_BASE_CHECKED_H
#define RUNG_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns false, and leaves *out untouched, when the exact result does not fit. */
static inline bool rung_mul_size(size_t a, size_t b, size_t *out)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) {
        return false;
    }
    *out = product;
    return true;
}

static inline bool rung_add_size(size_t a, size_t b, size_t *out)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) {
        return false;
    }
    *out = sum;
    return true;
}

/* The least multiple of `multiple` (a power of two) that is >= value; value must be <= SIZE_MAX - multiple. */
static inline size_t rung_round_up(size_t value, size_t multiple)
{
    return (value + multiple - 1) & ~(multiple - 1);
}

#endif
