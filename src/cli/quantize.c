/* quantize.c: `rung quantize`: a Hugging Face directory to one packed int8 file. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static unsigned bits_of(const rung_options *options, rung_option_id id)
{
    return (unsigned)strtoul(rung_options_text(options, id), NULL, 10);
}

static void report(const char *out, const rung_quantize_options *made)
{
    struct stat info;
    if (stat(out, &info) != 0) {
        return;
    }
    fprintf(stderr, "%s: %.1f MB, word embedding in %u bits", out, (double)info.st_size / 1e6, made->bits);
    if (made->frequent_rows > 0) {
        fprintf(stderr, ", its first %zu rows in %u bits", made->frequent_rows, made->frequent_bits);
    }
    fprintf(stderr, "\n");
}

int cli_quantize(const rung_options *options)
{
    rung_error error;
    const char *directory = rung_options_argument(options, 0);
    const char *out = rung_options_text(options, RUNG_OPTION_OUTPUT);
    if (out == NULL) {
        rung_fail(&error, RUNG_INVALID, "no output file: say where to write with -o FILE");
        return cli_fail(&error);
    }
    const rung_quantize_options wanted = {.bits = bits_of(options, RUNG_OPTION_EMBEDDING_BITS),
                                          .frequent_bits = bits_of(options, RUNG_OPTION_FREQUENT_BITS),
                                          .frequent_rows = rung_options_integer(options, RUNG_OPTION_FREQUENT_ROWS)};
    if (wanted.frequent_rows == 0 && rung_options_given(options, RUNG_OPTION_FREQUENT_BITS)) {
        rung_fail(&error, RUNG_INVALID, "--frequent-bits without --frequent-rows: say how many rows have that width");
        return cli_fail(&error);
    }
    if (rung_model_quantize(directory, &wanted, out, &error) != RUNG_OK) {
        return cli_fail(&error);
    }
    report(out, &wanted);
    return CLI_OK;
}
