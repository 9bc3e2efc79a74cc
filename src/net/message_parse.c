/* message_parse.c: bodies between levels, field by field. See message_parse.h; the format is docs/wire.md. */
#include "net/message_parse.h"

#include "base/base64.h"
#include "base/checked.h"
#include "base/memory.h"
#include "model/model.h"
#include "net/json_body.h"
#include "run/visit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KEY_DIGITS 16
#define MAX_COUNT ((uint64_t)1 << 53) /* of tokens, words and bytes that another level counted */
#define MAX_TIME_MS 1e15
#define SUM_TOLERANCE 1e-3 /* rounding of floats; what a sender that is not rung may round to */

typedef struct base64_field {
    const char *name;
    size_t width; /* bytes of one id */
} base64_field;

void rung_message_deinit(rung_message *message)
{
    free(message->text);
    free(message->pair);
    free(message->ids);
    free(message->probabilities);
    *message = (rung_message){0};
}

void rung_reply_deinit(rung_reply *reply)
{
    free(reply->probabilities);
    *reply = (rung_reply){0};
}

/* Memory for the probabilities of every level, and the results that point into it. */
static rung_status make_results(const rung_message_reader *reader, rung_level_result results[RUNG_MAX_LEVELS],
                                double **probabilities, rung_error *error)
{
    size_t count = 0;
    if (!rung_mul_size(RUNG_MAX_LEVELS, reader->num_classes, &count)) {
        return rung_fail(error, RUNG_LIMIT, "probabilities: %u classes are too many", reader->num_classes);
    }
    *probabilities = rung_alloc(count, sizeof **probabilities, "results of levels", error);
    if (*probabilities == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        results[l].probabilities = *probabilities + l * reader->num_classes;
    }
    return RUNG_OK;
}

/* As floats, as in one process: the answers are the same bits. */
static rung_status read_probabilities(const rung_json_object *object, const rung_message_reader *reader, double *out,
                                      rung_error *error)
{
    uint32_t num_classes = reader->num_classes;
    const json_t *list;
    rung_status status = rung_json_get(object, "probabilities", JSON_ARRAY, &list, error);
    if (status != RUNG_OK) {
        return status;
    }
    if (json_array_size(list) != num_classes) {
        return rung_fail(error, RUNG_INVALID, "%sprobabilities has %zu numbers; the cascade has %u labels",
                         object->path, json_array_size(list), num_classes);
    }
    double sum = 0;
    for (uint32_t c = 0; c < num_classes; c++) {
        const json_t *value = json_array_get(list, c);
        if (!json_is_number(value)) {
            return rung_fail(error, RUNG_FORMAT, "%sprobabilities[%u] is no number", object->path, c);
        }
        double p = json_number_value(value);
        if (!(p >= 0 && p <= 1)) {
            return rung_fail(error, RUNG_INVALID, "%sprobabilities[%u] is %g; it must be from 0 to 1", object->path, c,
                             p);
        }
        out[c] = (float)p;
        sum += p;
    }
    if (!reader->multi_label && !(fabs(sum - 1) <= SUM_TOLERANCE)) {
        return rung_fail(error, RUNG_INVALID, "%sprobabilities add up to %g; it must be 1", object->path, sum);
    }
    return RUNG_OK;
}

/* What a level found: exit_layer, layers, confidence and probabilities. */
static rung_status read_result(const rung_json_object *object, const rung_message_reader *reader,
                               rung_level_result *result, rung_error *error)
{
    uint64_t layers = 0;
    uint64_t exit_layer = 0;
    double confidence = 0;
    rung_status status = rung_json_integer(object, "layers", 1, RUNG_MAX_LAYERS, &layers, error);
    if (status == RUNG_OK) {
        status = rung_json_integer(object, "exit_layer", 1, layers, &exit_layer, error);
    }
    if (status == RUNG_OK) {
        status = rung_json_number(object, "confidence", 0, 1, &confidence, error);
    }
    if (status == RUNG_OK) {
        status = read_probabilities(object, reader, result->probabilities, error);
    }
    if (status == RUNG_OK) {
        result->visited = true;
        result->exit_layer = (uint32_t)exit_layer;
        result->num_layers = (uint32_t)layers;
        result->confidence = (float)confidence;
    }
    return status;
}

