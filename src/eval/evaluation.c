/* evaluation.c: opens what `rung eval` works on. See evaluation.h. */
#include "eval/evaluation.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "replay/dataset_split.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TUNE_SHARE 5 /* without data of its own, one row in so many tunes */
#define PROFILE_REPEATS 15

static rung_status read_data(rung_evaluation *evaluation, const rung_evaluation_options *options, rung_error *error)
{
    rung_status status =
        rung_dataset_read(evaluation->cascade, options->data, options->max_line_bytes, &evaluation->data, error);
    if (status == RUNG_OK && options->tune_data != NULL) {
        status = rung_dataset_read(evaluation->cascade, options->tune_data, options->max_line_bytes,
                                   &evaluation->tune_data, error);
    }
    return status;
}

static rung_rows take_rows(size_t **at, const size_t *rows, size_t count, size_t shift)
{
    rung_rows taken = {.rows = *at, .count = count};
    for (size_t i = 0; i < count; i++) {
        taken.rows[i] = rows[i] + shift;
    }
    *at += count;
    return taken;
}

/* The rows to tune on come first among the inputs: all of tune_data, or none when they are drawn from data. */
static rung_status split(rung_evaluation *evaluation, const rung_evaluation_options *options, rung_error *error)
{
    size_t have = evaluation->data.count;
    size_t most = options->most_rows > 0 && options->most_rows < have ? options->most_rows : have;
    size_t tuning = evaluation->tune_data.count;
    if (options->most_tune_rows > 0 && options->most_tune_rows < tuning) {
        tuning = options->most_tune_rows;
    }
    size_t from_data = options->tune_data == NULL ? most / TUNE_SHARE : 0;
    size_t rest = most - from_data;
    /* As planner.md's 1,250, 5,000 and 6,250 of 12,500. */
    const rung_split_size sizes[] = {{"tune", from_data},
                                     {"calibrate", rest / 10},
                                     {"certify", rest * 4 / 10},
                                     {"report", rest - rest / 10 - rest * 4 / 10}};
    rung_dataset_split drawn;
    size_t first = from_data == 0 ? 1 : 0;
    rung_status status = rung_dataset_split_draw(have, evaluation->seed, sizes + first, 4 - first, &drawn, error);
    if (status != RUNG_OK) {
        return status;
    }
    evaluation->count = tuning + have;
    evaluation->inputs = rung_alloc(evaluation->count, sizeof *evaluation->inputs, "rows", error);
    evaluation->labels = rung_alloc(evaluation->count, sizeof *evaluation->labels, "rows", error);
    evaluation->rows = rung_alloc(evaluation->count, sizeof *evaluation->rows, "rows", error);
    if (evaluation->inputs == NULL || evaluation->labels == NULL || evaluation->rows == NULL) {
        rung_dataset_split_deinit(&drawn);
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < tuning; i++) {
        evaluation->inputs[i] = evaluation->tune_data.inputs[i];
        evaluation->labels[i] = evaluation->tune_data.labels[i];
    }
    memcpy(evaluation->inputs + tuning, evaluation->data.inputs, have * sizeof *evaluation->inputs);
    memcpy(evaluation->labels + tuning, evaluation->data.labels, have * sizeof *evaluation->labels);
    size_t *at = evaluation->rows;
    rung_study *study = &evaluation->study;
    for (size_t i = 0; i < tuning; i++) {
        at[i] = i;
    }
    study->tune = (rung_rows){.rows = at, .count = tuning};
    at += tuning;
    if (from_data > 0) {
        study->tune = take_rows(&at, drawn.parts[0].rows, drawn.parts[0].count, tuning);
    }
    study->calibrate = take_rows(&at, drawn.parts[1 - first].rows, drawn.parts[1 - first].count, tuning);
    study->certify = take_rows(&at, drawn.parts[2 - first].rows, drawn.parts[2 - first].count, tuning);
    study->report = take_rows(&at, drawn.parts[3 - first].rows, drawn.parts[3 - first].count, tuning);
    rung_dataset_split_deinit(&drawn);
    return RUNG_OK;
}

