/* calibration_write.c: writing calibration.json, the view that src/cascade reads, and the comparison with loaded models. See
 * calibration_file.h. Numbers have the fewest digits that read back as the same double. */
#include "base/file.h"
#include "base/memory.h"
#include "config/calibration_file.h"
#include "config/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_string(rung_buffer *out, const char *text)
{
    rung_buffer_text(out, "\"");
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20) {
            rung_buffer_format(out, "\\u%04x", (unsigned)*c);
        } else {
            if (*c == '"' || *c == '\\') {
                rung_buffer_text(out, "\\");
            }
            rung_buffer_append(out, c, 1);
        }
    }
    rung_buffer_text(out, "\"");
}

/* A number that is not finite becomes null, which the reading back refuses by its field. */
static void put_number(rung_buffer *out, const char *before, double value)
{
    char digits[RUNG_NUMBER_BYTES];
    rung_buffer_format(out, "%s%s", before, isfinite(value) ? rung_print_number(value, digits) : "null");
}

static void put_exit(rung_buffer *out, const rung_calibration_exit *exit)
{
    rung_buffer_format(out, "      {\"layer\": %u", exit->layer);
    put_number(out, ", \"temperature\": ", exit->temperature);
    put_number(out, ", \"accuracy\": ", exit->accuracy);
    put_number(out, ", \"nll_before\": ", exit->nll_before);
    put_number(out, ", \"nll_after\": ", exit->nll_after);
    rung_buffer_text(out, "}");
}

static void put_level(rung_buffer *out, const rung_calibration_level *level)
{
    rung_buffer_text(out, "    {\"name\": ");
    put_string(out, level->name != NULL ? level->name : "");
    rung_buffer_format(out, ", \"model_sha256\": \"%s\", \"layers\": %u", level->model_sha256, level->num_layers);
    put_number(out, ", \"accuracy\": ", level->accuracy);
    if (level->has_threshold) {
        put_number(out, ", \"threshold\": ", level->threshold);
    }
    put_number(out, ", \"agreement\": ", level->agreement);
    put_number(out, ", \"answered\": ", level->answered);
    rung_buffer_text(out, ", \"exits\": [\n");
    for (size_t i = 0; i < level->num_exits; i++) {
        put_exit(out, &level->exits[i]);
        rung_buffer_text(out, i + 1 < level->num_exits ? ",\n" : "]}");
    }
}

static void put_file(rung_buffer *out, const rung_calibration_file *file)
{
    static const char *const rules[] = {"off", "paper", "agree"};
    rung_buffer_format(out, "{\n  \"format\": \"rung-calibration\",\n  \"version\": %d,\n", RUNG_CALIBRATION_VERSION);
    rung_buffer_format(out, "  \"precision\": \"%s\",\n", file->precision == RUNG_PRECISION_FP32 ? "fp32" : "int8");
    rung_buffer_format(out, "  \"task\": \"%s\",\n",
                       file->task == RUNG_TASK_SINGLE_LABEL ? "single_label" : "multi_label");
    rung_buffer_text(out, "  \"labels\": [");
    for (size_t i = 0; i < file->num_labels; i++) {
        rung_buffer_text(out, i > 0 ? ", " : "");
        put_string(out, file->labels[i]);
    }
    rung_buffer_text(out, "],\n  \"data\": {\"name\": ");
    put_string(out, file->data_name != NULL ? file->data_name : "");
    rung_buffer_format(out, ", \"sha256\": \"%s\", \"rows\": %llu},\n", file->data_sha256,
                       (unsigned long long)file->data_rows);
    put_number(out, "  \"target_agreement\": ", file->target_agreement);
    rung_buffer_format(out, ",\n  \"seed\": %llu,\n  \"policy\": {\"name\": ", (unsigned long long)file->seed);
    put_string(out, file->policy_name);
    rung_buffer_format(out, ", \"exit\": {\"rule\": \"%s\"",
                       file->exit.rule <= RUNG_EXIT_AGREE ? rules[file->exit.rule] : "");
    put_number(out, ", \"tau\": ", file->exit.tau);
    rung_buffer_format(out, ", \"patience\": %u", file->exit.patience);
    put_number(out, ", \"confidence\": ", file->exit.confidence);
    rung_buffer_format(out, ", \"first_layer\": %u}},\n  \"levels\": [\n", file->exit.first_layer);
    for (uint32_t l = 0; l < file->num_levels; l++) {
        put_level(out, &file->levels[l]);
        rung_buffer_text(out, l + 1 < file->num_levels ? ",\n" : "");
    }
    rung_buffer_text(out, "\n  ]\n}\n");
}

