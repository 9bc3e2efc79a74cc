/* test_api_openai.c: a node asked for moderations as OpenAI is, and for classes as vLLM is: shapes, flags, errors. */
#include "api_node.h"

/* One result is what the own API says; flagged by every label but the first. */
static void check_result(const json_t *result, const json_t *own)
{
    const char *label;
    json_t *probability;
    bool flagged = false;
    bool first = true;
    const json_t *categories = json_object_get(result, "categories");
    const json_t *scores = json_object_get(result, "category_scores");
    json_object_foreach(json_object_get(own, "probabilities"), label, probability)
    {
        bool holds = json_number_value(probability) >= 0.5;
        assert_true(number_at(scores, label) == json_number_value(probability));
        assert_int_equal(json_is_true(json_object_get(categories, label)), holds);
        assert_true(json_is_boolean(json_object_get(categories, label)));
        flagged |= holds && !first;
        first = false;
    }
    assert_int_equal(json_object_size(scores), json_object_size(json_object_get(own, "probabilities")));
    assert_int_equal(json_is_true(json_object_get(result, "flagged")), flagged);
}

static void moderations(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"input\":\"it was good\",\"model\":\"omni-moderation-latest\"}",
        "{\"input\":[\"it was good\"]}",
        "{\"input\":[{\"type\":\"text\",\"text\":\"it was good\"}]}",
    };
    json_t *own = own_answer(&node, "{\"text\":\"it was good\"}");
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        json_t *got = call_json(&node, "POST", "/v1/moderations", "", bodies[i]);
        assert_int_equal(strncmp(text_at(got, "id"), "modr-", 5), 0);
        assert_string_equal(text_at(got, "model"), "two");
        assert_int_equal(json_array_size(json_object_get(got, "results")), 1);
        check_result(json_array_get(json_object_get(got, "results"), 0), own);
        json_decref(got);
    }
    json_decref(own);
    own = own_answer(&node, "{\"inputs\":[\"the film\",\"no\"]}");
    json_t *got = call_json(&node, "POST", "/v1/moderations", "", "{\"input\":[\"the film\",\"no\"]}");
    assert_int_equal(json_array_size(json_object_get(got, "results")), 2);
    for (size_t i = 0; i < 2; i++) {
        check_result(json_array_get(json_object_get(got, "results"), i), json_array_get(own, i));
    }
    json_decref(got);
    json_decref(own);
}

static void classes(void **state)
{
    (void)state;
    json_t *own = own_answer(&node, "{\"inputs\":[\"the film\",\"it was good\"]}");
    json_t *got =
        call_json(&node, "POST", "/classify", "", "{\"model\":\"x\",\"input\":[\"the film\",\"it was good\"]}");
    const json_t *data = json_object_get(got, "data");
    const json_t *usage = json_object_get(got, "usage");
    double tokens = 0;
    assert_int_equal(strncmp(text_at(got, "id"), "classify-", 9), 0);
    assert_string_equal(text_at(got, "object"), "list");
    assert_string_equal(text_at(got, "model"), "two");
    assert_true(number_at(got, "created") > 1.6e9);
    assert_int_equal(json_array_size(data), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *item = json_array_get(data, i);
        const json_t *row = json_array_get(own, i);
        const json_t *probs = json_object_get(item, "probs");
        const char *label;
        json_t *probability;
        size_t c = 0;
        assert_true(number_at(item, "index") == (double)i);
        assert_string_equal(text_at(item, "label"), text_at(row, "label"));
        assert_true(number_at(item, "num_classes") == (double)json_array_size(probs));
        json_object_foreach(json_object_get(row, "probabilities"), label, probability)
        {
            assert_true(json_number_value(json_array_get(probs, c++)) == json_number_value(probability));
        }
        tokens += number_at(json_array_get(json_object_get(row, "levels"), 0), "tokens");
    }
    assert_true(number_at(usage, "prompt_tokens") == tokens && number_at(usage, "total_tokens") == tokens);
    assert_true(number_at(usage, "completion_tokens") == 0);
    assert_true(json_is_null(json_object_get(usage, "prompt_tokens_details")));
    json_decref(got);
    json_decref(own);
    got = call_json(&node, "POST", "/classify", "", "{\"input\":\"the film\"}");
    assert_int_equal(json_array_size(json_object_get(got, "data")), 1);
    json_decref(got);
}

