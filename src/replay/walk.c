/* walk.c: one request through the levels in virtual time. It does for the machine of src/cascade/request.c what src/run/flight.c and visit.c do with models
 * and texts, in the same order. See walk.h. */
#include "replay/walk.h"

#include "base/memory.h"
#include "cascade/confidence.h"
#include "cascade/ensemble.h"
#include "cascade/exit.h"
#include "run/message_length.h"
#include "run/visit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SPARE_DOUBLES 3 /* of each class, behind those of the machines: of exits and of note_decision */

rung_status rung_walker_init(rung_walker *walker, const rung_walk_place *place, rung_error *error)
{
    size_t doubles = place->num_levels * RUNG_REQUEST_WORKSPACE + SPARE_DOUBLES;
    *walker = (rung_walker){.place = place};
    assert(place->num_levels <= RUNG_TAPE_LIMIT_LEVELS);
    walker->workspace = rung_alloc(doubles, place->num_classes * sizeof *walker->workspace, "replay", error);
    return walker->workspace != NULL ? RUNG_OK : RUNG_NO_MEMORY;
}

void rung_walker_deinit(rung_walker *walker)
{
    free(walker->workspace);
    *walker = (rung_walker){0};
}

/* One level's visit of the walk. */
typedef struct visit {
    uint32_t level;
    uint32_t below; /* set of levels that computed before the request came here: their cells say what leaves them */
    rung_request *machine;
    const rung_cell *cell; /* NULL: it does not compute */
    rung_exit_row said;
    double now_s;  /* of this level */
    double sent_s; /* when the request went on */
    uint32_t sent; /* as below, of what went on */
    size_t row;
    rung_outcome *outcome;
} visit;

static uint32_t bit_of(uint32_t level)
{
    return UINT32_C(1) << (level - 1);
}

static const rung_walk_level *level_of(const rung_walker *walker, const visit *at)
{
    return &walker->place->level[at->level - 1];
}

static rung_level_answer *did_of(rung_walker *walker, const visit *at)
{
    return &walker->did[at->level - 1];
}

static double *spare(const rung_walker *walker)
{
    return walker->workspace + (size_t)walker->place->num_levels * RUNG_REQUEST_WORKSPACE * walker->place->num_classes;
}

/* Seconds that the level computes until the exit after `layer`. */
static double compute_s(const rung_walker *walker, const visit *at, uint32_t layer)
{
    const rung_level_timing *timing = &walker->place->timing->level[at->level - 1];
    double ms = rung_latency_ms(&timing->exits[layer - 1], at->cell->num_tokens) +
                timing->tokenize_ms_per_byte * at->cell->text_bytes;
    return ms / level_of(walker, at)->speed / 1e3;
}

/* The machine says that the request is to go up, now: it is made and counted, and the next level has it. What it says stays as it is, whatever this level
 * finds meanwhile. */
static void send_up(rung_walker *walker, visit *at)
{
    const rung_walk_place *place = walker->place;
    rung_request *upper = at->machine + 1;
    bool read = rung_request_prior(at->machine, at->level)->visited; /* else the text goes on as it came */
    at->sent = at->below | (read ? bit_of(at->level) : 0);
    at->sent_s = at->now_s;
    const rung_cell *from = rung_tape_cell(place->tape, at->row, at->sent);
    uint32_t bytes = (uint32_t)rung_request_length(at->machine, walker->prior_length) + from->payload_bytes;
    did_of(walker, at)->bytes_up = bytes;
    at->outcome->bytes_up[at->level - 1] = bytes;
    if (read) {
        did_of(walker, at)->kept_words = from->kept_words;
    }
    rung_request_init(upper, place->policy, place->calibration, at->level + 1, 1, at->machine->key,
                      walker->workspace + (size_t)at->level * RUNG_REQUEST_WORKSPACE * place->num_classes);
    rung_visit_pass_up(upper, at->machine);
}

/* Tells the machine of an exit, and does what it asks for. */
static unsigned feed_exit(rung_walker *walker, visit *at, rung_event_kind kind, uint32_t layer, bool early)
{
    const rung_walk_place *place = walker->place;
    const rung_exit_said *said = &at->said.said[layer - 1];
    rung_event event = {.kind = kind,
                        .now_s = at->now_s,
                        .exit_layer = layer,
                        .num_layers = level_of(walker, at)->num_layers,
                        .early = early};
    if (said->measures[RUNG_EXIT_CALIBRATED].usable) {
        uint32_t n = place->num_classes;
        event.calibrated = rung_exit_row_probabilities(&at->said, n, layer, RUNG_EXIT_CALIBRATED);
        event.raw = rung_exit_row_probabilities(&at->said, n, layer, RUNG_EXIT_RAW);
    }
    if (place->policy->defer == RUNG_DEFER_LEARNED) {
        event.deferral = at->said.deferral[layer - 1];
    }
    size_t length = said->finding_length[place->policy->raw_ensemble ? RUNG_EXIT_RAW : RUNG_EXIT_CALIBRATED];
    walker->found_length[at->level - 1] = length;
    if (!at->machine->watched.visited) { /* else what was watched goes up */
        walker->prior_length[at->level - 1] = length;
    }
    unsigned actions = rung_request_step(at->machine, &event);
    if (actions & RUNG_ACTION_SEND) {
        send_up(walker, at);
    }
    return actions;
}

