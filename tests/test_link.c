/* test_link.c: presets, ranges, the time over a link and what it depends on. */
#include "base/prng.h"
#include "link/link.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void presets_are_sound(void **state)
{
    (void)state;
    static const char *const names[] = {"lan", "wifi", "5g", "4g", "satellite"};
    size_t count;
    const rung_link *presets = rung_link_presets(&count);
    assert_int_equal(count, 5);
    for (size_t i = 0; i < count; i++) {
        rung_link link;
        rung_error error;
        assert_string_equal(presets[i].name, names[i]);
        assert_int_equal(rung_link_find(names[i], &link, &error), RUNG_OK);
        assert_true(link.rtt_ms == presets[i].rtt_ms && link.up_bps == presets[i].up_bps);
        assert_int_equal(rung_link_check(&link, &error), RUNG_OK);
        assert_non_null(strstr(link.source, "RTT"));
        assert_non_null(strstr(link.source, "bandwidth"));
    }
    rung_link link;
    assert_int_equal(rung_link_find("wifi", &link, NULL), RUNG_OK);
    assert_true(link.rtt_ms == 8);
    assert_int_equal(rung_link_find("4g", &link, NULL), RUNG_OK);
    assert_true(link.rtt_ms == 60);
    rung_error error;
    link.rtt_ms = 77;
    assert_int_equal(rung_link_find("6g", &link, &error), RUNG_NOT_FOUND);
    assert_string_equal(error.message,
                        "link \"6g\" is unknown; use lan, wifi, 5g, 4g, satellite or {rtt, up, down, jitter}");
    assert_true(link.rtt_ms == 77);
}

static void refuse(rung_link link, const char *message)
{
    rung_error error;
    assert_int_equal(rung_link_check(&link, &error), RUNG_INVALID);
    assert_string_equal(error.message, message);
}

static void ranges(void **state)
{
    (void)state;
    rung_link good = {.name = "custom", .rtt_ms = 0, .up_bps = 1e6, .down_bps = INFINITY};
    assert_int_equal(rung_link_check(&good, NULL), RUNG_OK);
    rung_link link = good;
    link.rtt_ms = -1;
    refuse(link, "link.rtt is -1 ms; it must be from 0 to 1000000 ms");
    link.rtt_ms = NAN;
    refuse(link, "link.rtt is nan ms; it must be from 0 to 1000000 ms");
    link = good;
    link.jitter_ms = 2e6;
    refuse(link, "link.jitter is 2e+06 ms; it must be from 0 to 1000000 ms");
    link.jitter_ms = 3;
    refuse(link, "link.jitter is 3 ms on a link whose rtt is 0 ms; give rtt at least 0.000001 ms, or no jitter");
    link = good;
    link.up_bps = 0;
    refuse(link, "link.up is 0 bit/s; it must be 1 or above");
    link = good;
    link.down_bps = NAN;
    refuse(link, "link.down is nan bit/s; it must be 1 or above");
}

static void time_by_hand(void **state)
{
    (void)state;
    rung_link link = {.rtt_ms = 20, .up_bps = 1e6, .down_bps = 8e6};
    rung_prng prng = {1};
    /* 20 ms + 1,000 bytes up at 1 Mbit/s (8 ms) + 500 bytes down at 8 Mbit/s (.5 ms). */
    assert_true(fabs(rung_link_transfer_s(&link, &prng, 1000, 500) - 0.0285) < 1e-15);
    assert_true(fabs(rung_link_transfer_s(&link, &prng, 0, 0) - 0.020) < 1e-15);
    link.up_bps = INFINITY;
    assert_true(fabs(rung_link_transfer_s(&link, &prng, SIZE_MAX, 500) - 0.0205) < 1e-15);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median and standard deviation are what the link says, and no round trip leaves the bounds. */
static void distribution(void **state)
{
    (void)state;
    enum { COUNT = 40001 };
    double *samples = malloc(COUNT * sizeof *samples);
    assert_non_null(samples);
    size_t count;
    const rung_link *presets = rung_link_presets(&count);
    for (size_t i = 0; i < count; i++) {
        const rung_link *link = &presets[i];
        double sum = 0;
        double squares = 0;
        for (uint64_t r = 0; r < COUNT; r++) {
            rung_prng prng = rung_link_prng(1, r, (uint32_t)i);
            double ms = 1000 * rung_link_rtt_s(link, &prng);
            samples[r] = ms;
            sum += ms;
            squares += ms * ms;
        }
        qsort(samples, COUNT, sizeof *samples, compare);
        double mean = sum / COUNT;
        double deviation = sqrt(squares / COUNT - mean * mean);
        assert_true(fabs(samples[COUNT / 2] / link->rtt_ms - 1) < 0.02);
        assert_true(fabs(deviation / link->jitter_ms - 1) < 0.10); /* the cut at three sigma takes a little off */
        assert_true(samples[0] > 0);
        /* e^(3 sigma): sigma² = ln((1 + sqrt(1 + 4 (jitter / rtt)²)) / 2). */
        double ratio = link->jitter_ms / link->rtt_ms;
        double bound = exp(3 * sqrt(log((1 + sqrt(1 + 4 * ratio * ratio)) / 2)));
        assert_true(samples[COUNT - 1] <= link->rtt_ms * bound * (1 + 1e-12));
        assert_true(samples[0] >= link->rtt_ms / bound * (1 - 1e-12));
    }
    free(samples);
}

static void draws_depend_on_the_request_alone(void **state)
{
    (void)state;
    rung_link link;
    assert_int_equal(rung_link_find("4g", &link, NULL), RUNG_OK);
    rung_prng first = rung_link_prng(1, 42, 2);
    rung_prng again = rung_link_prng(1, 42, 2);
    double rtt = rung_link_rtt_s(&link, &first);
    assert_true(rtt == rung_link_rtt_s(&link, &again));
    /* Another size, policy or text over the same link: the same round trip, plus its bytes. */
    again = rung_link_prng(1, 42, 2);
    double seconds = rung_link_transfer_s(&link, &again, 950, 0);
    assert_true(fabs(seconds - rtt - 0.001) < 1e-12); /* 7,600 bits at 7.6 Mbit/s */
    assert_true(rung_link_prng(2, 42, 2).state != rung_link_prng(1, 42, 2).state);
    assert_true(rung_link_prng(1, 43, 2).state != rung_link_prng(1, 42, 2).state);
    assert_true(rung_link_prng(1, 42, 1).state != rung_link_prng(1, 42, 2).state);
    /* A slower network moves the same request by the same factor. */
    rung_link slow = link;
    slow.rtt_ms *= 2;
    slow.jitter_ms *= 2;
    again = rung_link_prng(1, 42, 2);
    assert_true(fabs(rung_link_rtt_s(&slow, &again) - 2 * rtt) < 1e-15);
}

static void extremes_stay_finite(void **state)
{
    (void)state;
    rung_link link = {.rtt_ms = 1e-6, .jitter_ms = 1e6, .up_bps = 1, .down_bps = 1};
    assert_int_equal(rung_link_check(&link, NULL), RUNG_OK);
    for (uint64_t r = 0; r < 2000; r++) {
        rung_prng prng = rung_link_prng(9, r, 1);
        double seconds = rung_link_transfer_s(&link, &prng, SIZE_MAX, SIZE_MAX);
        assert_true(isfinite(seconds) && seconds > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_are_sound),
        cmocka_unit_test(ranges),
        cmocka_unit_test(time_by_hand),
        cmocka_unit_test(distribution),
        cmocka_unit_test(draws_depend_on_the_request_alone),
        cmocka_unit_test(extremes_stay_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
