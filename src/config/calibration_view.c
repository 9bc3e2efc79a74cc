/* calibration_view.c: what src/cascade reads of a calibration file, the calibration that says nothing, and the comparison of a file with loaded
 * models. See calibration_file.h. */
#include "base/memory.h"
#include "config/calibration_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The temperatures and learned deferrals of one level by layer. */
static rung_status view_level(rung_calibration_file *file, uint32_t l, rung_level_calibration *out, rung_error *error)
{
    const rung_calibration_level *level = &file->levels[l];
    double *temperatures = rung_alloc(2 * (size_t)level->num_layers, sizeof *temperatures, "calibration", error);
    rung_deferral *deferrals = rung_alloc(level->num_layers, sizeof *deferrals, "calibration", error);
    if (temperatures == NULL || deferrals == NULL) {
        free(temperatures);
        free(deferrals);
        return RUNG_NO_MEMORY;
    }
    bool any_deferral = false;
    double *shapes = temperatures + level->num_layers;
    for (uint32_t layer = 0; layer < level->num_layers; layer++) {
        temperatures[layer] = 1;
        shapes[layer] = 1;
    }
    for (size_t i = 0; i < level->num_exits; i++) {
        const rung_calibration_exit *exit = &level->exits[i];
        temperatures[exit->layer - 1] = exit->temperature;
        shapes[exit->layer - 1] = exit->shape;
        if (exit->deferral_weight != NULL) {
            deferrals[exit->layer - 1] = (rung_deferral){
                .hidden_size = level->hidden_size, .weight = exit->deferral_weight, .bias = exit->deferral_bias};
            any_deferral = true;
        }
    }
    if (!any_deferral) {
        free(deferrals);
        deferrals = NULL;
    }
    free(file->temperatures[l]);
    free(file->deferrals[l]);
    file->temperatures[l] = temperatures;
    file->deferrals[l] = deferrals;
    *out = (rung_level_calibration){.num_exits = level->num_layers,
                                    .temperature = temperatures,
                                    .shape = shapes,
                                    .accuracy = level->accuracy,
                                    .deferral = deferrals,
                                    .class_accuracy = level->class_accuracy,
                                    .multi_label = file->task == RUNG_TASK_MULTI_LABEL};
    return RUNG_OK;
}

static rung_status view_pools(rung_calibration_file *file, const rung_pool **pools, rung_error *error)
{
    size_t sets = (size_t)1 << file->num_levels;
    rung_pool *made = NULL;
    if (file->num_pools > 0) {
        made = rung_alloc(sets, sizeof *made, "calibration", error);
        if (made == NULL) {
            return RUNG_NO_MEMORY;
        }
        for (size_t set = 0; set < sets; set++) {
            made[set] = (rung_pool){.accuracy_temperature = 1, .fitted_temperature = 1};
        }
        for (size_t i = 0; i < file->num_pools; i++) {
            const rung_calibration_pool *pool = &file->pools[i];
            made[pool->set].accuracy_temperature = pool->accuracy_temperature;
            made[pool->set].fitted_temperature = pool->fitted_temperature;
            memcpy(made[pool->set].fitted_weight, pool->fitted_weight, sizeof pool->fitted_weight);
        }
    }
    free(file->pools_by_set);
    file->pools_by_set = made;
    *pools = made;
    return RUNG_OK;
}

rung_status rung_calibration_file_view(rung_calibration_file *file, rung_calibration *calibration, rung_error *error)
{
    rung_calibration view = {.num_levels = file->num_levels, .num_classes = (uint32_t)file->num_labels};
    rung_status status = view_pools(file, &view.pools, error);
    for (uint32_t l = 0; status == RUNG_OK && l < file->num_levels; l++) {
        status = view_level(file, l, &view.level[l], error);
    }
    if (status == RUNG_OK) {
        *calibration = view;
    }
    return status;
}

static rung_status fill_identity_level(uint32_t number, const rung_model *model, rung_calibration_level *level,
                                       rung_error *error)
{
    char name[16];
    snprintf(name, sizeof name, "level%u", number);
    if (model == NULL) {
        *level = (rung_calibration_level){.is_remote = true, .num_layers = 1, .accuracy = 1, .agreement = 1};
        level->name = rung_copy_text(name, strlen(name), "calibration", error);
        level->exits = rung_alloc(1, sizeof *level->exits, "calibration", error);
        if (level->name == NULL || level->exits == NULL) {
            return RUNG_NO_MEMORY;
        }
        level->num_exits = 1;
        level->exits[0] = (rung_calibration_exit){.layer = 1, .temperature = 1, .shape = 1, .accuracy = 1};
        return RUNG_OK;
    }
    *level = (rung_calibration_level){.num_layers = (uint32_t)model->config.num_layers,
                                      .max_tokens = (uint32_t)model->config.max_tokens,
                                      .type_vocab_size = (uint32_t)model->config.type_vocab_size,
                                      .hidden_size = (uint32_t)model->config.hidden_size,
                                      .accuracy = 1,
                                      .agreement = 1};
    level->name = rung_copy_text(name, strlen(name), "calibration", error);
    level->exits = rung_alloc(level->num_layers, sizeof *level->exits, "calibration", error);
    if (level->name == NULL || level->exits == NULL) {
        return RUNG_NO_MEMORY;
    }
    memcpy(level->model_sha256, model->hash, sizeof level->model_sha256);
    memcpy(level->tokenizer_sha256, rung_tokenizer_hash(model->tokenizer), sizeof level->tokenizer_sha256);
    for (uint32_t layer = 1; layer <= level->num_layers; layer++) {
        if (rung_model_has_exit(model, layer - 1)) {
            level->exits[level->num_exits++] =
                (rung_calibration_exit){.layer = layer, .temperature = 1, .shape = 1, .accuracy = 1};
        }
    }
    return RUNG_OK;
}

