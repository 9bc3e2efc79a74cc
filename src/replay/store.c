/* store.c: the record file. See store.h; its bytes are store_format.c's.
 * Entries of the file are viewed in its mapping, entries that were added in chunks of memory which hold the bytes
 * as they will lie in the file and never move. An entry's slot never moves either: the slots lie in segments, each
 * twice as long as the one before. Checksums of payloads: the last entries are compared when the file is opened,
 * because that is where a crash leaves damage; the others when they are first found, which costs less than reading
 * the entry would and does not make opening read everything. */
#include "replay/store.h"

#include "base/hash.h"
#include "base/memory.h"
#include "replay/store_format.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_SEGMENT 1024
#define SEGMENTS 17 /* FIRST_SEGMENT * (2^SEGMENTS - 1) >= RUNG_STORE_MAX_ENTRIES */
#define CHUNK_BYTES ((size_t)4 << 20)
#define FIRST_TABLE 1024

_Static_assert(FIRST_SEGMENT *(((size_t)1 << SEGMENTS) - 1) >= RUNG_STORE_MAX_ENTRIES, "every entry has a slot");

typedef enum slot_state { UNCHECKED, GOOD, DAMAGED } slot_state;

typedef struct entry_slot {
    const uint8_t *image; /* header and payload; written before the slot counts */
    atomic_int state;     /* slot_state; any thread goes from UNCHECKED to what it finds */
} entry_slot;

/* Whole entries as they will lie in the file from file_offset on. */
typedef struct entry_chunk {
    struct entry_chunk *next;
    size_t file_offset, capacity, used;
    uint8_t data[];
} entry_chunk;

struct rung_store {
    char *path;
    int fd;
    bool read_only;
    const uint8_t *mapping; /* of the file when it was opened; NULL when it held nothing */
    size_t mapping_bytes;

    pthread_rwlock_t lock;          /* of table, chunks and segments; an index that was given out is read without it */
    uint32_t *table;                /* [table_slots] index + 1, 0: free; open addressing, at most half full */
    size_t table_slots;             /* a power of two */
    entry_slot *segments[SEGMENTS]; /* [FIRST_SEGMENT << segment]; NULL: not yet needed */
    entry_chunk *first_chunk, *last_chunk;
    atomic_size_t count; /* raised behind the slot */
    atomic_size_t end;   /* of the entries, as an offset of the file */

    pthread_mutex_t writing; /* of the file and of what follows; taken before `lock` */
    entry_chunk *unwritten;  /* NULL: first_chunk is the first that may hold something unwritten */
    bool unsynced;           /* something was written since the last fdatasync */
    atomic_size_t written;   /* bytes of the file; always the end of an entry */
};

static rung_status fail_errno(rung_error *error, const char *path, const char *what)
{
    char reason[128] = "unknown error";
    int code = errno;
    const char *text = strerror_r(code, reason, sizeof reason);
    return rung_fail(error, code == ENOENT || code == ENOTDIR ? RUNG_NOT_FOUND : RUNG_IO, "%s: cannot %s: %s", path,
                     what, text);
}

/* Functions that only look take the lock, too. */
static rung_store *to_lock(const rung_store *store)
{
    return (rung_store *)(uintptr_t)store;
}

/* ---- slots ---- */

static size_t segment_of(size_t index, size_t *within)
{
    size_t nth = index / FIRST_SEGMENT + 1;
    size_t segment = 63 - (size_t)__builtin_clzll(nth);
    *within = index - FIRST_SEGMENT * (((size_t)1 << segment) - 1);
    return segment;
}

static entry_slot *slot_at(const rung_store *store, size_t index)
{
    size_t within;
    size_t segment = segment_of(index, &within);
    return &store->segments[segment][within];
}

