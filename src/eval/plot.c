/* plot.c: the data file and the script of a figure, and the run of gnuplot on them. See plot.h.
 *
 * Texts stand in single quotes in the script, where gnuplot replaces nothing, and the terminal takes them as they are
 * (noenhanced). */
#include "eval/plot.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/order.h"
#include "config/number.h"
#include "eval/gnuplot.h"
#include "eval/plot_range.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GNUPLOT_LIMIT_S 60
#define BARS_SHARE 0.8 /* of a group's width that its bars fill */

enum {
    WIDTH_PX = 800,
    HEIGHT_PX = 500,
    CDF_STEPS = 500,   /* more cannot be told apart */
    MOST_PIECES = 200, /* of a line across the whole figure */
    GROUP_CHARACTERS_PX = 8,
    PLOT_WIDTH_PX = 700, /* of the frame, about */
};

/* Okabe and Ito 2008 without its yellow, which is too light for lines. */
static const char *const colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                      "#E69F00", "#56B4E9", "#000000", "#777777"};
static const int point_types[] = {7, 5, 9, 13, 11, 6, 4, 8};
static const int dash_types[] = {1, 2, 4, 5};

#define COLOURS (sizeof colours / sizeof colours[0])

/* Where the frame lies in the picture, about: what places of labels are chosen with. */
static const rung_plot_box frame_px = {85, 45, 775, 415};

/* A figure on its way into files. */
typedef struct drawing {
    const rung_plot *plot;
    const char *name;
    rung_plot_range x;
    rung_plot_range y;
    rung_buffer data;
    rung_buffer script;
    size_t blocks; /* in data */
} drawing;

static double x_of(const rung_plot *plot, const rung_plot_series *series, size_t i)
{
    if (plot->groups == NULL) {
        return series->x[i];
    }
    double width = BARS_SHARE / (double)plot->num_series;
    double first = -0.5 * BARS_SHARE + 0.5 * width;
    return (double)i + first + width * (double)(series - plot->series);
}

static bool is_cdf(const rung_plot *plot, const rung_plot_series *series)
{
    return plot->groups == NULL && series->style == RUNG_PLOT_CDF;
}

static double y_of(const rung_plot *plot, const rung_plot_series *series, size_t i)
{
    return is_cdf(plot, series) ? 1 : series->y[i];
}

static bool is_drawn(const rung_plot *plot, const rung_plot_series *series, size_t i)
{
    return isfinite(x_of(plot, series, i)) && isfinite(y_of(plot, series, i));
}

static bool is_empty(const rung_plot *plot, const rung_plot_series *series)
{
    for (size_t i = 0; i < series->count; i++) {
        if (is_drawn(plot, series, i)) {
            return false;
        }
    }
    return true;
}

/* The least and greatest of the finite values that an axis shows. */
typedef struct extent {
    double least;
    double greatest;
} extent;

static void include(extent *of, double value)
{
    if (isfinite(value)) {
        of->least = fmin(of->least, value);
        of->greatest = fmax(of->greatest, value);
    }
}

static void extents(const rung_plot *plot, extent *x, extent *y)
{
    *x = *y = (extent){INFINITY, -INFINITY};
    for (size_t s = 0; s < plot->num_series; s++) {
        const rung_plot_series *series = &plot->series[s];
        for (size_t i = 0; i < series->count; i++) {
            if (is_drawn(plot, series, i)) {
                include(x, x_of(plot, series, i));
                include(y, y_of(plot, series, i));
                include(y, series->low != NULL ? series->low[i] : NAN);
                include(y, series->high != NULL ? series->high[i] : NAN);
            }
        }
        if (is_cdf(plot, series) || (plot->groups != NULL && !plot->y.log)) {
            include(y, 0); /* what bars stand on, and where shares start */
        }
    }
}

static rung_status check_name(const char *name, rung_error *error)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
    size_t length = strlen(name);
    if (length == 0 || length > 100 || strspn(name, allowed) != length || name[0] == '.' || name[0] == '-') {
        return rung_fail(error, RUNG_INVALID,
                         "the figure's name \"%s\" must have 1 to 100 of the characters A-Z, a-z, 0-9, '.', '-', '_' "
                         "and not start with "
                         "'.' or '-'",
                         name);
    }
    return RUNG_OK;
}

