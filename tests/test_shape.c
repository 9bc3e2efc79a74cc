/* test_shape.c: made-up logits of a known shape give it back; a shape is taken only when it gains more than chance would. */
#include "base/math.h"
#include "base/prng.h"
#include "cascade/confidence.h"
#include "fit/shape.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS 4000

/* Two classes whose log odds are m; the truth follows log odds of sign(m) |m|^shape / temperature. */
static void make(float *logits, uint32_t *labels, double shape, double temperature)
{
    rung_prng prng = {.state = 11};
    for (size_t i = 0; i < ROWS; i++) {
        double m = 4 * (2 * rung_prng_uniform(&prng) - 1);
        double odds = copysign(rung_exp(shape * rung_log(fabs(m) + 1e-9)), m) / temperature;
        logits[2 * i] = 0.5f;
        logits[2 * i + 1] = (float)(0.5 + m);
        labels[i] = rung_prng_uniform(&prng) < 1 / (1 + rung_exp(-odds));
    }
}

static rung_shape_fit fit(const float *logits, const uint32_t *labels, const float *targets, size_t n)
{
    rung_shape_fit found = {0};
    rung_error error;
    rung_fit_logits view = {.logits = logits, .stride = 2, .n = n, .num_classes = 2};
    if (rung_fit_shape(&view, labels, targets, &found, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return found;
}

static void shape_and_temperature_come_back(void **state)
{
    (void)state;
    static float logits[2 * ROWS];
    static uint32_t labels[ROWS];
    static const double shapes[] = {1.8, 0.6};
    static const double temperatures[] = {1.5, 0.5};
    for (size_t s = 0; s < 2; s++) {
        make(logits, labels, shapes[s], temperatures[s]);
        rung_shape_fit found = fit(logits, labels, NULL, ROWS);
        assert_true(fabs(found.shape - shapes[s]) < 0.15 * shapes[s]);
        assert_true(fabs(found.temperature - temperatures[s]) < 0.2 * temperatures[s]);
        assert_true(found.nll < found.nll_before);
    }
}

static void chance_does_not_make_a_shape(void **state)
{
    (void)state;
    static float logits[2 * ROWS];
    static uint32_t labels[ROWS];
    make(logits, labels, 1, 2);
    rung_shape_fit found = fit(logits, labels, NULL, ROWS);
    assert_true(found.shape == 1);
    assert_true(fabs(found.temperature - 2) < 0.2);
    make(logits, labels, 1.8, 1.5); /* thirty rows cannot tell */
    assert_true(fit(logits, labels, NULL, 30).shape == 1);
}

static void soft_targets_are_met(void **state)
{
    (void)state;
    static float logits[2 * ROWS];
    static float targets[2 * ROWS];
    static uint32_t labels[ROWS];
    make(logits, labels, 1, 1);
    for (size_t i = 0; i < ROWS; i++) {
        double m = (double)logits[2 * i + 1] - 0.5;
        targets[2 * i + 1] = (float)(1 / (1 + rung_exp(-m * fabs(m) / 2))); /* shape 2, T = 2 */
        targets[2 * i] = 1 - targets[2 * i + 1];
    }
    rung_shape_fit found = fit(logits, NULL, targets, ROWS);
    assert_true(fabs(found.shape - 2) < 0.02 && fabs(found.temperature - 2) < 0.05);
}

static void errors_are_those_of_the_temperature(void **state)
{
    (void)state;
    const float logits[4] = {0, NAN, 1, 2};
    const uint32_t labels[2] = {0, 1};
    rung_fit_logits view = {.logits = logits, .stride = 2, .n = 2, .num_classes = 2};
    rung_shape_fit found = {.shape = 7};
    rung_error error;
    assert_int_equal(rung_fit_shape(&view, labels, NULL, &found, &error), RUNG_INVALID);
    assert_string_equal(error.message, "input 0: the logit of class 1 is nan; it must be finite");
    assert_true(found.shape == 7);
    const float huge[4] = {0, 3e38f, 0, -3e38f}; /* shapes above 1 leave the range of floats: they are passed over */
    view.logits = huge;
    assert_int_equal(rung_fit_shape(&view, labels, NULL, &found, &error), RUNG_OK);
    assert_true(isfinite(found.nll) && found.shape <= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape_and_temperature_come_back),
        cmocka_unit_test(chance_does_not_make_a_shape),
        cmocka_unit_test(soft_targets_are_met),
        cmocka_unit_test(errors_are_those_of_the_temperature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
