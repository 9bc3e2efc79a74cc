/* test_safetensors.c: the reader on good and lying files, and that what the writer writes is read back aligned. */
#include "base/memory.h"
#include "model_fixture.h"

typedef struct lying_header {
    const char *header;
    size_t data_bytes;
    rung_status status;
    const char *fragment;
} lying_header;

#define T(name, dtype, shape, begin, end)                                                                              \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

/* File bytes of that header with zero data. */
static uint8_t *make_file(const char *header, size_t data_bytes, size_t *size)
{
    uint64_t length = strlen(header);
    *size = 8 + (size_t)length + data_bytes;
    uint8_t *bytes = calloc(*size, 1);
    assert_non_null(bytes);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, (size_t)length);
    return bytes;
}

static void test_lying_headers(void **state)
{
    (void)state;
    static const lying_header cases[] = {
        {"[]", 0, RUNG_FORMAT, "does not start with '{'"},
        {" {}", 0, RUNG_FORMAT, "does not start with '{'"},
        {"{\"a\":", 0, RUNG_FORMAT, "x.safetensors: the header is not valid JSON at byte 5"},
        {"{} x", 0, RUNG_FORMAT, "not valid JSON"},
        {"{\"a\":1}", 0, RUNG_FORMAT, "tensor \"a\": its description must be an object"},
        {"{" T("a", "F32", "[1]", 0, 4) "," T("a", "F32", "[1]", 0, 4) "}", 4, RUNG_FORMAT,
         "duplicate object key near '\"a\"'"},
        {"{" T("a", "F8", "[1]", 0, 1) "}", 1, RUNG_UNSUPPORTED, "tensor \"a\": dtype \"F8\""},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, RUNG_FORMAT, "\"a\": dtype must be a string"},
        {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, RUNG_FORMAT, "\"a\": shape must be an array"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, RUNG_FORMAT, "data_offsets must be an array of two integers"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, RUNG_FORMAT, "array of two integers"},
        {"{" T("a", "U8", "[-1]", 0, 1) "}", 1, RUNG_FORMAT, "\"a\": shape[0] must be an integer that is not negative"},
        {"{" T("a", "U8", "[1.0]", 0, 1) "}", 1, RUNG_FORMAT, "shape[0] must be an integer"},
        {"{" T("a", "U8", "[1,\"2\"]", 0, 2) "}", 2, RUNG_FORMAT, "shape[1] must be an integer"},
        {"{" T("a", "U8", "[99999999999999999999]", 0, 1) "}", 1, RUNG_FORMAT, "too big integer"},
        {"{" T("a", "F32", "[4294967296,4294967296]", 0, 4) "}", 4, RUNG_LIMIT,
         "\"a\": the size of its shape overflows"},
        {"{" T("a", "F64", "[2305843009213693952]", 0, 0) "}", 0, RUNG_LIMIT, "overflows"},
        {"{" T("a", "U8", "[1,1,1,1,1,1,1,1,1]", 0, 1) "}", 1, RUNG_LIMIT,
         "has 9 dimensions, more than the limit of 8"},
        {"{" T("a", "U8", "[8]", 0, 8) "}", 7, RUNG_FORMAT, "[0,8] lie outside the 7 bytes"},
        {"{" T("a", "U8", "[8]", 9, 1) "}", 9, RUNG_FORMAT, "[9,1] lie outside"},
        {"{" T("a", "U8", "[8]", -8, 0) "}", 9, RUNG_FORMAT, "data_offsets[0] must be an integer that is not negative"},
        {"{" T("a", "F32", "[2,3]", 0, 20) "}", 20, RUNG_FORMAT, "span 20 bytes, but F32 of shape [2,3] needs 24"},
        {"{" T("a", "U8", "[4]", 0, 4) "," T("b", "U8", "[4]", 3, 7) "}", 7, RUNG_FORMAT,
         "\"b\": its data overlap those of \"a\" by 1 bytes"},
        {"{" T("a", "U8", "[4]", 0, 4) "," T("b", "U8", "[4]", 0, 4) "}", 4, RUNG_FORMAT, "overlap"},
        {"{" T("a", "U8", "[4]", 0, 4) "," T("b", "U8", "[4]", 6, 10) "}", 10, RUNG_FORMAT,
         "\"b\": the 2 bytes before its data"},
        {"{" T("a", "U8", "[4]", 2, 6) "}", 6, RUNG_FORMAT, "\"a\": the 2 bytes before its data"},
        {"{" T("a", "U8", "[4]", 0, 4) "}", 9, RUNG_FORMAT, "the last 5 bytes belong to no tensor"},
        {"{}", 3, RUNG_FORMAT, "the last 3 bytes belong to no tensor"},
        {"{\"__metadata__\":[]}", 0, RUNG_FORMAT, "__metadata__ must be an object"},
        {"{\"__metadata__\":{\"k\":1}}", 0, RUNG_FORMAT, "__metadata__ key \"k\" must be a string"},
        {"{\"\xff\":1}", 0, RUNG_FORMAT, "not valid JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size;
        uint8_t *bytes = make_file(cases[i].header, cases[i].data_bytes, &size);
        rung_safetensors *file = NULL;
        assert_fails(rung_safetensors_parse(bytes, size, "x.safetensors", &file, error), cases[i].status,
                     cases[i].fragment);
        assert_null(file);
        free(bytes);
    }
}

