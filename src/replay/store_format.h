/* store_format.h: the bytes of a record file, for store.c. Pure: no file, no lock.
 *
 *     header      rung_store_header, origin, zeros until a multiple of 8
 *     entry ...   rung_store_entry_header, payload (logits, states, importance, compute_s as f32), zeros as above
 *
 * Little-endian; each entry starts at a multiple of 8, so that a mapped file is viewed without copies. Nothing is
 * ever changed in place. The header of an entry has a checksum of its own: the chain of entries is walked by
 * headers alone, and each is certain. The checksum is seeded with the entry's place, so that no payload and no
 * remains of an older file look like an entry. Sizes of the payload follow from the header; no length can
 * contradict them. */
#ifndef RUNG_REPLAY_STORE_FORMAT_H
#define RUNG_REPLAY_STORE_FORMAT_H

#include "replay/store.h"

#define RUNG_STORE_MAGIC "\x8brecord\n" /* 8 bytes; no text starts so */
#define RUNG_STORE_VERSION 1
#define RUNG_STORE_ENTRY_MARK 0x59544e45u /* "ENTY" */

typedef struct rung_store_header {
    uint8_t magic[8];
    uint32_t version;
    uint32_t origin_bytes;
    uint64_t sum; /* XXH64 of the origin, seeded with the XXH64 of the fields above */
} rung_store_header;

typedef struct rung_store_entry_header {
    uint32_t mark;
    uint32_t num_tokens;
    uint32_t num_layers;
    uint32_t num_classes;
    uint32_t hidden_size;
    uint32_t importance_layers;
    rung_record_key key;
    uint64_t payload_sum; /* XXH64 of the payload with its zeros */
    uint64_t sum;         /* XXH64 of the fields above, seeded with the offset of the entry in the file */
} rung_store_entry_header;

_Static_assert(sizeof(rung_store_header) == 24 && sizeof(rung_store_entry_header) == 56, "headers have no holes");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are little-endian and are mapped as they are");

/* Bytes of the file's header with an origin of origin_bytes <= RUNG_STORE_MAX_ORIGIN_BYTES. */
size_t rung_store_header_bytes(size_t origin_bytes);

/* out: [rung_store_header_bytes(strlen(origin))]. */
void rung_store_put_header(const char *origin, uint8_t *out);

/* The header in front of data [size], which is the file `name`. *header_bytes: where the entries start; 0 when data
 * is nothing or the beginning of just this header (a file whose making was cut off). Errors as rung_store_open. */
rung_status rung_store_check_header(const uint8_t *data, size_t size, const char *name, const char *origin,
                                    size_t *header_bytes, rung_error *error) RUNG_WARN_UNUSED;

/* Bytes that an entry of these sizes takes, header included. RUNG_LIMIT names the size that is outside its range. */
rung_status rung_store_entry_bytes(const rung_record_entry *entry, size_t *bytes, rung_error *error) RUNG_WARN_UNUSED;

/* out: [bytes of rung_store_entry_bytes], which will lie at `offset` of the file. */
void rung_store_put_entry(const rung_record_key *key, const rung_record_entry *entry, size_t offset, uint8_t *out);

/* Whether a whole entry with a good header lies at data[offset], by its header alone; *bytes: what it takes. */
bool rung_store_entry_at(const uint8_t *data, size_t size, size_t offset, size_t *bytes);

/* Whether one lies anywhere from data[offset] on, offset a multiple of 8. Reads all of it. */
bool rung_store_entry_follows(const uint8_t *data, size_t size, size_t offset);

/* The same for an entry that rung_store_entry_at accepted or rung_store_put_entry wrote. image is 8-byte aligned. */
size_t rung_store_image_bytes(const uint8_t *image);
rung_record_key rung_store_image_key(const uint8_t *image);
bool rung_store_image_good(const uint8_t *image); /* compares the payload's checksum */
void rung_store_image_view(const uint8_t *image, rung_record_entry *entry);

#endif
