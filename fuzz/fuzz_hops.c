/* fuzz_hops.c: the first three lines of any bytes as Rung-Via, grpc-timeout and X-Envoy-Expected-Rq-Timeout-Ms. What is accepted can be handed on and is
 * accepted again. */
#include "net/hops.h"

#include <stdlib.h>
#include <string.h>

#define CAP_S 10.0

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_via(const char *header)
{
    rung_via via;
    rung_error error = {0};
    rung_status status = rung_via_check(header, "own", &via, &error);
    if (status != RUNG_OK) {
        require(status == RUNG_FORMAT && strpbrk(error.message, "\r\n\t\x1b") == NULL);
        return;
    }
    if (via == RUNG_VIA_NEW) {
        char out[RUNG_VIA_BYTES];
        const char *next = rung_via_extend(header, "own", out);
        require(strncmp(next, "Rung-Via: ", 10) == 0);
        require(rung_via_check(next + 10, "own", &via, &error) == RUNG_OK && via == RUNG_VIA_LOOP);
    }
}

static void check_deadline(const char *grpc, const char *envoy)
{
    double timeout_s = -1;
    rung_error error = {0};
    rung_status status = rung_deadline_from_headers(grpc, envoy, CAP_S, &timeout_s, &error);
    if (status != RUNG_OK) {
        require(status == RUNG_INVALID && strpbrk(error.message, "\r\n\t\x1b") == NULL);
        return;
    }
    char out[RUNG_TIMEOUT_BYTES];
    require(timeout_s >= 0 && timeout_s <= CAP_S);
    require(rung_deadline_from_headers(rung_deadline_header(timeout_s, out) + 14, NULL, CAP_S, &timeout_s, &error) ==
            RUNG_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    char *lines[3] = {text, NULL, NULL};
    require(text != NULL);
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    for (size_t i = 1; i < 3 && lines[i - 1] != NULL; i++) {
        lines[i] = strchr(lines[i - 1], '\n');
        if (lines[i] != NULL) {
            *lines[i]++ = '\0';
        }
    }
    check_via(lines[0]);
    check_deadline(lines[1], lines[2]);
    free(text);
    return 0;
}
