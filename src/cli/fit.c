/* fit.c: `rung fit`: fits exit heads where they are wanted, calibrates a cascade on labelled texts and writes the calibration file. */
#include "base/file.h"
#include "cli/cli.h"
#include "fit/fit_cascade.h"
#include "fit/heads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct fit_run {
    const rung_options *options;
    const char *heads;          /* auto, keep or new */
    rung_cascade_config config; /* until the cascade takes it */
    rung_defer defer;           /* of the configuration */
    rung_labels_from labels_from;
    char *out_path;
    rung_dataset data;
    rung_dataset learn, rest; /* parts of data; empty when no heads are fitted */
    rung_cascade *cascade;
    rung_task_heads task_heads;
    rung_calibration_file file;
    cli_progress bar;
} fit_run;

/* The configuration as if it had no calibration yet, and where the new one goes. */
static rung_status load_config(fit_run *run, rung_error *error)
{
    rung_status status =
        rung_cascade_config_load(NULL, cli_data_directory(run->options), run->options, &run->config, error);
    if (status != RUNG_OK) {
        return status;
    }
    const char *given = rung_options_text(run->options, RUNG_OPTION_OUTPUT);
    const char *path = given != NULL ? given : run->config.calibration_path;
    if (path == NULL) {
        return rung_fail(error, RUNG_INVALID, "no output file: say where to write with -o FILE");
    }
    run->out_path = rung_path_join(NULL, path, error);
    free(run->config.calibration_path);
    run->config.calibration_path = NULL;
    /* Learned deferral is what is learned here: the cascade opens without it. */
    run->defer = run->config.policy.defer;
    run->config.policy.defer = RUNG_DEFER_CONFIDENCE;
    return run->out_path != NULL ? rung_check_writable(run->out_path, error) : RUNG_NO_MEMORY;
}

/* Opens the cascade with room for the heads that are wanted. */
static rung_status open_cascade(fit_run *run, rung_error *error)
{
    if (run->config.long_text == RUNG_LONG_TEXT_WINDOWS) {
        return rung_fail(error, RUNG_UNSUPPORTED,
                         "long_text windows: rung fit reads the start of long texts only; fit with long_text truncate, "
                         "and use the calibration with either");
    }
    rung_open_options open = {.isa = cli_isa(run->options)};
    if (strcmp(run->heads, "keep") == 0) {
        rung_status opened = rung_cascade_open_for_fit(&run->config, &open, NULL, &run->cascade, error);
        if (opened == RUNG_OK && rung_cascade_is_multi_label(run->cascade)) {
            return rung_fail(error, RUNG_UNSUPPORTED,
                             "rung fit learns for one label a text only; these models have problem_type "
                             "multi_label_classification");
        }
        return opened;
    }
    char **names = NULL;
    size_t num_names = 0;
    rung_error why_none = {0};
    rung_new_task task = {.all_levels = strcmp(run->heads, "new") == 0, .why_none = &why_none};
    rung_status status = rung_dataset_label_names(&run->data, &run->config, &names, &num_names, &why_none);
    if (status != RUNG_OK && task.all_levels) {
        *error = why_none;
        return status;
    }
    task.labels = (const char *const *)names;
    task.num_labels = num_names;
    status = rung_cascade_open_for_fit(&run->config, &open, &task, &run->cascade, error);
    rung_label_names_free(names, num_names);
    return status;
}

static void print_exits(const rung_calibration_file *file)
{
    printf("%-10s %-6s %-9s %-11s %-7s %-9s %-9s %-9s\n", "level", "exit", "accuracy", "temperature", "shape", "nll",
           "before", "ece");
    for (uint32_t l = 0; l < file->num_levels; l++) {
        const rung_calibration_level *level = &file->levels[l];
        for (size_t e = 0; e < level->num_exits; e++) {
            const rung_calibration_exit *exit = &level->exits[e];
            printf("%-10s %-6u %-9.4f %-11.4f %-7.3f %-9.4f %-9.4f %-9.4f\n", level->name, exit->layer, exit->accuracy,
                   exit->temperature, exit->shape, exit->nll_after, exit->nll_before, exit->ece);
        }
    }
}

static void print_pools(const rung_calibration_file *file)
{
    if (file->num_pools == 0) {
        return;
    }
    printf("\n%-24s %-6s %-24s %-11s %-9s %-15s %-9s\n", "pool", "rows", "fitted weights", "temperature", "nll",
           "nll by accuracy", "ece");
    for (size_t i = 0; i < file->num_pools; i++) {
        const rung_calibration_pool *pool = &file->pools[i];
        rung_buffer names = {0};
        rung_buffer weights = {0};
        for (uint32_t l = 0; l < file->num_levels; l++) {
            if (pool->set >> l & 1) {
                rung_buffer_format(&names, "%s%s", names.length > 0 ? "+" : "", file->levels[l].name);
                rung_buffer_format(&weights, "%s%.3f", weights.length > 0 ? " " : "", pool->fitted_weight[l]);
            }
        }
        printf("%-24s %-6llu %-24s %-11.4f %-9.4f %-15.4f %-9.4f\n", names.failed ? "" : names.data,
               (unsigned long long)pool->rows, weights.failed ? "" : weights.data, pool->fitted_temperature,
               pool->fitted_nll, pool->accuracy_nll, pool->fitted_ece);
        rung_buffer_deinit(&names);
        rung_buffer_deinit(&weights);
    }
}

