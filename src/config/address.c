/* address.c: addresses from text. See address.h. */
#include "config/address.h"

#include "config/number.h"
#include "config/suggest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define MAX_URL_BYTES 1024

/* Host, port and what stands after them, not looked into yet. */
typedef struct parts {
    const char *host;
    size_t host_bytes;
    bool brackets;
    const char *port; /* NULL: none */
    size_t port_bytes;
    const char *rest;
} parts;

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* "host:port" up to one of `ends`; false when a bracket or a colon is out of place. */
static bool split(const char *text, const char *ends, parts *out)
{
    *out = (parts){.brackets = text[0] == '['};
    if (out->brackets) {
        const char *close = strchr(text, ']');
        if (close == NULL) {
            return false;
        }
        out->host = text + 1;
        out->host_bytes = (size_t)(close - out->host);
        out->rest = close + 1;
    } else {
        out->host = text;
        out->host_bytes = strcspn(text, ":/?#");
        out->rest = text + out->host_bytes;
    }
    if (out->rest[0] == ':') {
        out->port = out->rest + 1;
        out->port_bytes = strcspn(out->port, ends);
        out->rest = out->port + out->port_bytes;
    }
    return out->rest[0] == '\0' || strchr(ends, out->rest[0]) != NULL;
}

static bool read_port(const parts *from, uint64_t least, uint16_t *port)
{
    char digits[8];
    uint64_t number;
    if (from->port_bytes == 0 || from->port_bytes >= sizeof digits) {
        return false;
    }
    memcpy(digits, from->port, from->port_bytes);
    digits[from->port_bytes] = '\0';
    if (!rung_parse_integer(digits, &number) || number < least || number > UINT16_MAX) {
        return false;
    }
    *port = (uint16_t)number;
    return true;
}

static bool is_local_name(const char *host)
{
    static const char name[] = "localhost";
    size_t length = strlen(host);
    size_t tail = sizeof name - 1;
    return length >= tail && strcmp(host + length - tail, name) == 0 &&
           (length == tail || host[length - tail - 1] == '.');
}

/* What the host's text says of where it lies. */
static void judge(rung_host_port *at)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, at->host, &v4) == 1) {
        uint32_t bits = ntohl(v4.s_addr);
        at->is_numeric = true;
        at->is_loopback = bits >> 24 == 127;
        at->is_any = bits == 0;
    } else if (inet_pton(AF_INET6, at->host, &v6) == 1) {
        at->is_numeric = true;
        at->is_loopback = IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
        at->is_any = IN6_IS_ADDR_UNSPECIFIED(&v6);
    } else {
        at->is_loopback = is_local_name(at->host);
    }
}

/* IPv6 stands in brackets and nothing else does; other hosts are IPv4 addresses or names of letters, digits, '-', '_' and '.'. */
static bool read_host(const parts *from, rung_host_port *at)
{
    if (from->host_bytes == 0 || from->host_bytes >= sizeof at->host) {
        return false;
    }
    for (size_t i = 0; i < from->host_bytes; i++) {
        char c = from->host[i];
        bool allowed = is_letter_or_digit(c) || c == '.' || (from->brackets ? c == ':' : c == '-' || c == '_');
        if (!allowed) {
            return false;
        }
        at->host[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    at->host[from->host_bytes] = '\0';
    judge(at);
    /* A name that looks like an address but is none, as 127.0.0.256, would go to a name server. */
    bool looks_numeric = strspn(at->host, "0123456789.") == from->host_bytes;
    return from->brackets ? at->is_numeric : at->is_numeric || (!looks_numeric && at->host[0] != '.');
}

rung_status rung_parse_listen(const char *text, rung_host_port *address, rung_error *error)
{
    char shown[RUNG_QUOTED_BYTES];
    parts found;
    rung_host_port made = {0};
    rung_shorten(text, strlen(text), shown);
    if (strstr(text, "://") != NULL) {
        return rung_fail(error, RUNG_INVALID, "'%s' is a URL; write address and port, as 127.0.0.1:8080", shown);
    }
    bool split_up = split(text, "", &found);
    if (!split_up || !read_host(&found, &made) || !made.is_numeric) {
        return rung_fail(error, RUNG_INVALID,
                         "'%s' has no numeric address; write address and port, as 127.0.0.1:8080 or [::1]:8080", shown);
    }
    if (found.port == NULL) {
        return rung_fail(error, RUNG_INVALID, "'%s' has no port; write address and port, as 127.0.0.1:8080", shown);
    }
    if (!read_port(&found, 0, &made.port)) {
        return rung_fail(error, RUNG_INVALID, "'%s': the port must be 0 (a free one) to 65535", shown);
    }
    *address = made;
    return RUNG_OK;
}

char *rung_take_url(char **rest)
{
    char *first = *rest + strspn(*rest, " ");
    size_t length = strcspn(first, ",");
    *rest = first[length] == ',' ? first + length + 1 : NULL;
    while (length > 0 && first[length - 1] == ' ') {
        length--;
    }
    first[length] = '\0';
    return first;
}

static rung_status fail_url(rung_error *error, const char *shown, const char *why)
{
    return rung_fail(error, RUNG_INVALID, "'%s' %s; write http://host:port or https://host:port", shown, why);
}

/* Visible ASCII that needs no escape in a request line. */
static bool is_clean_prefix(const char *prefix)
{
    size_t length = strlen(prefix);
    for (size_t i = 0; i < length; i++) {
        if (!is_letter_or_digit(prefix[i]) && strchr("/-._~%!$&'()*+;=:@", prefix[i]) == NULL) {
            return false;
        }
    }
    return true;
}

rung_status rung_parse_url(const char *text, rung_url *url, rung_error *error)
{
    char shown[RUNG_QUOTED_BYTES];
    parts found;
    rung_url made = {.https = strncmp(text, "https://", 8) == 0};
    rung_shorten(text, strlen(text), shown);
    if (!made.https && strncmp(text, "http://", 7) != 0) {
        bool other = strstr(text, "://") != NULL;
        return fail_url(error, shown, other ? "is neither http nor https" : "does not begin with http:// or https://");
    }
    if (strlen(text) > MAX_URL_BYTES) {
        return rung_fail(error, RUNG_LIMIT, "'%s' has %zu bytes; the limit is %d", shown, strlen(text), MAX_URL_BYTES);
    }
    const char *rest = text + (made.https ? 8 : 7);
    if (rest[strcspn(rest, "@/?#")] == '@') {
        /* Not shown: it may be a secret. */
        return rung_fail(error, RUNG_INVALID,
                         "the address holds a user or password; put a token into "
                         "upstream.token_file and write http://host:port");
    }
    bool split_up = split(rest, "/?#", &found);
    if (!split_up || !read_host(&found, &made.at)) {
        return fail_url(error, shown, "has no valid host");
    }
    made.at.port = made.https ? 443 : 80;
    if (found.port != NULL && !read_port(&found, 1, &made.at.port)) {
        return fail_url(error, shown, "has no valid port (1 to 65535)");
    }
    if (strpbrk(found.rest, "?#") != NULL) {
        return fail_url(error, shown, "has a query or a fragment");
    }
    if (!is_clean_prefix(found.rest)) {
        return fail_url(error, shown, "has a space or a special character in its path");
    }
    made.prefix = found.rest;
    made.prefix_bytes = strlen(found.rest);
    while (made.prefix_bytes > 0 && made.prefix[made.prefix_bytes - 1] == '/') {
        made.prefix_bytes--;
    }
    *url = made;
    return RUNG_OK;
}
