/* eval_live.c: the policy that was found, deployed. See eval_live.h. */
#include "cli/eval_live.h"

#include "base/file.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/demo_client.h"
#include "cli/demo_nodes.h"
#include "cli/demo_report.h"

#include <curl/curl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define IN_PROCESS 100    /* report rows that the files are compared on without processes */
#define LATENCY_GOAL 0.10 /* mean time of real processes against the replay's */
#define COUNT(values) (sizeof(values) / sizeof(values)[0])

/* One run of the nodes. */
typedef struct live_run {
    const rung_evaluation *evaluation;
    const rung_scheme *scheme;
    const char *directory; /* of the files */
    size_t count;
    rung_outcome *outcomes; /* [count] the replay's */
    double *live_ms;        /* [count] compute, queues and links, as the nodes say */
    double *replay_ms;      /* [count] compute and links */
    double *wall_ms;        /* [count] as the client measured */
    bool *same;             /* [count] */
    size_t num_same;
    size_t queued; /* requests that waited for another somewhere */
    demo_nodes nodes;
    demo_client *client;
} live_run;

static void release(live_run *run)
{
    demo_client_close(run->client);
    demo_nodes_stop(&run->nodes);
    free(run->outcomes);
    free(run->live_ms);
    free(run->replay_ms);
    free(run->wall_ms);
    free(run->same);
}

static rung_status reserve(live_run *run, rung_error *error)
{
    run->outcomes = rung_alloc(run->count, sizeof *run->outcomes, "live run", error);
    run->live_ms = rung_alloc(run->count, sizeof *run->live_ms, "live run", error);
    run->replay_ms = rung_alloc(run->count, sizeof *run->replay_ms, "live run", error);
    run->wall_ms = rung_alloc(run->count, sizeof *run->wall_ms, "live run", error);
    run->same = rung_alloc(run->count, sizeof *run->same, "live run", error);
    bool failed = run->outcomes == NULL || run->live_ms == NULL || run->replay_ms == NULL || run->wall_ms == NULL ||
                  run->same == NULL;
    return failed ? RUNG_NO_MEMORY : RUNG_OK;
}

/* The nodes take the files that were written, and of what the user gave only what concerns this machine. */
static rung_status start_nodes(live_run *run, const rung_options *given, rung_error *error)
{
    rung_options *options = NULL;
    char *path = rung_path_join(run->directory, "cascade.yaml", error);
    rung_status status = path == NULL ? RUNG_NO_MEMORY : rung_options_new(&options, error);
    if (status == RUNG_OK) {
        status = rung_options_set(options, "config", path, error);
    }
    if (status == RUNG_OK && rung_options_text(given, RUNG_OPTION_ISA) != NULL) {
        status = rung_options_set(options, "isa", rung_options_text(given, RUNG_OPTION_ISA), error);
    }
    if (status == RUNG_OK) {
        status = demo_nodes_start(&run->nodes, options, run->evaluation->cascade, error);
    }
    rung_options_free(options);
    free(path);
    return status;
}

static rung_status ask(live_run *run, size_t i, rung_error *error)
{
    const rung_cascade *cascade = run->evaluation->cascade;
    char id[RUNG_DEPLOYMENT_ID_BYTES];
    rung_input input = rung_deployment_input(run->evaluation, run->evaluation->study.report.rows[i], id);
    rung_answer answer;
    void *block = NULL;
    rung_status status = demo_client_ask(run->client, NULL, &input, &answer, &run->wall_ms[i], &block, error);
    if (status != RUNG_OK) {
        return status;
    }
    double queue_ms = 0;
    for (size_t l = 0; l < answer.num_levels; l++) {
        queue_ms += answer.levels[l].queue_ms;
    }
    run->queued += queue_ms >= 1;
    run->live_ms[i] = demo_latency_ms(&answer);
    run->same[i] = rung_deployment_same(cascade, &run->outcomes[i], &answer);
    run->num_same += run->same[i];
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        run->replay_ms[i] += (run->outcomes[i].compute_s[l] + (double)run->outcomes[i].link_s[l]) * 1e3;
    }
    free(block);
    return RUNG_OK;
}

static rung_status run_nodes(live_run *run, const rung_options *given, const rung_progress *progress, rung_error *error)
{
    rung_rows rows = run->evaluation->study.report;
    rows.count = run->count;
    rung_status status = reserve(run, error);
    if (status == RUNG_OK) {
        status = rung_scheme_replay(&run->evaluation->study, run->scheme, NULL, &rows, false, run->outcomes, error);
    }
    if (status == RUNG_OK) {
        status = start_nodes(run, given, error);
    }
    if (status == RUNG_OK) {
        status = demo_client_open(run->nodes.node[0].url, run->evaluation->cascade, &run->client, error);
    }
    for (size_t i = 0; status == RUNG_OK && i < run->count; i++) {
        status = ask(run, i, error);
        rung_progress_report(progress, "live", i + 1, run->count);
    }
    return status;
}

