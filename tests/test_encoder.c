/* test_encoder.c: the forward pass against logits of transformers (tests/golden/logits_*.json, made by tools/golden_logits.py), and against itself:
 * the same bits from every kernel table and in every batch. */
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/prng.h"
#include "config/jsonl.h"
#include "model/encoder.h"
#include "model/random_model.h"
#include "numbers.h"
#include "skip.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN "tests/golden/"
#define MAX_RELATIVE_ERROR 1e-4

/* Largest difference of two lists, relative to the largest expected magnitude. */
static double relative_error(const json_t *expected, const float *found)
{
    double largest = 0;
    double difference = 0;
    for (size_t i = 0; i < json_array_size(expected); i++) {
        double value = json_number_value(json_array_get(expected, i));
        largest = fmax(largest, fabs(value));
        double apart = fabs(value - (double)found[i]);
        difference = isnan(apart) ? INFINITY : fmax(difference, apart);
    }
    return difference / largest;
}

/* Runs one sequence through all layers and compares each exit's logits and, where given, each layer's column sums. */
static void check_text(rung_batch *batch, const json_t *text, const int32_t *ids, const uint8_t *types, size_t count)
{
    const rung_model_config *config = &batch->model->config;
    const json_t *logits_wanted = json_object_get(text, "logits");
    const json_t *sums_wanted = json_object_get(text, "column_sums");
    float *logits = calloc(config->num_labels, sizeof *logits);
    assert_int_equal(json_array_size(logits_wanted), config->num_layers);
    rung_batch_clear(batch);
    rung_batch_add(batch, ids, types, count);
    for (size_t layer = 0; layer < config->num_layers; layer++) {
        memset(batch->importance, 0, count * sizeof *batch->importance);
        rung_encoder_layer(batch, layer, true);
        assert_true(rung_model_has_exit(batch->model, layer));
        rung_exit_logits(batch, layer, 0, logits);
        assert_true(relative_error(json_array_get(logits_wanted, layer), logits) < MAX_RELATIVE_ERROR);
        if (layer < json_array_size(sums_wanted)) {
            const json_t *sums = json_array_get(sums_wanted, layer);
            assert_int_equal(json_array_size(sums), count);
            assert_true(relative_error(sums, batch->importance) < MAX_RELATIVE_ERROR);
        }
    }
    free(logits);
}

