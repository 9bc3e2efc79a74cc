/* fit_cascade.c: temperatures, pools, deferral and thresholds of a cascade. See fit_cascade.h. */
#include "fit/fit_cascade.h"

#include "base/memory.h"
#include "cascade/confidence.h"
#include "cascade/offload.h"
#include "fit/fit_deferral.h"
#include "fit/scores.h"
#include "fit/shape.h"
#include "fit/threshold.h"

#include <stdlib.h>
#include <string.h>

/* One fit. */
typedef struct fit_run {
    rung_cascade cascade; /* the caller's, with what is fitted so far as its calibration */
    const rung_dataset *data;
    const rung_fit_options *options;
    rung_calibration_file *file;
    rung_remote_client *client; /* of the top level, where that is remote; else NULL */
    const char **columns;       /* its labels in the order of its probabilities, renamed; NULL: the cascade's */
    uint32_t *top_labels;       /* [count] what the top level says of the full text */
    float *top_targets;         /* [count, num_classes] how sure it is, without labels; NULL with them */
    rung_fit_truth truth;
    rung_policy policy; /* with the thresholds chosen so far */
    rung_reach reach;
    /* Of the level in turn, [count]: */
    double *confidence; /* that decides */
    double *learned;    /* 1 - q */
    bool *agrees;       /* what the pool says, with the top level */
    bool *mends;        /* the top level would mend it */
} fit_run;

static size_t count_of(const fit_run *run)
{
    return run->data->count;
}

/* What one level says of every input at full text. */
typedef struct level_record {
    uint32_t level;
    size_t num_layers, num_classes;
    float *logits; /* [count, num_layers, num_classes] */
} level_record;

/* Logits of exit `exit` (0-based) of input i. */
static const float *exit_logits(const level_record *record, size_t i, size_t exit)
{
    return record->logits + (i * record->num_layers + exit) * record->num_classes;
}

/* The same of all inputs. */
static rung_fit_logits logits_of_exit(const fit_run *run, const level_record *record, size_t exit)
{
    return (rung_fit_logits){.logits = exit_logits(record, 0, exit),
                             .stride = record->num_layers * record->num_classes,
                             .n = count_of(run),
                             .num_classes = record->num_classes};
}

