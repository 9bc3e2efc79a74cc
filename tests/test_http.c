/* test_http.c: the HTTP server over real sockets: answers now and later, clients that go away, limits, malformed and slow requests. */
#include "http_scene.h"

static void answers_at_once(void **state)
{
    (void)state;
    scene *s = open_scene(&usual);
    int fd = dial(s);
    say(fd, "POST /v1/%00x?a=b&c HTTP/1.1\r\n" HOST "X-Tag: tag \tz\r\nContent-Length: 3\r\n\r\nabc");
    const char *heard = hear(s, fd, "3 tag \tz");
    assert_in(heard, "HTTP/1.1 201 Created\r\n");
    assert_in(heard, "\r\nContent-Type: text/plain\r\n");
    assert_in(heard, "\r\nX-Tag: answer\r\n");
    assert_in(heard, "\r\n\r\nPOST /v1/%00x 3 tag \tz");
    say(fd, "BREW http://node:1/pot?x HTTP/1.1\r\n" HOST "\r\n");
    assert_in(hear(s, fd, "0 -"), "\r\n\r\nBREW /pot 0 -");
    say(fd, "GET /error HTTP/1.1\r\n" HOST "\r\n");
    heard = hear(s, fd, "}");
    assert_in(heard, "HTTP/1.1 422 ");
    assert_in(heard, "\r\nContent-Type: application/json\r\n");
    assert_in(heard, "\r\n\r\n{\"error\":\"no text\"}");
    say(fd, "GET /empty HTTP/1.1\r\n" HOST "\r\n");
    assert_in(hear(s, fd, "\r\n\r\n"), "HTTP/1.1 204 ");
    say(fd, "HEAD /v1 HTTP/1.1\r\n" HOST "\r\nGET /empty HTTP/1.1\r\n" HOST "\r\n");
    heard = hear(s, fd, "HTTP/1.1 204");
    assert_in(heard, "Content-Length: 12\r\n"); /* "HEAD /v1 0 -" */
    assert_null(strstr(heard, "HEAD"));
    say(fd, "GET /v1 HTTP/1.0\r\n\r\n");
    assert_in(hear(s, fd, NULL), "\r\n\r\nGET /v1 0 -");
    assert_int_equal(s->requests, 7);
    assert_int_equal(s->refused, 0);
    close(fd);
    close_scene(s);
}

static void answers_later_in_any_order(void **state)
{
    (void)state;
    scene *s = open_scene(&usual);
    int a = dial(s), b = dial(s);
    say(a, "POST /later HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na");
    assert_true(run_for(s, PATIENCE_S, one_waits));
    say(b, "POST /later HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nb");
    assert_true(run_for(s, PATIENCE_S, two_wait));
    assert_int_equal(rung_http_num_unsent(s->http), 2);
    assert_int_equal(rung_http_num_connections(s->http), 2);
    echo(s->waiting[1]);
    assert_in(hear(s, b, "\r\n\r\nb"), "HTTP/1.1 200 OK");
    assert_int_equal(rung_http_num_unsent(s->http), 1);
    /* One that waits may also be answered while another is handed over. */
    s->num_waiting = 1;
    say(b, "POST /first HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nc");
    hear(s, b, "\r\n\r\nc");
    hear(s, a, "\r\n\r\na");
    assert_int_equal(rung_http_num_unsent(s->http), 0);
    assert_int_equal(s->gone, 0);
    close(a);
    close(b);
    assert_true(run_for(s, PATIENCE_S, nobody_there));
    close_scene(s);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    scene *s = open_scene(&usual);
    int fd = dial(s);
    say(fd, "POST /later HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n#1"
            "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n#2"
            "POST /later HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n#3"
            "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\n#4\r\n0\r\n\r\n");
    assert_true(run_for(s, PATIENCE_S, one_waits));
    run_for(s, 0.01, NULL);
    assert_int_equal(s->requests, 1);
    echo(s->waiting[0]);
    assert_true(run_for(s, PATIENCE_S, two_wait));
    say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n#5");
    echo(s->waiting[1]);
    const char *heard = hear(s, fd, "#5");
    for (char number = '1'; number <= '5'; number++) {
        heard = strstr(heard, (char[]){'#', number, '\0'});
        assert_non_null(heard);
    }
    close(fd);
    close_scene(s);
}

static void reset(int fd)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    close(fd);
}

static void close_now(int fd)
{
    close(fd);
}

static void shut_then_close(int fd)
{
    shutdown(fd, SHUT_WR);
    close(fd);
}

