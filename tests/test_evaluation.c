/* test_evaluation.c: how the rows are split, that a second opening computes nothing, and what cannot be opened. */
#include "evaluation_fixture.h"

#include <sys/stat.h>

#define TUNE_ROWS 40

static rung_cascade *cascade;
static char *files;      /* of the cascade and the data */
static char *recorded;   /* a directory that has the record and the profile of them */
static char *path_data;  /* EVALUATION_ROWS rows */
static char *path_tune;  /* TUNE_ROWS rows */
static char *path_small; /* too few to split */

/* Copies the first `rows` lines of the data. */
static char *write_first(const char *name, size_t rows)
{
    char *text = NULL;
    size_t size;
    assert_ok(rung_read_file(path_data, 1 << 24, &text, &size, error));
    char *end = text;
    for (size_t i = 0; i < rows; i++) {
        end = strchr(end, '\n') + 1;
    }
    *end = '\0';
    fixture_write(files, name, text);
    free(text);
    return fixture_join(files, name);
}

static rung_cascade *open_cascade(const char *precision)
{
    rung_open_options options = {.threads = 1, .precision = precision};
    char *yaml = fixture_join(files, "cascade.yaml");
    rung_cascade *opened = NULL;
    assert_ok(rung_cascade_open(yaml, &options, &opened, error));
    free(yaml);
    return opened;
}

static rung_evaluation_options options_of(const char *directory)
{
    return (rung_evaluation_options){.data = path_data, .max_line_bytes = 1 << 16, .directory = directory};
}

static int open_all(void **state)
{
    (void)state;
    files = fixture_directory();
    recorded = fixture_directory();
    evaluation_write_cascade(files);
    cascade = open_cascade(NULL);
    evaluation_write_data(cascade, files);
    path_data = fixture_join(files, "data.jsonl");
    path_tune = write_first("tune.jsonl", TUNE_ROWS);
    path_small = write_first("small.jsonl", 50);
    rung_evaluation evaluation = {0};
    rung_evaluation_options options = options_of(recorded);
    assert_ok(rung_evaluation_open(cascade, &options, &evaluation, error));
    rung_evaluation_close(&evaluation);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    rung_cascade_close(cascade);
    free(path_data);
    free(path_tune);
    free(path_small);
    fixture_remove(recorded);
    fixture_remove(files);
    return 0;
}

static void is_closed(const rung_evaluation *evaluation)
{
    assert_true(evaluation->cascade == NULL && evaluation->store == NULL && evaluation->replay == NULL);
    assert_true(evaluation->inputs == NULL && evaluation->labels == NULL && evaluation->rows == NULL);
    assert_true(evaluation->study.top_labels == NULL && evaluation->study.report.rows == NULL);
}

/* The sizes of the parts, and that no row is in two. Returns how many rows there are in all. */
static size_t parts_are(const rung_evaluation *evaluation, size_t tune, size_t calibrate, size_t certify, size_t report)
{
    const rung_study *study = &evaluation->study;
    const rung_rows *parts[] = {&study->tune, &study->calibrate, &study->certify, &study->report};
    bool *seen = calloc(evaluation->count, sizeof *seen);
    size_t count = 0;
    assert_non_null(seen);
    assert_int_equal(study->tune.count, tune);
    assert_int_equal(study->calibrate.count, calibrate);
    assert_int_equal(study->certify.count, certify);
    assert_int_equal(study->report.count, report);
    for (size_t k = 0; k < 4; k++) {
        for (size_t i = 0; i < parts[k]->count; i++) {
            size_t row = parts[k]->rows[i];
            assert_true(row < evaluation->count && !seen[row]);
            seen[row] = true;
            count++;
        }
    }
    free(seen);
    return count;
}

/* The inputs from `first` on are the rows of the data. */
static void inputs_are(const rung_evaluation *evaluation, size_t first, const rung_dataset *data, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(evaluation->inputs[first + i].text, data->inputs[i].text);
        assert_int_equal(evaluation->labels[first + i], data->labels[i]);
    }
}

static void split_of_one_file(void **state)
{
    (void)state;
    rung_evaluation evaluation = {0};
    rung_evaluation_options options = options_of(recorded);
    assert_ok(rung_evaluation_open(cascade, &options, &evaluation, error));
    assert_int_equal(evaluation.count, EVALUATION_ROWS);
    assert_int_equal(parts_are(&evaluation, 60, 24, 96, 120), EVALUATION_ROWS);
    inputs_are(&evaluation, 0, &evaluation.data, EVALUATION_ROWS);
    assert_int_equal(evaluation.seed, cascade->policy.seed);
    assert_ptr_equal(evaluation.study.labels, evaluation.labels);
    assert_int_equal(evaluation.study.calibration.num_levels, 3);
    /* A draw, not blocks. */
    size_t low = 0;
    for (size_t i = 0; i < evaluation.study.report.count; i++) {
        low += evaluation.study.report.rows[i] < EVALUATION_ROWS / 2;
    }
    assert_in_range(low, 40, 80);
    rung_evaluation_close(&evaluation);
    is_closed(&evaluation);
    rung_evaluation_close(&evaluation);
}

