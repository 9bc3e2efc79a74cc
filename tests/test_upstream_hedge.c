/* test_upstream_hedge.c: upstream.c asks a second address beside the first when that is slow. */
#include "upstream_scene.h"

#define SOON_S 0.005 /* hedge_after */

static void open_hedged(scene *s, manner first, manner second, size_t num_servers)
{
    open_scene(s, first, second, num_servers);
    s->hedge_after_s = SOON_S;
    connect_upstream(s);
}

/* A call whose first address is servers[0] and that has been hedged to servers[1]. */
static rung_call *begin_hedged(scene *s, outcome *o)
{
    rung_call *call = begin(s, LONG_S, o);
    wait_for(s, &s->servers[0]->requests, 1);
    wait_for(s, &s->servers[1]->requests, 1);
    assert_int_equal(o->calls, 0);
    return call;
}

static void answer(server *from, const char *body)
{
    send_reply(&from->connections[0], "200 OK", body);
}

static size_t all_requests(const scene *s)
{
    size_t requests = 0;
    for (size_t i = 0; i < s->num_servers; i++) {
        requests += s->servers[i]->requests;
    }
    return requests;
}

static void the_slow_one_loses(void **state)
{
    (void)state;
    scene s;
    open_hedged(&s, SILENT, ANSWER, 2);
    outcome o = ask(&s);
    assert_int_equal(o.outcome, RUNG_CALL_REPLY);
    assert_int_equal(o.http_status, 200);
    assert_string_equal(o.body, "{\"levels\":[]}");
    assert_true(o.elapsed_s >= SOON_S);
    wait_for(&s, &s.servers[0]->closed, 1); /* it sees that nobody waits */
    rung_upstream_health health = look(&s);
    assert_true(health.hedges == 1 && health.retries == 0 && health.calls == 1);
    assert_true(health.failures == 0 && health.in_flight == 0 && health.p50_s >= SOON_S);
    assert_memory_equal(s.servers[0]->last, s.servers[1]->last, 20);
    assert_non_null(strstr(s.servers[1]->last, "\r\n\r\n{\"key\":1}"));
    close_scene(&s);
}

static void what_the_loser_brought_is_no_part_of_the_reply(void **state)
{
    (void)state;
    scene s;
    open_hedged(&s, TEXT, ANSWER, 2);
    s.servers[0]->text = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf of it";
    outcome o = ask(&s);
    assert_int_equal(o.outcome, RUNG_CALL_REPLY);
    assert_int_equal(o.body_bytes, 13);
    assert_string_equal(o.body, "{\"levels\":[]}");
    wait_for(&s, &s.servers[0]->closed, 1);
    close_scene(&s);
}

static void the_first_one_may_win_after_all(void **state)
{
    (void)state;
    scene s;
    outcome o;
    open_hedged(&s, SILENT, SILENT, 2);
    (void)begin_hedged(&s, &o);
    answer(s.servers[0], "late");
    run(&s);
    assert_int_equal(o.outcome, RUNG_CALL_REPLY);
    assert_string_equal(o.body, "late");
    wait_for(&s, &s.servers[1]->closed, 1);
    assert_int_equal(o.calls, 1);
    assert_int_equal(look(&s).hedges, 1);
    close_scene(&s);
}

static void who_is_fast_is_not_hedged(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, ANSWER, ANSWER, 2);
    s.hedge_after_s = LONG_S;
    connect_upstream(&s);
    assert_int_equal(ask(&s).outcome, RUNG_CALL_REPLY);
    assert_int_equal(look(&s).hedges, 0);
    close_scene(&s);
    open_scene(&s, SILENT, SILENT, 2); /* off by default */
    connect_upstream(&s);
    outcome o;
    ask_until(&s, 0.05, &o);
    assert_int_equal(o.outcome, RUNG_CALL_DEADLINE);
    assert_int_equal(all_requests(&s), 1);
    close_scene(&s);
}

