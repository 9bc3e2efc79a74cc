/* test_node.c: two levels of small models as nodes in this process, each with its loop in a thread, asked over real sockets: answers as in one process,
 * many clients at once, a client that leaves, a next level that is not there, drain and reload. Small enough for ThreadSanitizer. */
#include "run/answer_json.h"
#include "served_node.h"

#define CLIENTS 4
#define CALLS_EACH 25

static void expected_answer(rung_cascade *cascade, const char *id, const char *text, char *out, size_t room)
{
    rung_error error;
    rung_answers *answers = NULL;
    rung_buffer json = {0};
    const rung_input input = {.id = id, .text = text, .text_bytes = strlen(text)};
    assert_int_equal(rung_cascade_classify(cascade, &input, 1, &answers, &error), RUNG_OK);
    rung_answer_json(&json, cascade, id, strlen(id), rung_answers_get(answers, 0));
    assert_true(json.length < room);
    memcpy(out, json.data, json.length + 1);
    rung_buffer_deinit(&json);
    rung_answers_free(answers);
}

/* One client of several at once. */
typedef struct client {
    const served *first;
    rung_cascade *cascade;
    size_t number;
    size_t went_up;
    pthread_t thread;
} client;

static void *be_client(void *argument)
{
    client *self = argument;
    int fd = connect_to(self->first);
    for (size_t i = 0; i < CALLS_EACH; i++) {
        char id[32];
        char text[64];
        char body[160];
        char answer[4096];
        char expected[4096];
        snprintf(id, sizeof id, "%zu-%zu", self->number, i);
        snprintf(text, sizeof text, "the film %zu of %zu was %s", self->number, i * 7 % 13, i % 3 ? "great" : "dull");
        snprintf(body, sizeof body, "{\"id\":\"%s\",\"text\":\"%s\"}", id, text);
        send_call(fd, "POST", "/v1/classify", body);
        assert_int_equal(receive(fd, answer, sizeof answer), 200);
        expected_answer(self->cascade, id, text, expected, sizeof expected);
        self->went_up += strstr(answer, "\"level\":2,\"degraded\"") != NULL;
        blank_times(answer);
        blank_times(expected);
        assert_string_equal(answer, expected);
    }
    close(fd);
    return NULL;
}

static void many_clients_get_what_one_process_gives(void **state)
{
    (void)state;
    served top;
    served first;
    rung_error error;
    rung_cascade *cascade = NULL;
    client clients[CLIENTS];
    size_t went_up = 0;
    start(&top, "2", NULL, NULL);
    start(&first, "one", rung_node_url(top.node), NULL);
    assert_int_equal(rung_cascade_open(yaml_path, NULL, &cascade, &error), RUNG_OK);
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = (client){.first = &first, .cascade = cascade, .number = i};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, be_client, &clients[i]), 0);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        went_up += clients[i].went_up;
    }
    assert_true(went_up > 0);
    rung_cascade_close(cascade);
    stop(&first);
    stop(&top);
}

static void without_the_next_level_answers_are_degraded(void **state)
{
    (void)state;
    served first;
    char answer[4096];
    start(&first, "1", "http://127.0.0.1:9", NULL); /* the discard port: nobody listens */
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(
            ask(&first, "POST", "/v1/classify", "{\"text\":\"a film\",\"policy\":\"single\"}", answer, sizeof answer),
            200);
        assert_non_null(strstr(answer, "\"degraded_reason\":\"unreachable\""));
        assert_non_null(strstr(answer, "\"bytes_up\":0,"));
    }
    assert_true(has_metric(&first, "rung_bytes_up_total 0")); /* nobody got anything */
    assert_true(has_metric(&first, "rung_offloaded_total 0"));
    stop(&first);
}

static void a_client_that_leaves_takes_its_call_with_it(void **state)
{
    (void)state;
    served top;
    served first;
    start(&top, "2", NULL, NULL);
    start(&first, "1", rung_node_url(top.node), "4s");
    int fd = connect_to(&first);
    send_call(fd, "POST", "/v1/classify", "{\"text\":\"a film\",\"policy\":\"single\"}");
    await_metric(&first, "rung_upstream_in_flight 1");
    close(fd);
    await_metric(&first, "rung_requests_total{outcome=\"gone\"} 1");
    assert_true(has_metric(&first, "rung_upstream_in_flight 0"));
    stop(&first);
    stop(&top);
}

