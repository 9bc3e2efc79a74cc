/* shard_index.h: model.safetensors.index.json, which says in which file each tensor of a model lies when its weights are
 * in several. The text is untrusted. Called by weight_files.c and the fuzzer; opens nothing. */
#ifndef RUNG_MODEL_SHARD_INDEX_H
#define RUNG_MODEL_SHARD_INDEX_H

#include "base/status.h"

#define RUNG_SHARD_INDEX_MAX_BYTES ((size_t)16 << 20)
#define RUNG_MAX_SHARDS 1024

typedef struct rung_shard_entry {
    const char *tensor;
    size_t shard; /* in `shards` */
} rung_shard_entry;

/* The texts are lent by `json`. */
typedef struct rung_shard_index {
    const char **shards; /* [num_shards] file names, each once, in order of their bytes */
    size_t num_shards;
    rung_shard_entry *entries; /* [num_entries] in order of tensor */
    size_t num_entries;
    void *json;
} rung_shard_index;

/* From the file's text; `name` (a file) is used in messages. A shard is a file of the same directory whose name ends in
 * ".safetensors". RUNG_FORMAT, RUNG_LIMIT, RUNG_NO_MEMORY. */
rung_status rung_shard_index_parse(const char *text, size_t bytes, const char *name, rung_shard_index *index,
                                   rung_error *error) RUNG_WARN_UNUSED;
void rung_shard_index_deinit(rung_shard_index *index);

/* NULL when the index does not know the tensor. */
const rung_shard_entry *rung_shard_index_find(const rung_shard_index *index, const char *tensor);

#endif
