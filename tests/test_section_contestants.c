/* test_section_contestants.c: all methods tuned on a small evaluation, and the file that lists what was tried. */
#include "eval/section_contestants.h"
#include "evaluation_fixture.h"

#define TRIALS 12

static void every_method_is_tuned(void **state)
{
    (void)state;
    static evaluation_fixture fixture;
    rung_contestants contestants = {0};
    evaluation_fixture_open(&fixture, TRIALS);
    assert_ok(rung_section_contestants(&fixture.evaluation, &fixture.report, &contestants, error));
    assert_int_equal(contestants.count, 13);
    assert_string_equal(contestants.entrants[0].method.name, "rung");
    assert_ptr_equal(rung_contestants_find(&contestants, "tabi"), &contestants.entrants[1]);
    assert_null(rung_contestants_find(&contestants, "none"));
    size_t tried = 0;
    size_t on_front = 0;
    for (size_t i = 0; i < contestants.count; i++) {
        const rung_entrant *entrant = &contestants.entrants[i];
        assert_true(entrant->candidates.count > 0 && entrant->candidates.count <= TRIALS);
        assert_true(entrant->num_front > 0);
        tried += entrant->candidates.count;
        on_front += entrant->num_front;
    }
    char *csv = NULL;
    evaluation_read(&fixture, "candidates.csv", &csv);
    assert_int_equal(evaluation_count(csv, "\r\n"), 1 + tried);
    assert_non_null(
        strstr(csv, "method,number,on front,tuned mean (ms),tuned p95 (ms),tuned accuracy,tuned agreement,"));
    assert_non_null(strstr(csv, "exit rule"));
    size_t marked = 0;
    for (const char *line = strstr(csv, "\r\n"); line != NULL && line[2] != '\0'; line = strstr(line + 2, "\r\n")) {
        const char *second = strchr(strchr(line, ',') + 1, ',');
        marked += second[1] == '1';
    }
    assert_int_equal(marked, on_front);
    assert_non_null(strstr(fixture.report.text.data, "## Contestants\n"));
    assert_non_null(strstr(fixture.report.text.data, "12 trials on the 60 rows to tune on"));
    free(csv);
    rung_contestants_deinit(&contestants);
    assert_int_equal(contestants.count, 0);
    evaluation_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_method_is_tuned)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
