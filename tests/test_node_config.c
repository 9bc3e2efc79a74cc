/* test_node_config.c: a node from node.yaml, from a cascade's file and from flags; every wrong combination by its message. */
#include "base/file.h"
#include "config/node_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CALIBRATION "fuzz/corpus/calibration/good.json"

/* A directory with the files of a test. */
typedef struct place {
    char directory[64];
    char path[512];
} place;

static int open_place(void **state)
{
    static place one;
    snprintf(one.directory, sizeof one.directory, "/tmp/rung-node-XXXXXX");
    *state = &one;
    return mkdtemp(one.directory) == NULL;
}

static int close_place(void **state)
{
    place *at = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", at->directory);
    return system(command);
}

static const char *file_path(place *at, const char *name)
{
    snprintf(at->path, sizeof at->path, "%s/%s", at->directory, name);
    return at->path;
}

static void write_file(place *at, const char *name, const char *text)
{
    rung_error error;
    assert_int_equal(rung_write_file(file_path(at, name), text, strlen(text), &error), RUNG_OK);
}

/* The calibration of two levels in the corpus of the fuzzer, beside node.yaml. */
static void copy_calibration(place *at)
{
    char *text;
    size_t bytes;
    rung_error error;
    assert_int_equal(rung_read_file(CALIBRATION, 1 << 20, &text, &bytes, &error), RUNG_OK);
    write_file(at, "calibration.json", text);
    free(text);
}

