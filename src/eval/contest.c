/* contest.c: methods against each other. See contest.h. */
#include "eval/contest.h"

#include "base/memory.h"
#include "base/order.h"
#include "eval/frontier.h"
#include "plan/certify.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double agreements[] = {0.93, 0.95, 0.965, 0.975, 0.98, 0.985, 0.99, 0.995};

/* Adds the frontier by one quality to the front. */
static rung_status add_frontier(rung_entrant *entrant, bool by_agreement, rung_error *error)
{
    size_t count = entrant->candidates.count;
    rung_frontier_point *points = rung_alloc(count, 2 * sizeof *points, "frontier", error);
    if (points == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        const rung_summary *tuned = &entrant->candidates.items[i].tuned;
        points[i] = (rung_frontier_point){
            .quality = by_agreement ? tuned->agreement : tuned->accuracy, .latency_ms = tuned->mean_ms, .index = i};
    }
    rung_frontier_point *frontier = points + count;
    size_t size = 0;
    rung_status status = rung_frontier_of(points, count, frontier, &size, error);
    for (size_t i = 0; status == RUNG_OK && i < size; i++) {
        /* From the best down: what is fast and poor is of least use. */
        size_t index = frontier[size - 1 - i].index;
        bool known = false;
        for (size_t k = 0; k < entrant->num_front; k++) {
            known = known || entrant->front[k] == index;
        }
        if (!known && entrant->num_front < RUNG_CONTEST_MOST_FRONT) {
            entrant->front[entrant->num_front++] = index;
        }
    }
    free(points);
    return status;
}

static void sort_front(rung_entrant *entrant)
{
    const rung_candidate *items = entrant->candidates.items;
    for (size_t i = 1; i < entrant->num_front; i++) {
        size_t index = entrant->front[i];
        size_t at = i;
        for (; at > 0 && items[entrant->front[at - 1]].tuned.mean_ms > items[index].tuned.mean_ms; at--) {
            entrant->front[at] = entrant->front[at - 1];
        }
        entrant->front[at] = index;
    }
}

static rung_status time_top(const rung_evaluation *evaluation, const rung_network *network, double *mean_ms,
                            rung_error *error)
{
    const rung_rows *rows = &evaluation->study.tune;
    rung_outcome *outcomes = rung_alloc(rows->count, sizeof *outcomes, "outcomes", error);
    rung_pick top;
    rung_status status = outcomes == NULL ? RUNG_NO_MEMORY : rung_pick_top(evaluation, &top, error);
    if (status == RUNG_OK) {
        status = rung_scheme_replay(&evaluation->study, &top.scheme, network, rows, false, outcomes, error);
    }
    if (status == RUNG_OK) {
        *mean_ms = rung_summarize(&evaluation->study, rows, outcomes).mean_ms;
    }
    free(outcomes);
    return status;
}

rung_status rung_entrant_tune(const rung_evaluation *evaluation, const rung_method *method, const rung_network *network,
                              size_t trials, const rung_progress *progress, rung_entrant *entrant, rung_error *error)
{
    rung_entrant made = {.method = *method};
    rung_search search = {.knobs = method->knobs,
                          .num_knobs = method->num_knobs,
                          .trials = trials,
                          .seed = evaluation->seed,
                          .network = network,
                          .targets = agreements,
                          .num_targets = sizeof agreements / sizeof agreements[0]};
    rung_status status = rung_policy_defaults(method->policy, evaluation->cascade->num_levels, &search.base, error);
    if (status == RUNG_OK) {
        search.base.seed = evaluation->seed;
        status = rung_tune(&evaluation->study, &search, progress, &made.candidates, error);
    }
    if (status == RUNG_OK && made.candidates.count == 0) {
        status = rung_fail(error, RUNG_INVALID, "%s: none of the policies tried can be used", method->name);
    }
    if (status == RUNG_OK) {
        status = add_frontier(&made, true, error);
    }
    if (status == RUNG_OK) {
        status = add_frontier(&made, false, error);
    }
    if (status == RUNG_OK) {
        status = time_top(evaluation, network, &made.top_ms, error);
    }
    if (status != RUNG_OK) {
        rung_entrant_deinit(&made);
        return status;
    }
    sort_front(&made);
    rung_entrant_deinit(entrant);
    *entrant = made;
    return RUNG_OK;
}

