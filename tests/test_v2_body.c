/* test_v2_body.c: the body of an inference call of the V2 protocol: JSON and binary tensors, outputs, and what is refused with which words. */
#include "net/v2_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_INPUTS 3
#define TENSOR(rest) "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"BYTES\"," rest "}]}"

typedef struct call {
    rung_classify_body body;
    rung_v2_form form;
    rung_error error;
} call;

/* binary: what follows the JSON; NULL: nothing, and no length. */
static rung_status read_call(call *c, const char *json, const char *binary, size_t binary_bytes)
{
    static char text[4096];
    char length[24];
    size_t bytes = strlen(json);
    assert_true(bytes + binary_bytes <= sizeof text);
    memcpy(text, json, bytes);
    if (binary != NULL) {
        memcpy(text + bytes, binary, binary_bytes);
    }
    snprintf(length, sizeof length, "%zu", bytes);
    c->error = (rung_error){0};
    return rung_v2_body_parse(text, bytes + binary_bytes, binary != NULL ? length : NULL, MAX_INPUTS, &c->body,
                              &c->form, &c->error);
}

static void accept(call *c, const char *json, const char *binary, size_t binary_bytes)
{
    *c = (call){0};
    if (read_call(c, json, binary, binary_bytes) != RUNG_OK) {
        fail_msg("%s: %s", json, c->error.message);
    }
}

static void release(call *c)
{
    rung_classify_body_deinit(&c->body);
    rung_v2_form_deinit(&c->form);
}

static void texts_in_json(void **state)
{
    (void)state;
    static const char *const same[] = {
        TENSOR("\"shape\":[2],\"data\":[\"a\",\"b\"]"),
        TENSOR("\"shape\":[2,1],\"data\":[\"a\",\"b\"]"),
        TENSOR("\"shape\":[2,1],\"data\":[[\"a\"],[\"b\"]]"),
        TENSOR("\"shape\":[2],\"data\":[[\"a\",\"b\"]],\"parameters\":{\"content_type\":\"str\"}"),
    };
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        call c;
        accept(&c, same[i], NULL, 0);
        assert_true(c.body.is_list && c.body.truncate);
        assert_int_equal(c.body.num_inputs, 2);
        assert_string_equal(c.body.inputs[0].text, "a");
        assert_string_equal(c.body.inputs[1].text, "b");
        assert_string_equal(c.body.inputs[1].id, "1");
        assert_null(c.body.inputs[1].text_pair);
        assert_null(c.form.id);
        assert_int_equal(c.form.num_outputs, RUNG_V2_OUTPUTS);
        for (int o = 0; o < RUNG_V2_OUTPUTS; o++) {
            assert_int_equal(c.form.outputs[o].output, o);
            assert_false(c.form.outputs[o].binary);
        }
        release(&c);
    }
}

static void texts_behind_the_json(void **state)
{
    (void)state;
    call c;
    accept(&c, TENSOR("\"shape\":[2,1],\"parameters\":{\"binary_data_size\":11}"), "\1\0\0\0a\2\0\0\0bc", 11);
    assert_string_equal(c.body.inputs[0].text, "a");
    assert_string_equal(c.body.inputs[1].text, "bc");
    release(&c);
}

static void pairs(void **state)
{
    (void)state;
    call c;
    accept(&c,
           "{\"inputs\":[{\"name\":\"p\",\"datatype\":\"BYTES\",\"shape\":[1],\"parameters\":{\"binary_data_size\":5}},"
           "{\"name\":\"q\",\"datatype\":\"BYTES\",\"shape\":[1,1],\"parameters\":{\"binary_data_size\":6}}]}",
           "\1\0\0\0a\2\0\0\0bc", 11);
    assert_string_equal(c.body.inputs[0].text, "a");
    assert_string_equal(c.body.inputs[0].text_pair, "bc");
    release(&c);
    accept(&c,
           "{\"inputs\":[{\"name\":\"text_pair\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"second\"]},"
           "{\"name\":\"text\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"first\"]}]}",
           NULL, 0);
    assert_string_equal(c.body.inputs[0].text, "first");
    assert_string_equal(c.body.inputs[0].text_pair, "second");
    release(&c);
}

