/* report.h: the report of `rung eval`, built section by section as markdown text, tables in files of their own, and links to figures. Called by the sections
 * (section_*.c) and by src/cli/eval.c. Knows no policies. */
#ifndef RUNG_EVAL_REPORT_H
#define RUNG_EVAL_REPORT_H

#include "base/progress.h"
#include "eval/table.h"

/* Zero-initialise, then fill the first part; release with rung_report_deinit. Text and headings are buffered: what fails to be appended is found by
 * rung_report_finish. */
typedef struct rung_report {
    const char *directory; /* of report.md, *.csv and *.svg; lent, it exists */
    bool has_gnuplot;      /* figures are drawn */
    rung_bootstrap bootstrap;
    size_t trials; /* of each method on the cascade's own network */
    bool quick;
    const rung_progress *progress; /* NULL: nobody looks */
    /* Made by the functions below. */
    rung_buffer text;  /* markdown */
    rung_buffer goals; /* markdown: a list of goals and what became of them */
    size_t goals_at;   /* where in the text the list is put */
    size_t num_goals;
    size_t num_reached;
    size_t num_figures;
} rung_report;

void rung_report_deinit(rung_report *report);

/* level 1 .. 6. */
void rung_report_heading(rung_report *report, int level, const char *text);

/* A paragraph. */
void rung_report_text(rung_report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The table as markdown into the text, and as DIRECTORY/NAME.csv. */
rung_status rung_report_table(rung_report *report, const rung_table *table, const char *name,
                              rung_error *error) RUNG_WARN_UNUSED;

/* The table as DIRECTORY/NAME.csv only. */
rung_status rung_report_csv(rung_report *report, const rung_table *table, const char *name,
                            rung_error *error) RUNG_WARN_UNUSED;

/* A link to NAME.svg, numbered, with its caption. Nothing where figures are not drawn. */
void rung_report_figure(rung_report *report, const char *name, const char *caption);

/* A goal: the paragraph says what was wanted and what was found, after "Reached: " or "Not reached: ". It stands here and in the list of goals. */
void rung_report_goal(rung_report *report, bool reached, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The list of all goals, also those to come, stands here. */
void rung_report_goals_here(rung_report *report);

/* Writes DIRECTORY/report.md. RUNG_NO_MEMORY when an append had failed. */
rung_status rung_report_finish(const rung_report *report, rung_error *error) RUNG_WARN_UNUSED;

#endif
