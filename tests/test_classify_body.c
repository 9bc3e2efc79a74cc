/* test_classify_body.c: the body of POST /v1/classify: one text, lists, a request from a level below, and what is refused with which status. */
#include "net/classify_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_INPUTS 4

static const rung_message_reader reader = {.level = 2, .num_levels = 3, .num_classes = 2, .max_tokens = 8};

static rung_classify_body parse(const char *json)
{
    rung_classify_body body = {0};
    rung_error error = {0};
    if (rung_classify_body_parse(json, strlen(json), &reader, MAX_INPUTS, &body, &error) != RUNG_OK) {
        fail_msg("%s: %s", json, error.message);
    }
    return body;
}

static void one_text(void **state)
{
    (void)state;
    rung_classify_body body = parse("{\"text\":\"a\\u0000b\"}");
    assert_true(!body.from_level && !body.is_list && body.truncate);
    assert_int_equal(body.num_inputs, 1);
    assert_int_equal(body.inputs[0].text_bytes, 3);
    assert_memory_equal(body.inputs[0].text, "a\0b", 4);
    assert_string_equal(body.inputs[0].id, "0");
    assert_null(body.inputs[0].text_pair);
    assert_string_equal(body.policy, "");
    rung_classify_body_deinit(&body);
    assert_null(body.inputs);

    body = parse("{\"text\":\"a\",\"text_pair\":\"b\",\"id\":17,\"policy\":\"tabi\",\"truncate\":false}");
    assert_string_equal(body.inputs[0].id, "17");
    assert_string_equal(body.inputs[0].text_pair, "b");
    assert_string_equal(body.policy, "tabi");
    assert_false(body.truncate);
    rung_classify_body_deinit(&body);
}

static void a_list(void **state)
{
    (void)state;
    rung_classify_body body = parse(
        "{\"inputs\":[\"a\\r\",{\"text\":\"b\",\"id\":\"x\"},{\"text\":\"c\",\"text_pair\":\"d\"}],\"truncate\":true}");
    assert_true(body.is_list && body.truncate);
    assert_int_equal(body.num_inputs, 3);
    assert_string_equal(body.inputs[0].text, "a\r"); /* a text in JSON is taken as it is */
    assert_string_equal(body.inputs[0].id, "0");
    assert_string_equal(body.inputs[1].id, "x");
    assert_string_equal(body.inputs[2].id, "2");
    assert_string_equal(body.inputs[2].text_pair, "d");
    rung_classify_body_deinit(&body);
    body = parse("{\"inputs\":[\"a\"],\"policy\":\"single\"}");
    assert_true(body.is_list && body.num_inputs == 1);
    assert_string_equal(body.policy, "single");
    rung_classify_body_deinit(&body);
}

static void a_request_from_below(void **state)
{
    (void)state;
    rung_classify_body body = parse("{\"key\":\"0123456789abcdef\",\"text\":\"kept\",\"prior\":[]}");
    assert_true(body.from_level);
    assert_int_equal(body.num_inputs, 0);
    assert_string_equal(body.message.text, "kept");
    rung_classify_body_deinit(&body);
    assert_null(body.message.text);
}

typedef struct bad_body {
    const char *body;
    rung_status status;
    const char *message; /* begins so */
} bad_body;

