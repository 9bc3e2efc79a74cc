/* open_inference.c: a level behind a server of the Open Inference Protocol V2 (KServe, Triton, MLServer): POST /v2/models/M/infer with one BYTES input of
 * one element, two for a pair, as JSON tensors; GET /v2/models/M names the model. Two forms of reply are read: an output `probabilities` of floats, one a
 * class, or an output `output` whose one BYTES element is a JSON text of labels and scores, as MLServer's Hugging Face runtime writes. See protocol.h.
 * Source: the Open Inference Protocol, version 2, REST. */
#include "base/memory.h"
#include "config/suggest.h"
#include "model/json_field.h"
#include "net/json_body.h"
#include "net/protocol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_OUTPUTS 64

static void fill_paths(const rung_remote *remote, rung_protocol_paths *paths)
{
    *paths = (rung_protocol_paths){.probe = "/v2/health/ready"};
    snprintf(paths->ask, sizeof paths->ask, "/v2/models/%s/infer", remote->model);
    snprintf(paths->identity, sizeof paths->identity, "/v2/models/%s", remote->model);
}

/* content_type is how MLServer knows that the bytes are text; others pass it over. */
static void write_input(rung_buffer *body, const char *name, const char *suffix, rung_text text)
{
    rung_buffer label = {0};
    rung_buffer_text(&label, name);
    rung_buffer_text(&label, suffix);
    rung_buffer_text(body, "{\"name\":");
    rung_message_string(body, label.failed ? "" : label.data, label.length);
    rung_buffer_text(body,
                     ",\"shape\":[1],\"datatype\":\"BYTES\",\"parameters\":{\"content_type\":\"str\"},\"data\":[");
    rung_message_string(body, text.data, text.bytes);
    rung_buffer_text(body, "]}");
    body->failed = body->failed || label.failed;
    rung_buffer_deinit(&label);
}

static void write_request(const rung_remote *remote, const rung_payload *payload, rung_buffer *body)
{
    rung_buffer_text(body, "{\"inputs\":[");
    write_input(body, remote->input, "", payload->text);
    if (payload->pair.data != NULL) {
        rung_buffer_text(body, ",");
        write_input(body, remote->input, "_pair", payload->pair);
    }
    rung_buffer_text(body, "]}");
}

/* What a message calls a datatype; "" for one that is no string. */
static const char *datatype_of(const json_t *output)
{
    const char *datatype = json_string_value(json_object_get(output, "datatype"));
    return datatype != NULL ? datatype : "";
}

/* The elements of a tensor for one text: [..] or [[..]]. */
static rung_status get_data(const json_t *output, const char *name, const json_t **data, rung_error *error)
{
    const json_t *found = json_object_get(output, "data");
    if (json_is_array(found) && json_array_size(found) == 1 && json_is_array(json_array_get(found, 0))) {
        found = json_array_get(found, 0);
    }
    if (!json_is_array(found)) {
        return rung_fail(error, RUNG_FORMAT, "outputs: %s has no list as data; binary tensors are not read", name);
    }
    *data = found;
    return RUNG_OK;
}

/* [1, K] or [K]. */
static bool is_row(const json_t *shape, size_t count)
{
    size_t dims = json_array_size(shape);
    return json_is_array(shape) && dims >= 1 && dims <= 2 &&
           json_integer_value(json_array_get(shape, dims - 1)) == (json_int_t)count &&
           (dims == 1 || json_integer_value(json_array_get(shape, 0)) == 1);
}

/* The class of a column. columns are a permutation of the labels. */
static uint32_t class_of(const rung_remote_reader *reader, uint32_t column)
{
    uint32_t class = column;
    for (uint32_t c = 0; reader->columns != NULL && c < reader->num_classes; c++) {
        class = strcmp(reader->labels[c], reader->columns[column]) == 0 ? c : class;
    }
    return class;
}

