/* test_remote_client.c: many texts asked of a fake server of Text Embeddings Inference: every text gets its own logits in its own place, and what is wrong is
 * named with its address and position. */
#include "hosted_server.h"
#include "net/remote_client.h"

#include <math.h>

#define COUNT 60

static const char *const labels[] = {"neg", "pos"};

/* The text is a number: its share of 100 is pos. */
static void by_number(void *context, const char *request, char *out, size_t room)
{
    (void)context;
    long number = strtol(strchr(request, ':') + 2, NULL, 10);
    double pos = (double)number / 100;
    snprintf(out, room, "[{\"label\":\"pos\",\"score\":%.2f},{\"label\":\"neg\",\"score\":%.2f}]", pos, 1 - pos);
}

static void bad_at_17(void *context, const char *request, char *out, size_t room)
{
    if (strstr(request, "\"17\"") != NULL) {
        snprintf(out, room, "[{\"label\":\"pos\",\"score\":1}]");
    } else {
        by_number(context, request, out, room);
    }
}

static void open_server_with(hosted *self, void (*reply)(void *, const char *, char *, size_t), const char *info)
{
    host(self, REPLY);
    self->server->reply = reply;
    self->server->info = info;
    hosted_start(self);
}

static rung_status open_client(rung_remote_server *at, rung_remote_client **client, rung_error *error)
{
    at->remote.protocol = RUNG_PROTOCOL_TEI;
    const rung_remote_client_options options = {
        .server = at, .name = "cloud", .reader = {.num_classes = 2, .labels = labels}, .deadline_s = 20};
    return rung_remote_client_open(&options, client, error);
}

static rung_status ask(rung_remote_client *client, float logits[2 * COUNT], rung_error *error)
{
    static char texts[COUNT][8];
    rung_payload payloads[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        int bytes = snprintf(texts[i], sizeof texts[i], "%zu", i);
        payloads[i] = (rung_payload){.text = {texts[i], (size_t)bytes}};
    }
    return rung_remote_client_ask(client, payloads, NULL, COUNT, NULL, logits, error);
}

