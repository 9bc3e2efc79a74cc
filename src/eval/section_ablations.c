/* section_ablations.c: rung with a part less, and the plain threshold with a part more. See section_ablations.h. */
#include "eval/section_ablations.h"

#include "base/memory.h"
#include "eval/compare.h"

#include <stdlib.h>
#include <string.h>

#define TRIALS_SHARE 3
#define ALL_PARTS                                                                                                      \
    (RUNG_PART_PRUNING | RUNG_PART_ENSEMBLE | RUNG_PART_EARLY_EXIT | RUNG_PART_POOLED | RUNG_PART_EARLY_OFFLOAD |      \
     RUNG_PART_SPECULATION | RUNG_PART_SKIPPING | RUNG_PART_LEARNED)

/* A variant of rung. */
typedef struct variant {
    const char *name;
    unsigned without;  /* rung_part bits */
    bool uncalibrated; /* the exits' temperatures and shapes are 1 */
} variant;

/* The first is what the others are compared with, in both lists. */
static const variant taken_away[] = {
    {.name = "rung"},
    {.name = "without pruning", .without = RUNG_PART_PRUNING},
    {.name = "without ensemble", .without = RUNG_PART_ENSEMBLE | RUNG_PART_POOLED},
    {.name = "without early exit", .without = RUNG_PART_EARLY_EXIT},
    {.name = "without temperatures", .uncalibrated = true},
    {.name = "own confidence decides", .without = RUNG_PART_POOLED},
    {.name = "without learned deferral", .without = RUNG_PART_LEARNED},
    {.name = "without early offload", .without = RUNG_PART_EARLY_OFFLOAD},
    {.name = "without speculation", .without = RUNG_PART_SPECULATION},
    {.name = "without skipping", .without = RUNG_PART_SKIPPING},
};

static const variant added[] = {
    {.name = "plain threshold", .without = ALL_PARTS},
    {.name = "with pruning", .without = ALL_PARTS & ~(unsigned)RUNG_PART_PRUNING},
    {.name = "with ensemble, own confidence decides", .without = ALL_PARTS & ~(unsigned)RUNG_PART_ENSEMBLE},
    {.name = "with ensemble that decides", .without = ALL_PARTS & ~(unsigned)(RUNG_PART_ENSEMBLE | RUNG_PART_POOLED)},
    {.name = "with early exit", .without = ALL_PARTS & ~(unsigned)RUNG_PART_EARLY_EXIT},
    {.name = "with learned deferral", .without = ALL_PARTS & ~(unsigned)RUNG_PART_LEARNED},
    {.name = "with early offload", .without = ALL_PARTS & ~(unsigned)RUNG_PART_EARLY_OFFLOAD},
    {.name = "with speculation", .without = ALL_PARTS & ~(unsigned)RUNG_PART_SPECULATION},
    {.name = "with skipping", .without = ALL_PARTS & ~(unsigned)RUNG_PART_SKIPPING},
};

#define COUNT(values) (sizeof(values) / sizeof(values)[0])
#define MOST_VARIANTS COUNT(taken_away)

/* One list of variants. */
typedef struct contest {
    const rung_evaluation *evaluation;
    rung_report *report;
    double agreement, delta;
    const variant *variants; /* [count] */
    size_t count;
    rung_contender *items; /* [1 + count] the top level alone first */
    size_t measured;       /* of items */
} contest;

/* Learned deferral can be taken away or added where the cascade has it only. */
static bool has_learned(const rung_evaluation *evaluation)
{
    for (uint32_t l = 0; l + 1 < evaluation->cascade->num_levels; l++) {
        if (evaluation->cascade->calibration.level[l].deferral == NULL) {
            return false;
        }
    }
    return evaluation->cascade->num_levels > 1;
}

static bool is_possible(const contest *c, const variant *of)
{
    bool learns = (of->without & RUNG_PART_LEARNED) == 0;
    bool is_about_learning =
        of->without == RUNG_PART_LEARNED || (learns && of->without == (ALL_PARTS & ~(unsigned)RUNG_PART_LEARNED));
    return !is_about_learning || has_learned(c->evaluation);
}

static rung_status run_variant(const contest *c, const rung_evaluation *evaluation, const variant *of,
                               rung_contender *out, rung_error *error)
{
    rung_method method;
    rung_entrant entrant = {0};
    rung_pick *pick = rung_alloc(1, sizeof *pick, "ablation", error);
    rung_method_rung(evaluation->cascade, of->without, &method);
    method.name = of->name;
    size_t trials = c->report->trials / TRIALS_SHARE;
    rung_status status =
        pick == NULL ? RUNG_NO_MEMORY
                     : rung_entrant_tune(evaluation, &method, NULL, trials > 0 ? trials : 1, NULL, &entrant, error);
    if (status == RUNG_OK) {
        status = rung_pick_agreeing(evaluation, &entrant, c->agreement, c->delta, pick, error);
    }
    if (status == RUNG_OK) {
        status = rung_contender_measure(evaluation, NULL, of->name, pick, out, error);
    }
    rung_entrant_deinit(&entrant);
    free(pick);
    return status;
}

