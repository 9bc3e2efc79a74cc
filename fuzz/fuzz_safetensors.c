/* fuzz_safetensors.c: any bytes through the safetensors reader; every tensor it gives must lie inside them, in order
 * and without overlap, and be found by its name. Run by fuzz/meson.build over corpus/safetensors/. */
#include "model/safetensors.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rung_safetensors *file = NULL;
    rung_error error = {.message = ""};
    if (rung_safetensors_parse(data, size, "input", &file, &error) != RUNG_OK) {
        if (error.message[0] == '\0' || file != NULL) {
            abort();
        }
        return 0;
    }
    const uint8_t *end = data;
    for (size_t i = 0; i < rung_safetensors_count(file); i++) {
        const rung_tensor *tensor = rung_safetensors_at(file, i);
        if (tensor->data < end || tensor->bytes > (size_t)(data + size - tensor->data) ||
            rung_safetensors_find(file, tensor->name) != tensor) {
            abort();
        }
        end = tensor->data + tensor->bytes;
        const rung_tensor *found = NULL;
        bool is_float =
            rung_safetensors_require(file, tensor->name, -1, tensor->rank, tensor->shape, &found, NULL) == RUNG_OK;
        if (is_float && rung_tensor_require_finite(file, tensor, &error) == RUNG_OK) {
            float *values = malloc(tensor->bytes * 2 + 1);
            if (values == NULL || rung_tensor_to_f32(tensor, values, &error) != RUNG_OK) {
                abort();
            }
            free(values);
        }
    }
    rung_safetensors_close(file);
    return 0;
}
