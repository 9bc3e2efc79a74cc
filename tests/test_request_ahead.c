/* test_request_ahead.c: the state machine of a request that goes up before its level has a result, passes a level by, or has levels compute side by side. */
#include "request_fixture.h"

static unsigned watched_exit(fixture *f, const float *logits, double now_s)
{
    rung_event event = {.kind = RUNG_EVENT_EXIT, .now_s = now_s, .exit_layer = 2, .num_layers = 3, .logits = logits};
    return rung_request_step(&f->request, &event);
}

static unsigned last_done(fixture *f, const float *logits, double now_s)
{
    rung_event event = {
        .kind = RUNG_EVENT_LOCAL_DONE, .now_s = now_s, .exit_layer = 3, .num_layers = 3, .logits = logits};
    return rung_request_step(&f->request, &event);
}

static void speculates_on_little(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 1, 1);
    f.policy.offload.speculate[0] = 0.65;
    assert_int_equal(rung_request_watches(&f.request), 2);
    feed(&f, RUNG_EVENT_START, 0);
    assert_int_equal(watched_exit(&f, p60, 1), RUNG_ACTION_SEND);
    const rung_level_result *prior = rung_request_prior(&f.request, 1);
    assert_true(prior->visited && prior->exit_layer == 2);
    assert_near("score", prior->probabilities[1], 0.6, 1e-6);
    assert_true(rung_request_prunes(&f.request));
    assert_int_equal(watched_exit(&f, p95, 1), RUNG_ACTION_NONE); /* once */
    /* Sure after all: the level above is not needed any more. */
    assert_int_equal(last_done(&f, p95, 2), RUNG_ACTION_CANCEL_UPSTREAM | RUNG_ACTION_ANSWER);
    assert_int_equal(f.request.answer_level, 1);
    assert_near("score", f.request.score, 0.95, 1e-6);
}

static void speculation_sends_the_same_later(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 1, 1);
    f.policy.offload.speculate[0] = 0.55;
    feed(&f, RUNG_EVENT_START, 0);
    assert_int_equal(watched_exit(&f, p60, 1), RUNG_ACTION_NONE); /* more than speculate */
    assert_int_equal(last_done(&f, p60, 2), RUNG_ACTION_SEND);
    assert_int_equal(rung_request_prior(&f.request, 1)->exit_layer, 2); /* what was known at the watched exit */
    assert_int_equal(f.request.results[0].exit_layer, 3);
    write_result(&f, 2, 0.1, 0.9);
    assert_int_equal(feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 3), RUNG_ACTION_ANSWER);
    assert_int_equal(f.request.answer_level, 2);
    /* Where nothing speculates nothing is watched. */
    set_up(&f, 1, 1);
    assert_int_equal(rung_request_watches(&f.request), 0);
    feed(&f, RUNG_EVENT_START, 0);
    assert_int_equal(watched_exit(&f, p60, 1), RUNG_ACTION_NONE);
    assert_false(f.request.watched.visited);
    set_up(&f, 3, 1); /* nor at the top */
    f.policy.offload.speculate[2] = 0.55;
    assert_int_equal(rung_request_watches(&f.request), 0);
}

static void deadline_takes_what_was_watched(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 1, 1);
    f.policy.offload.speculate[0] = 0.65;
    feed(&f, RUNG_EVENT_START, 0);
    watched_exit(&f, p60, 1);
    assert_int_equal(feed(&f, RUNG_EVENT_TIMER, 2),
                     RUNG_ACTION_CANCEL_LOCAL | RUNG_ACTION_CANCEL_UPSTREAM | RUNG_ACTION_ANSWER);
    assert_int_equal(f.request.degraded, RUNG_DEGRADED_DEADLINE);
    assert_near("score", f.request.score, 0.6, 1e-6);
}