void rung_entrant_deinit(rung_entrant *entrant)
{
    rung_candidates_deinit(&entrant->candidates);
    *entrant = (rung_entrant){0};
}

static uint64_t count_disagreements(const rung_study *study, const rung_rows *rows, const rung_outcome *outcomes)
{
    uint64_t count = 0;
    for (size_t i = 0; i < rows->count; i++) {
        count += outcomes[i].label != study->top_labels[rows->rows[i]];
    }
    return count;
}

/* Disagreements of every policy of the front on the certify rows. */
static rung_status count_front(const rung_evaluation *evaluation, const rung_entrant *entrant, uint64_t *opt,
                               uint64_t *cert, rung_error *error)
{
    const rung_study *study = &evaluation->study;
    rung_outcome *outcomes = rung_alloc(study->certify.count, sizeof *outcomes, "outcomes", error);
    rung_status status = outcomes == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < entrant->num_front; i++) {
        const rung_candidate *candidate = &entrant->candidates.items[entrant->front[i]];
        status = rung_scheme_replay(study, &candidate->scheme, NULL, &study->certify, false, outcomes, error);
        if (status == RUNG_OK) {
            cert[i] = count_disagreements(study, &study->certify, outcomes);
            opt[i] = (uint64_t)((1 - candidate->tuned.agreement) * (double)study->tune.count + 0.5);
        }
    }
    free(outcomes);
    return status;
}

rung_status rung_pick_named(const rung_evaluation *evaluation, const char *policy, double threshold, rung_pick *pick,
                            rung_error *error)
{
    rung_pick made = {.certified = false};
    uint32_t levels = evaluation->cascade->num_levels;
    rung_status status = rung_policy_defaults(policy, levels, &made.scheme.policy, error);
    if (status == RUNG_OK) {
        made.scheme.policy.seed = evaluation->seed;
        for (uint32_t l = 0; l < levels; l++) {
            made.scheme.policy.offload.threshold[l] = threshold;
        }
        status = rung_scheme_fit(&evaluation->study, &made.scheme, error);
    }
    if (status == RUNG_OK) {
        *pick = made;
    }
    return status;
}

rung_status rung_pick_top(const rung_evaluation *evaluation, rung_pick *pick, rung_error *error)
{
    rung_status status = rung_pick_named(evaluation, "single", 1, pick, error);
    if (status == RUNG_OK) {
        pick->is_top = true;
    }
    return status;
}

const char *rung_pick_certified_word(const rung_pick *pick)
{
    if (!pick->certified) {
        return "no: the top level alone";
    }
    return pick->is_top ? "the top level alone is faster" : "yes";
}

rung_status rung_pick_agreeing(const rung_evaluation *evaluation, const rung_entrant *entrant, double agreement,
                               double delta, rung_pick *pick, rung_error *error)
{
    uint64_t opt[RUNG_CONTEST_MOST_FRONT];
    uint64_t cert[RUNG_CONTEST_MOST_FRONT];
    double latency_ms[RUNG_CONTEST_MOST_FRONT];
    size_t order[RUNG_CONTEST_MOST_FRONT];
    size_t held = 0;
    size_t fastest = 0;
    rung_pick made = {.num_tested = entrant->num_front};
    rung_status status = count_front(evaluation, entrant, opt, cert, error);
    if (status == RUNG_OK) {
        status = rung_certify_counts((rung_loss_counts){opt, evaluation->study.tune.count},
                                     (rung_loss_counts){cert, evaluation->study.certify.count}, entrant->num_front,
                                     1 - agreement, delta, order, &held, NULL, error);
    }
    for (size_t i = 0; status == RUNG_OK && i < entrant->num_front; i++) {
        latency_ms[i] = entrant->candidates.items[entrant->front[i]].tuned.mean_ms;
    }
    made.num_held = held;
    if (status == RUNG_OK) {
        made.certified = rung_certify_fastest(order, held, latency_ms, &fastest);
        made.is_top = !made.certified || latency_ms[fastest] >= entrant->top_ms;
    }
    if (status == RUNG_OK && !made.is_top) {
        made.scheme = entrant->candidates.items[entrant->front[fastest]].scheme;
    } else if (status == RUNG_OK) {
        rung_pick top = {.certified = false};
        status = rung_pick_top(evaluation, &top, error);
        made.scheme = top.scheme;
    }
    if (status == RUNG_OK) {
        *pick = made;
    }
    return status;
}

