/* test_request.c: the state machine of a request: the workflow and what goes wrong in it, step by step with numbers worked out by hand, and
 * random sequences of events against what must hold for every one of them. */
#include "base/prng.h"
#include "cascade/confidence.h"
#include "cascade/offload.h"
#include "request_fixture.h"

static void sure_answers_here(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 1, 1);
    assert_int_equal(feed(&f, RUNG_EVENT_START, 5), RUNG_ACTION_COMPUTE);
    assert_int_equal(local_done(&f, p80, 6), RUNG_ACTION_ANSWER);
    const rung_request *r = &f.request;
    assert_true(r->finished && r->started_s == 5 && r->finished_s == 6);
    assert_int_equal(r->label, 1);
    assert_int_equal(r->answer_level, 1);
    assert_int_equal(r->degraded, RUNG_DEGRADED_NO);
    assert_true(r->offload_probability == 0);
    assert_true(r->results[0].visited && r->results[0].exit_layer == 2 && r->results[0].num_layers == 3);
    assert_near("score", r->score, 0.8, 1e-9);
    assert_near("confidence", r->results[0].confidence, 0.8, 1e-7); /* a float */
    assert_near("weight", r->results[0].weight, 1, 0);
}

static void unsure_goes_up_and_pools(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 1, 1);
    feed(&f, RUNG_EVENT_START, 0);
    assert_false(rung_request_waits(&f.request));
    assert_int_equal(local_done(&f, p60, 1), RUNG_ACTION_SEND);
    assert_true(rung_request_waits(&f.request));
    assert_true(rung_request_prunes(&f.request));
    assert_true(f.request.offload_probability == 1 && !f.request.finished);
    write_result(&f, 2, 0.55, 0.45);
    write_result(&f, 3, 0.9, 0.1);
    assert_int_equal(feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 2), RUNG_ACTION_ANSWER);
    assert_false(rung_request_waits(&f.request));
    /* Weights .8 .9 .95 over 2.65: class 0 (.8 * .4 + .9 * .55 + .95 * .9) / 2.65 = 1.67 / 2.65. */
    assert_int_equal(f.request.label, 0);
    assert_near("score", f.request.score, 1.67 / 2.65, 1e-8);
    assert_near("pooled", f.request.pooled[1], 0.98 / 2.65, 1e-8);
    assert_near("weight", f.request.results[1].weight, 0.9 / 2.65, 1e-15);
    assert_int_equal(f.request.answer_level, 3);
    assert_true(f.request.finished_s == 2);
    /* The edge alone answered. */
    set_up(&f, 1, 1);
    feed(&f, RUNG_EVENT_START, 0);
    local_done(&f, p60, 1);
    write_result(&f, 2, 0.1, 0.9);
    assert_int_equal(feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 2), RUNG_ACTION_ANSWER);
    assert_near("score", f.request.score, (0.8 * 0.6 + 0.9 * 0.9) / 1.7, 1e-8);
    assert_int_equal(f.request.answer_level, 2);
    assert_true(f.request.results[2].weight == 0);
}

static void policies_decide_differently(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 1, 1);
    f.policy.weights = RUNG_WEIGHTS_LAST;
    f.policy.prune.enabled = false;
    feed(&f, RUNG_EVENT_START, 0);
    local_done(&f, p60, 1);
    assert_false(rung_request_prunes(&f.request));
    write_result(&f, 2, 0.75, 0.25);
    feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 2);
    assert_true(f.request.pooled[0] == 0.75 && f.request.results[0].weight == 0);
    /* T = 2: (0, ln 19) is sqrt(19) / (1 + sqrt(19)) = .81339 sure; Eq 11 adds up .95 with raw_ensemble. */
    for (int raw = 0; raw < 2; raw++) {
        set_up(&f, 1, 1);
        f.calibration.level[0].temperature = twos;
        f.policy.raw_ensemble = raw == 1;
        feed(&f, RUNG_EVENT_START, 0);
        assert_int_equal(local_done(&f, p95, 1), RUNG_ACTION_ANSWER);
        assert_near("confidence", f.request.results[0].confidence, 4.358898943540674 / 5.358898943540674, 1e-7);
        assert_near("score", f.request.score, raw ? 0.95 : 4.358898943540674 / 5.358898943540674, 1e-8);
    }
    /* Eq 7 with its coin: t = .7, k = 10, confidence .85 gives p = 1/2 (offload by hand in test_offload.c). */
    for (uint64_t key = 0; key < 64; key++) {
        static const float p85[2] = {0, 1.7346010553881064f};
        set_up(&f, 1, 1);
        f.policy.offload.hard = false;
        f.request.key = key;
        feed(&f, RUNG_EVENT_START, 0);
        unsigned actions = local_done(&f, p85, 1);
        assert_near("p", f.request.offload_probability, 0.5, 1e-6);
        assert_int_equal(actions, rung_offload_coin(key, 1) < 0.5 ? RUNG_ACTION_SEND : RUNG_ACTION_ANSWER);
    }
}

