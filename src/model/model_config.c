/* model_config.c: config.json and tokenizer_config.json. See model_config.h.
 * Source of the fields and their defaults: Hugging Face transformers, the configurations of the families in family.c and PretrainedConfig. */
#include "model/model_config.h"

#include "base/memory.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for [CLS], one token and [SEP]. */
#define MIN_TOKENS 3
#define MAX_LABEL_BYTES 256

/* Of family.c, for messages. */
#define FAMILY_NAMES "\"bert\", \"distilbert\" and \"roberta\""

/* What is being read: for messages. */
typedef struct json_source {
    const char *name;
    const json_t *root;
    const rung_family *family; /* once "model_type" is known */
} json_source;

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    }
    return "unknown";
}

static rung_status fail_type(const json_source *source, const char *field, const char *wanted, const json_t *value,
                             rung_error *error)
{
    return rung_fail(error, RUNG_FORMAT, "%s: \"%s\" must be %s, not %s", source->name, field, wanted,
                     type_name(value));
}

static rung_status parse_json(const char *text, size_t bytes, const char *name, size_t flags, json_t **root,
                              rung_error *error)
{
    json_error_t reason;
    json_t *value = json_loadb(text, bytes, flags | JSON_REJECT_DUPLICATES, &reason);
    if (value == NULL) {
        return rung_fail(error, RUNG_FORMAT, "%s: line %d, column %d: %s", name, reason.line, reason.column,
                         reason.text);
    }
    if (!json_is_object(value)) {
        json_decref(value);
        return rung_fail(error, RUNG_FORMAT, "%s: must hold a JSON object", name);
    }
    *root = value;
    return RUNG_OK;
}

/* The field's value; NULL when it is absent or null. */
static const json_t *get(const json_source *source, const char *field)
{
    const json_t *value = json_object_get(source->root, field);
    return json_is_null(value) ? NULL : value;
}

/* An integer in min..max; `fallback` when the field is absent, which is an error when fallback is 0. */
static rung_status get_size(const json_source *source, const char *field, size_t min, size_t max, size_t fallback,
                            size_t *out, rung_error *error)
{
    const json_t *value = get(source, field);
    if (value == NULL && fallback == 0) {
        return rung_fail(error, RUNG_FORMAT, "%s: \"%s\" is missing", source->name, field);
    }
    if (value == NULL) {
        *out = fallback;
        return RUNG_OK;
    }
    if (!json_is_integer(value)) {
        return fail_type(source, field, "an integer", value, error);
    }
    json_int_t number = json_integer_value(value);
    if (number < (json_int_t)min) {
        return rung_fail(error, RUNG_FORMAT, "%s: \"%s\" is %" JSON_INTEGER_FORMAT ", must be at least %zu",
                         source->name, field, number, min);
    }
    if (number > (json_int_t)max) {
        return rung_fail(error, RUNG_LIMIT, "%s: \"%s\" is %" JSON_INTEGER_FORMAT ", more than the limit of %zu",
                         source->name, field, number, max);
    }
    *out = (size_t)number;
    return RUNG_OK;
}

/* A string; `fallback` when the field is absent. */
static rung_status get_string(const json_source *source, const char *field, const char *fallback, const char **out,
                              rung_error *error)
{
    const json_t *value = get(source, field);
    if (value != NULL && !json_is_string(value)) {
        return fail_type(source, field, "a string", value, error);
    }
    *out = value != NULL ? json_string_value(value) : fallback;
    return RUNG_OK;
}

static bool is_listed(const char *text, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (strcmp(text, *list) == 0) {
            return true;
        }
    }
    return false;
}

