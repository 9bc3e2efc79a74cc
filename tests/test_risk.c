/* test_risk.c: the binomial tail against sums in 50 digits, what data can certify, and the betting test on losses that
 * should and should not pass. */
#include "base/prng.h"
#include "numbers.h"
#include "plan/risk.h"

static void binomial_is_exact(void **state)
{
    (void)state;
    json_t *cases = numbers_section("binomial");
    size_t i;
    json_t *it;
    json_array_foreach(cases, i, it)
    {
        double cdf = rung_binomial_cdf((uint64_t)numbers_value(it, "errors"), (uint64_t)numbers_value(it, "n"),
                                       numbers_value(it, "p"));
        double expected = numbers_value(it, "cdf");
        if (!(fabs(cdf - expected) <= 1e-11 * expected)) {
            fail_msg("%s: %.17g instead of %.17g", numbers_name(it), cdf, expected);
        }
    }
    json_decref(cases);
}

static void binomial_at_the_edges(void **state)
{
    (void)state;
    assert_true(rung_binomial_cdf(0, 0, 0.5) == 1);
    assert_true(rung_binomial_cdf(5, 5, 0.5) == 1);
    assert_true(rung_binomial_cdf(9, 5, 0.5) == 1);
    assert_true(rung_binomial_cdf(0, 5, 0) == 1);
    assert_true(rung_binomial_cdf(4, 5, 1) == 0);
    assert_true(rung_binomial_cdf(0, 1000000, 0.99) == 0); /* below the least double */
}

/* Rises with errors and falls with p, from 0 to 1, across the change of tails at the mean. */
static void binomial_is_monotone(void **state)
{
    (void)state;
    static const uint64_t trials[] = {7, 300, 5000};
    for (size_t t = 0; t < 3; t++) {
        for (double p = 0.003; p < 1; p += 0.083) {
            double before = 0;
            for (uint64_t k = 0; k <= trials[t]; k++) {
                double cdf = rung_binomial_cdf(k, trials[t], p);
                assert_true(cdf >= before - 1e-13 && cdf <= 1);
                before = cdf;
            }
            assert_true(before == 1);
        }
    }
}

static uint64_t most(uint64_t n, double epsilon, double delta)
{
    uint64_t errors = 0;
    assert_true(rung_most_errors(n, epsilon, delta, &errors));
    return errors;
}

/* delta = .05, epsilon = 1 %. */
static void what_data_certifies(void **state)
{
    (void)state;
    uint64_t errors = 77;
    assert_false(rung_most_errors(298, 0.01, 0.05, &errors));
    assert_int_equal(errors, 77);
    assert_int_equal(most(299, 0.01, 0.05), 0);
    assert_int_equal(most(500, 0.01, 0.05), 1);
    assert_int_equal(most(872, 0.01, 0.05), 3);
    assert_int_equal(most(5000, 0.01, 0.05), 38);
    assert_int_equal(most(10, 0.01, 1), 10);
    static const uint64_t trials[] = {299, 1000, 5000, 1000000};
    for (size_t i = 0; i < 4; i++) {
        for (double epsilon = 0.01; epsilon < 0.6; epsilon *= 2) {
            uint64_t held = most(trials[i], epsilon, 0.05);
            assert_true(rung_p_agreement(held, trials[i], epsilon) <= 0.05);
            assert_true(rung_p_agreement(held + 1, trials[i], epsilon) > 0.05);
        }
    }
    assert_true(rung_p_accuracy(40, 1000, 0.9375) == rung_p_agreement(40, 1000, 0.0625));
}

static void how_much_data_would_certify(void **state)
{
    (void)state;
    uint64_t samples = 0;
    assert_true(rung_least_samples(0, 12, 0.01, 0.05, &samples));
    assert_int_equal(samples, 299);
    assert_true(rung_least_samples(8, 1000, 0.01, 0.05, &samples));
    uint64_t errors = (samples * 8 + 999) / 1000;
    assert_true(rung_p_agreement(errors, samples, 0.01) <= 0.05);
    for (uint64_t n = 300; n < samples; n++) {
        if (rung_p_agreement((n * 8 + 999) / 1000, n, 0.01) <= 0.05) {
            fail_msg("%llu would do instead of %llu", (unsigned long long)n, (unsigned long long)samples);
        }
    }
    samples = 5;
    assert_false(rung_least_samples(10, 1000, 0.01, 0.05, &samples));
    assert_false(rung_least_samples(1000, 1000, 0.01, 0.05, &samples));
    assert_false(rung_least_samples(9999, 1000000, 0.01, 0.05, &samples)); /* more than the greatest number */
    assert_int_equal(samples, 5);
}