static void upper_level_uses_the_prior(void **state)
{
    (void)state;
    fixture f;
    /* Own confidence .8 > t: the level answers with what it found, and does not pool. */
    set_up(&f, 2, 1);
    write_result(&f, 1, 0.9, 0.1);
    feed(&f, RUNG_EVENT_START, 0);
    assert_int_equal(local_done(&f, p80, 1), RUNG_ACTION_ANSWER);
    assert_int_equal(f.request.answer_level, 2);
    assert_true(f.request.score == 0 && f.request.results[0].weight == 0);
    /* Pooled: class 0 (.8 * .9 + .9 * .2) / 1.7 = .529, not above .7. */
    set_up(&f, 2, 1);
    f.policy.pooled_decision = true;
    write_result(&f, 1, 0.9, 0.1);
    feed(&f, RUNG_EVENT_START, 0);
    assert_int_equal(local_done(&f, p80, 1), RUNG_ACTION_SEND);
    write_result(&f, 3, 0.3, 0.7);
    assert_int_equal(feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 2), RUNG_ACTION_ANSWER);
    assert_int_equal(f.request.answer_level, 3);
    assert_true(f.request.results[0].probabilities[0] == 0.9 && f.request.results[2].probabilities[1] == 0.7);
    /* And the other way round: own .6 is not above t, the pool (.8 * .9 + .9 * .6) / 1.7 = .741 is. */
    set_up(&f, 2, 1);
    f.policy.pooled_decision = true;
    write_result(&f, 1, 0.1, 0.9);
    feed(&f, RUNG_EVENT_START, 0);
    assert_int_equal(local_done(&f, p60, 1), RUNG_ACTION_ANSWER);
}

static void top_never_sends(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 3, 2);
    feed(&f, RUNG_EVENT_START, 0);
    assert_int_equal(local_done(&f, p60, 1), RUNG_ACTION_ANSWER);
    assert_true(f.request.offload_probability == 0 && f.request.answer_level == 3);
}

static void upstream_lost(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 1, 1);
    feed(&f, RUNG_EVENT_START, 0);
    local_done(&f, p60, 1);
    assert_int_equal(lost(&f, RUNG_DEGRADED_OVERLOADED, 2), RUNG_ACTION_ANSWER);
    assert_int_equal(f.request.degraded, RUNG_DEGRADED_OVERLOADED);
    assert_near("score", f.request.score, 0.6, 1e-8);
    /* The reply after all: too late. */
    write_result(&f, 2, 0.9, 0.1);
    assert_int_equal(feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 3), 0);
    assert_near("score", f.request.score, 0.6, 1e-8);
    /* No reason given: a reason is told nevertheless. */
    set_up(&f, 1, 1);
    feed(&f, RUNG_EVENT_START, 0);
    local_done(&f, p60, 1);
    assert_int_equal(lost(&f, RUNG_DEGRADED_NO, 2), RUNG_ACTION_ANSWER);
    assert_int_equal(f.request.degraded, RUNG_DEGRADED_UNREACHABLE);
    /* The level above answered, but was itself cut off. */
    set_up(&f, 1, 1);
    feed(&f, RUNG_EVENT_START, 0);
    local_done(&f, p60, 1);
    write_result(&f, 2, 0.9, 0.1);
    rung_event event = {.kind = RUNG_EVENT_UPSTREAM_REPLY, .now_s = 2, .reason = RUNG_DEGRADED_LOOP};
    assert_int_equal(rung_request_step(&f.request, &event), RUNG_ACTION_ANSWER);
    assert_int_equal(f.request.degraded, RUNG_DEGRADED_LOOP);
    assert_int_equal(f.request.answer_level, 2);
}

static void bad_replies(void **state)
{
    (void)state;
    static const double bad[][2] = {{NAN, 0.5}, {-0.1, 1}, {0.5, 1.5}, {0.5, INFINITY}, {0, 0}};
    for (size_t i = 0; i <= sizeof bad / sizeof bad[0]; i++) {
        fixture f;
        set_up(&f, 1, 1);
        feed(&f, RUNG_EVENT_START, 0);
        local_done(&f, p60, 1);
        if (i < sizeof bad / sizeof bad[0]) { /* else: a reply in which nobody computed */
            write_result(&f, 2, 0.5, 0.5);
            write_result(&f, 3, bad[i][0], bad[i][1]);
        }
        assert_int_equal(feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 2), RUNG_ACTION_ANSWER);
        assert_int_equal(f.request.degraded, RUNG_DEGRADED_BAD_REPLY);
        assert_true(!f.request.results[1].visited && !f.request.results[2].visited);
        assert_near("score", f.request.score, 0.6, 1e-8);
        assert_int_equal(f.request.answer_level, 1);
    }
}