static void pick_best(const rung_entrant *entrant, double wanted, bool by_agreement, rung_pick *pick)
{
    assert(entrant->num_front > 0); /* a tuned method has a frontier */
    const rung_candidate *best = &entrant->candidates.items[entrant->front[0]];
    double most = -1;
    for (size_t i = 0; i < entrant->num_front; i++) { /* fastest first */
        const rung_candidate *at = &entrant->candidates.items[entrant->front[i]];
        double reached = by_agreement ? at->tuned.agreement : at->tuned.accuracy;
        if (reached >= wanted) {
            best = at;
            break;
        }
        if (reached > most) {
            most = reached;
            best = at;
        }
    }
    *pick = (rung_pick){.scheme = best->scheme, .num_tested = entrant->num_front};
}

void rung_pick_accurate(const rung_entrant *entrant, double accuracy, rung_pick *pick)
{
    pick_best(entrant, accuracy, false, pick);
}

void rung_pick_agreeing_uncertified(const rung_entrant *entrant, double agreement, rung_pick *pick)
{
    pick_best(entrant, agreement, true, pick);
}

static rung_status alloc_measured(size_t n, rung_measured *measured, rung_error *error)
{
    *measured = (rung_measured){.n = n};
    measured->latency_ms = rung_alloc(n, sizeof(double), "report", error);
    measured->right = rung_alloc(n, sizeof(double), "report", error);
    measured->agrees = rung_alloc(n, sizeof(double), "report", error);
    measured->bytes = rung_alloc(n, sizeof(double), "report", error);
    measured->outcomes = rung_alloc(n, sizeof *measured->outcomes, "report", error);
    bool failed = measured->latency_ms == NULL || measured->right == NULL || measured->agrees == NULL ||
                  measured->bytes == NULL || measured->outcomes == NULL;
    return failed ? RUNG_NO_MEMORY : RUNG_OK;
}

rung_status rung_measure(const rung_evaluation *evaluation, const rung_scheme *scheme, const rung_network *network,
                         rung_measured *measured, rung_error *error)
{
    const rung_study *study = &evaluation->study;
    rung_measured made;
    rung_status status = alloc_measured(study->report.count, &made, error);
    if (status == RUNG_OK) {
        status = rung_scheme_replay(study, scheme, network, &study->report, true, made.outcomes, error);
    }
    if (status != RUNG_OK) {
        rung_measured_deinit(&made);
        return status;
    }
    for (size_t i = 0; i < made.n; i++) {
        const rung_outcome *outcome = &made.outcomes[i];
        size_t row = study->report.rows[i];
        made.latency_ms[i] = outcome->latency_s * 1e3;
        made.right[i] = outcome->label == study->labels[row];
        made.agrees[i] = outcome->label == study->top_labels[row];
        for (uint32_t l = 0; l < evaluation->cascade->num_levels; l++) {
            made.bytes[i] += (double)outcome->bytes_up[l] + (double)outcome->bytes_down[l];
        }
    }
    made.summary = rung_summarize(study, &study->report, made.outcomes);
    rung_measured_deinit(measured);
    *measured = made;
    return RUNG_OK;
}

void rung_measured_deinit(rung_measured *measured)
{
    free(measured->latency_ms);
    free(measured->right);
    free(measured->agrees);
    free(measured->bytes);
    free(measured->outcomes);
    *measured = (rung_measured){0};
}

