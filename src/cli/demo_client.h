/* demo_client.h: asks a node for the class of one text and reads its answer back, for `rung demo` and `rung eval --live`. */
#ifndef RUNG_CLI_DEMO_CLIENT_H
#define RUNG_CLI_DEMO_CLIENT_H

#include "run/cascade.h"

typedef struct demo_client demo_client;

rung_status demo_client_open(const char *url, const rung_cascade *cascade, demo_client **client,
                             rung_error *error) RUNG_WARN_UNUSED;
void demo_client_close(demo_client *client);

/* One POST /v1/classify under `policy`; NULL: the node's own, without a name in the bodies. latency_ms of the answer is what the node measured, *wall_ms what this client did. *block owns the
 * answer's memory: free() it. */
rung_status demo_client_ask(demo_client *client, const char *policy, const rung_input *input, rung_answer *answer,
                            double *wall_ms, void **block, rung_error *error) RUNG_WARN_UNUSED;

#endif
