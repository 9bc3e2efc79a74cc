/* test_open_inference.c: requests of the Open Inference Protocol V2, byte by byte, both forms of its replies and what it says of its model. */
#include "net/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char model_name[] = "reviews";
static char input_name[] = "args";
static const rung_remote remote = {.protocol = RUNG_PROTOCOL_V2, .model = model_name, .input = input_name};
static const char *const labels[] = {"neg", "pos"};
static const char *const turned[] = {"pos", "neg"};
static const rung_remote_reader reader = {.num_classes = 2, .labels = labels};

#define OUTPUTS(list) "{\"model_name\":\"reviews\",\"id\":\"1\",\"outputs\":[" list "]}"
#define TENSOR(shape, type, data)                                                                                      \
    "{\"name\":\"probabilities\",\"shape\":" shape ",\"datatype\":\"" type "\",\"parameters\":{},\"data\":" data "}"
#define TEXT(data) "{\"name\":\"output\",\"shape\":[1,1],\"datatype\":\"BYTES\",\"data\":" data "}"

static void requests(void **state)
{
    (void)state;
    rung_buffer body = {0};
    rung_protocol_paths paths;
    rung_protocol_v2.write(&remote, &(rung_payload){.text = {"so", 2}}, &body);
    assert_string_equal(body.data,
                        "{\"inputs\":[{\"name\":\"args\",\"shape\":[1],\"datatype\":\"BYTES\",\"parameters\":"
                        "{\"content_type\":\"str\"},\"data\":[\"so\"]}]}");
    rung_buffer_clear(&body);
    rung_protocol_v2.write(&remote, &(rung_payload){.text = {"a", 1}, .pair = {"b\"", 2}}, &body);
    assert_string_equal(
        body.data, "{\"inputs\":[{\"name\":\"args\",\"shape\":[1],\"datatype\":\"BYTES\",\"parameters\":"
                   "{\"content_type\":\"str\"},\"data\":[\"a\"]},{\"name\":\"args_pair\",\"shape\":[1],\"datatype\":"
                   "\"BYTES\",\"parameters\":{\"content_type\":\"str\"},\"data\":[\"b\\\"\"]}]}");
    rung_buffer_deinit(&body);
    rung_protocol_v2.paths(&remote, &paths);
    assert_string_equal(paths.ask, "/v2/models/reviews/infer");
    assert_string_equal(paths.probe, "/v2/health/ready");
    assert_string_equal(paths.identity, "/v2/models/reviews");
}

static rung_status parse(const char *body, const rung_remote_reader *with, double p[2], rung_error *error)
{
    return rung_protocol_v2.parse(body, strlen(body), with, p, error);
}

static void accept(const char *body, const rung_remote_reader *with, double first)
{
    rung_error error = {0};
    double p[2];
    if (parse(body, with, p, &error) != RUNG_OK) {
        fail_msg("%s: %s", body, error.message);
    }
    assert_true(p[0] == first && p[0] + p[1] == 1);
}

static void probabilities(void **state)
{
    (void)state;
    accept(OUTPUTS(TENSOR("[1,2]", "FP32", "[0.25,0.75]")), &reader, 0.25);
    accept(OUTPUTS(TENSOR("[2]", "FP64", "[0.25,0.75]")), &reader, 0.25);
    accept(OUTPUTS(TENSOR("[1,2]", "FP32", "[[1,0]]")), &reader, 1);
    accept(OUTPUTS("{\"name\":\"label\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"pos\"]}," TENSOR(
               "[1,2]", "FP32", "[0.25,0.75]")),
           &reader, 0.25);
    const rung_remote_reader other = {.num_classes = 2, .labels = labels, .columns = turned};
    accept(OUTPUTS(TENSOR("[1,2]", "FP32", "[0.25,0.75]")), &other, 0.75);
}

static void texts(void **state)
{
    (void)state;
    accept(OUTPUTS(TEXT("[\"{\\\"label\\\": \\\"pos\\\", \\\"score\\\": 0.75}\"]")), &reader, 0.25);
    accept(OUTPUTS(TEXT("[\"[{\\\"label\\\": \\\"pos\\\", \\\"score\\\": 0.75}, {\\\"label\\\": \\\"neg\\\", "
                        "\\\"score\\\": 0.25}]\"]")),
           &reader, 0.25);
}

