/* calibration_file.c: reading and checking calibration.json. See calibration_file.h; calibration_write.c writes it. */
#include "config/calibration_file.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "config/calibration_fields.h"
#include "config/suggest.h"
#include "config/variant_text.h"
#include "model/json_field.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE_BYTES ((size_t)64 << 20) /* heads of 24 layers x 1024 x 100 classes in base64 are 13 MB */
#define MAX_ROWS 9007199254740992.0
#define MAX_ENTROPY 100.0 /* nats, as the option policy.exit.entropy */

void rung_calibration_file_deinit(rung_calibration_file *file)
{
    for (size_t i = 0; file->labels != NULL && i < file->num_labels; i++) {
        free(file->labels[i]);
    }
    for (size_t i = 0; i < RUNG_MAX_LEVELS; i++) {
        rung_calibration_level *level = &file->levels[i];
        for (size_t e = 0; level->exits != NULL && e < level->num_exits; e++) {
            free(level->exits[e].head_weight);
            free(level->exits[e].head_bias);
            free(level->exits[e].deferral_weight);
        }
        free(level->exits);
        free(level->class_accuracy);
        free(level->name);
        free(level->identity);
        rung_remote_deinit(&level->remote);
        free(file->temperatures[i]);
        free(file->deferrals[i]);
    }
    free(file->pools);
    free(file->pools_by_set);
    free(file->labels);
    free(file->data_name);
    free(file->path);
    *file = (rung_calibration_file){0};
}

static bool has(const rung_fields *o, const char *key)
{
    return json_object_get(o->json, key) != NULL;
}

static rung_status read_head(const rung_fields *o, size_t num_labels, size_t hidden_size, rung_calibration_exit *exit)
{
    rung_fields head;
    rung_status status = rung_fields_object(o, "head", &head);
    if (status == RUNG_OK) {
        status = rung_fields_known(&head, "weight|bias");
    }
    if (status == RUNG_OK) {
        status = rung_fields_floats(&head, "weight", num_labels * hidden_size, &exit->head_weight);
    }
    return status == RUNG_OK ? rung_fields_floats(&head, "bias", num_labels, &exit->head_bias) : status;
}

static rung_status read_deferral(const rung_fields *o, size_t hidden_size, rung_calibration_exit *exit)
{
    rung_fields deferral;
    rung_status status = rung_fields_object(o, "deferral", &deferral);
    if (status == RUNG_OK) {
        status = rung_fields_known(&deferral, "weight|bias");
    }
    if (status == RUNG_OK) {
        status = rung_fields_number(&deferral, "bias", -1e9, 1e9, &exit->deferral_bias);
    }
    return status == RUNG_OK
               ? rung_fields_floats(&deferral, "weight", hidden_size + RUNG_DEFERRAL_SCORES, &exit->deferral_weight)
               : status;
}

static rung_status read_exit(const rung_fields *o, uint32_t above, size_t num_labels,
                             const rung_calibration_level *level, rung_calibration_exit *exit)
{
    const struct {
        const char *key;
        double min, max;
        double *value;
    } numbers[] = {
        {"temperature", RUNG_MIN_TEMPERATURE, RUNG_MAX_TEMPERATURE, &exit->temperature},
        {"accuracy", 0, 1, &exit->accuracy},
        {"nll_before", 0, 1e9, &exit->nll_before},
        {"nll_after", 0, 1e9, &exit->nll_after},
        {"ece", 0, 1, &exit->ece},
    };
    rung_status status =
        rung_fields_known(o, "layer|temperature|shape|accuracy|nll_before|nll_after|ece|head|deferral");
    if (status == RUNG_OK) {
        status = rung_fields_u32(o, "layer", above + 1, level->num_layers, &exit->layer);
    }
    for (size_t i = 0; status == RUNG_OK && i < sizeof numbers / sizeof numbers[0]; i++) {
        status = rung_fields_number(o, numbers[i].key, numbers[i].min, numbers[i].max, numbers[i].value);
    }
    if (status == RUNG_OK && level->is_remote && (has(o, "head") || has(o, "deferral"))) {
        return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s': head and deferral do not go with remote", o->file,
                         o->path);
    }
    exit->shape = 1;
    if (status == RUNG_OK && has(o, "shape")) {
        status = rung_fields_number(o, "shape", RUNG_MIN_SHAPE, RUNG_MAX_SHAPE, &exit->shape);
    }
    if (status == RUNG_OK && has(o, "head")) {
        status = read_head(o, num_labels, level->hidden_size, exit);
    }
    if (status == RUNG_OK && has(o, "deferral")) {
        status = read_deferral(o, level->hidden_size, exit);
    }
    return status;
}

