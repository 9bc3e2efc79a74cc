/* generation.c: a configuration made ready to serve. See generation.h. */
#include "serve/generation.h"

#include "base/memory.h"
#include "config/address.h"
#include "config/suggest.h"
#include "net/upstream_options.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The configured policy, and every other that can be used with this cascade. */
static rung_status list_policies(rung_generation *generation, rung_error *error)
{
    const rung_cascade *cascade = generation->cascade;
    size_t count;
    const char *const *names = rung_policy_names(&count);
    generation->policies[0] = cascade->policy;
    generation->num_policies = 1;
    for (size_t i = 0; i < count && generation->num_policies < RUNG_MAX_POLICIES; i++) {
        rung_policy *next = &generation->policies[generation->num_policies];
        if (strcmp(names[i], cascade->policy.name) == 0) {
            continue;
        }
        rung_status status = rung_cascade_named_policy(cascade, names[i], next, error);
        if (status == RUNG_NO_MEMORY) {
            return status;
        }
        generation->num_policies += status == RUNG_OK;
    }
    return RUNG_OK;
}

static rung_status fail_flag(const rung_cascade *cascade, const char *origin, const char *name, rung_error *error)
{
    rung_buffer known = {0};
    char shown[RUNG_QUOTED_BYTES];
    for (uint32_t c = 0; c < cascade->num_classes; c++) {
        rung_buffer_format(&known, "%s%s", c > 0 ? ", " : "", cascade->labels[c]);
    }
    rung_status status = rung_fail(error, RUNG_INVALID, "%s: moderation.flagged: '%s' is none of the labels %s", origin,
                                   rung_shorten(name, strlen(name), shown), known.failed ? "" : known.data);
    rung_buffer_deinit(&known);
    return status;
}

static rung_status set_flag(rung_generation *generation, const char *origin, const char *name, rung_error *error)
{
    const rung_cascade *cascade = generation->cascade;
    for (uint32_t c = 0; c < cascade->num_classes; c++) {
        if (strcmp(cascade->labels[c], name) == 0) {
            generation->flags[c] = true;
            return RUNG_OK;
        }
    }
    return fail_flag(cascade, origin, name, error);
}

/* The labels that are configured; otherwise all where a text may have several, and all but the first where it has one. */
static rung_status list_flags(rung_generation *generation, rung_error *error)
{
    const rung_cascade *cascade = generation->cascade;
    const rung_option_value *value = rung_options_value(cascade->config.options, RUNG_OPTION_MODERATION_FLAGGED);
    generation->flags = rung_alloc(cascade->num_classes, sizeof *generation->flags, "labels", error);
    if (generation->flags == NULL) {
        return RUNG_NO_MEMORY;
    }
    if (value->source < RUNG_SOURCE_FILE) {
        for (uint32_t c = rung_cascade_is_multi_label(cascade) ? 0 : 1; c < cascade->num_classes; c++) {
            generation->flags[c] = true;
        }
        return RUNG_OK;
    }
    char *names = rung_copy_text(value->text, strlen(value->text), "moderation.flagged", error);
    rung_status status = names == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (char *rest = names; status == RUNG_OK && rest != NULL;) {
        status = set_flag(generation, value->origin, rung_take_url(&rest), error);
    }
    free(names);
    return status;
}

static void write_text(const void *context, const rung_payload *payload, rung_buffer *body)
{
    const rung_generation *generation = context;
    generation->protocol->write(&generation->config.remote, payload, body);
}

const rung_text_writer *rung_generation_writer(const rung_generation *generation)
{
    return generation->is_foreign ? &generation->writer : NULL;
}

/* The labels of the level above in the order of its probabilities: the cascade's labels, each once. */
static rung_status take_columns(rung_generation *generation, const rung_calibration_level *above, rung_error *error)
{
    const rung_cascade *cascade = generation->cascade;
    const rung_remote *fitted = &above->remote;
    if (fitted->num_labels == 0) {
        return RUNG_OK;
    }
    size_t known = 0;
    for (uint32_t c = 0; c < cascade->num_classes; c++) {
        for (size_t i = 0; i < fitted->num_labels; i++) {
            known += strcmp(cascade->labels[c], fitted->labels[i]) == 0;
        }
    }
    if (known != cascade->num_classes || fitted->num_labels != cascade->num_classes) {
        return rung_fail(error, RUNG_MISMATCH,
                         "%s: the labels of remote level %s are not the %u of the models; run rung fit again",
                         cascade->calibration_file.path, above->name, cascade->num_classes);
    }
    generation->columns = rung_alloc(fitted->num_labels, sizeof *generation->columns, "labels", error);
    if (generation->columns == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < fitted->num_labels; i++) {
        generation->columns[i] = fitted->labels[i];
    }
    return RUNG_OK;
}

