/* fuzz_tei_body.c: any bytes as the body of POST /predict. The first one says whether the models have several labels. */
#include "api_bodies.h"
#include "net/tei_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rung_classify_body body = {0};
    rung_tei_form form = {0};
    rung_error error = {0};
    if (size == 0) {
        return 0;
    }
    rung_status status =
        rung_tei_body_parse((const char *)data + 1, size - 1, MAX_INPUTS, data[0] & 1, &body, &form, &error);
    if (status != RUNG_OK) {
        check_refusal(status, &error);
        return 0;
    }
    check_accepted(&body);
    require(form.nested || form.top_k == 0);
    rung_classify_body_deinit(&body);
    return 0;
}
