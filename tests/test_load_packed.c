/* test_load_packed.c: packed files with every kind of damage give a message and no leak. What an undamaged file gives is
 * tested in test_model_load.c. */
#include "base/checked.h"
#include "model/model.h"
#include "model/model_load.h"
#include "model_fixture.h"

#include <math.h>

/* A packed file in memory, 64-byte aligned, that a test damages. */
typedef struct packed_bytes {
    uint8_t *data;
    size_t size;
} packed_bytes;

static packed_bytes read_packed(const char *path)
{
    char *text;
    packed_bytes packed;
    assert_ok(rung_read_file(path, 1 << 24, &text, &packed.size, error));
    packed.data = aligned_alloc(64, rung_round_up(packed.size, 64));
    assert_non_null(packed.data);
    memcpy(packed.data, text, packed.size);
    free(text);
    return packed;
}

static packed_bytes make_packed_of(const fixture_spec *spec, rung_quantize_options options)
{
    char *directory = fixture_directory();
    char *path = fixture_join(directory, "packed.rung");
    fixture_model(directory, spec);
    assert_ok(rung_model_quantize(directory, &options, path, error));
    packed_bytes packed = read_packed(path);
    free(path);
    fixture_remove(directory);
    return packed;
}

static packed_bytes make_packed(rung_quantize_options options)
{
    fixture_spec spec = FIXTURE_SMALL;
    spec.layers = 1;
    spec.exits = 0;
    return make_packed_of(&spec, options);
}

/* Any result but a crash or an empty message is right. */
static void try_packed(const uint8_t *data, size_t size)
{
    rung_model *model = NULL;
    rung_error reason = {.message = ""};
    if (rung_model_parse_packed(data, size, "packed", &model, &reason) == RUNG_OK) {
        rung_model_close(model);
    } else {
        assert_null(model);
        assert_memory_equal(reason.message, "packed", 6);
    }
}

static void test_truncated_packed_file(void **state)
{
    (void)state;
    packed_bytes packed = make_packed((rung_quantize_options){.bits = 5});
    uint64_t header;
    memcpy(&header, packed.data, 8);
    size_t data_begin = 8 + (size_t)header;
    for (size_t size = 0; size < packed.size; size += size < data_begin + 64 ? 1 : 997) {
        uint8_t *cut = aligned_alloc(64, rung_round_up(size + 1, 64));
        assert_non_null(cut);
        memcpy(cut, packed.data, size);
        rung_model *model = NULL;
        assert_fails(rung_model_parse_packed(cut, size, "packed", &model, error), RUNG_FORMAT, "packed: ");
        free(cut);
    }
    free(packed.data);
}

static void test_flipped_header_bits(void **state)
{
    (void)state;
    packed_bytes packed = make_packed((rung_quantize_options){.bits = 4, .frequent_bits = 6, .frequent_rows = 5});
    uint64_t header;
    memcpy(&header, packed.data, 8);
    for (size_t byte = 0; byte < 8 + (size_t)header; byte++) {
        uint8_t bit = (uint8_t)(1u << byte * 5 % 8);
        packed.data[byte] ^= bit;
        try_packed(packed.data, packed.size);
        packed.data[byte] ^= bit;
    }
    try_packed(packed.data, packed.size);
    free(packed.data);
}

/* Replaces the first occurrence of `from` in the header with as many bytes of `to` and checks what loading then says.
 */
static void check_edit(packed_bytes packed, const char *from, const char *to, rung_status status, const char *fragment)
{
    uint8_t *copy = aligned_alloc(64, rung_round_up(packed.size, 64));
    assert_non_null(copy);
    memcpy(copy, packed.data, packed.size);
    uint8_t *place = memmem(copy, packed.size, from, strlen(from));
    assert_non_null(place);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(place, to, strlen(to));
    rung_model *model = NULL;
    assert_fails(rung_model_parse_packed(copy, packed.size, "packed", &model, error), status, fragment);
    free(copy);
}