static const bad_body bad_bodies[] = {
    {"", RUNG_FORMAT, "body: not valid JSON"},
    {"{\"text\":", RUNG_FORMAT, "body: not valid JSON"},
    {"\"text\"", RUNG_FORMAT, "body: not valid JSON"},
    {"[\"text\"]", RUNG_FORMAT, "body: an array; it must be an object"},
    {"{\"text\":\"a\",\"text\":\"a\"}", RUNG_FORMAT, "body: not valid JSON"},
    {"{\"text\":\"\\udc00\"}", RUNG_FORMAT, "body: not valid JSON"},
    {"{\"text\":\"\xc3\"}", RUNG_FORMAT, "body: not valid JSON"},
    {"{\"text\\u0000\":\"a\"}", RUNG_FORMAT, "body: not valid JSON"},
    {"{}", RUNG_INVALID, "field 'text' is missing"},
    {"{\"text\":7}", RUNG_INVALID, "field 'text' must be a string, not an integer"},
    {"{\"text\":\" \\n\"}", RUNG_INVALID, "text is empty (white space only)"},
    {"{\"text\":\"a\",\"id\":[]}", RUNG_INVALID, "field 'id' must be a string, not a list"},
    {"{\"text\":\"a\",\"label\":\"pos\"}", RUNG_INVALID, "unknown field 'label'"},
    {"{\"txet\":\"a\"}", RUNG_INVALID, "unknown field 'txet'; did you mean 'text'?"},
    {"{\"text\":\"a\",\"prior\":[]}", RUNG_INVALID,
     "unknown field 'prior'; known are text, text_pair, id, policy and truncate"},
    {"{\"text\":\"a\",\"target\":0.9}", RUNG_UNSUPPORTED, "field 'target' needs a plan"},
    {"{\"inputs\":[\"a\"],\"target\":0.9}", RUNG_UNSUPPORTED, "field 'target' needs a plan"},
    {"{\"inputs\":[{\"text\":\"a\",\"target\":0.9}]}", RUNG_UNSUPPORTED, "field 'inputs[0].target' needs a plan"},
    {"{\"text\":\"a\",\"truncate\":1}", RUNG_INVALID, "field 'truncate' must be true or false, not an integer"},
    {"{\"text\":\"a\",\"policy\":1}", RUNG_INVALID, "field 'policy' must be a string, not an integer"},
    {"{\"text\":\"a\",\"policy\":\"\"}", RUNG_INVALID, "field 'policy' is no name of 1 to 31 characters"},
    {"{\"text\":\"a\",\"policy\":\"a\\u0000\"}", RUNG_INVALID, "field 'policy' is no name"},
    {"{\"inputs\":\"a\"}", RUNG_INVALID, "field 'inputs' must be a list, not a string"},
    {"{\"inputs\":[]}", RUNG_INVALID, "field 'inputs' is empty; it must hold at least one text"},
    {"{\"inputs\":[\"1\",\"2\",\"3\",\"4\",\"5\"]}", RUNG_LIMIT,
     "field 'inputs' holds 5 texts; the limit of this node is 4"},
    {"{\"inputs\":[\"a\"],\"text\":\"b\"}", RUNG_INVALID, "field 'text' stands beside 'inputs'"},
    {"{\"inputs\":[\"a\"],\"id\":\"b\"}", RUNG_INVALID, "field 'id' stands beside 'inputs'"},
    {"{\"inputs\":[\"a\"],\"input\":1}", RUNG_INVALID, "unknown field 'input'; did you mean 'inputs'?"},
    {"{\"inputs\":[\"a\",\"\"]}", RUNG_INVALID, "inputs[1] is empty"},
    {"{\"inputs\":[\"a\",7]}", RUNG_INVALID, "inputs[1] must be an object {\"text\": ...} or a string, not an integer"},
    {"{\"inputs\":[\"a\",{}]}", RUNG_INVALID, "field 'inputs[1].text' is missing"},
    {"{\"inputs\":[\"a\",{\"text\":null}]}", RUNG_INVALID, "field 'inputs[1].text' must be a string, not null"},
    {"{\"inputs\":[\"a\",{\"text\":\"b\",\"text_pair\":\"\"}]}", RUNG_INVALID, "inputs[1].text_pair is empty"},
    {"{\"inputs\":[{\"text\":\"b\",\"txt\":\"\"}]}", RUNG_INVALID, "unknown field 'inputs[0].txt'; did you mean"},
    {"{\"inputs\":[{\"text\":\"b\",\"id\":\"\"}]}", RUNG_INVALID, "field 'inputs[0].id' has 0 bytes"},
    {"{\"key\":\"0123456789abcdef\",\"text\":\"kept\"}", RUNG_FORMAT, "prior is missing"},
};

static void check_refused(const char *json, size_t bytes, rung_status expected, const char *message)
{
    rung_classify_body body = {.num_inputs = 0, .truncate = true};
    rung_error error = {0};
    rung_status status = rung_classify_body_parse(json, bytes, &reader, MAX_INPUTS, &body, &error);
    if (status != expected || strncmp(error.message, message, strlen(message)) != 0) {
        fail_msg("%.80s: %s: %s", json, rung_status_name(status), error.message);
    }
    assert_true(body.truncate && body.inputs == NULL); /* untouched */
}

static void bad_bodies_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_bodies / sizeof bad_bodies[0]; i++) {
        check_refused(bad_bodies[i].body, strlen(bad_bodies[i].body), bad_bodies[i].status, bad_bodies[i].message);
    }
}

static void depth_and_keys_are_limited(void **state)
{
    (void)state;
    size_t size = 2000000;
    char *json = malloc(size);
    assert_non_null(json);
    size_t length = (size_t)snprintf(json, size, "{\"inputs\":");
    memset(json + length, '[', 1000000);
    check_refused(json, length + 1000000, RUNG_FORMAT, "body: not valid JSON");
    length = (size_t)snprintf(json, size, "{\"text\":\"a\"");
    for (size_t i = 0; i < 100000; i++) {
        length += (size_t)snprintf(json + length, size - length, ",\"k%zu\":0", i);
    }
    length += (size_t)snprintf(json + length, size - length, "}");
    check_refused(json, length, RUNG_INVALID, "unknown field 'k0'");
    free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_text),
        cmocka_unit_test(a_list),
        cmocka_unit_test(a_request_from_below),
        cmocka_unit_test(bad_bodies_are_refused),
        cmocka_unit_test(depth_and_keys_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
