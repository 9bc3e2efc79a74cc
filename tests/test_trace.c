/* test_trace.c: rows into a trace, what is refused, and the row of a moment. */
#include "link/trace.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static rung_link_trace *new_trace(void)
{
    rung_link_trace *trace = NULL;
    assert_int_equal(rung_link_trace_new(&trace, NULL), RUNG_OK);
    return trace;
}

static void add(rung_link_trace *trace, double t_s, double up_bps, double rtt_ms)
{
    const double value[RUNG_TRACE_COLUMNS] = {up_bps, NAN, rtt_ms, NAN};
    rung_error error;
    assert_int_equal(rung_link_trace_add(trace, t_s, value, &error), RUNG_OK);
}

static void refuse_row(rung_link_trace *trace, double t_s, double up_bps, double rtt_ms, const char *message)
{
    const double value[RUNG_TRACE_COLUMNS] = {up_bps, NAN, rtt_ms, NAN};
    size_t rows = trace->num_rows;
    rung_error error = {0};
    assert_int_equal(rung_link_trace_add(trace, t_s, value, &error), RUNG_INVALID);
    assert_string_equal(error.message, message);
    assert_int_equal(trace->num_rows, rows);
}

static void gaps_hold_and_repeats_replace(void **state)
{
    (void)state;
    rung_link_trace *trace = new_trace();
    add(trace, 10.3, 0, NAN);
    add(trace, 11.3, 2000, 30);
    add(trace, 11.3, NAN, 50); /* the same moment: its round trip replaces the row's, its gap does not */
    add(trace, 15.3, 4000, NAN);
    add(trace, 17.3, NAN, 70);
    assert_int_equal(rung_link_trace_finish(trace, NULL), RUNG_OK);
    assert_int_equal(trace->num_rows, 4);
    assert_true(fabs(trace->duration_s - 9) < 1e-12); /* the last row is as long as the one before it: 2 s */
    assert_true(trace->has[RUNG_TRACE_UP] && trace->has[RUNG_TRACE_RTT]);
    assert_true(!trace->has[RUNG_TRACE_DOWN] && !trace->has[RUNG_TRACE_LOSS]);
    const double up_bps[] = {0, 2000, 4000, 4000};
    const double rtt_ms[] = {50, 50, 50, 70};
    for (size_t i = 0; i < 4; i++) {
        assert_true(trace->row[i].value[RUNG_TRACE_UP] == up_bps[i]);
        assert_true(trace->row[i].value[RUNG_TRACE_RTT] == rtt_ms[i]);
    }
    assert_true(fabs(trace->mean[RUNG_TRACE_UP] - (4 * 2000 + 4 * 4000) / 9.0) < 1e-9);
    assert_true(fabs(trace->mean[RUNG_TRACE_RTT] - (7 * 50 + 2 * 70) / 9.0) < 1e-9);
    rung_link_trace_free(trace);
    rung_link_trace_free(NULL);
}

static void moments(void **state)
{
    (void)state;
    rung_link_trace *trace = new_trace();
    add(trace, 5, 1000, NAN);
    add(trace, 6, 2000, NAN);
    add(trace, 9, 3000, NAN);
    assert_int_equal(rung_link_trace_finish(trace, NULL), RUNG_OK);
    static const struct {
        double t_s, up_bps, until_s;
    } cases[] = {{0, 1000, 1},   {0.999, 1000, 1}, {1, 2000, 4},   {3.5, 2000, 4},  {4, 3000, 7},
                 {6.5, 3000, 7}, {7, 1000, 8},     {70, 1000, 71}, {74.5, 3000, 77}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double until_s;
        const rung_link_trace_row *row = rung_link_trace_at(trace, cases[i].t_s, &until_s);
        assert_true(row->value[RUNG_TRACE_UP] == cases[i].up_bps);
        assert_true(fabs(until_s - cases[i].until_s) < 1e-12);
        assert_ptr_equal(rung_link_trace_at(trace, cases[i].t_s, NULL), row);
    }
    rung_link_trace_free(trace);
    /* One row is a link that never changes. */
    trace = new_trace();
    add(trace, 1e9, 1, NAN);
    assert_int_equal(rung_link_trace_finish(trace, NULL), RUNG_OK);
    assert_true(trace->duration_s == 1);
    assert_true(rung_link_trace_at(trace, 12345.5, NULL)->value[RUNG_TRACE_UP] == 1);
    rung_link_trace_free(trace);
}

