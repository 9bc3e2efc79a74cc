/* client.c: see client.h. Answers are read only as far as needed: status, Content-Length, and whether the body says "degraded":true. */
#include "bench/load/client.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_EVENTS 512
#define HEAD_BYTES 4096
#define SPIN_S 0.0012 /* the system's timers are not finer: until then it looks again and again */

typedef struct waiting {
    const client_request *request;
    double intended_s;
} waiting;

typedef struct connection {
    int fd;
    size_t index;
    const client_request *request; /* NULL: free */
    size_t sent;
    double intended_s, sent_s;
    /* The answer. */
    char head[HEAD_BYTES];
    size_t head_bytes;
    bool in_body;
    bool closes;
    bool degraded;
    unsigned status;
    size_t body_left;
} connection;

struct client {
    client_options options;
    int epoll;
    connection *connections; /* [options.connections] */
    size_t *free;            /* [num_free] the last one to become free first */
    size_t num_free;
    waiting *queue; /* ring */
    size_t capacity, first, length;
    uint64_t reconnects;
    char input[65536];
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* Blocking: a server that does not accept is no server to measure. */
static void connect_one(client *c, connection *k)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(c->options.port)};
    k->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    if (k->fd < 0 || inet_pton(AF_INET, c->options.host, &to.sin_addr) != 1) {
        die("socket");
    }
    if (c->options.sources > 0) {
        struct sockaddr_in from = {.sin_family = AF_INET};
        from.sin_addr.s_addr = htonl(0x7f000001u + (uint32_t)(k->index % c->options.sources));
        setsockopt(k->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(k->fd, (struct sockaddr *)&from, sizeof from) != 0) {
            die("bind");
        }
    }
    if (connect(k->fd, (struct sockaddr *)&to, sizeof to) != 0) {
        die("connect");
    }
    setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(k->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = k};
    if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, k->fd, &event) != 0) {
        die("epoll_ctl");
    }
}

client *client_open(const client_options *options)
{
    client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        die("memory");
    }
    c->options = *options;
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    c->connections = calloc(options->connections, sizeof *c->connections);
    c->free = calloc(options->connections, sizeof *c->free);
    c->capacity = 1024;
    c->queue = calloc(c->capacity, sizeof *c->queue);
    if (c->epoll < 0 || c->connections == NULL || c->free == NULL || c->queue == NULL) {
        die("memory");
    }
    for (size_t i = 0; i < options->connections; i++) {
        c->connections[i].index = i;
        connect_one(c, &c->connections[i]);
        c->free[options->connections - 1 - i] = i;
    }
    c->num_free = options->connections;
    return c;
}

void client_close(client *c)
{
    for (size_t i = 0; i < c->options.connections; i++) {
        close(c->connections[i].fd);
    }
    close(c->epoll);
    free(c->connections);
    free(c->free);
    free(c->queue);
    free(c);
}

static void begin(client *c, connection *k, const client_request *request, double intended_s);

static void reconnect(client *c, connection *k)
{
    close(k->fd);
    c->reconnects++;
    connect_one(c, k);
}

/* The answer is whole, or will not come (status 0). */
static void end(client *c, connection *k)
{
    const client_result result = {.status = k->status,
                                  .degraded = k->degraded,
                                  .intended_s = k->intended_s,
                                  .sent_s = k->sent_s,
                                  .done_s = rung_clock_s()};
    k->request = NULL;
    if (k->closes || k->status == 0) {
        reconnect(c, k);
    }
    c->free[c->num_free++] = k->index;
    c->options.done(c->options.context, &result);
    if (c->length > 0 && c->num_free > 0) {
        waiting next = c->queue[c->first];
        c->first = (c->first + 1) % c->capacity;
        c->length--;
        begin(c, &c->connections[c->free[--c->num_free]], next.request, next.intended_s);
    }
}

static void lose(client *c, connection *k)
{
    if (k->request == NULL) {
        reconnect(c, k);
        return;
    }
    k->status = 0;
    end(c, k);
}

static void set_events(client *c, connection *k, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = k};
    epoll_ctl(c->epoll, EPOLL_CTL_MOD, k->fd, &event);
}

static void write_more(client *c, connection *k)
{
    const client_request *request = k->request;
    ssize_t wrote = send(k->fd, request->bytes + k->sent, request->count - k->sent, MSG_NOSIGNAL);
    if (wrote < 0 && errno != EAGAIN) {
        return; /* the end shows when it is read */
    }
    bool first = k->sent == 0;
    k->sent += wrote > 0 ? (size_t)wrote : 0;
    if (k->sent < request->count) {
        set_events(c, k, EPOLLIN | EPOLLOUT);
    } else if (!first) {
        set_events(c, k, EPOLLIN);
    }
}

