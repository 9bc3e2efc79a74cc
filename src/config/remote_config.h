/* remote_config.h: a level whose model another server runs: what cascade.yaml (levels[].remote) or node.yaml (upstream) says of how to ask it. Called by
 * cascade_config.c and node_config.c. Opens no socket and no file. */
#ifndef RUNG_CONFIG_REMOTE_CONFIG_H
#define RUNG_CONFIG_REMOTE_CONFIG_H

#include "config/options.h"

#define RUNG_MAX_UPSTREAM_ADDRESSES 16
#define RUNG_REMOTE_NAME_BYTES 128 /* the longest name of a model or input there */

/* In the order of the choices of upstream.protocol. */
typedef enum rung_protocol_id {
    RUNG_PROTOCOL_RUNG, /* a rung node */
    RUNG_PROTOCOL_TEI,  /* Text Embeddings Inference */
    RUNG_PROTOCOL_V2,   /* Open Inference Protocol, version 2 */
} rung_protocol_id;

const char *rung_protocol_name(rung_protocol_id protocol); /* "rung", "tei", "v2" */

/* How the level above is asked. Zero-initialise (a rung node); release with rung_remote_deinit. */
typedef struct rung_remote {
    rung_protocol_id protocol;
    char *model;       /* V2: its name there; letters, digits, '.', '_', '~' and '-'; NULL with other protocols */
    char *input;       /* V2: its input that takes the text; NULL with other protocols */
    size_t num_labels; /* 0: the cascade's labels in their order */
    char **labels;     /* V2: [num_labels] of its output `probabilities`, in their order, before renaming */
} rung_remote;

/* A remote level of a cascade. Zero-initialise; release with rung_remote_server_deinit. */
typedef struct rung_remote_server {
    rung_remote remote;
    size_t num_addresses; /* >= 1 */
    char *addresses[RUNG_MAX_UPSTREAM_ADDRESSES];
    char *ca_file;    /* NULL: the system's */
    char *token_file; /* NULL: none */
} rung_remote_server;

void rung_remote_deinit(rung_remote *remote);
void rung_remote_server_deinit(rung_remote_server *server);

/* The first key of levels[].remote that was given for the level (0-based); NULL: none, the level has a model of its own. */
const rung_option_value *rung_remote_given(const rung_options *options, uint32_t level);

/* levels[].remote of a level for which rung_remote_given is not NULL. RUNG_INVALID, RUNG_LIMIT: a key is missing or has no effect, named. name: the level's. */
rung_status rung_remote_server_fill(const rung_options *options, uint32_t level, const char *name,
                                    rung_remote_server *server, rung_error *error) RUNG_WARN_UNUSED;

/* upstream.protocol, .model and .input; name: of the level above; protocol: where none is given. */
rung_status rung_remote_fill(const rung_options *options, const char *name, rung_protocol_id protocol,
                             rung_remote *remote, rung_error *error) RUNG_WARN_UNUSED;

/* Replaces the labels by copies of labels [num_labels]. */
rung_status rung_remote_set_labels(rung_remote *remote, const char *const *labels, size_t num_labels,
                                   rung_error *error) RUNG_WARN_UNUSED;

#endif