static rung_status read_exits(const rung_fields *o, size_t num_labels, rung_calibration_level *level)
{
    const json_t *list = NULL;
    rung_status status = rung_fields_list(o, "exits", 1, level->num_layers, &list);
    if (status != RUNG_OK) {
        return status;
    }
    level->num_exits = json_array_size(list);
    level->exits = rung_alloc(level->num_exits, sizeof *level->exits, "calibration", o->error);
    status = level->exits == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    uint32_t above = 0;
    for (size_t i = 0; status == RUNG_OK && i < level->num_exits; i++) {
        rung_fields entry;
        status = rung_fields_entry(o, "exits", list, i, &entry);
        if (status == RUNG_OK) {
            status = read_exit(&entry, above, num_labels, level, &level->exits[i]);
            above = level->exits[i].layer;
        }
    }
    if (status == RUNG_OK && above != level->num_layers) {
        return rung_fail(o->error, RUNG_FORMAT,
                         "%s: field '%s.exits' ends at layer %u; it must end at the last layer, %u", o->file, o->path,
                         above, level->num_layers);
    }
    return status;
}

static rung_status read_names(const rung_fields *o, const char *key, size_t max, char ***names, size_t *num_names)
{
    const json_t *list = NULL;
    rung_status status = rung_fields_list(o, key, 1, max, &list);
    if (status != RUNG_OK) {
        return status;
    }
    size_t count = json_array_size(list);
    *names = rung_alloc(count, sizeof **names, "calibration", o->error);
    status = *names == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    *num_names = status == RUNG_OK ? count : 0;
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        const json_t *value = json_array_get(list, i);
        char path[2 * RUNG_FIELDS_PATH_BYTES];
        snprintf(path, sizeof path, "%s%s%.20s[%zu]", o->path, o->path[0] != '\0' ? "." : "", key, i);
        if (!json_is_string(value)) {
            return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s' is %s; it must be a string", o->file, path,
                             rung_json_type_name(value));
        }
        status = rung_fields_copy_string(o, path, value, &(*names)[i]);
        for (size_t j = 0; status == RUNG_OK && j < i; j++) {
            if (strcmp((*names)[i], (*names)[j]) == 0) {
                char shown[RUNG_QUOTED_BYTES];
                status = rung_fail(o->error, RUNG_FORMAT, "%s: field '%s' is '%s', as %.40s[%zu] is", o->file, path,
                                   rung_shorten((*names)[i], strlen((*names)[i]), shown), key, j);
            }
        }
    }
    return status;
}

/* What the server said of its model, whose hash is the level's. */
static rung_status check_identity(const rung_fields *remote, const rung_calibration_level *level)
{
    char hex[RUNG_SHA256_HEX_BYTES];
    rung_sha256 hash;
    rung_sha256_init(&hash);
    rung_sha256_update(&hash, level->identity, strlen(level->identity));
    rung_sha256_hex(&hash, hex);
    return strcmp(hex, level->model_sha256) == 0
               ? RUNG_OK
               : rung_fail(remote->error, RUNG_FORMAT,
                           "%s: field '%s.identity' has the hash %.12s..., but model_sha256 is %.12s...", remote->file,
                           remote->path, hex, level->model_sha256);
}