static void deadline(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 1, 1); /* before it even began */
    assert_int_equal(feed(&f, RUNG_EVENT_TIMER, 1), RUNG_ACTION_FAIL);
    assert_int_equal(feed(&f, RUNG_EVENT_START, 2), 0);
    set_up(&f, 1, 1);
    feed(&f, RUNG_EVENT_START, 0);
    assert_int_equal(feed(&f, RUNG_EVENT_TIMER, 1), RUNG_ACTION_CANCEL_LOCAL | RUNG_ACTION_FAIL);
    assert_int_equal(f.request.degraded, RUNG_DEGRADED_DEADLINE);
    assert_int_equal(local_done(&f, p95, 2), 0);
    set_up(&f, 1, 1);
    feed(&f, RUNG_EVENT_START, 0);
    local_done(&f, p60, 1);
    assert_int_equal(feed(&f, RUNG_EVENT_TIMER, 9), RUNG_ACTION_CANCEL_UPSTREAM | RUNG_ACTION_ANSWER);
    assert_int_equal(f.request.degraded, RUNG_DEGRADED_DEADLINE);
    assert_near("score", f.request.score, 0.6, 1e-8);
    assert_true(f.request.finished_s == 9);
}

static void cancelled(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 1, 1);
    assert_int_equal(feed(&f, RUNG_EVENT_CANCEL, 1), 0);
    assert_true(f.request.finished);
    set_up(&f, 1, 1);
    feed(&f, RUNG_EVENT_START, 0);
    assert_int_equal(feed(&f, RUNG_EVENT_CANCEL, 1), RUNG_ACTION_CANCEL_LOCAL);
    assert_int_equal(local_done(&f, p95, 2), 0);
    assert_int_equal(feed(&f, RUNG_EVENT_CANCEL, 3), 0);
    set_up(&f, 1, 1);
    feed(&f, RUNG_EVENT_START, 0);
    local_done(&f, p60, 1);
    assert_int_equal(feed(&f, RUNG_EVENT_CANCEL, 2), RUNG_ACTION_CANCEL_UPSTREAM);
    set_up(&f, 1, 1);
    feed(&f, RUNG_EVENT_START, 0);
    f.request.upstream = RUNG_UPSTREAM_WAITING; /* both at once, as a speculating caller would have it */
    assert_int_equal(feed(&f, RUNG_EVENT_CANCEL, 2), RUNG_ACTION_CANCEL_LOCAL | RUNG_ACTION_CANCEL_UPSTREAM);
}

static void single_passes_on(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 1, 1);
    assert_int_equal(rung_policy_defaults("single", 3, &f.policy, NULL), RUNG_OK);
    assert_int_equal(feed(&f, RUNG_EVENT_START, 0), RUNG_ACTION_SEND);
    assert_false(rung_request_prunes(&f.request));
    assert_int_equal(local_done(&f, p95, 1), 0); /* nobody asked for it */
    write_result(&f, 3, 0.2, 0.8);
    assert_int_equal(feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 2), RUNG_ACTION_ANSWER);
    assert_true(f.request.score == 0.8 && f.request.answer_level == 3 && !f.request.results[0].visited);
    /* Cut off: this level computes after all, and its answer is degraded however sure it is. */
    set_up(&f, 1, 1);
    assert_int_equal(rung_policy_defaults("single", 3, &f.policy, NULL), RUNG_OK);
    feed(&f, RUNG_EVENT_START, 0);
    assert_int_equal(lost(&f, RUNG_DEGRADED_UNREACHABLE, 1), RUNG_ACTION_COMPUTE);
    assert_int_equal(local_done(&f, p95, 2), RUNG_ACTION_ANSWER);
    assert_int_equal(f.request.degraded, RUNG_DEGRADED_UNREACHABLE);
    assert_int_equal(f.request.answer_level, 1);
    set_up(&f, 1, 1);
    assert_int_equal(rung_policy_defaults("single", 3, &f.policy, NULL), RUNG_OK);
    feed(&f, RUNG_EVENT_START, 0);
    assert_int_equal(feed(&f, RUNG_EVENT_TIMER, 1), RUNG_ACTION_CANCEL_UPSTREAM | RUNG_ACTION_FAIL);
}

