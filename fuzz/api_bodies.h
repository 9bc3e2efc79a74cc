/* api_bodies.h: what holds for every body of an API of others that is accepted or refused. For the fuzzers of their parsers. */
#ifndef RUNG_FUZZ_API_BODIES_H
#define RUNG_FUZZ_API_BODIES_H

#include "base/utf8.h"
#include "net/classify_body.h"

#include <stdlib.h>
#include <string.h>

#define MAX_INPUTS 8

static inline void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static inline void check_text(const char *text, size_t bytes)
{
    size_t bad;
    require(text != NULL && bytes > 0 && text[bytes] == '\0' && rung_utf8_valid(text, bytes, &bad));
}

static inline void check_refusal(rung_status status, const rung_error *error)
{
    require(error->code == status && error->message[0] != '\0' && strpbrk(error->message, "\r\n\t\x1b") == NULL);
}

static inline void check_accepted(const rung_classify_body *body)
{
    require(!body->from_level && body->num_inputs >= 1 && body->num_inputs <= MAX_INPUTS);
    for (size_t i = 0; i < body->num_inputs; i++) {
        const rung_line *input = &body->inputs[i];
        check_text(input->text, input->text_bytes);
        check_text(input->id, input->id_bytes);
        if (input->text_pair != NULL) {
            check_text(input->text_pair, input->text_pair_bytes);
        }
        require(!input->has_label && input->label == NULL);
    }
}

#endif
