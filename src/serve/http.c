/* http.c: the HTTP server of a node over libmicrohttpd (MHD). See http.h.
 *
 * MHD parses and writes; its epoll descriptor is watched by our loop. Sockets are accepted here and handed to it, so that running out of
 * descriptors neither spins nor waits for luck, and all time limits are our own timers: MHD only knows silence, not a slow drip.
 *
 * A connection carries one request at a time, so the connection is the exchange. Its phases:
 *
 *     IDLE ── request line ──► RECEIVING ── last byte ──► WAITING ── answer ──► SENDING ── taken ──► IDLE
 *                                  └ refused ► LINGERING       └ client gone        └───────────────► CLOSING
 *
 * While it waits it is suspended in MHD, and only after the round in which its last byte came: MHD then knows that there is nothing to read, and
 * does not take a client's half-close for its end before the answer is out.
 * A refusal is written here, past MHD, which could not refuse in the middle of a body; what the client still sends is read and dropped for a
 * moment (LINGERING), else the reset of a socket closed with unread data would take the refusal along. */
#include "serve/http.h"

#include "base/clock.h"
#include "base/memory.h"
#include "serve/http_head.h"
#include "serve/http_socket.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_A_ROUND 64
#define ACCEPT_PAUSE_S 0.1 /* after running out of descriptors or memory; the end of a connection ends it too */
#define RUNS_A_ROUND 16
#define FIRST_BODY_BYTES ((size_t)16 << 10)
#define LINGER_S 1.0
#define LINGER_BYTES ((size_t)64 << 20)
/* Of MHD's memory for a connection, which an idle one keeps, beside the request's head: what it notes of each field, and the head of the answer. */
#define FIELD_BYTES 64
#define ANSWER_HEADER_BYTES 2048

static const double probe_after_s[] = {0.02, 0.1, 0.5, 2.5, 5}; /* the last one again and again */

typedef enum phase { IDLE, RECEIVING, WAITING, SENDING, LINGERING, CLOSING } phase;

struct rung_exchange {
    rung_http *http;
    rung_exchange *previous, *next; /* of all connections */
    struct MHD_Connection *mhd;
    rung_watch watch; /* of the client's end: edge-triggered, so that it costs nothing while nothing happens */
    rung_timer timer; /* armed as long as the connection lives, so that arming it again cannot fail */
    phase phase;
    bool watched;
    bool half_closed, broken; /* the client sends no more; the connection is no more */
    bool suspended;           /* in MHD */
    bool to_suspend;          /* after this round */
    bool in_handler;          /* its handler runs */
    rung_exchange *next_to_suspend;
    size_t probes;
    /* The request. */
    bool judged;
    const char *method, *path, *version, *target;
    size_t target_bytes;
    char *body;
    size_t body_bytes, body_capacity;
    double arrived_s;
    void *user;
    /* The answer. */
    struct MHD_Response *response;
    unsigned status;
};

struct rung_http {
    rung_loop *loop;
    rung_http_options options; /* numbers only */
    rung_http_handler handler;
    struct MHD_Daemon *daemon;
    rung_watch daemon_watch, listen_watch;
    rung_timer run_timer, accept_timer; /* always armed, as those of connections */
    bool daemon_watched, listen_watched;
    bool accept_paused;
    bool running, again;     /* in MHD_run; it is to run once more */
    bool draining, stopping; /* stopping: being freed */
    bool in_place;           /* rung_http_head */
    uint16_t port;
    size_t num_connections;
    rung_exchange *connections, *to_suspend;
    rung_exchange *accepting; /* on its way into MHD */
};

/* A timer that is armed keeps its place in the loop, so this cannot fail. */
static void arm(rung_http *http, rung_timer *timer, double at_s)
{
    rung_status status = rung_loop_arm(http->loop, timer, at_s, NULL);
    assert(status == RUNG_OK);
    (void)status;
}

