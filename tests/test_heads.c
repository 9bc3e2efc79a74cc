/* test_heads.c: a new task on the frozen tiny encoder: labels from the data, the split, heads that learn, what the calibration brings back, and
 * what is refused. */
#include "cascade/confidence.h"
#include "fit/fit_cascade.h"
#include "fit/heads.h"
#include "model_fixture.h"

#include <math.h>

#define TINY "tests/golden/tiny-bert"

enum { ROWS = 240 };

/* Texts of three kinds, each with a word of its own; `names` are their labels in JSON. */
static char *write_rows(const char *directory, size_t rows, const char *const names[3])
{
    static const char *const words[3] = {"love great good", "hate dull not", "actor plot story"};
    static const char *const fillers[5] = {"the film", "a movie", "it was this", "in that one", "very"};
    rung_buffer text = {0};
    for (size_t i = 0; i < rows; i++) {
        uint64_t draw = rung_xxh64(&i, sizeof i, 5);
        size_t kind = draw % 3;
        rung_buffer_format(&text, "{\"id\":\"r%zu\",\"text\":\"%s %s %s\",\"label\":%s}\n", i, fillers[draw / 3 % 5],
                           words[kind], fillers[draw / 15 % 5], names[kind]);
    }
    fixture_write(directory, "rows.jsonl", text.data);
    rung_buffer_deinit(&text);
    return fixture_join(directory, "rows.jsonl");
}

static const char *const ZOO[3] = {"\"zebra\"", "\"ant\"", "\"mole\""};

/* A cascade of the models at `first` and `second` (NULL: one level). */
static rung_cascade_config make_config(const char *directory, const char *first, const char *second,
                                       const char *calibration)
{
    rung_cascade_config config = {0};
    rung_buffer text = {0};
    rung_buffer_format(&text, "levels:\n  - model: %s\n", first);
    if (second != NULL) {
        rung_buffer_format(&text, "  - model: %s\n    link: lan\n", second);
    }
    if (calibration != NULL) {
        rung_buffer_format(&text, "calibration: %s\n", calibration);
    }
    assert_ok(rung_cascade_config_parse(text.data, text.length, "test.yaml", directory, NULL, &config, error));
    rung_buffer_deinit(&text);
    return config;
}

typedef struct fitted {
    rung_cascade *cascade;
    rung_dataset data, learn, rest;
    rung_task_heads heads;
    rung_calibration_file file;
} fitted;

static void fitted_deinit(fitted *all)
{
    rung_task_heads_deinit(&all->heads);
    rung_calibration_file_deinit(&all->file);
    rung_dataset_deinit(&all->learn);
    rung_dataset_deinit(&all->rest);
    rung_dataset_deinit(&all->data);
    rung_cascade_close(all->cascade);
}

static void open_for(fitted *all, rung_cascade_config config, const char *path, bool all_levels, size_t threads)
{
    char **names = NULL;
    size_t num_names = 0;
    *all = (fitted){0};
    assert_ok(rung_dataset_read(NULL, path, 0, &all->data, error));
    assert_ok(rung_dataset_label_names(&all->data, &config, &names, &num_names, error));
    rung_new_task task = {.all_levels = all_levels, .labels = (const char *const *)names, .num_labels = num_names};
    assert_ok(
        rung_cascade_open_for_fit(&config, &(rung_open_options){.threads = threads}, &task, &all->cascade, error));
    rung_label_names_free(names, num_names);
    assert_ok(rung_dataset_match(all->cascade, &all->data, error));
}

/* What rung fit does. */
static void fit_all(fitted *all)
{
    const rung_fit_options options = {.data_name = "rows", .target_agreement = 0.9};
    assert_true(rung_heads_wanted(all->cascade, true));
    assert_ok(rung_heads_split(all->cascade, &all->data, &all->learn, &all->rest, error));
    assert_ok(rung_fit_heads(all->cascade, true, &all->learn, NULL, &all->heads, error));
    assert_ok(rung_fit_cascade(all->cascade, &all->rest, &options, &all->file, error));
    assert_ok(rung_task_heads_store(&all->heads, &all->file, error));
}