static void outputs_and_id(void **state)
{
    (void)state;
    call c;
    accept(
        &c,
        "{\"id\":\"q1\",\"parameters\":{\"binary_data_output\":true,\"sequence_id\":0},\"outputs\":["
        "{\"name\":\"confidence\",\"parameters\":{\"binary_data\":false}},{\"name\":\"label\"}],\"inputs\":[{\"name\":"
        "\"x\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"a\"]}]}",
        NULL, 0);
    assert_string_equal(c.form.id, "q1");
    assert_int_equal(c.form.num_outputs, 2);
    assert_int_equal(c.form.outputs[0].output, RUNG_V2_CONFIDENCE);
    assert_false(c.form.outputs[0].binary);
    assert_int_equal(c.form.outputs[1].output, RUNG_V2_LABEL);
    assert_true(c.form.outputs[1].binary);
    release(&c);
    accept(&c,
           "{\"parameters\":{\"binary_data_output\":true},\"outputs\":[],\"inputs\":[{\"name\":\"x\",\"datatype\":"
           "\"BYTES\",\"shape\":[1],\"data\":[\"a\"]}]}",
           NULL, 0);
    assert_int_equal(c.form.num_outputs, RUNG_V2_OUTPUTS);
    assert_true(c.form.outputs[3].binary);
    release(&c);
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
        {"{}", RUNG_FORMAT, "inputs is missing"},
        {"{\"inputs\":{}}", RUNG_FORMAT, "inputs is"},
        {"{\"inputs\":[]}", RUNG_INVALID, "inputs holds 0 tensors"},
        {"{\"inputs\":[1,2,3]}", RUNG_INVALID, "inputs holds 3 tensors"},
        {"{\"inputs\":[1]}", RUNG_FORMAT, "inputs[0] is an integer"},
        {"{\"inputs\":[{\"datatype\":\"BYTES\"}]}", RUNG_FORMAT, "inputs[0].name is missing"},
        {"{\"inputs\":[{\"name\":\"x\"}]}", RUNG_FORMAT, "inputs[0].datatype is missing"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1],\"data\":[1]}]}", RUNG_INVALID,
         "inputs[0].datatype is 'FP32'; it must be BYTES"},
        {TENSOR("\"data\":[\"a\"]"), RUNG_FORMAT, "inputs[0].shape is missing"},
        {TENSOR("\"shape\":[],\"data\":[\"a\"]"), RUNG_INVALID, "inputs[0].shape must be [n] or [n,1]"},
        {TENSOR("\"shape\":[1,2],\"data\":[\"a\",\"b\"]"), RUNG_INVALID, "inputs[0].shape must be [n] or [n,1]"},
        {TENSOR("\"shape\":[1,1,1],\"data\":[\"a\"]"), RUNG_INVALID, "inputs[0].shape must be [n] or [n,1]"},
        {TENSOR("\"shape\":[0],\"data\":[]"), RUNG_INVALID, "inputs[0].shape[0]"},
        {TENSOR("\"shape\":[-1],\"data\":[]"), RUNG_INVALID, "inputs[0].shape[0]"},
        {TENSOR("\"shape\":[1.5],\"data\":[]"), RUNG_INVALID, "inputs[0].shape[0]"},
        {TENSOR("\"shape\":[4],\"data\":[]"), RUNG_LIMIT, "inputs[0].shape[0] is 4; the limit of this node is 3"},
        {TENSOR("\"shape\":[9000000000000000000],\"data\":[]"), RUNG_LIMIT, "limit"},
        {TENSOR("\"shape\":[1]"), RUNG_FORMAT, "inputs[0].data is missing"},
        {TENSOR("\"shape\":[2],\"data\":[\"a\"]"), RUNG_INVALID, "inputs[0].data holds 1 elements; shape says 2"},
        {TENSOR("\"shape\":[1],\"data\":[\"a\",\"b\"]"), RUNG_INVALID, "inputs[0].data holds 2 elements; shape says 1"},
        {TENSOR("\"shape\":[2],\"data\":[\"a\",2]"), RUNG_INVALID,
         "inputs[0].data[1] must be a string, not an integer"},
        {TENSOR("\"shape\":[1],\"data\":[[[\"a\"]]]"), RUNG_INVALID, "inputs[0].data[0] must be a string"},
        {TENSOR("\"shape\":[2],\"data\":[\"a\",\" \"]"), RUNG_NOT_FOUND, "inputs[0].data[1] is empty"},
        {TENSOR("\"shape\":[1],\"data\":[\"a\"],\"parameters\":[]"), RUNG_INVALID, "inputs[0].parameters"},
        {TENSOR("\"shape\":[1],\"parameters\":{\"shared_memory_region\":\"r\"}"), RUNG_UNSUPPORTED,
         "shared_memory_region"},
        {TENSOR("\"shape\":[1],\"parameters\":{\"binary_data_size\":5}"), RUNG_FORMAT, "up to 0"},
        {TENSOR("\"shape\":[1],\"parameters\":{\"binary_data_size\":\"5\"}"), RUNG_FORMAT, "binary_data_size"},
    };
    call c = {.body = {.policy = "before"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rung_status status = read_call(&c, cases[i].json, NULL, 0);
        if (status != cases[i].status || strstr(c.error.message, cases[i].part) == NULL) {
            fail_msg("%s: %s %s", cases[i].json, rung_status_name(status), c.error.message);
        }
        assert_string_equal(c.body.policy, "before");
        assert_int_equal(c.form.num_outputs, 0);
    }
}