/* With the temperatures and shapes of all exits at 1. Pools are fitted on what is then said, with their own temperatures. */
static rung_status run_uncalibrated(const contest *c, const variant *of, rung_contender *out, rung_error *error)
{
    const rung_cascade *cascade = c->evaluation->cascade;
    size_t layers = 0;
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        size_t here = cascade->level[l].model->config.num_layers;
        layers = here > layers ? here : layers;
    }
    double *ones = rung_alloc(layers, sizeof *ones, "ablation", error);
    if (ones == NULL) {
        return RUNG_NO_MEMORY;
    }
    for (size_t i = 0; i < layers; i++) {
        ones[i] = 1;
    }
    rung_evaluation evaluation = *c->evaluation; /* lends all else */
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        evaluation.study.calibration.level[l].temperature = ones;
        evaluation.study.calibration.level[l].shape = ones;
    }
    rung_status status = run_variant(c, &evaluation, of, out, error);
    free(ones);
    return status;
}

static rung_status measure_all(contest *c, rung_error *error)
{
    rung_pick *top = rung_alloc(1, sizeof *top, "ablation", error);
    rung_status status = top == NULL ? RUNG_NO_MEMORY : rung_pick_top(c->evaluation, top, error);
    if (status == RUNG_OK) {
        status = rung_contender_measure(c->evaluation, NULL, "always top", top, &c->items[0], error);
        c->measured = status == RUNG_OK;
    }
    free(top);
    for (size_t i = 0; status == RUNG_OK && i < c->count; i++) {
        const variant *of = &c->variants[i];
        if (is_possible(c, of)) {
            rung_contender *out = &c->items[c->measured];
            status =
                of->uncalibrated ? run_uncalibrated(c, of, out, error) : run_variant(c, c->evaluation, of, out, error);
            c->measured += status == RUNG_OK;
        }
        rung_progress_report(c->report->progress, c->variants[0].name, i + 1, c->count);
    }
    return status;
}

static rung_status write_table(const contest *c, const char *name, rung_error *error)
{
    static const rung_column columns[] = {
        {.name = "variant", .kind = RUNG_COLUMN_TEXT},
        {.name = "certified", .kind = RUNG_COLUMN_TEXT},
        {.name = "mean", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 2, .interval = true},
        {.name = "its time by the first row's", .kind = RUNG_COLUMN_NUMBER, .decimals = 3, .interval = true},
        {.name = "accuracy", .kind = RUNG_COLUMN_SHARE, .decimals = 4, .interval = true},
        {.name = "agreement", .kind = RUNG_COLUMN_SHARE, .decimals = 4, .interval = true},
        {.name = "bytes", .kind = RUNG_COLUMN_NUMBER, .decimals = 0, .interval = true},
    };
    rung_table table;
    rung_table_init(&table, columns, COUNT(columns));
    for (size_t i = 1; i < c->measured; i++) {
        const rung_contender *item = &c->items[i];
        rung_table_text(&table, item->name);
        rung_table_text(&table, item->pick.certified ? "yes" : "no: the top level alone");
        rung_table_interval(&table, item->mean_ms);
        rung_table_interval(&table, item->ours_faster);
        rung_table_interval(&table, item->accuracy);
        rung_table_interval(&table, item->agreement);
        rung_table_interval(&table, item->bytes);
    }
    rung_status status = rung_report_table(c->report, &table, name, error);
    rung_table_deinit(&table);
    return status;
}

static rung_status run_contest(contest *c, const char *name, rung_error *error)
{
    c->items = rung_alloc(1 + c->count, sizeof *c->items, "ablations", error);
    rung_status status = c->items == NULL ? RUNG_NO_MEMORY : measure_all(c, error);
    if (status == RUNG_OK) {
        rung_comparison comparison = {.items = c->items, .count = c->measured, .top = 0, .ours = 1};
        status = rung_compare(&c->report->bootstrap, &comparison, error);
    }
    if (status == RUNG_OK) {
        status = write_table(c, name, error);
    }
    for (size_t i = 0; c->items != NULL && i < c->measured; i++) {
        rung_contender_deinit(&c->items[i]);
    }
    free(c->items);
    return status;
}

rung_status rung_section_ablations(const rung_evaluation *evaluation, rung_report *report, double agreement,
                                   double delta, rung_error *error)
{
    contest away = {.evaluation = evaluation,
                    .report = report,
                    .agreement = agreement,
                    .delta = delta,
                    .variants = taken_away,
                    .count = COUNT(taken_away)};
    contest more = away;
    more.variants = added;
    more.count = COUNT(added);
    rung_report_heading(report, 2, "Ablations");
    rung_report_text(
        report,
        "rung without one of its parts, each variant tuned anew with %zu policies and certified to agree "
        "with the top level on %g %% (confidence %g). A ratio above 1 is what the part is worth; one whose "
        "interval holds 1 is not distinguishable from nothing. \"Without temperatures\" leaves those of "
        "the exits at 1; those of the pools are fitted as always.%s",
        report->trials / TRIALS_SHARE, 100 * agreement, 1 - delta,
        has_learned(evaluation)
            ? ""
            : " This cascade's calibration has no learned deferral: it is neither taken away nor added.");
    rung_status status = run_contest(&away, "ablations", error);
    if (status == RUNG_OK) {
        rung_report_heading(report, 3, "Each part alone");
        rung_report_text(report, "The plain threshold at every level, all levels in use, with one part of rung added; "
                                 "below 1 the part alone saves time.");
        status = run_contest(&more, "additions", error);
    }
    return status;
}
