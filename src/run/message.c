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

/* RFC 4648 base64 of bytes that come one by one. */
typedef struct base64 {
    rung_buffer *out;
    uint32_t bits;
    unsigned count; /* bytes in bits, 0 .. 2 */
} base64;

static void base64_flush(base64 *encoder, unsigned characters)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[4] = "====";
    for (unsigned i = 0; i < characters; i++) {
        text[i] = digits[encoder->bits >> (18 - 6 * i) & 63];
    }
    rung_buffer_append(encoder->out, text, 4);
    encoder->bits = 0;
    encoder->count = 0;
}

static void base64_byte(base64 *encoder, uint8_t byte)
{
    encoder->bits |= (uint32_t)byte << (16 - 8 * encoder->count);
    encoder->count++;
    if (encoder->count == 3) {
        base64_flush(encoder, 4);
    }
}

static void base64_end(base64 *encoder)
{
    if (encoder->count > 0) {
        base64_flush(encoder, encoder->count + 1);
    }
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
    base64 encoder = {.out = body};
    rung_buffer_text(body, width == 2 ? "\"tokens16\":\"" : "\"tokens32\":\"");
    for (size_t i = 0; i < tokens->length; i++) {
        for (unsigned b = 0; b < width; b++) {
            base64_byte(&encoder, (uint8_t)((uint32_t)tokens->ids[i] >> (8 * b)));
        }
    }
    base64_end(&encoder);
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
