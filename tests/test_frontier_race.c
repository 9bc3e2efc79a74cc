/* test_frontier_race.c: families whose race is known. */
#include "base/prng.h"
#include "eval/frontier_race.h"
#include "model_fixture.h"

#include <math.h>

#define N 200
#define COUNT 4

static const rung_bootstrap BOOTSTRAP = {.resamples = 60, .confidence = 0.95, .seed = 2};

typedef struct made_family {
    double latency_ms[COUNT][N];
    double right[COUNT][N];
    const double *latency_rows[COUNT];
    const double *right_rows[COUNT];
    rung_racer racer;
} made_family;

/* Policy k takes about (k + 1) * scale ms and is right where it must be at least: on more rows with k. */
static void make_family(made_family *made, double scale)
{
    rung_prng prng = {.state = 11};
    for (size_t i = 0; i < N; i++) {
        double hard = (double)rung_prng_below(&prng, 100);
        double noise = (double)rung_prng_below(&prng, 100) / 1000;
        for (size_t k = 0; k < COUNT; k++) {
            made->latency_ms[k][i] = scale * ((double)k + 1 + noise);
            made->right[k][i] = hard < 70 + 8 * (double)k;
        }
    }
    for (size_t k = 0; k < COUNT; k++) {
        made->latency_rows[k] = made->latency_ms[k];
        made->right_rows[k] = made->right[k];
    }
    made->racer = (rung_racer){.latency_ms = made->latency_rows, .right = made->right_rows, .count = COUNT};
}

static void near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-9)) {
        fail_msg("%.17g instead of %.17g", value, expected);
    }
}

static void twice_as_fast_everywhere(void **state)
{
    (void)state;
    static made_family slow;
    static made_family fast;
    rung_race race;
    make_family(&slow, 2);
    make_family(&fast, 1);
    assert_ok(rung_race_run(&BOOTSTRAP, N, &slow.racer, &fast.racer, &race, error));
    near(race.geometric_mean.value, 2);
    near(race.geometric_mean.low, 2);
    near(race.geometric_mean.high, 2);
    for (size_t a = 0; a < RUNG_RACE_ACCURACIES; a++) {
        near(race.ratio[a].value, 2);
        near(race.first_ms[a].value, 2 * race.second_ms[a].value);
        assert_true(a == 0 || race.accuracy[a].value > race.accuracy[a - 1].value);
    }
}

static void what_is_not_reached_counts_as_nothing(void **state)
{
    (void)state;
    static made_family all;
    static made_family few;
    rung_race race;
    make_family(&all, 2);
    make_family(&few, 1);
    few.racer.count = 2;
    assert_ok(rung_race_run(&BOOTSTRAP, N, &all.racer, &few.racer, &race, error));
    near(race.geometric_mean.value, 0);
    near(race.ratio[0].value, 2);
    near(race.ratio[RUNG_RACE_ACCURACIES - 1].value, 0);
    assert_true(isinf(race.second_ms[RUNG_RACE_ACCURACIES - 1].value));
}

static void one_policy_each(void **state)
{
    (void)state;
    static made_family one;
    rung_race race;
    make_family(&one, 1);
    one.racer.count = 1;
    assert_ok(rung_race_run(&BOOTSTRAP, N, &one.racer, &one.racer, &race, error));
    near(race.geometric_mean.low, 1);
    near(race.geometric_mean.high, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twice_as_fast_everywhere),
        cmocka_unit_test(what_is_not_reached_counts_as_nothing),
        cmocka_unit_test(one_policy_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
