/* message_length.c: counts what message.c writes, piece by piece. See message_length.h. */
#include "run/message_length.h"

#include "base/float_length.h"

#include <string.h>

#define LENGTH_OF(text) (sizeof(text) - 1)
#define KEY_LENGTH 16
#define TIME_LENGTH 12 /* every time takes as much (message.c) */

size_t rung_finding_length(double confidence, const double *probabilities, uint32_t num_classes)
{
    size_t length =
        LENGTH_OF(",\"confidence\":,\"probabilities\":[]") + rung_float_length((float)confidence) + num_classes - 1;
    for (uint32_t c = 0; c < num_classes; c++) {
        length += rung_float_length((float)probabilities[c]);
    }
    return length;
}

static size_t layers_length(uint32_t level, uint32_t exit_layer, uint32_t layers)
{
    return LENGTH_OF("{\"level\":,\"exit_layer\":,\"layers\":") + rung_integer_length(level) +
           rung_integer_length(exit_layer) + rung_integer_length(layers);
}

size_t rung_request_length(const rung_request *request, const size_t *findings)
{
    size_t length = LENGTH_OF("{\"key\":\"\",\"text\":\"\",\"prior\":[]}") + KEY_LENGTH;
    uint32_t first_level = rung_request_skips_to(request);
    if (first_level != 0) {
        length += LENGTH_OF(",\"first_level\":") + rung_integer_length(first_level);
    }
    size_t commas = 0;
    for (uint32_t level = 1; level <= request->level; level++) {
        const rung_level_result *result = rung_request_prior(request, level);
        if (result->visited) {
            length += layers_length(level, result->exit_layer, result->num_layers) + findings[level - 1] +
                      LENGTH_OF("}") + commas;
            commas = 1;
        }
    }
    return length;
}

static size_t did_length(const rung_level_answer *did)
{
    const size_t counts[] = {did->tokens,     did->truncated_tokens, did->words,
                             did->kept_words, did->bytes_up,         did->bytes_down};
    size_t length = layers_length(did->level, did->exit_layer, did->layers) +
                    LENGTH_OF(",\"tokens\":,\"truncated_tokens\":,\"words\":,\"kept_words\":,\"bytes_up\":,"
                              "\"bytes_down\":,\"compute_ms\":,\"queue_ms\":,\"link_ms\":}") +
                    3 * TIME_LENGTH;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        length += rung_integer_length(counts[i]);
    }
    return length;
}

size_t rung_reply_length(const rung_request *request, const rung_level_answer *did, size_t num_did,
                         const size_t *findings)
{
    size_t length = LENGTH_OF("{\"levels\":[],\"wall_ms\":}") + TIME_LENGTH;
    size_t commas = 0;
    for (size_t i = 0; i < num_did; i++) {
        if (did[i].level == 0) {
            continue;
        }
        uint32_t l = did[i].level - 1;
        length += did_length(&did[i]) + (request->results[l].visited ? findings[l] : 0) + commas;
        commas = 1;
    }
    if (request->degraded != RUNG_DEGRADED_NO) {
        length += LENGTH_OF(",\"degraded\":\"\"") + strlen(rung_degraded_name(request->degraded));
    }
    return length;
}