#define TEN_WORDS "a b c d e f g h i j "
#define MANY_WORDS TEN_WORDS TEN_WORDS TEN_WORDS TEN_WORDS TEN_WORDS TEN_WORDS
#define LONG_LIST "{\"inputs\":[\"a film\",\"" MANY_WORDS MANY_WORDS TEN_WORDS "a\"],\"truncate\":false}"

static void a_list_is_answered_in_order(void **state)
{
    (void)state;
    served top;
    served first;
    char answer[8192];
    start(&top, "2", NULL, NULL);
    start(&first, "1", rung_node_url(top.node), NULL);
    assert_int_equal(ask(&first, "POST", "/v1/classify",
                         "{\"inputs\":[\"a film\",{\"id\":\"x\",\"text\":\"dull\"},\"it was good\"]}", answer,
                         sizeof answer),
                     200);
    const char *zero = strstr(answer, "{\"id\":\"0\"");
    const char *x = strstr(answer, "{\"id\":\"x\"");
    const char *two = strstr(answer, "{\"id\":\"2\"");
    assert_true(answer[0] == '[' && zero == answer + 1 && x > zero && two > x);
    assert_int_equal(ask(&first, "POST", "/v1/classify", "{\"inputs\":[\"a\",\"\"]}", answer, sizeof answer), 422);
    assert_non_null(strstr(answer, "inputs[1]"));
    /* What only the worker finds. */
    assert_int_equal(ask(&first, "POST", "/v1/classify", LONG_LIST, answer, sizeof answer), 413);
    assert_non_null(strstr(answer, "inputs[1]: text has 133 tokens"));
    stop(&first);
    stop(&top);
}

static void reloads_replace_everything_or_nothing(void **state)
{
    (void)state;
    served first;
    char answer[4096];
    start(&first, "1", NULL, NULL);
    for (size_t i = 1; i <= 5; i++) {
        char line[64];
        rung_node_reload(first.node);
        snprintf(line, sizeof line, "rung_reloads_total{result=\"ok\"} %zu", i);
        await_metric(&first, line);
        assert_int_equal(ask(&first, "POST", "/v1/classify", "{\"text\":\"a film\"}", answer, sizeof answer), 200);
    }
    set_option(first.options, "limits.connections", "77");
    set_option(first.options, "limits.queue", "3s");
    rung_node_reload(first.node);
    await_metric(&first, "rung_reloads_total{result=\"ok\"} 6");
    write_file("cascade.yaml", "levels: 7\n", 10);
    rung_node_reload(first.node);
    await_metric(&first, "rung_reloads_total{result=\"failed\"} 1");
    assert_int_equal(ask(&first, "POST", "/v1/classify", "{\"text\":\"a film\"}", answer, sizeof answer), 200);
    write_yaml("calibration: calibration.json");
    stop(&first);
    assert_int_equal(first.fixed, 1);
}

/* A list whose inputs wait for the next level when the time to drain is over, after the generation that the node began with was freed. */
static void what_does_not_drain_is_told(void **state)
{
    (void)state;
    served top;
    served first = {0};
    start(&top, "2", NULL, NULL);
    start_draining(&first, "1", rung_node_url(top.node), "8s", "50ms");
    rung_node_reload(first.node);
    await_metric(&first, "rung_reloads_total{result=\"ok\"} 1");
    int fd = connect_to(&first);
    send_call(fd, "POST", "/v1/classify", "{\"inputs\":[\"a film\",\"dull\"],\"policy\":\"single\"}");
    await_metric(&first, "rung_upstream_in_flight 2");
    stop_with(&first, RUNG_IO);
    assert_non_null(strstr(first.error.message, "1 requests"));
    assert_non_null(strstr(first.error.message, "0.05 s"));
    close(fd);
    stop(&top);
}

/* A call of every API. */
static const struct {
    const char *path, *body;
    int when_overloaded;
} calls[] = {
    {"/v1/classify", "{\"text\":\"a film\"}", 503},
    {"/predict", "{\"inputs\":\"a film\"}", 429},
    {"/v1/moderations", "{\"input\":\"a film\"}", 503},
    {"/classify", "{\"input\":\"a film\"}", 503},
    {"/v2/models/one/infer",
     "{\"inputs\":[{\"name\":\"t\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"a film\"]}]}", 503},
};
#define NUM_CALLS (sizeof calls / sizeof calls[0])

