/* table.c: a table as GitHub markdown and as CSV. See table.h. */
#include "eval/table.h"

#include "base/memory.h"
#include "config/number.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MISSING "–"

typedef enum cell_kind {
    CELL_MISSING,
    CELL_TEXT,
    CELL_NUMBER,
    CELL_INTERVAL,
} cell_kind;

struct rung_cell {
    cell_kind kind;
    size_t text; /* offset into the table's texts */
    rung_interval number;
};

void rung_table_init(rung_table *table, const rung_column *columns, size_t num_columns)
{
    assert(num_columns >= 1);
    *table = (rung_table){.columns = columns, .num_columns = num_columns};
}

void rung_table_deinit(rung_table *table)
{
    free(table->cells);
    rung_buffer_deinit(&table->texts);
    *table = (rung_table){0};
}

static void append(rung_table *table, rung_cell cell)
{
    void *cells = table->cells;
    if (table->failed ||
        rung_grow(&cells, &table->capacity, table->num_cells + 1, sizeof cell, "a table", NULL) != RUNG_OK) {
        table->failed = true;
        return;
    }
    table->cells = cells;
    table->cells[table->num_cells++] = cell;
}

static const rung_column *next_column(const rung_table *table)
{
    return &table->columns[table->num_cells % table->num_columns];
}

void rung_table_missing(rung_table *table)
{
    append(table, (rung_cell){.kind = CELL_MISSING});
}

void rung_table_text(rung_table *table, const char *text)
{
    if (text == NULL) {
        rung_table_missing(table);
        return;
    }
    rung_cell cell = {.kind = CELL_TEXT, .text = table->texts.length};
    rung_buffer_append(&table->texts, text, strlen(text) + 1);
    table->failed |= table->texts.failed;
    append(table, cell);
}

void rung_table_number(rung_table *table, double value)
{
    assert(table->failed || next_column(table)->kind != RUNG_COLUMN_TEXT);
    append(table, (rung_cell){.kind = isnan(value) ? CELL_MISSING : CELL_NUMBER, .number = {.value = value}});
}

void rung_table_interval(rung_table *table, rung_interval interval)
{
    assert(table->failed || (next_column(table)->kind != RUNG_COLUMN_TEXT && next_column(table)->interval));
    append(table, (rung_cell){.kind = isnan(interval.value) ? CELL_MISSING : CELL_INTERVAL, .number = interval});
}

static rung_status check(const rung_table *table, rung_error *error)
{
    assert(table->failed || table->num_cells % table->num_columns == 0);
    return table->failed ? rung_fail_memory(error, "a table", table->num_cells * sizeof(rung_cell)) : RUNG_OK;
}

static void put_short_number(const rung_column *column, double value, rung_buffer *out)
{
    char digits[RUNG_NUMBER_BYTES];
    if (!isfinite(value)) {
        rung_buffer_text(out, isnan(value) ? MISSING : value < 0 ? "-inf" : "inf");
        return;
    }
    rung_print_decimals(column->kind == RUNG_COLUMN_PERCENT ? 100 * value : value, column->decimals, digits);
    bool negative = digits[0] == '-';
    const char *shown = digits + negative;
    if (column->kind == RUNG_COLUMN_SHARE && shown[0] == '0' && shown[1] == '.') {
        shown++;
    }
    rung_buffer_format(out, "%s%s%s", negative ? "-" : "", shown, column->kind == RUNG_COLUMN_PERCENT ? " %" : "");
}

/* What markdown would take for markup is escaped, and a line stays one. */
static void put_markdown_text(const char *text, rung_buffer *out)
{
    for (; *text != '\0'; text++) {
        if (strchr("\\|`*<", *text) != NULL) {
            rung_buffer_append(out, "\\", 1);
        }
        rung_buffer_append(out, *text == '\n' || *text == '\r' || *text == '\t' ? " " : text, 1);
    }
}

static void put_markdown_cell(const rung_table *table, const rung_column *column, const rung_cell *cell,
                              rung_buffer *out)
{
    switch (cell->kind) {
    case CELL_MISSING:
        rung_buffer_text(out, MISSING);
        break;
    case CELL_TEXT:
        put_markdown_text(table->texts.data + cell->text, out);
        break;
    case CELL_NUMBER:
        put_short_number(column, cell->number.value, out);
        break;
    case CELL_INTERVAL:
        put_short_number(column, cell->number.value, out);
        rung_buffer_text(out, " [");
        put_short_number(column, cell->number.low, out);
        rung_buffer_text(out, ", ");
        put_short_number(column, cell->number.high, out);
        rung_buffer_text(out, "]");
        break;
    }
}

static void put_markdown_head(const rung_column *column, rung_buffer *out)
{
    put_markdown_text(column->name, out);
    if (column->unit != NULL) {
        rung_buffer_text(out, " (");
        put_markdown_text(column->unit, out);
        rung_buffer_text(out, ")");
    }
}

/* Code points of UTF-8: how wide a text stands in a source file, near enough. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return width;
}

static void put_spaces(size_t count, rung_buffer *out)
{
    for (size_t i = 0; i < count; i++) {
        rung_buffer_append(out, " ", 1);
    }
}

/* cells: the texts of a row, NUL after each. */
static void put_markdown_row(const rung_table *table, const char *cells, const size_t *widths, rung_buffer *out)
{
    for (size_t c = 0; c < table->num_columns; c++) {
        size_t space = widths[c] - width_of(cells);
        bool right = table->columns[c].kind != RUNG_COLUMN_TEXT;
        rung_buffer_text(out, "| ");
        put_spaces(right ? space : 0, out);
        rung_buffer_text(out, cells);
        put_spaces(right ? 1 : space + 1, out);
        cells += strlen(cells) + 1;
    }
    rung_buffer_text(out, "|\n");
}