/* Every row is found by its own moment, at any number of rows. */
static void search_finds_each_row(void **state)
{
    (void)state;
    for (size_t rows = 1; rows < 40; rows++) {
        rung_link_trace *trace = new_trace();
        for (size_t i = 0; i < rows; i++) {
            add(trace, (double)(i * i), 1000 + (double)i, NAN);
        }
        assert_int_equal(rung_link_trace_finish(trace, NULL), RUNG_OK);
        for (size_t i = 0; i < rows; i++) {
            assert_ptr_equal(rung_link_trace_at(trace, (double)(i * i), NULL), &trace->row[i]);
            assert_ptr_equal(rung_link_trace_at(trace, (double)(i * i) + 0.5, NULL), &trace->row[i]);
        }
        rung_link_trace_free(trace);
    }
}

static void refusals(void **state)
{
    (void)state;
    rung_error error = {0};
    rung_link_trace *trace = new_trace();
    assert_int_equal(rung_link_trace_finish(trace, &error), RUNG_INVALID);
    assert_string_equal(error.message, "has no rows");
    refuse_row(trace, -1, 1000, NAN, "t_s: -1 is outside the range: from 0 to 1e+09 s");
    refuse_row(trace, NAN, 1000, NAN, "t_s: nan is outside the range: from 0 to 1e+09 s");
    refuse_row(trace, 2e9, 1000, NAN, "t_s: 2e+09 is outside the range: from 0 to 1e+09 s");
    add(trace, 7, NAN, NAN);
    refuse_row(trace, 6.5, 1000, NAN, "t_s: 6.5 comes after 7; time must not go back");
    refuse_row(trace, 8, -1, NAN, "up_bps: -1 is outside the range: 0, or from 1 to 1e+12 bit/s");
    refuse_row(trace, 8, 0.5, NAN, "up_bps: 0.5 is outside the range: 0, or from 1 to 1e+12 bit/s");
    refuse_row(trace, 8, INFINITY, NAN, "up_bps: inf is outside the range: 0, or from 1 to 1e+12 bit/s");
    refuse_row(trace, 8, 1000, 2e6, "rtt_ms: 2e+06 is outside the range: from 0 to 1e+06 ms");
    const double lossy[RUNG_TRACE_COLUMNS] = {NAN, NAN, NAN, 1.5};
    assert_int_equal(rung_link_trace_add(trace, 8, lossy, &error), RUNG_INVALID);
    assert_string_equal(error.message, "loss: 1.5 is outside the range: from 0 to 1");
    assert_int_equal(rung_link_trace_finish(trace, &error), RUNG_INVALID);
    assert_string_equal(error.message, "no row has a value in up_bps, down_bps, rtt_ms or loss");
    add(trace, 8, 0, NAN);
    assert_int_equal(rung_link_trace_finish(trace, &error), RUNG_INVALID);
    assert_string_equal(error.message, "up_bps: the mean is 0 bit/s, at which nothing arrives; it must be at least 1");
    add(trace, 9, 1e6, NAN); /* a refusal leaves the trace open */
    assert_int_equal(rung_link_trace_finish(trace, &error), RUNG_OK);
    rung_link_trace_free(trace);
}

static void too_many_rows(void **state)
{
    (void)state;
    rung_link_trace *trace = new_trace();
    for (size_t i = 0; i < RUNG_LINK_TRACE_MAX_ROWS; i++) {
        add(trace, (double)i, 1000, NAN);
    }
    const double value[RUNG_TRACE_COLUMNS] = {1000, NAN, NAN, NAN};
    rung_error error = {0};
    assert_int_equal(rung_link_trace_add(trace, 1e6, value, &error), RUNG_LIMIT);
    assert_string_equal(error.message, "more than 100000 rows; cut the trace");
    add(trace, RUNG_LINK_TRACE_MAX_ROWS - 1, 3000, NAN); /* a repeat is no new row */
    assert_int_equal(rung_link_trace_finish(trace, NULL), RUNG_OK);
    assert_true(trace->row[trace->num_rows - 1].value[RUNG_TRACE_UP] == 3000);
    rung_link_trace_free(trace);
}

static void names(void **state)
{
    (void)state;
    static const char *const expected[RUNG_TRACE_COLUMNS] = {"up_bps", "down_bps", "rtt_ms", "loss"};
    for (unsigned c = 0; c < RUNG_TRACE_COLUMNS; c++) {
        assert_string_equal(rung_trace_column_name((rung_trace_column)c), expected[c]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gaps_hold_and_repeats_replace),
        cmocka_unit_test(moments),
        cmocka_unit_test(search_finds_each_row),
        cmocka_unit_test(refusals),
        cmocka_unit_test(too_many_rows),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
