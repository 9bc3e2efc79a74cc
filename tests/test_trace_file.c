/* test_trace_file.c: CSV files as traces: the form, every refusal with its place, and measured files where they are at hand. */
#include "config/trace_file.h"
#include "skip.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rung_link_trace *parse(const char *text)
{
    rung_link_trace *trace = NULL;
    rung_error error = {0};
    rung_status status = rung_trace_file_parse(text, strlen(text), "t.csv", &trace, &error);
    assert_string_equal(error.message, "");
    assert_int_equal(status, RUNG_OK);
    return trace;
}

static void refuse_bytes(const char *text, size_t bytes, rung_status expected, const char *message)
{
    rung_link_trace *trace = NULL;
    rung_error error = {0};
    assert_int_equal(rung_trace_file_parse(text, bytes, "t.csv", &trace, &error), expected);
    assert_string_equal(error.message, message);
    assert_null(trace);
    assert_int_equal(rung_trace_file_parse(text, bytes, "t.csv", &trace, NULL), expected);
}

static void refuse(const char *text, const char *message)
{
    refuse_bytes(text, strlen(text), RUNG_INVALID, message);
}

static void form(void **state)
{
    (void)state;
    rung_link_trace *trace = parse("\xEF\xBB\xBF# measured on a roof\r\n"
                                   "\r\n"
                                   "t_s, up_bps ,mode,loss\r\n"
                                   "0,1e6,5G,0\r\n"
                                   "  \t\n"
                                   "1,,\"LTE\",0.5\n"
                                   "# a pause\n"
                                   "1,3000000,,\n"
                                   "4, 0 , 5G NR , 1"); /* no newline at the end */
    assert_int_equal(trace->num_rows, 3);
    assert_true(trace->duration_s == 7);
    assert_true(trace->has[RUNG_TRACE_UP] && trace->has[RUNG_TRACE_LOSS]);
    assert_true(!trace->has[RUNG_TRACE_DOWN] && !trace->has[RUNG_TRACE_RTT]);
    const double up_bps[] = {1e6, 3e6, 0};
    const double loss[] = {0, 0.5, 1};
    for (size_t i = 0; i < 3; i++) {
        assert_true(trace->row[i].value[RUNG_TRACE_UP] == up_bps[i]);
        assert_true(trace->row[i].value[RUNG_TRACE_LOSS] == loss[i]);
    }
    rung_link_trace_free(trace);
    trace = parse("rtt_ms,t_s\n5,0\n"); /* columns in any order */
    assert_true(trace->has[RUNG_TRACE_RTT] && trace->row[0].value[RUNG_TRACE_RTT] == 5);
    rung_link_trace_free(trace);
    trace = parse("t_s,rtt_ms,up_bps\n0,,\n1,7,\n2,,\n"); /* a column without a value is not measured */
    assert_true(trace->has[RUNG_TRACE_RTT] && !trace->has[RUNG_TRACE_UP]);
    rung_link_trace_free(trace);
}

static void headers(void **state)
{
    (void)state;
    refuse("", "t.csv:1: is empty; the first line names the columns, as in t_s,up_bps,down_bps,rtt_ms,loss");
    refuse("\n# nothing\n\n",
           "t.csv:1: is empty; the first line names the columns, as in t_s,up_bps,down_bps,rtt_ms,loss");
    refuse("t_s,upbps\n",
           "t.csv:1: 'upbps' is not a column; they are t_s, up_bps, down_bps, rtt_ms, loss and mode; did "
           "you mean 'up_bps'?");
    refuse("t_s,\n", "t.csv:1: '' is not a column; they are t_s, up_bps, down_bps, rtt_ms, loss and mode");
    refuse("0,1,2\n", "t.csv:1: '0' is not a column; they are t_s, up_bps, down_bps, rtt_ms, loss and mode");
    refuse("# c\nt_s,loss,loss\n", "t.csv:2: column loss stands there twice");
    refuse("up_bps,loss\n", "t.csv:1: column t_s (seconds from the start) is missing");
    refuse("t_s,loss\n", "t.csv:1: has no rows");
    refuse("t_s,mode\n0,5G\n", "t.csv:2: no row has a value in up_bps, down_bps, rtt_ms or loss");
}

