/* test_logistic.c: logistic regression against a closed form, against the conditions of its optimum, on separable, soft and odd data, and what
 * it refuses. */
#include "base/prng.h"
#include "fit/logistic.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_CLASSES = 4, MAX_FEATURES = 40, MAX_ROWS = 1200 };

typedef struct fitted {
    float weight[MAX_CLASSES * MAX_FEATURES];
    float bias[MAX_CLASSES];
    rung_logistic_fit fit;
} fitted;

/* Room for one set of data at a time. */
typedef struct sample {
    float features[MAX_ROWS * MAX_FEATURES];
    uint32_t labels[MAX_ROWS];
    float targets[MAX_ROWS * MAX_CLASSES];
} sample;

static fitted fit_data(const rung_logistic_data *data, size_t threads)
{
    fitted made;
    rung_error error;
    if (rung_fit_logistic(data, threads, made.weight, made.bias, &made.fit, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return made;
}

static void probabilities(const rung_logistic_data *data, const fitted *head, size_t row, double *out)
{
    double total = 0;
    double max = -INFINITY;
    for (size_t c = 0; c < data->num_classes; c++) {
        out[c] = (double)head->bias[c];
        for (size_t f = 0; f < data->num_features; f++) {
            out[c] += (double)head->weight[c * data->num_features + f] * (double)data->features[row * data->stride + f];
        }
        max = fmax(max, out[c]);
    }
    for (size_t c = 0; c < data->num_classes; c++) {
        out[c] = exp(out[c] - max);
        total += out[c];
    }
    for (size_t c = 0; c < data->num_classes; c++) {
        out[c] /= total;
    }
}

static double accuracy(const rung_logistic_data *data, const fitted *head)
{
    size_t right = 0;
    for (size_t i = 0; i < data->n; i++) {
        double p[MAX_CLASSES];
        probabilities(data, head, i, p);
        uint32_t best = 0;
        for (uint32_t c = 1; c < data->num_classes; c++) {
            best = p[c] > p[best] ? c : best;
        }
        right += best == data->labels[i];
    }
    return (double)right / (double)data->n;
}

/* x = 1 and x = -1 in equal numbers, whose class agrees with the sign with frequency q on both sides: by symmetry the biases are 0, the weights
 * are -v and v, and the derivative of log(1 + exp(-2v)) q + log(1 + exp(2v)) (1 - q) + l2 v^2 is 0 where 1 / (1 + exp(-2v)) + l2 v = q. */
static void by_hand(void **state)
{
    static const double q = 0.8;
    sample *all = *state;
    size_t n = 400;
    for (size_t i = 0; i < n; i++) {
        uint32_t side = i % 2;
        all->features[i] = side == 1 ? 1 : -1;
        all->labels[i] = i / 2 % 5 == 0 ? 1 - side : side;
    }
    rung_logistic_data data = {
        .features = all->features, .stride = 1, .labels = all->labels, .n = n, .num_features = 1, .num_classes = 2};
    fitted found = fit_data(&data, 1);
    double low = 0;
    double high = 10;
    for (int i = 0; i < 100; i++) {
        double v = (low + high) / 2;
        if (1 / (1 + exp(-2 * v)) + found.fit.l2 * v < q) {
            low = v;
        } else {
            high = v;
        }
    }
    assert_true(fabs((double)found.weight[1] - low) < 1e-3 && fabs((double)found.weight[0] + low) < 1e-3);
    assert_true(fabs((double)found.bias[0]) < 1e-4 && fabs((double)found.bias[1]) < 1e-4);
    double p = 1 / (1 + exp(-2 * low));
    assert_true(fabs(found.fit.nll - (-q * log(p) - (1 - q) * log(1 - p))) < 1e-4);
}

/* Blobs around one centre a class, features with very different scales and means. */
static rung_logistic_data make_blobs(sample *all, size_t n, size_t features, size_t classes, double spread)
{
    rung_prng prng = {7};
    for (size_t i = 0; i < n; i++) {
        all->labels[i] = (uint32_t)rung_prng_below(&prng, classes);
        for (size_t f = 0; f < features; f++) {
            double centre = f % classes == all->labels[i] ? 1 : 0;
            double scale = f % 3 == 0 ? 100 : f % 3 == 1 ? 1 : 0.01;
            all->features[i * features + f] = (float)(scale * (centre + spread * rung_prng_normal(&prng) + (double)f));
        }
    }
    return (rung_logistic_data){.features = all->features,
                                .stride = features,
                                .labels = all->labels,
                                .n = n,
                                .num_features = features,
                                .num_classes = classes};
}

/* The loss is convex: its gradient is 0 at the least value only. It is worked out here from the features as they came; a weight of a feature with
 * deviation s is s times as great for the standardised one. */
static void check_optimum(const rung_logistic_data *data, const fitted *found)
{
    double n = (double)data->n;
    for (size_t c = 0; c < data->num_classes; c++) {
        double bias_gradient = 0;
        for (size_t f = 0; f < data->num_features; f++) {
            double mean = 0;
            double variance = 0;
            for (size_t i = 0; i < data->n; i++) {
                mean += (double)data->features[i * data->stride + f] / n;
            }
            double gradient = 0;
            bias_gradient = 0;
            for (size_t i = 0; i < data->n; i++) {
                double p[MAX_CLASSES];
                probabilities(data, found, i, p);
                double y = data->targets != NULL ? (double)data->targets[i * data->num_classes + c]
                                                 : (double)(data->labels[i] == c);
                double x = (double)data->features[i * data->stride + f] - mean;
                variance += x * x / n;
                gradient += (p[c] - y) * x / n;
                bias_gradient += (p[c] - y) / n;
            }
            double deviation = sqrt(variance);
            gradient =
                gradient / deviation + found->fit.l2 * (double)found->weight[c * data->num_features + f] * deviation;
            assert_true(fabs(gradient) < 1e-3);
        }
        assert_true(fabs(bias_gradient) < 1e-3);
    }
}

static void optimum(void **state)
{
    rung_logistic_data data = make_blobs(*state, 300, 5, 3, 1.2);
    fitted found = fit_data(&data, 1);
    check_optimum(&data, &found);
    assert_true(found.fit.iterations > 2 && found.fit.nll > 0 && found.fit.validation_nll > 0);
    assert_true(accuracy(&data, &found) > 0.6);
}

static void separable(void **state)
{
    rung_logistic_data data = make_blobs(*state, 400, 12, 4, 0.1);
    fitted found = fit_data(&data, 1);
    assert_true(accuracy(&data, &found) == 1);
    assert_true(found.fit.l2 == 1e-4); /* nothing is gained by holding back */
    assert_true(found.fit.nll < 0.01);
}

/* Labels that the features say nothing of: the strongest penalty wins and the answer stays near the frequencies. */
static void noise(void **state)
{
    sample *all = *state;
    rung_logistic_data data = make_blobs(all, 200, 40, 2, 1);
    rung_prng prng = {11};
    for (size_t i = 0; i < data.n; i++) {
        all->labels[i] = (uint32_t)rung_prng_below(&prng, 2);
    }
    fitted found = fit_data(&data, 1);
    assert_true(found.fit.l2 == 1);
    for (size_t i = 0; i < data.n; i++) {
        double p[MAX_CLASSES];
        probabilities(&data, &found, i, p);
        assert_true(p[0] > 0.2 && p[0] < 0.8);
    }
}

/* Soft targets drawn from a logistic map are found again; hard ones as soft ones give the same head. */
static void soft_targets(void **state)
{
    sample *all = *state;
    rung_logistic_data data = make_blobs(all, 600, 4, 3, 1);
    fitted truth = {.bias = {0.3f, -0.2f, 0}};
    for (size_t i = 0; i < 12; i++) {
        static const float by_feature[4] = {0.01f, 1, 50, 0.005f};
        truth.weight[i] = i % 5 < 2 ? by_feature[i % 4] : -by_feature[i % 4] / 2;
    }
    for (size_t c = 0; c < 3; c++) { /* in the middle of the features, whose means are not 0 */
        for (size_t f = 0; f < 4; f++) {
            double scale = f % 3 == 0 ? 100 : f % 3 == 1 ? 1 : 0.01;
            truth.bias[c] -= truth.weight[c * 4 + f] * (float)(scale * ((double)f + 0.3));
        }
    }
    for (size_t i = 0; i < data.n; i++) {
        double p[MAX_CLASSES];
        probabilities(&data, &truth, i, p);
        for (size_t c = 0; c < 3; c++) {
            all->targets[i * 3 + c] = (float)p[c];
        }
    }
    data.targets = all->targets;
    fitted found = fit_data(&data, 1);
    check_optimum(&data, &found);
    for (size_t i = 0; i < data.n; i++) {
        double p[MAX_CLASSES];
        probabilities(&data, &found, i, p);
        for (size_t c = 0; c < 3; c++) {
            assert_true(fabs(p[c] - (double)all->targets[i * 3 + c]) < 0.02);
        }
    }
    for (size_t i = 0; i < data.n; i++) {
        for (size_t c = 0; c < 3; c++) {
            all->targets[i * 3 + c] = all->labels[i] == c ? 1 : 0;
        }
    }
    fitted as_soft = fit_data(&data, 1);
    data.targets = NULL;
    fitted as_hard = fit_data(&data, 1);
    assert_memory_equal(as_soft.weight, as_hard.weight, 12 * sizeof(float));
    assert_memory_equal(as_soft.bias, as_hard.bias, 3 * sizeof(float));
}

static void threads(void **state)
{
    rung_logistic_data data = make_blobs(*state, 500, 17, 3, 1);
    fitted one = fit_data(&data, 1);
    for (size_t count = 2; count < 12; count += 3) {
        fitted many = fit_data(&data, count);
        assert_memory_equal(one.weight, many.weight, 3 * 17 * sizeof(float));
        assert_memory_equal(one.bias, many.bias, 3 * sizeof(float));
        assert_true(one.fit.l2 == many.fit.l2 && one.fit.nll == many.fit.nll);
    }
}

/* Rows with a stride, a feature that never changes, a class that never occurs, the fewest rows. */
static void odd_data(void **state)
{
    sample *all = *state;
    rung_logistic_data data = make_blobs(all, 20, 6, 2, 0.5);
    for (size_t i = 0; i < 20; i++) {
        all->features[i * 6 + 5] = NAN; /* behind the features */
        all->features[i * 6 + 3] = 1e6f;
        all->labels[i] = i % 2;
        all->features[i * 6] = all->labels[i] == 1 ? 3.0f : 2.0f;
    }
    data.num_features = 5;
    data.num_classes = 3;
    fitted found = fit_data(&data, 1);
    assert_true(accuracy(&data, &found) == 1);
    for (size_t c = 0; c < 3; c++) {
        assert_true(found.weight[c * 5 + 3] == 0 && isfinite(found.bias[c]));
    }
    double p[MAX_CLASSES];
    probabilities(&data, &found, 0, p);
    assert_true(p[2] < 0.05);
}

static void refuse(rung_logistic_data data, const char *message)
{
    float weight[MAX_CLASSES * MAX_FEATURES] = {77};
    float bias[MAX_CLASSES] = {77};
    rung_logistic_fit fit = {.l2 = 77};
    rung_error error;
    assert_int_equal(rung_fit_logistic(&data, 1, weight, bias, &fit, &error), RUNG_INVALID);
    assert_string_equal(error.message, message);
    assert_true(weight[0] == 77 && bias[0] == 77 && fit.l2 == 77);
}

static void refusals(void **state)
{
    sample *all = *state;
    rung_logistic_data good = make_blobs(all, 30, 4, 2, 1);
    rung_logistic_data bad = good;
    bad.n = 19;
    refuse(bad, "19 rows to fit a head on; at least 20 are needed");
    bad = good;
    bad.num_classes = 1;
    refuse(bad, "1 classes to fit a head for; at least 2 are needed");
    bad = good;
    bad.stride = 3;
    refuse(bad, "4 features with a stride of 3; at least 1, and no more than the stride");
    all->features[29 * 4 + 2] = INFINITY;
    refuse(good, "row 29: feature 2 is inf; it must be finite");
    all->features[29 * 4 + 2] = 0;
    all->labels[7] = 2;
    refuse(good, "row 7: label 2; it must be below 2, the number of classes");
    memset(all->labels, 0, sizeof all->labels);
    refuse(good, "all 30 rows have label 0; a head needs at least 2 classes");
    for (size_t i = 0; i < 30; i++) {
        all->targets[i * 2] = 0;
        all->targets[i * 2 + 1] = 1;
    }
    good.targets = all->targets;
    refuse(good, "all 30 rows have label 1; a head needs at least 2 classes");
    all->targets[9 * 2 + 1] = 0.5f;
    refuse(good, "row 9: the targets add up to 0.5; they must add up to 1");
    all->targets[9 * 2] = NAN;
    refuse(good, "row 9: the target of class 0 is nan; it must be 0 or above");
}

static int set_up(void **state)
{
    *state = calloc(1, sizeof(sample));
    return *state != NULL ? 0 : 1;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),  cmocka_unit_test(optimum),      cmocka_unit_test(separable),
        cmocka_unit_test(noise),    cmocka_unit_test(soft_targets), cmocka_unit_test(threads),
        cmocka_unit_test(odd_data), cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
