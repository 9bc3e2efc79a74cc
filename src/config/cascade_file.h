/* cascade_file.h: the keys of a cascade's YAML file into options. Used by cascade_config.c only. */
#ifndef RUNG_CONFIG_CASCADE_FILE_H
#define RUNG_CONFIG_CASCADE_FILE_H

#include "config/options.h"
#include "config/yaml.h"

/* Where things stood, for messages about what is missing. */
typedef struct rung_cascade_lines {
    uint32_t num_levels;
    uint32_t level_line[RUNG_MAX_LEVELS];
    uint32_t level_column[RUNG_MAX_LEVELS];
} rung_cascade_lines;

/* Puts every key into *options as RUNG_SOURCE_FILE; unknown keys and wrong values fail with file:line:column. `directory` is what paths are
 * relative to. */
rung_status rung_cascade_file_apply(const rung_yaml *yaml, const char *directory, rung_options *options,
                                    rung_cascade_lines *lines, rung_error *error) RUNG_WARN_UNUSED;

#endif