/* MHD has something to do: at the end of this round of the loop, so that several answers are written together. */
static void run_soon(rung_http *http)
{
    http->again = true;
    if (!http->running) {
        arm(http, &http->run_timer, 0);
    }
}

static void resume(rung_exchange *e)
{
    if (e->suspended) {
        e->suspended = false;
        MHD_resume_connection(e->mhd);
    }
    run_soon(e->http);
}

static void drop_request(rung_exchange *e)
{
    free(e->body);
    e->body = NULL;
    e->body_bytes = e->body_capacity = 0;
    if (e->response != NULL) {
        MHD_destroy_response(e->response);
        e->response = NULL;
    }
}

/* MHD closes it as soon as it looks: its handler says so, or the socket's end. */
static void close_soon(rung_exchange *e)
{
    e->phase = CLOSING;
    arm(e->http, &e->timer, INFINITY);
    shutdown(e->watch.fd, SHUT_RDWR);
    resume(e);
}

static void note_refused(rung_http *http, unsigned status)
{
    if (http->handler.refused != NULL) {
        http->handler.refused(http->handler.context, status);
    }
}

/* What is too large learns how large it may be. */
static void name_limit(const rung_http *http, unsigned status, const char *message, char *text, size_t room)
{
    if (status == MHD_HTTP_CONTENT_TOO_LARGE) {
        snprintf(text, room, "%s of %zu bytes", message, http->options.max_body_bytes);
    } else if (status == MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE && message != rung_http_too_many_headers) {
        snprintf(text, room, "%s of %zu bytes", message, http->options.max_header_bytes);
    } else {
        snprintf(text, room, "%s", message);
    }
}

/* Within MHD's call of the handler. */
static enum MHD_Result refuse(rung_exchange *e, unsigned status, const char *message)
{
    rung_http *http = e->http;
    char text[160];
    name_limit(http, status, message, text, sizeof text);
    rung_http_write_refusal(e->watch.fd, &http->handler, e, status, text, strcmp(e->method, "HEAD") == 0);
    shutdown(e->watch.fd, SHUT_WR);
    note_refused(http, status);
    drop_request(e);
    if (rung_loop_change(http->loop, &e->watch, EPOLLIN | EPOLLRDHUP, NULL) != RUNG_OK) {
        e->phase = CLOSING;
        return MHD_NO;
    }
    e->phase = LINGERING;
    e->body_bytes = 0; /* counts what is dropped */
    arm(http, &e->timer, rung_clock_s() + LINGER_S);
    e->suspended = true;
    MHD_suspend_connection(e->mhd);
    return MHD_YES;
}

static void linger(rung_exchange *e)
{
    char dropped[16384];
    ssize_t got;
    while ((got = recv(e->watch.fd, dropped, sizeof dropped, MSG_DONTWAIT)) > 0 && e->body_bytes <= LINGER_BYTES) {
        e->body_bytes += (size_t)got;
    }
    if (got >= 0 || (errno != EAGAIN && errno != EINTR)) {
        e->body_bytes = 0;
        rung_loop_unwatch(e->http->loop, &e->watch);
        e->watched = false;
        close_soon(e);
    }
}

/* The client of a waiting exchange went away. */
static void lose(rung_exchange *e)
{
    rung_http *http = e->http;
    e->phase = CLOSING;
    if (http->handler.gone != NULL) {
        http->handler.gone(http->handler.context, e);
    }
    close_soon(e);
}

