/* test_schedule.c: a thread that asks for short slices keeps its policy and its priority. */
#include "base/schedule.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

static void all_else_stays(void **state)
{
    (void)state;
    assert_int_equal(setpriority(PRIO_PROCESS, 0, 3), 0);
    bool known = rung_schedule_short_slices();
    errno = 0;
    assert_int_equal(getpriority(PRIO_PROCESS, 0), 3);
    assert_int_equal(errno, 0);
    assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
    assert_int_equal(rung_schedule_short_slices(), known);
}

static void another_policy_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0}), 0);
    assert_false(rung_schedule_short_slices());
    assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_else_stays),
        cmocka_unit_test(another_policy_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
