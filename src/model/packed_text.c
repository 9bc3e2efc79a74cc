/* packed_text.c: texts of a packed model in zstd frames. See packed_text.h. Frames are untrusted: the size that one states
 * is checked before memory is taken, and it must decompress to that size. */
#include "model/packed_text.h"

#include "base/memory.h"

#include <stdlib.h>
#include <zstd.h>

/* Files are written once and read often; the highest level whose tables stay small. */
#define LEVEL 19

size_t rung_packed_text_bound(size_t bytes)
{
    size_t bound = ZSTD_compressBound(bytes);
    return ZSTD_isError(bound) ? 0 : bound;
}

rung_status rung_packed_text_compress(const char *text, size_t bytes, const char *what, uint8_t *frame, size_t capacity,
                                      size_t *frame_bytes, rung_error *error)
{
    /* With room for the bound only memory can be missing. */
    size_t made = ZSTD_compress(frame, capacity, text, bytes, LEVEL);
    if (ZSTD_isError(made)) {
        return rung_fail_memory(error, what, bytes);
    }
    *frame_bytes = made;
    return RUNG_OK;
}

/* The size that the tensor's frame states, when it is one frame that does. */
static rung_status stated_size(const rung_safetensors *file, const rung_tensor *tensor, size_t max_bytes, size_t *bytes,
                               rung_error *error)
{
    unsigned long long stated = ZSTD_getFrameContentSize(tensor->data, tensor->bytes);
    if (stated == ZSTD_CONTENTSIZE_ERROR || stated == ZSTD_CONTENTSIZE_UNKNOWN ||
        ZSTD_findFrameCompressedSize(tensor->data, tensor->bytes) != tensor->bytes) {
        return rung_fail(error, RUNG_FORMAT, "%s: tensor \"%s\": its %zu bytes are no single zstd frame with its size",
                         rung_safetensors_path(file), tensor->name, tensor->bytes);
    }
    if (stated > max_bytes) {
        return rung_fail(error, RUNG_LIMIT, "%s: tensor \"%s\": holds %llu bytes of text, more than the limit of %zu",
                         rung_safetensors_path(file), tensor->name, stated, max_bytes);
    }
    *bytes = (size_t)stated;
    return RUNG_OK;
}

static rung_status decompress(const rung_safetensors *file, const rung_tensor *tensor, char *text, size_t bytes,
                              rung_error *error)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (context == NULL) {
        return rung_fail_memory(error, "zstd decompression", 0);
    }
    size_t got = ZSTD_decompressDCtx(context, text, bytes, tensor->data, tensor->bytes);
    ZSTD_freeDCtx(context);
    if (ZSTD_isError(got) || got != bytes) {
        return rung_fail(error, RUNG_FORMAT, "%s: tensor \"%s\": no valid zstd data of %zu bytes of text: %s",
                         rung_safetensors_path(file), tensor->name, bytes,
                         ZSTD_isError(got) ? ZSTD_getErrorName(got) : "there are fewer");
    }
    return RUNG_OK;
}

rung_status rung_packed_text_read(const rung_safetensors *file, const char *name, size_t max_bytes, char **text,
                                  size_t *bytes, rung_error *error)
{
    const rung_tensor *tensor = rung_safetensors_find(file, name);
    if (tensor == NULL) {
        *text = NULL;
        *bytes = 0;
        return RUNG_OK;
    }
    size_t size = 0;
    rung_status status = rung_safetensors_require(file, name, RUNG_U8, 1, &tensor->bytes, &tensor, error);
    if (status == RUNG_OK) {
        status = stated_size(file, tensor, max_bytes, &size, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    char *made = rung_alloc(size + 1, 1, name, error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    status = decompress(file, tensor, made, size, error);
    if (status != RUNG_OK) {
        free(made);
        return status;
    }
    *text = made;
    *bytes = size;
    return RUNG_OK;
}
