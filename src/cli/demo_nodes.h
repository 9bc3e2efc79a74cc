/* demo_nodes.h: the levels of a cascade as processes on loopback, each `rung serve` of this program, for `rung demo` and `rung eval --live`. */
#ifndef RUNG_CLI_DEMO_NODES_H
#define RUNG_CLI_DEMO_NODES_H

#include "config/options.h"
#include "run/cascade.h"

#include <sys/types.h>

typedef struct demo_node {
    pid_t pid; /* 0: not started, or ended and told of */
    char url[96];
} demo_node;

typedef struct demo_nodes {
    uint32_t count;
    demo_node node[RUNG_MAX_LEVELS]; /* by level - 1 */
} demo_nodes;

/* Starts them from the top down on free ports, each with the next one's address and the cascade's link to it, and waits until they serve. The flags that
 * the user gave for the cascade are theirs too. They end with this process, however it ends. Zero-initialise; release with demo_nodes_stop,
 * also after a failure. */
rung_status demo_nodes_start(demo_nodes *nodes, const rung_options *options, const rung_cascade *cascade,
                             rung_error *error) RUNG_WARN_UNUSED;

/* SIGTERM to all, SIGKILL to those that have not ended after a few seconds. */
void demo_nodes_stop(demo_nodes *nodes);

/* The level (1-based) of a process that ended by itself since the last call, and how; 0: none. */
uint32_t demo_nodes_ended(demo_nodes *nodes, int *wait_status);

#endif
