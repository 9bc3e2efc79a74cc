/* test_store.c: a record file through crashes, damage, full disks, other processes and threads: what was added is
 * there with its bits, or it is not found; never is it something else. */
#include "base/parallel.h"
#include "replay/store.h"
#include "store_fixture.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char *directory;
static char *path;

static int make_directory(void **state)
{
    (void)state;
    directory = fixture_directory();
    path = fixture_join(directory, "record.rung");
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    free(path);
    fixture_remove(directory);
    return 0;
}

static rung_store *open_with(bool read_only)
{
    rung_store *store = NULL;
    assert_ok(rung_store_open(path, STORE_ORIGIN, read_only, &store, error));
    return store;
}

static void opening_fails(bool read_only, rung_status status, const char *message)
{
    rung_store *store = NULL;
    assert_fails(rung_store_open(path, STORE_ORIGIN, read_only, &store, error), status, message);
    assert_null(store);
}

static void add(rung_store *store, uint64_t number)
{
    made_entry made = store_entry(number);
    size_t index = SIZE_MAX;
    assert_ok(rung_store_add(store, &made.key, &made.entry, &index, error));
    assert_true(index < rung_store_count(store));
    free(made.values);
}

/* Whether the entry is found; then it must have its numbers. */
static bool has(const rung_store *store, uint64_t number)
{
    made_entry made = store_entry(number);
    size_t index = rung_store_find(store, &made.key);
    if (index != SIZE_MAX) {
        rung_record_entry view;
        rung_store_get(store, index, &view);
        assert_true(store_same(&view, &made.entry));
        assert_ok(rung_store_verify(store, index, error));
    }
    free(made.values);
    return index != SIZE_MAX;
}

/* A new file with the entries 0 .. count-1. */
static void make_file(uint64_t count)
{
    unlink(path);
    rung_store *store = open_with(false);
    for (uint64_t number = 0; number < count; number++) {
        add(store, number);
    }
    assert_ok(rung_store_flush(store, error));
    rung_store_close(store);
}

/* Without waiting for the disk: this happens a thousand times. */
static void write_bytes(const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "wbe");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void file_is(const uint8_t *bytes, size_t size)
{
    size_t now_size;
    uint8_t *now = store_bytes(path, &now_size);
    assert_int_equal(now_size, size);
    assert_memory_equal(now, bytes, size);
    free(now);
}

static size_t small_bytes(uint64_t number)
{
    made_entry made = store_entry(number);
    size_t bytes = 0;
    assert_ok(rung_store_entry_bytes(&made.entry, &bytes, error));
    free(made.values);
    return bytes;
}

static void entries_stay(void **state)
{
    (void)state;
    unlink(path);
    rung_store *store = open_with(false);
    assert_int_equal(rung_store_count(store), 0);
    assert_false(has(store, 0));
    for (uint64_t number = 0; number < 20; number++) {
        add(store, number);
        assert_true(has(store, number));
    }
    assert_int_equal(rung_store_count(store), 20);
    rung_store_close(store); /* writes */
    for (int read_only = 0; read_only < 2; read_only++) {
        store = open_with(read_only != 0);
        assert_int_equal(rung_store_count(store), 20);
        for (uint64_t number = 0; number < 20; number++) {
            assert_true(has(store, number));
        }
        assert_false(has(store, 20));
        rung_store_close(store);
    }
    rung_store_close(NULL);
}

static void what_exists_stays_as_it_was(void **state)
{
    (void)state;
    make_file(3);
    size_t size;
    uint8_t *bytes = store_bytes(path, &size);
    rung_store *store = open_with(false);
    made_entry other = store_entry(1);
    other.key = store_key(2);
    size_t index = SIZE_MAX;
    assert_ok(rung_store_add(store, &other.key, &other.entry, &index, error));
    assert_int_equal(index, 2);
    assert_ok(rung_store_add(store, &other.key, &other.entry, NULL, error));
    assert_int_equal(rung_store_count(store), 3);
    assert_true(has(store, 2));
    other.key = store_key(99);
    other.entry.num_layers = 0;
    index = 77;
    assert_fails(rung_store_add(store, &other.key, &other.entry, &index, error), RUNG_LIMIT, "num_layers is 0");
    assert_int_equal(index, 77);
    rung_store_close(store);
    file_is(bytes, size);
    free(bytes);
    free(other.values);
}

