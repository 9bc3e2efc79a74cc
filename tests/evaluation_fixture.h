/* evaluation_fixture.h: a small evaluation over three levels of one tiny model and made-up texts, with times that are the same on every machine. Included by
 * the tests of the report's sections. */
#ifndef RUNG_TESTS_EVALUATION_FIXTURE_H
#define RUNG_TESTS_EVALUATION_FIXTURE_H

#include "base/prng.h"
#include "eval/section_contestants.h"
#include "model_fixture.h"

#define EVALUATION_ROWS 300

typedef struct evaluation_fixture {
    char *directory; /* of everything that is written */
    rung_cascade *cascade;
    rung_evaluation evaluation;
    rung_report report;
} evaluation_fixture;

static inline void evaluation_write_cascade(const char *directory)
{
    rung_buffer yaml = {0};
    char *here = realpath(".", NULL);
    rung_buffer_format(&yaml,
                       "levels:\n  - {name: one, model: %s/tests/golden/tiny-bert, speed: 0.25}\n"
                       "  - {name: two, model: %s/tests/golden/tiny-bert, speed: 1, link: wifi}\n"
                       "  - {name: three, model: %s/tests/golden/tiny-bert, speed: 4, link: 4g}\n",
                       here, here, here);
    free(here);
    fixture_write(directory, "cascade.yaml", yaml.data);
    rung_buffer_deinit(&yaml);
}

static inline void evaluation_make_texts(char texts[EVALUATION_ROWS][160])
{
    static const char *const words[] = {"it",    "was",   "good", "the",  "film", "great", "dull",  "not",
                                        "story", "funny", "bad",  "very", "love", "plot",  "actor", "walking"};
    rung_prng prng = {.state = 5};
    for (size_t i = 0; i < EVALUATION_ROWS; i++) {
        size_t count = 2 + rung_prng_below(&prng, 16);
        size_t bytes = 0;
        for (size_t w = 0; w < count; w++) {
            const char *word = words[rung_prng_below(&prng, sizeof words / sizeof words[0])];
            bytes += (size_t)snprintf(texts[i] + bytes, sizeof texts[i] - bytes, "%s%s", w > 0 ? " " : "", word);
        }
    }
}

/* The top level is right on nine of ten rows. */
static inline void evaluation_write_data(const rung_cascade *cascade, const char *directory)
{
    static char texts[EVALUATION_ROWS][160];
    rung_input inputs[EVALUATION_ROWS];
    rung_policy top;
    rung_answers *answers = NULL;
    rung_buffer lines = {0};
    evaluation_make_texts(texts);
    for (size_t i = 0; i < EVALUATION_ROWS; i++) {
        inputs[i] = (rung_input){.text = texts[i], .text_bytes = strlen(texts[i])};
    }
    assert_ok(rung_cascade_named_policy(cascade, "single", &top, error));
    assert_ok(rung_cascade_classify_policy(cascade, &top, inputs, EVALUATION_ROWS, NULL, &answers, error));
    for (size_t i = 0; i < EVALUATION_ROWS; i++) {
        uint32_t label = rung_answers_get(answers, i)->label_index;
        label = i % 10 == 0 ? (label + 1) % cascade->num_classes : label;
        rung_buffer_format(&lines, "{\"text\": \"%s\", \"label\": \"%s\"}\n", texts[i], cascade->labels[label]);
    }
    rung_answers_free(answers);
    fixture_write(directory, "data.jsonl", lines.data);
    rung_buffer_deinit(&lines);
}

/* A millisecond and a hundredth per token for each layer. */
static inline void evaluation_set_times(rung_timing *timing)
{
    for (uint32_t l = 0; l < timing->num_levels; l++) {
        rung_level_timing *level = &timing->level[l];
        level->tokenize_ms_per_byte = 1e-5;
        for (uint32_t e = 0; e < level->num_layers; e++) {
            level->exits[e] = (rung_latency_curve){.a_ms = e + 1, .b_ms_per_token = 0.01 * (e + 1)};
        }
    }
}

static inline void evaluation_fixture_open(evaluation_fixture *fixture, size_t trials)
{
    rung_open_options options = {.threads = 1};
    fixture->directory = fixture_directory();
    evaluation_write_cascade(fixture->directory);
    char *yaml = fixture_join(fixture->directory, "cascade.yaml");
    assert_ok(rung_cascade_open(yaml, &options, &fixture->cascade, error));
    evaluation_write_data(fixture->cascade, fixture->directory);
    char *data = fixture_join(fixture->directory, "data.jsonl");
    rung_evaluation_options of = {.data = data, .max_line_bytes = 1 << 16, .directory = fixture->directory};
    assert_ok(rung_evaluation_open(fixture->cascade, &of, &fixture->evaluation, error));
    evaluation_set_times(&fixture->evaluation.timing);
    fixture->report = (rung_report){.directory = fixture->directory,
                                    .has_gnuplot = false,
                                    .bootstrap = {.resamples = 50, .confidence = 0.9, .seed = 1},
                                    .trials = trials};
    free(yaml);
    free(data);
}

static inline void evaluation_fixture_close(evaluation_fixture *fixture)
{
    rung_report_deinit(&fixture->report);
    rung_evaluation_close(&fixture->evaluation);
    rung_cascade_close(fixture->cascade);
    fixture_remove(fixture->directory);
}

/* The file that a section wrote; release *text with free(). */
static inline void evaluation_read(const evaluation_fixture *fixture, const char *name, char **text)
{
    char *path = fixture_join(fixture->directory, name);
    size_t size;
    assert_ok(rung_read_file(path, 1 << 24, text, &size, error));
    free(path);
}

static inline size_t evaluation_count(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what)) {
        count++;
    }
    return count;
}

#endif
