/* answer_text.h: an answer as a line for people, and what stands in place of one. */
#ifndef RUNG_CLI_ANSWER_TEXT_H
#define RUNG_CLI_ANSWER_TEXT_H

#include "base/buffer.h"
#include "run/cascade.h"

/* {"line":…,"error":…} with a newline, in the place of an answer. */
void cli_error_json(rung_buffer *out, uint64_t line, const char *message);

/* Label and score (of several labels those that hold), who answered, time, and the start of the text. */
void cli_answer_line(rung_buffer *out, const rung_cascade *cascade, const rung_answer *answer, const char *text,
                     size_t text_bytes);

/* The first characters of a text on one line, cut between characters; "…" follows when something was cut. */
void cli_text_start(rung_buffer *out, const char *text, size_t bytes, size_t max_bytes);

#endif
