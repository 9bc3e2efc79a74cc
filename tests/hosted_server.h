/* hosted_server.h: a fake server (fake_server.h) on a loop and thread of its own, for tests of clients that run a loop themselves. What a test changes of it,
 * it changes before it is started or between requests. Each test includes it once. */
#ifndef RUNG_TESTS_HOSTED_SERVER_H
#define RUNG_TESTS_HOSTED_SERVER_H

#include "fake_server.h"

#include <pthread.h>
#include <signal.h>

typedef struct hosted {
    rung_loop *loop;
    server *server;
    pthread_t thread;
    char url[64];
} hosted;

static inline void hosted_stop_loop(void *context)
{
    rung_loop_stop(context);
}

static inline void *hosted_run(void *context)
{
    rung_error error;
    assert_int_equal(rung_loop_run(context, &error), RUNG_OK);
    return NULL;
}

static inline void host(hosted *self, manner how)
{
    rung_error error;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(rung_loop_create(&self->loop, &error), RUNG_OK);
    self->server = open_server(self->loop, how);
    snprintf(self->url, sizeof self->url, "http://127.0.0.1:%u", self->server->port);
    rung_loop_on_wake(self->loop, hosted_stop_loop, self->loop);
}

static inline void hosted_start(hosted *self)
{
    assert_int_equal(pthread_create(&self->thread, NULL, hosted_run, self->loop), 0);
}

/* Between start and this nothing of the server may be looked at. It can be started again. */
static inline void hosted_pause(hosted *self)
{
    rung_loop_wake(self->loop);
    pthread_join(self->thread, NULL);
}

/* After hosted_pause, or before hosted_start. */
static inline void hosted_end(hosted *self)
{
    close_server(self->server);
    rung_loop_free(self->loop);
}

#endif