/* A client that goes away while it waits is reported once, however it goes. */
static void clients_that_leave_are_noticed(void **state)
{
    (void)state;
    void (*const leave[])(int fd) = {reset, close_now, shut_then_close};
    for (size_t i = 0; i < 6; i++) {
        scene *s = open_scene(&usual);
        int fd = dial(s);
        say(fd, "GET /later HTTP/1.1\r\n" HOST "\r\n");
        bool read_before = i < 3;
        if (read_before) {
            assert_true(run_for(s, PATIENCE_S, one_waits));
        }
        leave[i % 3](fd);
        bool certain = read_before || leave[i % 3] != reset; /* a reset takes along a request that was not read */
        if (certain) {
            assert_true(run_for(s, PATIENCE_S, someone_went));
        }
        run_for(s, 0.03, NULL);
        assert_true(run_for(s, PATIENCE_S, nobody_there));
        assert_int_equal(s->gone, certain ? 1 : s->requests);
        assert_int_equal(rung_http_num_unsent(s->http), 0);
        assert_int_equal(s->refused, 0);
        close_scene(s);
    }
}

static void half_closed_clients_get_their_answer(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "POST /later HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi",
        "POST /later HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
    };
    for (size_t i = 0; i < 4; i++) {
        scene *s = open_scene(&usual);
        int older = dial(s); /* libmicrohttpd looks at the oldest connection first, and would treat a lone one kindly */
        say(older, "GET /empty HTTP/1.1\r\n" HOST "\r\n");
        hear(s, older, "204");
        int fd = dial(s);
        say(fd, requests[i / 2]);
        if (i % 2 == 0) {
            assert_true(run_for(s, PATIENCE_S, one_waits));
        }
        shutdown(fd, SHUT_WR);
        assert_true(run_for(s, PATIENCE_S, one_waits));
        run_for(s, 0.15, NULL);
        assert_int_equal(s->gone, 0);
        assert_int_equal(rung_http_num_unsent(s->http), 1);
        echo(s->waiting[0]);
        const char *heard = hear(s, fd, NULL);
        assert_in(heard, "\r\n\r\nhi");
        assert_in(heard, "200 OK\r\n");
        assert_int_equal(strstr(heard, "HTTP/1.1 100 Continue\r\n\r\n") == heard, i / 2 == 0);
        close(fd);
        close(older);
        close_scene(s);
    }
}

/* Says it to a new connection and demands that the server refuses: status, an error in JSON, the end. */
static void assert_refused_bytes(scene *s, const char *text, size_t bytes, unsigned status)
{
    size_t requests = s->requests, refusals = s->refused;
    int fd = dial(s);
    say_bytes(fd, text, bytes);
    const char *heard = hear(s, fd, NULL);
    char line[32];
    snprintf(line, sizeof line, "HTTP/1.1 %u ", status);
    if (strncmp(heard, line, strlen(line)) != 0 || s->last_refused != status) {
        fail_msg("\"%s\" and %u in answer to \"%s\", not %u", heard, s->last_refused, text, status);
    }
    assert_in(heard, "\r\nContent-Type: application/json\r\n");
    assert_in(heard, "\r\nConnection: close\r\n");
    assert_in(heard, "\r\n\r\n{\"error\":\"");
    assert_string_equal(heard + s->heard_bytes - 2, "\"}");
    assert_int_equal(s->requests, requests);
    assert_int_equal(s->refused, refusals + 1);
    close(fd);
}

static void assert_refused(scene *s, const char *text, unsigned status)
{
    assert_refused_bytes(s, text, strlen(text), status);
}

