/* test_packed_text.c: a text in a tensor comes back as it was, and a frame that is damaged, or states another size than it
 * has, gives a message. */
#include "model/packed_text.h"
#include "model_fixture.h"

#include <zstd.h>

#define LIMIT ((size_t)1 << 20)

/* A safetensors file in memory whose one tensor "texts.t" has these bytes. */
static char *make_file(const char *dtype, const char *shape, const void *data, size_t bytes, size_t *size)
{
    char header[200];
    int length =
        snprintf(header, sizeof header, "{\"texts.t\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[0,%zu]}}", dtype,
                 shape, bytes);
    uint64_t header_bytes = (uint64_t)length;
    *size = 8 + (size_t)length + bytes;
    char *file = malloc(*size);
    assert_non_null(file);
    memcpy(file, &header_bytes, 8);
    memcpy(file + 8, header, (size_t)length);
    memcpy(file + 8 + length, data, bytes);
    return file;
}

static rung_status read_from(const char *dtype, const char *shape, const void *data, size_t bytes, char **text,
                             size_t *text_bytes, rung_error *reason)
{
    size_t size;
    char *contents = make_file(dtype, shape, data, bytes, &size);
    rung_safetensors *file = NULL;
    assert_ok(rung_safetensors_parse((const uint8_t *)contents, size, "f", &file, error));
    rung_status status = rung_packed_text_read(file, "texts.t", LIMIT, text, text_bytes, reason);
    rung_safetensors_close(file);
    free(contents);
    return status;
}

static rung_status read_frame(const void *frame, size_t bytes, char **text, size_t *text_bytes, rung_error *reason)
{
    char shape[32];
    snprintf(shape, sizeof shape, "[%zu]", bytes);
    return read_from("U8", shape, frame, bytes, text, text_bytes, reason);
}

/* The frame; release with free(). */
static uint8_t *compress(const char *text, size_t bytes, size_t *frame_bytes)
{
    size_t capacity = rung_packed_text_bound(bytes);
    uint8_t *frame = malloc(capacity);
    assert_non_null(frame);
    assert_ok(rung_packed_text_compress(text, bytes, "t", frame, capacity, frame_bytes, error));
    assert_true(*frame_bytes <= capacity);
    return frame;
}

/* Lines as a vocabulary has them. */
static char *make_text(size_t bytes)
{
    char *text = malloc(bytes + 1);
    assert_non_null(text);
    for (size_t i = 0; i < bytes; i++) {
        text[i] = i % 7 == 6 ? '\n' : (char)('a' + rung_xxh64(&i, sizeof i, 1) % 26);
    }
    return text;
}

static void test_texts_come_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 255, 256, 70000, LIMIT};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *text = make_text(sizes[i]);
        size_t frame_bytes;
        uint8_t *frame = compress(text, sizes[i], &frame_bytes);
        char *back = NULL;
        size_t bytes;
        assert_ok(read_frame(frame, frame_bytes, &back, &bytes, error));
        assert_int_equal(bytes, sizes[i]);
        assert_memory_equal(back, text, bytes);
        assert_int_equal(back[bytes], '\0');
        free(back);
        free(frame);
        free(text);
    }
    assert_int_equal(rung_packed_text_bound(SIZE_MAX), 0);
}

static void test_no_such_text(void **state)
{
    (void)state;
    rung_safetensors *file = NULL;
    assert_ok(rung_safetensors_parse((const uint8_t *)"\2\0\0\0\0\0\0\0{}", 10, "f", &file, error));
    char other = 'x';
    char *text = &other;
    size_t bytes = 1;
    assert_ok(rung_packed_text_read(file, "texts.t", LIMIT, &text, &bytes, error));
    assert_null(text);
    assert_int_equal(bytes, 0);
    rung_safetensors_close(file);
}