static void rows(void **state)
{
    (void)state;
    refuse("t_s,loss\n0,0\n1\n", "t.csv:3: has 1 cell; the first line names 2 columns");
    refuse("t_s,loss\n0,0,0\n", "t.csv:2: has 3 cells; the first line names 2 columns");
    refuse("t_s,loss\n,0\n", "t.csv:2: t_s: '' is not a number");
    refuse("t_s,loss\n0,0\n\nx,0\n", "t.csv:4: t_s: 'x' is not a number");
    refuse("t_s,rtt_ms\n0,nan\n", "t.csv:2: rtt_ms: 'nan' is not a number");
    refuse("t_s,rtt_ms\n0,0x10\n", "t.csv:2: rtt_ms: '0x10' is not a number");
    refuse("t_s,rtt_ms\n0,1e999\n", "t.csv:2: rtt_ms: '1e999' is not a number");
    refuse("t_s,rtt_ms\n0,\"5\"\n", "t.csv:2: rtt_ms: '\"5\"' is not a number");
    refuse("t_s;rtt_ms\n0;5\n",
           "t.csv:1: 't_s;rtt_ms' is not a column; they are t_s, up_bps, down_bps, rtt_ms, loss and mode");
    refuse("t_s,rtt_ms\n0,-5\n", "t.csv:2: rtt_ms: -5 is outside the range: from 0 to 1e+06 ms");
    refuse("t_s,loss\n0,1.01\n", "t.csv:2: loss: 1.01 is outside the range: from 0 to 1");
    refuse("t_s,loss\n0,0\n2,0\n1.5,0\n", "t.csv:4: t_s: 1.5 comes after 2; time must not go back");
    refuse("t_s,down_bps\n0,0\n1,0\n",
           "t.csv:3: down_bps: the mean is 0 bit/s, at which nothing arrives; it must be at least 1");
    static const char nul[] = "t_s,loss\n0,0\n1,0\0,5\n";
    refuse_bytes(nul, sizeof nul - 1, RUNG_INVALID, "t.csv:3: holds a NUL byte, so it is no text");
}

static void limits(void **state)
{
    (void)state;
    size_t bytes = RUNG_TRACE_FILE_MAX_BYTES + 1;
    char *text = malloc(bytes + 1);
    assert_non_null(text);
    memset(text, '\n', bytes);
    text[bytes] = '\0';
    refuse_bytes(text, bytes, RUNG_LIMIT, "t.csv: has 16777217 bytes; the limit is 16777216");
    size_t at = (size_t)snprintf(text, bytes, "t_s,loss\n");
    for (size_t i = 0; i <= RUNG_LINK_TRACE_MAX_ROWS; i++) {
        at += (size_t)snprintf(text + at, bytes - at, "%zu,0\n", i);
    }
    refuse_bytes(text, at, RUNG_LIMIT, "t.csv:100002: more than 100000 rows; cut the trace");
    free(text);
}

static void load(const char *directory, const char *name, rung_link_trace **trace)
{
    char path[1024];
    rung_error error = {0};
    snprintf(path, sizeof path, "%s/%s", directory, name);
    rung_status status = rung_trace_file_load(path, trace, &error);
    assert_string_equal(error.message, "");
    assert_int_equal(status, RUNG_OK);
}

static void files(void **state)
{
    (void)state;
    rung_link_trace *trace = NULL;
    rung_error error;
    assert_int_equal(rung_trace_file_load("no/such.csv", &trace, &error), RUNG_NOT_FOUND);
    assert_non_null(strstr(error.message, "no/such.csv: cannot open"));
    assert_int_equal(rung_trace_file_load("tests", &trace, &error), RUNG_INVALID);
    assert_string_equal(error.message, "tests: is not a regular file");
    assert_null(trace);
    load("examples/links", "starlink.csv", &trace);
    assert_true(trace->has[RUNG_TRACE_RTT] && trace->has[RUNG_TRACE_LOSS] && !trace->has[RUNG_TRACE_UP]);
    assert_true(trace->num_rows > 500 && trace->num_rows <= 600);
    assert_true(fabs(trace->mean[RUNG_TRACE_RTT] - 26.3) < 3);
    rung_link_trace_free(trace);
}

static void measured_traces(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t min_rows;
        bool has[RUNG_TRACE_COLUMNS];
    } traces[] = {
        {"5g-lte-driving.csv", 3000, {false, true, true, true}},
        {"5g-static.csv", 5000, {false, true, true, true}},
        {"lte-driving-att.csv", 780, {true, true, false, false}},
        {"lte-hspa-driving.csv", 800, {false, true, true, true}},
        {"lte-static-verizon.csv", 130, {true, true, false, false}},
        {"starlink.csv", 3400, {false, false, true, true}},
        {"umts-driving-tmobile.csv", 900, {true, true, false, false}},
    };
    const char *shared = getenv("RUNG_SHARED");
    if (shared == NULL) {
        skip_because("measured_traces", "no-shared");
    }
    char directory[512];
    snprintf(directory, sizeof directory, "%s/data/links", shared);
    for (size_t i = 0; i < sizeof traces / sizeof traces[0]; i++) {
        rung_link_trace *trace = NULL;
        load(directory, traces[i].name, &trace);
        assert_true(trace->num_rows >= traces[i].min_rows && trace->duration_s >= (double)trace->num_rows);
        for (size_t c = 0; c < RUNG_TRACE_COLUMNS; c++) {
            assert_true(trace->has[c] == traces[i].has[c]);
            assert_true(!trace->has[c] || isfinite(trace->row[0].value[c]));
        }
        rung_link_trace_free(trace);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(form),   cmocka_unit_test(headers), cmocka_unit_test(rows),
        cmocka_unit_test(limits), cmocka_unit_test(files),   cmocka_unit_test(measured_traces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
