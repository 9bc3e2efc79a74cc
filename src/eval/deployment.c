/* deployment.c: writes what was found for others to run, and compares. See deployment.h. */
#include "eval/deployment.h"

#include "base/file.h"
#include "base/memory.h"
#include "cascade/confidence.h"
#include "cascade/ensemble.h"
#include "config/cascade_yaml.h"
#include "config/policy_yaml.h"
#include "fit/scores.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SCORE_DIGITS 1e-9

/* One deployment while it is written. */
typedef struct writing {
    const rung_evaluation *evaluation;
    const rung_scheme *scheme;
    rung_calibration_file file;
    uint32_t *labels;      /* [n] of the rows that were calibrated on */
    double *probabilities; /* [n, num_classes] */
    rung_outcome *outcomes;
    double *said; /* [count, num_levels, num_classes] by row */
} writing;

static void release(writing *w)
{
    rung_calibration_file_deinit(&w->file);
    free(w->labels);
    free(w->probabilities);
    free(w->outcomes);
    free(w->said);
}

static rung_status reserve(writing *w, rung_error *error)
{
    const rung_study *study = &w->evaluation->study;
    size_t n = study->calibrate.count;
    size_t classes = study->cascade->num_classes;
    w->labels = rung_alloc(n, sizeof *w->labels, "calibration", error);
    w->probabilities = rung_alloc(n, classes * sizeof *w->probabilities, "calibration", error);
    w->outcomes = rung_alloc(n, sizeof *w->outcomes, "calibration", error);
    w->said = rung_alloc(study->count, study->cascade->num_levels * classes * sizeof *w->said, "calibration", error);
    bool failed = w->labels == NULL || w->probabilities == NULL || w->outcomes == NULL || w->said == NULL;
    return failed ? RUNG_NO_MEMORY : RUNG_OK;
}

static rung_status copy_text(char **to, const char *text, rung_error *error)
{
    char *copy = rung_copy_text(text, strlen(text), "calibration", error);
    if (copy == NULL) {
        return RUNG_NO_MEMORY;
    }
    free(*to);
    *to = copy;
    return RUNG_OK;
}

/* A copy of the cascade's own file: labels, hashes, heads and learned deferral stay as they are. */
static rung_status copy_file(writing *w, const char *data_name, double agreement, rung_error *error)
{
    const rung_evaluation *evaluation = w->evaluation;
    const rung_cascade *cascade = evaluation->cascade;
    rung_calibration_file own = cascade->calibration_file;
    char name[] = "none";
    if (own.data_name == NULL) { /* the cascade had no calibration: what cannot be read back is filled in */
        own.data_name = name;
        memcpy(own.data_sha256, evaluation->data.sha256, sizeof own.data_sha256);
        own.data_rows = 1;
        for (uint32_t l = 0; l + 1 < cascade->num_levels; l++) {
            own.levels[l].has_threshold = true;
        }
    }
    snprintf(own.policy.name, sizeof own.policy.name, "%s", w->scheme->policy.name);
    own.policy.exit = w->scheme->policy.exit;
    rung_buffer text = {0};
    rung_status status = rung_calibration_file_print(&own, &text, error);
    if (status == RUNG_OK) {
        status = rung_calibration_file_parse(text.data, text.length, "calibration", &w->file, error);
    }
    rung_buffer_deinit(&text);
    if (status == RUNG_OK) {
        status = copy_text(&w->file.data_name, data_name, error);
    }
    for (uint32_t l = 0; status == RUNG_OK && l < cascade->num_levels; l++) {
        status = copy_text(&w->file.levels[l].name, cascade->level[l].name, error);
    }
    if (status == RUNG_OK) {
        const rung_policy *policy = &w->scheme->policy;
        memcpy(w->file.data_sha256, evaluation->data.sha256, sizeof w->file.data_sha256);
        w->file.data_rows = evaluation->study.calibrate.count;
        w->file.labels_from = RUNG_LABELS_FROM_DATA;
        w->file.target_agreement = agreement;
        w->file.seed = evaluation->seed;
        w->file.policy.weights = policy->weights;
        w->file.policy.defer = policy->defer;
        w->file.policy.pooled_decision = policy->pooled_decision;
        w->file.policy.raw_ensemble = policy->raw_ensemble;
    }
    return status;
}

