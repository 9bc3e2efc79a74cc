/* test_contest.c: methods tuned, picked, measured and held against the oracle on a small evaluation. */
#include "eval/contest.h"
#include "evaluation_fixture.h"

#include <math.h>

#define TRIALS 60

static evaluation_fixture fixture;
static rung_entrant entrant;

static int open_all(void **state)
{
    (void)state;
    rung_method method;
    evaluation_fixture_open(&fixture, TRIALS);
    rung_method_rung(fixture.cascade, 0, &method);
    assert_ok(rung_entrant_tune(&fixture.evaluation, &method, NULL, TRIALS, NULL, &entrant, error));
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    rung_entrant_deinit(&entrant);
    evaluation_fixture_close(&fixture);
    return 0;
}

static const rung_candidate *front(size_t i)
{
    return &entrant.candidates.items[entrant.front[i]];
}

static void a_front_is_fastest_first(void **state)
{
    (void)state;
    double most_agreeing = 0;
    double most_accurate = 0;
    for (size_t i = 0; i < entrant.num_front; i++) {
        assert_true(i == 0 || front(i)->tuned.mean_ms >= front(i - 1)->tuned.mean_ms);
        most_agreeing = fmax(most_agreeing, front(i)->tuned.agreement);
        most_accurate = fmax(most_accurate, front(i)->tuned.accuracy);
    }
    for (size_t i = 0; i < entrant.candidates.count; i++) {
        assert_true(entrant.candidates.items[i].tuned.agreement <= most_agreeing);
        assert_true(entrant.candidates.items[i].tuned.accuracy <= most_accurate);
    }
}

static void same_scheme(const rung_pick *pick, const rung_scheme *scheme)
{
    assert_memory_equal(&pick->scheme, scheme, sizeof *scheme);
}

static void uncertified_picks(void **state)
{
    (void)state;
    rung_pick pick;
    rung_pick_agreeing_uncertified(&entrant, 0, &pick);
    same_scheme(&pick, &front(0)->scheme);
    assert_false(pick.certified);
    rung_pick_accurate(&entrant, 0, &pick);
    same_scheme(&pick, &front(0)->scheme);
    size_t best = 0;
    for (size_t i = 0; i < entrant.num_front; i++) {
        best = front(i)->tuned.accuracy > front(best)->tuned.accuracy ? i : best;
    }
    rung_pick_accurate(&entrant, 1.1, &pick);
    same_scheme(&pick, &front(best)->scheme);
}

static void certified_picks(void **state)
{
    (void)state;
    rung_pick pick;
    assert_ok(rung_pick_agreeing(&fixture.evaluation, &entrant, 0.5, 0.05, &pick, error));
    assert_true(pick.certified && !pick.is_top && pick.num_held > 0 && pick.num_tested == entrant.num_front);
    assert_string_equal(rung_pick_certified_word(&pick), "yes");
    /* 96 rows cannot tell. */
    assert_ok(rung_pick_agreeing(&fixture.evaluation, &entrant, 0.999, 0.05, &pick, error));
    assert_true(!pick.certified && pick.is_top && pick.num_held == 0);
    assert_string_equal(rung_pick_certified_word(&pick), "no: the top level alone");
    rung_pick top;
    assert_ok(rung_pick_top(&fixture.evaluation, &top, error));
    same_scheme(&pick, &top.scheme);
    double top_ms = entrant.top_ms;
    assert_true(top_ms > front(0)->tuned.mean_ms);
    entrant.top_ms = front(0)->tuned.mean_ms / 2;
    assert_ok(rung_pick_agreeing(&fixture.evaluation, &entrant, 0.5, 0.05, &pick, error));
    entrant.top_ms = top_ms;
    assert_true(pick.certified && pick.is_top);
    same_scheme(&pick, &top.scheme);
    assert_string_equal(rung_pick_certified_word(&pick), "the top level alone is faster");
}

static void named_picks(void **state)
{
    (void)state;
    rung_pick pick;
    assert_ok(rung_pick_named(&fixture.evaluation, "tabi", 0.8, &pick, error));
    assert_true(pick.scheme.policy.offload.threshold[1] == 0.8);
    assert_string_equal(pick.scheme.policy.name, "tabi");
    assert_fails(rung_pick_named(&fixture.evaluation, "taby", 0.8, &pick, error), RUNG_NOT_FOUND, "taby");
}

/* What is measured is the truth: the top level agrees with itself and is right on about nine of ten. */
static void the_top_level_measured(void **state)
{
    (void)state;
    rung_pick top;
    rung_measured measured = {0};
    assert_ok(rung_pick_top(&fixture.evaluation, &top, error));
    assert_ok(rung_measure(&fixture.evaluation, &top.scheme, NULL, &measured, error));
    assert_int_equal(measured.n, fixture.evaluation.study.report.count);
    double sum_ms = 0;
    for (size_t i = 0; i < measured.n; i++) {
        assert_true(measured.agrees[i] == 1 && measured.latency_ms[i] > 0 && measured.bytes[i] > 0);
        sum_ms += measured.latency_ms[i];
    }
    assert_true(measured.summary.agreement == 1);
    assert_true(measured.summary.accuracy > 0.8 && measured.summary.accuracy < 1);
    assert_true(fabs(measured.summary.mean_ms - sum_ms / (double)measured.n) < 1e-9);
    rung_measured_deinit(&measured);
}

static void nothing_beats_the_oracle(void **state)
{
    (void)state;
    static const char *const names[] = {"single", "single(1)", "tangobert", "branchynet"};
    rung_oracle oracle = {0};
    assert_ok(rung_oracle_make(&fixture.evaluation, NULL, &oracle, error));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        rung_pick pick;
        rung_measured measured = {0};
        assert_ok(rung_pick_named(&fixture.evaluation, names[i], 0.9, &pick, error));
        assert_ok(rung_measure(&fixture.evaluation, &pick.scheme, NULL, &measured, error));
        assert_true(rung_oracle_accurate_ms(&oracle, measured.summary.accuracy) <= measured.summary.mean_ms + 1e-9);
        assert_true(rung_oracle_agreeing_ms(&oracle, measured.summary.agreement) <= measured.summary.mean_ms + 1e-9);
        rung_measured_deinit(&measured);
    }
    assert_true(rung_oracle_agreeing_ms(&oracle, 0) == oracle.mean_cheapest_ms);
    assert_true(isfinite(rung_oracle_agreeing_ms(&oracle, 1)));
    assert_true(isinf(rung_oracle_agreeing_ms(&oracle, 1.1)));
    assert_true(rung_gap_closed(10, 4, 2) == 0.75);
    rung_oracle_deinit(&oracle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_front_is_fastest_first), cmocka_unit_test(uncertified_picks),
        cmocka_unit_test(certified_picks),          cmocka_unit_test(named_picks),
        cmocka_unit_test(the_top_level_measured),   cmocka_unit_test(nothing_beats_the_oracle),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
