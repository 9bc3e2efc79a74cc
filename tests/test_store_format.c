/* test_store_format.c: the bytes of a record file: what is written is read back, every size has its limit, nothing
 * damaged or cut is taken for an entry, and headers of other files are told apart. */
#include "model/model.h"
#include "store_fixture.h"

static size_t bytes_of(const rung_record_entry *entry)
{
    size_t bytes = 0;
    assert_ok(rung_store_entry_bytes(entry, &bytes, error));
    return bytes;
}

static void entries_are_read_back(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < 24; number++) {
        made_entry made = store_entry(number);
        size_t bytes = bytes_of(&made.entry);
        assert_int_equal(bytes % 8, 0);
        size_t offset = 64;
        uint8_t *data = malloc(offset + bytes);
        memset(data, 0xAA, offset + bytes);
        rung_store_put_entry(&made.key, &made.entry, offset, data + offset);
        size_t found = 0;
        assert_true(rung_store_entry_at(data, offset + bytes, offset, &found));
        assert_int_equal(found, bytes);
        assert_int_equal(rung_store_image_bytes(data + offset), bytes);
        assert_true(rung_store_image_good(data + offset));
        rung_record_key key = rung_store_image_key(data + offset);
        assert_memory_equal(&key, &made.key, sizeof key);
        rung_record_entry view;
        rung_store_image_view(data + offset, &view);
        assert_true(store_same(&view, &made.entry));
        assert_ptr_equal(view.logits, data + offset + sizeof(rung_store_entry_header));
        free(data);
        free(made.values);
    }
}

