/* transfers.h: HTTP transfers of libcurl's multi interface on the event loop. Called by upstream_addresses.c and upstream_attempt.c. Knows sockets and timers, not what is sent.
 * The owner ignores SIGPIPE. */
#ifndef RUNG_NET_TRANSFERS_H
#define RUNG_NET_TRANSFERS_H

#include "net/loop.h"

#include <curl/curl.h>

typedef struct rung_transfers rung_transfers;

/* One transfer. Lives in the caller's memory from start until ended or stop. */
typedef struct rung_transfer {
    CURL *easy; /* the caller's: set up by it, and cleaned up by it afterwards */
    void (*ended)(struct rung_transfer *transfer, CURLcode code); /* from the loop, never from within start */
    void *context;
} rung_transfer;

/* max_idle: connections that are kept open for later transfers. libcurl is initialised for the process, and counts its users by itself (since
 * 7.84 in any thread). */
rung_status rung_transfers_create(rung_loop *loop, size_t max_idle, rung_transfers **transfers,
                                  rung_error *error) RUNG_WARN_UNUSED;
/* Every transfer has ended or been stopped. Not from within `ended`. */
void rung_transfers_free(rung_transfers *transfers);

rung_status rung_transfers_start(rung_transfers *transfers, rung_transfer *transfer,
                                 rung_error *error) RUNG_WARN_UNUSED;
/* Before it has ended: closes its connection; `ended` is not called. */
void rung_transfers_stop(rung_transfers *transfers, rung_transfer *transfer);

#endif
