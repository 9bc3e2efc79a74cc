/* fuzz_node_config.c: any bytes as node.yaml, and any text as an address. What is accepted is a node inside its limits whose values can be shown; what
 * is refused has a message that begins with the file's name. */
#include "config/address.h"
#include "config/node_config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* The first line by itself. */
static void read_address(const uint8_t *data, size_t size)
{
    char text[256];
    size_t length = 0;
    rung_host_port listen;
    rung_url url;
    while (length < size && length + 1 < sizeof text && data[length] != '\n') {
        text[length] = (char)data[length];
        length++;
    }
    text[length] = '\0';
    require(rung_parse_listen(text, &listen, NULL) != RUNG_OK || listen.is_numeric);
    require(rung_parse_url(text, &url, NULL) != RUNG_OK || (url.at.port > 0 && url.at.host[0] != '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rung_node_config config = {0};
    rung_error error = {0};
    read_address(data, size);
    rung_status status = rung_node_config_parse((const char *)data, size, "fuzz.yaml", NULL, NULL, &config, &error);
    if (status != RUNG_OK) {
        require(error.code == status && strncmp(error.message, "fuzz.yaml:", 10) == 0);
        return 0;
    }
    rung_buffer text = {0};
    require(config.cascade.num_levels == 1 && config.level == 1 && config.num_upstreams == 0);
    require(config.cascade.levels[0].model_path != NULL && config.cascade.levels[0].speed > 0);
    require(rung_policy_check(&config.cascade.policy, NULL, &error) == RUNG_OK);
    require(config.deadline_s > 0 && config.upstream_deadline_s <= config.deadline_s && config.max_inputs > 0);
    rung_options_show(&text, config.cascade.options, RUNG_FILE_NODE, 1);
    require(!text.failed);
    rung_buffer_deinit(&text);
    rung_node_config_deinit(&config);
    return 0;
}
