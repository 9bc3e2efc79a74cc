/* test_api_tei.c: a node asked as Text Embeddings Inference is: shapes of answers, headers, errors and what it says of itself. */
#include "api_node.h"

static json_t *predict(const char *body)
{
    return call_json(&node, "POST", "/predict", "", body);
}

/* A list of all labels with the probabilities of the own API's answer, falling. */
static void check_scores(const json_t *list, const json_t *own)
{
    const json_t *probabilities = json_object_get(own, "probabilities");
    double last = 2;
    assert_int_equal(json_array_size(list), json_object_size(probabilities));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        double score = number_at(item, "score");
        assert_true(score <= last);
        last = score;
        assert_true(score == number_at(probabilities, text_at(item, "label")));
    }
}

static void one_text_is_a_list_of_labels(void **state)
{
    (void)state;
    static const char *const paths[] = {"/predict", "/"};
    json_t *own = own_answer(&node, "{\"text\":\"the film was good\"}");
    for (size_t i = 0; i < 2; i++) {
        json_t *got = call_json(&node, "POST", paths[i], "", "{\"inputs\":\"the film was good\"}");
        check_scores(got, own);
        assert_string_equal(text_at(json_array_get(got, 0), "label"), text_at(own, "label"));
        json_decref(got);
    }
    json_decref(own);
}

static void a_pair_is_one_input(void **state)
{
    (void)state;
    json_t *own = own_answer(&node, "{\"text\":\"the film\",\"text_pair\":\"it was good\"}");
    json_t *got = predict("{\"inputs\":[\"the film\",\"it was good\"]}");
    check_scores(got, own);
    json_decref(got);
    json_decref(own);
}

static void a_batch_is_a_list_of_lists(void **state)
{
    (void)state;
    json_t *own = own_answer(
        &node, "{\"inputs\":[\"the film\",{\"text\":\"no\",\"text_pair\":\"it was good\"},\"it was good\"]}");
    json_t *got = predict("{\"inputs\":[[\"the film\"],[\"no\",\"it was good\"],[\"it was good\"]]}");
    assert_int_equal(json_array_size(got), 3);
    for (size_t i = 0; i < 3; i++) {
        check_scores(json_array_get(got, i), json_array_get(own, i));
    }
    json_decref(got);
    got = predict("{\"inputs\":[[\"the film\"]]}");
    assert_int_equal(json_array_size(got), 1);
    check_scores(json_array_get(got, 0), json_array_get(own, 0));
    json_decref(got);
    json_decref(own);
}

static void parameters_nest_the_answer(void **state)
{
    (void)state;
    json_t *own = own_answer(&node, "{\"text\":\"the film\"}");
    json_t *got = predict("{\"inputs\":\"the film\",\"parameters\":{}}");
    assert_int_equal(json_array_size(got), 1);
    check_scores(json_array_get(got, 0), own);
    json_decref(got);
    got = predict("{\"inputs\":\"the film\",\"parameters\":{\"top_k\":1}}");
    assert_int_equal(json_array_size(json_array_get(got, 0)), 1);
    assert_string_equal(text_at(json_array_get(json_array_get(got, 0), 0), "label"), text_at(own, "label"));
    json_decref(got);
    json_decref(own);
}

static void raw_scores_are_logarithms(void **state)
{
    (void)state;
    json_t *plain = predict("{\"inputs\":\"the film\"}");
    json_t *raw = predict("{\"inputs\":\"the film\",\"raw_scores\":true}");
    for (size_t i = 0; i < json_array_size(plain); i++) {
        double score = number_at(json_array_get(plain, i), "score");
        double log_score = number_at(json_array_get(raw, i), "score");
        assert_true(log_score < 0 && score > 0);
        if (i > 0) {
            assert_true(log_score <= number_at(json_array_get(raw, i - 1), "score"));
        }
    }
    json_decref(raw);
    json_decref(plain);
}

