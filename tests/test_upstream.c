/* test_upstream.c: the client of the next level against servers that answer, fail, fall silent or lie. Hedging is in test_upstream_hedge.c. */
#include "upstream_scene.h"

static void a_reply_arrives(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, ANSWER, ANSWER, 1);
    s.prefix = "/edge/";
    s.token = "secret";
    connect_upstream(&s);
    outcome o = ask(&s);
    assert_int_equal(o.outcome, RUNG_CALL_REPLY);
    assert_int_equal(o.http_status, 200);
    assert_string_equal(o.body, "{\"levels\":[]}");
    assert_true(o.elapsed_s >= 0);
    const char *request = s.servers[0]->last;
    assert_memory_equal(request, "POST /edge/v1/classify HTTP/1.1\r\n", 33);
    assert_non_null(strstr(request, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(request, "\r\nAuthorization: Bearer secret\r\n"));
    assert_non_null(strstr(request, "\r\nRung-Via: edge-1\r\n"));
    assert_non_null(strstr(request, "\r\ngrpc-timeout: 90m\r\n"));
    assert_non_null(strstr(request, "\r\n\r\n{\"key\":1}"));
    assert_null(strstr(request, "Expect"));
    rung_upstream_health health = look(&s);
    assert_true(health.calls == 1 && health.failures == 0 && health.retries == 0 && health.in_flight == 0);
    assert_true(health.p50_s > 0 && health.p99_s == health.p50_s);
    close_scene(&s);
}

static void a_connection_is_used_again(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, ANSWER, ANSWER, 1);
    connect_upstream(&s);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(ask(&s).outcome, RUNG_CALL_REPLY);
    }
    assert_int_equal(s.servers[0]->requests, 200);
    assert_int_equal(s.servers[0]->accepted, 1);
    assert_true(look(&s).p99_s >= look(&s).p50_s);
    close_connection(&s.servers[0]->connections[0], false); /* idle: a new one is made without a failure */
    assert_int_equal(ask(&s).outcome, RUNG_CALL_REPLY);
    assert_int_equal(s.servers[0]->accepted, 2);
    close_scene(&s);
}

static void statuses_have_their_outcomes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        rung_call_outcome outcome;
        int http_status;
    } cases[] = {
        {"HTTP/1.1 503 busy\r\nContent-Length: 4\r\n\r\nwait", RUNG_CALL_OVERLOADED, 503},
        {"HTTP/1.1 429 slow\r\nContent-Length: 0\r\n\r\n", RUNG_CALL_OVERLOADED, 429},
        {"HTTP/1.1 404 no\r\nContent-Length: 0\r\n\r\n", RUNG_CALL_BAD_REPLY, 404},
        {"HTTP/1.1 204 ok\r\n\r\n", RUNG_CALL_BAD_REPLY, 204},
        {"HTTP/1.1 302 go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", RUNG_CALL_BAD_REPLY, 302},
        {"HTTP/1.1 100 go on\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", RUNG_CALL_REPLY, 200},
        {"\x16\x03\x01 this is no HTTP\r\n\r\n", RUNG_CALL_BAD_REPLY, 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nthe first of a billion", RUNG_CALL_BAD_REPLY, 200},
        {"HTTP/1.1 503 busy\r\nContent-Length: 1000000000\r\n\r\nthe first of a billion", RUNG_CALL_OVERLOADED, 503},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        scene s;
        open_scene(&s, TEXT, ANSWER, 1);
        s.servers[0]->text = cases[i].text;
        connect_upstream(&s);
        outcome o = ask(&s);
        if (o.outcome != cases[i].outcome || o.http_status != cases[i].http_status) {
            fail_msg("case %zu: outcome %d, status %d: %s", i, (int)o.outcome, o.http_status, o.detail);
        }
        assert_memory_equal(o.detail, "http://127.0.0.1:", 17);
        close_scene(&s);
    }
}

static void replies_without_end_are_cut(void **state)
{
    (void)state;
    static const manner manners[] = {ENDLESS_BODY, ENDLESS_HEADER};
    for (size_t i = 0; i < 2; i++) {
        scene s;
        open_scene(&s, manners[i], ANSWER, 1);
        connect_upstream(&s);
        outcome o = ask(&s);
        assert_int_equal(o.outcome, RUNG_CALL_BAD_REPLY);
        assert_true(s.servers[0]->sent_bytes < (64u << 20)); /* what fits into the sockets' buffers, not a billion */
        wait_for(&s, &s.servers[0]->closed, 1);
        close_scene(&s);
    }
}

