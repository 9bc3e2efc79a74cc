/* tei.c: a level behind Text Embeddings Inference: POST /predict with one text or pair, answered by all labels with their scores; GET /info names the model.
 * See protocol.h. Source: the OpenAPI description of text-embeddings-inference 1.5. */
#include "model/json_field.h"
#include "net/json_body.h"
#include "net/protocol.h"

#include <string.h>

static void fill_paths(const rung_remote *remote, rung_protocol_paths *paths)
{
    (void)remote;
    *paths = (rung_protocol_paths){.ask = "/predict", .probe = "/health", .identity = "/info"};
}

/* A list of two strings is one pair. */
static void write_request(const rung_remote *remote, const rung_payload *payload, rung_buffer *body)
{
    (void)remote;
    bool pair = payload->pair.data != NULL;
    rung_buffer_text(body, pair ? "{\"inputs\":[" : "{\"inputs\":");
    rung_message_string(body, payload->text.data, payload->text.bytes);
    if (pair) {
        rung_buffer_text(body, ",");
        rung_message_string(body, payload->pair.data, payload->pair.bytes);
        rung_buffer_text(body, "]");
    }
    rung_buffer_text(body, ",\"truncate\":true}");
}

static rung_status parse(const char *body, size_t bytes, const rung_remote_reader *reader, double *probabilities,
                         rung_error *error)
{
    rung_error cause = {.code = RUNG_OK};
    json_t *root = rung_json_parse(body, bytes, "body", &cause);
    if (root == NULL) {
        return rung_fail(error, cause.code, "%s", cause.message);
    }
    rung_status status = rung_remote_read_scores(root, "body", reader, false, probabilities, error);
    json_decref(root);
    return status;
}

/* model_sha is null when the server was started on a directory. */
static rung_status read_info(const json_t *root, rung_model_identity *identity, rung_error *error)
{
    const rung_json_object info = {.json = root};
    const json_t *id;
    const json_t *sha = json_object_get(root, "model_sha");
    rung_status status = rung_json_get(&info, "model_id", JSON_STRING, &id, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_buffer text = {0};
    rung_buffer_text(&text, "{\"protocol\":\"tei\",\"model_id\":");
    rung_message_string(&text, json_string_value(id), json_string_length(id));
    rung_buffer_text(&text, ",\"model_sha\":");
    if (json_is_string(sha)) {
        rung_message_string(&text, json_string_value(sha), json_string_length(sha));
    } else {
        rung_buffer_text(&text, "null");
    }
    rung_buffer_text(&text, "}");
    return rung_model_identity_take(&text, identity, error);
}

const rung_protocol rung_protocol_tei = {
    .id = RUNG_PROTOCOL_TEI, .paths = fill_paths, .write = write_request, .parse = parse, .identify = read_info};
