/* test_node_remote.c: a node below a fake server of Text Embeddings Inference: its replies in the answers, its faults, and its model. */
#include "remote_fixture.h"
#include "served_node.h"

#include <jansson.h>

static hosted remote;

#define ALWAYS "policy: {offload: {threshold: 1}, ensemble: {weights: last}}\n"

static int make_place(void **state)
{
    (void)state;
    rung_error error = {0};
    rung_calibration_file file = {0};
    rung_buffer text = {0};
    if (mkdtemp(directory) == NULL) {
        return 1;
    }
    snprintf(yaml_path, sizeof yaml_path, "%s/cascade.yaml", directory);
    host_remote(&remote);
    hosted_start(&remote);
    write_remote_yaml(remote.url, "", "");
    if (fit_remote(&file, &error) != RUNG_OK || rung_calibration_file_print(&file, &text, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    write_file("calibration.json", text.data, text.length);
    write_remote_yaml(remote.url, ", deadline: 5s", "calibration: calibration.json\n" ALWAYS);
    rung_buffer_deinit(&text);
    rung_calibration_file_deinit(&file);
    return 0;
}

static int remove_place(void **state)
{
    hosted_pause(&remote);
    hosted_end(&remote);
    return remove_files(state);
}

static json_t *classify(const served *node, const char *body)
{
    char answer[8192];
    assert_int_equal(ask(node, "POST", "/v1/classify", body, answer, sizeof answer), 200);
    json_t *json = json_loads(answer, 0, NULL);
    assert_non_null(json);
    return json;
}

static const char *reason_of(const served *node)
{
    static char reason[32];
    json_t *answer = classify(node, "{\"text\":\"the film was good\"}");
    const char *said = json_string_value(json_object_get(answer, "degraded_reason"));
    assert_int_equal(json_integer_value(json_object_get(answer, "level")), said == NULL ? 2 : 1);
    snprintf(reason, sizeof reason, "%s", said != NULL ? said : "no");
    json_decref(answer);
    return reason;
}

static void change(void (*reply)(void *, const char *, char *, size_t), manner how, const char *text, const char *info)
{
    hosted_pause(&remote);
    remote.server->how = how;
    remote.server->reply = reply;
    remote.server->text = text;
    remote.server->info = info;
    hosted_start(&remote);
}

static void its_result_is_a_level_s(void **state)
{
    (void)state;
    served node;
    start(&node, "one", NULL, NULL);
    json_t *answer = classify(&node, "{\"text\":\"the film was good\",\"text_pair\":\"not dull\"}");
    json_t *above = json_array_get(json_object_get(answer, "levels"), 1);
    assert_int_equal(json_integer_value(json_object_get(answer, "level")), 2);
    assert_true(json_is_false(json_object_get(answer, "degraded")));
    assert_string_equal(json_string_value(json_object_get(above, "model")), "cloud");
    assert_int_equal(json_integer_value(json_object_get(above, "exit_layer")), 1);
    assert_int_equal(json_integer_value(json_object_get(above, "layers")), 1);
    double sure = json_number_value(json_object_get(above, "confidence"));
    assert_true(sure > 0.5 && sure < 1 && sure != 0.8); /* calibrated */
    assert_true(json_number_value(json_object_get(json_array_get(json_object_get(answer, "levels"), 0), "link_ms")) >
                0);
    json_decref(answer);
    answer = classify(&node, "{\"text\":\"the film was good\",\"policy\":\"paper\"}");
    above = json_array_get(json_object_get(answer, "levels"), 1);
    if (above != NULL) { /* the paper pools what the server said */
        const json_t *first = json_array_get(json_object_get(above, "probabilities"), 0);
        assert_true(json_number_value(first) > 0.799 && json_number_value(first) < 0.801);
    }
    json_decref(answer);
    hosted_pause(&remote);
    const char *sent = strstr(remote.server->last, "\r\n\r\n") + 4;
    assert_null(strstr(sent, "prior"));
    assert_null(strstr(sent, "key"));
    assert_int_equal(strncmp(sent, "{\"inputs\":", 10), 0);
    hosted_start(&remote);
    stop(&node);
}

static void bad_labels(void *context, const char *request, char *out, size_t room)
{
    (void)context;
    (void)request;
    snprintf(out, room, "[{\"label\":\"LABEL_7\",\"score\":1}]");
}

static void its_faults_degrade(void **state)
{
    (void)state;
    served node;
    start(&node, "one", NULL, NULL);
    assert_string_equal(reason_of(&node), "no");
    change(bad_labels, REPLY, NULL, INFO);
    assert_string_equal(reason_of(&node), "bad reply");
    change(reply_by_words, TEXT, "HTTP/1.1 429 busy\r\nContent-Length: 0\r\n\r\n", INFO);
    assert_string_equal(reason_of(&node), "overloaded");
    change(reply_by_words, TEXT, "HTTP/1.1 413 large\r\nContent-Length: 0\r\n\r\n", INFO);
    assert_string_equal(reason_of(&node), "bad reply");
    change(reply_by_words, TEXT, "HTTP/1.1 422 no\r\nContent-Length: 0\r\n\r\n", INFO);
    assert_string_equal(reason_of(&node), "bad reply");
    change(reply_by_words, RESET, NULL, INFO);
    assert_string_equal(reason_of(&node), "unreachable");
    change(reply_by_words, REPLY, NULL, INFO);
    assert_string_equal(reason_of(&node), "no");
    stop(&node);
}

static void another_model_is_told(void **state)
{
    (void)state;
    static char page[8192];
    served node;
    start(&node, "one", NULL, NULL);
    await_metric(&node, "rung_upstream_model_changed 0");
    assert_int_equal(ask(&node, "GET", "/v1/level", "", page, sizeof page), 200);
    assert_non_null(strstr(page, "\"protocol\":\"tei\",\"fitted\":\"{"));
    assert_non_null(strstr(page, "\"model_changed\":false"));
    stop(&node);
    change(reply_by_words, REPLY, NULL, "{\"model_id\":\"bigger\",\"model_sha\":\"abc\"}");
    start(&node, "one", NULL, NULL);
    await_metric(&node, "rung_upstream_model_changed 1");
    assert_int_equal(ask(&node, "GET", "/v1/level", "", page, sizeof page), 200);
    assert_non_null(strstr(page, "\"model_changed\":true"));
    assert_string_equal(reason_of(&node), "no"); /* calls go on */
    stop(&node);
    change(reply_by_words, REPLY, NULL, INFO);
}

/* The server's circuit opens, it comes back with another model, and the call that went well makes the node look. */
static void it_is_looked_at_when_it_comes_back(void **state)
{
    (void)state;
    served node;
    start(&node, "one", NULL, NULL);
    await_metric(&node, "rung_upstream_model_changed 0");
    change(reply_by_words, RESET, NULL, INFO);
    for (int i = 0; i < 5; i++) {
        assert_string_equal(reason_of(&node), "unreachable");
    }
    change(reply_by_words, REPLY, NULL, "{\"model_id\":\"bigger\",\"model_sha\":\"abc\"}");
    double until_s = rung_clock_s() + 60;
    while (strcmp(reason_of(&node), "no") != 0) {
        assert_true(rung_clock_s() < until_s);
    }
    await_metric(&node, "rung_upstream_model_changed 1");
    stop(&node);
    change(reply_by_words, REPLY, NULL, INFO);
}

static void what_was_fitted_otherwise_is_refused(void **state)
{
    (void)state;
    rung_error error = {0};
    rung_node_config config = {0};
    rung_generation *generation = NULL;
    load_config((const char *const[]){"config", yaml_path, "level", "one", "upstream.protocol", "rung", NULL}, &config);
    assert_int_equal(rung_generation_open(&config, NULL, 1, &generation, &error), RUNG_MISMATCH);
    assert_non_null(strstr(error.message, "upstream.protocol is rung, but "));
    assert_non_null(strstr(error.message, "was fitted with level 2 (cloud) as tei"));
    load_config((const char *const[]){"config", yaml_path, "level", "one", "upstream.protocol", "v2", NULL}, &config);
    assert_int_equal(rung_generation_open(&config, NULL, 1, &generation, &error), RUNG_MISMATCH);
}

static void flags_stand_over_the_remote_level(void **state)
{
    (void)state;
    rung_node_config config = {0};
    load_config((const char *const[]){"config", yaml_path, "level", "one", NULL}, &config);
    assert_int_equal(config.num_upstreams, 1);
    assert_string_equal(config.upstreams[0], remote.url);
    assert_int_equal(config.remote.protocol, RUNG_PROTOCOL_TEI);
    assert_true(config.upstream_deadline_s == 5 && !config.has_link);
    rung_node_config_deinit(&config);
    load_config((const char *const[]){"config", yaml_path, "level", "one", "upstream.addresses", "http://a:1",
                                      "upstream.deadline", "1s", "emulate-links", "true", NULL},
                &config);
    assert_string_equal(config.upstreams[0], "http://a:1");
    assert_int_equal(config.remote.protocol, RUNG_PROTOCOL_TEI);
    assert_true(config.upstream_deadline_s == 1 && config.has_link);
    rung_node_config_deinit(&config);
}

/* A node.yaml learns from the calibration how its level above is asked. */
static void a_node_s_file_needs_addresses_only(void **state)
{
    (void)state;
    char calibration[96];
    snprintf(calibration, sizeof calibration, "%s/calibration.json", directory);
    rung_node_config config = {0};
    load_config((const char *const[]){"model", TINY_MODEL, "calibration", calibration, "level", "one",
                                      "upstream.addresses", remote.url, NULL},
                &config);
    assert_int_equal(config.remote.protocol, RUNG_PROTOCOL_TEI);
    rung_error error = {0};
    rung_generation *generation = NULL;
    if (rung_generation_open(&config, NULL, 1, &generation, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    assert_true(generation->is_foreign);
    assert_false(generation->cascade->level[0].tokens_travel);
    rung_generation_free(generation);
}

/* A level below that still sends token ids is told so, where they would have to go further up. */
static void token_ids_go_no_further(void **state)
{
    (void)state;
    char answer[4096];
    served node;
    start(&node, "one", NULL, NULL);
    int status = ask(&node, "POST", "/v1/classify",
                     "{\"key\":\"00000000000000aa\",\"tokens16\":\"AgAFAAMA\",\"prior\":[]}", answer, sizeof answer);
    assert_int_equal(status, 422);
    assert_non_null(strstr(answer, "token ids came, but the level above level 1 (one) reads text only"));
    stop(&node);
}

/* The calibration says V2, with labels that are those of the models or not. */
static rung_status open_with_columns(const char *const labels[3], rung_generation **generation, rung_error *error)
{
    char path[96];
    rung_node_config config = {0};
    rung_calibration_file file = {0};
    snprintf(path, sizeof path, "%s/calibration.json", directory);
    assert_int_equal(rung_calibration_file_load(path, &file, error), RUNG_OK);
    rung_remote *level = &file.levels[1].remote;
    level->protocol = RUNG_PROTOCOL_V2;
    level->model = strdup("m");
    assert_int_equal(rung_remote_set_labels(level, labels, 3, error), RUNG_OK);
    snprintf(path, sizeof path, "%s/v2.json", directory);
    assert_int_equal(rung_calibration_file_save(&file, path, error), RUNG_OK);
    rung_calibration_file_deinit(&file);
    load_config((const char *const[]){"model", TINY_MODEL, "calibration", path, "level", "one", "upstream.addresses",
                                      remote.url, NULL},
                &config);
    assert_string_equal(config.remote.model, "m");
    assert_string_equal(config.remote.input, "text");
    rung_status status = rung_generation_open(&config, NULL, 1, generation, error);
    assert_int_equal(unlink(path), 0);
    return status;
}

static void columns_are_the_models_labels(void **state)
{
    (void)state;
    static const char *const good[] = {"entailment", "contradiction", "neutral"};
    static const char *const bad[] = {"entailment", "contradiction", "other"};
    rung_error error = {0};
    rung_generation *generation = NULL;
    if (open_with_columns(good, &generation, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    assert_string_equal(generation->reader.columns[0], "entailment");
    static const char body[] = "{\"outputs\":[{\"name\":\"probabilities\",\"datatype\":\"FP32\",\"shape\":[1,3],"
                               "\"data\":[0.5,0.25,0.25]}]}";
    double p[3];
    assert_int_equal(generation->protocol->parse(body, sizeof body - 1, &generation->reader, p, &error), RUNG_OK);
    assert_true(p[0] == 0.25 && p[1] == 0.25 && p[2] == 0.5);
    rung_generation_free(generation);
    assert_int_equal(open_with_columns(bad, &generation, &error), RUNG_MISMATCH);
    assert_non_null(strstr(error.message, "the labels of remote level cloud are not the 3 of the models"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_result_is_a_level_s),
        cmocka_unit_test(its_faults_degrade),
        cmocka_unit_test(another_model_is_told),
        cmocka_unit_test(it_is_looked_at_when_it_comes_back),
        cmocka_unit_test(what_was_fitted_otherwise_is_refused),
        cmocka_unit_test(flags_stand_over_the_remote_level),
        cmocka_unit_test(a_node_s_file_needs_addresses_only),
        cmocka_unit_test(token_ids_go_no_further),
        cmocka_unit_test(columns_are_the_models_labels),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