static void who_is_not_there_is_unreachable(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, ANSWER, ANSWER, 1);
    stop_listening(s.servers[0]);
    connect_upstream(&s);
    outcome o = ask(&s);
    assert_int_equal(o.outcome, RUNG_CALL_UNREACHABLE);
    assert_int_equal(o.http_status, 0);
    assert_true(look(&s).failures == 1 && look(&s).retries == 0); /* there is no other address */
    close_scene(&s);
    open_scene(&s, RESET, ANSWER, 1);
    connect_upstream(&s);
    assert_int_equal(ask(&s).outcome, RUNG_CALL_UNREACHABLE);
    close_scene(&s);
    open_scene(&s, TEXT, ANSWER, 1);
    s.servers[0]->text = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf of it";
    connect_upstream(&s);
    outcome cut;
    (void)begin(&s, LONG_S, &cut);
    wait_for(&s, &s.servers[0]->requests, 1);
    close_connection(&s.servers[0]->connections[0], false);
    run(&s);
    assert_int_equal(cut.outcome, RUNG_CALL_UNREACHABLE);
    close_scene(&s);
}

static void silence_ends_at_the_deadline(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, SILENT, ANSWER, 2);
    connect_upstream(&s);
    s.servers[1]->how = SILENT;
    outcome o;
    ask_until(&s, 0.05, &o);
    assert_int_equal(o.outcome, RUNG_CALL_DEADLINE);
    assert_true(o.elapsed_s >= 0.049);
    server *asked = s.servers[s.servers[0]->requests == 1 ? 0 : 1];
    wait_for(&s, &asked->closed, 1);                                      /* the upper level sees that nobody waits */
    assert_int_equal(s.servers[0]->requests + s.servers[1]->requests, 1); /* no retry */
    ask_until(&s, -1, &o);                                                /* it has passed already */
    assert_int_equal(o.outcome, RUNG_CALL_DEADLINE);
    close_scene(&s);
}

static void a_peer_that_accepts_nothing_ends_at_the_deadline(void **state)
{
    (void)state;
    scene s;
    rung_error error;
    open_scene(&s, ANSWER, ANSWER, 1);
    connect_upstream(&s);
    assert_int_equal(rung_loop_change(s.loop, &s.servers[0]->listener, 0, &error), RUNG_OK); /* as when it is stopped */
    outcome o;
    ask_until(&s, 0.05, &o);
    assert_int_equal(o.outcome, RUNG_CALL_DEADLINE);
    assert_int_equal(s.servers[0]->accepted, 0);
    close_scene(&s);
}

static void cancel_closes_the_connection(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, SILENT, ANSWER, 1);
    connect_upstream(&s);
    outcome first;
    outcome second;
    rung_call *call = begin(&s, LONG_S, &first);
    (void)begin(&s, LONG_S, &second);
    wait_for(&s, &s.servers[0]->requests, 2);
    assert_int_equal(look(&s).in_flight, 2);
    rung_upstream_cancel(s.upstream, call);
    assert_int_equal(look(&s).in_flight, 1);
    wait_for(&s, &s.servers[0]->closed, 1);
    assert_int_equal(look(&s).failures, 0);
    close_scene(&s); /* the other one is cancelled with the upstream */
    assert_int_equal(first.calls + second.calls, 0);
}

static void a_retry_goes_to_the_other_address(void **state)
{
    (void)state;
    static const char busy[] = "HTTP/1.1 503 busy\r\nContent-Length: 0\r\n\r\n";
    static const manner manners[] = {RESET, TEXT, ANSWER /* refused */};
    for (size_t i = 0; i < 3; i++) {
        scene s;
        open_scene(&s, manners[i], ANSWER, 2);
        s.servers[0]->text = busy;
        if (i == 2) {
            stop_listening(s.servers[0]);
        }
        connect_upstream(&s);
        for (size_t call = 0; call < 2; call++) { /* the second address is the first choice of one of them */
            outcome o = ask(&s);
            assert_int_equal(o.outcome, RUNG_CALL_REPLY);
        }
        assert_int_equal(look(&s).retries, 1);
        assert_int_equal(look(&s).failures, 0);
        assert_int_equal(s.servers[1]->requests, 2);
        close_scene(&s);
    }
}