static void a_call_fails_when_both_have_failed(void **state)
{
    (void)state;
    for (size_t first = 0; first < 2; first++) {
        scene s;
        outcome o;
        open_hedged(&s, SILENT, SILENT, 2);
        (void)begin_hedged(&s, &o);
        close_connection(&s.servers[first]->connections[0], true);
        wait_s(&s, 0.01);
        assert_int_equal(o.calls, 0); /* the other one goes on */
        send_text(&s.servers[1 - first]->connections[0], "HTTP/1.1 503 busy\r\nContent-Length: 0\r\n\r\n");
        run(&s);
        assert_int_equal(o.calls, 1);
        assert_int_equal(o.outcome, RUNG_CALL_OVERLOADED); /* as the last of them said */
        assert_int_equal(o.http_status, 503);
        rung_upstream_health health = look(&s);
        assert_true(health.failures == 1 && health.retries == 0 && health.hedges == 1);
        assert_int_equal(all_requests(&s), 2);
        close_scene(&s);
    }
}

static void one_failure_leaves_the_other_to_answer(void **state)
{
    (void)state;
    for (size_t failed = 0; failed < 2; failed++) {
        scene s;
        outcome o;
        open_hedged(&s, SILENT, SILENT, 2);
        (void)begin_hedged(&s, &o);
        close_connection(&s.servers[failed]->connections[0], true);
        wait_s(&s, 0.01);
        assert_int_equal(o.calls, 0);
        answer(s.servers[1 - failed], "well");
        run(&s);
        assert_int_equal(o.outcome, RUNG_CALL_REPLY);
        assert_string_equal(o.body, "well");
        assert_int_equal(look(&s).retries, 0);
        assert_int_equal(look(&s).failures, 0);
        assert_int_equal(all_requests(&s), 2);
        close_scene(&s);
    }
}

static void a_retry_is_not_hedged(void **state)
{
    (void)state;
    scene s;
    outcome o;
    open_scene(&s, RESET, SILENT, 3);
    s.hedge_after_s = 0.03;
    connect_upstream(&s);
    (void)begin(&s, LONG_S, &o);
    while (s.servers[1]->requests + s.servers[2]->requests == 0) {
        wait_s(&s, 0.002);
    }
    uint64_t retries = look(&s).retries; /* 0: this machine was slow, and it was a hedge */
    wait_s(&s, 0.1);
    assert_int_equal(look(&s).retries, retries);
    assert_int_equal(look(&s).retries + look(&s).hedges, 1);
    assert_int_equal(all_requests(&s), 2);
    close_scene(&s);
    assert_int_equal(o.calls, 0);
}

static void without_a_token_there_is_no_hedge(void **state)
{
    (void)state;
    scene s;
    outcome outcomes[4];
    open_hedged(&s, SILENT, SILENT, 2);
    for (size_t i = 0; i < 3; i++) { /* the tokens of the start; four calls bring less than one */
        (void)begin(&s, LONG_S, &outcomes[i]);
    }
    while (all_requests(&s) < 6) {
        wait_s(&s, 0.002);
    }
    rung_call *call = begin(&s, LONG_S, &outcomes[3]);
    while (all_requests(&s) < 7) {
        wait_s(&s, 0.002);
    }
    wait_s(&s, 10 * SOON_S);
    assert_int_equal(all_requests(&s), 7);
    assert_int_equal(look(&s).hedges, 3);
    rung_upstream_cancel(s.upstream, call);
    assert_int_equal(look(&s).in_flight, 3);
    close_scene(&s); /* cancels calls with two attempts */
    assert_int_equal(outcomes[0].calls + outcomes[1].calls + outcomes[2].calls, 0);
}

/* Server 0 is asked first by every other call, so six losses there are twelve calls, and some before them for the tokens. */
static void the_loser_is_not_blamed(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, ANSWER, ANSWER, 2);
    s.hedge_after_s = 0.05;
    connect_upstream(&s);
    for (size_t i = 0; i < 80; i++) {
        assert_int_equal(ask(&s).outcome, RUNG_CALL_REPLY);
    }
    s.servers[0]->how = SILENT;
    uint64_t before = look(&s).hedges;
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal(ask(&s).outcome, RUNG_CALL_REPLY);
    }
    assert_true(look(&s).hedges >= before + 6);
    assert_int_equal(look(&s).open_circuits, 0);
    close_scene(&s);
}

