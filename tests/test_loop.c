/* test_loop.c: the event loop: sockets, timers in their order, wakes from other threads, and owners that go away within a round. */
#include "base/clock.h"
#include "net/loop.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#define WAKES 1000

typedef struct scene {
    rung_loop *loop;
    char order[16];
    rung_timer timers[5];
    rung_watch watches[2];
    size_t calls;
    int posted; /* guarded by lock */
    int taken;
    pthread_mutex_t lock;
} scene;

static void open_scene(scene *s)
{
    rung_error error;
    *s = (scene){0};
    pthread_mutex_init(&s->lock, NULL);
    assert_int_equal(rung_loop_create(&s->loop, &error), RUNG_OK);
}

static void close_scene(scene *s)
{
    rung_loop_free(s->loop);
    pthread_mutex_destroy(&s->lock);
}

static void run(scene *s)
{
    rung_error error;
    assert_int_equal(rung_loop_run(s->loop, &error), RUNG_OK);
}

static void note_timer(rung_timer *timer)
{
    scene *s = timer->context;
    s->order[strlen(s->order)] = (char)('a' + (timer - s->timers));
    if (timer == &s->timers[4]) {
        rung_loop_stop(s->loop);
    }
}

static void timers_fire_in_order(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    double now_s = rung_clock_s();
    const double at_s[5] = {now_s + 0.002, now_s + 0.001, now_s + 0.002, now_s, now_s + 0.004};
    for (size_t i = 0; i < 5; i++) {
        s.timers[i] = (rung_timer){.fire = note_timer, .context = &s};
        assert_int_equal(rung_loop_arm(s.loop, &s.timers[i], at_s[i], NULL), RUNG_OK);
        assert_true(rung_timer_armed(&s.timers[i]));
    }
    rung_loop_disarm(s.loop, &s.timers[1]);
    rung_loop_disarm(s.loop, &s.timers[1]);
    assert_int_equal(rung_loop_arm(s.loop, &s.timers[0], now_s + 0.003, NULL), RUNG_OK);
    run(&s);
    assert_string_equal(s.order, "dcae");
    assert_true(rung_clock_s() >= at_s[4]);
    assert_false(rung_timer_armed(&s.timers[4]));
    close_scene(&s);
}

/* The first of two ready sockets takes both away. */
static void unwatch_both(rung_watch *watch, uint32_t events)
{
    scene *s = watch->context;
    assert_true(events & EPOLLIN);
    s->calls++;
    rung_loop_unwatch(s->loop, &s->watches[0]);
    rung_loop_unwatch(s->loop, &s->watches[1]);
    rung_loop_stop(s->loop);
}

static void unwatched_sockets_are_not_called(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    int pipes[2][2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pipe(pipes[i]), 0);
        assert_int_equal(write(pipes[i][1], "x", 1), 1);
        s.watches[i] = (rung_watch){.fd = pipes[i][0], .ready = unwatch_both, .context = &s};
        assert_int_equal(rung_loop_watch(s.loop, &s.watches[i], 0, NULL), RUNG_OK);
        assert_int_equal(rung_loop_change(s.loop, &s.watches[i], EPOLLIN, NULL), RUNG_OK);
    }
    run(&s);
    assert_int_equal(s.calls, 1);
    rung_error error;
    rung_watch closed = {.fd = -1, .ready = unwatch_both};
    assert_int_equal(rung_loop_watch(s.loop, &closed, EPOLLIN, &error), RUNG_IO);
    assert_string_equal(error.message, "epoll_ctl: Bad file descriptor");
    for (size_t i = 0; i < 2; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    close_scene(&s);
}

static void *post(void *context)
{
    scene *s = context;
    for (int i = 0; i < WAKES; i++) {
        pthread_mutex_lock(&s->lock);
        s->posted++;
        pthread_mutex_unlock(&s->lock);
        rung_loop_wake(s->loop);
    }
    return NULL;
}

static void take(void *context)
{
    scene *s = context;
    pthread_mutex_lock(&s->lock);
    s->taken = s->posted;
    pthread_mutex_unlock(&s->lock);
    if (s->taken == 2 * WAKES) {
        rung_loop_stop(s->loop);
    }
}

/* Nothing that was posted before a wake stays behind: else the loop would never end. */
static void no_wake_is_lost(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    rung_loop_on_wake(s.loop, take, &s);
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, post, &s), 0);
    }
    run(&s);
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(s.taken, 2 * WAKES);
    close_scene(&s);
}

static double stop_at_third(void *context)
{
    scene *s = context;
    s->calls++;
    if (s->calls == 3) {
        rung_loop_stop(s->loop);
    }
    return s->calls == 1 ? 0 : 0.001;
}

static void prepare_bounds_the_wait(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    rung_loop_on_prepare(s.loop, stop_at_third, &s);
    run(&s);
    assert_int_equal(s.calls, 3);
    close_scene(&s);
}

static void rearm(rung_timer *timer)
{
    scene *s = timer->context;
    s->calls++;
    if (s->calls == 3) {
        rung_loop_stop(s->loop);
    } else {
        assert_int_equal(rung_loop_arm(s->loop, timer, 0, NULL), RUNG_OK);
    }
}

/* A timer that is due again and again leaves the sockets their turn. */
static void due_timers_do_not_starve_the_loop(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    s.timers[0] = (rung_timer){.fire = rearm, .context = &s};
    assert_int_equal(rung_loop_arm(s.loop, &s.timers[0], 0, NULL), RUNG_OK);
    run(&s);
    assert_int_equal(s.calls, 3);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order),
        cmocka_unit_test(unwatched_sockets_are_not_called),
        cmocka_unit_test(no_wake_is_lost),
        cmocka_unit_test(prepare_bounds_the_wait),
        cmocka_unit_test(due_timers_do_not_starve_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