static void headers_are_teis(void **state)
{
    (void)state;
    static const char *const names[] = {"x-compute-time",      "x-total-time", "x-compute-tokens",
                                        "x-tokenization-time", "x-queue-time", "x-inference-time"};
    call(&node, "POST", "/predict", "", "{\"inputs\":[[\"a f\xc3\xadlm\"],[\"no\",\"yes\"]]}", &answer);
    expect_status(&answer, 200, "headers");
    assert_string_equal(header_of(&answer, "x-compute-type"), "cpu");
    assert_string_equal(header_of(&answer, "x-compute-characters"), "11");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = header_of(&answer, names[i]);
        assert_non_null(value);
        assert_true(value[0] != '\0' && strspn(value, "0123456789") == strlen(value));
    }
}

static void errors_are_teis(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int status;
        const char *part;
    } cases[] = {
        {"{", 400, "\"error_type\":\"Validation\""},
        {"{\"inputs\":\"\"}", 400, "\"error_type\":\"Empty\""},
        {"{\"inputs\":[]}", 400, "\"error_type\":\"Empty\""},
        {"{\"inputs\":[[\"a\"],7]}", 422, "{\"error\":\"inputs[1] must be a list"},
        {"{\"inputs\":\"a\",\"truncation_direction\":\"left\"}", 422, "\"error_type\":\"Validation\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_refusal(&node, "POST", "/predict", "", cases[i].body, cases[i].status, cases[i].part);
    }
    expect_refusal(&node, "GET", "/predict", "", "", 405, "\"error_type\":\"Validation\"");
    call(&node, "GET", "/predict", "", "", &answer);
    assert_string_equal(header_of(&answer, "Allow"), "POST");
    expect_refusal(&node, "GET", "/predict/more", "", "", 404, "\"error_type\":\"Validation\"");
    expect_refusal(&node, "POST", "/predict", "Content-Encoding: gzip\r\n", "x", 415, "Content-Encoding 'gzip'");
    expect_refusal(&node, "POST", "/predict", "x-rung-policy: none-such\r\n", "{\"inputs\":\"a\"}", 422, "none-such");
    expect_refusal(&node, "POST", "/predict", "grpc-timeout: soon\r\n", "{\"inputs\":\"a\"}", 400, "grpc-timeout");
}

static void too_much_is_told_with_its_limit(void **state)
{
    (void)state;
    static char body[1 << 20];
    size_t length = (size_t)snprintf(body, sizeof body, "{\"inputs\":[");
    for (size_t i = 0; i < 65; i++) {
        length += (size_t)snprintf(body + length, sizeof body - length, "%s[\"a\"]", i == 0 ? "" : ",");
    }
    snprintf(body + length, sizeof body - length, "]}");
    expect_refusal(&node, "POST", "/predict", "", body, 413,
                   "batch size 65 is above the limit of this node, 64\",\"error_type\":\"Validation\"");
    length = (size_t)snprintf(body, sizeof body, "{\"truncate\":false,\"inputs\":[[\"a\"],[\"");
    for (size_t i = 0; i < 600; i++) {
        length += (size_t)snprintf(body + length, sizeof body - length, "a ");
    }
    snprintf(body + length, sizeof body - length, "\"]]}");
    call(&node, "POST", "/predict", "", body, &answer);
    expect_status(&answer, 422, "too long");
    assert_non_null(
        strstr(answer.body, "{\"error\":\"inputs[1]: text has 602 tokens, the limit of this level's model is"));
    assert_non_null(strstr(answer.body, "\"error_type\":\"Validation\"}"));
    memcpy(body + 12, "null ", 5); /* the server's default: it is cut */
    call(&node, "POST", "/predict", "", body, &answer);
    expect_status(&answer, 200, "cut");
}

/* Refused before the whole body came, by the server itself. */
static void the_body_has_a_limit(void **state)
{
    (void)state;
    int fd = connect_to(&node);
    static const char large[] = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n";
    assert_int_equal(send(fd, large, sizeof large - 1, 0), sizeof large - 1);
    hear_answer(fd, false, &answer);
    expect_status(&answer, 413, "large");
    assert_non_null(strstr(answer.body, "limit of 1048576 bytes\",\"error_type\":\"Validation\"}"));
    close(fd);
}

