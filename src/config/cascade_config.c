/* cascade_config.c: options and files into a cascade. See cascade_config.h. The keys of the file are read by option_file.c. */
#include "config/cascade_config.h"

#include "base/file.h"
#include "base/memory.h"
#include "config/link_config.h"
#include "config/number.h"
#include "config/option_file.h"
#include "config/policy_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CONTEXT_BYTES 640
#define MAX_NAME_BYTES 63

/* One cascade while it is made. */
typedef struct builder {
    rung_cascade_config config;
    rung_file_lines lines;
    uint32_t own_level; /* 1-based: the only one with a model, of a node; 0: all have */
    rung_error *error;
} builder;

void rung_cascade_config_deinit(rung_cascade_config *config)
{
    for (size_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        free(config->levels[l].name);
        free(config->levels[l].model_path);
        if (config->levels[l].remote != NULL) {
            rung_remote_server_deinit(config->levels[l].remote);
            free(config->levels[l].remote);
        }
        rung_link_trace_free(config->levels[l].trace);
    }
    for (size_t i = 0; config->renames != NULL && i < config->num_renames; i++) {
        free(config->renames[i].from);
        free(config->renames[i].to);
    }
    free(config->renames);
    free(config->calibration_path);
    free(config->path);
    rung_options_free(config->options);
    *config = (rung_cascade_config){0};
}

static const rung_option_value *level_value(const builder *b, rung_option_id id, uint32_t level)
{
    return rung_options_level_value(b->config.options, id, level);
}

static bool is_given(const rung_option_value *value)
{
    return value->source >= RUNG_SOURCE_FILE;
}

static const char *file_name(const builder *b)
{
    return b->config.path != NULL ? b->config.path : "cascade";
}

/* "cascade.yaml:5:5: levels.2.link is missing; ..." */
static rung_status fail_missing(const builder *b, uint32_t level, const char *key, const char *advice)
{
    return rung_fail(b->error, RUNG_INVALID, "%.400s:%u:%u: levels.%u.%s is missing; %s", file_name(b),
                     b->lines.level_line[level], b->lines.level_column[level], level + 1, key, advice);
}

static rung_status resolve(const rung_option_value *value, char **path, rung_error *error)
{
    *path = rung_path_join(value->directory, value->text, error);
    return *path == NULL ? RUNG_NO_MEMORY : RUNG_OK;
}

static rung_status fill_name(builder *b, uint32_t level)
{
    rung_level_config *target = &b->config.levels[level];
    const rung_option_value *value = level_value(b, RUNG_OPTION_LEVEL_NAME, level);
    rung_status status = RUNG_OK;
    if (value->source == RUNG_SOURCE_NONE) {
        char name[16];
        snprintf(name, sizeof name, "level%u", level + 1);
        status = rung_options_put(b->config.options, RUNG_OPTION_LEVEL_NAME, level, RUNG_SOURCE_DEFAULT, "default",
                                  NULL, "levels.name", name, b->error);
    }
    size_t bytes = status == RUNG_OK ? strlen(value->text) : 0;
    if (bytes > MAX_NAME_BYTES) {
        return rung_fail(b->error, RUNG_LIMIT, "%s: levels.%u.name has %zu bytes; the limit is %d", value->origin,
                         level + 1, bytes, MAX_NAME_BYTES);
    }
    for (uint32_t other = 0; status == RUNG_OK && other < level; other++) {
        if (strcmp(b->config.levels[other].name, value->text) == 0) {
            return rung_fail(b->error, RUNG_INVALID, "%s: levels.%u.name is '%s', as that of level %u is; names differ",
                             value->origin, level + 1, value->text, other + 1);
        }
    }
    if (status == RUNG_OK) {
        target->name = rung_copy_text(value->text, bytes, "level", b->error);
        status = target->name == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    }
    return status;
}

