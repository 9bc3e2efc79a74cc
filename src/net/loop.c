/* loop.c: epoll, a binary heap of timers and an eventfd. See loop.h. */
#include "net/loop.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_EVENTS 256
#define LONGEST_WAIT_S 3600.0

struct rung_loop {
    int epoll_fd;
    int wake_fd;
    atomic_bool wake_pending; /* wake_fd was written and the loop did not see it yet: further wakes need not write */
    bool stopped;
    struct epoll_event events[MAX_EVENTS];
    size_t num_events, next_event; /* of the round: those before next_event were handed out */
    rung_timer **heap;             /* [num_timers] the earliest first */
    uint64_t armed;                /* how often a timer was */
    size_t num_timers;
    size_t heap_capacity;
    rung_loop_prepare *prepare;
    void *prepare_context;
    rung_loop_woken *woken;
    void *woken_context;
};

static rung_status fail_system(const char *call, rung_error *error)
{
    return rung_fail(error, RUNG_IO, "%s: %s", call, strerror(errno));
}

rung_status rung_loop_create(rung_loop **loop, rung_error *error)
{
    rung_loop *made = rung_alloc(1, sizeof *made, "event loop", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    made->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    if (made->epoll_fd < 0 || made->wake_fd < 0 ||
        epoll_ctl(made->epoll_fd, EPOLL_CTL_ADD, made->wake_fd, &event) != 0) {
        rung_status status = fail_system("event loop", error);
        rung_loop_free(made);
        return status;
    }
    *loop = made;
    return RUNG_OK;
}

void rung_loop_free(rung_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    if (loop->epoll_fd >= 0) {
        close(loop->epoll_fd);
    }
    if (loop->wake_fd >= 0) {
        close(loop->wake_fd);
    }
    free(loop->heap);
    free(loop);
}

static rung_status control(rung_loop *loop, int operation, rung_watch *watch, uint32_t events, rung_error *error)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    return epoll_ctl(loop->epoll_fd, operation, watch->fd, &event) == 0 ? RUNG_OK : fail_system("epoll_ctl", error);
}

rung_status rung_loop_watch(rung_loop *loop, rung_watch *watch, uint32_t events, rung_error *error)
{
    return control(loop, EPOLL_CTL_ADD, watch, events, error);
}

rung_status rung_loop_change(rung_loop *loop, rung_watch *watch, uint32_t events, rung_error *error)
{
    return control(loop, EPOLL_CTL_MOD, watch, events, error);
}

void rung_loop_unwatch(rung_loop *loop, rung_watch *watch)
{
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL); /* fails only when it was not there */
    for (size_t i = loop->next_event; i < loop->num_events; i++) {
        if (loop->events[i].data.ptr == watch) {
            loop->events[i].events = 0;
        }
    }
}

static bool earlier(const rung_timer *a, const rung_timer *b)
{
    return a->at_s < b->at_s || (a->at_s == b->at_s && a->order < b->order);
}

static void place(rung_loop *loop, size_t index, rung_timer *timer)
{
    loop->heap[index] = timer;
    timer->slot = index + 1;
}

/* Moves the timer at index to where it belongs. */
static void settle(rung_loop *loop, size_t index)
{
    rung_timer *timer = loop->heap[index];
    for (; index > 0 && earlier(timer, loop->heap[(index - 1) / 2]); index = (index - 1) / 2) {
        place(loop, index, loop->heap[(index - 1) / 2]);
    }
    for (size_t child = 2 * index + 1; child < loop->num_timers; child = 2 * index + 1) {
        if (child + 1 < loop->num_timers && earlier(loop->heap[child + 1], loop->heap[child])) {
            child++;
        }
        if (!earlier(loop->heap[child], timer)) {
            break;
        }
        place(loop, index, loop->heap[child]);
        index = child;
    }
    place(loop, index, timer);
}

rung_status rung_loop_arm(rung_loop *loop, rung_timer *timer, double at_s, rung_error *error)
{
    if (timer->slot == 0) {
        void *heap = loop->heap;
        rung_status status =
            rung_grow(&heap, &loop->heap_capacity, loop->num_timers + 1, sizeof *loop->heap, "timers", error);
        loop->heap = heap;
        if (status != RUNG_OK) {
            return status;
        }
        place(loop, loop->num_timers++, timer);
    }
    timer->at_s = at_s;
    timer->order = ++loop->armed;
    settle(loop, timer->slot - 1);
    return RUNG_OK;
}

