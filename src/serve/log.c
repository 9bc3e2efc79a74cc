/* log.c: one line an event. See log.h. */
#include "serve/log.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "run/message.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_TEXT_BYTES 512

struct rung_log {
    rung_log_options options;
    rung_buffer line;
};

rung_status rung_log_create(const rung_log_options *options, rung_log **log, rung_error *error)
{
    rung_log *made = rung_alloc(1, sizeof *made, "log", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->options = *options;
    *log = made;
    return RUNG_OK;
}

void rung_log_free(rung_log *log)
{
    if (log != NULL) {
        rung_buffer_deinit(&log->line);
        free(log);
    }
}

void rung_log_configure(rung_log *log, rung_log_level level, bool json)
{
    log->options.level = level;
    log->options.json = json;
}

static const char *level_name(rung_log_level level)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    return names[level];
}

/* The first bytes that are valid UTF-8, at most MAX_TEXT_BYTES. */
static size_t clean_bytes(const char *text)
{
    size_t bytes = strnlen(text, MAX_TEXT_BYTES);
    size_t bad;
    return rung_utf8_valid(text, bytes, &bad) ? bytes : bad;
}

/* logfmt: bare when it is one plain word, else quoted as JSON is. */
static void append_text(rung_log *log, const char *text)
{
    size_t bytes = clean_bytes(text);
    bool plain = bytes > 0;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        plain = plain && c > ' ' && c != '"' && c != '=' && c != '\\' && c != 0x7f;
    }
    if (plain && !log->options.json) {
        rung_buffer_append(&log->line, text, bytes);
    } else {
        rung_message_string(&log->line, text, bytes);
    }
}

static void append_key(rung_log *log, const char *key)
{
    rung_buffer_format(&log->line, log->options.json ? "%s\"%s\":" : "%s%s=",
                       log->line.length <= 1 ? "" : (log->options.json ? "," : " "), key);
}

static void append_field(rung_log *log, const rung_log_field *field)
{
    append_key(log, field->key);
    if (field->kind == RUNG_LOG_KIND_TEXT) {
        append_text(log, field->text != NULL ? field->text : "");
    } else if (field->kind == RUNG_LOG_KIND_INTEGER) {
        rung_buffer_format(&log->line, "%" PRId64, field->integer);
    } else if (isfinite(field->number)) {
        rung_buffer_format(&log->line, "%.6g", field->number);
    } else {
        rung_buffer_text(&log->line, "null"); /* JSON has no NaN */
    }
}

/* RFC 3339 in UTC with milliseconds. */
static void append_time(rung_log *log)
{
    struct timespec now;
    struct tm utc;
    char text[40];
    char day[24];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text, sizeof text, "%s.%03ldZ", day, now.tv_nsec / 1000000);
    append_field(log, &RUNG_LOG_TEXT("time", text));
}

void rung_log_write(rung_log *log, rung_log_level level, const char *event, const rung_log_field *fields, size_t count)
{
    if (log->options.write == NULL || level > log->options.level) {
        return;
    }
    rung_buffer_clear(&log->line);
    if (log->options.json) {
        rung_buffer_text(&log->line, "{");
    }
    append_time(log);
    append_field(log, &RUNG_LOG_TEXT("level", level_name(level)));
    append_field(log, &RUNG_LOG_TEXT("event", event));
    for (size_t i = 0; i < count; i++) {
        append_field(log, &fields[i]);
    }
    rung_buffer_text(&log->line, log->options.json ? "}\n" : "\n");
    if (!log->line.failed) {
        log->options.write(log->options.context, log->line.data, log->line.length);
    }
    log->line.failed = false;
}