/* Whoever has answered has perhaps done the work: only 503 says that it has not. */
static void what_was_answered_is_not_asked_again(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "HTTP/1.1 429 busy\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 500 no\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 422 no\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nx"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        scene s;
        open_scene(&s, TEXT, TEXT, 2);
        s.servers[0]->text = s.servers[1]->text = texts[i];
        connect_upstream(&s);
        assert_int_equal(ask(&s).outcome, i == 0 ? RUNG_CALL_OVERLOADED : RUNG_CALL_BAD_REPLY);
        assert_int_equal(s.servers[0]->requests + s.servers[1]->requests, 1);
        assert_int_equal(look(&s).retries, 0);
        close_scene(&s);
    }
}

static void a_call_is_tried_twice_at_most(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, RESET, RESET, 2);
    connect_upstream(&s);
    assert_int_equal(ask(&s).outcome, RUNG_CALL_UNREACHABLE);
    assert_int_equal(s.servers[0]->requests, 1);
    assert_int_equal(s.servers[1]->requests, 1);
    assert_int_equal(look(&s).failures, 1);
    close_scene(&s);
}

static void retries_have_a_budget(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, ANSWER_503_ALTERNATELY, ANSWER_503_ALTERNATELY, 2);
    connect_upstream(&s);
    size_t overloaded = 0;
    for (size_t i = 0; i < 60; i++) {
        outcome o = ask(&s);
        overloaded += o.outcome == RUNG_CALL_OVERLOADED ? 1 : 0;
    }
    rung_upstream_health health = look(&s);
    assert_true(health.retries >= 3 && health.retries <= 3 + 60 / 10);
    assert_true(overloaded > 0 && health.failures == overloaded);
    assert_int_equal(s.servers[0]->requests + s.servers[1]->requests, 60 + health.retries);
    close_scene(&s);
}

static void check_circuit(bool probes)
{
    scene s;
    open_scene(&s, TEXT, ANSWER, 1);
    s.servers[0]->text = "HTTP/1.1 503 busy\r\nContent-Length: 0\r\n\r\n";
    s.servers[0]->unhealthy = true;
    s.probes = probes;
    connect_upstream(&s);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(ask(&s).outcome, RUNG_CALL_OVERLOADED);
    }
    assert_int_equal(look(&s).open_circuits, 1);
    outcome o = ask(&s);
    assert_int_equal(o.outcome, RUNG_CALL_UNREACHABLE);
    assert_string_equal(o.detail, "every circuit is open");
    assert_int_equal(s.servers[0]->requests, 5);
    assert_int_equal(look(&s).refused, 1);
    if (probes) {
        wait_for(&s, &s.servers[0]->probes, 3); /* it looks by itself, and calls are refused meanwhile */
        assert_int_equal(ask(&s).outcome, RUNG_CALL_UNREACHABLE);
        assert_int_equal(s.servers[0]->requests, 5);
    }
    s.servers[0]->how = ANSWER;
    s.servers[0]->unhealthy = false;
    while (ask(&s).outcome != RUNG_CALL_REPLY) {
        wait_s(&s, 0.005);
    }
    assert_int_equal(look(&s).open_circuits, 0);
    assert_int_equal(s.came_back, 1);
    assert_int_equal(ask(&s).outcome, RUNG_CALL_REPLY);
    assert_int_equal(s.came_back, 1);
    close_scene(&s);
}

static void a_circuit_opens_and_closes(void **state)
{
    (void)state;
    check_circuit(true);
    check_circuit(false);
}

static void a_dead_address_is_left_alone_and_found_again(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, ANSWER, ANSWER, 1);
    uint16_t port = s.servers[0]->port;
    s.probes = true;
    connect_upstream(&s);
    stop_listening(s.servers[0]);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(ask(&s).outcome, RUNG_CALL_UNREACHABLE);
    }
    wait_s(&s, 0.06); /* a probe or two that nobody answers */
    assert_int_equal(look(&s).open_circuits, 1);
    listen_at(s.servers[0], port);
    wait_for(&s, &s.servers[0]->probes, 1);
    while (ask(&s).outcome != RUNG_CALL_REPLY) {
        wait_s(&s, 0.005);
    }
    assert_int_equal(s.servers[0]->requests, 1);
    close_scene(&s);
}

