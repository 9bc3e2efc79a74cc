/* trace_file.c: CSV into a trace. See trace_file.h. */
#include "config/trace_file.h"

#include "base/file.h"
#include "base/memory.h"
#include "config/number.h"
#include "config/suggest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_COLUMNS 16

/* What a column of the file holds: a column of the trace, or one of these. */
enum { COLUMN_TIME = RUNG_TRACE_COLUMNS, COLUMN_MODE, NUM_KINDS };

static const char *kind_name(unsigned kind)
{
    return kind == COLUMN_TIME ? "t_s" : kind == COLUMN_MODE ? "mode" : rung_trace_column_name((rung_trace_column)kind);
}

/* One file while it is read. */
typedef struct reader {
    const char *name;
    char *next; /* the rest of the text, which is cut into cells in place */
    char *end;
    size_t line; /* of what was read last, from 1 */
    size_t num_columns;
    unsigned kind[MAX_COLUMNS];
    rung_link_trace *trace;
    rung_error *error;
} reader;

/* The next line that holds something, without its end; NULL: none. */
static char *next_line(reader *r)
{
    while (r->next < r->end) {
        char *line = r->next;
        char *newline = memchr(line, '\n', (size_t)(r->end - line));
        char *stop = newline != NULL ? newline : r->end;
        r->next = newline != NULL ? newline + 1 : r->end;
        r->line++;
        stop -= stop > line && stop[-1] == '\r' ? 1 : 0;
        *stop = '\0';
        if (line[0] != '#' && line[strspn(line, " \t")] != '\0') {
            return line;
        }
    }
    return NULL;
}

/* Cuts the cell at *at off, without the blanks around it; *at becomes the next one, NULL after the last. */
static char *next_cell(char **at)
{
    char *cell = *at + strspn(*at, " \t");
    size_t length = strcspn(cell, ",");
    *at = cell[length] == ',' ? cell + length + 1 : NULL;
    while (length > 0 && (cell[length - 1] == ' ' || cell[length - 1] == '\t')) {
        length--;
    }
    cell[length] = '\0';
    return cell;
}

static rung_status fail_column(const reader *r, const char *cell)
{
    char shown[RUNG_QUOTED_BYTES];
    char hint[RUNG_HINT_BYTES];
    rung_suggestion suggestion = {.name = cell};
    for (unsigned kind = 0; kind < NUM_KINDS; kind++) {
        rung_suggest(&suggestion, kind_name(kind));
    }
    return rung_fail(r->error, RUNG_INVALID,
                     "%.400s:%zu: '%s' is not a column; they are t_s, up_bps, down_bps, rtt_ms, loss and mode%s",
                     r->name, r->line, rung_shorten(cell, strlen(cell), shown),
                     rung_suggestion_hint(&suggestion, hint));
}

static rung_status read_header(reader *r, char *line)
{
    bool seen[NUM_KINDS] = {0};
    for (char *at = line; at != NULL;) {
        const char *cell = next_cell(&at);
        unsigned kind = 0;
        while (kind < NUM_KINDS && strcmp(kind_name(kind), cell) != 0) {
            kind++;
        }
        if (kind == NUM_KINDS) {
            return fail_column(r, cell);
        }
        if (seen[kind]) {
            return rung_fail(r->error, RUNG_INVALID, "%.400s:%zu: column %s stands there twice", r->name, r->line,
                             kind_name(kind));
        }
        seen[kind] = true;
        r->kind[r->num_columns++] = kind; /* no more than NUM_KINDS, as none comes twice */
    }
    if (!seen[COLUMN_TIME]) {
        return rung_fail(r->error, RUNG_INVALID, "%.400s:%zu: column t_s (seconds from the start) is missing", r->name,
                         r->line);
    }
    return RUNG_OK;
}

static rung_status read_cell(const reader *r, unsigned kind, const char *cell, double *number)
{
    char shown[RUNG_QUOTED_BYTES];
    if (cell[0] == '\0' && kind != COLUMN_TIME) {
        return RUNG_OK;
    }
    if (!rung_parse_number(cell, number)) {
        return rung_fail(r->error, RUNG_INVALID, "%.400s:%zu: %s: '%s' is not a number", r->name, r->line,
                         kind_name(kind), rung_shorten(cell, strlen(cell), shown));
    }
    return RUNG_OK;
}

