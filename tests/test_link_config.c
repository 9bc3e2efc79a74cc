/* test_link_config.c: the keys of a link, alone and mixed, in a file and as flags, and every way in which they do not fit together. */
#include "base/file.h"
#include "config/cascade_config.h"
#include "config/link_config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64]; /* with the traces below in it */

static void write_trace(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_int_equal(rung_write_file(path, text, strlen(text), NULL), RUNG_OK);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/rung_link_config_XXXXXX");
    assert_non_null(mkdtemp(directory));
    write_trace("full.csv", "t_s,up_bps,down_bps,rtt_ms,loss\n0,1e6,2e6,30,0\n1,3e6,2e6,50,0.1\n");
    write_trace("rates.csv", "t_s,up_bps,down_bps\n0,1e6,2e6\n1,0,2e6\n");
    write_trace("rtt.csv", "t_s,rtt_ms\n0,30\n1,50\n");
    write_trace("bad.csv", "t_s,rtt_ms\n0,30\n1,fast\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"full.csv", "rates.csv", "rtt.csv", "bad.csv"};
    for (size_t i = 0; i < 4; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    return rmdir(directory);
}

/* A cascade whose second level has this link, with "KEY TEXT" flags up to NULL. */
static rung_status parse(const char *link, const char *const *flags, rung_cascade_config *config, rung_error *error)
{
    char yaml[512];
    snprintf(yaml, sizeof yaml, "levels: [{model: a}, {model: b, link: %s}]\n", link);
    rung_options *options = NULL;
    assert_int_equal(rung_options_new(&options, NULL), RUNG_OK);
    for (size_t i = 0; flags != NULL && flags[i] != NULL; i += 2) {
        assert_int_equal(rung_options_set(options, flags[i], flags[i + 1], error), RUNG_OK);
    }
    rung_status status = rung_cascade_config_parse(yaml, strlen(yaml), "c.yaml", directory,
                                                   flags != NULL ? options : NULL, config, error);
    rung_options_free(options);
    return status;
}

static rung_link accept_with(const char *link, const char *const *flags, rung_cascade_config *config)
{
    rung_error error = {0};
    rung_status status = parse(link, flags, config, &error);
    assert_string_equal(error.message, "");
    assert_int_equal(status, RUNG_OK);
    assert_true(config->levels[1].has_link && config->levels[1].link.trace == config->levels[1].trace);
    return config->levels[1].link;
}

static void refuse_with(const char *link, const char *const *flags, rung_status expected, const char *message)
{
    rung_cascade_config config = {0};
    rung_error error = {0};
    assert_int_equal(parse(link, flags, &config, &error), expected);
    assert_string_equal(error.message, message);
    assert_null(config.levels[1].trace);
}

static void refuse(const char *link, const char *message)
{
    refuse_with(link, NULL, RUNG_INVALID, message);
}

static void presets_and_figures(void **state)
{
    (void)state;
    rung_cascade_config config = {0};
    rung_link preset;
    assert_int_equal(rung_link_find("4g", &preset, NULL), RUNG_OK);
    rung_link link = accept_with("4g", NULL, &config);
    assert_string_equal(link.name, "4g");
    assert_true(link.rtt_ms == preset.rtt_ms && link.source == preset.source && link.congestion.share == 0);
    link = accept_with("{preset: 4g, loss: 0.01}", NULL, &config);
    assert_string_equal(link.name, "custom");
    assert_true(link.loss == 0.01 && link.up_bps == preset.up_bps && link.source == NULL);
    link = accept_with("{preset: wifi, congestion: {share: 0.05}, interference: {every: 20s, duration: 300ms}}", NULL,
                       &config);
    assert_true(link.congestion.share == 0.05 && link.congestion.mean_s == 5);
    assert_true(link.congestion.slowdown == 2 && link.congestion.rtt_factor == 3);
    assert_true(link.interference.every_s == 20 && link.interference.mean_s == 0.3);
    link = accept_with("{rtt: 8ms, up: 4Mbit/s, down: 5Mbit/s, congestion: {share: 0.5, duration: 1min, slowdown: 10, "
                       "rtt_factor: 1.5}}",
                       NULL, &config);
    assert_true(link.congestion.mean_s == 60 && link.congestion.slowdown == 10 && link.congestion.rtt_factor == 1.5);
    assert_true(link.loss == 0 && link.rtt_ms == 8 && link.jitter_ms == 0);
    static const char *const flags[] = {"levels.2.link.loss", "0.2", "levels.2.link.congestion.share", "0.3", NULL};
    link = accept_with("{preset: 4g, loss: 0.01}", flags, &config);
    assert_true(link.loss == 0.2 && link.congestion.share == 0.3);
    rung_cascade_config_deinit(&config);
}

static void traces(void **state)
{
    (void)state;
    rung_cascade_config config = {0};
    rung_link preset;
    assert_int_equal(rung_link_find("4g", &preset, NULL), RUNG_OK);
    rung_link link = accept_with("full.csv", NULL, &config); /* relative to the file, as a model is */
    assert_string_equal(link.name, "full.csv");
    assert_non_null(link.trace);
    assert_true(link.rtt_ms == 40 && link.up_bps == 2e6 && link.down_bps == 2e6 && fabs(link.loss - 0.05) < 1e-15);
    link = accept_with("{trace: rates.csv, preset: 4g}", NULL, &config);
    assert_true(link.rtt_ms == 60 && link.jitter_ms == preset.jitter_ms && link.up_bps == 5e5 && link.source == NULL);
    link = accept_with("{trace: ./rtt.csv, preset: 4g}", NULL, &config);
    assert_string_equal(link.name, "rtt.csv");
    assert_true(link.rtt_ms == 40 && link.jitter_ms == 0 && link.up_bps == preset.up_bps);
    link = accept_with("{trace: rtt.csv, preset: 4g, jitter: 2ms, loss: 0.5}", NULL, &config);
    assert_true(link.jitter_ms == 2 && link.loss == 0.5);
    assert_string_equal(link.name, "rtt.csv");
    link = accept_with("{trace: rtt.csv, up: 1Mbit/s, down: 2Mbit/s}", NULL, &config);
    assert_true(link.up_bps == 1e6 && link.down_bps == 2e6);
    /* A file's preset under a flag's trace: the flag's path is relative to where rung runs. */
    static const char *const trace_flag[] = {"levels.2.link", "examples/links/starlink.csv", NULL};
    link =
        accept_with("wifi", (const char *const[]){"levels.2.link.trace", "examples/links/starlink.csv", NULL}, &config);
    assert_string_equal(link.name, "starlink.csv");
    assert_true(link.up_bps == 40e6 && link.rtt_ms > 20);
    link = accept_with("{preset: satellite}", trace_flag, &config);
    assert_true(link.up_bps == 14.8e6 && link.trace != NULL);
    /* And the other way round: the flag's preset stands in for the file's. */
    link = accept_with("{preset: satellite, trace: rates.csv}", (const char *const[]){"levels.2.link", "lan", NULL},
                       &config);
    assert_true(link.rtt_ms == 0.3 && link.up_bps == 5e5);
    rung_cascade_config_deinit(&config);
    assert_null(config.levels[1].trace);
}

static void refusals(void **state)
{
    (void)state;
    refuse("{preset: full.csv}", "c.yaml:1: levels.2.link.preset: 'full.csv' is not a preset (lan, wifi, 5g, 4g, "
                                 "satellite)");
    refuse("{preset: 5gg}", "c.yaml:1: levels.2.link.preset: '5gg' is not a preset (lan, wifi, 5g, 4g, satellite); did "
                            "you mean '5g'?");
    refuse("rtt.csv",
           "c.yaml:1:22: levels.2.link.up is missing; the trace 'rtt.csv' has no column up_bps: give it or a "
           "preset");
    refuse(
        "{trace: rates.csv, loss: 0.1}",
        "c.yaml:1:22: levels.2.link.rtt is missing; the trace 'rates.csv' has no column rtt_ms: give it or a preset");
    refuse("{trace: full.csv, loss: 0.1}",
           "c.yaml:1: levels.2.link.loss: the trace 'full.csv' has it in column loss; remove one of the two");
    refuse("{loss: 0.1}",
           "c.yaml:1:22: levels.2.link.rtt is missing; a link is a preset, a trace, or has rtt, up and down");
    refuse("{preset: lan, loss: 2}", "c.yaml:1:59: levels.2.link.loss: 2 is outside the range: 0 to 1");
    refuse("{preset: lan, congestion: 0.5}",
           "c.yaml:1:65: levels.2.link.congestion must be a mapping, not a single value");
    refuse("{preset: lan, congestion: {slowdown: 4}}", "c.yaml:1: levels.2.link.congestion.slowdown changes nothing "
                                                       "without levels.2.link.congestion.share; give both");
    refuse("{preset: lan, interference: {every: 4s}}",
           "c.yaml:1: levels.2.link.interference.every changes nothing without "
           "levels.2.link.interference.duration; give both");
    refuse("{preset: lan, interference: {every: 4s, duration: 3s}}",
           "c.yaml:1: levels.2: link.interference.duration is 3 s; it must be at most half of every, 2 s");
    refuse("{preset: lan, congestion: {share: 1e-9}}",
           "c.yaml:1: levels.2: link.congestion.share is 1e-09; it must be from 1e-06 to 1");
    static const char *const twice[] = {"levels.2.link", "lan", "levels.2.link.preset", "wifi", NULL};
    refuse_with("4g", twice, RUNG_INVALID,
                "levels.2.link.preset: levels.2.link and levels.2.link.preset say the same thing; give one of them");
    char message[256];
    snprintf(message, sizeof message, "c.yaml:1: levels.2.link: %s/bad.csv:3: rtt_ms: 'fast' is not a number",
             directory);
    refuse("bad.csv", message);
    snprintf(message, sizeof message,
             "c.yaml:1: levels.2.link.trace: %s/no.csv: cannot open: No such file or directory", directory);
    refuse_with("{trace: no.csv, preset: lan}", NULL, RUNG_NOT_FOUND, message);
}

/* Outputs are what they were, also when the trace was read before the failure; and keys that are not given are no link. */
static void failures_leave_outputs(void **state)
{
    (void)state;
    rung_options *options = NULL;
    rung_error error = {0};
    assert_int_equal(rung_options_new(&options, NULL), RUNG_OK);
    assert_null(rung_link_config_given(options, RUNG_OPTION_LEVEL_LINK, 1));
    assert_int_equal(rung_options_set(options, "levels.2.link", "examples/links/starlink.csv", &error), RUNG_OK);
    assert_non_null(rung_link_config_given(options, RUNG_OPTION_LEVEL_LINK, 1));
    assert_null(rung_link_config_given(options, RUNG_OPTION_LEVEL_LINK, 2));
    rung_link link = {.rtt_ms = 77};
    rung_link_trace *trace = NULL;
    assert_int_equal(rung_link_config_fill(options, RUNG_OPTION_LEVEL_LINK, 1, "here", &link, &trace, &error),
                     RUNG_INVALID);
    assert_string_equal(error.message,
                        "here: levels.2.link.up is missing; the trace 'examples/links/starlink.csv' has no "
                        "column up_bps: give it or a preset");
    assert_true(link.rtt_ms == 77 && trace == NULL);
    assert_int_equal(rung_link_config_fill(options, RUNG_OPTION_LEVEL_LINK, 1, "here", &link, &trace, NULL),
                     RUNG_INVALID);
    rung_options_free(options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_and_figures),
        cmocka_unit_test(traces),
        cmocka_unit_test(refusals),
        cmocka_unit_test(failures_leave_outputs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
