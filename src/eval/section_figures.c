/* section_figures.c: the figures of the report. See section_figures.h. */
#include "eval/section_figures.h"

#include "base/memory.h"
#include "cascade/offload.h"
#include "cascade/prune.h"
#include "eval/attention_figure.h"
#include "eval/report_plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(values) (sizeof(values) / sizeof(values)[0])

/* Fig. 4: Eq 7 at the paper's t. */
static rung_status draw_offload(rung_report *report, rung_error *error)
{
    enum { POINTS = 401, CURVES = 4 };
    static const double threshold = 0.7;
    static const double ks[CURVES] = {4, 6, 10, 0};
    static const char *const names[CURVES] = {"k = 4", "k = 6", "k = 10", "hard"};
    double x[POINTS];
    double y[CURVES][POINTS];
    rung_plot_series series[CURVES];
    for (size_t c = 0; c < CURVES; c++) {
        rung_offload_policy policy = {.threshold = {threshold}, .hard = ks[c] == 0, .k = ks[c]};
        for (size_t i = 0; i < POINTS; i++) {
            x[i] = 0.5 + 0.5 * (double)i / (POINTS - 1);
            y[c][i] = rung_offload_probability(&policy, 1, x[i]);
        }
        series[c] = (rung_plot_series){.name = names[c], .style = RUNG_PLOT_LINES, .count = POINTS, .x = x, .y = y[c]};
    }
    rung_plot plot = {.title = "Probability that a request goes up (Eq 7, t = 0.7)",
                      .x = {.label = "confidence", .low = 0.5, .high = 1},
                      .y = {.label = "probability of offloading", .low = 0, .high = 1.05},
                      .series = series,
                      .num_series = CURVES};
    return rung_report_plot(report, &plot, "fig4_offload",
                            "confidence against the probability of offloading (the paper's Fig. 4; it states no k)",
                            error);
}

static size_t count_words(const rung_input *input)
{
    rung_word none;
    return rung_split_words(input->text, input->text_bytes, &none, 1);
}

/* The first text of the report rows that is short enough to be read, of that label, and not of a pair; n when there is none. */
static size_t find_text(const rung_evaluation *evaluation, uint32_t label, size_t most_words)
{
    const rung_rows *report = &evaluation->study.report;
    for (size_t i = 0; i < report->count; i++) {
        const rung_input *input = &evaluation->inputs[report->rows[i]];
        size_t words = input->text_pair == NULL ? count_words(input) : 0;
        if (evaluation->labels[report->rows[i]] == label && words >= most_words / 3 && words <= most_words) {
            return i;
        }
    }
    return report->count;
}

/* Fig. 6, two texts of different labels. */
static rung_status draw_attention(const rung_evaluation *evaluation, rung_report *report, rung_error *error)
{
    static const size_t most_words[] = {75, 150, 400};
    rung_policy policy;
    rung_status status = rung_policy_defaults("rung", evaluation->cascade->num_levels, &policy, error);
    for (uint32_t label = 0; status == RUNG_OK && label < 2; label++) {
        size_t found = evaluation->study.report.count;
        for (size_t k = 0; k < COUNT(most_words) && found == evaluation->study.report.count; k++) {
            found = find_text(evaluation, label, most_words[k]);
        }
        if (found == evaluation->study.report.count) {
            rung_report_text(report, "No single text of a readable length has the label \"%s\": no figure 6 of one.",
                             evaluation->cascade->labels[label]);
            continue;
        }
        status =
            rung_attention_figures(evaluation, report, &policy, evaluation->study.report.rows[found], label + 1, error);
    }
    return status;
}