static rung_status check_axis(const rung_plot_axis *axis, extent values, const char *name, rung_error *error)
{
    double low = axis->low != axis->high ? axis->low : values.least;
    double least = fmin(low, values.least);
    if (axis->log && least <= 0) {
        return rung_fail(error, RUNG_INVALID,
                         "figure %s: \"%s\" has a logarithmic axis and the value %g; it must be above 0", name,
                         axis->label, least);
    }
    return RUNG_OK;
}

static rung_status find_ranges(drawing *figure, rung_error *error)
{
    const rung_plot *plot = figure->plot;
    assert(plot->num_series <= RUNG_PLOT_SERIES);
    extent x;
    extent y;
    extents(plot, &x, &y);
    if (!(x.least <= x.greatest)) {
        return rung_fail(error, RUNG_INVALID, "figure %s has no point to draw", figure->name);
    }
    rung_status status = check_axis(&plot->y, y, figure->name, error);
    if (status == RUNG_OK && plot->groups == NULL) {
        status = check_axis(&plot->x, x, figure->name, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    if (plot->groups != NULL) {
        figure->x = (rung_plot_range){-0.6, (double)plot->num_groups - 0.4, false};
    } else {
        figure->x = rung_plot_range_of(&plot->x, x.least, x.greatest);
    }
    figure->y = rung_plot_range_of(&plot->y, y.least, y.greatest);
    return RUNG_OK;
}

static void put_number(double value, rung_buffer *out)
{
    char digits[RUNG_NUMBER_BYTES];
    rung_buffer_text(out, isfinite(value) ? rung_print_rounded(value, 12, digits) : "NaN");
}

/* The text in one line: what would end it is a space. */
static void put_line(const char *text, const char *doubled, rung_buffer *out)
{
    for (; *text != '\0'; text++) {
        bool control = (unsigned char)*text < ' ' || *text == 0x7f;
        rung_buffer_append(out, text, doubled != NULL && *text == *doubled ? 1 : 0);
        rung_buffer_append(out, control ? " " : text, 1);
    }
}

static void put_quoted(const char *text, rung_buffer *out)
{
    rung_buffer_text(out, "'");
    put_line(text, "'", out);
    rung_buffer_text(out, "'");
}

static void put_points(const rung_plot *plot, const rung_plot_series *series, rung_buffer *out)
{
    for (size_t i = 0; i < series->count; i++) {
        put_number(x_of(plot, series, i), out);
        rung_buffer_text(out, " ");
        put_number(series->y[i], out);
        if (series->low != NULL) {
            rung_buffer_text(out, " ");
            put_number(series->low[i], out);
            rung_buffer_text(out, " ");
            put_number(series->high[i], out);
        }
        rung_buffer_text(out, "\n");
    }
}

/* At most CDF_STEPS of the ranks, the first and the last among them. */
static rung_status put_cdf(const rung_plot_series *series, rung_buffer *out, rung_error *error)
{
    double *sorted = rung_alloc(series->count, sizeof *sorted, "the values of a figure", error);
    if (sorted == NULL) {
        return RUNG_NO_MEMORY;
    }
    size_t count = 0;
    for (size_t i = 0; i < series->count; i++) {
        sorted[count] = series->x[i];
        count += isfinite(series->x[i]) ? 1 : 0;
    }
    rung_sort(sorted, count);
    put_number(sorted[0], out);
    rung_buffer_text(out, " 0\n");
    size_t steps = count < CDF_STEPS ? count : CDF_STEPS;
    for (size_t step = 1; step <= steps; step++) {
        size_t rank = (size_t)((double)count * (double)step / (double)steps);
        put_number(sorted[rank - 1], out);
        rung_buffer_text(out, " ");
        put_number((double)rank / (double)count, out);
        rung_buffer_text(out, "\n");
    }
    free(sorted);
    return RUNG_OK;
}

/* A block for each series that has something to draw. */
static rung_status put_data(drawing *figure, rung_error *error)
{
    const rung_plot *plot = figure->plot;
    rung_buffer *out = &figure->data;
    for (size_t s = 0; s < plot->num_series; s++) {
        const rung_plot_series *series = &plot->series[s];
        if (is_empty(plot, series)) {
            continue;
        }
        bool cdf = is_cdf(plot, series);
        rung_buffer_text(out, figure->blocks++ > 0 ? "\n\n# " : "# ");
        put_line(series->name != NULL ? series->name : "", NULL, out);
        rung_buffer_text(out, cdf                   ? ": x, share of values <= x\n"
                              : series->low != NULL ? ": x y low high\n"
                                                    : ": x y\n");
        if (cdf) {
            rung_status status = put_cdf(series, out, error);
            if (status != RUNG_OK) {
                return status;
            }
        } else {
            put_points(plot, series, out);
        }
    }
    return RUNG_OK;
}

static void put_axis(char letter, const rung_plot_axis *axis, rung_plot_range range, rung_buffer *out)
{
    char low[RUNG_NUMBER_BYTES];
    char high[RUNG_NUMBER_BYTES];
    rung_buffer label = {0};
    rung_buffer_text(&label, axis->label);
    if (axis->unit != NULL) {
        rung_buffer_format(&label, " (%s)", axis->unit);
    }
    rung_buffer_format(out, "set %clabel ", letter);
    put_quoted(label.failed ? axis->label : label.data, out);
    rung_buffer_deinit(&label);
    rung_buffer_format(out, "\nset %crange [%s:%s]\n", letter, rung_print_rounded(range.low, 9, low),
                       rung_print_rounded(range.high, 9, high));
    if (range.log) {
        rung_buffer_format(out, "set logscale %c\nset %ctics (", letter, letter);
        rung_plot_log_ticks(range, out);
        rung_buffer_text(out, ")\n");
    }
}

/* The names of the groups below their bars, slanted where they would touch. */
static void put_groups(const rung_plot *plot, rung_buffer *out)
{
    size_t longest = 0;
    for (size_t g = 0; g < plot->num_groups; g++) {
        size_t length = strlen(plot->groups[g]);
        longest = length > longest ? length : longest;
    }
    bool slanted = longest * GROUP_CHARACTERS_PX * plot->num_groups > PLOT_WIDTH_PX;
    rung_buffer_text(out, slanted ? "set xtics rotate by 25 right (" : "set xtics (");
    for (size_t g = 0; g < plot->num_groups; g++) {
        rung_buffer_text(out, g > 0 ? ", " : "");
        put_quoted(plot->groups[g], out);
        rung_buffer_format(out, " %zu", g);
    }
    rung_buffer_text(out, ")\nset xtics scale 0\n");
}

static void put_head(const drawing *figure, rung_buffer *out)
{
    const rung_plot *plot = figure->plot;
    bool legend = plot->diagonal != NULL;
    for (size_t s = 0; s < plot->num_series; s++) {
        legend |= plot->series[s].name != NULL;
    }
    rung_buffer_format(out, "# Draws %s.svg from %s.dat: gnuplot %s.gp in this directory.\n", figure->name,
                       figure->name, figure->name);
    rung_buffer_format(
        out,
        "set encoding utf8\nset terminal svg size %d,%d fixed noenhanced font 'sans-serif,14' background '#ffffff'\n"
        "set output '%s.svg'\n",
        WIDTH_PX, HEIGHT_PX, figure->name);
    rung_buffer_text(out, "set title ");
    put_quoted(plot->title, out);
    rung_buffer_text(out, " font 'sans-serif,16'\n"
                          "set border 3 lc rgb '#555555'\n"
                          "set tics nomirror out scale 0.6 textcolor rgb '#222222'\n"
                          "set rmargin 3\n");
    rung_buffer_text(out, plot->groups != NULL ? "set grid ytics lc rgb '#dddddd' lw 1\n"
                                               : "set grid lc rgb '#dddddd' lw 1\n");
    rung_buffer_text(out, legend ? "set key bmargin center horizontal Left reverse samplen 2 width 0 height 0.6\n"
                                 : "unset key\n");
    put_axis('x', &plot->x, figure->x, out);
    put_axis('y', &plot->y, figure->y, out);
    if (plot->groups != NULL) {
        put_groups(plot, out);
        rung_buffer_format(out, "set boxwidth %.6g\n", 0.92 * BARS_SHARE / (double)plot->num_series);
    }
}

static double pixel(rung_plot_range range, double value, double low_px, double high_px)
{
    return low_px + rung_plot_range_at(range, value) * (high_px - low_px);
}

static size_t characters_of(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        count += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return count;
}

static void put_label(const char *text, double x, double y, rung_plot_place place, rung_buffer *out)
{
    rung_buffer_text(out, "set label ");
    put_quoted(text, out);
    rung_buffer_text(out, " at ");
    put_number(x, out);
    rung_buffer_text(out, ",");
    put_number(y, out);
    /* Offsets are in widths and heights of a character, for gnuplot 8.4 and 14 px of a font of 14. */
    rung_buffer_format(out, " %s offset %.2f,%.2f font 'sans-serif,12' textcolor rgb '#333333' front\n", place.justify,
                       place.dx / 8.4, place.dy / 14.0);
}

/* What labels should not cover. */
typedef struct obstacles {
    rung_plot_box *boxes;
    size_t count;
    size_t capacity;
} obstacles;

static rung_status add_box(obstacles *list, rung_plot_box box, rung_error *error)
{
    void *boxes = list->boxes;
    rung_status status =
        rung_grow(&boxes, &list->capacity, list->count + 1, sizeof box, "the labels of a figure", error);
    if (status == RUNG_OK) {
        list->boxes = boxes;
        list->boxes[list->count++] = box;
    }
    return status;
}

/* Small boxes along a line of the figure, ends in pixels. */
static rung_status add_line(obstacles *list, const double from[2], const double to[2], rung_error *error)
{
    double dx = to[0] - from[0];
    double dy = to[1] - from[1];
    int pieces = (int)fmin(ceil(sqrt(dx * dx + dy * dy) / 6), MOST_PIECES);
    rung_status status = RUNG_OK;
    for (int piece = 1; status == RUNG_OK && piece < pieces; piece++) {
        double x = from[0] + dx * piece / pieces;
        double y = from[1] + dy * piece / pieces;
        status = add_box(list, (rung_plot_box){x - 3, y - 2, x + 3, y + 2}, error);
    }
    return status;
}

static void pixels_of(const drawing *figure, const rung_plot_series *series, size_t i, double at[2])
{
    at[0] = pixel(figure->x, x_of(figure->plot, series, i), frame_px.left, frame_px.right);
    at[1] = pixel(figure->y, series->y[i], frame_px.bottom, frame_px.top);
}

/* The points of a series and the lines between them. */
static rung_status add_series(const drawing *figure, const rung_plot_series *series, obstacles *list, rung_error *error)
{
    bool lines = figure->plot->groups == NULL && series->style != RUNG_PLOT_POINTS;
    bool joined = false;
    double before[2] = {0, 0};
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < series->count; i++) {
        double at[2];
        if (!is_drawn(figure->plot, series, i)) {
            joined = false;
            continue;
        }
        pixels_of(figure, series, i, at);
        status = add_box(list, (rung_plot_box){at[0] - 5, at[1] - 5, at[0] + 5, at[1] + 5}, error);
        if (status == RUNG_OK && joined) {
            status = add_line(list, before, at, error);
        }
        joined = lines;
        before[0] = at[0];
        before[1] = at[1];
    }
    return status;
}

static rung_status put_series_labels(const drawing *figure, const rung_plot_series *series, obstacles *list,
                                     rung_buffer *out, rung_error *error)
{
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < series->count; i++) {
        const char *text = series->labels[i];
        if (text == NULL || !is_drawn(figure->plot, series, i)) {
            continue;
        }
        double at[2];
        pixels_of(figure, series, i, at);
        rung_plot_place place =
            rung_plot_place_label(characters_of(text), at[0], at[1], list->boxes, list->count, frame_px);
        put_label(text, x_of(figure->plot, series, i), series->y[i], place, out);
        status = add_box(list, place.box, error);
    }
    return status;
}

