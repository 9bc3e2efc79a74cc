/* wordpiece.c: see wordpiece.h. */
#include "model/wordpiece.h"

#include "base/memory.h"

#include <stdlib.h>

rung_status rung_wordpiece_index(rung_wordpiece *model, const rung_vocabulary *vocabulary,
                                 const char *continuing_prefix, size_t prefix_bytes, rung_error *error)
{
    /* Tokens share about three quarters of their bytes with others in the vocabularies that exist. */
    rung_status status = rung_trie_reserve(&model->trie, vocabulary->blob_bytes / 4, error);
    for (size_t id = 0; status == RUNG_OK && id < vocabulary->id_limit; id++) {
        if (vocabulary->offsets[id] == SIZE_MAX || vocabulary->bytes[id] == 0) {
            continue;
        }
        int32_t previous;
        status = rung_trie_add(&model->trie, vocabulary->blob + vocabulary->offsets[id], vocabulary->bytes[id],
                               (int32_t)id, &previous, error);
    }
    if (status == RUNG_OK) {
        model->continuing_prefix = rung_copy_text(continuing_prefix, prefix_bytes, "prefix", error);
        status = model->continuing_prefix == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    }
    model->prefix_bytes = prefix_bytes;
    model->continuing_node = rung_trie_find(&model->trie, continuing_prefix, prefix_bytes);
    return status;
}

void rung_wordpiece_deinit(rung_wordpiece *model)
{
    rung_trie_deinit(&model->trie);
    free(model->continuing_prefix);
    *model = (rung_wordpiece){0};
}

size_t rung_wordpiece_piece(const rung_wordpiece *model, const char *word, size_t start, size_t bytes, int32_t *id)
{
    uint32_t from = start == 0 ? RUNG_TRIE_ROOT : model->continuing_node;
    if (model->trie.node_count == 0) {
        return 0;
    }
    return rung_trie_longest(&model->trie, from, word + start, bytes - start, id);
}
