/* jsonl.h: inputs, one a line: JSON objects {"id","text"[,"text_pair"][,"label"]} or plain text, from a file (also .zst), standard input
 * or memory. Called by src/cli, src/fit and src/net. A bad line is an error of that line only: the reader stays in step.
 * Knows nothing of models: what a label means is the caller's business. */
#ifndef RUNG_CONFIG_JSONL_H
#define RUNG_CONFIG_JSONL_H

#include "base/status.h"

#define RUNG_LINE_DEFAULT_MAX_BYTES ((size_t)8 << 20)
#define RUNG_LINE_MAX_ID_BYTES 1024

/* One input. Texts are valid UTF-8 of at least one character that is no ASCII white space, NUL-terminated, and a text may hold NULs. Zero-initialise;
 * release with rung_line_deinit. */
typedef struct rung_line {
    char *id; /* the position when the line has none; an integer's decimal text */
    size_t id_bytes;
    char *text;
    size_t text_bytes;
    char *text_pair; /* NULL: none */
    size_t text_pair_bytes;
    bool has_label;
    char *label;          /* the label's name; NULL when it was given as an index */
    uint64_t label_index; /* when label is NULL */
    void *memory;         /* what the texts lie in */
} rung_line;

void rung_line_deinit(rung_line *line);

/* Parses one JSON line. `position` is the 0-based index among the inputs and becomes the id of a line without one. Fills *line (its
 * old contents are released) only on success. Errors name the field and what was found, not the line's number (the caller
 * adds it): RUNG_FORMAT (no JSON, bad UTF-8), RUNG_INVALID (unknown or missing field, wrong type, empty text),
 * RUNG_UNSUPPORTED (target), RUNG_NO_MEMORY. */
rung_status rung_line_parse(const char *json, size_t bytes, uint64_t position, rung_line *line,
                            rung_error *error) RUNG_WARN_UNUSED;

/* The same for an object that was parsed already (jansson, keys not twice). place: "" for a line; otherwise where it lies in a body, such as
 * "inputs[3]", which stands before the names of fields in messages, and then a string will do, which is the text. known: the fields
 * that it may have, "id|text|text_pair". */
struct json_t;
rung_status rung_line_from_json(const struct json_t *value, const char *place, const char *known, uint64_t position,
                                rung_line *line, rung_error *error) RUNG_WARN_UNUSED;

/* The same for a line that is the text itself (a trailing carriage return is dropped), and for an argument. */
rung_status rung_line_from_text(const char *text, size_t bytes, uint64_t position, rung_line *line,
                                rung_error *error) RUNG_WARN_UNUSED;

/* A text from elsewhere, and how messages call it ("inputs[3]"). */
typedef struct rung_placed_text {
    const char *place;
    const char *text;
    size_t bytes;
} rung_placed_text;

/* The same for a text, and a pair unless that is NULL, that came by themselves; the id is the position. RUNG_NOT_FOUND: a text is empty; RUNG_FORMAT: it is
 * no UTF-8. */
rung_status rung_line_from_texts(const rung_placed_text *text, const rung_placed_text *pair, uint64_t position,
                                 rung_line *line, rung_error *error) RUNG_WARN_UNUSED;

/* Splits a stream into lines. One owner. */
typedef struct rung_line_reader rung_line_reader;

/* A file, or standard input for "-". zstd data is recognised by its first bytes and decompressed as it is read; a path that ends in .zst and holds
 * something else is refused. Lines longer than max_line_bytes (0: RUNG_LINE_DEFAULT_MAX_BYTES) are refused one by one. */
rung_status rung_line_reader_open(const char *path, size_t max_line_bytes, rung_line_reader **reader,
                                  rung_error *error) RUNG_WARN_UNUSED;

/* Reads data[0..size), which outlives the reader. `name` is used in messages. */
rung_status rung_line_reader_open_memory(const void *data, size_t size, const char *name, size_t max_line_bytes,
                                         rung_line_reader **reader, rung_error *error) RUNG_WARN_UNUSED;
void rung_line_reader_close(rung_line_reader *reader);

/* The next line without its newline: *line is valid until the next call and NULL at the end. RUNG_LIMIT: this line is too long and was
 * skipped, go on with the next one. Any other failure (RUNG_IO, RUNG_FORMAT: broken zstd, RUNG_NO_MEMORY) is of the
 * stream: every later call fails the same way. */
rung_status rung_line_reader_next(rung_line_reader *reader, const char **line, size_t *bytes,
                                  rung_error *error) RUNG_WARN_UNUSED;

/* Of the line that the last call returned or refused, from 1; 0 before the first call. */
uint64_t rung_line_reader_number(const rung_line_reader *reader);
/* "-" reads as "stdin". Lives as long as the reader. */
const char *rung_line_reader_name(const rung_line_reader *reader);

#endif
