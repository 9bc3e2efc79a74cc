/* node_config.c: options, node.yaml and calibration into one node. See node_config.h. The keys are read by option_file.c, the cascade around the node is
 * built by cascade_config.c. */
#include "config/node_config.h"

#include "base/file.h"
#include "base/memory.h"
#include "config/address.h"
#include "config/link_config.h"
#include "config/number.h"
#include "config/option_file.h"
#include "config/suggest.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ID_BYTES 64

/* One node while it is made. */
typedef struct builder {
    rung_node_config node;
    rung_options *options; /* of a node.yaml, until the cascade takes them over */
    const char *file;      /* name for messages; lent, NULL: flags only */
    const char *directory; /* NULL: other files are not read */
    rung_file_lines lines;
    rung_calibration_file calibration;
    bool has_calibration;
    rung_error *error;
} builder;

void rung_node_config_deinit(rung_node_config *config)
{
    rung_cascade_config_deinit(&config->cascade);
    free(config->id);
    free(config->listen_address);
    for (size_t i = 0; i < RUNG_MAX_UPSTREAM_ADDRESSES; i++) {
        free(config->upstreams[i]);
    }
    rung_remote_deinit(&config->remote);
    free(config->upstream_ca_file);
    free(config->upstream_token_file);
    rung_link_trace_free(config->link_trace);
    *config = (rung_node_config){0};
}

static const rung_option_value *value_of(const builder *b, rung_option_id id)
{
    return rung_options_value(b->node.cascade.options != NULL ? b->node.cascade.options : b->options, id);
}

static bool is_given(const rung_option_value *value)
{
    return value->source >= RUNG_SOURCE_FILE;
}

static const char *file_name(const builder *b)
{
    return b->file != NULL ? b->file : "node";
}

/* ---- which level ---- */

static rung_status fail_level(const builder *b, const rung_option_value *given, uint32_t num_levels,
                              const char *const *names)
{
    char shown[RUNG_QUOTED_BYTES];
    char hint[RUNG_HINT_BYTES];
    rung_suggestion suggestion = {.name = given->text};
    rung_buffer known = {0};
    for (uint32_t l = 0; l < num_levels; l++) {
        rung_buffer_format(&known, "%s%s", l > 0 ? ", " : "", names[l]);
        rung_suggest(&suggestion, names[l]);
    }
    rung_status status =
        rung_fail(b->error, RUNG_INVALID, "%s: level '%s' is not one of %s, or 1 to %u%s", given->origin,
                  rung_shorten(given->text, strlen(given->text), shown), known.failed ? "the levels" : known.data,
                  num_levels, rung_suggestion_hint(&suggestion, hint));
    rung_buffer_deinit(&known);
    return status;
}

/* By name, else by number from 1. One level alone needs no word. */
static rung_status find_level(builder *b, uint32_t num_levels, const char *const *names)
{
    const rung_option_value *given = value_of(b, RUNG_OPTION_NODE_LEVEL);
    uint64_t number;
    assert(num_levels > 0);
    if (!is_given(given)) {
        b->node.level = num_levels;
        return num_levels == 1
                   ? RUNG_OK
                   : rung_fail(b->error, RUNG_INVALID,
                               "%s: level is missing: which of the %u levels is this node? Give its name or number "
                               "(--level %s)",
                               file_name(b), num_levels, names[0]);
    }
    for (uint32_t l = 0; l < num_levels; l++) {
        if (strcmp(names[l], given->text) == 0) {
            b->node.level = l + 1;
            return RUNG_OK;
        }
    }
    if (!rung_parse_integer(given->text, &number) || number < 1 || number > num_levels) {
        return fail_level(b, given, num_levels, names);
    }
    b->node.level = (uint32_t)number;
    return RUNG_OK;
}

/* ---- the cascade around it ---- */

static rung_status copy_value(rung_options *options, rung_option_id from, rung_option_id to, uint32_t level,
                              rung_error *error)
{
    const rung_option_value *value = rung_options_value(options, from);
    if (!is_given(value)) {
        return RUNG_OK;
    }
    return rung_options_put(options, to, level, value->source, value->origin, value->directory, value->origin,
                            value->text, error);
}