static void skips_a_level(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 1, 1);
    f.policy.offload.skip[0] = 0.65;
    feed(&f, RUNG_EVENT_START, 0);
    assert_int_equal(local_done(&f, p60, 1), RUNG_ACTION_SEND);
    assert_int_equal(rung_request_skips_to(&f.request), 3);
    set_up(&f, 1, 1);
    f.policy.offload.skip[0] = 0.55;
    feed(&f, RUNG_EVENT_START, 0);
    assert_int_equal(local_done(&f, p60, 1), RUNG_ACTION_SEND);
    assert_int_equal(rung_request_skips_to(&f.request), 0);
    /* The level that is passed by. */
    set_up(&f, 2, 1);
    f.request.first_level = 3;
    assert_int_equal(feed(&f, RUNG_EVENT_START, 0), RUNG_ACTION_SEND);
    assert_false(rung_request_prunes(&f.request));
    assert_int_equal(rung_request_skips_to(&f.request), 0); /* level 3 is simply the next one */
    assert_int_equal(lost(&f, RUNG_DEGRADED_UNREACHABLE, 1), RUNG_ACTION_COMPUTE);
    /* Beyond level 2 there is nothing to skip to. */
    set_up(&f, 2, 1);
    f.policy.offload.skip[1] = 1;
    feed(&f, RUNG_EVENT_START, 0);
    assert_int_equal(local_done(&f, p60, 1), RUNG_ACTION_SEND);
    assert_int_equal(rung_request_skips_to(&f.request), 0);
}

static void early_offload_goes_up_whatever_it_is_worth(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 1, 1);
    feed(&f, RUNG_EVENT_START, 0);
    rung_event event = {.kind = RUNG_EVENT_LOCAL_DONE, .exit_layer = 2, .num_layers = 3, .logits = p95, .early = true};
    assert_int_equal(rung_request_step(&f.request, &event), RUNG_ACTION_SEND);
    assert_true(f.request.offload_probability == 1);
}

static void cocktail_asks_all_and_votes(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 1, 1);
    assert_int_equal(rung_policy_defaults("cocktail", 3, &f.policy, NULL), RUNG_OK);
    static const double right[3][2] = {{0.9, 0.5}, {0.6, 0.6}, {0.2, 0.7}};
    for (int l = 0; l < 3; l++) {
        f.calibration.level[l].class_accuracy = right[l];
    }
    rung_request_init(&f.request, &f.policy, &f.calibration, 1, 1, 1, f.workspace);
    assert_int_equal(feed(&f, RUNG_EVENT_START, 0), RUNG_ACTION_COMPUTE | RUNG_ACTION_SEND);
    assert_false(rung_request_prunes(&f.request));
    assert_int_equal(local_done(&f, p95, 1), RUNG_ACTION_NONE); /* sure, but all are asked */
    write_result(&f, 2, 0.7, 0.3);
    write_result(&f, 3, 0.4, 0.6);
    assert_int_equal(feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 3), RUNG_ACTION_ANSWER);
    /* .5 + .7 for class 1, .6 for class 0. */
    assert_int_equal(f.request.label, 1);
    assert_near("score", f.request.score, 1.2 / 1.8, 1e-9);
    assert_near("score", f.request.results[1].weight, 0.6 / 1.8, 1e-9);
}

static void members_alone_compute(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 1, 1);
    assert_int_equal(rung_policy_defaults("single(2)", 3, &f.policy, NULL), RUNG_OK);
    assert_int_equal(feed(&f, RUNG_EVENT_START, 0), RUNG_ACTION_SEND);
    rung_request_init(&f.request, &f.policy, &f.calibration, 2, 1, 1, f.workspace);
    assert_int_equal(feed(&f, RUNG_EVENT_START, 0), RUNG_ACTION_COMPUTE);
    assert_int_equal(local_done(&f, p60, 1), RUNG_ACTION_ANSWER); /* the top of this policy */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speculates_on_little),
        cmocka_unit_test(speculation_sends_the_same_later),
        cmocka_unit_test(deadline_takes_what_was_watched),
        cmocka_unit_test(skips_a_level),
        cmocka_unit_test(early_offload_goes_up_whatever_it_is_worth),
        cmocka_unit_test(cocktail_asks_all_and_votes),
        cmocka_unit_test(members_alone_compute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
