/* test_section_tabi.c: the comparison with Tabi on a small evaluation. */
#include "eval/section_tabi.h"
#include "evaluation_fixture.h"

static void two_networks_of_five_pairs(void **state)
{
    (void)state;
    static evaluation_fixture fixture;
    rung_contestants contestants = {0};
    evaluation_fixture_open(&fixture, 12);
    assert_ok(rung_section_contestants(&fixture.evaluation, &fixture.report, &contestants, error));
    assert_ok(rung_section_tabi(&fixture.evaluation, &fixture.report, &contestants, error));
    char *csv = NULL;
    evaluation_read(&fixture, "tabi.csv", &csv);
    assert_int_equal(evaluation_count(csv, "\r\n"), 1 + 2 * 5);
    assert_int_equal(evaluation_count(csv, "\r\nwifi,"), 5);
    assert_int_equal(evaluation_count(csv, "\r\n4g,"), 5);
    assert_int_equal(evaluation_count(csv, "\"the paper's, t = 0.8, k = 10\""), 2);
    assert_int_equal(fixture.report.num_goals, 6);
    free(csv);
    rung_contestants_deinit(&contestants);
    evaluation_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(two_networks_of_five_pairs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
