/* hops.c: see hops.h. Sources: RFC 8586 (CDN-Loop); the gRPC protocol over HTTP2 (Timeout); Envoy's documentation of its router's headers. */
#include "net/hops.h"

#include "config/number.h"
#include "config/suggest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_GRPC_DIGITS 8
#define MAX_ENVOY_DIGITS 15
#define MOST_GRPC 99999999.0

static bool is_id_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

static size_t id_length(const char *text)
{
    size_t length = 0;
    while (is_id_character(text[length])) {
        length++;
    }
    return length;
}

bool rung_node_id_valid(const char *id)
{
    size_t length = id_length(id);
    return length >= 1 && length < RUNG_NODE_ID_BYTES && id[length] == '\0';
}

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t");
}

rung_status rung_via_check(const char *header, const char *own_id, rung_via *via, rung_error *error)
{
    size_t hops = 0;
    bool seen = false;
    for (const char *at = header != NULL ? skip_blanks(header) : ""; *at != '\0';) {
        size_t length = id_length(at);
        const char *end = skip_blanks(at + length);
        if (length < 1 || length >= RUNG_NODE_ID_BYTES || (*end != ',' && *end != '\0')) {
            char shown[RUNG_QUOTED_BYTES];
            return rung_fail(error, RUNG_FORMAT, "Rung-Via is '%s'; it must be ids of nodes, separated by commas",
                             rung_shorten(header, strlen(header), shown));
        }
        seen = seen || (strlen(own_id) == length && memcmp(at, own_id, length) == 0);
        hops++;
        if (*end == ',' && *skip_blanks(end + 1) == '\0') {
            return rung_fail(error, RUNG_FORMAT, "Rung-Via ends with a comma");
        }
        at = *end == ',' ? skip_blanks(end + 1) : end;
    }
    *via = seen ? RUNG_VIA_LOOP : hops >= RUNG_MAX_HOPS ? RUNG_VIA_FULL : RUNG_VIA_NEW;
    return RUNG_OK;
}

const char *rung_via_extend(const char *header, const char *own_id, char out[RUNG_VIA_BYTES])
{
    size_t length = (size_t)snprintf(out, RUNG_VIA_BYTES, "Rung-Via: ");
    for (const char *at = header != NULL ? skip_blanks(header) : ""; *at != '\0';) {
        int id = (int)id_length(at);
        length += (size_t)snprintf(out + length, RUNG_VIA_BYTES - length, "%.*s, ", id, at);
        at += id;
        at += strspn(at, " \t,");
    }
    snprintf(out + length, RUNG_VIA_BYTES - length, "%s", own_id);
    return out;
}

static bool read_digits(const char *text, size_t length, size_t most, double *value)
{
    char digits[MAX_ENVOY_DIGITS + 1];
    uint64_t number;
    if (length < 1 || length > most) {
        return false;
    }
    memcpy(digits, text, length);
    digits[length] = '\0';
    if (!rung_parse_integer(digits, &number)) {
        return false;
    }
    *value = (double)number;
    return true;
}

static bool read_grpc(const char *text, double *timeout_s)
{
    static const struct {
        char unit;
        double seconds;
    } units[] = {{'H', 3600}, {'M', 60}, {'S', 1}, {'m', 1e-3}, {'u', 1e-6}, {'n', 1e-9}};
    size_t length = strlen(text);
    double value = 0;
    if (length < 2 || !read_digits(text, length - 1, MAX_GRPC_DIGITS, &value)) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (text[length - 1] == units[i].unit) {
            *timeout_s = value * units[i].seconds;
            return true;
        }
    }
    return false;
}

static rung_status fail_header(const char *name, const char *text, const char *demand, rung_error *error)
{
    char shown[RUNG_QUOTED_BYTES];
    return rung_fail(error, RUNG_INVALID, "%s is '%s'; it must be %s", name, rung_shorten(text, strlen(text), shown),
                     demand);
}

rung_status rung_deadline_from_headers(const char *grpc_timeout, const char *envoy_timeout_ms, double cap_s,
                                       double *timeout_s, rung_error *error)
{
    double least_s = cap_s;
    double read = 0;
    if (grpc_timeout != NULL) {
        if (!read_grpc(grpc_timeout, &read)) {
            return fail_header("grpc-timeout", grpc_timeout, "1 to 8 digits and one of H, M, S, m, u, n", error);
        }
        least_s = fmin(least_s, read);
    }
    if (envoy_timeout_ms != NULL) {
        if (!read_digits(envoy_timeout_ms, strlen(envoy_timeout_ms), MAX_ENVOY_DIGITS, &read)) {
            return fail_header("X-Envoy-Expected-Rq-Timeout-Ms", envoy_timeout_ms, "whole milliseconds", error);
        }
        least_s = read > 0 ? fmin(least_s, read / 1e3) : least_s; /* 0: Envoy waits without limit */
    }
    *timeout_s = least_s;
    return RUNG_OK;
}

const char *rung_deadline_header(double timeout_s, char out[RUNG_TIMEOUT_BYTES])
{
    double microseconds = floor(timeout_s * 1e6);
    if (microseconds <= MOST_GRPC) {
        snprintf(out, RUNG_TIMEOUT_BYTES, "grpc-timeout: %.0fu", microseconds >= 1 ? microseconds : 1);
    } else {
        snprintf(out, RUNG_TIMEOUT_BYTES, "grpc-timeout: %.0fm", fmin(floor(timeout_s * 1e3), MOST_GRPC));
    }
    return out;
}
