/* test_link.c: presets, ranges, the network at a moment, the time over a link and what it depends on. */
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

/* Up and down, of the request with this key, by itself. */
static double transfer_s(const rung_link *link, uint64_t key, size_t up, size_t down)
{
    rung_link_trip trip;
    rung_link_trip_begin(&trip, link, 1, key, 2, -1);
    double seconds = rung_link_trip_up_s(&trip, 0, up);
    return seconds + rung_link_trip_down_s(&trip, seconds, down);
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
    link = good;
    link.loss = 1.5;
    refuse(link, "link.loss is 1.5; it must be from 0 to 1");
    link = good;
    link.congestion = (rung_link_congestion){.share = 1e-9};
    refuse(link, "link.congestion.share is 1e-09; it must be from 1e-06 to 1");
    link.congestion = (rung_link_congestion){.share = NAN};
    refuse(link, "link.congestion.share is nan; it must be from 0 to 1");
    link.congestion = (rung_link_congestion){.share = 0.1, .mean_s = 0, .slowdown = 2, .rtt_factor = 2};
    refuse(link, "link.congestion.duration is 0 s; it must be from 0.001 to 1000000 s");
    link.congestion = (rung_link_congestion){.share = 0.1, .mean_s = 1, .slowdown = 0.5, .rtt_factor = 2};
    refuse(link, "link.congestion.slowdown is 0.5; it must be from 1 to 1000");
    link.congestion = (rung_link_congestion){.share = 0.1, .mean_s = 1, .slowdown = 2, .rtt_factor = INFINITY};
    refuse(link, "link.congestion.rtt_factor is inf; it must be from 1 to 1000");
    link = good;
    link.interference = (rung_link_interference){.every_s = 1, .mean_s = 0.6};
    refuse(link, "link.interference.duration is 0.6 s; it must be at most half of every, 0.5 s");
    link.interference = (rung_link_interference){.every_s = NAN, .mean_s = 0.6};
    refuse(link, "link.interference.every is nan s; it must be from 0.001 to 1000000 s");
}

