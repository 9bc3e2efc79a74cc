/* test_metrics.c: the page of metrics: its grammar, zeros from the start, and what the counters say after some requests. */
#include "serve/metrics.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct scene {
    rung_cascade *cascade;
    rung_metrics *metrics;
    rung_buffer page;
} scene;

static void open_scene(scene *s)
{
    rung_error error;
    *s = (scene){0};
    if (rung_cascade_open("tests/golden/tiny-bert", NULL, &s->cascade, &error) != RUNG_OK ||
        rung_metrics_create(s->cascade, 1, &s->metrics, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
}

static void close_scene(scene *s)
{
    rung_metrics_free(s->metrics);
    rung_cascade_close(s->cascade);
    rung_buffer_deinit(&s->page);
}

static void print(scene *s)
{
    rung_error error;
    const rung_metrics_now now = {
        .connections = 3, .queue_length = 2, .upstream = {.in_flight = 1, .retries = 4, .hedges = 5}};
    rung_buffer_clear(&s->page);
    rung_metrics_print(s->metrics, &now, &s->page);
    assert_int_equal(rung_buffer_check(&s->page, "page", &error), RUNG_OK);
}

static double value_of(const scene *s, const char *series)
{
    size_t length = strlen(series);
    for (const char *at = s->page.data; at != NULL && *at != '\0'; at = strchr(at, '\n') + 1) {
        if (strncmp(at, series, length) == 0 && at[length] == ' ') {
            return strtod(at + length, NULL);
        }
    }
    fail_msg("no series %s", series);
    return -1;
}

/* Every line is a comment or a sample; every family has its HELP and TYPE before its samples. */
static void grammar(void **state)
{
    (void)state;
    scene s;
    regex_t sample;
    open_scene(&s);
    print(&s);
    assert_int_equal(regcomp(&sample,
                             "^[a-z_]+(\\{[a-z]+=\"[^\"]*\"(,[a-z]+=\"[^\"]*\")*\\})? -?[0-9.]+(e[+-]?[0-9]+)?$",
                             REG_EXTENDED | REG_NOSUB),
                     0);
    char family[64] = "";
    size_t samples = 0;
    for (char *line = s.page.data; *line != '\0';) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        if (strncmp(line, "# TYPE ", 7) == 0) {
            snprintf(family, sizeof family, "%.*s", (int)strcspn(line + 7, " "), line + 7);
        } else if (line[0] != '#') {
            assert_int_equal(regexec(&sample, line, 0, NULL, 0), 0);
            assert_int_equal(strncmp(line, family, strlen(family)), 0);
            samples++;
        }
        line = end + 1;
    }
    assert_true(samples > 60);
    regfree(&sample);
    close_scene(&s);
}

static void zeros_from_the_start(void **state)
{
    (void)state;
    static const char *const series[] = {"rung_requests_total{outcome=\"ok\"}",
                                         "rung_requests_total{outcome=\"gone\"}",
                                         "rung_http_responses_total{code=\"503\"}",
                                         "rung_http_responses_total{code=\"other\"}",
                                         "rung_answers_total{level=\"1\"}",
                                         "rung_degraded_total{reason=\"unreachable\"}",
                                         "rung_degraded_total{reason=\"bad reply\"}",
                                         "rung_exits_total{layer=\"1\"}",
                                         "rung_upstream_calls_total{outcome=\"deadline\"}",
                                         "rung_reloads_total{result=\"failed\"}",
                                         "rung_request_seconds_bucket{le=\"+Inf\"}",
                                         "rung_request_seconds_sum",
                                         "rung_words_pruned_total"};
    scene s;
    open_scene(&s);
    print(&s);
    for (size_t i = 0; i < sizeof series / sizeof series[0]; i++) {
        assert_true(value_of(&s, series[i]) == 0);
    }
    assert_true(value_of(&s, "rung_connections") == 3);
    assert_true(value_of(&s, "rung_queue_length") == 2);
    assert_true(value_of(&s, "rung_upstream_in_flight") == 1);
    assert_true(value_of(&s, "rung_upstream_retries_total") == 4);
    assert_true(value_of(&s, "rung_upstream_hedges_total") == 5);
    assert_true(value_of(&s, "process_resident_memory_bytes") > 1e6);
    close_scene(&s);
}

static void drift_is_told(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    rung_metrics_expect(s.metrics, 0.5);
    print(&s);
    assert_true(value_of(&s, "rung_kept_share_calibrated") == 0.5);
    assert_true(value_of(&s, "rung_kept_share") == 0.5);
    assert_true(value_of(&s, "rung_drift_sigmas") == 0);
    for (size_t i = 0; i < 1000; i++) {
        rung_metrics_decision(s.metrics, false);
    }
    print(&s);
    assert_true(value_of(&s, "rung_kept_share") < 0.01);
    assert_true(value_of(&s, "rung_drift_sigmas") < -10);
    close_scene(&s);
}

static void counts(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    rung_metrics_request(s.metrics, RUNG_OUTCOME_DEGRADED);
    rung_metrics_response(s.metrics, 200);
    rung_metrics_response(s.metrics, 418);
    rung_metrics_request_time(s.metrics, 0.003);
    rung_metrics_request_time(s.metrics, 100);
    rung_metrics_answer(s.metrics, 1, RUNG_DEGRADED_DEADLINE);
    const rung_level_answer sent = {
        .exit_layer = 2, .words = 10, .kept_words = 7, .bytes_up = 300, .bytes_down = 50, .link_ms = 8};
    rung_metrics_visit(s.metrics, &sent, 400, true);
    const rung_level_answer kept = {.exit_layer = 1, .words = 5, .kept_words = 5};
    rung_metrics_visit(s.metrics, &kept, 100, false);
    rung_metrics_call(s.metrics, RUNG_CALL_BAD_REPLY);
    rung_metrics_reload(s.metrics, false);
    print(&s);
    assert_true(value_of(&s, "rung_requests_total{outcome=\"degraded\"}") == 1);
    assert_true(value_of(&s, "rung_http_responses_total{code=\"200\"}") == 1);
    assert_true(value_of(&s, "rung_http_responses_total{code=\"other\"}") == 1);
    assert_true(value_of(&s, "rung_request_seconds_bucket{le=\"0.002\"}") == 0);
    assert_true(value_of(&s, "rung_request_seconds_bucket{le=\"0.005\"}") == 1);
    assert_true(value_of(&s, "rung_request_seconds_bucket{le=\"10\"}") == 1);
    assert_true(value_of(&s, "rung_request_seconds_bucket{le=\"+Inf\"}") == 2);
    assert_true(value_of(&s, "rung_request_seconds_count") == 2);
    assert_true(value_of(&s, "rung_request_seconds_sum") == 100.003);
    assert_true(value_of(&s, "rung_degraded_total{reason=\"deadline\"}") == 1);
    assert_true(value_of(&s, "rung_exits_total{layer=\"2\"}") == 1);
    assert_true(value_of(&s, "rung_offloaded_total") == 1);
    assert_true(value_of(&s, "rung_inputs_total") == 2);
    assert_true(value_of(&s, "rung_words_pruned_total") == 3);
    assert_true(value_of(&s, "rung_bytes_up_total") == 300);
    assert_true(value_of(&s, "rung_bytes_kept_total") == 100);
    assert_true(value_of(&s, "rung_upstream_calls_total{outcome=\"bad reply\"}") == 1);
    assert_true(value_of(&s, "rung_reloads_total{result=\"failed\"}") == 1);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammar),
        cmocka_unit_test(zeros_from_the_start),
        cmocka_unit_test(counts),
        cmocka_unit_test(drift_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