static void a_deadline_that_passed_is_unhealthy(void **state)
{
    (void)state;
    expect_refusal(&node, "POST", "/predict", "grpc-timeout: 1n\r\n", "{\"inputs\":\"a\"}", 504,
                   "\"error_type\":\"Unhealthy\"");
}

static void info_says_what_the_node_is(void **state)
{
    (void)state;
    static const char *const numbers[] = {"max_concurrent_requests", "max_input_length", "max_batch_tokens",
                                          "max_client_batch_size", "tokenization_workers"};
    json_t *info = call_json(&node, "GET", "/info", "", "");
    json_t *level = call_json(&node, "GET", "/v1/level", "", "");
    const json_t *labels = json_object_get(json_object_get(level, "model"), "labels");
    const json_t *classifier = json_object_get(json_object_get(info, "model_type"), "classifier");
    assert_string_equal(text_at(info, "model_id"), "two");
    assert_string_equal(text_at(info, "model_sha"), text_at(json_object_get(level, "model"), "sha256"));
    assert_string_equal(text_at(info, "model_dtype"), "int8");
    assert_string_equal(text_at(info, "version"), rung_version());
    assert_true(json_is_true(json_object_get(info, "auto_truncate")));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_true(number_at(info, numbers[i]) > 0);
    }
    for (size_t c = 0; c < json_array_size(labels); c++) {
        char id[24];
        const char *label = json_string_value(json_array_get(labels, c));
        snprintf(id, sizeof id, "%zu", c);
        assert_string_equal(text_at(json_object_get(classifier, "id2label"), id), label);
        assert_true(number_at(json_object_get(classifier, "label2id"), label) == (double)c);
    }
    json_decref(level);
    json_decref(info);
    expect_refusal(&node, "POST", "/info", "", "", 405, "read with GET");
}

static void calls_are_counted(void **state)
{
    (void)state;
    assert_false(has_metric(&node, "rung_api_requests_total{api=\"tei\"} 0"));
    json_t *got = call_json(&node, "POST", "/predict", "x-rung-policy: single(2)\r\n", "{\"inputs\":\"a\"}");
    json_decref(got);
}

/* Probabilities that do not add up to 1, and raw scores that are the logarithms of odds. */
static void several_labels(void **state)
{
    (void)state;
    served other;
    start_with(&other, (const char *const[]){"model", SEVERAL_LABELS_MODEL, NULL});
    json_t *own = own_answer(&other, "{\"text\":\"the film\"}");
    json_t *got = call_json(&other, "POST", "/predict", "", "{\"inputs\":\"the film\"}");
    json_t *raw = call_json(&other, "POST", "/predict", "", "{\"inputs\":\"the film\",\"raw_scores\":true}");
    check_scores(got, own);
    for (size_t i = 0; i < json_array_size(got); i++) {
        double odds = number_at(json_array_get(raw, i), "score");
        assert_int_equal(odds > 0, number_at(json_array_get(got, i), "score") > 0.5);
    }
    json_decref(raw);
    json_decref(got);
    json_decref(own);
    expect_refusal(&other, "POST", "/predict", "",
                   "{\"inputs\":\"a\",\"parameters\":{\"function_to_apply\":\"softmax\"}}", 422, "sigmoid and none");
    stop(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_text_is_a_list_of_labels),
        cmocka_unit_test(a_pair_is_one_input),
        cmocka_unit_test(a_batch_is_a_list_of_lists),
        cmocka_unit_test(parameters_nest_the_answer),
        cmocka_unit_test(raw_scores_are_logarithms),
        cmocka_unit_test(headers_are_teis),
        cmocka_unit_test(errors_are_teis),
        cmocka_unit_test(too_much_is_told_with_its_limit),
        cmocka_unit_test(the_body_has_a_limit),
        cmocka_unit_test(a_deadline_that_passed_is_unhealthy),
        cmocka_unit_test(info_says_what_the_node_is),
        cmocka_unit_test(several_labels),
        cmocka_unit_test(calls_are_counted),
    };
    return cmocka_run_group_tests(tests, start_node, stop_node);
}