static void model_without_an_answer(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 1, 1); /* a level above: the full text goes there */
    feed(&f, RUNG_EVENT_START, 0);
    assert_int_equal(local_done(&f, broken, 1), RUNG_ACTION_SEND);
    assert_false(rung_request_prunes(&f.request));
    write_result(&f, 2, 0.2, 0.8);
    assert_int_equal(feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 2), RUNG_ACTION_ANSWER);
    assert_int_equal(f.request.degraded, RUNG_DEGRADED_MODEL);
    assert_true(f.request.score == 0.8 && !f.request.results[0].visited);
    set_up(&f, 1, 1);
    feed(&f, RUNG_EVENT_START, 0);
    local_done(&f, NULL, 1);
    assert_int_equal(lost(&f, RUNG_DEGRADED_UNREACHABLE, 2), RUNG_ACTION_FAIL);
    set_up(&f, 3, 1); /* the top */
    feed(&f, RUNG_EVENT_START, 0);
    assert_int_equal(local_done(&f, broken, 1), RUNG_ACTION_FAIL);
    assert_int_equal(f.request.degraded, RUNG_DEGRADED_MODEL);
    set_up(&f, 3, 1); /* an exit that does not exist */
    feed(&f, RUNG_EVENT_START, 0);
    rung_event event = {.kind = RUNG_EVENT_LOCAL_DONE, .exit_layer = 4, .num_layers = 3, .logits = p95};
    assert_int_equal(rung_request_step(&f.request, &event), RUNG_ACTION_FAIL);
}

/* Both sub-states overlap: whatever comes first, the answer is the one that came without speculation. */
static void speculation(void **state)
{
    (void)state;
    fixture f;
    for (int order = 0; order < 2; order++) {
        set_up(&f, 1, 1); /* not needed: cancelled, or dropped when it is there already */
        feed(&f, RUNG_EVENT_START, 0);
        f.request.upstream = RUNG_UPSTREAM_WAITING;
        if (order == 0) {
            write_result(&f, 2, 0.9, 0.1);
            assert_int_equal(feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 1), 0);
        }
        assert_int_equal(local_done(&f, p80, 2),
                         order == 0 ? RUNG_ACTION_ANSWER : RUNG_ACTION_CANCEL_UPSTREAM | RUNG_ACTION_ANSWER);
        assert_near("score", f.request.score, 0.8, 1e-8);
        assert_int_equal(f.request.answer_level, 1);
        assert_false(f.request.results[1].visited);
        set_up(&f, 1, 1); /* needed */
        feed(&f, RUNG_EVENT_START, 0);
        f.request.upstream = RUNG_UPSTREAM_WAITING;
        if (order == 0) {
            write_result(&f, 2, 0.9, 0.1);
            feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 1);
            assert_int_equal(local_done(&f, p60, 2), RUNG_ACTION_ANSWER);
        } else {
            assert_int_equal(local_done(&f, p60, 2), 0); /* sent already */
            write_result(&f, 2, 0.9, 0.1);
            assert_int_equal(feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 3), RUNG_ACTION_ANSWER);
        }
        assert_near("pooled", f.request.pooled[0], (0.8 * 0.4 + 0.9 * 0.9) / 1.7, 1e-8);
        assert_int_equal(f.request.degraded, RUNG_DEGRADED_NO);
    }
    set_up(&f, 1, 1); /* a failed speculation matters only when it was needed */
    feed(&f, RUNG_EVENT_START, 0);
    f.request.upstream = RUNG_UPSTREAM_WAITING;
    assert_int_equal(lost(&f, RUNG_DEGRADED_UNREACHABLE, 1), 0);
    assert_int_equal(local_done(&f, p80, 2), RUNG_ACTION_ANSWER);
    assert_int_equal(f.request.degraded, RUNG_DEGRADED_NO);
    set_up(&f, 1, 1);
    feed(&f, RUNG_EVENT_START, 0);
    f.request.upstream = RUNG_UPSTREAM_WAITING;
    lost(&f, RUNG_DEGRADED_UNREACHABLE, 1);
    assert_int_equal(local_done(&f, p60, 2), RUNG_ACTION_ANSWER);
    assert_int_equal(f.request.degraded, RUNG_DEGRADED_UNREACHABLE);
    set_up(&f, 1, 1); /* the deadline while the reply waits for the local result */
    feed(&f, RUNG_EVENT_START, 0);
    f.request.upstream = RUNG_UPSTREAM_WAITING;
    write_result(&f, 2, 0.9, 0.1);
    feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 1);
    assert_int_equal(feed(&f, RUNG_EVENT_TIMER, 2), RUNG_ACTION_CANCEL_LOCAL | RUNG_ACTION_ANSWER);
    assert_true(f.request.score == 0.9 && f.request.degraded == RUNG_DEGRADED_DEADLINE);
}

