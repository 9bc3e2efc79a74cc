/* test_model_config.c: config.json and tokenizer_config.json, good and bad; every refusal by its message. */
#include "model/model_config.h"
#include "model_fixture.h"

#define SHAPE                                                                                                          \
    "\"hidden_size\":24,\"num_hidden_layers\":2,\"num_attention_heads\":3,\"intermediate_size\":40,"                   \
    "\"max_position_embeddings\":32,\"vocab_size\":50"
#define BERT "\"model_type\":\"bert\"," SHAPE
#define ROBERTA "\"model_type\":\"roberta\"," SHAPE
#define DISTILBERT                                                                                                     \
    "\"model_type\":\"distilbert\",\"dim\":24,\"n_layers\":2,\"n_heads\":3,\"hidden_dim\":40,"                         \
    "\"max_position_embeddings\":32,\"vocab_size\":50"

static rung_status parse(const char *text, rung_model_config *config, char ***labels, rung_error *error)
{
    return rung_model_config_parse(text, strlen(text), "dir/config.json", config, labels, error);
}

static void test_minimal_config_has_the_defaults_of_transformers(void **state)
{
    (void)state;
    rung_model_config config;
    char **labels = NULL;
    assert_ok(parse("{" BERT "}", &config, &labels, error));
    assert_int_equal(config.num_layers, 2);
    assert_int_equal(config.hidden_size, 24);
    assert_int_equal(config.intermediate_size, 40);
    assert_int_equal(config.num_heads, 3);
    assert_int_equal(config.head_size, 8);
    assert_int_equal(config.max_positions, 32);
    assert_int_equal(config.max_tokens, 32);
    assert_int_equal(config.vocab_size, 50);
    assert_int_equal(config.type_vocab_size, 2);
    assert_int_equal(config.num_labels, 2);
    assert_int_equal(config.activation, RUNG_EPILOGUE_GELU);
    assert_int_equal(config.task, RUNG_TASK_SINGLE_LABEL);
    assert_true(config.layer_norm_eps == 1e-12f);
    assert_string_equal(labels[0], "LABEL_0");
    assert_string_equal(labels[1], "LABEL_1");
    rung_labels_free(labels, config.num_labels);
    assert_ptr_equal(config.family, rung_family_find("bert"));
    assert_int_equal(config.padding_id, -1);
    assert_false(config.ignores_type_ids);
    assert_int_equal(config.pooler_form, RUNG_POOLER_TANH);
}

static void test_distilbert_has_its_own_field_names_and_no_token_types(void **state)
{
    (void)state;
    rung_model_config config;
    char **labels = NULL;
    assert_ok(parse("{" DISTILBERT ",\"activation\":\"relu\",\"layer_norm_eps\":1e-5,\"type_vocab_size\":2,"
                    "\"architectures\":[\"DistilBertForSequenceClassification\"],\"pad_token_id\":7}",
                    &config, &labels, error));
    assert_int_equal(config.num_layers, 2);
    assert_int_equal(config.hidden_size, 24);
    assert_int_equal(config.intermediate_size, 40);
    assert_int_equal(config.num_heads, 3);
    assert_int_equal(config.activation, RUNG_EPILOGUE_RELU);
    assert_int_equal(config.type_vocab_size, 0);
    assert_true(config.ignores_type_ids);
    assert_true(config.layer_norm_eps == 1e-12f); /* the family has no such field */
    assert_int_equal(config.padding_id, -1);
    assert_int_equal(config.max_tokens, 32);
    assert_int_equal(config.pooler_form, RUNG_POOLER_RELU);
    rung_labels_free(labels, config.num_labels);
}

static void test_positions_of_roberta_begin_behind_the_padding_id(void **state)
{
    (void)state;
    rung_model_config config;
    char **labels = NULL;
    assert_ok(parse("{" ROBERTA "}", &config, &labels, error));
    assert_int_equal(config.padding_id, 1);
    assert_int_equal(config.max_positions, 32);
    assert_int_equal(config.max_tokens, 30);
    assert_true(config.ignores_type_ids);
    rung_labels_free(labels, config.num_labels);
    labels = NULL;
    assert_ok(parse("{" ROBERTA ",\"pad_token_id\":28}", &config, &labels, error));
    assert_int_equal(config.max_tokens, 3);
    rung_labels_free(labels, config.num_labels);
}