/* What the level and those below say together, for calibration curves. */
static void note_decision(const rung_walker *walker, const visit *at)
{
    const rung_walk_place *place = walker->place;
    bool visited[RUNG_MAX_LEVELS] = {false};
    const double *probabilities[RUNG_MAX_LEVELS] = {NULL};
    double weights[RUNG_MAX_LEVELS];
    double *pooled = spare(walker);
    for (uint32_t l = 0; l < at->level; l++) {
        visited[l] = at->machine->results[l].visited;
        probabilities[l] = at->machine->results[l].probabilities;
    }
    if (!visited[at->level - 1]) {
        return;
    }
    rung_ensemble_result(place->policy, place->calibration, visited, probabilities, weights, pooled);
    uint32_t label = rung_argmax(pooled, place->num_classes);
    at->outcome->decided_label[at->level - 1] = (uint16_t)label;
    at->outcome->decided_score[at->level - 1] = (float)pooled[label];
}

static void count_computed(rung_walker *walker, visit *at, uint32_t layer, double spent_s)
{
    at->outcome->compute_s[at->level - 1] = (float)spent_s;
    at->outcome->exit_layer[at->level - 1] = (uint8_t)layer;
    at->outcome->computed |= bit_of(at->level);
    did_of(walker, at)->exit_layer = layer;
}

/* Runs the exits of the level as src/run/batch_run.c does, and tells the machine. Returns its last actions. */
static unsigned compute(rung_walker *walker, visit *at)
{
    const rung_policy *policy = walker->place->policy;
    const rung_walk_level *level = level_of(walker, at);
    double start_s = at->now_s;
    int kind = rung_exit_reads_calibrated(policy->exit.rule) ? RUNG_EXIT_CALIBRATED : RUNG_EXIT_RAW;
    rung_exit_state exit;
    rung_exit_init(&exit, &policy->exit, &walker->place->calibration->level[at->level - 1], walker->place->num_classes,
                   spare(walker));
    if (at->level < rung_policy_top_level(policy, walker->place->num_levels)) {
        exit.early = policy->offload.early[at->level - 1];
    }
    uint32_t watched = rung_request_watches(at->machine);
    bool asks = policy->exit.rule != RUNG_EXIT_OFF || exit.early > 0;
    rung_exit_verdict verdict = RUNG_EXIT_CONTINUE;
    uint32_t layer = asks || watched > 0 ? 1 : level->num_layers;
    for (;; layer++) {
        if ((level->exit_set >> (layer - 1) & 1) == 0) {
            continue;
        }
        const rung_exit_measures *measures = at->said.said[layer - 1].measures;
        verdict = rung_exit_judge(&exit, layer, &measures[kind], measures[RUNG_EXIT_CALIBRATED].confidence);
        if (verdict != RUNG_EXIT_CONTINUE) {
            break;
        }
        if (layer == watched) {
            at->now_s = start_s + compute_s(walker, at, layer);
            unsigned actions = feed_exit(walker, at, RUNG_EVENT_EXIT, layer, false);
            at->outcome->speculated = at->outcome->speculated || (actions & RUNG_ACTION_SEND) != 0;
        }
    }
    double spent_s = compute_s(walker, at, layer);
    at->now_s = start_s + spent_s;
    count_computed(walker, at, layer, spent_s);
    return feed_exit(walker, at, RUNG_EVENT_LOCAL_DONE, layer, verdict == RUNG_EXIT_OFFLOAD);
}

/* The text as it came: 0, or the cell that is not known yet. */
static uint32_t read_text(rung_walker *walker, visit *at)
{
    uint32_t number = at->below | bit_of(at->level);
    at->cell = rung_tape_cell(walker->place->tape, at->row, number);
    if (at->cell->entry == 0) {
        return number;
    }
    if (!rung_exit_table_get(level_of(walker, at)->exits, at->cell->entry - 1, &at->said)) {
        walker->failed = true;
        return number;
    }
    rung_level_answer *did = did_of(walker, at);
    did->layers = level_of(walker, at)->num_layers;
    did->tokens = at->cell->num_tokens;
    did->truncated_tokens = at->cell->truncated;
    did->words = at->cell->words;
    did->kept_words = at->cell->words;
    return 0;
}

static uint32_t read_and_compute(rung_walker *walker, visit *at, unsigned *actions)
{
    uint32_t missing = read_text(walker, at);
    if (missing == 0) {
        *actions = compute(walker, at);
        if (walker->place->notes_decisions) {
            note_decision(walker, at);
        }
    }
    return missing;
}

