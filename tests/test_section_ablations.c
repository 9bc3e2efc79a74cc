/* test_section_ablations.c: parts taken away and added on a small evaluation: one row for each, the first one against itself. */
#include "eval/section_ablations.h"
#include "evaluation_fixture.h"

static void tables(void **state)
{
    (void)state;
    static evaluation_fixture fixture;
    evaluation_fixture_open(&fixture, 24);
    const double *temperature = fixture.evaluation.study.calibration.level[0].temperature;
    double before = temperature[0];
    assert_ok(rung_section_ablations(&fixture.evaluation, &fixture.report, 0.9, 0.05, error));
    char *away = NULL;
    char *more = NULL;
    evaluation_read(&fixture, "ablations.csv", &away);
    evaluation_read(&fixture, "additions.csv", &more);
    /* This cascade learned no deferral. */
    assert_int_equal(evaluation_count(away, "\r\n"), 1 + 9);
    assert_int_equal(evaluation_count(more, "\r\n"), 1 + 8);
    assert_null(strstr(away, "learned"));
    assert_non_null(strstr(fixture.report.text.data, "no learned deferral"));
    assert_non_null(strstr(away, "\r\nrung,"));
    assert_non_null(strstr(away, ",1,1,1,")); /* its time by its own */
    assert_non_null(strstr(away, "\r\nwithout temperatures,"));
    assert_non_null(strstr(more, "\r\nplain threshold,"));
    assert_ptr_equal(fixture.evaluation.study.calibration.level[0].temperature, temperature);
    assert_true(temperature[0] == before);
    free(away);
    free(more);
    evaluation_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tables)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
