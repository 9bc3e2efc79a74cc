/* task_heads.c: heads of a task for the models of a cascade. See task_heads.h. */
#include "run/task_heads.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* The rows of a head of the file in the order of the model's own labels. */
static rung_status reorder(const rung_cascade *cascade, const rung_model *model, const rung_calibration_file *file,
                           const rung_calibration_exit *exit, float *weight, float *bias, rung_error *error)
{
    size_t hidden = model->config.hidden_size;
    for (size_t c = 0; c < model->config.num_labels; c++) {
        const char *label = rung_cascade_config_rename(&cascade->config, model->labels[c]);
        size_t match = 0;
        while (match < file->num_labels && strcmp(file->labels[match], label) != 0) {
            match++;
        }
        if (match == file->num_labels) {
            return rung_fail(error, RUNG_MISMATCH,
                             "%s: has heads for %s, but not for its label \"%.100s\"; run rung fit for these models",
                             file->path != NULL ? file->path : "calibration", model->path, label);
        }
        memcpy(weight + c * hidden, exit->head_weight + match * hidden, hidden * sizeof *weight);
        bias[c] = exit->head_bias[match];
    }
    return RUNG_OK;
}

/* Heads that join a classifier. */
static rung_status attach_early(rung_cascade *cascade, rung_model *model, const rung_calibration_file *file,
                                const rung_calibration_level *level, rung_error *error)
{
    size_t classes = model->config.num_labels;
    size_t hidden = model->config.hidden_size;
    rung_status status = RUNG_OK;
    float *weight = rung_alloc(classes * hidden, sizeof *weight, "exit head", error);
    float *bias = rung_alloc(classes, sizeof *bias, "exit head", error);
    rung_exit_head *heads = rung_alloc(model->config.num_layers, sizeof *heads, "exit heads", error);
    if (weight == NULL || bias == NULL || heads == NULL) {
        status = RUNG_NO_MEMORY;
    }
    for (size_t e = 0; status == RUNG_OK && e < level->num_exits; e++) {
        const rung_calibration_exit *exit = &level->exits[e];
        if (exit->head_weight == NULL) {
            continue;
        }
        status = reorder(cascade, model, file, exit, weight, bias, error);
        if (status == RUNG_OK) {
            heads[exit->layer - 1] = (rung_exit_head){.weight = weight, .bias = bias};
            status = rung_model_set_heads(model, NULL, classes, heads, error);
            heads[exit->layer - 1] = (rung_exit_head){0};
        }
    }
    free(weight);
    free(bias);
    free(heads);
    return status;
}

/* Heads and labels of a task of their own. */
static rung_status attach_task(rung_model *model, const rung_calibration_file *file,
                               const rung_calibration_level *level, rung_error *error)
{
    rung_exit_head *heads = rung_alloc(model->config.num_layers, sizeof *heads, "exit heads", error);
    if (heads == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t e = 0; e < level->num_exits; e++) {
        const rung_calibration_exit *exit = &level->exits[e];
        heads[exit->layer - 1] = (rung_exit_head){.weight = exit->head_weight, .bias = exit->head_bias};
    }
    rung_status status = rung_model_set_heads(model, (const char *const *)file->labels, file->num_labels, heads, error);
    free(heads);
    return status;
}

rung_status rung_attach_calibration_heads(rung_cascade *cascade, const rung_calibration_file *file, rung_error *error)
{
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        rung_cascade_level *level = &cascade->level[l];
        const rung_calibration_level *fitted = &file->levels[l];
        level->has_task_labels = fitted->exits[fitted->num_exits - 1].head_weight != NULL;
        if (level->model == NULL) {
            continue; /* another process has it */
        }
        rung_status status = level->has_task_labels ? attach_task(level->model, file, fitted, error)
                                                    : attach_early(cascade, level->model, file, fitted, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    return RUNG_OK;
}

static rung_status attach_empty(rung_model *model, const char *const *labels, size_t num_labels, rung_error *error)
{
    size_t layers = model->config.num_layers;
    rung_exit_head *heads = rung_alloc(layers, sizeof *heads, "exit heads", error);
    float *zeros = rung_alloc(num_labels * (model->config.hidden_size + 1), sizeof *zeros, "exit head", error);
    rung_status status = heads == NULL || zeros == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (size_t l = 0; status == RUNG_OK && l < layers; l++) {
        heads[l] = (rung_exit_head){.weight = zeros, .bias = zeros};
    }
    if (status == RUNG_OK) {
        status = rung_model_set_heads(model, labels, num_labels, heads, error);
    }
    free(heads);
    free(zeros);
    return status;
}

/* The first classifier of the cascade, whose labels an encoder beside it learns; NULL: there is none. */
static const rung_model *first_classifier(const rung_cascade *cascade)
{
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        if (cascade->level[l].model != NULL && cascade->level[l].model->config.num_labels > 0) {
            return cascade->level[l].model;
        }
    }
    return NULL;
}

rung_status rung_attach_empty_heads(rung_cascade *cascade, const rung_new_task *task, rung_error *error)
{
    const rung_model *classifier = task->all_levels ? NULL : first_classifier(cascade);
    size_t num_labels = classifier != NULL ? classifier->config.num_labels : task->num_labels;
    const char **labels = rung_alloc(num_labels, sizeof *labels, "labels", error);
    rung_status status = labels != NULL ? RUNG_OK : RUNG_NO_MEMORY;
    for (size_t c = 0; status == RUNG_OK && c < num_labels; c++) {
        labels[c] =
            classifier != NULL ? rung_cascade_config_rename(&cascade->config, classifier->labels[c]) : task->labels[c];
    }
    for (uint32_t l = 0; status == RUNG_OK && l < cascade->num_levels; l++) {
        rung_cascade_level *level = &cascade->level[l];
        if (level->model == NULL) {
            continue; /* another server has it */
        }
        level->has_task_labels = task->all_levels || level->model->config.num_labels == 0;
        if (!level->has_task_labels) {
            continue;
        }
        if (num_labels == 0) {
            status = rung_fail(error, task->why_none->code, "%.400s", task->why_none->message);
        } else {
            status = attach_empty(level->model, labels, num_labels, error);
        }
    }
    free(labels);
    return status;
}

rung_status rung_require_classifiers(const rung_cascade *cascade, rung_error *error)
{
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        const rung_model *model = cascade->level[l].model;
        if (model != NULL && model->config.num_labels == 0) {
            return rung_fail(error, RUNG_UNSUPPORTED,
                             "%s: is a plain encoder without a classifier: rung fit makes one from labelled texts, and "
                             "the calibration that it writes brings it",
                             model->path);
        }
    }
    return RUNG_OK;
}
