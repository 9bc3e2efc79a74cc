/* test_tune.c: searches of settings: as many trials as asked for, none twice, the usual settings first, the same from the same seed; and the fastest of
 * what was found. */
#include "plan/tune.h"
#include "plan_fixture.h"

static plan_fixture fixture;

static int open_all(void **state)
{
    (void)state;
    plan_fixture_open(&fixture);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    plan_fixture_close(&fixture);
    return 0;
}

#define NUM_KNOBS 4

/* The last value is out of range: there is no such policy. */
static const double thresholds[] = {0, 0.35, 0.4, 0.45, 0.5, 0.6, 0.8, 1, 1.5};
static const double weights[] = {RUNG_WEIGHTS_ACCURACY, RUNG_WEIGHTS_LAST, RUNG_WEIGHTS_FITTED};
static const double members[] = {0, 4, 5, 6};

static size_t tries; /* counted by the knob that is set last */

static void set_threshold(rung_policy *policy, uint32_t level, double value)
{
    policy->offload.threshold[level - 1] = value;
}

static void set_weights(rung_policy *policy, uint32_t level, double value)
{
    (void)level;
    policy->weights = (rung_weights)value;
}

static void set_members(rung_policy *policy, uint32_t level, double value)
{
    (void)level;
    policy->members = (uint32_t)value;
    tries++;
}

static const rung_knob knobs[NUM_KNOBS] = {
    {"t1", set_threshold, 1, thresholds, 9, 5},
    {"t2", set_threshold, 2, thresholds, 9, 4},
    {"weights", set_weights, 0, weights, 3, 2},
    {"members", set_members, 0, members, 4, 0},
};

static rung_search search_of(size_t trials, uint64_t seed)
{
    static const double targets[] = {0.9, 0.8, 2};
    return (rung_search){.base = plan_policy(&fixture, "tangobert"),
                         .knobs = knobs,
                         .num_knobs = NUM_KNOBS,
                         .trials = trials,
                         .seed = seed,
                         .targets = targets,
                         .num_targets = 3};
}

/* Release with rung_candidates_deinit. */
static rung_candidates tune(const rung_search *search)
{
    rung_candidates candidates = {0};
    tries = 0;
    assert_ok(rung_tune(fixture.study, search, NULL, &candidates, error));
    return candidates;
}

static bool same_choice(const rung_candidate *a, const rung_candidate *b)
{
    return memcmp(a->choice, b->choice, NUM_KNOBS) == 0;
}

static bool same_candidates(const rung_candidates *a, const rung_candidates *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = same_choice(&a->items[i], &b->items[i]) &&
               memcmp(&a->items[i].tuned, &b->items[i].tuned, sizeof a->items[i].tuned) == 0;
    }
    return same;
}

static void the_seed_decides(void **state)
{
    (void)state;
    rung_search search = search_of(60, 4);
    rung_candidates first = tune(&search);
    rung_candidates again = tune(&search);
    search.seed = 5;
    rung_candidates other = tune(&search);
    assert_true(same_candidates(&first, &again));
    assert_false(same_candidates(&first, &other));
    rung_candidates_deinit(&first);
    rung_candidates_deinit(&again);
    rung_candidates_deinit(&other);
    assert_null(first.items);
    assert_int_equal(first.count, 0);
}

static void candidates_are_policies_and_differ(void **state)
{
    (void)state;
    static rung_outcome outcomes[EVALUATION_ROWS];
    rung_search search = search_of(120, 1);
    rung_candidates candidates = tune(&search);
    assert_int_equal(tries, 120);
    assert_true(candidates.count > 60 && candidates.count < 120); /* some had a threshold of 1.5 */
    for (size_t i = 0; i < candidates.count; i++) {
        const rung_candidate *at = &candidates.items[i];
        rung_policy policy = search.base;
        for (size_t k = 0; k < NUM_KNOBS; k++) {
            assert_true(at->choice[k] < knobs[k].num_values);
            knobs[k].set(&policy, knobs[k].level, knobs[k].values[at->choice[k]]);
        }
        assert_memory_equal(policy.offload.threshold, at->scheme.policy.offload.threshold,
                            sizeof policy.offload.threshold);
        assert_true(policy.weights == at->scheme.policy.weights && policy.members == at->scheme.policy.members);
        assert_ok(rung_policy_check(&at->scheme.policy, &fixture.study->calibration, error));
        for (size_t other = 0; other < i; other++) {
            assert_false(same_choice(at, &candidates.items[other]));
        }
        assert_ok(rung_scheme_replay(fixture.study, &at->scheme, NULL, &fixture.study->tune, false, outcomes, error));
        rung_summary sums = rung_summarize(fixture.study, &fixture.study->tune, outcomes);
        assert_memory_equal(&sums, &at->tuned, sizeof sums);
    }
    rung_candidates_deinit(&candidates);
}

