/* hops.h: what the headers of a request say of its way and of its time: the Rung-Via list of the nodes that it passed through (as CDN-Loop, RFC
 * 8586), and the time that the client still waits. Called by src/serve; knows header values, not HTTP. Untrusted input. */
#ifndef RUNG_NET_HOPS_H
#define RUNG_NET_HOPS_H

#include "base/status.h"

#define RUNG_MAX_HOPS 4
#define RUNG_NODE_ID_BYTES 64 /* the longest id of a node, its NUL included */

/* Whether a node may be named so: 1 to 63 letters, digits and "-._~". */
bool rung_node_id_valid(const char *id);

typedef enum rung_via {
    RUNG_VIA_NEW,  /* the request may go further up */
    RUNG_VIA_FULL, /* it made all the hops that it may: answer here */
    RUNG_VIA_LOOP, /* it was at this node before */
} rung_via;

/* Reads a Rung-Via header, "edge-1, cloud-2"; NULL: none. RUNG_FORMAT: it is no list of ids. */
rung_status rung_via_check(const char *header, const char *own_id, rung_via *via, rung_error *error) RUNG_WARN_UNUSED;

/* The header for the next level, "Rung-Via: edge-1, cloud-2, OWN", as rung_call_request takes it. header: one that rung_via_check found to be
 * RUNG_VIA_NEW, or NULL. */
#define RUNG_VIA_BYTES (RUNG_MAX_HOPS * (RUNG_NODE_ID_BYTES + 2) + 16)
const char *rung_via_extend(const char *header, const char *own_id, char out[RUNG_VIA_BYTES]);

/* Seconds that the client waits: of grpc-timeout ("100m", "2S": 1 to 8 digits and one of H M S m u n), of X-Envoy-Expected-Rq-Timeout-Ms (whole
 * milliseconds), the least where there are both, and at most cap_s. NULL: no such header. RUNG_INVALID: one that cannot be read, named. */
rung_status rung_deadline_from_headers(const char *grpc_timeout, const char *envoy_timeout_ms, double cap_s,
                                       double *timeout_s, rung_error *error) RUNG_WARN_UNUSED;

/* The header for the next level, "grpc-timeout: 87500u"; rounded down, and never 0. */
#define RUNG_TIMEOUT_BYTES 32
const char *rung_deadline_header(double timeout_s, char out[RUNG_TIMEOUT_BYTES]);

#endif
