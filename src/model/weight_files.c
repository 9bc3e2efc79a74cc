/* weight_files.c: one model.safetensors or several shards. See weight_files.h. Called by load_hf.c. */
#include "model/weight_files.h"

#include "base/memory.h"
#include "model/shard_index.h"

#include <stdlib.h>
#include <string.h>

static const char SINGLE_NAME[] = "model.safetensors";
static const char INDEX_NAME[] = "model.safetensors.index.json";

struct rung_weight_files {
    char *path;
    rung_safetensors **files; /* [num_files]: the single one, or the shards of the index */
    size_t num_files;
    char *index_text; /* NULL: a single file */
    size_t index_bytes;
    rung_shard_index index;
};

static bool has_file(const char *directory, const char *name)
{
    rung_error ignored;
    char *path = rung_path_join(directory, name, &ignored);
    bool exists = path != NULL && rung_path_exists(path);
    free(path);
    return exists;
}

static rung_status fail_no_weights(const char *directory, rung_error *error)
{
    if (has_file(directory, "pytorch_model.bin")) {
        return rung_fail(
            error, RUNG_UNSUPPORTED,
            "%s: pytorch_model.bin is a pickle, which rung does not read: convert it to model.safetensors in "
            "Python with transformers, AutoModelForSequenceClassification.from_pretrained(DIR)"
            ".save_pretrained(DIR)",
            directory);
    }
    return rung_fail(error, RUNG_NOT_FOUND, "%s: has no model.safetensors", directory);
}

