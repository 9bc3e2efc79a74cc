/* test_schedule.c: a thread that asks for short slices keeps its policy and its priority. */
#include "base/schedule.h"

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
    int policy = sched_getscheduler(0);
    int nice = getpriority(PRIO_PROCESS, 0) + 1; /* 20 is 19 */
    assert_int_equal(setpriority(PRIO_PROCESS, 0, nice), 0);
    bool known = rung_schedule_short_slices();
    assert_int_equal(getpriority(PRIO_PROCESS, 0), nice < 20 ? nice : 19);
    assert_int_equal(sched_getscheduler(0), policy);
    assert_true(!known || policy == SCHED_OTHER);
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
