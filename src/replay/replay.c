/* replay.c: policies over a data set. See replay.h. */
#include "replay/replay.h"

#include "base/memory.h"
#include "base/parallel.h"
#include "run/visit.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 256 /* requests that a thread walks at a time */
#define TABLES 4  /* of a level, for as many calibrations in turn */

struct rung_replay {
    rung_recorder recorder;
    size_t count;
    const rung_timing *timing;
    rung_tape *tapes;
    uint64_t *keys; /* [count] of keys_seed */
    uint64_t keys_seed;
    bool has_keys;
    rung_exit_table *tables[RUNG_TAPE_LIMIT_LEVELS][TABLES]; /* the one used last first; NULL: none */
};

static rung_status check(const rung_cascade *cascade, const rung_timing *timing, rung_error *error)
{
    if (cascade->num_levels > RUNG_TAPE_LIMIT_LEVELS) {
        return rung_fail(error, RUNG_LIMIT, "a replay of %u levels; the limit is %d", cascade->num_levels,
                         RUNG_TAPE_LIMIT_LEVELS);
    }
    if (cascade->config.long_text == RUNG_LONG_TEXT_WINDOWS) {
        return rung_fail(error, RUNG_UNSUPPORTED,
                         "long_text windows: a replay reads as much of a text as a model does at once; use truncate");
    }
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        size_t layers = cascade->level[l].model->config.num_layers;
        if (timing->num_levels != cascade->num_levels || timing->level[l].num_layers != layers) {
            return rung_fail(error, RUNG_MISMATCH,
                             "the profile has %u levels and %u layers at level %u, the cascade %u and %zu",
                             timing->num_levels, timing->level[l].num_layers, l + 1, cascade->num_levels, layers);
        }
    }
    return RUNG_OK;
}

rung_status rung_replay_create(const rung_cascade *cascade, rung_store *store, const rung_input *inputs, size_t count,
                               const rung_timing *timing, rung_replay **replay, rung_error *error)
{
    rung_status status = check(cascade, timing, error);
    if (status != RUNG_OK) {
        return status;
    }
    rung_replay *made = rung_alloc(1, sizeof *made, "replay", error);
    uint64_t *keys = rung_alloc(count, sizeof *keys, "replay", error);
    if (made == NULL || keys == NULL) {
        free(made);
        free(keys);
        return RUNG_NO_MEMORY;
    }
    *made = (rung_replay){.recorder = {.cascade = cascade, .store = store, .inputs = inputs},
                          .count = count,
                          .timing = timing,
                          .keys = keys};
    rung_recorder_identify(&made->recorder);
    *replay = made;
    return RUNG_OK;
}

void rung_replay_free(rung_replay *replay)
{
    if (replay == NULL) {
        return;
    }
    while (replay->tapes != NULL) {
        rung_tape *next = replay->tapes->next;
        free(replay->tapes->cells);
        free(replay->tapes);
        replay->tapes = next;
    }
    for (uint32_t l = 0; l < RUNG_TAPE_LIMIT_LEVELS; l++) {
        for (size_t t = 0; t < TABLES; t++) {
            rung_exit_table_free(replay->tables[l][t]);
        }
    }
    free(replay->keys);
    free(replay);
}

size_t rung_replay_computed(const rung_replay *replay)
{
    return replay->recorder.computed;
}

/* The tape of a policy's reading, made when it is new. */
static rung_status find_tape(rung_replay *replay, const rung_policy *policy, rung_tape **tape, rung_error *error)
{
    rung_reading reading = rung_reading_of(policy);
    for (rung_tape *at = replay->tapes; at != NULL; at = at->next) {
        if (rung_reading_equal(&at->reading, &reading)) {
            *tape = at;
            return RUNG_OK;
        }
    }
    uint32_t num_cells = UINT32_C(1) << replay->recorder.cascade->num_levels;
    rung_tape *made = rung_alloc(1, sizeof *made, "tape", error);
    rung_cell *cells = rung_alloc(replay->count, num_cells * sizeof *cells, "tape", error);
    if (made == NULL || cells == NULL) {
        free(made);
        free(cells);
        return RUNG_NO_MEMORY;
    }
    *made = (rung_tape){.reading = reading, .num_cells = num_cells, .cells = cells, .next = replay->tapes};
    replay->tapes = made;
    *tape = made;
    return RUNG_OK;
}

static void make_keys(rung_replay *replay, uint64_t seed)
{
    if (replay->has_keys && replay->keys_seed == seed) {
        return;
    }
    for (size_t i = 0; i < replay->count; i++) {
        replay->keys[i] = rung_input_key(seed, &replay->recorder.inputs[i], i);
    }
    replay->keys_seed = seed;
    replay->has_keys = true;
}

/* One pass over requests, shared by its threads. */
typedef struct pass {
    const rung_replay *replay;
    rung_walk_place place;
    const size_t *rows;
    const size_t *positions; /* [num] in rows and outcomes; NULL: all in order */
    size_t num;
    rung_outcome *outcomes;
    uint32_t *missing; /* [num] cell that a request wants; 0: it is done */
    atomic_size_t next;
    atomic_int status;
} pass;

