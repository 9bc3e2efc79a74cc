/* fuzz_trace_context.c: any bytes as each of the headers of a trace. What is accepted is printable and can stand in a header of the next call. */
#include "net/trace_context.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void require_printable(const char *text, size_t room)
{
    require(strlen(text) < room);
    for (; *text != '\0'; text++) {
        require(*text >= ' ' && *text <= '~');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char id[RUNG_TRACE_ID_BYTES] = "";
    char *text = malloc(size + 1);
    require(text != NULL);
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    if (rung_request_id_valid(text)) {
        require_printable(text, RUNG_REQUEST_ID_BYTES);
    }
    if (rung_trace_parent_read(text, id)) {
        require_printable(text, RUNG_TRACE_PARENT_BYTES);
        require(strlen(id) == 32 && memcmp(text + 3, id, 32) == 0);
    }
    if (rung_trace_state_valid(text)) {
        require_printable(text, RUNG_TRACE_STATE_BYTES);
    }
    free(text);
    return 0;
}
