/* remote_config.c: see remote_config.h. */
#include "config/remote_config.h"

#include "base/file.h"
#include "base/memory.h"
#include "config/address.h"
#include "config/suggest.h"
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_INPUT "text"

static const char *const names[] = {"rung", "tei", "v2"};

const char *rung_protocol_name(rung_protocol_id protocol)
{
    return names[protocol];
}

static void free_labels(rung_remote *remote)
{
    for (size_t i = 0; remote->labels != NULL && i < remote->num_labels; i++) {
        free(remote->labels[i]);
    }
    free(remote->labels);
    remote->labels = NULL;
    remote->num_labels = 0;
}

void rung_remote_deinit(rung_remote *remote)
{
    free_labels(remote);
    free(remote->model);
    free(remote->input);
    *remote = (rung_remote){0};
}

void rung_remote_server_deinit(rung_remote_server *server)
{
    rung_remote_deinit(&server->remote);
    for (size_t i = 0; i < server->num_addresses; i++) {
        free(server->addresses[i]);
    }
    free(server->ca_file);
    free(server->token_file);
    *server = (rung_remote_server){0};
}

static bool is_given(const rung_option_value *value)
{
    return value->source >= RUNG_SOURCE_FILE;
}

const rung_option_value *rung_remote_given(const rung_options *options, uint32_t level)
{
    for (rung_option_id id = RUNG_OPTION_LEVEL_REMOTE_PROTOCOL; id <= RUNG_OPTION_LEVEL_REMOTE_DEADLINE; id++) {
        const rung_option_value *value = rung_options_level_value(options, id, level);
        if (is_given(value)) {
            return value;
        }
    }
    return NULL;
}

rung_status rung_remote_set_labels(rung_remote *remote, const char *const *labels, size_t num_labels, rung_error *error)
{
    free_labels(remote);
    remote->labels = rung_alloc(num_labels, sizeof *remote->labels, "labels", error);
    if (remote->labels == NULL) {
        return RUNG_NO_MEMORY;
    }
    remote->num_labels = num_labels;
    for (size_t i = 0; i < num_labels; i++) {
        remote->labels[i] = rung_copy_text(labels[i], strlen(labels[i]), "label", error);
        if (remote->labels[i] == NULL) {
            return RUNG_NO_MEMORY;
        }
    }
    return RUNG_OK;
}

/* The items of "a, b" go into list [*count, room]; each is to be freed. */
static rung_status split_list(const rung_option_value *value, const char *key, size_t room, char **list, size_t *count,
                              rung_error *error)
{
    char *copy = rung_copy_text(value->text, strlen(value->text), key, error);
    rung_status status = copy == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (char *rest = copy; status == RUNG_OK && rest != NULL;) {
        const char *item = rung_take_url(&rest);
        char shown[RUNG_QUOTED_BYTES];
        if (*count == room) {
            status = rung_fail(error, RUNG_LIMIT, "%s: %s: more than %zu entries", value->origin, key, room);
        }
        for (size_t i = 0; status == RUNG_OK && i < *count; i++) {
            if (strcmp(list[i], item) == 0) {
                status = rung_fail(error, RUNG_INVALID, "%s: %s: '%s' is there twice", value->origin, key,
                                   rung_shorten(item, strlen(item), shown));
            }
        }
        if (status == RUNG_OK) {
            list[*count] = rung_copy_text(item, strlen(item), key, error);
            status = list[*count] == NULL ? RUNG_NO_MEMORY : RUNG_OK;
            *count += status == RUNG_OK;
        }
    }
    free(copy);
    return status;
}

/* A model's name is a part of a path. */
static rung_status check_model(const char *origin, const char *key, const char *name, rung_error *error)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-";
    size_t bytes = strlen(name);
    if (bytes <= RUNG_REMOTE_NAME_BYTES && strspn(name, allowed) == bytes && strcmp(name, ".") != 0 &&
        strcmp(name, "..") != 0) {
        return RUNG_OK;
    }
    char shown[RUNG_QUOTED_BYTES];
    return rung_fail(error, RUNG_INVALID,
                     "%s: %s '%s' must be at most %d letters, digits, '.', '_', '~' and '-': it is a part of the path",
                     origin, key, rung_shorten(name, bytes, shown), RUNG_REMOTE_NAME_BYTES);
}

/* The keys that only V2 has. level: 0 for those of `upstream`; where: what messages of the default name begin with. */
static rung_status fill_names(const rung_options *options, const rung_option_id ids[2], uint32_t level,
                              const char *where, const char *default_model, rung_remote *remote, rung_error *error)
{
    const rung_option_value *model = rung_options_level_value(options, ids[0], level);
    const rung_option_value *input = rung_options_level_value(options, ids[1], level);
    const rung_option_value *given = is_given(model) ? model : input;
    const char *key = rung_option_spec_of(is_given(model) ? ids[0] : ids[1])->key;
    if (remote->protocol != RUNG_PROTOCOL_V2) {
        return is_given(given)
                   ? rung_fail(error, RUNG_INVALID, "%s: %s is for protocol v2; with %s it has no effect, remove it",
                               given->origin, key, rung_protocol_name(remote->protocol))
                   : RUNG_OK;
    }
    const char *name = is_given(model) ? model->text : default_model;
    const char *origin = is_given(model) ? model->origin : where;
    const char *input_name = is_given(input) ? input->text : DEFAULT_INPUT;
    rung_status status = check_model(origin, rung_option_spec_of(ids[0])->key, name, error);
    if (status == RUNG_OK && strlen(input_name) > RUNG_REMOTE_NAME_BYTES) {
        return rung_fail(error, RUNG_LIMIT, "%s: %s has %zu bytes; the limit is %d", input->origin,
                         rung_option_spec_of(ids[1])->key, strlen(input_name), RUNG_REMOTE_NAME_BYTES);
    }
    if (status == RUNG_OK) {
        remote->model = rung_copy_text(name, strlen(name), "model", error);
        remote->input = rung_copy_text(input_name, strlen(input_name), "input", error);
        status = remote->model == NULL || remote->input == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    }
    return status;
}