static rung_status find_family(json_source *source, rung_error *error)
{
    static const char *const known[] = {"albert",
                                        "bart",
                                        "bert-generation",
                                        "big_bird",
                                        "camembert",
                                        "canine",
                                        "convbert",
                                        "deberta",
                                        "deberta-v2",
                                        "electra",
                                        "ernie",
                                        "esm",
                                        "eurobert",
                                        "flaubert",
                                        "fnet",
                                        "funnel",
                                        "gemma",
                                        "gemma2",
                                        "gpt2",
                                        "ibert",
                                        "layoutlm",
                                        "llama",
                                        "longformer",
                                        "megatron-bert",
                                        "mistral",
                                        "mobilebert",
                                        "modernbert",
                                        "mpnet",
                                        "nezha",
                                        "nomic_bert",
                                        "nystromformer",
                                        "opt",
                                        "phi",
                                        "qwen2",
                                        "qwen3",
                                        "rembert",
                                        "roberta-prelayernorm",
                                        "roformer",
                                        "splinter",
                                        "squeezebert",
                                        "t5",
                                        "xlm",
                                        "xlm-roberta",
                                        "xlm-roberta-xl",
                                        "xlnet",
                                        "xmod",
                                        NULL};
    const char *type = NULL;
    rung_status status = get_string(source, "model_type", NULL, &type, error);
    if (status != RUNG_OK) {
        return status;
    }
    if (type == NULL) {
        return rung_fail(error, RUNG_FORMAT, "%s: \"model_type\" is missing; rung runs " FAMILY_NAMES, source->name);
    }
    source->family = rung_family_find(type);
    if (source->family != NULL) {
        return RUNG_OK;
    }
    if (is_listed(type, known)) {
        return rung_fail(error, RUNG_UNSUPPORTED,
                         "%s: \"model_type\" is \"%s\", a family that rung cannot run yet; it runs " FAMILY_NAMES
                         ": fine-tune one of these on the same data, or choose such a model",
                         source->name, type);
    }
    return rung_fail(error, RUNG_UNSUPPORTED,
                     "%s: \"model_type\" is \"%.60s\", which rung does not know; it runs " FAMILY_NAMES, source->name,
                     type);
}

/* "architectures" says what the weights are for: *plain for an encoder without a classifier for whole texts. Without the field they are taken for
 * a classifier's. */
static rung_status parse_architectures(const json_source *source, bool *plain, rung_error *error)
{
    const rung_family *family = source->family;
    const json_t *list = get(source, "architectures");
    *plain = false;
    if (list == NULL) {
        return RUNG_OK;
    }
    if (!json_is_array(list)) {
        return fail_type(source, "architectures", "an array of strings", list, error);
    }
    const char *last = NULL;
    bool encoder = false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_string(item)) {
            return fail_type(source, "architectures", "an array of strings", item, error);
        }
        last = json_string_value(item);
        if (strcmp(last, family->classifier) == 0) {
            return RUNG_OK;
        }
        encoder = encoder || is_listed(last, family->encoders);
    }
    if (last == NULL || encoder) {
        *plain = encoder;
        return RUNG_OK;
    }
    return rung_fail(error, RUNG_UNSUPPORTED,
                     "%s: \"architectures\" is \"%.60s\", wanted \"%s\" or a plain encoder, \"%s\"", source->name, last,
                     family->classifier, family->encoders[0]);
}

/* Fields that change what the layers compute and that rung has no code for. */
static rung_status check_variants(const json_source *source, rung_error *error)
{
    const char *position = NULL;
    rung_status status = get_string(source, "position_embedding_type", "absolute", &position, error);
    if (status != RUNG_OK) {
        return status;
    }
    if (strcmp(position, "absolute") != 0) {
        return rung_fail(error, RUNG_UNSUPPORTED,
                         "%s: \"position_embedding_type\" is \"%.60s\"; rung runs \"absolute\" only", source->name,
                         position);
    }
    static const char *const decoders[] = {"is_decoder", "add_cross_attention", NULL};
    for (const char *const *field = decoders; *field != NULL; field++) {
        const json_t *value = get(source, *field);
        if (value != NULL && !json_is_boolean(value)) {
            return fail_type(source, *field, "a boolean", value, error);
        }
        if (json_is_true(value)) {
            return rung_fail(error, RUNG_UNSUPPORTED, "%s: \"%s\" is true; rung runs encoders only", source->name,
                             *field);
        }
    }
    if (json_object_size(get(source, "pruned_heads")) > 0) {
        return rung_fail(error, RUNG_UNSUPPORTED, "%s: \"pruned_heads\" is not empty; rung runs whole layers only",
                         source->name);
    }
    return RUNG_OK;
}