/* levels[] keys are those of a cascade's file: a flag for one would be lost. */
static rung_status check_no_level_flags(const builder *b)
{
    for (rung_option_id id = RUNG_OPTION_LEVEL_NAME; rung_option_is_level(id); id++) {
        for (uint32_t level = 0; level < RUNG_MAX_LEVELS; level++) {
            const rung_option_value *value = rung_options_level_value(b->options, id, level);
            if (is_given(value)) {
                return rung_fail(b->error, RUNG_INVALID,
                                 "%s: a node's file has no levels; use --model, --speed, --memory or --upstream.link",
                                 value->origin);
            }
        }
    }
    return RUNG_OK;
}

static rung_status load_calibration(builder *b)
{
    const rung_option_value *value = value_of(b, RUNG_OPTION_CALIBRATION);
    if (!is_given(value)) {
        return RUNG_OK;
    }
    if (b->directory == NULL) {
        return rung_fail(b->error, RUNG_UNSUPPORTED, "%s: calibration: no other file is read here", value->origin);
    }
    char *path = rung_path_join(value->directory, value->text, b->error);
    rung_status status = path == NULL ? RUNG_NO_MEMORY : rung_calibration_file_load(path, &b->calibration, b->error);
    b->has_calibration = status == RUNG_OK;
    free(path);
    return status;
}

static rung_status load_policy(builder *b)
{
    const rung_yaml_node *node = b->lines.policy_file;
    if (node == NULL) {
        return RUNG_OK;
    }
    if (b->directory == NULL) {
        return rung_fail(b->error, RUNG_UNSUPPORTED, "%s:%u:%u: policy: no other file is read here", file_name(b),
                         node->line, node->column);
    }
    rung_yaml *yaml = NULL;
    char *directory = NULL;
    char *path = rung_path_join(b->directory, node->text, b->error);
    rung_status status = path == NULL ? RUNG_NO_MEMORY : rung_yaml_load(path, &yaml, b->error);
    if (status == RUNG_OK) {
        directory = rung_path_directory(path, b->error);
        status =
            directory == NULL ? RUNG_NO_MEMORY : rung_option_file_apply_policy(yaml, directory, b->options, b->error);
    } else if (path != NULL && status != RUNG_NO_MEMORY) {
        status = rung_fail_in(b->error, "%s:%u:%u: policy", file_name(b), node->line, node->column);
    }
    free(directory);
    free(path);
    rung_yaml_free(yaml);
    return status;
}

/* Without a calibration nothing is known of other levels: the node's own is the only one, and it bears the name that `level` gives. */
static rung_status name_single(builder *b)
{
    const rung_option_value *given = value_of(b, RUNG_OPTION_NODE_LEVEL);
    const rung_option_value *upstreams = value_of(b, RUNG_OPTION_UPSTREAM_ADDRESSES);
    uint64_t number;
    b->node.level = 1;
    if (is_given(upstreams)) {
        return rung_fail(b->error, RUNG_INVALID,
                         "%s: upstream.addresses needs calibration, the file that rung fit wrote for the whole "
                         "cascade: it says which levels there are",
                         upstreams->origin);
    }
    if (!is_given(given)) {
        return RUNG_OK;
    }
    if (!rung_parse_integer(given->text, &number)) {
        return rung_options_put(b->options, RUNG_OPTION_LEVEL_NAME, 0, given->source, given->origin, NULL,
                                given->origin, given->text, b->error);
    }
    return number == 1 ? RUNG_OK
                       : rung_fail(b->error, RUNG_INVALID,
                                   "%s: level is %.40s, but without calibration the node is a cascade of one level; "
                                   "name the calibration that rung fit wrote",
                                   given->origin, given->text);
}

static rung_status name_levels(builder *b)
{
    const char *names[RUNG_MAX_LEVELS];
    rung_status status = RUNG_OK;
    for (uint32_t l = 0; status == RUNG_OK && l < b->calibration.num_levels; l++) {
        const char *origin = b->calibration.path != NULL ? b->calibration.path : "calibration";
        names[l] = b->calibration.levels[l].name;
        status = rung_options_put(b->options, RUNG_OPTION_LEVEL_NAME, l, RUNG_SOURCE_CALIBRATION, origin, NULL, origin,
                                  names[l], b->error);
    }
    return status == RUNG_OK ? find_level(b, b->calibration.num_levels, names) : status;
}

