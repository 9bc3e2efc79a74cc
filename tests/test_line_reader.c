/* test_line_reader.c: a stream split into lines: ends, limits, zstd, and staying in step after a bad line. */
#include "config/jsonl.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

static rung_line_reader *open_text(const char *text, size_t max)
{
    rung_line_reader *reader = NULL;
    rung_error error;
    assert_int_equal(rung_line_reader_open_memory(text, strlen(text), "memory", max, &reader, &error), RUNG_OK);
    return reader;
}

static void expect_line(rung_line_reader *reader, const char *text, uint64_t number)
{
    const char *line = NULL;
    size_t bytes = 99;
    rung_error error;
    assert_int_equal(rung_line_reader_next(reader, &line, &bytes, &error), RUNG_OK);
    assert_non_null(line);
    assert_int_equal(bytes, strlen(text));
    assert_memory_equal(line, text, bytes);
    assert_int_equal(rung_line_reader_number(reader), number);
}

static void expect_end(rung_line_reader *reader)
{
    for (int i = 0; i < 2; i++) {
        const char *line = "";
        size_t bytes = 99;
        assert_int_equal(rung_line_reader_next(reader, &line, &bytes, NULL), RUNG_OK);
        assert_null(line);
        assert_int_equal(bytes, 0);
    }
    rung_line_reader_close(reader);
}

static void expect_failure(rung_line_reader *reader, rung_status status, const char *message)
{
    const char *line = "";
    size_t bytes;
    rung_error error;
    assert_int_equal(rung_line_reader_next(reader, &line, &bytes, &error), status);
    assert_string_equal(error.message, message);
}

static void ends_of_lines(void **state)
{
    (void)state;
    rung_line_reader *reader = open_text("one\n\nthree\r\nfour", 0);
    assert_int_equal(rung_line_reader_number(reader), 0);
    assert_string_equal(rung_line_reader_name(reader), "memory");
    expect_line(reader, "one", 1);
    expect_line(reader, "", 2);
    expect_line(reader, "three\r", 3);
    expect_line(reader, "four", 4);
    expect_end(reader);
    expect_end(open_text("", 0));
    reader = open_text("\n", 0);
    expect_line(reader, "", 1);
    expect_end(reader);
    reader = open_text("\xef\xbb\xbfmark\n\xef\xbb\xbfkept", 0);
    expect_line(reader, "mark", 1);
    expect_line(reader, "\xef\xbb\xbfkept", 2);
    expect_end(reader);
    rung_line_reader_close(NULL);
}

static void a_long_line_costs_only_itself(void **state)
{
    (void)state;
    rung_line_reader *reader = open_text("12345\n123456\nok\n1234567890", 5);
    expect_line(reader, "12345", 1);
    expect_failure(reader, RUNG_LIMIT, "the line is longer than the limit of 5 bytes");
    assert_int_equal(rung_line_reader_number(reader), 2);
    expect_line(reader, "ok", 3);
    expect_failure(reader, RUNG_LIMIT, "the line is longer than the limit of 5 bytes");
    assert_int_equal(rung_line_reader_number(reader), 4);
    expect_end(reader);
}

/* 20,000 numbered lines, more than one chunk of 128 KiB. */
static char *make_lines(size_t *size)
{
    char *text = malloc(20000 * 16);
    assert_non_null(text);
    size_t length = 0;
    for (int i = 1; i <= 20000; i++) {
        length += (size_t)snprintf(text + length, 16, "line %09d\n", i);
    }
    *size = length;
    return text;
}

static void read_numbered(rung_line_reader *reader, int count)
{
    char expected[16];
    for (int i = 1; i <= count; i++) {
        snprintf(expected, sizeof expected, "line %09d", i);
        expect_line(reader, expected, (uint64_t)i);
    }
}

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static rung_line_reader *open_file(const char *path)
{
    rung_line_reader *reader = NULL;
    rung_error error;
    assert_int_equal(rung_line_reader_open(path, 0, &reader, &error), RUNG_OK);
    return reader;
}

