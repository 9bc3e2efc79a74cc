/* section_calibration.c: calibration of the decisions. See section_calibration.h.
 *
 * After: what the levels said, pooled as the policy pools them, for the requests that reached the level's decision. Before: the same requests, exits and
 * weights, but every temperature and shape is 1, also that of the pools. The softmax without them follows from the one with them, since both are
 * monotone functions of the same logits. Where a level speculates, those above it decided on what it had found at an earlier exit, which is not
 * kept: they have no "before", and their "after" is that of the decision itself. */
#include "eval/section_calibration.h"

#include "base/math.h"
#include "base/memory.h"
#include "base/prng.h"
#include "cascade/confidence.h"
#include "cascade/ensemble.h"
#include "eval/report_plot.h"
#include "fit/scores.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAWS 200 /* of labels, for the error that chance alone makes */
#define LEAST_PROBABILITY 1e-300

/* A scheme on the report rows. */
typedef struct examined {
    const rung_evaluation *evaluation;
    const char *name;     /* in the table */
    const char *file;     /* part of the figures' names */
    rung_scheme scheme;   /* as it is */
    rung_calibration raw; /* without temperatures and shapes; lends from the study */
    rung_pool raw_pools[1u << RUNG_TAPE_LIMIT_LEVELS];
    rung_outcome *outcomes; /* [report] */
    double *said;           /* [count, num_levels, num_classes] by row, what each level said */
    size_t n;               /* requests that reached the level in turn */
    double *after, *before; /* [report, num_classes] of them */
    uint32_t *labels;       /* [report] */
    double *raw_said;       /* [num_levels, num_classes] of one request, without temperatures */
} examined;

static void release(examined *x)
{
    free(x->outcomes);
    free(x->said);
    free(x->after);
    free(x->before);
    free(x->labels);
    free(x->raw_said);
}

static rung_status reserve(examined *x, rung_error *error)
{
    const rung_study *study = &x->evaluation->study;
    size_t classes = x->evaluation->cascade->num_classes;
    size_t n = study->report.count;
    x->outcomes = rung_alloc(n, sizeof *x->outcomes, "calibration", error);
    x->said =
        rung_alloc(study->count, x->evaluation->cascade->num_levels * classes * sizeof *x->said, "calibration", error);
    x->after = rung_alloc(n, classes * sizeof *x->after, "calibration", error);
    x->before = rung_alloc(n, classes * sizeof *x->before, "calibration", error);
    x->labels = rung_alloc(n, sizeof *x->labels, "calibration", error);
    x->raw_said = rung_alloc(x->evaluation->cascade->num_levels, classes * sizeof *x->raw_said, "calibration", error);
    bool failed = x->outcomes == NULL || x->said == NULL || x->after == NULL || x->before == NULL ||
                  x->labels == NULL || x->raw_said == NULL;
    return failed ? RUNG_NO_MEMORY : RUNG_OK;
}

static rung_status replay(examined *x, rung_error *error)
{
    const rung_study *study = &x->evaluation->study;
    rung_calibration calibration = study->calibration;
    calibration.pools = x->scheme.pools;
    rung_replay_call call = {.policy = &x->scheme.policy,
                             .calibration = &calibration,
                             .rows = study->report.rows,
                             .num_rows = study->report.count,
                             .may_compute = true,
                             .notes_decisions = true,
                             .probabilities = x->said};
    rung_status status = rung_replay_run(study->replay, &call, x->outcomes, error);
    x->raw = study->calibration;
    for (uint32_t set = 0; set >> x->evaluation->cascade->num_levels == 0; set++) {
        x->raw_pools[set] = x->scheme.pools[set];
        x->raw_pools[set].accuracy_temperature = 1;
        x->raw_pools[set].fitted_temperature = 1;
    }
    x->raw.pools = x->raw_pools;
    return status;
}

/* The softmax at temperature and shape 1 of the logits whose probabilities at these are p [n]; in place. */
static void without_temperature(double *p, size_t n, double temperature, double shape)
{
    double most = -INFINITY;
    double sum = 0;
    for (size_t c = 0; c < n; c++) {
        p[c] = temperature * rung_log(fmax(p[c], LEAST_PROBABILITY));
        most = fmax(most, p[c]);
    }
    for (size_t c = 0; c < n; c++) {
        p[c] -= most;
        sum -= p[c];
    }
    double spread = n > 1 ? sum / (double)(n - 1) : 0; /* to the power of shape, of what it was */
    double factor = shape != 1 && spread > 0 ? rung_exp((shape - 1) / shape * rung_log(spread)) : 1;
    for (size_t c = 0; c < n; c++) {
        p[c] /= factor;
    }
    rung_softmax_f64(p, n, 1, p);
}

