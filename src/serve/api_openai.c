/* api_openai.c: POST /v1/moderations as OpenAI has it, and POST /classify as vLLM has it. What a body may hold: net/openai_body.h. Which labels flag a text
 * is configured (moderation.flagged). */
#include "net/openai_body.h"
#include "run/message.h"
#include "serve/ticket.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define HOLDS_FROM 0.5 /* a label is true from this probability on */

/* The field that a message begins with, as "input[3].text"; 0: it begins with none. */
static size_t field_length(const char *message)
{
    bool named = strncmp(message, "input", 5) == 0 || strncmp(message, "model", 5) == 0;
    return named ? strcspn(message, " :") : 0;
}

static void append_message(rung_buffer *out, const char *message)
{
    size_t field = field_length(message);
    rung_buffer_text(out, "{\"error\":{\"message\":");
    rung_message_string(out, message, strlen(message));
    rung_buffer_text(out, ",\"param\":");
    if (field > 0) {
        rung_message_string(out, message, field);
    } else {
        rung_buffer_text(out, "null");
    }
}

static void write_openai_error(rung_buffer *out, rung_fault fault, unsigned http_status, const char *message)
{
    const char *code = fault == RUNG_FAULT_TOKENS   ? "\"context_length_exceeded\""
                       : fault == RUNG_FAULT_PATH   ? "\"unknown_url\""
                       : fault == RUNG_FAULT_METHOD ? "\"method_not_supported\""
                       : fault == RUNG_FAULT_QUOTA  ? "\"rate_limit_exceeded\""
                                                    : "null";
    append_message(out, message);
    rung_buffer_format(out, ",\"type\":\"%s\",\"code\":%s}}",
                       http_status >= 500 ? "server_error" : "invalid_request_error", code);
}

static void write_vllm_error(rung_buffer *out, rung_fault fault, unsigned http_status, const char *message)
{
    const char *type = fault == RUNG_FAULT_PATH ? "NotFoundError"
                       : http_status >= 500     ? "InternalServerError"
                                                : "BadRequestError";
    append_message(out, message);
    rung_buffer_format(out, ",\"type\":\"%s\",\"code\":%u}}", type, http_status);
}

static rung_status parse(const rung_api_request *request, rung_classify_body *body, void **form, rung_error *error)
{
    (void)form;
    return rung_openai_body_parse(request->body, request->body_bytes, request->generation->config.max_inputs, body,
                                  error);
}

/* {"id":"KIND-…" */
static void append_id(rung_ticket *ticket, const char *kind, rung_buffer *out)
{
    char id[RUNG_REQUEST_ID_BYTES];
    rung_request_id_make(ticket->desk->id_seed, ++ticket->desk->id_count, id);
    rung_buffer_format(out, "{\"id\":\"%s-%s\"", kind, id);
}

static void append_model(const rung_ticket *ticket, rung_buffer *out)
{
    const rung_generation *generation = ticket->generation;
    const char *name = rung_generation_name(generation);
    rung_buffer_text(out, ",\"model\":");
    rung_message_string(out, name, strlen(name));
}

static void append_result(const rung_errand *errand, rung_buffer *out)
{
    const rung_cascade *cascade = errand->generation->cascade;
    const double *pooled = errand->visit.machine.pooled;
    bool flagged = false;
    for (uint32_t c = 0; c < cascade->num_classes; c++) {
        flagged |= errand->generation->flags[c] && pooled[c] >= HOLDS_FROM;
    }
    rung_buffer_format(out, "{\"flagged\":%s,\"categories\":{", flagged ? "true" : "false");
    for (uint32_t c = 0; c < cascade->num_classes; c++) {
        rung_buffer_text(out, c == 0 ? "" : ",");
        rung_message_string(out, cascade->labels[c], strlen(cascade->labels[c]));
        rung_buffer_text(out, pooled[c] >= HOLDS_FROM ? ":true" : ":false");
    }
    rung_buffer_text(out, "},\"category_scores\":{");
    for (uint32_t c = 0; c < cascade->num_classes; c++) {
        rung_buffer_text(out, c == 0 ? "" : ",");
        rung_message_string(out, cascade->labels[c], strlen(cascade->labels[c]));
        rung_buffer_format(out, ":%.9g", pooled[c]);
    }
    rung_buffer_text(out, "}}");
}

