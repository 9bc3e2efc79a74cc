/* config_show.c: `rung config show`: every value in force of a cascade or a node and where it came from, thresholds of the calibration included. Opens no
 * model. */
#include "cli/cli.h"
#include "config/node_config.h"

#include <string.h>

/* Either of the two, as the options ask for; *files are the kinds whose keys are of interest. */
static rung_status load(const rung_options *options, rung_node_config *node, uint32_t *files, rung_error *error)
{
    bool is_node = false;
    const char *data_dir = cli_data_directory(options);
    rung_status status = rung_node_config_wanted(options, &is_node, error);
    if (status == RUNG_OK && is_node) {
        status = rung_node_config_load(data_dir, options, node, error);
    } else if (status == RUNG_OK) {
        status = rung_cascade_config_load(NULL, data_dir, options, &node->cascade, error);
    }
    if (status == RUNG_OK) {
        *files = (is_node ? RUNG_FILE_NODE : 0) | (!is_node || node->from_cascade ? RUNG_FILE_CASCADE : 0);
    }
    return status;
}

static rung_status use_calibration(rung_cascade_config *config, rung_error *error)
{
    rung_calibration_file file = {0};
    if (config->calibration_path == NULL) {
        return RUNG_OK;
    }
    rung_status status = rung_calibration_file_load(config->calibration_path, &file, error);
    if (status == RUNG_OK) {
        status = rung_cascade_config_use_calibration(config, &file, error);
    }
    rung_calibration_file_deinit(&file);
    return status;
}

int cli_config(const rung_options *options)
{
    rung_error error;
    rung_node_config node = {0};
    uint32_t files = 0;
    rung_buffer text = {0};
    int code = CLI_OK;
    const char *action = rung_options_argument(options, 0);
    if (strcmp(action, "show") != 0) {
        rung_fail(&error, RUNG_NOT_FOUND, "config %.100s is unknown: show is known", action);
        code = cli_fail(&error);
    } else if (load(options, &node, &files, &error) != RUNG_OK || use_calibration(&node.cascade, &error) != RUNG_OK) {
        code = cli_fail(&error);
    } else {
        rung_options_show(&text, node.cascade.options, files, node.cascade.num_levels);
        if (rung_buffer_check(&text, "text", &error) != RUNG_OK || !cli_print(text.data, text.length)) {
            code = CLI_FAILED;
        }
    }
    rung_buffer_deinit(&text);
    rung_node_config_deinit(&node);
    return code;
}