/* How the level above is asked, which is as it was when it was fitted. */
static rung_status take_protocol(rung_generation *generation, rung_error *error)
{
    const rung_node_config *config = &generation->config;
    const rung_cascade *cascade = generation->cascade;
    generation->protocol = rung_protocol_of(config->remote.protocol);
    if (config->num_upstreams == 0) {
        return RUNG_OK;
    }
    const rung_calibration_level *above = &cascade->calibration_file.levels[config->level];
    rung_protocol_id fitted = above->is_remote ? above->remote.protocol : RUNG_PROTOCOL_RUNG;
    if (config->remote.protocol != fitted) {
        return rung_fail(error, RUNG_MISMATCH,
                         "upstream.protocol is %s, but %s was fitted with level %u (%s) as %s; run rung fit with the "
                         "level as it is",
                         rung_protocol_name(config->remote.protocol), cascade->calibration_file.path, config->level + 1,
                         above->name, above->is_remote ? rung_protocol_name(fitted) : "a model of rung's own");
    }
    if (fitted == RUNG_PROTOCOL_RUNG) {
        return RUNG_OK;
    }
    if (rung_cascade_is_multi_label(cascade)) {
        return rung_fail(error, RUNG_UNSUPPORTED,
                         "upstream.protocol %s: a level of another server has one label a text, and these models have "
                         "several",
                         rung_protocol_name(fitted));
    }
    generation->is_foreign = true;
    generation->writer = (rung_text_writer){.write = write_text, .context = generation};
    rung_status status = take_columns(generation, above, error);
    generation->reader = (rung_remote_reader){.num_classes = cascade->num_classes,
                                              .labels = cascade->labels,
                                              .columns = generation->columns,
                                              .names = &cascade->config};
    return status;
}

rung_status rung_generation_open(rung_node_config *config, const rung_open_options *options, uint64_t serial,
                                 rung_generation **generation, rung_error *error)
{
    rung_generation *made = rung_alloc(1, sizeof *made, "node", error);
    if (made == NULL) {
        rung_node_config_deinit(config);
        return RUNG_NO_MEMORY;
    }
    made->config = *config;
    *config = (rung_node_config){0};
    made->serial = serial;
    atomic_init(&made->users, 1);
    rung_status status =
        rung_cascade_open_level(&made->config.cascade, made->config.level, options, &made->cascade, error);
    if (status == RUNG_OK) {
        status = list_policies(made, error);
    }
    if (status == RUNG_OK) {
        status = list_flags(made, error);
    }
    if (status == RUNG_OK) {
        status = take_protocol(made, error);
    }
    if (status != RUNG_OK) {
        rung_generation_free(made);
        return status;
    }
    *generation = made;
    return RUNG_OK;
}

/* Another model than was fitted with: told once, and again when it is the right one. Calls go on. */
static void model_seen(void *context, size_t address, const rung_model_identity *identity, const char *why)
{
    rung_generation *generation = context;
    const rung_calibration_level *above = &generation->cascade->calibration_file.levels[generation->config.level];
    const char *name = generation->config.upstreams[address];
    uint32_t bit = UINT32_C(1) << address;
    if (identity == NULL) {
        rung_log_line(generation->log, RUNG_LOG_DEBUG, "model of the next level unknown", RUNG_LOG_TEXT("detail", why));
        return;
    }
    bool differs = strcmp(identity->sha256, above->model_sha256) != 0;
    if (differs && (generation->changed & bit) == 0) {
        rung_log_line(generation->log, RUNG_LOG_WARN, "model of the next level changed", RUNG_LOG_TEXT("address", name),
                      RUNG_LOG_TEXT("model", identity->text), RUNG_LOG_TEXT("fitted", above->identity));
    } else if (!differs && (generation->changed & bit) != 0) {
        rung_log_line(generation->log, RUNG_LOG_INFO, "model of the next level is as fitted",
                      RUNG_LOG_TEXT("address", name), RUNG_LOG_TEXT("model", identity->text));
    }
    generation->changed = differs ? generation->changed | bit : generation->changed & ~bit;
}

static void came_back(void *context, size_t address)
{
    rung_generation *generation = context;
    if (generation->watch != NULL) {
        rung_model_watch_look(generation->watch, address);
    }
}

static rung_status watch_model(rung_generation *generation, rung_loop *loop, const char *token, rung_error *error)
{
    const rung_node_config *config = &generation->config;
    const rung_model_watch_options options = {.addresses = (const char *const *)config->upstreams,
                                              .num_addresses = config->num_upstreams,
                                              .protocol = generation->protocol,
                                              .remote = &config->remote,
                                              .ca_file = config->upstream_ca_file,
                                              .token = token,
                                              .every_s = RUNG_MODEL_WATCH_S,
                                              .seen = model_seen,
                                              .context = generation};
    return rung_model_watch_create(loop, &options, &generation->watch, error);
}