/* Thousands of entries, over the borders of segments and chunks; one is larger than a chunk. */
static void views_never_move(void **state)
{
    (void)state;
    unlink(path);
    rung_store *store = open_with(false);
    const rung_record_entry large = {
        .num_tokens = 5000, .num_layers = 12, .num_classes = 2, .hidden_size = 100000 / 8, .importance_layers = 12};
    const rung_record_entry medium = {
        .num_tokens = 300, .num_layers = 4, .num_classes = 2, .hidden_size = 32, .importance_layers = 1};
    rung_record_entry first;
    size_t index;
    add(store, 0);
    rung_store_get(store, 0, &first);
    for (uint64_t number = 1; number < 4000; number++) {
        made_entry made = store_entry_of(number, number % 1500 == 0 ? large : medium);
        assert_ok(rung_store_add(store, &made.key, &made.entry, &index, error));
        assert_int_equal(index, number);
        free(made.values);
    }
    rung_record_entry again;
    rung_store_get(store, 0, &again);
    assert_ptr_equal(first.logits, again.logits);
    assert_true(has(store, 0));
    rung_store_close(store);
    store = open_with(true);
    assert_int_equal(rung_store_count(store), 4000);
    for (uint64_t number = 1; number < 4000; number++) {
        made_entry made = store_entry_of(number, number % 1500 == 0 ? large : medium);
        assert_int_equal(rung_store_find(store, &made.key), number);
        rung_store_get(store, number, &again);
        assert_true(store_same(&again, &made.entry));
        free(made.values);
    }
    rung_store_close(store);
}

/* As a crash leaves it, at every byte. */
static void a_cut_file_keeps_whole_entries(void **state)
{
    (void)state;
    make_file(5);
    size_t size;
    uint8_t *bytes = store_bytes(path, &size);
    size_t header = rung_store_header_bytes(strlen(STORE_ORIGIN));
    for (size_t cut = 0; cut < size; cut++) {
        uint64_t whole = 0;
        size_t end = header;
        while (cut >= header && end + small_bytes(whole) <= cut) {
            end += small_bytes(whole++);
        }
        write_bytes(bytes, cut);
        rung_store *store = open_with(true);
        assert_int_equal(rung_store_count(store), whole);
        rung_store_close(store);
        file_is(bytes, cut);
        store = open_with(false);
        assert_int_equal(rung_store_count(store), whole);
        for (uint64_t number = 0; number < 5; number++) {
            assert_int_equal(has(store, number), number < whole);
        }
        rung_store_close(store);
        file_is(bytes, end);
        store = open_with(false);
        for (uint64_t number = 0; number < 5; number++) {
            add(store, number);
        }
        rung_store_close(store);
        file_is(bytes, size); /* the same bytes as without the crash */
    }
    free(bytes);
}

/* Garbage and zeros behind the last entry are no entries either. */
static void a_damaged_tail_is_cut_off(void **state)
{
    (void)state;
    make_file(3);
    size_t size;
    uint8_t *bytes = store_bytes(path, &size);
    uint8_t *longer = calloc(size + 5000, 1);
    memcpy(longer, bytes, size);
    for (int fill = 0; fill < 2; fill++) {
        memset(longer + size, fill == 0 ? 0 : 0x59, 5000);
        write_bytes(longer, size + 5000);
        rung_store *store = open_with(false);
        assert_int_equal(rung_store_count(store), 3);
        rung_store_close(store);
        file_is(bytes, size);
    }
    longer[size - 1] ^= 1; /* the last payload, and zeros where another entry was to be */
    write_bytes(longer, size);
    rung_store *store = open_with(false);
    assert_int_equal(rung_store_count(store), 2);
    assert_true(has(store, 1));
    rung_store_close(store);
    file_is(bytes, size - small_bytes(2));
    free(longer);
    free(bytes);
}

/* Each byte of the file changed in turn: never another number, and a file that is refused is as it was. */
static void damage_is_never_taken_for_an_entry(void **state)
{
    (void)state;
    make_file(4);
    size_t size;
    uint8_t *bytes = store_bytes(path, &size);
    size_t refused = 0;
    for (size_t at = 0; at < size; at++) {
        bytes[at] ^= 0x10;
        write_bytes(bytes, size);
        rung_store *store = NULL;
        rung_error error = {.message = ""};
        rung_status status = rung_store_open(path, STORE_ORIGIN, at % 2 == 0, &store, &error);
        if (status == RUNG_OK) {
            size_t missing = 0;
            for (uint64_t number = 0; number < 4; number++) {
                missing += !has(store, number);
            }
            assert_in_range(missing, 0, 1);
        } else {
            assert_true(status == RUNG_INVALID || status == RUNG_UNSUPPORTED);
            assert_non_null(strstr(error.message, path));
            assert_null(store);
            refused++;
            file_is(bytes, size);
        }
        rung_store_close(store);
        bytes[at] ^= 0x10;
    }
    /* The header, and those of entries that others follow. */
    assert_int_equal(refused, sizeof(rung_store_header) + strlen(STORE_ORIGIN) + 3 * sizeof(rung_store_entry_header));
    free(bytes);
}

