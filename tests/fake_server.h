/* fake_server.h: an HTTP server for tests of clients, on the same event loop: it answers, fails, falls silent or lies. It asserts that its own system calls
 * succeed. For one test file. */
#ifndef RUNG_TESTS_FAKE_SERVER_H
#define RUNG_TESTS_FAKE_SERVER_H

#include "base/clock.h"
#include "net/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_CONNECTIONS 64
#define REQUEST_BYTES 8192

typedef enum manner {
    ANSWER,
    ECHO, /* the body of the request */
    SILENT,
    RESET,
    ANSWER_503_ALTERNATELY,
    TEXT,  /* server.text */
    REPLY, /* server.reply */
    REPLY_503_ALTERNATELY,
    ENDLESS_BODY, /* chunks until the client goes away */
    ENDLESS_HEADER,
} manner;

typedef struct connection {
    rung_watch watch; /* fd -1: none */
    struct server *server;
    char request[REQUEST_BYTES];
    size_t length;
    bool endless;
} connection;

typedef struct server {
    rung_loop *loop;
    rung_watch listener;
    uint16_t port;
    manner how;
    const char *text;
    /* REPLY: writes the body of the reply to the body of a request. */
    void (*reply)(void *context, const char *request, char *out, size_t room);
    void *context;
    const char *info; /* the body of any GET that is no probe; NULL: such a GET is a request as others */
    bool unhealthy;
    size_t accepted, requests, closed, probes, infos;
    double request_at_s; /* when the last one had arrived */
    uint64_t sent_bytes; /* of endless replies */
    char last[REQUEST_BYTES];
    connection connections[MAX_CONNECTIONS];
} server;

static void close_connection(connection *c, bool reset)
{
    if (reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(c->watch.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    rung_loop_unwatch(c->server->loop, &c->watch);
    close(c->watch.fd);
    c->watch.fd = -1;
    c->server->closed++;
}

static void send_text(connection *c, const char *text)
{
    ssize_t sent = send(c->watch.fd, text, strlen(text), MSG_NOSIGNAL);
    (void)sent;
}

static void send_reply(connection *c, const char *status, const char *body)
{
    char text[REQUEST_BYTES + 256];
    snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body), body);
    send_text(c, text);
}

static void send_endless(connection *c)
{
    static const char chunk[] = "400\r\n";
    static char piece[sizeof chunk - 1 + 1024 + 2];
    memset(piece, 'x', sizeof piece);
    if (c->server->how == ENDLESS_BODY) {
        memcpy(piece, chunk, sizeof chunk - 1);
        memcpy(piece + sizeof piece - 2, "\r\n", 2);
    } else {
        memcpy(piece, "X-Name: ", 8);
        memcpy(piece + sizeof piece - 2, "\r\n", 2);
    }
    ssize_t sent = send(c->watch.fd, piece, sizeof piece, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) {
        close_connection(c, false);
    } else if (sent > 0) {
        c->server->sent_bytes += (uint64_t)sent;
    }
}

static void begin_endless(connection *c)
{
    rung_error error;
    send_text(c, c->server->how == ENDLESS_BODY ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                                : "HTTP/1.1 200 OK\r\n");
    c->endless = true;
    assert_int_equal(rung_loop_change(c->server->loop, &c->watch, EPOLLOUT, &error), RUNG_OK);
}

