/* upstream_addresses.h: where the next level is: its addresses, the circuit of each, and the connections there. Called by upstream.c and
 * upstream_attempt.c. Knows who is asked and who is left alone, not what is asked. */
#ifndef RUNG_NET_UPSTREAM_ADDRESSES_H
#define RUNG_NET_UPSTREAM_ADDRESSES_H

#include "net/circuit.h"
#include "net/transfers.h"
#include "net/upstream.h"

typedef struct rung_address {
    struct rung_addresses *all;
    char *name; /* as configured */
    char *url;
    char *probe_url; /* NULL: no probes */
    rung_circuit circuit;
    rung_timer look; /* while the circuit is open */
    rung_transfer probe;
    size_t outstanding; /* attempts there */
} rung_address;

typedef struct rung_addresses {
    rung_loop *loop;
    rung_transfers *transfers;
    size_t count;
    rung_address list[RUNG_MAX_ADDRESSES];
    size_t turn; /* the address that is preferred among equals */
    char *ca_file;
    struct curl_slist *authorization; /* NULL: none */
    rung_prng prng;                   /* of the back-off */
    void (*came_back)(void *context, size_t address);
    void *came_back_context;
} rung_addresses;

/* What an attempt says of its address. */
typedef enum rung_verdict { RUNG_ADDRESS_WELL, RUNG_ADDRESS_FAILED, RUNG_ADDRESS_UNKNOWN } rung_verdict;

/* Zero-initialised before, checked options, and *all stays where it is. After a failure, too, deinit is called. */
rung_status rung_addresses_init(rung_addresses *all, rung_loop *loop, const rung_upstream_options *options,
                                rung_error *error) RUNG_WARN_UNUSED;
/* Nothing is outstanding any more. */
void rung_addresses_deinit(rung_addresses *all);

/* The one with the fewest attempts outstanding among those that may be asked, but `other`, whom another attempt asked (NULL: this is the first);
 * closed_only: and whose circuit is closed. NULL: none. */
rung_address *rung_addresses_choose(rung_addresses *all, const rung_address *other, bool closed_only);
/* How many may not be asked now. */
size_t rung_addresses_open(const rung_addresses *all);

/* An attempt goes there, where that is allowed; true when it is the trial of its circuit. */
bool rung_address_enter(rung_address *at);
void rung_address_leave(rung_address *at, bool trial, rung_verdict said);

#endif