static double accuracy(const rung_cascade *cascade, const rung_dataset *data)
{
    rung_answers *answers = NULL;
    size_t right = 0;
    assert_ok(
        rung_cascade_classify_policy(cascade, &cascade->policy, data->inputs, data->count, NULL, &answers, error));
    for (size_t i = 0; i < data->count; i++) {
        right += rung_answers_get(answers, i)->label_index == data->labels[i];
    }
    rung_answers_free(answers);
    return (double)right / (double)data->count;
}

static void split_keeps_labels_apart(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    char *path = write_rows(directory, ROWS, ZOO);
    fitted all;
    open_for(&all, make_config(".", TINY, NULL, NULL), path, true, 1);
    assert_ok(rung_heads_split(all.cascade, &all.data, &all.learn, &all.rest, error));
    assert_int_equal(all.learn.count + all.rest.count, ROWS);
    size_t counts[2][3] = {{0}};
    size_t at[2] = {0};
    for (size_t i = 0; i < ROWS; i++) { /* both keep the order, and every row is in one of them */
        bool first = at[0] < all.learn.count && all.learn.inputs[at[0]].text == all.data.inputs[i].text;
        const rung_dataset *part = first ? &all.learn : &all.rest;
        size_t *next = &at[first ? 0 : 1];
        assert_ptr_equal(part->inputs[*next].text, all.data.inputs[i].text);
        assert_int_equal(part->labels[*next], all.data.labels[i]);
        counts[first ? 0 : 1][part->labels[(*next)++]]++;
    }
    for (size_t c = 0; c < 3; c++) {
        assert_int_equal(counts[1][c], (counts[0][c] + counts[1][c]) / RUNG_HEADS_SHARE);
    }
    fitted_deinit(&all);
    free(path);
    fixture_remove(directory);
}

/* A random encoder tells such texts apart; the calibration brings heads and labels to the same files, which then answer as in the fit. */
static void new_task_on_a_frozen_cascade(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    char *path = write_rows(directory, ROWS, ZOO);
    char *calibration = fixture_join(directory, "calibration.json");
    rung_buffer texts[2] = {{0}, {0}};
    for (size_t i = 0; i < 2; i++) {
        fitted all;
        open_for(&all, make_config(".", TINY, TINY, NULL), path, true, i == 0 ? 1 : 3);
        assert_string_equal(rung_cascade_label(all.cascade, 0), "ant");
        fit_all(&all);
        assert_true(accuracy(all.cascade, &all.rest) > 0.9);
        assert_ok(rung_calibration_file_print(&all.file, &texts[i], error));
        assert_ok(rung_calibration_file_save(&all.file, calibration, error));
        fitted_deinit(&all);
    }
    assert_int_equal(texts[0].length, texts[1].length);
    assert_memory_equal(texts[0].data, texts[1].data, texts[0].length);
    rung_cascade_config config = make_config(".", TINY, TINY, calibration);
    rung_cascade *cascade = NULL;
    assert_ok(rung_cascade_open_config(&config, NULL, &cascade, error));
    assert_int_equal(rung_cascade_num_labels(cascade), 3);
    assert_string_equal(rung_cascade_label(cascade, 2), "zebra");
    rung_dataset data = {0};
    assert_ok(rung_dataset_read(cascade, path, 0, &data, error));
    assert_true(accuracy(cascade, &data) > 0.9);
    rung_dataset_deinit(&data);
    rung_cascade_close(cascade);
    rung_buffer_deinit(&texts[0]);
    rung_buffer_deinit(&texts[1]);
    free(calibration);
    free(path);
    fixture_remove(directory);
}

