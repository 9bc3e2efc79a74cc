/* shard_index.c: model.safetensors.index.json. See shard_index.h. Called by weight_files.c.
 * Source of the format: Hugging Face transformers, {"metadata": {...}, "weight_map": {tensor: file}}. */
#include "model/shard_index.h"

#include "base/memory.h"
#include "model/json_field.h"

#include <stdlib.h>
#include <string.h>

static const char SHARD_SUFFIX[] = ".safetensors";

/* A file name alone: a path could point anywhere. */
static bool is_shard_name(const char *text, size_t bytes)
{
    size_t suffix = sizeof SHARD_SUFFIX - 1;
    return bytes == strlen(text) && bytes > suffix && bytes < 256 && text[0] != '.' && strchr(text, '/') == NULL &&
           strcmp(text + bytes - suffix, SHARD_SUFFIX) == 0;
}

static rung_status read_entry(const char *tensor, size_t tensor_bytes, const json_t *file, const char *name,
                              rung_error *error)
{
    char quoted[RUNG_JSON_QUOTE_BYTES];
    char quoted_file[RUNG_JSON_QUOTE_BYTES];
    rung_json_quote(tensor, tensor_bytes, quoted);
    if (tensor_bytes != strlen(tensor)) {
        return rung_fail(error, RUNG_FORMAT, "%s: weight_map: the name of tensor \"%s\" has a NUL byte", name, quoted);
    }
    if (!json_is_string(file)) {
        return rung_fail(error, RUNG_FORMAT, "%s: weight_map: tensor \"%s\" is %s; it must be a file name", name,
                         quoted, rung_json_type_name(file));
    }
    if (!is_shard_name(json_string_value(file), json_string_length(file))) {
        return rung_fail(error, RUNG_FORMAT,
                         "%s: weight_map: tensor \"%s\" is said to be in \"%s\"; it must be a file name that ends in "
                         "\"%s\" and has no slash",
                         name, quoted, rung_json_quote(json_string_value(file), json_string_length(file), quoted_file),
                         SHARD_SUFFIX);
    }
    return RUNG_OK;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const rung_shard_entry *)a)->tensor, ((const rung_shard_entry *)b)->tensor);
}

/* Makes the list of files, which holds a name for each tensor, sorted and each name once. */
static rung_status settle_shards(rung_shard_index *index, const char *name, rung_error *error)
{
    qsort(index->shards, index->num_entries, sizeof *index->shards, compare_texts);
    for (size_t i = 0; i < index->num_entries; i++) {
        if (i == 0 || strcmp(index->shards[i], index->shards[index->num_shards - 1]) != 0) {
            index->shards[index->num_shards++] = index->shards[i];
        }
    }
    if (index->num_shards > RUNG_MAX_SHARDS) {
        return rung_fail(error, RUNG_LIMIT, "%s: weight_map names %zu files, more than the limit of %d", name,
                         index->num_shards, RUNG_MAX_SHARDS);
    }
    return RUNG_OK;
}

static void place_entries(rung_shard_index *index, const json_t *map)
{
    for (size_t i = 0; i < index->num_entries; i++) {
        rung_shard_entry *entry = &index->entries[i];
        const char *file = json_string_value(json_object_get(map, entry->tensor));
        const char **found = bsearch(&file, index->shards, index->num_shards, sizeof *index->shards, compare_texts);
        entry->shard = (size_t)(found - index->shards);
    }
    qsort(index->entries, index->num_entries, sizeof *index->entries, compare_entries);
}

static rung_status read_map(rung_shard_index *index, const json_t *map, const char *name, rung_error *error)
{
    size_t count = json_object_size(map);
    if (count == 0) {
        return rung_fail(error, RUNG_FORMAT, "%s: weight_map is empty", name);
    }
    index->shards = rung_alloc(count, sizeof *index->shards, "shards", error);
    index->entries = rung_alloc(count, sizeof *index->entries, "weight map", error);
    if (index->shards == NULL || index->entries == NULL) {
        return RUNG_NO_MEMORY;
    }
    /* jansson's iteration takes the object without const, and changes nothing. */
    json_t *object = (json_t *)(uintptr_t)map;
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
        const char *tensor = json_object_iter_key(at);
        const json_t *file = json_object_iter_value(at);
        rung_status status = read_entry(tensor, json_object_iter_key_len(at), file, name, error);
        if (status != RUNG_OK) {
            return status;
        }
        index->entries[index->num_entries].tensor = tensor;
        index->shards[index->num_entries] = json_string_value(file);
        index->num_entries++;
    }
    rung_status status = settle_shards(index, name, error);
    if (status == RUNG_OK) {
        place_entries(index, map);
    }
    return status;
}

rung_status rung_shard_index_parse(const char *text, size_t bytes, const char *name, rung_shard_index *index,
                                   rung_error *error)
{
    rung_error local = {0};
    error = error != NULL ? error : &local;
    json_t *root = rung_json_parse(text, bytes, name, error);
    if (root == NULL) {
        return error->code;
    }
    rung_shard_index made = {.json = root};
    const json_t *map = NULL;
    rung_status status = RUNG_OK;
    if (!json_is_object(root)) {
        status =
            rung_fail(error, RUNG_FORMAT, "%s: the file is %s; it must be an object", name, rung_json_type_name(root));
    }
    if (status == RUNG_OK) {
        status = rung_json_field(root, "", "weight_map", JSON_OBJECT, name, &map, error);
    }
    if (status == RUNG_OK) {
        status = read_map(&made, map, name, error);
    }
    if (status != RUNG_OK) {
        rung_shard_index_deinit(&made);
        return status;
    }
    *index = made;
    return RUNG_OK;
}

void rung_shard_index_deinit(rung_shard_index *index)
{
    free(index->shards);
    free(index->entries);
    json_decref(index->json);
    *index = (rung_shard_index){0};
}

const rung_shard_entry *rung_shard_index_find(const rung_shard_index *index, const char *tensor)
{
    const rung_shard_entry wanted = {.tensor = tensor};
    return bsearch(&wanted, index->entries, index->num_entries, sizeof *index->entries, compare_entries);
}
