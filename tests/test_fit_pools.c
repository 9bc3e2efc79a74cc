/* test_fit_pools.c: weights and temperatures of pools of made-up results: who is right gets the weight, few rows get nothing. */
#include "base/prng.h"
#include "fit/fit_pools.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS 400
#define CLASSES 2

typedef struct fixture {
    rung_cascade cascade;
    rung_reach reach;
    rung_trail trails[ROWS];
    rung_found found[3 * ROWS];
    double probabilities[3 * ROWS * CLASSES];
    uint32_t labels[ROWS];
    float targets[ROWS * CLASSES];
    rung_calibration_file file;
} fixture;

/* Level 1 guesses, level 2 is right in nine of ten cases and says .7, level 3 is right in all and says .9. All equally accurate as far as the
 * calibration knows. */
static fixture *set_up(void)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    rung_prng prng = {.state = 2};
    f->cascade.num_levels = 3;
    f->cascade.num_classes = CLASSES;
    f->cascade.calibration = (rung_calibration){.num_levels = 3, .num_classes = CLASSES};
    for (size_t l = 0; l < 3; l++) {
        f->cascade.calibration.level[l].accuracy = 0.5;
    }
    f->reach = (rung_reach){.cascade = &f->cascade,
                            .count = ROWS,
                            .trails = f->trails,
                            .found = f->found,
                            .probabilities = f->probabilities};
    f->file.num_levels = 3;
    for (size_t i = 0; i < ROWS; i++) {
        f->labels[i] = (uint32_t)rung_prng_below(&prng, 2);
        f->trails[i].going = true;
        bool right[3] = {rung_prng_below(&prng, 2) == 0, i % 10 != 0, true};
        static const double sure[3] = {0.8, 0.7, 0.9};
        for (size_t l = 0; l < 3; l++) {
            double *p = f->probabilities + (l * ROWS + i) * CLASSES;
            uint32_t says = right[l] ? f->labels[i] : 1 - f->labels[i];
            p[says] = sure[l];
            p[1 - says] = 1 - sure[l];
            f->found[l * ROWS + i] = (rung_found){.exit_layer = 1};
        }
    }
    return f;
}

static void tear_down(fixture *f)
{
    free(f->file.pools);
    free(f);
}

static void fit(fixture *f, uint32_t level, const rung_fit_truth *truth)
{
    rung_error error;
    if (rung_fit_pools(&f->reach, level, truth, &f->file, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
}

static void who_is_right_gets_the_weight(void **state)
{
    (void)state;
    fixture *f = set_up();
    const rung_fit_truth truth = {.labels = f->labels};
    fit(f, 1, &truth);
    assert_int_equal(f->file.num_pools, 0); /* a level alone is calibrated by its exits */
    fit(f, 2, &truth);
    assert_int_equal(f->file.num_pools, 1);
    const rung_calibration_pool *pool = &f->file.pools[0];
    assert_int_equal(pool->set, 3);
    assert_int_equal(pool->rows, ROWS);
    assert_true(pool->fitted_weight[1] > 0.85 && pool->fitted_weight[2] == 0);
    assert_true(fabs(pool->fitted_weight[0] + pool->fitted_weight[1] - 1) < 1e-9);
    assert_true(pool->fitted_nll < pool->accuracy_nll - 0.05);
    assert_true(pool->fitted_temperature < 1); /* .7 is right nine times of ten: too modest */
    assert_true(pool->fitted_ece < 0.05);
    fit(f, 3, &truth);
    assert_int_equal(f->file.num_pools, 4);
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(f->file.pools[i].set, 4 + i); /* 1+3, 2+3, 1+2+3 */
        assert_true(f->file.pools[i].fitted_weight[2] > 0.9);
    }
    fit(f, 2, &truth); /* again: those of level 2 are replaced, those above it go */
    assert_int_equal(f->file.num_pools, 1);
    tear_down(f);
}

static void few_rows_are_left_to_accuracy(void **state)
{
    (void)state;
    fixture *f = set_up();
    const rung_fit_truth truth = {.labels = f->labels};
    for (size_t i = RUNG_FIT_MIN_ROWS - 1; i < ROWS; i++) {
        f->trails[i].going = false;
    }
    fit(f, 2, &truth);
    assert_int_equal(f->file.num_pools, 0);
    f->trails[ROWS - 1].going = true;
    fit(f, 2, &truth);
    assert_int_equal(f->file.num_pools, 1);
    assert_int_equal(f->file.pools[0].rows, RUNG_FIT_MIN_ROWS);
    f->found[ROWS - 1].exit_layer = 0; /* level 1 found nothing for it */
    fit(f, 2, &truth);
    assert_int_equal(f->file.num_pools, 0);
    tear_down(f);
}

static void one_label_says_nothing_about_sureness(void **state)
{
    (void)state;
    fixture *f = set_up();
    const rung_fit_truth truth = {.labels = f->labels};
    for (size_t i = 0; i < ROWS; i++) {
        f->trails[i].going = f->labels[i] == 0;
    }
    fit(f, 2, &truth);
    assert_true(f->file.pools[0].fitted_temperature == 1 && f->file.pools[0].accuracy_temperature == 1);
    assert_true(f->file.pools[0].fitted_weight[1] > 0.85);
    tear_down(f);
}

/* Without labels the temperature is that of the top level's own sureness. */
static void soft_targets_set_the_temperature(void **state)
{
    (void)state;
    fixture *f = set_up();
    for (size_t i = 0; i < ROWS; i++) {
        f->targets[i * CLASSES + f->labels[i]] = 0.6f;
        f->targets[i * CLASSES + 1 - f->labels[i]] = 0.4f;
    }
    const rung_fit_truth truth = {.labels = f->labels, .targets = f->targets};
    fit(f, 3, &truth);
    for (size_t i = 0; i < f->file.num_pools; i++) {
        assert_true(f->file.pools[i].fitted_temperature >
                    3); /* .9 as .6: ln 9 / ln 1.5 = 5.4, less for the rest of the pool */
    }
    tear_down(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_right_gets_the_weight),
        cmocka_unit_test(few_rows_are_left_to_accuracy),
        cmocka_unit_test(one_label_says_nothing_about_sureness),
        cmocka_unit_test(soft_targets_set_the_temperature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
