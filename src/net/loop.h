/* loop.h: the event loop of one thread: sockets through epoll, timers, and a way for other threads to wake it. For the
 * node and its client of the next level. Knows no protocol. Everything is called from the loop's own thread, but for rung_loop_wake. */
#ifndef RUNG_NET_LOOP_H
#define RUNG_NET_LOOP_H

#include "base/status.h"

typedef struct rung_loop rung_loop;

/* A file descriptor's owner. Lives in the caller's memory from rung_loop_watch to rung_loop_unwatch. */
typedef struct rung_watch {
    int fd;
    void (*ready)(struct rung_watch *watch, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR */
    void *context;
} rung_watch;

/* One moment to be told of. Zero-initialise, set fire and context; lives in the caller's memory while armed. */
typedef struct rung_timer {
    void (*fire)(struct rung_timer *timer);
    void *context;
    /* Private. */
    double at_s;
    uint64_t order; /* of arming */
    size_t slot;    /* position in the heap plus 1; 0: not armed */
} rung_timer;

rung_status rung_loop_create(rung_loop **loop, rung_error *error) RUNG_WARN_UNUSED;
void rung_loop_free(rung_loop *loop);

/* events: EPOLL bits, level-triggered. A watch may be changed to other events, 0 included. */
rung_status rung_loop_watch(rung_loop *loop, rung_watch *watch, uint32_t events, rung_error *error) RUNG_WARN_UNUSED;
rung_status rung_loop_change(rung_loop *loop, rung_watch *watch, uint32_t events, rung_error *error) RUNG_WARN_UNUSED;
/* Also from within any callback: what epoll already reported for it in this round is dropped. Before the fd is closed. */
void rung_loop_unwatch(rung_loop *loop, rung_watch *watch);

/* (Re)arms: fires once at or after at_s of rung_clock_s. In order of time, and of arming where times are equal. */
rung_status rung_loop_arm(rung_loop *loop, rung_timer *timer, double at_s, rung_error *error) RUNG_WARN_UNUSED;
void rung_loop_disarm(rung_loop *loop, rung_timer *timer); /* also when it is not armed */
bool rung_timer_armed(const rung_timer *timer);

/* Called at the end of every round, before the loop waits: returns the most seconds that it may wait (infinity: no limit). */
typedef double rung_loop_prepare(void *context);
void rung_loop_on_prepare(rung_loop *loop, rung_loop_prepare *prepare, void *context);

/* Called in the loop's thread after rung_loop_wake; several wakes may become one call. */
typedef void rung_loop_woken(void *context);
void rung_loop_on_wake(rung_loop *loop, rung_loop_woken *woken, void *context);
/* From any thread, and from a signal handler. */
void rung_loop_wake(rung_loop *loop);

/* Runs until rung_loop_stop; RUNG_IO when epoll fails. */
rung_status rung_loop_run(rung_loop *loop, rung_error *error) RUNG_WARN_UNUSED;
void rung_loop_stop(rung_loop *loop);

#endif
