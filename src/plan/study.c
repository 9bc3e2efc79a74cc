/* study.c: calibrates a study and replays schemes over it. See study.h. */
#include "plan/study.h"

#include "base/memory.h"
#include "base/order.h"
#include "cascade/confidence.h"
#include "fit/scores.h"
#include "fit/shape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_ROWS 20

static uint32_t argmax_logits(const float *logits, const uint32_t *class_of, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t c = 1; c < n; c++) {
        /* The lowest class of the cascade on ties, as rung_argmax. */
        bool tied = logits[c] == logits[best] && class_of[c] < class_of[best];
        best = logits[c] > logits[best] || tied ? c : best;
    }
    return class_of[best];
}

static rung_status find_top_labels(rung_study *study, rung_error *error)
{
    const rung_cascade *cascade = study->cascade;
    const rung_rows *parts[] = {&study->tune, &study->calibrate, &study->certify, &study->report};
    const uint32_t *class_of = cascade->level[cascade->num_levels - 1].class_of;
    for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
        for (size_t i = 0; i < parts[k]->count; i++) {
            size_t row = parts[k]->rows[i];
            rung_record_entry entry;
            rung_status status = rung_replay_whole(study->replay, row, cascade->num_levels, &entry, error);
            if (status != RUNG_OK) {
                return status;
            }
            const float *last = entry.logits + (size_t)(entry.num_layers - 1) * entry.num_classes;
            study->top_labels[row] = argmax_logits(last, class_of, cascade->num_classes);
        }
    }
    return RUNG_OK;
}

/* Logits of one level's exits over the calibration rows, in the cascade's order: [rows, layers, classes]. */
static rung_status gather(const rung_study *study, uint32_t level, float *logits, rung_error *error)
{
    const rung_cascade *cascade = study->cascade;
    const uint32_t *class_of = cascade->level[level - 1].class_of;
    size_t classes = cascade->num_classes;
    size_t layers = cascade->level[level - 1].model->config.num_layers;
    for (size_t i = 0; i < study->calibrate.count; i++) {
        rung_record_entry entry;
        rung_status status = rung_replay_whole(study->replay, study->calibrate.rows[i], level, &entry, error);
        if (status != RUNG_OK) {
            return status;
        }
        for (size_t e = 0; e < layers; e++) {
            for (size_t c = 0; c < classes; c++) {
                logits[(i * layers + e) * classes + class_of[c]] = entry.logits[e * classes + c];
            }
        }
    }
    return RUNG_OK;
}

/* One exit, 0-based, of what `gather` put together. */
static rung_fit_logits exit_of(const rung_study *study, const float *logits, size_t layers, size_t exit)
{
    size_t classes = study->cascade->num_classes;
    return (rung_fit_logits){.logits = logits + exit * classes,
                             .stride = layers * classes,
                             .n = study->calibrate.count,
                             .num_classes = classes};
}

static rung_status fit_level(rung_study *study, uint32_t level, const uint32_t *truth, double *temperatures,
                             double *class_accuracy, rung_error *error)
{
    const rung_model *model = study->cascade->level[level - 1].model;
    size_t layers = model->config.num_layers;
    size_t classes = study->cascade->num_classes;
    rung_level_calibration *out = &study->calibration.level[level - 1];
    float *logits = rung_alloc(study->calibrate.count, layers * classes * sizeof *logits, "calibration", error);
    if (logits == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = gather(study, level, logits, error);
    for (size_t e = 0; status == RUNG_OK && e < layers; e++) {
        temperatures[e] = 1;
        temperatures[layers + e] = 1;
        if (!rung_model_has_exit(model, e)) {
            continue;
        }
        rung_fit_logits exit = exit_of(study, logits, layers, e);
        rung_shape_fit fit;
        status = rung_fit_shape(&exit, truth, NULL, &fit, error);
        if (status == RUNG_OK) {
            temperatures[e] = fit.temperature;
            temperatures[layers + e] = fit.shape;
        }
    }
    if (status == RUNG_OK) {
        rung_fit_logits last = exit_of(study, logits, layers, layers - 1);
        size_t right = rung_class_accuracy(&last, truth, class_accuracy);
        *out = (rung_level_calibration){.num_exits = (uint32_t)layers,
                                        .temperature = temperatures,
                                        .shape = temperatures + layers,
                                        .accuracy = (double)right / (double)last.n,
                                        .class_accuracy = class_accuracy,
                                        .deferral = study->cascade->calibration.level[level - 1].deferral};
    }
    free(logits);
    return status == RUNG_OK ? RUNG_OK : rung_fail_in(error, "calibration of level %u", level);
}

static rung_status calibrate(rung_study *study, rung_error *error)
{
    const rung_cascade *cascade = study->cascade;
    uint32_t *truth = rung_alloc(study->calibrate.count, sizeof *truth, "calibration", error);
    if (truth == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < study->calibrate.count; i++) {
        truth[i] = study->labels[study->calibrate.rows[i]];
    }
    study->calibration = (rung_calibration){.num_levels = cascade->num_levels, .num_classes = cascade->num_classes};
    rung_status status = RUNG_OK;
    double *temperatures = study->temperatures;
    for (uint32_t level = 1; status == RUNG_OK && level <= cascade->num_levels; level++) {
        status = fit_level(study, level, truth, temperatures,
                           study->class_accuracy + (size_t)(level - 1) * cascade->num_classes, error);
        temperatures += 2 * cascade->level[level - 1].model->config.num_layers;
    }
    free(truth);
    return status;
}

static rung_status check(const rung_study *study, rung_error *error)
{
    const struct {
        const char *name;
        const rung_rows *rows;
    } parts[] = {{"tune", &study->tune},
                 {"calibrate", &study->calibrate},
                 {"certify", &study->certify},
                 {"report", &study->report}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].rows->count < LEAST_ROWS) {
            return rung_fail(error, RUNG_INVALID, "%zu rows to %s on; at least %d are needed", parts[i].rows->count,
                             parts[i].name, LEAST_ROWS);
        }
    }
    return RUNG_OK;
}

