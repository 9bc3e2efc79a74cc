/* test_level_page.c: GET /v1/level as its readers see it: every documented field, with its type, and texts that need escapes. */
#include "net/loop.h"
#include "node_fixture.h"
#include "serve/level_page.h"

#include <jansson.h>

static json_t *page_of(const rung_generation *generation, const char *node_id)
{
    rung_buffer text = {0};
    json_error_t error;
    rung_level_page(&text, generation, node_id);
    assert_false(text.failed);
    json_t *page = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, &error);
    if (page == NULL) {
        fail_msg("%s: %s", error.text, text.data);
    }
    rung_buffer_deinit(&text);
    return page;
}

static const char *string_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (text == NULL) {
        fail_msg("%s is no string", key);
    }
    return text;
}

static json_int_t integer_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value)) {
        fail_msg("%s is no integer", key);
    }
    return json_integer_value(value);
}

static const json_t *list_of(const json_t *object, const char *key, size_t count)
{
    const json_t *list = json_object_get(object, key);
    assert_true(json_is_array(list));
    assert_int_equal(json_array_size(list), count);
    return list;
}

static bool holds(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (strcmp(json_string_value(json_array_get(list, i)), text) == 0) {
            return true;
        }
    }
    return false;
}

static void check_model(const json_t *model)
{
    assert_non_null(strstr(string_of(model, "path"), TINY_MODEL));
    assert_int_equal(strlen(string_of(model, "sha256")), 64);
    assert_int_equal(integer_of(model, "layers"), 3);
    assert_int_equal(integer_of(model, "hidden_size"), 32);
    assert_int_equal(integer_of(model, "max_tokens"), 128);
    assert_true(strcmp(string_of(model, "precision"), "int8") == 0 ||
                strcmp(string_of(model, "precision"), "fp32") == 0);
    assert_true(strlen(string_of(model, "isa")) > 0);
    const json_t *exits = json_object_get(model, "exits");
    assert_true(json_array_size(exits) >= 1);
    assert_int_equal(json_integer_value(json_array_get(exits, json_array_size(exits) - 1)), 3);
    const json_t *labels = list_of(model, "labels", 3);
    assert_string_equal(json_string_value(json_array_get(labels, 0)), "contradiction");
}

static void the_first_level_says_what_it_is(void **state)
{
    (void)state;
    rung_error error;
    rung_loop *loop = NULL;
    rung_generation *generation = open_generation(
        (const char *const[]){"config", yaml_path, "level", "1", "upstream.addresses", "http://127.0.0.1:9", NULL}, 1);
    assert_int_equal(rung_loop_create(&loop, &error), RUNG_OK);
    assert_int_equal(rung_generation_connect(generation, loop, 5, NULL, &error), RUNG_OK);
    json_t *page = page_of(generation, "edge-1");
    assert_string_equal(string_of(page, "node"), "edge-1");
    assert_string_equal(string_of(page, "version"), rung_version());
    assert_int_equal(integer_of(page, "level"), 1);
    assert_string_equal(string_of(page, "name"), "one");
    assert_string_equal(json_string_value(json_array_get(list_of(page, "levels", 2), 1)), "two");
    check_model(json_object_get(page, "model"));
    const json_t *policy = json_object_get(page, "policy");
    assert_string_equal(string_of(policy, "name"), "rung");
    assert_true(json_real_value(json_object_get(policy, "threshold")) == 0.7);
    const json_t *policies = list_of(page, "policies", generation->num_policies);
    assert_true(holds(policies, "rung") && holds(policies, "single"));
    assert_true(json_is_null(json_object_get(page, "certificate")));
    const json_t *calibration = json_object_get(page, "calibration");
    assert_non_null(strstr(string_of(calibration, "path"), "calibration.json"));
    assert_string_equal(string_of(calibration, "data"), "none");
    assert_int_equal(integer_of(calibration, "rows"), 1);
    const json_t *upstream = json_object_get(page, "upstream");
    assert_true(holds(list_of(upstream, "addresses", 1), "http://127.0.0.1:9"));
    assert_string_equal(string_of(upstream, "link"), "none");
    static const char *const counts[] = {"in_flight", "open_circuits", "calls", "failures", "retries", "hedges"};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        assert_int_equal(integer_of(upstream, counts[i]), 0);
    }
    assert_true(json_real_value(json_object_get(upstream, "p50_ms")) == 0);
    assert_true(json_is_real(json_object_get(upstream, "p99_ms")));
    json_decref(page);
    rung_generation_free(generation);
    rung_loop_free(loop);
}

static void the_top_has_no_threshold_and_no_upstream(void **state)
{
    (void)state;
    rung_generation *generation = open_generation((const char *const[]){"config", yaml_path, "level", "2", NULL}, 1);
    json_t *page = page_of(generation, "cloud");
    assert_int_equal(integer_of(page, "level"), 2);
    assert_null(json_object_get(json_object_get(page, "policy"), "threshold"));
    assert_true(json_is_null(json_object_get(page, "upstream")));
    json_decref(page);
    rung_generation_free(generation);
}

static void a_model_alone_has_no_calibration(void **state)
{
    (void)state;
    rung_generation *generation = open_generation((const char *const[]){"model", TINY_MODEL, NULL}, 1);
    json_t *page = page_of(generation, "alone");
    assert_true(json_is_null(json_object_get(page, "calibration")));
    list_of(page, "levels", 1);
    json_decref(page);
    rung_generation_free(generation);
}

static void texts_are_escaped(void **state)
{
    (void)state;
    static const char hard[] = "a\"b\\c\n\x01 \xc3\xa9";
    rung_generation *generation = open_generation((const char *const[]){"model", TINY_MODEL, NULL}, 1);
    const char **labels = generation->cascade->labels;
    const char *label = labels[1];
    labels[1] = hard;
    json_t *page = page_of(generation, hard);
    assert_string_equal(string_of(page, "node"), hard);
    const json_t *said = json_object_get(json_object_get(page, "model"), "labels");
    assert_string_equal(json_string_value(json_array_get(said, 1)), hard);
    labels[1] = label;
    json_decref(page);
    rung_generation_free(generation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_level_says_what_it_is),
        cmocka_unit_test(the_top_has_no_threshold_and_no_upstream),
        cmocka_unit_test(a_model_alone_has_no_calibration),
        cmocka_unit_test(texts_are_escaped),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