rung_status rung_calibration_file_print(const rung_calibration_file *file, rung_buffer *out, rung_error *error)
{
    rung_buffer text = {0};
    rung_calibration_file read_back = {0};
    put_file(&text, file);
    rung_status status = rung_buffer_check(&text, "calibration", error);
    if (status == RUNG_OK) {
        /* The reader is the one place that knows the ranges. */
        status = rung_calibration_file_parse(text.data, text.length, "calibration", &read_back, error);
        status = status == RUNG_OK || status == RUNG_NO_MEMORY ? status : RUNG_INVALID;
        if (status == RUNG_INVALID && error != NULL) {
            error->code = RUNG_INVALID;
        }
    }
    if (status == RUNG_OK) {
        rung_buffer_append(out, text.data, text.length);
        status = rung_buffer_check(out, "calibration", error);
    }
    rung_calibration_file_deinit(&read_back);
    rung_buffer_deinit(&text);
    return status;
}

rung_status rung_calibration_file_save(const rung_calibration_file *file, const char *path, rung_error *error)
{
    rung_buffer text = {0};
    rung_status status = rung_calibration_file_print(file, &text, error);
    if (status == RUNG_OK) {
        status = rung_write_file(path, text.data, text.length, error);
    }
    rung_buffer_deinit(&text);
    return status;
}

rung_status rung_calibration_file_view(rung_calibration_file *file, rung_calibration *calibration, rung_error *error)
{
    rung_calibration view = {.num_levels = file->num_levels, .num_classes = (uint32_t)file->num_labels};
    for (uint32_t l = 0; l < file->num_levels; l++) {
        const rung_calibration_level *level = &file->levels[l];
        double *temperatures = rung_alloc(level->num_layers, sizeof *temperatures, "calibration", error);
        if (temperatures == NULL) {
            return RUNG_NO_MEMORY;
        }
        for (uint32_t layer = 0; layer < level->num_layers; layer++) {
            temperatures[layer] = 1;
        }
        for (size_t i = 0; i < level->num_exits; i++) {
            temperatures[level->exits[i].layer - 1] = level->exits[i].temperature;
        }
        free(file->temperatures[l]);
        file->temperatures[l] = temperatures;
        view.level[l] = (rung_level_calibration){
            .num_exits = level->num_layers, .temperature = temperatures, .accuracy = level->accuracy};
    }
    *calibration = view;
    return RUNG_OK;
}

static rung_status fill_identity_level(uint32_t number, const rung_model *model, rung_calibration_level *level,
                                       rung_error *error)
{
    char name[16];
    snprintf(name, sizeof name, "level%u", number);
    *level = (rung_calibration_level){.num_layers = (uint32_t)model->config.num_layers, .accuracy = 1, .agreement = 1};
    level->name = rung_copy_text(name, strlen(name), "calibration", error);
    level->exits = rung_alloc(level->num_layers, sizeof *level->exits, "calibration", error);
    if (level->name == NULL || level->exits == NULL) {
        return RUNG_NO_MEMORY;
    }
    memcpy(level->model_sha256, model->hash, sizeof level->model_sha256);
    for (uint32_t layer = 1; layer <= level->num_layers; layer++) {
        if (rung_model_has_exit(model, layer - 1)) {
            level->exits[level->num_exits++] = (rung_calibration_exit){.layer = layer, .temperature = 1, .accuracy = 1};
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
    if (level->num_layers != model->config.num_layers) {
        return rung_fail(error, RUNG_MISMATCH,
                         "%s: levels[%u].layers is %u, but %s has %zu; run rung fit for these models", name_of(file), l,
                         level->num_layers, model->path, model->config.num_layers);
    }
    if (file->task != model->config.task) {
        return rung_fail(error, RUNG_MISMATCH, "%s: task is %s, but %s is %s; run rung fit for these models",
                         name_of(file), file->task == RUNG_TASK_SINGLE_LABEL ? "single_label" : "multi_label",
                         model->path, model->config.task == RUNG_TASK_SINGLE_LABEL ? "single_label" : "multi_label");
    }
    return RUNG_OK;
}

rung_status rung_calibration_file_check(const rung_calibration_file *file, uint32_t num_levels,
                                        const rung_model *const *models, const char *const *labels, size_t num_labels,
                                        rung_error *error)
{
    if (file->num_levels != num_levels) {
        return rung_fail(error, RUNG_MISMATCH, "%s: is for %u levels, but the cascade has %u; run rung fit for it",
                         name_of(file), file->num_levels, num_levels);
    }
    for (uint32_t l = 0; l < num_levels; l++) {
        rung_status status = check_level(file, l, models[l], error);
        if (status != RUNG_OK) {
            return status;
        }
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