/* What was fitted for the set of levels that answer weighs them and tempers the sum; each set has its own. */
static void fitted_pools_answer_and_decide(void **state)
{
    (void)state;
    fixture f;
    rung_pool pools[8];
    set_up(&f, 1, 1);
    for (size_t set = 0; set < 8; set++) {
        pools[set] = (rung_pool){.accuracy_temperature = 1, .fitted_temperature = 1};
    }
    pools[3] = (rung_pool){.accuracy_temperature = 1, .fitted_temperature = 0.5, .fitted_weight = {0.25, 0.75}};
    f.calibration.pools = pools;
    feed(&f, RUNG_EVENT_START, 0);
    assert_int_equal(local_done(&f, p60, 1), RUNG_ACTION_SEND);
    write_result(&f, 2, 0.8, 0.2);
    assert_int_equal(feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 2), RUNG_ACTION_ANSWER);
    /* .25 * .4 + .75 * .8 = .7 and .3; squared and added up to 1: .49 / .58. */
    assert_near("score", f.request.score, 0.49 / 0.58, 1e-8);
    assert_true(f.request.results[0].weight == 0.25 && f.request.results[1].weight == 0.75);
    /* At level 2 the pooled confidence decides; its own .8 would go up. */
    for (int t = 0; t < 2; t++) {
        set_up(&f, 2, 1);
        f.calibration.pools = pools;
        f.policy.pooled_decision = t == 1;
        f.policy.offload.threshold[1] = 0.84;
        write_result(&f, 1, 0.3, 0.7); /* .25 * .7 + .75 * .8 = .775: squared .600625 / .65125 = .922 */
        feed(&f, RUNG_EVENT_START, 0);
        assert_int_equal(local_done(&f, p80, 1), t == 1 ? RUNG_ACTION_ANSWER : RUNG_ACTION_SEND);
    }
    /* A set that was not fitted: by accuracy, without a temperature. Over raw softmax there is none either. */
    set_up(&f, 1, 1);
    f.calibration.pools = pools;
    feed(&f, RUNG_EVENT_START, 0);
    local_done(&f, p60, 1);
    write_result(&f, 3, 0.9, 0.1);
    feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 2);
    assert_near("score", f.request.score, (0.8 * 0.4 + 0.95 * 0.9) / 1.75, 1e-8);
    set_up(&f, 1, 1);
    f.calibration.pools = pools;
    f.policy.raw_ensemble = true;
    feed(&f, RUNG_EVENT_START, 0);
    local_done(&f, p60, 1);
    write_result(&f, 2, 0.8, 0.2);
    feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 2);
    assert_near("score", f.request.score, 0.7, 1e-8);
}

/* With the pooled decision too, what is already there from above has no part in deciding whether it is needed. */
static void early_reply_does_not_decide(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 1, 1);
    f.policy.pooled_decision = true;
    feed(&f, RUNG_EVENT_START, 0);
    f.request.upstream = RUNG_UPSTREAM_WAITING;
    write_result(&f, 2, 0.01, 0.99); /* all three together would be sure */
    write_result(&f, 3, 0.01, 0.99);
    feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 1);
    assert_int_equal(local_done(&f, p60, 2), RUNG_ACTION_ANSWER);
    assert_true(f.request.offload_probability == 1); /* .6 alone is not above .7 */
    assert_int_equal(f.request.answer_level, 3);
}

static void unasked_reply(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 1, 1);
    feed(&f, RUNG_EVENT_START, 0);
    write_result(&f, 2, 0.9, 0.1);
    assert_int_equal(feed(&f, RUNG_EVENT_UPSTREAM_REPLY, 1), 0);
    assert_int_equal(f.request.upstream, RUNG_UPSTREAM_IDLE);
    assert_int_equal(lost(&f, RUNG_DEGRADED_LOOP, 1), 0);
    assert_int_equal(f.request.upstream, RUNG_UPSTREAM_IDLE);
    assert_int_equal(f.request.degraded, RUNG_DEGRADED_NO);
    assert_int_equal(local_done(&f, p80, 2), RUNG_ACTION_ANSWER);
    assert_int_equal(f.request.answer_level, 1);
    assert_false(f.request.results[1].visited);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(rung_degraded_name(RUNG_DEGRADED_NO), "no");
    assert_string_equal(rung_degraded_name(RUNG_DEGRADED_UNREACHABLE), "unreachable");
    assert_string_equal(rung_degraded_name(RUNG_DEGRADED_DEADLINE), "deadline");
    assert_string_equal(rung_degraded_name(RUNG_DEGRADED_BAD_REPLY), "bad reply");
    assert_string_equal(rung_degraded_name(RUNG_DEGRADED_OVERLOADED), "overloaded");
    assert_string_equal(rung_degraded_name(RUNG_DEGRADED_LOOP), "loop");
    assert_string_equal(rung_degraded_name(RUNG_DEGRADED_MODEL), "model");
    assert_string_equal(rung_degraded_name((rung_degraded)99), "unknown");
}

