/* answer_json.c: an answer as JSON. See answer_json.h. */
#include "run/answer_json.h"

#include "run/message.h"

#include <inttypes.h>
#include <string.h>

static void append_string(rung_buffer *out, const char *text)
{
    rung_message_string(out, text, strlen(text));
}

static void append_level(rung_buffer *out, const rung_level_answer *level, size_t num_labels)
{
    rung_buffer_format(out, "{\"level\":%" PRIu32 ",\"model\":", level->level);
    append_string(out, level->name);
    rung_buffer_format(out, ",\"exit_layer\":%" PRIu32 ",\"layers\":%" PRIu32, level->exit_layer, level->layers);
    if (level->probabilities != NULL) {
        rung_buffer_format(out, ",\"confidence\":%.9g,\"probabilities\":[", level->confidence);
        for (size_t c = 0; c < num_labels; c++) {
            rung_buffer_format(out, c == 0 ? "%.9g" : ",%.9g", level->probabilities[c]);
        }
        rung_buffer_format(out, "],\"weight\":%.9g", level->weight);
    }
    rung_buffer_format(out,
                       ",\"tokens\":%zu,\"truncated_tokens\":%zu,\"words\":%zu,\"kept_words\":%zu,\"bytes_up\":%zu,"
                       "\"bytes_down\":%zu,\"compute_ms\":%.3f,\"queue_ms\":%.3f,\"link_ms\":%.3f}",
                       level->tokens, level->truncated_tokens, level->words, level->kept_words, level->bytes_up,
                       level->bytes_down, level->compute_ms, level->queue_ms, level->link_ms);
}

/* All that hold, where there can be several. */
static void append_labels(rung_buffer *out, const rung_cascade *cascade, const rung_answer *answer)
{
    const char *separator = "";
    rung_buffer_text(out, ",\"labels\":[");
    for (size_t c = 0; c < rung_cascade_num_labels(cascade); c++) {
        if (answer->probabilities[c] >= 0.5) {
            rung_buffer_text(out, separator);
            append_string(out, rung_cascade_label(cascade, c));
            separator = ",";
        }
    }
    rung_buffer_text(out, "]");
}

void rung_answer_json(rung_buffer *out, const rung_cascade *cascade, const char *id, size_t id_bytes,
                      const rung_answer *answer)
{
    size_t num_labels = rung_cascade_num_labels(cascade);
    rung_buffer_text(out, "{\"id\":");
    rung_message_string(out, id, id_bytes);
    rung_buffer_text(out, ",\"label\":");
    append_string(out, answer->label);
    if (rung_cascade_is_multi_label(cascade)) {
        append_labels(out, cascade, answer);
    }
    rung_buffer_format(out, ",\"score\":%.9g,\"probabilities\":{", answer->score);
    for (size_t c = 0; c < num_labels; c++) {
        rung_buffer_text(out, c == 0 ? "" : ",");
        append_string(out, rung_cascade_label(cascade, c));
        rung_buffer_format(out, ":%.9g", answer->probabilities[c]);
    }
    rung_buffer_format(out, "},\"level\":%" PRIu32 ",\"degraded\":%s", answer->level,
                       answer->degraded ? "true" : "false");
    if (answer->degraded) {
        rung_buffer_text(out, ",\"degraded_reason\":");
        append_string(out, answer->degraded_reason);
    }
    rung_buffer_text(out, ",\"levels\":[");
    for (size_t l = 0; l < answer->num_levels; l++) {
        rung_buffer_text(out, l == 0 ? "" : ",");
        append_level(out, &answer->levels[l], num_labels);
    }
    rung_buffer_format(out, "],\"latency_ms\":%.3f}", answer->latency_ms);
}