/* Numbers as labels are names: 9 is not the id of a class. */
static void numbers_as_labels(void **state)
{
    (void)state;
    static const char *const numbers[3] = {"10", "9", "0"};
    char *directory = fixture_directory();
    char *path = write_rows(directory, ROWS, numbers);
    fitted all;
    uint32_t label = 77;
    open_for(&all, make_config(".", TINY, NULL, NULL), path, true, 1);
    assert_ok(rung_cascade_find_label(all.cascade, NULL, 9, &label, error));
    assert_int_equal(label, 1);
    assert_ok(rung_cascade_find_label(all.cascade, NULL, 0, &label, error));
    assert_int_equal(label, 0);
    assert_fails(rung_cascade_find_label(all.cascade, NULL, 1, &label, error), RUNG_INVALID,
                 "label \"1\" is not one of the models' 3: 0, 9, 10");
    fitted_deinit(&all);
    free(path);
    fixture_remove(directory);
}

static char *copy_tiny(const char *skip)
{
    static const char *const names[] = {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors",
                                        "exits.safetensors"};
    char *directory = fixture_directory();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], skip) == 0) {
            continue;
        }
        char *from = fixture_join(TINY, names[i]);
        char *to = fixture_join(directory, names[i]);
        char *bytes = NULL;
        size_t count = 0;
        assert_ok(rung_read_file(from, 1 << 20, &bytes, &count, error));
        assert_ok(rung_write_file(to, bytes, count, error));
        free(bytes);
        free(from);
        free(to);
    }
    return directory;
}

/* A classifier without exits below its own gets them: its labels, order and last head stay. Another level has the labels in another order. */
static void exits_for_a_classifier(void **state)
{
    (void)state;
    static const char *const own[3] = {"\"entailment\"", "\"neutral\"", "\"contradiction\""};
    char *directory = fixture_directory();
    char *path = write_rows(directory, ROWS, own);
    char *calibration = fixture_join(directory, "calibration.json");
    char *bare = copy_tiny("exits.safetensors");
    char *tiny = realpath(TINY, NULL);
    fitted all;
    open_for(&all, make_config(".", tiny, bare, NULL), path, false, 1);
    const rung_model *model = all.cascade->level[1].model;
    const float *last = model->exits[2].weight;
    assert_string_equal(rung_cascade_label(all.cascade, 0), "contradiction");
    assert_false(all.cascade->level[1].has_task_labels);
    assert_false(rung_heads_wanted(all.cascade, false)); /* --heads keep */
    fit_all(&all);
    assert_null(all.heads.level[0].heads);
    assert_true(rung_model_has_exit(model, 0) && rung_model_has_exit(model, 1));
    assert_ptr_equal(model->exits[2].weight, last);
    assert_non_null(model->pooler.panels);
    assert_int_equal(all.file.levels[1].num_exits, 3);
    assert_non_null(all.file.levels[1].exits[1].head_weight);
    assert_null(all.file.levels[1].exits[2].head_weight);
    assert_true(all.file.levels[1].exits[0].accuracy > 0.8);
    assert_ok(rung_calibration_file_save(&all.file, calibration, error));
    rung_cascade_config config = make_config(".", tiny, bare, calibration);
    rung_cascade *cascade = NULL;
    assert_ok(rung_cascade_open_config(&config, NULL, &cascade, error));
    const rung_model *again = cascade->level[1].model;
    size_t floats = 3 * model->config.hidden_size;
    assert_memory_equal(again->exits[1].weight, model->exits[1].weight, floats * sizeof(float));
    assert_memory_equal(again->exits[2].weight, model->exits[2].weight, floats * sizeof(float));
    rung_cascade_close(cascade);
    fitted_deinit(&all);
    free(tiny);
    free(calibration);
    free(path);
    fixture_remove(bare);
    fixture_remove(directory);
}

static void make_plain(const char *directory)
{
    char *path = fixture_join(directory, "config.json");
    char *text = NULL;
    size_t bytes = 0;
    assert_ok(rung_read_file(path, 1 << 20, &text, &bytes, error));
    char *at = strstr(text, "BertForSequenceClassification");
    assert_non_null(at);
    memset(at, ' ', strlen("BertForSequenceClassification\""));
    memcpy(at, "BertModel\"", strlen("BertModel\""));
    assert_ok(rung_write_file(path, text, bytes, error));
    free(text);
    free(path);
}