static void begin(client *c, connection *k, const client_request *request, double intended_s)
{
    k->request = request;
    k->sent = 0;
    k->intended_s = intended_s;
    k->sent_s = rung_clock_s();
    k->head_bytes = 0;
    k->in_body = false;
    k->closes = false;
    k->degraded = false;
    k->status = 0;
    write_more(c, k);
}

static void enqueue(client *c, const client_request *request, double intended_s)
{
    if (c->length == c->capacity) {
        waiting *larger = calloc(2 * c->capacity, sizeof *larger);
        if (larger == NULL) {
            die("memory");
        }
        for (size_t i = 0; i < c->length; i++) {
            larger[i] = c->queue[(c->first + i) % c->capacity];
        }
        free(c->queue);
        c->queue = larger;
        c->capacity *= 2;
        c->first = 0;
    }
    c->queue[(c->first + c->length++) % c->capacity] = (waiting){request, intended_s};
}

void client_send(client *c, const client_request *request, double intended_s)
{
    if (c->num_free == 0) {
        enqueue(c, request, intended_s);
        return;
    }
    begin(c, &c->connections[c->free[--c->num_free]], request, intended_s);
}

void client_send_on_each(client *c, const client_request *request)
{
    size_t count = c->options.connections;
    for (size_t i = 0; i < count; i++) {
        c->num_free = 0; /* those that have answered stay out until all have */
        begin(c, &c->connections[i], request, rung_clock_s());
        while (c->connections[i].request != NULL) {
            client_run(c, rung_clock_s() + 1);
        }
    }
    for (c->num_free = 0; c->num_free < count; c->num_free++) {
        c->free[c->num_free] = c->num_free;
    }
}

size_t client_num_free(const client *c)
{
    return c->num_free;
}

size_t client_num_open(const client *c)
{
    return c->options.connections - c->num_free + c->length;
}

uint64_t client_num_reconnects(const client *c)
{
    return c->reconnects;
}

/* k->head is whole and NUL-terminated at its empty line. */
static bool read_head(connection *k)
{
    const char *length = strcasestr(k->head, "\r\ncontent-length:");
    if (strncmp(k->head, "HTTP/1.1 ", 9) != 0 || length == NULL) {
        return false;
    }
    k->status = (unsigned)strtoul(k->head + 9, NULL, 10);
    k->body_left = strtoul(length + 17, NULL, 10);
    k->closes = strcasestr(k->head, "\r\nconnection: close") != NULL;
    k->in_body = true;
    return true;
}

/* Returns the bytes of the head, or 0 when more are needed. An interim answer is skipped. */
static size_t take_head(connection *k, const char *data, size_t bytes)
{
    size_t room = HEAD_BYTES - 1 - k->head_bytes;
    size_t before = k->head_bytes;
    size_t part = bytes < room ? bytes : room;
    memcpy(k->head + before, data, part);
    k->head_bytes += part;
    k->head[k->head_bytes] = '\0';
    char *last = strstr(k->head, "\r\n\r\n");
    if (last == NULL) {
        return 0;
    }
    last[2] = '\0';
    return (size_t)(last + 4 - k->head) - before;
}

/* False: the connection is broken. */
static bool take(client *c, connection *k, const char *data, size_t bytes)
{
    while (bytes > 0) {
        if (k->request == NULL) {
            return false; /* nothing was asked */
        }
        if (!k->in_body) {
            size_t used = take_head(k, data, bytes);
            if (used == 0) {
                return k->head_bytes < HEAD_BYTES - 1;
            }
            data += used;
            bytes -= used;
            if (strncmp(k->head, "HTTP/1.1 100", 12) == 0) {
                k->head_bytes = 0;
                continue;
            }
            if (!read_head(k)) {
                return false;
            }
        }
        size_t part = bytes < k->body_left ? bytes : k->body_left;
        k->degraded = k->degraded || memmem(data, part, "\"degraded\":true", 15) != NULL;
        k->body_left -= part;
        data += part;
        bytes -= part;
        if (k->body_left == 0) {
            end(c, k);
            return bytes == 0 || k->request == NULL;
        }
    }
    return true;
}

static void read_some(client *c, connection *k)
{
    ssize_t got = recv(k->fd, c->input, sizeof c->input, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0 || !take(c, k, c->input, (size_t)got)) {
        lose(c, k);
    }
}

void client_run(client *c, double until_s)
{
    struct epoll_event events[MAX_EVENTS];
    double left_s = until_s - rung_clock_s();
    int wait_ms = left_s <= SPIN_S ? 0 : left_s > 1 ? 1000 : (int)floor((left_s - SPIN_S) * 1e3);
    int count = epoll_wait(c->epoll, events, MAX_EVENTS, wait_ms);
    for (int i = 0; i < count; i++) {
        connection *k = events[i].data.ptr;
        if (events[i].events & EPOLLOUT && k->request != NULL) {
            write_more(c, k);
        }
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
            read_some(c, k);
        }
    }
}
