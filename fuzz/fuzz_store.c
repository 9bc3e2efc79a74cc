/* fuzz_store.c: any bytes as a record file. The first byte of the input says which checksums are made right first
 * (bit 0: of headers, bit 1: of payloads, too), so that sizes are reached; the rest is the file. Once from memory
 * of just its size, once through the store: what is found can be read to its last number, a file that is refused or
 * only read is as it was, and one that is opened for writing holds what is added, also when it is opened again. Run
 * by fuzz/meson.build over corpus/store/. */
#include "base/hash.h"
#include "replay/store_format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ORIGIN "fuzz\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* Gives the headers, and the payloads if asked for, the checksums that they should have. */
static void seal(uint8_t *file, size_t size, bool payloads)
{
    rung_store_header header;
    if (size < sizeof header) {
        return;
    }
    memcpy(&header, file, sizeof header);
    if (header.origin_bytes > size - sizeof header) {
        return;
    }
    header.sum =
        rung_xxh64(file + sizeof header, header.origin_bytes, rung_xxh64(&header, offsetof(rung_store_header, sum), 0));
    memcpy(file, &header, sizeof header);
    rung_store_entry_header entry;
    for (size_t at = rung_store_header_bytes(header.origin_bytes); at < size && size - at >= sizeof entry;) {
        memcpy(&entry, file + at, sizeof entry);
        entry.sum = rung_xxh64(&entry, offsetof(rung_store_entry_header, sum), at);
        memcpy(file + at, &entry, sizeof entry);
        size_t bytes;
        if (!rung_store_entry_at(file, size, at, &bytes)) {
            return;
        }
        if (payloads) {
            entry.payload_sum = rung_xxh64(file + at + sizeof entry, bytes - sizeof entry, 0);
            entry.sum = rung_xxh64(&entry, offsetof(rung_store_entry_header, sum), at);
            memcpy(file + at, &entry, sizeof entry);
        }
        at += bytes;
    }
}

static uint32_t sum_bits(const float *values, size_t count)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        sum += bits;
    }
    return sum;
}

static uint32_t read_all(const rung_record_entry *entry)
{
    require((entry->states != NULL) == (entry->hidden_size > 0));
    require((entry->importance != NULL) == (entry->importance_layers > 0));
    uint32_t sum = sum_bits(entry->logits, (size_t)entry->num_layers * entry->num_classes);
    sum += sum_bits(entry->states, (size_t)entry->num_layers * entry->hidden_size);
    sum += sum_bits(entry->importance, (size_t)entry->importance_layers * entry->num_tokens);
    return sum + sum_bits(entry->compute_s, entry->num_layers);
}

static void walk(const uint8_t *file, size_t size)
{
    size_t at = 0;
    rung_error error = {.message = ""};
    if (rung_store_check_header(file, size, "input", ORIGIN, &at, &error) != RUNG_OK) {
        require(error.message[0] != '\0' && at == 0);
        return;
    }
    for (size_t bytes; at > 0 && rung_store_entry_at(file, size, at, &bytes); at += bytes) {
        rung_record_entry view;
        rung_store_image_view(file + at, &view);
        (void)read_all(&view);
        (void)rung_store_image_good(file + at);
    }
    (void)rung_store_entry_follows(file, size, at);
}

static uint64_t hash_of(int fd)
{
    uint8_t bytes[1 << 14];
    uint64_t hash = 0;
    off_t at = 0;
    for (ssize_t count; (count = pread(fd, bytes, sizeof bytes, at)) > 0; at += count) {
        hash = rung_xxh64(bytes, (size_t)count, hash);
    }
    return hash;
}

/* Opens, looks at all entries and, when the file may change, adds one that must be there afterwards. */
static bool use(const char *path, bool read_only)
{
    const float values[4] = {1, 2, 3, 4};
    const rung_record_key key = {{1, 2, 3}};
    const rung_record_entry added = {
        .num_tokens = 2, .num_layers = 1, .num_classes = 3, .logits = values, .compute_s = values};
    rung_store *store = NULL;
    rung_error error = {.message = ""};
    if (rung_store_open(path, ORIGIN, read_only, &store, &error) != RUNG_OK) {
        require(error.message[0] != '\0' && store == NULL);
        return false;
    }
    for (size_t i = 0; i < rung_store_count(store); i++) {
        rung_record_entry view;
        rung_store_get(store, i, &view);
        (void)read_all(&view);
        (void)!rung_store_verify(store, i, NULL);
    }
    if (!read_only) {
        size_t index = SIZE_MAX;
        require(rung_store_add(store, &key, &added, &index, &error) == RUNG_OK && index < rung_store_count(store));
        require(rung_store_find(store, &key) == index);
        require(rung_store_verify(store, index, &error) == RUNG_OK && rung_store_flush(store, &error) == RUNG_OK);
    }
    rung_store_close(store);
    return true;
}

static bool has_key(const char *path)
{
    rung_store *store = NULL;
    rung_error error;
    require(rung_store_open(path, ORIGIN, true, &store, &error) == RUNG_OK);
    bool found = rung_store_find(store, &(rung_record_key){{1, 2, 3}}) != SIZE_MAX;
    rung_store_close(store);
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    uint8_t *file = NULL;
    if (posix_memalign((void **)&file, 8, size) != 0) {
        abort();
    }
    memcpy(file, data + 1, size - 1);
    uint8_t *exact = NULL;
    if (posix_memalign((void **)&exact, 8, size > 1 ? size - 1 : 1) != 0) {
        abort();
    }
    if ((data[0] & 1) != 0) {
        seal(file, size - 1, (data[0] & 2) != 0);
    }
    memcpy(exact, file, size - 1);
    free(file);
    walk(exact, size - 1);

    int fd = memfd_create("store", MFD_CLOEXEC);
    require(fd >= 0 && write(fd, exact, size - 1) == (ssize_t)(size - 1));
    free(exact);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    uint64_t before = hash_of(fd);
    (void)use(path, true);
    require(hash_of(fd) == before);
    if (use(path, false)) {
        require(has_key(path));
    } else {
        require(hash_of(fd) == before);
    }
    close(fd);
    return 0;
}
