/* suggest.h: "did you mean": the nearest known name to one that is not known, and user text made fit for a message. Called by
 * the rest of src/config and by src/cli. Source: Damerau-Levenshtein distance, restricted form (optimal string alignment). */
#ifndef RUNG_CONFIG_SUGGEST_H
#define RUNG_CONFIG_SUGGEST_H

#include <stddef.h>

/* Edits (insert, delete, replace, swap of neighbours) between the first 64 bytes of two names. */
size_t rung_edit_distance(const char *a, const char *b);

/* Keeps the nearest of the names offered to it. Zero-initialise with the name that was not known. */
typedef struct rung_suggestion {
    const char *name;
    const char *best; /* NULL: none is near enough */
    size_t distance;
} rung_suggestion;

/* Near enough: at most a third of the name's length, at least 1 and at most 3 edits. The first of equals stays. */
void rung_suggest(rung_suggestion *suggestion, const char *candidate);

#define RUNG_HINT_BYTES 128

/* "; did you mean 'x'?" or "" into hint; returns hint. */
const char *rung_suggestion_hint(const rung_suggestion *suggestion, char hint[RUNG_HINT_BYTES]);

/* The same over the names of "a|b|c". */
const char *rung_hint_of_choices(const char *name, const char *choices, char hint[RUNG_HINT_BYTES]);

#define RUNG_QUOTED_BYTES 96

/* text[0..bytes) for a message: cut to a few dozen bytes at a character's border, with "..." when cut; control characters and
 * invalid bytes become '?'. Returns quoted. */
const char *rung_shorten(const char *text, size_t bytes, char quoted[RUNG_QUOTED_BYTES]);

#endif
