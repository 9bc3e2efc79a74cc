/* exit_table.c: rows in blocks that are made when the first of their rows is asked for. A row is filled once, under the table's lock, and read without it. See
 * exit_table.h. */
#include "replay/exit_table.h"

#include "base/memory.h"
#include "cascade/confidence.h"
#include "cascade/deferral.h"
#include "run/message_length.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_ROWS 128

/* Rows of entries that follow one another; arrays are in the same memory. */
typedef struct block {
    atomic_bool filled[BLOCK_ROWS];
    rung_exit_said *said;  /* [BLOCK_ROWS, num_layers] */
    double *probabilities; /* [BLOCK_ROWS, num_layers, RUNG_EXIT_KINDS, num_classes] */
    float *deferral;       /* [BLOCK_ROWS, num_layers]; NULL: not learned */
} block;

struct rung_exit_table {
    rung_exit_source source;
    rung_level_calibration calibration; /* temperature, shape and deferral are copies */
    bool learned;
    double *numbers; /* temperature and shape */
    rung_deferral *deferral;
    float *weights;           /* of deferral */
    pthread_mutex_t lock;     /* of logits, and for who makes blocks and rows */
    float *logits;            /* [num_classes] in the cascade's order */
    _Atomic(block *) *blocks; /* [num_blocks] by entry / BLOCK_ROWS; NULL: none of its rows was asked for */
    size_t num_blocks;
};

static rung_status copy_calibration(rung_exit_table *table, const rung_level_calibration *from, rung_error *error)
{
    size_t exits = from->num_exits;
    table->numbers = rung_alloc(2 * exits, sizeof(double), "replay", error);
    if (table->numbers == NULL) {
        return RUNG_NO_MEMORY;
    }
    memcpy(table->numbers, from->temperature, exits * sizeof(double));
    table->calibration = (rung_level_calibration){
        .num_exits = from->num_exits, .temperature = table->numbers, .multi_label = from->multi_label};
    if (from->shape != NULL) {
        memcpy(table->numbers + exits, from->shape, exits * sizeof(double));
        table->calibration.shape = table->numbers + exits;
    }
    return RUNG_OK;
}

static size_t num_weights(const rung_deferral *deferral)
{
    return deferral->hidden_size > 0 ? deferral->hidden_size + RUNG_DEFERRAL_SCORES : 0;
}

static rung_status copy_deferral(rung_exit_table *table, const rung_level_calibration *from, rung_error *error)
{
    size_t total = 0;
    for (size_t e = 0; e < from->num_exits; e++) {
        total += num_weights(&from->deferral[e]);
    }
    table->deferral = rung_alloc(from->num_exits, sizeof *table->deferral, "replay", error);
    table->weights = rung_alloc(total, sizeof *table->weights, "replay", error);
    if (table->deferral == NULL || table->weights == NULL) {
        return RUNG_NO_MEMORY;
    }
    float *at = table->weights;
    for (size_t e = 0; e < from->num_exits; e++) {
        size_t count = num_weights(&from->deferral[e]);
        table->deferral[e] = from->deferral[e];
        table->deferral[e].weight = at;
        if (count > 0) {
            memcpy(at, from->deferral[e].weight, count * sizeof *at);
        }
        at += count;
    }
    table->calibration.deferral = table->deferral;
    return RUNG_OK;
}

rung_status rung_exit_table_create(const rung_exit_source *source, const rung_level_calibration *calibration,
                                   bool learned, rung_exit_table **table, rung_error *error)
{
    rung_exit_table *made = rung_alloc(1, sizeof *made, "replay", error);
    if (made == NULL) {
        return RUNG_NO_MEMORY;
    }
    assert(calibration->num_exits == source->num_layers);
    made->source = *source;
    made->learned = learned;
    pthread_mutex_init(&made->lock, NULL);
    made->logits = rung_alloc(source->num_classes, sizeof *made->logits, "replay", error);
    rung_status status = made->logits != NULL ? copy_calibration(made, calibration, error) : RUNG_NO_MEMORY;
    if (status == RUNG_OK && learned && calibration->deferral != NULL) {
        status = copy_deferral(made, calibration, error);
    }
    if (status != RUNG_OK) {
        rung_exit_table_free(made);
        return status;
    }
    *table = made;
    return RUNG_OK;
}

