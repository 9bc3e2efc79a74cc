/* demo.c: `rung demo`: the default cascade on real reviews, beside the plain threshold, Tabi and always-cloud. Each level is a process of its own on
 * loopback with the cascade's links emulated in real time; every review is asked of the first one. Times are compute divided by the level's speed,
 * plus waiting and links. */
#include "base/file.h"
#include "base/memory.h"
#include "cli/answer_text.h"
#include "cli/cli.h"
#include "cli/demo_client.h"
#include "cli/demo_nodes.h"
#include "cli/demo_report.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define NUM_RUNS 4
#define NUM_STORIES 5

typedef struct demo_session {
    rung_cascade *cascade;
    rung_dataset data;
    demo_run runs[NUM_RUNS]; /* the configured policy first, always the top last */
    demo_nodes nodes;
    demo_client *client; /* of the first level's node */
} demo_session;

/* The baselines: the plain threshold at our thresholds, Tabi as its paper sets it, and the top level alone. */
static rung_status choose_policies(demo_session *self, rung_error *error)
{
    static const char *const names[NUM_RUNS] = {NULL, "tangobert", "tabi", "single"};
    static const char *const titles[NUM_RUNS] = {NULL, "tangobert", "tabi", "always-cloud"};
    const rung_cascade *cascade = self->cascade;
    self->runs[0] = (demo_run){.name = cascade->policy.name, .policy = cascade->policy};
    for (size_t r = 1; r < NUM_RUNS; r++) {
        demo_run *run = &self->runs[r];
        run->name = titles[r];
        rung_status status = rung_cascade_named_policy(cascade, names[r], &run->policy, error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    return RUNG_OK;
}

static rung_status make_room(demo_session *self, rung_error *error)
{
    for (size_t r = 0; r < NUM_RUNS; r++) {
        demo_run *run = &self->runs[r];
        run->answers = rung_alloc(self->data.count, sizeof *run->answers, "answers", error);
        run->blocks = rung_alloc(self->data.count, sizeof *run->blocks, "answers", error);
        run->wall_ms = rung_alloc(self->data.count, sizeof *run->wall_ms, "answers", error);
        if (run->answers == NULL || run->blocks == NULL || run->wall_ms == NULL) {
            return RUNG_NO_MEMORY;
        }
    }
    return RUNG_OK;
}

static void free_runs(demo_session *self)
{
    for (size_t r = 0; r < NUM_RUNS; r++) {
        demo_run *run = &self->runs[r];
        for (size_t i = 0; run->blocks != NULL && i < self->data.count; i++) {
            free(run->blocks[i]);
        }
        free(run->answers);
        free(run->blocks);
        free(run->wall_ms);
    }
}

/* All reviews, one after the other. Every policy is named, so that its name counts in the bytes of each. */
static rung_status run_policy(demo_session *self, size_t r, rung_error *error)
{
    demo_run *run = &self->runs[r];
    cli_progress bar = {.title = run->name, .total = self->data.count};
    rung_status status = RUNG_OK;
    for (size_t i = 0; status == RUNG_OK && i < self->data.count; i++) {
        status = demo_client_ask(self->client, run->policy.name, &self->data.inputs[i], &run->answers[i],
                                 &run->wall_ms[i], &run->blocks[i], error);
        cli_progress_show(&bar, i + 1);
    }
    cli_progress_end(&bar);
    return status;
}

static rung_status run_policies(demo_session *self, const rung_options *options, rung_error *error)
{
    rung_status status = make_room(self, error);
    if (status == RUNG_OK) {
        fprintf(stderr, "starting %u nodes on loopback\n", self->cascade->num_levels);
        status = demo_nodes_start(&self->nodes, options, self->cascade, error);
    }
    if (status == RUNG_OK) {
        status = demo_client_open(self->nodes.node[0].url, self->cascade, &self->client, error);
    }
    for (size_t r = 0; status == RUNG_OK && r < NUM_RUNS; r++) {
        status = run_policy(self, r, error);
    }
    return status;
}

static void print_levels(const demo_session *self, rung_buffer *out)
{
    for (uint32_t l = 0; l < self->cascade->num_levels; l++) {
        const rung_cascade_level *level = &self->cascade->level[l];
        const rung_model_config *config = &level->model->config;
        rung_buffer_format(out, "  level %u %-6s %2zu layers x %zu, speed %.3g", l + 1, level->name, config->num_layers,
                           config->hidden_size, level->speed);
        if (l > 0) {
            rung_buffer_format(out, ", link %s: round trip %.3g ms, %.3g Mbit/s up", level->link.name,
                               level->link.rtt_ms, level->link.up_bps / 1e6);
        }
        rung_buffer_text(out, "\n");
    }
}

static rung_status print_summary(const demo_session *self, rung_buffer *out, rung_error *error)
{
    const demo_run *reference = &self->runs[NUM_RUNS - 1];
    demo_figures figures[NUM_RUNS];
    for (size_t r = 0; r < NUM_RUNS; r++) {
        rung_status status = demo_figures_of(self->cascade, &self->data, &self->runs[r], reference, &figures[r], error);
        if (status != RUNG_OK) {
            return status;
        }
    }
    rung_buffer_format(out,
                       "%zu reviews, %s, kernels %s, %u processes; time = compute / speed + waiting + links; wall: "
                       "as measured here\n",
                       self->data.count, rung_precision_name(self->cascade->precision), self->cascade->kernels->name,
                       self->cascade->num_levels);
    print_levels(self, out);
    rung_buffer_text(out, "\n");
    demo_print_table(out, self->cascade, self->runs, figures, NUM_RUNS);
    rung_buffer_text(out, "\n");
    for (size_t r = 0; r < NUM_RUNS; r++) {
        rung_buffer_format(out, "%-13s ", self->runs[r].name);
        demo_print_parameters(out, self->cascade, &self->runs[r].policy);
    }
    return RUNG_OK;
}

static void print_story(const demo_session *self, rung_buffer *out, size_t row)
{
    const rung_line *line = &self->data.lines[row];
    demo_print_story(out, self->cascade, line->id, self->cascade->labels[self->data.labels[row]], line->text,
                     line->text_bytes, &self->runs[0].answers[row]);
}

/* The shortest review, not chosen yet, that `level` answered; data.count when there is none. */
static size_t shortest_answered_at(const demo_session *self, uint32_t level, const size_t *chosen, size_t num_chosen)
{
    size_t best = self->data.count;
    for (size_t i = 0; i < self->data.count; i++) {
        bool fits = self->runs[0].answers[i].level == level;
        for (size_t c = 0; c < num_chosen; c++) {
            fits = fits && chosen[c] != i;
        }
        if (fits && (best == self->data.count || self->data.lines[i].text_bytes < self->data.lines[best].text_bytes)) {
            best = i;
        }
    }
    return best;
}

/* One review for each level from the user up, then again from the top down: short ones, so that they can be read. */
static void print_stories(const demo_session *self, rung_buffer *out)
{
    size_t chosen[NUM_STORIES];
    size_t count = 0;
    uint32_t num_levels = self->cascade->num_levels;
    for (uint32_t turn = 0; turn < NUM_STORIES * num_levels && count < NUM_STORIES; turn++) {
        uint32_t step = turn % (2 * num_levels);
        uint32_t level = step < num_levels ? step + 1 : 2 * num_levels - step;
        size_t row = shortest_answered_at(self, level, chosen, count);
        if (row < self->data.count) {
            chosen[count++] = row;
        }
    }
    rung_buffer_format(out, "\n%zu reviews, and what happened to them:\n", count);
    for (size_t i = 0; i < count; i++) {
        print_story(self, out, chosen[i]);
    }
}

static void print_addresses(const demo_session *self, rung_buffer *out)
{
    rung_buffer_text(out, "\nthe nodes serve until Ctrl-C:\n");
    for (uint32_t l = 0; l < self->nodes.count; l++) {
        rung_buffer_format(out, "  level %u %-6s %s  (pid %d)\n", l + 1, self->cascade->level[l].name,
                           self->nodes.node[l].url, (int)self->nodes.node[l].pid);
    }
    rung_buffer_format(out, "  curl -s %s/v1/classify -d '{\"text\":\"A warm, funny film.\"}'\n",
                       self->nodes.node[0].url);
    rung_buffer_format(out, "  curl -s %s/metrics\n", self->nodes.node[0].url);
}

static void tell_of_end(const demo_session *self, uint32_t level, int wait_status)
{
    const char *name = self->cascade->level[level - 1].name;
    if (WIFSIGNALED(wait_status)) {
        fprintf(stderr, "rung: level %u (%s) was ended by signal %d; the others go on without it\n", level, name,
                WTERMSIG(wait_status));
    } else {
        fprintf(stderr, "rung: level %u (%s) ended with code %d; the others go on without it\n", level, name,
                WEXITSTATUS(wait_status));
    }
}

static void signals_to_wait_for(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGHUP);
    sigaddset(signals, SIGCHLD);
}

/* The nodes stay until Ctrl-C, or until none is left. */
static rung_status stay(demo_session *self, rung_error *error)
{
    sigset_t signals;
    signals_to_wait_for(&signals);
    uint32_t running = self->nodes.count;
    while (running > 0) {
        int wait_status = 0;
        uint32_t level = demo_nodes_ended(&self->nodes, &wait_status);
        if (level != 0) {
            running--;
            tell_of_end(self, level, wait_status);
            continue;
        }
        int number = 0;
        if (sigwait(&signals, &number) == 0 && number != SIGCHLD) {
            return RUNG_OK;
        }
    }
    return rung_fail(error, RUNG_IO, "all nodes have ended");
}

static rung_status read_reviews(demo_session *self, const rung_options *options, rung_error *error)
{
    const char *given = rung_options_text(options, RUNG_OPTION_DATA);
    char *path = given != NULL ? rung_path_join(NULL, given, error)
                               : rung_path_join(cli_data_directory(options), "examples/reviews.jsonl.zst", error);
    if (path == NULL) {
        return RUNG_NO_MEMORY;
    }
    rung_status status = rung_dataset_read(self->cascade, path, 0, &self->data, error);
    free(path);
    return status;
}

/* SIGCHLD is waited for, from before the first child on. */
static rung_status hold_signals(rung_error *error)
{
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    int code = pthread_sigmask(SIG_BLOCK, &children, NULL);
    return code == 0 ? RUNG_OK : rung_fail(error, RUNG_IO, "cannot block signals: %s", strerror(code));
}

static rung_status run_demo(demo_session *self, const rung_options *options, rung_error *error)
{
    rung_buffer out = {0};
    bool once = rung_options_bool(options, RUNG_OPTION_ONCE);
    rung_status status = read_reviews(self, options, error);
    if (status == RUNG_OK) {
        status = choose_policies(self, error);
    }
    if (status == RUNG_OK) {
        status = hold_signals(error);
    }
    if (status == RUNG_OK) {
        status = run_policies(self, options, error);
    }
    if (status == RUNG_OK) {
        status = print_summary(self, &out, error);
    }
    if (status == RUNG_OK) {
        print_stories(self, &out);
        if (!once) {
            sigset_t signals;
            signals_to_wait_for(&signals);
            pthread_sigmask(SIG_BLOCK, &signals, NULL);
            print_addresses(self, &out);
        }
        status = cli_print_buffer(&out, error);
    }
    rung_buffer_deinit(&out);
    return status == RUNG_OK && !once ? stay(self, error) : status;
}

int cli_demo(const rung_options *options)
{
    rung_error error;
    demo_session self = {0};
    curl_global_init(CURL_GLOBAL_DEFAULT);
    rung_status status = cli_open_cascade(options, 1, &self.cascade, &error);
    if (status == RUNG_OK) {
        status = run_demo(&self, options, &error);
    }
    demo_client_close(self.client);
    demo_nodes_stop(&self.nodes);
    free_runs(&self);
    rung_dataset_deinit(&self.data);
    rung_cascade_close(self.cascade);
    curl_global_cleanup();
    return status == RUNG_OK ? CLI_OK : cli_fail(&error);
}