/* Makes room for entry `count`. */
static rung_status reserve_slot(rung_store *store, rung_error *error)
{
    size_t count = atomic_load(&store->count);
    if (count >= RUNG_STORE_MAX_ENTRIES) {
        return rung_fail(error, RUNG_LIMIT, "%s: holds %zu entries, the most that a record can hold", store->path,
                         count);
    }
    size_t within;
    size_t segment = segment_of(count, &within);
    if (store->segments[segment] == NULL) {
        store->segments[segment] =
            rung_alloc((size_t)FIRST_SEGMENT << segment, sizeof(entry_slot), "slots of a record", error);
        if (store->segments[segment] == NULL) {
            return RUNG_NO_MEMORY;
        }
    }
    return RUNG_OK;
}

static void publish_slot(rung_store *store, const uint8_t *image, slot_state state)
{
    size_t count = atomic_load(&store->count);
    entry_slot *slot = slot_at(store, count);
    slot->image = image;
    atomic_init(&slot->state, state);
    atomic_store(&store->count, count + 1);
}

static bool is_good(const rung_store *store, size_t index)
{
    entry_slot *slot = slot_at(store, index);
    int state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    if (state == UNCHECKED) {
        state = rung_store_image_good(slot->image) ? GOOD : DAMAGED;
        atomic_store_explicit(&slot->state, state, memory_order_relaxed);
    }
    return state == GOOD;
}

/* ---- the table; `lock` is held ---- */

/* Where the key's index stands, or the free place for it. */
static size_t probe(const rung_store *store, const rung_record_key *key)
{
    size_t mask = store->table_slots - 1;
    size_t at = (size_t)rung_xxh64(key->bytes, sizeof key->bytes, 0) & mask;
    for (; store->table[at] != 0; at = (at + 1) & mask) {
        rung_record_key other = rung_store_image_key(slot_at(store, store->table[at] - 1)->image);
        if (memcmp(other.bytes, key->bytes, sizeof key->bytes) == 0) {
            break;
        }
    }
    return at;
}

/* Enters the entry `index`, in the place of an earlier one of the same key. */
static void enter(rung_store *store, size_t index)
{
    rung_record_key key = rung_store_image_key(slot_at(store, index)->image);
    store->table[probe(store, &key)] = (uint32_t)(index + 1);
}

/* Makes room for `count` entries. */
static rung_status reserve_table(rung_store *store, size_t count, rung_error *error)
{
    size_t slots = store->table_slots > 0 ? store->table_slots : FIRST_TABLE;
    while (slots < 2 * count) {
        slots *= 2;
    }
    if (slots == store->table_slots) {
        return RUNG_OK;
    }
    uint32_t *table = rung_alloc(slots, sizeof *table, "index of a record", error);
    if (table == NULL) {
        return RUNG_NO_MEMORY;
    }
    free(store->table);
    store->table = table;
    store->table_slots = slots;
    size_t entries = atomic_load(&store->count);
    for (size_t index = 0; index < entries; index++) {
        enter(store, index);
    }
    return RUNG_OK;
}

/* ---- opening ---- */

static rung_status open_file(rung_store *store, size_t *size, rung_error *error)
{
    int flags = store->read_only ? O_RDONLY : O_RDWR | O_CREAT;
    store->fd = open(store->path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);
    if (store->fd < 0) {
        return fail_errno(error, store->path, "open");
    }
    struct stat info;
    if (fstat(store->fd, &info) != 0) {
        return fail_errno(error, store->path, "stat");
    }
    if (!S_ISREG(info.st_mode)) {
        return rung_fail(error, RUNG_INVALID, "%s: is not a regular file", store->path);
    }
    if (!store->read_only && flock(store->fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            return rung_fail(error, RUNG_IO,
                             "%s: is open for writing elsewhere; wait for that to end or give another directory",
                             store->path);
        }
        return fail_errno(error, store->path, "lock");
    }
    if (fstat(store->fd, &info) != 0) { /* another process may have written until the lock was ours */
        return fail_errno(error, store->path, "stat");
    }
    *size = (size_t)info.st_size;
    return RUNG_OK;
}

