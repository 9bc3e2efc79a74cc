/* cascade.c: opens a cascade and checks its parts against each other (labels by name, task, tokenizers, calibration). See cascade.h. */
#include "run/cascade.h"

#include "base/memory.h"
#include "run/driver.h"
#include "run/task_heads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_BATCH_TOKENS 1024
#define MAX_BATCH_TOKENS (1u << 20)

/* Opens the level's model and checks what one model alone must fulfil. */
static rung_status open_level(rung_cascade *cascade, uint32_t index, rung_error *error)
{
    const rung_level_config *config = &cascade->config.levels[index];
    rung_cascade_level *level = &cascade->level[index];
    level->speed = config->speed;
    rung_status status = rung_model_open(config->model_path, cascade->precision, &level->model, error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t needed = rung_model_memory_bytes(level->model);
    if (config->memory_bytes > 0 && needed > config->memory_bytes) {
        return rung_fail(error, RUNG_LIMIT, "level %u (%s): %s needs %zu bytes of memory, but levels[].memory is %llu",
                         index + 1, config->name, config->model_path, needed, (unsigned long long)config->memory_bytes);
    }
    return RUNG_OK;
}

/* A level that decides every label by itself cannot be pooled with one that chooses among them. */
static rung_status check_tasks(const rung_cascade *cascade, bool is_new, rung_error *error)
{
    const rung_model *first = NULL;
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        const rung_model *model = cascade->level[l].model;
        if (model == NULL || model->config.num_labels == 0) {
            continue;
        }
        first = first != NULL ? first : model;
        if (model->config.task != first->config.task) {
            return rung_fail(error, RUNG_MISMATCH,
                             "%s and %s: one has problem_type multi_label_classification and the other has not; the "
                             "models of a cascade have the same task",
                             first->path, model->path);
        }
        if (is_new && model->config.task == RUNG_TASK_MULTI_LABEL) {
            return rung_fail(error, RUNG_UNSUPPORTED,
                             "%s: problem_type multi_label_classification: rung fit learns for one label a text only",
                             model->path);
        }
    }
    return RUNG_OK;
}

static const char *label_of(const rung_cascade *cascade, uint32_t level, size_t index)
{
    const char *label = cascade->level[level].model->labels[index];
    /* A task's labels were renamed when they were learned. */
    return cascade->level[level].has_task_labels ? label : rung_cascade_config_rename(&cascade->config, label);
}

