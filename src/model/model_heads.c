/* model_heads.c: labels and exit heads that a model gets after its file was read: none for a plain encoder, those of a task from the calibration or
 * the fit. Called by the loaders, src/run/cascade.c and src/fit/heads.c; exit_heads.c computes with them. */
#include "base/memory.h"
#include "model/model_config.h"
#include "model/model_load.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void rung_model_settle_labels(rung_model *model, bool has_classifier)
{
    if (model->config.labels_assumed && !has_classifier) {
        rung_labels_free(model->labels, model->config.num_labels);
        model->labels = NULL;
        model->config.num_labels = 0;
        model->config.task = RUNG_TASK_SINGLE_LABEL;
    }
}

static rung_status check_finite(const rung_model *model, size_t layer, const float *values, size_t count,
                                rung_error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) {
            return rung_fail(error, RUNG_INVALID, "%s: the head after layer %zu holds %g; it must be finite",
                             model->path, layer + 1, (double)values[i]);
        }
    }
    return RUNG_OK;
}

static rung_status check_heads(const rung_model *model, const char *const *labels, size_t num_labels,
                               const rung_exit_head *heads, rung_error *error)
{
    size_t layers = model->config.num_layers;
    if (labels != NULL ? num_labels < 2 || num_labels > RUNG_MAX_LABELS : num_labels != model->config.num_labels) {
        return rung_fail(error, RUNG_INVALID, "%s: heads for %zu labels; a new task has 2 to %d, the model's own %zu",
                         model->path, num_labels, RUNG_MAX_LABELS, model->config.num_labels);
    }
    if (labels != NULL && heads[layers - 1].weight == NULL) {
        return rung_fail(error, RUNG_INVALID, "%s: no head after layer %zu, the last; a task needs one there",
                         model->path, layers);
    }
    for (size_t l = 0; l < layers; l++) {
        if (heads[l].weight == NULL) {
            continue;
        }
        rung_status status = check_finite(model, l, heads[l].weight, num_labels * model->config.hidden_size, error);
        if (status == RUNG_OK) {
            status = check_finite(model, l, heads[l].bias, num_labels, error);
        }
        if (status != RUNG_OK) {
            return status;
        }
    }
    return RUNG_OK;
}

static rung_status copy_labels(const char *const *labels, size_t num_labels, char ***out, rung_error *error)
{
    char **copies = rung_alloc(num_labels, sizeof *copies, "labels", error);
    if (copies == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < num_labels; i++) {
        copies[i] = rung_copy_text(labels[i], strlen(labels[i]), "label", error);
        if (copies[i] == NULL) {
            rung_labels_free(copies, num_labels);
            return RUNG_NO_MEMORY;
        }
    }
    *out = copies;
    return RUNG_OK;
}

/* What the exits become. Copies belong to the model, also when they are not used in the end. */
static rung_status copy_heads(rung_model *model, bool new_task, size_t num_labels, const rung_exit_head *heads,
                              rung_exit_head *exits, rung_error *error)
{
    static const rung_exit_head none = {0};
    size_t hidden = model->config.hidden_size;
    for (size_t l = 0; l < model->config.num_layers; l++) {
        if (heads[l].weight == NULL) {
            exits[l] = new_task ? none : model->exits[l];
            continue;
        }
        float *weight = rung_model_alloc(model, num_labels * hidden, sizeof *weight, "exit head", error);
        float *bias = rung_model_alloc(model, num_labels, sizeof *bias, "exit head", error);
        if (weight == NULL || bias == NULL) {
            return RUNG_NO_MEMORY;
        }
        memcpy(weight, heads[l].weight, num_labels * hidden * sizeof *weight);
        memcpy(bias, heads[l].bias, num_labels * sizeof *bias);
        exits[l] = (rung_exit_head){.weight = weight, .bias = bias};
    }
    return RUNG_OK;
}

rung_status rung_model_set_heads(rung_model *model, const char *const *labels, size_t num_labels,
                                 const rung_exit_head *heads, rung_error *error)
{
    char **names = NULL;
    rung_exit_head *exits = NULL;
    rung_status status = check_heads(model, labels, num_labels, heads, error);
    if (status == RUNG_OK) {
        exits = rung_alloc(model->config.num_layers, sizeof *exits, "exit heads", error);
        status = exits != NULL ? RUNG_OK : RUNG_NO_MEMORY;
    }
    if (status == RUNG_OK && labels != NULL) {
        status = copy_labels(labels, num_labels, &names, error);
    }
    if (status == RUNG_OK) {
        status = copy_heads(model, labels != NULL, num_labels, heads, exits, error);
    }
    if (status != RUNG_OK) {
        rung_labels_free(names, num_labels);
        free(exits);
        return status;
    }
    if (labels != NULL) {
        rung_labels_free(model->labels, model->config.num_labels);
        model->labels = names;
        model->config.num_labels = num_labels;
        model->config.task = RUNG_TASK_SINGLE_LABEL;
    }
    if (heads[model->config.num_layers - 1].weight != NULL) {
        model->pooler = (rung_linear_f32){0}; /* the new head reads the state itself */
    }
    free(model->exits);
    model->exits = exits;
    return RUNG_OK;
}
