/* test_backlog.c: what waits comes out in the order in which it is due. */
#include "base/prng.h"
#include "serve/backlog.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANY 500

static rung_errand *make(double queued_s, double deadline_s, size_t cost_bytes)
{
    rung_errand *errand = calloc(1, sizeof *errand);
    assert_non_null(errand);
    errand->queued_s = queued_s;
    errand->deadline_s = deadline_s;
    errand->cost_bytes = cost_bytes;
    return errand;
}

static void the_earliest_due_comes_first(void **state)
{
    (void)state;
    rung_backlog backlog = {0};
    rung_errand *long_one = make(0, INFINITY, 1000);
    rung_errand *short_one = make(1, INFINITY, 10);
    rung_errand *hurried = make(2, 2.5, 1000);
    rung_errand *late_short_one = make(100, INFINITY, 10);
    rung_backlog_push(&backlog, long_one, 1);
    assert_true(long_one->due_s == RUNG_BACKLOG_STRETCH);
    rung_backlog_push(&backlog, late_short_one, 0.01);
    rung_backlog_push(&backlog, short_one, 0.01);
    rung_backlog_push(&backlog, hurried, 1);
    assert_true(hurried->due_s == 2.5);
    assert_int_equal(backlog.count, 4);
    assert_int_equal(backlog.cost_bytes, 2020);
    assert_true(backlog.since_s == 0);
    assert_ptr_equal(rung_backlog_first(&backlog), short_one);
    rung_errand *const order[] = {short_one, hurried, long_one, late_short_one};
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(rung_backlog_pop(&backlog), order[i]);
        free(order[i]);
    }
    assert_null(rung_backlog_first(&backlog));
    assert_null(rung_backlog_pop(&backlog));
    assert_int_equal(backlog.count, 0);
    assert_int_equal(backlog.cost_bytes, 0);
}

/* Pushed and popped in turn; equal ones in the order in which they came. */
static void any_order_comes_out_sorted(void **state)
{
    (void)state;
    rung_prng prng = {7};
    rung_backlog backlog = {0};
    size_t popped = 0;
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < MANY; i++) {
            rung_backlog_push(&backlog, make(0, (double)rung_prng_below(&prng, 100), 1), 1e3);
        }
        double due_s = -1;
        uint64_t order = 0;
        size_t some = round == 19 ? SIZE_MAX : rung_prng_below(&prng, MANY);
        for (size_t i = 0; i < some && rung_backlog_first(&backlog) != NULL; i++) {
            rung_errand *errand = rung_backlog_pop(&backlog);
            assert_true(errand->due_s > due_s || (errand->due_s == due_s && errand->order > order));
            due_s = errand->due_s;
            order = errand->order;
            free(errand);
            popped++;
        }
    }
    assert_int_equal(popped, 20 * MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_earliest_due_comes_first),
        cmocka_unit_test(any_order_comes_out_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