static rung_status parse_activation(const json_source *source, rung_model_config *config, rung_error *error)
{
    const char *field = source->family->fields.activation;
    const char *activation = NULL;
    rung_status status = get_string(source, field, "gelu", &activation, error);
    if (status != RUNG_OK) {
        return status;
    }
    if (strcmp(activation, "gelu") == 0) {
        config->activation = RUNG_EPILOGUE_GELU;
    } else if (strcmp(activation, "relu") == 0) {
        config->activation = RUNG_EPILOGUE_RELU;
    } else {
        return rung_fail(error, RUNG_UNSUPPORTED, "%s: \"%s\" is \"%.60s\"; rung runs \"gelu\" and \"relu\"",
                         source->name, field, activation);
    }
    return RUNG_OK;
}

static rung_status parse_shape(const json_source *source, rung_model_config *config, rung_error *error)
{
    const rung_family_fields *fields = &source->family->fields;
    const struct {
        const char *field;
        size_t min, max, fallback;
        size_t *out;
    } sizes[] = {
        {fields->num_layers, 1, RUNG_MAX_LAYERS, 0, &config->num_layers},
        {fields->hidden_size, 1, RUNG_MAX_HIDDEN, 0, &config->hidden_size},
        {fields->intermediate_size, 1, RUNG_MAX_INTERMEDIATE, 0, &config->intermediate_size},
        {fields->num_heads, 1, RUNG_MAX_HEADS, 0, &config->num_heads},
        {"max_position_embeddings", MIN_TOKENS, RUNG_MAX_POSITIONS, 0, &config->max_positions},
        {fields->type_vocab_size, 1, 256, 2, &config->type_vocab_size},
        {"vocab_size", 1, RUNG_MAX_VOCAB, 0, &config->vocab_size},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (sizes[i].field == NULL) {
            continue;
        }
        rung_status status =
            get_size(source, sizes[i].field, sizes[i].min, sizes[i].max, sizes[i].fallback, sizes[i].out, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    if (config->hidden_size % config->num_heads != 0) {
        return rung_fail(error, RUNG_MISMATCH, "%s: \"%s\" %zu is not a multiple of \"%s\" %zu", source->name,
                         fields->hidden_size, config->hidden_size, fields->num_heads, config->num_heads);
    }
    config->head_size = config->hidden_size / config->num_heads;
    return RUNG_OK;
}

/* What a family fixes, and where its positions begin. */
static rung_status parse_positions(const json_source *source, rung_model_config *config, rung_error *error)
{
    const rung_family *family = source->family;
    config->family = family;
    config->ignores_type_ids = family->ignores_type_ids;
    config->pooler_form = family->pooler_form;
    config->padding_id = -1;
    config->max_tokens = config->max_positions;
    if (!family->positions_follow_padding) {
        return RUNG_OK;
    }
    const json_t *value = get(source, "pad_token_id");
    json_int_t padding = value != NULL ? json_integer_value(value) : 1; /* as transformers has it */
    if (value != NULL && !json_is_integer(value)) {
        return fail_type(source, "pad_token_id", "an integer", value, error);
    }
    if (padding < 0 || (size_t)padding >= config->vocab_size ||
        config->max_positions < (size_t)padding + 1 + MIN_TOKENS) {
        return rung_fail(error, RUNG_LIMIT,
                         "%s: \"pad_token_id\" is %" JSON_INTEGER_FORMAT
                         ": positions start behind it, so that it must be at least 0, less than \"vocab_size\" %zu and "
                         "leave %d of \"max_position_embeddings\" %zu",
                         source->name, padding, config->vocab_size, MIN_TOKENS, config->max_positions);
    }
    config->padding_id = (int32_t)padding;
    config->max_tokens = config->max_positions - (size_t)padding - 1;
    return RUNG_OK;
}

static rung_status parse_layer_norm_eps(const json_source *source, rung_model_config *config, rung_error *error)
{
    const char *field = source->family->fields.layer_norm_eps;
    const json_t *value = field != NULL ? get(source, field) : NULL;
    if (value != NULL && !json_is_number(value)) {
        return fail_type(source, "layer_norm_eps", "a number", value, error);
    }
    double eps = value != NULL ? json_number_value(value) : 1e-12;
    if (!(eps >= 1e-30 && eps <= 1.0)) {
        return rung_fail(error, RUNG_LIMIT, "%s: \"layer_norm_eps\" is %g, must lie in 1e-30 to 1", source->name, eps);
    }
    config->layer_norm_eps = (float)eps;
    return RUNG_OK;
}

static rung_status parse_task(const json_source *source, rung_model_config *config, rung_error *error)
{
    const char *problem = NULL;
    rung_status status = get_string(source, "problem_type", NULL, &problem, error);
    if (status != RUNG_OK) {
        return status;
    }
    config->task = RUNG_TASK_SINGLE_LABEL;
    if (problem != NULL && strcmp(problem, "multi_label_classification") == 0) {
        config->task = RUNG_TASK_MULTI_LABEL;
    } else if (problem != NULL && strcmp(problem, "single_label_classification") != 0) {
        return rung_fail(error, RUNG_UNSUPPORTED,
                         "%s: \"problem_type\" is \"%.60s\"; rung runs \"single_label_classification\" and "
                         "\"multi_label_classification\"",
                         source->name, problem);
    }
    if (config->task == RUNG_TASK_SINGLE_LABEL && config->num_labels == 1) {
        return rung_fail(
            error, RUNG_UNSUPPORTED,
            "%s: one label without \"problem_type\" \"multi_label_classification\" means regression, which rung "
            "does not run",
            source->name);
    }
    return RUNG_OK;
}

/* Sets num_labels from id2label, else from num_labels, else 2 as transformers does; 0 for a plain encoder, whatever else is stated. */
static rung_status parse_num_labels(const json_source *source, rung_model_config *config, rung_error *error)
{
    const json_t *id2label = get(source, "id2label");
    bool plain = false;
    rung_status status = parse_architectures(source, &plain, error);
    if (status != RUNG_OK || plain) {
        config->num_labels = 0;
        return status;
    }
    if (id2label == NULL) {
        config->labels_assumed =
            get(source, "num_labels") == NULL && json_array_size(get(source, "architectures")) == 0;
        return get_size(source, "num_labels", 1, RUNG_MAX_LABELS, 2, &config->num_labels, error);
    }
    if (!json_is_object(id2label)) {
        return fail_type(source, "id2label", "an object", id2label, error);
    }
    size_t count = json_object_size(id2label);
    if (count == 0) {
        return rung_fail(error, RUNG_FORMAT, "%s: \"id2label\" is empty", source->name);
    }
    if (count > RUNG_MAX_LABELS) {
        return rung_fail(error, RUNG_LIMIT, "%s: \"id2label\" has %zu labels, more than the limit of %d", source->name,
                         count, RUNG_MAX_LABELS);
    }
    size_t stated;
    status = get_size(source, "num_labels", 1, RUNG_MAX_LABELS, count, &stated, error);
    if (status == RUNG_OK && stated != count) {
        return rung_fail(error, RUNG_MISMATCH, "%s: \"num_labels\" is %zu, but \"id2label\" has %zu labels",
                         source->name, stated, count);
    }
    config->num_labels = count;
    return status;
}

static rung_status copy_label(const json_source *source, size_t id, char **label, rung_error *error)
{
    char key[32];
    snprintf(key, sizeof key, "%zu", id);
    const json_t *id2label = get(source, "id2label");
    if (id2label == NULL) {
        char name[40];
        snprintf(name, sizeof name, "LABEL_%zu", id);
        *label = rung_copy_text(name, strlen(name), "label", error);
        return *label != NULL ? RUNG_OK : RUNG_NO_MEMORY;
    }
    const json_t *value = json_object_get(id2label, key);
    if (value == NULL) {
        return rung_fail(error, RUNG_FORMAT,
                         "%s: \"id2label\" has %zu labels but none for \"%s\": its keys must be 0 to %zu", source->name,
                         json_object_size(id2label), key, json_object_size(id2label) - 1);
    }
    if (!json_is_string(value)) {
        return rung_fail(error, RUNG_FORMAT, "%s: \"id2label\": label %s must be a string, not %s", source->name, key,
                         type_name(value));
    }
    size_t bytes = json_string_length(value);
    if (bytes == 0 || bytes > MAX_LABEL_BYTES) {
        return rung_fail(error, RUNG_LIMIT, "%s: \"id2label\": label %s has %zu bytes, must have 1 to %d", source->name,
                         key, bytes, MAX_LABEL_BYTES);
    }
    *label = rung_copy_text(json_string_value(value), bytes, "label", error);
    return *label != NULL ? RUNG_OK : RUNG_NO_MEMORY;
}

static int compare_labels(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Labels are compared by name between levels, so that each name may stand for one id only. */
static rung_status check_unique(const json_source *source, char *const *labels, size_t count, rung_error *error)
{
    const char **sorted = rung_alloc(count, sizeof *sorted, "labels", error);
    if (sorted == NULL) {
        return RUNG_NO_MEMORY;
    }
    memcpy(sorted, labels, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_labels);
    rung_status status = RUNG_OK;
    for (size_t i = 1; i < count && status == RUNG_OK; i++) {
        if (strcmp(sorted[i - 1], sorted[i]) == 0) {
            status = rung_fail(error, RUNG_FORMAT, "%s: \"id2label\": label \"%s\" stands for two ids", source->name,
                               sorted[i]);
        }
    }
    free(sorted);
    return status;
}

static rung_status parse_labels(const json_source *source, size_t count, char ***out, rung_error *error)
{
    char **labels = rung_alloc(count, sizeof *labels, "labels", error);
    if (labels == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = RUNG_OK;
    for (size_t i = 0; i < count && status == RUNG_OK; i++) {
        status = copy_label(source, i, &labels[i], error);
    }
    if (status == RUNG_OK) {
        status = check_unique(source, labels, count, error);
    }
    if (status != RUNG_OK) {
        rung_labels_free(labels, count);
        return status;
    }
    *out = labels;
    return RUNG_OK;
}

typedef rung_status (*config_parser)(const json_source *source, rung_model_config *config, rung_error *error);

rung_status rung_model_config_parse(const char *text, size_t bytes, const char *name, rung_model_config *config,
                                    char ***labels, rung_error *error)
{
    json_t *root;
    rung_status status = parse_json(text, bytes, name, 0, &root, error);
    if (status != RUNG_OK) {
        return status;
    }
    json_source source = {.name = name, .root = root};
    rung_model_config parsed = {0};
    static const config_parser parsers[] = {parse_shape,          parse_positions,  parse_activation,
                                            parse_layer_norm_eps, parse_num_labels, parse_task};
    status = find_family(&source, error);
    if (status == RUNG_OK) {
        status = check_variants(&source, error);
    }
    for (size_t i = 0; i < sizeof parsers / sizeof parsers[0] && status == RUNG_OK; i++) {
        status = parsers[i](&source, &parsed, error);
    }
    if (status == RUNG_OK && parsed.num_labels > 0) {
        status = parse_labels(&source, parsed.num_labels, labels, error);
    }
    if (status == RUNG_OK) {
        *config = parsed;
    }
    json_decref(root);
    return status;
}

void rung_labels_free(char **labels, size_t count)
{
    for (size_t i = 0; labels != NULL && i < count; i++) {
        free(labels[i]);
    }
    free(labels);
}

rung_status rung_tokenizer_config_parse(const char *text, size_t bytes, const char *name, size_t *model_max_length,
                                        rung_error *error)
{
    /* Integers as reals: 1000000000000000019884624838656 fits in no integer. */
    json_t *root;
    rung_status status = parse_json(text, bytes, name, JSON_DECODE_INT_AS_REAL, &root, error);
    if (status != RUNG_OK) {
        return status;
    }
    json_source source = {.name = name, .root = root};
    const json_t *value = get(&source, "model_max_length");
    double length = json_number_value(value);
    if (value == NULL) {
        *model_max_length = SIZE_MAX;
    } else if (!json_is_number(value) || floor(length) != length) {
        status = fail_type(&source, "model_max_length", "an integer", value, error);
    } else if (length < MIN_TOKENS) {
        status = rung_fail(error, RUNG_FORMAT, "%s: \"model_max_length\" is %.0f, must be at least %d", name, length,
                           MIN_TOKENS);
    } else {
        *model_max_length = length < 1e9 ? (size_t)length : SIZE_MAX;
    }
    json_decref(root);
    return status;
}

rung_status rung_json_minify(const char *text, size_t bytes, const char *name, bool sorted, const char *const *dropped,
                             char **minified, rung_error *error)
{
    json_t *root;
    rung_status status = parse_json(text, bytes, name, 0, &root, error);
    if (status != RUNG_OK) {
        return status;
    }
    for (; dropped != NULL && *dropped != NULL; dropped++) {
        json_object_del(root, *dropped);
    }
    char *result = json_dumps(root, JSON_COMPACT | (sorted ? JSON_SORT_KEYS : 0));
    json_decref(root);
    if (result == NULL) {
        return rung_fail_memory(error, name, bytes);
    }
    *minified = result;
    return RUNG_OK;
}
