/* fuzz_jsonl.c: any bytes as a stream of lines, each line as JSON and as text. Whatever comes in, the reader ends, a good line holds valid
 * text, and a bad one has a message of one line. */
#include "base/utf8.h"
#include "config/jsonl.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LINE_BYTES 4096
#define MAX_LINES 10000 /* a few bytes of zstd can hold very many */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_text(const char *text, size_t bytes)
{
    size_t bad;
    require(text != NULL && bytes > 0 && text[bytes] == '\0' && rung_utf8_valid(text, bytes, &bad));
}

static void check_line(rung_status status, const rung_line *line, const rung_error *error)
{
    if (status != RUNG_OK) {
        require(error->code == status && error->message[0] != '\0' && strpbrk(error->message, "\r\n\t\x1b") == NULL);
        return;
    }
    check_text(line->text, line->text_bytes);
    check_text(line->id, line->id_bytes);
    if (line->text_pair != NULL) {
        check_text(line->text_pair, line->text_pair_bytes);
    }
    if (line->label != NULL) {
        check_text(line->label, strlen(line->label));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rung_line_reader *reader = NULL;
    rung_line line = {0};
    rung_error error;
    if (rung_line_reader_open_memory(data, size, "fuzz", MAX_LINE_BYTES, &reader, &error) != RUNG_OK) {
        return 0;
    }
    for (uint64_t number = 1; number <= MAX_LINES; number++) {
        const char *text;
        size_t bytes;
        rung_status status = rung_line_reader_next(reader, &text, &bytes, &error);
        if (status == RUNG_LIMIT) {
            continue;
        }
        if (status != RUNG_OK || text == NULL) {
            break;
        }
        require(rung_line_reader_number(reader) == number && bytes <= MAX_LINE_BYTES &&
                memchr(text, '\n', bytes) == NULL);
        status = rung_line_parse(text, bytes, number - 1, &line, &error);
        check_line(status, &line, &error);
        status = rung_line_from_text(text, bytes, number - 1, &line, &error);
        check_line(status, &line, &error);
    }
    rung_line_deinit(&line);
    rung_line_reader_close(reader);
    return 0;
}