static void time_by_hand(void **state)
{
    (void)state;
    rung_link link = {.rtt_ms = 20, .up_bps = 1e6, .down_bps = 8e6};
    /* 20 ms + 1,000 bytes up at 1 Mbit/s (8 ms) + 500 bytes down at 8 Mbit/s (.5 ms). */
    assert_true(fabs(transfer_s(&link, 1, 1000, 500) - 0.0285) < 1e-15);
    assert_true(fabs(transfer_s(&link, 1, 0, 0) - 0.020) < 1e-15);
    link.up_bps = INFINITY;
    assert_true(fabs(transfer_s(&link, 1, SIZE_MAX, 500) - 0.0205) < 1e-15);
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
    double seconds = transfer_s(&link, 42, 950, 0);
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

/* What a plain preset costs is a formula, to the bit: answers and times of a seed do not change under their users. */
static void plain_links_are_a_formula(void **state)
{
    (void)state;
    rung_link link;
    assert_int_equal(rung_link_find("wifi", &link, NULL), RUNG_OK);
    for (uint64_t key = 0; key < 100; key++) {
        rung_prng prng = rung_link_prng(1, key, 1);
        double rtt_s = rung_link_rtt_s(&link, &prng);
        rung_link_trip trip;
        rung_link_trip_begin(&trip, &link, 1, key, 1, -1);
        assert_true(rung_link_trip_up_s(&trip, 0, 477) == rtt_s / 2 + 8 * 477 / link.up_bps);
        assert_true(rung_link_trip_down_s(&trip, 0.5, 81) == rtt_s / 2 + 8 * 81 / link.down_bps);
    }
    rung_prng prng = rung_link_prng(1, 42, 1);
    assert_true(fabs(1e3 * rung_link_rtt_s(&link, &prng) - 8.9737542592575519) < 1e-9);
}

static const rung_link busy = {.rtt_ms = 10,
                               .up_bps = 1e6,
                               .down_bps = 1e6,
                               .congestion = {.share = 0.2, .mean_s = 3, .slowdown = 4, .rtt_factor = 5},
                               .interference = {.every_s = 10, .mean_s = 0.5}};

/* Moments that are spread evenly see the shares that the link states, and between two changes the state stays. */
static void shares_of_time(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    size_t congested = 0;
    size_t interfered = 0;
    for (size_t i = 0; i < COUNT; i++) {
        rung_link_state look;
        rung_link_look(&busy, 3, 1, 0.37 * (double)i, &look);
        congested += look.congested;
        interfered += look.interfered;
        assert_true(look.rtt_ms == (look.congested ? 50 : 10));
        assert_true(look.up_bps == (look.interfered ? 0 : look.congested ? 2.5e5 : 1e6));
    }
    assert_true(fabs((double)congested / COUNT - 0.2) < 0.004);
    assert_true(fabs((double)interfered / COUNT - 0.05) < 0.002);
    double at_s = 0;
    double lengths_s = 0;
    size_t episodes = 0;
    while (at_s < 30000) {
        rung_link_state now;
        rung_link_state later;
        rung_link_look(&busy, 3, 1, at_s, &now);
        assert_true(now.until_s > at_s && now.until_s <= at_s + 15);
        rung_link_look(&busy, 3, 1, at_s + 0.999 * (now.until_s - at_s), &later);
        assert_true(later.congested == now.congested && later.interfered == now.interfered);
        lengths_s += now.interfered ? now.until_s - at_s : 0;
        episodes += now.interfered && !now.congested;
        at_s = now.until_s;
    }
    assert_true(fabs(lengths_s / 30000 - 0.05) < 0.002);
    assert_true(episodes > 2000 && episodes < 3500); /* one in ten seconds, less those within congestion */
}

/* The network does not depend on the order of questions, and is another one for another seed or link. */
static void the_network_is_a_function_of_time(void **state)
{
    (void)state;
    size_t differ_seed = 0;
    size_t differ_link = 0;
    for (int i = 999; i >= 0; i--) {
        rung_link_state a;
        rung_link_state b;
        rung_link_look(&busy, 3, 1, i, &a);
        rung_link_look(&busy, 3, 1, i, &b);
        assert_true(a.congested == b.congested && a.interfered == b.interfered && a.until_s == b.until_s);
        rung_link_look(&busy, 4, 1, i, &b);
        differ_seed += a.congested != b.congested;
        rung_link_look(&busy, 3, 2, i, &b);
        differ_link += a.congested != b.congested;
    }
    assert_true(differ_seed > 200 && differ_link > 200); /* 320 expected */
}

/* A request by itself and one that a clock places at the same moment take the same time; two sizes see the same draws. */
static void virtual_time_is_real_time(void **state)
{
    (void)state;
    rung_link link = busy;
    link.jitter_ms = 3;
    link.loss = 0.2;
    size_t other = 0;
    for (uint64_t key = 0; key < 2000; key++) {
        rung_link_trip alone;
        rung_link_trip placed;
        rung_link_trip_begin(&alone, &link, 7, key, 1, -1);
        assert_true(alone.start_s >= 0 && alone.start_s < 0x1p24);
        rung_link_trip_begin(&placed, &link, 7, key, 1, alone.start_s);
        double up_s = rung_link_trip_up_s(&alone, 0, 4000);
        assert_true(up_s == rung_link_trip_up_s(&placed, alone.start_s, 4000));
        assert_true(up_s == rung_link_trip_up_s(&alone, 0, 4000));
        assert_true(rung_link_trip_down_s(&alone, up_s, 300) ==
                    rung_link_trip_down_s(&placed, alone.start_s + up_s, 300));
        assert_true(rung_link_trip_up_s(&alone, 0, 2000) <= up_s);
        rung_link_trip_begin(&placed, &link, 7, key, 1, alone.start_s + 100);
        other += rung_link_trip_up_s(&placed, alone.start_s + 100, 4000) != up_s;
    }
    assert_true(other > 200);
}

/* Each lost try waits for a timeout that doubles: with loss p and first timeout T the mean wait is p T (1 + 2p + 4p² + ...). */
static void loss_costs_timeouts(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    rung_link link = {.rtt_ms = 20, .up_bps = INFINITY, .down_bps = INFINITY, .loss = 0.1};
    double sum_s = 0;
    size_t lost = 0;
    for (uint64_t key = 0; key < COUNT; key++) {
        rung_link_trip trip;
        rung_link_trip_begin(&trip, &link, 1, key, 1, 0);
        double wait_s = rung_link_trip_up_s(&trip, 0, 100) - 0.010;
        size_t tries = 0;
        while (tries < 8 && wait_s > 0.22 * ((double)(1u << tries) - 0.5)) {
            tries++;
        }
        assert_true(fabs(wait_s - 0.22 * ((double)(1u << tries) - 1)) < 1e-9);
        lost += tries > 0;
        sum_s += wait_s;
        /* More loss never makes a message earlier. */
        rung_link worse = link;
        worse.loss = 0.3;
        trip.link = &worse;
        assert_true(rung_link_trip_up_s(&trip, 0, 100) >= 0.010 + wait_s);
    }
    assert_true(fabs((double)lost / COUNT - 0.1) < 0.004);
    assert_true(fabs(sum_s / COUNT - 0.1 * 0.22 / 0.8) < 0.002);
    /* Up and down are lost one without the other. */
    size_t both = 0;
    for (uint64_t key = 0; key < COUNT; key++) {
        rung_link_trip trip;
        rung_link_trip_begin(&trip, &link, 1, key, 1, 0);
        both += rung_link_trip_up_s(&trip, 0, 100) > 0.1 && rung_link_trip_down_s(&trip, 0, 100) > 0.1;
    }
    assert_true(fabs((double)both / COUNT - 0.01) < 0.002);
    /* A link that loses everything is late, but ends: 0.22 s doubled seven times. */
    link.loss = 1;
    rung_link_trip trip;
    rung_link_trip_begin(&trip, &link, 1, 1, 1, 0);
    assert_true(fabs(rung_link_trip_up_s(&trip, 0, 100) - 0.010 - 0.22 * 255) < 1e-9);
    link.rtt_ms = 1e6; /* no single timeout is above a minute */
    assert_true(fabs(rung_link_trip_up_s(&trip, 0, 100) - 500 - 480) < 1e-6);
}

/* What is sent just before or in a burst waits for its end; what spans a change of rate is the integral of the rate. */
static void transfers_integrate_the_rate(void **state)
{
    (void)state;
    rung_link link = busy;
    link.rtt_ms = 0;
    link.congestion.rtt_factor = 1;
    rung_link_trip trip;
    rung_link_trip_begin(&trip, &link, 3, 1, 1, 0);
    for (int i = 0; i < 300; i++) {
        double begin_s = 1.7 * i;
        double seconds = rung_link_trip_up_s(&trip, begin_s, 250000); /* 2 Mbit */
        double bits = 0;
        double at_s = begin_s;
        while (at_s < begin_s + seconds) {
            rung_link_state look;
            rung_link_look(&link, 3, 1, at_s, &look);
            double until_s = fmin(look.until_s, begin_s + seconds);
            bits += look.up_bps * (until_s - at_s);
            at_s = until_s;
        }
        assert_true(fabs(bits - 2e6) < 1);
        rung_link_state look;
        rung_link_look(&link, 3, 1, begin_s, &look);
        if (look.interfered) {
            assert_true(rung_link_trip_up_s(&trip, begin_s, 0) >= look.until_s - begin_s - 1e-9);
        }
    }
    /* So long that the mean rate counts: 1 Mbit/s, less 3/4 of a fifth, less a twentieth. */
    double seconds = rung_link_trip_up_s(&trip, 0, 125000 * (size_t)1000000);
    assert_true(fabs(seconds * 0.85 * 0.95 / 1e6 - 1) < 0.01);
    link.up_bps = INFINITY; /* sizes cost nothing, bursts do */
    size_t waited = 0;
    for (int i = 0; i < 4000; i++) {
        double wait_s = rung_link_trip_up_s(&trip, 1.7 * i, SIZE_MAX);
        assert_true(wait_s >= 0 && wait_s <= 0.75 + 1e-9);
        waited += wait_s > 0;
    }
    assert_true(waited > 150 && waited < 250);
}

static void congestion_of_all_time(void **state)
{
    (void)state;
    rung_link link = {.rtt_ms = 10,
                      .up_bps = 1e6,
                      .down_bps = 1e6,
                      .congestion = {.share = 1, .mean_s = 7, .slowdown = 2, .rtt_factor = 3}};
    assert_int_equal(rung_link_check(&link, NULL), RUNG_OK);
    for (int i = 0; i < 10000; i++) {
        rung_link_state look;
        rung_link_look(&link, 1, 1, 0.11 * i + 0.01, &look);
        assert_true(look.congested && look.rtt_ms == 30 && look.up_bps == 5e5);
    }
}

/* A trace takes the place of the figures that it has, and of those alone. */
static void traces_move_the_figures(void **state)
{
    (void)state;
    rung_link_trace *trace = NULL;
    assert_int_equal(rung_link_trace_new(&trace, NULL), RUNG_OK);
    const double rows[3][RUNG_TRACE_COLUMNS] = {{8000, NAN, 20, NAN}, {0, NAN, 40, NAN}, {16000, NAN, 60, NAN}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(rung_link_trace_add(trace, (double)i, rows[i], NULL), RUNG_OK);
    }
    assert_int_equal(rung_link_trace_finish(trace, NULL), RUNG_OK);
    rung_link link = {.rtt_ms = 1, .up_bps = 1, .down_bps = 8e6, .trace = trace};
    rung_link_trip trip;
    rung_link_trip_begin(&trip, &link, 1, 1, 1, 0);
    assert_true(fabs(rung_link_trip_up_s(&trip, 0, 500) - 0.010 - 0.5) < 1e-12);   /* 4,000 bits at 8 kbit/s */
    assert_true(fabs(rung_link_trip_up_s(&trip, 0.5, 500) - 0.010 - 0.5) < 1e-12); /* just done before the gap */
    assert_true(fabs(rung_link_trip_up_s(&trip, 0.5, 501) - 0.010 - 1.5005) < 1e-12);
    assert_true(fabs(rung_link_trip_up_s(&trip, 1.25, 0) - 0.020 - 0.75) < 1e-12); /* in the gap: wait for the next */
    assert_true(fabs(rung_link_trip_up_s(&trip, 2, 3000) - 0.030 - 2) < 1e-12);    /* over the end into the next pass */
    assert_true(fabs(rung_link_trip_up_s(&trip, 3e6 + 2, 3000) - 0.030 - 2) < 1e-6);
    assert_true(fabs(rung_link_trip_down_s(&trip, 1.5, 1000) - 0.020 - 0.001) < 1e-12); /* down is the link's own */
    /* A thousand hours of bits: 8,000 a second on average. */
    assert_true(fabs(rung_link_trip_up_s(&trip, 0, 3600000000) / 3.6e6 - 1) < 1e-4);
    rung_link_trace_free(trace);
}

static void extremes_stay_finite(void **state)
{
    (void)state;
    rung_link link = {.rtt_ms = 1e-6, .jitter_ms = 1e6, .up_bps = 1, .down_bps = 1};
    assert_int_equal(rung_link_check(&link, NULL), RUNG_OK);
    for (uint64_t r = 0; r < 2000; r++) {
        double seconds = transfer_s(&link, r, SIZE_MAX, SIZE_MAX);
        assert_true(isfinite(seconds) && seconds > 0);
    }
    link.loss = 1;
    link.congestion = (rung_link_congestion){.share = 1e-6, .mean_s = 1e-3, .slowdown = 1000, .rtt_factor = 1000};
    link.interference = (rung_link_interference){.every_s = 1e-3, .mean_s = 5e-4};
    assert_int_equal(rung_link_check(&link, NULL), RUNG_OK);
    const double moments[] = {-1, 0, 1e-300, 0x1p30, 1e18, 1e308, INFINITY, NAN, -INFINITY};
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        rung_link_trip trip;
        rung_link_trip_begin(&trip, &link, 1, i, 1, moments[i]);
        for (size_t j = 0; j < sizeof moments / sizeof moments[0]; j++) {
            double up_s = rung_link_trip_up_s(&trip, moments[j], i % 2 == 0 ? 0 : SIZE_MAX);
            assert_true(isfinite(up_s) && up_s >= 0);
        }
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
        cmocka_unit_test(plain_links_are_a_formula),
        cmocka_unit_test(shares_of_time),
        cmocka_unit_test(the_network_is_a_function_of_time),
        cmocka_unit_test(virtual_time_is_real_time),
        cmocka_unit_test(loss_costs_timeouts),
        cmocka_unit_test(transfers_integrate_the_rate),
        cmocka_unit_test(congestion_of_all_time),
        cmocka_unit_test(traces_move_the_figures),
        cmocka_unit_test(extremes_stay_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
