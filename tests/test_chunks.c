/* test_chunks.c: every row is taken once, progress adds up, and the first failure stops the rest. */
#include "fit/chunks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void note_done(void *context, const char *what, size_t done, size_t total)
{
    assert_string_equal(what, "rows");
    assert_int_equal(total, 10);
    *(size_t *)context = done;
}

static void every_row_once(void **state)
{
    (void)state;
    rung_error error;
    rung_chunks chunks;
    size_t done = 0;
    const rung_progress progress = {.report = note_done, .context = &done};
    rung_chunks_init(&chunks, 10, 4, &progress, "rows");
    size_t first = 99;
    assert_int_equal(rung_chunks_take(&chunks, &first, 0), 4);
    assert_int_equal(first, 0);
    assert_int_equal(rung_chunks_take(&chunks, &first, 4), 4);
    assert_int_equal(first, 4);
    assert_int_equal(rung_chunks_take(&chunks, &first, 4), 2);
    assert_int_equal(first, 8);
    assert_int_equal(rung_chunks_take(&chunks, &first, 2), 0);
    assert_int_equal(done, 10);
    rung_chunks_leave(&chunks, RUNG_OK, &error);
    assert_int_equal(rung_chunks_end(&chunks, &error), RUNG_OK);
}

static void the_first_failure_stops_the_rest(void **state)
{
    (void)state;
    rung_chunks chunks;
    size_t first;
    rung_error error = {0};
    rung_chunks_init(&chunks, 10, 4, NULL, "rows");
    assert_int_equal(rung_chunks_take(&chunks, &first, 0), 4);
    rung_chunks_leave(&chunks, RUNG_INVALID, &(rung_error){.code = RUNG_INVALID, .message = "one"});
    rung_chunks_leave(&chunks, RUNG_LIMIT, &(rung_error){.code = RUNG_LIMIT, .message = "two"});
    assert_int_equal(rung_chunks_take(&chunks, &first, 0), 0);
    assert_int_equal(rung_chunks_end(&chunks, &error), RUNG_INVALID);
    assert_string_equal(error.message, "one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_once),
        cmocka_unit_test(the_first_failure_stops_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
