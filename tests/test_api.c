/* test_api.c: what the APIs have in common: faults of statuses, numbers in headers, and that every API has a status and an error for every fault. */
#include "serve/api.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const rung_api *const apis[RUNG_APIS] = {&rung_api_rung, &rung_api_tei, &rung_api_v2, &rung_api_openai,
                                                &rung_api_vllm};

static void faults_of_statuses(void **state)
{
    (void)state;
    assert_int_equal(rung_fault_of(RUNG_FORMAT), RUNG_FAULT_FORMAT);
    assert_int_equal(rung_fault_of(RUNG_NOT_FOUND), RUNG_FAULT_EMPTY);
    assert_int_equal(rung_fault_of(RUNG_UNSUPPORTED), RUNG_FAULT_UNSUPPORTED);
    assert_int_equal(rung_fault_of(RUNG_LIMIT), RUNG_FAULT_LIMIT);
    assert_int_equal(rung_fault_of(RUNG_NO_MEMORY), RUNG_FAULT_NO_MEMORY);
    assert_int_equal(rung_fault_of(RUNG_IO), RUNG_FAULT_IO);
    assert_int_equal(rung_fault_of(RUNG_INVALID), RUNG_FAULT_INVALID);
    assert_int_equal(rung_fault_of(RUNG_MISMATCH), RUNG_FAULT_INVALID);
    assert_int_equal(rung_fault_of_http(413), RUNG_FAULT_LIMIT);
    assert_int_equal(rung_fault_of_http(431), RUNG_FAULT_FORMAT);
    assert_int_equal(rung_fault_of_http(501), RUNG_FAULT_UNSUPPORTED);
    assert_int_equal(rung_fault_of_http(503), RUNG_FAULT_OVERLOADED);
}

/* The message comes back whole, whatever is in it. */
static void every_fault_has_its_error(void **state)
{
    (void)state;
    static const char message[] = "input[3].text \"x\"\n is \\ wrong";
    for (size_t a = 0; a < RUNG_APIS; a++) {
        assert_int_equal(apis[a]->id, a);
        for (int fault = 0; fault < RUNG_FAULTS; fault++) {
            rung_buffer out = {0};
            unsigned status = apis[a]->http_status[fault];
            assert_in_range(status, 400, 599);
            apis[a]->error(&out, (rung_fault)fault, status, message);
            assert_false(out.failed);
            assert_null(strchr(out.data, '\n'));
            json_t *json = json_loadb(out.data, out.length, 0, NULL);
            assert_non_null(json);
            const json_t *error = json_object_get(json, "error");
            const json_t *text = json_is_object(error) ? json_object_get(error, "message") : error;
            assert_string_equal(json_string_value(text), message);
            if (json_is_object(error)) {
                assert_string_equal(json_string_value(json_object_get(error, "param")), "input[3].text");
            }
            json_decref(json);
            rung_buffer_deinit(&out);
        }
    }
}

static void numbers_in_headers(void **state)
{
    (void)state;
    rung_api_answer answer = {.num_headers = 0};
    rung_api_answer_number(&answer, "a", 0);
    rung_api_answer_number(&answer, "b", UINT64_MAX);
    assert_int_equal(answer.num_headers, 2);
    assert_string_equal(answer.headers[0].value, "0");
    assert_string_equal(answer.headers[1].name, "b");
    assert_string_equal(answer.headers[1].value, "18446744073709551615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_of_statuses),
        cmocka_unit_test(every_fault_has_its_error),
        cmocka_unit_test(numbers_in_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
