/* fit_cascade.c: temperatures, weights and thresholds of a cascade. See fit_cascade.h. */
#include "fit/fit_cascade.h"

#include "base/memory.h"
#include "cascade/confidence.h"
#include "fit/temperature.h"
#include "fit/threshold.h"

#include <stdlib.h>
#include <string.h>

/* Logits of exit `exit` (0-based) of input i within a record [count, layers, classes]. */
static const float *exit_logits(const float *record, const rung_model *model, size_t i, size_t exit)
{
    return record + (i * model->config.num_layers + exit) * model->config.num_labels;
}

static uint32_t argmax_logits(const float *logits, size_t classes)
{
    uint32_t best = 0;
    for (uint32_t c = 1; c < classes; c++) {
        best = logits[c] > logits[best] ? c : best;
    }
    return best;
}

static double exit_accuracy(const float *record, const rung_model *model, size_t exit, const rung_dataset *data)
{
    size_t right = 0;
    for (size_t i = 0; i < data->count; i++) {
        right += argmax_logits(exit_logits(record, model, i, exit), model->config.num_labels) == data->labels[i];
    }
    return (double)right / (double)data->count;
}

static rung_status fit_exit(const float *record, const rung_model *model, size_t exit, const rung_dataset *data,
                            rung_calibration_exit *out, rung_error *error)
{
    size_t classes = model->config.num_labels;
    rung_fit_logits logits = {.logits = exit_logits(record, model, 0, exit),
                              .stride = model->config.num_layers * classes,
                              .n = data->count,
                              .num_classes = classes};
    rung_temperature_fit fit;
    rung_status status = rung_fit_temperature(&logits, data->labels, &fit, error);
    if (status != RUNG_OK) {
        return rung_fail_in(error, "%s, exit %zu", model->path, exit + 1);
    }
    *out = (rung_calibration_exit){.layer = (uint32_t)exit + 1,
                                   .temperature = fit.temperature,
                                   .accuracy = exit_accuracy(record, model, exit, data),
                                   .nll_before = fit.nll_before,
                                   .nll_after = fit.nll};
    return RUNG_OK;
}

/* Records the level at full text and fits each exit. top_labels [count] is filled at the top level. */
static rung_status fit_level(const rung_cascade *cascade, uint32_t level, const rung_dataset *data,
                             const rung_progress *progress, rung_calibration_level *out, uint32_t *top_labels,
                             rung_error *error)
{
    const rung_model *model = cascade->level[level - 1].model;
    size_t layers = model->config.num_layers;
    float *record = rung_alloc(data->count, layers * cascade->num_classes * sizeof *record, "record", error);
    if (record == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = rung_fit_record(cascade, level, data->inputs, data->count, progress, record, error);
    size_t fitted = 0;
    for (size_t exit = 0; status == RUNG_OK && exit < layers; exit++) {
        if (rung_model_has_exit(model, exit)) {
            status = fit_exit(record, model, exit, data, &out->exits[fitted++], error);
        }
    }
    if (status == RUNG_OK) {
        out->accuracy = out->exits[out->num_exits - 1].accuracy;
        for (size_t i = 0; level == cascade->num_levels && i < data->count; i++) {
            top_labels[i] = argmax_logits(exit_logits(record, model, i, layers - 1), cascade->num_classes);
        }
    }
    free(record);
    return status;
}

/* Of the requests that reach `level`: how sure it is, and whether it says what the top level says. */
typedef struct reached {
    double *confidence; /* [count] */
    bool *agrees;       /* [count] */
    size_t count;
} reached;

/* Runs levels 1 .. level of the cascade as if `level` were the top: it computes what reaches it and answers. */
static rung_status run_lower_levels(const rung_cascade *cascade, uint32_t level, const rung_policy *policy,
                                    const rung_calibration *calibration, const rung_dataset *data,
                                    const rung_progress *progress, rung_answers **answers, rung_error *error)
{
    rung_cascade lower = *cascade;
    lower.num_levels = level;
    lower.calibration = *calibration;
    lower.calibration.num_levels = level;
    lower.num_idle = 0;
    pthread_mutex_init(&lower.lock, NULL);
    rung_status status =
        rung_cascade_classify_policy(&lower, policy, data->inputs, data->count, progress, answers, error);
    rung_cascade_drop_workers(&lower);
    pthread_mutex_destroy(&lower.lock);
    return status;
}

static rung_status collect_reached(const rung_cascade *cascade, uint32_t level, const rung_answers *answers,
                                   const uint32_t *top_labels, reached *out, rung_error *error)
{
    for (size_t i = 0; i < rung_answers_count(answers); i++) {
        const rung_answer *answer = rung_answers_get(answers, i);
        if (answer->status != RUNG_OK) {
            return rung_fail(error, answer->status, "input %zu: %s", i, answer->error);
        }
        if (answer->num_levels < level || answer->levels[level - 1].probabilities == NULL) {
            continue;
        }
        const rung_level_answer *own = &answer->levels[level - 1];
        out->confidence[out->count] = own->confidence;
        out->agrees[out->count++] = rung_argmax(own->probabilities, cascade->num_classes) == top_labels[i];
    }
    return RUNG_OK;
}

static rung_status fit_threshold(const rung_cascade *cascade, uint32_t level, rung_policy *policy,
                                 const rung_calibration *calibration, const rung_dataset *data,
                                 const uint32_t *top_labels, double target, const rung_progress *progress,
                                 rung_calibration_level *out, rung_error *error)
{
    reached here = {.confidence = rung_alloc(data->count, sizeof(double), "confidences", error),
                    .agrees = rung_alloc(data->count, sizeof(bool), "agreements", error)};
    rung_answers *answers = NULL;
    rung_threshold_fit fit = {.threshold = 1, .agreement = 1}; /* nothing reaches this level */
    rung_status status = here.confidence == NULL || here.agrees == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    bool computes = level >= policy->first_compute_level; /* a level that only passes on has nothing to fit */
    if (status == RUNG_OK && computes) {
        status = run_lower_levels(cascade, level, policy, calibration, data, progress, &answers, error);
    }
    if (status == RUNG_OK && computes) {
        status = collect_reached(cascade, level, answers, top_labels, &here, error);
    }
    if (status == RUNG_OK && here.count > 0) {
        /* Below the last lower level each level holds the target on what it answers; the last one may spend what its requests that go to the
         * top leave, since those agree. So the whole cascade holds it, level by level. */
        rung_agreement_of of = level + 1 == cascade->num_levels ? RUNG_AGREEMENT_OF_ALL : RUNG_AGREEMENT_OF_ANSWERED;
        status = rung_fit_threshold(here.confidence, here.agrees, here.count, of, target, &fit, error);
    }
    if (status == RUNG_OK) {
        policy->offload.threshold[level - 1] = fit.threshold;
        out->has_threshold = true;
        out->threshold = fit.threshold;
        out->agreement = fit.agreement;
        out->answered = (double)fit.num_answered / (double)data->count;
    }
    rung_answers_free(answers);
    free(here.confidence);
    free(here.agrees);
    return status;
}

/* Names, hashes, layers and labels; every temperature 1. */
static rung_status start_file(const rung_cascade *cascade, const rung_dataset *data, const char *data_name,
                              double target_agreement, rung_calibration_file *file, rung_error *error)
{
    const rung_model *models[RUNG_MAX_LEVELS];
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        models[l] = cascade->level[l].model;
    }
    rung_status status = rung_calibration_file_identity(cascade->num_levels, models, file, error);
    for (uint32_t l = 0; status == RUNG_OK && l < cascade->num_levels; l++) {
        const char *name = cascade->level[l].name;
        free(file->levels[l].name);
        file->levels[l].name = rung_copy_text(name, strlen(name), "name", error);
        status = file->levels[l].name != NULL ? RUNG_OK : RUNG_NO_MEMORY;
    }
    for (uint32_t c = 0; status == RUNG_OK && c < cascade->num_classes; c++) {
        free(file->labels[c]);
        file->labels[c] = rung_copy_text(cascade->labels[c], strlen(cascade->labels[c]), "label", error);
        status = file->labels[c] != NULL ? RUNG_OK : RUNG_NO_MEMORY;
    }
    if (status == RUNG_OK) {
        free(file->data_name);
        file->data_name = rung_copy_text(data_name, strlen(data_name), "name", error);
        status = file->data_name != NULL ? RUNG_OK : RUNG_NO_MEMORY;
    }
    memcpy(file->data_sha256, data->sha256, sizeof file->data_sha256);
    memcpy(file->policy_name, cascade->policy.name, sizeof file->policy_name);
    file->data_rows = data->count;
    file->target_agreement = target_agreement;
    file->seed = cascade->policy.seed;
    file->exit = cascade->policy.exit;
    return status;
}

