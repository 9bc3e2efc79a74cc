/* link.h: what a link between two levels is, and how long a request takes over it: one model for virtual and real time. The in-process cascade,
 * the client of the next level and the simulator use it; src/config fills it. Knows no clock, socket, level or request beyond its key. The
 * model and the sources of its figures: docs/links.md.
 *
 * What the network does at a moment (congestion, bursts, the row of the trace) is a function of seed, link and moment alone: nothing is kept
 * between calls, so that any thread may ask about any moment in any order, and virtual and real time see the same network. */
#ifndef RUNG_LINK_LINK_H
#define RUNG_LINK_LINK_H

#include "base/prng.h"
#include "base/status.h"
#include "link/trace.h"

/* The link is congested for `share` of the time, in episodes of `mean_s` on average. Time is cut into windows of mean_s / share with one
 * episode in each: its length is drawn around the mean, its start anywhere where it fits. */
typedef struct rung_link_congestion {
    double share;      /* 0: never, else 1e-6 .. 1 */
    double mean_s;     /* 0.001 .. 1e6 */
    double slowdown;   /* rates are divided by it, 1 .. 1000 */
    double rtt_factor; /* the round trip is multiplied by it, 1 .. 1000 */
} rung_link_congestion;

/* Bursts in which nothing gets through; what is on its way waits for their end. One in each window of every_s, drawn as above. */
typedef struct rung_link_interference {
    double every_s; /* 0.001 .. 1e6 */
    double mean_s;  /* of a burst, at most half of every_s; 0: none */
} rung_link_interference;

/* The round-trip time is log-normal: its median is rtt_ms, its standard deviation jitter_ms. Measured round trips are skewed like that:
 * the satellite preset's 5 %, 50 % and 95 % points are 20.6, 26.3 and 33.5 ms against 22.4, 26.3 and 34.9 ms measured. It is cut at three
 * standard deviations of the logarithm on both sides, so that it is bounded and never negative. */
typedef struct rung_link {
    char name[32];    /* of the preset or the trace's file, or "custom" */
    double rtt_ms;    /* median round trip of an empty message, >= 0 */
    double jitter_ms; /* standard deviation of it, >= 0; needs rtt_ms > 0 */
    double up_bps;    /* bits a second towards the upper level, > 0; infinity: sizes cost nothing */
    double down_bps;  /* and back */
    double loss;      /* share of messages lost, in each direction, 0 .. 1; each loss costs a retransmission timeout */
    rung_link_congestion congestion;
    rung_link_interference interference;
    const rung_link_trace
        *trace; /* NULL: none. Its columns take the place of the figures above, which are then their means. Lent. */
    const char *source; /* where the figures come from; static storage, NULL for a custom link */
} rung_link;

/* The presets lan, wifi, 5g, 4g and satellite, in that order; static storage. */
const rung_link *rung_link_presets(size_t *count);

/* Copies the preset of that name. RUNG_NOT_FOUND lists the names. */
rung_status rung_link_find(const char *name, rung_link *link, rung_error *error) RUNG_WARN_UNUSED;

/* Every field of a link that was read from a file inside its range, else RUNG_INVALID names field, value and limit. */
rung_status rung_link_check(const rung_link *link, rung_error *error) RUNG_WARN_UNUSED;

/* The random numbers of one request on one link. They depend on these three alone, so that every policy and every run sees the same
 * network for the same request: give the seed of the network and a key of the request that do not depend on the policy. link_index: 1
 * for the link from level 1 to level 2, and so on. */
rung_prng rung_link_prng(uint64_t seed, uint64_t request_key, uint32_t link_index);

/* Seconds of one round trip without congestion and trace; takes its random numbers from *prng. */
double rung_link_rtt_s(const rung_link *link, rung_prng *prng);

/* The network at a moment. */
typedef struct rung_link_state {
    double rtt_ms; /* median */
    double up_bps; /* 0: nothing gets through */
    double down_bps;
    double loss;
    bool congested;
    bool interfered;
    double until_s; /* it stays like this until then, on the same clock; infinity: always */
} rung_link_state;

/* now_s: on the network's clock, from its start. Negative or no number: 0. It wraps after 2^30 s, 34 years. */
void rung_link_look(const rung_link *link, uint64_t seed, uint32_t link_index, double now_s, rung_link_state *state);

/* One request on its way over a link and back, in virtual or in real time: Eq 2 with the round trip and the way back, which the paper leaves
 * out. Half of the round trip is spent in each direction. The link is lent. */
typedef struct rung_link_trip {
    const rung_link *link;
    uint64_t seed;
    uint32_t link_index;
    double start_s;         /* on the network's clock; added to every now_s */
    double normal;          /* places this request's round trip in the distribution */
    uint64_t loss_state[2]; /* of the random numbers that say which tries are lost: up, down */
} rung_link_trip;

/* now_s: on the network's clock, from its start. Negative: the moment is drawn from seed and key (a request by itself, in virtual time). */
void rung_link_trip_begin(rung_link_trip *trip, const rung_link *link, uint64_t seed, uint64_t request_key,
                          uint32_t link_index, double now_s);

/* Seconds from sending the first byte at now_s (of the same clock as in begin; seconds since begin when that was negative) until the last
 * one has arrived. Finite and >= 0 for a link that passes rung_link_check. The same call gives the same result. */
double rung_link_trip_up_s(const rung_link_trip *trip, double now_s, size_t bytes);
double rung_link_trip_down_s(const rung_link_trip *trip, double now_s, size_t bytes);

#endif
