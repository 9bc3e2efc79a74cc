/* file.c: whole files in and out. See file.h. */
#include "base/file.h"

#include "base/buffer.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

static rung_status fail_errno(rung_error *error, const char *path, const char *what)
{
    char reason[128] = "unknown error";
    int code = errno;
    const char *text = strerror_r(code, reason, sizeof reason);
    return rung_fail(error, code == ENOENT || code == ENOTDIR ? RUNG_NOT_FOUND : RUNG_IO, "%s: cannot %s: %s", path,
                     what, text);
}

/* Opens a regular file; *size is its size. -1 with error filled otherwise. */
static int open_regular(const char *path, size_t *size, rung_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        fail_errno(error, path, "open");
        return -1;
    }
    struct stat info;
    if (fstat(fd, &info) != 0) {
        fail_errno(error, path, "stat");
        close(fd);
        return -1;
    }
    if (!S_ISREG(info.st_mode)) {
        rung_fail(error, RUNG_INVALID, "%s: is not a regular file", path);
        close(fd);
        return -1;
    }
    *size = (size_t)info.st_size;
    return fd;
}

static rung_status status_of(const rung_error *error, rung_status otherwise)
{
    return error != NULL ? error->code : otherwise;
}

rung_status rung_map_file(const char *path, rung_mapping *mapping, rung_error *error)
{
    size_t size;
    int fd = open_regular(path, &size, error);
    if (fd < 0) {
        return status_of(error, RUNG_IO);
    }
    void *data = NULL;
    rung_status status = RUNG_OK;
    if (size > 0) {
        data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            status = fail_errno(error, path, "map");
        }
    }
    close(fd);
    if (status == RUNG_OK) {
        *mapping = (rung_mapping){.data = data, .size = size};
    }
    return status;
}

void rung_unmap_file(rung_mapping *mapping)
{
    if (mapping->data != NULL) {
        munmap((void *)(uintptr_t)mapping->data, mapping->size);
    }
    *mapping = (rung_mapping){0};
}

static bool has_suffix(const char *path, const char *suffix)
{
    size_t path_length = strlen(path);
    size_t suffix_length = strlen(suffix);
    return path_length >= suffix_length && strcmp(path + path_length - suffix_length, suffix) == 0;
}

static rung_status fail_too_large(rung_error *error, const char *path, size_t max_bytes)
{
    return rung_fail(error, RUNG_LIMIT, "%s: is larger than the limit of %zu bytes", path, max_bytes);
}

/* Appends the decompressed form of data to out, at most max_bytes. */
static rung_status decompress(const char *path, const rung_mapping *data, size_t max_bytes, rung_buffer *out,
                              rung_error *error)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    size_t chunk_bytes = ZSTD_DStreamOutSize();
    char *chunk = malloc(chunk_bytes);
    rung_status status = RUNG_OK;
    if (stream == NULL || chunk == NULL) {
        status = rung_fail_memory(error, path, chunk_bytes);
        goto done;
    }
    ZSTD_inBuffer input = {data->data, data->size, 0};
    size_t left = 1; /* 0 after a complete frame */
    while (input.pos < input.size || left != 0) {
        ZSTD_outBuffer output = {chunk, chunk_bytes, 0};
        size_t before = input.pos;
        left = ZSTD_decompressStream(stream, &output, &input);
        if (ZSTD_isError(left)) {
            status = rung_fail(error, RUNG_FORMAT, "%s: not valid zstd data: %s", path, ZSTD_getErrorName(left));
            goto done;
        }
        if (out->failed) {
            break; /* the caller checks the buffer */
        }
        if (output.pos > max_bytes - out->length) {
            status = fail_too_large(error, path, max_bytes);
            goto done;
        }
        rung_buffer_append(out, chunk, output.pos);
        if (output.pos == 0 && input.pos == before && left != 0) {
            status = rung_fail(error, RUNG_FORMAT, "%s: zstd data ends in the middle of a frame", path);
            goto done;
        }
    }