/* The next element's level, which rises from element to element: first is the lowest that may come. */
static rung_status read_level(const rung_json_object *object, uint32_t *first, uint32_t last, rung_error *error)
{
    uint64_t level = 0;
    if (*first > last) {
        return rung_fail(error, RUNG_INVALID,
                         "%slevel: one level too many; levels rise, and %u is the last that may come", object->path,
                         last);
    }
    rung_status status = rung_json_integer(object, "level", *first, last, &level, error);
    if (status == RUNG_OK) {
        *first = (uint32_t)level;
    }
    return status;
}

static rung_status read_prior(const rung_json_object *root, const rung_message_reader *reader, rung_message *message,
                              rung_error *error)
{
    const json_t *list;
    uint32_t level = 1;
    rung_status status = rung_json_get(root, "prior", JSON_ARRAY, &list, error);
    for (size_t i = 0; status == RUNG_OK && i < json_array_size(list); i++) {
        rung_json_object element;
        status = rung_json_element(list, "prior", i, &element, error);
        if (status == RUNG_OK) {
            status = rung_json_known(&element, "level|exit_layer|layers|confidence|probabilities", error);
        }
        if (status == RUNG_OK) {
            status = read_level(&element, &level, reader->level - 1, error);
        }
        if (status == RUNG_OK) {
            status = read_result(&element, reader, &message->results[level - 1], error);
            level++;
        }
    }
    return status;
}

static rung_status read_key(const rung_json_object *root, uint64_t *key, rung_error *error)
{
    static const char digits[] = "0123456789abcdef";
    const json_t *value;
    rung_status status = rung_json_get(root, "key", JSON_STRING, &value, error);
    if (status != RUNG_OK) {
        return status;
    }
    const char *text = json_string_value(value);
    uint64_t number = 0;
    size_t length = json_string_length(value);
    for (size_t i = 0; length == KEY_DIGITS && i < KEY_DIGITS; i++) {
        const char *digit = memchr(digits, text[i], sizeof digits - 1);
        if (digit == NULL) {
            length = 0;
            break;
        }
        number = number << 4 | (uint64_t)(digit - digits);
    }
    if (length != KEY_DIGITS) {
        return rung_fail(error, RUNG_INVALID, "key must be %d hexadecimal digits in lower case", KEY_DIGITS);
    }
    *key = number;
    return RUNG_OK;
}

static rung_status read_policy(const rung_json_object *root, rung_message *message, rung_error *error)
{
    const json_t *value;
    if (json_object_get(root->json, "policy") == NULL) {
        return RUNG_OK;
    }
    rung_status status = rung_json_get(root, "policy", JSON_STRING, &value, error);
    if (status != RUNG_OK) {
        return status;
    }
    const char *name = json_string_value(value);
    size_t bytes = json_string_length(value);
    if (bytes == 0 || bytes >= sizeof message->policy || memchr(name, 0, bytes) != NULL) {
        return rung_fail(error, RUNG_INVALID, "policy is no name of 1 to %zu characters", sizeof message->policy - 1);
    }
    memcpy(message->policy, name, bytes);
    return RUNG_OK;
}

/* Levels below it, the reader's among them, only pass the request on. */
static rung_status read_first_level(const rung_json_object *root, const rung_message_reader *reader,
                                    rung_message *message, rung_error *error)
{
    if (json_object_get(root->json, "first_level") == NULL) {
        return RUNG_OK;
    }
    if (reader->level >= reader->num_levels) {
        return rung_fail(error, RUNG_INVALID, "first_level came to level %u of %u; there is none above to compute",
                         reader->level, reader->num_levels);
    }
    uint64_t level = 0;
    rung_status status = rung_json_integer(root, "first_level", reader->level + 1, reader->num_levels, &level, error);
    message->first_level = (uint32_t)level;
    return status;
}