/* Figs. 8 and 9: bars by tau, in groups by t. */
static rung_status draw_bars(rung_report *report, const rung_table1 *table1, bool time, rung_error *error)
{
    static const char *const groups[RUNG_TABLE1_THRESHOLDS] = {"t = 0.9", "t = 0.8", "t = 0.7"};
    static const char *const names[RUNG_TABLE1_TAUS] = {"tau = 0", "tau = .01", "tau = 1e-4", "tau = 1e-5"};
    double values[RUNG_TABLE1_TAUS][3][RUNG_TABLE1_THRESHOLDS];
    rung_plot_series series[RUNG_TABLE1_TAUS];
    double least = 1;
    for (size_t i = 0; i < RUNG_TABLE1_TAUS; i++) {
        for (size_t k = 0; k < RUNG_TABLE1_THRESHOLDS; k++) {
            const rung_table1_cell *cell = &table1->cell[i][k];
            const rung_interval *interval = time ? &cell->mean_ms : &cell->accuracy;
            values[i][0][k] = interval->value;
            values[i][1][k] = interval->low;
            values[i][2][k] = interval->high;
            least = fmin(least, interval->low);
        }
        series[i] = (rung_plot_series){.name = names[i],
                                       .count = RUNG_TABLE1_THRESHOLDS,
                                       .y = values[i][0],
                                       .low = values[i][1],
                                       .high = values[i][2]};
    }
    rung_plot plot = {.title = time ? "Mean time by configuration, policy paper"
                                    : "Accuracy by configuration, policy paper (the axis does not start at 0)",
                      .x = {.label = "confidence threshold"},
                      .y = {.label = time ? "mean time" : "accuracy", .unit = time ? "ms" : NULL},
                      .series = series,
                      .num_series = RUNG_TABLE1_TAUS,
                      .groups = groups,
                      .num_groups = RUNG_TABLE1_THRESHOLDS};
    if (!time) {
        plot.y.low = floor(20 * least) / 20;
        plot.y.high = 1;
    }
    return rung_report_plot(report, &plot, time ? "fig8_time" : "fig9_accuracy",
                            time ? "mean time by configuration (the paper's Fig. 8)"
                                 : "accuracy by configuration (the paper's Fig. 9)",
                            error);
}

/* A method's policies that were worth having on the rows to tune on, on the report rows. */
typedef struct front {
    rung_summary *summaries; /* [count] */
    size_t count;
} front;

static rung_status measure_front(const rung_evaluation *evaluation, const rung_entrant *entrant, front *out,
                                 rung_outcome *outcomes, rung_error *error)
{
    const rung_study *study = &evaluation->study;
    out->summaries = rung_alloc(entrant->num_front, sizeof *out->summaries, "frontier", error);
    rung_status status = out->summaries == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < entrant->num_front; i++) {
        const rung_candidate *candidate = &entrant->candidates.items[entrant->front[i]];
        status = rung_scheme_replay(study, &candidate->scheme, NULL, &study->report, false, outcomes, error);
        if (status == RUNG_OK) {
            out->summaries[i] = rung_summarize(study, &study->report, outcomes);
            out->count = i + 1;
        }
    }
    return status;
}

static rung_status write_fronts(rung_report *report, const rung_contestants *contestants, const front *fronts,
                                rung_error *error)
{
    static const rung_column columns[] = {
        {.name = "method", .kind = RUNG_COLUMN_TEXT},
        {.name = "candidate", .kind = RUNG_COLUMN_NUMBER},
        {.name = "tuned mean", .unit = "ms", .kind = RUNG_COLUMN_NUMBER},
        {.name = "tuned accuracy", .kind = RUNG_COLUMN_SHARE},
        {.name = "tuned agreement", .kind = RUNG_COLUMN_SHARE},
        {.name = "mean", .unit = "ms", .kind = RUNG_COLUMN_NUMBER},
        {.name = "p95", .unit = "ms", .kind = RUNG_COLUMN_NUMBER},
        {.name = "accuracy", .kind = RUNG_COLUMN_SHARE},
        {.name = "agreement", .kind = RUNG_COLUMN_SHARE},
        {.name = "bytes up", .kind = RUNG_COLUMN_NUMBER},
        {.name = "bytes down", .kind = RUNG_COLUMN_NUMBER},
    };
    rung_table table;
    rung_table_init(&table, columns, COUNT(columns));
    for (size_t m = 0; m < contestants->count; m++) {
        const rung_entrant *entrant = &contestants->entrants[m];
        for (size_t i = 0; i < fronts[m].count; i++) {
            const rung_summary *tuned = &entrant->candidates.items[entrant->front[i]].tuned;
            const rung_summary *at = &fronts[m].summaries[i];
            rung_table_text(&table, entrant->method.name);
            rung_table_number(&table, (double)entrant->front[i]);
            rung_table_number(&table, tuned->mean_ms);
            rung_table_number(&table, tuned->accuracy);
            rung_table_number(&table, tuned->agreement);
            rung_table_number(&table, at->mean_ms);
            rung_table_number(&table, at->p95_ms);
            rung_table_number(&table, at->accuracy);
            rung_table_number(&table, at->agreement);
            rung_table_number(&table, at->bytes_up);
            rung_table_number(&table, at->bytes_down);
        }
    }
    rung_status status = rung_report_csv(report, &table, "frontier", error);
    rung_table_deinit(&table);
    return status;
}

