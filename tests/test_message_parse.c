/* test_message_parse.c: what message.c writes comes back, and everything else that may arrive between levels is refused with a message that
 * begins with the field. */
#include "base/base64.h"
#include "net/message_parse.h"
#include "run/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const rung_message_reader reader = {.level = 2, .num_levels = 3, .num_classes = 2, .max_tokens = 8};
static const double temperature[12] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

typedef struct sender {
    rung_policy policy;
    rung_calibration calibration;
    rung_request request;
    double workspace[RUNG_REQUEST_WORKSPACE * 2];
    rung_buffer body;
} sender;

/* A request at `level` that has results of levels first .. last. */
static void open_sender(sender *s, uint32_t level, uint32_t first, uint32_t last)
{
    rung_error error;
    *s = (sender){.calibration = {.num_levels = 3, .num_classes = 2}};
    for (size_t l = 0; l < 3; l++) {
        s->calibration.level[l] =
            (rung_level_calibration){.num_exits = 12, .temperature = temperature, .accuracy = 0.9};
    }
    assert_int_equal(rung_policy_defaults("rung", 3, &s->policy, &error), RUNG_OK);
    rung_request_init(&s->request, &s->policy, &s->calibration, level, 1, 0x0123456789abcdefu, s->workspace);
    for (uint32_t l = first; l <= last; l++) {
        rung_level_result *result = &s->request.results[l - 1];
        result->visited = true;
        result->exit_layer = l + 1;
        result->num_layers = 6;
        result->confidence = (float)(2.0 / 3);
        result->probabilities[0] = 1.0 / 3;
        result->probabilities[1] = 2.0 / 3;
    }
}

static void close_sender(sender *s)
{
    rung_buffer_deinit(&s->body);
}

static void a_text_comes_back(void **state)
{
    (void)state;
    sender s;
    open_sender(&s, 1, 1, 1);
    rung_payload payload = {.text = {"kept\0 \"words\"", 13}, .pair = {"h\xc3\xa9", 3}};
    rung_message_request(&s.body, &s.request, &payload, 2, "single(3)");
    rung_message message = {0};
    rung_error error;
    assert_int_equal(rung_message_parse(s.body.data, s.body.length, &reader, &message, &error), RUNG_OK);
    assert_true(message.key == 0x0123456789abcdefu);
    assert_string_equal(message.policy, "single(3)");
    assert_int_equal(message.text_bytes, 13);
    assert_memory_equal(message.text, "kept\0 \"words\"", 14);
    assert_int_equal(message.pair_bytes, 3);
    assert_memory_equal(message.pair, "h\xc3\xa9", 4);
    assert_null(message.ids);
    const rung_level_result *first = &message.results[0];
    assert_true(first->visited && !message.results[1].visited);
    assert_int_equal(first->exit_layer, 2);
    assert_int_equal(first->num_layers, 6);
    assert_true(first->confidence == (float)(2.0 / 3));
    assert_true(first->probabilities[0] == (float)(1.0 / 3) && first->probabilities[1] == (float)(2.0 / 3));
    rung_message_deinit(&message);
    assert_null(message.text);
    close_sender(&s);
}

static void the_level_to_compute_comes_back(void **state)
{
    (void)state;
    sender s;
    open_sender(&s, 1, 1, 1);
    s.request.first_level = 3;
    rung_payload payload = {.text = {"text", 4}};
    rung_message_request(&s.body, &s.request, &payload, 2, NULL);
    rung_message message = {0};
    rung_error error;
    assert_int_equal(rung_message_parse(s.body.data, s.body.length, &reader, &message, &error), RUNG_OK);
    assert_int_equal(message.first_level, 3);
    rung_buffer_clear(&s.body);
    s.request.first_level = 2; /* simply the next one */
    rung_message_request(&s.body, &s.request, &payload, 2, NULL);
    assert_int_equal(rung_message_parse(s.body.data, s.body.length, &reader, &message, &error), RUNG_OK);
    assert_int_equal(message.first_level, 0);
    rung_message_deinit(&message);
    close_sender(&s);
}

