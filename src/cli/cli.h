/* cli.h: what the commands share. Only src/cli prints, exits and reads the environment. */
#ifndef RUNG_CLI_CLI_H
#define RUNG_CLI_CLI_H

#include "config/cascade_config.h"
#include "config/options.h"
#include "run/cascade.h"

/* Exit codes of the program. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* One file a command. Each returns an exit code. */
int cli_classify(const rung_options *options);
int cli_quantize(const rung_options *options);
int cli_fit(const rung_options *options);
int cli_demo(const rung_options *options);
int cli_serve(const rung_options *options);
int cli_bench(const rung_options *options);
int cli_config(const rung_options *options);
int cli_profile(const rung_options *options);
int cli_eval(const rung_options *options);

/* Prints "rung: message" to stderr; returns CLI_USAGE for what the user can mend (input, files, options) and CLI_FAILED for the rest. */
int cli_fail(const rung_error *error);

/* The directory of the default cascade: --data-dir, else $RUNG_DATA, else the compiled-in path. */
const char *cli_data_directory(const rung_options *options);

/* The kernels to use: --isa, else $RUNG_ISA; NULL: the best that the CPU has. */
const char *cli_isa(const rung_options *options);

/* One line on stderr when the kernels that rung chose by itself are many times slower than those of other processors. For
 * commands that run a model, once a process. */
void cli_warn_of_slow_kernels(const rung_options *options);

/* The cascade that the options name; batch_texts as in rung_open_options. Prints nothing. */
rung_status cli_open_cascade(const rung_options *options, size_t batch_texts, rung_cascade **cascade,
                             rung_error *error) RUNG_WARN_UNUSED;

/* A progress bar on stderr, only when it is a terminal or every tenth part is due. Zero-initialise with a title and total. */
typedef struct cli_progress {
    const char *title;
    size_t total;
    double started_s;
    size_t last_done; /* for callers that show several in a row */
    size_t shown_permille;
    bool shown;
} cli_progress;

void cli_progress_show(cli_progress *progress, size_t done);
void cli_progress_end(cli_progress *progress);

/* The `report` of a rung_progress whose context is a cli_progress: one bar for each thing that is reported, one after the other. */
void cli_progress_report(void *context, const char *what, size_t done, size_t total);

#define CLI_MACHINE_BYTES 96

/* The processor's name as Linux tells it. */
void cli_machine_name(char out[CLI_MACHINE_BYTES]);

/* The part of a path behind its last '/'. */
const char *cli_base_name(const char *path);

/* Writes all of text to stdout; false when the reader has gone or the disk is full. */
bool cli_print(const char *text, size_t bytes);

/* The same with a buffer that was written piece by piece: checks it, prints it, flushes, empties it. */
rung_status cli_print_buffer(rung_buffer *buffer, rung_error *error) RUNG_WARN_UNUSED;

#endif
