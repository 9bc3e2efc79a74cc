/* test_fit_deferral.c: what is learned from made-up states: the feature that tells which answers the upper level mends is found, and judged on inputs
 * that it was not learned from; an exit with few of either kind has their share. */
#include "base/prng.h"
#include "fit/fit_deferral.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS 300
#define HIDDEN 6

typedef struct fixture {
    rung_cascade cascade;
    rung_reach reach;
    rung_trail trails[ROWS];
    rung_found found[ROWS];
    double probabilities[ROWS * 2];
    float states[ROWS * HIDDEN];
    bool mends[ROWS];
    double confidence[ROWS];
    rung_calibration_exit exits[2];
    rung_calibration_file file;
} fixture;

/* Rows stop at layer 2, but for the last 12, at layer 1. The upper level mends one in four; feature 0 says which when `telling`. */
static fixture *set_up(bool telling)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    rung_prng prng = {.state = 5};
    f->cascade.num_levels = 2;
    f->cascade.num_classes = 2;
    f->cascade.threads = 2;
    f->reach = (rung_reach){.cascade = &f->cascade,
                            .count = ROWS,
                            .trails = f->trails,
                            .found = f->found,
                            .probabilities = f->probabilities,
                            .states = f->states,
                            .states_floats = HIDDEN};
    f->exits[0].layer = 1;
    f->exits[1].layer = 2;
    f->file.num_levels = 2;
    f->file.levels[0] = (rung_calibration_level){.hidden_size = HIDDEN, .num_exits = 2, .exits = f->exits};
    for (size_t i = 0; i < ROWS; i++) {
        f->trails[i].going = true;
        f->found[i] = (rung_found){.exit_layer = i < ROWS - 12 ? 2 : 1, .num_tokens = 20};
        f->mends[i] = rung_prng_below(&prng, 4) == 0;
        f->probabilities[2 * i] = 0.5 + 0.5 * rung_prng_uniform(&prng);
        f->probabilities[2 * i + 1] = 1 - f->probabilities[2 * i];
        for (size_t h = 0; h < HIDDEN; h++) {
            f->states[i * HIDDEN + h] = (float)rung_prng_normal(&prng);
        }
        f->states[i * HIDDEN] += telling && f->mends[i] ? 4 : 0;
    }
    return f;
}

static void fit(fixture *f)
{
    rung_error error;
    if (rung_fit_deferral(&f->reach, 1, f->mends, &f->file, f->confidence, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
}

static void tear_down(fixture *f)
{
    free(f->exits[0].deferral_weight);
    free(f->exits[1].deferral_weight);
    free(f);
}

/* Share of pairs (mended, not mended) of layer 2 in which the mended one has the lower confidence. */
static double order(const fixture *f)
{
    size_t right = 0;
    size_t pairs = 0;
    for (size_t i = 0; i < ROWS - 12; i++) {
        for (size_t j = 0; j < ROWS - 12 && f->mends[i]; j++) {
            pairs += !f->mends[j];
            right += !f->mends[j] && f->confidence[i] < f->confidence[j];
        }
    }
    return (double)right / (double)pairs;
}

static void what_tells_is_found(void **state)
{
    (void)state;
    fixture *f = set_up(true);
    fit(f);
    assert_true(order(f) > 0.97);
    const float *weight = f->exits[1].deferral_weight;
    for (size_t h = 1; h < HIDDEN; h++) {
        assert_true(fabsf(weight[0]) > 2 * fabsf(weight[h]));
    }
    assert_true(weight[0] > 0); /* more of it: more to mend, less confidence */
    tear_down(f);
}

/* Nothing tells: an estimate on the learned rows would still look better than chance. */
static void it_is_judged_on_what_it_did_not_see(void **state)
{
    (void)state;
    fixture *f = set_up(false);
    fit(f);
    assert_true(order(f) < 0.62);
    tear_down(f);
}

static void few_of_a_kind_give_their_share(void **state)
{
    (void)state;
    fixture *f = set_up(true);
    size_t mended = 0;
    for (size_t i = ROWS - 12; i < ROWS; i++) {
        mended += f->mends[i];
    }
    fit(f);
    for (size_t h = 0; h < HIDDEN + RUNG_DEFERRAL_SCORES; h++) {
        assert_true(f->exits[0].deferral_weight[h] == 0);
    }
    assert_true(fabs(exp(f->exits[0].deferral_bias) - ((double)mended + 1) / (double)(12 - mended + 1)) < 1e-12);
    for (size_t i = 0; i < ROWS; i++) {
        f->trails[i].going = false; /* nothing reaches the level */
    }
    fit(f);
    assert_true(f->exits[1].deferral_bias == 0 && f->exits[1].deferral_weight[0] == 0);
    tear_down(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_tells_is_found),
        cmocka_unit_test(it_is_judged_on_what_it_did_not_see),
        cmocka_unit_test(few_of_a_kind_give_their_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
