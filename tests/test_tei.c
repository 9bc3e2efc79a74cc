/* test_tei.c: requests to Text Embeddings Inference, byte by byte, its replies and what it says of its model. */
#include "net/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const labels[] = {"neg", "pos"};
static const rung_remote_reader reader = {.num_classes = 2, .labels = labels};

static void expect_request(const char *text, const char *pair, const char *expected)
{
    rung_buffer body = {0};
    const rung_payload payload = {.text = {text, strlen(text)}, .pair = {pair, pair != NULL ? strlen(pair) : 0}};
    rung_protocol_tei.write(&(rung_remote){.protocol = RUNG_PROTOCOL_TEI}, &payload, &body);
    assert_string_equal(body.data, expected);
    rung_buffer_deinit(&body);
}

static void requests(void **state)
{
    (void)state;
    rung_protocol_paths paths;
    expect_request("so \"good\"\n", NULL, "{\"inputs\":\"so \\\"good\\\"\\n\",\"truncate\":true}");
    expect_request("a", "b", "{\"inputs\":[\"a\",\"b\"],\"truncate\":true}");
    rung_protocol_tei.paths(&(rung_remote){0}, &paths);
    assert_string_equal(paths.ask, "/predict");
    assert_string_equal(paths.probe, "/health");
    assert_string_equal(paths.identity, "/info");
}

static rung_status parse(const char *body, double p[2], rung_error *error)
{
    return rung_protocol_tei.parse(body, strlen(body), &reader, p, error);
}

static void replies(void **state)
{
    (void)state;
    rung_error error = {0};
    double p[2] = {7, 7};
    assert_int_equal(parse("{\"error\":\"x\",\"error_type\":\"Validation\"}", p, &error), RUNG_FORMAT);
    assert_int_equal(parse("[{\"label\":\"pos\",\"score\":NaN},{\"label\":\"neg\",\"score\":0}]", p, &error),
                     RUNG_FORMAT);
    assert_int_equal(parse("[[{\"label\":\"pos\",\"score\":1},{\"label\":\"neg\",\"score\":0}]]", p, &error),
                     RUNG_FORMAT);
    assert_int_equal(parse("", p, &error), RUNG_FORMAT);
    assert_int_equal(parse("[{\"label\":\"pos\",\"label\":\"neg\",\"score\":1}]", p, &error), RUNG_FORMAT);
    assert_true(p[0] == 7 && p[1] == 7);
    assert_int_equal(parse("[{\"score\":0.98,\"label\":\"pos\"},{\"score\":0.02,\"label\":\"neg\"}]", p, &error),
                     RUNG_OK);
    assert_true(p[0] == 0.02 && p[1] == 0.98);
}

static rung_status identify(const char *body, rung_model_identity *identity, rung_error *error)
{
    return rung_protocol_identify(&rung_protocol_tei, body, strlen(body), identity, error);
}

static void identities(void **state)
{
    (void)state;
    rung_error error = {0};
    rung_model_identity one = {0};
    rung_model_identity other = {0};
    assert_int_equal(identify("{\"model_sha\":\"abc\",\"model_id\":\"me/m\",\"version\":\"1.5\"}", &one, &error),
                     RUNG_OK);
    assert_string_equal(one.text, "{\"protocol\":\"tei\",\"model_id\":\"me/m\",\"model_sha\":\"abc\"}");
    assert_int_equal(identify("{\"model_id\":\"me/m\",\"model_sha\":null}", &other, &error), RUNG_OK);
    assert_string_equal(other.text, "{\"protocol\":\"tei\",\"model_id\":\"me/m\",\"model_sha\":null}");
    assert_string_not_equal(one.sha256, other.sha256);
    assert_int_equal(identify("{\"model_sha\":\"abc\"}", &one, &error), RUNG_FORMAT);
    assert_string_equal(error.message, "model_id is missing; it must be a string");
    assert_int_equal(identify("[]", &one, &error), RUNG_FORMAT);
    rung_model_identity_deinit(&one);
    rung_model_identity_deinit(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(requests), cmocka_unit_test(replies),
                                       cmocka_unit_test(identities)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
