/* api_rung.c: POST /v1/classify, the node's own API (docs/wire.md). Its answers are written by the workers, as those to a level below are. */
#include "run/message.h"
#include "serve/ticket.h"

#include <string.h>

static void write_error(rung_buffer *out, rung_fault fault, unsigned http_status, const char *message)
{
    (void)fault;
    (void)http_status;
    rung_buffer_text(out, "{\"error\":");
    rung_message_string(out, message, strlen(message));
    rung_buffer_text(out, "}");
}

static rung_status parse(const rung_api_request *request, rung_classify_body *body, void **form, rung_error *error)
{
    (void)form;
    const rung_generation *generation = request->generation;
    const rung_cascade *cascade = generation->cascade;
    const rung_message_reader reader = {.level = generation->config.level,
                                        .num_levels = cascade->num_levels,
                                        .num_classes = cascade->num_classes,
                                        .multi_label = rung_cascade_is_multi_label(cascade),
                                        .max_tokens = rung_generation_model(generation)->config.max_tokens};
    return rung_classify_body_parse(request->body, request->body_bytes, &reader, generation->config.max_inputs, body,
                                    error);
}

/* A list for `inputs`, else the one answer as it was written. */
static rung_status join(rung_ticket *ticket, rung_api_answer *answer, rung_error *error)
{
    rung_buffer *out = &answer->body;
    if (!ticket->body.is_list) {
        *out = ticket->errands[0]->out;
        ticket->errands[0]->out = (rung_buffer){0};
        return RUNG_OK;
    }
    rung_buffer_text(out, "[");
    for (size_t i = 0; i < ticket->num_errands; i++) {
        rung_buffer_text(out, i == 0 ? "" : ",");
        rung_buffer_append(out, ticket->errands[i]->out.data, ticket->errands[i]->out.length);
    }
    rung_buffer_text(out, "]");
    return rung_buffer_check(out, "answer", error);
}

const rung_api rung_api_rung = {
    .id = RUNG_API_RUNG,
    .list_name = "inputs",
    .http_status =
        {
            [RUNG_FAULT_FORMAT] = 400,
            [RUNG_FAULT_EMPTY] = 422,
            [RUNG_FAULT_INVALID] = 422,
            [RUNG_FAULT_TOKENIZER] = 422,
            [RUNG_FAULT_TOKENS] = 413,
            [RUNG_FAULT_LIMIT] = 413,
            [RUNG_FAULT_MEDIA] = 415,
            [RUNG_FAULT_UNSUPPORTED] = 422,
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
    .write = join,
    .written_by_worker = true,
};
