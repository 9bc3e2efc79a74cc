/* test_plot.c: the files of a figure, drawn by gnuplot where it is installed; every way in which drawing or writing
 * fails. */
#include "base/file.h"
#include "eval/plot.h"
#include "skip.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/rung-plot-XXXXXX";

#define NO_GNUPLOT "/nonexistent/gnuplot"

static const char *path_of(const char *file)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, file);
    return path;
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL;
}

static int empty_directory(void **state)
{
    (void)state;
    DIR *open = opendir(directory);
    for (struct dirent *entry = readdir(open); entry != NULL; entry = readdir(open)) {
        if (entry->d_name[0] != '.') {
            unlink(path_of(entry->d_name));
        }
    }
    return closedir(open);
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

/* The contents of a file of the directory, to be freed. */
static char *contents(const char *file)
{
    char *text = NULL;
    size_t size;
    rung_error error = {0};
    if (rung_read_file(path_of(file), 1000000, &text, &size, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return text;
}

static void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" is not in:\n%s", part, text);
    }
}

static const double latency_ms[] = {8, 14, 30};
static const double agreement[] = {0.93, NAN, 0.99};
static const double low[] = {0.92, NAN, 0.985};
static const double high[] = {0.94, NAN, 0.995};
static const char *const settings[] = {"t = .7", NULL, "it's `touch x`"};
static const rung_plot_series series[] = {
    {.name = "rung",
     .style = RUNG_PLOT_LINES_POINTS,
     .count = 3,
     .x = latency_ms,
     .y = agreement,
     .low = low,
     .high = high,
     .labels = settings},
    {.name = "nothing", .count = 0, .x = latency_ms, .y = agreement},
    {.style = RUNG_PLOT_POINTS, .count = 1, .x = latency_ms, .y = high},
};
static const rung_plot frontier = {.title = "Agreement, 50 % 'quoted' a_b \\n",
                                   .x = {.label = "mean latency", .unit = "ms", .log = true},
                                   .y = {.label = "agreement"},
                                   .series = series,
                                   .num_series = 3};

static void files_without_gnuplot(void **state)
{
    (void)state;
    rung_error error = {0};
    bool drawn = true;
    assert_int_equal(rung_write_file(path_of("frontier.svg"), "old", 3, &error), RUNG_OK);
    assert_int_equal(rung_plot_write(&frontier, directory, "frontier", NO_GNUPLOT, &drawn, &error), RUNG_OK);
    assert_false(drawn);
    assert_false(rung_path_exists(path_of("frontier.svg"))); /* it would show other data */
    char *data = contents("frontier.dat");
    assert_string_equal(data, "# rung: x y low high\n8 0.93 0.92 0.94\n14 NaN NaN NaN\n30 0.99 0.985 0.995\n"
                              "\n\n# : x y\n8 0.94\n");
    free(data);
    char *script = contents("frontier.gp");
    assert_contains(script, "set output 'frontier.svg'\n");
    assert_contains(script, "set title 'Agreement, 50 % ''quoted'' a_b \\n' font");
    assert_contains(script, "set xlabel 'mean latency (ms)'\n");
    assert_contains(script, "set logscale x\nset xtics (8, 9, 10, 20, 30)\n");
    assert_contains(script, "set label 't = .7' at 8,0.93 ");
    assert_contains(script, "set label 'it''s `touch x`' at 30,0.99 ");
    assert_contains(script, "'frontier.dat' index 1 using 1:2 with points"); /* the empty series has no block */
    assert_contains(script, "notitle\nset output\n");
    free(script);
}

static void grouped_bars(void **state)
{
    (void)state;
    static const char *const groups[] = {"lan", "wifi"};
    static const double a[] = {10, 20};
    static const double b[] = {12, 30};
    static const double a_low[] = {9, 18};
    static const double a_high[] = {11, 23};
    const rung_plot_series bars[] = {{.name = "rung", .count = 2, .y = a, .low = a_low, .high = a_high},
                                     {.name = "Tabi", .count = 2, .y = b}};
    const rung_plot plot = {.title = "Bars",
                            .x = {.label = "network"},
                            .y = {.label = "mean latency", .unit = "ms"},
                            .series = bars,
                            .num_series = 2,
                            .groups = groups,
                            .num_groups = 2};
    rung_error error = {0};
    bool drawn;
    assert_int_equal(rung_plot_write(&plot, directory, "bars", NO_GNUPLOT, &drawn, &error), RUNG_OK);
    char *data = contents("bars.dat");
    assert_contains(data, "-0.2 10 9 11\n0.8 20 18 23\n");
    assert_contains(data, "0.2 12\n1.2 30\n");
    free(data);
    char *script = contents("bars.gp");
    assert_contains(script, "set yrange [0:");
    assert_contains(script, "set xtics ('lan' 0, 'wifi' 1)\n");
    assert_contains(script, "with boxes");
    assert_contains(script, "using 1:3:(0):($4-$3) with vectors");
    free(script);
}