/* Labels keep clear of all points, lines and other labels, as far as there is room. */
static rung_status put_labels(const drawing *figure, rung_buffer *out, rung_error *error)
{
    const rung_plot *plot = figure->plot;
    obstacles list = {0};
    bool labels = false;
    for (size_t s = 0; s < plot->num_series; s++) {
        labels |= plot->series[s].labels != NULL;
    }
    rung_status status = RUNG_OK;
    for (size_t s = 0; labels && status == RUNG_OK && s < plot->num_series; s++) {
        if (!is_cdf(plot, &plot->series[s])) {
            status = add_series(figure, &plot->series[s], &list, error);
        }
    }
    for (size_t s = 0; labels && status == RUNG_OK && s < plot->num_series; s++) {
        if (!is_cdf(plot, &plot->series[s]) && plot->series[s].labels != NULL) {
            status = put_series_labels(figure, &plot->series[s], &list, out, error);
        }
    }
    free(list.boxes);
    return status;
}

/* How gnuplot draws a series; a second pass draws the error bars. */
static void put_style(const rung_plot *plot, const rung_plot_series *series, bool errors, rung_buffer *out)
{
    size_t s = (size_t)(series - plot->series);
    const char *colour = colours[s % COLOURS];
    int point = point_types[s % COLOURS];
    int dash = dash_types[(s + s / COLOURS) % 4];
    if (errors) {
        /* From end to end with crossbars for heads: yerrorbars leave a hole in what lies below their middle. */
        rung_buffer_format(out, "with vectors heads size screen 0.006,90 lw 1.5 lc rgb '%s'",
                           plot->groups != NULL ? "#333333" : colour);
    } else if (plot->groups != NULL) {
        rung_buffer_format(out, "with boxes fillstyle solid 0.9 noborder lc rgb '%s'", colour);
    } else if (series->style == RUNG_PLOT_POINTS) {
        rung_buffer_format(out, "with points pt %d ps 0.8 lc rgb '%s'", point, colour);
    } else if (series->style == RUNG_PLOT_LINES_POINTS) {
        rung_buffer_format(out, "with linespoints lw 2 dt %d pt %d ps 0.8 lc rgb '%s'", dash, point, colour);
    } else {
        rung_buffer_format(out, "with %s lw 2 dt %d lc rgb '%s'", is_cdf(plot, series) ? "steps" : "lines", dash,
                           colour);
    }
}