static void split_of_a_part_of_one_file(void **state)
{
    (void)state;
    rung_evaluation evaluation = {0};
    rung_evaluation_options options = options_of(recorded);
    options.most_rows = 250;
    assert_ok(rung_evaluation_open(cascade, &options, &evaluation, error));
    assert_int_equal(evaluation.count, EVALUATION_ROWS);
    assert_int_equal(parts_are(&evaluation, 50, 20, 80, 100), 250);
    rung_evaluation_close(&evaluation);
    options.most_rows = EVALUATION_ROWS + 1;
    assert_ok(rung_evaluation_open(cascade, &options, &evaluation, error));
    assert_int_equal(parts_are(&evaluation, 60, 24, 96, 120), EVALUATION_ROWS);
    rung_evaluation_close(&evaluation);
}

static void data_to_tune_on_of_its_own(void **state)
{
    (void)state;
    rung_evaluation evaluation = {0};
    rung_evaluation_options options = options_of(recorded);
    options.tune_data = path_tune;
    assert_ok(rung_evaluation_open(cascade, &options, &evaluation, error));
    assert_int_equal(evaluation.count, TUNE_ROWS + EVALUATION_ROWS);
    assert_int_equal(parts_are(&evaluation, TUNE_ROWS, 30, 120, 150), TUNE_ROWS + EVALUATION_ROWS);
    inputs_are(&evaluation, 0, &evaluation.tune_data, TUNE_ROWS);
    inputs_are(&evaluation, TUNE_ROWS, &evaluation.data, EVALUATION_ROWS);
    for (size_t i = 0; i < TUNE_ROWS; i++) {
        assert_int_equal(evaluation.study.tune.rows[i], i);
    }
    rung_evaluation_close(&evaluation);
    options.most_tune_rows = 25;
    options.most_rows = 200;
    assert_ok(rung_evaluation_open(cascade, &options, &evaluation, error));
    assert_int_equal(evaluation.count, 25 + EVALUATION_ROWS);
    assert_int_equal(parts_are(&evaluation, 25, 20, 80, 100), 225);
    inputs_are(&evaluation, 0, &evaluation.tune_data, 25);
    inputs_are(&evaluation, 25, &evaluation.data, EVALUATION_ROWS);
    rung_evaluation_close(&evaluation);
}

static void a_second_opening_computes_nothing(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    rung_evaluation first = {0};
    rung_evaluation second = {0};
    rung_evaluation_options options = options_of(directory);
    assert_ok(rung_evaluation_open(cascade, &options, &first, error));
    assert_int_equal(first.recorded_before, 0);
    assert_true(rung_replay_computed(first.replay) > 0);
    assert_true(first.record_s > 0);
    size_t recorded_texts = rung_store_count(first.store);
    assert_true(recorded_texts > 0);
    assert_fails(rung_evaluation_open(cascade, &options, &second, error), RUNG_IO, "is open for writing elsewhere");
    is_closed(&second);
    const rung_timing timing = first.timing;
    double temperature = first.study.temperatures[0];
    size_t row = first.study.report.rows[0];
    rung_evaluation_close(&first);
    assert_ok(rung_evaluation_open(cascade, &options, &second, error));
    assert_int_equal(second.recorded_before, recorded_texts);
    assert_int_equal(rung_store_count(second.store), recorded_texts);
    assert_int_equal(rung_replay_computed(second.replay), 0);
    assert_int_equal(second.study.report.rows[0], row);
    assert_true(second.study.temperatures[0] == temperature);
    for (uint32_t l = 0; l < 3; l++) {
        assert_int_equal(second.timing.level[l].num_layers, timing.level[l].num_layers);
        assert_true(second.timing.level[l].tokenize_ms_per_byte == timing.level[l].tokenize_ms_per_byte);
        for (uint32_t e = 0; e < timing.level[l].num_layers; e++) {
            assert_true(second.timing.level[l].exits[e].a_ms == timing.level[l].exits[e].a_ms);
        }
    }
    rung_evaluation_close(&second);
    fixture_remove(directory);
}

