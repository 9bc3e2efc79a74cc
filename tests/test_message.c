/* test_message.c: bodies between levels: valid JSON that says what the request holds (docs/wire.md). */
#include "base/base64.h"
#include "run/message.h"
#include "skip.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double workspaces[1][RUNG_REQUEST_WORKSPACE * 2];

static const double temperature[12] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

static rung_calibration make_calibration(void)
{
    rung_calibration calibration = {.num_levels = 3, .num_classes = 2};
    for (size_t l = 0; l < 3; l++) {
        calibration.level[l] = (rung_level_calibration){.num_exits = 12, .temperature = temperature, .accuracy = 0.9};
    }
    return calibration;
}

static json_t *parse(const rung_buffer *body)
{
    json_error_t error;
    json_t *root = json_loadb(body->data, body->length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (root == NULL) {
        fail_msg("%s in %s", error.text, body->data);
    }
    return root;
}

static void strings_are_escaped_where_json_demands(void **state)
{
    (void)state;
    static const char text[] = "a\"b\\c\n\t\x01\x1f\0é日🎬/";
    rung_buffer body = {0};
    rung_message_string(&body, text, sizeof text - 1);
    json_error_t error;
    json_t *back = json_loadb(body.data, body.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    assert_non_null(back);
    assert_int_equal(json_string_length(back), sizeof text - 1);
    assert_memory_equal(json_string_value(back), text, sizeof text - 1);
    assert_int_equal(body.length, sizeof text - 1 + 2 + 2 + 2 + 3 * 5); /* quotes; \" \\; \n \t; three \u00xx */
    json_decref(back);
    rung_buffer_deinit(&body);
}

/* A request at level 2 that has the result of level 1 and its own. */
static void make_request(rung_request *request, const rung_policy *policy, const rung_calibration *calibration)
{
    rung_request_init(request, policy, calibration, 2, 1, 0x0123456789abcdefu, workspaces[0]);
    for (size_t l = 0; l < 2; l++) {
        rung_level_result *result = &request->results[l];
        result->visited = true;
        result->exit_layer = (uint32_t)l + 2;
        result->num_layers = 6;
        result->confidence = 0.7;
        result->probabilities[0] = 1.0 / 3;
        result->probabilities[1] = 2.0 / 3;
    }
}

static void text_and_prior_are_there(void **state)
{
    (void)state;
    rung_policy policy;
    rung_error error;
    const rung_calibration calibration = make_calibration();
    assert_int_equal(rung_policy_defaults("rung", 3, &policy, &error), RUNG_OK);
    rung_request request;
    make_request(&request, &policy, &calibration);
    rung_payload payload = {.text = {"kept words", 10}, .pair = {"and more", 8}};
    rung_buffer body = {0};
    rung_message_request(&body, &request, &payload, 2, NULL);
    json_t *root = parse(&body);
    assert_int_equal(json_object_size(root), 4);
    assert_string_equal(json_string_value(json_object_get(root, "key")), "0123456789abcdef");
    assert_string_equal(json_string_value(json_object_get(root, "text")), "kept words");
    assert_string_equal(json_string_value(json_object_get(root, "text_pair")), "and more");
    const json_t *prior = json_object_get(root, "prior");
    assert_int_equal(json_array_size(prior), 2);
    const json_t *first = json_array_get(prior, 0);
    assert_int_equal(json_integer_value(json_object_get(first, "level")), 1);
    assert_int_equal(json_integer_value(json_object_get(first, "exit_layer")), 2);
    assert_int_equal(json_integer_value(json_object_get(first, "layers")), 6);
    double third = json_number_value(json_array_get(json_object_get(first, "probabilities"), 0));
    assert_true((float)third == (float)(1.0 / 3)); /* the float comes back exactly */
    json_decref(root);
    rung_buffer_clear(&body);
    rung_message_request(&body, &request, &payload, 2, "single(3)");
    root = parse(&body);
    assert_int_equal(json_object_size(root), 5);
    assert_string_equal(json_string_value(json_object_get(root, "policy")), "single(3)");
    json_decref(root);
    rung_buffer_deinit(&body);
}

/* What goes up ahead of the level's own result is what the watched exit said, and stays so afterwards. */
static void the_prior_is_of_the_watched_exit(void **state)
{
    (void)state;
    rung_policy policy;
    rung_error error;
    rung_calibration calibration = make_calibration();
    assert_int_equal(rung_policy_defaults("rung", 3, &policy, &error), RUNG_OK);
    policy.offload.speculate[0] = policy.offload.skip[0] = 1;
    rung_request request;
    rung_request_init(&request, &policy, &calibration, 1, 1, 7, workspaces[0]);
    const float little[2] = {0, 0.5f};
    rung_event event = {.kind = RUNG_EVENT_START};
    assert_int_equal(rung_request_step(&request, &event), RUNG_ACTION_COMPUTE);
    event = (rung_event){.kind = RUNG_EVENT_EXIT, .exit_layer = 2, .num_layers = 12, .logits = little};
    assert_int_equal(rung_request_step(&request, &event), RUNG_ACTION_SEND);
    rung_payload payload = {.text = {"kept words", 10}};
    rung_buffer bodies[2] = {{0}};
    rung_message_request(&bodies[0], &request, &payload, 2, NULL);
    const float other[2] = {0.25f, 0};
    event = (rung_event){.kind = RUNG_EVENT_LOCAL_DONE, .exit_layer = 12, .num_layers = 12, .logits = other};
    assert_int_equal(rung_request_step(&request, &event), RUNG_ACTION_NONE);
    rung_message_request(&bodies[1], &request, &payload, 2, NULL);
    assert_string_equal(bodies[0].data, bodies[1].data);
    json_t *root = parse(&bodies[0]);
    assert_int_equal(json_integer_value(json_object_get(root, "first_level")), 3);
    const json_t *prior = json_object_get(root, "prior");
    assert_int_equal(json_array_size(prior), 1);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(prior, 0), "exit_layer")), 2);
    json_decref(root);
    rung_buffer_deinit(&bodies[0]);
    rung_buffer_deinit(&bodies[1]);
}

