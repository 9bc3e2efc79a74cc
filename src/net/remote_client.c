/* remote_client.c: see remote_client.h. */
#include "net/remote_client.h"

#include "base/clock.h"
#include "base/memory.h"
#include "config/address.h"
#include "net/model_watch.h"
#include "net/upstream.h"
#include "net/upstream_options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_PAUSE_S 0.05
#define MAX_DOUBLINGS 5
#define MAX_REPLY_BYTES ((size_t)4 << 20)

/* One of the calls in flight. */
typedef struct slot {
    rung_remote_client *client;
    size_t text; /* index */
    bool busy;   /* with it: it is asked, or waits to be asked again */
    double until_s;
    unsigned pauses;      /* that it has waited so far */
    rung_timer pause;     /* since its server had too much to do */
    char overloaded[256]; /* what that said last */
} slot;

struct rung_remote_client {
    rung_remote_client_options options;
    const rung_protocol *protocol;
    rung_loop *loop;
    rung_upstream *upstream;
    rung_model_identity identity;
    rung_status status; /* of what runs now */
    rung_error error;
    /* While the models are looked at. */
    size_t num_seen;
    /* While texts are asked. */
    const rung_payload *texts;
    const size_t *position;
    size_t count, next, num_done;
    size_t limit; /* texts in flight: fewer for a server that says that it has too much to do */
    const rung_progress *progress;
    float *logits;
    double *probabilities; /* [num_classes] of one reply */
    rung_buffer body;
    slot slots[RUNG_REMOTE_IN_FLIGHT];
};

static void fill_slots(rung_remote_client *client);
static void pause_over(rung_timer *timer);

/* Kept when it is the first. */
static void fail_with(rung_remote_client *client, const rung_error *error)
{
    if (client->status == RUNG_OK) {
        client->status = error->code;
        client->error = *error;
    }
    rung_loop_stop(client->loop);
}

static void take_identity(rung_remote_client *client, size_t address, const rung_model_identity *identity)
{
    const rung_remote_server *server = client->options.server;
    rung_error error = {.code = RUNG_OK};
    if (client->identity.text == NULL) {
        client->identity.text = rung_copy_text(identity->text, strlen(identity->text), "model", &error);
        memcpy(client->identity.sha256, identity->sha256, sizeof client->identity.sha256);
    } else if (strcmp(client->identity.sha256, identity->sha256) != 0) {
        (void)!rung_fail(&error, RUNG_MISMATCH,
                         "level %s: %.200s has another model than the addresses before it: %.200s",
                         client->options.name, server->addresses[address], identity->text);
    }
    if (error.code != RUNG_OK) {
        fail_with(client, &error);
    }
}

static void model_seen(void *context, size_t address, const rung_model_identity *identity, const char *why)
{
    rung_remote_client *client = context;
    if (identity != NULL) {
        take_identity(client, address, identity);
    } else {
        rung_error error;
        (void)!rung_fail(&error, RUNG_IO, "level %s: its server does not say what model it has: %.400s",
                         client->options.name, why);
        fail_with(client, &error);
    }
    if (++client->num_seen == client->options.server->num_addresses) {
        rung_loop_stop(client->loop);
    }
}

static rung_status run(rung_remote_client *client, rung_error *error)
{
    rung_status status = rung_loop_run(client->loop, error);
    if (status == RUNG_OK && client->status != RUNG_OK) {
        return rung_fail(error, client->status, "%s", client->error.message);
    }
    return status;
}

static rung_status identify(rung_remote_client *client, const char *token, rung_error *error)
{
    const rung_remote_server *server = client->options.server;
    const rung_model_watch_options options = {.addresses = (const char *const *)server->addresses,
                                              .num_addresses = server->num_addresses,
                                              .protocol = client->protocol,
                                              .remote = &server->remote,
                                              .ca_file = server->ca_file,
                                              .token = token,
                                              .every_s = INFINITY,
                                              .seen = model_seen,
                                              .context = client};
    rung_model_watch *watch = NULL;
    rung_status status = rung_model_watch_create(client->loop, &options, &watch, error);
    if (status == RUNG_OK) {
        status = run(client, error);
    }
    rung_model_watch_free(watch);
    return status;
}

