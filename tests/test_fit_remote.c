/* test_fit_remote.c: `rung fit` of a cascade whose top level is behind another server: what it learns of its replies, twice the same, and what it refuses. */
#include "remote_fixture.h"

#include <math.h>

static hosted remote;

static int open_place(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL) {
        return 1;
    }
    snprintf(yaml_path, sizeof yaml_path, "%s/cascade.yaml", directory);
    host_remote(&remote);
    hosted_start(&remote);
    return 0;
}

static int close_place(void **state)
{
    (void)state;
    hosted_pause(&remote);
    hosted_end(&remote);
    return unlink(yaml_path) + rmdir(directory);
}

static void fit_text(rung_buffer *text)
{
    rung_error error = {0};
    rung_calibration_file file = {0};
    if (fit_remote(&file, &error) != RUNG_OK || rung_calibration_file_print(&file, text, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    rung_calibration_file_deinit(&file);
}

static void the_server_is_a_level_of_one_exit(void **state)
{
    (void)state;
    rung_error error = {0};
    rung_calibration_file file = {0};
    write_remote_yaml(remote.url, "", "policy: {prune: {alpha: 1}}\n");
    if (fit_remote(&file, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    const rung_calibration_level *cloud = &file.levels[1];
    size_t right = 0;
    for (size_t i = 0; i < ROWS; i++) {
        size_t words = 1;
        for (const char *c = row_texts[i]; *c != '\0'; c++) {
            words += *c == ' ';
        }
        right += class_by_words(words) == row_labels[i];
    }
    assert_true(cloud->is_remote && cloud->num_layers == 1 && cloud->num_exits == 1);
    assert_true(cloud->accuracy == (double)right / ROWS && right > ROWS * 4 / 5);
    assert_true(cloud->exits[0].temperature != 1 && cloud->exits[0].nll_after < cloud->exits[0].nll_before);
    assert_int_equal(cloud->remote.protocol, RUNG_PROTOCOL_TEI);
    assert_string_equal(cloud->identity, "{\"protocol\":\"tei\",\"model_id\":\"big\",\"model_sha\":\"abc\"}");
    assert_string_equal(cloud->name, "cloud");
    assert_true(cloud->answered > 0 && file.levels[0].has_threshold && !cloud->has_threshold);
    bool pooled = false;
    for (size_t i = 0; i < file.num_pools; i++) {
        pooled = pooled || file.pools[i].set == 3;
    }
    assert_true(pooled);
    rung_calibration_file_deinit(&file);
}

static void a_second_fit_gives_the_same_bytes(void **state)
{
    (void)state;
    rung_buffer first = {0};
    rung_buffer second = {0};
    write_remote_yaml(remote.url, "", "");
    fit_text(&first);
    fit_text(&second);
    assert_string_equal(first.data, second.data);
    assert_non_null(strstr(first.data, "\"remote\": {\"protocol\": \"tei\", \"identity\": \"{"));
    rung_buffer_deinit(&first);
    rung_buffer_deinit(&second);
}

static void raw_pools_are_fitted_as_well(void **state)
{
    (void)state;
    rung_buffer text = {0};
    write_remote_yaml(remote.url, "", "policy: {name: paper}\n");
    fit_text(&text);
    assert_non_null(strstr(text.data, "\"softmax\": \"raw\""));
    rung_buffer_deinit(&text);
}

static void other_labels_are_refused(void **state)
{
    (void)state;
    rung_error error = {0};
    rung_calibration_file file = {0};
    write_remote_yaml(remote.url, "", "labels: {neutral: other}\n");
    assert_int_equal(fit_remote(&file, &error), RUNG_OK); /* both are renamed */
    assert_string_equal(file.labels[1], "other");
    rung_calibration_file_deinit(&file);
}

static void only_a_fit_opens_it(void **state)
{
    (void)state;
    rung_error error = {0};
    rung_cascade *cascade = NULL;
    write_remote_yaml(remote.url, "", "");
    assert_int_equal(rung_cascade_open(yaml_path, NULL, &cascade, &error), RUNG_UNSUPPORTED);
    assert_string_equal(
        error.message,
        "level 2 (cloud) is remote: only rung serve and rung fit ask the server that has its model; serve "
        "the level below it with rung serve --level one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_server_is_a_level_of_one_exit),
        cmocka_unit_test(a_second_fit_gives_the_same_bytes),
        cmocka_unit_test(raw_pools_are_fitted_as_well),
        cmocka_unit_test(other_labels_are_refused),
        cmocka_unit_test(only_a_fit_opens_it),
    };
    return cmocka_run_group_tests(tests, open_place, close_place);
}