static void nor_is_it_praised(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, TEXT, ANSWER, 2);
    s.servers[0]->text = "HTTP/1.1 500 no\r\nContent-Length: 0\r\n\r\n";
    s.hedge_after_s = 0.2;
    connect_upstream(&s);
    for (size_t i = 0; i < 12; i++) { /* four failures of server 0, one loss, and the failure that opens its circuit */
        s.servers[0]->how = i == 8 ? SILENT : TEXT;
        assert_int_equal(look(&s).open_circuits, i == 11 ? 1 : 0);
        assert_int_equal(ask(&s).outcome, i % 2 == 1 || i == 8 ? RUNG_CALL_REPLY : RUNG_CALL_BAD_REPLY);
    }
    close_scene(&s);
}

static void a_hedge_goes_only_where_the_circuit_is_closed(void **state)
{
    (void)state;
    scene s;
    outcome o;
    open_scene(&s, ANSWER, TEXT, 2);
    s.servers[1]->text = "HTTP/1.1 500 no\r\nContent-Length: 0\r\n\r\n";
    s.probes = true;
    s.servers[1]->unhealthy = true;
    s.hedge_after_s = 0.1;
    connect_upstream(&s);
    for (size_t i = 0; i < 10; i++) {
        (void)ask(&s);
    }
    assert_int_equal(look(&s).open_circuits, 1);
    s.servers[0]->how = SILENT;
    size_t requests = all_requests(&s);
    uint64_t hedges = look(&s).hedges; /* 0, unless this machine is very slow */
    (void)begin(&s, LONG_S, &o);
    s.servers[1]->unhealthy = false; /* half open soon, and then only calls of their own try it */
    wait_s(&s, 0.2);
    assert_int_equal(all_requests(&s), requests + 1);
    assert_int_equal(look(&s).hedges, hedges);
    close_scene(&s);
}

static void a_hedge_goes_where_least_is_outstanding(void **state)
{
    (void)state;
    scene s;
    outcome first;
    outcome second;
    open_scene(&s, SILENT, SILENT, 3);
    s.servers[2]->how = ANSWER;
    s.hedge_after_s = 0.05;
    connect_upstream(&s);
    (void)begin(&s, LONG_S, &first); /* at server 0 */
    (void)begin(&s, LONG_S, &second);
    assert_int_equal(ask(&s).outcome, RUNG_CALL_REPLY); /* of server 2; the next turn is that of server 0 */
    wait_for(&s, &first.calls, 1);
    assert_int_equal(first.outcome, RUNG_CALL_REPLY);
    assert_int_equal(s.servers[2]->requests, 2);
    assert_int_equal(s.servers[1]->requests, 1);
    close_scene(&s);
}

static void cancel_stops_both(void **state)
{
    (void)state;
    scene s;
    outcome o;
    open_hedged(&s, SILENT, SILENT, 2);
    rung_upstream_cancel(s.upstream, begin_hedged(&s, &o));
    assert_int_equal(look(&s).in_flight, 0);
    wait_for(&s, &s.servers[0]->closed, 1);
    wait_for(&s, &s.servers[1]->closed, 1);
    assert_int_equal(o.calls, 0);
    assert_int_equal(look(&s).failures, 0);
    close_scene(&s);
}

static void the_deadline_stops_both(void **state)
{
    (void)state;
    scene s;
    outcome o;
    open_hedged(&s, SILENT, SILENT, 2);
    double sent_s = rung_clock_s();
    ask_until(&s, 0.1, &o);
    assert_int_equal(o.outcome, RUNG_CALL_DEADLINE);
    assert_true(rung_clock_s() - sent_s >= 0.1);
    wait_for(&s, &s.servers[0]->closed, s.servers[0]->accepted);
    wait_for(&s, &s.servers[1]->closed, s.servers[1]->accepted);
    assert_int_equal(look(&s).failures, 1);
    assert_int_equal(look(&s).in_flight, 0);
    assert_int_equal(o.calls, 1);
    close_scene(&s);
}

/* Four of seven calls ask server 0 first, and one of the three hedges goes there: five failures in a row open its circuit. */
static size_t open_after_seven(double hedge_after_s, double deadline_in_s, bool *late)
{
    scene s;
    open_scene(&s, SILENT, SILENT, 2);
    s.hedge_after_s = hedge_after_s;
    connect_upstream(&s);
    for (size_t i = 0; i < 7; i++) {
        outcome o;
        ask_until(&s, deadline_in_s, &o);
        assert_int_equal(o.outcome, RUNG_CALL_DEADLINE);
        *late = *late || o.elapsed_s >= 2 * hedge_after_s;
    }
    assert_int_equal(look(&s).hedges, 3);
    size_t open = look(&s).open_circuits;
    close_scene(&s);
    return open;
}

