/* eval.c: `rung eval`: records what the levels say of labelled texts, compares policies over the record, and writes a report. The sections are src/eval's;
 * this file opens what they work on, calls them in the order of the report, and writes its head, which tells what was run. */
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/eval_live.h"
#include "eval/section_ablations.h"
#include "eval/section_calibration.h"
#include "eval/section_engine.h"
#include "eval/section_figures.h"
#include "eval/section_headline.h"
#include "eval/section_networks.h"
#include "eval/section_paper.h"
#include "eval/section_tabi.h"
#include "eval/section_table1.h"
#include "eval/trace_directory.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUICK_ROWS = 500,
    QUICK_TUNE_ROWS = 200,
    QUICK_TRIALS = 40,
    QUICK_RESAMPLES = 200,
    RESAMPLES = 2000,
};

/* One run. */
typedef struct eval_run {
    const rung_options *options;
    const char *data, *tune_data, *directory, *traces;
    size_t live;
    rung_cascade *cascade;
    rung_evaluation evaluation;
    rung_report report;
    rung_contestants contestants;
    rung_pick pick; /* what rung would deploy */
    rung_table1 table1;
    rung_measured found; /* of pick, on the report rows */
    cli_progress bar;
    char title[64]; /* of the bar: what is reported may not outlive the call */
    rung_progress progress;
} eval_run;

static void show_progress(void *context, const char *what, size_t done, size_t total)
{
    eval_run *run = context;
    if (strcmp(run->title, what) != 0 || done < run->bar.last_done) {
        cli_progress_end(&run->bar);
        snprintf(run->title, sizeof run->title, "%s", what);
        run->bar = (cli_progress){.title = run->title, .total = total};
    }
    run->bar.last_done = done;
    cli_progress_show(&run->bar, done);
}

static rung_status take_options(eval_run *run, rung_error *error)
{
    const rung_options *options = run->options;
    run->data = rung_options_text(options, RUNG_OPTION_DATA);
    run->tune_data = rung_options_text(options, RUNG_OPTION_TUNE_DATA);
    run->directory = rung_options_text(options, RUNG_OPTION_OUTPUT);
    run->traces = rung_options_text(options, RUNG_OPTION_TRACES);
    run->live = (size_t)rung_options_integer(options, RUNG_OPTION_LIVE);
    run->progress = (rung_progress){.report = show_progress, .context = run};
    if (run->data == NULL) {
        return rung_fail(error, RUNG_INVALID, "no data: name labelled JSON lines with --data FILE");
    }
    if (run->directory == NULL) {
        return rung_fail(error, RUNG_INVALID, "no directory: say where to write the report with -o DIR");
    }
    rung_traces traces = {0};
    rung_status status = run->traces != NULL ? rung_traces_load(run->traces, &traces, error) : RUNG_OK;
    rung_traces_deinit(&traces);
    return status;
}

static rung_status open_cascade(eval_run *run, rung_error *error)
{
    rung_status status = cli_open_cascade(run->options, 0, &run->cascade, error);
    if (status == RUNG_OK && rung_cascade_is_multi_label(run->cascade)) {
        status = rung_fail(error, RUNG_UNSUPPORTED,
                           "rung eval compares one label a text; these models have problem_type "
                           "multi_label_classification");
    }
    if (status == RUNG_OK && run->cascade->num_levels < 2) {
        status = rung_fail(error, RUNG_INVALID, "rung eval compares what levels do together; this cascade has one");
    }
    return status;
}

/* --quick gives other defaults; what the user says stays. */
static size_t number_of(const eval_run *run, rung_option_id id, size_t usual, size_t quick)
{
    if (rung_options_given(run->options, id)) {
        return (size_t)rung_options_integer(run->options, id);
    }
    return run->report.quick ? quick : usual;
}

static rung_status open_evaluation(eval_run *run, rung_error *error)
{
    rung_report *report = &run->report;
    report->directory = run->directory;
    report->quick = rung_options_bool(run->options, RUNG_OPTION_QUICK);
    report->has_gnuplot = true; /* report_plot.c finds out for each figure */
    report->progress = &run->progress;
    report->trials = number_of(run, RUNG_OPTION_TRIALS, (size_t)rung_options_integer(run->options, RUNG_OPTION_TRIALS),
                               QUICK_TRIALS);
    report->bootstrap = (rung_bootstrap){.resamples = report->quick ? QUICK_RESAMPLES : RESAMPLES,
                                         .confidence = 0.95,
                                         .seed = run->cascade->policy.seed};
    rung_evaluation_options options = {.data = run->data,
                                       .tune_data = run->tune_data,
                                       .max_line_bytes =
                                           (size_t)rung_options_integer(run->options, RUNG_OPTION_MAX_LINE),
                                       .most_rows = number_of(run, RUNG_OPTION_ROWS, 0, QUICK_ROWS),
                                       .most_tune_rows = report->quick ? QUICK_TUNE_ROWS : 0,
                                       .directory = run->directory,
                                       .progress = &run->progress};
    return rung_evaluation_open(run->cascade, &options, &run->evaluation, error);
}

