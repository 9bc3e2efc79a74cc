/* test_model_heads.c: plain encoders load without labels and exits in every form there is, and models get heads for a task. */
#include "model/encoder.h"
#include "model/model.h"
#include "model_fixture.h"

#include <math.h>

enum { LAYERS = 3, HIDDEN = 40 };

static const char SHAPE[] =
    "\"model_type\":\"bert\",\"hidden_size\":40,\"num_hidden_layers\":3,\"num_attention_heads\":4,"
    "\"intermediate_size\":72,\"max_position_embeddings\":16,\"type_vocab_size\":2,\"vocab_size\":12";

/* The fixture's encoder with another configuration; `skip` is left out. */
static char *make_directory(const char *prefix, const char *skip, unsigned exits, const char *fields)
{
    fixture_spec spec = FIXTURE_SMALL;
    spec.prefix = prefix;
    spec.skip = skip;
    spec.exits = exits;
    char *directory = fixture_directory();
    fixture_model(directory, &spec);
    char config[1024];
    snprintf(config, sizeof config, "{%s%s}", SHAPE, fields);
    fixture_write(directory, "config.json", config);
    return directory;
}

static rung_model *open_model(const char *path, rung_precision precision)
{
    rung_model *model = NULL;
    assert_ok(rung_model_open(path, precision, &model, error));
    return model;
}

static void check_plain(const rung_model *model)
{
    assert_int_equal(model->config.num_labels, 0);
    assert_null(model->labels);
    assert_null(model->pooler.panels);
    for (size_t l = 0; l < LAYERS; l++) {
        assert_false(rung_model_has_exit(model, l));
    }
}

static void plain_encoders(void **state)
{
    (void)state;
    static const char *const directories[][3] = {
        {"", "pooler.dense.weight", ",\"architectures\":[\"BertModel\"]"},
        {"bert.", "classifier.weight",
         ",\"architectures\":[\"BertForMaskedLM\"],\"id2label\":{\"0\":\"a\",\"1\":\"b\"}"},
        {"bert.", "classifier.weight", ""},
        {"", "classifier.weight", ",\"architectures\":[]"},
        {"bert.", NULL, ",\"architectures\":[\"BertModel\"]"}, /* a classifier that is not meant */
    };
    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++) {
        char *directory = make_directory(directories[i][0], directories[i][1], 0, directories[i][2]);
        char *packed = fixture_join(directory, "packed.safetensors");
        assert_ok(rung_model_quantize(directory, &(rung_quantize_options){.bits = 8}, packed, error));
        rung_model *models[3] = {open_model(directory, RUNG_PRECISION_FP32), open_model(directory, RUNG_PRECISION_INT8),
                                 open_model(packed, RUNG_PRECISION_INT8)};
        for (size_t m = 0; m < 3; m++) {
            check_plain(models[m]);
            assert_int_equal(models[m]->config.num_layers, LAYERS);
            rung_model_close(models[m]);
        }
        free(packed);
        fixture_remove(directory);
    }
}

static void half_classifiers_are_refused(void **state)
{
    (void)state;
    rung_model *model = NULL;
    char *directory = make_directory("bert.", "classifier.weight", 0, ",\"num_labels\":3");
    assert_fails(rung_model_open(directory, RUNG_PRECISION_FP32, &model, error), RUNG_UNSUPPORTED,
                 "tensor \"classifier.weight\" is missing, but config.json is a classifier's");
    fixture_remove(directory);
    directory = make_directory("bert.", NULL, 3, ",\"architectures\":[\"BertModel\"]");
    assert_fails(rung_model_open(directory, RUNG_PRECISION_FP32, &model, error), RUNG_MISMATCH,
                 "exits.safetensors: heads of a classifier beside a plain encoder");
    assert_null(model);
    fixture_remove(directory);
}

/* Logits of every exit for one short text. */
static void run_model(const rung_model *model, float *states, float *logits)
{
    static const int32_t ids[] = {2, 5, 6, 7, 3};
    static const uint8_t types[5] = {0};
    const rung_kernels *kernels = NULL;
    rung_batch batch;
    assert_ok(rung_kernels_select(NULL, &kernels, error));
    assert_ok(rung_batch_init(&batch, model, kernels, 16, 1, error));
    rung_batch_add(&batch, ids, types, 5);
    for (size_t l = 0; l < LAYERS; l++) {
        rung_encoder_layer(&batch, l, false);
        memcpy(states + l * HIDDEN, batch.hidden, HIDDEN * sizeof *states);
        if (rung_model_has_exit(model, l)) {
            rung_exit_logits(&batch, l, 0, logits + l * model->config.num_labels);
        }
    }
    rung_batch_deinit(&batch);
}

static void fill(float *values, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = fixture_value(name, i) * 8;
    }
}