void rung_exit_table_free(rung_exit_table *table)
{
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < table->num_blocks; i++) {
        free(atomic_load(&table->blocks[i]));
    }
    pthread_mutex_destroy(&table->lock);
    free(table->blocks);
    free(table->logits);
    free(table->numbers);
    free(table->deferral);
    free(table->weights);
    free(table);
}

static bool same_numbers(const double *a, const double *b, size_t count)
{
    return a == NULL || b == NULL ? a == b : memcmp(a, b, count * sizeof *a) == 0;
}

static bool same_deferral(const rung_deferral *a, const rung_deferral *b, size_t count)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    for (size_t e = 0; e < count; e++) {
        size_t weights = num_weights(&a[e]);
        if (a[e].hidden_size != b[e].hidden_size ||
            (weights > 0 &&
             (a[e].bias != b[e].bias || memcmp(a[e].weight, b[e].weight, weights * sizeof(float)) != 0))) {
            return false;
        }
    }
    return true;
}

bool rung_exit_table_matches(const rung_exit_table *table, const rung_level_calibration *calibration, bool learned)
{
    const rung_level_calibration *own = &table->calibration;
    size_t exits = own->num_exits;
    return exits == calibration->num_exits && own->multi_label == calibration->multi_label &&
           same_numbers(own->temperature, calibration->temperature, exits) &&
           same_numbers(own->shape, calibration->shape, exits) &&
           (!learned || (table->learned && same_deferral(own->deferral, calibration->deferral, exits)));
}

rung_status rung_exit_table_reserve(rung_exit_table *table, rung_error *error)
{
    size_t needed = (rung_store_count(table->source.store) + BLOCK_ROWS - 1) / BLOCK_ROWS;
    if (needed <= table->num_blocks) {
        return RUNG_OK;
    }
    size_t most = 2 * table->num_blocks > needed ? 2 * table->num_blocks : needed;
    _Atomic(block *) *blocks = rung_alloc(most, sizeof *blocks, "replay", error);
    if (blocks == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < most; i++) {
        atomic_init(&blocks[i], i < table->num_blocks ? atomic_load(&table->blocks[i]) : NULL);
    }
    free(table->blocks);
    table->blocks = blocks;
    table->num_blocks = most;
    return RUNG_OK;
}

static block *make_block(const rung_exit_table *table)
{
    size_t exits = BLOCK_ROWS * (size_t)table->source.num_layers;
    size_t said = exits * sizeof(rung_exit_said);
    size_t probabilities = exits * RUNG_EXIT_KINDS * table->source.num_classes * sizeof(double);
    size_t deferral = table->learned ? exits * sizeof(float) : 0;
    size_t head = (sizeof(block) + RUNG_ALIGNMENT - 1) / RUNG_ALIGNMENT * RUNG_ALIGNMENT;
    uint8_t *memory = rung_alloc_aligned(head + said + probabilities + deferral, 1, "replay", NULL);
    if (memory == NULL) {
        return NULL;
    }
    void *parts[] = {memory, memory + head, memory + head + said, memory + head + said + probabilities};
    block *made = parts[0];
    made->said = parts[1];
    made->probabilities = parts[2];
    made->deferral = table->learned ? parts[3] : NULL;
    return made;
}

/* 1 - q, or the exit's own confidence where nothing was learned (src/run/visit.c does the same). */
static float deferral_of(const rung_exit_table *table, const rung_record_entry *entry, uint32_t layer,
                         const double *calibrated, double confidence)
{
    const rung_deferral *learned = table->deferral != NULL ? &table->deferral[layer - 1] : NULL;
    if (learned == NULL || learned->hidden_size == 0 || entry->states == NULL) {
        return (float)confidence;
    }
    float scores[RUNG_DEFERRAL_SCORES];
    rung_deferral_scores(calibrated, table->source.num_classes, entry->num_tokens, scores);
    return (float)rung_deferral_confidence(learned, entry->states + (size_t)(layer - 1) * entry->hidden_size, scores);
}