static void the_usual_settings_come_first(void **state)
{
    (void)state;
    for (size_t trials = 1; trials <= 40; trials += trials < 12 ? 1 : 7) {
        rung_search search = search_of(trials, trials);
        rung_candidates candidates = tune(&search);
        assert_true(tries <= trials && candidates.count >= 1 && candidates.count <= trials);
        for (size_t k = 0; k < NUM_KNOBS; k++) {
            assert_int_equal(candidates.items[0].choice[k], knobs[k].usual);
        }
        rung_candidates_deinit(&candidates);
    }
}

/* Of the first tenth no trial is far from the usual settings. */
static void a_search_begins_near_the_usual_settings(void **state)
{
    (void)state;
    rung_search search = search_of(100, 2);
    rung_candidates candidates = tune(&search);
    size_t far = 0;
    for (size_t i = 0; i < candidates.count; i++) {
        size_t changed = 0;
        for (size_t k = 0; k < NUM_KNOBS; k++) {
            changed += candidates.items[i].choice[k] != knobs[k].usual;
        }
        assert_true(changed <= 2 || i >= 5);
        far += changed > 2;
    }
    assert_true(far > 10);
    rung_candidates_deinit(&candidates);
}

static void few_settings_are_all_tried_once(void **state)
{
    (void)state;
    const rung_knob few[] = {knobs[2], knobs[3]};
    rung_search search = search_of(500, 3);
    search.knobs = few;
    search.num_knobs = 2;
    rung_candidates candidates = tune(&search);
    assert_int_equal(tries, 12);
    assert_int_equal(candidates.count, 12);
    rung_candidates_deinit(&candidates);
}

static void without_settings(void **state)
{
    (void)state;
    for (size_t trials = 1; trials <= 30; trials += 29) {
        rung_search search = search_of(trials, 1);
        search.num_knobs = 0;
        rung_candidates candidates = tune(&search);
        assert_int_equal(candidates.count, 1);
        assert_memory_equal(candidates.items[0].scheme.policy.offload.threshold, search.base.offload.threshold,
                            sizeof search.base.offload.threshold);
        rung_candidates_deinit(&candidates);
    }
}

static void nothing_that_can_be(void **state)
{
    (void)state;
    static const double beyond[] = {1.5, 2};
    const rung_knob bad[] = {{"t1", set_threshold, 1, beyond, 2, 0}};
    rung_search search = search_of(20, 1);
    search.knobs = bad;
    search.num_knobs = 1;
    rung_candidates candidates = tune(&search);
    assert_int_equal(candidates.count, 0);
    assert_null(rung_fastest_agreeing(&candidates, 0));
    assert_null(rung_fastest_accurate(&candidates, 0));
    rung_candidates_deinit(&candidates);
}

/* What stood in the candidates is replaced, and stays when the search fails. */
static void candidates_are_replaced(void **state)
{
    (void)state;
    rung_search search = search_of(30, 1);
    rung_candidates candidates = tune(&search);
    rung_candidates before = candidates;
    search.trials = SIZE_MAX / 2 / sizeof(rung_candidate);
    assert_fails(rung_tune(fixture.study, &search, NULL, &candidates, error), RUNG_NO_MEMORY, "candidates");
    assert_memory_equal(&candidates, &before, sizeof before);
    search.trials = 5;
    assert_ok(rung_tune(fixture.study, &search, NULL, &candidates, error));
    assert_true(candidates.count <= 5 && candidates.count < before.count);
    rung_candidates_deinit(&candidates);
}

typedef struct progress_seen {
    size_t calls, last;
} progress_seen;

