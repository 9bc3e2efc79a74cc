/* option_file.h: the keys of a YAML file into options, by the table of options. Used by cascade_config.c and node_config.c. Knows which keys a kind of
 * file has, not what they mean together. */
#ifndef RUNG_CONFIG_OPTION_FILE_H
#define RUNG_CONFIG_OPTION_FILE_H

#include "config/options.h"
#include "config/yaml.h"

/* Where things stood, for messages about what is missing. */
typedef struct rung_file_lines {
    uint32_t num_levels; /* cascade.yaml */
    uint32_t level_line[RUNG_MAX_LEVELS];
    uint32_t level_column[RUNG_MAX_LEVELS];
    const rung_yaml_node *policy_file; /* node.yaml: the scalar of `policy: FILE`, lent from the tree; NULL: none */
} rung_file_lines;

/* Puts every key into *options as RUNG_SOURCE_FILE; unknown keys and wrong values fail with file:line:column. `directory` is what paths are
 * relative to. A cascade's file must have `levels`. */
rung_status rung_option_file_apply(const rung_yaml *yaml, rung_file_kind kind, const char *directory,
                                   rung_options *options, rung_file_lines *lines, rung_error *error) RUNG_WARN_UNUSED;

/* A file that holds the keys below `policy`, as node.yaml may name one. */
rung_status rung_option_file_apply_policy(const rung_yaml *yaml, const char *directory, rung_options *options,
                                          rung_error *error) RUNG_WARN_UNUSED;

#endif
