/* network_case.h: networks and machines that an evaluation looks at beside the cascade's own: another link to the top level, or other speeds. Called by the
 * sections of the report. */
#ifndef RUNG_EVAL_NETWORK_CASE_H
#define RUNG_EVAL_NETWORK_CASE_H

#include "plan/study.h"

/* Filled in place, as the network points into it: not to be copied. */
typedef struct rung_network_case {
    char name[64];
    rung_link links[RUNG_MAX_LEVELS];
    double speeds[RUNG_MAX_LEVELS];
    rung_network network;
    bool is_configured; /* the same as the cascade's own */
} rung_network_case;

/* The cascade's own. */
void rung_network_case_own(const rung_cascade *cascade, rung_network_case *out);

/* The link is the one to the top level; those below are the cascade's. What it lends must outlive the case. */
void rung_network_case_link(const rung_cascade *cascade, const rung_link *link, rung_network_case *out);

/* Every level's speed times `factor` > 0; named "NAME". */
void rung_network_case_speed(const rung_cascade *cascade, double factor, const char *name, rung_network_case *out);

/* A link that was measured: the trace's columns, and what it has not from the preset `rest`. name: of the file, without its directory. The trace is
 * lent. */
rung_link rung_network_trace_link(const rung_link_trace *trace, const rung_link *rest, const char *name);

#endif