static void test_lengths(void **state)
{
    (void)state;
    rung_safetensors *file = NULL;
    const uint8_t nothing[1] = {0};
    assert_fails(rung_safetensors_parse(nothing, 0, "x", &file, error), RUNG_FORMAT, "x: has 0 bytes");
    const uint8_t huge[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}'};
    assert_fails(rung_safetensors_parse(huge, 16, "x", &file, error), RUNG_FORMAT,
                 "header length 18446744073709551615 is more than the 8 bytes that follow");
    size_t size = (17u << 20) + 8;
    uint8_t *large = calloc(size, 1);
    assert_non_null(large);
    uint64_t length = 17u << 20;
    memcpy(large, &length, 8);
    assert_fails(rung_safetensors_parse(large, size, "x", &file, error), RUNG_LIMIT, "more than the limit of 16777216");
    free(large);
    const uint8_t empty[8] = {0};
    assert_fails(rung_safetensors_parse(empty, 8, "x", &file, error), RUNG_FORMAT, "does not start with '{'");
    assert_fails(rung_safetensors_open("/nonexistent/x", &file, error), RUNG_NOT_FOUND, "/nonexistent/x");
    assert_int_equal(rung_safetensors_parse(empty, 8, "x", &file, NULL), RUNG_FORMAT);
}

static void test_reads_unordered_and_empty_tensors(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes =
        make_file("{" T("z", "U8", "[2]", 0, 2) "," T("a", "F16", "[]", 4, 6) "," T("e", "F32", "[0,3]", 2, 2) "," T(
                      "m", "U8", "[2]", 2, 4) ",\"__metadata__\":{\"k\":\"v\"}}   ",
                  6, &size);
    bytes[size - 1] = 0x3c; /* 1.0 as F16 */
    rung_safetensors *file = NULL;
    assert_ok(rung_safetensors_parse(bytes, size, "x", &file, error));
    assert_int_equal(rung_safetensors_count(file), 4);
    assert_string_equal(rung_safetensors_at(file, 0)->name, "z");
    assert_string_equal(rung_safetensors_at(file, 1)->name, "e");
    assert_string_equal(rung_safetensors_at(file, 3)->name, "a");
    size_t metadata_bytes;
    assert_string_equal(rung_safetensors_metadata(file, "k", &metadata_bytes), "v");
    assert_int_equal(metadata_bytes, 1);
    assert_null(rung_safetensors_metadata(file, "other", &metadata_bytes));
    assert_null(rung_safetensors_find(file, "zz"));
    const rung_tensor *tensor = NULL;
    assert_ok(rung_safetensors_require(file, "a", -1, 0, NULL, &tensor, error));
    float value = 0.0f;
    assert_ok(rung_tensor_to_f32(tensor, &value, error));
    assert_true(value == 1.0f);
    rung_safetensors_close(file);
    free(bytes);
}