static rung_status make_cascade(builder *b)
{
    const rung_option_value *model = value_of(b, RUNG_OPTION_MODEL);
    if (!is_given(model)) {
        return rung_fail(b->error, RUNG_INVALID,
                         "%s: model is missing: a node's file has model, a packed file or a Hugging Face directory; a "
                         "cascade's file has levels",
                         file_name(b));
    }
    uint32_t num_levels = b->has_calibration ? b->calibration.num_levels : 1;
    rung_status status = check_no_level_flags(b);
    if (status == RUNG_OK) {
        status = b->has_calibration ? name_levels(b) : name_single(b);
    }
    uint32_t own = b->node.level - 1;
    static const rung_option_id pairs[][2] = {{RUNG_OPTION_MODEL, RUNG_OPTION_LEVEL_MODEL},
                                              {RUNG_OPTION_NODE_SPEED, RUNG_OPTION_LEVEL_SPEED},
                                              {RUNG_OPTION_NODE_MEMORY, RUNG_OPTION_LEVEL_MEMORY}};
    for (size_t i = 0; status == RUNG_OK && i < sizeof pairs / sizeof pairs[0]; i++) {
        status = copy_value(b->options, pairs[i][0], pairs[i][1], own, b->error);
    }
    if (status == RUNG_OK && !b->has_calibration) {
        /* As with `rung classify --model`: all layers answer, unless a policy is given. */
        status = rung_options_put(b->options, RUNG_OPTION_POLICY_NAME, 0, RUNG_SOURCE_POLICY, "one level", NULL,
                                  "policy.name", "single", b->error);
    }
    if (status == RUNG_OK) {
        rung_options *options = b->options;
        b->options = NULL;
        status = rung_cascade_config_of_node(options, b->file, num_levels, b->node.level, &b->node.cascade, b->error);
    }
    return status;
}

/* ---- listen and upstream ---- */

static rung_status take_path(const rung_option_value *value, char **path, rung_error *error)
{
    if (!is_given(value)) {
        return RUNG_OK;
    }
    *path = rung_path_join(value->directory, value->text, error);
    return *path == NULL ? RUNG_NO_MEMORY : RUNG_OK;
}

static rung_status take_listen(builder *b, rung_host_port *listen)
{
    const rung_option_value *value = value_of(b, RUNG_OPTION_LISTEN);
    rung_status status = rung_parse_listen(value->text, listen, b->error);
    if (status != RUNG_OK) {
        return status; /* cannot be: the option was checked when it was read */
    }
    b->node.insecure = value_of(b, RUNG_OPTION_INSECURE)->boolean;
    if (!listen->is_loopback && !b->node.insecure) {
        return rung_fail(b->error, RUNG_INVALID,
                         "%s: listen: other machines can reach %s, and this version has no TLS; listen on 127.0.0.1 "
                         "behind a proxy that has, or say insecure: true (--insecure)",
                         value->origin, value->text);
    }
    b->node.listen_port = listen->port;
    b->node.listen_address = rung_copy_text(listen->host, strlen(listen->host), "listen", b->error);
    return b->node.listen_address == NULL ? RUNG_NO_MEMORY : RUNG_OK;
}

/* Said by the address alone: other names of this machine are not known here. */
static bool is_own_address(const rung_host_port *listen, const rung_host_port *upstream)
{
    if (listen->port == 0 || listen->port != upstream->port) {
        return false;
    }
    bool any_of_this = listen->is_any && (upstream->is_loopback || upstream->is_any);
    bool by_name = !upstream->is_numeric && upstream->is_loopback && listen->is_loopback;
    return any_of_this || by_name || strcmp(listen->host, upstream->host) == 0;
}