static rung_model *open_model(const char *path, rung_precision precision)
{
    rung_model *model = NULL;
    rung_error error;
    if (rung_model_open(path, precision, &model, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
    return model;
}

static void open_batch(rung_batch *batch, const rung_model *model, const rung_kernels *kernels, size_t tokens)
{
    rung_error error;
    if (rung_batch_init(batch, model, kernels, tokens, 64, &error) != RUNG_OK) {
        fail_msg("%s", error.message);
    }
}

/* The ids of a golden text, as lists in the file. */
static size_t read_ids(const json_t *text, int32_t *ids, uint8_t *types, size_t capacity)
{
    const json_t *list = json_object_get(text, "ids");
    const json_t *type_list = json_object_get(text, "type_ids");
    size_t count = json_array_size(list);
    assert_true(count > 0 && count <= capacity);
    for (size_t i = 0; i < count; i++) {
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
        types[i] = (uint8_t)json_integer_value(json_array_get(type_list, i));
    }
    return count;
}

static const struct {
    const char *file;
    size_t models;
} GOLDEN_LOGITS[] = {{GOLDEN "logits_tiny.json.zst", 2}, {GOLDEN "logits_families.json.zst", 4}};

/* Calls check for every model of both files. */
static void for_each_golden_model(void (*check)(const json_t *wanted, const char *path))
{
    for (size_t f = 0; f < sizeof GOLDEN_LOGITS / sizeof GOLDEN_LOGITS[0]; f++) {
        json_t *golden = load_golden_json(GOLDEN_LOGITS[f].file);
        const json_t *models = json_object_get(golden, "models");
        assert_int_equal(json_array_size(models), GOLDEN_LOGITS[f].models);
        for (size_t m = 0; m < json_array_size(models); m++) {
            const json_t *wanted = json_array_get(models, m);
            char path[128];
            snprintf(path, sizeof path, GOLDEN "%s", json_string_value(json_object_get(wanted, "model")));
            check(wanted, path);
        }
        json_decref(golden);
    }
}

static void check_fp32(const json_t *wanted, const char *path)
{
    rung_model *model = open_model(path, RUNG_PRECISION_FP32);
    assert_int_equal(model->config.max_tokens, json_integer_value(json_object_get(wanted, "max_tokens")));
    const rung_kernels *kernels;
    for (size_t t = 0; (kernels = rung_kernels_at(t)) != NULL; t++) {
        rung_batch batch;
        open_batch(&batch, model, kernels, 512);
        const json_t *texts = json_object_get(wanted, "texts");
        assert_true(json_array_size(texts) >= 10);
        for (size_t i = 0; i < json_array_size(texts); i++) {
            int32_t ids[512];
            uint8_t types[512];
            size_t count = read_ids(json_array_get(texts, i), ids, types, 512);
            check_text(&batch, json_array_get(texts, i), ids, types, count);
        }
        rung_batch_deinit(&batch);
    }
    rung_model_close(model);
}

static void fp32_equals_transformers_on_tiny_models(void **state)
{
    (void)state;
    for_each_golden_model(check_fp32);
}
/* The last exit's logits of every text, [texts, labels]. */
static void run_last_exit(const rung_model *model, const rung_kernels *kernels, const json_t *texts, float *logits)
{
    rung_batch batch;
    open_batch(&batch, model, kernels, 512);
    for (size_t i = 0; i < json_array_size(texts); i++) {
        int32_t ids[512];
        uint8_t types[512];
        size_t count = read_ids(json_array_get(texts, i), ids, types, 512);
        rung_batch_clear(&batch);
        rung_batch_add(&batch, ids, types, count);
        for (size_t layer = 0; layer < model->config.num_layers; layer++) {
            rung_encoder_layer(&batch, layer, false);
        }
        rung_exit_logits(&batch, model->config.num_layers - 1, 0, logits + i * model->config.num_labels);
    }
    rung_batch_deinit(&batch);
}

/* Random weights of small matrices lose more than trained ones: the mean distance stays below a tenth of the logits' size. */
static void check_int8(const json_t *wanted, const char *path)
{
    enum { MAX_LOGITS = 128 };
    float first[MAX_LOGITS], logits[MAX_LOGITS];
    rung_model *model = open_model(path, RUNG_PRECISION_INT8);
    const json_t *texts = json_object_get(wanted, "texts");
    size_t num_labels = model->config.num_labels;
    size_t count = json_array_size(texts) * num_labels;
    assert_true(count <= MAX_LOGITS);
    const rung_kernels *kernels;
    for (size_t t = 0; (kernels = rung_kernels_at(t)) != NULL; t++) {
        run_last_exit(model, kernels, texts, t == 0 ? first : logits);
        if (t > 0) {
            assert_memory_equal(first, logits, count * sizeof *logits);
        }
    }
    double distance = 0;
    double size = 0;
    for (size_t i = 0; i < count; i++) {
        const json_t *exits = json_object_get(json_array_get(texts, i / num_labels), "logits");
        const json_t *last = json_array_get(exits, model->config.num_layers - 1);
        double value = json_number_value(json_array_get(last, i % num_labels));
        distance += fabs(value - (double)first[i]);
        size += fabs(value);
    }
    assert_true(distance < 0.1 * size);
    rung_model_close(model);
}

static void int8_of_tiny_models_is_near_and_the_same_everywhere(void **state)
{
    (void)state;
    for_each_golden_model(check_int8);
}

/* The tokenizer reads the same ids that transformers saw. */
static void check_ids(const json_t *wanted, const char *path)
{
    rung_model *model = open_model(path, RUNG_PRECISION_FP32);
    size_t max_tokens = (size_t)json_integer_value(json_object_get(wanted, "max_tokens"));
    const json_t *texts = json_object_get(wanted, "texts");
    rung_encoding encoding = {0};
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const json_t *text = json_array_get(texts, i);
        const json_t *pair_json = json_object_get(text, "text_pair");
        rung_text first = {json_string_value(json_object_get(text, "text")),
                           json_string_length(json_object_get(text, "text"))};
        rung_text pair = {json_string_value(pair_json), json_string_length(pair_json)};
        rung_error error;
        assert_int_equal(
            rung_tokenize(model->tokenizer, first, pair.data != NULL ? &pair : NULL, max_tokens, &encoding, &error),
            RUNG_OK);
        int32_t ids[512];
        uint8_t types[512];
        size_t count = read_ids(text, ids, types, 512);
        assert_int_equal(encoding.length, count);
        assert_memory_equal(encoding.ids, ids, count * sizeof *ids);
        assert_memory_equal(encoding.type_ids, types, count);
    }
    rung_encoding_deinit(&encoding);
    rung_model_close(model);
}

static void tiny_texts_have_the_golden_ids(void **state)
{
    (void)state;
    for_each_golden_model(check_ids);
}

/* Row `wanted` (0-based) of JSON lines, from a reader that stands at row *next. */
static void read_row(rung_line_reader *reader, size_t *next, size_t wanted, rung_line *line)
{
    const char *text = NULL;
    size_t bytes = 0;
    rung_error error;
    for (; *next <= wanted; (*next)++) {
        assert_int_equal(rung_line_reader_next(reader, &text, &bytes, &error), RUNG_OK);
        assert_non_null(text);
    }
    assert_int_equal(rung_line_parse(text, bytes, wanted, line, &error), RUNG_OK);
}

static void check_shared_model(const char *shared, const json_t *wanted)
{
    char path[512];
    rung_error error;
    snprintf(path, sizeof path, "%s/models/%s", shared, json_string_value(json_object_get(wanted, "model")));
    rung_model *model = open_model(path, RUNG_PRECISION_FP32);
    rung_batch batch;
    const rung_kernels *kernels;
    assert_int_equal(rung_kernels_select(NULL, &kernels, &error), RUNG_OK);
    open_batch(&batch, model, kernels, 512);
    rung_encoding tokens = {0};
    const json_t *texts = json_object_get(wanted, "texts");
    assert_true(json_array_size(texts) > 0);
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const json_t *text = json_array_get(texts, i);
        rung_line_reader *reader;
        rung_line line = {0};
        size_t next = 0;
        snprintf(path, sizeof path, "%s/data/imdb/test.jsonl.zst", shared);
        assert_int_equal(rung_line_reader_open(path, 0, &reader, &error), RUNG_OK);
        read_row(reader, &next, (size_t)json_integer_value(json_object_get(text, "row")), &line);
        rung_line_reader_close(reader);
        assert_int_equal(
            rung_tokenize(model->tokenizer, (rung_text){line.text, line.text_bytes}, NULL, 512, &tokens, &error),
            RUNG_OK);
        assert_int_equal(tokens.length, json_integer_value(json_object_get(text, "tokens")));
        check_text(&batch, text, tokens.ids, tokens.type_ids, tokens.length);
        rung_line_deinit(&line);
    }
    rung_encoding_deinit(&tokens);
    rung_batch_deinit(&batch);
    rung_model_close(model);
}