static void ids_come_back(int32_t largest, uint8_t pair)
{
    int32_t ids[8] = {101, 0, 7, 65535, 0, 0, 0, 0};
    uint8_t types[8] = {0};
    for (size_t count = 1; count <= 8; count++) {
        sender s;
        open_sender(&s, 1, 1, 0);
        ids[count - 1] = largest;
        types[count - 1] = count > 1 ? pair : 0;
        rung_encoding tokens = {.length = count, .ids = ids, .type_ids = types};
        rung_payload payload = {.tokens = &tokens};
        rung_message_request(&s.body, &s.request, &payload, 2, NULL);
        rung_message message = {0};
        rung_error error;
        assert_int_equal(rung_message_parse(s.body.data, s.body.length, &reader, &message, &error), RUNG_OK);
        assert_int_equal(message.num_ids, count);
        assert_memory_equal(message.ids, ids, count * sizeof ids[0]);
        assert_string_equal(message.policy, "");
        assert_true(message.text == NULL && message.pair == NULL);
        assert_int_equal(message.pair_from != 0, count > 1 && pair != 0);
        assert_true(message.pair_from == 0 || types[message.pair_from] != 0);
        rung_message_deinit(&message);
        close_sender(&s);
    }
}

static void token_ids_come_back(void **state)
{
    (void)state;
    ids_come_back(30521, 0);
    ids_come_back(30521, 1);
    ids_come_back(INT32_MAX, 1);
}

static void a_reply_comes_back(void **state)
{
    (void)state;
    static const rung_message_reader below = {.level = 1, .num_levels = 3, .num_classes = 2, .max_tokens = 8};
    sender s;
    open_sender(&s, 2, 1, 3);
    s.request.results[1].visited = false; /* level 2 only passed on */
    s.request.degraded = RUNG_DEGRADED_BAD_REPLY;
    const rung_level_answer did[] = {{.level = 2, .bytes_up = 500, .bytes_down = 400, .link_ms = 12.25},
                                     {.level = 3,
                                      .exit_layer = 4,
                                      .layers = 6,
                                      .tokens = 1,
                                      .truncated_tokens = 2,
                                      .words = 3,
                                      .kept_words = 4,
                                      .compute_ms = 0.5,
                                      .queue_ms = 0.25}};
    rung_message_reply(&s.body, &s.request, did, 2, 2, 20.5);
    rung_reply reply = {0};
    rung_error error;
    assert_int_equal(rung_reply_parse(s.body.data, s.body.length, &below, &reply, &error), RUNG_OK);
    assert_int_equal(reply.top_level, 3);
    assert_int_equal(reply.degraded, RUNG_DEGRADED_BAD_REPLY);
    assert_true(reply.wall_ms == 20.5);
    assert_true(!reply.results[0].visited && !reply.results[1].visited && reply.results[2].visited);
    assert_int_equal(reply.results[2].exit_layer, 4);
    assert_true(reply.results[2].probabilities[1] == (float)(2.0 / 3));
    assert_int_equal(reply.did[0].level, 0);
    assert_memory_equal(&reply.did[1], &did[0], sizeof did[0]);
    assert_memory_equal(&reply.did[2], &did[1], sizeof did[1]);
    rung_reply_deinit(&reply);
    close_sender(&s);
}

typedef struct bad_body {
    const char *body;
    rung_status status;
    const char *message; /* begins so */
} bad_body;

#define KEY "\"key\":\"0123456789abcdef\""
#define FOUND(level, confidence, probabilities)                                                                        \
    "{\"level\":" level ",\"exit_layer\":2,\"layers\":6,\"confidence\":" confidence                                    \
    ",\"probabilities\":" probabilities "}"
#define WITH_PRIOR(prior) "{" KEY ",\"text\":\"a\",\"prior\":[" prior "]}"

