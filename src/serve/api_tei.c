/* api_tei.c: the classification API of Text Embeddings Inference: POST /predict and POST /. What a body may hold: net/tei_body.h. Its headers are TEI's:
 * times in whole milliseconds, for a batch those of an input on average. */
#include "base/clock.h"
#include "base/memory.h"
#include "net/tei_body.h"
#include "run/message.h"
#include "serve/ticket.h"

#include <stdlib.h>
#include <string.h>

static const char *const error_types[RUNG_FAULTS] = {
    [RUNG_FAULT_FORMAT] = "Validation",     [RUNG_FAULT_EMPTY] = "Empty",
    [RUNG_FAULT_INVALID] = "Validation",    [RUNG_FAULT_TOKENIZER] = "Tokenizer",
    [RUNG_FAULT_TOKENS] = "Validation",     [RUNG_FAULT_LIMIT] = "Validation",
    [RUNG_FAULT_MEDIA] = "Validation",      [RUNG_FAULT_UNSUPPORTED] = "Validation",
    [RUNG_FAULT_PATH] = "Validation",       [RUNG_FAULT_METHOD] = "Validation",
    [RUNG_FAULT_OVERLOADED] = "Overloaded", [RUNG_FAULT_QUOTA] = "Overloaded",
    [RUNG_FAULT_DRAINING] = "Unhealthy",    [RUNG_FAULT_EXPIRED] = "Unhealthy",
    [RUNG_FAULT_LOOP] = "Backend",          [RUNG_FAULT_MODEL] = "Backend",
    [RUNG_FAULT_NO_MEMORY] = "Unhealthy",   [RUNG_FAULT_IO] = "Backend",
};

static void write_error(rung_buffer *out, rung_fault fault, unsigned http_status, const char *message)
{
    (void)http_status;
    rung_buffer_text(out, "{\"error\":");
    rung_message_string(out, message, strlen(message));
    rung_buffer_format(out, ",\"error_type\":\"%s\"}", error_types[fault]);
}

static rung_status parse(const rung_api_request *request, rung_classify_body *body, void **form, rung_error *error)
{
    rung_tei_form *made = rung_alloc(1, sizeof *made, "request", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    *form = made;
    return rung_tei_body_parse(request->body, request->body_bytes, request->generation->config.max_inputs,
                               rung_cascade_is_multi_label(request->generation->cascade), body, made, error);
}

/* The labels by falling probability; equal ones in the cascade's order. order [num_classes]. */
static void sort_labels(const double *probabilities, uint32_t num_classes, uint32_t *order)
{
    for (uint32_t c = 0; c < num_classes; c++) {
        uint32_t at = c;
        while (at > 0 && probabilities[order[at - 1]] < probabilities[c]) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = c;
    }
}

static void write_input(const rung_errand *errand, const rung_tei_form *form, uint32_t *order, rung_buffer *out)
{
    const rung_cascade *cascade = errand->generation->cascade;
    const double *pooled = errand->visit.machine.pooled;
    bool multi_label = rung_cascade_is_multi_label(cascade);
    uint32_t count = cascade->num_classes;
    sort_labels(pooled, count, order);
    count = form->top_k > 0 && form->top_k < count ? (uint32_t)form->top_k : count;
    rung_buffer_text(out, "[");
    for (uint32_t i = 0; i < count; i++) {
        const char *label = cascade->labels[order[i]];
        rung_buffer_format(out, "%s{\"score\":%.9g,\"label\":", i == 0 ? "" : ",",
                           form->raw_scores ? rung_tei_raw_score(pooled[order[i]], multi_label) : pooled[order[i]]);
        rung_message_string(out, label, strlen(label));
        rung_buffer_text(out, "}");
    }
    rung_buffer_text(out, "]");
}

static size_t count_characters(const char *text, size_t bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++) {
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return count;
}

static void add_headers(const rung_ticket *ticket, rung_api_answer *answer)
{
    double read_ms = 0;
    double queue_ms = 0;
    double compute_ms = 0;
    size_t characters = 0;
    size_t tokens = 0;
    for (size_t i = 0; i < ticket->num_errands; i++) {
        const rung_errand *errand = ticket->errands[i];
        const rung_line *input = &ticket->body.inputs[i];
        read_ms += errand->read_ms;
        queue_ms += errand->visit.did.queue_ms;
        compute_ms += errand->visit.did.compute_ms;
        tokens += errand->visit.did.tokens;
        characters += count_characters(input->text, input->text_bytes) +
                      count_characters(input->text_pair, input->text_pair_bytes);
    }
    double count = (double)ticket->num_errands;
    uint64_t total_ms = (uint64_t)((rung_clock_s() - ticket->arrived_s) * 1e3);
    answer->headers[answer->num_headers++] = (rung_http_header){"x-compute-type", "cpu"};
    rung_api_answer_number(answer, "x-compute-time", total_ms);
    rung_api_answer_number(answer, "x-compute-characters", characters);
    rung_api_answer_number(answer, "x-compute-tokens", tokens);
    rung_api_answer_number(answer, "x-total-time", total_ms);
    rung_api_answer_number(answer, "x-tokenization-time", (uint64_t)(read_ms / count));
    rung_api_answer_number(answer, "x-queue-time", (uint64_t)(queue_ms / count));
    rung_api_answer_number(answer, "x-inference-time", (uint64_t)(compute_ms / count));
}

static rung_status write_answer(rung_ticket *ticket, rung_api_answer *answer, rung_error *error)
{
    const rung_tei_form *form = ticket->form;
    rung_buffer *out = &answer->body;
    bool is_list = ticket->body.is_list || form->nested;
    uint32_t *order = rung_alloc(ticket->generation->cascade->num_classes, sizeof *order, "labels", error);
    if (order == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_buffer_text(out, is_list ? "[" : "");
    for (size_t i = 0; i < ticket->num_errands; i++) {
        rung_buffer_text(out, i == 0 ? "" : ",");
        write_input(ticket->errands[i], form, order, out);
    }
    rung_buffer_text(out, is_list ? "]" : "");
    free(order);
    add_headers(ticket, answer);
    return rung_buffer_check(out, "answer", error);
}

const rung_api rung_api_tei = {
    .id = RUNG_API_TEI,
    .list_name = "inputs",
    .http_status =
        {
            [RUNG_FAULT_FORMAT] = 400,
            [RUNG_FAULT_EMPTY] = 400,
            [RUNG_FAULT_INVALID] = 422,
            [RUNG_FAULT_TOKENIZER] = 422,
            [RUNG_FAULT_TOKENS] = 422,
            [RUNG_FAULT_LIMIT] = 413,
            [RUNG_FAULT_MEDIA] = 415,
            [RUNG_FAULT_UNSUPPORTED] = 422,
            [RUNG_FAULT_PATH] = 404,
            [RUNG_FAULT_METHOD] = 405,
            [RUNG_FAULT_OVERLOADED] = 429,
            [RUNG_FAULT_QUOTA] = 429,
            [RUNG_FAULT_DRAINING] = 503,
            [RUNG_FAULT_EXPIRED] = 504,
            [RUNG_FAULT_LOOP] = RUNG_HTTP_LOOP,
            [RUNG_FAULT_MODEL] = 424,
            [RUNG_FAULT_NO_MEMORY] = 503,
            [RUNG_FAULT_IO] = 424,
        },
    .error = write_error,
    .parse = parse,
    .write = write_answer,
    .free_form = free,
};