/* The outputs stay as they were. */
static void check_frame_fails(const void *frame, size_t bytes, rung_status wanted, const char *fragment)
{
    char *text = NULL;
    size_t text_bytes = 77;
    assert_fails(read_frame(frame, bytes, &text, &text_bytes, error), wanted, fragment);
    assert_null(text);
    assert_int_equal(text_bytes, 77);
}

static void test_frames_that_are_refused(void **state)
{
    (void)state;
    char *text = make_text(300);
    size_t bytes;
    uint8_t *frame = compress(text, 300, &bytes);
    uint8_t copy[1024] = {0};
    assert_true(2 * bytes < sizeof copy);
    memcpy(copy, frame, bytes);
    static const char single[] = "bytes are no single zstd frame with its size";
    check_frame_fails("no frame", 8, RUNG_FORMAT, single);
    check_frame_fails("", 0, RUNG_FORMAT, single);
    check_frame_fails(copy, bytes - 1, RUNG_FORMAT, single);
    check_frame_fails(copy, bytes + 1, RUNG_FORMAT, single);
    memcpy(copy + bytes, frame, bytes);
    check_frame_fails(copy, 2 * bytes, RUNG_FORMAT, single);
    /* 300 is stated in two bytes, less 256. */
    assert_int_equal(copy[5], 300 - 256);
    copy[5]++;
    check_frame_fails(copy, bytes, RUNG_FORMAT, "f: tensor \"texts.t\": no valid zstd data of 301 bytes of text: ");
    copy[5] -= 2;
    check_frame_fails(copy, bytes, RUNG_FORMAT, "f: tensor \"texts.t\": no valid zstd data of 299 bytes of text: ");
    free(frame);
    free(text);
}

static void test_size_is_stated_and_limited(void **state)
{
    (void)state;
    char *text = make_text(LIMIT + 1);
    size_t bytes;
    uint8_t *frame = compress(text, LIMIT + 1, &bytes);
    check_frame_fails(frame, bytes, RUNG_LIMIT, "holds 1048577 bytes of text, more than the limit of 1048576");
    ZSTD_CCtx *context = ZSTD_createCCtx();
    assert_non_null(context);
    assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0)));
    bytes = ZSTD_compress2(context, frame, rung_packed_text_bound(LIMIT + 1), text, 1000);
    assert_false(ZSTD_isError(bytes));
    check_frame_fails(frame, bytes, RUNG_FORMAT, "bytes are no single zstd frame with its size");
    ZSTD_freeCCtx(context);
    free(frame);
    free(text);
}

static void test_types_that_are_refused(void **state)
{
    (void)state;
    char *text = NULL;
    size_t bytes = 0;
    assert_fails(read_from("I8", "[8]", "abcdefgh", 8, &text, &bytes, error), RUNG_FORMAT,
                 "f: tensor \"texts.t\" has dtype I8, wanted U8");
    assert_fails(read_from("U8", "[4,2]", "abcdefgh", 8, &text, &bytes, error), RUNG_MISMATCH,
                 "f: tensor \"texts.t\" has shape [4,2], wanted [8]");
}

/* Any result but a crash or an empty message is right. */
static void test_flipped_bits(void **state)
{
    (void)state;
    char *text = make_text(400);
    size_t bytes;
    uint8_t *frame = compress(text, 400, &bytes);
    for (size_t bit = 0; bit < 8 * bytes; bit++) {
        char *back = NULL;
        size_t back_bytes;
        rung_error reason = {.message = ""};
        frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (read_frame(frame, bytes, &back, &back_bytes, &reason) != RUNG_OK) {
            assert_memory_equal(reason.message, "f: tensor \"texts.t\": ", 20);
        }
        free(back);
        frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(frame);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_come_back),         cmocka_unit_test(test_no_such_text),
        cmocka_unit_test(test_frames_that_are_refused), cmocka_unit_test(test_size_is_stated_and_limited),
        cmocka_unit_test(test_types_that_are_refused),  cmocka_unit_test(test_flipped_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
