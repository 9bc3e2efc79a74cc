/* safetensors.c: reads the safetensors format. See safetensors.h. The header goes through jansson; every number in it
 * is checked against the file before a pointer is made from it. Knows nothing of models. Source: the safetensors format
 * description (8-byte length, JSON header, data without holes). */
#include "model/safetensors.h"

#include "base/checked.h"
#include "base/memory.h"
#include "model/half.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rung_safetensors {
    char *path;
    rung_mapping contents;
    bool owns_contents;
    json_t *header; /* owns the tensors' names and the metadata */
    size_t header_bytes;
    rung_tensor *tensors; /* [count] in order of offset */
    const rung_tensor **by_name;
    size_t count;
};

typedef struct dtype_info {
    const char *name;
    size_t bytes;
} dtype_info;

static const dtype_info DTYPES[] = {
    [RUNG_F32] = {"F32", 4},   [RUNG_F16] = {"F16", 2}, [RUNG_BF16] = {"BF16", 2}, [RUNG_I8] = {"I8", 1},
    [RUNG_U8] = {"U8", 1},     [RUNG_I32] = {"I32", 4}, [RUNG_I64] = {"I64", 8},   [RUNG_F64] = {"F64", 8},
    [RUNG_BOOL] = {"BOOL", 1}, [RUNG_I16] = {"I16", 2}, [RUNG_U16] = {"U16", 2},   [RUNG_U32] = {"U32", 4},
    [RUNG_U64] = {"U64", 8},
};
#define NUM_DTYPES (sizeof DTYPES / sizeof DTYPES[0])

const char *rung_dtype_name(rung_dtype dtype)
{
    return DTYPES[dtype].name;
}

size_t rung_dtype_bytes(rung_dtype dtype)
{
    return DTYPES[dtype].bytes;
}

void rung_tensor_shape_text(size_t rank, const size_t *shape, char *text, size_t text_bytes)
{
    size_t used = (size_t)snprintf(text, text_bytes, "[");
    for (size_t i = 0; i < rank && used < text_bytes; i++) {
        used += (size_t)snprintf(text + used, text_bytes - used, "%s%zu", i > 0 ? "," : "", shape[i]);
    }
    if (used < text_bytes) {
        snprintf(text + used, text_bytes - used, "]");
    }
}

static rung_status parse_dtype(const rung_safetensors *file, rung_tensor *tensor, const json_t *value,
                               rung_error *error)
{
    if (!json_is_string(value)) {
        return rung_fail(error, RUNG_FORMAT, "%s: tensor \"%s\": dtype must be a string", file->path, tensor->name);
    }
    for (size_t i = 0; i < NUM_DTYPES; i++) {
        if (strcmp(json_string_value(value), DTYPES[i].name) == 0) {
            tensor->dtype = (rung_dtype)i;
            return RUNG_OK;
        }
    }
    return rung_fail(error, RUNG_UNSUPPORTED, "%s: tensor \"%s\": dtype \"%.40s\" is not one that rung reads",
                     file->path, tensor->name, json_string_value(value));
}

/* A list of sizes: `what` is the field. */
static rung_status parse_sizes(const rung_safetensors *file, const char *name, const char *what, const json_t *list,
                               size_t *sizes, rung_error *error)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_integer(item) || json_integer_value(item) < 0) {
            return rung_fail(error, RUNG_FORMAT, "%s: tensor \"%s\": %s[%zu] must be an integer that is not negative",
                             file->path, name, what, i);
        }
        sizes[i] = (size_t)json_integer_value(item);
    }
    return RUNG_OK;
}

static rung_status parse_shape(const rung_safetensors *file, rung_tensor *tensor, const json_t *list, rung_error *error)
{
    if (!json_is_array(list)) {
        return rung_fail(error, RUNG_FORMAT, "%s: tensor \"%s\": shape must be an array", file->path, tensor->name);
    }
    if (json_array_size(list) > RUNG_TENSOR_MAX_RANK) {
        return rung_fail(error, RUNG_LIMIT, "%s: tensor \"%s\": has %zu dimensions, more than the limit of %d",
                         file->path, tensor->name, json_array_size(list), RUNG_TENSOR_MAX_RANK);
    }
    rung_status status = parse_sizes(file, tensor->name, "shape", list, tensor->shape, error);
    if (status != RUNG_OK) {
        return status;
    }
    tensor->rank = json_array_size(list);
    tensor->bytes = rung_dtype_bytes(tensor->dtype);
    for (size_t i = 0; i < tensor->rank; i++) {
        if (!rung_mul_size(tensor->bytes, tensor->shape[i], &tensor->bytes)) {
            return rung_fail(error, RUNG_LIMIT, "%s: tensor \"%s\": the size of its shape overflows", file->path,
                             tensor->name);
        }
    }
    return RUNG_OK;
}

