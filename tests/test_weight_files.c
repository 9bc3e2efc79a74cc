/* test_weight_files.c: one file and shards as one set of tensors, and what is wrong with a set of shards. */
#include "model/weight_files.h"
#include "model_fixture.h"

static const char INDEX[] = "{\"weight_map\":{\"a\":\"model-1.safetensors\",\"b\":\"model-2.safetensors\","
                            "\"c\":\"model-1.safetensors\"}}";

/* Tensors of 2 x 3 named by the letters. */
static void save(const char *directory, const char *file, const char *letters)
{
    fixture_tensors *list = calloc(1, sizeof *list);
    assert_non_null(list);
    list->dtype = RUNG_F32;
    for (const char *letter = letters; *letter != '\0'; letter++) {
        char name[2] = {*letter, '\0'};
        fixture_tensor(list, name, 2, 16);
    }
    fixture_save(list, directory, file);
    free(list);
}

static char *make_shards(void)
{
    char *directory = fixture_directory();
    save(directory, "model-1.safetensors", "ac");
    save(directory, "model-2.safetensors", "b");
    fixture_write(directory, "model.safetensors.index.json", INDEX);
    return directory;
}

static void check_tensors(const rung_weight_files *files)
{
    static const char *const names[] = {"a", "b", "c"};
    const size_t shape[2] = {2, 16};
    for (size_t i = 0; i < 3; i++) {
        const rung_tensor *tensor = NULL;
        assert_true(rung_weight_files_has(files, names[i]));
        assert_ok(rung_weight_files_require(files, names[i], 2, shape, &tensor, error));
        assert_string_equal(tensor->name, names[i]);
        float value;
        memcpy(&value, tensor->data, sizeof value);
        assert_true(value == fixture_value(names[i], 0));
    }
    assert_false(rung_weight_files_has(files, "d"));
}

static void test_single_file(void **state)
{
    (void)state;
    char *directory = make_shards();
    save(directory, "model.safetensors", "abc"); /* preferred */
    rung_weight_files *files = NULL;
    assert_ok(rung_weight_files_open(directory, &files, error));
    check_tensors(files);
    const char *name;
    rung_mapping contents;
    assert_true(rung_weight_files_part(files, 0, &name, &contents));
    assert_string_equal(name, "model.safetensors");
    assert_int_equal(contents.size, rung_weight_files_bytes(files));
    assert_false(rung_weight_files_part(files, 1, &name, &contents));
    const rung_tensor *tensor = NULL;
    assert_fails(rung_weight_files_require(files, "d", 0, NULL, &tensor, error), RUNG_NOT_FOUND,
                 "/model.safetensors: tensor \"d\" is missing");
    rung_weight_files_close(files);
    fixture_remove(directory);
}

static void test_shards_are_one_set(void **state)
{
    (void)state;
    char *directory = make_shards();
    rung_weight_files *files = NULL;
    assert_ok(rung_weight_files_open(directory, &files, error));
    check_tensors(files);
    static const char *const parts[] = {"model.safetensors.index.json", "model-1.safetensors", "model-2.safetensors"};
    size_t bytes = 0;
    const char *name;
    rung_mapping contents;
    for (size_t i = 0; i < 3; i++) {
        assert_true(rung_weight_files_part(files, i, &name, &contents));
        assert_string_equal(name, parts[i]);
        bytes += i > 0 ? contents.size : 0;
    }
    assert_false(rung_weight_files_part(files, 3, &name, &contents));
    assert_int_equal(bytes, rung_weight_files_bytes(files));
    assert_non_null(strstr(rung_weight_files_path(files), "/model.safetensors.index.json"));
    const rung_tensor *tensor = NULL;
    const size_t other[2] = {3, 16};
    assert_fails(rung_weight_files_require(files, "d", 2, other, &tensor, error), RUNG_NOT_FOUND,
                 "/model.safetensors.index.json: tensor \"d\" is missing");
    assert_fails(rung_weight_files_require(files, "b", 2, other, &tensor, error), RUNG_MISMATCH,
                 "/model-2.safetensors: tensor \"b\" has shape [2,16], wanted [3,16]");
    rung_weight_files_close(files);
    fixture_remove(directory);
}

static void check_fails(const char *directory, rung_status status, const char *fragment)
{
    rung_weight_files *files = NULL;
    assert_fails(rung_weight_files_open(directory, &files, error), status, fragment);
    assert_null(files);
}

static void test_shards_and_index_must_agree(void **state)
{
    (void)state;
    char *directory = make_shards();
    save(directory, "model-2.safetensors", "bd");
    check_fails(directory, RUNG_MISMATCH,
                "/model-2.safetensors: tensor \"d\" is not there by "
                "model.safetensors.index.json, which says \"nowhere\"");
    save(directory, "model-2.safetensors", "ab");
    check_fails(directory, RUNG_MISMATCH,
                "tensor \"a\" is not there by model.safetensors.index.json, which says "
                "\"model-1.safetensors\"");
    save(directory, "model-2.safetensors", "d");
    check_fails(directory, RUNG_NOT_FOUND,
                "/model-2.safetensors: tensor \"b\" is missing, but model.safetensors.index.json says");
    fixture_write(directory, "model-2.safetensors", "x");
    check_fails(directory, RUNG_FORMAT, "/model-2.safetensors: has 1 bytes");
    fixture_delete(directory, "model-2.safetensors");
    check_fails(directory, RUNG_NOT_FOUND, "/model-2.safetensors: is missing, but model.safetensors.index.json says");
    fixture_write(directory, "model.safetensors.index.json", "{");
    check_fails(directory, RUNG_FORMAT, "/model.safetensors.index.json: not valid JSON");
    fixture_remove(directory);
}

static void test_no_weights(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    check_fails(directory, RUNG_NOT_FOUND, "has no model.safetensors");
    fixture_write(directory, "pytorch_model.bin", "x");
    check_fails(directory, RUNG_UNSUPPORTED, "pytorch_model.bin is a pickle, which rung does not read: convert");
    rung_weight_files_close(NULL);
    fixture_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_file),
        cmocka_unit_test(test_shards_are_one_set),
        cmocka_unit_test(test_shards_and_index_must_agree),
        cmocka_unit_test(test_no_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