static void distribution(void **state)
{
    (void)state;
    static const double values[] = {3, 1, NAN, 2, 2};
    const rung_plot_series steps[] = {{.name = "all", .style = RUNG_PLOT_CDF, .count = 5, .x = values}};
    rung_plot plot = {.title = "CDF",
                      .x = {.label = "latency", .unit = "ms"},
                      .y = {.label = "share"},
                      .series = steps,
                      .num_series = 1};
    rung_error error = {0};
    bool drawn;
    assert_int_equal(rung_plot_write(&plot, directory, "cdf", NO_GNUPLOT, &drawn, &error), RUNG_OK);
    char *data = contents("cdf.dat");
    assert_string_equal(data, "# all: x, share of values <= x\n1 0\n1 0.25\n2 0.5\n2 0.75\n3 1\n");
    free(data);
    /* Thousands of values: 500 steps, the last value among them. */
    static double many[7001];
    for (size_t i = 0; i < 7001; i++) {
        many[i] = (double)(7001 - i);
    }
    const rung_plot_series long_steps[] = {{.style = RUNG_PLOT_CDF, .count = 7001, .x = many}};
    plot.series = long_steps;
    assert_int_equal(rung_plot_write(&plot, directory, "cdf", NO_GNUPLOT, &drawn, &error), RUNG_OK);
    data = contents("cdf.dat");
    size_t lines = 0;
    for (size_t i = 0; data[i] != '\0'; i++) {
        lines += data[i] == '\n';
    }
    assert_int_equal(lines, 502);
    assert_contains(data, "\n7001 1\n");
    free(data);
}

