/* replay_fixture.h: small cascades of random models in temporary places, texts of every kind, and calibrations and policies drawn at random. Included by
 * the tests of src/replay. */
#ifndef RUNG_TESTS_REPLAY_FIXTURE_H
#define RUNG_TESTS_REPLAY_FIXTURE_H

#include "base/prng.h"
#include "cascade/deferral.h"
#include "model_fixture.h"
#include "replay/replay.h"
#include "run/cascade.h"

#include <math.h>

#define REPLAY_TEXTS 32
#define REPLAY_TEXT_BYTES 400
#define REPLAY_MODELS 4
#define REPLAY_LABELS 3

/* Three models that segment alike, of rising length, and one that does not (cased). Exits are missing here and there. */
static const struct {
    fixture_spec spec;
    const char *tokenizer;
    const char *labels[REPLAY_LABELS]; /* in the order of the model's classes */
} replay_models[REPLAY_MODELS] = {
    {{.layers = 3, .hidden = 24, .intermediate = 32, .heads = 2, .positions = 20, .vocab = 148, .exits = 3},
     "tests/golden/tiny-bert",
     {"no", "may be", "yes"}},
    {{.layers = 4, .hidden = 32, .intermediate = 40, .heads = 4, .positions = 28, .vocab = 148, .exits = 5},
     "tests/golden/tiny-bert",
     {"yes", "no", "may be"}},
    {{.layers = 5, .hidden = 16, .intermediate = 24, .heads = 2, .positions = 40, .vocab = 148, .exits = 15},
     "tests/golden/tiny-bert",
     {"may be", "yes", "no"}},
    {{.layers = 3, .hidden = 20, .intermediate = 28, .heads = 1, .positions = 24, .vocab = 161, .exits = 2},
     "tests/golden/tiny-bert-odd",
     {"no", "yes", "may be"}},
};

/* Directories of models and cascades, made once for a test program. */
typedef struct replay_files {
    char *model[REPLAY_MODELS][2]; /* [model, multi_label] */
    char *cascades;
    size_t num_cascades;
} replay_files;

static inline void replay_write_model(const char *directory, size_t which, bool multi_label)
{
    fixture_spec spec = replay_models[which].spec;
    rung_buffer text = {0};
    spec.labels = REPLAY_LABELS;
    spec.dtype = RUNG_F32;
    spec.prefix = "bert.";
    rung_buffer_format(
        &text,
        "{\"model_type\": \"bert\", \"architectures\": [\"BertForSequenceClassification\"], \"hidden_size\": %zu,\n"
        " \"num_hidden_layers\": %zu, \"num_attention_heads\": %zu, \"intermediate_size\": %zu,\n"
        " \"max_position_embeddings\": %zu, \"type_vocab_size\": 2, \"vocab_size\": %zu, \"layer_norm_eps\": 1e-12,\n"
        " \"hidden_act\": \"gelu\",%s \"id2label\": {\"0\": \"%s\", \"1\": \"%s\", \"2\": \"%s\"}}\n",
        spec.hidden, spec.layers, spec.heads, spec.intermediate, spec.positions, spec.vocab,
        multi_label ? " \"problem_type\": \"multi_label_classification\"," : "", replay_models[which].labels[0],
        replay_models[which].labels[1], replay_models[which].labels[2]);
    fixture_write(directory, "config.json", text.data);
    rung_buffer_deinit(&text);
    fixture_weights(directory, &spec);
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json"};
    for (size_t i = 0; i < 2; i++) {
        char *path = fixture_join(replay_models[which].tokenizer, names[i]);
        char *copy = NULL;
        size_t size;
        assert_ok(rung_read_file(path, 1 << 20, &copy, &size, error));
        fixture_write(directory, names[i], copy);
        free(copy);
        free(path);
    }
}

static inline void replay_files_make(replay_files *files)
{
    for (size_t m = 0; m < REPLAY_MODELS; m++) {
        for (size_t multi_label = 0; multi_label < 2; multi_label++) {
            files->model[m][multi_label] = fixture_directory();
            replay_write_model(files->model[m][multi_label], m, multi_label != 0);
        }
    }
    files->cascades = fixture_directory();
    files->num_cascades = 0;
}

static inline void replay_files_remove(replay_files *files)
{
    for (size_t m = 0; m < REPLAY_MODELS; m++) {
        fixture_remove(files->model[m][0]);
        fixture_remove(files->model[m][1]);
    }
    fixture_remove(files->cascades);
}