static void test_every_field(void **state)
{
    (void)state;
    rung_model_config config;
    char **labels = NULL;
    assert_ok(parse(
        "{" BERT ",\"architectures\":[\"BertForSequenceClassification\"],\"type_vocab_size\":1,\"hidden_act\":\"relu\","
        "\"layer_norm_eps\":1e-5,\"problem_type\":\"multi_label_classification\",\"position_embedding_type\":"
        "\"absolute\",\"is_decoder\":false,\"pruned_heads\":{},\"torch_dtype\":null,"
        "\"id2label\":{\"2\":\"c\",\"0\":\"a\",\"1\":\"b \xc3\xa9\"},\"num_labels\":3}",
        &config, &labels, error));
    assert_int_equal(config.type_vocab_size, 1);
    assert_int_equal(config.activation, RUNG_EPILOGUE_RELU);
    assert_true(config.layer_norm_eps == 1e-5f);
    assert_int_equal(config.task, RUNG_TASK_MULTI_LABEL);
    assert_int_equal(config.num_labels, 3);
    assert_string_equal(labels[0], "a");
    assert_string_equal(labels[1], "b \xc3\xa9");
    assert_string_equal(labels[2], "c");
    rung_labels_free(labels, 3);
}

typedef struct bad_config {
    const char *text;
    rung_status status;
    const char *fragment;
} bad_config;

static void check_bad(const bad_config *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        rung_model_config config = {.num_layers = 77};
        char **labels = NULL;
        assert_fails(parse(cases[i].text, &config, &labels, error), cases[i].status, cases[i].fragment);
        assert_int_equal(config.num_layers, 77);
        assert_null(labels);
    }
}

static void test_refuses_other_families_and_variants_by_name(void **state)
{
    (void)state;
    static const bad_config cases[] = {
        {"{" SHAPE "}", RUNG_FORMAT, "dir/config.json: \"model_type\" is missing"},
        {"{\"model_type\":3}", RUNG_FORMAT, "\"model_type\" must be a string, not an integer"},
        {"{\"model_type\":\"deberta\"}", RUNG_UNSUPPORTED,
         "\"deberta\", a family that rung cannot run yet; it runs \"bert\", \"distilbert\" and \"roberta\": fine-tune"},
        {"{\"model_type\":\"deberta-v2\"}", RUNG_UNSUPPORTED, "\"deberta-v2\", a family"},
        {"{\"model_type\":\"xlm-roberta\"}", RUNG_UNSUPPORTED, "\"xlm-roberta\", a family"},
        {"{" DISTILBERT ",\"architectures\":[\"DistilBertForTokenClassification\"]}", RUNG_UNSUPPORTED,
         "wanted \"DistilBertForSequenceClassification\" or a plain encoder, \"DistilBertModel\""},
        {"{" DISTILBERT ",\"activation\":\"silu\"}", RUNG_UNSUPPORTED,
         "\"activation\" is \"silu\"; rung runs \"gelu\" and \"relu\""},
        {"{" ROBERTA ",\"architectures\":[\"BertModel\"]}", RUNG_UNSUPPORTED,
         "wanted \"RobertaForSequenceClassification\" or a plain encoder, \"RobertaModel\""},
        {"{\"model_type\":\"modernbert\"}", RUNG_UNSUPPORTED, "\"modernbert\", a family"},
        {"{\"model_type\":\"brt\"}", RUNG_UNSUPPORTED, "\"model_type\" is \"brt\", which rung does not know"},
        {"{" BERT ",\"architectures\":[\"BertForTokenClassification\"]}", RUNG_UNSUPPORTED,
         "\"BertForTokenClassification\", wanted \"BertForSequenceClassification\" or a plain encoder"},
        {"{" BERT ",\"architectures\":\"BertModel\"}", RUNG_FORMAT,
         "\"architectures\" must be an array of strings, not a string"},
        {"{" BERT ",\"architectures\":[1]}", RUNG_FORMAT,
         "\"architectures\" must be an array of strings, not an integer"},
        {"{" BERT ",\"position_embedding_type\":\"relative_key\"}", RUNG_UNSUPPORTED,
         "\"relative_key\"; rung runs \"absolute\" only"},
        {"{" BERT ",\"is_decoder\":true}", RUNG_UNSUPPORTED, "\"is_decoder\" is true"},
        {"{" BERT ",\"is_decoder\":1}", RUNG_FORMAT, "\"is_decoder\" must be a boolean, not an integer"},
        {"{" BERT ",\"add_cross_attention\":true}", RUNG_UNSUPPORTED, "\"add_cross_attention\" is true"},
        {"{" BERT ",\"pruned_heads\":{\"0\":[1]}}", RUNG_UNSUPPORTED, "\"pruned_heads\" is not empty"},
        {"{" BERT ",\"hidden_act\":\"gelu_new\"}", RUNG_UNSUPPORTED,
         "\"hidden_act\" is \"gelu_new\"; rung runs \"gelu\" and \"relu\""},
        {"{" BERT ",\"hidden_act\":\"gelu_pytorch_tanh\"}", RUNG_UNSUPPORTED, "\"gelu_pytorch_tanh\""},
        {"{" BERT ",\"hidden_act\":[]}", RUNG_FORMAT, "\"hidden_act\" must be a string, not an array"},
        {"{" BERT ",\"problem_type\":\"regression\"}", RUNG_UNSUPPORTED, "\"problem_type\" is \"regression\""},
        {"{" BERT ",\"id2label\":{\"0\":\"score\"}}", RUNG_UNSUPPORTED, "one label without \"problem_type\""},
    };
    check_bad(cases, sizeof cases / sizeof cases[0]);
}

