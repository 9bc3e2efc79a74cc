/* fuzz_shard_index.c: any bytes through the reader of model.safetensors.index.json; every entry of an accepted index must
 * be found and name a shard without a slash. Run by fuzz/meson.build over corpus/shard_index/. */
#include "model/shard_index.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rung_shard_index index = {0};
    rung_error error = {.message = ""};
    if (rung_shard_index_parse((const char *)data, size, "input", &index, &error) != RUNG_OK) {
        if (error.message[0] == '\0' || index.json != NULL) {
            abort();
        }
        return 0;
    }
    for (size_t i = 0; i < index.num_entries; i++) {
        const rung_shard_entry *entry = &index.entries[i];
        if (entry->shard >= index.num_shards || strchr(index.shards[entry->shard], '/') != NULL ||
            rung_shard_index_find(&index, entry->tensor) != entry) {
            abort();
        }
    }
    rung_shard_index_deinit(&index);
    return 0;
}