static void a_record_of_something_else(void **state)
{
    (void)state;
    rung_evaluation evaluation = {0};
    rung_evaluation_options options = options_of(recorded);
    rung_cascade *exact = open_cascade("fp32");
    assert_fails(rung_evaluation_open(exact, &options, &evaluation, error), RUNG_MISMATCH, "precision");
    is_closed(&evaluation);
    rung_cascade_close(exact);
    char *here = realpath(".", NULL);
    rung_buffer yaml = {0};
    rung_buffer_format(&yaml,
                       "levels:\n  - {name: one, model: %s/tests/golden/tiny-distilbert}\n"
                       "  - {name: two, model: %s/tests/golden/tiny-bert, link: wifi}\n"
                       "labels: {neg: contradiction, pos: entailment}\n",
                       here, here);
    fixture_write(files, "other.yaml", yaml.data);
    char *path = fixture_join(files, "other.yaml");
    rung_cascade *other = NULL;
    assert_ok(rung_cascade_open(path, &(rung_open_options){.threads = 1}, &other, error));
    assert_fails(rung_evaluation_open(other, &options, &evaluation, error), RUNG_MISMATCH, "level 1 model sha256");
    is_closed(&evaluation);
    rung_cascade_close(other);
    rung_buffer_deinit(&yaml);
    free(path);
    free(here);
    /* The record is as it was. */
    assert_ok(rung_evaluation_open(cascade, &options, &evaluation, error));
    assert_int_equal(rung_replay_computed(evaluation.replay), 0);
    rung_evaluation_close(&evaluation);
}

static void data_that_cannot_be_used(void **state)
{
    (void)state;
    rung_evaluation evaluation = {0};
    rung_evaluation_options options = options_of(recorded);
    fixture_write(files, "bare.jsonl", "{\"text\": \"a film\"}\n");
    char *bare = fixture_join(files, "bare.jsonl");
    options.data = bare;
    assert_fails(rung_evaluation_open(cascade, &options, &evaluation, error), RUNG_INVALID, "label is missing");
    is_closed(&evaluation);
    options = options_of(recorded);
    options.tune_data = bare;
    assert_fails(rung_evaluation_open(cascade, &options, &evaluation, error), RUNG_INVALID, "bare.jsonl");
    is_closed(&evaluation);
    options = options_of(recorded);
    options.data = "/nonexistent/data.jsonl";
    assert_fails(rung_evaluation_open(cascade, &options, &evaluation, error), RUNG_NOT_FOUND,
                 "/nonexistent/data.jsonl");
    is_closed(&evaluation);
    options = options_of(recorded);
    options.data = path_small;
    assert_fails(rung_evaluation_open(cascade, &options, &evaluation, error), RUNG_INVALID,
                 "10 rows to tune on; at least 20 are needed");
    is_closed(&evaluation);
    options.tune_data = path_tune;
    assert_fails(rung_evaluation_open(cascade, &options, &evaluation, error), RUNG_INVALID,
                 "5 rows to calibrate on; at least 20 are needed");
    is_closed(&evaluation);
    free(bare);
}

static void directories(void **state)
{
    (void)state;
    rung_evaluation evaluation = {0};
    rung_evaluation_options options = options_of("/nonexistent/report");
    assert_fails(rung_evaluation_open(cascade, &options, &evaluation, error), RUNG_IO,
                 "/nonexistent/report: cannot make the directory");
    is_closed(&evaluation);
    options = options_of(path_data);
    assert_fails(rung_evaluation_open(cascade, &options, &evaluation, error), RUNG_INVALID, "is not a directory");
    is_closed(&evaluation);
    /* One that is not there is made; where nothing can be written, the record cannot be made. */
    char *outer = fixture_directory();
    char *inner = fixture_join(outer, "report");
    options = options_of(inner);
    options.data = path_small;
    assert_fails(rung_evaluation_open(cascade, &options, &evaluation, error), RUNG_INVALID, "10 rows to tune on");
    char *record = fixture_join(inner, "record.rung");
    assert_int_equal(unlink(record), 0);
    assert_int_equal(mkdir(record, 0777), 0);
    assert_fails(rung_evaluation_open(cascade, &options, &evaluation, error), RUNG_IO, "record.rung");
    is_closed(&evaluation);
    assert_int_equal(rmdir(record), 0);
    free(record);
    fixture_remove(inner);
    fixture_remove(outer);
}

/* A profile of other models is not taken. */
static void a_profile_of_something_else(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    rung_evaluation evaluation = {0};
    rung_evaluation_options options = options_of(directory);
    char *path = fixture_join(recorded, "profile.json");
    char *profile = NULL;
    size_t size;
    assert_ok(rung_read_file(path, 1 << 20, &profile, &size, error));
    memcpy(strstr(profile, "precision int8"), "precision fp32", strlen("precision fp32"));
    fixture_write(directory, "profile.json", profile);
    free(profile);
    free(path);
    assert_fails(rung_evaluation_open(cascade, &options, &evaluation, error), RUNG_MISMATCH, "profile.json");
    is_closed(&evaluation);
    fixture_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(split_of_one_file),
        cmocka_unit_test(split_of_a_part_of_one_file),
        cmocka_unit_test(data_to_tune_on_of_its_own),
        cmocka_unit_test(a_second_opening_computes_nothing),
        cmocka_unit_test(a_record_of_something_else),
        cmocka_unit_test(data_that_cannot_be_used),
        cmocka_unit_test(directories),
        cmocka_unit_test(a_profile_of_something_else),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
