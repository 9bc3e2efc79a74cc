/* upstream_scene.h: for tests of upstream.c: fake servers, an upstream that asks them, and calls. The servers run on the same loop, so nothing depends on
 * how fast anything is: times have lower bounds only. */
#ifndef RUNG_TESTS_UPSTREAM_SCENE_H
#define RUNG_TESTS_UPSTREAM_SCENE_H

#include "fake_server.h"
#include "net/upstream.h"

#include <math.h>
#include <signal.h>

#define LONG_S 30.0 /* a deadline that is not reached */
#define MAX_SERVERS 3

typedef struct outcome {
    rung_loop *loop;
    size_t calls;
    rung_call_outcome outcome;
    int http_status;
    char body[256];
    size_t body_bytes;
    double elapsed_s;
    char detail[512];
} outcome;

typedef struct scene {
    rung_loop *loop;
    server *servers[MAX_SERVERS];
    size_t num_servers;
    rung_upstream *upstream;
    bool probes;
    double hedge_after_s;
    const rung_link *link;
    const char *prefix;
    const char *token;
    size_t came_back; /* calls of the callback, each for address 0 */
} scene;

static void count_return(void *context, size_t address)
{
    scene *s = context;
    assert_int_equal(address, 0);
    s->came_back++;
}

static void connect_upstream(scene *s)
{
    char addresses[MAX_SERVERS][64];
    const char *list[MAX_SERVERS];
    rung_error error;
    for (size_t i = 0; i < s->num_servers; i++) {
        snprintf(addresses[i], sizeof addresses[i], "http://127.0.0.1:%u%s", s->servers[i]->port,
                 s->prefix != NULL ? s->prefix : "");
        list[i] = addresses[i];
    }
    rung_upstream_options options = {.addresses = list,
                                     .num_addresses = s->num_servers,
                                     .path = "/v1/classify",
                                     .max_reply_bytes = 100000,
                                     .token = s->token,
                                     .hedge_after_s = s->hedge_after_s,
                                     .probe_path = s->probes ? "/health" : NULL,
                                     .link = s->link,
                                     .seed = 5,
                                     .backoff_seed = 6,
                                     .link_index = 1,
                                     .came_back = count_return,
                                     .came_back_context = s};
    assert_int_equal(rung_upstream_create(s->loop, &options, &s->upstream, &error), RUNG_OK);
}

/* Servers beyond the second are as that. */
static void open_scene(scene *s, manner first, manner second, size_t num_servers)
{
    rung_error error;
    *s = (scene){.num_servers = num_servers};
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(rung_loop_create(&s->loop, &error), RUNG_OK);
    for (size_t i = 0; i < num_servers; i++) {
        s->servers[i] = open_server(s->loop, i == 0 ? first : second);
    }
}

static void close_scene(scene *s)
{
    rung_upstream_free(s->upstream);
    for (size_t i = 0; i < s->num_servers; i++) {
        close_server(s->servers[i]);
    }
    rung_loop_free(s->loop);
}

static void take_outcome(void *context, const rung_call_result *result)
{
    outcome *o = context;
    o->calls++;
    o->outcome = result->outcome;
    o->http_status = result->http_status;
    o->body_bytes = result->body_bytes;
    o->elapsed_s = result->elapsed_s;
    assert_int_equal(result->body != NULL, result->outcome == RUNG_CALL_REPLY);
    assert_true(result->body_bytes < sizeof o->body);
    memcpy(o->body, result->body != NULL ? result->body : "", result->body_bytes);
    snprintf(o->detail, sizeof o->detail, "%s", result->detail);
    rung_loop_stop(o->loop);
}

static rung_call *begin(scene *s, double deadline_in_s, outcome *o)
{
    static const char *const headers[] = {"Rung-Via: edge-1", "grpc-timeout: 90m"};
    rung_call *call = NULL;
    rung_error error;
    *o = (outcome){.loop = s->loop};
    rung_call_request request = {.body = "{\"key\":1}",
                                 .body_bytes = 9,
                                 .deadline_s = rung_clock_s() + deadline_in_s,
                                 .key = 77,
                                 .headers = headers,
                                 .num_headers = 2,
                                 .done = take_outcome,
                                 .context = o};
    assert_int_equal(rung_upstream_send(s->upstream, &request, &call, &error), RUNG_OK);
    assert_int_equal(o->calls, 0); /* never from within send */
    return call;
}

static void run(scene *s)
{
    rung_error error;
    assert_int_equal(rung_loop_run(s->loop, &error), RUNG_OK);
}

static void ask_until(scene *s, double deadline_in_s, outcome *o)
{
    (void)begin(s, deadline_in_s, o);
    run(s);
    assert_int_equal(o->calls, 1);
}

static outcome ask(scene *s)
{
    outcome o;
    ask_until(s, LONG_S, &o);
    return o;
}

static void stop_loop(rung_timer *timer)
{
    rung_loop_stop(timer->context);
}

/* The loop runs for a while. */
static void wait_s(scene *s, double seconds)
{
    rung_error error;
    rung_timer timer = {.fire = stop_loop, .context = s->loop};
    assert_int_equal(rung_loop_arm(s->loop, &timer, rung_clock_s() + seconds, &error), RUNG_OK);
    run(s);
    rung_loop_disarm(s->loop, &timer);
}

/* Until *count reaches `least`. */
static void wait_for(scene *s, const size_t *count, size_t least)
{
    while (*count < least) {
        wait_s(s, 0.002);
    }
}

static rung_upstream_health look(const scene *s)
{
    rung_upstream_health health;
    rung_upstream_look(s->upstream, &health);
    return health;
}

/* 20 ms up, 20 ms down, in phases that can be told apart. */
static const rung_link slow_link = {.name = "custom", .rtt_ms = 40, .up_bps = INFINITY, .down_bps = INFINITY};

static void check_refused(const rung_upstream_options *options, rung_status expected, const char *message)
{
    rung_loop *loop = NULL;
    rung_upstream *upstream = NULL;
    rung_error error = {0};
    assert_int_equal(rung_loop_create(&loop, &error), RUNG_OK);
    assert_int_equal(rung_upstream_create(loop, options, &upstream, &error), expected);
    assert_null(upstream);
    if (strncmp(error.message, message, strlen(message)) != 0) {
        fail_msg("%s", error.message);
    }
    rung_loop_free(loop);
}

#endif
