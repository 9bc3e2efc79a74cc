/* test_section_calibration.c: calibration of a small evaluation's decisions: with the study's temperatures at 1, before and after are the same; otherwise
 * before is what the policy says without temperatures. */
#include "eval/section_calibration.h"
#include "evaluation_fixture.h"

#include <math.h>

/* The number in a column (from 0) of the row that begins so; NaN: the cell is empty. */
static double cell(const char *csv, const char *row, size_t column)
{
    const char *at = strstr(csv, row);
    assert_non_null(at);
    at += 2; /* the end of the line before */
    for (; column > 0; column--) {
        at += strcspn(at, ",");
        assert_int_equal(*at, ',');
        at++;
    }
    return *at == ',' || *at == '\r' ? (double)NAN : strtod(at, NULL);
}

enum { REQUESTS = 2, ECE_BEFORE = 4, ECE_AFTER, ECE_CHANCE, NLL_BEFORE, NLL_AFTER, BRIER_BEFORE, BRIER_AFTER };

static char *run(evaluation_fixture *fixture)
{
    rung_pick pick = {.num_tested = 0};
    char *csv = NULL;
    assert_ok(rung_pick_named(&fixture->evaluation, "tangobert", 0.5, &pick, error));
    pick.certified = true;
    assert_ok(rung_section_calibration(&fixture->evaluation, &fixture->report, &pick, error));
    evaluation_read(fixture, "calibration.csv", &csv);
    return csv;
}

static void of_each_level(void **state)
{
    (void)state;
    static evaluation_fixture fixture;
    evaluation_fixture_open(&fixture, 10);
    size_t n = fixture.evaluation.study.report.count;
    char *csv = run(&fixture);
    assert_int_equal(evaluation_count(csv, "\r\n"), 1 + 2 * 3);
    assert_true(cell(csv, "\r\n\"rung, certified\",one", REQUESTS + 1) == (double)n); /* a comma in the name */
    assert_int_equal(fixture.report.num_goals, 2);
    double after = cell(csv, "\r\nrung by default,one", ECE_AFTER);
    assert_true(cell(csv, "\r\nrung by default,one", REQUESTS) == (double)n);
    assert_true(after >= 0 && after <= 1 && cell(csv, "\r\nrung by default,one", ECE_CHANCE) > 0);
    free(csv);
    evaluation_fixture_close(&fixture);
}

/* Temperatures of 1 change nothing; any others are taken back exactly. */
static void before_is_without_temperatures(void **state)
{
    (void)state;
    static evaluation_fixture fixture;
    evaluation_fixture_open(&fixture, 10);
    rung_calibration *calibration = &fixture.evaluation.study.calibration;
    double ones[2 * RUNG_TIMING_MAX_LAYERS];
    double others[2 * RUNG_TIMING_MAX_LAYERS];
    for (size_t i = 0; i < 2 * RUNG_TIMING_MAX_LAYERS; i++) {
        ones[i] = 1;
        others[i] = i < RUNG_TIMING_MAX_LAYERS ? 2.5 : 1.4;
    }
    for (size_t l = 0; l < 3; l++) {
        calibration->level[l].temperature = ones;
        calibration->level[l].shape = ones;
    }
    char *plain = run(&fixture);
    for (size_t l = 0; l < 3; l++) {
        calibration->level[l].temperature = others;
        calibration->level[l].shape = others + RUNG_TIMING_MAX_LAYERS;
    }
    char *fitted = run(&fixture);
    static const char *const row = "\r\n\"rung, certified\",one";
    double nll = cell(plain, row, NLL_AFTER + 1);
    assert_true(fabs(cell(plain, row, NLL_BEFORE + 1) - nll) < 1e-9);
    assert_true(fabs(cell(fitted, row, NLL_BEFORE + 1) - nll) < 1e-6);
    assert_true(fabs(cell(fitted, row, BRIER_BEFORE + 1) - cell(plain, row, BRIER_AFTER + 1)) < 1e-6);
    assert_true(fabs(cell(fitted, row, NLL_AFTER + 1) - nll) > 1e-6);
    free(plain);
    free(fitted);
    evaluation_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(of_each_level),
                                       cmocka_unit_test(before_is_without_temperatures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