static void test_edited_header(void **state)
{
    (void)state;
    packed_bytes packed = make_packed((rung_quantize_options){.bits = 5});
    check_edit(packed, "\"rung-packed\"", "\"rung-pucked\"", RUNG_FORMAT,
               "metadata \"format\" is \"rung-pucked\", wanted \"rung-packed\"");
    check_edit(packed, "\"version\":\"3\"", "\"version\":\"4\"", RUNG_UNSUPPORTED,
               "packed format version \"4\" is not the \"1\", \"2\" or \"3\" that this rung reads");
    check_edit(packed, "\"version\":\"3\"", "\"version\":\"\" ", RUNG_UNSUPPORTED, "packed format version \"\" is not");
    check_edit(packed, "\"version\":\"3\"", "\"version\":\"2\"", RUNG_FORMAT, "the text of its tokenizer is missing");
    check_edit(packed, "\"texts.vocabulary\"", "\"texts.vacabulary\"", RUNG_FORMAT,
               "packed[tokenizer]: field 'model.vocab' is missing");
    check_edit(packed, "\"embedding_bits\":\"5\"", "\"embedding_bits\":\"7\"", RUNG_FORMAT,
               "\"embedding_bits\" must be 4, 5, 6, 8 or 16");
    check_edit(packed, "\"embedding_bits\":\"5\"", "\"embedding_bits\":\"6\"", RUNG_MISMATCH,
               "\"embeddings.word.rows\" has shape [12,25], wanted [12,30]");
    check_edit(packed, "\"embeddings.position.rows\"", "\"embeddings.position.raws\"", RUNG_NOT_FOUND,
               "tensor \"embeddings.position.rows\" is missing");
    check_edit(packed, "\"pooler.scales\"", "\"pooler.skales\"", RUNG_NOT_FOUND, "tensor \"pooler.scales\" is missing");
    check_edit(packed, "\"sha256\"", "\"sha257\"", RUNG_FORMAT, "metadata \"sha256\" is missing");
    check_edit(packed, "\"config\"", "\"canfig\"", RUNG_FORMAT, "metadata \"config\" is missing: write the file again");
    check_edit(packed, "\\\"vocab_size\\\":12", "\\\"vocab_size\\\":10", RUNG_MISMATCH,
               "packed[tokenizer]: has token ids up to 10, but");
    check_edit(packed, "\\\"model_type\\\":\\\"bert\\\"", "\\\"model_type\\\":\\\"brat\\\"", RUNG_UNSUPPORTED,
               "packed[config]: \"model_type\" is \"brat\"");
    check_edit(packed, "{\\\"model_max_length\\\":16}", "{\\\"model_max_length\\\":[]}", RUNG_FORMAT,
               "packed[tokenizer_config]");
    check_edit(packed, "\"layers.0.qkv.scales\"", "\"layers.9.qkv.scales\"", RUNG_NOT_FOUND,
               "tensor \"layers.0.qkv.scales\" is missing");
    check_edit(packed, "\"pooler.bias\"", "\"poolar.bias\"", RUNG_NOT_FOUND, "tensor \"pooler.bias\" is missing");
    free(packed.data);
}

static void check_old_version(const char *path, const char *version, const char *vocabulary, const char *tokenizer_hash)
{
    rung_model *model = NULL;
    assert_ok(rung_model_open(path, RUNG_PRECISION_INT8, &model, error));
    size_t bytes;
    assert_string_equal(rung_safetensors_metadata(model->file, "version", &bytes), version);
    const char *lines = rung_safetensors_metadata(model->file, "vocabulary", &bytes);
    if (vocabulary == NULL) {
        assert_null(lines);
    } else {
        assert_string_equal(lines, vocabulary);
    }
    assert_string_equal(rung_tokenizer_hash(model->tokenizer), tokenizer_hash);
    assert_ok(rung_model_verify(model, error));
    rung_model_close(model);
}

