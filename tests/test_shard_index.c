/* test_shard_index.c: model.safetensors.index.json, good and bad; every refusal by its message. */
#include "model/shard_index.h"
#include "model_fixture.h"

static rung_status parse(const char *text, rung_shard_index *index, rung_error *error)
{
    return rung_shard_index_parse(text, strlen(text), "dir/index.json", index, error);
}

static void test_shards_and_tensors_are_sorted(void **state)
{
    (void)state;
    rung_shard_index index = {0};
    assert_ok(parse("{\"metadata\":{\"total_size\":7},\"weight_map\":{\"c\":\"b.safetensors\",\"a\":\"b.safetensors\","
                    "\"b\":\"a.safetensors\"}}",
                    &index, error));
    assert_int_equal(index.num_shards, 2);
    assert_string_equal(index.shards[0], "a.safetensors");
    assert_string_equal(index.shards[1], "b.safetensors");
    assert_int_equal(index.num_entries, 3);
    static const struct {
        const char *tensor;
        size_t shard;
    } wanted[] = {{"a", 1}, {"b", 0}, {"c", 1}};
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(index.entries[i].tensor, wanted[i].tensor);
        assert_int_equal(index.entries[i].shard, wanted[i].shard);
        assert_ptr_equal(rung_shard_index_find(&index, wanted[i].tensor), &index.entries[i]);
    }
    assert_null(rung_shard_index_find(&index, "d"));
    assert_null(rung_shard_index_find(&index, ""));
    rung_shard_index_deinit(&index);
    rung_shard_index_deinit(&index); /* again is harmless */
    assert_int_equal(index.num_shards, 0);
}

static void test_refuses_what_is_no_index(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *fragment;
    } cases[] = {
        {"", "dir/index.json: not valid JSON at line 1"},
        {"{\"weight_map\":{\"a\":\"a.safetensors\",\"a\":\"b.safetensors\"}}", "duplicate object key"},
        {"[]", "dir/index.json: the file is an array; it must be an object"},
        {"{}", "field 'weight_map' is missing"},
        {"{\"weight_map\":[]}", "field 'weight_map' is an array; it must be an object"},
        {"{\"weight_map\":{}}", "weight_map is empty"},
        {"{\"weight_map\":{\"a\":1}}", "tensor \"a\" is an integer; it must be a file name"},
        {"{\"weight_map\":{\"a\":\"../a.safetensors\"}}",
         "tensor \"a\" is said to be in \"../a.safetensors\"; it must"},
        {"{\"weight_map\":{\"a\":\"/etc/a.safetensors\"}}", "has no slash"},
        {"{\"weight_map\":{\"a\":\".safetensors\"}}", "is said to be in \".safetensors\""},
        {"{\"weight_map\":{\"a\":\".a.safetensors\"}}", "is said to be in \".a.safetensors\""},
        {"{\"weight_map\":{\"a\":\"a.bin\"}}", "is said to be in \"a.bin\""},
        {"{\"weight_map\":{\"a\":\"\"}}", "is said to be in \"\""},
        {"{\"weight_map\":{\"a\":\"a\\u0000.safetensors\"}}", "is said to be in \"a?.safetensors\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rung_shard_index index = {.num_shards = 77};
        assert_fails(parse(cases[i].text, &index, error), RUNG_FORMAT, cases[i].fragment);
        assert_int_equal(index.num_shards, 77);
    }
}

static void test_refuses_too_many_shards(void **state)
{
    (void)state;
    rung_buffer text = {0};
    rung_buffer_text(&text, "{\"weight_map\":{");
    for (int i = 0; i <= RUNG_MAX_SHARDS; i++) {
        rung_buffer_format(&text, "%s\"t%d\":\"s%d.safetensors\"", i > 0 ? "," : "", i, i);
    }
    rung_buffer_text(&text, "}}");
    rung_shard_index index = {0};
    assert_fails(parse(text.data, &index, error), RUNG_LIMIT, "names 1025 files, more than the limit of 1024");
    rung_buffer_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shards_and_tensors_are_sorted),
        cmocka_unit_test(test_refuses_what_is_no_index),
        cmocka_unit_test(test_refuses_too_many_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
