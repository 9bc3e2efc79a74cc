/* report_plot.h: figures of the report: files in its directory, and their place in the text. Called by the sections. */
#ifndef RUNG_EVAL_REPORT_PLOT_H
#define RUNG_EVAL_REPORT_PLOT_H

#include "eval/heat_strip.h"
#include "eval/plot.h"
#include "eval/report.h"

/* Writes the files of rung_plot_write and the link with its caption; where gnuplot was not found, how to draw it. */
rung_status rung_report_plot(rung_report *report, const rung_plot *plot, const char *name, const char *caption,
                             rung_error *error) RUNG_WARN_UNUSED;

/* Writes NAME.svg, for which no other program is needed, and the link. */
rung_status rung_report_strip(rung_report *report, const rung_heat_strip *strip, const char *name, const char *caption,
                              rung_error *error) RUNG_WARN_UNUSED;

#endif