static rung_status read_row(const reader *r, char *line)
{
    double number[NUM_KINDS];
    for (size_t i = 0; i < NUM_KINDS; i++) {
        number[i] = NAN;
    }
    size_t cells = 0;
    for (char *at = line; at != NULL; cells++) {
        const char *cell = next_cell(&at);
        unsigned kind = cells < r->num_columns ? r->kind[cells] : COLUMN_MODE;
        rung_status status = kind == COLUMN_MODE ? RUNG_OK : read_cell(r, kind, cell, &number[kind]);
        if (status != RUNG_OK) {
            return status;
        }
    }
    if (cells != r->num_columns) {
        return rung_fail(r->error, RUNG_INVALID, "%.400s:%zu: has %zu cell%s; the first line names %zu columns",
                         r->name, r->line, cells, cells == 1 ? "" : "s", r->num_columns);
    }
    rung_status status = rung_link_trace_add(r->trace, number[COLUMN_TIME], number, r->error);
    return status == RUNG_OK ? RUNG_OK : rung_fail_in(r->error, "%.400s:%zu", r->name, r->line);
}

static rung_status read_all(reader *r)
{
    char *line = next_line(r);
    if (line == NULL) {
        return rung_fail(r->error, RUNG_INVALID,
                         "%.400s:1: is empty; the first line names the columns, as in t_s,up_bps,down_bps,rtt_ms,loss",
                         r->name);
    }
    rung_status status = read_header(r, line);
    while (status == RUNG_OK && (line = next_line(r)) != NULL) {
        status = read_row(r, line);
    }
    if (status == RUNG_OK) {
        status = rung_link_trace_finish(r->trace, r->error);
        status = status == RUNG_OK ? RUNG_OK : rung_fail_in(r->error, "%.400s:%zu", r->name, r->line);
    }
    return status;
}

/* What comes after a NUL in its line would be lost in silence. */
static rung_status check_no_nul(const char *text, size_t bytes, const char *name, rung_error *error)
{
    const char *nul = memchr(text, '\0', bytes);
    size_t line = 1;
    for (const char *at = text; nul != NULL && at < nul; at++) {
        line += *at == '\n' ? 1 : 0;
    }
    return nul == NULL ? RUNG_OK
                       : rung_fail(error, RUNG_INVALID, "%.400s:%zu: holds a NUL byte, so it is no text", name, line);
}

/* text[bytes] is 0 and the text is the reader's to cut up. */
static rung_status parse(char *text, size_t bytes, const char *name, rung_link_trace **trace, rung_error *error)
{
    static const char mark[] = "\xEF\xBB\xBF"; /* of UTF-8, which spreadsheets write */
    size_t skipped = strncmp(text, mark, 3) == 0 ? 3 : 0;
    reader r = {.name = name, .next = text + skipped, .end = text + bytes, .error = error};
    rung_status status = check_no_nul(text, bytes, name, error);
    if (status == RUNG_OK) {
        status = rung_link_trace_new(&r.trace, error);
    }
    if (status == RUNG_OK) {
        status = read_all(&r);
    }
    if (status != RUNG_OK) {
        rung_link_trace_free(r.trace);
        return status;
    }
    *trace = r.trace;
    return RUNG_OK;
}

rung_status rung_trace_file_parse(const char *text, size_t bytes, const char *name, rung_link_trace **trace,
                                  rung_error *error)
{
    rung_error unused = {0};
    error = error != NULL ? error : &unused;
    if (bytes > RUNG_TRACE_FILE_MAX_BYTES) {
        return rung_fail(error, RUNG_LIMIT, "%.400s: has %zu bytes; the limit is %zu", name, bytes,
                         RUNG_TRACE_FILE_MAX_BYTES);
    }
    char *copy = rung_copy_text(text, bytes, "trace", error);
    rung_status status = copy == NULL ? RUNG_NO_MEMORY : parse(copy, bytes, name, trace, error);
    free(copy);
    return status;
}

rung_status rung_trace_file_load(const char *path, rung_link_trace **trace, rung_error *error)
{
    rung_error unused = {0};
    error = error != NULL ? error : &unused;
    char *text = NULL;
    size_t bytes = 0;
    rung_status status = rung_read_file(path, RUNG_TRACE_FILE_MAX_BYTES, &text, &bytes, error);
    if (status == RUNG_OK) {
        status = parse(text, bytes, path, trace, error);
    }
    free(text);
    return status;
}
