/* log.h: structured lines of a node: an event and its fields, one line each, as JSON or key=value. The library prints nothing: lines go to a callback.
 * Texts of requests and secrets are never handed in. One owner thread. */
#ifndef RUNG_SERVE_LOG_H
#define RUNG_SERVE_LOG_H

#include "config/node_config.h"

typedef struct rung_log rung_log;

typedef struct rung_log_options {
    void (*write)(void *context, const char *line,
                  size_t bytes); /* one line with its newline; NULL: nothing is logged */
    void *context;
    rung_log_level level; /* lines above it are dropped */
    bool json;            /* else key=value */
} rung_log_options;

typedef enum rung_log_kind { RUNG_LOG_KIND_TEXT, RUNG_LOG_KIND_INTEGER, RUNG_LOG_KIND_NUMBER } rung_log_kind;

typedef struct rung_log_field {
    rung_log_kind kind;
    const char *key;  /* letters and underscores */
    const char *text; /* any bytes; cut after 512, control characters escaped */
    int64_t integer;
    double number;
} rung_log_field;

#define RUNG_LOG_TEXT(name, value) ((rung_log_field){.kind = RUNG_LOG_KIND_TEXT, .key = (name), .text = (value)})
#define RUNG_LOG_INTEGER(name, value)                                                                                  \
    ((rung_log_field){.kind = RUNG_LOG_KIND_INTEGER, .key = (name), .integer = (int64_t)(value)})
#define RUNG_LOG_NUMBER(name, value) ((rung_log_field){.kind = RUNG_LOG_KIND_NUMBER, .key = (name), .number = (value)})

rung_status rung_log_create(const rung_log_options *options, rung_log **log, rung_error *error) RUNG_WARN_UNUSED;
void rung_log_free(rung_log *log);

/* After a reload. */
void rung_log_configure(rung_log *log, rung_log_level level, bool json);

/* {"time":"2026-01-31T12:00:00.000Z","level":"info","event":"serving",…}. fields [count]. A line that cannot be made for want of memory is lost. */
void rung_log_write(rung_log *log, rung_log_level level, const char *event, const rung_log_field *fields, size_t count);

/* rung_log_line(log, RUNG_LOG_INFO, "serving", RUNG_LOG_TEXT("url", url)): at least one field. */
#define rung_log_line(log, level, event, ...)                                                                          \
    rung_log_write(log, level, event, (const rung_log_field[]){__VA_ARGS__},                                           \
                   sizeof((const rung_log_field[]){__VA_ARGS__}) / sizeof(rung_log_field))

#endif