/* Accuracy and calibration error of a fitted exit. */
static rung_status score_exit(const fit_run *run, const level_record *record, size_t exit, rung_calibration_exit *out,
                              rung_error *error)
{
    size_t classes = run->cascade.num_classes;
    double *probabilities = rung_alloc(count_of(run), classes * sizeof *probabilities, "probabilities", error);
    if (probabilities == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_level_calibration calibration = {.num_exits = 1, .temperature = &out->temperature, .shape = &out->shape};
    for (size_t i = 0; i < count_of(run); i++) {
        rung_calibrated_probabilities(&calibration, 1, exit_logits(record, i, exit), classes,
                                      probabilities + i * classes);
    }
    rung_scores scores = {0};
    rung_status status = rung_scores_of(probabilities, run->truth.labels, count_of(run), classes, &scores, error);
    out->accuracy = scores.accuracy;
    out->ece = scores.ece;
    free(probabilities);
    return status;
}

/* What messages call the source of a level's logits. */
static const char *source_of(const fit_run *run, uint32_t level)
{
    const rung_cascade_level *of = &run->cascade.level[level - 1];
    return of->model != NULL ? of->model->path : of->name;
}

static rung_status fit_exit(const fit_run *run, const level_record *record, size_t exit, rung_calibration_exit *out,
                            rung_error *error)
{
    rung_fit_logits logits = logits_of_exit(run, record, exit);
    bool own_targets =
        run->top_targets != NULL && record->level == run->cascade.num_levels && exit + 1 == record->num_layers;
    rung_shape_fit fit;
    rung_status status = rung_fit_shape(&logits, run->truth.labels, run->top_targets, &fit, error);
    if (status == RUNG_OK) {
        *out = (rung_calibration_exit){.layer = (uint32_t)exit + 1,
                                       .temperature = own_targets ? 1 : fit.temperature,
                                       .shape = own_targets ? 1 : fit.shape, /* it is what the others are measured by */
                                       .nll_before = fit.nll_before,
                                       .nll_after = own_targets ? fit.nll_before : fit.nll};
        status = score_exit(run, record, exit, out, error);
    }
    return status == RUNG_OK ? RUNG_OK : rung_fail_in(error, "%s, exit %zu", source_of(run, record->level), exit + 1);
}

/* What the top level says of the full texts, and without labels how sure it is. */
static void keep_top(fit_run *run, const level_record *record)
{
    size_t classes = run->cascade.num_classes;
    size_t last = record->num_layers - 1;
    double probabilities[RUNG_MAX_LABELS];
    for (size_t i = 0; i < count_of(run); i++) {
        const float *logits = exit_logits(record, i, last);
        run->top_labels[i] = rung_argmax_logits(logits, classes);
        rung_softmax(logits, classes, 1, probabilities);
        for (size_t c = 0; run->top_targets != NULL && c < classes; c++) {
            run->top_targets[i * classes + c] = (float)probabilities[c];
        }
    }
}

/* What each label's votes of this level count. */
static rung_status fit_class_accuracy(const fit_run *run, const level_record *record, rung_calibration_level *out,
                                      rung_error *error)
{
    out->class_accuracy = rung_alloc(run->cascade.num_classes, sizeof *out->class_accuracy, "calibration", error);
    if (out->class_accuracy == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_fit_logits last = logits_of_exit(run, record, record->num_layers - 1);
    rung_class_accuracy(&last, run->truth.labels, out->class_accuracy);
    return RUNG_OK;
}

/* The full texts, as the server of a remote level is asked them. */
static rung_status record_remote(const fit_run *run, float *logits, rung_error *error)
{
    rung_payload *texts = rung_alloc(count_of(run), sizeof *texts, "record", error);
    if (texts == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < count_of(run); i++) {
        const rung_input *input = &run->data->inputs[i];
        texts[i] = (rung_payload){.text = {input->text, input->text_bytes},
                                  .pair = {input->text_pair, input->text_pair_bytes}};
    }
    rung_status status =
        rung_remote_client_ask(run->client, texts, NULL, count_of(run), run->options->progress, logits, error);
    free(texts);
    return status;
}

/* Records the level at full text and fits each exit. */
static rung_status fit_exits(fit_run *run, uint32_t level, rung_error *error)
{
    rung_calibration_level *out = &run->file->levels[level - 1];
    level_record record = {.level = level, .num_layers = out->num_layers, .num_classes = run->cascade.num_classes};
    record.logits =
        rung_alloc(count_of(run), record.num_layers * record.num_classes * sizeof *record.logits, "record", error);
    if (record.logits == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = out->is_remote ? record_remote(run, record.logits, error)
                                        : rung_fit_record(&run->cascade, level, run->data->inputs, count_of(run),
                                                          run->options->progress, record.logits, error);
    if (status == RUNG_OK && level == run->cascade.num_levels) {
        keep_top(run, &record);
    }
    for (size_t e = 0; status == RUNG_OK && e < out->num_exits; e++) {
        status = fit_exit(run, &record, out->exits[e].layer - 1, &out->exits[e], error);
    }
    if (status == RUNG_OK) {
        out->accuracy = out->exits[out->num_exits - 1].accuracy;
        status = fit_class_accuracy(run, &record, out, error);
    }
    free(record.logits);
    return status;
}

/* What is fitted so far takes effect. */
static rung_status use_file(fit_run *run, rung_error *error)
{
    return rung_calibration_file_view(run->file, &run->cascade.calibration, error);
}

/* For every input at this level: the confidence that decides, and whether the answer here would be the top level's. */
static rung_status judge(fit_run *run, uint32_t level, rung_error *error)
{
    size_t classes = run->cascade.num_classes;
    double *pooled = rung_alloc(classes, sizeof *pooled, "pool", error);
    if (pooled == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < count_of(run); i++) {
        if (!run->reach.trails[i].going) {
            continue;
        }
        rung_reach_pool(&run->reach, &run->policy, level, i, pooled);
        uint32_t label = rung_argmax(pooled, classes);
        run->confidence[i] =
            run->policy.pooled_decision ? (float)pooled[label] : rung_reach_found(&run->reach, level, i)->confidence;
        run->agrees[i] = label == run->top_labels[i];
        run->mends[i] = label != run->top_labels[i] && run->top_labels[i] == run->truth.labels[i];
    }
    free(pooled);
    return RUNG_OK;
}

/* The least threshold for `confidence` among the inputs at this level. */
static rung_status choose_threshold(const fit_run *run, uint32_t level, const double *confidence,
                                    rung_threshold_fit *fit, rung_error *error)
{
    *fit = (rung_threshold_fit){.threshold = 1, .agreement = 1}; /* nothing reaches this level */
    double *values = rung_alloc(count_of(run), sizeof *values, "confidences", error);
    bool *agrees = rung_alloc(count_of(run), sizeof *agrees, "agreements", error);
    rung_status status = values == NULL || agrees == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    size_t n = 0;
    for (size_t i = 0; status == RUNG_OK && i < count_of(run); i++) {
        if (run->reach.trails[i].going) {
            values[n] = confidence[i];
            agrees[n++] = run->agrees[i];
        }
    }
    if (status == RUNG_OK && n > 0) {
        /* Below the last lower level each level holds the target on what it answers; the last one may spend what its requests that go to the
         * top leave, since those agree. So the whole cascade holds it, level by level. */
        rung_agreement_of of =
            level + 1 == run->cascade.num_levels ? RUNG_AGREEMENT_OF_ALL : RUNG_AGREEMENT_OF_ANSWERED;
        status = rung_fit_threshold(values, agrees, n, of, run->options->target_agreement, fit, error);
    }
    free(values);
    free(agrees);
    return status;
}

static rung_status fit_deferral(fit_run *run, uint32_t level, rung_error *error)
{
    rung_threshold_fit fit;
    rung_calibration_level *out = &run->file->levels[level - 1];
    rung_status status = rung_fit_deferral(&run->reach, level, run->mends, run->file, run->learned, error);
    if (status == RUNG_OK) {
        status = choose_threshold(run, level, run->learned, &fit, error);
    }
    if (status == RUNG_OK) {
        out->has_deferral_threshold = true;
        out->deferral_threshold = fit.threshold;
        out->deferral_answered = (double)fit.num_answered / (double)count_of(run);
    }
    return status;
}

/* Who goes on from `level`, by the policy with its thresholds. */
static void send_up(fit_run *run, uint32_t level, const double *confidence)
{
    for (size_t i = 0; i < count_of(run); i++) {
        rung_trail *trail = &run->reach.trails[i];
        trail->going = trail->going && rung_offload_decide(&run->policy.offload, level, confidence[i], trail->key);
    }
}

/* Runs a level below the top on what reaches it; pools, deferral, threshold. */
static rung_status fit_lower_level(fit_run *run, uint32_t level, rung_error *error)
{
    rung_calibration_level *out = &run->file->levels[level - 1];
    out->has_threshold = true;
    out->threshold = 1;
    rung_status status = rung_reach_run(&run->reach, level, run->options->progress, error);
    if (status != RUNG_OK || level < run->policy.first_compute_level) {
        return status; /* a level that only passes on has nothing to fit */
    }
    bool learns = !run->policy.raw_ensemble; /* pools and deferral are learned on calibrated probabilities */
    if (learns) {
        status = rung_fit_pools(&run->reach, level, &run->truth, run->file, error);
    }
    if (status == RUNG_OK) {
        status = use_file(run, error);
    }
    if (status == RUNG_OK) {
        status = judge(run, level, error);
    }
    if (status == RUNG_OK && learns) {
        status = fit_deferral(run, level, error);
    }
    rung_threshold_fit fit = {0};
    if (status == RUNG_OK) {
        status = choose_threshold(run, level, run->confidence, &fit, error);
    }
    if (status == RUNG_OK) {
        bool learned = learns && run->policy.defer == RUNG_DEFER_LEARNED;
        out->threshold = fit.threshold;
        out->agreement = fit.agreement;
        out->answered = (double)fit.num_answered / (double)count_of(run);
        run->policy.offload.threshold[level - 1] = learned ? out->deferral_threshold : out->threshold;
        send_up(run, level, learned ? run->learned : run->confidence);
    }
    return status;
}

/* The top level on what reaches it: the pools with it, and how often the answers are those that it gives to the full text. */
static rung_status fit_top_level(fit_run *run, rung_error *error)
{
    uint32_t level = run->cascade.num_levels;
    rung_calibration_level *out = &run->file->levels[level - 1];
    rung_status status = rung_reach_run(&run->reach, level, run->options->progress, error);
    if (status == RUNG_OK && !run->policy.raw_ensemble) {
        status = rung_fit_pools(&run->reach, level, &run->truth, run->file, error);
    }
    if (status == RUNG_OK) {
        status = use_file(run, error);
    }
    if (status == RUNG_OK) {
        status = judge(run, level, error);
    }
    size_t going = 0;
    size_t agreeing = 0;
    for (size_t i = 0; status == RUNG_OK && i < count_of(run); i++) {
        going += run->reach.trails[i].going;
        agreeing += run->reach.trails[i].going && run->agrees[i];
    }
    out->agreement = going > 0 ? (double)agreeing / (double)going : 1;
    out->answered = (double)going / (double)count_of(run);
    return status;
}

static rung_status set_name(char **name, const char *text, rung_error *error)
{
    free(*name);
    *name = rung_copy_text(text, strlen(text), "name", error);
    return *name != NULL ? RUNG_OK : RUNG_NO_MEMORY;
}

/* Names, hashes, layers and labels; every temperature 1. */
static rung_status start_file(const rung_cascade *cascade, const rung_dataset *data, const rung_fit_options *options,
                              rung_calibration_file *file, rung_error *error)
{
    const rung_model *models[RUNG_MAX_LEVELS];
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        models[l] = cascade->level[l].model;
    }
    rung_status status = rung_calibration_file_identity(cascade->num_levels, models, file, error);
    for (uint32_t l = 0; status == RUNG_OK && l < cascade->num_levels; l++) {
        status = set_name(&file->levels[l].name, cascade->level[l].name, error);
    }
    for (uint32_t c = 0; status == RUNG_OK && c < cascade->num_classes; c++) {
        status = set_name(&file->labels[c], cascade->labels[c], error);
    }
    if (status == RUNG_OK) {
        status = set_name(&file->data_name, options->data_name, error);
    }
    const rung_policy *policy = &cascade->policy;
    memcpy(file->data_sha256, data->sha256, sizeof file->data_sha256);
    memcpy(file->policy.name, policy->name, sizeof file->policy.name);
    file->policy.exit = policy->exit;
    file->policy.variant = policy->variant;
    file->policy.weights = policy->weights;
    file->policy.defer = policy->defer;
    file->policy.pooled_decision = policy->pooled_decision;
    file->policy.raw_ensemble = policy->raw_ensemble;
    file->labels_from = options->labels_from;
    file->data_rows = data->count;
    file->target_agreement = options->target_agreement;
    file->seed = policy->seed;
    return status;
}

static rung_status start_run(fit_run *run, const rung_cascade *cascade, rung_error *error)
{
    size_t count = count_of(run);
    run->cascade = *cascade;
    run->cascade.num_idle = 0; /* the workers are the caller's */
    run->policy = cascade->policy;
    run->top_labels = rung_alloc(count, sizeof *run->top_labels, "labels", error);
    run->confidence = rung_alloc(count, sizeof *run->confidence, "confidences", error);
    run->learned = rung_alloc(count, sizeof *run->learned, "confidences", error);
    run->agrees = rung_alloc(count, sizeof *run->agrees, "agreements", error);
    run->mends = rung_alloc(count, sizeof *run->mends, "agreements", error);
    bool failed = run->top_labels == NULL || run->confidence == NULL || run->learned == NULL || run->agrees == NULL ||
                  run->mends == NULL;
    run->truth.labels = run->data->labels;
    if (!failed && run->options->labels_from == RUNG_LABELS_FROM_TOP) {
        run->top_targets = rung_alloc(count, cascade->num_classes * sizeof *run->top_targets, "labels", error);
        failed = run->top_targets == NULL;
        run->truth = (rung_fit_truth){.labels = run->top_labels, .targets = run->top_targets};
    }
    return failed ? RUNG_NO_MEMORY : RUNG_OK;
}

static void end_run(fit_run *run)
{
    rung_reach_deinit(&run->reach);
    rung_remote_client_close(run->client);
    free(run->columns);
    free(run->top_labels);
    free(run->top_targets);
    free(run->confidence);
    free(run->learned);
    free(run->agrees);
    free(run->mends);
}

/* The labels of a remote level that were configured: those of the cascade, each once, in the order of its probabilities. */
static rung_status take_columns(fit_run *run, const rung_remote *remote, rung_error *error)
{
    const rung_cascade *cascade = &run->cascade;
    if (remote->num_labels == 0) {
        return RUNG_OK;
    }
    if (remote->num_labels != cascade->num_classes) {
        return rung_fail(error, RUNG_MISMATCH, "levels[].remote.labels has %zu labels; the models have %u",
                         remote->num_labels, cascade->num_classes);
    }
    run->columns = rung_alloc(cascade->num_classes, sizeof *run->columns, "labels", error);
    if (run->columns == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < remote->num_labels; i++) {
        uint32_t unused;
        run->columns[i] = rung_cascade_config_rename(&cascade->config, remote->labels[i]);
        rung_status status = rung_cascade_find_label(cascade, remote->labels[i], 0, &unused, error);
        for (size_t j = 0; status == RUNG_OK && j < i; j++) {
            if (strcmp(run->columns[i], run->columns[j]) == 0) {
                status = rung_fail(error, RUNG_MISMATCH, "label %zu is label %zu after renaming", i, j);
            }
        }
        if (status != RUNG_OK) {
            return rung_fail_in(error, "levels[].remote.labels");
        }
    }
    return RUNG_OK;
}

/* The client of a remote top level, and what its server says of the model. */
static rung_status open_remote(fit_run *run, rung_error *error)
{
    uint32_t top = run->cascade.num_levels - 1;
    const rung_remote_server *server = run->cascade.config.levels[top].remote;
    if (!run->cascade.level[top].is_remote) {
        return RUNG_OK;
    }
    rung_calibration_level *out = &run->file->levels[top];
    rung_status status = take_columns(run, &server->remote, error);
    if (status == RUNG_OK) {
        const rung_remote_client_options options = {.server = server,
                                                    .name = run->cascade.level[top].name,
                                                    .reader = {.num_classes = run->cascade.num_classes,
                                                               .labels = run->cascade.labels,
                                                               .columns = run->columns,
                                                               .names = &run->cascade.config}};
        status = rung_remote_client_open(&options, &run->client, error);
    }
    if (status == RUNG_OK) {
        const rung_model_identity *identity = rung_remote_client_identity(run->client);
        memcpy(out->model_sha256, identity->sha256, sizeof out->model_sha256);
        status = set_name(&out->identity, identity->text, error);
    }
    out->remote.protocol = server->remote.protocol;
    if (status == RUNG_OK && server->remote.model != NULL) {
        status = set_name(&out->remote.model, server->remote.model, error);
    }
    return status == RUNG_OK && run->columns != NULL
               ? rung_remote_set_labels(&out->remote, run->columns, run->cascade.num_classes, error)
               : status;
}

static rung_status fit_file(fit_run *run, rung_error *error)
{
    uint32_t num_levels = run->cascade.num_levels;
    rung_status status = open_remote(run, error);
    /* The top first: without labels the others are measured by it. */
    if (status == RUNG_OK) {
        status = fit_exits(run, num_levels, error);
    }
    for (uint32_t level = 1; status == RUNG_OK && level < num_levels; level++) {
        status = fit_exits(run, level, error);
    }
    if (status == RUNG_OK) {
        status = use_file(run, error);
    }
    if (status != RUNG_OK || num_levels == 1) {
        run->file->levels[0].answered = 1;
        return status;
    }
    status = rung_reach_init(&run->reach, &run->cascade, run->data->inputs, count_of(run), error);
    run->reach.client = run->client;
    for (uint32_t level = 1; status == RUNG_OK && level < num_levels; level++) {
        status = fit_lower_level(run, level, error);
    }
    return status == RUNG_OK ? fit_top_level(run, error) : status;
}

/* What no fit can be made of is said of the data, not of an exit or a pool. */
static rung_status check_data(const rung_cascade *cascade, const rung_dataset *data, const rung_fit_options *options,
                              rung_error *error)
{
    if (data->count < RUNG_FIT_MIN_ROWS) {
        return rung_fail(error, RUNG_INVALID, "%s: %zu rows; a fit needs at least %d", options->data_name, data->count,
                         RUNG_FIT_MIN_ROWS);
    }
    if (cascade->num_classes < 2) {
        return rung_fail(error, RUNG_INVALID, "the models have one label; there is nothing to calibrate");
    }
    size_t same = 1;
    while (options->labels_from == RUNG_LABELS_FROM_DATA && same < data->count &&
           data->labels[same] == data->labels[0]) {
        same++;
    }
    if (options->labels_from == RUNG_LABELS_FROM_DATA && same == data->count) {
        return rung_fail(error, RUNG_INVALID, "%s: all %zu rows have label \"%s\"; a fit needs at least two labels",
                         options->data_name, data->count, cascade->labels[data->labels[0]]);
    }
    return RUNG_OK;
}

rung_status rung_fit_cascade(const rung_cascade *cascade, const rung_dataset *data, const rung_fit_options *options,
                             rung_calibration_file *file, rung_error *error)
{
    rung_calibration_file made = {0};
    rung_status status = check_data(cascade, data, options, error);
    /* A calibration vouches for its models by their hashes, which loading takes on trust: here they are worked out. */
    for (uint32_t l = 0; status == RUNG_OK && l < cascade->num_levels; l++) {
        status = cascade->level[l].model != NULL ? rung_model_verify(cascade->level[l].model, error) : RUNG_OK;
    }
    if (status == RUNG_OK) {
        status = start_file(cascade, data, options, &made, error);
    }
    if (status == RUNG_OK) {
        fit_run run = {.data = data, .options = options, .file = &made};
        status = start_run(&run, cascade, error);
        if (status == RUNG_OK) {
            status = fit_file(&run, error);
        }
        end_run(&run);
    }
    if (status != RUNG_OK) {
        rung_calibration_file_deinit(&made);
        return status;
    }
    *file = made;
    return RUNG_OK;
}
