/* quota.c: see quota.h. A table with linear probing that closes gaps when a client leaves (Knuth 6.4, algorithm R). */
#include "serve/quota.h"

#include "base/hash.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 64 /* a power of two, as every size */

typedef struct slot {
    uint64_t key;
    size_t count; /* 0: empty */
} slot;

struct rung_quota {
    size_t limit;
    size_t num_slots, num_clients;
    slot *slots; /* [num_slots] at most half of them in use */
};

rung_client rung_client_of(const struct sockaddr *address)
{
    uint64_t key = 0;
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
        key = UINT64_C(0xffff00000000) | ntohl(v4->sin_addr.s_addr);
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
        bool is_v4 = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
        const uint8_t *bytes = v6->sin6_addr.s6_addr + (is_v4 ? 8 : 0);
        for (size_t i = 0; i < 8; i++) {
            key = key << 8 | bytes[i];
        }
    }
    return (rung_client){key};
}

rung_status rung_quota_create(size_t limit, rung_quota **quota, rung_error *error)
{
    rung_quota *made = rung_alloc(1, sizeof *made, "quota", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->limit = limit;
    *quota = made;
    return RUNG_OK;
}

void rung_quota_free(rung_quota *quota)
{
    if (quota != NULL) {
        free(quota->slots);
        free(quota);
    }
}

static size_t home_of(uint64_t key, size_t num_slots)
{
    return (size_t)rung_xxh64(&key, sizeof key, 0) & (num_slots - 1);
}

/* The client's slot, or the empty one where it belongs. */
static slot *find(slot *slots, size_t num_slots, uint64_t key)
{
    size_t at = home_of(key, num_slots);
    while (slots[at].count > 0 && slots[at].key != key) {
        at = (at + 1) & (num_slots - 1);
    }
    return &slots[at];
}

static rung_status make_room(rung_quota *quota, rung_error *error)
{
    if (2 * (quota->num_clients + 1) <= quota->num_slots) {
        return RUNG_OK;
    }
    size_t wanted = quota->num_slots > 0 ? 2 * quota->num_slots : FIRST_SLOTS;
    slot *larger = rung_alloc(wanted, sizeof *larger, "quota", error);
    if (larger == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < quota->num_slots; i++) {
        if (quota->slots[i].count > 0) {
            *find(larger, wanted, quota->slots[i].key) = quota->slots[i];
        }
    }
    free(quota->slots);
    quota->slots = larger;
    quota->num_slots = wanted;
    return RUNG_OK;
}

rung_status rung_quota_take(rung_quota *quota, rung_client client, rung_error *error)
{
    if (quota->limit == 0) {
        return RUNG_OK;
    }
    rung_status status = make_room(quota, error);
    if (status != RUNG_OK) {
        return status;
    }
    slot *own = find(quota->slots, quota->num_slots, client.key);
    if (own->count >= quota->limit) {
        return rung_fail(error, RUNG_LIMIT, "this client has %zu requests that are not answered yet, the limit is %zu",
                         own->count, quota->limit);
    }
    quota->num_clients += own->count == 0;
    own->key = client.key;
    own->count++;
    return RUNG_OK;
}

/* Moves what would not be found any more into the gap. */
static void close_gap(rung_quota *quota, size_t gap)
{
    size_t mask = quota->num_slots - 1;
    for (size_t at = (gap + 1) & mask; quota->slots[at].count > 0; at = (at + 1) & mask) {
        size_t home = home_of(quota->slots[at].key, quota->num_slots);
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            quota->slots[gap] = quota->slots[at];
            quota->slots[at].count = 0;
            gap = at;
        }
    }
}

void rung_quota_give(rung_quota *quota, rung_client client)
{
    if (quota->limit == 0) {
        return;
    }
    slot *own = find(quota->slots, quota->num_slots, client.key);
    assert(own->count > 0);
    own->count--;
    if (own->count == 0) {
        quota->num_clients--;
        close_gap(quota, (size_t)(own - quota->slots));
    }
}

size_t rung_quota_num_clients(const rung_quota *quota)
{
    return quota->num_clients;
}