/* Scheme, host, port and prefix in one spelling, so that equal addresses are equal texts. */
static char *normalised(const rung_url *url, rung_error *error)
{
    rung_buffer text = {0};
    bool brackets = strchr(url->at.host, ':') != NULL;
    rung_buffer_format(&text, "http%s://%s%s%s:%u", url->https ? "s" : "", brackets ? "[" : "", url->at.host,
                       brackets ? "]" : "", url->at.port);
    rung_buffer_append(&text, url->prefix, url->prefix_bytes);
    if (rung_buffer_check(&text, "address", error) != RUNG_OK) {
        rung_buffer_deinit(&text);
        return NULL;
    }
    return text.data;
}

static rung_status add_upstream(builder *b, const rung_option_value *value, const char *text,
                                const rung_host_port *listen)
{
    rung_url url;
    rung_node_config *node = &b->node;
    rung_status status = rung_parse_url(text, &url, b->error);
    if (status != RUNG_OK) {
        return rung_fail_in(b->error, "%s: upstream.addresses", value->origin);
    }
    if (node->num_upstreams == RUNG_MAX_UPSTREAM_ADDRESSES) {
        return rung_fail(b->error, RUNG_LIMIT, "%s: upstream.addresses: more than %d addresses", value->origin,
                         RUNG_MAX_UPSTREAM_ADDRESSES);
    }
    if (is_own_address(listen, &url.at)) {
        return rung_fail(b->error, RUNG_INVALID, "%s: upstream.addresses: %.200s is where this node listens itself",
                         value->origin, text);
    }
    const rung_option_value *token = value_of(b, RUNG_OPTION_UPSTREAM_TOKEN_FILE);
    if (is_given(token) && !url.https && !url.at.is_loopback && !node->insecure) {
        return rung_fail(b->error, RUNG_INVALID,
                         "%s: upstream.token_file: the token would go to %.200s unencrypted; use https, or say "
                         "insecure: true",
                         token->origin, text);
    }
    char *made = normalised(&url, b->error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < node->num_upstreams; i++) {
        if (strcmp(node->upstreams[i], made) == 0) {
            free(made);
            return rung_fail(b->error, RUNG_INVALID, "%s: upstream.addresses: %.200s is there twice", value->origin,
                             text);
        }
    }
    node->upstreams[node->num_upstreams++] = made;
    return RUNG_OK;
}

static rung_status take_addresses(builder *b, const rung_option_value *value, const rung_host_port *listen)
{
    uint32_t num_levels = b->node.cascade.num_levels;
    if (b->node.level == num_levels) {
        return rung_fail(b->error, RUNG_INVALID,
                         "%s: upstream.addresses: level %u (%s) is the top one; it has none above it, remove upstream",
                         value->origin, num_levels, b->node.cascade.levels[num_levels - 1].name);
    }
    char *copy = rung_copy_text(value->text, strlen(value->text), "addresses", b->error);
    rung_status status = copy == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (char *rest = copy; status == RUNG_OK && rest != NULL;) {
        status = add_upstream(b, value, rung_take_url(&rest), listen);
    }
    free(copy);
    return status;
}

/* What was given for an upstream that is not there would be lost silently. */
static rung_status check_no_upstream(const builder *b)
{
    for (rung_option_id id = RUNG_OPTION_UPSTREAM_PROTOCOL; id <= RUNG_OPTION_EMULATE_LINKS; id++) {
        const rung_option_value *value = value_of(b, id);
        if (is_given(value) && !(id == RUNG_OPTION_EMULATE_LINKS && !value->boolean)) {
            return rung_fail(b->error, RUNG_INVALID, "%s: %s without upstream.addresses has no effect; add those",
                             value->origin, rung_option_spec_of(id)->key);
        }
    }
    return RUNG_OK;
}

/* upstream.link: a preset, a trace, figures, or a mixture. */
static rung_status take_link(builder *b)
{
    const rung_options *options = b->node.cascade.options;
    const rung_option_value *first = rung_link_config_given(options, RUNG_OPTION_UPSTREAM_LINK, 0);
    if (first == NULL) {
        return RUNG_OK;
    }
    rung_status status = rung_link_config_fill(options, RUNG_OPTION_UPSTREAM_LINK, 0, first->origin, &b->node.link,
                                               &b->node.link_trace, b->error);
    b->node.has_link = status == RUNG_OK;
    return status;
}

