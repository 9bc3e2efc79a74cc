/* tune.c: the search. See tune.h. */
#include "plan/tune.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/prng.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Of the trials: the usual settings with one or two changed; then all drawn at random. The rest go to changes of the best. */
#define NEAR_SHARE 0.1
#define SAMPLED_SHARE 0.35
#define ACCURACY_TARGETS 5

/* Below the best accuracy seen. */
static const double accuracy_steps[ACCURACY_TARGETS] = {0, 0.003, 0.007, 0.015, 0.03};

typedef struct tuning {
    const rung_study *study;
    const rung_search *search;
    const rung_progress *progress;
    rung_candidates *out;
    size_t capacity;
    rung_outcome *outcomes; /* of the rows to tune on */
    size_t tried;           /* with those that no policy can be */
    uint64_t *seen;         /* [trials] hashes of the choices tried */
    rung_prng random;
} tuning;

static bool was_tried(const tuning *t, uint64_t hash)
{
    for (size_t i = 0; i < t->tried; i++) {
        if (t->seen[i] == hash) {
            return true;
        }
    }
    return false;
}

static void apply(const rung_search *search, const uint8_t *choice, rung_policy *policy)
{
    *policy = search->base;
    for (size_t k = 0; k < search->num_knobs; k++) {
        const rung_knob *knob = &search->knobs[k];
        knob->set(policy, knob->level, knob->values[choice[k]]);
    }
}

/* Tries one combination. *made: NULL when it was tried before, or when there is no such policy. */
static rung_status try_choice(tuning *t, const uint8_t *choice, const rung_candidate **made, rung_error *error)
{
    const rung_search *search = t->search;
    uint64_t hash = rung_xxh64(choice, search->num_knobs, 0);
    *made = NULL;
    if (t->tried == search->trials || was_tried(t, hash)) {
        return RUNG_OK;
    }
    t->seen[t->tried++] = hash;
    rung_candidate *candidate = &t->out->items[t->out->count];
    apply(search, choice, &candidate->scheme.policy);
    memcpy(candidate->choice, choice, search->num_knobs);
    if (rung_policy_check(&candidate->scheme.policy, &t->study->calibration, NULL) != RUNG_OK) {
        return RUNG_OK;
    }
    rung_status status = rung_scheme_fit(t->study, &candidate->scheme, error);
    if (status == RUNG_OK) {
        status = rung_scheme_replay(t->study, &candidate->scheme, search->network, &t->study->tune, false, t->outcomes,
                                    error);
    }
    if (status == RUNG_OK) {
        candidate->tuned = rung_summarize(t->study, &t->study->tune, t->outcomes);
        t->out->count++;
        *made = candidate;
        rung_progress_report(t->progress, search->base.name, t->tried, search->trials);
    }
    return status;
}

static size_t draw(tuning *t, size_t below)
{
    return (size_t)rung_prng_below(&t->random, below);
}

/* The usual settings, and then those with one or two changed. */
static void draw_near(tuning *t, uint8_t *choice)
{
    const rung_search *search = t->search;
    for (size_t k = 0; k < search->num_knobs; k++) {
        choice[k] = (uint8_t)search->knobs[k].usual;
    }
    size_t changes = t->tried == 0 || search->num_knobs == 0 ? 0 : 1 + draw(t, 2);
    for (size_t i = 0; i < changes; i++) {
        size_t k = draw(t, search->num_knobs);
        choice[k] = (uint8_t)draw(t, search->knobs[k].num_values);
    }
}

static void draw_all(tuning *t, uint8_t *choice)
{
    for (size_t k = 0; k < t->search->num_knobs; k++) {
        const rung_knob *knob = &t->search->knobs[k];
        choice[k] = (uint8_t)(draw(t, 2) == 0 ? knob->usual : draw(t, knob->num_values));
    }
}

/* Draws until `share` of the trials, and one at least, are tried, or nothing new is found. */
static rung_status sample(tuning *t, double share, void (*draw_choice)(tuning *t, uint8_t *choice), rung_error *error)
{
    size_t part = (size_t)(share * (double)t->search->trials);
    size_t wanted = part > 0 ? part : 1;
    rung_status status = RUNG_OK;
    for (size_t attempt = 0; status == RUNG_OK && t->tried < wanted && attempt < 4 * wanted; attempt++) {
        uint8_t choice[RUNG_TUNE_MAX_KNOBS] = {0};
        const rung_candidate *made;
        draw_choice(t, choice);
        status = try_choice(t, choice, &made, error);
    }
    return status;
}

