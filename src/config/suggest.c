/* suggest.c: nearest name, and user text made fit for a message. See suggest.h. */
#include "config/suggest.h"

#include "base/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define COMPARED_BYTES 64
#define SHOWN_BYTES 48

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t rung_edit_distance(const char *a, const char *b)
{
    size_t rows = strnlen(a, COMPARED_BYTES);
    size_t columns = strnlen(b, COMPARED_BYTES);
    size_t lines[3][COMPARED_BYTES + 1];
    size_t *before = lines[0];
    size_t *above = lines[1];
    size_t *here = lines[2];
    for (size_t j = 0; j <= columns; j++) {
        above[j] = j;
        before[j] = 0;
    }
    for (size_t i = 1; i <= rows; i++) {
        here[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            here[j] = least(replaced, least(above[j], here[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                here[j] = least(here[j], before[j - 2] + 1);
            }
        }
        size_t *oldest = before;
        before = above;
        above = here;
        here = oldest;
    }
    return above[columns];
}

void rung_suggest(rung_suggestion *suggestion, const char *candidate)
{
    size_t length = strnlen(suggestion->name, COMPARED_BYTES);
    size_t limit = length / 3 < 1 ? 1 : least(length / 3, 3);
    size_t distance = rung_edit_distance(suggestion->name, candidate);
    if (distance <= limit && (suggestion->best == NULL || distance < suggestion->distance)) {
        suggestion->best = candidate;
        suggestion->distance = distance;
    }
}

const char *rung_suggestion_hint(const rung_suggestion *suggestion, char hint[RUNG_HINT_BYTES])
{
    hint[0] = '\0';
    if (suggestion->best != NULL) {
        snprintf(hint, RUNG_HINT_BYTES, "; did you mean '%.96s'?", suggestion->best);
    }
    return hint;
}

const char *rung_hint_of_choices(const char *name, const char *choices, char hint[RUNG_HINT_BYTES])
{
    char best[COMPARED_BYTES];
    size_t best_distance = SIZE_MAX;
    hint[0] = '\0';
    for (const char *at = choices; *at != '\0';) {
        size_t length = strcspn(at, "|");
        char choice[COMPARED_BYTES];
        if (length < sizeof choice) {
            memcpy(choice, at, length);
            choice[length] = '\0';
            rung_suggestion one = {.name = name};
            rung_suggest(&one, choice);
            if (one.best != NULL && one.distance < best_distance) {
                best_distance = one.distance;
                memcpy(best, choice, length + 1);
            }
        }
        at += length + (at[length] == '|' ? 1 : 0);
    }
    if (best_distance != SIZE_MAX) {
        snprintf(hint, RUNG_HINT_BYTES, "; did you mean '%s'?", best);
    }
    return hint;
}

const char *rung_shorten(const char *text, size_t bytes, char quoted[RUNG_QUOTED_BYTES])
{
    size_t shown = least(bytes, SHOWN_BYTES);
    size_t bad = 0;
    /* A cut inside a character leaves an invalid tail, which is dropped rather than shown as '?'. */
    if (shown < bytes) {
        size_t back = shown;
        while (back > 0 && shown - back < 4 && ((unsigned char)text[back] & 0xc0) == 0x80) {
            back--;
        }
        shown = back;
    }
    bool valid = rung_utf8_valid(text, shown, &bad);
    for (size_t i = 0; i < shown; i++) {
        unsigned char byte = (unsigned char)text[i];
        quoted[i] = byte < 0x20 || byte == 0x7f || (!valid && byte >= 0x80) ? '?' : text[i];
    }
    memcpy(quoted + shown, shown < bytes ? "..." : "", shown < bytes ? 4 : 1);
    return quoted;
}