/* What a caller did because of the actions, and what must hold of them. */
typedef struct ledger {
    unsigned computes, sends, answers, failures;
    bool local_runs, upstream_runs;
} ledger;

static void keep_books(ledger *books, unsigned actions, rung_event_kind kind)
{
    if (kind == RUNG_EVENT_LOCAL_DONE) {
        books->local_runs = false;
    }
    if (kind == RUNG_EVENT_UPSTREAM_REPLY || kind == RUNG_EVENT_UPSTREAM_FAILED) {
        books->upstream_runs = false;
    }
    if (actions & RUNG_ACTION_COMPUTE) {
        assert_false(books->local_runs);
        books->local_runs = true;
        books->computes++;
    }
    if (actions & RUNG_ACTION_SEND) {
        assert_false(books->upstream_runs);
        books->upstream_runs = true;
        books->sends++;
    }
    if (actions & RUNG_ACTION_CANCEL_LOCAL) {
        assert_true(books->local_runs); /* only what runs is cancelled */
        books->local_runs = false;
    }
    if (actions & RUNG_ACTION_CANCEL_UPSTREAM) {
        assert_true(books->upstream_runs);
        books->upstream_runs = false;
    }
    books->answers += (actions & RUNG_ACTION_ANSWER) != 0;
    books->failures += (actions & RUNG_ACTION_FAIL) != 0;
    assert_true(books->computes <= 1 && books->sends <= 1 && books->answers + books->failures <= 1);
}

static void check_answer(const fixture *f)
{
    const rung_request *r = &f->request;
    assert_true(r->answer_level >= 1 && r->answer_level <= 3 && r->results[r->answer_level - 1].visited);
    for (uint32_t l = r->answer_level; l < 3; l++) {
        assert_false(r->results[l].visited);
    }
    assert_true(r->results[r->level - 1].visited || r->answer_level > r->level);
    if (r->level != r->entry_level) {
        return;
    }
    double weights = 0;
    for (uint32_t l = 0; l < 3; l++) {
        assert_true(r->results[l].visited || r->results[l].weight == 0);
        weights += r->results[l].weight;
    }
    assert_near("weights", weights, 1, 1e-14);
    assert_true(r->label < NUM_CLASSES && r->score == r->pooled[r->label]);
    assert_true(r->score >= 0.5 - 1e-6 && r->score <= 1 + 1e-6);
}

static rung_event random_event(rung_prng *prng, fixture *f, double now_s)
{
    static const float *const outputs[] = {p60, p80, p95, broken, NULL};
    rung_event event = {.kind = (rung_event_kind)rung_prng_below(prng, 7), .now_s = now_s};
    if ((event.kind == RUNG_EVENT_TIMER || event.kind == RUNG_EVENT_CANCEL) && rung_prng_below(prng, 3) != 0) {
        event.kind = RUNG_EVENT_START; /* seldom enough that sequences grow */
    }
    event.exit_layer = 1 + (uint32_t)rung_prng_below(prng, 3);
    event.num_layers = 3;
    event.logits = outputs[rung_prng_below(prng, 5)];
    event.early = rung_prng_below(prng, 8) == 0;
    event.reason = (rung_degraded)rung_prng_below(prng, 7);
    if (event.kind == RUNG_EVENT_UPSTREAM_REPLY && rung_request_waits(&f->request)) {
        for (uint32_t l = f->request.level + 1; l <= 3; l++) {
            double p = rung_prng_uniform(prng);
            if (rung_prng_below(prng, 2) == 0) {
                write_result(f, l, rung_prng_below(prng, 9) == 0 ? NAN : p, 1 - p);
            }
        }
    }
    return event;
}

/* Ways to go up before the result is there, or past a level. */
static void look_ahead(rung_prng *prng, fixture *f)
{
    static const double shares[] = {0, 0, 0.001, 0.7, 1};
    for (size_t l = 0; l < 3; l++) {
        f->policy.offload.speculate[l] = shares[rung_prng_below(prng, 5)];
        f->policy.offload.skip[l] = shares[rung_prng_below(prng, 5)];
    }
    f->policy.parallel = rung_prng_below(prng, 8) == 0;
    f->policy.members = rung_prng_below(prng, 8) == 0 ? 1 + (uint32_t)rung_prng_below(prng, 7) : 0;
}

