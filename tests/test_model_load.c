/* test_model_load.c: Hugging Face directories and packed files through rung_model_open and rung_model_quantize: what is
 * loaded is what was written, both forms agree, and what is wrong with a directory is said. test_load_packed.c damages
 * packed files. */
#include "base/checked.h"
#include "base/memory.h"
#include "model/model.h"
#include "model/model_load.h"
#include "model_fixture.h"

#include <math.h>

static rung_model *open_model(const char *path, rung_precision precision)
{
    rung_model *model = NULL;
    assert_ok(rung_model_open(path, precision, &model, error));
    return model;
}

/* Packs with one width for all rows of the word embedding. */
static rung_status pack(const char *directory, unsigned bits, const char *path, rung_error *reason)
{
    return rung_model_quantize(directory, &(rung_quantize_options){.bits = bits}, path, reason);
}

static void check_values(const float *values, const char *name, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_true(values[i] == fixture_value(name, i));
    }
}

/* W[c][k] of panels in either precision. */
static float panel_f32(const rung_linear_f32 *w, size_t c, size_t k)
{
    return w->panels[(c / RUNG_PANEL * w->in_features + k) * RUNG_PANEL + c % RUNG_PANEL];
}

static float panel_s8(const rung_linear_s8 *w, size_t c, size_t k)
{
    size_t blocks = (w->in_features + 3) / 4;
    size_t at = ((c / RUNG_PANEL * blocks + k / 4) * RUNG_PANEL + c % RUNG_PANEL) * 4 + k % 4;
    return (float)w->panels[at] * w->scales[c];
}

static void check_linear(const rung_model *model, const rung_linear *linear, size_t first_row, const char *name,
                         size_t out, size_t in)
{
    bool is_int8 = model->precision == RUNG_PRECISION_INT8;
    char full[128];
    for (size_t c = 0; c < out; c++) {
        for (size_t k = 0; k < in; k++) {
            snprintf(full, sizeof full, "%s.weight", name);
            float wanted = fixture_value(full, c * in + k);
            if (is_int8) {
                float tolerance = linear->s8.scales[first_row + c] * 0.5001f;
                assert_true(fabsf(panel_s8(&linear->s8, first_row + c, k) - wanted) <= tolerance);
            } else {
                assert_true(panel_f32(&linear->f32, first_row + c, k) == wanted);
            }
        }
        snprintf(full, sizeof full, "%s.bias", name);
        const float *bias = is_int8 ? linear->s8.bias : linear->f32.bias;
        assert_true(bias[first_row + c] == fixture_value(full, c));
    }
}

