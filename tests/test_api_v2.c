/* test_api_v2.c: a node asked in the Open Inference Protocol V2: JSON and binary tensors both ways, outputs, errors, and what it says of itself. */
#include "api_node.h"

#define INFER "/v2/models/two/infer"
#define TENSOR(shape, data)                                                                                            \
    "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"BYTES\",\"shape\":" shape ",\"data\":" data "}]}"

static const json_t *output(const json_t *got, const char *name)
{
    const json_t *outputs = json_object_get(got, "outputs");
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        if (strcmp(text_at(json_array_get(outputs, i), "name"), name) == 0) {
            return json_array_get(outputs, i);
        }
    }
    return NULL;
}

static const json_t *datum(const json_t *got, const char *name, size_t index)
{
    return json_array_get(json_object_get(output(got, name), "data"), index);
}

static size_t size_at(const json_t *got, const char *name, size_t index)
{
    return (size_t)json_integer_value(json_array_get(json_object_get(output(got, name), "shape"), index));
}

/* Row `i` of the answer is what the own API says of the same text. */
static void check_row(const json_t *got, size_t i, const json_t *own)
{
    size_t labels = json_object_size(json_object_get(own, "probabilities"));
    const char *key;
    json_t *value;
    size_t c = 0;
    json_object_foreach(json_object_get(own, "probabilities"), key, value)
    {
        double difference = json_number_value(datum(got, "probabilities", i * labels + c++)) - json_number_value(value);
        assert_true(difference < 1e-7 && difference > -1e-7);
    }
    const json_t *level = json_array_get(json_object_get(own, "levels"), 0);
    assert_string_equal(json_string_value(datum(got, "label", i)), text_at(own, "label"));
    assert_int_equal(json_integer_value(datum(got, "level", i)), json_integer_value(json_object_get(own, "level")));
    assert_true(json_number_value(datum(got, "confidence", i)) == number_at(level, "confidence"));
}

static void texts_in_json(void **state)
{
    (void)state;
    static const char *const paths[] = {INFER, "/v2/models/two/versions/1/infer", "/v2/models/%74wo/infer"};
    json_t *own = own_answer(&node, "{\"inputs\":[\"the film\",\"it was good\"]}");
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        json_t *got = call_json(&node, "POST", paths[i], "", TENSOR("[2]", "[\"the film\",\"it was good\"]"));
        assert_string_equal(text_at(got, "model_name"), "two");
        assert_string_equal(text_at(got, "model_version"), "1");
        assert_null(json_object_get(got, "id"));
        assert_int_equal(json_array_size(json_object_get(got, "outputs")), 4);
        assert_int_equal(size_at(got, "probabilities", 0), 2);
        assert_int_equal(size_at(got, "label", 0), 2);
        assert_string_equal(text_at(output(got, "probabilities"), "datatype"), "FP32");
        assert_string_equal(text_at(output(got, "label"), "datatype"), "BYTES");
        assert_string_equal(text_at(output(got, "level"), "datatype"), "INT32");
        check_row(got, 0, json_array_get(own, 0));
        check_row(got, 1, json_array_get(own, 1));
        json_decref(got);
    }
    json_decref(own);
}

static void pairs_and_wanted_outputs(void **state)
{
    (void)state;
    json_t *own = own_answer(&node, "{\"text\":\"the film\",\"text_pair\":\"it was good\"}");
    json_t *got = call_json(&node, "POST", INFER, "",
                            "{\"id\":\"a\\\"1\",\"outputs\":[{\"name\":\"label\"}],\"inputs\":["
                            "{\"name\":\"p\",\"datatype\":\"BYTES\",\"shape\":[1,1],\"data\":[[\"the film\"]]},"
                            "{\"name\":\"q\",\"datatype\":\"BYTES\",\"shape\":[1,1],\"data\":[[\"it was good\"]]}]}");
    assert_string_equal(text_at(got, "id"), "a\"1");
    assert_int_equal(json_array_size(json_object_get(got, "outputs")), 1);
    assert_string_equal(json_string_value(datum(got, "label", 0)), text_at(own, "label"));
    json_decref(got);
    json_decref(own);
}

