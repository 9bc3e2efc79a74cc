/* calibration_write.c: writing calibration.json. See calibration_file.h. Numbers have the fewest digits that read back as the same double. */
#include "base/base64.h"
#include "base/file.h"
#include "base/memory.h"
#include "config/calibration_file.h"
#include "config/number.h"
#include "config/variant_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_string(rung_buffer *out, const char *text)
{
    rung_buffer_text(out, "\"");
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20) {
            rung_buffer_format(out, "\\u%04x", (unsigned)*c);
        } else {
            if (*c == '"' || *c == '\\') {
                rung_buffer_text(out, "\\");
            }
            rung_buffer_append(out, c, 1);
        }
    }
    rung_buffer_text(out, "\"");
}

/* A number that is not finite becomes null, which the reading back refuses by its field. */
static void put_number(rung_buffer *out, const char *before, double value)
{
    char digits[RUNG_NUMBER_BYTES];
    rung_buffer_format(out, "%s%s", before, isfinite(value) ? rung_print_number(value, digits) : "null");
}

static void put_numbers(rung_buffer *out, const char *before, const double *values, size_t count)
{
    rung_buffer_format(out, "%s[", before);
    for (size_t i = 0; i < count; i++) {
        put_number(out, i > 0 ? ", " : "", values[i]);
    }
    rung_buffer_text(out, "]");
}

/* As little-endian 32-bit numbers in base64; three of them fill whole groups of characters. */
static void put_floats(rung_buffer *out, const char *before, const float *values, size_t count)
{
    rung_buffer_format(out, "%s\"", before);
    for (size_t i = 0; i < count; i += 3) {
        uint8_t raw[12];
        size_t here = count - i < 3 ? count - i : 3;
        for (size_t j = 0; j < here; j++) {
            uint32_t bits;
            memcpy(&bits, &values[i + j], sizeof bits);
            for (size_t b = 0; b < 4; b++) {
                raw[4 * j + b] = (uint8_t)(bits >> 8 * b);
            }
        }
        rung_base64_encode(out, raw, 4 * here);
    }
    rung_buffer_text(out, "\"");
}

static void put_exit(rung_buffer *out, size_t num_labels, const rung_calibration_level *level,
                     const rung_calibration_exit *exit)
{
    rung_buffer_format(out, "      {\"layer\": %u", exit->layer);
    put_number(out, ", \"temperature\": ", exit->temperature);
    put_number(out, ", \"shape\": ", exit->shape);
    put_number(out, ", \"accuracy\": ", exit->accuracy);
    put_number(out, ", \"nll_before\": ", exit->nll_before);
    put_number(out, ", \"nll_after\": ", exit->nll_after);
    put_number(out, ", \"ece\": ", exit->ece);
    if (exit->head_weight != NULL) {
        put_floats(out, ",\n       \"head\": {\"weight\": ", exit->head_weight, num_labels * level->hidden_size);
        put_floats(out, ", \"bias\": ", exit->head_bias, num_labels);
        rung_buffer_text(out, "}");
    }
    if (exit->deferral_weight != NULL) {
        size_t count = (size_t)level->hidden_size + RUNG_DEFERRAL_SCORES;
        put_floats(out, ",\n       \"deferral\": {\"weight\": ", exit->deferral_weight, count);
        put_number(out, ", \"bias\": ", exit->deferral_bias);
        rung_buffer_text(out, "}");
    }
    rung_buffer_text(out, "}");
}

/* A level whose model another server has. */
static void put_remote(rung_buffer *out, const rung_calibration_level *level)
{
    const rung_remote *remote = &level->remote;
    rung_buffer_format(out, "\n     \"remote\": {\"protocol\": \"%s\"", rung_protocol_name(remote->protocol));
    if (remote->model != NULL) {
        rung_buffer_text(out, ", \"model\": ");
        put_string(out, remote->model);
    }
    for (size_t i = 0; i < remote->num_labels; i++) {
        rung_buffer_text(out, i == 0 ? ", \"labels\": [" : ", ");
        put_string(out, remote->labels[i]);
    }
    rung_buffer_text(out, remote->num_labels > 0 ? "], \"identity\": " : ", \"identity\": ");
    put_string(out, level->identity != NULL ? level->identity : "");
    rung_buffer_text(out, "},\n     ");
}

