/* link.c: presets, the network at a moment, and the time that a request takes over it. See link.h and docs/links.md. Sources of the
 * presets' figures: beside each; of the retransmission timeout: RFC 6298, with Linux's least variation of 200 ms. */
#include "link/link.h"

#include "base/hash.h"
#include "base/math.h"

#include <math.h>
#include <string.h>

#define CLOCK_WRAP_S 0x1p30 /* doubles still tell microseconds apart below it */
#define DRAWN_SPAN_S 0x1p24 /* moments of requests by themselves: half a year */
#define MIN_STEP_S 1e-6     /* a change that rounding puts before its own moment must not stop the clock */
#define MAX_STEPS 16384     /* changes of the rate in one transfer; what is longer goes on at the mean rate */
#define MIN_RTO_S 0.2
#define MAX_RTO_S 60.0
#define MAX_LOSSES 8 /* in a row; the ninth try, most of a minute late, arrives */

enum { UP, DOWN };

/* Where sources disagree, the figure lies among them, and the text says which they are. Loss is 0 where there is no source for what
 * the link layer's own retransmissions leave over. */
static const rung_link presets[] = {
    {.name = "lan",
     .rtt_ms = 0.3,
     .jitter_ms = 0.1,
     .up_bps = 1e9,
     .down_bps = 1e9,
     .source =
         "bandwidth: Gigabit Ethernet (IEEE 802.3ab), full duplex; RTT: typical ping through one switch, 0.2 to 0.5 "
         "ms, not a study"},
    {.name = "wifi",
     .rtt_ms = 8,
     .jitter_ms = 6,
     .up_bps = 40e6,
     .down_bps = 50e6,
     .source =
         "RTT: I. Grigorik, gist 4370730 (2012): median 3 to 8 ms to a home router, long tails; Pei et al., INFOCOM "
         "2016: campus Wi-Fi hop, median of one case 50 ms before tuning and 10 ms after; jitter: chosen for a 95 % "
         "point of 21 ms; bandwidth: Silicon Labs SiWT917 application note, 802.11ax at 2.4 GHz, 20 MHz, TCP: 46 "
         "Mbit/s up, 53 down in a shielded chamber, 38 and 42 as access point"},
    {.name = "5g",
     .rtt_ms = 30,
     .jitter_ms = 10,
     .up_bps = 14.7e6,
     .down_bps = 129.9e6,
     .source =
         "RTT: between Ofcom, Mobile Matters 2024 (means of 16.3 to 21.4 ms by operator, to the nearest server) and "
         "Raca et al., MMSys 2020 (median 67 ms under a saturating download); jitter: the relative spread of 4g; "
         "bandwidth: Ofcom, Mobile Matters 2023, UK means of 14.7 Mbit/s up and 129.9 down"},
    {.name = "4g",
     .rtt_ms = 60,
     .jitter_ms = 20,
     .up_bps = 7.6e6,
     .down_bps = 29.5e6,
     .source =
         "RTT: Ofcom, 4G and 3G performance, 2015 (mean 53.1 ms) and Raca et al., MMSys 2020 (medians 67 to 77 ms "
         "under load); jitter: chosen for a 95 % point of 100 ms (Raca et al., static: 96); bandwidth: Ofcom, Mobile "
         "Matters 2023, UK means of 7.6 Mbit/s up and 29.5 down"},
    {.name = "satellite",
     .rtt_ms = 26.3,
     .jitter_ms = 4,
     .up_bps = 14.8e6,
     .down_bps = 104.7e6,
     .loss = 0.0006,
     .source =
         "RTT: FjordLink (ds-kiel), Starlink dish to point of presence, 2024-12-12: median 26.3 ms, standard deviation "
         "4.0; loss: the same hour: 0.115 % of pings, half of it in each direction; bandwidth: Ookla, Speedtest users "
         "of Starlink in the USA, first quarter of 2025: medians of 14.84 Mbit/s up and 104.71 down"},
};

#define NUM_PRESETS (sizeof presets / sizeof presets[0])

const rung_link *rung_link_presets(size_t *count)
{
    *count = NUM_PRESETS;
    return presets;
}

rung_status rung_link_find(const char *name, rung_link *link, rung_error *error)
{
    for (size_t i = 0; i < NUM_PRESETS; i++) {
        if (strcmp(presets[i].name, name) == 0) {
            *link = presets[i];
            return RUNG_OK;
        }
    }
    return rung_fail(error, RUNG_NOT_FOUND,
                     "link \"%.64s\" is unknown; use lan, wifi, 5g, 4g, satellite or {rtt, up, down, jitter}", name);
}