/* Version 1 had the vocabulary in the tokenizer's JSON text, version 2 in the metadata as lines. */
static void test_reads_the_old_versions(void **state)
{
    (void)state;
    packed_bytes packed = make_packed((rung_quantize_options){.bits = 16});
    rung_model *now = NULL;
    assert_ok(rung_model_parse_packed(packed.data, packed.size, "packed", &now, error));
    size_t bytes;
    assert_string_equal(rung_safetensors_metadata(now->file, "version", &bytes), "3");
    assert_null(rung_safetensors_metadata(now->file, "tokenizer", &bytes));
    assert_null(rung_safetensors_metadata(now->file, "vocabulary", &bytes));
    assert_non_null(rung_safetensors_find(now->file, "texts.tokenizer"));
    assert_non_null(rung_safetensors_find(now->file, "texts.vocabulary"));
    const char *hash = rung_tokenizer_hash(now->tokenizer);
    check_old_version("fuzz/corpus/packed_model/version1", "1", NULL, hash);
    check_old_version("fuzz/corpus/packed_model/version2", "2",
                      "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nwarm\nfunny\nfilm\n##s\n.\n,\n", hash);
    rung_model_close(now);
    free(packed.data);
}

/* In the metadata the lines can be edited where they lie. */
static void test_edited_vocabulary(void **state)
{
    (void)state;
    packed_bytes packed = read_packed("fuzz/corpus/packed_model/version2");
    check_edit(packed, "\\nfilm\\n", "\\nwarm\\n", RUNG_FORMAT,
               "packed[tokenizer]: model.vocab: ids 5 and 7 have the same text");
    check_edit(packed, "\\nfilm\\n", "\\n\\n\\n\\n", RUNG_FORMAT, "packed[vocabulary]: line 8: it is empty");
    check_edit(packed, "\"vocabulary\"", "\"vacabulary\"", RUNG_FORMAT,
               "packed[tokenizer]: field 'model.vocab' is missing");
    free(packed.data);
}

/* What is wrong with the frame itself is tested in test_packed_text.c. */
static void test_damaged_text(void **state)
{
    (void)state;
    packed_bytes packed = make_packed((rung_quantize_options){.bits = 5});
    rung_safetensors *file = NULL;
    assert_ok(rung_safetensors_parse(packed.data, packed.size, "packed", &file, error));
    const rung_tensor *tensor = rung_safetensors_find(file, "texts.vocabulary");
    assert_non_null(tensor);
    uint8_t *frame = (uint8_t *)tensor->data;
    rung_model *model = NULL;
    frame[5] = (uint8_t)(frame[5] + 1); /* the size that the frame states */
    assert_fails(rung_model_parse_packed(packed.data, packed.size, "packed", &model, error), RUNG_FORMAT,
                 "packed: tensor \"texts.vocabulary\": no valid zstd data of 51 bytes of text");
    frame[0] ^= 1;
    assert_fails(rung_model_parse_packed(packed.data, packed.size, "packed", &model, error), RUNG_FORMAT,
                 "packed: tensor \"texts.vocabulary\": its ");
    rung_safetensors_close(file);
    free(packed.data);
}