rung_status rung_calibration_file_identity(uint32_t num_levels, const rung_model *const *models,
                                           rung_calibration_file *file, rung_error *error)
{
    rung_calibration_file made = {.num_levels = num_levels,
                                  .precision = models[0]->precision,
                                  .task = models[0]->config.task,
                                  .num_labels = models[0]->config.num_labels};
    made.labels = rung_alloc(made.num_labels, sizeof *made.labels, "calibration", error);
    rung_status status = made.labels == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < made.num_labels; i++) {
        made.labels[i] = rung_copy_text(models[0]->labels[i], strlen(models[0]->labels[i]), "calibration", error);
        status = made.labels[i] == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    }
    for (uint32_t l = 0; status == RUNG_OK && l < num_levels; l++) {
        status = fill_identity_level(l + 1, models[l], &made.levels[l], error);
    }
    if (status != RUNG_OK) {
        rung_calibration_file_deinit(&made);
        return status;
    }
    rung_calibration_file_deinit(file);
    *file = made;
    return RUNG_OK;
}

static const char *name_of(const rung_calibration_file *file)
{
    return file->path != NULL ? file->path : "calibration";
}

static rung_status check_level(const rung_calibration_file *file, uint32_t l, const rung_model *model,
                               rung_error *error)
{
    const rung_calibration_level *level = &file->levels[l];
    if (model->precision != file->precision) {
        const char *theirs = file->precision == RUNG_PRECISION_FP32 ? "fp32" : "int8";
        return rung_fail(
            error, RUNG_MISMATCH,
            "%s: was fitted in %s, but %s runs in %s; run rung fit in that precision, or use --precision %s",
            name_of(file), theirs, model->path, model->precision == RUNG_PRECISION_FP32 ? "fp32" : "int8", theirs);
    }
    if (strcmp(level->model_sha256, model->hash) != 0) {
        return rung_fail(error, RUNG_MISMATCH,
                         "%s: levels[%u].model_sha256 is %.12s..., but %s has %.12s...; run rung fit for these models",
                         name_of(file), l, level->model_sha256, model->path, model->hash);
    }
    const struct {
        const char *key;
        size_t stated, is;
    } sizes[] = {
        {"layers", level->num_layers, model->config.num_layers},
        {"hidden_size", level->hidden_size, model->config.hidden_size},
        {"max_tokens", level->max_tokens, model->config.max_tokens},
        {"type_vocab_size", level->type_vocab_size, model->config.type_vocab_size},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (sizes[i].stated != sizes[i].is) {
            return rung_fail(error, RUNG_MISMATCH,
                             "%s: levels[%u].%s is %zu, but %s has %zu; run rung fit for these models", name_of(file),
                             l, sizes[i].key, sizes[i].stated, model->path, sizes[i].is);
        }
    }
    if (strcmp(level->tokenizer_sha256, rung_tokenizer_hash(model->tokenizer)) != 0) {
        return rung_fail(error, RUNG_MISMATCH,
                         "%s: levels[%u].tokenizer_sha256 is %.12s..., but that of %s is %.12s...; run rung fit for "
                         "these models",
                         name_of(file), l, level->tokenizer_sha256, model->path, rung_tokenizer_hash(model->tokenizer));
    }
    if (file->task != model->config.task) {
        return rung_fail(error, RUNG_MISMATCH, "%s: task is %s, but %s is %s; run rung fit for these models",
                         name_of(file), file->task == RUNG_TASK_SINGLE_LABEL ? "single_label" : "multi_label",
                         model->path, model->config.task == RUNG_TASK_SINGLE_LABEL ? "single_label" : "multi_label");
    }
    return RUNG_OK;
}

rung_status rung_calibration_file_check_models(const rung_calibration_file *file, uint32_t num_levels,
                                               const rung_model *const *models, rung_error *error)
{
    if (file->num_levels != num_levels) {
        return rung_fail(error, RUNG_MISMATCH, "%s: is for %u levels, but the cascade has %u; run rung fit for it",
                         name_of(file), file->num_levels, num_levels);
    }
    for (uint32_t l = 0; l < num_levels; l++) {
        rung_status status = models[l] != NULL ? check_level(file, l, models[l], error) : RUNG_OK;
        if (status != RUNG_OK) {
            return status;
        }
    }
    return RUNG_OK;
}

rung_status rung_calibration_file_check(const rung_calibration_file *file, uint32_t num_levels,
                                        const rung_model *const *models, const char *const *labels, size_t num_labels,
                                        rung_error *error)
{
    rung_status status = rung_calibration_file_check_models(file, num_levels, models, error);
    if (status != RUNG_OK) {
        return status;
    }
    if (file->num_labels != num_labels) {
        return rung_fail(error, RUNG_MISMATCH,
                         "%s: has %zu labels, but the models have %zu; run rung fit for these models", name_of(file),
                         file->num_labels, num_labels);
    }
    for (size_t i = 0; i < num_labels; i++) {
        if (strcmp(file->labels[i], labels[i]) != 0) {
            return rung_fail(
                error, RUNG_MISMATCH,
                "%s: labels[%zu] is '%.64s', but the models' is '%.64s'; run rung fit again, or rename with labels",
                name_of(file), i, file->labels[i], labels[i]);
        }
    }
    return RUNG_OK;
}
