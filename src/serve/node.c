/* node.c: the loop of one level: HTTP requests in, routes, drain and reload. What happens to a classify call is in ticket.c. See node.h. */
#include "serve/node.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/prng.h"
#include "base/schedule.h"
#include "serve/routes.h"
#include "serve/ticket.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_LOOK_S 0.005

/* A reload under way: its thread fills it in, the loop takes it. */
typedef struct reload {
    bool running; /* the loop's: the thread was started and not yet joined */
    pthread_t thread;
    atomic_bool done;
    rung_status status;
    rung_error error;
    rung_generation *made;
} reload;

struct rung_node {
    rung_node_options options;
    rung_loop *loop;
    rung_http *http;
    rung_metrics *metrics;
    rung_log *log;
    rung_desk desk;
    rung_site site;
    rung_generation *replaced; /* generations that somebody may still use */
    uint64_t last_serial;
    reload reload;
    rung_timer drain_timer;
    double drain_until_s;
    bool drain_failed;
    atomic_bool drain_wanted, reload_wanted;
    char id[64];
    char url[96];
};

static void sweep_generations(rung_node *node)
{
    for (rung_generation **at = &node->replaced; *at != NULL;) {
        rung_generation *generation = *at;
        if (atomic_load_explicit(&generation->users, memory_order_acquire) > 0) {
            at = &generation->next;
            continue;
        }
        *at = generation->next;
        rung_generation_free(generation);
    }
}

static void replace_generation(rung_node *node, rung_generation *made)
{
    rung_generation *old = node->desk.current;
    node->desk.current = made;
    rung_workers_renew(node->desk.workers, made);
    rung_metrics_expect(node->metrics, rung_generation_expected_share(made));
    old->next = node->replaced;
    node->replaced = old;
    rung_generation_leave(old);
}

static void *reload_in_thread(void *argument)
{
    rung_node *node = argument;
    reload *self = &node->reload;
    rung_node_config config = {0};
    self->status = node->options.reload(node->options.context, &config, &self->error);
    if (self->status == RUNG_OK) {
        self->status = rung_generation_open(&config, &node->options.open, node->last_serial, &self->made, &self->error);
    }
    atomic_store_explicit(&self->done, true, memory_order_release);
    rung_loop_wake(node->loop);
    return NULL;
}

static void report_reload(rung_node *node, rung_status status, const char *message)
{
    rung_metrics_reload(node->metrics, status == RUNG_OK);
    if (status == RUNG_OK) {
        rung_log_line(node->log, RUNG_LOG_INFO, "reloaded",
                      RUNG_LOG_TEXT("level", rung_generation_name(node->desk.current)));
    } else {
        rung_log_line(node->log, RUNG_LOG_ERROR, "reload failed, the old configuration stays",
                      RUNG_LOG_TEXT("error", message));
    }
}

static void start_reload(rung_node *node)
{
    if (node->reload.running) {
        return; /* the flag stays: once more afterwards, since the files may have changed meanwhile */
    }
    atomic_store(&node->reload_wanted, false);
    if (node->options.reload == NULL) {
        report_reload(node, RUNG_UNSUPPORTED, "this node has nothing to read again");
        return;
    }
    node->last_serial++;
    node->reload.made = NULL;
    atomic_store(&node->reload.done, false);
    if (pthread_create(&node->reload.thread, NULL, reload_in_thread, node) != 0) {
        report_reload(node, RUNG_IO, "cannot start a thread");
        return;
    }
    node->reload.running = true;
}

/* What cannot change while the node runs is told, and stays. */
static void warn_of_fixed_options(const rung_node *node, const rung_generation *made)
{
    const rung_node_config *old = &node->desk.current->config;
    const rung_node_config *wanted = &made->config;
    const struct {
        const char *option;
        bool changed;
    } fixed[] = {
        {"id", strcmp(old->id, wanted->id) != 0},
        {"listen", strcmp(old->listen_address, wanted->listen_address) != 0 || old->listen_port != wanted->listen_port},
        {"threads", node->desk.current->cascade->threads != made->cascade->threads},
        {"threads_per_text", node->desk.current->cascade->threads_per_text != made->cascade->threads_per_text},
        {"limits.body", old->max_body_bytes != wanted->max_body_bytes},
        {"limits.connections", old->max_connections != wanted->max_connections},
        {"limits.connections_per_client", old->max_connections_per_client != wanted->max_connections_per_client},
        {"limits.requests_per_client", old->max_requests_per_client != wanted->max_requests_per_client},
        {"log.level", old->log_level != wanted->log_level},
        {"log.format", old->log_json != wanted->log_json},
    };
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (fixed[i].changed) {
            rung_log_line(node->log, RUNG_LOG_WARN, "needs a restart to change",
                          RUNG_LOG_TEXT("option", fixed[i].option));
        }
    }
}