/* Of the front, which is fastest first, those better on the rows to tune on than all that are faster. xs, ys [2 * ]; returns how many. */
static size_t rising(const rung_entrant *entrant, const front *of, bool agreement, double *x, double *y)
{
    size_t count = 0;
    double best = -1;
    for (size_t i = 0; i < of->count; i++) {
        const rung_summary *tuned = &entrant->candidates.items[entrant->front[i]].tuned;
        double quality = agreement ? tuned->agreement : tuned->accuracy;
        if (quality > best) {
            best = quality;
            x[count] = of->summaries[i].mean_ms;
            y[count++] = agreement ? of->summaries[i].agreement : of->summaries[i].accuracy;
        }
    }
    return count;
}

static double least_shown(const rung_plot_series *series, size_t count)
{
    double most = 0;
    for (size_t s = 0; s < count; s++) {
        for (size_t i = 0; i < series[s].count; i++) {
            most = fmax(most, series[s].y[i]);
        }
    }
    return floor(50 * (most - 0.12)) / 50; /* what is far below the best is of no use */
}

static rung_status draw_fronts(rung_report *report, const rung_contestants *contestants, const front *fronts,
                               bool agreement, rung_error *error)
{
    rung_plot_series series[RUNG_PLOT_SERIES];
    size_t shown = contestants->count < RUNG_PLOT_SERIES ? contestants->count : RUNG_PLOT_SERIES;
    double *points = rung_alloc(shown, (size_t)2 * RUNG_CONTEST_MOST_FRONT * sizeof *points, "frontier", error);
    if (points == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t m = 0; m < shown; m++) {
        double *x = points + m * 2 * RUNG_CONTEST_MOST_FRONT;
        double *y = x + RUNG_CONTEST_MOST_FRONT;
        series[m] = (rung_plot_series){.name = contestants->entrants[m].method.name,
                                       .style = RUNG_PLOT_LINES_POINTS,
                                       .count = rising(&contestants->entrants[m], &fronts[m], agreement, x, y),
                                       .x = x,
                                       .y = y};
    }
    rung_plot plot = {.title = agreement ? "Agreement with the top level and mean time, all methods"
                                         : "Accuracy and mean time, all methods",
                      .x = {.label = "mean time", .unit = "ms", .log = true},
                      .y = {.label = agreement ? "agreement with the top level" : "accuracy"},
                      .series = series,
                      .num_series = shown};
    plot.y.low = least_shown(series, shown);
    plot.y.high = agreement ? 1.005 : plot.y.low + 0.16;
    rung_status status =
        rung_report_plot(report, &plot, agreement ? "frontier_agreement" : "frontier_accuracy",
                         agreement ? "policies that no faster one beats by agreement on the rows to tune on, as they "
                                     "are on the report rows; the scale of time is logarithmic"
                                   : "the same by accuracy",
                         error);
    free(points);
    return status;
}

