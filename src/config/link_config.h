/* link_config.h: the keys of one link into a link: a preset, a trace, figures, or a mixture. Called by cascade_config.c and node_config.c, wherever
 * a link can be given. Reads the trace's file. */
#ifndef RUNG_CONFIG_LINK_CONFIG_H
#define RUNG_CONFIG_LINK_CONFIG_H

#include "config/options.h"
#include "link/link.h"

/* For messages. */
#define RUNG_LINK_PRESETS "lan, wifi, 5g, 4g, satellite"
#define RUNG_LINK_FORMS "a preset (" RUNG_LINK_PRESETS "), a trace file, or {rtt, up, down, jitter}"

/* The first of the link's keys that a file or a flag gives; NULL: none, so there is no link. `first` is the row of its key RUNG_LINK_KEY_LINK, the
 * others follow it in the order of rung_link_key; `level` is 0 where the keys are not of a level. */
const rung_option_value *rung_link_config_given(const rung_options *options, rung_option_id first, uint32_t level);

/* Fills *link from the keys, of which at least one is given. A figure that is given stands over the preset's; a trace's columns stand over both,
 * and a figure that is given although the trace measured it is refused. With a trace that has round trips the preset's jitter is left out: the
 * rows vary by themselves. *trace is what the link lends, NULL without one; release it with rung_link_trace_free. `where` ("cascade.yaml:5:5")
 * starts the messages about what is missing. On failure *link and *trace are what they were. */
rung_status rung_link_config_fill(const rung_options *options, rung_option_id first, uint32_t level, const char *where,
                                  rung_link *link, rung_link_trace **trace, rung_error *error) RUNG_WARN_UNUSED;

#endif