static void test_require_names_what_is_wrong(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = make_file("{" T("a", "F32", "[2,3]", 0, 24) "," T("i", "I8", "[1]", 24, 25) "}", 25, &size);
    rung_safetensors *file = NULL;
    const rung_tensor *tensor = NULL;
    const size_t shape[2] = {2, 4};
    const size_t one[1] = {1};
    float value;
    assert_ok(rung_safetensors_parse(bytes, size, "x", &file, error));
    assert_fails(rung_safetensors_require(file, "b", -1, 2, shape, &tensor, error), RUNG_NOT_FOUND,
                 "x: tensor \"b\" is missing");
    assert_fails(rung_safetensors_require(file, "a", RUNG_F16, 2, shape, &tensor, error), RUNG_FORMAT,
                 "tensor \"a\" has dtype F32, wanted F16");
    assert_fails(rung_safetensors_require(file, "i", -1, 1, one, &tensor, error), RUNG_FORMAT,
                 "has dtype I8, wanted F32, F16 or BF16");
    assert_fails(rung_safetensors_require(file, "a", -1, 2, shape, &tensor, error), RUNG_MISMATCH,
                 "tensor \"a\" has shape [2,3], wanted [2,4]");
    assert_fails(rung_safetensors_require(file, "a", -1, 1, one, &tensor, error), RUNG_MISMATCH,
                 "has shape [2,3], wanted [1]");
    assert_null(tensor);
    assert_fails(rung_tensor_to_f32(rung_safetensors_find(file, "i"), &value, error), RUNG_UNSUPPORTED, "dtype I8");
    rung_safetensors_close(file);
    free(bytes);
}

static void test_conversion_and_finite(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = make_file(
        "{" T("s", "F32", "[3]", 0, 12) "," T("h", "F16", "[3]", 12, 18) "," T("b", "BF16", "[3]", 18, 24) "}", 24,
        &size);
    uint8_t *data = bytes + size - 24;
    const float floats[3] = {1.5f, -2.0f, 0.0f};
    const uint16_t halves[6] = {0x3e00, 0xc000, 0, 0x3fc0, 0xc000, 0};
    memcpy(data, floats, 12);
    memcpy(data + 12, halves, 12);
    rung_safetensors *file = NULL;
    assert_ok(rung_safetensors_parse(bytes, size, "x", &file, error));
    for (size_t i = 0; i < 3; i++) {
        const rung_tensor *tensor = rung_safetensors_at(file, i);
        float out[3];
        assert_ok(rung_tensor_to_f32(tensor, out, error));
        assert_memory_equal(out, floats, sizeof floats);
        assert_ok(rung_tensor_require_finite(file, tensor, error));
    }
    const uint16_t infinities[3] = {0x7f80, 0xfc00, 0xff80}; /* top half of a F32, F16, BF16 */
    const size_t places[3] = {10, 16, 22};
    for (size_t i = 0; i < 3; i++) {
        memcpy(data + places[i], &infinities[i], 2);
        assert_fails(rung_tensor_require_finite(file, rung_safetensors_at(file, i), error), RUNG_FORMAT,
                     "holds NaN or infinite");
    }
    rung_safetensors_close(file);
    free(bytes);
}

