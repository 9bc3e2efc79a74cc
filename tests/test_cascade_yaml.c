/* test_cascade_yaml.c: configurations written as cascade.yaml and read back from another directory: the same levels, links, labels and policy. */
#include "config/cascade_yaml.h"
#include "model_fixture.h"

#include <math.h>
#include <sys/stat.h>

static const char trace_text[] = "t_s,up_bps,down_bps,rtt_ms\n0,1e6,2e6,20\n1,5e5,1e6,40\n";

static const char cascade_text[] = "levels:\n"
                                   "  - {name: 'the \"end\"', model: end.safetensors, speed: 0.25, memory: 64MiB}\n"
                                   "  - name: edge\n"
                                   "    model: edge.safetensors\n"
                                   "    link: {preset: wifi, rtt: 9ms, jitter: 1ms, loss: 0.01,\n"
                                   "           congestion: {share: 0.1, duration: 3s, slowdown: 4},\n"
                                   "           interference: {every: 20s, duration: 100ms}}\n"
                                   "  - name: cloud\n"
                                   "    model: cloud.safetensors\n"
                                   "    speed: 4\n"
                                   "    link: ./trace.csv\n"
                                   "labels: {NEGATIVE: neg, 'POS\\ITIVE': pos}\n"
                                   "precision: fp32\n"
                                   "calibration: elsewhere.json\n"
                                   "policy: {name: paper, seed: 7, offload: {threshold: [0.9, 0.8], k: 6}}\n";

static rung_cascade_config load(const char *path, const rung_options *flags)
{
    rung_cascade_config config = {0};
    assert_ok(rung_cascade_config_load(path, NULL, flags, &config, error));
    return config;
}

static void same_link(const rung_link *a, const rung_link *b)
{
    assert_string_equal(a->name, b->name);
    assert_true(a->rtt_ms == b->rtt_ms && a->jitter_ms == b->jitter_ms && a->loss == b->loss);
    assert_true(a->up_bps == b->up_bps && a->down_bps == b->down_bps);
    assert_memory_equal(&a->congestion, &b->congestion, sizeof a->congestion);
    assert_memory_equal(&a->interference, &b->interference, sizeof a->interference);
    assert_int_equal(a->trace != NULL, b->trace != NULL);
}

static void same_config(const rung_cascade_config *a, const rung_cascade_config *b)
{
    assert_int_equal(a->num_levels, b->num_levels);
    for (uint32_t l = 0; l < a->num_levels; l++) {
        assert_string_equal(a->levels[l].name, b->levels[l].name);
        assert_true(rung_path_same_file(a->levels[l].model_path, b->levels[l].model_path));
        assert_true(a->levels[l].speed == b->levels[l].speed);
        assert_true(a->levels[l].memory_bytes == b->levels[l].memory_bytes);
        assert_int_equal(a->levels[l].has_link, b->levels[l].has_link);
        if (a->levels[l].has_link) {
            same_link(&a->levels[l].link, &b->levels[l].link);
        }
    }
    assert_int_equal(a->num_renames, b->num_renames);
    for (size_t i = 0; i < a->num_renames; i++) {
        assert_string_equal(a->renames[i].from, b->renames[i].from);
        assert_string_equal(a->renames[i].to, b->renames[i].to);
    }
    assert_int_equal(a->precision, b->precision);
    assert_string_equal(a->policy.name, b->policy.name);
    assert_true(a->policy.seed == b->policy.seed && a->policy.offload.k == b->policy.offload.k);
    assert_memory_equal(a->policy.offload.threshold, b->policy.offload.threshold, 3 * sizeof(double));
}