static rung_status connect_upstream(rung_remote_client *client, const char *token, rung_error *error)
{
    const rung_remote_server *server = client->options.server;
    rung_protocol_paths paths;
    client->protocol->paths(&server->remote, &paths);
    const rung_upstream_options options = {.addresses = (const char *const *)server->addresses,
                                           .num_addresses = server->num_addresses,
                                           .path = paths.ask,
                                           .probe_path = paths.probe,
                                           .max_reply_bytes = MAX_REPLY_BYTES,
                                           .ca_file = server->ca_file,
                                           .token = token};
    return rung_upstream_create(client->loop, &options, &client->upstream, error);
}

/* A token goes to this machine or through TLS. */
static rung_status check_token(const rung_remote_server *server, rung_error *error)
{
    for (size_t i = 0; server->token_file != NULL && i < server->num_addresses; i++) {
        rung_url url;
        rung_status status = rung_parse_url(server->addresses[i], &url, error);
        if (status != RUNG_OK) {
            return status;
        }
        if (!url.https && !url.at.is_loopback) {
            return rung_fail(error, RUNG_INVALID,
                             "levels[].remote.token_file: the token would go to %.200s unencrypted; use https",
                             server->addresses[i]);
        }
    }
    return RUNG_OK;
}

static rung_status open_parts(rung_remote_client *client, rung_error *error)
{
    char *token = NULL;
    rung_status status = check_token(client->options.server, error);
    if (status == RUNG_OK) {
        client->probabilities =
            rung_alloc(client->options.reader.num_classes, sizeof *client->probabilities, "reply", error);
        status = client->probabilities == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    }
    if (status == RUNG_OK) {
        status = rung_upstream_read_token(client->options.server->token_file, &token, error);
    }
    if (status == RUNG_OK) {
        status = rung_loop_create(&client->loop, error);
    }
    if (status == RUNG_OK) {
        status = identify(client, token, error);
    }
    if (status == RUNG_OK) {
        status = connect_upstream(client, token, error);
    }
    free(token);
    return status;
}

