/* section_networks.c: one comparison for each network. See section_networks.h. */
#include "eval/section_networks.h"

#include "base/memory.h"
#include "eval/compare.h"
#include "eval/network_case.h"
#include "eval/section_headline.h"
#include "eval/trace_directory.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIALS_SHARE 3 /* one trial in so many */
#define PAPER_THRESHOLD 0.8

enum { TOP, PAPER_TABI, TABI, PLAIN, OURS, METHODS };

static const char *const names[METHODS] = {"always top", "Tabi as the paper sets it, t = 0.8", "tabi", "tangobert",
                                           "rung"};

/* Least and most over the networks. */
typedef struct range {
    double least;
    double most;
} range;

typedef struct survey {
    const rung_evaluation *evaluation;
    const rung_report *report;
    const rung_contestants *contestants;
    size_t trials;
    rung_table table;
    size_t cases;
    range faster[METHODS]; /* each one's mean time by ours */
    range gap[METHODS];
    size_t slower[METHODS]; /* networks where ours is slower than it */
} survey;

static const rung_column columns[] = {
    {.name = "network", .kind = RUNG_COLUMN_TEXT},
    {.name = "method", .kind = RUNG_COLUMN_TEXT},
    {.name = "certified", .kind = RUNG_COLUMN_TEXT},
    {.name = "mean", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
    {.name = "p95", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 1, .interval = true},
    {.name = "agreement", .kind = RUNG_COLUMN_SHARE, .decimals = 4},
    {.name = "accuracy", .kind = RUNG_COLUMN_SHARE, .decimals = 4},
    {.name = "times faster than always top", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
    {.name = "its time by ours", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
    {.name = "gap closed by ours", .kind = RUNG_COLUMN_PERCENT, .decimals = 0, .interval = true},
};

static rung_status pick_tuned(const survey *s, const rung_network *network, const char *method, rung_pick *pick,
                              rung_error *error)
{
    const rung_entrant *known = rung_contestants_find(s->contestants, method);
    rung_entrant entrant = {0};
    rung_status status =
        rung_entrant_tune(s->evaluation, &known->method, network, s->trials, s->report->progress, &entrant, error);
    if (status == RUNG_OK) {
        status = rung_pick_agreeing(s->evaluation, &entrant, RUNG_HEADLINE_AGREEMENT, RUNG_HEADLINE_DELTA, pick, error);
    }
    rung_entrant_deinit(&entrant);
    return status;
}

static rung_status pick_one(const survey *s, const rung_network *network, size_t method, rung_pick *pick,
                            rung_error *error)
{
    switch (method) {
    case TOP:
        return rung_pick_top(s->evaluation, pick, error);
    case PAPER_TABI:
        return rung_pick_named(s->evaluation, "tabi", PAPER_THRESHOLD, pick, error);
    default:
        return pick_tuned(s, network, names[method], pick, error);
    }
}

static void widen(range *r, double value)
{
    r->least = fmin(r->least, value);
    r->most = fmax(r->most, value);
}

static void add_case(survey *s, const char *network, const rung_contender *items)
{
    for (size_t i = 0; i < METHODS; i++) {
        const rung_contender *item = &items[i];
        const char *certified = i == TOP ? "by definition" : i == PAPER_TABI ? "not asked" : NULL;
        if (certified == NULL) {
            certified = rung_pick_certified_word(&item->pick);
        }
        rung_table_text(&s->table, network);
        rung_table_text(&s->table, item->name);
        rung_table_text(&s->table, certified);
        rung_table_interval(&s->table, item->mean_ms);
        rung_table_interval(&s->table, item->p95_ms);
        rung_table_number(&s->table, item->agreement.value);
        rung_table_number(&s->table, item->accuracy.value);
        rung_table_interval(&s->table, item->times_faster);
        rung_table_interval(&s->table, item->ours_faster);
        rung_table_interval(&s->table, item->gap_closed);
        widen(&s->faster[i], item->ours_faster.value);
        s->slower[i] += item->ours_faster.value < 1;
        if (!isnan(item->gap_closed.value)) {
            widen(&s->gap[i], item->gap_closed.value);
        }
    }
    s->cases++;
}

static rung_status run_case(survey *s, const rung_network_case *where, rung_error *error)
{
    rung_contender items[METHODS] = {{.name = NULL}};
    rung_oracle oracle = {0};
    rung_pick pick;
    rung_status status = rung_oracle_make(s->evaluation, &where->network, &oracle, error);
    for (size_t i = 0; status == RUNG_OK && i < METHODS; i++) {
        status = pick_one(s, &where->network, i, &pick, error);
        if (status == RUNG_OK) {
            status = rung_contender_measure(s->evaluation, &where->network, names[i], &pick, &items[i], error);
        }
    }
    rung_comparison comparison = {
        .items = items, .count = METHODS, .top = TOP, .ours = OURS, .oracle = &oracle, .by_agreement = true};
    if (status == RUNG_OK) {
        status = rung_compare(&s->report->bootstrap, &comparison, error);
    }
    if (status == RUNG_OK) {
        add_case(s, where->name, items);
    }
    for (size_t i = 0; i < METHODS; i++) {
        rung_contender_deinit(&items[i]);
    }
    rung_oracle_deinit(&oracle);
    return status;
}

static rung_status run_presets(survey *s, rung_error *error)
{
    size_t count;
    const rung_link *presets = rung_link_presets(&count);
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        rung_network_case where;
        rung_network_case_link(s->evaluation->cascade, &presets[i], &where);
        status = run_case(s, &where, error);
    }
    return status;
}

/* The preset that has what the trace has not: the one that its file is named after, else the cascade's own link to the top level. */
static const rung_link *rest_of(const rung_cascade *cascade, const char *name)
{
    static const char starlink[] = "starlink";
    size_t count;
    const rung_link *presets = rung_link_presets(&count);
    const char *wanted = strncmp(name, starlink, sizeof starlink - 1) == 0 ? "satellite" : name;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(wanted, presets[i].name, strlen(presets[i].name)) == 0) {
            return &presets[i];
        }
    }
    return &cascade->level[cascade->num_levels - 1].link;
}