/* Probabilities of one exit of the calibration rows, with its temperature and shape or without. */
static rung_status gather_exit(writing *w, uint32_t level, uint32_t layer, bool calibrated, rung_error *error)
{
    const rung_study *study = &w->evaluation->study;
    const uint32_t *class_of = study->cascade->level[level - 1].class_of;
    size_t classes = study->cascade->num_classes;
    float *ordered = rung_alloc(classes, sizeof *ordered, "calibration", error);
    rung_status status = ordered == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < study->calibrate.count; i++) {
        rung_record_entry entry;
        status = rung_replay_whole(study->replay, study->calibrate.rows[i], level, &entry, error);
        for (size_t c = 0; status == RUNG_OK && c < classes; c++) {
            ordered[class_of[c]] = entry.logits[(size_t)(layer - 1) * entry.num_classes + c];
        }
        const rung_level_calibration *calibration = &study->calibration.level[level - 1];
        double *out = w->probabilities + i * classes;
        w->labels[i] = study->labels[study->calibrate.rows[i]];
        if (status == RUNG_OK && calibrated) {
            rung_calibrated_probabilities(calibration, layer, ordered, classes, out);
        } else if (status == RUNG_OK) {
            rung_raw_probabilities(calibration, ordered, classes, out);
        }
    }
    free(ordered);
    return status;
}

static rung_status take_exit(writing *w, uint32_t level, rung_calibration_exit *exit, rung_error *error)
{
    const rung_study *study = &w->evaluation->study;
    const rung_level_calibration *fitted = &study->calibration.level[level - 1];
    size_t classes = study->cascade->num_classes;
    rung_scores raw = {0};
    rung_scores calibrated = {0};
    rung_status status = gather_exit(w, level, exit->layer, false, error);
    if (status == RUNG_OK) {
        status = rung_scores_of(w->probabilities, w->labels, study->calibrate.count, classes, &raw, error);
    }
    if (status == RUNG_OK) {
        status = gather_exit(w, level, exit->layer, true, error);
    }
    if (status == RUNG_OK) {
        status = rung_scores_of(w->probabilities, w->labels, study->calibrate.count, classes, &calibrated, error);
    }
    if (status == RUNG_OK) {
        exit->temperature = fitted->temperature[exit->layer - 1];
        exit->shape = fitted->shape[exit->layer - 1];
        exit->accuracy = calibrated.accuracy;
        exit->nll_before = raw.nll;
        exit->nll_after = calibrated.nll;
        exit->ece = calibrated.ece;
    }
    return status;
}

/* What the level answers of the calibration rows, and how often that is the top level's answer. */
static void take_answers(writing *w, uint32_t level, rung_calibration_level *out)
{
    const rung_study *study = &w->evaluation->study;
    size_t answered = 0;
    size_t agreeing = 0;
    for (size_t i = 0; i < study->calibrate.count; i++) {
        bool here = w->outcomes[i].answer_level == level;
        answered += here;
        agreeing += here && w->outcomes[i].label == study->top_labels[study->calibrate.rows[i]];
    }
    out->answered = (double)answered / (double)study->calibrate.count;
    out->agreement = answered > 0 ? (double)agreeing / (double)answered : 1;
}

static rung_status take_level(writing *w, uint32_t level, rung_error *error)
{
    const rung_study *study = &w->evaluation->study;
    const rung_level_calibration *fitted = &study->calibration.level[level - 1];
    rung_calibration_level *out = &w->file.levels[level - 1];
    size_t classes = study->cascade->num_classes;
    rung_status status = RUNG_OK;
    for (size_t e = 0; status == RUNG_OK && e < out->num_exits; e++) {
        status = take_exit(w, level, &out->exits[e], error);
    }
    double *by_class = rung_alloc(classes, sizeof *by_class, "calibration", error);
    if (status != RUNG_OK || by_class == NULL) {
        free(by_class);
        return status == RUNG_OK ? RUNG_NO_MEMORY : status;
    }
    memcpy(by_class, fitted->class_accuracy, classes * sizeof *by_class);
    free(out->class_accuracy);
    out->class_accuracy = by_class;
    out->accuracy = fitted->accuracy;
    out->has_threshold = level < study->cascade->num_levels;
    out->threshold = w->scheme->policy.offload.threshold[level - 1];
    take_answers(w, level, out);
    return RUNG_OK;
}