static rung_status map_file(rung_store *store, size_t size, rung_error *error)
{
    if (size == 0) {
        return RUNG_OK;
    }
    void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, store->fd, 0);
    if (data == MAP_FAILED) {
        return fail_errno(error, store->path, "map");
    }
    store->mapping = data;
    store->mapping_bytes = size;
    return RUNG_OK;
}

/* Takes the entries of the mapping from `at` on. */
static rung_status load_entries(rung_store *store, size_t at, rung_error *error)
{
    const uint8_t *data = store->mapping;
    size_t size = store->mapping_bytes;
    size_t bytes;
    /* Between two headers lie kilobytes that nobody asked for. */
    (void)madvise((void *)(uintptr_t)data, size, MADV_RANDOM);
    for (; rung_store_entry_at(data, size, at, &bytes); at += bytes) {
        rung_status status = reserve_slot(store, error);
        if (status != RUNG_OK) {
            return status;
        }
        publish_slot(store, data + at, UNCHECKED);
    }
    (void)madvise((void *)(uintptr_t)data, size, MADV_NORMAL);
    if (rung_store_entry_follows(data, size, at)) {
        return rung_fail(error, RUNG_INVALID,
                         "%s: is damaged at byte %zu, and whole entries follow; give another directory", store->path,
                         at);
    }
    size_t count = atomic_load(&store->count);
    while (count > 0 && !is_good(store, count - 1)) {
        count--;
        at = (size_t)(slot_at(store, count)->image - data);
    }
    atomic_store(&store->count, count);
    atomic_store(&store->end, at);
    return reserve_table(store, count, error);
}

static bool write_at(int fd, const uint8_t *data, size_t size, size_t *at)
{
    while (size > 0) {
        ssize_t written = pwrite(fd, data, size, (off_t)*at);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        data += written;
        size -= (size_t)written;
        *at += (size_t)written;
    }
    return true;
}

