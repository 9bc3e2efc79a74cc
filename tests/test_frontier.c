/* test_frontier.c: frontiers worked out by hand, and random ones against the definition. */
#include "base/prng.h"
#include "eval/frontier.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-12)) {
        fail_msg("%.17g instead of %.17g", value, expected);
    }
}

static void by_hand(void **state)
{
    (void)state;
    static const rung_frontier_point points[] = {{.91, 30, 0}, {.85, 10, 1}, {.90, 31, 2}, {.85, 12, 3}, {.93, 60, 4},
                                                 {.84, 10, 5}, {.91, 30, 6}, {.87, 20, 7}, {.93, 75, 8}};
    rung_frontier_point frontier[9];
    size_t size = 0;
    rung_error error;
    assert_int_equal(rung_frontier_of(points, 9, frontier, &size, &error), RUNG_OK);
    static const size_t expected[] = {1, 7, 0, 4};
    assert_int_equal(size, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(frontier[i].index, expected[i]);
        assert_true(frontier[i].quality == points[expected[i]].quality);
    }
    rung_frontier_choice choice = {.fast = 77};
    assert_true(rung_frontier_reach(frontier, size, .86, &choice));
    assert_true(choice.latency_ms == 20 && choice.fast == 7 && choice.slow == 7 && choice.share_slow == 0);
    assert_true(rung_frontier_reach(frontier, size, .5, &choice));
    assert_true(choice.latency_ms == 10);
    assert_true(rung_frontier_reach(frontier, size, .93, &choice));
    assert_true(choice.latency_ms == 60 && choice.fast == 4);
    choice.fast = 77;
    assert_false(rung_frontier_reach(frontier, size, .9301, &choice));
    assert_false(rung_frontier_reach(frontier, size, NAN, &choice));
    assert_int_equal(choice.fast, 77);
    /* (20, .87) lies under the line from (10, .85) to (30, .91). */
    size = rung_frontier_hull(frontier, size, frontier);
    assert_int_equal(size, 3);
    assert_int_equal(frontier[1].index, 0);
    assert_true(rung_frontier_reach_mixed(frontier, size, .86, &choice));
    near(choice.latency_ms, 10 + 20.0 / 6);
    near(choice.share_slow, 1.0 / 6);
    assert_true(choice.fast == 1 && choice.slow == 0);
    assert_true(rung_frontier_reach_mixed(frontier, size, .91, &choice));
    assert_true(choice.latency_ms == 30 && choice.share_slow == 0 && choice.slow == 0);
    assert_true(rung_frontier_reach_mixed(frontier, size, .2, &choice));
    assert_true(choice.latency_ms == 10);
    assert_false(rung_frontier_reach_mixed(frontier, size, .94, &choice));
    double qualities[3];
    rung_frontier_interior(frontier, size, 3, qualities);
    near(qualities[0], .87);
    near(qualities[1], .89);
    near(qualities[2], .91);
}

static void few_points(void **state)
{
    (void)state;
    static const rung_frontier_point one[] = {{.9, 5, 3}};
    rung_frontier_point frontier[2];
    size_t size = 0;
    rung_error error = {0};
    assert_int_equal(rung_frontier_of(one, 1, frontier, &size, &error), RUNG_OK);
    assert_true(size == 1 && rung_frontier_hull(frontier, 1, frontier) == 1);
    double quality = 0;
    rung_frontier_interior(frontier, 1, 1, &quality);
    assert_true(quality == .9);
    rung_frontier_choice choice;
    assert_true(rung_frontier_reach_mixed(frontier, 1, .9, &choice));
    assert_true(choice.fast == 3);
    const rung_frontier_point wrong[] = {{.9, 5, 0}, {NAN, 5, 4}, {.9, INFINITY, 5}};
    size = 9;
    assert_int_equal(rung_frontier_of(wrong, 2, frontier, &size, &error), RUNG_INVALID);
    assert_non_null(strstr(error.message, "point 4 of a frontier"));
    assert_int_equal(rung_frontier_of(wrong + 2, 1, frontier, &size, &error), RUNG_INVALID);
    assert_int_equal(size, 9);
}

/* On a coarse grid, so that many points are equal in one figure or in both. */
static void random_points(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    rung_prng prng = {4};
    for (size_t round = 0; round < 300; round++) {
        rung_frontier_point points[COUNT];
        rung_frontier_point frontier[COUNT];
        rung_frontier_point hull[COUNT];
        size_t size = 0;
        for (size_t i = 0; i < COUNT; i++) {
            points[i] =
                (rung_frontier_point){(double)rung_prng_below(&prng, 30), (double)rung_prng_below(&prng, 30), i};
        }
        assert_int_equal(rung_frontier_of(points, COUNT, frontier, &size, NULL), RUNG_OK);
        size_t hull_size = rung_frontier_hull(frontier, size, hull);
        for (double quality = -1; quality < 30.5; quality += 0.5) {
            double least = INFINITY;
            double least_mixed = INFINITY;
            for (size_t i = 0; i < COUNT; i++) {
                least = points[i].quality >= quality ? fmin(least, points[i].latency_ms) : least;
                for (size_t j = 0; j < COUNT; j++) {
                    double low = points[i].quality;
                    double high = points[j].quality;
                    if (low < quality && high >= quality) {
                        double share = (quality - low) / (high - low);
                        least_mixed =
                            fmin(least_mixed, (1 - share) * points[i].latency_ms + share * points[j].latency_ms);
                    }
                }
            }
            rung_frontier_choice choice = {.latency_ms = INFINITY};
            assert_true(rung_frontier_reach(frontier, size, quality, &choice) == isfinite(least));
            assert_true(choice.latency_ms == least);
            rung_frontier_choice mixed = {.latency_ms = INFINITY};
            assert_true(rung_frontier_reach_mixed(hull, hull_size, quality, &mixed) == isfinite(least));
            if (isfinite(least)) {
                near(mixed.latency_ms, fmin(least, least_mixed));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(few_points),
        cmocka_unit_test(random_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
