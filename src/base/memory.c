/* memory.c: allocations. See memory.h. */
#include "base/memory.h"

#include "base/checked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *rung_alloc(size_t count, size_t size, const char *what, rung_error *error)
{
    size_t bytes;
    if (!rung_mul_size(count, size, &bytes)) {
        rung_fail(error, RUNG_LIMIT, "%s: %zu elements of %zu bytes do not fit in memory", what, count, size);
        return NULL;
    }
    void *block = calloc(bytes == 0 ? 1 : bytes, 1);
    if (block == NULL) {
        rung_fail_memory(error, what, bytes);
    }
    return block;
}

void *rung_alloc_aligned(size_t count, size_t size, const char *what, rung_error *error)
{
    size_t bytes;
    if (!rung_mul_size(count, size, &bytes) || bytes > SIZE_MAX - 3 * RUNG_ALIGNMENT) {
        rung_fail(error, RUNG_LIMIT, "%s: %zu elements of %zu bytes do not fit in memory", what, count, size);
        return NULL;
    }
    size_t padded = rung_round_up(bytes + RUNG_ALIGNMENT, RUNG_ALIGNMENT);
    void *block = aligned_alloc(RUNG_ALIGNMENT, padded);
    if (block == NULL) {
        rung_fail_memory(error, what, padded);
        return NULL;
    }
    memset(block, 0, padded);
    return block;
}

rung_status rung_grow(void **items, size_t *capacity, size_t needed, size_t size, const char *what, rung_error *error)
{
    if (needed <= *capacity) {
        return RUNG_OK;
    }
    size_t wanted = *capacity < 8 ? 8 : *capacity;
    while (wanted < needed) {
        if (!rung_mul_size(wanted, 2, &wanted)) {
            wanted = needed;
        }
    }
    size_t bytes;
    if (!rung_mul_size(wanted, size, &bytes)) {
        return rung_fail(error, RUNG_LIMIT, "%s: %zu elements of %zu bytes do not fit in memory", what, wanted, size);
    }
    void *grown = realloc(*items, bytes);
    if (grown == NULL) {
        return rung_fail_memory(error, what, bytes);
    }
    *items = grown;
    *capacity = wanted;
    return RUNG_OK;
}

char *rung_copy_text(const char *text, size_t bytes, const char *what, rung_error *error)
{
    size_t size;
    if (!rung_add_size(bytes, 1, &size)) {
        rung_fail(error, RUNG_LIMIT, "%s: %zu bytes of text do not fit in memory", what, bytes);
        return NULL;
    }
    char *copy = rung_alloc(size, 1, what, error);
    if (copy != NULL && bytes > 0) {
        memcpy(copy, text, bytes);
    }
    return copy;
}

size_t rung_resident_bytes(void)
{
    char text[128] = "";
    FILE *file = fopen("/proc/self/statm", "re"); /* pages: all of them, then those in memory */
    if (file == NULL) {
        return 0;
    }
    char *resident = fgets(text, sizeof text, file) != NULL ? strchr(text, ' ') : NULL;
    fclose(file);
    return resident != NULL ? (size_t)strtoul(resident, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE) : 0;
}