/* levels: numbers of models, a digit each, from the user up. rest: further lines of the YAML. */
static inline rung_cascade *replay_open(replay_files *files, const char *levels, bool multi_label, size_t threads,
                                        const char *rest)
{
    static const char *const links[] = {"lan", "wifi", "4g", "satellite"};
    rung_buffer yaml = {0};
    char name[32];
    rung_buffer_text(&yaml, "levels:\n");
    for (size_t l = 0; levels[l] != '\0'; l++) {
        rung_buffer_format(&yaml, "  - {name: level-%zu, model: %s, speed: %g%s%s}\n", l + 1,
                           files->model[levels[l] - '0'][multi_label], 0.5 + (double)l, l > 0 ? ", link: " : "",
                           l > 0 ? links[l % 4] : "");
    }
    rung_buffer_text(&yaml, rest);
    snprintf(name, sizeof name, "cascade-%zu.yaml", files->num_cascades++);
    fixture_write(files->cascades, name, yaml.data);
    rung_buffer_deinit(&yaml);
    char *path = fixture_join(files->cascades, name);
    rung_cascade *cascade = NULL;
    assert_ok(rung_cascade_open(path, &(rung_open_options){.threads = threads}, &cascade, error));
    free(path);
    return cascade;
}

/* Texts of every kind: pairs, longer than the models read, of words without tokens, not in ASCII, with what JSON escapes. */
typedef struct replay_texts {
    char text[REPLAY_TEXTS][2][REPLAY_TEXT_BYTES];
    char id[REPLAY_TEXTS][16];
    rung_input inputs[REPLAY_TEXTS];
} replay_texts;

static inline size_t replay_write_text(rung_prng *prng, size_t words, char *out)
{
    static const char *const vocabulary[] = {
        "the",
        "film",
        "was",
        "not",
        "a",
        "good",
        "bad",
        "movie,",
        "great",
        "plot;",
        "it's",
        "funny",
        "unwatchably",
        "Walk",
        "The",
        "Great",
        "No",
        "one",
        "loves",
        "\xc3\x89t\xc3\xa9",
        "stra\xc3\x9f"
        "e",
        "\xe4\xb8\xad\xe6\x96\x87",
        "\xd0\xb8\xd0\xb4",
        "\xe2\x82\xac"
        "5",
        "\xf0\x9f\x8e\xac",
        "[SEP]",
        "\"quoted\"",
        "back\\slash",
        "\xe2\x80\x8b",
        "\x01",
        "\xf0\x9f\x98\x80",
        "e\xcc\x81",
        "...",
        "dull-and-dull",
        "##ing",
    };
    static const char *const spaces[] = {" ", " ", " ", "  ", "\n", "\t", "\xc2\xa0"};
    size_t used = 0;
    out[0] = '\0';
    for (size_t w = 0; w < words; w++) {
        const char *word = vocabulary[rung_prng_below(prng, sizeof vocabulary / sizeof vocabulary[0])];
        const char *space = w > 0 ? spaces[rung_prng_below(prng, sizeof spaces / sizeof spaces[0])] : "";
        used += (size_t)snprintf(out + used, REPLAY_TEXT_BYTES - used, "%s%s", space, word);
        assert_true(used < REPLAY_TEXT_BYTES);
    }
    return used;
}

static inline void replay_texts_make(replay_texts *texts, uint64_t seed)
{
    static const char *const odd[] = {" ", "\x01", "\xe2\x80\x8b \x02", "a", "\xe4\xb8\xad", "good good good"};
    rung_prng prng = {seed};
    for (size_t i = 0; i < REPLAY_TEXTS; i++) {
        size_t words = 1 + rung_prng_below(&prng, i % 4 == 0 ? 30 : 12);
        rung_input *input = &texts->inputs[i];
        *input = (rung_input){.text = texts->text[i][0]};
        if (i < sizeof odd / sizeof odd[0]) {
            input->text_bytes = (size_t)snprintf(texts->text[i][0], REPLAY_TEXT_BYTES, "%s", odd[i]);
        } else {
            input->text_bytes = replay_write_text(&prng, words, texts->text[i][0]);
        }
        if (i % 3 == 1) {
            input->text_pair = texts->text[i][1];
            input->text_pair_bytes = replay_write_text(&prng, 1 + rung_prng_below(&prng, 8), texts->text[i][1]);
        }
        if (i % 2 == 0) {
            snprintf(texts->id[i], sizeof texts->id[i], "text %zu", i);
            input->id = texts->id[i];
        }
    }
}

