/* heads.c: exit heads for frozen encoders. See heads.h. */
#include "fit/heads.h"

#include "base/memory.h"
#include "base/parallel.h"
#include "fit/logistic.h"
#include "fit/record.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SPLIT_SEED 3

void rung_task_heads_deinit(rung_task_heads *heads)
{
    for (uint32_t l = 0; l < heads->num_levels; l++) {
        free(heads->level[l].heads);
        free(heads->level[l].memory);
    }
    *heads = (rung_task_heads){0};
}

/* How many layers of the level, from the first, get a head. */
static size_t layers_wanted(const rung_cascade_level *level, bool early)
{
    if (level->model == NULL) {
        return 0; /* another server has it */
    }
    size_t layers = level->model->config.num_layers;
    if (level->has_task_labels) {
        return layers;
    }
    for (size_t l = 0; l + 1 < layers; l++) {
        early = early && !rung_model_has_exit(level->model, l);
    }
    return early ? layers - 1 : 0;
}

bool rung_heads_wanted(const rung_cascade *cascade, bool early)
{
    bool any = false;
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        any = any || layers_wanted(&cascade->level[l], early) > 0;
    }
    return any;
}

typedef struct draw {
    uint64_t hash;
    size_t row;
} draw;

static int compare_draws(const void *a, const void *b)
{
    const draw *first = a;
    const draw *second = b;
    if (first->hash != second->hash) {
        return first->hash < second->hash ? -1 : 1;
    }
    return first->row < second->row ? -1 : first->row > second->row;
}

/* Marks, of every RUNG_HEADS_SHARE rows of a label in the order of their hashes, the last. counts [num_classes] of rows. */
static void mark_rest(const rung_dataset *data, draw *draws, bool *is_rest, size_t *counts)
{
    for (size_t i = 0; i < data->count; i++) {
        uint64_t position = i;
        draws[i] = (draw){.hash = rung_xxh64(&position, sizeof position, SPLIT_SEED), .row = i};
    }
    qsort(draws, data->count, sizeof *draws, compare_draws);
    for (size_t i = 0; i < data->count; i++) {
        size_t row = draws[i].row;
        is_rest[row] = ++counts[data->labels[row]] % RUNG_HEADS_SHARE == 0;
    }
}

static rung_status take_parts(const rung_dataset *data, const bool *is_rest, rung_dataset *learn, rung_dataset *rest,
                              rung_error *error)
{
    size_t *rows = rung_alloc(data->count, sizeof *rows, "rows", error);
    if (rows == NULL) {
        return RUNG_NO_MEMORY;
    }
    size_t num_learn = 0;
    size_t behind = data->count;
    for (size_t i = 0; i < data->count; i++) {
        if (!is_rest[i]) {
            rows[num_learn++] = i;
        }
    }
    for (size_t i = data->count; i-- > 0;) {
        if (is_rest[i]) {
            rows[--behind] = i;
        }
    }
    rung_dataset made = {0};
    rung_status status = rung_dataset_take(data, rows, num_learn, &made, error);
    if (status == RUNG_OK) {
        status = rung_dataset_take(data, rows + behind, data->count - behind, rest, error);
        if (status == RUNG_OK) {
            *learn = made;
        } else {
            rung_dataset_deinit(&made);
        }
    }
    free(rows);
    return status;
}

rung_status rung_heads_split(const rung_cascade *cascade, const rung_dataset *data, rung_dataset *learn,
                             rung_dataset *rest, rung_error *error)
{
    if (data->count < RUNG_HEADS_MIN_ROWS) {
        return rung_fail(error, RUNG_INVALID,
                         "%zu rows to fit heads on and what comes after them; at least %d are needed", data->count,
                         RUNG_HEADS_MIN_ROWS);
    }
    draw *draws = rung_alloc(data->count, sizeof *draws, "rows", error);
    bool *is_rest = rung_alloc(data->count, sizeof *is_rest, "rows", error);
    size_t *counts = rung_alloc(cascade->num_classes, sizeof *counts, "labels", error);
    rung_status status = draws == NULL || is_rest == NULL || counts == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    if (status == RUNG_OK) {
        mark_rest(data, draws, is_rest, counts);
        size_t usable = 0;
        for (uint32_t c = 0; c < cascade->num_classes; c++) {
            usable += counts[c] >= RUNG_HEADS_SHARE;
        }
        if (usable < 2) {
            status =
                rung_fail(error, RUNG_INVALID, "%zu labels have %d rows or more; a fit of heads needs 2 such labels",
                          usable, RUNG_HEADS_SHARE);
        }
    }
    if (status == RUNG_OK) {
        status = take_parts(data, is_rest, learn, rest, error);
    }
    free(draws);
    free(is_rest);
    free(counts);
    return status;
}

