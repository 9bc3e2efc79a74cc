/* test_report.c: what the sections of a report write: text, tables in their own files, figures and goals. */
#include "eval/report.h"
#include "model_fixture.h"

static char *read_file(const char *directory, const char *name)
{
    char *path = fixture_join(directory, name);
    char *text = NULL;
    size_t size;
    assert_ok(rung_read_file(path, 1 << 20, &text, &size, error));
    free(path);
    return text;
}

static void a_whole_report(void **state)
{
    (void)state;
    static const rung_column columns[] = {{.name = "method", .kind = RUNG_COLUMN_TEXT},
                                          {.name = "mean", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 1}};
    char *directory = fixture_directory();
    rung_report report = {.directory = directory, .has_gnuplot = true};
    rung_table table;
    rung_report_heading(&report, 1, "Evaluation");
    rung_report_goals_here(&report);
    rung_report_heading(&report, 2, "Times");
    rung_report_text(&report, "%d rows, 5 %% of them", 12);
    rung_table_init(&table, columns, 2);
    rung_table_text(&table, "rung");
    rung_table_number(&table, 1.25);
    assert_ok(rung_report_table(&report, &table, "times", error));
    assert_ok(rung_report_csv(&report, &table, "hidden", error));
    rung_table_deinit(&table);
    rung_report_figure(&report, "curve", "of times");
    rung_report_goal(&report, true, "a is %d.", 1);
    rung_report_goal(&report, false, "b is %d.", 2);
    assert_ok(rung_report_finish(&report, error));
    assert_true(report.num_goals == 2 && report.num_reached == 1 && report.num_figures == 1);
    char *text = read_file(directory, "report.md");
    assert_string_equal(text, "# Evaluation\n\n"
                              "- **Reached:** a is 1.\n- **Not reached:** b is 2.\n\n"
                              "## Times\n\n12 rows, 5 % of them\n\n"
                              "| method | mean (ms) |\n| ------ | --------: |\n| rung   |       1.2 |\n"
                              "\nAll digits: [times.csv](times.csv).\n\n"
                              "![curve](curve.svg)\n\n*Figure 1: of times*\n\n"
                              "**Reached:** a is 1.\n\n**Not reached:** b is 2.\n\n");
    free(text);
    text = read_file(directory, "times.csv");
    assert_string_equal(text, "method,mean (ms)\r\nrung,1.25\r\n");
    free(text);
    text = read_file(directory, "hidden.csv");
    assert_string_equal(text, "method,mean (ms)\r\nrung,1.25\r\n");
    free(text);
    rung_report_deinit(&report);
    fixture_remove(directory);
}

static void without_gnuplot_there_are_no_figures(void **state)
{
    (void)state;
    rung_report report = {.directory = "."};
    rung_report_figure(&report, "curve", "of times");
    assert_true(report.text.length == 0 && report.num_figures == 0);
    rung_report_deinit(&report);
}

static void refusals(void **state)
{
    (void)state;
    static const rung_column columns[] = {{.name = "method", .kind = RUNG_COLUMN_TEXT}};
    rung_report report = {.directory = "/nonexistent"};
    rung_table table;
    rung_table_init(&table, columns, 1);
    assert_fails(rung_report_table(&report, &table, "times", error), RUNG_NOT_FOUND, "/nonexistent/times.csv");
    assert_int_equal(report.text.length, 0);
    rung_table_deinit(&table);
    assert_fails(rung_report_finish(&report, error), RUNG_NOT_FOUND, "/nonexistent/report.md");
    report.text.failed = true;
    assert_fails(rung_report_finish(&report, error), RUNG_NO_MEMORY, "report");
    rung_report_deinit(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_report),
        cmocka_unit_test(without_gnuplot_there_are_no_figures),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
