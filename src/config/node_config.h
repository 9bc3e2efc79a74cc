/* node_config.h: what node.yaml (or cascade.yaml with --level) and the flags of `rung serve` say of one node, checked and with defaults filled in.
 * Called by src/cli and src/serve (reload). Opens no model and no socket; the keys are described in docs/configuration.md. */
#ifndef RUNG_CONFIG_NODE_CONFIG_H
#define RUNG_CONFIG_NODE_CONFIG_H

#include "config/cascade_config.h"

typedef enum rung_log_level { RUNG_LOG_ERROR, RUNG_LOG_WARN, RUNG_LOG_INFO, RUNG_LOG_DEBUG } rung_log_level;

/* Zero-initialise; release with rung_node_config_deinit. */
typedef struct rung_node_config {
    /* All levels by name. From node.yaml only the own one has a model_path and there are no links; the names are the calibration's. */
    rung_cascade_config cascade;
    bool from_cascade;                            /* the file is a cascade.yaml */
    uint32_t level;                               /* own, 1-based */
    char *id;                                     /* of this node in hop lists and logs; "": made at start */
    char *listen_address;                         /* numeric, without brackets */
    uint16_t listen_port;                         /* 0: a free one */
    bool insecure;                                /* may listen beyond loopback without TLS */
    size_t num_upstreams;                         /* 0: this is the top of what it can reach */
    char *upstreams[RUNG_MAX_UPSTREAM_ADDRESSES]; /* "http://host:port[/prefix]", no slash at the end */
    rung_remote remote;                           /* how they are asked; without labels, which are the calibration's */
    char *upstream_ca_file;                       /* NULL: the system's */
    char *upstream_token_file;                    /* NULL: none */
    double upstream_deadline_s;                   /* at most deadline_s */
    double upstream_hedge_after_s;                /* below upstream_deadline_s, with two addresses or more; 0: off */
    bool has_link;                                /* an emulated link to the upstream, in real time */
    rung_link link;                               /* lends link_trace, or the trace of a level of `cascade` */
    rung_link_trace *link_trace;                  /* owned; NULL: none, or the cascade's */
    double deadline_s;                            /* cap on a request's time */
    size_t batch_max_tokens;                      /* computed together */
    double batch_max_time_s;                      /* estimated; what would take longer is not computed together */
    double batch_max_wait_s;                      /* a worker may wait this long for a fuller batch */
    size_t max_body_bytes;
    size_t max_inputs;
    double max_queue_s; /* estimated work that may wait */
    size_t max_connections;
    size_t max_connections_per_client; /* 0: no limit */
    size_t max_requests_per_client;    /* that are not answered yet; 0: no limit */
    double drain_s;
    rung_log_level log_level;
    bool log_json; /* else key=value */
} rung_node_config;

void rung_node_config_deinit(rung_node_config *config);

/* options: the flags of `rung serve`. With --config the file is a node.yaml or a cascade.yaml (it has `levels`; --level says which one: by name or by
 * number from 1). With --model alone: that model as a node. Without either: the default cascade of data_dir, with --level. Reads the calibration
 * and the policy file that node.yaml names. Keeps nothing between calls: a reload calls it again with the same options. */
rung_status rung_node_config_load(const char *data_dir, const rung_options *options, rung_node_config *config,
                                  rung_error *error) RUNG_WARN_UNUSED;

/* A node.yaml from text. directory is what paths are relative to; NULL: no other file is read, and calibration and `policy: FILE` are refused. options may
 * be NULL. */
rung_status rung_node_config_parse(const char *yaml, size_t bytes, const char *name, const char *directory,
                                   const rung_options *options, rung_node_config *config,
                                   rung_error *error) RUNG_WARN_UNUSED;

/* Whether the options name a node rather than a cascade: --config is a node.yaml, or an option is given that only a node has. */
rung_status rung_node_config_wanted(const rung_options *options, bool *wanted, rung_error *error) RUNG_WARN_UNUSED;

#endif