static void check_layer(const rung_model *model, const fixture_spec *spec, size_t index)
{
    const rung_layer *layer = &model->layers[index];
    size_t hidden = spec->hidden;
    char name[8][96];
    static const char *const parts[8] = {"attention.self.query",       "attention.self.key", "attention.self.value",
                                         "attention.output.dense",     "intermediate.dense", "output.dense",
                                         "attention.output.LayerNorm", "output.LayerNorm"};
    for (size_t i = 0; i < 8; i++) {
        snprintf(name[i], sizeof name[i], "%sencoder.layer.%zu.%s", spec->prefix, index, parts[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        check_linear(model, &layer->qkv, i * hidden, name[i], hidden, hidden);
    }
    check_linear(model, &layer->attention_output, 0, name[3], hidden, hidden);
    check_linear(model, &layer->ffn_in, 0, name[4], spec->intermediate, hidden);
    check_linear(model, &layer->ffn_out, 0, name[5], hidden, spec->intermediate);
    const float *norms[4] = {layer->attention_norm_gamma, layer->attention_norm_beta, layer->output_norm_gamma,
                             layer->output_norm_beta};
    for (size_t i = 0; i < 4; i++) {
        char full[128];
        const char *gamma = spec->old_norm_names ? "gamma" : "weight";
        const char *beta = spec->old_norm_names ? "beta" : "bias";
        snprintf(full, sizeof full, "%s.%s", name[6 + i / 2], i % 2 == 0 ? gamma : beta);
        check_values(norms[i], full, hidden);
    }
}

static void check_model(const rung_model *model, const fixture_spec *spec)
{
    char name[128];
    float *row = malloc(spec->hidden * sizeof *row);
    assert_non_null(row);
    for (size_t id = 0; id < spec->vocab; id++) {
        rung_word_embedding_row(&model->word_embedding, spec->hidden, (int32_t)id, row);
        snprintf(name, sizeof name, "%sembeddings.word_embeddings.weight", spec->prefix);
        for (size_t i = 0; i < spec->hidden; i++) {
            assert_true(row[i] == fixture_value(name, id * spec->hidden + i));
        }
    }
    free(row);
    snprintf(name, sizeof name, "%sembeddings.position_embeddings.weight", spec->prefix);
    check_values(model->position_embedding, name, spec->positions * spec->hidden);
    snprintf(name, sizeof name, "%sembeddings.token_type_embeddings.weight", spec->prefix);
    check_values(model->type_embedding, name, 2 * spec->hidden);
    for (size_t i = 0; i < spec->layers; i++) {
        check_layer(model, spec, i);
        bool last = i + 1 == spec->layers;
        assert_int_equal(rung_model_has_exit(model, i), last || (spec->exits >> i & 1));
        if (rung_model_has_exit(model, i)) {
            snprintf(name, sizeof name, "exits.%zu.weight", i);
            check_values(model->exits[i].weight, last ? "classifier.weight" : name, spec->labels * spec->hidden);
            snprintf(name, sizeof name, "exits.%zu.bias", i);
            check_values(model->exits[i].bias, last ? "classifier.bias" : name, spec->labels);
        }
    }
    assert_false(rung_model_has_exit(model, spec->layers));
    for (size_t i = 0; i < spec->hidden * spec->hidden; i++) {
        snprintf(name, sizeof name, "%spooler.dense.weight", spec->prefix);
        assert_true(panel_f32(&model->pooler, i / spec->hidden, i % spec->hidden) == fixture_value(name, i));
    }
}

static void test_directories_of_every_kind(void **state)
{
    (void)state;
    fixture_spec specs[5];
    for (size_t i = 0; i < 5; i++) {
        specs[i] = FIXTURE_SMALL;
    }
    specs[1].dtype = RUNG_F16;
    specs[1].old_norm_names = true;
    specs[2].dtype = RUNG_BF16;
    specs[2].prefix = "";
    specs[2].exits = 2; /* a gap */
    specs[3].exits = 0;
    specs[3].layers = 1;
    specs[4].hidden = 37; /* one head, odd sizes everywhere */
    specs[4].heads = 1;
    specs[4].intermediate = 65;
    for (size_t i = 0; i < 5; i++) {
        char *directory = fixture_directory();
        fixture_model(directory, &specs[i]);
        for (int precision = 0; precision < 2; precision++) {
            rung_model *model = open_model(directory, (rung_precision)precision);
            assert_int_equal(model->precision, precision);
            assert_string_equal(model->path, directory);
            assert_int_equal(model->config.max_tokens, specs[i].positions);
            assert_int_equal(rung_tokenizer_vocab_size(model->tokenizer), 11);
            assert_string_equal(model->labels[2], "label 2");
            assert_int_equal(strlen(model->hash), 64);
            check_model(model, &specs[i]);
            assert_ok(rung_model_verify(model, error));
            rung_model_close(model);
        }
        fixture_remove(directory);
    }
}

static void test_names_and_null(void **state)
{
    (void)state;
    assert_string_equal(rung_precision_name(RUNG_PRECISION_FP32), "fp32");
    assert_string_equal(rung_precision_name(RUNG_PRECISION_INT8), "int8");
    rung_model_close(NULL);
    rung_model *model = NULL;
    assert_int_equal(rung_model_open("/nonexistent", RUNG_PRECISION_INT8, &model, NULL), RUNG_NOT_FOUND);
    assert_fails(rung_model_open("/nonexistent", RUNG_PRECISION_INT8, &model, error), RUNG_NOT_FOUND, "/nonexistent");
}

static void test_hash_changes_with_every_file(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    fixture_spec spec = FIXTURE_SMALL;
    char hashes[6][RUNG_SHA256_HEX_BYTES];
    for (size_t i = 0; i < 6; i++) {
        spec = FIXTURE_SMALL;
        spec.exits = i == 1 ? 1 : 3;
        spec.labels = i == 2 ? 4 : 3;
        spec.dtype = i == 3 ? RUNG_F16 : RUNG_F32;
        fixture_model(directory, &spec);
        if (i == 4) {
            fixture_write(directory, "tokenizer_config.json", "{\"model_max_length\": 9}");
        } else if (i == 5) {
            char text[sizeof FIXTURE_TOKENIZER + 1];
            snprintf(text, sizeof text, "%s ", FIXTURE_TOKENIZER);
            fixture_write(directory, "tokenizer.json", text);
        }
        rung_model *model = open_model(directory, RUNG_PRECISION_INT8);
        memcpy(hashes[i], model->hash, sizeof hashes[i]);
        assert_int_equal(model->config.max_tokens, i == 4 ? 9 : 16);
        rung_model_close(model);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(hashes[i], hashes[j]);
        }
    }
    fixture_remove(directory);
}

static void check_directory_fails(const char *directory, rung_status status, const char *fragment)
{
    rung_model *model = NULL;
    assert_fails(rung_model_open(directory, RUNG_PRECISION_INT8, &model, error), status, fragment);
    assert_null(model);
}

static void test_directory_without_a_file(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    check_directory_fails(directory, RUNG_NOT_FOUND, "has no config.json: a model directory holds");
    fixture_model(directory, &FIXTURE_SMALL);
    fixture_delete(directory, "tokenizer.json");
    check_directory_fails(directory, RUNG_NOT_FOUND,
                          "has no tokenizer.json, vocab.json with merges.txt, or vocab.txt: write them");
    fixture_write(directory, "tokenizer.json", FIXTURE_TOKENIZER);
    fixture_delete(directory, "model.safetensors");
    check_directory_fails(directory, RUNG_NOT_FOUND, "has no model.safetensors");
    fixture_write(directory, "pytorch_model.bin", "x");
    check_directory_fails(directory, RUNG_UNSUPPORTED,
                          "pytorch_model.bin is a pickle, which rung does not read: convert");
    fixture_write(directory, "model.safetensors.index.json", "{}");
    check_directory_fails(directory, RUNG_FORMAT, "model.safetensors.index.json: field 'weight_map' is missing");
    fixture_write(directory, "model.safetensors", "x");
    check_directory_fails(directory, RUNG_FORMAT, "/model.safetensors: has 1 bytes");
    fixture_write(directory, "config.json", "{\"model_type\": \"deberta-v2\"}");
    check_directory_fails(directory, RUNG_UNSUPPORTED, "/config.json: \"model_type\" is \"deberta-v2\"");
    fixture_remove(directory);
}

static void test_files_that_do_not_belong_together(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    fixture_spec spec = FIXTURE_SMALL;
    spec.vocab = 9;
    fixture_model(directory, &spec);
    check_directory_fails(directory, RUNG_MISMATCH,
                          "has token ids up to 10, but the model's word embedding has 9 rows");
    spec = FIXTURE_SMALL;
    fixture_model(directory, &spec);
    spec.vocab = 13;
    fixture_config(directory, &spec);
    check_directory_fails(directory, RUNG_MISMATCH, "word_embeddings.weight\" has shape [12,40], wanted [13,40]");
    spec = FIXTURE_SMALL;
    spec.labels = 2;
    fixture_config(directory, &spec);
    check_directory_fails(directory, RUNG_MISMATCH, "\"classifier.weight\" has shape [3,40], wanted [2,40]");
    spec = FIXTURE_SMALL;
    spec.layers = 4;
    fixture_config(directory, &spec);
    check_directory_fails(directory, RUNG_NOT_FOUND,
                          "tensor \"bert.encoder.layer.3.attention.self.query.weight\" is missing");
    spec = FIXTURE_SMALL;
    spec.layers = 2;
    fixture_config(directory, &spec);
    check_directory_fails(directory, RUNG_MISMATCH,
                          "/exits.safetensors: tensor \"exits.1.weight\" is no exit of a model with 2");
    spec = FIXTURE_SMALL;
    spec.intermediate = 65536;
    fixture_config(directory, &spec);
    check_directory_fails(directory, RUNG_MISMATCH, "intermediate.dense.weight\" has shape [72,40], wanted [65536,40]");
    fixture_config(directory, &FIXTURE_SMALL);
    fixture_write(directory, "tokenizer.json", "{");
    check_directory_fails(directory, RUNG_FORMAT, "/tokenizer.json");
    fixture_remove(directory);
}

/* A tokenizer that marks the second text of a pair needs two rows of the type embedding. */
static void test_type_ids_fit(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    fixture_model(directory, &FIXTURE_SMALL);
    fixture_write(directory, "config.json",
                  "{\"model_type\":\"bert\",\"hidden_size\":40,\"num_hidden_layers\":3,\"num_attention_heads\":4,"
                  "\"intermediate_size\":72,\"max_position_embeddings\":16,\"type_vocab_size\":1,\"vocab_size\":12}");
    check_directory_fails(directory, RUNG_MISMATCH, "assigns type id 1, but the model's \"type_vocab_size\" is 1");
    fixture_remove(directory);
}

static void test_missing_and_damaged_tensors(void **state)
{
    (void)state;
    static const char *const names[] = {"bert.embeddings.word_embeddings.weight",
                                        "bert.embeddings.position_embeddings.weight",
                                        "bert.embeddings.token_type_embeddings.weight",
                                        "bert.embeddings.LayerNorm.weight",
                                        "bert.encoder.layer.1.attention.self.key.bias",
                                        "bert.encoder.layer.2.output.dense.weight",
                                        "bert.encoder.layer.2.output.LayerNorm.bias",
                                        "bert.pooler.dense.weight",
                                        "classifier.weight",
                                        "classifier.bias"};
    char *directory = fixture_directory();
    char *path = fixture_join(directory, "model.safetensors");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fixture_spec spec = FIXTURE_SMALL;
        spec.skip = names[i];
        fixture_model(directory, &spec);
        char fragment[160];
        /* Without the word embedding the prefix is not seen, and the message names what was looked for. */
        snprintf(fragment, sizeof fragment, "tensor \"%s\" is missing", i == 0 ? names[i] + 5 : names[i]);
        bool classifier = strcmp(names[i], "classifier.weight") == 0;
        check_directory_fails(directory, classifier ? RUNG_UNSUPPORTED : RUNG_NOT_FOUND, fragment);
        fixture_model(directory, &FIXTURE_SMALL);
        rung_safetensors *file = NULL;
        assert_ok(rung_safetensors_open(path, &file, error));
        rung_mapping contents = rung_safetensors_contents(file);
        uint8_t *copy = malloc(contents.size);
        assert_non_null(copy);
        memcpy(copy, contents.data, contents.size);
        const rung_tensor *tensor = rung_safetensors_find(file, names[i]);
        const float bad = i % 2 == 0 ? NAN : -INFINITY;
        memcpy(copy + (tensor->data - contents.data) + tensor->bytes - 4, &bad, 4);
        assert_ok(rung_write_file(path, copy, contents.size, error));
        snprintf(fragment, sizeof fragment, "tensor \"%s\" holds NaN or infinite", names[i]);
        check_directory_fails(directory, RUNG_FORMAT, fragment);
        rung_safetensors_close(file);
        free(copy);
    }
    free(path);
    fixture_remove(directory);
}