static const rung_level_answer found = {.level = 2,
                                        .exit_layer = 3,
                                        .layers = 6,
                                        .tokens = 231,
                                        .truncated_tokens = 7,
                                        .words = 188,
                                        .kept_words = 140,
                                        .bytes_up = 802,
                                        .bytes_down = 411,
                                        .compute_ms = 0.9,
                                        .queue_ms = 1.5,
                                        .link_ms = 12.25};

static void a_reply_says_what_each_level_did(void **state)
{
    (void)state;
    static const char *const names[] = {"tokens",     "truncated_tokens", "words",    "kept_words", "bytes_up",
                                        "bytes_down", "compute_ms",       "queue_ms", "link_ms"};
    static const double values[] = {231, 7, 188, 140, 802, 411, 0.9, 1.5, 12.25};
    rung_policy policy;
    rung_error error;
    const rung_calibration calibration = make_calibration();
    assert_int_equal(rung_policy_defaults("rung", 3, &policy, &error), RUNG_OK);
    rung_request request;
    make_request(&request, &policy, &calibration);
    const rung_level_answer did[] = {found, {.level = 0}, {.level = 3, .bytes_up = 9}};
    rung_buffer body = {0};
    rung_message_reply(&body, &request, did, 3, 2, 20.5);
    json_t *root = parse(&body);
    assert_int_equal(json_object_size(root), 2);
    assert_true(json_number_value(json_object_get(root, "wall_ms")) == 20.5);
    const json_t *levels = json_object_get(root, "levels");
    assert_int_equal(json_array_size(levels), 2); /* what did nothing is not there */
    const json_t *own = json_array_get(levels, 0);
    assert_int_equal(json_object_size(own), 5 + 9);
    assert_int_equal(json_integer_value(json_object_get(own, "level")), 2);
    assert_int_equal(json_integer_value(json_object_get(own, "exit_layer")), 3);
    assert_int_equal(json_integer_value(json_object_get(own, "layers")), 6);
    assert_true(json_real_value(json_object_get(own, "confidence")) == 0.7);
    assert_int_equal(json_array_size(json_object_get(own, "probabilities")), 2);
    for (size_t i = 0; i < 9; i++) {
        assert_true(json_number_value(json_object_get(own, names[i])) == values[i]);
    }
    const json_t *passed_on = json_array_get(levels, 1);
    assert_int_equal(json_object_size(passed_on), 3 + 9); /* it found nothing */
    assert_int_equal(json_integer_value(json_object_get(passed_on, "bytes_up")), 9);
    json_decref(root);
    rung_buffer_clear(&body);
    request.degraded = RUNG_DEGRADED_DEADLINE;
    rung_message_reply(&body, &request, did, 3, 2, 20.5);
    root = parse(&body);
    assert_string_equal(json_string_value(json_object_get(root, "degraded")), "deadline");
    json_decref(root);
    rung_buffer_deinit(&body);
}