static void doubtful_heads_are_refused(void **state)
{
    (void)state;
    scene *s = open_scene(&usual);
    static const struct {
        const char *head;
        unsigned status;
    } cases[] = {
        {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", 400},
        {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         400},
        {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
        {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
        {"POST /echo HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\n" HOST "Content-Length : 2\r\n\r\nab", 400},
        {"GET /echo HTTP/1.1\r\n" HOST "X-A: a\001b\r\n\r\n", 400},
        {"GET /echo HTTP/1.1\r\n" HOST "X-A: a\rb\r\n\r\n", 400},
        {"GET /echo HTTP/1.1\r\n" HOST "X-A: a\177\r\n\r\n", 400},
        {"GET /echo HTTP/1.1\r\n" HOST "X-A: a\r\n b\r\n\r\n", 400},
        {"GET /echo HTTP/1.1\r\n" HOST "X-A: a\r\n b\r\nX-B: c\r\n\r\n", 400},
        {"GET /echo HTTP/1.1\n" HOST "\r\n", 400},
        {"GET /echo HTTP/1.1\r\nHost: a\n\r\n", 400},
        {"GET /echo HTTP/1.1\r\nHost: a\r\n\n", 400},
        {"GET /echo HTTP/1.1\r\n\r\n", 400},
        {"GET /echo HTTP/1.1\r\n" HOST HOST "\r\n", 400},
        {"GET  /echo HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /echo  HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /ec ho HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /echo?a=\001 HTTP/1.1\r\n" HOST "\r\n", 400},
        {"G(T /echo HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /echo HTTP/1.2\r\n" HOST "\r\n", 505},
        {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100001\r\n\r\n", 413},
        {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100001\r\nExpect: 100-continue\r\n\r\n", 413},
        {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551615\r\n\r\n", 413},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(s, cases[i].head, cases[i].status);
    }
    static const char with_nul[] = "GET /echo HTTP/1.1\r\n" HOST "X-A: a\0b\r\nX-B: c\r\n\r\n";
    assert_refused_bytes(s, with_nul, sizeof with_nul - 1, 400);
    static const char nul_at_end[] = "GET /echo HTTP/1.1\r\n" HOST "X-A: a\0\0\r\n\r\n";
    assert_refused_bytes(s, nul_at_end, sizeof nul_at_end - 1, 400);
    static const char nul_in_target[] = "GET /echo\0x HTTP/1.1\r\n" HOST "\r\n";
    assert_refused_bytes(s, nul_in_target, sizeof nul_in_target - 1, 400);
    static const char nul_in_name[] = "GET /echo HTTP/1.1\r\n" HOST "X\0A: a\r\n\r\n";
    int fd = dial(s);
    say_bytes(fd, nul_in_name, sizeof nul_in_name - 1);
    assert_in(hear(s, fd, NULL), "HTTP/1.1 400 ");
    close(fd);
    assert_int_equal(s->requests, 0);
    close_scene(s);
}

/* What libmicrohttpd refuses by itself: with its own page, or none at all. */
static void broken_requests_are_refused(void **state)
{
    (void)state;
    scene *s = open_scene(&usual);
    static const char *const broken[] = {
        "GET /echo\r\n\r\n",
        "GET /echo FTP/1.1\r\n" HOST "\r\n",
        "GET /echo HTTP/2.0\r\n" HOST "\r\n",
        "nonsense\r\n\r\n",
        "\026\003\001\002\r\n\r\n",
        "GET /echo HTTP/1.1\r\nno colon\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2x\r\n\r\nab",
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nx\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n-1\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        int fd = dial(s);
        say(fd, broken[i]);
        const char *heard = hear(s, fd, NULL);
        if (heard[0] != '\0' && strncmp(heard, "HTTP/1.1 4", 10) != 0 && strncmp(heard, "HTTP/1.1 505", 12) != 0) {
            fail_msg("\"%s\" in answer to \"%s\"", heard, broken[i]);
        }
        close(fd);
    }
    assert_int_equal(s->requests, 0);
    assert_true(s->refused > 6);
    assert_true(run_for(s, PATIENCE_S, nobody_there));
    close_scene(s);
}

static void bodies_are_limited(void **state)
{
    (void)state;
    scene *s = open_scene(&usual);
    /* The refusal arrives although the client has not finished to send. */
    char *body = malloc(200000);
    assert_non_null(body);
    int length = snprintf(body, 200, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 150000\r\n\r\n");
    memset(body + length, 'x', 100000);
    assert_refused_bytes(s, body, (size_t)length + 100000, 413);
    length = snprintf(body, 200, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n30000\r\n");
    memset(body + length, 'x', 100100);
    assert_refused_bytes(s, body, (size_t)length + 100100, 413);
    /* As large as it may be. */
    int fd = dial(s);
    length = snprintf(body, 200, "POST /v1 HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n");
    memset(body + length, 'x', 100000);
    say_bytes(fd, body, (size_t)length + 100000);
    assert_in(hear(s, fd, " -"), "\r\n\r\nPOST /v1 100000 -");
    close(fd);
    free(body);
    close_scene(s);
}

static void headers_are_limited(void **state)
{
    (void)state;
    scene *s = open_scene(&usual);
    char head[20000];
    int length = snprintf(head, sizeof head, "GET /echo HTTP/1.1\r\n" HOST "X-A: ");
    memset(head + length, 'x', 4200);
    memcpy(head + length + 4200, "\r\n\r\n", 4);
    assert_refused_bytes(s, head, (size_t)length + 4204, 431);
    length = snprintf(head, sizeof head, "GET /echo HTTP/1.1\r\n" HOST);
    for (size_t i = 0; i <= RUNG_HTTP_MAX_HEADERS; i++) {
        length += snprintf(head + length, sizeof head - (size_t)length, "a:b\r\n");
    }
    memcpy(head + length, "\r\n", 2);
    assert_refused_bytes(s, head, (size_t)length + 2, 431);
    /* More than libmicrohttpd has room for. */
    memset(head + length, 'x', sizeof head - (size_t)length);
    int fd = dial(s);
    say_bytes(fd, head, sizeof head);
    assert_in(hear(s, fd, NULL), "HTTP/1.1 431 ");
    close(fd);
    memcpy(head, "GET /", 5);
    memset(head + 5, 'x', sizeof head - 5);
    fd = dial(s);
    say_bytes(fd, head, sizeof head);
    assert_in(hear(s, fd, NULL), "HTTP/1.1 414 ");
    close(fd);
    assert_int_equal(s->last_refused, 414);
    assert_int_equal(s->requests, 0);
    close_scene(s);
}

static void bodies_come_in_pieces(void **state)
{
    (void)state;
    scene *s = open_scene(&usual);
    int fd = dial(s);
    char text[8000] = "POST /v1 HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n";
    size_t length = strlen(text);
    for (size_t i = 0; i < 1000; i++) {
        memcpy(text + length, "1\r\nx\r\n", 6);
        length += 6;
    }
    memcpy(text + length, "0\r\nX-Trailer: y\r\n\r\n", 19);
    length += 19;
    for (size_t at = 0; at < length; at += 7) {
        say_bytes(fd, text + at, at + 7 < length ? 7 : length - at);
        if (at % 70 == 0) {
            run_for(s, 0, NULL);
        }
    }
    assert_in(hear(s, fd, " -"), "POST /v1 1000 -");
    say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_string_equal(hear(s, fd, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    say(fd, "ab");
    run_for(s, 0.01, NULL);
    assert_int_equal(s->requests, 1);
    say(fd, "c");
    assert_in(hear(s, fd, "\r\n\r\nabc"), "HTTP/1.1 200 OK");
    close(fd);
    close_scene(s);
}

static void slow_clients_are_cut_off(void **state)
{
    (void)state;
    rung_http_options hasty = usual;
    hasty.receive_timeout_s = 0.05;
    hasty.idle_timeout_s = 0.1;
    scene *s = open_scene(&hasty);
    static const char *const begun[] = {
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nab",
        "POST /echo HTTP/1.1\r\nHo",
    };
    for (size_t i = 0; i < 2; i++) {
        assert_refused(s, begun[i], 408);
    }
    assert_int_equal(s->refused, 2);
    /* Nothing, and no whole line: closed without a word. */
    static const char *const silent[] = {"", "GET /ec"};
    for (size_t i = 0; i < 2; i++) {
        int fd = dial(s);
        say(fd, silent[i]);
        assert_string_equal(hear(s, fd, NULL), "");
        close(fd);
    }
    /* A drip does not count as progress. */
    int fd = dial(s);
    say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\n");
    for (size_t i = 0; i < 30 && s->refused == 2; i++) {
        (void)send(fd, "x", 1, MSG_NOSIGNAL);
        run_for(s, 0.01, NULL);
    }
    assert_int_equal(s->refused, 3);
    assert_in(hear(s, fd, NULL), "HTTP/1.1 408 ");
    close(fd);
    /* Idle after an answer. While a request waits, nothing is too slow. */
    fd = dial(s);
    say(fd, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    assert_true(run_for(s, PATIENCE_S, one_waits));
    run_for(s, 0.2, NULL);
    assert_int_equal(rung_http_num_unsent(s->http), 1);
    echo(s->waiting[0]);
    assert_in(hear(s, fd, NULL), "HTTP/1.1 200 OK");
    close(fd);
    /* Does not take its answer. */
    fd = dial(s);
    int small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    say(fd, "GET /large HTTP/1.1\r\n" HOST "\r\n");
    run_for(s, 0.01, NULL);
    assert_true(run_for(s, PATIENCE_S, nobody_there));
    close(fd);
    assert_int_equal(s->gone, 0);
    close_scene(s);
}

static bool large_came(scene *s)
{
    char part[65536];
    ssize_t got;
    while ((got = recv(s->ear, part, sizeof part, MSG_DONTWAIT)) > 0) {
        s->large_bytes += (size_t)got;
    }
    return s->large_bytes >= (size_t)4 << 20;
}

static void large_answers_arrive_whole(void **state)
{
    (void)state;
    scene *s = open_scene(&usual);
    s->ear = dial(s);
    say(s->ear, "GET /large HTTP/1.1\r\n" HOST "\r\nGET /empty HTTP/1.1\r\n" HOST "\r\n");
    s->large_bytes = 0;
    assert_true(run_for(s, PATIENCE_S, large_came));
    close(s->ear);
    close_scene(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_at_once),
        cmocka_unit_test(answers_later_in_any_order),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(clients_that_leave_are_noticed),
        cmocka_unit_test(half_closed_clients_get_their_answer),
        cmocka_unit_test(doubtful_heads_are_refused),
        cmocka_unit_test(broken_requests_are_refused),
        cmocka_unit_test(bodies_are_limited),
        cmocka_unit_test(headers_are_limited),
        cmocka_unit_test(bodies_come_in_pieces),
        cmocka_unit_test(slow_clients_are_cut_off),
        cmocka_unit_test(large_answers_arrive_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
