/* test_base.c: src/base: errors, memory, buffers, files, hashes, random numbers, UTF-8, threads. */
#include "base/buffer.h"
#include "base/checked.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/prng.h"
#include "base/utf8.h"
#include "skip.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

static char directory[] = "/tmp/rung_test_base.XXXXXX";

static char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL;
}

static int remove_directory(void **state)
{
    (void)state;
    static const char *const names[] = {"plain", "data.zst", "cut.zst", "empty"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unlink(path_of(names[i]));
    }
    return rmdir(directory);
}

static void messages_are_one_line_and_fit(void **state)
{
    (void)state;
    rung_error error;
    assert_int_equal(rung_fail(&error, RUNG_LIMIT, "a\nb\x01%s", "c"), RUNG_LIMIT);
    assert_string_equal(error.message, "a?b?c");
    assert_int_equal(rung_fail_in(&error, "file.json:%d", 3), RUNG_LIMIT);
    assert_string_equal(error.message, "file.json:3: a?b?c");
    char long_text[3000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    rung_fail(&error, RUNG_INVALID, "%s", long_text);
    assert_int_equal(strlen(error.message), sizeof error.message - 1);
    assert_int_equal(rung_fail(NULL, RUNG_IO, "nobody looks"), RUNG_IO);
    assert_string_equal(rung_status_name(RUNG_MISMATCH), "mismatch");
}

static void checked_arithmetic_sees_overflow(void **state)
{
    (void)state;
    size_t out = 5;
    assert_false(rung_mul_size(SIZE_MAX / 2 + 1, 2, &out));
    assert_false(rung_add_size(SIZE_MAX, 1, &out));
    assert_int_equal(out, 5);
    assert_true(rung_mul_size(SIZE_MAX / 2, 2, &out));
    assert_int_equal(out, SIZE_MAX - 1);
    assert_int_equal(rung_round_up(65, 64), 128);
    assert_int_equal(rung_round_up(64, 64), 64);
}

static void allocations_that_overflow_are_refused(void **state)
{
    (void)state;
    rung_error error;
    assert_null(rung_alloc(SIZE_MAX, 2, "thing", &error));
    assert_int_equal(error.code, RUNG_LIMIT);
    assert_non_null(strstr(error.message, "thing"));
    assert_null(rung_alloc_aligned(SIZE_MAX - 1, 1, "thing", &error));
    uint8_t *block = rung_alloc_aligned(3, 1, "thing", &error);
    assert_int_equal((uintptr_t)block % RUNG_ALIGNMENT, 0);
    for (size_t i = 0; i < 3 + RUNG_ALIGNMENT; i++) { /* zeroed, and readable past the end */
        assert_int_equal(block[i], 0);
    }
    free(block);
}

static void buffer_grows_and_terminates(void **state)
{
    (void)state;
    rung_buffer buffer = {0};
    for (int i = 0; i < 1000; i++) {
        rung_buffer_format(&buffer, "%d,", i);
    }
    rung_buffer_append(&buffer, "\0x", 2);
    assert_int_equal(buffer.length, 10 * 2 + 90 * 3 + 900 * 4 + 2);
    assert_int_equal(buffer.data[buffer.length], '\0');
    assert_memory_equal(buffer.data, "0,1,2,", 6);
    assert_int_equal(rung_buffer_check(&buffer, "text", NULL), RUNG_OK);
    rung_buffer_clear(&buffer);
    assert_string_equal(buffer.data, "");
    rung_buffer_deinit(&buffer);
}

static void files_are_replaced_whole(void **state)
{
    (void)state;
    rung_error error;
    char *text;
    size_t size;
    assert_int_equal(rung_write_file(path_of("plain"), "first", 5, &error), RUNG_OK);
    assert_int_equal(rung_write_file(path_of("plain"), "second!", 7, &error), RUNG_OK);
    assert_int_equal(rung_read_file(path_of("plain"), 7, &text, &size, &error), RUNG_OK);
    assert_int_equal(size, 7);
    assert_string_equal(text, "second!");
    free(text);
    assert_int_equal(rung_read_file(path_of("plain"), 6, &text, &size, &error), RUNG_LIMIT);
    assert_non_null(strstr(error.message, "plain"));
    assert_non_null(strstr(error.message, "6 bytes"));
    assert_int_equal(rung_read_file(path_of("missing"), 6, &text, &size, &error), RUNG_NOT_FOUND);
    assert_int_equal(rung_read_file(directory, 6, &text, &size, &error), RUNG_INVALID);
    assert_int_equal(rung_write_file("/dev/null", "x", 1, &error), RUNG_INVALID);
    assert_non_null(strstr(error.message, "is not a regular file"));
    assert_true(rung_path_same_file(path_of("plain"), path_of("plain")));
    assert_false(rung_path_same_file(directory, "/dev/null"));
    assert_int_equal(rung_write_file("/nonexistent/directory/file", "x", 1, &error), RUNG_NOT_FOUND);
    assert_int_equal(rung_write_file(path_of("empty"), "", 0, &error), RUNG_OK);
    rung_mapping mapping;
    assert_int_equal(rung_map_file(path_of("empty"), &mapping, &error), RUNG_OK);
    assert_null(mapping.data);
    rung_unmap_file(&mapping);
}

static void compressed_files_are_read_within_the_limit(void **state)
{
    (void)state;
    rung_error error;
    char *text;
    size_t size;
    static char plain[300000];
    static char packed[300000];
    memset(plain, 'a', sizeof plain);
    size_t packed_bytes = ZSTD_compress(packed, sizeof packed, plain, sizeof plain, 1);
    assert_false(ZSTD_isError(packed_bytes));
    assert_int_equal(rung_write_file(path_of("data.zst"), packed, packed_bytes, &error), RUNG_OK);
    assert_int_equal(rung_read_file(path_of("data.zst"), sizeof plain, &text, &size, &error), RUNG_OK);
    assert_int_equal(size, sizeof plain);
    assert_memory_equal(text, plain, size);
    free(text);
    assert_int_equal(rung_read_file(path_of("data.zst"), sizeof plain - 1, &text, &size, &error), RUNG_LIMIT);
    assert_int_equal(rung_write_file(path_of("cut.zst"), packed, packed_bytes - 3, &error), RUNG_OK);
    assert_int_equal(rung_read_file(path_of("cut.zst"), sizeof plain, &text, &size, &error), RUNG_FORMAT);
    assert_int_equal(rung_write_file(path_of("cut.zst"), "no zstd", 7, &error), RUNG_OK);
    assert_int_equal(rung_read_file(path_of("cut.zst"), sizeof plain, &text, &size, &error), RUNG_FORMAT);
}

static void paths_are_joined_and_split(void **state)
{
    (void)state;
    struct {
        const char *directory, *name, *joined;
    } joins[] = {{"a", "b", "a/b"}, {"a", "/b", "/b"}, {NULL, "b", "b"}, {"", "b", "b"}};
    for (size_t i = 0; i < sizeof joins / sizeof joins[0]; i++) {
        char *joined = rung_path_join(joins[i].directory, joins[i].name, NULL);
        assert_string_equal(joined, joins[i].joined);
        free(joined);
    }
    struct {
        const char *path, *directory;
    } splits[] = {{"a/b/c", "a/b"}, {"c", "."}, {"/c", "/"}};
    for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
        char *found = rung_path_directory(splits[i].path, NULL);
        assert_string_equal(found, splits[i].directory);
        free(found);
    }
}