static void test_exits_of_wrong_shape(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    fixture_model(directory, &FIXTURE_SMALL);
    char *path = fixture_join(directory, "exits.safetensors");
    const float zeros[80] = {0};
    rung_tensor tensors[2] = {{.name = "exits.0.weight",
                               .dtype = RUNG_F32,
                               .rank = 2,
                               .shape = {2, 40},
                               .data = (const uint8_t *)zeros,
                               .bytes = 320},
                              {.name = "exits.0.bias",
                               .dtype = RUNG_F32,
                               .rank = 1,
                               .shape = {2},
                               .data = (const uint8_t *)zeros,
                               .bytes = 8}};
    assert_ok(rung_safetensors_write(path, tensors, 2, NULL, 0, error));
    check_directory_fails(directory, RUNG_MISMATCH,
                          "/exits.safetensors: tensor \"exits.0.weight\" has shape [2,40], wanted [3,40]");
    assert_ok(rung_safetensors_write(path, tensors + 1, 1, NULL, 0, error));
    check_directory_fails(directory, RUNG_NOT_FOUND, "tensor \"exits.0.weight\" is missing");
    tensors[0].name = "head.0.weight";
    assert_ok(rung_safetensors_write(path, tensors, 1, NULL, 0, error));
    check_directory_fails(directory, RUNG_MISMATCH, "tensor \"head.0.weight\" is no exit of a model with 3 layers");
    free(path);
    fixture_remove(directory);
}