/* --emulate-links: the link that the cascade's file has between this level and the next. upstream.link is stronger. */
static rung_status take_cascade_link(builder *b)
{
    const rung_option_value *value = value_of(b, RUNG_OPTION_EMULATE_LINKS);
    if (!value->boolean || b->node.has_link) {
        return RUNG_OK;
    }
    if (!b->node.from_cascade) {
        return rung_fail(b->error, RUNG_INVALID, "%s: a node's file has no links between levels; give upstream.link",
                         value->origin);
    }
    b->node.link =
        b->node.cascade.levels[b->node.level].link; /* the level above: there is one, or it has no upstream */
    b->node.has_link = true;
    return RUNG_OK;
}

static rung_status check_deadlines(builder *b)
{
    const rung_option_value *own = value_of(b, RUNG_OPTION_DEADLINE);
    const rung_option_value *upstream = value_of(b, RUNG_OPTION_UPSTREAM_DEADLINE);
    b->node.deadline_s = own->number;
    b->node.upstream_deadline_s = upstream->number < own->number ? upstream->number : own->number;
    if (is_given(upstream) && upstream->number > own->number) {
        return rung_fail(b->error, RUNG_INVALID,
                         "%s: upstream.deadline is %s, but deadline, which caps the whole request, is %s",
                         upstream->origin, upstream->text, own->text);
    }
    return RUNG_OK;
}

/* After the addresses and deadlines. What would never be hedged is refused rather than lost silently. */
static rung_status take_hedge_after(builder *b)
{
    const rung_option_value *value = value_of(b, RUNG_OPTION_UPSTREAM_HEDGE_AFTER);
    if (value->number > 0 && b->node.num_upstreams < 2) {
        return rung_fail(b->error, RUNG_INVALID,
                         "%s: upstream.hedge_after needs a second address in upstream.addresses, and there is one",
                         value->origin);
    }
    if (value->number >= b->node.upstream_deadline_s) {
        return rung_fail(b->error, RUNG_INVALID,
                         "%s: upstream.hedge_after is %s, but a call has ended by then: upstream.deadline and deadline "
                         "leave it %g s",
                         value->origin, value->text, b->node.upstream_deadline_s);
    }
    b->node.upstream_hedge_after_s = value->number;
    return RUNG_OK;
}

static rung_status check_ca_file(const builder *b)
{
    const rung_option_value *value = value_of(b, RUNG_OPTION_UPSTREAM_CA_FILE);
    for (size_t i = 0; i < b->node.num_upstreams; i++) {
        if (strncmp(b->node.upstreams[i], "https:", 6) == 0) {
            return RUNG_OK;
        }
    }
    return is_given(value)
               ? rung_fail(b->error, RUNG_INVALID,
                           "%s: upstream.ca_file is for https, and no address begins with https://", value->origin)
               : RUNG_OK;
}

/* A remote level of the cascade's file is the upstream of the level below it, as far as no flag says otherwise. */
static rung_status take_remote_level(builder *b)
{
    static const rung_option_id pairs[][2] = {{RUNG_OPTION_LEVEL_REMOTE_PROTOCOL, RUNG_OPTION_UPSTREAM_PROTOCOL},
                                              {RUNG_OPTION_LEVEL_REMOTE_ADDRESSES, RUNG_OPTION_UPSTREAM_ADDRESSES},
                                              {RUNG_OPTION_LEVEL_REMOTE_MODEL, RUNG_OPTION_UPSTREAM_MODEL},
                                              {RUNG_OPTION_LEVEL_REMOTE_INPUT, RUNG_OPTION_UPSTREAM_INPUT},
                                              {RUNG_OPTION_LEVEL_REMOTE_TOKEN_FILE, RUNG_OPTION_UPSTREAM_TOKEN_FILE},
                                              {RUNG_OPTION_LEVEL_REMOTE_CA_FILE, RUNG_OPTION_UPSTREAM_CA_FILE},
                                              {RUNG_OPTION_LEVEL_REMOTE_DEADLINE, RUNG_OPTION_UPSTREAM_DEADLINE}};
    rung_cascade_config *cascade = &b->node.cascade;
    if (b->node.level >= cascade->num_levels || cascade->levels[b->node.level].remote == NULL) {
        return RUNG_OK;
    }
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < sizeof pairs / sizeof pairs[0]; i++) {
        const rung_option_value *value = rung_options_level_value(cascade->options, pairs[i][0], b->node.level);
        if (is_given(value)) {
            status = rung_options_put(cascade->options, pairs[i][1], 0, RUNG_SOURCE_FILE, value->origin,
                                      value->directory, value->origin, value->text, b->error);
        }
    }
    return status;
}