static const rung_candidate *fastest(const rung_candidates *candidates, double target, bool agreement)
{
    const rung_candidate *best = NULL;
    for (size_t i = 0; i < candidates->count; i++) {
        const rung_candidate *at = &candidates->items[i];
        double reached = agreement ? at->tuned.agreement : at->tuned.accuracy;
        if (reached >= target && (best == NULL || at->tuned.mean_ms < best->tuned.mean_ms)) {
            best = at;
        }
    }
    return best;
}

const rung_candidate *rung_fastest_agreeing(const rung_candidates *candidates, double target)
{
    return fastest(candidates, target, true);
}

const rung_candidate *rung_fastest_accurate(const rung_candidates *candidates, double target)
{
    return fastest(candidates, target, false);
}

/* The best for one of the targets: agreements first, then accuracies. */
static const rung_candidate *best_for(const tuning *t, size_t target)
{
    if (target < t->search->num_targets) {
        return rung_fastest_agreeing(t->out, t->search->targets[target]);
    }
    double most = 0;
    for (size_t i = 0; i < t->out->count; i++) {
        double accuracy = t->out->items[i].tuned.accuracy;
        most = accuracy > most ? accuracy : most;
    }
    return rung_fastest_accurate(t->out, most - accuracy_steps[target - t->search->num_targets]);
}

/* One change of one setting of the best: to a neighbour, or now and then to any value. */
static rung_status change_one(tuning *t, size_t target, rung_error *error)
{
    const rung_search *search = t->search;
    const rung_candidate *best = best_for(t, target);
    if (best == NULL || search->num_knobs == 0) {
        return RUNG_OK;
    }
    uint8_t choice[RUNG_TUNE_MAX_KNOBS];
    const rung_candidate *made;
    memcpy(choice, best->choice, search->num_knobs);
    size_t changes = draw(t, 3) == 0 ? 2 : 1;
    for (size_t i = 0; i < changes; i++) {
        size_t k = draw(t, search->num_knobs);
        size_t values = search->knobs[k].num_values;
        size_t step = 1 + draw(t, 2);
        size_t at = choice[k];
        switch (draw(t, 3)) {
        case 0:
            at = at + step < values ? at + step : values - 1;
            break;
        case 1:
            at = at >= step ? at - step : 0;
            break;
        default:
            at = draw(t, values);
        }
        choice[k] = (uint8_t)at;
    }
    return try_choice(t, choice, &made, error);
}

static rung_status refine(tuning *t, rung_error *error)
{
    size_t targets = t->search->num_targets + ACCURACY_TARGETS;
    rung_status status = RUNG_OK;
    size_t idle = 0; /* attempts in a row that found nothing new to try */
    for (size_t turn = 0; status == RUNG_OK && t->tried < t->search->trials && idle < 50 * targets; turn++) {
        size_t before = t->tried;
        status = change_one(t, turn % targets, error);
        idle = t->tried == before ? idle + 1 : 0;
    }
    return status;
}

rung_status rung_tune(const rung_study *study, const rung_search *search, const rung_progress *progress,
                      rung_candidates *candidates, rung_error *error)
{
    assert(search->num_knobs <= RUNG_TUNE_MAX_KNOBS && search->trials > 0);
    rung_candidates made = {.items = rung_alloc(search->trials, sizeof *made.items, "candidates", error)};
    tuning t = {.study = study, .search = search, .progress = progress, .out = &made};
    t.random.state = search->seed;
    t.outcomes = rung_alloc(study->tune.count, sizeof *t.outcomes, "candidates", error);
    t.seen = rung_alloc(search->trials, sizeof *t.seen, "candidates", error);
    rung_status status = made.items == NULL || t.outcomes == NULL || t.seen == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    if (status == RUNG_OK) {
        status = sample(&t, NEAR_SHARE, draw_near, error);
    }
    if (status == RUNG_OK) {
        status = sample(&t, SAMPLED_SHARE, draw_all, error);
    }
    if (status == RUNG_OK) {
        status = refine(&t, error);
    }
    free(t.outcomes);
    free(t.seen);
    if (status != RUNG_OK) {
        rung_candidates_deinit(&made);
        return status;
    }
    rung_candidates_deinit(candidates);
    *candidates = made;
    return RUNG_OK;
}

void rung_candidates_deinit(rung_candidates *candidates)
{
    free(candidates->items);
    *candidates = (rung_candidates){0};
}