/* Level `level` alone, always stopping at exit `layer`. */
static rung_status stop_at(const rung_evaluation *evaluation, uint32_t level, uint32_t layer, rung_scheme *scheme,
                           rung_error *error)
{
    *scheme = (rung_scheme){0};
    rung_policy *policy = &scheme->policy;
    rung_status status = rung_policy_defaults("branchynet", evaluation->cascade->num_levels, policy, error);
    if (status != RUNG_OK) {
        return status;
    }
    policy->seed = evaluation->seed;
    policy->first_compute_level = level;
    policy->members = 1u << (level - 1);
    for (uint32_t e = 1; e <= RUNG_EXIT_THRESHOLDS; e++) {
        policy->exit.entropy[e - 1] = e < layer ? 0 : 1e6;
    }
    return rung_scheme_fit(&evaluation->study, scheme, error);
}

typedef struct options_seen {
    double *right_ms;  /* [n] cheapest exit that is right; infinite: none so far */
    double *agrees_ms; /* [n] */
} options_seen;

static void see_exit(const rung_evaluation *evaluation, const rung_outcome *outcomes, rung_oracle *oracle,
                     options_seen *seen)
{
    const rung_study *study = &evaluation->study;
    for (size_t i = 0; i < oracle->n; i++) {
        double ms = outcomes[i].latency_s * 1e3;
        size_t row = study->report.rows[i];
        oracle->cheapest_ms[i] = fmin(oracle->cheapest_ms[i], ms);
        if (outcomes[i].label == study->labels[row]) {
            seen->right_ms[i] = fmin(seen->right_ms[i], ms);
        }
        if (outcomes[i].label == study->top_labels[row]) {
            seen->agrees_ms[i] = fmin(seen->agrees_ms[i], ms);
        }
    }
}

static rung_status see_exits(const rung_evaluation *evaluation, const rung_network *network, rung_outcome *outcomes,
                             rung_oracle *oracle, options_seen *seen, rung_error *error)
{
    const rung_cascade *cascade = evaluation->cascade;
    rung_scheme scheme;
    for (uint32_t level = 1; level <= cascade->num_levels; level++) {
        const rung_model *model = cascade->level[level - 1].model;
        for (uint32_t layer = 1; layer <= model->config.num_layers; layer++) {
            if (!rung_model_has_exit(model, layer - 1)) {
                continue;
            }
            rung_status status = stop_at(evaluation, level, layer, &scheme, error);
            if (status == RUNG_OK) {
                status = rung_scheme_replay(&evaluation->study, &scheme, network, &evaluation->study.report, false,
                                            outcomes, error);
            }
            if (status != RUNG_OK) {
                return status;
            }
            see_exit(evaluation, outcomes, oracle, seen);
        }
    }
    return RUNG_OK;
}

typedef struct extra_cost {
    double ms;
    uint32_t request;
} extra_cost;

/* Of equal ones the first request. */
static int cheapest_first(const void *left, const void *right)
{
    const extra_cost *a = left;
    const extra_cost *b = right;
    int order = (a->ms > b->ms) - (a->ms < b->ms);
    return order != 0 ? order : (a->request > b->request) - (a->request < b->request);
}

static void sort_extras(const rung_oracle *oracle, const double *reached_ms, extra_cost *scratch, double *sorted,
                        uint32_t *requests)
{
    for (size_t i = 0; i < oracle->n; i++) {
        scratch[i] = (extra_cost){.ms = reached_ms[i] - oracle->cheapest_ms[i], .request = (uint32_t)i};
    }
    qsort(scratch, oracle->n, sizeof *scratch, cheapest_first);
    for (size_t i = 0; i < oracle->n; i++) {
        sorted[i] = scratch[i].ms;
        requests[i] = scratch[i].request;
    }
}

static rung_status sum_up(rung_oracle *oracle, const options_seen *seen, rung_error *error)
{
    extra_cost *scratch = rung_alloc(oracle->n, sizeof *scratch, "oracle", error);
    if (scratch == NULL) {
        return RUNG_NO_MEMORY;
    }
    double sum = 0;
    for (size_t i = 0; i < oracle->n; i++) {
        sum += oracle->cheapest_ms[i];
    }
    oracle->mean_cheapest_ms = sum / (double)oracle->n;
    sort_extras(oracle, seen->right_ms, scratch, oracle->extra_right, oracle->right_request);
    sort_extras(oracle, seen->agrees_ms, scratch, oracle->extra_agrees, oracle->agrees_request);
    free(scratch);
    return RUNG_OK;
}