static rung_status fill_link(builder *b, uint32_t level)
{
    rung_level_config *target = &b->config.levels[level];
    const rung_option_value *first = rung_link_config_given(b->config.options, RUNG_OPTION_LEVEL_LINK, level);
    if (level == 0) {
        return first == NULL
                   ? RUNG_OK
                   : rung_fail(b->error, RUNG_INVALID,
                               "%s: levels.1.link: the first level has no level below it, so no link; remove it",
                               first->origin);
    }
    if (first == NULL) {
        return fail_missing(b, level, "link", "give " RUNG_LINK_FORMS);
    }
    char where[MAX_CONTEXT_BYTES];
    snprintf(where, sizeof where, "%.400s:%u:%u", file_name(b), b->lines.level_line[level],
             b->lines.level_column[level]);
    rung_status status = rung_link_config_fill(b->config.options, RUNG_OPTION_LEVEL_LINK, level, where, &target->link,
                                               &target->trace, b->error);
    target->has_link = status == RUNG_OK;
    return status;
}

/* A level whose model another server runs. */
static rung_status fill_remote(builder *b, uint32_t level, uint32_t num_levels)
{
    const rung_option_value *first = rung_remote_given(b->config.options, level);
    static const rung_option_id useless[] = {RUNG_OPTION_LEVEL_MODEL, RUNG_OPTION_LEVEL_SPEED,
                                             RUNG_OPTION_LEVEL_MEMORY};
    if (level + 1 != num_levels || level == 0) {
        return rung_fail(b->error, RUNG_INVALID,
                         "%s: levels.%u.remote: only the top level may be remote, with a level below it", first->origin,
                         level + 1);
    }
    for (size_t i = 0; i < sizeof useless / sizeof useless[0]; i++) {
        const rung_option_value *value = level_value(b, useless[i], level);
        if (is_given(value)) {
            return rung_fail(b->error, RUNG_INVALID,
                             "%s: levels.%u has remote as well: a level has a model here, or "
                             "another server has it",
                             value->origin, level + 1);
        }
    }
    rung_level_config *target = &b->config.levels[level];
    target->speed = 1;
    target->remote = rung_alloc(1, sizeof *target->remote, "level", b->error);
    rung_status status = target->remote == NULL ? RUNG_NO_MEMORY
                                                : rung_remote_server_fill(b->config.options, level, target->name,
                                                                          target->remote, b->error);
    return status == RUNG_OK ? fill_link(b, level) : status;
}

static rung_status fill_level(builder *b, uint32_t level, uint32_t num_levels)
{
    rung_level_config *target = &b->config.levels[level];
    const rung_option_value *model = level_value(b, RUNG_OPTION_LEVEL_MODEL, level);
    const rung_option_value *memory = level_value(b, RUNG_OPTION_LEVEL_MEMORY, level);
    bool elsewhere = b->own_level > 0 && level + 1 != b->own_level;
    rung_status status = fill_name(b, level);
    if (status == RUNG_OK && b->own_level > 0) {
        target->speed = level_value(b, RUNG_OPTION_LEVEL_SPEED, level)->number;
        target->memory_bytes = is_given(memory) ? memory->integer : 0;
        return elsewhere ? RUNG_OK : resolve(model, &target->model_path, b->error);
    }
    if (status == RUNG_OK && rung_remote_given(b->config.options, level) != NULL) {
        return fill_remote(b, level, num_levels);
    }
    if (status == RUNG_OK && !is_given(model)) {
        return fail_missing(b, level, "model", "give a packed file or a Hugging Face directory");
    }
    if (status == RUNG_OK) {
        status = resolve(model, &target->model_path, b->error);
    }
    if (status == RUNG_OK) {
        target->speed = level_value(b, RUNG_OPTION_LEVEL_SPEED, level)->number;
        target->memory_bytes = is_given(memory) ? memory->integer : 0;
        status = fill_link(b, level);
    }
    return status;
}

/* A flag for a level that is not there would be lost silently. */
static rung_status check_no_more_levels(const builder *b)
{
    for (uint32_t level = b->config.num_levels; level < RUNG_MAX_LEVELS; level++) {
        for (rung_option_id id = RUNG_OPTION_LEVEL_NAME; rung_option_is_level(id); id++) {
            const rung_option_value *value = level_value(b, id, level);
            if (is_given(value)) {
                return rung_fail(b->error, RUNG_INVALID, "%s: the cascade has %u level%s only", value->origin,
                                 b->config.num_levels, b->config.num_levels == 1 ? "" : "s");
            }
        }
    }
    return RUNG_OK;
}

