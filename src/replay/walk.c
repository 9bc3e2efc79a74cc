/* walk.c: one request through the levels in virtual time. See walk.h. */
#include "replay/walk.h"

#include "base/memory.h"
#include "cascade/confidence.h"
#include "cascade/deferral.h"
#include "cascade/ensemble.h"
#include "cascade/exit.h"
#include "run/message.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

rung_status rung_walker_init(rung_walker *walker, const rung_walk_place *place, rung_error *error)
{
    size_t classes = place->num_classes;
    *walker = (rung_walker){.place = place};
    assert(place->num_levels <= RUNG_TAPE_LIMIT_LEVELS);
    walker->workspace = rung_alloc(place->num_levels * RUNG_REQUEST_WORKSPACE + 3, classes * sizeof *walker->workspace,
                                   "replay", error);
    walker->logits = rung_alloc(classes, sizeof *walker->logits, "replay", error);
    if (walker->workspace == NULL || walker->logits == NULL) {
        rung_walker_deinit(walker);
        return RUNG_NO_MEMORY;
    }
    return RUNG_OK;
}

void rung_walker_deinit(rung_walker *walker)
{
    free(walker->workspace);
    free(walker->logits);
    rung_buffer_deinit(&walker->body);
    *walker = (rung_walker){0};
}

/* One level's visit of the walk. */
typedef struct visit {
    uint32_t level;
    uint32_t below; /* set of levels that computed before the request came here: their cells say what leaves them */
    rung_request *machine;
    const rung_cell *cell; /* NULL: it does not compute */
    rung_record_entry entry;
    double now_s;  /* of this level */
    double sent_s; /* when the request went on */
    size_t row;
    rung_outcome *outcome;
} visit;

static double *exit_workspace(const rung_walker *walker)
{
    return walker->workspace + (size_t)walker->place->num_levels * RUNG_REQUEST_WORKSPACE * walker->place->num_classes;
}

/* The logits of the exit after `layer`, in the cascade's order of classes. */
static const float *ordered_logits(const rung_walker *walker, const visit *at, uint32_t layer)
{
    const float *logits = at->entry.logits + (size_t)(layer - 1) * at->entry.num_classes;
    const uint32_t *class_of = walker->place->class_of[at->level - 1];
    for (uint32_t c = 0; c < walker->place->num_classes; c++) {
        walker->logits[class_of[c]] = logits[c];
    }
    return walker->logits;
}

/* Seconds that the level computes until the exit after `layer`. */
static double compute_s(const rung_walker *walker, const visit *at, uint32_t layer)
{
    const rung_level_timing *timing = &walker->place->timing->level[at->level - 1];
    double ms = rung_latency_ms(&timing->exits[layer - 1], at->cell->num_tokens) +
                timing->tokenize_ms_per_byte * at->cell->text_bytes;
    return ms / walker->place->speed[at->level - 1] / 1e3;
}

static double learned_confidence(const rung_walker *walker, const visit *at, uint32_t layer, const float *logits)
{
    const rung_level_calibration *calibration = &walker->place->calibration->level[at->level - 1];
    uint32_t n = walker->place->num_classes;
    double *probabilities = exit_workspace(walker) + 2 * n;
    rung_calibrated_probabilities(calibration, layer, logits, n, probabilities);
    if (calibration->deferral == NULL || calibration->deferral[layer - 1].hidden_size == 0 ||
        at->entry.states == NULL) {
        return (float)rung_confidence(probabilities, n, calibration->multi_label);
    }
    float scores[RUNG_DEFERRAL_SCORES];
    rung_deferral_scores(probabilities, n, at->cell->num_tokens, scores);
    return rung_deferral_confidence(&calibration->deferral[layer - 1],
                                    at->entry.states + (size_t)(layer - 1) * at->entry.hidden_size, scores);
}

static unsigned feed_exit(rung_walker *walker, visit *at, rung_event_kind kind, uint32_t layer, bool early)
{
    const float *logits = ordered_logits(walker, at, layer);
    rung_event event = {.kind = kind,
                        .now_s = at->now_s,
                        .exit_layer = layer,
                        .num_layers = at->entry.num_layers,
                        .logits = logits,
                        .early = early};
    if (walker->place->policy->defer == RUNG_DEFER_LEARNED) {
        event.deferral = learned_confidence(walker, at, layer, logits);
    }
    return rung_request_step(at->machine, &event);
}