static double mean(const double *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += values[i];
    }
    return sum / (double)n;
}

static rung_status write_rows(const live_run *run, rung_report *report, rung_error *error)
{
    static const rung_column columns[] = {
        {.name = "id", .kind = RUNG_COLUMN_TEXT},
        {.name = "same answer", .kind = RUNG_COLUMN_TEXT},
        {.name = "replay", .unit = "ms", .kind = RUNG_COLUMN_NUMBER},
        {.name = "live", .unit = "ms", .kind = RUNG_COLUMN_NUMBER},
        {.name = "wall", .unit = "ms", .kind = RUNG_COLUMN_NUMBER},
    };
    rung_table table;
    rung_table_init(&table, columns, COUNT(columns));
    for (size_t i = 0; i < run->count; i++) {
        char id[RUNG_DEPLOYMENT_ID_BYTES];
        rung_table_text(&table, rung_deployment_input(run->evaluation, run->evaluation->study.report.rows[i], id).id);
        rung_table_text(&table, run->same[i] ? "yes" : "no");
        rung_table_number(&table, run->replay_ms[i]);
        rung_table_number(&table, run->live_ms[i]);
        rung_table_number(&table, run->wall_ms[i]);
    }
    rung_status status = rung_report_csv(report, &table, "live", error);
    rung_table_deinit(&table);
    return status;
}

static rung_status write_live(const live_run *run, rung_report *report, rung_error *error)
{
    double replay_ms = mean(run->replay_ms, run->count);
    double live_ms = mean(run->live_ms, run->count);
    double off = live_ms / replay_ms - 1;
    rung_status status = write_rows(run, report, error);
    rung_report_goal(report, run->num_same == run->count,
                     "answers of real processes and sockets are the replay's: %zu of %zu.", run->num_same, run->count);
    rung_report_goal(report, fabs(off) <= LATENCY_GOAL,
                     "mean time of real processes within %g %% of the replay's: %.2f ms against %.2f ms (%+.1f %%).",
                     100 * LATENCY_GOAL, live_ms, replay_ms, 100 * off);
    rung_report_text(
        report,
        "The times are compute divided by the level's speed, waiting, and links, added up over the levels. "
        "The replay takes compute from the profile; the nodes measure it while they share this machine "
        "with the client and with whatever else runs on it. %zu of %zu requests waited a millisecond or "
        "more for another. On the client's clock a request took %.2f ms, computed at this machine's own "
        "speed. One by one: [live.csv](live.csv).",
        run->queued, run->count, mean(run->wall_ms, run->count));
    return status;
}

static rung_status deploy(live_run *run, const rung_options *options, double agreement, rung_report *report,
                          rung_error *error)
{
    rung_deployment_check check = {0};
    const char *data = cli_base_name(rung_options_text(options, RUNG_OPTION_DATA));
    rung_status status = rung_deployment_write(run->evaluation, run->scheme, agreement, data, run->directory, error);
    if (status == RUNG_OK) {
        status = rung_deployment_compare(run->evaluation, run->scheme, run->directory, IN_PROCESS, &check, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    rung_report_heading(report, 2, "Deployed");
    rung_report_text(
        report, "[deploy/cascade.yaml](deploy/cascade.yaml) and [deploy/calibration.json](deploy/calibration.json) "
                "are what rung would deploy, as it was evaluated: `rung classify -c deploy/cascade.yaml`, `rung "
                "serve -c deploy/cascade.yaml --level ...`.");
    rung_report_goal(report, check.same == check.compared,
                     "the files that were written give the replay's answers in one process: %zu of %zu report rows.",
                     check.same, check.compared);
    return RUNG_OK;
}

rung_status cli_eval_live(const rung_options *options, const rung_evaluation *evaluation, const rung_scheme *scheme,
                          double agreement, size_t count, rung_report *report, rung_error *error)
{
    size_t most = evaluation->study.report.count;
    live_run run = {.evaluation = evaluation, .scheme = scheme, .count = count < most ? count : most};
    char *directory = rung_path_join(report->directory, "deploy", error);
    run.directory = directory;
    rung_status status = directory == NULL ? RUNG_NO_MEMORY : deploy(&run, options, agreement, report, error);
    if (status == RUNG_OK && run.count > 0) {
        curl_global_init(CURL_GLOBAL_DEFAULT);
        status = run_nodes(&run, options, report->progress, error);
        if (status == RUNG_OK) {
            status = write_live(&run, report, error);
        }
    }
    release(&run);
    if (run.count > 0) {
        curl_global_cleanup();
    }
    free(directory);
    return status;
}
