/* test_http_socket.c: where the HTTP server listens, how many connections it takes, how it drains and ends. */
#include "http_scene.h"

static void bad_addresses_are_refused(void **state)
{
    (void)state;
    rung_error error;
    scene *s = open_scene(&usual);
    rung_http_options options = usual;
    rung_http_handler handler = {.request = request};
    rung_http *none = NULL;
    options.address = "localhost";
    assert_int_equal(rung_http_create(s->loop, &options, &handler, &none, &error), RUNG_INVALID);
    assert_string_equal(error.message, "\"localhost\" is no numeric IPv4 or IPv6 address to listen on");
    options.address = "127.0.0.1";
    options.port = rung_http_port(s->http);
    assert_int_equal(rung_http_create(s->loop, &options, &handler, &none, &error), RUNG_IO);
    char message[128];
    snprintf(message, sizeof message, "cannot listen on 127.0.0.1, port %u: Address already in use", options.port);
    assert_string_equal(error.message, message);
    assert_null(none);
    rung_http_free(NULL);
    close_scene(s);
}

static void connections_are_limited(void **state)
{
    (void)state;
    rung_http_options few = usual;
    few.max_connections = 3;
    scene *s = open_scene(&few);
    int fds[3];
    for (size_t i = 0; i < 3; i++) {
        fds[i] = dial(s);
        say(fds[i], "GET /empty HTTP/1.1\r\n" HOST "\r\n");
        hear(s, fds[i], "204");
    }
    int fd = dial(s);
    const char *heard = hear(s, fd, NULL);
    assert_in(heard, "HTTP/1.1 503 ");
    assert_in(heard, "\r\n\r\n{\"error\":\"");
    assert_int_equal(s->last_refused, 503);
    close(fd);
    close(fds[1]);
    s->limit = 2;
    assert_true(run_for(s, PATIENCE_S, few_there));
    fd = dial(s);
    say(fd, "GET /empty HTTP/1.1\r\n" HOST "\r\n");
    hear(s, fd, "204");
    close(fd);
    close(fds[0]);
    close(fds[2]);
    close_scene(s);
}

static void connections_of_one_client_are_limited(void **state)
{
    (void)state;
    rung_http_options few = usual;
    few.max_connections_per_client = 2;
    scene *s = open_scene(&few);
    int fds[2];
    for (size_t i = 0; i < 2; i++) {
        fds[i] = dial(s);
        say(fds[i], "GET /empty HTTP/1.1\r\n" HOST "\r\n");
        hear(s, fds[i], "204");
    }
    int fd = dial(s);
    assert_string_equal(hear(s, fd, NULL), "");
    assert_int_equal(s->last_refused, 503);
    assert_int_equal(rung_http_num_connections(s->http), 2);
    close(fd);
    close(fds[0]);
    close(fds[1]);
    close_scene(s);
}

/* Out of descriptors: the server waits for one and does not spin. */
static void lack_of_descriptors_is_survived(void **state)
{
    (void)state;
    scene *s = open_scene(&usual);
    int first = dial(s);
    say(first, "GET /empty HTTP/1.1\r\n" HOST "\r\n");
    hear(s, first, "204");
    int second = dial(s); /* its other end is not accepted yet */
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    struct rlimit low = {.rlim_cur = (rlim_t)second + 1, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    double rounds = s->rounds, begin_s = rung_clock_s();
    say(second, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi");
    run_for(s, 0.25, NULL);
    double ticks = (rung_clock_s() - begin_s) / 0.0005; /* of run_for itself */
    rounds = s->rounds - rounds;
    say(first, "GET /empty HTTP/1.1\r\n" HOST "\r\n"); /* who is there is served */
    hear(s, first, "204");
    assert_int_equal(rung_http_num_connections(s->http), 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_true(rounds < ticks + 100);
    hear(s, second, "\r\n\r\nhi");
    close(first);
    close(second);
    close_scene(s);
}

static void many_idle_connections_are_kept(void **state)
{
    (void)state;
    scene *s = open_scene(&usual);
    enum { IDLERS = 200 };
    int fds[IDLERS];
    for (size_t i = 0; i < IDLERS; i++) {
        fds[i] = dial(s);
        say(fds[i], "GET /empty HTTP/1.1\r\n" HOST "\r\n");
    }
    hear(s, fds[IDLERS - 1], "204");
    for (size_t i = 0; i < IDLERS; i += 50) {
        say(fds[i], "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi");
        hear(s, fds[i], "\r\n\r\nhi");
    }
    assert_int_equal(rung_http_num_connections(s->http), IDLERS);
    for (size_t i = 0; i < IDLERS; i++) {
        close(fds[i]);
    }
    assert_true(run_for(s, PATIENCE_S, nobody_there));
    close_scene(s);
}

static void draining_finishes_what_is_open(void **state)
{
    (void)state;
    scene *s = open_scene(&usual);
    int waits = dial(s), idle = dial(s);
    say(waits, "POST /later HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi");
    assert_true(run_for(s, PATIENCE_S, one_waits));
    say(idle, "GET /empty HTTP/1.1\r\n" HOST "\r\n");
    assert_null(strstr(hear(s, idle, "\r\n\r\n"), "close"));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(rung_http_port(s->http))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    rung_http_drain(s->http);
    rung_http_drain(s->http);
    int late = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(late, (struct sockaddr *)&address, sizeof address), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(late);
    say(idle, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nho");
    const char *heard = hear(s, idle, NULL);
    assert_in(heard, "\r\nConnection: close\r\n");
    assert_in(heard, "\r\n\r\nho");
    echo(s->waiting[0]);
    heard = hear(s, waits, NULL);
    assert_in(heard, "\r\nConnection: close\r\n");
    assert_in(heard, "\r\n\r\nhi");
    assert_true(run_for(s, PATIENCE_S, nobody_there));
    close(waits);
    close(idle);
    close_scene(s);
}

/* In every phase of a connection: waiting, lingering after a refusal, receiving, sending. */
static void the_server_ends_at_any_time(void **state)
{
    (void)state;
    scene *s = open_scene(&usual);
    static const char *const begun[] = {
        "GET /later HTTP/1.1\r\n" HOST "\r\n",
        "POST /later HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi",
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\nContent-Length: 2\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nh",
        "POST /ec",
        "GET /large HTTP/1.1\r\n" HOST "\r\n",
    };
    int fds[6];
    for (size_t i = 0; i < 6; i++) {
        fds[i] = dial(s);
        say(fds[i], begun[i]);
    }
    assert_true(run_for(s, PATIENCE_S, two_wait));
    hear(s, fds[2], "HTTP/1.1 400");
    hear(s, fds[5], "HTTP/1.1 200");
    echo(s->waiting[0]); /* answered, and not yet written */
    rung_http_free(s->http);
    for (size_t i = 0; i < 6; i++) {
        close(fds[i]);
    }
    run_for(s, 0.01, NULL);
    assert_int_equal(s->gone, 0);
    s->http = NULL;
    close_scene(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_addresses_are_refused),
        cmocka_unit_test(connections_are_limited),
        cmocka_unit_test(connections_of_one_client_are_limited),
        cmocka_unit_test(lack_of_descriptors_is_survived),
        cmocka_unit_test(many_idle_connections_are_kept),
        cmocka_unit_test(draining_finishes_what_is_open),
        cmocka_unit_test(the_server_ends_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
