/* main.c: finds the command, parses its options, calls it. Commands are in files of their own; options and help texts in src/config/options_table.c. */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int print_text(rung_buffer *text)
{
    rung_error error;
    int code = CLI_OK;
    if (rung_buffer_check(text, "help", &error) != RUNG_OK) {
        code = cli_fail(&error);
    } else if (!cli_print(text->data, text->length)) {
        code = CLI_FAILED;
    }
    rung_buffer_deinit(text);
    return code;
}

static int print_overview(void)
{
    rung_buffer text = {0};
    rung_options_overview(&text, 100);
    return print_text(&text);
}

static int print_help(const rung_command_spec *command)
{
    rung_buffer text = {0};
    rung_options_help(&text, command, 100);
    return print_text(&text);
}

static bool runs_a_model(rung_command command)
{
    return (command & (RUNG_COMMAND_CLASSIFY | RUNG_COMMAND_DEMO | RUNG_COMMAND_FIT | RUNG_COMMAND_BENCH |
                       RUNG_COMMAND_SERVE | RUNG_COMMAND_PROFILE | RUNG_COMMAND_EVAL)) != 0;
}

static int run_command(const rung_command_spec *command, const rung_options *options)
{
    rung_buffer text = {0};
    if (runs_a_model(command->command)) {
        cli_warn_of_slow_kernels(options);
    }
    switch (command->command) {
    case RUNG_COMMAND_CLASSIFY:
        return cli_classify(options);
    case RUNG_COMMAND_DEMO:
        return cli_demo(options);
    case RUNG_COMMAND_QUANTIZE:
        return cli_quantize(options);
    case RUNG_COMMAND_FIT:
        return cli_fit(options);
    case RUNG_COMMAND_BENCH:
        return cli_bench(options);
    case RUNG_COMMAND_CONFIG:
        return cli_config(options);
    case RUNG_COMMAND_PROFILE:
        return cli_profile(options);
    case RUNG_COMMAND_EVAL:
        return cli_eval(options);
    case RUNG_COMMAND_SERVE:
        return cli_serve(options);
    case RUNG_COMMAND_COMPLETION:
        rung_options_completion(&text);
        return print_text(&text);
    case RUNG_COMMAND_MAN:
        rung_options_man(&text);
        return print_text(&text);
    }
    return CLI_USAGE;
}

static int parse_and_run(const rung_command_spec *command, size_t count, const char *const *arguments)
{
    rung_error error;
    rung_options *options = NULL;
    int code;
    if (rung_options_new(&options, &error) != RUNG_OK ||
        rung_options_parse(options, command->command, count, arguments, &error) != RUNG_OK) {
        code = cli_fail(&error);
    } else if (rung_options_bool(options, RUNG_OPTION_HELP)) {
        code = print_help(command);
    } else {
        code = run_command(command, options);
    }
    rung_options_free(options);
    return code;
}

/* What was printed reached its reader, or the program failed. */
static int close_output(int code)
{
    bool failed = ferror(stdout) != 0;
    if ((fflush(stdout) != 0 || failed) && errno != EPIPE) {
        fprintf(stderr, "rung: cannot write to standard output: %s\n", strerror(errno));
        return CLI_FAILED;
    }
    return code;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        int code = print_overview();
        return close_output(argc < 2 ? CLI_USAGE : code);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("rung %s\n", rung_version());
        return close_output(CLI_OK);
    }
    rung_error error;
    const rung_command_spec *command;
    if (rung_command_find(argv[1], &command, &error) != RUNG_OK) {
        return cli_fail(&error);
    }
    return close_output(parse_and_run(command, (size_t)(argc - 2), (const char *const *)(argv + 2)));
}
