/* fuzz_yaml.c: any bytes as cascade.yaml. What is accepted is a cascade whose policy passes its check and whose values can be shown;
 * what is refused has a message that begins with the file's name. The policy is written as YAML, which reads back to the same. */
#include "config/cascade_config.h"
#include "config/policy_yaml.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void put(rung_buffer *out, const rung_cascade_config *config)
{
    rung_policy defaults;
    require(rung_policy_defaults(config->policy.name, config->num_levels, &defaults, NULL) == RUNG_OK);
    rung_buffer_text(out, "levels:\n  - {model: m}\n");
    for (uint32_t l = 1; l < config->num_levels; l++) {
        rung_buffer_text(out, "  - {model: m, link: lan}\n");
    }
    rung_cascade_config_put_policy(out, &config->policy, &defaults, config->num_levels);
    require(!out->failed);
}

static void write_and_read_policy(const rung_cascade_config *config)
{
    rung_buffer first = {0};
    rung_buffer second = {0};
    rung_cascade_config again = {0};
    put(&first, config);
    require(rung_cascade_config_parse(first.data, first.length, "again", "dir", NULL, &again, NULL) == RUNG_OK);
    put(&second, &again);
    require(strcmp(first.data, second.data) == 0);
    rung_cascade_config_deinit(&again);
    rung_buffer_deinit(&first);
    rung_buffer_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rung_cascade_config config = {0};
    rung_error error = {0};
    rung_status status = rung_cascade_config_parse((const char *)data, size, "fuzz.yaml", "dir", NULL, &config, &error);
    if (status != RUNG_OK) {
        require(error.code == status && strncmp(error.message, "fuzz.yaml:", 10) == 0);
        return 0;
    }
    rung_buffer text = {0};
    require(config.num_levels >= 1 && config.num_levels <= RUNG_MAX_LEVELS);
    require(rung_policy_check(&config.policy, NULL, &error) == RUNG_OK);
    for (uint32_t l = 0; l < config.num_levels; l++) {
        const rung_level_config *level = &config.levels[l];
        require(level->name != NULL && (level->model_path != NULL) != (level->remote != NULL) && level->speed > 0 &&
                level->has_link == (l > 0));
        require(!level->has_link || rung_link_check(&level->link, &error) == RUNG_OK);
    }
    write_and_read_policy(&config);
    rung_options_show(&text, config.options, RUNG_FILE_CASCADE, config.num_levels);
    require(!text.failed);
    rung_buffer_deinit(&text);
    rung_cascade_config_deinit(&config);
    return 0;
}