static void random_sequences(void **state)
{
    (void)state;
    rung_prng prng = {2};
    static const char *const policies[] = {"rung", "paper", "tabi", "tangobert", "single"};
    unsigned answered = 0;
    for (int round = 0; round < 50000; round++) {
        fixture f;
        uint32_t entry = 1 + (uint32_t)rung_prng_below(&prng, 3);
        uint32_t level = entry + (uint32_t)rung_prng_below(&prng, 4 - entry);
        set_up(&f, level, entry);
        assert_int_equal(rung_policy_defaults(policies[rung_prng_below(&prng, 5)], 3, &f.policy, NULL), RUNG_OK);
        f.policy.pooled_decision = rung_prng_below(&prng, 2) == 0;
        look_ahead(&prng, &f);
        f.request.key = rung_prng_next(&prng);
        if (level > entry) {
            write_result(&f, entry, 0.4, 0.6);
        }
        ledger books = {0};
        bool started = false;
        for (int step = 0; step < 12; step++) {
            bool was_finished = f.request.finished;
            rung_request before;
            memcpy(&before, &f.request, sizeof before);
            rung_event event = random_event(&prng, &f, step);
            unsigned actions = rung_request_step(&f.request, &event);
            if (was_finished) {
                assert_int_equal(actions, 0);
                assert_memory_equal(&before, &f.request, sizeof before);
                continue;
            }
            keep_books(&books, actions, event.kind);
            started = started || event.kind == RUNG_EVENT_START;
            if (actions & RUNG_ACTION_ANSWER) {
                check_answer(&f);
                answered++;
            }
            assert_int_equal((books.answers + books.failures > 0) || event.kind == RUNG_EVENT_CANCEL,
                             f.request.finished);
            /* Never stuck: what has begun and is not over waits for something that runs. */
            assert_true(!started || f.request.finished || books.local_runs || books.upstream_runs);
        }
        rung_event timer = {.kind = RUNG_EVENT_TIMER, .now_s = 99};
        bool was_finished = f.request.finished;
        keep_books(&books, rung_request_step(&f.request, &timer), timer.kind);
        assert_true(f.request.finished);
        assert_true(was_finished || books.answers + books.failures == 1);
        assert_true(!books.local_runs && !books.upstream_runs);
    }
    assert_true(answered > 5000);
}

/* Fed only with what was asked for, every request ends without a deadline. */
static void honest_callers_always_finish(void **state)
{
    (void)state;
    rung_prng prng = {4};
    static const float *const outputs[] = {p60, p80, p95, broken};
    for (int round = 0; round < 20000; round++) {
        fixture f;
        uint32_t level = 1 + (uint32_t)rung_prng_below(&prng, 3);
        set_up(&f, level, level);
        f.policy.first_compute_level = 1 + (uint32_t)rung_prng_below(&prng, 3);
        look_ahead(&prng, &f);
        ledger books = {0};
        unsigned actions = feed(&f, RUNG_EVENT_START, 0);
        keep_books(&books, actions, RUNG_EVENT_START);
        for (int step = 1; !f.request.finished; step++) {
            const float *logits = outputs[rung_prng_below(&prng, 4)];
            rung_event event = {.now_s = step, .exit_layer = 2, .num_layers = 3, .logits = logits};
            bool local = books.local_runs && (!books.upstream_runs || rung_prng_below(&prng, 2) == 0);
            assert_true(step < 6 && (books.local_runs || books.upstream_runs));
            if (local && rung_request_watches(&f.request) != 0 && !f.request.watched.visited && step < 3) {
                event.kind = RUNG_EVENT_EXIT;
            } else if (local) {
                event.kind = RUNG_EVENT_LOCAL_DONE;
                event.exit_layer = 3;
            } else if (rung_prng_below(&prng, 2) == 0) {
                event.kind = RUNG_EVENT_UPSTREAM_FAILED;
            } else {
                event.kind = RUNG_EVENT_UPSTREAM_REPLY;
                write_result(&f, 3, 0.25, 0.75);
            }
            actions = rung_request_step(&f.request, &event);
            keep_books(&books, actions, event.kind);
        }
        assert_true((actions & (RUNG_ACTION_ANSWER | RUNG_ACTION_FAIL)) != 0);
        assert_true(!books.local_runs && !books.upstream_runs);
    }
}

