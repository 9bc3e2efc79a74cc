/* test_scores.c: scores of a few inputs worked out by hand, ties that stand in any order, and probabilities that are none. */
#include "base/prng.h"
#include "fit/scores.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static rung_scores scores_of(const double *probabilities, const uint32_t *labels, size_t n, size_t num_classes)
{
    rung_scores scores = {0};
    rung_error error = {0};
    assert_int_equal(rung_scores_of(probabilities, labels, n, num_classes, &scores, &error), RUNG_OK);
    return scores;
}

static void near(double value, double expected)
{
    if (!(fabs(value - expected) < 1e-12)) {
        fail_msg("%.17g instead of %.17g", value, expected);
    }
}

static void by_hand(void **state)
{
    (void)state;
    static const double p[] = {0.9, 0.1, 0.25, 0.75, 0.5, 0.5};
    static const uint32_t labels[] = {0, 0, 1};
    rung_scores scores = scores_of(p, labels, 3, 2);
    near(scores.accuracy, 1.0 / 3); /* the tie 0.5, 0.5 counts as class 0 */
    near(scores.nll, (-log(0.9) - log(0.25) - log(0.5)) / 3);
    near(scores.brier, (0.01 + 0.01 + 0.5625 + 0.5625 + 0.25 + 0.25) / 3);
    /* Fewer inputs than bins: each is alone in its bin. */
    near(scores.ece, (0.1 + 0.75 + 0.5) / 3);
}

static void certain(void **state)
{
    (void)state;
    static const double p[] = {1, 0, 0, 0, 1, 0};
    static const uint32_t right[] = {0, 1};
    static const uint32_t wrong[] = {0, 2};
    rung_scores scores = scores_of(p, right, 2, 3);
    near(scores.accuracy, 1);
    near(scores.nll, 0);
    near(scores.brier, 0);
    near(scores.ece, 0);
    scores = scores_of(p, wrong, 2, 3);
    near(scores.accuracy, 0.5);
    near(scores.nll, -log(1e-12) / 2); /* 0 counts as 1e-12 */
    near(scores.brier, 1);
    near(scores.ece, 0.5);
}

/* 30 inputs, two in a bin: confidences 0.51, 0.52, ... 0.80; of every pair the first is right. */
static void bins(void **state)
{
    (void)state;
    double p[60];
    uint32_t labels[30];
    double expected = 0;
    for (size_t i = 0; i < 30; i++) {
        p[2 * i] = 0.51 + 0.01 * (double)i;
        p[2 * i + 1] = 1 - p[2 * i];
        labels[i] = i % 2 == 0 ? 0 : 1;
    }
    for (size_t b = 0; b < 15; b++) {
        expected += fabs(0.5 - (p[4 * b] + p[4 * b + 2]) / 2) * 2 / 30;
    }
    near(scores_of(p, labels, 30, 2).ece, expected);
    near(expected, 0.155); /* mean confidence 0.655 less accuracy 0.5: no bin is under-confident */
}

/* 16 inputs: floor(b 16 / 15) puts one in each bin but the last, which has two. */
static void uneven_bins(void **state)
{
    (void)state;
    double p[32];
    uint32_t labels[16];
    for (size_t i = 0; i < 16; i++) {
        p[2 * i] = i < 14 ? 1 : i == 14 ? 0.6 : 0.7;
        p[2 * i + 1] = 1 - p[2 * i];
        labels[i] = i == 15 ? 1 : 0;
    }
    /* Ranks 0 and 1 are 0.6 (right) and 0.7 (wrong), alone in their bins; all others are certain and right. */
    near(scores_of(p, labels, 16, 2).ece, (0.4 + 0.7) / 16);
    for (size_t i = 0; i < 14; i++) {
        p[2 * i] = 0.5 + 0.01 * (double)i;
        p[2 * i + 1] = 1 - p[2 * i];
    }
    p[28] = 0.9;
    p[29] = 1 - p[28];
    p[30] = 0.95;
    p[31] = 1 - p[30];
    double expected = fabs(1 - 0.9 - 0.95); /* the last bin: one of two is right */
    for (size_t i = 0; i < 14; i++) {
        expected += 1 - p[2 * i];
    }
    near(scores_of(p, labels, 16, 2).ece, expected / 16);
}

/* Every confidence is 0.75 and half of the labels are right: all bins have accuracy 1/2, however the input is ordered. */
static void ties(void **state)
{
    (void)state;
    double p[200];
    uint32_t labels[100];
    for (size_t i = 0; i < 100; i++) {
        p[2 * i] = 0.75;
        p[2 * i + 1] = 0.25;
        labels[i] = i < 50 ? 0 : 1;
    }
    near(scores_of(p, labels, 100, 2).ece, 0.25);
}

