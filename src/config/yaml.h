/* yaml.h: strict YAML into a tree that knows where everything stood. Called by the configuration loaders; knows no key.
 * Refused, each with file:line:column: anchors, aliases, tags, merge keys, directives, several documents, duplicate keys, keys that are no
 * plain names, nesting beyond RUNG_YAML_MAX_DEPTH, more than RUNG_YAML_MAX_ENTRIES entries in a collection, files beyond
 * RUNG_YAML_MAX_BYTES. Source: YAML 1.1 as libyaml reads it. */
#ifndef RUNG_CONFIG_YAML_H
#define RUNG_CONFIG_YAML_H

#include "base/status.h"

#define RUNG_YAML_MAX_DEPTH 16
#define RUNG_YAML_MAX_BYTES ((size_t)1 << 20)
#define RUNG_YAML_MAX_ENTRIES 4096

typedef enum rung_yaml_kind {
    RUNG_YAML_SCALAR,
    RUNG_YAML_SEQUENCE,
    RUNG_YAML_MAPPING,
} rung_yaml_kind;

typedef struct rung_yaml_node rung_yaml_node;
struct rung_yaml_node {
    rung_yaml_kind kind;
    uint32_t line, column;  /* from 1 */
    char *text;             /* scalar: NUL-terminated, without NUL inside */
    bool is_null;           /* scalar: empty, ~ or null, without quotes */
    size_t count;           /* sequence, mapping: entries */
    rung_yaml_node **keys;  /* mapping: [count] scalars */
    rung_yaml_node **items; /* sequence, mapping: [count] values */
    size_t capacity;
};

typedef struct rung_yaml {
    char *name; /* of the file, for messages */
    rung_yaml_node *root;
} rung_yaml;

/* `name` is used in messages. An empty document is refused. */
rung_status rung_yaml_parse(const char *text, size_t bytes, const char *name, rung_yaml **yaml,
                            rung_error *error) RUNG_WARN_UNUSED;
rung_status rung_yaml_load(const char *path, rung_yaml **yaml, rung_error *error) RUNG_WARN_UNUSED;
void rung_yaml_free(rung_yaml *yaml);

/* The value of a key of a mapping, NULL when it is not there. */
const rung_yaml_node *rung_yaml_get(const rung_yaml_node *mapping, const char *key);

/* Fails with "file:line:column: message". */
rung_status rung_yaml_fail(const rung_yaml *yaml, const rung_yaml_node *node, rung_error *error, rung_status status,
                           const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