/* One exit; previous: of either kind the probabilities of the exit before, NULL: none. They become this exit's. */
static void fill_exit(rung_exit_table *table, const rung_record_entry *entry, uint32_t layer, const block *in,
                      size_t row, const double *previous[RUNG_EXIT_KINDS])
{
    const rung_exit_source *source = &table->source;
    uint32_t n = source->num_classes;
    size_t at = row * source->num_layers + layer - 1;
    rung_exit_said *said = &in->said[at];
    double *probabilities = in->probabilities + at * RUNG_EXIT_KINDS * n;
    for (uint32_t c = 0; c < n; c++) {
        table->logits[source->class_of[c]] = entry->logits[(size_t)(layer - 1) * n + c];
    }
    if (!rung_logits_usable(table->logits, n)) {
        previous[RUNG_EXIT_RAW] = NULL;
        previous[RUNG_EXIT_CALIBRATED] = NULL;
        return; /* zeros: measures that are not usable */
    }
    double *calibrated = probabilities + (size_t)RUNG_EXIT_CALIBRATED * n;
    rung_raw_probabilities(&table->calibration, table->logits, n, probabilities);
    rung_calibrated_probabilities(&table->calibration, layer, table->logits, n, calibrated);
    for (size_t kind = 0; kind < RUNG_EXIT_KINDS; kind++) {
        const double *own = probabilities + kind * n;
        said->measures[kind] = rung_exit_measure(own, previous[kind], n, table->calibration.multi_label);
        previous[kind] = own;
    }
    double confidence = said->measures[RUNG_EXIT_CALIBRATED].confidence;
    for (size_t kind = 0; kind < RUNG_EXIT_KINDS; kind++) {
        said->finding_length[kind] = (uint32_t)rung_finding_length(confidence, probabilities + kind * n, n);
    }
    if (in->deferral != NULL) {
        in->deferral[at] = deferral_of(table, entry, layer, calibrated, confidence);
    }
}

static void fill_row(rung_exit_table *table, size_t entry, const block *in, size_t row)
{
    const rung_exit_source *source = &table->source;
    const double *previous[RUNG_EXIT_KINDS] = {NULL, NULL};
    rung_record_entry record;
    rung_store_get(source->store, entry, &record);
    assert(record.num_layers == source->num_layers && record.num_classes == source->num_classes);
    for (uint32_t layer = 1; layer <= source->num_layers; layer++) {
        if ((source->exits >> (layer - 1) & 1) != 0) {
            fill_exit(table, &record, layer, in, row, previous);
        }
    }
}

/* What was not there yet. NULL: no memory. */
static const block *fill(rung_exit_table *table, size_t entry)
{
    size_t row = entry % BLOCK_ROWS;
    pthread_mutex_lock(&table->lock);
    block *in = atomic_load(&table->blocks[entry / BLOCK_ROWS]);
    if (in == NULL) {
        in = make_block(table);
        atomic_store(&table->blocks[entry / BLOCK_ROWS], in);
    }
    if (in != NULL && !atomic_load(&in->filled[row])) {
        fill_row(table, entry, in, row);
        atomic_store(&in->filled[row], true);
    }
    pthread_mutex_unlock(&table->lock);
    return in;
}

bool rung_exit_table_get(rung_exit_table *table, size_t entry, rung_exit_row *row)
{
    const rung_exit_source *source = &table->source;
    size_t within = entry % BLOCK_ROWS;
    assert(entry / BLOCK_ROWS < table->num_blocks);
    const block *in = atomic_load_explicit(&table->blocks[entry / BLOCK_ROWS], memory_order_acquire);
    if (in == NULL || !atomic_load_explicit(&in->filled[within], memory_order_acquire)) {
        in = fill(table, entry);
        if (in == NULL) {
            return false;
        }
    }
    size_t first = within * source->num_layers;
    row->said = in->said + first;
    row->probabilities = in->probabilities + first * RUNG_EXIT_KINDS * source->num_classes;
    row->deferral = in->deferral != NULL ? in->deferral + first : NULL;
    return true;
}
