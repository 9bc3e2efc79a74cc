/* test_section_paper.c: the race of frontiers on a small evaluation. */
#include "eval/section_paper.h"
#include "evaluation_fixture.h"

static void grid_swept_and_ours(void **state)
{
    (void)state;
    static evaluation_fixture fixture;
    rung_contestants contestants = {0};
    evaluation_fixture_open(&fixture, 12);
    assert_ok(rung_section_contestants(&fixture.evaluation, &fixture.report, &contestants, error));
    assert_ok(rung_section_paper(&fixture.evaluation, &fixture.report, &contestants, error));
    char *points = NULL;
    evaluation_read(&fixture, "paper_points.csv", &points);
    char *races = NULL;
    evaluation_read(&fixture, "paper_frontier.csv", &races);
    assert_int_equal(evaluation_count(points, "\r\ngrid,"), 12);
    assert_int_equal(evaluation_count(points, "\r\nours,"), 1 + contestants.entrants[0].num_front);
    assert_int_equal(evaluation_count(points, "\r\nours,the top level alone,"), 1);
    assert_int_equal(evaluation_count(points, "\"tau = 1e-05, t = 0.7\""), 1);
    assert_int_equal(evaluation_count(races, "\r\n"), 1 + 2 * 9);
    assert_int_equal(fixture.report.num_goals, 2);
    free(points);
    free(races);
    rung_contestants_deinit(&contestants);
    evaluation_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(grid_swept_and_ours)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