static void new_heads_read_the_state(void **state)
{
    (void)state;
    static const char *const labels[] = {"north", "east", "south", "west"};
    char *directories[2] = {make_directory("", "classifier.weight", 0, ",\"architectures\":[\"BertModel\"]"),
                            make_directory("", NULL, 3, ",\"num_labels\":3")};
    float weight[LAYERS][4 * HIDDEN];
    float bias[LAYERS][4];
    rung_exit_head heads[LAYERS] = {{0}};
    for (size_t l = 0; l < LAYERS; l++) {
        fill(weight[l], 4 * HIDDEN, l == 0 ? "w0" : l == 1 ? "w1" : "w2");
        fill(bias[l], 4, "b");
        heads[l] = (rung_exit_head){.weight = weight[l], .bias = bias[l]};
    }
    heads[1] = (rung_exit_head){0}; /* a gap */
    for (size_t d = 0; d < 2; d++) {
        rung_model *model = open_model(directories[d], RUNG_PRECISION_FP32);
        char hash[RUNG_SHA256_HEX_BYTES];
        memcpy(hash, model->hash, sizeof hash);
        assert_ok(rung_model_set_heads(model, labels, 4, heads, error));
        assert_int_equal(model->config.num_labels, 4);
        assert_string_equal(model->labels[3], "west");
        assert_string_equal(model->hash, hash);
        assert_true(rung_model_has_exit(model, 0) && !rung_model_has_exit(model, 1) && rung_model_has_exit(model, 2));
        float states[LAYERS * HIDDEN];
        float logits[LAYERS * 4];
        run_model(model, states, logits);
        for (size_t l = 0; l < LAYERS; l += 2) {
            for (size_t c = 0; c < 4; c++) {
                double sum = (double)bias[l][c];
                for (size_t i = 0; i < HIDDEN; i++) {
                    sum += (double)weight[l][c * HIDDEN + i] * (double)states[l * HIDDEN + i];
                }
                assert_true(fabs(sum - (double)logits[l * 4 + c]) < 1e-4);
            }
        }
        rung_model_close(model);
        fixture_remove(directories[d]);
    }
}

/* A classifier without early exits gets them and keeps its own head, pooler and labels. */
static void heads_beside_the_classifier(void **state)
{
    (void)state;
    char *directory = make_directory("", NULL, 0, ",\"num_labels\":3");
    rung_model *model = open_model(directory, RUNG_PRECISION_FP32);
    float states[LAYERS * HIDDEN];
    float before[LAYERS * 3] = {0};
    float after[LAYERS * 3] = {0};
    float weight[3 * HIDDEN];
    float bias[3] = {1, 2, 3};
    fill(weight, 3 * HIDDEN, "w");
    run_model(model, states, before);
    rung_exit_head heads[LAYERS] = {{.weight = weight, .bias = bias}};
    assert_ok(rung_model_set_heads(model, NULL, 3, heads, error));
    weight[0] = 99; /* they were copied */
    run_model(model, states, after);
    assert_memory_equal(before + 6, after + 6, 3 * sizeof(float));
    assert_true(rung_model_has_exit(model, 0) && !rung_model_has_exit(model, 1));
    assert_true(model->exits[0].weight[0] == fixture_value("w", 0) * 8);
    assert_string_equal(model->labels[2], "LABEL_2");
    rung_model_close(model);
    fixture_remove(directory);
}

static void bad_heads(void **state)
{
    (void)state;
    static const char *const labels[] = {"a", "b", "c"};
    char *directory = make_directory("", NULL, 0, ",\"num_labels\":3");
    rung_model *model = open_model(directory, RUNG_PRECISION_FP32);
    float weight[3 * HIDDEN] = {0};
    float bias[3] = {0};
    rung_exit_head heads[LAYERS] = {{.weight = weight, .bias = bias}};
    assert_fails(rung_model_set_heads(model, labels, 3, heads, error), RUNG_INVALID, "no head after layer 3, the last");
    heads[2] = heads[0];
    assert_fails(rung_model_set_heads(model, labels, 1, heads, error), RUNG_INVALID, "heads for 1 labels");
    assert_fails(rung_model_set_heads(model, NULL, 2, heads, error), RUNG_INVALID, "the model's own 3");
    bias[1] = NAN;
    assert_fails(rung_model_set_heads(model, labels, 2, heads, error), RUNG_INVALID,
                 "the head after layer 1 holds nan; it must be finite");
    assert_int_equal(model->config.num_labels, 3);
    assert_string_equal(model->labels[0], "LABEL_0");
    assert_false(rung_model_has_exit(model, 0));
    assert_non_null(model->pooler.panels);
    rung_model_close(model);
    fixture_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_encoders),
        cmocka_unit_test(half_classifiers_are_refused),
        cmocka_unit_test(new_heads_read_the_state),
        cmocka_unit_test(heads_beside_the_classifier),
        cmocka_unit_test(bad_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