/* The order of level 1 is the cascade's; where its model is not open, the calibration has it. */
static rung_status take_labels(rung_cascade *cascade, rung_error *error)
{
    const rung_model *first = cascade->level[0].model;
    const rung_calibration_file *file = &cascade->calibration_file;
    cascade->num_classes = (uint32_t)(first != NULL ? first->config.num_labels : file->num_labels);
    cascade->labels = rung_alloc(cascade->num_classes, sizeof *cascade->labels, "labels", error);
    if (cascade->labels == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (uint32_t c = 0; c < cascade->num_classes; c++) {
        cascade->labels[c] = first != NULL ? label_of(cascade, 0, c) : file->labels[c];
    }
    cascade->labels_are_the_datas = true;
    for (uint32_t l = 0; l < cascade->num_levels; l++) { /* a server's labels have the names of the others */
        const rung_cascade_level *level = &cascade->level[l];
        cascade->labels_are_the_datas = cascade->labels_are_the_datas && (level->has_task_labels || level->is_remote);
    }
    return RUNG_OK;
}

/* Where the cascade's labels come from, for messages. */
static const char *labels_owner(const rung_cascade *cascade)
{
    return cascade->level[0].model != NULL ? cascade->level[0].model->path : cascade->config.calibration_path;
}

/* Maps the model's classes to the cascade's by name. */
static rung_status match_labels(rung_cascade *cascade, uint32_t index, rung_error *error)
{
    rung_cascade_level *level = &cascade->level[index];
    const rung_model *model = level->model;
    if (model->config.num_labels != cascade->num_classes) {
        return rung_fail(error, RUNG_MISMATCH, "labels differ between levels: %s has %u, %s has %zu",
                         labels_owner(cascade), cascade->num_classes, model->path, model->config.num_labels);
    }
    level->class_of = rung_alloc(cascade->num_classes, sizeof *level->class_of, "labels", error);
    if (level->class_of == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (uint32_t c = 0; c < cascade->num_classes; c++) {
        const char *label = label_of(cascade, index, c);
        uint32_t match = 0;
        while (match < cascade->num_classes && strcmp(cascade->labels[match], label) != 0) {
            match++;
        }
        if (match == cascade->num_classes) {
            return rung_fail(error, RUNG_MISMATCH,
                             "labels differ between levels: %s has \"%s\", which %s has not; rename it with `labels`",
                             model->path, label, labels_owner(cascade));
        }
        for (uint32_t before = 0; before < c; before++) {
            if (level->class_of[before] == match) {
                return rung_fail(error, RUNG_MISMATCH, "%s: labels %u and %u are both \"%s\" after renaming",
                                 model->path, before, c, label);
            }
        }
        level->class_of[c] = match;
    }
    return RUNG_OK;
}

/* Token ids of a level may travel when every level above segments alike and reads at least as many. The calibration says it of all levels, also
 * of those whose models are not open here. */
static void match_tokenizers(rung_cascade *cascade)
{
    const rung_calibration_level *levels = cascade->calibration_file.levels;
    bool alike = true;
    for (uint32_t l = cascade->num_levels; l-- > 0;) {
        if (l + 1 < cascade->num_levels) {
            alike = alike && levels[l + 1].max_tokens >= levels[l].max_tokens &&
                    levels[l + 1].type_vocab_size >= levels[l].type_vocab_size &&
                    strcmp(levels[l].tokenizer_sha256, levels[l + 1].tokenizer_sha256) == 0;
        }
        cascade->level[l].tokens_travel = alike && l + 1 < cascade->num_levels;
    }
}

static rung_status check_prune_unit(const rung_cascade *cascade, const rung_policy *policy, rung_error *error)
{
    if (!policy->prune.enabled || policy->prune.unit != RUNG_PRUNE_TOKEN) {
        return RUNG_OK;
    }
    for (uint32_t l = 0; l + 1 < cascade->num_levels; l++) {
        if (!cascade->level[l].tokens_travel) {
            return rung_fail(
                error, RUNG_MISMATCH,
                "policy.prune.unit token: the tokenizer of level %u (%s) differs from one above it; use word or auto",
                l + 1, cascade->level[l].name);
        }
    }
    return RUNG_OK;
}

static void list_models(const rung_cascade *cascade, const rung_model **models)
{
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        models[l] = cascade->level[l].model;
    }
}

/* Reads the calibration, if any, whose heads the models get before their labels are compared. */
static rung_status load_heads(rung_cascade *cascade, const rung_new_task *task, rung_error *error)
{
    const rung_model *models[RUNG_MAX_LEVELS];
    rung_calibration_file *file = &cascade->calibration_file;
    rung_status status = RUNG_OK;
    list_models(cascade, models);
    if (cascade->config.calibration_path != NULL) {
        status = rung_calibration_file_load(cascade->config.calibration_path, file, error);
        if (status == RUNG_OK) {
            status = rung_calibration_file_check_models(file, cascade->num_levels, models, error);
        }
        if (status == RUNG_OK) {
            status = rung_attach_calibration_heads(cascade, file, error);
        }
    } else if (task != NULL) {
        status = rung_attach_empty_heads(cascade, task, error);
    }
    return status == RUNG_OK ? rung_require_classifiers(cascade, error) : status;
}

static rung_status use_calibration(rung_cascade *cascade, rung_error *error)
{
    const rung_model *models[RUNG_MAX_LEVELS];
    rung_calibration_file *file = &cascade->calibration_file;
    rung_status status;
    list_models(cascade, models);
    if (cascade->config.calibration_path == NULL) {
        status = rung_calibration_file_identity(cascade->num_levels, models, file, error);
    } else {
        status = rung_calibration_file_check(file, cascade->num_levels, models, cascade->labels, cascade->num_classes,
                                             error);
        if (status == RUNG_OK) {
            status = rung_cascade_config_use_calibration(&cascade->config, file, error);
        }
    }
    if (status == RUNG_OK) {
        status = rung_calibration_file_view(file, &cascade->calibration, error);
    }
    return status;
}

rung_status rung_cascade_check_policy(const rung_cascade *cascade, const rung_policy *policy, rung_error *error)
{
    rung_status status = rung_policy_check(policy, &cascade->calibration, error);
    return status == RUNG_OK ? check_prune_unit(cascade, policy, error) : status;
}

rung_status rung_cascade_named_policy(const rung_cascade *cascade, const char *name, rung_policy *policy,
                                      rung_error *error)
{
    rung_policy made;
    rung_status status = rung_cascade_config_policy(&cascade->config, name, &made, error);
    if (status != RUNG_OK) {
        return status;
    }
    if (strcmp(name, "tangobert") == 0) {
        memcpy(made.offload.threshold, cascade->policy.offload.threshold, sizeof made.offload.threshold);
    }
    status = rung_cascade_check_policy(cascade, &made, error);
    if (status == RUNG_OK) {
        *policy = made;
    }
    return status;
}

static rung_status choose_policy(rung_cascade *cascade, const char *name, rung_error *error)
{
    cascade->policy = cascade->config.policy;
    if (name != NULL) {
        rung_status status = rung_cascade_config_policy(&cascade->config, name, &cascade->policy, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    return rung_cascade_check_policy(cascade, &cascade->policy, error);
}

static rung_status take_options(rung_cascade *cascade, const rung_open_options *options, rung_error *error)
{
    cascade->precision = cascade->config.precision;
    if (options->precision != NULL) {
        if (strcmp(options->precision, "int8") == 0) {
            cascade->precision = RUNG_PRECISION_INT8;
        } else if (strcmp(options->precision, "fp32") == 0) {
            cascade->precision = RUNG_PRECISION_FP32;
        } else {
            return rung_fail(error, RUNG_INVALID, "precision \"%s\" is unknown: int8 and fp32 are known",
                             options->precision);
        }
    }
    if (options->threads > RUNG_MAX_THREADS) {
        return rung_fail(error, RUNG_LIMIT, "threads %zu: the limit is %d", options->threads, RUNG_MAX_THREADS);
    }
    if (options->batch_tokens > MAX_BATCH_TOKENS) {
        return rung_fail(error, RUNG_LIMIT, "batch_tokens %zu: the limit is %u", options->batch_tokens,
                         MAX_BATCH_TOKENS);
    }
    size_t threads = options->threads > 0 ? options->threads : cascade->config.threads;
    size_t processors = rung_processor_count();
    cascade->threads = threads > 0 ? threads : processors < RUNG_MAX_THREADS ? processors : RUNG_MAX_THREADS;
    cascade->threads_per_text = cascade->config.threads_per_text;
    cascade->batch_tokens = options->batch_tokens > 0 ? options->batch_tokens : DEFAULT_BATCH_TOKENS;
    cascade->batch_texts = options->batch_texts;
    return rung_kernels_select(options->isa, &cascade->kernels, error);
}

/* What is opened of a cascade. */
typedef struct opening {
    uint32_t only_level; /* 0: all levels */
    bool for_fit;
    const rung_new_task *task; /* NULL: none */
} opening;

/* What another server runs is asked by a node, and recorded by a fit. */
static rung_status check_remote(const rung_cascade *cascade, uint32_t only_level, bool for_fit, rung_error *error)
{
    uint32_t top = cascade->num_levels - 1;
    if (cascade->config.levels[top].remote == NULL || for_fit || (only_level != 0 && only_level != top + 1)) {
        return RUNG_OK;
    }
    return rung_fail(error, RUNG_UNSUPPORTED,
                     "level %u (%s) is remote: only rung serve and rung fit ask the server that has its model; serve "
                     "the level below it with rung serve --level %s",
                     top + 1, cascade->config.levels[top].name, cascade->config.levels[top > 0 ? top - 1 : 0].name);
}

/* A level whose model is not opened still has its name and its link. */
static rung_status open_models(rung_cascade *cascade, uint32_t only_level, rung_error *error)
{
    if (only_level != 0 && cascade->num_levels > 1 && cascade->config.calibration_path == NULL) {
        return rung_fail(error, RUNG_INVALID,
                         "level %u (%s): a level by itself needs the calibration, which knows the others; give "
                         "calibration, from rung fit",
                         only_level, cascade->config.levels[only_level - 1].name);
    }
    rung_status status = RUNG_OK;
    for (uint32_t l = 0; status == RUNG_OK && l < cascade->num_levels; l++) {
        cascade->level[l].name = cascade->config.levels[l].name;
        cascade->level[l].link = cascade->config.levels[l].link;
        cascade->level[l].is_remote = cascade->config.levels[l].remote != NULL;
        cascade->level[l].speed = 1;
        if (!cascade->level[l].is_remote && (only_level == 0 || l + 1 == only_level)) {
            status = open_level(cascade, l, error);
        }
    }
    return status;
}

static rung_status open_parts(rung_cascade *cascade, const opening *how, const rung_open_options *options,
                              rung_error *error)
{
    uint32_t only_level = how->only_level;
    const rung_new_task *task = how->task;
    rung_status status = take_options(cascade, options, error);
    if (status == RUNG_OK) {
        status = check_remote(cascade, only_level, how->for_fit, error);
    }
    if (status == RUNG_OK) {
        status = open_models(cascade, only_level, error);
    }
    if (status == RUNG_OK) {
        status = check_tasks(cascade, task != NULL, error);
    }
    if (status == RUNG_OK) {
        status = load_heads(cascade, task, error);
    }
    if (status == RUNG_OK) {
        status = take_labels(cascade, error);
    }
    for (uint32_t l = 0; status == RUNG_OK && l < cascade->num_levels; l++) {
        status = cascade->level[l].model != NULL ? match_labels(cascade, l, error) : RUNG_OK;
    }
    if (status == RUNG_OK) {
        status = use_calibration(cascade, error);
    }
    if (status == RUNG_OK) {
        match_tokenizers(cascade);
        status = choose_policy(cascade, options->policy, error);
    }
    return status;
}

static rung_status open_new(rung_cascade_config *config, const opening *how, const rung_open_options *options,
                            rung_cascade **cascade, rung_error *error)
{
    static const rung_open_options defaults = {0};
    rung_cascade *made = rung_alloc(1, sizeof *made, "cascade", error);
    if (made == NULL) {
        rung_cascade_config_deinit(config);
        return RUNG_NO_MEMORY;
    }
    made->config = *config;
    *config = (rung_cascade_config){0};
    made->num_levels = made->config.num_levels;
    pthread_mutex_init(&made->lock, NULL);
    rung_status status = open_parts(made, how, options != NULL ? options : &defaults, error);
    if (status != RUNG_OK) {
        rung_cascade_close(made);
        return status;
    }
    *cascade = made;
    return RUNG_OK;
}

rung_status rung_cascade_open_config(rung_cascade_config *config, const rung_open_options *options,
                                     rung_cascade **cascade, rung_error *error)
{
    return open_new(config, &(opening){0}, options, cascade, error);
}

rung_status rung_cascade_open_level(rung_cascade_config *config, uint32_t only_level, const rung_open_options *options,
                                    rung_cascade **cascade, rung_error *error)
{
    return open_new(config, &(opening){.only_level = only_level}, options, cascade, error);
}

rung_status rung_cascade_open_for_fit(rung_cascade_config *config, const rung_open_options *options,
                                      const rung_new_task *task, rung_cascade **cascade, rung_error *error)
{
    return open_new(config, &(opening){.for_fit = true, .task = task}, options, cascade, error);
}

/* A cascade.yaml describes levels; anything else is a model, alone. */
static bool is_yaml(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

rung_status rung_cascade_open(const char *path, const rung_open_options *options, rung_cascade **cascade,
                              rung_error *error)
{
    rung_options *flags = NULL;
    rung_cascade_config config = {0};
    rung_status status = rung_options_new(&flags, error);
    bool yaml = is_yaml(path);
    if (status == RUNG_OK && !yaml) {
        status = rung_options_set(flags, "model", path, error);
    }
    if (status == RUNG_OK) {
        status = rung_cascade_config_load(yaml ? path : NULL, NULL, flags, &config, error);
    }
    if (status == RUNG_OK) {
        status = rung_cascade_open_config(&config, options, cascade, error);
    }
    rung_options_free(flags);
    return status;
}

void rung_cascade_drop_workers(rung_cascade *cascade)
{
    while (cascade->num_idle > 0) {
        rung_worker_free(cascade->idle[--cascade->num_idle]);
    }
}

void rung_cascade_close(rung_cascade *cascade)
{
    if (cascade == NULL) {
        return;
    }
    rung_cascade_drop_workers(cascade);
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        rung_model_close(cascade->level[l].model);
        free(cascade->level[l].class_of);
    }
    rung_calibration_file_deinit(&cascade->calibration_file);
    rung_cascade_config_deinit(&cascade->config);
    pthread_mutex_destroy(&cascade->lock);
    free(cascade->labels);
    free(cascade);
}

size_t rung_cascade_num_levels(const rung_cascade *cascade)
{
    return cascade->num_levels;
}

bool rung_cascade_is_multi_label(const rung_cascade *cascade)
{
    return cascade->calibration.level[0].multi_label;
}

size_t rung_cascade_num_labels(const rung_cascade *cascade)
{
    return cascade->num_classes;
}

const char *rung_cascade_label(const rung_cascade *cascade, size_t index)
{
    return index < cascade->num_classes ? cascade->labels[index] : NULL;
}

static rung_status fail_unknown_label(const rung_cascade *cascade, const char *label, rung_error *error)
{
    rung_buffer known = {0};
    for (uint32_t c = 0; c < cascade->num_classes && c < 10; c++) {
        rung_buffer_format(&known, "%s%s", c == 0 ? "" : ", ", cascade->labels[c]);
    }
    rung_status status =
        rung_fail(error, RUNG_INVALID, "label \"%.100s\" is not one of the models' %u: %s%s", label,
                  cascade->num_classes, known.data != NULL ? known.data : "", cascade->num_classes > 10 ? ", …" : "");
    rung_buffer_deinit(&known);
    return status;
}

/* A number is the id of a class of the models; where the labels came from data, it is a name. */
static rung_status find_number(const rung_cascade *cascade, uint64_t number, uint32_t *out, rung_error *error)
{
    if (!cascade->labels_are_the_datas && number < cascade->num_classes) {
        *out = (uint32_t)number;
        return RUNG_OK;
    }
    char name[24];
    snprintf(name, sizeof name, "%llu", (unsigned long long)number);
    for (uint32_t c = 0; cascade->labels_are_the_datas && c < cascade->num_classes; c++) {
        if (strcmp(cascade->labels[c], name) == 0) {
            *out = c;
            return RUNG_OK;
        }
    }
    if (cascade->labels_are_the_datas) {
        return fail_unknown_label(cascade, name, error);
    }
    return rung_fail(error, RUNG_INVALID, "label %s is outside 0..%u", name, cascade->num_classes - 1);
}

rung_status rung_cascade_find_label(const rung_cascade *cascade, const char *label, uint64_t index, uint32_t *out,
                                    rung_error *error)
{
    if (label == NULL) {
        return find_number(cascade, index, out, error);
    }
    const char *name = rung_cascade_config_rename(&cascade->config, label);
    for (uint32_t c = 0; c < cascade->num_classes; c++) {
        if (strcmp(cascade->labels[c], name) == 0) {
            *out = c;
            return RUNG_OK;
        }
    }
    return fail_unknown_label(cascade, label, error);
}
