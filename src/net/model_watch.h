/* model_watch.h: asks every address of a server of another kind what model it has (protocol.h, identify): when the watch begins, from time to time, and when
 * it is told to. On the owner's loop; every function is called from its thread. Knows no calibration: it tells what it saw. Called by src/serve and
 * remote_client.c. */
#ifndef RUNG_NET_MODEL_WATCH_H
#define RUNG_NET_MODEL_WATCH_H

#include "net/protocol.h"
#include "net/upstream.h"

#define RUNG_MODEL_WATCH_S 60.0 /* how often a node looks */

typedef struct rung_model_watch rung_model_watch;

/* Lent until rung_model_watch_create returns. */
typedef struct rung_model_watch_options {
    const char *const *addresses; /* [num_addresses] as of rung_upstream_options */
    size_t num_addresses;
    const rung_protocol *protocol; /* that has identify */
    const rung_remote *remote;
    const char *ca_file; /* NULL: the system's */
    const char *token;   /* NULL: none */
    double every_s;      /* infinity: only at first and when told to */
    /* From the loop: what address `address` said. identity NULL: nothing that could be read, and why, one line. */
    void (*seen)(void *context, size_t address, const rung_model_identity *identity, const char *why);
    void *context;
} rung_model_watch_options;

/* The first look begins with the loop. Errors as of rung_upstream_create. */
rung_status rung_model_watch_create(rung_loop *loop, const rung_model_watch_options *options, rung_model_watch **watch,
                                    rung_error *error) RUNG_WARN_UNUSED;
/* Not from within `seen`. */
void rung_model_watch_free(rung_model_watch *watch);

/* Looks at an address now, unless it is doing so. */
void rung_model_watch_look(rung_model_watch *watch, size_t address);

#endif
