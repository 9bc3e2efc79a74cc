/* http_socket.c: the listening socket and refusals. See http_socket.h. */
#include "serve/http_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static rung_status fail_listen(const rung_http_options *options, int fd, rung_error *error)
{
    rung_status status = rung_fail(error, RUNG_IO, "cannot listen on %s, port %u: %s", options->address,
                                   (unsigned)options->port, strerror(errno));
    if (fd >= 0) {
        close(fd);
    }
    return status;
}

rung_status rung_http_listen(const rung_http_options *options, int *listener, uint16_t *port, rung_error *error)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.v6 = {0}};
    socklen_t bytes;
    if (inet_pton(AF_INET, options->address, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(options->port);
        bytes = sizeof address.v4;
    } else if (inet_pton(AF_INET6, options->address, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(options->port);
        bytes = sizeof address.v6;
    } else {
        return rung_fail(error, RUNG_INVALID, "\"%s\" is no numeric IPv4 or IPv6 address to listen on",
                         options->address);
    }
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 || bind(fd, &address.any, bytes) != 0 ||
        listen(fd, SOMAXCONN) != 0 || getsockname(fd, &address.any, &bytes) != 0) {
        return fail_listen(options, fd, error);
    }
    *listener = fd;
    *port = ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
    return RUNG_OK;
}

void rung_http_write_refusal(int fd, const rung_http_handler *handler, const rung_exchange *exchange, unsigned status,
                             const char *message, bool head_only)
{
    rung_buffer headers = {0};
    rung_buffer body = {0};
    rung_buffer text = {0};
    if (handler->refusal != NULL) {
        handler->refusal(handler->context, exchange, status, message, &headers, &body);
    } else {
        rung_buffer_format(&body, "{\"error\":\"%s\"}", message);
    }
    rung_buffer_format(&text, "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n", status,
                       MHD_get_reason_phrase_for(status), body.length);
    rung_buffer_append(&text, headers.data, headers.length);
    rung_buffer_text(&text, "Connection: close\r\n\r\n");
    if (!head_only) {
        rung_buffer_append(&text, body.data, body.length);
    }
    if (!headers.failed && !body.failed && !text.failed) {
        (void)send(fd, text.data, text.length, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    rung_buffer_deinit(&headers);
    rung_buffer_deinit(&body);
    rung_buffer_deinit(&text);
}