/* One bit inside the second of four: it is computed again and takes the damaged one's place. */
static void a_damaged_entry_is_made_anew(void **state)
{
    (void)state;
    make_file(4);
    size_t size;
    uint8_t *bytes = store_bytes(path, &size);
    size_t offset = rung_store_header_bytes(strlen(STORE_ORIGIN)) + small_bytes(0);
    bytes[offset + sizeof(rung_store_entry_header) + 5] ^= 4;
    write_bytes(bytes, size);
    rung_store *store = open_with(true);
    assert_int_equal(rung_store_count(store), 4);
    assert_false(has(store, 1));
    assert_true(has(store, 2));
    char message[128];
    snprintf(message, sizeof message, "record.rung: entry 1, at byte %zu, is damaged", offset);
    assert_fails(rung_store_verify(store, 1, error), RUNG_INVALID, message);
    assert_ok(rung_store_verify(store, 3, error));
    rung_store_close(store);
    store = open_with(false);
    add(store, 1);
    assert_true(has(store, 1));
    assert_int_equal(rung_store_count(store), 5);
    rung_store_close(store);
    store = open_with(false);
    assert_int_equal(rung_store_count(store), 5);
    assert_true(has(store, 1));
    assert_true(has(store, 3));
    rung_store_close(store);

    bytes[offset] ^= 1; /* a header in the middle: what follows cannot be reached for certain */
    write_bytes(bytes, size);
    snprintf(message, sizeof message,
             "record.rung: is damaged at byte %zu, and whole entries follow; give another directory", offset);
    opening_fails(false, RUNG_INVALID, message);
    opening_fails(true, RUNG_INVALID, message);
    file_is(bytes, size);
    free(bytes);
}

static void foreign_files_are_left_alone(void **state)
{
    (void)state;
    const char *text = "{\"text\":\"a film\",\"label\":1}\n";
    write_bytes((const uint8_t *)text, strlen(text));
    opening_fails(false, RUNG_INVALID, "record.rung: is not a record of rung");
    file_is((const uint8_t *)text, strlen(text));
    make_file(1);
    size_t size;
    uint8_t *bytes = store_bytes(path, &size);
    bytes[8] = 9;
    write_bytes(bytes, size);
    opening_fails(false, RUNG_UNSUPPORTED, "record.rung: is a record of version 9");
    file_is(bytes, size);
    free(bytes);
    rung_store *store = NULL;
    assert_fails(rung_store_open(directory, STORE_ORIGIN, true, &store, error), RUNG_INVALID, "is not a regular file");
    assert_fails(rung_store_open(directory, STORE_ORIGIN, false, &store, error), RUNG_IO,
                 "cannot open: Is a directory");
    assert_fails(rung_store_open("/nonexistent/record.rung", STORE_ORIGIN, false, &store, error), RUNG_NOT_FOUND,
                 "/nonexistent/record.rung: cannot open");
    assert_null(store);
}

static void another_origin_is_refused(void **state)
{
    (void)state;
    make_file(2);
    size_t size;
    uint8_t *bytes = store_bytes(path, &size);
    rung_store *store = NULL;
    assert_fails(rung_store_open(path, "level 1 model sha256 cd\nprecision int8\n", false, &store, error),
                 RUNG_MISMATCH,
                 "record.rung: made with \"level 1 model sha256 ab\", this cascade has \"level 1 model sha256 cd\"; "
                 "give another directory");
    assert_null(store);
    file_is(bytes, size);
    free(bytes);
}

