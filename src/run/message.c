/* message.c: request and reply bodies. See message.h. */
#include "run/message.h"

#include "base/base64.h"

#include <inttypes.h>
#include <string.h>

#define ENCODE_BYTES 96 /* ids are encoded in pieces: a multiple of 3 (base64) and of 4 (the width of an id) */

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
static void append_finding(rung_buffer *body, const rung_level_result *result, uint32_t num_classes)
{
    rung_buffer_format(body, ",\"confidence\":%.9g,\"probabilities\":[", result->confidence);
    for (uint32_t c = 0; c < num_classes; c++) {
        rung_buffer_format(body, c == 0 ? "%.9g" : ",%.9g", (double)(float)result->probabilities[c]);
    }
    rung_buffer_text(body, "]");
}

static void append_layers(rung_buffer *body, uint32_t level, uint32_t exit_layer, uint32_t layers)
{
    rung_buffer_format(body, "{\"level\":%" PRIu32 ",\"exit_layer\":%" PRIu32 ",\"layers\":%" PRIu32, level, exit_layer,
                       layers);
}

/* The visited ones of the levels up to the request's. */
static void append_prior(rung_buffer *body, const rung_request *request, uint32_t num_classes)
{
    const char *separator = "";
    rung_buffer_text(body, ",\"prior\":[");
    for (uint32_t level = 1; level <= request->level; level++) {
        const rung_level_result *result = rung_request_prior(request, level);
        if (result->visited) {
            rung_buffer_text(body, separator);
            append_layers(body, level, result->exit_layer, result->num_layers);
            append_finding(body, result, num_classes);
            rung_buffer_text(body, "}");
            separator = ",";
        }
    }
    rung_buffer_text(body, "]");
}

/* Ids as little-endian 16-bit numbers where they fit, else 32-bit, in base64: half of what decimal numbers take, and less than the text. */
static void append_tokens(rung_buffer *body, const rung_encoding *tokens)
{
    unsigned width = 2;
    bool pair = false;
    for (size_t i = 0; i < tokens->length; i++) {
        width = tokens->ids[i] > UINT16_MAX ? 4 : width;
        pair = pair || tokens->type_ids[i] != 0;
    }
    uint8_t bytes[ENCODE_BYTES];
    size_t count = 0;
    rung_buffer_text(body, width == 2 ? "\"tokens16\":\"" : "\"tokens32\":\"");
    for (size_t i = 0; i < tokens->length; i++) {
        for (unsigned b = 0; b < width; b++) {
            bytes[count++] = (uint8_t)((uint32_t)tokens->ids[i] >> (8 * b));
        }
        if (count == ENCODE_BYTES) {
            rung_base64_encode(body, bytes, count);
            count = 0;
        }
    }
    rung_base64_encode(body, bytes, count);
    rung_buffer_text(body, "\"");
    if (pair) { /* the second text begins at the first token of type 1 */
        size_t first = 0;
        while (tokens->type_ids[first] == 0) {
            first++;
        }
        rung_buffer_format(body, ",\"pair_from\":%zu", first);
    }
}

void rung_message_request(rung_buffer *body, const rung_request *request, const rung_payload *payload,
                          uint32_t num_classes, const char *policy)
{
    rung_buffer_format(body, "{\"key\":\"%016" PRIx64 "\",", request->key);
    if (policy != NULL) {
        rung_buffer_text(body, "\"policy\":");
        rung_message_string(body, policy, strlen(policy));
        rung_buffer_text(body, ",");
    }
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
    uint32_t first_level = rung_request_skips_to(request);
    if (first_level != 0) {
        rung_buffer_format(body, ",\"first_level\":%" PRIu32, first_level);
    }
    append_prior(body, request, num_classes);
    rung_buffer_text(body, "}");
}

/* Always 12 characters: the length of a body does not depend on how long anything took. What cannot be written so is nothing that a clock
 * gives: it becomes 0. */
static void append_time(rung_buffer *body, const char *name, double time_ms)
{
    bool fits = time_ms >= 1e-99 && time_ms < 1e99;
    rung_buffer_format(body, ",\"%s\":%.6e", name, fits ? time_ms : 0);
}

static void append_did(rung_buffer *body, const rung_level_answer *did, const rung_level_result *result,
                       uint32_t num_classes)
{
    append_layers(body, did->level, did->exit_layer, did->layers);
    if (result->visited) {
        append_finding(body, result, num_classes);
    }
    rung_buffer_format(body,
                       ",\"tokens\":%zu,\"truncated_tokens\":%zu,\"words\":%zu,\"kept_words\":%zu,\"bytes_up\":%zu,"
                       "\"bytes_down\":%zu",
                       did->tokens, did->truncated_tokens, did->words, did->kept_words, did->bytes_up, did->bytes_down);
    append_time(body, "compute_ms", did->compute_ms);
    append_time(body, "queue_ms", did->queue_ms);
    append_time(body, "link_ms", did->link_ms);
    rung_buffer_text(body, "}");
}

void rung_message_reply(rung_buffer *body, const rung_request *request, const rung_level_answer *did, size_t num_did,
                        uint32_t num_classes, double wall_ms)
{
    const char *separator = "";
    rung_buffer_text(body, "{\"levels\":[");
    for (size_t i = 0; i < num_did; i++) {
        if (did[i].level != 0) {
            rung_buffer_text(body, separator);
            append_did(body, &did[i], &request->results[did[i].level - 1], num_classes);
            separator = ",";
        }
    }
    rung_buffer_text(body, "]");
    if (request->degraded != RUNG_DEGRADED_NO) {
        rung_buffer_format(body, ",\"degraded\":\"%s\"", rung_degraded_name(request->degraded));
    }
    append_time(body, "wall_ms", wall_ms);
    rung_buffer_text(body, "}");
}