static void put_plot(const drawing *figure, rung_buffer *out)
{
    const rung_plot *plot = figure->plot;
    const char *separator = "plot ";
    if (plot->diagonal != NULL) {
        rung_buffer_format(out, "%sx with lines lw 1.5 dt 3 lc rgb '#777777' title ", separator);
        put_quoted(plot->diagonal, out);
        separator = ", \\\n    ";
    }
    size_t block = 0;
    for (size_t s = 0; s < plot->num_series; s++) {
        const rung_plot_series *series = &plot->series[s];
        if (is_empty(plot, series)) {
            continue;
        }
        rung_buffer_format(out, "%s'%s.dat' index %zu using 1:2 ", separator, figure->name, block);
        separator = ", \\\n    ";
        put_style(plot, series, false, out);
        rung_buffer_text(out, series->name != NULL ? " title " : " notitle");
        if (series->name != NULL) {
            put_quoted(series->name, out);
        }
        if (series->low != NULL && !is_cdf(plot, series)) {
            rung_buffer_format(out, "%s'%s.dat' index %zu using 1:3:(0):($4-$3) ", separator, figure->name, block);
            put_style(plot, series, true, out);
            rung_buffer_text(out, " notitle");
        }
        block++;
    }
    rung_buffer_text(out, "\nset output\n");
}

