/* address.h: where a node listens and where the next level is, as text. Called by option_value.c (every value is checked where it stands) and node_config.c.
 * Opens no socket and asks no name server. Source: RFC 3986 for http and https, without user, query and fragment. */
#ifndef RUNG_CONFIG_ADDRESS_H
#define RUNG_CONFIG_ADDRESS_H

#include "base/status.h"

#define RUNG_HOST_BYTES 256

typedef struct rung_host_port {
    char host[RUNG_HOST_BYTES]; /* without brackets, lower case */
    uint16_t port;
    bool is_numeric;  /* an IPv4 or IPv6 address */
    bool is_loopback; /* reaches this machine only: 127.0.0.0/8, ::1, localhost */
    bool is_any;      /* 0.0.0.0 or :: */
} rung_host_port;

typedef struct rung_url {
    bool https;
    rung_host_port at;   /* port 80 or 443 when none is written */
    const char *prefix;  /* "/rung", into the text that was parsed; "" for none */
    size_t prefix_bytes; /* without a trailing slash */
} rung_url;

/* "127.0.0.1:8080" or "[::1]:8080"; port 0 is a free one. RUNG_INVALID says what is wrong and how to write it. */
rung_status rung_parse_listen(const char *text, rung_host_port *address, rung_error *error) RUNG_WARN_UNUSED;

/* "http://host[:port][/prefix]" or https; text must outlive *url. */
rung_status rung_parse_url(const char *text, rung_url *url, rung_error *error) RUNG_WARN_UNUSED;

/* The next of "a, b, c": cuts it off *rest in place, without the spaces around it. *rest is NULL after the last one. */
char *rung_take_url(char **rest);

#endif