rung_status rung_remote_fill(const rung_options *options, const char *name, rung_protocol_id protocol,
                             rung_remote *remote, rung_error *error)
{
    static const rung_option_id ids[2] = {RUNG_OPTION_UPSTREAM_MODEL, RUNG_OPTION_UPSTREAM_INPUT};
    const rung_option_value *given = rung_options_value(options, RUNG_OPTION_UPSTREAM_PROTOCOL);
    rung_remote made = {.protocol = is_given(given) ? (rung_protocol_id)given->choice : protocol};
    rung_status status =
        fill_names(options, ids, 0, is_given(given) ? given->origin : "upstream.protocol", name, &made, error);
    if (status != RUNG_OK) {
        rung_remote_deinit(&made);
        return status;
    }
    rung_remote_deinit(remote);
    *remote = made;
    return RUNG_OK;
}

static rung_status take_path(const rung_option_value *value, char **path, rung_error *error)
{
    if (!is_given(value)) {
        return RUNG_OK;
    }
    *path = rung_path_join(value->directory, value->text, error);
    return *path == NULL ? RUNG_NO_MEMORY : RUNG_OK;
}

static rung_status fill_labels(const rung_option_value *value, rung_remote *remote, rung_error *error)
{
    if (!is_given(value)) {
        return RUNG_OK;
    }
    if (remote->protocol != RUNG_PROTOCOL_V2) {
        return rung_fail(error, RUNG_INVALID,
                         "%s: levels[].remote.labels is for protocol v2: the replies of %s name "
                         "their labels; remove it",
                         value->origin, rung_protocol_name(remote->protocol));
    }
    remote->labels = rung_alloc(RUNG_MAX_LABELS, sizeof *remote->labels, "labels", error);
    return remote->labels == NULL ? RUNG_NO_MEMORY
                                  : split_list(value, "levels[].remote.labels", RUNG_MAX_LABELS, remote->labels,
                                               &remote->num_labels, error);
}

static rung_status fill_server(const rung_options *options, uint32_t level, const char *name,
                               rung_remote_server *server, rung_error *error)
{
    static const rung_option_id ids[2] = {RUNG_OPTION_LEVEL_REMOTE_MODEL, RUNG_OPTION_LEVEL_REMOTE_INPUT};
    const rung_option_value *protocol = rung_options_level_value(options, RUNG_OPTION_LEVEL_REMOTE_PROTOCOL, level);
    const rung_option_value *addresses = rung_options_level_value(options, RUNG_OPTION_LEVEL_REMOTE_ADDRESSES, level);
    const char *origin = rung_remote_given(options, level)->origin;
    if (!is_given(protocol) || !is_given(addresses)) {
        return rung_fail(error, RUNG_INVALID, "%s: levels.%u.remote.%s is missing; %s", origin, level + 1,
                         is_given(protocol) ? "addresses" : "protocol",
                         is_given(protocol) ? "give http://host:port" : "give tei or v2");
    }
    /* The choices here begin after "rung". */
    server->remote.protocol = (rung_protocol_id)(protocol->choice + RUNG_PROTOCOL_TEI);
    rung_status status = fill_names(options, ids, level, origin, name, &server->remote, error);
    if (status == RUNG_OK) {
        status = fill_labels(rung_options_level_value(options, RUNG_OPTION_LEVEL_REMOTE_LABELS, level), &server->remote,
                             error);
    }
    if (status == RUNG_OK) {
        status = split_list(addresses, "levels[].remote.addresses", RUNG_MAX_UPSTREAM_ADDRESSES, server->addresses,
                            &server->num_addresses, error);
    }
    if (status == RUNG_OK) {
        status = take_path(rung_options_level_value(options, RUNG_OPTION_LEVEL_REMOTE_CA_FILE, level), &server->ca_file,
                           error);
    }
    return status == RUNG_OK ? take_path(rung_options_level_value(options, RUNG_OPTION_LEVEL_REMOTE_TOKEN_FILE, level),
                                         &server->token_file, error)
                             : status;
}

rung_status rung_remote_server_fill(const rung_options *options, uint32_t level, const char *name,
                                    rung_remote_server *server, rung_error *error)
{
    rung_remote_server made = {0};
    rung_status status = fill_server(options, level, name, &made, error);
    if (status != RUNG_OK) {
        rung_remote_server_deinit(&made);
        return status;
    }
    rung_remote_server_deinit(server);
    *server = made;
    return RUNG_OK;
}