static void a_given_up_trial_leaves_the_way_free(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, RESET, ANSWER, 1);
    s.probes = true;
    connect_upstream(&s);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(ask(&s).outcome, RUNG_CALL_UNREACHABLE);
    }
    s.servers[0]->how = SILENT;
    wait_for(&s, &s.servers[0]->probes, 1);
    while (look(&s).open_circuits > 0) {
        wait_s(&s, 0.002);
    }
    outcome trial;
    rung_call *call = begin(&s, LONG_S, &trial);
    assert_int_equal(look(&s).open_circuits, 1); /* one trial at a time */
    assert_int_equal(ask(&s).outcome, RUNG_CALL_UNREACHABLE);
    rung_upstream_cancel(s.upstream, call);
    s.servers[0]->how = ANSWER;
    assert_int_equal(ask(&s).outcome, RUNG_CALL_REPLY);
    assert_int_equal(trial.calls, 0);
    close_scene(&s);
}

static void calls_spread_over_the_addresses(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, SILENT, SILENT, 2);
    connect_upstream(&s);
    outcome outcomes[10];
    for (size_t i = 0; i < 10; i++) {
        (void)begin(&s, LONG_S, &outcomes[i]);
    }
    wait_for(&s, &s.servers[0]->requests, 5);
    wait_for(&s, &s.servers[1]->requests, 5);
    close_scene(&s);
}

#define CROWD 50
#define ROUNDS 20

typedef struct crowd {
    scene s;
    size_t replied;
    rung_call *cancelled; /* the last call of a round, by the first reply */
} crowd;

typedef struct member {
    crowd *owner;
    bool last;
    char body[32];
} member;

static void take_echo(void *context, const rung_call_result *result)
{
    member *m = context;
    crowd *c = m->owner;
    assert_int_equal(result->outcome, RUNG_CALL_REPLY);
    assert_int_equal(result->body_bytes, strlen(m->body));
    assert_memory_equal(result->body, m->body, result->body_bytes);
    if (m->last) { /* it was faster than all others: there is nothing to cancel */
        c->cancelled = NULL;
        return;
    }
    if (c->cancelled != NULL) {
        rung_upstream_cancel(c->s.upstream, c->cancelled); /* from within another call's callback */
        c->cancelled = NULL;
    }
    if (++c->replied == CROWD - 1) {
        rung_loop_stop(c->s.loop);
    }
}

static void every_call_gets_its_own_reply(void **state)
{
    (void)state;
    static crowd c;
    static member members[CROWD];
    rung_error error;
    open_scene(&c.s, ECHO, ECHO, 2);
    connect_upstream(&c.s);
    for (size_t round = 0; round < ROUNDS; round++) {
        c.replied = 0;
        for (size_t i = 0; i < CROWD; i++) {
            rung_call *call = NULL;
            members[i].owner = &c;
            members[i].last = i == CROWD - 1;
            snprintf(members[i].body, sizeof members[i].body, "call %zu of round %zu", i, round);
            rung_call_request request = {.body = members[i].body,
                                         .body_bytes = strlen(members[i].body),
                                         .deadline_s = rung_clock_s() + LONG_S,
                                         .done = take_echo,
                                         .context = &members[i]};
            assert_int_equal(rung_upstream_send(c.s.upstream, &request, &call, &error), RUNG_OK);
            c.cancelled = call; /* the last one */
        }
        run(&c.s);
    }
    assert_int_equal(look(&c.s).in_flight, 0);
    assert_int_equal(look(&c.s).failures, 0);
    close_scene(&c.s);
}

static void an_emulated_link_takes_its_time(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, ANSWER, ANSWER, 1);
    s.link = &slow_link;
    connect_upstream(&s);
    double sent_s = rung_clock_s();
    outcome o = ask(&s);
    assert_int_equal(o.outcome, RUNG_CALL_REPLY);
    assert_true(s.servers[0]->request_at_s - sent_s >= 0.0199);
    assert_true(o.elapsed_s >= 0.0399);
    assert_true(look(&s).p50_s >= 0.0399);
    close_scene(&s);
}