/* Some level below that computes looks ahead. */
static bool above_speculation(const examined *x, uint32_t level)
{
    const rung_policy *policy = &x->scheme.policy;
    for (uint32_t l = policy->first_compute_level; l < level; l++) {
        bool computes = policy->members == 0 || (policy->members >> (l - 1) & 1) != 0;
        if (computes && policy->offload.speculate[l - 1] > 0) {
            return true;
        }
    }
    return false;
}

/* What the levels up to `level` say of report row i together. */
static void pool(const examined *x, size_t i, uint32_t level, bool calibrated, double *pooled)
{
    const rung_study *study = &x->evaluation->study;
    const rung_cascade *cascade = x->evaluation->cascade;
    size_t classes = cascade->num_classes;
    rung_calibration calibration = study->calibration;
    bool visited[RUNG_MAX_LEVELS] = {false};
    const double *probabilities[RUNG_MAX_LEVELS] = {NULL};
    double weights[RUNG_MAX_LEVELS];
    calibration.pools = calibrated ? x->scheme.pools : x->raw_pools;
    for (uint32_t l = 0; l < level; l++) {
        const double *said = x->said + (study->report.rows[i] * cascade->num_levels + l) * classes;
        visited[l] = x->outcomes[i].visited >> l & 1;
        probabilities[l] = said;
        if (visited[l] && !calibrated && !x->scheme.policy.raw_ensemble) {
            const rung_level_calibration *fitted = &study->calibration.level[l];
            uint32_t layer = x->outcomes[i].exit_layer[l];
            double *raw = x->raw_said + l * classes;
            memcpy(raw, said, classes * sizeof *said);
            without_temperature(raw, classes, fitted->temperature[layer - 1], fitted->shape[layer - 1]);
            probabilities[l] = raw;
        }
    }
    rung_ensemble_result(&x->scheme.policy, &calibration, visited, probabilities, weights, pooled);
}

/* The decision itself, where it does not follow from what the levels said in the end: what is left to the other labels is spread evenly. */
static void take_decision(const examined *x, size_t i, uint32_t level, double *pooled)
{
    size_t classes = x->evaluation->cascade->num_classes;
    double score = x->outcomes[i].decided_score[level - 1];
    for (size_t c = 0; c < classes; c++) {
        pooled[c] = (1 - score) / (double)(classes - 1);
    }
    pooled[x->outcomes[i].decided_label[level - 1]] = score;
}

/* The requests that reach the decision of a level. */
static void collect(examined *x, uint32_t level)
{
    const rung_study *study = &x->evaluation->study;
    size_t classes = x->evaluation->cascade->num_classes;
    bool looked_ahead = above_speculation(x, level);
    x->n = 0;
    for (size_t i = 0; i < study->report.count; i++) {
        if ((x->outcomes[i].visited >> (level - 1) & 1) == 0) {
            continue;
        }
        if (looked_ahead) {
            take_decision(x, i, level, x->after + x->n * classes);
        } else {
            pool(x, i, level, true, x->after + x->n * classes);
            pool(x, i, level, false, x->before + x->n * classes);
        }
        x->labels[x->n++] = study->labels[study->report.rows[i]];
    }
}

/* The calibration error that is to be expected of probabilities which are exactly right: what chance alone makes of it. */
static rung_status expected_error(const examined *x, double *ece, rung_error *error)
{
    size_t classes = x->evaluation->cascade->num_classes;
    uint32_t *drawn = rung_alloc(x->n, sizeof *drawn, "calibration", error);
    rung_status status = drawn == NULL ? RUNG_NO_MEMORY : RUNG_OK;
    rung_prng random = {.state = x->evaluation->seed};
    double sum = 0;
    for (size_t draw = 0; status == RUNG_OK && draw < DRAWS; draw++) {
        rung_scores scores = {0};
        for (size_t i = 0; i < x->n; i++) {
            double left = rung_prng_uniform(&random);
            uint32_t label = 0;
            for (; label + 1 < classes && left >= x->after[i * classes + label]; label++) {
                left -= x->after[i * classes + label];
            }
            drawn[i] = label;
        }
        status = rung_scores_of(x->after, drawn, x->n, classes, &scores, error);
        sum += scores.ece;
    }
    free(drawn);
    *ece = sum / DRAWS;
    return status;
}