static rung_status draw_frontiers(const rung_evaluation *evaluation, rung_report *report,
                                  const rung_contestants *contestants, rung_error *error)
{
    front *fronts = rung_alloc(contestants->count, sizeof *fronts, "frontier", error);
    rung_outcome *outcomes = rung_alloc(evaluation->study.report.count, sizeof *outcomes, "frontier", error);
    rung_status status = fronts == NULL || outcomes == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (size_t m = 0; status == RUNG_OK && m < contestants->count; m++) {
        status = measure_front(evaluation, &contestants->entrants[m], &fronts[m], outcomes, error);
        rung_progress_report(report->progress, "frontiers", m + 1, contestants->count);
    }
    if (status == RUNG_OK) {
        status = write_fronts(report, contestants, fronts, error);
    }
    if (status == RUNG_OK) {
        status = draw_fronts(report, contestants, fronts, true, error);
    }
    if (status == RUNG_OK) {
        status = draw_fronts(report, contestants, fronts, false, error);
    }
    if (status == RUNG_OK) {
        rung_report_text(report, "All points of both figures: [frontier.csv](frontier.csv); `candidate` is the "
                                 "policy's number in [candidates.csv](candidates.csv).");
    }
    for (size_t m = 0; fronts != NULL && m < contestants->count; m++) {
        free(fronts[m].summaries);
    }
    free(fronts);
    free(outcomes);
    return status;
}

/* Schemes whose requests are shown one by one. */
enum { OURS, TABI, PLAIN, PAPER, TOP, SHOWN };
static const char *const shown_names[SHOWN] = {"rung, certified", "tabi, t = .8, k = 10", "plain threshold, certified",
                                               "paper, t = .8, tau = .01", "always top"};

/* A policy by name with the threshold .8 at every level; tau 0: all layers. */
static rung_status choose_named(const rung_evaluation *evaluation, const char *name, double tau, rung_pick *pick,
                                rung_error *error)
{
    rung_status status = rung_pick_named(evaluation, name, 0.8, pick, error);
    if (status == RUNG_OK && tau > 0) {
        pick->scheme.policy.exit.tau = tau;
        status = rung_scheme_fit(&evaluation->study, &pick->scheme, error);
    }
    return status;
}

static rung_status choose_shown(const rung_evaluation *evaluation, const rung_contestants *contestants,
                                const rung_pick *ours, size_t which, rung_pick *pick, rung_error *error)
{
    const rung_entrant *plain = rung_contestants_find(contestants, "tangobert");
    switch (which) {
    case OURS:
        *pick = *ours;
        return RUNG_OK;
    case TABI:
        return choose_named(evaluation, "tabi", 0, pick, error);
    case PAPER:
        return choose_named(evaluation, "paper", 0.01, pick, error);
    case PLAIN:
        return plain != NULL ? rung_pick_agreeing(evaluation, plain, 0.98, 0.05, pick, error)
                             : choose_named(evaluation, "tangobert", 0, pick, error);
    default:
        return rung_pick_top(evaluation, pick, error);
    }
}

static rung_status draw_latencies(rung_report *report, const rung_measured *shown, rung_error *error)
{
    rung_plot_series series[SHOWN];
    for (size_t i = 0; i < SHOWN; i++) {
        series[i] = (rung_plot_series){
            .name = shown_names[i], .style = RUNG_PLOT_CDF, .count = shown[i].n, .x = shown[i].latency_ms};
    }
    rung_plot plot = {.title = "Time of a request",
                      .x = {.label = "time", .unit = "ms", .log = true},
                      .y = {.label = "share of requests", .low = 0, .high = 1},
                      .series = series,
                      .num_series = SHOWN};
    return rung_report_plot(report, &plot, "latency_cdf",
                            "share of the report rows that is answered within a time; the scale is logarithmic", error);
}