static double p_of(const double *losses, uint64_t n, double epsilon)
{
    double p = -1;
    rung_error error;
    assert_int_equal(rung_p_losses(losses, n, epsilon, 0.05, &p, &error), RUNG_OK);
    return p;
}

/* No loss at all: the binomial needs 299 of them, betting somewhat more. */
static void betting_without_losses(void **state)
{
    (void)state;
    static const double losses[335] = {0};
    assert_true(p_of(losses, 334, 0.01) > 0.05);
    assert_true(p_of(losses, 335, 0.01) <= 0.05);
}

static void betting_by_hand(void **state)
{
    (void)state;
    /* stake_scale = 2 ln 20 / 2; variances 1/4, then (1/4 + (.5 - .25)^2) / 2; the cap is .9 / .8. */
    static const double losses[] = {0.5, -1};
    double scale = 2.995732273553991;
    double first = 1 + fmin(1.125, sqrt(scale / 0.25)) * (0.2 - 0.5);
    double second = first * (1 + fmin(1.125, sqrt(scale / 0.15625)) * (0.2 + 1));
    assert_near("p", p_of(losses, 2, 0.2), 1 / second, 1e-14);
    assert_true(p_of(losses, 1, 0.2) == 1); /* capital never above its start */
}

static void losses_outside_are_refused(void **state)
{
    (void)state;
    static const double wrong[] = {NAN, INFINITY, 1.5, -1.0001};
    for (size_t i = 0; i < 4; i++) {
        double losses[] = {0, 1, wrong[i]};
        double p = 7;
        rung_error error = {0};
        assert_int_equal(rung_p_losses(losses, 3, 0.01, 0.05, &p, &error), RUNG_INVALID);
        assert_non_null(strstr(error.message, "request 2: the loss is"));
        assert_true(p == 7);
    }
}

/* Draws losses of mean `risk` from {-1, 0, 1} or from {0, 1/2, 1} and returns how many of 1,000 sets have p <= .05. */
static unsigned passes(double risk, bool paired, double epsilon, uint64_t seed)
{
    enum { SETS = 1000, SAMPLES = 800 };
    rung_prng prng = {seed};
    unsigned passed = 0;
    for (unsigned set = 0; set < SETS; set++) {
        rung_betting betting;
        rung_betting_init(&betting, SAMPLES, epsilon, 0.05);
        for (unsigned i = 0; i < SAMPLES; i++) {
            double u = rung_prng_uniform(&prng);
            double of_pair = u < 0.02 ? -1 : u < 0.04 + risk ? 1 : 0;
            double of_coin = u < risk / 2 ? 1 : u < 3 * risk / 2 ? 0.5 : 0;
            rung_betting_add(&betting, paired ? of_pair : of_coin);
        }
        passed += rung_betting_p(&betting) <= 0.05;
    }
    return passed;
}

/* At the limit itself at most a share delta passes (62 of 1,000: 5 % and 1.75 standard errors); well below, most do. */
static void betting_holds_its_level_and_has_power(void **state)
{
    (void)state;
    assert_true(passes(0.03, true, 0.03, 1) <= 62);
    assert_true(passes(0.03, false, 0.03, 2) <= 62);
    assert_true(passes(0.0, true, 0.04, 3) >= 800);
    assert_true(passes(0.005, false, 0.03, 4) >= 800);
}

/* More requests than fit a double's range of capital. */
static void capital_does_not_overflow(void **state)
{
    (void)state;
    rung_betting betting;
    rung_betting_init(&betting, 1000000, 0.05, 0.05);
    for (unsigned i = 0; i < 1000000; i++) {
        rung_betting_add(&betting, 0);
    }
    assert_true(rung_betting_p(&betting) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binomial_is_exact),
        cmocka_unit_test(binomial_at_the_edges),
        cmocka_unit_test(binomial_is_monotone),
        cmocka_unit_test(what_data_certifies),
        cmocka_unit_test(how_much_data_would_certify),
        cmocka_unit_test(betting_without_losses),
        cmocka_unit_test(betting_by_hand),
        cmocka_unit_test(losses_outside_are_refused),
        cmocka_unit_test(betting_holds_its_level_and_has_power),
        cmocka_unit_test(capital_does_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
