/* cli.c: what the commands share. See cli.h. */
#include "cli/cli.h"

#include "base/clock.h"
#include "kernels/kernels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cli_fail(const rung_error *error)
{
    fprintf(stderr, "rung: %s\n", error->message);
    return error->code == RUNG_IO || error->code == RUNG_NO_MEMORY ? CLI_FAILED : CLI_USAGE;
}

const char *cli_data_directory(const rung_options *options)
{
    const char *given = rung_options_text(options, RUNG_OPTION_DATA_DIR);
    if (given != NULL) {
        return given;
    }
    const char *environment = getenv("RUNG_DATA");
    return environment != NULL && environment[0] != '\0' ? environment : RUNG_DATA_DIR;
}

const char *cli_isa(const rung_options *options)
{
    const char *given = rung_options_text(options, RUNG_OPTION_ISA);
    const char *environment = getenv("RUNG_ISA");
    return given != NULL || environment == NULL || environment[0] == '\0' ? given : environment;
}

void cli_warn_of_slow_kernels(const rung_options *options)
{
    rung_error error;
    const char *isa = cli_isa(options);
    const rung_kernels *kernels;
    if (rung_kernels_select(isa, &kernels, &error) != RUNG_OK) {
        return; /* the command says so */
    }
    const char *because = rung_kernels_slow_because(isa, kernels);
    if (because != NULL) {
        fprintf(stderr, "rung: %s; using portable kernels, which are many times slower\n", because);
    }
}

rung_status cli_open_cascade(const rung_options *options, size_t batch_texts, rung_cascade **cascade, rung_error *error)
{
    rung_cascade_config config = {0};
    rung_status status = rung_cascade_config_load(NULL, cli_data_directory(options), options, &config, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_open_options open = {.isa = cli_isa(options), .batch_texts = batch_texts};
    return rung_cascade_open_config(&config, &open, cascade, error);
}

#define BAR_COLUMNS 30

void cli_progress_show(cli_progress *progress, size_t done)
{
    bool terminal = isatty(STDERR_FILENO);
    size_t permille = progress->total == 0 ? 1000 : done * 1000 / progress->total;
    if (progress->shown && permille < progress->shown_permille + (terminal ? 5 : 100) && done != progress->total) {
        return;
    }
    double now_s = rung_clock_s();
    if (!progress->shown) {
        progress->started_s = now_s;
    }
    progress->shown = true;
    progress->shown_permille = permille;
    double left_s = done == 0 ? 0 : (now_s - progress->started_s) / (double)done * (double)(progress->total - done);
    char bar[BAR_COLUMNS + 1];
    for (size_t i = 0; i < BAR_COLUMNS; i++) {
        bar[i] = i < permille * BAR_COLUMNS / 1000 ? '#' : '.';
    }
    bar[BAR_COLUMNS] = '\0';
    fprintf(stderr, "%s%-28s [%s] %zu/%zu, %.0f s left%s", terminal ? "\r" : "", progress->title, bar, done,
            progress->total, left_s, terminal ? "  " : "\n");
    fflush(stderr);
}

void cli_progress_end(cli_progress *progress)
{
    if (progress->shown && isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r%*s\r", 100, "");
        fflush(stderr);
    }
}

void cli_progress_report(void *context, const char *what, size_t done, size_t total)
{
    cli_progress *progress = context;
    if (progress->title == NULL || strcmp(progress->title, what) != 0 || done < progress->last_done) {
        cli_progress_end(progress);
        *progress = (cli_progress){.title = what, .total = total};
    }
    progress->last_done = done;
    cli_progress_show(progress, done);
}

void cli_machine_name(char out[CLI_MACHINE_BYTES])
{
    char line[256];
    snprintf(out, CLI_MACHINE_BYTES, "unknown processor");
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL && colon[1] == ' ') {
            colon[2 + strcspn(colon + 2, "\n")] = '\0';
            snprintf(out, CLI_MACHINE_BYTES, "%.90s", colon + 2);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

const char *cli_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

bool cli_print(const char *text, size_t bytes)
{
    return fwrite(text, 1, bytes, stdout) == bytes;
}

rung_status cli_print_buffer(rung_buffer *buffer, rung_error *error)
{
    rung_status status = rung_buffer_check(buffer, "output", error);
    if (status == RUNG_OK && (!cli_print(buffer->data, buffer->length) || fflush(stdout) != 0)) {
        status = rung_fail(error, RUNG_IO, "cannot write to standard output: %s", strerror(errno));
    }
    rung_buffer_clear(buffer);
    return status;
}
