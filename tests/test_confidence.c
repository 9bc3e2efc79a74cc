/* test_confidence.c: softmax, argmax and Jensen-Shannon divergence against numbers worked out by hand, and their properties. */
#include "base/prng.h"
#include "cascade/confidence.h"
#include "numbers.h"

static void softmax_by_hand(void **state)
{
    (void)state;
    /* exp(ln 1, ln 2, ln 5) = 1, 2, 5, which add up to 8. */
    double logits[3] = {0, 0.69314718055994530942, 1.60943791243410037460};
    double p[3];
    rung_softmax_f64(logits, 3, 1, p);
    assert_near("by hand", p[0], 0.125, 1e-15);
    assert_near("by hand", p[1], 0.25, 1e-15);
    assert_near("by hand", p[2], 0.625, 1e-15);
    /* T = 2 takes square roots: 1, 1.4142135623730951, 2.23606797749979; sum 4.650281539872885. */
    rung_softmax_f64(logits, 3, 2, p);
    assert_near("by hand", p[0], 1 / 4.650281539872885, 1e-15);
    assert_near("by hand", p[2], 2.23606797749979 / 4.650281539872885, 1e-15);
    /* T = 1/2 squares: 1, 4, 25; sum 30. */
    rung_softmax_f64(logits, 3, 0.5, p);
    assert_near("by hand", p[1], 4.0 / 30, 1e-15);
    assert_near("by hand", p[2], 25.0 / 30, 1e-15);
    /* Two classes are the logistic function: 1 / (1 + e^-1) = 0.7310585786300049. */
    float two[2] = {-0.25f, 0.75f};
    rung_softmax(two, 2, 1, p);
    assert_near("by hand", p[1], 0.7310585786300049, 1e-15);
}

static void softmax_of_extremes(void **state)
{
    (void)state;
    double p[3];
    float huge[3] = {3e38f, -3e38f, 3e38f};
    rung_softmax(huge, 3, 0.05, p);
    assert_true(p[0] == 0.5 && p[1] == 0 && p[2] == 0.5);
    float ruled_out[3] = {-INFINITY, 0, -INFINITY};
    rung_softmax(ruled_out, 3, 1, p);
    assert_true(p[0] == 0 && p[1] == 1 && p[2] == 0);
    float unusable[3][3] = {{NAN, 1, 2}, {INFINITY, 0, 1}, {-INFINITY, -INFINITY, -INFINITY}};
    for (int i = 0; i < 3; i++) {
        assert_false(rung_logits_usable(unusable[i], 3));
        rung_softmax(unusable[i], 3, 1, p);
        assert_near("by hand", p[0], 1.0 / 3, 1e-16);
        assert_true(p[0] == p[1] && p[1] == p[2]);
    }
    assert_true(rung_logits_usable(huge, 3));
    assert_true(rung_logits_usable(ruled_out, 3));
    float one = -7;
    rung_softmax(&one, 1, 3, p);
    assert_true(p[0] == 1);
}

static void softmax_properties(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 3, 6, 77, 4096};
    rung_prng prng = {1};
    float *z = malloc(4096 * sizeof *z);
    double *p = malloc(4096 * sizeof *p);
    double *q = malloc(4096 * sizeof *q);
    assert_true(z != NULL && p != NULL && q != NULL);
    for (int round = 0; round < 300; round++) {
        size_t n = sizes[round % 6];
        double temperature = 0.05 + 20 * rung_prng_uniform(&prng);
        for (size_t i = 0; i < n; i++) {
            z[i] = (float)(10 * rung_prng_normal(&prng));
        }
        rung_softmax(z, n, temperature, p);
        rung_softmax(z, n, temperature * 2, q);
        double sum = 0;
        size_t best = 0;
        for (size_t i = 0; i < n; i++) {
            assert_true(p[i] >= 0 && p[i] <= 1);
            sum += p[i];
            best = z[i] > z[best] ? i : best;
        }
        assert_near("by hand", sum, 1, 1e-12);
        assert_int_equal(rung_argmax(p, n), best);
        assert_true(q[best] <= p[best]); /* a higher temperature is never surer */
        double js = rung_js_divergence(p, q, n);
        assert_true(js >= 0 && js <= 0.6931471805599454);
        assert_near("by hand", rung_js_divergence(q, p, n), js, 1e-15);
        assert_near("by hand", rung_js_divergence(p, p, n), 0, 1e-15);
    }
    free(z);
    free(p);
    free(q);
}