static rung_status check_range(const char *field, double value, double min, double max, const char *unit,
                               rung_error *error)
{
    if (!(value >= min && value <= max)) {
        return rung_fail(error, RUNG_INVALID, "link.%s is %g%s; it must be from %.15g to %.15g%s", field, value, unit,
                         min, max, unit);
    }
    return RUNG_OK;
}

static rung_status check_congestion(const rung_link_congestion *congestion, rung_error *error)
{
    if (!(congestion->share >= 0 && congestion->share <= 1)) {
        return check_range("congestion.share", congestion->share, 0, 1, "", error);
    }
    if (congestion->share <= 0) {
        return RUNG_OK;
    }
    rung_status status = check_range("congestion.share", congestion->share, 1e-6, 1, "", error);
    if (status == RUNG_OK) {
        status = check_range("congestion.duration", congestion->mean_s, 1e-3, 1e6, " s", error);
    }
    if (status == RUNG_OK) {
        status = check_range("congestion.slowdown", congestion->slowdown, 1, 1000, "", error);
    }
    return status == RUNG_OK ? check_range("congestion.rtt_factor", congestion->rtt_factor, 1, 1000, "", error)
                             : status;
}

static rung_status check_interference(const rung_link_interference *interference, rung_error *error)
{
    double mean_s = interference->mean_s;
    double every_s = interference->every_s;
    if (!(mean_s >= 0)) {
        return check_range("interference.duration", mean_s, 0, 1e6, " s", error);
    }
    if (mean_s <= 0) {
        return RUNG_OK;
    }
    rung_status status = check_range("interference.every", every_s, 1e-3, 1e6, " s", error);
    if (status == RUNG_OK && !(mean_s <= every_s / 2)) {
        return rung_fail(error, RUNG_INVALID,
                         "link.interference.duration is %g s; it must be at most half of every, %g s", mean_s,
                         every_s / 2);
    }
    return status;
}

rung_status rung_link_check(const rung_link *link, rung_error *error)
{
    rung_status status = check_range("rtt", link->rtt_ms, 0, 1e6, " ms", error);
    if (status == RUNG_OK) {
        status = check_range("jitter", link->jitter_ms, 0, 1e6, " ms", error);
    }
    if (status == RUNG_OK && link->jitter_ms > 0 && link->rtt_ms < 1e-6) {
        return rung_fail(
            error, RUNG_INVALID,
            "link.jitter is %g ms on a link whose rtt is %g ms; give rtt at least 0.000001 ms, or no jitter",
            link->jitter_ms, link->rtt_ms);
    }
    if (status == RUNG_OK && !(link->up_bps >= 1)) {
        return rung_fail(error, RUNG_INVALID, "link.up is %g bit/s; it must be 1 or above", link->up_bps);
    }
    if (status == RUNG_OK && !(link->down_bps >= 1)) {
        return rung_fail(error, RUNG_INVALID, "link.down is %g bit/s; it must be 1 or above", link->down_bps);
    }
    if (status == RUNG_OK) {
        status = check_range("loss", link->loss, 0, 1, "", error);
    }
    if (status == RUNG_OK) {
        status = check_congestion(&link->congestion, error);
    }
    return status == RUNG_OK ? check_interference(&link->interference, error) : status;
}

/* Hash of what sets the random numbers of one purpose apart from those of the others. */
static uint64_t mix(const char purpose[static 4], uint32_t link_index, uint64_t which, uint64_t seed)
{
    uint8_t bytes[16];
    memcpy(bytes, purpose, 4);
    for (unsigned i = 0; i < 4; i++) {
        bytes[4 + i] = (uint8_t)(link_index >> 8 * i);
    }
    for (unsigned i = 0; i < 8; i++) {
        bytes[8 + i] = (uint8_t)(which >> 8 * i);
    }
    return rung_xxh64(bytes, sizeof bytes, seed);
}

rung_prng rung_link_prng(uint64_t seed, uint64_t request_key, uint32_t link_index)
{
    /* "link": apart from the offload coin, which hashes the level alone. */
    return (rung_prng){.state = mix("link", link_index, request_key, seed)};
}

