/* quota.h: how many requests each client has that are not answered yet, so that one client cannot take all of a node (rule 6: 429). A client is an address: all of
 * IPv4's 32 bits, the first 64 of IPv6's, since those are one site's. Memory only for clients that have requests. Owned by the loop's thread. */
#ifndef RUNG_SERVE_QUOTA_H
#define RUNG_SERVE_QUOTA_H

#include "base/status.h"

typedef struct rung_quota rung_quota;

/* What a client is known by; equal bytes, equal client. */
typedef struct rung_client {
    uint64_t key;
} rung_client;

struct sockaddr;
rung_client rung_client_of(const struct sockaddr *address);

/* limit: requests of one client at a time; 0: no limit, and nothing is counted. */
rung_status rung_quota_create(size_t limit, rung_quota **quota, rung_error *error) RUNG_WARN_UNUSED;
void rung_quota_free(rung_quota *quota);

/* One request more. RUNG_LIMIT: the client has as many as it may have, and this one is not counted. RUNG_NO_MEMORY. */
rung_status rung_quota_take(rung_quota *quota, rung_client client, rung_error *error) RUNG_WARN_UNUSED;
/* One that was taken is answered. */
void rung_quota_give(rung_quota *quota, rung_client client);

/* Clients that have requests. */
size_t rung_quota_num_clients(const rung_quota *quota);

#endif
