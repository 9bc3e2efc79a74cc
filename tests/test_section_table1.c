/* test_section_table1.c: Table I of a small evaluation: the paper's order and figures, the sweeps, ours, and that a second run writes the same. */
#include "eval/section_table1.h"
#include "evaluation_fixture.h"

static void tables(void **state)
{
    (void)state;
    static evaluation_fixture fixture;
    rung_contestants contestants = {0};
    rung_table1 table1 = {0};
    evaluation_fixture_open(&fixture, 10);
    assert_ok(rung_section_contestants(&fixture.evaluation, &fixture.report, &contestants, error));
    assert_ok(rung_section_table1(&fixture.evaluation, &fixture.report, &contestants, &table1, error));
    char *grid = NULL;
    char *sweeps = NULL;
    char *ours = NULL;
    evaluation_read(&fixture, "table1.csv", &grid);
    evaluation_read(&fixture, "table1_sweeps.csv", &sweeps);
    evaluation_read(&fixture, "table1_ours.csv", &ours);
    assert_int_equal(evaluation_count(grid, "\r\n"), 1 + RUNG_TABLE1_TAUS * RUNG_TABLE1_THRESHOLDS);
    assert_non_null(strstr(grid, "\r\n0,0.9,534.7,0.9685,"));
    assert_non_null(strstr(grid, "\r\n1e-05,0.7,473.28,0.861,"));
    assert_int_equal(evaluation_count(sweeps, "\r\n"), 1 + 2 * (4 + 5 + 5));
    assert_non_null(strstr(sweeps, "\r\nalpha,off,"));
    assert_non_null(strstr(sweeps, "\r\nk,hard,"));
    assert_int_equal(evaluation_count(ours, "\r\n"), 1 + 4);
    for (size_t i = 0; i < RUNG_TABLE1_TAUS; i++) {
        for (size_t k = 0; k < RUNG_TABLE1_THRESHOLDS; k++) {
            const rung_table1_cell *cell = &table1.cell[i][k];
            assert_true(cell->mean_ms.low <= cell->mean_ms.value && cell->mean_ms.value <= cell->mean_ms.high);
            assert_true(cell->mean_ms.value == cell->summary.mean_ms);
            assert_true(cell->accuracy.low < cell->accuracy.high && cell->accuracy.value == cell->summary.accuracy);
            assert_int_equal(cell->summary.n, fixture.evaluation.study.report.count);
        }
    }
    /* tau = 0 stops nowhere early, so that no other tau takes as long at level 1. */
    assert_true(table1.cell[0][0].summary.compute_ms >= table1.cell[1][0].summary.compute_ms);
    char *again = NULL;
    assert_ok(rung_section_table1(&fixture.evaluation, &fixture.report, &contestants, &table1, error));
    evaluation_read(&fixture, "table1.csv", &again);
    assert_string_equal(again, grid);
    free(again);
    free(grid);
    free(sweeps);
    free(ours);
    rung_contestants_deinit(&contestants);
    evaluation_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tables)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