static rung_status replay_rows(writing *w, rung_error *error)
{
    const rung_study *study = &w->evaluation->study;
    rung_calibration calibration = study->calibration;
    calibration.pools = w->scheme->pools;
    rung_replay_call call = {.policy = &w->scheme->policy,
                             .calibration = &calibration,
                             .rows = study->calibrate.rows,
                             .num_rows = study->calibrate.count,
                             .may_compute = true,
                             .probabilities = w->said};
    return rung_replay_run(study->replay, &call, w->outcomes, error);
}

/* The rows whose visited levels, as far as the highest of the set, are the set: pooled with weights of that kind. Returns how many. */
static size_t gather_pool(writing *w, uint32_t set, uint32_t num_levels, rung_weights kind)
{
    const rung_study *study = &w->evaluation->study;
    size_t classes = study->cascade->num_classes;
    rung_calibration calibration = study->calibration;
    rung_policy policy = w->scheme->policy;
    size_t n = 0;
    calibration.pools = w->scheme->pools;
    policy.weights = kind;
    for (size_t i = 0; i < study->calibrate.count; i++) {
        if ((w->outcomes[i].visited & ((UINT32_C(1) << num_levels) - 1)) != set) {
            continue;
        }
        bool visited[RUNG_MAX_LEVELS] = {false};
        const double *probabilities[RUNG_MAX_LEVELS] = {NULL};
        double weights[RUNG_MAX_LEVELS];
        size_t row = study->calibrate.rows[i];
        for (uint32_t l = 0; l < num_levels; l++) {
            visited[l] = set >> l & 1;
            probabilities[l] = w->said + (row * study->cascade->num_levels + l) * classes;
        }
        rung_ensemble_result(&policy, &calibration, visited, probabilities, weights, w->probabilities + n * classes);
        w->labels[n++] = study->labels[row];
    }
    return n;
}

static rung_status take_pool(writing *w, uint32_t set, uint32_t num_levels, rung_error *error)
{
    const rung_pool *fitted = &w->scheme->pools[set];
    size_t classes = w->evaluation->cascade->num_classes;
    rung_calibration_pool *pool = &w->file.pools[w->file.num_pools];
    rung_scores by_accuracy = {0};
    rung_scores by_fit = {0};
    size_t n = gather_pool(w, set, num_levels, RUNG_WEIGHTS_ACCURACY);
    rung_status status = n > 0 ? rung_scores_of(w->probabilities, w->labels, n, classes, &by_accuracy, error) : RUNG_OK;
    if (status == RUNG_OK && n > 0) {
        n = gather_pool(w, set, num_levels, RUNG_WEIGHTS_FITTED);
        status = rung_scores_of(w->probabilities, w->labels, n, classes, &by_fit, error);
    }
    if (status == RUNG_OK) {
        *pool = (rung_calibration_pool){.set = set,
                                        .rows = n,
                                        .accuracy_temperature = fitted->accuracy_temperature,
                                        .accuracy_nll = by_accuracy.nll,
                                        .fitted_temperature = fitted->fitted_temperature,
                                        .fitted_nll = by_fit.nll,
                                        .fitted_ece = by_fit.ece};
        memcpy(pool->fitted_weight, fitted->fitted_weight, sizeof pool->fitted_weight);
        w->file.num_pools++;
    }
    return status;
}