static void zstd_streams(void **state)
{
    (void)state;
    char directory[] = "/tmp/rung-lines-XXXXXX";
    char path[64];
    char renamed[64];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/a.jsonl.zst", directory);
    snprintf(renamed, sizeof renamed, "%s/a.jsonl", directory);
    size_t size;
    char *text = make_lines(&size);
    size_t bound = 2 * ZSTD_compressBound(size);
    char *packed = malloc(bound);
    assert_non_null(packed);
    /* Two frames, one after the other, are one stream. */
    size_t first = ZSTD_compress(packed, bound, text, 100003, 1);
    assert_false(ZSTD_isError(first));
    size_t second = ZSTD_compress(packed + first, bound - first, text + 100003, size - 100003, 1);
    assert_false(ZSTD_isError(second));
    write_file(path, packed, first + second);
    rung_line_reader *reader = open_file(path);
    read_numbered(reader, 20000);
    expect_end(reader);
    write_file(renamed, packed, first + second); /* recognised without its suffix */
    reader = open_file(renamed);
    read_numbered(reader, 20000);
    expect_end(reader);
    assert_int_equal(rung_line_reader_open_memory(packed, first + second, "m", 0, &reader, NULL), RUNG_OK);
    read_numbered(reader, 20000);
    expect_end(reader);

    char message[160];
    write_file(path, packed, first + second - 10);
    reader = open_file(path);
    snprintf(message, sizeof message, "%s: zstd data ends in the middle of a frame", path);
    const char *line;
    size_t bytes;
    rung_error error;
    int lines = 0;
    while (rung_line_reader_next(reader, &line, &bytes, &error) == RUNG_OK) {
        assert_non_null(line); /* never an end that looks clean */
        lines++;
    }
    assert_true(lines >= 6666); /* all of the first frame */
    assert_string_equal(error.message, message);
    expect_failure(reader, RUNG_FORMAT, message); /* and so it stays */
    rung_line_reader_close(reader);

    write_file(path, "plain\n", 6);
    reader = open_file(path);
    snprintf(message, sizeof message, "%s: not valid zstd data: Unknown frame descriptor", path);
    expect_failure(reader, RUNG_FORMAT, message);
    rung_line_reader_close(reader);

    write_file(path, "", 0);
    reader = open_file(path);
    snprintf(message, sizeof message, "%s: zstd data ends in the middle of a frame", path);
    expect_failure(reader, RUNG_FORMAT, message);
    rung_line_reader_close(reader);
    unlink(path);
    unlink(renamed);
    rmdir(directory);
    free(packed);
    free(text);
}

static void plain_files(void **state)
{
    (void)state;
    char path[] = "/tmp/rung-lines-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    size_t size;
    char *text = make_lines(&size);
    write_file(path, text, size);
    rung_line_reader *reader = open_file(path);
    assert_string_equal(rung_line_reader_name(reader), path);
    read_numbered(reader, 20000);
    expect_end(reader);
    unlink(path);
    free(text);
}

static void standard_input(void **state)
{
    (void)state;
    int ends[2];
    int saved = dup(STDIN_FILENO);
    assert_true(saved >= 0);
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[0], STDIN_FILENO) >= 0);
    rung_line_reader *reader = open_file("-");
    assert_string_equal(rung_line_reader_name(reader), "stdin");
    /* A short line is there before the pipe closes: it must not wait for more. */
    assert_int_equal(write(ends[1], "a\n", 2), 2);
    expect_line(reader, "a", 1);
    assert_int_equal(write(ends[1], "(b", 2), 2);
    close(ends[1]);
    expect_line(reader, "(b", 2);
    expect_end(reader);
    assert_true(dup2(saved, STDIN_FILENO) >= 0);
    close(saved);
    close(ends[0]);
}

static void what_cannot_be_read(void **state)
{
    (void)state;
    rung_line_reader *reader = NULL;
    rung_error error;
    assert_int_equal(rung_line_reader_open("tests/no-such", 0, &reader, &error), RUNG_NOT_FOUND);
    assert_string_equal(error.message, "tests/no-such: cannot open: No such file or directory");
    assert_int_equal(rung_line_reader_open("tests/no-such", 0, &reader, NULL), RUNG_NOT_FOUND);
    assert_null(reader);
    reader = open_file("/tmp");
    expect_failure(reader, RUNG_IO, "/tmp: cannot read: Is a directory");
    expect_failure(reader, RUNG_IO, "/tmp: cannot read: Is a directory");
    rung_line_reader_close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_of_lines),  cmocka_unit_test(a_long_line_costs_only_itself),
        cmocka_unit_test(zstd_streams),   cmocka_unit_test(plain_files),
        cmocka_unit_test(standard_input), cmocka_unit_test(what_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