static void test_writes_aligned_and_deterministic(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    char *path = fixture_join(directory, "w.safetensors");
    const uint8_t data[130] = {1, 2, 3};
    const rung_tensor tensors[] = {
        {.name = "first \"quoted\"", .dtype = RUNG_U8, .rank = 1, .shape = {65}, .data = data, .bytes = 65},
        {.name = "second", .dtype = RUNG_F16, .rank = 2, .shape = {4, 16}, .data = data, .bytes = 128},
        {.name = "empty", .dtype = RUNG_F32, .rank = 1, .shape = {0}, .data = data, .bytes = 0},
        {.name = "last", .dtype = RUNG_I8, .rank = 1, .shape = {3}, .data = data, .bytes = 3}};
    const rung_metadata_entry metadata[] = {{"text", "line\n\"tab\"\t\xc3\xa9"}, {"empty", ""}};
    assert_ok(rung_safetensors_write(path, tensors, 4, metadata, 2, error));
    char *first;
    size_t first_bytes;
    assert_ok(rung_read_file(path, 1 << 20, &first, &first_bytes, error));
    assert_ok(rung_safetensors_write(path, tensors, 4, metadata, 2, error));
    rung_safetensors *file = NULL;
    assert_ok(rung_safetensors_open(path, &file, error));
    rung_mapping contents = rung_safetensors_contents(file);
    assert_int_equal(contents.size, first_bytes);
    assert_memory_equal(contents.data, first, first_bytes);
    for (size_t i = 0; i < 4; i++) {
        const rung_tensor *tensor = NULL;
        assert_ok(rung_safetensors_require(file, tensors[i].name, (int)tensors[i].dtype, tensors[i].rank,
                                           tensors[i].shape, &tensor, error));
        assert_int_equal((size_t)(tensor->data - contents.data) % RUNG_ALIGNMENT, 0);
        assert_memory_equal(tensor->data, tensors[i].data, tensors[i].bytes);
    }
    assert_non_null(rung_safetensors_find(file, "__pad__.0"));
    assert_null(rung_safetensors_find(file, "__pad__.1"));
    size_t bytes;
    assert_string_equal(rung_safetensors_metadata(file, "text", &bytes), metadata[0].value);
    char stated[RUNG_SHA256_HEX_BYTES];
    char actual[RUNG_SHA256_HEX_BYTES];
    rung_safetensors_data_sha256(tensors, 4, stated);
    rung_sha256 hash;
    rung_sha256_init(&hash);
    size_t header_bytes = rung_safetensors_header_bytes(file);
    rung_sha256_update(&hash, contents.data + header_bytes, contents.size - header_bytes);
    rung_sha256_hex(&hash, actual);
    assert_string_equal(stated, actual);
    rung_safetensors_close(file);
    free(first);
    free(path);
    fixture_remove(directory);
}

static void test_writer_refuses(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    char *path = fixture_join(directory, "w.safetensors");
    const uint8_t data[4] = {0};
    const rung_tensor twice[] = {{.name = "t", .dtype = RUNG_U8, .rank = 1, .shape = {4}, .data = data, .bytes = 4},
                                 {.name = "t", .dtype = RUNG_U8, .rank = 1, .shape = {4}, .data = data, .bytes = 4}};
    const rung_metadata_entry bad[] = {{"k", "\xff"}};
    assert_fails(rung_safetensors_write(path, twice, 2, NULL, 0, error), RUNG_INVALID, "tensor \"t\" is given twice");
    assert_fails(rung_safetensors_write(path, twice, 1, bad, 1, error), RUNG_INVALID,
                 "metadata \"k\": not valid UTF-8");
    assert_false(rung_path_exists(path));
    assert_fails(rung_safetensors_write("/nonexistent/w", twice, 1, NULL, 0, error), RUNG_NOT_FOUND, "/nonexistent/w");
    free(path);
    fixture_remove(directory);
}

/* Whatever one bit of a file becomes, the reader says no or gives tensors that lie inside. */
static void test_flipped_bits_and_truncation(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes =
        make_file("{\"__metadata__\":{\"k\":\"v\"}," T("a", "F32", "[2,3]", 0, 24) "," T("b", "U8", "[5]", 24, 29) "}",
                  29, &size);
    for (size_t length = 0; length < size; length++) {
        uint8_t *cut = malloc(length + 1);
        assert_non_null(cut);
        memcpy(cut, bytes, length);
        rung_safetensors *file = NULL;
        rung_error reason = {.message = ""};
        assert_int_not_equal(rung_safetensors_parse(cut, length, "cut", &file, &reason), RUNG_OK);
        assert_memory_equal(reason.message, "cut: ", 5);
        free(cut);
    }
    for (size_t bit = 0; bit < 8 * (size - 29); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        rung_safetensors *file = NULL;
        rung_error reason = {.message = ""};
        if (rung_safetensors_parse(bytes, size, "bit", &file, &reason) == RUNG_OK) {
            for (size_t i = 0; i < rung_safetensors_count(file); i++) {
                const rung_tensor *tensor = rung_safetensors_at(file, i);
                assert_true(tensor->data >= bytes && tensor->data + tensor->bytes <= bytes + size);
            }
            rung_safetensors_close(file);
        } else {
            assert_memory_equal(reason.message, "bit: ", 5);
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lying_headers),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_reads_unordered_and_empty_tensors),
        cmocka_unit_test(test_require_names_what_is_wrong),
        cmocka_unit_test(test_conversion_and_finite),
        cmocka_unit_test(test_writes_aligned_and_deterministic),
        cmocka_unit_test(test_writer_refuses),
        cmocka_unit_test(test_flipped_bits_and_truncation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
