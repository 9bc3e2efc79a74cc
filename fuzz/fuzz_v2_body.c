/* fuzz_v2_body.c: the first line of any bytes as the length of the JSON, unless it is "-", the rest as the body of an inference call. */
#include "api_bodies.h"
#include "net/v2_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char length[32] = "";
    rung_classify_body body = {0};
    rung_v2_form form = {0};
    rung_error error = {0};
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    if (end == NULL || (size_t)(end - data) >= sizeof length) {
        return 0;
    }
    memcpy(length, data, (size_t)(end - data));
    size_t bytes = size - (size_t)(end + 1 - data);
    rung_status status = rung_v2_body_parse((const char *)end + 1, bytes, strcmp(length, "-") == 0 ? NULL : length,
                                            MAX_INPUTS, &body, &form, &error);
    if (status != RUNG_OK) {
        check_refusal(status, &error);
        return 0;
    }
    check_accepted(&body);
    require(form.num_outputs >= 1 && form.num_outputs <= RUNG_V2_OUTPUTS);
    for (size_t i = 0; i < form.num_outputs; i++) {
        require(form.outputs[i].output < RUNG_V2_OUTPUTS);
    }
    rung_classify_body_deinit(&body);
    rung_v2_form_deinit(&form);
    return 0;
}