static void test_edited_frequent_rows(void **state)
{
    (void)state;
    packed_bytes packed = make_packed((rung_quantize_options){.bits = 4, .frequent_bits = 6, .frequent_rows = 11});
    static const char *const numbers[] = {"12", "99", "00", "07", "1x", " 7", "-1", "+1", "1."};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char to[32];
        char message[64];
        snprintf(to, sizeof to, "\"frequent_rows\":\"%s\"", numbers[i]);
        snprintf(message, sizeof message, "\"frequent_rows\" is \"%s\", no whole number from 1 to 11", numbers[i]);
        check_edit(packed, "\"frequent_rows\":\"11\"", to, RUNG_FORMAT, message);
    }
    check_edit(packed, "\"frequent_rows\":\"11\"", "\"frequent_rows\":\"\"  ", RUNG_FORMAT,
               "\"frequent_rows\" is \"\"");
    check_edit(packed, "\"frequent_rows\":\"11\"", "\"frequent_rows\":\"10\"", RUNG_MISMATCH,
               "\"embeddings.word.frequent.rows\" has shape [11,30], wanted [10,30]");
    check_edit(packed, "\"frequent_rows\"", "\"frequent_raws\"", RUNG_MISMATCH,
               "\"embeddings.word.rows\" has shape [1,20], wanted [12,20]");
    check_edit(packed, "\"frequent_bits\":\"6\"", "\"frequent_bits\":\"7\"", RUNG_FORMAT,
               "\"frequent_bits\" must be 4, 5, 6, 8 or 16");
    check_edit(packed, "\"frequent_bits\"", "\"frequent_bats\"", RUNG_FORMAT,
               "\"frequent_bits\" must be 4, 5, 6, 8 or 16");
    check_edit(packed, "\"frequent_bits\":\"6\"", "\"frequent_bits\":\"8\"", RUNG_MISMATCH,
               "\"embeddings.word.frequent.rows\" has shape [11,30], wanted [11,40]");
    check_edit(packed, "\"embeddings.word.frequent.scales\"", "\"embeddings.word.frequent.skales\"", RUNG_NOT_FOUND,
               "tensor \"embeddings.word.frequent.scales\" is missing");
    free(packed.data);
}

/* Puts `value` into the last 4 or 2 bytes of a tensor. */
static void check_poison(packed_bytes packed, const char *name, const void *value, size_t bytes, rung_status status,
                         const char *fragment)
{
    rung_safetensors *file = NULL;
    assert_ok(rung_safetensors_parse(packed.data, packed.size, "packed", &file, error));
    const rung_tensor *tensor = rung_safetensors_find(file, name);
    assert_non_null(tensor);
    uint8_t *place = (uint8_t *)tensor->data + tensor->bytes - bytes;
    uint8_t saved[4];
    memcpy(saved, place, bytes);
    memcpy(place, value, bytes);
    rung_model *model = NULL;
    assert_fails(rung_model_parse_packed(packed.data, packed.size, "packed", &model, error), status, fragment);
    memcpy(place, saved, bytes);
    rung_safetensors_close(file);
}

static void test_poisoned_data(void **state)
{
    (void)state;
    packed_bytes packed = make_packed((rung_quantize_options){.bits = 5});
    const float nan = NAN;
    const uint16_t half_infinity = 0x7c00;
    check_poison(packed, "layers.0.qkv.scales", &nan, 4, RUNG_FORMAT, "tensor \"layers.0.qkv.scales\" holds NaN");
    check_poison(packed, "layers.0.ffn_out.bias", &nan, 4, RUNG_FORMAT, "tensor \"layers.0.ffn_out.bias\" holds NaN");
    check_poison(packed, "layers.0.output_norm.beta", &nan, 4, RUNG_FORMAT,
                 "tensor \"layers.0.output_norm.beta\" holds NaN");
    check_poison(packed, "embeddings.word.scales", &half_infinity, 2, RUNG_FORMAT,
                 "tensor \"embeddings.word.scales\" holds NaN");
    check_poison(packed, "embeddings.position.scales", &half_infinity, 2, RUNG_FORMAT,
                 "tensor \"embeddings.position.scales\" holds NaN");
    check_poison(packed, "pooler.scales", &half_infinity, 2, RUNG_FORMAT, "tensor \"pooler.scales\" holds NaN");
    check_poison(packed, "pooler.bias", &nan, 4, RUNG_FORMAT, "tensor \"pooler.bias\" holds NaN");
    check_poison(packed, "classifier.bias", &nan, 4, RUNG_FORMAT, "tensor \"classifier.bias\" holds NaN");
    /* Data that only verify looks at. */
    rung_model *model = NULL;
    assert_ok(rung_model_parse_packed(packed.data, packed.size, "packed", &model, error));
    *(uint8_t *)rung_safetensors_find(model->file, "layers.0.qkv.weight")->data ^= 1;
    assert_fails(rung_model_verify(model, error), RUNG_MISMATCH, "the file is damaged");
    rung_model_close(model);
    free(packed.data);
}