static void put_markdown_rule(const rung_table *table, const size_t *widths, rung_buffer *out)
{
    for (size_t c = 0; c < table->num_columns; c++) {
        bool right = table->columns[c].kind != RUNG_COLUMN_TEXT;
        rung_buffer_text(out, "| ");
        for (size_t i = 0; i + right < widths[c]; i++) {
            rung_buffer_append(out, "-", 1);
        }
        rung_buffer_text(out, right ? ": " : " ");
    }
    rung_buffer_text(out, "|\n");
}

/* All cells as they are shown, the heads first, NUL after each. */
static rung_status show_cells(const rung_table *table, rung_buffer *shown, rung_error *error)
{
    for (size_t c = 0; c < table->num_columns; c++) {
        put_markdown_head(&table->columns[c], shown);
        rung_buffer_append(shown, "", 1);
    }
    for (size_t i = 0; i < table->num_cells; i++) {
        put_markdown_cell(table, &table->columns[i % table->num_columns], &table->cells[i], shown);
        rung_buffer_append(shown, "", 1);
    }
    return rung_buffer_check(shown, "a table", error);
}

static void put_markdown(const rung_table *table, const char *shown, size_t *widths, rung_buffer *out)
{
    size_t total = table->num_columns + table->num_cells;
    const char *cell = shown;
    for (size_t i = 0; i < total; i++) {
        size_t c = i % table->num_columns;
        size_t width = width_of(cell);
        size_t least = i < table->num_columns && width < 3 ? 3 : width; /* room for the rule "--:" */
        widths[c] = least > widths[c] ? least : widths[c];
        cell += strlen(cell) + 1;
    }
    cell = shown;
    for (size_t row = 0; row < total / table->num_columns; row++) {
        put_markdown_row(table, cell, widths, out);
        if (row == 0) {
            put_markdown_rule(table, widths, out);
        }
        for (size_t c = 0; c < table->num_columns; c++) {
            cell += strlen(cell) + 1;
        }
    }
}

rung_status rung_table_markdown(const rung_table *table, rung_buffer *out, rung_error *error)
{
    rung_buffer shown = {0};
    size_t *widths = rung_alloc(table->num_columns, sizeof *widths, "a table", error);
    rung_status status = widths == NULL ? RUNG_NO_MEMORY : check(table, error);
    status = status == RUNG_OK ? show_cells(table, &shown, error) : status;
    if (status == RUNG_OK) {
        put_markdown(table, shown.data, widths, out);
        status = rung_buffer_check(out, "a table", error);
    }
    rung_buffer_deinit(&shown);
    free(widths);
    return status;
}

/* A field of CSV: quoted where the separator, a quote or an end of line stands in it. */
static void put_csv_text(const char *text, rung_buffer *out)
{
    bool quoted = strpbrk(text, ",\"\r\n") != NULL;
    rung_buffer_text(out, quoted ? "\"" : "");
    for (; *text != '\0'; text++) {
        rung_buffer_append(out, "\"\"", *text == '"' ? 1 : 0);
        rung_buffer_append(out, text, 1);
    }
    rung_buffer_text(out, quoted ? "\"" : "");
}

static rung_status put_csv_head(const rung_column *column, rung_buffer *out, rung_error *error)
{
    static const char *const parts[] = {"", " low", " high"};
    rung_buffer name = {0};
    for (size_t part = 0; part < (column->interval ? 3 : 1); part++) {
        rung_buffer_clear(&name);
        rung_buffer_format(&name, "%s%s", column->name, parts[part]);
        if (column->unit != NULL) {
            rung_buffer_format(&name, " (%s)", column->unit);
        }
        rung_status status = rung_buffer_check(&name, "a table", error);
        if (status != RUNG_OK) {
            rung_buffer_deinit(&name);
            return status;
        }
        rung_buffer_text(out, part > 0 ? "," : "");
        put_csv_text(name.data, out);
    }
    rung_buffer_deinit(&name);
    return RUNG_OK;
}

static void put_csv_number(double value, rung_buffer *out)
{
    char digits[RUNG_NUMBER_BYTES];
    if (!isnan(value)) {
        rung_buffer_text(out, isfinite(value) ? rung_print_number(value, digits) : value < 0 ? "-inf" : "inf");
    }
}

static void put_csv_cell(const rung_table *table, const rung_column *column, const rung_cell *cell, rung_buffer *out)
{
    if (cell->kind == CELL_TEXT) {
        put_csv_text(table->texts.data + cell->text, out);
    } else if (cell->kind != CELL_MISSING) {
        put_csv_number(cell->number.value, out);
    }
    if (column->interval) {
        bool both = cell->kind == CELL_INTERVAL;
        rung_buffer_text(out, ",");
        put_csv_number(both ? cell->number.low : (double)NAN, out);
        rung_buffer_text(out, ",");
        put_csv_number(both ? cell->number.high : (double)NAN, out);
    }
}

rung_status rung_table_csv(const rung_table *table, rung_buffer *out, rung_error *error)
{
    rung_status status = check(table, error);
    for (size_t c = 0; status == RUNG_OK && c < table->num_columns; c++) {
        rung_buffer_text(out, c > 0 ? "," : "");
        status = put_csv_head(&table->columns[c], out, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    rung_buffer_text(out, "\r\n");
    for (size_t i = 0; i < table->num_cells; i++) {
        size_t c = i % table->num_columns;
        put_csv_cell(table, &table->columns[c], &table->cells[i], out);
        rung_buffer_text(out, c + 1 < table->num_columns ? "," : "\r\n");
    }
    return rung_buffer_check(out, "a table", error);
}