static void put_level(rung_buffer *out, size_t num_labels, const rung_calibration_level *level)
{
    rung_buffer_text(out, "    {\"name\": ");
    put_string(out, level->name != NULL ? level->name : "");
    rung_buffer_format(out, ", \"model_sha256\": \"%s\",", level->model_sha256);
    if (level->is_remote) {
        put_remote(out, level);
    } else {
        rung_buffer_format(out, " \"tokenizer_sha256\": \"%s\",\n     ", level->tokenizer_sha256);
        rung_buffer_format(out, "\"max_tokens\": %u, \"type_vocab_size\": %u, \"hidden_size\": %u, ", level->max_tokens,
                           level->type_vocab_size, level->hidden_size);
    }
    rung_buffer_format(out, "\"layers\": %u", level->num_layers);
    put_number(out, ", \"accuracy\": ", level->accuracy);
    if (level->class_accuracy != NULL) {
        put_numbers(out, ", \"class_accuracy\": ", level->class_accuracy, num_labels);
    }
    if (level->has_threshold) {
        put_number(out, ", \"threshold\": ", level->threshold);
    }
    put_number(out, ", \"agreement\": ", level->agreement);
    put_number(out, ", \"answered\": ", level->answered);
    if (level->has_deferral_threshold) {
        put_number(out, ", \"deferral_threshold\": ", level->deferral_threshold);
        put_number(out, ", \"deferral_answered\": ", level->deferral_answered);
    }
    rung_buffer_text(out, ", \"exits\": [\n");
    for (size_t i = 0; i < level->num_exits; i++) {
        put_exit(out, num_labels, level, &level->exits[i]);
        rung_buffer_text(out, i + 1 < level->num_exits ? ",\n" : "]}");
    }
}

static void put_pool(rung_buffer *out, const rung_calibration_pool *pool)
{
    const char *separator = "";
    rung_buffer_text(out, "    {\"levels\": [");
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        if (pool->set >> l & 1) {
            rung_buffer_format(out, "%s%u", separator, l + 1);
            separator = ", ";
        }
    }
    rung_buffer_format(out, "], \"rows\": %llu", (unsigned long long)pool->rows);
    put_number(out, ", \"accuracy_temperature\": ", pool->accuracy_temperature);
    put_number(out, ", \"accuracy_nll\": ", pool->accuracy_nll);
    separator = ", \"fitted_weights\": [";
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        if (pool->set >> l & 1) {
            put_number(out, separator, pool->fitted_weight[l]);
            separator = ", ";
        }
    }
    put_number(out, "], \"fitted_temperature\": ", pool->fitted_temperature);
    put_number(out, ", \"fitted_nll\": ", pool->fitted_nll);
    put_number(out, ", \"fitted_ece\": ", pool->fitted_ece);
    rung_buffer_text(out, "}");
}

/* The numbers at the end for which the last one stands are left out. */
static void put_entropy(rung_buffer *out, const double entropy[RUNG_EXIT_THRESHOLDS])
{
    size_t count = RUNG_EXIT_THRESHOLDS;
    while (count > 1 && entropy[count - 1] == entropy[count - 2]) {
        count--;
    }
    put_numbers(out, ", \"entropy\": ", entropy, count);
}

/* names[value], or an empty text, which the reading back refuses by its field. */
static const char *name_of(const char *const *names, size_t count, unsigned value)
{
    return value < count ? names[value] : "";
}

static void put_policy(rung_buffer *out, const rung_calibration_policy *policy)
{
    static const char *const rules[] = {"off", "paper", "agree", "pabee", "entropy", "divergence"};
    static const char *const weights[] = {"accuracy", "last", "fitted", "vote"};
    rung_buffer_text(out, "  \"policy\": {\"name\": ");
    put_string(out, policy->name);
    rung_buffer_format(out, ", \"weights\": \"%s\"",
                       name_of(weights, sizeof weights / sizeof *weights, (unsigned)policy->weights));
    rung_buffer_format(out, ", \"decide_on\": \"%s\"", policy->pooled_decision ? "pooled" : "own");
    rung_buffer_format(out, ", \"softmax\": \"%s\"", policy->raw_ensemble ? "raw" : "calibrated");
    rung_buffer_format(out, ", \"defer\": \"%s\"", policy->defer == RUNG_DEFER_LEARNED ? "learned" : "confidence");
    if (policy->variant.kind != RUNG_VARIANT_NONE) {
        char variant[RUNG_VARIANT_BYTES];
        rung_buffer_format(out, ", \"variant\": \"%s\"", rung_variant_format(&policy->variant, variant));
    }
    rung_buffer_format(out, ", \"exit\": {\"rule\": \"%s\"",
                       name_of(rules, sizeof rules / sizeof *rules, (unsigned)policy->exit.rule));
    put_number(out, ", \"tau\": ", policy->exit.tau);
    rung_buffer_format(out, ", \"patience\": %u", policy->exit.patience);
    put_number(out, ", \"confidence\": ", policy->exit.confidence);
    if (policy->exit.rule == RUNG_EXIT_ENTROPY) {
        put_entropy(out, policy->exit.entropy);
    }
    rung_buffer_format(out, ", \"first_layer\": %u}},\n", policy->exit.first_layer);
}

