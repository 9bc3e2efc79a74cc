/* link.h: what a link between two levels is, and how long a request takes over it, in virtual time. The same model serves the
 * in-process cascade, the evaluation and later the simulator. Used by src/config (the key `link`) and src/run. Knows no clock, socket,
 * level or request beyond its key. Loss, congestion and traces come later. */
#ifndef RUNG_LINK_LINK_H
#define RUNG_LINK_LINK_H

#include "base/prng.h"
#include "base/status.h"

/* The round-trip time is log-normal: its median is rtt_ms, its standard deviation jitter_ms. Measured round trips are skewed like that:
 * the satellite preset's 5 %, 50 % and 95 % points are 20.6, 26.3 and 33.5 ms against 22.4, 26.3 and 34.9 ms measured. It is cut at three
 * standard deviations of the logarithm on both sides, so that it is bounded and never negative. */
typedef struct rung_link {
    char name[32];      /* of the preset, or "custom" */
    double rtt_ms;      /* median round trip of an empty message, >= 0 */
    double jitter_ms;   /* standard deviation of it, >= 0; needs rtt_ms > 0 */
    double up_bps;      /* bits a second towards the upper level, > 0; infinity: sizes cost nothing */
    double down_bps;    /* and back */
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

/* Seconds of one round trip; takes its random numbers from *prng. */
double rung_link_rtt_s(const rung_link *link, rung_prng *prng);

/* Seconds from sending bytes_up until bytes_down are back, the upper level's own time apart: one round trip and both sizes
 * over their bandwidths (Eq 2 with the round trip and the way back, which the paper leaves out). */
double rung_link_transfer_s(const rung_link *link, rung_prng *prng, size_t bytes_up, size_t bytes_down);

#endif
