/* test_network_case.c: links and speeds that replace a cascade's. */
#include "eval/network_case.h"
#include "model_fixture.h"
#include "run/cascade.h"

#include <math.h>

/* Two levels with wifi between them. */
static rung_cascade make_cascade(void)
{
    rung_cascade made = {.num_levels = 2};
    made.level[0].speed = 0.25;
    made.level[1].speed = 4;
    assert_ok(rung_link_find("wifi", &made.level[1].link, error));
    return made;
}

static void another_link_to_the_top(void **state)
{
    (void)state;
    rung_cascade cascade = make_cascade();
    rung_network_case where;
    rung_link link;
    assert_ok(rung_link_find("4g", &link, error));
    rung_network_case_link(&cascade, &link, &where);
    assert_string_equal(where.name, "4g");
    assert_true(where.network.links == where.links && where.network.speeds == where.speeds);
    assert_true(where.links[1].rtt_ms == link.rtt_ms && where.speeds[0] == 0.25 && where.speeds[1] == 4);
    assert_false(where.is_configured);
    /* What a congestion would be like changes nothing where there is none. */
    link = cascade.level[1].link;
    link.congestion.mean_s = 5;
    rung_network_case_link(&cascade, &link, &where);
    assert_true(where.is_configured);
    link.congestion.share = 0.1;
    rung_network_case_link(&cascade, &link, &where);
    assert_false(where.is_configured);
}

static void other_speeds(void **state)
{
    (void)state;
    rung_cascade cascade = make_cascade();
    rung_network_case where;
    rung_network_case_speed(&cascade, 0.5, "half", &where);
    assert_string_equal(where.name, "half");
    assert_true(where.speeds[0] == 0.125 && where.speeds[1] == 2 && !where.is_configured);
    assert_true(where.links[1].rtt_ms == cascade.level[1].link.rtt_ms);
    rung_network_case_own(&cascade, &where);
    assert_true(where.is_configured && where.speeds[1] == 4);
}

static void a_trace_and_what_it_has_not(void **state)
{
    (void)state;
    rung_link_trace *trace = NULL;
    rung_link rest;
    assert_ok(rung_link_trace_new(&trace, error));
    assert_ok(rung_link_trace_add(trace, 0, (double[]){NAN, NAN, 20, NAN}, error));
    assert_ok(rung_link_trace_add(trace, 1, (double[]){NAN, NAN, 40, NAN}, error));
    assert_ok(rung_link_trace_finish(trace, error));
    assert_ok(rung_link_find("satellite", &rest, error));
    rung_link link = rung_network_trace_link(trace, &rest, "dish");
    assert_string_equal(link.name, "dish");
    assert_true(link.rtt_ms == 30 && link.jitter_ms == 0 && link.up_bps == rest.up_bps && link.loss == rest.loss);
    assert_true(link.trace == trace);
    assert_ok(rung_link_check(&link, error));
    rung_link_trace_free(trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_link_to_the_top),
        cmocka_unit_test(other_speeds),
        cmocka_unit_test(a_trace_and_what_it_has_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