static void see(void *context, const char *what, size_t done, size_t total)
{
    progress_seen *seen = context;
    assert_string_equal(what, "tangobert");
    assert_int_equal(total, 25);
    assert_true(done > seen->last && done <= total);
    seen->last = done;
    seen->calls++;
}

static void progress_is_told(void **state)
{
    (void)state;
    progress_seen seen = {0};
    rung_progress progress = {.report = see, .context = &seen};
    rung_search search = search_of(25, 1);
    rung_candidates candidates = {0};
    assert_ok(rung_tune(fixture.study, &search, &progress, &candidates, error));
    assert_int_equal(seen.calls, candidates.count);
    rung_candidates_deinit(&candidates);
}

/* The search replays over the network that it was given. */
static void the_network_counts(void **state)
{
    (void)state;
    static const double speeds[] = {0.25, 0.75, 1.25};
    rung_network slow = {.name = "slow", .speeds = speeds};
    rung_search search = search_of(1, 1);
    search.num_knobs = 0;
    search.base = plan_policy(&fixture, "single(1)");
    rung_candidates usual = tune(&search);
    search.network = &slow;
    rung_candidates slower = tune(&search);
    assert_true(usual.count == 1 && slower.count == 1 && usual.items[0].tuned.mean_ms > 0);
    plan_near("half the speed", slower.items[0].tuned.mean_ms, 2 * usual.items[0].tuned.mean_ms);
    rung_candidates_deinit(&usual);
    rung_candidates_deinit(&slower);
}

static void fastest_by_hand(void **state)
{
    (void)state;
    static rung_candidate items[] = {
        {.tuned = {.mean_ms = 9, .accuracy = 0.90, .agreement = 0.99}},
        {.tuned = {.mean_ms = 5, .accuracy = 0.85, .agreement = 0.95}},
        {.tuned = {.mean_ms = 5, .accuracy = 0.88, .agreement = 0.95}},
        {.tuned = {.mean_ms = 2, .accuracy = 0.70, .agreement = 0.60}},
        {.tuned = {.mean_ms = 7, .accuracy = 0.92, .agreement = 0.90}},
    };
    const rung_candidates candidates = {.items = items, .count = 5};
    assert_ptr_equal(rung_fastest_agreeing(&candidates, 0), &items[3]);
    assert_ptr_equal(rung_fastest_agreeing(&candidates, 0.95), &items[1]); /* the earlier of two */
    assert_ptr_equal(rung_fastest_agreeing(&candidates, 0.951), &items[0]);
    assert_null(rung_fastest_agreeing(&candidates, 0.991));
    assert_ptr_equal(rung_fastest_accurate(&candidates, 0.86), &items[2]);
    assert_ptr_equal(rung_fastest_accurate(&candidates, 0.89), &items[4]);
    assert_ptr_equal(rung_fastest_accurate(&candidates, 0.7), &items[3]);
    assert_null(rung_fastest_accurate(&candidates, 0.93));
}

static void fastest_of_a_search(void **state)
{
    (void)state;
    rung_search search = search_of(100, 6);
    rung_candidates candidates = tune(&search);
    for (int percent = 30; percent <= 100; percent += 5) {
        double target = percent / 100.0;
        const rung_candidate *best = NULL;
        for (size_t i = 0; i < candidates.count; i++) {
            const rung_candidate *at = &candidates.items[i];
            if (at->tuned.agreement >= target && (best == NULL || at->tuned.mean_ms < best->tuned.mean_ms)) {
                best = at;
            }
        }
        assert_ptr_equal(rung_fastest_agreeing(&candidates, target), best);
    }
    assert_non_null(rung_fastest_agreeing(&candidates, 1)); /* level 3 alone, or all that goes up to it */
    rung_candidates_deinit(&candidates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_seed_decides),
        cmocka_unit_test(candidates_are_policies_and_differ),
        cmocka_unit_test(the_usual_settings_come_first),
        cmocka_unit_test(a_search_begins_near_the_usual_settings),
        cmocka_unit_test(few_settings_are_all_tried_once),
        cmocka_unit_test(without_settings),
        cmocka_unit_test(nothing_that_can_be),
        cmocka_unit_test(candidates_are_replaced),
        cmocka_unit_test(progress_is_told),
        cmocka_unit_test(the_network_counts),
        cmocka_unit_test(fastest_by_hand),
        cmocka_unit_test(fastest_of_a_search),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