/* What each level answers and passes on; with learned deferral beside the confidence, so that one sees which of them sends less up. */
static void print_thresholds(const rung_calibration_file *file)
{
    double agreement = 0;
    double left = 1; /* share of all requests that no level below answers */
    printf("\n%-10s %-10s %-9s %-10s %-9s %-18s %-9s\n", "level", "threshold", "answered", "agreement", "sent up",
           "learned threshold", "sent up");
    for (uint32_t l = 0; l < file->num_levels; l++) {
        const rung_calibration_level *level = &file->levels[l];
        agreement += level->answered * level->agreement;
        if (!level->has_threshold) {
            printf("%-10s %-10s %-9.4f %-10.4f\n", level->name, "-", level->answered, level->agreement);
            continue;
        }
        printf("%-10s %-10.4f %-9.4f %-10.4f %-9.4f", level->name, level->threshold, level->answered, level->agreement,
               left - level->answered);
        if (level->has_deferral_threshold) {
            printf(" %-18.4f %-9.4f", level->deferral_threshold, left - level->deferral_answered);
        }
        printf("\n");
        left -= file->policy.defer == RUNG_DEFER_LEARNED ? level->deferral_answered : level->answered;
    }
    printf("agreement with the top level: %.4f\n", agreement);
}

static rung_status read_data(fit_run *run, rung_error *error)
{
    const char *path = rung_options_text(run->options, RUNG_OPTION_DATA);
    if (path == NULL) {
        return rung_fail(error, RUNG_INVALID, "no data: name labelled JSON lines with --data FILE");
    }
    size_t max_line_bytes = (size_t)rung_options_integer(run->options, RUNG_OPTION_MAX_LINE);
    return rung_dataset_read(NULL, path, max_line_bytes, &run->data, error);
}

/* Fits on everything or, where heads are fitted first, on the rows that they did not learn from. */
static rung_status fit_rows(fit_run *run, rung_error *error)
{
    bool early = strcmp(run->heads, "keep") != 0;
    const rung_dataset *rows = &run->data;
    rung_progress progress = {.report = cli_progress_report, .context = &run->bar};
    rung_status status = RUNG_OK;
    if (rung_heads_wanted(run->cascade, early)) {
        rows = &run->rest;
        status = rung_heads_split(run->cascade, &run->data, &run->learn, &run->rest, error);
        if (status == RUNG_OK) {
            status = rung_fit_heads(run->cascade, early, &run->learn, &progress, &run->task_heads, error);
        }
    }
    if (status == RUNG_OK) {
        rung_fit_options fit = {.data_name = cli_base_name(rung_options_text(run->options, RUNG_OPTION_DATA)),
                                .target_agreement = rung_options_number(run->options, RUNG_OPTION_AGREEMENT),
                                .labels_from = run->labels_from,
                                .progress = &progress};
        run->cascade->policy.defer = run->defer;
        status = rung_fit_cascade(run->cascade, rows, &fit, &run->file, error);
    }
    if (status == RUNG_OK) {
        status = rung_task_heads_store(&run->task_heads, &run->file, error);
    }
    cli_progress_end(&run->bar);
    return status;
}

/* Heads learn labels: without any, models keep the heads they have. */
static rung_status take_options(fit_run *run, rung_error *error)
{
    run->labels_from = (rung_labels_from)rung_options_choice(run->options, RUNG_OPTION_LABELS_FROM);
    run->heads = rung_options_text(run->options, RUNG_OPTION_HEADS);
    if (run->labels_from == RUNG_LABELS_FROM_DATA) {
        return RUNG_OK;
    }
    if (strcmp(run->heads, "new") == 0) {
        return rung_fail(error, RUNG_INVALID, "--heads new needs labels in the data; leave --labels-from top out");
    }
    run->heads = "keep";
    return RUNG_OK;
}

static rung_status run_fit(fit_run *run, rung_error *error)
{
    rung_status status = take_options(run, error);
    if (status == RUNG_OK) {
        status = load_config(run, error);
    }
    if (status == RUNG_OK) {
        status = read_data(run, error);
    }
    if (status == RUNG_OK) {
        status = open_cascade(run, error);
    }
    if (status == RUNG_OK && run->labels_from == RUNG_LABELS_FROM_DATA) {
        status = rung_dataset_match(run->cascade, &run->data, error);
    }
    if (status == RUNG_OK) {
        status = fit_rows(run, error);
    }
    return status == RUNG_OK ? rung_calibration_file_save(&run->file, run->out_path, error) : status;
}

int cli_fit(const rung_options *options)
{
    rung_error error;
    fit_run run = {.options = options};
    rung_status status = run_fit(&run, &error);
    if (status == RUNG_OK) {
        print_exits(&run.file);
        print_pools(&run.file);
        print_thresholds(&run.file);
        fprintf(stderr, "%s: fitted on %zu rows", run.out_path, run.data.count);
        if (run.learn.count > 0) {
            fprintf(stderr, ": heads on %zu, all else on the other %zu", run.learn.count, run.rest.count);
        }
        fprintf(stderr, "\n");
    }
    rung_task_heads_deinit(&run.task_heads);
    rung_calibration_file_deinit(&run.file);
    rung_dataset_deinit(&run.learn);
    rung_dataset_deinit(&run.rest);
    rung_dataset_deinit(&run.data);
    rung_cascade_close(run.cascade);
    rung_cascade_config_deinit(&run.config);
    free(run.out_path);
    return status == RUNG_OK ? CLI_OK : cli_fail(&error);
}
