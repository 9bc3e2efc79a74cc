/* section_engine.c: factors that multiply out. See section_engine.h. */
#include "eval/section_engine.h"

#include "base/memory.h"
#include "eval/compare.h"
#include "eval/network_case.h"
#include "eval/section_headline.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Each step may do what the one before it may, and something more. */
enum { TOP, DEFERRAL, EXITS, PRUNING, REST, STEPS };

static const char *const step_names[STEPS] = {"our engine, always top", "+ deferral (plain thresholds)",
                                              "+ early exits and skipped levels", "+ pruning",
                                              "+ ensemble, pooled and learned decisions, early offload, speculation"};
static const char *const policy_names[STEPS] = {"always top", "deferral", "deferral, exits", "deferral, exits, pruning",
                                                "rung"};

typedef struct ladder {
    const rung_evaluation *evaluation;
    const rung_report *report;
    const rung_contestants *contestants;
    rung_pick picks[STEPS];
    rung_measured ours[STEPS]; /* on our engine */
    rung_measured *theirs;     /* [num_peers, STEPS] */
    const rung_peer *peers;
    size_t num_peers;
} ladder;

const rung_peer *rung_default_peers(size_t *count)
{
    static const rung_peer peers[] = {{"OpenVINO int8", 1.9}, {"ONNX Runtime int8", 1.1}};
    *count = sizeof peers / sizeof peers[0];
    return peers;
}

static void release(ladder *l)
{
    for (size_t s = 0; s < STEPS; s++) {
        rung_measured_deinit(&l->ours[s]);
    }
    for (size_t i = 0; l->theirs != NULL && i < l->num_peers * STEPS; i++) {
        rung_measured_deinit(&l->theirs[i]);
    }
    free(l->theirs);
    free(l);
}

static rung_status pick_tuned(const ladder *l, unsigned without, rung_pick *pick, rung_error *error)
{
    rung_method method;
    rung_entrant entrant = {0};
    rung_method_rung(l->evaluation->cascade, without, &method);
    rung_status status =
        rung_entrant_tune(l->evaluation, &method, NULL, l->report->trials, l->report->progress, &entrant, error);
    if (status == RUNG_OK) {
        status = rung_pick_agreeing(l->evaluation, &entrant, RUNG_HEADLINE_AGREEMENT, RUNG_HEADLINE_DELTA, pick, error);
    }
    rung_entrant_deinit(&entrant);
    return status;
}

static rung_status pick_known(const ladder *l, const char *method, rung_pick *pick, rung_error *error)
{
    return rung_pick_agreeing(l->evaluation, rung_contestants_find(l->contestants, method), RUNG_HEADLINE_AGREEMENT,
                              RUNG_HEADLINE_DELTA, pick, error);
}

static rung_status pick_all(ladder *l, rung_error *error)
{
    static const unsigned rest =
        RUNG_PART_ENSEMBLE | RUNG_PART_POOLED | RUNG_PART_EARLY_OFFLOAD | RUNG_PART_SPECULATION | RUNG_PART_LEARNED;
    rung_status status = rung_pick_top(l->evaluation, &l->picks[TOP], error);
    if (status == RUNG_OK) {
        status = pick_known(l, "tangobert", &l->picks[DEFERRAL], error);
    }
    if (status == RUNG_OK) {
        status = pick_tuned(l, rest | RUNG_PART_PRUNING, &l->picks[EXITS], error);
    }
    if (status == RUNG_OK) {
        status = pick_tuned(l, rest, &l->picks[PRUNING], error);
    }
    return status == RUNG_OK ? pick_known(l, "rung", &l->picks[REST], error) : status;
}

static rung_status measure_on(const ladder *l, const rung_network *network, rung_measured *measured, rung_error *error)
{
    rung_status status = RUNG_OK;
    for (size_t s = 0; status == RUNG_OK && s < STEPS; s++) {
        status = rung_measure(l->evaluation, &l->picks[s].scheme, network, &measured[s], error);
    }
    return status;
}