static void bins_of_a_reliability_diagram(void **state)
{
    (void)state;
    double p[64];
    uint32_t labels[32];
    rung_prng prng = {3};
    for (size_t i = 0; i < 32; i++) {
        p[2 * i] = 0.5 + 0.05 * (double)rung_prng_below(&prng, 10);
        p[2 * i + 1] = 1 - p[2 * i];
        labels[i] = rung_prng_uniform(&prng) < 0.7 ? 0 : 1;
    }
    rung_scores_bin seen[RUNG_SCORES_BINS];
    size_t num_bins = 0;
    rung_error error = {0};
    assert_int_equal(rung_scores_bins(p, labels, 32, 2, seen, &num_bins, &error), RUNG_OK);
    assert_int_equal(num_bins, 15);
    double ece = 0;
    double right = 0;
    size_t count = 0;
    for (size_t b = 0; b < num_bins; b++) {
        assert_true(seen[b].count == 2 || seen[b].count == 3);
        assert_true(b == 0 || seen[b].confidence >= seen[b - 1].confidence);
        ece += fabs(seen[b].accuracy - seen[b].confidence) * (double)seen[b].count / 32;
        right += seen[b].accuracy * (double)seen[b].count;
        count += seen[b].count;
    }
    rung_scores scores = scores_of(p, labels, 32, 2);
    near(ece, scores.ece);
    near(right / 32, scores.accuracy);
    assert_int_equal(count, 32);
    /* Fewer inputs than bins. */
    assert_int_equal(rung_scores_bins(p, labels, 4, 2, seen, &num_bins, &error), RUNG_OK);
    assert_int_equal(num_bins, 4);
    p[3] = NAN;
    assert_int_equal(rung_scores_bins(p, labels, 4, 2, seen, &num_bins, &error), RUNG_INVALID);
    assert_int_equal(num_bins, 4);
}

static void order_changes_no_bit(void **state)
{
    (void)state;
    double p[3 * 101];
    uint32_t labels[101];
    rung_prng prng = {7};
    for (size_t i = 0; i < 101; i++) {
        double confidence = 0.4 + 0.1 * (double)rung_prng_below(&prng, 4); /* many ties */
        double second = 0.1 * (double)rung_prng_below(&prng, 4);
        p[3 * i] = confidence;
        p[3 * i + 1] = second;
        p[3 * i + 2] = 1 - confidence - second > 0 ? 1 - confidence - second : 0;
        labels[i] = (uint32_t)rung_prng_below(&prng, 3);
    }
    rung_scores first = scores_of(p, labels, 101, 3);
    assert_true(first.ece > 0 && first.ece < 1);
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 100; i > 0; i--) {
            size_t j = (size_t)rung_prng_below(&prng, (uint64_t)i + 1);
            double row[3];
            memcpy(row, p + 3 * i, sizeof row);
            memcpy(p + 3 * i, p + 3 * j, sizeof row);
            memcpy(p + 3 * j, row, sizeof row);
            uint32_t label = labels[i];
            labels[i] = labels[j];
            labels[j] = label;
        }
        rung_scores again = scores_of(p, labels, 101, 3);
        assert_memory_equal(&again, &first, sizeof first);
    }
}

static void wrong_probabilities(void **state)
{
    (void)state;
    static const double bad[] = {NAN, INFINITY, -0.1, 1.1};
    static const uint32_t labels[] = {0, 1};
    for (size_t i = 0; i < 4; i++) {
        double p[] = {0.5, 0.5, 0.5, bad[i]};
        rung_scores scores = {.nll = 7};
        rung_error error = {0};
        assert_int_equal(rung_scores_of(p, labels, 2, 2, &scores, &error), RUNG_INVALID);
        assert_non_null(strstr(error.message, "input 1: probability "));
        assert_true(scores.nll == 7);
    }
}

/* Worked out by hand: label 0 right on one of two, label 1 on two of two, label 2 never seen; equal logits are the first class's. */
static void shares_of_each_class(void **state)
{
    (void)state;
    static const float logits[4][3] = {{1, 0, 0}, {0, 2, 0}, {0, 3, 1}, {0, 1, 0}};
    static const uint32_t labels[4] = {0, 0, 1, 1};
    static const float tied[3] = {2, 2, 1};
    rung_fit_logits all = {.logits = logits[0], .stride = 3, .n = 4, .num_classes = 3};
    double by_class[3];
    assert_int_equal(rung_class_accuracy(&all, labels, by_class), 3);
    assert_true(by_class[0] == 0.5 && by_class[1] == 1 && by_class[2] == 0);
    assert_int_equal(rung_argmax_logits(tied, 3), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(certain),
        cmocka_unit_test(bins),
        cmocka_unit_test(uneven_bins),
        cmocka_unit_test(ties),
        cmocka_unit_test(bins_of_a_reliability_diagram),
        cmocka_unit_test(order_changes_no_bit),
        cmocka_unit_test(wrong_probabilities),
        cmocka_unit_test(shares_of_each_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