static void errors_have_the_form(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *headers, *body;
        int status;
        const char *part;
    } cases[] = {
        {"POST", "/v1/moderations", "", "{", 400, "\"param\":null,\"type\":\"invalid_request_error\",\"code\":null}}"},
        {"POST", "/v1/moderations", "", "{\"input\":[\"a\",\"\"]}", 400,
         "{\"error\":{\"message\":\"input[1] is empty\",\"param\":\"input[1]\",\"type\":\"invalid_request_error\""},
        {"POST", "/v1/moderations", "", "{\"input\":[]}", 400, "\"param\":\"input\""},
        {"POST", "/v1/moderations", "", "{\"input\":7}", 400, "input must be a string or a list"},
        {"POST", "/v1/moderations", "", "{\"model\":7}", 400, "\"param\":\"model\""},
        {"POST", "/v1/moderations", "", "{\"input\":[{\"type\":\"image_url\"}]}", 400, "\"param\":\"input[0].type\""},
        {"POST", "/v1/moderations", "Content-Encoding: gzip\r\n", "x", 415, "invalid_request_error"},
        {"POST", "/v1/moderations", "grpc-timeout: 1n\r\n", "{\"input\":\"a\"}", 504, "\"type\":\"server_error\""},
        {"GET", "/v1/moderations", "", "", 405, "\"code\":\"method_not_supported\"}}"},
        {"GET", "/v1/models/gpt", "", "", 404, "\"code\":\"unknown_url\"}}"},
        {"POST", "/classify", "", "{\"input\":[1]}", 400, "\"type\":\"BadRequestError\",\"code\":400}}"},
        {"POST", "/classify", "", "{\"input\":\" \"}", 400, "\"param\":\"input\""},
        {"GET", "/classify", "", "", 405, "\"code\":405}}"},
        {"POST", "/classify/x", "", "{}", 404, "\"type\":\"NotFoundError\",\"code\":404}}"},
        {"POST", "/classify", "grpc-timeout: 1n\r\n", "{\"input\":\"a\"}", 504, "\"type\":\"InternalServerError\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_refusal(&node, cases[i].method, cases[i].path, cases[i].headers, cases[i].body, cases[i].status,
                       cases[i].part);
    }
}

static void too_many_texts_are_told(void **state)
{
    (void)state;
    char body[1024];
    size_t length = (size_t)snprintf(body, sizeof body, "{\"input\":[\"a\"");
    for (size_t i = 0; i < 64; i++) {
        length += (size_t)snprintf(body + length, sizeof body - length, ",\"a\"");
    }
    snprintf(body + length, sizeof body - length, "]}");
    expect_refusal(&node, "POST", "/v1/moderations", "", body, 400,
                   "input holds 65 texts; the limit of this node is 64");
    expect_refusal(&node, "POST", "/classify", "", body, 400, "the limit of this node is 64");
}

static void the_model_is_listed(void **state)
{
    (void)state;
    json_t *got = call_json(&node, "GET", "/v1/models", "", "");
    const json_t *model = json_array_get(json_object_get(got, "data"), 0);
    assert_string_equal(text_at(got, "object"), "list");
    assert_string_equal(text_at(model, "id"), "two");
    assert_string_equal(text_at(model, "object"), "model");
    json_decref(got);
    call(&node, "GET", "/metrics", "", "", &answer);
    assert_null(strstr(answer.body, "rung_api_requests_total{api=\"openai\"} 0"));
    assert_null(strstr(answer.body, "rung_api_requests_total{api=\"vllm\"} 0"));
}

/* Whether the own answer has a label from `first` on that holds and, unless that is NULL, has this name. */
static bool is_flagged(const json_t *own, size_t first, const char *only)
{
    const char *label;
    json_t *probability;
    size_t c = 0;
    bool flagged = false;
    json_object_foreach(json_object_get(own, "probabilities"), label, probability)
    {
        bool counts = c++ >= first && (only == NULL || strcmp(label, only) == 0);
        flagged |= counts && json_number_value(probability) >= 0.5;
    }
    return flagged;
}

/* Every label counts where there may be several, or those that are configured. */
static void flags(void **state)
{
    (void)state;
    static const char *const texts[] = {"the film", "it was good", "no", "a", "it was not so good"};
    served all;
    start_with(&all, (const char *const[]){"model", SEVERAL_LABELS_MODEL, NULL});
    json_t *level = call_json(&all, "GET", "/v1/level", "", "");
    const char *chosen =
        json_string_value(json_array_get(json_object_get(json_object_get(level, "model"), "labels"), 2));
    served some;
    start_with(&some, (const char *const[]){"model", SEVERAL_LABELS_MODEL, "moderation.flagged", chosen, NULL});
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char body[128];
        snprintf(body, sizeof body, "{\"text\":\"%s\"}", texts[i]);
        json_t *own = own_answer(&all, body);
        snprintf(body, sizeof body, "{\"input\":\"%s\"}", texts[i]);
        json_t *got = call_json(&all, "POST", "/v1/moderations", "", body);
        const json_t *result = json_array_get(json_object_get(got, "results"), 0);
        assert_int_equal(json_is_true(json_object_get(result, "flagged")), is_flagged(own, 0, NULL));
        json_decref(got);
        got = call_json(&some, "POST", "/v1/moderations", "", body);
        result = json_array_get(json_object_get(got, "results"), 0);
        assert_int_equal(json_is_true(json_object_get(result, "flagged")), is_flagged(own, 0, chosen));
        json_decref(got);
        json_decref(own);
    }
    json_decref(level);
    stop(&some);
    stop(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moderations),
        cmocka_unit_test(classes),
        cmocka_unit_test(errors_have_the_form),
        cmocka_unit_test(too_many_texts_are_told),
        cmocka_unit_test(flags),
        cmocka_unit_test(the_model_is_listed),
    };
    return cmocka_run_group_tests(tests, start_node, stop_node);
}