/* While one text waits for company, more work waits than this node takes; what was accepted is answered all the same. */
static void overload_is_told_in_every_api(void **state)
{
    (void)state;
    served node = {.more = (const char *const[]){"limits.queue", "1ms", "batch.max_wait", "200ms", NULL}};
    char answer[4096];
    char text[600];
    memset(text, 'a', sizeof text);
    int length = snprintf(text, sizeof text, "{\"text\":\"");
    memset(text + length, 'a', sizeof text - (size_t)length);
    memcpy(text + sizeof text - 3, "\"}", 3);
    start_draining(&node, "2", NULL, NULL, NULL);
    for (size_t i = 0; i < NUM_CALLS; i++) {
        const char *path = strncmp(calls[i].path, "/v2", 3) == 0 ? "/v2/models/two/infer" : calls[i].path;
        int status = 200;
        while (status == 200) { /* a slow machine may let the wait pass between the two */
            int fd = connect_to(&node);
            send_call(fd, "POST", "/v1/classify", text);
            status = ask(&node, "POST", path, calls[i].body, answer, sizeof answer);
            assert_true(status == 200 || strstr(answer, "ms of work wait, the limit is 1 ms") != NULL);
            int of_the_text = receive(fd, answer, sizeof answer);
            assert_true(of_the_text == 200 || of_the_text == 503);
            close(fd);
        }
        assert_int_equal(status, calls[i].when_overloaded);
    }
    stop(&node);
}

/* Requests that wait for the next level count; those that are answered, or whose client left, do not. */
static void a_client_has_a_quota(void **state)
{
    (void)state;
    static const char body[] = "{\"text\":\"a film\",\"policy\":\"single\"}";
    served top;
    served first = {.more = (const char *const[]){"limits.requests_per_client", "2", NULL}};
    char answer[4096];
    start(&top, "2", NULL, NULL);
    start_draining(&first, "1", rung_node_url(top.node), "8s", NULL);
    int waiting[2];
    for (size_t i = 0; i < 2; i++) {
        waiting[i] = connect_to(&first);
        send_call(waiting[i], "POST", "/v1/classify", body);
    }
    await_metric(&first, "rung_upstream_in_flight 2");
    for (size_t i = 0; i < NUM_CALLS; i++) {
        assert_int_equal(ask(&first, "POST", calls[i].path, calls[i].body, answer, sizeof answer), 429);
        assert_non_null(strstr(answer, "this client has 2 requests that are not answered yet, the limit is 2"));
    }
    close(waiting[0]);
    await_metric(&first, "rung_upstream_in_flight 1");
    assert_int_equal(
        ask(&first, "POST", "/v1/classify", "{\"text\":\"a film\",\"policy\":\"single(1)\"}", answer, sizeof answer),
        200);
    assert_true(has_metric(&first, "rung_http_responses_total{code=\"429\"} 5"));
    close(waiting[1]);
    await_metric(&first, "rung_requests_in_flight 0");
    stop(&first);
    stop(&top);
}

/* A node whose next level is itself: it asks once, is told, and answers with what it has. */
static void a_loop_is_told_and_ends(void **state)
{
    (void)state;
    served first;
    char answer[4096];
    start(&first, "1", "http://127.0.0.1:9", NULL);
    set_option(first.options, "upstream.addresses", rung_node_url(first.node));
    rung_node_reload(first.node);
    await_metric(&first, "rung_reloads_total{result=\"ok\"} 1");
    for (size_t i = 0; i < 8; i++) { /* more than what opens a circuit */
        const char *body = i % 2 ? "{\"text\":\"it was good\",\"policy\":\"tangobert\"}"
                                 : "{\"text\":\"it was good\",\"policy\":\"single\"}";
        assert_int_equal(ask(&first, "POST", "/v1/classify", body, answer, sizeof answer), 200);
        if (strstr(answer, "\"degraded_reason\":\"loop\"") == NULL) {
            fail_msg("%s", answer);
        }
    }
    assert_true(has_metric(&first, "rung_http_responses_total{code=\"508\"} 8"));
    assert_true(has_metric(&first, "rung_requests_total{outcome=\"refused\"} 8"));
    stop(&first);
}

