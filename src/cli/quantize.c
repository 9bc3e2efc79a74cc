/* quantize.c: `rung quantize`: a Hugging Face directory to one packed int8 file. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int cli_quantize(const rung_options *options)
{
    rung_error error;
    const char *directory = rung_options_argument(options, 0);
    const char *out = rung_options_text(options, RUNG_OPTION_OUTPUT);
    if (out == NULL) {
        rung_fail(&error, RUNG_INVALID, "no output file: say where to write with -o FILE");
        return cli_fail(&error);
    }
    unsigned bits = (unsigned)strtoul(rung_options_text(options, RUNG_OPTION_EMBEDDING_BITS), NULL, 10);
    if (rung_model_quantize(directory, bits, out, &error) != RUNG_OK) {
        return cli_fail(&error);
    }
    struct stat info;
    if (stat(out, &info) == 0) {
        fprintf(stderr, "%s: %.1f MB, word embedding in %u bits\n", out, (double)info.st_size / 1e6, bits);
    }
    return CLI_OK;
}