/* The heads of one level, layer by layer, shared by the threads. */
typedef struct level_fit {
    const rung_cascade_level *level;
    const float *states; /* [n, layers of the model, hidden] */
    const uint32_t *labels;
    size_t n;
    size_t num_classes;
    size_t num_layers; /* to fit */
    rung_level_heads *out;
    atomic_size_t next;
    rung_status *status; /* [num_layers]; each slot belongs to the thread that took it */
    rung_error *error;   /* [num_layers] */
} level_fit;

static rung_status fit_layer(const level_fit *shared, size_t layer, rung_error *error)
{
    size_t hidden = shared->out->hidden_size;
    size_t head_floats = shared->num_classes * (hidden + 1);
    float *weight = shared->out->memory + layer * head_floats;
    float *bias = weight + shared->num_classes * hidden;
    rung_logistic_data data = {.features = shared->states + layer * hidden,
                               .stride = shared->level->model->config.num_layers * hidden,
                               .labels = shared->labels,
                               .n = shared->n,
                               .num_features = hidden,
                               .num_classes = shared->num_classes};
    rung_logistic_fit fit;
    rung_status status = rung_fit_logistic(&data, 1, weight, bias, &fit, error);
    if (status == RUNG_OK) {
        shared->out->heads[layer] = (rung_exit_head){.weight = weight, .bias = bias};
        return RUNG_OK;
    }
    return rung_fail_in(error, "%s, exit %zu", shared->level->model->path, layer + 1);
}

/* Works of rung_parallel. */
static void fit_layers(void *context, size_t worker)
{
    level_fit *shared = context;
    (void)worker;
    for (;;) {
        size_t layer = atomic_fetch_add(&shared->next, 1);
        if (layer >= shared->num_layers) {
            return;
        }
        shared->status[layer] = fit_layer(shared, layer, &shared->error[layer]);
    }
}

static rung_status fit_all_layers(level_fit *shared, size_t threads, rung_error *error)
{
    shared->status = rung_alloc(shared->num_layers, sizeof *shared->status, "exits", error);
    shared->error = rung_alloc(shared->num_layers, sizeof *shared->error, "exits", error);
    rung_status status = shared->status == NULL || shared->error == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    if (status == RUNG_OK) {
        rung_parallel(threads < shared->num_layers ? threads : shared->num_layers, fit_layers, shared);
    }
    for (size_t l = 0; status == RUNG_OK && l < shared->num_layers; l++) {
        if (shared->status[l] != RUNG_OK) {
            status = rung_fail(error, shared->status[l], "%s", shared->error[l].message);
        }
    }
    free(shared->status);
    free(shared->error);
    return status;
}

/* Rows whose states fit into memory, evenly spread. */
static rung_status thin(const rung_dataset *learn, size_t row_bytes, rung_dataset *out, rung_error *error)
{
    assert(row_bytes > 0);
    size_t most = RUNG_HEADS_MAX_STATE_BYTES / row_bytes;
    size_t count = learn->count < most ? learn->count : most;
    size_t *rows = rung_alloc(count, sizeof *rows, "rows", error);
    if (rows == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        rows[i] = (size_t)((double)i * (double)learn->count / (double)count);
    }
    rung_status status = rung_dataset_take(learn, rows, count, out, error);
    free(rows);
    return status;
}

static rung_status make_room(rung_level_heads *out, const rung_model *model, size_t wanted, size_t classes,
                             rung_error *error)
{
    out->num_layers = model->config.num_layers;
    out->hidden_size = model->config.hidden_size;
    out->heads = rung_alloc(out->num_layers, sizeof *out->heads, "exit heads", error);
    out->memory = rung_alloc(wanted * classes * (out->hidden_size + 1), sizeof *out->memory, "exit heads", error);
    return out->heads == NULL || out->memory == NULL ? RUNG_NO_MEMORY : RUNG_OK;
}