/* A level whose model another server has. */
static rung_status read_remote(const rung_fields *o, size_t num_labels, rung_calibration_level *level)
{
    rung_fields remote;
    uint32_t protocol = 0;
    static const char *const not_there[] = {"tokenizer_sha256", "max_tokens", "type_vocab_size", "hidden_size"};
    for (size_t i = 0; i < sizeof not_there / sizeof not_there[0]; i++) {
        if (has(o, not_there[i])) {
            return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s.%s' does not go with remote", o->file, o->path,
                             not_there[i]);
        }
    }
    level->is_remote = true;
    rung_status status = rung_fields_object(o, "remote", &remote);
    if (status == RUNG_OK) {
        status = rung_fields_known(&remote, "protocol|model|labels|identity");
    }
    if (status == RUNG_OK) {
        status = rung_fields_choice(&remote, "protocol", "tei|v2", &protocol);
        level->remote.protocol = (rung_protocol_id)(protocol + RUNG_PROTOCOL_TEI);
    }
    if (status == RUNG_OK && level->remote.protocol == RUNG_PROTOCOL_V2) {
        status = rung_fields_string(&remote, "model", &level->remote.model);
    }
    if (status == RUNG_OK && has(&remote, "labels")) {
        status = read_names(&remote, "labels", num_labels, &level->remote.labels, &level->remote.num_labels);
    }
    if (status == RUNG_OK) {
        status = rung_fields_string(&remote, "identity", &level->identity);
    }
    if (status == RUNG_OK) {
        status = check_identity(&remote, level);
    }
    return status == RUNG_OK ? rung_fields_u32(o, "layers", 1, 1, &level->num_layers) : status;
}

static rung_status read_model(const rung_fields *o, size_t num_labels, rung_calibration_level *level)
{
    rung_status status = rung_fields_string(o, "name", &level->name);
    if (status == RUNG_OK) {
        status = rung_fields_sha256(o, "model_sha256", level->model_sha256);
    }
    if (status == RUNG_OK && has(o, "remote")) {
        return read_remote(o, num_labels, level);
    }
    if (status == RUNG_OK) {
        status = rung_fields_sha256(o, "tokenizer_sha256", level->tokenizer_sha256);
    }
    if (status == RUNG_OK) {
        status = rung_fields_u32(o, "max_tokens", 1, RUNG_MAX_POSITIONS, &level->max_tokens);
    }
    if (status == RUNG_OK) {
        status = rung_fields_u32(o, "type_vocab_size", 0, RUNG_MAX_POSITIONS, &level->type_vocab_size);
    }
    if (status == RUNG_OK) {
        status = rung_fields_u32(o, "hidden_size", 1, RUNG_MAX_HIDDEN, &level->hidden_size);
    }
    return status == RUNG_OK ? rung_fields_u32(o, "layers", 1, RUNG_MAX_LAYERS, &level->num_layers) : status;
}

static rung_status read_thresholds(const rung_fields *o, bool is_top, rung_calibration_level *level)
{
    rung_status status = RUNG_OK;
    if (!is_top || has(o, "threshold")) {
        status = rung_fields_number(o, "threshold", 0, 1, &level->threshold);
        level->has_threshold = true;
    }
    if (status == RUNG_OK && has(o, "deferral_threshold")) {
        status = rung_fields_number(o, "deferral_threshold", 0, 1, &level->deferral_threshold);
        level->has_deferral_threshold = true;
        if (status == RUNG_OK) {
            status = rung_fields_number(o, "deferral_answered", 0, 1, &level->deferral_answered);
        }
    }
    return status;
}

static rung_status read_class_accuracy(const rung_fields *o, size_t num_labels, rung_calibration_level *level)
{
    level->class_accuracy = rung_alloc(num_labels, sizeof *level->class_accuracy, "calibration", o->error);
    return level->class_accuracy == NULL
               ? RUNG_NO_MEMORY
               : rung_fields_numbers(o, "class_accuracy", num_labels, 0, 1, level->class_accuracy);
}