static const bad_body bad_messages[] = {
    {"", RUNG_FORMAT, "body: not valid JSON"},
    {"[]", RUNG_FORMAT, "body: an array; it must be an object"},
    {"{\"text\":\"a\",\"prior\":[]}", RUNG_FORMAT, "key is missing; it must be a string"},
    {"{\"key\":7,\"text\":\"a\",\"prior\":[]}", RUNG_FORMAT, "key is an integer; it must be a string"},
    {"{\"key\":\"0123456789abcde\",\"text\":\"a\",\"prior\":[]}", RUNG_INVALID, "key must be 16 hexadecimal digits"},
    {"{\"key\":\"0123456789abcdeg\",\"text\":\"a\",\"prior\":[]}", RUNG_INVALID, "key must be 16 hexadecimal digits"},
    {"{\"key\":\"0123456789abcde\\u0000\",\"text\":\"a\",\"prior\":[]}", RUNG_INVALID, "key must be 16"},
    {"{" KEY "," KEY ",\"text\":\"a\",\"prior\":[]}", RUNG_FORMAT, "body: not valid JSON"},
    {"{" KEY ",\"prior\":[]}", RUNG_FORMAT, "text, tokens16, tokens32: 0 of them came; it must be one"},
    {"{" KEY ",\"text\":\"a\",\"tokens16\":\"ZQA=\",\"prior\":[]}", RUNG_INVALID,
     "text, tokens16, tokens32: 2 of them came"},
    {"{" KEY ",\"text\":\"a\"}", RUNG_FORMAT, "prior is missing; it must be a list"},
    {"{" KEY ",\"text\":\"a\",\"prior\":{}}", RUNG_FORMAT, "prior is an object; it must be a list"},
    {"{" KEY ",\"text\":\"a\",\"prior\":[],\"txt\":1}", RUNG_FORMAT, "txt is unknown; did you mean 'text'?"},
    {"{" KEY ",\"text\":\"\",\"prior\":[]}", RUNG_INVALID, "text is empty"},
    {"{" KEY ",\"text\":[],\"prior\":[]}", RUNG_FORMAT, "text is an array; it must be a string"},
    {"{" KEY ",\"text\":\"\\ud800\",\"prior\":[]}", RUNG_FORMAT, "body: not valid JSON"},
    {"{" KEY ",\"text\":\"\xff\",\"prior\":[]}", RUNG_FORMAT, "body: not valid JSON"},
    {"{" KEY ",\"text\":\"a\",\"text_pair\":\"\",\"prior\":[]}", RUNG_INVALID, "text_pair is empty"},
    {"{" KEY ",\"tokens16\":\"ZQA=\",\"text_pair\":\"a\",\"prior\":[]}", RUNG_INVALID, "text_pair came without text"},
    {"{" KEY ",\"text\":\"a\",\"pair_from\":1,\"prior\":[]}", RUNG_INVALID, "pair_from came with a text"},
    {"{" KEY ",\"tokens16\":\"ZQA=\",\"pair_from\":1,\"prior\":[]}", RUNG_INVALID,
     "pair_from is 1; only 1 tokens came"},
    {"{" KEY ",\"tokens16\":\"ZQBl\",\"prior\":[]}", RUNG_INVALID,
     "tokens16 holds 3 bytes; it must be a multiple of 2"},
    {"{" KEY ",\"tokens16\":\"\",\"prior\":[]}", RUNG_INVALID, "tokens16 holds 0 bytes"},
    {"{" KEY ",\"tokens16\":\"ZQ A\",\"prior\":[]}", RUNG_FORMAT, "tokens16 is not base64: byte 0x20 at offset 2"},
    {"{" KEY ",\"tokens16\":\"AAAAAAAAAAAAAAAAAAAAAAAA\",\"prior\":[]}", RUNG_LIMIT,
     "tokens16: 9 tokens, the limit of this level's model is 8"},
    {"{" KEY ",\"tokens16\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"prior\":[]}", RUNG_LIMIT,
     "tokens16: more than 8 tokens, the limit of this level's model"},
    {"{" KEY ",\"tokens32\":\"/////w==\",\"prior\":[]}", RUNG_INVALID,
     "tokens32: id 4294967295 at position 0 is above"},
    {"{" KEY ",\"policy\":\"\",\"text\":\"a\",\"prior\":[]}", RUNG_INVALID, "policy is no name of 1 to 31 characters"},
    {"{" KEY ",\"policy\":\"0123456789abcdef0123456789abcdef\",\"text\":\"a\",\"prior\":[]}", RUNG_INVALID,
     "policy is no name"},
    {"{" KEY ",\"policy\":\"a\\u0000b\",\"text\":\"a\",\"prior\":[]}", RUNG_INVALID, "policy is no name"},
    {"{" KEY ",\"text\":\"a\",\"first_level\":2,\"prior\":[]}", RUNG_INVALID,
     "first_level is 2; it must be from 3 to 3"},
    {"{" KEY ",\"text\":\"a\",\"first_level\":4,\"prior\":[]}", RUNG_INVALID,
     "first_level is 4; it must be from 3 to 3"},
    {"{" KEY ",\"text\":\"a\",\"first_level\":0,\"prior\":[]}", RUNG_INVALID,
     "first_level is 0; it must be from 3 to 3"},
    {"{" KEY ",\"text\":\"a\",\"first_level\":3.0,\"prior\":[]}", RUNG_FORMAT, "first_level is a real number"},
    {WITH_PRIOR("7"), RUNG_FORMAT, "prior[0] is an integer; it must be an object"},
    {WITH_PRIOR(FOUND("2", "0.5", "[0.5,0.5]")), RUNG_INVALID, "prior[0].level is 2; it must be from 1 to 1"},
    {WITH_PRIOR(FOUND("0", "0.5", "[0.5,0.5]")), RUNG_INVALID, "prior[0].level is 0; it must be from 1 to 1"},
    {WITH_PRIOR(FOUND("-1", "0.5", "[0.5,0.5]")), RUNG_INVALID, "prior[0].level is -1; it must be from 1 to 1"},
    {WITH_PRIOR(FOUND("1.0", "0.5", "[0.5,0.5]")), RUNG_FORMAT, "prior[0].level is a real number"},
    {WITH_PRIOR(FOUND("1", "0.5", "[0.5,0.5]") "," FOUND("1", "0.5", "[0.5,0.5]")), RUNG_INVALID,
     "prior[1].level: one level too many; levels rise, and 1 is the last"},
    {WITH_PRIOR(FOUND("1", "1.5", "[0.5,0.5]")), RUNG_INVALID, "prior[0].confidence is 1.5; it must be from 0 to 1"},
    {WITH_PRIOR(FOUND("1", "NaN", "[0.5,0.5]")), RUNG_FORMAT, "body: not valid JSON"},
    {WITH_PRIOR(FOUND("1", "1e999", "[0.5,0.5]")), RUNG_FORMAT, "body: not valid JSON"},
    {WITH_PRIOR(FOUND("1", "0.5", "[0.5]")), RUNG_INVALID, "prior[0].probabilities has 1 numbers; the cascade has 2"},
    {WITH_PRIOR(FOUND("1", "0.5", "[0.5,null]")), RUNG_FORMAT, "prior[0].probabilities[1] is no number"},
    {WITH_PRIOR(FOUND("1", "0.5", "[-0.5,1.5]")), RUNG_INVALID, "prior[0].probabilities[0] is -0.5; it must be from 0"},
    {WITH_PRIOR(FOUND("1", "0.5", "[0.5,0.6]")), RUNG_INVALID, "prior[0].probabilities add up to 1.1; it must be 1"},
    {WITH_PRIOR("{\"level\":1,\"exit_layer\":7,\"layers\":6,\"confidence\":0.5,\"probabilities\":[0.5,0.5]}"),
     RUNG_INVALID, "prior[0].exit_layer is 7; it must be from 1 to 6"},
    {WITH_PRIOR("{\"level\":1,\"exit_layer\":7,\"layers\":129,\"confidence\":0.5,\"probabilities\":[0.5,0.5]}"),
     RUNG_INVALID, "prior[0].layers is 129; it must be from 1 to 128"},
    {WITH_PRIOR("{\"level\":1,\"exit_layer\":2,\"layers\":6,\"confidence\":0.5,\"probabilities\":[0.5,0.5],\"x\":1}"),
     RUNG_FORMAT, "prior[0].x is unknown"},
};

