/* client.h: many keep-alive HTTP/1.1 connections to one server, driven by epoll in one thread, one request at a time on each. A request that finds no free
 * connection waits here, and its latency counts from the moment at which it was meant to be sent (no coordinated omission). For bench/load. */
#ifndef RUNG_BENCH_LOAD_CLIENT_H
#define RUNG_BENCH_LOAD_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct client client;

/* A whole request, head and body. */
typedef struct client_request {
    const char *bytes;
    size_t count;
} client_request;

typedef struct client_result {
    unsigned status; /* 0: the connection broke before the answer was whole */
    bool degraded;   /* the answer of the own API says so */
    double intended_s, sent_s, done_s;
} client_result;

typedef struct client_options {
    const char *host; /* numeric IPv4 */
    uint16_t port;
    size_t connections; /* at most; opened at once */
    size_t sources;     /* addresses 127.0.0.1 ... that they come from in turn; 0: the system's choice */
    void (*done)(void *context, const client_result *result); /* from within client_run */
    void *context;
} client_options;

/* Opens all connections; says on standard error why it cannot and ends the program. */
client *client_open(const client_options *options);
void client_close(client *c);

/* Sends it at once, or as soon as a connection is free. `request` lives until it is done. */
void client_send(client *c, const client_request *request, double intended_s);

/* Sends `request` once on every connection, and waits for all answers. Before anything else is sent. */
void client_send_on_each(client *c, const client_request *request);

size_t client_num_free(const client *c);
/* Sent or waiting here. */
size_t client_num_open(const client *c);
uint64_t client_num_reconnects(const client *c);

/* Waits for events until until_s, or until one came, and handles all that are there. */
void client_run(client *c, double until_s);

#endif