static void walk_some(void *context, size_t index)
{
    (void)index;
    pass *shared = context;
    rung_walker walker;
    if (rung_walker_init(&walker, &shared->place, NULL) != RUNG_OK) {
        atomic_store(&shared->status, RUNG_NO_MEMORY);
        return;
    }
    for (;;) {
        size_t first = atomic_fetch_add(&shared->next, CHUNK);
        for (size_t i = first; i < first + CHUNK && i < shared->num; i++) {
            size_t at = shared->positions != NULL ? shared->positions[i] : i;
            size_t row = shared->rows[at];
            shared->missing[i] = rung_walk(&walker, row, shared->replay->keys[row], &shared->outcomes[at]);
        }
        if (first >= shared->num) {
            break;
        }
    }
    if (walker.failed) {
        atomic_store(&shared->status, RUNG_NO_MEMORY);
    }
    rung_walker_deinit(&walker);
}

static int by_level_then_row(const void *left, const void *right)
{
    const rung_wanted *a = left;
    const rung_wanted *b = right;
    uint32_t level_a = rung_cell_level(a->cell);
    uint32_t level_b = rung_cell_level(b->cell);
    if (level_a != level_b) {
        return level_a < level_b ? -1 : 1;
    }
    return a->row != b->row ? (a->row < b->row ? -1 : 1) : (a->cell > b->cell) - (a->cell < b->cell);
}

/* What the requests wait for is recorded; *left of them, at positions, are to walk again. */
static rung_status fetch(rung_replay *replay, rung_tape *tape, const pass *walked, const rung_replay_call *call,
                         size_t *positions, rung_wanted *wanted, size_t *left, rung_error *error)
{
    size_t count = 0;
    for (size_t i = 0; i < walked->num; i++) {
        if (walked->missing[i] != 0) {
            size_t at = walked->positions != NULL ? walked->positions[i] : i;
            positions[count] = at; /* never ahead of i */
            wanted[count++] = (rung_wanted){.row = (uint32_t)walked->rows[at], .cell = walked->missing[i]};
        }
    }
    *left = count;
    qsort(wanted, count, sizeof *wanted, by_level_then_row);
    return rung_recorder_fill(&replay->recorder, tape, wanted, count, call->may_compute, call->progress, error);
}

static rung_exit_source source_of(const rung_replay *replay, uint32_t level)
{
    const rung_cascade *cascade = replay->recorder.cascade;
    const rung_model *model = cascade->level[level].model;
    uint32_t layers = (uint32_t)model->config.num_layers;
    rung_exit_source source = {.store = replay->recorder.store,
                               .num_layers = layers,
                               .num_classes = cascade->num_classes,
                               .exits = UINT64_C(1) << (layers - 1),
                               .class_of = cascade->level[level].class_of};
    for (uint32_t e = 0; e < layers; e++) {
        source.exits |= (uint64_t)rung_model_has_exit(model, e) << e;
    }
    return source;
}

/* The table of a level under a calibration comes first; it takes the place of the one that was not used for longest. */
static rung_status find_table(rung_replay *replay, uint32_t level, const rung_level_calibration *calibration,
                              bool learned, rung_error *error)
{
    rung_exit_table **tables = replay->tables[level];
    size_t at = 0;
    while (at < TABLES && tables[at] != NULL && !rung_exit_table_matches(tables[at], calibration, learned)) {
        at++;
    }
    rung_exit_table *found = at < TABLES ? tables[at] : NULL;
    if (found == NULL) {
        const rung_exit_source source = source_of(replay, level);
        rung_status status = rung_exit_table_create(&source, calibration, learned, &found, error);
        if (status != RUNG_OK) {
            return status;
        }
        at = at < TABLES ? at : TABLES - 1;
        rung_exit_table_free(tables[at]);
    }
    memmove(tables + 1, tables, at * sizeof *tables);
    tables[0] = found;
    return RUNG_OK;
}

static rung_status make_place(rung_replay *replay, const rung_replay_call *call, const rung_tape *tape,
                              rung_walk_place *place, rung_error *error)
{
    const rung_cascade *cascade = replay->recorder.cascade;
    bool learned = call->policy->defer == RUNG_DEFER_LEARNED;
    rung_walk_place made = {.num_levels = cascade->num_levels,
                            .num_classes = cascade->num_classes,
                            .tape = tape,
                            .policy = call->policy,
                            .calibration = call->calibration != NULL ? call->calibration : &cascade->calibration,
                            .timing = replay->timing,
                            .notes_decisions = call->notes_decisions,
                            .probabilities = call->probabilities,
                            .pooled = call->pooled};
    rung_status status = RUNG_OK;
    for (uint32_t l = 0; status == RUNG_OK && l < cascade->num_levels; l++) {
        status = find_table(replay, l, &made.calibration->level[l], learned, error);
        made.level[l] = (rung_walk_level){.exits = replay->tables[l][0],
                                          .num_layers = (uint32_t)cascade->level[l].model->config.num_layers,
                                          .exit_set = source_of(replay, l).exits,
                                          .speed = call->speeds != NULL ? call->speeds[l] : cascade->level[l].speed,
                                          .link = call->links != NULL ? &call->links[l] : &cascade->level[l].link};
    }
    if (status == RUNG_OK) {
        *place = made;
    }
    return status;
}