static rung_status read_level(const rung_fields *o, bool is_top, size_t num_labels, rung_calibration_level *level)
{
    rung_status status = rung_fields_known(
        o, "name|model_sha256|remote|tokenizer_sha256|max_tokens|type_vocab_size|hidden_size|layers|exits|"
           "accuracy|class_accuracy|threshold|agreement|answered|deferral_threshold|deferral_answered");
    if (status == RUNG_OK) {
        status = read_model(o, num_labels, level);
    }
    if (status == RUNG_OK && level->is_remote && !is_top) {
        return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s.remote': only the top level may be remote", o->file,
                         o->path);
    }
    if (status == RUNG_OK) {
        status = read_exits(o, num_labels, level);
    }
    if (status == RUNG_OK) {
        status = rung_fields_number(o, "accuracy", 0, 1, &level->accuracy);
    }
    if (status == RUNG_OK && has(o, "class_accuracy")) {
        status = read_class_accuracy(o, num_labels, level);
    }
    if (status == RUNG_OK) {
        status = read_thresholds(o, is_top, level);
    }
    if (status == RUNG_OK) {
        status = rung_fields_number(o, "agreement", 0, 1, &level->agreement);
    }
    return status == RUNG_OK ? rung_fields_number(o, "answered", 0, 1, &level->answered) : status;
}

static rung_status read_levels(const rung_fields *o, rung_calibration_file *file)
{
    const json_t *list = NULL;
    rung_status status = rung_fields_list(o, "levels", 1, RUNG_MAX_LEVELS, &list);
    if (status != RUNG_OK) {
        return status;
    }
    file->num_levels = (uint32_t)json_array_size(list);
    for (uint32_t l = 0; status == RUNG_OK && l < file->num_levels; l++) {
        rung_fields entry;
        status = rung_fields_entry(o, "levels", list, l, &entry);
        if (status == RUNG_OK) {
            status = read_level(&entry, l + 1 == file->num_levels, file->num_labels, &file->levels[l]);
        }
    }
    return status;
}

static rung_status read_labels(const rung_fields *o, rung_calibration_file *file)
{
    return read_names(o, "labels", RUNG_MAX_LABELS, &file->labels, &file->num_labels);
}

static rung_status read_data(const rung_fields *o, rung_calibration_file *file)
{
    rung_fields data;
    rung_status status = rung_fields_object(o, "data", &data);
    if (status == RUNG_OK) {
        status = rung_fields_known(&data, "name|sha256|rows");
    }
    if (status == RUNG_OK) {
        status = rung_fields_string(&data, "name", &file->data_name);
    }
    if (status == RUNG_OK) {
        status = rung_fields_sha256(&data, "sha256", file->data_sha256);
    }
    return status == RUNG_OK ? rung_fields_integer(&data, "rows", 1, MAX_ROWS, &file->data_rows) : status;
}

/* By exit; the last number stands for the rest. */
static rung_status read_entropy(const rung_fields *exit, double entropy[RUNG_EXIT_THRESHOLDS])
{
    const json_t *list = NULL;
    rung_status status = rung_fields_list(exit, "entropy", 1, RUNG_EXIT_THRESHOLDS, &list);
    size_t count = json_array_size(list);
    if (status == RUNG_OK) {
        status = rung_fields_numbers(exit, "entropy", count, 0, MAX_ENTROPY, entropy);
    }
    for (size_t e = count; status == RUNG_OK && e < RUNG_EXIT_THRESHOLDS; e++) {
        entropy[e] = entropy[count - 1];
    }
    return status;
}

