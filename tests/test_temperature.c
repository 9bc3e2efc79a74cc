/* test_temperature.c: the temperature fit by hand, against golden numbers, on sets drawn from a known temperature, and what it refuses. */
#include "base/prng.h"
#include "cascade/confidence.h"
#include "fit/temperature.h"
#include "numbers.h"

static rung_temperature_fit fit_labels(const float *logits, size_t n, size_t num_classes, const uint32_t *labels)
{
    rung_fit_logits all = {logits, num_classes, n, num_classes};
    rung_temperature_fit fit;
    rung_error error;
    if (rung_fit_temperature(&all, labels, &fit, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return fit;
}

static void by_hand(void **state)
{
    (void)state;
    /* Three inputs (2, 0), two of class 0: best where the probability is 2/3, so 2 / T = ln 2, T = 2 / ln 2. The loss there is the
     * entropy of (2/3, 1/3) = ln 3 - (2/3) ln 2. */
    static const float logits[] = {2, 0, 2, 0, 2, 0};
    static const uint32_t labels[] = {0, 0, 1};
    rung_temperature_fit fit = fit_labels(logits, 3, 2, labels);
    assert_near("T", fit.temperature, 2 / 0.6931471805599453, 1e-10);
    assert_near("nll", fit.nll, 1.0986122886681098 - 2 * 0.6931471805599453 / 3, 1e-14);
    assert_true(!fit.at_bound && fit.nll < fit.nll_before);
}

static void bounds(void **state)
{
    (void)state;
    static const float logits[] = {1, 0, 0, 2};
    static const uint32_t right[] = {0, 1};
    static const uint32_t wrong[] = {1, 0};
    rung_temperature_fit fit = fit_labels(logits, 2, 2, right);
    assert_true(fit.temperature == RUNG_TEMPERATURE_MIN && fit.at_bound);
    fit = fit_labels(logits, 2, 2, wrong);
    assert_true(fit.temperature == RUNG_TEMPERATURE_MAX && fit.at_bound);
    static const float flat[] = {3, 3, -1, -1};
    fit = fit_labels(flat, 2, 2, right);
    assert_true(fit.temperature == 1 && !fit.at_bound);
    static const float huge[] = {3e38f, -3e38f, -3e38f, 3e38f};
    fit = fit_labels(huge, 2, 2, wrong);
    assert_true(fit.temperature == RUNG_TEMPERATURE_MAX && isfinite(fit.nll));
}

static void golden_temperatures(void **state)
{
    (void)state;
    json_t *cases = numbers_section("temperature");
    size_t i;
    json_t *one;
    json_array_foreach(cases, i, one)
    {
        float logits[512];
        uint32_t labels[64];
        size_t n = numbers_u32(json_object_get(one, "labels"), labels, 64);
        size_t num_classes = 0;
        for (size_t row = 0; row < n; row++) {
            json_t *values = json_array_get(json_object_get(one, "logits"), row);
            num_classes = json_array_size(values);
            assert_true((row + 1) * num_classes <= 512);
            numbers_floats(values, logits + row * num_classes, num_classes);
        }
        rung_temperature_fit fit = fit_labels(logits, n, num_classes, labels);
        assert_near(numbers_name(one), fit.temperature, numbers_value(one, "temperature"), 1e-9);
        assert_near(numbers_name(one), fit.nll, numbers_value(one, "nll"), 1e-13);
        assert_near(numbers_name(one), fit.nll_before, numbers_value(one, "nll_at_1"), 1e-13);
        assert_int_equal(fit.at_bound, !json_is_null(json_object_get(one, "at_bound")));
    }
    json_decref(cases);
}

/* Labels drawn from softmax(z / T): the fit finds T again, is no worse than its neighbours, and does not care for the stride. */
static void drawn_sets(void **state)
{
    (void)state;
    static const double truths[] = {0.25, 0.8, 1, 2.5, 9};
    static const size_t classes[] = {2, 3, 6, 64, 3};
    enum { N = 4000 };
    rung_prng prng = {6};
    float *logits = malloc((size_t)N * 64 * sizeof *logits);
    float *strided = malloc((size_t)N * 65 * sizeof *strided);
    uint32_t *labels = malloc(N * sizeof *labels);
    assert_true(logits != NULL && strided != NULL && labels != NULL);
    for (size_t round = 0; round < 5; round++) {
        size_t k = classes[round];
        for (size_t i = 0; i < N; i++) {
            double p[64];
            for (size_t c = 0; c < k; c++) {
                logits[i * k + c] = (float)(2 * truths[round] * rung_prng_normal(&prng));
                strided[i * (k + 1) + c] = logits[i * k + c];
            }
            strided[i * (k + 1) + k] = NAN; /* between the rows: never read */
            rung_softmax(logits + i * k, k, truths[round], p);
            double u = rung_prng_uniform(&prng);
            uint32_t label = 0;
            while (label + 1 < k && u >= p[label]) {
                u -= p[label++];
            }
            labels[i] = label;
        }
        rung_temperature_fit fit = fit_labels(logits, N, k, labels);
        assert_true(fabs(fit.temperature / truths[round] - 1) < 0.1);
        assert_true(fit.nll <= fit.nll_before && fit.iterations <= 10);
        rung_fit_logits view = {strided, k + 1, N, k};
        rung_temperature_fit again;
        assert_int_equal(rung_fit_temperature(&view, labels, &again, NULL), RUNG_OK);
        assert_true(again.temperature == fit.temperature && again.nll == fit.nll);
        for (int side = -1; side <= 1; side += 2) {
            double loss = 0;
            for (size_t i = 0; i < N; i++) {
                double p[64];
                rung_softmax(logits + i * k, k, fit.temperature * (1 + side * 0.01), p);
                loss -= log(p[labels[i]]) / N;
            }
            assert_true(fit.nll < loss);
        }
    }
    free(logits);
    free(strided);
    free(labels);
}

static void many_classes(void **state)
{
    (void)state;
    enum { N = 20, K = 4096 };
    rung_prng prng = {8};
    float *logits = malloc((size_t)N * K * sizeof *logits);
    assert_non_null(logits);
    uint32_t labels[N];
    for (size_t i = 0; i < (size_t)N * K; i++) {
        logits[i] = (float)rung_prng_normal(&prng);
    }
    for (size_t i = 0; i < N; i++) {
        labels[i] = (uint32_t)rung_prng_below(&prng, K);
    }
    rung_temperature_fit fit = fit_labels(logits, N, K, labels);
    assert_true(fit.temperature >= 0.05 && fit.temperature <= 20 && fit.nll <= fit.nll_before);
    free(logits);
}

/* Soft labels that are the softmax at T give T back exactly; hard labels as soft ones give what hard ones do. */
static void soft_labels(void **state)
{
    (void)state;
    enum { N = 200, K = 3 };
    rung_prng prng = {9};
    float logits[N * K];
    float targets[N * K];
    float one_hot[N * K] = {0};
    uint32_t labels[N];
    for (size_t i = 0; i < N; i++) {
        double p[K];
        for (size_t c = 0; c < K; c++) {
            logits[i * K + c] = (float)(3 * rung_prng_normal(&prng));
        }
        rung_softmax(logits + i * K, K, 1.7, p);
        for (size_t c = 0; c < K; c++) {
            targets[i * K + c] = (float)p[c];
        }
        labels[i] = (uint32_t)rung_prng_below(&prng, K);
        one_hot[i * K + labels[i]] = 1;
    }
    rung_fit_logits all = {logits, K, N, K};
    rung_temperature_fit fit;
    assert_int_equal(rung_fit_temperature_soft(&all, targets, &fit, NULL), RUNG_OK);
    assert_near("T", fit.temperature, 1.7, 1e-6); /* the targets are floats */
    assert_int_equal(rung_fit_temperature_soft(&all, one_hot, &fit, NULL), RUNG_OK);
    rung_temperature_fit hard = fit_labels(logits, N, K, labels);
    assert_near("T", fit.temperature, hard.temperature, 1e-12);
    assert_near("nll", fit.nll, hard.nll, 1e-14);
}

static void refuse(rung_fit_logits all, const uint32_t *labels, const char *message)
{
    rung_temperature_fit fit = {.temperature = 77};
    rung_error error;
    assert_int_equal(rung_fit_temperature(&all, labels, &fit, &error), RUNG_INVALID);
    assert_string_equal(error.message, message);
    assert_true(fit.temperature == 77);
}

static void refusals(void **state)
{
    (void)state;
    float logits[] = {1, 0, 0, 1};
    static const uint32_t labels[] = {0, 1};
    static const uint32_t same[] = {1, 1};
    static const uint32_t outside[] = {0, 2};
    refuse((rung_fit_logits){logits, 2, 0, 2}, labels, "no inputs to fit a temperature on; give at least one");
    refuse((rung_fit_logits){logits, 1, 2, 1}, labels, "a temperature needs at least 2 classes, the model has 1");
    refuse((rung_fit_logits){logits, 1, 2, 2}, labels, "the stride of the logits is 1; it must be at least 2");
    refuse((rung_fit_logits){logits, 2, 2, 2}, same,
           "all 2 inputs have label 1; a temperature needs at least 2 classes");
    refuse((rung_fit_logits){logits, 2, 2, 2}, outside, "input 1: label 2; it must be below 2, the number of classes");
    logits[3] = NAN;
    refuse((rung_fit_logits){logits, 2, 2, 2}, labels, "input 1: the logit of class 1 is nan; it must be finite");
    logits[3] = -INFINITY;
    refuse((rung_fit_logits){logits, 2, 2, 2}, labels, "input 1: the logit of class 1 is -inf; it must be finite");
    logits[3] = 1;
    rung_fit_logits all = {logits, 2, 2, 2};
    rung_temperature_fit fit = {.temperature = 77};
    rung_error error;
    static const float negative[] = {1, 0, -0.5f, 1.5f};
    static const float short_row[] = {1, 0, 0.25f, 0.5f};
    assert_int_equal(rung_fit_temperature_soft(&all, negative, &fit, &error), RUNG_INVALID);
    assert_string_equal(error.message, "input 1: the target of class 0 is -0.5; it must be 0 or above");
    assert_int_equal(rung_fit_temperature_soft(&all, short_row, &fit, &error), RUNG_INVALID);
    assert_string_equal(error.message, "input 1: the targets add up to 0.75; they must add up to 1");
    assert_true(fit.temperature == 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),    cmocka_unit_test(bounds),       cmocka_unit_test(golden_temperatures),
        cmocka_unit_test(drawn_sets), cmocka_unit_test(many_classes), cmocka_unit_test(soft_labels),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
