/* cascade_yaml.h: a loaded configuration as the text of a cascade.yaml, under another policy and calibration, for whoever finds a policy and hands it
 * on. Called by src/eval. */
#ifndef RUNG_CONFIG_CASCADE_YAML_H
#define RUNG_CONFIG_CASCADE_YAML_H

#include "config/cascade_config.h"

/* Appends the file: the levels with their links, what a file or a flag gave beside them, `calibration` (a path from the file's directory) and the policy (as
 * rung_cascade_config_put_policy). Paths of models and traces are absolute. What is appended loads to the same cascade from any directory. */
rung_status rung_cascade_config_put(rung_buffer *out, const rung_cascade_config *config, const char *calibration,
                                    const rung_policy *policy, rung_error *error) RUNG_WARN_UNUSED;

#endif