static void fp32_equals_transformers_on_trained_models(void **state)
{
    (void)state;
    const char *shared = getenv("RUNG_SHARED");
    if (shared == NULL) {
        skip_because("fp32_equals_transformers_on_trained_models", "no-shared");
        return;
    }
    json_t *golden = load_golden_json(GOLDEN "logits_shared.json");
    const json_t *models = json_object_get(golden, "models");
    assert_int_equal(json_array_size(models), 3);
    for (size_t m = 0; m < json_array_size(models); m++) {
        check_shared_model(shared, json_array_get(models, m));
    }
    json_decref(golden);
}

/* Sequences of several lengths run alone and together, on every table: all logits and importances, bit for bit. */
static void every_table_and_batch_gives_the_same_bits(rung_precision precision)
{
    enum { SEQUENCES = 5, LABELS = 3, LAYERS = 3 };
    static const size_t lengths[SEQUENCES] = {1, 7, 64, 33, 130};
    const rung_model_config shape = {.num_layers = LAYERS,
                                     .hidden_size = 104,
                                     .intermediate_size = 212,
                                     .num_heads = 4,
                                     .max_tokens = 130,
                                     .num_labels = LABELS};
    rung_error error;
    rung_model *model;
    assert_int_equal(rung_model_random(&shape, precision, 7, &model, &error), RUNG_OK);
    int32_t ids[SEQUENCES][130];
    uint8_t types[SEQUENCES][130];
    rung_prng prng = {11};
    for (size_t s = 0; s < SEQUENCES; s++) {
        for (size_t i = 0; i < lengths[s]; i++) {
            ids[s][i] = (int32_t)rung_prng_below(&prng, model->config.vocab_size);
            types[s][i] = (uint8_t)rung_prng_below(&prng, 2);
        }
    }
    static float expected[SEQUENCES][LAYERS][LABELS];
    static float importance[SEQUENCES][130];
    const rung_kernels *kernels;
    for (size_t t = 0; (kernels = rung_kernels_at(t)) != NULL; t++) {
        rung_batch batch;
        open_batch(&batch, model, kernels, 512);
        for (size_t s = 0; s < SEQUENCES; s++) { /* alone */
            rung_batch_clear(&batch);
            rung_batch_add(&batch, ids[s], types[s], lengths[s]);
            for (size_t layer = 0; layer < LAYERS; layer++) {
                float logits[LABELS];
                rung_encoder_layer(&batch, layer, true);
                rung_exit_logits(&batch, layer, 0, logits);
                if (t == 0) {
                    memcpy(expected[s][layer], logits, sizeof logits);
                }
                assert_memory_equal(expected[s][layer], logits, sizeof logits);
            }
            if (t == 0) {
                memcpy(importance[s], batch.importance, lengths[s] * sizeof(float));
            }
            assert_memory_equal(importance[s], batch.importance, lengths[s] * sizeof(float));
        }
        rung_batch_clear(&batch); /* together; two of them leave after the first layer */
        for (size_t s = 0; s < SEQUENCES; s++) {
            rung_batch_add(&batch, ids[s], types[s], lengths[s]);
        }
        rung_encoder_layer(&batch, 0, true);
        rung_batch_keep(&batch, (bool[]){true, false, true, false, true});
        assert_int_equal(batch.num_sequences, 3);
        for (size_t layer = 1; layer < LAYERS; layer++) {
            rung_encoder_layer(&batch, layer, true);
            for (size_t row = 0; row < 3; row++) {
                float logits[LABELS];
                rung_exit_logits(&batch, layer, row, logits);
                assert_memory_equal(expected[2 * row][layer], logits, sizeof logits);
            }
        }
        for (size_t row = 0; row < 3; row++) {
            assert_memory_equal(importance[2 * row], batch.importance + batch.starts[row],
                                lengths[2 * row] * sizeof(float));
        }
        rung_batch_deinit(&batch);
    }
    rung_model_close(model);
}