static rung_status draw_reliability(const examined *x, rung_report *report, uint32_t level, bool has_before,
                                    rung_error *error)
{
    static const char *const names[] = {"with temperatures", "without"};
    const double *probabilities[] = {x->after, x->before};
    rung_scores_bin bins[RUNG_SCORES_BINS];
    double values[2][4][RUNG_SCORES_BINS];
    rung_plot_series series[2];
    size_t num_series = has_before ? 2 : 1;
    for (size_t s = 0; s < num_series; s++) {
        size_t count = 0;
        rung_status status = rung_scores_bins(probabilities[s], x->labels, x->n, x->evaluation->cascade->num_classes,
                                              bins, &count, error);
        if (status != RUNG_OK) {
            return status;
        }
        for (size_t b = 0; b < count; b++) {
            double size = (double)bins[b].count;
            rung_interval share = rung_wilson(bins[b].accuracy * size, size, report->bootstrap.confidence);
            values[s][0][b] = bins[b].confidence;
            values[s][1][b] = bins[b].accuracy;
            values[s][2][b] = share.low;
            values[s][3][b] = share.high;
        }
        series[s] = (rung_plot_series){.name = names[s],
                                       .style = RUNG_PLOT_LINES_POINTS,
                                       .count = count,
                                       .x = values[s][0],
                                       .y = values[s][1],
                                       .low = values[s][2],
                                       .high = values[s][3]};
    }
    char title[128];
    char name[96];
    char caption[192];
    const char *level_name = x->evaluation->cascade->level[level - 1].name;
    snprintf(title, sizeof title, "Reliability at level %u (%.32s), %s", level, level_name, x->name);
    snprintf(name, sizeof name, "reliability_%s_level%u", x->file, level);
    snprintf(caption, sizeof caption,
             "how often the answer is right by how sure it is, %zu requests in bins of equal "
             "size, %s, level %u",
             x->n, x->name, level);
    rung_plot plot = {.title = title,
                      .x = {.label = "confidence"},
                      .y = {.label = "share that is right"},
                      .series = series,
                      .num_series = num_series,
                      .diagonal = "exactly as sure as right"};
    return rung_report_plot(report, &plot, name, caption, error);
}

/* A level that few requests reach says nothing. */
#define LEAST_REQUESTS RUNG_SCORES_BINS

