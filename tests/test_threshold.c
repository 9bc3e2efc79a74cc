/* test_threshold.c: the threshold of a level by hand and against trying every candidate. */
#include "base/prng.h"
#include "fit/threshold.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static rung_threshold_fit get(const double *confidence, const bool *agrees, size_t n, double target)
{
    rung_threshold_fit fit;
    rung_error error;
    if (rung_fit_threshold(confidence, agrees, n, RUNG_AGREEMENT_OF_ANSWERED, target, &fit, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return fit;
}

static void by_hand(void **state)
{
    (void)state;
    static const double confidence[] = {0.9, 0.6, 0.8, 0.7, 0.7};
    static const bool agrees[] = {true, true, true, false, true};
    /* All: 4 of 5. Above .6: 3 of 4. Above .7: 2 of 2. */
    rung_threshold_fit fit = get(confidence, agrees, 5, 0.8);
    assert_true(fit.threshold == 0 && fit.agreement == 0.8 && fit.share_answered == 1 && fit.num_answered == 5);
    fit = get(confidence, agrees, 5, 0.81);
    assert_true(fit.threshold == 0.7 && fit.agreement == 1 && fit.share_answered == 0.4 && fit.num_answered == 2);
    static const bool wrong_when_sure[] = {false, true, true, true, true};
    fit = get(confidence, wrong_when_sure, 5, 0.9); /* the surest is wrong: nothing is answered here */
    assert_true(fit.threshold == 1 && fit.agreement == 1 && fit.share_answered == 0 && fit.num_answered == 0);
    static const bool never[5] = {false};
    assert_true(get(confidence, never, 5, 0.1).threshold == 1);
    assert_true(get(confidence, never, 5, 0).threshold == 0);
}

/* Sorted: .6 yes, .7 no, .7 yes, .8 yes, .9 yes. At t = 0 one of five disagrees; at .6 still; above .7 none does. */
static void what_is_passed_on_agrees(void **state)
{
    (void)state;
    static const double confidence[] = {0.9, 0.6, 0.8, 0.7, 0.7};
    static const bool agrees[] = {true, true, true, false, true};
    rung_threshold_fit fit;
    rung_error error;
    assert_int_equal(rung_fit_threshold(confidence, agrees, 5, RUNG_AGREEMENT_OF_ALL, 0.8, &fit, &error), RUNG_OK);
    assert_true(fit.threshold == 0);
    assert_int_equal(rung_fit_threshold(confidence, agrees, 5, RUNG_AGREEMENT_OF_ALL, 0.81, &fit, &error), RUNG_OK);
    assert_true(fit.threshold == 0.7 && fit.agreement == 1 && fit.num_answered == 2);
    static const bool sure_and_wrong[] = {false, true, true, false, true}; /* .9 no, .7 no */
    assert_int_equal(rung_fit_threshold(confidence, sure_and_wrong, 5, RUNG_AGREEMENT_OF_ALL, 0.8, &fit, &error),
                     RUNG_OK);
    assert_true(fit.threshold == 0.7 && fit.agreement == 0.5 && fit.num_answered == 2); /* one of five disagrees */
    assert_int_equal(rung_fit_threshold(confidence, sure_and_wrong, 5, RUNG_AGREEMENT_OF_ALL, 0.9, &fit, &error),
                     RUNG_OK);
    assert_true(fit.threshold == 1 && fit.num_answered == 0);
}

static void a_share_equal_to_the_target_is_enough(void **state)
{
    (void)state;
    double confidence[100];
    bool agrees[100];
    for (int percent = 1; percent <= 100; percent++) {
        for (int i = 0; i < 100; i++) {
            confidence[i] = 0.5;
            agrees[i] = i < percent;
        }
        assert_true(get(confidence, agrees, 100, percent / 100.0).threshold == 0);
        assert_true(get(confidence, agrees, 100, nextafter(percent / 100.0, 2) > 1 ? 1 : nextafter(percent / 100.0, 2))
                        .threshold == (percent == 100 ? 0 : 1));
    }
}

/* Every observed confidence and 0 are tried; the least that holds. */
static void brute_force(void **state)
{
    (void)state;
    rung_prng prng = {1};
    for (int round = 0; round < 3000; round++) {
        double confidence[60];
        bool agrees[60];
        size_t n = 1 + rung_prng_below(&prng, 60);
        for (size_t i = 0; i < n; i++) {
            confidence[i] = (double)rung_prng_below(&prng, 33) / 32;
            agrees[i] = rung_prng_uniform(&prng) < 0.5 + confidence[i] / 2;
        }
        double target = rung_prng_uniform(&prng);
        double expected = 1;
        size_t expected_above = 0;
        for (size_t candidate = 0; candidate <= n; candidate++) {
            double t = candidate == n ? 0 : confidence[candidate];
            size_t above = 0;
            size_t good = 0;
            for (size_t i = 0; i < n; i++) {
                above += confidence[i] > t;
                good += confidence[i] > t && agrees[i];
            }
            if (above > 0 && (double)good / (double)above >= target && t < expected) {
                expected = t;
                expected_above = above;
            }
        }
        rung_threshold_fit fit = get(confidence, agrees, n, target);
        assert_true(fit.threshold == expected && fit.num_answered == expected_above);
        assert_true(fit.agreement >= target && fit.share_answered == (double)expected_above / (double)n);
    }
}

/* Two levels that each hold the target on what they answer hold it together, the top agreeing with itself. */
static void levels_compose(void **state)
{
    (void)state;
    rung_prng prng = {2};
    for (int round = 0; round < 200; round++) {
        double first[300], second[300], reaching[300];
        bool first_agrees[300], second_agrees[300], reaching_agrees[300];
        for (size_t i = 0; i < 300; i++) {
            first[i] = rung_prng_uniform(&prng);
            second[i] = rung_prng_uniform(&prng);
            first_agrees[i] = rung_prng_uniform(&prng) < 0.6 + 0.4 * first[i];
            second_agrees[i] = rung_prng_uniform(&prng) < 0.8 + 0.2 * second[i];
        }
        rung_threshold_fit one = get(first, first_agrees, 300, 0.95);
        size_t n = 0;
        for (size_t i = 0; i < 300; i++) {
            if (!(first[i] > one.threshold)) {
                reaching[n] = second[i];
                reaching_agrees[n++] = second_agrees[i];
            }
        }
        rung_threshold_fit two = {.threshold = 1};
        if (n > 0) {
            two = get(reaching, reaching_agrees, n, 0.95);
        }
        size_t agreeing = 0;
        for (size_t i = 0; i < 300; i++) {
            agreeing += first[i] > one.threshold    ? first_agrees[i]
                        : second[i] > two.threshold ? second_agrees[i]
                                                    : true;
        }
        assert_true((double)agreeing / 300 >= 0.95 - 1e-12);
    }
}

static void refusals(void **state)
{
    (void)state;
    double confidence[2] = {0.5, 1.5};
    static const bool agrees[2] = {true, true};
    rung_threshold_fit fit = {.threshold = 77};
    rung_error error;
    assert_int_equal(rung_fit_threshold(confidence, agrees, 0, RUNG_AGREEMENT_OF_ANSWERED, 0.98, &fit, &error),
                     RUNG_INVALID);
    assert_string_equal(error.message, "no requests to fit a threshold on; give at least one");
    assert_int_equal(rung_fit_threshold(confidence, agrees, 1, RUNG_AGREEMENT_OF_ANSWERED, 1.01, &fit, &error),
                     RUNG_INVALID);
    assert_string_equal(error.message, "the target share is 1.01; it must be from 0 to 1");
    assert_int_equal(rung_fit_threshold(confidence, agrees, 1, RUNG_AGREEMENT_OF_ANSWERED, NAN, &fit, &error),
                     RUNG_INVALID);
    assert_string_equal(error.message, "the target share is nan; it must be from 0 to 1");
    assert_int_equal(rung_fit_threshold(confidence, agrees, 2, RUNG_AGREEMENT_OF_ANSWERED, 0.98, &fit, &error),
                     RUNG_INVALID);
    assert_string_equal(error.message, "request 1: the confidence is 1.5; it must be from 0 to 1");
    confidence[0] = NAN;
    assert_int_equal(rung_fit_threshold(confidence, agrees, 2, RUNG_AGREEMENT_OF_ANSWERED, 0.98, &fit, &error),
                     RUNG_INVALID);
    assert_string_equal(error.message, "request 0: the confidence is nan; it must be from 0 to 1");
    assert_true(fit.threshold == 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(what_is_passed_on_agrees),
        cmocka_unit_test(a_share_equal_to_the_target_is_enough),
        cmocka_unit_test(brute_force),
        cmocka_unit_test(levels_compose),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
