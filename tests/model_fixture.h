/* model_fixture.h: small Hugging Face directories made in a temporary place, so that the model tests need no file.
 * Every weight is a function of its tensor's name and index, and exact in F16 and BF16. Included by test_model_load.c,
 * test_safetensors.c and the like. */
#ifndef RUNG_TESTS_MODEL_FIXTURE_H
#define RUNG_TESTS_MODEL_FIXTURE_H

#include "base/buffer.h"
#include "base/file.h"
#include "base/hash.h"
#include "model/half.h"
#include "model/safetensors.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Checks that the expression fails with that status and that the message holds the fragment. */
#define assert_fails(expression, wanted_status, fragment)                                                              \
    do {                                                                                                               \
        rung_error failure = {.message = ""};                                                                          \
        rung_error *error = &failure;                                                                                  \
        rung_status got = (expression);                                                                                \
        if (got != (wanted_status) || strstr(failure.message, (fragment)) == NULL) {                                   \
            fail_msg("got %s \"%s\", wanted %s with \"%s\"", rung_status_name(got), failure.message,                   \
                     rung_status_name(wanted_status), (fragment));                                                     \
        }                                                                                                              \
        assert_int_equal(failure.code, got);                                                                           \
    } while (0)

#define assert_ok(expression)                                                                                          \
    do {                                                                                                               \
        rung_error failure = {.message = ""};                                                                          \
        rung_error *error = &failure;                                                                                  \
        if ((expression) != RUNG_OK) {                                                                                 \
            fail_msg("%s", failure.message);                                                                           \
        }                                                                                                              \
    } while (0)

typedef struct fixture_spec {
    size_t layers, hidden, intermediate, heads, labels, vocab, positions;
    rung_dtype dtype;
    const char *prefix;
    bool old_norm_names;
    unsigned exits;   /* bit l: a head after layer l; 0: no exits.safetensors */
    const char *skip; /* a tensor left out */
} fixture_spec;

static const fixture_spec FIXTURE_SMALL = {.layers = 3,
                                           .hidden = 40,
                                           .intermediate = 72,
                                           .heads = 4,
                                           .labels = 3,
                                           .vocab = 12,
                                           .positions = 16,
                                           .dtype = RUNG_F32,
                                           .prefix = "bert.",
                                           .exits = 3};

/* A multiple of 2^-10 in -127 .. 127 of them; every seventh is small so that groups are uneven. */
static inline float fixture_value(const char *name, size_t index)
{
    uint64_t draw = rung_xxh64(&index, sizeof index, rung_xxh64(name, strlen(name), 1));
    int32_t level = (int32_t)(draw % 255) - 127;
    return (float)(index % 7 == 0 ? level / 16 : level) * 0x1p-10f;
}

static inline char *fixture_join(const char *directory, const char *name)
{
    char *path = rung_path_join(directory, name, NULL);
    assert_non_null(path);
    return path;
}

static inline char *fixture_directory(void)
{
    const char *base = getenv("TMPDIR");
    char *path = fixture_join(base != NULL ? base : "/tmp", "rung-test-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

/* Removes the directory, which holds files only, and frees its name. */
static inline void fixture_remove(char *directory)
{
    DIR *listing = opendir(directory);
    assert_non_null(listing);
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            char *path = fixture_join(directory, entry->d_name);
            unlink(path);
            free(path);
        }
    }
    closedir(listing);
    rmdir(directory);
    free(directory);
}

static inline void fixture_write(const char *directory, const char *name, const char *text)
{
    char *path = fixture_join(directory, name);
    assert_ok(rung_write_file(path, text, strlen(text), error));
    free(path);
}

static inline void fixture_delete(const char *directory, const char *name)
{
    char *path = fixture_join(directory, name);
    assert_int_equal(unlink(path), 0);
    free(path);
}

typedef struct fixture_tensors {
    rung_tensor items[128];
    char names[128][128];
    size_t count;
    rung_dtype dtype;
    const char *skip;
} fixture_tensors;