/* All tokens of a batch after all layers, and their importance. */
typedef struct outcome {
    float hidden[400 * 104];
    float importance[400];
} outcome;

static void run_all_layers(rung_batch *batch, const size_t *lengths, size_t count, outcome *out)
{
    rung_prng prng = {5};
    int32_t ids[256];
    uint8_t types[256];
    rung_batch_clear(batch);
    for (size_t s = 0; s < count; s++) {
        for (size_t i = 0; i < lengths[s]; i++) {
            ids[i] = (int32_t)rung_prng_below(&prng, batch->model->config.vocab_size);
            types[i] = (uint8_t)rung_prng_below(&prng, 2);
        }
        rung_batch_add(batch, ids, types, lengths[s]);
    }
    for (size_t layer = 0; layer < batch->model->config.num_layers; layer++) {
        rung_encoder_layer(batch, layer, layer < 2);
    }
    *out = (outcome){0};
    memcpy(out->hidden, batch->hidden, batch->num_tokens * batch->model->config.hidden_size * sizeof(float));
    memcpy(out->importance, batch->importance, batch->num_tokens * sizeof(float));
}

static void threads_give_the_same_bits(rung_precision precision)
{
    static const struct {
        size_t count, lengths[3];
    } batches[] = {{1, {1}}, {1, {5}}, {1, {130}}, {2, {7, 61}}, {3, {130, 2, 124}}, {3, {130, 130, 130}}};
    static outcome alone, together;
    const rung_model_config shape = {.num_layers = 3,
                                     .hidden_size = 104,
                                     .intermediate_size = 212,
                                     .num_heads = 4,
                                     .max_tokens = 130,
                                     .num_labels = 2};
    rung_error error;
    rung_model *model;
    rung_batch batch;
    const rung_kernels *kernels;
    assert_int_equal(rung_kernels_select(NULL, &kernels, &error), RUNG_OK);
    assert_int_equal(rung_model_random(&shape, precision, 7, &model, &error), RUNG_OK);
    open_batch(&batch, model, kernels, 400);
    for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
        run_all_layers(&batch, batches[b].lengths, batches[b].count, &alone);
        for (size_t threads = 1; threads <= 5; threads += threads < 3 ? 1 : 2) {
            rung_thread_pool *pool;
            assert_int_equal(rung_thread_pool_create(threads, &pool, &error), RUNG_OK);
            assert_int_equal(rung_batch_share(&batch, pool, &error), RUNG_OK);
            run_all_layers(&batch, batches[b].lengths, batches[b].count, &together);
            assert_memory_equal(&alone, &together, sizeof alone);
            assert_int_equal(rung_batch_share(&batch, NULL, &error), RUNG_OK);
            rung_thread_pool_free(pool);
        }
    }
    rung_batch_deinit(&batch);
    rung_model_close(model);
}