static void check_same_s8(const rung_linear_s8 *a, const rung_linear_s8 *b)
{
    size_t padded = rung_round_up(a->out_features, RUNG_PANEL);
    assert_int_equal(a->in_features, b->in_features);
    assert_int_equal(a->out_features, b->out_features);
    assert_memory_equal(a->panels, b->panels, rung_linear_s8_panel_bytes(a->in_features, a->out_features));
    assert_memory_equal(a->scales, b->scales, padded * sizeof *a->scales);
    assert_memory_equal(a->column_sums, b->column_sums, padded * sizeof *a->column_sums);
    assert_memory_equal(a->bias, b->bias, padded * sizeof *a->bias);
}

/* All values of a fixture lie within 0.125: a step of b bits is at most 0.125 / 2^(b-1), and the search may clip a
 * little. */
static float bits_bound(unsigned bits)
{
    return bits == 16 ? 0.0f : 0.125f / (float)(1u << (bits - 1)) * 2.5f;
}

static void check_near(const float *a, const float *b, size_t count, float bound)
{
    for (size_t i = 0; i < count; i++) {
        assert_true(fabsf(a[i] - b[i]) <= bound);
    }
}

/* All but what is packed in few bits. */
static void check_same_exact(const rung_model *a, const rung_model *b)
{
    size_t hidden_bytes = a->config.hidden_size * sizeof(float);
    assert_memory_equal(&a->config, &b->config, sizeof a->config);
    assert_string_equal(rung_tokenizer_hash(a->tokenizer), rung_tokenizer_hash(b->tokenizer));
    if (a->config.type_vocab_size == 0) {
        assert_null(a->type_embedding);
        assert_null(b->type_embedding);
    } else {
        assert_memory_equal(a->type_embedding, b->type_embedding, a->config.type_vocab_size * hidden_bytes);
    }
    assert_memory_equal(a->embedding_norm_gamma, b->embedding_norm_gamma, hidden_bytes);
    assert_memory_equal(a->embedding_norm_beta, b->embedding_norm_beta, hidden_bytes);
    assert_memory_equal(a->pooler.bias, b->pooler.bias,
                        rung_round_up(a->config.hidden_size, RUNG_PANEL) * sizeof(float));
    for (size_t i = 0; i < a->config.num_labels; i++) {
        assert_string_equal(a->labels[i], b->labels[i]);
    }
    for (size_t i = 0; i < a->config.num_layers; i++) {
        check_same_s8(&a->layers[i].qkv.s8, &b->layers[i].qkv.s8);
        check_same_s8(&a->layers[i].attention_output.s8, &b->layers[i].attention_output.s8);
        check_same_s8(&a->layers[i].ffn_in.s8, &b->layers[i].ffn_in.s8);
        check_same_s8(&a->layers[i].ffn_out.s8, &b->layers[i].ffn_out.s8);
        assert_memory_equal(a->layers[i].attention_norm_gamma, b->layers[i].attention_norm_gamma, hidden_bytes);
        assert_memory_equal(a->layers[i].attention_norm_beta, b->layers[i].attention_norm_beta, hidden_bytes);
        assert_memory_equal(a->layers[i].output_norm_gamma, b->layers[i].output_norm_gamma, hidden_bytes);
        assert_memory_equal(a->layers[i].output_norm_beta, b->layers[i].output_norm_beta, hidden_bytes);
        assert_int_equal(rung_model_has_exit(a, i), rung_model_has_exit(b, i));
        if (rung_model_has_exit(a, i)) {
            assert_memory_equal(a->exits[i].weight, b->exits[i].weight, a->config.num_labels * hidden_bytes);
            assert_memory_equal(a->exits[i].bias, b->exits[i].bias, a->config.num_labels * sizeof(float));
        }
    }
}