static void test_refuses_bad_values_by_field(void **state)
{
    (void)state;
    static const bad_config cases[] = {
        {"", RUNG_FORMAT, "dir/config.json: line 1"},
        {"{\n\"a\": 1,\n}", RUNG_FORMAT, "dir/config.json: line 3"},
        {"{\"a\":1,\"a\":2}", RUNG_FORMAT, "duplicate object key"},
        {"[]", RUNG_FORMAT, "must hold a JSON object"},
        {"{\"model_type\":\"bert\"}", RUNG_FORMAT, "\"num_hidden_layers\" is missing"},
        {"{" BERT ",\"type_vocab_size\":\"2\"}", RUNG_FORMAT, "\"type_vocab_size\" must be an integer, not a string"},
        {"{" BERT ",\"type_vocab_size\":2.5}", RUNG_FORMAT,
         "\"type_vocab_size\" must be an integer, not a number with a fraction"},
        {"{\"model_type\":\"bert\",\"num_hidden_layers\":0}", RUNG_FORMAT,
         "\"num_hidden_layers\" is 0, must be at least 1"},
        {"{\"model_type\":\"bert\",\"num_hidden_layers\":-5}", RUNG_FORMAT, "\"num_hidden_layers\" is -5"},
        {"{\"model_type\":\"bert\",\"num_hidden_layers\":129}", RUNG_LIMIT,
         "\"num_hidden_layers\" is 129, more than the limit of 128"},
        {"{\"model_type\":\"bert\",\"num_hidden_layers\":1,\"hidden_size\":99999}", RUNG_LIMIT,
         "\"hidden_size\" is 99999, more than the limit of 16384"},
        {"{\"model_type\":\"bert\",\"num_hidden_layers\":1,\"hidden_size\":25,\"num_attention_heads\":3,\"intermediate_"
         "size\":40,"
         "\"max_position_embeddings\":32,\"vocab_size\":50}",
         RUNG_MISMATCH, "\"hidden_size\" 25 is not a multiple of \"num_attention_heads\" 3"},
        {"{" ROBERTA ",\"pad_token_id\":\"1\"}", RUNG_FORMAT, "\"pad_token_id\" must be an integer, not a string"},
        {"{" ROBERTA ",\"pad_token_id\":-1}", RUNG_LIMIT, "\"pad_token_id\" is -1: positions start behind it"},
        {"{" ROBERTA ",\"pad_token_id\":29}", RUNG_LIMIT, "leave 3 of \"max_position_embeddings\" 32"},
        {"{" ROBERTA ",\"pad_token_id\":50}", RUNG_LIMIT, "less than \"vocab_size\" 50"},
        {"{\"model_type\":\"distilbert\",\"hidden_size\":24}", RUNG_FORMAT, "\"n_layers\" is missing"},
        {"{" BERT ",\"layer_norm_eps\":\"x\"}", RUNG_FORMAT, "\"layer_norm_eps\" must be a number, not a string"},
        {"{" BERT ",\"layer_norm_eps\":-1}", RUNG_LIMIT, "\"layer_norm_eps\" is -1"},
        {"{" BERT ",\"id2label\":[\"a\"]}", RUNG_FORMAT, "\"id2label\" must be an object, not an array"},
        {"{" BERT ",\"id2label\":{}}", RUNG_FORMAT, "\"id2label\" is empty"},
        {"{" BERT ",\"id2label\":{\"0\":\"a\",\"2\":\"b\"}}", RUNG_FORMAT,
         "has 2 labels but none for \"1\": its keys must be 0 to 1"},
        {"{" BERT ",\"id2label\":{\"0\":\"a\",\"1\":2}}", RUNG_FORMAT, "label 1 must be a string, not an integer"},
        {"{" BERT ",\"id2label\":{\"0\":\"a\",\"1\":\"a\"}}", RUNG_FORMAT, "label \"a\" stands for two ids"},
        {"{" BERT ",\"id2label\":{\"0\":\"a\",\"1\":\"\"}}", RUNG_LIMIT, "label 1 has 0 bytes"},
        {"{" BERT ",\"id2label\":{\"0\":\"a\",\"1\":\"b\"},\"num_labels\":3}", RUNG_MISMATCH,
         "\"num_labels\" is 3, but \"id2label\" has 2"},
        {"{" BERT ",\"num_labels\":5000}", RUNG_LIMIT, "\"num_labels\" is 5000, more than the limit of 4096"},
    };
    check_bad(cases, sizeof cases / sizeof cases[0]);
}