static void argmax_ties(void **state)
{
    (void)state;
    double values[4] = {0.25, 0.5, 0.5, 0.25};
    assert_int_equal(rung_argmax(values, 4), 1);
    assert_int_equal(rung_argmax(values, 1), 0);
}

static void divergence_by_hand(void **state)
{
    (void)state;
    double a[2] = {1, 0};
    double b[2] = {0, 1};
    double half[2] = {0.5, 0.5};
    assert_near("by hand", rung_js_divergence(a, b, 2), 0.6931471805599453, 1e-16); /* ln 2: nothing in common */
    /* m = (.75, .25): (ln(4/3)) / 2 + (.5 ln(2/3) + .5 ln 2) / 2 = (3/4) ln(4/3), ln(4/3) = 0.28768207245178085. */
    assert_near("by hand", rung_js_divergence(a, half, 2), 0.75 * 0.28768207245178085, 1e-15);
    double tiny[2] = {5e-324, 1};
    assert_near("by hand", rung_js_divergence(tiny, b, 2), 0, 1e-300);
}

static void golden_softmax(void **state)
{
    (void)state;
    json_t *cases = numbers_section("softmax");
    size_t i;
    json_t *one;
    json_array_foreach(cases, i, one)
    {
        float logits[8];
        double p[8];
        double expected[8];
        size_t n = numbers_floats(json_object_get(one, "logits"), logits, 8);
        assert_int_equal(numbers_doubles(json_object_get(one, "probabilities"), expected, 8), n);
        rung_softmax(logits, n, numbers_value(one, "temperature"), p);
        for (size_t c = 0; c < n; c++) {
            assert_near(numbers_name(one), p[c], expected[c], 1e-14);
        }
        uint32_t label = rung_argmax(p, n);
        assert_int_equal(label, (uint32_t)numbers_value(one, "label"));
        assert_near(numbers_name(one), p[label], numbers_value(one, "confidence"), 1e-14);
    }
    json_decref(cases);
}

static void golden_divergence(void **state)
{
    (void)state;
    json_t *cases = numbers_section("js_divergence");
    size_t i;
    json_t *one;
    json_array_foreach(cases, i, one)
    {
        double p[8];
        double q[8];
        size_t n = numbers_doubles(json_object_get(one, "p"), p, 8);
        assert_int_equal(numbers_doubles(json_object_get(one, "q"), q, 8), n);
        assert_near(numbers_name(one), rung_js_divergence(p, q, n), numbers_value(one, "divergence"), 1e-15);
    }
    json_decref(cases);
}

/* Two classes that differ by m differ by m^shape; a third counts by the mean of the others. */
static void shapes_by_hand(void **state)
{
    (void)state;
    static const float two[2] = {1, 4};
    double out[3];
    rung_shape_logits(two, 2, 2, out);
    assert_near("shape 2", out[1] - out[0], 9, 1e-12);
    rung_shape_logits(two, 2, 1, out);
    assert_near("shape 1", out[1] - out[0], 3, 0);
    static const float three[3] = {0, 4, 2}; /* the greatest lies 3 above the mean of the others */
    rung_shape_logits(three, 3, 2, out);
    assert_near("three", out[1] - out[0], 12, 1e-12);
    assert_near("three", out[1] - out[2], 6, 1e-12);
    static const float ruled_out[3] = {-INFINITY, 4, 2};
    rung_shape_logits(ruled_out, 3, 2, out);
    assert_true(out[0] == -INFINITY);
    assert_near("ruled out", out[1] - out[2], 4, 1e-12);
    static const float equal[3] = {5, 5, 5};
    rung_shape_logits(equal, 3, 0.5, out);
    assert_true(out[0] == 0 && out[1] == 0 && out[2] == 0);
    static const double temperature[2] = {1, 3};
    static const double shape[2] = {1, 2};
    rung_level_calibration calibration = {.num_exits = 2, .temperature = temperature, .shape = shape};
    double p[2];
    rung_calibrated_probabilities(&calibration, 2, two, 2, p);
    assert_near("calibrated", p[1], 1 / (1 + exp(-3)), 1e-12);
    rung_calibrated_probabilities(&calibration, 1, two, 2, p);
    assert_near("not shaped", p[1], 1 / (1 + exp(-3)), 1e-12);
    calibration.shape = NULL;
    rung_calibrated_probabilities(&calibration, 2, two, 2, p);
    assert_near("no shapes", p[1], 1 / (1 + exp(-1)), 1e-12);
}

