/* api_scene.h: calls of a served node with all of the answer: status, headers, and a body that may hold any bytes. For the tests of APIs. */
#ifndef RUNG_TESTS_API_SCENE_H
#define RUNG_TESTS_API_SCENE_H

#include "served_node.h"

#include <jansson.h>

typedef struct heard {
    int status;
    char *head; /* into text */
    const char *body;
    size_t body_bytes;
    char text[262144];
} heard;

/* Sends; headers: each with its line end. */
static inline void say_call(int fd, const char *method, const char *path, const char *headers, const void *body,
                            size_t bytes)
{
    char head[8192];
    int length = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n", method, path,
                          headers, bytes);
    assert_true(length > 0 && (size_t)length < sizeof head);
    assert_int_equal(send(fd, head, (size_t)length, MSG_NOSIGNAL), length);
    for (size_t sent = 0; sent < bytes;) {
        ssize_t more = send(fd, (const char *)body + sent, bytes - sent, MSG_NOSIGNAL);
        if (more < 0) {
            break; /* refused already */
        }
        sent += (size_t)more;
    }
}

static inline void hear_answer(int fd, bool head_only, heard *answer)
{
    size_t have = 0;
    for (;;) {
        ssize_t got = recv(fd, answer->text + have, sizeof answer->text - 1 - have, 0);
        assert_true(got > 0);
        have += (size_t)got;
        answer->text[have] = '\0';
        char *end = strstr(answer->text, "\r\n\r\n");
        const char *length = strcasestr(answer->text, "\r\ncontent-length:");
        if (end == NULL || length == NULL) {
            continue;
        }
        answer->head = answer->text;
        answer->body = end + 4;
        answer->body_bytes = strtoul(length + 17, NULL, 10);
        if (head_only || have >= (size_t)(answer->body - answer->text) + answer->body_bytes) {
            answer->status = (int)strtol(answer->text + 9, NULL, 10);
            end[2] = '\0';
            return;
        }
    }
}

static inline void call_bytes(const served *node, const char *method, const char *path, const char *headers,
                              const void *body, size_t bytes, heard *answer)
{
    int fd = connect_to(node);
    say_call(fd, method, path, headers, body, bytes);
    hear_answer(fd, strcmp(method, "HEAD") == 0, answer);
    close(fd);
}

static inline void call(const served *node, const char *method, const char *path, const char *headers, const char *body,
                        heard *answer)
{
    call_bytes(node, method, path, headers, body, strlen(body), answer);
}

/* The header's value in a static buffer; NULL: it is not there. */
static inline const char *header_of(const heard *answer, const char *name)
{
    static char value[1024];
    char wanted[128];
    snprintf(wanted, sizeof wanted, "\r\n%s: ", name);
    const char *at = strcasestr(answer->head, wanted);
    if (at == NULL) {
        return NULL;
    }
    at += strlen(wanted);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

static inline void expect_status(const heard *answer, int status, const char *what)
{
    if (answer->status != status) {
        fail_msg("%s: %d instead of %d: %s", what, answer->status, status, answer->body);
    }
}

/* A call that is refused with this status and a body in which this text stands. */
static inline void expect_refusal(const served *node, const char *method, const char *path, const char *headers,
                                  const char *body, int status, const char *part)
{
    static heard answer;
    call(node, method, path, headers, body, &answer);
    expect_status(&answer, status, body);
    if (strstr(answer.body, part) == NULL) {
        fail_msg("%s: %s without %s", body, answer.body, part);
    }
    assert_non_null(header_of(&answer, "x-request-id"));
}

/* The answer's JSON; release with json_decref. */
static inline json_t *call_json(const served *node, const char *method, const char *path, const char *headers,
                                const char *body)
{
    static heard answer;
    call(node, method, path, headers, body, &answer);
    expect_status(&answer, 200, body);
    assert_string_equal(header_of(&answer, "Content-Type"), "application/json");
    json_error_t problem;
    json_t *json = json_loadb(answer.body, answer.body_bytes, 0, &problem);
    if (json == NULL) {
        fail_msg("%s: %s", problem.text, answer.body);
    }
    return json;
}

#define SEVERAL_LABELS_MODEL "tests/golden/tiny-sharded" /* any of four labels at once */

/* A node with these options, {key, value, ..., NULL}. */
static inline void start_with(served *self, const char *const *settings)
{
    rung_error error;
    rung_node_config config = {0};
    *self = (served){0};
    assert_int_equal(rung_options_new(&self->options, &error), RUNG_OK);
    set_option(self->options, "listen", "127.0.0.1:0");
    for (size_t i = 0; settings[i] != NULL; i += 2) {
        set_option(self->options, settings[i], settings[i + 1]);
    }
    const rung_node_options options = {
        .open = {.threads = 1}, .seed = 7, .reload = load, .log = count_line, .context = self};
    if (load(self, &config, &error) != RUNG_OK || rung_node_create(&config, &options, &self->node, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(pthread_create(&self->thread, NULL, run_node, self), 0);
}

/* What the own API says of this body of /v1/classify. */
static inline json_t *own_answer(const served *node, const char *body)
{
    return call_json(node, "POST", "/v1/classify", "", body);
}

static inline double number_at(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static inline const char *text_at(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    assert_non_null(value);
    return value;
}

#endif