/* Gives the file a header: it is new, or its making was cut off. */
static rung_status make_header(rung_store *store, const char *origin, rung_error *error)
{
    size_t bytes = rung_store_header_bytes(strlen(origin));
    uint8_t *header = rung_alloc(bytes, 1, "header of a record", error);
    if (header == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_store_put_header(origin, header);
    rung_status status = RUNG_OK;
    size_t at = 0;
    if (!write_at(store->fd, header, bytes, &at)) {
        status = fail_errno(error, store->path, "write");
        (void)!ftruncate(store->fd, 0); /* the beginning of a header would be as good */
    }
    free(header);
    atomic_store(&store->end, bytes);
    store->unsynced = true;
    return status;
}

static rung_status load(rung_store *store, const char *origin, rung_error *error)
{
    size_t size = 0;
    rung_status status = open_file(store, &size, error);
    if (status == RUNG_OK) {
        status = map_file(store, size, error);
    }
    size_t header_bytes = 0;
    if (status == RUNG_OK) {
        status = rung_store_check_header(store->mapping, size, store->path, origin, &header_bytes, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    if (header_bytes > 0) {
        status = load_entries(store, header_bytes, error);
    } else {
        status = reserve_table(store, 0, error);
        if (status == RUNG_OK && !store->read_only) {
            status = make_header(store, origin, error);
        }
    }
    size_t end = atomic_load(&store->end);
    if (status == RUNG_OK && !store->read_only && end < size && ftruncate(store->fd, (off_t)end) != 0) {
        status = fail_errno(error, store->path, "cut off its damaged end");
    }
    atomic_store(&store->written, end);
    return status;
}

static void release(rung_store *store)
{
    if (store->mapping != NULL) {
        munmap((void *)(uintptr_t)store->mapping, store->mapping_bytes);
    }
    if (store->fd >= 0) {
        close(store->fd); /* and its lock */
    }
    for (entry_chunk *next, *chunk = store->first_chunk; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    for (size_t i = 0; i < SEGMENTS; i++) {
        free(store->segments[i]);
    }
    pthread_mutex_destroy(&store->writing);
    pthread_rwlock_destroy(&store->lock);
    free(store->table);
    free(store->path);
    free(store);
}

rung_status rung_store_open(const char *path, const char *origin, bool read_only, rung_store **store, rung_error *error)
{
    rung_store *made = rung_alloc(1, sizeof *made, "record", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->fd = -1;
    made->read_only = read_only;
    pthread_rwlock_init(&made->lock, NULL);
    pthread_mutex_init(&made->writing, NULL);
    made->path = rung_copy_text(path, strlen(path), "path of a record", error);
    rung_status status = made->path != NULL ? load(made, origin, error) : RUNG_NO_MEMORY;
    if (status != RUNG_OK) {
        release(made);
        return status;
    }
    *store = made;
    return RUNG_OK;
}

/* ---- reading ---- */

size_t rung_store_count(const rung_store *store)
{
    return atomic_load(&store->count);
}

size_t rung_store_find(const rung_store *store, const rung_record_key *key)
{
    pthread_rwlock_rdlock(&to_lock(store)->lock);
    size_t index = (size_t)store->table[probe(store, key)] - 1; /* free: SIZE_MAX */
    pthread_rwlock_unlock(&to_lock(store)->lock);
    return index != SIZE_MAX && is_good(store, index) ? index : SIZE_MAX;
}

void rung_store_get(const rung_store *store, size_t index, rung_record_entry *entry)
{
    assert(index < rung_store_count(store));
    rung_store_image_view(slot_at(store, index)->image, entry);
}

rung_status rung_store_verify(const rung_store *store, size_t index, rung_error *error)
{
    assert(index < rung_store_count(store));
    if (is_good(store, index)) {
        return RUNG_OK;
    }
    /* Only entries of the mapping are ever damaged. */
    size_t offset = (size_t)(slot_at(store, index)->image - store->mapping);
    return rung_fail(error, RUNG_INVALID, "%s: entry %zu, at byte %zu, is damaged; it must be computed again",
                     store->path, index, offset);
}

/* ---- writing ---- */

/* Writes `chunk` until the offset `stop` of the file. `writing` is held. */
static rung_status write_chunk(rung_store *store, const entry_chunk *chunk, size_t stop, rung_error *error)
{
    size_t start = atomic_load(&store->written);
    size_t at = start;
    bool whole = write_at(store->fd, chunk->data + (start - chunk->file_offset), stop - start, &at);
    store->unsynced = true;
    if (whole) {
        atomic_store(&store->written, stop);
        return RUNG_OK;
    }
    rung_status status = fail_errno(error, store->path, "write");
    /* Entries that came whole stay: a reader may have them already. */
    size_t end = start;
    for (;;) {
        size_t bytes = rung_store_image_bytes(chunk->data + (end - chunk->file_offset));
        if (bytes > at - end) {
            break;
        }
        end += bytes;
    }
    (void)!ftruncate(store->fd,
                     (off_t)end); /* should it fail, the next write covers the rest, or the next opening cuts it off */
    atomic_store(&store->written, end);
    return status;
}

/* Writes all that is added. `writing` is held, `lock` is not, so that finding goes on. */
static rung_status write_added(rung_store *store, rung_error *error)
{
    for (;;) {
        pthread_rwlock_rdlock(&store->lock);
        const entry_chunk *chunk = store->unwritten != NULL ? store->unwritten : store->first_chunk;
        size_t stop = chunk != NULL ? chunk->file_offset + chunk->used : 0;
        struct entry_chunk *next = chunk != NULL ? chunk->next : NULL;
        pthread_rwlock_unlock(&store->lock);
        if (chunk == NULL) {
            return RUNG_OK;
        }
        rung_status status = stop > atomic_load(&store->written) ? write_chunk(store, chunk, stop, error) : RUNG_OK;
        if (status != RUNG_OK || next == NULL) {
            return status;
        }
        store->unwritten = next;
    }
}

rung_status rung_store_write(rung_store *store, rung_error *error)
{
    if (store->read_only) {
        return RUNG_OK;
    }
    pthread_mutex_lock(&store->writing);
    rung_status status = write_added(store, error);
    pthread_mutex_unlock(&store->writing);
    return status;
}

rung_status rung_store_flush(rung_store *store, rung_error *error)
{
    if (store->read_only) {
        return RUNG_OK;
    }
    pthread_mutex_lock(&store->writing);
    rung_status status = write_added(store, error);
    if (status == RUNG_OK && store->unsynced) {
        status = fdatasync(store->fd) == 0 ? RUNG_OK : fail_errno(error, store->path, "write");
        store->unsynced = status != RUNG_OK;
    }
    pthread_mutex_unlock(&store->writing);
    return status;
}

void rung_store_close(rung_store *store)
{
    if (store == NULL) {
        return;
    }
    rung_status status = rung_store_write(store, NULL); /* what a caller must know, rung_store_flush said */
    (void)status;
    release(store);
}

/* Memory for `bytes` bytes behind the last entry. */
static rung_status reserve_chunk(rung_store *store, size_t bytes, rung_error *error)
{
    entry_chunk *last = store->last_chunk;
    if (last != NULL && last->capacity - last->used >= bytes) {
        return RUNG_OK;
    }
    size_t capacity = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
    entry_chunk *made = rung_alloc(1, sizeof *made + capacity, "entries of a record", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->file_offset = atomic_load(&store->end);
    made->capacity = capacity;
    if (last != NULL) {
        last->next = made;
    } else {
        store->first_chunk = made;
    }
    store->last_chunk = made;
    return RUNG_OK;
}

/* `lock` is held for writing. */
static rung_status append(rung_store *store, const rung_record_key *key, const rung_record_entry *entry, size_t bytes,
                          size_t *index, rung_error *error)
{
    size_t found = (size_t)store->table[probe(store, key)] - 1;
    if (found != SIZE_MAX && is_good(store, found)) { /* another thread was faster */
        *index = found;
        return RUNG_OK;
    }
    size_t count = atomic_load(&store->count);
    rung_status status = reserve_slot(store, error);
    if (status == RUNG_OK) {
        status = reserve_table(store, count + 1, error);
    }
    if (status == RUNG_OK) {
        status = reserve_chunk(store, bytes, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    entry_chunk *chunk = store->last_chunk;
    uint8_t *image = chunk->data + chunk->used;
    rung_store_put_entry(key, entry, chunk->file_offset + chunk->used, image);
    chunk->used += bytes;
    atomic_store(&store->end, chunk->file_offset + chunk->used);
    publish_slot(store, image, GOOD);
    enter(store, count);
    *index = count;
    return RUNG_OK;
}

rung_status rung_store_add(rung_store *store, const rung_record_key *key, const rung_record_entry *entry, size_t *index,
                           rung_error *error)
{
    if (store->read_only) {
        return rung_fail(error, RUNG_INVALID, "%s: is open for reading only", store->path);
    }
    assert(entry->logits != NULL && entry->compute_s != NULL);
    assert(entry->hidden_size == 0 || entry->states != NULL);
    assert(entry->importance_layers == 0 || entry->importance != NULL);
    size_t bytes;
    rung_status status = rung_store_entry_bytes(entry, &bytes, error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t found = rung_store_find(store, key);
    if (found == SIZE_MAX) {
        if (atomic_load(&store->end) - atomic_load(&store->written) >= CHUNK_BYTES) {
            pthread_mutex_lock(&store->writing);
            status = write_added(store, error);
            pthread_mutex_unlock(&store->writing);
            if (status != RUNG_OK) {
                return status;
            }
        }
        pthread_rwlock_wrlock(&store->lock);
        status = append(store, key, entry, bytes, &found, error);
        pthread_rwlock_unlock(&store->lock);
    }
    if (status == RUNG_OK && index != NULL) {
        *index = found;
    }
    return status;
}