/* Who has the probabilities already gives them, and no logits. */
static void probabilities_that_are_made_already_are_taken(void **state)
{
    (void)state;
    const float *const all[] = {p60, p80, p95};
    for (size_t i = 0; i < 6; i++) {
        fixture made, given;
        double calibrated[NUM_CLASSES], raw[NUM_CLASSES];
        const float *logits = all[i % 3];
        set_up(&made, 1, 1);
        set_up(&given, 1, 1);
        made.calibration.level[0].temperature = given.calibration.level[0].temperature = twos;
        made.policy.raw_ensemble = given.policy.raw_ensemble = i < 3;
        rung_calibrated_probabilities(&made.calibration.level[0], 2, logits, NUM_CLASSES, calibrated);
        rung_raw_probabilities(&made.calibration.level[0], logits, NUM_CLASSES, raw);
        const rung_event event = {
            .kind = RUNG_EVENT_LOCAL_DONE, .exit_layer = 2, .num_layers = 3, .calibrated = calibrated, .raw = raw};
        feed(&made, RUNG_EVENT_START, 0);
        feed(&given, RUNG_EVENT_START, 0);
        assert_int_equal(local_done(&made, logits, 0), rung_request_step(&given.request, &event));
        const rung_level_result *a = &made.request.results[0];
        const rung_level_result *b = &given.request.results[0];
        assert_true(a->visited && b->visited && a->confidence == b->confidence);
        assert_memory_equal(a->probabilities, b->probabilities, sizeof calibrated);
    }
    fixture f;
    double calibrated[NUM_CLASSES] = {0.1, 0.9};
    set_up(&f, 1, 1);
    feed(&f, RUNG_EVENT_START, 0);
    const rung_event no_such_exit = {
        .kind = RUNG_EVENT_LOCAL_DONE, .exit_layer = 4, .num_layers = 3, .calibrated = calibrated};
    rung_request_step(&f.request, &no_such_exit);
    assert_false(f.request.results[0].visited);
}

/* Of all that is learned, 0 is the least: no request skips, where skipping is off. */
static void a_level_is_skipped_only_where_that_is_on(void **state)
{
    (void)state;
    for (int on = 0; on < 2; on++) {
        fixture f;
        set_up(&f, 1, 1);
        f.policy.defer = RUNG_DEFER_LEARNED;
        f.policy.offload.skip[0] = on ? 0.1 : 0;
        feed(&f, RUNG_EVENT_START, 0);
        assert_int_equal(local_done(&f, p80, 1), RUNG_ACTION_SEND); /* deferral 0 */
        assert_int_equal(rung_request_skips_to(&f.request), on ? 3 : 0);
    }
}

/* What the top says by its logits alone becomes the result that it would have made itself, in floats. */
static void logits_of_the_level_above(void **state)
{
    (void)state;
    fixture top;
    fixture below;
    for (int raw = 0; raw < 2; raw++) {
        set_up(&top, 3, 1);
        set_up(&below, 2, 1);
        top.calibration.level[2].temperature = below.calibration.level[2].temperature = twos;
        top.policy.raw_ensemble = below.policy.raw_ensemble = raw == 1;
        assert_int_equal(feed(&top, RUNG_EVENT_START, 0), RUNG_ACTION_COMPUTE);
        const rung_event done = {.kind = RUNG_EVENT_LOCAL_DONE, .exit_layer = 1, .num_layers = 1, .logits = p80};
        assert_int_equal(rung_request_step(&top.request, &done), RUNG_ACTION_ANSWER);
        assert_int_equal(feed(&below, RUNG_EVENT_START, 0), RUNG_ACTION_COMPUTE);
        assert_int_equal(local_done(&below, p60, 0), RUNG_ACTION_SEND);
        assert_true(rung_request_take_logits(&below.request, p80));
        const rung_level_result *own = &top.request.results[2];
        const rung_level_result *taken = &below.request.results[2];
        assert_true(taken->visited && taken->exit_layer == 1 && taken->num_layers == 1);
        assert_true(taken->confidence == own->confidence);
        for (int c = 0; c < NUM_CLASSES; c++) {
            assert_true(taken->probabilities[c] == (float)own->probabilities[c]);
        }
        assert_int_equal(feed(&below, RUNG_EVENT_UPSTREAM_REPLY, 1), RUNG_ACTION_ANSWER);
        assert_int_equal(below.request.answer_level, 3);
        assert_false(rung_request_take_logits(&below.request, broken));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sure_answers_here),
        cmocka_unit_test(unsure_goes_up_and_pools),
        cmocka_unit_test(fitted_pools_answer_and_decide),
        cmocka_unit_test(policies_decide_differently),
        cmocka_unit_test(probabilities_that_are_made_already_are_taken),
        cmocka_unit_test(a_level_is_skipped_only_where_that_is_on),
        cmocka_unit_test(upper_level_uses_the_prior),
        cmocka_unit_test(top_never_sends),
        cmocka_unit_test(upstream_lost),
        cmocka_unit_test(bad_replies),
        cmocka_unit_test(deadline),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(single_passes_on),
        cmocka_unit_test(model_without_an_answer),
        cmocka_unit_test(speculation),
        cmocka_unit_test(early_reply_does_not_decide),
        cmocka_unit_test(unasked_reply),
        cmocka_unit_test(logits_of_the_level_above),
        cmocka_unit_test(names),
        cmocka_unit_test(random_sequences),
        cmocka_unit_test(honest_callers_always_finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