static rung_status open_single(rung_weight_files *files, rung_error *error)
{
    files->files = rung_alloc(1, sizeof(rung_safetensors *), "weights", error);
    if (files->files == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = rung_safetensors_open(files->path, &files->files[0], error);
    files->num_files = status == RUNG_OK ? 1 : 0;
    return status;
}

static rung_status open_shard(rung_weight_files *files, const char *directory, size_t shard, rung_error *error)
{
    char *path = rung_path_join(directory, files->index.shards[shard], error);
    if (path == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = RUNG_OK;
    if (!rung_path_exists(path)) {
        status =
            rung_fail(error, RUNG_NOT_FOUND, "%s: is missing, but %s says that it holds tensors", path, INDEX_NAME);
    } else {
        status = rung_safetensors_open(path, &files->files[shard], error);
    }
    free(path);
    return status;
}

/* Both ways: what the index promises is there, and nothing else is. */
static rung_status compare_with_index(const rung_weight_files *files, rung_error *error)
{
    const rung_shard_index *index = &files->index;
    for (size_t i = 0; i < index->num_entries; i++) {
        const rung_safetensors *shard = files->files[index->entries[i].shard];
        if (rung_safetensors_find(shard, index->entries[i].tensor) == NULL) {
            return rung_fail(error, RUNG_NOT_FOUND, "%s: tensor \"%.100s\" is missing, but %s says that it is there",
                             rung_safetensors_path(shard), index->entries[i].tensor, INDEX_NAME);
        }
    }
    for (size_t shard = 0; shard < files->num_files; shard++) {
        for (size_t i = 0; i < rung_safetensors_count(files->files[shard]); i++) {
            const char *name = rung_safetensors_at(files->files[shard], i)->name;
            const rung_shard_entry *entry = rung_shard_index_find(index, name);
            if (entry == NULL || entry->shard != shard) {
                return rung_fail(error, RUNG_MISMATCH, "%s: tensor \"%.100s\" is not there by %s, which says \"%s\"",
                                 rung_safetensors_path(files->files[shard]), name, INDEX_NAME,
                                 entry != NULL ? index->shards[entry->shard] : "nowhere");
            }
        }
    }
    return RUNG_OK;
}

static rung_status open_shards(rung_weight_files *files, const char *directory, rung_error *error)
{
    rung_status status =
        rung_read_file(files->path, RUNG_SHARD_INDEX_MAX_BYTES, &files->index_text, &files->index_bytes, error);
    if (status == RUNG_OK) {
        status = rung_shard_index_parse(files->index_text, files->index_bytes, files->path, &files->index, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    files->files = rung_alloc(files->index.num_shards, sizeof(rung_safetensors *), "weights", error);
    if (files->files == NULL) {
        return RUNG_NO_MEMORY;
    }
    files->num_files = files->index.num_shards;
    for (size_t shard = 0; shard < files->num_files && status == RUNG_OK; shard++) {
        status = open_shard(files, directory, shard, error);
    }
    return status == RUNG_OK ? compare_with_index(files, error) : status;
}

rung_status rung_weight_files_open(const char *directory, rung_weight_files **out, rung_error *error)
{
    bool single = has_file(directory, SINGLE_NAME);
    if (!single && !has_file(directory, INDEX_NAME)) {
        return fail_no_weights(directory, error);
    }
    rung_weight_files *files = rung_alloc(1, sizeof *files, "weights", error);
    if (files == NULL) {
        return RUNG_NO_MEMORY;
    }
    files->path = rung_path_join(directory, single ? SINGLE_NAME : INDEX_NAME, error);
    rung_status status = RUNG_NO_MEMORY;
    if (files->path != NULL) {
        status = single ? open_single(files, error) : open_shards(files, directory, error);
    }
    if (status != RUNG_OK) {
        rung_weight_files_close(files);
        return status;
    }
    *out = files;
    return RUNG_OK;
}

void rung_weight_files_close(rung_weight_files *files)
{
    if (files == NULL) {
        return;
    }
    for (size_t i = 0; i < files->num_files; i++) {
        rung_safetensors_close(files->files[i]);
    }
    free(files->files);
    rung_shard_index_deinit(&files->index);
    free(files->index_text);
    free(files->path);
    free(files);
}

/* The file that holds the tensor; NULL when the index does not know it. */
static const rung_safetensors *holder(const rung_weight_files *files, const char *tensor)
{
    if (files->index_text == NULL) {
        return files->files[0];
    }
    const rung_shard_entry *entry = rung_shard_index_find(&files->index, tensor);
    return entry != NULL ? files->files[entry->shard] : NULL;
}

bool rung_weight_files_has(const rung_weight_files *files, const char *tensor)
{
    const rung_safetensors *file = holder(files, tensor);
    return file != NULL && rung_safetensors_find(file, tensor) != NULL;
}

rung_status rung_weight_files_require(const rung_weight_files *files, const char *name, size_t rank,
                                      const size_t *shape, const rung_tensor **tensor, rung_error *error)
{
    const rung_safetensors *file = holder(files, name);
    if (file == NULL) {
        return rung_fail(error, RUNG_NOT_FOUND, "%s: tensor \"%s\" is missing", files->path, name);
    }
    const rung_tensor *found = NULL;
    rung_status status = rung_safetensors_require(file, name, -1, rank, shape, &found, error);
    if (status == RUNG_OK) {
        status = rung_tensor_require_finite(file, found, error);
    }
    if (status == RUNG_OK) {
        *tensor = found;
    }
    return status;
}

const char *rung_weight_files_path(const rung_weight_files *files)
{
    return files->path;
}

size_t rung_weight_files_bytes(const rung_weight_files *files)
{
    size_t bytes = 0;
    for (size_t i = 0; i < files->num_files; i++) {
        bytes += rung_safetensors_contents(files->files[i]).size;
    }
    return bytes;
}

bool rung_weight_files_part(const rung_weight_files *files, size_t index, const char **name, rung_mapping *contents)
{
    bool sharded = files->index_text != NULL;
    if (sharded && index == 0) {
        *name = INDEX_NAME;
        *contents = (rung_mapping){(const uint8_t *)files->index_text, files->index_bytes};
        return true;
    }
    size_t file = index - sharded;
    if (file >= files->num_files) {
        return false;
    }
    *name = sharded ? files->index.shards[file] : SINGLE_NAME;
    *contents = rung_safetensors_contents(files->files[file]);
    return true;
}