static void wrong_replies(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        rung_status status;
        const char *message;
    } cases[] = {
        {"[]", RUNG_FORMAT, "body: an array; it must be an object"},
        {"{}", RUNG_FORMAT, "outputs is missing; it must be a list"},
        {"{\"outputs\":{}}", RUNG_FORMAT, "outputs is an object; it must be a list"},
        {OUTPUTS("1"), RUNG_FORMAT, "outputs[0] is an integer; it must be an object"},
        {OUTPUTS("{}"), RUNG_FORMAT, "outputs[0].name is missing; it must be a string"},
        {OUTPUTS(""), RUNG_FORMAT, "outputs has neither probabilities nor output"},
        {OUTPUTS(TENSOR("[1,2]", "BYTES", "[0,1]")), RUNG_FORMAT,
         "outputs: probabilities has datatype \"BYTES\"; FP32 and FP64 are read"},
        {OUTPUTS("{\"name\":\"probabilities\",\"datatype\":\"FP32\",\"shape\":[1,2],\"parameters\":{\"binary_data_"
                 "size\":8}}"),
         RUNG_FORMAT, "outputs: probabilities has no list as data; binary tensors are not read"},
        {OUTPUTS(TENSOR("[2,2]", "FP32", "[0,1,0,1]")), RUNG_INVALID,
         "outputs: probabilities has 4 numbers; they must be 2 of shape [1, 2]"},
        {OUTPUTS(TENSOR("[2,1]", "FP32", "[0,1]")), RUNG_INVALID,
         "outputs: probabilities has 2 numbers; they must be 2 of shape [1, 2]"},
        {OUTPUTS(TENSOR("[1,2]", "FP32", "[0,\"1\"]")), RUNG_FORMAT,
         "outputs: probabilities[1] is a string; it must be a number"},
        {OUTPUTS(TENSOR("[1,2]", "FP32", "[1.1,-0.1]")), RUNG_INVALID,
         "outputs: probabilities[0] is 1.1; it must be from 0 to 1"},
        {OUTPUTS(TENSOR("[1,2]", "FP32", "[0.5,0.4]")), RUNG_INVALID,
         "outputs: probabilities adds up to 0.9; it must be 1"},
        {OUTPUTS(TEXT("[1]")), RUNG_FORMAT,
         "outputs: output must be one BYTES element: a JSON text of label and score"},
        {OUTPUTS(TEXT("[\"a\",\"b\"]")), RUNG_FORMAT,
         "outputs: output must be one BYTES element: a JSON text of label and score"},
        {OUTPUTS(TEXT("[\"[]\"]")), RUNG_INVALID, "outputs: output has no label \"neg\"; all 2 are needed"},
        {OUTPUTS(TEXT("[\"[1,2,3]\"]")), RUNG_FORMAT,
         "outputs: output must be a list of at most 2 labels with their scores"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rung_error error = {0};
        double p[2] = {7, 7};
        assert_int_equal(parse(cases[i].body, &reader, p, &error), cases[i].status);
        assert_string_equal(error.message, cases[i].message);
        assert_true(p[0] == 7 && p[1] == 7);
    }
    rung_error error = {0};
    double p[2];
    assert_int_equal(parse(OUTPUTS(TEXT("[\"{\"]")), &reader, p, &error), RUNG_FORMAT);
    assert_int_equal(parse(OUTPUTS(TENSOR("[1,2]", "FP32", "[NaN,1]")), &reader, p, &error), RUNG_FORMAT);
}

static void identities(void **state)
{
    (void)state;
    static const char full[] = "{\"versions\":[\"1\",\"2\"],\"platform\":\"onnx\",\"name\":\"m\",\"inputs\":[]}";
    rung_error error = {0};
    rung_model_identity one = {0};
    assert_int_equal(rung_protocol_identify(&rung_protocol_v2, full, sizeof full - 1, &one, &error), RUNG_OK);
    assert_string_equal(one.text,
                        "{\"protocol\":\"v2\",\"name\":\"m\",\"versions\":[\"1\",\"2\"],\"platform\":\"onnx\"}");
    assert_int_equal(rung_protocol_identify(&rung_protocol_v2, "{\"name\":\"m\"}", 12, &one, &error), RUNG_OK);
    assert_string_equal(one.text, "{\"protocol\":\"v2\",\"name\":\"m\",\"versions\":[],\"platform\":\"\"}");
    assert_int_equal(rung_protocol_identify(&rung_protocol_v2, "{\"name\":1}", 10, &one, &error), RUNG_FORMAT);
    rung_model_identity_deinit(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(requests), cmocka_unit_test(probabilities),
                                       cmocka_unit_test(texts), cmocka_unit_test(wrong_replies),
                                       cmocka_unit_test(identities)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