static void check_same(const rung_model *a, const rung_model *b)
{
    size_t hidden = a->config.hidden_size;
    check_same_exact(a, b);
    check_near(a->position_embedding, b->position_embedding, a->config.max_positions * hidden, bits_bound(8));
    check_near(a->pooler.panels, b->pooler.panels, rung_linear_f32_panel_floats(hidden, hidden), bits_bound(8));
}

/* Largest distance between the rows of two embeddings. */
static float embedding_distance(const rung_model *a, const rung_model *b)
{
    size_t hidden = a->config.hidden_size;
    float *rows = malloc(2 * hidden * sizeof *rows);
    assert_non_null(rows);
    float largest = 0.0f;
    for (size_t id = 0; id < a->config.vocab_size; id++) {
        rung_word_embedding_row(&a->word_embedding, hidden, (int32_t)id, rows);
        rung_word_embedding_row(&b->word_embedding, hidden, (int32_t)id, rows + hidden);
        for (size_t i = 0; i < hidden; i++) {
            largest = fmaxf(largest, fabsf(rows[i] - rows[hidden + i]));
        }
    }
    free(rows);
    return largest;
}

static void test_packed_file_is_the_directory(void **state)
{
    (void)state;
    static const unsigned widths[] = {4, 5, 6, 8, 16};
    static const size_t hidden_sizes[] = {40, 37};
    for (size_t h = 0; h < 2; h++) {
        char *directory = fixture_directory();
        char *path = fixture_join(directory, "packed.rung");
        fixture_spec spec = FIXTURE_SMALL;
        spec.hidden = hidden_sizes[h];
        spec.heads = h == 0 ? 4 : 1;
        fixture_model(directory, &spec);
        rung_model *original = open_model(directory, RUNG_PRECISION_INT8);
        for (size_t i = 0; i < 5; i++) {
            assert_ok(pack(directory, widths[i], path, error));
            rung_model *packed = open_model(path, RUNG_PRECISION_INT8);
            check_same(original, packed);
            assert_true(embedding_distance(original, packed) <= bits_bound(widths[i]));
            assert_ok(rung_model_verify(packed, error));
            rung_model_close(packed);
        }
        rung_model_close(original);
        free(path);
        fixture_remove(directory);
    }
}