/* The client closed its sending side. If it closed all, its system answers these bytes with a reset, and the watch tells. */
static void probe(rung_exchange *e)
{
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (strcmp(e->version, "HTTP/1.1") != 0) {
        return;
    }
    ssize_t sent = send(e->watch.fd, interim, sizeof interim - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    bool full = sent < 0 && (errno == EAGAIN || errno == EINTR);
    if (!full && sent != (ssize_t)sizeof interim - 1) { /* also half of it: nothing may follow that */
        lose(e);
        return;
    }
    size_t last = sizeof probe_after_s / sizeof *probe_after_s - 1;
    arm(e->http, &e->timer, rung_clock_s() + probe_after_s[e->probes < last ? e->probes : last]);
    e->probes++;
}

static void client_changed(rung_watch *watch, uint32_t events)
{
    rung_exchange *e = watch->context;
    if (e->phase == LINGERING) {
        linger(e);
        return;
    }
    e->half_closed |= (events & EPOLLRDHUP) != 0;
    e->broken |= (events & (EPOLLHUP | EPOLLERR)) != 0;
    if (e->phase == WAITING && e->broken) {
        lose(e);
    } else if (e->phase == WAITING && e->half_closed && e->probes == 0) {
        probe(e);
    }
}

static void time_is_up(rung_timer *timer)
{
    rung_exchange *e = timer->context;
    arm(e->http, timer, INFINITY);
    switch (e->phase) {
    case WAITING:
        if (e->broken) {
            lose(e);
        } else {
            probe(e);
        }
        break;
    case RECEIVING:
        rung_http_write_refusal(e->watch.fd, &e->http->handler, e->judged ? e : NULL, MHD_HTTP_REQUEST_TIMEOUT,
                                "the request took too long to arrive", false);
        note_refused(e->http, MHD_HTTP_REQUEST_TIMEOUT);
        close_soon(e);
        break;
    case IDLE:
    case SENDING:
    case LINGERING:
        close_soon(e);
        break;
    case CLOSING:
        break;
    }
}

/* MHD has read a request line. */
static void *take_line(void *context, const char *target, struct MHD_Connection *mhd)
{
    rung_http *http = context;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    rung_exchange *e = info->socket_context;
    e->phase = RECEIVING;
    e->judged = false;
    e->target = target;
    e->target_bytes = target != NULL ? rung_http_target_bytes(target) : 0;
    e->user = NULL;
    e->probes = 0;
    arm(http, &e->timer, rung_clock_s() + http->options.receive_timeout_s);
    return e;
}

typedef struct header_list {
    rung_http_header headers[RUNG_HTTP_MAX_HEADERS + 1];
    size_t count;
} header_list;

static enum MHD_Result collect(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    header_list *list = context;
    list->headers[list->count++] = (rung_http_header){name, value == NULL ? "" : value};
    return list->count <= RUNG_HTTP_MAX_HEADERS ? MHD_YES : MHD_NO;
}

static enum MHD_Result judge(rung_exchange *e)
{
    rung_http *http = e->http;
    header_list list;
    list.count = 0;
    MHD_get_connection_values(e->mhd, MHD_HEADER_KIND, collect, &list);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(e->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    rung_http_verdict verdict = rung_http_judge(&(rung_http_head){
        .method = e->method,
        .target = e->target,
        .target_bytes = e->target_bytes,
        .version = e->version,
        .bytes = info->header_size,
        .headers = list.headers,
        .num_headers = list.count,
        .max_bytes = http->options.max_header_bytes,
        .max_body_bytes = http->options.max_body_bytes,
        .in_place = http->in_place,
    });
    return verdict.status == 0 ? MHD_YES : refuse(e, verdict.status, verdict.message);
}

/* One byte more than it holds: for a NUL, so that a body can be read as a string. */
static bool reserve_body(rung_exchange *e, size_t bytes)
{
    if (bytes < e->body_capacity) {
        return true;
    }
    size_t capacity = e->body_capacity > 0 ? e->body_capacity : FIRST_BODY_BYTES;
    while (capacity <= bytes) {
        capacity *= 2;
    }
    char *grown = realloc(e->body, capacity);
    if (grown == NULL) {
        return false;
    }
    e->body = grown;
    e->body_capacity = capacity;
    return true;
}

static enum MHD_Result take_body(rung_exchange *e, const char *data, size_t *bytes)
{
    size_t max_bytes = e->http->options.max_body_bytes;
    if (*bytes > max_bytes || e->body_bytes > max_bytes - *bytes) {
        return refuse(e, MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than this node's limit");
    }
    if (!reserve_body(e, e->body_bytes + *bytes)) {
        return refuse(e, MHD_HTTP_SERVICE_UNAVAILABLE, "not enough memory for the body");
    }
    memcpy(e->body + e->body_bytes, data, *bytes);
    e->body_bytes += *bytes;
    e->body[e->body_bytes] = '\0';
    *bytes = 0;
    return MHD_YES;
}

/* The last byte came. */
static enum MHD_Result hand_over(rung_exchange *e)
{
    rung_http *http = e->http;
    e->phase = WAITING;
    e->arrived_s = rung_clock_s();
    arm(http, &e->timer, INFINITY);
    e->in_handler = true;
    http->handler.request(http->handler.context, e);
    e->in_handler = false;
    if (e->phase != WAITING) {
        bool queued = e->response != NULL && MHD_queue_response(e->mhd, e->status, e->response) == MHD_YES;
        drop_request(e);
        return queued ? MHD_YES : MHD_NO;
    }
    e->to_suspend = true;
    e->next_to_suspend = http->to_suspend;
    http->to_suspend = e;
    if (e->broken || e->half_closed) {
        arm(http, &e->timer, 0);
    }
    return MHD_YES;
}

/* MHD calls once with the head, then with each piece of the body, then once when all is there, and again when it is resumed. */
static enum MHD_Result handle(void *context, struct MHD_Connection *mhd, const char *url, const char *method,
                              const char *version, const char *data, size_t *data_bytes, void **request)
{
    (void)context;
    (void)mhd;
    rung_exchange *e = *request;
    if (e == NULL || e->phase == CLOSING || e->phase == LINGERING) {
        return MHD_NO;
    }
    if (!e->judged) {
        e->judged = true;
        e->method = method;
        e->path = url;
        e->version = version;
        return judge(e);
    }
    if (*data_bytes > 0) {
        return take_body(e, data, data_bytes);
    }
    return e->phase == RECEIVING ? hand_over(e) : MHD_YES;
}

/* The answer is out, or the request came to nothing. */
static void request_ended(void *context, struct MHD_Connection *mhd, void **request,
                          enum MHD_RequestTerminationCode how)
{
    rung_http *http = context;
    (void)mhd;
    rung_exchange *e = *request;
    if (e == NULL) {
        return;
    }
    if (e->phase == WAITING) { /* MHD saw its end before it was suspended, or is being stopped */
        if (!http->stopping && http->handler.gone != NULL) {
            http->handler.gone(http->handler.context, e);
        }
    }
    drop_request(e);
    bool over = how != MHD_REQUEST_TERMINATED_COMPLETED_OK || e->phase != SENDING;
    e->phase = over ? CLOSING : IDLE;
    arm(http, &e->timer, over ? INFINITY : rung_clock_s() + http->options.idle_timeout_s);
}

static void resume_accepting(rung_http *http)
{
    if (http->accept_paused && http->listen_watched) {
        http->accept_paused = rung_loop_change(http->loop, &http->listen_watch, EPOLLIN, NULL) != RUNG_OK;
    }
}

static void connection_changed(void *context, struct MHD_Connection *mhd, void **socket_context,
                               enum MHD_ConnectionNotificationCode what)
{
    rung_http *http = context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        rung_exchange *e = http->accepting;
        http->accepting = NULL;
        *socket_context = e;
        e->mhd = mhd;
        e->next = http->connections;
        if (e->next != NULL) {
            e->next->previous = e;
        }
        http->connections = e;
        http->num_connections++;
        return;
    }
    rung_exchange *e = *socket_context;
    *(e->previous != NULL ? &e->previous->next : &http->connections) = e->next;
    if (e->next != NULL) {
        e->next->previous = e->previous;
    }
    http->num_connections--;
    if (e->to_suspend) {
        rung_exchange **link = &http->to_suspend;
        while (*link != e) {
            link = &(*link)->next_to_suspend;
        }
        *link = e->next_to_suspend;
    }
    if (e->watched) {
        rung_loop_unwatch(http->loop, &e->watch);
    }
    rung_loop_disarm(http->loop, &e->timer);
    drop_request(e);
    free(e);
    resume_accepting(http);
}

static void suspend_waiting(rung_http *http)
{
    while (http->to_suspend != NULL) {
        rung_exchange *e = http->to_suspend;
        http->to_suspend = e->next_to_suspend;
        e->to_suspend = false;
        if (e->phase == WAITING) {
            e->suspended = true;
            MHD_suspend_connection(e->mhd);
        }
    }
}

static void run(rung_http *http)
{
    http->running = true;
    bool pending = true;
    for (size_t i = 0; i < RUNS_A_ROUND && pending; i++) {
        http->again = false;
        MHD_run(http->daemon);
        suspend_waiting(http);
        MHD_UNSIGNED_LONG_LONG wait_ms;
        pending = http->again || (MHD_get_timeout(http->daemon, &wait_ms) == MHD_YES && wait_ms == 0);
    }
    http->running = false;
    if (pending) {
        arm(http, &http->run_timer, 0);
    }
}

static void run_now(rung_timer *timer)
{
    rung_http *http = timer->context;
    arm(http, timer, INFINITY);
    run(http);
}

static void daemon_ready(rung_watch *watch, uint32_t events)
{
    (void)events;
    run(watch->context);
}

/* MHD's own refusals: its log is the only place where they show. */
static void log_of_daemon(void *context, const char *format, va_list arguments)
{
    rung_http *http = context;
    if (strstr(format, "HTTP response code is %u") != NULL) {
        note_refused(http, va_arg(arguments, unsigned));
    }
}

/* The path is taken as it came: "%00" must not end it. */
static size_t leave_escaped(void *context, struct MHD_Connection *mhd, char *text)
{
    (void)context;
    (void)mhd;
    return strlen(text);
}

/* fd is closed in any case, now or with its connection. */
static void take_connection(rung_http *http, int fd, const struct sockaddr *address, socklen_t address_bytes)
{
    if (http->num_connections >= http->options.max_connections) {
        rung_http_write_refusal(fd, &http->handler, NULL, MHD_HTTP_SERVICE_UNAVAILABLE,
                                "this node has as many connections as it may have", false);
        note_refused(http, MHD_HTTP_SERVICE_UNAVAILABLE);
        close(fd);
        return;
    }
    rung_exchange *e = rung_alloc(1, sizeof *e, "connection", NULL);
    if (e == NULL) {
        close(fd);
        return;
    }
    e->http = http;
    e->watch = (rung_watch){.fd = fd, .ready = client_changed, .context = e};
    e->timer = (rung_timer){.fire = time_is_up, .context = e};
    if (rung_loop_arm(http->loop, &e->timer, rung_clock_s() + http->options.receive_timeout_s, NULL) != RUNG_OK) {
        close(fd);
        free(e);
        return;
    }
    http->accepting = e;
    enum MHD_Result added = MHD_add_connection(http->daemon, fd, address, address_bytes);
    if (http->accepting != NULL) { /* refused: too many of one client */
        http->accepting = NULL;
        rung_loop_disarm(http->loop, &e->timer);
        free(e);
        note_refused(http, MHD_HTTP_SERVICE_UNAVAILABLE);
    } else if (added == MHD_YES) {
        e->watched = rung_loop_watch(http->loop, &e->watch, EPOLLRDHUP | EPOLLET, NULL) == RUNG_OK;
        if (!e->watched) {
            close_soon(e);
        }
    }
}

static void accept_ready(rung_watch *watch, uint32_t events)
{
    (void)events;
    rung_http *http = watch->context;
    for (size_t i = 0; i < ACCEPTS_A_ROUND; i++) {
        struct sockaddr_storage address;
        socklen_t bytes = sizeof address;
        int fd = accept4(watch->fd, (struct sockaddr *)&address, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take_connection(http, fd, (const struct sockaddr *)&address, bytes);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            http->accept_paused = rung_loop_change(http->loop, watch, 0, NULL) == RUNG_OK;
            arm(http, &http->accept_timer, rung_clock_s() + ACCEPT_PAUSE_S);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } /* else a client that is gone already */
    }
}

static void accept_again(rung_timer *timer)
{
    arm(timer->context, timer, INFINITY);
    resume_accepting(timer->context);
}

static rung_status start_daemon(rung_http *http, rung_error *error)
{
    const rung_http_options *options = &http->options;
    unsigned limit = (unsigned)(options->max_connections < 1u << 20 ? options->max_connections : 1u << 20);
    unsigned client_limit =
        (unsigned)(options->max_connections_per_client < limit ? options->max_connections_per_client : limit);
    http->daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
                         NULL, NULL, handle, http, MHD_OPTION_EXTERNAL_LOGGER, log_of_daemon, http,
                         MHD_OPTION_CONNECTION_LIMIT, limit, MHD_OPTION_PER_IP_CONNECTION_LIMIT, client_limit,
                         MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         options->max_header_bytes + RUNG_HTTP_MAX_HEADERS * FIELD_BYTES + ANSWER_HEADER_BYTES,
                         MHD_OPTION_URI_LOG_CALLBACK, take_line, http, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped,
                         NULL, MHD_OPTION_NOTIFY_COMPLETED, request_ended, http, MHD_OPTION_NOTIFY_CONNECTION,
                         connection_changed, http, MHD_OPTION_END);
    if (http->daemon == NULL) {
        return rung_fail(error, RUNG_IO, "cannot start the HTTP server: %s", strerror(errno));
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    http->daemon_watch = (rung_watch){.fd = info->epoll_fd, .ready = daemon_ready, .context = http};
    rung_status status = rung_loop_watch(http->loop, &http->daemon_watch, EPOLLIN, error);
    http->daemon_watched = status == RUNG_OK;
    return status;
}

rung_status rung_http_create(rung_loop *loop, const rung_http_options *options, const rung_http_handler *handler,
                             rung_http **http, rung_error *error)
{
    rung_http *made = rung_alloc(1, sizeof *made, "HTTP server", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->loop = loop;
    made->options = *options;
    made->options.address = NULL;
    made->handler = *handler;
    made->in_place = strncmp(MHD_get_version(), "0.", 2) == 0;
    made->run_timer = (rung_timer){.fire = run_now, .context = made};
    made->accept_timer = (rung_timer){.fire = accept_again, .context = made};
    made->listen_watch = (rung_watch){.fd = -1, .ready = accept_ready, .context = made};
    rung_status status = rung_http_listen(options, &made->listen_watch.fd, &made->port, error);
    if (status == RUNG_OK) {
        status = rung_loop_arm(loop, &made->run_timer, INFINITY, error);
    }
    if (status == RUNG_OK) {
        status = rung_loop_arm(loop, &made->accept_timer, INFINITY, error);
    }
    if (status == RUNG_OK) {
        status = start_daemon(made, error);
    }
    if (status == RUNG_OK) {
        status = rung_loop_watch(loop, &made->listen_watch, EPOLLIN, error);
        made->listen_watched = status == RUNG_OK;
    }
    if (status != RUNG_OK) {
        rung_http_free(made);
        return status;
    }
    *http = made;
    return RUNG_OK;
}

void rung_http_drain(rung_http *http)
{
    http->draining = true;
    if (http->listen_watched) {
        rung_loop_unwatch(http->loop, &http->listen_watch);
        http->listen_watched = false;
    }
    if (http->listen_watch.fd >= 0) {
        close(http->listen_watch.fd);
        http->listen_watch.fd = -1;
    }
}

void rung_http_free(rung_http *http)
{
    if (http == NULL) {
        return;
    }
    assert(!http->running);
    http->stopping = true;
    rung_http_drain(http);
    if (http->daemon_watched) {
        rung_loop_unwatch(http->loop, &http->daemon_watch);
    }
    if (http->daemon != NULL) {
        for (rung_exchange *e = http->connections; e != NULL; e = e->next) {
            resume(e); /* MHD ends the program when it stops with suspended connections */
        }
        MHD_stop_daemon(http->daemon);
    }
    rung_loop_disarm(http->loop, &http->run_timer);
    rung_loop_disarm(http->loop, &http->accept_timer);
    free(http);
}

uint16_t rung_http_port(const rung_http *http)
{
    return http->port;
}

size_t rung_http_num_connections(const rung_http *http)
{
    return http->num_connections;
}

size_t rung_http_num_unsent(const rung_http *http)
{
    size_t count = 0;
    for (const rung_exchange *e = http->connections; e != NULL; e = e->next) {
        count += e->phase == WAITING || e->phase == SENDING;
    }
    return count;
}

const char *rung_exchange_method(const rung_exchange *e)
{
    return e->method;
}

const char *rung_exchange_path(const rung_exchange *e)
{
    return rung_http_path_of(e->path);
}

const char *rung_exchange_body(const rung_exchange *e, size_t *bytes)
{
    *bytes = e->body_bytes;
    return e->body != NULL ? e->body : "";
}

const char *rung_exchange_header(const rung_exchange *e, const char *name)
{
    return MHD_lookup_connection_value(e->mhd, MHD_HEADER_KIND, name);
}

const struct sockaddr *rung_exchange_client(const rung_exchange *e)
{
    return MHD_get_connection_info(e->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
}

double rung_exchange_arrived_s(const rung_exchange *e)
{
    return e->arrived_s;
}

void rung_exchange_set_user(rung_exchange *e, void *user)
{
    e->user = user;
}

void *rung_exchange_user(const rung_exchange *e)
{
    return e->user;
}

/* NULL without memory; the body is freed then, too. */
static struct MHD_Response *make_response(const rung_http *http, const rung_http_header *headers, size_t num_headers,
                                          char *body, size_t body_bytes)
{
    struct MHD_Response *response = body != NULL
                                        ? MHD_create_response_from_buffer_with_free_callback(body_bytes, body, free)
                                        : MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    if (response == NULL) {
        free(body);
        return NULL;
    }
    bool typed = false, added = true;
    for (size_t i = 0; i < num_headers; i++) {
        typed |= strcasecmp(headers[i].name, "Content-Type") == 0;
        added &= MHD_add_response_header(response, headers[i].name, headers[i].value) == MHD_YES;
    }
    if (!typed && body_bytes > 0) {
        added &= MHD_add_response_header(response, "Content-Type", "application/json") == MHD_YES;
    }
    if (http->draining) {
        added &= MHD_add_response_header(response, "Connection", "close") == MHD_YES;
    }
    if (!added) {
        MHD_destroy_response(response);
        return NULL;
    }
    return response;
}

void rung_http_answer(rung_exchange *e, unsigned status, const rung_http_header *headers, size_t num_headers,
                      char *body, size_t body_bytes)
{
    rung_http *http = e->http;
    assert(e->phase == WAITING);
    struct MHD_Response *response = make_response(http, headers, num_headers, body, body_bytes);
    drop_request(e);
    e->phase = SENDING;
    e->response = response;
    e->status = status;
    arm(http, &e->timer, rung_clock_s() + http->options.idle_timeout_s);
    if (e->in_handler) {
        return; /* its caller passes it on */
    }
    if (response == NULL || MHD_queue_response(e->mhd, status, response) != MHD_YES) {
        close_soon(e);
        return;
    }
    MHD_destroy_response(response); /* MHD has its own reference */
    e->response = NULL;
    resume(e);
}
