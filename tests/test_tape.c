/* test_tape.c: which policies read alike, and the numbers of cells. */
#include "model_fixture.h"
#include "replay/tape.h"

#include <math.h>

static rung_policy get(const char *name)
{
    rung_policy policy;
    assert_ok(rung_policy_defaults(name, 3, &policy, error));
    return policy;
}

static bool read_alike(const rung_policy *a, const rung_policy *b)
{
    rung_reading left = rung_reading_of(a);
    rung_reading right = rung_reading_of(b);
    return rung_reading_equal(&left, &right);
}

static void policies_that_decide_otherwise_read_alike(void **state)
{
    (void)state;
    rung_policy a = get("rung");
    rung_policy b = a;
    b.offload.threshold[0] = 0.1;
    b.offload.speculate[1] = 0.5;
    b.exit.rule = RUNG_EXIT_PAPER;
    b.exit.tau = 1;
    b.weights = RUNG_WEIGHTS_LAST;
    b.seed = 9;
    assert_true(read_alike(&a, &b));
    a = get("tangobert");
    b = get("single(2)");
    assert_true(read_alike(&a, &b));
}

static void pruning_and_variants_tell_readings_apart(void **state)
{
    (void)state;
    const rung_policy rung = get("rung");
    rung_policy b = rung;
    b.prune.alpha = 0.6;
    assert_false(read_alike(&rung, &b));
    b = rung;
    b.prune.unit = RUNG_PRUNE_WORD;
    assert_false(read_alike(&rung, &b));
    b = rung;
    b.exit.first_layer = 3; /* three layers give the importance */
    assert_false(read_alike(&rung, &b));
    b = rung;
    b.prune.enabled = false;
    assert_false(read_alike(&rung, &b));
    rung_policy whole = get("tangobert");
    assert_true(read_alike(&b, &whole)); /* unpruned, whatever the rest of the pruning says */
    whole.prune.alpha = 2;
    whole.exit.first_layer = 7;
    assert_true(read_alike(&b, &whole));
    rung_policy skips = get("layer-skip");
    rung_policy skips_more = get("layer-skip(3)");
    assert_false(read_alike(&whole, &skips));
    assert_false(read_alike(&skips, &skips_more));
}

static void importance_over_all_layers_is_0(void **state)
{
    (void)state;
    rung_policy tabi = get("tabi");
    rung_policy rung = get("rung");
    assert_int_equal(rung_reading_of(&tabi).importance_layers, 0);
    assert_int_equal(rung_reading_of(&rung).importance_layers, 2);
    rung.exit.rule = RUNG_EXIT_OFF;
    assert_int_equal(rung_reading_of(&rung).importance_layers, 0);
}

static void cells_are_numbered_by_sets_of_levels(void **state)
{
    (void)state;
    assert_int_equal(rung_cell_level(0), 0);
    assert_int_equal(rung_cell_level(1), 1);
    assert_int_equal(rung_cell_level(2), 2);
    assert_int_equal(rung_cell_level(3), 2);
    assert_int_equal(rung_cell_level(4), 3);
    assert_int_equal(rung_cell_level(7), 3);
    rung_cell cells[24];
    const rung_tape tape = {.num_cells = 8, .cells = cells};
    assert_ptr_equal(rung_tape_cell(&tape, 0, 3), &cells[3]);
    assert_ptr_equal(rung_tape_cell(&tape, 2, 5), &cells[21]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_that_decide_otherwise_read_alike),
        cmocka_unit_test(pruning_and_variants_tell_readings_apart),
        cmocka_unit_test(importance_over_all_layers_is_0),
        cmocka_unit_test(cells_are_numbered_by_sets_of_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
