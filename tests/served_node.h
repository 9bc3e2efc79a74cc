/* served_node.h: levels of small models as nodes in the test's process, each with its loop in a thread, and clients of theirs over real sockets. Includes
 * node_fixture.h; each test includes it once. */
#ifndef RUNG_TESTS_SERVED_NODE_H
#define RUNG_TESTS_SERVED_NODE_H

#include "base/clock.h"
#include "node_fixture.h"
#include "serve/node.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

/* A node and the thread that runs it. */
typedef struct served {
    rung_node *node;
    const rung_policy *policy; /* in place of the configured one; NULL: that */
    const char *const *more;   /* further options, {key, value, ..., NULL}; NULL: none */
    rung_options *options;
    pthread_t thread;
    rung_status ended;
    rung_error error; /* of its end */
    size_t log_lines;
    size_t fixed;        /* of them: that an option did not change */
    char degraded[1024]; /* the last of them that says why an answer is */
} served;

static inline void *run_node(void *argument)
{
    served *self = argument;
    self->ended = rung_node_run(self->node, &self->error);
    return NULL;
}

static inline rung_status load(void *context, rung_node_config *config, rung_error *error)
{
    served *self = context;
    rung_status status = rung_node_config_load(NULL, self->options, config, error);
    if (status == RUNG_OK && self->policy != NULL) {
        config->cascade.policy = *self->policy;
    }
    return status;
}

static inline void count_line(void *context, const char *line, size_t bytes)
{
    served *self = context;
    assert_int_equal(line[bytes - 1], '\n');
    self->log_lines++;
    self->fixed += memmem(line, bytes, "needs a restart", 15) != NULL;
    if (memmem(line, bytes, "\"degraded\"", 10) != NULL) {
        snprintf(self->degraded, sizeof self->degraded, "%.*s", (int)bytes, line);
    }
}

/* self->policy and more are set. drain: NULL: the default. */
static inline void start_draining(served *self, const char *level, const char *upstream, const char *link_rtt,
                                  const char *drain)
{
    rung_error error;
    rung_node_config config = {0};
    *self = (served){.policy = self->policy, .more = self->more};
    assert_int_equal(rung_options_new(&self->options, &error), RUNG_OK);
    set_option(self->options, "config", yaml_path);
    set_option(self->options, "level", level);
    set_option(self->options, "listen", "127.0.0.1:0");
    if (upstream != NULL) {
        set_option(self->options, "upstream.addresses", upstream);
    }
    if (link_rtt != NULL) {
        set_option(self->options, "upstream.link.rtt", link_rtt);
        set_option(self->options, "upstream.link.up", "1Gbit/s");
        set_option(self->options, "upstream.link.down", "1Gbit/s");
        set_option(self->options, "upstream.deadline", "10s");
    }
    if (drain != NULL) {
        set_option(self->options, "drain", drain);
    }
    for (size_t i = 0; self->more != NULL && self->more[i] != NULL; i += 2) {
        set_option(self->options, self->more[i], self->more[i + 1]);
    }
    const rung_node_options options = {
        .open = {.threads = 2}, .seed = 7, .reload = load, .log = count_line, .context = self};
    if (load(self, &config, &error) != RUNG_OK || rung_node_create(&config, &options, &self->node, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(pthread_create(&self->thread, NULL, run_node, self), 0);
}

static inline void start(served *self, const char *level, const char *upstream, const char *link_rtt)
{
    *self = (served){0};
    start_draining(self, level, upstream, link_rtt, NULL);
}

static inline void stop_with(served *self, rung_status status)
{
    rung_node_drain(self->node);
    pthread_join(self->thread, NULL);
    assert_int_equal(self->ended, status);
    assert_true(self->log_lines >= 2);
    rung_node_free(self->node);
    rung_options_free(self->options);
}

static inline void stop(served *self)
{
    stop_with(self, RUNG_OK);
}

static inline int connect_to(const served *self)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)strtoul(strrchr(rung_node_url(self->node), ':') + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* headers: each with its line end. */
static inline void send_with(int fd, const char *method, const char *path, const char *headers, const char *body)
{
    char request[16384];
    int length = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n%s",
                          method, path, headers, strlen(body), body);
    assert_true(length > 0 && (size_t)length < sizeof request);
    assert_int_equal(send(fd, request, (size_t)length, MSG_NOSIGNAL), length);
}

static inline void send_call(int fd, const char *method, const char *path, const char *body)
{
    send_with(fd, method, path, "", body);
}

/* The status; the body is left in `answer`. */
static inline int receive(int fd, char *answer, size_t room)
{
    size_t have = 0;
    for (;;) {
        ssize_t got = recv(fd, answer + have, room - 1 - have, 0);
        assert_true(got > 0);
        have += (size_t)got;
        answer[have] = '\0';
        char *body = strstr(answer, "\r\n\r\n");
        const char *length = strcasestr(answer, "content-length:");
        if (body != NULL && length != NULL && have >= (size_t)(body + 4 - answer) + strtoul(length + 15, NULL, 10)) {
            int status = (int)strtol(answer + 9, NULL, 10);
            memmove(answer, body + 4, strlen(body + 4) + 1);
            return status;
        }
    }
}

static inline int ask(const served *self, const char *method, const char *path, const char *body, char *answer,
                      size_t room)
{
    int fd = connect_to(self);
    send_call(fd, method, path, body);
    int status = receive(fd, answer, room);
    close(fd);
    return status;
}

/* Everything but times. */
static inline void blank_times(char *json)
{
    for (char *at = json; (at = strstr(at, "_ms\":")) != NULL;) {
        for (at += 5; strchr("0123456789.e+-", *at) != NULL && *at != '\0'; at++) {
            *at = '0';
        }
    }
    for (char *at = json; *at != '\0'; at++) { /* digits of a time may be fewer */
        while (at[0] == '0' && at[1] == '0') {
            memmove(at, at + 1, strlen(at));
        }
    }
}

static inline bool has_metric(const served *self, const char *line)
{
    static char answer[65536];
    assert_int_equal(ask(self, "GET", "/metrics", "", answer, sizeof answer), 200);
    const char *at = strstr(answer, line);
    return at != NULL && at[strlen(line)] == '\n';
}

static inline void await_metric(const served *self, const char *line)
{
    double until_s = rung_clock_s() + 60;
    while (!has_metric(self, line)) {
        assert_true(rung_clock_s() < until_s);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
}

#endif