/* What the record and the profile are of. */
static rung_status describe(const rung_cascade *cascade, rung_buffer *origin, rung_error *error)
{
    rung_recorder recorder = {.cascade = cascade};
    rung_recorder_identify(&recorder);
    rung_buffer_format(origin, "precision %s\n", cascade->precision == RUNG_PRECISION_INT8 ? "int8" : "fp32");
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        rung_buffer_format(origin, "level %" PRIu32 " model sha256 %s\n", l + 1, recorder.identity[l]);
    }
    return rung_buffer_check(origin, "record", error);
}

static rung_status make_directory(const char *path, rung_error *error)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        return rung_fail(error, RUNG_IO, "%s: cannot make the directory: %s", path, strerror(errno));
    }
    if (!rung_path_is_directory(path)) {
        return rung_fail(error, RUNG_INVALID, "%s: is not a directory", path);
    }
    return RUNG_OK;
}

static rung_status open_record(rung_evaluation *evaluation, const char *origin, rung_error *error)
{
    char *path = rung_path_join(evaluation->directory, "record.rung", error);
    if (path == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = rung_store_open(path, origin, false, &evaluation->store, error);
    free(path);
    if (status == RUNG_OK) {
        evaluation->recorded_before = rung_store_count(evaluation->store);
    }
    return status;
}

/* The profile of an earlier run, so that the same command gives the same figures; else a new one. */
static rung_status open_profile(rung_evaluation *evaluation, const char *origin, const rung_progress *progress,
                                rung_error *error)
{
    char *path = rung_path_join(evaluation->directory, "profile.json", error);
    if (path == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = rung_timing_load(path, origin, &evaluation->timing, error);
    if (status == RUNG_NOT_FOUND) {
        rung_profile profile = {0};
        status = rung_profile_measure(evaluation->cascade, PROFILE_REPEATS, NULL, progress, &profile, error);
        if (status == RUNG_OK) {
            status = rung_timing_of(&profile, &evaluation->timing, error);
        }
        if (status == RUNG_OK) {
            status = rung_timing_save(&evaluation->timing, origin, path, error);
        }
        rung_profile_deinit(&profile);
    }
    free(path);
    return status;
}

static rung_status open_study(rung_evaluation *evaluation, const rung_evaluation_options *options, rung_error *error)
{
    rung_status status = rung_replay_create(evaluation->cascade, evaluation->store, evaluation->inputs,
                                            evaluation->count, &evaluation->timing, &evaluation->replay, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_study *study = &evaluation->study;
    study->cascade = evaluation->cascade;
    study->replay = evaluation->replay;
    study->labels = evaluation->labels;
    study->count = evaluation->count;
    double started_s = rung_clock_s();
    status = rung_study_begin(study, options->progress, error);
    evaluation->record_s = rung_clock_s() - started_s;
    return status;
}

rung_status rung_evaluation_open(const rung_cascade *cascade, const rung_evaluation_options *options,
                                 rung_evaluation *evaluation, rung_error *error)
{
    *evaluation = (rung_evaluation){.cascade = cascade, .directory = options->directory, .seed = cascade->policy.seed};
    rung_buffer origin = {0};
    rung_status status = make_directory(options->directory, error);
    if (status == RUNG_OK) {
        status = describe(cascade, &origin, error);
    }
    if (status == RUNG_OK) {
        status = open_record(evaluation, origin.data, error);
    }
    if (status == RUNG_OK) {
        status = read_data(evaluation, options, error);
    }
    if (status == RUNG_OK) {
        status = split(evaluation, options, error);
    }
    if (status == RUNG_OK) {
        status = open_profile(evaluation, origin.data, options->progress, error);
    }
    if (status == RUNG_OK) {
        status = open_study(evaluation, options, error);
    }
    rung_buffer_deinit(&origin);
    if (status != RUNG_OK) {
        rung_evaluation_close(evaluation);
    }
    return status;
}

void rung_evaluation_close(rung_evaluation *evaluation)
{
    rung_study_end(&evaluation->study);
    rung_replay_free(evaluation->replay);
    rung_store_close(evaluation->store);
    rung_dataset_deinit(&evaluation->data);
    rung_dataset_deinit(&evaluation->tune_data);
    free(evaluation->inputs);
    free(evaluation->labels);
    free(evaluation->rows);
    *evaluation = (rung_evaluation){0};
}
