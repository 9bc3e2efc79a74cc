/* test_trace_directory.c: the traces of a directory, in order, and what is refused. */
#include "eval/trace_directory.h"
#include "model_fixture.h"

static void all_traces_by_name(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    fixture_write(directory, "b.csv", "t_s,rtt_ms\n0,20\n1,30\n");
    fixture_write(directory, "a.csv", "t_s,up_bps,down_bps\n0,1000000,2000000\n1,1000000,2000000\n");
    fixture_write(directory, "README.md", "not a trace\n");
    rung_traces traces = {0};
    assert_ok(rung_traces_load(directory, &traces, error));
    assert_int_equal(traces.count, 2);
    assert_string_equal(traces.items[0].name, "a");
    assert_string_equal(traces.items[1].name, "b");
    assert_true(traces.items[0].trace->has[RUNG_TRACE_UP] && !traces.items[0].trace->has[RUNG_TRACE_RTT]);
    assert_true(traces.items[1].trace->mean[RUNG_TRACE_RTT] == 25);
    rung_traces_deinit(&traces);
    fixture_remove(directory);
}

static void refusals(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    rung_traces traces = {0};
    assert_fails(rung_traces_load("/nonexistent", &traces, error), RUNG_NOT_FOUND, "/nonexistent");
    assert_fails(rung_traces_load(directory, &traces, error), RUNG_NOT_FOUND, "has no traces");
    fixture_write(directory, "good.csv", "t_s,rtt_ms\n0,20\n1,30\n");
    fixture_write(directory, "bad.csv", "t_s,rtt_ms\n0,fast\n");
    assert_fails(rung_traces_load(directory, &traces, error), RUNG_INVALID, "bad.csv:2");
    assert_true(traces.count == 0 && traces.items == NULL);
    fixture_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_traces_by_name),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
