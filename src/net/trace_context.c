/* trace_context.c: see trace_context.h. */
#include "net/trace_context.h"

#include "base/prng.h"

#include <string.h>

#define PARENT_LENGTH 55 /* "00-" 32 "-" 16 "-" 2 */
#define TRACE_ID_AT 3
#define SPAN_ID_AT 36
#define FLAGS_AT 53

static bool is_printable(const char *text, size_t max_length)
{
    size_t length = 0;
    for (; text[length] != '\0'; length++) {
        if (length == max_length || text[length] < 0x20 || text[length] > 0x7e) {
            return false;
        }
    }
    return length > 0;
}

bool rung_request_id_valid(const char *header)
{
    return header != NULL && is_printable(header, RUNG_REQUEST_ID_BYTES - 1);
}

void rung_request_id_make(uint64_t seed, uint64_t counter, char id[RUNG_REQUEST_ID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    rung_prng prng = {seed + counter * 0x9e3779b97f4a7c15u};
    uint64_t value = rung_prng_next(&prng);
    for (size_t i = 0; i < 16; i++) {
        id[i] = digits[value >> (60 - 4 * i) & 15];
    }
    id[16] = '\0';
}

static bool is_hex(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        bool digit = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (!digit) {
            return false;
        }
    }
    return true;
}

static bool is_zero(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '0') {
            return false;
        }
    }
    return true;
}

bool rung_trace_parent_read(const char *header, char trace_id[RUNG_TRACE_ID_BYTES])
{
    if (header == NULL || !is_printable(header, RUNG_TRACE_PARENT_BYTES - 1) || strlen(header) < PARENT_LENGTH) {
        return false;
    }
    bool is_first = memcmp(header, "00", 2) == 0;
    bool ends_well = header[PARENT_LENGTH] == '\0' || (!is_first && header[PARENT_LENGTH] == '-');
    bool dashes = header[2] == '-' && header[SPAN_ID_AT - 1] == '-' && header[FLAGS_AT - 1] == '-';
    bool hex = is_hex(header, 2) && is_hex(header + TRACE_ID_AT, 32) && is_hex(header + SPAN_ID_AT, 16) &&
               is_hex(header + FLAGS_AT, 2);
    bool named = !is_zero(header + TRACE_ID_AT, 32) && !is_zero(header + SPAN_ID_AT, 16);
    if (!ends_well || !dashes || !hex || !named || memcmp(header, "ff", 2) == 0) {
        return false;
    }
    memcpy(trace_id, header + TRACE_ID_AT, 32);
    trace_id[32] = '\0';
    return true;
}

bool rung_trace_state_valid(const char *header)
{
    return header != NULL && is_printable(header, RUNG_TRACE_STATE_BYTES - 1);
}