static rung_status parse_offsets(const rung_safetensors *file, rung_tensor *tensor, const json_t *list,
                                 rung_error *error)
{
    size_t offsets[2];
    if (!json_is_array(list) || json_array_size(list) != 2) {
        return rung_fail(error, RUNG_FORMAT, "%s: tensor \"%s\": data_offsets must be an array of two integers",
                         file->path, tensor->name);
    }
    rung_status status = parse_sizes(file, tensor->name, "data_offsets", list, offsets, error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t data_bytes = file->contents.size - file->header_bytes;
    if (offsets[0] > offsets[1] || offsets[1] > data_bytes) {
        return rung_fail(error, RUNG_FORMAT,
                         "%s: tensor \"%s\": data_offsets [%zu,%zu] lie outside the %zu bytes of data in the file",
                         file->path, tensor->name, offsets[0], offsets[1], data_bytes);
    }
    if (offsets[1] - offsets[0] != tensor->bytes) {
        char shape[200];
        rung_tensor_shape_text(tensor->rank, tensor->shape, shape, sizeof shape);
        return rung_fail(error, RUNG_FORMAT,
                         "%s: tensor \"%s\": data_offsets span %zu bytes, but %s of shape %s needs %zu", file->path,
                         tensor->name, offsets[1] - offsets[0], rung_dtype_name(tensor->dtype), shape, tensor->bytes);
    }
    tensor->data = file->contents.data + file->header_bytes + offsets[0];
    return RUNG_OK;
}

static rung_status parse_tensor(const rung_safetensors *file, const char *name, const json_t *value,
                                rung_tensor *tensor, rung_error *error)
{
    *tensor = (rung_tensor){.name = name};
    if (!json_is_object(value)) {
        return rung_fail(error, RUNG_FORMAT, "%s: tensor \"%s\": its description must be an object", file->path, name);
    }
    rung_status status = parse_dtype(file, tensor, json_object_get(value, "dtype"), error);
    if (status == RUNG_OK) {
        status = parse_shape(file, tensor, json_object_get(value, "shape"), error);
    }
    if (status == RUNG_OK) {
        status = parse_offsets(file, tensor, json_object_get(value, "data_offsets"), error);
    }
    return status;
}

static rung_status check_metadata(const rung_safetensors *file, json_t *metadata, rung_error *error)
{
    if (!json_is_object(metadata)) {
        return rung_fail(error, RUNG_FORMAT, "%s: __metadata__ must be an object", file->path);
    }
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value)) {
            return rung_fail(error, RUNG_FORMAT, "%s: __metadata__ key \"%s\" must be a string", file->path, key);
        }
    }
    return RUNG_OK;
}

