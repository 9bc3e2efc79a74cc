/* test_tei_body.c: the body of POST /predict: a text, a pair, a batch, options, and what is refused with which status and which words. */
#include "net/tei_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAX_INPUTS 3

static rung_tei_form form;

static rung_classify_body parse(const char *json)
{
    rung_classify_body body = {0};
    rung_error error = {0};
    form = (rung_tei_form){.top_k = 99};
    if (rung_tei_body_parse(json, strlen(json), MAX_INPUTS, false, &body, &form, &error) != RUNG_OK) {
        fail_msg("%s: %s", json, error.message);
    }
    return body;
}

static void one_text(void **state)
{
    (void)state;
    static const char of_nulls[] = "{\"inputs\":\"a\",\"truncate\":null,\"truncation_direction\":\"Right\","
                                   "\"raw_scores\":null,\"parameters\":null,\"other\":[1]}";
    static const char *const same[] = {"{\"inputs\":\"a\"}", "{\"inputs\":[\"a\"]}", of_nulls};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        rung_classify_body body = parse(same[i]);
        assert_true(!body.from_level && !body.is_list && body.truncate);
        assert_int_equal(body.num_inputs, 1);
        assert_string_equal(body.inputs[0].text, "a");
        assert_string_equal(body.inputs[0].id, "0");
        assert_null(body.inputs[0].text_pair);
        assert_true(!form.nested && !form.raw_scores && form.top_k == 0);
        rung_classify_body_deinit(&body);
    }
}

static void pairs_and_batches(void **state)
{
    (void)state;
    rung_classify_body body = parse("{\"inputs\":[\"a\",\"b\"],\"truncate\":false,\"raw_scores\":true}");
    assert_true(!body.is_list && !body.truncate && form.raw_scores);
    assert_int_equal(body.num_inputs, 1);
    assert_string_equal(body.inputs[0].text, "a");
    assert_string_equal(body.inputs[0].text_pair, "b");
    rung_classify_body_deinit(&body);

    body = parse("{\"inputs\":[[\"a\"],[\"b\",\"c\"]],\"truncate\":true}");
    assert_true(body.is_list && body.truncate);
    assert_int_equal(body.num_inputs, 2);
    assert_null(body.inputs[0].text_pair);
    assert_string_equal(body.inputs[1].text, "b");
    assert_string_equal(body.inputs[1].text_pair, "c");
    assert_string_equal(body.inputs[1].id, "1");
    rung_classify_body_deinit(&body);
}