static void drawn_by_gnuplot(void **state)
{
    (void)state;
    rung_error error = {0};
    bool drawn = false;
    rung_status status = rung_plot_write(&frontier, directory, "frontier", NULL, &drawn, &error);
    if (status == RUNG_OK && !drawn) {
        skip_because("drawn_by_gnuplot", "no-gnuplot");
    }
    if (status != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    char *svg = contents("frontier.svg");
    assert_contains(svg, "Agreement, 50 % 'quoted' a_b \\n");
    assert_contains(svg, "it's `touch x`");
    assert_contains(svg, "mean latency (ms)");
    assert_contains(svg, "width=\"800\" height=\"500\"");
    free(svg);
    assert_false(rung_path_exists(path_of("x")));
    static const double confidence[] = {0.5, 0.75, 1};
    const rung_plot_series bins[] = {{.name = "level 1", .count = 3, .x = confidence, .y = confidence}};
    const rung_plot reliability = {.title = "Reliability",
                                   .x = {.label = "confidence", .low = 0.5, .high = 1},
                                   .y = {.label = "accuracy", .low = 0, .high = 1},
                                   .series = bins,
                                   .num_series = 1,
                                   .diagonal = "calibrated"};
    assert_int_equal(rung_plot_write(&reliability, directory, "reliability", NULL, &drawn, &error), RUNG_OK);
    assert_true(drawn);
    svg = contents("reliability.svg");
    assert_contains(svg, "calibrated");
    free(svg);
}

/* A stand-in for gnuplot that runs these lines of a shell. */
static const char *stand_in(const char *lines)
{
    char text[256];
    int length = snprintf(text, sizeof text, "#!/bin/sh\n%s\n", lines);
    assert_int_equal(rung_write_file(path_of("gnuplot"), text, (size_t)length, NULL), RUNG_OK);
    assert_int_equal(chmod(path_of("gnuplot"), 0755), 0);
    return path_of("gnuplot");
}

static void a_figure_that_is_not_whole_does_not_stay(void **state)
{
    (void)state;
    char program[512];
    rung_error error = {0};
    bool drawn = true;
    snprintf(program, sizeof program, "%s", stand_in("printf '<svg><rect/>' >frontier.svg"));
    assert_int_equal(rung_plot_write(&frontier, directory, "frontier", program, &drawn, &error), RUNG_IO);
    assert_contains(error.message, "frontier.svg: gnuplot left it incomplete after 12 bytes; is the disk full?");
    assert_false(rung_path_exists(path_of("frontier.svg")));
    stand_in("printf '<svg></svg>' >frontier.svg; echo no memory; exit 1");
    assert_int_equal(rung_plot_write(&frontier, directory, "frontier", program, &drawn, &error), RUNG_IO);
    assert_contains(error.message, "frontier.gp: ended with status 1: no memory");
    assert_false(rung_path_exists(path_of("frontier.svg")));
    stand_in(":");
    assert_int_equal(rung_plot_write(&frontier, directory, "frontier", program, &drawn, &error), RUNG_NOT_FOUND);
    assert_contains(error.message, "frontier.svg: cannot open");
    stand_in("printf '<svg></svg>\\n\\n' >frontier.svg");
    assert_true(drawn);
    drawn = false;
    assert_int_equal(rung_plot_write(&frontier, directory, "frontier", program, &drawn, &error), RUNG_OK);
    assert_true(drawn);
}

static void places_that_cannot_be_written(void **state)
{
    (void)state;
    rung_error error = {0};
    bool drawn;
    assert_int_equal(rung_plot_write(&frontier, "/nonexistent", "frontier", NO_GNUPLOT, &drawn, &error),
                     RUNG_NOT_FOUND);
    assert_contains(error.message, "/nonexistent/frontier.svg: cannot create");
    assert_int_equal(rung_plot_write(&frontier, "/proc", "frontier", NO_GNUPLOT, &drawn, &error), RUNG_NOT_FOUND);
    assert_int_equal(rung_write_file(path_of("file"), "", 0, &error), RUNG_OK);
    assert_int_equal(rung_plot_write(&frontier, path_of("file"), "frontier", NO_GNUPLOT, &drawn, &error),
                     RUNG_NOT_FOUND);
    assert_contains(error.message, "Not a directory");
    assert_int_equal(mkdir(path_of("frontier.svg"), 0755), 0);
    assert_int_equal(rung_plot_write(&frontier, directory, "frontier", NO_GNUPLOT, &drawn, &error), RUNG_INVALID);
    assert_contains(error.message, "frontier.svg: is not a regular file and is not replaced");
    assert_int_equal(rmdir(path_of("frontier.svg")), 0);
    assert_false(rung_path_exists(path_of("frontier.dat")));
}

/* A limit of file sizes stands for a full disk. */
static void a_full_disk(void **state)
{
    (void)state;
    rung_error error = {0};
    bool drawn;
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit small = {.rlim_cur = 20, .rlim_max = old.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    rung_status status = rung_plot_write(&frontier, directory, "frontier", NO_GNUPLOT, &drawn, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, RUNG_IO);
    assert_contains(error.message, "frontier.dat: cannot write: File too large");
    assert_false(rung_path_exists(path_of("frontier.dat")));
}

static void what_cannot_be_drawn(void **state)
{
    (void)state;
    static const char *const names[] = {"", "a/b", "..", "-e", "it's", "a b"};
    rung_error error = {0};
    bool drawn;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(rung_plot_write(&frontier, directory, names[i], NO_GNUPLOT, &drawn, &error), RUNG_INVALID);
        assert_contains(error.message, "the figure's name \"");
    }
    rung_plot plot = frontier;
    plot.series = &series[1];
    plot.num_series = 1;
    assert_int_equal(rung_plot_write(&plot, directory, "empty", NO_GNUPLOT, &drawn, &error), RUNG_INVALID);
    assert_string_equal(error.message, "figure empty has no point to draw");
    static const double zero[] = {0, 1};
    const rung_plot_series from_zero[] = {{.count = 2, .x = zero, .y = latency_ms}};
    plot.series = from_zero;
    assert_int_equal(rung_plot_write(&plot, directory, "zero", NO_GNUPLOT, &drawn, &error), RUNG_INVALID);
    assert_string_equal(error.message,
                        "figure zero: \"mean latency\" has a logarithmic axis and the value 0; it must be above 0");
    assert_false(rung_path_exists(path_of("zero.dat")));
}

static void in_a_report(void **state)
{
    (void)state;
    rung_buffer out = {0};
    rung_plot_markdown("Latency", "cdf", true, &out);
    assert_string_equal(out.data, "![Latency](cdf.svg)\n");
    rung_buffer_clear(&out);
    rung_plot_markdown("Latency", "cdf", false, &out);
    assert_contains(out.data, "Latency: not drawn, as gnuplot was not found. `gnuplot cdf.gp`");
    rung_buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(files_without_gnuplot, empty_directory),
        cmocka_unit_test_teardown(grouped_bars, empty_directory),
        cmocka_unit_test_teardown(distribution, empty_directory),
        cmocka_unit_test_teardown(drawn_by_gnuplot, empty_directory),
        cmocka_unit_test_teardown(a_figure_that_is_not_whole_does_not_stay, empty_directory),
        cmocka_unit_test_teardown(places_that_cannot_be_written, empty_directory),
        cmocka_unit_test_teardown(a_full_disk, empty_directory),
        cmocka_unit_test(what_cannot_be_drawn),
        cmocka_unit_test(in_a_report),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
