/* node_fixture.h: a cascade of NODE_LEVELS (two, unless it is defined) small models in a directory of its own, with the calibration that a level by itself
 * needs, and generations of it. For the tests of src/serve; each includes it once. */
#ifndef RUNG_TESTS_NODE_FIXTURE_H
#define RUNG_TESTS_NODE_FIXTURE_H

#include "base/buffer.h"
#include "config/calibration_file.h"
#include "serve/generation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef NODE_LEVELS
#define NODE_LEVELS 2
#endif

#define TINY_MODEL "tests/golden/tiny-bert"
#define ODD_MODEL "tests/golden/tiny-bert-odd" /* another shape */

static const char *const level_names[] = {"one", "two", "three"};
static char directory[] = "/tmp/rung_test_node.XXXXXX";
static char yaml_path[64];

static inline void write_file(const char *name, const char *text, size_t bytes)
{
    char path[80];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static inline void write_yaml(const char *calibration)
{
    char yaml[1024];
    char *here = realpath(".", NULL);
    int length = snprintf(yaml, sizeof yaml, "levels:\n");
    for (size_t l = 0; l < NODE_LEVELS; l++) {
        length += snprintf(yaml + length, sizeof yaml - (size_t)length, "  - {name: %s, model: %s/" TINY_MODEL "%s}\n",
                           level_names[l], here, l == 0 ? "" : ", link: lan");
    }
    length += snprintf(yaml + length, sizeof yaml - (size_t)length,
                       "%s\npolicy: {offload: {threshold: 0.7}, ensemble: {weights: accuracy}}\n", calibration);
    free(here);
    write_file("cascade.yaml", yaml, (size_t)length);
}

/* A level by itself needs a calibration: one that says nothing will do. */
static inline int make_files(void **state)
{
    (void)state;
    rung_error error;
    rung_cascade *cascade = NULL;
    rung_buffer text = {0};
    if (mkdtemp(directory) == NULL) {
        return 1;
    }
    snprintf(yaml_path, sizeof yaml_path, "%s/cascade.yaml", directory);
    write_yaml("");
    assert_int_equal(rung_cascade_open(yaml_path, NULL, &cascade, &error), RUNG_OK);
    rung_calibration_file *file = &cascade->calibration_file;
    free(file->data_name);
    file->data_name = strdup("none");
    memset(file->data_sha256, '0', RUNG_SHA256_HEX_BYTES - 1);
    file->data_rows = 1;
    file->policy = (rung_calibration_policy){.name = "rung",
                                             .exit = cascade->policy.exit,
                                             .weights = cascade->policy.weights,
                                             .pooled_decision = cascade->policy.pooled_decision};
    for (uint32_t l = 0; l < NODE_LEVELS; l++) {
        free(file->levels[l].name);
        file->levels[l].name = strdup(level_names[l]);
        file->levels[l].has_threshold = l + 1 < NODE_LEVELS;
        file->levels[l].threshold = 0.7;
    }
    if (rung_calibration_file_print(file, &text, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    write_file("calibration.json", text.data, text.length);
    write_yaml("calibration: calibration.json");
    rung_buffer_deinit(&text);
    rung_cascade_close(cascade);
    return 0;
}

static inline int remove_files(void **state)
{
    (void)state;
    char path[80];
    snprintf(path, sizeof path, "%s/calibration.json", directory);
    return unlink(path) + unlink(yaml_path) + rmdir(directory);
}

static inline void set_option(rung_options *options, const char *key, const char *value)
{
    rung_error error;
    if (rung_options_set(options, key, value, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
}

/* settings: {key, value, ..., NULL}. */
static inline void load_config(const char *const *settings, rung_node_config *config)
{
    rung_error error;
    rung_options *options = NULL;
    assert_int_equal(rung_options_new(&options, &error), RUNG_OK);
    for (size_t i = 0; settings[i] != NULL; i += 2) {
        set_option(options, settings[i], settings[i + 1]);
    }
    *config = (rung_node_config){0};
    if (rung_node_config_load(NULL, options, config, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    rung_options_free(options);
}

static inline rung_generation *open_generation(const char *const *settings, uint64_t serial)
{
    rung_error error;
    rung_node_config config;
    rung_generation *generation = NULL;
    load_config(settings, &config);
    if (rung_generation_open(&config, &(rung_open_options){.threads = 1}, serial, &generation, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return generation;
}

#endif
