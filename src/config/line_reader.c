/* line_reader.c: a stream split into lines, decompressed on the way. See jsonl.h. Must not know what a line holds. zstd frames: RFC 8878. */
#include "base/buffer.h"
#include "base/memory.h"
#include "config/jsonl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#define CHUNK_BYTES ((size_t)1 << 17)

static const uint8_t zstd_magic[4] = {0x28, 0xb5, 0x2f, 0xfd};
static const uint8_t utf8_mark[3] = {0xef, 0xbb, 0xbf};

struct rung_line_reader {
    char *name;
    int fd; /* -1: memory only */
    bool owns_fd;
    size_t max_line_bytes;
    uint64_t number;
    /* What was read and not yet used; in memory mode all of it at once. */
    const uint8_t *raw;
    size_t raw_bytes, raw_used;
    bool raw_end; /* nothing follows raw */
    uint8_t *raw_chunk;
    /* The same after decompression; raw itself when there is none. */
    const uint8_t *data;
    size_t data_bytes, data_used;
    ZSTD_DStream *zstd;
    uint8_t *zstd_chunk;
    size_t zstd_left; /* 0 between frames */
    bool started;     /* the kind of stream is known */
    rung_buffer line;
    bool failed;
    rung_error failure;
};

void rung_line_reader_close(rung_line_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    if (reader->owns_fd) {
        close(reader->fd);
    }
    ZSTD_freeDStream(reader->zstd);
    rung_buffer_deinit(&reader->line);
    free(reader->raw_chunk);
    free(reader->zstd_chunk);
    free(reader->name);
    free(reader);
}

static rung_line_reader *new_reader(const char *name, size_t max_line_bytes, rung_error *error)
{
    rung_line_reader *reader = rung_alloc(1, sizeof *reader, "line reader", error);
    if (reader == NULL) {
        return NULL;
    }
    reader->fd = -1;
    reader->max_line_bytes = max_line_bytes == 0 ? RUNG_LINE_DEFAULT_MAX_BYTES : max_line_bytes;
    reader->name = rung_copy_text(name, strlen(name), "file name", error);
    if (reader->name == NULL) {
        rung_line_reader_close(reader);
        return NULL;
    }
    return reader;
}

static bool has_zst_suffix(const char *name)
{
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".zst") == 0;
}

static rung_status start_zstd(rung_line_reader *reader, rung_error *error)
{
    reader->zstd = ZSTD_createDStream();
    reader->zstd_chunk = rung_alloc(CHUNK_BYTES, 1, "zstd buffer", error);
    if (reader->zstd == NULL || reader->zstd_chunk == NULL) {
        return rung_fail_memory(error, "zstd decompression", CHUNK_BYTES);
    }
    reader->zstd_left = 1;
    return RUNG_OK;
}

