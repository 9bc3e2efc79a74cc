/* test_circuit.c: when a circuit opens, how long it waits, and what closes it. */
#include "net/circuit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool call(rung_circuit *circuit, bool failed)
{
    assert_true(rung_circuit_allows(circuit));
    bool trial = rung_circuit_enter(circuit);
    return rung_circuit_ended(circuit, trial, failed);
}

static void five_in_a_row_open(void **state)
{
    (void)state;
    rung_circuit circuit = {0};
    for (int i = 0; i < 4; i++) {
        assert_false(call(&circuit, true));
    }
    assert_false(call(&circuit, false)); /* counts from 0 again */
    for (int i = 0; i < 4; i++) {
        assert_false(call(&circuit, true));
    }
    assert_true(call(&circuit, true));
    assert_false(rung_circuit_allows(&circuit));
    assert_false(rung_circuit_ended(&circuit, false, false)); /* one that began before: says nothing */
    assert_false(rung_circuit_allows(&circuit));
}

static void more_than_half_of_the_window_opens(void **state)
{
    (void)state;
    rung_circuit circuit = {0};
    for (int i = 0; i < 100; i++) {
        assert_false(call(&circuit, i % 2 == 0)); /* half: stays closed */
    }
    circuit = (rung_circuit){0};
    for (int i = 0; i < 19; i++) {
        assert_false(call(&circuit, i % 3 != 0)); /* more, but the window is not full */
    }
    assert_true(call(&circuit, true));
}

static void one_trial_decides(void **state)
{
    (void)state;
    rung_circuit circuit = {0};
    for (int i = 0; i < 5; i++) {
        (void)call(&circuit, true);
    }
    rung_circuit_looked(&circuit, false);
    assert_false(rung_circuit_allows(&circuit));
    rung_circuit_looked(&circuit, true);
    assert_true(rung_circuit_allows(&circuit));
    assert_true(rung_circuit_enter(&circuit));
    assert_false(rung_circuit_allows(&circuit)); /* one at a time */
    rung_circuit_left(&circuit, false);          /* one that began before */
    assert_false(rung_circuit_allows(&circuit));
    rung_circuit_left(&circuit, true); /* given up: the next one tries */
    assert_true(call(&circuit, true));
    assert_false(rung_circuit_allows(&circuit));
    rung_circuit_looked(&circuit, true);
    assert_false(call(&circuit, false));
    assert_int_equal(circuit.state, RUNG_CIRCUIT_CLOSED);
    for (int i = 0; i < 4; i++) {
        assert_false(call(&circuit, true)); /* the old failures are forgotten */
    }
    assert_true(call(&circuit, true));
}

static void waits_grow_to_a_second(void **state)
{
    (void)state;
    static const double expected[] = {0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1, 1, 1};
    rung_circuit circuit = {0};
    rung_prng prng = {.state = 7};
    for (int i = 0; i < 5; i++) {
        (void)call(&circuit, true);
    }
    double first = 0;
    bool varies = false;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        for (int draw = 0; draw < 20; draw++) {
            double wait_s = rung_circuit_wait_s(&circuit, &prng);
            assert_true(wait_s > expected[i] / 2 && wait_s <= expected[i]);
            varies = varies || (draw > 0 && wait_s != first);
            first = wait_s;
        }
        rung_circuit_looked(&circuit, false);
    }
    assert_true(varies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_in_a_row_open),
        cmocka_unit_test(more_than_half_of_the_window_opens),
        cmocka_unit_test(one_trial_decides),
        cmocka_unit_test(waits_grow_to_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