static void bad_messages_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_messages / sizeof bad_messages[0]; i++) {
        const bad_body *bad = &bad_messages[i];
        rung_message message = {.key = 99};
        rung_error error = {0};
        rung_status status = rung_message_parse(bad->body, strlen(bad->body), &reader, &message, &error);
        if (status != bad->status || strncmp(error.message, bad->message, strlen(bad->message)) != 0) {
            fail_msg("%s: %s: %s", bad->body, rung_status_name(status), error.message);
        }
        assert_true(message.key == 99 && message.text == NULL); /* untouched */
    }
    static const rung_message_reader top = {.level = 3, .num_levels = 3, .num_classes = 2, .max_tokens = 8};
    static const char skips[] = "{" KEY ",\"text\":\"a\",\"first_level\":4,\"prior\":[]}";
    rung_message message = {.key = 99};
    rung_error error = {0};
    assert_int_equal(rung_message_parse(skips, sizeof skips - 1, &top, &message, &error), RUNG_INVALID);
    assert_non_null(strstr(error.message, "first_level came to level 3 of 3"));
}

#define COUNTS                                                                                                         \
    ",\"tokens\":1,\"truncated_tokens\":0,\"words\":1,\"kept_words\":1,\"bytes_up\":0,\"bytes_down\":0,\"compute_"     \
    "ms\":1,"                                                                                                          \
    "\"queue_ms\":0,\"link_ms\":0}"
