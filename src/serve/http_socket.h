/* http_socket.h: what the HTTP server does with sockets by itself, past libmicrohttpd. Called by http.c. */
#ifndef RUNG_SERVE_HTTP_SOCKET_H
#define RUNG_SERVE_HTTP_SOCKET_H

#include "serve/http.h"

/* A listening socket, non-blocking, and its port. RUNG_INVALID: no numeric address; RUNG_IO: cannot listen there. */
rung_status rung_http_listen(const rung_http_options *options, int *listener, uint16_t *port,
                             rung_error *error) RUNG_WARN_UNUSED;

/* Writes a whole answer that ends the connection, with the body that the handler makes of the message; exchange as in rung_http_handler.refusal;
 * head_only: as to HEAD. message: plain characters. Best effort: a socket whose buffer has no room for it belongs to a client that does not read. */
void rung_http_write_refusal(int fd, const rung_http_handler *handler, const rung_exchange *exchange, unsigned status,
                             const char *message, bool head_only);

#endif