static uint32_t visit_level(rung_walker *walker, visit *at);

/* The next level does its part; its reply is fed when both it and the level's own result are there. */
static uint32_t await_upper(rung_walker *walker, visit *at, unsigned *actions)
{
    const rung_walk_place *place = walker->place;
    rung_outcome *outcome = at->outcome;
    rung_level_answer *did = did_of(walker, at);
    visit upper = {
        .level = at->level + 1, .below = at->sent, .machine = at->machine + 1, .row = at->row, .outcome = outcome};
    rung_link_trip trip;
    rung_link_trip_begin(&trip, place->level[at->level].link, place->policy->seed, at->machine->key, at->level, -1);
    double up_s = rung_link_trip_up_s(&trip, 0, did->bytes_up);
    upper.now_s = at->sent_s + up_s;
    uint32_t missing = visit_level(walker, &upper);
    if (missing != 0) {
        return missing;
    }
    uint32_t bytes_down = (uint32_t)rung_reply_length(upper.machine, &walker->did[at->level],
                                                      place->num_levels - at->level, walker->found_length);
    double down_s = rung_link_trip_down_s(&trip, upper.now_s - at->sent_s, bytes_down);
    did->bytes_down = bytes_down;
    outcome->bytes_down[at->level - 1] = bytes_down;
    outcome->link_s[at->level - 1] = (float)(up_s + down_s);
    double back_s = upper.now_s + down_s;
    at->now_s = back_s > at->now_s ? back_s : at->now_s;
    bool answered = upper.machine->answer_level > 0;
    if (answered) {
        rung_visit_pass_down(at->machine, upper.machine);
    }
    rung_event event = {.kind = answered ? RUNG_EVENT_UPSTREAM_REPLY : RUNG_EVENT_UPSTREAM_FAILED,
                        .now_s = at->now_s,
                        .reason = upper.machine->degraded};
    *actions = rung_request_step(at->machine, &event);
    return 0;
}

/* The request at one level, until it has answered: then at->now_s is when. */
static uint32_t visit_level(rung_walker *walker, visit *at)
{
    unsigned actions = rung_request_step(at->machine, &(rung_event){.kind = RUNG_EVENT_START, .now_s = at->now_s});
    *did_of(walker, at) = (rung_level_answer){.level = at->level};
    if (actions & RUNG_ACTION_SEND) {
        send_up(walker, at);
    }
    uint32_t missing = actions & RUNG_ACTION_COMPUTE ? read_and_compute(walker, at, &actions) : 0;
    if (missing == 0 && (actions & RUNG_ACTION_CANCEL_UPSTREAM)) {
        at->outcome->cancelled = true; /* what was sent counts, what would have come back does not */
    }
    if (missing == 0 && rung_request_waits(at->machine)) {
        missing = await_upper(walker, at, &actions);
        if (missing == 0 &&
            (actions & RUNG_ACTION_COMPUTE)) { /* it was to pass the request on, and nothing came back */
            missing = read_and_compute(walker, at, &actions);
        }
    }
    return missing;
}

/* What the entry level answered. */
static void take_answer(const rung_walk_place *place, const rung_request *machine, size_t row, rung_outcome *outcome)
{
    uint32_t classes = place->num_classes;
    outcome->label = machine->label;
    outcome->score = machine->score;
    outcome->answer_level = machine->answer_level;
    outcome->degraded = (uint8_t)machine->degraded;
    for (uint32_t l = 0; l < place->num_levels; l++) {
        const rung_level_result *result = &machine->results[l];
        outcome->visited |= (uint32_t)result->visited << l;
        for (uint32_t c = 0; place->probabilities != NULL && c < classes; c++) {
            place->probabilities[(row * place->num_levels + l) * classes + c] =
                result->visited ? result->probabilities[c] : 0;
        }
    }
    if (place->pooled != NULL) {
        memcpy(place->pooled + row * classes, machine->pooled, classes * sizeof(double));
    }
}

uint32_t rung_walk(rung_walker *walker, size_t row, uint64_t key, rung_outcome *outcome)
{
    const rung_walk_place *place = walker->place;
    *outcome = (rung_outcome){.label = UINT32_MAX};
    visit at = {.level = 1, .machine = walker->machine, .row = row, .outcome = outcome};
    for (uint32_t l = 0; l < place->num_levels; l++) {
        walker->did[l].level = 0; /* not asked */
    }
    rung_request_init(at.machine, place->policy, place->calibration, 1, 1, key, walker->workspace);
    uint32_t missing = visit_level(walker, &at);
    outcome->latency_s = at.now_s;
    if (missing == 0 && at.machine->finished && at.machine->answer_level > 0) {
        take_answer(place, at.machine, row, outcome);
    }
    return missing;
}