/* The pools that were fitted, for sets of two or more levels. */
static rung_status take_pools(writing *w, rung_error *error)
{
    uint32_t levels = w->evaluation->cascade->num_levels;
    free(w->file.pools);
    w->file.num_pools = 0;
    w->file.pools = rung_alloc((size_t)1 << levels, sizeof *w->file.pools, "calibration", error);
    if (w->file.pools == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = RUNG_OK;
    for (uint32_t set = 1; status == RUNG_OK && set >> levels == 0; set++) {
        double sum = 0;
        uint32_t highest = 0;
        for (uint32_t l = 0; l < levels; l++) {
            sum += w->scheme->pools[set].fitted_weight[l];
            highest = set >> l & 1 ? l + 1 : highest;
        }
        if ((set & (set - 1)) != 0 && sum > 0) {
            status = take_pool(w, set, highest, error);
        }
    }
    return status;
}

static rung_status make_directory(const char *path, rung_error *error)
{
    return mkdir(path, 0777) == 0 || errno == EEXIST
               ? RUNG_OK
               : rung_fail(error, RUNG_IO, "%s: cannot make the directory: %s", path, strerror(errno));
}

static rung_status write_files(writing *w, const char *directory, rung_error *error)
{
    char *calibration = rung_path_join(directory, "calibration.json", error);
    char *cascade = rung_path_join(directory, "cascade.yaml", error);
    rung_buffer yaml = {0};
    rung_buffer_text(&yaml, "# The policy that rung eval found, with the calibration that it was evaluated with.\n");
    rung_status status = calibration == NULL || cascade == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    if (status == RUNG_OK) {
        status = rung_cascade_config_put(&yaml, &w->evaluation->cascade->config, "calibration.json", &w->scheme->policy,
                                         error);
    }
    if (status == RUNG_OK) {
        status = rung_calibration_file_save(&w->file, calibration, error);
    }
    if (status == RUNG_OK) {
        status = rung_write_file(cascade, yaml.data, yaml.length, error);
    }
    rung_buffer_deinit(&yaml);
    free(calibration);
    free(cascade);
    return status;
}

rung_status rung_deployment_write(const rung_evaluation *evaluation, const rung_scheme *scheme, double agreement,
                                  const char *data_name, const char *directory, rung_error *error)
{
    writing w = {.evaluation = evaluation, .scheme = scheme};
    rung_status status = make_directory(directory, error);
    if (status == RUNG_OK) {
        status = reserve(&w, error);
    }
    if (status == RUNG_OK) {
        status = copy_file(&w, data_name, agreement, error);
    }
    if (status == RUNG_OK) {
        status = replay_rows(&w, error);
    }
    for (uint32_t level = 1; status == RUNG_OK && level <= evaluation->cascade->num_levels; level++) {
        status = take_level(&w, level, error);
    }
    if (status == RUNG_OK) {
        status = take_pools(&w, error);
    }
    if (status == RUNG_OK) {
        status = write_files(&w, directory, error);
    }
    release(&w);
    return status;
}

rung_input rung_deployment_input(const rung_evaluation *evaluation, size_t row, char id[RUNG_DEPLOYMENT_ID_BYTES])
{
    rung_input input = evaluation->inputs[row];
    if (input.id == NULL) {
        snprintf(id, RUNG_DEPLOYMENT_ID_BYTES, "%zu", row);
        input.id = id;
    }
    return input;
}

bool rung_deployment_same(const rung_cascade *cascade, const rung_outcome *outcome, const rung_answer *answer)
{
    uint32_t exits[RUNG_MAX_LEVELS] = {0};
    size_t bytes[RUNG_MAX_LEVELS] = {0};
    for (size_t i = 0; i < answer->num_levels; i++) {
        uint32_t level = answer->levels[i].level;
        exits[level - 1] = answer->levels[i].exit_layer;
        bytes[level - 1] = answer->levels[i].bytes_up;
    }
    bool same = !answer->degraded && answer->label_index == outcome->label &&
                fabs(answer->score - outcome->score) <= SCORE_DIGITS && answer->level == outcome->answer_level;
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        same = same && exits[l] == outcome->exit_layer[l];
        same = same && (outcome->speculated || bytes[l] == outcome->bytes_up[l]);
    }
    return same;
}

static bool same_curve(const double *a, const double *b, size_t n)
{
    return memcmp(a, b, n * sizeof *a) == 0;
}

