/* file.h: whole files in and out. Files are untrusted: every read has a limit. */
#ifndef RUNG_BASE_FILE_H
#define RUNG_BASE_FILE_H

#include "base/status.h"

/* A read-only mapping of a whole regular file. data is NULL when size is 0. */
typedef struct rung_mapping {
    const uint8_t *data;
    size_t size;
} rung_mapping;

rung_status rung_map_file(const char *path, rung_mapping *mapping, rung_error *error) RUNG_WARN_UNUSED;
void rung_unmap_file(rung_mapping *mapping);

/* The whole file as text with a NUL after it (not counted in *size); refuses more than max_bytes (RUNG_LIMIT).
 * A path ending in ".zst" is decompressed while it is read; max_bytes bounds the decompressed size. */
rung_status rung_read_file(const char *path, size_t max_bytes, char **text, size_t *size,
                           rung_error *error) RUNG_WARN_UNUSED;

/* Writes to a temporary name in the same directory and renames: readers see the old file or the new one. What exists and is not a
 * regular file is refused. */
rung_status rung_write_file(const char *path, const void *data, size_t size, rung_error *error) RUNG_WARN_UNUSED;

/* rung_write_file could write there: found out before work whose result would be lost. Leaves nothing behind. */
rung_status rung_check_writable(const char *path, rung_error *error) RUNG_WARN_UNUSED;

/* directory + "/" + name; name alone when it is absolute or directory is NULL or empty. Release with free(). */
char *rung_path_join(const char *directory, const char *name, rung_error *error) RUNG_WARN_UNUSED;

/* The part of path before its last '/', "." when there is none. Release with free(). */
char *rung_path_directory(const char *path, rung_error *error) RUNG_WARN_UNUSED;

bool rung_path_exists(const char *path);
bool rung_path_is_directory(const char *path);
/* Both exist and are the same file. */
bool rung_path_same_file(const char *a, const char *b);

#endif
