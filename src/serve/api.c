/* api.c: what the APIs have in common. See api.h. */
#include "serve/api.h"

#include <inttypes.h>
#include <stdio.h>

rung_fault rung_fault_of(rung_status status)
{
    switch (status) {
    case RUNG_FORMAT:
        return RUNG_FAULT_FORMAT;
    case RUNG_NOT_FOUND:
        return RUNG_FAULT_EMPTY;
    case RUNG_UNSUPPORTED:
        return RUNG_FAULT_UNSUPPORTED;
    case RUNG_LIMIT:
        return RUNG_FAULT_LIMIT;
    case RUNG_NO_MEMORY:
        return RUNG_FAULT_NO_MEMORY;
    case RUNG_IO:
        return RUNG_FAULT_IO;
    default:
        return RUNG_FAULT_INVALID;
    }
}

rung_fault rung_fault_of_http(unsigned http_status)
{
    switch (http_status) {
    case 413:
        return RUNG_FAULT_LIMIT;
    case 501:
        return RUNG_FAULT_UNSUPPORTED;
    case 503:
        return RUNG_FAULT_OVERLOADED;
    default:
        return RUNG_FAULT_FORMAT;
    }
}

void rung_api_answer_number(rung_api_answer *answer, const char *name, uint64_t value)
{
    char *text = answer->values[answer->num_headers];
    snprintf(text, sizeof answer->values[0], "%" PRIu64, value);
    answer->headers[answer->num_headers++] = (rung_http_header){name, text};
}
