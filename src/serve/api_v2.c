/* api_v2.c: inference in the Open Inference Protocol V2 (KServe, Triton, MLServer), binary tensors included. What a body may hold: net/v2_body.h. */
#include "base/memory.h"
#include "net/v2_body.h"
#include "run/message.h"
#include "serve/ticket.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void write_error(rung_buffer *out, rung_fault fault, unsigned http_status, const char *message)
{
    rung_api_rung.error(out, fault, http_status, message);
}

static rung_status parse(const rung_api_request *request, rung_classify_body *body, void **form, rung_error *error)
{
    rung_v2_form *made = rung_alloc(1, sizeof *made, "request", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    *form = made;
    return rung_v2_body_parse(request->body, request->body_bytes,
                              rung_exchange_header(request->exchange, "inference-header-content-length"),
                              request->generation->config.max_inputs, body, made, error);
}

static void free_form(void *form)
{
    rung_v2_form_deinit(form);
    free(form);
}

static void append_32(rung_buffer *out, uint32_t value)
{
    const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};
    rung_buffer_append(out, bytes, sizeof bytes);
}

static void append_float(rung_buffer *out, bool binary, double value)
{
    float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    if (binary) {
        append_32(out, bits);
    } else {
        rung_buffer_format(out, "%.9g", (double)narrow);
    }
}

static void append_label(rung_buffer *out, bool binary, const char *label)
{
    size_t bytes = strlen(label);
    if (binary) {
        append_32(out, (uint32_t)bytes);
        rung_buffer_append(out, label, bytes);
    } else {
        rung_message_string(out, label, bytes);
    }
}

/* The elements of one input; in JSON with commas between them, row by row. */
static void append_elements(rung_buffer *out, const rung_errand *errand, rung_v2_output output, bool binary)
{
    const rung_request *machine = &errand->visit.machine;
    const rung_cascade *cascade = errand->generation->cascade;
    switch (output) {
    case RUNG_V2_PROBABILITIES:
        for (uint32_t c = 0; c < cascade->num_classes; c++) {
            rung_buffer_text(out, c == 0 || binary ? "" : ",");
            append_float(out, binary, machine->pooled[c]);
        }
        break;
    case RUNG_V2_LABEL:
        append_label(out, binary, cascade->labels[machine->label]);
        break;
    case RUNG_V2_LEVEL:
        if (binary) {
            append_32(out, machine->answer_level);
        } else {
            rung_buffer_format(out, "%" PRIu32, machine->answer_level);
        }
        break;
    case RUNG_V2_CONFIDENCE:
        append_float(out, binary, machine->results[machine->answer_level - 1].confidence);
        break;
    case RUNG_V2_OUTPUTS:
        break;
    }
}

/* JSON, or what follows it. */
static void append_tensor(const rung_ticket *ticket, rung_v2_output output, bool binary, rung_buffer *out)
{
    for (size_t i = 0; i < ticket->num_errands; i++) {
        rung_buffer_text(out, i == 0 || binary ? "" : ",");
        append_elements(out, ticket->errands[i], output, binary);
    }
}

static void append_head(const rung_ticket *ticket, rung_v2_output output, rung_buffer *out)
{
    static const char *const datatypes[RUNG_V2_OUTPUTS] = {"FP32", "BYTES", "INT32", "FP32"};
    rung_buffer_format(out, "{\"name\":\"%s\",\"datatype\":\"%s\",\"shape\":[%zu", rung_v2_output_name(output),
                       datatypes[output], ticket->num_errands);
    if (output == RUNG_V2_PROBABILITIES) {
        rung_buffer_format(out, ",%" PRIu32, ticket->generation->cascade->num_classes);
    }
    rung_buffer_text(out, "]");
}

static void append_outputs(const rung_ticket *ticket, const rung_v2_form *form, rung_buffer *out, rung_buffer *binary)
{
    for (size_t i = 0; i < form->num_outputs; i++) {
        rung_v2_output output = form->outputs[i].output;
        rung_buffer_text(out, i == 0 ? "" : ",");
        append_head(ticket, output, out);
        if (form->outputs[i].binary) {
            size_t before = binary->length;
            append_tensor(ticket, output, true, binary);
            rung_buffer_format(out, ",\"parameters\":{\"binary_data_size\":%zu}}", binary->length - before);
        } else {
            rung_buffer_text(out, ",\"data\":[");
            append_tensor(ticket, output, false, out);
            rung_buffer_text(out, "]}");
        }
    }
}

static rung_status write_answer(rung_ticket *ticket, rung_api_answer *answer, rung_error *error)
{
    const rung_v2_form *form = ticket->form;
    const rung_generation *generation = ticket->generation;
    const char *name = rung_generation_name(generation);
    rung_buffer *out = &answer->body;
    rung_buffer binary = {0};
    rung_buffer_text(out, "{\"model_name\":");
    rung_message_string(out, name, strlen(name));
    rung_buffer_text(out, ",\"model_version\":\"1\"");
    if (form->id != NULL) {
        rung_buffer_text(out, ",\"id\":");
        rung_message_string(out, form->id, form->id_bytes);
    }
    rung_buffer_text(out, ",\"outputs\":[");
    append_outputs(ticket, form, out, &binary);
    rung_buffer_text(out, "]}");
    if (binary.length > 0) {
        answer->content_type = "application/octet-stream";
        rung_api_answer_number(answer, "Inference-Header-Content-Length", out->length);
        rung_buffer_append(out, binary.data, binary.length);
    }
    rung_status status = rung_buffer_check(&binary, "answer", error);
    rung_buffer_deinit(&binary);
    return status == RUNG_OK ? rung_buffer_check(out, "answer", error) : status;
}

const rung_api rung_api_v2 = {
    .id = RUNG_API_V2,
    .list_name = "inputs[0].data",
    .http_status =
        {
            [RUNG_FAULT_FORMAT] = 400,
            [RUNG_FAULT_EMPTY] = 400,
            [RUNG_FAULT_INVALID] = 400,
            [RUNG_FAULT_TOKENIZER] = 400,
            [RUNG_FAULT_TOKENS] = 400,
            [RUNG_FAULT_LIMIT] = 400,
            [RUNG_FAULT_MEDIA] = 415,
            [RUNG_FAULT_UNSUPPORTED] = 501,
            [RUNG_FAULT_PATH] = 404,
            [RUNG_FAULT_METHOD] = 405,
            [RUNG_FAULT_OVERLOADED] = 503,
            [RUNG_FAULT_QUOTA] = 429,
            [RUNG_FAULT_DRAINING] = 503,
            [RUNG_FAULT_EXPIRED] = 504,
            [RUNG_FAULT_LOOP] = RUNG_HTTP_LOOP,
            [RUNG_FAULT_MODEL] = 500,
            [RUNG_FAULT_NO_MEMORY] = 503,
            [RUNG_FAULT_IO] = 500,
        },
    .error = write_error,
    .parse = parse,
    .write = write_answer,
    .free_form = free_form,
};