rung_status rung_generation_connect(rung_generation *generation, rung_loop *loop, uint64_t seed, rung_log *log,
                                    rung_error *error)
{
    const rung_node_config *config = &generation->config;
    if (config->num_upstreams == 0) {
        return RUNG_OK;
    }
    char *token;
    rung_protocol_paths paths;
    generation->log = log;
    generation->protocol->paths(&config->remote, &paths);
    rung_status status = rung_upstream_read_token(config->upstream_token_file, &token, error);
    if (status != RUNG_OK) {
        return status;
    }
    const rung_upstream_options options = {.addresses = (const char *const *)config->upstreams,
                                           .num_addresses = config->num_upstreams,
                                           .path = paths.ask,
                                           .hedge_after_s = config->upstream_hedge_after_s,
                                           .probe_path = paths.probe,
                                           .max_reply_bytes = config->max_body_bytes,
                                           .ca_file = config->upstream_ca_file,
                                           .token = token,
                                           .link = config->has_link ? &config->link : NULL,
                                           .seed = generation->cascade->policy.seed,
                                           .backoff_seed = seed,
                                           .link_index = config->level,
                                           .came_back = came_back,
                                           .came_back_context = generation};
    status = rung_upstream_create(loop, &options, &generation->upstream, error);
    if (status == RUNG_OK && generation->is_foreign) {
        status = watch_model(generation, loop, token, error);
    }
    free(token);
    return status;
}

void rung_generation_free(rung_generation *generation)
{
    if (generation == NULL) {
        return;
    }
    rung_upstream_free(generation->upstream);
    free(generation->flags);
    rung_model_watch_free(generation->watch);
    free(generation->columns);
    rung_cascade_close(generation->cascade);
    rung_node_config_deinit(&generation->config);
    free(generation);
}

void rung_generation_use(rung_generation *generation)
{
    atomic_fetch_add_explicit(&generation->users, 1, memory_order_relaxed);
}

void rung_generation_leave(rung_generation *generation)
{
    atomic_fetch_sub_explicit(&generation->users, 1, memory_order_release);
}

const rung_policy *rung_generation_policy(const rung_generation *generation, const char *name)
{
    if (name[0] == '\0') {
        return &generation->policies[0];
    }
    for (size_t i = 0; i < generation->num_policies; i++) {
        if (strcmp(generation->policies[i].name, name) == 0) {
            return &generation->policies[i];
        }
    }
    return NULL;
}

rung_status rung_generation_find_policy(const rung_generation *generation, const char *name, rung_policy *made,
                                        const rung_policy **policy, rung_error *error)
{
    assert(generation != NULL && name != NULL);
    const rung_policy *found = rung_generation_policy(generation, name);
    if (found == NULL) {
        rung_status status = rung_cascade_named_policy(generation->cascade, name, made, error);
        if (status != RUNG_OK) {
            return status;
        }
        found = made;
    }
    *policy = found;
    return RUNG_OK;
}

const rung_model *rung_generation_model(const rung_generation *generation)
{
    return generation->cascade->level[generation->config.level - 1].model;
}

const char *rung_generation_name(const rung_generation *generation)
{
    return generation->cascade->level[generation->config.level - 1].name;
}

double rung_generation_expected_share(const rung_generation *generation)
{
    const rung_calibration_file *file = &generation->cascade->calibration_file;
    const rung_policy *policy = &generation->policies[0];
    const rung_offload_policy *offload = &policy->offload;
    uint32_t l = generation->config.level - 1;
    if (file->path == NULL || generation->config.level >= generation->cascade->num_levels) {
        return 0;
    }
    bool learned = policy->defer == RUNG_DEFER_LEARNED;
    const rung_calibration_level *level = &file->levels[l];
    bool known = learned ? level->has_deferral_threshold : level->has_threshold;
    double threshold = learned ? level->deferral_threshold : level->threshold;
    bool other_reasons = !offload->hard || offload->at_random || policy->parallel || policy->first_compute_level > 1 ||
                         policy->members != 0 || offload->speculate[l] > 0 || offload->early[l] > 0;
    if (!known || other_reasons || offload->threshold[l] != threshold) {
        return 0;
    }
    double reaching = 1;
    for (uint32_t below = 0; below < l; below++) {
        reaching -= learned ? file->levels[below].deferral_answered : file->levels[below].answered;
    }
    double answered = learned ? level->deferral_answered : level->answered;
    return reaching > 0 ? fmin(answered / reaching, 1) : 0;
}