#define DID(level) "{\"level\":" level ",\"exit_layer\":0,\"layers\":0" COUNTS
#define REPLY(levels) "{\"levels\":[" levels "],\"wall_ms\":1}"

static const bad_body bad_replies[] = {
    {"garbage", RUNG_FORMAT, "body: not valid JSON"},
    {"{\"wall_ms\":1}", RUNG_FORMAT, "levels is missing; it must be a list"},
    {"{\"levels\":[]}", RUNG_FORMAT, "wall_ms is missing; it must be a number"},
    {"{\"levels\":[],\"wall_ms\":-1}", RUNG_INVALID, "wall_ms is -1; it must be from 0"},
    {"{\"levels\":[],\"wall_ms\":1,\"degraded\":\"no\"}", RUNG_INVALID, "degraded is no reason"},
    {"{\"levels\":[],\"wall_ms\":1,\"degraded\":true}", RUNG_FORMAT, "degraded is true or false"},
    {REPLY(DID("2")), RUNG_INVALID, "levels[0].level is 2; it must be from 3 to 3"},
    {REPLY(DID("4")), RUNG_INVALID, "levels[0].level is 4; it must be from 3 to 3"},
    {REPLY(DID("3") "," DID("3")), RUNG_INVALID, "levels[1].level: one level too many"},
    {REPLY("{\"level\":3,\"exit_layer\":1,\"layers\":0" COUNTS), RUNG_INVALID,
     "levels[0].exit_layer is 1; it must be from 0 to 0"},
    {REPLY("{\"level\":3,\"exit_layer\":1,\"layers\":2,\"confidence\":0.5" COUNTS), RUNG_FORMAT,
     "levels[0].probabilities is missing"},
    {REPLY("{\"level\":3,\"exit_layer\":0,\"layers\":2,\"confidence\":0.5,\"probabilities\":[0.5,0.5]" COUNTS),
     RUNG_INVALID, "levels[0].exit_layer is 0; it must be from 1 to 2"},
    {REPLY("{\"level\":3,\"exit_layer\":0,\"layers\":0}"), RUNG_FORMAT, "levels[0].tokens is missing"},
};

static void bad_replies_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_replies / sizeof bad_replies[0]; i++) {
        const bad_body *bad = &bad_replies[i];
        rung_reply reply = {.wall_ms = 99};
        rung_error error = {0};
        rung_status status = rung_reply_parse(bad->body, strlen(bad->body), &reader, &reply, &error);
        if (status != bad->status || strncmp(error.message, bad->message, strlen(bad->message)) != 0) {
            fail_msg("%s: %s: %s", bad->body, rung_status_name(status), error.message);
        }
        assert_true(reply.wall_ms == 99 && reply.probabilities == NULL); /* untouched */
    }
}

static void unknown_fields_of_replies_are_ignored(void **state)
{
    (void)state;
    static const char body[] =
        "{\"levels\":[{\"new\":[1],\"level\":3,\"exit_layer\":0,\"layers\":0" COUNTS "],\"wall_ms\":1,\"newer\":{}}";
    rung_reply reply = {0};
    rung_error error;
    assert_int_equal(rung_reply_parse(body, sizeof body - 1, &reader, &reply, &error), RUNG_OK);
    assert_int_equal(reply.top_level, 3);
    assert_int_equal(reply.degraded, RUNG_DEGRADED_NO);
    rung_reply_deinit(&reply);
    static const char nobody[] = REPLY("");
    assert_int_equal(rung_reply_parse(nobody, sizeof nobody - 1, &reader, &reply, &error), RUNG_OK);
    assert_int_equal(reply.top_level, 0);
    rung_reply_deinit(&reply);
}

static void nesting_is_limited(void **state)
{
    (void)state;
    size_t depth = 1000000;
    char *body = malloc(depth);
    assert_non_null(body);
    memset(body, '[', depth);
    rung_message message = {0};
    rung_error error;
    assert_int_equal(rung_message_parse(body, depth, &reader, &message, &error), RUNG_FORMAT);
    assert_non_null(strstr(error.message, "depth"));
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_comes_back),
        cmocka_unit_test(token_ids_come_back),
        cmocka_unit_test(the_level_to_compute_comes_back),
        cmocka_unit_test(a_reply_comes_back),
        cmocka_unit_test(bad_messages_are_refused),
        cmocka_unit_test(bad_replies_are_refused),
        cmocka_unit_test(unknown_fields_of_replies_are_ignored),
        cmocka_unit_test(nesting_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
