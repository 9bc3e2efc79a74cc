/* plot_range.h: the ranges and ticks of a figure's axes, and places for labels beside points. Called by plot.c only. */
#ifndef RUNG_EVAL_PLOT_RANGE_H
#define RUNG_EVAL_PLOT_RANGE_H

#include "eval/plot.h"

typedef struct rung_plot_range {
    double low;
    double high;
    bool log;
} rung_plot_range;

/* The range of an axis whose finite values lie in [least, greatest]; that of the axis itself when it states one. */
rung_plot_range rung_plot_range_of(const rung_plot_axis *axis, double least, double greatest);

/* Where a value lies in a range, 0 at its low end and 1 at its high end. */
double rung_plot_range_at(rung_plot_range range, double value);

/* The values of a logarithmic axis that have numbers: 1, 2, 5 times powers of ten, more within one decade, fewer over
 * many. Appends "v, v, v". */
void rung_plot_log_ticks(rung_plot_range range, rung_buffer *out);

/* A box in pixels: a label, a point, the frame. */
typedef struct rung_plot_box {
    double left;
    double top;
    double right;
    double bottom;
} rung_plot_box;

typedef struct rung_plot_place {
    const char *justify; /* gnuplot's: "left", "right", "center" */
    double dx;           /* of the text's anchor from the point, pixels right */
    double dy;           /* pixels up */
    rung_plot_box box;   /* what it covers */
} rung_plot_place;

/* A place for a text of this many characters beside the point (x, y), in pixels from the frame's left top: the one of
 * eight that overlaps least with boxes [count] and with what lies outside of frame; of equal ones the first, which is
 * right of the point. */
rung_plot_place rung_plot_place_label(size_t characters, double x, double y, const rung_plot_box *boxes, size_t count,
                                      rung_plot_box frame);

#endif