static rung_status measure_all(ladder *l, rung_error *error)
{
    l->theirs = rung_alloc(l->num_peers, STEPS * sizeof *l->theirs, "engines", error);
    rung_status status = l->theirs == NULL ? RUNG_NO_MEMORY : measure_on(l, NULL, l->ours, error);
    for (size_t p = 0; status == RUNG_OK && p < l->num_peers; p++) {
        rung_network_case where;
        rung_network_case_speed(l->evaluation->cascade, 1 / l->peers[p].factor, l->peers[p].name, &where);
        status = measure_on(l, &where.network, l->theirs + p * STEPS, error);
    }
    return status;
}

static rung_status ratio(const ladder *l, const rung_measured *slow, const rung_measured *fast, rung_interval *interval,
                         rung_error *error)
{
    return rung_bootstrap_ratio(&l->report->bootstrap, slow->latency_ms, fast->latency_ms, slow->n, interval, error);
}

static const rung_column step_columns[] = {
    {.name = "from", .kind = RUNG_COLUMN_TEXT},
    {.name = "step", .kind = RUNG_COLUMN_TEXT},
    {.name = "certified", .kind = RUNG_COLUMN_TEXT},
    {.name = "mean", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 2},
    {.name = "agreement", .kind = RUNG_COLUMN_SHARE, .decimals = 4},
    {.name = "times faster than the step before", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
    {.name = "times faster in all", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
};

static void add_first(const ladder *l, size_t peer, rung_table *table)
{
    const rung_measured *first = &l->theirs[peer * STEPS + TOP];
    rung_table_text(table, l->peers[peer].name);
    rung_table_text(table, "its engine, always top");
    rung_table_text(table, "by definition");
    rung_table_number(table, first->summary.mean_ms);
    rung_table_number(table, first->summary.agreement);
    rung_table_missing(table);
    rung_table_missing(table);
}

/* The steps from one peer; factors [STEPS] take each one's. */
static rung_status add_steps(const ladder *l, size_t peer, rung_table *table, double *factors, rung_interval *all,
                             rung_error *error)
{
    const rung_measured *first = &l->theirs[peer * STEPS + TOP];
    const rung_measured *before = first;
    add_first(l, peer, table);
    for (size_t s = 0; s < STEPS; s++) {
        rung_interval factor;
        const rung_measured *measured = &l->ours[s];
        rung_status status = ratio(l, before, measured, &factor, error);
        if (status == RUNG_OK) {
            status = ratio(l, first, measured, all, error);
        }
        if (status != RUNG_OK) {
            return status;
        }
        rung_table_text(table, l->peers[peer].name);
        rung_table_text(table, step_names[s]);
        rung_table_text(table, s == TOP ? "by definition" : rung_pick_certified_word(&l->picks[s]));
        rung_table_number(table, measured->summary.mean_ms);
        rung_table_number(table, measured->summary.agreement);
        rung_table_interval(table, factor);
        rung_table_interval(table, *all);
        factors[s] = factor.value;
        before = measured;
    }
    return RUNG_OK;
}

static void write_product(const ladder *l, rung_report *report, size_t peer, const double *factors, rung_interval all)
{
    rung_report_text(
        report,
        "Against %s, which takes %g times as long to compute: %.2f (engine) x %.2f (deferral) x %.2f (early exits "
        "and skipped levels) x %.2f (pruning) x %.2f (the rest) = %.2f times less mean time [%.2f, %.2f] than "
        "always-top on that engine. The engine's factor is below its ratio of compute times as links take their "
        "time on any engine.",
        l->peers[peer].name, l->peers[peer].factor, factors[TOP], factors[DEFERRAL], factors[EXITS], factors[PRUNING],
        factors[REST], all.value, all.low, all.high);
}

static rung_status write_steps(const ladder *l, rung_report *report, rung_error *error)
{
    rung_table table;
    double *factors = rung_alloc(l->num_peers, STEPS * sizeof *factors, "engines", error);
    rung_interval *all = rung_alloc(l->num_peers, sizeof *all, "engines", error);
    rung_status status = factors == NULL || all == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    rung_table_init(&table, step_columns, sizeof step_columns / sizeof step_columns[0]);
    for (size_t p = 0; status == RUNG_OK && p < l->num_peers; p++) {
        status = add_steps(l, p, &table, factors + p * STEPS, &all[p], error);
    }
    if (status == RUNG_OK) {
        status = rung_report_table(report, &table, "engine", error);
    }
    for (size_t p = 0; status == RUNG_OK && p < l->num_peers; p++) {
        write_product(l, report, p, factors + p * STEPS, all[p]);
    }
    rung_table_deinit(&table);
    free(factors);
    free(all);
    return status;
}

static const rung_column policy_columns[] = {
    {.name = "engine", .kind = RUNG_COLUMN_TEXT},
    {.name = "policy", .kind = RUNG_COLUMN_TEXT},
    {.name = "mean on that engine", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 2},
    {.name = "mean on ours", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 2},
    {.name = "times faster", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
};

static rung_status write_policies(const ladder *l, rung_report *report, rung_error *error)
{
    rung_table table;
    rung_status status = RUNG_OK;
    rung_table_init(&table, policy_columns, sizeof policy_columns / sizeof policy_columns[0]);
    for (size_t i = 0; status == RUNG_OK && i < l->num_peers * STEPS; i++) {
        rung_interval factor;
        const rung_measured *ours = &l->ours[i % STEPS];
        status = ratio(l, &l->theirs[i], ours, &factor, error);
        if (status == RUNG_OK) {
            rung_table_text(&table, l->peers[i / STEPS].name);
            rung_table_text(&table, policy_names[i % STEPS]);
            rung_table_number(&table, l->theirs[i].summary.mean_ms);
            rung_table_number(&table, ours->summary.mean_ms);
            rung_table_interval(&table, factor);
        }
    }
    if (status == RUNG_OK) {
        rung_report_text(report, "The same policies, with the same answers, on each engine:");
        status = rung_report_table(report, &table, "engine_policies", error);
    }
    rung_table_deinit(&table);
    return status;
}

static void write_introduction(rung_report *report)
{
    rung_report_heading(report, 2, "The engine's share");
    rung_report_text(
        report,
        "Another engine is our profile with all compute times multiplied by a measured ratio (docs/results.md; both "
        "engines on the same processors). Each step is a method that may do what the step before it may and "
        "something more, tuned with the same number of trials and certified to agree with the top level on %g %%. "
        "The steps' factors multiply to the whole.",
        RUNG_HEADLINE_AGREEMENT * 100);
}

static rung_status check(const rung_peer *peers, size_t num_peers, rung_error *error)
{
    for (size_t p = 0; p < num_peers; p++) {
        if (!(peers[p].factor > 0 && isfinite(peers[p].factor))) {
            return rung_fail(error, RUNG_INVALID,
                             "engine \"%s\": its time by ours is %g; it must be above 0 and finite", peers[p].name,
                             peers[p].factor);
        }
    }
    return RUNG_OK;
}

rung_status rung_section_engine(const rung_evaluation *evaluation, rung_report *report,
                                const rung_contestants *contestants, const rung_peer *peers, size_t num_peers,
                                rung_error *error)
{
    rung_status status = check(peers, num_peers, error);
    ladder *l = status == RUNG_OK ? rung_alloc(1, sizeof *l, "engines", error) : NULL;
    if (l == NULL) {
        return status == RUNG_OK ? RUNG_NO_MEMORY : status;
    }
    *l = (ladder){
        .evaluation = evaluation, .report = report, .contestants = contestants, .peers = peers, .num_peers = num_peers};
    status = pick_all(l, error);
    if (status == RUNG_OK) {
        status = measure_all(l, error);
    }
    if (status == RUNG_OK) {
        write_introduction(report);
        status = write_steps(l, report, error);
    }
    if (status == RUNG_OK) {
        status = write_policies(l, report, error);
    }
    release(l);
    return status;
}
