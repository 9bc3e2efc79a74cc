/* test_report_plot.c: figures of a report: their files, their place in the text, and their numbers. */
#include "eval/report_plot.h"
#include "model_fixture.h"

static void a_plot_and_a_strip(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    rung_report report = {.directory = directory, .has_gnuplot = true};
    const double x[] = {1, 2};
    const double y[] = {3, 4};
    rung_plot_series series = {.name = "s", .style = RUNG_PLOT_LINES, .count = 2, .x = x, .y = y};
    rung_plot plot = {.title = "Title", .x = {.label = "x"}, .y = {.label = "y"}, .series = &series, .num_series = 1};
    const rung_heat_word words[] = {{.text = "word", .text_bytes = 4, .importance = 1}};
    rung_heat_strip strip = {.title = "Strip", .struck_legend = "gone", .words = words, .num_words = 1};
    assert_ok(rung_report_plot(&report, &plot, "line", "a line", error));
    size_t drawn = report.num_figures;
    char *data = fixture_join(directory, "line.dat");
    char *svg = fixture_join(directory, "line.svg");
    assert_true(rung_path_exists(data));
    assert_int_equal(drawn, rung_path_exists(svg)); /* where gnuplot is */
    assert_non_null(strstr(report.text.data, drawn == 1 ? "![line](line.svg)\n\n*Figure 1: a line*" : "line.gp"));
    assert_ok(rung_report_strip(&report, &strip, "strip", "a strip", error));
    assert_int_equal(report.num_figures, drawn + 1);
    assert_non_null(strstr(report.text.data, "![strip](strip.svg)\n\n*Figure "));
    rung_report_deinit(&report);
    free(data);
    free(svg);
    fixture_remove(directory);
}

static void what_cannot_be_written(void **state)
{
    (void)state;
    rung_report report = {.directory = "/nowhere"};
    const rung_heat_word words[] = {{.text = "word", .text_bytes = 4, .importance = 1}};
    rung_heat_strip strip = {.title = "Strip", .struck_legend = "gone", .words = words, .num_words = 1};
    rung_plot nothing = {.title = "Nothing"};
    assert_fails(rung_report_strip(&report, &strip, "strip", "a strip", error), RUNG_NOT_FOUND, "/nowhere/strip.svg");
    assert_fails(rung_report_plot(&report, &nothing, "none", "none", error), RUNG_INVALID, "figure none");
    assert_int_equal(report.num_figures, 0);
    rung_report_deinit(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_plot_and_a_strip), cmocka_unit_test(what_cannot_be_written)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