static rung_status fit_file(const rung_cascade *cascade, const rung_dataset *data, double target_agreement,
                            const rung_progress *progress, rung_calibration_file *file, rung_error *error)
{
    uint32_t *top_labels = rung_alloc(data->count, sizeof *top_labels, "labels", error);
    rung_status status = top_labels == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (uint32_t level = 1; status == RUNG_OK && level <= cascade->num_levels; level++) {
        status = fit_level(cascade, level, data, progress, &file->levels[level - 1], top_labels, error);
    }
    rung_calibration calibration = {0};
    if (status == RUNG_OK) {
        status = rung_calibration_file_view(file, &calibration, error);
    }
    rung_policy policy = cascade->policy;
    for (uint32_t level = 1; status == RUNG_OK && level < cascade->num_levels; level++) {
        status = fit_threshold(cascade, level, &policy, &calibration, data, top_labels, target_agreement, progress,
                               &file->levels[level - 1], error);
    }
    if (status == RUNG_OK) {
        double below = 0;
        for (uint32_t l = 0; l + 1 < cascade->num_levels; l++) {
            below += file->levels[l].answered;
        }
        rung_calibration_level *top = &file->levels[cascade->num_levels - 1];
        top->agreement = 1;
        top->answered = below < 1 ? 1 - below : 0;
    }
    free(top_labels);
    return status;
}

rung_status rung_fit_cascade(const rung_cascade *cascade, const rung_dataset *data, const char *data_name,
                             double target_agreement, const rung_progress *progress, rung_calibration_file *file,
                             rung_error *error)
{
    rung_calibration_file made = {0};
    /* A calibration vouches for its models by their hashes, which loading takes on trust: here they are worked out. */
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        rung_status sound = rung_model_verify(cascade->level[l].model, error);
        if (sound != RUNG_OK) {
            return sound;
        }
    }
    rung_status status = start_file(cascade, data, data_name, target_agreement, &made, error);
    if (status == RUNG_OK) {
        status = fit_file(cascade, data, target_agreement, progress, &made, error);
    }
    if (status != RUNG_OK) {
        rung_calibration_file_deinit(&made);
        return status;
    }
    *file = made;
    return RUNG_OK;
}
