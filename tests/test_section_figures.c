/* test_section_figures.c: the figures of a small evaluation: their data, and the strips that need no other program. */
#include "eval/section_figures.h"
#include "evaluation_fixture.h"

static void figures(void **state)
{
    (void)state;
    static const char *const data[] = {"fig4_offload.dat",       "fig8_time.dat",   "fig9_accuracy.dat", "exits.dat",
                                       "frontier_agreement.dat", "latency_cdf.dat", "frontier.csv",      "exits.gp",
                                       "frontier_accuracy.dat"};
    static evaluation_fixture fixture;
    rung_contestants contestants = {0};
    rung_table1 table1 = {0};
    rung_pick pick = {.num_tested = 0};
    evaluation_fixture_open(&fixture, 10);
    assert_ok(rung_section_contestants(&fixture.evaluation, &fixture.report, &contestants, error));
    assert_ok(rung_section_table1(&fixture.evaluation, &fixture.report, &contestants, &table1, error));
    assert_ok(rung_pick_top(&fixture.evaluation, &pick, error));
    assert_ok(rung_section_figures(&fixture.evaluation, &fixture.report, &contestants, &table1, &pick, error));
    for (size_t i = 0; i < sizeof data / sizeof data[0]; i++) {
        char *text = NULL;
        evaluation_read(&fixture, data[i], &text);
        assert_true(strlen(text) > 20);
        free(text);
    }
    size_t front = 0;
    for (size_t m = 0; m < contestants.count; m++) {
        front += contestants.entrants[m].num_front;
    }
    char *points = NULL;
    evaluation_read(&fixture, "frontier.csv", &points);
    assert_int_equal(evaluation_count(points, "\r\n"), 1 + front);
    free(points);
    /* The made-up texts have fewer words than a readable one needs, or a strip for each level below the top. */
    size_t strips = evaluation_count(fixture.report.text.data, "![fig6_text");
    assert_true(strips % 2 == 0);
    assert_int_equal(strips / 2 + evaluation_count(fixture.report.text.data, "no figure 6"), 2);
    rung_contestants_deinit(&contestants);
    evaluation_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(figures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