static void int8_is_the_same_bits_on_any_number_of_threads(void **state)
{
    (void)state;
    if (getenv("RUNG_EMULATED") != NULL) {
        skip_because("int8_is_the_same_bits_on_any_number_of_threads", "emulated");
    }
    threads_give_the_same_bits(RUNG_PRECISION_INT8);
}

static void fp32_is_the_same_bits_on_any_number_of_threads(void **state)
{
    (void)state;
    if (getenv("RUNG_EMULATED") != NULL) {
        skip_because("fp32_is_the_same_bits_on_any_number_of_threads", "emulated");
    }
    threads_give_the_same_bits(RUNG_PRECISION_FP32);
}

static void count_part(void *context, rung_encoder_part part)
{
    size_t *counts = context;
    counts[part]++;
}

static void a_probe_hears_of_every_part(void **state)
{
    (void)state;
    const rung_model_config shape = {
        .num_layers = 2, .hidden_size = 32, .intermediate_size = 64, .num_heads = 2, .max_tokens = 16, .num_labels = 2};
    rung_error error;
    rung_model *model;
    rung_batch batch;
    const rung_kernels *kernels;
    size_t counts[RUNG_ENCODER_PARTS] = {0};
    const rung_encoder_probe probe = {.done = count_part, .context = counts};
    assert_int_equal(rung_kernels_select(NULL, &kernels, &error), RUNG_OK);
    assert_int_equal(rung_model_random(&shape, RUNG_PRECISION_INT8, 1, &model, &error), RUNG_OK);
    open_batch(&batch, model, kernels, 16);
    batch.probe = &probe;
    rung_batch_add(&batch, (int32_t[3]){1, 2, 3}, (uint8_t[3]){0}, 3);
    float logits[2];
    for (size_t layer = 0; layer < 2; layer++) {
        rung_encoder_layer(&batch, layer, false);
        rung_exit_logits(&batch, layer, 0, logits);
    }
    for (size_t part = 0; part < RUNG_ENCODER_PARTS; part++) {
        assert_true(counts[part] >= (part == RUNG_PART_EMBEDDING ? 1 : 2));
    }
    rung_batch_deinit(&batch);
    rung_model_close(model);
}

static void int8_is_the_same_bits_everywhere(void **state)
{
    (void)state;
    every_table_and_batch_gives_the_same_bits(RUNG_PRECISION_INT8);
}

