/* safetensors_write.c: writes the safetensors format, each tensor's data 64-byte aligned in the file so that a reader
 * can map it. See safetensors.h. Called by quantize and the tests. The same tensors and metadata give the same bytes.
 * Source: the safetensors format description; padding tensors because the format allows no holes. */
#include "base/buffer.h"
#include "base/checked.h"
#include "base/hash.h"
#include "base/memory.h"
#include "model/safetensors.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Zero bytes between the end of a tensor and the start of the next. */
static size_t padding_after(size_t bytes)
{
    return rung_round_up(bytes, RUNG_ALIGNMENT) - bytes;
}

static const uint8_t ZEROS[RUNG_ALIGNMENT] = {0};

void rung_safetensors_data_sha256(const rung_tensor *tensors, size_t count, char hex[RUNG_SHA256_HEX_BYTES])
{
    rung_sha256 hash;
    rung_sha256_init(&hash);
    for (size_t i = 0; i < count; i++) {
        rung_sha256_update(&hash, tensors[i].data, tensors[i].bytes);
        if (i + 1 < count) {
            rung_sha256_update(&hash, ZEROS, padding_after(tensors[i].bytes));
        }
    }
    rung_sha256_hex(&hash, hex);
}

/* {"dtype":…,"shape":[…],"data_offsets":[begin,end]}; NULL when memory is out. */
static json_t *describe(rung_dtype dtype, size_t rank, const size_t *shape, size_t begin, size_t end)
{
    json_t *sizes = json_array();
    for (size_t i = 0; i < rank; i++) {
        if (json_array_append_new(sizes, json_integer((json_int_t)shape[i])) != 0) {
            json_decref(sizes);
            return NULL;
        }
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", rung_dtype_name(dtype), "shape", sizes, "data_offsets",
                     (json_int_t)begin, (json_int_t)end);
}

static rung_status add_metadata(json_t *header, const rung_metadata_entry *metadata, size_t count, rung_error *error)
{
    json_t *object = json_object();
    if (json_object_set_new(header, "__metadata__", object) != 0) {
        return rung_fail_memory(error, "safetensors header", sizeof *object);
    }
    for (size_t i = 0; i < count; i++) {
        if (json_object_set_new(object, metadata[i].key, json_string(metadata[i].value)) != 0) {
            return rung_fail(error, RUNG_INVALID, "metadata \"%s\": not valid UTF-8, or out of memory",
                             metadata[i].key);
        }
    }
    return RUNG_OK;
}

static rung_status add_tensor(json_t *header, const rung_tensor *tensor, size_t *offset, rung_error *error)
{
    size_t end;
    if (!rung_add_size(*offset, tensor->bytes, &end) || end > INT64_MAX - RUNG_ALIGNMENT) {
        return rung_fail(error, RUNG_LIMIT, "tensor \"%s\": the file would be too large", tensor->name);
    }
    if (json_object_get(header, tensor->name) != NULL) {
        return rung_fail(error, RUNG_INVALID, "tensor \"%s\" is given twice", tensor->name);
    }
    json_t *entry = describe(tensor->dtype, tensor->rank, tensor->shape, *offset, end);
    if (json_object_set_new(header, tensor->name, entry) != 0) {
        return rung_fail(error, RUNG_INVALID, "tensor \"%s\": its name is not valid UTF-8, or out of memory",
                         tensor->name);
    }
    *offset = end;
    return RUNG_OK;
}

static rung_status add_tensors(json_t *header, const rung_tensor *tensors, size_t count, rung_error *error)
{
    size_t offset = 0;
    size_t num_pads = 0;
    for (size_t i = 0; i < count; i++) {
        rung_status status = add_tensor(header, &tensors[i], &offset, error);
        size_t padding = padding_after(tensors[i].bytes);
        if (status == RUNG_OK && padding > 0 && i + 1 < count) {
            char name[40];
            snprintf(name, sizeof name, "__pad__.%zu", num_pads++);
            rung_tensor pad = {.name = name, .dtype = RUNG_U8, .rank = 1, .shape = {padding}, .bytes = padding};
            status = add_tensor(header, &pad, &offset, error);
        }
        if (status != RUNG_OK) {
            return status;
        }
    }
    return RUNG_OK;
}

/* The length and the JSON text, with spaces up to a multiple of 64. */
static rung_status append_header(const json_t *header, rung_buffer *out, rung_error *error)
{
    char *text = json_dumps(header, JSON_COMPACT);
    if (text == NULL) {
        return rung_fail_memory(error, "safetensors header", 0);
    }
    size_t text_bytes = strlen(text);
    uint64_t length = rung_round_up(8 + text_bytes, RUNG_ALIGNMENT) - 8;
    rung_status status = RUNG_OK;
    if (length > RUNG_SAFETENSORS_MAX_HEADER_BYTES) {
        status = rung_fail(error, RUNG_LIMIT, "safetensors header: %llu bytes are more than the limit of %u",
                           (unsigned long long)length, RUNG_SAFETENSORS_MAX_HEADER_BYTES);
    } else {
        rung_buffer_append(out, &length, sizeof length);
        rung_buffer_append(out, text, text_bytes);
        for (size_t i = text_bytes; i < length; i++) {
            rung_buffer_append(out, " ", 1);
        }
    }
    free(text);
    return status;
}

static rung_status build(const rung_tensor *tensors, size_t count, const rung_metadata_entry *metadata,
                         size_t metadata_count, rung_buffer *out, rung_error *error)
{
    json_t *header = json_object();
    if (header == NULL) {
        return rung_fail_memory(error, "safetensors header", 0);
    }
    rung_status status = RUNG_OK;
    if (metadata_count > 0) {
        status = add_metadata(header, metadata, metadata_count, error);
    }
    if (status == RUNG_OK) {
        status = add_tensors(header, tensors, count, error);
    }
    if (status == RUNG_OK) {
        status = append_header(header, out, error);
    }
    json_decref(header);
    for (size_t i = 0; i < count && status == RUNG_OK; i++) {
        rung_buffer_append(out, tensors[i].data, tensors[i].bytes);
        if (i + 1 < count) {
            rung_buffer_append(out, ZEROS, padding_after(tensors[i].bytes));
        }
    }
    return status == RUNG_OK ? rung_buffer_check(out, "safetensors file", error) : status;
}

rung_status rung_safetensors_write(const char *path, const rung_tensor *tensors, size_t count,
                                   const rung_metadata_entry *metadata, size_t metadata_count, rung_error *error)
{
    rung_error local = {0};
    error = error != NULL ? error : &local;
    rung_buffer contents = {0};
    rung_status status = build(tensors, count, metadata, metadata_count, &contents, error);
    if (status != RUNG_OK) {
        status = rung_fail_in(error, "%s", path);
    } else {
        status = rung_write_file(path, contents.data, contents.length, error);
    }
    rung_buffer_deinit(&contents);
    return status;
}