static rung_status write_moderation(rung_ticket *ticket, rung_api_answer *answer, rung_error *error)
{
    rung_buffer *out = &answer->body;
    append_id(ticket, "modr", out);
    append_model(ticket, out);
    rung_buffer_text(out, ",\"results\":[");
    for (size_t i = 0; i < ticket->num_errands; i++) {
        rung_buffer_text(out, i == 0 ? "" : ",");
        append_result(ticket->errands[i], out);
    }
    rung_buffer_text(out, "]}");
    return rung_buffer_check(out, "answer", error);
}

static void append_datum(const rung_errand *errand, size_t index, rung_buffer *out)
{
    const rung_cascade *cascade = errand->generation->cascade;
    const rung_request *machine = &errand->visit.machine;
    const char *label = cascade->labels[machine->label];
    rung_buffer_format(out, "%s{\"index\":%zu,\"label\":", index == 0 ? "" : ",", index);
    rung_message_string(out, label, strlen(label));
    rung_buffer_text(out, ",\"probs\":[");
    for (uint32_t c = 0; c < cascade->num_classes; c++) {
        rung_buffer_format(out, c == 0 ? "%.9g" : ",%.9g", machine->pooled[c]);
    }
    rung_buffer_format(out, "],\"num_classes\":%" PRIu32 "}", cascade->num_classes);
}

static rung_status write_classification(rung_ticket *ticket, rung_api_answer *answer, rung_error *error)
{
    rung_buffer *out = &answer->body;
    size_t tokens = 0;
    append_id(ticket, "classify", out);
    rung_buffer_format(out, ",\"object\":\"list\",\"created\":%lld", (long long)time(NULL));
    append_model(ticket, out);
    rung_buffer_text(out, ",\"data\":[");
    for (size_t i = 0; i < ticket->num_errands; i++) {
        append_datum(ticket->errands[i], i, out);
        tokens += ticket->errands[i]->visit.did.tokens;
    }
    rung_buffer_format(out,
                       "],\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu,\"completion_tokens\":0,"
                       "\"prompt_tokens_details\":null}}",
                       tokens, tokens);
    return rung_buffer_check(out, "answer", error);
}

#define STATUSES                                                                                                       \
    {                                                                                                                  \
        [RUNG_FAULT_FORMAT] = 400, [RUNG_FAULT_EMPTY] = 400, [RUNG_FAULT_INVALID] = 400, [RUNG_FAULT_TOKENIZER] = 400, \
        [RUNG_FAULT_TOKENS] = 400, [RUNG_FAULT_LIMIT] = 400, [RUNG_FAULT_MEDIA] = 415, [RUNG_FAULT_UNSUPPORTED] = 400, \
        [RUNG_FAULT_PATH] = 404, [RUNG_FAULT_METHOD] = 405, [RUNG_FAULT_OVERLOADED] = 503, [RUNG_FAULT_QUOTA] = 429,   \
        [RUNG_FAULT_DRAINING] = 503, [RUNG_FAULT_EXPIRED] = 504, [RUNG_FAULT_LOOP] = RUNG_HTTP_LOOP,                   \
        [RUNG_FAULT_MODEL] = 500, [RUNG_FAULT_NO_MEMORY] = 503, [RUNG_FAULT_IO] = 500                                  \
    }

const rung_api rung_api_openai = {
    .id = RUNG_API_OPENAI,
    .list_name = "input",
    .http_status = STATUSES,
    .error = write_openai_error,
    .parse = parse,
    .write = write_moderation,
};

const rung_api rung_api_vllm = {
    .id = RUNG_API_VLLM,
    .list_name = "input",
    .http_status = STATUSES,
    .error = write_vllm_error,
    .parse = parse,
    .write = write_classification,
};
