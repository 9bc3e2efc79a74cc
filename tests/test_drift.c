/* test_drift.c: a level that answers what was expected stays within its bounds, one that does not leaves them. */
#include "base/prng.h"
#include "serve/drift.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The share of the looks after each input at which the statistic is beyond 3. */
static double alarms(double expected, double truth, size_t count, uint64_t seed)
{
    rung_prng prng = {seed};
    rung_drift drift = rung_drift_begin(expected);
    size_t beyond = 0;
    for (size_t i = 0; i < count; i++) {
        rung_drift_add(&drift, rung_prng_uniform(&prng) < truth);
        beyond += i >= count / 2 && fabs(rung_drift_sigmas(&drift)) > 3;
    }
    return (double)beyond / (double)(count - count / 2);
}

static void what_was_expected_is_no_drift(void **state)
{
    (void)state;
    assert_true(alarms(0.84, 0.84, 400000, 1) < 0.006);
    assert_true(alarms(0.1, 0.1, 400000, 2) < 0.006);
}

static void another_share_is(void **state)
{
    (void)state;
    assert_true(alarms(0.84, 0.6, 4000, 3) > 0.99);
    assert_true(alarms(0.84, 0.97, 4000, 4) > 0.99);
    rung_drift drift = rung_drift_begin(0.5);
    for (size_t i = 0; i < 2000; i++) {
        rung_drift_add(&drift, true);
    }
    assert_true(drift.mean > 0.99 && rung_drift_sigmas(&drift) > 15);
}

/* The first input alone is one standard deviation away, not twenty. */
static void the_beginning_is_no_alarm(void **state)
{
    (void)state;
    rung_drift drift = rung_drift_begin(0.5);
    assert_true(rung_drift_sigmas(&drift) == 0);
    rung_drift_add(&drift, true);
    assert_true(fabs(rung_drift_sigmas(&drift) - 1) < 1e-9);
}

static void nothing_expected_nothing_watched(void **state)
{
    (void)state;
    static const double never[] = {0, 1, -1};
    for (size_t i = 0; i < 3; i++) {
        rung_drift drift = rung_drift_begin(never[i]);
        rung_drift_add(&drift, true);
        rung_drift_add(&drift, false);
        assert_true(rung_drift_sigmas(&drift) == 0 && drift.mean == never[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_expected_is_no_drift),
        cmocka_unit_test(another_share_is),
        cmocka_unit_test(the_beginning_is_no_alarm),
        cmocka_unit_test(nothing_expected_nothing_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
