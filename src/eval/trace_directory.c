/* trace_directory.c: reads the traces of a directory. See trace_directory.h. */
#include "eval/trace_directory.h"

#include "base/file.h"
#include "base/memory.h"
#include "config/trace_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the name before its ending; 0: not a trace. */
static size_t stem_bytes(const char *file)
{
    static const char *const endings[] = {".csv", ".csv.zst"};
    size_t length = strlen(file);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t ending = strlen(endings[i]);
        if (length > ending && strcmp(file + length - ending, endings[i]) == 0) {
            return length - ending;
        }
    }
    return 0;
}

static rung_status add_file(rung_traces *traces, const char *directory, const char *file, rung_error *error)
{
    void *items = traces->items;
    rung_status status =
        rung_grow(&items, &traces->capacity, traces->count + 1, sizeof *traces->items, "traces", error);
    if (status != RUNG_OK) {
        return status;
    }
    traces->items = items;
    rung_directory_trace made = {.name = rung_copy_text(file, stem_bytes(file), "traces", error)};
    char *path = rung_path_join(directory, file, error);
    status = made.name == NULL || path == NULL ? RUNG_NO_MEMORY : rung_trace_file_load(path, &made.trace, error);
    free(path);
    if (status != RUNG_OK) {
        free(made.name);
        return status;
    }
    traces->items[traces->count++] = made;
    return RUNG_OK;
}

static int by_name(const void *left, const void *right)
{
    const rung_directory_trace *a = left;
    const rung_directory_trace *b = right;
    return strcmp(a->name, b->name);
}

rung_status rung_traces_load(const char *directory, rung_traces *traces, rung_error *error)
{
    DIR *listing = opendir(directory);
    if (listing == NULL) {
        rung_status status = errno == ENOENT || errno == ENOTDIR ? RUNG_NOT_FOUND : RUNG_IO;
        return rung_fail(error, status, "%s: cannot read the directory of traces: %s", directory, strerror(errno));
    }
    rung_traces made = {.count = 0};
    rung_status status = RUNG_OK;
    for (struct dirent *entry = readdir(listing); status == RUNG_OK && entry != NULL; entry = readdir(listing)) {
        if (stem_bytes(entry->d_name) > 0) {
            status = add_file(&made, directory, entry->d_name, error);
        }
    }
    closedir(listing);
    if (status == RUNG_OK && made.count == 0) {
        status = rung_fail(error, RUNG_NOT_FOUND, "%s: has no traces; they are files that end in .csv", directory);
    }
    if (status != RUNG_OK) {
        rung_traces_deinit(&made);
        return status;
    }
    qsort(made.items, made.count, sizeof *made.items, by_name);
    rung_traces_deinit(traces);
    *traces = made;
    return RUNG_OK;
}

void rung_traces_deinit(rung_traces *traces)
{
    for (size_t i = 0; i < traces->count; i++) {
        free(traces->items[i].name);
        rung_link_trace_free(traces->items[i].trace);
    }
    free(traces->items);
    *traces = (rung_traces){0};
}