static rung_status read_exit_rule(const rung_fields *policy, rung_exit_policy *rule)
{
    rung_fields exit;
    uint32_t index = 0;
    rung_status status = rung_fields_object(policy, "exit", &exit);
    if (status == RUNG_OK) {
        status = rung_fields_known(&exit, "rule|tau|patience|confidence|entropy|first_layer");
    }
    if (status == RUNG_OK) {
        status = rung_fields_choice(&exit, "rule", "off|paper|agree|pabee|entropy|divergence", &index);
        rule->rule = (rung_exit_rule)index;
    }
    if (status == RUNG_OK) {
        status = rung_fields_number(&exit, "tau", 0, 1, &rule->tau);
    }
    if (status == RUNG_OK) {
        status = rung_fields_u32(&exit, "patience", 1, RUNG_MAX_LAYERS, &rule->patience);
    }
    if (status == RUNG_OK) {
        status = rung_fields_number(&exit, "confidence", 0, 1, &rule->confidence);
    }
    if (status == RUNG_OK && rule->rule == RUNG_EXIT_ENTROPY) {
        status = read_entropy(&exit, rule->entropy);
    }
    return status == RUNG_OK ? rung_fields_u32(&exit, "first_layer", 1, RUNG_MAX_LAYERS, &rule->first_layer) : status;
}

/* The policy's name, which may have a number in parentheses. */
static rung_status read_policy_name(const rung_fields *policy, uint32_t num_levels, char out[32])
{
    char *name = NULL;
    rung_policy unused;
    rung_status status = rung_fields_string(policy, "name", &name);
    if (status == RUNG_OK && rung_policy_defaults(name, num_levels, &unused, policy->error) != RUNG_OK) {
        policy->error->code = status = RUNG_FORMAT;
        rung_fail_in(policy->error, "%s: field 'policy.name'", policy->file);
    }
    if (status == RUNG_OK) {
        memcpy(out, unused.name, sizeof unused.name);
    }
    free(name);
    return status;
}

static rung_status read_variant(const rung_fields *policy, rung_variant *variant)
{
    char *name = NULL;
    rung_status status = rung_fields_string(policy, "variant", &name);
    if (status == RUNG_OK && rung_variant_parse(name, variant, policy->error) != RUNG_OK) {
        policy->error->code = status = RUNG_FORMAT;
        rung_fail_in(policy->error, "%s: field 'policy.variant'", policy->file);
    }
    free(name);
    return status;
}

static rung_status read_policy(const rung_fields *o, uint32_t num_levels, rung_calibration_policy *out)
{
    rung_fields policy;
    uint32_t index = 0;
    rung_status status = rung_fields_object(o, "policy", &policy);
    if (status == RUNG_OK) {
        status = rung_fields_known(&policy, "name|exit|weights|decide_on|softmax|defer|variant");
    }
    if (status == RUNG_OK) {
        status = read_policy_name(&policy, num_levels, out->name);
    }
    if (status == RUNG_OK) {
        status = read_exit_rule(&policy, &out->exit);
    }
    if (status == RUNG_OK) {
        status = rung_fields_choice(&policy, "weights", "accuracy|last|fitted|vote", &index);
        out->weights = (rung_weights)index;
    }
    if (status == RUNG_OK) {
        status = rung_fields_choice(&policy, "decide_on", "own|pooled", &index);
        out->pooled_decision = index == 1;
    }
    if (status == RUNG_OK) {
        status = rung_fields_choice(&policy, "softmax", "calibrated|raw", &index);
        out->raw_ensemble = index == 1;
    }
    if (status == RUNG_OK) {
        status = rung_fields_choice(&policy, "defer", "confidence|learned", &index);
        out->defer = (rung_defer)index;
    }
    out->variant = (rung_variant){.amount = 1};
    return status == RUNG_OK && has(&policy, "variant") ? read_variant(&policy, &out->variant) : status;
}

