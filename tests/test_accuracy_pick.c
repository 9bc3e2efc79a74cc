/* test_accuracy_pick.c: picks at equal accuracy on a small evaluation: the fastest with the margin, and the best where none has it. */
#include "eval/accuracy_pick.h"
#include "evaluation_fixture.h"

static evaluation_fixture fixture;
static rung_entrant entrant;

static int open_all(void **state)
{
    (void)state;
    rung_method method;
    evaluation_fixture_open(&fixture, 40);
    assert_ok(rung_method_baseline(fixture.cascade, "tangobert", &method, error));
    assert_ok(rung_entrant_tune(&fixture.evaluation, &method, NULL, 40, NULL, &entrant, error));
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

static void with_a_large_tolerance_the_fastest(void **state)
{
    (void)state;
    rung_pick top;
    rung_accuracy_pick pick;
    assert_ok(rung_pick_top(&fixture.evaluation, &top, error));
    assert_ok(rung_pick_as_accurate(&fixture.evaluation, &entrant, &top.scheme, 1, 0.95, &pick, error));
    assert_true(pick.found && pick.difference >= pick.margin && pick.margin < 0);
    assert_memory_equal(&pick.pick.scheme, &front(0)->scheme, sizeof pick.pick.scheme);
}

static void what_cannot_be_had_is_said(void **state)
{
    (void)state;
    rung_pick top;
    rung_accuracy_pick pick;
    assert_ok(rung_pick_top(&fixture.evaluation, &top, error));
    assert_ok(rung_pick_as_accurate(&fixture.evaluation, &entrant, &top.scheme, -0.9, 0.95, &pick, error));
    assert_false(pick.found);
    assert_true(pick.margin >= 0.9 && pick.difference < pick.margin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_a_large_tolerance_the_fastest),
        cmocka_unit_test(what_cannot_be_had_is_said),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
