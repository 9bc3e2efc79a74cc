/* test_section_networks.c: presets, traces and speeds on a small evaluation. */
#include "eval/section_networks.h"
#include "evaluation_fixture.h"

static evaluation_fixture fixture;
static rung_contestants contestants;

static int open_all(void **state)
{
    (void)state;
    evaluation_fixture_open(&fixture, 12);
    assert_ok(rung_section_contestants(&fixture.evaluation, &fixture.report, &contestants, error));
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    rung_contestants_deinit(&contestants);
    evaluation_fixture_close(&fixture);
    return 0;
}

static void every_network_has_every_method(void **state)
{
    (void)state;
    char *traces = fixture_directory();
    fixture_write(traces, "5g-walk.csv", "t_s,rtt_ms\n0,20\n1,90\n");
    fixture_write(traces, "train.csv", "t_s,down_bps\n0,100000\n1,900000\n");
    assert_ok(rung_section_networks(&fixture.evaluation, &fixture.report, &contestants, traces, error));
    char *csv = NULL;
    evaluation_read(&fixture, "networks.csv", &csv);
    assert_int_equal(evaluation_count(csv, "\r\n"), 1 + 5 * (5 + 2 + 2));
    assert_int_equal(evaluation_count(csv, "\r\nsatellite,"), 5);
    assert_int_equal(evaluation_count(csv, "\r\ntrace 5g-walk (rest: 5g),"), 5);
    assert_int_equal(evaluation_count(csv, "\r\ntrace train (rest: 4g),"), 5);
    assert_int_equal(evaluation_count(csv, "speeds x 0.5"), 5);
    assert_non_null(strstr(fixture.report.text.data, "with 4 trials"));
    assert_non_null(strstr(fixture.report.text.data, "Over the 9 networks"));
    free(csv);
    fixture_remove(traces);
}

static void a_directory_without_traces(void **state)
{
    (void)state;
    size_t length = fixture.report.text.length;
    assert_fails(rung_section_networks(&fixture.evaluation, &fixture.report, &contestants, "/nonexistent", error),
                 RUNG_NOT_FOUND, "/nonexistent");
    assert_int_equal(fixture.report.text.length, length);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_network_has_every_method),
        cmocka_unit_test(a_directory_without_traces),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