/* The round trip whose median is rtt_ms, at the point `normal` of its distribution. */
static double rtt_at_s(double rtt_ms, double jitter_ms, double normal)
{
    if (jitter_ms <= 0 || rtt_ms < 1e-6) {
        return rtt_ms / 1000;
    }
    /* A log-normal with median m and sigma s has the variance m² e^(s²) (e^(s²) - 1); solved for e^(s²). */
    double ratio = jitter_ms / rtt_ms;
    double e = (1 + sqrt(1 + 4 * ratio * ratio)) / 2;
    double sigma = sqrt(rung_log(e));
    double z = normal > 3 ? 3 : normal;
    z = z < -3 ? -3 : z;
    return rtt_ms / 1000 * rung_exp(sigma * z);
}

double rung_link_rtt_s(const rung_link *link, rung_prng *prng)
{
    double normal = rung_prng_normal(prng); /* drawn in any case: all links use up the same numbers */
    return rtt_at_s(link->rtt_ms, link->jitter_ms, normal);
}

/* Whether now_s lies in an episode: one in each window of every_s, mean_s long on average. *until_s becomes the earlier of itself and
 * the moment at which this changes. */
static bool in_episode(const char purpose[static 4], uint64_t seed, uint32_t link_index, double every_s, double mean_s,
                       double now_s, double *until_s)
{
    double window = floor(now_s / every_s);
    rung_prng prng = {mix(purpose, link_index, (uint64_t)window, seed)};
    /* From half of the mean to three halves, or as far as an episode fits into its window. */
    double spread = every_s / mean_s - 1;
    spread = spread > 0.5 ? 0.5 : spread;
    double length_s = mean_s * (1 + spread * (2 * rung_prng_uniform(&prng) - 1));
    double begin_s = window * every_s + rung_prng_uniform(&prng) * (every_s - length_s);
    double end_s = begin_s + length_s;
    bool inside = now_s >= begin_s && now_s < end_s;
    double change_s = now_s < begin_s ? begin_s : inside ? end_s : (window + 1) * every_s;
    *until_s = change_s < *until_s ? change_s : *until_s;
    return inside;
}

static void look_at_trace(const rung_link_trace *trace, double now_s, rung_link_state *state)
{
    double *const fields[RUNG_TRACE_COLUMNS] = {
        [RUNG_TRACE_UP] = &state->up_bps,
        [RUNG_TRACE_DOWN] = &state->down_bps,
        [RUNG_TRACE_RTT] = &state->rtt_ms,
        [RUNG_TRACE_LOSS] = &state->loss,
    };
    const rung_link_trace_row *row = rung_link_trace_at(trace, now_s, &state->until_s);
    for (size_t c = 0; c < RUNG_TRACE_COLUMNS; c++) {
        *fields[c] = trace->has[c] ? row->value[c] : *fields[c];
    }
}

static double clock_s(double now_s)
{
    return now_s >= 0 && isfinite(now_s) ? fmod(now_s, CLOCK_WRAP_S) : 0;
}

/* now_s: from clock_s, or a little beyond. */
static void look(const rung_link *link, uint64_t seed, uint32_t link_index, double now_s, rung_link_state *state)
{
    const rung_link_congestion *congestion = &link->congestion;
    const rung_link_interference *interference = &link->interference;
    *state = (rung_link_state){.rtt_ms = link->rtt_ms,
                               .up_bps = link->up_bps,
                               .down_bps = link->down_bps,
                               .loss = link->loss,
                               .until_s = INFINITY};
    if (link->trace != NULL) {
        look_at_trace(link->trace, now_s, state);
    }
    if (congestion->share > 0 && in_episode("cong", seed, link_index, congestion->mean_s / congestion->share,
                                            congestion->mean_s, now_s, &state->until_s)) {
        state->congested = true;
        state->rtt_ms *= congestion->rtt_factor;
        state->up_bps /= congestion->slowdown;
        state->down_bps /= congestion->slowdown;
    }
    if (interference->mean_s > 0 &&
        in_episode("intf", seed, link_index, interference->every_s, interference->mean_s, now_s, &state->until_s)) {
        state->interfered = true;
        state->up_bps = 0;
        state->down_bps = 0;
    }
}

void rung_link_look(const rung_link *link, uint64_t seed, uint32_t link_index, double now_s, rung_link_state *state)
{
    double wrapped_s = clock_s(now_s);
    look(link, seed, link_index, wrapped_s, state);
    state->until_s += (now_s >= 0 && isfinite(now_s) ? now_s : 0) - wrapped_s;
}