static void end_reload(rung_node *node)
{
    reload *self = &node->reload;
    if (!self->running || !atomic_load_explicit(&self->done, memory_order_acquire)) {
        return;
    }
    pthread_join(self->thread, NULL);
    self->running = false;
    if (self->status == RUNG_OK) {
        self->status = rung_generation_connect(self->made, node->loop, node->options.seed, node->log, &self->error);
    }
    if (self->status == RUNG_OK) {
        warn_of_fixed_options(node, self->made);
        replace_generation(node, self->made);
    } else {
        rung_generation_free(self->made);
    }
    self->made = NULL;
    report_reload(node, self->status, self->error.message);
}

/* Ends the loop when all that was accepted is answered and the answers have left, or when the time is over. */
static void look_drained(rung_timer *timer)
{
    rung_node *node = timer->context;
    double now_s = rung_clock_s();
    bool busy = node->desk.num_tickets > 0 || rung_http_num_unsent(node->http) > 0;
    if (!busy || now_s >= node->drain_until_s ||
        rung_loop_arm(node->loop, timer, now_s + DRAIN_LOOK_S, NULL) != RUNG_OK) {
        node->drain_failed = busy;
        rung_loop_stop(node->loop);
    }
}

static void start_drain(rung_node *node)
{
    node->desk.draining = true;
    rung_log_line(node->log, RUNG_LOG_INFO, "draining",
                  RUNG_LOG_INTEGER("requests", (long long)node->desk.num_tickets));
    rung_http_drain(node->http);
    node->drain_until_s = rung_clock_s() + node->desk.current->config.drain_s;
    look_drained(&node->drain_timer);
}

static void woken(void *context)
{
    rung_node *node = context;
    rung_desk_collect(&node->desk);
    end_reload(node);
    if (atomic_load(&node->reload_wanted) && !node->desk.draining) {
        start_reload(node);
    }
    if (atomic_load(&node->drain_wanted) && !node->desk.draining) {
        start_drain(node);
    }
    sweep_generations(node);
}

static void wake(void *context)
{
    rung_node *node = context;
    rung_loop_wake(node->loop);
}

static void take_request(void *context, rung_exchange *exchange)
{
    const rung_node *node = context;
    rung_routes_take(&node->site, exchange);
}

/* What the HTTP server refuses has the form of the API that was asked. */
static void write_refusal(void *context, const rung_exchange *exchange, unsigned status, const char *message,
                          rung_buffer *headers, rung_buffer *body)
{
    rung_node *node = context;
    char id[RUNG_REQUEST_ID_BYTES];
    rung_desk_request_id(&node->desk, exchange, id);
    rung_buffer_format(headers, "x-request-id: %s\r\n", id);
    rung_routes_api(exchange != NULL ? rung_exchange_path(exchange) : "")
        ->error(body, rung_fault_of_http(status), status, message);
}

static void client_gone(void *context, rung_exchange *exchange)
{
    (void)context;
    rung_ticket *ticket = rung_exchange_user(exchange);
    if (ticket != NULL) {
        rung_ticket_abandon(ticket);
    }
}

static void count_refusal(void *context, unsigned status)
{
    rung_node *node = context;
    rung_metrics_response(node->metrics, status);
}

static rung_status listen_on(rung_node *node, rung_error *error)
{
    const rung_node_config *config = &node->desk.current->config;
    const rung_http_options options = {.address = config->listen_address,
                                       .port = config->listen_port,
                                       .max_body_bytes = config->max_body_bytes,
                                       .max_header_bytes = 8192,
                                       .max_connections = config->max_connections,
                                       .max_connections_per_client = config->max_connections_per_client,
                                       .receive_timeout_s = 10,
                                       .idle_timeout_s = 60};
    const rung_http_handler handler = {.context = node,
                                       .request = take_request,
                                       .gone = client_gone,
                                       .refused = count_refusal,
                                       .refusal = write_refusal};
    rung_status status = rung_http_create(node->loop, &options, &handler, &node->http, error);
    if (status == RUNG_OK) {
        node->site = (rung_site){.desk = &node->desk, .http = node->http};
        bool is_v6 = strchr(config->listen_address, ':') != NULL;
        snprintf(node->url, sizeof node->url, is_v6 ? "http://[%s]:%u" : "http://%s:%u", config->listen_address,
                 rung_http_port(node->http));
    }
    return status;
}

