/* policy_yaml.c: writes a policy as YAML. See policy_yaml.h; the texts of the values are those of policy_options.c. */
#include "config/policy_yaml.h"

#include "config/policy_options.h"

#include <string.h>

#define PREFIX "policy."

/* Whether the option's text is another than the default's; `text` gets it. */
static bool differs(rung_option_id id, const rung_policy *policy, const rung_policy *defaults, uint32_t num_levels,
                    rung_buffer *text, rung_buffer *usual)
{
    rung_buffer_clear(text);
    rung_buffer_clear(usual);
    rung_policy_option_print(id, policy, num_levels, text);
    rung_policy_option_print(id, defaults, num_levels, usual);
    return !text->failed && !usual->failed && strcmp(text->data, usual->data) != 0;
}

/* "  offload:\n    k: 10\n". Keys of one section lie side by side in the table: *section is that of the line before, "" for none. */
static void put_key(rung_buffer *out, rung_option_id id, const char *text, const char **section)
{
    const char *key = rung_option_spec_of(id)->key + sizeof PREFIX - 1;
    size_t length = strcspn(key, ".");
    bool in_section = key[length] == '.';
    if (in_section && strncmp(*section, key, length + 1) != 0) {
        rung_buffer_format(out, "  %.*s:\n", (int)length, key);
    }
    *section = in_section ? key : "";
    bool is_list = strchr(text, ',') != NULL;
    rung_buffer_format(out, in_section ? "    %s: %s%s%s\n" : "  %s: %s%s%s\n", in_section ? key + length + 1 : key,
                       is_list ? "[" : "", text, is_list ? "]" : "");
}

void rung_cascade_config_put_policy(rung_buffer *out, const rung_policy *policy, const rung_policy *defaults,
                                    uint32_t num_levels)
{
    rung_buffer text = {0};
    rung_buffer usual = {0};
    const char *section = "";
    rung_buffer_format(out, "policy:\n  name: %s\n", policy->name);
    if (policy->seed != defaults->seed) {
        rung_buffer_format(out, "  seed: %llu\n", (unsigned long long)policy->seed);
    }
    for (rung_option_id id = RUNG_FIRST_POLICY_OPTION; id <= RUNG_LAST_POLICY_OPTION; id++) {
        bool other = differs(id, policy, defaults, num_levels, &text, &usual);
        /* A threshold that is not given is the calibration's. */
        if (other || (id == RUNG_OPTION_POLICY_OFFLOAD_THRESHOLD && !text.failed)) {
            put_key(out, id, text.data, &section);
        }
    }
    out->failed = out->failed || text.failed || usual.failed;
    rung_buffer_deinit(&text);
    rung_buffer_deinit(&usual);
}