static void put_file(rung_buffer *out, const rung_calibration_file *file)
{
    rung_buffer_format(out, "{\n  \"format\": \"rung-calibration\",\n  \"version\": %d,\n", RUNG_CALIBRATION_VERSION);
    rung_buffer_format(out, "  \"precision\": \"%s\",\n", file->precision == RUNG_PRECISION_FP32 ? "fp32" : "int8");
    rung_buffer_format(out, "  \"task\": \"%s\",\n",
                       file->task == RUNG_TASK_SINGLE_LABEL ? "single_label" : "multi_label");
    rung_buffer_text(out, "  \"labels\": [");
    for (size_t i = 0; i < file->num_labels; i++) {
        rung_buffer_text(out, i > 0 ? ", " : "");
        put_string(out, file->labels[i]);
    }
    rung_buffer_format(out, "],\n  \"labels_from\": \"%s\"",
                       file->labels_from == RUNG_LABELS_FROM_TOP ? "top" : "data");
    rung_buffer_text(out, ",\n  \"data\": {\"name\": ");
    put_string(out, file->data_name != NULL ? file->data_name : "");
    rung_buffer_format(out, ", \"sha256\": \"%s\", \"rows\": %llu},\n", file->data_sha256,
                       (unsigned long long)file->data_rows);
    put_number(out, "  \"target_agreement\": ", file->target_agreement);
    rung_buffer_format(out, ",\n  \"seed\": %llu,\n", (unsigned long long)file->seed);
    put_policy(out, &file->policy);
    rung_buffer_text(out, "  \"levels\": [\n");
    for (uint32_t l = 0; l < file->num_levels; l++) {
        put_level(out, file->num_labels, &file->levels[l]);
        rung_buffer_text(out, l + 1 < file->num_levels ? ",\n" : "");
    }
    rung_buffer_text(out, "\n  ],\n  \"pools\": [");
    for (size_t i = 0; i < file->num_pools; i++) {
        rung_buffer_text(out, i > 0 ? ",\n" : "\n");
        put_pool(out, &file->pools[i]);
    }
    rung_buffer_text(out, file->num_pools > 0 ? "\n  ]\n}\n" : "]\n}\n");
}

rung_status rung_calibration_file_print(const rung_calibration_file *file, rung_buffer *out, rung_error *error)
{
    rung_buffer text = {0};
    rung_calibration_file read_back = {0};
    put_file(&text, file);
    rung_status status = rung_buffer_check(&text, "calibration", error);
    if (status == RUNG_OK) {
        /* The reader is the one place that knows the ranges. */
        status = rung_calibration_file_parse(text.data, text.length, "calibration", &read_back, error);
        status = status == RUNG_OK || status == RUNG_NO_MEMORY ? status : RUNG_INVALID;
        if (status == RUNG_INVALID && error != NULL) {
            error->code = RUNG_INVALID;
        }
    }
    if (status == RUNG_OK) {
        rung_buffer_append(out, text.data, text.length);
        status = rung_buffer_check(out, "calibration", error);
    }
    rung_calibration_file_deinit(&read_back);
    rung_buffer_deinit(&text);
    return status;
}

rung_status rung_calibration_file_save(const rung_calibration_file *file, const char *path, rung_error *error)
{
    rung_buffer text = {0};
    rung_status status = rung_calibration_file_print(file, &text, error);
    if (status == RUNG_OK) {
        status = rung_write_file(path, text.data, text.length, error);
    }
    rung_buffer_deinit(&text);
    return status;
}