static inline void fixture_tensor(fixture_tensors *list, const char *name, size_t rows, size_t columns)
{
    if (list->skip != NULL && strcmp(name, list->skip) == 0) {
        return;
    }
    size_t count = columns > 0 ? rows * columns : rows;
    size_t width = rung_dtype_bytes(list->dtype);
    uint8_t *data = malloc(count * width);
    assert_non_null(data);
    for (size_t i = 0; i < count; i++) {
        float value = fixture_value(name, i);
        uint32_t bits = rung_float_bits(value);
        uint16_t half = list->dtype == RUNG_F16 ? rung_f32_to_f16(value) : (uint16_t)(bits >> 16);
        memcpy(data + i * width, width == 4 ? (void *)&bits : (void *)&half, width);
    }
    assert_true(list->count < 128);
    snprintf(list->names[list->count], sizeof list->names[0], "%s", name);
    list->items[list->count] = (rung_tensor){.name = list->names[list->count],
                                             .dtype = list->dtype,
                                             .rank = columns > 0 ? 2 : 1,
                                             .shape = {rows, columns},
                                             .data = data,
                                             .bytes = count * width};
    list->count++;
}

static inline void fixture_save(fixture_tensors *list, const char *directory, const char *name)
{
    char *path = fixture_join(directory, name);
    assert_ok(rung_safetensors_write(path, list->items, list->count, NULL, 0, error));
    for (size_t i = 0; i < list->count; i++) {
        free((uint8_t *)list->items[i].data);
    }
    list->count = 0;
    free(path);
}

static inline void fixture_pair(fixture_tensors *list, const char *prefix, const char *middle, const char *weight,
                                const char *bias, size_t rows, size_t columns)
{
    char name[256];
    snprintf(name, sizeof name, "%s%s.%s", prefix, middle, weight);
    fixture_tensor(list, name, rows, columns);
    snprintf(name, sizeof name, "%s%s.%s", prefix, middle, bias);
    fixture_tensor(list, name, rows, 0);
}

static inline void fixture_weights(const char *directory, const fixture_spec *spec)
{
    fixture_tensors *list = calloc(1, sizeof *list);
    assert_non_null(list);
    list->dtype = spec->dtype;
    list->skip = spec->skip;
    const char *gamma = spec->old_norm_names ? "gamma" : "weight";
    const char *beta = spec->old_norm_names ? "beta" : "bias";
    size_t hidden = spec->hidden;
    char name[128];
    const struct {
        const char *name;
        size_t rows;
    } tables[] = {{"word", spec->vocab}, {"position", spec->positions}, {"token_type", 2}};
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%sembeddings.%s_embeddings.weight", spec->prefix, tables[i].name);
        fixture_tensor(list, name, tables[i].rows, hidden);
    }
    fixture_pair(list, spec->prefix, "embeddings.LayerNorm", gamma, beta, hidden, 0);
    for (size_t layer = 0; layer < spec->layers; layer++) {
        snprintf(name, sizeof name, "%sencoder.layer.%zu.", spec->prefix, layer);
        fixture_pair(list, name, "attention.self.query", "weight", "bias", hidden, hidden);
        fixture_pair(list, name, "attention.self.key", "weight", "bias", hidden, hidden);
        fixture_pair(list, name, "attention.self.value", "weight", "bias", hidden, hidden);
        fixture_pair(list, name, "attention.output.dense", "weight", "bias", hidden, hidden);
        fixture_pair(list, name, "attention.output.LayerNorm", gamma, beta, hidden, 0);
        fixture_pair(list, name, "intermediate.dense", "weight", "bias", spec->intermediate, hidden);
        fixture_pair(list, name, "output.dense", "weight", "bias", hidden, spec->intermediate);
        fixture_pair(list, name, "output.LayerNorm", gamma, beta, hidden, 0);
    }
    fixture_pair(list, spec->prefix, "pooler.dense", "weight", "bias", hidden, hidden);
    fixture_pair(list, "", "classifier", "weight", "bias", spec->labels, hidden);
    fixture_save(list, directory, "model.safetensors");
    for (size_t layer = 0; layer < 32; layer++) {
        if (spec->exits >> layer & 1) {
            snprintf(name, sizeof name, "exits.%zu", layer);
            fixture_pair(list, "", name, "weight", "bias", spec->labels, hidden);
        }
    }
    if (list->count > 0) {
        fixture_save(list, directory, "exits.safetensors");
    }
    free(list);
}

