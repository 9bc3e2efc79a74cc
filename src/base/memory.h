/* memory.h: allocations. Buffers of vectors start 64-byte aligned (a cache line and an AVX-512 register). */
#ifndef RUNG_BASE_MEMORY_H
#define RUNG_BASE_MEMORY_H

#include "base/status.h"

#define RUNG_ALIGNMENT 64

/* count * size zeroed bytes, or NULL with error filled ("what" names it in the message). count == 0 gives a
 * valid pointer. Release with free(). */
void *rung_alloc(size_t count, size_t size, const char *what, rung_error *error) RUNG_WARN_UNUSED;

/* As rung_alloc, 64-byte aligned and with 64 readable bytes after the end, so that a vector load of the last
 * element stays inside. Zeroed. Release with free(). */
void *rung_alloc_aligned(size_t count, size_t size, const char *what, rung_error *error) RUNG_WARN_UNUSED;

/* Grows *items (capacity *capacity elements of `size` bytes) to hold at least `needed`; doubles. On failure the
 * old buffer stays valid. */
rung_status rung_grow(void **items, size_t *capacity, size_t needed, size_t size, const char *what,
                      rung_error *error) RUNG_WARN_UNUSED;

/* A copy of text[0..bytes) with a NUL after it. */
char *rung_copy_text(const char *text, size_t bytes, const char *what, rung_error *error) RUNG_WARN_UNUSED;

/* Bytes of this process that lie in memory; 0 where the system does not say. */
size_t rung_resident_bytes(void);

#endif
