/* test_order.c: sorting and quantiles of few numbers, by hand. */
#include "base/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void sorted_and_ranked(void **state)
{
    (void)state;
    double values[] = {3, -1, 2, 2, 10};
    rung_sort(values, 5);
    const double expected[] = {-1, 2, 2, 3, 10};
    assert_memory_equal(values, expected, sizeof values);
    assert_true(rung_quantile(values, 5, 0) == -1);
    assert_true(rung_quantile(values, 5, 0.5) == 2);
    assert_true(rung_quantile(values, 5, 0.75) == 3);
    assert_true(rung_quantile(values, 5, 0.9) == 10); /* rank 3.6 */
    assert_true(rung_quantile(values, 5, 1) == 10);
    assert_true(rung_quantile(values, 1, 0.3) == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sorted_and_ranked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