/* The calibration and the policy are, bit by bit, what was evaluated. */
static rung_status compare_fitted(const rung_evaluation *evaluation, const rung_scheme *scheme,
                                  const rung_cascade *deployed, rung_error *error)
{
    const rung_calibration *wanted = &evaluation->study.calibration;
    rung_buffer ours = {0};
    rung_buffer theirs = {0};
    rung_policy defaults;
    rung_status status = rung_policy_defaults(scheme->policy.name, deployed->num_levels, &defaults, error);
    for (uint32_t l = 0; status == RUNG_OK && l < deployed->num_levels; l++) {
        const rung_level_calibration *a = &wanted->level[l];
        const rung_level_calibration *b = &deployed->calibration.level[l];
        if (!same_curve(a->temperature, b->temperature, a->num_exits) ||
            !same_curve(a->shape, b->shape, a->num_exits) || a->accuracy != b->accuracy) {
            status = rung_fail(error, RUNG_MISMATCH,
                               "the calibration of level %u that was written is not what was "
                               "evaluated",
                               l + 1);
        }
    }
    for (uint32_t set = 1; status == RUNG_OK && set >> deployed->num_levels == 0; set++) {
        static const rung_pool none = {.accuracy_temperature = 1, .fitted_temperature = 1};
        const rung_pool *pool = deployed->calibration.pools != NULL ? &deployed->calibration.pools[set] : &none;
        bool same = pool->accuracy_temperature == scheme->pools[set].accuracy_temperature &&
                    pool->fitted_temperature == scheme->pools[set].fitted_temperature &&
                    same_curve(pool->fitted_weight, scheme->pools[set].fitted_weight, RUNG_MAX_LEVELS);
        status = same ? RUNG_OK
                      : rung_fail(error, RUNG_MISMATCH,
                                  "the pool of the set of levels %u that was written is not what was evaluated", set);
    }
    if (status == RUNG_OK) {
        rung_cascade_config_put_policy(&ours, &scheme->policy, &defaults, deployed->num_levels);
        rung_cascade_config_put_policy(&theirs, &deployed->policy, &defaults, deployed->num_levels);
        status = ours.failed || theirs.failed ? rung_fail(error, RUNG_NO_MEMORY, "out of memory") : RUNG_OK;
        if (status == RUNG_OK && strcmp(ours.data, theirs.data) != 0) {
            status = rung_fail(error, RUNG_MISMATCH, "the policy that was written is not what was evaluated");
        }
    }
    rung_buffer_deinit(&ours);
    rung_buffer_deinit(&theirs);
    return status;
}

static rung_status open_deployed(const rung_evaluation *evaluation, const char *directory, rung_cascade **cascade,
                                 rung_error *error)
{
    rung_cascade_config config = {0};
    rung_open_options options = {.isa = evaluation->cascade->kernels->name, .threads = evaluation->cascade->threads};
    char *path = rung_path_join(directory, "cascade.yaml", error);
    rung_status status = path == NULL ? RUNG_NO_MEMORY : rung_cascade_config_load(path, NULL, NULL, &config, error);
    free(path);
    return status == RUNG_OK ? rung_cascade_open_config(&config, &options, cascade, error) : status;
}

static rung_status classify(const rung_evaluation *evaluation, const rung_cascade *deployed,
                            const rung_outcome *outcomes, size_t count, rung_deployment_check *check, rung_error *error)
{
    char(*ids)[RUNG_DEPLOYMENT_ID_BYTES] = rung_alloc(count, sizeof *ids, "inputs", error);
    rung_input *inputs = rung_alloc(count, sizeof *inputs, "inputs", error);
    rung_answers *answers = NULL;
    rung_status status = ids == NULL || inputs == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        inputs[i] = rung_deployment_input(evaluation, evaluation->study.report.rows[i], ids[i]);
    }
    if (status == RUNG_OK) {
        status = rung_cascade_classify_policy(deployed, &deployed->policy, inputs, count, NULL, &answers, error);
    }
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        const rung_answer *answer = rung_answers_get(answers, i);
        check->compared++;
        check->same += answer->status == RUNG_OK && rung_deployment_same(deployed, &outcomes[i], answer);
    }
    rung_answers_free(answers);
    free(inputs);
    free(ids);
    return status;
}

rung_status rung_deployment_compare(const rung_evaluation *evaluation, const rung_scheme *scheme, const char *directory,
                                    size_t count, rung_deployment_check *check, rung_error *error)
{
    rung_rows rows = evaluation->study.report;
    rung_cascade *deployed = NULL;
    rung_deployment_check made = {0};
    rows.count = count < rows.count ? count : rows.count;
    rung_outcome *outcomes = rung_alloc(rows.count, sizeof *outcomes, "outcomes", error);
    rung_status status = outcomes == NULL ? RUNG_NO_MEMORY : open_deployed(evaluation, directory, &deployed, error);
    if (status == RUNG_OK) {
        status = compare_fitted(evaluation, scheme, deployed, error);
    }
    if (status == RUNG_OK) {
        status = rung_scheme_replay(&evaluation->study, scheme, NULL, &rows, false, outcomes, error);
    }
    if (status == RUNG_OK) {
        status = classify(evaluation, deployed, outcomes, rows.count, &made, error);
    }
    if (status == RUNG_OK) {
        *check = made;
    }
    rung_cascade_close(deployed);
    free(outcomes);
    return status;
}
