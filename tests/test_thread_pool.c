/* test_thread_pool.c: src/base/thread_pool.c: every task once, on every number of threads, awake or asleep. */
#include "base/memory.h"
#include "base/parallel.h"
#include "base/thread_pool.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MOST_TASKS 97
#define RUNS 400

typedef struct board {
    size_t threads;
    size_t seen[MOST_TASKS];    /* plain: a task has one thread at a time, and runs come one after the other */
    size_t by[MOST_TASKS];      /* the thread that ran it */
    size_t scratch[MOST_TASKS]; /* counted up by thread, without a lock */
} board;

static void mark(void *context, size_t task, size_t thread)
{
    board *on = context;
    on->seen[task]++;
    on->by[task] = thread;
    on->scratch[thread]++;
}

static void check_run(rung_thread_pool *pool, board *on, size_t tasks)
{
    memset(on, 0, sizeof *on);
    rung_thread_pool_run(pool, mark, on, tasks);
    size_t total = 0;
    for (size_t i = 0; i < MOST_TASKS; i++) {
        assert_int_equal(on->seen[i], i < tasks ? 1 : 0);
        assert_true(on->by[i] < rung_thread_pool_threads(pool));
        total += on->scratch[i];
    }
    assert_int_equal(total, tasks);
}

static void every_task_runs_once(void **state)
{
    (void)state;
    static const size_t tasks[] = {0, 1, 2, 3, 8, MOST_TASKS};
    board on;
    for (size_t threads = 1; threads <= 7; threads += 2) {
        rung_thread_pool *pool;
        rung_error error;
        assert_int_equal(rung_thread_pool_create(threads, &pool, &error), RUNG_OK);
        assert_int_equal(rung_thread_pool_threads(pool), threads);
        for (size_t run = 0; run < RUNS; run++) {
            check_run(pool, &on, tasks[run % 6]);
        }
        rung_thread_pool_free(pool);
    }
}

static void sleepers_are_woken(void **state)
{
    (void)state;
    rung_thread_pool *pool;
    rung_error error;
    board on;
    assert_int_equal(rung_thread_pool_create(2, &pool, &error), RUNG_OK);
    for (size_t run = 0; run < 30; run++) {
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL); /* longer than threads spin */
        check_run(pool, &on, 16);
    }
    rung_thread_pool_free(pool);
}

/* Task 0 waits for task 1: they can only be on two threads. */
static void meet(void *context, size_t task, size_t thread)
{
    (void)thread;
    (void)task;
    pthread_barrier_wait(context);
}

static void helpers_take_part(void **state)
{
    (void)state;
    rung_thread_pool *pool;
    rung_error error;
    pthread_barrier_t barrier;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    assert_int_equal(rung_thread_pool_create(2, &pool, &error), RUNG_OK);
    for (size_t run = 0; run < 100; run++) {
        rung_thread_pool_run(pool, meet, &barrier, 2);
    }
    rung_thread_pool_free(pool);
    pthread_barrier_destroy(&barrier);
}

static void no_pool_is_the_caller_alone(void **state)
{
    (void)state;
    board on;
    check_run(NULL, &on, 9);
    assert_int_equal(rung_thread_pool_threads(NULL), 1);
    rung_thread_pool_free(NULL);
}

static void numbers_of_threads_have_limits(void **state)
{
    (void)state;
    rung_thread_pool *pool = NULL;
    rung_error error;
    assert_int_equal(rung_thread_pool_create(0, &pool, &error), RUNG_LIMIT);
    assert_int_equal(rung_thread_pool_create(RUNG_MAX_THREADS + 1, &pool, &error), RUNG_LIMIT);
    assert_non_null(strstr(error.message, "257"));
    assert_null(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_once),
        cmocka_unit_test(sleepers_are_woken),
        cmocka_unit_test(helpers_take_part),
        cmocka_unit_test(no_pool_is_the_caller_alone),
        cmocka_unit_test(numbers_of_threads_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