/* Bars: where requests stop computing, at each exit of each level. */
static rung_status draw_exits(const rung_evaluation *evaluation, rung_report *report, const rung_measured *shown,
                              rung_error *error)
{
    enum { MOST = RUNG_TAPE_LIMIT_LEVELS * RUNG_TIMING_MAX_LAYERS, SERIES = 3, NAME_BYTES = 32 };
    static const size_t which[SERIES] = {OURS, PAPER, TABI};
    const rung_cascade *cascade = evaluation->cascade;
    size_t first[RUNG_TAPE_LIMIT_LEVELS];
    size_t count = 0;
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        first[l] = count;
        count += cascade->level[l].model->config.num_layers;
    }
    char(*names)[NAME_BYTES] = rung_alloc(MOST, sizeof *names, "exits", error);
    const char **groups = rung_alloc(MOST, sizeof *groups, "exits", error);
    double *shares = rung_alloc((size_t)SERIES * MOST, sizeof *shares, "exits", error);
    rung_status status = names == NULL || groups == NULL || shares == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    rung_plot_series series[SERIES];
    for (uint32_t l = 0; status == RUNG_OK && l < cascade->num_levels; l++) {
        for (size_t e = 0; e < cascade->level[l].model->config.num_layers; e++) {
            snprintf(names[first[l] + e], NAME_BYTES, "%u.%zu", l + 1, e + 1);
            groups[first[l] + e] = names[first[l] + e];
        }
    }
    for (size_t s = 0; status == RUNG_OK && s < SERIES; s++) {
        const rung_measured *measured = &shown[which[s]];
        for (size_t i = 0; i < measured->n; i++) {
            for (uint32_t l = 0; l < cascade->num_levels; l++) {
                uint8_t layer = measured->outcomes[i].exit_layer[l];
                if (layer > 0) {
                    shares[s * MOST + first[l] + layer - 1] += 1 / (double)measured->n;
                }
            }
        }
        series[s] = (rung_plot_series){.name = shown_names[which[s]], .count = count, .y = shares + s * MOST};
    }
    if (status == RUNG_OK) {
        rung_plot plot = {.title = "Where requests stop computing",
                          .x = {.label = "level.layer"},
                          .y = {.label = "share of all requests"},
                          .series = series,
                          .num_series = SERIES,
                          .groups = groups,
                          .num_groups = count};
        status = rung_report_plot(report, &plot, "exits",
                                  "exits by layer: a request counts once at each level that computed it", error);
    }
    free(names);
    free(groups);
    free(shares);
    return status;
}

static rung_status draw_requests(const rung_evaluation *evaluation, rung_report *report,
                                 const rung_contestants *contestants, const rung_pick *ours, rung_error *error)
{
    rung_measured shown[SHOWN] = {{0}};
    rung_pick *pick = rung_alloc(1, sizeof *pick, "figure", error);
    rung_status status = pick == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < SHOWN; i++) {
        status = choose_shown(evaluation, contestants, ours, i, pick, error);
        if (status == RUNG_OK) {
            status = rung_measure(evaluation, &pick->scheme, NULL, &shown[i], error);
        }
    }
    if (status == RUNG_OK) {
        status = draw_latencies(report, shown, error);
    }
    if (status == RUNG_OK) {
        status = draw_exits(evaluation, report, shown, error);
    }
    for (size_t i = 0; i < SHOWN; i++) {
        rung_measured_deinit(&shown[i]);
    }
    free(pick);
    return status;
}

rung_status rung_section_figures(const rung_evaluation *evaluation, rung_report *report,
                                 const rung_contestants *contestants, const rung_table1 *table1, const rung_pick *pick,
                                 rung_error *error)
{
    rung_report_heading(report, 2, "Figures");
    rung_status status = draw_offload(report, error);
    if (status == RUNG_OK) {
        status = draw_attention(evaluation, report, error);
    }
    if (status == RUNG_OK) {
        status = draw_bars(report, table1, true, error);
    }
    if (status == RUNG_OK) {
        status = draw_bars(report, table1, false, error);
    }
    if (status == RUNG_OK) {
        status = draw_frontiers(evaluation, report, contestants, error);
    }
    return status == RUNG_OK ? draw_requests(evaluation, report, contestants, pick, error) : status;
}