static rung_options *flags(size_t count, const char *const *arguments)
{
    rung_options *options = NULL;
    rung_error error = {0};
    assert_int_equal(rung_options_new(&options, &error), RUNG_OK);
    if (rung_options_parse(options, RUNG_COMMAND_SERVE, count, arguments, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return options;
}

static void load(size_t count, const char *const *arguments, rung_node_config *config)
{
    rung_error error = {0};
    rung_options *options = flags(count, arguments);
    if (rung_node_config_load(NULL, options, config, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    rung_options_free(options);
}

static void refuse_load(size_t count, const char *const *arguments, const char *message)
{
    rung_error error = {0};
    rung_node_config config = {.level = 77};
    rung_options *options = flags(count, arguments);
    assert_int_not_equal(rung_node_config_load(NULL, options, &config, &error), RUNG_OK);
    if (strstr(error.message, message) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.message, message);
    }
    assert_int_equal(config.level, 77);
    rung_options_free(options);
}

static void parse(const char *yaml, rung_node_config *config)
{
    rung_error error = {0};
    if (rung_node_config_parse(yaml, strlen(yaml), "node.yaml", "dir", NULL, config, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
}

static void refuse(const char *yaml, const char *message)
{
    rung_error error = {0};
    rung_node_config config = {.level = 77};
    assert_int_not_equal(rung_node_config_parse(yaml, strlen(yaml), "node.yaml", NULL, NULL, &config, &error), RUNG_OK);
    assert_string_equal(error.message, message);
    assert_int_equal(config.level, 77);
}

static void defaults(void **state)
{
    (void)state;
    rung_node_config config = {0};
    parse("model: m.safetensors\n", &config);
    assert_int_equal(config.cascade.num_levels, 1);
    assert_int_equal(config.level, 1);
    assert_string_equal(config.cascade.levels[0].name, "level1");
    assert_string_equal(config.cascade.levels[0].model_path, "dir/m.safetensors");
    assert_true(config.cascade.levels[0].speed == 1);
    assert_string_equal(config.cascade.policy.name, "single");
    assert_string_equal(config.listen_address, "127.0.0.1");
    assert_int_equal(config.listen_port, 8080);
    assert_false(config.insecure);
    assert_string_equal(config.id, "");
    assert_int_equal(config.num_upstreams, 0);
    assert_true(config.upstream_deadline_s == 1 && config.deadline_s == 10);
    assert_int_equal(config.batch_max_tokens, 512);
    assert_true(config.batch_max_time_s == 0.02);
    assert_true(config.batch_max_wait_s == 0);
    assert_int_equal(config.max_body_bytes, 1 << 20);
    assert_int_equal(config.max_inputs, 64);
    assert_true(config.max_queue_s == 0.2);
    assert_int_equal(config.max_connections, 16384);
    assert_int_equal(config.max_connections_per_client, 256);
    assert_int_equal(config.max_requests_per_client, 0);
    assert_true(config.drain_s == 10);
    assert_int_equal(config.log_level, RUNG_LOG_INFO);
    assert_true(config.log_json);
    assert_false(config.has_link || config.from_cascade);
    rung_node_config_deinit(&config);
}

static void every_key(void **state)
{
    place *at = *state;
    copy_calibration(at);
    write_file(at, "policy.yaml", "name: paper\noffload: {threshold: 0.7}\n");
    write_file(at, "node.yaml",
               "level: end\nmodel: end.safetensors\ncalibration: calibration.json\npolicy: policy.yaml\n"
               "listen: \"[::1]:0\"\nid: end-7\ninsecure: true\nspeed: 0.5\nmemory: 64MiB\n"
               "upstream:\n"
               "  addresses: [\"http://Edge:80/\", \"https://[::2]:8443/rung\"]\n"
               "  protocol: rung\n  token_file: t\n  ca_file: /ca.pem\n  deadline: 400ms\n  hedge_after: 80ms\n"
               "  link: {rtt: 8ms, up: 40Mbit/s, down: 1Gbit/s, jitter: 2ms}\n"
               "deadline: 5s\nbatch: {max_tokens: 512, max_wait: 2ms}\n"
               "limits: {body: 2MiB, inputs: 8, queue: 50ms, connections: 100, connections_per_client: 0}\n"
               "drain: 3s\nlog: {level: debug, format: logfmt}\nlabels: {a: b}\nthreads: 2\n");
    rung_node_config config = {0};
    const char *arguments[] = {"-c", file_path(at, "node.yaml")};
    char path[128];
    load(2, arguments, &config);
    assert_int_equal(config.cascade.num_levels, 2);
    assert_int_equal(config.level, 1);
    assert_null(config.cascade.levels[1].model_path);
    assert_string_equal(config.cascade.levels[1].name, "cloud");
    snprintf(path, sizeof path, "%s/end.safetensors", at->directory);
    assert_string_equal(config.cascade.levels[0].model_path, path);
    assert_true(config.cascade.levels[0].speed == 0.5);
    assert_int_equal(config.cascade.levels[0].memory_bytes, 64 << 20);
    assert_string_equal(config.cascade.policy.name, "paper");
    assert_true(config.cascade.policy.offload.threshold[0] == 0.7);
    snprintf(path, sizeof path, "%s/calibration.json", at->directory);
    assert_string_equal(config.cascade.calibration_path, path);
    assert_int_equal(config.cascade.threads, 2);
    assert_int_equal(config.cascade.num_renames, 1);
    assert_string_equal(config.id, "end-7");
    assert_string_equal(config.listen_address, "::1");
    assert_int_equal(config.listen_port, 0);
    assert_true(config.insecure);
    assert_int_equal(config.num_upstreams, 2);
    assert_string_equal(config.upstreams[0], "http://edge:80");
    assert_string_equal(config.upstreams[1], "https://[::2]:8443/rung");
    snprintf(path, sizeof path, "%s/t", at->directory);
    assert_string_equal(config.upstream_token_file, path);
    assert_string_equal(config.upstream_ca_file, "/ca.pem");
    assert_true(config.upstream_deadline_s == 0.4 && config.deadline_s == 5);
    assert_true(config.upstream_hedge_after_s == 0.08);
    assert_true(config.has_link && config.link.rtt_ms == 8 && config.link.up_bps == 40e6);
    assert_true(config.link.down_bps == 1e9 && config.link.jitter_ms == 2);
    assert_int_equal(config.batch_max_tokens, 512);
    assert_true(config.batch_max_wait_s == 2e-3);
    assert_int_equal(config.max_body_bytes, 2 << 20);
    assert_int_equal(config.max_inputs, 8);
    assert_true(config.max_queue_s == 0.05);
    assert_int_equal(config.max_connections, 100);
    assert_int_equal(config.max_connections_per_client, 0);
    assert_true(config.drain_s == 3);
    assert_int_equal(config.log_level, RUNG_LOG_DEBUG);
    assert_false(config.log_json);
    rung_node_config_deinit(&config);
}

static void flags_win(void **state)
{
    place *at = *state;
    copy_calibration(at);
    write_file(at, "node.yaml",
               "level: end\nmodel: end.safetensors\ncalibration: calibration.json\nlisten: 127.0.0.1:1\n");
    rung_node_config config = {0};
    const char *arguments[] = {
        "-c",        file_path(at, "node.yaml"), "--listen",   "127.0.0.1:2", "--level", "2", "-m", "other",
        "--speed=3", "--limits.inputs=5",        "--deadline", "500ms"};
    load(12, arguments, &config);
    assert_int_equal(config.level, 2);
    assert_string_equal(config.cascade.levels[1].model_path, "other");
    assert_null(config.cascade.levels[0].model_path);
    assert_true(config.cascade.levels[1].speed == 3 && config.cascade.levels[0].speed == 1);
    assert_int_equal(config.listen_port, 2);
    assert_int_equal(config.max_inputs, 5);
    assert_true(config.upstream_deadline_s == 0.5); /* the default, cut to the cap */
    assert_true(config.upstream_hedge_after_s == 0);
    /* Again into the same handle, as a reload does. */
    load(2, arguments, &config);
    assert_int_equal(config.level, 1);
    assert_int_equal(config.listen_port, 1);
    rung_node_config_deinit(&config);
}

static void model_alone(void **state)
{
    (void)state;
    rung_node_config config = {0};
    const char *arguments[] = {"-m", "model.safetensors", "--level", "edge", "--listen", "127.0.0.1:0"};
    load(6, arguments, &config);
    assert_int_equal(config.cascade.num_levels, 1);
    assert_string_equal(config.cascade.levels[0].name, "edge");
    assert_string_equal(config.cascade.levels[0].model_path, "model.safetensors");
    assert_null(config.cascade.path);
    rung_node_config_deinit(&config);
}

static const char cascade_yaml[] =
    "levels:\n  - {name: end, model: a}\n  - {name: edge, model: b, link: wifi, speed: 2}\n"
    "  - {name: cloud, model: c, link: 4g}\npolicy: {name: rung}\n";

static void level_of_a_cascade(void **state)
{
    place *at = *state;
    write_file(at, "cascade.yaml", cascade_yaml);
    const char *path = file_path(at, "cascade.yaml");
    rung_node_config config = {0};
    const char *arguments[] = {"-c", path, "--level", "edge", "--upstream.addresses", "http://127.0.0.1:9"};
    load(6, arguments, &config);
    assert_true(config.from_cascade);
    assert_int_equal(config.level, 2);
    assert_int_equal(config.cascade.num_levels, 3);
    assert_true(config.cascade.levels[1].speed == 2);
    assert_non_null(config.cascade.levels[2].model_path);
    assert_int_equal(config.num_upstreams, 1);
    assert_false(config.has_link); /* unless asked for */
    const char *emulated[] = {
        "-c", path, "--level", "2", "--upstream.addresses", "http://127.0.0.1:9", "--emulate-links"};
    load(7, emulated, &config);
    assert_true(config.has_link);
    assert_string_equal(config.link.name, "4g");
    const char *other[] = {"-c",
                           path,
                           "--level",
                           "2",
                           "--upstream.addresses",
                           "http://127.0.0.1:9",
                           "--emulate-links",
                           "--upstream.link",
                           "lan",
                           "--upstream.link.rtt",
                           "3ms",
                           "--speed",
                           "7"};
    load(13, other, &config);
    assert_string_equal(config.link.name, "custom");
    assert_true(config.link.rtt_ms == 3 && config.link.up_bps > 1);
    assert_true(config.cascade.levels[1].speed == 7);
    rung_node_config_deinit(&config);
    const char *missing[] = {"-c", path};
    refuse_load(2, missing, "level is missing: which of the 3 levels");
    const char *unknown[] = {"-c", path, "--level", "egde"};
    refuse_load(4, unknown, "--level: level 'egde' is not one of end, edge, cloud, or 1 to 3; did you mean 'edge'?");
    const char *number[] = {"-c", path, "--level", "4"};
    refuse_load(4, number, "--level: level '4' is not one of");
    const char *top[] = {"-c", path, "--level", "cloud", "--upstream.addresses", "http://a:1"};
    refuse_load(6, top, "level 3 (cloud) is the top one");
    const char *both[] = {"-c", path, "-m", "model", "--level", "1"};
    refuse_load(6, both, "--config and --model exclude each other");
}

static void link_from_a_trace(void **state)
{
    place *at = *state;
    copy_calibration(at);
    write_file(at, "trace.csv", "t_s,up_bps,down_bps,rtt_ms\n0,1000000,2000000,30\n10,2000000,4000000,40\n");
    write_file(
        at, "node.yaml",
        "level: end\nmodel: m\ncalibration: calibration.json\nupstream: {addresses: http://a:1, link: trace.csv}\n");
    rung_node_config config = {0};
    const char *arguments[] = {"-c", file_path(at, "node.yaml")};
    load(2, arguments, &config);
    assert_true(config.has_link);
    assert_non_null(config.link_trace);
    assert_ptr_equal(config.link.trace, config.link_trace);
    load(2, arguments, &config); /* a reload frees the trace before */
    assert_non_null(config.link_trace);
    rung_node_config_deinit(&config);
}

static void node_files_that_are_wrong(void **state)
{
    place *at = *state;
    copy_calibration(at);
    char path[128];
    snprintf(path, sizeof path, "%s/node.yaml", at->directory);
    const char *arguments[] = {"-c", path, "--levels.1.speed", "3"};
    static const char two[] = "model: m\ncalibration: calibration.json\n";
    write_file(at, "node.yaml", two);
    refuse_load(2, arguments, "node.yaml: level is missing: which of the 2 levels");
    refuse_load(4, arguments, "--levels.1.speed: a node's file has no levels");
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"level: cloud\nupstream: {addresses: http://a:1}\n",
         "node.yaml:4: upstream.addresses: level 2 (cloud) is the top"},
        {"level: ende\n", "node.yaml:3: level 'ende' is not one of end, cloud, or 1 to 2; did you mean 'end'?"},
        {"level: end\npolicy: none.yaml\n", "node.yaml:4:9: policy: "},
        {"level: end\nupstream: {addresses: [http://a:1, http://b:1, http://A:1/]}\n", "http://A:1/ is there twice"},
        {"level: end\nupstream: {addresses: http://127.0.0.1:8080}\n", "is where this node listens itself"},
        {"level: end\nupstream: {addresses: http://localhost:8080/x}\n", "is where this node listens itself"},
        {"level: end\nlisten: 0.0.0.0:80\ninsecure: true\nupstream: {addresses: http://127.0.0.2}\n",
         "is where this node listens itself"},
        {"level: end\nupstream: {addresses: http://a:1, token_file: t}\n",
         "the token would go to http://a:1 unencrypted"},
        {"level: end\nupstream: {addresses: http://a:1, ca_file: t}\n", "upstream.ca_file is for https"},
        {"level: end\nupstream: {addresses: http://a:1, deadline: 11s}\n",
         "node.yaml:4: upstream.deadline is 11s, but deadline, which caps the whole request, is 10s"},
        {"level: end\nupstream: {addresses: http://a:1, hedge_after: 50ms}\n",
         "node.yaml:4: upstream.hedge_after needs a second address in upstream.addresses, and there is one"},
        {"level: end\nupstream: {addresses: [http://a:1, http://b:1], hedge_after: 2s}\n",
         "node.yaml:4: upstream.hedge_after is 2s, but a call has ended by then: upstream.deadline and deadline leave "
         "it 1 s"},
        {"level: end\nupstream: {addresses: http://a:1, link: wify}\n", "node.yaml:4: upstream.link: "},
        {"level: end\nupstream: {addresses: http://a:1, link: {rtt: 3ms, up: 1Mbit/s}}\n",
         "upstream.link.down is missing"},
        {"level: end\nupstream: {addresses: http://a:1, link: {jitter: 3ms}}\n", "upstream.link.rtt is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "%s%s", two, cases[i].text);
        write_file(at, "node.yaml", text);
        refuse_load(2, arguments, cases[i].message);
    }
    write_file(at, "node.yaml", "level: end\nmodel: m\ncalibration: calibration.json\npolicy: policy.yaml\n");
    write_file(at, "policy.yaml", "nmae: rung\n");
    refuse_load(2, arguments, "policy.yaml:1:1: unknown key 'policy.nmae'; did you mean 'name'?");
    write_file(at, "policy.yaml", "[]\n");
    refuse_load(2, arguments, "policy.yaml:1:1: the file must be a mapping of the keys of policy, not a list");
    write_file(at, "node.yaml",
               "level: end\nmodel: m\ncalibration: calibration.json\nupstream: {addresses: http://a:1}\n");
    const char *emulate[] = {"-c", path, "--emulate-links"};
    refuse_load(3, emulate, "a node's file has no links between levels; give upstream.link");
}

static void texts_that_are_wrong(void **state)
{
    (void)state;
    refuse("listen: 127.0.0.1:1\n",
           "node.yaml: model is missing: a node's file has model, a packed file or a Hugging Face "
           "directory; a cascade's file has levels");
    refuse("model: m\nmodle: n\n", "node.yaml:2:1: unknown key 'modle'; did you mean 'model'?");
    refuse("model: m\nupstream: {adresses: x}\n",
           "node.yaml:2:12: unknown key 'upstream.adresses'; did you mean 'addresses'?");
    refuse("levels: []\n", "node.yaml:1:1: 'levels' is a key of a cascade's file (cascade.yaml); a node's has model");
    refuse("model: m\nlisten: 0.0.0.0:80\n",
           "node.yaml:2: listen: other machines can reach 0.0.0.0:80, and this version has no TLS; listen on 127.0.0.1 "
           "behind a proxy that has, or say insecure: true (--insecure)");
    refuse("model: m\nlisten: localhost:80\n",
           "node.yaml:2:9: listen: 'localhost:80' has no numeric address; write address and port, as 127.0.0.1:8080 or "
           "[::1]:8080");
    refuse("model: m\nupstream:\n  addresses:\n    - http://a:1\n    - ftp://b\n",
           "node.yaml:5:7: upstream.addresses: 'ftp://b' is neither http nor https; write http://host:port or "
           "https://host:port");
    refuse("model: m\nupstream: {addresses: []}\n", "node.yaml:2:23: upstream.addresses: the list is empty");
    refuse("model: m\nupstream: {addresses: {a: b}}\n",
           "node.yaml:2:23: upstream.addresses must be a single value or a list, not a mapping");
    refuse("model: m\nupstream: {addresses: http://a:1}\n", "node.yaml:2: upstream.addresses needs calibration, the "
                                                            "file that rung fit wrote for the whole cascade: it says "
                                                            "which levels there are");
    refuse("model: m\nupstream: {deadline: 1s}\n",
           "node.yaml:2: upstream.deadline without upstream.addresses has no effect; add those");
    refuse("model: m\nupstream: {hedge_after: 1s}\n",
           "node.yaml:2: upstream.hedge_after without upstream.addresses has no effect; add those");
    refuse("model: m\nlevel: 2\n",
           "node.yaml:2: level is 2, but without calibration the node is a cascade of one level; "
           "name the calibration that rung fit wrote");
    refuse(
        "model: m\ntls: {cert_file: c}\n",
        "node.yaml:2:18: tls.cert_file: 'tls.cert_file' is not available in this version; remove it, and put a proxy "
        "with TLS before the node's loopback address");
    refuse("model: m\nupstream: {protocol: grpc}\n",
           "node.yaml:2:22: upstream.protocol: 'grpc' is not one of rung, tei or v2");
    refuse("model: m\nupstream: {model: m}\n",
           "node.yaml:2: upstream.model without upstream.addresses has no effect; add those");
    refuse("model: m\ndeadline: 10\n",
           "node.yaml:2:11: deadline: '10' has no unit; write for example 10ms (units: us, ms, s, min, h)");
    refuse("model: m\ndeadline: 11min\n", "node.yaml:2:11: deadline: 11min is outside the range: 1ms to 600s");
    refuse("model: m\nid: a b\n",
           "node.yaml:2: id 'a b' must be at most 64 letters, digits, '.', '_' and '-': it travels "
           "in a header");
    refuse("model: m\nlog: verbose\n", "node.yaml:2:6: log must be a mapping, not a single value");
    refuse("- model\n", "node.yaml:1:1: the file must be a mapping with the key model, not a list");
    refuse("model: m\npolicy: p.yaml\n", "node.yaml:2:9: policy: no other file is read here");
    refuse("model: m\ncalibration: c.json\n", "node.yaml:2: calibration: no other file is read here");
}

static void is_wanted(const char *path, size_t count, const char *const *more, bool expected)
{
    const char *arguments[8] = {"-c", path};
    memcpy(arguments + 2, more, count * sizeof *more);
    rung_options *options = flags(count + 2, arguments);
    rung_error error;
    bool wanted = !expected;
    assert_int_equal(rung_node_config_wanted(options, &wanted, &error), RUNG_OK);
    assert_int_equal(wanted, expected);
    rung_options_free(options);
}

static void which_kind(void **state)
{
    place *at = *state;
    const char *level[] = {"--level", "1"};
    write_file(at, "x.yaml", cascade_yaml);
    is_wanted(file_path(at, "x.yaml"), 0, level, false);
    is_wanted(file_path(at, "x.yaml"), 2, level, true);
    write_file(at, "x.yaml", "model: m\n");
    is_wanted(file_path(at, "x.yaml"), 0, level, true);
    write_file(at, "x.yaml", "upstream: {addresses: x}\n");
    is_wanted(file_path(at, "x.yaml"), 0, level, true);
    write_file(at, "x.yaml", "precision: int8\n");
    is_wanted(file_path(at, "x.yaml"), 0, level, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(every_key),
        cmocka_unit_test(flags_win),
        cmocka_unit_test(model_alone),
        cmocka_unit_test(level_of_a_cascade),
        cmocka_unit_test(node_files_that_are_wrong),
        cmocka_unit_test(link_from_a_trace),
        cmocka_unit_test(which_kind),
        cmocka_unit_test(texts_that_are_wrong),
    };
    return cmocka_run_group_tests(tests, open_place, close_place);
}