/* A plain encoder below a classifier learns the classifier's labels; alone it needs the data's. */
static void plain_encoder_beside_a_classifier(void **state)
{
    (void)state;
    static const char *const own[3] = {"\"entailment\"", "\"neutral\"", "\"contradiction\""};
    char *directory = fixture_directory();
    char *path = write_rows(directory, ROWS, own);
    char *plain = copy_tiny("exits.safetensors");
    char *tiny = realpath(TINY, NULL);
    char *calibration = fixture_join(directory, "calibration.json");
    make_plain(plain);
    fitted all;
    open_for(&all, make_config(".", plain, tiny, NULL), path, false, 2);
    assert_string_equal(rung_cascade_label(all.cascade, 0), "contradiction"); /* not by name, as the data's would be */
    assert_string_equal(rung_cascade_label(all.cascade, 2), "entailment");
    assert_true(all.cascade->level[0].has_task_labels && !all.cascade->level[1].has_task_labels);
    fit_all(&all);
    assert_non_null(all.heads.level[0].heads);
    assert_null(all.heads.level[1].heads);
    assert_true(all.file.levels[0].accuracy > 0.9);
    assert_ok(rung_calibration_file_save(&all.file, calibration, error));
    fitted_deinit(&all);
    rung_cascade_config config = make_config(".", plain, tiny, calibration);
    rung_cascade *cascade = NULL;
    assert_ok(rung_cascade_open_config(&config, NULL, &cascade, error));
    rung_cascade_close(cascade);
    config = make_config(".", plain, tiny, NULL);
    assert_fails(rung_cascade_open_config(&config, NULL, &cascade, error), RUNG_UNSUPPORTED,
                 "is a plain encoder without a classifier: rung fit makes one");
    rung_error why = {.code = RUNG_INVALID, .message = "the data have no labels"};
    config = make_config(".", plain, plain, NULL);
    assert_fails(rung_cascade_open_for_fit(&config, NULL, &(rung_new_task){.why_none = &why}, &cascade, error),
                 RUNG_INVALID, "the data have no labels");
    free(calibration);
    free(tiny);
    free(path);
    fixture_remove(plain);
    fixture_remove(directory);
}

static void models_with_heads_keep_them(void **state)
{
    (void)state;
    static const char *const own[3] = {"\"entailment\"", "\"neutral\"", "\"contradiction\""};
    char *directory = fixture_directory();
    char *path = write_rows(directory, ROWS, own);
    fitted all;
    open_for(&all, make_config(".", TINY, NULL, NULL), path, false, 1);
    bool early = false;
    for (size_t l = 0; l + 1 < all.cascade->level[0].model->config.num_layers; l++) {
        early = early || rung_model_has_exit(all.cascade->level[0].model, l);
    }
    assert_true(early);
    assert_false(rung_heads_wanted(all.cascade, true));
    fitted_deinit(&all);
    free(path);
    fixture_remove(directory);
}

static void bad_data(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    char *path = write_rows(directory, RUNG_HEADS_MIN_ROWS - 1, ZOO);
    fitted all;
    open_for(&all, make_config(".", TINY, NULL, NULL), path, true, 1);
    assert_fails(rung_heads_split(all.cascade, &all.data, &all.learn, &all.rest, error), RUNG_INVALID,
                 "39 rows to fit heads on");
    fitted_deinit(&all);
    free(path);
    path = write_rows(directory, ROWS, ZOO);
    open_for(&all, make_config(".", TINY, NULL, NULL), path, true, 1);
    for (size_t i = 0; i < ROWS; i++) {
        all.data.labels[i] = i < 3 ? 1 : 0;
    }
    assert_fails(rung_heads_split(all.cascade, &all.data, &all.learn, &all.rest, error), RUNG_INVALID,
                 "1 labels have 4 rows or more");
    fitted_deinit(&all);
    free(path);
    fixture_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(split_keeps_labels_apart),
        cmocka_unit_test(new_task_on_a_frozen_cascade),
        cmocka_unit_test(numbers_as_labels),
        cmocka_unit_test(exits_for_a_classifier),
        cmocka_unit_test(plain_encoder_beside_a_classifier),
        cmocka_unit_test(models_with_heads_keep_them),
        cmocka_unit_test(bad_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