rung_status rung_oracle_make(const rung_evaluation *evaluation, const rung_network *network, rung_oracle *oracle,
                             rung_error *error)
{
    size_t n = evaluation->study.report.count;
    rung_oracle made = {.n = n};
    made.cheapest_ms = rung_alloc(n, sizeof(double), "oracle", error);
    made.extra_right = rung_alloc(n, sizeof(double), "oracle", error);
    made.extra_agrees = rung_alloc(n, sizeof(double), "oracle", error);
    made.right_request = rung_alloc(n, sizeof(uint32_t), "oracle", error);
    made.agrees_request = rung_alloc(n, sizeof(uint32_t), "oracle", error);
    options_seen seen = {.right_ms = rung_alloc(n, sizeof(double), "oracle", error),
                         .agrees_ms = rung_alloc(n, sizeof(double), "oracle", error)};
    rung_outcome *outcomes = rung_alloc(n, sizeof *outcomes, "oracle", error);
    bool failed = made.cheapest_ms == NULL || made.extra_right == NULL || made.extra_agrees == NULL ||
                  made.right_request == NULL || made.agrees_request == NULL || seen.right_ms == NULL ||
                  seen.agrees_ms == NULL || outcomes == NULL;
    rung_status status = failed ? RUNG_NO_MEMORY : RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < n; i++) {
        made.cheapest_ms[i] = seen.right_ms[i] = seen.agrees_ms[i] = INFINITY;
    }
    if (status == RUNG_OK) {
        status = see_exits(evaluation, network, outcomes, &made, &seen, error);
    }
    if (status == RUNG_OK) {
        status = sum_up(&made, &seen, error);
    }
    free(seen.right_ms);
    free(seen.agrees_ms);
    free(outcomes);
    if (status != RUNG_OK) {
        rung_oracle_deinit(&made);
        return status;
    }
    rung_oracle_deinit(oracle);
    *oracle = made;
    return RUNG_OK;
}

void rung_oracle_deinit(rung_oracle *oracle)
{
    free(oracle->cheapest_ms);
    free(oracle->extra_right);
    free(oracle->extra_agrees);
    free(oracle->right_request);
    free(oracle->agrees_request);
    *oracle = (rung_oracle){0};
}

/* The cheapest exit for all, and for as many as are needed what it costs more to get them right. */
static double reach(const rung_oracle *oracle, const double *extra, double share)
{
    size_t needed = (size_t)ceil(share * (double)oracle->n - 1e-9);
    double sum = 0;
    for (size_t i = 0; i < needed && i < oracle->n; i++) {
        sum += extra[i];
    }
    return needed > oracle->n ? INFINITY : oracle->mean_cheapest_ms + sum / (double)oracle->n;
}

double rung_oracle_accurate_ms(const rung_oracle *oracle, double accuracy)
{
    return reach(oracle, oracle->extra_right, accuracy);
}

double rung_oracle_agreeing_ms(const rung_oracle *oracle, double agreement)
{
    return reach(oracle, oracle->extra_agrees, agreement);
}

double rung_oracle_resampled_ms(const rung_oracle *oracle, bool by_agreement, double share, const uint32_t *times)
{
    const double *extra_ms = by_agreement ? oracle->extra_agrees : oracle->extra_right;
    const uint32_t *request = by_agreement ? oracle->agrees_request : oracle->right_request;
    size_t needed = (size_t)ceil(share * (double)oracle->n - 1e-9);
    double sum = 0;
    for (size_t i = 0; i < oracle->n; i++) {
        sum += times[i] * oracle->cheapest_ms[i];
    }
    for (size_t i = 0; i < oracle->n && needed > 0; i++) {
        size_t taken = times[request[i]] < needed ? times[request[i]] : needed;
        if (taken > 0) {
            sum += (double)taken * extra_ms[i];
            needed -= taken;
        }
    }
    return needed > 0 ? INFINITY : sum / (double)oracle->n;
}

double rung_gap_closed(double baseline_ms, double ours_ms, double oracle_ms)
{
    return (baseline_ms - ours_ms) / (baseline_ms - oracle_ms);
}
