/* test_plot_range.c: ranges and ticks by hand; that labels take free places. */
#include "eval/plot_range.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-9)) {
        fail_msg("%.17g instead of %.17g", value, expected);
    }
}

static void ranges(void **state)
{
    (void)state;
    rung_plot_axis plain = {.label = "x"};
    rung_plot_range range = rung_plot_range_of(&plain, 10, 60);
    near(range.low, 0); /* near enough to 0 */
    near(range.high, 62.5);
    range = rung_plot_range_of(&plain, 0.9, 1);
    near(range.low, 0.895);
    near(range.high, 1.005);
    range = rung_plot_range_of(&plain, -2, 2);
    near(range.low, -2.2);
    range = rung_plot_range_of(&plain, 5, 5);
    near(range.low, 4.5);
    near(range.high, 5.5);
    range = rung_plot_range_of(&plain, 0, 0);
    assert_true(range.low < range.high);
    rung_plot_axis stated = {.label = "x", .low = 0.5, .high = 1};
    range = rung_plot_range_of(&stated, 0.2, 3);
    assert_true(range.low == 0.5 && range.high == 1 && !range.log);
    near(rung_plot_range_at(range, 0.75), 0.5);
    rung_plot_axis logarithmic = {.label = "x", .log = true};
    range = rung_plot_range_of(&logarithmic, 10, 1000);
    assert_true(range.log && range.low < 10 && range.low > 8 && range.high > 1000 && range.high < 1250);
    near(rung_plot_range_at(range, 100), 0.5);
    range = rung_plot_range_of(&logarithmic, 7, 7);
    assert_true(range.low < 7 && range.high > 7);
}

static void assert_ticks(double low, double high, const char *expected)
{
    rung_buffer ticks = {0};
    rung_plot_log_ticks((rung_plot_range){low, high, true}, &ticks);
    assert_string_equal(ticks.data, expected);
    rung_buffer_deinit(&ticks);
}

static void logarithmic_ticks(void **state)
{
    (void)state;
    assert_ticks(18, 85, "20, 30, 40, 50, 60, 70, 80");
    assert_ticks(8, 300, "10, 20, 50, 100, 200");
    assert_ticks(0.004, 0.03, "0.004, 0.005, 0.006, 0.007, 0.008, 0.009, 0.01, 0.02, 0.03");
    assert_ticks(0.5, 20000, "1, 10, 100, 1000, 10000");
    assert_ticks(1, 10, "1, 2, 3, 4, 5, 6, 7, 8, 9, 10");
}

static bool overlaps(rung_plot_box a, rung_plot_box b)
{
    return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

static void labels_take_free_places(void **state)
{
    (void)state;
    rung_plot_box frame = {0, 0, 700, 400};
    rung_plot_box boxes[2] = {{95, 95, 105, 105}};
    rung_plot_place place = rung_plot_place_label(4, 100, 100, boxes, 1, frame);
    assert_string_equal(place.justify, "left");
    assert_true(place.dx > 0 && place.dy == 0 && place.box.left > 105);
    boxes[1] = place.box;
    place = rung_plot_place_label(4, 100, 100, boxes, 2, frame);
    assert_false(overlaps(place.box, boxes[0]) || overlaps(place.box, boxes[1]));
    /* At the frame's right end and in its corner the label stays inside. */
    place = rung_plot_place_label(12, 695, 200, boxes, 2, frame);
    assert_string_equal(place.justify, "right");
    assert_true(place.box.right <= 700);
    place = rung_plot_place_label(12, 698, 2, boxes, 2, frame);
    assert_true(place.box.right <= 700 && place.box.top >= 0);
    /* Between points above and below, left and right: a corner. */
    const rung_plot_box around[] = {
        {95, 95, 105, 105}, {107, 92, 140, 108}, {60, 92, 93, 108}, {80, 78, 120, 90}, {80, 110, 120, 122}};
    place = rung_plot_place_label(1, 100, 100, around, 5, frame);
    assert_string_not_equal(place.justify, "center");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges),
        cmocka_unit_test(logarithmic_ticks),
        cmocka_unit_test(labels_take_free_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
