/* section_paper.c: the frontiers of the paper's policy and of ours. See section_paper.h. */
#include "eval/section_paper.h"

#include "base/memory.h"
#include "eval/frontier_race.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOAL_MEAN 1.3
#define GOAL_LOW 1.0

/* The paper's Table I. */
static const double taus[] = {0, 0.01, 1e-4, 1e-5};
static const double thresholds[] = {0.9, 0.8, 0.7};

#define NUM_TAUS (sizeof taus / sizeof taus[0])
#define NUM_THRESHOLDS (sizeof thresholds / sizeof thresholds[0])
#define MOST_POINTS (RUNG_CONTEST_MOST_FRONT + 1)

typedef struct point {
    char what[48];
    rung_measured measured;
} point;

typedef struct family {
    const char *name;
    point *points; /* [count] of MOST_POINTS */
    size_t count;
} family;

typedef enum family_kind { GRID, SWEPT, OURS, FAMILIES } family_kind;

static void release(family *families)
{
    for (size_t k = 0; k < FAMILIES; k++) {
        for (size_t i = 0; i < families[k].count; i++) {
            rung_measured_deinit(&families[k].points[i].measured);
        }
        free(families[k].points);
    }
}

static rung_status add_point(const rung_evaluation *evaluation, const rung_scheme *scheme, family *to,
                             rung_error *error)
{
    point *p = &to->points[to->count];
    rung_status status = rung_measure(evaluation, scheme, NULL, &p->measured, error);
    if (status == RUNG_OK) {
        to->count++;
        free(p->measured.outcomes); /* the sums are enough, and there are many points */
        p->measured.outcomes = NULL;
    }
    return status;
}

static rung_status measure_grid(const rung_evaluation *evaluation, family *grid, rung_error *error)
{
    rung_pick pick;
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < NUM_TAUS * NUM_THRESHOLDS; i++) {
        double tau = taus[i / NUM_THRESHOLDS];
        double threshold = thresholds[i % NUM_THRESHOLDS];
        status = rung_pick_named(evaluation, "paper", threshold, &pick, error);
        if (status == RUNG_OK) {
            pick.scheme.policy.exit.tau = tau;
            status = rung_scheme_fit(&evaluation->study, &pick.scheme, error);
        }
        if (status == RUNG_OK) {
            snprintf(grid->points[i].what, sizeof grid->points[i].what, "tau = %g, t = %g", tau, threshold);
            status = add_point(evaluation, &pick.scheme, grid, error);
        }
    }
    return status;
}

/* The policies that are worth having on the rows to tune on. */
static rung_status measure_front(const rung_evaluation *evaluation, const rung_entrant *entrant, family *to,
                                 rung_error *error)
{
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < entrant->num_front; i++) {
        snprintf(to->points[i].what, sizeof to->points[i].what, "candidate %zu", entrant->front[i]);
        status = add_point(evaluation, &entrant->candidates.items[entrant->front[i]].scheme, to, error);
    }
    return status;
}

/* What is deployed where nothing else will do. */
static rung_status measure_top(const rung_evaluation *evaluation, family *to, rung_error *error)
{
    rung_pick top;
    snprintf(to->points[to->count].what, sizeof to->points[to->count].what, "the top level alone");
    rung_status status = rung_pick_top(evaluation, &top, error);
    return status == RUNG_OK ? add_point(evaluation, &top.scheme, to, error) : status;
}

static rung_status measure_all(const rung_evaluation *evaluation, const rung_contestants *contestants, family *families,
                               rung_error *error)
{
    for (size_t k = 0; k < FAMILIES; k++) {
        families[k].points = rung_alloc(MOST_POINTS, sizeof *families[k].points, "frontiers", error);
        if (families[k].points == NULL) {
            return RUNG_NO_MEMORY;
        }
    }
    rung_status status = measure_grid(evaluation, &families[GRID], error);
    if (status == RUNG_OK) {
        status = measure_front(evaluation, rung_contestants_find(contestants, "paper"), &families[SWEPT], error);
    }
    if (status == RUNG_OK) {
        status = measure_front(evaluation, rung_contestants_find(contestants, "rung"), &families[OURS], error);
    }
    if (status == RUNG_OK) {
        status = measure_top(evaluation, &families[OURS], error);
    }
    return status;
}

static const rung_column point_columns[] = {
    {.name = "family", .kind = RUNG_COLUMN_TEXT},
    {.name = "policy", .kind = RUNG_COLUMN_TEXT},
    {.name = "mean", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 2},
    {.name = "accuracy", .kind = RUNG_COLUMN_SHARE, .decimals = 4, .interval = true},
    {.name = "agreement", .kind = RUNG_COLUMN_SHARE, .decimals = 4},
};

static rung_status write_points(rung_report *report, const family *families, rung_error *error)
{
    rung_table table;
    rung_table_init(&table, point_columns, sizeof point_columns / sizeof point_columns[0]);
    for (size_t k = 0; k < FAMILIES; k++) {
        for (size_t i = 0; i < families[k].count; i++) {
            const rung_measured *measured = &families[k].points[i].measured;
            double right = 0;
            for (size_t r = 0; r < measured->n; r++) {
                right += measured->right[r];
            }
            rung_table_text(&table, families[k].name);
            rung_table_text(&table, families[k].points[i].what);
            rung_table_number(&table, measured->summary.mean_ms);
            rung_table_interval(&table, rung_wilson(right, (double)measured->n, report->bootstrap.confidence));
            rung_table_number(&table, measured->summary.agreement);
        }
    }
    rung_status status = rung_report_csv(report, &table, "paper_points", error);
    rung_table_deinit(&table);
    return status;
}

