/* test_section_headline.c: the headline of a small evaluation: its tables, its goal, and that a second run writes the same. */
#include "eval/section_headline.h"
#include "evaluation_fixture.h"

static void tables_and_goal(void **state)
{
    (void)state;
    static evaluation_fixture fixture;
    rung_contestants contestants = {0};
    rung_pick pick = {.num_tested = 0};
    evaluation_fixture_open(&fixture, 12);
    assert_ok(rung_section_contestants(&fixture.evaluation, &fixture.report, &contestants, error));
    assert_ok(rung_section_headline(&fixture.evaluation, &fixture.report, &contestants, &pick, error));
    char *certified = NULL;
    evaluation_read(&fixture, "headline.csv", &certified);
    char *uncertified = NULL;
    evaluation_read(&fixture, "headline_uncertified.csv", &uncertified);
    assert_int_equal(evaluation_count(certified, "\r\n"), 2 + contestants.count);
    assert_int_equal(evaluation_count(uncertified, "\r\n"), 2 + contestants.count);
    assert_non_null(strstr(certified, "\r\nalways top,by definition,"));
    assert_non_null(strstr(certified, "visit level 3"));
    assert_int_equal(pick.num_tested, contestants.entrants[0].num_front);
    assert_int_equal(fixture.report.num_goals, 1);
    assert_non_null(strstr(fixture.report.goals.data, "against always-top at >= 98 % agreement"));
    assert_non_null(strstr(fixture.report.text.data, "Against tuned Tabi"));
    rung_report again = fixture.report;
    again.text = again.goals = (rung_buffer){0};
    assert_ok(rung_section_headline(&fixture.evaluation, &again, &contestants, NULL, error));
    assert_string_equal(again.goals.data, fixture.report.goals.data);
    assert_non_null(strstr(fixture.report.text.data, again.text.data));
    rung_report_deinit(&again);
    free(certified);
    free(uncertified);
    rung_contestants_deinit(&contestants);
    evaluation_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tables_and_goal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
