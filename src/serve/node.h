/* node.h: one level of a cascade as a server: HTTP in, the level's model on worker threads, the next level through the upstream client, all
 * around one event loop. Called by `rung serve`, the benches and the tests. Prints nothing: log lines go to a callback. */
#ifndef RUNG_SERVE_NODE_H
#define RUNG_SERVE_NODE_H

#include "config/node_config.h"
#include "run/cascade.h"

typedef struct rung_node rung_node;

typedef struct rung_node_options {
    rung_open_options open; /* kernels and threads, as for a cascade */
    uint64_t seed; /* of what is random by purpose: the node's id when none is configured, the back-off of circuits */
    /* Reads the configuration again, for a reload; called from a thread of its own. NULL: reloads are refused. */
    rung_status (*reload)(void *context, rung_node_config *config, rung_error *error);
    /* One line with its newline, from the loop's thread. NULL: no log. */
    void (*log)(void *context, const char *line, size_t bytes);
    void *context;
} rung_node_options;

/* Opens the model and listens. Takes config over, also on failure. */
rung_status rung_node_create(rung_node_config *config, const rung_node_options *options, rung_node **node,
                             rung_error *error) RUNG_WARN_UNUSED;
void rung_node_free(rung_node *node);

/* "http://127.0.0.1:8080"; lives as long as the node. */
const char *rung_node_url(const rung_node *node);

/* Serves until it has drained after rung_node_drain. RUNG_IO: the loop failed, or not everything was finished within drain_s. */
rung_status rung_node_run(rung_node *node, rung_error *error) RUNG_WARN_UNUSED;

/* From any thread or signal handler. drain: health says 503, new connections are refused, what was accepted is finished, and rung_node_run returns.
 * reload: configuration and model are read again and replace the old ones when all is well; otherwise the old ones stay and the log says why. */
void rung_node_drain(rung_node *node);
void rung_node_reload(rung_node *node);

#endif