/* How the level above is asked: as it was fitted, which the calibration says where there is one already. */
static rung_status take_protocol(builder *b)
{
    uint32_t above = b->node.level;
    const rung_cascade_config *cascade = &b->node.cascade;
    const rung_remote_server *level = cascade->levels[above].remote;
    const rung_remote *known = level != NULL ? &level->remote
                               : b->has_calibration && b->calibration.levels[above].is_remote
                                   ? &b->calibration.levels[above].remote
                                   : NULL;
    const char *model = known != NULL && known->model != NULL ? known->model : cascade->levels[above].name;
    return rung_remote_fill(cascade->options, model, known != NULL ? known->protocol : RUNG_PROTOCOL_RUNG,
                            &b->node.remote, b->error);
}

static rung_status take_upstream(builder *b, const rung_host_port *listen)
{
    const rung_option_value *addresses = value_of(b, RUNG_OPTION_UPSTREAM_ADDRESSES);
    rung_status status = check_deadlines(b);
    if (status != RUNG_OK || !is_given(addresses)) {
        return status == RUNG_OK ? check_no_upstream(b) : status;
    }
    status = take_addresses(b, addresses, listen);
    if (status == RUNG_OK) {
        status = take_protocol(b);
    }
    if (status == RUNG_OK) {
        status = take_hedge_after(b);
    }
    if (status == RUNG_OK) {
        status = check_ca_file(b);
    }
    if (status == RUNG_OK) {
        status = take_path(value_of(b, RUNG_OPTION_UPSTREAM_CA_FILE), &b->node.upstream_ca_file, b->error);
    }
    if (status == RUNG_OK) {
        status = take_path(value_of(b, RUNG_OPTION_UPSTREAM_TOKEN_FILE), &b->node.upstream_token_file, b->error);
    }
    if (status == RUNG_OK) {
        status = take_link(b);
    }
    return status == RUNG_OK ? take_cascade_link(b) : status;
}

/* ---- the rest ---- */

static rung_status take_id(builder *b)
{
    const rung_option_value *value = value_of(b, RUNG_OPTION_NODE_ID);
    const char *id = is_given(value) ? value->text : "";
    size_t bytes = strlen(id);
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (bytes > MAX_ID_BYTES || strspn(id, allowed) != bytes) {
        char shown[RUNG_QUOTED_BYTES];
        return rung_fail(b->error, RUNG_INVALID,
                         "%s: id '%s' must be at most %d letters, digits, '.', '_' and '-': it travels in a header",
                         value->origin, rung_shorten(id, bytes, shown), MAX_ID_BYTES);
    }
    b->node.id = rung_copy_text(id, bytes, "id", b->error);
    return b->node.id == NULL ? RUNG_NO_MEMORY : RUNG_OK;
}