/* Gives the heads to the model, class by class in its own order. */
static rung_status set_heads(const rung_cascade_level *level, const rung_level_heads *fitted, size_t classes,
                             rung_error *error)
{
    size_t hidden = fitted->hidden_size;
    float *memory = rung_alloc(fitted->num_layers * classes * (hidden + 1), sizeof *memory, "exit heads", error);
    rung_exit_head *heads = rung_alloc(fitted->num_layers, sizeof *heads, "exit heads", error);
    rung_status status = memory == NULL || heads == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (size_t l = 0; status == RUNG_OK && l < fitted->num_layers; l++) {
        if (fitted->heads[l].weight == NULL) {
            continue;
        }
        float *weight = memory + l * classes * (hidden + 1);
        float *bias = weight + classes * hidden;
        for (size_t c = 0; c < classes; c++) {
            size_t from = level->class_of[c];
            memcpy(weight + c * hidden, fitted->heads[l].weight + from * hidden, hidden * sizeof *weight);
            bias[c] = fitted->heads[l].bias[from];
        }
        heads[l] = (rung_exit_head){.weight = weight, .bias = bias};
    }
    if (status == RUNG_OK) {
        status = rung_model_set_heads(level->model, NULL, classes, heads, error);
    }
    free(memory);
    free(heads);
    return status;
}

static rung_status fit_level(rung_cascade *cascade, uint32_t number, size_t wanted, const rung_dataset *learn,
                             const rung_progress *progress, rung_level_heads *out, rung_error *error)
{
    const rung_cascade_level *level = &cascade->level[number - 1];
    const rung_model_config *config = &level->model->config;
    size_t row_floats = config->num_layers * config->hidden_size;
    rung_dataset rows = {0};
    float *states = NULL;
    rung_status status = make_room(out, level->model, wanted, cascade->num_classes, error);
    if (status == RUNG_OK) {
        status = thin(learn, row_floats * sizeof *states, &rows, error);
    }
    if (status == RUNG_OK) {
        states = rung_alloc(rows.count * row_floats, sizeof *states, "states", error);
        status = states != NULL ? RUNG_OK : RUNG_NO_MEMORY;
    }
    if (status == RUNG_OK) {
        status = rung_fit_record_states(cascade, number, rows.inputs, rows.count, progress, NULL, states, error);
    }
    if (status == RUNG_OK) {
        level_fit shared = {.level = level,
                            .states = states,
                            .labels = rows.labels,
                            .n = rows.count,
                            .num_classes = cascade->num_classes,
                            .num_layers = wanted,
                            .out = out};
        status = fit_all_layers(&shared, cascade->threads, error);
    }
    free(states);
    rung_dataset_deinit(&rows);
    return status == RUNG_OK ? set_heads(level, out, cascade->num_classes, error) : status;
}

rung_status rung_fit_heads(rung_cascade *cascade, bool early, const rung_dataset *learn, const rung_progress *progress,
                           rung_task_heads *heads, rung_error *error)
{
    rung_task_heads made = {.num_levels = cascade->num_levels, .num_classes = cascade->num_classes};
    rung_status status = RUNG_OK;
    for (uint32_t number = 1; status == RUNG_OK && number <= cascade->num_levels; number++) {
        size_t wanted = layers_wanted(&cascade->level[number - 1], early);
        if (wanted > 0) {
            status = fit_level(cascade, number, wanted, learn, progress, &made.level[number - 1], error);
        }
    }
    if (status != RUNG_OK) {
        rung_task_heads_deinit(&made);
        return status;
    }
    *heads = made;
    return RUNG_OK;
}

static rung_status store_head(const rung_exit_head *head, size_t classes, size_t hidden, rung_calibration_exit *exit,
                              rung_error *error)
{
    exit->head_weight = rung_alloc(classes * hidden, sizeof *exit->head_weight, "exit head", error);
    exit->head_bias = rung_alloc(classes, sizeof *exit->head_bias, "exit head", error);
    if (exit->head_weight == NULL || exit->head_bias == NULL) {
        return RUNG_NO_MEMORY; /* the file frees what it has */
    }
    memcpy(exit->head_weight, head->weight, classes * hidden * sizeof *exit->head_weight);
    memcpy(exit->head_bias, head->bias, classes * sizeof *exit->head_bias);
    return RUNG_OK;
}

rung_status rung_task_heads_store(const rung_task_heads *heads, rung_calibration_file *file, rung_error *error)
{
    for (uint32_t l = 0; l < heads->num_levels; l++) {
        const rung_level_heads *level = &heads->level[l];
        for (size_t e = 0; level->heads != NULL && e < file->levels[l].num_exits; e++) {
            rung_calibration_exit *exit = &file->levels[l].exits[e];
            const rung_exit_head *head = &level->heads[exit->layer - 1];
            rung_status status =
                head->weight != NULL ? store_head(head, heads->num_classes, level->hidden_size, exit, error) : RUNG_OK;
            if (status != RUNG_OK) {
                return status;
            }
        }
    }
    return RUNG_OK;
}
