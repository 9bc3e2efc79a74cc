/* section_headline.c: the methods at a certified agreement. See section_headline.h. */
#include "eval/section_headline.h"

#include "base/memory.h"
#include "eval/compare.h"
#include "plan/certify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GOAL_TIMES_FASTER 4.0
#define GOAL_BYTES_SHARE 0.25
#define TOP_NAME "always top"

/* Contenders: the top level first, then the contestants in their order. */
enum { TOP, OURS };

typedef struct headline {
    const rung_evaluation *evaluation;
    const rung_contestants *contestants;
    rung_contender *items; /* [1 + contestants->count] */
    size_t count;          /* measured so far */
    rung_oracle oracle;
} headline;

static void release(headline *h)
{
    for (size_t i = 0; i < h->count; i++) {
        rung_contender_deinit(&h->items[i]);
    }
    free(h->items);
    rung_oracle_deinit(&h->oracle);
}

static rung_status pick_one(const headline *h, const rung_entrant *entrant, bool certified, rung_pick *pick,
                            rung_error *error)
{
    if (certified) {
        return rung_pick_agreeing(h->evaluation, entrant, RUNG_HEADLINE_AGREEMENT, RUNG_HEADLINE_DELTA, pick, error);
    }
    rung_pick_agreeing_uncertified(entrant, RUNG_HEADLINE_AGREEMENT, pick);
    return RUNG_OK;
}

static rung_status measure_all(headline *h, bool certified, rung_error *error)
{
    rung_pick *pick = rung_alloc(1, sizeof *pick, "pick", error);
    h->items = rung_alloc(1 + h->contestants->count, sizeof *h->items, "contenders", error);
    rung_status status = pick == NULL || h->items == NULL ? RUNG_NO_MEMORY : rung_pick_top(h->evaluation, pick, error);
    for (size_t i = 0; status == RUNG_OK && i <= h->contestants->count; i++) {
        const rung_entrant *entrant = i == TOP ? NULL : &h->contestants->entrants[i - 1];
        if (entrant != NULL) {
            status = pick_one(h, entrant, certified, pick, error);
        }
        if (status == RUNG_OK) {
            status = rung_contender_measure(h->evaluation, NULL, entrant == NULL ? TOP_NAME : entrant->method.name,
                                            pick, &h->items[i], error);
        }
        h->count += status == RUNG_OK;
    }
    free(pick);
    return status;
}

static rung_status compare_all(headline *h, const rung_report *report, rung_error *error)
{
    rung_status status = rung_oracle_make(h->evaluation, NULL, &h->oracle, error);
    rung_comparison comparison = {
        .items = h->items, .count = h->count, .top = TOP, .ours = OURS, .oracle = &h->oracle, .by_agreement = true};
    return status == RUNG_OK ? rung_compare(&report->bootstrap, &comparison, error) : status;
}

#define MOST_COLUMNS (11 + RUNG_TAPE_LIMIT_LEVELS)

