/* http_scene.h: an HTTP server and its clients on the loopback interface, in one thread: the loop runs until what a test waits for has happened.
 * For test_http.c and test_http_socket.c. */
#ifndef RUNG_TESTS_HTTP_SCENE_H
#define RUNG_TESTS_HTTP_SCENE_H

#include "base/clock.h"
#include "serve/http_head.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_S 20.0
#define HOST "Host: node\r\n"

typedef struct scene {
    rung_loop *loop;
    rung_http *http;
    rung_timer tick;
    double give_up_s;
    bool (*done)(struct scene *s);
    rung_exchange *waiting[8];
    size_t num_waiting;
    size_t requests, gone, refused;
    unsigned last_refused;
    double rounds;
    size_t limit; /* of few_there */
    /* What the client of `hear` got. */
    int ear;
    const char *needle;
    bool ended;
    size_t heard_bytes;
    size_t large_bytes;
    char heard[1 << 16];
} scene;

static __attribute__((unused)) void echo(rung_exchange *exchange)
{
    size_t bytes;
    const char *body = rung_exchange_body(exchange, &bytes);
    char *copy = malloc(bytes + 1);
    assert_non_null(copy);
    memcpy(copy, body, bytes + 1);
    rung_http_answer(exchange, 200, NULL, 0, copy, bytes);
}

static __attribute__((unused)) void describe(rung_exchange *exchange)
{
    size_t bytes;
    rung_exchange_body(exchange, &bytes);
    const char *tag = rung_exchange_header(exchange, "x-TAG");
    assert_null(rung_exchange_header(exchange, "X-None"));
    assert_true(rung_exchange_arrived_s(exchange) <= rung_clock_s());
    char *text = malloc(200);
    assert_non_null(text);
    int length = snprintf(text, 200, "%s %s %zu %s", rung_exchange_method(exchange), rung_exchange_path(exchange),
                          bytes, tag != NULL ? tag : "-");
    const rung_http_header headers[] = {{"Content-Type", "text/plain"}, {"X-Tag", "answer"}};
    rung_http_answer(exchange, 201, headers, 2, text, (size_t)length);
}

static __attribute__((unused)) void request(void *context, rung_exchange *exchange)
{
    scene *s = context;
    s->requests++;
    assert_null(rung_exchange_user(exchange));
    const char *path = rung_exchange_path(exchange);
    if (strcmp(path, "/later") == 0) {
        assert_true(s->num_waiting < 8);
        rung_exchange_set_user(exchange, s);
        s->waiting[s->num_waiting++] = exchange;
    } else if (strcmp(path, "/echo") == 0) {
        echo(exchange);
    } else if (strcmp(path, "/first") == 0) { /* answers who waits, then itself */
        echo(s->waiting[--s->num_waiting]);
        echo(exchange);
    } else if (strcmp(path, "/empty") == 0) {
        rung_http_answer(exchange, 204, NULL, 0, NULL, 0);
    } else if (strcmp(path, "/error") == 0) {
        char *body = strdup("{\"error\":\"no text\"}");
        assert_non_null(body);
        rung_http_answer(exchange, 422, NULL, 0, body, strlen(body));
    } else if (strcmp(path, "/large") == 0) {
        size_t bytes = (size_t)4 << 20;
        char *body = malloc(bytes);
        assert_non_null(body);
        for (size_t i = 0; i < bytes; i++) {
            body[i] = (char)('a' + i % 23);
        }
        rung_http_answer(exchange, 200, NULL, 0, body, bytes);
    } else {
        describe(exchange);
    }
}

static __attribute__((unused)) void gone(void *context, rung_exchange *exchange)
{
    scene *s = context;
    assert_ptr_equal(rung_exchange_user(exchange), s);
    s->gone++;
}

static __attribute__((unused)) void refused(void *context, unsigned status)
{
    scene *s = context;
    s->refused++;
    s->last_refused = status;
}

static __attribute__((unused)) double count_rounds(void *context)
{
    ((scene *)context)->rounds++;
    return INFINITY;
}

