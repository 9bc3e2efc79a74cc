/* test_trace_context.c: request ids and W3C trace headers: what is passed on, and what is dropped. */
#include "net/trace_context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

static void fill(char *text, size_t length)
{
    memset(text, 'a', length);
    text[length] = '\0';
}

static void request_ids(void **state)
{
    (void)state;
    char long_id[RUNG_REQUEST_ID_BYTES + 1];
    char one[RUNG_REQUEST_ID_BYTES];
    char other[RUNG_REQUEST_ID_BYTES];
    fill(long_id, 128);
    assert_true(rung_request_id_valid(long_id));
    fill(long_id, 129);
    assert_false(rung_request_id_valid(long_id));
    assert_true(rung_request_id_valid("a-1 {}"));
    assert_false(rung_request_id_valid(NULL));
    assert_false(rung_request_id_valid(""));
    assert_false(rung_request_id_valid("a\tb"));
    assert_false(rung_request_id_valid("a\xc3\xa4"));
    rung_request_id_make(7, 1, one);
    assert_int_equal(strlen(one), 16);
    assert_int_equal(strspn(one, "0123456789abcdef"), 16);
    rung_request_id_make(7, 1, other);
    assert_string_equal(one, other);
    rung_request_id_make(7, 2, other);
    assert_string_not_equal(one, other);
}

static void parents_that_are_passed_on(void **state)
{
    (void)state;
    static const char *const good[] = {
        "00-" TRACE "-" SPAN "-01",
        "00-" TRACE "-" SPAN "-ff",
        "01-" TRACE "-" SPAN "-01",
        "fe-" TRACE "-" SPAN "-01-what-comes",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char id[RUNG_TRACE_ID_BYTES] = "";
        assert_true(rung_trace_parent_read(good[i], id));
        assert_string_equal(id, TRACE);
    }
}

static void parents_that_are_dropped(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "00",
        "00-" TRACE "-" SPAN "-0",
        "00-" TRACE "-" SPAN "-01-more",
        "00-" TRACE "-" SPAN "-01 ",
        "01-" TRACE "-" SPAN "-01x",
        "01-" TRACE "-" SPAN "-01-\xc3\xa4",
        "ff-" TRACE "-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-4BF92F3577b34da6a3ce929d0e0e4736-" SPAN "-01",
        "00-" TRACE "-00F067aa0ba902b7-01",
        "00-" TRACE "_" SPAN "-01",
        "00_" TRACE "-" SPAN "-01",
        "00-" TRACE "-" SPAN "_01",
        "0g-" TRACE "-" SPAN "-01",
        "00-" TRACE "-" SPAN "-0G",
    };
    char id[RUNG_TRACE_ID_BYTES] = "before";
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (rung_trace_parent_read(bad[i], id)) {
            fail_msg("%s", bad[i]);
        }
    }
    char longest[RUNG_TRACE_PARENT_BYTES + 1];
    memcpy(longest, "01-" TRACE "-" SPAN "-01-", 57);
    fill(longest + 56, RUNG_TRACE_PARENT_BYTES - 56);
    assert_false(rung_trace_parent_read(longest, id));
    assert_false(rung_trace_parent_read(NULL, id));
    assert_string_equal(id, "before");
    longest[RUNG_TRACE_PARENT_BYTES - 1] = '\0';
    assert_true(rung_trace_parent_read(longest, id));
}

static void trace_states(void **state)
{
    (void)state;
    char text[RUNG_TRACE_STATE_BYTES + 1];
    fill(text, 512);
    assert_true(rung_trace_state_valid(text));
    fill(text, 513);
    assert_false(rung_trace_state_valid(text));
    assert_true(rung_trace_state_valid("rojo=00f067aa0ba902b7, congo=t61rcWkgMzE"));
    assert_false(rung_trace_state_valid(NULL));
    assert_false(rung_trace_state_valid("a=\x7f"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_ids),
        cmocka_unit_test(parents_that_are_passed_on),
        cmocka_unit_test(parents_that_are_dropped),
        cmocka_unit_test(trace_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
