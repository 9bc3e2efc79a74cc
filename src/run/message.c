/* message.c: request and reply bodies. See message.h. */
#include "run/message.h"

#include <inttypes.h>

void rung_message_string(rung_buffer *body, const char *text, size_t bytes)
{
    rung_buffer_append(body, "\"", 1);
    size_t plain = 0; /* start of the run that needs no escape */
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        rung_buffer_append(body, text + plain, i - plain);
        plain = i + 1;
        if (c == '"' || c == '\\') {
            rung_buffer_append(body, (char[2]){'\\', (char)c}, 2);
        } else if (c == '\n') {
            rung_buffer_text(body, "\\n");
        } else if (c == '\t') {
            rung_buffer_text(body, "\\t");
        } else {
            rung_buffer_format(body, "\\u%04x", c);
        }
    }
    rung_buffer_append(body, text + plain, bytes - plain);
    rung_buffer_append(body, "\"", 1);
}

/* Probabilities travel as floats: nine significant digits bring back the same float. */
static void append_result(rung_buffer *body, uint32_t level, const rung_level_result *result, uint32_t num_classes)
{
    rung_buffer_format(body,
                       "{\"level\":%" PRIu32 ",\"exit_layer\":%" PRIu32 ",\"layers\":%" PRIu32
                       ",\"confidence\":%.9g,\"probabilities\":[",
                       level, result->exit_layer, result->num_layers, result->confidence);
    for (uint32_t c = 0; c < num_classes; c++) {
        rung_buffer_format(body, c == 0 ? "%.9g" : ",%.9g", (double)(float)result->probabilities[c]);
    }
    rung_buffer_text(body, "]}");
}

/* The visited ones of levels first .. last (1-based). */
static void append_results(rung_buffer *body, const rung_request *request, uint32_t first, uint32_t last,
                           uint32_t num_classes)
{
    const char *separator = "";
    rung_buffer_text(body, "[");
    for (uint32_t level = first; level <= last; level++) {
        if (request->results[level - 1].visited) {
            rung_buffer_text(body, separator);
            append_result(body, level, &request->results[level - 1], num_classes);
            separator = ",";
        }
    }
    rung_buffer_text(body, "]");
}

static void append_tokens(rung_buffer *body, const rung_encoding *tokens)
{
    bool pair = false;
    rung_buffer_text(body, "\"tokens\":[");
    for (size_t i = 0; i < tokens->length; i++) {
        rung_buffer_format(body, i == 0 ? "%" PRId32 : ",%" PRId32, tokens->ids[i]);
        pair = pair || tokens->type_ids[i] != 0;
    }
    rung_buffer_text(body, "]");
    if (pair) {
        rung_buffer_text(body, ",\"types\":[");
        for (size_t i = 0; i < tokens->length; i++) {
            rung_buffer_format(body, i == 0 ? "%u" : ",%u", (unsigned)tokens->type_ids[i]);
        }
        rung_buffer_text(body, "]");
    }
}

void rung_message_request(rung_buffer *body, const rung_request *request, const rung_payload *payload,
                          uint32_t num_classes)
{
    rung_buffer_format(body, "{\"key\":\"%016" PRIx64 "\",", request->key);
    if (payload->tokens != NULL) {
        append_tokens(body, payload->tokens);
    } else {
        rung_buffer_text(body, "\"text\":");
        rung_message_string(body, payload->text.data, payload->text.bytes);
        if (payload->pair.data != NULL) {
            rung_buffer_text(body, ",\"text_pair\":");
            rung_message_string(body, payload->pair.data, payload->pair.bytes);
        }
    }
    rung_buffer_text(body, ",\"prior\":");
    append_results(body, request, 1, request->level, num_classes);
    rung_buffer_text(body, "}");
}

void rung_message_reply(rung_buffer *body, const rung_request *request, uint32_t num_levels, uint32_t num_classes)
{
    rung_buffer_text(body, "{\"levels\":");
    append_results(body, request, request->level, num_levels, num_classes);
    rung_buffer_text(body, "}");
}