/* Rows below the border are those of a file with their width, the others those of a file with the other. */
static void check_split(const char *directory, const char *path, unsigned bits, unsigned frequent_bits, size_t border)
{
    const rung_quantize_options options = {.bits = bits, .frequent_bits = frequent_bits, .frequent_rows = border};
    assert_ok(pack(directory, bits, path, error));
    rung_model *rest = open_model(path, RUNG_PRECISION_INT8);
    assert_ok(pack(directory, frequent_bits, path, error));
    rung_model *frequent = open_model(path, RUNG_PRECISION_INT8);
    assert_ok(rung_model_quantize(directory, &options, path, error));
    rung_model *split = open_model(path, RUNG_PRECISION_INT8);
    size_t hidden = split->config.hidden_size;
    float *rows = malloc(2 * hidden * sizeof *rows);
    assert_non_null(rows);
    assert_int_equal(split->word_embedding.frequent_rows, border);
    assert_int_equal(rest->word_embedding.frequent_rows, 0);
    check_same(rest, split);
    for (size_t id = 0; id < split->config.vocab_size; id++) {
        const rung_model *wanted = id < border ? frequent : rest;
        rung_word_embedding_row(&split->word_embedding, hidden, (int32_t)id, rows);
        rung_word_embedding_row(&wanted->word_embedding, hidden, (int32_t)id, rows + hidden);
        assert_memory_equal(rows, rows + hidden, hidden * sizeof *rows);
    }
    assert_ok(rung_model_verify(split, error));
    free(rows);
    rung_model_close(rest);
    rung_model_close(frequent);
    rung_model_close(split);
}

