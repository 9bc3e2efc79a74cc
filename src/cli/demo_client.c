/* demo_client.c: POST over libcurl, and the answer's JSON (docs/wire.md) as a rung_answer. See demo_client.h. */
#include "cli/demo_client.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "run/message.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_LIMIT_S 60L

struct demo_client {
    const rung_cascade *cascade;
    CURL *curl;
    struct curl_slist *headers;
    rung_buffer url, body, reply;
};

static size_t take_bytes(char *bytes, size_t size, size_t count, void *context)
{
    demo_client *client = context;
    rung_buffer_append(&client->reply, bytes, size * count);
    return client->reply.failed ? 0 : size * count;
}

rung_status demo_client_open(const char *url, const rung_cascade *cascade, demo_client **client, rung_error *error)
{
    demo_client *made = rung_alloc(1, sizeof *made, "client", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    made->cascade = cascade;
    made->curl = curl_easy_init();
    made->headers = curl_slist_append(NULL, "Content-Type: application/json");
    rung_buffer_format(&made->url, "%s/v1/classify", url);
    if (made->curl == NULL || made->headers == NULL || made->url.failed) {
        demo_client_close(made);
        return rung_fail(error, RUNG_NO_MEMORY, "client: out of memory");
    }
    curl_easy_setopt(made->curl, CURLOPT_URL, made->url.data);
    curl_easy_setopt(made->curl, CURLOPT_HTTPHEADER, made->headers);
    curl_easy_setopt(made->curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(made->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(made->curl, CURLOPT_TIMEOUT, ANSWER_LIMIT_S);
    curl_easy_setopt(made->curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(made->curl, CURLOPT_WRITEDATA, made);
    *client = made;
    return RUNG_OK;
}

void demo_client_close(demo_client *client)
{
    if (client == NULL) {
        return;
    }
    curl_easy_cleanup(client->curl);
    curl_slist_free_all(client->headers);
    rung_buffer_deinit(&client->url);
    rung_buffer_deinit(&client->body);
    rung_buffer_deinit(&client->reply);
    free(client);
}

static rung_status write_body(demo_client *client, const char *policy, const rung_input *input, rung_error *error)
{
    rung_buffer *body = &client->body;
    rung_buffer_clear(body);
    rung_buffer_text(body, "{\"id\":");
    rung_message_string(body, input->id, strlen(input->id));
    if (policy != NULL) {
        rung_buffer_text(body, ",\"policy\":");
        rung_message_string(body, policy, strlen(policy));
    }
    rung_buffer_text(body, ",\"text\":");
    rung_message_string(body, input->text, input->text_bytes);
    if (input->text_pair != NULL) {
        rung_buffer_text(body, ",\"text_pair\":");
        rung_message_string(body, input->text_pair, input->text_pair_bytes);
    }
    rung_buffer_text(body, "}");
    return rung_buffer_check(body, "request", error);
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static size_t count_of(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (size_t)value : 0;
}

static void read_level(const json_t *json, const rung_cascade *cascade, double *probabilities, rung_level_answer *level)
{
    const json_t *list = json_object_get(json, "probabilities");
    *level = (rung_level_answer){.level = (uint32_t)count_of(json, "level"),
                                 .exit_layer = (uint32_t)count_of(json, "exit_layer"),
                                 .layers = (uint32_t)count_of(json, "layers"),
                                 .confidence = number_of(json, "confidence"),
                                 .weight = number_of(json, "weight"),
                                 .tokens = count_of(json, "tokens"),
                                 .truncated_tokens = count_of(json, "truncated_tokens"),
                                 .words = count_of(json, "words"),
                                 .kept_words = count_of(json, "kept_words"),
                                 .bytes_up = count_of(json, "bytes_up"),
                                 .bytes_down = count_of(json, "bytes_down"),
                                 .compute_ms = number_of(json, "compute_ms"),
                                 .queue_ms = number_of(json, "queue_ms"),
                                 .link_ms = number_of(json, "link_ms")};
    if (level->level >= 1 && level->level <= cascade->num_levels) {
        level->name = cascade->level[level->level - 1].name;
    }
    for (uint32_t c = 0; list != NULL && c < cascade->num_classes; c++) {
        probabilities[c] = json_number_value(json_array_get(list, c));
        level->probabilities = probabilities;
    }
}

/* One block: levels, then probabilities of the answer and of each level. */
static rung_status read_answer(const demo_client *client, const json_t *json, rung_answer *answer, void **block,
                               rung_error *error)
{
    const rung_cascade *cascade = client->cascade;
    const json_t *levels = json_object_get(json, "levels");
    size_t num_levels = json_array_size(levels);
    const char *label = json_string_value(json_object_get(json, "label"));
    uint32_t index = 0;
    if (label == NULL || num_levels == 0 || num_levels > RUNG_MAX_LEVELS) {
        return rung_fail(error, RUNG_FORMAT, "%s: this is no answer: %.200s", client->url.data, client->reply.data);
    }
    rung_status status = rung_cascade_find_label(cascade, label, 0, &index, error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t classes = cascade->num_classes;
    size_t bytes = num_levels * sizeof(rung_level_answer) + (num_levels + 1) * classes * sizeof(double);
    rung_level_answer *made = rung_alloc(bytes, 1, "answer", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    double *probabilities = (double *)(made + num_levels);
    for (size_t l = 0; l < num_levels; l++) {
        read_level(json_array_get(levels, l), cascade, probabilities + (l + 1) * classes, &made[l]);
        if (made[l].name == NULL) {
            status = rung_fail(error, RUNG_FORMAT, "%s: the answer names level %u", client->url.data, made[l].level);
            free(made);
            return status;
        }
    }
    for (uint32_t c = 0; c < classes; c++) {
        probabilities[c] = number_of(json_object_get(json, "probabilities"), cascade->labels[c]);
    }
    *answer = (rung_answer){.label = cascade->labels[index],
                            .label_index = index,
                            .score = number_of(json, "score"),
                            .probabilities = probabilities,
                            .level = (uint32_t)count_of(json, "level"),
                            .degraded = json_is_true(json_object_get(json, "degraded")),
                            .latency_ms = number_of(json, "latency_ms"),
                            .num_levels = num_levels,
                            .levels = made};
    *block = made;
    return RUNG_OK;
}

rung_status demo_client_ask(demo_client *client, const char *policy, const rung_input *input, rung_answer *answer,
                            double *wall_ms, void **block, rung_error *error)
{
    rung_status status = write_body(client, policy, input, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_buffer_clear(&client->reply);
    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, client->body.data);
    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)client->body.length);
    double started_s = rung_clock_s();
    CURLcode code = curl_easy_perform(client->curl);
    *wall_ms = (rung_clock_s() - started_s) * 1e3;
    if (code != CURLE_OK) {
        return rung_fail(error, RUNG_IO, "%s: %s", client->url.data, curl_easy_strerror(code));
    }
    status = rung_buffer_check(&client->reply, "answer", error);
    if (status != RUNG_OK) {
        return status;
    }
    long http_status = 0;
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &http_status);
    json_t *json = json_loadb(client->reply.data, client->reply.length, 0, NULL);
    if (http_status != 200 || json == NULL) {
        const char *said = json_string_value(json_object_get(json, "error"));
        status = rung_fail(error, RUNG_INVALID, "%s: HTTP status %ld: %.300s", client->url.data, http_status,
                           said != NULL ? said : "no JSON");
    } else {
        status = read_answer(client, json, answer, block, error);
    }
    json_decref(json);
    return status;
}
