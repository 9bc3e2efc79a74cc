/* config_show.c: `rung config show`: every value in force and where it came from, thresholds of the calibration included. Opens no model. */
#include "cli/cli.h"

#include <string.h>

static rung_status load(const rung_options *options, rung_cascade_config *config, rung_calibration_file *file,
                        rung_error *error)
{
    rung_status status = rung_cascade_config_load(NULL, cli_data_directory(options), options, config, error);
    if (status != RUNG_OK || config->calibration_path == NULL) {
        return status;
    }
    status = rung_calibration_file_load(config->calibration_path, file, error);
    return status == RUNG_OK ? rung_cascade_config_use_calibration(config, file, error) : status;
}

int cli_config(const rung_options *options)
{
    rung_error error;
    rung_cascade_config config = {0};
    rung_calibration_file file = {0};
    rung_buffer text = {0};
    int code = CLI_OK;
    const char *action = rung_options_argument(options, 0);
    if (strcmp(action, "show") != 0) {
        rung_fail(&error, RUNG_NOT_FOUND, "config %.100s is unknown: show is known", action);
        code = cli_fail(&error);
    } else if (load(options, &config, &file, &error) != RUNG_OK) {
        code = cli_fail(&error);
    } else {
        rung_options_show(&text, config.options, config.num_levels);
        if (rung_buffer_check(&text, "text", &error) != RUNG_OK || !cli_print(text.data, text.length)) {
            code = CLI_FAILED;
        }
    }
    rung_buffer_deinit(&text);
    rung_calibration_file_deinit(&file);
    rung_cascade_config_deinit(&config);
    return code;
}