static const rung_column certified_columns[] = {
    {.name = "method", .kind = RUNG_COLUMN_TEXT},
    {.name = "certified", .kind = RUNG_COLUMN_TEXT},
    {.name = "mean", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
    {.name = "p95", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 1, .interval = true},
    {.name = "accuracy", .kind = RUNG_COLUMN_SHARE, .decimals = 4, .interval = true},
    {.name = "agreement", .kind = RUNG_COLUMN_SHARE, .decimals = 4, .interval = true},
    {.name = "bytes", .kind = RUNG_COLUMN_NUMBER, .decimals = 0, .interval = true},
    {.name = "of always top's bytes", .kind = RUNG_COLUMN_PERCENT, .decimals = 1, .interval = true},
    {.name = "times faster than always top", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
    {.name = "its time by ours", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
    {.name = "gap closed by ours", .kind = RUNG_COLUMN_PERCENT, .decimals = 0, .interval = true},
};

#define NUM_CERTIFIED (sizeof certified_columns / sizeof certified_columns[0])

static void add_certified(const headline *h, rung_table *table, size_t i)
{
    const rung_contender *item = &h->items[i];
    rung_table_text(table, item->name);
    rung_table_text(table, i == TOP ? "by definition" : rung_pick_certified_word(&item->pick));
    rung_table_interval(table, item->mean_ms);
    rung_table_interval(table, item->p95_ms);
    rung_table_interval(table, item->accuracy);
    rung_table_interval(table, item->agreement);
    rung_table_interval(table, item->bytes);
    rung_table_interval(table, item->bytes_share);
    rung_table_interval(table, item->times_faster);
    rung_table_interval(table, item->ours_faster);
    rung_table_interval(table, item->gap_closed);
    for (uint32_t l = 0; l < h->evaluation->cascade->num_levels; l++) {
        rung_table_number(table, item->measured.summary.visited[l]);
    }
}

static rung_status write_certified(const headline *h, rung_report *report, rung_error *error)
{
    static const char *const visited[] = {"visit level 1", "visit level 2", "visit level 3",
                                          "visit level 4", "visit level 5", "visit level 6"};
    rung_column columns[MOST_COLUMNS];
    memcpy(columns, certified_columns, sizeof certified_columns);
    uint32_t levels = h->evaluation->cascade->num_levels;
    for (uint32_t l = 0; l < levels; l++) {
        columns[NUM_CERTIFIED + l] =
            (rung_column){.name = visited[l], .kind = RUNG_COLUMN_PERCENT, .decimals = 1, .interval = false};
    }
    rung_table table;
    rung_table_init(&table, columns, NUM_CERTIFIED + levels);
    for (size_t i = 0; i < h->count; i++) {
        add_certified(h, &table, i);
    }
    rung_status status = rung_report_table(report, &table, "headline", error);
    rung_table_deinit(&table);
    return status;
}

static void write_introduction(const headline *h, rung_report *report)
{
    const rung_study *study = &h->evaluation->study;
    rung_buffer statement = {0};
    rung_certify_statement((rung_target){RUNG_TARGET_AGREEMENT, RUNG_HEADLINE_AGREEMENT}, RUNG_HEADLINE_DELTA,
                           study->certify.count, &statement);
    rung_report_heading(report, 2, "Headline: certified agreement with the top level");
    rung_report_text(
        report,
        "Each method's policies that are worth having on the rows to tune on are tested on the rows to "
        "certify on, safest first; the fastest of those that hold is deployed and measured on the %zu rows "
        "to report on, which were not looked at before. A method none of whose policies holds deploys "
        "the top level alone, and so does one whose policies that hold are all slower than that. What a certificate "
        "says: %s",
        study->report.count, statement.data == NULL ? "" : statement.data);
    report->text.failed = report->text.failed || statement.failed;
    rung_buffer_deinit(&statement);
    rung_report_text(
        report,
        "In brackets: %g %% intervals. Those of shares are Wilson's; the others are from %zu resamples of the "
        "rows, the same for all methods, so that ratios are paired. \"Gap closed\": of the time between a "
        "method and an oracle, what ours saves. The oracle knows the truth of each request and takes the "
        "cheapest exit that reaches as much agreement as ours.",
        report->bootstrap.confidence * 100, report->bootstrap.resamples);
}

static const rung_contender *find(const headline *h, const char *name)
{
    for (size_t i = 0; i < h->count; i++) {
        if (strcmp(h->items[i].name, name) == 0) {
            return &h->items[i];
        }
    }
    return NULL;
}

static void write_gap(const headline *h, rung_report *report, const char *name, const char *label)
{
    const rung_contender *baseline = find(h, name);
    if (baseline == NULL) {
        return;
    }
    if (isnan(baseline->gap_closed.value)) {
        rung_report_text(report, "%s is as fast as the oracle at our agreement: there is no gap.", label);
        return;
    }
    rung_report_text(
        report,
        "Against %s: %.2f times less mean time [%.2f, %.2f], and %.0f %% of the gap to the oracle closed [%.0f, "
        "%.0f].",
        label, baseline->ours_faster.value, baseline->ours_faster.low, baseline->ours_faster.high,
        rung_whole_percent(baseline->gap_closed.value), rung_whole_percent(baseline->gap_closed.low),
        rung_whole_percent(baseline->gap_closed.high));
}

static void write_findings(const headline *h, rung_report *report)
{
    const rung_contender *ours = &h->items[OURS];
    const rung_summary *summary = &ours->measured.summary;
    bool agrees = ours->agreement.value >= RUNG_HEADLINE_AGREEMENT;
    bool reached = ours->pick.certified && agrees && ours->times_faster.value >= GOAL_TIMES_FASTER &&
                   ours->bytes_share.value <= GOAL_BYTES_SHARE;
    rung_report_goal(
        report, reached,
        "against always-top at >= %g %% agreement: %.2f times less mean time [%.2f, %.2f] (goal: %g), %.1f %% of "
        "the bytes [%.1f, %.1f] (goal: at most %g %%), agreement %.4f [%.4f, %.4f], %s.",
        RUNG_HEADLINE_AGREEMENT * 100, ours->times_faster.value, ours->times_faster.low, ours->times_faster.high,
        GOAL_TIMES_FASTER, ours->bytes_share.value * 100, ours->bytes_share.low * 100, ours->bytes_share.high * 100,
        GOAL_BYTES_SHARE * 100, ours->agreement.value, ours->agreement.low, ours->agreement.high,
        ours->pick.certified ? "certified" : "not certified");
    rung_comparison comparison = {
        .items = h->items, .count = h->count, .ours = OURS, .oracle = &h->oracle, .by_agreement = true};
    rung_report_text(report,
                     "The oracle needs %.2f ms for the agreement that ours reached (%.4f) and %.2f ms for its accuracy "
                     "(%.4f); ours takes %.2f ms.",
                     rung_comparison_oracle_ms(&comparison), summary->agreement,
                     rung_oracle_accurate_ms(&h->oracle, summary->accuracy), summary->accuracy, summary->mean_ms);
    write_gap(h, report, "tabi", "tuned Tabi");
    write_gap(h, report, "tangobert", "the tuned plain threshold (TangoBERT)");
}

static const rung_column uncertified_columns[] = {
    {.name = "method", .kind = RUNG_COLUMN_TEXT},
    {.name = "mean", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
    {.name = "agreement", .kind = RUNG_COLUMN_SHARE, .decimals = 4, .interval = true},
    {.name = "below the target", .kind = RUNG_COLUMN_TEXT},
    {.name = "times faster than always top", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
    {.name = "its time by ours", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
};

static rung_status write_uncertified(const headline *h, rung_report *report, rung_error *error)
{
    size_t below = 0;
    rung_table table;
    rung_table_init(&table, uncertified_columns, sizeof uncertified_columns / sizeof uncertified_columns[0]);
    for (size_t i = 0; i < h->count; i++) {
        const rung_contender *item = &h->items[i];
        bool is_below = item->agreement.value < RUNG_HEADLINE_AGREEMENT;
        below += is_below;
        rung_table_text(&table, item->name);
        rung_table_interval(&table, item->mean_ms);
        rung_table_interval(&table, item->agreement);
        rung_table_text(&table, is_below ? "yes" : "no");
        rung_table_interval(&table, item->times_faster);
        rung_table_interval(&table, item->ours_faster);
    }
    rung_report_heading(report, 3, "Without certification");
    rung_report_text(
        report,
        "The same, but each method deploys its fastest policy that agreed on %g %% of the rows to tune on (its "
        "best where none did). %zu of %zu methods are below the target on the rows to report on.",
        RUNG_HEADLINE_AGREEMENT * 100, below, h->count - 1);
    rung_status status = rung_report_table(report, &table, "headline_uncertified", error);
    rung_table_deinit(&table);
    return status;
}

rung_status rung_section_headline(const rung_evaluation *evaluation, rung_report *report,
                                  const rung_contestants *contestants, rung_pick *pick, rung_error *error)
{
    headline certified = {.evaluation = evaluation, .contestants = contestants};
    headline uncertified = {.evaluation = evaluation, .contestants = contestants};
    rung_status status = measure_all(&certified, true, error);
    if (status == RUNG_OK) {
        status = compare_all(&certified, report, error);
    }
    if (status == RUNG_OK) {
        write_introduction(&certified, report);
        status = write_certified(&certified, report, error);
    }
    if (status == RUNG_OK) {
        write_findings(&certified, report);
        status = measure_all(&uncertified, false, error);
    }
    if (status == RUNG_OK) {
        status = compare_all(&uncertified, report, error);
    }
    if (status == RUNG_OK) {
        status = write_uncertified(&uncertified, report, error);
    }
    if (status == RUNG_OK && pick != NULL) {
        *pick = certified.items[OURS].pick;
    }
    release(&certified);
    release(&uncertified);
    return status;
}