static void read_only_changes_nothing(void **state)
{
    (void)state;
    unlink(path);
    opening_fails(true, RUNG_NOT_FOUND, "record.rung: cannot open: No such file");
    assert_false(rung_path_exists(path));
    make_file(2);
    size_t size;
    uint8_t *bytes = store_bytes(path, &size);
    rung_store *store = open_with(true);
    made_entry made = store_entry(2);
    size_t index = 77;
    assert_fails(rung_store_add(store, &made.key, &made.entry, &index, error), RUNG_INVALID,
                 "record.rung: is open for reading only");
    assert_int_equal(index, 77);
    assert_ok(rung_store_write(store, error));
    assert_ok(rung_store_flush(store, error));
    free(made.values);

    rung_store *writer = open_with(false); /* beside the reader, which keeps what it saw */
    add(writer, 2);
    assert_ok(rung_store_flush(writer, error));
    rung_store *second = open_with(true);
    assert_int_equal(rung_store_count(second), 3);
    assert_true(has(second, 2));
    assert_int_equal(rung_store_count(store), 2);
    assert_true(has(store, 1));
    rung_store_close(second);
    rung_store_close(writer);
    rung_store_close(store);
    free(bytes);
}

static void one_writer_at_a_time(void **state)
{
    (void)state;
    make_file(1);
    rung_store *store = open_with(false);
    opening_fails(false, RUNG_IO, "record.rung: is open for writing elsewhere");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        rung_store *other = NULL;
        _exit(rung_store_open(path, STORE_ORIGIN, false, &other, NULL) == RUNG_IO ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    rung_store_close(store);
    rung_store_close(open_with(false));
}

/* A process that dies: what it wrote is there, and its lock is not. */
static void a_killed_writer_leaves_what_it_wrote(void **state)
{
    (void)state;
    unlink(path);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        rung_store *store = NULL;
        if (rung_store_open(path, STORE_ORIGIN, false, &store, NULL) == RUNG_OK) {
            for (uint64_t number = 0; number < 10; number++) {
                made_entry made = store_entry(number);
                if (rung_store_add(store, &made.key, &made.entry, NULL, NULL) != RUNG_OK ||
                    (number == 3 && rung_store_flush(store, NULL) != RUNG_OK) ||
                    (number == 6 && rung_store_write(store, NULL) != RUNG_OK)) {
                    _exit(1);
                }
                free(made.values);
            }
            kill(getpid(), SIGKILL);
        }
        _exit(1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    rung_store *store = open_with(false);
    assert_int_equal(rung_store_count(store), 7);
    for (uint64_t number = 0; number < 7; number++) {
        assert_true(has(store, number));
    }
    rung_store_close(store);
}

static void limit_files(size_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? (rlim_t)bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A limit on the size of files stands for a full disk. */
static void a_full_disk_loses_nothing(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    unlink(path);
    limit_files(30);
    opening_fails(false, RUNG_IO, "record.rung: cannot write: File too large");
    limit_files(SIZE_MAX);
    make_file(3);
    size_t size;
    uint8_t *bytes = store_bytes(path, &size);
    for (size_t room = 0; room <= small_bytes(3) + small_bytes(4); room += 4) {
        write_bytes(bytes, size);
        rung_store *store = open_with(false);
        add(store, 3);
        add(store, 4);
        add(store, 5);
        limit_files(size + room);
        assert_fails(rung_store_flush(store, error), RUNG_IO, "record.rung: cannot write: File too large");
        limit_files(SIZE_MAX);
        uint64_t whole = room < small_bytes(3) ? 3 : room < small_bytes(3) + small_bytes(4) ? 4 : 5;
        struct stat info;
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_size, size + (whole > 3 ? small_bytes(3) : 0) + (whole > 4 ? small_bytes(4) : 0));
        rung_store *reader = open_with(true);
        assert_int_equal(rung_store_count(reader), whole);
        for (uint64_t number = 0; number < 6; number++) {
            assert_true(has(store, number));
            assert_int_equal(has(reader, number), number < whole);
        }
        rung_store_close(reader);
        assert_ok(rung_store_flush(store, error)); /* there is room again */
        rung_store_close(store);
        store = open_with(true);
        for (uint64_t number = 0; number < 6; number++) {
            assert_true(has(store, number));
        }
        assert_int_equal(rung_store_count(store), 6);
        rung_store_close(store);
    }
    free(bytes);
}

/* Adding says it, too, once there is much to write; the entry that failed is not there. */
static void a_full_disk_stops_adding(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    make_file(1);
    rung_store *store = open_with(false);
    limit_files((size_t)1 << 20);
    const rung_record_entry sizes = {
        .num_tokens = 512, .num_layers = 12, .num_classes = 2, .hidden_size = 768, .importance_layers = 12};
    rung_error why = {.message = ""};
    rung_status status = RUNG_OK;
    uint64_t number = 1;
    for (; number < 1000; number++) {
        made_entry made = store_entry_of(number, sizes);
        size_t index = 77;
        status = rung_store_add(store, &made.key, &made.entry, &index, &why);
        free(made.values);
        if (status != RUNG_OK) {
            assert_int_equal(index, 77);
            break;
        }
        assert_int_equal(index, number);
    }
    assert_int_equal(status, RUNG_IO);
    assert_non_null(strstr(why.message, "record.rung: cannot write: File too large"));
    assert_int_equal(rung_store_count(store), number);
    rung_record_key key = store_key(number);
    assert_int_equal(rung_store_find(store, &key), SIZE_MAX);
    limit_files(SIZE_MAX);
    made_entry made = store_entry_of(number, sizes);
    assert_ok(rung_store_add(store, &made.key, &made.entry, NULL, error));
    free(made.values);
    rung_store_close(store);
    store = open_with(true);
    assert_int_equal(rung_store_count(store), number + 1);
    for (uint64_t i = 1; i <= number; i++) {
        rung_record_entry view;
        made = store_entry_of(i, sizes);
        rung_store_get(store, rung_store_find(store, &made.key), &view);
        assert_true(store_same(&view, &made.entry));
        free(made.values);
    }
    rung_store_close(store);
}

#define SHARED_ENTRIES 3000

typedef struct shared_store {
    rung_store *store;
    atomic_size_t next;
    atomic_bool bad;
} shared_store;

/* Every thread adds its own share and, a little behind, what others add, and looks at what is there meanwhile. */
static void add_and_look(void *context, size_t worker)
{
    shared_store *shared = context;
    for (size_t at; (at = atomic_fetch_add(&shared->next, 1)) < 2 * SHARED_ENTRIES;) {
        uint64_t number = at / 2;
        made_entry made = store_entry(number);
        size_t index = SIZE_MAX;
        rung_record_entry view;
        bool good = rung_store_add(shared->store, &made.key, &made.entry, &index, NULL) == RUNG_OK &&
                    rung_store_find(shared->store, &made.key) == index;
        if (good) {
            rung_store_get(shared->store, index, &view);
            good = store_same(&view, &made.entry);
        }
        free(made.values);
        if (at % 500 == worker) {
            good = good && rung_store_flush(shared->store, NULL) == RUNG_OK;
        }
        made = store_entry(number / 2);
        index = rung_store_find(shared->store, &made.key);
        if (index != SIZE_MAX) {
            rung_store_get(shared->store, index, &view);
            good = good && store_same(&view, &made.entry) && rung_store_verify(shared->store, index, NULL) == RUNG_OK;
        }
        free(made.values);
        if (!good) {
            atomic_store(&shared->bad, true);
        }
    }
}

static void threads_share_a_store(void **state)
{
    (void)state;
    make_file(100);
    shared_store shared = {.store = open_with(false)};
    rung_parallel(4, add_and_look, &shared);
    assert_false(atomic_load(&shared.bad));
    assert_int_equal(rung_store_count(shared.store), SHARED_ENTRIES);
    assert_ok(rung_store_flush(shared.store, error));
    rung_store_close(shared.store);
    rung_store *store = open_with(true);
    assert_int_equal(rung_store_count(store), SHARED_ENTRIES);
    for (uint64_t number = 0; number < SHARED_ENTRIES; number++) {
        assert_true(has(store, number));
    }
    rung_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_stay),
        cmocka_unit_test(what_exists_stays_as_it_was),
        cmocka_unit_test(views_never_move),
        cmocka_unit_test(a_cut_file_keeps_whole_entries),
        cmocka_unit_test(a_damaged_tail_is_cut_off),
        cmocka_unit_test(damage_is_never_taken_for_an_entry),
        cmocka_unit_test(a_damaged_entry_is_made_anew),
        cmocka_unit_test(foreign_files_are_left_alone),
        cmocka_unit_test(another_origin_is_refused),
        cmocka_unit_test(read_only_changes_nothing),
        cmocka_unit_test(one_writer_at_a_time),
        cmocka_unit_test(a_killed_writer_leaves_what_it_wrote),
        cmocka_unit_test(a_full_disk_loses_nothing),
        cmocka_unit_test(a_full_disk_stops_adding),
        cmocka_unit_test(threads_share_a_store),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
