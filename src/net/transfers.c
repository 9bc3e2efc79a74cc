/* transfers.c: see transfers.h, and libcurl's documentation of curl_multi_socket_action. */
#include "net/transfers.h"

#include "base/clock.h"
#include "base/memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct rung_transfers {
    rung_loop *loop;
    CURLM *multi;
    rung_timer timer; /* the next moment at which libcurl has something to do */
    struct socket_watch *sockets;
};

/* A socket that libcurl waits for. What is watched is a descriptor of our own for it: libcurl closes a socket that is still connecting before it says that
 * nobody waits for it, and by then another thread may have been given its number. */
typedef struct socket_watch {
    rung_watch watch; /* of the descriptor of our own */
    curl_socket_t fd; /* as libcurl knows it */
    rung_transfers *transfers;
    struct socket_watch *next;
    struct socket_watch *previous; /* NULL: the first */
} socket_watch;

/* Hands out what has ended. A transfer that `ended` starts or stops is no trouble: libcurl is not running now. */
static void take_ended(rung_transfers *transfers)
{
    int left;
    for (CURLMsg *message = curl_multi_info_read(transfers->multi, &left); message != NULL;
         message = curl_multi_info_read(transfers->multi, &left)) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result; /* the message is gone once the handle is removed */
        char *owner = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &owner);
        curl_multi_remove_handle(transfers->multi, easy);
        rung_transfer *transfer = (rung_transfer *)(void *)owner;
        transfer->ended(transfer, code);
    }
}

static void act(rung_transfers *transfers, curl_socket_t socket, int events)
{
    int running;
    (void)curl_multi_socket_action(transfers->multi, socket, events, &running);
    take_ended(transfers);
}

/* libcurl may free the watch from within. */
static void socket_ready(rung_watch *watch, uint32_t events)
{
    int bits = 0;
    bits |= events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP) ? CURL_CSELECT_IN : 0;
    bits |= events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
    bits |= events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0;
    const socket_watch *socket = watch->context;
    act(socket->transfers, socket->fd, bits);
}

static void timer_fired(rung_timer *timer)
{
    act(timer->context, CURL_SOCKET_TIMEOUT, 0);
}

static void forget_socket(rung_transfers *transfers, socket_watch *socket)
{
    rung_loop_unwatch(transfers->loop, &socket->watch);
    close(socket->watch.fd);
    if (socket->previous == NULL) {
        transfers->sockets = socket->next;
    } else {
        socket->previous->next = socket->next;
    }
    if (socket->next != NULL) {
        socket->next->previous = socket->previous;
    }
    free(socket);
}

static int watch_new(rung_transfers *transfers, curl_socket_t fd, uint32_t events)
{
    socket_watch *socket = rung_alloc(1, sizeof *socket, "socket", NULL);
    if (socket == NULL) {
        return -1;
    }
    *socket = (socket_watch){.fd = fd, .transfers = transfers};
    socket->watch = (rung_watch){.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0), .ready = socket_ready, .context = socket};
    if (socket->watch.fd < 0) {
        free(socket);
        return -1;
    }
    if (rung_loop_watch(transfers->loop, &socket->watch, events, NULL) != RUNG_OK) {
        close(socket->watch.fd);
        free(socket);
        return -1;
    }
    socket->next = transfers->sockets;
    if (socket->next != NULL) {
        socket->next->previous = socket;
    }
    transfers->sockets = socket;
    curl_multi_assign(transfers->multi, fd, socket);
    return 0;
}

/* libcurl says what it waits for on a socket, which may be another one of the same number as before. -1 ends every transfer, which is all that can be done
 * without memory. */
static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *context, void *assigned)
{
    (void)easy;
    rung_transfers *transfers = context;
    socket_watch *socket = assigned;
    uint32_t events = 0;
    events |= what & CURL_POLL_IN ? EPOLLIN : 0;
    events |= what & CURL_POLL_OUT ? EPOLLOUT : 0;
    if (socket != NULL) {
        forget_socket(transfers, socket);
        curl_multi_assign(transfers->multi, fd, NULL);
    }
    return what == CURL_POLL_REMOVE ? 0 : watch_new(transfers, fd, events);
}

static int timer_wanted(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    rung_transfers *transfers = context;
    if (timeout_ms < 0) {
        rung_loop_disarm(transfers->loop, &transfers->timer);
        return 0;
    }
    double at_s = rung_clock_s() + (double)timeout_ms / 1e3;
    return rung_loop_arm(transfers->loop, &transfers->timer, at_s, NULL) == RUNG_OK ? 0 : -1;
}

rung_status rung_transfers_create(rung_loop *loop, size_t max_idle, rung_transfers **transfers, rung_error *error)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return rung_fail(error, RUNG_NO_MEMORY, "libcurl cannot be initialised");
    }
    rung_transfers *made = rung_alloc(1, sizeof *made, "HTTP client", error);
    if (made == NULL) {
        curl_global_cleanup();
        return RUNG_NO_MEMORY;
    }
    made->loop = loop;
    made->timer = (rung_timer){.fire = timer_fired, .context = made};
    made->multi = curl_multi_init();
    if (made->multi == NULL) {
        rung_transfers_free(made);
        return rung_fail(error, RUNG_NO_MEMORY, "libcurl cannot be initialised");
    }
    curl_multi_setopt(made->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
    curl_multi_setopt(made->multi, CURLMOPT_SOCKETDATA, made);
    curl_multi_setopt(made->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
    curl_multi_setopt(made->multi, CURLMOPT_TIMERDATA, made);
    curl_multi_setopt(made->multi, CURLMOPT_MAXCONNECTS, (long)max_idle);
    curl_multi_setopt(made->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    *transfers = made;
    return RUNG_OK;
}

void rung_transfers_free(rung_transfers *transfers)
{
    if (transfers == NULL) {
        return;
    }
    if (transfers->multi != NULL) {
        curl_multi_cleanup(
            transfers->multi); /* closes the idle connections, and may ask for a timer or a socket again */
    }
    for (socket_watch *socket = transfers->sockets; socket != NULL;) {
        socket_watch *next = socket->next;
        forget_socket(transfers, socket);
        socket = next;
    }
    rung_loop_disarm(transfers->loop, &transfers->timer);
    curl_global_cleanup();
    free(transfers);
}

rung_status rung_transfers_start(rung_transfers *transfers, rung_transfer *transfer, rung_error *error)
{
    curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
    CURLMcode code = curl_multi_add_handle(transfers->multi, transfer->easy);
    if (code != CURLM_OK) {
        return rung_fail(error, code == CURLM_OUT_OF_MEMORY ? RUNG_NO_MEMORY : RUNG_IO, "HTTP client: %s",
                         curl_multi_strerror(code));
    }
    return RUNG_OK;
}

void rung_transfers_stop(rung_transfers *transfers, rung_transfer *transfer)
{
    curl_multi_remove_handle(transfers->multi, transfer->easy);
}