static void parameters(void **state)
{
    (void)state;
    rung_classify_body body = parse("{\"inputs\":\"a\",\"parameters\":{}}");
    assert_true(form.nested && !form.raw_scores && form.top_k == 0);
    rung_classify_body_deinit(&body);
    body = parse("{\"inputs\":\"a\",\"parameters\":{\"function_to_apply\":\"none\",\"top_k\":2,\"x\":1}}");
    assert_true(form.nested && form.raw_scores && form.top_k == 2);
    rung_classify_body_deinit(&body);
    body = parse("{\"inputs\":\"a\",\"parameters\":{\"function_to_apply\":\"softmax\",\"top_k\":null}}");
    assert_true(!form.raw_scores);
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
        {"{}", RUNG_INVALID, "inputs is missing"},
        {"{\"inputs\":7}", RUNG_INVALID, "inputs must be a string or a list, not an integer"},
        {"{\"inputs\":\"\"}", RUNG_NOT_FOUND, "inputs is empty"},
        {"{\"inputs\":\" \\n\"}", RUNG_NOT_FOUND, "inputs is empty (white space only)"},
        {"{\"inputs\":[]}", RUNG_NOT_FOUND, "inputs is empty"},
        {"{\"inputs\":[\"a\",\"\"]}", RUNG_NOT_FOUND, "inputs[1] is empty"},
        {"{\"inputs\":[\"a\",7]}", RUNG_INVALID, "inputs[1] must be a string, not an integer"},
        {"{\"inputs\":[\"a\",[\"b\"]]}", RUNG_INVALID, "inputs[1] must be a string, not an array"},
        {"{\"inputs\":[\"a\",\"b\",\"c\"]}", RUNG_INVALID, "inputs holds 3 texts"},
        {"{\"inputs\":[[]]}", RUNG_NOT_FOUND, "inputs[0] is empty"},
        {"{\"inputs\":[[\"a\"],\"b\"]}", RUNG_INVALID, "inputs[1] must be a list"},
        {"{\"inputs\":[[\"a\"],[\"b\",null]]}", RUNG_INVALID, "inputs[1][1] must be a string, not null"},
        {"{\"inputs\":[[\"a\"],[\"b\",\" \"]]}", RUNG_NOT_FOUND, "inputs[1][1] is empty"},
        {"{\"inputs\":[[\"a\"],[\"b\",\"c\",\"d\"]]}", RUNG_INVALID, "inputs[1] holds 3 texts"},
        {"{\"inputs\":[[\"a\"],[\"b\"],[\"c\"],[\"d\"]]}", RUNG_LIMIT,
         "batch size 4 is above the limit of this node, 3"},
        {"{\"inputs\":\"a\",\"truncate\":1}", RUNG_INVALID, "truncate must be true, false or null, not an integer"},
        {"{\"inputs\":\"a\",\"raw_scores\":\"no\"}", RUNG_INVALID, "raw_scores must be"},
        {"{\"inputs\":\"a\",\"truncation_direction\":\"left\"}", RUNG_UNSUPPORTED, "truncation_direction is left"},
        {"{\"inputs\":\"a\",\"truncation_direction\":\"up\"}", RUNG_INVALID, "truncation_direction must be"},
        {"{\"inputs\":\"a\",\"truncation_direction\":1}", RUNG_INVALID, "not an integer"},
        {"{\"inputs\":\"a\",\"parameters\":[]}", RUNG_INVALID, "parameters must be an object, not an array"},
        {"{\"inputs\":\"a\",\"parameters\":{\"top_k\":0}}", RUNG_INVALID, "parameters.top_k"},
        {"{\"inputs\":\"a\",\"parameters\":{\"top_k\":\"2\"}}", RUNG_INVALID, "parameters.top_k"},
        {"{\"inputs\":\"a\",\"parameters\":{\"function_to_apply\":\"sigmoid\"}}", RUNG_INVALID, "softmax and none"},
        {"{\"inputs\":\"a\",\"parameters\":{\"function_to_apply\":3}}", RUNG_INVALID,
         "function_to_apply is an integer"},
    };
    rung_classify_body body = {.policy = "before"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rung_error error = {0};
        form = (rung_tei_form){.top_k = 99};
        rung_status status =
            rung_tei_body_parse(cases[i].json, strlen(cases[i].json), MAX_INPUTS, false, &body, &form, &error);
        if (status != cases[i].status || strstr(error.message, cases[i].part) == NULL) {
            fail_msg("%s: %s %s", cases[i].json, rung_status_name(status), error.message);
        }
        assert_string_equal(body.policy, "before");
        assert_int_equal(form.top_k, 99);
    }
}

static void several_labels_have_their_own_function(void **state)
{
    (void)state;
    static const char good[] = "{\"inputs\":\"a\",\"parameters\":{\"function_to_apply\":\"sigmoid\"}}";
    static const char bad[] = "{\"inputs\":\"a\",\"parameters\":{\"function_to_apply\":\"softmax\"}}";
    rung_classify_body body = {0};
    rung_error error;
    assert_int_equal(rung_tei_body_parse(bad, sizeof bad - 1, 1, true, &body, &form, &error), RUNG_INVALID);
    assert_int_equal(rung_tei_body_parse(good, sizeof good - 1, 1, true, &body, &form, &error), RUNG_OK);
    rung_classify_body_deinit(&body);
}

static void raw_scores(void **state)
{
    (void)state;
    assert_true(rung_tei_raw_score(1, false) == 0);
    assert_true(rung_tei_raw_score(0.5, false) < -0.69 && rung_tei_raw_score(0.5, false) > -0.70);
    assert_true(rung_tei_raw_score(0.5, true) == 0);
    assert_true(rung_tei_raw_score(0, false) > -104 && rung_tei_raw_score(0, false) < -103);
    assert_true(rung_tei_raw_score(1, true) == -rung_tei_raw_score(0, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_text),   cmocka_unit_test(pairs_and_batches),
        cmocka_unit_test(parameters), cmocka_unit_test(what_is_refused),
        cmocka_unit_test(raw_scores), cmocka_unit_test(several_labels_have_their_own_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
