/* weight_files.h: the weights of a Hugging Face directory, in one model.safetensors or in shards with an index, looked at
 * as one set of tensors. Called by load_hf.c; knows no names of tensors. */
#ifndef RUNG_MODEL_WEIGHT_FILES_H
#define RUNG_MODEL_WEIGHT_FILES_H

#include "model/safetensors.h"

typedef struct rung_weight_files rung_weight_files;

/* Maps all files; model.safetensors is preferred to an index. Every tensor of the index must be in the shard that it
 * names, and every tensor of a shard in the index. RUNG_NOT_FOUND (no weights, a shard or tensor is missing),
 * RUNG_UNSUPPORTED (only pytorch_model.bin), RUNG_MISMATCH, and what the files themselves can give. */
rung_status rung_weight_files_open(const char *directory, rung_weight_files **files,
                                   rung_error *error) RUNG_WARN_UNUSED;
void rung_weight_files_close(rung_weight_files *files);

bool rung_weight_files_has(const rung_weight_files *files, const char *tensor);

/* The tensor `name`, F32, F16 or BF16, finite and of that shape; the error names the file. Lent by `files`. */
rung_status rung_weight_files_require(const rung_weight_files *files, const char *name, size_t rank,
                                      const size_t *shape, const rung_tensor **tensor,
                                      rung_error *error) RUNG_WARN_UNUSED;

/* What messages call the whole: the path of model.safetensors or of the index. */
const char *rung_weight_files_path(const rung_weight_files *files);
size_t rung_weight_files_bytes(const rung_weight_files *files);

/* One of the files that decide the weights: its name without the directory and its bytes, lent. Shards in order of their names, behind the
 * index. False beyond the last. */
bool rung_weight_files_part(const rung_weight_files *files, size_t index, const char **name, rung_mapping *contents);

#endif
