/* table.h: a table of a report, written as GitHub markdown for people and as CSV (RFC 4180) for programs. Pure; used by
 * what writes reports. Knows nothing of what stands in it.
 *
 * Cells are appended row by row, from left to right. Like rung_buffer, a failed append sets `failed` and later ones do
 * nothing, so that a caller checks once, when it writes the table out.
 *
 * Markdown shows numbers short, as their column's format says, and "–" for a missing cell. CSV has them with all
 * digits, lines that end in CR LF, empty missing cells, and for a column of intervals three columns: the value, "NAME
 * low" and "NAME high". */
#ifndef RUNG_EVAL_TABLE_H
#define RUNG_EVAL_TABLE_H

#include "base/buffer.h"
#include "eval/interval.h"

typedef enum rung_column_kind {
    RUNG_COLUMN_TEXT,
    RUNG_COLUMN_NUMBER,  /* 12.3 */
    RUNG_COLUMN_SHARE,   /* 0 .. 1 without the 0 before the point: .934, 1.000 */
    RUNG_COLUMN_PERCENT, /* a share times 100: 93.4 %; markdown only, CSV has the share */
} rung_column_kind;

typedef struct rung_column {
    const char *name; /* lent, UTF-8 */
    const char *unit; /* lent; written "NAME (UNIT)"; NULL: none */
    rung_column_kind kind;
    int decimals;  /* that markdown shows, 0 .. 9 */
    bool interval; /* cells may be intervals: .934 [.921, .945] */
} rung_column;

typedef struct rung_cell rung_cell;

typedef struct rung_table {
    const rung_column *columns; /* lent */
    size_t num_columns;
    rung_cell *cells; /* row by row */
    size_t num_cells;
    size_t capacity;
    rung_buffer texts;
    bool failed;
} rung_table;

/* columns [num_columns], num_columns >= 1, must live as long as the table. Release with rung_table_deinit. */
void rung_table_init(rung_table *table, const rung_column *columns, size_t num_columns);
void rung_table_deinit(rung_table *table);

/* The next cell. Texts are copied; UTF-8, NULL is a missing cell. A number or interval whose value is NaN is a missing
 * cell; only columns that are not of texts take numbers, and only columns of intervals take intervals. A text may stand
 * anywhere ("not run"). An infinite number is written "inf". */
void rung_table_text(rung_table *table, const char *text);
void rung_table_number(rung_table *table, double value);
void rung_table_interval(rung_table *table, rung_interval interval);
void rung_table_missing(rung_table *table);

/* Appends the table to out. The last row must be complete. Columns are padded to equal width, numbers stand at the
 * right. */
rung_status rung_table_markdown(const rung_table *table, rung_buffer *out, rung_error *error) RUNG_WARN_UNUSED;
rung_status rung_table_csv(const rung_table *table, rung_buffer *out, rung_error *error) RUNG_WARN_UNUSED;

#endif