/* Made-up times. */
static inline rung_timing replay_timing(const rung_cascade *cascade)
{
    rung_timing timing = {.num_levels = cascade->num_levels};
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        rung_level_timing *level = &timing.level[l];
        level->num_layers = (uint32_t)cascade->level[l].model->config.num_layers;
        level->tokenize_ms_per_byte = 0.001;
        for (uint32_t e = 0; e < level->num_layers; e++) {
            level->exits[e] = (rung_latency_curve){
                .a_ms = 0.5 * (e + 1), .b_ms_per_token = 0.02 * (l + 1) * (e + 1), .c_ms_per_token2 = 0.0001};
        }
    }
    return timing;
}

/* What a calibration lends. */
typedef struct replay_calibration {
    rung_calibration calibration;
    double temperature[RUNG_MAX_LEVELS][8];
    double shape[RUNG_MAX_LEVELS][8];
    double class_accuracy[RUNG_MAX_LEVELS][REPLAY_LABELS];
    rung_deferral deferral[RUNG_MAX_LEVELS][8];
    float deferral_weight[RUNG_MAX_LEVELS][8][64];
    rung_pool pools[1u << RUNG_TAPE_LIMIT_LEVELS];
} replay_calibration;

static inline double replay_between(rung_prng *prng, double low, double high)
{
    return low + (high - low) * rung_prng_uniform(prng);
}

static inline void replay_draw_deferral(rung_prng *prng, const rung_cascade *cascade, uint32_t level,
                                        replay_calibration *out)
{
    size_t hidden = cascade->level[level].model->config.hidden_size;
    size_t layers = cascade->level[level].model->config.num_layers;
    for (size_t e = 0; e < layers; e++) {
        float *weight = out->deferral_weight[level][e];
        for (size_t i = 0; i < hidden + RUNG_DEFERRAL_SCORES; i++) {
            weight[i] = (float)replay_between(prng, -1, 1);
        }
        bool fitted = rung_prng_below(prng, 4) > 0;
        out->deferral[level][e] =
            (rung_deferral){.hidden_size = fitted ? hidden : 0, .weight = weight, .bias = replay_between(prng, -1, 1)};
    }
}

static inline void replay_draw_pools(rung_prng *prng, uint32_t num_levels, rung_pool *pools)
{
    for (uint32_t set = 1; set >> num_levels == 0; set++) {
        rung_pool *pool = &pools[set];
        double sum = 0;
        *pool = (rung_pool){.accuracy_temperature = replay_between(prng, 0.3, 2),
                            .fitted_temperature = rung_prng_below(prng, 3) == 0 ? 1 : replay_between(prng, 0.3, 2)};
        if (rung_prng_below(prng, 4) == 0) {
            continue; /* not fitted */
        }
        for (uint32_t l = 0; l < num_levels; l++) {
            pool->fitted_weight[l] = (set >> l & 1) != 0 ? 0.05 + rung_prng_uniform(prng) : 0;
            sum += pool->fitted_weight[l];
        }
        for (uint32_t l = 0; l < num_levels; l++) {
            pool->fitted_weight[l] /= sum;
        }
    }
}

static inline void replay_draw_calibration(rung_prng *prng, const rung_cascade *cascade, replay_calibration *out)
{
    bool shaped = rung_prng_below(prng, 2) == 0;
    bool votes = rung_prng_below(prng, 2) == 0;
    out->calibration = cascade->calibration;
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        rung_level_calibration *level = &out->calibration.level[l];
        for (uint32_t e = 0; e < level->num_exits; e++) {
            out->temperature[l][e] = rung_prng_below(prng, 4) == 0 ? 1 : replay_between(prng, 0.02, 0.3);
            out->shape[l][e] = rung_prng_below(prng, 3) == 0 ? 1 : replay_between(prng, 0.5, 1.5);
        }
        for (uint32_t c = 0; c < REPLAY_LABELS; c++) {
            out->class_accuracy[l][c] = replay_between(prng, 0, 1);
        }
        replay_draw_deferral(prng, cascade, l, out);
        level->temperature = out->temperature[l];
        level->shape = shaped ? out->shape[l] : NULL;
        level->class_accuracy = votes ? out->class_accuracy[l] : NULL;
        level->deferral = out->deferral[l];
        level->accuracy = replay_between(prng, 0.3, 1);
    }
    replay_draw_pools(prng, cascade->num_levels, out->pools);
    out->calibration.pools = out->pools;
    assert_ok(rung_policy_check(&cascade->policy, &out->calibration, error));
}

#endif
