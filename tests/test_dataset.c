/* test_dataset.c: labelled lines read with and without a cascade, the names of their labels, and parts of a dataset. */
#include "fit/dataset.h"
#include "model_fixture.h"

static void read_lines(const char *lines, rung_dataset *data)
{
    char *directory = fixture_directory();
    fixture_write(directory, "rows.jsonl", lines);
    char *path = fixture_join(directory, "rows.jsonl");
    *data = (rung_dataset){0};
    assert_ok(rung_dataset_read(NULL, path, 0, data, error));
    free(path);
    fixture_remove(directory);
}

static void names_are(const char *lines, const rung_cascade_config *config, const char *wanted)
{
    rung_dataset data;
    rung_buffer text = {0};
    char **names = NULL;
    size_t count = 0;
    read_lines(lines, &data);
    assert_ok(rung_dataset_label_names(&data, config, &names, &count, error));
    for (size_t i = 0; i < count; i++) {
        rung_buffer_format(&text, "%s|", names[i]);
    }
    assert_string_equal(text.data, wanted);
    rung_buffer_deinit(&text);
    rung_label_names_free(names, count);
    rung_dataset_deinit(&data);
}

static void names_of_labels(void **state)
{
    (void)state;
    names_are("{\"text\":\"a\",\"label\":\"zebra\"}\n{\"text\":\"b\",\"label\":\"ant\"}\n{\"text\":\"c\",\"label\":"
              "\"zebra\"}\n{\"text\":\"d\",\"label\":\"Mole\"}\n",
              NULL, "Mole|ant|zebra|");
    names_are("{\"text\":\"a\",\"label\":10}\n{\"text\":\"b\",\"label\":9}\n{\"text\":\"c\",\"label\":10}\n{\"text\":"
              "\"d\",\"label\":200}\n",
              NULL, "9|10|200|");
    names_are("{\"text\":\"a\",\"label\":10}\n{\"text\":\"b\",\"label\":\"9\"}\n{\"text\":\"c\",\"label\":\"10\"}\n",
              NULL, "10|9|");
    rung_label_rename renames[] = {{.from = (char *)(uintptr_t) "b", .to = (char *)(uintptr_t) "z"}};
    rung_cascade_config config = {.num_renames = 1, .renames = renames};
    names_are("{\"text\":\"a\",\"label\":\"b\"}\n{\"text\":\"b\",\"label\":\"z\"}\n{\"text\":\"c\",\"label\":\"c\"}\n",
              &config, "c|z|");
}

static void names_fail(const char *lines, const char *fragment)
{
    rung_dataset data;
    char **names = NULL;
    size_t count = 77;
    read_lines(lines, &data);
    assert_fails(rung_dataset_label_names(&data, NULL, &names, &count, error), RUNG_INVALID, fragment);
    assert_null(names);
    assert_int_equal(count, 77);
    rung_dataset_deinit(&data);
}

static void no_names(void **state)
{
    (void)state;
    names_fail("{\"text\":\"a\",\"label\":\"x\"}\n{\"text\":\"a\",\"label\":\"x\"}\n",
               "rows.jsonl: all 2 rows have label \"x\"; a task needs at least 2 labels");
    names_fail("{\"text\":\"a\",\"label\":\"x\"}\n{\"text\":\"a\"}\n", "rows.jsonl:2: field label is missing");
}

static void labels_are_matched_later(void **state)
{
    (void)state;
    rung_open_options options = {.threads = 1};
    rung_cascade *cascade = NULL;
    rung_dataset data;
    assert_ok(rung_cascade_open("tests/golden/tiny-bert", &options, &cascade, error));
    read_lines("{\"text\":\"a\",\"label\":\"neutral\"}\n{\"text\":\"b\",\"label\":2}\n", &data);
    assert_ok(rung_dataset_match(cascade, &data, error));
    assert_int_equal(data.labels[0], 1);
    assert_int_equal(data.labels[1], 2);
    rung_dataset_deinit(&data);
    read_lines("{\"text\":\"a\",\"label\":\"neutral\"}\n{\"text\":\"b\",\"label\":\"nice\"}\n", &data);
    assert_fails(rung_dataset_match(cascade, &data, error), RUNG_INVALID, "rows.jsonl:2: label \"nice\" is not one of");
    rung_dataset_deinit(&data);
    rung_cascade_close(cascade);
}

static void parts(void **state)
{
    (void)state;
    rung_dataset data;
    rung_dataset part = {0};
    static const size_t rows[2] = {2, 0};
    read_lines("{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"id\":\"x\",\"text\":\"c\"}\n", &data);
    data.labels[2] = 5;
    assert_ok(rung_dataset_take(&data, rows, 2, &part, error));
    assert_int_equal(part.count, 2);
    assert_string_equal(part.inputs[0].id, "x");
    assert_ptr_equal(part.inputs[1].text, data.inputs[0].text);
    assert_int_equal(part.labels[0], 5);
    assert_string_equal(part.sha256, data.sha256);
    rung_dataset_deinit(&part);
    assert_string_equal(data.inputs[2].text, "c"); /* it was lent */
    rung_dataset_deinit(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_labels),
        cmocka_unit_test(no_names),
        cmocka_unit_test(labels_are_matched_later),
        cmocka_unit_test(parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