static void choose_id(rung_node *node)
{
    const rung_generation *generation = node->desk.current;
    if (generation->config.id[0] != '\0') {
        snprintf(node->id, sizeof node->id, "%s", generation->config.id);
        return;
    }
    rung_prng prng = {node->options.seed};
    snprintf(node->id, sizeof node->id, "%.32s-%08x", rung_generation_name(generation),
             (unsigned)(rung_prng_next(&prng) >> 32));
}

static rung_status start_parts(rung_node *node, rung_node_config *config, rung_error *error)
{
    rung_desk *desk = &node->desk;
    rung_status status = rung_generation_open(config, &node->options.open, ++node->last_serial, &desk->current, error);
    if (status == RUNG_OK) {
        status = rung_loop_create(&node->loop, error);
    }
    if (status == RUNG_OK) {
        const rung_log_options log = {.write = node->options.log,
                                      .context = node->options.context,
                                      .level = desk->current->config.log_level,
                                      .json = desk->current->config.log_json};
        status = rung_log_create(&log, &node->log, error);
    }
    if (status == RUNG_OK) {
        status = rung_metrics_create(desk->current->cascade, desk->current->config.level, &node->metrics, error);
    }
    if (status == RUNG_OK) {
        status = rung_quota_create(desk->current->config.max_requests_per_client, &desk->quota, error);
    }
    if (status == RUNG_OK) {
        rung_metrics_expect(node->metrics, rung_generation_expected_share(desk->current));
        status = rung_generation_connect(desk->current, node->loop, node->options.seed, node->log, error);
    }
    if (status == RUNG_OK) {
        const rung_cascade *cascade = desk->current->cascade;
        status = rung_workers_create(cascade->threads, cascade->threads_per_text > 0 ? cascade->threads_per_text : 1,
                                     wake, node, &desk->workers, error);
    }
    return status;
}

rung_status rung_node_create(rung_node_config *config, const rung_node_options *options, rung_node **node,
                             rung_error *error)
{
    rung_node *made = rung_alloc(1, sizeof *made, "node", error);
    if (made == NULL) {
        rung_node_config_deinit(config);
        return RUNG_NO_MEMORY;
    }
    made->options = *options;
    made->drain_timer = (rung_timer){.fire = look_drained, .context = made};
    rung_status status = start_parts(made, config, error);
    if (status == RUNG_OK) {
        rung_workers_renew(made->desk.workers, made->desk.current);
        choose_id(made);
        made->desk.loop = made->loop;
        made->desk.log = made->log;
        made->desk.metrics = made->metrics;
        made->desk.node_id = made->id;
        made->desk.jitter = options->seed;
        made->desk.id_seed = options->seed;
        rung_loop_on_wake(made->loop, woken, made);
        status = listen_on(made, error);
    }
    if (status != RUNG_OK) {
        rung_node_free(made);
        return status;
    }
    *node = made;
    return RUNG_OK;
}

void rung_node_free(rung_node *node)
{
    if (node == NULL) {
        return;
    }
    if (node->reload.running) {
        pthread_join(node->reload.thread, NULL);
        rung_generation_free(node->reload.made);
    }
    rung_workers_free(node->desk.workers);
    rung_http_free(node->http);
    rung_desk_clear(&node->desk);
    rung_generation_free(node->desk.current);
    while (node->replaced != NULL) {
        rung_generation *next = node->replaced->next;
        rung_generation_free(node->replaced);
        node->replaced = next;
    }
    rung_metrics_free(node->metrics);
    rung_quota_free(node->desk.quota);
    rung_log_free(node->log);
    rung_loop_free(node->loop);
    free(node);
}

const char *rung_node_url(const rung_node *node)
{
    return node->url;
}

rung_status rung_node_run(rung_node *node, rung_error *error)
{
    rung_log_line(node->log, RUNG_LOG_INFO, "serving", RUNG_LOG_TEXT("url", node->url), RUNG_LOG_TEXT("id", node->id),
                  RUNG_LOG_INTEGER("level", node->desk.current->config.level));
    (void)rung_schedule_short_slices(); /* refusals do not wait for a batch that is computed on the same core */
    rung_loop_wake(node->loop);         /* what was wanted before the loop ran */
    rung_status status = rung_loop_run(node->loop, error);
    if (status == RUNG_OK && node->drain_failed) {
        status = rung_fail(error, RUNG_IO, "%zu requests were not finished within drain: %g s", node->desk.num_tickets,
                           node->desk.current->config.drain_s);
    }
    rung_log_line(node->log, RUNG_LOG_INFO, "stopped", RUNG_LOG_TEXT("id", node->id));
    return status;
}

void rung_node_drain(rung_node *node)
{
    atomic_store(&node->drain_wanted, true);
    rung_loop_wake(node->loop);
}

void rung_node_reload(rung_node *node)
{
    atomic_store(&node->reload_wanted, true);
    rung_loop_wake(node->loop);
}
