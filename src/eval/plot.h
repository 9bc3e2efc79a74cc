/* plot.h: figures of a report, drawn as SVG by gnuplot where there is one. Called by what writes reports; knows nothing
 * of what is drawn.
 *
 * A figure NAME is three files of a directory: NAME.dat (numbers), NAME.gp (a script that refers to the other two by
 * name, so that `gnuplot NAME.gp` in that directory draws it again, by hand edited or elsewhere) and NAME.svg. Colours
 * are those of Okabe and Ito, which the colour-blind can tell apart; series differ in the shape of their points or the
 * dashes of their lines, too. 800 x 500 pixels. */
#ifndef RUNG_EVAL_PLOT_H
#define RUNG_EVAL_PLOT_H

#include "base/buffer.h"

typedef enum rung_plot_style {
    RUNG_PLOT_LINES,
    RUNG_PLOT_POINTS,
    RUNG_PLOT_LINES_POINTS,
    RUNG_PLOT_CDF, /* the share of x [count] that is at most x, as steps; y is not used */
} rung_plot_style;

typedef struct rung_plot_axis {
    const char *label;
    const char *unit; /* NULL: none */
    bool log;         /* values must be above 0 */
    double low;       /* the range; chosen from the data when low == high, bars then stand on 0 */
    double high;
} rung_plot_axis;

/* One series. All is lent. Values that are not finite are left out, and break a line. */
typedef struct rung_plot_series {
    const char *name;      /* in the legend; NULL: not there */
    rung_plot_style style; /* not of bars */
    size_t count;
    const double *x;           /* [count]; NULL in bars: value i stands in group i */
    const double *y;           /* [count] */
    const double *low;         /* [count] with high, the ends of an error bar of y; both NULL: none */
    const double *high;        /* [count] */
    const char *const *labels; /* [count], each may be NULL: written beside the point; NULL: none */
} rung_plot_series;

/* Texts are UTF-8 and taken as they are. The title has room for about 80 characters. */
typedef struct rung_plot {
    const char *title;
    rung_plot_axis x; /* in bars: label and unit only */
    rung_plot_axis y;
    const rung_plot_series *series; /* [num_series], at most RUNG_PLOT_SERIES */
    size_t num_series;
    const char *const
        *groups; /* [num_groups] names: grouped bars, one of each series in each group; NULL: an x-y figure */
    size_t num_groups;
    const char *diagonal; /* the legend of a line y = x, as in a reliability diagram; NULL: none */
} rung_plot;

#define RUNG_PLOT_SERIES 16

/* Writes NAME.dat and NAME.gp into directory, and NAME.svg when `gnuplot` is found (the program's name or path; NULL:
 * "gnuplot"); *drawn says whether it was. An SVG of an earlier run does not stay beside new data. name: letters,
 * digits, '.', '-', '_'. RUNG_INVALID: nothing to draw, or a value at or below 0 on a logarithmic axis. RUNG_IO: a file
 * cannot be written, or gnuplot failed; what it said is in the message. */
rung_status rung_plot_write(const rung_plot *plot, const char *directory, const char *name, const char *gnuplot,
                            bool *drawn, rung_error *error) RUNG_WARN_UNUSED;

/* The figure's place in a markdown report: the image, or that it was not drawn and how to draw it. */
void rung_plot_markdown(const char *title, const char *name, bool drawn, rung_buffer *out);

#endif