static rung_status fill_renames(builder *b)
{
    const rung_option_value *value = rung_options_value(b->config.options, RUNG_OPTION_LABELS);
    if (value->num_pairs == 0) {
        return RUNG_OK;
    }
    b->config.renames = rung_alloc(value->num_pairs, sizeof *b->config.renames, "labels", b->error);
    if (b->config.renames == NULL) {
        return RUNG_NO_MEMORY;
    }
    b->config.num_renames = value->num_pairs;
    for (size_t i = 0; i < value->num_pairs; i++) {
        const char *from = value->pairs[2 * i];
        const char *to = value->pairs[2 * i + 1];
        b->config.renames[i].from = rung_copy_text(from, strlen(from), "labels", b->error);
        b->config.renames[i].to = rung_copy_text(to, strlen(to), "labels", b->error);
        if (b->config.renames[i].from == NULL || b->config.renames[i].to == NULL) {
            return RUNG_NO_MEMORY;
        }
    }
    return RUNG_OK;
}

/* The policy's own value of an option, as text, so that it shows among the values in force. */
static rung_status put_default(builder *b, rung_option_id id)
{
    char origin[64];
    rung_buffer text = {0};
    const rung_policy *policy = &b->config.policy;
    snprintf(origin, sizeof origin, "policy %.32s", policy->name);
    rung_policy_option_print(id, policy, b->config.num_levels, &text);
    rung_status status = rung_buffer_check(&text, "policy", b->error);
    if (status == RUNG_OK) {
        status = rung_options_put(b->config.options, id, 0, RUNG_SOURCE_POLICY, origin, NULL,
                                  rung_option_spec_of(id)->key, text.data, b->error);
    }
    rung_buffer_deinit(&text);
    return status;
}

static rung_status fill_policy(builder *b)
{
    rung_policy *policy = &b->config.policy;
    const rung_option_value *name = rung_options_value(b->config.options, RUNG_OPTION_POLICY_NAME);
    rung_status status = rung_policy_defaults(name->text, b->config.num_levels, policy, b->error);
    if (status != RUNG_OK) {
        return rung_fail_in(b->error, "%s", name->origin);
    }
    policy->seed = rung_options_integer(b->config.options, RUNG_OPTION_POLICY_SEED);
    for (rung_option_id id = RUNG_FIRST_POLICY_OPTION; status == RUNG_OK && id <= RUNG_LAST_POLICY_OPTION; id++) {
        const rung_option_value *value = rung_options_value(b->config.options, id);
        status = is_given(value) ? rung_policy_option_take(id, value, b->config.num_levels, policy, b->error)
                                 : put_default(b, id);
    }
    if (status == RUNG_OK && rung_policy_check(policy, NULL, b->error) != RUNG_OK) {
        status = rung_fail_in(b->error, "%s", file_name(b));
    }
    return status;
}

/* From options that hold everything that was given. */
static rung_status finish(builder *b, uint32_t num_levels)
{
    rung_cascade_config *config = &b->config;
    config->num_levels = num_levels;
    rung_status status = check_no_more_levels(b);
    for (uint32_t level = 0; status == RUNG_OK && level < num_levels; level++) {
        status = fill_level(b, level, num_levels);
    }
    if (status == RUNG_OK) {
        status = fill_renames(b);
    }
    if (status == RUNG_OK && rung_options_given(config->options, RUNG_OPTION_CALIBRATION)) {
        status =
            resolve(rung_options_value(config->options, RUNG_OPTION_CALIBRATION), &config->calibration_path, b->error);
    }
    if (status == RUNG_OK) {
        config->precision = (rung_precision)rung_options_choice(config->options, RUNG_OPTION_PRECISION);
        config->threads = (uint32_t)rung_options_integer(config->options, RUNG_OPTION_THREADS);
        config->threads_per_text = (uint32_t)rung_options_integer(config->options, RUNG_OPTION_THREADS_PER_TEXT);
        config->long_text = (rung_long_text)rung_options_choice(config->options, RUNG_OPTION_LONG_TEXT);
        config->window_overlap = (size_t)rung_options_integer(config->options, RUNG_OPTION_WINDOW_OVERLAP);
        status = fill_policy(b);
    }
    return status;
}

