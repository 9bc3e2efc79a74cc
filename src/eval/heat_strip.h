/* heat_strip.h: a text as boxes, one a word, the darker the more attention the word got (Eq 9), words that were not
 * sent up struck through: Fig. 6 of the paper for a real review. Written as SVG without any other program. Called by
 * what writes reports; knows no models. */
#ifndef RUNG_EVAL_HEAT_STRIP_H
#define RUNG_EVAL_HEAT_STRIP_H

#include "base/buffer.h"

/* Bytes that are not UTF-8 are shown as U+FFFD, and so is what XML does not allow. */
typedef struct rung_heat_word {
    const char *text; /* lent, need not end with a NUL */
    size_t text_bytes;
    double importance; /* >= 0; NaN: unknown, the model did not read it */
    bool struck;
} rung_heat_word;

typedef struct rung_heat_strip {
    const char *title;
    const char *note;            /* a second line; NULL: none */
    const char *struck_legend;   /* what a struck word means, e.g. "not sent to the next level" */
    const rung_heat_word *words; /* [num_words], in the order of the text */
    size_t num_words;
} rung_heat_strip;

/* Appends the SVG, 800 pixels wide and as high as it must be. The shade grows evenly from 0 to the importance that 95 %
 * of the words do not exceed, and stays there: a few words often get most of the attention. The legend states that end.
 * RUNG_INVALID names a word whose importance is negative or infinite. */
rung_status rung_heat_strip_svg(const rung_heat_strip *strip, rung_buffer *out, rung_error *error) RUNG_WARN_UNUSED;

/* The same into a file. */
rung_status rung_heat_strip_write(const rung_heat_strip *strip, const char *path, rung_error *error) RUNG_WARN_UNUSED;

#endif