static void fp32_is_the_same_bits_everywhere(void **state)
{
    (void)state;
    every_table_and_batch_gives_the_same_bits(RUNG_PRECISION_FP32);
}

/* Adds the logits of every exit and the importances of one golden text to a hash of those before it. */
static uint64_t hash_text(rung_batch *batch, const json_t *text, uint64_t hash)
{
    int32_t ids[512];
    uint8_t types[512];
    float logits[8];
    const rung_model_config *config = &batch->model->config;
    size_t count = read_ids(text, ids, types, 512);
    assert_true(config->num_labels <= 8);
    rung_batch_clear(batch);
    rung_batch_add(batch, ids, types, count);
    for (size_t layer = 0; layer < config->num_layers; layer++) {
        rung_encoder_layer(batch, layer, true);
        rung_exit_logits(batch, layer, 0, logits);
        hash = rung_xxh64(logits, config->num_labels * sizeof *logits, hash);
    }
    return rung_xxh64(batch->importance, count * sizeof *batch->importance, hash);
}

/* Tables are compared with each other above; these numbers compare architectures and compilers. They change when the
 * arithmetic does, and then all of them at once: any table of any machine gives the new ones. */
static void bits_are_the_same_on_every_architecture(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        rung_precision precision;
        uint64_t hash;
    } wanted[] = {
        {"tiny-bert", RUNG_PRECISION_INT8, 0x8800ae55ff1f15b2},
        {"tiny-bert", RUNG_PRECISION_FP32, 0x07b6b0f85319036c},
        {"tiny-bert-odd", RUNG_PRECISION_INT8, 0x22f18f029da910c5},
        {"tiny-bert-odd", RUNG_PRECISION_FP32, 0x4dc6fc970b93316d},
    };
    json_t *golden = load_golden_json(GOLDEN "logits_tiny.json.zst");
    const json_t *models = json_object_get(golden, "models");
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, GOLDEN "%s", wanted[i].model);
        rung_model *model = open_model(path, wanted[i].precision);
        const json_t *entry = json_array_get(models, i / 2);
        assert_string_equal(json_string_value(json_object_get(entry, "model")), wanted[i].model);
        const json_t *texts = json_object_get(entry, "texts");
        const rung_kernels *kernels;
        for (size_t t = 0; (kernels = rung_kernels_at(t)) != NULL; t++) {
            rung_batch batch;
            uint64_t hash = 0;
            open_batch(&batch, model, kernels, 512);
            for (size_t j = 0; j < json_array_size(texts); j++) {
                hash = hash_text(&batch, json_array_get(texts, j), hash);
            }
            if (hash != wanted[i].hash) {
                fail_msg("%s, precision %d, table %s: 0x%016" PRIx64, wanted[i].model, (int)wanted[i].precision,
                         kernels->name, hash);
            }
            rung_batch_deinit(&batch);
        }
        rung_model_close(model);
    }
    json_decref(golden);
}

static void batch_refuses_what_does_not_fit(void **state)
{
    (void)state;
    const rung_model_config shape = {
        .num_layers = 1, .hidden_size = 32, .intermediate_size = 64, .num_heads = 2, .max_tokens = 16, .num_labels = 2};
    rung_error error;
    rung_model *model;
    rung_batch batch;
    const rung_kernels *kernels;
    assert_int_equal(rung_kernels_select(NULL, &kernels, &error), RUNG_OK);
    assert_int_equal(rung_model_random(&shape, RUNG_PRECISION_INT8, 1, &model, &error), RUNG_OK);
    assert_int_equal(rung_batch_init(&batch, model, kernels, 0, 1, &error), RUNG_INVALID);
    assert_int_equal(rung_batch_init(&batch, model, kernels, SIZE_MAX / 2, 1, &error), RUNG_LIMIT);
    assert_int_equal(rung_batch_init(&batch, model, kernels, 20, 2, &error), RUNG_OK);
    assert_true(rung_batch_fits(&batch, 16));
    rung_batch_add(&batch, (int32_t[16]){0}, (uint8_t[16]){0}, 16);
    assert_true(rung_batch_fits(&batch, 4));
    assert_false(rung_batch_fits(&batch, 5));
    rung_batch_add(&batch, (int32_t[1]){3}, (uint8_t[1]){0}, 1);
    assert_false(rung_batch_fits(&batch, 1));
    rung_batch_deinit(&batch);
    rung_model_close(model);
}