static rung_status run_traces(survey *s, const char *directory, rung_error *error)
{
    rung_traces traces = {0};
    rung_status status = rung_traces_load(directory, &traces, error);
    for (size_t i = 0; status == RUNG_OK && i < traces.count; i++) {
        rung_network_case where;
        const rung_directory_trace *item = &traces.items[i];
        const rung_link *rest = rest_of(s->evaluation->cascade, item->name);
        rung_link link = rung_network_trace_link(item->trace, rest, item->name);
        rung_network_case_link(s->evaluation->cascade, &link, &where);
        snprintf(where.name, sizeof where.name, "trace %s (rest: %s)", item->name, rest->name);
        status = run_case(s, &where, error);
    }
    rung_traces_deinit(&traces);
    return status;
}

static rung_status run_speeds(survey *s, rung_error *error)
{
    static const double factors[] = {0.5, 2};
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < sizeof factors / sizeof factors[0]; i++) {
        char name[48];
        rung_network_case where;
        snprintf(name, sizeof name, "as configured, speeds x %g", factors[i]);
        rung_network_case_speed(s->evaluation->cascade, factors[i], name, &where);
        status = run_case(s, &where, error);
    }
    return status;
}

static void write_introduction(const survey *s, rung_report *report, bool has_traces)
{
    rung_report_heading(report, 2, "Networks");
    rung_report_text(
        report,
        "Each preset%s is the link to the top level; the links below are as configured. Then all speeds are halved "
        "and doubled. For every network each method is tuned again with %zu trials and certified to agree with "
        "the top level on %g %%; only Tabi as the paper sets it is taken as it is.%s",
        has_traces ? " and each measured trace" : "", s->trials, RUNG_HEADLINE_AGREEMENT * 100,
        has_traces ? " What a trace has not measured comes from the preset in parentheses." : "");
}

static void write_findings(const survey *s, rung_report *report)
{
    rung_report_text(report, "Over the %zu networks, the mean time by ours:", s->cases);
    for (size_t i = 0; i < OURS; i++) {
        char gap[96] = "";
        if (s->gap[i].least <= s->gap[i].most) {
            snprintf(gap, sizeof gap, "; %.0f to %.0f %% of the gap to the oracle closed",
                     rung_whole_percent(s->gap[i].least), rung_whole_percent(s->gap[i].most));
        }
        rung_report_text(report, "- %s: %.2f to %.2f times%s; ours is slower on %zu.", names[i], s->faster[i].least,
                         s->faster[i].most, gap, s->slower[i]);
    }
}

rung_status rung_section_networks(const rung_evaluation *evaluation, rung_report *report,
                                  const rung_contestants *contestants, const char *traces, rung_error *error)
{
    survey s = {.evaluation = evaluation, .report = report, .contestants = contestants};
    s.trials = report->trials / TRIALS_SHARE > 0 ? report->trials / TRIALS_SHARE : 1;
    for (size_t i = 0; i < METHODS; i++) {
        s.faster[i] = s.gap[i] = (range){.least = DBL_MAX, .most = -DBL_MAX};
    }
    rung_table_init(&s.table, columns, sizeof columns / sizeof columns[0]);
    rung_status status = run_presets(&s, error);
    if (status == RUNG_OK && traces != NULL) {
        status = run_traces(&s, traces, error);
    }
    if (status == RUNG_OK) {
        status = run_speeds(&s, error);
    }
    if (status == RUNG_OK) {
        write_introduction(&s, report, traces != NULL);
        status = rung_report_table(report, &s.table, "networks", error);
    }
    if (status == RUNG_OK) {
        write_findings(&s, report);
    }
    rung_table_deinit(&s.table);
    return status;
}
