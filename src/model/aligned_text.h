/* aligned_text.h: a text that a normaliser wrote, with the place in the original text that each of its bytes came from. Used by the
 * splitters and normalisers; knows neither. */
#ifndef RUNG_MODEL_ALIGNED_TEXT_H
#define RUNG_MODEL_ALIGNED_TEXT_H

#include "base/status.h"

/* Zero-initialise; set bytes to 0 to write anew; release with rung_aligned_text_deinit. */
typedef struct rung_aligned_text {
    char *text;
    uint32_t *begin, *end; /* [bytes]: byte i came from [begin[i], end[i]) of the original */
    size_t bytes;
    size_t text_capacity, begin_capacity, end_capacity;
} rung_aligned_text;

/* Makes room for `needed` bytes in all. RUNG_NO_MEMORY. */
rung_status rung_aligned_text_reserve(rung_aligned_text *aligned, size_t needed, rung_error *error) RUNG_WARN_UNUSED;

/* Adds text[0..bytes), all of which came from [begin, end). RUNG_NO_MEMORY. */
rung_status rung_aligned_text_add(rung_aligned_text *aligned, const char *text, size_t bytes, uint32_t begin,
                                  uint32_t end, rung_error *error) RUNG_WARN_UNUSED;

/* Adds one code point that came from [begin, end). RUNG_NO_MEMORY. */
rung_status rung_aligned_text_put(rung_aligned_text *aligned, uint32_t code_point, uint32_t begin, uint32_t end,
                                  rung_error *error) RUNG_WARN_UNUSED;

/* Adds bytes [begin, end) of another aligned text with where they came from. RUNG_NO_MEMORY. */
rung_status rung_aligned_text_copy(rung_aligned_text *aligned, const rung_aligned_text *from, size_t begin, size_t end,
                                   rung_error *error) RUNG_WARN_UNUSED;
void rung_aligned_text_deinit(rung_aligned_text *aligned);

#endif
