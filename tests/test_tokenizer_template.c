/* test_tokenizer_template.c: bad post-processors by their message, and the token order that good ones give. */
#include "tokenizer_fixture.h"

static void refuses_other_kinds_by_name(void **state)
{
    (void)state;
    assert_field_refused("post_processor", "null", RUNG_UNSUPPORTED,
                         "t.json: post_processor is null; rung supports TemplateProcessing, BertProcessing, "
                         "RobertaProcessing and a Sequence of ByteLevel and one of these");
    assert_field_refused("post_processor", "DELETE", RUNG_FORMAT,
                         "t.json: field 'post_processor' is missing; it must be an object");
    assert_field_refused(
        "post_processor.type", "\"ByteLevel\"", RUNG_UNSUPPORTED,
        "t.json: post_processor \"ByteLevel\" is not supported yet; rung supports TemplateProcessing, BertProcessing, "
        "RobertaProcessing and a Sequence of ByteLevel and one of these");
}

static void refuses_bad_templates(void **state)
{
    (void)state;
    assert_field_refused("post_processor.pair", "DELETE", RUNG_FORMAT,
                         "t.json: field 'post_processor.pair' is missing; it must be an array");
    assert_field_refused("post_processor.single.0", "\"[CLS]\"", RUNG_FORMAT,
                         "t.json: post_processor.single[0] must be an object with either SpecialToken or Sequence");
    assert_field_refused("post_processor.single.1.Sequence.id", "\"C\"", RUNG_FORMAT,
                         "t.json: post_processor.single[1]: sequence \"C\" is neither \"A\" nor \"B\"");
    assert_field_refused("post_processor.single.1.Sequence.id", "\"B\"", RUNG_UNSUPPORTED,
                         "t.json: post_processor.single[1]: sequence B has no place in the template for one text");
    assert_field_refused("post_processor.pair.3.Sequence.id", "\"A\"", RUNG_UNSUPPORTED,
                         "t.json: post_processor.pair[3]: sequence A is used twice; rung supports it once");
    assert_field_refused("post_processor.pair.3", "{\"SpecialToken\": {\"id\": \"[SEP]\", \"type_id\": 1}}",
                         RUNG_UNSUPPORTED, "t.json: post_processor.pair does not use sequence B");
    assert_field_refused("post_processor.pair.3.Sequence.type_id", "2", RUNG_UNSUPPORTED,
                         "t.json: post_processor.pair[3].type_id is 2; rung supports 0 and 1");
}

static void refuses_bad_special_tokens(void **state)
{
    (void)state;
    assert_field_refused("post_processor.special_tokens.[SEP]", "DELETE", RUNG_FORMAT,
                         "t.json: post_processor.special_tokens has no object for \"[SEP]\", which a template uses");
    assert_field_refused("post_processor.special_tokens.[SEP].ids", "[6]", RUNG_FORMAT,
                         "t.json: post_processor adds id 6, which no token has");
    assert_field_refused(
        "post_processor.special_tokens.[SEP].ids", "[\"2\"]", RUNG_FORMAT,
        "t.json: post_processor.special_tokens: an id of \"[SEP]\" is a string; it must be an integer");
    char many[256] = "[1";
    for (size_t i = 0; i < 64; i++) {
        memcpy(many + 2 + 2 * i, ",1", 2);
    }
    memcpy(many + 2 + 2 * 64, "]", 2);
    assert_field_refused("post_processor.special_tokens.[CLS].ids", many, RUNG_LIMIT,
                         "t.json: post_processor adds more than 64 special tokens to a text");
    assert_field_refused("post_processor",
                         "{\"type\": \"BertProcessing\", \"sep\": [\"[SEP]\"], \"cls\": [\"[CLS]\", 1]}", RUNG_FORMAT,
                         "t.json: post_processor.sep must be a token and its id");
    assert_field_refused("post_processor", "{\"type\": \"BertProcessing\", \"sep\": [\"x\", 9], \"cls\": [\"x\", 1]}",
                         RUNG_FORMAT, "t.json: post_processor adds id 9, which no token has");
}

static void assert_pair_ids(const char *path, const char *value, const int32_t *ids, const uint8_t *type_ids,
                            size_t count)
{
    json_t *root = load_tiny();
    if (path != NULL) {
        set_at(root, path, value);
    }
    rung_tokenizer *tokenizer = NULL;
    rung_error error = {RUNG_OK, ""};
    assert_int_equal(parse_json(root, &tokenizer, &error), RUNG_OK);
    rung_encoding encoding = {0};
    const rung_text pair = {"film", 4};
    assert_int_equal(rung_tokenize(tokenizer, (rung_text){"ab", 2}, &pair, 100, &encoding, &error), RUNG_OK);
    assert_int_equal(encoding.length, count);
    assert_memory_equal(encoding.ids, ids, count * sizeof *ids);
    assert_memory_equal(encoding.type_ids, type_ids, count);
    rung_encoding_deinit(&encoding);
    rung_tokenizer_free(tokenizer);
    json_decref(root);
}

static void templates_order_tokens(void **state)
{
    (void)state;
    const int32_t usual[] = {1, 3, 4, 2, 5, 2};
    const uint8_t usual_types[] = {0, 0, 0, 0, 1, 1};
    assert_pair_ids(NULL, NULL, usual, usual_types, 6);
    assert_pair_ids("post_processor",
                    "{\"type\": \"BertProcessing\", \"sep\": [\"[SEP]\", 2], \"cls\": [\"[CLS]\", 1]}", usual,
                    usual_types, 6);
    assert_pair_ids("post_processor.special_tokens.[SEP].ids", "[2, 0]", (const int32_t[]){1, 3, 4, 2, 0, 5, 2, 0},
                    (const uint8_t[]){0, 0, 0, 0, 0, 1, 1, 1}, 8);
    assert_pair_ids(
        "post_processor.pair",
        "[{\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}]",
        (const int32_t[]){5, 3, 4}, (const uint8_t[]){1, 0, 0}, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_other_kinds_by_name),
        cmocka_unit_test(refuses_bad_templates),
        cmocka_unit_test(refuses_bad_special_tokens),
        cmocka_unit_test(templates_order_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