/* Beside one good tensor. */
static void outputs_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        rung_status status;
        const char *part;
    } cases[] = {
        {"\"outputs\":{}", RUNG_INVALID, "outputs must be a list, not an object"},
        {"\"outputs\":[1]", RUNG_FORMAT, "outputs[0] is an integer"},
        {"\"outputs\":[{}]", RUNG_FORMAT, "outputs[0].name is missing"},
        {"\"outputs\":[{\"name\":\"label\"},{\"name\":\"logits\"}]", RUNG_INVALID,
         "outputs[1].name is 'logits'; the outputs are"},
        {"\"outputs\":[{\"name\":\"label\"},{\"name\":\"label\"}]", RUNG_INVALID,
         "outputs[1].name is 'label' for the second"},
        {"\"outputs\":[{\"name\":\"label\",\"parameters\":{\"binary_data\":1}}]", RUNG_INVALID,
         "outputs[0].parameters.binary_data"},
        {"\"outputs\":[{\"name\":\"label\",\"parameters\":{\"classification\":2}}]", RUNG_UNSUPPORTED,
         "classification"},
        {"\"outputs\":[{\"name\":\"label\",\"parameters\":{\"shared_memory_region\":\"r\"}}]", RUNG_UNSUPPORTED,
         "outputs[0].parameters.shared"},
        {"\"parameters\":{\"binary_data_output\":\"yes\"}", RUNG_INVALID,
         "parameters.binary_data_output must be true or false"},
        {"\"parameters\":7", RUNG_INVALID, "parameters must be an object"},
        {"\"id\":7", RUNG_INVALID, "id must be a string, not an integer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        call c = {0};
        char json[512];
        snprintf(json, sizeof json,
                 "{%s,\"inputs\":[{\"name\":\"x\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"a\"]}]}",
                 cases[i].json);
        rung_status status = read_call(&c, json, NULL, 0);
        if (status != cases[i].status || strstr(c.error.message, cases[i].part) == NULL) {
            fail_msg("%s: %s %s", json, rung_status_name(status), c.error.message);
        }
    }
}

static void sizes_that_do_not_agree(void **state)
{
    (void)state;
#define BINARY(n, size) TENSOR("\"shape\":[" n "],\"parameters\":{\"binary_data_size\":" size "}")
    static const struct {
        const char *json, *binary;
        size_t bytes;
        const char *part;
    } cases[] = {
        {BINARY("1", "6"), "\1\0\0\0a", 5, "up to 5"},
        {BINARY("1", "4"), "\1\0\0\0a", 5, "data[0] ends behind"},
        {BINARY("1", "5"), "\2\0\0\0a", 5, "data[0] ends behind"},
        {BINARY("1", "5"),
         "\xff\xff\xff\xff"
         "a",
         5, "data[0] ends behind"},
        {BINARY("2", "5"), "\1\0\0\0a", 5, "data[1] ends behind"},
        {BINARY("1", "6"), "\1\0\0\0ab", 6, "its 1 elements take 1 less"},
        {BINARY("1", "5"), "\1\0\0\0ab", 6, "1 bytes are left behind the JSON"},
        {BINARY("1", "-1"), "\1\0\0\0a", 5, "binary_data_size"},
        {BINARY("1", "5"), "\1\0\0\0\xff", 5, "inputs[0].data[0] is not valid UTF-8"},
        {TENSOR("\"shape\":[1],\"data\":[\"a\"],\"parameters\":{\"binary_data_size\":5}"), "\1\0\0\0a", 5,
         "beside binary_data_size"},
        {TENSOR("\"shape\":[1],\"data\":[\"a\"]"), "x", 1, "1 bytes are left"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        call c = {0};
        rung_status status = read_call(&c, cases[i].json, cases[i].binary, cases[i].bytes);
        if (status == RUNG_OK || strstr(c.error.message, cases[i].part) == NULL) {
            fail_msg("%s: %s %s", cases[i].json, rung_status_name(status), c.error.message);
        }
    }
    call c = {0};
    assert_int_equal(read_call(&c,
                               "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"a\"]},"
                               "{\"name\":\"y\",\"datatype\":\"BYTES\",\"shape\":[2],\"data\":[\"a\",\"b\"]}]}",
                               NULL, 0),
                     RUNG_INVALID);
    assert_non_null(strstr(c.error.message, "inputs[1].shape[0] is 2; that of inputs[0] is 1"));
}

static void lengths_of_the_json(void **state)
{
    (void)state;
    static const char json[] = TENSOR("\"shape\":[1],\"data\":[\"a\"]");
    static const char *const bad[] = {"", "-1", "1x", "99999", "99999999999999999999999999", " 5"};
    call c = {0};
    char exact[24];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(rung_v2_body_parse(json, sizeof json - 1, bad[i], 1, &c.body, &c.form, &c.error), RUNG_FORMAT);
        assert_non_null(strstr(c.error.message, "Inference-Header-Content-Length"));
    }
    snprintf(exact, sizeof exact, "%zu", sizeof json - 1);
    assert_int_equal(rung_v2_body_parse(json, sizeof json - 1, exact, 1, &c.body, &c.form, &c.error), RUNG_OK);
    release(&c);
    assert_int_equal(rung_v2_body_parse(json, sizeof json - 1, "0", 1, &c.body, &c.form, &c.error), RUNG_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_in_json),
        cmocka_unit_test(texts_behind_the_json),
        cmocka_unit_test(pairs),
        cmocka_unit_test(outputs_and_id),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(outputs_that_are_refused),
        cmocka_unit_test(sizes_that_do_not_agree),
        cmocka_unit_test(lengths_of_the_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
