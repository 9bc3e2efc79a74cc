/* fuzz_openai_body.c: any bytes as the body of POST /v1/moderations and POST /classify. */
#include "api_bodies.h"
#include "net/openai_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rung_classify_body body = {0};
    rung_error error = {0};
    rung_status status = rung_openai_body_parse((const char *)data, size, MAX_INPUTS, &body, &error);
    if (status != RUNG_OK) {
        check_refusal(status, &error);
        return 0;
    }
    check_accepted(&body);
    rung_classify_body_deinit(&body);
    return 0;
}
