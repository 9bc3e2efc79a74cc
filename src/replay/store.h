/* store.h: a content-addressed, append-only file of what models said about texts: logits, states, importance and
 * time after every layer. Called by what fills a record and by what replays it. Knows keys and numbers, no cascade.
 * The file's layout: store_format.h. */
#ifndef RUNG_REPLAY_STORE_H
#define RUNG_REPLAY_STORE_H

#include "base/status.h"
#include "replay/record_key.h"

#define RUNG_STORE_MAX_ORIGIN_BYTES 65536
#define RUNG_STORE_MAX_ENTRIES ((size_t)1 << 26)

/* What one model said about one text. num_tokens 1 .. RUNG_MAX_POSITIONS, num_layers 1 .. RUNG_MAX_LAYERS,
 * num_classes 1 .. RUNG_MAX_LABELS, hidden_size 0 .. RUNG_MAX_HIDDEN, importance_layers 0 .. num_layers. Numbers
 * may be NaN. */
typedef struct rung_record_entry {
    uint32_t num_tokens;
    uint32_t num_layers;
    uint32_t num_classes;
    uint32_t hidden_size;       /* 0: no states */
    uint32_t importance_layers; /* 0: no importance */
    const float *logits; /* [num_layers, num_classes] in the model's own order of classes; layers without exit: NaN */
    const float *states; /* [num_layers, hidden_size] the [CLS] state after every layer; NULL */
    const float *importance; /* [importance_layers, num_tokens] sum of Eq 9 over layers 1..l; NULL */
    const float *compute_s;  /* [num_layers] seconds until the exit after layer l */
} rung_record_entry;

typedef struct rung_store rung_store;

/* Opens the file `path`, or makes it unless read_only. `origin`: lines that say what the record is of (the models'
 * hashes, the precision), at most RUNG_STORE_MAX_ORIGIN_BYTES. Release with rung_store_close.
 * Reads the headers of all entries, not what they hold. A tail that a crash or a full disk damaged is cut off
 * (read_only: left alone and not seen); the entries before it are kept. Damage inside an entry further in front is
 * found when it is asked for (rung_store_find).
 * RUNG_MISMATCH: made with another origin; names the file and the first line that differs. RUNG_INVALID: not a
 * record, or damaged with whole entries behind the damage. RUNG_UNSUPPORTED: another version of the format.
 * RUNG_NOT_FOUND: no such file or directory. RUNG_IO: another process has it open for writing (read_only is always
 * possible), or the system refused. A failure changes no file that holds something. */
rung_status rung_store_open(const char *path, const char *origin, bool read_only, rung_store **store,
                            rung_error *error) RUNG_WARN_UNUSED;

/* Writes what is not yet written; NULL is fine. A failure of that is not seen: call rung_store_flush before. */
void rung_store_close(rung_store *store);

/* Entries; their indices are 0 .. count-1 and stay. Thread-safe. */
size_t rung_store_count(const rung_store *store);

/* The entry's index, or SIZE_MAX. The first time that an entry of the file is found its checksum is compared; a
 * damaged one is not found, so that it is computed and added again and takes the place of the damaged one.
 * Thread-safe. */
size_t rung_store_find(const rung_store *store, const rung_record_key *key);

/* Views of an entry; valid until the store is closed. index: of rung_store_find or rung_store_add; who goes through
 * 0 .. count-1 asks rung_store_verify first, or may see damaged numbers (never beyond the file). Thread-safe, also
 * while others add. O(1). */
void rung_store_get(const rung_store *store, size_t index, rung_record_entry *entry);

/* RUNG_INVALID when the entry is damaged; names the file, the entry and the byte. index < count. Thread-safe. */
rung_status rung_store_verify(const rung_store *store, size_t index, rung_error *error) RUNG_WARN_UNUSED;

/* Adds a copy; an entry that exists already stays as it was. *index (NULL: not wanted) is the entry's. Thread-safe.
 * The entry is written when there are some megabytes, by rung_store_flush or by rung_store_close.
 * RUNG_LIMIT: a size outside its range, or RUNG_STORE_MAX_ENTRIES. RUNG_INVALID: the store is read_only. RUNG_IO:
 * what was added before could not be written (a full disk); names the file and the reason. Then this entry is not
 * added, those before it are kept in memory, the file ends with a whole entry, and a later call tries again. */
rung_status rung_store_add(rung_store *store, const rung_record_key *key, const rung_record_entry *entry, size_t *index,
                           rung_error *error) RUNG_WARN_UNUSED;

/* Writes every entry whose rung_store_add has returned: the end of this process loses nothing more, that of the machine
 * may. RUNG_IO as rung_store_add. Thread-safe. */
rung_status rung_store_write(rung_store *store, rung_error *error) RUNG_WARN_UNUSED;

/* The same, and waits until the disk has it: some milliseconds. */
rung_status rung_store_flush(rung_store *store, rung_error *error) RUNG_WARN_UNUSED;

#endif