/* Whatever the shape: probabilities, in the order of the logits. */
static void shapes_keep_the_order(void **state)
{
    (void)state;
    rung_prng prng = {.state = 21};
    for (int round = 0; round < 3000; round++) {
        float logits[5];
        double p[5];
        double temperature = 0.05 + 10 * rung_prng_uniform(&prng);
        double shape = 0.25 + 3.75 * rung_prng_uniform(&prng);
        double size = round % 3 == 0 ? 1e-6 : round % 3 == 1 ? 5 : 1e4;
        for (size_t c = 0; c < 5; c++) {
            logits[c] = (float)(size * rung_prng_normal(&prng));
        }
        const rung_level_calibration calibration = {.num_exits = 1, .temperature = &temperature, .shape = &shape};
        rung_calibrated_probabilities(&calibration, 1, logits, 5, p);
        double sum = 0;
        for (size_t c = 0; c < 5; c++) {
            assert_true(p[c] >= 0 && p[c] <= 1);
            sum += p[c];
            for (size_t d = 0; d < 5; d++) {
                assert_true(!(logits[c] < logits[d]) || p[c] <= p[d]);
            }
        }
        assert_true(fabs(sum - 1) <= 1e-12);
    }
}

static void golden_multi_label(void **state)
{
    (void)state;
    json_t *cases = numbers_section("multi_label");
    size_t i;
    json_t *one;
    json_array_foreach(cases, i, one)
    {
        double temperature = numbers_value(one, "temperature");
        const rung_level_calibration calibration = {.num_exits = 1, .temperature = &temperature, .multi_label = true};
        double p[2][8], expected[8], confidence[2];
        size_t n = 0;
        numbers_doubles(json_object_get(one, "confidence"), confidence, 2);
        for (size_t side = 0; side < 2; side++) {
            float logits[8];
            n = numbers_floats(json_array_get(json_object_get(one, "logits"), side), logits, 8);
            numbers_doubles(json_array_get(json_object_get(one, "probabilities"), side), expected, 8);
            rung_calibrated_probabilities(&calibration, 1, logits, n, p[side]);
            for (size_t c = 0; c < n; c++) {
                assert_near(numbers_name(one), p[side][c], expected[c], 1e-14);
            }
            assert_near(numbers_name(one), rung_confidence(p[side], n, true), confidence[side], 1e-14);
        }
        bool same = json_is_true(json_object_get(one, "same_decision"));
        assert_int_equal(rung_same_decision(p[0], p[1], n, true), same);
        assert_near(numbers_name(one), rung_divergence(p[0], p[1], n, true), numbers_value(one, "divergence"), 1e-13);
    }
    json_decref(cases);
}

static void one_label_of_several_is_as_before(void **state)
{
    (void)state;
    const double p[3] = {0.2, 0.7, 0.1};
    const double q[3] = {0.5, 0.3, 0.2};
    assert_true(rung_confidence(p, 3, false) == 0.7);
    assert_true(rung_confidence(p, 3, true) == 0.7); /* of the second label; the others are surer */
    assert_false(rung_same_decision(p, q, 3, false));
    assert_true(rung_same_decision(p, p, 3, true));
    assert_true(rung_divergence(p, q, 3, false) == rung_js_divergence(p, q, 3));
    const rung_level_calibration calibration = {0};
    const float logits[2] = {0, 0};
    double raw[2];
    rung_raw_probabilities(&calibration, logits, 2, raw);
    assert_true(raw[0] == 0.5 && raw[1] == 0.5);
    const rung_level_calibration several = {.multi_label = true};
    const float ruled_out[2] = {-INFINITY, 3e38f};
    rung_raw_probabilities(&several, ruled_out, 2, raw);
    assert_true(raw[0] == 0 && raw[1] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_by_hand),
        cmocka_unit_test(golden_multi_label),
        cmocka_unit_test(one_label_of_several_is_as_before),
        cmocka_unit_test(softmax_of_extremes),
        cmocka_unit_test(softmax_properties),
        cmocka_unit_test(argmax_ties),
        cmocka_unit_test(divergence_by_hand),
        cmocka_unit_test(golden_softmax),
        cmocka_unit_test(golden_divergence),
        cmocka_unit_test(shapes_by_hand),
        cmocka_unit_test(shapes_keep_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