static uint32_t word(const char *at)
{
    const uint8_t *b = (const uint8_t *)at;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static float number(const char *at)
{
    uint32_t bits = word(at);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Binary tensors both ways, as tritonclient sends and reads them. */
static void binary_tensors(void **state)
{
    (void)state;
    static const char json[] = "{\"inputs\":[{\"name\":\"text\",\"shape\":[2,1],\"datatype\":\"BYTES\",\"parameters\":{"
                               "\"binary_data_size\":27}}],"
                               "\"parameters\":{\"binary_data_output\":true}}";
    static const char binary[] = "\x08\0\0\0the film\x0b\0\0\0it was good";
    char body[512];
    char headers[128];
    json_t *own = own_answer(&node, "{\"inputs\":[\"the film\",\"it was good\"]}");
    memcpy(body, json, sizeof json - 1);
    memcpy(body + sizeof json - 1, binary, 27);
    snprintf(headers, sizeof headers,
             "Inference-Header-Content-Length: %zu\r\nContent-Type: application/octet-stream\r\n", sizeof json - 1);
    call_bytes(&node, "POST", INFER, headers, body, sizeof json - 1 + 27, &answer);
    expect_status(&answer, 200, "binary");
    assert_string_equal(header_of(&answer, "Content-Type"), "application/octet-stream");
    size_t json_bytes = strtoul(header_of(&answer, "Inference-Header-Content-Length"), NULL, 10);
    json_t *got = json_loadb(answer.body, json_bytes, 0, NULL);
    assert_non_null(got);
    const char *at = answer.body + json_bytes;
    size_t labels = size_at(got, "probabilities", 1);
    size_t sizes[4];
    static const char *const names[] = {"probabilities", "label", "level", "confidence"};
    for (size_t o = 0; o < 4; o++) {
        const json_t *item = json_array_get(json_object_get(got, "outputs"), o);
        assert_string_equal(text_at(item, "name"), names[o]);
        assert_null(json_object_get(item, "data"));
        sizes[o] = (size_t)number_at(json_object_get(item, "parameters"), "binary_data_size");
    }
    assert_int_equal(json_bytes + sizes[0] + sizes[1] + sizes[2] + sizes[3], answer.body_bytes);
    assert_int_equal(sizes[0], 2 * labels * 4);
    assert_int_equal(sizes[2], 8);
    for (size_t i = 0; i < 2; i++) {
        const json_t *row = json_array_get(own, i);
        double total = 0;
        for (size_t c = 0; c < labels; c++) {
            total += (double)number(at + (i * labels + c) * 4);
        }
        assert_true(total > 0.999 && total < 1.001);
        assert_int_equal(word(at + sizes[0] + sizes[1] + i * 4), json_integer_value(json_object_get(row, "level")));
    }
    const char *label = at + sizes[0];
    for (size_t i = 0; i < 2; i++) {
        const char *wanted = text_at(json_array_get(own, i), "label");
        assert_int_equal(word(label), strlen(wanted));
        assert_memory_equal(label + 4, wanted, strlen(wanted));
        label += 4 + strlen(wanted);
    }
    json_decref(got);
    json_decref(own);
}

static void errors_are_named(void **state)
{
    (void)state;
    static const char good[] = TENSOR("[1]", "[\"a\"]");
    static const struct {
        const char *path, *headers, *body;
        int status;
        const char *part;
    } cases[] = {
        {INFER, "", "{", 400, "{\"error\":\""},
        {INFER, "", "{\"inputs\":[]}", 400, "inputs holds 0 tensors"},
        {INFER, "", TENSOR("[1]", "[\"\"]"), 400, "inputs[0].data[0] is empty"},
        {INFER, "", TENSOR("[65]", "[]"), 400, "the limit of this node is 64"},
        {INFER, "", "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1],\"data\":[1]}]}", 400,
         "datatype"},
        {INFER, "",
         "{\"outputs\":[{\"name\":\"label\",\"parameters\":{\"classification\":1}}],\"inputs\":[{\"name\":\"x\","
         "\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"a\"]}]}",
         501, "classification"},
        {INFER, "Inference-Header-Content-Length: 9999\r\n", good, 400, "Inference-Header-Content-Length"},
        {INFER, "Content-Encoding: gzip\r\n", good, 415, "Content-Encoding 'gzip'"},
        {INFER, "Content-Encoding: deflate\r\n", good, 415, "Content-Encoding 'deflate'"},
        {INFER, "grpc-timeout: 1n\r\n", good, 504, "deadline"},
        {"/v2/models/three/infer", "", good, 404, "this node serves 'two'"},
        {"/v2/models/two/versions/2/infer", "", good, 404, "has version '1'"},
        {"/v2/models/%7/infer", "", good, 404, "no such model"},
        {"/v2/repository/index", "", "", 404, "{\"error\":\"no such path"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_refusal(&node, "POST", cases[i].path, cases[i].headers, cases[i].body, cases[i].status, cases[i].part);
    }
    expect_refusal(&node, "GET", "/v2/models/two/config", "", "", 501, "no model configuration");
    expect_refusal(&node, "GET", "/v2/models/two/versions/1/stats", "", "", 501, "no statistics");
    expect_refusal(&node, "GET", "/v2/models/no/config", "", "", 404, "no such model");
    expect_refusal(&node, "GET", INFER, "", "", 405, "takes POST");
    expect_refusal(&node, "POST", "/v2", "", "", 405, "read with GET");
}

static void what_it_says_of_itself(void **state)
{
    (void)state;
    json_t *got = call_json(&node, "GET", "/v2", "", "");
    assert_string_equal(text_at(got, "version"), rung_version());
    assert_string_equal(json_string_value(json_array_get(json_object_get(got, "extensions"), 0)), "binary_tensor_data");
    json_decref(got);
    got = call_json(&node, "GET", "/v2/models", "", "");
    assert_string_equal(json_string_value(json_array_get(json_object_get(got, "models"), 0)), "two");
    json_decref(got);
    got = call_json(&node, "GET", "/v2/models/two/versions/1", "", "");
    assert_string_equal(text_at(got, "name"), "two");
    assert_int_equal(json_array_size(json_object_get(got, "outputs")), 4);
    assert_string_equal(text_at(json_array_get(json_object_get(got, "inputs"), 0), "datatype"), "BYTES");
    json_decref(got);
    static const char *const well[] = {"/v2/health/live", "/v2/health/ready", "/v2/models/two", "/v2/models/two/ready",
                                       "/v2/models/two/versions/1/ready"};
    for (size_t i = 0; i < sizeof well / sizeof well[0]; i++) {
        call(&node, "GET", well[i], "", "", &answer);
        expect_status(&answer, 200, well[i]);
    }
    assert_false(has_metric(&node, "rung_api_requests_total{api=\"v2\"} 0"));
}

/* While what was accepted is finished, connections that are there already are still answered. */
static void draining_is_not_ready(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *body;
        int status;
        const char *part;
    } cases[] = {{"GET", "/v2/health/ready", "", 503, "{\"ready\":false}"},
                 {"GET", "/v2/models/one/ready", "", 503, "\"ready\":false}"},
                 {"GET", "/v2/health/live", "", 200, "true"},
                 {"GET", "/health", "", 503, "draining"},
                 {"POST", "/v2/models/one/infer", "{}", 503, "{\"error\":\"draining"},
                 {"POST", "/predict", "{}", 503, "\"error_type\":\"Unhealthy\"}"},
                 {"POST", "/v1/classify", "{}", 503, "{\"error\":\"draining"}};
    served first;
    int fds[sizeof cases / sizeof cases[0]];
    size_t count = sizeof cases / sizeof cases[0];
    start(&first, "1", rung_node_url(node.node), "4s");
    for (size_t i = 0; i < count; i++) { /* known to the node before it drains */
        fds[i] = connect_to(&first);
        say_call(fds[i], "GET", "/health", "", "", 0);
        hear_answer(fds[i], false, &answer);
    }
    int watch = connect_to(&first);
    say_call(watch, "GET", "/health", "", "", 0);
    hear_answer(watch, false, &answer);
    int slow = connect_to(&first);
    send_call(slow, "POST", "/v1/classify", "{\"text\":\"a film\",\"policy\":\"single\"}");
    await_metric(&first, "rung_upstream_in_flight 1");
    rung_node_drain(first.node);
    do {
        say_call(watch, "GET", "/health", "", "", 0);
        hear_answer(watch, false, &answer);
    } while (answer.status == 200);
    close(watch);
    for (size_t i = 0; i < count; i++) {
        say_call(fds[i], cases[i].method, cases[i].path, "", cases[i].body, strlen(cases[i].body));
        hear_answer(fds[i], false, &answer);
        expect_status(&answer, cases[i].status, cases[i].path);
        assert_non_null(strstr(answer.body, cases[i].part));
        close(fds[i]);
    }
    close(slow); /* the node need not wait for it */
    stop(&first);
}

static void several_labels(void **state)
{
    (void)state;
    served other;
    char path[128];
    start_with(&other, (const char *const[]){"model", SEVERAL_LABELS_MODEL, NULL});
    json_t *models = call_json(&other, "GET", "/v2/models", "", "");
    snprintf(path, sizeof path, "/v2/models/%s/infer",
             json_string_value(json_array_get(json_object_get(models, "models"), 0)));
    json_t *own = own_answer(&other, "{\"inputs\":[\"the film\"]}");
    json_t *got = call_json(&other, "POST", path, "", TENSOR("[1]", "[\"the film\"]"));
    assert_int_equal(size_at(got, "probabilities", 1), 4);
    check_row(got, 0, json_array_get(own, 0));
    json_decref(got);
    json_decref(own);
    json_decref(models);
    stop(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_in_json),         cmocka_unit_test(pairs_and_wanted_outputs),
        cmocka_unit_test(binary_tensors),        cmocka_unit_test(several_labels),
        cmocka_unit_test(errors_are_named),      cmocka_unit_test(what_it_says_of_itself),
        cmocka_unit_test(draining_is_not_ready),
    };
    return cmocka_run_group_tests(tests, start_node, stop_node);
}
