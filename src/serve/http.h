/* http.h: the HTTP/1.1 server of a node: libmicrohttpd driven from the node's own event loop. It hands over requests that have arrived whole and takes
 * their answers, now or later; an exchange that waits is suspended and costs no thread. Knows no levels, texts or JSON: of the errors that it makes
 * itself its handler writes the body (but for lines so broken that libmicrohttpd refuses them with its own page). Everything is called from the
 * loop's thread.
 *
 * A client that hangs up while its exchange waits is noticed: the socket is watched. A half-close alone is legal and is probed with an interim
 * response (100 Continue): who is still there ignores it, who is gone resets the connection. */
#ifndef RUNG_SERVE_HTTP_H
#define RUNG_SERVE_HTTP_H

#include "base/buffer.h"
#include "base/status.h"
#include "net/loop.h"

typedef struct rung_http rung_http;
typedef struct rung_exchange rung_exchange; /* one request and its answer */

/* Strings are lent until rung_http_create returns. */
typedef struct rung_http_options {
    const char *address; /* numeric IPv4 or IPv6 */
    uint16_t port;       /* 0: a free one */
    size_t max_body_bytes;
    size_t max_header_bytes; /* of one request: line and headers */
    size_t max_connections;
    size_t max_connections_per_client; /* 0: no limit */
    double
        receive_timeout_s; /* for a new connection to send a request line, and from there for the request to arrive whole */
    double idle_timeout_s; /* of a keep-alive connection between requests; also for a client to take its answer */
} rung_http_options;

typedef struct rung_http_handler {
    void *context;
    /* A request has arrived whole. It is answered with rung_http_answer, from within this call or later, exactly once. */
    void (*request)(void *context, rung_exchange *exchange);
    /* The client of an exchange that is not answered yet went away; the exchange is no longer valid after the call. */
    void (*gone)(void *context, rung_exchange *exchange);
    /* A request was refused here (too large, too slow, malformed ...): its status, for the metrics. */
    void (*refused)(void *context, unsigned status);
    /* Appends the body of such a refusal, and headers of its own, each with its line end. exchange: its path and headers can be read; NULL: it has none yet.
     * NULL: the body is {"error":"message"}. */
    void (*refusal)(void *context, const rung_exchange *exchange, unsigned status, const char *message,
                    rung_buffer *headers, rung_buffer *body);
} rung_http_handler;

typedef struct rung_http_header {
    const char *name;
    const char *value;
} rung_http_header;

/* RUNG_INVALID: no address; RUNG_IO: cannot listen there (says address, port and why). The handler is copied. */
rung_status rung_http_create(rung_loop *loop, const rung_http_options *options, const rung_http_handler *handler,
                             rung_http **http, rung_error *error) RUNG_WARN_UNUSED;
/* Closes every connection; `gone` is not called. */
void rung_http_free(rung_http *http);

uint16_t rung_http_port(const rung_http *http);
/* New connections are no longer accepted and connections close after their answer; what is open goes on. */
void rung_http_drain(rung_http *http);
size_t rung_http_num_connections(const rung_http *http);
size_t
rung_http_num_unsent(const rung_http *http); /* and those whose answer has not left yet; walks over all connections */

/* Live until the exchange is answered or gone. */
const char *rung_exchange_method(const rung_exchange *exchange);
const char *rung_exchange_path(const rung_exchange *exchange); /* without the query; as it came, not decoded */
const char *rung_exchange_body(const rung_exchange *exchange, size_t *bytes);
const char *rung_exchange_header(const rung_exchange *exchange, const char *name); /* case-insensitive; NULL: none */
struct sockaddr;
const struct sockaddr *rung_exchange_client(const rung_exchange *exchange); /* the address that it comes from */
double rung_exchange_arrived_s(const rung_exchange *exchange);              /* rung_clock_s of the last byte */
void rung_exchange_set_user(rung_exchange *exchange, void *user);
void *rung_exchange_user(const rung_exchange *exchange);

/* Answers. The body is taken over: it is freed with free() when it was sent (NULL: none). Headers are copied; Content-Type is application/json
 * unless one is given. */
void rung_http_answer(rung_exchange *exchange, unsigned status, const rung_http_header *headers, size_t num_headers,
                      char *body, size_t body_bytes);

#endif