static rung_status read_probabilities(const json_t *output, const rung_remote_reader *reader, double *probabilities,
                                      rung_error *error)
{
    static const char path[] = "outputs: probabilities";
    const json_t *data;
    char shown[RUNG_QUOTED_BYTES];
    const char *datatype = datatype_of(output);
    if (strcmp(datatype, "FP32") != 0 && strcmp(datatype, "FP64") != 0) {
        return rung_fail(error, RUNG_FORMAT, "%s has datatype \"%s\"; FP32 and FP64 are read", path,
                         rung_shorten(datatype, strlen(datatype), shown));
    }
    rung_status status = get_data(output, "probabilities", &data, error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t count = json_array_size(data);
    if (count != reader->num_classes || !is_row(json_object_get(output, "shape"), count)) {
        return rung_fail(error, RUNG_INVALID, "%s has %zu numbers; they must be %u of shape [1, %u]", path, count,
                         reader->num_classes, reader->num_classes);
    }
    double *made = rung_alloc(count, sizeof *made, "probabilities", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (uint32_t c = 0; status == RUNG_OK && c < reader->num_classes; c++) {
        const json_t *number = json_array_get(data, c);
        made[class_of(reader, c)] = json_number_value(number);
        if (!json_is_number(number)) {
            status = rung_fail(error, RUNG_FORMAT, "%s[%u] is %s; it must be a number", path, c,
                               rung_json_type_name(number));
        }
    }
    if (status == RUNG_OK) {
        status = rung_remote_check_probabilities(made, reader->num_classes, path, error);
    }
    if (status == RUNG_OK) {
        memcpy(probabilities, made, count * sizeof *made);
    }
    free(made);
    return status;
}

/* The JSON text in the one element: {"label", "score"}, which is a list of one, or a list of them. */
static rung_status read_text(const json_t *text, const rung_remote_reader *reader, double *probabilities,
                             rung_error *error)
{
    rung_error cause = {.code = RUNG_OK};
    json_t *json = rung_json_parse(json_string_value(text), json_string_length(text), "outputs: output", &cause);
    if (json == NULL) {
        return rung_fail(error, cause.code, "%s", cause.message);
    }
    json_t *list = json_is_object(json) ? json_array() : json_incref(json);
    rung_status status = RUNG_OK;
    if (json_is_object(json) && (list == NULL || json_array_append(list, json) != 0)) {
        status = rung_fail_memory(error, "reply", 0);
    }
    if (status == RUNG_OK) {
        status = rung_remote_read_scores(list, "outputs: output", reader, true, probabilities, error);
    }
    json_decref(list);
    json_decref(json);
    return status;
}

static rung_status read_output(const json_t *output, const rung_remote_reader *reader, double *probabilities,
                               rung_error *error)
{
    const json_t *data;
    rung_status status = get_data(output, "output", &data, error);
    if (status != RUNG_OK) {
        return status;
    }
    if (strcmp(datatype_of(output), "BYTES") != 0 || json_array_size(data) != 1 ||
        !json_is_string(json_array_get(data, 0))) {
        return rung_fail(error, RUNG_FORMAT,
                         "outputs: output must be one BYTES element: a JSON text of label and score");
    }
    return read_text(json_array_get(data, 0), reader, probabilities, error);
}

static rung_status read_reply(const json_t *root, const rung_remote_reader *reader, double *probabilities,
                              rung_error *error)
{
    const json_t *outputs;
    const json_t *probable = NULL;
    const json_t *textual = NULL;
    rung_status status = rung_json_get(&(rung_json_object){.json = root}, "outputs", JSON_ARRAY, &outputs, error);
    if (status == RUNG_OK && json_array_size(outputs) > MOST_OUTPUTS) {
        return rung_fail(error, RUNG_LIMIT, "outputs has %zu entries; the limit is %d", json_array_size(outputs),
                         MOST_OUTPUTS);
    }
    for (size_t i = 0; status == RUNG_OK && i < json_array_size(outputs); i++) {
        rung_json_object output;
        const json_t *name;
        status = rung_json_element(outputs, "outputs", i, &output, error);
        if (status == RUNG_OK) {
            status = rung_json_get(&output, "name", JSON_STRING, &name, error);
        }
        if (status == RUNG_OK && strcmp(json_string_value(name), "probabilities") == 0) {
            probable = output.json;
        } else if (status == RUNG_OK && strcmp(json_string_value(name), "output") == 0) {
            textual = output.json;
        }
    }
    if (status != RUNG_OK) {
        return status;
    }
    if (probable != NULL) {
        return read_probabilities(probable, reader, probabilities, error);
    }
    return textual != NULL ? read_output(textual, reader, probabilities, error)
                           : rung_fail(error, RUNG_FORMAT, "outputs has neither probabilities nor output");
}

static rung_status parse(const char *body, size_t bytes, const rung_remote_reader *reader, double *probabilities,
                         rung_error *error)
{
    json_t *root = NULL;
    rung_status status = rung_json_body(body, bytes, &root, error);
    if (status == RUNG_OK) {
        status = read_reply(root, reader, probabilities, error);
        json_decref(root);
    }
    return status;
}

/* name, versions and platform; a server that does not tell the last two has none. */
static rung_status read_metadata(const json_t *root, rung_model_identity *identity, rung_error *error)
{
    const json_t *name;
    const json_t *versions = json_object_get(root, "versions");
    const json_t *platform = json_object_get(root, "platform");
    rung_status status = rung_json_get(&(rung_json_object){.json = root}, "name", JSON_STRING, &name, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_buffer text = {0};
    rung_buffer_text(&text, "{\"protocol\":\"v2\",\"name\":");
    rung_message_string(&text, json_string_value(name), json_string_length(name));
    rung_buffer_text(&text, ",\"versions\":[");
    for (size_t i = 0; i < json_array_size(versions) && text.length <= RUNG_MAX_IDENTITY_BYTES; i++) {
        const json_t *version = json_array_get(versions, i);
        rung_buffer_text(&text, i == 0 ? "" : ",");
        rung_message_string(&text, json_is_string(version) ? json_string_value(version) : "",
                            json_string_length(version));
    }
    rung_buffer_text(&text, "],\"platform\":");
    rung_message_string(&text, json_is_string(platform) ? json_string_value(platform) : "",
                        json_string_length(platform));
    rung_buffer_text(&text, "}");
    return rung_model_identity_take(&text, identity, error);
}

const rung_protocol rung_protocol_v2 = {
    .id = RUNG_PROTOCOL_V2, .paths = fill_paths, .write = write_request, .parse = parse, .identify = read_metadata};