/* What the other sections share. */
static rung_status find_policy(eval_run *run, rung_error *error)
{
    rung_evaluation *evaluation = &run->evaluation;
    rung_status status = rung_section_contestants(evaluation, &run->report, &run->contestants, error);
    if (status == RUNG_OK) {
        status = rung_pick_agreeing(evaluation, rung_contestants_find(&run->contestants, "rung"),
                                    RUNG_HEADLINE_AGREEMENT, RUNG_HEADLINE_DELTA, &run->pick, error);
    }
    return status == RUNG_OK ? rung_measure(evaluation, &run->pick.scheme, NULL, &run->found, error) : status;
}

static rung_status write_networks(eval_run *run, rung_error *error)
{
    return rung_section_networks(&run->evaluation, &run->report, &run->contestants, run->traces, error);
}

static rung_status write_engine(eval_run *run, rung_error *error)
{
    size_t count;
    const rung_peer *peers = rung_default_peers(&count);
    return rung_section_engine(&run->evaluation, &run->report, &run->contestants, peers, count, error);
}

static rung_status write_table1(eval_run *run, rung_error *error)
{
    return rung_section_table1(&run->evaluation, &run->report, &run->contestants, &run->table1, error);
}

static rung_status write_figures(eval_run *run, rung_error *error)
{
    return rung_section_figures(&run->evaluation, &run->report, &run->contestants, &run->table1, &run->pick, error);
}

static rung_status write_headline(eval_run *run, rung_error *error)
{
    return rung_section_headline(&run->evaluation, &run->report, &run->contestants, NULL, error);
}

static rung_status write_tabi(eval_run *run, rung_error *error)
{
    return rung_section_tabi(&run->evaluation, &run->report, &run->contestants, error);
}

static rung_status write_paper(eval_run *run, rung_error *error)
{
    return rung_section_paper(&run->evaluation, &run->report, &run->contestants, error);
}

static rung_status write_ablations(eval_run *run, rung_error *error)
{
    return rung_section_ablations(&run->evaluation, &run->report, RUNG_HEADLINE_AGREEMENT, RUNG_HEADLINE_DELTA, error);
}

static rung_status write_calibration(eval_run *run, rung_error *error)
{
    return rung_section_calibration(&run->evaluation, &run->report, &run->pick, error);
}

static rung_status write_deployment(eval_run *run, rung_error *error)
{
    return cli_eval_live(run->options, &run->evaluation, &run->pick.scheme, RUNG_HEADLINE_AGREEMENT, run->live,
                         &run->report, error);
}

/* The sections in the order of the report. */
static rung_status write_sections(eval_run *run, rung_error *error)
{
    static rung_status (*const sections[])(eval_run * run, rung_error * error) = {
        write_table1,    write_figures,  write_headline, write_tabi,        write_paper,
        write_ablations, write_networks, write_engine,   write_calibration, write_deployment};
    rung_status status = find_policy(run, error);
    for (size_t i = 0; status == RUNG_OK && i < sizeof sections / sizeof sections[0]; i++) {
        status = sections[i](run, error);
    }
    cli_progress_end(&run->bar);
    return status;
}

/* The command as it can be given again. */
static void write_command(const eval_run *run, rung_buffer *out)
{
    rung_buffer_text(out, "rung eval");
    for (rung_option_id id = 0; id < RUNG_OPTION_COUNT; id++) {
        const char *key = rung_option_spec_of(id)->key;
        bool is_level = rung_option_is_level(id);
        for (uint32_t level = 0; level < (is_level ? RUNG_MAX_LEVELS : 1); level++) {
            const rung_option_value *value = rung_options_level_value(run->options, id, level);
            if (value->source != RUNG_SOURCE_FLAG) {
                continue;
            }
            if (is_level) {
                rung_buffer_format(out, " --levels.%u%s", level + 1, key + strlen("levels[]"));
            } else {
                rung_buffer_format(out, " --%s", key);
            }
            if (rung_option_spec_of(id)->type != RUNG_TYPE_BOOL) {
                bool plain = strpbrk(value->text, " \t\"'\\$`*?&|;<>(){}[]#~!") == NULL && value->text[0] != '\0';
                rung_buffer_format(out, plain ? " %s" : " '%s'", value->text);
            }
        }
    }
}

