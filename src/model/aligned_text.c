/* aligned_text.c: see aligned_text.h. */
#include "model/aligned_text.h"

#include "base/memory.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

rung_status rung_aligned_text_reserve(rung_aligned_text *aligned, size_t needed, rung_error *error)
{
    rung_status status =
        rung_grow((void **)&aligned->text, &aligned->text_capacity, needed, 1, "normalised text", error);
    if (status == RUNG_OK) {
        status = rung_grow((void **)&aligned->begin, &aligned->begin_capacity, needed, sizeof *aligned->begin,
                           "normalised text", error);
    }
    if (status == RUNG_OK) {
        status = rung_grow((void **)&aligned->end, &aligned->end_capacity, needed, sizeof *aligned->end,
                           "normalised text", error);
    }
    return status;
}

rung_status rung_aligned_text_add(rung_aligned_text *aligned, const char *text, size_t bytes, uint32_t begin,
                                  uint32_t end, rung_error *error)
{
    rung_status status = rung_aligned_text_reserve(aligned, aligned->bytes + bytes, error);
    if (status != RUNG_OK) {
        return status;
    }
    for (size_t i = 0; i < bytes; i++) {
        aligned->text[aligned->bytes] = text[i];
        aligned->begin[aligned->bytes] = begin;
        aligned->end[aligned->bytes] = end;
        aligned->bytes++;
    }
    return RUNG_OK;
}

rung_status rung_aligned_text_put(rung_aligned_text *aligned, uint32_t code_point, uint32_t begin, uint32_t end,
                                  rung_error *error)
{
    char text[4];
    return rung_aligned_text_add(aligned, text, rung_utf8_put(code_point, text), begin, end, error);
}

rung_status rung_aligned_text_copy(rung_aligned_text *aligned, const rung_aligned_text *from, size_t begin, size_t end,
                                   rung_error *error)
{
    size_t bytes = end - begin;
    rung_status status = rung_aligned_text_reserve(aligned, aligned->bytes + bytes, error);
    if (status == RUNG_OK && bytes > 0) {
        memcpy(aligned->text + aligned->bytes, from->text + begin, bytes);
        memcpy(aligned->begin + aligned->bytes, from->begin + begin, bytes * sizeof *from->begin);
        memcpy(aligned->end + aligned->bytes, from->end + begin, bytes * sizeof *from->end);
        aligned->bytes += bytes;
    }
    return status;
}

void rung_aligned_text_deinit(rung_aligned_text *aligned)
{
    free(aligned->text);
    free(aligned->begin);
    free(aligned->end);
    *aligned = (rung_aligned_text){0};
}