static rung_status reserve_tables(const rung_walk_place *place, rung_error *error)
{
    rung_status status = RUNG_OK;
    for (uint32_t l = 0; status == RUNG_OK && l < place->num_levels; l++) {
        status = rung_exit_table_reserve(place->level[l].exits, error);
    }
    return status;
}

/* Walks, records what was missing, and walks on, until nothing is: a request asks for one level more each time. */
static rung_status walk_all(rung_replay *replay, rung_tape *tape, pass *shared, const rung_replay_call *call,
                            size_t *positions, rung_wanted *wanted, rung_error *error)
{
    rung_status status = RUNG_OK;
    for (size_t left = shared->num; status == RUNG_OK && left > 0;) {
        status = reserve_tables(&shared->place, error);
        if (status != RUNG_OK) {
            return status;
        }
        atomic_store(&shared->next, 0);
        size_t threads = replay->recorder.cascade->threads;
        rung_parallel(shared->num <= CHUNK ? 1 : threads, walk_some, shared);
        if (atomic_load(&shared->status) != RUNG_OK) {
            return rung_fail(error, RUNG_NO_MEMORY, "out of memory in a replay");
        }
        status = fetch(replay, tape, shared, call, positions, wanted, &left, error);
        shared->positions = positions;
        shared->num = left;
    }
    return status;
}

rung_status rung_replay_run(rung_replay *replay, const rung_replay_call *call, rung_outcome *outcomes,
                            rung_error *error)
{
    rung_tape *tape;
    rung_status status = find_tape(replay, call->policy, &tape, error);
    if (status != RUNG_OK) {
        return status;
    }
    pass shared = {.replay = replay, .rows = call->rows, .num = call->num_rows, .outcomes = outcomes};
    status = make_place(replay, call, tape, &shared.place, error);
    if (status != RUNG_OK) {
        return status;
    }
    make_keys(replay, call->policy->seed);
    shared.missing = rung_alloc(call->num_rows, sizeof *shared.missing, "replay", error);
    size_t *positions = rung_alloc(call->num_rows, sizeof *positions, "replay", error);
    rung_wanted *wanted = rung_alloc(call->num_rows, sizeof *wanted, "replay", error);
    status = shared.missing == NULL || positions == NULL || wanted == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    if (status == RUNG_OK) {
        status = walk_all(replay, tape, &shared, call, positions, wanted, error);
    }
    free(shared.missing);
    free(positions);
    free(wanted);
    return status;
}

rung_status rung_replay_record(rung_replay *replay, const rung_policy *policy, const size_t *rows, size_t num_rows,
                               const rung_progress *progress, rung_error *error)
{
    rung_tape *tape;
    uint32_t levels = replay->recorder.cascade->num_levels;
    size_t count = 0;
    rung_status status = find_tape(replay, policy, &tape, error);
    rung_wanted *wanted =
        status == RUNG_OK ? rung_alloc(num_rows, (size_t)2 * levels * sizeof *wanted, "replay", error) : NULL;
    if (wanted == NULL) {
        return status == RUNG_OK ? RUNG_NO_MEMORY : status;
    }
    for (uint32_t l = 1; l <= levels; l++) {
        const uint32_t cells[2] = {UINT32_C(1) << (l - 1), (UINT32_C(1) << l) - 1}; /* whole; after all below */
        for (size_t i = 0; i < num_rows; i++) {
            for (size_t k = 0; k < (l == 1 || !policy->prune.enabled ? 1u : 2u); k++) {
                if (rung_tape_cell(tape, rows[i], cells[k])->entry == 0) {
                    wanted[count++] = (rung_wanted){.row = (uint32_t)rows[i], .cell = cells[k]};
                }
            }
        }
    }
    status = rung_recorder_fill(&replay->recorder, tape, wanted, count, true, progress, error);
    free(wanted);
    return status;
}

rung_status rung_replay_whole(rung_replay *replay, size_t row, uint32_t level, rung_record_entry *entry,
                              rung_error *error)
{
    uint32_t number = UINT32_C(1) << (level - 1);
    for (const rung_tape *tape = replay->tapes; tape != NULL; tape = tape->next) {
        const rung_cell *cell = rung_tape_cell(tape, row, number);
        if (tape->reading.variant.kind == RUNG_VARIANT_NONE && cell->entry != 0) {
            rung_store_get(replay->recorder.store, cell->entry - 1, entry);
            return RUNG_OK;
        }
    }
    return rung_fail(error, RUNG_NOT_FOUND, "input %zu: the record has nothing of its whole text at level %u", row,
                     level);
}