done:
    free(chunk);
    ZSTD_freeDStream(stream);
    return status;
}

rung_status rung_read_file(const char *path, size_t max_bytes, char **text, size_t *size, rung_error *error)
{
    rung_mapping mapping;
    rung_status status = rung_map_file(path, &mapping, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_buffer contents = {0};
    if (has_suffix(path, ".zst")) {
        status = decompress(path, &mapping, max_bytes, &contents, error);
    } else if (mapping.size > max_bytes) {
        status = fail_too_large(error, path, max_bytes);
    } else {
        rung_buffer_append(&contents, mapping.data, mapping.size);
    }
    rung_unmap_file(&mapping);
    if (status == RUNG_OK) {
        status = rung_buffer_check(&contents, path, error);
    }
    if (status == RUNG_OK && contents.data == NULL) {
        rung_buffer_text(&contents, "");
        status = rung_buffer_check(&contents, path, error);
    }
    if (status != RUNG_OK) {
        rung_buffer_deinit(&contents);
        return status;
    }
    *text = contents.data;
    *size = contents.length;
    return RUNG_OK;
}

static bool write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        data += written;
        size -= (size_t)written;
    }
    return true;
}

/* A new file beside path; *name (to deinit) is its name. */
static rung_status open_temporary(const char *path, rung_buffer *name, int *fd, rung_error *error)
{
    struct stat old;
    if (stat(path, &old) == 0 && !S_ISREG(old.st_mode)) { /* a rename would replace a device, too */
        return rung_fail(error, RUNG_INVALID, "%s: is not a regular file and is not replaced", path);
    }
    rung_buffer_format(name, "%s.XXXXXX", path);
    rung_status status = rung_buffer_check(name, path, error);
    if (status == RUNG_OK) {
        *fd = mkostemp(name->data, O_CLOEXEC);
        status = *fd < 0 ? fail_errno(error, path, "create a temporary file beside it") : RUNG_OK;
    }
    if (status != RUNG_OK) {
        rung_buffer_deinit(name);
    }
    return status;
}

rung_status rung_check_writable(const char *path, rung_error *error)
{
    rung_buffer name = {0};
    int fd = -1;
    rung_status status = open_temporary(path, &name, &fd, error);
    if (status == RUNG_OK) {
        close(fd);
        unlink(name.data);
        rung_buffer_deinit(&name);
    }
    return status;
}

rung_status rung_write_file(const char *path, const void *data, size_t size, rung_error *error)
{
    rung_buffer name = {0};
    int fd = -1;
    rung_status status = open_temporary(path, &name, &fd, error);
    if (status != RUNG_OK) {
        return status;
    }
    bool written = write_all(fd, data, size) && fchmod(fd, 0644) == 0 && fsync(fd) == 0;
    if (!written) {
        status = fail_errno(error, path, "write");
    }
    if (close(fd) != 0 && status == RUNG_OK) {
        status = fail_errno(error, path, "close");
    }
    if (status == RUNG_OK && rename(name.data, path) != 0) {
        status = fail_errno(error, path, "rename the temporary file to it");
    }
    if (status != RUNG_OK) {
        unlink(name.data);
    }
    rung_buffer_deinit(&name);
    return status;
}

char *rung_path_join(const char *directory, const char *name, rung_error *error)
{
    rung_buffer path = {0};
    if (name[0] != '/' && directory != NULL && directory[0] != '\0') {
        rung_buffer_format(&path, "%s/", directory);
    }
    rung_buffer_text(&path, name);
    if (rung_buffer_check(&path, "path", error) != RUNG_OK) {
        rung_buffer_deinit(&path);
        return NULL;
    }
    return path.data;
}

char *rung_path_directory(const char *path, rung_error *error)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return rung_copy_text(".", 1, "path", error);
    }
    return rung_copy_text(path, slash == path ? 1 : (size_t)(slash - path), "path", error);
}

bool rung_path_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool rung_path_is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool rung_path_same_file(const char *a, const char *b)
{
    struct stat first;
    struct stat second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}
