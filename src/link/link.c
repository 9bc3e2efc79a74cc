/* link.c: presets and the time that a request takes over a link. See link.h. Sources of the figures: beside each preset. */
#include "link/link.h"

#include "base/hash.h"
#include "base/math.h"

#include <math.h>
#include <string.h>

/* Where sources disagree, the figure lies among them, and the text says which they are. */
static const rung_link presets[] = {
    {"lan", 0.3, 0.1, 1e9, 1e9,
     "bandwidth: Gigabit Ethernet (IEEE 802.3ab), full duplex; RTT: typical ping through one switch, 0.2 to 0.5 ms, "
     "not a study"},
    {"wifi", 8, 6, 40e6, 50e6,
     "RTT: I. Grigorik, gist 4370730 (2012): median 3 to 8 ms to a home router, long tails; Pei et al., INFOCOM 2016: "
     "campus Wi-Fi hop, "
     "median of one case 50 ms before tuning and 10 ms after; jitter: chosen for a 95 % point of 21 ms; bandwidth: "
     "Silicon Labs SiWT917 application note, 802.11ax at 2.4 GHz, "
     "20 MHz, TCP: 46 Mbit/s up, 53 down in a shielded chamber, 38 and 42 as access point"},
    {"5g", 30, 10, 14.7e6, 129.9e6,
     "RTT: between Ofcom, Mobile Matters 2024 (means of 16.3 to 21.4 ms by operator, to the nearest server) and Raca "
     "et al., MMSys 2020 "
     "(median 67 ms under a saturating download); jitter: the relative spread of 4g; bandwidth: Ofcom, Mobile Matters "
     "2023, UK means of 14.7 Mbit/s up and 129.9 down"},
    {"4g", 60, 20, 7.6e6, 29.5e6,
     "RTT: Ofcom, 4G and 3G performance, 2015 (mean 53.1 ms) and Raca et al., MMSys 2020 (medians 67 to 77 ms under "
     "load); jitter: chosen for a 95 % point of 100 ms (Raca et al., static: 96); bandwidth: "
     "Ofcom, Mobile Matters 2023, UK means of 7.6 Mbit/s up and 29.5 down"},
    {"satellite", 26.3, 4, 14.8e6, 104.7e6,
     "RTT: FjordLink (ds-kiel), Starlink dish to point of presence, 2024-12-12: median 26.3 ms, standard deviation "
     "4.0; bandwidth: "
     "Ookla, Speedtest users of Starlink in the USA, first quarter of 2025: medians of 14.84 Mbit/s up and 104.71 "
     "down"},
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

rung_status rung_link_check(const rung_link *link, rung_error *error)
{
    if (!(link->rtt_ms >= 0 && link->rtt_ms <= 1e6)) {
        return rung_fail(error, RUNG_INVALID, "link.rtt is %g ms; it must be from 0 to 1000000 ms", link->rtt_ms);
    }
    if (!(link->jitter_ms >= 0 && link->jitter_ms <= 1e6)) {
        return rung_fail(error, RUNG_INVALID, "link.jitter is %g ms; it must be from 0 to 1000000 ms", link->jitter_ms);
    }
    if (link->jitter_ms > 0 && link->rtt_ms < 1e-6) {
        return rung_fail(
            error, RUNG_INVALID,
            "link.jitter is %g ms on a link whose rtt is %g ms; give rtt at least 0.000001 ms, or no jitter",
            link->jitter_ms, link->rtt_ms);
    }
    if (!(link->up_bps >= 1)) {
        return rung_fail(error, RUNG_INVALID, "link.up is %g bit/s; it must be 1 or above", link->up_bps);
    }
    if (!(link->down_bps >= 1)) {
        return rung_fail(error, RUNG_INVALID, "link.down is %g bit/s; it must be 1 or above", link->down_bps);
    }
    return RUNG_OK;
}

rung_prng rung_link_prng(uint64_t seed, uint64_t request_key, uint32_t link_index)
{
    uint8_t bytes[16] = "link"; /* apart from the offload coin, which hashes the level alone */
    for (unsigned i = 0; i < 8; i++) {
        bytes[8 + i] = (uint8_t)(request_key >> 8 * i);
    }
    for (unsigned i = 0; i < 4; i++) {
        bytes[4 + i] = (uint8_t)(link_index >> 8 * i);
    }
    return (rung_prng){.state = rung_xxh64(bytes, sizeof bytes, seed)};
}

double rung_link_rtt_s(const rung_link *link, rung_prng *prng)
{
    double z = rung_prng_normal(prng); /* drawn in any case: links with and without jitter use up the same numbers */
    if (link->jitter_ms <= 0) {
        return link->rtt_ms / 1000;
    }
    /* A log-normal with median m and sigma s has the variance m² e^(s²) (e^(s²) - 1); solved for e^(s²). */
    double ratio = link->jitter_ms / link->rtt_ms;
    double e = (1 + sqrt(1 + 4 * ratio * ratio)) / 2;
    double sigma = sqrt(rung_log(e));
    z = z > 3 ? 3 : z;
    z = z < -3 ? -3 : z;
    return link->rtt_ms / 1000 * rung_exp(sigma * z);
}

double rung_link_transfer_s(const rung_link *link, rung_prng *prng, size_t bytes_up, size_t bytes_down)
{
    return rung_link_rtt_s(link, prng) + 8 * (double)bytes_up / link->up_bps + 8 * (double)bytes_down / link->down_bps;
}