static void test_frequent_rows_have_their_own_width(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    char *path = fixture_join(directory, "packed.rung");
    fixture_model(directory, &FIXTURE_SMALL);
    check_split(directory, path, 4, 6, 1);
    check_split(directory, path, 4, 6, 5);
    check_split(directory, path, 4, 8, 11);
    check_split(directory, path, 5, 16, 7);
    check_split(directory, path, 16, 5, 7);
    free(path);
    fixture_remove(directory);
}

static void test_packed_file_is_deterministic(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    char *paths[2] = {fixture_join(directory, "a.rung"), fixture_join(directory, "b.rung")};
    char *texts[2];
    size_t sizes[2];
    fixture_model(directory, &FIXTURE_SMALL);
    for (size_t i = 0; i < 2; i++) {
        assert_ok(pack(directory, 4, paths[i], error));
        assert_ok(rung_read_file(paths[i], 1 << 24, &texts[i], &sizes[i], error));
    }
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(texts[0], texts[1], sizes[0]);
    for (size_t i = 0; i < 2; i++) {
        free(texts[i]);
        free(paths[i]);
    }
    fixture_remove(directory);
}

static void test_values_too_large_for_half_floats(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    char *weights = fixture_join(directory, "model.safetensors");
    char *path = fixture_join(directory, "packed.rung");
    static const char *const names[] = {"bert.pooler.dense.weight", "bert.embeddings.position_embeddings.weight",
                                        "bert.embeddings.word_embeddings.weight"};
    fixture_model(directory, &FIXTURE_SMALL);
    char *copy;
    size_t size;
    assert_ok(rung_read_file(weights, 1 << 24, &copy, &size, error));
    rung_safetensors *file = NULL;
    assert_ok(rung_safetensors_parse((const uint8_t *)copy, size, "copy", &file, error));
    const float huge = 1e20f;
    static const char *const messages[] = {"row 0 of the pooler holds", "row 1 of the position embedding holds",
                                           "row 2 of the word embedding holds"};
    for (size_t i = 0; i < 3; i++) {
        memcpy((uint8_t *)rung_safetensors_find(file, names[i])->data + 40 + i * 160, &huge, 4);
        assert_ok(rung_write_file(weights, copy, size, error));
        assert_fails(pack(directory, 4, path, error), RUNG_LIMIT, messages[i]);
    }
    assert_fails(pack(directory, 16, path, error), RUNG_LIMIT, messages[2]);
    const rung_quantize_options split = {.bits = 16, .frequent_bits = 4, .frequent_rows = 2};
    assert_fails(rung_model_quantize(directory, &split, path, error), RUNG_LIMIT, messages[2]);
    rung_safetensors_close(file);
    free(copy);
    free(weights);
    free(path);
    fixture_remove(directory);
}