static void silence_is_held_against_a_hedge_that_had_its_time(void **state)
{
    (void)state;
    bool late = false;
    size_t open = open_after_seven(0.1, 0.14, &late);
    assert_true(late || open == 0); /* late: this machine was slow, and the hedge had its time */
    assert_int_equal(open_after_seven(0.02, 0.2, &late), 1);
}

static void two_answers_at_once_are_one(void **state)
{
    (void)state;
    scene s;
    outcome o;
    open_hedged(&s, SILENT, SILENT, 2);
    (void)begin_hedged(&s, &o);
    answer(s.servers[0], "same");
    answer(s.servers[1], "same");
    run(&s);
    wait_s(&s, 0.01);
    assert_int_equal(o.calls, 1);
    assert_string_equal(o.body, "same");
    close_scene(&s);
    open_scene(&s, ECHO, ECHO, 2);
    s.hedge_after_s = 1e-9; /* a race each time, as far as there are tokens */
    connect_upstream(&s);
    for (size_t i = 0; i < 200; i++) {
        o = ask(&s);
        assert_int_equal(o.outcome, RUNG_CALL_REPLY);
        assert_string_equal(o.body, "{\"key\":1}");
    }
    assert_true(look(&s).hedges > 0 && look(&s).hedges <= 3 + 200 / 10);
    assert_int_equal(look(&s).failures, 0);
    close_scene(&s);
}

static void an_emulated_way_up_is_no_silence(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, SILENT, ANSWER, 2);
    s.hedge_after_s = SOON_S;
    s.link = &slow_link;
    connect_upstream(&s);
    double sent_s = rung_clock_s();
    outcome o = ask(&s);
    assert_int_equal(o.outcome, RUNG_CALL_REPLY);
    assert_true(s.servers[1]->request_at_s - sent_s >= 0.0199 + SOON_S); /* from its arrival there */
    assert_true(o.elapsed_s >= 0.0399 + SOON_S);
    assert_int_equal(look(&s).hedges, 1);
    close_scene(&s);
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    const char *addresses[] = {"http://127.0.0.1:1", "http://127.0.0.1:2"};
    rung_upstream_options options = {.addresses = addresses,
                                     .num_addresses = 1,
                                     .path = "/v1/classify",
                                     .max_reply_bytes = 10,
                                     .hedge_after_s = 0.1};
    check_refused(&options, RUNG_INVALID, "upstream: hedge_after needs a second address");
    options.num_addresses = 2;
    options.hedge_after_s = -1;
    check_refused(&options, RUNG_LIMIT, "upstream: hedge_after is -1 s");
    options.hedge_after_s = NAN;
    check_refused(&options, RUNG_LIMIT, "upstream: hedge_after is ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_slow_one_loses),
        cmocka_unit_test(what_the_loser_brought_is_no_part_of_the_reply),
        cmocka_unit_test(the_first_one_may_win_after_all),
        cmocka_unit_test(who_is_fast_is_not_hedged),
        cmocka_unit_test(a_call_fails_when_both_have_failed),
        cmocka_unit_test(one_failure_leaves_the_other_to_answer),
        cmocka_unit_test(a_retry_is_not_hedged),
        cmocka_unit_test(without_a_token_there_is_no_hedge),
        cmocka_unit_test(the_loser_is_not_blamed),
        cmocka_unit_test(nor_is_it_praised),
        cmocka_unit_test(a_hedge_goes_only_where_the_circuit_is_closed),
        cmocka_unit_test(a_hedge_goes_where_least_is_outstanding),
        cmocka_unit_test(cancel_stops_both),
        cmocka_unit_test(the_deadline_stops_both),
        cmocka_unit_test(silence_is_held_against_a_hedge_that_had_its_time),
        cmocka_unit_test(two_answers_at_once_are_one),
        cmocka_unit_test(an_emulated_way_up_is_no_silence),
        cmocka_unit_test(bad_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
