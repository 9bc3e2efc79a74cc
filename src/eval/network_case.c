/* network_case.c: links and speeds that replace the cascade's. See network_case.h. */
#include "eval/network_case.h"

#include <stdio.h>
#include <string.h>

static bool same_link(const rung_link *a, const rung_link *b)
{
    const rung_link_congestion *p = &a->congestion;
    const rung_link_congestion *q = &b->congestion;
    bool same_congestion =
        p->share == q->share &&
        (p->share <= 0 || (p->mean_s == q->mean_s && p->slowdown == q->slowdown && p->rtt_factor == q->rtt_factor));
    return a->rtt_ms == b->rtt_ms && a->jitter_ms == b->jitter_ms && a->up_bps == b->up_bps &&
           a->down_bps == b->down_bps && a->loss == b->loss && a->trace == b->trace && same_congestion &&
           a->interference.every_s == b->interference.every_s && a->interference.mean_s == b->interference.mean_s;
}

void rung_network_case_own(const rung_cascade *cascade, rung_network_case *out)
{
    *out = (rung_network_case){.name = "as configured", .is_configured = true};
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        out->links[l] = cascade->level[l].link;
        out->speeds[l] = cascade->level[l].speed;
    }
    out->network = (rung_network){.name = out->name, .links = out->links, .speeds = out->speeds};
}

void rung_network_case_link(const rung_cascade *cascade, const rung_link *link, rung_network_case *out)
{
    uint32_t top = cascade->num_levels - 1;
    rung_network_case_own(cascade, out);
    snprintf(out->name, sizeof out->name, "%s", link->name);
    out->is_configured = same_link(&out->links[top], link);
    out->links[top] = *link;
}

void rung_network_case_speed(const rung_cascade *cascade, double factor, const char *name, rung_network_case *out)
{
    rung_network_case_own(cascade, out);
    snprintf(out->name, sizeof out->name, "%s", name);
    out->is_configured = factor == 1;
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        out->speeds[l] *= factor;
    }
}

rung_link rung_network_trace_link(const rung_link_trace *trace, const rung_link *rest, const char *name)
{
    rung_link link = *rest;
    const struct {
        rung_trace_column column;
        double *figure;
    } figures[] = {{RUNG_TRACE_RTT, &link.rtt_ms},
                   {RUNG_TRACE_UP, &link.up_bps},
                   {RUNG_TRACE_DOWN, &link.down_bps},
                   {RUNG_TRACE_LOSS, &link.loss}};
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        if (trace->has[figures[i].column]) {
            *figures[i].figure = trace->mean[figures[i].column];
        }
    }
    /* The rows vary by themselves. */
    link.jitter_ms = trace->has[RUNG_TRACE_RTT] ? 0 : link.jitter_ms;
    link.trace = trace;
    link.source = NULL;
    snprintf(link.name, sizeof link.name, "%s", name);
    return link;
}
