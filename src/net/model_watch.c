/* model_watch.c: see model_watch.h. */
#include "net/model_watch.h"

#include "base/clock.h"
#include "base/memory.h"
#include "net/transfers.h"
#include "net/upstream_options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BODY_BYTES ((size_t)256 << 10)
#define TIMEOUT_MS 5000L
#define MAX_IDLE_CONNECTIONS 4

/* One address. */
typedef struct looker {
    rung_model_watch *watch;
    char *url;
    rung_timer timer;
    rung_transfer transfer; /* easy NULL: it does not look now */
    rung_buffer body;
    char cause[CURL_ERROR_SIZE];
} looker;

struct rung_model_watch {
    rung_loop *loop;
    rung_transfers *transfers;
    const rung_protocol *protocol;
    char *ca_file;
    struct curl_slist *authorization;
    double every_s;
    void (*seen)(void *context, size_t address, const rung_model_identity *identity, const char *why);
    void *context;
    size_t num_lookers;
    looker lookers[RUNG_MAX_ADDRESSES];
};

static size_t index_of(const looker *self)
{
    return (size_t)(self - self->watch->lookers);
}

static size_t take_body(char *data, size_t one, size_t count, void *context)
{
    looker *self = context;
    size_t bytes = one * count;
    if (bytes > MAX_BODY_BYTES - self->body.length) {
        return 0;
    }
    rung_buffer_append(&self->body, data, bytes);
    return self->body.failed ? 0 : bytes;
}

static void tell_failure(const looker *self, const char *what)
{
    char why[512];
    snprintf(why, sizeof why, "%.200s: %.300s", self->url, what);
    for (char *c = why; *c != '\0'; c++) {
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c;
    }
    self->watch->seen(self->watch->context, index_of(self), NULL, why);
}

/* Without memory for the timer the next look is the one that is told to. */
static void look_later(looker *self)
{
    const rung_model_watch *watch = self->watch;
    if (isfinite(watch->every_s)) {
        (void)!rung_loop_arm(watch->loop, &self->timer, rung_clock_s() + watch->every_s, NULL);
    }
}

static void ended(rung_transfer *transfer, CURLcode code)
{
    looker *self = transfer->context;
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(transfer->easy);
    transfer->easy = NULL;
    look_later(self);
    rung_model_identity identity = {0};
    rung_error error = {.code = RUNG_OK};
    char text[64];
    if (code != CURLE_OK) {
        tell_failure(self, self->cause[0] != '\0' ? self->cause : curl_easy_strerror(code));
    } else if (status != 200) {
        snprintf(text, sizeof text, "status %ld", status);
        tell_failure(self, text);
    } else if (rung_protocol_identify(self->watch->protocol, self->body.data, self->body.length, &identity, &error) !=
               RUNG_OK) {
        tell_failure(self, error.message);
    } else {
        self->watch->seen(self->watch->context, index_of(self), &identity, "");
    }
    rung_model_identity_deinit(&identity);
}

static bool begin(looker *self)
{
    const rung_model_watch *watch = self->watch;
    CURL *easy = rung_upstream_make_easy(self->url, watch->ca_file);
    if (easy == NULL) {
        return false;
    }
    self->cause[0] = '\0';
    rung_buffer_clear(&self->body);
    rung_buffer_append(&self->body, "", 0); /* an empty body is a string, too */
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, watch->authorization);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, self);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, self->cause);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    self->transfer.easy = easy;
    if (rung_transfers_start(watch->transfers, &self->transfer, NULL) != RUNG_OK) {
        curl_easy_cleanup(easy);
        self->transfer.easy = NULL;
        return false;
    }
    return true;
}

static void look_now(rung_timer *timer)
{
    looker *self = timer->context;
    if (self->transfer.easy == NULL && !begin(self)) {
        look_later(self);
        tell_failure(self, "out of memory");
    }
}

void rung_model_watch_look(rung_model_watch *watch, size_t address)
{
    looker *self = &watch->lookers[address];
    if (self->transfer.easy == NULL) {
        (void)!rung_loop_arm(watch->loop, &self->timer, rung_clock_s(), NULL);
    }
}

static rung_status add_looker(rung_model_watch *watch, const char *address, const char *path, rung_error *error)
{
    looker *self = &watch->lookers[watch->num_lookers++];
    self->watch = watch;
    self->timer = (rung_timer){.fire = look_now, .context = self};
    self->transfer = (rung_transfer){.ended = ended, .context = self};
    rung_status status = rung_upstream_join(address, path, &self->url, error);
    return status == RUNG_OK ? rung_loop_arm(watch->loop, &self->timer, rung_clock_s(), error) : status;
}

static rung_status fill(rung_model_watch *watch, const rung_model_watch_options *options, rung_error *error)
{
    rung_protocol_paths paths;
    options->protocol->paths(options->remote, &paths);
    rung_status status = rung_transfers_create(watch->loop, MAX_IDLE_CONNECTIONS, &watch->transfers, error);
    if (status == RUNG_OK && options->ca_file != NULL) {
        watch->ca_file = rung_copy_text(options->ca_file, strlen(options->ca_file), "CA file", error);
        status = watch->ca_file == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    }
    if (status == RUNG_OK) {
        status = rung_upstream_authorize(options->token, &watch->authorization, error);
    }
    for (size_t i = 0; status == RUNG_OK && i < options->num_addresses; i++) {
        status = add_looker(watch, options->addresses[i], paths.identity, error);
    }
    return status;
}

rung_status rung_model_watch_create(rung_loop *loop, const rung_model_watch_options *options, rung_model_watch **watch,
                                    rung_error *error)
{
    if (options->num_addresses < 1 || options->num_addresses > RUNG_MAX_ADDRESSES) {
        return rung_fail(error, RUNG_LIMIT, "upstream: %zu addresses; there may be 1 to %d", options->num_addresses,
                         RUNG_MAX_ADDRESSES);
    }
    rung_model_watch *made = rung_alloc(1, sizeof *made, "watch of the next level's model", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->loop = loop;
    made->protocol = options->protocol;
    made->every_s = options->every_s;
    made->seen = options->seen;
    made->context = options->context;
    rung_status status = fill(made, options, error);
    if (status != RUNG_OK) {
        rung_model_watch_free(made);
        return status;
    }
    *watch = made;
    return RUNG_OK;
}

void rung_model_watch_free(rung_model_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    for (size_t i = 0; i < watch->num_lookers; i++) {
        looker *self = &watch->lookers[i];
        rung_loop_disarm(watch->loop, &self->timer);
        if (self->transfer.easy != NULL) {
            rung_transfers_stop(watch->transfers, &self->transfer);
            curl_easy_cleanup(self->transfer.easy);
        }
        rung_buffer_deinit(&self->body);
        free(self->url);
    }
    rung_transfers_free(watch->transfers);
    curl_slist_free_all(watch->authorization);
    free(watch->ca_file);
    free(watch);
}
