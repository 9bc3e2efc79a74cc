/* replay_main.c: runs a fuzzer's LLVMFuzzerTestOneInput over the files given as arguments, and over all files in the
 * directories given, so that a corpus is a regression test with any compiler. Prints how many inputs ran; no input at
 * all is a failure. Knows no fuzzer. */
#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_INPUT_BYTES ((size_t)1 << 26)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static rung_status replay_file(const char *path, rung_error *error)
{
    char *text = NULL;
    size_t bytes = 0;
    rung_status status = rung_read_file(path, MAX_INPUT_BYTES, &text, &bytes, error);
    if (status != RUNG_OK) {
        return status;
    }
    /* An exact copy, so that a sanitizer sees a read of the NUL behind the text. */
    uint8_t *exact = malloc(bytes == 0 ? 1 : bytes);
    if (exact != NULL) {
        memcpy(exact, text, bytes);
    }
    free(text);
    if (exact == NULL) {
        return rung_fail_memory(error, path, bytes);
    }
    (void)LLVMFuzzerTestOneInput(exact, bytes);
    free(exact);
    return RUNG_OK;
}

static rung_status replay_directory(const char *path, size_t *count, rung_error *error)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return rung_fail(error, RUNG_IO, "%s: cannot be opened", path);
    }
    rung_status status = RUNG_OK;
    for (struct dirent *entry; status == RUNG_OK && (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        char *file = rung_path_join(path, entry->d_name, error);
        status = file == NULL ? RUNG_NO_MEMORY : replay_file(file, error);
        *count += status == RUNG_OK;
        free(file);
    }
    closedir(directory);
    return status;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        rung_error error = {RUNG_OK, ""};
        rung_status status;
        if (rung_path_is_directory(argv[i])) {
            status = replay_directory(argv[i], &count, &error);
        } else {
            status = replay_file(argv[i], &error);
            count += status == RUNG_OK;
        }
        if (status != RUNG_OK) {
            fprintf(stderr, "%s\n", error.message);
            return 1;
        }
    }
    printf("%zu inputs\n", count);
    return count == 0 ? 1 : 0;
}
