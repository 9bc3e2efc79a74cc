/* section_tabi.c: pairs of Tabi and ours at equal accuracy or agreement. See section_tabi.h. */
#include "eval/section_tabi.h"

#include "base/memory.h"
#include "eval/accuracy_pick.h"
#include "eval/compare.h"
#include "eval/network_case.h"
#include "eval/section_headline.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TOLERANCE 0.002 /* of accuracy, that ours may be below Tabi's at most */
#define GOAL_PAPER 2.0
#define GOAL_TUNED 1.25
#define GOAL_GAP 0.5
#define BELOW_TOP 0.005 /* the accuracy to reach: the top level's less this */

static const char *const links[] = {"wifi", "4g"};
static const double thresholds[] = {0.7, 0.8, 0.9};

#define NUM_LINKS (sizeof links / sizeof links[0])
#define NUM_PAPER (sizeof thresholds / sizeof thresholds[0])

enum { TOP, TABI, OURS, SIDES };

typedef struct duel {
    char what[64]; /* Tabi's settings */
    rung_contender side[SIDES];
    double margin; /* of accuracy on known rows that ours had to have; NAN: none */
    bool found;    /* some policy of ours met what was asked */
} duel;

/* One network. */
typedef struct arena {
    const rung_evaluation *evaluation;
    const rung_report *report;
    rung_network_case where;
    rung_entrant own_tabi, own_ours; /* tuned for this network, where it is not the cascade's */
    const rung_entrant *tabi;
    const rung_entrant *ours;
    rung_oracle oracle;
    rung_pick top;
    duel duels[NUM_PAPER + 2];
    size_t num_duels;
} arena;

static void release(arena *a)
{
    for (size_t i = 0; i < a->num_duels; i++) {
        for (size_t s = 0; s < SIDES; s++) {
            rung_contender_deinit(&a->duels[i].side[s]);
        }
    }
    rung_entrant_deinit(&a->own_tabi);
    rung_entrant_deinit(&a->own_ours);
    rung_oracle_deinit(&a->oracle);
    free(a);
}

static rung_status tune(arena *a, const rung_contestants *contestants, rung_error *error)
{
    a->tabi = rung_contestants_find(contestants, "tabi");
    a->ours = rung_contestants_find(contestants, "rung");
    rung_status status = RUNG_OK;
    if (!a->where.is_configured) {
        status = rung_entrant_tune(a->evaluation, &a->tabi->method, &a->where.network, a->report->trials,
                                   a->report->progress, &a->own_tabi, error);
        if (status == RUNG_OK) {
            status = rung_entrant_tune(a->evaluation, &a->ours->method, &a->where.network, a->report->trials,
                                       a->report->progress, &a->own_ours, error);
        }
        a->tabi = &a->own_tabi;
        a->ours = &a->own_ours;
    }
    if (status == RUNG_OK) {
        status = rung_oracle_make(a->evaluation, &a->where.network, &a->oracle, error);
    }
    return status == RUNG_OK ? rung_pick_top(a->evaluation, &a->top, error) : status;
}

/* Measures and compares the two; d->what, margin and found are set. */
static rung_status fight(arena *a, const rung_pick *tabi, const rung_pick *ours, bool by_agreement, rung_error *error)
{
    duel *d = &a->duels[a->num_duels++];
    const rung_pick *picks[SIDES] = {&a->top, tabi, ours};
    static const char *const names[SIDES] = {"always top", "tabi", "rung"};
    rung_status status = RUNG_OK;
    for (size_t s = 0; status == RUNG_OK && s < SIDES; s++) {
        status = rung_contender_measure(a->evaluation, &a->where.network, names[s], picks[s], &d->side[s], error);
    }
    rung_comparison comparison = {
        .items = d->side, .count = SIDES, .top = TOP, .ours = OURS, .oracle = &a->oracle, .by_agreement = by_agreement};
    return status == RUNG_OK ? rung_compare(&a->report->bootstrap, &comparison, error) : status;
}

