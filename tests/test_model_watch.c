/* test_model_watch.c: every address is asked what model it has, at first, from time to time, and when told to. Servers and watch share a loop. */
#include "fake_server.h"
#include "net/model_watch.h"

#include <math.h>
#include <signal.h>

typedef struct scene {
    rung_loop *loop;
    server *server;
    rung_model_watch *watch;
    size_t seen, failed, wanted;
    char text[256];
    char why[512];
} scene;

static void take(void *context, size_t address, const rung_model_identity *identity, const char *why)
{
    scene *s = context;
    assert_int_equal(address, 0);
    s->seen += identity != NULL;
    s->failed += identity == NULL;
    snprintf(s->text, sizeof s->text, "%s", identity != NULL ? identity->text : "");
    snprintf(s->why, sizeof s->why, "%s", why);
    if (s->seen + s->failed == s->wanted) {
        rung_loop_stop(s->loop);
    }
}

static void open_scene(scene *s, const char *info, double every_s)
{
    rung_error error;
    char address[64];
    const char *list[] = {address};
    *s = (scene){0};
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(rung_loop_create(&s->loop, &error), RUNG_OK);
    s->server = open_server(s->loop, ANSWER);
    s->server->info = info;
    snprintf(address, sizeof address, "http://127.0.0.1:%u", s->server->port);
    const rung_model_watch_options options = {.addresses = list,
                                              .num_addresses = 1,
                                              .protocol = &rung_protocol_tei,
                                              .remote = &(rung_remote){.protocol = RUNG_PROTOCOL_TEI},
                                              .every_s = every_s,
                                              .seen = take,
                                              .context = s};
    assert_int_equal(rung_model_watch_create(s->loop, &options, &s->watch, &error), RUNG_OK);
}

static void close_scene(scene *s)
{
    rung_model_watch_free(s->watch);
    close_server(s->server);
    rung_loop_free(s->loop);
}

static void run_until(scene *s, size_t wanted)
{
    rung_error error;
    s->wanted = wanted;
    assert_int_equal(rung_loop_run(s->loop, &error), RUNG_OK);
}

static void it_looks_at_first_and_when_told(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, "{\"model_id\":\"m\"}", INFINITY);
    run_until(&s, 1);
    assert_string_equal(s.text, "{\"protocol\":\"tei\",\"model_id\":\"m\",\"model_sha\":null}");
    s.server->info = "{\"model_id\":\"n\"}";
    rung_model_watch_look(s.watch, 0);
    rung_model_watch_look(s.watch, 0);
    run_until(&s, 2);
    assert_string_equal(s.text, "{\"protocol\":\"tei\",\"model_id\":\"n\",\"model_sha\":null}");
    assert_int_equal(s.server->infos, 2);
    close_scene(&s);
}

static void it_looks_from_time_to_time(void **state)
{
    (void)state;
    scene s;
    double started_s = rung_clock_s();
    open_scene(&s, "{\"model_id\":\"m\"}", 0.02);
    run_until(&s, 4);
    assert_true(rung_clock_s() - started_s >= 0.06);
    assert_int_equal(s.seen, 4);
    close_scene(&s);
}

static void what_cannot_be_read_is_told(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, "{\"model\":\"m\"}", INFINITY);
    run_until(&s, 1);
    assert_int_equal(s.failed, 1);
    assert_non_null(strstr(s.why, "/info: model_id is missing"));
    s.server->info = NULL;
    s.server->how = TEXT;
    s.server->text = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    rung_model_watch_look(s.watch, 0);
    run_until(&s, 2);
    assert_non_null(strstr(s.why, "/info: status 404"));
    s.server->how = ENDLESS_BODY;
    rung_model_watch_look(s.watch, 0);
    run_until(&s, 3);
    assert_int_equal(s.failed, 3);
    assert_true(s.server->sent_bytes < (8 << 20));
    s.server->how = SILENT;
    rung_model_watch_look(s.watch, 0); /* freed while it looks */
    close_scene(&s);
}

static void options_are_checked(void **state)
{
    (void)state;
    scene s;
    rung_error error;
    rung_model_watch *watch = NULL;
    open_scene(&s, "{}", INFINITY);
    const rung_model_watch_options none = {.protocol = &rung_protocol_tei, .remote = &(rung_remote){0}};
    assert_int_equal(rung_model_watch_create(s.loop, &none, &watch, &error), RUNG_LIMIT);
    assert_null(watch);
    rung_model_watch_free(NULL);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_looks_at_first_and_when_told),
        cmocka_unit_test(it_looks_from_time_to_time),
        cmocka_unit_test(what_cannot_be_read_is_told),
        cmocka_unit_test(options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