static void take_limits(builder *b)
{
    rung_node_config *node = &b->node;
    node->batch_max_tokens = (size_t)value_of(b, RUNG_OPTION_BATCH_MAX_TOKENS)->integer;
    node->batch_max_time_s = value_of(b, RUNG_OPTION_BATCH_MAX_TIME)->number;
    node->batch_max_wait_s = value_of(b, RUNG_OPTION_BATCH_MAX_WAIT)->number;
    node->max_body_bytes = (size_t)value_of(b, RUNG_OPTION_LIMITS_BODY)->integer;
    node->max_inputs = (size_t)value_of(b, RUNG_OPTION_LIMITS_INPUTS)->integer;
    node->max_queue_s = value_of(b, RUNG_OPTION_LIMITS_QUEUE)->number;
    node->max_connections = (size_t)value_of(b, RUNG_OPTION_LIMITS_CONNECTIONS)->integer;
    node->max_requests_per_client = (size_t)value_of(b, RUNG_OPTION_LIMITS_REQUESTS_PER_CLIENT)->integer;
    node->max_connections_per_client = (size_t)value_of(b, RUNG_OPTION_LIMITS_CONNECTIONS_PER_CLIENT)->integer;
    node->drain_s = value_of(b, RUNG_OPTION_DRAIN)->number;
    node->log_level = (rung_log_level)value_of(b, RUNG_OPTION_LOG_LEVEL)->choice;
    node->log_json = value_of(b, RUNG_OPTION_LOG_FORMAT)->choice == 0;
}

/* All that does not depend on the kind of file. */
static rung_status finish(builder *b)
{
    rung_host_port listen;
    take_limits(b);
    rung_status status = take_listen(b, &listen);
    if (status == RUNG_OK) {
        status = take_remote_level(b);
    }
    if (status == RUNG_OK) {
        status = take_upstream(b, &listen);
    }
    return status == RUNG_OK ? take_id(b) : status;
}

/* Hands the result over, or throws it away. */
static rung_status end(builder *b, rung_status status, rung_node_config *config)
{
    rung_options_free(b->options);
    rung_calibration_file_deinit(&b->calibration);
    if (status != RUNG_OK) {
        rung_node_config_deinit(&b->node);
        return status;
    }
    rung_node_config_deinit(config);
    *config = b->node;
    return RUNG_OK;
}

/* yaml NULL: flags alone. */
static rung_status build(builder *b, const rung_yaml *yaml, const rung_options *options)
{
    rung_status status =
        options != NULL ? rung_options_copy(options, &b->options, b->error) : rung_options_new(&b->options, b->error);
    if (status == RUNG_OK && yaml != NULL) {
        status = rung_option_file_apply(yaml, RUNG_FILE_NODE, b->directory, b->options, &b->lines, b->error);
    }
    if (status == RUNG_OK) {
        status = load_policy(b);
    }
    if (status == RUNG_OK) {
        status = load_calibration(b);
    }
    if (status == RUNG_OK) {
        status = make_cascade(b);
    }
    return status == RUNG_OK ? finish(b) : status;
}

/* One level of a cascade's file; the keys that only a node has come as flags. */
static rung_status load_from_cascade(const char *data_dir, const rung_options *options, rung_node_config *config,
                                     rung_error *error)
{
    builder b = {.error = error};
    const char *names[RUNG_MAX_LEVELS];
    rung_cascade_config *cascade = &b.node.cascade;
    b.node.from_cascade = true;
    rung_status status = rung_cascade_config_load(NULL, data_dir, options, cascade, error);
    b.file = cascade->path;
    for (uint32_t l = 0; status == RUNG_OK && l < cascade->num_levels; l++) {
        names[l] = cascade->levels[l].name;
    }
    if (status == RUNG_OK) {
        status = find_level(&b, cascade->num_levels, names);
    }
    if (status == RUNG_OK && cascade->levels[b.node.level - 1].remote != NULL) {
        status = rung_fail(error, RUNG_INVALID,
                           "%s: level %u (%s) is remote: another server has its model; serve the level below it",
                           file_name(&b), b.node.level, cascade->levels[b.node.level - 1].name);
    }
    if (status == RUNG_OK) {
        uint32_t own = b.node.level - 1;
        const rung_option_value *speed = value_of(&b, RUNG_OPTION_NODE_SPEED);
        const rung_option_value *memory = value_of(&b, RUNG_OPTION_NODE_MEMORY);
        cascade->levels[own].speed = is_given(speed) ? speed->number : cascade->levels[own].speed;
        cascade->levels[own].memory_bytes = is_given(memory) ? memory->integer : cascade->levels[own].memory_bytes;
        status = copy_value(cascade->options, RUNG_OPTION_NODE_SPEED, RUNG_OPTION_LEVEL_SPEED, own, error);
    }
    if (status == RUNG_OK) {
        status =
            copy_value(cascade->options, RUNG_OPTION_NODE_MEMORY, RUNG_OPTION_LEVEL_MEMORY, b.node.level - 1, error);
    }
    return end(&b, status == RUNG_OK ? finish(&b) : status, config);
}