static int compare_size(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

static int compare_offsets(const void *a, const void *b)
{
    const rung_tensor *left = a;
    const rung_tensor *right = b;
    if (left->data != right->data) {
        return left->data < right->data ? -1 : 1;
    }
    if (left->bytes != right->bytes) {
        return compare_size(left->bytes, right->bytes);
    }
    return strcmp(left->name, right->name);
}

static int compare_names(const void *a, const void *b)
{
    const rung_tensor *const *left = a;
    const rung_tensor *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

/* Tensors in order of offset must cover the data exactly. */
static rung_status check_layout(const rung_safetensors *file, rung_error *error)
{
    const uint8_t *expected = file->contents.data + file->header_bytes;
    const uint8_t *end = file->contents.data + file->contents.size;
    for (size_t i = 0; i < file->count; i++) {
        const rung_tensor *tensor = &file->tensors[i];
        if (tensor->data < expected) {
            return rung_fail(error, RUNG_FORMAT, "%s: tensor \"%s\": its data overlap those of \"%s\" by %zu bytes",
                             file->path, tensor->name, file->tensors[i - 1].name, (size_t)(expected - tensor->data));
        }
        if (tensor->data > expected) {
            return rung_fail(error, RUNG_FORMAT, "%s: tensor \"%s\": the %zu bytes before its data belong to no tensor",
                             file->path, tensor->name, (size_t)(tensor->data - expected));
        }
        expected = tensor->data + tensor->bytes;
    }
    if (expected != end) {
        return rung_fail(error, RUNG_FORMAT, "%s: the last %zu bytes belong to no tensor", file->path,
                         (size_t)(end - expected));
    }
    return RUNG_OK;
}

static rung_status parse_tensors(rung_safetensors *file, rung_error *error)
{
    size_t capacity = json_object_size(file->header);
    file->tensors = rung_alloc(capacity, sizeof *file->tensors, "tensor list", error);
    file->by_name = rung_alloc(capacity, sizeof *file->by_name, "tensor index", error);
    if (file->tensors == NULL || file->by_name == NULL) {
        return error->code;
    }
    const char *name;
    json_t *value;
    json_object_foreach(file->header, name, value)
    {
        rung_status status;
        if (strcmp(name, "__metadata__") == 0) {
            status = check_metadata(file, value, error);
        } else {
            status = parse_tensor(file, name, value, &file->tensors[file->count], error);
            file->count++;
        }
        if (status != RUNG_OK) {
            return status;
        }
    }
    qsort(file->tensors, file->count, sizeof *file->tensors, compare_offsets);
    for (size_t i = 0; i < file->count; i++) {
        file->by_name[i] = &file->tensors[i];
    }
    qsort(file->by_name, file->count, sizeof *file->by_name, compare_names);
    return check_layout(file, error);
}

/* Reads the length and the JSON text. */
static rung_status parse_header(rung_safetensors *file, rung_error *error)
{
    const uint8_t *data = file->contents.data;
    size_t size = file->contents.size;
    if (size < 8) {
        return rung_fail(error, RUNG_FORMAT, "%s: has %zu bytes, a safetensors file has at least 8: is it truncated?",
                         file->path, size);
    }
    uint64_t length;
    memcpy(&length, data, sizeof length);
    if (length > size - 8) {
        return rung_fail(
            error, RUNG_FORMAT,
            "%s: header length %llu is more than the %zu bytes that follow: not a safetensors file, or truncated",
            file->path, (unsigned long long)length, size - 8);
    }
    if (length > RUNG_SAFETENSORS_MAX_HEADER_BYTES) {
        return rung_fail(error, RUNG_LIMIT, "%s: header length %llu is more than the limit of %u bytes", file->path,
                         (unsigned long long)length, RUNG_SAFETENSORS_MAX_HEADER_BYTES);
    }
    if (length == 0 || data[8] != '{') {
        return rung_fail(error, RUNG_FORMAT, "%s: the header does not start with '{': not a safetensors file",
                         file->path);
    }
    json_error_t reason;
    file->header_bytes = 8 + (size_t)length;
    file->header = json_loadb((const char *)data + 8, (size_t)length, JSON_REJECT_DUPLICATES, &reason);
    if (file->header == NULL) {
        return rung_fail(error, RUNG_FORMAT, "%s: the header is not valid JSON at byte %d: %s", file->path,
                         reason.position, reason.text);
    }
    return RUNG_OK;
}

static rung_status open_contents(rung_mapping contents, bool owns_contents, const char *name, rung_safetensors **out,
                                 rung_error *error)
{
    rung_error local = {0};
    error = error != NULL ? error : &local;
    rung_safetensors *file = rung_alloc(1, sizeof *file, "safetensors file", error);
    if (file == NULL) {
        if (owns_contents) {
            rung_unmap_file(&contents);
        }
        return error->code;
    }
    file->contents = contents;
    file->owns_contents = owns_contents;
    file->path = rung_copy_text(name, strlen(name), "path", error);
    rung_status status = file->path != NULL ? parse_header(file, error) : error->code;
    if (status == RUNG_OK) {
        status = parse_tensors(file, error);
    }
    if (status != RUNG_OK) {
        rung_safetensors_close(file);
        return status;
    }
    *out = file;
    return RUNG_OK;
}

rung_status rung_safetensors_open(const char *path, rung_safetensors **file, rung_error *error)
{
    rung_mapping contents;
    rung_status status = rung_map_file(path, &contents, error);
    return status == RUNG_OK ? open_contents(contents, true, path, file, error) : status;
}

rung_status rung_safetensors_parse(const uint8_t *data, size_t size, const char *name, rung_safetensors **file,
                                   rung_error *error)
{
    return open_contents((rung_mapping){.data = data, .size = size}, false, name, file, error);
}

void rung_safetensors_close(rung_safetensors *file)
{
    if (file == NULL) {
        return;
    }
    if (file->owns_contents) {
        rung_unmap_file(&file->contents);
    }
    json_decref(file->header);
    free(file->tensors);
    free(file->by_name);
    free(file->path);
    free(file);
}

const char *rung_safetensors_path(const rung_safetensors *file)
{
    return file->path;
}

rung_mapping rung_safetensors_contents(const rung_safetensors *file)
{
    return file->contents;
}

size_t rung_safetensors_header_bytes(const rung_safetensors *file)
{
    return file->header_bytes;
}

size_t rung_safetensors_count(const rung_safetensors *file)
{
    return file->count;
}

const rung_tensor *rung_safetensors_at(const rung_safetensors *file, size_t index)
{
    return &file->tensors[index];
}

const rung_tensor *rung_safetensors_find(const rung_safetensors *file, const char *name)
{
    rung_tensor wanted = {.name = name};
    const rung_tensor *key = &wanted;
    const rung_tensor **found = bsearch(&key, file->by_name, file->count, sizeof *file->by_name, compare_names);
    return found != NULL ? *found : NULL;
}

const char *rung_safetensors_metadata(const rung_safetensors *file, const char *key, size_t *bytes)
{
    const json_t *value = json_object_get(json_object_get(file->header, "__metadata__"), key);
    if (value == NULL) {
        return NULL;
    }
    *bytes = json_string_length(value);
    return json_string_value(value);
}

static bool is_float(rung_dtype dtype)
{
    return dtype == RUNG_F32 || dtype == RUNG_F16 || dtype == RUNG_BF16;
}

rung_status rung_safetensors_require(const rung_safetensors *file, const char *name, int dtype, size_t rank,
                                     const size_t *shape, const rung_tensor **tensor, rung_error *error)
{
    const rung_tensor *found = rung_safetensors_find(file, name);
    if (found == NULL) {
        return rung_fail(error, RUNG_NOT_FOUND, "%s: tensor \"%s\" is missing", file->path, name);
    }
    if (dtype < 0 ? !is_float(found->dtype) : found->dtype != (rung_dtype)dtype) {
        return rung_fail(error, RUNG_FORMAT, "%s: tensor \"%s\" has dtype %s, wanted %s", file->path, name,
                         rung_dtype_name(found->dtype),
                         dtype < 0 ? "F32, F16 or BF16" : rung_dtype_name((rung_dtype)dtype));
    }
    if (found->rank != rank || (rank > 0 && memcmp(found->shape, shape, rank * sizeof *shape) != 0)) {
        char is[200];
        char wanted[200];
        rung_tensor_shape_text(found->rank, found->shape, is, sizeof is);
        rung_tensor_shape_text(rank, shape, wanted, sizeof wanted);
        return rung_fail(error, RUNG_MISMATCH, "%s: tensor \"%s\" has shape %s, wanted %s", file->path, name, is,
                         wanted);
    }
    *tensor = found;
    return RUNG_OK;
}

rung_status rung_tensor_to_f32(const rung_tensor *tensor, float *out, rung_error *error)
{
    const uint8_t *data = tensor->data;
    size_t count = tensor->bytes / rung_dtype_bytes(tensor->dtype);
    switch (tensor->dtype) {
    case RUNG_F32:
        if (count > 0) {
            memcpy(out, data, tensor->bytes);
        }
        return RUNG_OK;
    case RUNG_F16:
        for (size_t i = 0; i < count; i++) {
            out[i] = rung_f16_to_f32(rung_load_u16(data + 2 * i));
        }
        return RUNG_OK;
    case RUNG_BF16:
        for (size_t i = 0; i < count; i++) {
            out[i] = rung_bf16_to_f32(rung_load_u16(data + 2 * i));
        }
        return RUNG_OK;
    default:
        return rung_fail(error, RUNG_UNSUPPORTED, "tensor \"%s\" has dtype %s, wanted F32, F16 or BF16", tensor->name,
                         rung_dtype_name(tensor->dtype));
    }
}

/* True when no element has all the exponent bits of `mask` set. Whole blocks are tested without a branch. */
static bool finite_u16(const uint8_t *data, size_t count, uint16_t mask)
{
    unsigned bad = 0;
    for (size_t i = 0; i < count; i++) {
        bad |= (rung_load_u16(data + 2 * i) & mask) == mask;
    }
    return bad == 0;
}

static bool finite_u32(const uint8_t *data, size_t count)
{
    unsigned bad = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, data + 4 * i, sizeof bits);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return bad == 0;
}

rung_status rung_tensor_require_finite(const rung_safetensors *file, const rung_tensor *tensor, rung_error *error)
{
    bool finite = tensor->dtype == RUNG_F32   ? finite_u32(tensor->data, tensor->bytes / 4)
                  : tensor->dtype == RUNG_F16 ? finite_u16(tensor->data, tensor->bytes / 2, 0x7c00u)
                                              : finite_u16(tensor->data, tensor->bytes / 2, 0x7f80u);
    if (!finite) {
        return rung_fail(error, RUNG_FORMAT, "%s: tensor \"%s\" holds NaN or infinite values: the weights are damaged",
                         file->path, tensor->name);
    }
    return RUNG_OK;
}