static rung_status record_whole(const rung_study *study, const rung_progress *progress, rung_error *error)
{
    const rung_rows *parts[] = {&study->tune, &study->calibrate, &study->certify, &study->report};
    rung_policy whole;
    rung_status status = rung_policy_defaults("tangobert", study->cascade->num_levels, &whole, error);
    for (size_t i = 0; status == RUNG_OK && i < sizeof parts / sizeof parts[0]; i++) {
        status = rung_replay_record(study->replay, &whole, parts[i]->rows, parts[i]->count, progress, error);
    }
    return status;
}

rung_status rung_study_begin(rung_study *study, const rung_progress *progress, rung_error *error)
{
    const rung_cascade *cascade = study->cascade;
    rung_status status = check(study, error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t layers = 0;
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        layers += cascade->level[l].model->config.num_layers;
    }
    size_t results = (size_t)cascade->num_levels * cascade->num_classes;
    study->top_labels = rung_alloc(study->count, sizeof *study->top_labels, "labels", error);
    study->temperatures = rung_alloc(layers, 2 * sizeof *study->temperatures, "calibration", error);
    study->class_accuracy = rung_alloc(results, sizeof *study->class_accuracy, "calibration", error);
    study->fitted_probabilities =
        rung_alloc(study->count, results * sizeof *study->fitted_probabilities, "results", error);
    study->outcomes = rung_alloc(study->count, sizeof *study->outcomes, "results", error);
    study->latencies = rung_alloc(study->count, sizeof *study->latencies, "results", error);
    bool failed = study->top_labels == NULL || study->temperatures == NULL || study->class_accuracy == NULL ||
                  study->fitted_probabilities == NULL || study->outcomes == NULL || study->latencies == NULL;
    status = failed ? RUNG_NO_MEMORY : record_whole(study, progress, error);
    if (status == RUNG_OK) {
        status = find_top_labels(study, error);
    }
    if (status == RUNG_OK) {
        status = calibrate(study, error);
    }
    if (status != RUNG_OK) {
        rung_study_end(study);
    }
    return status;
}

void rung_study_end(rung_study *study)
{
    free(study->top_labels);
    free(study->temperatures);
    free(study->class_accuracy);
    free(study->fitted_probabilities);
    free(study->outcomes);
    free(study->latencies);
    study->top_labels = NULL;
    study->temperatures = NULL;
    study->class_accuracy = NULL;
    study->fitted_probabilities = NULL;
    study->outcomes = NULL;
    study->latencies = NULL;
}

rung_summary rung_summarize(const rung_study *study, const rung_rows *rows, const rung_outcome *outcomes)
{
    rung_summary sums = {.n = rows->count};
    uint32_t levels = study->cascade->num_levels;
    double n = (double)rows->count;
    for (size_t i = 0; i < rows->count; i++) {
        const rung_outcome *outcome = &outcomes[i];
        size_t row = rows->rows[i];
        sums.mean_ms += outcome->latency_s * 1e3;
        sums.accuracy += outcome->label == study->labels[row];
        sums.agreement += outcome->label == study->top_labels[row];
        sums.compute_ms += (double)outcome->compute_s[0] * 1e3;
        for (uint32_t l = 0; l < levels; l++) {
            sums.visited[l] += outcome->computed >> l & 1;
            sums.bytes_up += outcome->bytes_up[l];
            sums.bytes_down += outcome->bytes_down[l];
        }
        study->latencies[i] = outcome->latency_s * 1e3;
    }
    sums.mean_ms /= n;
    sums.accuracy /= n;
    sums.agreement /= n;
    sums.compute_ms /= n;
    sums.bytes_up /= n;
    sums.bytes_down /= n;
    for (uint32_t l = 0; l < levels; l++) {
        sums.visited[l] /= n;
    }
    rung_sort(study->latencies, rows->count);
    sums.p50_ms = rung_quantile(study->latencies, rows->count, 0.5);
    sums.p95_ms = rung_quantile(study->latencies, rows->count, 0.95);
    return sums;
}