/* Loads the example with flags, writes it into another directory, and reads that. */
static void there_and_back(const char *const *flags /* key, value, ..., NULL */)
{
    char *directory = fixture_directory();
    char *elsewhere = fixture_directory();
    char *path = fixture_join(directory, "cascade.yaml");
    char *written = fixture_join(elsewhere, "cascade.yaml");
    rung_options *options = NULL;
    rung_buffer yaml = {0};
    fixture_write(directory, "cascade.yaml", cascade_text);
    fixture_write(directory, "trace.csv", trace_text);
    fixture_write(directory, "end.safetensors", "");
    fixture_write(directory, "edge.safetensors", "");
    fixture_write(directory, "cloud.safetensors", "");
    assert_ok(rung_options_new(&options, error));
    for (; *flags != NULL; flags += 2) {
        assert_ok(rung_options_set(options, flags[0], flags[1], error));
    }
    rung_cascade_config config = load(path, options);
    assert_ok(rung_cascade_config_put(&yaml, &config, "calibration \"x\".json", &config.policy, error));
    fixture_write(elsewhere, "cascade.yaml", yaml.data);
    rung_cascade_config back = load(written, NULL);
    same_config(&config, &back);
    char *calibration = fixture_join(elsewhere, "calibration \"x\".json");
    assert_string_equal(back.calibration_path, calibration);
    rung_cascade_config_deinit(&config);
    rung_cascade_config_deinit(&back);
    rung_options_free(options);
    rung_buffer_deinit(&yaml);
    free(calibration);
    free(path);
    free(written);
    fixture_remove(directory);
    fixture_remove(elsewhere);
}

static void as_in_the_file(void **state)
{
    (void)state;
    there_and_back((const char *const[]){NULL});
}

static void flags_win(void **state)
{
    (void)state;
    there_and_back((const char *const[]){"levels.3.link", "4g", "levels.1.speed", "0.5", "levels.2.link.loss", "0.2",
                                         "policy.seed", "11", NULL});
    there_and_back((const char *const[]){"levels.2.link", "lan", NULL});
}

static void a_model_that_has_gone(void **state)
{
    (void)state;
    rung_cascade_config config = {0};
    rung_buffer yaml = {0};
    static const char text[] = "levels:\n  - model: /nowhere/model.safetensors\n";
    assert_ok(rung_cascade_config_parse(text, strlen(text), "c.yaml", "dir", NULL, &config, error));
    assert_fails(rung_cascade_config_put(&yaml, &config, "c.json", &config.policy, error), RUNG_IO,
                 "/nowhere/model.safetensors");
    rung_buffer_deinit(&yaml);
    rung_cascade_config_deinit(&config);
}

static void a_remote_level(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    char *elsewhere = fixture_directory();
    char *path = fixture_join(directory, "cascade.yaml");
    char *written = fixture_join(elsewhere, "cascade.yaml");
    rung_buffer yaml = {0};
    fixture_write(directory, "m", "");
    fixture_write(directory, "token", "t");
    fixture_write(directory, "cascade.yaml",
                  "levels:\n  - {name: a, model: m}\n  - name: b\n    link: 4g\n    remote: {protocol: v2, addresses: "
                  "[http://a:1, http://b:2], model: x, labels: [neg, 'p\"os'], token_file: token, deadline: 2s}\n");
    rung_cascade_config config = load(path, NULL);
    assert_ok(rung_cascade_config_put(&yaml, &config, "c.json", &config.policy, error));
    fixture_write(elsewhere, "cascade.yaml", yaml.data);
    rung_cascade_config back = load(written, NULL);
    const rung_remote_server *server = back.levels[1].remote;
    assert_non_null(server);
    assert_int_equal(server->remote.protocol, RUNG_PROTOCOL_V2);
    assert_int_equal(server->num_addresses, 2);
    assert_string_equal(server->addresses[1], "http://b:2");
    assert_string_equal(server->remote.model, "x");
    assert_string_equal(server->remote.labels[1], "p\"os");
    assert_true(rung_path_same_file(server->token_file, config.levels[1].remote->token_file));
    same_link(&config.levels[1].link, &back.levels[1].link);
    rung_cascade_config_deinit(&config);
    rung_cascade_config_deinit(&back);
    rung_buffer_deinit(&yaml);
    free(path);
    free(written);
    fixture_remove(directory);
    fixture_remove(elsewhere);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_in_the_file), cmocka_unit_test(flags_win),
                                       cmocka_unit_test(a_model_that_has_gone), cmocka_unit_test(a_remote_level)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
