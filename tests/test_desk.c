/* test_desk.c: every answer carries a request id, the client's or a new one; it goes to the next level with the client's trace, and into the log. */
#include "api_scene.h"
#include "serve/desk.h"

#define PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static heard answer;

static void every_answer_has_an_id(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *body;
        int status;
    } cases[] = {{"POST", "/v1/classify", "{\"text\":\"a film\"}", 200},
                 {"POST", "/v1/classify", "{", 400},
                 {"POST", "/v1/classify", "{\"inputs\":[]}", 422},
                 {"GET", "/v1/classify", "", 405},
                 {"GET", "/health", "", 200},
                 {"HEAD", "/health", "", 200},
                 {"GET", "/none", "", 404},
                 {"GET", "/metrics", "", 200}};
    served node;
    char last[RUNG_REQUEST_ID_BYTES] = "";
    start(&node, "1", NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        call(&node, cases[i].method, cases[i].path, "", cases[i].body, &answer);
        expect_status(&answer, cases[i].status, cases[i].path);
        const char *made = header_of(&answer, "x-request-id");
        assert_non_null(made);
        assert_int_equal(strlen(made), 16);
        assert_string_not_equal(made, last);
        snprintf(last, sizeof last, "%s", made);
        call(&node, cases[i].method, cases[i].path, "X-Request-ID: mine-7\r\n", cases[i].body, &answer);
        assert_string_equal(header_of(&answer, "x-request-id"), "mine-7");
    }
    call(&node, "GET", "/health", "X-Request-ID: a\tb\r\n", "", &answer);
    assert_int_equal(strlen(header_of(&answer, "x-request-id")), 16);
    stop(&node);
}

/* What the HTTP server refuses by itself has one, too. */
static void refusals_of_the_server_have_one(void **state)
{
    (void)state;
    served node;
    start(&node, "1", NULL, NULL);
    int fd = connect_to(&node);
    static const char large[] =
        "POST /v1/classify HTTP/1.1\r\nHost: x\r\nX-Request-ID: big\r\nContent-Length: 99999999\r\n\r\n";
    assert_int_equal(send(fd, large, sizeof large - 1, 0), sizeof large - 1);
    hear_answer(fd, false, &answer);
    expect_status(&answer, 413, "large");
    assert_string_equal(header_of(&answer, "x-request-id"), "big");
    assert_non_null(strstr(answer.body, "{\"error\":\"the body is larger than this node's limit of 1048576 bytes\"}"));
    close(fd);
    stop(&node);
}

static int listen_anywhere(char *url, size_t room)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    snprintf(url, room, "http://127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

/* What the next level gets of a call with these headers, which it leaves without an answer. */
static void overhear(const served *node, int listener, const char *headers, char *request, size_t room)
{
    static const char body[] = "{\"text\":\"a film\",\"policy\":\"single\"}";
    int client = connect_to(node);
    size_t have = 0;
    say_call(client, "POST", "/v1/classify", headers, body, sizeof body - 1);
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    while (have == 0 || strstr(request, "\r\n\r\n") == NULL) {
        ssize_t got = recv(fd, request + have, room - 1 - have, 0);
        assert_true(got > 0);
        have += (size_t)got;
        request[have] = '\0';
    }
    close(fd);
    hear_answer(client, false, &answer);
    expect_status(&answer, 200, "degraded");
    close(client);
}

static void the_next_level_gets_id_and_trace(void **state)
{
    (void)state;
    served node;
    char url[64];
    static char request[16384];
    int listener = listen_anywhere(url, sizeof url);
    start(&node, "1", url, NULL);
    overhear(&node, listener, "x-request-id: mine-7\r\ntraceparent: " PARENT "\r\ntracestate: a=1,b=2\r\n", request,
             sizeof request);
    assert_non_null(strcasestr(request, "\r\nx-request-id: mine-7\r\n"));
    assert_non_null(strcasestr(request, "\r\ntraceparent: " PARENT "\r\n"));
    assert_non_null(strcasestr(request, "\r\ntracestate: a=1,b=2\r\n"));
    stop(&node);
    assert_non_null(strstr(node.degraded, "\"request_id\":\"mine-7\""));
    assert_non_null(strstr(node.degraded, "\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\""));
    start(&node, "1", url, NULL);
    overhear(&node, listener, "traceparent: 00-1-2-3\r\ntracestate: a=1\r\n", request, sizeof request);
    assert_non_null(strcasestr(request, "\r\nx-request-id: "));
    assert_null(strcasestr(request, "traceparent"));
    assert_null(strcasestr(request, "tracestate"));
    stop(&node);
    assert_non_null(strstr(node.degraded, "\"request_id\":\""));
    assert_null(strstr(node.degraded, "trace_id"));
    close(listener);
}

static void calls_are_counted_by_api(void **state)
{
    (void)state;
    served node;
    start(&node, "1", NULL, NULL);
    expect_refusal(&node, "POST", "/v1/classify", "", "{\"text\":\"a\",\"policy\":\"no\"}", 422, "no");
    assert_true(has_metric(&node, "rung_api_requests_total{api=\"rung\"} 1"));
    assert_true(has_metric(&node, "rung_api_requests_total{api=\"tei\"} 0"));
    stop(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_has_an_id),
        cmocka_unit_test(refusals_of_the_server_have_one),
        cmocka_unit_test(the_next_level_gets_id_and_trace),
        cmocka_unit_test(calls_are_counted_by_api),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