static rung_status load_node(const char *path, const rung_yaml *yaml, const rung_options *options,
                             rung_node_config *config, rung_error *error)
{
    char *directory = rung_path_directory(path != NULL ? path : "", error);
    builder b = {.file = yaml != NULL ? yaml->name : NULL, .directory = directory, .error = error};
    rung_status status = directory == NULL ? RUNG_NO_MEMORY : build(&b, yaml, options);
    status = end(&b, status, config);
    free(directory);
    return status;
}

static bool has_levels(const rung_yaml *yaml)
{
    return yaml->root->kind == RUNG_YAML_MAPPING && rung_yaml_get(yaml->root, "levels") != NULL;
}

rung_status rung_node_config_load(const char *data_dir, const rung_options *options, rung_node_config *config,
                                  rung_error *error)
{
    rung_error unused = {0};
    error = error != NULL ? error : &unused;
    const rung_option_value *file = rung_options_value(options, RUNG_OPTION_CONFIG);
    rung_yaml *yaml = NULL;
    if (!is_given(file) && is_given(rung_options_value(options, RUNG_OPTION_MODEL))) {
        return load_node(NULL, NULL, options, config, error);
    }
    if (!is_given(file)) {
        return load_from_cascade(data_dir, options, config, error);
    }
    rung_status status = rung_yaml_load(file->text, &yaml, error);
    if (status == RUNG_OK && has_levels(yaml)) {
        status = load_from_cascade(data_dir, options, config, error);
    } else if (status == RUNG_OK) {
        status = load_node(file->text, yaml, options, config, error);
    }
    rung_yaml_free(yaml);
    return status;
}

rung_status rung_node_config_parse(const char *yaml, size_t bytes, const char *name, const char *directory,
                                   const rung_options *options, rung_node_config *config, rung_error *error)
{
    rung_error unused = {0};
    error = error != NULL ? error : &unused;
    rung_yaml *tree = NULL;
    builder b = {.file = name, .directory = directory, .error = error};
    rung_status status = rung_yaml_parse(yaml, bytes, name, &tree, error);
    if (status == RUNG_OK) {
        status = build(&b, tree, options);
    }
    rung_yaml_free(tree);
    return end(&b, status, config);
}

/* A file that is neither one counts as a cascade: its loader says what is wrong with it. */
static bool looks_like_node(const rung_yaml *yaml)
{
    if (yaml->root->kind != RUNG_YAML_MAPPING || has_levels(yaml)) {
        return false;
    }
    for (size_t i = 0; i < yaml->root->count; i++) {
        const char *key = yaml->root->keys[i]->text;
        size_t length = strlen(key);
        for (rung_option_id id = 0; id < RUNG_OPTION_COUNT; id++) {
            const char *known = rung_option_spec_of(id)->key;
            bool starts = strncmp(known, key, length) == 0 && (known[length] == '\0' || known[length] == '.');
            if (starts && rung_option_in_file(id, RUNG_FILE_NODE) && !rung_option_in_file(id, RUNG_FILE_CASCADE)) {
                return true;
            }
        }
    }
    return false;
}

rung_status rung_node_config_wanted(const rung_options *options, bool *wanted, rung_error *error)
{
    const rung_option_value *file = rung_options_value(options, RUNG_OPTION_CONFIG);
    bool found = false;
    for (rung_option_id id = 0; id < RUNG_OPTION_COUNT; id++) {
        found = found || (rung_option_spec_of(id)->group == RUNG_GROUP_NODE && rung_options_given(options, id));
    }
    rung_status status = RUNG_OK;
    if (!found && is_given(file)) {
        rung_yaml *yaml = NULL;
        status = rung_yaml_load(file->text, &yaml, error);
        found = status == RUNG_OK && looks_like_node(yaml);
        rung_yaml_free(yaml);
    }
    if (status == RUNG_OK) {
        *wanted = found;
    }
    return status;
}