/* The end comes while inputs are queued, computed, above, or done: whatever it meets is given back (AddressSanitizer looks). */
static void it_may_end_in_any_state(void **state)
{
    (void)state;
    served top;
    start(&top, "2", NULL, NULL);
    for (size_t round = 0; round < 8; round++) {
        served first = {0};
        int fds[CLIENTS];
        start_draining(&first, "1", rung_node_url(top.node), round % 2 == 0 ? "9s" : NULL, "1ms");
        for (size_t i = 0; i < CLIENTS; i++) {
            fds[i] = connect_to(&first);
            send_call(fds[i], "POST", "/v1/classify",
                      "{\"inputs\":[\"a film\",\"it was good\",\"no\",\"it was good\",\"the film\",\"no\"]}");
        }
        if (round % 4 < 2) {
            rung_node_reload(first.node);
        }
        nanosleep(&(struct timespec){.tv_nsec = (long)round * 300000}, NULL);
        rung_node_drain(first.node);
        pthread_join(first.thread, NULL);
        assert_true(first.ended == RUNG_OK || first.ended == RUNG_IO);
        rung_node_free(first.node);
        rung_options_free(first.options);
        for (size_t i = 0; i < CLIENTS; i++) {
            close(fds[i]);
        }
    }
    stop(&top);
}

/* A level that only passes on keeps enough of the time to compute after all. The texts look like much work, but each is one unknown word: the machine
 * may be slow. */
static void silence_above_leaves_time_to_compute(void **state)
{
    (void)state;
    served top;
    served first;
    char word[513];
    char body[16000];
    char answer[32768];
    memset(word, 'x', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    start(&top, "2", NULL, NULL);
    start(&first, "1", rung_node_url(top.node), "9s");
    int length = snprintf(body, sizeof body, "{\"policy\":\"single\",\"inputs\":[");
    for (size_t i = 0; i < 28; i++) {
        length += snprintf(body + length, sizeof body - (size_t)length, "%s\"%s\"", i == 0 ? "" : ",", word);
    }
    snprintf(body + length, sizeof body - (size_t)length, "]}");
    int fd = connect_to(&first);
    send_with(fd, "POST", "/v1/classify", "grpc-timeout: 1S\r\n", body);
    assert_int_equal(receive(fd, answer, sizeof answer), 200);
    assert_non_null(strstr(answer, "\"degraded_reason\":\"deadline\""));
    close(fd);
    stop(&first);
    stop(&top);
}

/* Headers of a refusal, and what a small text counts. */
static void refusals_say_what_would_do(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *allowed;
    } cases[] = {{"GET", "/v1/classify", "POST"}, {"DELETE", "/v1/classify", "POST"}, {"POST", "/health", "GET, HEAD"}};
    served first;
    char answer[4096];
    start(&first, "1", NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[32];
        int fd = connect_to(&first);
        send_call(fd, cases[i].method, cases[i].path, "");
        ssize_t got = recv(fd, answer, sizeof answer - 1, 0);
        assert_true(got > 0);
        answer[got] = '\0';
        snprintf(line, sizeof line, "Allow: %s\r\n", cases[i].allowed);
        assert_int_equal(strncmp(answer, "HTTP/1.1 405", 12), 0);
        assert_non_null(strstr(answer, line));
        close(fd);
    }
    assert_int_equal(ask(&first, "POST", "/v1/classify", "{\"text\":\"a film\"}", answer, sizeof answer), 200);
    assert_true(has_metric(&first, "rung_bytes_kept_total 6"));
    stop(&first);
}

static void a_level_by_itself_needs_the_calibration(void **state)
{
    (void)state;
    rung_error error;
    rung_cascade *cascade = NULL;
    rung_cascade_config config = {0};
    rung_options *options = NULL;
    write_yaml("");
    assert_int_equal(rung_options_new(&options, &error), RUNG_OK);
    assert_int_equal(rung_cascade_config_load(yaml_path, NULL, options, &config, &error), RUNG_OK);
    assert_int_equal(rung_cascade_open_level(&config, 1, NULL, &cascade, &error), RUNG_INVALID);
    assert_non_null(strstr(error.message, "calibration"));
    rung_options_free(options);
    write_yaml("calibration: calibration.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_clients_get_what_one_process_gives),
        cmocka_unit_test(without_the_next_level_answers_are_degraded),
        cmocka_unit_test(a_client_that_leaves_takes_its_call_with_it),
        cmocka_unit_test(a_list_is_answered_in_order),
        cmocka_unit_test(reloads_replace_everything_or_nothing),
        cmocka_unit_test(what_does_not_drain_is_told),
        cmocka_unit_test(overload_is_told_in_every_api),
        cmocka_unit_test(a_client_has_a_quota),
        cmocka_unit_test(a_loop_is_told_and_ends),
        cmocka_unit_test(it_may_end_in_any_state),
        cmocka_unit_test(silence_above_leaves_time_to_compute),
        cmocka_unit_test(refusals_say_what_would_do),
        cmocka_unit_test(a_level_by_itself_needs_the_calibration),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