/* The levels of a pool, rising, and a weight for each. */
static rung_status read_pool_levels(const rung_fields *o, uint32_t num_levels, rung_calibration_pool *pool)
{
    const json_t *levels = NULL;
    const json_t *weights = NULL;
    uint32_t above = 0;
    double sum = 0;
    rung_status status = rung_fields_list(o, "levels", 1, num_levels, &levels);
    if (status == RUNG_OK) {
        status = rung_fields_list(o, "fitted_weights", json_array_size(levels), json_array_size(levels), &weights);
    }
    for (size_t i = 0; status == RUNG_OK && i < json_array_size(levels); i++) {
        const json_t *level = json_array_get(levels, i);
        double weight = json_number_value(json_array_get(weights, i));
        json_int_t number = json_is_integer(level) ? json_integer_value(level) : 0;
        if (number <= above || number > num_levels) {
            return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s.levels[%zu]' must be a level from %u to %u, rising",
                             o->file, o->path, i, above + 1, num_levels);
        }
        if (!json_is_number(json_array_get(weights, i)) || !(weight >= 0 && weight <= 1)) {
            return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s.fitted_weights[%zu]' must be a number from 0 to 1",
                             o->file, o->path, i);
        }
        above = (uint32_t)number;
        pool->set |= UINT32_C(1) << (above - 1);
        pool->fitted_weight[above - 1] = weight;
        sum += weight;
    }
    if (status == RUNG_OK && !(fabs(sum - 1) <= 1e-6)) {
        return rung_fail(o->error, RUNG_FORMAT, "%s: field '%s.fitted_weights' adds up to %g; it must be 1", o->file,
                         o->path, sum);
    }
    return status;
}

static rung_status read_pool(const rung_fields *o, uint32_t num_levels, rung_calibration_pool *pool)
{
    const struct {
        const char *key;
        double min, max;
        double *value;
    } numbers[] = {
        {"accuracy_temperature", RUNG_MIN_TEMPERATURE, RUNG_MAX_TEMPERATURE, &pool->accuracy_temperature},
        {"accuracy_nll", 0, 1e9, &pool->accuracy_nll},
        {"fitted_temperature", RUNG_MIN_TEMPERATURE, RUNG_MAX_TEMPERATURE, &pool->fitted_temperature},
        {"fitted_nll", 0, 1e9, &pool->fitted_nll},
        {"fitted_ece", 0, 1, &pool->fitted_ece},
    };
    rung_status status = rung_fields_known(o, "levels|rows|accuracy_temperature|accuracy_nll|fitted_weights|"
                                              "fitted_temperature|fitted_nll|fitted_ece");
    if (status == RUNG_OK) {
        status = read_pool_levels(o, num_levels, pool);
    }
    if (status == RUNG_OK) {
        status = rung_fields_integer(o, "rows", 0, MAX_ROWS, &pool->rows);
    }
    for (size_t i = 0; status == RUNG_OK && i < sizeof numbers / sizeof numbers[0]; i++) {
        status = rung_fields_number(o, numbers[i].key, numbers[i].min, numbers[i].max, numbers[i].value);
    }
    return status;
}

static rung_status read_pools(const rung_fields *o, rung_calibration_file *file)
{
    const json_t *list = NULL;
    rung_status status = rung_fields_list(o, "pools", 0, ((size_t)1 << file->num_levels) - 1, &list);
    if (status != RUNG_OK || json_array_size(list) == 0) {
        return status;
    }
    file->pools = rung_alloc(json_array_size(list), sizeof *file->pools, "calibration", o->error);
    if (file->pools == NULL) {
        return RUNG_NO_MEMORY;
    }
    file->num_pools = json_array_size(list);
    for (size_t i = 0; status == RUNG_OK && i < file->num_pools; i++) {
        rung_fields entry;
        status = rung_fields_entry(o, "pools", list, i, &entry);
        if (status == RUNG_OK) {
            status = read_pool(&entry, file->num_levels, &file->pools[i]);
        }
        if (status == RUNG_OK && i > 0 && file->pools[i].set <= file->pools[i - 1].set) {
            status = rung_fail(o->error, RUNG_FORMAT,
                               "%s: field 'pools[%zu].levels' is out of order: sets are sorted by their highest level, "
                               "then the next, and occur once",
                               o->file, i);
        }
    }
    return status;
}