/* FIPS 180-4 examples, and the message of a million times "a". */
static void sha256_equals_the_standard(void **state)
{
    (void)state;
    struct {
        const char *text, *hex;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hex[RUNG_SHA256_HEX_BYTES];
    rung_sha256 hash;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rung_sha256_init(&hash);
        rung_sha256_update(&hash, cases[i].text, strlen(cases[i].text));
        rung_sha256_hex(&hash, hex);
        assert_string_equal(hex, cases[i].hex);
    }
    rung_sha256_init(&hash);
    for (size_t left = 1000000; left > 0;) { /* in uneven pieces */
        char a[97];
        memset(a, 'a', sizeof a);
        size_t piece = left < 97 ? left : 97;
        rung_sha256_update(&hash, a, piece);
        left -= piece;
    }
    rung_sha256_hex(&hash, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* xxHash specification: empty input, seeds 0 and PRIME32_1; the long form is compared with numbers.json.zst by test_offload. */
static void xxh64_equals_the_specification(void **state)
{
    (void)state;
    assert_int_equal(rung_xxh64("", 0, 0), 0xEF46DB3751D8E999u);
    assert_int_equal(rung_xxh64(NULL, 0, 2654435761u), 0xAC75FDA2929B17EFu);
}

/* splitmix64 from state 1234567, as its authors print it. */
static void random_numbers_are_the_published_sequence(void **state)
{
    (void)state;
    rung_prng prng = {1234567};
    assert_int_equal(rung_prng_next(&prng), 6457827717110365317u);
    assert_int_equal(rung_prng_next(&prng), 3203168211198807973u);
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < 20000; i++) {
        double uniform = rung_prng_uniform(&prng);
        assert_true(uniform >= 0 && uniform < 1);
        assert_true(rung_prng_below(&prng, 7) < 7);
        double normal = rung_prng_normal(&prng);
        sum += normal;
        squares += normal * normal;
    }
    assert_true(sum / 20000 < 0.03 && sum / 20000 > -0.03);
    assert_true(squares / 20000 < 1.05 && squares / 20000 > 0.95);
}

static void utf8_is_strict(void **state)
{
    (void)state;
    struct {
        const char *text;
        size_t bytes;
        size_t bad; /* == bytes: valid */
    } cases[] = {
        {"a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 10, 10},
        {"\0x", 2, 2},
        {"ab\x80", 3, 2},           /* lone continuation */
        {"\xC0\x80", 2, 0},         /* overlong */
        {"\xE0\x9F\xBF", 3, 0},     /* overlong */
        {"a\xED\xA0\x80", 4, 1},    /* surrogate */
        {"\xF4\x90\x80\x80", 4, 0}, /* above U+10FFFF */
        {"\xF8\x88\x80\x80\x80", 5, 0},
        {"abc\xE2\x82", 5, 3}, /* cut */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t bad = cases[i].bytes;
        bool valid = rung_utf8_valid(cases[i].text, cases[i].bytes, &bad);
        assert_int_equal(valid, cases[i].bad == cases[i].bytes);
        assert_int_equal(bad, cases[i].bad);
    }
    for (uint32_t c = 0; c <= 0x10FFFF; c += 7) {
        char bytes[4];
        size_t offset = 0;
        if (c >= 0xD800 && c <= 0xDFFF) {
            continue;
        }
        size_t length = rung_utf8_put(c, bytes);
        size_t bad;
        assert_true(rung_utf8_valid(bytes, length, &bad));
        assert_int_equal(rung_utf8_next(bytes, length, &offset), c);
        assert_int_equal(offset, length);
    }
}

static void count_worker(void *context, size_t worker)
{
    atomic_size_t *seen = context;
    assert_true(worker < 8);
    atomic_fetch_add(&seen[worker], 1);
}

static void every_worker_runs_once(void **state)
{
    (void)state;
    atomic_size_t seen[8] = {0};
    rung_parallel(8, count_worker, seen);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(atomic_load(&seen[i]), 1);
    }
    assert_true(rung_processor_count() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_one_line_and_fit),
        cmocka_unit_test(checked_arithmetic_sees_overflow),
        cmocka_unit_test(allocations_that_overflow_are_refused),
        cmocka_unit_test(buffer_grows_and_terminates),
        cmocka_unit_test(files_are_replaced_whole),
        cmocka_unit_test(compressed_files_are_read_within_the_limit),
        cmocka_unit_test(paths_are_joined_and_split),
        cmocka_unit_test(sha256_equals_the_standard),
        cmocka_unit_test(xxh64_equals_the_specification),
        cmocka_unit_test(random_numbers_are_the_published_sequence),
        cmocka_unit_test(utf8_is_strict),
        cmocka_unit_test(every_worker_runs_once),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
