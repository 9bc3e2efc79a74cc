/* upstream_addresses.c: see upstream_addresses.h. circuit.c has the rules; here are the timers and probes that they need. */
#include "net/upstream_addresses.h"

#include "base/clock.h"
#include "base/memory.h"
#include "net/upstream_options.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PROBE_BODY_BYTES ((size_t)64 << 10)
#define PROBE_TIMEOUT_MS 1000L
#define MAX_IDLE_CONNECTIONS 256

static void wait_for_return(rung_address *at);

static size_t drop_body(char *data, size_t one, size_t count, void *context)
{
    (void)data;
    (void)context;
    return one * count;
}

static bool start_probe(rung_address *at)
{
    const rung_addresses *all = at->all;
    CURL *easy = rung_upstream_make_easy(at->probe_url, all->ca_file);
    if (easy == NULL) {
        return false;
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, all->authorization);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop_body);
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE, (long)MAX_PROBE_BODY_BYTES);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, PROBE_TIMEOUT_MS);
    at->probe.easy = easy;
    if (rung_transfers_start(all->transfers, &at->probe, NULL) != RUNG_OK) {
        curl_easy_cleanup(easy);
        at->probe.easy = NULL;
        return false;
    }
    return true;
}

static void looked(rung_address *at, bool well)
{
    rung_circuit_looked(&at->circuit, well);
    if (!well) {
        wait_for_return(at);
    }
}

static void probe_ended(rung_transfer *transfer, CURLcode code)
{
    rung_address *at = transfer->context;
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(transfer->easy);
    transfer->easy = NULL;
    looked(at, code == CURLE_OK && status == 200);
}

static void look_at_address(rung_timer *timer)
{
    rung_address *at = timer->context;
    if (at->probe_url == NULL) {
        looked(at, true);
    } else if (!start_probe(at)) {
        looked(at, false);
    }
}

static void wait_for_return(rung_address *at)
{
    rung_addresses *all = at->all;
    double at_s = rung_clock_s() + rung_circuit_wait_s(&at->circuit, &all->prng);
    if (rung_loop_arm(all->loop, &at->look, at_s, NULL) != RUNG_OK) {
        rung_circuit_looked(&at->circuit, true); /* no memory for a timer: rather a trial too early than never */
    }
}

static bool may_be_asked(const rung_address *at, bool closed_only)
{
    return closed_only ? at->circuit.state == RUNG_CIRCUIT_CLOSED : rung_circuit_allows(&at->circuit);
}

rung_address *rung_addresses_choose(rung_addresses *all, const rung_address *other, bool closed_only)
{
    rung_address *best = NULL;
    assert(all->count > 0);
    for (size_t i = 0; i < all->count; i++) {
        rung_address *at = &all->list[(all->turn + i) % all->count];
        if (at != other && may_be_asked(at, closed_only) && (best == NULL || at->outstanding < best->outstanding)) {
            best = at;
        }
    }
    if (other == NULL) { /* a second attempt takes no turn: the failed address would be everybody's first choice */
        all->turn = (all->turn + 1) % all->count;
    }
    return best;
}

size_t rung_addresses_open(const rung_addresses *all)
{
    size_t open = 0;
    for (size_t i = 0; i < all->count; i++) {
        open += rung_circuit_allows(&all->list[i].circuit) ? 0 : 1;
    }
    return open;
}

bool rung_address_enter(rung_address *at)
{
    at->outstanding++;
    return rung_circuit_enter(&at->circuit);
}

void rung_address_leave(rung_address *at, bool trial, rung_verdict said)
{
    const rung_addresses *all = at->all;
    at->outstanding--;
    if (said == RUNG_ADDRESS_UNKNOWN) {
        rung_circuit_left(&at->circuit, trial);
    } else if (rung_circuit_ended(&at->circuit, trial, said == RUNG_ADDRESS_FAILED)) {
        wait_for_return(at);
    } else if (trial && said == RUNG_ADDRESS_WELL && all->came_back != NULL) {
        all->came_back(all->came_back_context, (size_t)(at - all->list));
    }
}

static rung_status add_address(rung_addresses *all, const rung_upstream_options *options, const char *name,
                               rung_error *error)
{
    rung_address *at = &all->list[all->count++];
    at->all = all;
    at->look = (rung_timer){.fire = look_at_address, .context = at};
    at->probe = (rung_transfer){.ended = probe_ended, .context = at};
    at->name = rung_copy_text(name, strlen(name), "address", error);
    if (at->name == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = rung_upstream_join(name, options->path, &at->url, error);
    if (status == RUNG_OK && options->probe_path != NULL) {
        status = rung_upstream_join(name, options->probe_path, &at->probe_url, error);
    }
    return status;
}

rung_status rung_addresses_init(rung_addresses *all, rung_loop *loop, const rung_upstream_options *options,
                                rung_error *error)
{
    all->loop = loop;
    all->prng.state = options->backoff_seed;
    all->came_back = options->came_back;
    all->came_back_context = options->came_back_context;
    if (options->ca_file != NULL) {
        all->ca_file = rung_copy_text(options->ca_file, strlen(options->ca_file), "CA file", error);
        if (all->ca_file == NULL) {
            return RUNG_NO_MEMORY;
        }
    }
    rung_status status = rung_upstream_authorize(options->token, &all->authorization, error);
    for (size_t i = 0; status == RUNG_OK && i < options->num_addresses; i++) {
        status = add_address(all, options, options->addresses[i], error);
    }
    if (status == RUNG_OK) {
        status = rung_transfers_create(loop, MAX_IDLE_CONNECTIONS, &all->transfers, error);
    }
    return status;
}

static void free_address(rung_address *at)
{
    rung_loop_disarm(at->all->loop, &at->look);
    if (at->probe.easy != NULL) {
        rung_transfers_stop(at->all->transfers, &at->probe);
        curl_easy_cleanup(at->probe.easy);
    }
    free(at->name);
    free(at->url);
    free(at->probe_url);
}

void rung_addresses_deinit(rung_addresses *all)
{
    for (size_t i = 0; i < all->count; i++) {
        free_address(&all->list[i]);
    }
    rung_transfers_free(all->transfers);
    curl_slist_free_all(all->authorization);
    free(all->ca_file);
    *all = (rung_addresses){0};
}