static void every_text_gets_its_own(void **state)
{
    (void)state;
    hosted one = {0};
    hosted two = {0};
    rung_error error = {0};
    rung_remote_client *client = NULL;
    float logits[2 * COUNT];
    open_server_with(&one, by_number, "{\"model_id\":\"m\",\"model_sha\":\"1\"}");
    open_server_with(&two, by_number, "{\"model_id\":\"m\",\"model_sha\":\"1\"}");
    rung_remote_server at = {.num_addresses = 2, .addresses = {one.url, two.url}};
    if (open_client(&at, &client, &error) != RUNG_OK || ask(client, logits, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    for (size_t i = 0; i < COUNT; i++) {
        double pos = i == 0 ? 1e-7 : (double)i / 100;
        assert_true(fabs(logits[2 * i + 1] - log(pos)) < 1e-5);
        assert_true(fabs(logits[2 * i] - log(1 - (double)i / 100)) < 1e-5);
    }
    assert_string_equal(rung_remote_client_identity(client)->text,
                        "{\"protocol\":\"tei\",\"model_id\":\"m\",\"model_sha\":\"1\"}");
    rung_remote_client_close(client);
    hosted_pause(&one);
    hosted_pause(&two);
    assert_int_equal(one.server->requests + two.server->requests, COUNT);
    assert_true(one.server->requests > 0 && two.server->requests > 0);
    hosted_end(&one);
    hosted_end(&two);
}

/* Every other request is refused, which opens the circuit as well. */
static void an_overloaded_server_is_given_time(void **state)
{
    (void)state;
    hosted one = {0};
    rung_error error = {0};
    rung_remote_client *client = NULL;
    float logits[2 * COUNT];
    host(&one, REPLY_503_ALTERNATELY);
    one.server->reply = by_number;
    one.server->info = "{\"model_id\":\"m\"}";
    hosted_start(&one);
    rung_remote_server at = {.num_addresses = 1, .addresses = {one.url}};
    assert_int_equal(open_client(&at, &client, &error), RUNG_OK);
    if (ask(client, logits, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    assert_true(fabs(logits[2 * 59 + 1] - log(0.59)) < 1e-5);
    rung_remote_client_close(client);
    hosted_pause(&one);
    assert_true(one.server->requests >= 2 * COUNT - 1);
    one.server->how = TEXT;
    one.server->text = "HTTP/1.1 429 busy\r\nContent-Length: 0\r\n\r\n";
    hosted_start(&one);
    at.remote.protocol = RUNG_PROTOCOL_TEI;
    const rung_remote_client_options hasty = {
        .server = &at, .name = "cloud", .reader = {.num_classes = 2, .labels = labels}, .deadline_s = 0.3};
    assert_int_equal(rung_remote_client_open(&hasty, &client, &error), RUNG_OK);
    assert_int_equal(ask(client, logits, &error), RUNG_IO);
    assert_non_null(strstr(error.message, ": level cloud: http://127.0.0.1:"));
    assert_non_null(strstr(error.message, ": status 429"));
    rung_remote_client_close(client);
    hosted_pause(&one);
    hosted_end(&one);
}

static void a_bad_reply_is_named(void **state)
{
    (void)state;
    hosted one = {0};
    rung_error error = {0};
    rung_remote_client *client = NULL;
    float logits[2 * COUNT];
    char expected[256];
    open_server_with(&one, bad_at_17, "{\"model_id\":\"m\"}");
    rung_remote_server at = {.num_addresses = 1, .addresses = {one.url}};
    assert_int_equal(open_client(&at, &client, &error), RUNG_OK);
    assert_int_equal(ask(client, logits, &error), RUNG_INVALID);
    snprintf(expected, sizeof expected,
             "input 17: level cloud: %s: bad reply: body has no label \"neg\"; all 2 are needed", one.url);
    assert_string_equal(error.message, expected);
    assert_int_equal(ask(client, logits, &error), RUNG_IO); /* it is good for closing only */
    rung_remote_client_close(client);
    hosted_pause(&one);
    hosted_end(&one);
}

static void models_that_differ_are_refused(void **state)
{
    (void)state;
    hosted one = {0};
    hosted two = {0};
    rung_error error = {0};
    rung_remote_client *client = NULL;
    open_server_with(&one, by_number, "{\"model_id\":\"m\",\"model_sha\":\"1\"}");
    open_server_with(&two, by_number, "{\"model_id\":\"m\",\"model_sha\":\"2\"}");
    rung_remote_server at = {.num_addresses = 2, .addresses = {one.url, two.url}};
    assert_int_equal(open_client(&at, &client, &error), RUNG_MISMATCH);
    assert_non_null(strstr(error.message, "has another model than the addresses before it"));
    assert_null(client);
    hosted_pause(&one);
    hosted_pause(&two);
    hosted_end(&one);
    hosted_end(&two);
}

static void nobody_there_is_named(void **state)
{
    (void)state;
    hosted one = {0};
    rung_error error = {0};
    rung_remote_client *client = NULL;
    host(&one, ANSWER);
    hosted_end(&one);
    rung_remote_server at = {.num_addresses = 1, .addresses = {one.url}};
    assert_int_equal(open_client(&at, &client, &error), RUNG_IO);
    assert_non_null(strstr(error.message, one.url));
    assert_non_null(strstr(error.message, "level cloud"));
    char file[] = "token";
    char far[] = "http://far.example:80";
    rung_remote_server secret = {.num_addresses = 1, .addresses = {far}, .token_file = file};
    assert_int_equal(open_client(&secret, &client, &error), RUNG_INVALID);
    assert_non_null(strstr(error.message, "unencrypted"));
    rung_remote_client_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_text_gets_its_own), cmocka_unit_test(an_overloaded_server_is_given_time),
        cmocka_unit_test(a_bad_reply_is_named),    cmocka_unit_test(models_that_differ_are_refused),
        cmocka_unit_test(nobody_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