typedef struct lent_family {
    const double *latency_ms[MOST_POINTS];
    const double *right[MOST_POINTS];
    rung_racer family;
} lent_family;

static void lend(const family *from, lent_family *to)
{
    for (size_t i = 0; i < from->count; i++) {
        to->latency_ms[i] = from->points[i].measured.latency_ms;
        to->right[i] = from->points[i].measured.right;
    }
    to->family = (rung_racer){.latency_ms = to->latency_ms, .right = to->right, .count = from->count};
}

static const rung_column race_columns[] = {
    {.name = "the paper's policy", .kind = RUNG_COLUMN_TEXT},
    {.name = "accuracy", .kind = RUNG_COLUMN_SHARE, .decimals = 4, .interval = true},
    {.name = "the paper's", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
    {.name = "ours", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
    {.name = "times faster", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
};

static rung_status write_races(rung_report *report, const family *families, const rung_race *races, rung_error *error)
{
    rung_table table;
    rung_table_init(&table, race_columns, sizeof race_columns / sizeof race_columns[0]);
    for (size_t k = GRID; k < OURS; k++) {
        for (size_t a = 0; a < RUNG_RACE_ACCURACIES; a++) {
            rung_table_text(&table, families[k].name);
            rung_table_interval(&table, races[k].accuracy[a]);
            rung_table_interval(&table, races[k].first_ms[a]);
            rung_table_interval(&table, races[k].second_ms[a]);
            rung_table_interval(&table, races[k].ratio[a]);
        }
    }
    rung_status status = rung_report_table(report, &table, "paper_frontier", error);
    rung_table_deinit(&table);
    return status;
}

static void write_goal(rung_report *report, const rung_race *race, const char *what)
{
    const rung_interval *mean = &race->geometric_mean;
    bool reached = mean->value >= GOAL_MEAN && mean->low >= GOAL_LOW;
    size_t unreached = 0;
    for (size_t a = 0; a < RUNG_RACE_ACCURACIES; a++) {
        unreached += race->ratio[a].value <= 0;
    }
    char also[96] = "";
    if (unreached > 0) {
        snprintf(also, sizeof also, "; ours does not reach %zu of the %d accuracies, which counts as 0", unreached,
                 RUNG_RACE_ACCURACIES);
    }
    rung_report_goal(
        report, reached,
        "the geometric mean of the ratios of times, %s by ours, at %d accuracies: %.2f [%.2f, %.2f] (goal: %g, and "
        "at least %g at the lower end)%s.",
        what, RUNG_RACE_ACCURACIES, mean->value, mean->low, mean->high, GOAL_MEAN, GOAL_LOW, also);
}

static void write_introduction(rung_report *report, const family *families)
{
    rung_report_heading(report, 2, "Against the paper's frontier");
    rung_report_text(
        report,
        "Points on the rows to report on: `policy: paper` over its own grid of tau and t (%zu policies, the rest by "
        "default); the same policy with everything swept that the paper leaves open (p, alpha, k, weights) "
        "and thresholds by level, searched with as many trials as ours (the %zu policies that are worth having on "
        "the rows to tune on, by accuracy or by agreement); and ours, chosen in the same way, with the top level "
        "alone, "
        "which is deployed where nothing else will do (%zu policies). At %d accuracies, "
        "evenly spaced inside the paper's frontier, each side takes its fastest policy with at least this "
        "accuracy. The frontiers and the accuracies are made again for every resample. All points: "
        "[paper_points.csv](paper_points.csv).",
        families[GRID].count, families[SWEPT].count, families[OURS].count, RUNG_RACE_ACCURACIES);
}

static rung_status race_all(const rung_report *report, const family *families, rung_race *races, rung_error *error)
{
    lent_family lent[FAMILIES];
    for (size_t k = 0; k < FAMILIES; k++) {
        lend(&families[k], &lent[k]);
    }
    rung_status status = RUNG_OK;
    for (size_t k = GRID; status == RUNG_OK && k < OURS; k++) {
        status = rung_race_run(&report->bootstrap, families[k].points[0].measured.n, &lent[k].family,
                               &lent[OURS].family, &races[k], error);
    }
    return status;
}

rung_status rung_section_paper(const rung_evaluation *evaluation, rung_report *report,
                               const rung_contestants *contestants, rung_error *error)
{
    family families[FAMILIES] = {{.name = "grid"}, {.name = "swept"}, {.name = "ours"}};
    rung_race races[OURS];
    rung_status status = measure_all(evaluation, contestants, families, error);
    if (status == RUNG_OK) {
        status = race_all(report, families, races, error);
    }
    if (status == RUNG_OK) {
        status = write_points(report, families, error);
    }
    if (status == RUNG_OK) {
        write_introduction(report, families);
        status = write_races(report, families, races, error);
    }
    if (status == RUNG_OK) {
        write_goal(report, &races[GRID], "the paper's grid");
        write_goal(report, &races[SWEPT], "the paper's policy with all that may be swept");
    }
    release(families);
    return status;
}