static const rung_http_options usual = {
    .address = "127.0.0.1",
    .max_body_bytes = 100000,
    .max_header_bytes = 4096,
    .max_connections = 500,
    .receive_timeout_s = PATIENCE_S,
    .idle_timeout_s = PATIENCE_S,
};

static __attribute__((unused)) scene *open_scene(const rung_http_options *options)
{
    rung_error error;
    scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    assert_int_equal(rung_loop_create(&s->loop, &error), RUNG_OK);
    rung_loop_on_prepare(s->loop, count_rounds, s);
    rung_http_handler handler = {.context = s, .request = request, .gone = gone, .refused = refused};
    assert_int_equal(rung_http_create(s->loop, options, &handler, &s->http, &error), RUNG_OK);
    assert_true(rung_http_port(s->http) != 0);
    return s;
}

static __attribute__((unused)) void close_scene(scene *s)
{
    rung_http_free(s->http);
    rung_loop_free(s->loop);
    free(s);
}

static __attribute__((unused)) void check_done(rung_timer *timer)
{
    scene *s = timer->context;
    double now_s = rung_clock_s();
    if ((s->done != NULL && s->done(s)) || now_s > s->give_up_s) {
        rung_loop_stop(s->loop);
    } else {
        assert_int_equal(rung_loop_arm(s->loop, timer, now_s + 0.0005, NULL), RUNG_OK);
    }
}

/* Runs the loop until done; false when that took longer than seconds. */
static __attribute__((unused)) bool run_for(scene *s, double seconds, bool (*done)(scene *s))
{
    rung_error error;
    s->tick = (rung_timer){.fire = check_done, .context = s};
    s->give_up_s = rung_clock_s() + seconds;
    s->done = done;
    assert_int_equal(rung_loop_arm(s->loop, &s->tick, 0, NULL), RUNG_OK);
    assert_int_equal(rung_loop_run(s->loop, &error), RUNG_OK);
    return done != NULL && done(s);
}

static __attribute__((unused)) bool one_waits(scene *s)
{
    return s->num_waiting == 1;
}

static __attribute__((unused)) bool two_wait(scene *s)
{
    return s->num_waiting == 2;
}

static __attribute__((unused)) bool someone_went(scene *s)
{
    return s->gone > 0;
}

static __attribute__((unused)) bool nobody_there(scene *s)
{
    return rung_http_num_connections(s->http) == 0;
}

static __attribute__((unused)) bool few_there(scene *s)
{
    return rung_http_num_connections(s->http) <= s->limit;
}

static __attribute__((unused)) bool heard_it(scene *s)
{
    while (!s->ended && s->heard_bytes < sizeof s->heard - 1) {
        ssize_t got = recv(s->ear, s->heard + s->heard_bytes, sizeof s->heard - 1 - s->heard_bytes, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) {
            break;
        }
        s->ended = got <= 0;
        s->heard_bytes += got > 0 ? (size_t)got : 0;
    }
    s->heard[s->heard_bytes] = '\0';
    return s->needle == NULL ? s->ended : strstr(s->heard, s->needle) != NULL;
}

/* What the server sent until needle came; NULL: until the connection's end. */
static __attribute__((unused)) const char *hear(scene *s, int fd, const char *needle)
{
    s->ear = fd;
    s->needle = needle;
    s->ended = false;
    s->heard_bytes = 0;
    if (!run_for(s, PATIENCE_S, heard_it)) {
        fail_msg("waited for \"%s\", got \"%s\"", needle != NULL ? needle : "the end", s->heard);
    }
    return s->heard;
}

static __attribute__((unused)) int dial(scene *s)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(rung_http_port(s->http))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static __attribute__((unused)) void say_bytes(int fd, const char *text, size_t bytes)
{
    assert_int_equal(send(fd, text, bytes, MSG_NOSIGNAL), bytes);
}

static __attribute__((unused)) void say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

static __attribute__((unused)) void assert_in(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, text);
    }
}

#endif