static void handle(connection *c)
{
    server *s = c->server;
    if (strncmp(c->request, "GET /health ", 12) == 0 || strncmp(c->request, "GET /v2/health/ready ", 21) == 0) {
        s->probes++;
        send_reply(c, s->unhealthy ? "503 no" : "200 OK", "");
        return;
    }
    if (s->info != NULL && strncmp(c->request, "GET ", 4) == 0) {
        s->infos++;
        send_reply(c, "200 OK", s->info);
        return;
    }
    s->requests++;
    s->request_at_s = rung_clock_s();
    memcpy(s->last, c->request, c->length + 1);
    switch (s->how) {
    case ANSWER:
        send_reply(c, "200 OK", "{\"levels\":[]}");
        break;
    case ECHO:
        send_reply(c, "200 OK", strstr(c->request, "\r\n\r\n") + 4);
        break;
    case SILENT:
        break;
    case RESET:
        close_connection(c, true);
        break;
    case ANSWER_503_ALTERNATELY:
        send_reply(c, s->requests % 2 == 0 ? "503 busy" : "200 OK", "x");
        break;
    case TEXT:
        send_text(c, s->text);
        break;
    case REPLY_503_ALTERNATELY:
        if (s->requests % 2 == 1) {
            send_reply(c, "503 busy", "x");
            break;
        }
        /* fall through */
    case REPLY: {
        char body[400];
        s->reply(s->context, strstr(c->request, "\r\n\r\n") + 4, body, sizeof body);
        send_reply(c, "200 OK", body);
        break;
    }
    case ENDLESS_BODY:
    case ENDLESS_HEADER:
        begin_endless(c);
        break;
    }
}

/* True when the request has arrived whole. */
static bool is_whole(const connection *c)
{
    const char *end = strstr(c->request, "\r\n\r\n");
    const char *length = strstr(c->request, "Content-Length: ");
    size_t body = length != NULL && length < end ? strtoul(length + 16, NULL, 10) : 0;
    return end != NULL && c->length >= (size_t)(end - c->request) + 4 + body;
}

static void connection_ready(rung_watch *watch, uint32_t events)
{
    connection *c = watch->context;
    if (c->endless) {
        send_endless(c);
        return;
    }
    (void)events;
    ssize_t got = recv(watch->fd, c->request + c->length, sizeof c->request - 1 - c->length, 0);
    if (got <= 0) {
        close_connection(c, false);
        return;
    }
    c->length += (size_t)got;
    c->request[c->length] = '\0';
    if (is_whole(c)) {
        handle(c);
        c->length = 0;
    }
}

static void accept_ready(rung_watch *watch, uint32_t events)
{
    (void)events;
    server *s = watch->context;
    rung_error error;
    connection *c = s->connections;
    while (c->watch.fd >= 0) {
        c++;
        assert_true(c < s->connections + MAX_CONNECTIONS);
    }
    *c = (connection){.watch = {.fd = accept(watch->fd, NULL, NULL), .ready = connection_ready, .context = c},
                      .server = s};
    assert_true(c->watch.fd >= 0);
    s->accepted++;
    assert_int_equal(rung_loop_watch(s->loop, &c->watch, EPOLLIN, &error), RUNG_OK);
}

/* port 0: a free one. */
static void listen_at(server *s, uint16_t port)
{
    rung_error error;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    s->listener = (rung_watch){.fd = socket(AF_INET, SOCK_STREAM, 0), .ready = accept_ready, .context = s};
    assert_true(s->listener.fd >= 0);
    setsockopt(s->listener.fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    assert_int_equal(bind(s->listener.fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(s->listener.fd, MAX_CONNECTIONS), 0);
    assert_int_equal(getsockname(s->listener.fd, (struct sockaddr *)&address, &size), 0);
    s->port = ntohs(address.sin_port);
    assert_int_equal(rung_loop_watch(s->loop, &s->listener, EPOLLIN, &error), RUNG_OK);
}

static void stop_listening(server *s)
{
    rung_loop_unwatch(s->loop, &s->listener);
    close(s->listener.fd);
    s->listener.fd = -1;
}

static server *open_server(rung_loop *loop, manner how)
{
    server *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->loop = loop;
    s->how = how;
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        s->connections[i].watch.fd = -1;
    }
    listen_at(s, 0);
    return s;
}

static void close_server(server *s)
{
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        if (s->connections[i].watch.fd >= 0) {
            close_connection(&s->connections[i], false);
        }
    }
    if (s->listener.fd >= 0) {
        stop_listening(s);
    }
    free(s);
}

#endif
