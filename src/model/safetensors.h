/* safetensors.h: reads and writes the safetensors format (8-byte little-endian header length, JSON header, data).
 * Files are untrusted: every offset is checked to lie inside the file, tensors may not overlap or leave holes, sizes
 * must match shape and type. Source: the safetensors format description. Called by the model loader, quantize and the
 * tests. */
#ifndef RUNG_MODEL_SAFETENSORS_H
#define RUNG_MODEL_SAFETENSORS_H

#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"

#define RUNG_TENSOR_MAX_RANK 8
#define RUNG_SAFETENSORS_MAX_HEADER_BYTES (16u << 20)

typedef enum rung_dtype {
    RUNG_F32,
    RUNG_F16,
    RUNG_BF16,
    RUNG_I8,
    RUNG_U8,
    RUNG_I32,
    RUNG_I64,
    RUNG_F64,
    RUNG_BOOL,
    RUNG_I16,
    RUNG_U16,
    RUNG_U32,
    RUNG_U64,
} rung_dtype;

const char *rung_dtype_name(rung_dtype dtype); /* "F32", ... as in the file */
size_t rung_dtype_bytes(rung_dtype dtype);

/* Lent: name and data live as long as the file is open. data is unaligned unless the writer aligned it. */
typedef struct rung_tensor {
    const char *name;
    rung_dtype dtype;
    size_t rank;
    size_t shape[RUNG_TENSOR_MAX_RANK];
    const uint8_t *data;
    size_t bytes;
} rung_tensor;

typedef struct rung_safetensors rung_safetensors;

/* Maps `path` read-only. Errors name the file and the tensor. RUNG_NOT_FOUND, RUNG_IO, RUNG_FORMAT, RUNG_LIMIT,
 * RUNG_UNSUPPORTED. */
rung_status rung_safetensors_open(const char *path, rung_safetensors **file, rung_error *error) RUNG_WARN_UNUSED;

/* The same over bytes that the caller keeps alive (fuzzing, tests). */
rung_status rung_safetensors_parse(const uint8_t *data, size_t size, const char *name, rung_safetensors **file,
                                   rung_error *error) RUNG_WARN_UNUSED;
void rung_safetensors_close(rung_safetensors *file);

const char *rung_safetensors_path(const rung_safetensors *file);

/* All bytes of the file, lent; the first rung_safetensors_header_bytes of them are the length and the JSON text. */
rung_mapping rung_safetensors_contents(const rung_safetensors *file);
size_t rung_safetensors_header_bytes(const rung_safetensors *file);

size_t rung_safetensors_count(const rung_safetensors *file);
const rung_tensor *rung_safetensors_at(const rung_safetensors *file, size_t index); /* in order of offset */
const rung_tensor *rung_safetensors_find(const rung_safetensors *file,
                                         const char *name); /* NULL when absent; hashed or binary search */
const char *rung_safetensors_metadata(const rung_safetensors *file, const char *key,
                                      size_t *bytes); /* NULL when absent */

/* Finds `name` and demands its type and shape; the error names file, tensor, what is there and what is wanted.
 * dtype < 0 accepts F32, F16 and BF16. */
rung_status rung_safetensors_require(const rung_safetensors *file, const char *name, int dtype, size_t rank,
                                     const size_t *shape, const rung_tensor **tensor,
                                     rung_error *error) RUNG_WARN_UNUSED;

/* Element-wise conversion of F32, F16 or BF16 data to float: out has tensor->bytes / element size entries. */
rung_status rung_tensor_to_f32(const rung_tensor *tensor, float *out, rung_error *error) RUNG_WARN_UNUSED;

/* RUNG_FORMAT, naming the tensor, when an element of a F32, F16 or BF16 tensor is NaN or infinite. */
rung_status rung_tensor_require_finite(const rung_safetensors *file, const rung_tensor *tensor,
                                       rung_error *error) RUNG_WARN_UNUSED;

/* "[2,384]", cut to the buffer. */
void rung_tensor_shape_text(size_t rank, const size_t *shape, char *text, size_t text_bytes);

/* Writing. Tensors are laid out in the order given; each tensor's data starts 64-byte aligned in the file: the header
 * is padded with spaces and holes are filled by U8 tensors named "__pad__.N". */
typedef struct rung_metadata_entry {
    const char *key;
    const char *value; /* valid UTF-8 */
} rung_metadata_entry;

rung_status rung_safetensors_write(const char *path, const rung_tensor *tensors, size_t count,
                                   const rung_metadata_entry *metadata, size_t metadata_count,
                                   rung_error *error) RUNG_WARN_UNUSED;

/* SHA-256 of the data, padding included, that rung_safetensors_write would lay out: for the metadata of the same file.
 */
void rung_safetensors_data_sha256(const rung_tensor *tensors, size_t count, char hex[RUNG_SHA256_HEX_BYTES]);

#endif
