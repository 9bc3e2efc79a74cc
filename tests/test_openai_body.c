/* test_openai_body.c: the body of POST /v1/moderations and POST /classify: a text, lists, parts, and what is refused with which words. */
#include "net/openai_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAX_INPUTS 3

static rung_classify_body parse(const char *json)
{
    rung_classify_body body = {0};
    rung_error error = {0};
    if (rung_openai_body_parse(json, strlen(json), MAX_INPUTS, &body, &error) != RUNG_OK) {
        fail_msg("%s: %s", json, error.message);
    }
    return body;
}

static void texts(void **state)
{
    (void)state;
    rung_classify_body body = parse("{\"input\":\"a\",\"model\":\"m\",\"user\":7}");
    assert_true(!body.is_list && body.truncate && !body.from_level);
    assert_int_equal(body.num_inputs, 1);
    assert_string_equal(body.inputs[0].text, "a");
    rung_classify_body_deinit(&body);

    body = parse("{\"input\":[\"a\",\"b\"],\"model\":null}");
    assert_true(body.is_list);
    assert_int_equal(body.num_inputs, 2);
    assert_string_equal(body.inputs[1].text, "b");
    assert_string_equal(body.inputs[1].id, "1");
    rung_classify_body_deinit(&body);

    body = parse("{\"input\":[{\"type\":\"text\",\"text\":\"a\"},\"b\"]}");
    assert_int_equal(body.num_inputs, 2);
    assert_string_equal(body.inputs[0].text, "a");
    rung_classify_body_deinit(&body);
}

static void what_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        rung_status status;
        const char *part;
    } cases[] = {
        {"{", RUNG_FORMAT, "body"},
        {"[]", RUNG_FORMAT, "must be an object"},
        {"{}", RUNG_INVALID, "input is missing"},
        {"{\"input\":7}", RUNG_INVALID, "input must be a string or a list, not an integer"},
        {"{\"input\":\"\"}", RUNG_NOT_FOUND, "input is empty"},
        {"{\"input\":[]}", RUNG_NOT_FOUND, "input is empty"},
        {"{\"input\":[\"a\",\" \"]}", RUNG_NOT_FOUND, "input[1] is empty (white space only)"},
        {"{\"input\":[\"a\",null]}", RUNG_INVALID, "input[1] must be a string, not null"},
        {"{\"input\":[1,2]}", RUNG_UNSUPPORTED, "input[0] is an integer; this node takes texts, no token ids"},
        {"{\"input\":[[1,2]]}", RUNG_UNSUPPORTED, "no token ids"},
        {"{\"input\":[\"a\",\"b\",\"c\",\"d\"]}", RUNG_LIMIT, "input holds 4 texts; the limit of this node is 3"},
        {"{\"input\":[{}]}", RUNG_INVALID, "input[0].type must be \"text\""},
        {"{\"input\":[{\"type\":\"image_url\"}]}", RUNG_UNSUPPORTED, "input[0].type is 'image_url'"},
        {"{\"input\":[{\"type\":\"text\"}]}", RUNG_INVALID, "input[0].text is missing"},
        {"{\"input\":[{\"type\":\"text\",\"text\":1}]}", RUNG_INVALID,
         "input[0].text must be a string, not an integer"},
        {"{\"input\":[{\"type\":\"text\",\"text\":\"\"}]}", RUNG_NOT_FOUND, "input[0].text is empty"},
        {"{\"input\":\"a\",\"model\":1}", RUNG_INVALID, "model must be a string, not an integer"},
    };
    rung_classify_body body = {.policy = "before"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rung_error error = {0};
        rung_status status = rung_openai_body_parse(cases[i].json, strlen(cases[i].json), MAX_INPUTS, &body, &error);
        if (status != cases[i].status || strstr(error.message, cases[i].part) == NULL) {
            fail_msg("%s: %s %s", cases[i].json, rung_status_name(status), error.message);
        }
        assert_string_equal(body.policy, "before");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