static void no_remains_look_like_an_entry(void **state)
{
    (void)state;
    made_entry made = store_entry(1);
    size_t bytes = bytes_of(&made.entry);
    uint8_t *data = calloc(2, bytes);
    size_t found = 77;
    rung_store_put_entry(&made.key, &made.entry, bytes, data + bytes);
    assert_true(rung_store_entry_follows(data, 2 * bytes, 0));
    assert_false(rung_store_entry_follows(data, 2 * bytes, bytes + 8));
    assert_false(rung_store_entry_follows(data, 2 * bytes, 4 * bytes));
    assert_false(rung_store_entry_at(data, 2 * bytes, 0, &found));
    assert_false(rung_store_entry_at(data, 2 * bytes, 3 * bytes, &found));
    for (size_t size = 0; size < 2 * bytes; size++) { /* cut off anywhere */
        assert_false(rung_store_entry_at(data, size, bytes, &found));
        assert_false(rung_store_entry_follows(data, size, 0));
    }
    memcpy(data, data + bytes, bytes); /* the same bytes at another place */
    assert_false(rung_store_entry_at(data, 2 * bytes, 0, &found));
    assert_int_equal(found, 77);
    for (size_t bit = 0; bit < 8 * bytes; bit++) {
        data[bytes + bit / 8] ^= (uint8_t)(1U << bit % 8);
        bool header = bit / 8 < sizeof(rung_store_entry_header);
        assert_int_equal(rung_store_entry_at(data, 2 * bytes, bytes, &found), !header);
        assert_true(header || !rung_store_image_good(data + bytes));
        data[bytes + bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    free(data);
    free(made.values);
}

static void sizes_have_limits(void **state)
{
    (void)state;
    const rung_record_entry least = {.num_tokens = 1, .num_layers = 1, .num_classes = 1};
    const rung_record_entry most = {.num_tokens = RUNG_MAX_POSITIONS,
                                    .num_layers = RUNG_MAX_LAYERS,
                                    .num_classes = RUNG_MAX_LABELS,
                                    .hidden_size = RUNG_MAX_HIDDEN,
                                    .importance_layers = RUNG_MAX_LAYERS};
    assert_int_equal(bytes_of(&least), sizeof(rung_store_entry_header) + 8);
    assert_int_equal(bytes_of(&most), sizeof(rung_store_entry_header) +
                                          sizeof(float) * RUNG_MAX_LAYERS *
                                              (RUNG_MAX_LABELS + RUNG_MAX_HIDDEN + RUNG_MAX_POSITIONS + 1));
    const struct {
        rung_record_entry entry;
        const char *message;
    } wrong[] = {
        {{0, 1, 1, 0, 0, NULL, NULL, NULL, NULL}, "num_tokens is 0, outside 1 .. 65536"},
        {{65537, 1, 1, 0, 0, NULL, NULL, NULL, NULL}, "num_tokens is 65537, outside 1 .. 65536"},
        {{1, 0, 1, 0, 0, NULL, NULL, NULL, NULL}, "num_layers is 0, outside 1 .. 128"},
        {{1, 129, 1, 0, 0, NULL, NULL, NULL, NULL}, "num_layers is 129, outside 1 .. 128"},
        {{1, 1, 0, 0, 0, NULL, NULL, NULL, NULL}, "num_classes is 0, outside 1 .. 4096"},
        {{1, 1, UINT32_MAX, 0, 0, NULL, NULL, NULL, NULL}, "num_classes is 4294967295, outside 1 .. 4096"},
        {{1, 1, 1, 16385, 0, NULL, NULL, NULL, NULL}, "hidden_size is 16385, outside 0 .. 16384"},
        {{1, 2, 1, 0, 3, NULL, NULL, NULL, NULL}, "importance_layers is 3, outside 0 .. 2"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        size_t bytes = 77;
        assert_fails(rung_store_entry_bytes(&wrong[i].entry, &bytes, error), RUNG_LIMIT, wrong[i].message);
        assert_int_equal(bytes, 77);
    }
}

/* A header of STORE_ORIGIN in memory of just its size, to be freed. */
static uint8_t *header(size_t *size)
{
    *size = rung_store_header_bytes(strlen(STORE_ORIGIN));
    uint8_t *data = malloc(*size);
    assert_non_null(data);
    rung_store_put_header(STORE_ORIGIN, data);
    return data;
}

static void header_is_recognised(void **state)
{
    (void)state;
    size_t size;
    uint8_t *data = header(&size);
    size_t bytes = 77;
    assert_ok(rung_store_check_header(data, size, "f", STORE_ORIGIN, &bytes, error));
    assert_int_equal(bytes, size);
    for (size_t cut = 0; cut < size; cut++) { /* its making was cut off */
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, data, cut);
        bytes = 77;
        assert_ok(rung_store_check_header(exact, cut, "f", STORE_ORIGIN, &bytes, error));
        assert_int_equal(bytes, 0);
        if (cut >= 16) { /* of another origin it is no beginning */
            assert_fails(rung_store_check_header(exact, cut, "f", "other", &bytes, error), RUNG_INVALID,
                         "f: the header of the record is damaged");
        }
        free(exact);
    }
    for (size_t at = 0; at < 24 + strlen(STORE_ORIGIN); at++) {
        data[at] ^= 1;
        bytes = 77;
        rung_status wanted = at >= 8 && at < 12 ? RUNG_UNSUPPORTED : RUNG_INVALID;
        assert_fails(rung_store_check_header(data, size, "f", STORE_ORIGIN, &bytes, error), wanted, "f: ");
        assert_int_equal(bytes, 77);
        data[at] ^= 1;
    }
    assert_fails(rung_store_check_header((const uint8_t *)"{\"text\":\"a\"}", 12, "f", STORE_ORIGIN, &bytes, error),
                 RUNG_INVALID, "f: is not a record of rung");
    data[8] = 2;
    assert_fails(rung_store_check_header(data, size, "f", STORE_ORIGIN, &bytes, error), RUNG_UNSUPPORTED,
                 "f: is a record of version 2, this rung reads version 1");
    free(data);
}

static void other_origins_name_the_line(void **state)
{
    (void)state;
    size_t size;
    uint8_t *data = header(&size);
    size_t bytes = 77;
    const struct {
        const char *origin, *message;
    } others[] = {
        {"level 1 model sha256 cd\nprecision int8\n", "f: made with \"level 1 model sha256 ab\", this cascade has "
                                                      "\"level 1 model sha256 cd\"; give another directory"},
        {"level 1 model sha256 ab\nprecision fp32\n",
         "made with \"precision int8\", this cascade has \"precision fp32\""},
        {"level 1 model sha256 ab\nprecision int8\nmore\n", "made with \"nothing\", this cascade has \"more\""},
        {"level 1 model sha256 ab\n", "made with \"precision int8\", this cascade has \"nothing\""},
        {"", "made with \"level 1 model sha256 ab\", this cascade has \"nothing\""},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_fails(rung_store_check_header(data, size, "f", others[i].origin, &bytes, error), RUNG_MISMATCH,
                     others[i].message);
    }
    char *origin = malloc(RUNG_STORE_MAX_ORIGIN_BYTES + 2);
    memset(origin, 'x', RUNG_STORE_MAX_ORIGIN_BYTES + 1);
    origin[RUNG_STORE_MAX_ORIGIN_BYTES + 1] = '\0';
    assert_fails(rung_store_check_header(data, size, "f", origin, &bytes, error), RUNG_LIMIT,
                 "f: 65537 bytes of origin are more than 65536");
    assert_int_equal(bytes, 77);
    origin[RUNG_STORE_MAX_ORIGIN_BYTES] = '\0'; /* the most; a line of it is not shown whole */
    uint8_t *large = malloc(rung_store_header_bytes(RUNG_STORE_MAX_ORIGIN_BYTES));
    rung_store_put_header(origin, large);
    size_t large_bytes = rung_store_header_bytes(RUNG_STORE_MAX_ORIGIN_BYTES);
    assert_ok(rung_store_check_header(large, large_bytes, "f", origin, &bytes, error));
    assert_int_equal(bytes, large_bytes);
    assert_fails(rung_store_check_header(large, large_bytes, "f", "y\n", &bytes, error), RUNG_MISMATCH,
                 "xxx\", this cascade has \"y\"");
    free(large);
    free(origin);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_read_back),       cmocka_unit_test(no_remains_look_like_an_entry),
        cmocka_unit_test(sizes_have_limits),           cmocka_unit_test(header_is_recognised),
        cmocka_unit_test(other_origins_name_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
