/* answer_text.c: an answer as text. See answer_text.h. */
#include "cli/answer_text.h"

#include "run/message.h"

#include <inttypes.h>
#include <string.h>

void cli_error_json(rung_buffer *out, uint64_t line, const char *message)
{
    rung_buffer_format(out, "{\"line\":%" PRIu64 ",\"error\":", line);
    rung_message_string(out, message, strlen(message));
    rung_buffer_text(out, "}\n");
}

void cli_text_start(rung_buffer *out, const char *text, size_t bytes, size_t max_bytes)
{
    size_t end = bytes < max_bytes ? bytes : max_bytes;
    while (end < bytes && end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80) {
        end--;
    }
    for (size_t i = 0; i < end; i++) {
        char c = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' ' : text[i];
        rung_buffer_append(out, &c, 1);
    }
    rung_buffer_text(out, end < bytes ? "…" : "");
}

/* "funny 0.912, loud 0.604", or the most probable label where none holds. */
static void append_labels(rung_buffer *out, const rung_cascade *cascade, const rung_answer *answer)
{
    size_t held = 0;
    for (size_t c = 0; rung_cascade_is_multi_label(cascade) && c < rung_cascade_num_labels(cascade); c++) {
        if (answer->probabilities[c] >= 0.5) {
            rung_buffer_format(out, "%s%s %.3f", held > 0 ? ", " : "", rung_cascade_label(cascade, c),
                               answer->probabilities[c]);
            held++;
        }
    }
    if (held == 0) {
        rung_buffer_format(out, "%s%s %.3f", rung_cascade_is_multi_label(cascade) ? "none, at most " : "",
                           answer->label, answer->score);
    }
}

void cli_answer_line(rung_buffer *out, const rung_cascade *cascade, const rung_answer *answer, const char *text,
                     size_t text_bytes)
{
    const rung_level_answer *last = &answer->levels[answer->level - 1];
    append_labels(out, cascade, answer);
    rung_buffer_format(out, "  %s, layer %" PRIu32 " of %" PRIu32 ", %.1f ms%s  ", last->name, last->exit_layer,
                       last->layers, answer->latency_ms, answer->degraded ? ", degraded" : "");
    cli_text_start(out, text, text_bytes, 60);
    rung_buffer_text(out, "\n");
}