static rung_status examine_level(examined *x, uint32_t level, rung_table *table, double *ece, rung_error *error)
{
    size_t classes = x->evaluation->cascade->num_classes;
    rung_scores after = {0};
    rung_scores before = {.nll = NAN, .brier = NAN, .ece = NAN};
    double chance = NAN;
    bool has_before = !above_speculation(x, level);
    collect(x, level);
    *ece = NAN;
    rung_table_text(table, x->name);
    rung_table_text(table, x->evaluation->cascade->level[level - 1].name);
    rung_table_number(table, (double)x->n);
    if (x->n < LEAST_REQUESTS) {
        for (size_t c = 0; c < 8; c++) {
            rung_table_missing(table);
        }
        return RUNG_OK;
    }
    rung_status status = rung_scores_of(x->after, x->labels, x->n, classes, &after, error);
    if (status == RUNG_OK && has_before) {
        status = rung_scores_of(x->before, x->labels, x->n, classes, &before, error);
    }
    if (status == RUNG_OK) {
        status = expected_error(x, &chance, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    const double cells[] = {after.accuracy, before.ece, after.ece,    chance,
                            before.nll,     after.nll,  before.brier, after.brier};
    for (size_t c = 0; c < sizeof cells / sizeof cells[0]; c++) {
        rung_table_number(table, cells[c]);
    }
    *ece = after.ece;
    return RUNG_OK;
}

static rung_status draw_levels(examined *x, rung_report *report, rung_error *error)
{
    rung_status status = RUNG_OK;
    for (uint32_t level = 1; status == RUNG_OK && level <= x->evaluation->cascade->num_levels; level++) {
        collect(x, level);
        if (x->n >= LEAST_REQUESTS) {
            status = draw_reliability(x, report, level, !above_speculation(x, level), error);
        }
    }
    return status;
}

/* One line a level: what was found, and what chance alone would make. */
static void write_goal(const examined *x, rung_report *report, const double *ece)
{
    rung_buffer found = {0};
    bool reached = true;
    for (uint32_t l = 0; l < x->evaluation->cascade->num_levels; l++) {
        if (!isnan(ece[l])) {
            rung_buffer_format(&found, "%s%.4f at %s", found.length > 0 ? ", " : "", ece[l],
                               x->evaluation->cascade->level[l].name);
            reached = reached && ece[l] <= RUNG_CALIBRATION_GOAL;
        }
    }
    rung_report_goal(report, reached, "calibration error of each level's decision at most %.2f, %s: %s.",
                     RUNG_CALIBRATION_GOAL, x->name, found.data != NULL ? found.data : "no level is reached");
    report->text.failed = report->text.failed || found.failed;
    rung_buffer_deinit(&found);
}

static rung_status examine(examined *x, rung_table *table, double *ece, rung_error *error)
{
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        ece[l] = NAN; /* nothing gets there */
    }
    rung_status status = reserve(x, error);
    if (status == RUNG_OK) {
        status = replay(x, error);
    }
    for (uint32_t level = 1; status == RUNG_OK && level <= x->evaluation->cascade->num_levels; level++) {
        status = examine_level(x, level, table, &ece[level - 1], error);
    }
    return status;
}

static const rung_column columns[] = {
    {.name = "policy", .kind = RUNG_COLUMN_TEXT},
    {.name = "level", .kind = RUNG_COLUMN_TEXT},
    {.name = "requests", .kind = RUNG_COLUMN_NUMBER},
    {.name = "accuracy", .kind = RUNG_COLUMN_SHARE, .decimals = 4},
    {.name = "ECE before", .kind = RUNG_COLUMN_SHARE, .decimals = 4},
    {.name = "ECE after", .kind = RUNG_COLUMN_SHARE, .decimals = 4},
    {.name = "ECE by chance", .kind = RUNG_COLUMN_SHARE, .decimals = 4},
    {.name = "NLL before", .kind = RUNG_COLUMN_NUMBER, .decimals = 4},
    {.name = "NLL after", .kind = RUNG_COLUMN_NUMBER, .decimals = 4},
    {.name = "Brier before", .kind = RUNG_COLUMN_NUMBER, .decimals = 4},
    {.name = "Brier after", .kind = RUNG_COLUMN_NUMBER, .decimals = 4},
};

static rung_status default_scheme(const rung_evaluation *evaluation, rung_scheme *scheme, rung_error *error)
{
    rung_status status = rung_policy_defaults("rung", evaluation->cascade->num_levels, &scheme->policy, error);
    if (status == RUNG_OK) {
        scheme->policy.seed = evaluation->seed;
        status = rung_scheme_fit(&evaluation->study, scheme, error);
    }
    return status;
}

rung_status rung_section_calibration(const rung_evaluation *evaluation, rung_report *report, const rung_pick *pick,
                                     rung_error *error)
{
    rung_report_heading(report, 2, "Calibration");
    rung_report_text(report,
                     "Of the report rows that reach the decision of a level: how far the confidence of what it and the "
                     "levels below it say together is from how often that is right. ECE has %d bins of equal size; "
                     "\"before\" are the same requests with every temperature and shape at 1. \"By chance\" is the "
                     "mean ECE if the probabilities were exactly right: a level that few requests reach cannot show "
                     "less than about that.",
                     RUNG_SCORES_BINS);
    examined *both = rung_alloc(2, sizeof *both, "calibration", error);
    if (both == NULL) {
        return RUNG_NO_MEMORY;
    }
    both[0] = (examined){.evaluation = evaluation,
                         .name = pick->certified ? "rung, certified" : "the top level alone (nothing was certified)",
                         .file = "certified",
                         .scheme = pick->scheme};
    both[1] = (examined){.evaluation = evaluation, .name = "rung by default", .file = "default"};
    double ece[2][RUNG_MAX_LEVELS];
    rung_table table;
    rung_table_init(&table, columns, sizeof columns / sizeof columns[0]);
    rung_status status = default_scheme(evaluation, &both[1].scheme, error);
    for (size_t i = 0; status == RUNG_OK && i < 2; i++) {
        status = examine(&both[i], &table, ece[i], error);
    }
    if (status == RUNG_OK) {
        status = rung_report_table(report, &table, "calibration", error);
    }
    for (size_t i = 0; i < 2; i++) {
        if (status == RUNG_OK) {
            write_goal(&both[i], report, ece[i]);
            status = draw_levels(&both[i], report, error);
        }
        release(&both[i]);
    }
    free(both);
    rung_table_deinit(&table);
    return status;
}
