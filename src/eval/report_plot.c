/* report_plot.c: figures of the report. See report_plot.h. */
#include "eval/report_plot.h"

#include <stdlib.h>

static void link_figure(rung_report *report, const char *name, const char *caption)
{
    report->num_figures++;
    rung_buffer_format(&report->text, "![%s](%s.svg)\n\n*Figure %zu: %s*\n\n", name, name, report->num_figures,
                       caption);
}

rung_status rung_report_plot(rung_report *report, const rung_plot *plot, const char *name, const char *caption,
                             rung_error *error)
{
    bool drawn = false;
    rung_status status = rung_plot_write(plot, report->directory, name, NULL, &drawn, error);
    if (status != RUNG_OK) {
        return rung_fail_in(error, "figure %s", name);
    }
    if (drawn) {
        link_figure(report, name, caption);
    } else {
        rung_plot_markdown(plot->title, name, false, &report->text);
        rung_buffer_text(&report->text, "\n");
    }
    return RUNG_OK;
}

rung_status rung_report_strip(rung_report *report, const rung_heat_strip *strip, const char *name, const char *caption,
                              rung_error *error)
{
    rung_buffer path = {0};
    rung_buffer_format(&path, "%s/%s.svg", report->directory, name);
    rung_status status = rung_buffer_check(&path, "a path", error);
    if (status == RUNG_OK) {
        status = rung_heat_strip_write(strip, path.data, error);
    }
    rung_buffer_deinit(&path);
    if (status == RUNG_OK) {
        link_figure(report, name, caption);
    }
    return status;
}