/* What the level and those below say together, for calibration curves. */
static void note_decision(const rung_walker *walker, const visit *at)
{
    const rung_walk_place *place = walker->place;
    bool visited[RUNG_MAX_LEVELS] = {false};
    const double *probabilities[RUNG_MAX_LEVELS] = {NULL};
    double weights[RUNG_MAX_LEVELS];
    double *pooled = exit_workspace(walker) + 2 * place->num_classes;
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

/* Runs the exits of the level as src/run/batch_run.c does, and tells the machine. at->sent_s is set when the request goes on meanwhile. */
static unsigned compute(rung_walker *walker, visit *at)
{
    const rung_policy *policy = walker->place->policy;
    const rung_level_calibration *calibration = &walker->place->calibration->level[at->level - 1];
    uint32_t layers = at->entry.num_layers;
    double start_s = at->now_s;
    bool has_upper = at->level < rung_policy_top_level(policy, walker->place->num_levels);
    rung_exit_state exit;
    rung_exit_init(&exit, &policy->exit, calibration, walker->place->num_classes, exit_workspace(walker));
    exit.early = has_upper ? policy->offload.early[at->level - 1] : 0;
    uint32_t watched = rung_request_watches(at->machine);
    bool asks = policy->exit.rule != RUNG_EXIT_OFF || exit.early > 0;
    uint32_t layer = asks || watched > 0 ? 1 : layers;
    rung_exit_verdict verdict = RUNG_EXIT_CONTINUE;
    for (;; layer++) {
        const float *logits = at->entry.logits + (size_t)(layer - 1) * at->entry.num_classes;
        bool has_exit = layer == layers || !isnan(logits[0]);
        if (has_exit && (asks || layer == layers)) {
            verdict = rung_exit_step(&exit, layer, logits);
        }
        if (verdict != RUNG_EXIT_CONTINUE) {
            break;
        }
        if (layer == watched && has_exit) {
            at->now_s = start_s + compute_s(walker, at, layer);
            if (feed_exit(walker, at, RUNG_EVENT_EXIT, layer, false) & RUNG_ACTION_SEND) {
                at->sent_s = at->now_s;
                at->outcome->speculated = true;
            }
        }
    }
    double spent_s = compute_s(walker, at, layer);
    at->now_s = start_s + spent_s;
    at->outcome->compute_s[at->level - 1] = (float)spent_s;
    at->outcome->exit_layer[at->level - 1] = (uint8_t)layer;
    at->outcome->computed |= UINT32_C(1) << (at->level - 1);
    rung_level_answer *did = &walker->did[at->level - 1];
    did->exit_layer = layer;
    did->layers = layers;
    did->tokens = at->cell->num_tokens;
    did->truncated_tokens = at->cell->truncated;
    did->words = at->cell->words;
    did->kept_words = at->cell->words;
    return feed_exit(walker, at, RUNG_EVENT_LOCAL_DONE, layer, verdict == RUNG_EXIT_OFFLOAD);
}

/* As results travel: probabilities as floats. */
static void copy_result(rung_level_result *to, const rung_level_result *from, uint32_t num_classes)
{
    double *probabilities = to->probabilities;
    *to = *from;
    to->probabilities = probabilities;
    for (uint32_t c = 0; c < num_classes; c++) {
        probabilities[c] = (float)from->probabilities[c];
    }
}

static uint32_t visit_level(rung_walker *walker, visit *at, uint32_t first_level);

/* Bytes of the request that goes up: those of one with an empty text, and the text's. */
static uint32_t request_bytes(rung_walker *walker, const visit *at, bool computed)
{
    const rung_walk_place *place = walker->place;
    uint32_t from = at->below | (computed ? UINT32_C(1) << (at->level - 1) : 0);
    rung_buffer_clear(&walker->body);
    rung_message_request(&walker->body, at->machine, &(rung_payload){.text = {"", 0}}, place->num_classes, NULL);
    return (uint32_t)walker->body.length + rung_tape_cell(place->tape, at->row, from)->payload_bytes;
}

static uint32_t reply_bytes(rung_walker *walker, const visit *upper)
{
    rung_buffer_clear(&walker->body);
    rung_message_reply(&walker->body, upper->machine, &walker->did[upper->level - 1],
                       walker->place->num_levels - upper->level + 1, walker->place->num_classes, 0);
    return (uint32_t)walker->body.length;
}

static void start_upper(const rung_walker *walker, const visit *at, bool computed, visit *upper)
{
    const rung_walk_place *place = walker->place;
    uint32_t classes = place->num_classes;
    *upper = (visit){.level = at->level + 1,
                     .below = at->below | (computed ? UINT32_C(1) << (at->level - 1) : 0),
                     .machine = at->machine + 1,
                     .row = at->row,
                     .outcome = at->outcome};
    rung_request_init(upper->machine, place->policy, place->calibration, upper->level, 1, at->machine->key,
                      walker->workspace + (size_t)at->level * RUNG_REQUEST_WORKSPACE * classes);
    for (uint32_t l = 1; l <= at->level; l++) {
        copy_result(&upper->machine->results[l - 1], rung_request_prior(at->machine, l), classes);
    }
}

/* The next level is asked, at at->sent_s; its reply is fed when both it and the level's own result are there. */
static uint32_t ask_upper(rung_walker *walker, visit *at, bool computed, unsigned *actions)
{
    const rung_walk_place *place = walker->place;
    rung_outcome *outcome = at->outcome;
    visit upper;
    start_upper(walker, at, computed, &upper);
    rung_link_trip trip;
    rung_link_trip_begin(&trip, place->link[at->level], place->policy->seed, at->machine->key, at->level, -1);
    uint32_t bytes_up = request_bytes(walker, at, computed);
    double up_s = rung_link_trip_up_s(&trip, 0, bytes_up);
    walker->did[at->level - 1].bytes_up = bytes_up;
    outcome->bytes_up[at->level - 1] = bytes_up;
    upper.now_s = at->sent_s + up_s;
    uint32_t missing = visit_level(walker, &upper, rung_request_skips_to(at->machine));
    if (missing != 0) {
        return missing;
    }
    uint32_t bytes_down = reply_bytes(walker, &upper);
    double down_s = rung_link_trip_down_s(&trip, upper.now_s - at->sent_s, bytes_down);
    walker->did[at->level - 1].bytes_down = bytes_down;
    outcome->bytes_down[at->level - 1] = bytes_down;
    outcome->link_s[at->level - 1] = (float)(up_s + down_s);
    double back_s = upper.now_s + down_s;
    at->now_s = back_s > at->now_s ? back_s : at->now_s;
    bool answered = upper.machine->answer_level > 0;
    for (uint32_t l = upper.level; answered && l <= place->num_levels; l++) {
        copy_result(&at->machine->results[l - 1], &upper.machine->results[l - 1], place->num_classes);
    }
    rung_event event = {.kind = answered ? RUNG_EVENT_UPSTREAM_REPLY : RUNG_EVENT_UPSTREAM_FAILED,
                        .now_s = at->now_s,
                        .reason = upper.machine->degraded};
    *actions = rung_request_step(at->machine, &event);
    return 0;
}

static uint32_t find_cell(const rung_walker *walker, visit *at)
{
    uint32_t number = at->below | UINT32_C(1) << (at->level - 1);
    at->cell = rung_tape_cell(walker->place->tape, at->row, number);
    if (at->cell->entry == 0) {
        return number;
    }
    rung_store_get(walker->place->store, at->cell->entry - 1, &at->entry);
    return 0;
}

/* A request was asked in vain: what was sent counts, what would have come back does not. */
static void charge_cancelled(rung_walker *walker, const visit *at, bool computed)
{
    at->outcome->bytes_up[at->level - 1] = request_bytes(walker, at, computed);
    at->outcome->cancelled = true;
}

/* The request at one level, until it has answered: then at->now_s is when. */
static uint32_t visit_level(rung_walker *walker, visit *at, uint32_t first_level)
{
    at->machine->first_level = first_level;
    unsigned actions = rung_request_step(at->machine, &(rung_event){.kind = RUNG_EVENT_START, .now_s = at->now_s});
    walker->did[at->level - 1] = (rung_level_answer){.level = at->level};
    bool sent_whole = (actions & RUNG_ACTION_SEND) != 0;
    at->sent_s = at->now_s;
    if (actions & RUNG_ACTION_COMPUTE) {
        uint32_t missing = find_cell(walker, at);
        if (missing != 0) {
            return missing;
        }
        actions = compute(walker, at);
        if (walker->place->notes_decisions) {
            note_decision(walker, at);
        }
        if (actions & RUNG_ACTION_SEND) {
            at->sent_s = at->now_s;
        }
    }
    if (at->cell != NULL && !sent_whole && at->machine->upstream != RUNG_UPSTREAM_IDLE) {
        walker->did[at->level - 1].kept_words = at->cell->kept_words;
    }
    if (actions & RUNG_ACTION_CANCEL_UPSTREAM) {
        charge_cancelled(walker, at, !sent_whole);
    }
    uint32_t missing = 0;
    if (!at->machine->finished && rung_request_waits(at->machine)) {
        missing = ask_upper(walker, at, !sent_whole, &actions);
    }
    if (missing == 0 && (actions & RUNG_ACTION_COMPUTE)) { /* it was to pass the request on, and nothing came back */
        missing = find_cell(walker, at);
        if (missing == 0) {
            compute(walker, at);
        }
    }
    return missing;
}

uint32_t rung_walk(rung_walker *walker, size_t row, uint64_t key, rung_outcome *outcome)
{
    const rung_walk_place *place = walker->place;
    *outcome = (rung_outcome){.label = UINT32_MAX};
    visit at = {.level = 1, .machine = walker->machine, .row = row, .outcome = outcome};
    memset(walker->did, 0, sizeof walker->did[0] * place->num_levels);
    rung_request_init(at.machine, place->policy, place->calibration, 1, 1, key, walker->workspace);
    uint32_t missing = visit_level(walker, &at, 0);
    if (missing != 0) {
        return missing;
    }
    const rung_request *machine = at.machine;
    outcome->latency_s = at.now_s;
    if (machine->finished && machine->answer_level > 0) {
        outcome->label = machine->label;
        outcome->score = machine->score;
        outcome->answer_level = machine->answer_level;
        for (uint32_t l = 0; l < place->num_levels; l++) {
            outcome->visited |= (uint32_t)machine->results[l].visited << l;
            for (uint32_t c = 0; place->probabilities != NULL && c < place->num_classes; c++) {
                place->probabilities[(row * place->num_levels + l) * place->num_classes + c] =
                    machine->results[l].visited ? machine->results[l].probabilities[c] : 0;
            }
        }
    }
    return 0;
}