void rung_link_trip_begin(rung_link_trip *trip, const rung_link *link, uint64_t seed, uint64_t request_key,
                          uint32_t link_index, double now_s)
{
    rung_prng prng = rung_link_prng(seed, request_key, link_index);
    *trip = (rung_link_trip){.link = link, .seed = seed, .link_index = link_index};
    /* Each draw is made in any case, so that two links, or two moments, differ in nothing but what they say. */
    trip->normal = rung_prng_normal(&prng);
    trip->loss_state[UP] = rung_prng_next(&prng);
    trip->loss_state[DOWN] = rung_prng_next(&prng);
    double drawn_s = rung_prng_uniform(&prng) * DRAWN_SPAN_S;
    trip->start_s = now_s < 0 ? drawn_s : 0;
}

/* Over a long time. */
static double mean_bps(const rung_link *link, int direction)
{
    const rung_link_trace *trace = link->trace;
    rung_trace_column column = direction == UP ? RUNG_TRACE_UP : RUNG_TRACE_DOWN;
    double bps = direction == UP ? link->up_bps : link->down_bps;
    bps = trace != NULL && trace->has[column] ? trace->mean[column] : bps;
    if (link->congestion.share > 0) {
        bps *= 1 - link->congestion.share + link->congestion.share / link->congestion.slowdown;
    }
    if (link->interference.mean_s > 0) {
        bps *= 1 - link->interference.mean_s / link->interference.every_s;
    }
    return bps;
}

/* Seconds that the bytes take from now_s on, while the rate changes under them. */
static double transfer_s(const rung_link_trip *trip, int direction, double now_s, size_t bytes)
{
    double bits = 8 * (double)bytes;
    double elapsed_s = 0;
    for (int step = 0; step < MAX_STEPS; step++) {
        rung_link_state state;
        look(trip->link, trip->seed, trip->link_index, now_s + elapsed_s, &state);
        double bps = direction == UP ? state.up_bps : state.down_bps;
        double left_s = state.until_s - (now_s + elapsed_s);
        left_s = left_s < MIN_STEP_S ? MIN_STEP_S : left_s;
        if (bps > 0 && bits / bps <= left_s) {
            return elapsed_s + bits / bps;
        }
        bits -= bps > 0 ? bps * left_s : 0; /* less than bits, so finite */
        elapsed_s += left_s;
    }
    return elapsed_s + bits / mean_bps(trip->link, direction);
}

/* Seconds until the try that arrives. A lost one is noticed when the timeout passes, which doubles each time (RFC 6298, 2.3 and 5.5). */
static double retransmit_s(const rung_link_trip *trip, int direction, double now_s)
{
    rung_prng prng = {trip->loss_state[direction]};
    double waited_s = 0;
    double timeout_s = 0;
    for (int losses = 0; losses < MAX_LOSSES; losses++) {
        rung_link_state state;
        look(trip->link, trip->seed, trip->link_index, now_s + waited_s, &state);
        if (rung_prng_uniform(&prng) >= state.loss) {
            break;
        }
        double variation_s = 4 * trip->link->jitter_ms / 1000;
        double first_s = state.rtt_ms / 1000 + (variation_s > MIN_RTO_S ? variation_s : MIN_RTO_S);
        timeout_s = losses == 0 ? first_s : 2 * timeout_s;
        timeout_s = timeout_s > MAX_RTO_S ? MAX_RTO_S : timeout_s;
        waited_s += timeout_s;
    }
    return waited_s;
}

static double way_s(const rung_link_trip *trip, int direction, double now_s, size_t bytes)
{
    double sent_s = clock_s(trip->start_s + now_s);
    double waited_s = retransmit_s(trip, direction, sent_s);
    rung_link_state state;
    look(trip->link, trip->seed, trip->link_index, sent_s + waited_s, &state);
    /* Congestion lengthens the round trip of every request by the same factor, so its jitter, too. */
    double factor = state.congested ? trip->link->congestion.rtt_factor : 1;
    double rtt_s = factor * rtt_at_s(state.rtt_ms / factor, trip->link->jitter_ms, trip->normal);
    return waited_s + (rtt_s / 2 + transfer_s(trip, direction, sent_s + waited_s, bytes));
}

double rung_link_trip_up_s(const rung_link_trip *trip, double now_s, size_t bytes)
{
    return way_s(trip, UP, now_s, bytes);
}

double rung_link_trip_down_s(const rung_link_trip *trip, double now_s, size_t bytes)
{
    return way_s(trip, DOWN, now_s, bytes);
}