rung_status rung_remote_client_open(const rung_remote_client_options *options, rung_remote_client **client,
                                    rung_error *error)
{
    rung_remote_client *made = rung_alloc(1, sizeof *made, "client of a remote level", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->options = *options;
    made->options.deadline_s = options->deadline_s > 0 ? options->deadline_s : RUNG_REMOTE_FIT_DEADLINE_S;
    made->protocol = rung_protocol_of(options->server->remote.protocol);
    for (size_t i = 0; i < RUNG_REMOTE_IN_FLIGHT; i++) {
        made->slots[i].client = made;
        made->slots[i].pause = (rung_timer){.fire = pause_over, .context = &made->slots[i]};
    }
    rung_status status = open_parts(made, error);
    if (status != RUNG_OK) {
        rung_remote_client_close(made);
        return status;
    }
    *client = made;
    return RUNG_OK;
}

void rung_remote_client_close(rung_remote_client *client)
{
    if (client == NULL) {
        return;
    }
    rung_upstream_free(client->upstream);
    rung_loop_free(client->loop);
    rung_model_identity_deinit(&client->identity);
    rung_buffer_deinit(&client->body);
    free(client->probabilities);
    free(client);
}

const rung_model_identity *rung_remote_client_identity(const rung_remote_client *client)
{
    return &client->identity;
}

static size_t position_of(const rung_remote_client *client, size_t text)
{
    return client->position != NULL ? client->position[text] : text;
}

/* What ended a call without a reply; of one that nobody may be asked for any more, what was said before. */
static void fail_call(const slot *self, const rung_call_result *result)
{
    rung_remote_client *client = self->client;
    rung_error error = {.code = RUNG_OK};
    (void)!rung_fail(&error, RUNG_IO, "input %zu: level %s: %.400s", position_of(client, self->text),
                     client->options.name,
                     result->refused && self->overloaded[0] != '\0' ? self->overloaded : result->detail);
    fail_with(client, &error);
}

/* A server that has too much to do is given time, and fewer texts at once. False when that was long enough. */
static bool ask_later(slot *self, const rung_call_result *result)
{
    rung_remote_client *client = self->client;
    unsigned doublings = self->pauses < MAX_DOUBLINGS ? self->pauses : MAX_DOUBLINGS;
    double at_s = rung_clock_s() + FIRST_PAUSE_S * (double)(1u << doublings);
    if (!result->refused) {
        snprintf(self->overloaded, sizeof self->overloaded, "%s", result->detail);
        client->limit -= client->limit > 1 ? 1 : 0;
    }
    self->pauses++;
    self->busy = at_s < self->until_s && rung_loop_arm(client->loop, &self->pause, at_s, NULL) == RUNG_OK;
    return self->busy;
}

static void take_reply(rung_remote_client *client, size_t text, const rung_call_result *result)
{
    rung_error error = {.code = RUNG_OK};
    const rung_remote_reader *reader = &client->options.reader;
    if (client->protocol->parse(result->body, result->body_bytes, reader, client->probabilities, &error) != RUNG_OK) {
        /* The detail of a reply begins with the address that gave it. */
        size_t address = strcspn(result->detail, " ");
        (void)!rung_fail_in(&error, "input %zu: level %s: %.*s bad reply", position_of(client, text),
                            client->options.name, (int)address, result->detail);
        fail_with(client, &error);
        return;
    }
    rung_remote_logits(client->probabilities, reader->num_classes, client->logits + text * reader->num_classes);
    client->num_done++;
    rung_progress_report(client->progress, client->options.name, client->num_done, client->count);
}

static void done(void *context, const rung_call_result *result)
{
    slot *self = context;
    rung_remote_client *client = self->client;
    self->busy = false;
    if (client->status != RUNG_OK) {
        return; /* it has failed already */
    }
    if (result->outcome == RUNG_CALL_REPLY) {
        take_reply(client, self->text, result);
    } else if (!(result->outcome == RUNG_CALL_OVERLOADED || result->refused) || !ask_later(self, result)) {
        fail_call(self, result);
    }
    if (client->num_done == client->count) {
        rung_loop_stop(client->loop);
    } else if (client->status == RUNG_OK) {
        fill_slots(client);
    }
}

static void send_text(slot *self)
{
    rung_remote_client *client = self->client;
    rung_call *call;
    rung_error error = {.code = RUNG_OK};
    rung_buffer_clear(&client->body);
    client->protocol->write(&client->options.server->remote, &client->texts[self->text], &client->body);
    const rung_call_request request = {.body = client->body.data,
                                       .body_bytes = client->body.length,
                                       .deadline_s = self->until_s,
                                       .done = done,
                                       .context = self};
    rung_status status = rung_buffer_check(&client->body, "request", &error);
    if (status == RUNG_OK) {
        status = rung_upstream_send(client->upstream, &request, &call, &error);
    }
    self->busy = status == RUNG_OK;
    if (status != RUNG_OK) {
        fail_with(client, &error);
    }
}

static void pause_over(rung_timer *timer)
{
    slot *self = timer->context;
    send_text(self);
}

static void fill_slots(rung_remote_client *client)
{
    size_t busy = 0;
    for (size_t i = 0; i < RUNG_REMOTE_IN_FLIGHT; i++) {
        busy += client->slots[i].busy;
    }
    for (size_t i = 0; i < RUNG_REMOTE_IN_FLIGHT && busy < client->limit && client->status == RUNG_OK; i++) {
        slot *self = &client->slots[i];
        if (!self->busy && client->next < client->count) {
            self->text = client->next++;
            self->until_s = rung_clock_s() + client->options.deadline_s;
            self->pauses = 0;
            self->overloaded[0] = '\0';
            send_text(self);
            busy++;
        }
    }
}

/* Nothing is in flight any more. */
static void clear_slots(rung_remote_client *client)
{
    for (size_t i = 0; i < RUNG_REMOTE_IN_FLIGHT; i++) {
        slot *self = &client->slots[i];
        if (client->loop != NULL) {
            rung_loop_disarm(client->loop, &self->pause);
        }
        self->busy = false;
    }
}

rung_status rung_remote_client_ask(rung_remote_client *client, const rung_payload *texts, const size_t *position,
                                   size_t count, const rung_progress *progress, float *logits, rung_error *error)
{
    client->status = RUNG_OK;
    client->texts = texts;
    client->position = position;
    client->count = count;
    client->next = 0;
    client->num_done = 0;
    client->limit = RUNG_REMOTE_IN_FLIGHT;
    client->progress = progress;
    client->logits = logits;
    if (client->upstream == NULL) {
        return rung_fail(error, RUNG_IO, "level %s: it is not asked any more after a failure", client->options.name);
    }
    if (count == 0) {
        return RUNG_OK;
    }
    fill_slots(client);
    rung_status status =
        client->status == RUNG_OK ? run(client, error) : rung_fail(error, client->status, "%s", client->error.message);
    if (status != RUNG_OK) { /* what is still in flight ends */
        rung_upstream_free(client->upstream);
        client->upstream = NULL;
        clear_slots(client);
    }
    return status;
}