rung_status rung_line_reader_open(const char *path, size_t max_line_bytes, rung_line_reader **reader, rung_error *error)
{
    bool is_stdin = strcmp(path, "-") == 0;
    rung_error unused = {0};
    error = error != NULL ? error : &unused;
    rung_line_reader *made = new_reader(is_stdin ? "stdin" : path, max_line_bytes, error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    made->owns_fd = !is_stdin && made->fd >= 0;
    made->raw_chunk = rung_alloc(CHUNK_BYTES, 1, "read buffer", error);
    made->raw = made->raw_chunk;
    rung_status status = made->raw_chunk == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    if (made->fd < 0) {
        int code = errno;
        char reason[128];
        const char *text = strerror_r(code, reason, sizeof reason);
        status = rung_fail(error, code == ENOENT || code == ENOTDIR ? RUNG_NOT_FOUND : RUNG_IO, "%s: cannot open: %s",
                           path, text);
    }
    if (status == RUNG_OK && !is_stdin && has_zst_suffix(path)) {
        status = start_zstd(made, error);
    }
    if (status != RUNG_OK) {
        rung_line_reader_close(made);
        return status;
    }
    *reader = made;
    return RUNG_OK;
}

rung_status rung_line_reader_open_memory(const void *data, size_t size, const char *name, size_t max_line_bytes,
                                         rung_line_reader **reader, rung_error *error)
{
    rung_line_reader *made = new_reader(name, max_line_bytes, error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->raw = data;
    made->raw_bytes = size;
    made->raw_end = true;
    *reader = made;
    return RUNG_OK;
}

/* Reads more behind what is not used yet; raw_chunk has room, since at most four bytes are kept. */
static rung_status read_raw(rung_line_reader *reader, rung_error *error)
{
    size_t kept = reader->raw_bytes - reader->raw_used;
    if (reader->raw_end) {
        return RUNG_OK;
    }
    memmove(reader->raw_chunk, reader->raw_chunk + reader->raw_used, kept);
    ssize_t count;
    do {
        count = read(reader->fd, reader->raw_chunk + kept, CHUNK_BYTES - kept);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        char reason[128];
        return rung_fail(error, RUNG_IO, "%s: cannot read: %s", reader->name, strerror_r(errno, reason, sizeof reason));
    }
    reader->raw_used = 0;
    reader->raw_bytes = kept + (size_t)count;
    reader->raw_end = count == 0;
    return RUNG_OK;
}

/* True while the first bytes could still be, or are, the start of `magic`. */
static bool starts_like(const rung_line_reader *reader, const uint8_t *magic, size_t size)
{
    size_t have = reader->raw_bytes - reader->raw_used;
    return memcmp(reader->raw + reader->raw_used, magic, have < size ? have : size) == 0;
}

/* Reads no further than needed to tell: a terminal's first short line must not wait for a second one. */
static rung_status find_out_kind(rung_line_reader *reader, rung_error *error)
{
    rung_status status = RUNG_OK;
    while (status == RUNG_OK && !reader->raw_end && reader->raw_bytes < sizeof zstd_magic &&
           (reader->raw_bytes == 0 || starts_like(reader, zstd_magic, sizeof zstd_magic) ||
            starts_like(reader, utf8_mark, sizeof utf8_mark))) {
        status = read_raw(reader, error);
    }
    if (status == RUNG_OK && reader->zstd == NULL && reader->raw_bytes >= sizeof zstd_magic &&
        starts_like(reader, zstd_magic, sizeof zstd_magic)) {
        status = start_zstd(reader, error);
    }
    reader->started = status == RUNG_OK;
    return status;
}

static rung_status decompress_more(rung_line_reader *reader, rung_error *error)
{
    ZSTD_outBuffer output = {reader->zstd_chunk, CHUNK_BYTES, 0};
    while (output.pos == 0) {
        if (reader->raw_used == reader->raw_bytes) {
            rung_status status = read_raw(reader, error);
            if (status != RUNG_OK) {
                return status;
            }
        }
        bool ended = reader->raw_used == reader->raw_bytes; /* read_raw found nothing more */
        if (ended && reader->zstd_left == 0) {
            break;
        }
        ZSTD_inBuffer input = {reader->raw, reader->raw_bytes, reader->raw_used};
        reader->zstd_left = ZSTD_decompressStream(reader->zstd, &output, &input);
        reader->raw_used = input.pos;
        if (ZSTD_isError(reader->zstd_left)) {
            return rung_fail(error, RUNG_FORMAT, "%s: not valid zstd data: %s", reader->name,
                             ZSTD_getErrorName(reader->zstd_left));
        }
        if (ended && output.pos == 0 && reader->zstd_left != 0) {
            return rung_fail(error, RUNG_FORMAT, "%s: zstd data ends in the middle of a frame", reader->name);
        }
    }
    reader->data = reader->zstd_chunk;
    reader->data_bytes = output.pos;
    reader->data_used = 0;
    return RUNG_OK;
}

/* data_used < data_bytes afterwards, or the stream is at its end. */
static rung_status more_data(rung_line_reader *reader, rung_error *error)
{
    if (!reader->started) {
        rung_status status = find_out_kind(reader, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    if (reader->zstd != NULL) {
        return decompress_more(reader, error);
    }
    if (reader->raw_used == reader->raw_bytes) {
        rung_status status = read_raw(reader, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    reader->data = reader->raw + reader->raw_used;
    reader->data_bytes = reader->raw_bytes - reader->raw_used;
    reader->data_used = 0;
    reader->raw_used = reader->raw_bytes;
    return RUNG_OK;
}

typedef struct line_state {
    bool any;      /* a byte or a newline was seen */
    bool complete; /* the newline was seen */
    bool too_long;
} line_state;

/* Takes bytes up to the next newline out of data. */
static void take_bytes(rung_line_reader *reader, line_state *state)
{
    const uint8_t *from = reader->data + reader->data_used;
    size_t left = reader->data_bytes - reader->data_used;
    const uint8_t *newline = memchr(from, '\n', left);
    size_t count = newline != NULL ? (size_t)(newline - from) : left;
    state->any = true;
    state->complete = newline != NULL;
    state->too_long = state->too_long || count > reader->max_line_bytes - reader->line.length;
    if (!state->too_long) {
        rung_buffer_append(&reader->line, from, count);
    }
    reader->data_used += count + (newline != NULL ? 1 : 0);
}

static rung_status read_line(rung_line_reader *reader, line_state *state, rung_error *error)
{
    rung_buffer_clear(&reader->line);
    while (!state->complete) {
        if (reader->data_used == reader->data_bytes) {
            rung_status status = more_data(reader, error);
            if (status != RUNG_OK) {
                return status;
            }
            if (reader->data_bytes == 0) {
                break;
            }
        }
        take_bytes(reader, state);
    }
    return rung_buffer_check(&reader->line, "line", error);
}

rung_status rung_line_reader_next(rung_line_reader *reader, const char **line, size_t *bytes, rung_error *error)
{
    if (reader->failed) {
        return rung_fail(error, reader->failure.code, "%s", reader->failure.message);
    }
    line_state state = {0};
    rung_status status = read_line(reader, &state, &reader->failure);
    if (status != RUNG_OK) {
        reader->failed = true;
        return rung_fail(error, status, "%s", reader->failure.message);
    }
    if (!state.any) {
        *line = NULL;
        *bytes = 0;
        return RUNG_OK;
    }
    reader->number++;
    if (state.too_long) {
        return rung_fail(error, RUNG_LIMIT, "the line is longer than the limit of %zu bytes", reader->max_line_bytes);
    }
    /* An empty line has no buffer yet. */
    const char *text = reader->line.data != NULL ? reader->line.data : "";
    size_t mark = 0;
    if (reader->number == 1 && reader->line.length >= sizeof utf8_mark &&
        memcmp(text, utf8_mark, sizeof utf8_mark) == 0) {
        mark = sizeof utf8_mark;
    }
    *line = text + mark;
    *bytes = reader->line.length - mark;
    return RUNG_OK;
}

uint64_t rung_line_reader_number(const rung_line_reader *reader)
{
    return reader->number;
}

const char *rung_line_reader_name(const rung_line_reader *reader)
{
    return reader->name;
}