static inline void fixture_config(const char *directory, const fixture_spec *spec)
{
    rung_buffer text = {0};
    rung_buffer_format(
        &text,
        "{\"model_type\": \"bert\", \"architectures\": [\"BertForSequenceClassification\"], \"hidden_size\": %zu,\n"
        " \"num_hidden_layers\": %zu, \"num_attention_heads\": %zu, \"intermediate_size\": %zu,\n"
        " \"max_position_embeddings\": %zu, \"type_vocab_size\": 2, \"vocab_size\": %zu,\n"
        " \"layer_norm_eps\": 1e-12, \"hidden_act\": \"gelu\", \"id2label\": {",
        spec->hidden, spec->layers, spec->heads, spec->intermediate, spec->positions, spec->vocab);
    for (size_t i = 0; i < spec->labels; i++) {
        rung_buffer_format(&text, "%s\"%zu\": \"label %zu\"", i > 0 ? ", " : "", i, i);
    }
    rung_buffer_text(&text, "}}\n");
    fixture_write(directory, "config.json", text.data);
    rung_buffer_deinit(&text);
}

static const char FIXTURE_TOKENIZER[] =
    "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null, \"added_tokens\": [\n"
    "  {\"id\": 0, \"content\": \"[PAD]\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
    "\"normalized\": false, "
    "\"special\": true},\n"
    "  {\"id\": 1, \"content\": \"[UNK]\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
    "\"normalized\": false, "
    "\"special\": true},\n"
    "  {\"id\": 2, \"content\": \"[CLS]\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
    "\"normalized\": false, "
    "\"special\": true},\n"
    "  {\"id\": 3, \"content\": \"[SEP]\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
    "\"normalized\": false, "
    "\"special\": true}],\n"
    " \"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": true, \"handle_chinese_chars\": true, "
    "\"strip_accents\": null, "
    "\"lowercase\": true},\n"
    " \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"},\n"
    " \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"[CLS]\", "
    "\"type_id\": 0}}, "
    "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"SpecialToken\": {\"id\": \"[SEP]\", \"type_id\": 0}}],\n"
    "  \"pair\": [{\"SpecialToken\": {\"id\": \"[CLS]\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": "
    "0}}, "
    "{\"SpecialToken\": {\"id\": \"[SEP]\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}, "
    "{\"SpecialToken\": {\"id\": \"[SEP]\", \"type_id\": 1}}],\n"
    "  \"special_tokens\": {\"[CLS]\": {\"id\": \"[CLS]\", \"ids\": [2], \"tokens\": [\"[CLS]\"]}, "
    "\"[SEP]\": {\"id\": \"[SEP]\", \"ids\": [3], \"tokens\": [\"[SEP]\"]}}},\n"
    " \"decoder\": {\"type\": \"WordPiece\", \"prefix\": \"##\", \"cleanup\": true},\n"
    " \"model\": {\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\", \"continuing_subword_prefix\": \"##\", "
    "\"max_input_chars_per_word\": 100,\n"
    "  \"vocab\": {\"[PAD]\": 0, \"[UNK]\": 1, \"[CLS]\": 2, \"[SEP]\": 3, \"a\": 4, \"warm\": 5, \"funny\": 6, "
    "\"film\": 7, "
    "\"##s\": 8, \".\": 9, \",\": 10}}}\n";

/* The whole directory; the last vocabulary row has no token. */
static inline void fixture_model(const char *directory, const fixture_spec *spec)
{
    fixture_config(directory, spec);
    fixture_write(directory, "tokenizer.json", FIXTURE_TOKENIZER);
    fixture_write(directory, "tokenizer_config.json",
                  "{\"do_lower_case\": true, \"model_max_length\": 1000000000000000019884624838656}\n");
    fixture_weights(directory, spec);
}

#endif