static rung_status start(builder *b, const rung_options *overrides, rung_error *error)
{
    *b = (builder){.error = error};
    return overrides != NULL ? rung_options_copy(overrides, &b->config.options, error)
                             : rung_options_new(&b->config.options, error);
}

/* Hands the result over, or throws it away. */
static rung_status end(builder *b, rung_status status, rung_cascade_config *config)
{
    if (status != RUNG_OK) {
        rung_cascade_config_deinit(&b->config);
        return status;
    }
    rung_cascade_config_deinit(config);
    *config = b->config;
    return RUNG_OK;
}

rung_status rung_cascade_config_of_node(rung_options *options, const char *path, uint32_t num_levels,
                                        uint32_t own_level, rung_cascade_config *config, rung_error *error)
{
    builder b = {.config.options = options, .own_level = own_level, .error = error};
    rung_status status = RUNG_OK;
    if (path != NULL) {
        b.config.path = rung_copy_text(path, strlen(path), "file name", error);
        status = b.config.path == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    }
    if (status == RUNG_OK) {
        status = finish(&b, num_levels);
    }
    return end(&b, status, config);
}

static rung_status read_yaml(builder *b, const rung_yaml *yaml, const char *directory)
{
    b->config.path = rung_copy_text(yaml->name, strlen(yaml->name), "file name", b->error);
    if (b->config.path == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status =
        rung_option_file_apply(yaml, RUNG_FILE_CASCADE, directory, b->config.options, &b->lines, b->error);
    return status == RUNG_OK ? finish(b, b->lines.num_levels) : status;
}

rung_status rung_cascade_config_parse(const char *yaml, size_t bytes, const char *name, const char *directory,
                                      const rung_options *overrides, rung_cascade_config *config, rung_error *error)
{
    rung_error unused = {0};
    builder b;
    rung_yaml *tree = NULL;
    error = error != NULL ? error : &unused;
    rung_status status = start(&b, overrides, error);
    if (status == RUNG_OK) {
        status = rung_yaml_parse(yaml, bytes, name, &tree, error);
    }
    if (status == RUNG_OK) {
        status = read_yaml(&b, tree, directory);
    }
    rung_yaml_free(tree);
    return end(&b, status, config);
}

static rung_status load_file(const char *path, const rung_options *overrides, rung_cascade_config *config,
                             rung_error *error)
{
    builder b;
    rung_yaml *tree = NULL;
    char *directory = NULL;
    rung_status status = start(&b, overrides, error);
    if (status == RUNG_OK) {
        status = rung_yaml_load(path, &tree, error);
    }
    if (status == RUNG_OK) {
        directory = rung_path_directory(path, error);
        status = directory == NULL ? RUNG_NO_MEMORY : read_yaml(&b, tree, directory);
    }
    free(directory);
    rung_yaml_free(tree);
    return end(&b, status, config);
}

/* --model: one level; its name is that of the file, its policy answers with all layers. */
static rung_status load_single(const rung_options *overrides, rung_cascade_config *config, rung_error *error)
{
    builder b;
    rung_status status = start(&b, overrides, error);
    const rung_option_value *model = rung_options_value(overrides, RUNG_OPTION_MODEL);
    if (status == RUNG_OK) {
        status = rung_options_put(b.config.options, RUNG_OPTION_LEVEL_MODEL, 0, RUNG_SOURCE_FLAG, model->origin, NULL,
                                  model->origin, model->text, error);
    }
    if (status == RUNG_OK) {
        status = rung_options_put(b.config.options, RUNG_OPTION_POLICY_NAME, 0, RUNG_SOURCE_POLICY, model->origin, NULL,
                                  model->origin, "single", error);
    }
    if (status == RUNG_OK) {
        status = finish(&b, 1);
    }
    return end(&b, status, config);
}

static rung_status load_default(const char *data_dir, const rung_options *overrides, rung_cascade_config *config,
                                rung_error *error)
{
    static const char *const names[] = {"cascade.yaml", "models/cascade.yaml"};
    for (size_t i = 0; data_dir != NULL && i < 2; i++) {
        char *path = rung_path_join(data_dir, names[i], error);
        if (path == NULL) {
            return RUNG_NO_MEMORY;
        }
        bool exists = rung_path_exists(path);
        rung_status status = exists ? load_file(path, overrides, config, error) : RUNG_OK;
        free(path);
        if (exists) {
            return status;
        }
    }
    if (data_dir == NULL) {
        return rung_fail(error, RUNG_INVALID, "no cascade: give --config FILE, --model MODEL or a data directory");
    }
    return rung_fail(
        error, RUNG_NOT_FOUND,
        "%.400s: holds no cascade.yaml; give --config FILE, --model MODEL, or another --data-dir or RUNG_DATA",
        data_dir);
}

rung_status rung_cascade_config_load(const char *path, const char *data_dir, const rung_options *overrides,
                                     rung_cascade_config *config, rung_error *error)
{
    rung_error unused = {0};
    error = error != NULL ? error : &unused;
    const rung_option_value *file = rung_options_value(overrides, RUNG_OPTION_CONFIG);
    const rung_option_value *model = rung_options_value(overrides, RUNG_OPTION_MODEL);
    const rung_option_value *directory = rung_options_value(overrides, RUNG_OPTION_DATA_DIR);
    if (path != NULL) {
        return load_file(path, overrides, config, error);
    }
    if (is_given(file) && is_given(model)) {
        return rung_fail(error, RUNG_INVALID, "--config and --model exclude each other: a cascade, or one model alone");
    }
    if (is_given(model)) {
        return load_single(overrides, config, error);
    }
    if (is_given(file)) {
        return load_file(file->text, overrides, config, error);
    }
    return load_default(is_given(directory) ? directory->text : data_dir, overrides, config, error);
}

rung_status rung_cascade_config_use_calibration(rung_cascade_config *config, const rung_calibration_file *file,
                                                rung_error *error)
{
    const rung_option_value *value = rung_options_value(config->options, RUNG_OPTION_POLICY_OFFLOAD_THRESHOLD);
    if (is_given(value) || strcmp(file->policy.name, config->policy.name) != 0 ||
        file->num_levels != config->num_levels) {
        return RUNG_OK;
    }
    double threshold[RUNG_MAX_LEVELS];
    memcpy(threshold, config->policy.offload.threshold, sizeof threshold);
    rung_buffer text = {0};
    for (uint32_t l = 0; l < file->num_levels; l++) {
        char digits[RUNG_NUMBER_BYTES];
        const rung_calibration_level *level = &file->levels[l];
        if (config->policy.defer == RUNG_DEFER_LEARNED) {
            threshold[l] = level->has_deferral_threshold ? level->deferral_threshold : threshold[l];
        } else {
            threshold[l] = level->has_threshold ? level->threshold : threshold[l];
        }
        rung_buffer_format(&text, "%s%s", l > 0 ? ", " : "", rung_print_number(threshold[l], digits));
    }
    rung_status status = rung_buffer_check(&text, "thresholds", error);
    if (status == RUNG_OK) {
        const char *name = file->path != NULL ? file->path : "calibration";
        status = rung_options_put(config->options, RUNG_OPTION_POLICY_OFFLOAD_THRESHOLD, 0, RUNG_SOURCE_CALIBRATION,
                                  name, NULL, name, text.data, error);
    }
    if (status == RUNG_OK) {
        memcpy(config->policy.offload.threshold, threshold, sizeof threshold);
    }
    rung_buffer_deinit(&text);
    return status;
}

rung_status rung_cascade_config_policy(const rung_cascade_config *config, const char *name, rung_policy *policy,
                                       rung_error *error)
{
    rung_policy made;
    rung_status status = rung_policy_defaults(name, config->num_levels, &made, error);
    if (status == RUNG_OK) {
        made.seed = config->policy.seed;
        *policy = made;
    }
    return status;
}

const char *rung_cascade_config_rename(const rung_cascade_config *config, const char *label)
{
    for (size_t i = 0; i < config->num_renames; i++) {
        if (strcmp(config->renames[i].from, label) == 0) {
            return config->renames[i].to;
        }
    }
    return label;
}
