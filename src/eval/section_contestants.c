/* section_contestants.c: tunes all methods once. See section_contestants.h. */
#include "eval/section_contestants.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_SETTINGS 64 /* of different names over all methods */

static const char *const baselines[] = {"tabi",    "tangobert", "paper",  "pabee",      "branchynet", "deebert",
                                        "f-pabee", "cocktail",  "random", "layer-skip", "power-bert", "single"};

#define NUM_METHODS (1 + sizeof baselines / sizeof baselines[0])

static const rung_column first_columns[] = {
    {.name = "method", .kind = RUNG_COLUMN_TEXT},
    {.name = "number", .kind = RUNG_COLUMN_NUMBER},
    {.name = "on front", .kind = RUNG_COLUMN_NUMBER},
    {.name = "tuned mean", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 2},
    {.name = "tuned p95", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 2},
    {.name = "tuned accuracy", .kind = RUNG_COLUMN_SHARE, .decimals = 4},
    {.name = "tuned agreement", .kind = RUNG_COLUMN_SHARE, .decimals = 4},
};

#define NUM_FIRST (sizeof first_columns / sizeof first_columns[0])

/* All settings that some method has, in the order in which they are met. */
typedef struct settings {
    const char *name[MOST_SETTINGS];
    size_t count;
} settings;

static size_t find_setting(const settings *all, const char *name)
{
    size_t i = 0;
    while (i < all->count && strcmp(all->name[i], name) != 0) {
        i++;
    }
    return i;
}

static void collect_settings(const rung_contestants *contestants, settings *all)
{
    for (size_t i = 0; i < contestants->count; i++) {
        const rung_method *method = &contestants->entrants[i].method;
        for (size_t k = 0; k < method->num_knobs; k++) {
            const char *name = method->knobs[k].name;
            if (find_setting(all, name) == all->count && all->count < MOST_SETTINGS) {
                all->name[all->count++] = name;
            }
        }
    }
}

static bool is_on_front(const rung_entrant *entrant, size_t index)
{
    for (size_t i = 0; i < entrant->num_front; i++) {
        if (entrant->front[i] == index) {
            return true;
        }
    }
    return false;
}

/* The setting's value for people where a number says nothing. */
static const char *value_name(const char *setting, double value)
{
    static const char *const weights[] = {"accuracy", "last", "fitted", "vote"};
    static const char *const rules[] = {"off", "paper", "agree", "pabee", "entropy", "divergence"};
    size_t at = (size_t)value;
    if (strcmp(setting, "weights") == 0 && at < sizeof weights / sizeof weights[0]) {
        return weights[at];
    }
    if (strcmp(setting, "exit rule") == 0 && at < sizeof rules / sizeof rules[0]) {
        return rules[at];
    }
    return NULL;
}

static void add_candidate(rung_table *table, const settings *all, const rung_entrant *entrant, size_t index)
{
    const rung_candidate *candidate = &entrant->candidates.items[index];
    const rung_method *method = &entrant->method;
    rung_table_text(table, method->name);
    rung_table_number(table, (double)index);
    rung_table_number(table, is_on_front(entrant, index));
    rung_table_number(table, candidate->tuned.mean_ms);
    rung_table_number(table, candidate->tuned.p95_ms);
    rung_table_number(table, candidate->tuned.accuracy);
    rung_table_number(table, candidate->tuned.agreement);
    for (size_t s = 0; s < all->count; s++) {
        size_t k = 0;
        while (k < method->num_knobs && strcmp(method->knobs[k].name, all->name[s]) != 0) {
            k++;
        }
        if (k == method->num_knobs) {
            rung_table_missing(table);
            continue;
        }
        double value = method->knobs[k].values[candidate->choice[k]];
        const char *name = value_name(all->name[s], value);
        if (name != NULL) {
            rung_table_text(table, name);
        } else {
            rung_table_number(table, value);
        }
    }
}

