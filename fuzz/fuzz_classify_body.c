/* fuzz_classify_body.c: any bytes as the body of POST /v1/classify. What is accepted holds valid texts, and what is refused has a message of one line. */
#include "base/utf8.h"
#include "net/classify_body.h"

#include <stdlib.h>
#include <string.h>

#define MAX_INPUTS 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_text(const char *text, size_t bytes)
{
    size_t bad;
    require(text != NULL && bytes > 0 && text[bytes] == '\0' && rung_utf8_valid(text, bytes, &bad));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const rung_message_reader reader = {.level = 2, .num_levels = 3, .num_classes = 2, .max_tokens = 16};
    rung_classify_body body = {0};
    rung_error error = {0};
    rung_status status = rung_classify_body_parse((const char *)data, size, &reader, MAX_INPUTS, &body, &error);
    if (status != RUNG_OK) {
        require(error.code == status && error.message[0] != '\0' && strpbrk(error.message, "\r\n\t\x1b") == NULL);
        return 0;
    }
    require(body.from_level ? body.num_inputs == 0 : body.num_inputs >= 1 && body.num_inputs <= MAX_INPUTS);
    for (size_t i = 0; i < body.num_inputs; i++) {
        const rung_line *input = &body.inputs[i];
        check_text(input->text, input->text_bytes);
        check_text(input->id, input->id_bytes);
        if (input->text_pair != NULL) {
            check_text(input->text_pair, input->text_pair_bytes);
        }
        require(!input->has_label && input->label == NULL);
    }
    rung_classify_body_deinit(&body);
    return 0;
}