static rung_status read_text(const rung_json_object *root, const char *name, char **text, size_t *bytes,
                             rung_error *error)
{
    const json_t *value;
    rung_status status = rung_json_get(root, name, JSON_STRING, &value, error);
    if (status == RUNG_OK) {
        status = rung_check_text(name, json_string_value(value), json_string_length(value), error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    *bytes = json_string_length(value);
    *text = rung_copy_text(json_string_value(value), *bytes, name, error);
    return *text != NULL ? RUNG_OK : RUNG_NO_MEMORY;
}

/* bytes: little-endian ids of field->width bytes each. */
static rung_status take_ids(const base64_field *field, const uint8_t *bytes, size_t count, rung_message *message,
                            rung_error *error)
{
    if (count == 0 || count % field->width != 0) {
        return rung_fail(error, RUNG_INVALID, "%s holds %zu bytes; it must be a multiple of %zu, and not 0",
                         field->name, count, field->width);
    }
    message->num_ids = count / field->width;
    message->ids = rung_alloc(message->num_ids, sizeof *message->ids, field->name, error);
    if (message->ids == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < message->num_ids; i++) {
        uint32_t id = 0;
        for (size_t b = 0; b < field->width; b++) {
            id |= (uint32_t)bytes[i * field->width + b] << (8 * b);
        }
        if (id > INT32_MAX) {
            return rung_fail(error, RUNG_INVALID, "%s: id %u at position %zu is above %d", field->name, id, i,
                             INT32_MAX);
        }
        message->ids[i] = (int32_t)id;
    }
    return RUNG_OK;
}

static rung_status read_ids(const rung_json_object *root, const base64_field *field, size_t max_tokens,
                            rung_message *message, rung_error *error)
{
    const json_t *value;
    rung_status status = rung_json_get(root, field->name, JSON_STRING, &value, error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t length = json_string_length(value);
    size_t most = rung_base64_max_bytes(length);
    if (most > 2 && (most - 2) / field->width > max_tokens) { /* at most two of the bytes are padding */
        return rung_fail(error, RUNG_LIMIT, "%s: more than %zu tokens, the limit of this level's model", field->name,
                         max_tokens);
    }
    uint8_t *bytes = rung_alloc(most, 1, field->name, error);
    if (bytes == NULL) {
        return RUNG_NO_MEMORY;
    }
    size_t count = 0;
    rung_error cause = {.code = RUNG_OK};
    status = rung_base64_decode(json_string_value(value), length, bytes, &count, &cause);
    if (status != RUNG_OK) {
        status = rung_fail(error, status, "%s is %s", field->name, cause.message);
    } else if (count / field->width > max_tokens) {
        status = rung_fail(error, RUNG_LIMIT, "%s: %zu tokens, the limit of this level's model is %zu", field->name,
                           count / field->width, max_tokens);
    } else {
        status = take_ids(field, bytes, count, message, error);
    }
    free(bytes);
    return status;
}

static rung_status read_tokens(const rung_json_object *root, const base64_field *field,
                               const rung_message_reader *reader, rung_message *message, rung_error *error)
{
    rung_status status = read_ids(root, field, reader->max_tokens, message, error);
    if (status != RUNG_OK || json_object_get(root->json, "pair_from") == NULL) {
        return status;
    }
    uint64_t from = 0;
    status = rung_json_integer(root, "pair_from", 1, message->num_ids, &from, error);
    if (status == RUNG_OK && from == message->num_ids) {
        return rung_fail(error, RUNG_INVALID, "pair_from is %zu; only %zu tokens came", message->num_ids,
                         message->num_ids);
    }
    message->pair_from = (size_t)from;
    return status;
}

/* A text or token ids, and of each only the fields that go with it. */
static rung_status read_content(const rung_json_object *root, const rung_message_reader *reader, rung_message *message,
                                rung_error *error)
{
    static const base64_field fields[] = {{"tokens16", 2}, {"tokens32", 4}};
    const base64_field *tokens = NULL;
    size_t found = json_object_get(root->json, "text") != NULL ? 1 : 0;
    bool has_text = found > 0;
    bool has_pair = json_object_get(root->json, "text_pair") != NULL;
    for (size_t i = 0; i < 2; i++) {
        if (json_object_get(root->json, fields[i].name) != NULL) {
            tokens = &fields[i];
            found++;
        }
    }
    if (found != 1) {
        return rung_fail(error, found == 0 ? RUNG_FORMAT : RUNG_INVALID,
                         "text, tokens16, tokens32: %zu of them came; it must be one", found);
    }
    if (has_pair && !has_text) {
        return rung_fail(error, RUNG_INVALID, "text_pair came without text");
    }
    if (has_text && json_object_get(root->json, "pair_from") != NULL) {
        return rung_fail(error, RUNG_INVALID, "pair_from came with a text; it goes with token ids");
    }
    if (!has_text) {
        return read_tokens(root, tokens, reader, message, error);
    }
    rung_status status = read_text(root, "text", &message->text, &message->text_bytes, error);
    return status == RUNG_OK && has_pair ? read_text(root, "text_pair", &message->pair, &message->pair_bytes, error)
                                         : status;
}

static rung_status read_message(const rung_json_object *root, const rung_message_reader *reader, rung_message *message,
                                rung_error *error)
{
    rung_status status =
        rung_json_known(root, "key|policy|text|text_pair|tokens16|tokens32|pair_from|first_level|prior", error);
    if (status == RUNG_OK) {
        status = make_results(reader, message->results, &message->probabilities, error);
    }
    if (status == RUNG_OK) {
        status = read_key(root, &message->key, error);
    }
    if (status == RUNG_OK) {
        status = read_policy(root, message, error);
    }
    if (status == RUNG_OK) {
        status = read_first_level(root, reader, message, error);
    }
    if (status == RUNG_OK) {
        status = read_content(root, reader, message, error);
    }
    return status == RUNG_OK ? read_prior(root, reader, message, error) : status;
}

rung_status rung_message_from_json(const json_t *json, const rung_message_reader *reader, rung_message *message,
                                   rung_error *error)
{
    rung_message parsed = {0};
    rung_status status = read_message(&(rung_json_object){.json = json}, reader, &parsed, error);
    if (status != RUNG_OK) {
        rung_message_deinit(&parsed);
        return status;
    }
    rung_message_deinit(message);
    *message = parsed;
    return RUNG_OK;
}

rung_status rung_message_parse(const char *body, size_t bytes, const rung_message_reader *reader, rung_message *message,
                               rung_error *error)
{
    json_t *json = NULL;
    rung_status status = rung_json_body(body, bytes, &json, error);
    if (status == RUNG_OK) {
        status = rung_message_from_json(json, reader, message, error);
        json_decref(json);
    }
    return status;
}

static rung_status read_counters(const rung_json_object *object, rung_level_answer *did, rung_error *error)
{
    const struct {
        const char *name;
        size_t *count;
    } counters[] = {{"tokens", &did->tokens},     {"truncated_tokens", &did->truncated_tokens},
                    {"words", &did->words},       {"kept_words", &did->kept_words},
                    {"bytes_up", &did->bytes_up}, {"bytes_down", &did->bytes_down}};
    const struct {
        const char *name;
        double *time_ms;
    } times[] = {{"compute_ms", &did->compute_ms}, {"queue_ms", &did->queue_ms}, {"link_ms", &did->link_ms}};
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < sizeof counters / sizeof counters[0]; i++) {
        uint64_t count = 0;
        status = rung_json_integer(object, counters[i].name, 0, MAX_COUNT, &count, error);
        *counters[i].count = (size_t)count;
    }
    for (size_t i = 0; status == RUNG_OK && i < sizeof times / sizeof times[0]; i++) {
        status = rung_json_number(object, times[i].name, 0, MAX_TIME_MS, times[i].time_ms, error);
    }
    return status;
}

/* What a level without a result has to say of its layers: it passed on (0), or what it computed was of no use. */
static rung_status read_layers(const rung_json_object *object, rung_level_answer *did, rung_error *error)
{
    uint64_t layers = 0;
    uint64_t exit_layer = 0;
    rung_status status = rung_json_integer(object, "layers", 0, RUNG_MAX_LAYERS, &layers, error);
    if (status == RUNG_OK) {
        status = rung_json_integer(object, "exit_layer", 0, layers, &exit_layer, error);
    }
    did->layers = (uint32_t)layers;
    did->exit_layer = (uint32_t)exit_layer;
    return status;
}

static rung_status read_did(const rung_json_object *object, const rung_message_reader *reader, uint32_t *level,
                            rung_reply *reply, rung_error *error)
{
    rung_status status = read_level(object, level, reader->num_levels, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_level_result *result = &reply->results[*level - 1];
    rung_level_answer *did = &reply->did[*level - 1];
    bool found =
        json_object_get(object->json, "probabilities") != NULL || json_object_get(object->json, "confidence") != NULL;
    did->level = *level;
    status = read_layers(object, did, error);
    if (status == RUNG_OK && found) {
        status = read_result(object, reader, result, error);
    }
    return status == RUNG_OK ? read_counters(object, did, error) : status;
}

static rung_status read_degraded(const rung_json_object *root, rung_degraded *degraded, rung_error *error)
{
    const json_t *value;
    if (json_object_get(root->json, "degraded") == NULL) {
        return RUNG_OK;
    }
    rung_status status = rung_json_get(root, "degraded", JSON_STRING, &value, error);
    if (status != RUNG_OK) {
        return status;
    }
    for (int reason = RUNG_DEGRADED_UNREACHABLE; reason <= RUNG_DEGRADED_MODEL; reason++) {
        if (strcmp(json_string_value(value), rung_degraded_name((rung_degraded)reason)) == 0) {
            *degraded = (rung_degraded)reason;
            return RUNG_OK;
        }
    }
    return rung_fail(error, RUNG_INVALID, "degraded is no reason of this version of the wire format");
}

static rung_status read_reply(const rung_json_object *root, const rung_message_reader *reader, rung_reply *reply,
                              rung_error *error)
{
    const json_t *list = NULL;
    uint32_t level = reader->level + 1;
    rung_status status = make_results(reader, reply->results, &reply->probabilities, error);
    if (status == RUNG_OK) {
        status = rung_json_get(root, "levels", JSON_ARRAY, &list, error);
    }
    for (size_t i = 0; status == RUNG_OK && i < json_array_size(list); i++) {
        rung_json_object element;
        status = rung_json_element(list, "levels", i, &element, error);
        if (status == RUNG_OK) {
            status = read_did(&element, reader, &level, reply, error);
        }
        if (status == RUNG_OK) {
            reply->top_level = level++;
        }
    }
    if (status == RUNG_OK) {
        status = read_degraded(root, &reply->degraded, error);
    }
    return status == RUNG_OK ? rung_json_number(root, "wall_ms", 0, MAX_TIME_MS, &reply->wall_ms, error) : status;
}

rung_status rung_reply_parse(const char *body, size_t bytes, const rung_message_reader *reader, rung_reply *reply,
                             rung_error *error)
{
    json_t *json = NULL;
    rung_status status = rung_json_body(body, bytes, &json, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_reply parsed = {0};
    status = read_reply(&(rung_json_object){.json = json}, reader, &parsed, error);
    json_decref(json);
    if (status != RUNG_OK) {
        rung_reply_deinit(&parsed);
        return status;
    }
    rung_reply_deinit(reply);
    *reply = parsed;
    return RUNG_OK;
}