static void lengths_do_not_depend_on_times(void **state)
{
    (void)state;
    static const double times[] = {0,         -0.0, -1,           1e-300, 9.9999999e-5, 1.0 / 3,
                                   12345.678, 1e98, 9.9999999e99, 1e300,  NAN,          INFINITY};
    rung_policy policy;
    rung_error error;
    const rung_calibration calibration = make_calibration();
    assert_int_equal(rung_policy_defaults("rung", 3, &policy, &error), RUNG_OK);
    rung_request request;
    make_request(&request, &policy, &calibration);
    size_t length = 0;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        rung_level_answer did = found;
        did.compute_ms = did.queue_ms = did.link_ms = times[i];
        rung_buffer body = {0};
        rung_message_reply(&body, &request, &did, 1, 2, times[i]);
        json_decref(parse(&body));
        assert_true(length == 0 || body.length == length);
        length = body.length;
        rung_buffer_deinit(&body);
    }
}

static void check_ids(int32_t last_id, const char *field, size_t width, bool pair)
{
    rung_policy policy;
    rung_error error;
    const rung_calibration calibration = make_calibration();
    assert_int_equal(rung_policy_defaults("rung", 3, &policy, &error), RUNG_OK);
    rung_request request;
    make_request(&request, &policy, &calibration);
    for (size_t count = 1; count <= 7; count++) { /* every length of base64's last group */
        int32_t ids[7] = {101, 2023, 3, 65535, 0, 102, 7};
        uint8_t types[7] = {0};
        ids[count - 1] = last_id;
        types[count - 1] = pair ? 1 : 0;
        rung_encoding tokens = {.length = count, .ids = ids, .type_ids = types};
        rung_payload payload = {.text = {"not sent", 8}, .tokens = &tokens};
        rung_buffer body = {0};
        rung_message_request(&body, &request, &payload, 2, NULL);
        json_t *root = parse(&body);
        assert_null(json_object_get(root, "text"));
        const char *text = json_string_value(json_object_get(root, field));
        assert_non_null(text);
        assert_int_equal(strlen(text) % 4, 0);
        uint8_t bytes[64] = {0};
        size_t num_bytes = 0;
        assert_int_equal(rung_base64_decode(text, strlen(text), bytes, &num_bytes, &error), RUNG_OK);
        assert_int_equal(num_bytes, count * width);
        for (size_t i = 0; i < count; i++) {
            uint32_t id = 0;
            for (size_t b = 0; b < width; b++) {
                id |= (uint32_t)bytes[i * width + b] << (8 * b);
            }
            assert_int_equal(id, ids[i]);
        }
        const json_t *from = json_object_get(root, "pair_from");
        assert_int_equal(from != NULL, pair);
        assert_true(!pair || json_integer_value(from) == (json_int_t)count - 1);
        json_decref(root);
        rung_buffer_deinit(&body);
    }
}

static void token_ids_come_back(void **state)
{
    (void)state;
    check_ids(30521, "tokens16", 2, false);
    check_ids(65536, "tokens32", 4, false);
    check_ids(5, "tokens16", 2, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_escaped_where_json_demands), cmocka_unit_test(text_and_prior_are_there),
        cmocka_unit_test(the_prior_is_of_the_watched_exit),       cmocka_unit_test(a_reply_says_what_each_level_did),
        cmocka_unit_test(lengths_do_not_depend_on_times),         cmocka_unit_test(token_ids_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