void rung_loop_disarm(rung_loop *loop, rung_timer *timer)
{
    if (timer->slot == 0) {
        return;
    }
    size_t index = timer->slot - 1;
    timer->slot = 0;
    rung_timer *last = loop->heap[--loop->num_timers];
    if (last != timer) {
        place(loop, index, last);
        settle(loop, index);
    }
}

bool rung_timer_armed(const rung_timer *timer)
{
    return timer->slot != 0;
}

void rung_loop_on_prepare(rung_loop *loop, rung_loop_prepare *prepare, void *context)
{
    loop->prepare = prepare;
    loop->prepare_context = context;
}

void rung_loop_on_wake(rung_loop *loop, rung_loop_woken *woken, void *context)
{
    loop->woken = woken;
    loop->woken_context = context;
}

void rung_loop_wake(rung_loop *loop)
{
    if (atomic_exchange(&loop->wake_pending, true)) {
        return;
    }
    int saved = errno; /* a signal handler may call */
    ssize_t written = write(loop->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    (void)written; /* the counter is full after 2^64 wakes */
    errno = saved;
}

/* The counter is watched for edges, so that nobody has to read it: every write wakes. The flag falls before the work is looked at: a wake that
 * comes from here on writes again, and none is lost. */
static void take_wake(rung_loop *loop)
{
    atomic_store(&loop->wake_pending, false);
    if (loop->woken != NULL) {
        loop->woken(loop->woken_context);
    }
}

static void hand_out_events(rung_loop *loop)
{
    for (loop->next_event = 0; loop->next_event < loop->num_events;) {
        struct epoll_event event = loop->events[loop->next_event++];
        rung_watch *watch = event.data.ptr;
        if (watch == NULL) {
            take_wake(loop);
        } else if (event.events != 0) {
            watch->ready(watch, event.events);
        }
    }
    loop->num_events = loop->next_event = 0;
}

/* Only those that were armed before: a timer that arms itself for now again fires in the next round. */
static void fire_timers(rung_loop *loop)
{
    double now_s = rung_clock_s();
    uint64_t last = loop->armed;
    while (loop->num_timers > 0 && loop->heap[0]->at_s <= now_s && loop->heap[0]->order <= last) {
        rung_timer *timer = loop->heap[0];
        rung_loop_disarm(loop, timer);
        timer->fire(timer);
    }
}

static double seconds_to_wait(rung_loop *loop)
{
    double wait_s = loop->prepare != NULL ? loop->prepare(loop->prepare_context) : INFINITY;
    if (loop->num_timers > 0) {
        wait_s = fmin(wait_s, loop->heap[0]->at_s - rung_clock_s());
    }
    return loop->stopped ? 0 : fmin(fmax(wait_s, 0), LONGEST_WAIT_S);
}

rung_status rung_loop_run(rung_loop *loop, rung_error *error)
{
    loop->stopped = false;
    while (!loop->stopped) {
        double wait_s = seconds_to_wait(loop);
        if (loop->stopped) {
            break;
        }
        struct timespec wait = {.tv_sec = (time_t)wait_s, .tv_nsec = (long)((wait_s - floor(wait_s)) * 1e9)};
        int count = epoll_pwait2(loop->epoll_fd, loop->events, MAX_EVENTS, &wait, NULL);
        if (count < 0 && errno == ENOSYS) { /* Linux before 5.11: milliseconds, rounded up */
            count = epoll_wait(loop->epoll_fd, loop->events, MAX_EVENTS, (int)ceil(wait_s * 1e3));
        }
        if (count < 0 && errno != EINTR) {
            return fail_system("epoll_wait", error);
        }
        loop->num_events = count > 0 ? (size_t)count : 0;
        hand_out_events(loop);
        fire_timers(loop);
    }
    return RUNG_OK;
}

void rung_loop_stop(rung_loop *loop)
{
    loop->stopped = true;
}