static rung_status read_version(const rung_fields *o)
{
    static const char name[] = "rung-calibration";
    const json_t *format = NULL;
    const json_t *version = NULL;
    rung_status status = rung_json_field(o->json, "", "format", JSON_STRING, o->file, &format, o->error);
    if (status == RUNG_OK && strcmp(json_string_value(format), name) != 0) {
        char shown[RUNG_QUOTED_BYTES];
        return rung_fail(o->error, RUNG_FORMAT, "%s: field 'format' is '%s'; it must be '%s'", o->file,
                         rung_shorten(json_string_value(format), json_string_length(format), shown), name);
    }
    if (status == RUNG_OK) {
        status = rung_json_field(o->json, "", "version", JSON_INTEGER, o->file, &version, o->error);
    }
    if (status == RUNG_OK && json_integer_value(version) != RUNG_CALIBRATION_VERSION) {
        return rung_fail(o->error, RUNG_UNSUPPORTED,
                         "%s: field 'version' is %lld; this rung reads %d: run rung fit again", o->file,
                         (long long)json_integer_value(version), RUNG_CALIBRATION_VERSION);
    }
    return status;
}

static rung_status read_file(const rung_fields *o, rung_calibration_file *file)
{
    uint32_t index = 0;
    rung_status status = read_version(o);
    if (status == RUNG_OK) {
        status = rung_fields_known(
            o, "format|version|precision|task|labels|labels_from|data|levels|pools|target_agreement|seed|policy");
    }
    if (status == RUNG_OK) {
        status = rung_fields_choice(o, "precision", "fp32|int8", &index);
        file->precision = (rung_precision)index;
    }
    if (status == RUNG_OK) {
        status = rung_fields_choice(o, "task", "single_label|multi_label", &index);
        file->task = (rung_task)index;
    }
    if (status == RUNG_OK) {
        status = read_labels(o, file);
    }
    if (status == RUNG_OK) {
        status = rung_fields_choice(o, "labels_from", "data|top", &index);
        file->labels_from = (rung_labels_from)index;
    }
    if (status == RUNG_OK) {
        status = read_data(o, file);
    }
    if (status == RUNG_OK) {
        status = read_levels(o, file);
    }
    if (status == RUNG_OK) {
        status = read_pools(o, file);
    }
    if (status == RUNG_OK) {
        status = rung_fields_number(o, "target_agreement", 0, 1, &file->target_agreement);
    }
    if (status == RUNG_OK) {
        status = rung_fields_integer(o, "seed", 0, MAX_ROWS, &file->seed);
    }
    return status == RUNG_OK ? read_policy(o, file->num_levels, &file->policy) : status;
}

rung_status rung_calibration_file_parse(const char *json, size_t bytes, const char *name, rung_calibration_file *file,
                                        rung_error *error)
{
    rung_error unused = {0};
    size_t bad = 0;
    error = error != NULL ? error : &unused;
    if (!rung_utf8_valid(json, bytes, &bad)) {
        return rung_fail(error, RUNG_FORMAT, "%s: not valid UTF-8 at byte %zu", name, bad);
    }
    json_t *root = rung_json_parse(json, bytes, name, error);
    if (root == NULL) {
        return error->code;
    }
    rung_fields whole = {.json = root, .file = name, .error = error};
    rung_calibration_file made = {0};
    made.path = rung_copy_text(name, strlen(name), "file name", error);
    rung_status status = made.path == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    if (status == RUNG_OK && !json_is_object(root)) {
        status = rung_fail(error, RUNG_FORMAT, "%s: is %s; it must be an object", name, rung_json_type_name(root));
    }
    if (status == RUNG_OK) {
        status = read_file(&whole, &made);
    }
    json_decref(root);
    if (status != RUNG_OK) {
        rung_calibration_file_deinit(&made);
        return status;
    }
    rung_calibration_file_deinit(file);
    *file = made;
    return RUNG_OK;
}

rung_status rung_calibration_file_load(const char *path, rung_calibration_file *file, rung_error *error)
{
    char *text = NULL;
    size_t bytes = 0;
    rung_status status = rung_read_file(path, MAX_FILE_BYTES, &text, &bytes, error);
    if (status == RUNG_OK) {
        status = rung_calibration_file_parse(text, bytes, path, file, error);
        free(text);
    }
    return status;
}