/* The rows of every kept token move down whole, with their importance; sequences begin where theirs do. */
static void kept_tokens_keep_their_rows(void **state)
{
    (void)state;
    enum { SEQUENCES = 3, TOKENS = 5 + 1 + 4, HIDDEN = 32 };
    static const size_t lengths[SEQUENCES] = {5, 1, 4};
    static const bool all[TOKENS] = {true, true, true, true, true, true, true, true, true, true};
    static const bool some[TOKENS] = {true, false, true, true, false, true, true, false, false, true};
    static const size_t starts[SEQUENCES + 1] = {0, 3, 4, 6};
    const rung_model_config shape = {.num_layers = 2,
                                     .hidden_size = HIDDEN,
                                     .intermediate_size = 64,
                                     .num_heads = 2,
                                     .max_tokens = 16,
                                     .num_labels = 2};
    rung_error error;
    rung_model *model;
    rung_batch batch;
    const rung_kernels *kernels;
    assert_int_equal(rung_kernels_select(NULL, &kernels, &error), RUNG_OK);
    assert_int_equal(rung_model_random(&shape, RUNG_PRECISION_INT8, 1, &model, &error), RUNG_OK);
    open_batch(&batch, model, kernels, TOKENS);
    int32_t ids[TOKENS];
    uint8_t types[TOKENS] = {0};
    for (size_t s = 0, first = 0; s < SEQUENCES; first += lengths[s], s++) {
        for (size_t i = first; i < first + lengths[s]; i++) {
            ids[i] = (int32_t)(3 + 5 * i);
        }
        rung_batch_add(&batch, ids + first, types + first, lengths[s]);
    }
    rung_encoder_layer(&batch, 0, true);
    float hidden[TOKENS * HIDDEN], importance[TOKENS], scales[TOKENS];
    memcpy(hidden, batch.hidden, sizeof hidden);
    memcpy(importance, batch.importance, sizeof importance);
    memcpy(scales, batch.quantized.scales, sizeof scales);
    rung_batch_keep_tokens(&batch, all);
    assert_int_equal(batch.num_tokens, TOKENS);
    assert_memory_equal(batch.hidden, hidden, sizeof hidden);
    memcpy(batch.token_keep, some, sizeof some);
    rung_batch_keep_tokens(&batch, batch.token_keep);
    assert_int_equal(batch.num_sequences, SEQUENCES);
    assert_int_equal(batch.num_tokens, starts[SEQUENCES]);
    assert_memory_equal(batch.starts, starts, sizeof starts);
    for (size_t i = 0, row = 0; i < TOKENS; i++) {
        if (some[i]) {
            assert_memory_equal(batch.hidden + row * HIDDEN, hidden + i * HIDDEN, HIDDEN * sizeof(float));
            assert_true(batch.importance[row] == importance[i] && batch.quantized.scales[row] == scales[i]);
            row++;
        }
    }
    rung_batch_deinit(&batch);
    rung_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiny_texts_have_the_golden_ids),
        cmocka_unit_test(fp32_equals_transformers_on_tiny_models),
        cmocka_unit_test(int8_of_tiny_models_is_near_and_the_same_everywhere),
        cmocka_unit_test(fp32_equals_transformers_on_trained_models),
        cmocka_unit_test(int8_is_the_same_bits_everywhere),
        cmocka_unit_test(fp32_is_the_same_bits_everywhere),
        cmocka_unit_test(bits_are_the_same_on_every_architecture),
        cmocka_unit_test(int8_is_the_same_bits_on_any_number_of_threads),
        cmocka_unit_test(fp32_is_the_same_bits_on_any_number_of_threads),
        cmocka_unit_test(a_probe_hears_of_every_part),
        cmocka_unit_test(kept_tokens_keep_their_rows),
        cmocka_unit_test(batch_refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
