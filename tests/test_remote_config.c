/* test_remote_config.c: levels[].remote and upstream.protocol, .model and .input: what they say and what does not go together. */
#include "config/cascade_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EDGE "levels:\n  - {name: edge, model: m}\n"

static rung_status parse(const char *text, rung_cascade_config *config, rung_error *error)
{
    return rung_cascade_config_parse(text, strlen(text), "c.yaml", "dir", NULL, config, error);
}

static void refuse(const char *text, const char *message)
{
    rung_error error = {0};
    rung_cascade_config config = {0};
    assert_int_not_equal(parse(text, &config, &error), RUNG_OK);
    assert_string_equal(error.message, message);
    assert_null(config.options);
}

static void a_remote_level(void **state)
{
    (void)state;
    rung_error error = {0};
    rung_cascade_config config = {0};
    assert_int_equal(parse(EDGE "  - name: cloud\n    link: 4g\n    remote:\n      protocol: v2\n      addresses: "
                                "[http://a:1, https://b/x]\n      model: m-1\n      input: args\n      labels: [neg, "
                                "pos]\n      token_file: t\n      ca_file: /c\n      deadline: 2s\n",
                           &config, &error),
                     RUNG_OK);
    const rung_remote_server *server = config.levels[1].remote;
    assert_non_null(server);
    assert_null(config.levels[0].remote);
    assert_null(config.levels[1].model_path);
    assert_true(config.levels[1].has_link);
    assert_int_equal(server->remote.protocol, RUNG_PROTOCOL_V2);
    assert_string_equal(server->remote.model, "m-1");
    assert_string_equal(server->remote.input, "args");
    assert_int_equal(server->remote.num_labels, 2);
    assert_string_equal(server->remote.labels[1], "pos");
    assert_int_equal(server->num_addresses, 2);
    assert_string_equal(server->addresses[1], "https://b/x");
    assert_string_equal(server->token_file, "dir/t");
    assert_string_equal(server->ca_file, "/c");
    rung_cascade_config_deinit(&config);
}

static void defaults(void **state)
{
    (void)state;
    rung_error error = {0};
    rung_cascade_config config = {0};
    assert_int_equal(
        parse(EDGE "  - {name: cloud, link: 4g, remote: {protocol: v2, addresses: http://a:1}}\n", &config, &error),
        RUNG_OK);
    const rung_remote_server *server = config.levels[1].remote;
    assert_string_equal(server->remote.model, "cloud");
    assert_string_equal(server->remote.input, "text");
    assert_int_equal(server->remote.num_labels, 0);
    assert_null(server->token_file);
    rung_cascade_config_deinit(&config);
}

