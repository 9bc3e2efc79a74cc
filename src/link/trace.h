/* trace.h: a link as it was measured over time: capacity, round trip and loss, row by row. Made by src/config/trace_file.c from a file (or by
 * whoever has rows), read by link.c. Knows no file, and no link beyond its rows. */
#ifndef RUNG_LINK_TRACE_H
#define RUNG_LINK_TRACE_H

#include "base/status.h"

#define RUNG_LINK_TRACE_MAX_ROWS 100000 /* more than a day of seconds */
#define RUNG_LINK_TRACE_MAX_S 1e9

typedef enum rung_trace_column {
    RUNG_TRACE_UP,   /* up_bps: bits a second towards the upper level; 0: nothing gets through */
    RUNG_TRACE_DOWN, /* down_bps: and back */
    RUNG_TRACE_RTT,  /* rtt_ms: round trip of an empty message */
    RUNG_TRACE_LOSS, /* loss: share of messages lost */
    RUNG_TRACE_COLUMNS,
} rung_trace_column;

typedef struct rung_link_trace_row {
    double start_s; /* from the first row's, increasing */
    double value[RUNG_TRACE_COLUMNS];
} rung_link_trace_row;

/* A row holds from its start until the next one's; the last as long as the one before it, a single one for a second. The trace then begins
 * again. Immutable once it is finished, so that any number of links and threads may read it. */
typedef struct rung_link_trace {
    size_t num_rows;
    size_t row_capacity;
    rung_link_trace_row *row;        /* [num_rows] */
    double first_t_s;                /* what the file calls the first row's moment */
    double duration_s;               /* of one pass; 0 until it is finished */
    bool has[RUNG_TRACE_COLUMNS];    /* false: not measured */
    double mean[RUNG_TRACE_COLUMNS]; /* over time */
} rung_link_trace;

/* "up_bps", "down_bps", "rtt_ms", "loss". */
const char *rung_trace_column_name(rung_trace_column column);

/* An empty trace, to which rows are added in the order of time. */
rung_status rung_link_trace_new(rung_link_trace **trace, rung_error *error) RUNG_WARN_UNUSED;
void rung_link_trace_free(rung_link_trace *trace);

/* value: NAN where nothing was measured at that moment. A row at the same t_s as the one before it replaces what it has values for. RUNG_INVALID
 * (t_s decreases, or a value outside its range) and RUNG_LIMIT (too many rows) name the column. */
rung_status rung_link_trace_add(rung_link_trace *trace, double t_s, const double value[RUNG_TRACE_COLUMNS],
                                rung_error *error) RUNG_WARN_UNUSED;

/* No more rows. Gaps take the value before them, those at the start the first value. RUNG_INVALID: no rows, nothing measured, or a capacity
 * that is below 1 bit/s on average. */
rung_status rung_link_trace_finish(rung_link_trace *trace, rung_error *error) RUNG_WARN_UNUSED;

/* The row that holds at t_s >= 0, any number of passes from the start. *until_s (may be NULL): when the next one begins, on the same clock. */
const rung_link_trace_row *rung_link_trace_at(const rung_link_trace *trace, double t_s, double *until_s);

#endif
