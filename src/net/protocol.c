/* protocol.c: what the protocols have in common, and a rung node's paths. See protocol.h. */
#include "net/protocol.h"

#include "base/math.h"
#include "base/memory.h"
#include "config/suggest.h"
#include "model/json_field.h"
#include "net/json_body.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void rung_node_paths(const rung_remote *remote, rung_protocol_paths *paths)
{
    (void)remote;
    *paths = (rung_protocol_paths){.ask = "/v1/classify", .probe = "/health"};
}

static const rung_protocol rung_node = {.id = RUNG_PROTOCOL_RUNG, .paths = rung_node_paths};

const rung_protocol *rung_protocol_of(rung_protocol_id id)
{
    switch (id) {
    case RUNG_PROTOCOL_RUNG:
        return &rung_node;
    case RUNG_PROTOCOL_TEI:
        return &rung_protocol_tei;
    case RUNG_PROTOCOL_V2:
        break;
    }
    assert(id == RUNG_PROTOCOL_V2);
    return &rung_protocol_v2;
}

rung_status rung_protocol_identify(const rung_protocol *protocol, const char *body, size_t bytes,
                                   rung_model_identity *identity, rung_error *error)
{
    json_t *object = NULL;
    rung_status status = rung_json_body(body, bytes, &object, error);
    if (status == RUNG_OK) {
        status = protocol->identify(object, identity, error);
        json_decref(object);
    }
    return status;
}

void rung_model_identity_deinit(rung_model_identity *identity)
{
    free(identity->text);
    *identity = (rung_model_identity){0};
}

rung_status rung_model_identity_take(rung_buffer *text, rung_model_identity *identity, rung_error *error)
{
    rung_status status = rung_buffer_check(text, "identity of the model", error);
    if (status == RUNG_OK && text->length > RUNG_MAX_IDENTITY_BYTES) {
        status = rung_fail(error, RUNG_LIMIT, "what the server says of its model has %zu bytes; the limit is %d",
                           text->length, RUNG_MAX_IDENTITY_BYTES);
    }
    if (status != RUNG_OK) {
        rung_buffer_deinit(text);
        return status;
    }
    rung_sha256 hash;
    rung_sha256_init(&hash);
    rung_sha256_update(&hash, text->data, text->length);
    free(identity->text);
    identity->text = text->data;
    rung_sha256_hex(&hash, identity->sha256);
    *text = (rung_buffer){0};
    return RUNG_OK;
}

void rung_remote_logits(const double *probabilities, size_t num_classes, float *logits)
{
    for (size_t c = 0; c < num_classes; c++) {
        bool usual = probabilities[c] > RUNG_REMOTE_LEAST_PROBABILITY;
        logits[c] = (float)rung_log(usual ? probabilities[c] : RUNG_REMOTE_LEAST_PROBABILITY);
    }
}

static rung_status check_probability(double value, const char *path, size_t index, rung_error *error)
{
    return value >= 0 && value <= 1
               ? RUNG_OK
               : rung_fail(error, RUNG_INVALID, "%s[%zu] is %g; it must be from 0 to 1", path, index, value);
}

rung_status rung_remote_check_probabilities(const double *probabilities, size_t num_classes, const char *path,
                                            rung_error *error)
{
    double sum = 0;
    for (size_t c = 0; c < num_classes; c++) {
        rung_status status = check_probability(probabilities[c], path, c, error);
        if (status != RUNG_OK) {
            return status;
        }
        sum += probabilities[c];
    }
    return fabs(sum - 1) <= RUNG_REMOTE_SUM_TOLERANCE
               ? RUNG_OK
               : rung_fail(error, RUNG_INVALID, "%s adds up to %g; it must be 1", path, sum);
}

/* num_classes: there is no such label. */
static uint32_t find_class(const rung_remote_reader *reader, const char *label)
{
    const char *name = reader->names != NULL ? rung_cascade_config_rename(reader->names, label) : label;
    uint32_t class = 0;
    while (class < reader->num_classes && strcmp(reader->labels[class], name) != 0) {
        class ++;
    }
    return class;
}

static rung_status read_score(const json_t *entry, const char *path, size_t index, const rung_remote_reader *reader,
                              double *scores, rung_error *error)
{
    const json_t *label = json_object_get(entry, "label");
    const json_t *score = json_object_get(entry, "score");
    char shown[RUNG_QUOTED_BYTES];
    if (!json_is_string(label) || !json_is_number(score)) {
        return rung_fail(error, RUNG_FORMAT, "%s[%zu] must be an object of label, a string, and score, a number", path,
                         index);
    }
    uint32_t class = find_class(reader, json_string_value(label));
    rung_shorten(json_string_value(label), json_string_length(label), shown);
    if (class == reader->num_classes) {
        return rung_fail(error, RUNG_INVALID,
                         "%s[%zu].label is \"%s\", which is no label of the cascade; rename it with `labels`", path,
                         index, shown);
    }
    if (scores[class] >= 0) {
        return rung_fail(error, RUNG_INVALID, "%s[%zu].label is \"%s\", which came before", path, index, shown);
    }
    double value = json_number_value(score);
    rung_status status = check_probability(value, path, index, error);
    scores[class] = value;
    return status;
}

static rung_status check_complete(const rung_remote_reader *reader, const char *path, bool rest, double *scores,
                                  size_t count, rung_error *error)
{
    if (rest && count == 1 && reader->num_classes == 2) {
        uint32_t missing = scores[0] < 0 ? 0 : 1;
        scores[missing] = 1 - scores[1 - missing];
        return RUNG_OK;
    }
    for (uint32_t c = 0; c < reader->num_classes; c++) {
        if (scores[c] < 0) {
            char shown[RUNG_QUOTED_BYTES];
            return rung_fail(error, RUNG_INVALID, "%s has no label \"%s\"; all %u are needed", path,
                             rung_shorten(reader->labels[c], strlen(reader->labels[c]), shown), reader->num_classes);
        }
    }
    return rung_remote_check_probabilities(scores, reader->num_classes, path, error);
}

rung_status rung_remote_read_scores(const json_t *list, const char *path, const rung_remote_reader *reader, bool rest,
                                    double *probabilities, rung_error *error)
{
    if (!json_is_array(list) || json_array_size(list) > reader->num_classes) {
        return rung_fail(error, RUNG_FORMAT, "%s must be a list of at most %u labels with their scores", path,
                         reader->num_classes);
    }
    double *scores = rung_alloc(reader->num_classes, sizeof *scores, "scores", error);
    if (scores == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (uint32_t c = 0; c < reader->num_classes; c++) {
        scores[c] = -1; /* not there yet */
    }
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < json_array_size(list); i++) {
        status = read_score(json_array_get(list, i), path, i, reader, scores, error);
    }
    if (status == RUNG_OK) {
        status = check_complete(reader, path, rest, scores, json_array_size(list), error);
    }
    if (status == RUNG_OK) {
        memcpy(probabilities, scores, reader->num_classes * sizeof *scores);
    }
    free(scores);
    return status;
}
