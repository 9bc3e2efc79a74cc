/* trace.c: rows in, checks and the row of a moment. See trace.h. */
#include "link/trace.h"

#include "base/memory.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* Capacities may be 0, but nothing between: what moves a bit in longer than a second is not measured, it is noise. */
static const struct {
    const char *name;
    double min, max;
    bool may_be_zero;
    const char *range;
} columns[RUNG_TRACE_COLUMNS] = {
    [RUNG_TRACE_UP] = {"up_bps", 1, 1e12, true, "0, or from 1 to 1e+12 bit/s"},
    [RUNG_TRACE_DOWN] = {"down_bps", 1, 1e12, true, "0, or from 1 to 1e+12 bit/s"},
    [RUNG_TRACE_RTT] = {"rtt_ms", 0, 1e6, true, "from 0 to 1e+06 ms"},
    [RUNG_TRACE_LOSS] = {"loss", 0, 1, true, "from 0 to 1"},
};

const char *rung_trace_column_name(rung_trace_column column)
{
    assert(column < RUNG_TRACE_COLUMNS);
    return columns[column].name;
}

rung_status rung_link_trace_new(rung_link_trace **trace, rung_error *error)
{
    rung_link_trace *made = rung_alloc(1, sizeof *made, "trace", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    *trace = made;
    return RUNG_OK;
}

void rung_link_trace_free(rung_link_trace *trace)
{
    if (trace != NULL) {
        free(trace->row);
        free(trace);
    }
}

static rung_status check_row(const rung_link_trace *trace, double t_s, const double value[RUNG_TRACE_COLUMNS],
                             rung_error *error)
{
    if (!(t_s >= 0 && t_s <= RUNG_LINK_TRACE_MAX_S)) {
        return rung_fail(error, RUNG_INVALID, "t_s: %g is outside the range: from 0 to %g s", t_s,
                         RUNG_LINK_TRACE_MAX_S);
    }
    /* Differences are compared, as they are kept: the sum need not give the file's number back. */
    double before_s = trace->num_rows > 0 ? trace->row[trace->num_rows - 1].start_s : 0;
    if (trace->num_rows > 0 && t_s - trace->first_t_s < before_s) {
        return rung_fail(error, RUNG_INVALID, "t_s: %.15g comes after %.15g; time must not go back", t_s,
                         trace->first_t_s + before_s);
    }
    for (size_t c = 0; c < RUNG_TRACE_COLUMNS; c++) {
        bool in_range = value[c] >= columns[c].min && value[c] <= columns[c].max;
        bool zero = columns[c].may_be_zero && fpclassify(value[c]) == FP_ZERO;
        if (!isnan(value[c]) && !in_range && !zero) {
            return rung_fail(error, RUNG_INVALID, "%s: %g is outside the range: %s", columns[c].name, value[c],
                             columns[c].range);
        }
    }
    return RUNG_OK;
}

rung_status rung_link_trace_add(rung_link_trace *trace, double t_s, const double value[RUNG_TRACE_COLUMNS],
                                rung_error *error)
{
    assert(trace->duration_s <= 0);
    rung_status status = check_row(trace, t_s, value, error);
    if (status != RUNG_OK) {
        return status;
    }
    double first_t_s = trace->num_rows == 0 ? t_s : trace->first_t_s;
    double start_s = t_s - first_t_s;
    bool repeats = trace->num_rows > 0 && start_s <= trace->row[trace->num_rows - 1].start_s;
    if (!repeats && trace->num_rows == RUNG_LINK_TRACE_MAX_ROWS) {
        return rung_fail(error, RUNG_LIMIT, "more than %d rows; cut the trace", RUNG_LINK_TRACE_MAX_ROWS);
    }
    if (!repeats) {
        void *rows = trace->row;
        status = rung_grow(&rows, &trace->row_capacity, trace->num_rows + 1, sizeof *trace->row, "trace", error);
        trace->row = rows;
        if (status != RUNG_OK) {
            return status;
        }
        trace->first_t_s = first_t_s;
        trace->row[trace->num_rows] = (rung_link_trace_row){.start_s = start_s};
        for (size_t c = 0; c < RUNG_TRACE_COLUMNS; c++) {
            trace->row[trace->num_rows].value[c] = NAN;
        }
        trace->num_rows++;
    }
    rung_link_trace_row *last = &trace->row[trace->num_rows - 1];
    for (size_t c = 0; c < RUNG_TRACE_COLUMNS; c++) {
        last->value[c] = isnan(value[c]) ? last->value[c] : value[c];
        trace->has[c] = trace->has[c] || !isnan(value[c]);
    }
    return RUNG_OK;
}

static double row_end_s(const rung_link_trace *trace, size_t index, double duration_s)
{
    return index + 1 < trace->num_rows ? trace->row[index + 1].start_s : duration_s;
}

/* Fills the gaps of a column that has a value somewhere. */
static void fill_gaps(rung_link_trace *trace, size_t column)
{
    size_t first = 0;
    while (isnan(trace->row[first].value[column])) {
        first++;
    }
    double held = trace->row[first].value[column];
    for (size_t i = 0; i < trace->num_rows; i++) {
        held = isnan(trace->row[i].value[column]) ? held : trace->row[i].value[column];
        trace->row[i].value[column] = held;
    }
}

static double mean_of(const rung_link_trace *trace, size_t column, double duration_s)
{
    double sum = 0;
    for (size_t i = 0; i < trace->num_rows; i++) {
        sum += trace->row[i].value[column] * (row_end_s(trace, i, duration_s) - trace->row[i].start_s);
    }
    return sum / duration_s;
}

rung_status rung_link_trace_finish(rung_link_trace *trace, rung_error *error)
{
    size_t n = trace->num_rows;
    bool any = false;
    if (n == 0) {
        return rung_fail(error, RUNG_INVALID, "has no rows");
    }
    double last_s = n > 1 ? trace->row[n - 1].start_s - trace->row[n - 2].start_s : 1;
    double duration_s = trace->row[n - 1].start_s + last_s;
    for (size_t c = 0; c < RUNG_TRACE_COLUMNS; c++) {
        any = any || trace->has[c];
        if (trace->has[c]) {
            fill_gaps(trace, c);
            trace->mean[c] = mean_of(trace, c, duration_s);
        }
        if (trace->has[c] && (c == RUNG_TRACE_UP || c == RUNG_TRACE_DOWN) && !(trace->mean[c] >= 1)) {
            return rung_fail(error, RUNG_INVALID,
                             "%s: the mean is %g bit/s, at which nothing arrives; it must be at "
                             "least 1",
                             columns[c].name, trace->mean[c]);
        }
    }
    if (!any) {
        return rung_fail(error, RUNG_INVALID, "no row has a value in up_bps, down_bps, rtt_ms or loss");
    }
    trace->duration_s = duration_s;
    return RUNG_OK;
}

const rung_link_trace_row *rung_link_trace_at(const rung_link_trace *trace, double t_s, double *until_s)
{
    assert(trace->duration_s > 0 && t_s >= 0);
    double at_s = fmod(t_s, trace->duration_s);
    size_t low = 0; /* row[low] starts at or before at_s, row[high] after it */
    size_t high = trace->num_rows;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (trace->row[middle].start_s <= at_s) {
            low = middle;
        } else {
            high = middle;
        }
    }
    if (until_s != NULL) {
        *until_s = t_s + (row_end_s(trace, low, trace->duration_s) - at_s);
    }
    return &trace->row[low];
}
