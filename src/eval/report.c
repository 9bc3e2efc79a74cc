/* report.c: markdown and CSV files. See report.h. */
#include "eval/report.h"

#include "base/file.h"
#include "base/memory.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADINGS "######"

void rung_report_deinit(rung_report *report)
{
    rung_buffer_deinit(&report->text);
    rung_buffer_deinit(&report->goals);
    *report = (rung_report){0};
}

static void append_formatted(rung_buffer *out, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = length < 0 ? NULL : malloc((size_t)length + 1);
    if (text == NULL) {
        out->failed = true;
        return;
    }
    vsnprintf(text, (size_t)length + 1, format, arguments);
    rung_buffer_append(out, text, (size_t)length);
    free(text);
}

void rung_report_heading(rung_report *report, int level, const char *text)
{
    assert(level >= 1 && level <= (int)strlen(HEADINGS));
    rung_buffer_format(&report->text, "%.*s %s\n\n", level, HEADINGS, text);
}

void rung_report_text(rung_report *report, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    append_formatted(&report->text, format, arguments);
    va_end(arguments);
    rung_buffer_text(&report->text, "\n\n");
}

/* Writes to DIRECTORY/NAME + suffix. */
static rung_status write_file(const rung_report *report, const char *name, const char *suffix,
                              const rung_buffer *content, rung_error *error)
{
    rung_buffer file = {0};
    rung_buffer_format(&file, "%s%s", name, suffix);
    rung_status status = rung_buffer_check(&file, name, error);
    char *path = NULL;
    if (status == RUNG_OK) {
        path = rung_path_join(report->directory, file.data, error);
        status = path == NULL ? RUNG_NO_MEMORY : rung_buffer_check(content, file.data, error);
    }
    if (status == RUNG_OK) {
        status = rung_write_file(path, content->data == NULL ? "" : content->data, content->length, error);
    }
    free(path);
    rung_buffer_deinit(&file);
    return status;
}

rung_status rung_report_csv(rung_report *report, const rung_table *table, const char *name, rung_error *error)
{
    rung_buffer csv = {0};
    rung_status status = rung_table_csv(table, &csv, error);
    if (status == RUNG_OK) {
        status = write_file(report, name, ".csv", &csv, error);
    }
    rung_buffer_deinit(&csv);
    return status;
}

rung_status rung_report_table(rung_report *report, const rung_table *table, const char *name, rung_error *error)
{
    rung_buffer markdown = {0};
    rung_status status = rung_table_markdown(table, &markdown, error);
    if (status == RUNG_OK) {
        status = rung_report_csv(report, table, name, error);
    }
    if (status == RUNG_OK) {
        rung_buffer_append(&report->text, markdown.data, markdown.length);
        rung_buffer_format(&report->text, "\nAll digits: [%s.csv](%s.csv).\n\n", name, name);
    }
    rung_buffer_deinit(&markdown);
    return status;
}

void rung_report_figure(rung_report *report, const char *name, const char *caption)
{
    if (!report->has_gnuplot) {
        return;
    }
    report->num_figures++;
    rung_buffer_format(&report->text, "![%s](%s.svg)\n\n*Figure %zu: %s*\n\n", name, name, report->num_figures,
                       caption);
}

void rung_report_goal(rung_report *report, bool reached, const char *format, ...)
{
    const char *what = reached ? "Reached" : "Not reached";
    rung_buffer sentence = {0};
    va_list arguments;
    va_start(arguments, format);
    append_formatted(&sentence, format, arguments);
    va_end(arguments);
    const char *text = sentence.data == NULL ? "" : sentence.data;
    rung_buffer_format(&report->text, "**%s:** %s\n\n", what, text);
    rung_buffer_format(&report->goals, "- **%s:** %s\n", what, text);
    report->goals.failed = report->goals.failed || sentence.failed;
    report->num_goals++;
    report->num_reached += reached;
    rung_buffer_deinit(&sentence);
}

void rung_report_goals_here(rung_report *report)
{
    report->goals_at = report->text.length;
}

rung_status rung_report_finish(const rung_report *report, rung_error *error)
{
    rung_buffer whole = {0};
    rung_status status = rung_buffer_check(&report->text, "report", error);
    if (status == RUNG_OK) {
        status = rung_buffer_check(&report->goals, "report", error);
    }
    if (status == RUNG_OK) {
        rung_buffer_append(&whole, report->text.data, report->goals_at);
        if (report->num_goals > 0) {
            rung_buffer_append(&whole, report->goals.data, report->goals.length);
            rung_buffer_text(&whole, "\n");
        }
        rung_buffer_append(&whole, report->text.data + report->goals_at, report->text.length - report->goals_at);
        status = write_file(report, "report", ".md", &whole, error);
    }
    rung_buffer_deinit(&whole);
    return status;
}
