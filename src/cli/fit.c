/* fit.c: `rung fit`: calibrates a cascade on labelled texts and writes the calibration file. */
#include "cli/cli.h"
#include "fit/fit_cascade.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Opens the cascade as if it had no calibration yet; *out_path (to free) is where the new one goes. */
static rung_status open_uncalibrated(const rung_options *options, rung_cascade **cascade, char **out_path,
                                     rung_error *error)
{
    rung_cascade_config config = {0};
    rung_status status = rung_cascade_config_load(NULL, cli_data_directory(options), options, &config, error);
    if (status != RUNG_OK) {
        return status;
    }
    const char *given = rung_options_text(options, RUNG_OPTION_OUTPUT);
    const char *path = given != NULL ? given : config.calibration_path;
    if (path == NULL) {
        rung_cascade_config_deinit(&config);
        return rung_fail(error, RUNG_INVALID, "no output file: say where to write with -o FILE");
    }
    char *copy = rung_path_join(NULL, path, error);
    free(config.calibration_path);
    config.calibration_path = NULL;
    if (copy == NULL) {
        rung_cascade_config_deinit(&config);
        return RUNG_NO_MEMORY;
    }
    rung_open_options open = {.isa = cli_isa(options)};
    status = rung_cascade_open_config(&config, &open, cascade, error);
    if (status != RUNG_OK) {
        free(copy);
        return status;
    }
    *out_path = copy;
    return RUNG_OK;
}

static void show_progress(void *context, const char *what, size_t done, size_t total)
{
    cli_progress *progress = context;
    if (progress->title == NULL || strcmp(progress->title, what) != 0 || done < progress->last_done) {
        cli_progress_end(progress);
        *progress = (cli_progress){.title = what, .total = total};
    }
    progress->last_done = done;
    cli_progress_show(progress, done);
}

static void print_levels(const rung_calibration_file *file)
{
    printf("%-10s %-6s %-9s %-11s %-9s %-9s %-10s %-9s\n", "level", "exit", "accuracy", "temperature", "nll",
           "at T = 1", "threshold", "answered");
    for (uint32_t l = 0; l < file->num_levels; l++) {
        const rung_calibration_level *level = &file->levels[l];
        for (size_t e = 0; e < level->num_exits; e++) {
            const rung_calibration_exit *exit = &level->exits[e];
            printf("%-10s %-6u %-9.4f %-11.4f %-9.4f %-9.4f", level->name, exit->layer, exit->accuracy,
                   exit->temperature, exit->nll_after, exit->nll_before);
            if (e + 1 == level->num_exits && level->has_threshold) {
                printf(" %-10.4f %-9.4f", level->threshold, level->answered);
            } else if (e + 1 == level->num_exits) {
                printf(" %-10s %-9.4f", "-", level->answered);
            }
            printf("\n");
        }
    }
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

int cli_fit(const rung_options *options)
{
    rung_error error;
    rung_cascade *cascade = NULL;
    rung_dataset data = {0};
    rung_calibration_file file = {0};
    char *out_path = NULL;
    cli_progress bar = {0};
    rung_progress progress = {.report = show_progress, .context = &bar};
    const char *data_path = rung_options_text(options, RUNG_OPTION_DATA);
    rung_status status = data_path != NULL
                             ? RUNG_OK
                             : rung_fail(&error, RUNG_INVALID, "no data: name labelled JSON lines with --data FILE");
    if (status == RUNG_OK) {
        status = open_uncalibrated(options, &cascade, &out_path, &error);
    }
    if (status == RUNG_OK) {
        status = rung_dataset_read(cascade, data_path, (size_t)rung_options_integer(options, RUNG_OPTION_MAX_LINE),
                                   &data, &error);
    }
    if (status == RUNG_OK) {
        status = rung_fit_cascade(cascade, &data, base_name(data_path),
                                  rung_options_number(options, RUNG_OPTION_AGREEMENT), &progress, &file, &error);
        cli_progress_end(&bar);
    }
    if (status == RUNG_OK) {
        status = rung_calibration_file_save(&file, out_path, &error);
    }
    if (status == RUNG_OK) {
        print_levels(&file);
        fprintf(stderr, "%s: fitted on %zu rows\n", out_path, data.count);
    }
    rung_calibration_file_deinit(&file);
    rung_dataset_deinit(&data);
    rung_cascade_close(cascade);
    free(out_path);
    return status == RUNG_OK ? CLI_OK : cli_fail(&error);
}