static void what_does_not_go_together(void **state)
{
    (void)state;
    refuse("levels:\n  - {name: a, remote: {protocol: tei, addresses: http://a:1}}\n",
           "c.yaml:2: levels.1.remote: only the top level may be remote, with a level below it");
    refuse(EDGE "  - {link: 4g, remote: {protocol: tei, addresses: http://a:1}}\n  - {model: n, link: 4g}\n",
           "c.yaml:3: levels.2.remote: only the top level may be remote, with a level below it");
    refuse(EDGE "  - {model: n, link: 4g, remote: {protocol: tei, addresses: http://a:1}}\n",
           "c.yaml:3: levels.2 has remote as well: a level has a model here, or another server has it");
    refuse(EDGE "  - {link: 4g, memory: 1MiB, remote: {protocol: tei, addresses: http://a:1}}\n",
           "c.yaml:3: levels.2 has remote as well: a level has a model here, or another server has it");
    refuse(EDGE "  - {link: 4g, remote: {addresses: http://a:1}}\n",
           "c.yaml:3: levels.2.remote.protocol is missing; give tei or v2");
    refuse(EDGE "  - {link: 4g, remote: {protocol: tei}}\n",
           "c.yaml:3: levels.2.remote.addresses is missing; give http://host:port");
    refuse(EDGE "  - {link: 4g, remote: {protocol: rung, addresses: http://a:1}}\n",
           "c.yaml:3:35: levels.2.remote.protocol: 'rung' is not one of tei or v2");
    refuse(EDGE "  - {remote: {protocol: tei, addresses: http://a:1}}\n",
           "c.yaml:3:5: levels.2.link is missing; give a preset (lan, wifi, 5g, 4g, satellite), a trace file, or {rtt, "
           "up, down, jitter}");
    refuse(EDGE "  - {link: 4g, remote: {protocol: tei, addresses: http://a:1, model: m}}\n",
           "c.yaml:3: levels[].remote.model is for protocol v2; with tei it has no effect, remove it");
    refuse(EDGE "  - {link: 4g, remote: {protocol: tei, addresses: http://a:1, labels: [a, b]}}\n",
           "c.yaml:3: levels[].remote.labels is for protocol v2: the replies of tei name their labels; remove it");
    refuse(EDGE "  - {name: a b, link: 4g, remote: {protocol: v2, addresses: http://a:1}}\n",
           "c.yaml:3: levels[].remote.model 'a b' must be at most 128 letters, digits, '.', '_', '~' and '-': it is a "
           "part of the path");
    refuse(EDGE "  - {link: 4g, remote: {protocol: v2, addresses: http://a:1, labels: [a, a]}}\n",
           "c.yaml:3: levels[].remote.labels: 'a' is there twice");
    refuse(EDGE "  - {link: 4g, remote: {protocol: v2, addresses: [http://a:1, http://a:1]}}\n",
           "c.yaml:3: levels[].remote.addresses: 'http://a:1' is there twice");
    refuse(EDGE "  - {link: 4g, remote: {protocol: v2, addresses: http://a:1, model: a/b}}\n",
           "c.yaml:3: levels[].remote.model 'a/b' must be at most 128 letters, digits, '.', '_', '~' and '-': it is a "
           "part of the path");
    refuse(EDGE "  - {link: 4g, remote: {protocol: v2, addresses: http://a:1, labels: [\"a,b\"]}}\n",
           "c.yaml:3:71: levels[].remote.labels: entry 1 is not one name without commas");
}

static void names_of_an_upstream(void **state)
{
    (void)state;
    rung_error error = {0};
    rung_options *options = NULL;
    rung_remote remote = {0};
    assert_int_equal(rung_options_new(&options, &error), RUNG_OK);
    assert_int_equal(rung_remote_fill(options, "cloud", RUNG_PROTOCOL_RUNG, &remote, &error), RUNG_OK);
    assert_true(remote.protocol == RUNG_PROTOCOL_RUNG && remote.model == NULL);
    assert_int_equal(rung_remote_fill(options, "cloud", RUNG_PROTOCOL_V2, &remote, &error), RUNG_OK);
    assert_string_equal(remote.model, "cloud");
    assert_int_equal(rung_options_set(options, "upstream.protocol", "tei", &error), RUNG_OK);
    assert_int_equal(rung_remote_fill(options, "cloud", RUNG_PROTOCOL_V2, &remote, &error), RUNG_OK);
    assert_int_equal(remote.protocol, RUNG_PROTOCOL_TEI);
    assert_int_equal(rung_options_set(options, "upstream.input", "x", &error), RUNG_OK);
    assert_int_equal(rung_remote_fill(options, "cloud", RUNG_PROTOCOL_V2, &remote, &error), RUNG_INVALID);
    assert_int_equal(remote.protocol, RUNG_PROTOCOL_TEI);
    assert_string_equal(rung_protocol_name(RUNG_PROTOCOL_V2), "v2");
    static const char *const labels[] = {"a", "b"};
    assert_int_equal(rung_remote_set_labels(&remote, labels, 2, &error), RUNG_OK);
    assert_int_equal(rung_remote_set_labels(&remote, labels, 1, &error), RUNG_OK);
    assert_int_equal(remote.num_labels, 1);
    rung_remote_deinit(&remote);
    rung_options_free(options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_remote_level), cmocka_unit_test(defaults),
                                       cmocka_unit_test(what_does_not_go_together),
                                       cmocka_unit_test(names_of_an_upstream)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