static rung_status fight_paper(arena *a, double threshold, rung_error *error)
{
    rung_pick tabi;
    rung_accuracy_pick ours;
    rung_status status = rung_pick_named(a->evaluation, "tabi", threshold, &tabi, error);
    if (status == RUNG_OK) {
        status = rung_pick_as_accurate(a->evaluation, a->ours, &tabi.scheme, TOLERANCE, a->report->bootstrap.confidence,
                                       &ours, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    duel *d = &a->duels[a->num_duels];
    snprintf(d->what, sizeof d->what, "the paper's, t = %g, k = %g", threshold, tabi.scheme.policy.offload.k);
    d->margin = ours.margin;
    d->found = ours.found;
    return fight(a, &tabi, &ours.pick, false, error);
}

static double top_accuracy(const rung_study *study)
{
    size_t right = 0;
    for (size_t i = 0; i < study->tune.count; i++) {
        size_t row = study->tune.rows[i];
        right += study->top_labels[row] == study->labels[row];
    }
    return (double)right / (double)study->tune.count;
}

static rung_status fight_tuned(arena *a, rung_error *error)
{
    rung_pick tabi;
    rung_pick ours;
    double accuracy = top_accuracy(&a->evaluation->study) - BELOW_TOP;
    duel *d = &a->duels[a->num_duels];
    rung_pick_accurate(a->tabi, accuracy, &tabi);
    rung_pick_accurate(a->ours, accuracy, &ours);
    snprintf(d->what, sizeof d->what, "tuned, accuracy >= %.3f when tuned", accuracy);
    d->margin = NAN;
    d->found = true;
    rung_status status = fight(a, &tabi, &ours, false, error);
    if (status == RUNG_OK) {
        status = rung_pick_agreeing(a->evaluation, a->tabi, RUNG_HEADLINE_AGREEMENT, RUNG_HEADLINE_DELTA, &tabi, error);
    }
    if (status == RUNG_OK) {
        status = rung_pick_agreeing(a->evaluation, a->ours, RUNG_HEADLINE_AGREEMENT, RUNG_HEADLINE_DELTA, &ours, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    d = &a->duels[a->num_duels];
    snprintf(d->what, sizeof d->what, "tuned, certified agreement >= %g", RUNG_HEADLINE_AGREEMENT);
    d->margin = NAN;
    d->found = ours.certified;
    return fight(a, &tabi, &ours, true, error);
}

static const rung_column columns[] = {
    {.name = "link to the top", .kind = RUNG_COLUMN_TEXT},
    {.name = "Tabi's settings", .kind = RUNG_COLUMN_TEXT},
    {.name = "Tabi", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
    {.name = "ours", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
    {.name = "times faster", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
    {.name = "Tabi p95", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 1, .interval = true},
    {.name = "our p95", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 1, .interval = true},
    {.name = "Tabi's accuracy", .kind = RUNG_COLUMN_SHARE, .decimals = 4},
    {.name = "our accuracy", .kind = RUNG_COLUMN_SHARE, .decimals = 4},
    {.name = "accuracy, ours less Tabi's", .kind = RUNG_COLUMN_NUMBER, .decimals = 4, .interval = true},
    {.name = "Tabi's agreement", .kind = RUNG_COLUMN_SHARE, .decimals = 4},
    {.name = "our agreement", .kind = RUNG_COLUMN_SHARE, .decimals = 4},
    {.name = "gap to the oracle closed", .kind = RUNG_COLUMN_PERCENT, .decimals = 0, .interval = true},
    {.name = "margin", .kind = RUNG_COLUMN_NUMBER, .decimals = 4},
};

static void add_rows(const arena *a, rung_table *table)
{
    for (size_t i = 0; i < a->num_duels; i++) {
        const duel *d = &a->duels[i];
        const rung_contender *tabi = &d->side[TABI];
        const rung_contender *ours = &d->side[OURS];
        rung_table_text(table, a->where.name);
        rung_table_text(table, d->what);
        rung_table_interval(table, tabi->mean_ms);
        rung_table_interval(table, ours->mean_ms);
        rung_table_interval(table, tabi->ours_faster);
        rung_table_interval(table, tabi->p95_ms);
        rung_table_interval(table, ours->p95_ms);
        rung_table_number(table, tabi->accuracy.value);
        rung_table_number(table, ours->accuracy.value);
        rung_table_interval(table, tabi->ours_accuracy);
        rung_table_number(table, tabi->agreement.value);
        rung_table_number(table, ours->agreement.value);
        rung_table_interval(table, tabi->gap_closed);
        rung_table_number(table, d->margin);
    }
}

static void write_paper_goal(const arena *a, rung_report *report)
{
    rung_buffer found = {0};
    bool reached = true;
    for (size_t i = 0; i < NUM_PAPER; i++) {
        const rung_contender *tabi = &a->duels[i].side[TABI];
        reached = reached && tabi->ours_faster.value >= GOAL_PAPER && tabi->ours_accuracy.low >= -TOLERANCE;
        rung_buffer_format(&found, "%st = %g: %.2f times [%.2f, %.2f] at %+.2f points [%+.2f, %+.2f]%s",
                           i == 0 ? "" : "; ", thresholds[i], tabi->ours_faster.value, tabi->ours_faster.low,
                           tabi->ours_faster.high, tabi->ours_accuracy.value * 100, tabi->ours_accuracy.low * 100,
                           tabi->ours_accuracy.high * 100,
                           a->duels[i].found ? "" : " (no policy had the margin; the nearest one is taken)");
    }
    rung_report_goal(
        report, reached,
        "less mean time than Tabi as the paper sets it, %s to the top (goal: %g times, accuracy at most %g points "
        "lower with all of its interval): %s.",
        a->where.name, GOAL_PAPER, TOLERANCE * 100, found.data == NULL ? "" : found.data);
    report->text.failed = report->text.failed || found.failed;
    rung_buffer_deinit(&found);
}

static void write_tuned_goal(const arena *a, rung_report *report, const duel *d, const char *what)
{
    const rung_contender *tabi = &d->side[TABI];
    bool has_gap = !isnan(tabi->gap_closed.value);
    bool reached = tabi->ours_faster.value >= GOAL_TUNED && has_gap && tabi->gap_closed.value >= GOAL_GAP;
    char gap[96] = "there is none";
    if (has_gap) {
        snprintf(gap, sizeof gap, "%.0f %% [%.0f, %.0f]", rung_whole_percent(tabi->gap_closed.value),
                 rung_whole_percent(tabi->gap_closed.low), rung_whole_percent(tabi->gap_closed.high));
    }
    rung_report_goal(
        report, reached,
        "less mean time than tuned Tabi %s, %s to the top: %.2f times [%.2f, %.2f] (goal: %g); gap to the oracle "
        "closed: %s (goal: %g %%).",
        what, a->where.name, tabi->ours_faster.value, tabi->ours_faster.low, tabi->ours_faster.high, GOAL_TUNED, gap,
        GOAL_GAP * 100);
}

static rung_status fill(arena *a, const rung_contestants *contestants, const char *link_name, rung_error *error)
{
    rung_link link;
    rung_status status = rung_link_find(link_name, &link, error);
    if (status == RUNG_OK) {
        rung_network_case_link(a->evaluation->cascade, &link, &a->where);
        status = tune(a, contestants, error);
    }
    for (size_t i = 0; status == RUNG_OK && i < NUM_PAPER; i++) {
        status = fight_paper(a, thresholds[i], error);
    }
    return status == RUNG_OK ? fight_tuned(a, error) : status;
}

static void write_introduction(rung_report *report)
{
    rung_report_heading(report, 2, "Against Tabi");
    rung_report_text(
        report,
        "Against Tabi as the paper sets it, ours is the fastest policy whose accuracy on the rows to tune on and "
        "to certify on exceeds Tabi's there by a margin: large enough that, with chance 4 in 5, the paired "
        "interval of the difference on the rows to report on lies above -%g points. Against tuned Tabi both pick "
        "by the same rule: the fastest policy whose accuracy on the rows to tune on is at most %g points below the "
        "top level's there; or the fastest that is certified to agree with the top level on %g %%. The links "
        "below the top level's are as configured; both methods are tuned for each network.",
        TOLERANCE * 100, BELOW_TOP * 100, RUNG_HEADLINE_AGREEMENT * 100);
}

static void write_goals(const arena *a, rung_report *report)
{
    write_paper_goal(a, report);
    write_tuned_goal(a, report, &a->duels[NUM_PAPER], "at the same accuracy");
    write_tuned_goal(a, report, &a->duels[NUM_PAPER + 1], "at certified agreement");
}

rung_status rung_section_tabi(const rung_evaluation *evaluation, rung_report *report,
                              const rung_contestants *contestants, rung_error *error)
{
    arena *arenas[NUM_LINKS] = {NULL};
    rung_table table;
    rung_status status = RUNG_OK;
    rung_table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; status == RUNG_OK && i < NUM_LINKS; i++) {
        arenas[i] = rung_alloc(1, sizeof *arenas[i], "comparison", error);
        if (arenas[i] == NULL) {
            status = RUNG_NO_MEMORY;
            break;
        }
        arenas[i]->evaluation = evaluation;
        arenas[i]->report = report;
        status = fill(arenas[i], contestants, links[i], error);
        if (status == RUNG_OK) {
            add_rows(arenas[i], &table);
        }
    }
    if (status == RUNG_OK) {
        write_introduction(report);
        status = rung_report_table(report, &table, "tabi", error);
    }
    for (size_t i = 0; i < NUM_LINKS; i++) {
        if (status == RUNG_OK) {
            write_goals(arenas[i], report);
        }
        if (arenas[i] != NULL) {
            release(arenas[i]);
        }
    }
    rung_table_deinit(&table);
    return status;
}
