/* test_deferral.c: the scores and 1 - q by hand, and that more weight on what speaks for the upper level defers more. */
#include "base/prng.h"
#include "cascade/deferral.h"
#include "numbers.h"

static void scores_by_hand(void **state)
{
    (void)state;
    float scores[RUNG_DEFERRAL_SCORES];
    static const double p[3] = {0.25, 0.5, 0.25};
    rung_deferral_scores(p, 3, 100, scores);
    assert_true(scores[RUNG_DEFERRAL_CONFIDENCE] == 0.5f && scores[RUNG_DEFERRAL_MARGIN] == 0.25f);
    assert_near("entropy", (double)scores[RUNG_DEFERRAL_ENTROPY], 1.5 * 0.69314718056, 1e-7); /* 1.5 bits */
    assert_near("length", (double)scores[RUNG_DEFERRAL_LENGTH], 4.60517018599, 1e-6);
    static const double sure[2] = {0, 1};
    rung_deferral_scores(sure, 2, 0, scores);
    assert_true(scores[0] == 1 && scores[1] == 1 && scores[2] == 0 && scores[3] == 0);
    static const double tied[2] = {0.5, 0.5};
    rung_deferral_scores(tied, 2, 1, scores);
    assert_true(scores[0] == 0.5f && scores[1] == 0);
}

static void confidence_by_hand(void **state)
{
    (void)state;
    static const float weight[2 + RUNG_DEFERRAL_SCORES] = {1, -2, 0.5f, 0, 0, 0};
    const rung_deferral deferral = {.hidden_size = 2, .weight = weight, .bias = -1.5};
    static const float cls[2] = {3, 0.75f};
    static const float scores[RUNG_DEFERRAL_SCORES] = {2, 7, 7, 7};
    /* -1.5 + 3 - 1.5 + 1 = 1: q = 1 / (1 + e^-1) = .7310585786. */
    assert_near("1 - q", rung_deferral_confidence(&deferral, cls, scores), 1 - 0.7310585786, 1e-7);
}

static void it_is_a_float_in_range(void **state)
{
    (void)state;
    rung_prng prng = {3};
    for (int round = 0; round < 2000; round++) {
        float weight[4 + RUNG_DEFERRAL_SCORES];
        float cls[4];
        float scores[RUNG_DEFERRAL_SCORES];
        for (size_t i = 0; i < 4 + RUNG_DEFERRAL_SCORES; i++) {
            weight[i] = (float)(1000 * (rung_prng_uniform(&prng) - 0.5));
        }
        for (size_t i = 0; i < 4; i++) {
            cls[i] = (float)rung_prng_uniform(&prng);
            scores[i] = (float)rung_prng_uniform(&prng);
        }
        rung_deferral deferral = {.hidden_size = 4, .weight = weight, .bias = 10 * (rung_prng_uniform(&prng) - 0.5)};
        double low = rung_deferral_confidence(&deferral, cls, scores);
        assert_true(low >= 0 && low <= 1 && low == (double)(float)low);
        deferral.bias += 1; /* more likely that the upper level mends it */
        assert_true(rung_deferral_confidence(&deferral, cls, scores) <= low);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_by_hand),
        cmocka_unit_test(confidence_by_hand),
        cmocka_unit_test(it_is_a_float_in_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