static rung_status write_levels(eval_run *run, rung_error *error)
{
    static const rung_column columns[] = {
        {.name = "level", .kind = RUNG_COLUMN_TEXT},
        {.name = "layers", .kind = RUNG_COLUMN_NUMBER},
        {.name = "hidden size", .kind = RUNG_COLUMN_NUMBER},
        {.name = "speed", .kind = RUNG_COLUMN_NUMBER, .decimals = 2},
        {.name = "link from below", .kind = RUNG_COLUMN_TEXT},
        {.name = "round trip", .unit = "ms", .kind = RUNG_COLUMN_NUMBER, .decimals = 1},
        {.name = "up", .unit = "Mbit/s", .kind = RUNG_COLUMN_NUMBER, .decimals = 1},
        {.name = "down", .unit = "Mbit/s", .kind = RUNG_COLUMN_NUMBER, .decimals = 1},
        {.name = "model", .kind = RUNG_COLUMN_TEXT},
    };
    rung_table table;
    rung_table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (uint32_t l = 0; l < run->cascade->num_levels; l++) {
        const rung_cascade_level *level = &run->cascade->level[l];
        char model[32];
        snprintf(model, sizeof model, "sha256 %.12s", level->model->hash);
        rung_table_text(&table, level->name);
        rung_table_number(&table, (double)level->model->config.num_layers);
        rung_table_number(&table, (double)level->model->config.hidden_size);
        rung_table_number(&table, level->speed);
        rung_table_text(&table, l > 0 ? level->link.name : NULL);
        rung_table_number(&table, l > 0 ? level->link.rtt_ms : (double)NAN);
        rung_table_number(&table, l > 0 ? level->link.up_bps / 1e6 : (double)NAN);
        rung_table_number(&table, l > 0 ? level->link.down_bps / 1e6 : (double)NAN);
        rung_table_text(&table, model);
    }
    rung_status status = rung_report_table(&run->report, &table, "levels", error);
    rung_table_deinit(&table);
    return status;
}

static rung_status write_rows(eval_run *run, rung_error *error)
{
    static const rung_column columns[] = {
        {.name = "rows to", .kind = RUNG_COLUMN_TEXT},
        {.name = "count", .kind = RUNG_COLUMN_NUMBER},
        {.name = "from", .kind = RUNG_COLUMN_TEXT},
        {.name = "what they decide", .kind = RUNG_COLUMN_TEXT},
    };
    const rung_study *study = &run->evaluation.study;
    const char *data = cli_base_name(run->data);
    const char *tune = run->tune_data != NULL ? cli_base_name(run->tune_data) : data;
    const struct {
        const char *name;
        size_t count;
        const char *from, *what;
    } parts[] = {{"tune on", study->tune.count, tune, "which policies are worth having"},
                 {"calibrate on", study->calibrate.count, data, "temperatures, shapes, weights of pools"},
                 {"certify on", study->certify.count, data, "which policies keep a target"},
                 {"report on", study->report.count, data, "nothing: they are measured"}};
    rung_table table;
    rung_table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        rung_table_text(&table, parts[i].name);
        rung_table_number(&table, (double)parts[i].count);
        rung_table_text(&table, parts[i].from);
        rung_table_text(&table, parts[i].what);
    }
    rung_status status = rung_report_table(&run->report, &table, "rows", error);
    rung_table_deinit(&table);
    return status;
}