/* Against the weights one by one; the columns of the padding have no weights. */
static void check_sums(const rung_linear_s8 *linear)
{
    size_t in = linear->in_features;
    int8_t *weights = malloc(linear->out_features * in);
    assert_non_null(weights);
    rung_unpack_s8(linear, weights);
    for (size_t column = 0; column < rung_round_up(linear->out_features, RUNG_PANEL); column++) {
        int32_t sum = 0;
        for (size_t k = 0; k < in && column < linear->out_features; k++) {
            sum += weights[column * in + k];
        }
        assert_int_equal(linear->column_sums[column], sum);
    }
    free(weights);
}

static void check_all_sums(const rung_model *model)
{
    for (size_t i = 0; i < model->config.num_layers; i++) {
        check_sums(&model->layers[i].qkv.s8);
        check_sums(&model->layers[i].attention_output.s8);
        check_sums(&model->layers[i].ffn_in.s8);
        check_sums(&model->layers[i].ffn_out.s8);
    }
}

/* A hidden size that is no multiple of 4 and more inputs than one pass of 16-bit sums holds. */
static void test_column_sums(void **state)
{
    (void)state;
    fixture_spec spec = FIXTURE_SMALL;
    spec.hidden = 37;
    spec.heads = 1;
    spec.intermediate = 1101;
    packed_bytes packed = make_packed_of(&spec, (rung_quantize_options){.bits = 5});
    rung_model *model = NULL;
    assert_ok(rung_model_parse_packed(packed.data, packed.size, "packed", &model, error));
    assert_int_equal(model->config.num_layers, 3);
    assert_null(rung_safetensors_find(model->file, "layers.0.qkv.column_sums"));
    check_all_sums(model);
    const rung_linear_s8 *first = &model->layers[0].qkv.s8;
    assert_memory_not_equal(first->column_sums, model->layers[1].qkv.s8.column_sums, 3 * 37 * sizeof(int32_t));
    rung_model_close(model);
    free(packed.data);
}

/* They are in the file, and wrong. */
static void test_column_sums_of_old_versions_are_not_read(void **state)
{
    (void)state;
    packed_bytes packed = read_packed("fuzz/corpus/packed_model/version2");
    rung_safetensors *file = NULL;
    assert_ok(rung_safetensors_parse(packed.data, packed.size, "packed", &file, error));
    const rung_tensor *tensor = rung_safetensors_find(file, "layers.0.qkv.column_sums");
    assert_non_null(tensor);
    memset((uint8_t *)tensor->data, 0x7f, tensor->bytes);
    rung_model *model = NULL;
    assert_ok(rung_model_parse_packed(packed.data, packed.size, "packed", &model, error));
    check_all_sums(model);
    rung_model_close(model);
    rung_safetensors_close(file);
    free(packed.data);
}

static void test_unaligned_packed_file(void **state)
{
    (void)state;
    packed_bytes packed = make_packed((rung_quantize_options){.bits = 5});
    uint8_t *moved = aligned_alloc(64, rung_round_up(packed.size + 4, 64));
    assert_non_null(moved);
    memcpy(moved + 4, packed.data, packed.size);
    rung_model *model = NULL;
    assert_fails(rung_model_parse_packed(moved + 4, packed.size, "packed", &model, error), RUNG_FORMAT,
                 "tensor \"embeddings.word.rows\" starts at byte");
    free(moved);
    free(packed.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncated_packed_file), cmocka_unit_test(test_flipped_header_bits),
        cmocka_unit_test(test_edited_header),         cmocka_unit_test(test_reads_the_old_versions),
        cmocka_unit_test(test_edited_vocabulary),     cmocka_unit_test(test_damaged_text),
        cmocka_unit_test(test_edited_frequent_rows),  cmocka_unit_test(test_poisoned_data),
        cmocka_unit_test(test_column_sums),           cmocka_unit_test(test_column_sums_of_old_versions_are_not_read),
        cmocka_unit_test(test_unaligned_packed_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