static rung_status write_candidates(rung_report *report, const rung_contestants *contestants, rung_error *error)
{
    settings all = {.count = 0};
    rung_column columns[NUM_FIRST + MOST_SETTINGS];
    rung_table table;
    collect_settings(contestants, &all);
    memcpy(columns, first_columns, sizeof first_columns);
    for (size_t s = 0; s < all.count; s++) {
        columns[NUM_FIRST + s] = (rung_column){.name = all.name[s], .kind = RUNG_COLUMN_NUMBER, .decimals = 6};
    }
    rung_table_init(&table, columns, NUM_FIRST + all.count);
    for (size_t i = 0; i < contestants->count; i++) {
        for (size_t k = 0; k < contestants->entrants[i].candidates.count; k++) {
            add_candidate(&table, &all, &contestants->entrants[i], k);
        }
    }
    rung_status status = rung_report_csv(report, &table, "candidates", error);
    rung_table_deinit(&table);
    return status;
}

static void write_text(const rung_evaluation *evaluation, rung_report *report, const rung_contestants *contestants)
{
    rung_report_heading(report, 2, "Contestants");
    rung_report_text(
        report,
        "Each method was searched with %zu trials on the %zu rows to tune on, with the same models, profile, links "
        "and seed: a random sample of its settings, then changes of single settings around the best for several "
        "targets. Levels that compute are a setting of every method that has levels. A method with fewer "
        "combinations than trials tried them all. Every policy that was tried: "
        "[candidates.csv](candidates.csv).",
        report->trials, evaluation->study.tune.count);
    rung_buffer list = {0};
    for (size_t i = 0; i < contestants->count; i++) {
        const rung_entrant *entrant = &contestants->entrants[i];
        rung_buffer_format(&list, "%s%s %zu (%zu)", i == 0 ? "" : ", ", entrant->method.name, entrant->candidates.count,
                           entrant->num_front);
    }
    rung_report_text(report, "Policies tried (and worth having on the rows to tune on): %s.",
                     list.data == NULL ? "none" : list.data);
    report->text.failed = report->text.failed || list.failed;
    rung_buffer_deinit(&list);
}

static rung_status tune_all(const rung_evaluation *evaluation, const rung_report *report, rung_contestants *contestants,
                            rung_error *error)
{
    for (size_t i = 0; i < NUM_METHODS; i++) {
        rung_method method;
        rung_status status = RUNG_OK;
        if (i == 0) {
            rung_method_rung(evaluation->cascade, 0, &method);
        } else {
            status = rung_method_baseline(evaluation->cascade, baselines[i - 1], &method, error);
        }
        if (status == RUNG_OK) {
            status = rung_entrant_tune(evaluation, &method, NULL, report->trials, report->progress,
                                       &contestants->entrants[i], error);
        }
        if (status != RUNG_OK) {
            return status;
        }
        contestants->count++;
    }
    return RUNG_OK;
}

rung_status rung_section_contestants(const rung_evaluation *evaluation, rung_report *report,
                                     rung_contestants *contestants, rung_error *error)
{
    if (evaluation->cascade->num_levels < 2) {
        return rung_fail(error, RUNG_INVALID, "the cascade has one level; methods are compared on at least 2");
    }
    rung_contestants made = {.entrants = rung_alloc(NUM_METHODS, sizeof *made.entrants, "contestants", error)};
    rung_status status = made.entrants == NULL ? RUNG_NO_MEMORY : tune_all(evaluation, report, &made, error);
    if (status == RUNG_OK) {
        status = write_candidates(report, &made, error);
    }
    if (status != RUNG_OK) {
        rung_contestants_deinit(&made);
        return status;
    }
    write_text(evaluation, report, &made);
    rung_contestants_deinit(contestants);
    *contestants = made;
    return RUNG_OK;
}

void rung_contestants_deinit(rung_contestants *contestants)
{
    for (size_t i = 0; i < contestants->count; i++) {
        rung_entrant_deinit(&contestants->entrants[i]);
    }
    free(contestants->entrants);
    *contestants = (rung_contestants){0};
}

const rung_entrant *rung_contestants_find(const rung_contestants *contestants, const char *name)
{
    for (size_t i = 0; i < contestants->count; i++) {
        if (strcmp(contestants->entrants[i].method.name, name) == 0) {
            return &contestants->entrants[i];
        }
    }
    return NULL;
}