static rung_status write_beside(const char *directory, const char *name, const char *ending, const rung_buffer *text,
                                rung_error *error)
{
    rung_buffer path = {0};
    rung_buffer_format(&path, "%s/%s.%s", directory, name, ending);
    rung_status status = rung_buffer_check(&path, "a path", error);
    if (status == RUNG_OK) {
        status = rung_write_file(path.data, text->data, text->length, error);
    }
    rung_buffer_deinit(&path);
    return status;
}

/* gnuplot does not look whether its writes succeed: a whole SVG ends as one. */
static rung_status check_svg(const char *path, rung_error *error)
{
    static const char end[] = "</svg>";
    rung_mapping file;
    rung_status status = rung_map_file(path, &file, error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t size = file.size;
    while (size > 0 && (file.data[size - 1] == '\n' || file.data[size - 1] == ' ')) {
        size--;
    }
    bool whole = size >= strlen(end) && memcmp(file.data + size - strlen(end), end, strlen(end)) == 0;
    rung_unmap_file(&file);
    return whole ? RUNG_OK
                 : rung_fail(error, RUNG_IO, "%s: gnuplot left it incomplete after %zu bytes; is the disk full?", path,
                             size);
}

/* path: of the SVG. What is not whole does not stay. */
static rung_status draw(const drawing *figure, const char *directory, const char *path, const char *gnuplot,
                        bool *drawn, rung_error *error)
{
    rung_buffer script = {0};
    rung_buffer_format(&script, "%s.gp", figure->name);
    rung_status status = rung_buffer_check(&script, "a path", error);
    bool found = false;
    if (status == RUNG_OK) {
        status = rung_gnuplot_run(gnuplot != NULL ? gnuplot : "gnuplot", directory, script.data, GNUPLOT_LIMIT_S,
                                  &found, error);
    }
    if (status == RUNG_OK && found) {
        status = check_svg(path, error);
    }
    if (status != RUNG_OK) {
        unlink(path);
    } else {
        *drawn = found;
    }
    rung_buffer_deinit(&script);
    return status;
}

static rung_status write_files(drawing *figure, const char *directory, const char *gnuplot, bool *drawn,
                               rung_error *error)
{
    rung_buffer svg = {0};
    rung_buffer_format(&svg, "%s/%s.svg", directory, figure->name);
    rung_status status = rung_buffer_check(&svg, "a path", error);
    status = status == RUNG_OK ? rung_check_writable(svg.data, error) : status;
    if (status == RUNG_OK && unlink(svg.data) != 0 && errno != ENOENT) {
        status = rung_fail(error, RUNG_IO, "%s: cannot remove the figure of an earlier run: error %d", svg.data, errno);
    }
    status = status == RUNG_OK ? write_beside(directory, figure->name, "dat", &figure->data, error) : status;
    status = status == RUNG_OK ? write_beside(directory, figure->name, "gp", &figure->script, error) : status;
    status = status == RUNG_OK ? draw(figure, directory, svg.data, gnuplot, drawn, error) : status;
    rung_buffer_deinit(&svg);
    return status;
}

rung_status rung_plot_write(const rung_plot *plot, const char *directory, const char *name, const char *gnuplot,
                            bool *drawn, rung_error *error)
{
    drawing figure = {.plot = plot, .name = name};
    rung_status status = check_name(name, error);
    status = status == RUNG_OK ? find_ranges(&figure, error) : status;
    status = status == RUNG_OK ? put_data(&figure, error) : status;
    if (status == RUNG_OK) {
        put_head(&figure, &figure.script);
        status = put_labels(&figure, &figure.script, error);
        put_plot(&figure, &figure.script);
    }
    status = status == RUNG_OK ? rung_buffer_check(&figure.data, "the data of a figure", error) : status;
    status = status == RUNG_OK ? rung_buffer_check(&figure.script, "the script of a figure", error) : status;
    status = status == RUNG_OK ? write_files(&figure, directory, gnuplot, drawn, error) : status;
    rung_buffer_deinit(&figure.script);
    rung_buffer_deinit(&figure.data);
    return status;
}

void rung_plot_markdown(const char *title, const char *name, bool drawn, rung_buffer *out)
{
    if (drawn) {
        rung_buffer_format(out, "![%s](%s.svg)\n", title, name);
    } else {
        rung_buffer_format(
            out, "%s: not drawn, as gnuplot was not found. `gnuplot %s.gp` in this directory draws it from `%s.dat`.\n",
            title, name, name);
    }
}