static void test_quantize_refuses(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    char *path = fixture_join(directory, "packed.rung");
    fixture_model(directory, &FIXTURE_SMALL);
    assert_fails(pack(directory, 7, path, error), RUNG_INVALID, "embedding bits 7: must be 4, 5, 6, 8 or 16");
    rung_quantize_options options = {.bits = 4, .frequent_bits = 3, .frequent_rows = 5};
    assert_fails(rung_model_quantize(directory, &options, path, error), RUNG_INVALID,
                 "frequent bits 3: must be 4, 5, 6, 8 or 16");
    options = (rung_quantize_options){.bits = 4, .frequent_bits = 6, .frequent_rows = 12};
    assert_fails(rung_model_quantize(directory, &options, path, error), RUNG_INVALID,
                 "frequent rows 12: must be less than the 12 rows of /");
    assert_fails(pack("/nonexistent", 4, path, error), RUNG_NOT_FOUND, "/nonexistent");
    assert_fails(pack(directory, 4, "/nonexistent/x", error), RUNG_NOT_FOUND, "/nonexistent/x");
    assert_ok(pack(directory, 4, path, error));
    assert_fails(pack(path, 4, path, error), RUNG_INVALID, "is not a directory");
    static const char *const sources[] = {"model.safetensors", "tokenizer.json", "config.json"};
    for (size_t i = 0; i < 3; i++) {
        char *source = fixture_join(directory, sources[i]);
        assert_fails(pack(directory, 4, source, error), RUNG_INVALID, "is what the packed file is made from");
        free(source);
    }
    char *shard = fixture_join("tests/golden/tiny-sharded", "model-00002-of-00002.safetensors");
    assert_fails(pack("tests/golden/tiny-sharded", 4, shard, error), RUNG_INVALID,
                 "is what the packed file is made from");
    free(shard);
    free(path);
    fixture_remove(directory);
}

static void test_files_that_are_no_packed_model(void **state)
{
    (void)state;
    char *directory = fixture_directory();
    char *weights = fixture_join(directory, "model.safetensors");
    char *other = fixture_join(directory, "config.json");
    char *path = fixture_join(directory, "packed.rung");
    rung_model *model = NULL;
    fixture_model(directory, &FIXTURE_SMALL);
    check_directory_fails(weights, RUNG_FORMAT, "not one made by `rung quantize`");
    check_directory_fails(other, RUNG_FORMAT,
                          "(a model is a Hugging Face directory or a file made by `rung quantize`)");
    assert_ok(pack(directory, 6, path, error));
    assert_fails(rung_model_open(path, RUNG_PRECISION_FP32, &model, error), RUNG_UNSUPPORTED,
                 "is a packed int8 file and cannot run in fp32");
    free(weights);
    free(other);
    free(path);
    fixture_remove(directory);
}

/* The committed models made by transformers. */
static void test_golden_directories(void **state)
{
    (void)state;
    const char *root = getenv("MESON_SOURCE_ROOT");
    static const char *const names[] = {"tests/golden/tiny-bert",       "tests/golden/tiny-bert-odd",
                                        "tests/golden/tiny-distilbert", "tests/golden/tiny-roberta",
                                        "tests/golden/tiny-sharded",    "tests/golden/tiny-bertweet"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *directory = fixture_join(root != NULL ? root : ".", names[i]);
        char *scratch = fixture_directory();
        char *path = fixture_join(scratch, "packed.rung");
        rung_model *fp32 = open_model(directory, RUNG_PRECISION_FP32);
        rung_model *int8 = open_model(directory, RUNG_PRECISION_INT8);
        assert_string_equal(fp32->hash, int8->hash);
        assert_ok(pack(directory, 16, path, error));
        rung_model *packed = open_model(path, RUNG_PRECISION_INT8);
        check_same_exact(int8, packed);
        assert_ok(rung_model_verify(packed, error));
        rung_model_close(fp32);
        rung_model_close(int8);
        rung_model_close(packed);
        free(path);
        fixture_remove(scratch);
        free(directory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_directories_of_every_kind),
        cmocka_unit_test(test_names_and_null),
        cmocka_unit_test(test_hash_changes_with_every_file),
        cmocka_unit_test(test_directory_without_a_file),
        cmocka_unit_test(test_files_that_do_not_belong_together),
        cmocka_unit_test(test_type_ids_fit),
        cmocka_unit_test(test_missing_and_damaged_tensors),
        cmocka_unit_test(test_exits_of_wrong_shape),
        cmocka_unit_test(test_packed_file_is_the_directory),
        cmocka_unit_test(test_frequent_rows_have_their_own_width),
        cmocka_unit_test(test_packed_file_is_deterministic),
        cmocka_unit_test(test_values_too_large_for_half_floats),
        cmocka_unit_test(test_quantize_refuses),
        cmocka_unit_test(test_files_that_are_no_packed_model),
        cmocka_unit_test(test_golden_directories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