static void a_call_can_end_on_the_link(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, ANSWER, ANSWER, 1);
    s.link = &slow_link;
    connect_upstream(&s);
    outcome o;
    ask_until(&s, 0.005, &o); /* on the way up */
    assert_int_equal(o.outcome, RUNG_CALL_DEADLINE);
    rung_call *call = begin(&s, LONG_S, &o);
    wait_s(&s, 0.001);
    rung_upstream_cancel(s.upstream, call);
    wait_s(&s, 0.03);
    assert_int_equal(s.servers[0]->requests, 0);
    call = begin(&s, LONG_S, &o); /* on the way down */
    wait_for(&s, &s.servers[0]->requests, 1);
    wait_s(&s, 0.002);
    if (o.calls == 0) { /* else this machine was very slow just now */
        rung_upstream_cancel(s.upstream, call);
        wait_s(&s, 0.03);
        assert_int_equal(o.calls, 0);
    }
    assert_int_equal(look(&s).in_flight, 0);
    assert_int_equal(look(&s).open_circuits, 0);
    close_scene(&s);
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"127.0.0.1:80",      "ftp://127.0.0.1", "http://",
                                      "http://host:99999", "http://a b",      ""};
    const char *address = NULL;
    rung_upstream_options options = {
        .addresses = &address, .num_addresses = 1, .path = "/v1/classify", .max_reply_bytes = 10};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        address = bad[i];
        check_refused(&options, RUNG_INVALID, "upstream: '");
    }
    address = "http://user:secret@host";
    check_refused(&options, RUNG_INVALID, "upstream: an address holds a user or password");
    address = "http://host?x";
    check_refused(&options, RUNG_INVALID, "upstream: 'http://host?x' has a query");
    address = "http://ho\nst";
    check_refused(&options, RUNG_INVALID, "upstream: an address holds a control character");
    address = "http://127.0.0.1:1";
    options.path = "v1";
    check_refused(&options, RUNG_INVALID, "upstream: the path must begin with '/'");
    options.path = "/v1";
    options.token = "a\r\nb";
    check_refused(&options, RUNG_INVALID, "upstream: the token");
    options.token = NULL;
    options.ca_file = "/nonexistent/ca.pem";
    check_refused(&options, RUNG_NOT_FOUND, "upstream: CA file '/nonexistent/ca.pem': ");
    options.ca_file = NULL;
    options.num_addresses = 0;
    check_refused(&options, RUNG_LIMIT, "upstream: 0 addresses; there may be 1 to 16");
    options.num_addresses = 1;
    options.max_reply_bytes = 0;
    check_refused(&options, RUNG_LIMIT, "upstream: the limit of a reply");
}

static void bad_headers_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"no colon", ": nothing", "a b: c", "a: b\r\nc: d"};
    scene s;
    open_scene(&s, ANSWER, ANSWER, 1);
    connect_upstream(&s);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rung_call *call = NULL;
        rung_error error;
        rung_call_request request = {
            .body = "", .deadline_s = 1e9, .headers = &bad[i], .num_headers = 1, .done = take_outcome};
        assert_int_equal(rung_upstream_send(s.upstream, &request, &call, &error), RUNG_INVALID);
        assert_null(call);
        request.num_headers = 0;
        request.deadline_s = NAN;
        assert_int_equal(rung_upstream_send(s.upstream, &request, &call, &error), RUNG_INVALID);
    }
    assert_int_equal(look(&s).in_flight, 0);
    assert_int_equal(look(&s).calls, 0);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_arrives),
        cmocka_unit_test(a_connection_is_used_again),
        cmocka_unit_test(statuses_have_their_outcomes),
        cmocka_unit_test(replies_without_end_are_cut),
        cmocka_unit_test(who_is_not_there_is_unreachable),
        cmocka_unit_test(silence_ends_at_the_deadline),
        cmocka_unit_test(a_peer_that_accepts_nothing_ends_at_the_deadline),
        cmocka_unit_test(cancel_closes_the_connection),
        cmocka_unit_test(a_retry_goes_to_the_other_address),
        cmocka_unit_test(what_was_answered_is_not_asked_again),
        cmocka_unit_test(a_call_is_tried_twice_at_most),
        cmocka_unit_test(retries_have_a_budget),
        cmocka_unit_test(a_circuit_opens_and_closes),
        cmocka_unit_test(a_dead_address_is_left_alone_and_found_again),
        cmocka_unit_test(a_given_up_trial_leaves_the_way_free),
        cmocka_unit_test(calls_spread_over_the_addresses),
        cmocka_unit_test(every_call_gets_its_own_reply),
        cmocka_unit_test(an_emulated_link_takes_its_time),
        cmocka_unit_test(a_call_can_end_on_the_link),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(bad_headers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