static void write_setting(eval_run *run)
{
    const rung_evaluation *evaluation = &run->evaluation;
    rung_report *report = &run->report;
    char machine[CLI_MACHINE_BYTES];
    rung_buffer command = {0};
    cli_machine_name(machine);
    write_command(run, &command);
    rung_report_text(report, "```\n%s\n```", command.data != NULL ? command.data : "");
    rung_report_text(report,
                     "rung %s, %s, kernels %s, %zu threads, on %s with %zu processors. Seed %" PRIu64
                     " of the split, the searches, the coins, the links and the resamples: the same command gives the "
                     "same figures, with the profile that lies in this directory.",
                     rung_version(), rung_precision_name(run->cascade->precision), run->cascade->kernels->name,
                     run->cascade->threads, machine, rung_processor_count(), evaluation->seed);
    rung_report_text(report,
                     "%zu policies are tried for each method; intervals hold with confidence %g, from %zu "
                     "resamples where they are not Wilson's.%s",
                     report->trials, report->bootstrap.confidence, report->bootstrap.resamples,
                     report->quick ? " **This was a quick look** with few rows and few trials: its figures are coarse."
                                   : "");
    rung_buffer_deinit(&command);
}

static void write_record(eval_run *run)
{
    const rung_evaluation *evaluation = &run->evaluation;
    rung_report_text(&run->report,
                     "Record: %zu texts as models read them were known before, and %zu were computed now; those of the "
                     "whole texts took %.1f s. Every figure below rests on what the models said of the very tokens "
                     "that a policy sends: 0 missing keys. Data: %s, sha256 %.12s, %zu rows%s%s.",
                     evaluation->recorded_before, rung_replay_computed(evaluation->replay), evaluation->record_s,
                     cli_base_name(run->data), evaluation->data.sha256, evaluation->data.count,
                     run->tune_data != NULL ? "; to tune on " : "",
                     run->tune_data != NULL ? cli_base_name(run->tune_data) : "");
}

/* The head is written last, when all is known, and stands first. */
static rung_status write_head(eval_run *run, rung_error *error)
{
    rung_report *report = &run->report;
    rung_buffer body = report->text;
    report->text = (rung_buffer){0};
    rung_report_heading(report, 1, "Evaluation");
    rung_report_text(report, "%zu of %zu goals are reached.", report->num_reached, report->num_goals);
    rung_report_goals_here(report);
    rung_report_heading(report, 2, "What was run");
    write_setting(run);
    rung_status status = write_levels(run, error);
    if (status == RUNG_OK) {
        rung_report_text(report, "Time is compute, as profiled, divided by the level's speed, plus the emulated links "
                                 "with their way back; queues are not modelled. Bytes are bodies, both ways.");
        status = write_rows(run, error);
    }
    write_record(run);
    rung_buffer_append(&report->text, body.data, body.length);
    report->text.failed = report->text.failed || body.failed;
    rung_buffer_deinit(&body);
    return status;
}

static rung_status print_line(const eval_run *run, rung_error *error)
{
    rung_buffer out = {0};
    const rung_summary *found = &run->found.summary;
    rung_buffer_format(&out,
                       "%s: mean %.2f ms, p95 %.1f ms, accuracy %.4f, agreement %.4f on %zu report rows; %zu of %zu "
                       "goals reached; %s/report.md\n",
                       run->pick.certified ? "rung, certified to agree on 98 %"
                                           : "nothing certified, the top level alone",
                       found->mean_ms, found->p95_ms, found->accuracy, found->agreement, found->n,
                       run->report.num_reached, run->report.num_goals, run->directory);
    rung_status status = cli_print_buffer(&out, error);
    rung_buffer_deinit(&out);
    return status;
}

static rung_status run_eval(eval_run *run, rung_error *error)
{
    rung_status status = take_options(run, error);
    if (status == RUNG_OK) {
        status = open_cascade(run, error);
    }
    if (status == RUNG_OK) {
        status = open_evaluation(run, error);
        cli_progress_end(&run->bar);
    }
    if (status == RUNG_OK) {
        status = write_sections(run, error);
    }
    if (status == RUNG_OK) {
        status = rung_store_flush(run->evaluation.store, error);
    }
    if (status == RUNG_OK) {
        status = write_head(run, error);
    }
    if (status == RUNG_OK) {
        status = rung_report_finish(&run->report, error);
    }
    return status == RUNG_OK ? print_line(run, error) : status;
}

int cli_eval(const rung_options *options)
{
    rung_error error;
    eval_run *run = rung_alloc(1, sizeof *run, "evaluation", &error);
    if (run == NULL) {
        return cli_fail(&error);
    }
    run->options = options;
    rung_status status = run_eval(run, &error);
    rung_measured_deinit(&run->found);
    rung_contestants_deinit(&run->contestants);
    rung_report_deinit(&run->report);
    rung_evaluation_close(&run->evaluation);
    rung_cascade_close(run->cascade);
    free(run);
    return status == RUNG_OK ? CLI_OK : cli_fail(&error);
}