static rung_status parse_length(const char *text, size_t *length, rung_error *error)
{
    return rung_tokenizer_config_parse(text, strlen(text), "t.json", length, error);
}

static void test_model_max_length(void **state)
{
    (void)state;
    size_t length = 0;
    assert_ok(parse_length("{\"model_max_length\": 512}", &length, error));
    assert_int_equal(length, 512);
    assert_ok(parse_length("{\"model_max_length\": 384.0}", &length, error));
    assert_int_equal(length, 384);
    assert_ok(parse_length("{\"model_max_length\": 1000000000000000019884624838656}", &length, error));
    assert_true(length == SIZE_MAX);
    assert_ok(parse_length("{\"model_max_length\": null}", &length, error));
    assert_true(length == SIZE_MAX);
    assert_ok(parse_length("{}", &length, error));
    assert_true(length == SIZE_MAX);
    assert_fails(parse_length("{\"model_max_length\": \"512\"}", &length, error), RUNG_FORMAT,
                 "t.json: \"model_max_length\" must be an integer, not a string");
    assert_fails(parse_length("{\"model_max_length\": 1.5}", &length, error), RUNG_FORMAT, "must be an integer");
    assert_fails(parse_length("{\"model_max_length\": 0}", &length, error), RUNG_FORMAT, "is 0, must be at least 3");
    assert_fails(parse_length("{\"model_max_length\": -1e300}", &length, error), RUNG_FORMAT, "must be at least 3");
    assert_fails(parse_length("{", &length, error), RUNG_FORMAT, "t.json: line 1");
}

static void test_minify(void **state)
{
    (void)state;
    static const char *const dropped[] = {"x", NULL};
    const char *text = "{ \"b\" : [1, 2.5],\n \"a\": \"\xc3\xa9 \\u0041\", \"x\": {} }";
    char *minified = NULL;
    assert_ok(rung_json_minify(text, strlen(text), "n", false, NULL, &minified, error));
    assert_string_equal(minified, "{\"b\":[1,2.5],\"a\":\"\xc3\xa9 A\",\"x\":{}}");
    free(minified);
    assert_ok(rung_json_minify(text, strlen(text), "n", true, dropped, &minified, error));
    assert_string_equal(minified, "{\"a\":\"\xc3\xa9 A\",\"b\":[1,2.5]}");
    free(minified);
    assert_fails(rung_json_minify("{", 1, "n", true, NULL, &minified, error), RUNG_FORMAT, "n: line 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_minimal_config_has_the_defaults_of_transformers),
        cmocka_unit_test(test_every_field),
        cmocka_unit_test(test_distilbert_has_its_own_field_names_and_no_token_types),
        cmocka_unit_test(test_positions_of_roberta_begin_behind_the_padding_id),
        cmocka_unit_test(test_refuses_other_families_and_variants_by_name),
        cmocka_unit_test(test_refuses_bad_values_by_field),
        cmocka_unit_test(test_model_max_length),
        cmocka_unit_test(test_minify),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
